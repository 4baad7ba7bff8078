"""Bernoulli trials: one outcome, and the number of failures before the first success."""

import math
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import lax

from ppl._typing import Array, ArrayLike, Key, Shape
from ppl.distributions import constraints, random
from ppl.distributions.discrete.numerics import aligned, log_odds_kernel, log_outcome_kernel, log_probs_kernel, to_float
from ppl.distributions.discrete.parameters import _to_logits_bernoulli, _to_probs_bernoulli
from ppl.distributions.discrete.sampling import bernoulli, int_dtype
from ppl.distributions.discrete.shared import filled, support_values
from ppl.distributions.distribution.base import Distribution
from ppl.distributions.special.elementary import select
from ppl.distributions.util import as_parameter, assert_one_of, factory, lazy_property, promote_shapes, softplus, validate_sample


class _Trial(Distribution):
    """A law of Bernoulli trials with `probs`, whose log odds are `logits`."""

    probs: Any
    logits: Any

    def _probs(self) -> Array:
        return to_float(self.probs, self._dtype)

    def _failure(self) -> Array:
        """`1 - probs`, with all its digits where it is small."""
        if "probs" in self.arg_constraints:
            return 1.0 - self._probs()
        return lax.logistic(-to_float(self.logits, self._dtype))

    def _entropy_of_trial(self) -> Array:
        """`-p log p - (1 - p) log(1 - p)`."""
        return self._probs_entropy() if "probs" in self.arg_constraints else self._logits_entropy()

    def _probs_entropy(self) -> Array:
        p = self._probs()
        return -log_probs_kernel(p, 1.0 - p, p)

    def _logits_entropy(self) -> Array:
        # written in |l|: the entropy is even, and the small probability keeps its digits
        size = lax.abs(to_float(self.logits, self._dtype))
        return softplus(-size) + size * lax.logistic(-size)


class _Bernoulli(_Trial):
    """What both parametrizations share."""

    support = constraints.boolean
    has_enumerate_support = True

    def sample(self, key: Key, sample_shape: Shape = ()) -> Array:
        return bernoulli(key, self._probs(), self.shape(sample_shape))

    @property
    def mean(self) -> Array:
        return filled(self, self._probs())

    @property
    def variance(self) -> Array:
        return filled(self, self._probs() * self._failure())

    @property
    def mode(self) -> Array:
        """1 where `probs` exceeds one half."""
        return filled(self, self._probs() > 0.5)

    def entropy(self) -> Array:
        return filled(self, self._entropy_of_trial())

    def cdf(self, value: ArrayLike) -> Array:
        """0 below 0, `1 - probs` from 0 to 1, 1 from there on."""
        x, failure = aligned(self._dtype, value, self._failure())
        return select(x < 0, 0.0, select(x < 1, failure, 1.0))

    def enumerate_support(self, expand: bool = True) -> Array:
        return support_values(self, 0, 1, expand)


class BernoulliProbs(_Bernoulli):
    """The outcome 0 or 1 of a trial: `p(x) = probs^x (1 - probs)^(1 - x)`.

    Args:
        probs: the probability of 1, in [0, 1], any shape `b`. Its log odds are the attribute `logits`.
        validate_args: check parameters and values.

    Example:
        >>> from ppl import distributions as dist
        >>> round(float(dist.BernoulliProbs(0.25).log_prob(1)), 4)
        -1.3863
    """

    arg_constraints = {"probs": constraints.unit_interval}

    def __init__(self, probs: ArrayLike, *, validate_args: bool | None = None) -> None:
        self.probs = as_parameter(probs)
        super().__init__(np.shape(self.probs), validate_args=validate_args)

    @lazy_property
    def logits(self) -> Array:
        return _to_logits_bernoulli(self.probs)

    @validate_sample
    def log_prob(self, value: ArrayLike) -> Array:
        # one logarithm for each element, or two for each probability: these are as long as three
        outcomes = math.prod(np.broadcast_shapes(np.shape(value), np.shape(self.probs)))
        if jnp.result_type(value).kind in "biu" and outcomes <= 3 * np.size(self.probs):
            outcome, probs = promote_shapes(jnp.not_equal(value, 0), self.probs)
            return log_outcome_kernel(outcome, to_float(probs, self._dtype))
        x, probs = aligned(self._dtype, value, self.probs)
        return log_probs_kernel(x, 1.0 - x, probs)


class BernoulliLogits(_Bernoulli):
    """The outcome 0 or 1 of a trial with log odds `l`: `log p(x) = x l - log(1 + exp(l))`.

    Args:
        logits: the log odds of 1, any shape `b`. The probability is the attribute `probs`.
        validate_args: check parameters and values.

    Example:
        >>> from ppl import distributions as dist
        >>> round(float(dist.BernoulliLogits(0.0).log_prob(1)), 4)
        -0.6931
    """

    arg_constraints = {"logits": constraints.real}

    def __init__(self, logits: ArrayLike, *, validate_args: bool | None = None) -> None:
        self.logits = as_parameter(logits)
        super().__init__(np.shape(self.logits), validate_args=validate_args)

    @lazy_property
    def probs(self) -> Array:
        return _to_probs_bernoulli(self.logits)

    @validate_sample
    def log_prob(self, value: ArrayLike) -> Array:
        x, logits = aligned(self._dtype, value, self.logits)
        return log_odds_kernel(x, np.ones((), logits.dtype), logits)


@factory
def Bernoulli(
    probs: ArrayLike | None = None, logits: ArrayLike | None = None, *, validate_args: bool | None = None
) -> BernoulliProbs | BernoulliLogits:
    """`BernoulliProbs` or `BernoulliLogits`.

    Raises:
        ValueError: unless exactly one of `probs`, `logits` is given.
    """
    assert_one_of(probs=probs, logits=logits)
    if probs is not None:
        return BernoulliProbs(probs, validate_args=validate_args)
    return BernoulliLogits(logits, validate_args=validate_args)


class _Geometric(_Trial):
    """What both parametrizations share."""

    support = constraints.nonnegative_integer

    def _log_failure(self) -> Array:
        """`log(1 - p)`."""
        raise NotImplementedError

    def sample(self, key: Key, sample_shape: Shape = ()) -> Array:
        shape, dtype = self.shape(sample_shape), self._dtype
        rate = jnp.broadcast_to(-self._log_failure(), shape)
        certain = rate == np.inf
        count = lax.floor(random.exponential(key, shape, dtype) / select(certain, 1.0, rate))
        count = select(certain, 0.0, lax.min(count, jnp.asarray(0.5 * jnp.iinfo(int_dtype()).max, dtype)))
        return lax.convert_element_type(count, int_dtype())

    @property
    def mean(self) -> Array:
        p = self._probs()
        return filled(self, 1.0 / p - 1.0)

    @property
    def variance(self) -> Array:
        p = self._probs()
        return filled(self, (1.0 / p - 1.0) / p)

    @property
    def mode(self) -> Array:
        """Zero."""
        return filled(self, 0.0)

    def entropy(self) -> Array:
        return filled(self, self._entropy_of_trial() / self._probs())

    def cdf(self, value: ArrayLike) -> Array:
        """`1 - (1 - p)^(k + 1)` with `k` the value rounded down."""
        x, log_failure = aligned(self._dtype, value, self._log_failure())
        trials = lax.max(jnp.floor(x), jnp.full_like(x, -1.0)) + 1.0
        return select(trials * jnp.ones_like(log_failure) > 0, -jnp.expm1(trials * log_failure), 0.0)


class GeometricProbs(_Geometric):
    """The number of failures before the first success: `p(k) = probs (1 - probs)^k`, k = 0, 1, ...

    Args:
        probs: the probability of success, in [0, 1], any shape `b`.
        validate_args: check parameters and values.

    Example:
        >>> from ppl import distributions as dist
        >>> round(float(dist.GeometricProbs(0.25).mean), 4)
        3.0
    """

    arg_constraints = {"probs": constraints.unit_interval}

    def __init__(self, probs: ArrayLike, *, validate_args: bool | None = None) -> None:
        self.probs = as_parameter(probs)
        super().__init__(np.shape(self.probs), validate_args=validate_args)

    @lazy_property
    def logits(self) -> Array:
        return _to_logits_bernoulli(self.probs)

    def _log_failure(self) -> Array:
        return jnp.log1p(-self._probs())

    @validate_sample
    def log_prob(self, value: ArrayLike) -> Array:
        k, probs = aligned(self._dtype, value, self.probs)
        return log_probs_kernel(np.ones((), probs.dtype), k, probs)


class GeometricLogits(_Geometric):
    """The number of failures before the first success, by the log odds `l` of success: `log p(k) = l - (k + 1) log(1 + exp(l))`.

    Args:
        logits: the log odds of success, any shape `b`.
        validate_args: check parameters and values.

    Example:
        >>> from ppl import distributions as dist
        >>> round(float(dist.GeometricLogits(0.0).log_prob(1)), 4)
        -1.3863
    """

    arg_constraints = {"logits": constraints.real}

    def __init__(self, logits: ArrayLike, *, validate_args: bool | None = None) -> None:
        self.logits = as_parameter(logits)
        super().__init__(np.shape(self.logits), validate_args=validate_args)

    @lazy_property
    def probs(self) -> Array:
        return _to_probs_bernoulli(self.logits)

    def _log_failure(self) -> Array:
        return -softplus(jnp.asarray(to_float(self.logits, self._dtype)))

    @validate_sample
    def log_prob(self, value: ArrayLike) -> Array:
        k, logits = aligned(self._dtype, value, self.logits)
        return log_odds_kernel(np.ones((), logits.dtype), k + 1.0, logits)


@factory
def Geometric(
    probs: ArrayLike | None = None, logits: ArrayLike | None = None, *, validate_args: bool | None = None
) -> GeometricProbs | GeometricLogits:
    """`GeometricProbs` or `GeometricLogits`.

    Raises:
        ValueError: unless exactly one of `probs`, `logits` is given.
    """
    assert_one_of(probs=probs, logits=logits)
    if probs is not None:
        return GeometricProbs(probs, validate_args=validate_args)
    return GeometricLogits(logits, validate_args=validate_args)
