"""What a traced program consists of."""

from collections.abc import Iterator
from typing import Any

from jax.extend.core import ClosedJaxpr, Jaxpr

__all__ = ["equations", "inner_jaxprs", "scan_counts"]


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


def scan_counts(equation: Any) -> tuple[int, int]:
    """How many constants and carried values the body of a `scan` takes, before an entry of each array that it goes along.

    JAX names these numbers in its own way in each of its versions. The shapes tell them in all: an array and its entries differ in
    rank, a carried value has one shape inside and outside.
    """
    body = equation.params["jaxpr"].jaxpr

    def same_rank(outer: Any, inner: Any) -> int:
        return sum(a.aval.ndim == b.aval.ndim for a, b in zip(outer, inner))

    num_carry = same_rank(equation.outvars, body.outvars)
    return same_rank(equation.invars, body.invars) - num_carry, num_carry
