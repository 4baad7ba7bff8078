"""Kernels of the library of which a user's class defines methods anew: a run calls these, in every chain method."""

import pickle
from collections.abc import Callable
from typing import Any

import features_gibbs
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from test_chains import METHODS, Y, grouped, model, run

import ppl
import ppl.distributions as dist
from ppl.infer import AIES, ESS, HMC, HMCECS, MCMC, NUTS, SA, BarkerMH, DiscreteHMCGibbs, HMCGibbs, MixedHMC
from ppl.infer.gibbs import DiscreteGibbs, Gibbs
from ppl.infer.kernel import overridden
from ppl.infer.mcmc import MCMCKernel

switched = features_gibbs.switched


class Doubled(MCMCKernel):
    """To be put in front of a kernel: two of its iterations count as one."""

    def sample(self, state: Any, model_args: Any = (), model_kwargs: Any = None) -> Any:
        return super().sample(super().sample(state, model_args, model_kwargs), model_args, model_kwargs)


class Same(MCMCKernel):
    """To be put in front of a kernel, which it leaves as it is."""

    def sample(self, state: Any, model_args: Any = (), model_kwargs: Any = None) -> Any:
        return super().sample(state, model_args, model_kwargs)


class DoubledNUTS(Doubled, NUTS): ...


class SameNUTS(Same, NUTS): ...


class SameBarker(Same, BarkerMH): ...


class SameGibbs(Same, DiscreteHMCGibbs): ...


class SameEnsemble(Same, AIES): ...


class DoubledEnsemble(Doubled, AIES):
    default_fields = ("z", "inner_state.i")


TWICE = DoubledNUTS(model)
ENSEMBLE: dict[str, Any] = dict(num_chains=8, chain_method="vectorized")


# The rule


@pytest.mark.parametrize(
    "kernel",
    [
        *(make(model) for make in (HMC, NUTS, BarkerMH, SA, AIES, ESS)),
        DiscreteHMCGibbs(NUTS(switched)),
        HMCGibbs(NUTS(switched), features_gibbs.draw_k, ["k"]),
        MixedHMC(HMC(switched)),
        HMCECS(NUTS(model)),
        Gibbs([(DiscreteGibbs(switched), ["k"]), (NUTS(switched), None)]),
    ],
    ids=lambda kernel: type(kernel).__name__,
)
def test_kernels_of_the_library_define_nothing_anew(kernel: Any) -> None:
    """So they run as compiled processes."""
    assert overridden(kernel, ("init", "sample", "postprocess_fn", "get_constrain_fn", "refresh")) == []


def test_methods_that_are_defined_anew() -> None:
    """By a class, by one that is mixed in, by an object; others make no difference."""

    class Telling(NUTS):
        def get_diagnostics_str(self, state: Any) -> str:
            return "nothing"

    kernel = NUTS(model)
    assert overridden(TWICE) == ["sample"] and overridden(kernel) == overridden(Telling(model)) == []
    kernel.postprocess_fn = lambda args, kwargs: lambda z: z  # type: ignore[method-assign]
    assert overridden(kernel) == ["postprocess_fn"]
    assert set(run(kernel, num_samples=2).get_samples()) == {"mu", "sigma"}


# Runs


def test_sample_is_called_in_every_chain_method() -> None:
    """Two iterations in one, for one chain and for several, with the same draws; chain 0 is the run of a single chain."""
    single = run(TWICE, num_warmup=20)
    assert int(single.last_state.i) == 100 and set(single.get_extra_fields()) == {"diverging"}
    results = []
    for method in METHODS:
        mcmc = run(TWICE, num_warmup=20, num_chains=2, chain_method=method)
        assert np.asarray(mcmc.last_state.i).tolist() == [100, 100]
        results.append(grouped(mcmc)["mu"])
        np.testing.assert_allclose(results[-1][:, :5], results[0][:, :5], rtol=0.02, atol=0.02)
    np.testing.assert_allclose(results[0][0, :5], grouped(single)["mu"][0, :5], rtol=0.02, atol=0.02)
    assert len(np.unique(results[0][:, -1])) == 2


@pytest.mark.parametrize(
    ("kernel", "same", "options"),
    [
        (NUTS(model), SameNUTS(model), {}),
        (BarkerMH(model), SameBarker(model), {}),
        (DiscreteHMCGibbs(NUTS(switched)), SameGibbs(NUTS(switched)), {}),
        (AIES(model), SameEnsemble(model), ENSEMBLE | dict(key=jax.random.split(jax.random.key(0), 8))),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_method_that_changes_nothing(kernel: Any, same: Any, options: dict[str, Any]) -> None:
    """To rounding, the draws are those of the kernel, deterministic sites included."""
    draws = [grouped(run(each, num_warmup=10, **options)) for each in (kernel, same)]
    assert draws[0].keys() == draws[1].keys()
    for name, values in draws[0].items():
        np.testing.assert_allclose(draws[1][name][:, :5], values[:, :5], rtol=0.02, atol=0.02)


def moved(kernel: type[Any]) -> type[Any]:
    """A class of kernels whose chains start at 50."""

    class Moved(kernel):
        def init(self, *args: Any, **kwargs: Any) -> Any:
            state = super().init(*args, **kwargs)
            return state._replace(z={**state.z, "mu": jnp.full_like(state.z["mu"], 50.0)})

    return Moved


def test_init_is_called() -> None:
    still = dict(step_size=1e-6, adapt_step_size=False)
    samples = run(moved(BarkerMH)(model, **still), num_warmup=0, num_samples=3, num_chains=2).get_samples()
    np.testing.assert_allclose(samples["mu"], 50.0, atol=1e-3)
    mcmc = run(moved(ESS)(model), num_warmup=0, num_samples=1, **ENSEMBLE)
    assert np.median(mcmc.get_samples()["mu"]) > 10


class Hundredfold(NUTS):
    def postprocess_fn(self, model_args: Any, model_kwargs: Any) -> Callable[[Any], Any]:
        constrain = super().postprocess_fn(model_args, model_kwargs)
        return lambda z: {**constrain(z), "hundredfold": 100 * z["mu"], "first": model_args[0][0]}


class Bare(NUTS):
    def get_constrain_fn(self, *args: Any, **options: Any) -> Callable[[Any], Any]:
        return lambda z: {"mu": 2 * z["mu"]}


def test_what_is_made_of_the_draws(capsys: pytest.CaptureFixture[str]) -> None:
    mcmc = run(Hundredfold(model))
    samples = mcmc.get_samples()
    assert set(samples) == {"mu", "sigma", "ratio", "hundredfold", "first"}
    np.testing.assert_allclose(samples["hundredfold"], 100 * samples["mu"], rtol=1e-5)
    np.testing.assert_allclose(samples["first"], Y[0])
    mcmc.print_summary()
    text = capsys.readouterr().out
    assert "hundredfold" in text and "ratio" not in text and "Number of divergences" in text
    doubled = run(Bare(model), run_options=dict(extra_fields=("z.mu",)))
    np.testing.assert_allclose(doubled.get_samples()["mu"], 2 * doubled.get_extra_fields()["z.mu"])
    with pytest.raises(ValueError, match=r"Bare runs as a user's kernel; use Predictive"):
        doubled.get_samples(infer_discrete=True)


def test_blocks_and_ensembles() -> None:
    class Seven(DiscreteHMCGibbs):
        def sample(self, state: Any, model_args: Any, model_kwargs: Any) -> Any:
            state = super().sample(state, model_args, model_kwargs)
            return state._replace(z={**state.z, "mu": jnp.full_like(state.z["mu"], 7.0)})

    mcmc = run(Seven(NUTS(switched)), num_chains=2, run_options=dict(extra_fields=("block_states.1.diverging",)))
    assert (np.asarray(mcmc.get_samples()["mu"]) == 7).all() and set(np.unique(mcmc.get_samples()["k"])) == {0, 1}
    assert mcmc.get_extra_fields(True)["block_states.1.diverging"].shape == (2, 30)
    mcmc = run(DoubledEnsemble(model), num_warmup=20, **ENSEMBLE)
    assert int(mcmc.last_state.inner_state.i) == 100
    assert mcmc.get_extra_fields(True)["inner_state.i"][:, -1].tolist() == [100] * 8


def test_a_run_goes_on() -> None:
    """After warm-up, and in a process that has not begun the run."""
    mcmc = run(TWICE, num_warmup=20, num_chains=2)
    for each in (mcmc, pickle.loads(pickle.dumps(mcmc))):
        each.post_warmup_state = each.last_state
        each.run(jax.random.key(5), Y)
        assert np.asarray(each.last_state.i).tolist() == [160, 160]
        assert len(np.unique(each.get_samples()["mu"])) > 30


def test_other_data() -> None:
    """Also where the model branches on them, so that they are part of the program."""

    def branched(y: Any) -> None:
        mu = ppl.sample("mu", dist.Normal(0.0, 1.0))
        ppl.sample("more" if y[0] > 0 else "less", dist.Normal(mu, 1.0))

    kernel = DoubledNUTS(branched)
    mcmc = MCMC(kernel, num_warmup=20, num_samples=10, progress_bar=False)
    for sign, name in ((1.0, "more"), (-1.0, "less"), (1.0, "more")):
        mcmc.run(jax.random.key(0), np.full(2, sign, np.float32))
        assert set(mcmc.get_samples()) == {"mu", name} and int(mcmc.last_state.i) == 60


def test_inside_jit() -> None:
    def last(key: Any, y: Any) -> Any:
        mcmc = MCMC(TWICE, num_warmup=20, num_samples=10, progress_bar=False)
        mcmc.run(key, y)
        return mcmc.last_state.i, mcmc.get_samples()["mu"]

    with jax.checking_leaks():
        count, draws = jax.jit(last)(jax.random.key(0), Y)
    assert int(count) == 60 and draws.shape == (10,)


def test_float64() -> None:
    with jax.enable_x64(True):
        mcmc = run(TWICE, jnp.asarray(np.asarray(Y, np.float64)), num_warmup=20)
        assert mcmc.get_samples()["mu"].dtype == jnp.float64 and int(mcmc.last_state.i) == 100


# Default fields


def test_default_fields_of_a_class_are_collected() -> None:
    class Collecting(NUTS):
        default_fields = ("z", "diverging", "potential_energy", "adapt_state.step_size")

    mcmc = run(Collecting(model), num_chains=2, run_options=dict(extra_fields=("num_steps",)))
    fields = mcmc.get_extra_fields(group_by_chain=True)
    assert set(fields) == {"diverging", "potential_energy", "adapt_state.step_size", "num_steps"}
    np.testing.assert_array_equal(fields["potential_energy"][:, -1], mcmc.last_state.potential_energy)

    class CollectingBlocks(DiscreteHMCGibbs):
        default_fields = ("z", "diverging", "block_states.1.diverging")

    fields = run(CollectingBlocks(NUTS(switched))).get_extra_fields()
    np.testing.assert_array_equal(fields["diverging"], fields["block_states.1.diverging"])

    class CollectingWalkers(AIES):
        default_fields = ("z", "inner_state.mean_accept_prob", "potential_energy")

    fields = run(CollectingWalkers(model), **ENSEMBLE).get_extra_fields(group_by_chain=True)
    assert {name: value.shape for name, value in fields.items()} == {
        "inner_state.mean_accept_prob": (8, 30),
        "potential_energy": (8, 30),
    }
