"""The no-U-turn sampler: multinomial trajectories, iterative trees, generalised U-turns across sub-trees.

Source: Hoffman, Gelman (2014), JMLR 15; Betancourt (2017), arXiv:1701.02434, appendix A (multinomial form); Phan, Pradhan,
Jankowiak (2019), arXiv:1912.11554, appendix A (iterative form).
"""

from dataclasses import dataclass
from typing import NamedTuple

import jax.numpy as jnp
from jax import lax

from ppl import _random as random
from ppl._typing import Array, Key
from ppl.infer.algorithms.metric import EuclideanKinetic, Kinetic, momentum_of
from ppl.infer.algorithms.protocols import HamiltonianInfo, HamiltonianParams, HamiltonianState, Target
from ppl.infer.algorithms.trajectory import MAX_ENERGY_ERROR, energy_error, init_state, is_unexplained, walk
from ppl.infer.algorithms.uturn import Leaf, checkpoint_slot, closing_subtrees, is_turning_across, new_checkpoints

__all__ = ["NUTS"]

POSITION, MOMENTUM, GRADIENT = 0, 1, 2  # rows of an end of the tree
POTENTIAL, ENERGY = 0, 1  # of a proposal
BACKWARD, FORWARD = 0, 1  # directions of time: rows of `ends`


class Proposal(NamedTuple):
    """A point drawn from a (sub-)tree: position and gradient `(2, d)`, potential and total energy `(2,)`; the tree's log weight."""

    point: Array
    energies: Array
    log_weight: Array


class Trajectory(NamedTuple):
    """A tree in progress, and the sub-tree that may double it.

    Attributes:
        position: where the next gradient is wanted, `(d,)`.
        momentum: momentum half a step before it, `(d,)`.
        direction: of the sub-tree, FORWARD or BACKWARD.
        ends: both ends of the tree, `(2, 3, d)`.
        tree: what was drawn from the tree.
        subtree: what was drawn from the sub-tree.
        momentum_sum: over the tree, `(d,)`.
        subtree_sum: over the sub-tree, `(d,)`.
        subtree_first: momentum at the first leaf of the sub-tree, `(d,)`.
        checkpoints: leaves of the sub-tree to be remembered.
        depth: of the tree.
        max_depth: where to stop.
        leaf: number of leaves of the sub-tree.
        num_steps: leapfrog steps so far.
        sum_accept_prob: of all leaves computed.
        initial_energy: at the start of the trajectory.
        step_size: of the integrator.
        diverging: whether the last leaf did.
        is_nan: whether its energy is not a number.
        is_running: whether another gradient is wanted.
        key: for the draws at each leaf.
    """

    position: Array
    momentum: Array
    direction: Array
    ends: Array
    tree: Proposal
    subtree: Proposal
    momentum_sum: Array
    subtree_sum: Array
    subtree_first: Array
    checkpoints: Array
    depth: Array
    max_depth: Array
    leaf: Array
    num_steps: Array
    sum_accept_prob: Array
    initial_energy: Array
    step_size: Array
    diverging: Array
    is_nan: Array
    is_running: Array
    key: Key


class Draws(NamedTuple):
    """The random numbers of a leaf, uniform on (0, 1): for the sub-tree's proposal, for the tree's, for the next direction."""

    leaf: Array
    doubling: Array
    direction: Array


@dataclass(frozen=True)
class NUTS:
    """The no-U-turn sampler.

    Attributes:
        max_tree_depth: the limits of the depth for warm-up and for sampling.
        kinetic: the kinetic energy.
        max_energy_error: beyond it a leaf diverges.
    """

    max_tree_depth: tuple[int, int] = (10, 10)
    kinetic: Kinetic = EuclideanKinetic()
    max_energy_error: float = MAX_ENERGY_ERROR

    def init(self, key: Key, target: Target, position: Array) -> HamiltonianState:
        """The state at a position: one gradient."""
        return init_state(target, position)

    def rebase(self, state: HamiltonianState, target: Target) -> HamiltonianState:
        """The same position under another target."""
        return init_state(target, state.position)

    def step(
        self, key: Key, state: HamiltonianState, target: Target, params: HamiltonianParams
    ) -> tuple[HamiltonianState, HamiltonianInfo]:
        """One trajectory."""
        return walk(self, key, state, target, params)

    def begin(self, key: Key, state: HamiltonianState, params: HamiltonianParams) -> Trajectory:
        """A tree of one leaf, the present state with a fresh momentum, and the first direction."""
        q = state.position
        draws = random.draw(key, q.dtype, keys=1, uniforms=1, normals=q.size)
        momentum = momentum_of(params.metric, draws.normals)
        return self.begin_at(draws.keys[0], draws.uniforms[0], state, momentum, params)

    def begin_at(self, key: Key, uniform: Array, state: HamiltonianState, momentum: Array, params: HamiltonianParams) -> Trajectory:
        """As `begin`, with this momentum, a key for the leaves, and a uniform number for the first direction."""
        q, p, gradient = state.position, momentum, state.gradient
        energy = state.potential_energy + self.kinetic.energy(params.metric, p)
        end = jnp.stack([q, p, gradient])
        zero = lax.full_like(energy, 0)
        count = jnp.zeros((), jnp.int32)
        false = zero > 0
        tree = Proposal(point=jnp.stack([q, gradient]), energies=jnp.stack([state.potential_energy, energy]), log_weight=zero)
        shallow, deep = (jnp.full((), depth, jnp.int32) for depth in self.max_tree_depth)
        # Equal limits leave no use of `warming_up`, as `call_fused` demands, that the compiler would only remove later.
        max_depth = deep if self.max_tree_depth[0] == self.max_tree_depth[1] else lax.select(params.warming_up, shallow, deep)
        trajectory = Trajectory(
            position=q,
            momentum=p,
            direction=count,
            ends=jnp.stack([end, end]),
            tree=tree,
            subtree=tree._replace(log_weight=lax.full_like(zero, float("-inf"))),
            momentum_sum=p,
            subtree_sum=jnp.zeros_like(p),
            subtree_first=p,
            checkpoints=new_checkpoints(max(1, *self.max_tree_depth), p),
            depth=count,
            max_depth=max_depth,
            leaf=count,
            num_steps=count,
            sum_accept_prob=zero,
            initial_energy=energy,
            step_size=params.step_size,
            diverging=false,
            is_nan=false,
            is_running=~false,
            key=key,
        )
        return self._set_out(trajectory, uniform, params)

    def is_running(self, trajectory: Trajectory) -> Array:
        """Whether another gradient is wanted."""
        return trajectory.is_running

    def extend(self, trajectory: Trajectory, potential_energy: Array, gradient: Array, params: HamiltonianParams) -> Trajectory:
        """Add a leaf to the sub-tree; when that completes it, or it turns or diverges, end the doubling; move on."""
        momentum = trajectory.momentum - 0.5 * self._signed_step(trajectory) * gradient
        uniforms = random.draw(trajectory.key, gradient.dtype, uniforms=3, stage=trajectory.num_steps).uniforms
        draws = Draws(leaf=uniforms[0], doubling=uniforms[1], direction=uniforms[2])
        end = jnp.stack([trajectory.position, momentum, gradient])
        trajectory = self._add_leaf(trajectory, end, potential_energy, draws, params)
        leaf = Leaf(number=trajectory.leaf - 1, momentum=momentum, momentum_sum=trajectory.subtree_sum)
        turning = closing_subtrees(self.kinetic, params.metric, leaf, trajectory.checkpoints)
        failed = turning | trajectory.diverging
        is_complete = trajectory.leaf == lax.shift_left(lax.full_like(trajectory.depth, 1), trajectory.depth)

        def onward(trajectory: Trajectory) -> Trajectory:
            return self._move(trajectory, end, params)

        def end_doubling(trajectory: Trajectory) -> Trajectory:
            return self._end_doubling(trajectory, end, failed, draws, params)

        return lax.cond(failed | is_complete, end_doubling, onward, trajectory)

    def finish(self, trajectory: Trajectory) -> tuple[HamiltonianState, HamiltonianInfo]:
        """The proposal of the tree is the next state."""
        tree = trajectory.tree
        num_steps = trajectory.num_steps.astype(trajectory.step_size.dtype)
        state = HamiltonianState(position=tree.point[0], potential_energy=tree.energies[POTENTIAL], gradient=tree.point[1])
        info = HamiltonianInfo(
            energy=tree.energies[ENERGY],
            accept_prob=trajectory.sum_accept_prob / jnp.maximum(num_steps, 1),
            num_steps=trajectory.num_steps,
            trajectory_length=trajectory.step_size * num_steps,
            diverging=trajectory.diverging,
            last_position=trajectory.position,
            is_nan=trajectory.is_nan,
        )
        return state, info

    def in_room_of(self, trajectory: Trajectory, other: Trajectory) -> Trajectory:
        """With the other's room for checkpoints, of which none is read before it is written."""
        return trajectory._replace(checkpoints=other.checkpoints)

    def _signed_step(self, trajectory: Trajectory) -> Array:
        return lax.select(trajectory.direction == FORWARD, trajectory.step_size, -trajectory.step_size)

    def _move(self, trajectory: Trajectory, end: Array, params: HamiltonianParams) -> Trajectory:
        """Begin a leapfrog step at an end: half a kick and the drift."""
        eps = self._signed_step(trajectory)
        momentum = end[MOMENTUM] - 0.5 * eps * end[GRADIENT]
        position = end[POSITION] + eps * self.kinetic.velocity(params.metric, momentum)
        return trajectory._replace(position=position, momentum=momentum)

    def _set_out(self, trajectory: Trajectory, uniform: Array, params: HamiltonianParams) -> Trajectory:
        """Choose a direction and begin a sub-tree there."""
        direction = (uniform < 0.5).astype(jnp.int32)
        end = lax.dynamic_index_in_dim(trajectory.ends, direction, keepdims=False)
        return self._move(trajectory._replace(direction=direction, leaf=lax.full_like(trajectory.leaf, 0)), end, params)

    def _add_leaf(
        self, trajectory: Trajectory, end: Array, potential_energy: Array, draws: Draws, params: HamiltonianParams
    ) -> Trajectory:
        """Weigh the new leaf exp(H0 - H), draw it with its share of the sub-tree's weight, and remember it."""
        momentum = end[MOMENTUM]
        energy = potential_energy + self.kinetic.energy(params.metric, momentum)
        error = energy_error(energy, trajectory.initial_energy)
        is_first = trajectory.leaf == 0
        log_weight = lax.select(is_first, -error, _log_add(trajectory.subtree.log_weight, -error))
        is_drawn = is_first | (jnp.log(draws.leaf) < -error - log_weight)
        point = jnp.stack([end[POSITION], end[GRADIENT]])
        subtree = Proposal(
            point=lax.select(is_drawn, point, trajectory.subtree.point),
            energies=lax.select(is_drawn, jnp.stack([potential_energy, energy]), trajectory.subtree.energies),
            log_weight=log_weight,
        )
        subtree_sum = lax.select(is_first, momentum, trajectory.subtree_sum + momentum)
        slot = checkpoint_slot(trajectory.leaf, trajectory.checkpoints.shape[0] // 2)
        row = jnp.stack([momentum, subtree_sum])
        return trajectory._replace(
            position=end[POSITION],
            subtree=subtree,
            subtree_sum=subtree_sum,
            subtree_first=lax.select(is_first, momentum, trajectory.subtree_first),
            checkpoints=lax.dynamic_update_index_in_dim(trajectory.checkpoints, row, slot, 0),
            leaf=trajectory.leaf + 1,
            num_steps=trajectory.num_steps + 1,
            sum_accept_prob=trajectory.sum_accept_prob + jnp.exp(-jnp.maximum(error, 0.0)),
            diverging=error > self.max_energy_error,
            is_nan=is_unexplained(energy, potential_energy, trajectory.initial_energy, self.max_energy_error),
        )

    def _end_doubling(
        self, trajectory: Trajectory, end: Array, failed: Array, draws: Draws, params: HamiltonianParams
    ) -> Trajectory:
        """Join the sub-tree to the tree, unless it failed; go on in a new direction, unless the whole turns or is deep enough."""
        tree, subtree = trajectory.tree, trajectory.subtree
        is_drawn = ~failed & (jnp.log(draws.doubling) < subtree.log_weight - tree.log_weight)
        near = lax.dynamic_index_in_dim(trajectory.ends, trajectory.direction, keepdims=False)
        far = lax.dynamic_index_in_dim(trajectory.ends, 1 - trajectory.direction, keepdims=False)
        turning = is_turning_across(
            self.kinetic,
            params.metric,
            (far[MOMENTUM], near[MOMENTUM]),
            (trajectory.subtree_first, end[MOMENTUM]),
            (trajectory.momentum_sum, trajectory.subtree_sum),
        )
        depth = trajectory.depth + 1
        is_running = ~(failed | turning) & (depth < trajectory.max_depth)
        joined = trajectory._replace(
            ends=lax.dynamic_update_index_in_dim(trajectory.ends, end, trajectory.direction, 0),
            tree=Proposal(
                point=lax.select(is_drawn, subtree.point, tree.point),
                energies=lax.select(is_drawn, subtree.energies, tree.energies),
                log_weight=_log_add(tree.log_weight, subtree.log_weight),
            ),
            momentum_sum=trajectory.momentum_sum + trajectory.subtree_sum,
            depth=depth,
            is_running=is_running,
        )
        onward = self._set_out(joined, draws.direction, params)
        return onward._replace(position=lax.select(is_running, onward.position, end[POSITION]))


def _log_add(a: Array, b: Array) -> Array:
    """log(e^a + e^b) of numbers that are not both -inf."""
    return jnp.maximum(a, b) + jnp.log1p(jnp.exp(-jnp.abs(a - b)))
