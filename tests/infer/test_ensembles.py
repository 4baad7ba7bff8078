"""Ensembles of walkers: their mathematics on exact draws, and AIES and ESS as kernels of MCMC."""

import pickle
from collections import namedtuple
from typing import Any

import faults_ensembles as faults
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from ensembles import DIRECTIONS, FAULTY_PROPOSALS, PROPOSALS, faulty_slices, metropolis, move_ensembles, slices
from faults_ensembles import SLICE_FAULTS
from scipy import stats
from targets import CURVED, HALF_LINE, Z_LIMIT, ExactTarget, displacement, raw_keys
from test_sbc import CASES, as_data, starts_from

import ppl
import ppl.distributions as dist
from ppl._typing import Array
from ppl.infer import AIES, ESS, MCMC, init_to_sample
from ppl.infer.adaptation.slice_length import SliceTuning, tune_length
from ppl.infer.algorithms.ensemble_metropolis import AffineInvariant, DEMove, StretchMove
from ppl.infer.algorithms.ensemble_slice import EnsembleSlice, KDEMove, SliceInfo
from ppl.infer.algorithms.ensembles import Walkers, in_turn, random_pairs
from ppl.infer.ensemble import AIESState, EnsembleSampler, EnsembleSamplerState, ESSState
from ppl.infer.ensemble_util import batch_ravel_pytree, get_nondiagonal_indices
from ppl.infer.target.potential import PotentialTarget, TreeLayout

RED = 7.0

# Exact draws stay exact


@pytest.mark.parametrize("name", PROPOSALS)
def test_proposals_leave_exact_draws_exact(name: str) -> None:
    """48,000 walkers in independent ensembles, at acceptances that are no good: false alarm below 2e-5 each."""
    moves = move_ensembles(metropolis, list(PROPOSALS).index(name))
    assert displacement(moves) < Z_LIMIT
    assert 0.3 < np.mean(moves.info.accept_prob) < 0.6
    energies = jax.jit(jax.vmap(jax.vmap(CURVED)))(moves.ends)
    np.testing.assert_allclose(moves.state.potential_energy, energies, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", FAULTY_PROPOSALS)
def test_displacement_sees_faults_of_proposals(name: str) -> None:
    assert displacement(move_ensembles(metropolis, len(PROPOSALS) + list(FAULTY_PROPOSALS).index(name))) > RED


def lost_slices(moves: Any) -> int:
    """How many draws missed their slice so often that the interval cannot have held the walker."""
    return int(np.sum(np.asarray(moves.info.num_contractions) > 100))


@pytest.mark.parametrize("name", DIRECTIONS)
def test_slices_leave_exact_draws_exact(name: str) -> None:
    """The same at intervals that meet the limit of their steps, and others that miss: false alarm below 2e-5 each."""
    moves = move_ensembles(slices, list(DIRECTIONS).index(name), scale=0.7)
    assert displacement(moves) < Z_LIMIT and lost_slices(moves) == 0
    assert np.mean(moves.info.num_expansions) > 1 and np.mean(moves.info.num_contractions) > 0.4
    assert 0.05 < np.mean(moves.info.at_limit) < 0.5


FAULTY_SCALES = {"left_first": 0.5, "begins_at_walker": 4.0, "low_level": 0.7, "direction_from_walker": 0.7}


@pytest.mark.parametrize("name", FAULTY_SCALES)
def test_displacement_sees_faults_of_slices(name: str) -> None:
    assert displacement(move_ensembles(faulty_slices, SLICE_FAULTS.index(name), scale=FAULTY_SCALES[name])) > RED


def test_counts_see_an_interval_without_its_walker() -> None:
    assert lost_slices(move_ensembles(faulty_slices, SLICE_FAULTS.index("shrinks_to_middle"), scale=0.7)) > 0


def stretches(is_faulty: Array) -> faults.AcceptsNan:
    return faults.AcceptsNan(moves=(StretchMove(a=3.0),), weights=(1.0,), is_faulty=is_faulty)


def test_support_sees_accepted_nan() -> None:
    """Where the energy is not a number nobody goes, and it is told; the law stays (z < 5)."""
    right, wrong = (move_ensembles(stretches, fault, HALF_LINE) for fault in (0, 1))
    assert (right.ends > 0).all() and displacement(right) < Z_LIMIT
    is_nan = np.asarray(right.info.is_nan)
    assert is_nan.any() and (np.asarray(right.info.last_position)[is_nan] <= 0).all()
    assert not (wrong.ends > 0).all()


# The halves, by construction: moments hardly see a partner from the wrong half


def meetings(turns: Any, order: Any = None) -> list[tuple[set[int], set[int], set[int]]]:
    """Of each update: who moved, whom they saw, and who of those had moved before. Each update adds 100 to a walker's number."""
    seen = []

    def update(key: Array, active: Array, inactive: Array, carry: Array) -> Any:
        told = jnp.stack([active, inactive], 1)
        return active + 100, carry + 1, told

    walkers, count, told = turns(update, jnp.arange(8), jnp.int32(0), (raw_keys(0, 2)[0], raw_keys(0, 2)[1]), order)
    told = np.asarray(told)
    places = np.arange(8) if order is None else np.asarray(order)
    for half in (places[::2], places[1::2]):
        active, inactive = told[half].T
        assert (active % 100 == half).all()
        seen.append((set(active.tolist()), {int(i) % 100 for i in inactive}, {int(i) % 100 for i in inactive if i >= 100}))
    moved = {i for i in range(8) if int(walkers[i]) == i + 100}
    return [*seen, (moved, set(), set())]


def halves_are_right(turns: Any, order: Any = None) -> bool:
    first, second, (moved, _, _) = meetings(turns, order)
    places = np.arange(8) if order is None else np.asarray(order)
    evens, odds = set(places[::2].tolist()), set(places[1::2].tolist())
    return first == (evens, odds, set()) and second == (odds, evens, evens) and moved == set(range(8))


def test_index_sets_see_wrong_partners() -> None:
    """Halves by number and in any order; the second half sees the first one moved; walkers keep their places."""
    assert halves_are_right(in_turn)
    assert halves_are_right(in_turn, jnp.array([3, 0, 7, 1, 6, 2, 5, 4]))
    for fault in (faults.same_half, faults.at_once, faults.only_one):
        assert not halves_are_right(fault)


def test_proposals_combine_a_walker_with_the_other_half_alone() -> None:
    """A stretch lies on a line through the walker and one of the others; a difference is one of two different others."""
    rng = np.random.default_rng(0)
    active, inactive = (rng.standard_normal((16, 3)).astype(np.float32) for _ in range(2))
    key = raw_keys(0, 1)[0]
    stretched, log_factor = map(np.asarray, jax.jit(StretchMove().propose)(key, active, inactive))
    shifted = np.asarray(jax.jit(DEMove(sigma=0.0, g0=1.0).propose)(key, active, inactive)[0])
    ends = inactive[None] + np.exp(log_factor / 2)[:, None, None] * (active[:, None] - inactive[None])
    assert (np.abs(ends - stretched[:, None]).max(2).min(1) < 1e-5).all()
    pairs = np.asarray(get_nondiagonal_indices(16))
    differences = inactive[pairs[:, 0]] - inactive[pairs[:, 1]]
    assert (np.abs((shifted - active)[:, None] - differences[None]).max(2).min(1) < 1e-5).all()


def test_pairs_are_uniform_over_all_ordered_pairs() -> None:
    """Chi-square of 60,000 pairs of 4, p > 1e-6."""
    uniforms = np.random.default_rng(0).uniform(size=(2, 60_000)).astype(np.float32)
    first, second = jax.jit(random_pairs, static_argnums=1)(uniforms, 4)
    counts = np.zeros((4, 4), int)
    np.add.at(counts, (np.asarray(first), np.asarray(second)), 1)
    assert (np.diag(counts) == 0).all()
    assert stats.chisquare(counts[~np.eye(4, dtype=bool)]).pvalue > 1e-6


def test_stretches_have_their_density() -> None:
    """P(Z < z) = (sqrt(a z) - 1) / (a - 1): Kolmogorov-Smirnov, p > 1e-6."""
    a, n = 2.5, 20_000
    ones, zeros = np.ones((n, 2), np.float32), np.zeros((n, 2), np.float32)
    stretched, _ = jax.jit(StretchMove(a=a).propose)(raw_keys(3, 1)[0], ones, zeros)
    assert stats.kstest(np.asarray(stretched)[:, 0], lambda z: (np.sqrt(a * z) - 1) / (a - 1)).pvalue > 1e-6


# Long runs

DIMENSION, MANY, LENGTH = 4, 32, 20_000
SCALES = np.array([1.0, 0.5, 0.2, 0.1])  # a condition number of 100
ROTATION = np.linalg.qr(np.random.default_rng(1).standard_normal((4, 4)))[0]
COVARIANCE = ROTATION @ np.diag(SCALES**2) @ ROTATION.T
LONG_KERNELS = {
    "AIES": AffineInvariant((StretchMove(), DEMove()), (0.5, 0.5)),
    "ESS": EnsembleSlice((DIRECTIONS["differential"],), (1.0,), 10, 100),
}


@jax.jit
def _draws(aies: Array, precision: Array, centre: Array, starts: Array, keys: Array) -> Array:
    def target(q: Array) -> Array:
        return 0.5 * (q - centre) @ precision @ (q - centre)

    def by_metropolis(key: Array, active: Walkers, inactive: Array) -> Walkers:
        return LONG_KERNELS["AIES"].update(key, active, inactive, target)[0]

    def by_slices(key: Array, active: Walkers, inactive: Array) -> Walkers:
        return LONG_KERNELS["ESS"].update(key, active, inactive, target, jnp.asarray(1.5, active.position.dtype))[0]

    def update(key: Array, active: Walkers, inactive: Walkers, carry: Any) -> Any:
        return jax.lax.cond(aies, by_metropolis, by_slices, key, active, inactive.position), carry, ()

    def step(walkers: Walkers, keys: Array) -> Any:
        walkers, _, _ = in_turn(update, walkers, (), (keys[0], keys[1]))
        return walkers, walkers.position

    return jax.lax.scan(step, Walkers(starts, jax.vmap(target)(starts)), keys)[1]


def draws(kernel: str, slope: np.ndarray, shift: np.ndarray) -> np.ndarray:
    """Draws `(LENGTH, MANY, d)` from N(shift, slope C slope'), in float64, from starts that are mapped along."""
    starts = np.random.default_rng(2).standard_normal((MANY, DIMENSION)) @ slope.T + shift
    precision = np.linalg.inv(slope @ COVARIANCE @ slope.T)
    return np.asarray(_draws(kernel == "AIES", precision, shift, starts, raw_keys(7, LENGTH, 2)))


@pytest.mark.parametrize("kernel", LONG_KERNELS)
def test_moments_of_an_ill_conditioned_normal_and_affine_invariance(kernel: str) -> None:
    """Means and covariances in 5 standard errors, from 50 batches of ensemble means; A x + b with the same keys gives A(draws) + b.

    Rounding grows by a factor of ten in less than ten iterations.
    """
    with jax.enable_x64(True):
        slope, shift = np.random.default_rng(3).standard_normal((4, 4)), np.array([1.0, -2.0, 3.0, 0.5])
        plain, mapped = draws(kernel, np.eye(4), np.zeros(4)), draws(kernel, slope, shift)
    np.testing.assert_allclose(mapped[:40], plain[:40] @ slope.T + shift, atol=1e-4)
    x = plain[1000:]
    pairs = [(i, j) for i in range(4) for j in range(i + 1)]
    statistics = np.concatenate([x.mean(1), np.stack([(x[..., i] * x[..., j]).mean(1) for i, j in pairs], 1)], 1)
    exact = np.array([0.0] * 4 + [COVARIANCE[i, j] for i, j in pairs])
    batches = statistics.reshape(50, -1, statistics.shape[1]).mean(1)
    error = batches.std(0, ddof=1) / np.sqrt(50)
    assert (np.abs(batches.mean(0) - exact) < 5 * error).all()
    assert (error[4:] < 0.1 * np.abs(exact[4:]).max()).all()


def _two_modes(q: Array) -> Array:
    return -jnp.logaddexp(jnp.log(0.3) - 0.5 * (q[0] + 4.0) ** 2, jnp.log(0.7) - 0.5 * (q[0] - 4.0) ** 2)


TWO_MODES = ExactTarget("two_modes", 1, _two_modes, lambda rng, n: rng.normal(rng.choice([-4, 4], n, p=[0.3, 0.7]), 1.0)[:, None])


def test_density_moves_find_the_weights_of_two_modes() -> None:
    """Modes eight standard deviations apart, with half the walkers in each at the start: 5 standard errors of 240 ensembles."""

    def make(which: Array) -> EnsembleSlice:
        return EnsembleSlice((KDEMove(),), (1.0,), max_steps=100, max_iter=100)

    starts = np.random.default_rng(4).standard_normal((240, 16, 1)) + np.where(np.arange(16) % 4 < 2, -4.0, 4.0)[:, None]
    ends = move_ensembles(make, 0, TWO_MODES, num=240, iterations=60, scale=1.0, starts=starts).ends
    share = (ends[..., 0] > 0).mean(1)
    error = share.std(ddof=1) / np.sqrt(240)
    assert abs(share.mean() - 0.7) < 5 * error and error < 0.015


# Tuning


def tuned_length(best: float, num: int, start: float = 1.0, per_iteration: int = 40) -> float:
    """What tuning makes of counts whose shares are even at `best`."""
    rng = np.random.default_rng(5)
    tuning = SliceTuning(jnp.float32(start), jnp.int32(0), jnp.int32(0))
    step = jax.jit(tune_length)
    for i in range(num):
        grown = rng.binomial(per_iteration, 1 / (1 + float(tuning.length) / best))
        tuning = step(tuning, jnp.int32(i), jnp.int32(grown), jnp.int32(per_iteration - grown), jnp.asarray(True))
    return float(tuning.length)


def test_the_length_is_tuned_from_afar_and_settles() -> None:
    """From a thousandth and from a thousand times the best; in the end within a few percent."""
    for start in (1e-3, 1e3):
        assert abs(np.log(tuned_length(1.0, 600, start))) < 0.15


def test_what_is_not_tuned_stays() -> None:
    tuning = SliceTuning(jnp.float32(0.3), jnp.int32(5), jnp.int32(6))
    after = tune_length(tuning, jnp.int32(7), jnp.int32(30), jnp.int32(2), jnp.asarray(False))
    assert (float(after.length), int(after.num_expansions), int(after.num_contractions)) == (np.float32(0.3), 30, 2)


# Whole models

REPLICATES, CHAINS, TIMES = 256, 21, 3


CALIBRATED = [
    (AIES, "simplex", 250, 50),
    (AIES, "truncated", 250, 50),
    (AIES, "ordered", 250, 50),
    (AIES, "subsampled", 250, 50),
    (ESS, "simplex", 60, 10),
    (ESS, "truncated", 60, 10),
    (ESS, "ordered", 60, 10),
    (ESS, "subsampled", 60, 10),
]


@pytest.mark.parametrize(("kernel", "name", "burn_in", "spacing"), CALIBRATED)
def test_ranks_are_uniform(kernel: Any, name: str, burn_in: int, spacing: int) -> None:
    """Calibration as in `test_sbc`, among the walkers of an ensemble at three times: they are nearly independent.

    Chi-square of 256 ranks on 16 bins, p > 2e-5 each, with the log likelihood among the functions.
    """
    case, rng = CASES[name], np.random.default_rng(11)
    sampler = kernel(case.model, randomize_split=True)
    truth = case.prior(rng, REPLICATES)
    data = as_data(case.simulate(rng, truth))
    spread = case.prior(rng, REPLICATES * (CHAINS + 1))
    many = starts_from(case, np.repeat(data, CHAINS + 1, axis=0), spread)
    starts = jax.tree.map(lambda x: x.reshape((REPLICATES, CHAINS + 1, *x.shape[1:])), many)

    def ensemble(triple: tuple[Array, Array, Any]) -> Any:
        keys, y, start = triple
        state = sampler.init(keys, burn_in, start, (y,))

        def skip(_: Any, state: Any) -> Any:
            return sampler.sample(state, (y,))

        def keep(state: Any, _: None) -> Any:
            state = jax.lax.fori_loop(0, spacing, skip, state)
            return state, state.z

        state = jax.lax.fori_loop(0, burn_in, skip, state)
        positions = jax.lax.scan(keep, state, None, length=TIMES)[1]
        return jax.vmap(jax.vmap(sampler.postprocess_fn((y,), {})))(positions)

    drawn = jax.jit(lambda *args: jax.lax.map(ensemble, args))(raw_keys(5, REPLICATES, CHAINS + 1), data, starts)
    values = jax.tree.map(lambda x: np.asarray(x)[:, :, :CHAINS].reshape((REPLICATES, TIMES * CHAINS, *x.shape[3:])), drawn)
    functions = {label: (function(truth), function(values)) for label, function in case.functions.items()}
    functions["log_likelihood"] = case.log_likelihood(truth, data), case.log_likelihood(values, data[:, None])
    for label, (true_value, others) in functions.items():
        ranks = (others < true_value[:, None]).sum(1)
        counts = np.bincount(ranks * 16 // (TIMES * CHAINS + 1), minlength=16)
        assert stats.chisquare(counts).pvalue > 2e-5, (label, counts)


# As kernels of MCMC

Y = jnp.array([0.3, -1.2, 2.0, 0.7])


def model(y: Any) -> None:
    mu = ppl.sample("mu", dist.Normal(0.0, 2.0))
    sigma = ppl.sample("sigma", dist.LogNormal(0.0, 0.5))
    ppl.deterministic("ratio", mu / sigma)
    with ppl.plate("data", len(y)):
        ppl.sample("y", dist.Normal(mu, sigma), obs=y)


KERNELS = {"AIES": AIES(model, randomize_split=True, moves={AIES.StretchMove(): 1, AIES.DEMove(): 3}), "ESS": ESS(model)}
FIELDS = ("inner_state", "z.sigma")


def run(kernel: Any, *args: Any, key: Any = 0, run_options: dict[str, Any] | None = None, **options: Any) -> MCMC:
    settings = dict(num_warmup=40, num_samples=30, num_chains=6, chain_method="vectorized", progress_bar=False) | options
    mcmc = MCMC(kernel, **settings)
    mcmc.run(jax.random.key(key), *(args or (Y,)), **(dict(extra_fields=FIELDS) | (run_options or {})))
    return mcmc


def grouped(mcmc: MCMC) -> dict[str, np.ndarray]:
    return jax.tree.map(np.asarray, mcmc.get_samples(group_by_chain=True))


@pytest.mark.parametrize("name", KERNELS)
def test_samples_fields_and_states(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Samples by chain; what the ensemble shares, for each chain; public states; the summary."""
    mcmc = run(KERNELS[name], num_samples=31, thinning=2)
    samples, fields = grouped(mcmc), mcmc.get_extra_fields(group_by_chain=True)
    assert {label: x.shape for label, x in samples.items()} == dict.fromkeys(("mu", "sigma", "ratio"), (6, 15))
    np.testing.assert_allclose(samples["ratio"], samples["mu"] / samples["sigma"], rtol=1e-5)
    np.testing.assert_allclose(np.log(samples["sigma"]), fields["z.sigma"], rtol=1e-4, atol=1e-5)
    assert np.asarray(fields["inner_state"].i).tolist() == [list(range(43, 72, 2))] * 6
    if name == "ESS":
        lengths = np.asarray(fields["inner_state"].mu)
        assert (lengths == lengths[0, 0]).all() and lengths[0, 0] != 1
    state = mcmc.last_state
    assert isinstance(state, EnsembleSamplerState) and isinstance(state.inner_state, AIESState if name == "AIES" else ESSState)
    np.testing.assert_array_equal(state.z["mu"], samples["mu"][:, -1])
    assert len(np.unique(samples["mu"][:, -1])) == 6
    mcmc.print_summary()
    assert "sigma" in capsys.readouterr().out
    text = KERNELS[name].get_diagnostics_str(state)
    assert text.startswith("acc. prob=0." if name == "AIES" else "mu=")
    if name == "AIES":
        accepted = np.asarray(run(KERNELS[name], num_samples=31).get_extra_fields(group_by_chain=True)["inner_state"].accept_prob)
        np.testing.assert_allclose(state.inner_state.mean_accept_prob, accepted[0].mean(), rtol=1e-4)


def lengths_of(kernel: ESS, num_warmup: int = 10, num: int = 20) -> np.ndarray:
    """The length of intervals after each of some iterations with three steps out for each step in."""
    info = SliceInfo(np.full(6, 3), np.ones(6, int), np.zeros(6, bool), np.zeros((6, 2)), np.zeros(6, bool))
    running = kernel.on(PotentialTarget((), jnp.sum, None, TreeLayout.of(np.zeros(2, np.float32))), 6, num_warmup)
    step = jax.jit(running.end_iteration)
    inner_state, lengths = running.init_inner_state(raw_keys(0, 1)[0]), []
    for _ in range(num):
        inner_state = step(inner_state, info)
        lengths.append(float(inner_state.mu))
    return np.array(lengths)


def test_the_length_is_tuned_in_warmup_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """And a fault that tunes for ever is seen; without tuning it stays what it was."""
    lengths = lengths_of(ESS(model))
    assert lengths[9] > 10 and (lengths[9:] == lengths[9]).all()
    assert (lengths_of(ESS(model, tune_mu=False, init_mu=0.75)) == 0.75).all()

    def for_ever(tuning: Any, i: Any, grown: Any, shrunk: Any, is_tuned: Any) -> Any:
        return tune_length(tuning, i, grown, shrunk, i >= 0)

    monkeypatch.setattr("ppl.infer.ensemble.tune_length", for_ever)
    assert not (lengths_of(ESS(model))[9:] == lengths[9]).all()


@pytest.mark.parametrize("name", KERNELS)
def test_runs_are_continued(name: str) -> None:
    """Two runs, the second from the last state with its key, are one longer run; so are warm-up and run. A new key: new draws."""
    kernel = KERNELS[name]
    whole = grouped(run(kernel, num_samples=60))
    parts = run(kernel, num_samples=25)
    first = grouped(parts)["mu"]
    parts.post_warmup_state, parts.num_samples = parts.last_state, 35
    parts.run(parts.last_state.rng_key, Y, extra_fields=FIELDS)
    np.testing.assert_array_equal(np.concatenate([first, grouped(parts)["mu"]], 1), whole["mu"])
    assert int(parts.last_state.inner_state.i) == 35
    warmed = MCMC(kernel, num_warmup=40, num_samples=60, num_chains=6, chain_method="vectorized", progress_bar=False)
    warmed.warmup(jax.random.key(0), Y, extra_fields=FIELDS)
    warmed.run(warmed.post_warmup_state.rng_key, Y, extra_fields=FIELDS)
    np.testing.assert_array_equal(grouped(warmed)["mu"], whole["mu"])
    warmed.run(jax.random.key(3), Y, extra_fields=FIELDS)
    assert not np.isclose(grouped(warmed)["mu"], whole["mu"]).all(1).any()
    other = kernel.launch((Y,), {}, fields=(), init_params=None, num_chains=8, num_warmup=0, cache={})
    with pytest.raises(ValueError, match=r"shape \(6,\), expected \(8,\)"):
        other.carry_of(warmed.last_state)


def test_runs_are_pickled() -> None:
    mcmc = run(KERNELS["AIES"])
    again = pickle.loads(pickle.dumps(mcmc))
    np.testing.assert_array_equal(grouped(again)["mu"], grouped(mcmc)["mu"])
    np.testing.assert_array_equal(again.last_state.rng_key, mcmc.last_state.rng_key)
    again.run(jax.random.key(0), Y, extra_fields=FIELDS)
    np.testing.assert_array_equal(grouped(again)["mu"], grouped(mcmc)["mu"])
    assert pickle.loads(pickle.dumps(KERNELS["ESS"])).is_ensemble_kernel


def test_the_second_run_compiles_nothing_and_data_may_change() -> None:
    """Other data of the same shape compile nothing; more data do; then the first again give the first draws."""
    kernel = KERNELS["AIES"]
    before = grouped(run(kernel))["mu"]
    compiled: list[str] = []

    def listen(event: str, duration: float, **_: Any) -> None:
        if "backend_compile" in event:
            compiled.append(event)

    jax.monitoring.register_event_duration_secs_listener(listen)
    try:
        other = run(kernel, np.array([4.0, 3.0, 5.0, 4.5], np.float32), num_warmup=200, num_samples=100, thinning=3)
        assert compiled == []
        assert 2.5 < grouped(other)["mu"].mean() < 5
        more = run(kernel, np.concatenate([np.asarray(Y) + 5] * 8), num_warmup=200, num_samples=100)
        assert 0 < len(compiled) <= 3
    finally:
        jax.monitoring.unregister_event_duration_listener(listen)
    assert 4.5 < grouped(more)["mu"].mean() < 6.5
    np.testing.assert_array_equal(grouped(run(kernel))["mu"], before)


def test_a_bar_changes_nothing(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    expected = grouped(run(KERNELS["AIES"]))["mu"]
    for name in ("CI", "PYTEST_XDIST_WORKER"):
        monkeypatch.delenv(name, raising=False)
    shown = run(KERNELS["AIES"], progress_bar=True, progress_rate=11)
    np.testing.assert_array_equal(grouped(shown)["mu"], expected)
    text = capsys.readouterr().err
    assert "acc. prob=" in text and "sample" in text and "R-hat" in text


def test_float64_and_strict_promotion() -> None:
    """A run in 64 bits; and every move is traced."""
    kernel = ESS(model, moves={ESS.KDEMove(): 0.5, ESS.GaussianMove(): 0.25, ESS.RandomMove(): 0.25})
    y = np.asarray(Y, np.float64)
    with jax.numpy_dtype_promotion("strict"), jax.numpy_rank_promotion("raise"):
        with jax.enable_x64(True):
            mcmc = run(KERNELS["AIES"], y)
            assert mcmc.get_samples()["mu"].dtype == jnp.float64
            assert mcmc.last_state.inner_state.accept_prob.dtype == jnp.float64
        for is_double in (False, True):
            with jax.enable_x64(is_double):
                start = jax.eval_shape(lambda keys: kernel.init(keys, 5, None, (y,)), raw_keys(0, 6))
                assert jax.eval_shape(lambda state: kernel.sample(state, (y,)), start) == start


def test_discrete_sites_are_summed_out() -> None:
    """A mixture: P(y) = .4 N(y | mu, 1) + .6 N(y | mu + 3, 1), of which the posterior mean of mu is known by quadrature."""

    def mixture(y: Any) -> None:
        mu = ppl.sample("mu", dist.Normal(0.0, 2.0))
        c = ppl.sample("c", dist.Bernoulli(0.6), infer={"enumerate": "parallel"})
        ppl.sample("y", dist.Normal(mu + 3.0 * c, 1.0), obs=y)

    mcmc = run(AIES(mixture), np.float32(2.0), num_warmup=200, num_samples=3000, num_chains=10, run_options=dict(extra_fields=()))
    grid = np.linspace(-12, 12, 4001)
    density = stats.norm.pdf(grid, 0, 2) * (0.4 * stats.norm.pdf(2, grid, 1) + 0.6 * stats.norm.pdf(2, grid + 3, 1))
    exact = float(np.sum(grid * density) / np.sum(density))
    batches = grouped(mcmc)["mu"].mean(0).reshape(30, -1).mean(1)
    assert abs(batches.mean() - exact) < 5 * batches.std(ddof=1) / np.sqrt(30)
    assert sorted(mcmc.get_samples()) == ["mu"]


def test_models_without_gradients_and_potential_functions() -> None:
    """A loop that has no reverse mode; starts with a leading chain axis, which is demanded."""

    def potential_fn(z: Any) -> Array:
        halved = jax.lax.while_loop(lambda x: jnp.abs(x[0]) > 1e6, lambda x: x / 2, z["a"])
        return 0.5 * jnp.sum(halved**2) + jnp.sum(jnp.abs(z["b"]))

    rng = np.random.default_rng(0)
    start = {"a": rng.standard_normal((8, 2)), "b": rng.standard_normal(8)}
    options = dict(num_chains=8, num_warmup=100, num_samples=400)
    mcmc = run(AIES(potential_fn=potential_fn), run_options=dict(init_params=start, extra_fields=()), **options)
    assert mcmc.get_samples(group_by_chain=True)["a"].shape == (8, 400, 2)
    assert abs(float(np.std(mcmc.get_samples()["b"])) - np.sqrt(2)) < 0.5
    with pytest.raises(ValueError, match="init_params"):
        run(AIES(potential_fn=potential_fn), run_options=dict(init_params={"a": np.zeros(2), "b": 0.0}), **options)


def test_init_params_are_honoured() -> None:
    """All sites or some, one value for each chain."""
    start = {"mu": np.arange(6.0), "sigma": np.linspace(-1, 1, 6)}
    for given in (start, {"mu": start["mu"]}):
        state = KERNELS["AIES"].init(raw_keys(0, 6), 0, given, (Y,))
        np.testing.assert_allclose(state.z["mu"], start["mu"])
        assert len(np.unique(state.z["sigma"])) == 6
    np.testing.assert_allclose(KERNELS["AIES"].init(raw_keys(0, 6), 0, start, (Y,)).z["sigma"], start["sigma"], rtol=1e-6)


Inner = namedtuple("Inner", "rng_key count")


class Walk(EnsembleSampler):
    """Random walks by the spread of the other half."""

    def init_inner_state(self, rng_key: Any) -> Inner:
        return Inner(rng_key, jnp.full(2, self._num_chains))

    def update_active_chains(self, active: Any, inactive: Any, inner_state: Inner) -> Any:
        k_move, k_accept = jax.random.split(inner_state.rng_key)
        proposal = active + jax.random.normal(k_move, active.shape) * jnp.std(inactive, 0)
        change = self.potential_energies(active) - self.potential_energies(proposal)
        accepted = jnp.log(jax.random.uniform(k_accept, change.shape)) < change
        return jnp.where(accepted[:, None], proposal, active), inner_state._replace(count=inner_state.count + 1)


def test_an_ensemble_of_ones_own() -> None:
    """It runs, its inner state goes through both updates of each iteration, and its draws are those of the posterior."""
    kernel = Walk(model, randomize_split=False, init_strategy=init_to_sample)
    walked = run(kernel, num_samples=1000, num_chains=8, run_options=dict(extra_fields=("inner_state.count",)))
    assert np.asarray(walked.get_extra_fields(group_by_chain=True)["inner_state.count"])[:, -1].tolist() == [[8 + 2080] * 2] * 8
    means = []
    for mcmc in (walked, run(KERNELS["ESS"], num_samples=1000)):
        batches = grouped(mcmc)["mu"].mean(0).reshape(20, -1).mean(1)
        means.append((batches.mean(), batches.std(ddof=1) / np.sqrt(20)))
    assert abs(means[0][0] - means[1][0]) < 5 * np.hypot(means[0][1], means[1][1])


def test_one_update_at_a_time() -> None:
    """The public hooks: positions alone, energies computed on the way, a new key in the inner state."""
    kernel = KERNELS["AIES"]
    state = kernel.init(raw_keys(0, 6), 10, None, (Y,))
    with pytest.raises(RuntimeError, match="while the kernel runs"):
        kernel.potential_energies(np.zeros((3, 2), np.float32))
    target = kernel.get_potential_fn((Y,))
    running = kernel.on(lambda q: target({"mu": q[0], "sigma": q[1]}), 6, 10)
    flat, unravel = batch_ravel_pytree(state.z)
    active, inner_state = jax.jit(running.update_active_chains)(flat[:3], flat[3:], state.inner_state)
    assert active.shape == (3, 2) and (np.asarray(active) != np.asarray(flat[:3])).any()
    assert (np.asarray(inner_state.rng_key) != np.asarray(state.inner_state.rng_key)).any()
    np.testing.assert_array_equal(unravel(flat)["mu"], state.z["mu"])


def test_models_at_the_edge() -> None:
    """No latent sites; a start that strategy and data make impossible is explained."""

    def fixed(y: Any) -> None:
        ppl.deterministic("twice", 2 * y)

    assert run(AIES(fixed), run_options=dict(extra_fields=())).get_samples(group_by_chain=True)["twice"].shape == (6, 30, 4)
    with pytest.warns(UserWarning, match="nan"), pytest.raises(RuntimeError, match=r"6 of 6 chains.*\n.*site 'y'"):
        run(KERNELS["AIES"], Y.at[2].set(jnp.nan))


def test_few_chains_are_said() -> None:
    def wide() -> None:
        ppl.sample("x", dist.Normal(0.0, 1.0).expand([5]).to_event(1))

    def launch(kernel: Any, num_chains: int) -> None:
        kernel.launch((), {}, fields=(), init_params=None, num_chains=num_chains, num_warmup=1, cache={})

    with pytest.warns(UserWarning, match="num_chains=6 is less than twice.* 5"):
        launch(AIES(wide, randomize_split=True), 6)
    with pytest.warns(UserWarning, match="num_chains=4 is less than twice"):
        launch(ESS(wide, moves={ESS.RandomMove(): 1.0}), 4)
    with pytest.raises(ValueError, match="num_chains=8 at least"):
        launch(AIES(wide), 6)


def test_advice() -> None:
    """Hardly any acceptance, and slices at a limit."""
    assert "hardly move" in AIES(model).get_advice({"accept_prob": np.full((6, 10), 0.02)})[0]
    assert AIES(model).get_advice({"accept_prob": np.full((6, 10), 0.4)}) == []
    assert "at a limit (max_steps=10000" in ESS(model).get_advice({"at_limit": np.eye(6)})[0]
