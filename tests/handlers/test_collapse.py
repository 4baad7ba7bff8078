import jax
import jax.numpy as jnp
import numpy as np
import pytest

import ppl
from ppl import distributions as dist
from ppl import handlers, plate, sample
from ppl.trace import log_density

FLOAT = jnp.result_type(float)

COINS = np.array([1.0, 0.0, 1.0, 1.0], FLOAT)
HEADS = np.array([3, 7, 10])


def density(model):
    tr = handlers.trace(handlers.seed(model, 0)).get_trace()
    return tr, log_density(tr)


def grid(log_joint, n=20_001):
    """The log integral over (0, 1) by the trapezoid rule."""
    p = np.linspace(0, 1, n)[1:-1]
    return np.log(np.sum(np.exp(log_joint(p))) / (n - 1))


def beta_binomial(x, n, a, b):
    return dist.BetaBinomial(a, b, n).log_prob(x)


def test_one_latent_and_many_trials():
    def model():
        with handlers.collapse():
            p = sample("p", dist.Beta(2.0, 3.0))
            with plate("n", 4):
                sample("x", dist.Bernoulli(probs=p), obs=COINS)
            sample("y", dist.Binomial(5, probs=p), obs=2)

    tr, found = density(model)
    assert list(tr) == ["n", "p"]
    assert tr["p"]["infer"] == {"is_auxiliary": True}
    exact = grid(lambda p: np.log(12 * p * (1 - p) ** 2) + 3 * np.log(p) + np.log(1 - p) + np.log(10 * p**2 * (1 - p) ** 3))
    assert np.allclose(found, exact, rtol=1e-4)


@pytest.mark.parametrize("outside", [True, False])
def test_latents_inside_plates(outside):
    def model():
        def body():
            p = sample("p", dist.Beta(2.0, 3.0))
            sample("x", dist.Binomial(10, probs=p), obs=HEADS)

        if outside:
            with plate("n", 3), handlers.collapse():
                body()
        else:
            with handlers.collapse(), plate("n", 3):
                body()

    tr, found = density(model)
    assert tr["p"]["fn"].batch_shape == ((3,) if outside else ())
    assert np.allclose(found, np.sum(beta_binomial(HEADS, 10, 2.0, 3.0)), rtol=1e-4)


def test_nested_plates_and_two_latents():
    data = np.array([[1, 0, 1], [0, 0, 1]])

    def model():
        with plate("row", 2, dim=-2), handlers.collapse():
            p = sample("p", dist.Beta(1.0, 2.0))
            q = sample("q", dist.Beta(3.0, 1.0))
            with plate("column", 3, dim=-1):
                sample("x", dist.Bernoulli(probs=p), obs=data)
                sample("y", dist.Bernoulli(probs=q), obs=1 - data)

    tr, found = density(model)
    assert tr["p"]["fn"].batch_shape == (2, 1)
    # Ordered trials: the Beta-Binomial law without its count of arrangements.
    s = data.sum(1)
    rows = beta_binomial(s, 3, 1.0, 2.0) + beta_binomial(3 - s, 3, 3.0, 1.0) - 2 * np.log(3)
    assert np.allclose(found, np.sum(rows), rtol=1e-4)


def test_subsampling_around_the_block_scales_the_marginal_and_inside_the_likelihood():
    def around():
        with plate("n", 6, subsample_size=3), handlers.collapse():
            p = sample("p", dist.Beta(2.0, 3.0))
            sample("x", dist.Binomial(10, probs=p), obs=HEADS)

    assert np.allclose(density(around)[1], 2 * np.sum(beta_binomial(HEADS, 10, 2.0, 3.0)), rtol=1e-4)

    def within():
        with handlers.collapse():
            p = sample("p", dist.Beta(2.0, 3.0))
            with plate("n", 8, subsample_size=4):
                sample("x", dist.Bernoulli(probs=p), obs=COINS)

    exact = grid(lambda p: np.log(12 * p * (1 - p) ** 2) + 2 * (3 * np.log(p) + np.log(1 - p)))
    assert np.allclose(density(within)[1], exact, rtol=1e-4)


def test_the_marginal_is_differentiable_under_jit():
    def model(a):
        with handlers.collapse():
            p = sample("p", dist.Beta(a, 3.0))
            with plate("n", 4):
                sample("x", dist.Bernoulli(probs=p), obs=COINS)

    def marginal(a):
        return log_density(handlers.trace(model).get_trace(a))

    a, h = 2.0, 1e-2
    slope = (marginal(a + h) - marginal(a - h)) / (2 * h)
    assert np.allclose(jax.jit(jax.grad(marginal))(a), slope, rtol=1e-2)


def transformed(p):
    sample("x", dist.Bernoulli(probs=1 - p), obs=1)


@pytest.mark.parametrize(
    ("body", "error", "words"),
    [
        (lambda: None, ValueError, "no latent site"),
        (lambda: sample("z", dist.Normal(0.0, 1.0)), NotImplementedError, "'z' with distribution Normal"),
        (lambda: sample("z", dist.Beta(1.0, 1.0)), NotImplementedError, "latent 'z' itself"),
        (lambda: transformed(sample("z", dist.Beta(1.0, 1.0))), NotImplementedError, "latent 'z' itself"),
        (lambda: ppl.deterministic("d", 1.0), NotImplementedError, "deterministic site 'd'"),
    ],
)
def test_what_cannot_be_collapsed_is_named(body, error, words):
    with handlers.seed(rng_seed=0), pytest.raises(error, match=words), handlers.collapse():
        body()
    assert len(ppl.primitives._PYRO_STACK) == 0


def test_unrelated_observed_sites_are_named():
    with pytest.raises(NotImplementedError, match="'y'.*move it out"), handlers.collapse():
        sample("x", dist.Bernoulli(probs=sample("p", dist.Beta(1.0, 1.0))), obs=jnp.array(1))
        sample("y", dist.Normal(0.0, 1.0), obs=1.0)
