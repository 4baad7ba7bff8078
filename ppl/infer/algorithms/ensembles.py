"""Ensembles of walkers: one half is updated given the other, then the other given the first.

Each walker of a half moves by a kernel that leaves the target invariant and whose settings depend on the other half alone; so the
product of the targets of all walkers is invariant. A partner from the walker's own half would break this.

Source: Goodman, Weare (2010), "Ensemble samplers with affine invariance", CAMCoS 5(1), section 2; in halves:
Foreman-Mackey, Hogg, Lang, Goodman (2013), "emcee: the MCMC hammer", PASP 125, section 3.
"""

from collections.abc import Callable, Sequence
from enum import IntEnum
from itertools import accumulate
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from ppl import _random as random
from ppl._typing import Array, Key, PyTree
from ppl.infer.algorithms.fused import call_fused

__all__ = [
    "Reach",
    "Update",
    "Walkers",
    "check_setting",
    "choose",
    "covariance_root",
    "draw",
    "in_turn",
    "normal_draws",
    "random_pairs",
    "reachable_dimension",
    "select_walkers",
]

# (key, active, inactive, carry) -> (active, carry, info): leaves of `active` and of `info` have a leading axis of walkers
Update = Callable[[Key, PyTree, PyTree, PyTree], tuple[PyTree, PyTree, PyTree]]


class Reach(IntEnum):
    """Where moves lead: along differences within a half only, within the affine hull of all walkers, or everywhere."""

    HALF = 0
    HULL = 1
    EVERYWHERE = 2


def reachable_dimension(positions: np.ndarray, reach: Reach) -> int:
    """The dimension of what walkers at `(n, d)` can reach together, where the moves do not lead everywhere."""
    halves = [positions[::2], positions[1::2]] if reach is Reach.HALF else [positions]
    centred = np.concatenate([half - half.mean(0) for half in halves]).astype(np.float64)
    scale = np.abs(centred).max(0)
    return int(np.linalg.matrix_rank(centred / np.where(scale > 0, scale, 1.0)))


class Walkers(NamedTuple):
    """Positions `(n, d)` and their potential energies `(n,)`."""

    position: Array
    potential_energy: Array


def in_turn(
    update: Update, walkers: PyTree, carry: PyTree, keys: Sequence[Key], order: Array | None = None
) -> tuple[PyTree, PyTree, PyTree]:
    """Update both halves, one after the other.

    Args:
        update: of one half, given the other.
        walkers: leaves `(n, ...)`, n even.
        carry: what goes from the first update to the second.
        keys: one for each half.
        order: a permutation `(n,)`: the walkers at even places of it are the first half; None: those of even number.

    Returns:
        The walkers, the carry, and what both updates told, leaves `(n, ...)` in the order of the walkers.
    """

    def turn(loop: tuple[PyTree, PyTree], which: tuple[Array, Key]) -> tuple[tuple[PyTree, PyTree], PyTree]:
        (halves, carry), (half, key) = loop, which
        active, carry, info = update(key, _half(halves, half), _half(halves, 1 - half), carry)
        halves = jax.tree.map(lambda x, new: lax.dynamic_update_index_in_dim(x, new, half, 0), halves, active)
        return (halves, carry), info

    halves = jax.tree.map(lambda x: _split(x, order), walkers)
    (halves, carry), info = lax.scan(turn, (halves, carry), (jnp.arange(2), jnp.stack(keys)))
    walkers, info = jax.tree.map(lambda x: _join(x, order), (halves, info))
    return walkers, carry, info


def _split(x: Array, order: Array | None) -> Array:
    """`(n, ...)` as halves `(2, n/2, ...)`."""
    ordered = x if order is None else x[order]
    return jnp.swapaxes(ordered.reshape((len(x) // 2, 2, *x.shape[1:])), 0, 1)


def _half(halves: PyTree, which: Array) -> PyTree:
    return jax.tree.map(lambda x: lax.dynamic_index_in_dim(x, which, 0, keepdims=False), halves)


def _join(halves: Array, order: Array | None) -> Array:
    """Undo `_split`."""
    ordered = jnp.swapaxes(halves, 0, 1).reshape((2 * halves.shape[1], *halves.shape[2:]))
    return ordered if order is None else jnp.zeros_like(ordered).at[order].set(ordered, unique_indices=True)


def choose(uniform: Array, weights: Sequence[float], branches: Sequence[Callable[..., Any]], *operands: Any) -> Any:
    """The result of one branch, branch i with probability `weights[i]`; they sum to 1."""
    if len(branches) == 1:
        return branches[0](*operands)
    edges = np.array(list(accumulate(weights))[:-1], uniform.dtype)
    return lax.switch(jnp.sum(uniform >= edges, dtype=jnp.int32), branches, *operands)


def draw(key: Key, dtype: Any, **counts: int) -> random.Draws:
    """Keys and numbers as from `ppl._random.draw`, by one kernel where updates are fused: many are compiled as fast as few."""
    return call_fused(lambda key: random.draw(key, dtype, **counts), key)


def random_pairs(uniforms: Array, size: int) -> tuple[Array, Array]:
    """Pairs `(m,)`, `(m,)` of different numbers below `size`, uniform over all ordered pairs, of uniform numbers `(2, m)`."""
    first = (uniforms[0] * size).astype(jnp.int32)
    other = (uniforms[1] * (size - 1)).astype(jnp.int32)
    return first, other + (other >= first).astype(jnp.int32)


def covariance_root(positions: Array) -> Array:
    """A matrix R `(k, d)` with R'R the sample covariance of positions `(m, d)`, singular or not."""
    centred = positions - jnp.mean(positions, 0, keepdims=True)
    return jnp.linalg.qr(centred, mode="r") / np.sqrt(max(len(positions) - 1, 1)).astype(positions.dtype)


def normal_draws(key: Key, root: Array, count: int) -> Array:
    """Draws `(count, d)` from N(0, R'R), for a root R `(k, d)`."""
    normals = draw(key, root.dtype, normals=count * len(root)).normals
    return normals.reshape(count, len(root)) @ root


def select_walkers(mask: Array, if_true: Walkers, if_false: Walkers) -> Walkers:
    """Walker by walker, from the first where the mask `(n,)` holds, else from the second."""
    return Walkers(
        position=jnp.where(mask[:, None], if_true.position, if_false.position),
        potential_energy=jnp.where(mask, if_true.potential_energy, if_false.potential_energy),
    )


def check_setting(owner: str, name: str, value: object, low: float) -> None:
    """Check a number that the user has chosen.

    Raises:
        TypeError: if it is no number.
        ValueError: if it is not finite, or not greater than `low`.
    """
    if isinstance(value, bool) or not isinstance(value, int | float | np.integer | np.floating):
        raise TypeError(f"{owner}: {name} must be a number, found {value!r}")
    if not low < value < np.inf:
        raise ValueError(f"{owner}: {name} must be greater than {low:g}, found {value!r}")
