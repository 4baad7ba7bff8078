"""Numbers of things: successes in trials, events in a time, and the discrete uniform law."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from ppl._typing import Array, ArrayLike, Key, Shape
from ppl.distributions import constraints, random
from ppl.distributions.constraints import Constraint
from ppl.distributions.discrete.numerics import (
    aligned,
    binomial_excess,
    binomial_reference,
    log_count_constant,
    scaled_log_ratio,
    to_float,
)
from ppl.distributions.discrete.parameters import _to_logits_bernoulli, _to_probs_bernoulli
from ppl.distributions.discrete.sampling import int_dtype, poisson
from ppl.distributions.discrete.shared import common_integer, filled, support_values
from ppl.distributions.distribution.base import Distribution
from ppl.distributions.special import log_betainc_pair, log_gammainc_pair
from ppl.distributions.special.elementary import select
from ppl.distributions.util import (
    Tracer,
    as_parameter,
    assert_one_of,
    binomial,
    factory,
    lazy_property,
    promote_shapes,
    validate_sample,
)


class _Binomial(Distribution):
    """What both parametrizations share."""

    has_enumerate_support = True
    probs: Any
    logits: Any
    total_count: Any

    @constraints.dependent_property(is_discrete=True, event_dim=0)
    def support(self) -> Constraint:
        return constraints.integer_interval(0, self.total_count)

    def sample(self, key: Key, sample_shape: Shape = ()) -> Array:
        return binomial(key, to_float(self.probs, self._dtype), self.total_count, self.shape(sample_shape))

    @property
    def mean(self) -> Array:
        n, p = aligned(self._dtype, self.total_count, self.probs)
        return filled(self, n * p)

    def _failure(self) -> Any:
        """`1 - p`, with all its digits where it is small."""
        raise self._missing("cdf")

    @property
    def variance(self) -> Array:
        n, p, q = aligned(self._dtype, self.total_count, self.probs, self._failure())
        return filled(self, n * p * q)

    def cdf(self, value: ArrayLike) -> Array:
        """`I_{1 - p}(n - k, k + 1)`, a regularized incomplete beta function, with `k` the value rounded down."""
        x, n, p, q = jnp.broadcast_arrays(*aligned(self._dtype, value, self.total_count, self.probs, self._failure()))
        k = jnp.floor(x)
        inside = (k >= 0) & (k < n)
        failures, successes = select(inside, n - k, 1.0), select(inside, k + 1.0, 1.0)
        return select(inside, lax.exp(log_betainc_pair(successes, failures, p, q)[1]), select(k < 0, 0.0, jnp.ones_like(x)))

    def enumerate_support(self, expand: bool = True) -> Array:
        return support_values(self, 0, common_integer(self, "total_count", self.total_count), expand)


def split_trials(k: Array, n: Array) -> tuple[Array, Array, Array]:
    """Whether `0 <= k <= n`, successes and failures (0 outside)."""
    j = n - k
    inside = (k >= 0) & (j >= 0)
    return inside, select(inside, k, 0.0), select(inside, j, 0.0)


# In the densities, what depends on the count alone comes last: a loop over parameters computes it once.


@jax.jit
def binomial_probs_log_prob(k: Array, n: Array, probs: Array) -> Array:
    """`log C(n, k) + k log(probs) + (n - k) log(1 - probs)`, -inf outside; of floating point arrays of one rank."""
    inside, k, j = split_trials(k, n)
    excess = n * probs - k
    fit = scaled_log_ratio(k, excess, n * probs) + scaled_log_ratio(j, -excess, n * (1.0 - probs))
    return fit + select(inside, log_count_constant(k) + log_count_constant(j) - log_count_constant(n), -np.inf)


@jax.jit
def binomial_logits_log_prob(k: Array, n: Array, logits: Array) -> Array:
    """`log C(n, k) + k logits - n log(1 + exp(logits))`, -inf outside; of floating point arrays of one rank."""
    inside, k, j = split_trials(k, n)
    return binomial_excess(k, j, logits) + select(inside, binomial_reference(k, j), -np.inf)


@jax.jit
def poisson_log_prob(k: Array, rate: Array) -> Array:
    """`k log(rate) - rate - log k!`, -inf for `k < 0`; of floating point arrays of one rank."""
    inside = k >= 0
    k = select(inside, k, 0.0)
    excess = rate - k
    return (scaled_log_ratio(k, excess, rate) - excess) + select(inside, log_count_constant(k), -np.inf)


class BinomialProbs(_Binomial):
    """The number of successes in trials: `p(k) = C(total_count, k) probs^k (1 - probs)^(total_count - k)`.

    Args:
        probs: the probability of success, in [0, 1]; with `total_count` of shape `b`.
        total_count: the number of trials.
        validate_args: check parameters and values.

    Example:
        >>> from ppl import distributions as dist
        >>> round(float(dist.BinomialProbs(0.5, 4).log_prob(2)), 4)
        -0.9808
    """

    arg_constraints = {"probs": constraints.unit_interval, "total_count": constraints.nonnegative_integer}

    def __init__(self, probs: ArrayLike, total_count: ArrayLike = 1, *, validate_args: bool | None = None) -> None:
        (self.probs, self.total_count), shape = promote_shapes(probs, total_count, return_shapes=True)
        super().__init__(shape, validate_args=validate_args)

    @lazy_property
    def logits(self) -> Array:
        return _to_logits_bernoulli(self.probs)

    @validate_sample
    def log_prob(self, value: ArrayLike) -> Array:
        return binomial_probs_log_prob(*aligned(self._dtype, value, self.total_count, self.probs))

    def _failure(self) -> Any:
        return 1.0 - to_float(self.probs, self._dtype)


class BinomialLogits(_Binomial):
    """The number of successes in trials with log odds `l`: `log p(k) = log C(n, k) + k l - n log(1 + exp(l))`, n = total_count.

    Args:
        logits: the log odds of success; with `total_count` of shape `b`.
        total_count: the number of trials.
        validate_args: check parameters and values.

    Example:
        >>> from ppl import distributions as dist
        >>> round(float(dist.BinomialLogits(0.0, 4).log_prob(2)), 4)
        -0.9808
    """

    arg_constraints = {"logits": constraints.real, "total_count": constraints.nonnegative_integer}

    def __init__(self, logits: ArrayLike, total_count: ArrayLike = 1, *, validate_args: bool | None = None) -> None:
        (self.logits, self.total_count), shape = promote_shapes(logits, total_count, return_shapes=True)
        super().__init__(shape, validate_args=validate_args)

    @lazy_property
    def probs(self) -> Array:
        return _to_probs_bernoulli(self.logits)

    @validate_sample
    def log_prob(self, value: ArrayLike) -> Array:
        return binomial_logits_log_prob(*aligned(self._dtype, value, self.total_count, self.logits))

    def _failure(self) -> Any:
        return lax.logistic(-to_float(self.logits, self._dtype))


@factory
def Binomial(
    total_count: ArrayLike = 1,
    probs: ArrayLike | None = None,
    logits: ArrayLike | None = None,
    *,
    validate_args: bool | None = None,
) -> BinomialProbs | BinomialLogits:
    """`BinomialProbs` or `BinomialLogits`.

    Raises:
        ValueError: unless exactly one of `probs`, `logits` is given.
    """
    assert_one_of(probs=probs, logits=logits)
    if probs is not None:
        return BinomialProbs(probs, total_count, validate_args=validate_args)
    return BinomialLogits(logits, total_count, validate_args=validate_args)


class Poisson(Distribution):
    """The number of events at a constant rate: `p(k) = rate^k exp(-rate) / k!`.

    Args:
        rate: the mean, >= 0, any shape `b`.
        is_sparse: compute the terms of `k` only where the value is not zero; the values must be concrete then.
        validate_args: check parameters and values.

    Raises:
        TypeError: from `log_prob`, if `is_sparse` and the value is traced.

    Example:
        >>> from ppl import distributions as dist
        >>> round(float(dist.Poisson(2.0).log_prob(0)), 4)
        -2.0
    """

    arg_constraints = {"rate": constraints.greater_than_eq(0.0)}
    support = constraints.nonnegative_integer
    pytree_aux_fields = ("is_sparse",)

    def __init__(self, rate: ArrayLike, *, is_sparse: bool = False, validate_args: bool | None = None) -> None:
        self.rate = as_parameter(rate)
        self.is_sparse = is_sparse
        super().__init__(np.shape(self.rate), validate_args=validate_args)

    def sample(self, key: Key, sample_shape: Shape = ()) -> Array:
        return poisson(key, self.rate, self.shape(sample_shape), self._dtype)

    @validate_sample
    def log_prob(self, value: ArrayLike) -> Array:
        if self.is_sparse and np.size(value) > 1:
            return self._sparse_log_prob(value)
        return poisson_log_prob(*aligned(self._dtype, value, self.rate))

    def _sparse_log_prob(self, value: ArrayLike) -> Array:
        if isinstance(value, Tracer):
            raise TypeError(
                "Poisson(is_sparse=True).log_prob needs concrete counts, but got a traced value: close over the data, "
                "or use is_sparse=False"
            )
        value = np.asarray(value)
        rate = to_float(self.rate, self._dtype)
        shape = np.broadcast_shapes(value.shape, np.shape(rate))
        rate = jnp.broadcast_to(rate, shape)
        where = np.nonzero(np.broadcast_to(value, shape))
        count, at = to_float(np.broadcast_to(value, shape)[where], rate.dtype), rate[where]
        return (-rate).at[where].set(poisson_log_prob(count, at), unique_indices=True)

    @property
    def mean(self) -> Array:
        return filled(self, self.rate)

    @property
    def variance(self) -> Array:
        return filled(self, self.rate)

    def cdf(self, value: ArrayLike) -> Array:
        k, rate = aligned(self._dtype, value, self.rate)
        k, rate = jnp.broadcast_arrays(jnp.floor(k), rate)
        return select(k >= 0, lax.exp(log_gammainc_pair(select(k >= 0, k, 0.0) + 1.0, rate)[1]), 0.0)


class DiscreteUniform(Distribution):
    """Every integer from `low` to `high`, both included, with the same probability.

    Args:
        low: the smallest value.
        high: the largest value; with `low` of shape `b`.
        validate_args: check parameters and values.

    Raises:
        ValueError: if `low` exceeds `high`.

    Example:
        >>> from ppl import distributions as dist
        >>> dist.DiscreteUniform(2, 4).enumerate_support().tolist()
        [2, 3, 4]
    """

    arg_constraints = {
        "low": constraints.dependent(is_discrete=True, event_dim=0),
        "high": constraints.dependent(is_discrete=True, event_dim=0),
    }
    has_enumerate_support = True
    _bounds_may_touch = True

    def __init__(self, low: ArrayLike = 0, high: ArrayLike = 1, *, validate_args: bool | None = None) -> None:
        (self.low, self.high), shape = promote_shapes(low, high, return_shapes=True)
        super().__init__(shape, validate_args=validate_args)

    @constraints.dependent_property(is_discrete=True, event_dim=0)
    def support(self) -> Constraint:
        return constraints.integer_interval(self.low, self.high)

    def _size(self) -> tuple[Any, Any]:
        low, high = aligned(self._dtype, self.low, self.high)
        return low, high - low + 1.0

    def sample(self, key: Key, sample_shape: Shape = ()) -> Array:
        shape, dtype = self.shape(sample_shape), int_dtype()
        low, high = (jnp.broadcast_to(jnp.asarray(x, dtype), shape) for x in (self.low, self.high))
        return random.randint(key, shape, low, high + 1, dtype)

    @validate_sample
    def log_prob(self, value: ArrayLike) -> Array:
        x, low, high = aligned(self._dtype, value, self.low, self.high)
        return select((x >= low) & (x <= high), -jnp.log(high - low + 1.0), -np.inf)

    @property
    def mean(self) -> Array:
        low, n = self._size()
        return filled(self, low + 0.5 * (n - 1.0))

    @property
    def variance(self) -> Array:
        _, n = self._size()
        return filled(self, (n * n - 1.0) / 12.0)

    def cdf(self, value: ArrayLike) -> Array:
        x, low, high = aligned(self._dtype, value, self.low, self.high)
        return jnp.clip((jnp.floor(x) - low + 1.0) / (high - low + 1.0), 0.0, 1.0)

    def icdf(self, q: ArrayLike) -> Array:
        """The smallest value whose distribution function reaches `q`, up to rounding of `q`."""
        q, low, high = aligned(self._dtype, q, self.low, self.high)
        n = high - low + 1.0
        steps = jnp.ceil(q * n * (1.0 - 4.0 * float(jnp.finfo(self._dtype).eps)))
        return (low + jnp.clip(steps - 1.0, 0.0, n - 1.0)).astype(int_dtype())

    def entropy(self) -> Array:
        return filled(self, jnp.log(self._size()[1]))

    def enumerate_support(self, expand: bool = True) -> Array:
        low, high = (common_integer(self, name, getattr(self, name)) for name in ("low", "high"))
        return support_values(self, low, high, expand)
