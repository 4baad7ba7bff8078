"""The table of distributions: one line brings every property test of `test_properties.py`.

Continuous scalar families stand here; `cases_discrete.py` and `cases_multivariate.py` add theirs with the same `Case`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import jax
import numpy as np
from scipy import integrate, stats

import ppl.distributions as dist


@dataclass(frozen=True, eq=False)
class Case:
    """One distribution to test.

    Attributes:
        name: unique; shown by pytest.
        make: constructor, called with `params` and `static` as keyword arguments.
        params: parameters of one distribution of batch shape (), Python numbers or arrays, which tests may also pass as arrays,
            batched on the left, or traced.
        scipy: the same law in SciPy, made from `params`, or None.
        static: further constructor arguments that are no arrays.
        invalid: for each parameter, a value that validation must refuse.
        outside: values outside the support.
        without: properties that do not hold, with the reason: any of "moments", "scipy_moments", "ks", "gradients", "tails",
            "slopes".
    """

    name: str
    make: Callable[..., Any]
    params: Mapping[str, Any]
    scipy: Callable[..., Any] | None = None
    static: Mapping[str, Any] = field(default_factory=dict)
    invalid: Mapping[str, Any] = field(default_factory=dict)
    outside: tuple[float, ...] = ()
    without: Mapping[str, str] = field(default_factory=dict)

    def build(self, convert: Callable[[Any], Any] = lambda p: p, **options: Any) -> Any:
        """The distribution with `convert` applied to every parameter."""
        return self.make(**{name: convert(p) for name, p in self.params.items()}, **self.static, **options)

    def reference(self) -> Any:
        """The law in SciPy, or None."""
        return None if self.scipy is None else self.scipy(**self.params)


def offers(d: dist.Distribution, member: str, *args: Any) -> bool:
    """Whether the distribution implements a property or method; of `has_rsample`, whether it is true."""

    def call(d: dist.Distribution) -> Any:
        attribute = getattr(d, member)
        return attribute(*args) if args or member == "entropy" else attribute

    if member == "has_rsample":
        return bool(d.has_rsample)
    try:
        jax.eval_shape(call, d)
    except NotImplementedError:
        return False
    return True


HEAVY = {"moments": "the fourth moment is infinite"}


def truncated(base: Callable[..., Any], *, low: bool, high: bool) -> Callable[..., Any]:
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


def truncnorm(loc: float, scale: float, low: float = -np.inf, high: float = np.inf) -> Any:
    return stats.truncnorm((low - loc) / scale, (high - loc) / scale, loc, scale)


def power_law(alpha: float, low: float, high: float) -> Any:
    """The law of `high U^(1 / (alpha + 1))`, or of a Pareto variable, between bounds, in SciPy."""
    b = alpha + 1
    if b < 0:
        return stats.truncpareto(-b, high / low, 0, low)
    return PowerBetween(b, low, high)


class PowerBetween:
    """`p(x) = b x^(b - 1) / (high^b - low^b)` on `[low, high]`, for which SciPy has no name."""

    def __init__(self, b: float, low: float, high: float) -> None:
        self.b, self.low, self.mass = b, low, high**b - low**b
        self.high = high

    def logpdf(self, x: Any) -> Any:
        return np.log(self.b / self.mass) + (self.b - 1) * np.log(x)

    def cdf(self, x: Any) -> Any:
        return (np.asarray(x) ** self.b - self.low**self.b) / self.mass

    def ppf(self, q: Any) -> Any:
        return (self.low**self.b + q * self.mass) ** (1 / self.b)

    def _moment(self, order: float) -> float:
        c = self.b + order
        return self.b / c * (self.high**c - self.low**c) / self.mass

    def mean(self) -> float:
        return self._moment(1)

    def var(self) -> float:
        return self._moment(2) - self._moment(1) ** 2

    def entropy(self) -> float:
        return integrate.quad(lambda x: -np.exp(self.logpdf(x)) * self.logpdf(x), self.low, self.high, epsabs=1e-12)[0]


LOC_SCALE = {"loc": 0.7, "scale": 1.6}
BAD_LOC_SCALE = {"loc": np.nan, "scale": -1.0}

REAL = [
    Case("Normal", dist.Normal, LOC_SCALE, stats.norm, invalid=BAD_LOC_SCALE),
    Case(
        "StudentT",
        dist.StudentT,
        {"df": 5.5, **LOC_SCALE},
        stats.t,
        invalid={"df": 0.0, **BAD_LOC_SCALE},
    ),
    Case(
        "StudentT-heavy",
        dist.StudentT,
        {"df": 0.6, **LOC_SCALE},
        stats.t,
        without=HEAVY | {"scipy_moments": "SciPy has inf or nan"},
    ),
    Case("StudentT-normal", dist.StudentT, {"df": 3e6, **LOC_SCALE}, stats.t),
    Case(
        "Cauchy",
        dist.Cauchy,
        LOC_SCALE,
        stats.cauchy,
        invalid=BAD_LOC_SCALE,
        without=HEAVY,
    ),
    Case("Laplace", dist.Laplace, LOC_SCALE, stats.laplace, invalid=BAD_LOC_SCALE),
    Case("Logistic", dist.Logistic, LOC_SCALE, stats.logistic, invalid=BAD_LOC_SCALE),
    Case("SoftLaplace", dist.SoftLaplace, LOC_SCALE, stats.hypsecant, invalid=BAD_LOC_SCALE),
    Case("Gumbel", dist.Gumbel, LOC_SCALE, stats.gumbel_r, invalid=BAD_LOC_SCALE),
    Case(
        "AsymmetricLaplace",
        dist.AsymmetricLaplace,
        {**LOC_SCALE, "asymmetry": 1.7},
        lambda loc, scale, asymmetry: stats.laplace_asymmetric(asymmetry, loc, scale),
        invalid={**BAD_LOC_SCALE, "asymmetry": 0.0},
    ),
    Case(
        "AsymmetricLaplaceQuantile",
        dist.AsymmetricLaplaceQuantile,
        {**LOC_SCALE, "quantile": 0.2},
        lambda loc, scale, quantile: stats.laplace_asymmetric(0.5, loc, scale * 0.5 / 0.2),
        invalid={**BAD_LOC_SCALE, "quantile": 1.0},
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
    ),
    Case(
        "HalfCauchy",
        dist.HalfCauchy,
        {"scale": 1.6},
        lambda scale: stats.halfcauchy(0, scale),
        invalid={"scale": -2.0},
        outside=(-1.0,),
        without=HEAVY,
    ),
    Case(
        "LogNormal",
        dist.LogNormal,
        {"loc": 0.3, "scale": 0.4},
        lambda loc, scale: stats.lognorm(scale, 0, np.exp(loc)),
        invalid=BAD_LOC_SCALE,
        outside=(-1.0, 0.0),
    ),
    Case(
        "Exponential",
        dist.Exponential,
        {"rate": 0.4},
        lambda rate: stats.expon(0, 1 / rate),
        invalid={"rate": 0.0},
        outside=(-1.0,),
    ),
    Case(
        "Gamma",
        dist.Gamma,
        {"concentration": 2.5, "rate": 0.4},
        lambda concentration, rate: stats.gamma(concentration, 0, 1 / rate),
        invalid={"concentration": 0.0, "rate": -1.0},
        outside=(-1.0,),
    ),
    Case(
        "Gamma-small",
        dist.Gamma,
        {"concentration": 0.2, "rate": 3.0},
        lambda concentration, rate: stats.gamma(concentration, 0, 1 / rate),
        without={"gradients": "the density is steeper near 0 than finite differences resolve"},
    ),
    Case(
        "Gamma-large",
        dist.Gamma,
        {"concentration": 2e4, "rate": 3.0},
        lambda concentration, rate: stats.gamma(concentration, 0, 1 / rate),
    ),
    Case("Chi2", dist.Chi2, {"df": 3.5}, stats.chi2, invalid={"df": 0.0}, outside=(-1.0,)),
    Case(
        "InverseGamma",
        dist.InverseGamma,
        {"concentration": 6.5, "rate": 3.0},
        lambda concentration, rate: stats.invgamma(concentration, 0, rate),
        invalid={"concentration": 0.0, "rate": -1.0},
        outside=(-1.0, 0.0),
    ),
    Case(
        "Weibull",
        dist.Weibull,
        {"scale": 1.6, "concentration": 1.7},
        lambda scale, concentration: stats.weibull_min(concentration, 0, scale),
        invalid={"scale": 0.0, "concentration": -1.0},
        outside=(-1.0,),
    ),
    Case(
        "Gompertz",
        dist.Gompertz,
        {"concentration": 0.3, "rate": 2.0},
        lambda concentration, rate: stats.gompertz(concentration, 0, 1 / rate),
        invalid={"concentration": 0.0, "rate": -1.0},
        outside=(-1.0,),
        without={"tails": "the density falls below float32 as exp(-exp(x))"},
    ),
    Case(
        "Pareto",
        dist.Pareto,
        {"scale": 1.6, "alpha": 6.0},
        lambda scale, alpha: stats.pareto(alpha, 0, scale),
        invalid={"scale": 0.0, "alpha": -1.0},
        outside=(-1.0, 1.5),
    ),
    Case(
        "Dagum",
        dist.Dagum,
        {"concentration": 0.7, "sharpness": 6.0, "scale": 1.6},
        lambda concentration, sharpness, scale: stats.burr(sharpness, concentration, 0, scale),
        invalid={"concentration": 0.0, "sharpness": -1.0, "scale": 0.0},
        outside=(-1.0, 0.0),
    ),
    Case(
        "Dagum-heavy",
        dist.Dagum,
        {"concentration": 3.0, "sharpness": 0.8, "scale": 1.6},
        lambda concentration, sharpness, scale: stats.burr(sharpness, concentration, 0, scale),
        without=HEAVY | {"scipy_moments": "SciPy has nan for moments that are infinite"},
    ),
    Case(
        "Levy",
        dist.Levy,
        LOC_SCALE,
        stats.levy,
        invalid=BAD_LOC_SCALE,
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
    ),
]

INTERVAL = [
    Case(
        "Uniform",
        dist.Uniform,
        {"low": -0.5, "high": 2.0},
        lambda low, high: stats.uniform(low, high - low),
        outside=(-0.6, 2.1),
    ),
    Case(
        "LogUniform",
        dist.LogUniform,
        {"low": 0.5, "high": 4.0},
        lambda low, high: stats.loguniform(low, high),
        invalid={"low": 0.0, "high": -1.0},
        outside=(-1.0, 0.4, 4.1),
    ),
    Case(
        "Beta",
        dist.Beta,
        {"concentration1": 2.5, "concentration0": 0.8},
        lambda concentration1, concentration0: stats.beta(concentration1, concentration0),
        invalid={"concentration1": 0.0, "concentration0": -1.0},
        outside=(-0.1, 1.1),
    ),
    Case(
        "Beta-large",
        dist.Beta,
        {"concentration1": 300.0, "concentration0": 5e3},
        lambda concentration1, concentration0: stats.beta(concentration1, concentration0),
    ),
    Case(
        "BetaProportion",
        dist.BetaProportion,
        {"mean": 0.3, "concentration": 7.0},
        lambda mean, concentration: stats.beta(mean * concentration, (1 - mean) * concentration),
        invalid={"mean": 1.0, "concentration": 0.0},
        outside=(-0.1, 1.1),
    ),
    Case(
        "Kumaraswamy",
        dist.Kumaraswamy,
        {"concentration1": 2.5, "concentration0": 3.5},
        invalid={"concentration1": 0.0, "concentration0": -1.0},
        outside=(-0.1, 1.1),
    ),
    Case(
        "DoublyTruncatedPowerLaw",
        dist.DoublyTruncatedPowerLaw,
        {"alpha": 1.5, "low": 0.5, "high": 4.0},
        power_law,
        invalid={"alpha": np.nan, "low": -1.0, "high": 0.0},
        outside=(-1.0, 0.4, 4.1),
    ),
    Case(
        "DoublyTruncatedPowerLaw-falling",
        dist.DoublyTruncatedPowerLaw,
        {"alpha": -3.5, "low": 0.5, "high": 40.0},
        power_law,
        outside=(0.4, 41.0),
        without={"slopes": "hardly a draw comes near the upper end, on which alone it depends"},
    ),
    Case(
        "DoublyTruncatedPowerLaw-logarithmic",
        dist.DoublyTruncatedPowerLaw,
        {"alpha": -1.0, "low": 0.5, "high": 4.0},
        lambda alpha, low, high: stats.loguniform(low, high),
    ),
    Case(
        "DoublyTruncatedPowerLaw-from-0",
        dist.DoublyTruncatedPowerLaw,
        {"alpha": -0.3, "low": 0.0, "high": 4.0},
        lambda alpha, low, high: stats.powerlaw(alpha + 1, 0, high),
        outside=(-0.1, 4.1),
        without={"gradients": "the density does not exist on the other side of low = 0"},
    ),
    Case(
        "VonMises",
        dist.VonMises,
        {"loc": 0.7, "concentration": 3.0},
        lambda loc, concentration: stats.vonmises(concentration, loc),
        invalid={"loc": np.nan, "concentration": 0.0},
        without={
            "moments": "mean and variance are those of directions",
            "scipy_moments": "SciPy's variance is that of an angle on the line",
        },
    ),
]

TRUNCATED = [
    Case(
        "LeftTruncated-Normal", truncated(dist.Normal, low=True, high=False), {**LOC_SCALE, "low": 1.5}, truncnorm, outside=(1.4,)
    ),
    Case(
        "RightTruncated-Normal", truncated(dist.Normal, low=False, high=True), {**LOC_SCALE, "high": 1.5}, truncnorm, outside=(1.6,)
    ),
    Case(
        "TwoSided-Normal",
        truncated(dist.Normal, low=True, high=True),
        {**LOC_SCALE, "low": -1.0, "high": 2.0},
        truncnorm,
        outside=(-1.1, 2.1),
    ),
    Case("TwoSided-Normal-tail", truncated(dist.Normal, low=True, high=True), {**LOC_SCALE, "low": 12.0, "high": 13.0}, truncnorm),
    Case(
        "TwoSided-Cauchy", truncated(dist.Cauchy, low=True, high=True), {**LOC_SCALE, "low": 1.5, "high": 6.0}, outside=(1.0, 7.0)
    ),
    Case("LeftTruncated-Cauchy", truncated(dist.Cauchy, low=True, high=False), {**LOC_SCALE, "low": -1.0}, without=HEAVY),
    Case("LeftTruncated-Laplace", truncated(dist.Laplace, low=True, high=False), {**LOC_SCALE, "low": -0.5}, outside=(-0.6,)),
    Case(
        "TwoSided-Logistic", truncated(dist.Logistic, low=True, high=True), {**LOC_SCALE, "low": -2.0, "high": 0.0}, outside=(-3.0,)
    ),
    Case(
        "RightTruncated-SoftLaplace",
        truncated(dist.SoftLaplace, low=False, high=True),
        {**LOC_SCALE, "high": -2.0},
        outside=(-1.9,),
    ),
    Case(
        "TwoSided-StudentT",
        truncated(dist.StudentT, low=True, high=True),
        {"df": 3.5, **LOC_SCALE, "low": -1.0, "high": 4.0},
        outside=(-1.1, 4.1),
    ),
    Case(
        "LeftTruncatedGamma",
        truncated_gamma(dist.LeftTruncatedGamma),
        {"concentration": 2.5, "rate": 0.4, "low": 9.0},
        outside=(8.9,),
    ),
    Case(
        "RightTruncatedGamma",
        truncated_gamma(dist.RightTruncatedGamma),
        {"concentration": 2.5, "rate": 0.4, "high": 3.0},
        outside=(3.1,),
    ),
    Case(
        "TwoSidedTruncatedGamma",
        truncated_gamma(dist.TwoSidedTruncatedGamma),
        {"concentration": 2.5, "rate": 0.4, "low": 1.0, "high": 9.0},
        outside=(0.9, 9.1),
    ),
]

CONTINUOUS = REAL + POSITIVE + INTERVAL + TRUNCATED
