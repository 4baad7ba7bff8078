"""The leapfrog trajectory of HMC, its energy, its metrics, and that it leaves exact draws exact."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from targets import (
    CORRELATED,
    COVARIANCE,
    CURVED,
    HALF_LINE,
    MIXTURE,
    WALL,
    Z_LIMIT,
    ExactTarget,
    displacement,
    momenta_of,
    move,
    normal,
    params_of,
    raw_keys,
    unit_params,
)

from ppl._typing import Array
from ppl.infer.algorithms.barker import Barker
from ppl.infer.algorithms.hmc import HMC
from ppl.infer.algorithms.metric import EuclideanKinetic, metric_from_inverse, momentum_of
from ppl.infer.algorithms.nuts import NUTS
from ppl.infer.algorithms.protocols import HamiltonianParams

BLOCK = np.array([[0.9, 0.4], [0.4, 1.5]])
METRICS = {
    "diagonal": (np.array([0.5, 3.0, 0.2]),),
    "dense": (0.7 * COVARIANCE + 0.1 * np.eye(3),),
    "blocks": (BLOCK, np.array([0.4])),
}
STEP_SIZES = {"diagonal": 0.8, "dense": 1.3, "blocks": 0.85}  # three quarters of where CORRELATED becomes unstable


def dense_inverse(blocks: tuple[np.ndarray, ...]) -> np.ndarray:
    d = sum(len(block) for block in blocks)
    full, start = np.zeros((d, d)), 0
    for block in blocks:
        stop = start + len(block)
        full[start:stop, start:stop] = np.diag(block) if block.ndim == 1 else block
        start = stop
    return full


def integrate(kernel: HMC, target: ExactTarget, params: HamiltonianParams, q: Array, p: Array) -> tuple[Array, Array, Array]:
    """The end of a trajectory of the kernel that begins at (q, p), and its energy error."""
    state = kernel.init(raw_keys(0, 1)[0], target, q)
    begun = kernel.begin(raw_keys(0, 1)[0], state, params)
    half = p - 0.5 * begun.step_size * state.gradient
    energy = state.potential_energy + kernel.kinetic.energy(params.metric, p)
    begun = begun._replace(
        position=q + begun.step_size * kernel.kinetic.velocity(params.metric, half),
        momentum=half,
        energy=energy,
        initial_energy=energy,
    )

    def extend(trajectory: Any) -> Any:
        value, gradient = target.value_and_gradient(trajectory.position)
        return kernel.extend(trajectory, value, gradient, params)

    end = jax.lax.while_loop(kernel.is_running, extend, begun)
    momentum = end.momentum + 0.5 * end.step_size * end.gradient
    return end.position, momentum, end.energy - end.initial_energy


def energy_errors(kernel: HMC, target: ExactTarget, params: HamiltonianParams, num: int, seed: int = 0) -> np.ndarray:
    """H(end) - H(start) of trajectories from exact starts in equilibrium, with momenta drawn by the kernel itself."""
    starts = target.draw(np.random.default_rng(seed), num).astype(jnp.result_type(float))

    def error(key: Array, q: Array) -> Array:
        def extend(trajectory: Any) -> Any:
            return kernel.extend(trajectory, *target.value_and_gradient(trajectory.position), params)

        begun = kernel.begin(key, kernel.init(key, target, q), params)
        end = jax.lax.while_loop(kernel.is_running, extend, begun)
        return end.energy - end.initial_energy

    return np.asarray(jax.jit(jax.vmap(error))(raw_keys(seed, num), starts), np.float64)


def mean_exponential(errors: np.ndarray) -> float:
    """z-score of E[exp(-delta)] = 1, which holds for every volume-preserving integrator of the right energy."""
    weights = np.exp(-errors)
    return float((weights.mean() - 1) / (weights.std() / np.sqrt(len(weights))))


@pytest.mark.parametrize("name", METRICS)
def test_metric_factors(name: str) -> None:
    blocks = METRICS[name]
    inverse = dense_inverse(blocks)
    metric = metric_from_inverse(tuple(jnp.asarray(block) for block in blocks))
    root, root_inverse = dense_inverse(metric.root), dense_inverse(metric.root_inverse)
    np.testing.assert_allclose(root @ root.T @ inverse, np.eye(3), atol=2e-5)
    np.testing.assert_allclose(root @ root_inverse, np.eye(3), atol=1e-5)
    vector = np.array([0.3, -1.2, 2.0], np.float32)
    np.testing.assert_allclose(EuclideanKinetic().velocity(metric, jnp.asarray(vector)), inverse @ vector, rtol=1e-5)
    np.testing.assert_allclose(EuclideanKinetic().energy(metric, jnp.asarray(vector)), 0.5 * vector @ inverse @ vector, rtol=1e-5)
    np.testing.assert_allclose(momentum_of(metric, jnp.asarray(vector)), root @ vector, rtol=1e-5)


def test_reversible_volume_preserving_and_symplectic() -> None:
    """To rounding in float64: 10 steps, momentum flipped, 10 steps; the Jacobian of the map keeps volume and symplectic form."""
    with jax.enable_x64(True):
        kernel, params = HMC(num_steps=10), params_of(0.2, METRICS["blocks"][0])

        def flow(z: Array) -> Array:
            q, p, _ = integrate(kernel, CURVED, params, z[:2], z[2:])
            return jnp.concatenate([q, p])

        flip = jnp.array([1.0, 1.0, -1.0, -1.0])

        @jax.jit
        def check(z: Array) -> tuple[Array, Array]:
            return flip * flow(flip * flow(z)), jax.jacfwd(flow)(z)

        z = jnp.array([0.3, -0.8, 1.1, 0.4])
        back, jacobian = check(z)
        np.testing.assert_allclose(back, z, atol=1e-12)
        assert abs(abs(np.linalg.det(jacobian)) - 1) < 1e-9
        form = np.block([[np.zeros((2, 2)), np.eye(2)], [-np.eye(2), np.zeros((2, 2))]])
        np.testing.assert_allclose(jacobian.T @ form @ jacobian, form, atol=1e-9)


def order_of_energy_error(kinetic: Any) -> float:
    """Pathwise, with a metric that is not the identity: by what halving the step at fixed length divides the energy error."""
    with jax.enable_x64(True):
        rng = np.random.default_rng(0)
        coarse, fine = params_of(0.02, METRICS["dense"][0]), params_of(0.01, METRICS["dense"][0])
        q, p = CORRELATED.draw(rng, 50), momenta_of(coarse.metric, rng, 50)

        def error(kernel: HMC, params: HamiltonianParams) -> Array:
            return jax.vmap(lambda q, p: integrate(kernel, CORRELATED, params, q, p)[2])(q, p)

        kernels = HMC(num_steps=40, kinetic=kinetic), HMC(num_steps=80, kinetic=kinetic)
        errors = jax.jit(lambda: (error(kernels[0], coarse), error(kernels[1], fine)))()
        return float(np.sum(np.abs(errors[0])) / np.sum(np.abs(errors[1])))


def test_energy_error_is_of_second_order() -> None:
    np.testing.assert_allclose(order_of_energy_error(EuclideanKinetic()), 4.0, rtol=0.02)


@pytest.mark.parametrize("name", METRICS)
def test_mean_exponential_of_energy_error(name: str) -> None:
    """Two-sided false alarm 6e-7 each, 1e5 exact starts at an acceptance of about .6."""
    errors = energy_errors(HMC(num_steps=3), CORRELATED, params_of(STEP_SIZES[name], *METRICS[name]), 100_000)
    assert abs(mean_exponential(errors)) < Z_LIMIT
    assert 0.3 < np.minimum(1, np.exp(-errors)).mean() < 0.95


def test_energy_error_of_a_normal() -> None:
    """E[delta] = d eps^4 / (32 (1 - eps^2/4)) sin^2(L theta), cos theta = 1 - eps^2/2; 5 standard errors."""
    d, eps, steps = 10, 0.8, 5
    errors = energy_errors(HMC(num_steps=steps), normal(d), unit_params(eps, d), 50_000)
    theta = np.arccos(1 - eps**2 / 2)
    expected = d * eps**4 / (32 * (1 - eps**2 / 4)) * np.sin(steps * theta) ** 2
    assert abs(errors.mean() - expected) < 5 * errors.std() / np.sqrt(len(errors))
    assert abs(np.minimum(1, np.exp(-errors)).mean() - 0.824) < 0.005


INVARIANCE = {
    "curved": (HMC(num_steps=3), CURVED, params_of(0.85, np.ones(2))),
    "correlated_dense": (HMC(num_steps=2), CORRELATED, params_of(STEP_SIZES["dense"], *METRICS["dense"])),
    "correlated_blocks": (HMC(trajectory_length=2.55), CORRELATED, params_of(STEP_SIZES["blocks"], *METRICS["blocks"])),
    "mixture": (HMC(num_steps=4, trajectory_length=2.6), MIXTURE, params_of(99.0, np.ones(1))),
}


@pytest.mark.parametrize("name", INVARIANCE)
def test_exact_draws_stay_exact(name: str) -> None:
    kernel, target, params = INVARIANCE[name]
    moves = move(kernel, target, params, num=100_000, iterations=3)
    assert displacement(moves) < Z_LIMIT
    assert 0.35 < np.mean(moves.info.accept_prob) < 0.9


def caches_are_consistent(moves: Any, target: ExactTarget) -> bool:
    """Whether the energy and the gradient of each state are those at its position."""
    value, gradient = jax.jit(jax.vmap(target.value_and_gradient))(moves.state.position)
    close = np.isclose(moves.state.potential_energy, value, rtol=1e-4, atol=1e-4)
    return bool(close.all() and np.isclose(moves.state.gradient, gradient, rtol=1e-3, atol=1e-3).all())


def test_state_and_info_agree() -> None:
    """Caches fit the position; the energy is that of the returned state; rejected chains stay; lengths are steps times size."""
    moves = move(HMC(num_steps=3), CURVED, params_of(0.85, np.ones(2)), num=2000)
    assert caches_are_consistent(moves, CURVED)
    info = jax.tree.map(lambda x: np.asarray(x)[:, 0], moves.info)
    assert (info.energy >= np.asarray(moves.state.potential_energy) - 1e-5).all()
    stayed = (moves.ends == moves.starts).all(1)
    assert abs(stayed.mean() - (1 - info.accept_prob.mean())) < 5 * np.sqrt(0.25 / 2000)
    np.testing.assert_allclose(info.trajectory_length, 3 * 0.85, rtol=1e-6)
    assert (info.num_steps == 3).all()


@pytest.mark.parametrize(
    ("kernel", "step_size", "steps", "length"),
    [
        (HMC(num_steps=7), 0.3, 7, 2.1),
        (HMC(trajectory_length=2.0), 0.3, 7, 2.0),
        (HMC(trajectory_length=2.0), 0.5, 4, 2.0),
        (HMC(trajectory_length=0.2), 0.5, 1, 0.2),
        (HMC(num_steps=8, trajectory_length=2.0), 0.9, 8, 2.0),
        (HMC(trajectory_length=2.0), 1e-30, 1023, 1023e-30),
    ],
    ids=["number", "length", "divides", "short", "both", "cap"],
)
def test_number_of_steps(kernel: HMC, step_size: float, steps: int, length: float) -> None:
    info = move(kernel, normal(2), unit_params(step_size, 2), num=2).info
    assert (np.asarray(info.num_steps) == steps).all()
    np.testing.assert_allclose(info.trajectory_length, length, rtol=1e-5)


def leaves_support(kernel: Any) -> bool:
    """Whether a chain ever stands where the density is not defined."""
    moves = move(kernel, HALF_LINE, unit_params(1.2, 1), num=50_000, iterations=3)
    return not bool((moves.ends > 0).all())


def test_not_a_number_is_a_divergence() -> None:
    """Where the potential is not a number the proposal is refused and reported, and the law stays (z < 5)."""
    assert not leaves_support(HMC(num_steps=4))
    moves = move(HMC(num_steps=4), HALF_LINE, unit_params(1.2, 1), num=50_000, iterations=3)
    assert displacement(moves) < Z_LIMIT
    info = jax.tree.map(np.asarray, moves.info)
    assert info.is_nan.any() and info.diverging[info.is_nan].all() and (info.accept_prob[info.is_nan] == 0).all()
    assert (info.last_position[info.is_nan] <= 0).all()


@pytest.mark.parametrize("kernel", [HMC(num_steps=4), NUTS(), Barker()], ids=lambda kernel: type(kernel).__name__)
def test_a_gradient_that_overflows_high_up_is_no_fault(kernel: Any) -> None:
    """It is a divergence, no number that is not one to be reported; and the law stays (z < 5)."""
    moves = move(kernel, WALL, unit_params(1.2, 1), num=20_000, iterations=3)
    assert not np.asarray(moves.info.is_nan).any()
    assert (moves.ends > 0).all() and displacement(moves) < Z_LIMIT


def test_draws_are_a_function_of_the_key() -> None:
    """The same key gives the same draw, another one another."""
    kernel, params = HMC(num_steps=2), unit_params(0.5, 2)
    first, again, other = (move(kernel, normal(2), params, num=50, seed=seed).ends for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert not np.isclose(first, other).any()
