"""Distributions of directions: on the circle, and on spheres."""

import math
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from ppl._typing import Array, ArrayLike, Key, Shape
from ppl.distributions import constraints, random
from ppl.distributions.continuous.numerics import filled, with_value
from ppl.distributions.continuous.triangular import as_vectors, prepend_ones
from ppl.distributions.distribution import Distribution
from ppl.distributions.special import log_i0e
from ppl.distributions.special.elementary import HALF_LOG_2PI, operands
from ppl.distributions.util import promote_shapes, safe_normalize, validate_sample, von_mises_centered


class VonMises(Distribution):
    """The von Mises distribution on the circle: `log p(x) = k cos(x - loc) - log(2 pi I_0(k))`.

    Computed as `-2 k sin^2((x - loc) / 2) - log(2 pi e^-k I_0(k))`, which is accurate for large `k`. `mean` is the mean direction
    in [-pi, pi), `variance` the circular variance `1 - I_1(k) / I_0(k)`.

    Args:
        loc: the mean direction, any real number.
        concentration: `k`, positive; about the reciprocal of the variance where it is large.

    Example:
        >>> from ppl.distributions import VonMises
        >>> VonMises(0.0, 1e6).log_prob(0.0)
        Array(5.98882, dtype=float32)
    """

    arg_constraints = {"loc": constraints.real, "concentration": constraints.positive}
    support = constraints.circular
    reparametrized_params = ["loc"]

    def __init__(self, loc: ArrayLike, concentration: ArrayLike, *, validate_args: bool | None = None) -> None:
        (self.loc, self.concentration), batch_shape = promote_shapes(loc, concentration, return_shapes=True)
        super().__init__(batch_shape, validate_args=validate_args)

    def sample(self, key: Key, sample_shape: Shape = ()) -> Array:
        draws = von_mises_centered(key, self.concentration, self.shape(sample_shape), self._dtype)
        draws, loc = promote_shapes(draws, self.loc)
        return wrapped(draws + loc)

    @validate_sample
    def log_prob(self, value: ArrayLike) -> Array:
        value, loc, k = with_value(value, self.loc, self.concentration)
        return (-2.0 * k) * lax.square(lax.sin(0.5 * (value - loc))) - (log_i0e(k) + math.log(2 * math.pi))

    @property
    def mean(self) -> Array:
        return wrapped(filled(self.loc, self.batch_shape, self._dtype))

    @property
    def variance(self) -> Array:
        _, k = operands(self.loc, self.concentration)
        large = k > 30.0
        w = 1.0 / jnp.where(large, k, 30.0)
        series = w * (0.5 + w * (0.125 + w * (0.125 + w * (25.0 / 128 + w * (13.0 / 32 + w * (1073.0 / 1024))))))
        small = jnp.where(large, 1.0, k)
        return jnp.where(large, series, 1.0 - lax.bessel_i1e(small) / lax.bessel_i0e(small))

    def entropy(self) -> Array:
        _, k = operands(self.loc, self.concentration)
        return log_i0e(k) + math.log(2 * math.pi) + k * self.variance


class ProjectedNormal(Distribution):
    """The direction `z / |z|` of a normal vector `z` with mean `concentration` and covariance `I`.

    With `a = x' concentration` and the normal density `phi`, with respect to the area of the sphere in `d` dimensions,
    `log p(x) = log M(a) - |concentration - a x|^2 / 2 - (d - 1)/2 log 2 pi`, `M(a) = int_0^inf r^(d - 1) phi(r - a) dr`.
    The integral has a closed form; it is here for `d` = 2 and 3. Draws are differentiable in the concentration.

    Args:
        concentration: the mean of `z`, shape `(..., d)`: its direction is the mean direction, and the longer it is, the closer
            are the draws; zero gives the uniform law.
        validate_args: whether to check the parameters now and values in `log_prob`.

    Raises:
        ValueError: a scalar concentration.
        NotImplementedError: `log_prob` in other dimensions than 2 and 3.

    Example:
        >>> from ppl.distributions import ProjectedNormal
        >>> ProjectedNormal([3.0, 4.0]).mean
        Array([0.6, 0.8], dtype=float32)
        >>> ProjectedNormal([0.0, 0.0]).log_prob([1.0, 0.0])
        Array(-1.83788, dtype=float32)

    Source: Hernandez-Stumpfhauser, Breidt & van der Woerd (2017), "The general projected normal distribution of arbitrary
    dimension: modeling and Bayesian inference".
    """

    arg_constraints = {"concentration": constraints.real_vector}
    support = constraints.sphere
    reparametrized_params = ["concentration"]

    def __init__(self, concentration: ArrayLike, *, validate_args: bool | None = None) -> None:
        self.concentration = as_vectors("ProjectedNormal", "concentration", concentration, "dimension")
        shape = np.shape(self.concentration)
        super().__init__(shape[:-1], shape[-1:], validate_args=validate_args)

    def sample(self, key: Key, sample_shape: Shape = ()) -> Array:
        """Unit vectors, shape `sample_shape + batch_shape + (d,)`."""
        noise = random.normal(key, self.shape(sample_shape), self._dtype)
        return safe_normalize(noise + prepend_ones(self.concentration, noise.ndim))

    @validate_sample
    def log_prob(self, value: ArrayLike) -> Array:
        """Log density of unit vectors `(..., d)`."""
        d = self.event_shape[0]
        if d not in (2, 3):
            raise NotImplementedError(
                f"ProjectedNormal.log_prob is implemented for dimensions 2 and 3, but the dimension is {d}; a latent site needs no "
                "density of directions with ProjectedNormalReparam"
            )
        # component by component, since sums over axes of two or three entries are slow
        x, concentration = (
            [jnp.broadcast_to(vectors, (*vectors.shape[:-1], d))[..., i] for i in range(d)]
            for vectors in with_value(value, self.concentration)
        )
        along = sum(u * c for u, c in zip(x, concentration))
        # not |concentration|^2 - along^2, which cancels and keeps the rounding error of |x|
        across = sum(lax.square(c - along * u) for u, c in zip(x, concentration))
        return _log_radial_moment(along, d - 1) - 0.5 * across - (d - 1) * HALF_LOG_2PI

    @property
    def mean(self) -> Array:
        """The mean direction, `concentration / |concentration|`; a zero vector gives that of equal components."""
        return safe_normalize(jnp.asarray(self.concentration, self._dtype))


@partial(jax.custom_jvp, nondiff_argnums=(1,))
def _log_radial_moment(a: Array, n: int) -> Array:
    """`log M_n(a)`, `M_n(a) = int_0^inf r^n phi(r - a) dr` for `n` = 1 or 2 and the normal density `phi`.

    `M_0 = Phi(a)`, `M_1 = phi(a) + a Phi(a)` and `M_2 = a M_1 + Phi(a)`. These cancel for negative `a`: below -3 it is
    `phi(a) R_0 R_1 ... R_n`, where `R_k`, the ratios of `int_0^inf r^k exp(-r^2/2 + a r) dr` to that of `k - 1` (and to 1 for
    `k` = 0), are continued fractions of positive terms, `R_k = max(k, 1) / (-a + R_(k+1))`.
    """
    return _radial_moment(a, n)[0]


@_log_radial_moment.defjvp
def _log_radial_moment_jvp(n: int, primals: tuple[Array], tangents: tuple[Array]) -> tuple[Array, Array]:
    log_moment, slope = _radial_moment(primals[0], n)
    return log_moment, slope * tangents[0]


def _radial_moment(a: Array, n: int) -> tuple[Array, Array]:
    """`log M_n(a)` and its derivative, `n M_(n-1) / M_n`, where the latter ratio is `1 / R_n` too."""
    far = a < -3.0
    near = jnp.where(far, -3.0, a)
    upper = 0.5 * lax.erfc(near * -math.sqrt(0.5))
    moments = [upper, lax.exp(-0.5 * lax.square(near) - HALF_LOG_2PI) + near * upper]
    if n == 2:
        moments.append(near * moments[1] + upper)
    t = jnp.where(far, -a, 3.0)
    terms = 40 if a.dtype == np.float64 else 12
    ratio = 2.0 * terms / (t + lax.sqrt(lax.square(t) + 4.0 * terms))  # where R_k, k = terms, changes slowly with k
    for k in range(terms - 1, n - 1, -1):
        ratio = k / (t + ratio)
    inverse_last = 1.0 / ratio
    scaled = t * ratio  # t^(n+1) R_0 ... R_n does not underflow
    for k in range(n - 1, -1, -1):
        ratio = max(k, 1) / (t + ratio)
        scaled = scaled * (t * ratio)
    log_tail = (lax.log(scaled) - (n + 1) * lax.log(t)) - (0.5 * lax.square(t) + HALF_LOG_2PI)
    slope = n * jnp.where(far, inverse_last, moments[n - 1] / moments[n])
    return jnp.where(far, log_tail, lax.log(moments[n])), slope


def wrapped(angle: Array) -> Array:
    """`angle` moved into [-pi, pi)."""
    turned = angle + math.pi
    inside = turned - (2 * math.pi) * jnp.floor(turned / (2 * math.pi)) - math.pi
    limit = np.asarray(math.pi, angle.dtype)
    if limit > math.pi:
        limit = np.nextafter(limit, np.zeros_like(limit))
    return lax.clamp(-limit, inside, limit)
