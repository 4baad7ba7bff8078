"""Start values: a position whose potential energy and gradient are finite."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, NamedTuple

import jax.numpy as jnp
from jax import lax

from ppl import _random as random
from ppl import handlers
from ppl._typing import Array, Key, Message
from ppl.infer.target.density import Target
from ppl.infer.target.gradient import GradientTarget

__all__ = [
    "MAX_TRIES",
    "PositionStrategy",
    "Start",
    "Strategy",
    "ValueStart",
    "evaluate_start",
    "evaluate_value",
    "find_start",
    "find_value_start",
    "first_valid",
    "propose_start",
]

MAX_TRIES = 100

Strategy = Callable[[Message], Any]


class Start(NamedTuple):
    """A position `(d,)`, its potential energy, its gradient `(d,)`, and whether both are finite."""

    position: Array
    potential_energy: Array
    gradient: Array
    is_valid: Array


class ValueStart(NamedTuple):
    """A position `(d,)`, its potential energy, and whether that is finite."""

    position: Array
    potential_energy: Array
    is_valid: Array


class PositionStrategy(ABC):
    """A strategy that can choose all coordinates at once, without running the model."""

    @abstractmethod
    def __call__(self, site: Message | None = None) -> Any:
        """The constrained value of a site."""

    @abstractmethod
    def position(self, key: Key, attempt: Array, dimension: int, dtype: Any) -> Array:
        """An unconstrained position `(d,)`, another one for each attempt."""


def propose_start(key: Key, attempt: Array, target: Target, strategy: Strategy) -> Array:
    """A position by the strategy `site -> constrained value`, another one for each attempt."""
    if isinstance(strategy, PositionStrategy):
        return strategy.position(key, attempt, target.layout.dimension, target.layout.dtype)

    def choose(site: Message) -> Any:
        return None if site["name"] in target.model.facts.enumerated else strategy(site)

    with handlers.trace() as sites, handlers.substitute(data=target.fixed), handlers.substitute(substitute_fn=choose):
        with handlers.seed(rng_seed=random.typed(random.fold_in(key, attempt))):
            target.model.call(target.arrays)
    return target.unconstrain_trace(sites)


def evaluate_start(position: Array, target: GradientTarget, validate_grad: bool = True) -> Start:
    """The start at a position."""
    potential_energy, gradient = target.value_and_gradient(position)
    is_valid = lax.is_finite(potential_energy)
    if validate_grad:
        is_valid = is_valid & jnp.all(lax.is_finite(gradient))
    return Start(position, potential_energy, gradient, is_valid)


def find_start(
    key: Key,
    propose: Callable[[Key, Array], Array],
    target: GradientTarget,
    validate_grad: bool = True,
) -> Start:
    """Propose until potential energy and gradient are finite, at most `MAX_TRIES` times; the last try, and whether it is good."""
    nothing = jnp.zeros(target.layout.dimension, target.layout.dtype)
    none_yet = Start(nothing, jnp.zeros((), target.layout.dtype), nothing, jnp.zeros((), bool))
    return first_valid(key, propose, lambda position: evaluate_start(position, target, validate_grad), none_yet)


def evaluate_value(position: Array, target: GradientTarget) -> ValueStart:
    """The start at a position, of a kernel that uses no gradient."""
    potential_energy = target(position)
    return ValueStart(position, potential_energy, lax.is_finite(potential_energy))


def find_value_start(key: Key, propose: Callable[[Key, Array], Array], target: GradientTarget) -> ValueStart:
    """As `find_start`, where the potential energy alone has to be finite."""
    dtype = target.layout.dtype
    none_yet = ValueStart(jnp.zeros(target.layout.dimension, dtype), jnp.zeros((), dtype), jnp.zeros((), bool))
    return first_valid(key, propose, lambda position: evaluate_value(position, target), none_yet)


def first_valid(key: Key, propose: Callable[[Key, Array], Any], evaluate: Callable[[Any], Any], none_yet: Any) -> Any:
    """The first proposal whose evaluation `is_valid`, or the last of `MAX_TRIES`."""

    def attempt(carry: tuple[Array, Any]) -> tuple[Array, Any]:
        tries, _ = carry
        return tries + 1, evaluate(propose(key, tries))

    def unsuccessful(carry: tuple[Array, Any]) -> Array:
        tries, start = carry
        return ~start.is_valid & (tries < MAX_TRIES)

    return lax.while_loop(unsuccessful, attempt, (jnp.zeros((), jnp.int32), none_yet))[1]
