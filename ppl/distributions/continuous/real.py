"""Families on the real line: `loc + scale * Z` for a standard law of `Z`."""

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.scipy.special import ndtri

from ppl._typing import Array, ArrayLike, Key, Shape
from ppl.distributions import constraints, random
from ppl.distributions.continuous.numerics import as_value, divided, filled, shifted, with_value
from ppl.distributions.distribution import Distribution
from ppl.distributions.special import (
    angles,
    log_gamma_half_step,
    log_ndtr,
    log_ndtr_inverse,
    student_t_log_cdf,
    student_t_log_cdf_inverse,
    student_t_log_norm,
)
from ppl.distributions.special.elementary import HALF_LOG_2PI, LOG_2, log, log1p, operands, plus, times
from ppl.distributions.util import promote_shapes, softplus, validate_sample

SQRT_HALF = math.sqrt(0.5)


class LocationScale(Distribution):
    """An abstract family of `loc + scale * Z`; a subclass tells the law of `Z`, the standard law.

    A subclass defines `standard_draw`, `standard_log_density`, and as far as they exist `standard_cdf`, `standard_quantile`,
    `standard_mean`, `standard_variance`, `standard_entropy`.
    """

    arg_constraints = {"loc": constraints.real, "scale": constraints.positive}
    support = constraints.real
    reparametrized_params = ["loc", "scale"]

    def __init__(self, loc: ArrayLike = 0.0, scale: ArrayLike = 1.0, *, validate_args: bool | None = None) -> None:
        (self.loc, self.scale), batch_shape = promote_shapes(loc, scale, return_shapes=True)
        super().__init__(batch_shape, validate_args=validate_args)

    def standard_draw(self, key: Key, shape: Shape) -> Array:
        """Draws of `Z`."""
        raise self._missing("sample")

    def standard_log_density(self, z: Array) -> Array:
        """The log density of `Z`."""
        raise self._missing("log_prob")

    def standard_cdf(self, z: Array) -> Array:
        """`P(Z <= z)`."""
        raise self._missing("cdf")

    def standard_quantile(self, q: Array) -> Array:
        """The `z` with `P(Z <= z) = q`."""
        raise self._missing("icdf")

    def standard_mean(self) -> ArrayLike:
        """The mean of `Z`."""
        raise self._missing("mean")

    def standard_variance(self) -> ArrayLike:
        """The variance of `Z`."""
        raise self._missing("variance")

    def standard_entropy(self) -> ArrayLike:
        """The entropy of `Z`."""
        raise self._missing("entropy")

    def standardize(self, value: ArrayLike) -> Array:
        """`(value - loc) / scale`."""
        value, loc, scale = with_value(value, self.loc, self.scale)
        return divided(shifted(value, loc), scale)

    def unstandardize(self, z: Array) -> Array:
        """`loc + scale * z`."""
        z, loc, scale = promote_shapes(z, self.loc, self.scale)
        return loc + scale * z

    def sample(self, key: Key, sample_shape: Shape = ()) -> Array:
        return self.unstandardize(self.standard_draw(key, self.shape(sample_shape)))

    @validate_sample
    def log_prob(self, value: ArrayLike) -> Array:
        value, loc, scale = with_value(value, self.loc, self.scale)
        return shifted(self.standard_log_density(divided(shifted(value, loc), scale)), log(scale))

    def cdf(self, value: ArrayLike) -> Array:
        return self.standard_cdf(self.standardize(value))

    def icdf(self, q: ArrayLike) -> Array:
        return self.unstandardize(self.standard_quantile(as_value(q, self._dtype)))

    @property
    def mean(self) -> Array:
        standard = self.standard_mean()
        return filled(self.unstandardize(as_value(standard, self._dtype)), self.batch_shape, self._dtype)

    @property
    def variance(self) -> Array:
        scale, standard = promote_shapes(self.scale, self.standard_variance())
        return filled(scale * scale * standard, self.batch_shape, self._dtype)

    def entropy(self) -> Array:
        log_scale, standard = promote_shapes(log(self.scale), self.standard_entropy())
        return filled(log_scale + standard, self.batch_shape, self._dtype)


class SymmetricLocationScale(LocationScale):
    """An abstract family whose standard law is symmetric about 0; its members can be truncated.

    A subclass also defines `standard_log_cdf`, `standard_tail_quantile` and `standard_central_mass`, which keep their relative
    accuracy in the lower tail and near 0.
    """

    def standard_log_cdf(self, z: Array) -> Array:
        """`log P(Z <= z)`."""
        raise self._missing("log_cdf")

    def standard_tail_quantile(self, log_p: Array) -> Array:
        """The `z <= 0` with `log P(Z <= z) = log_p`, for `log_p <= log(1/2)`."""
        raise self._missing("icdf")

    def standard_central_mass(self, z: Array) -> Array:
        """`P(0 < Z < z)` for `0 <= z <= 1`, and the odd function that continues it to `-1 <= z < 0`."""
        raise self._missing("cdf")

    def log_cdf(self, value: ArrayLike) -> Array:
        """The logarithm of the probability of a value at most `value`, accurate in the lower tail."""
        return self.standard_log_cdf(self.standardize(value))

    def standard_cdf(self, z: Array) -> Array:
        return jnp.exp(self.standard_log_cdf(z))

    def standard_quantile(self, q: Array) -> Array:
        lower = q < 0.5
        tail = jnp.where(lower, q, 1.0 - q)
        inside = tail > 0
        z = self.standard_tail_quantile(jnp.log(jnp.where(inside, tail, 0.25)))
        z = jnp.where(inside, z, jnp.where(tail == 0, -np.inf, np.nan))
        return jnp.where(lower, z, -z)

    def standard_mean(self) -> ArrayLike:
        return 0.0


class Normal(SymmetricLocationScale):
    """The normal distribution: `log p(x) = -((x - loc) / scale)^2 / 2 - log(scale) - log(2 pi) / 2`.

    Args:
        loc: the mean.
        scale: the standard deviation, positive.

    Raises:
        ValueError: if a concrete parameter is invalid.

    Example:
        >>> from ppl.distributions import Normal
        >>> Normal(0.0, [1.0, 2.0]).log_prob(0.5)
        Array([-1.04394, -1.64334], dtype=float32)
    """

    def standard_draw(self, key: Key, shape: Shape) -> Array:
        return random.normal(key, shape, self._dtype)

    def standard_log_density(self, z: Array) -> Array:
        return plus(times(lax.square(z), -0.5), -HALF_LOG_2PI)

    def standard_log_cdf(self, z: Array) -> Array:
        return log_ndtr(z)

    def standard_tail_quantile(self, log_p: Array) -> Array:
        return log_ndtr_inverse(log_p)

    def standard_central_mass(self, z: Array) -> Array:
        return 0.5 * lax.erf(z * SQRT_HALF)

    def standard_cdf(self, z: Array) -> Array:
        return 0.5 * lax.erfc(z * -SQRT_HALF)

    def standard_quantile(self, q: Array) -> Array:
        return ndtri(q)

    def standard_variance(self) -> ArrayLike:
        return 1.0

    def standard_entropy(self) -> ArrayLike:
        return 0.5 + HALF_LOG_2PI


class StudentT(SymmetricLocationScale):
    """Student's t distribution: the law of `loc + scale N / sqrt(G / df)` for a standard normal `N` and a chi-squared `G`.

    `log p(x) = log Gamma((df + 1)/2) - log Gamma(df/2) - log(df pi)/2 - log(scale) - (df + 1)/2 log(1 + z^2/df)`, computed without
    cancellation for large `df`. The mean is nan for `df <= 1`, the variance inf for `df <= 2`.

    Args:
        df: degrees of freedom, positive.
        loc: the median.
        scale: the scale, positive.

    Example:
        >>> from ppl.distributions import StudentT
        >>> StudentT(1e6).log_prob(1.0)
        Array(-1.41894, dtype=float32)
    """

    arg_constraints = {"df": constraints.positive, "loc": constraints.real, "scale": constraints.positive}
    reparametrized_params = ["df", "loc", "scale"]

    def __init__(self, df: ArrayLike, loc: ArrayLike = 0.0, scale: ArrayLike = 1.0, *, validate_args: bool | None = None) -> None:
        (self.df, self.loc, self.scale), batch_shape = promote_shapes(df, loc, scale, return_shapes=True)
        Distribution.__init__(self, batch_shape, validate_args=validate_args)

    def standard_draw(self, key: Key, shape: Shape) -> Array:
        k_normal, k_gamma = random.split(key)
        normal = random.normal(k_normal, shape, self._dtype)
        half = filled(0.5 * self.df, shape, self._dtype)
        # the logarithm of the Gamma variable does not underflow where df is small
        return normal * jnp.exp(0.5 * (jnp.log(half) - random.loggamma(k_gamma, half, dtype=half.dtype)))

    def standard_log_density(self, z: Array) -> Array:
        df, z = promote_shapes(self.df, z)
        return student_t_log_norm(df) - (0.5 * df + 0.5) * lax.log1p(lax.square(z) / df)

    def standard_log_cdf(self, z: Array) -> Array:
        return student_t_log_cdf(*operands(self.df, z))

    def standard_tail_quantile(self, log_p: Array) -> Array:
        return student_t_log_cdf_inverse(*operands(self.df, log_p))

    def standard_central_mass(self, z: Array) -> Array:
        # the integral of the density by Gauss and Legendre's rule
        df, z = (x[..., None] for x in operands(self.df, z))
        nodes, weights = (a.astype(z.dtype) for a in np.polynomial.legendre.leggauss(20))
        x = z * (0.5 + 0.5 * nodes.reshape((1,) * (z.ndim - 1) + (-1,)))
        density = jnp.exp(student_t_log_norm(df) - (0.5 * df + 0.5) * jnp.log1p(x * x / df))
        return 0.5 * z[..., 0] * (density @ weights)

    @property
    def mean(self) -> Array:
        df, loc = promote_shapes(self.df, self.loc)
        return filled(jnp.where(df > 1, loc, np.nan), self.batch_shape, self._dtype)

    def standard_variance(self) -> ArrayLike:
        finite = jnp.greater(self.df, 2)
        df = jnp.where(finite, self.df, 3.0)
        return jnp.where(finite, df / (df - 2.0), np.inf)

    def standard_entropy(self) -> ArrayLike:
        half = as_value(0.5 * self.df, self._dtype)
        slope = jax.jvp(log_gamma_half_step, (half,), (jnp.ones_like(half),))[1]
        mean_log = slope + 0.5 / half  # E log(1 + Z^2 / df) = digamma((df + 1)/2) - digamma(df/2)
        return (half + 0.5) * mean_log - student_t_log_norm(2.0 * half)


class Cauchy(SymmetricLocationScale):
    """The Cauchy distribution: `log p(x) = -log(pi scale) - log(1 + ((x - loc) / scale)^2)`; mean and variance are nan.

    Args:
        loc: the median.
        scale: half the interquartile range, positive.

    Example:
        >>> from ppl.distributions import Cauchy
        >>> Cauchy().cdf(1.0)
        Array(0.75, dtype=float32)
    """

    def standard_draw(self, key: Key, shape: Shape) -> Array:
        return random.cauchy(key, shape, self._dtype)

    def standard_log_density(self, z: Array) -> Array:
        return -math.log(math.pi) - lax.log1p(lax.square(z))

    def standard_cdf(self, z: Array) -> Array:
        tail = angles.arccot(jnp.abs(z))
        return jnp.where(z < 0, tail, 1.0 - tail)

    def standard_log_cdf(self, z: Array) -> Array:
        tail = angles.arccot(jnp.abs(z))
        return jnp.where(z < 0, jnp.log(tail), jnp.log1p(-tail))

    def standard_tail_quantile(self, log_p: Array) -> Array:
        return -angles.cot(jnp.exp(log_p))

    def standard_central_mass(self, z: Array) -> Array:
        return angles.arctan(z)

    def standard_mean(self) -> ArrayLike:
        return np.nan

    def standard_variance(self) -> ArrayLike:
        return np.nan

    def standard_entropy(self) -> ArrayLike:
        return math.log(4 * math.pi)


class Laplace(SymmetricLocationScale):
    """The Laplace distribution: `log p(x) = -abs(x - loc) / scale - log(2 scale)`.

    Args:
        loc: the median.
        scale: the mean distance from it, positive.

    Example:
        >>> from ppl.distributions import Laplace
        >>> Laplace(0.0, 2.0).variance
        Array(8., dtype=float32)
    """

    def standard_draw(self, key: Key, shape: Shape) -> Array:
        return random.laplace(key, shape, self._dtype)

    def standard_log_density(self, z: Array) -> Array:
        return plus(lax.neg(lax.abs(z)), -LOG_2)

    def standard_log_cdf(self, z: Array) -> Array:
        return jnp.where(z < 0, z - LOG_2, jnp.log1p(-0.5 * jnp.exp(-jnp.abs(z))))

    def standard_tail_quantile(self, log_p: Array) -> Array:
        return log_p + LOG_2

    def standard_central_mass(self, z: Array) -> Array:
        return jnp.sign(z) * -0.5 * jnp.expm1(-jnp.abs(z))

    def standard_cdf(self, z: Array) -> Array:
        tail = 0.5 * jnp.exp(-jnp.abs(z))
        return jnp.where(z < 0, tail, 1.0 - tail)

    def standard_variance(self) -> ArrayLike:
        return 2.0

    def standard_entropy(self) -> ArrayLike:
        return 1.0 + LOG_2


class Logistic(SymmetricLocationScale):
    """The logistic distribution, with `cdf(x) = 1 / (1 + exp(-z))`: `log p(x) = -abs(z) - 2 log(1 + exp(-abs(z))) - log(scale)`.

    Args:
        loc: the mean.
        scale: the scale, positive; the standard deviation is `scale pi / sqrt(3)`.

    Example:
        >>> from ppl.distributions import Logistic
        >>> Logistic(1.0, 2.0).icdf(0.5)
        Array(1., dtype=float32)
    """

    def standard_draw(self, key: Key, shape: Shape) -> Array:
        return random.logistic(key, shape, self._dtype)

    def standard_log_density(self, z: Array) -> Array:
        size = lax.abs(z)
        return -size - 2.0 * lax.log1p(lax.exp(-size))

    def standard_log_cdf(self, z: Array) -> Array:
        return -softplus(-z)

    def standard_tail_quantile(self, log_p: Array) -> Array:
        return log_p - jnp.log1p(-jnp.exp(log_p))

    def standard_central_mass(self, z: Array) -> Array:
        return 0.5 * jnp.tanh(0.5 * z)

    def standard_cdf(self, z: Array) -> Array:
        return lax.logistic(z)

    def standard_variance(self) -> ArrayLike:
        return math.pi**2 / 3

    def standard_entropy(self) -> ArrayLike:
        return 2.0


class SoftLaplace(SymmetricLocationScale):
    """A smooth relative of the Laplace distribution, the hyperbolic secant law: `p(x) = 2 / (pi scale (e^z + e^-z))`.

    Args:
        loc: the mean.
        scale: the scale, positive: the slope of `log p` tends to `1 / scale`.

    Example:
        >>> from ppl.distributions import SoftLaplace
        >>> SoftLaplace(0.0, 1.0).log_prob(100.0)
        Array(-100.452, dtype=float32)
    """

    def __init__(self, loc: ArrayLike, scale: ArrayLike, *, validate_args: bool | None = None) -> None:
        super().__init__(loc, scale, validate_args=validate_args)

    def standard_draw(self, key: Key, shape: Shape) -> Array:
        dtype = self._dtype
        v = random.uniform(key, shape, dtype, np.nextafter(np.array(-1, dtype), np.array(0, dtype)), 1.0)
        z = jnp.log(jnp.tan((0.25 * math.pi) * (1.0 - jnp.abs(v))))
        return jnp.where(v < 0, z, -z)

    def standard_log_density(self, z: Array) -> Array:
        size = lax.abs(z)
        return math.log(2 / math.pi) - size - lax.log1p(lax.exp(-2.0 * size))

    def standard_log_cdf(self, z: Array) -> Array:
        size = jnp.abs(z)
        w = jnp.exp(-size)
        angle = jnp.arctan(w)
        ratio = jnp.where(w > 1e-9, angle / jnp.where(w > 1e-9, w, 1.0), 1.0)
        return jnp.where(z < 0, math.log(2 / math.pi) - size + jnp.log(ratio), jnp.log1p((-2 / math.pi) * angle))

    def standard_tail_quantile(self, log_p: Array) -> Array:
        p = jnp.exp(log_p)
        w = jnp.where(p > 1e-9, p, 1.0)
        return log_p + jnp.where(p > 1e-9, jnp.log(jnp.tan((0.5 * math.pi) * w) / w), math.log(0.5 * math.pi))

    def standard_central_mass(self, z: Array) -> Array:
        return (2 / math.pi) * jnp.arctan(jnp.tanh(0.5 * z))

    def standard_variance(self) -> ArrayLike:
        return math.pi**2 / 4

    def standard_entropy(self) -> ArrayLike:
        return 2 * HALF_LOG_2PI


class Gumbel(LocationScale):
    """The Gumbel distribution of maxima, with `cdf(x) = exp(-exp(-z))`: `log p(x) = -z - exp(-z) - log(scale)`.

    Args:
        loc: the mode.
        scale: the scale, positive.

    Example:
        >>> from ppl.distributions import Gumbel
        >>> Gumbel().mean
        Array(0.577216, dtype=float32)
    """

    def standard_draw(self, key: Key, shape: Shape) -> Array:
        return random.gumbel(key, shape, self._dtype)

    def standard_log_density(self, z: Array) -> Array:
        return -z - lax.exp(-z)

    def standard_cdf(self, z: Array) -> Array:
        return jnp.exp(-jnp.exp(-z))

    def standard_quantile(self, q: Array) -> Array:
        return -jnp.log(-jnp.log(q))

    def standard_mean(self) -> ArrayLike:
        return np.euler_gamma

    def standard_variance(self) -> ArrayLike:
        return math.pi**2 / 6

    def standard_entropy(self) -> ArrayLike:
        return 1.0 + np.euler_gamma


class _TwoSidedExponential(LocationScale):
    """Exponential laws of two scales, left and right of `loc`, with a density continuous there."""

    def _sides(self) -> tuple[Any, Any]:
        """The mean distances from `loc` on the left and on the right, in units of `scale`."""
        raise self._missing("log_prob")

    def standard_draw(self, key: Key, shape: Shape) -> Array:
        # the difference of independent exponentials of these means
        e = random.exponential(key, (2, *shape), self._dtype)
        left, right, x, y = promote_shapes(*self._sides(), e[0], e[1])
        return right * x - left * y

    def standard_log_density(self, z: Array) -> Array:
        left, right, z = promote_shapes(*self._sides(), z)
        return -jnp.where(z < 0, -z / left, z / right) - log(left + right)

    def standard_cdf(self, z: Array) -> Array:
        left, right, z = promote_shapes(*self._sides(), z)
        total = left + right
        below = z < 0
        size = jnp.where(below, z / left, -z / right)
        return left / total * jnp.where(below, jnp.exp(size), 1.0) - jnp.where(below, 0.0, right / total * jnp.expm1(size))

    def standard_quantile(self, q: Array) -> Array:
        left, right, q = promote_shapes(*self._sides(), q)
        total = left + right
        excess = q - left / total
        below, share = excess < 0, excess * (total / right)  # of the probability above loc
        near = ~below & (share < 0.5)
        near_loc = jnp.log1p(-jnp.where(near, share, 0.0))
        above = jnp.where(near, near_loc, jnp.log(jnp.where(near, 1.0, (1.0 - q) * (total / right))))
        return jnp.where(below, left * jnp.log(jnp.where(below, q * (total / left), 1.0)), -right * above)

    def standard_mean(self) -> ArrayLike:
        left, right = self._sides()
        return right - left

    def standard_variance(self) -> ArrayLike:
        left, right = self._sides()
        return left * left + right * right

    def standard_entropy(self) -> ArrayLike:
        left, right = self._sides()
        return 1.0 + log(left + right)


class AsymmetricLaplace(_TwoSidedExponential):
    """The asymmetric Laplace distribution: exponential with scale `scale asymmetry` left of `loc`, `scale / asymmetry` right of it.

    Args:
        loc: the mode.
        scale: the scale, positive.
        asymmetry: the square root of the ratio of left to right scale, positive.

    Example:
        >>> from ppl.distributions import AsymmetricLaplace
        >>> AsymmetricLaplace(0.0, 1.0, 2.0).mean
        Array(-1.5, dtype=float32)
    """

    arg_constraints = {"loc": constraints.real, "scale": constraints.positive, "asymmetry": constraints.positive}
    reparametrized_params = ["loc", "scale", "asymmetry"]

    def __init__(
        self, loc: ArrayLike = 0.0, scale: ArrayLike = 1.0, asymmetry: ArrayLike = 1.0, *, validate_args: bool | None = None
    ) -> None:
        (self.loc, self.scale, self.asymmetry), batch_shape = promote_shapes(loc, scale, asymmetry, return_shapes=True)
        Distribution.__init__(self, batch_shape, validate_args=validate_args)

    def _sides(self) -> tuple[Any, Any]:
        return self.asymmetry, 1.0 / self.asymmetry

    def standard_log_density(self, z: Array) -> Array:
        left, right, z = promote_shapes(*self._sides(), z)  # each is the reciprocal of the other
        return z * jnp.where(z < 0, right, -left) - log(left + right)


class AsymmetricLaplaceQuantile(_TwoSidedExponential):
    """The asymmetric Laplace distribution by the probability of its left side: `log p(x) = log(q (1 - q) / scale) - rho_q(z)`.

    `rho_q(z) = z (q - 1[z < 0])` is the loss of quantile regression.

    Args:
        loc: the quantile at which the two sides meet.
        scale: the scale, positive.
        quantile: `P(X < loc)`, in (0, 1).

    Example:
        >>> from ppl.distributions import AsymmetricLaplaceQuantile
        >>> AsymmetricLaplaceQuantile(3.0, 2.0, 0.25).cdf(3.0)
        Array(0.25, dtype=float32)
    """

    arg_constraints = {"loc": constraints.real, "scale": constraints.positive, "quantile": constraints.open_interval(0.0, 1.0)}
    reparametrized_params = ["loc", "scale", "quantile"]

    def __init__(
        self, loc: ArrayLike = 0.0, scale: ArrayLike = 1.0, quantile: ArrayLike = 0.5, *, validate_args: bool | None = None
    ) -> None:
        (self.loc, self.scale, self.quantile), batch_shape = promote_shapes(loc, scale, quantile, return_shapes=True)
        Distribution.__init__(self, batch_shape, validate_args=validate_args)

    def _sides(self) -> tuple[Any, Any]:
        return 1.0 / (1.0 - self.quantile), 1.0 / self.quantile

    def standard_log_density(self, z: Array) -> Array:
        q, z = promote_shapes(self.quantile, z)
        return log(q) + log1p(-q) - z * jnp.where(z < 0, q - 1.0, q)
