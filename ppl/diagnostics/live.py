"""Convergence at a bounded cost, for a progress bar."""

from typing import NamedTuple

import numpy as np
from jax.typing import ArrayLike

from ppl.diagnostics.convergence import split_gelman_rubin
from ppl.diagnostics.effective_size import effective_sample_size

MAX_DRAWS = 200
MAX_COORDINATES = 200


class LiveDiagnostics(NamedTuple):
    """The worst split R-hat and the smallest effective sample size over the coordinates; nan as long as they are unknown."""

    r_hat: float
    n_eff: float


def live_diagnostics(draws: ArrayLike) -> LiveDiagnostics:
    """Worst split R-hat and smallest effective sample size of the draws so far, in a few milliseconds however many there are.

    It looks at no more than 200 evenly spaced draws of each chain and 200 evenly spaced coordinates. Draws that stand ``k``
    apart have the autocorrelation ``phi^k`` where neighbours have ``phi``; the effective size is scaled back by that rule.

    :param draws: ``(chains, draws, d)``.
    :returns: nan for both with fewer than 4 draws, or where no coordinate varies; coordinates that are not finite are left out.
    :raises ValueError: if ``draws`` has other than three axes.

    >>> import numpy as np
    >>> live = live_diagnostics(np.random.default_rng(0).standard_normal((4, 100, 3)))
    >>> bool(live.r_hat < 1.1 and live.n_eff > 100)
    True
    """
    array = np.asarray(draws)
    if array.ndim != 3:
        raise ValueError(f"live_diagnostics: expected draws of shape (chains, draws, d), found {array.shape}")
    chains, n, width = array.shape
    if n < 4 or width == 0:
        return LiveDiagnostics(r_hat=float("nan"), n_eff=float("nan"))
    stride = -(-n // MAX_DRAWS)
    some = array[:, (n - 1) % stride :: stride, :: -(-width // MAX_COORDINATES)]
    time = some.shape[0] * some.shape[1] / effective_sample_size(some)
    if np.all(np.isnan(time)):
        return LiveDiagnostics(r_hat=float("nan"), n_eff=float("nan"))
    return LiveDiagnostics(
        r_hat=float(np.nanmax(split_gelman_rubin(some))),
        n_eff=chains * n / _time_between_neighbours(float(np.nanmax(time)), stride),
    )


def _time_between_neighbours(time: float, stride: int) -> float:
    """From ``tau = (1 + phi^k) / (1 - phi^k)`` of draws ``k`` apart to that of neighbours, ``(1 + phi) / (1 - phi)``."""
    if stride == 1:
        return time
    phi = (max(time - 1, 0.0) / (time + 1)) ** (1 / stride)
    return (1 + phi) / (1 - phi)
