"""Observations of which only a bound is known: the value was below, above, or between what is recorded."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ppl._typing import Array, ArrayLike, Key, Shape
from ppl.distributions import constraints
from ppl.distributions.constraints import Constraint
from ppl.distributions.distribution import Distribution
from ppl.distributions.distribution.validation import check_parameter
from ppl.distributions.tails import log_tails
from ppl.distributions.util import as_parameter, float_dtype, is_concrete, logdiffexp, promote_shapes, validate_sample


class _Censored(Distribution):
    """What censored distributions share: a scalar base with a distribution function, and draws that are not censored."""

    pytree_data_fields = ("base_dist",)
    base_dist: Distribution

    def _set(self, base_dist: Distribution, indicators: dict[str, ArrayLike], event_shape: Shape, validate: bool | None) -> None:
        name = type(self).__name__
        if not isinstance(base_dist, Distribution):
            raise TypeError(f"{name} needs a distribution as base_dist, but got {type(base_dist).__name__}")
        if base_dist.event_shape:
            raise ValueError(
                f"{name} censors distributions of scalars, but base_dist, {type(base_dist).__name__}, has event_shape "
                f"{base_dist.event_shape}; censor first, then use to_event."
            )
        if validate and not _has_cdf(base_dist):
            raise TypeError(
                f"{name} needs the distribution function of its base, but {type(base_dist).__name__} has no cdf; "
                "use a base_dist that has one, or sum the censored values out."
            )
        self.base_dist = base_dist
        for field, value in indicators.items():
            flag = as_parameter(value)
            if is_concrete(flag):  # validated or not: any other number than 0 would count as True
                check_parameter(type(self), field, flag, constraints.boolean)
            setattr(self, field, flag)
        batch_shape = np.broadcast_shapes(base_dist.batch_shape, *(np.shape(value) for value in indicators.values()))
        super().__init__(batch_shape, event_shape, validate_args=validate)

    @property
    def has_rsample(self) -> bool:
        return self.base_dist.has_rsample

    @property
    def _dtype(self) -> Any:
        return float_dtype(*jax.tree_util.tree_leaves(self.base_dist))

    def _uncensored(self, key: Key, sample_shape: Shape) -> Array:
        return self.base_dist.expand(self.batch_shape).sample(key, sample_shape)


def _has_cdf(d: Distribution) -> bool:
    try:
        jax.eval_shape(lambda d: d.cdf(d.support.feasible_like(jnp.zeros(d.batch_shape))), d)
    except NotImplementedError:
        return False
    return True


class _OneSided(_Censored):
    """A flag that tells where the value is a bound."""

    arg_constraints = {"censored": constraints.boolean}
    censored: Any

    def __init__(self, base_dist: Distribution, censored: ArrayLike = False, *, validate_args: bool | None = False) -> None:
        self._set(base_dist, {"censored": censored}, (), validate_args)

    @constraints.dependent_property(is_discrete=False, event_dim=0)
    def support(self) -> Constraint:
        return self.base_dist.support

    def sample(self, key: Key, sample_shape: Shape = ()) -> Array:
        return self._uncensored(key, sample_shape)

    def _log_beyond(self, value: ArrayLike) -> Array:
        """The log probability of what a censored `value` tells."""
        raise self._missing("log_prob")

    @validate_sample
    def log_prob(self, value: ArrayLike) -> Array:
        density, beyond = self.base_dist.log_prob(value), self._log_beyond(value)
        censored, density, beyond = promote_shapes(jnp.asarray(self.censored, bool), density, beyond)
        return jnp.where(censored, beyond, density)


class LeftCensoredDistribution(_OneSided):
    """A value that is exact, or where `censored` an upper bound, as under a limit of detection.

    `log p(x)` is the log density of the base, and `log P(X <= x)` where `censored`. Draws are of the base, not censored.

    Args:
        base_dist: a distribution of scalars that has a `cdf`.
        censored: where the value is a bound; broadcasts against the batch shape.
        validate_args: check the arguments, also that the base has a `cdf`.

    Raises:
        TypeError: if validated and `base_dist` has no `cdf`.
        ValueError: if `base_dist` has event dimensions, or a flag is neither 0 nor 1.

    Example:
        >>> from jax import numpy as jnp
        >>> from ppl.distributions import Exponential, LeftCensoredDistribution
        >>> LeftCensoredDistribution(Exponential(1.0), jnp.array([False, True])).log_prob(0.5)
        Array([-0.5       , -0.93275213], dtype=float32)

    Source: Klein, Moeschberger (2003), "Survival Analysis", section 3.5.
    """

    def _log_beyond(self, value: ArrayLike) -> Array:
        return log_tails(self.base_dist, value)[0]


class RightCensoredDistribution(_OneSided):
    """A value that is exact, or where `censored` a lower bound, as of a subject that leaves a study alive.

    `log p(x)` is the log density of the base, and `log P(X > x)` where `censored`. Draws are of the base, not censored.

    Args:
        base_dist: a distribution of scalars that has a `cdf`.
        censored: where the value is a bound; broadcasts against the batch shape.
        validate_args: check the arguments, also that the base has a `cdf`.

    Raises:
        TypeError: if validated and `base_dist` has no `cdf`.
        ValueError: if `base_dist` has event dimensions, or a flag is neither 0 nor 1.

    Example:
        >>> from jax import numpy as jnp
        >>> from ppl.distributions import Exponential, RightCensoredDistribution
        >>> RightCensoredDistribution(Exponential(2.0), jnp.array([False, True])).log_prob(1.5)
        Array([-2.3068528, -3.       ], dtype=float32)

    Source: Klein, Moeschberger (2003), "Survival Analysis", section 3.5.
    """

    def _log_beyond(self, value: ArrayLike) -> Array:
        return log_tails(self.base_dist, value)[1]


class IntervalCensoredDistribution(_Censored):
    """A value known to lie between two bounds, below one, above one, or outside both.

    Of `(l, u)`, the last axis of the value, `log_prob` is

    - `log P(l < X <= u)` where no flag is set, and the log density where also `l = u`;
    - `log P(X <= u)` where `left_censored`;
    - `log P(X > l)` where `right_censored`;
    - `log [P(X <= l) + P(X > u)]` where both are set.

    Draws are of the base, not censored: both bounds are the drawn value.

    Args:
        base_dist: a distribution of scalars that has a `cdf`.
        left_censored: where only the upper bound counts; broadcasts against the batch shape.
        right_censored: where only the lower bound counts; broadcasts against the batch shape.
        validate_args: check the arguments, also that the base has a `cdf`.

    Raises:
        TypeError: if validated and `base_dist` has no `cdf`.
        ValueError: if `base_dist` has event dimensions, or a flag is neither 0 nor 1.

    Example:
        >>> from jax import numpy as jnp
        >>> from ppl.distributions import IntervalCensoredDistribution, Uniform
        >>> d = IntervalCensoredDistribution(Uniform(0.0, 4.0), False, False)
        >>> jnp.exp(d.log_prob(jnp.array([1.0, 3.0])))
        Array(0.5, dtype=float32)

    Source: Klein, Moeschberger (2003), "Survival Analysis", section 3.5.
    """

    arg_constraints = {"left_censored": constraints.boolean, "right_censored": constraints.boolean}
    left_censored: Any
    right_censored: Any

    def __init__(
        self,
        base_dist: Distribution,
        left_censored: ArrayLike,
        right_censored: ArrayLike,
        *,
        validate_args: bool | None = False,
    ) -> None:
        self._set(base_dist, {"left_censored": left_censored, "right_censored": right_censored}, (2,), validate_args)

    @constraints.dependent_property(is_discrete=False, event_dim=1)
    def support(self) -> Constraint:
        return constraints.independent(self.base_dist.support, 1)

    def sample(self, key: Key, sample_shape: Shape = ()) -> Array:
        x = self._uncensored(key, sample_shape)
        return jnp.stack([x, x], -1)

    def _get_censoring_masks(self, value: ArrayLike) -> tuple[Array, Array, Array, Array, Array]:
        """Where an upper bound, a lower bound, an interval, the outside of one, or an exact value was observed."""
        value = jnp.asarray(value)
        left, right = jnp.asarray(self.left_censored, bool), jnp.asarray(self.right_censored, bool)
        left, right, exact = promote_shapes(left, right, value[..., 0] == value[..., 1])
        neither = ~left & ~right
        return left & ~right, right & ~left, neither & ~exact, left & right, neither & exact

    @validate_sample
    def log_prob(self, value: ArrayLike) -> Array:
        left, right, _, outside, exact = self._get_censoring_masks(value)
        value = jnp.asarray(value)
        low, high = value[..., 0], value[..., 1]
        (below_low, above_low), (below_high, above_high) = log_tails(self.base_dist, low), log_tails(self.base_dist, high)
        terms = (
            (exact, self.base_dist.log_prob(high)),
            (left, below_high),
            (right, above_low),
            (outside, jnp.logaddexp(below_low, above_high)),
        )
        out = self._log_mass(low, high, (below_low, above_low), (below_high, above_high), exact)
        for mask, term in terms:
            mask, term, out = promote_shapes(mask, term, out)
            out = jnp.where(mask, term, out)
        return out

    def _log_mass(self, low: Array, high: Array, at_low: Any, at_high: Any, exact: Array) -> Array:
        """`log P(low < X <= high)`: a difference in the tail where it cancels least, or Simpson's rule over a short interval."""
        (below_low, above_low), (below_high, above_high) = at_low, at_high
        in_lower_tail = below_high < above_low
        by_difference = _log_difference(
            jnp.where(in_lower_tail, below_high, above_low), jnp.where(in_lower_tail, below_low, above_high)
        )
        if self.base_dist.support.is_discrete:
            return by_difference
        width = 1e-3 if by_difference.dtype == jnp.float32 else 1e-6
        exact, by_difference, low, high = promote_shapes(exact, by_difference, low, high)
        short = (below_high - below_low < width) & (above_low - above_high < width)
        short = promote_shapes(short, by_difference)[0] & ~exact & (high > low)
        middle = low + 0.5 * (high - low)
        densities = [self.base_dist.log_prob(x) + weight for x, weight in ((low, 0.0), (middle, np.log(4.0)), (high, 0.0))]
        simpson = jax.scipy.special.logsumexp(jnp.stack(jnp.broadcast_arrays(*densities)), axis=0)
        simpson, short, gap = promote_shapes(simpson, short, jnp.log(jnp.where(high > low, high - low, 1.0) / 6.0))
        return jnp.where(short, simpson + gap, by_difference)


def _log_difference(larger: Array, smaller: Array) -> Array:
    """`log(exp(larger) - exp(smaller))`, and -inf where that is not positive."""
    positive = larger > smaller
    return jnp.where(positive, logdiffexp(jnp.where(positive, larger, 0.0), jnp.where(positive, smaller, -1.0)), -np.inf)
