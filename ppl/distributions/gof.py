"""Goodness of fit: p-values of samples against the densities or probabilities that they should have.

All tests are on the host, in NumPy. A small p-value says that samples and probabilities do not belong together; under the
hypothesis that they do, it is uniform on [0, 1] up to the errors of the approximations.

Sources: Pearson's chi-squared test; Bickel, Breiman (1983), "Sums of functions of nearest neighbor distances", for densities.
"""

import math
from typing import Any

import jax
import numpy as np

from ppl._typing import ArrayLike

__all__ = [
    "InvalidTest",
    "auto_goodness_of_fit",
    "density_goodness_of_fit",
    "exp_goodness_of_fit",
    "get_nearest_neighbor_distances",
    "multinomial_goodness_of_fit",
    "print_histogram",
    "unif01_goodness_of_fit",
    "vector_density_goodness_of_fit",
    "volume_of_sphere",
]

HISTOGRAM_WIDTH = 60
MIN_BINS = 7
MIN_EXPECTED = 5.0  # Cochran (1954)


class InvalidTest(ValueError):
    """The samples are too few, or not of the kind that a test needs."""


def print_histogram(probs: ArrayLike, counts: ArrayLike) -> None:
    """Print expected and observed counts of each bin, as numbers and bars."""
    probs, counts = np.asarray(probs, float), np.asarray(counts)
    expected = probs * counts.sum()
    longest = max(float(counts.max(initial=0)), float(expected.max(initial=0)), 1.0)
    print(f"{'expected':>10} {'observed':>10}")
    for mean, count in zip(expected, counts):
        print(f"{mean:10.1f} {count:10} {'-' * round(HISTOGRAM_WIDTH * float(count) / longest)}")


def multinomial_goodness_of_fit(
    probs: ArrayLike, counts: ArrayLike, *, total_count: int | None = None, plot: bool = False
) -> float:
    """The p-value of Pearson's chi-squared test of counts against probabilities; rare outcomes are put together.

    Args:
        probs: of the outcomes, shape `(k,)`.
        counts: how often each was seen, shape `(k,)`.
        total_count: the number of draws, where these outcomes are not all that there are: the others are one more outcome.
        plot: print a histogram.

    Raises:
        InvalidTest: if the shapes differ, a probability is not in [0, 1], or their sum exceeds 1.

    Example:
        >>> from ppl.distributions.gof import multinomial_goodness_of_fit
        >>> multinomial_goodness_of_fit([0.5, 0.5], [60, 40]) < 0.05
        True
    """
    probs, counts = np.asarray(probs, float), np.asarray(counts, float)
    if probs.ndim != 1 or probs.shape != counts.shape:
        raise InvalidTest(f"probs and counts must be vectors of one length, but got shapes {probs.shape} and {counts.shape}")
    if not ((probs >= 0) & (probs <= 1)).all() or probs.sum() > 1 + 1e-4:
        raise InvalidTest(f"probs must lie in [0, 1] and sum to at most 1, but got a sum of {probs.sum():.6g}")
    if plot:
        print_histogram(probs, counts.astype(int))
    if total_count is None:
        probs, total = probs / probs.sum(), float(counts.sum())
    else:
        total = float(total_count)
        probs, counts = np.append(probs, max(1.0 - probs.sum(), 0.0)), np.append(counts, total - counts.sum())
    if (counts < 0).any() or total <= 0:
        raise InvalidTest(f"counts must be nonnegative, and at most total_count={total_count} in sum; got a sum of {counts.sum()}")
    if (counts[probs == 0] > 0).any():
        return 0.0
    expected, counts = _pooled(total * probs[probs > 0], counts[probs > 0])
    chi_squared = float(((counts - expected) ** 2 / expected).sum())
    return _chi_squared_survival(chi_squared, len(expected) - 1)


def _pooled(expected: np.ndarray, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rare outcomes put together until at least five of them are expected, as the chi-squared approximation needs."""
    order = np.argsort(expected)
    expected, counts = expected[order], counts[order]
    rare = int(np.searchsorted(expected, MIN_EXPECTED))
    if rare:
        enough = int(np.searchsorted(np.cumsum(expected), MIN_EXPECTED)) + 1
        rare = min(max(rare, enough), len(expected))
        expected = np.append(expected[rare:], expected[:rare].sum())
        counts = np.append(counts[rare:], counts[:rare].sum())
    return expected, counts


def _chi_squared_survival(x: float, df: int) -> float:
    """`P(X > x)` of a chi-squared variable; 1 for no degree of freedom."""
    return float(jax.scipy.special.gammaincc(0.5 * df, 0.5 * x)) if df > 0 else 1.0


def unif01_goodness_of_fit(samples: ArrayLike, *, plot: bool = False) -> float:
    """The p-value of a chi-squared test of samples against the uniform distribution on [0, 1], over `n^(1/3)` equal bins.

    Raises:
        InvalidTest: if there are less than about 300 samples, or one lies outside [0, 1].

    Example:
        >>> import numpy as np
        >>> from ppl.distributions.gof import unif01_goodness_of_fit
        >>> unif01_goodness_of_fit(np.linspace(0, 1, 1000) ** 2) < 1e-6
        True
    """
    samples = np.ravel(np.asarray(samples, float))
    if not ((samples >= 0) & (samples <= 1)).all():
        raise InvalidTest(f"samples must lie in [0, 1], but range over [{samples.min():.6g}, {samples.max():.6g}]")
    bins = round(len(samples) ** (1 / 3))
    if bins < MIN_BINS:
        raise InvalidTest(f"the test needs at least {(MIN_BINS - 0.5) ** 3:.0f} samples, but got {len(samples)}")
    counts = np.histogram(samples, bins, (0.0, 1.0))[0]
    return multinomial_goodness_of_fit(np.full(bins, 1.0 / bins), counts, plot=plot)


def exp_goodness_of_fit(samples: ArrayLike, *, plot: bool = False) -> float:
    """The p-value of a test of samples against the exponential distribution of rate 1, as `unif01_goodness_of_fit`."""
    return unif01_goodness_of_fit(np.exp(-np.asarray(samples, float)), plot=plot)


def density_goodness_of_fit(samples: ArrayLike, probs: ArrayLike, *, plot: bool = False) -> float:
    """The p-value of scalar samples against their densities: gaps between neighbours, times `n` and density, are exponential.

    Args:
        samples: scalars, shape `(n,)`.
        probs: the density at each of them, shape `(n,)`.
        plot: print a histogram.

    Raises:
        InvalidTest: if the shapes differ, or there are too few samples.
    """
    samples, probs = _paired(samples, probs, 1)
    order = np.argsort(samples)
    samples, probs = samples[order], probs[order]
    gaps = np.diff(samples) * np.sqrt(probs[1:] * probs[:-1])
    return exp_goodness_of_fit(len(samples) * gaps, plot=plot)


def vector_density_goodness_of_fit(samples: ArrayLike, probs: ArrayLike, *, dim: int | None = None, plot: bool = False) -> float:
    """The p-value of vector samples against their densities: the balls up to each nearest neighbour hold an exponential mass.

    The number of samples must be large for the density to be constant over such a ball.

    Args:
        samples: vectors, shape `(n, d)`.
        probs: the density at each of them, shape `(n,)`.
        dim: the dimension of the manifold on which they lie, where that is not `d`.
        plot: print a histogram.

    Raises:
        InvalidTest: if the shapes do not fit, or there are too few samples.
    """
    samples, probs = _paired(samples, probs, 2)
    dim = samples.shape[1] if dim is None else dim
    volumes = volume_of_sphere(dim, get_nearest_neighbor_distances(samples))
    return exp_goodness_of_fit(len(samples) * probs * volumes, plot=plot)


def _paired(samples: ArrayLike, probs: ArrayLike, ndim: int) -> tuple[np.ndarray, np.ndarray]:
    """Samples and densities as arrays, or an error."""
    samples, probs = np.asarray(samples, float), np.asarray(probs, float)
    if samples.ndim != ndim or probs.shape != samples.shape[:1]:
        kind = "(n,)" if ndim == 1 else "(n, d)"
        raise InvalidTest(f"samples of shape {kind} need probs of shape (n,), but got shapes {samples.shape} and {probs.shape}")
    return samples, probs


def volume_of_sphere(dim: int, radius: Any) -> Any:
    """The volume of a ball of that dimension and radius: `pi^(d/2) / Gamma(d/2 + 1) radius^d`.

    Example:
        >>> from ppl.distributions.gof import volume_of_sphere
        >>> round(volume_of_sphere(3, 1.0), 5)
        4.18879
    """
    return radius**dim * math.exp(0.5 * dim * math.log(math.pi) - math.lgamma(0.5 * dim + 1.0))


def get_nearest_neighbor_distances(samples: ArrayLike) -> np.ndarray:
    """The Euclidean distance of each of `n` samples `(n, d)` to the nearest other one, `(n,)`."""
    samples = np.asarray(samples, float)
    n = len(samples)
    nearest = np.empty(n)
    rows = max(1, 2_000_000 // max(n * samples.shape[1], 1))
    for start in range(0, n, rows):
        block = samples[start : start + rows]
        squares = ((block[:, None] - samples) ** 2).sum(-1)
        squares[np.arange(len(block)), np.arange(start, start + len(block))] = np.inf
        nearest[start : start + rows] = np.sqrt(squares.min(1))
    return nearest


def auto_goodness_of_fit(samples: ArrayLike, probs: ArrayLike, *, dim: int | None = None, plot: bool = False) -> float:
    """The p-value of samples against their densities or probabilities, by the test for their kind.

    Args:
        samples: integers or scalars `(n,)`, or vectors `(n, d)`; integers and vectors of them are counted.
        probs: the density or probability of each of them, shape `(n,)`.
        dim: of vectors, the dimension of the manifold on which they lie.
        plot: print a histogram.

    Raises:
        InvalidTest: if the shapes do not fit, or there are too few samples.

    Example:
        >>> import jax
        >>> from jax import numpy as jnp
        >>> from ppl.distributions import Poisson
        >>> from ppl.distributions.gof import auto_goodness_of_fit
        >>> x = Poisson(3.0).sample(jax.random.key(0), (1000,))
        >>> auto_goodness_of_fit(x, jnp.exp(Poisson(3.0).log_prob(x))) > 0.001
        True
    """
    samples, probs = np.asarray(samples), np.asarray(probs, float)
    if samples.ndim == 0 or probs.shape != samples.shape[:1]:
        raise InvalidTest(f"samples need one value of probs each, but got shapes {samples.shape} and {probs.shape}")
    if samples.dtype.kind in "biu":
        _, first, counts = np.unique(samples, axis=0, return_index=True, return_counts=True)
        return multinomial_goodness_of_fit(probs[first], counts, total_count=len(samples), plot=plot)
    if samples.ndim == 1:
        return density_goodness_of_fit(samples, probs, plot=plot)
    return vector_density_goodness_of_fit(samples.reshape(len(samples), -1), probs, dim=dim, plot=plot)
