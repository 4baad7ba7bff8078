"""Arrays made of transposed ones are stored before a maximum of them is taken.

The logarithm of a sum of exponentials reads its terms twice: for the maximum, and for the exponentials. XLA for the CPU makes them
twice, too, within the loops that read them. Where they are made of a transposed array, such as the columns of a table that words
have chosen, these loops read memory with strides, and none is vectorised. Once the terms are stored, they are read as they lie.
"""

import math
from collections.abc import Sequence
from typing import Any

from jax import lax
from jax.custom_batching import custom_vmap
from jax.extend.core import Jaxpr, JaxprEqn, Literal

from ppl._programs.jaxprs import ELEMENTWISE, called
from ppl._typing import Array, Shape

__all__ = ["maxima_of_strided", "stored"]

MIN_ELEMENTS = 4096  # of the array; for shorter ones nothing is gained

# Operations that are fused with what reads their result, and read their operands as it is read.
FUSED = ELEMENTWISE | frozenset("broadcast_in_dim concatenate expand_dims pad reshape rev slice squeeze stack".split())


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


def maxima_of_strided(jaxpr: Jaxpr) -> frozenset[Any]:
    """The variables, of a program and of those that it calls, that are made of transposed arrays and whose maximum is taken."""
    found: set[Any] = set()
    _follow(jaxpr, [False] * len(jaxpr.invars), found)
    return frozenset(found)


def _follow(jaxpr: Jaxpr, arguments: Sequence[bool], found: set[Any]) -> list[bool]:
    """Which results are strided, where the arguments are or are not; variables that are found on the way are added."""
    strided = {variable for variable, is_strided in zip(jaxpr.invars, arguments) if is_strided}
    for equation in jaxpr.eqns:
        operands = [_is_in(strided, variable) for variable in equation.invars]
        if (inner := called(equation)) is not None:
            results = _follow(inner.jaxpr, operands, found)
        else:
            results = [_gives_strides(equation, any(operands))] * len(equation.outvars)
        strided.update(variable for variable, is_strided in zip(equation.outvars, results) if is_strided)
        if equation.primitive.name == "reduce_max" and operands[0] and math.prod(_shape(equation.invars[0])) >= MIN_ELEMENTS:
            found.add(equation.invars[0])
    return [_is_in(strided, variable) for variable in jaxpr.outvars]


def _is_in(variables: set[Any], variable: Any) -> bool:
    return not isinstance(variable, Literal) and variable in variables


def _gives_strides(equation: JaxprEqn, is_given: bool) -> bool:
    """Whether the result is read with strides, where some operand is or none."""
    if equation.primitive.name != "transpose":
        return is_given and equation.primitive.name in FUSED
    shape = _shape(equation.invars[0])
    order = [axis for axis in equation.params["permutation"] if shape[axis] > 1]
    return order != sorted(order)


def _shape(variable: Any) -> Shape:
    return variable.aval.shape
