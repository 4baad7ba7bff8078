"""MixedHMC: exact joint laws stay exact at trajectories that are often refused, models are calibrated, runs do what runs do."""

from typing import Any

import faults_gibbs
import features
import features_gibbs
import jax
import jax.numpy as jnp
import joint_laws
import numpy as np
import pytest
from jax import random
from joint_laws import DISCRETE
from test_chains import Y, run
from test_sbc import Calibration, consistency, ranks_of, uniformity

from ppl.infer import HMC, MCMC, DiscreteHMCGibbs, MixedHMC
from ppl.infer.mixed_hmc import MixedHMCState

Z_LIMIT, RED = 5.0, 7.0
FIXED: dict[str, Any] = dict(adapt_step_size=False, adapt_mass_matrix=False)
VARIANTS: dict[str, dict[str, bool]] = {
    "default": {},
    "modified": {"modified": True},
    "random walk": {"random_walk": True},
    "random walk, modified": {"random_walk": True, "modified": True},
}


def one_step_per_stretch(model: Any, length: float, num: int, variant: str = "default") -> MixedHMC:
    """Trajectories whose stretches between visits are one leapfrog step each."""
    return MixedHMC(HMC(model, trajectory_length=length, step_size=100.0, **FIXED), num_discrete_updates=num, **VARIANTS[variant])


# Exact joint laws


@pytest.mark.parametrize(("num", "variant"), [(2, "default"), (3, "modified"), (3, "random walk"), (2, "random walk, modified")])
def test_single_steps_between_visits_keep_the_mixture(num: int, variant: str) -> None:
    """Where trajectories that end on a visit are off by 13 to 30 standard errors; at 50 to 85 per cent acceptance."""
    kernel = one_step_per_stretch(joint_laws.mixture, 0.75 * num, num, variant)
    assert consistency(kernel, joint_laws.MIXTURE, 40_000, acceptance=(0.5, 0.85)) < Z_LIMIT


CASES = {
    "ring": ("random walk, modified", 1.2, None),
    "supports": ("modified", 1.2, 4),
    "plated": ("default", 1.2, 8),
    "nested": ("random walk", 1.5, None),
    "family": ("modified", 1.4, None),
    "summed": ("default", 1.2, 2),
    "weighted": ("random walk", 1.2, None),
}


def mixed(name: str) -> tuple[MixedHMC, Calibration]:
    (variant, factor, num), case = CASES[name], DISCRETE[name]
    inner = HMC(case.model, trajectory_length=3 * factor * case.step_size, step_size=factor * case.step_size, **FIXED)
    return MixedHMC(inner, num_discrete_updates=num, **VARIANTS[variant]), case


@pytest.mark.parametrize("name", CASES)
def test_trajectories_keep_the_joint_law(name: str) -> None:
    """20,000 exact starts with data of their own, two trajectories."""
    assert consistency(*mixed(name), acceptance=(0.4, 0.9)) < Z_LIMIT


@pytest.mark.parametrize("variant", ["default", "random walk"])
def test_discrete_sites_alone(variant: str) -> None:
    """No leapfrog step errs, so that every trajectory is accepted."""
    case = joint_laws.DISCRETE_ONLY
    kernel = MixedHMC(HMC(case.model, trajectory_length=1.0), **VARIANTS[variant])
    assert consistency(kernel, case, acceptance=(0.99999, 1.0)) < Z_LIMIT


@pytest.mark.parametrize("name", faults_gibbs.MIXED)
def test_consistency_sees_faults(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """That of the kinetic energy where proposals cost some, and every variable is visited ten times."""
    faults_gibbs.plant_mixed(monkeypatch, name)
    if name == "kinetic energy not paid":
        case, inner = joint_laws.DISCRETE_ONLY, HMC(joint_laws.discrete_only, trajectory_length=1.0)
        kernel = MixedHMC(inner, num_discrete_updates=50, random_walk=True, modified=True)
    else:
        variant = "random walk" if name == "moves always paid" else "default"
        case, kernel = joint_laws.MIXTURE, one_step_per_stretch(joint_laws.mixture, 2.7, 3, variant)
    assert consistency(kernel, case, 40_000, acceptance=(0.0, 1.0)) > RED


def test_consistency_sees_a_missing_proposal_term(monkeypatch: pytest.MonkeyPatch) -> None:
    """dE without log Q: the kinetic energy pays for the change of energy alone."""
    kernel = one_step_per_stretch(joint_laws.mixture, 2.25, 3)
    block, _ = kernel._blocks[0]
    monkeypatch.setattr(block, "_proposal", faults_gibbs.WithoutProposal())
    assert consistency(kernel, joint_laws.MIXTURE, 40_000, acceptance=(0.0, 1.0)) > RED


# Whole runs


def test_the_mixture_in_a_run() -> None:
    """The example of the documentation: mean 1.3, variance 4.36, weights .15, .3, .3, .25; 5 standard errors."""
    kernel = MixedHMC(HMC(joint_laws.mixture, trajectory_length=1.2), num_discrete_updates=20)
    mcmc = MCMC(kernel, num_warmup=500, num_samples=50_000, num_chains=2, progress_bar=False)
    mcmc.run(random.key(0), extra_fields=("accept_prob",))
    samples = mcmc.get_samples(group_by_chain=True)
    assert joint_laws.mixture_deviation(samples) < Z_LIMIT
    assert np.mean(mcmc.get_extra_fields()["accept_prob"]) > 0.9


@pytest.mark.parametrize("name", ["mixture", "plated", "family", "ring"])
def test_ranks_are_uniform(name: str) -> None:
    """As in `test_sbc`: chi-square at p > 2e-5, the log likelihood among the functions."""
    case = DISCRETE[name]
    inner = HMC(case.model, trajectory_length=3 * case.step_size, step_size=0.6 * case.step_size, **FIXED)
    for label, counts in ranks_of(case, MixedHMC(inner), burn_in=60, thinning=8).items():
        assert uniformity(counts) > 2e-5, (label, counts)


# Features

KERNEL = MixedHMC(HMC(features_gibbs.switched, trajectory_length=1.5), num_discrete_updates=3)


def test_keys_are_used_once(monkeypatch: pytest.MonkeyPatch) -> None:
    kernel = MixedHMC(HMC(features_gibbs.switched, trajectory_length=1.0, step_size=0.5, **FIXED), num_discrete_updates=6)
    assert features_gibbs.words_used_twice(kernel, monkeypatch) == 0


def test_chain_methods() -> None:
    features_gibbs.same_draws_in_every_chain_method(KERNEL)


def test_one_compilation() -> None:
    features.second_run_compiles_nothing(KERNEL)


def test_data_of_another_shape() -> None:
    features.takes_data_of_another_shape(KERNEL)
    features.goes_on_with_other_data(KERNEL)


def test_continuation() -> None:
    features_gibbs.continues(KERNEL, "hmc_state.accept_prob")


def test_fields_and_thinning() -> None:
    features_gibbs.keeps_fields_and_thins(KERNEL, MixedHMCState, "hmc_state", ("accept_prob", "hmc_state.num_steps"))
    mcmc = run(KERNEL, run_options=dict(extra_fields=("accept_prob", "hmc_state.accept_prob")))
    extra = mcmc.get_extra_fields()
    np.testing.assert_array_equal(extra["accept_prob"], extra["hmc_state.accept_prob"])
    state = mcmc.last_state
    np.testing.assert_allclose(state.hmc_state.potential_energy, KERNEL.get_potential_fn((Y,))(state.z), rtol=1e-5)


def test_the_momentum_is_told() -> None:
    """By site, with the energy; of inner kernels elsewhere there is none. A run goes on from it."""
    names = ("r", "energy", "potential_energy", "adapt_state.inverse_mass_matrix")
    mcmc = run(KERNEL, num_chains=2, run_options=dict(extra_fields=[f"hmc_state.{name}" for name in names]))
    momentum, energy, potential_energy, inverse = (mcmc.get_extra_fields()[f"hmc_state.{name}"] for name in names)
    assert {name: value.shape for name, value in momentum.items()} == {"mu": (60,), "sigma": (60,)}
    p, variances = np.stack([momentum["mu"], momentum["sigma"]], -1), inverse["mu", "sigma"]
    np.testing.assert_allclose(energy, potential_energy + 0.5 * np.sum(variances * p**2, -1), rtol=1e-4)
    np.testing.assert_array_equal(mcmc.last_state.hmc_state.r["mu"], momentum["mu"][29::30])
    other = run(DiscreteHMCGibbs(HMC(features_gibbs.switched)), num_warmup=1, num_samples=1).last_state
    assert other.block_states[1].r is None


def test_progress_and_summary(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    pattern = r"\d+ steps of size \d\.\d\de[-+]\d\d\. acc\. prob=\d\.\d\d"
    features_gibbs.shows_progress_and_summary(KERNEL, pattern, monkeypatch, capsys)


def test_float64() -> None:
    features_gibbs.runs_in_float64(KERNEL)


def test_strict_promotion() -> None:
    features.is_strict(lambda _: MixedHMC(HMC(features_gibbs.switched, trajectory_length=1.5), modified=True))


def test_start_values() -> None:
    """As in a run of Gibbs blocks; a trajectory of no length moves nothing but the discrete site."""
    still = MixedHMC(HMC(features_gibbs.switched, num_steps=1, trajectory_length=None, step_size=1e-9, **FIXED))
    start = {"k": jnp.array([0, 1]), "mu": jnp.array([1.0, 2.0]), "sigma": jnp.zeros(2)}
    samples = run(still, num_warmup=0, num_samples=1, num_chains=2, run_options=dict(init_params=start)).get_samples()
    np.testing.assert_allclose([*samples["mu"], *samples["sigma"]], [1, 2, 1, 1], rtol=1e-5)


def test_the_number_of_visits() -> None:
    """On average `num_discrete_updates` of them: each cuts the trajectory, and every stretch is one leapfrog step."""
    kernel = one_step_per_stretch(features_gibbs.switched, 0.1, 4)
    mcmc = run(kernel, num_warmup=0, num_samples=4000, run_options=dict(extra_fields=("hmc_state.num_steps",)))
    steps = np.asarray(mcmc.get_extra_fields()["hmc_state.num_steps"])
    assert set(np.unique(steps)) == {5}  # one element: its clock strikes 4 times between 0 and 4
    double = one_step_per_stretch(joint_laws.family, 0.1, 4)
    mcmc = MCMC(double, num_warmup=0, num_samples=4000, progress_bar=False)
    mcmc.run(jax.random.key(0), 0.5, extra_fields=("hmc_state.num_steps",))
    steps = np.asarray(mcmc.get_extra_fields()["hmc_state.num_steps"])
    assert set(np.unique(steps)) <= {4, 5, 6, 7} and abs(steps.mean() - 5.0) < 5 * steps.std() / np.sqrt(4000)
