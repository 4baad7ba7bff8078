"""Ranks, and quantiles of the normal and beta distributions, on NumPy arrays."""

import math

import numpy as np

from ppl.diagnostics.draws import Floats


def normal_scores(x: Floats) -> Floats:
    """Rank-normalise each row: ``Phi^-1((r - 3/8) / (S + 1/4))`` with average ranks ``r`` of the ``S`` values, shape of ``x``.

    Twice an average rank is an integer of 2..2S, so that the normal quantile is taken of 2S - 1 numbers and looked up.
    """
    count = x.shape[-1]
    table = normal_quantile((np.arange(2, 2 * count + 1) / 2 - 0.375) / (count + 0.25))
    return table[doubled_ranks(x) - 2]


def doubled_ranks(x: Floats) -> np.ndarray:
    """Twice the rank (from 1; ties share their average) of every value within its row, ``(b, S)`` to ``(b, S)``."""
    count = x.shape[-1]
    order = np.argsort(x, axis=-1)
    ordered = np.take_along_axis(x, order, axis=-1)
    new = np.ones(x.shape, dtype=bool)
    new[:, 1:] = ordered[:, 1:] != ordered[:, :-1]
    position = np.arange(count)
    first = np.maximum.accumulate(np.where(new, position, 0), axis=-1)
    ends = np.ones(x.shape, dtype=bool)
    ends[:, :-1] = new[:, 1:]
    last = np.minimum.accumulate(np.where(ends, position, count)[:, ::-1], axis=-1)[:, ::-1]
    ranks = np.empty(x.shape, dtype=np.int64)
    np.put_along_axis(ranks, order, first + last + 2, axis=-1)
    return ranks


def normal_quantile(p: Floats) -> Floats:
    """``Phi^-1(p)`` for ``0 < p < 1``, to about ``1e-16`` relative (Wichura 1988, algorithm AS 241, PPND16)."""
    q = p - 0.5
    central = np.abs(q) <= 0.425
    r = np.where(central, 0.180625 - q * q, 0.0)
    middle = q * np.polyval(_MIDDLE[0], r) / np.polyval(_MIDDLE[1], r)
    s = np.sqrt(-np.log(np.where(central, 0.05, np.minimum(p, 1 - p))))
    near = np.polyval(_NEAR[0], s - 1.6) / np.polyval(_NEAR[1], s - 1.6)
    far = np.polyval(_FAR[0], s - 5.0) / np.polyval(_FAR[1], s - 5.0)
    return np.where(central, middle, np.sign(q) * np.where(s <= 5.0, near, far))


def beta_quantile(p: float, a: Floats, b: Floats) -> Floats:
    """The ``p`` quantile of Beta(a, b) for arrays ``a, b >= 1``, by bisection of the incomplete beta integral."""
    low, high = np.zeros(np.shape(a)), np.ones(np.shape(a))
    for _ in range(50):
        middle = 0.5 * (low + high)
        below = _incomplete_beta(middle, a, b) < p
        low, high = np.where(below, middle, low), np.where(below, high, middle)
    return 0.5 * (low + high)


def _incomplete_beta(x: Floats, a: Floats, b: Floats) -> Floats:
    """Regularised incomplete beta integral ``I_x(a, b)``, from the side on which the continued fraction converges fast."""
    swap = x > (a + 1) / (a + b + 2)
    y, first, second = np.where(swap, 1 - x, x), np.where(swap, b, a), np.where(swap, a, b)
    log_front = _log_gamma(a + b) - _log_gamma(a) - _log_gamma(b) + first * np.log(y) + second * np.log1p(-y) - np.log(first)
    value = np.exp(log_front) * _beta_fraction(y, first, second)
    return np.where(swap, 1 - value, value)


def _beta_fraction(x: Floats, a: Floats, b: Floats) -> Floats:
    """The continued fraction of the incomplete beta integral (NIST DLMF 8.17.22) by Lentz's method.

    It needs of the order of ``sqrt(max(a, b))`` terms.
    """
    tiny = 1e-300
    c = np.ones(np.shape(x))
    d = 1 / (1 - (a + b) * x / (a + 1))
    value = d
    for m in range(1, 100_000):
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        change = np.ones(np.shape(x))
        for term in (even, odd):
            d = 1 / np.where(np.abs(1 + term * d) < tiny, tiny, 1 + term * d)
            c = np.where(np.abs(1 + term / c) < tiny, tiny, 1 + term / c)
            value, change = value * c * d, c * d
        if np.all(~(np.abs(change - 1) > 1e-13)):
            break
    return value


_log_gamma = np.vectorize(math.lgamma, otypes=[np.float64])

_MIDDLE = (
    [
        2.5090809287301226727e3,
        3.3430575583588128105e4,
        6.7265770927008700853e4,
        4.5921953931549871457e4,
        1.3731693765509461125e4,
        1.9715909503065514427e3,
        1.3314166789178437745e2,
        3.3871328727963666080e0,
    ],
    [
        5.2264952788528545610e3,
        2.8729085735721942674e4,
        3.9307895800092710610e4,
        2.1213794301586595867e4,
        5.3941960214247511077e3,
        6.8718700749205790830e2,
        4.2313330701600911252e1,
        1.0,
    ],
)
_NEAR = (
    [
        7.74545014278341407640e-4,
        2.27238449892691845833e-2,
        2.41780725177450611770e-1,
        1.27045825245236838258e0,
        3.64784832476320460504e0,
        5.76949722146069140550e0,
        4.63033784615654529590e0,
        1.42343711074968357734e0,
    ],
    [
        1.05075007164441684324e-9,
        5.47593808499534494600e-4,
        1.51986665636164571966e-2,
        1.48103976427480074590e-1,
        6.89767334985100004550e-1,
        1.67638483018380384940e0,
        2.05319162663775882187e0,
        1.0,
    ],
)
_FAR = (
    [
        2.01033439929228813265e-7,
        2.71155556874348757815e-5,
        1.24266094738807843860e-3,
        2.65321895265761230930e-2,
        2.96560571828504891230e-1,
        1.78482653991729133580e0,
        5.46378491116411436990e0,
        6.65790464350110377720e0,
    ],
    [
        2.04426310338993978564e-15,
        1.42151175831644588870e-7,
        1.84631831751005468180e-5,
        7.86869131145613259100e-4,
        1.48753612908506148525e-2,
        1.36929880922735805310e-1,
        5.99832206555887937690e-1,
        1.0,
    ],
)
