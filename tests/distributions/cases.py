"""The table of continuous scalar families: one line brings every property test; others stand in `cases_*.py`."""

from collections.abc import Callable
from typing import Any

import numpy as np
from case import Case
from references import (
    Kumaraswamy,
    Mixture,
    between,
    half_cauchy_line,
    power_law,
    relaxed_bernoulli,
    sigmoid_between,
    von_mises,
)
from scipy import stats

import ppl.distributions as dist
from ppl.distributions import constraints, transforms

HEAVY = {"moments": "the fourth moment is infinite"}
NOT_SCIPY = {"scipy_moments": "SciPy has inf for nan, or nan for inf"}
NO_MOMENTS = {"mean": "no closed form", "variance": "no closed form"}
NO_ENTROPY = {"entropy": "no closed form"}


def truncated(base: Callable[..., Any], *, low: bool = False, high: bool = False) -> Callable[..., Any]:
    """A constructor of the truncated family from the parameters of its base and its bounds."""

    def make(validate_args: bool | None = None, **params: Any) -> Any:
        bounds = {name: params.pop(name) for name, given in (("low", low), ("high", high)) if given}
        kinds = {(True, False): dist.LeftTruncatedDistribution, (False, True): dist.RightTruncatedDistribution}
        kind = kinds.get((low, high), dist.TwoSidedTruncatedDistribution)
        return kind(base(**params), **bounds, validate_args=validate_args)

    return make


def truncated_gamma(kind: type) -> Callable[..., Any]:
    def make(concentration: Any, rate: Any, validate_args: bool | None = None, **bounds: Any) -> Any:
        return kind(dist.Gamma(concentration, rate), **bounds, validate_args=validate_args)

    return make


def gamma(concentration: float, rate: float) -> Any:
    return stats.gamma(concentration, 0, 1 / rate)


def truncnorm(loc: float, scale: float, low: float = -np.inf, high: float = np.inf) -> Any:
    return stats.truncnorm((low - loc) / scale, (high - loc) / scale, loc, scale)


def dagum(concentration: float, sharpness: float, scale: float) -> Any:
    return stats.burr(sharpness, concentration, 0, scale)


LOC_SCALE = {"loc": 0.7, "scale": 1.6}
NARROW, WIDE = {"loc": -3.0, "scale": 0.05}, {"loc": 20.0, "scale": 40.0}
BAD_LOC_SCALE = {"loc": np.nan, "scale": -1.0}


def location_scale(name: str, make: Any, scipy: Any, **options: Any) -> Case:
    return Case(name, make, LOC_SCALE, scipy, invalid=BAD_LOC_SCALE, others=(NARROW, WIDE), **options)


REAL = [
    location_scale("Normal", dist.Normal, stats.norm),
    location_scale("Cauchy", dist.Cauchy, stats.cauchy, without=HEAVY),
    location_scale("Laplace", dist.Laplace, stats.laplace),
    location_scale("Logistic", dist.Logistic, stats.logistic),
    location_scale("SoftLaplace", dist.SoftLaplace, stats.hypsecant),
    location_scale("Gumbel", dist.Gumbel, stats.gumbel_r, without={"tails": "the density falls below float32 as exp(-exp(-x))"}),
    Case(
        "StudentT",
        dist.StudentT,
        {"df": 5.5, **LOC_SCALE},
        stats.t,
        invalid={"df": 0.0, **BAD_LOC_SCALE},
        others=({"df": 40.0, **NARROW}, {"df": 3e6, **WIDE}),
    ),
    Case(
        "StudentT-heavy",
        dist.StudentT,
        {"df": 0.6, **LOC_SCALE},
        stats.t,
        others=({"df": 1.0, **NARROW}, {"df": 1.5, **WIDE}),
        without=HEAVY | NOT_SCIPY,
    ),
    Case(
        "AsymmetricLaplace",
        dist.AsymmetricLaplace,
        {**LOC_SCALE, "asymmetry": 1.7},
        lambda loc, scale, asymmetry: stats.laplace_asymmetric(asymmetry, loc, scale),
        invalid={**BAD_LOC_SCALE, "asymmetry": 0.0},
        others=({**NARROW, "asymmetry": 0.4}, {**WIDE, "asymmetry": 1.0}),
    ),
    Case(
        "AsymmetricLaplaceQuantile",
        dist.AsymmetricLaplaceQuantile,
        {**LOC_SCALE, "quantile": 0.2},
        lambda loc, scale, quantile: stats.laplace_asymmetric(
            (quantile / (1 - quantile)) ** 0.5, loc, scale / (quantile * (1 - quantile)) ** 0.5
        ),
        invalid={**BAD_LOC_SCALE, "quantile": 1.0},
        others=({**NARROW, "quantile": 0.9}, {**WIDE, "quantile": 0.5}),
    ),
]

POSITIVE = [
    Case(
        "HalfNormal",
        dist.HalfNormal,
        {"scale": 1.6},
        lambda scale: stats.halfnorm(0, scale),
        invalid={"scale": 0.0},
        outside=(-1.0,),
        others=({"scale": 0.01}, {"scale": 300.0}),
    ),
    Case(
        "HalfCauchy",
        dist.HalfCauchy,
        {"scale": 1.6},
        lambda scale: stats.halfcauchy(0, scale),
        invalid={"scale": -2.0},
        outside=(-1.0,),
        others=({"scale": 0.01}, {"scale": 300.0}),
        without=HEAVY,
    ),
    Case(
        "LogNormal",
        dist.LogNormal,
        {"loc": 0.3, "scale": 0.4},
        lambda loc, scale: stats.lognorm(scale, 0, np.exp(loc)),
        invalid=BAD_LOC_SCALE,
        outside=(-1.0, 0.0),
        others=({"loc": -2.0, "scale": 0.05}, {"loc": 3.0, "scale": 0.6}),
    ),
    Case(
        "Exponential",
        dist.Exponential,
        {"rate": 0.4},
        lambda rate: stats.expon(0, 1 / rate),
        invalid={"rate": 0.0},
        outside=(-1.0,),
        others=({"rate": 200.0}, {"rate": 1e-3}),
    ),
    Case(
        "Gamma",
        dist.Gamma,
        {"concentration": 2.5, "rate": 0.4},
        gamma,
        invalid={"concentration": 0.0, "rate": -1.0},
        outside=(-1.0,),
        others=({"concentration": 1.0, "rate": 20.0}, {"concentration": 2e4, "rate": 3.0}),
    ),
    Case(
        "Gamma-small",
        dist.Gamma,
        {"concentration": 0.2, "rate": 3.0},
        gamma,
        others=({"concentration": 0.6, "rate": 0.01}, {"concentration": 0.3, "rate": 1.0}),
        without={"gradients": "the density is steeper near 0 than finite differences resolve"},
    ),
    Case(
        "Chi2",
        dist.Chi2,
        {"df": 3.5},
        stats.chi2,
        invalid={"df": 0.0},
        outside=(-1.0,),
        others=({"df": 1.5}, {"df": 60.0}),
    ),
    Case(
        "InverseGamma",
        dist.InverseGamma,
        {"concentration": 6.5, "rate": 3.0},
        lambda concentration, rate: stats.invgamma(concentration, 0, rate),
        invalid={"concentration": 0.0, "rate": -1.0},
        outside=(-1.0, 0.0),
        others=({"concentration": 40.0, "rate": 1e3}, {"concentration": 9.0, "rate": 0.01}),
    ),
    Case(
        "Weibull",
        dist.Weibull,
        {"scale": 1.6, "concentration": 1.7},
        lambda scale, concentration: stats.weibull_min(concentration, 0, scale),
        invalid={"scale": 0.0, "concentration": -1.0},
        outside=(-1.0,),
        others=({"scale": 30.0, "concentration": 1.0}, {"scale": 0.2, "concentration": 2.5}),
    ),
    Case(
        "Gompertz",
        dist.Gompertz,
        {"concentration": 0.3, "rate": 2.0},
        lambda concentration, rate: stats.gompertz(concentration, 0, 1 / rate),
        invalid={"concentration": 0.0, "rate": -1.0},
        outside=(-1.0,),
        others=({"concentration": 5.0, "rate": 0.1}, {"concentration": 0.01, "rate": 1.0}),
        without=NO_ENTROPY | {"variance": "no closed form", "tails": "the density falls below float32 as exp(-exp(x))"},
    ),
    Case(
        "Pareto",
        dist.Pareto,
        {"scale": 1.6, "alpha": 6.0},
        lambda scale, alpha: stats.pareto(alpha, 0, scale),
        invalid={"scale": 0.0, "alpha": -1.0},
        outside=(-1.0, 1.5),
        others=({"scale": 0.1, "alpha": 9.0}, {"scale": 50.0, "alpha": 30.0}),
    ),
    Case(
        "Dagum",
        dist.Dagum,
        {"concentration": 0.7, "sharpness": 6.0, "scale": 1.6},
        dagum,
        invalid={"concentration": 0.0, "sharpness": -1.0, "scale": 0.0},
        outside=(-1.0, 0.0),
        others=({"concentration": 2.0, "sharpness": 9.0, "scale": 0.1}, {"concentration": 0.3, "sharpness": 30.0, "scale": 20.0}),
    ),
    Case(
        "Dagum-heavy",
        dist.Dagum,
        {"concentration": 3.0, "sharpness": 0.8, "scale": 1.6},
        dagum,
        others=({"concentration": 1.0, "sharpness": 1.0, "scale": 0.3}, {"concentration": 0.5, "sharpness": 1.5, "scale": 20.0}),
        without=HEAVY | NOT_SCIPY,
    ),
    location_scale(
        "Levy",
        dist.Levy,
        stats.levy,
        outside=(-1.0, 0.7),
        without=HEAVY | {"tails": "the density falls below float32 as exp(-1 / x)"},
    ),
    Case(
        "LowerTruncatedPowerLaw",
        dist.LowerTruncatedPowerLaw,
        {"alpha": -7.0, "low": 1.6},
        lambda alpha, low: stats.pareto(-1 - alpha, 0, low),
        invalid={"alpha": -1.0, "low": 0.0},
        outside=(-1.0, 1.5),
        others=({"alpha": -12.0, "low": 0.1}, {"alpha": -20.0, "low": 30.0}),
    ),
]

INTERVAL = [
    Case(
        "Uniform",
        dist.Uniform,
        {"low": -0.5, "high": 2.0},
        lambda low, high: stats.uniform(low, high - low),
        outside=(-0.6, 2.1),
        others=({"low": 10.0, "high": 10.5}, {"low": -300.0, "high": -1.0}),
    ),
    Case(
        "LogUniform",
        dist.LogUniform,
        {"low": 0.5, "high": 4.0},
        lambda low, high: stats.loguniform(low, high),
        invalid={"low": 0.0, "high": -1.0},
        outside=(-1.0, 0.4, 4.1),
        others=({"low": 1e-3, "high": 1e-2}, {"low": 2.0, "high": 2e3}),
    ),
    Case(
        "Beta",
        dist.Beta,
        {"concentration1": 2.5, "concentration0": 0.8},
        lambda concentration1, concentration0: stats.beta(concentration1, concentration0),
        invalid={"concentration1": 0.0, "concentration0": -1.0},
        outside=(-0.1, 1.1),
        others=({"concentration1": 300.0, "concentration0": 5e3}, {"concentration1": 0.6, "concentration0": 0.7}),
    ),
    Case(
        "BetaProportion",
        dist.BetaProportion,
        {"mean": 0.3, "concentration": 7.0},
        lambda mean, concentration: stats.beta(mean * concentration, (1 - mean) * concentration),
        invalid={"mean": 1.0, "concentration": 0.0},
        outside=(-0.1, 1.1),
        others=({"mean": 0.9, "concentration": 40.0}, {"mean": 0.5, "concentration": 1.5}),
    ),
    Case(
        "Kumaraswamy",
        dist.Kumaraswamy,
        {"concentration1": 2.5, "concentration0": 3.5},
        Kumaraswamy,
        invalid={"concentration1": 0.0, "concentration0": -1.0},
        outside=(-0.1, 1.1),
        others=({"concentration1": 1.0, "concentration0": 1.0}, {"concentration1": 0.7, "concentration0": 8.0}),
    ),
    Case(
        "DoublyTruncatedPowerLaw",
        dist.DoublyTruncatedPowerLaw,
        {"alpha": 1.5, "low": 0.5, "high": 4.0},
        power_law,
        invalid={"alpha": np.nan, "low": -1.0, "high": 0.0},
        outside=(-1.0, 0.4, 4.1),
        others=({"alpha": -1.0, "low": 0.5, "high": 4.0}, {"alpha": -2.5, "low": 1.0, "high": 3.0}),
    ),
    Case(
        "DoublyTruncatedPowerLaw-falling",
        dist.DoublyTruncatedPowerLaw,
        {"alpha": -3.5, "low": 0.5, "high": 40.0},
        power_law,
        outside=(0.4, 41.0),
        others=({"alpha": -5.0, "low": 0.1, "high": 9.0},),
    ),
    Case(
        "DoublyTruncatedPowerLaw-from-0",
        dist.DoublyTruncatedPowerLaw,
        {"alpha": -0.3, "low": 0.0, "high": 4.0},
        power_law,
        outside=(-0.1, 4.1),
        others=({"alpha": 2.0, "low": 0.0, "high": 0.1},),
        without={"gradients": "the density does not exist on the other side of low = 0"},
    ),
    Case(
        "VonMises",
        dist.VonMises,
        {"loc": 0.7, "concentration": 3.0},
        von_mises,
        invalid={"loc": np.nan, "concentration": 0.0},
        others=({"loc": -2.0, "concentration": 0.1}, {"loc": 3.0, "concentration": 80.0}),
        without={
            "moments": "mean and variance are those of directions",
            "outside": "the density is that of every angle, and periodic",
            "cdf": "not defined on a circle",
            "icdf": "not defined on a circle",
            "rsample": "draws by rejection have no derivative by the concentration",
        },
    ),
]

TRUNCATED = [
    Case(
        "LeftTruncated-Normal",
        truncated(dist.Normal, low=True),
        {**LOC_SCALE, "low": 1.5},
        truncnorm,
        outside=(1.4,),
        others=({**NARROW, "low": -3.2}, {**WIDE, "low": 200.0}),
        without=NO_ENTROPY,
    ),
    Case(
        "RightTruncated-Normal",
        truncated(dist.Normal, high=True),
        {**LOC_SCALE, "high": 1.5},
        truncnorm,
        outside=(1.6,),
        others=({**NARROW, "high": -2.8}, {**WIDE, "high": -200.0}),
        without=NO_ENTROPY,
    ),
    Case(
        "TwoSided-Normal",
        truncated(dist.Normal, low=True, high=True),
        {**LOC_SCALE, "low": -1.0, "high": 2.0},
        truncnorm,
        outside=(-1.1, 2.1),
        others=({"low": 12.0, "high": 13.0}, {**WIDE, "low": 19.0, "high": 23.0}),
        without=NO_ENTROPY,
    ),
    Case(
        "TwoSided-Cauchy",
        truncated(dist.Cauchy, low=True, high=True),
        {**LOC_SCALE, "low": 1.5, "high": 6.0},
        between(stats.cauchy),
        outside=(1.0, 7.0),
        others=({**NARROW, "low": -3.1, "high": -2.7}, {**WIDE, "low": -90.0, "high": -30.0}),
        without=NO_ENTROPY,
    ),
    Case(
        "LeftTruncated-Cauchy",
        truncated(dist.Cauchy, low=True),
        {**LOC_SCALE, "low": -1.0},
        half_cauchy_line,
        others=({**NARROW, "low": -2.9}, {**WIDE, "low": 90.0}),
        without=HEAVY | NO_ENTROPY,
    ),
    Case(
        "LeftTruncated-Laplace",
        truncated(dist.Laplace, low=True),
        {**LOC_SCALE, "low": -0.5},
        between(stats.laplace),
        outside=(-0.6,),
        others=({**NARROW, "low": -2.9}, {**WIDE, "low": -90.0}),
        without=NO_MOMENTS | NO_ENTROPY,
    ),
    Case(
        "TwoSided-Logistic",
        truncated(dist.Logistic, low=True, high=True),
        {**LOC_SCALE, "low": -2.0, "high": 0.0},
        between(stats.logistic),
        outside=(-3.0,),
        others=({**NARROW, "low": -3.1, "high": -2.7}, {**WIDE, "low": 200.0, "high": 300.0}),
        without=NO_MOMENTS | NO_ENTROPY,
    ),
    Case(
        "RightTruncated-SoftLaplace",
        truncated(dist.SoftLaplace, high=True),
        {**LOC_SCALE, "high": -2.0},
        between(stats.hypsecant),
        outside=(-1.9,),
        others=({**NARROW, "high": -2.9}, {**WIDE, "high": 20.0}),
        without=NO_MOMENTS | NO_ENTROPY,
    ),
    Case(
        "TwoSided-StudentT",
        truncated(dist.StudentT, low=True, high=True),
        {"df": 3.5, **LOC_SCALE, "low": -1.0, "high": 4.0},
        between(stats.t),
        outside=(-1.1, 4.1),
        others=({"df": 1.2, **NARROW, "low": -3.1, "high": -2.7}, {"df": 30.0, **WIDE, "low": -90.0, "high": -30.0}),
        without=NO_MOMENTS | NO_ENTROPY,
    ),
    Case(
        "LeftTruncatedGamma",
        truncated_gamma(dist.LeftTruncatedGamma),
        {"concentration": 2.5, "rate": 0.4, "low": 9.0},
        between(gamma),
        outside=(8.9,),
        others=({"concentration": 0.5, "rate": 3.0, "low": 0.1}, {"concentration": 60.0, "rate": 1.0, "low": 50.0}),
        without=NO_ENTROPY,
    ),
    Case(
        "RightTruncatedGamma",
        truncated_gamma(dist.RightTruncatedGamma),
        {"concentration": 2.5, "rate": 0.4, "high": 3.0},
        between(gamma),
        outside=(3.1,),
        others=({"concentration": 0.7, "rate": 3.0, "high": 0.5}, {"concentration": 60.0, "rate": 1.0, "high": 70.0}),
        without=NO_ENTROPY,
    ),
    Case(
        "TwoSidedTruncatedGamma",
        truncated_gamma(dist.TwoSidedTruncatedGamma),
        {"concentration": 2.5, "rate": 0.4, "low": 1.0, "high": 9.0},
        between(gamma),
        outside=(0.9, 9.1),
        others=(
            {"concentration": 0.7, "rate": 3.0, "low": 0.1, "high": 0.5},
            {"concentration": 60.0, "rate": 1.0, "low": 50.0, "high": 90.0},
        ),
        without=NO_ENTROPY,
    ),
]


def squeezed(loc: Any, scale: Any, validate_args: bool | None = None) -> Any:
    parts = [transforms.SigmoidTransform(), transforms.AffineTransform(-1.0, 3.0, domain=constraints.unit_interval)]
    return dist.TransformedDistribution(dist.Normal(loc, scale), parts, validate_args=validate_args)


def folded(loc: Any, scale: Any, validate_args: bool | None = None) -> Any:
    return dist.FoldedDistribution(dist.Normal(loc, scale), validate_args=validate_args)


def mixture(probs: Any, loc: Any, scale: Any, validate_args: bool | None = None) -> Any:
    return dist.MixtureSameFamily(dist.CategoricalProbs(probs), dist.Normal(loc, scale), validate_args=validate_args)


def mixture_of_two(probs: Any, left: Any, right: Any, scale: Any, validate_args: bool | None = None) -> Any:
    components = [dist.Normal(loc, scale) for loc in (left, right)]
    return dist.MixtureGeneral(dist.CategoricalProbs(probs), components, validate_args=validate_args)


COMPOSED = [
    Case(
        "Transformed-sigmoid",
        squeezed,
        {"loc": 0.3, "scale": 0.9},
        sigmoid_between,
        outside=(-1.1, 2.1),
        others=({"loc": -2.0, "scale": 0.1}, {"loc": 1.0, "scale": 2.0}),
        without=NO_MOMENTS | NO_ENTROPY | {"tails": "values next to an end are mapped to the end of the unit interval"},
    ),
    Case(
        "Folded-Normal",
        folded,
        {"loc": 0.7, "scale": 1.6},
        lambda loc, scale: stats.foldnorm(abs(loc) / scale, 0, scale),
        outside=(-0.1,),
        others=({"loc": -3.0, "scale": 0.5}, {"loc": 0.0, "scale": 20.0}),
        without=NO_MOMENTS | NO_ENTROPY | {"icdf": "no closed form"},
    ),
    Case(
        "Mixture-Normal",
        mixture,
        {"probs": np.array([0.2, 0.5, 0.3]), "loc": np.array([-2.0, 0.5, 9.0]), "scale": np.array([0.5, 1.0, 3.0])},
        Mixture,
        others=({"probs": np.array([0.01, 0.9, 0.09]), "loc": np.array([0.0, 0.0, -30.0]), "scale": np.array([9.0, 0.1, 1.0])},),
        without=NO_ENTROPY | {"icdf": "no closed form", "rsample": "the component has no derivative"},
    ),
    Case(
        "MixtureGeneral",
        mixture_of_two,
        {"probs": np.array([0.3, 0.7]), "left": -2.0, "right": 0.5, "scale": 0.6},
        lambda probs, left, right, scale: Mixture(probs, np.array([left, right]), np.array([scale, scale])),
        others=({"probs": np.array([0.99, 0.01]), "left": 0.0, "right": 30.0, "scale": 9.0},),
        without=NO_ENTROPY | {"icdf": "no closed form", "rsample": "the component has no derivative"},
    ),
    Case(
        "RelaxedBernoulliLogits",
        dist.RelaxedBernoulliLogits,
        {"temperature": 0.6, "logits": 0.8},
        relaxed_bernoulli,
        invalid={"temperature": 0.0, "logits": np.nan},
        outside=(-0.1, 1.1),
        others=({"temperature": 2.0, "logits": -1.0}, {"temperature": 1.0, "logits": 0.0}),
        without=NO_MOMENTS | NO_ENTROPY,
    ),
]

CONTINUOUS = COMPOSED + REAL + POSITIVE + INTERVAL + TRUNCATED
