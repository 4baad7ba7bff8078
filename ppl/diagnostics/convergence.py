"""Whether chains agree: potential scale reduction, and the energy statistic of Hamiltonian Monte Carlo.

Gelman and Rubin (1992); Vehtari, Gelman, Simpson, Carpenter and Buerkner (2021), "Rank-normalization, folding, and
localization: an improved R-hat"; Betancourt (2016), "Diagnosing suboptimal cotangent disintegrations".
"""

import numpy as np
from jax.typing import ArrayLike

from ppl.diagnostics.draws import Floats, as_draws, map_coordinates, pooled, split_chains
from ppl.diagnostics.quantiles import normal_scores


def gelman_rubin(x: ArrayLike) -> Floats:
    """Potential scale reduction of whole chains: ``sqrt(V / W)``, ``V = (n - 1)/n W + B/n``.

    ``W`` is the mean of the chains' variances and ``B/n`` the variance of their means (0 for a single chain).

    :param x: draws ``(chains, draws, *shape)``, at least 2 draws.
    :returns: an array of shape ``shape``; nan where nothing varies or something is not finite.
    :raises ValueError: for fewer axes or draws.
    """
    return map_coordinates(rhat, x, "gelman_rubin", min_draws=2)


def split_gelman_rubin(x: ArrayLike) -> Floats:
    """:func:`gelman_rubin` of the half chains, which also sees a chain that drifts; at least 4 draws.

    >>> import numpy as np
    >>> drifting = np.linspace(0.0, 1.0, 100)[None]
    >>> float(split_gelman_rubin(drifting)) > 2
    True
    """
    return map_coordinates(lambda b: rhat(split_chains(b)), x, "split_gelman_rubin", min_draws=4)


def rank_normalized_rhat(x: ArrayLike) -> Floats:
    """The larger split R-hat of the normal scores and of the folded normal scores; converged below 1.01.

    Normal scores make it defined for every distribution, without moments too; folding, ``abs(x - median)``, makes it see
    chains that differ in scale alone.

    :param x: draws ``(chains, draws, *shape)``, at least 4 draws.
    :returns: an array of shape ``shape``; nan where nothing varies or something is not finite.
    :raises ValueError: for fewer axes or draws.
    """
    return map_coordinates(_rank_normalized, x, "rank_normalized_rhat", min_draws=4)


def ebfmi(energy: ArrayLike) -> Floats:
    """Energy fraction of missing information of each chain, ``sum (E_n - E_{n-1})^2 / sum (E_n - mean E)^2``.

    Below 0.3 the momentum hardly moves the chain between levels of energy, and tails are explored slowly.

    :param energy: total energies ``(chains, draws)`` or ``(draws,)``.
    :returns: an array ``(chains,)`` or a scalar; nan where the energy is constant, or not finite.

    >>> float(ebfmi([0.0, 1.0, 0.0, 1.0]))
    3.0
    """
    levels = as_draws(energy, "ebfmi").astype(np.float64)
    if levels.ndim not in (1, 2):
        raise ValueError(f"ebfmi: expected energies of shape (chains, draws) or (draws,), found {levels.shape}")
    with np.errstate(divide="ignore", invalid="ignore"):
        change = np.sum(np.diff(levels, axis=-1) ** 2, axis=-1)
        return change / np.sum((levels - levels.mean(axis=-1, keepdims=True)) ** 2, axis=-1)


def variances(x: Floats) -> tuple[Floats, Floats]:
    """Within-chain variance ``W`` and pooled estimate ``V = (n - 1)/n W + B/n`` of ``(b, c, n)``; both ``(b,)``."""
    count, n = x.shape[-2:]
    within = x.var(axis=-1, ddof=1).mean(axis=-1)
    between = x.mean(axis=-1).var(axis=-1, ddof=1) if count > 1 else 0.0
    return within, (n - 1) / n * within + between


def rhat(x: Floats) -> Floats:
    """``sqrt(V / W)`` of ``(b, c, n)``."""
    within, total = variances(x)
    return np.sqrt(total / within)


def rank_normalize(x: Floats) -> Floats:
    """Normal scores over all chains together, ``(b, c, n)`` to ``(b, c, n)``."""
    return normal_scores(pooled(x)).reshape(x.shape)


def _rank_normalized(x: Floats) -> Floats:
    halves = split_chains(x)
    folded = np.abs(halves - np.median(pooled(halves), axis=-1)[:, None, None])
    return np.maximum(rhat(rank_normalize(halves)), rhat(rank_normalize(folded)))
