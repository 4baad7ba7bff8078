"""Continuous families, one file per kind of support."""

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
