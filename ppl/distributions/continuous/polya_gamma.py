"""The Polya-Gamma law."""

import math
from typing import ClassVar

import jax.numpy as jnp
import numpy as np
from jax import lax

from ppl._typing import Array, ArrayLike, Key, Shape
from ppl.distributions import constraints, random
from ppl.distributions.constraints import Constraint
from ppl.distributions.continuous.numerics import as_value, within
from ppl.distributions.continuous.triangular import prepend_ones
from ppl.distributions.distribution import Distribution
from ppl.distributions.special.elementary import HALF_LOG_2PI
from ppl.distributions.util import validate_sample


class TruncatedPolyaGamma(Distribution):
    """The Polya-Gamma law PG(1, 0), which turns logistic likelihoods into normal ones, cut at 2.5.

    PG(1, 0) is the law of `sum_k g_k / (2 pi^2 (k - 1/2)^2)`, `k` = 1, 2, ..., with independent standard exponential `g_k`. Its
    density is given by two alternating series,
    `p(x) = sum_n (-1)^n (2n + 1) exp(-(2n + 1)^2 / (8 x)) / sqrt(2 pi x^3)`, which converges fast for small `x`, and
    `p(x) = 2 pi sum_n (-1)^n (2n + 1) exp(-(2n + 1)^2 pi^2 x / 2)`, which does for large `x`; each is used on its side of 0.16.
    The cut removes a probability of 6e-6, for which the density is corrected.

    Draws are the sum with its first terms, and in place of the others a Gamma variable with their mean and variance.

    Args:
        batch_shape: the shape of the batch.
        validate_args: whether to check values in `log_prob`.

    Attributes:
        truncation_point: the upper end of the support.
        num_log_prob_terms: the number of terms of the series.
        num_gamma_variates: the number of variates in a draw.

    Example:
        >>> from ppl.distributions import TruncatedPolyaGamma
        >>> TruncatedPolyaGamma().log_prob(0.25)
        Array(0.604027, dtype=float32)

    Source: Polson, Scott & Windle (2013), "Bayesian inference for logistic models using Polya-Gamma latent variables", section 4.
    """

    truncation_point = 2.5
    num_log_prob_terms = 7
    num_gamma_variates = 8

    arg_constraints: ClassVar[dict[str, Constraint]] = {}
    support = constraints.interval(0.0, truncation_point)

    def __init__(self, batch_shape: Shape = (), *, validate_args: bool | None = None) -> None:
        super().__init__(tuple(batch_shape), validate_args=validate_args)

    def sample(self, key: Key, sample_shape: Shape = ()) -> Array:
        """Draws of shape `sample_shape + batch_shape`."""
        k_terms, k_rest = random.split(key)
        shape = self.shape(sample_shape)
        weights = 0.5 / (math.pi * (np.arange(1, self.num_gamma_variates) - 0.5)) ** 2
        # the whole sum has mean 1/4 and variance 1/24
        mean, variance = 1 / 4 - math.fsum(weights), 1 / 24 - math.fsum(weights**2)
        terms = random.exponential(k_terms, (*shape, len(weights)), self._dtype)
        rest = random.gamma(k_rest, mean**2 / variance, shape, self._dtype) * (variance / mean)
        total = (terms * prepend_ones(weights.astype(terms.dtype), terms.ndim)).sum(-1) + rest
        return jnp.minimum(total, self.truncation_point)

    @validate_sample
    def log_prob(self, value: ArrayLike) -> Array:
        x = as_value(value, self._dtype)
        inside = (x > 0) & (x <= self.truncation_point)
        seam = 0.16  # where both series converge alike, their second terms being 0.6 % of the first ones
        small = inside & (x < seam)
        low, high = jnp.where(small, x, seam), jnp.where(inside & ~small, x, seam)
        by_small = -HALF_LOG_2PI - 1.5 * lax.log(low) - 0.125 / low + self._log_series(0.125 / jnp.maximum(low, 0.01))
        by_large = math.log(2 * math.pi) - 0.5 * math.pi**2 * high + self._log_series(0.5 * math.pi**2 * high)
        density = within(inside, jnp.where(small, by_small, by_large) - self._log_mass())
        return jnp.broadcast_to(density, np.broadcast_shapes(self.batch_shape, density.shape))

    def _log_series(self, rate: Array) -> Array:
        """`log sum_n (-1)^n (2n + 1) exp(-((2n + 1)^2 - 1) rate)`, whose first term is 1."""
        odd = 2 * np.arange(1, self.num_log_prob_terms) + 1
        signed = prepend_ones(np.where(odd % 4 == 1, odd, -odd).astype(rate.dtype), rate.ndim + 1)
        squares = prepend_ones((odd**2 - 1).astype(rate.dtype), rate.ndim + 1)
        return lax.log1p((signed * jnp.exp(-squares * rate[..., None])).sum(-1))

    def _log_mass(self) -> float:
        """The logarithm of the probability that the cut leaves, from the integral of the second series."""
        odd = 2 * np.arange(self.num_log_prob_terms) + 1
        beyond = np.where(odd % 4 == 1, 4, -4) / (math.pi * odd) * np.exp(-0.5 * (math.pi * odd) ** 2 * self.truncation_point)
        return math.log1p(-math.fsum(beyond))
