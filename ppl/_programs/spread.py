"""Arrays that repeat few values, kept as these few while a program is evaluated: what follows of them is computed once for each.

The logarithm of `jnp.where(mask, a, b)` is that of `a` and of `b`, chosen by the mask, where these are numbers, or rows that are
repeated along other axes: not one logarithm for each element of the mask. Each element is the same number either way.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np
from jax import lax
from jax.extend.core import JaxprEqn, Literal

from ppl._programs.jaxprs import ELEMENTWISE
from ppl._typing import Shape
from ppl.util import not_jax_tracer

__all__ = ["Spread", "chooses_among_few", "placed_shape", "spread_result", "whole"]

MIN_ELEMENTS = 1024  # of an array; for shorter ones nothing is gained
REPEATS = 4  # times that each of the few values occurs at least, on average


@dataclass(frozen=True, eq=False)
class Spread:
    """An array of a shape that is one array of the same rank, repeated along axes of size 1, or two by choice.

    Attributes:
        shape: the shape.
        which: truth values that choose the second of two cases; None where there is one case.
        cases: the arrays.
    """

    shape: Shape
    which: Any
    cases: tuple[Any, ...]


def whole(x: Any) -> Any:
    """The array itself, of a `Spread` or an array."""
    if not isinstance(x, Spread):
        return x
    cases = [lax.broadcast_in_dim(case, x.shape, range(len(x.shape))) for case in x.cases]
    if x.which is None:
        return cases[0]
    return lax.select_n(lax.broadcast_in_dim(x.which, x.shape, range(len(x.shape))), *cases)


def placed_shape(shape: Shape, axes: Sequence[int], rank: int) -> Shape:
    """The shape with its sizes at these axes of as many as `rank`, and 1 elsewhere."""
    return tuple(shape[axes.index(axis)] if axis in axes else 1 for axis in range(rank))


def spread_result(equation: JaxprEqn, inputs: Sequence[Any]) -> Spread | None:
    """The result of an operation as a `Spread`; None where it is none, so that the operation takes whole arrays."""
    name = equation.primitive.name
    shape: Shape = getattr(equation.outvars[0].aval, "shape", ()) if equation.outvars else ()
    if math.prod(shape) < MIN_ELEMENTS:
        return None
    if name == "broadcast_in_dim" and len(inputs) == 1:
        return _broadcast(inputs[0], equation.params)
    if name in ("reshape", "squeeze") and len(inputs) == 1:
        return _reshaped(inputs[0], shape)
    if name not in ELEMENTWISE:
        return None
    operands = [_as_spread(x, shape) for x in inputs]
    if any(operand is None for operand in operands):
        return None
    result = _elementwise(equation, operands, shape)
    return _choice(operands, shape) if result is None and name == "select_n" else result


def chooses_among_few(equations: Sequence[JaxprEqn], min_elements: int) -> bool:
    """Whether a part of a program chooses between two short arrays, each repeated, for so many elements or more."""
    sources: dict[Any, int] = {}
    for equation in equations:
        out: Any = equation.outvars[0].aval if equation.outvars else None
        if equation.primitive.name == "broadcast_in_dim":
            operand: Any = equation.invars[0].aval
            sources[equation.outvars[0]] = operand.size
        elif equation.primitive.name == "select_n" and out.size >= min_elements:
            cases = [case for case in equation.invars[1:] if not isinstance(case, Literal)]
            if REPEATS * sum(sources.get(case, out.size) for case in cases) <= out.size:
                return True
    return False


# The forms


def _as_spread(x: Any, shape: Shape) -> Spread | None:
    """An operand of an elementwise operation: a scalar, known numbers without their repetitions, or an array; None for a key.

    Operands have the rank of the result; where it has more elements along an axis, they have one.
    """
    if isinstance(x, Spread):
        return x
    if np.ndim(x) == 0:
        return Spread((), None, (x,))
    if np.ndim(x) != len(shape) or jax.dtypes.issubdtype(x.dtype, jax.dtypes.extended):
        return None
    return Spread(np.shape(x), None, (_few(x),))


def _few(x: Any) -> Any:
    """An array; of known numbers one of each axis along which they are equal."""
    if not not_jax_tracer(x):
        return x
    known = np.asarray(x)
    for axis in range(known.ndim):
        first = known.take([0], axis)
        if np.array_equal(known, np.broadcast_to(first, known.shape), equal_nan=known.dtype.kind == "f"):
            known = first
    return known if known.shape != np.shape(x) else x


def _are_few(shapes: Iterable[Shape], shape: Shape) -> bool:
    """Whether arrays of these shapes have few elements beside the one that repeats them."""
    return REPEATS * sum(map(math.prod, shapes)) <= math.prod(shape)


def _if_few(spread: Spread) -> Spread | None:
    return spread if _are_few(map(np.shape, spread.cases), spread.shape) else None


# The operations


def _elementwise(equation: JaxprEqn, operands: Sequence[Any], shape: Shape) -> Spread | None:
    """The operation on each case; None where the operands are chosen by different arrays, or nothing is repeated."""
    choices = {id(operand.which): operand.which for operand in operands if operand.which is not None}
    if len(choices) > 1:
        return None
    count = 2 if choices else 1
    parts = [[operand.cases[i if operand.which is not None else 0] for operand in operands] for i in range(count)]
    shapes = [np.broadcast_shapes(*map(np.shape, part)) for part in parts]
    if not _are_few(shapes, shape):
        return None
    cases = [
        equation.primitive.bind(
            *(x if np.ndim(x) == 0 else lax.broadcast_in_dim(x, small, range(len(small))) for x in part), **equation.params
        )
        for part, small in zip(parts, shapes)
    ]
    return Spread(shape, next(iter(choices.values()), None), tuple(cases))


def _choice(operands: Sequence[Any], shape: Shape) -> Spread | None:
    """The choice between two arrays that repeat few values."""
    which, *cases = operands
    if len(cases) != 2 or any(operand.which is not None or operand.shape == () for operand in operands):
        return None
    return _if_few(Spread(shape, which.cases[0], tuple(x.cases[0] for x in cases)))


def _broadcast(x: Any, parameters: Mapping[str, Any]) -> Spread | None:
    """An array or a `Spread` along further axes."""
    shape, axes = tuple(parameters["shape"]), tuple(map(int, parameters["broadcast_dimensions"]))

    def placed(part: Any) -> Any:
        sizes = placed_shape(np.shape(part), axes, len(shape))
        return part if np.shape(part) == sizes else lax.reshape(part, sizes)

    if not isinstance(x, Spread) and jax.dtypes.issubdtype(jax.numpy.result_type(x), jax.dtypes.extended):
        return None
    which, cases = (x.which, x.cases) if isinstance(x, Spread) else (None, (_few(x),))
    return _if_few(Spread(shape, None if which is None else placed(which), tuple(map(placed, cases))))


def _reshaped(x: Any, shape: Shape) -> Spread | None:
    """A `Spread` with axes of size 1 more or less."""
    if not isinstance(x, Spread) or [n for n in x.shape if n != 1] != [n for n in shape if n != 1]:
        return None
    kept = [axis for axis, n in enumerate(x.shape) if n != 1]

    def placed(part: Any) -> Any:
        sizes = iter([np.shape(part)[axis] for axis in kept])
        return lax.reshape(part, [1 if n == 1 else next(sizes) for n in shape])

    return Spread(shape, None if x.which is None else placed(x.which), tuple(map(placed, x.cases)))
