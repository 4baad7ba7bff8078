"""The logarithm of the normal distribution function, its derivative (inverse Mills ratio) and its inverse, accurate in the tail.

Source: Abramowitz & Stegun 26.2.12 for the asymptotic series.
"""

import math

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from ppl._typing import Array
from ppl.distributions.special.elementary import HALF_LOG_2PI, plus, times

SQRT_HALF = math.sqrt(0.5)


def _tail_series(x: Array) -> tuple[Array, Array, Array]:
    """Whether `x` is far in the lower tail, `x` there (else the start of the tail), and `Phi(x) (-x) / phi(x)` there."""
    start, terms = (-20.0, 10) if x.dtype == np.float64 else (-10.0, 4)
    tail = lax.min(x, x.dtype.type(start))
    w = lax.integer_pow(tail, -2)
    series = plus(times(w, 1 - 2 * terms), 1.0)
    for k in range(terms - 1, 0, -1):
        series = plus(times(lax.mul(w, series), 1 - 2 * k), 1.0)
    return lax.lt(x, x.dtype.type(start)), tail, series


@jax.custom_jvp
def log_ndtr(x: Array) -> Array:
    """`log Phi(x)` of the standard normal distribution function, for a floating point array `x`."""
    far, tail, series = _tail_series(x)
    near = lax.max(x, x.dtype.type(-20.0 if x.dtype == np.float64 else -10.0))
    upper = times(lax.erfc(times(lax.abs(near), SQRT_HALF)), 0.5)
    core = lax.select(lax.gt(near, x.dtype.type(0)), lax.log1p(-upper), lax.log(upper))
    return lax.select(far, lax.log(series / -tail) - (times(lax.square(tail), 0.5) + HALF_LOG_2PI), core)


@log_ndtr.defjvp
def _log_ndtr_jvp(primals: tuple[Array], tangents: tuple[Array]) -> tuple[Array, Array]:
    (x,), (dx,) = primals, tangents
    return log_ndtr(x), inverse_mills(x) * dx


def inverse_mills(x: Array) -> Array:
    """`phi(x) / Phi(x)`, the derivative of `log Phi(x)`."""
    far, tail, series = _tail_series(x)
    near = lax.max(x, x.dtype.type(-20.0 if x.dtype == np.float64 else -10.0))
    return lax.select(far, -tail / series, lax.exp(-(times(lax.square(near), 0.5) + HALF_LOG_2PI) - log_ndtr(near)))


@jax.custom_jvp
def log_ndtr_inverse(log_p: Array) -> Array:
    """The `x <= 0` with `log Phi(x) = log_p`, for `log_p <= log(1/2)`, however small."""
    tail = jnp.minimum(log_p, -2.0)
    x = -jnp.sqrt(-2.0 * tail - 2.0 * HALF_LOG_2PI - jnp.log(-2.0 * tail))
    for _ in range(4 if x.dtype == np.float64 else 3):
        # log Phi is concave, so that Newton's method converges from everywhere
        x = x + (tail - log_ndtr(x)) / inverse_mills(x)
    core = lax.erf_inv(2.0 * jnp.exp(jnp.maximum(log_p, -2.0)) - 1.0) / SQRT_HALF
    return jnp.where(log_p < -2.0, x, core)


@log_ndtr_inverse.defjvp
def _log_ndtr_inverse_jvp(primals: tuple[Array], tangents: tuple[Array]) -> tuple[Array, Array]:
    (log_p,), (dlog_p,) = primals, tangents
    x = log_ndtr_inverse(log_p)
    return x, dlog_p / inverse_mills(x)
