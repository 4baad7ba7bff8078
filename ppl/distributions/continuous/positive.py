"""Families on the positive half-line."""

import math
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.scipy.special import exp1

from ppl._typing import Array, ArrayLike, Key, Shape
from ppl.distributions import constraints, random
from ppl.distributions.constraints import Constraint
from ppl.distributions.continuous.numerics import (
    as_value,
    at_least_tiny,
    digamma_rest,
    divided,
    filled,
    shifted,
    times_log,
    with_value,
    within,
)
from ppl.distributions.continuous.real import Normal
from ppl.distributions.distribution import Distribution, TransformedDistribution
from ppl.distributions.special import gamma_log_quantile, gammainc, gammaincinv, log_gamma_peak, log_gammainc_pair
from ppl.distributions.special.elementary import HALF_LOG_2PI, LOG_2, log, operands, times
from ppl.distributions.transforms import AffineTransform, ExpTransform, PowerTransform
from ppl.distributions.util import promote_shapes, validate_sample


class HalfNormal(Distribution):
    """The distribution of the absolute value of a normal variable.

    `log p(x) = log 2 - (x / scale)^2 / 2 - log(scale) - log(2 pi) / 2` for `x >= 0`.

    Args:
        scale: the root mean square, positive.

    Example:
        >>> from ppl.distributions import HalfNormal
        >>> HalfNormal(2.0).log_prob(1.0)
        Array(-1.04394, dtype=float32)
    """

    arg_constraints = {"scale": constraints.positive}
    support = constraints.positive
    reparametrized_params = ["scale"]

    def __init__(self, scale: ArrayLike = 1.0, *, validate_args: bool | None = None) -> None:
        (self.scale,), batch_shape = promote_shapes(scale, return_shapes=True)
        super().__init__(batch_shape, validate_args=validate_args)

    def sample(self, key: Key, sample_shape: Shape = ()) -> Array:
        z, scale = promote_shapes(random.normal(key, self.shape(sample_shape), self._dtype), self.scale)
        return at_least_tiny(jnp.abs(z) * scale)

    @validate_sample
    def log_prob(self, value: ArrayLike) -> Array:
        value, scale = with_value(value, self.scale)
        density = times(lax.square(divided(value, scale)), -0.5) - (log(scale) + (HALF_LOG_2PI - LOG_2))
        return within(value >= 0, density)

    def cdf(self, value: ArrayLike) -> Array:
        value, scale = with_value(value, self.scale)
        return jnp.maximum(lax.erf(value / (math.sqrt(2.0) * scale)), 0.0)

    def icdf(self, q: ArrayLike) -> Array:
        q, scale = with_value(q, self.scale)
        return math.sqrt(2.0) * scale * lax.erf_inv(q)

    @property
    def mean(self) -> Array:
        return filled(math.sqrt(2 / math.pi) * self.scale, self.batch_shape, self._dtype)

    @property
    def variance(self) -> Array:
        return filled((1 - 2 / math.pi) * self.scale * self.scale, self.batch_shape, self._dtype)

    def entropy(self) -> Array:
        return filled(0.5 + 0.5 * math.log(math.pi / 2) + log(self.scale), self.batch_shape, self._dtype)


class HalfCauchy(Distribution):
    """The distribution of the absolute value of a Cauchy variable: `log p(x) = log(2 / (pi scale)) - log(1 + (x / scale)^2)`.

    Mean and variance are infinite.

    Args:
        scale: the median, positive.

    Example:
        >>> from ppl.distributions import HalfCauchy
        >>> HalfCauchy(5.0).icdf(0.5)
        Array(5., dtype=float32)
    """

    arg_constraints = {"scale": constraints.positive}
    support = constraints.positive
    reparametrized_params = ["scale"]

    def __init__(self, scale: ArrayLike = 1.0, *, validate_args: bool | None = None) -> None:
        (self.scale,), batch_shape = promote_shapes(scale, return_shapes=True)
        super().__init__(batch_shape, validate_args=validate_args)

    def sample(self, key: Key, sample_shape: Shape = ()) -> Array:
        z, scale = promote_shapes(random.cauchy(key, self.shape(sample_shape), self._dtype), self.scale)
        return at_least_tiny(jnp.abs(z) * scale)

    @validate_sample
    def log_prob(self, value: ArrayLike) -> Array:
        value, scale = with_value(value, self.scale)
        density = -(log(scale) + math.log(math.pi / 2)) - lax.log1p(lax.square(divided(value, scale)))
        return within(value >= 0, density)

    def cdf(self, value: ArrayLike) -> Array:
        value, scale = with_value(value, self.scale)
        return jnp.maximum((2 / math.pi) * jnp.arctan(value / scale), 0.0)

    def icdf(self, q: ArrayLike) -> Array:
        q, scale = with_value(q, self.scale)
        below = q < 0.5
        tangent = jnp.tan((0.5 * math.pi) * jnp.where(below, q, 1.0 - q))
        return scale * jnp.where(below, tangent, 1.0 / jnp.where(below, 1.0, tangent))

    @property
    def mean(self) -> Array:
        return filled(np.inf, self.batch_shape, self._dtype)

    @property
    def variance(self) -> Array:
        return filled(np.inf, self.batch_shape, self._dtype)

    def entropy(self) -> Array:
        return filled(math.log(2 * math.pi) + log(self.scale), self.batch_shape, self._dtype)


class LogNormal(TransformedDistribution):
    """The distribution of `exp(y)` for a normal `y`: `log p(x) = log Normal(log x; loc, scale) - log x`.

    Args:
        loc: the mean of the logarithm.
        scale: the standard deviation of the logarithm, positive.

    Example:
        >>> from ppl.distributions import LogNormal
        >>> LogNormal(0.0, 0.5).icdf(0.5)
        Array(1., dtype=float32)
    """

    arg_constraints = {"loc": constraints.real, "scale": constraints.positive}
    support = constraints.positive
    reparametrized_params = ["loc", "scale"]

    def __init__(self, loc: ArrayLike = 0.0, scale: ArrayLike = 1.0, *, validate_args: bool | None = None) -> None:
        self.loc, self.scale = promote_shapes(loc, scale)
        super().__init__(Normal(self.loc, self.scale, validate_args=False), ExpTransform(), validate_args=validate_args)

    @validate_sample
    def log_prob(self, value: ArrayLike, intermediates: list[Any] | None = None) -> Array:
        value, loc, scale = with_value(value, self.loc, self.scale)
        inside = value > 0
        log_value = lax.log(jnp.where(inside, value, 1.0))
        density = times(lax.square(divided(shifted(log_value, loc), scale)), -0.5) - log_value - (log(scale) + HALF_LOG_2PI)
        return within(inside, density)

    def cdf(self, value: ArrayLike) -> Array:
        value = as_value(value, self._dtype)
        inside = value > 0
        (inside, out) = promote_shapes(inside, self.base_dist.cdf(jnp.log(jnp.where(inside, value, 1.0))))
        return jnp.where(inside, out, 0.0)

    @property
    def mean(self) -> Array:
        loc, variance = (filled(x, self.batch_shape, self._dtype) for x in (self.loc, self.scale * self.scale))
        return jnp.exp(loc + 0.5 * variance)

    @property
    def variance(self) -> Array:
        loc, variance = (filled(x, self.batch_shape, self._dtype) for x in (self.loc, self.scale * self.scale))
        return jnp.expm1(variance) * jnp.exp(2.0 * loc + variance)

    def entropy(self) -> Array:
        loc, log_scale = promote_shapes(self.loc, log(self.scale))
        return filled(0.5 + HALF_LOG_2PI + loc + log_scale, self.batch_shape, self._dtype)


class Exponential(Distribution):
    """The exponential distribution: `log p(x) = log(rate) - rate x` for `x >= 0`.

    Args:
        rate: the reciprocal of the mean, positive.

    Example:
        >>> from ppl.distributions import Exponential
        >>> Exponential(2.0).mean
        Array(0.5, dtype=float32)
    """

    arg_constraints = {"rate": constraints.positive}
    support = constraints.positive
    reparametrized_params = ["rate"]

    def __init__(self, rate: ArrayLike = 1.0, *, validate_args: bool | None = None) -> None:
        (self.rate,), batch_shape = promote_shapes(rate, return_shapes=True)
        super().__init__(batch_shape, validate_args=validate_args)

    def sample(self, key: Key, sample_shape: Shape = ()) -> Array:
        x, rate = promote_shapes(random.exponential(key, self.shape(sample_shape), self._dtype), self.rate)
        return at_least_tiny(x / rate)

    @validate_sample
    def log_prob(self, value: ArrayLike) -> Array:
        value, rate = with_value(value, self.rate)
        return within(value >= 0, log(rate) - rate * value)

    def cdf(self, value: ArrayLike) -> Array:
        value, rate = with_value(value, self.rate)
        return -jnp.expm1(-rate * jnp.maximum(value, 0.0))

    def icdf(self, q: ArrayLike) -> Array:
        q, rate = with_value(q, self.rate)
        return -jnp.log1p(-q) / rate

    @property
    def mean(self) -> Array:
        return filled(1.0 / self.rate, self.batch_shape, self._dtype)

    @property
    def variance(self) -> Array:
        return filled(1.0 / (self.rate * self.rate), self.batch_shape, self._dtype)

    def entropy(self) -> Array:
        return filled(1.0 - log(self.rate), self.batch_shape, self._dtype)


class Gamma(Distribution):
    """The Gamma distribution: `log p(x) = a log r + (a - 1) log x - r x - log Gamma(a)`, without cancellation for large `a`.

    Args:
        concentration: the shape `a`, positive.
        rate: the rate `r`, positive.

    Example:
        >>> from ppl.distributions import Gamma
        >>> Gamma(1e6, 1e6).log_prob(1.0)
        Array(5.98882, dtype=float32)
    """

    arg_constraints = {"concentration": constraints.positive, "rate": constraints.positive}
    support = constraints.positive
    reparametrized_params = ["concentration", "rate"]

    def __init__(self, concentration: ArrayLike, rate: ArrayLike = 1.0, *, validate_args: bool | None = None) -> None:
        (self.concentration, self.rate), batch_shape = promote_shapes(concentration, rate, return_shapes=True)
        super().__init__(batch_shape, validate_args=validate_args)

    def sample(self, key: Key, sample_shape: Shape = ()) -> Array:
        shape = self.shape(sample_shape)
        x, rate = promote_shapes(random.gamma(key, filled(self.concentration, shape, self._dtype), dtype=self._dtype), self.rate)
        return at_least_tiny(x / rate)

    @validate_sample
    def log_prob(self, value: ArrayLike) -> Array:
        value, a, rate = with_value(value, self.concentration, self.rate)
        inside = value >= 0
        slope = rate / a
        t = jnp.where(inside, value, 1.0) * slope
        return within(inside, a * (1.0 - t) + times_log(a - 1.0, t) + (log(slope) + log_gamma_peak(a)))

    def cdf(self, value: ArrayLike) -> Array:
        value, rate, a = with_value(value, self.rate, self.concentration)
        return gammainc(a, jnp.maximum(value, 0.0) * rate)

    def icdf(self, q: ArrayLike) -> Array:
        q, a, rate = with_value(q, self.concentration, self.rate)
        return gammaincinv(a, q) / rate

    @property
    def mean(self) -> Array:
        return filled(self.concentration / self.rate, self.batch_shape, self._dtype)

    @property
    def variance(self) -> Array:
        return filled(self.concentration / (self.rate * self.rate), self.batch_shape, self._dtype)

    def entropy(self) -> Array:
        a, rate = operands(self.concentration, self.rate)
        return (1.0 - a) * (digamma_rest(a) - 0.5 / a) + jnp.log(a) - jnp.log(rate) - log_gamma_peak(a)


class Chi2(Gamma):
    """The chi-squared distribution, `Gamma(df / 2, 1 / 2)`.

    Args:
        df: degrees of freedom, positive.

    Example:
        >>> from ppl.distributions import Chi2
        >>> Chi2(3.0).mean
        Array(3., dtype=float32)
    """

    arg_constraints = {"df": constraints.positive}
    reparametrized_params = ["df"]
    rate = 0.5

    def __init__(self, df: ArrayLike, *, validate_args: bool | None = None) -> None:
        (self.df,), batch_shape = promote_shapes(df, return_shapes=True)
        Distribution.__init__(self, batch_shape, validate_args=validate_args)

    @property
    def concentration(self) -> Any:
        """Half the degrees of freedom."""
        return 0.5 * self.df


class InverseGamma(TransformedDistribution):
    """The distribution of `1 / y` for a Gamma variable `y`: `log p(x) = a log r - (a + 1) log x - r / x - log Gamma(a)`.

    Args:
        concentration: the shape `a`, positive.
        rate: the rate `r` of the Gamma variable, positive, which is the scale of the inverse.

    Example:
        >>> from ppl.distributions import InverseGamma
        >>> InverseGamma(3.0, 4.0).mean
        Array(2., dtype=float32)
    """

    arg_constraints = {"concentration": constraints.positive, "rate": constraints.positive}
    support = constraints.positive
    reparametrized_params = ["concentration", "rate"]

    def __init__(self, concentration: ArrayLike, rate: ArrayLike = 1.0, *, validate_args: bool | None = None) -> None:
        self.concentration, self.rate = promote_shapes(concentration, rate)
        base = Gamma(self.concentration, self.rate, validate_args=False)
        super().__init__(base, PowerTransform(-1.0), validate_args=validate_args)

    @validate_sample
    def log_prob(self, value: ArrayLike, intermediates: list[Any] | None = None) -> Array:
        value, a, rate = with_value(value, self.concentration, self.rate)
        inside = value > 0
        slope = rate / a
        t = slope / jnp.where(inside, value, 1.0)
        return within(inside, a * (1.0 - t) + (a + 1.0) * lax.log(t) + (log_gamma_peak(a) - log(slope)))

    def cdf(self, value: ArrayLike) -> Array:
        value, a, rate = with_value(value, self.concentration, self.rate)
        inside = value > 0
        _, log_q = log_gammainc_pair(*operands(a, rate / jnp.where(inside, value, 1.0)))
        inside, out = promote_shapes(inside, jnp.exp(log_q))
        return jnp.where(inside, out, 0.0)

    def icdf(self, q: ArrayLike) -> Array:
        q, a, rate = with_value(q, self.concentration, self.rate)
        inside = (q > 0) & (q < 1)
        safe = jnp.where(inside, q, 0.5)
        x = rate * jnp.exp(-gamma_log_quantile(*operands(a, jnp.log1p(-safe), jnp.log(safe))))
        inside, q, x = promote_shapes(inside, q, x)
        return jnp.where(inside, x, jnp.where(q == 0, 0.0, jnp.where(q == 1, np.inf, np.nan)))

    @property
    def mean(self) -> Array:
        a, rate = operands(self.concentration, self.rate)
        return jnp.where(a > 1, rate / jnp.where(a > 1, a - 1.0, 1.0), np.inf)

    @property
    def variance(self) -> Array:
        a, rate = operands(self.concentration, self.rate)
        safe = jnp.where(a > 2, a, 3.0)
        return jnp.where(a > 2, (rate / (safe - 1.0)) ** 2 / (safe - 2.0), np.inf)

    def entropy(self) -> Array:
        a, rate = operands(self.concentration, self.rate)
        return jnp.log(rate) - jnp.log(a) - log_gamma_peak(a) - (1.0 + a) * (digamma_rest(a) - 0.5 / a)


class Weibull(Distribution):
    """The Weibull distribution, with `cdf(x) = 1 - exp(-(x / scale)^k)`: `log p(x) = log(k / scale) + (k - 1) log z - z^k`.

    Args:
        scale: the scale, positive.
        concentration: the shape `k`, positive.

    Example:
        >>> from ppl.distributions import Weibull
        >>> Weibull(2.0, 1.0).mean
        Array(2., dtype=float32)
    """

    arg_constraints = {"scale": constraints.positive, "concentration": constraints.positive}
    support = constraints.positive
    reparametrized_params = ["scale", "concentration"]

    def __init__(self, scale: ArrayLike, concentration: ArrayLike, *, validate_args: bool | None = None) -> None:
        (self.scale, self.concentration), batch_shape = promote_shapes(scale, concentration, return_shapes=True)
        super().__init__(batch_shape, validate_args=validate_args)

    def sample(self, key: Key, sample_shape: Shape = ()) -> Array:
        e = random.exponential(key, self.shape(sample_shape), self._dtype)
        e, scale, k = promote_shapes(e, self.scale, self.concentration)
        return at_least_tiny(scale * jnp.exp(jnp.log(at_least_tiny(e)) / k))

    @validate_sample
    def log_prob(self, value: ArrayLike) -> Array:
        value, scale, k = with_value(value, self.scale, self.concentration)
        inside = value > 0
        log_z = lax.log(jnp.where(inside, value, 1.0)) - log(scale)
        return within(inside, (k - 1.0) * log_z - lax.exp(k * log_z) + log(k / scale))

    def cumulative_hazard(self, value: ArrayLike) -> Array:
        """`-log P(X > value)`."""
        value, scale, k = with_value(value, self.scale, self.concentration)
        inside = value > 0
        inside, hazard = promote_shapes(inside, jnp.exp(k * (jnp.log(jnp.where(inside, value, 1.0)) - log(scale))))
        return jnp.where(inside, hazard, 0.0)

    def cdf(self, value: ArrayLike) -> Array:
        return -jnp.expm1(-self.cumulative_hazard(value))

    def icdf(self, q: ArrayLike) -> Array:
        q, scale, k = with_value(q, self.scale, self.concentration)
        return scale * (-jnp.log1p(-q)) ** (1.0 / k)

    @property
    def mean(self) -> Array:
        scale, k = operands(self.scale, self.concentration)
        return scale * jnp.exp(lax.lgamma(1.0 + 1.0 / k))

    @property
    def variance(self) -> Array:
        scale, k = operands(self.scale, self.concentration)
        first = lax.lgamma(1.0 + 1.0 / k)
        return (scale * jnp.exp(first)) ** 2 * jnp.expm1(lax.lgamma(1.0 + 2.0 / k) - 2.0 * first)

    def entropy(self) -> Array:
        scale, k = operands(self.scale, self.concentration)
        return np.euler_gamma * (1.0 - 1.0 / k) + jnp.log(scale) - jnp.log(k) + 1.0


class Gompertz(Distribution):
    """The Gompertz distribution, with `cdf(x) = 1 - exp(-c (exp(r x) - 1))`: `log p(x) = log(c r) + r x - c (exp(r x) - 1)`.

    Args:
        concentration: the shape `c`, positive.
        rate: the rate `r` at which the hazard grows, positive.

    Example:
        >>> from ppl.distributions import Gompertz
        >>> Gompertz(1.0, 2.0).cdf(0.0)
        Array(0., dtype=float32)
    """

    arg_constraints = {"concentration": constraints.positive, "rate": constraints.positive}
    support = constraints.positive
    reparametrized_params = ["concentration", "rate"]

    def __init__(self, concentration: ArrayLike, rate: ArrayLike = 1.0, *, validate_args: bool | None = None) -> None:
        (self.concentration, self.rate), batch_shape = promote_shapes(concentration, rate, return_shapes=True)
        super().__init__(batch_shape, validate_args=validate_args)

    def sample(self, key: Key, sample_shape: Shape = ()) -> Array:
        e = random.exponential(key, self.shape(sample_shape), self._dtype)
        e, c, rate = promote_shapes(e, self.concentration, self.rate)
        return at_least_tiny(jnp.log1p(e / c) / rate)

    @validate_sample
    def log_prob(self, value: ArrayLike) -> Array:
        value, c, rate = with_value(value, self.concentration, self.rate)
        inside = value >= 0
        x = rate * jnp.where(inside, value, 0.0)
        return within(inside, log(c) + log(rate) + x - c * lax.expm1(x))

    def cumulative_hazard(self, value: ArrayLike) -> Array:
        """`-log P(X > value)`."""
        value, c, rate = with_value(value, self.concentration, self.rate)
        return c * jnp.expm1(rate * jnp.maximum(value, 0.0))

    def cdf(self, value: ArrayLike) -> Array:
        return -jnp.expm1(-self.cumulative_hazard(value))

    def icdf(self, q: ArrayLike) -> Array:
        q, c, rate = with_value(q, self.concentration, self.rate)
        return jnp.log1p(-jnp.log1p(-q) / c) / rate

    @property
    def mean(self) -> Array:
        c, rate = operands(self.concentration, self.rate)
        large = c > 50.0
        w = 1.0 / jnp.where(large, c, 50.0)
        series = w * (1.0 - w * (1.0 - 2.0 * w * (1.0 - 3.0 * w * (1.0 - 4.0 * w * (1.0 - 5.0 * w * (1.0 - 6.0 * w))))))
        small = jnp.where(large, 1.0, c)
        return jnp.where(large, series, jnp.exp(small) * exp1(small)) / rate


class Pareto(TransformedDistribution):
    """The Pareto distribution: `log p(x) = log(alpha) + alpha log(scale) - (alpha + 1) log x` for `x >= scale`.

    Args:
        scale: the smallest value, positive.
        alpha: the tail index, positive; mean and variance are infinite up to 1 and 2.

    Example:
        >>> from ppl.distributions import Pareto
        >>> Pareto(1.0, 3.0).mean
        Array(1.5, dtype=float32)
    """

    arg_constraints = {"scale": constraints.positive, "alpha": constraints.positive}
    reparametrized_params = ["scale", "alpha"]

    def __init__(self, scale: ArrayLike, alpha: ArrayLike, *, validate_args: bool | None = None) -> None:
        (self.scale, self.alpha), batch_shape = promote_shapes(scale, alpha, return_shapes=True)
        base = Exponential(self.alpha, validate_args=False).expand(batch_shape)
        affine = AffineTransform(0.0, self.scale)
        super().__init__(base, [ExpTransform(constraints.positive), affine], validate_args=validate_args)

    @constraints.dependent_property(is_discrete=False, event_dim=0)
    def support(self) -> Constraint:
        return constraints.greater_than(self.scale)

    @validate_sample
    def log_prob(self, value: ArrayLike, intermediates: list[Any] | None = None) -> Array:
        value, scale, alpha = with_value(value, self.scale, self.alpha)
        inside = value >= scale
        log_ratio = lax.log(jnp.where(inside, value / scale, 1.0))
        return within(inside, log(alpha / scale) - (alpha + 1.0) * log_ratio)

    def cdf(self, value: ArrayLike) -> Array:
        value, scale, alpha = with_value(value, self.scale, self.alpha)
        return -jnp.expm1(-alpha * jnp.log(jnp.maximum(value / scale, 1.0)))

    def icdf(self, q: ArrayLike) -> Array:
        q, scale, alpha = with_value(q, self.scale, self.alpha)
        return scale * jnp.exp(-jnp.log1p(-q) / alpha)

    @property
    def mean(self) -> Array:
        scale, alpha = operands(self.scale, self.alpha)
        return jnp.where(alpha > 1, scale * alpha / jnp.where(alpha > 1, alpha - 1.0, 1.0), np.inf)

    @property
    def variance(self) -> Array:
        scale, alpha = operands(self.scale, self.alpha)
        safe = jnp.where(alpha > 2, alpha, 3.0)
        return jnp.where(alpha > 2, (scale / (safe - 1.0)) ** 2 * (safe / (safe - 2.0)), np.inf)

    def entropy(self) -> Array:
        scale, alpha = operands(self.scale, self.alpha)
        return jnp.log(scale / alpha) + 1.0 + 1.0 / alpha
