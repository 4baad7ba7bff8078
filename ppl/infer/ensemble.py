"""Ensemble samplers: all chains are the walkers of one ensemble, and learn from each other where to go, without gradients."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from ppl import _random as random
from ppl._typing import Array, Key
from ppl.infer.adaptation.slice_length import SliceTuning, tune_length
from ppl.infer.algorithms.ensemble_metropolis import AffineInvariant, DEMove, ProposalMove, StretchMove
from ppl.infer.algorithms.ensemble_slice import (
    DifferentialMove,
    DirectionMove,
    EnsembleSlice,
    GaussianMove,
    KDEMove,
    RandomMove,
)
from ppl.infer.algorithms.ensembles import Walkers
from ppl.infer.arguments import check_number
from ppl.infer.ensemble_process import EnsembleSamplerState
from ppl.infer.ensemble_sampler import EnsembleSampler
from ppl.infer.initialization import init_to_uniform

__all__ = ["AIES", "ESS", "AIESState", "ESSState", "EnsembleSampler", "EnsembleSamplerState"]


class AIESState(NamedTuple):
    """The inner state of AIES.

    Attributes:
        i: iteration; counts on through warm-up.
        accept_prob: acceptance probability of the last iteration, a mean over the walkers.
        mean_accept_prob: mean of those so far, restarted after warm-up.
        rng_key: key of the next update.
    """

    i: Any
    accept_prob: Any
    mean_accept_prob: Any
    rng_key: Any


class ESSState(NamedTuple):
    """The inner state of ESS.

    Attributes:
        i: iteration; counts on through warm-up.
        n_expansions: of all walkers, since `mu` was last tuned; after warm-up of the last iteration.
        n_contractions: the same.
        mu: the length of intervals, in units of the moves' directions.
        rng_key: key of the next update.
    """

    i: Any
    n_expansions: Any
    n_contractions: Any
    mu: Any
    rng_key: Any


def _normalized(kernel: str, moves: Any, kind: type, default: Any, example: str) -> tuple[tuple[Any, ...], tuple[float, ...]]:
    """Moves with a positive weight, and their weights divided by the sum.

    Raises:
        TypeError: if `moves` is no dict.
        AssertionError: if a move is of another kind.
        ValueError: if weights are no numbers, or are not positive.
    """
    moves = {default: 1.0} if moves is None else moves
    if not isinstance(moves, Mapping):
        raise TypeError(f"{kernel}: moves must be a dict from moves to weights, such as {{{example}: 1.0}}, found {moves!r}")
    for move, weight in moves.items():
        if not isinstance(move, kind):
            raise AssertionError(f"{kernel}: Each move must be one such as {example}, found {move!r}")
        is_number = isinstance(weight, int | float | np.integer | np.floating) and not isinstance(weight, bool)
        if not is_number or not 0 <= weight < np.inf:
            raise ValueError(f"{kernel}: the weight of a move must be a number, at least 0; found {weight!r} for {move!r}")
    total = sum(moves.values())
    if not total > 0:
        raise ValueError(f"{kernel}: moves must have a positive weight in all, found {dict(moves)!r}")
    kept = {move: float(weight / total) for move, weight in moves.items() if weight > 0}
    return tuple(kept), tuple(kept.values())


class AIES(EnsembleSampler):
    """The affine invariant ensemble sampler: Metropolis updates along lines through other walkers.

    It has nothing to tune, and a linear map of the parameters changes nothing about how well it mixes. It takes at least twice as
    many chains as there are dimensions, and many draws; beyond some tens of dimensions a kernel with gradients does much better.
    Chains depend on each other: R-hat between them is no proof of convergence.

    Args:
        model: the model; exactly one of it and `potential_fn`.
        potential_fn: the potential energy, a function of a pytree of unconstrained values; `init_params` is then needed.
        randomize_split: draw the halves anew in each iteration.
        moves: a dict from moves, `AIES.DEMove()` and `AIES.StretchMove()`, to weights; default: `AIES.DEMove()` alone. In each
            update of a half, one of them is taken with a probability in proportion to its weight.
        init_strategy: start values, for each chain its own.

    Raises:
        AssertionError: if a move is none; in a run, if `chain_method` is not `"vectorized"` or the number of chains is odd.
        ValueError: if a weight is not a number or negative; in a run, if the chains could never leave a subspace.

    Source: Goodman, Weare (2010), CAMCoS 5(1), section 2; Foreman-Mackey et al. (2013), PASP 125; ter Braak (2006), Stat. Comput.
    16.

    Example:
        >>> import ppl
        >>> import ppl.distributions as dist
        >>> from jax import random
        >>> from ppl.infer import AIES, MCMC
        >>> def model(y):
        ...     mu = ppl.sample("mu", dist.Normal(0.0, 10.0))
        ...     ppl.sample("y", dist.Normal(mu, 1.0), obs=y)
        >>> kernel = AIES(model, moves={AIES.DEMove(): 0.7, AIES.StretchMove(): 0.3})
        >>> mcmc = MCMC(kernel, num_warmup=50, num_samples=50, num_chains=8, chain_method="vectorized", progress_bar=False)
        >>> mcmc.run(random.key(0), 2.0)
        >>> mcmc.get_samples(group_by_chain=True)["mu"].shape
        (8, 50)
    """

    DEMove = DEMove
    StretchMove = StretchMove
    statistics = ("potential_energy", "accept_prob")

    def __init__(
        self,
        model: Callable[..., Any] | None = None,
        potential_fn: Callable[..., Any] | None = None,
        randomize_split: bool = False,
        moves: Mapping[ProposalMove, float] | None = None,
        init_strategy: Callable[..., Any] = init_to_uniform,
    ) -> None:
        super().__init__(model, potential_fn, randomize_split=randomize_split, init_strategy=init_strategy)
        self._transition = AffineInvariant(*_normalized("AIES", moves, ProposalMove, DEMove(), "AIES.DEMove()"))
        self.reach = max(move.reach for move in self._transition.moves)

    def init_inner_state(self, rng_key: Key) -> AIESState:
        """Counts at 0."""
        zero = jnp.zeros((), self._running_on().layout.dtype)
        return AIESState(i=jnp.int32(0), accept_prob=zero, mean_accept_prob=zero, rng_key=rng_key)

    def update_active_chains(self, active: Array, inactive: Array, inner_state: AIESState) -> tuple[Array, AIESState]:
        """One Metropolis update of each active walker."""
        return _update_positions(self, active, inactive, inner_state)

    def update_half(self, active: Walkers, inactive: Walkers, inner_state: AIESState) -> tuple[Walkers, AIESState, Any]:
        """One Metropolis update of each active walker."""
        walkers, info = self._transition.update(inner_state.rng_key, active, inactive.position, self._running_on())
        return walkers, inner_state, info

    def end_iteration(self, inner_state: AIESState, info: Any) -> AIESState:
        """Count, and average the acceptance probability."""
        i = inner_state.i + 1
        length = jnp.where(inner_state.i < self._num_warmup, i, i - self._num_warmup)
        accept_prob = jnp.mean(info.accept_prob)
        gain = (accept_prob - inner_state.mean_accept_prob) / length.astype(accept_prob.dtype)
        mean = inner_state.mean_accept_prob + gain
        return inner_state._replace(i=i, accept_prob=accept_prob, mean_accept_prob=mean)

    def describe(self, walkers: Walkers, info: Any) -> Array:
        """Potential energy and acceptance probability."""
        return jnp.stack([walkers.potential_energy, info.accept_prob], 1)

    def restart(self, inner_state: AIESState) -> AIESState:
        """Counts at 0."""
        return inner_state._replace(i=jnp.zeros_like(inner_state.i), mean_accept_prob=jnp.zeros_like(inner_state.mean_accept_prob))

    def get_diagnostics_str(self, state: EnsembleSamplerState) -> str:
        """The mean acceptance probability."""
        return f"acc. prob={float(state.inner_state.mean_accept_prob):.2f}"

    def get_advice(self, fields: Mapping[str, Any]) -> list[str]:
        """A low acceptance probability, and what to do about it."""
        accepted = np.asarray(fields.get("accept_prob", ()))
        if not accepted.size or accepted.mean() >= 0.1:
            return []
        return [
            f"Acceptance probability: {accepted.mean():.2f}. The chains hardly move: take more of them, start them where the "
            "posterior is, or use a kernel with gradients, such as NUTS."
        ]


class ESS(EnsembleSampler):
    """Ensemble slice sampling: each walker draws from a slice of the posterior along a direction that the other half suggests.

    Every draw moves, at about five evaluations of the density. Warm-up tunes one number, `mu`, the length of the first interval, so
    that intervals grow as often as they shrink. Chains depend on each other: R-hat between them is no proof of convergence.

    Args:
        model: the model; exactly one of it and `potential_fn`.
        potential_fn: the potential energy, a function of a pytree of unconstrained values; `init_params` is then needed.
        randomize_split: draw the halves anew in each iteration.
        moves: a dict from moves, `ESS.DifferentialMove()`, `ESS.GaussianMove()`, `ESS.KDEMove()` and `ESS.RandomMove()`, to
            weights; default: `ESS.DifferentialMove()` alone. In each update of a half, one of them is taken with a probability in
            proportion to its weight.
        max_steps: the length to which an interval may grow, as a multiple of its first one.
        max_iter: how often it may shrink.
        init_mu: where tuning starts.
        tune_mu: whether warm-up tunes it.
        init_strategy: start values, for each chain its own.

    Raises:
        AssertionError: if a move is none; in a run, if `chain_method` is not `"vectorized"` or the number of chains is odd.
        ValueError: if a number is out of its range; in a run, if the chains could never leave a subspace.
        TypeError: if a number is none.

    Source: Karamanis, Beutler (2021), Stat. Comput. 31:61, algorithms 2 to 4; Neal (2003), Ann. Stat. 31(3), section 4.

    Example:
        >>> import ppl
        >>> import ppl.distributions as dist
        >>> from jax import random
        >>> from ppl.infer import ESS, MCMC
        >>> def model(y):
        ...     mu = ppl.sample("mu", dist.Normal(0.0, 10.0))
        ...     ppl.sample("y", dist.Normal(mu, 1.0), obs=y)
        >>> mcmc = MCMC(ESS(model), num_warmup=50, num_samples=50, num_chains=8, chain_method="vectorized", progress_bar=False)
        >>> mcmc.run(random.key(0), 2.0)
        >>> mcmc.get_samples(group_by_chain=True)["mu"].shape
        (8, 50)
    """

    RandomMove = RandomMove
    KDEMove = KDEMove
    GaussianMove = GaussianMove
    DifferentialMove = DifferentialMove
    statistics = ("potential_energy", "num_expansions", "num_contractions", "at_limit")

    def __init__(
        self,
        model: Callable[..., Any] | None = None,
        potential_fn: Callable[..., Any] | None = None,
        randomize_split: bool = True,
        moves: Mapping[DirectionMove, float] | None = None,
        max_steps: int = 10_000,
        max_iter: int = 10_000,
        init_mu: float = 1.0,
        tune_mu: bool = True,
        init_strategy: Callable[..., Any] = init_to_uniform,
    ) -> None:
        super().__init__(model, potential_fn, randomize_split=randomize_split, init_strategy=init_strategy)
        for name, count in (("max_steps", max_steps), ("max_iter", max_iter)):
            if isinstance(count, bool) or not isinstance(count, int | np.integer):
                raise TypeError(f"ESS: {name} must be a whole number, found {count!r}")
            check_number("ESS", name, count, 0)
        check_number("ESS", "init_mu", init_mu, 0.0)
        if not isinstance(tune_mu, bool | np.bool_):
            raise TypeError(f"ESS: tune_mu must be True or False, found {tune_mu!r}")
        kinds, weights = _normalized("ESS", moves, DirectionMove, DifferentialMove(), "ESS.DifferentialMove()")
        self._transition = EnsembleSlice(kinds, weights, max_steps=int(max_steps), max_iter=int(max_iter))
        self.reach = max(move.reach for move in kinds)
        self._init_mu = init_mu
        self._tune_mu = bool(tune_mu)

    def init_inner_state(self, rng_key: Key) -> ESSState:
        """Counts at 0, and `init_mu`."""
        mu = jnp.asarray(self._init_mu, self._running_on().layout.dtype)
        none = jnp.int32(0)
        return ESSState(i=none, n_expansions=none, n_contractions=none, mu=mu, rng_key=rng_key)

    def update_active_chains(self, active: Array, inactive: Array, inner_state: ESSState) -> tuple[Array, ESSState]:
        """One slice update of each active walker."""
        return _update_positions(self, active, inactive, inner_state)

    def update_half(self, active: Walkers, inactive: Walkers, inner_state: ESSState) -> tuple[Walkers, ESSState, Any]:
        """One slice update of each active walker."""
        target = self._running_on()
        walkers, info = self._transition.update(inner_state.rng_key, active, inactive.position, target, inner_state.mu)
        return walkers, inner_state, info

    def end_iteration(self, inner_state: ESSState, info: Any) -> ESSState:
        """Count, and in warm-up tune `mu`."""
        grown, shrunk = (jnp.sum(count, dtype=jnp.int32) for count in (info.num_expansions, info.num_contractions))
        tuning = SliceTuning(inner_state.mu, inner_state.n_expansions, inner_state.n_contractions)
        tuning = tune_length(tuning, inner_state.i, grown, shrunk, (inner_state.i < self._num_warmup) & self._tune_mu)
        return inner_state._replace(
            i=inner_state.i + 1, n_expansions=tuning.num_expansions, n_contractions=tuning.num_contractions, mu=tuning.length
        )

    def describe(self, walkers: Walkers, info: Any) -> Array:
        """Potential energy, counts, and whether a limit was reached."""
        counts = (info.num_expansions, info.num_contractions, info.at_limit)
        return jnp.stack([walkers.potential_energy, *(x.astype(walkers.potential_energy.dtype) for x in counts)], 1)

    def restart(self, inner_state: ESSState) -> ESSState:
        """Counts at 0; `mu` stays."""
        none = jnp.zeros_like(inner_state.i)
        return inner_state._replace(i=none, n_expansions=none, n_contractions=none)

    def get_diagnostics_str(self, state: EnsembleSamplerState) -> str:
        """The length of intervals."""
        return f"mu={float(state.inner_state.mu):.2e}"

    def get_advice(self, fields: Mapping[str, Any]) -> list[str]:
        """Draws that ended at a limit, and what to do about them."""
        count = int(np.sum(np.asarray(fields.get("at_limit", 0))))
        if not count:
            return []
        return [
            f"Slices at a limit (max_steps={self._transition.max_steps}, max_iter={self._transition.max_iter}): {count}. The draws "
            "are right, but these moved less than they could: warm up longer so that mu is tuned, or raise the limits."
        ]


def _update_positions(kernel: Any, active: Array, inactive: Array, inner_state: Any) -> tuple[Array, Any]:
    """One update of positions whose energies are not known yet; the inner state gets a new key."""
    k_update, k_next = random.draw(random.words(inner_state.rng_key), active.dtype, keys=2).keys
    walkers = Walkers(position=active, potential_energy=kernel.potential_energies(active))
    others = Walkers(position=inactive, potential_energy=jnp.full(len(inactive), jnp.nan, inactive.dtype))
    moved, inner_state, _ = kernel.update_half(walkers, others, inner_state._replace(rng_key=k_update))
    return moved.position, inner_state._replace(rng_key=k_next)
