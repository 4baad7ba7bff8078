"""Distributions of angles that depend on each other: on the torus."""

import math
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import lax

from ppl._typing import Array, ArrayLike, Key, Shape
from ppl.distributions import constraints, random
from ppl.distributions.constraints import Constraint
from ppl.distributions.continuous.numerics import as_value, filled
from ppl.distributions.continuous.triangular import add, alternative, as_float, exactly_one_matrix, prepend_ones
from ppl.distributions.directional.spheres import wrapped
from ppl.distributions.distribution import Distribution
from ppl.distributions.special import log_i0e
from ppl.distributions.special.elementary import sqrt
from ppl.distributions.util import (
    cumulative_sum,
    float_dtype,
    is_concrete,
    promote_shapes,
    validate_sample,
    von_mises_centered,
)

NODES = 64  # of the rule that normalises the density: rounding error for all concentrations up to 1e6
CELLS = 22  # of the envelope, and one on either side of them: four of five draws are accepted, mostly nine of ten


class SineBivariateVonMises(Distribution):
    """The sine model of two angles, for instance the dihedral angles of a protein: von Mises laws with an interaction.

    With concentrations `k1`, `k2` and correlation `c`, for angles `u = phi - phi_loc` and `v = psi - psi_loc`,
    `log p(phi, psi) = k1 cos u + k2 cos v + c sin u sin v - log C`. Where `k1`, `k2` are large and `c^2 < k1 k2` it is about a
    normal density with precision matrix `[[k1, -c], [-c, k2]]`; for `c^2 > k1 k2` there are two modes. Given `phi`, `psi` is von
    Mises around `psi_loc + atan2(c sin u, k2)` with concentration `r(u) = sqrt(k2^2 + c^2 sin^2 u)`. So
    `C = 2 pi int exp(k1 cos u) I_0(r(u)) du` over the circle, and draws are exact: `phi` first, by rejection, then `psi`.

    Args:
        phi_loc: the mean direction of `phi`, in [-pi, pi].
        psi_loc: the mean direction of `psi`, in [-pi, pi].
        phi_concentration: `k1`, positive.
        psi_concentration: `k2`, positive.
        correlation: `c`, any real number.
        weighted_correlation: `c / sqrt(k1 k2)`, in [0, 1]: there is one mode.
        validate_args: whether to check the parameters now and values in `log_prob`.

    Exactly one of the correlations is given. The event is `(phi, psi)`, angles in [-pi, pi).

    Raises:
        ValueError: none or both of the correlations.

    Example:
        >>> from ppl.distributions import SineBivariateVonMises
        >>> d = SineBivariateVonMises(0.0, 1.0, 5.0, 6.0, weighted_correlation=0.5)
        >>> d.event_shape
        (2,)
        >>> d.log_prob([0.1, 1.2])
        Array(-0.386167, dtype=float32)

    Source: Singh, Hnizdo & Demchuk (2002), "Probabilistic model for two dependent circular variables".
    """

    arg_constraints = {
        "phi_loc": constraints.circular,
        "psi_loc": constraints.circular,
        "phi_concentration": constraints.positive,
        "psi_concentration": constraints.positive,
        "correlation": constraints.real,
        "weighted_correlation": constraints.unit_interval,
    }
    support = constraints.independent(constraints.circular, 1)
    max_sample_iter = 1000

    def __init__(
        self,
        phi_loc: ArrayLike,
        psi_loc: ArrayLike,
        phi_concentration: ArrayLike,
        psi_concentration: ArrayLike,
        correlation: ArrayLike | None = None,
        weighted_correlation: ArrayLike | None = None,
        *,
        validate_args: bool | None = None,
    ) -> None:
        name, strength = exactly_one_matrix(
            "SineBivariateVonMises", correlation=correlation, weighted_correlation=weighted_correlation
        )
        others = [as_float(p) for p in (phi_loc, psi_loc, phi_concentration, psi_concentration)]
        (*others, strength), batch_shape = promote_shapes(*others, strength, return_shapes=True)
        self.phi_loc, self.psi_loc, self.phi_concentration, self.psi_concentration = others
        setattr(self, name, strength)
        super().__init__(batch_shape, (2,), validate_args=validate_args)

    @alternative
    def correlation(self) -> Any:
        """`weighted_correlation sqrt(phi_concentration psi_concentration)` where the former is given."""
        weight, k1, k2 = promote_shapes(self.weighted_correlation, self.phi_concentration, self.psi_concentration)
        return weight * sqrt(k1) * sqrt(k2)

    @alternative
    def weighted_correlation(self) -> Any:
        """`correlation / sqrt(phi_concentration psi_concentration)` where the former is given."""
        strength, k1, k2 = promote_shapes(self.correlation, self.phi_concentration, self.psi_concentration)
        return strength / sqrt(k1) / sqrt(k2)

    def _shape_parameters(self, dtype: Any) -> list[Array]:
        """Both concentrations and the correlation, of one shape."""
        parameters, shape = promote_shapes(self.phi_concentration, self.psi_concentration, self.correlation, return_shapes=True)
        return [filled(p, shape, dtype) for p in parameters]

    @property
    def norm_const(self) -> Array:
        """The logarithm of the normalising constant, `log C`, of the batch shape."""
        k1, k2, c = self._shape_parameters(self._dtype)
        return jnp.broadcast_to(_log_norm(k1, k2, c) + (k1 + k2), self.batch_shape)

    @validate_sample
    def log_prob(self, value: ArrayLike) -> Array:
        """Log density of pairs of angles `(..., 2)`."""
        value = as_value(value, self._dtype)
        parameters = (self.phi_loc, self.psi_loc, self.phi_concentration, self.psi_concentration, self.correlation)
        phi, psi, mu, nu, k1, k2, c = promote_shapes(value[..., 0], value[..., -1], *parameters)
        u, v = phi - mu, psi - nu
        # k cos u - k = -2 k sin^2(u / 2), which does not cancel for large k
        falls = 2.0 * (k1 * lax.square(jnp.sin(0.5 * u)) + k2 * lax.square(jnp.sin(0.5 * v)))
        log_norm = _log_norm(*self._shape_parameters(float_dtype(value, *parameters)))
        return add(c * jnp.sin(u) * jnp.sin(v) - falls, -log_norm)

    def sample(self, key: Key, sample_shape: Shape = ()) -> Array:
        """Pairs of angles, shape `sample_shape + batch_shape + (2,)`."""
        k_size, k_sign, k_psi = random.split(key, 3)
        shape = (*sample_shape, *self.batch_shape)
        k1, k2, c = (lax.stop_gradient(p) for p in self._shape_parameters(self._dtype))
        u = random.rademacher(k_sign, shape, k1.dtype) * _draw_size(k_size, k1, k2, c, shape, self.max_sample_iter)
        k2, c = prepend_ones(k2, len(shape)), prepend_ones(c, len(shape))
        sine = jnp.sin(u)
        v = jnp.arctan2(c * sine, k2) + von_mises_centered(k_psi, _conditional_concentration(sine, k2, c), shape, u.dtype)
        u, v, mu, nu = promote_shapes(u, v, self.phi_loc, self.psi_loc)
        return wrapped(jnp.stack([u + mu, v + nu], -1))

    @property
    def mean(self) -> Array:
        """The mean directions, shape `batch_shape + (2,)`."""
        return wrapped(jnp.stack([filled(loc, self.batch_shape, self._dtype) for loc in (self.phi_loc, self.psi_loc)], -1))


# the marginal law of phi; c stands for the correlation, u for phi - phi_loc ---------------------------------------------


def _conditional_concentration(sine: Array, k2: Array, c: Array) -> Array:
    """The concentration of psi given phi: `r = sqrt(k2^2 + c^2 sine^2)`."""
    return lax.sqrt(k2 * k2 + lax.square(c * sine) + float(jnp.finfo(sine.dtype).tiny))


def _log_marginal(u: Array, k1: Array, k2: Array, c: Array) -> Array:
    """The log density of phi but for a constant: `k1 (cos u - 1) + log I_0(r) - k2`."""
    sine = jnp.sin(u)
    r = _conditional_concentration(sine, k2, c)
    return lax.square(c * sine) / (r + k2) - 2.0 * k1 * lax.square(jnp.sin(0.5 * u)) + log_i0e(r)


def _slope(u: Array, k1: Array, k2: Array, c: Array) -> Array:
    """The derivative of the log density of phi by `cos u`: `k1 - c^2 cos u I_1(r) / (r I_0(r))`."""
    r = _conditional_concentration(jnp.sin(u), k2, c)
    return k1 - c * c * jnp.cos(u) * lax.bessel_i1e(r) / (r * lax.bessel_i0e(r))


def _window(k1: Array, k2: Array, c: Array) -> tuple[Array, Array]:
    """The ends of the part of [0, pi] that holds all but a negligible share of the half circle.

    Beyond it `f = k1 cos u + r(u)`, the log density of phi but for slow terms, lies `depth` or more below its maximum. In
    `x = cos u` it is concave, its maximum at an `x < 1` where `c^2 > k1 k2` and at 1 elsewhere, and `f = m` is a quadratic equation
    with the solutions `x = (m k1 +- sqrt(disc)) / (k1^2 + c^2)`. All quantities are relative to the sum of the parameters.
    """
    c = lax.abs(c)
    total = k1 + k2 + c
    k1, k2, c = k1 / total, k2 / total, c / total
    depth = (45.0 if k1.dtype == np.float64 else 22.0) / total
    excess = c * c - k1 * k2
    bimodal = excess > 0
    rise = jnp.where(bimodal, excess / jnp.where(bimodal, c, 1.0), 0.0)
    top = jnp.hypot(k1 + k2, rise)
    disc = jnp.maximum(c * c * depth * (2.0 * top - depth), 0.0) + lax.square(jnp.minimum(excess, 0.0))
    # (1 - x) (k1^2 + c^2), without differences of nearly equal terms
    middle = excess - k1 * lax.square(rise) / (top + k1 + k2) + k1 * depth
    scale = k1 * k1 + c * c
    start = jnp.where(top - depth > k1 + k2, (middle - lax.sqrt(disc)) / scale, 0.0)
    stop = jnp.where(top - depth > k2 - k1, (middle + lax.sqrt(disc)) / scale, 2.0)
    low, high = (2.0 * jnp.arcsin(lax.sqrt(0.5 * jnp.clip(x, 0.0, 2.0))) for x in (start, stop))
    return lax.stop_gradient(low), lax.stop_gradient(high)


def _log_norm(k1: Array, k2: Array, c: Array) -> Array:
    """`log C - k1 - k2` by Gauss and Legendre's rule over the window; the integrand is entire, so that few nodes suffice."""
    nodes, weights = np.polynomial.legendre.leggauss(NODES)
    nodes, weights = (prepend_ones(x.astype(k1.dtype), k1.ndim + 1) for x in (0.5 + 0.5 * nodes, 0.5 * weights))
    start, stop = _window(k1, k2, c)
    width = stop - start
    u = start[..., None] + width[..., None] * nodes
    log_density = _log_marginal(u, k1[..., None], k2[..., None], c[..., None])
    peak = lax.stop_gradient(log_density.max(-1))
    mass = (jnp.exp(log_density - peak[..., None]) * weights).sum(-1)
    return jnp.log(mass * width) + peak + math.log(4 * math.pi)


def _envelope(k1: Array, k2: Array, c: Array) -> tuple[Array, Array, Array]:
    """Cells that cover [0, pi]: their left ends, their widths, and a bound of the log density of phi on each.

    The product of Hadamard, `I_0(sqrt z) = prod_n (1 + z / j_n^2)` over the zeros of `J_0`, makes `log I_0(r)` concave in `r^2`,
    and that is concave in `cos u`. So is the log density: it lies below its tangents at both ends of a cell.
    """
    start, stop = (x[..., None] for x in _window(k1, k2, c))
    inner = start + (stop - start) * prepend_ones(np.linspace(0.0, 1.0, CELLS + 1, dtype=k1.dtype), start.ndim)
    edges = jnp.concatenate([jnp.zeros_like(start), inner, jnp.full_like(start, math.pi)], -1)
    parameters = (k1[..., None], k2[..., None], c[..., None])
    height, slope = _log_marginal(edges, *parameters), _slope(edges, *parameters)
    left, right = edges[..., :-1], edges[..., 1:]
    step = 2.0 * jnp.sin(0.5 * (right + left)) * jnp.sin(0.5 * (right - left))  # by how much cos u falls
    from_left = height[..., :-1] + jnp.maximum(-slope[..., :-1] * step, 0.0)
    from_right = height[..., 1:] + jnp.maximum(slope[..., 1:] * step, 0.0)
    return left, jnp.maximum(right - left, 0.0), jnp.minimum(from_left, from_right)


def _draw_size(key: Key, k1: Array, k2: Array, c: Array, shape: Shape, max_iter: int) -> Array:
    """Draws of `|u|`, which has half of the symmetric density of phi on either side, by rejection from the envelope."""
    cells = _envelope(k1, k2, c)
    width, bound = cells[1:]
    cumulative = cumulative_sum(width * jnp.exp(bound - bound.max(-1, keepdims=True)))
    table = jnp.stack(cells, -1).reshape((k1.size, CELLS + 2, 3))
    row = jnp.broadcast_to(prepend_ones(np.arange(k1.size, dtype=np.int32).reshape(k1.shape), len(shape)), shape)
    cumulative = prepend_ones(cumulative, len(shape) + 1)
    parameters = [prepend_ones(p, len(shape)) for p in (k1, k2, c)]

    def unfinished(state: tuple[Array, Key, Array, Array]) -> Array:
        return (state[0] < max_iter) & ~jnp.all(state[3])

    def propose(state: tuple[Array, Key, Array, Array]) -> tuple[Array, Key, Array, Array]:
        n, key, u, done = state
        key, k_draw = random.split(key)
        choice, place, level = random.uniform(k_draw, (3, *shape), k1.dtype)
        cell = jnp.sum(choice[..., None] * cumulative[..., -1:] >= cumulative, -1, dtype=jnp.int32)
        chosen = table[row, jnp.minimum(cell, CELLS + 1)]
        new = chosen[..., 0] + place * chosen[..., 1]
        accept = jnp.log1p(-level) <= _log_marginal(new, *parameters) - chosen[..., 2]
        return n + 1, key, jnp.where(done, u, new), done | accept

    return lax.while_loop(unfinished, propose, (jnp.int32(0), key, jnp.zeros(shape, k1.dtype), jnp.zeros(shape, bool)))[2]


# skewed laws ------------------------------------------------------------------------------------------------------------


class SineSkewed(Distribution):
    """A symmetric law of `d` angles, skewed by a sine: `log p(x) = log p0(x) + log(1 + sum_i skewness_i sin(x_i - mean_i))`.

    The density `p0` of the base is symmetric about its mean. A draw `x` of the base is kept with probability
    `(1 + sum_i skewness_i sin(x_i - mean_i)) / 2` and else reflected at the mean, so that none is lost.

    Args:
        base_dist: a distribution with the event shape `(d,)` whose support are angles: independent `VonMises` laws with
            `to_event(1)`, `Uniform(-pi, pi)` likewise, or a `SineBivariateVonMises`.
        skewness: shape `(..., d)`, the sum of absolute values at most 1; positive entries move mass to larger angles.
        validate_args: whether to check the parameters now and values in `log_prob`.

    `mean` is that of the base, about which the law is skewed.

    Raises:
        TypeError: if `base_dist` is no distribution.
        ValueError: if its event shape is not `(d,)`, or its support is not circular.

    Example:
        >>> from ppl.distributions import SineSkewed, VonMises
        >>> base = VonMises([0.0, 1.0], 2.0).to_event(1)
        >>> SineSkewed(base, [0.5, -0.2]).log_prob([0.3, 0.9])
        Array(-1.268001, dtype=float32)

    Source: Ameijeiras-Alonso & Ley (2021), "Sine-skewed toroidal distributions and their application in protein bioinformatics".
    """

    arg_constraints = {"skewness": constraints.l1_ball}
    support = constraints.independent(constraints.circular, 1)
    pytree_data_fields = ("base_dist",)

    def __init__(self, base_dist: Distribution, skewness: ArrayLike, *, validate_args: bool | None = None) -> None:
        if not isinstance(base_dist, Distribution):
            raise TypeError(f"SineSkewed: base_dist must be a distribution, found {base_dist!r}")
        kind, event_shape = type(base_dist).__name__, base_dist.event_shape
        skewness = as_float(skewness)
        shape = np.shape(skewness)
        if len(event_shape) != 1 or shape[-1:] != event_shape:
            raise ValueError(
                f"SineSkewed: base_dist must have the event shape (d,) and skewness the shape (..., d), but {kind} has event shape "
                f"{event_shape} and skewness has shape {shape}; to_event(1) makes one event of a batch of angles"
            )
        if not _is_circular(base_dist.support):
            raise ValueError(
                f"SineSkewed: the support of base_dist must be circular, angles in [-pi, pi], but {kind} has {base_dist.support!r}"
            )
        batch_shape = np.broadcast_shapes(base_dist.batch_shape, shape[:-1])
        self.base_dist = base_dist.expand(batch_shape)
        self.skewness = skewness
        super().__init__(batch_shape, event_shape, validate_args=validate_args)

    def _tilt(self, value: Array) -> Array:
        """`sum_i skewness_i sin(x_i - mean_i)`."""
        value, center, skewness = promote_shapes(value, self.base_dist.mean, self.skewness)
        return (skewness * jnp.sin(value - center)).sum(-1)

    def sample(self, key: Key, sample_shape: Shape = ()) -> Array:
        """Angles, shape `sample_shape + batch_shape + (d,)`."""
        k_base, k_side = random.split(key)
        x = self.base_dist.sample(k_base, sample_shape)
        keep = 2.0 * random.uniform(k_side, x.shape[:-1], x.dtype) < 1.0 + self._tilt(x)
        x, center = promote_shapes(x, self.base_dist.mean)
        return jnp.where(keep[..., None], x, wrapped(2.0 * center - x))

    @validate_sample
    def log_prob(self, value: ArrayLike) -> Array:
        """Log density of angles `(..., d)`."""
        value = as_value(value, self._dtype)
        tilt = self._tilt(value)
        # rounding errors must not make the density negative
        tilt = jnp.maximum(tilt, -1.0 + float(jnp.finfo(tilt.dtype).epsneg))
        return add(self.base_dist.log_prob(value), lax.log1p(tilt))

    @property
    def mean(self) -> Array:
        """The mean of the base, shape `batch_shape + (d,)`."""
        return jnp.broadcast_to(self.base_dist.mean, self.shape())


def _is_circular(support: Constraint) -> bool:
    """Whether `support` are angles from -pi to pi; bounds that are traced are taken for these."""
    if isinstance(support, constraints._IndependentConstraint):
        support = support.base_constraint
    if not isinstance(support, constraints._Interval):
        return False
    bounds = ((support.lower_bound, -math.pi), (support.upper_bound, math.pi))
    return all(not is_concrete(bound) or bool(np.allclose(np.asarray(bound), end, rtol=1e-6)) for bound, end in bounds)
