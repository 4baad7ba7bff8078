"""Elementary draws, against SciPy; one program for all laws of a dtype."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import special, stats

from ppl.distributions import random

N = 20_000
MIN_KS = 1e-6  # two-sided false alarms per test
LAWS = {
    "uniform": stats.uniform(),
    "normal": stats.norm(),
    "exponential": stats.expon(),
    "logistic": stats.logistic(),
    "gumbel": stats.gumbel_r(),
    "laplace": stats.laplace(),
    "cauchy": stats.cauchy(),
}
SHAPES = np.array([1e-3, 0.05, 0.7, 1.0, 3.5, 1e3, 1e6])


def all_draws(dtype):
    @jax.jit
    def run(key):
        keys = random.split(key, len(LAWS) + 3)
        out = {name: getattr(random, name)(k, (N,), dtype) for name, k in zip(LAWS, keys)}
        out["loggamma"] = random.loggamma(keys[-1], SHAPES[:, None], (len(SHAPES), N), dtype)
        out["beta"] = random.beta(keys[-2], 0.3, 2.0, (N,), dtype)
        out["dirichlet"] = random.dirichlet(keys[-3], np.array([0.5, 2.0, 1.0]), (N,), dtype)
        return out

    return {name: np.asarray(x) for name, x in run(jax.random.key(20)).items()}


@pytest.mark.parametrize("width", [32, 64])
def test_draws_follow_their_laws(width):
    with jax.enable_x64(width == 64):
        out = all_draws(jnp.dtype(f"float{width}"))
    assert {x.dtype for x in out.values()} == {np.dtype(f"float{width}")}
    out = {name: x.astype(float) for name, x in out.items()}
    for name, law in LAWS.items():
        assert stats.kstest(out[name], law.cdf).pvalue > MIN_KS, name
    for a, log_x in zip(SHAPES, out["loggamma"]):
        # far below one, P(X < x) is x^a / Gamma(a + 1), and most variates underflow
        cdf = np.where(log_x < -80, np.exp(a * np.minimum(log_x, 0) - special.gammaln(a + 1)), stats.gamma(a).cdf(np.exp(log_x)))
        assert stats.kstest(cdf, "uniform").pvalue > MIN_KS, a
    assert stats.kstest(out["beta"], stats.beta(0.3, 2.0).cdf).pvalue > MIN_KS
    for i, a in enumerate([0.5, 2.0, 1.0]):
        assert stats.kstest(out["dirichlet"][:, i], stats.beta(a, 3.5 - a).cdf).pvalue > MIN_KS
    assert (out["exponential"] > 0).all()


def test_log_gamma_is_differentiable_by_its_implicit_derivative():
    """`-dF/da / (dF/dlog x)`, the latter from SciPy's density, the former by differences."""
    with jax.enable_x64(True):
        a = np.array([1e-3, 0.1, 0.9, 1.5, 20.0, 1e4])
        draws, slopes = jax.jvp(lambda a: random.loggamma(jax.random.key(3), a), (a,), (np.ones_like(a),))
        x, h = np.exp(np.asarray(draws)), 1e-5 * a
        by_shape = (stats.gamma.cdf(x, a + h) - stats.gamma.cdf(x, a - h)) / (2 * h)
        held = x > 1e-30
        expected = np.where(held, -by_shape / (x * stats.gamma.pdf(x, a)), (special.digamma(a + 1) - np.asarray(draws)) / a)
        np.testing.assert_allclose(np.asarray(slopes), expected, rtol=1e-5)


def test_shapes_without_a_law_end_the_loop():
    a = jnp.array([np.nan, -1.0, 0.0, np.inf, 1e30])
    out = np.asarray(random.loggamma(jax.random.key(0), a))
    assert np.isnan(out[:2]).all() and out[2] == -np.inf and out[3] == np.inf
    np.testing.assert_allclose(out[4], np.log(1e30), rtol=1e-6)


def test_keys_of_every_kind_and_lists_of_them():
    typed = jax.random.key(7)
    keys = [typed, jax.random.PRNGKey(7), jax.random.key(7, impl="rbg")]
    values = [np.asarray(random.normal(key, (3,))) for key in keys]
    np.testing.assert_array_equal(values[0], values[1])
    assert not np.array_equal(values[0], values[2])
    many = jax.random.split(typed, 4)
    mapped = jax.vmap(lambda key: random.gamma(key, 0.5, (2,)))(many)
    for key, row in zip(many, mapped):
        np.testing.assert_allclose(row, random.gamma(key, 0.5, (2,)), rtol=1e-6)
    assert random.uniform(typed, (), float, 2.0, 3.0).shape == ()
    assert np.isin(random.rademacher(typed, (9,)), [-1, 1]).all()


def test_rare_categories_are_rare():
    """A weight of `exp(-50)` is not drawn because a random word is zero."""
    logits = np.full(70, -50.0, np.float32)
    logits[3] = 0.0
    assert (random.categorical(jax.random.key(1), logits, (20_000,)) == 3).all()
