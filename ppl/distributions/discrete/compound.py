"""Log probabilities of compound laws of counts, of floating point arrays of one rank."""

import jax
import numpy as np
from jax import lax

from ppl._typing import Array
from ppl.distributions.discrete.counts import split_trials
from ppl.distributions.discrete.numerics import (
    log_count_constant,
    log_gamma_ratio,
    log_multiset,
    log_odds_kernel,
    log_probs_kernel,
    polya_log_norm,
    polya_log_terms,
    scaled_log_ratio,
    select,
    stirling_remainder,
)


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
    """`log [Gamma(n + k) / (k! Gamma(n)) B(a + k, b + n) / B(a, b)]`, -inf for `k < 0`."""
    inside = k >= 0
    k = select(inside, k, 0.0)
    s = a + b
    counts = log_multiset(n, k) + log_multiset(a, k) - log_multiset(s + n, k)
    return select(inside, counts + log_gamma_ratio(b, n) - log_gamma_ratio(s, n), -np.inf)


@jax.jit
def negative_binomial_probs_log_prob(k: Array, r: Array, probs: Array) -> Array:
    """`log [Gamma(r + k) / (k! Gamma(r))] + k log(probs) + r log(1 - probs)`, -inf for `k < 0`."""
    inside = k >= 0
    k = select(inside, k, 0.0)
    return select(inside, log_multiset(r, k) + log_probs_kernel(k, r, probs), -np.inf)


@jax.jit
def negative_binomial_logits_log_prob(k: Array, r: Array, logits: Array) -> Array:
    """`log [Gamma(r + k) / (k! Gamma(r))] + k logits - (r + k) log(1 + exp(logits))`, -inf for `k < 0`."""
    inside = k >= 0
    k = select(inside, k, 0.0)
    return select(inside, log_multiset(r, k) + log_odds_kernel(k, r + k, logits), -np.inf)
