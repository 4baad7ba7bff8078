"""Mean and variance of normal, Cauchy and Gamma variables within an interval, by Gauss and Legendre's rule where formulas cancel.

The integrals start at the highest point of the density within the interval and cover what matters of it, so that every term is
positive and the results are accurate however far in a tail the interval lies.
"""

import math
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import lax

from ppl._typing import Array
from ppl.distributions.special.elementary import log1mexp
from ppl.distributions.special.gamma import log_gammainc_pair


def _unit_rule(n: int, like: Array) -> tuple[Any, Any]:
    """Nodes and weights on [0, 1], with axes of size 1 for those of `like` in front."""
    x, w = np.polynomial.legendre.leggauss(n)
    shape = (1,) * like.ndim + (n,)
    return (0.5 + 0.5 * x).astype(like.dtype).reshape(shape), w.astype(like.dtype).reshape(shape)


def _depth(like: Array) -> float:
    """How far below its maximum the log density is followed."""
    return 40.0 if like.dtype == np.float64 else 20.0


def _weighted_moments(x: Array, weights: Array) -> tuple[Array, Array]:
    total = jnp.sum(weights, -1)
    mean = jnp.sum(weights * x, -1) / total
    return mean, jnp.sum(weights * (x - mean[..., None]) ** 2, -1) / total


def normal_interval_moments(a: Array, b: Array) -> tuple[Array, Array]:
    """Mean and variance of a standard normal variable given that it lies in `[a, b]`; one end may be infinite."""
    flip = a + b < 0
    a, b = jnp.where(flip, -b, a), jnp.where(flip, -a, b)
    depth = 2.0 * _depth(a)
    start = jnp.maximum(a, -math.sqrt(depth))
    peak = jnp.maximum(start, 0.0)
    reach = lax.stop_gradient(depth / (peak + jnp.sqrt(peak * peak + depth)) + (peak - start))
    width = jnp.minimum(b - start, reach)
    nodes, weights = _unit_rule(64, a)
    s = width[..., None] * nodes
    mean, variance = _weighted_moments(s, weights * jnp.exp(-s * (start[..., None] + 0.5 * s)))
    return jnp.where(flip, -(start + mean), start + mean), variance


def cauchy_interval_moments(a: Array, b: Array) -> tuple[Array, Array]:
    """Mean and variance of a standard Cauchy variable given that it lies in the finite interval `[a, b]`."""
    angle = lax.atan2(b - a, 1.0 + a * b)
    mean = 0.5 * jnp.log1p((b - a) * (b + a) / (1.0 + a * a)) / angle
    return mean, jnp.maximum((b - a) / angle - 1.0 - mean * mean, 0.0)


def gamma_interval_log_mass(a: Array, low: Array, high: Array) -> Array:
    """`log(P(a, high) - P(a, low))`, by the tails on the side where they are smaller."""
    (p_low, p_high), (q_low, q_high) = log_gammainc_pair(jnp.stack([a, a]), jnp.stack([low, high]))
    lower = p_high < q_low
    larger, smaller = jnp.where(lower, p_high, q_low), jnp.where(lower, p_low, q_high)
    return larger + log1mexp(smaller - larger)


def gamma_interval_moments(a: Array, low: Array, high: Array) -> tuple[Array, Array]:
    """Mean and variance of a Gamma variable of shape `a` and rate 1 given that it lies in `[low, high]`."""
    depth = _depth(a)
    # over y = log x, whose log density `a y - exp(y)` is concave with its maximum at log a
    y_low, y_high = jnp.log(jnp.maximum(low, float(jnp.finfo(a.dtype).tiny))), jnp.log(high)
    top = jnp.clip(jnp.log(a), y_low, y_high)
    x = jnp.exp(top)
    rise, fall = jnp.maximum(a - x, 1e-30), jnp.maximum(x - a, 1e-30)
    left = jnp.minimum(depth / rise, depth / a + jnp.sqrt(2.0 * depth / a))
    right = jnp.minimum(jnp.minimum(depth / fall, jnp.sqrt(2.0 * depth / x)), jnp.log1p(depth / x) + 2.0)
    start = jnp.maximum(y_low - top, lax.stop_gradient(-left))
    stop = jnp.minimum(y_high - top, lax.stop_gradient(right))
    nodes, weights = _unit_rule(200, a)
    d = start[..., None] + (stop - start)[..., None] * nodes
    growth = jnp.expm1(d)
    mean, variance = _weighted_moments(growth, weights * jnp.exp(a[..., None] * d - x[..., None] * growth))
    # where the left tail in y is long, the shape is small, and the formulas do not cancel
    wide = stop - start > 60.0
    masses = gamma_interval_log_mass(*(jnp.stack(v) for v in ((a, a + 1.0, a + 2.0), (low,) * 3, (high,) * 3)))
    first = a * jnp.exp(masses[1] - masses[0])
    second = a * (a + 1.0) * jnp.exp(masses[2] - masses[0])
    return jnp.where(wide, first, x * (1.0 + mean)), jnp.where(wide, second - first * first, x * x * variance)
