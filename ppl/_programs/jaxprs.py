"""What a traced program consists of."""

from collections.abc import Iterator
from typing import Any

from jax.extend.core import ClosedJaxpr, Jaxpr

__all__ = ["ELEMENTWISE", "called", "equations", "inner_jaxprs", "scan_counts"]

CALLS = frozenset("jit pjit closed_call core_call custom_jvp_call custom_vjp_call custom_vjp_call_jaxpr".split())

# Operations on each element, or on elements of several arrays at one place.
ELEMENTWISE = frozenset(
    """abs acos acosh add add_any and asin asinh atan atan2 atanh bessel_i0e bessel_i1e cbrt ceil clamp convert_element_type copy
    copy_p cos cosh digamma div eq eq_to erf erf_inv erfc exp exp2 expm1 floor ge gt igamma igamma_grad_a igammac imag
    integer_pow is_finite le lgamma log log1p logistic lt max min mul ne neg nextafter not or polygamma population_count pow real
    reduce_precision regularized_incomplete_beta rem round rsqrt select_n shift_left shift_right_arithmetic shift_right_logical
    sign sin sinh sqrt square stop_gradient sub tan tanh xor zeta""".split()
)


def called(equation: Any) -> ClosedJaxpr | None:
    """The program of an equation that calls one and does nothing else; None of any other equation."""
    if equation.primitive.name not in CALLS:
        return None
    inner = next(equation.params[name] for name in ("jaxpr", "call_jaxpr", "fun_jaxpr") if name in equation.params)
    return inner if isinstance(inner, ClosedJaxpr) else ClosedJaxpr(inner, ())


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
