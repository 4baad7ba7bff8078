"""The driver: what it accepts, what it returns, how runs are continued, and models at the edge."""

import re
from typing import Any

import features
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from test_chains import KERNEL, Y, grouped, model, run

import ppl
import ppl.distributions as dist
from ppl.distributions import constraints
from ppl.infer import HMC, MCMC, NUTS, init_to_value
from ppl.infer.hmc import HMCState

# Arguments


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (dict(num_warmup=-1), "num_warmup"),
        (dict(num_warmup=1.5), "num_warmup"),
        (dict(num_samples=0), "num_samples"),
        (dict(num_samples=3, thinning=4), "num_samples"),
        (dict(thinning=0), "thinning"),
        (dict(thinning=2.0), "thinning"),
        (dict(num_chains=0), "num_chains"),
        (dict(chain_method="threads"), "chain_method"),
        (dict(progress_rate=0), "progress_rate"),
    ],
)
def test_arguments_are_checked(options: dict[str, Any], words: str) -> None:
    settings = dict(num_warmup=1, num_samples=10) | options
    with pytest.raises(ValueError, match=words):
        MCMC(KERNEL, **settings)


def test_misuse_is_named() -> None:
    mcmc = MCMC(KERNEL, num_warmup=1, num_samples=1, progress_bar=False)
    with pytest.raises(TypeError, match="kernel"):
        MCMC(model, num_warmup=1, num_samples=1)
    for read in (mcmc.get_samples, mcmc.get_extra_fields, mcmc.print_summary):
        with pytest.raises(ValueError, match="call `run` first"):
            read()
    with pytest.raises(ValueError, match="extra_fields"):
        mcmc.run(jax.random.key(0), Y, extra_fields="num_steps")
    with pytest.raises(ValueError, match=re.escape("'adapt_state.nonsense'")):
        mcmc.run(jax.random.key(0), Y, extra_fields=("adapt_state.nonsense",))
    with pytest.raises(ValueError, match="init"):
        NUTS(model).sample(None)
    with pytest.raises(ValueError, match="init_params"):
        MCMC(NUTS(potential_fn=jnp.sum), num_warmup=1, num_samples=1).run(jax.random.key(0))
    with pytest.raises(ValueError, match="neither"):
        NUTS()
    with pytest.raises(ValueError, match="both"):
        NUTS(model, potential_fn=jnp.sum)


def test_a_bar_and_a_callable_method_warn(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("CI", "PYTEST_XDIST_WORKER"):
        monkeypatch.delenv(name, raising=False)
    with pytest.warns(UserWarning, match="progress bar"):
        mcmc = MCMC(KERNEL, num_warmup=1, num_samples=1, num_chains=2, chain_method=jax.vmap)
    assert not mcmc.progress_bar
    monkeypatch.setenv("CI", "1")
    assert not MCMC(KERNEL, num_warmup=1, num_samples=1).progress_bar


# What is returned


def test_samples_fields_and_their_shapes() -> None:
    """Chains one after another, or grouped; constrained values; deterministic sites; paths into the state; dropped sites."""
    names = ("num_steps", "z.sigma", "z", "adapt_state.step_size", "adapt_state.inverse_mass_matrix", "potential_energy")
    names = (*names, "~z.ratio")
    mcmc = run(num_chains=2, num_samples=21, thinning=2, run_options=dict(extra_fields=names))
    flat, by_chain = mcmc.get_samples(), mcmc.get_samples(group_by_chain=True)
    assert sorted(flat) == ["mu", "sigma"] and flat["mu"].shape == (20,) and by_chain["mu"].shape == (2, 10)
    np.testing.assert_array_equal(np.asarray(flat["mu"]).reshape(2, 10), by_chain["mu"])
    assert isinstance(flat["mu"], jax.Array) and (np.asarray(flat["sigma"]) > 0).all()
    fields, grouped_fields = mcmc.get_extra_fields(), mcmc.get_extra_fields(group_by_chain=True)
    assert set(fields) == {"diverging", *names} - {"~z.ratio"}
    np.testing.assert_allclose(np.log(flat["sigma"]), fields["z.sigma"], rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(fields["z"]["mu"], flat["mu"])
    assert fields["diverging"].dtype == bool and fields["num_steps"].dtype == jnp.int32
    (names_of_block,) = fields["adapt_state.inverse_mass_matrix"]
    assert names_of_block == ("mu", "sigma") and fields["adapt_state.inverse_mass_matrix"][names_of_block].shape == (20, 2)
    step_sizes = np.asarray(grouped_fields["adapt_state.step_size"])
    assert (step_sizes == step_sizes[:, :1]).all() and step_sizes[0, 0] != step_sizes[1, 0]
    mcmc.transfer_states_to_host()
    assert isinstance(mcmc.get_samples()["mu"], np.ndarray)
    np.testing.assert_array_equal(mcmc.get_samples()["mu"], flat["mu"])


def test_deterministic_sites_are_recomputed_and_dropping_unknown_ones_fails() -> None:
    samples = run(num_chains=2).get_samples()
    np.testing.assert_allclose(samples["ratio"], samples["mu"] / samples["sigma"], rtol=1e-5)
    with pytest.raises(ValueError, match="nonsense"):
        run(num_chains=2, run_options=dict(extra_fields=("~z.nonsense",)))


def test_last_state() -> None:
    """A public state with a leading chain axis for several chains; counts, and the position of the last draw."""
    single, double = run(), run(num_chains=2)
    assert isinstance(single.last_state, HMCState) and int(single.last_state.i) == 70
    assert single.last_state.z["mu"].shape == () and double.last_state.z["mu"].shape == (2,)
    assert float(single.last_state.z["mu"]) == float(single.get_samples()["mu"][-1])
    assert double.last_state.adapt_state.step_size.shape == (2,)
    assert re.fullmatch(r"\d+ steps of size \d\.\d\de[-+]\d\d\. acc\. prob=\d\.\d\d", KERNEL.get_diagnostics_str(single.last_state))


def test_print_summary(capsys: pytest.CaptureFixture[str]) -> None:
    run(num_chains=2).print_summary()
    text = capsys.readouterr().out
    assert "mu" in text and "ratio" not in text and "n_eff" in text and "Number of divergences: " in text
    run().print_summary(exclude_deterministic=False)
    assert "ratio" in capsys.readouterr().out


def test_postprocess_fn_of_the_driver() -> None:
    """Maps unconstrained draws, in place of constraining them; also in the callable chain method."""
    options = dict(num_chains=2, num_warmup=10)
    expected = run(**options, run_options=dict(extra_fields=("z.sigma",))).get_extra_fields()["z.sigma"]
    for method in ("parallel", jax.vmap):
        mcmc = run(**options, postprocess_fn=lambda z: {"double": 2 * z["sigma"]}, chain_method=method)
        assert list(mcmc.get_samples()) == ["double"]
        np.testing.assert_allclose(mcmc.get_samples()["double"][:5], 2 * expected[:5], rtol=1e-2)


# Warm-up and continuation


def test_other_data_after_warmup() -> None:
    features.goes_on_with_other_data(KERNEL)


def test_warmup_then_run_and_continuation() -> None:
    """`warmup` adapts as `run` does; two runs, the second from the last state with its key, are one longer run, draw by draw."""
    for chains in (1, 2):
        whole = run(num_chains=chains, num_samples=60)
        parts = run(num_chains=chains, num_samples=25)
        first = grouped(parts)["mu"]
        parts.post_warmup_state = parts.last_state
        parts.num_samples = 35
        parts.run(parts.last_state.rng_key, Y)
        np.testing.assert_array_equal(np.concatenate([first, grouped(parts)["mu"]], 1), grouped(whole)["mu"])
        assert np.asarray(parts.last_state.i).max() == 35
        warmed = MCMC(KERNEL, num_warmup=40, num_samples=60, num_chains=chains, progress_bar=False)
        warmed.warmup(jax.random.key(0), Y)
        assert np.asarray(warmed.post_warmup_state.i).max() == 40
        with pytest.raises(ValueError, match="run"):
            warmed.get_samples()
        warmed.run(warmed.post_warmup_state.rng_key, Y)
        np.testing.assert_array_equal(grouped(warmed)["mu"], grouped(whole)["mu"])
        warmed.post_warmup_state = None
        warmed.run(jax.random.key(0), Y)
        np.testing.assert_array_equal(grouped(warmed)["mu"], grouped(whole)["mu"])


def test_a_new_key_after_warmup_gives_new_draws() -> None:
    mcmc = MCMC(KERNEL, num_warmup=40, num_samples=30, progress_bar=False)
    mcmc.warmup(jax.random.key(0), Y)
    draws = []
    for seed in (1, 1, 2):
        mcmc.run(jax.random.key(seed), Y, extra_fields=("adapt_state.step_size",))
        draws.append(grouped(mcmc)["mu"])
        step_size = float(mcmc.post_warmup_state.adapt_state.step_size)
        assert (np.asarray(mcmc.get_extra_fields()["adapt_state.step_size"]) == np.float32(step_size)).all()
    np.testing.assert_array_equal(draws[0], draws[1])
    assert not np.isclose(draws[0], draws[2]).all()


def test_collected_warmup() -> None:
    """All warm-up draws and fields until the next run; the averaged step size only at the end."""
    mcmc = MCMC(KERNEL, num_warmup=40, num_samples=30, progress_bar=False)
    mcmc.warmup(jax.random.key(0), Y, collect_warmup=True, extra_fields=("adapt_state.step_size", "i"))
    assert mcmc.get_samples()["mu"].shape == (40,)
    fields = mcmc.get_extra_fields()
    assert np.asarray(fields["i"]).tolist() == list(range(1, 41))
    assert len(np.unique(fields["adapt_state.step_size"])) > 30
    assert float(fields["adapt_state.step_size"][-1]) == float(mcmc.post_warmup_state.adapt_state.step_size)
    mcmc.run(jax.random.key(1), Y)
    assert mcmc.get_samples()["mu"].shape == (30,)


def test_mean_acceptance_restarts_after_warmup() -> None:
    mcmc = run(run_options=dict(extra_fields=("accept_prob", "mean_accept_prob")))
    fields = mcmc.get_extra_fields()
    np.testing.assert_allclose(fields["mean_accept_prob"], np.cumsum(fields["accept_prob"]) / np.arange(1, 31), rtol=1e-4)


# Start values

STILL = HMC(model, step_size=1e-12, num_steps=1, trajectory_length=None, adapt_step_size=False, adapt_mass_matrix=False)


def first_positions(init_params: Any, num_chains: int) -> dict[str, np.ndarray]:
    """Where chains start: with a step size of nothing they stay there."""
    mcmc = run(STILL, num_chains=num_chains, num_warmup=0, num_samples=1, run_options=dict(init_params=init_params))
    return {name: values[:, 0] for name, values in grouped(mcmc).items()}


def test_init_params_are_honoured() -> None:
    """One set for all chains, one for each, some sites only; unconstrained values: sigma = exp(z)."""
    one = {"mu": 1.5, "sigma": np.array(-0.5)}
    for chains in (1, 3):
        found = first_positions(one, chains)
        np.testing.assert_allclose(found["mu"], [1.5] * chains, rtol=1e-6)
        np.testing.assert_allclose(found["sigma"], np.exp([-0.5] * chains), rtol=1e-6)
    found = first_positions({"mu": jnp.array([1, 2, 3]), "sigma": np.array([0.1, 0.2, 0.3])}, 3)
    np.testing.assert_allclose(found["mu"], [1, 2, 3], rtol=1e-6)
    np.testing.assert_allclose(found["sigma"], np.exp([0.1, 0.2, 0.3]), rtol=1e-6)
    found = first_positions({"sigma": 0.25}, 3)
    np.testing.assert_allclose(found["sigma"], np.exp([0.25] * 3), rtol=1e-6)
    assert len(np.unique(found["mu"])) == 3 and np.abs(found["mu"]).max() <= 2


@pytest.mark.parametrize(
    ("init_params", "words"),
    [
        ({"tau": 1.0}, "'tau'"),
        ({"mu": np.zeros(4)}, r"site 'mu' has shape \(4,\)"),
        ({"mu": np.nan}, "site 'mu'"),
        (np.zeros(2), "init_params"),
    ],
)
def test_wrong_init_params_are_named(init_params: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        run(STILL, num_chains=2, num_warmup=0, num_samples=1, run_options=dict(init_params=init_params))


def test_init_params_of_a_potential_function() -> None:
    """A pytree; for several chains with a leading axis, which is demanded."""
    kernel = NUTS(potential_fn=lambda z: 0.5 * (jnp.sum(z["a"] ** 2) + z["b"][0] ** 2))
    start = {"a": jnp.zeros((2, 3)), "b": (jnp.zeros(2),)}
    for method in ("parallel", "vectorized"):
        mcmc = MCMC(kernel, num_warmup=20, num_samples=10, num_chains=2, chain_method=method, progress_bar=False)
        mcmc.run(jax.random.key(0), init_params=start)
        assert mcmc.get_samples()["a"].shape == (20, 3) and mcmc.get_samples(True)["b"][0].shape == (2, 10)
        with pytest.raises(ValueError, match="init_params"):
            mcmc.run(jax.random.key(0), init_params={"a": jnp.zeros(3), "b": (jnp.float32(0.0),)})


def test_an_init_strategy_decides_the_start() -> None:
    kernel = HMC(
        model,
        step_size=1e-12,
        num_steps=1,
        trajectory_length=None,
        adapt_step_size=False,
        init_strategy=init_to_value(values={"mu": 1.25, "sigma": 3.0}),
    )
    samples = run(kernel, num_warmup=0, num_samples=1).get_samples()
    np.testing.assert_allclose([samples["mu"][0], samples["sigma"][0]], [1.25, 3.0], rtol=1e-5)


# Models at the edge


def edge_run(edge: Any, *args: Any, **options: Any) -> MCMC:
    settings = dict(num_warmup=20, num_samples=10, progress_bar=False) | options
    mcmc = MCMC(NUTS(edge), **settings)
    mcmc.run(jax.random.key(0), *args)
    mcmc.print_summary()
    return mcmc


def test_a_model_without_latent_sites() -> None:
    def empty(y: Any) -> None:
        ppl.sample("y", dist.Normal(0.0, 1.0), obs=y)

    for chains in (1, 2):
        assert edge_run(empty, Y[0], num_chains=chains).get_samples() == {}


def test_a_model_with_deterministic_sites_only() -> None:
    def fixed(y: Any) -> None:
        ppl.deterministic("twice", 2 * y)

    samples = edge_run(fixed, Y, num_chains=2).get_samples(group_by_chain=True)
    assert samples["twice"].shape == (2, 10, 4)
    np.testing.assert_allclose(samples["twice"][1, 3], 2 * Y)


def test_sites_of_size_zero_flat_priors_and_trivial_simplices() -> None:
    """A site of size zero; a flat improper prior, N(y, 1) a posteriori; a simplex of one component."""

    def edge(y: Any) -> None:
        ppl.sample("nothing", dist.Normal(0.0, 1.0).expand((0,)).to_event(1))
        ppl.sample("one", dist.Dirichlet(jnp.ones(1)))
        flat = ppl.sample("flat", dist.ImproperUniform(constraints.real, (), ()))
        ppl.sample("y", dist.Normal(flat, 1.0), obs=y)

    samples = edge_run(edge, jnp.float32(7.0), num_warmup=300, num_samples=1000).get_samples()
    assert samples["nothing"].shape == (1000, 0)
    np.testing.assert_allclose(samples["one"], np.ones((1000, 1)), rtol=1e-6)
    assert abs(float(samples["flat"].mean()) - 7.0) < 5 * np.sqrt(3 / 1000)  # 5 standard errors at an autocorrelation time of 3


def test_no_warmup() -> None:
    """The given step size is used from the first draw on."""
    mcmc = run(num_warmup=0, run_options=dict(extra_fields=("adapt_state.step_size",)))
    assert (np.asarray(mcmc.get_extra_fields()["adapt_state.step_size"]) == 1.0).all()
    mcmc.warmup(jax.random.key(0), Y)
    mcmc.run(jax.random.key(1), Y)
    assert mcmc.get_samples()["mu"].shape == (30,)


def test_nan_in_the_data_is_named() -> None:
    with (
        pytest.warns(UserWarning, match="site 'y'.*found nan"),
        pytest.raises(RuntimeError, match=r"site 'y'.*1 of 4 observed values are nan.*\(2,\)"),
    ):
        run(KERNEL, Y.at[2].set(jnp.nan))


def test_data_outside_the_support_are_named() -> None:
    def counts(y: Any) -> None:
        rate = ppl.sample("rate", dist.Exponential(1.0))
        ppl.sample("y", dist.Exponential(rate), obs=y)

    with pytest.warns(UserWarning, match="site 'y'"), pytest.raises(RuntimeError, match="site 'y'"):
        edge_run(counts, jnp.array([1.0, -2.0]))


def test_numbers_that_are_not_numbers_while_sampling_are_reported() -> None:
    """A potential with a hole: the run goes on, and a warning says where the energy was not a number."""

    def hole() -> None:
        x = ppl.sample("x", dist.Normal(0.0, 1.0))
        ppl.factor("hole", jnp.where(x > 0.7, jnp.nan, 0.0))

    with pytest.warns(UserWarning, match="not a number"):
        mcmc = edge_run(hole, num_warmup=50, num_samples=200)
    assert (np.asarray(mcmc.get_samples()["x"]) <= 0.7).all()


def test_where_a_site_has_density_zero_the_others_do_not_matter() -> None:
    """Nothing is reported (a warning is an error here)."""

    def wall() -> None:
        x = ppl.sample("x", dist.Normal(0.0, 1.0))
        ppl.factor("wall", jnp.where(x > 0.7, -jnp.inf, 0.0))
        ppl.factor("hole", jnp.where(x > 0.7, jnp.nan, 0.0))

    mcmc = edge_run(wall, num_warmup=50, num_samples=200)
    assert (np.asarray(mcmc.get_samples()["x"]) <= 0.7).all()


def test_parameters_that_are_not_numbers_while_sampling_are_reported() -> None:
    """They are said in the warning, and are no error of the run, whose draws are good."""

    def root() -> None:
        x = ppl.sample("x", dist.Normal(0.0, 1.0))
        ppl.sample("y", dist.Normal(jnp.sqrt(x + 0.8), 1.0), obs=1.0)

    with pytest.warns(UserWarning, match=r"not a number.*site 'y' ~ Normal.*loc=nan"):
        mcmc = edge_run(root, num_warmup=50, num_samples=200)
    assert (np.asarray(mcmc.get_samples()["x"]) >= -0.8).all()


def check_float64() -> None:
    mcmc = run(KERNEL, jnp.asarray(np.asarray(Y, np.float64)))
    assert mcmc.get_samples()["mu"].dtype == jnp.float64
    assert mcmc.last_state.z_grad["mu"].dtype == jnp.float64
    assert mcmc.last_state.adapt_state.step_size.dtype == jnp.float64


def test_float64() -> None:
    """With 64 bits everywhere draws and states are float64, on the same kernel object as runs in 32 bits."""
    before = grouped(run())["mu"]
    jax.config.update("jax_enable_x64", True)
    try:
        check_float64()
    finally:
        jax.config.update("jax_enable_x64", False)
    np.testing.assert_array_equal(grouped(run())["mu"], before)


def test_float64_in_a_context() -> None:
    with jax.enable_x64(True):
        check_float64()


def test_strict_promotion() -> None:
    """Nothing in a run relies on implicit promotion of types or ranks."""
    with jax.numpy_dtype_promotion("strict"), jax.numpy_rank_promotion("raise"):
        samples = run(NUTS(model), num_warmup=20, num_samples=10, num_chains=2).get_samples()
    assert samples["mu"].dtype == jnp.float32


def test_arguments_as_keywords_and_structures() -> None:
    """Data in dictionaries and keywords; numbers and None stay what they are; jit_model_args demands arrays."""

    def regression(data: Any, *, prior: float, y: Any = None) -> None:
        slope = ppl.sample("slope", dist.Normal(0.0, prior))
        ppl.sample("y", dist.Normal(slope * data["x"], 0.1).to_event(1), obs=y)

    x = jnp.arange(4.0)
    mcmc = MCMC(NUTS(regression), num_warmup=100, num_samples=100, progress_bar=False)
    mcmc.run(jax.random.key(0), {"x": x}, prior=3.0, y=2 * x)
    assert abs(float(mcmc.get_samples()["slope"].mean()) - 2) < 0.1
    mcmc.run(jax.random.key(0), {"x": x}, prior=3.0)
    assert sorted(mcmc.get_samples()) == ["slope", "y"]
    strict = MCMC(NUTS(regression), num_warmup=1, num_samples=1, jit_model_args=True, progress_bar=False)
    with pytest.raises(TypeError, match="jit_model_args"):
        strict.run(jax.random.key(0), {"x": x}, prior="wide")
