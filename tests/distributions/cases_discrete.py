"""The table of laws of counts and categories; what `scipy` gives has `logpmf`, `cdf`, `mean` and `var`."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from cases import Case
from scipy import special, stats

import ppl.distributions as dist

WEIGHTS = np.array([0.2, 0.5, 0.05, 0.25])
CUTPOINTS = np.array([-1.0, 0.3, 0.9])


SAME_SAMPLER = {"draws": "another case draws by the same program"}


class Finite:
    """A law on `0, ..., k - 1`, or on the first `k` counts with the rest negligible, by its probabilities."""

    def __init__(self, pmf: Any) -> None:
        self.values, self.table = np.arange(len(pmf)), np.asarray(pmf, float)

    def logpmf(self, k: np.ndarray) -> np.ndarray:
        inside = (k >= 0) & (k < len(self.table))
        with np.errstate(divide="ignore"):
            return np.where(inside, np.log(self.table[np.where(inside, k, 0)]), -np.inf)

    def cdf(self, k: np.ndarray) -> np.ndarray:
        return np.cumsum(self.table)[k]

    def mean(self) -> float:
        return float(self.table @ self.values)

    def var(self) -> float:
        return float(self.table @ (self.values - self.mean()) ** 2)

    def entropy(self) -> float:
        return float(special.entr(self.table).sum())


def sigmoid(x: Any) -> Any:
    return special.expit(x)


def inflated(law: Any, gate: float) -> Finite:
    table = (1 - gate) * law.pmf(np.arange(400))
    table[0] += gate
    return Finite(table)


def hurdle(law: Any, gate: float) -> Finite:
    table = law.pmf(np.arange(400))
    table[1:] *= (1 - gate) / (1 - table[0])
    table[0] = gate
    return Finite(table)


def nbinom2(mean: float, concentration: float) -> Any:
    return stats.nbinom(concentration, concentration / (concentration + mean))


def ordered_logistic(predictor: float, cutpoints: np.ndarray) -> Finite:
    return Finite(np.diff(sigmoid(np.concatenate([[-np.inf], cutpoints - predictor, [np.inf]]))))


def beta_negative_binomial(concentration1: float, concentration0: float, n: float) -> Finite:
    k = np.arange(20_000)
    log_ways = special.gammaln(n + k) - special.gammaln(k + 1) - special.gammaln(n)
    return Finite(
        np.exp(log_ways + special.betaln(concentration1 + k, concentration0 + n)) / special.beta(concentration1, concentration0)
    )


def over(base: Callable[..., Any], wrap: Callable[..., Any], *own: str) -> Callable[..., Any]:
    """A constructor of `wrap` over `base` from the parameters of both; those in `own` are the wrapper's."""

    def make(validate_args: bool | None = None, **params: Any) -> Any:
        mine = {name: params.pop(name) for name in own}
        return wrap(base(**params), **mine, validate_args=validate_args)

    return make


BAD_PROBS: Mapping[str, Any] = {"probs": 1.1}
BAD_LOGITS: Mapping[str, Any] = {"logits": np.nan}

TRIALS = [
    Case("BernoulliProbs", dist.BernoulliProbs, {"probs": 0.3}, lambda probs: stats.bernoulli(probs), invalid=BAD_PROBS),
    Case(
        "BernoulliLogits",
        dist.BernoulliLogits,
        {"logits": -0.7},
        lambda logits: stats.bernoulli(sigmoid(logits)),
        invalid=BAD_LOGITS,
    ),
    Case(
        "BinomialProbs",
        dist.BinomialProbs,
        {"probs": 0.3},
        lambda probs: stats.binom(7, probs),
        {"total_count": 7},
        BAD_PROBS,
        (-1, 8),
    ),
    Case(
        "BinomialProbs-large",
        dist.BinomialProbs,
        {"probs": 0.6},
        lambda probs: stats.binom(200, probs),
        {"total_count": 200},
        outside=(201,),
    ),
    Case(
        "BinomialLogits",
        dist.BinomialLogits,
        {"logits": 0.4},
        lambda logits: stats.binom(7, sigmoid(logits)),
        {"total_count": 7},
        BAD_LOGITS,
        (-1, 8),
        without=SAME_SAMPLER,
    ),
    Case(
        "BetaBinomial",
        dist.BetaBinomial,
        {"concentration1": 2.5, "concentration0": 0.8},
        lambda concentration1, concentration0: stats.betabinom(9, concentration1, concentration0),
        {"total_count": 9},
        {"concentration1": 0.0, "concentration0": -1.0},
        (-1, 10),
    ),
    Case("GeometricProbs", dist.GeometricProbs, {"probs": 0.3}, lambda probs: stats.geom(probs, loc=-1), invalid=BAD_PROBS),
    Case(
        "GeometricLogits",
        dist.GeometricLogits,
        {"logits": 0.4},
        lambda logits: stats.geom(sigmoid(logits), loc=-1),
        invalid=BAD_LOGITS,
        without=SAME_SAMPLER,
    ),
    Case(
        "DiscreteUniform",
        dist.DiscreteUniform,
        {},
        lambda: stats.randint(2, 7),
        {"low": 2, "high": 6},
        outside=(1, 7),
    ),
]

COUNTS = [
    Case("Poisson", dist.Poisson, {"rate": 3.5}, lambda rate: stats.poisson(rate), invalid={"rate": -0.1}, outside=(-1,)),
    Case("Poisson-large", dist.Poisson, {"rate": 140.0}, lambda rate: stats.poisson(rate)),
    Case(
        "GammaPoisson",
        dist.GammaPoisson,
        {"concentration": 2.5, "rate": 0.4},
        lambda concentration, rate: stats.nbinom(concentration, rate / (1 + rate)),
        invalid={"concentration": 0.0, "rate": -1.0},
        outside=(-1,),
    ),
    Case(
        "NegativeBinomialProbs",
        dist.NegativeBinomialProbs,
        {"total_count": 2.5, "probs": 0.6},
        lambda total_count, probs: stats.nbinom(total_count, 1 - probs),
        invalid={"total_count": 0.0, **BAD_PROBS},
        outside=(-1,),
        without=SAME_SAMPLER,
    ),
    Case(
        "NegativeBinomialLogits",
        dist.NegativeBinomialLogits,
        {"total_count": 2.5, "logits": 0.4},
        lambda total_count, logits: stats.nbinom(total_count, sigmoid(-logits)),
        invalid={"total_count": 0.0, **BAD_LOGITS},
        outside=(-1,),
        without=SAME_SAMPLER,
    ),
    Case(
        "NegativeBinomial2",
        dist.NegativeBinomial2,
        {"mean": 6.0, "concentration": 2.5},
        nbinom2,
        invalid={"mean": -1.0, "concentration": 0.0},
        outside=(-1,),
        without=SAME_SAMPLER,
    ),
    Case(
        "BetaNegativeBinomial",
        dist.BetaNegativeBinomial,
        {"concentration1": 1.5, "concentration0": 9.0, "n": 4.0},
        beta_negative_binomial,
        invalid={"concentration1": 0.0, "concentration0": -1.0, "n": 0.0},
        outside=(-1,),
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
        without={"gradients": "the probabilities are not free"},
    ),
    Case(
        "CategoricalLogits",
        dist.CategoricalLogits,
        {"logits": np.log(WEIGHTS) + 2.0},
        lambda logits: Finite(special.softmax(logits)),
        invalid={"logits": np.array([0.5, np.nan, 0.1, -0.2])},
        outside=(-1, 4),
    ),
    Case(
        "CategoricalLogits-many",
        dist.CategoricalLogits,
        {"logits": np.sin(np.arange(20.0))},
        lambda logits: Finite(special.softmax(logits)),
        invalid={"logits": np.full(20, -np.inf)},
        outside=(-1, 20),
    ),
    Case(
        "OrderedLogistic",
        dist.OrderedLogistic,
        {"predictor": 0.4, "cutpoints": CUTPOINTS},
        ordered_logistic,
        invalid={"predictor": np.nan, "cutpoints": CUTPOINTS[::-1]},
        outside=(-1, 4),
    ),
    Case(
        "OrderedLogistic-two",
        dist.OrderedLogistic,
        {"predictor": 0.4, "cutpoints": CUTPOINTS[:1]},
        ordered_logistic,
        outside=(-1, 2),
    ),
]

GATED = [
    Case(
        "ZeroInflatedProbs",
        over(dist.BernoulliProbs, dist.ZeroInflatedProbs, "gate"),
        {"gate": 0.3, "probs": 0.6},
        lambda gate, probs: Finite([gate + (1 - gate) * (1 - probs), (1 - gate) * probs]),
    ),
    Case(
        "ZeroInflatedLogits",
        over(dist.Poisson, dist.ZeroInflatedLogits, "gate_logits"),
        {"gate_logits": -0.7, "rate": 2.5},
        lambda gate_logits, rate: inflated(stats.poisson(rate), sigmoid(gate_logits)),
        outside=(-1,),
        without=SAME_SAMPLER,
    ),
    Case(
        "ZeroInflatedPoisson",
        dist.ZeroInflatedPoisson,
        {"gate": 0.3, "rate": 2.5},
        lambda gate, rate: inflated(stats.poisson(rate), gate),
        invalid={"gate": 1.1, "rate": 0.0},
        outside=(-1,),
    ),
    Case(
        "ZeroInflatedNegativeBinomial2",
        dist.ZeroInflatedNegativeBinomial2,
        {"mean": 6.0, "concentration": 2.5, "gate": 0.3},
        lambda mean, concentration, gate: inflated(nbinom2(mean, concentration), gate),
        outside=(-1,),
        without=SAME_SAMPLER,
    ),
    Case(
        "HurdleProbs",
        over(dist.GeometricProbs, dist.HurdleProbs, "gate"),
        {"gate": 0.3, "probs": 0.2},
        lambda gate, probs: hurdle(stats.geom(probs, loc=-1), gate),
    ),
    Case(
        "HurdleLogits",
        over(dist.NegativeBinomial2, dist.HurdleLogits, "gate_logits"),
        {"gate_logits": -0.7, "mean": 6.0, "concentration": 2.5},
        lambda gate_logits, mean, concentration: hurdle(nbinom2(mean, concentration), sigmoid(gate_logits)),
        outside=(-1,),
        without=SAME_SAMPLER,
    ),
    Case(
        "HurdlePoisson",
        dist.HurdlePoisson,
        {"gate": 0.3, "rate": 2.5},
        lambda gate, rate: hurdle(stats.poisson(rate), gate),
        invalid={"gate": 1.1, "rate": 0.0},
        outside=(-1,),
    ),
    Case(
        "HurdlePoisson-rare",
        dist.HurdlePoisson,
        {"gate": 0.3, "rate": 1e-3},
        lambda gate, rate: hurdle(stats.poisson(rate), gate),
    ),
    Case(
        "HurdleNegativeBinomial2",
        dist.HurdleNegativeBinomial2,
        {"gate": 0.3, "mean": 6.0, "concentration": 2.5},
        lambda gate, mean, concentration: hurdle(nbinom2(mean, concentration), gate),
        invalid={"mean": 0.0},
        outside=(-1,),
        without=SAME_SAMPLER,
    ),
]

DISCRETE = TRIALS + COUNTS + CATEGORIES + GATED
