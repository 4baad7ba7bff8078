"""What a traced program consists of."""

from collections.abc import Iterator
from typing import Any

from jax.extend.core import ClosedJaxpr, Jaxpr

__all__ = ["equations", "inner_jaxprs"]


def inner_jaxprs(equation: Any) -> Iterator[Jaxpr]:
    """The programs within an equation: what it calls, bodies of loops, branches."""
    for parameter in equation.params.values():
        for part in parameter if isinstance(parameter, tuple | list) else (parameter,):
            if isinstance(part, ClosedJaxpr):
                yield part.jaxpr
            elif isinstance(part, Jaxpr):
                yield part


def equations(jaxpr: Jaxpr) -> Iterator[Any]:
    """All equations of a program, those of the programs within it included."""
    for equation in jaxpr.eqns:
        yield equation
        for inner in inner_jaxprs(equation):
            yield from equations(inner)
