"""Running estimates of a covariance, block by block: Welford's update.

Source: Welford (1962), Technometrics 4; regularisation: Stan reference manual, "Euclidean metric".
"""

from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import lax

from ppl._typing import Array

__all__ = ["WelfordState", "estimate", "regularize", "welford_init", "welford_update"]


class WelfordState(NamedTuple):
    """Running moments: mean `(d,)`, sums of squared deviations (each block `(k,)` or `(k, k)`), number of draws."""

    mean: Array
    m2: tuple[Array, ...]
    n: Array


def welford_init(shapes: tuple[tuple[int, ...], ...], dtype: Any) -> WelfordState:
    """The state before the first draw, for blocks of these shapes."""
    dimension = sum(shape[0] for shape in shapes)
    zeros: Any = [np.zeros(shape, dtype) for shape in ((dimension,), *shapes)]
    count: Any = np.zeros((), np.int32)
    return WelfordState(mean=zeros[0], m2=tuple(zeros[1:]), n=count)


def welford_update(sample: Array, state: WelfordState) -> WelfordState:
    """Take in one draw, `(d,)`."""
    n = state.n + 1
    before = sample - state.mean
    mean = state.mean + before / n.astype(sample.dtype)
    after = sample - mean
    sizes = [block.shape[0] for block in state.m2]
    pairs = zip(state.m2, lax.split(before, sizes), lax.split(after, sizes))
    return WelfordState(mean=mean, m2=tuple(_add_deviation(*pair) for pair in pairs), n=n)


def _add_deviation(m2: Array, before: Array, after: Array) -> Array:
    if m2.ndim == 1:
        return m2 + before * after
    return m2 + lax.broadcast_in_dim(after, m2.shape, (0,)) * lax.broadcast_in_dim(before, m2.shape, (1,))


def estimate(state: WelfordState) -> tuple[Array, ...]:
    """The sample covariance m2 / (n - 1), block by block."""
    return tuple(block / (state.n - 1).astype(block.dtype) for block in state.m2)


def regularize(covariance: tuple[Array, ...], n: Array) -> tuple[Array, ...]:
    """The estimate n / (n + 5) S + 0.001 * 5 / (n + 5) I."""
    return tuple(_regularize_block(block, n.astype(block.dtype)) for block in covariance)


def _regularize_block(block: Array, n: Array) -> Array:
    shrunk = block * (n / (n + 5.0))
    floor = 1e-3 * 5.0 / (n + 5.0)
    if block.ndim == 1:
        return shrunk + floor
    return shrunk + floor * jnp.eye(block.shape[0], dtype=block.dtype)
