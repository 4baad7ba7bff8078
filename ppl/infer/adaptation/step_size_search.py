"""A first step size: doubled or halved until the acceptance probability of one leapfrog step crosses a threshold.

Source: Hoffman, Gelman (2014), JMLR 15, Algorithm 4, with the threshold 0.8 of Stan.
"""

from collections.abc import Callable

import jax.numpy as jnp
from jax import lax

from ppl import _random as random
from ppl._typing import Array, Key
from ppl.infer.algorithms.metric import Kinetic, Metric, momentum_of
from ppl.infer.algorithms.protocols import HamiltonianState, Target

__all__ = ["find_step_size", "search_step_size"]

THRESHOLD = 0.8


def find_step_size(target: Target, kinetic: Kinetic, state: HamiltonianState, metric: Metric, step_size: Array, key: Key) -> Array:
    """The first step size, doubled or halved, with which the acceptance probability of one leapfrog step crosses the threshold."""

    def log_acceptance(step_size: Array, key: Key) -> Array:
        p = momentum_of(metric, random.draw(key, state.position.dtype, normals=state.position.size).normals)
        p_half = p - 0.5 * step_size * state.gradient
        q = state.position + step_size * kinetic.velocity(metric, p_half)
        potential_energy, gradient = target.value_and_gradient(q)
        p_new = p_half - 0.5 * step_size * gradient
        return state.potential_energy + kinetic.energy(metric, p) - potential_energy - kinetic.energy(metric, p_new)

    return search_step_size(step_size, key, log_acceptance)


def search_step_size(step_size: Array, key: Key, log_acceptance: Callable[[Array, Key], Array]) -> Array:
    """As `find_step_size`, for any function that gives the log acceptance probability of one step, `(step_size, key) -> scalar`."""
    log_threshold = jnp.log(jnp.asarray(THRESHOLD, step_size.dtype))
    bounds = jnp.finfo(step_size.dtype)

    def direction_of(step_size: Array, key: Key) -> Array:
        return jnp.where(log_acceptance(step_size, key) > log_threshold, 1, -1).astype(jnp.int32)

    def move(carry: tuple[Array, Array, Array, Key]) -> tuple[Array, Array, Array, Key]:
        step_size, last, direction, key = carry
        key, k_momentum = random.draw(key, step_size.dtype, keys=2).keys
        step_size = step_size * 2.0 ** direction.astype(step_size.dtype)
        return step_size, direction, direction_of(step_size, k_momentum), key

    def is_searching(carry: tuple[Array, Array, Array, Key]) -> Array:
        step_size, last, direction, _ = carry
        in_bounds = (step_size > bounds.tiny) & (step_size < bounds.max)
        return in_bounds & ((last == 0) | (direction == last))

    none = jnp.zeros((), jnp.int32)
    start = (step_size, none, none, key)
    return lax.while_loop(is_searching, move, start)[0]
