"""Monte Carlo standard errors of means, standard deviations and quantiles (Vehtari et al. 2021)."""

import numpy as np
from jax.typing import ArrayLike

from ppl.diagnostics.draws import Floats, check_probability, map_coordinates, pooled
from ppl.diagnostics.effective_size import quantile_size, split_size
from ppl.diagnostics.quantiles import beta_quantile


def mcse_mean(x: ArrayLike) -> Floats:
    """Standard error of the mean of the draws, ``sd / sqrt(ESS)``.

    :param x: draws ``(chains, draws, *shape)``, at least 4 draws.
    :returns: an array of shape ``shape``; nan where nothing varies or something is not finite.
    :raises ValueError: for fewer axes or draws.

    >>> import numpy as np
    >>> x = np.random.default_rng(0).standard_normal((4, 2500))
    >>> bool(abs(mcse_mean(x) - 0.01) < 0.001)
    True
    """
    return map_coordinates(lambda b: pooled(b).std(axis=-1, ddof=1) / np.sqrt(split_size(b)), x, "mcse_mean", min_draws=4)


def mcse_sd(x: ArrayLike) -> Floats:
    """Standard error of the standard deviation, ``sqrt((E (x - m)^4 - sd^4) / (4 ESS sd^2))`` with the ESS of ``(x - m)^2``."""

    def statistic(batch: Floats) -> Floats:
        squares = (batch - pooled(batch).mean(axis=-1)[:, None, None]) ** 2
        variance = pooled(squares).mean(axis=-1)
        spread = pooled(squares**2).mean(axis=-1) - variance**2
        return np.sqrt(spread / split_size(squares) / (4 * variance))

    return map_coordinates(statistic, x, "mcse_sd", min_draws=4)


def mcse_quantile(x: ArrayLike, prob: float) -> Floats:
    """Standard error of the ``prob`` quantile: half the width of a central 68 % interval between order statistics.

    The interval in probability is that of Beta(ESS prob + 1, ESS (1 - prob) + 1), with the ESS of the indicator of
    ``x <= quantile``.

    :raises ValueError: unless ``0 < prob < 1``.
    """
    check_probability("mcse_quantile", prob)

    def statistic(batch: Floats) -> Floats:
        ordered = np.sort(pooled(batch), axis=-1)
        total = ordered.shape[-1]
        size = quantile_size(batch, prob)
        known = np.isfinite(size)
        a, b = np.where(known, size, 1.0) * prob + 1, np.where(known, size, 1.0) * (1 - prob) + 1
        low = np.maximum(np.floor(beta_quantile(0.15865525393145707, a, b) * total), 1).astype(int) - 1
        high = np.minimum(np.ceil(beta_quantile(0.8413447460685429, a, b) * total), total).astype(int) - 1
        rows = np.arange(ordered.shape[0])
        return np.where(known, (ordered[rows, high] - ordered[rows, low]) / 2, np.nan)

    return map_coordinates(statistic, x, "mcse_quantile", min_draws=4)
