"""The table of laws of vectors, matrices and series."""

from typing import Any

import numpy as np
from cases import Case
from scipy import stats

import ppl.distributions as dist

LOC = np.array([0.3, -1.0, 0.7])
TRIL = np.array([[0.8, 0.0, 0.0], [0.3, 1.3, 0.0], [-0.4, 0.2, 0.6]])
COV = TRIL @ TRIL.T
PRECISION = np.linalg.inv(COV)
PAIR = np.array([[1.0, 0.0], [0.5, 0.7]])
GRAPH = np.array([[0.0, 1.0, 1.0], [1.0, 0.0, 0.0], [1.0, 0.0, 0.0]])
TRANSITION = np.array([[0.9, 0.2], [-0.1, 0.5]])
NOT_POSITIVE = -np.eye(3)
NOT_LOWER = np.ones((3, 3))
BAD_LOC = np.array([0.0, np.nan, 1.0])


CORRELATION = COV / np.sqrt(np.outer(np.diag(COV), np.diag(COV)))


def walk_covariance(scale: float) -> np.ndarray:
    """Covariance of a random walk of four steps."""
    steps = np.arange(1, 5)
    return scale**2 * np.minimum.outer(steps, steps)


def car_covariance(correlation: float, conditional_precision: float, adj_matrix: np.ndarray) -> np.ndarray:
    return np.linalg.inv(conditional_precision * (np.diag(adj_matrix.sum(-1)) - correlation * adj_matrix))


def decaying(x: Any, t: Any) -> tuple[Any, Any]:
    """Drift and diffusion of an Ornstein-Uhlenbeck process; a named function, so that the distribution pickles."""
    return -x, 0.0 * x + 0.5


def euler_maruyama(t: Any, scale: Any, validate_args: bool | None = None) -> Any:
    return dist.EulerMaruyama(t, decaying, dist.Normal(0.5, scale), validate_args=validate_args)


def skewed_von_mises(loc: Any, concentration: Any, skewness: Any, validate_args: bool | None = None) -> Any:
    base = dist.VonMises(loc, concentration, validate_args=validate_args).to_event(1)
    return dist.SineSkewed(base, skewness, validate_args=validate_args)


def normal_copula(loc: Any, scale: Any, correlation_matrix: Any, validate_args: bool | None = None) -> Any:
    marginal = dist.Normal(loc, scale, validate_args=validate_args)
    return dist.GaussianCopula(marginal, correlation_matrix, validate_args=validate_args)


VECTORS = [
    Case(
        "MultivariateNormal-covariance",
        dist.MultivariateNormal,
        {"loc": LOC, "covariance_matrix": COV},
        lambda loc, covariance_matrix: stats.multivariate_normal(loc, covariance_matrix),
        invalid={"loc": BAD_LOC, "covariance_matrix": NOT_POSITIVE},
    ),
    Case(
        "MultivariateNormal-precision",
        dist.MultivariateNormal,
        {"loc": LOC, "precision_matrix": PRECISION},
        lambda loc, precision_matrix: stats.multivariate_normal(loc, np.linalg.inv(precision_matrix)),
        invalid={"precision_matrix": NOT_POSITIVE},
    ),
    Case(
        "MultivariateNormal-tril",
        dist.MultivariateNormal,
        {"loc": LOC, "scale_tril": TRIL},
        lambda loc, scale_tril: stats.multivariate_normal(loc, scale_tril @ scale_tril.T),
        invalid={"scale_tril": NOT_LOWER},
    ),
    Case(
        "LowRankMultivariateNormal",
        dist.LowRankMultivariateNormal,
        {"loc": LOC, "cov_factor": TRIL[:, :2], "cov_diag": np.array([0.5, 1.0, 2.0])},
        lambda loc, cov_factor, cov_diag: stats.multivariate_normal(loc, cov_factor @ cov_factor.T + np.diag(cov_diag)),
        invalid={"loc": BAD_LOC, "cov_factor": np.full((3, 2), np.inf), "cov_diag": np.array([1.0, 0.0, 1.0])},
    ),
    Case(
        "MultivariateStudentT",
        dist.MultivariateStudentT,
        {"df": 5.5, "loc": LOC, "scale_tril": TRIL},
        lambda df, loc, scale_tril: stats.multivariate_t(loc, scale_tril @ scale_tril.T, df),
        invalid={"df": 0.0, "loc": BAD_LOC, "scale_tril": NOT_LOWER},
    ),
    Case(
        "Dirichlet",
        dist.Dirichlet,
        {"concentration": np.array([0.7, 2.0, 3.5])},
        lambda concentration: stats.dirichlet(concentration),
        invalid={"concentration": np.array([1.0, 0.0, 1.0])},
    ),
    Case(
        "CirculantNormal",
        dist.CirculantNormal,
        {"loc": LOC, "covariance_row": np.array([2.0, 0.5, 0.5])},
        lambda loc, covariance_row: stats.multivariate_normal(loc, np.stack([np.roll(covariance_row, i) for i in range(3)])),
        invalid={"loc": BAD_LOC, "covariance_row": np.array([1.0, 2.0, 2.0])},
    ),
    Case(
        "CAR",
        dist.CAR,
        {"loc": LOC, "correlation": 0.6, "conditional_precision": 2.0, "adj_matrix": GRAPH},
        lambda loc, **graph: stats.multivariate_normal(loc, car_covariance(**graph)),
        invalid={"loc": BAD_LOC, "correlation": 1.0, "conditional_precision": 0.0, "adj_matrix": np.zeros((3, 3))},
    ),
    Case("ZeroSumNormal", dist.ZeroSumNormal, {"scale": 1.6}, static={"event_shape": (2, 3)}, invalid={"scale": 0.0}),
]

SERIES = [
    Case(
        "GaussianRandomWalk",
        dist.GaussianRandomWalk,
        {"scale": 1.6},
        lambda scale: stats.multivariate_normal(np.zeros(4), walk_covariance(scale)),
        static={"num_steps": 4},
        invalid={"scale": -1.0},
    ),
    Case(
        "GaussianStateSpace",
        dist.GaussianStateSpace,
        {"transition_matrix": TRANSITION, "scale_tril": PAIR, "initial_value": np.array([1.0, -2.0])},
        static={"num_steps": 3},
        invalid={
            "transition_matrix": np.full((2, 2), np.nan),
            "scale_tril": np.ones((2, 2)),
            "initial_value": np.array([np.inf, 0.0]),
        },
    ),
    Case("EulerMaruyama", euler_maruyama, {"t": np.array([0.0, 0.1, 0.4]), "scale": 1.5}, invalid={"t": np.array([0.0, 0.5, 0.2])}),
]

MATRICES = [
    Case(
        "MatrixNormal",
        dist.MatrixNormal,
        {"loc": TRIL[:2], "scale_tril_row": PAIR, "scale_tril_column": TRIL},
        lambda loc, scale_tril_row, scale_tril_column: stats.matrix_normal(
            loc, scale_tril_row @ scale_tril_row.T, scale_tril_column @ scale_tril_column.T
        ),
        invalid={"scale_tril_row": np.ones((2, 2)), "scale_tril_column": NOT_LOWER},
    ),
    Case(
        "Wishart",
        dist.Wishart,
        {"concentration": 6.5, "scale_matrix": COV},
        lambda concentration, scale_matrix: stats.wishart(concentration, scale_matrix),
        invalid={"concentration": 2.0, "scale_matrix": NOT_POSITIVE},
    ),
    Case("WishartCholesky", dist.WishartCholesky, {"concentration": 6.5, "rate_matrix": COV}, invalid={"concentration": 1.5}),
    Case(
        "InverseWishart",
        dist.InverseWishart,
        {"concentration": 6.5, "scale_matrix": COV},
        lambda concentration, scale_matrix: stats.invwishart(concentration, scale_matrix),
        invalid={"concentration": 2.0, "scale_matrix": NOT_POSITIVE},
    ),
    Case(
        "InverseWishartCholesky",
        dist.InverseWishartCholesky,
        {"concentration": 6.5, "scale_tril": TRIL},
        invalid={"concentration": 1.5, "scale_tril": NOT_LOWER},
    ),
    Case("LKJ", dist.LKJ, {"concentration": 2.0}, static={"dimension": 3}, invalid={"concentration": 0.0}),
    Case("LKJCholesky", dist.LKJCholesky, {"concentration": 0.7}, static={"dimension": 3}, invalid={"concentration": -1.0}),
    Case(
        "LKJCholesky-cvine",
        dist.LKJCholesky,
        {"concentration": 1.0},
        static={"dimension": 3, "sample_method": "cvine"},
        invalid={"concentration": np.nan},
    ),
]

DIRECTIONS = [
    Case(
        "ProjectedNormal-circle",
        dist.ProjectedNormal,
        {"concentration": np.array([1.0, -0.5])},
        invalid={"concentration": np.array([0.0, np.nan])},
    ),
    Case(
        "ProjectedNormal-sphere",
        dist.ProjectedNormal,
        {"concentration": np.array([-2.0, 0.5, 1.0])},
        invalid={"concentration": np.array([0.0, np.inf, 0.0])},
    ),
    Case(
        "SineBivariateVonMises",
        dist.SineBivariateVonMises,
        {"phi_loc": 0.5, "psi_loc": -3.0, "phi_concentration": 2.0, "psi_concentration": 3.0, "correlation": -4.5},
        invalid={"phi_loc": 4.0, "psi_loc": np.nan, "phi_concentration": 0.0, "psi_concentration": -1.0, "correlation": np.inf},
    ),
    Case(
        "SineBivariateVonMises-weighted",
        dist.SineBivariateVonMises,
        {"phi_loc": 0.5, "psi_loc": -3.0, "phi_concentration": 20.0, "psi_concentration": 3.0, "weighted_correlation": 0.6},
        invalid={"weighted_correlation": 1.5},
    ),
    Case(
        "SineSkewed",
        skewed_von_mises,
        {"loc": np.array([0.3, -1.0]), "concentration": np.array([2.0, 0.7]), "skewness": np.array([0.3, -0.6])},
        invalid={"loc": np.array([0.0, np.nan]), "concentration": np.zeros(2), "skewness": np.array([0.6, -0.6])},
    ),
]

COPULAS = [
    Case(
        "GaussianCopula",
        normal_copula,
        {"loc": LOC, "scale": np.array([0.5, 1.0, 2.0]), "correlation_matrix": CORRELATION},
        lambda loc, scale, correlation_matrix: stats.multivariate_normal(loc, correlation_matrix * np.outer(scale, scale)),
        invalid={"loc": BAD_LOC, "scale": np.zeros(3), "correlation_matrix": COV},
        without={"slopes": "off the correlation matrices, draws have other variances than the marginals"},
    ),
    Case(
        "GaussianCopulaBeta",
        dist.GaussianCopulaBeta,
        {
            "concentration1": np.array([0.7, 2.0, 3.5]),
            "concentration0": np.array([1.5, 1.0, 0.8]),
            "correlation_cholesky": np.linalg.cholesky(CORRELATION),
        },
    ),
]

MULTIVARIATE = VECTORS + SERIES + MATRICES + DIRECTIONS + COPULAS
