"""Arrays that are stored before they are read, where XLA for the CPU would compute them again in each loop that reads them.

(1) What a gather takes rows from. XLA makes it within the gather: a logarithm for each element that is taken, though there may be
few rows. (2) What a maximum is taken of, if it is made of transposed arrays, such as the columns of a table that words have
chosen. The logarithm of a sum of exponentials reads its terms twice, for the maximum and for the exponentials. XLA makes them in
both loops, which then read memory with strides, and none is vectorised. Once the terms are stored, they are read as they lie.
"""

import math
from collections.abc import Sequence
from enum import Flag, auto
from functools import reduce
from operator import or_
from typing import Any

from jax import lax
from jax.custom_batching import custom_vmap
from jax.extend.core import Jaxpr, JaxprEqn, Literal

from ppl._programs.jaxprs import ELEMENTWISE, called
from ppl._typing import Array, Shape

__all__ = ["stored", "worth_storing"]

MIN_TAKEN = 1024  # elements that a gather takes; for fewer nothing is gained
REPEATS = 4  # times that it takes each element at least, on average
MIN_STRIDED = 4096  # elements of which a maximum is taken

# Operations that are fused with what reads their result, and read their operands as it is read.
FUSED = ELEMENTWISE | frozenset("broadcast_in_dim concatenate expand_dims pad reshape rev slice squeeze stack transpose".split())
COSTLY = frozenset(
    """acos acosh asin asinh atan atan2 atanh bessel_i0e bessel_i1e cbrt cos cosh digamma erf erf_inv erfc exp exp2 expm1 igamma
    igamma_grad_a igammac lgamma log log1p logistic polygamma pow regularized_incomplete_beta sin sinh tan tanh zeta""".split()
)


class _Made(Flag):
    """How an array is made, up to what is stored anyhow."""

    CHEAPLY = 0
    AT_A_COST = auto()
    WITH_STRIDES = auto()


@custom_vmap
def stored(x: Array) -> Array:
    """The array, stored before anything reads it.

    XLA has no operation for that: a barrier is gone before loops are fused. But a branch is not fused with what is outside.
    """
    first = lax.slice(x, (0,) * x.ndim, (1,) * x.ndim).reshape(())
    return lax.cond(first > 0, lambda x: x, lax.optimization_barrier, x)


@stored.def_vmap
def _stored_batch(size: int, is_batched: Sequence[bool], x: Array) -> tuple[Array, bool]:
    """One branch for all: as many would become a choice of elements."""
    return stored(x), is_batched[0]


def worth_storing(jaxpr: Jaxpr) -> frozenset[Any]:
    """The variables, of a program and of those that it calls, whose values are better stored."""
    found: set[Any] = set()
    _follow(jaxpr, [_Made.CHEAPLY] * len(jaxpr.invars), found)
    return frozenset(found)


def _follow(jaxpr: Jaxpr, arguments: Sequence[_Made], found: set[Any]) -> list[_Made]:
    """How the results are made, given how the arguments are; variables that are found on the way are added."""
    made: dict[Any, _Made] = dict(zip(jaxpr.invars, arguments))

    def read(variable: Any) -> _Made:
        return _Made.CHEAPLY if isinstance(variable, Literal) else made.get(variable, _Made.CHEAPLY)

    for equation in jaxpr.eqns:
        operands = [read(variable) for variable in equation.invars]
        if _should_be_stored(equation, operands):
            found.add(equation.invars[0])
            made[equation.invars[0]] = _Made.CHEAPLY
        if (inner := called(equation)) is not None:
            results = _follow(inner.jaxpr, operands, found)
        else:
            results = [_result(equation, operands)] * len(equation.outvars)
        made.update(zip(equation.outvars, results))
    return [read(variable) for variable in jaxpr.outvars]


def _should_be_stored(equation: JaxprEqn, operands: Sequence[_Made]) -> bool:
    """Whether the first operand had better be."""
    name = equation.primitive.name
    if name == "gather":
        taken, given = _size(equation.outvars[0]), _size(equation.invars[0])
        return _Made.AT_A_COST in operands[0] and taken >= max(MIN_TAKEN, REPEATS * given)
    return name == "reduce_max" and _Made.WITH_STRIDES in operands[0] and _size(equation.invars[0]) >= MIN_STRIDED


def _result(equation: JaxprEqn, operands: Sequence[_Made]) -> _Made:
    """How the results are made, where the operands are made so."""
    name = equation.primitive.name
    made = reduce(or_, operands, _Made.CHEAPLY) if name in FUSED else _Made.CHEAPLY
    if name in COSTLY:
        made |= _Made.AT_A_COST
    if name == "transpose" and _moves(_shape(equation.invars[0]), equation.params["permutation"]):
        made |= _Made.WITH_STRIDES
    return made


def _moves(shape: Shape, permutation: Sequence[int]) -> bool:
    """Whether a transposition changes the order of elements."""
    order = [axis for axis in permutation if shape[axis] > 1]
    return order != sorted(order)


def _shape(variable: Any) -> Shape:
    return variable.aval.shape


def _size(variable: Any) -> int:
    return math.prod(_shape(variable))
