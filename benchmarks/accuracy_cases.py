"""The laws that ``benchmarks.accuracy`` measures: each with its constructor, its exact law, and grids far into its tails."""

import itertools
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from benchmarks import exact
from benchmarks.exact import Law

Point = tuple[Any, ...]  # the value, then the parameters: numbers, integers where these are counts, or sequences of numbers

MAX_POINTS = 400
SMALLEST, LARGEST = 1e-37, 1e37

SCALES = (1e-6, 1e-3, 0.3, 1.0, 7.0, 1e3, 1e6)
LOCS = (-300.0, -1.0, 0.0, 0.7, 1e4)
SHAPES = (1e-6, 1e-3, 0.1, 0.5, 1.0, 2.5, 30.0, 1e3, 1e6)
UNIT = (1e-6, 1e-3, 0.2, 0.5, 0.9, 1 - 1e-3, 1 - 1e-6)
LOGITS = (-1e3, -80.0, -15.0, -3.0, -0.5, 0.0, 1e-3, 0.7, 4.0, 17.0, 90.0, 1e3)
TOTALS = (1, 2, 10, 300, 10_000, 1_000_000)
NEAR = (0.0, 1e-6, 1e-3, 0.1, 0.5, 1.0, 2.0, 4.0)
FAR = (8.0, 15.0, 30.0, 100.0, 1e3, 1e6)


@dataclass(frozen=True)
class Case:
    """A law: `make(namespace, *params)` constructs it, `points` are the grid, `lift` makes the value that `log_prob` takes."""

    make: Callable[..., Any]
    law: Law
    points: Sequence[Point]
    methods: tuple[str, ...] = ("log_prob",)
    lift: Callable[[Any], Any] = field(default=lambda value: value)


def thinned(points: Iterable[Point], size: int = MAX_POINTS) -> list[Point]:
    """At most `size` of the points, by chance but always the same."""
    points = list(points)
    if len(points) <= size:
        return points
    return [points[i] for i in sorted(np.random.default_rng(0).choice(len(points), size, replace=False))]


def grid(values: Callable[..., Iterable[Any]], *params: Sequence[Any]) -> list[Point]:
    """`values(*p)` with each `p` from the product of the grids of the parameters."""
    return thinned((value, *p) for p in itertools.product(*params) for value in values(*p))


def family(name: str, law: Law, points: Sequence[Point], *methods: str) -> Case:
    """A family by its name, with positional parameters."""
    return Case(lambda dist, *params: getattr(dist, name)(*params), law, points, ("log_prob", *methods))


# values -----------------------------------------------------------------------------------------------------------------


def around(loc: float, scale: float, *_: float) -> list[float]:
    """Both sides of `loc`, from a millionth of `scale` to a million times it."""
    return [loc + sign * z * scale for z in NEAR + FAR for sign in (-1, 1)]


def above(loc: float, scale: float, *_: float) -> list[float]:
    """From `loc` up."""
    return [loc + z * scale for z in (*NEAR[1:], *FAR) if loc + z * scale > np.float32(loc)]


def positive(mean: float, deviation: float) -> list[float]:
    """Within standard deviations of the mean, and powers of ten from it."""
    values = [mean * 10.0**k for k in (-30, -6, -3, -1, 1, 3)] + [mean + z * deviation for z in (-6, -2, -0.5, 0, 0.5, 2, 6, 20)]
    return [x for x in values if SMALLEST < x < LARGEST]


def unit(mean: float, deviation: float) -> list[float]:
    """As `positive` below 1, and close to 1."""
    ends = [1e-30, 1e-12, 1e-6, 1e-3, 0.1, 0.5, 0.9, 1 - 1e-3, 1 - 1e-6, 1 - 6e-8]
    return ends + [x for z in (-6, -2, 0, 2, 6) if 1e-7 < (x := mean + z * deviation) < 1 - 1e-6]


def gamma_values(a: float, rate: float = 1.0, *_: float) -> list[float]:
    return positive(a / rate, math.sqrt(a) / rate)


def inverse_gamma_values(a: float, rate: float) -> list[float]:
    return [1 / x for x in gamma_values(a, rate)]


def beta_values(a: float, b: float, *_: float) -> list[float]:
    return unit(a / (a + b), math.sqrt(a * b / (a + b + 1)) / (a + b))


def counts(mean: float, deviation: float, largest: float = 1e7) -> list[int]:
    """Small counts, and counts near the mean."""
    near = (mean + z * deviation for z in (-6, -2, 0, 0.5, 2, 6, 20))
    return sorted({k for k in (0, 1, 2, 7, 100, 10_000, *(round(x) for x in near)) if 0 <= k <= min(largest, 1e7)})


def power_values(scale: float, k: float, *_: float) -> list[float]:
    """Where `(x / scale)^k` is 1e-9 to 1e3, and further."""
    logs = [math.log(scale) + math.log(h) / k for h in (1e-30, 1e-9, 1e-6, 1e-3, 0.1, 0.7, 1.0, 2.0, 10.0, 100.0, 1e3)]
    return [math.exp(x) for x in logs if math.log(SMALLEST) < x < math.log(LARGEST)]


def binomial_values(p: float, n: int) -> list[int]:
    return sorted({*counts(n * p, math.sqrt(n * p * (1 - p)), n), n, n - 1, n // 2})


def negative_binomial_values(mean: float, a: float) -> list[int]:
    return counts(mean, math.sqrt(mean + mean * mean / a))


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x)) if x > -700 else 0.0


# truncated and censored -------------------------------------------------------------------------------------------------

BOUNDS = (-1e4, -30.0, -4.0, -0.1, 0.0, 1e-3, 1.0, 6.0, 30.0, 1e4)
WIDTHS = (1e-3, 0.5, 3.0, 100.0)


def _bounds(side: str) -> list[tuple[float, ...]]:
    if side == "both":
        return [(low, low + width) for low in BOUNDS for width in WIDTHS]
    return [(bound,) for bound in BOUNDS]


def _inside(bounds: tuple[float, ...], side: str) -> list[float]:
    if side == "both":
        low, high = bounds
        return [low + share * (high - low) for share in (1e-3, 0.1, 0.5, 0.9)]
    return [bounds[0] + (step if side == "low" else -step) for step in (1e-3, 0.05, 0.5, 3.0, 20.0)]


def truncated(name: str, law: Law, side: str, *shapes: float) -> Case:
    """A symmetric family at 0 within bounds; `shapes` are values of the parameter before the location."""

    def make(dist: Any, *params: Any) -> Any:
        bounds = {"low": {"low": params[-1]}, "high": {"high": params[-1]}, "both": dict(zip(("low", "high"), params[-2:]))}[side]
        return dist.TruncatedDistribution(getattr(dist, name)(*params[: -len(bounds)]), **bounds)

    points = (
        (loc + scale * x, *shape, loc, scale, *(loc + scale * bound for bound in bounds))
        for shape in ([(s,) for s in shapes] or [()])
        for loc, scale in ((0.0, 1.0), (0.5, 1e-3), (-2.0, 300.0))
        for bounds in _bounds(side)
        for x in _inside(bounds, side)
    )
    return Case(make, exact.truncated(law, side), thinned(points), ("log_prob", "cdf", "icdf"))


def truncated_gamma(side: str) -> Case:
    def make(dist: Any, a: Any, rate: Any, *bounds: Any) -> Any:
        names = ("low", "high") if side == "both" else (side,)
        return dist.TruncatedGamma(a, rate, **dict(zip(names, bounds)))

    def points() -> Iterable[Point]:
        for a, rate, t in itertools.product((1e-3, 0.5, 3.0, 100.0, 1e5), (0.01, 1.0, 50.0), (0.01, 0.5, 1.0, 1.5, 5.0)):
            bound = t * a / rate
            for step in (0.01, 0.3, 0.9):
                if side == "both":
                    yield bound * (1 + step), a, rate, bound, 2 * bound
                else:
                    yield bound * (1 + step if side == "low" else 1 - step), a, rate, bound

    return Case(make, exact.truncated(exact.GAMMA, side), thinned(points()), ("log_prob", "cdf", "icdf"))


def censored(name: str, law: Law, side: str, points: Sequence[Point]) -> Case:
    def make(dist: Any, *params: Any) -> Any:
        wrapper = dist.LeftCensoredDistribution if side == "left" else dist.RightCensoredDistribution
        return wrapper(getattr(dist, name)(*params[:-1]), params[-1] > 0)

    flagged = [(*point, 1 if i % 4 else 0) for i, point in enumerate(points)]
    return Case(make, exact.censored(law, side), flagged)


def interval_censored(name: str, law: Law, points: Sequence[Point]) -> Case:
    def make(dist: Any, *params: Any) -> Any:
        return dist.IntervalCensoredDistribution(getattr(dist, name)(*params), False, False)

    intervals = [
        ((float(np.float32(x)), float(np.float32(x + width * max(abs(x), 0.1)))), *params)
        for x, *params in points
        for width in (1e-3, 0.3)
    ]
    return Case(make, exact.interval_censored(law), thinned(intervals))


# vectors ----------------------------------------------------------------------------------------------------------------

SIMPLEXES = (
    (0.2, 0.3, 0.5),
    (1e-30, 1e-4, 1 - 1e-4),
    (1e-12, 0.5, 0.5),
    (1e-6, 1e-6, 1 - 2e-6),
    (1 / 3, 1 / 3, 1 / 3),
    (0.998, 1e-3, 1e-3),
)
CONCENTRATIONS = tuple(
    (a, b, c) for a, b, c in itertools.product((1e-6, 0.1, 1.0, 30.0, 1e6), repeat=3) if max(a, b, c) / min(a, b, c) < 1e7
)
COUNT_VECTORS = (
    (0, 0, 1),
    (3, 0, 7),
    (20, 100, 1),
    (0, 0, 0),
    (1000, 500, 2),
    (10_000, 1_000_000, 33),
    (333_333,) * 3,
)
LOGIT_VECTORS = ((0.0, 0.0, 0.0), (1.0, -2.0, 0.5), (100.0, -100.0, 0.0), (1e4, 1e4 - 1, 1e4), (-500.0, -501.0, -600.0))
CUTPOINTS = ((-1.0, 0.0, 2.0), (0.0, 1e-4, 2e-4), (5.0, 5.0001, 30.0), (-40.0, 0.5, 60.0), (100.0, 100.5, 101.0))


def lkj_factor(diagonal: Any) -> Any:
    """The factors with a diagonal, whose entries below it are alike in each row."""
    d = diagonal.shape[-1] + 1
    rows = np.arange(1, d)
    below = np.sqrt((1 - np.float64(diagonal) ** 2) / rows).astype(np.float32)
    out = np.zeros((*diagonal.shape[:-1], d, d), np.float32)
    out[..., 0, 0] = 1
    for i in rows:
        out[..., i, :i] = below[..., i - 1, None]
        out[..., i, i] = diagonal[..., i - 1]
    return out


def lkj_cholesky(dimension: int) -> Case:
    rng = np.random.default_rng(0)
    diagonals = [tuple(rng.uniform(low, 1, dimension - 1)) for low in (1e-3, 0.1, 0.9) for _ in range(3)]
    points = [(diagonal, eta) for diagonal in diagonals for eta in SHAPES]
    return Case(
        lambda dist, eta: dist.LKJCholesky(dimension, eta),
        exact.LKJ_CHOLESKY,
        thinned(points, 40 if dimension > 10 else MAX_POINTS),
        lift=lkj_factor,
    )


def multivariate_student_t() -> Case:
    def make(dist: Any, df: Any, loc: Any, diagonal: Any) -> Any:
        return dist.MultivariateStudentT(df, loc, diagonal[..., None] * np.eye(3, dtype=np.float32))

    points = itertools.product(
        ((0.0, 0.0, 0.0), (1.0, -2.0, 0.5), (100.0, 3.0, 1e3)),
        SHAPES,
        ((0.0, 0.0, 0.0), (3.0, -1.0, 0.1)),
        ((1.0, 1.0, 1.0), (1e-3, 2.0, 100.0)),
    )
    return Case(make, exact.MULTIVARIATE_STUDENT_T, thinned(points))


def sine_bivariate_von_mises() -> Case:
    def make(dist: Any, loc: Any, k: Any, correlation: Any) -> Any:
        return dist.SineBivariateVonMises(loc[..., 0], loc[..., 1], k[..., 0], k[..., 1], correlation)

    points = (
        (x, loc, k, share * math.sqrt(k[0] * k[1]))
        for x in ((0.1, -0.2), (3.0, 1.0), (0.5, 0.5))
        for loc in ((0.0, 0.0), (0.5, -1.0))
        for k in ((0.1, 0.1), (1.0, 5.0), (30.0, 10.0), (300.0, 1000.0))
        for share in (0.1, 0.5, 0.95)
    )
    return Case(make, exact.SINE_BIVARIATE_VON_MISES, list(points))


def projected_normal(directions: Sequence[Sequence[float]]) -> Case:
    points = [
        (x, tuple(length * c for c in mean))
        for x in directions
        for mean in directions
        for length in (1e-6, 0.1, 1.0, -1.0, 10.0, -10.0, 300.0, -300.0)
    ]
    return Case(lambda dist, mean: dist.ProjectedNormal(mean), exact.PROJECTED_NORMAL, points)


# the table --------------------------------------------------------------------------------------------------------------

BOTH = ("cdf", "icdf")

CASES: dict[str, Case] = {
    "Normal": family("Normal", exact.NORMAL, grid(around, LOCS, SCALES), *BOTH),
    "StudentT": family(
        "StudentT", exact.STUDENT_T, grid(lambda df, loc, scale: around(loc, scale), SHAPES[2:], LOCS, SCALES), *BOTH
    ),
    "Cauchy": family("Cauchy", exact.CAUCHY, grid(around, LOCS, SCALES), *BOTH),
    "Laplace": family("Laplace", exact.LAPLACE, grid(around, LOCS, SCALES), *BOTH),
    "Logistic": family("Logistic", exact.LOGISTIC, grid(around, LOCS, SCALES), *BOTH),
    "SoftLaplace": family("SoftLaplace", exact.SOFT_LAPLACE, grid(around, LOCS, SCALES), *BOTH),
    "Gumbel": family(
        "Gumbel",
        exact.GUMBEL,
        grid(lambda loc, scale: [x for x in around(loc, scale) if x > loc - 80 * scale], LOCS, SCALES),
        *BOTH,
    ),
    "AsymmetricLaplace": family(
        "AsymmetricLaplace", exact.ASYMMETRIC_LAPLACE, grid(around, LOCS, SCALES, (1e-3, 0.3, 1.0, 5.0, 1e3)), *BOTH
    ),
    "AsymmetricLaplaceQuantile": family(
        "AsymmetricLaplaceQuantile", exact.ASYMMETRIC_LAPLACE_QUANTILE, grid(around, LOCS, SCALES, UNIT), *BOTH
    ),
    "Levy": family("Levy", exact.LEVY, grid(above, LOCS, SCALES), *BOTH),
    "HalfNormal": family("HalfNormal", exact.HALF_NORMAL, grid(lambda scale: above(0.0, scale), SCALES), *BOTH),
    "HalfCauchy": family("HalfCauchy", exact.HALF_CAUCHY, grid(lambda scale: above(0.0, scale), SCALES), *BOTH),
    "FoldedNormal": Case(
        lambda dist, loc, scale: dist.FoldedDistribution(dist.Normal(loc, scale)),
        exact.folded(exact.NORMAL),
        grid(lambda loc, scale: above(0.0, scale) + above(abs(loc), scale), LOCS, SCALES),
    ),
    "LogNormal": family(
        "LogNormal",
        exact.LOG_NORMAL,
        grid(
            lambda loc, scale: [math.exp(x) for x in around(loc, scale) if abs(x) < 80],
            (-40.0, -1.0, 0.0, 0.5, 30.0),
            (1e-3, 0.1, 1.0, 5.0, 1e3),
        ),
        *BOTH,
    ),
    "Exponential": family("Exponential", exact.EXPONENTIAL, grid(lambda rate: positive(1 / rate, 1 / rate), SCALES), *BOTH),
    "Gamma": family("Gamma", exact.GAMMA, grid(gamma_values, SHAPES, SCALES), *BOTH),
    "Chi2": family("Chi2", exact.CHI2, grid(lambda df: gamma_values(df / 2, 0.5), SHAPES), *BOTH),
    "InverseGamma": family("InverseGamma", exact.INVERSE_GAMMA, grid(inverse_gamma_values, SHAPES, SCALES), *BOTH),
    "Weibull": family("Weibull", exact.WEIBULL, grid(power_values, SCALES, (0.1, 0.5, 1.0, 3.0, 100.0, 1e4)), *BOTH),
    "Gompertz": family(
        "Gompertz",
        exact.GOMPERTZ,
        grid(
            lambda c, rate: [math.log1p(h / c) / rate for h in (1e-12, 1e-6, 1e-3, 0.1, 0.7, 2.0, 10.0, 90.0, 1e4)], SHAPES, SCALES
        ),
        *BOTH,
    ),
    "Dagum": family(
        "Dagum",
        exact.DAGUM,
        grid(lambda c, a, scale: power_values(scale, a), (1e-3, 0.5, 1.0, 30.0, 1e4), (0.1, 1.0, 7.0, 1e3), SCALES),
        *BOTH,
    ),
    "Pareto": family("Pareto", exact.PARETO, grid(above, SCALES, SHAPES), *BOTH),
    "LowerTruncatedPowerLaw": family(
        "LowerTruncatedPowerLaw",
        exact.POWER_LAW,
        grid(lambda alpha, low: above(low, low), (-1.001, -1.5, -2.0, -5.0, -100.0, -1e4), SCALES),
        *BOTH,
    ),
    "DoublyTruncatedPowerLaw": family(
        "DoublyTruncatedPowerLaw",
        exact.DOUBLY_TRUNCATED_POWER_LAW,
        [
            (low * (1 + share * (ratio - 1)), alpha, low, low * ratio)
            for alpha in (-300.0, -30.0, -2.0, -1.001, -1.0, -0.99, -0.5, 0.0, 3.0, 100.0)
            for low in (1e-3, 1.0, 200.0)
            for ratio in (1.01, 2.0, 1e4)
            for share in (1e-3, 0.1, 0.5, 0.95)
        ],
        *BOTH,
    ),
    "Uniform": family("Uniform", exact.UNIFORM, grid(lambda low, high: _inside((low, high), "both"), LOCS, (1e4 + 1, 3e6)), *BOTH),
    "LogUniform": family(
        "LogUniform",
        exact.LOG_UNIFORM,
        [(low * ratio**t, low, low * ratio) for low in SCALES for ratio in (1.001, 1.5, 1e3, 1e9) for t in (1e-3, 0.2, 0.5, 0.99)],
        *BOTH,
    ),
    "Beta": family("Beta", exact.BETA, grid(beta_values, SHAPES, SHAPES), *BOTH),
    "BetaProportion": family(
        "BetaProportion", exact.BETA_PROPORTION, grid(lambda mean, k: beta_values(mean * k, (1 - mean) * k), UNIT, SHAPES), *BOTH
    ),
    "Kumaraswamy": family(
        "Kumaraswamy",
        exact.KUMARASWAMY,
        grid(lambda a, b: [x for x in (*unit(0.5, 0.01), *power_values(1.0, a)) if x < 1 - 5e-8], SHAPES, SHAPES),
        *BOTH,
    ),
    "RelaxedBernoulliLogits": family(
        "RelaxedBernoulliLogits", exact.RELAXED_BERNOULLI, grid(lambda t, _: unit(0.5, 0.01), (1e-2, 0.1, 1.0, 10.0), LOGITS)
    ),
    "VonMises": family(
        "VonMises",
        exact.VON_MISES,
        grid(
            lambda loc, k: [x for x in around(loc, min(1.0, k**-0.5)) if -3.14 < x < 3.14],
            (-3.0, -0.5, 0.0, 1.0, 3.1),
            (1e-6, 1e-3, 0.5, 3.0, 30.0, 700.0, 1e4, 1e6),
        ),
    ),
    **{
        f"Truncated{name}-{side}": truncated(name, law, side, *shapes)
        for name, law, shapes in (
            ("Normal", exact.NORMAL, ()),
            ("Cauchy", exact.CAUCHY, ()),
            ("Laplace", exact.LAPLACE, ()),
            ("Logistic", exact.LOGISTIC, ()),
            ("SoftLaplace", exact.SOFT_LAPLACE, ()),
            ("StudentT", exact.STUDENT_T, (0.5, 3.0, 1e3)),
        )
        for side in ("low", "high", "both")
    },
    **{f"TruncatedGamma-{side}": truncated_gamma(side) for side in ("low", "high", "both")},
    "LeftCensored-Normal": censored("Normal", exact.NORMAL, "left", grid(around, LOCS, SCALES)),
    "RightCensored-Normal": censored("Normal", exact.NORMAL, "right", grid(around, LOCS, SCALES)),
    "RightCensored-Weibull": censored(
        "Weibull", exact.WEIBULL, "right", grid(power_values, SCALES, (0.1, 0.5, 1.0, 3.0, 100.0, 1e4))
    ),
    "RightCensored-Gamma": censored("Gamma", exact.GAMMA, "right", grid(gamma_values, SHAPES, SCALES)),
    "LeftCensored-LogNormal": censored(
        "LogNormal", exact.LOG_NORMAL, "left", grid(lambda loc, scale: positive(1.0, 0.1), (-1.0, 0.0, 3.0), (0.1, 1.0, 5.0))
    ),
    "IntervalCensored-Normal": interval_censored(
        "Normal", exact.NORMAL, grid(lambda *_: (-20.0, -3.0, -0.5, 0.0, 0.5, 3.0, 20.0), (0.0, 0.5), (0.3, 1.0, 7.0))
    ),
    "BernoulliProbs": family("BernoulliProbs", exact.BERNOULLI_PROBS, grid(lambda _: (0, 1), UNIT), "cdf"),
    "BernoulliLogits": family("BernoulliLogits", exact.BERNOULLI_LOGITS, grid(lambda _: (0, 1), LOGITS), "cdf"),
    "BinomialProbs": family("BinomialProbs", exact.BINOMIAL_PROBS, grid(binomial_values, UNIT, TOTALS), "cdf"),
    "BinomialLogits": family(
        "BinomialLogits", exact.BINOMIAL_LOGITS, grid(lambda x, n: binomial_values(sigmoid(x), n), LOGITS, TOTALS), "cdf"
    ),
    "BetaBinomial": family(
        "BetaBinomial", exact.BETA_BINOMIAL, grid(lambda a, b, n: binomial_values(a / (a + b), n), SHAPES, SHAPES, TOTALS)
    ),
    "GeometricProbs": family("GeometricProbs", exact.GEOMETRIC_PROBS, grid(lambda p: counts(1 / p, 1 / p), UNIT), "cdf"),
    "GeometricLogits": family(
        "GeometricLogits", exact.GEOMETRIC_LOGITS, grid(lambda x: counts(math.exp(-x), 10.0), LOGITS[1:]), "cdf"
    ),
    "Poisson": family("Poisson", exact.POISSON, grid(lambda rate: counts(rate, math.sqrt(rate)), SHAPES), "cdf"),
    "GammaPoisson": family(
        "GammaPoisson", exact.GAMMA_POISSON, grid(lambda a, rate: negative_binomial_values(a / rate, a), SHAPES, SCALES), "cdf"
    ),
    "NegativeBinomialProbs": family(
        "NegativeBinomialProbs",
        exact.NEGATIVE_BINOMIAL_PROBS,
        grid(lambda r, p: negative_binomial_values(r * p / (1 - p), r), SHAPES, UNIT),
        "cdf",
    ),
    "NegativeBinomialLogits": family(
        "NegativeBinomialLogits",
        exact.NEGATIVE_BINOMIAL_LOGITS,
        grid(lambda r, x: negative_binomial_values(r * math.exp(x), r), SHAPES, LOGITS[1:-1]),
        "cdf",
    ),
    "NegativeBinomial2": family(
        "NegativeBinomial2", exact.NEGATIVE_BINOMIAL2, grid(negative_binomial_values, SHAPES, SHAPES), "cdf"
    ),
    "BetaNegativeBinomial": family(
        "BetaNegativeBinomial", exact.BETA_NEGATIVE_BINOMIAL, grid(lambda a, b, n: counts(n * a / b, 10.0), SHAPES, SHAPES, SHAPES)
    ),
    "ZeroInflatedPoisson": family(
        "ZeroInflatedPoisson", exact.ZERO_INFLATED_POISSON, grid(lambda _, rate: counts(rate, math.sqrt(rate)), UNIT, SHAPES)
    ),
    "ZeroInflatedNegativeBinomial2": Case(
        lambda dist, gate, mean, a: dist.ZeroInflatedNegativeBinomial2(mean, a, gate=gate),
        exact.ZERO_INFLATED_NEGATIVE_BINOMIAL2,
        grid(lambda _, mean, a: negative_binomial_values(mean, a), UNIT, SHAPES, SHAPES),
    ),
    "HurdlePoisson": family(
        "HurdlePoisson", exact.HURDLE_POISSON, grid(lambda _, rate: counts(rate, math.sqrt(rate)), UNIT, SHAPES)
    ),
    "HurdleNegativeBinomial2": Case(
        lambda dist, gate, mean, a: dist.HurdleNegativeBinomial2(gate, mean, a),
        exact.HURDLE_NEGATIVE_BINOMIAL2,
        grid(lambda _, mean, a: negative_binomial_values(mean, a), UNIT, SHAPES, SHAPES),
    ),
    "HurdleGamma": family("HurdleGamma", exact.HURDLE_GAMMA, grid(lambda _, a, rate: gamma_values(a, rate), UNIT, SHAPES, SCALES)),
    "HurdleLogNormal": family(
        "HurdleLogNormal", exact.HURDLE_LOG_NORMAL, grid(lambda *_: positive(1.0, 0.1), UNIT, (-3.0, 0.0, 5.0), (0.1, 1.0, 7.0))
    ),
    "CategoricalProbs": family("CategoricalProbs", exact.CATEGORICAL_PROBS, list(itertools.product(range(3), SIMPLEXES)), "cdf"),
    "CategoricalLogits": family(
        "CategoricalLogits", exact.CATEGORICAL_LOGITS, list(itertools.product(range(3), LOGIT_VECTORS)), "cdf"
    ),
    "OrderedLogistic": family(
        "OrderedLogistic",
        exact.ORDERED_LOGISTIC,
        list(itertools.product(range(4), (-100.0, -20.0, -1.0, 0.0, 0.5, 5.0, 40.0, 100.0), CUTPOINTS)),
        "cdf",
    ),
    "MultinomialProbs": Case(
        lambda dist, probs, n: dist.MultinomialProbs(probs, n, total_count_max=10),
        exact.MULTINOMIAL_PROBS,
        [(k, p, sum(k)) for k, p in itertools.product(COUNT_VECTORS, SIMPLEXES)],
    ),
    "MultinomialLogits": Case(
        lambda dist, logits, n: dist.MultinomialLogits(logits, n, total_count_max=10),
        exact.MULTINOMIAL_LOGITS,
        [(k, p, sum(k)) for k, p in itertools.product(COUNT_VECTORS, LOGIT_VECTORS)],
    ),
    "DirichletMultinomial": Case(
        lambda dist, a, n: dist.DirichletMultinomial(a, n, total_count_max=10),
        exact.DIRICHLET_MULTINOMIAL,
        thinned((k, a, sum(k)) for k in COUNT_VECTORS for a in CONCENTRATIONS),
    ),
    "Dirichlet": family("Dirichlet", exact.DIRICHLET, thinned(itertools.product(SIMPLEXES, CONCENTRATIONS))),
    "MultivariateStudentT": multivariate_student_t(),
    "LKJCholesky-2": lkj_cholesky(2),
    "LKJCholesky-10": lkj_cholesky(10),
    "LKJCholesky-50": lkj_cholesky(50),
    "ProjectedNormal-2": projected_normal(((1.0, 0.0), (0.6, 0.8), (-0.8, 0.6))),
    "ProjectedNormal-3": projected_normal(((1.0, 0.0, 0.0), (0.36, 0.48, 0.8), (-0.6, 0.0, 0.8))),
    "SineBivariateVonMises": sine_bivariate_von_mises(),
}
