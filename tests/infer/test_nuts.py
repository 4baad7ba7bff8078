"""The no-U-turn sampler: exact draws stay exact, and trees have the shape that theory gives them."""

from typing import Any

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
    unit_params,
)
from test_algorithms import METRICS, caches_are_consistent, leaves_support

from ppl._typing import Array
from ppl.infer.algorithms import uturn
from ppl.infer.algorithms.metric import EuclideanKinetic, metric_from_inverse
from ppl.infer.algorithms.nuts import NUTS

SHALLOW = NUTS(max_tree_depth=(4, 4))

INVARIANCE = {
    "curved": (SHALLOW, CURVED, params_of(0.9, np.ones(2))),
    "correlated_dense": (SHALLOW, CORRELATED, params_of(1.5, *METRICS["dense"])),
    "correlated_blocks": (SHALLOW, CORRELATED, params_of(1.0, *METRICS["blocks"])),
    "funnel": (SHALLOW, FUNNEL, params_of(0.8, np.array([2.0, 1.0, 1.0]))),
    "mixture": (SHALLOW, MIXTURE, params_of(0.8, np.ones(1))),
}


@pytest.mark.parametrize("name", INVARIANCE)
def test_exact_draws_stay_exact(name: str) -> None:
    """50,000 exact starts, three iterations at bad settings; false alarm below 2e-5 each."""
    kernel, target, params = INVARIANCE[name]
    moves = move(kernel, target, params, num=50_000, iterations=3)
    assert displacement(moves) < Z_LIMIT
    assert 0.35 < np.mean(moves.info.accept_prob) < 0.9


def test_not_a_number_is_a_divergence() -> None:
    kernel = NUTS(max_tree_depth=(3, 3))
    assert not leaves_support(kernel)
    moves = move(kernel, HALF_LINE, unit_params(1.2, 1), num=50_000, iterations=3)
    assert displacement(moves) < Z_LIMIT
    info = jax.tree.map(np.asarray, moves.info)
    assert info.is_nan.any() and info.diverging[info.is_nan].all()
    assert (info.last_position[info.is_nan] <= 0).all()


def test_state_and_info_agree() -> None:
    """Caches fit the position, whichever leaf was drawn; the energy is that of the returned state."""
    moves = move(SHALLOW, CURVED, params_of(0.9, np.ones(2)), num=2000, iterations=3)
    assert caches_are_consistent(moves, CURVED)
    info = jax.tree.map(lambda x: np.asarray(x)[:, -1], moves.info)
    assert (info.energy >= np.asarray(moves.state.potential_energy) - 1e-5).all()
    np.testing.assert_allclose(info.trajectory_length, 0.9 * info.num_steps, rtol=1e-6)
    assert (info.num_steps >= 1).all() and (info.num_steps <= 15).all()
    assert (info.accept_prob >= 0).all() and (info.accept_prob <= 1 + 1e-6).all()


@pytest.mark.parametrize(("warming_up", "limit"), [(True, 3), (False, 7)])
def test_depth_limits_of_both_phases(warming_up: bool, limit: int) -> None:
    """A tiny step never turns: every tree is as deep as allowed."""
    params = params_of(1e-4, np.ones(2), warming_up=warming_up)
    assert (np.asarray(move(NUTS(max_tree_depth=(2, 3)), normal(2), params, num=20).info.num_steps) == limit).all()


def mean_tree_size(kernel: Any) -> float:
    """Mean number of steps on 100 independent normals at step size .4: 14.0 with checks across sub-trees, 371 without."""
    return float(np.mean(move(kernel, normal(100), unit_params(0.4, 100), num=200).info.num_steps))


def test_no_resonance_on_independent_normals() -> None:
    """14.0; the sizes are 7 or 15 but for a few, so that 200 of them have a standard error below 0.1."""
    assert abs(mean_tree_size(NUTS(max_tree_depth=(7, 7))) - 14.0) < 0.3


# Which sub-trees are checked


def visited_subtrees(depth: int, monkeypatch: pytest.MonkeyPatch) -> list[set[tuple[Any, ...]]]:
    """At each of 2**depth leaves the pairs of half-trees (as sets of leaves, with their ends) that the iterative rule checks.

    Leaf n has the n-th unit vector for its momentum, so that sums of momenta tell which leaves they are over.
    """
    leaves = 2**depth
    seen: list[set[tuple[Any, ...]]] = [set() for _ in range(leaves)]

    def record(n: Any, *vectors: Any) -> None:
        seen[int(n)].add(tuple(tuple(np.flatnonzero(np.round(v)).tolist()) for v in vectors))

    current: list[Array] = []

    def spy(kinetic: Any, metric: Any, first: Any, last: Any, sums: Any) -> Array:
        jax.debug.callback(record, current[-1], *first, *last, *sums, ordered=True)
        return jnp.asarray(False)

    monkeypatch.setattr(uturn, "is_turning_across", spy)
    metric = metric_from_inverse((jnp.ones(leaves),))

    @jax.jit
    def walk(momenta: Array) -> Array:
        def add(carry: Any, row: Any) -> Any:
            checkpoints, total = carry
            n, momentum = row
            total = total + momentum
            slot = uturn.checkpoint_slot(n, depth + 1)
            checkpoints = jax.lax.dynamic_update_index_in_dim(checkpoints, jnp.stack([momentum, total]), slot, 0)
            leaf = uturn.Leaf(number=n, momentum=momentum, momentum_sum=total)
            current.append(n)
            return (checkpoints, total), uturn.closing_subtrees(EuclideanKinetic(), metric, leaf, checkpoints)

        start = uturn.new_checkpoints(depth + 1, momenta[0]), jnp.zeros_like(momenta[0])
        return jax.lax.scan(add, start, (jnp.arange(leaves, dtype=jnp.int32), momenta))[1]

    walk(jnp.eye(leaves)).block_until_ready()
    jax.effects_barrier()
    return seen


def closing_subtrees_by_hand(n: int) -> set[tuple[Any, ...]]:
    """The balanced sub-trees that end at leaf n: ends and sums of their halves A and B."""
    found, size = set(), 2
    while (n + 1) % size == 0:
        first, middle = n + 1 - size, n + 1 - size // 2
        a, b = tuple(range(first, middle)), tuple(range(middle, n + 1))
        found.add(((a[0],), (a[-1],), (b[0],), (b[-1],), a, b))
        size *= 2
    return found


def test_every_balanced_subtree_is_checked_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Set equality for all sub-trees of up to 256 leaves."""
    seen = visited_subtrees(8, monkeypatch)
    assert seen == [closing_subtrees_by_hand(n) for n in range(256)]
    assert sum(map(len, seen)) == 255


def test_all_sizes_at_once_as_one_after_another(monkeypatch: pytest.MonkeyPatch) -> None:
    """As an accelerator looks at them: along random walks of momenta, of which some turn."""
    metric = metric_from_inverse((jnp.array([1.0, 0.3]),))
    momenta = np.random.default_rng(1).normal(0.4, 1.0, (64, 2))

    def turning() -> np.ndarray:
        @jax.jit
        def walk(momenta: Array) -> Array:
            def add(carry: Any, row: Any) -> Any:
                checkpoints, total = carry
                n, momentum = row
                row = jnp.stack([momentum, total + momentum])
                checkpoints = jax.lax.dynamic_update_index_in_dim(checkpoints, row, uturn.checkpoint_slot(n, 7), 0)
                leaf = uturn.Leaf(number=n, momentum=momentum, momentum_sum=row[1])
                return (checkpoints, row[1]), uturn.closing_subtrees(EuclideanKinetic(), metric, leaf, checkpoints)

            start = uturn.new_checkpoints(7, momenta[0]), jnp.zeros_like(momenta[0])
            return jax.lax.scan(add, start, (jnp.arange(64, dtype=jnp.int32), momenta))[1]

        return np.asarray(walk(jnp.asarray(momenta)))

    one_after_another = turning()
    monkeypatch.setattr(uturn.jax, "default_backend", lambda: "gpu")
    np.testing.assert_array_equal(turning(), one_after_another)
    assert 5 < one_after_another.sum() < 32


def test_criterion_across_halves() -> None:
    """The three checks of two neighbouring trees, against their definition with a dense metric; none is redundant."""
    rng = np.random.default_rng(0)
    inverse = COVARIANCE
    metric = metric_from_inverse((jnp.asarray(inverse),))
    vectors = rng.standard_normal((400, 6, 3)) + 0.8

    def turns(first: np.ndarray, last: np.ndarray, total: np.ndarray) -> bool:
        return bool(first @ inverse @ total <= 0 or last @ inverse @ total <= 0)

    parts = np.array(
        [(turns(a0, b1, sa + sb), turns(a0, b0, sa + b0), turns(a1, b1, sb + a1)) for a0, a1, b0, b1, sa, sb in vectors]
    )

    @jax.jit
    @jax.vmap
    def across(v: Array) -> Array:
        return uturn.is_turning_across(EuclideanKinetic(), metric, (v[0], v[1]), (v[2], v[3]), (v[4], v[5]))

    np.testing.assert_array_equal(across(jnp.asarray(vectors)), parts.any(1))
    assert all((parts[:, i] & (parts.sum(1) == 1)).any() for i in range(3))


def _reference_sizes(directions: np.ndarray, q0: float, p0: float, eps: float, max_depth: int) -> int:
    """Leapfrog steps of a tree on U = q^2/2 in one dimension, built by recursion with all checks, for given directions."""

    def leapfrog(q: float, p: float, step: float) -> tuple[float, float]:
        p = p - 0.5 * step * q
        q = q + step * p
        return q, p - 0.5 * step * q

    def turns(momenta: list[float]) -> bool:
        def criterion(first: float, last: float, total: float) -> bool:
            return first * total <= 0 or last * total <= 0

        half = len(momenta) // 2
        a, b = momenta[:half], momenta[half:]
        return (
            criterion(a[0], b[-1], sum(momenta)) or criterion(a[0], b[0], sum(a) + b[0]) or criterion(a[-1], b[-1], sum(b) + a[-1])
        )

    tree, steps = [(q0, p0)], 0
    for depth in range(max_depth):
        forward = bool(directions[depth])
        new: list[tuple[float, float]] = []
        for n in range(2**depth):
            new.append(leapfrog(*(new[-1] if new else tree[-1 if forward else 0]), eps if forward else -eps))
            steps += 1
            size = 2
            while (n + 1) % size == 0:
                if turns([p for _, p in new[-size:]]):
                    return steps
                size *= 2
        ordered = new if forward else new[::-1]
        tree = tree + ordered if forward else ordered + tree
        if turns([p for _, p in tree]):
            return steps
    return steps


def test_trees_equal_a_recursive_reference() -> None:
    """The number of steps of 300 trees, step by step by the kernel, and by naive recursion along the same directions.

    Directions are fair coins: 5 standard errors.
    """
    kernel, target, params = NUTS(max_tree_depth=(6, 6)), normal(1), unit_params(0.31, 1)

    def build(key: Array, q: Array) -> Any:
        begun = kernel.begin(key, kernel.init(key, target, q), params)
        directions = jnp.full(8, -1, jnp.int32).at[0].set(begun.direction)

        def extend(carry: Any) -> Any:
            trajectory, directions = carry
            trajectory = kernel.extend(trajectory, *target.value_and_gradient(trajectory.position), params)
            return trajectory, directions.at[trajectory.depth].set(trajectory.direction)

        end, directions = jax.lax.while_loop(lambda carry: kernel.is_running(carry[0]), extend, (begun, directions))
        return directions, begun.ends[0, 1, 0], end.num_steps, end.depth

    q = np.random.default_rng(1).standard_normal((300, 1)).astype(np.float32)
    directions, p, num_steps, depth = map(np.asarray, jax.jit(jax.vmap(build))(raw_keys(3, 300), q))
    expected = [_reference_sizes(directions[i], float(q[i, 0]), float(p[i]), 0.31, 6) for i in range(300)]
    assert np.mean(num_steps == np.array(expected)) > 0.98  # float32 against float64 at a criterion that is nearly zero
    assert len(set(num_steps.tolist())) > 6
    assert abs(directions[:, 0].mean() - 0.5) < 5 * 0.5 / np.sqrt(300)
