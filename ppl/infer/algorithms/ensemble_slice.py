"""Ensemble slice sampling: each walker draws from a slice of the target along a direction that the other half suggests.

Source: Karamanis, Beutler (2021), "Ensemble slice sampling", Stat. Comput. 31:61; stepping out and shrinking: Neal (2003), "Slice
sampling", Ann. Stat. 31(3), section 4.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from ppl import _random as random
from ppl._typing import Array, Key
from ppl.infer.algorithms.ensembles import (
    Reach,
    Walkers,
    check_setting,
    choose,
    covariance_root,
    draw,
    normal_draws,
    random_pairs,
    select_walkers,
)
from ppl.infer.algorithms.fused import call_fused
from ppl.infer.algorithms.protocols import Target

__all__ = ["DifferentialMove", "DirectionMove", "EnsembleSlice", "GaussianMove", "KDEMove", "RandomMove", "SliceInfo"]


class SliceInfo(NamedTuple):
    """What happened to each walker `(n,)`.

    Attributes:
        num_expansions: steps by which the interval grew.
        num_contractions: draws that missed the slice, so that the interval shrank.
        at_limit: whether a limit ended one of them; after too many contractions the walker stays.
        last_position: `(n, d)`, where an energy was not a number, else where the walker went.
        is_nan: whether there was such a place.
    """

    num_expansions: Array
    num_contractions: Array
    at_limit: Array
    last_position: Array
    is_nan: Array


class DirectionMove(ABC):
    """How directions for the walkers of one half are drawn from the other: by a law that is the same for v and for -v."""

    reach: ClassVar[Reach] = Reach.EVERYWHERE

    @abstractmethod
    def directions(self, key: Key, inactive: Array) -> Array:
        """Directions `(m, d)` from the positions `(m, d)` of the other half; their length is the unit of the slice's interval."""


@dataclass(frozen=True)
class DifferentialMove(DirectionMove):
    """The difference of two walkers of the other half.

    Source: Karamanis, Beutler (2021), section 3.1, "differential move".
    """

    reach = Reach.HALF

    def directions(self, key: Key, inactive: Array) -> Array:
        """`x_r - x_s`, r and s different."""
        size = len(inactive)
        first, second = random_pairs(draw(key, inactive.dtype, uniforms=2 * size).uniforms.reshape(2, size), size)
        return inactive[first] - inactive[second]


@dataclass(frozen=True)
class GaussianMove(DirectionMove):
    """A normal draw with the covariance of the other half.

    Source: Karamanis, Beutler (2021), section 3.1, "Gaussian move".
    """

    reach = Reach.HALF

    def directions(self, key: Key, inactive: Array) -> Array:
        """`2 n`, n from N(0, cov)."""
        return 2.0 * normal_draws(key, covariance_root(inactive), len(inactive))


@dataclass(frozen=True)
class RandomMove(DirectionMove):
    """A direction uniform on the sphere, whatever the other half: not affine invariant, but it leads everywhere.

    Source: Karamanis, Beutler (2021), section 2.3.
    """

    def directions(self, key: Key, inactive: Array) -> Array:
        """Twice a unit vector."""
        normals = draw(key, inactive.dtype, normals=inactive.size).normals.reshape(inactive.shape)
        tiny = jnp.finfo(inactive.dtype).tiny
        return 2.0 * normals / jnp.maximum(jnp.linalg.norm(normals, axis=1, keepdims=True), tiny)


@dataclass(frozen=True)
class KDEMove(DirectionMove):
    """The difference of two draws from a kernel density estimate of the other half, which may lead from mode to mode.

    Args:
        bw_method: bandwidth in units of the sample covariance's root: `"scott"` (also None), `m^(-1/(d+4))` for m walkers in the
            half; `"silverman"`, `(m (d+2) / 4)^(-1/(d+4))`; or a number.

    Raises:
        TypeError: if it is of another type.
        ValueError: if it is another word, or a number that is not positive.

    Source: Karamanis, Beutler (2021), section 3.2; bandwidths: Scott (1992), "Multivariate density estimation", section 6.3.
    """

    reach = Reach.HALF
    bw_method: str | float | None = None

    def __post_init__(self) -> None:
        if isinstance(self.bw_method, str):
            if self.bw_method not in ("scott", "silverman"):
                raise ValueError(f'KDEMove: bw_method must be "scott", "silverman" or a number, found {self.bw_method!r}')
        elif self.bw_method is not None:
            check_setting("KDEMove", "bw_method", self.bw_method, 0.0)

    def bandwidth(self, size: int, dimension: int) -> float:
        """The bandwidth for so many walkers in a half."""
        if isinstance(self.bw_method, str) or self.bw_method is None:
            count = size if self.bw_method != "silverman" else size * (dimension + 2) / 4
            return float(count ** (-1 / (dimension + 4)))
        return float(self.bw_method)

    def directions(self, key: Key, inactive: Array) -> Array:
        """`a - b`, both `x_j + h n`, n from N(0, cov)."""
        size, d = inactive.shape
        draws = draw(key, inactive.dtype, keys=1, uniforms=2 * size)
        first, second = random_pairs(draws.uniforms.reshape(2, size), size)
        noise = normal_draws(draws.keys[0], covariance_root(inactive), size)
        # The difference of the noise of two draws has twice the covariance of one.
        return inactive[first] - inactive[second] + float(np.sqrt(2.0)) * self.bandwidth(size, d) * noise


class _Slices(NamedTuple):
    """Slices under way, `(m,)` each, in units of the directions: 0 is where the walker is.

    Attributes:
        left: lower end of the interval.
        right: upper end.
        left_steps: how often the lower end may still step out; 0 once it is outside the slice.
        right_steps: the same for the upper end.
        offset: where the walker goes.
        potential_energy: the energy there.
        is_done: whether it has arrived.
        num_expansions: as in `SliceInfo`.
        num_contractions: the same.
        nan_offset: where an energy was not a number; nan: nowhere.
        iteration: turns of the loop, a scalar.
    """

    left: Array
    right: Array
    left_steps: Array
    right_steps: Array
    offset: Array
    potential_energy: Array
    is_done: Array
    num_expansions: Array
    num_contractions: Array
    nan_offset: Array
    iteration: Array


class _Point(NamedTuple):
    """Where each walker looks next: at which end, or in between; the offset `(m,)` and the position `(m, d)`."""

    is_left: Array
    is_right: Array
    is_draw: Array
    offset: Array
    position: Array


@dataclass(frozen=True)
class EnsembleSlice:
    """Slice updates of one half of an ensemble along directions by one of several moves.

    Attributes:
        moves: of which one is taken for all walkers of the half.
        weights: their probabilities.
        max_steps: an interval has at most this length, in units of the directions.
        max_iter: contractions at most. The walker then stays, which leaves the target invariant: the way back takes as many.
    """

    moves: tuple[DirectionMove, ...]
    weights: tuple[float, ...]
    max_steps: int
    max_iter: int

    def update(self, key: Key, active: Walkers, inactive: Array, target: Target, scale: Array) -> tuple[Walkers, SliceInfo]:
        """The walkers `(m, ...)` after one step each, given the positions of the other half; `scale` multiplies the directions."""
        m = len(active.position)
        draws = draw(key, active.position.dtype, keys=2, uniforms=3 * m + 1)
        k_move, k_loop = draws.keys
        moves = [move.directions for move in self.moves]
        direction = scale * choose(draws.uniforms[3 * m], self.weights, moves, k_move, inactive)
        level_noise, place, share = draws.uniforms[: 3 * m].reshape(3, m)
        level = active.potential_energy - jnp.log1p(-level_noise)
        end = lax.while_loop(
            lambda slices: jnp.any(~slices.is_done),
            lambda slices: self._advance(slices, k_loop, active.position, direction, level, target),
            self._begin(active, place, share),
        )
        moved = Walkers(active.position + end.offset[:, None] * direction, end.potential_energy)
        has_nan = ~jnp.isnan(end.nan_offset)
        nan_position = active.position + end.nan_offset[:, None] * direction
        info = SliceInfo(
            num_expansions=end.num_expansions,
            num_contractions=end.num_contractions,
            at_limit=(end.num_expansions >= max(self.max_steps - 1, 1)) | (end.num_contractions >= self.max_iter),
            last_position=jnp.where(has_nan[:, None], nan_position, moved.position),
            is_nan=has_nan,
        )
        return select_walkers(end.offset == 0.0, active, moved), info

    def _begin(self, active: Walkers, place: Array, share: Array) -> _Slices:
        """An interval of length 1 around 0; its ends may step out `max_steps - 1` times in all, split between them at random."""
        left_steps = (share * self.max_steps).astype(jnp.int32)
        none = jnp.zeros_like(left_steps)
        return _Slices(
            left=-place,
            right=1.0 - place,
            left_steps=left_steps,
            right_steps=self.max_steps - 1 - left_steps,
            offset=jnp.zeros_like(place),
            potential_energy=active.potential_energy,
            is_done=none > 0,
            num_expansions=none,
            num_contractions=none,
            nan_offset=jnp.full_like(place, jnp.nan),
            iteration=jnp.int32(0),
        )

    def _cuts_lower(self, slices: _Slices, at: Array) -> Array:
        """Whether a draw that missed becomes the lower end: the interval goes on to hold the walker."""
        return at < 0.0

    def _advance(self, slices: _Slices, key: Key, position: Array, direction: Array, level: Array, target: Target) -> _Slices:
        """Evaluate each walker's next point: its left end until that is outside, then its right end, then draws in between.

        So the program holds the target once, and a walker waits for the slowest of its half once, not after each phase.
        """
        point = call_fused(self._next_point, key, slices, position, direction)
        energy = jax.vmap(target)(point.position)
        return call_fused(self._go_on, slices, point, energy, level)

    def _next_point(self, key: Key, slices: _Slices, position: Array, direction: Array) -> _Point:
        uniforms = random.draw(key, slices.left.dtype, uniforms=slices.left.size, stage=slices.iteration).uniforms
        is_left = ~slices.is_done & (slices.left_steps > 0)
        is_right = ~slices.is_done & ~is_left & (slices.right_steps > 0)
        is_draw = ~(slices.is_done | is_left | is_right)
        between = slices.left + uniforms * (slices.right - slices.left)
        at = jnp.where(is_left, slices.left, jnp.where(is_right, slices.right, jnp.where(is_draw, between, slices.offset)))
        return _Point(is_left, is_right, is_draw, at, position + at[:, None] * direction)

    def _go_on(self, slices: _Slices, point: _Point, energy: Array, level: Array) -> _Slices:
        is_left, is_right, is_draw, at, _ = point
        # An energy that is not a number, or minus infinity, is outside.
        is_inside = (energy <= level) & jnp.isfinite(energy)
        is_accepted, is_missed = is_draw & is_inside, is_draw & ~is_inside
        num_contractions = slices.num_contractions + is_missed.astype(jnp.int32)
        grows_left, grows_right = is_left & is_inside, is_right & is_inside
        is_lower = self._cuts_lower(slices, at)
        return _Slices(
            left=jnp.where(is_missed & is_lower, at, slices.left - grows_left.astype(at.dtype)),
            right=jnp.where(is_missed & ~is_lower, at, slices.right + grows_right.astype(at.dtype)),
            left_steps=jnp.where(is_left, jnp.where(is_inside, slices.left_steps - 1, 0), slices.left_steps),
            right_steps=jnp.where(is_right, jnp.where(is_inside, slices.right_steps - 1, 0), slices.right_steps),
            offset=jnp.where(is_accepted, at, slices.offset),
            potential_energy=jnp.where(is_accepted, energy, slices.potential_energy),
            is_done=slices.is_done | is_accepted | (num_contractions >= self.max_iter),
            num_expansions=slices.num_expansions + (grows_left | grows_right).astype(jnp.int32),
            num_contractions=num_contractions,
            nan_offset=jnp.where(jnp.isnan(energy) & ~slices.is_done, at, slices.nan_offset),
            iteration=slices.iteration + 1,
        )
