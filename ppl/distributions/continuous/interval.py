"""Families on bounded intervals."""

from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.scipy.special import digamma

from ppl._typing import Array, ArrayLike, Key, Shape
from ppl.distributions import constraints, random
from ppl.distributions.constraints import Constraint
from ppl.distributions.continuous.numerics import (
    as_value,
    digamma_rest,
    filled,
    inside_unit,
    times_log,
    times_log1p,
    times_log_ratio,
    with_value,
    within,
)
from ppl.distributions.distribution import Distribution, TransformedDistribution
from ppl.distributions.special import betainc, betaincinv, log_beta, stirling_remainder
from ppl.distributions.special.elementary import HALF_LOG_2PI, is_number, log, log1mexp, operands
from ppl.distributions.transforms import ExpTransform
from ppl.distributions.util import as_operand, is_concrete, promote_shapes, validate_sample


class Uniform(Distribution):
    """The uniform distribution on `[low, high]`: `log p(x) = -log(high - low)` inside, -inf outside.

    Args:
        low: the lower end.
        high: the upper end, above `low`.

    Example:
        >>> from ppl.distributions import Uniform
        >>> Uniform(0.0, 2.0).log_prob(0.5)
        Array(-0.69315, dtype=float32)
    """

    arg_constraints = {
        "low": constraints.dependent(is_discrete=False, event_dim=0),
        "high": constraints.dependent(is_discrete=False, event_dim=0),
    }
    reparametrized_params = ["low", "high"]

    def __init__(self, low: ArrayLike = 0.0, high: ArrayLike = 1.0, *, validate_args: bool | None = None) -> None:
        (self.low, self.high), batch_shape = promote_shapes(low, high, return_shapes=True)
        super().__init__(batch_shape, validate_args=validate_args)

    @constraints.dependent_property(is_discrete=False, event_dim=0)
    def support(self) -> Constraint:
        return constraints.interval(self.low, self.high)

    def sample(self, key: Key, sample_shape: Shape = ()) -> Array:
        return self.icdf(random.uniform(key, self.shape(sample_shape), self._dtype))

    @validate_sample
    def log_prob(self, value: ArrayLike) -> Array:
        value, low, high = with_value(value, self.low, self.high)
        log_width = jnp.asarray(log(high - low), value.dtype)
        return within((value >= low) & (value <= high), -log_width)

    def cdf(self, value: ArrayLike) -> Array:
        value, low, high = with_value(value, self.low, self.high)
        return jnp.clip((value - low) / (high - low), 0.0, 1.0)

    def icdf(self, q: ArrayLike) -> Array:
        q, low, high = with_value(q, self.low, self.high)
        return low + q * (high - low)

    @property
    def mean(self) -> Array:
        return filled(self.low + 0.5 * (self.high - self.low), self.batch_shape, self._dtype)

    @property
    def variance(self) -> Array:
        return filled((self.high - self.low) ** 2 / 12.0, self.batch_shape, self._dtype)

    def entropy(self) -> Array:
        return filled(log(self.high - self.low), self.batch_shape, self._dtype)


def _log_bound(x: ArrayLike) -> Any:
    return log(as_operand(x)) if is_concrete(x) else log(x)


class LogUniform(TransformedDistribution):
    """The distribution whose logarithm is uniform: `log p(x) = -log x - log log(high / low)` on `[low, high]`.

    Args:
        low: the lower end, positive.
        high: the upper end, above `low`.

    Example:
        >>> from ppl.distributions import LogUniform
        >>> LogUniform(1.0, 100.0).icdf(0.5)
        Array(10., dtype=float32)
    """

    arg_constraints = {"low": constraints.positive, "high": constraints.positive}
    reparametrized_params = ["low", "high"]

    def __init__(self, low: ArrayLike, high: ArrayLike, *, validate_args: bool | None = None) -> None:
        self.low, self.high = promote_shapes(low, high)
        base = Uniform(_log_bound(self.low), _log_bound(self.high), validate_args=False)
        super().__init__(base, ExpTransform(), validate_args=validate_args)

    @constraints.dependent_property(is_discrete=False, event_dim=0)
    def support(self) -> Constraint:
        return constraints.interval(self.low, self.high)

    def sample(self, key: Key, sample_shape: Shape = ()) -> Array:
        return self.icdf(random.uniform(key, self.shape(sample_shape), self._dtype))

    @validate_sample
    def log_prob(self, value: ArrayLike, intermediates: list[Any] | None = None) -> Array:
        value, low, high = with_value(value, self.low, self.high)
        inside = (value >= low) & (value <= high)
        return within(inside, -lax.log(jnp.where(inside, value, 1.0)) - log(log(high / low)))

    def cdf(self, value: ArrayLike) -> Array:
        value, low, high = with_value(value, self.low, self.high)
        return jnp.log(jnp.clip(value, low, high) / low) / log(high / low)

    def icdf(self, q: ArrayLike) -> Array:
        q, low, high = with_value(q, self.low, self.high)
        return jnp.clip(low * jnp.exp(q * log(high / low)), low, high)

    @property
    def mean(self) -> Array:
        low, high = operands(self.low, self.high)
        return (high - low) / jnp.log(high / low)

    @property
    def variance(self) -> Array:
        low, high = operands(self.low, self.high)
        span = jnp.log(high / low)
        return (high - low) / span * (0.5 * (high + low) - (high - low) / span)

    def entropy(self) -> Array:
        low, high = operands(self.low, self.high)
        return 0.5 * (jnp.log(low) + jnp.log(high)) + jnp.log(jnp.log(high / low))


def _beta_log_density(a: ArrayLike, b: ArrayLike, x: Array) -> Array:
    """`(a - 1) log x + (b - 1) log(1 - x) - log B(a, b)` relative to the mean `a / (a + b)`, where no large terms cancel."""
    total = a + b
    offset = a * (1.0 - x) - b * x
    norm = 1.5 * log(total) - 0.5 * (log(a) + log(b)) - HALF_LOG_2PI
    remainder = stirling_remainder(a) + stirling_remainder(b) - stirling_remainder(total)
    log_power = times_log_ratio(a - 1.0, x, total / a, -offset / a)
    return log_power + times_log_ratio(b - 1.0, 1.0 - x, total / b, offset / b) + (norm - remainder)


class Beta(Distribution):
    """The Beta distribution: `log p(x) = (a - 1) log x + (b - 1) log(1 - x) - log B(a, b)`.

    Args:
        concentration1: `a`, positive.
        concentration0: `b`, positive.

    Example:
        >>> from ppl.distributions import Beta
        >>> Beta(2.0, 3.0).mean
        Array(0.4, dtype=float32)
    """

    arg_constraints = {"concentration1": constraints.positive, "concentration0": constraints.positive}
    support = constraints.unit_interval
    reparametrized_params = ["concentration1", "concentration0"]

    def __init__(self, concentration1: ArrayLike, concentration0: ArrayLike, *, validate_args: bool | None = None) -> None:
        (self.concentration1, self.concentration0), batch_shape = promote_shapes(concentration1, concentration0, return_shapes=True)
        super().__init__(batch_shape, validate_args=validate_args)

    def sample(self, key: Key, sample_shape: Shape = ()) -> Array:
        shape = self.shape(sample_shape)
        a, b = (filled(x, shape, self._dtype) for x in (self.concentration1, self.concentration0))
        return inside_unit(random.beta(key, a, b, dtype=a.dtype))

    @validate_sample
    def log_prob(self, value: ArrayLike) -> Array:
        value, a, b = with_value(value, self.concentration1, self.concentration0)
        inside = (value >= 0) & (value <= 1)
        x = jnp.where(inside, value, 0.5)
        if is_number(a) and is_number(b) and a + b < 30.0:
            log_density = times_log(a - 1.0, x) + times_log1p(b - 1.0, -x) - log_beta(a, b)
            return within(inside, as_value(log_density, x.dtype))
        return within(inside, _beta_log_density(a, b, x))

    def cdf(self, value: ArrayLike) -> Array:
        value, a, b = with_value(value, self.concentration1, self.concentration0)
        return betainc(a, b, jnp.clip(value, 0.0, 1.0))

    def icdf(self, q: ArrayLike) -> Array:
        q, a, b = with_value(q, self.concentration1, self.concentration0)
        return betaincinv(a, b, q)

    @property
    def mean(self) -> Array:
        a, b = operands(self.concentration1, self.concentration0)
        return a / (a + b)

    @property
    def variance(self) -> Array:
        a, b = operands(self.concentration1, self.concentration0)
        total = a + b
        return (a / total) * (b / total) / (total + 1.0)

    def entropy(self) -> Array:
        a, b = operands(self.concentration1, self.concentration0)
        total = a + b
        # log B and the digamma functions by Stirling's formula with remainders, so that only small terms are left
        main = HALF_LOG_2PI + 0.5 * (jnp.log(a) + jnp.log(b) - 3.0 * jnp.log(total)) + 0.5 - 0.5 / a - 0.5 / b + 1.0 / total
        remainder = stirling_remainder(a) + stirling_remainder(b) - stirling_remainder(total)
        slopes = (total - 2.0) * digamma_rest(total) - (a - 1.0) * digamma_rest(a) - (b - 1.0) * digamma_rest(b)
        return main + remainder + slopes


class _StoredMean:
    """The attribute `mean` of a family that has it as a parameter: kept as given, read as an array of the batch shape."""

    def __get__(self, instance: Any, owner: type) -> Any:
        if instance is None:
            return self
        return filled(instance.__dict__["mean"], instance.batch_shape, instance._dtype)

    def __set__(self, instance: Any, value: ArrayLike) -> None:
        instance.__dict__["mean"] = value


class BetaProportion(Beta):
    """The Beta distribution by its mean: `Beta(mean concentration, (1 - mean) concentration)`.

    Args:
        mean: the mean, in (0, 1).
        concentration: the sum of both concentrations, positive.

    Example:
        >>> from ppl.distributions import BetaProportion
        >>> BetaProportion(0.25, 7.0).variance
        Array(0.0234375, dtype=float32)
    """

    arg_constraints = {"mean": constraints.open_interval(0.0, 1.0), "concentration": constraints.positive}
    reparametrized_params = ["mean", "concentration"]
    _terse_parameters = frozenset({"mean"})
    mean = _StoredMean()

    def __init__(self, mean: ArrayLike, concentration: ArrayLike, *, validate_args: bool | None = None) -> None:
        (self.mean, self.concentration), batch_shape = promote_shapes(mean, concentration, return_shapes=True)
        Distribution.__init__(self, batch_shape, validate_args=validate_args)

    @property
    def concentration1(self) -> Any:
        """`mean concentration`."""
        return self.__dict__["mean"] * self.concentration

    @property
    def concentration0(self) -> Any:
        """`(1 - mean) concentration`."""
        return (1.0 - self.__dict__["mean"]) * self.concentration


class Kumaraswamy(Distribution):
    """The Kumaraswamy distribution, with `cdf(x) = 1 - (1 - x^a)^b`: `log p(x) = log(a b) + (a - 1) log x + (b - 1) log(1 - x^a)`.

    Args:
        concentration1: `a`, positive.
        concentration0: `b`, positive.

    Example:
        >>> from ppl.distributions import Kumaraswamy
        >>> Kumaraswamy(2.0, 1.0).cdf(0.5)
        Array(0.25, dtype=float32)
    """

    arg_constraints = {"concentration1": constraints.positive, "concentration0": constraints.positive}
    support = constraints.unit_interval
    reparametrized_params = ["concentration1", "concentration0"]
    KL_KUMARASWAMY_BETA_TAYLOR_ORDER = 10

    def __init__(self, concentration1: ArrayLike, concentration0: ArrayLike, *, validate_args: bool | None = None) -> None:
        (self.concentration1, self.concentration0), batch_shape = promote_shapes(concentration1, concentration0, return_shapes=True)
        super().__init__(batch_shape, validate_args=validate_args)

    def sample(self, key: Key, sample_shape: Shape = ()) -> Array:
        e = random.exponential(key, self.shape(sample_shape), self._dtype)
        e, a, b = promote_shapes(jnp.maximum(e, float(jnp.finfo(e.dtype).tiny)), self.concentration1, self.concentration0)
        return inside_unit(jnp.exp(log1mexp(-e / b) / a))

    @validate_sample
    def log_prob(self, value: ArrayLike) -> Array:
        value, a, b = with_value(value, self.concentration1, self.concentration0)
        inside = (value > 0) & (value < 1)
        log_x = lax.log(jnp.where(inside, value, 0.5))
        return within(inside, (a - 1.0) * log_x + (b - 1.0) * log1mexp(a * log_x) + (log(a) + log(b)))

    def cdf(self, value: ArrayLike) -> Array:
        value, a, b = with_value(value, self.concentration1, self.concentration0)
        inside = (value > 0) & (value < 1)
        survival = b * log1mexp(a * jnp.log(jnp.where(inside, value, 0.5)))
        inside, value, out = promote_shapes(inside, value, -jnp.expm1(survival))
        return jnp.where(inside, out, jnp.where(value <= 0, 0.0, 1.0))

    def icdf(self, q: ArrayLike) -> Array:
        q, a, b = with_value(q, self.concentration1, self.concentration0)
        inside = (q > 0) & (q < 1)
        x = jnp.exp(log1mexp(jnp.log1p(-jnp.where(inside, q, 0.5)) / b) / a)
        inside, q, x = promote_shapes(inside, q, x)
        return jnp.where(inside, x, jnp.where((q == 0) | (q == 1), q, np.nan))

    def _log_moment(self, order: float) -> Array:
        """`log E x^order = log(b B(1 + order / a, b))`."""
        a, b = operands(self.concentration1, self.concentration0)
        return jnp.log(b) + log_beta(1.0 + order / a, b)

    @property
    def mean(self) -> Array:
        return jnp.exp(self._log_moment(1.0))

    @property
    def variance(self) -> Array:
        first = self._log_moment(1.0)
        return jnp.exp(2.0 * first) * jnp.expm1(self._log_moment(2.0) - 2.0 * first)

    def entropy(self) -> Array:
        a, b = operands(self.concentration1, self.concentration0)
        return (1.0 - 1.0 / b) + (1.0 - 1.0 / a) * (digamma(b + 1.0) + np.euler_gamma) - jnp.log(a) - jnp.log(b)
