"""Chains: the same draws however they are laid out, kernels that users write, keys, and what a run keeps."""

import pickle
import signal
import threading
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import ppl
import ppl.distributions as dist
from ppl.infer import HMC, MCMC, NUTS
from ppl.infer.mcmc import MCMCKernel
from ppl.infer.run import chains as run_chains

Y = jnp.array([0.3, -1.2, 2.0, 0.7])


def model(y: Any) -> None:
    mu = ppl.sample("mu", dist.Normal(0.0, 2.0))
    sigma = ppl.sample("sigma", dist.LogNormal(0.0, 0.5))
    ppl.deterministic("ratio", mu / sigma)
    with ppl.plate("data", len(y)):
        ppl.sample("y", dist.Normal(mu, sigma), obs=y)


KERNEL = NUTS(model)  # one object for many runs, so that its programs are compiled once


def run(kernel: Any = KERNEL, *args: Any, key: Any = 0, run_options: dict[str, Any] | None = None, **options: Any) -> MCMC:
    settings = dict(num_warmup=40, num_samples=30, progress_bar=False) | options
    mcmc = MCMC(kernel, **settings)
    mcmc.run(jax.random.key(key) if isinstance(key, int) else key, *(args or (Y,)), **(run_options or {}))
    return mcmc


def grouped(mcmc: MCMC) -> dict[str, np.ndarray]:
    return jax.tree.map(np.asarray, mcmc.get_samples(group_by_chain=True))


METHODS = ("parallel", "sequential", "vectorized", jax.vmap)


# Chain methods


def test_every_chain_method_gives_the_same_draws() -> None:
    """Bitwise where the program is the same, to rounding where it is batched; and chain 0 is the run of a single chain."""
    results = [grouped(run(num_chains=3, chain_method=method, num_warmup=20)) for method in METHODS]
    single = grouped(run(num_warmup=20))
    for name, values in results[0].items():
        assert values.shape == (3, 30)
        np.testing.assert_array_equal(results[1][name], values)
        np.testing.assert_array_equal(single[name][0], values[0])
        for other in results[2:]:
            np.testing.assert_allclose(other[name][:, :5], values[:, :5], rtol=0.02, atol=0.02)
        assert len(np.unique(values[:, -1])) == 3


def test_chain_method_can_be_set_later() -> None:
    mcmc = MCMC(KERNEL, num_warmup=40, num_samples=30, num_chains=2, progress_bar=False)
    mcmc.chain_method = "sequential"
    mcmc.run(jax.random.key(0), Y)
    np.testing.assert_array_equal(grouped(mcmc)["mu"], grouped(run(num_chains=2))["mu"])
    mcmc.chain_method = "nonsense"
    with pytest.raises(ValueError, match="chain_method"):
        mcmc.run(jax.random.key(0), Y)


def test_an_array_of_keys() -> None:
    """Each chain has its own; a legacy key, a typed key and the seed itself agree."""
    keys = jax.random.split(jax.random.key(5), 2)
    both = grouped(run(key=keys, num_chains=2))["mu"]
    np.testing.assert_array_equal(grouped(run(key=keys[1]))["mu"][0], both[1])
    np.testing.assert_array_equal(grouped(run(key=keys[0]))["mu"][0], both[0])
    typed, legacy = grouped(run(key=7))["mu"], grouped(run(key=jax.random.PRNGKey(7)))["mu"]
    np.testing.assert_array_equal(typed, legacy)
    assert not np.isclose(typed, both[0]).any()
    with pytest.raises(ValueError, match="3 keys for num_chains=2"):
        run(key=jax.random.split(jax.random.key(5), 3), num_chains=2)


def chains_differ() -> bool:
    """Whether the chains of a kernel of our own have draws of their own."""
    mcmc = MCMC(Walk(), num_warmup=0, num_samples=5, num_chains=3, progress_bar=False)
    mcmc.run(jax.random.key(0), init_params=jnp.zeros(3))
    last = grouped_leaf(mcmc)[:, -1]
    return len(np.unique(last)) == 3


# Chunks, bars, repetition


def test_chunks_and_bars_change_nothing(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Bitwise the same draws with other chunk lengths, and with a bar."""
    expected = grouped(run(num_chains=2))
    monkeypatch.setattr(run_chains, "FIRST_CHUNK", 7)
    monkeypatch.setattr(run_chains, "SECONDS_PER_CHUNK", 1e-9)
    chunked = grouped(run(num_chains=2))
    monkeypatch.undo()
    monkeypatch.delenv("CI", raising=False)
    monkeypatch.delenv("PYTEST_XDIST_WORKER", raising=False)
    shown = grouped(run(num_chains=2, progress_bar=True, progress_rate=11))
    for name, values in expected.items():
        np.testing.assert_array_equal(chunked[name], values)
        np.testing.assert_array_equal(shown[name], values)
    text = capsys.readouterr().err
    assert "acc. prob=" in text and "steps of size" in text and "sample" in text and "R-hat" in text


def test_runs_can_be_repeated() -> None:
    """The same object again, and another object of the same kernel: the same draws; another seed: others."""
    mcmc = run()
    first = grouped(mcmc)["mu"]
    mcmc.run(jax.random.key(0), Y)
    np.testing.assert_array_equal(grouped(mcmc)["mu"], first)
    assert not np.isclose(grouped(run(key=1))["mu"], first).any()


def test_the_second_run_compiles_nothing() -> None:
    """Other data of the same shape, another number of draws and of warm-up, a thinned run, and more chains; in threads as well."""
    run(num_chains=2)
    compiled: list[str] = []

    def listen(event: str, duration: float, **_: Any) -> None:
        if "backend_compile" in event:
            compiled.append(event)

    jax.monitoring.register_event_duration_secs_listener(listen)
    try:
        other = jax.device_put(np.array([4.0, 3.0, 5.0, 4.5], np.float32))
        mcmc = run(KERNEL, other, num_warmup=55, num_samples=37)
        run(KERNEL, np.array([1.0, 3.0, 5.0, 4.5], np.float32), num_chains=3, num_samples=44, thinning=3)
        mcmc.run(jax.random.key(3), other)
    finally:
        jax.monitoring.unregister_event_duration_listener(listen)
    assert compiled == []
    assert 2 < float(np.mean(grouped(mcmc)["mu"])) < 6


def test_data_of_another_shape() -> None:
    """The same kernel object on more data, and then again on the first."""
    mcmc = MCMC(KERNEL, num_warmup=100, num_samples=100, progress_bar=False)
    mcmc.run(jax.random.key(0), Y)
    first = grouped(mcmc)["mu"]
    mcmc.run(jax.random.key(0), jnp.concatenate([Y + 5.0] * 8))
    assert 4.5 < grouped(mcmc)["mu"].mean() < 6.5
    mcmc.run(jax.random.key(0), Y)
    np.testing.assert_array_equal(grouped(mcmc)["mu"], first)


# Kernels that users write


class WalkState(NamedTuple):
    x: Any
    i: Any
    info: Any
    rng_key: Any


class Walk(MCMCKernel):
    """A random walk Metropolis kernel on a normal with mean 2, which counts its iterations."""

    sample_field = "x"

    def init(self, rng_key: Any, num_warmup: int, init_params: Any, model_args: Any, model_kwargs: Any) -> WalkState:
        return WalkState(init_params, jnp.int32(0), {"moved": (jnp.bool_(False), jnp.float32(0.0))}, rng_key)

    def sample(self, state: WalkState, model_args: Any, model_kwargs: Any) -> WalkState:
        rng_key, k_move, k_accept = jax.random.split(state.rng_key, 3)
        proposal = state.x + jax.random.normal(k_move, jnp.shape(state.x))
        log_ratio = 0.5 * jnp.sum((state.x - 2) ** 2 - (proposal - 2) ** 2)
        accepted = jnp.log(jax.random.uniform(k_accept)) < log_ratio
        x = jnp.where(accepted, proposal, state.x)
        return WalkState(x, state.i + 1, {"moved": (accepted, log_ratio)}, rng_key)


def grouped_leaf(mcmc: MCMC) -> np.ndarray:
    return np.asarray(mcmc.get_samples(group_by_chain=True))


def kept_iterations(**options: int) -> list[int]:
    """Numbers (from 0) of the iterations whose draws a run keeps."""
    mcmc = MCMC(Walk(), progress_bar=False, **options)
    mcmc.run(jax.random.key(0), init_params=jnp.float32(0.0), extra_fields=("i",))
    return [int(i) - 1 for i in mcmc.get_extra_fields()["i"]]


@pytest.mark.parametrize(
    ("options", "kept"),
    [
        (dict(num_warmup=0, num_samples=9, thinning=2), [2, 4, 6, 8]),
        (dict(num_warmup=3, num_samples=9, thinning=2), [5, 7, 9, 11]),
        (dict(num_warmup=2, num_samples=4), [2, 3, 4, 5]),
        (dict(num_warmup=2, num_samples=4, thinning=4), [5]),
        (dict(num_warmup=1, num_samples=5, thinning=3), [5]),
    ],
)
def test_thinning_keeps_the_last_of_each_group(options: dict[str, int], kept: list[int]) -> None:
    assert kept_iterations(**options) == kept


def test_thinning_where_a_buffer_is_filled_many_times() -> None:
    """A full buffer stays as it is while the chain goes on to the end of its chunk."""
    assert kept_iterations(num_warmup=0, num_samples=9000, thinning=3) == list(range(2, 9000, 3))


def test_a_users_kernel_runs_in_every_chain_method() -> None:
    """The same draws, extra fields by paths into dictionaries and tuples, and the right law: mean 2, 5 standard errors."""
    results = []
    for method in METHODS:
        mcmc = MCMC(Walk(), num_warmup=0, num_samples=2000, num_chains=3, chain_method=method, progress_bar=False)
        mcmc.run(jax.random.key(0), init_params=jnp.array([0.0, 1.0, 5.0]), extra_fields=("i", "info.moved.0", "info.moved"))
        results.append(grouped_leaf(mcmc))
        moved = mcmc.get_extra_fields(group_by_chain=True)
        assert moved["info.moved.0"].shape == (3, 2000) and moved["info.moved"][1].shape == (3, 2000)
        assert moved["i"][:, -1].tolist() == [2000] * 3
    for other in results[1:]:
        np.testing.assert_allclose(other, results[0], rtol=1e-5)
    draws = results[0]
    assert abs(draws.mean() - 2.0) < 5 * np.sqrt(8.0 / draws.size)  # autocorrelation time below 8
    assert len(np.unique(draws[:, -1])) == 3


class Halves(Walk):
    """Half a step up at a time."""

    def sample(self, state: WalkState, model_args: Any, model_kwargs: Any) -> WalkState:
        return state._replace(x=jax.tree.map(lambda x: x + 0.5, state.x))


@pytest.mark.parametrize("method", METHODS)
def test_a_python_number_as_start_takes_the_type_of_the_draws(method: str) -> None:
    """An array of whole numbers stays what it is, and is refused."""

    class FromZero(Halves):
        def init(self, rng_key: Any, num_warmup: int, init_params: Any, model_args: Any, model_kwargs: Any) -> WalkState:
            return super().init(rng_key, num_warmup, 0, model_args, model_kwargs)

    mcmc = MCMC(FromZero(), num_warmup=0, num_samples=3, num_chains=2, chain_method=method, progress_bar=False)
    mcmc.run(jax.random.key(0))
    assert grouped_leaf(mcmc).tolist() == [[0.5, 1.0, 1.5]] * 2
    mcmc.sampler = Halves()
    with pytest.raises(TypeError, match=r"Halves: the field 'x\.a' of the state has type int32, and float32 after `sample`"):
        mcmc.run(jax.random.key(0), init_params={"a": jnp.arange(2)})


class ArgumentKernel(Walk):
    """A kernel that uses the model's arguments, postprocesses its draws, and refuses what it should not get."""

    def sample(self, state: WalkState, model_args: Any, model_kwargs: Any) -> WalkState:
        return state._replace(x=state.x + model_args[0] * model_kwargs["factor"])

    def postprocess_fn(self, model_args: Any, model_kwargs: Any) -> Any:
        return lambda x: {"x": x, "y": x * model_args[0]}


def test_a_users_kernel_gets_arguments() -> None:
    mcmc = MCMC(ArgumentKernel(), num_warmup=1, num_samples=3, progress_bar=False)
    mcmc.run(jax.random.key(0), jnp.float32(2.0), factor=3, init_params=jnp.float32(0.0))
    samples = mcmc.get_samples()
    assert np.asarray(samples["x"]).tolist() == [12, 18, 24] and np.asarray(samples["y"]).tolist() == [24, 36, 48]
    mcmc.run(jax.random.key(0), jnp.float32(1.0), factor=3, init_params=jnp.float32(0.0))
    assert np.asarray(mcmc.get_samples()["x"]).tolist() == [6, 9, 12]
    mcmc.run(jax.random.key(0), jnp.float32(1.0), factor=4, init_params=jnp.float32(0.0))
    assert np.asarray(mcmc.get_samples()["x"]).tolist() == [8, 12, 16]


# Interruption and pickling


@pytest.mark.parametrize(("method", "begun"), [("parallel", 2), ("vectorized", 1), ("sequential", 1)])
def test_ctrl_c_keeps_the_draws(
    method: str,
    begun: int,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
) -> None:
    """SIGINT while chains run: the draws so far are there, equal to the first ones of a whole run, and the summary says so.

    The signal comes when each process (`begun` of them run at once) has drawn, and holds the others where they are: a busy
    machine may give one thread nothing to do for long.
    """
    # A process that was started in the background ignores the signal.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    request.addfinalizer(lambda: signal.signal(signal.SIGINT, before))
    mcmc = MCMC(KERNEL, num_warmup=50, num_samples=5_000_000, num_chains=2, chain_method=method, progress_bar=False)
    whole = grouped(run(num_chains=2, num_warmup=50, num_samples=100, chain_method=method))["mu"]
    has_drawn, advance = threading.Semaphore(0), run_chains.ChainRun.run

    def run_until_drawn(chain: run_chains.ChainRun, report: Any, stopped: threading.Event) -> None:
        def report_and_wait(rows: Any, carry: Any) -> None:
            report(rows, carry)
            if chain.thinning.step and chain.done > chain.thinning.first:
                has_drawn.release()
                while not stopped.wait(0.05):  # a waiting main thread may sleep through a signal until something reaches it
                    report(rows, carry)

        advance(chain, report_and_wait, stopped)

    monkeypatch.setattr(run_chains.ChainRun, "run", run_until_drawn)
    main = threading.main_thread().ident
    assert main is not None

    def interrupt() -> None:
        for _ in range(begun):
            has_drawn.acquire()
        signal.pthread_kill(main, signal.SIGINT)

    watcher = threading.Thread(target=interrupt)
    watcher.start()
    mcmc.run(jax.random.key(0), Y)
    watcher.join()
    draws = grouped(mcmc)["mu"]
    assert 0 < draws.shape[1] < 5_000_000
    count = min(100, draws.shape[1])
    assert len(draws) == (1 if method == "sequential" else 2)
    np.testing.assert_array_equal(draws[:, :count], whole[: len(draws), :count])
    mcmc.print_summary()
    assert "interrupted" in capsys.readouterr().out


def test_pickling_before_and_after() -> None:
    """A driver, its kernel, and its draws; a restored one continues as the original does."""
    fresh = pickle.loads(pickle.dumps(MCMC(HMC(model, trajectory_length=1.5), num_warmup=20, num_samples=10, progress_bar=False)))
    fresh.run(jax.random.key(0), Y)
    restored = pickle.loads(pickle.dumps(fresh))
    np.testing.assert_array_equal(grouped(restored)["mu"], grouped(fresh)["mu"])
    for mcmc in (fresh, restored):
        mcmc.post_warmup_state = mcmc.last_state
        mcmc.run(mcmc.last_state.rng_key, Y)
    np.testing.assert_array_equal(grouped(restored)["mu"], grouped(fresh)["mu"])
    assert pickle.loads(pickle.dumps(KERNEL)).model is model


# Inside other programs


def test_inside_jit_and_vmap() -> None:
    """A run as part of a program: equal to the one outside, no leaked tracers, and usable again outside."""

    def means(key: Any, y: Any) -> Any:
        mcmc = MCMC(KERNEL, num_warmup=20, num_samples=10, progress_bar=False)
        mcmc.run(key, y, extra_fields=("num_steps",))
        return mcmc.get_samples()["mu"], mcmc.get_extra_fields()["num_steps"]

    keys, data = jax.random.split(jax.random.key(0), 2), jnp.stack([Y, Y + 1])
    with jax.checking_leaks():
        draws, steps = jax.jit(jax.vmap(means))(keys, data)
    assert draws.shape == steps.shape == (2, 10)
    outside = run(key=keys[1], num_warmup=20, num_samples=10)
    assert not np.isclose(grouped(outside)["mu"][0], draws[0]).all()
    alone = run(KERNEL, data[1], key=keys[1], num_warmup=20, num_samples=10)
    np.testing.assert_allclose(grouped(alone)["mu"][0, :3], draws[1, :3], rtol=1e-3)
