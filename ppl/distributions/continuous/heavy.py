"""Families whose tails fall as a power."""

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.scipy.special import digamma

from ppl._typing import Array, ArrayLike, Key, Shape
from ppl.distributions import constraints, random
from ppl.distributions.constraints import Constraint
from ppl.distributions.continuous.numerics import above, at_least_tiny, filled, shifted, times_log, with_value, within
from ppl.distributions.continuous.positive import Pareto
from ppl.distributions.continuous.real import LocationScale
from ppl.distributions.distribution import Distribution
from ppl.distributions.special import log_beta
from ppl.distributions.special.elementary import HALF_LOG_2PI, log, log1mexp, operands
from ppl.distributions.util import is_concrete, promote_shapes, softplus, validate_sample


class Dagum(Distribution):
    """The Dagum (Burr III) distribution of incomes, with `cdf(x) = (1 + (x / scale)^-a)^-c`.

    With `u = a log(x / scale)`: `log p(x) = log(a c) - log x - c log(1 + exp(-u)) - log(1 + exp(u))`. The mean is infinite for
    `a <= 1`, the variance for `a <= 2`.

    Args:
        concentration: `c`, positive: the density is about `x^(a c - 1)` near 0.
        sharpness: `a`, positive: the density falls as `x^(-a - 1)`.
        scale: the scale, positive.

    Example:
        >>> from ppl.distributions import Dagum
        >>> Dagum(1.0, 2.0, 3.0).cdf(3.0)
        Array(0.5, dtype=float32)

    Source: Kleiber (2008), "A guide to the Dagum distributions".
    """

    arg_constraints = {"concentration": constraints.positive, "sharpness": constraints.positive, "scale": constraints.positive}
    support = constraints.positive
    reparametrized_params = ["concentration", "sharpness", "scale"]

    def __init__(
        self, concentration: ArrayLike, sharpness: ArrayLike, scale: ArrayLike, *, validate_args: bool | None = None
    ) -> None:
        (self.concentration, self.sharpness, self.scale), batch_shape = promote_shapes(
            concentration, sharpness, scale, return_shapes=True
        )
        super().__init__(batch_shape, validate_args=validate_args)

    def _from_minus_log_probability(self, s: Array) -> Array:
        """The value whose distribution function is `exp(-s)`."""
        s, c, a, scale = promote_shapes(s, self.concentration, self.sharpness, self.scale)
        s = at_least_tiny(s / c)
        return scale * jnp.exp(-(s + log1mexp(-s)) / a)

    def sample(self, key: Key, sample_shape: Shape = ()) -> Array:
        return at_least_tiny(self._from_minus_log_probability(random.exponential(key, self.shape(sample_shape), self._dtype)))

    @validate_sample
    def log_prob(self, value: ArrayLike) -> Array:
        value, c, a, scale = with_value(value, self.concentration, self.sharpness, self.scale)
        inside = value > 0
        log_x = lax.log(jnp.where(inside, value, 1.0))
        u = a * (log_x - log(scale))
        common = lax.log1p(lax.exp(-lax.abs(u)))  # of log(1 + exp(u)) and of log(1 + exp(-u))
        rest = (c + 1.0) * common + jnp.maximum(u, 0.0) + c * jnp.maximum(-u, 0.0)
        return within(inside, log(a) + log(c) - log_x - rest)

    def cdf(self, value: ArrayLike) -> Array:
        value, c, a, scale = with_value(value, self.concentration, self.sharpness, self.scale)
        inside = value > 0
        probability = jnp.exp(-c * softplus(-a * (jnp.log(jnp.where(inside, value, 1.0)) - log(scale))))
        inside, probability = promote_shapes(inside, probability)
        return jnp.where(inside, probability, 0.0)

    def icdf(self, q: ArrayLike) -> Array:
        q = with_value(q, self.concentration, self.sharpness, self.scale)[0]
        inside = (q > 0) & (q < 1)
        x = self._from_minus_log_probability(-jnp.log(jnp.where(inside, q, 0.5)))
        inside, q, x = promote_shapes(inside, q, x)
        return jnp.where(inside, x, jnp.where(q == 0, 0.0, jnp.where(q == 1, np.inf, np.nan)))

    def _log_moment(self, order: float) -> tuple[Array, Array]:
        """Whether `E (x / scale)^order = c B(c + order / a, 1 - order / a)` is finite, and its logarithm."""
        c, a = operands(self.concentration, self.sharpness)
        finite = a > order
        share = order / jnp.where(finite, a, 2.0 * order)
        return finite, jnp.log(c) + log_beta(c + share, 1.0 - share)

    @property
    def mean(self) -> Array:
        finite, log_moment = self._log_moment(1.0)
        finite, moment, scale = promote_shapes(finite, jnp.exp(log_moment), self.scale)
        return filled(jnp.where(finite, scale * moment, np.inf), self.batch_shape, self._dtype)

    @property
    def variance(self) -> Array:
        (_, first), (finite, second) = self._log_moment(1.0), self._log_moment(2.0)
        finite, relative, scale = promote_shapes(finite, jnp.exp(2.0 * first) * jnp.expm1(second - 2.0 * first), self.scale)
        return filled(jnp.where(finite, scale * scale * relative, np.inf), self.batch_shape, self._dtype)

    def entropy(self) -> Array:
        c, a, scale = operands(self.concentration, self.sharpness, self.scale)
        mean_u = digamma(c) + np.euler_gamma
        return jnp.log(scale) - jnp.log(a) - jnp.log(c) + (1.0 + 1.0 / a) * mean_u + 1.0 + 1.0 / c


class Levy(LocationScale):
    """The Levy distribution, of `loc + scale / Z^2` for standard normal `Z`; mean and variance are infinite.

    With `z = (x - loc) / scale > 0`: `log p(x) = -log(2 pi)/2 - 3/2 log z - 1/(2 z) - log(scale)`.

    Args:
        loc: the lower end of the support.
        scale: the scale, positive.

    Example:
        >>> from ppl.distributions import Levy
        >>> round(float(Levy(0.0, 1.0).icdf(0.5)), 4)
        2.1981
    """

    def __init__(self, loc: ArrayLike, scale: ArrayLike, *, validate_args: bool | None = None) -> None:
        super().__init__(loc, scale, validate_args=validate_args)

    @constraints.dependent_property(is_discrete=False, event_dim=0)
    def support(self) -> Constraint:
        return constraints.greater_than(self.loc)

    def sample(self, key: Key, sample_shape: Shape = ()) -> Array:
        return above(super().sample(key, sample_shape), self.loc)

    def standard_draw(self, key: Key, shape: Shape) -> Array:
        z = random.normal(key, shape, self._dtype)
        return 1.0 / lax.square(jnp.maximum(lax.abs(z), float(jnp.finfo(z.dtype).tiny) ** 0.5))

    @validate_sample
    def log_prob(self, value: ArrayLike) -> Array:
        value, loc, scale = with_value(value, self.loc, self.scale)
        distance = shifted(value, loc)
        inside = distance > 0
        safe = jnp.where(inside, distance, 1.0)
        return within(inside, (0.5 * log(scale) - HALF_LOG_2PI) - 1.5 * lax.log(safe) - 0.5 * (scale / safe))

    def standard_cdf(self, z: Array) -> Array:
        inside = z > 0
        return jnp.where(inside, lax.erfc(lax.rsqrt(2.0 * jnp.where(inside, z, 1.0))), 0.0)

    def standard_quantile(self, q: Array) -> Array:
        inside = (q > 0) & (q < 1)
        root = jax.scipy.special.ndtri(0.5 * jnp.where(inside, q, 0.5))
        return jnp.where(inside, lax.integer_pow(root, -2), jnp.where(q == 0, 0.0, jnp.where(q == 1, np.inf, np.nan)))

    def standard_mean(self) -> ArrayLike:
        return np.inf

    def standard_variance(self) -> ArrayLike:
        return np.inf

    def standard_entropy(self) -> ArrayLike:
        return 0.5 * (1.0 + 3.0 * np.euler_gamma + math.log(16.0 * math.pi))


class LowerTruncatedPowerLaw(Distribution):
    """The power law `p(x) = -(alpha + 1) / low (x / low)^alpha` for `x >= low`: a Pareto distribution by its exponent.

    Args:
        alpha: the exponent, below -1; mean and variance are infinite down to -2 and -3.
        low: the smallest value, positive.

    Example:
        >>> from ppl.distributions import LowerTruncatedPowerLaw
        >>> LowerTruncatedPowerLaw(-2.0, 3.0).cdf(6.0)
        Array(0.5, dtype=float32)
    """

    arg_constraints = {"alpha": constraints.less_than(-1.0), "low": constraints.greater_than(0.0)}
    reparametrized_params = ["alpha", "low"]

    def __init__(self, alpha: ArrayLike, low: ArrayLike, *, validate_args: bool | None = None) -> None:
        (self.alpha, self.low), batch_shape = promote_shapes(alpha, low, return_shapes=True)
        super().__init__(batch_shape, validate_args=validate_args)

    @constraints.dependent_property(is_discrete=False, event_dim=0)
    def support(self) -> Constraint:
        return constraints.greater_than(self.low)

    @property
    def _pareto(self) -> Pareto:
        return Pareto(self.low, -1.0 - self.alpha, validate_args=False)

    def sample(self, key: Key, sample_shape: Shape = ()) -> Array:
        return above(self._pareto.sample(key, sample_shape), self.low)

    @validate_sample
    def log_prob(self, value: ArrayLike) -> Array:
        return self._pareto.log_prob(value)

    def cdf(self, value: ArrayLike) -> Array:
        return self._pareto.cdf(value)

    def icdf(self, q: ArrayLike) -> Array:
        return self._pareto.icdf(q)

    @property
    def mean(self) -> Array:
        return self._pareto.mean

    @property
    def variance(self) -> Array:
        return self._pareto.variance

    def entropy(self) -> Array:
        return self._pareto.entropy()


def _log_sinhc(h: Array) -> Array:
    """`log(sinh(h) / h)`, an even and smooth function; by its series near 0."""
    small = lax.abs(h) < 0.1
    w = lax.square(jnp.where(small, h, 0.0))
    series = w * (1 / 6 - w * (1 / 180 - w * (1 / 2835 - w * (1 / 37800 - w / 467775))))
    s = lax.abs(jnp.where(small, 1.0, h))
    return jnp.where(small, series, s + log1mexp(-2.0 * s) - lax.log(2.0 * s))


class DoublyTruncatedPowerLaw(Distribution):
    """The power law `p(x)` proportional to `x^alpha` on `[low, high]`, for any exponent, -1 included.

    With `b = alpha + 1`, `L = log(high / low)` and `h = b L / 2`, the normaliser is `(low high)^(b / 2) L sinh(h) / h`.

    Args:
        alpha: the exponent.
        low: the lower end; 0 only with `alpha > -1`.
        high: the upper end, above `low`.

    Raises:
        ValueError: if `low` is 0 and `alpha <= -1`, where the density has no finite integral.

    Example:
        >>> from ppl.distributions import DoublyTruncatedPowerLaw
        >>> DoublyTruncatedPowerLaw(-1.0, 1.0, 100.0).icdf(0.5)
        Array(10., dtype=float32)
    """

    arg_constraints = {
        "alpha": constraints.real,
        "low": constraints.greater_than_eq(0),
        "high": constraints.greater_than(0),
    }
    reparametrized_params = ["alpha", "low", "high"]

    def __init__(self, alpha: ArrayLike, low: ArrayLike, high: ArrayLike, *, validate_args: bool | None = None) -> None:
        (self.alpha, self.low, self.high), batch_shape = promote_shapes(alpha, low, high, return_shapes=True)
        super().__init__(batch_shape, validate_args=validate_args)

    def validate_args(self, strict: bool = True) -> None:
        super().validate_args(strict)
        if is_concrete(self.alpha) and is_concrete(self.low):
            alpha, low = np.asarray(self.alpha), np.asarray(self.low)
            if np.any((alpha <= -1) & (low == 0)):
                raise ValueError(
                    "DoublyTruncatedPowerLaw distribution got invalid low parameter: 0 with an alpha of -1 or less, for which "
                    "x^alpha has no finite integral from 0; use a positive low, or alpha > -1."
                )

    @constraints.dependent_property(is_discrete=False, event_dim=0)
    def support(self) -> Constraint:
        return constraints.interval(self.low, self.high)

    def _bounds(self, *others: ArrayLike) -> list[Any]:
        """`others`, then `alpha + 1`, whether `low` is 0, `log low` (0 there), `log high`, and `log(high / low)` (1 there)."""
        *values, alpha, low, high = with_value(others[0], *others[1:], self.alpha, self.low, self.high)
        low, high = jnp.asarray(low, self._dtype), jnp.asarray(high, self._dtype)
        from_zero = low <= 0
        log_low, log_high = jnp.log(jnp.where(from_zero, 1.0, low)), jnp.log(high)
        return [*values, alpha + 1.0, from_zero, log_low, log_high, jnp.where(from_zero, 1.0, log_high - log_low)]

    @staticmethod
    def _is_flat(slope: Array) -> Array:
        """Where the density of `log x` is so flat that its first two terms tell all, and the formula for a steep one is 0/0."""
        return lax.abs(slope) < (1e-4 if slope.dtype == jnp.float32 else 1e-6)

    def _log_normalizer(self, order: float | Array = 0.0) -> Array:
        """The logarithm of the integral of `x^(alpha + order)`."""
        order, b, from_zero, log_low, log_high, length = self._bounds(order)
        b = b + order
        whole = b * log_high - jnp.log(jnp.where(from_zero, b, 1.0))
        part = 0.5 * b * (log_low + log_high) + jnp.log(length) + _log_sinhc(0.5 * b * length)
        return jnp.where(from_zero, whole, part)

    def sample(self, key: Key, sample_shape: Shape = ()) -> Array:
        return self.icdf(random.uniform(key, self.shape(sample_shape), self._dtype))

    @validate_sample
    def log_prob(self, value: ArrayLike) -> Array:
        value, alpha, low, high = with_value(value, self.alpha, self.low, self.high)
        inside = (value >= low) & (value <= high)
        log_power = times_log(alpha, jnp.where(inside, value, 1.0))
        log_power, log_normalizer = promote_shapes(log_power, self._log_normalizer())
        return within(inside, log_power - log_normalizer)

    def cdf(self, value: ArrayLike) -> Array:
        low, high = jnp.asarray(self.low, self._dtype), jnp.asarray(self.high, self._dtype)
        value = jnp.clip(*promote_shapes(with_value(value, self.alpha, self.low, self.high)[0], low, high))
        value, b, from_zero, log_low, log_high, length = self._bounds(value)
        positive = value > 0
        log_x = jnp.log(jnp.where(positive, value, 1.0))
        # with y = log(x / low) / L: (e^(b L y) - 1) / (e^(b L) - 1), without overflow
        y = jnp.where(from_zero, 0.5, (log_x - log_low) / length)
        flat = self._is_flat(b * length)
        s = jnp.where(flat, 1.0, lax.abs(b * length))
        falling = jnp.expm1(-s * y) / jnp.expm1(-s)
        steep = jnp.where(b > 0, jnp.exp(-s * (1.0 - y)) * falling, falling)
        part = jnp.where(flat, y * (1.0 - 0.5 * b * length * (1.0 - y)), steep)
        whole = jnp.where(positive, jnp.exp(b * (log_x - log_high)), 0.0)
        return jnp.where(from_zero, whole, part)

    def icdf(self, q: ArrayLike) -> Array:
        q, b, from_zero, log_low, log_high, length = self._bounds(q)
        rising, flat = b > 0, ~from_zero & self._is_flat(b * length)
        # the distance in log x from the end where the density of log x is largest, by the probability of a smaller one
        p, rest, rate = jnp.where(rising, 1.0 - q, q), jnp.where(rising, q, 1.0 - q), jnp.where(flat, 1.0, lax.abs(b))
        beyond = jnp.where(from_zero, 0.0, jnp.exp(-rate * length))
        share = p * jnp.where(from_zero, 1.0, -jnp.expm1(-rate * length))
        far = share > 0.5
        log_rest = jnp.log(jnp.where(far, rest + p * beyond, 1.0)) + jnp.log1p(-jnp.where(far, 0.0, share))
        distance = -log_rest / rate
        steep = jnp.where(rising, log_high - distance, log_low + distance)
        x = jnp.exp(jnp.where(flat, log_low + length * (q + 0.5 * b * length * q * (1.0 - q)), steep))
        x, low, high = promote_shapes(x, jnp.asarray(self.low, x.dtype), jnp.asarray(self.high, x.dtype))
        return jnp.clip(x, low, high)

    @property
    def mean(self) -> Array:
        return jnp.exp(self._log_normalizer(1.0) - self._log_normalizer())

    @property
    def variance(self) -> Array:
        zeroth, first, second = (self._log_normalizer(order) for order in (0.0, 1.0, 2.0))
        return jnp.exp(2.0 * (first - zeroth)) * jnp.expm1(second + zeroth - 2.0 * first)

    def entropy(self) -> Array:
        zero = jnp.zeros((1,) * len(self.batch_shape), self._dtype)
        log_normalizer, mean_log = jax.jvp(self._log_normalizer, (zero,), (jnp.ones_like(zero),))
        alpha, log_normalizer, mean_log = promote_shapes(self.alpha, log_normalizer, mean_log)
        return log_normalizer - alpha * mean_log
