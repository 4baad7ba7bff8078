"""Draws of counts: inversion where the mean is small, transformed rejection elsewhere.

Source: Hoermann (1993), "The generation of binomial random variates" and "The transformed rejection method for generating Poisson random
variables". The acceptance step uses the log probabilities of `numerics`, so that draws follow the law for large means in float32 too.
They need nothing of a key but uniform numbers, so keys of every implementation will do.
"""

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import lax, random

from ppl._typing import Array, Key, Shape
from ppl.distributions.discrete.numerics import (
    binomial_excess,
    binomial_reference,
    log_count_constant,
    scaled_log_ratio,
    select,
    to_float,
)

_INVERSION_BELOW = 10.0


def int_dtype() -> Any:
    """The default integer dtype, that of discrete draws."""
    return jnp.result_type(int)


def bernoulli(key: Key, probs: Array, shape: Shape) -> Array:
    """Zeros and ones of the given shape."""
    return lax.convert_element_type(random.uniform(key, shape, probs.dtype) < probs, int_dtype())


def _invert(u: Array, first: Array, ratio: Callable[[Array], Array], mean: Array) -> Array:
    """The smallest `k` whose distribution function reaches `u`, of a law with `p(0) = first` and `p(k) = p(k - 1) ratio(k)`."""
    eps = jnp.finfo(u.dtype).eps

    def unfinished(state: tuple[Array, Array, Array, Array]) -> Array:
        return state[3].any()

    def step(state: tuple[Array, Array, Array, Array]) -> tuple[Array, Array, Array, Array]:
        k, term, cdf, active = state
        k = k + active.astype(k.dtype)
        term = select(active, term * ratio(select(k > 0, k, 1.0)), term)
        cdf = select(active, cdf + term, cdf)
        return k, term, cdf, active & (u > cdf) & ((k < mean) | (term > eps * eps))

    return lax.while_loop(unfinished, step, (jnp.zeros_like(u), first, first, u > first))[0]


def _transformed_rejection(
    key: Key, log_ratio: Callable[[Array], Array], spread: Array, a: Array, b: Array, offset: Array, active: Array
) -> Array:
    """Integers `d` where `active`, drawn in proportion to `exp(log_ratio(d))`, -inf outside the support.

    The proposal is `floor((2 a / (1/2 - |u|) + b) u + offset)`, and `spread` the constant of its hat.
    """
    v_squeeze = 0.9277 - 3.6224 / (b - 2.0)
    shape, dtype = active.shape, a.dtype

    def step(state: tuple[Array, Array, Key]) -> tuple[Array, Array, Key]:
        draw, active, key = state
        key, k_u, k_v = random.split(key, 3)
        u = random.uniform(k_u, shape, dtype, -0.5, 0.5)
        v = random.uniform(k_v, shape, dtype, float(jnp.finfo(dtype).tiny), 1.0)
        us = 0.5 - lax.abs(u)
        us = select(us > 0, us, 1e-7)
        d = lax.floor((2.0 * a / us + b) * u + offset)
        target = log_ratio(d)
        quick = (us >= 0.07) & (v <= v_squeeze) & (target > -np.inf)
        accept = quick | (lax.log(v) + lax.log(spread / (a / (us * us) + b)) <= target)
        return select(active & accept, d, draw), active & ~accept, key

    start = (jnp.zeros(shape, dtype), active, key)
    return lax.while_loop(lambda state: state[1].any(), step, start)[0]


def poisson(key: Key, rate: Any, shape: Shape, dtype: Any) -> Array:
    """Poisson counts of the given shape; `dtype` is the floating point dtype of the computation.

    Rates are cut off at half the largest integer.
    """
    rate = jnp.broadcast_to(to_float(rate, dtype), shape)
    rate = lax.min(rate, jnp.asarray(0.5 * jnp.iinfo(int_dtype()).max, dtype))
    k_low, k_high = random.split(key)
    low = ~(rate >= _INVERSION_BELOW)
    small = select(low, rate, 1.0)
    few = _invert(random.uniform(k_low, shape, dtype), lax.exp(-small), lambda k: small / k, small)
    few = select(rate > 0, few, 0.0)

    large = select(low, 100.0, rate)
    whole = lax.floor(large)
    rest = large - whole
    b = 0.931 + 2.53 * lax.sqrt(large)
    a = -0.059 + 0.02483 * b

    def log_pmf(d: Array) -> Array:
        k = lax.max(whole + d, jnp.zeros_like(d))
        # `rest - d` is the rate less the count without the rounding of large numbers
        out = scaled_log_ratio(k, rest - d, large) - (rest - d) + log_count_constant(k)
        return select(whole + d >= 0, out, -np.inf)

    hat = 1.1239 + 1.1328 / (b - 3.4)
    d = _transformed_rejection(k_high, log_pmf, hat, a, b, rest + 0.43, ~low)
    many = whole.astype(int_dtype()) + d.astype(int_dtype())
    return select(low, few.astype(int_dtype()), many)


def binomial(key: Key, probs: Any, total_count: Any, shape: Shape, dtype: Any) -> Array:
    """Binomial counts of the given shape; `dtype` is the floating point dtype of the computation."""
    probs = jnp.broadcast_to(to_float(probs, dtype), shape)
    n = jnp.broadcast_to(to_float(total_count, dtype), shape)
    k_low, k_high = random.split(key)
    flip = probs > 0.5
    p = select(flip, 1.0 - probs, probs)
    low = ~(n * p >= _INVERSION_BELOW)
    p_low, n_low = select(low & (p > 0), p, 0.25), select(low & (p > 0), n, 0.0)
    odds = p_low / (1.0 - p_low)
    first = lax.exp(n_low * lax.log1p(-p_low))
    few = _invert(random.uniform(k_low, shape, dtype), first, lambda k: (n_low - k + 1.0) / k * odds, n_low * p_low)

    p_high, n_high = select(low, 0.5, p), select(low, 100.0, n)
    mean = n_high * p_high
    deviation = lax.sqrt(mean * (1.0 - p_high))
    b = 1.15 + 2.53 * deviation
    a = -0.0873 + 0.0248 * b + 0.01 * p_high
    mode = lax.floor((n_high + 1.0) * p_high)
    logits = lax.log(p_high) - lax.log1p(-p_high)

    def log_pmf(k: Array) -> Array:
        return binomial_reference(k, n_high - k) + binomial_excess(k, n_high - k, logits)

    peak = log_pmf(mode)

    def log_ratio(k: Array) -> Array:
        inside = (k >= 0) & (k <= n_high)
        return select(inside, log_pmf(select(inside, k, mode)) - peak, -np.inf)

    many = _transformed_rejection(k_high, log_ratio, (2.83 + 5.1 / b) * deviation, a, b, mean + 0.5, ~low)
    counts = select(low, few, many).astype(int_dtype())
    return select(flip, n.astype(int_dtype()) - counts, counts)


def multinomial(key: Key, probs: Any, total_count: Any, shape: Shape, dtype: Any) -> Array:
    """Multinomial counts of shape `shape + (k,)`: one binomial draw per cell from what the cells before it left."""
    probs = to_float(probs, dtype)
    k = probs.shape[-1]
    probs = jnp.moveaxis(jnp.broadcast_to(probs, (*shape, k)), -1, 0)
    rest = lax.cumsum(probs, 0, reverse=True)
    share = probs / select(rest > 0, rest, 1.0)
    share = lax.min(share, jnp.ones_like(share))
    total = jnp.broadcast_to(jnp.asarray(total_count, int_dtype()), shape)

    def step(left: Array, inputs: tuple[Array, Key]) -> tuple[Array, Array]:
        share, key = inputs
        count = binomial(key, share, left, shape, dtype)
        return left - count, count

    last, counts = lax.scan(step, total, (share[:-1], random.split(key, k)[:-1]))
    return jnp.moveaxis(jnp.concatenate([counts, last[None]]), 0, -1)
