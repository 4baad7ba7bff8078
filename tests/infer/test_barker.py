"""Barker's proposal: it leaves exact draws exact, meets its target acceptance, and does in a run what every kernel does."""

from collections.abc import Callable
from functools import partial
from typing import Any

import faults
import faults_other
import features
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from targets import (
    CORRELATED,
    COVARIANCE,
    CURVED,
    FUNNEL,
    HALF_LINE,
    MIXTURE,
    Z_LIMIT,
    displacement,
    move,
    normal,
    params_of,
    raw_keys,
)
from test_chains import model, run
from test_sbc import CASES, ranks_of, uniformity

import ppl
import ppl.distributions as dist
from ppl.infer import MCMC, BarkerMH, init_to_value
from ppl.infer.adaptation import warmup
from ppl.infer.algorithms.barker import Barker
from ppl.infer.algorithms.fused import Fusing
from ppl.infer.barker import BarkerMHState

KERNEL = BarkerMH(model)

# Metrics that do not fit, and step sizes at which about half of the proposals are refused
SKEWED = np.array([[0.9, -0.7, 0.2], [-0.7, 2.0, 0.5], [0.2, 0.5, 0.6]])
INVARIANCE = {
    "curved": (CURVED, params_of(1.3, np.array([1.0, 2.0]))),
    "dense": (CORRELATED, params_of(1.2, SKEWED)),
    "mixture": (MIXTURE, params_of(3.0, np.ones(1))),
    "half line": (HALF_LINE, params_of(2.5, np.ones(1))),
    "normal": (normal(5), params_of(1.3, np.ones(5))),
    "funnel": (FUNNEL, params_of(1.2, np.array([1.0, 0.4, 2.0]))),
}


@pytest.mark.parametrize("name", INVARIANCE)
def test_exact_draws_stay_exact(name: str) -> None:
    """50,000 exact starts, 3 iterations; false alarm below 2e-5 each."""
    moves = move(Barker(), *INVARIANCE[name], num=50_000, iterations=3)
    assert displacement(moves) < Z_LIMIT
    assert 0.25 < np.mean(moves.info.accept_prob) < 0.8


@pytest.mark.parametrize("name", faults_other.BARKER)
def test_displacement_sees_faults(name: str) -> None:
    """Each on a target with a metric that is not diagonal; where that does not tell, on another: red by a margin."""
    kernel = faults_other.BARKER[name]
    assert any(displacement(move(kernel, *INVARIANCE[where], num=50_000, iterations=3)) > 7.0 for where in ("dense", "curved"))


def test_the_ratio_equals_its_formula() -> None:
    """The acceptance probability of one proposal, in NumPy, for an asymmetric factor A with A A' = M^-1."""
    target, params = INVARIANCE["dense"]
    state = Barker().init(raw_keys(0, 1)[0], target, jnp.asarray([0.5, -1.0, 1.0]))
    proposal = Barker().propose(raw_keys(4, 1)[0], state, params)
    energy, gradient = target.value_and_gradient(proposal.position)
    _, info = Barker().decide(state, proposal, energy, gradient, params)
    factor = np.asarray(params.metric.root_inverse[0], np.float64).T
    np.testing.assert_allclose(factor @ factor.T, SKEWED, rtol=1e-5)
    w = np.linalg.solve(factor, np.asarray(proposal.position - state.position, np.float64))
    c, c_new = (-factor.T @ np.asarray(g, np.float64) for g in (state.gradient, gradient))
    log_ratio = float(state.potential_energy - energy) + np.sum(np.logaddexp(0, -w * c) - np.logaddexp(0, w * c_new))
    np.testing.assert_allclose(info.accept_prob, min(1.0, np.exp(log_ratio)), rtol=1e-4)


def test_where_the_density_ends() -> None:
    """A proposal whose energy is not a number is refused, and named."""
    moves = move(Barker(), *INVARIANCE["half line"], num=2000, iterations=3)
    info = jax.tree.map(np.asarray, moves.info)
    assert (moves.ends > 0).all() and info.is_nan.any()
    assert (info.accept_prob[info.is_nan] == 0).all() and (info.last_position[info.is_nan] <= 0).all()


# Adaptation


def ten(y: Any) -> None:
    x = ppl.sample("x", dist.Normal(0.0, 1.0).expand([10]).to_event(1))
    ppl.sample("y", dist.Normal(x, 1.0).to_event(1), obs=y)


TEN = BarkerMH(ten)


def test_ten_normal_means() -> None:
    """Means and variances .5 within 5 standard errors, the acceptance at its target, and nothing adapted after warm-up.

    Within .03 on average over the chains; one chain's step size, learnt from 0s and 1s, has a standard error of .03 of its own.
    """
    mcmc = MCMC(TEN, num_warmup=1000, num_samples=5000, num_chains=4, progress_bar=False)
    fields = ("accept_prob", "adapt_state.step_size", "adapt_state.inverse_mass_matrix")
    mcmc.run(jax.random.key(0), jnp.ones(10), extra_fields=fields)
    x, extra = np.asarray(mcmc.get_samples()["x"], np.float64), mcmc.get_extra_fields(group_by_chain=True)
    size = len(x) / 15  # effective: autocorrelation times are below 12
    assert np.abs(x.mean(0) - 0.5).max() < 5 * np.sqrt(0.5 / size)
    assert np.abs(x.var(0) - 0.5).max() < 5 * np.sqrt(0.5 / size)
    accepted = np.asarray(extra["accept_prob"]).mean(1)
    assert abs(accepted.mean() - 0.4) < 0.03 and np.abs(accepted - 0.4).max() < 0.12
    assert is_frozen(extra)
    assert 0.3 < np.mean(extra["adapt_state.inverse_mass_matrix"]) < 0.7
    assert mcmc._launch.process.modes()[-1] is Fusing.WHOLE
    assert KERNEL.get_advice({"accept_prob": np.asarray(extra["accept_prob"])}) == []


def is_frozen(fields: dict[str, Any]) -> bool:
    """Whether what was adapted is the same in all draws of a chain."""
    adapted = [np.asarray(values) for name, values in fields.items() if name.startswith("adapt_state")]
    return all((values == values[:, :1]).all() for values in adapted)


def test_constancy_sees_adaptation_while_sampling(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(warmup.Warmup, "params", faults.adapts_for_ever(warmup.Warmup.params))
    mcmc = run(BarkerMH(model), run_options=dict(extra_fields=("adapt_state.step_size",)))
    assert not is_frozen(mcmc.get_extra_fields(group_by_chain=True))


@pytest.mark.parametrize("step_size", [1e-4, 1e4])
def test_a_dense_metric_from_any_step_size(step_size: float) -> None:
    """The matrix is the covariance, whatever step size adaptation starts from."""
    kernel = BarkerMH(potential_fn=CORRELATED.potential, dense_mass=True, step_size=step_size)
    mcmc = MCMC(kernel, num_warmup=1000, num_samples=500, num_chains=2, progress_bar=False)
    fields = ("accept_prob", "adapt_state.step_size", "adapt_state.inverse_mass_matrix")
    mcmc.run(jax.random.key(1), init_params=jnp.zeros((2, 3)), extra_fields=fields)
    extra = mcmc.get_extra_fields(group_by_chain=True)
    np.testing.assert_allclose(np.mean(extra["adapt_state.inverse_mass_matrix"], (0, 1)), COVARIANCE, atol=0.6)
    assert 0.25 < np.mean(extra["accept_prob"]) < 0.55 and is_frozen(extra)


def test_nothing_is_adapted_when_told() -> None:
    kernel = BarkerMH(model, step_size=0.5, adapt_step_size=False, adapt_mass_matrix=False)
    fields = run(kernel, run_options=dict(extra_fields=("adapt_state.step_size", "adapt_state.inverse_mass_matrix")))
    assert (np.asarray(fields.get_extra_fields()["adapt_state.step_size"]) == 0.5).all()
    assert (np.asarray(fields.get_extra_fields()["adapt_state.inverse_mass_matrix"]) == 1.0).all()


def test_low_acceptance_is_told() -> None:
    (line,) = KERNEL.get_advice({"accept_prob": np.array([[0.4, 0.5], [0.01, 0.02]])})
    assert "Low acceptance: 0.015" in line and "dense_mass=True" in line


# Whole models


@pytest.mark.parametrize("name", ["hierarchical", "simplex", "ordered", "truncated"])
def test_ranks_are_uniform(name: str) -> None:
    """As in `test_sbc`: chi-square of 256 ranks on 16 bins at p > 2e-5, the log likelihood among the functions."""
    case = CASES[name]
    for label, counts in ranks_of(case, BarkerMH(case.model, step_size=0.3), burn_in=400, thinning=25).items():
        assert uniformity(counts) > 2e-5, (label, counts)


# Features


def test_start_values() -> None:
    """Given for all sites or some, shared or by chain; or by the strategy."""
    options: dict[str, Any] = dict(step_size=1e-9, adapt_step_size=False, adapt_mass_matrix=False)
    still = BarkerMH(model, **options)
    first = dict(num_warmup=0, num_samples=1, num_chains=2)
    samples = run(still, **first, run_options=dict(init_params={"mu": 1.5, "sigma": -0.5})).get_samples()
    np.testing.assert_allclose(samples["mu"], [1.5] * 2, rtol=1e-5)
    np.testing.assert_allclose(samples["sigma"], np.exp([-0.5] * 2), rtol=1e-5)
    samples = run(still, **first, run_options=dict(init_params={"mu": jnp.array([1.0, 2.0])})).get_samples()
    np.testing.assert_allclose(samples["mu"], [1.0, 2.0], rtol=1e-5)
    by_strategy = BarkerMH(model, init_strategy=init_to_value(values={"mu": 1.25, "sigma": 3.0}), **options)
    samples = run(by_strategy, **first).get_samples()
    np.testing.assert_allclose([samples["mu"][0], samples["sigma"][1]], [1.25, 3.0], rtol=1e-5)


def test_chain_methods() -> None:
    features.same_draws_in_every_chain_method(KERNEL)


def test_one_compilation() -> None:
    features.second_run_compiles_nothing(KERNEL)


def test_data_of_another_shape() -> None:
    features.takes_data_of_another_shape(KERNEL)
    features.goes_on_with_other_data(KERNEL)


def test_continuation() -> None:
    features.continues(KERNEL)


def test_fields_and_thinning() -> None:
    features.keeps_fields_and_thins(KERNEL, BarkerMHState, set())
    state = run(KERNEL).last_state
    gradient = jax.grad(KERNEL.get_potential_fn((features.Y,)))(state.z)
    np.testing.assert_allclose(state.z_grad["mu"], gradient["mu"], rtol=1e-4)


def test_energies() -> None:
    features.energies_are_those_of_the_draws(KERNEL)


def test_progress(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    features.shows_progress(KERNEL, r"step size \d\.\d\de[-+]\d\d\. acc\. prob=\d\.\d\d", monkeypatch, capsys)


def test_float64() -> None:
    features.runs_in_float64(KERNEL)


def test_strict_promotion() -> None:
    features.is_strict(BarkerMH)


def test_enumerated_sites() -> None:
    features.sums_out_discrete_sites(BarkerMH, 100)


def test_potential_function() -> None:
    features.takes_a_potential_function(BarkerMH)


def test_models_at_the_edge() -> None:
    features.takes_models_at_the_edge(BarkerMH)


def test_numbers_that_are_not_numbers_are_reported() -> None:
    """A potential with a hole: the run goes on, and a warning names the place."""

    def hole() -> None:
        x = ppl.sample("x", dist.Normal(0.0, 1.0))
        ppl.factor("hole", jnp.where(x > 0.7, jnp.nan, 0.0))

    mcmc = MCMC(BarkerMH(hole), num_warmup=50, num_samples=200, progress_bar=False)
    with pytest.warns(UserWarning, match="not a number"):
        mcmc.run(jax.random.key(0))
    assert (np.asarray(mcmc.get_samples()["x"]) <= 0.7).all()


@pytest.mark.parametrize("make", [BarkerMH, partial(BarkerMH, dense_mass=True)])
def test_fused_programs_draw_the_same(make: Callable[..., BarkerMH], monkeypatch: pytest.MonkeyPatch) -> None:
    fused = run(make(model), num_warmup=5).get_samples()["mu"]
    monkeypatch.setattr("ppl.infer.target_process.MAX_FUSED_DIMENSION", 0)
    plain = run(make(model), num_warmup=5).get_samples()["mu"]
    np.testing.assert_allclose(fused[:5], plain[:5], rtol=1e-3, atol=1e-3)
