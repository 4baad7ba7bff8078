"""The logarithms that the densities of counts are made of, accurate in float32 for large counts and large concentrations.

A probability of a count is a small difference of large log-gamma functions. Here Stirling's leading terms, which cancel, are
cancelled on paper, and the remainders are added (Loader 2000, "Fast and accurate computation of binomial probabilities").
Derivatives are given where the derivative of the formula would be longer or less accurate than the formula of the derivative.
The longer functions are jitted, so that a model that uses them often traces them once.
"""

from collections.abc import Callable
from functools import update_wrapper
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.custom_derivatives import SymbolicZero

from ppl._typing import Array
from ppl.distributions.special import stirling_remainder
from ppl.distributions.special.elementary import HALF_LOG_2PI, full, select
from ppl.distributions.util import promote_shapes

_STRAIGHT = 80.0


def to_float(x: Any, dtype: Any) -> Any:
    """`x` in the floating point `dtype`; NumPy arrays and numbers stay in NumPy."""
    if isinstance(x, jax.Array):
        return x if x.dtype == dtype else lax.convert_element_type(x, dtype)
    return np.asarray(x, dtype)


def aligned(dtype: Any, *args: Any) -> Any:
    """The arguments in the floating point `dtype`, with ranks that agree."""
    return tuple(to_float(arg, dtype) for arg in promote_shapes(*args))


def smaller(x: Any, y: Any) -> Any:
    """The elementwise minimum of operands that broadcast."""
    return lax.min(*_broadcast(x, y))


def larger(x: Any, y: Any) -> Any:
    """The elementwise maximum of operands that broadcast."""
    return lax.max(*_broadcast(x, y))


def _broadcast(x: Any, y: Any) -> tuple[Any, Any]:
    shape = np.broadcast_shapes(np.shape(x), np.shape(y))
    dtype = getattr(x, "dtype", None) or getattr(y, "dtype", None)
    return full(x, shape, dtype), full(y, shape, dtype)


def _with_derivative(function: Callable[..., Array], rule: Callable[..., tuple[Any, ...]]) -> Callable[..., Array]:
    """`function` with the partial derivatives that `rule(*args)` gives as thunks (None: treated as constant in that argument)."""
    wrapped = jax.custom_jvp(function)

    def jvp(primals: tuple[Any, ...], tangents: tuple[Any, ...]) -> tuple[Array, Array]:
        out = wrapped(*primals)
        total: Any = None
        for slope, tangent in zip(rule(*primals), tangents):
            if slope is not None and not isinstance(tangent, SymbolicZero):
                term = slope() * tangent
                total = term if total is None else total + term
        return out, lax.full_like(out, 0) if total is None else full(total, out.shape, out.dtype)

    wrapped.defjvp(jvp, symbolic_zeros=True)
    return update_wrapper(jax.jit(wrapped), function)


# Stirling's formula -----------------------------------------------------------------------------------------------------


@jax.jit
def log_count_constant(k: Array) -> Array:
    """`k log k - k - log k!` for counts `k >= 0`: the log probability of `k` under a Poisson law whose rate is `k`."""
    some = select(k > 0, k, 1.0)
    return select(k > 0, -0.5 * lax.log(some) - HALF_LOG_2PI - stirling_remainder(some), 0.0)


# relative to the best fit -----------------------------------------------------------------------------------------------


def _scaled_log_ratio(y: Array, d: Array, x: Array) -> Array:
    return y * _log_ratio(y, d, x)


def _log_ratio(y: Array, d: Array, x: Array) -> Array:
    """`log(x / y)` by the relative difference to the smaller of the two, where nothing cancels; something finite for `y = 0`."""
    size = lax.log1p(lax.abs(d) / larger(smaller(x, y), select(y > 0, np.zeros((), d.dtype), 1.0)))
    return select(d < 0, -size, size)


def _tiny(x: Array) -> float:
    return float(jnp.finfo(x.dtype).tiny)


def _scaled_log_ratio_rule(y: Array, d: Array, x: Array) -> tuple[Any, ...]:
    safe = lax.max(x, x.dtype.type(_tiny(d)))
    return lambda: _log_ratio(y, d, x) - d / safe, lambda: select(x > 0, y / safe, 0.0), None


scaled_log_ratio = _with_derivative(_scaled_log_ratio, _scaled_log_ratio_rule)
scaled_log_ratio.__doc__ = """`y log(x / y)` of `y >= 0`, given `d = x - y` and `x >= 0`, both as exactly as the caller knows them.

Zero where `y = 0`. It is differentiated as a function of `y` and `d`; `x = y + d` is there for its digits. Where `x = 0 < y` it is
-inf with a finite derivative, so that a component of a mixture that is ruled out leaves the gradient finite.
"""


@jax.jit
def binomial_reference(k: Array, j: Array) -> Array:
    """`log [C(n, k) q^k (1 - q)^j]` with `n = k + j` and `q = (k + 1/2) / (n + 1)`, near its largest; 0 where `k` or `j` is 0."""
    n = k + j

    def part(i: Array) -> Array:
        return log_count_constant(i) + i * lax.log1p(0.5 / select(i > 0, i, 1.0))

    out = part(k) + part(j) - log_count_constant(n) - n * lax.log1p(1.0 / select(n > 0, n, 1.0))
    return select(smaller(k, j) > 0, out, 0.0)


def _expm1(x: Array) -> Array:
    """`exp(x) - 1`; in float32 by Taylor's series near 0, at half the cost of the general function."""
    if x.dtype == np.float64:
        return lax.expm1(x)
    series = x * (1.0 + x * (1 / 2 + x * (1 / 6 + x * (1 / 24 + x * (1 / 120 + x * (1 / 720))))))
    return select(lax.abs(x) < 0.3, series, lax.exp(x) - 1.0)


def _binomial_parts(k: Array, j: Array, logits: Array) -> tuple[Array, ...]:
    """In terms of the rarer outcome: its sign, its count `m`, `l - l0`, how much of that exceeds the bend, and up to the bend
    `q exp(l - l0)` and `q (exp(l - l0) - 1)`.

    Here `q` is the probability it has at `l0`. Where it did not occur, the last two are its odds.
    """
    rarer = k <= j
    sign, m = select(rarer, np.ones((), logits.dtype), -1.0), select(rarer, k, j)
    some = m > 0
    q = select(some, (m + 0.5) / (k + j + 1.0), 1.0)
    delta = sign * (logits - select(some, lax.log((k + 0.5) / (j + 0.5)), 0.0))
    # beyond, log(1 + q (exp(delta) - 1)) is a straight line
    bent = lax.min(delta, delta.dtype.type(_STRAIGHT))
    odds = q * lax.exp(bent)
    return sign, m, delta, delta - bent, odds, select(some, q * _expm1(bent), odds)


def _binomial_excess(k: Array, j: Array, logits: Array) -> Array:
    _, m, delta, straight, _, growth = _binomial_parts(k, j, logits)
    return m * delta - (k + j) * (lax.log1p(growth) + straight)


def _binomial_score(k: Array, j: Array, logits: Array) -> Array:
    """`k - n sigmoid(logits)`."""
    sign, m, _, _, odds, growth = _binomial_parts(k, j, logits)
    return sign * (m - (k + j) * (odds / (1.0 + growth)))


binomial_excess = _with_derivative(_binomial_excess, lambda k, j, logits: (None, None, lambda: _binomial_score(k, j, logits)))
binomial_excess.__doc__ = """`k (l - l0) - n [softplus(l) - softplus(l0)]` with `n = k + j` and `l0 = log((k + 1/2) / (j + 1/2))`.

The log likelihood of the logits `l` relative to a value near its largest; no large terms cancel. Where `k` or `j` is 0 it is the
log likelihood itself, which rises to 0. The counts are constants.
"""


@jax.jit
def polya_log_terms(k: Array, a: Array, n: Array, s: Array) -> Array:
    """What one category with `k` of `n` counts and concentration `a` of `s` adds to the log probability of Polya's urn.

    `log [Gamma(a + k) / (Gamma(a) k!)] - k log((s + n) / n) - a log((s + n) / s)`, and less what these cancel to.
    """
    share = 1.0 / (s + n)
    d = a * share * n - s * share * k
    fit = scaled_log_ratio(k, d, (a + k) * (n * share)) + scaled_log_ratio(a, -d, (a + k) * (s * share))
    tails = stirling_remainder(a + k) - stirling_remainder(a) + log_count_constant(k)
    return fit + tails - 0.5 * lax.log1p(k / a)


@jax.jit
def polya_log_norm(n: Array, s: Array) -> Array:
    """What the sum of `polya_log_terms` exceeds the log probability by, for `n` counts and concentrations of sum `s`."""
    return stirling_remainder(s + n) - stirling_remainder(s) + log_count_constant(n) - 0.5 * lax.log1p(n / s)


# Bernoulli trials -------------------------------------------------------------------------------------------------------


def _log_odds_kernel(a: Array, n: Array, logits: Array) -> Array:
    return (a * logits - n * lax.max(logits, logits.dtype.type(0))) - n * lax.log1p(lax.exp(-lax.abs(logits)))


def _softplus(x: Array) -> Array:
    return lax.max(x, x.dtype.type(0)) + lax.log1p(lax.exp(-lax.abs(x)))


log_odds_kernel = _with_derivative(
    _log_odds_kernel,
    lambda a, n, logits: (lambda: logits, lambda: -_softplus(logits), lambda: a - n * lax.logistic(logits)),
)
log_odds_kernel.__doc__ = (
    "`a l - n softplus(l)`: `a` successes in `n` trials with log odds `l`. Its derivative in `l` is `a - n sigmoid(l)`."
)


def _log_probs_kernel(a: Array, b: Array, probs: Array) -> Array:
    yes, no = probs > 0, probs < 1
    out = a * lax.log(select(yes, probs, 1.0)) + b * lax.log1p(-select(no, probs, 0.0))
    return select(((a > 0) & ~yes) | ((b > 0) & ~no), -np.inf, out)


def _log_probs_rule(a: Array, b: Array, probs: Array) -> tuple[Any, ...]:
    yes, no = select(probs > 0, probs, 1.0), select(probs < 1, probs, 0.0)
    return lambda: lax.log(yes), lambda: lax.log1p(-no), lambda: a / yes - b / (1.0 - no)


log_probs_kernel = _with_derivative(_log_probs_kernel, _log_probs_rule)
log_probs_kernel.__doc__ = "`a log p + b log(1 - p)`: `a` successes and `b` failures with probability `p`, where `0 log 0 = 0`."


def _log_outcome_kernel(outcome: Array, probs: Array) -> Array:
    share = select(outcome, probs, 1.0 - probs)
    some = select(share > 0, share, 1.0)
    lost = select(outcome, np.zeros((), probs.dtype), (1.0 - share) - probs)  # in rounding 1 - probs
    return select(share > 0, lax.log(some) + lost / some, -np.inf)


def _log_outcome_rule(outcome: Array, probs: Array) -> tuple[Any, ...]:
    share = select(outcome, probs, 1.0 - probs)
    return None, lambda: select(outcome, np.ones((), probs.dtype), -1.0) / select(share > 0, share, 1.0)


log_outcome_kernel = _with_derivative(_log_outcome_kernel, _log_outcome_rule)
log_outcome_kernel.__doc__ = "`log p` where `outcome`, else `log(1 - p)`: one logarithm for each element."


# sums of exponentials ---------------------------------------------------------------------------------------------------


def _logaddexp(x: Array, y: Array) -> Array:
    """`log(exp(x) + exp(y))`; both -inf gives -inf."""
    top = larger(x, y)
    gap = lax.abs(select(top > -np.inf, x - y, 0.0))
    return top + lax.log1p(lax.exp(-gap))


def _gate_by_probs(zero: Array, gate: Array, base: Array, at_zero: Array) -> Array:
    one, none = np.ones((), gate.dtype), np.zeros((), gate.dtype)
    log_gate, log_rest = log_probs_kernel(one, none, gate), log_probs_kernel(none, one, gate)
    return select(zero, _logaddexp(log_gate, log_rest + at_zero), log_rest + base)


def _gate_by_probs_rule(zero: Array, gate: Array, base: Array, at_zero: Array) -> tuple[Any, ...]:
    # 1 / p(0), as far as it is finite
    log_zero = gate_by_probs(np.True_, gate, at_zero, at_zero)
    inverse = lax.exp(-larger(log_zero, -_STRAIGHT))
    by_gate = select(zero, -lax.expm1(at_zero) * inverse, -1.0 / select(gate < 1, 1.0 - gate, 1.0))
    by_zero = select(zero, 1.0 - gate * inverse, 0.0)
    return None, lambda: by_gate, lambda: select(zero, np.zeros((), base.dtype), 1.0), lambda: by_zero


gate_by_probs = _with_derivative(_gate_by_probs, _gate_by_probs_rule)
gate_by_probs.__doc__ = "`log(gate + (1 - gate) exp(at_zero))` at `zero`, else `log(1 - gate) + base`."


def _gate_by_logits(zero: Array, logits: Array, base: Array, at_zero: Array) -> Array:
    return select(zero, _logaddexp(logits, at_zero), base) - _softplus(logits)


def _gate_by_logits_rule(zero: Array, logits: Array, base: Array, at_zero: Array) -> tuple[Any, ...]:
    share = select(zero, lax.logistic(logits - at_zero), 0.0)
    by_zero = select(zero, 1.0 - share, 0.0)
    return None, lambda: share - lax.logistic(logits), lambda: select(zero, np.zeros((), base.dtype), 1.0), lambda: by_zero


gate_by_logits = _with_derivative(_gate_by_logits, _gate_by_logits_rule)
gate_by_logits.__doc__ = "`gate_by_probs` of the gate `sigmoid(logits)`."
