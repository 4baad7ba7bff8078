"""Distributions, their constraints and transforms."""

from ppl.distributions import constraints, transforms, util
from ppl.distributions.batch_util import promote_batch_shape, vmap_over
from ppl.distributions.censored import IntervalCensoredDistribution, LeftCensoredDistribution, RightCensoredDistribution
from ppl.distributions.conjugate import (
    BetaBinomial,
    BetaNegativeBinomial,
    DirichletMultinomial,
    GammaPoisson,
    HurdleNegativeBinomial2,
    NegativeBinomial,
    NegativeBinomial2,
    NegativeBinomialLogits,
    NegativeBinomialProbs,
    ZeroInflatedNegativeBinomial2,
)
from ppl.distributions.continuous.heavy import Dagum, DoublyTruncatedPowerLaw, Levy, LowerTruncatedPowerLaw
from ppl.distributions.continuous.interval import Beta, BetaProportion, Kumaraswamy, LogUniform, Uniform
from ppl.distributions.continuous.lkj import LKJ, LKJCholesky
from ppl.distributions.continuous.matrices import (
    InverseWishart,
    InverseWishartCholesky,
    MatrixNormal,
    Wishart,
    WishartCholesky,
)
from ppl.distributions.continuous.multivariate_normal import (
    LowRankMultivariateNormal,
    MultivariateNormal,
    MultivariateStudentT,
)
from ppl.distributions.continuous.polya_gamma import TruncatedPolyaGamma
from ppl.distributions.continuous.positive import (
    Chi2,
    Exponential,
    Gamma,
    Gompertz,
    HalfCauchy,
    HalfNormal,
    InverseGamma,
    LogNormal,
    Pareto,
    Weibull,
)
from ppl.distributions.continuous.real import (
    AsymmetricLaplace,
    AsymmetricLaplaceQuantile,
    Cauchy,
    Gumbel,
    Laplace,
    Logistic,
    Normal,
    SoftLaplace,
    StudentT,
)
from ppl.distributions.continuous.series import EulerMaruyama, GaussianRandomWalk, GaussianStateSpace
from ppl.distributions.continuous.vectors import CAR, CirculantNormal, Dirichlet, ZeroSumNormal
from ppl.distributions.copula import GaussianCopula, GaussianCopulaBeta
from ppl.distributions.directional.spheres import ProjectedNormal, VonMises
from ppl.distributions.directional.torus import SineBivariateVonMises, SineSkewed
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
from ppl.distributions.discrete.relaxed import RelaxedBernoulli, RelaxedBernoulliLogits
from ppl.distributions.discrete.zero_inflated import (
    ZeroInflatedDistribution,
    ZeroInflatedLogits,
    ZeroInflatedPoisson,
    ZeroInflatedProbs,
)
from ppl.distributions.distribution import (
    Delta,
    Distribution,
    ExpandedDistribution,
    FoldedDistribution,
    ImproperUniform,
    Independent,
    MaskedDistribution,
    TransformedDistribution,
    Unit,
    enable_validation,
    validation_enabled,
)
from ppl.distributions.kl import kl_divergence
from ppl.distributions.mixtures import Mixture, MixtureGeneral, MixtureSameFamily
from ppl.distributions.support import biject_to
from ppl.distributions.truncated import (
    LeftTruncatedDistribution,
    LeftTruncatedGamma,
    RightTruncatedDistribution,
    RightTruncatedGamma,
    TruncatedCauchy,
    TruncatedDistribution,
    TruncatedGamma,
    TruncatedNormal,
    TwoSidedTruncatedDistribution,
    TwoSidedTruncatedGamma,
)
