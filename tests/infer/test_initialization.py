"""Start values: every strategy on a table of sites, and what it leaves alone."""

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
from ppl.distributions import biject_to, constraints
from ppl.infer import (
    init_to_feasible,
    init_to_mean,
    init_to_median,
    init_to_sample,
    init_to_uniform,
    init_to_value,
    initialize_model,
)

pytestmark = pytest.mark.filterwarnings("error")
KEY = random.key(0)
STICKS = dist.transforms.StickBreakingTransform()
VECTOR = np.array([0.2, 0.5, 0.3], np.float32)
STRATEGIES = {
    "uniform": init_to_uniform,
    "uniform 0.1": init_to_uniform(radius=0.1),
    "feasible": init_to_feasible,
    "feasible()": init_to_feasible(),
    "sample": init_to_sample,
    "median": init_to_median(num_samples=3),
    "mean": init_to_mean(),
    "value": init_to_value(values={"vector": VECTOR}),
}


@pytest.fixture(autouse=True)
def _strict() -> Iterator[None]:
    with jax.numpy_dtype_promotion("strict"), jax.numpy_rank_promotion("raise"):
        yield


def model() -> None:
    """Latent sites of many supports, and sites that have no start value."""
    ppl.sample("normal", dist.Normal(3.0, 1.0))
    ppl.sample("heavy", dist.Cauchy(0.0, 1.0))
    scale = ppl.sample("scale", dist.HalfNormal(2.0))
    ppl.sample("below", dist.Uniform(-1.0, scale))
    ppl.sample("vector", dist.TransformedDistribution(dist.Normal(np.zeros(2, np.float32), 1.0).to_event(1), STICKS))
    ppl.sample("flat", dist.ImproperUniform(constraints.positive, (), (2,)))
    with ppl.plate("plate", 2):
        ppl.sample("many", dist.Exponential(0.5))
    ppl.sample("count", dist.Poisson(3.0))
    ppl.sample("seen", dist.Normal(0.0, 1.0), obs=0.5)
    ppl.param("param", 1.0)


LATENT = ("normal", "heavy", "scale", "below", "vector", "flat", "many")


def site_of(fn: Any, **fields: Any) -> dict[str, Any]:
    kwargs = {"rng_key": KEY, "sample_shape": ()}
    return {"name": "x", "type": "sample", "is_observed": False, "value": None, "fn": fn, "kwargs": kwargs, **fields}


def started(strategy: Any, key: Any) -> Any:
    with handlers.trace() as trace, handlers.substitute(substitute_fn=strategy), handlers.seed(rng_seed=key):
        model()
    return trace


@pytest.fixture(scope="module")
def starts() -> dict[str, dict[str, dict[str, Any]]]:
    """For each strategy and site: value, unconstrained value, whether it lies in the support."""

    @jax.jit
    def run(key: Any) -> Any:
        found = {}
        for name, strategy in STRATEGIES.items():
            sites = started(strategy, key)
            found[name] = {
                site: {
                    "value": sites[site]["value"],
                    "z": biject_to(sites[site]["fn"].support).inv(sites[site]["value"]),
                    "inside": jnp.all(sites[site]["fn"].support(sites[site]["value"])),
                }
                for site in LATENT
            }
            assert sites["seen"]["value"] == 0.5 and sites["param"]["value"] == 1.0
        return found

    return jax.tree.map(np.asarray, run(KEY))


@pytest.mark.parametrize("name", STRATEGIES)
def test_values_have_the_shape_and_lie_inside(starts, name):
    expected = {"vector": (3,), "flat": (2,), "many": (2,)}
    for site, found in starts[name].items():
        assert found["value"].shape == expected.get(site, ()), site
        assert found["inside"] and np.all(np.isfinite(found["z"])), site


def test_where_the_strategies_start(starts):
    for site in LATENT:
        assert np.all(np.abs(starts["uniform"][site]["z"]) <= 2), site
        assert np.all(np.abs(starts["uniform 0.1"][site]["z"]) <= 0.1 + 1e-6), site
        assert not np.array_equal(starts["uniform"][site]["z"], starts["uniform 0.1"][site]["z"]), site
        for name in ("feasible", "feasible()"):
            np.testing.assert_allclose(starts[name][site]["z"], 0.0, atol=1e-6, err_msg=site)
    np.testing.assert_allclose(starts["feasible"]["vector"]["value"], 1 / 3, rtol=1e-6)
    np.testing.assert_allclose(starts["mean"]["normal"]["value"], 3.0)
    np.testing.assert_allclose(starts["mean"]["scale"]["value"], 2 * np.sqrt(2 / np.pi), rtol=1e-6)
    np.testing.assert_allclose(starts["mean"]["many"]["value"], 2.0, rtol=1e-6)
    np.testing.assert_array_equal(starts["value"]["vector"]["value"], VECTOR)
    assert np.all(np.abs(starts["value"]["many"]["z"]) <= 2)


def test_uniform_fills_the_interval():
    """Kolmogorov-Smirnov, error rate 1e-3."""

    def wide() -> None:
        with ppl.plate("plate", 1000):
            ppl.sample("x", dist.Exponential(1.0))

    z = initialize_model(KEY, wide, init_strategy=init_to_uniform(radius=3.0)).param_info.z["x"]
    assert stats.kstest(z, stats.uniform(-3, 6).cdf).pvalue > 1e-3


def test_median():
    """The median of n draws of a normal distribution has standard deviation about 1.25 / sqrt(n): 200 of them."""
    found = init_to_median(site_of(dist.Normal(2.0, np.ones(200, np.float32))), num_samples=25)
    assert abs(np.mean(found) - 2) < 5 * 1.25 / np.sqrt(25 * 200)
    assert abs(np.std(found) - 1.25 / 5) < 0.08


def test_sites_that_are_left_alone():
    others = [
        site_of(dist.Poisson(3.0)),
        site_of(dist.Normal(0.0, 1.0), is_observed=True, value=0.5),
        site_of(dist.Normal(0.0, 1.0), type="param"),
    ]
    for name, strategy in STRATEGIES.items():
        assert [strategy(site) for site in others] == [None] * 3, name
    with pytest.warns(UserWarning, match="skipping initialization"):
        assert init_to_uniform(site_of(dist.Normal(0.0, 1.0), value=0.5)) is None


def test_values_are_checked():
    with pytest.raises(ValueError, match=r"'x' has shape \(\)"):
        init_to_value(site_of(dist.Normal(0.0, 1.0)), values={"x": np.ones(2)})


def test_tries_go_on_until_the_density_is_finite():
    def narrow() -> None:
        x = ppl.sample("x", dist.Normal(0.0, 1.0))
        ppl.factor("window", jnp.where(x > 1.9, 0.0, -jnp.inf))

    info = initialize_model(KEY, narrow)
    assert info.param_info.z["x"] > 1.9 and np.isfinite(info.param_info.potential_energy)
    assert initialize_model(KEY, narrow).param_info.z["x"] == info.param_info.z["x"]


def test_strategies_pickle():
    for name, strategy in STRATEGIES.items():
        assert callable(pickle.loads(pickle.dumps(strategy))), name
