"""The states of a loop summed out along time: the backward recursion over a chain, and draws of its states forward.

The body of a loop has factors of the state at hand and of those before it, `f_t(z_{t-h}, ..., z_t)`, stacked along time. With the
messages

    beta_{t-1}(z_{t-h}, ..., z_{t-1}) = log sum_{z_t} exp( sum f_t + beta_t(z_{t-h+1}, ..., z_t) ),

from the last step to the first, cost and memory grow linearly in time. States are then drawn forward, each given those before it
(Rabiner 1989, "A tutorial on hidden Markov models", section III, with the recursion in the other direction).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import prod
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from ppl._typing import Array
from ppl.infer.target.contraction import (
    Choose,
    Factor,
    Name,
    Plate,
    Reduce,
    State,
    Step,
    Variable,
    aligned,
    choose_states,
    eliminate,
    multiply,
    sum_out,
)

MAX_PARALLEL_STATES = 16  # an H200 takes as long either way at 32 states, and compiles products of matrices for twice as long

__all__ = ["Chain", "ChainStep", "eliminate_chain", "is_sequential", "unrolled"]


@dataclass(frozen=True)
class Chain:
    """The states of a loop.

    Attributes:
        name: of the time dimension, which counts as a plate.
        length: the number of steps that have the whole past.
        history: how many earlier steps a state depends on.
        reverse: whether time runs against the order of the entries.
        states: for each variable of the body, the names of the state at hand and of those before it, youngest first.
        first: for each of these variables, the names of the states just before the first step of the chain, youngest first.
        last: the same, of the last states, as sites behind the loop call them.
    """

    name: str
    length: int
    history: int
    reverse: bool
    states: Mapping[str, tuple[Name, ...]]
    first: Mapping[str, tuple[Name, ...]]
    last: Mapping[str, tuple[Name, ...]]


@dataclass(frozen=True)
class ChainStep:
    """The elimination of coupled states of a chain along time.

    Attributes:
        chain: the chain.
        sites: the variables of the body that are coupled.
        constant: the factors that are the same in all steps.
        varying: the others, with time as the first axis.
        messages: `beta_t` for each step, with time as the first axis.
        eliminated: the names of the states, as keys of `choose`.
    """

    chain: Chain
    sites: tuple[str, ...]
    constant: tuple[Factor, ...]
    varying: tuple[Factor, ...]
    messages: Factor
    eliminated: tuple[Name, ...]

    def choose(
        self, states: Mapping[Name, State], choose: Callable[[Any], Choose], plates: Mapping[str, Plate]
    ) -> dict[Name, State]:
        """States of all steps, given those before the first one and of variables outside; `choose(t)` is the choice of a step."""
        chain, inside = self.chain, self.messages.plates
        sizes = tuple(plates[p].size for p in inside)
        start = {
            name: jnp.broadcast_to(_numbers(states[first], inside), sizes)
            for site in self.sites
            for name, first in zip(chain.states[site][1:], chain.first[site])
        }

        def step(before: dict[Name, Array], entry: tuple[Any, ...]) -> tuple[dict[Name, Array], dict[Name, Array]]:
            arrays, message, t = entry
            factors = [*self.constant, *(f._replace(array=a) for f, a in zip(self.varying, arrays))]
            joint = multiply([*factors, self.messages._replace(array=message)])
            known = {name: State(index, inside) for name, index in before.items()}
            given = {v: known[v] if v in known else states[v] for v in joint.variables if v not in self.eliminated}
            new = choose_states(joint, given, choose(t), plates)
            now = before | {name: jnp.broadcast_to(_numbers(state, inside), sizes) for name, state in new.items()}
            return {older: now[name] for site in self.sites for name, older in pairwise(chain.states[site])}, now

        entries = (tuple(f.array for f in self.varying), self.messages.array, jnp.arange(chain.length))
        _, drawn = lax.scan(step, start, entries, reverse=chain.reverse)
        return {name: State(index, (chain.name, *inside)) for name, index in drawn.items()}


def _numbers(state: State, plates: Sequence[str]) -> Array:
    """The numbers of a state with an axis for each of these plates."""
    return aligned(Factor(state.number, (), state.plates), (), plates)


class _Coupled(NamedTuple):
    sites: tuple[str, ...]
    factors: list[Factor]


def _coupled(chain: Chain, factors: Sequence[Factor]) -> list[_Coupled]:
    """Factors by the states that they couple."""
    site_of = {name: site for site, names in chain.states.items() for name in names}
    groups: list[tuple[set[str], list[Factor]]] = []
    for factor in factors:
        sites = {site_of[v] for v in factor.variables if v in site_of}
        touching = [group for group in groups if group[0] & sites]
        groups = [group for group in groups if not group[0] & sites]
        groups.append((sites.union(*(g[0] for g in touching)), [f for g in touching for f in g[1]] + [factor]))
    return [_Coupled(tuple(s for s in chain.states if s in sites), own) for sites, own in groups if sites]


def is_sequential(chain: Chain, factors: Sequence[Factor], variables: Mapping[Name, Variable]) -> bool:
    """Whether states that are coupled lie in the same plates, so that they can be summed out step by step.

    Variables outside of the loop must lie in no further plates, as they couple the states of all steps otherwise. Those of a step
    alone must lie in all of these plates, as they couple the chains of a plate otherwise.
    """

    def fits(own: frozenset[str], plates: frozenset[str]) -> bool:
        return plates <= own if chain.name in own else own <= plates

    carried = {name for names in chain.states.values() for name in names}
    for coupled in _coupled(chain, factors):
        plates, *others = {variables[chain.states[site][0]].plates for site in coupled.sites}
        beside = {v for f in coupled.factors for v in f.variables} - carried
        if others or not all(fits(variables[v].plates, plates) for v in beside):
            return False
    return True


def unrolled(
    chain: Chain, first: int, factors: Sequence[Factor], variables: Mapping[Name, Variable]
) -> tuple[list[Factor], dict[Name, Variable]]:
    """The factors of a chain with states of their own for each step, and these variables.

    The cost grows exponentially with the number of steps: a chain that leads others in a plate has no better order of elimination.
    """
    new = {}

    def renamed(name: Name, number: int) -> Name:
        if chain.name not in variables[name].plates:
            return name
        step = name._replace(step=first + number - name.age, age=0)
        new[step] = Variable(variables[name].size, variables[name].plates - {chain.name})
        return step

    behind = {name for names in chain.last.values() for name in names}

    def outside(name: Name) -> Name:
        return name._replace(step=first + chain.length - name.age, age=0, is_last=False) if name in behind else name

    result = []
    for factor in factors:
        if chain.name not in factor.plates:
            result.append(factor._replace(variables=tuple(outside(v) for v in factor.variables)))
            continue
        each = _time_first(factor, chain.name)
        for number in range(chain.length):
            entry = 0 if each.array.shape[0] == 1 else chain.length - 1 - number if chain.reverse else number
            result.append(Factor(each.array[entry], tuple(renamed(v, number) for v in factor.variables), each.plates))
    return result, new


def eliminate_chain(
    chain: Chain,
    factors: Sequence[Factor],
    variables: Mapping[Name, Variable],
    plates: Mapping[str, Plate],
    reduce: Reduce,
    behind: frozenset[Name],
) -> tuple[list[Factor], list[Step | ChainStep]]:
    """Sum the states of a loop out of its factors.

    Args:
        chain: the loop.
        factors: those of its body, with time among their plates.
        variables: all variables.
        plates: the plates.
        reduce: a sum, in log space, or a maximum.
        behind: variables, among `chain.last`, that factors behind the loop have.

    Returns:
        Factors without time, of the states before the first step, those behind the loop, and variables outside; and the steps.
    """
    time = frozenset((chain.name,))
    own = frozenset(name for names in chain.states.values() for name in names)
    outside = frozenset(v for f in factors for v in f.variables if chain.name not in variables[v].plates)
    left, inner = eliminate(factors, variables, plates, reduce, keep=time, stay=own | outside)
    steps: list[Step | ChainStep] = list(inner)
    free = [f for f in left if not own.intersection(f.variables)]
    left = [f for f in left if own.intersection(f.variables)]
    results = [_over_time(f, chain.name, plates[chain.name].size) for f in free]
    for coupled in _coupled(chain, left):
        result, step = _eliminate_coupled(chain, coupled, variables, plates, reduce, behind)
        results.append(result)
        steps.append(step)
    return results, steps


def _over_time(factor: Factor, time: str, length: int) -> Factor:
    """The product over all steps of a factor without states."""
    axis = len(factor.variables) + factor.plates.index(time)
    array = factor.array
    total = jnp.squeeze(array, axis) * length if array.shape[axis] == 1 else jnp.sum(array, axis)
    return Factor(total, factor.variables, tuple(p for p in factor.plates if p != time))


def _time_first(factor: Factor, time: str) -> Factor:
    """A factor with time as the first axis of its array, and no longer among its names."""
    axis = (*factor.variables, *factor.plates).index(time)
    others = tuple(v for v in factor.variables if v != time), tuple(p for p in factor.plates if p != time)
    return Factor(jnp.moveaxis(factor.array, axis, 0), *others)


def _absorbed(factors: Sequence[Factor]) -> list[Factor]:
    """Factors multiplied into those that have all their variables and plates."""
    kept: list[Factor] = []
    for factor in sorted(factors, key=lambda f: -f.array.size):
        names = {*factor.variables, *factor.plates}
        i = next((i for i, other in enumerate(kept) if names <= {*other.variables, *other.plates}), None)
        if i is None:
            kept.append(factor)
        else:
            kept[i] = multiply([kept[i], factor])
    return kept


class _Recursion:
    """The backward recursion of coupled states.

    Args:
        chain: the loop.
        coupled: the variables of its body that are coupled, and their factors.
        variables: all variables.
        plates: the plates.
        reduce: a sum, in log space, or a maximum.
        behind: last states that factors behind the loop have.
    """

    def __init__(
        self,
        chain: Chain,
        coupled: _Coupled,
        variables: Mapping[Name, Variable],
        plates: Mapping[str, Plate],
        reduce: Reduce,
        behind: frozenset[Name],
    ) -> None:
        self.chain, self.sites, self.plates, self.reduce = chain, coupled.sites, plates, reduce
        self.names = tuple(sorted(variables[chain.states[coupled.sites[0]][0]].plates - {chain.name}))
        self.sizes = {v: variable.size for v, variable in variables.items()}
        factors = [_time_first(f, chain.name) for f in coupled.factors]
        varying = [Factor(f.array, (chain.name, *f.variables), f.plates) for f in factors if f.array.shape[0] == chain.length]
        self.constant = _absorbed([f._replace(array=f.array[0]) for f in factors if f.array.shape[0] != chain.length])
        self.varying = [_time_first(f, chain.name) for f in _absorbed(varying)]
        self.current = tuple(chain.states[site][0] for site in coupled.sites)
        self.younger = {older: name for site in coupled.sites for name, older in pairwise(chain.states[site])}
        last = _last_states(chain, coupled.sites, self.sizes, behind, jnp.result_type(*(f.array for f in factors)))
        others = dict.fromkeys(v for f in (*factors, last) for v in f.variables if v not in self.younger and v not in self.current)
        self.axes = (*self.younger, *others)
        self.last = self.full(last, self.axes)

    def full(self, factor: Factor, variables: tuple[Name, ...]) -> Array:
        """The array of a factor with an axis of full size for each of these variables and for each plate."""
        shape = tuple(self.sizes[v] for v in variables) + tuple(self.plates[p].size for p in self.names)
        return jnp.broadcast_to(aligned(factor, variables, self.names), shape)

    def as_factor(self, message: Array) -> Factor:
        """The message of a step, over the states at hand and before."""
        return Factor(message, tuple(self.younger.get(v, v) for v in self.axes), self.names)

    def at(self, arrays: tuple[Array, ...]) -> list[Factor]:
        """The factors of a step."""
        return [*self.constant, *(f._replace(array=a) for f, a in zip(self.varying, arrays))]

    def sequential(self) -> tuple[Array, Array]:
        """The message before the first step, and those of all steps with time as the first axis."""

        def step(message: Array, arrays: tuple[Array, ...]) -> tuple[Array, Array]:
            rest, _ = sum_out([*self.at(arrays), self.as_factor(message)], self.current, self.sizes, self.reduce)
            return self.full(multiply(rest), self.axes), message

        arrays = tuple(f.array for f in self.varying)
        return lax.scan(step, self.last, arrays, length=self.chain.length, reverse=not self.chain.reverse)

    def parallel(self) -> tuple[Array, Array]:
        """The same by products of matrices, in logarithmic depth; for coupled states that look back one step."""
        older, others = tuple(self.younger), self.axes[len(self.younger) :]
        names = (*older, *self.current, *others)
        rows, columns = (prod(self.sizes[v] for v in group) for group in (older, self.current))

        def matrices(arrays: tuple[Array, ...]) -> Array:
            return self.full(multiply(self.at(arrays)), names)

        stacked = jax.vmap(matrices)(tuple(f.array for f in self.varying)) if self.varying else matrices(())[None]
        rest = stacked.shape[1 + 2 * len(older) :]
        stacked = jnp.broadcast_to(stacked, (self.chain.length, *stacked.shape[1:])).reshape((-1, rows, columns, *rest))
        stacked = jnp.flip(stacked, 0) if self.chain.reverse else stacked

        def product(later: Array, earlier: Array) -> Array:
            return self.reduce(earlier[:, :, :, None] + later[:, None], (2,))

        from_here = lax.associative_scan(product, stacked, reverse=True)
        last = self.last.reshape((columns, *rest))
        before = self.reduce(from_here + last, (2,)).reshape((-1, *self.last.shape))
        messages = jnp.concatenate([before[1:], self.last[None]])
        return before[0], jnp.flip(messages, 0) if self.chain.reverse else messages

    def is_better_in_parallel(self) -> bool:
        """Whether products of matrices are faster: not on CPUs, whose few cores do more work for nothing."""
        states = prod(self.sizes[v] for v in self.current)
        return jax.default_backend() != "cpu" and self.chain.history == 1 and states <= MAX_PARALLEL_STATES


def _eliminate_coupled(
    chain: Chain,
    coupled: _Coupled,
    variables: Mapping[Name, Variable],
    plates: Mapping[str, Plate],
    reduce: Reduce,
    behind: frozenset[Name],
) -> tuple[Factor, ChainStep]:
    recursion = _Recursion(chain, coupled, variables, plates, reduce, behind)
    first, messages = recursion.parallel() if recursion.is_better_in_parallel() else recursion.sequential()
    renamed = {name: state for site in coupled.sites for name, state in zip(chain.states[site][1:], chain.first[site])}
    result = Factor(first, tuple(renamed.get(v, v) for v in recursion.axes), recursion.names)
    constant, varying = tuple(recursion.constant), tuple(recursion.varying)
    return result, ChainStep(chain, coupled.sites, constant, varying, recursion.as_factor(messages), recursion.current)


def _last_states(chain: Chain, sites: Sequence[str], sizes: Mapping[Name, int], behind: frozenset[Name], dtype: Any) -> Factor:
    """The message after the last step: where sites behind the loop depend on last states, that these are the same."""
    pairs = [(older, last) for site in sites for older, last in zip(chain.states[site][1:], chain.last[site]) if last in behind]
    one = Factor(jnp.zeros((), dtype), (), ())
    equal = [Factor(jnp.where(jnp.eye(sizes[a], dtype=bool), 0.0, -jnp.inf).astype(dtype), (a, b), ()) for a, b in pairs]
    return multiply([one, *equal])
