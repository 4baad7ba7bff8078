"""On a CUDA device: every chain method draws from the posterior; prediction and kernels that are not fused. Skipped elsewhere."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import ppl
import ppl.distributions as dist
from ppl.infer import HMC, MCMC, NUTS, Predictive, log_likelihood

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


def test_prediction():
    draws = {"mu": jnp.linspace(-1, 1, 500)}
    predicted = Predictive(model, draws)(jax.random.key(0))["y"]
    assert predicted.shape == (500, 4)
    error = np.asarray(predicted) - np.linspace(-1, 1, 500)[:, None]
    assert abs(error.mean()) < 5 / np.sqrt(2000)
    expected = -0.5 * (Y - np.linspace(-1, 1, 500)[:, None]) ** 2 - 0.5 * np.log(2 * np.pi)
    np.testing.assert_allclose(log_likelihood(model, draws, Y)["y"], expected, rtol=1e-4, atol=1e-4)
