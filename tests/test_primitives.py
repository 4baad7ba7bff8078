import os
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import random

import ppl
from ppl import distributions as dist
from ppl import handlers
from ppl.distributions import constraints

FLOAT = jnp.result_type(float)

N = dist.Normal(0.0, 1.0)


def run(model, *args, seed=0):
    return handlers.trace(handlers.seed(model, seed)).get_trace(*args)


def test_import_creates_nothing_and_starts_no_backend():
    code = (
        "import warnings; warnings.simplefilter('error'); import jax; before = dict(jax.config.values); import ppl; "
        "from jax._src import xla_bridge; assert not xla_bridge._backends; assert jax.config.values == before; "
        "assert not jax.live_arrays()"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_outside_handlers_primitives_are_functions():
    key = random.key(0)
    assert ppl.sample("x", N, obs=2.0) == 2.0
    assert ppl.sample("x", N, rng_key=key) == N.sample(key)
    assert ppl.sample("x", N, rng_key=key, sample_shape=(3,)).shape == (3,)
    assert ppl.param("p", 3.0) == 3.0
    assert ppl.param("p") is None
    assert ppl.deterministic("d", 4) == 4
    assert ppl.mutable("m", {"a": 1}) == {"a": 1}
    assert ppl.factor("f", 1.0) is None
    assert ppl.get_mask() is None
    assert ppl.subsample(np.arange(3), 0).tolist() == [0, 1, 2]
    with ppl.plate("n", 3) as indices:
        assert np.asarray(indices).tolist() == [0, 1, 2]
    with pytest.raises(ValueError, match="key"):
        ppl.sample("x", N)
    with pytest.warns(UserWarning, match="outside of `seed`"):
        assert ppl.prng_key() is None


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: ppl.sample("x", 3.0), TypeError, ["'x'", "distribution", "3.0"]),
        (lambda: ppl.sample("x", dist.Normal), TypeError, ["'x'", "instance"]),
        (lambda: ppl.sample(3, N, obs=1.0), TypeError, ["name", "string"]),
        (lambda: ppl.sample("x", N, sample_shape=3), TypeError, ["'x'", "tuple", "3"]),
        (lambda: ppl.sample("x", N, obs=1.0, obs_mask=np.zeros(2)), TypeError, ["'x'", "boolean", "float64"]),
        (lambda: ppl.param(3), TypeError, ["name"]),
        (lambda: ppl.param("p", lambda key: key), ValueError, ["'p'", "seed"]),
        (lambda: ppl.deterministic(None, 3), TypeError, ["name"]),
        (lambda: ppl.mutable(None, 3), TypeError, ["name"]),
        (lambda: ppl.subsample(np.ones(3), -1), ValueError, ["event_dim", "-1"]),
    ],
)
def test_malformed_statements_are_named(call, error, words):
    for context in (handlers.seed(rng_seed=0), handlers.mask()):
        with context:
            if "seed" in words and isinstance(context, handlers.seed):
                continue
            with pytest.raises(error) as caught:
                call()
            assert all(word in str(caught.value) for word in words)


def test_message_fields_of_sample():
    infer = {"note": 1}
    (site,) = run(lambda: ppl.sample("x", N, infer=infer, sample_shape=(2,))).values()
    assert site["type"] == "sample"
    assert site["args"] == ()
    assert set(site["kwargs"]) == {"rng_key", "sample_shape"}
    assert site["kwargs"]["sample_shape"] == (2,)
    assert site["value"].shape == (2,)
    assert not site["is_observed"]
    assert site["scale"] is None
    assert site["cond_indep_stack"] == []
    assert site["infer"] == infer
    assert site["infer"] is not infer
    assert site["intermediates"] == []


def test_a_transformed_distribution_leaves_its_intermediates():
    (site,) = run(lambda: ppl.sample("x", dist.LogNormal(0.0, 1.0))).values()
    assert site["intermediates"]
    assert jnp.allclose(site["fn"].log_prob(site["value"], site["intermediates"]), site["fn"].log_prob(site["value"]), atol=1e-6)


def test_explicit_key_wins_over_seed():
    key = random.key(7)
    with handlers.seed(rng_seed=0):
        assert ppl.sample("x", N, rng_key=key) == N.sample(key)


@pytest.mark.parametrize("event", [False, True])
def test_obs_mask_interleaves_observed_and_latent_values(event):
    mask = np.array([True, False, True])
    obs = np.array([1.0, np.nan, 3.0], FLOAT)
    fn = N
    if event:
        fn, obs = dist.Normal(np.zeros(2, FLOAT), 1.0).to_event(1), np.stack([obs, obs], -1)

    def model():
        with ppl.plate("n", 3):
            return ppl.sample("x", fn, obs=obs, obs_mask=mask)

    tr = run(model)
    assert [tr[n]["type"] for n in ("x_observed", "x_unobserved", "x")] == ["sample", "sample", "deterministic"]
    assert tr["x_observed"]["is_observed"]
    assert not tr["x_unobserved"]["is_observed"]
    value = tr["x"]["value"]
    assert jnp.array_equal(value[mask], obs[mask])
    assert jnp.array_equal(value[~mask], tr["x_unobserved"]["value"][~mask])
    for name, where in (("x_observed", mask), ("x_unobserved", ~mask)):
        site = tr[name]
        expected = np.where(where, fn.log_prob(jnp.nan_to_num(site["value"])), 0.0)
        assert np.allclose(site["fn"].log_prob(site["value"]), expected, atol=1e-6)


@pytest.mark.parametrize("obs", [[1.0, 2.0], (1, 2), range(2)])
def test_observed_lists_become_arrays(obs):
    assert isinstance(run(lambda: ppl.sample("x", N, obs=obs))["x"]["value"], np.ndarray)
    with pytest.raises(TypeError, match="'x': obs must be numbers"):
        ppl.sample("x", N, obs=["a", "b"])


def test_obs_mask_without_obs_is_a_latent_site():
    assert list(run(lambda: ppl.sample("x", N, obs_mask=True))) == ["x"]
    assert list(run(lambda: ppl.sample("x", N, obs=1.0, obs_mask=True))) == ["x_observed", "x_unobserved", "x"]


def test_factor_is_an_auxiliary_observed_site():
    def model():
        with ppl.plate("n", 3), handlers.scale(scale=2.0):
            ppl.factor("f", np.arange(3.0, dtype=FLOAT))

    site = run(model)["f"]
    assert site["is_observed"]
    assert site["infer"] == {"is_auxiliary": True}
    assert site["scale"] == 2.0
    assert site["fn"].log_prob(site["value"]).tolist() == [0.0, 1.0, 2.0]


def test_param_records_its_constraint_and_draws_from_a_function():
    def model():
        return ppl.param("p", lambda key: random.normal(key, (2,)), constraint=constraints.positive), ppl.param("q", 1.0)

    tr = run(model)
    assert tr["p"]["value"].shape == (2,)
    assert tr["p"]["kwargs"] == {"constraint": constraints.positive, "event_dim": None}
    assert tr["q"]["value"] == 1.0
    assert tr["q"]["kwargs"]["constraint"] is constraints.real


def test_mutable_state_is_changed_in_place_but_not_the_argument():
    start = {"count": 0}

    def model():
        state = ppl.mutable("state", start)
        state["count"] += 1

    tr = run(model)
    assert tr["state"]["type"] == "mutable"
    assert tr["state"]["value"] == {"count": 1}
    given = {"count": 5}
    tr = run(handlers.substitute(model, data={"state": given}))
    assert (tr["state"]["value"]["count"], given["count"], start["count"]) == (6, 5, 0)


def test_prng_key_is_fresh_and_of_the_kind_of_the_seed():
    with handlers.seed(rng_seed=random.key(0)):
        a, b = ppl.prng_key(), ppl.prng_key()
    assert jnp.issubdtype(a.dtype, jax.dtypes.prng_key)
    assert not jnp.array_equal(random.key_data(a), random.key_data(b))
    with handlers.seed(rng_seed=0):
        key = ppl.prng_key()
    assert key.shape == (2,)
    assert key.dtype == np.uint32
    with handlers.mask():
        assert ppl.prng_key() is None


def test_module_registers_its_parameters():
    def init(key, input_shape):
        return (*input_shape[:-1], 2), random.normal(key, (input_shape[-1], 2))

    def model(shape=None):
        return ppl.module("net", (init, lambda w, x: x @ w), shape)(jnp.ones((1, 3)))[0]

    tr = run(model, (3,))
    assert tr["net$params"]["type"] == "param"
    assert tr["net$params"]["value"].shape == (3, 2)
    params = {"net$params": tr["net$params"]["value"]}
    assert jnp.allclose(handlers.substitute(model, data=params)(), params["net$params"].sum(0))
    with pytest.raises(ValueError, match="input_shape"):
        run(model)


def test_settings_check_their_arguments():
    with pytest.raises(ValueError, match="cpu, cuda"):
        ppl.set_platform("abacus")
    with pytest.raises(ValueError, match="positive number of devices"):
        ppl.set_host_device_count(0)


def test_host_device_count_keeps_other_flags(monkeypatch):
    monkeypatch.setenv("XLA_FLAGS", "--xla_a=1 --xla_force_host_platform_device_count=7 --xla_b")
    ppl.set_host_device_count(3)
    assert os.environ["XLA_FLAGS"].split() == ["--xla_force_host_platform_device_count=3", "--xla_a=1", "--xla_b"]


def test_x64_can_be_switched(monkeypatch):
    before = jax.config.jax_enable_x64
    try:
        ppl.enable_x64()
        assert jax.config.jax_enable_x64
        monkeypatch.setenv("JAX_ENABLE_X64", "0")
        ppl.enable_x64(False)
        assert not jax.config.jax_enable_x64
    finally:
        jax.config.update("jax_enable_x64", before)
