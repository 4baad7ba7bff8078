"""Autocovariance by the fast Fourier transform (Wiener-Khinchin)."""

import numpy as np
from jax.typing import ArrayLike

from ppl.diagnostics.draws import Floats, as_draws, axis_last


def _fft_next_fast_len(target: int) -> int:
    """The smallest ``2^a 3^b 5^c`` that is not below ``target``: a length for which the transform is fast."""
    best = 1 << max(target - 1, 0).bit_length()
    power_of_5 = 1
    while power_of_5 < best:
        odd_part = power_of_5
        while odd_part < best:
            quotient = -(-target // odd_part)
            best = min(best, odd_part << max(quotient - 1, 0).bit_length())
            odd_part *= 3
        power_of_5 *= 5
    return best


def autocovariance_last(x: Floats) -> Floats:
    """Biased autocovariance along the last axis: ``gamma_t = 1/n sum_i (x_i - mean)(x_{i+t} - mean)``, shape of ``x``."""
    n = x.shape[-1]
    spectrum = np.fft.rfft(x - x.mean(axis=-1, keepdims=True), n=_fft_next_fast_len(2 * n), axis=-1)
    power = spectrum.real**2 + spectrum.imag**2
    return np.fft.irfft(power, n=_fft_next_fast_len(2 * n), axis=-1)[..., :n] / n


def autocovariance(x: ArrayLike, axis: int = 0, bias: bool = True) -> Floats:
    """Autocovariance ``gamma_t = 1/m sum_i (x_i - mean)(x_{i+t} - mean)`` at every lag ``t < n``.

    :param x: a series of ``n`` values along ``axis``.
    :param axis: the axis of time.
    :param bias: divide by ``m = n`` (less variance, the default), or by ``m = n - t`` (no bias).
    :returns: an array of the shape of ``x``, with lags along ``axis``.

    >>> autocovariance([1.0, -1.0, 1.0, -1.0]).round(6).tolist()
    [1.0, -0.75, 0.5, -0.25]
    """
    series = axis_last(as_draws(x, "autocovariance"), axis, "autocovariance").astype(np.float64)
    n = series.shape[-1]
    gamma = autocovariance_last(series)
    if not bias:
        gamma = gamma * (n / np.arange(n, 0, -1))
    return np.moveaxis(gamma, -1, axis)


def autocorrelation(x: ArrayLike, axis: int = 0, bias: bool = True) -> Floats:
    """Autocorrelation: the :func:`autocovariance` divided by its value at lag 0; nan for a constant series.

    >>> autocorrelation([1.0, -1.0, 1.0, -1.0], bias=False).round(6).tolist()
    [1.0, -1.0, 1.0, -1.0]
    """
    gamma = autocovariance(x, axis, bias)
    with np.errstate(divide="ignore", invalid="ignore"):
        return gamma / np.take(gamma, [0], axis=axis)
