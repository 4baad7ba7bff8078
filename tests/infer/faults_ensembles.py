"""Faults of ensembles to be planted, each wrong in one way that people have got wrong."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

from ppl import _random as random
from ppl._typing import Array, Key, PyTree
from ppl.infer.algorithms.ensemble_metropolis import AffineInvariant, ProposalMove, StretchMove
from ppl.infer.algorithms.ensemble_slice import DifferentialMove, DirectionMove, EnsembleSlice
from ppl.infer.algorithms.ensembles import Walkers, in_turn

# Proposals


class OneDimensionTooMany(StretchMove):
    """The factor z^d in place of z^(d - 1)."""

    def propose(self, key: Key, active: Array, inactive: Array) -> tuple[Array, Array]:
        proposal, log_factor = super().propose(key, active, inactive)
        return proposal, log_factor * active.shape[1] / (active.shape[1] - 1)


class WithoutFactor(StretchMove):
    """A symmetric test of a proposal that is not."""

    def propose(self, key: Key, active: Array, inactive: Array) -> tuple[Array, Array]:
        proposal, log_factor = super().propose(key, active, inactive)
        return proposal, jnp.zeros_like(log_factor)


class UniformStretch(StretchMove):
    """z uniform on [1/a, a]."""

    def propose(self, key: Key, active: Array, inactive: Array) -> tuple[Array, Array]:
        m, d = active.shape
        uniforms = random.draw(key, active.dtype, uniforms=2 * m).uniforms.reshape(2, m)
        z = 1 / self.a + (self.a - 1 / self.a) * uniforms[0]
        partner = inactive[(uniforms[1] * len(inactive)).astype(jnp.int32)]
        return partner + z[:, None] * (active - partner), (d - 1) * jnp.log(z)


class TowardsOther(ProposalMove):
    """A step of fixed relative length towards a walker of the other half, taken for symmetric."""

    def propose(self, key: Key, active: Array, inactive: Array) -> tuple[Array, Array]:
        partner = inactive[jax.random.randint(key, (len(active),), 0, len(inactive))]
        return active + 0.6 * (partner - active), jnp.zeros(len(active), active.dtype)


@dataclass(frozen=True)
class AcceptsNan(AffineInvariant):
    """Where it is faulty, an energy that is not a number passes for 0."""

    is_faulty: Any = None

    def update(self, key: Key, active: Walkers, inactive: Array, target: Any) -> Any:
        def patched(position: Array) -> Array:
            energy = target(position)
            return jnp.where(jnp.isnan(energy) & (self.is_faulty > 0), 0.0, energy)

        return super().update(key, active, inactive, patched)


# Slices

SLICE_FAULTS = ("left_first", "begins_at_walker", "shrinks_to_middle", "low_level", "direction_from_walker")


class FromWalker(DirectionMove):
    """From the walker to one of the other half, where it is faulty: a direction that depends on where the walker is."""

    def __init__(self, position: Array, is_faulty: Array) -> None:
        self.position, self.is_faulty = position, is_faulty

    def directions(self, key: Key, inactive: Array) -> Array:
        return jnp.where(self.is_faulty, inactive - self.position, DifferentialMove().directions(key, inactive))


@dataclass(frozen=True)
class FaultySlice(EnsembleSlice):
    """One of the faults above, by a traced number: so one compiled program serves all of them.

    All steps of the limit go to the left end. The first interval begins at the walker. A draw that missed cuts its half of the
    interval off, and with it perhaps the walker. The level is drawn too near to the walker's own. The direction depends on the
    walker.
    """

    fault: Any = None

    def _has(self, name: str) -> Array:
        return self.fault == SLICE_FAULTS.index(name)

    def update(self, key: Key, active: Walkers, inactive: Array, target: Any, scale: Array) -> Any:
        kernel = replace(self, moves=(FromWalker(active.position, self._has("direction_from_walker")),), weights=(1.0,))
        return EnsembleSlice.update(kernel, key, active, inactive, target, scale)

    def _begin(self, active: Walkers, place: Array, share: Array) -> Any:
        begun = super()._begin(active, jnp.where(self._has("begins_at_walker"), 0.0, place), share)
        left_steps = jnp.where(self._has("left_first"), self.max_steps - 1, begun.left_steps)
        return begun._replace(left_steps=left_steps, right_steps=self.max_steps - 1 - left_steps)

    def _cuts_lower(self, slices: Any, at: Array) -> Array:
        return at < jnp.where(self._has("shrinks_to_middle"), 0.5 * (slices.left + slices.right), 0.0)

    def _advance(self, slices: Any, key: Key, position: Array, direction: Array, level: Array, target: Any) -> Any:
        energy = jax.vmap(target)(position)
        level = jnp.where(self._has("low_level"), 0.5 * (energy + level), level)
        return super()._advance(slices, key, position, direction, level, target)


# Halves


def same_half(update: Any, walkers: PyTree, carry: PyTree, keys: Sequence[Key], order: Array | None = None) -> Any:
    """A half is updated given itself."""
    return in_turn(lambda key, active, inactive, carry: update(key, active, active, carry), walkers, carry, keys, order)


def at_once(update: Any, walkers: PyTree, carry: PyTree, keys: Sequence[Key], order: Array | None = None) -> Any:
    """The second half is updated given where the first one was."""
    first, _, info = in_turn(update, walkers, carry, keys, order)
    swapped = jax.tree.map(lambda x: x.reshape((-1, 2, *x.shape[1:]))[:, ::-1].reshape(x.shape), walkers)
    second, _, told = in_turn(update, swapped, carry, (keys[1], keys[0]), order)
    join = partial(jax.tree.map, lambda x, other: x.at[1::2].set(other[::2]))
    return join(first, second), carry, join(info, told)


def only_one(update: Any, walkers: PyTree, carry: PyTree, keys: Sequence[Key], order: Array | None = None) -> Any:
    """The second half never moves."""
    moved, carry, info = in_turn(update, walkers, carry, keys, order)
    return jax.tree.map(lambda x, old: x.at[1::2].set(old[1::2]), moved, walkers), carry, info
