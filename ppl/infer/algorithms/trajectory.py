"""Kernels that walk along a trajectory, one gradient at a time.

Such a kernel says where the next gradient is wanted, takes it, and stops when its trajectory is complete. What lies between
two gradients is little arithmetic on vectors, which `call_fused` turns into one CPU kernel. The same three functions, interleaved
over many chains, advance every chain by one gradient at a time.
"""

from typing import Any

from jax import lax

from ppl._typing import Array, Key
from ppl.infer.algorithms.fused import call_fused
from ppl.infer.algorithms.packed import packed
from ppl.infer.algorithms.protocols import (
    HamiltonianInfo,
    HamiltonianParams,
    HamiltonianState,
    Target,
    TrajectoryKernel,
)

__all__ = ["energy_error", "init_state", "is_unexplained", "walk", "walk_on", "walk_one_step"]

MAX_ENERGY_ERROR = 1000.0  # Stan reference manual, "Divergent transitions"


def init_state(target: Target, position: Array) -> HamiltonianState:
    """The state at a position: one gradient."""
    potential_energy, gradient = target.value_and_gradient(position)
    return HamiltonianState(position=position, potential_energy=potential_energy, gradient=gradient)


def walk(
    kernel: TrajectoryKernel, key: Key, state: HamiltonianState, target: Target, params: HamiltonianParams
) -> tuple[HamiltonianState, HamiltonianInfo]:
    """One whole trajectory."""
    kernel = packed(kernel)
    return kernel.finish(walk_on(kernel, call_fused(kernel.begin, key, state, params), target, params))


def walk_on(kernel: TrajectoryKernel, trajectory: Any, target: Target, params: HamiltonianParams) -> Any:
    """Extend a trajectory until it is complete."""
    return lax.while_loop(kernel.is_running, lambda trajectory: walk_one_step(kernel, trajectory, target, params), trajectory)


def walk_one_step(kernel: TrajectoryKernel, trajectory: Any, target: Target, params: HamiltonianParams) -> Any:
    """Extend a trajectory that is not complete by one gradient."""
    potential_energy, gradient = target.value_and_gradient(trajectory.position)
    return call_fused(kernel.extend, trajectory, potential_energy, gradient, params)


def energy_error(energy: Array, initial_energy: Array) -> Array:
    """H - H0, infinite where it is not a number."""
    error = energy - initial_energy
    return lax.select(lax.is_finite(error), error, lax.full_like(error, float("inf")))


def is_unexplained(energy: Array, potential_energy: Array, initial_energy: Array, max_error: float = MAX_ENERGY_ERROR) -> Array:
    """Whether an energy is not a number where the potential alone does not make a divergence.

    High up in the tails gradients overflow: that is a step too long, and no fault of the model.
    """
    return (energy != energy) & ~(potential_energy - initial_energy > max_error)
