"""Faults to be planted: transitions, kinetic energies and adaptations that are each wrong in one way that people have got wrong."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from ppl._typing import Array, Key
from ppl.infer.adaptation.covariance import WelfordState
from ppl.infer.adaptation.dual_averaging import DualAveragingState, dual_averaging_init
from ppl.infer.adaptation.warmup import Warmup
from ppl.infer.algorithms.hmc import HMC
from ppl.infer.algorithms.metric import EuclideanKinetic, Metric, velocity
from ppl.infer.algorithms.nuts import NUTS
from ppl.infer.algorithms.trajectory import energy_error
from ppl.infer.algorithms.uturn import is_turning


class WithoutHalf:
    """K(p) = p' M^-1 p, with the velocity of p' M^-1 p / 2."""

    def energy(self, metric: Metric, momentum: Array) -> Array:
        return 2.0 * EuclideanKinetic().energy(metric, momentum)

    def velocity(self, metric: Metric, momentum: Array) -> Array:
        return velocity(metric, momentum)


class DoubledKinetic(WithoutHalf):
    """K(p) = p' M^-1 p with its own velocity: energy is kept, but momenta are drawn from another law."""

    def velocity(self, metric: Metric, momentum: Array) -> Array:
        return 2.0 * velocity(metric, momentum)


class VelocityWithoutMetric(WithoutHalf):
    """The velocity p in place of M^-1 p."""

    def energy(self, metric: Metric, momentum: Array) -> Array:
        return EuclideanKinetic().energy(metric, momentum)

    def velocity(self, metric: Metric, momentum: Array) -> Array:
        return momentum


@dataclass(frozen=True)
class KeyUsedTwice(HMC):
    """The acceptance noise is a function of the momentum."""

    def begin(self, key: Key, state: Any, params: Any) -> Any:
        begun = super().begin(key, state, params)
        momentum = begun.momentum + 0.5 * begun.step_size * state.gradient
        return begun._replace(uniform=jax.scipy.special.ndtr(momentum[0] / params.metric.root[0][0]))


@dataclass(frozen=True)
class AlwaysAccepts(HMC):
    """No Metropolis test."""

    def finish(self, trajectory: Any) -> Any:
        return super().finish(trajectory._replace(uniform=jnp.full_like(trajectory.uniform, -1.0)))


@dataclass(frozen=True)
class AcceptsNan(HMC):
    """An energy that is not a number passes for no error."""

    def finish(self, trajectory: Any) -> Any:
        energy = jnp.where(jnp.isnan(trajectory.energy), trajectory.initial_energy, trajectory.energy)
        return super().finish(trajectory._replace(energy=energy))


@dataclass(frozen=True)
class StaleGradient(HMC):
    """The gradient of the state before goes on with the new position."""

    def finish(self, trajectory: Any) -> Any:
        state, info = super().finish(trajectory)
        return state._replace(gradient=trajectory.start.gradient), info


@dataclass(frozen=True)
class MomentumOfInverse(HMC):
    """Momenta from N(0, M^-1)."""

    def begin(self, key: Key, state: Any, params: Any) -> Any:
        metric = params.metric
        flipped = params._replace(metric=metric._replace(root=metric.root_inverse))
        return super().begin(key, state, flipped)


@dataclass(frozen=True)
class BiasedInside(NUTS):
    """Inside a sub-tree the new leaf is drawn by its weight over that of the old leaves, as when trees are doubled."""

    def _add_leaf(self, trajectory: Any, end: Array, potential_energy: Array, draws: Any, params: Any) -> Any:
        added = super()._add_leaf(trajectory, end, potential_energy, draws, params)
        energy = potential_energy + self.kinetic.energy(params.metric, end[1])
        error = energy_error(energy, trajectory.initial_energy)
        is_drawn = (trajectory.leaf == 0) | (jnp.log(draws.leaf) < -error - trajectory.subtree.log_weight)
        subtree = added.subtree._replace(
            point=lax.select(is_drawn, jnp.stack([end[0], end[2]]), trajectory.subtree.point),
            energies=lax.select(is_drawn, jnp.stack([potential_energy, energy]), trajectory.subtree.energies),
        )
        return added._replace(subtree=subtree)


@dataclass(frozen=True)
class KeepsDiscarded(NUTS):
    """The proposal of a sub-tree that turns or diverges may still be taken."""

    def _end_doubling(self, trajectory: Any, end: Array, failed: Array, draws: Any, params: Any) -> Any:
        joined = super()._end_doubling(trajectory, end, failed & False, draws, params)
        return joined._replace(is_running=joined.is_running & ~failed)


@dataclass(frozen=True)
class StepsForwardOnly(NUTS):
    """The sign of the step is lost where time runs backward."""

    def _signed_step(self, trajectory: Any) -> Array:
        return trajectory.step_size


@dataclass(frozen=True)
class Patched(NUTS):
    """The kernel itself, to be run while functions that it calls are replaced; the name keeps its programs apart."""

    fault: str = ""


def no_subtree_checks(kinetic: Any, metric: Any, leaf: Any, checkpoints: Array) -> Array:
    return leaf[0] < 0


def ends_only(kinetic: Any, metric: Any, first: Any, last: Any, sums: Any) -> Array:
    """The plain criterion, without checks across halves."""
    return is_turning(kinetic, metric, first[0], last[1], sums[0] + sums[1])


def slot_too_far(checkpoint_slot: Callable[..., Array]) -> Callable[..., Array]:
    def shifted(index: Array, max_depth: int) -> Array:
        return jnp.where(index % 4 == 2, checkpoint_slot(index, max_depth) + 1, checkpoint_slot(index, max_depth))

    return shifted


# Adaptation


def restarted_at_step_size(prox_center: Array) -> DualAveragingState:
    """Drawn to log eps instead of log(10 eps)."""
    return dual_averaging_init(prox_center - np.log(10.0))


def decay_from_zero(g: Array, state: DualAveragingState, gamma: float = 0.05) -> DualAveragingState:
    """Dual averaging whose weights are those of the iteration before."""
    t = state.t.astype(state.x_t.dtype)
    weight = 1.0 / (t + 1.0 + 10.0)
    g_avg = (1.0 - weight) * state.g_avg + weight * g
    x_t = state.prox_center - jnp.sqrt(t + 1.0) / gamma * g_avg
    decay = jnp.maximum(t, 1.0) ** -0.75
    return DualAveragingState(x_t, decay * x_t + (1.0 - decay) * state.x_avg, g_avg, state.t + 1, state.prox_center)


def divides_by_n(state: WelfordState) -> tuple[Array, ...]:
    return tuple(block / state.n.astype(block.dtype) for block in state.m2)


@dataclass(frozen=True)
class TakesLastIterate(Warmup):
    """Sampling uses the last step size of dual averaging, not the averaged one."""

    def _adapt_step_size(self, i: Array, signal: Any, state: Any, schedule: Any) -> Any:
        adapted = super()._adapt_step_size(i, signal, state, schedule)
        return adapted._replace(step_size=jnp.exp(adapted.tuning.averaging.x_t))


@dataclass(frozen=True)
class NeverResets(Warmup):
    """The covariance goes on over the windows."""

    def _end_window(self, state: Any, schedule: Any, search: Any) -> Any:
        return super()._end_window(state, schedule, search)._replace(covariance=state.covariance)


@dataclass(frozen=True)
class CollectsAlways(Warmup):
    """Draws of the fast windows enter the covariance."""

    def _collect(self, signal: Any, state: Any, schedule: Any) -> Any:
        moved = super()._collect(signal, state._replace(window=jnp.ones_like(state.window)), schedule)
        return moved._replace(window=state.window)


def adapts_for_ever(params: Callable[..., Any]) -> Callable[..., Any]:
    """Sampling iterations count as warm-up."""

    def always(self: Warmup, i: Array, state: Any, schedule: Any) -> Any:
        return params(self, i, state, schedule)._replace(warming_up=i >= 0)

    return always
