"""Prediction: laws against exact distributions, shapes, keys, programs, errors."""

import pickle
from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import random
from scipy import stats

import ppl
import ppl.distributions as dist
from ppl import handlers
from ppl.contrib.control_flow import scan
from ppl.infer import Predictive, log_likelihood, map_draws

pytestmark = pytest.mark.filterwarnings("error")
KEY = random.key(0)


@pytest.fixture(autouse=True)
def _strict() -> Iterator[None]:
    with jax.numpy_dtype_promotion("strict"), jax.numpy_rank_promotion("raise"):
        yield


def normal_model(y: Any = None, scale: Any = 1.0) -> None:
    mu = ppl.sample("mu", dist.Normal(0.0, 1.0))
    ppl.deterministic("twice", 2 * mu)
    with ppl.plate("data", 3):
        ppl.sample("y", dist.Normal(mu, scale), obs=y)


def normal_guide(y: Any = None) -> None:
    loc = ppl.param("loc", 0.0)
    aux = ppl.sample("aux", dist.Normal(0.0, 1.0), infer={"is_auxiliary": True})
    ppl.deterministic("twice", jnp.zeros(()))
    ppl.sample("mu", dist.Delta(loc + 0 * aux))


def shapes(values: dict[str, Any]) -> dict[str, tuple[int, ...]]:
    return {name: value.shape for name, value in values.items()}


# Laws


@pytest.mark.parametrize("successes", [None, 4])
def test_beta_binomial(successes):
    """Counts from a flat prior, and given draws from the posterior after 4 of 5 successes; chi-square, error rate 1e-4 each."""
    n, a, b, count = 5, 1.0, 1.0, 5000

    def model() -> None:
        p = ppl.sample("p", dist.Uniform(0.0, 1.0))
        with ppl.plate("trials", n):
            trials = ppl.sample("trial", dist.Bernoulli(p))
        ppl.deterministic("y", trials.sum())

    if successes is None:
        y = Predictive(model, num_samples=count)(KEY)["y"]
    else:
        a, b = a + successes, b + n - successes
        y = Predictive(model, {"p": np.random.default_rng(1).beta(a, b, count)})(KEY)["y"]
    found = np.bincount(np.asarray(y, int), minlength=n + 1)
    assert stats.chisquare(found, count * stats.betabinom(n, a, b).pmf(np.arange(n + 1))).pvalue > 1e-4


def test_normal_normal_has_the_variances_of_posterior_and_noise():
    """Variance within 5 standard errors, `variance * sqrt(2 / n)` for normal draws; elements share the posterior's part."""
    count, posterior_variance, noise = 5000, 0.25, 1.0
    mu = np.random.default_rng(0).normal(0.7, np.sqrt(posterior_variance), count)
    y = np.asarray(Predictive(normal_model, {"mu": mu})(KEY)["y"])
    total = posterior_variance + noise
    np.testing.assert_allclose(y.var(axis=0), total, atol=5 * total * np.sqrt(2 / count))
    np.testing.assert_allclose(y.mean(axis=0), 0.7, atol=5 * np.sqrt(total / count))
    np.testing.assert_allclose(np.cov(y.T)[0, 1], posterior_variance, atol=5 * total / np.sqrt(count))


# Shapes and sites


def test_batches():
    draws = np.linspace(-1, 1, 6).astype(np.float32)
    flat = Predictive(normal_model, {"mu": draws})(KEY)
    assert shapes(flat) == {"twice": (6,), "y": (6, 3)}
    grouped = Predictive(normal_model, {"mu": draws.reshape(2, 3)}, batch_ndims=2)(KEY)
    assert shapes(grouped) == {"twice": (2, 3), "y": (2, 3, 3)}
    np.testing.assert_array_equal(grouped["y"].reshape(6, 3), flat["y"])
    np.testing.assert_array_equal(flat["twice"], 2 * draws)
    one = Predictive(normal_model, {"mu": draws[0]}, batch_ndims=0)
    assert shapes(one(KEY)) == {"twice": (), "y": (3,)}
    assert one.num_samples == 1


@pytest.mark.parametrize(("batch_ndims", "batch"), [(0, (4,)), (1, (4,)), (2, (1, 4))])
def test_batches_of_the_prior(batch_ndims, batch):
    found = jax.eval_shape(Predictive(normal_model, num_samples=4, batch_ndims=batch_ndims), KEY)
    assert shapes(found) == {"mu": batch, "twice": batch, "y": (*batch, 3)}


def test_sites():
    y = np.arange(3.0, dtype=np.float32)
    draws = {"mu": np.ones(2, np.float32), "twice": np.full(2, 7.0, np.float32), "elsewhere": np.zeros((2, 5))}
    found = Predictive(normal_model, draws)(KEY, y)
    assert list(found) == ["twice", "y"]
    np.testing.assert_array_equal(found["y"], [y, y])
    np.testing.assert_array_equal(found["twice"], [2.0, 2.0])
    found = Predictive(normal_model, draws, condition_deterministic=True, return_sites={"twice", "mu", "data"})(KEY)
    assert list(found) == ["mu", "twice", "data"]
    np.testing.assert_array_equal(found["twice"], draws["twice"])
    np.testing.assert_array_equal(found["data"], [[0, 1, 2]] * 2)
    assert shapes(Predictive(normal_model, num_samples=1, return_sites=["y"])(KEY)) == {"y": (1, 3)}


def test_guide():
    def predict(**options: Any) -> Any:
        return Predictive(normal_model, guide=normal_guide, num_samples=4, **options)(KEY)

    found = predict(params={"loc": jnp.float32(30.0)})
    assert shapes(found) == {"twice": (4,), "y": (4, 3)}
    np.testing.assert_allclose(found["twice"], 60.0)
    assert np.ptp(found["y"]) > 0 and np.all(np.abs(found["y"] - 30) < 7)
    particles = predict(params={"loc": np.array([10.0, 20.0], np.float32)}, batch_ndims=1, return_sites=["mu", "aux", "y"])
    assert shapes(particles) == {"aux": (4, 2), "mu": (4, 2), "y": (4, 2, 3)}
    np.testing.assert_allclose(particles["mu"], [[10.0, 20.0]] * 4)
    assert len(np.unique(particles["aux"])) == 8
    assert np.all(predict(params={"loc": 1.0}, condition_deterministic=True)["twice"] == 0)


def test_guide_and_model_use_the_same_subsample():
    data = np.arange(100.0, dtype=np.float32)

    def guide() -> None:
        with ppl.plate("data", 100, subsample_size=5):
            ppl.sample("z", dist.Delta(ppl.subsample(data, event_dim=0)))

    def model() -> None:
        with ppl.plate("data", 100, subsample_size=5):
            z = ppl.sample("z", dist.Normal(0.0, 1.0))
            ppl.deterministic("difference", z - ppl.subsample(data, event_dim=0))

    found = Predictive(model, guide=guide, num_samples=3)(KEY)
    assert found["difference"].shape == (3, 5)
    assert np.all(found["difference"] == 0)


def test_a_series_shorter_than_the_loop_is_continued():
    def walk(x: Any, _: Any) -> Any:
        x = ppl.sample("x", dist.Normal(x, 0.1))
        return x, x

    def model() -> None:
        scan(walk, 0.0, None, length=6)

    history = np.broadcast_to(np.array([10.0, 20.0, 30.0], np.float32), (4, 3))
    found = Predictive(model, {"x": history}, return_sites=["x"])(KEY)["x"]
    assert found.shape == (4, 6)
    np.testing.assert_array_equal(found[:, :3], history)
    assert np.all(np.abs(found[:, 3:] - 30) < 2) and len(np.unique(found[:, 3:])) == 12


def test_params_and_masks():
    def model() -> None:
        assert ppl.get_mask() is False
        scale = ppl.param("scale", 1.0, constraint=dist.constraints.positive)
        with handlers.mask(mask=False):
            ppl.sample("y", dist.Normal(3.0, scale))

    found = Predictive(model, num_samples=5, params={"scale": 1e-6})(KEY)["y"]
    np.testing.assert_allclose(found, 3.0, atol=1e-4)


# Keys and programs


def test_draws_do_not_depend_on_the_layout_or_the_kind_of_key(monkeypatch):
    def draws(**options: Any) -> Any:
        return Predictive(normal_model, num_samples=7, **options)

    expected = draws()(KEY)
    assert len(np.unique(expected["mu"])) == 7
    everything = {"parallel": draws(parallel=True)(KEY), "seed": draws()(0), "legacy": draws()(random.PRNGKey(0))}
    everything["pickled"] = pickle.loads(pickle.dumps(draws()))(KEY)
    for size in (1, 30):
        monkeypatch.setattr(map_draws, "CHUNK_BYTES", size)
        everything[f"chunks {size}"] = draws()(KEY)
    for name, found in everything.items():
        for site in expected:
            np.testing.assert_allclose(found[site], expected[site], rtol=1e-6, err_msg=name)
    assert not np.any(draws()(1)["mu"] == expected["mu"])


def test_new_data_and_keys_need_no_new_program():
    runs = []

    def model(x: Any) -> None:
        runs.append(1)
        ppl.sample("y", dist.Normal(x, 1e-6))

    predict = Predictive(model, num_samples=2)
    for i in range(3):
        np.testing.assert_allclose(predict(random.key(i), np.float32(i))["y"], i, atol=1e-4)
    assert len(runs) == 1
    predict(KEY, np.zeros(2, np.float32))
    assert len(runs) == 2


def test_a_model_may_look_at_its_data():
    def model(x: Any, flag: bool) -> None:
        size = int(x.max()) if flag else 1
        ppl.sample("y", dist.Normal(jnp.zeros(size), 1.0))

    predict = Predictive(model, num_samples=2)
    assert [predict(KEY, np.array([0, n]), True)["y"].shape for n in (3, 4, 3)] == [(2, 3), (2, 4), (2, 3)]


def test_inside_other_programs():
    draws = {"mu": jnp.arange(4.0)}
    predict = Predictive(normal_model, draws)
    expected = predict(KEY)["y"]
    np.testing.assert_allclose(jax.jit(predict)(KEY)["y"], expected, rtol=1e-6)
    np.testing.assert_allclose(jax.jit(lambda s: Predictive(normal_model, s)(KEY)["y"])(draws), expected, rtol=1e-6)
    slopes = jax.grad(lambda mu: Predictive(normal_model, {"mu": mu})(KEY)["y"].sum())(draws["mu"])
    np.testing.assert_allclose(slopes, 3.0)
    many = jax.vmap(lambda key: predict(key)["y"])(random.split(KEY, 2))
    assert many.shape == (2, 4, 3)


def test_callbacks_need_no_rule_for_batches():
    def model() -> None:
        x = ppl.sample("x", dist.Normal(0.0, 1.0))
        ppl.deterministic("y", jax.pure_callback(lambda x: np.float32(2) * x, jax.ShapeDtypeStruct((), x.dtype), x))

    found = Predictive(model, num_samples=3)(KEY)
    np.testing.assert_array_equal(found["y"], 2 * found["x"])


def test_float64():
    with jax.enable_x64(True):
        found = Predictive(normal_model, {"mu": np.zeros(2)})(0, None, np.ones(3))
        assert {value.dtype for value in found.values()} == {np.dtype("float64")}


# Errors


@pytest.mark.parametrize(
    ("options", "error", "pattern"),
    [
        ({}, ValueError, "posterior_samples` or `num_samples"),
        ({"posterior_samples": {}}, ValueError, "posterior_samples` or `num_samples"),
        ({"guide": normal_guide}, ValueError, "num_samples"),
        ({"guide": normal_guide, "posterior_samples": {"mu": np.zeros(2)}}, ValueError, "both"),
        ({"posterior_samples": {"mu": np.zeros(2), "x": np.zeros(3)}}, ValueError, r"site 'x' has batch shape \(3,\)"),
        ({"posterior_samples": {"mu": 1.0}}, ValueError, "batch_ndims=0"),
        ({"posterior_samples": {"mu": np.zeros(0)}}, ValueError, "no draws"),
        ({"posterior_samples": [1.0]}, TypeError, "dict"),
        ({"num_samples": 0}, ValueError, "num_samples"),
        ({"num_samples": 2, "batch_ndims": -1}, ValueError, "batch_ndims"),
        ({"num_samples": 2, "return_sites": "y"}, TypeError, "return_sites"),
        ({"num_samples": 2, "guide": 3}, TypeError, "guide"),
        ({"num_samples": 2, "exclude_deterministic": True, "condition_deterministic": True}, ValueError, "both"),
    ],
)
def test_construction_errors(options, error, pattern):
    with pytest.raises(error, match=pattern):
        Predictive(normal_model, **options)


def test_call_errors():
    with pytest.raises(ValueError, match=r"no sites \['nope'\]"):
        Predictive(normal_model, num_samples=2, return_sites=["nope"])(KEY)
    with pytest.raises(ValueError, match=r"batch_ndims=2"):
        Predictive(lambda: ppl.sample("x", dist.Normal(0.0, 1.0)), {"x": np.zeros((2, 5))})(KEY)
    with pytest.raises(TypeError, match="rng_key"):
        Predictive(normal_model, num_samples=2)("seed")
    with pytest.raises(ValueError, match="params"):
        Predictive(normal_model, guide=normal_guide, num_samples=2, batch_ndims=1)(KEY)


def test_warnings():
    with pytest.warns(UserWarning, match="num_samples=3 differs"):
        assert Predictive(normal_model, {"mu": np.zeros(2)}, num_samples=3).num_samples == 2
    with pytest.warns(FutureWarning, match="exclude_deterministic"):
        predict = Predictive(normal_model, num_samples=1, exclude_deterministic=False)
    assert predict.condition_deterministic
    with pytest.warns(FutureWarning, match="exclude_deterministic"):
        assert predict.exclude_deterministic is False


# Log likelihood


def test_log_likelihood_is_neither_scaled_nor_summed():
    rng = np.random.default_rng(0)
    mu, y = rng.normal(size=(2, 5)), rng.normal(size=4)
    k = rng.integers(0, 3, 4)
    keep = np.array([True, False, True, True])

    def model(y: Any, k: Any) -> None:
        mu = ppl.sample("mu", dist.Normal(0.0, 1.0))
        with handlers.scale(scale=3.0), ppl.plate("data", 4):
            ppl.sample("y", dist.Normal(mu, 0.5), obs=y)
            with handlers.mask(mask=keep):
                ppl.sample("k", dist.Poisson(jnp.exp(mu)), obs=k)

    found = log_likelihood(model, {"mu": mu}, y, batch_ndims=2, k=k)
    assert list(found) == ["y", "k"]
    expected = stats.norm(mu[..., None], 0.5).logpdf(y), stats.poisson(np.exp(mu)[..., None]).logpmf(k) * keep
    for site, values in zip(("y", "k"), expected):
        np.testing.assert_allclose(found[site], values, rtol=1e-5, atol=1e-5, err_msg=site)
    flat = log_likelihood(model, {"mu": mu.ravel()}, y, k, parallel=True)
    np.testing.assert_allclose(flat["y"], found["y"].reshape(10, 4), rtol=1e-6)
    one = log_likelihood(model, {"mu": mu[0, 0]}, y, k, batch_ndims=0)
    np.testing.assert_allclose(one["y"], found["y"][0, 0], rtol=1e-6)


def test_log_likelihood_errors():
    y = np.zeros(3, np.float32)
    with pytest.raises(ValueError, match="latent site 'mu' has no samples"):
        log_likelihood(normal_model, {"x": np.zeros(2)}, y)
    with pytest.raises(ValueError, match="batch shape"):
        log_likelihood(normal_model, {"mu": np.zeros(2), "x": np.zeros(3)}, y)
    with pytest.raises(ValueError, match="batch_ndims=2"):
        log_likelihood(lambda: ppl.sample("x", dist.Normal(0.0, 1.0)), {"x": np.zeros((2, 3))})
