"""The comparisons with brute force see faults in the elimination, each planted in the library's own code."""

import pytest
from enumeration import faults, test_carries, test_cases, test_chains
from enumeration.cases import Case, check_density, check_draws

CASES = {case.name: case for case in (*test_cases.CASES, *test_chains.CASES, *test_carries.CASES)}
DENSITIES = [
    (faults.constants_counted_once, "scanned_constants"),
    (faults.subsample_not_scaled, "subsampled"),
    (faults.subsample_scaled_twice, "subsampled"),
    (faults.scale_left_out, "scaled"),
    (faults.masked_states_are_many, "ragged"),
    (faults.a_factor_too_few, "several_local_sites"),
    (faults.one_state_for_all, "local_sites"),
    (faults.without_largest_term, "single_site"),
    (faults.always_forward, "scanned_in_reverse"),
    (faults.oldest_state_first, "second_order_of_5_steps"),
    (faults.first_steps_twice, "scanned"),
    (faults.one_step_for_all, "scanned_beside_constants"),
    (faults.entries_taken_for_states, "vector_latent"),
    (faults.age_by_rank, "third_order"),
]
DRAWS = [
    (faults.one_key_for_all, "two_dependent_sites"),
    (faults.future_forgotten, "scanned"),
    (faults.best_of_sums, "scanned_in_reverse"),
    (faults.too_sharp, "two_dependent_sites"),
    (faults.states_in_wrong_order, "factorial"),
]


def named(pairs: list[tuple[faults.Plant, str]]) -> list[object]:
    return [pytest.param(plant, CASES[name], id=f"{plant.__name__}-{name}") for plant, name in pairs]


@pytest.mark.parametrize(("plant", "case"), named(DENSITIES))
def test_densities_see_faults(plant: faults.Plant, case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    faults.traced_anew(monkeypatch)
    plant(monkeypatch)
    with pytest.raises(AssertionError):
        check_density(case, x64=True)


@pytest.mark.parametrize(("plant", "case"), named(DRAWS))
def test_draws_see_faults(plant: faults.Plant, case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    faults.traced_anew(monkeypatch)
    plant(monkeypatch)
    with pytest.raises(AssertionError):
        check_draws(case)
