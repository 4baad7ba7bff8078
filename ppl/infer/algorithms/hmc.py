"""Hamiltonian Monte Carlo with a fixed trajectory length or number of steps.

Source: Neal (2011), "MCMC using Hamiltonian dynamics", section 5.3.2.
"""

from dataclasses import dataclass
from typing import NamedTuple

import jax.numpy as jnp
from jax import lax

from ppl import _random as random
from ppl._typing import Array, Key
from ppl.infer.algorithms.metric import EuclideanKinetic, Kinetic, momentum_of
from ppl.infer.algorithms.protocols import HamiltonianInfo, HamiltonianParams, HamiltonianState, Target, tree_select
from ppl.infer.algorithms.trajectory import MAX_ENERGY_ERROR, energy_error, init_state, is_unexplained, walk

__all__ = ["HMC"]

MAX_STEPS = 1023  # as many as the deepest default tree; reached only while warm-up tries tiny steps


class Trajectory(NamedTuple):
    """A walk in progress; `position` is where the next gradient is wanted, `momentum` the one half a step before it."""

    position: Array
    momentum: Array
    potential_energy: Array
    gradient: Array
    energy: Array
    start: HamiltonianState
    initial_energy: Array
    step_size: Array
    num_steps: Array
    steps_left: Array
    uniform: Array


@dataclass(frozen=True)
class HMC:
    """Hamiltonian Monte Carlo.

    With a length T alone, the number of steps is ceil(T / eps), at most 1,023, and the step size is stretched to T over that number
    (not where the limit cuts it); with a number alone, that many steps of the adapted size; with both, steps of size T / number.
    """

    num_steps: int | None = None
    trajectory_length: float | None = None
    kinetic: Kinetic = EuclideanKinetic()

    def init(self, key: Key, target: Target, position: Array) -> HamiltonianState:
        """The state at a position: one gradient."""
        return init_state(target, position)

    def rebase(self, state: HamiltonianState, target: Target) -> HamiltonianState:
        """The same position under another target."""
        return init_state(target, state.position)

    def step(
        self, key: Key, state: HamiltonianState, target: Target, params: HamiltonianParams
    ) -> tuple[HamiltonianState, HamiltonianInfo]:
        """One trajectory and its Metropolis test."""
        return walk(self, key, state, target, params)

    def _steps(self, step_size: Array) -> tuple[Array, Array]:
        """Number of steps, and the step size that makes them add up to the trajectory length."""
        if self.num_steps is not None:
            count = jnp.int32(self.num_steps)
            if self.trajectory_length is None:
                return count, step_size
            return count, jnp.asarray(self.trajectory_length, step_size.dtype) / self.num_steps
        length = jnp.asarray(self.trajectory_length, step_size.dtype)
        count = jnp.clip(jnp.ceil(length / step_size), 1, MAX_STEPS)
        capped = length / step_size > MAX_STEPS
        return count.astype(jnp.int32), jnp.where(capped, step_size, length / count)

    def begin(self, key: Key, state: HamiltonianState, params: HamiltonianParams) -> Trajectory:
        """Draw the momentum and go to where the first gradient is wanted."""
        draws = random.draw(key, state.position.dtype, uniforms=1, normals=state.position.size)
        momentum = momentum_of(params.metric, draws.normals)
        num_steps, step_size = self._steps(params.step_size)
        momentum_half = momentum - 0.5 * step_size * state.gradient
        energy = state.potential_energy + self.kinetic.energy(params.metric, momentum)
        return Trajectory(
            position=state.position + step_size * self.kinetic.velocity(params.metric, momentum_half),
            momentum=momentum_half,
            potential_energy=state.potential_energy,
            gradient=state.gradient,
            energy=energy,
            start=state,
            initial_energy=energy,
            step_size=step_size,
            num_steps=num_steps,
            steps_left=num_steps,
            uniform=draws.uniforms[0],
        )

    def is_running(self, trajectory: Trajectory) -> Array:
        """Whether another gradient is wanted."""
        return trajectory.steps_left > 0

    def extend(self, trajectory: Trajectory, potential_energy: Array, gradient: Array, params: HamiltonianParams) -> Trajectory:
        """Complete a leapfrog step; unless it was the last, begin the next one. Where the energy is not finite nothing follows."""
        eps = trajectory.step_size
        momentum = trajectory.momentum - 0.5 * eps * gradient
        energy = potential_energy + self.kinetic.energy(params.metric, momentum)
        steps_left = lax.select(lax.is_finite(energy), trajectory.steps_left - 1, lax.full_like(trajectory.steps_left, 0))
        momentum_half = momentum - 0.5 * eps * gradient
        onward = trajectory.position + eps * self.kinetic.velocity(params.metric, momentum_half)
        return trajectory._replace(
            position=lax.select(steps_left > 0, onward, trajectory.position),
            momentum=momentum_half,
            potential_energy=potential_energy,
            gradient=gradient,
            energy=energy,
            steps_left=steps_left,
        )

    def finish(self, trajectory: Trajectory) -> tuple[HamiltonianState, HamiltonianInfo]:
        """Accept the end of the trajectory with probability min(1, exp(H0 - H))."""
        error = energy_error(trajectory.energy, trajectory.initial_energy)
        accept_prob = jnp.exp(-jnp.maximum(error, 0.0))
        accepted = trajectory.uniform < accept_prob
        end = HamiltonianState(
            position=trajectory.position, potential_energy=trajectory.potential_energy, gradient=trajectory.gradient
        )
        info = HamiltonianInfo(
            energy=lax.select(accepted, trajectory.energy, trajectory.initial_energy),
            accept_prob=accept_prob,
            num_steps=trajectory.num_steps,
            trajectory_length=trajectory.step_size * trajectory.num_steps.astype(trajectory.step_size.dtype),
            diverging=error > MAX_ENERGY_ERROR,
            last_position=trajectory.position,
            is_nan=is_unexplained(trajectory.energy, trajectory.potential_energy, trajectory.initial_energy),
        )
        return tree_select(accepted, end, trajectory.start), info

    def in_room_of(self, trajectory: Trajectory, other: Trajectory) -> Trajectory:
        """There is no room to work in."""
        return trajectory
