"""What algorithms, adaptation and the run expect of each other. Nothing here knows models, handlers or distributions."""

from typing import Any, NamedTuple, Protocol

import jax

from ppl._typing import Array, Key, PyTree
from ppl.infer.algorithms.metric import Metric

__all__ = ["HamiltonianInfo", "HamiltonianParams", "HamiltonianState", "Kernel", "Target", "TrajectoryKernel", "tree_select"]


class Target(Protocol):
    """An unnormalised posterior on unconstrained positions `(d,)`."""

    def __call__(self, position: Array, /) -> Array:
        """The potential energy, minus the log density: a scalar."""

    def value_and_gradient(self, position: Array, /) -> tuple[Array, Array]:
        """The potential energy and its gradient `(d,)`."""


class Kernel(Protocol):
    """A transition that leaves the target invariant; a frozen dataclass of static settings."""

    def init(self, key: Key, target: Target, position: Array) -> Any:
        """The state at a position."""

    def rebase(self, state: Any, target: Target) -> Any:
        """The same position under another target: what is cached is computed again."""

    def step(self, key: Key, state: Any, target: Target, params: Any) -> tuple[Any, Any]:
        """The next state, and what happened on the way."""


class HamiltonianState(NamedTuple):
    """What the next Hamiltonian trajectory needs: position `(d,)`, its potential energy, and the gradient `(d,)`."""

    position: Array
    potential_energy: Array
    gradient: Array


class HamiltonianParams(NamedTuple):
    """What adaptation chooses: the step size, the metric, and whether this is warm-up (for limits that differ)."""

    step_size: Array
    metric: Metric
    warming_up: Array


class HamiltonianInfo(NamedTuple):
    """What people look at after a trajectory.

    Attributes:
        energy: total energy at the returned state.
        accept_prob: Metropolis acceptance probability, or its mean over the trajectory.
        num_steps: leapfrog steps taken.
        trajectory_length: step size times steps.
        diverging: whether the energy error exceeded its bound.
        last_position: where the trajectory ended, `(d,)`; when `is_nan`, the place that is to blame.
        is_nan: whether the energy was not a number there.
        momentum: that at the returned state, `(d,)`, where it is told.
    """

    energy: Array
    accept_prob: Array
    num_steps: Array
    trajectory_length: Array
    diverging: Array
    last_position: Array
    is_nan: Array
    momentum: Array | None = None


class TrajectoryKernel(Protocol):
    """A kernel whose step is a walk: `begin`, `extend` while `is_running`, `finish`. `Trajectory` has a field `position`."""

    def begin(self, key: Key, state: HamiltonianState, params: HamiltonianParams) -> Any:
        """A trajectory of no steps, whose `position` is where the first gradient is wanted."""

    def is_running(self, trajectory: Any) -> Array:
        """Whether another gradient is wanted."""

    def extend(self, trajectory: Any, potential_energy: Array, gradient: Array, params: HamiltonianParams) -> Any:
        """Take the gradient at `trajectory.position` and move on."""

    def finish(self, trajectory: Any) -> tuple[HamiltonianState, HamiltonianInfo]:
        """The next state of the chain."""

    def in_room_of(self, trajectory: Any, other: Any) -> Any:
        """The trajectory with the arrays of another one of which nothing is read before it is written."""


def tree_select(predicate: Array, if_true: PyTree, if_false: PyTree) -> PyTree:
    """Leaf by leaf, `if_true` where the scalar predicate holds, else `if_false`."""
    return jax.tree.map(lambda a, b: jax.lax.select(predicate, a, b), if_true, if_false)
