"""The table of laws of vectors, matrices and series."""

from typing import Any

import numpy as np
from case import Case
from references import (
    car,
    copula,
    density,
    lkj,
    lkj_factor,
    of_factor,
    ornstein_uhlenbeck,
    projected_normal,
    sine_model,
    sine_skewed,
    state_space,
    walk,
    weighted_sine_model,
    zero_sum_normal,
)
from scipy import special, stats

import ppl.distributions as dist

LOC, LOC_B = np.array([0.3, -1.0, 0.7]), np.array([20.0, 0.0, -3.0])
TRIL = np.array([[0.8, 0.0, 0.0], [0.3, 1.3, 0.0], [-0.4, 0.2, 0.6]])
TRIL_B = np.array([[0.1, 0.0, 0.0], [-0.2, 3.0, 0.0], [0.0, 1.0, 0.5]])
COV, COV_B = TRIL @ TRIL.T, TRIL_B @ TRIL_B.T
PAIR, PAIR_B = np.array([[1.0, 0.0], [0.5, 0.7]]), np.array([[0.2, 0.0], [-0.6, 2.0]])
GRAPH = np.array([[0.0, 1.0, 1.0], [1.0, 0.0, 0.0], [1.0, 0.0, 0.0]])
GRAPH_B = np.array([[0.0, 1.0, 1.0], [1.0, 0.0, 1.0], [1.0, 1.0, 0.0]])
TRANSITION = np.array([[0.9, 0.2], [-0.1, 0.5]])
NOT_POSITIVE = -np.eye(3)
NOT_LOWER = np.ones((3, 3))
BAD_LOC = np.array([0.0, np.nan, 1.0])
WRONG_COUNTS = (np.array([6, 0, 0]), np.array([1, 1, 0]), np.array([-1, 3, 3]))


def scaled(covariance: np.ndarray) -> np.ndarray:
    """The correlations."""
    return covariance / np.sqrt(np.outer(np.diag(covariance), np.diag(covariance)))


def on_simplex(x: np.ndarray) -> np.ndarray:
    return x / x.sum(-1, keepdims=True)


def on_sphere(x: np.ndarray) -> np.ndarray:
    return x / np.linalg.norm(x, axis=-1, keepdims=True)


def with_zero_sums(x: np.ndarray) -> np.ndarray:
    return x - x.mean(-1, keepdims=True) - x.mean(-2, keepdims=True) + x.mean((-2, -1), keepdims=True)


CORRELATION, CORRELATION_B = scaled(COV), scaled(COV_B)


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


def beta_copula(validate_args: bool | None = None, **params: Any) -> Any:
    """Checked as the others are; the default of this family is not to be."""
    return dist.GaussianCopulaBeta(**params, validate_args=validate_args)


NOT_SCALAR = {"cdf": "not a scalar", "icdf": "not a scalar"}
NO_ENTROPY = NOT_SCALAR | {"entropy": "not defined"}
NO_RSAMPLE = {"rsample": "not differentiable in all parameters"}
NO_VARIANCE = {"variance": "not defined"}
NO_MOMENTS = {"mean": "not defined", "variance": "not defined"}
DIRECTIONS_ONLY = NO_VARIANCE | {"moments": "the mean is a direction"}

VECTORS = [
    Case(
        "MultivariateNormal-covariance",
        dist.MultivariateNormal,
        {"loc": LOC, "covariance_matrix": COV},
        lambda loc, covariance_matrix: stats.multivariate_normal(loc, covariance_matrix),
        invalid={"loc": BAD_LOC, "covariance_matrix": NOT_POSITIVE},
        others=({"loc": LOC_B, "covariance_matrix": COV_B},),
        without=NOT_SCALAR,
    ),
    Case(
        "MultivariateNormal-precision",
        dist.MultivariateNormal,
        {"loc": LOC, "precision_matrix": np.linalg.inv(COV)},
        lambda loc, precision_matrix: stats.multivariate_normal(loc, np.linalg.inv(precision_matrix)),
        invalid={"precision_matrix": NOT_POSITIVE},
        others=({"loc": LOC_B, "precision_matrix": np.linalg.inv(COV_B)},),
        without=NOT_SCALAR,
    ),
    Case(
        "MultivariateNormal-tril",
        dist.MultivariateNormal,
        {"loc": LOC, "scale_tril": TRIL},
        lambda loc, scale_tril: stats.multivariate_normal(loc, scale_tril @ scale_tril.T),
        invalid={"scale_tril": NOT_LOWER},
        others=({"loc": LOC_B, "scale_tril": TRIL_B},),
        without=NOT_SCALAR,
    ),
    Case(
        "LowRankMultivariateNormal",
        dist.LowRankMultivariateNormal,
        {"loc": LOC, "cov_factor": TRIL[:, :2], "cov_diag": np.array([0.5, 1.0, 2.0])},
        lambda loc, cov_factor, cov_diag: stats.multivariate_normal(loc, cov_factor @ cov_factor.T + np.diag(cov_diag)),
        invalid={"loc": BAD_LOC, "cov_factor": np.full((3, 2), np.inf), "cov_diag": np.array([1.0, 0.0, 1.0])},
        others=({"loc": LOC_B, "cov_factor": TRIL_B[:, 1:], "cov_diag": np.array([0.1, 0.2, 3.0])},),
        without=NOT_SCALAR,
    ),
    Case(
        "MultivariateStudentT",
        dist.MultivariateStudentT,
        {"df": 5.5, "loc": LOC, "scale_tril": TRIL},
        lambda df, loc, scale_tril: stats.multivariate_t(loc, scale_tril @ scale_tril.T, df),
        invalid={"df": 0.0, "loc": BAD_LOC, "scale_tril": NOT_LOWER},
        others=({"df": 40.0, "loc": LOC_B, "scale_tril": TRIL_B},),
        without=NOT_SCALAR,
    ),
    Case(
        "Dirichlet",
        dist.Dirichlet,
        {"concentration": np.array([0.7, 2.0, 3.5])},
        lambda concentration: density(stats.dirichlet(concentration).logpdf),
        invalid={"concentration": np.array([1.0, 0.0, 1.0])},
        outside=(np.array([0.5, 0.6, 0.2]), np.array([1.2, 0.2, -0.4])),
        exactly=on_simplex,
        others=({"concentration": np.array([300.0, 1.0, 40.0])},),
        without=NOT_SCALAR,
    ),
    Case(
        "CirculantNormal",
        dist.CirculantNormal,
        {"loc": LOC, "covariance_row": np.array([2.0, 0.5, 0.5])},
        lambda loc, covariance_row: stats.multivariate_normal(loc, np.stack([np.roll(covariance_row, i) for i in range(3)])),
        invalid={"loc": BAD_LOC, "covariance_row": np.array([1.0, 2.0, 2.0])},
        others=({"loc": LOC_B, "covariance_row": np.array([0.3, -0.1, -0.1])},),
        without=NOT_SCALAR,
    ),
    Case(
        "CAR",
        dist.CAR,
        {"loc": LOC, "correlation": 0.6, "conditional_precision": 2.0, "adj_matrix": GRAPH},
        car,
        invalid={"loc": BAD_LOC, "correlation": 1.0, "conditional_precision": 0.0},
        others=({"loc": LOC_B, "correlation": -0.3, "conditional_precision": 30.0, "adj_matrix": GRAPH_B},),
        without=NOT_SCALAR,
    ),
    Case(
        "ZeroSumNormal",
        dist.ZeroSumNormal,
        {"scale": 1.6},
        zero_sum_normal,
        static={"event_shape": (2, 3)},
        invalid={"scale": 0.0},
        outside=(np.ones((2, 3)),),
        exactly=with_zero_sums,
        others=({"scale": 0.01},),
        without=NOT_SCALAR,
    ),
]

SERIES = [
    Case(
        "GaussianRandomWalk",
        dist.GaussianRandomWalk,
        {"scale": 1.6},
        walk,
        static={"num_steps": 4},
        invalid={"scale": -1.0},
        others=({"scale": 0.01},),
        without=NOT_SCALAR,
    ),
    Case(
        "GaussianStateSpace",
        dist.GaussianStateSpace,
        {"transition_matrix": TRANSITION, "scale_tril": PAIR, "initial_value": np.array([1.0, -2.0])},
        state_space,
        static={"num_steps": 3},
        invalid={
            "transition_matrix": np.full((2, 2), np.nan),
            "scale_tril": np.ones((2, 2)),
            "initial_value": np.array([np.inf, 0.0]),
        },
        others=({"transition_matrix": -TRANSITION.T, "scale_tril": PAIR_B, "initial_value": np.array([0.0, 30.0])},),
        without=NOT_SCALAR,
    ),
    Case(
        "EulerMaruyama",
        euler_maruyama,
        {"t": np.array([0.0, 0.1, 0.4]), "scale": 1.5},
        ornstein_uhlenbeck,
        invalid={"t": np.array([0.0, 0.5, 0.2])},
        others=({"t": np.array([-1.0, 1.0, 1.1]), "scale": 0.1},),
        without=NO_ENTROPY | NO_MOMENTS | NO_RSAMPLE,
    ),
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
        others=({"loc": 9 * TRIL_B[1:], "scale_tril_row": PAIR_B, "scale_tril_column": TRIL_B},),
        without=NOT_SCALAR,
    ),
    Case(
        "Wishart",
        dist.Wishart,
        {"concentration": 6.5, "scale_matrix": COV},
        lambda concentration, scale_matrix: density(stats.wishart(concentration, scale_matrix).logpdf),
        invalid={"concentration": 2.0, "scale_matrix": NOT_POSITIVE},
        outside=(NOT_POSITIVE,),
        others=({"concentration": 40.0, "scale_matrix": COV_B},),
        without=NOT_SCALAR | NO_RSAMPLE,
    ),
    Case(
        "WishartCholesky",
        dist.WishartCholesky,
        {"concentration": 6.5, "rate_matrix": COV},
        lambda concentration, rate_matrix: of_factor(stats.wishart(concentration, np.linalg.inv(rate_matrix))),
        invalid={"concentration": 1.5},
        outside=(NOT_LOWER, NOT_POSITIVE),
        others=({"concentration": 40.0, "rate_matrix": COV_B},),
        without=NO_ENTROPY | NO_RSAMPLE,
    ),
    Case(
        "InverseWishart",
        dist.InverseWishart,
        {"concentration": 12.5, "scale_matrix": COV},
        lambda concentration, scale_matrix: density(stats.invwishart(concentration, scale_matrix).logpdf),
        invalid={"concentration": 2.0, "scale_matrix": NOT_POSITIVE},
        outside=(NOT_POSITIVE,),
        others=({"concentration": 40.0, "scale_matrix": COV_B},),
        without=NOT_SCALAR | NO_RSAMPLE,
    ),
    Case(
        "InverseWishartCholesky",
        dist.InverseWishartCholesky,
        {"concentration": 12.5, "scale_tril": TRIL},
        lambda concentration, scale_tril: of_factor(stats.invwishart(concentration, scale_tril @ scale_tril.T)),
        invalid={"concentration": 1.5, "scale_tril": NOT_LOWER},
        outside=(NOT_LOWER, NOT_POSITIVE),
        others=({"concentration": 40.0, "scale_tril": TRIL_B},),
        without=NO_ENTROPY | NO_RSAMPLE,
    ),
    Case(
        "LKJ",
        dist.LKJ,
        {"concentration": 2.0},
        lkj,
        static={"dimension": 3},
        invalid={"concentration": 0.0},
        outside=(2 * np.eye(3), NOT_LOWER + np.diag([0.0, 0.0, -2.0])),
        others=({"concentration": 30.0},),
        without=NO_ENTROPY,
    ),
    Case(
        "LKJCholesky",
        dist.LKJCholesky,
        {"concentration": 0.7},
        lkj_factor,
        static={"dimension": 3},
        invalid={"concentration": -1.0},
        outside=(2 * np.eye(3), NOT_LOWER / 3**0.5),
        others=({"concentration": 30.0},),
        without=NO_ENTROPY | NO_MOMENTS,
    ),
    Case(
        "LKJCholesky-cvine",
        dist.LKJCholesky,
        {"concentration": 1.0},
        lkj_factor,
        static={"dimension": 3, "sample_method": "cvine"},
        invalid={"concentration": np.nan},
        others=({"concentration": 9.0},),
        without=NO_ENTROPY | NO_MOMENTS,
    ),
]

DIRECTIONS = [
    Case(
        "ProjectedNormal-circle",
        dist.ProjectedNormal,
        {"concentration": np.array([1.0, -0.5])},
        projected_normal,
        invalid={"concentration": np.array([0.0, np.nan])},
        outside=(np.ones(2),),
        exactly=on_sphere,
        others=({"concentration": np.array([0.0, 6.0])},),
        without=NO_ENTROPY | DIRECTIONS_ONLY,
    ),
    Case(
        "ProjectedNormal-sphere",
        dist.ProjectedNormal,
        {"concentration": np.array([-2.0, 0.5, 1.0])},
        projected_normal,
        invalid={"concentration": np.array([0.0, np.inf, 0.0])},
        outside=(np.ones(3),),
        exactly=on_sphere,
        others=({"concentration": np.array([0.1, 0.1, -5.0])},),
        without=NO_ENTROPY | DIRECTIONS_ONLY,
    ),
    Case(
        "SineBivariateVonMises",
        dist.SineBivariateVonMises,
        {"phi_loc": 0.5, "psi_loc": -3.0, "phi_concentration": 2.0, "psi_concentration": 3.0, "correlation": -4.5},
        sine_model,
        invalid={"phi_loc": 4.0, "psi_loc": np.nan, "phi_concentration": 0.0, "psi_concentration": -1.0, "correlation": np.inf},
        outside=(np.array([0.0, 4.0]),),
        others=({"phi_loc": -1.0, "psi_loc": 2.0, "phi_concentration": 20.0, "psi_concentration": 0.5, "correlation": 1.5},),
        without=NO_ENTROPY | NO_RSAMPLE | DIRECTIONS_ONLY,
    ),
    Case(
        "SineBivariateVonMises-weighted",
        dist.SineBivariateVonMises,
        {"phi_loc": 0.5, "psi_loc": -3.0, "phi_concentration": 20.0, "psi_concentration": 3.0, "weighted_correlation": 0.6},
        weighted_sine_model,
        invalid={"weighted_correlation": 1.5},
        others=({"phi_loc": -1.0, "psi_loc": 2.0, "phi_concentration": 2.0, "weighted_correlation": 0.1},),
        without=NO_ENTROPY | NO_RSAMPLE | DIRECTIONS_ONLY,
    ),
    Case(
        "SineSkewed",
        skewed_von_mises,
        {"loc": np.array([0.3, -1.0]), "concentration": np.array([2.0, 0.7]), "skewness": np.array([0.3, -0.6])},
        sine_skewed,
        invalid={"loc": np.array([0.0, np.nan]), "concentration": np.zeros(2), "skewness": np.array([0.6, -0.6])},
        outside=(np.array([0.0, 4.0]),),
        others=({"loc": np.array([3.0, 2.0]), "concentration": np.array([0.1, 20.0]), "skewness": np.array([-0.9, 0.0])},),
        without=NO_ENTROPY | NO_RSAMPLE | DIRECTIONS_ONLY,
    ),
]

COPULAS = [
    Case(
        "GaussianCopula",
        normal_copula,
        {"loc": LOC, "scale": np.array([0.5, 1.0, 2.0]), "correlation_matrix": CORRELATION},
        lambda loc, scale, correlation_matrix: stats.multivariate_normal(loc, correlation_matrix * np.outer(scale, scale)),
        invalid={"loc": BAD_LOC, "scale": np.zeros(3), "correlation_matrix": COV},
        others=({"loc": LOC_B, "scale": np.array([9.0, 0.1, 1.0]), "correlation_matrix": CORRELATION_B},),
        without=NO_ENTROPY,
    ),
    Case(
        "GaussianCopulaBeta",
        beta_copula,
        {
            "concentration1": np.array([0.7, 2.0, 3.5]),
            "concentration0": np.array([1.5, 1.0, 0.8]),
            "correlation_cholesky": np.linalg.cholesky(CORRELATION),
        },
        lambda concentration1, concentration0, correlation_cholesky: copula(
            stats.beta(concentration1, concentration0), correlation_cholesky @ correlation_cholesky.T
        ),
        invalid={"concentration1": -np.ones(3), "concentration0": np.zeros(3), "correlation_cholesky": TRIL},
        outside=(np.array([0.5, 0.5, 1.5]),),
        others=(
            {
                "concentration1": np.array([30.0, 1.0, 2.0]),
                "concentration0": np.array([9.0, 4.0, 2.0]),
                "correlation_cholesky": np.linalg.cholesky(CORRELATION_B),
            },
        ),
        without=NO_ENTROPY | NO_RSAMPLE,
    ),
]

COUNTS = [
    Case(
        "MultinomialProbs",
        dist.MultinomialProbs,
        {"probs": np.array([0.2, 0.5, 0.3])},
        lambda probs, total_count, total_count_max: density(stats.multinomial(total_count, probs).logpmf),
        static={"total_count": 5, "total_count_max": 5},
        invalid={"probs": np.array([0.2, 0.5, 0.2])},
        outside=WRONG_COUNTS,
        others=({"probs": np.array([0.01, 0.09, 0.9]), "total_count": 3},),
        without=NO_ENTROPY | NO_RSAMPLE | {"scores": "the probabilities are taken as they are, as if they summed to one"},
    ),
    Case(
        "MultinomialLogits",
        dist.MultinomialLogits,
        {"logits": np.array([-1.2, 0.5, 2.3])},
        lambda logits, total_count, total_count_max: density(stats.multinomial(total_count, special.softmax(logits)).logpmf),
        static={"total_count": 5, "total_count_max": 5},
        invalid={"logits": np.array([0.0, np.nan, 1.0])},
        outside=WRONG_COUNTS,
        others=({"logits": np.array([-90.0, -92.0, -91.0]), "total_count": 3},),
        without=NO_ENTROPY | NO_RSAMPLE,
    ),
    Case(
        "DirichletMultinomial",
        dist.DirichletMultinomial,
        {"concentration": np.array([0.7, 2.0, 3.5])},
        lambda concentration, total_count, total_count_max: density(stats.dirichlet_multinomial(concentration, total_count).logpmf),
        static={"total_count": 5, "total_count_max": 5},
        invalid={"concentration": np.array([1.0, 0.0, 1.0])},
        outside=WRONG_COUNTS,
        others=({"concentration": np.array([300.0, 1.0, 40.0]), "total_count": 3},),
        without=NO_ENTROPY | NO_RSAMPLE,
    ),
]

MULTIVARIATE = VECTORS + SERIES + MATRICES + DIRECTIONS + COPULAS + COUNTS
