"""The models. Data come in as arrays; a prior that is not written in the collection is flat."""

import jax.numpy as jnp
from jax import Array

import ppl
import ppl.distributions as dist
from ppl.contrib.control_flow import scan
from ppl.distributions import constraints

SUMMED_OUT = {"enumerate": "parallel"}


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
    """A hidden Markov chain that emits two exponential series; every start alike."""
    states = alpha.shape[0]
    with ppl.plate("state", states):
        theta = ppl.sample("theta", dist.Dirichlet(alpha))
    rates = []
    for name in ("phi", "lambda"):
        rate = ppl.sample(name, dist.ImproperUniform(constraints.positive_ordered_vector, (), (states,)))
        ppl.factor(f"{name}_prior", dist.Normal(jnp.array([0.0, 3.0]), 1.0).to_event(1).log_prob(rate))
        rates.append(rate)

    def emit(z: Array, observed: tuple[Array, Array], suffix: str = "") -> None:
        for name, rate, value in zip("uv", rates, observed):
            ppl.sample(name + suffix, dist.Exponential(rate[z]), obs=value)

    def step(z: Array, observed: tuple[Array, Array]) -> tuple[Array, None]:
        z = ppl.sample("z", dist.Categorical(theta[z]), infer=SUMMED_OUT)
        emit(z, observed)
        return z, None

    first = ppl.sample("z_first", dist.Categorical(jnp.full(states, 1 / states)), infer=SUMMED_OUT)
    emit(first, (u[0], v[0]), "_first")
    scan(step, first, (u[1:], v[1:]))
