"""The building blocks of HMC as functions of pytrees."""

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from targets import CORRELATED, COVARIANCE, CURVED, Z_LIMIT, Moves, displacement, raw_keys

from ppl._typing import Array, Key
from ppl.infer.hmc import HMCState, hmc, momentum_generator
from ppl.infer.hmc_util import (
    AdaptWindow,
    IntegratorState,
    build_adaptation_schedule,
    build_tree,
    dual_averaging,
    euclidean_kinetic_energy,
    find_reasonable_step_size,
    velocity_verlet,
    warmup_adapter,
    welford_covariance,
)


def test_dual_averaging_by_hand() -> None:
    """Ten lines of the recursion, with other constants than the default ones."""
    init_fn, update_fn = dual_averaging(t0=5, kappa=0.6, gamma=0.1)
    state, gradients = init_fn(0.3), [0.5, -0.2, 0.1, -0.7]
    x_avg = g_avg = 0.0
    for t, g in enumerate(gradients, 1):
        state = update_fn(g, state)
        g_avg = (1 - 1 / (t + 5)) * g_avg + g / (t + 5)
        x = 0.3 - math.sqrt(t) / 0.1 * g_avg
        x_avg = t**-0.6 * x + (1 - t**-0.6) * x_avg
    np.testing.assert_allclose([float(part) for part in state], [x, x_avg, g_avg, 4, 0.3], rtol=1e-5)
    assert state._fields == ("x_t", "x_avg", "g_avg", "t", "prox_center")


@pytest.mark.parametrize("diagonal", [True, False])
def test_welford_covariance(diagonal: bool) -> None:
    """The covariance, a root of its inverse, and the inverse of that root; regularised and not; also of pytrees."""
    init_fn, update_fn, final_fn = welford_covariance(diagonal=diagonal)
    draws = CORRELATED.draw(np.random.default_rng(0), 40).astype(np.float32)
    update = jax.jit(update_fn)
    state, tree = init_fn(3), init_fn({("a", "b"): (3,), ("c",): (1,)})
    for row in draws:
        state = update(row, state)
        tree = update({"a": row[:1], "b": row[1:], "c": row[1:2]}, tree)
    expected = np.cov(draws.T)
    for wanted in (False, True):
        covariance, root, root_inverse = final_fn(state, regularize=wanted)
        full = 40 / 45 * expected + 5e-3 / 45 * np.eye(3) if wanted else expected
        if diagonal:
            np.testing.assert_allclose(covariance, np.diag(full), rtol=1e-4)
            np.testing.assert_allclose(np.asarray(root) ** 2 * covariance, 1.0, rtol=1e-5)
            np.testing.assert_allclose(np.asarray(root) * root_inverse, 1.0, rtol=1e-5)
        else:
            np.testing.assert_allclose(covariance, full, rtol=1e-3, atol=1e-5)
            np.testing.assert_allclose(np.asarray(root) @ np.asarray(root).T @ full, np.eye(3), atol=1e-3)
            np.testing.assert_allclose(np.asarray(root) @ root_inverse, np.eye(3), atol=1e-4)
    covariance = final_fn(tree)[0]
    np.testing.assert_allclose(covariance["a", "b"], final_fn(state)[0], rtol=1e-6)
    np.testing.assert_allclose(np.squeeze(covariance["c",]), expected[1, 1], rtol=1e-4)
    assert int(state[2]) == 40


def test_kinetic_energy() -> None:
    r = {"a": jnp.array([1.0, 2.0]), "b": jnp.array(3.0)}
    assert float(euclidean_kinetic_energy(jnp.array([1.0, 2.0, 3.0]), r)) == 0.5 * (1 + 8 + 27)
    assert float(euclidean_kinetic_energy(jnp.diag(jnp.array([1.0, 2.0, 3.0])), r)) == 0.5 * (1 + 8 + 27)
    blocks = {("b",): jnp.array([3.0]), ("a",): jnp.diag(jnp.array([1.0, 2.0]))}
    assert float(euclidean_kinetic_energy(blocks, r)) == 0.5 * (1 + 8 + 27)
    with pytest.raises(ValueError, match="dimensions"):
        euclidean_kinetic_energy(jnp.ones((1, 1, 1)), r)


@pytest.mark.parametrize("forward", [False, True])
def test_velocity_verlet_is_reversible_on_pytrees(forward: bool) -> None:
    """Twenty steps there and back; the energy error of a small step is of third order per step."""

    def potential(z: Any) -> Array:
        return CURVED.potential(jnp.stack([z["x"], z["y"][0]]))

    init_fn, update_fn = velocity_verlet(potential, euclidean_kinetic_energy, forward)
    inverse = jnp.array([[0.9, 0.3], [0.3, 1.1]])
    state = init_fn({"x": 0.3, "y": jnp.array([0.5])}, {"x": 1.0, "y": jnp.array([-0.4])})
    assert isinstance(state, IntegratorState)

    @jax.jit
    def there_and_back(state: IntegratorState) -> tuple[Any, Any]:
        end = jax.lax.fori_loop(0, 20, lambda _, s: update_fn(0.05, inverse, s), state)
        flipped = end._replace(r=jax.tree.map(jnp.negative, end.r))
        return end, jax.lax.fori_loop(0, 20, lambda _, s: update_fn(0.05, inverse, s), flipped)

    end, back = there_and_back(state)
    np.testing.assert_allclose(back.z["x"], 0.3, atol=1e-5)
    np.testing.assert_allclose(back.r["y"], [0.4], atol=1e-5)
    before = state.potential_energy + euclidean_kinetic_energy(inverse, state.r)
    after = end.potential_energy + euclidean_kinetic_energy(inverse, end.r)
    assert abs(float(after - before)) < 3e-3
    np.testing.assert_allclose(end.potential_energy, potential(end.z), rtol=1e-5)


def test_find_reasonable_step_size() -> None:
    """Between a quarter and four times the scale of a normal, from far below and from far above."""

    def potential(z: Array) -> Array:
        return 0.5 * jnp.sum((z / 0.01) ** 2)

    def momentum(z: Array, inverse: Array, key: Key) -> Array:
        return jax.random.normal(key, jnp.shape(z))

    start = velocity_verlet(potential, euclidean_kinetic_energy)[0](jnp.array([0.005]), jnp.array([0.0]))

    @jax.jit
    def find(step_size: Array, key: Key) -> Array:
        return find_reasonable_step_size(potential, euclidean_kinetic_energy, momentum, step_size, jnp.ones(1), start, key)

    for step_size in (1e-6, 0.01, 1e3):
        assert 0.002 < float(find(jnp.float32(step_size), jax.random.key(1))) < 0.08


def test_schedule() -> None:
    assert build_adaptation_schedule(18) == [AdaptWindow(0, 17)]
    assert build_adaptation_schedule(100) == [AdaptWindow(0, 14), AdaptWindow(15, 89), AdaptWindow(90, 99)]


def test_warmup_adapter_learns_scale_and_step() -> None:
    """Fed with draws of known variances; the averaged step size is that of constant acceptance, and reported at the end."""
    init_fn, update_fn = warmup_adapter(300)
    draws = np.random.default_rng(0).standard_normal((300, 2)).astype(np.float32) * np.array([3.0, 0.2], np.float32)
    first = IntegratorState({"x": jnp.zeros(2)}, {"x": jnp.zeros(2)})
    state = init_fn(first, jax.random.key(0), step_size=0.5)

    @jax.jit
    def run(state: Any, draws: Array) -> Any:
        def step(state: Any, row: Any) -> Any:
            t, x = row
            return update_fn(t, 0.9, first._replace(z={"x": x}), state), state.window_idx

        return jax.lax.scan(step, state, (jnp.arange(300), draws))

    end, windows = run(state, draws)
    np.testing.assert_allclose(end.inverse_mass_matrix, [9.0, 0.04], rtol=0.4)
    np.testing.assert_allclose(np.asarray(end.mass_matrix_sqrt) ** 2 * end.inverse_mass_matrix, 1.0, rtol=1e-4)
    assert float(end.step_size) > 0.5  # acceptance above the target
    assert np.asarray(windows)[[0, 74, 75, 99, 100, 299]].tolist() == [0, 0, 1, 1, 2, 4]


def test_build_tree_is_a_valid_transition() -> None:
    """A transition made of `velocity_verlet`, `momentum_generator` and `build_tree` leaves exact draws exact (z < 5)."""
    init_fn, update_fn = velocity_verlet(CURVED.potential, euclidean_kinetic_energy)
    inverse = jnp.array([0.8, 1.3])
    starts = CURVED.draw(np.random.default_rng(0), 40_000).astype(np.float32)

    def transition(key: Key, z: Array) -> Any:
        k_momentum, k_tree = jax.random.split(key)
        r = momentum_generator(z, 1 / jnp.sqrt(inverse), k_momentum)
        return build_tree(update_fn, euclidean_kinetic_energy, init_fn(z, r), inverse, 0.85, k_tree, max_tree_depth=4)

    tree = jax.jit(jax.vmap(transition))(jax.random.split(jax.random.key(2), 40_000), starts)
    assert displacement(Moves(starts, np.asarray(tree.z_proposal), None, None)) < Z_LIMIT
    depth, steps = np.asarray(tree.depth), np.asarray(tree.num_proposals)
    assert (steps <= 2**depth - 1).all() and (steps >= 2 ** (depth - 1)).all() and depth.max() <= 4
    assert (np.asarray(tree.sum_accept_probs) <= steps + 1e-3).all()
    value = jax.vmap(CURVED.potential)(tree.z_proposal)
    np.testing.assert_allclose(tree.z_proposal_pe, value, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("algo", ["HMC", "NUTS"])
def test_functional_form_under_vmap(algo: str) -> None:
    """`init_kernel` and `sample_kernel` inside jit and vmap, with a potential made from arguments: exact draws stay exact."""

    def potential_of(shift: Array) -> Any:
        return lambda z: CORRELATED.potential(z["q"] - shift)

    init_kernel, sample_kernel = hmc(potential_fn_gen=potential_of, algo=algo)
    starts = CORRELATED.draw(np.random.default_rng(0), 20_000).astype(np.float32)
    options: dict[str, Any] = dict(num_steps=2, trajectory_length=None) if algo == "HMC" else dict(max_tree_depth=4)

    @jax.jit
    @jax.vmap
    def run(key: Key, q: Array, shift: Array) -> HMCState:
        state = init_kernel(
            {"q": q + shift},
            num_warmup=0,
            step_size=0.6,
            inverse_mass_matrix=0.7 * jnp.asarray(COVARIANCE, jnp.float32) + 0.1 * jnp.eye(3),
            dense_mass=True,
            model_args=(shift,),
            rng_key=key,
            **options,
        )
        return jax.lax.fori_loop(0, 2, lambda _, state: sample_kernel(state, model_args=(shift,)), state)

    shift = np.random.default_rng(1).standard_normal((20_000, 1)).astype(np.float32)
    state = run(raw_keys(0, 20_000), starts, shift)
    assert isinstance(state, HMCState) and (np.asarray(state.i) == 2).all()
    assert displacement(Moves(starts, np.asarray(state.z["q"]) - shift, None, None)) < Z_LIMIT
    assert not np.isclose(state.z["q"], starts + shift).all(1).all()


def test_momentum_generator() -> None:
    """A dict of blocks: covariance R R' within 5 standard errors."""
    blocks = {("b", "a"): jnp.array([[2.0, 0.0, 0.0], [0.3, 1.0, 0.0], [0.0, 0.5, 1.0]]), ("c",): jnp.array([3.0])}
    prototype = {"a": jnp.zeros(()), "b": jnp.zeros(2), "c": jnp.zeros(1)}
    draws = jax.vmap(lambda key: momentum_generator(prototype, blocks, key))(jax.random.split(jax.random.key(0), 20_000))
    assert {name: value.shape[1:] for name, value in draws.items()} == {"a": (), "b": (2,), "c": (1,)}
    np.testing.assert_allclose(np.std(draws["c"]), 3.0, rtol=5 / np.sqrt(40_000))
