"""Discrete variables summed out of a product of factors with plates: tensor variable elimination in log space.

A factor is a log density with an axis for each of its variables and one for each of its plates. A variable has an independent copy
in each element of its plates. The variables of the innermost plates are summed out first; what is left of them is multiplied over
those plates, and so on outwards (Obermeyer et al. 2019, "Tensor variable elimination for plated factor graphs", algorithm 1).

Each step is kept. Gone through backwards, the steps give exact draws of all variables, or their most probable values.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any, NamedTuple

import jax.numpy as jnp
from opt_einsum.paths import get_path_fn

from ppl._typing import Array
from ppl.distributions.special.elementary import logsumexp

__all__ = [
    "Choose",
    "Factor",
    "Intractable",
    "Name",
    "Plate",
    "Reduce",
    "State",
    "Step",
    "Variable",
    "aligned",
    "choose_states",
    "eliminate",
    "maximum",
    "multiply",
    "sum_out",
]

MAX_ELEMENTS = 2**28

Name = Any  # a hashable name of a variable
Reduce = Callable[[Array, tuple[int, ...]], Array]
Choose = Callable[[Array], Array]  # of log weights `(k, n_1, ..., n_p)`: numbers of states `(n_1, ..., n_p)`


class Factor(NamedTuple):
    """A log density `(k_1, ..., k_v, n_1, ..., n_p)` of variables in plates; an axis along which it is constant has size 1."""

    array: Array
    variables: tuple[Name, ...]
    plates: tuple[str, ...]


class Plate(NamedTuple):
    """How many elements a plate has here, and what their sum is multiplied by, on account of those left out."""

    size: int
    scale: Any = None


class Variable(NamedTuple):
    """A discrete variable: its number of states and the plates it lies in."""

    size: int
    plates: frozenset[str]


class State(NamedTuple):
    """The number of a variable's state in each element of its plates."""

    number: Array
    plates: tuple[str, ...]


@dataclass(frozen=True)
class Step:
    """One step of an elimination: the variables that were summed out of a product."""

    joint: Factor
    eliminated: tuple[Name, ...]

    def choose(
        self, states: Mapping[Name, State], choose: Callable[[Any], Choose], plates: Mapping[str, Plate]
    ) -> dict[Name, State]:
        """States of the eliminated variables, given those of the others."""
        given = {v: states[v] for v in self.joint.variables if v not in self.eliminated}
        return choose_states(self.joint, given, choose(0), plates)


# Arithmetic of factors


def maximum(x: Array, axes: tuple[int, ...]) -> Array:
    """The largest entry."""
    return jnp.max(x, axes)


def aligned(factor: Factor, variables: Sequence[Name], plates: Sequence[str]) -> Array:
    """The array of a factor with axes for these variables and plates, of size 1 where it has none."""
    names = (*factor.variables, *factor.plates)
    wanted = (*variables, *plates)
    order = [names.index(name) for name in wanted if name in names]
    array = factor.array if order == sorted(order) else jnp.transpose(factor.array, order)
    sizes = dict(zip((names[i] for i in order), array.shape))
    shape = tuple(sizes.get(name, 1) for name in wanted)
    return array if array.shape == shape else jnp.reshape(array, shape)


def multiply(factors: Sequence[Factor]) -> Factor:
    """The product of factors, small ones first.

    Raises:
        ValueError: if it would need too much memory.
    """
    if len(factors) == 1:
        return factors[0]
    factors = sorted(factors, key=lambda f: f.array.size)
    variables = tuple(dict.fromkeys(v for f in reversed(factors) for v in f.variables))
    plates = tuple(dict.fromkeys(p for f in reversed(factors) for p in f.plates))
    arrays = [aligned(f, variables, plates) for f in factors]
    shape = jnp.broadcast_shapes(*(a.shape for a in arrays))
    if prod(shape) > MAX_ELEMENTS:
        states = " x ".join(f"{str(v)!r} ({n})" for v, n in zip(variables, shape))
        where = f" in plates {', '.join(f'{p!r} ({n})' for p, n in zip(plates, shape[len(variables) :]))}" if plates else ""
        raise ValueError(
            f"enumeration: the sites {states}{where} depend on each other so that all combinations of their states are needed, "
            f"{prod(shape):,} numbers, more than {MAX_ELEMENTS:,}: give them fewer states, put independent ones into a plate, "
            "use markov or scan for a chain, or sample some of them with DiscreteHMCGibbs"
        )
    array = arrays[0]
    for other in arrays[1:]:
        array = array + other
    return Factor(array, variables, plates)


def choose_states(joint: Factor, given: Mapping[Name, State], choose: Choose, plates: Mapping[str, Plate]) -> dict[Name, State]:
    """States of the variables of a factor, given those of some of them."""
    array, free = joint.array, list(joint.variables)
    for name, state in given.items():
        axis = free.index(name)
        index = aligned(Factor(state.number, (), state.plates), (), joint.plates)
        index = jnp.reshape(index, (1,) * len(free) + index.shape)
        array = jnp.squeeze(jnp.take_along_axis(array, index, axis), axis)
        free.pop(axis)
    sizes, elements = array.shape[: len(free)], tuple(plates[p].size for p in joint.plates)
    flat = choose(jnp.broadcast_to(array, (*sizes, *elements)).reshape((prod(sizes), *elements)))
    return {name: State(index, joint.plates) for name, index in zip(free, jnp.unravel_index(flat, sizes))}


# Elimination


def _groups(factors: Sequence[Factor], local: Sequence[Name], sizes: Mapping[Name, int]) -> list[tuple[Name, ...]]:
    """The order in which to sum out variables, those of one step together: the contraction order that opt_einsum finds."""
    if len(local) < 2:
        return [(v,) for v in local]
    number = {v: i for i, v in enumerate(dict.fromkeys(v for f in factors for v in f.variables))}
    terms = [{number[v] for v in f.variables} for f in factors]
    by_number = {i: v for v, i in number.items()}
    kept = frozenset(i for v, i in number.items() if v not in set(local))
    path = get_path_fn("auto")([frozenset(term) for term in terms], kept, {i: sizes[v] for v, i in number.items()})
    left, seen, groups = set(local), list(terms), []
    for positions in path:
        merged: set[int] = set()
        for position in sorted(positions, reverse=True):
            merged |= seen.pop(position)
        others = set().union(*seen) if seen else set()
        done = [i for i in sorted(merged) if by_number[i] in left and i not in others]
        left -= {by_number[i] for i in done}
        seen.append(merged - set(done))
        if done:
            groups.append(tuple(by_number[i] for i in done))
    return groups


def sum_out(
    factors: Iterable[Factor], local: Sequence[Name], sizes: Mapping[Name, int], reduce: Reduce
) -> tuple[list[Factor], list[Step]]:
    """Sum variables out of a product of factors that lie in the same plates; what is left of it, and the steps."""
    factors, steps = list(factors), []
    for group in _groups([f for f in factors if set(f.variables) & set(local)], local, sizes):
        joint = multiply([f for f in factors if set(f.variables) & set(group)])
        factors = [f for f in factors if not set(f.variables) & set(group)]
        axes = tuple(joint.variables.index(v) for v in group)
        kept = tuple(v for v in joint.variables if v not in group)
        factors.append(Factor(reduce(joint.array, axes), kept, joint.plates))
        steps.append(Step(joint, group))
    return factors, steps


def _leave(factor: Factor, left: frozenset[str], plates: Mapping[str, Plate]) -> Factor:
    """The product over plates."""
    array, kept, scale = factor.array, [], None
    axes = []
    for axis, name in enumerate(factor.plates, start=len(factor.variables)):
        if name not in left:
            kept.append(name)
            continue
        axes.append(axis)
        if array.shape[axis] == 1 != plates[name].size:
            array = array * plates[name].size
        if plates[name].scale is not None:
            scale = plates[name].scale if scale is None else scale * plates[name].scale
    array = jnp.sum(array, tuple(axes)) if axes else array
    return Factor(array if scale is None else array * scale, factor.variables, tuple(kept))


def eliminate(
    factors: Iterable[Factor],
    variables: Mapping[Name, Variable],
    plates: Mapping[str, Plate],
    reduce: Reduce = logsumexp,
    keep: frozenset[str] = frozenset(),
    stay: frozenset[Name] = frozenset(),
) -> tuple[list[Factor], list[Step]]:
    """Sum variables out of a product of factors, plate by plate.

    Args:
        factors: the factors.
        variables: their variables.
        plates: the plates.
        reduce: a sum, in log space, or a maximum.
        keep: plates over which no product is taken.
        stay: variables that are not summed out.

    Returns:
        The factors that are left, in the kept plates and those of the variables that stay, and the steps.

    Raises:
        Intractable: if variables of plates that cross depend on each other.
        ValueError: if a product would need too much memory.
    """
    sizes = {v: variable.size for v, variable in variables.items()}
    pending, done, steps = list(factors), [], []
    while pending:
        leaf = max((frozenset(f.plates) for f in pending), key=lambda names: (len(names), sorted(names)))
        here = [f for f in pending if frozenset(f.plates) == leaf]
        pending = [f for f in pending if frozenset(f.plates) != leaf]
        present = dict.fromkeys(v for f in here for v in f.variables)
        local = [v for v in present if v not in stay and variables[v].plates == leaf]
        here, new_steps = sum_out(here, local, sizes, reduce)
        steps += new_steps
        for factor in here:
            outer = (keep & leaf).union(*(variables[v].plates for v in factor.variables))
            if outer != leaf:
                pending.append(_leave(factor, leaf - outer, plates))
            elif not stay.issuperset(factor.variables):
                raise _intractable(factor, variables)
            else:
                done.append(factor)
    return done, steps


class Intractable(ValueError):
    """Variables of plates that cross depend on each other, so that their sum does not factorise."""


def _intractable(factor: Factor, variables: Mapping[Name, Variable]) -> Intractable:
    parts = "; ".join(f"{v} in {sorted(variables[v].plates)}" for v in factor.variables)
    return Intractable(
        f"enumeration is intractable! In plates {sorted(factor.plates)} something depends on variables of plates that cross: "
        f"{parts}. Their sum does not factorise: sample one of them with DiscreteHMCGibbs, or move one of them out of its plate"
    )
