"""Random programs: log density, gradient and posterior draws against brute force."""

from collections import Counter
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from enumeration import brute_force, by_numpy
from enumeration.cases import DRAWS, LEVEL, compiled
from enumeration.drawing import LARGEST, describe, random_program
from enumeration.programs import Program

from ppl import handlers
from ppl.contrib.funsor import config_enumerate, enum, infer_discrete, log_density, markov

PROGRAMS = 210
CHUNK = 5
# Programs with few states, so that 20,000 draws tell their frequencies
DRAWN = 25


def summed_out(program: Program, params: dict[str, Any]) -> Any:
    """The log density with the marked sites summed out, by the library."""
    model = enum(config_enumerate(program.model(markov)), program.first_available_dim)
    density, _ = log_density(model, (program.data,), {}, params)
    assert jnp.shape(density) == ()
    return density


def by_model(program: Program, params: dict[str, Any]) -> Any:
    """The log density by brute force, from plain runs of the model."""
    density = brute_force.log_density_by_plates if program.is_subsampled else brute_force.log_density
    return density(program.model(), (program.data,), params, program.latents)


def arrays(params: dict[str, np.ndarray]) -> dict[str, Any]:
    return {name: jnp.asarray(value) for name, value in params.items()}


@pytest.mark.parametrize("chunk", range(PROGRAMS // CHUNK))
def test_log_density_and_gradient(chunk: int) -> None:
    """The gradient along a random direction of each continuous site."""
    for seed in range(CHUNK * chunk, CHUNK * (chunk + 1)):
        program, rng = random_program(seed), np.random.default_rng(seed)
        with jax.enable_x64(True):
            both = jax.value_and_grad(lambda params, program=program: summed_out(program, params))
            found, gradient = compiled(both)(arrays(program.params))
        expected = by_numpy.log_density(program, program.params)
        assert np.isfinite(expected), f"program {seed}"
        np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-9, err_msg=f"program {seed}")
        assert gradient.keys() == program.params.keys()
        for name, value in program.params.items():
            direction = rng.normal(size=value.shape)
            slope = np.sum(np.asarray(gradient[name]) * direction)
            expected_slope = by_numpy.slope(program, name, direction)
            np.testing.assert_allclose(slope, expected_slope, rtol=1e-8, atol=1e-9, err_msg=f"program {seed}: by {name}")


def drawn_programs() -> list[Any]:
    """Programs with 4 to 600 joint states, none of them subsampled, so that the posterior is a table."""
    found: list[Any] = []
    seed = 1000
    while len(found) < DRAWN:
        program = random_program(seed, max_states=600, subsampled=False)
        if program.num_states >= 4:
            found.append(pytest.param(program, id=str(seed)))
        seed += 1
    return found


@pytest.mark.parametrize("program", drawn_programs())
def test_posterior_draws_and_maximum(program: Program) -> None:
    def draw(key: Any, temperature: int = 1) -> dict[str, Any]:
        model = handlers.substitute(config_enumerate(program.model(markov)), data=arrays(program.params))
        model = infer_discrete(model, program.first_available_dim, temperature, key)
        trace = handlers.trace(model).get_trace(program.data)
        return {name: trace[name]["value"] for name in program.latents}

    log_weights = brute_force.joints(by_numpy.factors(program, program.params, brute_force.states(program.latents)))
    with jax.enable_x64(True):
        keys = jax.random.split(jax.random.key(7), DRAWS)
        draws, best = compiled(lambda keys: (jax.vmap(draw)(keys), draw(None, 0)))(keys)
    (highest,) = brute_force.number_of({name: value[None] for name, value in best.items()}, program.latents)
    np.testing.assert_allclose(log_weights[highest], log_weights.max(), rtol=1e-10)
    assert brute_force.p_value(brute_force.number_of(draws, program.latents), log_weights) > LEVEL


# The brute force and the programs themselves


@pytest.mark.parametrize("seed", [5, 16, 29, 36, 48, 57])
def test_formulas_agree_with_plain_runs(seed: int) -> None:
    program = random_program(seed)
    with jax.enable_x64(True):
        found = compiled(lambda params: by_model(program, params))(arrays(program.params))
    np.testing.assert_allclose(found, by_numpy.log_density(program, program.params), rtol=1e-11)


def test_formulas_agree_with_a_loop() -> None:
    """The plainest of all: one run of the model after another."""
    program = random_program(2, max_states=12, subsampled=False)
    with jax.enable_x64(True):
        found = brute_force.log_density_by_loop(program.model(), (program.data,), arrays(program.params), program.latents)
    np.testing.assert_allclose(found, by_numpy.log_density(program, program.params), rtol=1e-11)


def test_by_plates_agrees_with_all_joint_states() -> None:
    compared = 0
    for seed in range(PROGRAMS):
        program = random_program(seed, subsampled=False)
        if not describe(program)["crossing"]:
            factors = by_numpy.factors(program, program.params, brute_force.prototypes(program.latents))
            by_plates = brute_force.total_by_plates(factors, program.latents)
            np.testing.assert_allclose(by_plates, by_numpy.log_density(program, program.params), rtol=1e-11)
            compared += 1
    assert compared > PROGRAMS / 2


def test_the_programs_have_every_feature() -> None:
    counts: Counter[str] = Counter()
    for seed in range(PROGRAMS):
        program = random_program(seed)
        assert 2 <= program.num_states <= LARGEST
        features = describe(program)
        counts["three levels"] += features.pop("levels") == 3
        counts.update({feature: int(bool(present)) for feature, present in features.items()})
    assert min(counts.values()) >= 10, counts
