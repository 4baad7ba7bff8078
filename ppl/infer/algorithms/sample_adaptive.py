"""Sample-adaptive MCMC: a set of points proposes a new one, which may take the place of any of them.

The state is a set S of n points. A new point comes from q(. | S), the normal law with the mean of S and k times its covariance. One
of the n + 1 points is then dropped, the j-th with a probability proportional to lambda_j = q(theta_j | S_-j) / pi(theta_j), where
S_-j are the others. This leaves the product of n copies of pi invariant, without tuning and without a gradient: the covariance of
the proposals is part of the state.

With m the mean of all n + 1 points, r_j = theta_j - m, and B their scatter about m over n (plus the ridge), the covariance of S_-j
is B - c r_j r_j', c = (n + 1) / n^2, and theta_j lies a r_j from its mean, a = (n + 1) / n. So by the formulas of Sherman and
Morrison, with h_j = r_j' B^-1 r_j,

    log q(theta_j | S_-j) = const - (log(1 - c h_j) + a^2 h_j / (k (1 - c h_j))) / 2.

The ridge on the diagonal belongs to the definition of q, in both directions. Mean and covariance are computed afresh from the
points in each step, so that no error builds up.

The factor k = (n + 1) / (n - d), with n - 1 for n - d without correlations, is that of the predictive law of one more point of a
normal sample: with k = 1 a set of 2 d points proposes too near its mean, and mixes half as fast. Far from the mode a set falls
behind its best points and shrinks until it hardly moves; so in warm-up k is larger by a random factor of up to 16, drawn apart from
the state, which keeps each step exact.

Source: Zhu (2019), "Sample adaptive MCMC", NeurIPS 32, algorithm 1.
"""

from dataclasses import dataclass
from math import log
from typing import NamedTuple

import jax.numpy as jnp
from jax import lax

from ppl import _random as random
from ppl._typing import Array, Key
from ppl.infer.algorithms.fused import call_fused
from ppl.infer.algorithms.protocols import Target
from ppl.infer.algorithms.trajectory import MAX_ENERGY_ERROR

__all__ = ["Newcomer", "PointSet", "SampleAdaptive", "SampleAdaptiveInfo", "SampleAdaptiveParams"]

RIDGE = 1e-10  # below the variance of any posterior of parameters near 1 that float32 resolves
MAX_HALVINGS = 30
MAX_STRETCH = 16.0  # of the variances, in warm-up


class PointSet(NamedTuple):
    """A set of n points, and what is needed of it.

    Attributes:
        position: the reported point, one of the set, `(d,)`.
        potential_energy: its energy.
        points: all points, `(n, d)`.
        energies: their energies, `(n,)`.
        mean: their mean, `(d,)`.
        root: the Cholesky factor of their covariance `(d, d)`, or the standard deviations `(d,)`.
    """

    position: Array
    potential_energy: Array
    points: Array
    energies: Array
    mean: Array
    root: Array


class Newcomer(NamedTuple):
    """A proposed point `(d,)`, the factor k, and numbers for the choices to come, uniform on [0, 1): `(n + 2,)`."""

    position: Array
    factor: Array
    uniforms: Array


class SampleAdaptiveParams(NamedTuple):
    """Whether this is warm-up."""

    warming_up: Array


class SampleAdaptiveInfo(NamedTuple):
    """What people look at after a step.

    Attributes:
        accept_prob: the probability with which the new point takes some place.
        diverging: whether its energy is not finite, or exceeds that of the reported point by more than 1,000.
    """

    accept_prob: Array
    diverging: Array


@dataclass(frozen=True)
class SampleAdaptive:
    """Sample-adaptive MCMC.

    Attributes:
        num_points: n, at least 2; at least d + 1 with a dense covariance.
        is_dense: whether q has the covariance of the set, or the variances alone.
        ridge: what q adds to the variances.
    """

    num_points: int
    is_dense: bool
    ridge: float = RIDGE

    def init(self, key: Key, target: Target, position: Array) -> PointSet:
        """A set around a position, which is reported: see `surround`."""
        return self.surround(key, target, position, target(position))

    def surround(self, key: Key, target: Target, position: Array, potential_energy: Array) -> PointSet:
        """A set of points normal about a position, with standard deviation 1; closer by halves where the energy is not finite."""
        shape = (self.num_points, position.size)

        def attempt(carry: tuple[Array, Array, Array, Array]) -> tuple[Array, Array, Array, Array]:
            number, halvings, points, energies = carry
            noise = random.draw(key, position.dtype, normals=position.size, stage=number * (MAX_HALVINGS + 1) + halvings).normals
            spread = jnp.where(halvings < MAX_HALVINGS, jnp.exp2(-halvings.astype(position.dtype)), 0.0)
            point = position + spread * noise
            energy = target(point)
            points = lax.dynamic_update_index_in_dim(points, point, number, 0)
            energies = lax.dynamic_update_index_in_dim(energies, energy, number, 0)
            is_done = lax.is_finite(energy) | (halvings >= MAX_HALVINGS)
            return number + is_done.astype(number.dtype), jnp.where(is_done, 0, halvings + 1), points, energies

        points, energies = jnp.broadcast_to(position, shape), jnp.broadcast_to(potential_energy, shape[:1])
        first = (jnp.int32(1), jnp.int32(0), points, energies)
        _, _, points, energies = lax.while_loop(lambda carry: carry[0] < self.num_points, attempt, first)
        return self._with_moments(position, potential_energy, points, energies)

    def rebase(self, state: PointSet, target: Target) -> PointSet:
        """The same points under another target: all energies. A point without a finite density is the next to be dropped."""
        energies = lax.map(target, state.points)
        largest = jnp.full_like(energies, float(jnp.finfo(energies.dtype).max) / 4)
        energies = lax.select(lax.is_finite(energies), energies, largest)
        return state._replace(potential_energy=target(state.position), energies=energies)

    def step(self, key: Key, state: PointSet, target: Target, params: SampleAdaptiveParams) -> tuple[PointSet, SampleAdaptiveInfo]:
        """Propose a point, evaluate it, drop one."""
        newcomer = call_fused(self.propose, key, state, params)
        return self.settle(state, newcomer, target(newcomer.position))

    def propose(self, key: Key, state: PointSet, params: SampleAdaptiveParams) -> Newcomer:
        """A draw from q(. | S)."""
        size, dtype = state.mean.size, state.mean.dtype
        draws = random.draw(key, dtype, uniforms=self.num_points + 3, normals=size)
        predictive = (self.num_points + 1) / (self.num_points - (size if self.is_dense else 1))
        stretch = jnp.exp(draws.uniforms[-1] * log(MAX_STRETCH))
        factor = predictive * lax.select(params.warming_up, stretch, lax.full_like(stretch, 1.0))
        noise = jnp.sqrt(factor) * draws.normals
        move = jnp.sum(state.root * noise[None], axis=1) if self.is_dense else state.root * noise
        return Newcomer(position=state.mean + move, factor=factor, uniforms=draws.uniforms[:-1])

    def settle(self, state: PointSet, newcomer: Newcomer, energy: Array) -> tuple[PointSet, SampleAdaptiveInfo]:
        """Drop one of the n + 1 points, and report one of those that stay."""
        whitened = self._whiten(state, newcomer.position)
        points, energies, info = call_fused(self._exchange, state, newcomer, energy, whitened)
        reported = jnp.minimum((newcomer.uniforms[0] * self.num_points).astype(jnp.int32), self.num_points - 1)
        position = lax.dynamic_index_in_dim(points, reported, keepdims=False)
        return self._with_moments(position, lax.dynamic_index_in_dim(energies, reported, keepdims=False), points, energies), info

    def _whiten(self, state: PointSet, newcomer: Array) -> Array:
        """The n + 1 points about their mean, with the square root of the covariance of S divided out, `(n + 1, d)`."""
        mean = state.mean + (newcomer - state.mean) / (self.num_points + 1)
        points = lax.concatenate([state.points, newcomer[None]], 0) - mean[None]
        if not self.is_dense:
            return points / state.root[None]
        return lax.linalg.triangular_solve(state.root, points, left_side=False, lower=True, transpose_a=True)

    def log_proposals(self, whitened: Array, factor: Array) -> Array:
        """The logarithms of q(theta_j | S_-j) for the n + 1 points, up to a constant, from what `_whiten` gives and k."""
        n, eps = self.num_points, jnp.finfo(whitened.dtype).eps
        # With the newcomer this far from the mean of S, B is the covariance of S and the square of that over n + 1.
        away = whitened[-1] * ((n + 1) / n)
        if self.is_dense:
            along = jnp.sum(whitened * away[None], axis=1)
            spread = jnp.sum(lax.square(whitened), axis=1) - lax.square(along) / (n + 1 + jnp.sum(lax.square(away)))
            spreads = spread[:, None]
        else:
            spreads = lax.square(whitened) / (1.0 + lax.square(away) / (n + 1))[None]
        left = jnp.maximum(1.0 - ((n + 1) / n**2) * spreads, eps)
        return -0.5 * jnp.sum(jnp.log(left) + ((n + 1) / n) ** 2 / factor * spreads / left, axis=1)

    def log_weights(self, whitened: Array, factor: Array, energies: Array) -> Array:
        """The logarithms of lambda_j, up to a constant, for the n + 1 points and their energies."""
        return self.log_proposals(whitened, factor) + energies

    def _exchange(
        self, state: PointSet, newcomer: Newcomer, energy: Array, whitened: Array
    ) -> tuple[Array, Array, SampleAdaptiveInfo]:
        """Points and energies after one was dropped."""
        n, is_finite = self.num_points, lax.is_finite(energy)
        safe_energy = lax.select(is_finite, energy, lax.full_like(energy, 0.0))
        energies = lax.concatenate([state.energies, safe_energy[None]], 0)
        log_weights = self.log_weights(whitened, newcomer.factor, energies)
        weights = jnp.exp(log_weights - jnp.max(log_weights))
        accept_prob = jnp.where(is_finite, jnp.sum(weights[:n]) / jnp.sum(weights), 0.0)
        # of exponential clocks with these rates the j-th is the first to ring with the probability wanted
        clocks = jnp.log(-jnp.log1p(-newcomer.uniforms[1:])) - log_weights
        is_dropped = (lax.iota(jnp.int32, n) == jnp.argmin(clocks).astype(jnp.int32)) & is_finite
        points = jnp.where(is_dropped[:, None], newcomer.position[None], state.points)
        energies = jnp.where(is_dropped, energy, state.energies)
        is_diverging = ~is_finite | (energy - state.potential_energy > MAX_ENERGY_ERROR)
        return points, energies, SampleAdaptiveInfo(accept_prob=accept_prob, diverging=is_diverging)

    def _with_moments(self, position: Array, potential_energy: Array, points: Array, energies: Array) -> PointSet:
        """The state of a set: mean and covariance of q."""
        mean = jnp.mean(points, axis=0)
        centred = points - mean[None]
        root = jnp.sqrt(jnp.mean(lax.square(centred), axis=0) + self.ridge)
        if self.is_dense:
            ridge = self.ridge * jnp.eye(mean.size, dtype=mean.dtype)
            covariance = jnp.matmul(centred.T, centred, precision=lax.Precision.HIGHEST) / self.num_points + ridge
            factor = lax.linalg.cholesky(covariance, symmetrize_input=False)
            # A set in fewer dimensions, to rounding, as on the way from a far start: without correlations it fills them again.
            root = lax.select(jnp.all(lax.is_finite(factor)), factor, jnp.diag(root))
        return PointSet(position, potential_energy, points, energies, mean, root)
