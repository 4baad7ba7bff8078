"""The incomplete beta function and its inverse in log space, and Student's t distribution function, which is one.

Source: DiDonato & Morris (1992), "Algorithm 708: significant digit computation of the incomplete beta function ratios".
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.custom_derivatives import SymbolicZero

from ppl._typing import Array, ArrayLike
from ppl.distributions.special.elementary import HALF_LOG_2PI, LOG_2, log1mexp, operands
from ppl.distributions.special.gamma import MAX_NEWTON, log_beta, log_gamma_half_step, stirling_remainder
from ppl.distributions.special.iteration import State, iterate
from ppl.distributions.special.normal import log_ndtr, log_ndtr_inverse


def _log_beta_kernel(a: Array, b: Array, x: Array, y: Array) -> Array:
    """`log(x^a y^b / B(a, b))`, the density of the logit of a Beta variable, as the distance from its maximum at `a / (a + b)`."""
    total = a + b
    offset = a * y - b * x
    by_x, by_y = -offset / a, offset / b
    near_x, near_y = jnp.abs(by_x) < 0.5, jnp.abs(by_y) < 0.5
    log_x = jnp.where(near_x, jnp.log1p(jnp.where(near_x, by_x, 0.0)), jnp.log(x) + jnp.log1p(b / a))
    log_y = jnp.where(near_y, jnp.log1p(jnp.where(near_y, by_y, 0.0)), jnp.log(y) + jnp.log1p(a / b))
    log_y = jnp.where((x < 0.25) & ~near_y, jnp.log1p(-x) + jnp.log1p(a / b), log_y)
    log_x = jnp.where((y < 0.25) & ~near_x, jnp.log1p(-y) + jnp.log1p(b / a), log_x)
    remainder = stirling_remainder(a) + stirling_remainder(b) - stirling_remainder(total)
    return a * log_x + b * log_y + (0.5 * (jnp.log(a) + jnp.log(b) - jnp.log(total)) - HALF_LOG_2PI - remainder)


def _fraction(a: Array, b: Array, x: Array, y: Array) -> Array:
    """`I_x(a, b) B(a, b) / (x^a y^b) = 1/(beta_1 + alpha_2/(beta_2 + ...))` for `x < (a + 1)/(a + b + 2)`, by Lentz's method.

    Equation 9 of DiDonato & Morris; `a y - b x` keeps its digits where `x` is close to 0 or 1.
    """

    def start(a: Array, b: Array, x: Array, y: Array) -> State:
        first = 1.0 / (a / (a + 1.0) * (a * y - b * x + 1.0))
        return jnp.full_like(x, 0.05 / float(jnp.finfo(x.dtype).tiny)), first, first, jnp.ones_like(x)

    def step(n: Array, params: tuple[Array, ...], state: State) -> State:
        a, b, x, y = params
        c, d, h, _ = state
        ratio = n * x / (a + (2.0 * n - 1.0))
        alpha = ratio * (b - n) * (a + (n - 1.0)) * ((a + b + (n - 1.0)) * x / (a + (2.0 * n - 1.0)))
        beta = n + (b - n) * ratio + (a + n) / (a + (2.0 * n + 1.0)) * ((a * y - b * x) + 1.0 + n * (1.0 + y))
        d = 1.0 / (alpha * d + beta)
        c = beta + alpha / c
        return c, d, h * (c * d), c * d - 1.0

    return iterate(step, start, (a, b, x, y))


def _log_betainc_pair(a: Array, b: Array, x: Array, y: Array) -> tuple[Array, Array]:
    swap = x > (a + 1.0) / (a + b + 2.0)
    a, b = jnp.where(swap, b, a), jnp.where(swap, a, b)
    x, y = jnp.where(swap, y, x), jnp.where(swap, x, y)
    positive = x > 0
    x, y = jnp.where(positive, x, 0.5), jnp.where(positive, y, 0.5)
    own = _log_beta_kernel(a, b, x, y) + jnp.log(_fraction(a, b, jnp.where(positive, x, 0.0), jnp.where(positive, y, 1.0)))
    own = jnp.minimum(own, -float(jnp.finfo(x.dtype).tiny))
    other = jnp.where(positive, log1mexp(own), 0.0)
    own = jnp.where(positive, own, -np.inf)
    return jnp.where(swap, other, own), jnp.where(swap, own, other)


@jax.custom_jvp
def log_betainc_pair(a: Array, b: Array, x: Array, y: Array) -> tuple[Array, Array]:
    """The logarithms of the regularized incomplete beta function `I_x(a, b)` and of `1 - I_x(a, b)`.

    `y = 1 - x` is given too, for its accuracy. Arguments are arrays of one shape and dtype.
    The derivative follows `x`; that of `y` is its negative.
    """
    return _log_betainc_pair(a, b, x, y)


def _log_betainc_pair_jvp(primals: tuple[Array, ...], tangents: tuple[Any, ...]) -> tuple[Any, Any]:
    (a, b, x, y), (da, db, dx, _) = primals, tangents
    p, q = log_betainc_pair(a, b, x, y)
    dp, dq = jnp.zeros_like(p), jnp.zeros_like(q)
    if not isinstance(da, SymbolicZero):
        p_a, q_a = jax.jvp(lambda a: _log_betainc_pair(a, b, x, y), (a,), (jnp.ones_like(a),))[1]
        dp, dq = dp + p_a * da, dq + q_a * da
    if not isinstance(db, SymbolicZero):
        p_b, q_b = jax.jvp(lambda b: _log_betainc_pair(a, b, x, y), (b,), (jnp.ones_like(b),))[1]
        dp, dq = dp + p_b * db, dq + q_b * db
    if not isinstance(dx, SymbolicZero):
        inside = (x > 0) & (y > 0)
        safe_x, safe_y = jnp.where(inside, x, 0.5), jnp.where(inside, y, 0.5)
        log_density = _log_beta_kernel(a, b, safe_x, safe_y) - jnp.log(safe_x) - jnp.log(safe_y)
        dp = dp + jnp.where(inside, jnp.exp(log_density - jnp.where(inside, p, 0.0)), 0.0) * dx
        dq = dq - jnp.where(inside, jnp.exp(log_density - jnp.where(inside, q, 0.0)), 0.0) * dx
    return (p, q), (dp, dq)


log_betainc_pair.defjvp(_log_betainc_pair_jvp, symbolic_zeros=True)


def _beta_logit_quantile(a: Array, b: Array, log_p: Array, log_q: Array) -> Array:
    swap = log_q < log_p
    a, b = jnp.where(swap, b, a), jnp.where(swap, a, b)
    target = jnp.where(swap, log_q, log_p)
    # I_x(a, b) < (x / (1 - x))^a / (a B(a, b)) bounds the logit from below; the normal approximation is close for large a and b
    bound = (target + jnp.log(a) + log_beta(a, b)) / a
    normal = jnp.log(a / b) + jnp.sqrt(1.0 / a + 1.0 / b) * log_ndtr_inverse(jnp.minimum(target, -LOG_2))
    tolerance = 4 * float(jnp.finfo(a.dtype).eps)

    def unfinished(state: tuple[Array, Array, Array]) -> Array:
        return jnp.any(state[2]) & (state[0] < MAX_NEWTON)

    def newton(state: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
        # log I is concave in the logit z, so that Newton's method converges from everywhere
        n, z, active = state
        tiny = float(jnp.finfo(a.dtype).tiny)
        x, y = jnp.maximum(lax.logistic(z), tiny), jnp.maximum(lax.logistic(-z), tiny)
        own, _ = _log_betainc_pair(a, b, x, y)
        slope = jnp.exp(own - _log_beta_kernel(a, b, x, y))
        new = jnp.where(active, jnp.maximum(z + jnp.minimum((target - own) * slope, 2.0), bound), z)
        # down to the rounding errors of z and of log I
        return n + 1, new, jnp.abs(new - z) > tolerance * (1.0 + jnp.abs(z) + (2.0 - 2.0 * target) * slope)

    z = lax.while_loop(unfinished, newton, (jnp.int32(0), jnp.maximum(bound, normal), jnp.ones(a.shape, bool)))[1]
    return jnp.where(swap, -z, z)


@jax.custom_jvp
def beta_logit_quantile(a: Array, b: Array, log_p: Array, log_q: Array) -> Array:
    """`logit x` with `I_x(a, b) = p`, given both `log p` and `log(1 - p)`: the smaller of the two decides.

    Arguments are arrays of one shape and dtype; `log_p` and `log_q` are finite.
    """
    return _beta_logit_quantile(a, b, log_p, log_q)


def _beta_logit_quantile_jvp(primals: tuple[Array, ...], tangents: tuple[Any, ...]) -> tuple[Array, Array]:
    (a, b, log_p, log_q), (da, db, dp, dq) = primals, tangents
    z = beta_logit_quantile(a, b, log_p, log_q)
    lower = log_p <= log_q
    tiny = float(jnp.finfo(a.dtype).tiny)
    x, y = jnp.maximum(lax.logistic(z), tiny), jnp.maximum(lax.logistic(-z), tiny)
    kernel = _log_beta_kernel(a, b, x, y)
    by_p, by_q = jnp.exp(log_p - kernel), jnp.exp(log_q - kernel)
    dz = jnp.zeros_like(z)
    if not isinstance(dp, SymbolicZero):
        dz = dz + jnp.where(lower, by_p, 0.0) * dp
    if not isinstance(dq, SymbolicZero):
        dz = dz - jnp.where(lower, 0.0, by_q) * dq
    if not isinstance(da, SymbolicZero):
        p_a, q_a = jax.jvp(lambda a: _log_betainc_pair(a, b, x, y), (a,), (jnp.ones_like(a),))[1]
        dz = dz + jnp.where(lower, -p_a * by_p, q_a * by_q) * da
    if not isinstance(db, SymbolicZero):
        p_b, q_b = jax.jvp(lambda b: _log_betainc_pair(a, b, x, y), (b,), (jnp.ones_like(b),))[1]
        dz = dz + jnp.where(lower, -p_b * by_p, q_b * by_q) * db
    return z, dz


beta_logit_quantile.defjvp(_beta_logit_quantile_jvp, symbolic_zeros=True)


def betainc(a: ArrayLike, b: ArrayLike, x: ArrayLike) -> Array:
    """The regularized incomplete beta function `I_x(a, b)`, differentiable in all arguments; `x` in [0, 1]."""
    a, b, x = operands(a, b, x)
    return jnp.exp(log_betainc_pair(a, b, x, 1.0 - x)[0])


def betaincinv(a: ArrayLike, b: ArrayLike, p: ArrayLike) -> Array:
    """The `x` with `I_x(a, b) = p`, differentiable in all arguments; nan for `p` outside [0, 1]."""
    a, b, p = operands(a, b, p)
    inside = (p > 0) & (p < 1)
    safe = jnp.where(inside, p, 0.5)
    x = lax.logistic(beta_logit_quantile(a, b, jnp.log(safe), jnp.log1p(-safe)))
    return jnp.where(inside, x, jnp.where((p == 0) | (p == 1), p, np.nan))


# Student's t ------------------------------------------------------------------------------------------------------------


def student_t_log_norm(df: ArrayLike) -> Any:
    """`log Gamma((df + 1)/2) - log Gamma(df/2) - log(pi df)/2`, which tends to `-log(2 pi)/2` without cancellation."""
    return log_gamma_half_step(0.5 * df) - HALF_LOG_2PI


def _student_t_log_density(df: Array, z: Array) -> Array:
    return student_t_log_norm(df) - (0.5 * df + 0.5) * jnp.log1p(z * z / df)


def _student_t_log_cdf(df: Array, z: Array) -> Array:
    square = jnp.maximum(z * z, float(jnp.finfo(z.dtype).tiny) ** 0.5)
    # near the normal law, its quantile u by the series of Hill (1970), "Student's t-distribution", in w
    a = df - 0.5
    b = 48.0 * a * a
    w_square = a * jnp.log1p(square / df)
    normal = (df > (1e4 if z.dtype == np.float64 else 200.0)) & (w_square * w_square < 1e-4 * b)
    v = jnp.where(normal, w_square, 1.0)
    b = jnp.where(normal, b, 1e6)
    third = (((4.0 * v + 33.0) * v + 240.0) * v + 855.0) / (10.0 * b * (b + 0.8 * v * v + 100.0))
    u = -jnp.sqrt(v) * (1.0 + (v + 3.0) / b - third)
    df, square = jnp.where(normal, 1.0, df), jnp.where(normal, 1.0, square)
    share, rest = square / (df + square), df / (df + square)
    tail = log_betainc_pair(0.5 * df, jnp.full_like(df, 0.5), rest, share)[0] - LOG_2
    tail = jnp.where(normal, log_ndtr(u), tail)
    return jnp.where(z > 0, log1mexp(tail), tail)


@jax.custom_jvp
def student_t_log_cdf(df: Array, z: Array) -> Array:
    """`log P(T <= z)` of Student's t with `df` degrees of freedom: `P(T <= -t) = I_x(df/2, 1/2)/2` with `x = df/(df + t^2)`."""
    return _student_t_log_cdf(df, z)


def _student_t_log_cdf_jvp(primals: tuple[Array, Array], tangents: tuple[Any, Any]) -> tuple[Array, Array]:
    (df, z), (d_df, dz) = primals, tangents
    out = student_t_log_cdf(df, z)
    d_out = jnp.zeros_like(out)
    if not isinstance(d_df, SymbolicZero):
        d_out = d_out + jax.jvp(lambda df: _student_t_log_cdf(df, z), (df,), (jnp.ones_like(df),))[1] * d_df
    if not isinstance(dz, SymbolicZero):
        d_out = d_out + jnp.exp(_student_t_log_density(df, z) - out) * dz
    return out, d_out


student_t_log_cdf.defjvp(_student_t_log_cdf_jvp, symbolic_zeros=True)


@jax.custom_jvp
def student_t_log_cdf_inverse(df: Array, log_p: Array) -> Array:
    """The `t <= 0` with `log P(T <= t) = log_p`, for `log_p <= log(1/2)`."""
    log_two_sided = jnp.minimum(log_p + LOG_2, -float(jnp.finfo(df.dtype).tiny))
    logit = beta_logit_quantile(0.5 * df, jnp.full_like(df, 0.5), log_two_sided, log1mexp(log_two_sided))
    t = -jnp.sqrt(df) * jnp.exp(-0.5 * logit)

    def newton(_: int, t: Array) -> Array:
        log_cdf = _student_t_log_cdf(df, t)
        return jnp.minimum(t + (log_p - log_cdf) * jnp.exp(log_cdf - _student_t_log_density(df, t)), 0.0)

    return lax.fori_loop(0, 2, newton, t)  # the logit carries few digits of t where df is large


def _student_t_log_cdf_inverse_jvp(primals: tuple[Array, Array], tangents: tuple[Any, Any]) -> tuple[Array, Array]:
    (df, log_p), (d_df, dlog_p) = primals, tangents
    t = student_t_log_cdf_inverse(df, log_p)
    slope = jnp.exp(log_p - _student_t_log_density(df, t))
    dt = jnp.zeros_like(t)
    if not isinstance(d_df, SymbolicZero):
        dt = dt - slope * jax.jvp(lambda df: _student_t_log_cdf(df, t), (df,), (jnp.ones_like(df),))[1] * d_df
    if not isinstance(dlog_p, SymbolicZero):
        dt = dt + slope * dlog_p
    return t, dt


student_t_log_cdf_inverse.defjvp(_student_t_log_cdf_inverse_jvp, symbolic_zeros=True)
