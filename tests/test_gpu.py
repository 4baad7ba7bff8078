"""On a CUDA device: chain methods and kernels draw from the posterior; prediction; states along time. Skipped elsewhere."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import logsumexp

import ppl
import ppl.distributions as dist
from benchmarks import exactness
from ppl import handlers
from ppl.contrib.control_flow import scan
from ppl.contrib.funsor import enum, log_density
from ppl.infer import HMC, MCMC, NUTS, Predictive, compute_marginals, infer_discrete, log_likelihood

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(jax.default_backend() != "gpu", reason="there is no CUDA device"),
]

Y = np.array([1.2, 0.3, 2.1, 0.9], np.float32)
POSTERIOR_MEAN, POSTERIOR_VARIANCE = Y.sum() / 5, 1 / 5  # N(0, 1) and four observations with unit variance


def model(y=None):
    mu = ppl.sample("mu", dist.Normal(0.0, 1.0))
    ppl.deterministic("twice", 2 * mu)
    with ppl.plate("point", 4):
        ppl.sample("y", dist.Normal(mu, 1.0), obs=y)


KERNELS = {
    "NUTS": NUTS(model),
    "dense": NUTS(model, dense_mass=True),
    "HMC": HMC(model, trajectory_length=1.5),
}


@pytest.mark.parametrize("method", ["parallel", "sequential", "vectorized"])
@pytest.mark.parametrize("kernel", KERNELS.values(), ids=KERNELS)
def test_draws_from_the_posterior(kernel, method):
    """Mean and variance within 5 Monte Carlo errors, from an effective size that is demanded first."""
    chains = 16 if method == "vectorized" else 2
    mcmc = MCMC(kernel, num_warmup=200, num_samples=4000 // chains, num_chains=chains, chain_method=method, progress_bar=False)
    mcmc.run(0, Y)
    draws = mcmc.get_samples(group_by_chain=True)
    assert next(iter(draws["mu"].devices())).platform == "gpu"
    mu = np.asarray(draws["mu"])
    np.testing.assert_array_equal(np.asarray(draws["twice"]), 2 * mu)
    squares = (mu - POSTERIOR_MEAN) ** 2
    for values, expected in ((mu, POSTERIOR_MEAN), (squares, POSTERIOR_VARIANCE)):
        size = ppl.diagnostics.effective_sample_size(values)
        assert size > 400
        assert abs(values.mean() - expected) < 5 * values.std() / np.sqrt(size)


EXACT = {f"{case.kernel}, {case.target}": case for case in exactness.CASES if case.is_exact}


@pytest.mark.parametrize("case", EXACT.values(), ids=EXACT)
def test_kernels_where_the_answer_is_known(case):
    """Every expectation within 5 Monte Carlo errors, from an effective size that is demanded first."""
    target = exactness.TARGETS[case.target]
    mcmc = MCMC(
        case.make(target.model), num_warmup=1000, num_samples=2000, num_chains=64, chain_method="vectorized", progress_bar=False
    )
    mcmc.run(jax.random.key(0), *target.arguments)
    draws = {name: np.asarray(values, np.float64) for name, values in mcmc.get_samples(group_by_chain=True).items()}
    for name, function, exact in target.means:
        values = function(draws)
        size = ppl.diagnostics.effective_sample_size(values)
        assert size > 100, name
        assert abs(values.mean() - exact) < 5 * values.std() / np.sqrt(size), name


def test_prediction():
    draws = {"mu": jnp.linspace(-1, 1, 500)}
    predicted = Predictive(model, draws)(jax.random.key(0))["y"]
    assert predicted.shape == (500, 4)
    error = np.asarray(predicted) - np.linspace(-1, 1, 500)[:, None]
    assert abs(error.mean()) < 5 / np.sqrt(2000)
    expected = -0.5 * (Y - np.linspace(-1, 1, 500)[:, None]) ** 2 - 0.5 * np.log(2 * np.pi)
    np.testing.assert_allclose(log_likelihood(model, draws, Y)["y"], expected, rtol=1e-4, atol=1e-4)


TRANSITION = np.array([[0.7, 0.2, 0.1], [0.1, 0.6, 0.3], [0.3, 0.3, 0.4]])
CENTRES = np.array([-1.0, 0.5, 2.0])
SERIES = np.random.default_rng(0).normal(size=(40, 2))


def of_states(series, centres):
    """Two chains of three states each, which start in the first."""

    def step(z: Any, y: Any) -> tuple[Any, None]:
        with ppl.plate("series", 2):
            z = ppl.sample("z", dist.Categorical(jnp.asarray(TRANSITION)[z]), infer={"enumerate": "parallel"})
            ppl.sample("y", dist.Normal(centres[z], 1.0), obs=y)
        return z, None

    scan(step, jnp.zeros(2, int), series)


def forward_backward():
    """The log density, the marginal probabilities `(time, series, state)` and the most probable states, each by loops in NumPy."""
    log_transition = np.log(TRANSITION)
    emission = -0.5 * (SERIES[..., None] - CENTRES) ** 2 - 0.5 * np.log(2 * np.pi)
    forward = [log_transition[0] + emission[0]]
    for now in emission[1:]:
        forward.append(logsumexp(forward[-1][..., None] + log_transition, axis=-2) + now)
    backward = [np.zeros_like(emission[0])]
    for now in emission[:0:-1]:
        backward.append(logsumexp(log_transition + (backward[-1] + now)[..., None, :], axis=-1))
    joint = np.stack(forward) + np.stack(backward[::-1])
    best, back = forward[0], []
    for now in emission[1:]:
        scores = best[..., None] + log_transition
        back.append(scores.argmax(axis=-2))
        best = scores.max(axis=-2) + now
    states = [best.argmax(axis=-1)]
    for pointers in reversed(back):
        states.append(np.take_along_axis(pointers, states[-1][:, None], axis=1)[:, 0])
    log_evidence = logsumexp(forward[-1], axis=-1)
    return log_evidence.sum(), np.exp(joint - log_evidence[:, None]), np.stack(states[::-1])


def test_states_along_time():
    """Products of matrices in logarithmic depth, as is the default there: density, gradient, marginals, draws and the maximum."""
    expected, marginals, best = forward_backward()
    series = jnp.asarray(SERIES, jnp.float32)

    def log_evidence(centres: Any) -> Any:
        return log_density(enum(of_states, -2), (series, centres), {}, {})[0]

    value, gradient = jax.jit(jax.value_and_grad(log_evidence))(jnp.asarray(CENTRES, jnp.float32))
    assert value == pytest.approx(expected, rel=1e-5)
    slopes = (marginals * (SERIES[..., None] - CENTRES)).sum((0, 1))
    np.testing.assert_allclose(gradient, slopes, rtol=1e-4, atol=1e-4)
    found = compute_marginals(of_states, (series, jnp.asarray(CENTRES)), {}, {})["z"]
    np.testing.assert_allclose(found, marginals, atol=1e-5)

    def read_back(rng_key: Any, temperature: int) -> Any:
        fn = infer_discrete(of_states, temperature=temperature, rng_key=rng_key)
        return handlers.trace(fn).get_trace(series, jnp.asarray(CENTRES))["z"]["value"]

    np.testing.assert_array_equal(read_back(jax.random.key(0), 0), best)
    draws = jax.jit(jax.vmap(lambda k: read_back(k, 1)))(jax.random.split(jax.random.key(1), 4000))
    frequencies = (np.asarray(draws)[..., None] == np.arange(3)).mean(0)
    assert np.all(abs(frequencies - marginals) < 5 * np.sqrt(marginals * (1 - marginals) / 4000) + 1e-3)
