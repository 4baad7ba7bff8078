"""Log probabilities of compound laws of counts, of floating point arrays of one rank."""

import jax
import numpy as np
from jax import lax

from ppl._typing import Array
from ppl.distributions.discrete.counts import split_trials
from ppl.distributions.discrete.numerics import log_count_constant, polya_log_norm, polya_log_terms, scaled_log_ratio
from ppl.distributions.special import stirling_remainder
from ppl.distributions.special.elementary import select

_STRAIGHT = 60.0


@jax.jit
def gamma_poisson_log_prob(k: Array, a: Array, mean: Array) -> Array:
    """The log probability of counts `k`, -inf for `k < 0`; it tends to Poisson's as the concentration `a` grows.

    `k log[(mean / k) (a + k) / (a + mean)] - a log[(a + mean) / (a + k)]` and what Stirling's formula leaves.
    """
    inside = k >= 0
    k = select(inside, k, 0.0)
    excess = mean - k
    by_mean, by_count = 1.0 / (1.0 + mean / a), 1.0 / (1.0 + k / a)
    first = scaled_log_ratio(k, excess * by_mean, mean * (by_mean / by_count))
    second = scaled_log_ratio(a, excess * by_count, a * (by_count / by_mean))
    tails = stirling_remainder(a + k) - stirling_remainder(a) - 0.5 * lax.log1p(k / a)
    return first - second + tails + select(inside, log_count_constant(k), -np.inf)


@jax.jit
def beta_binomial_log_prob(k: Array, n: Array, a: Array, b: Array) -> Array:
    """`log [C(n, k) B(k + a, n - k + b) / B(a, b)]`, -inf outside."""
    inside, k, j = split_trials(k, n)
    s = a + b
    terms = polya_log_terms(k, a, n, s) + polya_log_terms(j, b, n, s)
    return select(inside, terms - polya_log_norm(n, s), -np.inf)


@jax.jit
def beta_negative_binomial_log_prob(k: Array, a: Array, b: Array, n: Array) -> Array:
    """`log [Gamma(n + k) / (k! Gamma(n)) B(a + k, b + n) / B(a, b)]`, -inf for `k < 0`.

    The law of `k` of `n + k` counts from Polya's urn, times `n / (n + k)`, the probability that the last is none of them.
    """
    inside = k >= 0
    k = select(inside, k, 0.0)
    s, total = a + b, n + k
    terms = polya_log_terms(k, a, total, s) + polya_log_terms(n, b, total, s)
    return select(inside, terms - polya_log_norm(total, s) - lax.log1p(k / n), -np.inf)


def _negative_binomial_log_prob(k: Array, r: Array, yes: Array, no: Array) -> Array:
    """The log probability of `k` successes before `r` failures, of these probabilities, relative to the best fit."""
    total = r + k
    excess = r * yes - k * no
    fit = scaled_log_ratio(k, excess, total * yes) + scaled_log_ratio(r, -excess, total * no)
    tails = stirling_remainder(total) - stirling_remainder(r) - 0.5 * lax.log1p(k / r)
    return fit + tails + log_count_constant(k)


@jax.jit
def negative_binomial_probs_log_prob(k: Array, r: Array, probs: Array) -> Array:
    """`log [Gamma(r + k) / (k! Gamma(r))] + k log(probs) + r log(1 - probs)`, -inf for `k < 0`."""
    inside = k >= 0
    return select(inside, _negative_binomial_log_prob(select(inside, k, 0.0), r, probs, 1.0 - probs), -np.inf)


@jax.jit
def negative_binomial_logits_log_prob(k: Array, r: Array, logits: Array) -> Array:
    """`log [Gamma(r + k) / (k! Gamma(r))] + k logits - (r + k) log(1 + exp(logits))`, -inf for `k < 0`."""
    inside = k >= 0
    k = select(inside, k, 0.0)
    # beyond, where a probability would underflow, its logarithm is a straight line
    bent = lax.clamp(logits.dtype.type(-_STRAIGHT), logits, logits.dtype.type(_STRAIGHT))
    out = _negative_binomial_log_prob(k, r, lax.logistic(bent), lax.logistic(-bent))
    straight = logits - bent
    return select(inside, out + select(straight < 0, k, -r) * straight, -np.inf)
