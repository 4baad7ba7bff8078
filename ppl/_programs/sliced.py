"""Sums and maxima as operations on slices, where XLA for the CPU has nothing better.

In a program that is one kernel it takes those along last axes by windows of 32 elements, one element after another; slices that are
added are vectorised. In any other it leaves reductions of 4,096 elements or more to a library, which takes its time over an axis of
two elements, such as two states, and over axes with another between them.
"""

import math
from collections.abc import Callable, Collection, Sequence
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import lax

from ppl._typing import Array

__all__ = ["MIN_LEFT_TO_LIBRARY", "REDUCTIONS", "is_apart", "reduce_apart", "reduce_rows"]

MIN_ELEMENTS = 512  # of an array with long rows; slices of shorter ones gain nothing and take time to compile
MIN_LEFT_TO_LIBRARY = 4096  # elements of an array whose reduction XLA leaves to a library
MAX_ROW = 32  # elements that are left to one reduction, and slices at a time


class _Reduction(NamedTuple):
    """How two elements become one, the element that changes none, and what reduces an array."""

    pair: Callable[[Array, Array], Array]
    neutral: float
    whole: Callable[..., Array]


REDUCTIONS = {
    "reduce_sum": _Reduction(lax.add, 0.0, lax.reduce_sum),
    "reduce_max": _Reduction(lax.max, -np.inf, lax.reduce_max),
}


def is_apart(shape: Sequence[int], axes: Collection[int]) -> bool:
    """Whether a reduction of an array of this shape combines elements that are far apart in memory: pairs, or along axes apart."""
    if math.prod(shape) < MIN_LEFT_TO_LIBRARY or not axes:
        return False
    last = len(shape) - 1
    return any(shape[axis] == 2 for axis in axes if axis < last) or (last in axes and last - min(axes) >= len(axes))


def reduce_apart(name: str, x: Array, axes: Collection[int]) -> Array | None:
    """`reduce_sum` or `reduce_max` of an array along axes that are apart, pairs first and then rows; None where they are not."""
    if not is_apart(np.shape(x), axes):
        return None
    reduction = REDUCTIONS[name]
    kept: list[int] = []
    for axis in sorted(axes, reverse=True):
        if x.shape[axis] == 2 and axis < x.ndim - 1:
            x = reduction.pair(*(lax.index_in_dim(x, i, axis, keepdims=False) for i in range(2)))
            kept = [other - 1 for other in kept]
        else:
            kept.append(axis)
    if not kept:
        return x
    by_rows = reduce_rows(name, x, kept)
    return reduction.whole(x, tuple(kept)) if by_rows is None else by_rows


def reduce_rows(name: str, x: Array, axes: Collection[int]) -> Array | None:
    """`reduce_sum` or `reduce_max` of an array along axes, by slices of long rows; None where there are none."""
    reduction, shape, first = REDUCTIONS[name], np.shape(x), np.ndim(x)
    while first - 1 in axes:
        first -= 1
    length = math.prod(shape[first:])
    if x.size < MIN_ELEMENTS or length <= MAX_ROW or not jnp.issubdtype(x.dtype, jnp.floating):
        return None
    x = lax.reshape(x, (*shape[:first], length))
    while x.shape[-1] > MAX_ROW:
        x = _shorter(reduction, x)
    return reduction.whole(x, (*(axis for axis in axes if axis < first), first))


def _shorter(reduction: _Reduction, x: Array) -> Array:
    """An array with a shorter last axis whose reduction along it is the same: its slices, in pairs of pairs."""
    length = x.shape[-1]
    width = -(-length // min(MAX_ROW, -(-length // MAX_ROW)))
    parts = [lax.slice_in_dim(x, start, min(start + width, length), axis=-1) for start in range(0, length, width)]
    missing = width - parts[-1].shape[-1]
    if missing:
        parts[-1] = lax.pad(parts[-1], np.asarray(reduction.neutral, x.dtype), [*[(0, 0, 0)] * (x.ndim - 1), (0, missing, 0)])
    while len(parts) > 1:
        pairs = [reduction.pair(*parts[i : i + 2]) for i in range(0, len(parts) - 1, 2)]
        parts = [*pairs, *parts[2 * len(pairs) :]]
    return parts[0]
