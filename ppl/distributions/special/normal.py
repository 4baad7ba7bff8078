"""The logarithm of the normal distribution function, its derivative (inverse Mills ratio) and its inverse, accurate in the tail.

Source: Abramowitz & Stegun 26.2.12 for the asymptotic series.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from ppl._typing import Array
from ppl.distributions.special.elementary import HALF_LOG_2PI

SQRT_HALF = np.sqrt(0.5)


def _tail_series(x: Array) -> tuple[Array, Array, Array]:
    """Whether `x` is far in the lower tail, `x` there (and a harmless value elsewhere), and `Phi(x) (-x) / phi(x)` there."""
    start, terms = (-20.0, 10) if x.dtype == np.float64 else (-10.0, 4)
    far = x < start
    x = jnp.where(far, x, start)
    w = 1.0 / (x * x)
    series: Any = 1.0
    for k in range(terms, 0, -1):
        series = 1.0 - (2 * k - 1) * w * series
    return far, x, series


@jax.custom_jvp
def log_ndtr(x: Array) -> Array:
    """`log Phi(x)` of the standard normal distribution function, for a floating point array `x`."""
    far, tail, series = _tail_series(x)
    near = jnp.where(far, 0.0, x)
    upper = 0.5 * lax.erfc(lax.abs(near) * SQRT_HALF)
    core = jnp.where(near > 0, lax.log1p(-upper), lax.log(upper))
    return jnp.where(far, -0.5 * tail * tail - HALF_LOG_2PI - lax.log(-tail) + jnp.log(series), core)


@log_ndtr.defjvp
def _log_ndtr_jvp(primals: tuple[Array], tangents: tuple[Array]) -> tuple[Array, Array]:
    (x,), (dx,) = primals, tangents
    return log_ndtr(x), inverse_mills(x) * dx


def inverse_mills(x: Array) -> Array:
    """`phi(x) / Phi(x)`, the derivative of `log Phi(x)`."""
    far, tail, series = _tail_series(x)
    near = jnp.where(far, 0.0, x)
    return jnp.where(far, -tail / series, lax.exp(-0.5 * near * near - HALF_LOG_2PI - log_ndtr(near)))


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
