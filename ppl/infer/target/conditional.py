"""Full conditional distributions of the elements of a discrete site, at the cost of the factors that they enter.

Elements that no factor mixes are conditionally independent; for them one evaluation of the model with all elements in state k gives
the weights of state k of every element.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from math import prod
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ppl._typing import Array, Message, Shape
from ppl.distributions import constraints
from ppl.distributions.util import TracedSupport
from ppl.infer.target.density import Target, bound_trace
from ppl.infer.target.dependence import Dependence, dependences, identity_of
from ppl.infer.target.enumeration import enumerated_log_density
from ppl.trace import sample_sites, site_log_prob
from ppl.util import not_jax_tracer

__all__ = ["Conditional", "Element", "Point", "conditionals", "count_states", "has_known_size", "point_shapes"]

NOTHING: Mapping[str, int] = {}


class Point(NamedTuple):
    """Where conditional distributions are wanted: the unconstrained position, and the values of all sites that it does not hold."""

    position: Array
    values: dict[str, Array]


def point_shapes(target: Target) -> Point:
    """Shapes and types of a point."""
    position: Any = jax.ShapeDtypeStruct((target.layout.dimension,), target.layout.dtype)
    values: Any = target.model.facts.shapes_apart()
    return Point(position, values)


class Element(NamedTuple):
    """States of elements that are updated together: their log weights `(K, n)`, and the index of the state at hand `(n,)`."""

    log_weights: Array
    current: Array


@dataclass(frozen=True)
class Conditional:
    """The conditional distributions of the elements of a site, which has `rows` groups of `columns` elements that are independent.

    Attributes:
        name: the site.
        shape: of its value.
        event_dim: how many dimensions of that belong to the event.
        num_states: the number of states K of an element.
        apart: the batch axes along which elements are independent.
        factors: the factors that depend on the site, by number, and of each the axes that belong to `apart`.
    """

    name: str
    shape: Shape
    event_dim: int
    num_states: int
    apart: tuple[int, ...]
    factors: tuple[tuple[int, tuple[int, ...]], ...]

    @property
    def _batch(self) -> Shape:
        return self.shape[: len(self.shape) - self.event_dim]

    @property
    def _order(self) -> list[int]:
        """The axes, those that are apart behind the other ones of the batch, the event last."""
        batch = [axis for axis in range(len(self._batch)) if axis not in self.apart]
        return [*batch, *self.apart, *range(len(self._batch), len(self.shape))]

    @property
    def columns(self) -> int:
        """How many elements are updated at a time."""
        return prod(self._batch[axis] for axis in self.apart)

    @property
    def rows(self) -> int:
        """How many such groups there are."""
        return prod(self._batch) // self.columns

    def _as_rows(self, value: Array, leading: int = 0) -> Array:
        """A value as `(rows, columns) + event`; `leading` axes in front are kept."""
        axes = [*range(leading), *(axis + leading for axis in self._order)]
        event = self.shape[len(self._batch) :]
        return value.transpose(axes).reshape((*value.shape[:leading], self.rows, self.columns, *event))

    def _from_rows(self, rows: Array) -> Array:
        return rows.reshape([self.shape[axis] for axis in self._order]).transpose(np.argsort(self._order).tolist())

    def support(self, target: Target, point: Point) -> Array:
        """The states, `(K, rows, columns) + event`."""
        return self._as_rows(_evaluate(target, point, {self.name: self.num_states}).supports[self.name], leading=1)

    def element(self, target: Target, point: Point, row: Array, support: Array) -> Element:
        """The log weights of the states of a group, and the states at hand.

        Args:
            target: the target.
            point: where.
            row: the number of the group.
            support: the states.
        """
        value = self._as_rows(point.values[self.name])
        states = jax.lax.dynamic_index_in_dim(support, row, axis=1, keepdims=False)

        def weigh(state: Array) -> Array:
            moved = self._from_rows(jax.lax.dynamic_update_index_in_dim(value, state, row, axis=0))
            return self._local(target, Point(point.position, {**point.values, self.name: moved}))

        log_weights = jax.vmap(weigh)(states)
        own = jax.lax.dynamic_index_in_dim(value, row, axis=0, keepdims=False)
        is_own = jnp.all((states == own[None]).reshape((*states.shape[:2], -1)), axis=-1)
        return Element(jnp.where(jnp.isnan(log_weights), -jnp.inf, log_weights), jnp.argmax(is_own, axis=0).astype(jnp.int32))

    def with_states(self, point: Point, row: Array, support: Array, chosen: Array) -> Point:
        """The point with a group in other states, given by their indices `(n,)`."""
        value = self._as_rows(point.values[self.name])
        states = jax.lax.dynamic_index_in_dim(support, row, axis=1, keepdims=False)
        index = chosen.reshape((1, -1) + (1,) * self.event_dim)
        picked = jnp.take_along_axis(states, index, axis=0)[0]
        moved = self._from_rows(jax.lax.dynamic_update_index_in_dim(value, picked, row, axis=0))
        return Point(point.position, {**point.values, self.name: moved})

    def _local(self, target: Target, point: Point) -> Array:
        """The part of the log density that depends on the site, for each column."""
        factors = _evaluate(target, point).factors
        total = jnp.zeros(self.columns, target.layout.dtype)
        for number, axes in self.factors:
            factor = factors[number]
            others = tuple(axis for axis in range(factor.ndim) if axis not in axes)
            moved = factor.transpose((*axes, *others))
            total = total + jnp.sum(moved.reshape((self.columns, -1)), axis=1)
        return total


class _Evaluation(NamedTuple):
    """The factors of a density, and the states of discrete sites, `(K,)` and the shape of the value."""

    factors: list[Array]
    supports: dict[str, Array]


def _evaluate(target: Target, point: Point, num_states: Mapping[str, int] = NOTHING) -> _Evaluation:
    unconstrained = target.layout.unravel(point.position)
    has_enumerated = bool(target.model.facts.enumerated)
    given = {**target.fixed, **point.values}
    sites, log_jacobian = bound_trace(target.model, target.arrays, unconstrained, given, enumerate=has_enumerated)
    if has_enumerated:
        factors = [enumerated_log_density(sites) + log_jacobian]
    else:
        factors = [site_log_prob(site) for site in sample_sites(sites).values()] + [jnp.asarray(log_jacobian)]
    return _Evaluation(factors, {name: _states_of(sites[name], number) for name, number in num_states.items()})


def _interval_of(site: Message) -> tuple[Any, Any] | None:
    """The bounds of a support of whole numbers, if it is one."""
    support = site["fn"].support
    return (support.lower_bound, support.upper_bound) if isinstance(support, constraints._IntegerInterval) else None


def _states_of(site: Message, num_states: int) -> Array:
    """The states of a discrete site, `(K,)` and the shape of its value; an element with fewer has states of probability zero."""
    interval, shape, dtype = _interval_of(site), np.shape(site["value"]), jnp.result_type(site["value"])
    if interval is None:
        states = jnp.asarray(site["fn"].enumerate_support(expand=True))
        missing = len(shape) - (states.ndim - 1)  # of sample_shape
        states = states.reshape((-1,) + (1,) * missing + states.shape[1:])
    else:
        steps = jnp.arange(num_states, dtype=dtype).reshape((-1,) + (1,) * len(shape))
        states = steps + jnp.asarray(interval[0], dtype)
    return jnp.broadcast_to(jnp.asarray(states, dtype), (num_states, *shape))


def has_known_size(site: Message) -> bool:
    """Whether the number of states of a discrete site is known where the model is traced."""
    interval = _interval_of(site)
    return interval is None or all(map(not_jax_tracer, interval))


def count_states(target: Target, names: Sequence[str]) -> dict[str, int]:
    """The number of states of the elements of each site, the largest one.

    Raises:
        TracedSupport: if it depends on arguments of the model.
        ValueError: if it depends on other sites.
    """
    point = point_shapes(target)
    shapes: dict[str, int] = {}

    def bounds(target: Target, point: Point) -> dict[str, tuple[Any, Any]]:
        unconstrained = target.layout.unravel(point.position)
        sites, _ = bound_trace(target.model, target.arrays, unconstrained, {**target.fixed, **point.values})
        found = {}
        for name in names:
            interval = _interval_of(sites[name])
            if interval is not None and all(map(not_jax_tracer, interval)):
                shapes[name] = _largest(interval)
            elif interval is None:
                shapes[name] = jax.eval_shape(lambda fn=sites[name]["fn"]: fn.enumerate_support(expand=False)).shape[0]
            else:
                found[name] = interval
        return found

    closed, found = jax.make_jaxpr(bounds, return_shape=True)(target, point)

    def check(is_cause: tuple[bool, bool], error: type[Exception], what: str) -> None:
        inputs: list[Dependence] = [
            {} if cause else None for part, cause in zip((target, point), is_cause) for _ in jax.tree.leaves(part)
        ]
        depends = jax.tree.unflatten(jax.tree.structure(found), [along is not None for along in dependences(closed, inputs)])
        for name, pair in depends.items():
            if any(pair):
                raise error(
                    f"site {name!r}: the size of its support depends on {what}; let it be a number or a constant of the model"
                )

    if found:
        check((False, True), ValueError, "other sites")
        check((True, False), TracedSupport, "arguments of the model that are traced")
        with jax.ensure_compile_time_eval():
            numbers = jax.jit(lambda: _with_zeros(bounds, target, point))()
        shapes |= {name: _largest(interval) for name, interval in numbers.items()}
    return shapes


def _largest(interval: tuple[Any, Any]) -> int:
    low, high = map(np.asarray, interval)
    return int(np.max(high - low)) + 1


def _with_zeros(fn: Callable[..., Any], *shapes: Any) -> Any:
    return fn(*jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), shapes))


def conditionals(target: Target, names: Sequence[str]) -> dict[str, Conditional]:
    """What is known of discrete sites before any number is computed.

    Args:
        target: the target; in place of arrays it may have their shapes and types.
        names: sites that it does not hold.
    """
    facts = target.model.facts
    point = point_shapes(target)
    num_states = count_states(target, names)
    closed, found = jax.make_jaxpr(partial(_evaluate, num_states=num_states), return_shape=True)(target, point)

    def of_site(name: str) -> Conditional:
        site = facts.apart[name]
        batch = site.shape[: len(site.shape) - site.event_dim]
        marks: Any = Point(False, {other: other == name for other in point.values})  # type: ignore[arg-type,misc]
        is_input = jax.tree.leaves((jax.tree.map(lambda _: False, target), marks))
        entering = dependences(closed, [identity_of(batch) if own else None for own in is_input])[: len(found.factors)]
        dependent = [(number, along) for number, along in enumerate(entering) if along is not None]
        apart = tuple(axis for axis, size in enumerate(batch) if size > 1 and all(axis in along for _, along in dependent))
        factors = tuple((number, tuple(along[axis] for axis in apart)) for number, along in dependent)
        return Conditional(name, site.shape, site.event_dim, num_states[name], apart, factors)

    return {name: of_site(name) for name in names}
