"""Sums and maxima along last axes as operations on slices.

Where a program is one kernel, XLA on the CPU takes them by windows of 32 elements, one element after another. Whole slices that are
added are vectorised.
"""

from collections.abc import Callable, Collection
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import lax

from ppl._typing import Array

__all__ = ["REDUCTIONS", "by_slices"]

MIN_ELEMENTS = 512  # of an array; slices of shorter ones gain nothing and take time to compile
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


def by_slices(name: str, x: Array, axes: Collection[int]) -> Array | None:
    """`reduce_sum` or `reduce_max` of an array along axes; None where nothing is gained by slices."""
    reduction, shape, first = REDUCTIONS[name], np.shape(x), np.ndim(x)
    while first - 1 in axes:
        first -= 1
    length = int(np.prod(shape[first:]))
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
