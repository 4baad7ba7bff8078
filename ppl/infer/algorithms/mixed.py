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
from ppl.infer.algorithms.trajectory import MAX_ENERGY_ERROR, energy_error

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

    def propose(self, key: Key, number: Array, position: Array, values: dict[str, Array]) -> Move:
        """A proposal for one of them."""


class Walk(NamedTuple):
    """A trajectory in progress.

    Attributes:
        state: of the continuous variables.
        momentum: theirs, `(d,)`.
        values: of the discrete variables.
        arrivals: when each is visited next, by the clock, `(n,)`.
        kinetic: the kinetic energy of each, `(n,)`.
        clock: the time.
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
        dtype, count = state.position.dtype, discrete.count
        draws = random.draw(key, dtype, keys=1, uniforms=1 + 2 * count, normals=state.position.size)
        momentum = momentum_of(params.metric, draws.normals)
        end_of_clock = jnp.asarray(self.num_discrete_updates / count, dtype)
        length = self._length(params.step_size)
        zero, none = jnp.zeros((), dtype), jnp.zeros((), jnp.int32)
        begin = Walk(
            state=state,
            momentum=momentum,
            values=values,
            arrivals=draws.uniforms[1 : 1 + count],
            kinetic=-jnp.log1p(-draws.uniforms[1 + count :]),
            clock=zero,
            change=zero,
            num_steps=none,
            visits=none,
            is_finite=jnp.ones((), bool),
        )

        def is_running(walk: Walk) -> Array:
            return (walk.clock < end_of_clock) & walk.is_finite

        def go_on(walk: Walk) -> Walk:
            return self._stretch_and_visit(draws.keys[0], walk, discrete, params, length / end_of_clock, end_of_clock)

        walk = lax.while_loop(is_running, go_on, begin)
        return self._accept(draws.uniforms[0], begin, walk, params, length)

    def _length(self, step_size: Array) -> Array:
        if self.trajectory_length is not None:
            return jnp.asarray(self.trajectory_length, step_size.dtype)
        return step_size * (self.num_steps or 1)

    def _stretch_and_visit(
        self, key: Key, walk: Walk, discrete: Discrete, params: HamiltonianParams, speed: Array, end_of_clock: Array
    ) -> Walk:
        """Move the continuous variables until the next visit or the end, and make the visit."""
        number = jnp.argmin(walk.arrivals)
        arrival = walk.arrivals[number]
        until = jnp.minimum(arrival, end_of_clock)
        target = discrete.target(walk.values)
        walk = self._leapfrog(walk, target, (until - walk.clock) * speed, params)._replace(clock=until)

        def visit() -> Walk:
            return self._visit(random.fold_in(key, walk.visits), walk, discrete, number)

        return lax.cond((arrival < end_of_clock) & walk.is_finite, visit, lambda: walk)

    def _leapfrog(self, walk: Walk, target: Target, duration: Array, params: HamiltonianParams) -> Walk:
        """Steps of equal size, none longer than the adapted one, that add up to the duration."""
        count = jnp.clip(jnp.ceil(duration / params.step_size), 0, MAX_STEPS)
        step_size = duration / jnp.maximum(count, 1)

        def step(_: Array, moving: tuple[HamiltonianState, Array]) -> tuple[HamiltonianState, Array]:
            state, momentum = moving
            half = momentum - 0.5 * step_size * state.gradient
            position = state.position + step_size * self.kinetic.velocity(params.metric, half)
            potential_energy, gradient = target.value_and_gradient(position)
            return HamiltonianState(position, potential_energy, gradient), half - 0.5 * step_size * gradient

        state, momentum = lax.fori_loop(0, count.astype(jnp.int32), step, (walk.state, walk.momentum))
        energy = state.potential_energy + self.kinetic.energy(params.metric, momentum)
        return walk._replace(
            state=state,
            momentum=momentum,
            num_steps=walk.num_steps + count.astype(jnp.int32),
            is_finite=walk.is_finite & lax.is_finite(energy),
        )

    def _visit(self, key: Key, walk: Walk, discrete: Discrete, number: Array) -> Walk:
        """Propose another state of a discrete variable; it moves if its kinetic energy is above the change of energy."""
        move = discrete.propose(key, number, walk.state.position, walk.values)
        accepted = walk.kinetic[number] > move.energy_change
        values = tree_select(accepted, move.values, walk.values)
        potential_energy, gradient = discrete.target(values).value_and_gradient(walk.state.position)
        state = walk.state._replace(potential_energy=potential_energy, gradient=gradient)
        return walk._replace(
            state=tree_select(accepted, state, walk.state),
            values=values,
            arrivals=walk.arrivals.at[number].add(1.0),
            kinetic=walk.kinetic.at[number].add(jnp.where(accepted, -move.energy_change, 0.0)),
            change=walk.change + jnp.where(accepted, potential_energy - walk.state.potential_energy, 0.0),
            visits=walk.visits + 1,
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
            accept_prob=accept_prob,
            num_steps=end.num_steps,
            trajectory_length=length,
            diverging=error > MAX_ENERGY_ERROR,
            last_position=end.state.position,
            is_nan=jnp.isnan(after),
        )
        return state, values, info
