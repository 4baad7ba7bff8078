"""Faults planted one at a time: each turns the check that is named beside it red, and without it the check is green."""

from collections.abc import Callable
from typing import Any

import faults
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from targets import CORRELATED, CURVED, Z_LIMIT, displacement, move, params_of
from test_adaptation import adapted, changes_after_warmup, deviation_from_reference
from test_algorithms import (
    METRICS,
    STEP_SIZES,
    caches_are_consistent,
    energy_errors,
    leaves_support,
    mean_exponential,
    order_of_energy_error,
)
from test_chains import chains_differ, kept_iterations
from test_nuts import closing_subtrees_by_hand, mean_tree_size, visited_subtrees

import ppl
import ppl.distributions as dist
from ppl.distributions.transforms import ExpTransform
from ppl.infer import NUTS, launch
from ppl.infer.adaptation import warmup
from ppl.infer.algorithms import nuts, uturn
from ppl.infer.algorithms.hmc import HMC as HMCTransition
from ppl.infer.algorithms.metric import EuclideanKinetic
from ppl.infer.algorithms.nuts import NUTS as NUTSTransition
from ppl.infer.run import collect

# How far exact draws are displaced: 50,000 starts, three iterations; green below Z_LIMIT, and red by a margin

NUTS_SETTINGS = {"curved": (CURVED, params_of(0.9, np.ones(2))), "correlated": (CORRELATED, params_of(0.9, METRICS["diagonal"][0]))}
SHALLOW = NUTSTransition(max_tree_depth=(4, 4))
RED = 7.0


def displaced(kernel: Any, where: str = "curved") -> float:
    return displacement(move(kernel, *NUTS_SETTINGS[where], num=50_000, iterations=3))


@pytest.mark.parametrize("where", NUTS_SETTINGS)
def test_without_faults_exact_draws_stay_exact(where: str) -> None:
    """Both settings of this file, for NUTS and HMC; false alarm below 1e-4 in all."""
    assert displaced(SHALLOW, where) < Z_LIMIT
    assert displaced(HMCTransition(num_steps=3), where) < Z_LIMIT


@pytest.mark.parametrize(
    "kernel",
    [
        faults.BiasedInside((4, 4)),
        faults.KeepsDiscarded((4, 4)),
        faults.StepsForwardOnly((4, 4)),
        NUTSTransition((4, 4), kinetic=faults.WithoutHalf()),
        NUTSTransition((4, 4), kinetic=faults.DoubledKinetic()),
    ],
    ids=["biased_inside_subtrees", "discarded_proposals", "sign_of_one_direction", "kinetic_without_half", "kinetic_doubled"],
)
def test_displacement_sees_faults_of_nuts(kernel: Any) -> None:
    assert displaced(kernel) > RED


@pytest.mark.parametrize(
    "kernel",
    [
        faults.KeyUsedTwice(3),
        faults.AlwaysAccepts(3),
        HMCTransition(3, kinetic=faults.WithoutHalf()),
    ],
    ids=["key_used_twice", "no_metropolis_test", "kinetic_without_half"],
)
def test_displacement_sees_faults_of_hmc(kernel: Any) -> None:
    assert displaced(kernel) > RED


def test_displacement_sees_momenta_of_the_inverse() -> None:
    assert displaced(faults.MomentumOfInverse(3), "correlated") > RED


def test_displacement_sees_missing_checks_of_subtrees(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nuts, "closing_subtrees", faults.no_subtree_checks)
    assert displaced(faults.Patched((4, 4), fault="no checks of sub-trees")) > RED


def test_tree_size_sees_missing_checks_across_halves(monkeypatch: pytest.MonkeyPatch) -> None:
    """At a depth limit of 7; without the fault see `test_no_resonance_on_independent_normals`."""
    monkeypatch.setattr(nuts, "is_turning_across", faults.ends_only)
    monkeypatch.setattr(uturn, "is_turning_across", faults.ends_only)
    assert mean_tree_size(faults.Patched((7, 7), fault="ends only")) > 50


def test_set_equality_sees_a_wrong_slot(monkeypatch: pytest.MonkeyPatch) -> None:
    expected = [closing_subtrees_by_hand(n) for n in range(16)]
    assert visited_subtrees(4, monkeypatch) == expected
    monkeypatch.setattr(uturn, "checkpoint_slot", faults.slot_too_far(uturn.checkpoint_slot))
    assert visited_subtrees(4, monkeypatch) != expected


def test_mean_exponential_sees_wrong_energies_and_momenta() -> None:
    """Green cases stand in `test_mean_exponential_of_energy_error`."""
    for kernel in (HMCTransition(3, kinetic=faults.WithoutHalf()), faults.MomentumOfInverse(3)):
        errors = energy_errors(kernel, CORRELATED, params_of(0.5 * STEP_SIZES["diagonal"], *METRICS["diagonal"]), 50_000)
        assert not abs(mean_exponential(errors)) < Z_LIMIT


def test_order_sees_a_velocity_without_metric() -> None:
    """Such a trajectory is still reversible and keeps volume, so that only its energy error tells."""
    assert abs(order_of_energy_error(EuclideanKinetic()) - 4) < 0.1
    assert abs(order_of_energy_error(faults.VelocityWithoutMetric()) - 4) > 1


def test_support_sees_accepted_nan() -> None:
    assert not leaves_support(HMCTransition(num_steps=4))
    assert leaves_support(faults.AcceptsNan(4))


def test_caches_see_a_stale_gradient() -> None:
    for kernel, is_right in ((HMCTransition(3), True), (faults.StaleGradient(3), False)):
        assert caches_are_consistent(move(kernel, *NUTS_SETTINGS["curved"], num=2000), CURVED) is is_right


# The model's density


def total_mass() -> float:
    """The integral of exp(-U) over the unconstrained line, for a model whose density is normalised: 1."""

    def model() -> None:
        ppl.sample("x", dist.HalfNormal(2.0))

    kernel = NUTS(model)
    kernel.init(jax.random.key(0), 0, init_params={"x": 0.0})
    potential = kernel.get_potential_fn()
    grid = np.linspace(-25.0, 6.0, 20_001)
    energy = jax.jit(jax.vmap(lambda z: potential({"x": z})))(jnp.asarray(grid, jnp.float32))
    return float(np.trapezoid(np.exp(-np.asarray(energy, np.float64)), grid))


@pytest.mark.parametrize("factor", [0.0, 2.0, -1.0], ids=["missing", "doubled", "sign"])
def test_mass_sees_a_wrong_jacobian(factor: float, monkeypatch: pytest.MonkeyPatch) -> None:
    if factor == 0.0:
        assert abs(total_mass() - 1) < 1e-3
    right = ExpTransform.log_abs_det_jacobian
    monkeypatch.setattr(ExpTransform, "log_abs_det_jacobian", lambda self, *args, **kwargs: factor * right(self, *args, **kwargs))
    assert not abs(total_mass() - 1) < 0.1


# Adaptation

ADAPTATION_FAULTS: dict[str, tuple[str, Any]] = {
    "restarted_at_step_size": ("dual_averaging_init", faults.restarted_at_step_size),
    "decay_from_zero": ("dual_averaging_update", faults.decay_from_zero),
    "divides_by_n": ("estimate", faults.divides_by_n),
}


@pytest.mark.parametrize("name", ADAPTATION_FAULTS)
def test_reference_sees_faulty_parts(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The green case stands in `test_warmup_equals_its_formulas`."""
    monkeypatch.setattr(warmup, *ADAPTATION_FAULTS[name])
    assert deviation_from_reference(count=60) > 1e-3


@pytest.mark.parametrize("make", [faults.TakesLastIterate, faults.NeverResets, faults.CollectsAlways])
def test_reference_sees_faulty_windows(make: Callable[..., Any]) -> None:
    assert deviation_from_reference(make, count=200) > 1e-3


def test_constancy_sees_adaptation_while_sampling(monkeypatch: pytest.MonkeyPatch) -> None:
    options = dict(num_warmup=50, num_samples=30)
    kernel = NUTS(potential_fn=lambda z: 0.5 * jnp.sum(z**2))
    assert not changes_after_warmup(adapted(kernel, 2, **options))
    monkeypatch.setattr(warmup.Warmup, "params", faults.adapts_for_ever(warmup.Warmup.params))
    assert changes_after_warmup(adapted(NUTS(potential_fn=lambda z: 0.5 * jnp.sum(z**2)), 2, **options))


# The run


def test_chains_with_one_key_are_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    assert chains_differ()
    monkeypatch.setattr(launch, "key_of_chain", lambda keys, chain: keys)
    assert not chains_differ()


def test_a_wrong_phase_of_thinning_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    assert kept_iterations(num_warmup=3, num_samples=9, thinning=2) == [5, 7, 9, 11]
    right = collect.Thinning.of

    def shifted(num_warmup: int, num_samples: int, step: int) -> Any:
        plan = right(num_warmup, num_samples, step)
        return plan._replace(first=plan.first - 1)

    monkeypatch.setattr(collect.Thinning, "of", staticmethod(shifted))
    assert kept_iterations(num_warmup=3, num_samples=9, thinning=2) != [5, 7, 9, 11]
