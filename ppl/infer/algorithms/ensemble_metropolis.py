"""The affine invariant ensemble sampler: each walker is proposed a move along lines through the walkers of the other half."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ppl._typing import Array, Key
from ppl.infer.algorithms.ensembles import Reach, Walkers, check_setting, choose, draw, random_pairs, select_walkers
from ppl.infer.algorithms.protocols import Target

__all__ = ["AffineInvariant", "DEMove", "MetropolisInfo", "ProposalMove", "StretchMove"]


class MetropolisInfo(NamedTuple):
    """Of each walker: its acceptance probability, where it was to go `(n, d)`, and whether the energy there was not a number."""

    accept_prob: Array
    last_position: Array
    is_nan: Array


class ProposalMove(ABC):
    """How new positions of one half are proposed, given the other."""

    reach: ClassVar[Reach] = Reach.EVERYWHERE

    @abstractmethod
    def propose(self, key: Key, active: Array, inactive: Array) -> tuple[Array, Array]:
        """Proposals for positions `(m, d)` from those of the other half `(m, d)`.

        Returns:
            Proposals `(m, d)`, and `(m,)` the log of the factor by which the density of the way back exceeds that of the way there.
        """


@dataclass(frozen=True)
class StretchMove(ProposalMove):
    """Along the line to a walker of the other half: `y = x_j + z (x_k - x_j)`, where z on [1/a, a] has a density as 1/sqrt(z).

    The ratio of densities is that of the target times `z^(d - 1)`.

    Args:
        a: the longest stretch, greater than 1.

    Raises:
        TypeError: if it is no number.
        ValueError: if it is not greater than 1.

    Source: Goodman, Weare (2010), CAMCoS 5(1), eqs. 7 to 10.
    """

    reach = Reach.HULL
    a: float = 2.0

    def __post_init__(self) -> None:
        check_setting("StretchMove", "a", self.a, 1.0)

    def propose(self, key: Key, active: Array, inactive: Array) -> tuple[Array, Array]:
        """Stretched positions, and `(d - 1) log z`."""
        m, d = active.shape
        uniforms = draw(key, active.dtype, uniforms=2 * m).uniforms.reshape(2, m)
        z = (float(self.a - 1) * uniforms[0] + 1.0) ** 2 / float(self.a)
        partner = inactive[(uniforms[1] * len(inactive)).astype(jnp.int32)]
        return partner + z[:, None] * (active - partner), (d - 1) * jnp.log(z)


@dataclass(frozen=True)
class DEMove(ProposalMove):
    """Differential evolution: `y = x_k + g (x_r - x_s)` with two walkers of the other half, where `g = g0 (1 + sigma n)`, n normal.

    With `g0=1` a walker may jump from one mode to another; mix such a move in where there are several.

    Args:
        sigma: relative spread of the factor g.
        g0: its mean; None: `2.38 / sqrt(2 d)`.

    Raises:
        TypeError: if an argument is no number.
        ValueError: if `sigma` is negative or `g0` not positive.

    Source: ter Braak (2006), Stat. Comput. 16, eq. 2; Nelson, Ford, Payne (2014), ApJS 210:11, section 2.
    """

    reach = Reach.HALF
    sigma: float = 1e-5
    g0: float | None = None

    def __post_init__(self) -> None:
        if self.sigma != 0:
            check_setting("DEMove", "sigma", self.sigma, 0.0)
        if self.g0 is not None:
            check_setting("DEMove", "g0", self.g0, 0.0)

    def propose(self, key: Key, active: Array, inactive: Array) -> tuple[Array, Array]:
        """Shifted positions; the way back is as likely as the way there."""
        m, d = active.shape
        draws = draw(key, active.dtype, uniforms=2 * m, normals=m)
        first, second = random_pairs(draws.uniforms.reshape(2, m), len(inactive))
        g0 = 2.38 / np.sqrt(2.0 * max(d, 1)) if self.g0 is None else self.g0
        factor = float(g0) * (1.0 + float(self.sigma) * draws.normals)
        return active + factor[:, None] * (inactive[first] - inactive[second]), jnp.zeros(m, active.dtype)


@dataclass(frozen=True)
class AffineInvariant:
    """Metropolis updates of one half of an ensemble, by one of several moves.

    Attributes:
        moves: of which one is taken for all walkers of the half.
        weights: their probabilities.
    """

    moves: tuple[ProposalMove, ...]
    weights: tuple[float, ...]

    def update(self, key: Key, active: Walkers, inactive: Array, target: Target) -> tuple[Walkers, MetropolisInfo]:
        """The walkers `(m, ...)` after one step each, given the positions of the other half."""
        m = len(active.position)
        draws = draw(key, active.position.dtype, keys=1, uniforms=m + 1)
        moves = [move.propose for move in self.moves]
        position, log_factor = choose(draws.uniforms[m], self.weights, moves, draws.keys[0], active.position, inactive)
        energy = jax.vmap(target)(position)
        log_ratio = jnp.where(jnp.isfinite(energy), log_factor + active.potential_energy - energy, -jnp.inf)
        accept_prob = jnp.exp(jnp.minimum(log_ratio, 0.0))
        proposed = Walkers(position=position, potential_energy=energy)
        info = MetropolisInfo(accept_prob=accept_prob, last_position=position, is_nan=jnp.isnan(energy))
        return select_walkers(draws.uniforms[:m] < accept_prob, proposed, active), info
