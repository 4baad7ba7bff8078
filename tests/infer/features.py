"""What every kernel on a target must do in a run, asked of one kernel object for all checks, so that little is compiled."""

import pickle
import re
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from test_chains import Y, grouped, model, run

import ppl
import ppl.distributions as dist
from ppl.infer import MCMC

# What is asked of a kernel on the model of `test_chains`


def same_draws_in_every_chain_method(kernel: Any) -> None:
    """Bitwise where the program is the same, to rounding where it is batched; chain 0 is the run of a single chain."""
    methods = ("parallel", "sequential", "vectorized")
    results = [grouped(run(kernel, num_chains=3, chain_method=method, num_warmup=10)) for method in methods]
    single = grouped(run(kernel, num_warmup=10))
    for name, values in results[0].items():
        assert values.shape == (3, 30) and len(np.unique(values[:, -1])) == 3
        np.testing.assert_array_equal(results[1][name], values)
        np.testing.assert_array_equal(single[name][0], values[0])
        np.testing.assert_allclose(results[2][name][:, :5], values[:, :5], rtol=0.02, atol=0.02)


def second_run_compiles_nothing(kernel: Any) -> None:
    """Other data of the same shape, another number of draws and of warm-up, a thinned run, and more chains."""
    run(kernel, num_chains=2)
    compiled: list[str] = []

    def listen(event: str, duration: float, **_: Any) -> None:
        if "backend_compile" in event:
            compiled.append(event)

    jax.monitoring.register_event_duration_secs_listener(listen)
    try:
        other = jax.device_put(np.array([4.0, 3.0, 5.0, 4.5], np.float32))
        mcmc = run(kernel, other, num_warmup=900, num_samples=400)
        run(kernel, np.array([1.0, 3.0, 5.0, 4.5], np.float32), num_chains=3, num_samples=44, thinning=3)
        mcmc.run(jax.random.key(3), other)
    finally:
        jax.monitoring.unregister_event_duration_listener(listen)
    assert compiled == []
    assert 2 < float(np.mean(grouped(mcmc)["mu"])) < 6


def takes_data_of_another_shape(kernel: Any) -> None:
    """And then the first again, with the same draws."""
    first = grouped(run(kernel, num_chains=2, chain_method="vectorized"))["mu"]
    longer = grouped(run(kernel, jnp.concatenate([Y + 5.0] * 8), num_warmup=900, num_samples=500))["mu"]
    assert 4 < longer.mean() < 7
    np.testing.assert_array_equal(grouped(run(kernel, num_chains=2, chain_method="vectorized"))["mu"], first)


def goes_on_with_other_data(kernel: Any) -> None:
    """A state knows the density of the data that it was found under, which is that of no others: the chain would not move."""
    mcmc = MCMC(kernel, num_warmup=300, num_samples=500, num_chains=2, chain_method="vectorized", progress_bar=False)
    mcmc.warmup(jax.random.key(0), Y)
    other = Y + 2.5
    for state in (mcmc.post_warmup_state, jax.tree.map(jnp.asarray, mcmc.post_warmup_state)):
        mcmc.post_warmup_state = state
        mcmc.run(jax.random.key(1), other)
        draws = grouped(mcmc)["mu"]
        assert min(len(np.unique(chain)) for chain in draws) > 20 and draws[:, -200:].mean() > Y.mean() + 1


def continues(kernel: Any) -> None:
    """Warm-up and then the run, or a run in two parts, are one longer run, draw by draw; also from a pickled driver."""
    whole = grouped(run(kernel, num_samples=60))["mu"]
    parts = run(kernel, num_samples=25)
    first = grouped(parts)["mu"]
    for mcmc in (parts, pickle.loads(pickle.dumps(parts))):
        mcmc.post_warmup_state = mcmc.last_state
        mcmc.num_samples = 35
        mcmc.run(mcmc.last_state.rng_key, Y)
        np.testing.assert_array_equal(np.concatenate([first, grouped(mcmc)["mu"]], 1), whole)
    warmed = MCMC(kernel, num_warmup=40, num_samples=60, progress_bar=False)
    warmed.warmup(jax.random.key(0), Y)
    assert int(warmed.post_warmup_state.i) == 40
    warmed.run(warmed.post_warmup_state.rng_key, Y)
    np.testing.assert_array_equal(grouped(warmed)["mu"], whole)


def keeps_fields_and_thins(kernel: Any, state_type: type, default_fields: set[str]) -> None:
    """Every field of the state by its name, deterministic sites, the last of each group of draws."""
    names = tuple(name for name in state_type._fields if name not in ("rng_key", "z"))
    mcmc = run(kernel, num_chains=2, num_samples=21, thinning=2, run_options=dict(extra_fields=("z.sigma", *names)))
    samples, fields = mcmc.get_samples(), mcmc.get_extra_fields(group_by_chain=True)
    assert set(fields) == {"z.sigma", *names} | default_fields
    assert samples["mu"].shape == (20,) and fields["potential_energy"].shape == (2, 10)
    assert fields["i"][0].tolist() == list(range(43, 62, 2))
    np.testing.assert_allclose(np.log(samples["sigma"]).reshape(2, 10), fields["z.sigma"], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(samples["ratio"], samples["mu"] / samples["sigma"], rtol=1e-5)
    state = mcmc.last_state
    assert isinstance(state, state_type) and state.z["mu"].shape == (2,)
    np.testing.assert_array_equal(fields["potential_energy"][:, -1], state.potential_energy)
    assert set(run(kernel).get_extra_fields()) == default_fields
    every = run(kernel, run_options=dict(extra_fields=("accept_prob", "mean_accept_prob"))).get_extra_fields()
    np.testing.assert_allclose(every["mean_accept_prob"], np.cumsum(every["accept_prob"]) / np.arange(1, 31), rtol=1e-4)


def energies_are_those_of_the_draws(kernel: Any) -> None:
    """The potential energy in the state is that at the draw; and it is computed anew by `refresh` for other data."""
    state = run(kernel, num_samples=20).last_state
    potential = kernel.get_potential_fn((Y,))
    np.testing.assert_allclose(state.potential_energy, potential(state.z), rtol=1e-5)
    other = jax.jit(lambda state: kernel.refresh(state, (Y + 1.0,)))(state)
    np.testing.assert_allclose(other.potential_energy, kernel.get_potential_fn((Y + 1.0,))(state.z), rtol=1e-5)
    assert float(other.z["mu"]) == float(state.z["mu"])
    one = jax.jit(lambda key: kernel.sample(kernel.init(key, 5, None, (Y,)), (Y,)))(jax.random.key(3))
    assert int(one.i) == 1 and np.isfinite(one.potential_energy)


def shows_progress(kernel: Any, pattern: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """A bar changes no draw."""
    expected = grouped(run(kernel))["mu"]
    for name in ("CI", "PYTEST_XDIST_WORKER"):
        monkeypatch.delenv(name, raising=False)
    shown = run(kernel, progress_bar=True, progress_rate=7)
    np.testing.assert_array_equal(grouped(shown)["mu"], expected)
    assert "acc. prob=" in capsys.readouterr().err
    assert re.fullmatch(pattern, kernel.get_diagnostics_str(shown.last_state))


# What is asked of a class of kernels


def runs_in_float64(kernel: Any) -> None:
    """Draws and states are float64 with 64 bits, on the same object as float32 ones, which stay what they were."""
    before = grouped(run(kernel))["mu"]
    with jax.enable_x64(True):
        mcmc = run(kernel, jnp.asarray(np.asarray(Y, np.float64)))
        assert mcmc.get_samples()["mu"].dtype == jnp.float64 and mcmc.last_state.potential_energy.dtype == jnp.float64
        assert {leaf.dtype for leaf in jax.tree.leaves(mcmc.last_state.adapt_state)} <= {
            np.dtype(name) for name in ("float64", "int32", "uint32")
        }
    np.testing.assert_array_equal(grouped(run(kernel))["mu"], before)


def is_strict(make: Callable[..., Any]) -> None:
    """Nothing in a run relies on implicit promotion of types or ranks."""
    with jax.numpy_dtype_promotion("strict"), jax.numpy_rank_promotion("raise"):
        samples = run(make(model), num_warmup=20, num_samples=10).get_samples()
    assert samples["mu"].dtype == jnp.float32


def sums_out_discrete_sites(make: Callable[..., Any], num: int) -> None:
    """Two components at -2 and 2, y = 1 with standard deviation 1.5 about them; x is N(0, 1), u = x + m deterministic.

    P(2 | y) = 1 / (1 + exp(-16/9)) = 0.855; 5 standard errors with `num` independent draws.
    """

    def mixture(y: Any) -> None:
        k = ppl.sample("k", dist.Bernoulli(0.5), infer={"enumerate": "parallel"})
        x = ppl.sample("x", dist.Normal(0.0, 1.0))
        m = ppl.deterministic("m", 4.0 * k - 2.0)
        ppl.deterministic("u", x + m)
        ppl.sample("y", dist.Normal(m, 1.5), obs=y)

    mcmc = MCMC(make(mixture), num_warmup=300, num_samples=2000, thinning=2, progress_bar=False)
    mcmc.run(jax.random.key(2), 1.0)
    samples = mcmc.get_samples()
    assert samples["m"].shape == (1000,) and abs(float(jnp.mean(samples["m"] > 0)) - 0.8554) < 5 * np.sqrt(0.124 / num)
    np.testing.assert_allclose(samples["u"], samples["x"] + samples["m"], rtol=1e-5, atol=1e-5)


def takes_a_potential_function(make: Callable[..., Any]) -> None:
    """Of a pytree; draws are pytrees of its structure; for several chains starts have a leading axis."""
    kernel = make(potential_fn=lambda z: 0.5 * (jnp.sum(z["a"] ** 2) + z["b"][0] ** 2))
    start = {"a": jnp.zeros((2, 3)), "b": (jnp.zeros(2),)}
    mcmc = MCMC(kernel, num_warmup=20, num_samples=10, num_chains=2, progress_bar=False)
    mcmc.run(jax.random.key(0), init_params=start)
    assert mcmc.get_samples()["a"].shape == (20, 3) and mcmc.get_samples(True)["b"][0].shape == (2, 10)
    with pytest.raises(ValueError, match="init_params"):
        mcmc.run(jax.random.key(0), init_params={"a": jnp.zeros(3), "b": (jnp.float32(0.0),)})


def takes_models_at_the_edge(make: Callable[..., Any]) -> None:
    """No latent site at all; and a site of size zero beside a scalar."""

    def empty(y: Any) -> None:
        ppl.sample("y", dist.Normal(0.0, 1.0), obs=y)

    def edge(y: Any) -> None:
        ppl.sample("nothing", dist.Normal(0.0, 1.0).expand((0,)).to_event(1))
        ppl.sample("y", dist.Normal(ppl.sample("x", dist.Normal(0.0, 1.0)), 1.0), obs=y)

    assert run(make(empty), Y[0], num_warmup=25).get_samples() == {}
    assert run(make(edge), Y[0], num_warmup=25).get_samples()["nothing"].shape == (30, 0)
