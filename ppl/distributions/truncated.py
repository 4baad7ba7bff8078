"""Distributions restricted to an interval, accurate also where the interval lies far in a tail."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ppl._typing import Array, ArrayLike, Key, Shape
from ppl.distributions import constraints, random
from ppl.distributions.constraints import Constraint
from ppl.distributions.continuous.heavy import DoublyTruncatedPowerLaw as DoublyTruncatedPowerLaw  # names that NumPyro has here
from ppl.distributions.continuous.heavy import LowerTruncatedPowerLaw as LowerTruncatedPowerLaw
from ppl.distributions.continuous.numerics import as_value, filled, with_value, within
from ppl.distributions.continuous.polya_gamma import TruncatedPolyaGamma as TruncatedPolyaGamma
from ppl.distributions.continuous.positive import Gamma
from ppl.distributions.continuous.real import Cauchy, Normal, SymmetricLocationScale
from ppl.distributions.distribution import Distribution
from ppl.distributions.intervals import (
    Tails,
    accurate_tails,
    interval_moments,
    log_interval_mass,
    mass_from_zero,
    polished,
    quantile_below,
    quantile_between,
    quick_tails,
    stack,
)
from ppl.distributions.special import (
    gamma_interval_log_mass,
    gamma_interval_moments,
    gamma_log_quantile,
    log_gammainc_pair,
)
from ppl.distributions.special.elementary import is_number, operands
from ppl.distributions.util import as_parameter, factory, float_dtype, is_concrete, promote_shapes, validate_sample


class _Truncated(Distribution):
    """What truncated distributions share: a base, bounds that are leaves, draws through the quantile function."""

    pytree_data_fields = ("base_dist",)
    base_dist: Any

    @property
    def has_rsample(self) -> bool:
        return self.base_dist.has_rsample

    @property
    def _dtype(self) -> Any:
        return float_dtype(*jax.tree_util.tree_leaves(self))

    def sample(self, key: Key, sample_shape: Shape = ()) -> Array:
        return self._quick_quantile(random.open_uniform(key, self.shape(sample_shape), self._dtype))

    def _quick_quantile(self, q: Array) -> Array:
        """`icdf` for draws, which need not have all its digits."""
        return self.icdf(q)

    def _log_mass(self) -> Array:
        """The logarithm of the probability that the base lies within the bounds."""
        raise self._missing("log_prob")

    def _inside(self, value: Array) -> Array:
        """Whether `value` lies within the bounds."""
        raise self._missing("log_prob")

    @validate_sample
    def log_prob(self, value: ArrayLike) -> Array:
        value = as_value(value, self._dtype)
        inside = self._inside(value)
        density, log_mass = promote_shapes(self.base_dist.log_prob(value), self._log_mass())
        return within(inside, density - log_mass)


def _check_base(name: str, base_dist: Any, kind: type, families: str) -> None:
    if not isinstance(base_dist, kind):
        found = type(base_dist).__name__
        raise TypeError(f"{name} truncates {families}, but base_dist is of type {found}; truncate first, then expand or mask")


# symmetric families on the real line ------------------------------------------------------------------------------------

SYMMETRIC = "Normal, Cauchy, Laplace, Logistic, SoftLaplace and StudentT"


class _SymmetricTruncated(_Truncated):
    """A symmetric base within standardized bounds."""

    support: Any

    def _bounds(self) -> tuple[Array, Array]:
        """The standardized bounds; infinite where there is none."""
        raise self._missing("mean")

    def _clip(self, x: Array) -> Array:
        """`x` moved to the bound that it exceeds by rounding."""
        raise self._missing("icdf")

    def _quantile(self, tails: Tails, q: Array) -> Array:
        """The standardized quantile, without some digits near 0."""
        raise self._missing("icdf")

    def _quick_quantile(self, q: Array) -> Array:
        return self._clip(self.base_dist.unstandardize(self._quantile(quick_tails(self.base_dist), q)))

    def icdf(self, q: ArrayLike) -> Array:
        q = as_value(q, self._dtype)
        q = jnp.where((q >= 0) & (q <= 1), q, np.nan)
        low, high = self._bounds()
        below_low, below_high = (mass_from_zero(self.base_dist, bound) for bound in (low, high))
        z = polished(self.base_dist, self._quantile(accurate_tails(self.base_dist), q), below_low, below_high, q)
        z, q, low, high = promote_shapes(z, q, low, high)
        z = jnp.where(q == 0, low, jnp.where(q == 1, high, z))
        return self._clip(self.base_dist.unstandardize(z))

    @property
    def mean(self) -> Array:
        mean = self.base_dist.unstandardize(interval_moments(self.base_dist, *self._bounds())[0])
        return filled(mean, self.batch_shape, self._dtype)

    @property
    def variance(self) -> Array:
        scale, variance = promote_shapes(self.base_dist.scale, interval_moments(self.base_dist, *self._bounds())[1])
        return filled(scale * scale * variance, self.batch_shape, self._dtype)


class LeftTruncatedDistribution(_SymmetricTruncated):
    """A symmetric distribution restricted to `x >= low`: `log p(x) = log p0(x) - log P0(X >= low)`.

    Args:
        base_dist: a Normal, Cauchy, Laplace, Logistic, SoftLaplace or StudentT distribution.
        low: the lower bound.

    Raises:
        TypeError: if `base_dist` is of another family.

    Example:
        >>> from ppl.distributions import LeftTruncatedDistribution, Normal
        >>> LeftTruncatedDistribution(Normal(), 30.0).mean
        Array(30.0333, dtype=float32)
    """

    arg_constraints = {"low": constraints.real}
    reparametrized_params = ["low"]

    def __init__(self, base_dist: Distribution, low: ArrayLike = 0.0, *, validate_args: bool | None = None) -> None:
        _check_base(type(self).__name__, base_dist, SymmetricLocationScale, SYMMETRIC)
        (self.low,), batch_shape = promote_shapes(low, shape=base_dist.batch_shape, return_shapes=True)
        self.base_dist = base_dist
        super().__init__(batch_shape, validate_args=validate_args)

    @constraints.dependent_property(is_discrete=False, event_dim=0)
    def support(self) -> Constraint:
        return constraints.greater_than_eq(self.low)

    def _bounds(self) -> tuple[Array, Array]:
        a = self.base_dist.standardize(self.low)
        return a, jnp.full_like(a, np.inf)

    def _log_mass(self) -> Array:
        return self.base_dist.standard_log_cdf(-self.base_dist.standardize(self.low))

    def _inside(self, value: Array) -> Array:
        value, low = promote_shapes(value, self.low)
        return value >= low

    def cdf(self, value: ArrayLike) -> Array:
        value, low = with_value(value, self.low)
        z = self.base_dist.standardize(jnp.maximum(value, low))
        a = self.base_dist.standardize(low)
        log_survival, log_mass = self.base_dist.standard_log_cdf(-stack(z, a))
        large, small = log_interval_mass(self.base_dist, a, z)
        share = jnp.exp((large - log_mass) + small)
        return jnp.where(a >= 1, -jnp.expm1(log_survival - log_mass), jnp.minimum(share, 1.0))

    def _clip(self, x: Array) -> Array:
        x, low = promote_shapes(x, self.low)
        return jnp.maximum(x, low)

    def _quantile(self, tails: Tails, q: Array) -> Array:
        return -quantile_below(tails, -self.base_dist.standardize(self.low), 1.0 - q, q)


class RightTruncatedDistribution(_SymmetricTruncated):
    """A symmetric distribution restricted to `x <= high`: `log p(x) = log p0(x) - log P0(X <= high)`.

    Args:
        base_dist: a Normal, Cauchy, Laplace, Logistic, SoftLaplace or StudentT distribution.
        high: the upper bound.

    Raises:
        TypeError: if `base_dist` is of another family.

    Example:
        >>> from ppl.distributions import Normal, RightTruncatedDistribution
        >>> RightTruncatedDistribution(Normal(), 0.0).cdf(0.0)
        Array(1., dtype=float32)
    """

    arg_constraints = {"high": constraints.real}
    reparametrized_params = ["high"]

    def __init__(self, base_dist: Distribution, high: ArrayLike = 0.0, *, validate_args: bool | None = None) -> None:
        _check_base(type(self).__name__, base_dist, SymmetricLocationScale, SYMMETRIC)
        (self.high,), batch_shape = promote_shapes(high, shape=base_dist.batch_shape, return_shapes=True)
        self.base_dist = base_dist
        super().__init__(batch_shape, validate_args=validate_args)

    @constraints.dependent_property(is_discrete=False, event_dim=0)
    def support(self) -> Constraint:
        return constraints.less_than_eq(self.high)

    def _bounds(self) -> tuple[Array, Array]:
        b = self.base_dist.standardize(self.high)
        return jnp.full_like(b, -np.inf), b

    def _log_mass(self) -> Array:
        return self.base_dist.standard_log_cdf(self.base_dist.standardize(self.high))

    def _inside(self, value: Array) -> Array:
        value, high = promote_shapes(value, self.high)
        return value <= high

    def cdf(self, value: ArrayLike) -> Array:
        value, high = with_value(value, self.high)
        z = self.base_dist.standardize(jnp.minimum(value, high))
        log_cdf, log_mass = promote_shapes(self.base_dist.standard_log_cdf(z), self._log_mass())
        return jnp.exp(log_cdf - log_mass)

    def _clip(self, x: Array) -> Array:
        x, high = promote_shapes(x, self.high)
        return jnp.minimum(x, high)

    def _quantile(self, tails: Tails, q: Array) -> Array:
        return quantile_below(tails, self.base_dist.standardize(self.high), q, 1.0 - q)


class TwoSidedTruncatedDistribution(_SymmetricTruncated):
    """A symmetric distribution restricted to `low <= x <= high`: `log p(x) = log p0(x) - log P0(low <= X <= high)`.

    Args:
        base_dist: a Normal, Cauchy, Laplace, Logistic, SoftLaplace or StudentT distribution.
        low: the lower bound.
        high: the upper bound, above `low`.

    Raises:
        TypeError: if `base_dist` is of another family.

    Example:
        >>> from ppl.distributions import Normal, TwoSidedTruncatedDistribution
        >>> TwoSidedTruncatedDistribution(Normal(), 30.0, 31.0).mean
        Array(30.0333, dtype=float32)
    """

    arg_constraints = {
        "low": constraints.dependent(is_discrete=False, event_dim=0),
        "high": constraints.dependent(is_discrete=False, event_dim=0),
    }
    reparametrized_params = ["low", "high"]

    def __init__(
        self, base_dist: Distribution, low: ArrayLike = 0.0, high: ArrayLike = 1.0, *, validate_args: bool | None = None
    ) -> None:
        _check_base(type(self).__name__, base_dist, SymmetricLocationScale, SYMMETRIC)
        (self.low, self.high), batch_shape = promote_shapes(low, high, shape=base_dist.batch_shape, return_shapes=True)
        self.base_dist = base_dist
        super().__init__(batch_shape, validate_args=validate_args)

    @constraints.dependent_property(is_discrete=False, event_dim=0)
    def support(self) -> Constraint:
        return constraints.interval(self.low, self.high)

    def _bounds(self) -> tuple[Array, Array]:
        a, b = promote_shapes(self.base_dist.standardize(self.low), self.base_dist.standardize(self.high))
        return a, b

    def _log_mass(self) -> Array:
        large, small = log_interval_mass(self.base_dist, *self._bounds())
        return large + small

    def _inside(self, value: Array) -> Array:
        value, low, high = promote_shapes(value, self.low, self.high)
        return (value >= low) & (value <= high)

    def cdf(self, value: ArrayLike) -> Array:
        value, low, high = with_value(value, self.low, self.high)
        z = self.base_dist.standardize(jnp.clip(value, low, high))
        a, b = self._bounds()
        start, end = stack(a, a, z)[:2], stack(a, z, b)[1:]
        large, small = log_interval_mass(self.base_dist, start, end)
        return jnp.minimum(jnp.exp((large[0] - large[1]) + (small[0] - small[1])), 1.0)

    def _clip(self, x: Array) -> Array:
        x, low, high = promote_shapes(x, self.low, self.high)
        return jnp.clip(x, low, high)

    def _quantile(self, tails: Tails, q: Array) -> Array:
        return quantile_between(tails, *self._bounds(), q, 1.0 - q)


def _bound(x: ArrayLike | None, infinite: float) -> ArrayLike | None:
    """None for a bound that is known to be no bound."""
    x = as_parameter(x)
    return None if x is None or (np.ndim(x) == 0 and is_concrete(x) and np.asarray(x) == infinite) else x


@factory
def TruncatedDistribution(  # noqa: N802
    base_dist: Distribution,
    low: ArrayLike | None = None,
    high: ArrayLike | None = None,
    *,
    validate_args: bool | None = None,
) -> Distribution:
    """`base_dist` restricted to `low <= x <= high`, or from one side only, or unchanged, where a bound is None.

    Args:
        base_dist: a Normal, Cauchy, Laplace, Logistic, SoftLaplace or StudentT distribution.
        low: the lower bound or None.
        high: the upper bound or None.
        validate_args: check parameters and samples.

    Raises:
        TypeError: if `base_dist` is of another family.

    Example:
        >>> from ppl.distributions import StudentT, TruncatedDistribution
        >>> TruncatedDistribution(StudentT(3.0), low=0.0).log_prob(1.0)
        Array(-0.88311, dtype=float32)
    """
    low, high = _bound(low, -np.inf), _bound(high, np.inf)
    if low is None:
        if high is None:
            return base_dist
        return RightTruncatedDistribution(base_dist, high, validate_args=validate_args)
    if high is None:
        return LeftTruncatedDistribution(base_dist, low, validate_args=validate_args)
    return TwoSidedTruncatedDistribution(base_dist, low, high, validate_args=validate_args)


@factory
def TruncatedNormal(  # noqa: N802
    loc: ArrayLike = 0.0,
    scale: ArrayLike = 1.0,
    *,
    low: ArrayLike | None = None,
    high: ArrayLike | None = None,
    validate_args: bool | None = None,
) -> Distribution:
    """A normal distribution restricted to `low <= x <= high`; None is no bound. See `TruncatedDistribution`."""
    return TruncatedDistribution(Normal(loc, scale, validate_args=validate_args), low, high, validate_args=validate_args)


@factory
def TruncatedCauchy(  # noqa: N802
    loc: ArrayLike = 0.0,
    scale: ArrayLike = 1.0,
    *,
    low: ArrayLike | None = None,
    high: ArrayLike | None = None,
    validate_args: bool | None = None,
) -> Distribution:
    """A Cauchy distribution restricted to `low <= x <= high`; None is no bound. See `TruncatedDistribution`."""
    return TruncatedDistribution(Cauchy(loc, scale, validate_args=validate_args), low, high, validate_args=validate_args)


# Gamma ------------------------------------------------------------------------------------------------------------------


class _GammaTruncated(_Truncated):
    """A Gamma base between bounds, 0 and inf where there is none."""

    def _limits(self) -> tuple[ArrayLike, ArrayLike]:
        raise self._missing("log_prob")

    def _standard(self, *values: ArrayLike) -> tuple[Array, ...]:
        """The shape of the base, and its limits and `values` in units of the reciprocal rate, as arrays of one shape."""
        low, high = self._limits()
        base = self.base_dist
        a, rate, *xs = promote_shapes(base.concentration, base.rate, low, high, *values)
        return operands(a, *(x if is_number(x) and x == np.inf else rate * jnp.asarray(x, self._dtype) for x in xs))

    def _log_mass(self) -> Array:
        return gamma_interval_log_mass(*self._standard())

    def _inside(self, value: Array) -> Array:
        value, low, high = promote_shapes(value, *self._limits())
        return (value >= low) & (value <= high)

    def cdf(self, value: ArrayLike) -> Array:
        a, low, high, x = self._standard(as_value(value, self._dtype))
        x = jnp.clip(x, low, high)
        below, log_mass = gamma_interval_log_mass(stack(a, a), stack(low, low), stack(x, high))
        return jnp.minimum(jnp.exp(below - log_mass), 1.0)

    def icdf(self, q: ArrayLike) -> Array:
        q, rate, *bounds = with_value(q, self.base_dist.rate, *self._limits())
        a, low, high = self._standard()
        log_p, log_survivals = log_gammainc_pair(stack(a, a), stack(low, high))
        log_q, log_rest, *logs = promote_shapes(jnp.log(q), jnp.log1p(-q), *log_p, *log_survivals)
        log_cdf = jnp.logaddexp(logs[0] + log_rest, logs[1] + log_q)
        log_survival = jnp.logaddexp(logs[2] + log_rest, logs[3] + log_q)
        (a,) = promote_shapes(a, shape=np.shape(log_cdf))
        y = gamma_log_quantile(*operands(a, jnp.maximum(log_cdf, -1e30), jnp.maximum(log_survival, -1e30)))
        x, rate, *bounds = promote_shapes(jnp.exp(y), rate, *bounds)
        return jnp.clip(x / rate, *bounds)

    def _moments(self) -> tuple[Array, Array]:
        return gamma_interval_moments(*self._standard())

    @property
    def mean(self) -> Array:
        mean, rate = promote_shapes(self._moments()[0], self.base_dist.rate)
        return filled(mean / rate, self.batch_shape, self._dtype)

    @property
    def variance(self) -> Array:
        variance, rate = promote_shapes(self._moments()[1], self.base_dist.rate)
        return filled(variance / (rate * rate), self.batch_shape, self._dtype)


class LeftTruncatedGamma(_GammaTruncated):
    """A Gamma distribution restricted to `x >= low`.

    Args:
        base_dist: a Gamma or Chi2 distribution.
        low: the lower bound, at least 0.

    Raises:
        TypeError: if `base_dist` is of another family.

    Example:
        >>> from ppl.distributions import Gamma, LeftTruncatedGamma
        >>> LeftTruncatedGamma(Gamma(1.0, 2.0), 100.0).mean
        Array(100.5, dtype=float32)
    """

    arg_constraints = {"low": constraints.greater_than_eq(0.0)}
    reparametrized_params = ["low"]

    def __init__(self, base_dist: Distribution, low: ArrayLike = 0.0, *, validate_args: bool | None = None) -> None:
        _check_base(type(self).__name__, base_dist, Gamma, "Gamma and Chi2")
        (self.low,), batch_shape = promote_shapes(low, shape=base_dist.batch_shape, return_shapes=True)
        self.base_dist = base_dist
        super().__init__(batch_shape, validate_args=validate_args)

    @constraints.dependent_property(is_discrete=False, event_dim=0)
    def support(self) -> Constraint:
        return constraints.greater_than_eq(self.low)

    def _limits(self) -> tuple[ArrayLike, ArrayLike]:
        return self.low, np.inf

    def _log_mass(self) -> Array:
        return log_gammainc_pair(*self._standard()[:2])[1]


class RightTruncatedGamma(_GammaTruncated):
    """A Gamma distribution restricted to `x <= high`.

    Args:
        base_dist: a Gamma or Chi2 distribution.
        high: the upper bound, positive.

    Raises:
        TypeError: if `base_dist` is of another family.

    Example:
        >>> from ppl.distributions import Gamma, RightTruncatedGamma
        >>> RightTruncatedGamma(Gamma(2.0), 1e-6).cdf(5e-7)
        Array(0.25, dtype=float32)
    """

    arg_constraints = {"high": constraints.positive}
    reparametrized_params = ["high"]

    def __init__(self, base_dist: Distribution, high: ArrayLike = 1.0, *, validate_args: bool | None = None) -> None:
        _check_base(type(self).__name__, base_dist, Gamma, "Gamma and Chi2")
        (self.high,), batch_shape = promote_shapes(high, shape=base_dist.batch_shape, return_shapes=True)
        self.base_dist = base_dist
        super().__init__(batch_shape, validate_args=validate_args)

    @constraints.dependent_property(is_discrete=False, event_dim=0)
    def support(self) -> Constraint:
        return constraints.interval(0.0, self.high)

    def _limits(self) -> tuple[ArrayLike, ArrayLike]:
        return 0.0, self.high

    def _log_mass(self) -> Array:
        a, _, high = self._standard()
        return log_gammainc_pair(a, high)[0]


class TwoSidedTruncatedGamma(_GammaTruncated):
    """A Gamma distribution restricted to `low <= x <= high`.

    Args:
        base_dist: a Gamma or Chi2 distribution.
        low: the lower bound, at least 0.
        high: the upper bound, above `low`.

    Raises:
        TypeError: if `base_dist` is of another family.

    Example:
        >>> from ppl.distributions import Gamma, TwoSidedTruncatedGamma
        >>> TwoSidedTruncatedGamma(Gamma(1.0), 0.0, 1e-4).mean
        Array(4.9999e-05, dtype=float32)
    """

    arg_constraints = {
        "low": constraints.dependent(is_discrete=False, event_dim=0),
        "high": constraints.dependent(is_discrete=False, event_dim=0),
    }
    reparametrized_params = ["low", "high"]

    def __init__(
        self, base_dist: Distribution, low: ArrayLike = 0.0, high: ArrayLike = 1.0, *, validate_args: bool | None = None
    ) -> None:
        _check_base(type(self).__name__, base_dist, Gamma, "Gamma and Chi2")
        (self.low, self.high), batch_shape = promote_shapes(low, high, shape=base_dist.batch_shape, return_shapes=True)
        self.base_dist = base_dist
        super().__init__(batch_shape, validate_args=validate_args)

    @constraints.dependent_property(is_discrete=False, event_dim=0)
    def support(self) -> Constraint:
        return constraints.interval(self.low, self.high)

    def _limits(self) -> tuple[ArrayLike, ArrayLike]:
        return self.low, self.high


@factory
def TruncatedGamma(  # noqa: N802
    concentration: ArrayLike = 1.0,
    rate: ArrayLike = 1.0,
    *,
    low: ArrayLike | None = None,
    high: ArrayLike | None = None,
    validate_args: bool | None = None,
) -> Distribution:
    """A Gamma distribution restricted to `low <= x <= high`; None is no bound.

    Example:
        >>> from ppl.distributions import TruncatedGamma
        >>> TruncatedGamma(2.0, 1.0, low=50.0).mean
        Array(51.0196, dtype=float32)
    """
    base = Gamma(concentration, rate, validate_args=validate_args)
    low, high = _bound(low, -np.inf), _bound(high, np.inf)
    if low is None:
        return base if high is None else RightTruncatedGamma(base, high, validate_args=validate_args)
    if high is None:
        return LeftTruncatedGamma(base, low, validate_args=validate_args)
    return TwoSidedTruncatedGamma(base, low, high, validate_args=validate_args)
