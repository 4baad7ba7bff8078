"""The families that ``benchmarks.distributions`` measures, written once as functions of a namespace."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

SIZE = 100_000
DIMENSION = 10


class Parameters:
    """Arrays of parameters of one batch each, the same for both libraries: scalars of `SIZE`, vectors of `SIZE / DIMENSION`."""

    def __init__(self, rng: np.random.Generator) -> None:
        d, rows = DIMENSION, SIZE // DIMENSION
        normals = rng.normal(size=(6, SIZE)).astype(np.float32)
        self.real, self.other_real = normals[0], normals[1]
        self.positive, self.other_positive = np.exp(0.7 * normals[2]), np.exp(0.7 * normals[3])
        self.unit, self.gate = (1 / (1 + np.exp(-normals[4 + i])) for i in range(2))
        self.high = self.real + self.positive
        self.count = rng.integers(1, 50, SIZE).astype(np.int32)
        self.rate = np.exp(1.5 * normals[2] + 1.0)
        self.vector = self.real.reshape(rows, d)
        self.positive_vector = self.positive.reshape(rows, d)
        self.spatial = self.real[: SIZE // 3 * 3].reshape(-1, 3)
        self.simplex = self.positive_vector / self.positive_vector.sum(-1, keepdims=True)
        self.ordered = np.sort(self.vector, -1)
        self.row_count = np.full(rows, 20, np.int32)
        small = rng.normal(size=(SIZE // 100, d, d)).astype(np.float32)
        self.mean_vector = self.vector[: len(small)]
        self.covariance = small @ small.swapaxes(-1, -2) + d * np.eye(d, dtype=np.float32)
        self.tril = np.linalg.cholesky(self.covariance)
        self.factor = small[..., :3]
        # JAX's triangular solves of more matrices, which the peer's density needs, can wait for ever on two cores
        self.few_covariances, self.few_trils = self.covariance[:100], self.tril[:100]
        self.matrix_df = np.full(len(small), d + 5.0, np.float32)
        self.few_dfs = self.matrix_df[:100]
        self.scalar_rows = self.positive[:rows]


@dataclass(frozen=True)
class Case:
    """A family by the names of its parameters in `Parameters`, and a constructor that takes the namespace and their values."""

    make: Callable[..., Any]
    names: tuple[str, ...] = field(default=())

    def arguments(self, parameters: Parameters) -> list[np.ndarray]:
        """The values of the parameters."""
        return [getattr(parameters, name) for name in self.names]


def _family(name: str, *names: str) -> Case:
    return Case(lambda dist, *args: getattr(dist, name)(*args), names)


def _keywords(name: str, **names: str) -> Case:
    return Case(lambda dist, *args: getattr(dist, name)(**dict(zip(names, args))), tuple(names.values()))


def _truncated(family: str, *names: str, bounds: tuple[str, ...]) -> Case:
    def make(dist: Any, *args: Any) -> Any:
        base, limits = args[: len(names)], args[len(names) :]
        return dist.TruncatedDistribution(getattr(dist, family)(*base), **dict(zip(bounds, limits)))

    limits = {"low": "real", "high": "high"}
    return Case(make, (*names, *(limits[bound] for bound in bounds)))


CASES: dict[str, Case] = {
    "Normal": _family("Normal", "real", "positive"),
    "StudentT": _family("StudentT", "positive", "real", "other_positive"),
    "Cauchy": _family("Cauchy", "real", "positive"),
    "Laplace": _family("Laplace", "real", "positive"),
    "Logistic": _family("Logistic", "real", "positive"),
    "SoftLaplace": _family("SoftLaplace", "real", "positive"),
    "Gumbel": _family("Gumbel", "real", "positive"),
    "AsymmetricLaplace": _family("AsymmetricLaplace", "real", "positive", "other_positive"),
    "AsymmetricLaplaceQuantile": _family("AsymmetricLaplaceQuantile", "real", "positive", "unit"),
    "Levy": _family("Levy", "real", "positive"),
    "HalfNormal": _family("HalfNormal", "positive"),
    "HalfCauchy": _family("HalfCauchy", "positive"),
    "LogNormal": _family("LogNormal", "real", "positive"),
    "Exponential": _family("Exponential", "positive"),
    "Gamma": _family("Gamma", "positive", "other_positive"),
    "Chi2": _family("Chi2", "positive"),
    "InverseGamma": _family("InverseGamma", "positive", "other_positive"),
    "Weibull": _family("Weibull", "positive", "other_positive"),
    "Gompertz": _family("Gompertz", "positive", "other_positive"),
    "Dagum": _family("Dagum", "positive", "other_positive", "positive"),
    "Pareto": _family("Pareto", "positive", "other_positive"),
    "Uniform": _family("Uniform", "real", "high"),
    "LogUniform": Case(lambda dist, low, width: dist.LogUniform(low, low + width), ("positive", "other_positive")),
    "Beta": _family("Beta", "positive", "other_positive"),
    "BetaProportion": _family("BetaProportion", "unit", "positive"),
    "Kumaraswamy": _family("Kumaraswamy", "positive", "other_positive"),
    "RelaxedBernoulliLogits": _family("RelaxedBernoulliLogits", "positive", "real"),
    "VonMises": _family("VonMises", "real", "positive"),
    "DoublyTruncatedPowerLaw": Case(
        lambda dist, alpha, low, width: dist.DoublyTruncatedPowerLaw(alpha, low, low + width),
        ("real", "positive", "other_positive"),
    ),
    "LowerTruncatedPowerLaw": Case(
        lambda dist, alpha, low: dist.LowerTruncatedPowerLaw(-1.0 - alpha, low), ("positive", "other_positive")
    ),
    "TruncatedNormal-left": _truncated("Normal", "other_real", "positive", bounds=("low",)),
    "TruncatedNormal-right": _truncated("Normal", "other_real", "positive", bounds=("high",)),
    "TruncatedNormal-both": _truncated("Normal", "other_real", "positive", bounds=("low", "high")),
    "TruncatedCauchy-both": _truncated("Cauchy", "other_real", "positive", bounds=("low", "high")),
    "TruncatedLaplace-left": _truncated("Laplace", "other_real", "positive", bounds=("low",)),
    "TruncatedLogistic-left": _truncated("Logistic", "other_real", "positive", bounds=("low",)),
    "LeftCensored-Normal": Case(
        lambda dist, loc, scale: dist.LeftCensoredDistribution(dist.Normal(loc, scale), loc > 0), ("real", "positive")
    ),
    "RightCensored-Weibull": Case(
        lambda dist, scale, k: dist.RightCensoredDistribution(dist.Weibull(scale, k), scale > 1), ("positive", "other_positive")
    ),
    "Dirichlet": _family("Dirichlet", "positive_vector"),
    "MultivariateNormal-covariance": _keywords("MultivariateNormal", loc="mean_vector", covariance_matrix="covariance"),
    "MultivariateNormal-precision": _keywords("MultivariateNormal", loc="mean_vector", precision_matrix="covariance"),
    "MultivariateNormal-tril": _keywords("MultivariateNormal", loc="mean_vector", scale_tril="tril"),
    "MultivariateStudentT": Case(
        lambda dist, df, loc, tril: dist.MultivariateStudentT(df, loc, tril), ("matrix_df", "mean_vector", "tril")
    ),
    "LowRankMultivariateNormal": Case(
        lambda dist, loc, factor, tril: dist.LowRankMultivariateNormal(loc, factor, tril.diagonal(axis1=-2, axis2=-1)),
        ("mean_vector", "factor", "tril"),
    ),
    "MatrixNormal": Case(lambda dist, loc, tril: dist.MatrixNormal(loc, tril, tril), ("few_covariances", "few_trils")),
    "LKJCholesky": Case(lambda dist, concentration: dist.LKJCholesky(DIMENSION, concentration), ("matrix_df",)),
    "LKJ": Case(lambda dist, concentration: dist.LKJ(DIMENSION, concentration), ("few_dfs",)),
    "Wishart": _keywords("Wishart", concentration="few_dfs", scale_tril="few_trils"),
    "WishartCholesky": _keywords("WishartCholesky", concentration="few_dfs", scale_tril="few_trils"),
    "InverseWishart": _keywords("InverseWishart", concentration="few_dfs", scale_tril="few_trils"),
    "GaussianRandomWalk": Case(lambda dist, scale: dist.GaussianRandomWalk(scale, DIMENSION), ("scalar_rows",)),
    "ZeroSumNormal": Case(lambda dist, scale: dist.ZeroSumNormal(scale[0], (DIMENSION,)).expand(scale.shape), ("scalar_rows",)),
    "BernoulliProbs": _family("BernoulliProbs", "unit"),
    "BernoulliLogits": _family("BernoulliLogits", "real"),
    "BinomialProbs": _family("BinomialProbs", "unit", "count"),
    "BinomialLogits": _family("BinomialLogits", "real", "count"),
    "BetaBinomial": _family("BetaBinomial", "positive", "other_positive", "count"),
    "CategoricalProbs": _family("CategoricalProbs", "simplex"),
    "CategoricalLogits": _family("CategoricalLogits", "vector"),
    "OrderedLogistic": Case(lambda dist, x, cutpoints: dist.OrderedLogistic(x[:, 0], cutpoints), ("vector", "ordered")),
    "GeometricProbs": _family("GeometricProbs", "unit"),
    "GeometricLogits": _family("GeometricLogits", "real"),
    "Poisson": _family("Poisson", "rate"),
    "GammaPoisson": _family("GammaPoisson", "positive", "other_positive"),
    "NegativeBinomialProbs": _family("NegativeBinomialProbs", "positive", "unit"),
    "NegativeBinomialLogits": _family("NegativeBinomialLogits", "positive", "real"),
    "NegativeBinomial2": _family("NegativeBinomial2", "positive", "other_positive"),
    "BetaNegativeBinomial": _family("BetaNegativeBinomial", "positive", "other_positive", "rate"),
    "MultinomialProbs": Case(lambda dist, probs: dist.MultinomialProbs(probs, 20), ("simplex",)),
    "MultinomialLogits": Case(lambda dist, logits: dist.MultinomialLogits(logits, 20), ("vector",)),
    "DirichletMultinomial": Case(lambda dist, a: dist.DirichletMultinomial(a, 20), ("positive_vector",)),
    "ZeroInflatedPoisson": _family("ZeroInflatedPoisson", "unit", "rate"),
    "HurdlePoisson": _family("HurdlePoisson", "unit", "rate"),
    "HurdleGamma": _family("HurdleGamma", "unit", "positive", "other_positive"),
    "HurdleLogNormal": _family("HurdleLogNormal", "unit", "real", "positive"),
    "MixtureSameFamily": Case(
        lambda dist, logits, loc, scale: dist.MixtureSameFamily(dist.CategoricalLogits(logits), dist.Normal(loc, scale)),
        ("vector", "ordered", "positive_vector"),
    ),
    "MixtureGeneral": Case(
        lambda dist, logits, loc, scale: dist.MixtureGeneral(
            dist.CategoricalLogits(logits[:, :2]), [dist.Normal(loc[:, 0], scale[:, 0]), dist.Laplace(loc[:, 1], scale[:, 1])]
        ),
        ("vector", "ordered", "positive_vector"),
    ),
    "SineBivariateVonMises": Case(
        lambda dist, loc, k: dist.SineBivariateVonMises(
            loc[:, 0], loc[:, 1], 1.0 + k[:, 0], 1.0 + k[:, 1], weighted_correlation=0.0 * k[:, 2] + 0.5
        ),
        ("vector", "positive_vector"),
    ),
    "ProjectedNormal": _family("ProjectedNormal", "spatial"),
}
