"""Sample-adaptive MCMC: exact sets of points stay exact, no gradient is ever asked for, and a run does what every kernel's does."""

from collections.abc import Callable
from functools import partial
from typing import Any

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
    ExactTarget,
    Moves,
    displacement,
    raw_keys,
)
from test_chains import Y, model, run
from test_sbc import CASES, ranks_of, uniformity

import ppl
import ppl.distributions as dist
from ppl.infer import MCMC, SA, init_to_value
from ppl.infer.algorithms.fused import Fusing
from ppl.infer.algorithms.sample_adaptive import PointSet, SampleAdaptive, SampleAdaptiveParams
from ppl.infer.sa import SAState, _get_proposal_loc_and_scale, _numpy_delete

KERNEL = SA(model)


def set_of(kernel: SampleAdaptive, target: ExactTarget, points: Any) -> PointSet:
    """The state of points `(n, d)`, of which the first is reported."""
    energies = jax.vmap(target)(points)
    return kernel._with_moments(points[0], energies[0], points, energies)


@partial(jax.jit, static_argnums=(0, 1))
def _move_sets(kernel: SampleAdaptive, target: ExactTarget, keys: Any, points: Any, warming_up: Any) -> Any:
    def chain(keys: Any, points: Any) -> Any:
        def step(state: PointSet, key: Any) -> Any:
            return kernel.step(key, state, target, SampleAdaptiveParams(warming_up))

        return jax.lax.scan(step, set_of(kernel, target, points), keys)

    return jax.vmap(chain)(keys, points)


def move_sets(
    kernel: SampleAdaptive, target: ExactTarget, *, num: int = 20_000, iterations: int = 4, warming_up: bool = False
) -> tuple[Moves, Moves]:
    """Start from sets of exact points: how the sets moved, and from the first point of each to the reported one."""
    rng, shape = np.random.default_rng(0), (num, kernel.num_points, target.dimension)
    points = target.draw(rng, num * kernel.num_points).reshape(shape).astype(jnp.result_type(float))
    state, info = _move_sets(kernel, target, raw_keys(0, num, iterations), points, jnp.asarray(warming_up))
    reported = Moves(points[:, 0], np.asarray(state.position), state, info)
    return Moves(points, np.asarray(state.points), state, info), reported


INVARIANCE = {
    "curved": (SampleAdaptive(4, True), CURVED),
    "correlated": (SampleAdaptive(6, True), CORRELATED),
    "ridge": (SampleAdaptive(4, True, 0.3), CURVED),
    "funnel": (SampleAdaptive(6, False), FUNNEL),
    "mixture": (SampleAdaptive(3, True), MIXTURE),
    "half line": (SampleAdaptive(3, False), HALF_LINE),
}


@pytest.mark.parametrize("name", INVARIANCE)
def test_exact_sets_stay_exact(name: str) -> None:
    """20,000 sets of exact points, 4 iterations: of all points, and of those reported; false alarm below 2e-5 each."""
    sets, reported = move_sets(*INVARIANCE[name])
    assert displacement(sets) < Z_LIMIT and displacement(reported) < Z_LIMIT
    assert 0.2 < np.mean(sets.info.accept_prob) < 0.8


def test_a_step_moves_one_point_or_none() -> None:
    """As often as the acceptance probability says; in warm-up, where proposals go further, sets stay exact as well."""
    sets, _ = move_sets(*INVARIANCE["curved"], iterations=1)
    moved = (sets.starts != sets.ends).any(2).sum(1)
    assert moved.max() == 1 and abs(moved.mean() - np.mean(sets.info.accept_prob)) < 5 * np.sqrt(0.25 / len(moved))
    stretched, reported = move_sets(*INVARIANCE["curved"], warming_up=True)
    assert displacement(stretched) < Z_LIMIT and displacement(reported) < Z_LIMIT
    assert np.mean(stretched.info.accept_prob) < np.mean(sets.info.accept_prob)


@pytest.mark.parametrize("name", faults_other.SAMPLE_ADAPTIVE)
def test_displacement_sees_faults(name: str) -> None:
    """Each with a ridge that matters; the case without fault is `ridge` above."""
    right, target = INVARIANCE["ridge"]
    kernel = faults_other.SAMPLE_ADAPTIVE[name](right.num_points, True, right.ridge)
    sets, reported = move_sets(kernel, target)
    assert max(displacement(sets), displacement(reported)) > 7.0


def replaced_moments(points: np.ndarray, newcomer: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Means `(n, d)` and covariances `(n, d, d)` of the sets in which each point in turn was replaced."""
    sets = np.repeat(points[None], len(points), 0)
    sets[np.arange(len(points)), np.arange(len(points))] = newcomer
    return sets.mean(1), np.stack([np.cov(x.T, bias=True) for x in sets])


@pytest.mark.parametrize("is_dense", [True, False])
def test_weights_equal_their_definition(is_dense: bool) -> None:
    """The densities q(theta_j | S_-j) by NumPy, from the mean and the covariance of each S_-j; also by replaced moments in JAX."""
    rng, factor = np.random.default_rng(3), 1.7
    points, newcomer, ridge = CORRELATED.draw(rng, 6), np.array([2.0, 0.5, 1.0]), 0.05
    kernel = SampleAdaptive(6, is_dense, ridge)

    @jax.jit
    def log_proposals(points: Any, newcomer: Any) -> Any:
        state = set_of(kernel, CORRELATED, points)
        return kernel.log_proposals(kernel._whiten(state, newcomer), jnp.full((), factor, points.dtype))

    found = np.asarray(log_proposals(points.astype(np.float32), newcomer.astype(np.float32)))
    means, covariances = replaced_moments(points, newcomer)
    means = np.concatenate([means, points.mean(0)[None]])
    covariances = np.concatenate([covariances, np.cov(points.T, bias=True)[None]])
    expected = []
    for theta, mean, covariance in zip(np.concatenate([points, newcomer[None]]), means, covariances):
        covariance = factor * ((covariance if is_dense else np.diag(np.diag(covariance))) + ridge * np.eye(3))
        expected.append(-0.5 * (np.linalg.slogdet(covariance)[1] + (theta - mean) @ np.linalg.solve(covariance, theta - mean)))
    np.testing.assert_allclose(found - found[-1], np.array(expected) - expected[-1], rtol=1e-3, atol=1e-3)
    scale = np.linalg.cholesky(np.cov(points.T, bias=True)) if is_dense else points.std(0)
    moments = jax.jit(_get_proposal_loc_and_scale)
    locs, scales = (np.asarray(x) for x in moments(points, points.mean(0), scale, newcomer))
    np.testing.assert_allclose(locs, means[:-1], rtol=1e-4)
    variances = scales @ scales.mT if is_dense else scales**2
    np.testing.assert_allclose(
        variances, covariances[:-1] if is_dense else np.diagonal(covariances[:-1], 0, 1, 2), rtol=1e-3, atol=1e-4
    )


def test_rows_are_deleted() -> None:
    x = jnp.arange(12.0).reshape(4, 3)
    for i in range(4):
        np.testing.assert_array_equal(jax.jit(_numpy_delete)(x, i), np.delete(x, i, 0))


# The start


def test_points_around_a_start() -> None:
    """The first is the start; the others have its spread, 1, and all have a density: where it ends they come closer."""
    kernel = SampleAdaptive(400, False)
    state = jax.jit(lambda key: kernel.init(key, HALF_LINE, jnp.array([1.0])))(raw_keys(1, 1)[0])
    points = np.asarray(state.points)[:, 0]
    assert points[0] == 1.0 and np.isfinite(state.energies).all() and (points > 0).all() and len(np.unique(points)) == 400
    np.testing.assert_allclose(state.energies, jax.vmap(HALF_LINE)(state.points), rtol=1e-5)
    assert abs(np.median(points) - 1.0) < 0.2 and 0.5 < points.std() < 0.9


def test_start_values() -> None:
    """Given for all sites or some, shared or by chain, or by the strategy: the first point of the set."""

    def first(kernel: SA, init_params: Any) -> np.ndarray:
        start = jax.jit(lambda key: kernel.init(key, 0, init_params, (Y,)).adapt_state.zs[0])
        return np.asarray(start(jax.random.key(0)))

    np.testing.assert_allclose(first(KERNEL, {"mu": 1.5, "sigma": -0.5}), [1.5, -0.5])
    np.testing.assert_allclose(first(KERNEL, {"mu": 1.5})[0], 1.5)
    by_strategy = SA(model, init_strategy=init_to_value(values={"mu": 1.25, "sigma": 3.0}))
    np.testing.assert_allclose(first(by_strategy, None), [1.25, np.log(3.0)], rtol=1e-5)
    fields = dict(init_params={"mu": jnp.array([5e3, -5e3]), "sigma": jnp.zeros(2)}, extra_fields=("adapt_state.loc",))
    mcmc = run(KERNEL, num_warmup=0, num_samples=1, num_chains=2, run_options=fields)
    locs = np.asarray(mcmc.get_extra_fields()["adapt_state.loc"])
    np.testing.assert_allclose(locs[:, 0], [5e3, -5e3], atol=10)
    bad = dict(init_params={"x": jnp.array(-1.0)})
    potential = SA(potential_fn=lambda z: z["x"] - jnp.log(z["x"]))
    with pytest.raises(RuntimeError, match="init_params have no finite log density"):
        MCMC(potential, num_warmup=0, num_samples=1, progress_bar=False).run(jax.random.key(0), **bad)


def test_the_size_of_the_set() -> None:
    """Twice the dimension, or what is told; enough for a dense covariance."""

    def size(dimension: int, **options: Any) -> tuple[int, ...]:
        kernel = SA(potential_fn=lambda z: jnp.sum(z**2), **options)
        state = jax.eval_shape(lambda key: kernel.init(key, 0, jnp.zeros(dimension)), jax.random.key(0))
        return state.adapt_state.zs.shape

    assert size(1) == (3, 1) and size(2) == (4, 2) and size(5) == (10, 5)
    assert size(5, adapt_state_size=2, dense_mass=False) == (2, 5)
    with pytest.raises(ValueError, match="adapt_state_size=5.*at least 6"):
        size(5, adapt_state_size=5)


# Long runs


@jax.custom_jvp
def without_derivative(x: Any) -> Any:
    return jnp.abs(x)


@without_derivative.defjvp
def _refuse(primals: Any, tangents: Any) -> Any:
    raise AssertionError("a gradient was traced")


def laplace(z: Any) -> Any:
    return without_derivative(z["x"])


def test_a_density_without_gradient() -> None:
    """Laplace's law by a function that refuses to be differentiated: variance 2, 5 standard errors; in a model and as it is."""

    def in_a_model() -> None:
        x = ppl.sample("x", dist.ImproperUniform(dist.constraints.real, (), ()))
        ppl.factor("laplace", -without_derivative(x))

    for kernel, start in ((SA(potential_fn=laplace), {"x": jnp.array([1.0, -1.0])}), (SA(in_a_model), None)):
        mcmc = MCMC(kernel, num_warmup=2000, num_samples=40_000, num_chains=2, progress_bar=False)
        mcmc.run(jax.random.key(0), init_params=start)
        x = np.asarray(mcmc.get_samples()["x"], np.float64)
        size = len(x) / 20  # effective: the autocorrelation time is below 15
        assert abs(x.mean()) < 5 * np.sqrt(2 / size) and abs((x**2).mean() - 2) < 5 * np.sqrt(20 / size)


def test_correlated_normal() -> None:
    """From a start far away: means and covariance within 5 standard errors, one program, one kernel where nothing is factorised."""
    mcmc = MCMC(SA(potential_fn=CORRELATED.potential), num_warmup=20_000, num_samples=200_000, thinning=10, progress_bar=False)
    mcmc.run(jax.random.key(0), init_params=jnp.array([30.0, -10.0, 20.0]))
    x = np.asarray(mcmc.get_samples(), np.float64) - [1.0, -2.0, 0.5]
    size = len(x) / 3  # effective: draws ten iterations apart
    assert np.abs(x.mean(0) / np.sqrt(np.diag(COVARIANCE) / size)).max() < 5
    error = np.sqrt((COVARIANCE**2 + np.outer(np.diag(COVARIANCE), np.diag(COVARIANCE))) / size)
    assert np.abs((x.T @ x / len(x) - COVARIANCE) / error).max() < 5
    assert mcmc._launch.process.modes()[-1] is Fusing.PARTS


@pytest.mark.parametrize("name", ["hierarchical", "simplex", "ordered", "truncated"])
def test_ranks_are_uniform(name: str) -> None:
    """As in `test_sbc`: chi-square of 256 ranks on 16 bins at p > 2e-5, the log likelihood among the functions."""
    case = CASES[name]
    for label, counts in ranks_of(case, SA(case.model), burn_in=600, thinning=25).items():
        assert uniformity(counts) > 2e-5, (label, counts)


# Features


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
    features.keeps_fields_and_thins(KERNEL, SAState, {"diverging"})


def test_energies() -> None:
    features.energies_are_those_of_the_draws(KERNEL)


def test_all_energies_are_computed_anew() -> None:
    """By `refresh`, for other data; a point that has no density any more is dropped first."""
    state = run(KERNEL).last_state
    other = jax.jit(lambda state: KERNEL.refresh(state, (Y + 1.0,)))(state).adapt_state
    potential = KERNEL.get_potential_fn((Y + 1.0,))
    expected = jax.jit(jax.vmap(lambda row: potential({"mu": row[0], "sigma": row[1]})))(other.zs)
    np.testing.assert_allclose(other.pes, expected, rtol=1e-5)
    kernel = SampleAdaptive(3, True)
    outside = set_of(kernel, MIXTURE, jnp.array([[1.0], [-1.0], [2.0]]))
    stranded = kernel.rebase(outside, HALF_LINE)
    moved, info = kernel.settle(
        stranded,
        kernel.propose(raw_keys(0, 1)[0], stranded, SampleAdaptiveParams(jnp.asarray(False)))._replace(position=jnp.array([3.0])),
        jnp.float32(1.0),
    )
    assert np.asarray(moved.points)[:, 0].tolist() == [1.0, 3.0, 2.0] and float(info.accept_prob) == 1.0


def test_progress(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    features.shows_progress(KERNEL, r"acc\. prob=\d\.\d\d", monkeypatch, capsys)


def test_advice() -> None:
    assert KERNEL.get_advice({"accept_prob": np.array([[0.3, 0.2]])}) == []
    (line,) = KERNEL.get_advice({"accept_prob": np.array([[0.3, 0.2], [0.0, 0.002]])})
    assert "Low acceptance: 0.001" in line and "init_params" in line


def test_float64() -> None:
    features.runs_in_float64(KERNEL)


def test_strict_promotion() -> None:
    features.is_strict(SA)


def test_enumerated_sites() -> None:
    features.sums_out_discrete_sites(SA, 100)


def test_potential_function() -> None:
    features.takes_a_potential_function(SA)


def test_models_at_the_edge() -> None:
    features.takes_models_at_the_edge(SA)


@pytest.mark.parametrize("make", [SA, partial(SA, dense_mass=False), partial(SA, adapt_state_size=9)])
def test_fused_programs_draw_the_same(make: Callable[..., SA], monkeypatch: pytest.MonkeyPatch) -> None:
    fused = run(make(model), num_warmup=5).get_samples()["mu"]
    monkeypatch.setattr("ppl.infer.target_process.MAX_FUSED_DIMENSION", 0)
    plain = run(make(model), num_warmup=5).get_samples()["mu"]
    np.testing.assert_allclose(fused[:5], plain[:5], rtol=1e-3, atol=1e-3)
