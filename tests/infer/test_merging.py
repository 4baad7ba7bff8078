"""Merging of subposteriors: products of normal densities are exact."""

from typing import Any

import jax
import numpy as np
import pytest

from ppl.infer.hmc_util import consensus, parametric, parametric_draws

SHARDS, N = 4, 20_000
RNG = np.random.default_rng(3)
MEANS = RNG.normal(size=(SHARDS, 3))
ROOTS = [np.linalg.cholesky(np.cov(RNG.normal(size=(3, 8)))) * scale for scale in (0.5, 1.0, 2.0, 1.0)]
PRECISIONS = [np.linalg.inv(root @ root.T) for root in ROOTS]
COVARIANCE = np.linalg.inv(sum(PRECISIONS))
MEAN = COVARIANCE @ sum(precision @ mean for precision, mean in zip(PRECISIONS, MEANS))
DIAGONAL_VARIANCE = 1 / sum(1 / np.diag(root @ root.T) for root in ROOTS)


def as_tree(draws: np.ndarray) -> dict[str, Any]:
    return {"b": draws[:, :2].astype(np.float32), "c": draws[:, 2].astype(np.float32)}


SUBPOSTERIORS = [as_tree(mean + RNG.standard_normal((N, 3)) @ root.T) for mean, root in zip(MEANS, ROOTS)]


def as_matrix(draws: dict[str, Any]) -> np.ndarray:
    return np.concatenate([np.asarray(draws["b"]), np.asarray(draws["c"])[:, None]], 1).astype(np.float64)


def check_moments(draws: np.ndarray, mean: np.ndarray, covariance: np.ndarray) -> None:
    """Within 5 standard errors, to which the estimated weights and the draws contribute about alike."""
    sd = np.sqrt(np.diag(covariance))
    np.testing.assert_allclose((draws.mean(0) - mean) / sd, 0, atol=5 * 2 / np.sqrt(N))
    np.testing.assert_allclose(np.cov(draws.T) / np.outer(sd, sd), covariance / np.outer(sd, sd), atol=5 * 2 * np.sqrt(2 / N))


@pytest.mark.parametrize("num_draws", [None, N])
def test_consensus_is_the_product(num_draws: int | None) -> None:
    key = None if num_draws is None else jax.random.key(0)
    check_moments(as_matrix(consensus(SUBPOSTERIORS, num_draws, rng_key=key)), MEAN, COVARIANCE)


def test_seed_0_is_the_default() -> None:
    """Of all functions that draw."""
    for merge in (consensus, parametric_draws):
        draws = (as_matrix(merge(SUBPOSTERIORS, 10, rng_key=key)) for key in (None, jax.random.key(0)))
        np.testing.assert_array_equal(*draws)


def test_parametric_is_the_product() -> None:
    mean, covariance = parametric(SUBPOSTERIORS)
    np.testing.assert_allclose(mean, MEAN, atol=5 * 2 * np.sqrt(np.diag(COVARIANCE).max() / N))
    np.testing.assert_allclose(covariance, COVARIANCE, rtol=0.1, atol=0.02 * np.diag(COVARIANCE).max())
    check_moments(as_matrix(parametric_draws(SUBPOSTERIORS, N, rng_key=jax.random.key(1))), MEAN, COVARIANCE)


def test_diagonal_weights() -> None:
    mean, variance = parametric(SUBPOSTERIORS, diagonal=True)
    np.testing.assert_allclose(variance, DIAGONAL_VARIANCE, rtol=5 * np.sqrt(2 / N))
    weights = np.array([1 / np.diag(root @ root.T) for root in ROOTS])
    expected = (weights * MEANS).sum(0) / weights.sum(0)
    np.testing.assert_allclose(mean, expected, atol=5 * np.sqrt(variance.max() / N) * 2)
    draws = as_matrix(consensus(SUBPOSTERIORS, diagonal=True))
    np.testing.assert_allclose(draws.mean(0), expected, atol=5 * np.sqrt(variance.max() / N) * 2)
    assert as_matrix(parametric_draws(SUBPOSTERIORS, 7, diagonal=True)).shape == (7, 3)


def test_posterior_of_a_normal_mean_in_shards() -> None:
    """n = 1000 in 4 parts, prior N(0, 1): each part has the prior N(0, 4)."""
    y = RNG.normal(0.7, 1.0, 1000)
    parts = []
    for part in np.split(y, SHARDS):
        precision = len(part) + 0.25
        parts.append({"mu": part.sum() / precision + RNG.standard_normal(N) / np.sqrt(precision)})
    draws = np.asarray(consensus(parts)["mu"], np.float64)
    assert abs(draws.mean() - y.sum() / 1001) < 5 * 2 / np.sqrt(1001 * N)
    assert abs(draws.var() * 1001 - 1) < 0.05


def test_means_of_whole_numbers_are_not_rounded() -> None:
    counts = np.array([0, 1, 2])
    merged = consensus([{"k": counts, "x": 1.0 * counts}, {"k": counts + 1, "x": 1.0 * counts}], diagonal=True)
    np.testing.assert_allclose(merged["k"], counts + 0.5, rtol=1e-6)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: consensus([]), "list of draws"),
        (lambda: consensus([SUBPOSTERIORS[0], {"b": np.zeros((5, 2))}]), "subposterior 1 has not the sites"),
        (lambda: consensus([{"x": np.zeros(5)}, {"x": np.zeros(6)}]), "pass num_draws"),
        (lambda: parametric([{"x": np.zeros(1)}]), "at least two draws"),
        (lambda: parametric([{"x": RNG.normal(size=9)}, {"x": np.ones(9)}], diagonal=True), "subposterior 1 .* never changes"),
        (lambda: consensus([{"p": RNG.dirichlet(np.ones(3), 500)}] * 2), "without an inverse; .*one of a simplex"),
        (lambda: parametric_draws([{"x": RNG.normal(size=(4, 4))}] * 2, 9), "4 draws in 4 dimensions"),
        (lambda: parametric_draws(SUBPOSTERIORS, 1.5), "num_draws must be a whole number, at least 1; found 1.5"),
        (lambda: consensus(SUBPOSTERIORS, num_draws=0), "num_draws must be a whole number, at least 1; found 0"),
    ],
)
def test_misuse_is_named(call: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        call()
