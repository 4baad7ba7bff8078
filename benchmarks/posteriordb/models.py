"""The models. Data come in as arrays; a prior that is not written in the collection is flat."""

import jax.numpy as jnp
from jax import Array, lax
from jax.nn import logsumexp

import ppl
import ppl.distributions as dist
from ppl.distributions import constraints


def eight_schools_noncentered(y: Array, sigma: Array) -> None:
    """Eight parallel experiments, effects written as location and scale of standard normals."""
    mu = ppl.sample("mu", dist.Normal(0, 5))
    tau = ppl.sample("tau", dist.HalfCauchy(5))
    with ppl.plate("school", y.shape[0]):
        standard = ppl.sample("theta_trans", dist.Normal(0, 1))
        theta = ppl.deterministic("theta", mu + tau * standard)
        ppl.sample("y", dist.Normal(theta, sigma), obs=y)


def flat_regression(x: Array, y: Array) -> None:
    """Linear regression with a flat prior on coefficients and scale."""
    beta = ppl.sample("beta", dist.ImproperUniform(constraints.real, (), (x.shape[1],)))
    sigma = ppl.sample("sigma", dist.ImproperUniform(constraints.positive, (), ()))
    with ppl.plate("row", x.shape[0]):
        ppl.sample("y", dist.Normal(x @ beta, sigma), obs=y)


def half_cauchy_regression(x: Array, y: Array) -> None:
    """Linear regression with flat coefficients and a half-Cauchy scale."""
    beta = ppl.sample("beta", dist.ImproperUniform(constraints.real, (), (x.shape[1],)))
    sigma = ppl.sample("sigma", dist.HalfCauchy(2.5))
    with ppl.plate("row", x.shape[0]):
        ppl.sample("y", dist.Normal(x @ beta, sigma), obs=y)


def normal_regression(x: Array, y: Array) -> None:
    """Linear regression with weak normal priors."""
    beta = ppl.sample("beta", dist.Normal(0, 10).expand([x.shape[1]]).to_event(1))
    sigma = ppl.sample("sigma", dist.HalfNormal(10))
    with ppl.plate("row", x.shape[0]):
        ppl.sample("y", dist.Normal(x @ beta, sigma), obs=y)


def autoregression(lags: Array, y: Array) -> None:
    """Autoregression of order ``k``; ``lags`` is ``(n, k)``, the nearest past first."""
    alpha = ppl.sample("alpha", dist.Normal(0, 10))
    beta = ppl.sample("beta", dist.Normal(0, 10).expand([lags.shape[1]]).to_event(1))
    sigma = ppl.sample("sigma", dist.HalfCauchy(2.5))
    with ppl.plate("time", y.shape[0]):
        ppl.sample("y", dist.Normal(alpha + lags @ beta, sigma), obs=y)


def centred_regression(x: Array, means: Array, y: Array) -> None:
    """Linear regression on centred covariates ``x``, with the intercept at the original ones reported."""
    b = ppl.sample("b", dist.Normal(0, 1).expand([x.shape[1]]).to_event(1))
    intercept = ppl.sample("Intercept", dist.StudentT(3, 8, 10))
    sigma = ppl.sample("sigma", dist.FoldedDistribution(dist.StudentT(3, 0, 10)))
    ppl.deterministic("b_Intercept", intercept - means @ b)
    with ppl.plate("row", x.shape[0]):
        ppl.sample("y", dist.Normal(intercept + x @ b, sigma), obs=y)


def hmm_drive(alpha: Array, u: Array, v: Array) -> None:
    """A hidden Markov chain that emits two exponential series; the states are summed out by hand."""
    states = alpha.shape[0]
    with ppl.plate("state", states):
        theta = ppl.sample("theta", dist.Dirichlet(alpha))
    rates = []
    for name in ("phi", "lambda"):
        rate = ppl.sample(name, dist.ImproperUniform(constraints.positive_ordered_vector, (), (states,)))
        ppl.factor(f"{name}_prior", dist.Normal(jnp.array([0.0, 3.0]), 1.0).to_event(1).log_prob(rate))
        rates.append(rate)
    emission = dist.Exponential(rates[0]).log_prob(u[:, None]) + dist.Exponential(rates[1]).log_prob(v[:, None])
    ppl.factor("series", _forward(jnp.log(theta), emission))


def _forward(log_transition: Array, emission: Array) -> Array:
    """The log density of a series, states summed out: emissions ``(n, k)``, transitions ``(k, k)``, every start alike."""

    def step(log_state: Array, observed: Array) -> tuple[Array, None]:
        return logsumexp(log_state[:, None] + log_transition, axis=0) + observed, None

    log_state, _ = lax.scan(step, emission[0], emission[1:])
    return logsumexp(log_state)
