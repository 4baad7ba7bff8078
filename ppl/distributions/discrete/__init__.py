"""Families of counts and categories."""

from ppl.distributions.discrete.binary import (
    Bernoulli,
    BernoulliLogits,
    BernoulliProbs,
    Geometric,
    GeometricLogits,
    GeometricProbs,
)
from ppl.distributions.discrete.categorical import Categorical, CategoricalLogits, CategoricalProbs
from ppl.distributions.discrete.counts import Binomial, BinomialLogits, BinomialProbs, DiscreteUniform, Poisson
from ppl.distributions.discrete.hurdle import (
    HurdleDistribution,
    HurdleGamma,
    HurdleLogits,
    HurdleLogNormal,
    HurdlePoisson,
    HurdleProbs,
)
from ppl.distributions.discrete.multinomial import Multinomial, MultinomialLogits, MultinomialProbs
from ppl.distributions.discrete.ordered import OrderedLogistic
from ppl.distributions.discrete.parameters import (
    _to_logits_bernoulli,
    _to_logits_multinom,
    _to_probs_bernoulli,
    _to_probs_multinom,
)
from ppl.distributions.discrete.relaxed import RelaxedBernoulli, RelaxedBernoulliLogits
from ppl.distributions.discrete.zero_inflated import (
    ZeroInflatedDistribution,
    ZeroInflatedLogits,
    ZeroInflatedPoisson,
    ZeroInflatedProbs,
)
