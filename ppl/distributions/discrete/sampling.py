"""Draws of counts.

Poisson's law is inverted where its mean is small, and drawn by transformed rejection elsewhere (Hoermann 1993, "The transformed
rejection method for generating Poisson random variables"). The acceptance step uses the log probabilities of `numerics`, so that
draws follow the law for large means in float32 too. Of a key it needs only uniform numbers, so keys of every kind will do.
"""

from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import lax

from ppl._typing import Array, Key, Shape
from ppl.distributions import random
from ppl.distributions.discrete.numerics import log_count_constant, scaled_log_ratio, to_float
from ppl.distributions.special.elementary import select
from ppl.distributions.util import is_concrete

_INVERSION_BELOW = 10.0


def int_dtype() -> Any:
    """The default integer dtype, that of discrete draws."""
    return jnp.result_type(int)


def bernoulli(key: Key, probs: Any, shape: Shape) -> Array:
    """Zeros and ones of the given shape."""
    return lax.convert_element_type(random.bernoulli(key, probs, shape), int_dtype())


def poisson(key: Key, rate: Any, shape: Shape, dtype: Any) -> Array:
    """Poisson counts of the given shape; `dtype` is the floating point dtype of the computation.

    Rates are cut off at half the largest integer.
    """
    k_low, k_high = random.split(key)
    if is_concrete(rate) and np.all(np.asarray(rate) < _INVERSION_BELOW):
        return _inverted(k_low, jnp.broadcast_to(to_float(rate, dtype), shape)).astype(int_dtype())
    rate = lax.min(jnp.broadcast_to(to_float(rate, dtype), shape), jnp.asarray(0.5 * jnp.iinfo(int_dtype()).max, dtype))
    low = ~(rate >= _INVERSION_BELOW)
    few = _inverted(k_low, select(low, rate, 1.0)).astype(int_dtype())
    return select(low, few, _rejected(k_high, select(low, 100.0, rate), ~low))


def _inverted(key: Key, rate: Array) -> Array:
    """The smallest counts whose distribution function reaches a uniform number."""
    u = random.uniform(key, rate.shape, rate.dtype)
    negligible = float(jnp.finfo(rate.dtype).eps) ** 2

    def step(state: tuple[Array, Array, Array, Array]) -> tuple[Array, Array, Array, Array]:
        k, term, cdf, active = state
        k = select(active, k + 1.0, k)
        term = select(active, term * rate / select(k > 0, k, 1.0), term)
        cdf = select(active, cdf + term, cdf)
        return k, term, cdf, active & (u > cdf) & ((k < rate) | (term > negligible))

    first = lax.exp(-rate)
    return lax.while_loop(lambda state: state[3].any(), step, (jnp.zeros_like(u), first, first, (u > first) & (rate > 0)))[0]


def _rejected(key: Key, rate: Array, active: Array) -> Array:
    """Counts where `active`, for rates that are not small."""
    shape, dtype = rate.shape, rate.dtype
    whole = lax.floor(rate)
    rest = rate - whole
    b = 0.931 + 2.53 * lax.sqrt(rate)
    a = -0.059 + 0.02483 * b
    hat = 1.1239 + 1.1328 / (b - 3.4)
    squeeze = 0.9277 - 3.6224 / (b - 2.0)

    def log_pmf(d: Array) -> Array:
        k = lax.max(whole + d, jnp.zeros_like(d))
        # `rest - d` is the rate less the count without the rounding of large numbers
        return scaled_log_ratio(k, rest - d, rate) - (rest - d) + log_count_constant(k)

    def step(state: tuple[Array, Array, Key]) -> tuple[Array, Array, Key]:
        draw, active, key = state
        key, k_u, k_v = random.split(key, 3)
        u = random.uniform(k_u, shape, dtype, -0.5, 0.5)
        v = random.uniform(k_v, shape, dtype, float(jnp.finfo(dtype).tiny), 1.0)
        us = lax.max(0.5 - lax.abs(u), jnp.full_like(u, 1e-7))
        d = lax.floor((2.0 * a / us + b) * u + (rest + 0.43))
        quick = (us >= 0.07) & (v <= squeeze)
        slow = lax.log(v) + lax.log(hat / (a / (us * us) + b)) <= log_pmf(d)
        accept = active & (whole + d >= 0) & (quick | slow)
        return select(accept, d, draw), active & ~accept, key

    d = lax.while_loop(lambda state: state[1].any(), step, (jnp.zeros(shape, dtype), active, key))[0]
    return whole.astype(int_dtype()) + d.astype(int_dtype())
