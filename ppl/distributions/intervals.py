"""Probabilities, quantiles and moments of symmetric laws within intervals, accurate near their centre and far in their tails."""

import math
from functools import singledispatch

import jax.numpy as jnp
import numpy as np
from jax import lax

from ppl._typing import Array
from ppl.distributions.continuous.real import Cauchy, Logistic, Normal, SymmetricLocationScale
from ppl.distributions.special import cauchy_interval_moments, normal_interval_moments
from ppl.distributions.special.elementary import LOG_2, log1mexp, operands
from ppl.distributions.util import promote_shapes, softplus


def tail_quantile(base: SymmetricLocationScale, log_p: Array, log_q: Array) -> Array:
    """The standard quantile from the logarithms of both tails; the smaller one decides."""
    z = base.standard_tail_quantile(jnp.minimum(jnp.minimum(log_p, log_q), -LOG_2))
    return jnp.where(log_p < log_q, z, -z)


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
    # arctan b - arctan a, scaled lest a b overflow
    angle = lax.atan2(*jnp.broadcast_arrays(length / size, 1.0 / size + a * (b / size)))
    return jnp.zeros_like(angle), jnp.log(angle / math.pi)


@log_interval_mass.register
def _logistic_log_mass(base: Logistic, a: Array, b: Array) -> tuple[Array, Array]:
    a, b = promote_shapes(a, b)
    length = jnp.maximum(b - a, float(jnp.finfo(a.dtype).epsneg) * jnp.maximum(jnp.abs(a), jnp.abs(b)))
    return -softplus(-b) - softplus(a), log1mexp(-length)


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
