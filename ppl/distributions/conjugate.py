"""Counts whose parameter is drawn from its conjugate prior and integrated out."""

from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import lax

from ppl._typing import Array, ArrayLike, Key, Shape
from ppl.distributions import constraints, random
from ppl.distributions.constraints import Constraint
from ppl.distributions.discrete.compound import (
    beta_binomial_log_prob,
    beta_negative_binomial_log_prob,
    gamma_poisson_log_prob,
    negative_binomial_logits_log_prob,
    negative_binomial_probs_log_prob,
)
from ppl.distributions.discrete.hurdle import HurdleProbs
from ppl.distributions.discrete.multinomial import Counts, dirichlet_multinomial_log_prob
from ppl.distributions.discrete.numerics import aligned, to_float
from ppl.distributions.discrete.parameters import _to_probs_bernoulli
from ppl.distributions.discrete.sampling import poisson
from ppl.distributions.discrete.shared import common_integer, filled, support_values
from ppl.distributions.discrete.zero_inflated import ZeroInflatedDistribution, ZeroInflatedLogits, ZeroInflatedProbs
from ppl.distributions.distribution.base import Distribution
from ppl.distributions.special import log_betainc_pair
from ppl.distributions.special.elementary import select
from ppl.distributions.util import assert_one_of, binomial, factory, is_concrete, lazy_property, promote_shapes, validate_sample


class BetaBinomial(Distribution):
    """Binomial counts whose probability is `Beta(concentration1, concentration0)`.

    `p(k) = C(n, k) B(k + a, n - k + b) / B(a, b)` with `n = total_count`, `a = concentration1`, `b = concentration0`.

    Args:
        concentration1: positive; with the others of shape `b`.
        concentration0: positive.
        total_count: the number of trials.
        validate_args: check parameters and values.

    Example:
        >>> from ppl import distributions as dist
        >>> round(float(dist.BetaBinomial(1.0, 1.0, 4).log_prob(2)), 4)
        -1.6094
    """

    arg_constraints = {
        "concentration1": constraints.positive,
        "concentration0": constraints.positive,
        "total_count": constraints.nonnegative_integer,
    }
    has_enumerate_support = True

    def __init__(
        self,
        concentration1: ArrayLike,
        concentration0: ArrayLike,
        total_count: ArrayLike = 1,
        *,
        validate_args: bool | None = None,
    ) -> None:
        parameters, shape = promote_shapes(concentration1, concentration0, total_count, return_shapes=True)
        self.concentration1, self.concentration0, self.total_count = parameters
        super().__init__(shape, validate_args=validate_args)

    @constraints.dependent_property(is_discrete=True, event_dim=0)
    def support(self) -> Constraint:
        return constraints.integer_interval(0, self.total_count)

    def sample(self, key: Key, sample_shape: Shape = ()) -> Array:
        k_probs, k_count = random.split(key)
        shape, dtype = self.shape(sample_shape), self._dtype
        a, b = to_float(self.concentration1, dtype), to_float(self.concentration0, dtype)
        return binomial(k_count, random.beta(k_probs, a, b, shape, dtype), self.total_count, shape)

    @validate_sample
    def log_prob(self, value: ArrayLike) -> Array:
        return beta_binomial_log_prob(*aligned(self._dtype, value, self.total_count, self.concentration1, self.concentration0))

    @property
    def mean(self) -> Array:
        a, b, n = aligned(self._dtype, self.concentration1, self.concentration0, self.total_count)
        return filled(self, n * (a / (a + b)))

    @property
    def variance(self) -> Array:
        a, b, n = aligned(self._dtype, self.concentration1, self.concentration0, self.total_count)
        s = a + b
        return filled(self, n * (a / s) * (b / s) * ((s + n) / (s + 1.0)))

    def enumerate_support(self, expand: bool = True) -> Array:
        return support_values(self, 0, common_integer(self, "total_count", self.total_count), expand)


class BetaNegativeBinomial(Distribution):
    """Negative binomial counts whose probability is `Beta(concentration1, concentration0)`.

    `p(k) = Gamma(n + k) / (k! Gamma(n)) B(a + k, b + n) / B(a, b)` with `a = concentration1`, `b = concentration0`.

    Args:
        concentration1: positive; with the others of shape `b`.
        concentration0: positive.
        n: the number of failures until the counting stops, positive.
        validate_args: check parameters and values.

    Example:
        >>> from ppl import distributions as dist
        >>> round(float(dist.BetaNegativeBinomial(3.0, 2.0, 4.0).mean), 4)
        12.0
    """

    arg_constraints = {
        "concentration1": constraints.positive,
        "concentration0": constraints.positive,
        "n": constraints.positive,
    }
    support = constraints.nonnegative_integer

    def __init__(
        self, concentration1: ArrayLike, concentration0: ArrayLike, n: ArrayLike, *, validate_args: bool | None = None
    ) -> None:
        (self.concentration1, self.concentration0, self.n), shape = promote_shapes(
            concentration1, concentration0, n, return_shapes=True
        )
        super().__init__(shape, validate_args=validate_args)

    def _parameters(self) -> tuple[Any, Any, Any]:
        return aligned(self._dtype, self.concentration1, self.concentration0, self.n)

    def sample(self, key: Key, sample_shape: Shape = ()) -> Array:
        k_odds1, k_odds0, k_rate, k_count = random.split(key, 4)
        shape, dtype = self.shape(sample_shape), self._dtype
        a, b, n = self._parameters()
        log_odds = random.loggamma(k_odds1, a, shape, dtype) - random.loggamma(k_odds0, b, shape, dtype)
        return poisson(k_count, lax.exp(random.loggamma(k_rate, n, shape, dtype) + log_odds), shape, dtype)

    @validate_sample
    def log_prob(self, value: ArrayLike) -> Array:
        return beta_negative_binomial_log_prob(*aligned(self._dtype, value, self.concentration1, self.concentration0, self.n))

    @property
    def mean(self) -> Array:
        """Infinite for `concentration0 <= 1`."""
        a, b, n = self._parameters()
        finite = b > 1
        return filled(self, select(finite, n * a / select(finite, b - 1.0, 1.0), np.inf))

    @property
    def variance(self) -> Array:
        """Infinite for `concentration0 <= 2`."""
        a, b, n = self._parameters()
        finite = b > 2
        c = select(finite, b, 3.0)
        variance = n * a * (n + c - 1.0) * (a + c - 1.0) / ((c - 2.0) * (c - 1.0) ** 2)
        return filled(self, select(finite, variance, np.inf))


class DirichletMultinomial(Counts):
    """Multinomial counts whose probabilities are `Dirichlet(concentration)`.

    `p(x) = n! Gamma(s) / Gamma(n + s) prod_i Gamma(x_i + a_i) / (x_i! Gamma(a_i))` with `a = concentration`, `s = sum_i a_i`,
    `n = total_count`.

    Args:
        concentration: positive, of shape `b + (k,)`.
        total_count: the number of trials, of a shape that broadcasts to `b`; it may differ between elements.
        total_count_max: an integer that a traced `total_count` does not exceed, needed to draw.
        validate_args: check parameters and values.

    Raises:
        ValueError: if `concentration` is a scalar; from `sample`, if `total_count` is traced and `total_count_max` is not given.

    Example:
        >>> import numpy as np
        >>> from ppl import distributions as dist
        >>> round(float(dist.DirichletMultinomial(np.ones(2), 4).log_prob(np.array([2, 2]))), 4)
        -1.6094
    """

    arg_constraints = {
        "concentration": constraints.independent(constraints.positive, 1),
        "total_count": constraints.nonnegative_integer,
    }
    concentration: Any

    def __init__(
        self,
        concentration: ArrayLike,
        total_count: ArrayLike = 1,
        *,
        total_count_max: int | None = None,
        validate_args: bool | None = None,
    ) -> None:
        shapes = self._set_counts("concentration", concentration, total_count, total_count_max)
        super().__init__(*shapes, validate_args=validate_args)

    def sample(self, key: Key, sample_shape: Shape = ()) -> Array:
        k_probs, k_counts = random.split(key)
        concentration = to_float(self.concentration, self._dtype)
        shape = (*sample_shape, *self.batch_shape)
        return self._draw(k_counts, random.dirichlet(k_probs, concentration, shape, self._dtype), sample_shape)

    @validate_sample
    def log_prob(self, value: ArrayLike) -> Array:
        return dirichlet_multinomial_log_prob(*self._aligned(value, self.concentration))

    def _probs(self) -> tuple[Array, Array]:
        a = jnp.asarray(to_float(self.concentration, self._dtype))
        total = lax.expand_dims(lax.reduce_sum(a, (a.ndim - 1,)), (a.ndim - 1,))
        return a / total, total

    @property
    def mean(self) -> Array:
        return filled(self, self._total_column() * self._probs()[0])

    @property
    def variance(self) -> Array:
        p, total = self._probs()
        n = self._total_column()
        return filled(self, n * p * (1.0 - p) * ((total + n) / (total + 1.0)))


# negative binomial laws -------------------------------------------------------------------------------------------------


class GammaPoisson(Distribution):
    """Poisson counts whose rate is `Gamma(concentration, rate)`.

    `p(k) = Gamma(a + k) / (k! Gamma(a)) (r / (1 + r))^a (1 / (1 + r))^k` with `a = concentration`, `r = rate`.

    Args:
        concentration: positive; with `rate` of shape `b`.
        rate: the rate of the Gamma law, positive; the mean is `concentration / rate`.
        validate_args: check parameters and values.

    Example:
        >>> from ppl import distributions as dist
        >>> round(float(dist.GammaPoisson(1.0, 1.0).log_prob(1)), 4)
        -1.3863
    """

    arg_constraints = {"concentration": constraints.positive, "rate": constraints.positive}
    support = constraints.nonnegative_integer
    concentration: Any
    rate: Any

    def __init__(self, concentration: ArrayLike, rate: ArrayLike = 1.0, *, validate_args: bool | None = None) -> None:
        (self.concentration, self.rate), shape = promote_shapes(concentration, rate, return_shapes=True)
        super().__init__(shape, validate_args=validate_args)

    def _mean(self) -> Array:
        """The mean, unbroadcast."""
        a, rate = aligned(self._dtype, self.concentration, self.rate)
        return a / rate

    def sample(self, key: Key, sample_shape: Shape = ()) -> Array:
        k_rate, k_count = random.split(key)
        shape, dtype = self.shape(sample_shape), self._dtype
        a, mean = (jnp.broadcast_to(x, shape) for x in (to_float(self.concentration, dtype), self._mean()))
        return poisson(k_count, random.gamma(k_rate, a, shape, dtype) * (mean / a), shape, dtype)

    @validate_sample
    def log_prob(self, value: ArrayLike) -> Array:
        return gamma_poisson_log_prob(*aligned(self._dtype, value, self.concentration, self._mean()))

    @property
    def mean(self) -> Array:
        return filled(self, self._mean())

    @property
    def variance(self) -> Array:
        a, mean = aligned(self._dtype, self.concentration, self._mean())
        return filled(self, mean * (1.0 + mean / a))

    def cdf(self, value: ArrayLike) -> Array:
        k, a, mean = jnp.broadcast_arrays(*aligned(self._dtype, value, self.concentration, self._mean()))
        inside = k >= 0
        above = lax.floor(select(inside, k, 0.0)) + 1.0
        failure = lax.max(a / (a + mean), a.dtype.type(jnp.finfo(a.dtype).tiny))
        return select(inside, lax.exp(log_betainc_pair(a, above, failure, 1.0 / (1.0 + a / mean))[0]), 0.0)


class NegativeBinomialProbs(GammaPoisson):
    """The number of successes before `total_count` failures: `p(k) = Gamma(r + k) / (k! Gamma(r)) probs^k (1 - probs)^r`.

    Args:
        total_count: the number of failures `r`, positive, not necessarily an integer; with `probs` of shape `b`.
        probs: the probability of success, in [0, 1).
        validate_args: check parameters and values.

    Example:
        >>> from ppl import distributions as dist
        >>> round(float(dist.NegativeBinomialProbs(2.0, 0.5).mean), 4)
        2.0
    """

    arg_constraints = {"total_count": constraints.positive, "probs": constraints.unit_interval}

    def __init__(self, total_count: ArrayLike, probs: ArrayLike, *, validate_args: bool | None = None) -> None:
        (self.total_count, self.probs), shape = promote_shapes(total_count, probs, return_shapes=True)
        Distribution.__init__(self, shape, validate_args=validate_args)

    @property
    def concentration(self) -> Any:
        return self.total_count

    @lazy_property
    def rate(self) -> Array:
        return jnp.asarray(1.0 / to_float(self.probs, self._dtype) - 1.0)

    def _mean(self) -> Array:
        r, p = aligned(self._dtype, self.total_count, self.probs)
        return r * (p / (1.0 - p))

    @validate_sample
    def log_prob(self, value: ArrayLike) -> Array:
        return negative_binomial_probs_log_prob(*aligned(self._dtype, value, self.total_count, self.probs))


class NegativeBinomialLogits(GammaPoisson):
    """The number of successes, with log odds `l`, before `total_count` failures.

    `log p(k) = log [Gamma(r + k) / (k! Gamma(r))] + k l - (r + k) log(1 + exp(l))`.

    Args:
        total_count: the number of failures `r`, positive, not necessarily an integer; with `logits` of shape `b`.
        logits: the log odds of success; the mean is `total_count * exp(logits)`.
        validate_args: check parameters and values.

    Example:
        >>> from ppl import distributions as dist
        >>> round(float(dist.NegativeBinomialLogits(2.0, 0.0).mean), 4)
        2.0
    """

    arg_constraints = {"total_count": constraints.positive, "logits": constraints.real}

    def __init__(self, total_count: ArrayLike, logits: ArrayLike, *, validate_args: bool | None = None) -> None:
        (self.total_count, self.logits), shape = promote_shapes(total_count, logits, return_shapes=True)
        Distribution.__init__(self, shape, validate_args=validate_args)

    @property
    def concentration(self) -> Any:
        return self.total_count

    @lazy_property
    def rate(self) -> Array:
        return jnp.exp(-to_float(self.logits, self._dtype))

    @lazy_property
    def probs(self) -> Array:
        return _to_probs_bernoulli(self.logits)

    def _mean(self) -> Array:
        r, logits = aligned(self._dtype, self.total_count, self.logits)
        return r * lax.exp(logits)

    @validate_sample
    def log_prob(self, value: ArrayLike) -> Array:
        return negative_binomial_logits_log_prob(*aligned(self._dtype, value, self.total_count, self.logits))


class _MeanParameter:
    """The attribute `mean` of a law that has its mean as parameter: kept as given, shown in the shape of the batch."""

    def __get__(self, instance: Any, owner: type) -> Any:
        return self if instance is None else filled(instance, instance.__dict__["mean"])

    def __set__(self, instance: Any, value: Any) -> None:
        instance.__dict__["mean"] = value


class NegativeBinomial2(GammaPoisson):
    """Counts with a given mean and variance `mean + mean^2 / concentration`: Poisson's law as the concentration grows.

    Args:
        mean: >= 0; with `concentration` of shape `b`.
        concentration: positive.
        validate_args: check parameters and values.

    Example:
        >>> from ppl import distributions as dist
        >>> round(float(dist.NegativeBinomial2(2.0, 4.0).variance), 4)
        3.0
    """

    arg_constraints = {"mean": constraints.nonnegative, "concentration": constraints.positive}
    mean = _MeanParameter()

    def __init__(self, mean: ArrayLike, concentration: ArrayLike, *, validate_args: bool | None = None) -> None:
        (self.mean, self.concentration), shape = promote_shapes(mean, concentration, return_shapes=True)
        Distribution.__init__(self, shape, validate_args=validate_args)

    @lazy_property
    def rate(self) -> Array:
        concentration, mean = aligned(self._dtype, self.concentration, self._mean())
        return jnp.asarray(concentration / mean)

    def _mean(self) -> Array:
        return to_float(self.__dict__["mean"], self._dtype)


@factory
def NegativeBinomial(
    total_count: ArrayLike,
    probs: ArrayLike | None = None,
    logits: ArrayLike | None = None,
    *,
    validate_args: bool | None = None,
) -> NegativeBinomialProbs | NegativeBinomialLogits:
    """`NegativeBinomialProbs` or `NegativeBinomialLogits`.

    Raises:
        ValueError: unless exactly one of `probs`, `logits` is given.
    """
    assert_one_of(probs=probs, logits=logits)
    if probs is not None:
        return NegativeBinomialProbs(total_count, probs, validate_args=validate_args)
    return NegativeBinomialLogits(total_count, logits, validate_args=validate_args)


@factory
def ZeroInflatedNegativeBinomial2(
    mean: ArrayLike,
    concentration: ArrayLike,
    *,
    gate: ArrayLike | None = None,
    gate_logits: ArrayLike | None = None,
    validate_args: bool | None = None,
) -> ZeroInflatedProbs | ZeroInflatedLogits:
    """`ZeroInflatedDistribution` over `NegativeBinomial2`.

    Raises:
        ValueError: unless exactly one of `gate`, `gate_logits` is given.
    """
    base = NegativeBinomial2(mean, concentration, validate_args=validate_args)
    return ZeroInflatedDistribution(base, gate=gate, gate_logits=gate_logits, validate_args=validate_args)


@factory
def HurdleNegativeBinomial2(
    gate: ArrayLike, mean: ArrayLike, concentration: ArrayLike, *, validate_args: bool | None = None
) -> HurdleProbs:
    """`HurdleProbs` over `NegativeBinomial2` with a positive mean.

    Raises:
        ValueError: if the mean is not positive.
    """
    base = NegativeBinomial2(mean, concentration, validate_args=validate_args)
    checked = Distribution._validate_args if validate_args is None else validate_args
    if checked and is_concrete(mean) and not np.all(np.asarray(mean) > 0):
        error = ValueError("HurdleNegativeBinomial2 distribution got invalid mean parameter.")
        error.add_note(f"found {mean!r}; expected positive values, for a count that is not zero needs a positive mean")
        raise error
    return HurdleProbs(base, gate, validate_args=validate_args)
