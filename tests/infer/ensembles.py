"""Ensembles of walkers drawn exactly, moved a few times, and what can be asked of them."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from faults_ensembles import FaultySlice, OneDimensionTooMany, TowardsOther, UniformStretch, WithoutFactor
from targets import CURVED, ExactTarget, Moves, raw_keys

from ppl._typing import Array, Key
from ppl.infer.algorithms.ensemble_metropolis import AffineInvariant, DEMove, ProposalMove, StretchMove
from ppl.infer.algorithms.ensemble_slice import (
    DifferentialMove,
    DirectionMove,
    EnsembleSlice,
    GaussianMove,
    KDEMove,
    RandomMove,
)
from ppl.infer.algorithms.ensembles import Walkers, in_turn

WALKERS = 8

PROPOSALS: Mapping[str, ProposalMove] = {
    "stretch": StretchMove(a=3.0),
    "differential": DEMove(sigma=0.3),
}
FAULTY_PROPOSALS: Mapping[str, ProposalMove] = {
    "one_dimension_too_many": OneDimensionTooMany(a=3.0),
    "without_factor": WithoutFactor(),
    "uniform_stretch": UniformStretch(),
    "towards_other": TowardsOther(),
}
DIRECTIONS: Mapping[str, DirectionMove] = {
    "differential": DifferentialMove(),
    "gaussian": GaussianMove(),
    "random": RandomMove(),
    "density": KDEMove(bw_method="silverman"),
}


class _Chosen(ProposalMove, DirectionMove):
    """One of several moves, by a traced number: so one compiled program serves all of them."""

    def __init__(self, moves: Mapping[str, Any], which: Array) -> None:
        self.moves, self.which = moves, which

    def propose(self, key: Key, active: Array, inactive: Array) -> Any:
        return jax.lax.switch(self.which, [move.propose for move in self.moves.values()], key, active, inactive)

    def directions(self, key: Key, inactive: Array) -> Array:
        return jax.lax.switch(self.which, [move.directions for move in self.moves.values()], key, inactive)


def metropolis(which: Array, kind: Callable[..., Any] = AffineInvariant) -> Any:
    """Metropolis updates by one of the proposals, right and faulty."""
    return kind(moves=(_Chosen({**PROPOSALS, **FAULTY_PROPOSALS}, which),), weights=(1.0,))


def slices(which: Array) -> EnsembleSlice:
    """Slice updates along one of the directions, with so low a limit of steps that many intervals meet it."""
    return EnsembleSlice(moves=(_Chosen(DIRECTIONS, which),), weights=(1.0,), max_steps=4, max_iter=1000)


def faulty_slices(which: Array) -> FaultySlice:
    """The same with one of the faults."""
    return FaultySlice(moves=(), weights=(), max_steps=4, max_iter=300, fault=which)


def move_ensembles(
    make: Callable[..., Any],
    which: int,
    target: ExactTarget = CURVED,
    *,
    num: int = 6000,
    iterations: int = 3,
    scale: float | None = None,
    seed: int = 0,
    starts: np.ndarray | None = None,
) -> Moves:
    """Start ensembles of walkers from exact draws, or at given places, and apply a transition to random halves of them a few times.

    Args:
        make: a kernel of a number.
        which: the number.
        target: what to sample.
        num: of ensembles.
        iterations: how often.
        scale: of slices.
        seed: of the starts and of the keys.
        starts: `(num, walkers, d)`.
    """
    if starts is None:
        starts = target.draw(np.random.default_rng(seed), num * WALKERS).reshape(num, WALKERS, -1)
    starts = starts.astype(jnp.result_type(float))
    settings = () if scale is None else (jnp.asarray(scale, starts.dtype),)
    walkers, info = _move(make, target, jnp.int32(which), settings, raw_keys(seed, num, iterations, 3), starts)
    return Moves(starts, np.asarray(walkers.position), walkers, info)


@partial(jax.jit, static_argnums=(0, 1))
def _move(make: Callable[..., Any], target: ExactTarget, which: Array, settings: Any, keys: Array, starts: Any) -> Any:
    kernel = make(which)

    def update(key: Key, active: Walkers, inactive: Walkers, carry: Any) -> Any:
        moved, info = kernel.update(key, active, inactive.position, target, *settings)
        return moved, carry, info

    def step(walkers: Walkers, keys: Array) -> Any:
        order = jnp.argsort(jax.random.uniform(keys[2], starts.shape[1]))
        walkers, _, info = in_turn(update, walkers, (), (keys[0], keys[1]), order)
        return walkers, info

    def ensemble(pair: tuple[Array, Array]) -> Any:
        keys, position = pair
        return jax.lax.scan(step, Walkers(position, jax.vmap(target)(position)), keys)

    # A loop over ensembles in place of a batch of them: its program is a third of the work for the compiler.
    return jax.lax.map(ensemble, (keys, starts))
