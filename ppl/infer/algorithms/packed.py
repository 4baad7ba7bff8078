"""Trajectories in few arrays.

A call that is one CPU kernel pays for every array that goes in or comes out, and some of what a loop carries is copied, each array
by a kernel of its own. So where updates are fused, between two gradients the numbers of a trajectory lie in a vector for each type.
"""

from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ppl._typing import Array, Key, PyTree
from ppl.infer.algorithms.fused import are_updates_fused
from ppl.infer.algorithms.protocols import HamiltonianInfo, HamiltonianParams, HamiltonianState, TrajectoryKernel

__all__ = ["packed"]


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class PackedTrajectory:
    """A trajectory between two gradients.

    Attributes:
        position: where the next gradient is wanted, `(d,)`.
        is_running: whether it is.
        arrays: the arrays of the trajectory.
        numbers: its numbers, a vector for each type; truth values are integers.
        structure: its pytree.
        types: of each leaf; None for an array.
    """

    position: Array
    is_running: Array
    arrays: tuple[Array, ...]
    numbers: dict[str, Array]
    structure: Any = field(metadata={"static": True})
    types: tuple[str | None, ...] = field(metadata={"static": True})

    @staticmethod
    def of(trajectory: PyTree, is_running: Array) -> "PackedTrajectory":
        """Pack a trajectory that has a field `position`."""
        leaves, structure = jax.tree.flatten(trajectory)
        groups: dict[str, list[Array]] = {}
        for leaf in leaves:
            if leaf.ndim == 0:
                carrier = _carrier(str(leaf.dtype))
                groups.setdefault(carrier, []).append(leaf.astype(carrier))
        return PackedTrajectory(
            position=trajectory.position,
            is_running=is_running,
            arrays=tuple(leaf for leaf in leaves if leaf.ndim),
            numbers={carrier: jnp.stack(group) for carrier, group in groups.items()},
            structure=structure,
            types=tuple(None if leaf.ndim else str(leaf.dtype) for leaf in leaves),
        )

    def unpack(self) -> Any:
        """The trajectory."""
        arrays = iter(self.arrays)
        numbers = {carrier: iter(vector) for carrier, vector in self.numbers.items()}
        leaves = [next(arrays) if name is None else next(numbers[_carrier(name)]).astype(name) for name in self.types]
        return jax.tree.unflatten(self.structure, leaves)


def _carrier(dtype: str) -> str:
    return "int32" if np.dtype(dtype) == bool else dtype


@dataclass(frozen=True)
class PackedKernel:
    """A kernel whose trajectories are packed."""

    kernel: TrajectoryKernel

    def begin(self, key: Key, state: HamiltonianState, params: HamiltonianParams) -> PackedTrajectory:
        """A trajectory of no steps."""
        return self._pack(self.kernel.begin(key, state, params))

    def is_running(self, trajectory: PackedTrajectory) -> Array:
        """Whether another gradient is wanted."""
        return trajectory.is_running

    def extend(
        self, trajectory: PackedTrajectory, potential_energy: Array, gradient: Array, params: HamiltonianParams
    ) -> PackedTrajectory:
        """Take the gradient at `trajectory.position` and move on."""
        return self._pack(self.kernel.extend(trajectory.unpack(), potential_energy, gradient, params))

    def finish(self, trajectory: PackedTrajectory) -> tuple[HamiltonianState, HamiltonianInfo]:
        """The next state of the chain."""
        return self.kernel.finish(trajectory.unpack())

    def in_room_of(self, trajectory: PackedTrajectory, other: PackedTrajectory) -> PackedTrajectory:
        """The trajectory with the room to work in of another one."""
        return self._pack(self.kernel.in_room_of(trajectory.unpack(), other.unpack()))

    def _pack(self, trajectory: Any) -> PackedTrajectory:
        return PackedTrajectory.of(trajectory, self.kernel.is_running(trajectory))


def packed(kernel: TrajectoryKernel) -> TrajectoryKernel:
    """The kernel with packed trajectories where updates are fused, else as it is."""
    return PackedKernel(kernel) if are_updates_fused() else kernel
