"""Faults to be planted in BarkerMH and SA, each wrong in one way."""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.scipy.special import ndtr
from targets import unit_params

from ppl._typing import Array, Key
from ppl.infer.algorithms.barker import Barker
from ppl.infer.algorithms.metric import from_whitened
from ppl.infer.algorithms.sample_adaptive import SampleAdaptive

# Barker's proposal


class SignFlipped(Barker):
    """Steps lead down the log density, in the proposal but not in the ratio."""

    def propose(self, key: Key, state: Any, params: Any) -> Any:
        right, flipped = super().propose(key, state, params), super().propose(key, state._replace(gradient=-state.gradient), params)
        slope = self._slope(state.gradient, params)
        return flipped._replace(log_forward=-jnp.sum(jax.nn.softplus(-flipped.move * slope)), uniform=right.uniform)


class WithoutSum(Barker):
    """The ratio of densities alone, as if the proposal were symmetric."""

    def decide(self, state: Any, proposal: Any, potential_energy: Array, gradient: Array, params: Any) -> Any:
        nothing = jnp.zeros_like(proposal.move)
        symmetric = proposal._replace(move=nothing, log_forward=jnp.asarray(-nothing.size * np.log(2.0), nothing.dtype))
        return super().decide(state, symmetric, potential_energy, gradient, params)


class UnwhitenedRatio(Barker):
    """The ratio with q' - q and the gradient in place of w and A' times the gradient."""

    def decide(self, state: Any, proposal: Any, potential_energy: Array, gradient: Array, params: Any) -> Any:
        move = proposal.position - state.position
        raw = proposal._replace(move=move, log_forward=-jnp.sum(jax.nn.softplus(move * state.gradient)))
        return super().decide(state, raw, potential_energy, gradient, unit_params(1.0, move.size))


class FactorNotTransposed(Barker):
    """A g in place of A' g, in the proposal but not in the ratio."""

    def propose(self, key: Key, state: Any, params: Any) -> Any:
        right = super().propose(key, state, params)
        wrong = params._replace(metric=params.metric._replace(root_inverse=tuple(block.T for block in params.metric.root_inverse)))
        along = super().propose(key, state, wrong).move  # the same noise, with other signs
        slope = self._slope(state.gradient, params)
        return right._replace(
            position=state.position + from_whitened(params.metric, along),
            move=along,
            log_forward=-jnp.sum(jax.nn.softplus(-along * slope)),
        )


class UniformOfMove(Barker):
    """The Metropolis test uses noise of the proposal again."""

    def propose(self, key: Key, state: Any, params: Any) -> Any:
        proposal = super().propose(key, state, params)
        return proposal._replace(uniform=ndtr(proposal.move[0] / params.step_size))


class StaleSlope(Barker):
    """The gradient of the state before goes on with the new position."""

    def decide(self, state: Any, proposal: Any, potential_energy: Array, gradient: Array, params: Any) -> Any:
        moved, info = super().decide(state, proposal, potential_energy, gradient, params)
        return moved._replace(gradient=state.gradient), info


BARKER = {
    "sign flipped": SignFlipped(),
    "without the sum": WithoutSum(),
    "unwhitened ratio": UnwhitenedRatio(),
    "factor not transposed": FactorNotTransposed(),
    "key used twice": UniformOfMove(),
    "stale gradient": StaleSlope(),
}

# Sample-adaptive MCMC


def _about_the_set(kernel: SampleAdaptive, whitened: Array) -> Array:
    """The n + 1 points about the mean of S, whitened by its covariance."""
    return whitened + (whitened[-1] / kernel.num_points)[None]


@dataclass(frozen=True)
class OneLawForAll(SampleAdaptive):
    """q(theta_j | S) for every j."""

    def log_proposals(self, whitened: Array, factor: Array) -> Array:
        return -0.5 / factor * jnp.sum(lax.square(_about_the_set(self, whitened)), axis=1)


@dataclass(frozen=True)
class WithoutEnergies(SampleAdaptive):
    """The density does not enter the weights."""

    def log_weights(self, whitened: Array, factor: Array, energies: Array) -> Array:
        return self.log_proposals(whitened, factor)


@dataclass(frozen=True)
class NeverRefuses(SampleAdaptive):
    """The newcomer is never the one to be dropped."""

    def log_weights(self, whitened: Array, factor: Array, energies: Array) -> Array:
        return super().log_weights(whitened, factor, energies).at[-1].set(-1e6)


@dataclass(frozen=True)
class RidgeOneWay(SampleAdaptive):
    """Points are proposed with the ridge, and weighted without it."""

    def _whiten(self, state: Any, newcomer: Array) -> Array:
        plain = SampleAdaptive(self.num_points, self.is_dense, 0.0)
        bare = plain._with_moments(state.position, state.potential_energy, state.points, state.energies)
        return plain._whiten(bare, newcomer)


@dataclass(frozen=True)
class OtherDivisor(SampleAdaptive):
    """Points are proposed with the divisor n, and weighted with n - 1."""

    def log_proposals(self, whitened: Array, factor: Array) -> Array:
        return super().log_proposals(whitened * np.sqrt(1 - 1 / self.num_points), factor)


@dataclass(frozen=True)
class UpdateForDowndate(SampleAdaptive):
    """The covariance of the others grows by what it should lose."""

    def log_proposals(self, whitened: Array, factor: Array) -> Array:
        n = self.num_points
        away = whitened[-1] * ((n + 1) / n)
        covariance = jnp.eye(away.size) + away[:, None] * away[None] / (n + 1)
        spreads = jnp.sum(whitened * jnp.linalg.solve(covariance, whitened.T).T, axis=1)
        more = 1.0 + ((n + 1) / n**2) * spreads
        return -0.5 * (jnp.log(more) + ((n + 1) / n) ** 2 / factor * spreads / more)


@dataclass(frozen=True)
class ReportsTheNewest(SampleAdaptive):
    """The draw is the newcomer where it is taken."""

    def settle(self, state: Any, newcomer: Any, energy: Array) -> Any:
        settled, info = super().settle(state, newcomer, energy)
        is_taken = jnp.any(settled.points != state.points)
        return settled._replace(position=jnp.where(is_taken, newcomer.position, settled.position)), info


@dataclass(frozen=True)
class ChoiceOfMove(SampleAdaptive):
    """The choice of the one to be dropped uses noise of the proposal again."""

    def propose(self, key: Key, state: Any, params: Any) -> Any:
        newcomer = super().propose(key, state, params)
        noise = lax.linalg.triangular_solve(state.root, newcomer.position - state.mean, left_side=True, lower=True)
        return newcomer._replace(uniforms=newcomer.uniforms.at[1].set(ndtr(noise[0] / jnp.sqrt(newcomer.factor))))


SAMPLE_ADAPTIVE = {
    "one law for all": OneLawForAll,
    "without energies": WithoutEnergies,
    "never refuses": NeverRefuses,
    "ridge one way": RidgeOneWay,
    "other divisor": OtherDivisor,
    "update for downdate": UpdateForDowndate,
    "reports the newest": ReportsTheNewest,
    "key used twice": ChoiceOfMove,
}
