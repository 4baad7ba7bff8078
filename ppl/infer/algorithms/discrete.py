"""Proposals for a discrete variable whose unnormalised log probabilities are known for all of its states.

Source: Liu (1996), "Peskun's theorem and a modified discrete-state Gibbs sampler", Biometrika 83(3).
"""

from dataclasses import dataclass
from typing import NamedTuple

import jax.numpy as jnp
from jax import lax

from ppl._typing import Array

__all__ = ["Choice", "DiscreteProposal"]


class Choice(NamedTuple):
    """A proposed state for each of n variables.

    Attributes:
        state: its index, `(n,)`.
        energy_change: of the proposal, `(n,)`: the change of potential energy plus log Q(new | old) - log Q(old | new); it is to be
            accepted with probability min(1, exp(-energy_change)).
    """

    state: Array
    energy_change: Array


@dataclass(frozen=True)
class DiscreteProposal:
    """How a new state is proposed.

    Attributes:
        random_walk: uniformly, instead of by the probabilities of the states.
        modified: never the state at hand.
    """

    random_walk: bool = False
    modified: bool = False

    def propose(self, uniforms: Array, log_weights: Array, current: Array) -> Choice:
        """Propose states for n independent variables with K states each.

        Args:
            uniforms: `(n,)`, on [0, 1).
            log_weights: `(K, n)`; states of probability zero have -inf.
            current: the states at hand, `(n,)`.
        """
        own = lax.broadcasted_iota(current.dtype, log_weights.shape, 0) == current[None]
        weights = jnp.zeros_like(log_weights[:, :1]) if self.random_walk else log_weights
        if self.modified:
            weights = jnp.where(own, -jnp.inf, weights)
        state = _draw(uniforms, weights, current)
        if self.random_walk:
            change = _pick(log_weights, current) - _pick(log_weights, state)
        elif self.modified:
            change = _log_of_others(log_weights, state) - _log_of_others(log_weights, current)
        else:
            change = jnp.zeros_like(uniforms)
        return Choice(state, jnp.where(state == current, 0.0, change))

    def update(self, uniforms: Array, log_weights: Array, current: Array) -> tuple[Array, Array]:
        """One Metropolis step of each variable.

        Args:
            uniforms: `(2, n)`, on [0, 1).
            log_weights: `(K, n)`.
            current: `(n,)`.

        Returns:
            The new states `(n,)`, and the acceptance probabilities `(n,)`.
        """
        choice = self.propose(uniforms[0], log_weights, current)
        accept_prob = jnp.exp(-jnp.maximum(choice.energy_change, 0.0))
        return jnp.where(uniforms[1] < accept_prob, choice.state, current), accept_prob


def _draw(uniforms: Array, log_weights: Array, otherwise: Array) -> Array:
    """A state by its weight `(K, n)`, or `(K, 1)` for all alike, for each of n variables; where all are zero, another one."""
    largest = jnp.max(log_weights, axis=0)
    total = jnp.cumsum(jnp.exp(log_weights - jnp.where(lax.is_finite(largest), largest, 0.0)[None]), axis=0)
    # The sum may end below what rounding makes of u times itself: no state of weight zero behind the last one is ever taken.
    threshold = jnp.minimum(uniforms * total[-1], jnp.nextafter(total[-1], jnp.zeros_like(total[-1])))
    drawn = jnp.sum(total <= threshold[None], axis=0)
    return jnp.where(lax.is_finite(largest), drawn.astype(otherwise.dtype), otherwise)


def _pick(table: Array, state: Array) -> Array:
    return jnp.take_along_axis(table, state[None], axis=0)[0]


def _log_of_others(log_weights: Array, state: Array) -> Array:
    """The log of the total weight of all states but one: 1 - p up to a constant, without cancellation."""
    own = lax.broadcasted_iota(state.dtype, log_weights.shape, 0) == state[None]
    others = jnp.where(own, -jnp.inf, log_weights)
    largest = jnp.max(others, axis=0)
    safe = jnp.where(lax.is_finite(largest), largest, 0.0)
    return jnp.log(jnp.sum(jnp.exp(others - safe[None]), axis=0)) + safe
