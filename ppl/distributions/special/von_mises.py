"""Draws from the von Mises distribution, and the logarithm of the Bessel function that normalises it."""

from typing import Any

import jax.numpy as jnp
from jax import lax

from ppl._typing import Array, ArrayLike, Key, Shape
from ppl.distributions import random
from ppl.distributions.special.elementary import as_float


def log_i0e(x: ArrayLike) -> Any:
    """`log(e^-x I_0(x))` for `x >= 0`, the exponentially scaled modified Bessel function of order 0."""
    return lax.log(lax.bessel_i0e(jnp.asarray(as_float(x))))


def von_mises_centered(key: Key, concentration: ArrayLike, shape: Shape, dtype: Any) -> Array:
    """Draws in [-pi, pi] with density proportional to `exp(concentration cos x)`, by the rejection of Best & Fisher (1979).

    The formulas are rewritten for `w = 1 - cos x`, so that they keep their accuracy for large concentrations.
    """
    k = jnp.maximum(jnp.broadcast_to(jnp.asarray(concentration, dtype), shape), 100 * float(jnp.finfo(dtype).tiny))
    root = jnp.sqrt(1.0 + 4.0 * k * k)
    d = (1.0 + 1.0 / (root + 2.0 * k)) / (2.0 * k)

    def unfinished(state: tuple[Key, Array, Array]) -> Array:
        return ~jnp.all(state[2])

    def propose(state: tuple[Key, Array, Array]) -> tuple[Key, Array, Array]:
        key, w, done = state
        key, k_draw = random.split(key)
        angle, height = random.uniform(k_draw, (2, *shape), dtype)
        sine, cosine = jnp.sin(0.5 * jnp.pi * angle), jnp.cos(0.5 * jnp.pi * angle)
        new = 2.0 * sine * sine * (d / (d + 2.0 * cosine * cosine))
        c = k * (d + new)
        accept = (c * (2.0 - c) > height) | (jnp.log(c) - jnp.log(height) + 1.0 >= c)
        return key, jnp.where(done, w, new), done | accept | jnp.isnan(c)

    k_sign, k_size = random.split(key)
    w = lax.while_loop(unfinished, propose, (k_size, jnp.zeros(shape, dtype), jnp.zeros(shape, bool)))[1]
    sign = jnp.where(random.bernoulli(k_sign, shape=shape), 1.0, -1.0).astype(dtype)
    return lax.stop_gradient(sign * 2.0 * jnp.arcsin(jnp.sqrt(0.5 * w)))
