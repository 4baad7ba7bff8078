"""Tests of goodness of fit: uniform p-values under the hypothesis, small ones off it, and errors."""

import math

import numpy as np
import pytest
from scipy import stats

from ppl.distributions import gof

RNG = np.random.default_rng(7)


def uniform_on_hypothesis(p_values: list[float]) -> bool:
    """A false alarm of 1e-6, at p-values that are only approximately uniform."""
    return stats.kstest(p_values, "uniform").pvalue > 1e-6


def test_multinomial_is_pearsons_test() -> None:
    counts = np.array([25, 40, 35])
    assert gof.multinomial_goodness_of_fit([0.3, 0.4, 0.3], counts) == pytest.approx(
        stats.chisquare(counts, [30, 40, 30]).pvalue, rel=1e-4
    )
    assert gof.multinomial_goodness_of_fit([0.3, 0.4], counts[:2], total_count=100) == pytest.approx(
        stats.chisquare(counts, [30, 40, 30]).pvalue, rel=1e-4
    )
    assert gof.multinomial_goodness_of_fit([1.0, 0.0], [50, 1]) == 0.0
    assert gof.multinomial_goodness_of_fit([1.0], [50]) == 1.0


def test_rare_outcomes_are_put_together() -> None:
    probs = stats.poisson(3.0).pmf(np.arange(30))
    p_values = [gof.multinomial_goodness_of_fit(probs, RNG.multinomial(300, probs / probs.sum())) for _ in range(200)]
    assert uniform_on_hypothesis(p_values)


def test_uniform_and_exponential() -> None:
    assert uniform_on_hypothesis([gof.unif01_goodness_of_fit(RNG.random(1000)) for _ in range(200)])
    assert uniform_on_hypothesis([gof.exp_goodness_of_fit(RNG.exponential(size=1000)) for _ in range(200)])
    assert gof.exp_goodness_of_fit(RNG.exponential(1.3, 2000)) < 1e-3


def test_densities_of_scalars_and_vectors() -> None:
    x = RNG.normal(size=4000)
    assert gof.auto_goodness_of_fit(x, stats.norm.pdf(x)) > 1e-4
    assert gof.auto_goodness_of_fit(x, stats.norm(0, 2.0).pdf(x)) < 1e-4
    pairs = RNG.normal(size=(4000, 2))
    assert gof.auto_goodness_of_fit(pairs, stats.norm.pdf(pairs).prod(-1)) > 1e-4
    assert gof.auto_goodness_of_fit(pairs, stats.norm(0, 2.0).pdf(pairs).prod(-1)) < 1e-4
    angles = RNG.uniform(0, 2 * np.pi, 4000)
    circle = np.stack([np.cos(angles), np.sin(angles)], -1)
    assert gof.auto_goodness_of_fit(circle, np.full(4000, 1 / (2 * np.pi)), dim=1) > 1e-4


def test_counts_of_integers_and_of_vectors_of_them() -> None:
    x = RNG.poisson(4.0, 2000)
    assert gof.auto_goodness_of_fit(x, stats.poisson(4.0).pmf(x)) > 1e-4
    assert gof.auto_goodness_of_fit(x, stats.poisson(4.4).pmf(x)) < 1e-4
    rows = RNG.multinomial(3, [0.2, 0.3, 0.5], 2000)
    assert gof.auto_goodness_of_fit(rows, stats.multinomial(3, [0.2, 0.3, 0.5]).pmf(rows)) > 1e-4


def test_helpers(capsys: pytest.CaptureFixture[str]) -> None:
    x = RNG.normal(size=(50, 3))
    distances = np.linalg.norm(x[:, None] - x, axis=-1) + np.diag(np.full(50, np.inf))
    np.testing.assert_allclose(gof.get_nearest_neighbor_distances(x), distances.min(1))
    assert gof.volume_of_sphere(2, 3.0) == pytest.approx(9 * math.pi)
    gof.multinomial_goodness_of_fit([0.5, 0.5], [60, 40], plot=True)
    assert "observed" in capsys.readouterr().out


def test_errors() -> None:
    with pytest.raises(gof.InvalidTest, match="at least 275 samples, but got 20"):
        gof.unif01_goodness_of_fit(np.full(20, 0.5))
    with pytest.raises(gof.InvalidTest, match=r"must lie in \[0, 1\]"):
        gof.unif01_goodness_of_fit(np.full(400, 1.5))
    with pytest.raises(gof.InvalidTest, match="one length"):
        gof.multinomial_goodness_of_fit([0.5, 0.5], [1])
    with pytest.raises(gof.InvalidTest, match="sum to at most 1"):
        gof.multinomial_goodness_of_fit([0.9, 0.5], [1, 1])
    with pytest.raises(gof.InvalidTest, match="need one value of probs"):
        gof.auto_goodness_of_fit(np.zeros(5), np.zeros(4))
    with pytest.raises(gof.InvalidTest, match="need probs of shape"):
        gof.density_goodness_of_fit(np.zeros((5, 2)), np.zeros(5))
