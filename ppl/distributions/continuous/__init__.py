"""Continuous families, one file per kind of support."""

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
from ppl.distributions.discrete.hurdle import HurdleGamma, HurdleLogNormal
from ppl.distributions.discrete.relaxed import RelaxedBernoulli, RelaxedBernoulliLogits
