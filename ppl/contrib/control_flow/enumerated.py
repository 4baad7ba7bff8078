"""A loop whose body enumerates discrete sites.

The body runs once for each of the first `history` steps, whose past is what the loop starts with, and once for all others. There
the states of earlier steps are enumerated too, each age of a site along a dimension of its own. So a carry that holds a state is
the same in all steps, and what depends on nothing else, such as a matrix of transitions, is computed once, outside of the loop.
"""

from collections.abc import Callable, Sequence
from itertools import count
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.extend.core import Literal

from ppl._typing import Array, Message, PyTree, Trace
from ppl.contrib.control_flow.body import run_body, with_sample_shape
from ppl.handlers.enumeration import Loop, Slot, Variable, copied, enum, enum_in_loop
from ppl.ops.pytree import PytreeTrace
from ppl.stack import Messenger, Step
from ppl.util import describe

__all__ = ["EnumeratedLoop", "run_enumerated"]

Inside = list[Callable[[Step | None], Messenger]]


class EnumeratedLoop(NamedTuple):
    """What a loop that enumerates sites comes to.

    Attributes:
        carry: the last carry.
        first: the sites of the first steps.
        sites: the sites of all steps, stacked; what is the same in all steps has a leading axis of size 1.
        ys: the stacked outputs.
        loop: the loop; None if no site was enumerated.
    """

    carry: Any
    first: list[Trace]
    sites: PytreeTrace
    ys: PyTree
    loop: Loop | None


class _State(NamedTuple):
    """A leaf of the carry that is the value of an enumerated site, so many steps ago."""

    site: str
    age: int


class _Body:
    """The body of the loop, under the handlers that act inside.

    Args:
        f: the function of the loop.
        inside: the handlers.
        outer: what enumerates the sites outside.
        steps: the number of steps.
        history: how many earlier steps a site may depend on.
    """

    def __init__(self, f: Callable[..., Any], inside: Inside, outer: enum, steps: int, history: int) -> None:
        self.f = f
        self.inside = inside
        self.outer = outer
        self.name, self.first_dim = outer.new_loop()
        self.steps = steps
        self.history = history
        self.slots: tuple[Slot, ...] = ()
        self.values: dict[str, Array] = {}  # of the run at hand
        self.supports: dict[str, Array] = {}  # of the first steps, which belong to no other trace

    def __call__(
        self, carry: Any, x: Any, index: Any, number: int | None, copies: int | None = None
    ) -> tuple[list[Any], Any, Any, Trace]:
        """The leaves of the next carry, their structure, the output and the sites.

        Args:
            carry: the carry, with the states of earlier steps in their places.
            x: the entry.
            index: its number.
            number: that of the step, for one of the first; None for all others.
            copies: of all states, as of `enum_in_loop`: a run that only tells shapes.
        """
        handler = enum_in_loop(self.outer, self.first_dim, self.history, number, self.slots, copies)
        out, sites = run_body(
            self.f, (carry, x), [*self.inside, lambda step: handler], Step(index, self.steps, self.outer.first_available_dim)
        )
        if not isinstance(out, tuple) or len(out) != 2:
            raise TypeError(f"scan: the body must return a pair (carry, y), found {describe(out)}")
        if copies is None:
            self.slots = tuple(handler.slots)
            self.values = handler.values
            if number is not None:
                self.supports = handler.values
        leaves, structure = jax.tree.flatten(out[0])
        return leaves, structure, out[1], sites

    def state_values(self) -> dict[_State, Array]:
        """The support of each site along the dimension of each age."""
        event_dims, ages = self._event_dims_of_sites(), range(1, self.history + 1)
        return {
            _State(site, age): self.older(value, event_dims[site], age) for site, value in self.supports.items() for age in ages
        }

    def _event_dims_of_sites(self) -> dict[str, int]:
        return {slot.variable.site: np.ndim(self.values[slot.variable.site]) + slot.dim for slot in self.slots}

    def event_dims(
        self,
        leaves: Sequence[Any],
        states: Sequence[_State | None],
        run: Callable[[list[Any], int], Sequence[Any]],
        carry: Sequence[Any],
        event_dims: Sequence[int | None],
    ) -> list[int | None]:
        """How many axes the leaves of a new carry have on the right of their batch, where states lie; None if they have no states.

        An axis does not tell whether it holds states or entries of an event. So where that is not clear the step is run again, for
        its shapes alone, with copies of the states along one more dimension: it shows up next to them.

        Args:
            leaves: of the new carry.
            states: which of them are values of enumerated sites, and how long ago.
            run: the step, from leaves of a carry and a number of copies to those of the next one.
            carry: the leaves of the carry that went in.
            event_dims: of these.

        Raises:
            ValueError: if states lie in the dimensions of plates.
        """
        of_sites = self._event_dims_of_sites()
        found = [None if state is None else of_sites[state.site] for state in states]
        unclear = [i for i, leaf in enumerate(leaves) if states[i] is None and self.slots and np.ndim(leaf) >= -self.first_dim]
        if not unclear:
            return found
        sizes = {size for leaf in leaves for size in np.shape(leaf)}
        copies = next(number for number in count(11) if number not in sizes)

        def shown() -> list[Any]:
            return list(run([self._copied(leaf, dim, copies) for leaf, dim in zip(carry, event_dims)], copies))

        shapes = jax.eval_shape(shown)
        for i in unclear:
            if copies not in shapes[i].shape:
                continue
            found[i] = len(shapes[i].shape) - shapes[i].shape.index(copies) + self.first_dim
            if found[i] < 0:  # type: ignore[operator]
                raise ValueError(
                    f"scan: a leaf of the carry of shape {np.shape(leaves[i])} has the states of an enumerated site in a dimension "
                    f"that belongs to plates, right of {self.first_dim}; let it broadcast as sites in a plate do"
                )
        return found

    def _copied(self, leaf: Any, event_dim: int | None, copies: int) -> Any:
        if event_dim is None:
            return leaf
        rank = event_dim - self.first_dim - 1
        return copied(jnp.reshape(leaf, (1,) * (rank - np.ndim(leaf)) + np.shape(leaf)), self.first_dim, event_dim, copies)

    @property
    def rank(self) -> int:
        """The number of dimensions of a log probability within a step."""
        return max(*(-slot.dim for slot in self.outer.slots), *(self.history - slot.dim for slot in self.slots), 0, 0)

    def padded(self, sites: Trace) -> Trace:
        """The sites with batch shapes of that many dimensions, so that time has the same place in all of them."""
        return {name: self._padded(with_sample_shape(site)) for name, site in sites.items()}

    def _padded(self, site: Message) -> Message:
        if site["type"] != "sample":
            return site
        batch_shape = site["fn"].batch_shape
        return {**site, "fn": site["fn"].expand((1,) * (self.rank - len(batch_shape)) + batch_shape)}

    def older(self, value: Any, event_dim: int | None, steps: int = 1) -> Any:
        """A value whose states are so many steps older: each age moves to the next dimension. It is an object of its own.

        Args:
            value: the value.
            event_dim: how many axes it has on the right of its batch; None if it has no states.
            steps: how many steps.

        Raises:
            ValueError: if the value depends on a state that is then too old.
        """
        if event_dim is None:
            return value
        aged = value
        for _ in range(steps):
            for slot in self.slots:
                aged = self._one_older(aged, slot, event_dim)
        return jnp.array(value) if aged is value and steps else aged

    def _one_older(self, value: Any, slot: Slot, event_dim: int) -> Any:
        youngest, last = slot.dim - event_dim, slot.dim - event_dim - self.history
        rank = np.ndim(value)
        present = [dim for dim in range(youngest, last - 1, -1) if -dim <= rank and np.shape(value)[dim] > 1]
        if not present:
            return value
        if last in present:
            raise ValueError(
                f"scan: the carry depends on the state of {slot.variable.site!r} {self.history + 1} steps ago, but "
                f"history={self.history}; raise history, or carry less: by a sum or a count over all states each step would depend "
                "on all before it"
            )
        shape = (1,) * max(-last - rank, 0) + np.shape(value)
        axes = list(range(len(shape)))
        block = [len(shape) + dim for dim in range(youngest, last - 1, -1)]
        for age, axis in enumerate(block):
            axes[axis] = block[age - 1]
        return jnp.transpose(jnp.reshape(value, shape), axes)


def run_enumerated(
    f: Callable[..., Any], init: Any, xs: PyTree, steps: int, reverse: bool, inside: Inside, history: int, outer: enum
) -> EnumeratedLoop | None:
    """Run a loop whose body enumerates sites, or depends on enumerated sites outside; None if there is no such site."""
    body = _Body(f, inside, outer, steps, history)
    carry = init
    first: list[Trace] = []
    first_ys: list[PyTree] = []
    states: list[_State | None] = []
    structure = jax.tree.structure(init)
    event_dims: list[int | None] = [None] * len(jax.tree.leaves(init))
    for number in range(min(history, steps)):
        index = steps - 1 - number if reverse else number
        x = jax.tree.map(lambda a, i=index: a[i] if isinstance(a, np.ndarray) else lax.index_in_dim(a, i, keepdims=False), xs)
        leaves, found, y, own_sites = body(carry, x, index, number)
        _check_structure(structure, found)
        if not body.slots and not outer.slots:
            return None
        if not body.slots:
            body.history = 0
            break
        before = jax.tree.leaves(carry)
        states = _states_among(leaves, before, states, body)

        def run(leaves: list[Any], copies: int, x: Any = x, index: int = index, number: int = number) -> list[Any]:
            return body(jax.tree.unflatten(structure, leaves), x, index, number, copies)[0]

        event_dims = body.event_dims(leaves, states, run, before, event_dims)
        carry = jax.tree.unflatten(structure, [body.older(leaf, dim) for leaf, dim in zip(leaves, event_dims)])
        first.append(own_sites)
        first_ys.append(y)
    last_of_first = carry
    carry, sites, ys = _remaining(body, init, carry, states, event_dims, xs, steps, reverse)
    if not body.slots and not outer.slots:
        return None
    sizes = tuple((slot.variable.site, slot.size) for slot in body.slots)
    loop = Loop(body.name, steps, body.history, reverse, sizes, body.rank)
    if steps <= body.history:
        carry = last_of_first
    outer.leave_loop(_slots_behind(body, loop), body.slots)
    return EnumeratedLoop(carry, first, sites, _with_first(ys, first_ys, steps, reverse), loop)


def _check_structure(expected: Any, found: Any) -> None:
    if expected != found:
        raise TypeError(f"scan: the carry must keep its structure, found {found} after {expected}")


def _states_among(
    leaves: Sequence[Any], before: Sequence[Any], states: Sequence[_State | None], body: _Body
) -> list[_State | None]:
    """Which leaves of a new carry are values of enumerated sites, known by identity."""
    own = {id(value): _State(site, 1) for site, value in body.values.items()}
    known = {id(leaf): state for leaf, state in zip(before, states) if state is not None}
    found = []
    for leaf in leaves:
        state = own.get(id(leaf))
        older = known.get(id(leaf))
        if state is None and older is not None and older.age < body.history:
            state = _State(older.site, older.age + 1)
        found.append(state)
    return found


def _slots_behind(body: _Body, loop: Loop) -> list[Slot]:
    """Where the last states lie in the last carry."""
    found = []
    for slot in body.slots:
        for age in range(1, loop.history + 1):
            step = loop.length - age
            name = Variable(slot.variable.site, age=age, is_last=True)
            if loop.length <= loop.history:
                if step < 0:
                    continue
                name = Variable(slot.variable.site, step=step)
            found.append(Slot(name, slot.dim - age, slot.size))
    return found


def _with_first(ys: PyTree, first: list[PyTree], steps: int, reverse: bool) -> PyTree:
    """The outputs of all steps, with those of the first steps in their places."""
    if not first:
        return ys

    def join(stacked: Array, *parts: Any) -> Array:
        shape = np.broadcast_shapes(stacked.shape[1:], *(np.shape(part) for part in parts))
        rows = [jnp.broadcast_to(part, shape)[None].astype(stacked.dtype) for part in parts]
        rank = len(shape)
        rest = stacked.reshape((steps,) + (1,) * (rank + 1 - stacked.ndim) + stacked.shape[1:])
        rest = jnp.broadcast_to(rest, (steps, *shape))
        if reverse:
            return jnp.concatenate([rest[: steps - len(rows)], *rows[::-1]])
        return jnp.concatenate([*rows, rest[len(rows) :]])

    return jax.tree.map(join, ys, *first)


# The steps that have all of their past


class _Traced(NamedTuple):
    """A step of the loop as a program: the leaves of the carry that move, the index and the entry, to the same leaves and the rest.

    Attributes:
        program: the program.
        results: shapes of what it returns.
        start: shapes of the leaves that go in.
        states: which leaves of the new carry are values of enumerated sites.
        event_dims: of the leaves of the new carry.
        structure: of the sites and the output, which it returns as leaves.
    """

    program: Any
    results: Any
    start: list[jax.ShapeDtypeStruct]
    states: list[_State | None]
    event_dims: list[int | None]
    structure: Any


def _trace_step(
    body: _Body,
    structure: Any,
    states: Sequence[_State | None],
    event_dims: Sequence[int | None],
    start: list[jax.ShapeDtypeStruct],
    xs: PyTree,
) -> _Traced:
    """A step that has all of its past, with the leaves of the carry that are states as they then are."""
    values = body.state_values()
    moving = [i for i, state in enumerate(states) if state is None]
    found: list[tuple[list[_State | None], list[int | None], Any]] = []

    def step(moved: list[Array], index: Array, x: Any) -> tuple[list[Array], list[Array]]:
        full = _filled(states, moved, values)
        new, new_structure, y, sites = body(jax.tree.unflatten(structure, full), x, index, None)
        _check_structure(structure, new_structure)
        rest, rest_structure = jax.tree.flatten((PytreeTrace(body.padded(sites)), y))
        new_states = _states_among(new, full, states, body)

        def run(leaves: list[Any], copies: int) -> list[Any]:
            return body(jax.tree.unflatten(structure, leaves), x, index, None, copies)[0]

        new_dims = body.event_dims(new, new_states, run, full, event_dims)
        found.append((new_states, new_dims, rest_structure))
        return [jnp.asarray(body.older(new[i], new_dims[i])) for i in moving], rest

    x = jax.tree.map(lambda a: jax.ShapeDtypeStruct(np.shape(a)[1:], jnp.result_type(a)), xs)
    program, results = jax.make_jaxpr(step, return_shape=True)(start, jax.ShapeDtypeStruct((), jnp.result_type(int)), x)
    return _Traced(program, results, start, *found[0])


def _remaining(
    body: _Body,
    init: Any,
    carry: Any,
    states: list[_State | None],
    event_dims: list[int | None],
    xs: PyTree,
    steps: int,
    reverse: bool,
) -> tuple[Any, PytreeTrace, PyTree]:
    """Run all steps as those that have all of their past; what comes of the first ones is replaced.

    Leaves of the carry that are states stay as they are; the others start from `init` with the shape that they have later.
    """
    leaves, structure = jax.tree.flatten(init)
    states = states or [None] * len(leaves)
    later = [jax.ShapeDtypeStruct(np.shape(leaf), jnp.result_type(leaf)) for leaf in jax.tree.leaves(carry)]
    for _ in range(body.history + 2):
        later = [_common(leaf, shape) for leaf, shape in zip(leaves, later)]
        moving = [i for i, state in enumerate(states) if state is None]
        traced = _trace_step(body, structure, states, event_dims, [later[i] for i in moving], xs)
        grown = [_common(a, b) for a, b in zip(traced.start, traced.results[0])]
        new_dims = [new if old is None else old for old, new in zip(event_dims, traced.event_dims)]
        is_steady = traced.states == states and new_dims == event_dims
        if is_steady and [(a.shape, a.dtype) for a in grown] == [(a.shape, a.dtype) for a in traced.start]:
            break
        states, event_dims = traced.states, new_dims
        for i, shape in zip(moving, grown):
            later[i] = shape
    else:
        raise ValueError("scan: the shape of the carry grows from step to step; let it depend on the states of the last steps only")
    start = [jnp.broadcast_to(jnp.asarray(leaves[i], a.dtype), a.shape) for i, a in zip(moving, traced.start)]
    moved, (sites, ys) = _hoisted_scan(traced, start, steps, xs, reverse)
    ys = jax.tree.map(lambda a: jnp.broadcast_to(a, (steps, *a.shape[1:])), ys)
    return jax.tree.unflatten(structure, _filled(states, moved, body.state_values())), sites, ys


def _common(a: Any, b: Any) -> jax.ShapeDtypeStruct:
    """The shape and type of both together."""
    return jax.ShapeDtypeStruct(np.broadcast_shapes(np.shape(a), b.shape), jnp.result_type(a, b))


def _filled(states: Sequence[_State | None], moved: Sequence[Any], values: dict[_State, Array]) -> list[Any]:
    rest = iter(moved)
    return [next(rest) if state is None else values[state] for state in states]


def _hoisted_scan(traced: _Traced, start: list[Array], steps: int, xs: PyTree, reverse: bool) -> tuple[list[Array], PyTree]:
    """The loop of a traced step, with everything that is the same in all steps computed once, before it.

    Where no leaf of the carry moves, no step waits for another, and all are computed at once. Outputs that are the same get a
    leading axis of size 1, the others one of size `steps`.
    """
    jaxpr = traced.program.jaxpr
    known: dict[Any, Any] = dict(zip(jaxpr.constvars, traced.program.consts))

    def evaluate(equations: Sequence[Any], values: dict[Any, Any]) -> None:
        for equation in equations:
            inputs = [v.val if isinstance(v, Literal) else values[v] for v in equation.invars]
            parameters = equation.primitive.get_bind_params(equation.params)
            functions, parameters = parameters if isinstance(parameters, tuple) else ((), parameters)  # JAX before 0.10: a pair
            outputs = equation.primitive.bind(*functions, *inputs, **parameters)
            values.update(zip(equation.outvars, outputs if equation.primitive.multiple_results else [outputs]))

    varying = set(jaxpr.invars)
    inner = []
    for equation in jaxpr.eqns:
        if varying.intersection(v for v in equation.invars if not isinstance(v, Literal)):
            varying.update(equation.outvars)
            inner.append(equation)
    evaluate([equation for equation in jaxpr.eqns if not varying.intersection(equation.outvars)], known)
    outputs = jaxpr.outvars[len(start) :]
    is_varying = [not isinstance(v, Literal) and v in varying for v in outputs]

    def body(moved: list[Array], entry: Any) -> tuple[list[Array], list[Array]]:
        values = known | dict(zip(jaxpr.invars, [*moved, *jax.tree.leaves(entry)]))
        evaluate(inner, values)

        def read(v: Any) -> Any:
            return v.val if isinstance(v, Literal) else values[v]

        new = [jnp.broadcast_to(read(v), a.shape) for v, a in zip(jaxpr.outvars, start)]
        return new, [read(v) for v, varies in zip(outputs, is_varying) if varies]

    entries = (jnp.arange(steps), xs)
    if start:
        moved, stacked = lax.scan(body, start, entries, length=steps, reverse=reverse)
    else:
        moved, stacked = [], jax.vmap(lambda entry: body([], entry)[1])(entries)
    rest = iter(stacked)
    leaves = [
        next(rest) if varies else jnp.expand_dims(v.val if isinstance(v, Literal) else known[v], 0)
        for v, varies in zip(outputs, is_varying)
    ]
    return moved, jax.tree.unflatten(traced.structure, leaves)
