"""The table of laws of counts and categories."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from case import Case
from references import Finite, beta_negative_binomial, hurdle, inflated, nbinom2, ordered_logistic
from scipy import special, stats

import ppl.distributions as dist

WEIGHTS, OTHER_WEIGHTS = np.array([0.2, 0.5, 0.05, 0.25]), np.array([0.01, 0.01, 0.9, 0.08])
CUTPOINTS, OTHER_CUTPOINTS = np.array([-1.0, 0.3, 0.9]), np.array([-4.0, -3.9, 2.0])
sigmoid = special.expit


def over(base: Callable[..., Any], wrap: Callable[..., Any], *own: str) -> Callable[..., Any]:
    """A constructor of `wrap` over `base` from the parameters of both; those in `own` are the wrapper's."""

    def make(validate_args: bool | None = None, **params: Any) -> Any:
        mine = {name: params.pop(name) for name in own}
        return wrap(base(**params), **mine, validate_args=validate_args)

    return make


BAD_PROBS: Mapping[str, Any] = {"probs": 1.1}
EXTENDED = {"outside": "the density is a formula that is finite there; validation refuses such values"}
BAD_LOGITS: Mapping[str, Any] = {"logits": np.nan}
BAD_CONCENTRATIONS = {"concentration1": 0.0, "concentration0": -1.0}
COUNTABLE = {"enumerate_support": "the support is infinite"}
NOTHING_MORE = {"cdf": "not defined", "icdf": "not defined", "entropy": "no closed form", "rsample": "discrete"}
NO_ICDF = {"icdf": "not defined", "rsample": "discrete"}
NO_QUANTILES = {"icdf": "not defined", "entropy": "no closed form", "rsample": "discrete"}

TRIALS = [
    Case(
        "BernoulliProbs",
        dist.BernoulliProbs,
        {"probs": 0.3},
        lambda probs: stats.bernoulli(probs),
        invalid=BAD_PROBS,
        others=({"probs": 0.9}, {"probs": 0.01}),
        without=NO_ICDF | EXTENDED,
    ),
    Case(
        "BernoulliLogits",
        dist.BernoulliLogits,
        {"logits": -0.7},
        lambda logits: stats.bernoulli(sigmoid(logits)),
        invalid=BAD_LOGITS,
        others=({"logits": 4.0}, {"logits": 0.0}),
        without=NO_ICDF | EXTENDED,
    ),
    Case(
        "BinomialProbs",
        dist.BinomialProbs,
        {"probs": 0.3},
        lambda probs, total_count: stats.binom(total_count, probs),
        {"total_count": 7},
        BAD_PROBS,
        (-1, 8),
        others=({"probs": 0.6, "total_count": 200}, {"probs": 0.97, "total_count": 40}),
        without=NO_QUANTILES,
    ),
    Case(
        "BinomialLogits",
        dist.BinomialLogits,
        {"logits": 0.4},
        lambda logits, total_count: stats.binom(total_count, sigmoid(logits)),
        {"total_count": 7},
        BAD_LOGITS,
        (-1, 8),
        others=({"logits": -0.3, "total_count": 150}, {"logits": -4.0, "total_count": 40}),
        without=NO_QUANTILES,
    ),
    Case(
        "BetaBinomial",
        dist.BetaBinomial,
        {"concentration1": 2.5, "concentration0": 0.8},
        lambda concentration1, concentration0, total_count: stats.betabinom(total_count, concentration1, concentration0),
        {"total_count": 9},
        BAD_CONCENTRATIONS,
        (-1, 10),
        others=(
            {"concentration1": 1.0, "concentration0": 1.0, "total_count": 4},
            {"concentration1": 30.0, "concentration0": 10.0, "total_count": 60},
        ),
        without=NOTHING_MORE,
    ),
    Case(
        "GeometricProbs",
        dist.GeometricProbs,
        {"probs": 0.3},
        lambda probs: stats.geom(probs, loc=-1),
        invalid=BAD_PROBS,
        others=({"probs": 0.95}, {"probs": 0.05}),
        without=NO_ICDF | COUNTABLE | EXTENDED,
    ),
    Case(
        "GeometricLogits",
        dist.GeometricLogits,
        {"logits": 0.4},
        lambda logits: stats.geom(sigmoid(logits), loc=-1),
        invalid=BAD_LOGITS,
        others=({"logits": 3.0}, {"logits": -3.0}),
        without=NO_ICDF | COUNTABLE | EXTENDED,
    ),
    Case(
        "DiscreteUniform",
        dist.DiscreteUniform,
        {},
        lambda low, high: stats.randint(low, high + 1),
        {"low": 2, "high": 6},
        outside=(1, 7),
        others=({"low": -3, "high": -2}, {"low": -2, "high": 11}),
        without={"rsample": "discrete"},
    ),
]

COUNTS = [
    Case(
        "Poisson",
        dist.Poisson,
        {"rate": 3.5},
        lambda rate: stats.poisson(rate),
        invalid={"rate": -0.1},
        outside=(-1,),
        others=({"rate": 140.0}, {"rate": 0.2}),
        without=NO_QUANTILES | COUNTABLE,
    ),
    Case(
        "GammaPoisson",
        dist.GammaPoisson,
        {"concentration": 2.5, "rate": 0.4},
        lambda concentration, rate: stats.nbinom(concentration, rate / (1 + rate)),
        invalid={"concentration": 0.0, "rate": -1.0},
        outside=(-1,),
        others=({"concentration": 0.5, "rate": 2.0}, {"concentration": 30.0, "rate": 1.0}),
        without=NO_QUANTILES | COUNTABLE,
    ),
    Case(
        "NegativeBinomialProbs",
        dist.NegativeBinomialProbs,
        {"total_count": 2.5, "probs": 0.6},
        lambda total_count, probs: stats.nbinom(total_count, 1 - probs),
        invalid={"total_count": 0.0, **BAD_PROBS},
        outside=(-1,),
        others=({"total_count": 0.5, "probs": 0.1}, {"total_count": 30.0, "probs": 0.5}),
        without=NO_QUANTILES | COUNTABLE,
    ),
    Case(
        "NegativeBinomialLogits",
        dist.NegativeBinomialLogits,
        {"total_count": 2.5, "logits": 0.4},
        lambda total_count, logits: stats.nbinom(total_count, sigmoid(-logits)),
        invalid={"total_count": 0.0, **BAD_LOGITS},
        outside=(-1,),
        others=({"total_count": 0.5, "logits": -2.0}, {"total_count": 30.0, "logits": 0.2}),
        without=NO_QUANTILES | COUNTABLE,
    ),
    Case(
        "NegativeBinomial2",
        dist.NegativeBinomial2,
        {"mean": 6.0, "concentration": 2.5},
        nbinom2,
        invalid={"mean": -1.0, "concentration": 0.0},
        outside=(-1,),
        others=({"mean": 0.2, "concentration": 0.5}, {"mean": 30.0, "concentration": 200.0}),
        without=NO_QUANTILES | COUNTABLE,
    ),
    Case(
        "BetaNegativeBinomial",
        dist.BetaNegativeBinomial,
        {"concentration1": 1.5, "concentration0": 9.0, "n": 4.0},
        beta_negative_binomial,
        invalid={**BAD_CONCENTRATIONS, "n": 0.0},
        outside=(-1,),
        others=(
            {"concentration1": 9.0, "concentration0": 30.0, "n": 0.7},
            {"concentration1": 0.5, "concentration0": 12.0, "n": 8.0},
        ),
        without=NOTHING_MORE | COUNTABLE,
    ),
]

CATEGORIES = [
    Case(
        "CategoricalProbs",
        dist.CategoricalProbs,
        {"probs": WEIGHTS},
        lambda probs: Finite(probs),
        invalid={"probs": np.array([0.5, 0.6, 0.1, -0.2])},
        outside=(-1, 4),
        others=({"probs": OTHER_WEIGHTS},),
        without=NO_ICDF,
    ),
    Case(
        "CategoricalLogits",
        dist.CategoricalLogits,
        {"logits": np.log(WEIGHTS) + 2.0},
        lambda logits: Finite(special.softmax(logits)),
        invalid={"logits": np.array([0.5, np.nan, 0.1, -0.2])},
        outside=(-1, 4),
        others=({"logits": np.log(OTHER_WEIGHTS) - 100.0},),
        without=NO_ICDF,
    ),
    Case(
        "CategoricalLogits-many",
        dist.CategoricalLogits,
        {"logits": np.sin(np.arange(20.0))},
        lambda logits: Finite(special.softmax(logits)),
        invalid={"logits": np.full(20, -np.inf)},
        outside=(-1, 20),
        others=({"logits": 3.0 * np.cos(np.arange(20.0))},),
        without=NO_ICDF,
    ),
    Case(
        "OrderedLogistic",
        dist.OrderedLogistic,
        {"predictor": 0.4, "cutpoints": CUTPOINTS},
        ordered_logistic,
        invalid={"predictor": np.nan, "cutpoints": CUTPOINTS[::-1]},
        outside=(-1, 4),
        others=({"predictor": -2.0, "cutpoints": OTHER_CUTPOINTS}, {"predictor": 3.0, "cutpoints": OTHER_CUTPOINTS}),
        without=NO_ICDF,
    ),
    Case(
        "OrderedLogistic-two",
        dist.OrderedLogistic,
        {"predictor": 0.4, "cutpoints": CUTPOINTS[:1]},
        ordered_logistic,
        outside=(-1, 2),
        others=({"predictor": -2.0, "cutpoints": CUTPOINTS[1:2]},),
        without=NO_ICDF,
    ),
]

GATED = [
    Case(
        "ZeroInflatedProbs",
        over(dist.BernoulliProbs, dist.ZeroInflatedProbs, "gate"),
        {"gate": 0.3, "probs": 0.6},
        lambda gate, probs: Finite([gate + (1 - gate) * (1 - probs), (1 - gate) * probs]),
        others=({"gate": 0.9, "probs": 0.2}, {"gate": 0.01, "probs": 0.9}),
        without=NOTHING_MORE | EXTENDED,
    ),
    Case(
        "ZeroInflatedLogits",
        over(dist.Poisson, dist.ZeroInflatedLogits, "gate_logits"),
        {"gate_logits": -0.7, "rate": 2.5},
        lambda gate_logits, rate: inflated(stats.poisson(rate), sigmoid(gate_logits)),
        outside=(-1,),
        others=({"gate_logits": 3.0, "rate": 0.2}, {"gate_logits": 0.0, "rate": 40.0}),
        without=NOTHING_MORE | COUNTABLE,
    ),
    Case(
        "ZeroInflatedPoisson",
        dist.ZeroInflatedPoisson,
        {"gate": 0.3, "rate": 2.5},
        lambda gate, rate: inflated(stats.poisson(rate), gate),
        invalid={"gate": 1.1, "rate": 0.0},
        outside=(-1,),
        others=({"gate": 0.9, "rate": 0.2}, {"gate": 0.5, "rate": 40.0}),
        without=NOTHING_MORE | COUNTABLE,
    ),
    Case(
        "ZeroInflatedNegativeBinomial2",
        dist.ZeroInflatedNegativeBinomial2,
        {"mean": 6.0, "concentration": 2.5, "gate": 0.3},
        lambda mean, concentration, gate: inflated(nbinom2(mean, concentration), gate),
        outside=(-1,),
        others=({"mean": 0.2, "concentration": 0.5, "gate": 0.9}, {"mean": 30.0, "concentration": 200.0, "gate": 0.5}),
        without=NOTHING_MORE | COUNTABLE,
    ),
    Case(
        "HurdleProbs",
        over(dist.GeometricProbs, dist.HurdleProbs, "gate"),
        {"gate": 0.3, "probs": 0.2},
        lambda gate, probs: hurdle(stats.geom(probs, loc=-1), gate),
        others=({"gate": 0.9, "probs": 0.95}, {"gate": 0.01, "probs": 0.1}),
        without=NOTHING_MORE | COUNTABLE | EXTENDED,
    ),
    Case(
        "HurdleLogits",
        over(dist.NegativeBinomial2, dist.HurdleLogits, "gate_logits"),
        {"gate_logits": -0.7, "mean": 6.0, "concentration": 2.5},
        lambda gate_logits, mean, concentration: hurdle(nbinom2(mean, concentration), sigmoid(gate_logits)),
        outside=(-1,),
        others=(
            {"gate_logits": 3.0, "mean": 0.2, "concentration": 0.5},
            {"gate_logits": 0.0, "mean": 30.0, "concentration": 200.0},
        ),
        without=NOTHING_MORE | COUNTABLE,
    ),
    Case(
        "HurdlePoisson",
        dist.HurdlePoisson,
        {"gate": 0.3, "rate": 2.5},
        lambda gate, rate: hurdle(stats.poisson(rate), gate),
        invalid={"gate": 1.1, "rate": 0.0},
        outside=(-1,),
        others=({"gate": 0.3, "rate": 1e-3}, {"gate": 0.9, "rate": 40.0}),
        without=NOTHING_MORE | COUNTABLE,
    ),
    Case(
        "HurdleNegativeBinomial2",
        dist.HurdleNegativeBinomial2,
        {"gate": 0.3, "mean": 6.0, "concentration": 2.5},
        lambda gate, mean, concentration: hurdle(nbinom2(mean, concentration), gate),
        invalid={"mean": 0.0},
        outside=(-1,),
        others=({"gate": 0.9, "mean": 0.2, "concentration": 0.5}, {"gate": 0.5, "mean": 30.0, "concentration": 200.0}),
        without=NOTHING_MORE | COUNTABLE,
    ),
]

DISCRETE = TRIALS + COUNTS + CATEGORIES + GATED
