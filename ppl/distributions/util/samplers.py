"""Draws from arrays of probabilities, and from the von Mises law."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from ppl._typing import Array, ArrayLike, Key, Shape
from ppl.distributions import random
from ppl.distributions.special import angles
from ppl.distributions.util.concrete import float_dtype, is_concrete
from ppl.distributions.util.shapes import cumulative_sum

MOST_COUNTED = 256  # multinomial draws of up to so many trials are counted one by one
AT_A_TIME = 4  # trials, more of which would not fit into the cache


def categorical(key: Key, p: ArrayLike, shape: Shape = ()) -> Array:
    """Indices drawn with the probabilities `p` along its last axis, by inversion.

    Args:
        key: a random key.
        p: probabilities, of shape `batch + (k,)`.
        shape: the shape of the result, to which `batch` broadcasts; () for `batch`.
    """
    p = jnp.asarray(p, float_dtype(p))
    shape = tuple(shape) or p.shape[:-1]
    u = random.uniform(key, shape, p.dtype)
    # Scaling by the total keeps the last index possible where rounding leaves the sum short of one.
    cumulative = jnp.broadcast_to(cumulative_sum(p), (*shape, p.shape[-1]))
    lies_below = u[..., None] * cumulative[..., -1:] < cumulative
    return p.shape[-1] - jnp.sum(lies_below, axis=-1, dtype=jnp.result_type(int))


def binomial(key: Key, p: ArrayLike, n: ArrayLike = 1, shape: Shape = ()) -> Array:
    """Numbers of successes in `n` trials with probability `p`."""
    p = jnp.asarray(p, float_dtype(p))
    shape = tuple(shape) or np.broadcast_shapes(p.shape, np.shape(n))
    n = jnp.broadcast_to(jnp.asarray(n).astype(p.dtype), shape)
    return random.binomial(key, n, jnp.broadcast_to(p, shape), dtype=p.dtype).astype(jnp.result_type(int))


def multinomial(key: Key, p: ArrayLike, n: ArrayLike, shape: Shape = (), total_count_max: int | None = None) -> Array:
    """Counts of `n` draws of categories with the probabilities `p` along its last axis.

    Few draws are made one by one; otherwise each count is binomial, given those before it.

    Args:
        key: a random key.
        p: probabilities, of shape `batch + (k,)`.
        n: the numbers of draws, which broadcast with `batch`.
        shape: the shape of the result without the categories; () for that of `batch` and `n`.
        total_count_max: a bound of `n`, which helps where `n` is traced.
    """
    p = jnp.asarray(p, float_dtype(p))
    shape = tuple(shape) or np.broadcast_shapes(p.shape[:-1], np.shape(n))
    p = jnp.broadcast_to(p, (*shape, p.shape[-1]))
    total = jnp.broadcast_to(jnp.asarray(n, jnp.result_type(int)), shape)
    most = np.max(n, initial=0) if is_concrete(n) else total_count_max
    if most is not None and most <= MOST_COUNTED:
        return _counted(key, p, total, int(most))
    rest = jnp.flip(jnp.cumsum(jnp.flip(p, -1), axis=-1), -1)
    share = jnp.clip(jnp.where(rest > 0, p / jnp.where(rest > 0, rest, 1.0), 1.0), 0.0, 1.0)

    def draw(left: Array, inputs: tuple[Key, Array]) -> tuple[Array, Array]:
        k_binomial, q = inputs
        count = binomial(k_binomial, q, left, shape) if shape else binomial(k_binomial, q, left)
        return left - count, count

    keys = random.split(key, p.shape[-1])
    _, counts = lax.scan(draw, total, (keys, jnp.moveaxis(share.at[..., -1].set(1.0), -1, 0)))
    return jnp.moveaxis(counts, 0, -1)


def _counted(key: Key, p: Array, n: Array, most: int) -> Array:
    """Multinomial counts, from `n <= most` categories by inversion; categories lead, so that rows are long."""
    cumulative = jnp.moveaxis(cumulative_sum(p), -1, 0)
    trials = jnp.arange(AT_A_TIME).reshape((AT_A_TIME,) + (1,) * n.ndim)

    def step(i: Array, below: Array) -> Array:
        u = random.uniform(random.fold_in(key, i), (AT_A_TIME, *n.shape), p.dtype) * cumulative[-1:]
        u = jnp.where(AT_A_TIME * i + trials < n[None], u, jnp.inf)
        return below + sum((u[trial : trial + 1] < cumulative).astype(below.dtype) for trial in range(AT_A_TIME))

    below = lax.fori_loop(0, -(-most // AT_A_TIME), step, jnp.zeros(cumulative.shape, n.dtype))
    return jnp.moveaxis(jnp.diff(below, axis=0, prepend=0), 0, -1)


def von_mises_centered(key: Key, concentration: ArrayLike, shape: Shape = (), dtype: Any = np.float64) -> Array:
    """Angles in [-pi, pi) from the von Mises law with mean direction 0, density proportional to `exp(k cos(theta))`.

    Rejection from the wrapped Cauchy law (Best & Fisher 1979), in half angles, which cancels nowhere. With
    `m = 1 + sqrt(1 + 4 k^2)` the best envelope is proportional to `1 / (m / (2 k) - cos(theta))`, its draws are
    `tan(theta/2) = c tan(phi/2)` with uniform `phi` and `c^2 = (m - 2 k) / (m + 2 k)`, and they are accepted with probability
    `w exp(1 - w)`, `w = (m - 2 k)/2 + 2 k sin(theta/2)^2`. The concentration counts as a constant.

    Args:
        key: a random key.
        concentration: the concentrations `k >= 0`, which broadcast to `shape`.
        shape: the shape of the result; () for that of `concentration`.
        dtype: its floating point dtype, as far as JAX has it enabled.
    """
    dtype = jax.dtypes.canonicalize_dtype(dtype)
    shape = tuple(shape) or np.shape(concentration)
    k = lax.stop_gradient(jnp.broadcast_to(jnp.asarray(concentration).astype(dtype), shape))
    root = jnp.sqrt(1.0 + 4.0 * k * k)
    gap = 1.0 + 1.0 / (root + 2.0 * k)  # m - 2 k
    c = jnp.sqrt(gap / (1.0 + root + 2.0 * k))

    def body(carry: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
        i, done, tangent = carry
        u = random.open_uniform(random.fold_in(key, i), (2, *shape), dtype)
        proposal = c * random.cauchy_quantile(u[0])
        square = proposal * proposal
        w = 0.5 * gap + 2.0 * k * (square / (1.0 + square))
        rejected = jnp.log(u[1] / w) > 1.0 - w  # False for nan, which ends the loop
        return i + 1, done | ~rejected, jnp.where(done, tangent, proposal)

    start: Any = (np.uint32(0), jnp.zeros(shape, bool), jnp.zeros(shape, dtype))
    tangent = lax.while_loop(lambda carry: ~jnp.all(carry[1]), body, start)[2]
    theta = (2.0 * np.pi) * angles.arctan(tangent)
    return jnp.where(theta >= np.pi, -np.pi, theta)
