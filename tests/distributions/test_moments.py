"""Entropies and variances of vectors, matrices and paths, against SciPy and dense matrices."""

from typing import Any

import jax
import numpy as np
import pytest
from scipy import stats

import ppl.distributions as dist

A = np.array([[1.5, 0.0, 0.0], [0.3, 0.7, 0.0], [-0.4, 0.2, 1.1]])
B = np.array([[0.8, 0.0], [0.5, 2.0]])
GRAPH = np.array([[0.0, 1.0, 0.0], [1.0, 0.0, 2.0], [0.0, 2.0, 0.0]])


def normal_entropy(covariance: Any) -> float:
    return 0.5 * np.linalg.slogdet(2 * np.pi * np.e * np.asarray(covariance))[1]


def path_covariance(num_steps: int, transition: Any, noise: Any) -> Any:
    """The covariance of all states of `z_t = A z_{t-1} + eps_t`, flattened."""
    d = len(noise)
    powers = [np.linalg.matrix_power(transition, k) for k in range(num_steps)]
    lower = np.block([[powers[i - j] if i >= j else np.zeros((d, d)) for j in range(num_steps)] for i in range(num_steps)])
    return lower @ np.kron(np.eye(num_steps), noise) @ lower.T


CAR_PRECISION = 2.0 * (np.diag(GRAPH.sum(-1)) - 0.4 * GRAPH)
STEPS = np.minimum.outer(np.arange(1, 5), np.arange(1, 5))

ENTROPIES = {
    "MatrixNormal": (lambda: dist.MatrixNormal(np.zeros((3, 2)), A, B), lambda: normal_entropy(np.kron(A @ A.T, B @ B.T))),
    "MultivariateStudentT": (
        lambda: dist.MultivariateStudentT(3.5, np.zeros(3), A),
        lambda: stats.multivariate_t(np.zeros(3), A @ A.T, df=3.5).entropy(),
    ),
    "ZeroSumNormal": (lambda: dist.ZeroSumNormal(1.7, (3, 4)), lambda: 6 * stats.norm(0, 1.7).entropy()),
    "CAR": (lambda: dist.CAR(0.0, 0.4, 2.0, GRAPH), lambda: normal_entropy(np.linalg.inv(CAR_PRECISION))),
    "GaussianRandomWalk": (lambda: dist.GaussianRandomWalk(1.7, 4), lambda: normal_entropy(1.7**2 * STEPS)),
    "GaussianStateSpace": (
        lambda: dist.GaussianStateSpace(3, 0.5 * B, scale_tril=B),
        lambda: normal_entropy(path_covariance(3, 0.5 * B, B @ B.T)),
    ),
}


@pytest.mark.parametrize("name", ENTROPIES)
def test_entropies(name: str) -> None:
    make, exact = ENTROPIES[name]
    with jax.enable_x64(True):
        d = make()
        np.testing.assert_allclose(d.entropy(), exact(), rtol=1e-10)
        batch = d.expand((2,)).entropy()
        assert batch.shape == (2,) and d.entropy().shape == ()


def test_entropies_of_batches() -> None:
    scale = np.array([0.5, 1.0, 2.0], np.float32)
    for d in (
        dist.ZeroSumNormal(scale, (3,)),
        dist.GaussianRandomWalk(scale, 2),
        dist.MultivariateStudentT(scale, np.zeros(2, np.float32), np.eye(2, dtype=np.float32)),
        dist.CAR(0.0, 0.4, scale, GRAPH.astype(np.float32)),
    ):
        out = d.entropy()
        assert out.shape == (3,) and out.dtype == np.float32
        assert len(np.unique(out)) == 3


def test_variances() -> None:
    with jax.enable_x64(True):
        np.testing.assert_allclose(dist.CAR(0.0, 0.4, 2.0, GRAPH).variance, np.diag(np.linalg.inv(CAR_PRECISION)), rtol=1e-10)
        concentration = np.array([0.5, 3.0])
        variance = dist.LKJ(4, concentration).variance
        assert variance.shape == (2, 4, 4)
        for eta, found in zip(concentration, variance):
            b = eta + 1.0  # a correlation is 2 Beta(b, b) - 1 with b = eta + (D - 2)/2
            np.testing.assert_allclose(found, (1 - np.eye(4)) * 4 * stats.beta(b, b).var(), rtol=1e-10)


def test_folded_distribution_function() -> None:
    x = np.array([-1.0, 0.0, 0.3, 2.5])
    with jax.enable_x64(True):
        folded = dist.FoldedDistribution(dist.Normal(0.7, 1.3)).cdf(x)
    np.testing.assert_allclose(folded, stats.foldnorm(0.7 / 1.3, scale=1.3).cdf(x), rtol=1e-10, atol=1e-15)


def test_paths_of_no_draws() -> None:
    d = dist.EulerMaruyama(np.array([0.0, 0.1, 0.3], np.float32), lambda x, t: (-x, 0.5), dist.Normal(0.0, 1.0))
    assert d.sample(jax.random.key(0), (0,)).shape == (0, 3)
