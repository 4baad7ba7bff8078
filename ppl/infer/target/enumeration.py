"""The density of a model whose discrete sites are enumerated: from a trace to factors, and from these to a number or to states."""

import functools
import operator
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax, random

from ppl._typing import Array, Key, Message, Trace
from ppl.distributions.special.elementary import logsumexp
from ppl.distributions.util import TracedSupport, is_concrete, promote_shapes
from ppl.handlers.enumeration import Loop, enum, enum_apart, missing_plate, unmasked, written_name
from ppl.handlers.enumeration import Variable as Name
from ppl.handlers.values import has_states
from ppl.infer.target.contraction import (
    Choose,
    Factor,
    Intractable,
    Plate,
    Reduce,
    State,
    Step,
    Variable,
    aligned,
    eliminate,
    maximum,
)
from ppl.infer.target.dynamics import Chain, ChainStep, eliminate_chain, is_sequential, unrolled
from ppl.stack import describe_plates
from ppl.trace import check_log_prob, check_value, plates_of, sample_sites, unscaled_log_prob

__all__ = [
    "FactorGraph",
    "discrete_values",
    "enumerated_log_density",
    "factor_graph",
    "site_with_dislocated_states",
    "state_probabilities",
]


@jax.tree_util.register_pytree_node_class
@dataclass(frozen=True)
class FactorGraph:
    """The factors of a trace: a pytree of their arrays.

    Attributes:
        factors: of the sites.
        variables: the discrete variables.
        plates: the plates, and the time dimension of each loop.
        loops: the loops, by the name of their time dimension.
    """

    factors: list[Factor]
    variables: dict[Name, Variable]
    plates: dict[str, Plate]
    loops: dict[str, Loop]

    def tree_flatten(self) -> tuple[list[Array], Any]:
        """The arrays, and everything else in a form that can be compared."""
        names = tuple((f.variables, f.plates) for f in self.factors)
        return [f.array for f in self.factors], (names, *(tuple(d.items()) for d in (self.variables, self.plates, self.loops)))

    @classmethod
    def tree_unflatten(cls, static: Any, arrays: Sequence[Array]) -> "FactorGraph":
        """The inverse of `tree_flatten`."""
        names, *others = static
        return cls([Factor(array, *own) for array, own in zip(arrays, names)], *map(dict, others))

    def plates_of(self, name: Name) -> tuple[str, ...]:
        """The plates of a variable, in the order of the axes of what is found for it."""
        return tuple(sorted(self.variables[name].plates))


# From a trace to factors


class UnnamedDimension(ValueError):
    """A dimension of a log probability that belongs neither to a plate nor to an enumerated site."""

    def __init__(self, site: str, message: str) -> None:
        super().__init__(message)
        self.site = site


def factor_graph(trace: Trace) -> FactorGraph:
    """The factors of the sample sites of a trace under `enum`.

    Raises:
        ValueError: if a batch dimension belongs neither to a plate nor to an enumerated site; if a site uses an enumerated value
            outside its plates or after its steps.
    """
    sites = sample_sites(trace)
    plates: dict[str, Plate] = {}
    loops: dict[str, Loop] = {}
    variables: dict[Name, Variable] = {}
    for site in sites.values():
        loop = site["infer"].get("_loop")
        if loop is not None and loop.name not in loops:
            loops[loop.name] = loop
            plates[loop.name] = Plate(loop.length - loop.num_first)
        for frame in plates_of(site):
            total = trace[frame.name]["args"][0] if frame.name in trace else frame.size
            plates[frame.name] = Plate(frame.size, None if total == frame.size else total / frame.size)
        variables.update(_variables_of(site, loop))
    factors = [_factor(site, variables, plates) for site in sites.values() if not _is_over(site)]
    return FactorGraph(factors, variables, plates, loops)


def _is_over(site: Message) -> bool:
    """Whether the first steps of a loop, which are sites of their own, are all of it."""
    loop = site["infer"].get("_loop")
    return loop is not None and loop.num_first == loop.length


def _variables_of(site: Message, loop: Loop | None) -> Iterator[tuple[Name, Variable]]:
    """The variables of an enumerated site: its own, and of a loop those of earlier steps and behind it."""
    slot = site["infer"].get("_slot")
    if slot is None:
        return
    plates = frozenset(frame.name for frame in site["cond_indep_stack"])
    yield slot.variable, Variable(slot.size, plates if loop is None else plates | {loop.name})
    for age in range(1, 0 if loop is None else loop.history + 1):
        yield slot.variable._replace(age=age), Variable(slot.size, plates | {loop.name})  # type: ignore[union-attr]
        yield slot.variable._replace(age=age, is_last=True), Variable(slot.size, plates)


def _factor(site: Message, variables: Mapping[Name, Variable], plates: Mapping[str, Plate]) -> Factor:
    """The log probability of a site with named axes."""
    infer, frames, loop = site["infer"], site["cond_indep_stack"], site["infer"].get("_loop")
    log_prob = _over_plain_loops(site, _log_prob(site, plates))
    plate_at = {frame.dim: frame.name for frame in frames}
    slot_at = {slot.dim: slot for slot in infer.get("_slots", ())}
    time = None if loop is None else -1 - loop.rank
    own_variables, own_plates = [], []
    for axis, size in enumerate(log_prob.shape):
        dim = axis - log_prob.ndim
        if dim == time:
            continue
        if dim in plate_at:
            own_plates.append((axis, plate_at[dim]))
        elif size > 1 and dim in slot_at:
            own_variables.append((axis, slot_at[dim].variable))
        elif size > 1:
            raise UnnamedDimension(written_name(site), _unnamed(site, dim, log_prob.shape))
    for _, name in own_variables:
        if name not in variables:
            raise ValueError(
                f"site {site['name']!r} depends on the enumerated site {name.site!r}, which is not in the trace; do not hide it "
                "from what sums it out"
            )
        _check_inside(site, name, variables[name].plates - ({loop.name} if loop else set()))
    if loop is not None:
        own_plates.insert(0, (log_prob.ndim - 1 - loop.rank, loop.name))
    order = [axis for axis, _ in (*own_variables, *own_plates)]
    array = lax.squeeze(log_prob, [axis for axis in range(log_prob.ndim) if axis not in order])
    ranks = [sorted(order).index(axis) for axis in order]
    array = array if ranks == sorted(ranks) else jnp.transpose(array, ranks)
    names = tuple(name for _, name in own_variables), tuple(name for _, name in own_plates)
    factor = Factor(array, *names)
    return factor if loop is None else _without_first(factor, loop)


def _over_plain_loops(site: Message, log_prob: Array) -> Array:
    """The log probability of a site summed over the time dimensions of loops in which nothing is enumerated."""
    num_times = 0 if "_loop" in site["infer"] else site.get("time_dims", 0)
    first = log_prob.ndim - len(site["fn"].batch_shape)
    return jnp.sum(log_prob, tuple(range(first, first + num_times))) if num_times else log_prob


def _without_first(factor: Factor, loop: Loop) -> Factor:
    """A factor of a loop without the first steps, whose sites are others."""
    axis = len(factor.variables)
    if factor.array.shape[axis] == 1 or not loop.num_first:
        return factor
    start, end = (0, loop.length - loop.num_first) if loop.reverse else (loop.num_first, loop.length)
    return factor._replace(array=lax.slice_in_dim(factor.array, start, end, axis=axis))


def _log_prob(site: Message, plates: Mapping[str, Plate]) -> Array:
    """The log probability of a site, masked and scaled, but for the scale of its plates. An enumerated site has no mask."""
    infer, fn, scale = site["infer"], site["fn"], site["scale"]
    if "_slot" in infer:
        fn = unmasked(fn)
    in_loop = "_loop" in infer
    if not in_loop:
        check_value(site)
    with _states_unwarned(site):
        log_prob = unscaled_log_prob(site, fn)
    if not in_loop:
        check_log_prob(site, np.shape(log_prob))
    if scale is None:
        return log_prob
    for frame in site["cond_indep_stack"]:
        if plates[frame.name].scale is not None:
            scale = scale / plates[frame.name].scale
    if isinstance(scale, int | float):
        return log_prob if abs(scale - 1) < 1e-12 else scale * log_prob
    scale, log_prob = promote_shapes(scale.astype(log_prob.dtype), log_prob)
    return scale * log_prob


@contextmanager
def _states_unwarned(site: Message) -> Iterator[None]:
    """No warnings of known data outside of a support that depends on states: it rules some of them out."""
    if is_concrete(site["value"]) and has_states(site, site["infer"].get("_first_dim")):
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Out-of-support")
            yield
    else:
        yield


def _unnamed(site: Message, dim: int, shape: tuple[int, ...]) -> str:
    """What is wrong with a dimension that belongs to nothing."""
    frames, name = site["cond_indep_stack"], written_name(site)
    where = f" in {describe_plates(frames)}" if frames else ""
    passed = [slot for slot in site["infer"].get("_passed", ()) if slot.dim == dim]
    if passed or (dim <= site["infer"].get("_first_dim", -np.inf) and site.get("scopes")):
        if passed and not passed[-1].scopes:
            return (
                f"site {name!r}{where}: it depends on the states of {passed[-1].variable.site!r} in a `scan` that is over; "
                "behind it they can be used through the last carry only: hand on what is needed there"
            )
        value = f"the enumerated value of {passed[-1].variable.site!r}" if passed else f"an enumerated value of {shape[dim]} states"
        return (
            f"site {name!r}{where}: it depends on {value}, which belongs to a step of `markov` further back than "
            "`history` allows, or was left; raise `history`, pass `keep=True` to contexts that follow each other, or use values of "
            "recent steps only"
        )
    found = f"its batch shape is {site['fn'].batch_shape}, its log probability has shape {shape}"
    return missing_plate(site, dim, found)


def _check_inside(site: Message, name: Name, plates: frozenset[str]) -> None:
    """A site may only depend on enumerated sites whose plates it lies in."""
    missing = plates - {frame.name for frame in site["cond_indep_stack"]}
    if missing:
        own = f" in {describe_plates(site['cond_indep_stack'])}" if site["cond_indep_stack"] else ""
        raise ValueError(
            f"site {site['name']!r}{own} uses the enumerated site {name.site!r} inside plate {sorted(missing)[0]!r}, but lies "
            "outside of it, where there is one value for each element of the plate; move it into the plate"
        )


def site_with_dislocated_states(trace_inside: Callable[[enum], Trace], nesting: int) -> str | None:
    """The name of a site where a model seems to take states for entries of an event, or for states of another site.

    An enumerated value lies along a dimension of the batch. Written like a number beside a vector, it meets the event instead; as
    an index of a table whose rows have a batch, it gets into the next dimension. Where sizes agree that is no error, but it becomes
    one with all states a dimension further left, and a free one beside each.

    Args:
        trace_inside: the trace of a model inside a handler that enumerates.
        nesting: how many dimensions plates use.

    Raises:
        TracedSupport: if a number of states is not known.
    """
    try:
        factor_graph(trace_inside(enum_apart(first_available_dim=-2 - nesting)))
    except UnnamedDimension as apart:
        try:
            factor_graph(trace_inside(enum(first_available_dim=-1 - nesting)))
        except Exception:
            return None
        return apart.site
    except TracedSupport:
        raise
    except Exception:
        return None
    return None


# From factors to numbers


def _solve(graph: FactorGraph, reduce: Reduce) -> tuple[Array, list[Step | ChainStep]]:
    """The logarithm of the sum, or the maximum, over all states; and the steps.

    A loop is unrolled where its states cannot be summed out step by step, or lie across plates of states outside.
    """
    factors, variables = list(graph.factors), dict(graph.variables)
    steps: list[Step | ChainStep] = []
    plain = []
    for loop in reversed(graph.loops.values()):
        own = [f for f in factors if loop.name in f.plates]
        others = [f for f in factors if loop.name not in f.plates]
        behind = frozenset(v for f in others for v in f.variables if v.is_last)
        chain = _chain(loop, own, behind)
        if not chain.states:
            plain.append((chain, loop))
        elif is_sequential(chain, own, variables):
            results, new_steps = eliminate_chain(chain, own, variables, graph.plates, reduce, behind)
            factors = others + results
            steps += new_steps
        else:
            factors, new = unrolled(chain, loop.num_first, factors, variables)
            variables |= new
    try:
        left, last_steps = eliminate(factors, variables, graph.plates, reduce)
    except Intractable:
        if not plain:
            raise
        for chain, loop in plain:
            factors, new = unrolled(chain, loop.num_first, factors, variables)
            variables |= new
        left, last_steps = eliminate(factors, variables, graph.plates, reduce)
    total: Any = functools.reduce(operator.add, (f.array for f in left)) if left else 0.0
    return total, [*steps, *last_steps]


def _chain(loop: Loop, factors: list[Factor], behind: frozenset[Name]) -> Chain:
    """A loop, with the states that are handed from step to step; if there are none, time is a plate like others."""
    used = {v for f in factors for v in f.variables} | behind
    carried = [site for site, _ in loop.sizes if any(v.site == site and v.age and v.step is None for v in used)]
    ages = range(loop.history + 1)
    return Chain(
        name=loop.name,
        length=loop.length - loop.num_first,
        history=loop.history,
        reverse=loop.reverse,
        states={site: tuple(Name(site, age=age) for age in ages) for site in carried},
        first={site: tuple(Name(site, step=loop.num_first - age) for age in ages[1:]) for site in carried},
        last={site: tuple(Name(site, age=age, is_last=True) for age in ages[1:]) for site in carried},
    )


@partial(jax.jit, inline=True)
def _log_sum(graph: FactorGraph) -> Array:
    return jnp.asarray(_solve(graph, logsumexp)[0])


@partial(jax.jit, inline=True)
def _states(graph: FactorGraph, key: Key | None) -> list[Array]:
    """The states of all variables; along the axes of `plates_of`."""
    _, steps = _solve(graph, maximum if key is None else logsumexp)
    states: dict[Name, State] = {}
    for i, step in enumerate(reversed(steps)):
        key_of_step = None if key is None else random.fold_in(key, i)
        states |= step.choose(states, _chooser(key_of_step), graph.plates)
    for loop in graph.loops.values():
        states |= _stacked(graph, loop, states)
    found = [states.get(v, State(jnp.zeros((), int), ())) for v in graph.variables]
    return [aligned(Factor(s.number, (), s.plates), (), graph.plates_of(v)) for v, s in zip(graph.variables, found)]


def _stacked(graph: FactorGraph, loop: Loop, states: Mapping[Name, State]) -> dict[Name, State]:
    """The states of a loop that was unrolled, along time."""
    found = {}
    for site, _ in loop.sizes:
        steps = [Name(site, step=i) for i in range(loop.num_first, loop.length)]
        if steps and steps[0] in states and steps[0] not in graph.variables:
            inside = tuple(p for p in graph.plates_of(Name(site)) if p != loop.name)
            each = [aligned(Factor(states[v].number, (), states[v].plates), (), inside) for v in steps]
            found[Name(site)] = State(jnp.stack(each[::-1] if loop.reverse else each), (loop.name, *inside))
    return found


@partial(jax.jit, inline=True)
def _probabilities(graph: FactorGraph) -> list[Array]:
    """The posterior probabilities of all states, up to a factor: states first, then the axes of `plates_of`; of states by step."""

    def total(weights: list[Array]) -> Array:
        extra = [Factor(w, (v,), graph.plates_of(v)) for v, w in zip(graph.variables, weights) if not v.age]
        return _solve(replace(graph, factors=[*graph.factors, *extra]), logsumexp)[0]

    sizes = [(d.size, *(graph.plates[p].size for p in graph.plates_of(v))) for v, d in graph.variables.items()]
    return jax.grad(total)([jnp.zeros(size) for size in sizes])


def enumerated_log_density(trace: Trace) -> Array:
    """The log density of a trace under `enum`, its enumerated sites summed out: a scalar."""
    return _log_sum(factor_graph(trace))


def _found(graph: FactorGraph, arrays: Sequence[Array]) -> dict[Name, State]:
    return {name: State(array, graph.plates_of(name)) for name, array in zip(graph.variables, arrays)}


def discrete_values(trace: Trace, key: Key | None) -> dict[str, Array]:
    """Values of the enumerated sites, given everything else: a draw from their joint posterior, or without a key its maximum.

    Values have a leading time axis for sites of a loop, an axis for each dimension up to that of the outermost plate, and those of
    the event. They are to be given to the sites by `GiveStates`, which knows their shapes.
    """
    graph = factor_graph(trace)
    states = _found(graph, _states(graph, key))
    return {
        name: _values_of(site, states)
        for name, site in sample_sites(trace).items()
        if "_slot" in site["infer"] and site["infer"]["_slot"].variable.step is None
    }


def state_probabilities(trace: Trace) -> dict[str, Array]:
    """The posterior probability of each state of the enumerated sites: in loops time, then the batch shape, then the states."""
    graph = factor_graph(trace)
    states = _found(graph, _probabilities(graph))
    found = {}
    for name, site in sample_sites(trace).items():
        slot = site["infer"].get("_slot")
        if slot is not None and slot.variable.step is None:
            each = _in_shape(site, states, slot.size)
            found[name] = each / jnp.sum(each, -1, keepdims=True)
    return found


def _values_of(site: Message, states: Mapping[Name, State]) -> Array:
    slot, event_shape = site["infer"]["_slot"], site["fn"].event_shape
    support = site["value"] if site["infer"].get("_loop") is None else site["value"][0]
    return jnp.reshape(support, (slot.size, *event_shape))[_in_shape(site, states)]


def _in_shape(site: Message, states: Mapping[Name, State], size: int | None = None) -> Array:
    """What was found for the variables of a site, in its batch shape with a leading time axis in loops; with `size` states last."""
    slot, loop = site["infer"]["_slot"], site["infer"].get("_loop")
    names = {frame.dim: frame.name for frame in site["cond_indep_stack"]}
    sizes = {frame.name: frame.size for frame in site["cond_indep_stack"]}
    dims = [names.get(dim, f"dim {dim}") for dim in range(min(names, default=0), 0)]

    def part(name: Name, leading: tuple[tuple[str, int], ...]) -> Array:
        axes = [axis for axis, _ in leading] + dims
        own: tuple[Any, ...] = () if size is None else ("states",)
        array = aligned(Factor(states[name].number, own, states[name].plates), own, axes)
        shape = (*(length for _, length in leading), *(sizes.get(dim, 1) for dim in dims))
        return jnp.broadcast_to(array, shape) if size is None else jnp.moveaxis(jnp.broadcast_to(array, (size, *shape)), 0, -1)

    if loop is None:
        return part(slot.variable, ())
    rest = loop.length - loop.num_first
    parts = [part(slot.variable._replace(step=i), ())[None] for i in range(loop.num_first)]
    if rest:
        parts.append(part(slot.variable, ((loop.name, rest),)))
    return jnp.concatenate(parts[::-1] if loop.reverse else parts)


def _chooser(key: Key | None) -> Callable[[Any], Choose]:
    """The choice of a state by its log weight, for each step of time: the largest, or a draw."""
    if key is None:
        return lambda t: lambda weights: jnp.argmax(weights, 0)
    return lambda t: lambda weights: random.categorical(random.fold_in(key, t), weights, axis=0)
