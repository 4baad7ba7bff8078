"""Distributions, their constraints and transforms."""

from ppl.distributions import constraints, transforms, util
from ppl.distributions.batch_util import promote_batch_shape, vmap_over
from ppl.distributions.continuous.interval import Beta, BetaProportion, Kumaraswamy, LogUniform, Uniform
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
from ppl.distributions.directional import VonMises
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
from ppl.distributions.support import biject_to
