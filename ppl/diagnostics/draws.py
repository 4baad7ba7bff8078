"""Draws laid out for vectorised diagnostics: ``(b, c, n)``, a batch of scalar coordinates, their chains, their draws."""

from collections.abc import Callable

import numpy as np
from jax.typing import ArrayLike
from numpy.typing import NDArray

Floats = NDArray[np.floating]

# Coordinates are worked on in batches of about this many numbers (8 MB): it bounds the memory of transforms and suits caches.
BATCH_SIZE = 2**20


def map_coordinates(statistic: Callable[[Floats], Floats], x: ArrayLike, name: str, *, min_draws: int) -> Floats:
    """Apply ``statistic``, from ``(b, c, n)`` to ``(b,)``, to every scalar coordinate of the draws.

    A coordinate that never changes, or that has a draw which is not finite, carries no information on
    convergence: its result is nan.

    :param x: draws of shape ``(chains, draws, *shape)``.
    :param name: who asks, for messages.
    :param min_draws: the fewest draws for which the statistic is defined.
    :returns: an array of shape ``shape``.
    :raises ValueError: if ``x`` has no axes for chains and draws, or too few draws.
    """
    draws = as_draws(x, name)
    if draws.ndim < 2:
        raise ValueError(f"{name}: expected draws of shape (chains, draws, ...), found {draws.shape}; add a chain axis by x[None]")
    if draws.shape[0] < 1 or draws.shape[1] < min_draws:
        raise ValueError(
            f"{name}: needs at least 1 chain of {min_draws} draws, found {draws.shape[0]} of {draws.shape[1]}; run longer, "
            "or check that the axes are (chains, draws, ...)"
        )
    flat = draws.reshape(*draws.shape[:2], -1)
    width = max(1, BATCH_SIZE // (flat.shape[0] * flat.shape[1]))
    result = np.empty(flat.shape[2])
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        for start in range(0, flat.shape[2], width):
            batch = coordinates_first(flat[:, :, start : start + width])
            result[start : start + width] = np.where(_varies(batch), statistic(batch), np.nan)
    return result.reshape(draws.shape[2:])[()]


def as_draws(x: ArrayLike, name: str) -> np.ndarray:
    """The draws as a NumPy array.

    :param name: who asks, for messages.
    :raises TypeError: if they are no numbers.
    """
    draws = np.asarray(x)
    if draws.dtype.kind not in "biufV":
        raise TypeError(f"{name}: expected draws that are real numbers, found an array of {draws.dtype}")
    return draws


def check_probability(name: str, prob: float) -> None:
    """Raise ValueError unless ``0 < prob < 1``."""
    if not 0 < prob < 1:
        raise ValueError(f"{name}: expected 0 < prob < 1, found {prob}; a 90 % interval is prob=0.9")


def axis_last(x: np.ndarray, axis: int, name: str) -> np.ndarray:
    """``x`` with this axis moved to the end.

    :raises ValueError: if there is no such axis.
    """
    if not -x.ndim <= axis < x.ndim:
        raise ValueError(f"{name}: there is no axis {axis} in an array of shape {x.shape}")
    return np.moveaxis(x, axis, -1)


def coordinates_first(draws: np.ndarray) -> Floats:
    """From ``(c, n, b)`` of any dtype to a contiguous ``(b, c, n)`` in double precision."""
    return np.ascontiguousarray(np.moveaxis(draws, 2, 0), dtype=np.float64)


def split_chains(x: Floats) -> Floats:
    """Cut each chain in two halves: ``(..., c, n)`` to ``(..., 2 c, n // 2)``; the middle draw of an odd number is left out."""
    half = x.shape[-1] // 2
    return np.concatenate([x[..., :half], x[..., x.shape[-1] - half :]], axis=-2)


def pooled(x: Floats) -> Floats:
    """The draws of all chains in one row: ``(b, c, n)`` to ``(b, c n)``."""
    return x.reshape(x.shape[0], -1)


def _varies(x: Floats) -> NDArray[np.bool_]:
    lowest, highest = x.min(axis=(1, 2)), x.max(axis=(1, 2))
    return np.isfinite(lowest) & np.isfinite(highest) & (highest > lowest)
