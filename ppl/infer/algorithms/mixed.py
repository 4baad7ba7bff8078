"""Hamiltonian Monte Carlo for continuous and discrete variables together.

Each discrete variable has a kinetic energy of its own, and a clock that says when along the trajectory it is visited; at a visit it
takes a proposed state if its kinetic energy pays for the change.

Source: Zhou (2020), "Mixed Hamiltonian Monte Carlo for mixed discrete and continuous variables", NeurIPS 33, Algorithm 1.
"""

from dataclasses import dataclass
from typing import NamedTuple, Protocol

import jax.numpy as jnp
from jax import lax

from ppl import _random as random
from ppl._typing import Array, Key
from ppl.infer.algorithms.metric import EuclideanKinetic, Kinetic, momentum_of
from ppl.infer.algorithms.protocols import HamiltonianInfo, HamiltonianParams, HamiltonianState, Target, tree_select
from ppl.infer.algorithms.trajectory import MAX_ENERGY_ERROR, energy_error, is_unexplained

__all__ = ["Discrete", "MixedHMC", "Move"]

MAX_STEPS = 1023  # of one stretch between two visits; reached only while warm-up tries tiny steps


class Move(NamedTuple):
    """A proposed change of one discrete variable.

    Attributes:
        values: of all discrete sites after it.
        energy_change: of the potential energy, plus log Q(new | old) - log Q(old | new).
    """

    values: dict[str, Array]
    energy_change: Array


class Discrete(Protocol):
    """The discrete variables."""

    @property
    def count(self) -> int:
        """How many there are."""

    def target(self, values: dict[str, Array]) -> Target:
        """The target of the continuous variables, given these values."""

    def propose(self, uniform: Array, number: Array, position: Array, values: dict[str, Array]) -> Move:
        """A proposal for one of them, by a uniform number `(1,)`."""


class Walk(NamedTuple):
    """A trajectory in progress: stretches of leapfrog steps, with visits between them.

    Attributes:
        state: of the continuous variables.
        momentum: theirs, `(d,)`.
        values: of the discrete variables.
        arrivals: when each is visited next, by the clock, `(n,)`; without variables that of one that is never visited.
        kinetic: the kinetic energy of each, `(n,)`.
        clock: the time at the end of the stretch.
        step_size: of the stretch.
        steps_left: of the stretch.
        change: of the potential energy, by all accepted changes of discrete variables.
        num_steps: leapfrog steps taken.
        visits: visits made.
        is_finite: whether all energies so far were numbers.
    """

    state: HamiltonianState
    momentum: Array
    values: dict[str, Array]
    arrivals: Array
    kinetic: Array
    clock: Array
    step_size: Array
    steps_left: Array
    change: Array
    num_steps: Array
    visits: Array
    is_finite: Array


@dataclass(frozen=True)
class MixedHMC:
    """Mixed Hamiltonian Monte Carlo.

    Attributes:
        num_discrete_updates: the mean number of visits along a trajectory.
        num_steps: leapfrog steps of adapted size that make a trajectory; None where its length is given.
        trajectory_length: its length.
        kinetic: the kinetic energy of the continuous variables.
    """

    num_discrete_updates: int
    num_steps: int | None = None
    trajectory_length: float | None = None
    kinetic: Kinetic = EuclideanKinetic()

    def step(
        self, key: Key, state: HamiltonianState, values: dict[str, Array], discrete: Discrete, params: HamiltonianParams
    ) -> tuple[HamiltonianState, dict[str, Array], HamiltonianInfo]:
        """One trajectory and its Metropolis test."""
        dtype, count = state.position.dtype, max(discrete.count, 1)
        most_visits = count * -(-self.num_discrete_updates // count)
        draws = random.draw(key, dtype, uniforms=1 + 2 * count + most_visits, normals=state.position.size)
        of_visits = draws.uniforms[1 + 2 * count :]
        end_of_clock = jnp.asarray(self.num_discrete_updates / count, dtype)
        length = self._length(params.step_size)
        zero, none = jnp.zeros((), dtype), jnp.zeros((), jnp.int32)
        arrivals = draws.uniforms[1 : 1 + count] if discrete.count else jnp.full(1, jnp.inf, dtype)
        begin = Walk(
            state=state,
            momentum=momentum_of(params.metric, draws.normals),
            values=values,
            arrivals=arrivals,
            kinetic=-jnp.log1p(-draws.uniforms[1 + count : 1 + 2 * count]),
            clock=zero,
            step_size=zero,
            steps_left=none,
            change=zero,
            num_steps=none,
            visits=none,
            is_finite=jnp.ones((), bool),
        )

        def next_stretch(walk: Walk) -> Walk:
            return self._next_stretch(walk, length / end_of_clock, end_of_clock, params)

        def is_running(walk: Walk) -> Array:
            return ((walk.steps_left > 0) | (walk.clock < end_of_clock)) & walk.is_finite

        def go_on(walk: Walk) -> Walk:
            visiting = walk.steps_left == 0
            moved = self._move(of_visits, visiting, walk, discrete, params)
            return lax.cond(visiting, next_stretch, lambda walk: walk, moved)

        walk = lax.while_loop(is_running, go_on, next_stretch(begin))
        return self._accept(draws.uniforms[0], begin, walk, params, length)

    def _length(self, step_size: Array) -> Array:
        if self.trajectory_length is not None:
            return jnp.asarray(self.trajectory_length, step_size.dtype)
        return step_size * (self.num_steps or 1)

    def _next_stretch(self, walk: Walk, speed: Array, end_of_clock: Array, params: HamiltonianParams) -> Walk:
        """Until the next visit, or the end: steps of equal size, none longer than the adapted one."""
        until = jnp.minimum(jnp.min(walk.arrivals), end_of_clock)
        duration = (until - walk.clock) * speed
        count = jnp.clip(jnp.ceil(duration / params.step_size), 0, MAX_STEPS)
        return walk._replace(clock=until, step_size=duration / jnp.maximum(count, 1), steps_left=count.astype(jnp.int32))

    def _move(self, uniforms: Array, visiting: Array, walk: Walk, discrete: Discrete, params: HamiltonianParams) -> Walk:
        """A leapfrog step of the continuous variables or a visit of a discrete one: a gradient is needed after either."""
        number = jnp.argmin(walk.arrivals)

        def propose() -> Move:
            uniform = lax.dynamic_slice_in_dim(uniforms, walk.visits, 1)
            return discrete.propose(uniform, number, walk.state.position, walk.values)

        move = lax.cond(visiting, propose, lambda: Move(walk.values, jnp.zeros_like(walk.clock)))
        eps = jnp.where(visiting, 0.0, walk.step_size)
        half = walk.momentum - 0.5 * eps * walk.state.gradient
        position = walk.state.position + eps * self.kinetic.velocity(params.metric, half)
        potential_energy, gradient = discrete.target(move.values).value_and_gradient(position)
        new = HamiltonianState(position, potential_energy, gradient)
        momentum = half - 0.5 * eps * gradient
        accepted = ~visiting | (walk.kinetic[number] > move.energy_change)
        paid = visiting & accepted
        energy = potential_energy + self.kinetic.energy(params.metric, momentum)
        return walk._replace(
            state=tree_select(accepted, new, walk.state),
            momentum=lax.select(visiting, walk.momentum, momentum),
            values=tree_select(accepted, move.values, walk.values),
            arrivals=walk.arrivals.at[number].add(jnp.where(visiting, 1.0, 0.0)),
            kinetic=walk.kinetic.at[number].add(jnp.where(paid, -move.energy_change, 0.0)),
            steps_left=walk.steps_left - jnp.where(visiting, 0, 1),
            change=walk.change + jnp.where(paid, potential_energy - walk.state.potential_energy, 0.0),
            num_steps=walk.num_steps + jnp.where(visiting, 0, 1),
            visits=walk.visits + jnp.where(visiting, 1, 0),
            is_finite=walk.is_finite & (~accepted | lax.is_finite(energy)),
        )

    def _accept(
        self, uniform: Array, begin: Walk, end: Walk, params: HamiltonianParams, length: Array
    ) -> tuple[HamiltonianState, dict[str, Array], HamiltonianInfo]:
        """Accept the whole trajectory by the errors of its leapfrog steps alone, or go back to where it began."""
        before = begin.state.potential_energy + self.kinetic.energy(params.metric, begin.momentum)
        after = end.state.potential_energy + self.kinetic.energy(params.metric, end.momentum)
        error = energy_error(after - end.change, before)
        accept_prob = jnp.exp(-jnp.maximum(error, 0.0))
        accepted = uniform < accept_prob
        state, values = tree_select(accepted, (end.state, end.values), (begin.state, begin.values))
        info = HamiltonianInfo(
            energy=lax.select(accepted, after, before),
            momentum=lax.select(accepted, end.momentum, begin.momentum),
            accept_prob=accept_prob,
            num_steps=end.num_steps,
            trajectory_length=length,
            diverging=error > MAX_ENERGY_ERROR,
            last_position=end.state.position,
            is_nan=is_unexplained(after, end.state.potential_energy - end.change, before),
        )
        return state, values, info
