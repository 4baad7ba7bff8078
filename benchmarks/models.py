"""The case models, each written once as a function of a namespace: ``pp`` and ``dist`` are those of ppl or of NumPyro."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import jax.numpy as jnp
import numpy as np

from benchmarks.posteriordb.data import Data, find_directory, load_data

Arguments = tuple[np.ndarray, ...]
Namespace = Any


@dataclass(frozen=True)
class Case:
    """A model, its data by seed (of one shape), and how many draws take about a second at the speed that is aimed for."""

    model: Callable[..., None]
    data: Callable[[int], Arguments]
    long_draws: int
    x64: bool = False

    def arguments(self, seed: int = 0) -> Arguments:
        """The model's arguments, floats in the width of the case."""
        width = np.float64 if self.x64 else np.float32
        return tuple(a.astype(width) if a.dtype.kind == "f" else a.astype(np.int32) for a in self.data(seed))

    def bind(self, pp: Namespace, dist: Namespace) -> Callable[..., None]:
        """The model in a namespace."""

        def model(*args: np.ndarray) -> None:
            self.model(pp, dist, *args)

        return model


def eight_schools(pp: Namespace, dist: Namespace, sigma: np.ndarray, y: np.ndarray) -> None:
    mu = pp.sample("mu", dist.Normal(0, 5))
    tau = pp.sample("tau", dist.HalfCauchy(5))
    with pp.plate("school", y.shape[0]):
        standard = pp.sample("theta_trans", dist.Normal(0, 1))
        pp.sample("y", dist.Normal(mu + tau * standard, sigma), obs=y)


def radon(pp: Namespace, dist: Namespace, county: np.ndarray, floor: np.ndarray, y: np.ndarray) -> None:
    mu = pp.sample("mu_alpha", dist.Normal(0, 10))
    tau = pp.sample("sigma_alpha", dist.HalfNormal(1))
    beta = pp.sample("beta", dist.Normal(0, 10))
    sigma = pp.sample("sigma_y", dist.HalfNormal(1))
    with pp.plate("county", COUNTIES):
        standard = pp.sample("alpha_raw", dist.Normal(0, 1))
    alpha = mu + tau * standard
    with pp.plate("house", y.shape[0]):
        pp.sample("y", dist.Normal(alpha[county] + beta * floor, sigma), obs=y)


def irt_2pl(pp: Namespace, dist: Namespace, y: np.ndarray) -> None:
    items, persons = y.shape
    sigma_theta = pp.sample("sigma_theta", dist.HalfCauchy(2))
    sigma_a = pp.sample("sigma_a", dist.HalfCauchy(2))
    mu_b = pp.sample("mu_b", dist.Normal(0, 5))
    sigma_b = pp.sample("sigma_b", dist.HalfCauchy(2))
    person_plate, item_plate = pp.plate("person", persons, dim=-1), pp.plate("item", items, dim=-2)
    with person_plate:
        theta = pp.sample("theta", dist.Normal(0, sigma_theta))
    with item_plate:
        a = pp.sample("a", dist.LogNormal(0, sigma_a))
        b = pp.sample("b", dist.Normal(mu_b, sigma_b))
    with item_plate, person_plate:
        pp.sample("y", dist.Bernoulli(logits=a * (theta - b)), obs=y)


def mixture(pp: Namespace, dist: Namespace, y: np.ndarray) -> None:
    weight = pp.sample("theta", dist.Beta(5, 5))
    mu = pp.sample("mu", dist.ImproperUniform(dist.constraints.ordered_vector, (), (2,)))
    pp.factor("mu_prior", dist.Normal(0, 2).log_prob(mu).sum())
    sigma = pp.sample("sigma", dist.HalfNormal(2).expand([2]).to_event(1))
    first = jnp.log(weight) + dist.Normal(mu[0], sigma[0]).log_prob(y)
    second = jnp.log1p(-weight) + dist.Normal(mu[1], sigma[1]).log_prob(y)
    with pp.plate("point", y.shape[0]):
        pp.factor("y", jnp.logaddexp(first, second))


def stochastic_volatility(pp: Namespace, dist: Namespace, returns: np.ndarray) -> None:
    step = pp.sample("step", dist.Exponential(50.0))
    volatility = pp.sample("log_volatility", dist.GaussianRandomWalk(scale=step, num_steps=returns.shape[0]))
    nu = pp.sample("nu", dist.Exponential(0.1))
    with pp.plate("day", returns.shape[0]):
        pp.sample("r", dist.StudentT(nu, 0.0, jnp.exp(volatility)), obs=returns)


def logistic(pp: Namespace, dist: Namespace, x: np.ndarray, y: np.ndarray) -> None:
    intercept = pp.sample("intercept", dist.Normal(0, 5))
    beta = pp.sample("beta", dist.Normal(0, 1).expand([x.shape[1]]).to_event(1))
    with pp.plate("row", x.shape[0]):
        pp.sample("y", dist.Bernoulli(logits=intercept + x @ beta), obs=y)


def gaussian_process(pp: Namespace, dist: Namespace, x: np.ndarray, y: np.ndarray) -> None:
    variance = pp.sample("variance", dist.LogNormal(0.0, 1.0))
    length = pp.sample("length", dist.LogNormal(0.0, 1.0))
    noise = pp.sample("noise", dist.LogNormal(-2.0, 1.0))
    distance = (x[:, None] - x[None, :]) / length
    covariance = variance * jnp.exp(-0.5 * distance**2) + (noise + 1e-8) * jnp.eye(x.shape[0])
    pp.sample("y", dist.MultivariateNormal(jnp.zeros(x.shape[0]), covariance_matrix=covariance), obs=y)


def scalar_sites(pp: Namespace, dist: Namespace, y: np.ndarray) -> None:
    values = [pp.sample(f"x{i}", dist.Normal(0, 1)) for i in range(y.shape[0])]
    with pp.plate("row", y.shape[0]):
        pp.sample("y", dist.Normal(jnp.stack(values), 1.0), obs=y)


COUNTIES = 85


@cache
def collection(name: str) -> Data | None:
    """A data set of posteriordb, or None where the collection is not at hand."""
    try:
        return load_data(find_directory(), name)
    except FileNotFoundError:
        return None


def _eight_schools_data(seed: int) -> Arguments:
    y = np.array([28.0, 8, -3, 7, -1, 1, 18, 12])
    return np.array([15.0, 10, 16, 11, 9, 11, 10, 18]), y + seed


def _radon_data(seed: int) -> Arguments:
    """Minnesota's houses, or simulated ones of the same numbers."""
    data = collection("radon_mn")
    if data is not None:
        return data["county_idx"] - 1, data["floor_measure"].astype(float), data["log_radon"] + 0.1 * seed
    rng = np.random.default_rng(seed)
    county, floor = np.sort(rng.integers(0, COUNTIES, 919)), rng.binomial(1, 0.17, 919).astype(float)
    return county, floor, 1.5 + 0.3 * rng.standard_normal(COUNTIES)[county] - 0.7 * floor + 0.75 * rng.standard_normal(919)


def _irt_data(seed: int) -> Arguments:
    """Answers of 100 persons to 20 items, or simulated ones."""
    data = collection("irt_2pl")
    rng = np.random.default_rng(seed)
    if data is not None:
        return (data["y"] if seed == 0 else rng.permuted(data["y"], axis=1),)
    logits = rng.lognormal(0, 0.5, (20, 1)) * (rng.standard_normal(100) - rng.standard_normal((20, 1)))
    return (rng.binomial(1, 1 / (1 + np.exp(-logits))),)


def _mixture_data(seed: int) -> Arguments:
    rng = np.random.default_rng(seed)
    first = rng.random(1000) < 0.4
    return (np.where(first, rng.normal(-2.0, 1.0, 1000), rng.normal(1.5, 0.8, 1000)),)


def _returns(seed: int) -> Arguments:
    rng = np.random.default_rng(seed)
    volatility = -4.5 + np.cumsum(0.08 * rng.standard_normal(500))
    return (np.exp(volatility) * rng.standard_t(8, 500),)


def _logistic_data(seed: int) -> Arguments:
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((10_000, 50))
    beta = 0.5 * rng.standard_normal(50)
    return x, rng.binomial(1, 1 / (1 + np.exp(-(x @ beta))))


def _gp_data(seed: int) -> Arguments:
    rng = np.random.default_rng(seed)
    x = np.linspace(-3, 3, 60)
    return x, np.sin(2 * x) + 0.3 * rng.standard_normal(60)


def _site_data(count: int) -> Callable[[int], Arguments]:
    return lambda seed: (np.random.default_rng(seed).standard_normal(count),)


CASES: dict[str, Case] = {
    "eight_schools": Case(eight_schools, _eight_schools_data, long_draws=100_000),
    "radon": Case(radon, _radon_data, long_draws=10_000),
    "irt_2pl": Case(irt_2pl, _irt_data, long_draws=5_000),
    "mixture": Case(mixture, _mixture_data, long_draws=20_000),
    "stochastic_volatility": Case(stochastic_volatility, _returns, long_draws=2_000),
    "logistic": Case(logistic, _logistic_data, long_draws=1_000),
    "gaussian_process": Case(gaussian_process, _gp_data, long_draws=20_000, x64=True),
    "sites_50": Case(scalar_sites, _site_data(50), long_draws=20_000),
    "sites_200": Case(scalar_sites, _site_data(200), long_draws=5_000),
}
