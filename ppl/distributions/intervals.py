"""Probabilities, quantiles and moments of symmetric laws within intervals, accurate near their centre and far in their tails."""

from collections.abc import Callable
from functools import singledispatch
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np

from ppl._typing import Array
from ppl.distributions.continuous.real import Cauchy, Laplace, Logistic, Normal, SymmetricLocationScale
from ppl.distributions.special import (
    angles,
    cauchy_interval_moments,
    normal_interval_moments,
    quick_log_ndtr_inverse,
    quick_ndtr_factors,
)
from ppl.distributions.special.elementary import LOG_2, log1mexp, operands
from ppl.distributions.util import promote_shapes, softplus


def mass_from_zero(base: SymmetricLocationScale, z: Array) -> Array:
    """`P(0 < Z < z)`, negative for `z < 0`."""
    size = jnp.abs(z)
    near, infinite = size < 1, size == np.inf
    tail = jnp.where(infinite, 0.0, jnp.exp(base.standard_log_cdf(-jnp.where(infinite, 1.0, size))))
    return jnp.where(near, base.standard_central_mass(jnp.where(near, z, 0.5)), jnp.sign(z) * (0.5 - tail))


def polished(base: SymmetricLocationScale, z: Array, low: Array, high: Array, q: Array) -> Array:
    """The quantile `z`, where it is near 0 after a step of Newton's method: the tails there tell few of its digits.

    It solves `P(0 < Z < z) = (1 - q) low + q high`, in terms of these probabilities for the bounds.
    """
    z, low, high, q = promote_shapes(z, low, high, q)
    near = jnp.abs(z) < 1
    safe = jnp.where(near, z, 0.5)
    missing = low + q * (high - low) - base.standard_central_mass(safe)
    return jnp.where(near, z + missing * jnp.exp(-base.standard_log_density(safe)), z)


def stack(*zs: Array) -> Array:
    """The arguments along a new leading axis, so that one evaluation, and one program, serves them all."""
    return jnp.stack(jnp.broadcast_arrays(*promote_shapes(*zs)))


# quantiles --------------------------------------------------------------------------------------------------------------


class Tails(NamedTuple):
    """A standard law for `z <= 0`.

    Attributes:
        factors: gives `w` and `y` with `P(Z <= z) = w exp(y)`, where `w` is moderate.
        quantile: the inverse of the logarithm of that.
    """

    factors: Callable[[Array], tuple[Array, Array]]
    quantile: Callable[[Array], Array]


def accurate_tails(base: SymmetricLocationScale) -> Tails:
    """With all digits."""

    def factors(z: Array) -> tuple[Array, Array]:
        bounded = z > -np.inf
        return jnp.ones_like(z), jnp.where(bounded, base.standard_log_cdf(jnp.where(bounded, z, -1.0)), -np.inf)

    return Tails(factors, base.standard_tail_quantile)


@singledispatch
def quick_tails(base: SymmetricLocationScale) -> Tails:
    """Good enough for draws."""
    return accurate_tails(base)


@quick_tails.register
def _quick_normal(base: Normal) -> Tails:
    return Tails(quick_ndtr_factors, quick_log_ndtr_inverse)


@quick_tails.register
def _quick_cauchy(base: Cauchy) -> Tails:
    return Tails(lambda z: (angles.arccot(-z), jnp.zeros_like(z)), base.standard_tail_quantile)


@quick_tails.register
def _quick_laplace(base: Laplace) -> Tails:
    return Tails(lambda z: (jnp.full_like(z, 0.5), z), base.standard_tail_quantile)


@quick_tails.register
def _quick_logistic(base: Logistic) -> Tails:
    return Tails(lambda z: (1.0 / (1.0 + jnp.exp(z)), z), lambda log_p: log_p - jnp.log(1.0 - jnp.exp(log_p)))


def quantile_below(tails: Tails, b: Array, q: Array, rest: Array) -> Array:
    """The standard quantile of `q` given that `Z <= b`, where `rest = 1 - q`; without some digits near 0."""
    b, q, rest = promote_shapes(b, q, rest)
    below = b <= 0
    w, y = tails.factors(jnp.where(below, b, -b))
    tail = w * jnp.exp(y)  # what lies above b, where that is positive
    mass = 1.0 - tail
    p, q = jnp.where(below, q * w, q * mass), tail + rest * mass
    return _smaller_tail(tails, below, jnp.where(below, y, 0.0), p, q)


def quantile_between(tails: Tails, a: Array, b: Array, q: Array, rest: Array) -> Array:
    """The standard quantile of `q` given that `a <= Z <= b`, where `rest = 1 - q`; without some digits near 0."""
    a, b, q, rest = promote_shapes(a, b, q, rest)
    turned = a + b > 0  # about 0, so that most of the interval, or all of it, lies below
    a, b = jnp.where(turned, -b, a), jnp.where(turned, -a, b)
    q, rest = jnp.where(turned, rest, q), jnp.where(turned, q, rest)
    below = b <= 0
    (w_low, w), (y_low, y) = tails.factors(stack(a, jnp.where(below, b, -b)))
    unit = jnp.where(below, y, 0.0)
    low, tail = w_low * jnp.exp(y_low - unit), w * jnp.exp(y)
    mass = jnp.where(below, w, 1.0 - tail) - low
    z = _smaller_tail(tails, below, unit, low + q * mass, tail + rest * mass)
    return jnp.where(turned, -z, z)


def _smaller_tail(tails: Tails, below: Array, unit: Array, p: Array, q: Array) -> Array:
    """The `z` with the probability `p exp(unit)` below it and `q` above it, by the smaller one: `p` where it lies `below`."""
    lower = below | (p <= q)
    z = tails.quantile(jnp.minimum(jnp.log(jnp.where(lower, p, q)) + unit, -LOG_2))
    return jnp.where(lower, z, -z)


# probabilities ----------------------------------------------------------------------------------------------------------


@singledispatch
def log_interval_mass(base: SymmetricLocationScale, a: Array, b: Array) -> tuple[Array, Array]:
    """`log P(a < Z < b)` as a sum, whose first part may be large, and is the same for intervals that start far in the upper tail.

    By the masses between 0 and `a`, `b` within [-1, 1], else by the tails on the side where both are small.
    """
    a, b = jnp.broadcast_arrays(*promote_shapes(a, b))
    positive, central = a >= 0, (a > -1) & (b < 1)
    from_zero = base.standard_central_mass(stack(jnp.where(central, a, 0.0), jnp.where(central, b, 0.5)))
    central &= from_zero[1] > from_zero[0]
    larger, smaller = base.standard_log_cdf(stack(jnp.where(positive, -a, b), jnp.where(positive, -b, a)))
    # where the tails are the same number, they differ by about half its spacing
    gap = jnp.maximum(larger - smaller, float(jnp.finfo(a.dtype).epsneg) * jnp.maximum(-larger, LOG_2))
    by_masses = jnp.log(jnp.where(central, from_zero[1] - from_zero[0], 1.0))
    return jnp.where(central, 0.0, larger), jnp.where(central, by_masses, log1mexp(jnp.where(central, -1.0, -gap)))


@log_interval_mass.register
def _cauchy_log_mass(base: Cauchy, a: Array, b: Array) -> tuple[Array, Array]:
    a, b = promote_shapes(a, b)
    size = jnp.maximum(jnp.maximum(jnp.abs(a), jnp.abs(b)), 1.0)
    length = jnp.maximum(b - a, float(jnp.finfo(a.dtype).epsneg) * size)
    # arctan b - arctan a is the angle of (1 + a b, b - a), scaled lest a b overflow
    cotangent = (1.0 / size + a * (b / size)) / (length / size)
    share = angles.arccot(jnp.abs(cotangent))
    share = jnp.where(cotangent < 0, 1.0 - share, share)
    return jnp.zeros_like(share), jnp.log(share)


@log_interval_mass.register
def _logistic_log_mass(base: Logistic, a: Array, b: Array) -> tuple[Array, Array]:
    a, b = promote_shapes(a, b)
    length = jnp.maximum(b - a, float(jnp.finfo(a.dtype).epsneg) * jnp.maximum(jnp.abs(a), jnp.abs(b)))
    return -softplus(-b) - softplus(a), log1mexp(-length)


# moments ----------------------------------------------------------------------------------------------------------------


@singledispatch
def interval_moments(base: SymmetricLocationScale, a: Array, b: Array) -> tuple[Array, Array]:
    """Mean and variance of the standard law of `base` given that it lies in `[a, b]`.

    Raises:
        NotImplementedError: for families without.
    """
    raise NotImplementedError(
        f"the moments of a truncated {type(base).__name__} are not implemented; use Normal or Cauchy, or draws"
    )


@interval_moments.register
def _normal_moments(base: Normal, a: Array, b: Array) -> tuple[Array, Array]:
    return normal_interval_moments(*operands(a, b))


@interval_moments.register
def _cauchy_moments(base: Cauchy, a: Array, b: Array) -> tuple[Array, Array]:
    a, b = operands(a, b)
    finite = (a > -np.inf) & (b < np.inf)
    mean, variance = cauchy_interval_moments(jnp.where(finite, a, 0.0), jnp.where(finite, b, 1.0))
    return jnp.where(finite, mean, jnp.where(b == np.inf, np.inf, -np.inf)), jnp.where(finite, variance, np.inf)
