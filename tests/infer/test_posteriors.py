"""Whole runs at default settings against posteriors that are known: four chains, 5 combined standard errors."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats
from targets import Z_LIMIT

import ppl
import ppl.distributions as dist
from ppl.diagnostics import effective_sample_size, split_gelman_rubin
from ppl.infer import HMC, MCMC, NUTS


def draws_of(kernel: Any, *args: Any, seed: int = 0, num_chains: int = 4, **options: Any) -> dict[str, np.ndarray]:
    settings = dict(num_warmup=1000, num_samples=1000, progress_bar=False) | options
    mcmc = MCMC(kernel, num_chains=num_chains, **settings)
    mcmc.run(jax.random.key(seed), *args)
    return {name: np.asarray(x, np.float64) for name, x in mcmc.get_samples(group_by_chain=True).items()}


def z_score(draws: np.ndarray, expected: float, error: float = 0.0) -> float:
    """Of the mean of draws `(chains, n)`; at least 400 effective draws are demanded."""
    count = float(effective_sample_size(draws))
    assert count > 400 and float(split_gelman_rubin(draws)) < 1.02
    return float((draws.mean() - expected) / np.hypot(draws.std() / np.sqrt(count), error))


def check_moments(draws: np.ndarray, mean: float, sd: float) -> None:
    """Mean and variance, each a false alarm of 6e-7."""
    assert abs(z_score(draws, mean)) < Z_LIMIT
    assert abs(z_score((draws - mean) ** 2, sd**2)) < Z_LIMIT


# Regression with a conjugate prior: the posterior is known in closed form


def regression(x: Any, y: Any) -> None:
    precision = ppl.sample("precision", dist.Gamma(3.0, 2.0))
    scale = 1.0 / jnp.sqrt(precision)
    beta = ppl.sample("beta", dist.Normal(0.0, 2.0 * scale).expand((3,)).to_event(1))
    with ppl.plate("kids", len(y)):
        ppl.sample("y", dist.Normal(x @ beta, scale), obs=y)


def conjugate_posterior(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray, float, float]:
    """Of a normal-gamma prior, beta ~ N(0, 4 / precision), precision ~ Gamma(3, 2): location, scale matrix, shape, rate."""
    inverse = np.eye(3) / 4 + x.T @ x
    location = np.linalg.solve(inverse, x.T @ y)
    shape = 3.0 + len(y) / 2
    rate = 2.0 + 0.5 * (y @ y - location @ inverse @ location)
    return location, np.linalg.inv(inverse), shape, rate


@pytest.mark.parametrize("dense", [False, True])
def test_conjugate_regression(dense: bool) -> None:
    """Coefficients are Student's t with 2 shape degrees of freedom, the precision is Gamma; mean and variance of each."""
    rng = np.random.default_rng(3)
    iq = rng.normal(0.5, 1.0, 60)
    x = np.stack([np.ones(60), iq, (rng.random(60) < 0.7).astype(float)], 1)
    y = x @ np.array([1.0, 0.6, -0.5]) + rng.normal(0.0, 0.8, 60)
    location, scale, shape, rate = conjugate_posterior(x, y)
    draws = draws_of(NUTS(regression, dense_mass=dense), jnp.asarray(x, jnp.float32), jnp.asarray(y, jnp.float32))
    check_moments(draws["precision"], shape / rate, np.sqrt(shape) / rate)
    for i in range(3):
        law = stats.t(2 * shape, location[i], np.sqrt(rate / shape * scale[i, i]))
        check_moments(draws["beta"][..., i], law.mean(), law.std())


# Eight schools: reference moments by integrating the scale numerically, since given it everything is normal

SCHOOLS = np.array([28.0, 8.0, -3.0, 7.0, -1.0, 1.0, 18.0, 12.0])
ERRORS = np.array([15.0, 10.0, 16.0, 11.0, 9.0, 11.0, 10.0, 18.0])


def eight_schools(sigma: Any, y: Any) -> None:
    mu = ppl.sample("mu", dist.Normal(0.0, 5.0))
    tau = ppl.sample("tau", dist.HalfCauchy(5.0))
    with ppl.plate("school", len(y)):
        effect = ppl.sample("effect", dist.Normal(0.0, 1.0))
        theta = ppl.deterministic("theta", mu + tau * effect)
        ppl.sample("y", dist.Normal(theta, sigma), obs=y)


def schools_reference() -> dict[str, float]:
    """E mu, sd mu, E log tau, sd log tau, and E theta_1, by quadrature over tau on a fine grid of its logarithm."""
    log_tau = np.linspace(-14.0, 9.0, 40_001)
    tau = np.exp(log_tau)[:, None]
    variance = ERRORS**2 + tau**2
    precision = 1 / 25 + (1 / variance).sum(1)
    mean_mu = (SCHOOLS / variance).sum(1) / precision
    log_marginal = (
        -0.5 * np.log(variance).sum(1)
        - 0.5 * np.log(precision)
        - 0.5 * ((SCHOOLS**2 / variance).sum(1) - precision * mean_mu**2)
        + np.log(2 / (np.pi * 5 * (1 + (tau[:, 0] / 5) ** 2)))
        + log_tau
    )
    weight = np.exp(log_marginal - log_marginal.max())
    weight /= weight.sum()
    shrink = tau[:, 0] ** 2 / (tau[:, 0] ** 2 + ERRORS[0] ** 2)
    e_mu = weight @ mean_mu
    e_log = weight @ log_tau
    return {
        "mu": e_mu,
        "mu_sd": np.sqrt(weight @ (1 / precision + mean_mu**2) - e_mu**2),
        "log_tau": e_log,
        "log_tau_sd": np.sqrt(weight @ (log_tau - e_log) ** 2),
        "theta_1": weight @ (shrink * SCHOOLS[0] + (1 - shrink) * mean_mu),
        "below_2": weight @ (tau[:, 0] < 2.0),
    }


def test_eight_schools() -> None:
    """NUTS at default settings, against quadrature; six checks, each a false alarm of 6e-7."""
    expected = schools_reference()
    draws = draws_of(NUTS(eight_schools), jnp.asarray(ERRORS, jnp.float32), jnp.asarray(SCHOOLS, jnp.float32))
    log_tau = np.log(draws["tau"])
    check_moments(draws["mu"], expected["mu"], expected["mu_sd"])
    check_moments(log_tau, expected["log_tau"], expected["log_tau_sd"])
    assert abs(z_score(draws["theta"][..., 0], expected["theta_1"])) < Z_LIMIT
    assert abs(z_score((draws["tau"] < 2.0).astype(float), expected["below_2"])) < Z_LIMIT


# Small posteriors in closed form, several in one model


def closed_forms(counts: Any) -> None:
    p = ppl.sample("p", dist.Beta(1.0, 1.0))
    ppl.sample("successes", dist.Binomial(10, p), obs=7)
    rate = ppl.sample("rate", dist.Gamma(2.0, 1.0))
    ppl.sample("counts", dist.Poisson(rate).expand((3,)).to_event(1), obs=counts)
    x = ppl.sample("x", dist.Normal(0.0, 2.0))
    y = ppl.sample("w", dist.Normal(0.0, 2.0))
    ppl.sample("sum", dist.Normal(x + y, 1.0), obs=1.0)
    ppl.sample("half", dist.HalfNormal(2.0))
    ppl.sample("simplex", dist.Dirichlet(jnp.array([1.0, 2.0, 3.0])))
    ppl.sample("unit", dist.Uniform(-1.0, 3.0))


@pytest.mark.parametrize("make", [NUTS, lambda model: HMC(model, trajectory_length=1.3, dense_mass=True)], ids=["NUTS", "HMC"])
def test_closed_forms(make: Any) -> None:
    """Beta(8, 4), Gamma(12, 4), two normals with correlation -.8, and priors; 15 checks, each a false alarm of 6e-7.

    HMC with a dense metric: with a diagonal one its length is about half a period of the sum of the two, whose square then
    hardly changes, so slowly that the estimated effective size does not show it.
    """
    draws = draws_of(make(closed_forms), jnp.array([3, 5, 2]), seed=1, num_samples=2000)
    check_moments(draws["p"], 8 / 12, np.sqrt(8 * 4 / (12**2 * 13)))
    check_moments(draws["rate"], 3.0, np.sqrt(0.75))
    check_moments(draws["x"], 4 / 9, np.sqrt(20 / 9))
    assert abs(z_score((draws["x"] - 4 / 9) * (draws["w"] - 4 / 9), -16 / 9)) < Z_LIMIT
    check_moments(draws["half"], 2 * np.sqrt(2 / np.pi), 2 * np.sqrt(1 - 2 / np.pi))
    check_moments(draws["simplex"][..., 0], 1 / 6, np.sqrt(1 / 6 * 5 / 6 / 7))
    check_moments(draws["unit"], 1.0, 4 / np.sqrt(12))


def test_ill_conditioned_normal() -> None:
    """100 dimensions, standard deviations from .01 to 100: E x^2 of each coordinate; family-wise false alarm 6e-5."""
    scales = np.geomspace(1e-2, 1e2, 100)
    inverse = jnp.asarray(1 / scales, jnp.float32)
    kernel = NUTS(potential_fn=lambda z: 0.5 * jnp.sum((z * inverse) ** 2))
    mcmc = MCMC(kernel, num_warmup=1000, num_samples=1000, num_chains=2, progress_bar=False)
    mcmc.run(jax.random.key(0), init_params=jnp.zeros((2, 100)), extra_fields=("num_steps",))
    squares = (np.asarray(mcmc.get_samples(group_by_chain=True), np.float64) / scales) ** 2
    counts = np.asarray(effective_sample_size(squares))
    assert counts.min() > 300
    assert (np.abs(squares.mean((0, 1)) - 1) < 5 * np.sqrt(2 / counts)).all()
    assert np.asarray(mcmc.get_extra_fields()["num_steps"]).max() < 1023
