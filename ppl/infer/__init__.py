"""Inference: MCMC and its kernels, start values, prediction."""

from ppl.handlers.enumeration import config_enumerate
from ppl.infer.barker import BarkerMH
from ppl.infer.discrete import compute_marginals, infer_discrete
from ppl.infer.ensemble import AIES, ESS
from ppl.infer.gibbs import CustomGibbs, DiscreteGibbs, Gibbs
from ppl.infer.hmc import HMC, NUTS
from ppl.infer.hmc_gibbs import HMCECS, DiscreteHMCGibbs, HMCGibbs
from ppl.infer.initialization import (
    init_to_feasible,
    init_to_mean,
    init_to_median,
    init_to_sample,
    init_to_uniform,
    init_to_value,
)
from ppl.infer.mcmc import MCMC
from ppl.infer.mixed_hmc import MixedHMC
from ppl.infer.predictive import Predictive, log_likelihood
from ppl.infer.sa import SA
from ppl.infer.util import initialize_model

__all__ = [
    "AIES",
    "BarkerMH",
    "CustomGibbs",
    "DiscreteGibbs",
    "DiscreteHMCGibbs",
    "ESS",
    "Gibbs",
    "HMC",
    "HMCECS",
    "HMCGibbs",
    "MCMC",
    "MixedHMC",
    "NUTS",
    "Predictive",
    "SA",
    "compute_marginals",
    "config_enumerate",
    "infer_discrete",
    "init_to_feasible",
    "init_to_mean",
    "init_to_median",
    "init_to_sample",
    "init_to_uniform",
    "init_to_value",
    "initialize_model",
    "log_likelihood",
]
