"""The logarithm of the normal distribution function, its derivative (inverse Mills ratio) and its inverse, accurate in the tail.

Source: Abramowitz & Stegun 26.2.12 for the asymptotic series.
"""

import math

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from ppl._typing import Array
from ppl.distributions.special.elementary import HALF_LOG_2PI, plus, polynomial, times

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


def _near(x: Array) -> tuple[Array, Array]:
    """`x` where it is not far in the lower tail, else the start of the tail, and `Phi(-|x|)` there."""
    near = lax.max(x, x.dtype.type(-20.0 if x.dtype == np.float64 else -10.0))
    return near, times(lax.erfc(times(lax.abs(near), SQRT_HALF)), 0.5)


@jax.custom_jvp
def log_ndtr(x: Array) -> Array:
    """`log Phi(x)` of the standard normal distribution function, for a floating point array `x`."""
    far, tail, series = _tail_series(x)
    _, smaller = _near(x)
    upper = lax.gt(x, x.dtype.type(0))
    larger = 1.0 - smaller
    factor = lax.select(far, series / -tail, lax.select(upper, larger, smaller))
    # log(1 - u) = log w + (1 - u - w) for w = 1 - u rounded, in less time than log1p
    rounding = lax.select(upper, (1.0 - larger) - smaller, lax.full_like(x, 0))
    return lax.log(factor) + lax.select(far, -(times(lax.square(tail), 0.5) + HALF_LOG_2PI), rounding)


@log_ndtr.defjvp
def _log_ndtr_jvp(primals: tuple[Array], tangents: tuple[Array]) -> tuple[Array, Array]:
    (x,), (dx,) = primals, tangents
    return log_ndtr(x), inverse_mills(x) * dx


def inverse_mills(x: Array) -> Array:
    """`phi(x) / Phi(x)`, the derivative of `log Phi(x)`."""
    far, tail, series = _tail_series(x)
    near, smaller = _near(x)
    cdf = lax.select(lax.gt(near, x.dtype.type(0)), 1.0 - smaller, smaller)
    return lax.select(far, -tail / series, lax.exp(-(times(lax.square(near), 0.5) + HALF_LOG_2PI)) / cdf)


# coefficients of Chebyshev's fits: of log(erfc(-x / sqrt(2)) / t) + x^2 / 2 in t, and of the rest of the quantile's expansion
_TAIL = (-1.26551223, 1.00002368, 0.37409196, 0.09678418, -0.18628806, 0.27886807, -1.13520398, 1.48851587, -0.82215223, 0.17087277)
_REST = (-0.00737097622, 0.8314775951, -2.3448545679, 2.6436728148, -2.0827304241, 1.1239318021, -0.3738449154, 0.0577866113)


def _quantile_expansion(log_p: Array) -> Array:
    """The `x <= 0` with `log Phi(x) = log_p` up to 3e-9 of its size, and 1e-9 near 0, for all `log_p <= log(1/2)`.

    With `s = sqrt(-2 log_p)` and `l = log s + log(2 pi) / 2`, `-x = s - l / s - (l^2/2 - l + 1 + h(1/s)) / s^3`, where `h` vanishes
    at 0; a polynomial in `1/s` fits it.
    """
    square = times(log_p, -2.0)
    s = lax.sqrt(square)
    r = lax.div(lax.full_like(s, 1), s)
    ell = plus(times(lax.log(square), 0.5), HALF_LOG_2PI)
    rest = polynomial(r, _REST) + plus(ell * plus(times(ell, 0.5), -1.0), 1.0)
    return r * (ell + lax.square(r) * rest) - s


@jax.custom_jvp
def log_ndtr_inverse(log_p: Array) -> Array:
    """The `x <= 0` with `log Phi(x) = log_p`, for `log_p <= log(1/2)`, however small."""
    finite = lax.max(log_p, log_p.dtype.type(jnp.finfo(log_p.dtype).min / 4))
    x = _quantile_expansion(finite)
    if x.dtype == np.float64:
        x = x + (finite - log_ndtr(x)) / inverse_mills(x)
    else:  # near 0 the expansion cancels
        core = lax.erf_inv(2.0 * jnp.exp(jnp.maximum(log_p, -2.0)) - 1.0) / SQRT_HALF
        x = jnp.where(log_p < -2.0, x, core)
    return jnp.where(log_p == -np.inf, -np.inf, x)


@log_ndtr_inverse.defjvp
def _log_ndtr_inverse_jvp(primals: tuple[Array], tangents: tuple[Array]) -> tuple[Array, Array]:
    (log_p,), (dlog_p,) = primals, tangents
    x = log_ndtr_inverse(log_p)
    return x, dlog_p / inverse_mills(x)


# for draws in float32: a third of the time, all digits but the last ------------------------------------------------------


def quick_ndtr_factors(x: Array) -> tuple[Array, Array]:
    """`w` and `y` with `Phi(x) = w exp(y)` for `x <= 0`, where `w` lies in [0, 1] and does not underflow where `x` is finite.

    Source: Press, Teukolsky, Vetterling, Flannery, "Numerical recipes in C", 2nd edition, section 6.2, erfcc.
    """
    if x.dtype == np.float64:
        return lax.full_like(x, 1), log_ndtr(x)
    x = lax.max(x, x.dtype.type(-1e18))
    t = lax.div(lax.full_like(x, 1), plus(times(x, -0.5 * SQRT_HALF), 1.0))
    return times(t, 0.5) * lax.exp(polynomial(t, _TAIL)), times(lax.square(x), -0.5)


def quick_log_ndtr_inverse(log_p: Array) -> Array:
    """`log_ndtr_inverse`, without some digits near 0."""
    return log_ndtr_inverse(log_p) if log_p.dtype == np.float64 else _quantile_expansion(log_p)
