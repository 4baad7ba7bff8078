"""Effective sample sizes from the autocorrelation of several chains (Geyer 1992; Vehtari et al. 2021)."""

import numpy as np
from jax.typing import ArrayLike

from ppl.diagnostics.autocovariance import autocovariance_last
from ppl.diagnostics.convergence import rank_normalize, variances
from ppl.diagnostics.draws import Floats, check_probability, map_coordinates, pooled, split_chains


def effective_sample_size(x: ArrayLike, bias: bool = True) -> Floats:
    """Effective sample size of the mean of whole chains, ``S / tau``, by Geyer's initial monotone sequence.

    With ``rho_t = 1 - (W - mean_c gamma_t) / V`` and ``P_k = rho_2k + rho_2k+1``, ``tau = -1 + 2 sum_k P_k``, where the sum ends at
    the first pair that is not positive, and no pair exceeds the one before it. :func:`ess_bulk` and :func:`ess_tail` also see
    chains that drift, and are the ones to judge a run by.

    :param x: draws ``(chains, draws, *shape)``, at least 2 draws.
    :param bias: use the biased autocovariance (less variance).
    :returns: an array of shape ``shape``; above the number of draws for antithetic chains; nan where nothing varies or something
        is not finite.
    :raises ValueError: for fewer axes or draws.

    >>> import numpy as np
    >>> x = np.random.default_rng(0).standard_normal((4, 1000))
    >>> 3000 < float(effective_sample_size(x)) < 5000
    True
    """

    def statistic(batch: Floats) -> Floats:
        return batch.shape[1] * batch.shape[2] / _geyer_time(_correlations(batch, bias))

    return map_coordinates(statistic, x, "effective_sample_size", min_draws=2)


def ess_mean(x: ArrayLike) -> Floats:
    """Effective sample size for the mean: that of the half chains, without ranks; at least 4 draws."""
    return map_coordinates(split_size, x, "ess_mean", min_draws=4)


def ess_bulk(x: ArrayLike) -> Floats:
    """Effective sample size of the normal scores of the half chains; 400 or more for four chains is enough.

    :param x: draws ``(chains, draws, *shape)``, at least 4 draws.
    :returns: an array of shape ``shape``; nan where nothing varies or something is not finite.
    :raises ValueError: for fewer axes or draws.
    """
    return map_coordinates(lambda b: _size(rank_normalize(split_chains(b))), x, "ess_bulk", min_draws=4)


def ess_tail(x: ArrayLike) -> Floats:
    """The smaller of the effective sample sizes of the 5 % and the 95 % quantile (:func:`ess_quantile`)."""

    def statistic(batch: Floats) -> Floats:
        low, high = np.quantile(pooled(batch), [0.05, 0.95], axis=-1)
        return np.fmin(_indicator_size(batch, low), _indicator_size(batch, high))

    return map_coordinates(statistic, x, "ess_tail", min_draws=4)


def ess_quantile(x: ArrayLike, prob: float) -> Floats:
    """Effective sample size of the indicator of ``x <= quantile``, which governs the error of that quantile; at least 4 draws."""
    check_probability("ess_quantile", prob)
    return map_coordinates(lambda b: quantile_size(b, prob), x, "ess_quantile", min_draws=4)


def split_size(x: Floats) -> Floats:
    """The effective sample size of the half chains of ``(b, c, n)``."""
    return _size(split_chains(x))


def quantile_size(x: Floats, prob: float) -> Floats:
    """The effective sample size of the indicator of ``x <= quantile`` for ``(b, c, n)``."""
    return _indicator_size(x, np.quantile(pooled(x), prob, axis=-1))


def _indicator_size(x: Floats, threshold: Floats) -> Floats:
    """An indicator that is constant (more than 95 % of the draws tied, say) has no size: nan."""
    return split_size((x <= threshold[:, None, None]).astype(np.float64))


def _size(x: Floats) -> Floats:
    """``S / tau`` with the single positive term after the last pair, which steadies antithetic chains, and a bound on ``tau``."""
    total = x.shape[1] * x.shape[2]
    time = _geyer_time(_correlations(x, True), half_pair=True)
    return total / np.maximum(time, 1 / np.log10(total))


def _correlations(x: Floats, bias: bool) -> Floats:
    """``rho_t = 1 - (W - mean_c gamma_t) / V`` for ``(b, c, n)``, shape ``(b, n)``, with ``rho_0 = 1``."""
    n = x.shape[-1]
    gamma = autocovariance_last(x).mean(axis=1)
    if not bias:
        gamma = gamma * (n / np.arange(n, 0, -1))
    within, total = variances(x)
    rho = 1 - (within[:, None] - gamma) / total[:, None]
    rho[:, 0] = 1.0
    return rho


def _geyer_time(rho: Floats, *, half_pair: bool = False) -> Floats:
    """Integrated autocorrelation time ``tau`` of ``(b, n)``, shape ``(b,)``."""
    batch, n = rho.shape
    pairs = rho[:, : n - n % 2].reshape(batch, -1, 2).sum(axis=-1)
    kept = np.logical_and.accumulate(pairs > 0, axis=-1)
    time = -1 + 2 * np.sum(np.minimum.accumulate(pairs, axis=-1), axis=-1, where=kept)
    if half_pair:
        end = np.minimum(2 * kept.sum(axis=-1), n - 1)
        time = time + np.maximum(rho[np.arange(batch), end], 0.0)
    return np.where(np.isnan(rho).any(axis=-1), np.nan, time)
