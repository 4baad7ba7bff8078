"""A model for each kernel beside NUTS, and how the kernel is made of it; namespaces as in ``models``."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import random

from benchmarks.models import Arguments, Case, Namespace

MakeKernel = Callable[[Namespace, Callable[..., None], Arguments], Any]


@dataclass(frozen=True)
class KernelCase:
    """A case, and the kernel to run on it.

    ``make`` takes the library's inference, the model and the data; ``iterations`` is the number of warm-up and of sampling
    iterations of a first run, ``options`` are those of MCMC.
    """

    case: Case
    make: MakeKernel
    iterations: int = 1000
    options: dict[str, Any] = field(default_factory=dict)

    @property
    def x64(self) -> bool:
        """Whether floats are wide."""
        return self.case.x64


# Normal means with unknown variances, conjugate in blocks


def groups(pp: Namespace, dist: Namespace, y: np.ndarray) -> None:
    mu = pp.sample("mu", dist.Normal(0, 5))
    variance = pp.sample("variance", dist.InverseGamma(3, 2))
    with pp.plate("group", y.shape[0]):
        theta = pp.sample("theta", dist.Normal(mu, jnp.sqrt(variance)))
        pp.sample("y", dist.Normal(theta, 1.0), obs=y)


def draw_variance(rng_key: Any, gibbs_sites: dict[str, Any], hmc_sites: dict[str, Any]) -> dict[str, Any]:
    """Its full conditional: InverseGamma(3 + n / 2, 2 + sum (theta - mu)^2 / 2)."""
    off = hmc_sites["theta"] - hmc_sites["mu"]
    return {"variance": (2 + 0.5 * jnp.sum(off**2)) / random.gamma(rng_key, 3 + 0.5 * off.shape[0])}


def _groups(seed: int) -> Arguments:
    rng = np.random.default_rng(seed)
    return (rng.normal(1.0, 1.5, 30),)


# A mixture whose assignments are swept


def mixture(pp: Namespace, dist: Namespace, y: np.ndarray) -> None:
    weights = pp.sample("weights", dist.Dirichlet(jnp.ones(3)))
    loc = pp.sample("loc", dist.Normal(jnp.array([-3.0, 0.0, 3.0]), 0.5).to_event(1))
    with pp.plate("point", y.shape[0]):
        which = pp.sample("which", dist.Categorical(weights))
        pp.sample("y", dist.Normal(loc[which], 1.0), obs=y)


def _mixture(size: int) -> Callable[[int], Arguments]:
    def data(seed: int) -> Arguments:
        rng = np.random.default_rng(seed)
        return (rng.normal(rng.choice([-3.0, 0.0, 3.0], size, p=[0.2, 0.5, 0.3]), 1.0),)

    return data


def four_components(pp: Namespace, dist: Namespace) -> None:
    which = pp.sample("which", dist.Categorical(jnp.array([0.15, 0.3, 0.3, 0.25])))
    pp.sample("x", dist.Normal(jnp.array([-2.0, 0.0, 2.0, 4.0])[which], 0.5))


# Logistic regression, on all data and on subsamples

COLUMNS, ROWS, SUBSAMPLE, BLOCKS = 20, 100_000, 1000, 100


def logistic(pp: Namespace, dist: Namespace, x: np.ndarray, y: np.ndarray, subsample_size: int | None = None) -> None:
    weight = pp.sample("weight", dist.Normal(0, 1).expand([x.shape[1]]).to_event(1))
    with pp.plate("row", x.shape[0], subsample_size=subsample_size):
        here, seen = (x, y) if subsample_size is None else (pp.subsample(x, 1), pp.subsample(y, 0))
        pp.sample("y", dist.Bernoulli(logits=here @ weight), obs=seen)


def subsampled_logistic(pp: Namespace, dist: Namespace, x: np.ndarray, y: np.ndarray) -> None:
    logistic(pp, dist, x, y, SUBSAMPLE)


@cache
def logistic_data(rows: int, seed: int = 0) -> Arguments:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(rows, COLUMNS))
    weight = rng.normal(0.0, 0.5, COLUMNS)
    return x, (rng.uniform(size=rows) < 1 / (1 + np.exp(-x @ weight))).astype(np.int64)


def mode_of_logistic(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Where the posterior is highest, by Newton's method."""
    x, weight = np.asarray(x, np.float64), np.zeros(x.shape[1])
    for _ in range(8):
        p = 1 / (1 + np.exp(-x @ weight))
        weight += np.linalg.solve((x * (p * (1 - p))[:, None]).T @ x + np.eye(len(weight)), x.T @ (y - p) - weight)
    return weight


def subsampling_kernel(infer: Namespace, model: Callable[..., None], arguments: Arguments) -> Any:
    """NUTS inside HMCECS, with an expansion of second order about the mode."""
    reference = {"weight": jnp.asarray(mode_of_logistic(*arguments), jnp.float32)}
    return infer.HMCECS(infer.NUTS(model), num_blocks=BLOCKS, proxy=infer.HMCECS.taylor_proxy(reference, degree=2))


# A correlated normal law


def correlated(pp: Namespace, dist: Namespace, scale_tril: np.ndarray) -> None:
    pp.sample("x", dist.MultivariateNormal(jnp.zeros(scale_tril.shape[0]), scale_tril=scale_tril))


def _correlated(seed: int) -> Arguments:
    root = np.random.default_rng(seed).normal(size=(8, 8))
    return (np.linalg.cholesky(root @ root.T / 8 + 0.1 * np.eye(8)),)


def _ensemble(name: str) -> MakeKernel:
    return lambda infer, model, _: getattr(infer, name)(model)


ENSEMBLE = {"num_chains": 32, "chain_method": "vectorized"}
CORRELATED = Case(correlated, _correlated, long_draws=5000)

CASES = {
    "HMCGibbs": KernelCase(
        Case(groups, _groups, long_draws=5000),
        lambda infer, model, _: infer.HMCGibbs(infer.NUTS(model), gibbs_fn=draw_variance, gibbs_sites=["variance"]),
    ),
    "DiscreteHMCGibbs": KernelCase(
        Case(mixture, _mixture(1000), long_draws=100),
        lambda infer, model, _: infer.DiscreteHMCGibbs(infer.NUTS(model), modified=True),
        iterations=50,
    ),
    "DiscreteHMCGibbs_100": KernelCase(
        Case(mixture, _mixture(100), long_draws=500),
        lambda infer, model, _: infer.DiscreteHMCGibbs(infer.NUTS(model)),
        iterations=500,
    ),
    "MixedHMC": KernelCase(
        Case(four_components, lambda seed: (), long_draws=10_000),
        lambda infer, model, _: infer.MixedHMC(infer.HMC(model, trajectory_length=1.2), num_discrete_updates=20),
    ),
    "HMCECS": KernelCase(
        Case(subsampled_logistic, lambda seed: logistic_data(ROWS, seed), long_draws=500), subsampling_kernel, iterations=500
    ),
    "BarkerMH": KernelCase(CORRELATED, _ensemble("BarkerMH")),
    "SA": KernelCase(CORRELATED, _ensemble("SA")),
    "AIES": KernelCase(CORRELATED, _ensemble("AIES"), options=ENSEMBLE),
    "ESS": KernelCase(CORRELATED, _ensemble("ESS"), options=ENSEMBLE),
}
