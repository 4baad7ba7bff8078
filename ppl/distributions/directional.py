"""Distributions on the circle."""

import math

import jax.numpy as jnp
import numpy as np
from jax import lax

from ppl._typing import Array, ArrayLike, Key, Shape
from ppl.distributions import constraints
from ppl.distributions.continuous.numerics import filled, with_value
from ppl.distributions.distribution import Distribution
from ppl.distributions.special import log_i0e, von_mises_centered
from ppl.distributions.special.elementary import operands
from ppl.distributions.util import promote_shapes, validate_sample


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
        return _wrapped(draws + loc)

    @validate_sample
    def log_prob(self, value: ArrayLike) -> Array:
        value, loc, k = with_value(value, self.loc, self.concentration)
        return (-2.0 * k) * lax.square(lax.sin(0.5 * (value - loc))) - (log_i0e(k) + math.log(2 * math.pi))

    @property
    def mean(self) -> Array:
        return _wrapped(filled(self.loc, self.batch_shape, self._dtype))

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


def _wrapped(angle: Array) -> Array:
    """`angle` moved into [-pi, pi)."""
    turned = angle + math.pi
    wrapped = turned - (2 * math.pi) * jnp.floor(turned / (2 * math.pi)) - math.pi
    limit = np.asarray(math.pi, angle.dtype)
    if limit > math.pi:
        limit = np.nextafter(limit, np.zeros_like(limit))
    return lax.clamp(-limit, wrapped, limit)
