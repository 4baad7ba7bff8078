"""Stirling's remainder, the beta function, and the incomplete gamma function with its inverse, in log space.

Sources: Abramowitz & Stegun 6.1.41 (Stirling's series); DiDonato & Morris (1986), "Computation of the incomplete gamma function
ratios and their inverse" (series and continued fraction, their domains); Thompson & Barnett (1986) for evaluating the fraction.
"""

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.custom_derivatives import SymbolicZero

from ppl._typing import Array, ArrayLike
from ppl.distributions.special.elementary import (
    HALF_LOG_2PI,
    LOG_2,
    as_float,
    is_number,
    log,
    log1mexp,
    log1p,
    operands,
    plus,
    times,
)
from ppl.distributions.special.iteration import State, iterate
from ppl.distributions.special.normal import log_ndtr_inverse

# B_2n / (2n (2n - 1)), the coefficients of Stirling's series
STIRLING = (1 / 12, -1 / 360, 1 / 1260, -1 / 1680, 1 / 1188, -691 / 360360, 1 / 156, -3617 / 122400)
MAX_NEWTON = 40
SMALL = 0.5  # shapes below are so small that P(a, x) may be close to 1 for all x, where its logarithm needs another formula
_N = 100.0  # zeta(k) - 1 by its first terms and the formula of Euler and Maclaurin for the others
_ZETA_LESS_ONE = {
    k: math.fsum(n**-k for n in range(2, int(_N)))
    + _N**-k * (_N / (k - 1) + 0.5 + k / (12 * _N) - k * (k + 1) * (k + 2) / (720 * _N**3))
    for k in range(2, 27)
}


def stirling_remainder(x: ArrayLike) -> Any:
    """`log Gamma(x) - [(x - 1/2) log x - x + log(2 pi)/2]` for `x > 0`, about `1/(12 x)`, without the cancellation."""
    if is_number(x):
        if 0 < x < 100:
            return math.lgamma(x) - ((x - 0.5) * math.log(x) - x + HALF_LOG_2PI)
        return math.fsum(c * x ** -(2 * k + 1) for k, c in enumerate(STIRLING)) if x > 0 else math.nan
    return _stirling_remainder(as_float(x))


@jax.jit
def _stirling_remainder(x: Array) -> Array:
    """By Stirling's series, to which the sum of `S(x) - S(x + 1) = (x + 1/2) log(1 + 1/x) - 1` leads from small `x`.

    It costs half of `lgamma`, and a third with the derivative.
    """
    steps, terms = (8, 8) if x.dtype == np.float64 else (3, 4)
    seam = steps + 0.03125  # no natural parameter, for which the minimum would halve the derivative
    is_large = x > seam
    low = lax.min(x, x.dtype.type(seam))
    gap = plus(lax.mul(plus(low, 0.5), _log1p_of_inverse(low)), -1.0)
    for k in range(1, steps):
        above = plus(low, k)
        gap = lax.add(gap, plus(lax.mul(plus(above, 0.5), lax.log1p(lax.integer_pow(above, -1))), -1.0))
    u = lax.integer_pow(lax.select(is_large, x, plus(x, steps)), -1)
    w = lax.square(u)
    series = times(w, STIRLING[terms - 1])
    for c in STIRLING[terms - 2 : 0 : -1]:
        series = lax.mul(plus(series, c), w)
    return lax.mul(plus(series, STIRLING[0]), u) + lax.select(is_large, lax.full_like(x, 0), gap)


@jax.custom_jvp
def _log1p_of_inverse(x: Array) -> Array:
    """`log(1 + 1/x)`; the square of `1/x` may overflow, which the derivative must not need."""
    return lax.log1p(lax.integer_pow(x, -1))


@_log1p_of_inverse.defjvp
def _log1p_of_inverse_jvp(primals: tuple[Array], tangents: tuple[Array]) -> tuple[Array, Array]:
    (x,), (tangent,) = primals, tangents
    return _log1p_of_inverse(x), -tangent * lax.integer_pow(x, -1) * lax.integer_pow(plus(x, 1.0), -1)


def log_gamma_peak(a: ArrayLike) -> Any:
    """`a log a - a - log Gamma(a)`: the logarithm of `x^a e^-x / Gamma(a)` at its maximum `x = a`, accurate for large `a`."""
    return 0.5 * log(a) - HALF_LOG_2PI - stirling_remainder(a)


def log_beta(a: ArrayLike, b: ArrayLike) -> Any:
    """`log B(a, b)` for positive `a`, `b` (of broadcastable shapes of equal rank), without differences of large log-gammas."""
    total = a + b
    main = HALF_LOG_2PI - a * log1p(b / a) - b * log1p(a / b) + 0.5 * (log(total) - log(a) - log(b))
    return main + (stirling_remainder(a) + stirling_remainder(b) - stirling_remainder(total))


def log_gamma_half_step(x: ArrayLike) -> Any:
    """`log Gamma(x + 1/2) - log Gamma(x) - log(x)/2`, about `-1/(8 x)`; from the duplication formula."""
    return stirling_remainder(2.0 * x) - 2.0 * stirling_remainder(x)


def log_gamma_one_plus(a: Array) -> Array:
    """`log Gamma(1 + a)` for `0 <= a <= 1/2`, to relative accuracy; Abramowitz & Stegun 6.1.33."""
    series = jnp.zeros_like(a)
    for k in range(26 if a.dtype == np.float64 else 11, 1, -1):
        series = ((-1) ** k * _ZETA_LESS_ONE[k] / k + series) * a
    return (series + (1.0 - np.euler_gamma)) * a - lax.log1p(a)


def log_gamma_kernel(a: Array, x: Array) -> Array:
    """`log(x^a e^-x / Gamma(a))` for `x > 0`, the density of the logarithm of a Gamma variable, accurate for large `a`."""
    t = x / a
    return a * (lax.log(t) + (1.0 - t)) + log_gamma_peak(a)


def _series(a: Array, x: Array) -> Array:
    """`sum_n x^n / ((a + 1) ... (a + n))` from n = 0, for `x < a + 1`; if `a < 1/2`, `sum_n (-x)^n / (n! (a + n))` from n = 1."""

    def start(a: Array, x: Array) -> State:
        return jnp.ones_like(x), jnp.where(a < SMALL, 0.0, 1.0).astype(x.dtype), jnp.ones_like(x)

    def step(n: Array, params: tuple[Array, ...], state: State) -> State:
        a, x = params
        term, total, _ = state
        small = a < SMALL
        term = term * jnp.where(small, -x / n, x / (a + n))
        added = jnp.where(small, term / (a + n), term)
        total = total + added
        return term, total, added / jnp.where(total == 0, 1.0, total)

    return iterate(step, start, (a, x))


def _fraction(a: Array, x: Array) -> Array:
    """`Gamma(a, x) e^x / x^a = 1/(x + 1 - a - 1 (1 - a)/(x + 3 - a - ...))`, for `x >= a + 1`, by Lentz's method."""

    def start(a: Array, x: Array) -> State:
        first = 1.0 / (x - a + 1.0)
        return jnp.full_like(x, 0.05 / float(jnp.finfo(x.dtype).tiny)), first, first, jnp.ones_like(x)

    def step(n: Array, params: tuple[Array, ...], state: State) -> State:
        a, x = params
        c, d, h, _ = state
        numerator, b = n * (a - n), (x - a) + (1.0 + 2.0 * n)
        d = 1.0 / (numerator * d + b)
        c = b + numerator / c
        return c, d, h * (c * d), c * d - 1.0

    return iterate(step, start, (a, x))


def _log_gammainc_pair(a: Array, x: Array) -> tuple[Array, Array]:
    inside = (x > 0) & (x < np.inf)
    safe = jnp.where(inside, x, 1.0)
    below = safe < a + 1.0
    series = _series(a, jnp.where(below & inside, safe, 0.0))
    fraction = _fraction(jnp.where(below, 1.0, a), jnp.where(below, 50.0, safe))
    kernel = log_gamma_kernel(a, safe)
    small = a < SMALL
    tiny = jnp.minimum(a, SMALL)  # P(a, x) = x^a / Gamma(1 + a) (1 + a series)
    by_small = tiny * jnp.log(safe) - log_gamma_one_plus(tiny) + jnp.log1p(jnp.where(small, tiny * series, 0.0))
    by_series = kernel - jnp.log(a) + jnp.log(jnp.where(small, 1.0, series))
    own = jnp.where(below, jnp.where(small, by_small, by_series), kernel + jnp.log(fraction))
    own = jnp.where(inside, jnp.minimum(own, -float(jnp.finfo(x.dtype).tiny)), -1.0)
    other = log1mexp(own)
    p, q = jnp.where(below, own, other), jnp.where(below, other, own)
    return jnp.where(inside, p, jnp.where(x > 0, 0.0, -np.inf)), jnp.where(inside, q, jnp.where(x > 0, -np.inf, 0.0))


@jax.custom_jvp
def log_gammainc_pair(a: Array, x: Array) -> tuple[Array, Array]:
    """The logarithms of the regularized incomplete gamma functions `P(a, x)` and `Q(a, x) = 1 - P(a, x)`.

    Both keep their relative accuracy far in the tails. Arguments are arrays of one shape and dtype, `a > 0`, `x >= 0`.
    """
    return _log_gammainc_pair(a, x)


def _log_gammainc_pair_jvp(primals: tuple[Array, Array], tangents: tuple[Any, Any]) -> tuple[Any, Any]:
    (a, x), (da, dx) = primals, tangents
    if isinstance(da, SymbolicZero):
        p, q = log_gammainc_pair(a, x)
        dp, dq = jnp.zeros_like(p), jnp.zeros_like(q)
    else:
        (p, q), (p_a, q_a) = jax.jvp(lambda a: _log_gammainc_pair(a, x), (a,), (jnp.ones_like(a),))
        dp, dq = p_a * da, q_a * da
    if not isinstance(dx, SymbolicZero):
        safe = jnp.where(x > 0, x, 1.0)
        log_density = log_gamma_kernel(a, safe) - jnp.log(safe)
        inside = (x > 0) & (x < np.inf)
        dp = dp + jnp.where(inside, jnp.exp(log_density - jnp.where(inside, p, 0.0)), 0.0) * dx
        dq = dq - jnp.where(inside, jnp.exp(log_density - jnp.where(inside, q, 0.0)), 0.0) * dx
    return (p, q), (dp, dq)


log_gammainc_pair.defjvp(_log_gammainc_pair_jvp, symbolic_zeros=True)


def _gamma_quantile(a: Array, log_p: Array, log_q: Array) -> Array:
    lower = log_p < log_q
    target = jnp.where(lower, log_p, log_q)
    # P(a, x) <= x^a / Gamma(a + 1), so this bounds log x from below; Wilson & Hilferty (1931) is close unless `a` is small
    small = a < SMALL
    by_small = (log_p + log_gamma_one_plus(jnp.minimum(a, SMALL))) / a
    bound = jnp.where(small, by_small, (log_p - log_gamma_peak(a) + jnp.log(a)) / a + (jnp.log(a) - 1.0))
    z = log_ndtr_inverse(jnp.minimum(target, -LOG_2))
    root = 1.0 - 1.0 / (9.0 * a) + jnp.where(lower, z, -z) / (3.0 * jnp.sqrt(a))
    start = jnp.where(root > 0.1, jnp.maximum(bound, jnp.log(a) + 3.0 * jnp.log(jnp.maximum(root, 0.1))), bound)
    tolerance = 4 * float(jnp.finfo(a.dtype).eps)

    def unfinished(state: tuple[Array, Array, Array]) -> Array:
        return jnp.any(state[2]) & (state[0] < MAX_NEWTON)

    def newton(state: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
        # log P and log Q are concave in y = log x, so that Newton's method converges from everywhere
        n, y, active = state
        x = jnp.maximum(jnp.exp(y), float(jnp.finfo(a.dtype).tiny))
        p, q = _log_gammainc_pair(a, x)
        own = jnp.where(lower, p, q)
        slope = jnp.exp(own - log_gamma_kernel(a, x))
        step = (target - own) * slope * jnp.where(lower, 1.0, -1.0)
        new = jnp.where(active, jnp.maximum(y + jnp.clip(step, -1e4, 1.0), bound), y)
        # down to the rounding errors of y and of log P
        return n + 1, new, jnp.abs(new - y) > tolerance * (1.0 + jnp.abs(y) + (2.0 - 2.0 * target) * slope)

    return lax.while_loop(unfinished, newton, (jnp.int32(0), start, jnp.ones(a.shape, bool)))[1]


@jax.custom_jvp
def gamma_log_quantile(a: Array, log_p: Array, log_q: Array) -> Array:
    """`log x` with `P(a, x) = p`, given both `log p` and `log(1 - p)`: the smaller of the two decides.

    Arguments are arrays of one shape and dtype; `log_p` and `log_q` are finite.
    """
    return _gamma_quantile(a, log_p, log_q)


def _gamma_log_quantile_jvp(primals: tuple[Array, ...], tangents: tuple[Any, ...]) -> tuple[Array, Array]:
    (a, log_p, log_q), (da, dp, dq) = primals, tangents
    y = gamma_log_quantile(a, log_p, log_q)
    lower = log_p < log_q
    x = jnp.maximum(jnp.exp(y), float(jnp.finfo(a.dtype).tiny))
    kernel = log_gamma_kernel(a, x)
    by_p, by_q = jnp.exp(log_p - kernel), jnp.exp(log_q - kernel)
    dy = jnp.zeros_like(y)
    if not isinstance(dp, SymbolicZero):
        dy = dy + jnp.where(lower, by_p, 0.0) * dp
    if not isinstance(dq, SymbolicZero):
        dy = dy - jnp.where(lower, 0.0, by_q) * dq
    if not isinstance(da, SymbolicZero):
        _, (p_a, q_a) = jax.jvp(lambda a: _log_gammainc_pair(a, x), (a,), (jnp.ones_like(a),))
        dy = dy + jnp.where(lower, -p_a * by_p, q_a * by_q) * da
    return y, dy


gamma_log_quantile.defjvp(_gamma_log_quantile_jvp, symbolic_zeros=True)


def gammainc(a: ArrayLike, x: ArrayLike) -> Array:
    """The regularized lower incomplete gamma function `P(a, x)`, differentiable in both arguments."""
    a, x = operands(a, x)
    return jnp.exp(log_gammainc_pair(a, x)[0])


def gammaincinv(a: ArrayLike, p: ArrayLike) -> Array:
    """The `x` with `P(a, x) = p`, differentiable in both arguments; 0 at `p = 0`, inf at `p = 1`, nan outside."""
    a, p = operands(a, p)
    inside = (p > 0) & (p < 1)
    safe = jnp.where(inside, p, 0.5)
    x = jnp.exp(gamma_log_quantile(a, jnp.log(safe), jnp.log1p(-safe)))
    return jnp.where(inside, x, jnp.where(p == 0, 0.0, jnp.where(p == 1, np.inf, np.nan)))
