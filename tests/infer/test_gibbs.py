"""Gibbs sampling over blocks: exact joint laws stay exact, models are calibrated, and runs do what every run does."""

import itertools
import pickle
from collections.abc import Callable
from dataclasses import replace
from typing import Any, NamedTuple

import faults_gibbs
import features
import features_gibbs
import jax
import jax.numpy as jnp
import joint_laws
import numpy as np
import pytest
from jax import random
from joint_laws import DISCRETE, of_inner
from scipy import stats
from test_chains import Y, grouped, run
from test_sbc import Calibration, consistency, ranks_of, uniformity

import ppl
import ppl.distributions as dist
from ppl.diagnostics import effective_sample_size
from ppl.infer import HMC, MCMC, NUTS, BarkerMH, MixedHMC, init_to_value
from ppl.infer.algorithms.discrete import DiscreteProposal
from ppl.infer.gibbs import (
    CustomGibbs,
    DiscreteGibbs,
    DiscreteGibbsState,
    Gibbs,
    GibbsState,
    discrete_latent_sites,
    latent_sample_sites,
)
from ppl.infer.hmc_gibbs import DiscreteHMCGibbs, HMCGibbs, HMCGibbsState
from ppl.infer.mcmc import MCMCKernel
from ppl.infer.util import potential_energy

Z_LIMIT, RED = 5.0, 7.0
VARIANTS: dict[str, dict[str, bool]] = {
    "default": {},
    "modified": {"modified": True},
    "random walk": {"random_walk": True},
    "random walk, modified": {"random_walk": True, "modified": True},
}


def hmc(case: Calibration, factor: float = 1.0) -> HMC:
    """Three leapfrog steps that are too large."""
    fixed: dict[str, Any] = dict(step_size=factor * case.step_size, adapt_step_size=False, adapt_mass_matrix=False)
    return HMC(case.model, num_steps=3, trajectory_length=None, **fixed)


# Proposals of discrete states

LOG_WEIGHTS = np.log(np.array([0.05, 0.6, 1.0, 0.35], np.float32))


def imbalance(proposal: DiscreteProposal, num: int = 400_000) -> float:
    """The largest z-score of the flow from one state to another less the flow back, which detailed balance makes zero.

    Independent starts from the exact law of four states; 12 pairs: above 5 with probability below 1e-5.
    """
    rng = np.random.default_rng(3)
    probs = np.exp(LOG_WEIGHTS) / np.exp(LOG_WEIGHTS).sum()
    starts = rng.choice(4, num, p=probs / probs.sum(dtype=float)).astype(np.int32)
    uniforms = rng.uniform(size=(2, num)).astype(np.float32)
    weights = jnp.broadcast_to(jnp.asarray(LOG_WEIGHTS)[:, None], (4, num))
    ends, _ = jax.jit(proposal.update)(uniforms, weights, starts)
    flow = np.zeros((4, 4))
    np.add.at(flow, (starts, np.asarray(ends)), 1)
    assert (flow[~np.eye(4, dtype=bool)] > 0).all()
    return float(max(abs(flow[i, j] - flow[j, i]) / np.sqrt(flow[i, j] + flow[j, i]) for i in range(4) for j in range(i)))


@pytest.mark.parametrize("variant", VARIANTS)
def test_detailed_balance(variant: str) -> None:
    assert imbalance(DiscreteProposal(**VARIANTS[variant])) < Z_LIMIT


def test_modified_updates_move_more() -> None:
    """Peskun's order: each off-diagonal probability is at least that of the plain update; exactly, from the formulas."""
    probs = np.exp(LOG_WEIGHTS) / np.exp(LOG_WEIGHTS).sum()
    for old, new in itertools.permutations(range(4), 2):
        weights, current = jnp.asarray(LOG_WEIGHTS)[:, None], jnp.array([old], jnp.int32)
        drawn = probs * (np.arange(4) != old) / (1 - probs[old])
        place = jnp.array([np.cumsum(drawn)[new] - 0.5 * drawn[new]], jnp.float32)
        choice = DiscreteProposal(modified=True).propose(place, weights, current)
        assert int(choice.state[0]) == new
        accept_prob = min(1.0, float(jnp.exp(-choice.energy_change[0])))
        np.testing.assert_allclose(accept_prob, min(1.0, (1 - probs[old]) / (1 - probs[new])), rtol=1e-5)
        assert drawn[new] * accept_prob >= probs[new] - 1e-6


def test_where_only_one_state_has_weight() -> None:
    """No other is taken, by any variant, and nothing is not a number; nor from a state at hand without weight."""
    weights = jnp.array([[-jnp.inf, 0.0, -jnp.inf]]).T
    for options in VARIANTS.values():
        for u in (0.0, 0.4, 1 - 2**-24):
            state, accept_prob = DiscreteProposal(**options).update(jnp.full((2, 1), u), weights, jnp.array([1], jnp.int32))
            assert int(state[0]) == 1 and np.isfinite(accept_prob).all()


@pytest.mark.parametrize(
    ("fault", "variant"),
    [
        (faults_gibbs.WithoutReverse, "modified"),
        (faults_gibbs.ReverseSwapped, "modified"),
        (faults_gibbs.WithoutProposal, "default"),
        (faults_gibbs.WithoutProposal, "modified"),
        (faults_gibbs.UniformIsExact, "random walk"),
        (faults_gibbs.UniformIsExact, "random walk, modified"),
    ],
)
def test_balance_sees_faults(fault: type[DiscreteProposal], variant: str) -> None:
    assert imbalance(fault(**VARIANTS[variant])) > RED


# Exact joint laws of sites and data stay what they are

CONJUGATE = {
    "two normals": (joint_laws.TWO_NORMALS, joint_laws.draw_x),
    "variance": (joint_laws.VARIANCES, joint_laws.draw_tau2),
    "means": (joint_laws.MEANS, joint_laws.draw_mu_and_theta),
    "assignments": (joint_laws.PLATED, joint_laws.draw_assignments),
}


def conjugate(name: str) -> tuple[HMCGibbs, Calibration]:
    case, gibbs_fn = CONJUGATE[name]
    return HMCGibbs(hmc(case), gibbs_fn, case.held), case


@pytest.mark.parametrize("name", CONJUGATE)
def test_a_users_updates_keep_the_joint_law(name: str) -> None:
    """20,000 exact starts with data of their own, two iterations; at 40 to 90 per cent acceptance."""
    assert consistency(*conjugate(name), told=of_inner, acceptance=(0.4, 0.9)) < Z_LIMIT


SWEEPS = {
    "mixture": "modified",
    "ring": "random walk",
    "supports": "random walk, modified",
    "plated": "default",
    "nested": "modified",
    "family": "random walk",
    "summed": "default",
    "weighted": "modified",
}


def swept(name: str) -> tuple[DiscreteHMCGibbs, Calibration]:
    case = DISCRETE[name]
    return DiscreteHMCGibbs(hmc(case), **VARIANTS[SWEEPS[name]]), case


@pytest.mark.parametrize("name", SWEEPS)
def test_discrete_updates_keep_the_joint_law(name: str) -> None:
    assert consistency(*swept(name), told=of_inner, acceptance=(0.4, 0.9)) < Z_LIMIT


def test_blocks_of_all_kinds_keep_the_joint_law() -> None:
    """A user's update, discrete ones, and two chains on continuous sites, one of them Barker's."""
    case = joint_laws.PLATED
    kernel = Gibbs(
        [
            (BarkerMH(case.model, step_size=0.9, adapt_step_size=False, adapt_mass_matrix=False), ["mu"]),
            (DiscreteGibbs(case.model, modified=True), discrete_latent_sites),
            (hmc(case), None),
        ]
    )
    assert consistency(kernel, case, told=lambda state: state.block_states[0].accept_prob, acceptance=(0.3, 0.8)) < Z_LIMIT


def test_discrete_sites_alone() -> None:
    case = joint_laws.DISCRETE_ONLY
    kernel = Gibbs([(DiscreteGibbs(case.model, random_walk=True), latent_sample_sites)])
    assert consistency(kernel, case, told=lambda state: jnp.float32(1.0)) < Z_LIMIT


@pytest.mark.parametrize(
    ("fault", "name"),
    [
        (faults_gibbs.without_rebase, "two normals"),
        (faults_gibbs.with_old_values, "two normals"),
        (faults_gibbs.without_rebase, "mixture"),
        (faults_gibbs.support_too_small, "mixture"),
        (faults_gibbs.support_from_zero, "supports"),
        (faults_gibbs.coupled_at_a_time, "ring"),
    ],
)
def test_consistency_sees_faults(fault: faults_gibbs.Plant, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    fault(monkeypatch)
    kernel, case = conjugate(name) if name in CONJUGATE else swept(name)
    num = 40_000 if name == "two normals" else 10_000
    assert consistency(kernel, case, num, told=of_inner, acceptance=(0.0, 1.0)) > RED


def test_a_constant_update_changes_nothing() -> None:
    """Conditioning on a site by an update that keeps it, and by `condition`: the same draws."""
    kernel = HMCGibbs(NUTS(features_gibbs.switched), lambda rng_key, gibbs_sites, hmc_sites: gibbs_sites, ["k"])
    given = NUTS(ppl.handlers.condition(features_gibbs.switched, {"k": jnp.int32(1)}))
    scores = []
    for site in ("mu", "sigma"):
        samples = [
            grouped(run(kernel, num_samples=1000, num_warmup=300, run_options=dict(init_params={"k": 1}))),
            grouped(run(given, num_samples=1000, num_warmup=300)),
        ]
        scores.append(abs(samples[0][site].mean() - samples[1][site].mean()) / samples[1][site].std() * np.sqrt(1000 / 8))
    assert max(scores) < Z_LIMIT


# Keys


def test_keys_are_used_once(monkeypatch: pytest.MonkeyPatch) -> None:
    kernel = DiscreteHMCGibbs(HMC(features_gibbs.switched, num_steps=1, trajectory_length=None))
    assert features_gibbs.words_used_twice(kernel, monkeypatch) == 0
    faults_gibbs.one_key_for_all(monkeypatch)
    assert features_gibbs.words_used_twice(kernel, monkeypatch) > 0


# What is updated at a time


def apart(model: Any, *args: Any) -> dict[str, tuple[int, ...]]:
    kernel = DiscreteHMCGibbs(NUTS(model))
    binding, _ = kernel.bind(args, {}, None)
    (block, *_) = kernel.process(binding).blocks
    return {conditional.name: conditional.apart for conditional in block.conditionals}


def test_elements_that_no_factor_mixes_are_updated_at_a_time() -> None:
    assert apart(joint_laws.plated, jnp.zeros(6)) == {"z": (0,)}
    assert apart(joint_laws.ring, jnp.zeros(4)) == {"z": ()}
    assert apart(joint_laws.nested, jnp.zeros(3)) == {"z": (0,)}
    assert apart(joint_laws.supports, 0.0) == {"a": (), "b": (), "k": (), "d": ()}


# Whole runs


class Placed(NamedTuple):
    z: Any
    rng_key: Any


class Recall(MCMCKernel):
    """A user's kernel on the constrained values of its sites, which stays where it starts."""

    sample_field = "z"

    def __init__(self, model: Any) -> None:
        self.model = model

    def init(self, rng_key: Any, num_warmup: int, init_params: Any, model_args: Any, model_kwargs: Any) -> Placed:
        return Placed(init_params, rng_key)

    def sample(self, state: Placed, model_args: Any, model_kwargs: Any) -> Placed:
        return state

    def refresh(self, state: Placed, model_args: Any, model_kwargs: Any) -> Placed:
        return state

    def wrap_model(self, wrapper: Any) -> "Recall":
        return type(self)(wrapper(self.model))


class Steps(Recall):
    """The same as a random walk."""

    def sample(self, state: Placed, model_args: Any, model_kwargs: Any) -> Placed:
        rng_key, k_step, k_accept = random.split(state.rng_key, 3)
        proposal = {name: x + 2 * random.normal(k_step, jnp.shape(x)) for name, x in state.z.items()}
        before, after = (potential_energy(self.model, model_args, model_kwargs, z) for z in (state.z, proposal))
        accepted = random.uniform(k_accept) < jnp.exp(before - after)
        return Placed(jax.tree.map(lambda new, old: jnp.where(accepted, new, old), proposal, state.z), rng_key)


@pytest.mark.parametrize(("inner", "length", "time"), [(NUTS, 5000, 10), (Steps, 20_000, 20)])
def test_two_normals_in_a_run(inner: Any, length: int, time: int) -> None:
    """Means 4/9, variances 20/9, correlation -.8: 5 standard errors at an autocorrelation time of `time` or less."""
    kernel = HMCGibbs(inner(joint_laws.two_normals), joint_laws.draw_x, ["x"])
    mcmc = MCMC(kernel, num_warmup=500, num_samples=length, num_chains=4, progress_bar=False)
    mcmc.run(random.key(0), 1.0)
    x, y = (np.asarray(mcmc.get_samples()[name], np.float64) for name in "xy")
    size = 4 * length / time
    assert max(abs(x.mean() - 4 / 9), abs(y.mean() - 4 / 9)) < 5 * np.sqrt(20 / 9 / size)
    assert max(abs(x.var() - 20 / 9), abs(y.var() - 20 / 9)) < 5 * 20 / 9 * np.sqrt(2 / size)
    assert abs(np.corrcoef(x, y)[0, 1] + 0.8) < 5 * 0.36 / np.sqrt(size)


@pytest.mark.parametrize("inner", [NUTS, Steps])
def test_the_mixture_in_a_run(inner: Any) -> None:
    """Mean 1.3, variance 4.36, weights .15, .3, .3, .25: 5 standard errors, by effective sizes."""
    kernel = DiscreteHMCGibbs(inner(joint_laws.mixture), modified=True)
    mcmc = MCMC(kernel, num_warmup=500, num_samples=100_000, num_chains=2, progress_bar=False)
    mcmc.run(random.key(0))
    assert joint_laws.mixture_deviation(mcmc.get_samples(group_by_chain=True)) < Z_LIMIT


def test_all_states_of_the_ring_in_a_run() -> None:
    """Chi-square over 16 states on thinned draws, without data."""

    def spins() -> None:
        with ppl.plate("spins", 4):
            z = ppl.sample("z", dist.Bernoulli(0.5))
        ppl.factor("coupling", joint_laws.COUPLING * jnp.sum((2.0 * z - 1.0) * (2.0 * jnp.roll(z, 1) - 1.0)))

    mcmc = MCMC(DiscreteHMCGibbs(NUTS(spins)), num_warmup=50, num_samples=20_000, thinning=5, num_chains=2, progress_bar=False)
    mcmc.run(random.key(0))
    counts = np.bincount(np.asarray(mcmc.get_samples()["z"]) @ [8, 4, 2, 1], minlength=16)
    assert stats.chisquare(counts, joint_laws.RING_PROBS * counts.sum()).pvalue > 1e-4


# Calibration

RANKED = ("mixture", "plated", "family", "ring")


@pytest.mark.parametrize("name", RANKED)
def test_discrete_ranks_are_uniform(name: str) -> None:
    """As in `test_sbc`: chi-square at p > 2e-5, the log likelihood among the functions; ranks of discrete values break ties."""
    case = DISCRETE[name]
    for label, counts in ranks_of(case, DiscreteHMCGibbs(hmc(case, 0.5)), burn_in=60, thinning=8, told=of_inner).items():
        assert uniformity(counts) > 2e-5, (label, counts)


@pytest.mark.parametrize("name", CONJUGATE)
def test_ranks_of_users_updates_are_uniform(name: str) -> None:
    kernel, case = conjugate(name)
    for label, counts in ranks_of(case, kernel, burn_in=60, thinning=8, told=of_inner).items():
        assert uniformity(counts) > 2e-5, (label, counts)


def test_ranks_of_three_blocks_are_uniform() -> None:
    """A variance and means by users' updates, in blocks of their own, and one site left to NUTS."""
    case = replace(joint_laws.VARIANCES, held=("mu", "tau2"))

    def draw_mu(rng_key: Any, gibbs_sites: Any, hmc_sites: Any) -> Any:
        precision = 1.0 + 4.0 / hmc_sites["tau2"]
        mean = jnp.sum(hmc_sites["theta"]) / hmc_sites["tau2"] / precision
        return {"mu": mean + random.normal(rng_key) / jnp.sqrt(precision)}

    inner = NUTS(case.model, step_size=0.5, adapt_step_size=False, adapt_mass_matrix=False, max_tree_depth=4)
    kernel = Gibbs([(CustomGibbs(draw_mu), ["mu"]), (CustomGibbs(joint_laws.draw_tau2), ["tau2"]), (inner, None)])
    accepted = dict(told=lambda state: state.block_states[2].accept_prob)
    for label, counts in ranks_of(case, kernel, burn_in=40, thinning=5, **accepted).items():
        assert uniformity(counts) > 2e-5, (label, counts)


def test_repeated_draws_of_discrete_sites() -> None:
    """A site with `sample_shape`: as many states as draws must not take one for the other."""

    def model() -> None:
        ppl.sample("z", dist.Bernoulli(jnp.array([0.1, 0.7])), sample_shape=(2,))
        ppl.sample("x", dist.Normal(0.0, 1.0))

    mcmc = MCMC(
        DiscreteHMCGibbs(HMC(model, num_steps=1, trajectory_length=None)), num_warmup=0, num_samples=4000, progress_bar=False
    )
    mcmc.run(0)
    p = np.array([[0.1, 0.7]] * 2)
    assert np.abs((mcmc.get_samples()["z"].mean(0) - p) / np.sqrt(p * (1 - p) / 4000)).max() < 4.5


@pytest.mark.parametrize("count", [4, np.int64(4), jnp.array([4, 2])], ids=["number", "NumPy", "array"])
def test_a_number_of_states_may_be_an_argument(count: Any) -> None:
    def model(count: Any) -> None:
        with ppl.plate("n", 2):
            k = ppl.sample("k", dist.Binomial(count, 0.5))
            ppl.sample("x", dist.Normal(1.0 * k, 1.0))

    mcmc = MCMC(DiscreteHMCGibbs(NUTS(model)), num_warmup=50, num_samples=1000, progress_bar=False)
    mcmc.run(0, count)
    assert (mcmc.get_samples()["k"].max(0) == np.broadcast_to(count, 2)).all()


def test_discrete_blocks_tell_the_energy_that_they_know() -> None:
    """It is that of all sites where a chain was moved last, and nan where none was."""
    case = joint_laws.MIXTURE
    discrete, chain = (DiscreteGibbs(case.model), ["c"]), (NUTS(case.model), None)
    for blocks, is_known in (((discrete, chain), True), ((chain, discrete), False)):
        kernel = Gibbs(list(blocks))
        number = blocks.index(discrete)
        mcmc = MCMC(kernel, num_warmup=5, num_samples=20, progress_bar=False)
        mcmc.run(0, extra_fields=(f"block_states.{number}.potential_energy", "z.c", "z.x"))
        fields = mcmc.get_extra_fields()
        energy = fields[f"block_states.{number}.potential_energy"]
        if is_known:
            exact = jax.vmap(kernel.get_potential_fn())({name: fields[f"z.{name}"] for name in "cx"})
            np.testing.assert_allclose(energy, exact, rtol=1e-4, atol=1e-4)
        else:
            assert np.isnan(energy).all()


# Features

DISCRETE_KERNEL = DiscreteHMCGibbs(NUTS(features_gibbs.switched))
KERNEL = HMCGibbs(NUTS(features_gibbs.switched), features_gibbs.draw_k, ["k"])


def test_chain_methods() -> None:
    features_gibbs.same_draws_in_every_chain_method(DISCRETE_KERNEL)
    features_gibbs.same_draws_in_every_chain_method(KERNEL)


def test_one_compilation() -> None:
    features.second_run_compiles_nothing(DISCRETE_KERNEL)
    features.second_run_compiles_nothing(KERNEL)


def test_data_of_another_shape() -> None:
    features.takes_data_of_another_shape(DISCRETE_KERNEL)
    features.goes_on_with_other_data(DISCRETE_KERNEL)


def test_continuation() -> None:
    features_gibbs.continues(DISCRETE_KERNEL, "block_states.1.diverging")
    features_gibbs.continues(KERNEL, "block_states.1.accept_prob")


def test_fields_and_thinning() -> None:
    """The potential energy of the discrete block is that of the whole state."""
    names = ("block_states.0.potential_energy", "block_states.1.potential_energy", "block_states.0.z", "z.k")
    features_gibbs.keeps_fields_and_thins(DISCRETE_KERNEL, HMCGibbsState, "block_states.1", names[:2])
    mcmc = run(DISCRETE_KERNEL, run_options=dict(extra_fields=names))
    extra = mcmc.get_extra_fields()
    np.testing.assert_array_equal(extra[names[0]], extra[names[1]])
    np.testing.assert_array_equal(extra["block_states.0.z"]["k"], mcmc.get_samples()["k"])
    state = mcmc.last_state
    assert isinstance(state.block_states[0], DiscreteGibbsState)
    expected = DISCRETE_KERNEL.get_potential_fn((Y,))(state.z)
    np.testing.assert_allclose(state.block_states[1].potential_energy, expected, rtol=1e-5)
    other = DISCRETE_KERNEL.refresh(state, (Y + 1.0,))
    expected = DISCRETE_KERNEL.get_potential_fn((Y + 1.0,))(state.z)
    np.testing.assert_allclose(other.block_states[1].potential_energy, expected, rtol=1e-5)


def test_constrained_values_are_those_of_the_state() -> None:
    run(DISCRETE_KERNEL, num_warmup=1, num_samples=1)
    constrain = DISCRETE_KERNEL.get_constrain_fn((Y,), return_deterministic=True)
    for k in (0, 1):
        values = constrain({"k": k, "mu": 1.0, "sigma": 0.0})
        assert int(values["k"]) == k and values["k"].dtype == jnp.int32 and float(values["ratio"]) == 1.0


def test_progress_and_summary(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    pattern = r"\d+ steps of size \d\.\d\de[-+]\d\d\. acc\. prob=\d\.\d\d"
    features_gibbs.shows_progress_and_summary(DISCRETE_KERNEL, pattern, monkeypatch, capsys)


def test_float64() -> None:
    features_gibbs.runs_in_float64(DISCRETE_KERNEL)


def test_strict_promotion() -> None:
    features.is_strict(lambda _: DiscreteHMCGibbs(NUTS(features_gibbs.switched), random_walk=True, modified=True))


def test_start_values() -> None:
    """Constrained for sites of the discrete block, unconstrained for others; for all chains, by chain, or for some sites."""
    fixed: dict[str, Any] = dict(step_size=1e-9, adapt_step_size=False, adapt_mass_matrix=False)
    keep = HMCGibbs(HMC(features_gibbs.switched, **fixed), lambda rng_key, gibbs_sites, hmc_sites: gibbs_sites, ["k"])
    first = dict(num_warmup=0, num_samples=1, num_chains=2)
    samples = run(keep, **first, run_options=dict(init_params={"k": 1, "mu": 1.5, "sigma": -0.5})).get_samples()
    np.testing.assert_allclose([*samples["mu"], *np.log(samples["sigma"]), *samples["k"]], [1.5, 1.5, -0.5, -0.5, 1, 1], rtol=1e-5)
    by_chain = {"k": jnp.array([0, 1]), "mu": jnp.array([1.0, 2.0])}
    samples = run(keep, **first, run_options=dict(init_params=by_chain)).get_samples()
    np.testing.assert_allclose([*samples["mu"], *samples["k"]], [1, 2, 0, 1], rtol=1e-5)
    strategy = init_to_value(values={"k": 1, "mu": 1.25})
    by_strategy = HMCGibbs(
        HMC(features_gibbs.switched, init_strategy=strategy, **fixed), lambda rng_key, gibbs_sites, hmc_sites: gibbs_sites, ["k"]
    )
    samples = run(by_strategy, **first).get_samples()
    np.testing.assert_allclose([*samples["mu"], *samples["k"]], [1.25, 1.25, 1, 1], rtol=1e-5)


@pytest.mark.parametrize("make", [HMC, BarkerMH])
def test_other_inner_kernels(make: Any) -> None:
    """E(mu) and P(k = 1) by quadrature, within 5 standard errors at the effective size; and the driver pickles."""
    mcmc = run(DiscreteHMCGibbs(make(features_gibbs.switched)), num_warmup=1000, num_samples=6000)
    samples = pickle.loads(pickle.dumps(mcmc)).get_samples(group_by_chain=True)
    for values, exact in zip((samples["mu"], samples["k"]), features_gibbs.exact_means()):
        values = np.asarray(values, np.float64)
        size = effective_sample_size(values)
        assert size > 100 and abs(values.mean() - exact) < 5 * values.std() / np.sqrt(size)


def test_enumerated_sites_can_be_drawn() -> None:
    mcmc = MCMC(DiscreteHMCGibbs(NUTS(joint_laws.summed)), num_warmup=100, num_samples=500, progress_bar=False)
    mcmc.run(random.key(0), 1.5)
    assert set(mcmc.get_samples()) == {"c", "x"} and isinstance(mcmc.last_state, HMCGibbsState)
    assert set(np.unique(mcmc.get_samples(infer_discrete=True)["k"])) == {0, 1}


def without_elements(has_more: bool) -> Callable[[], None]:
    """Discrete sites of size zero, of several kinds, and perhaps one that is not."""

    def model() -> None:
        ppl.sample("none", dist.Bernoulli(jnp.ones(0)))
        ppl.sample("rows", dist.Categorical(jnp.ones((3, 0, 2)) / 2))
        ppl.sample("counts", dist.Binomial(jnp.zeros(0, jnp.int32), 0.5))
        k = ppl.sample("k", dist.Bernoulli(0.3)) if has_more else 0.0
        ppl.sample("x", dist.Normal(2.0 * k, 1.0))

    return model


def all_blocks(inner: HMC) -> Gibbs:
    return Gibbs([(DiscreteGibbs(inner.model), discrete_latent_sites), (inner, None)])


@pytest.mark.parametrize("has_more", [False, True])
@pytest.mark.parametrize("make", [DiscreteHMCGibbs, MixedHMC, all_blocks])
def test_sites_without_elements(make: Any, has_more: bool) -> None:
    """Draws have no elements either; the other sites have their law: 5 standard errors, by effective sizes."""
    inner = HMC(without_elements(has_more), trajectory_length=1.5)
    mcmc = MCMC(make(inner), num_warmup=500, num_samples=3000, num_chains=2, progress_bar=False)
    mcmc.run(random.key(0))
    samples = mcmc.get_samples(group_by_chain=True)
    assert [samples[name].shape for name in ("none", "rows", "counts")] == [(2, 3000, 0), (2, 3000, 3, 0), (2, 3000, 0)]
    x = np.asarray(samples["x"], np.float64)
    mean, variance = (0.6, 1.84) if has_more else (0.0, 1.0)
    for values, exact in ((x, mean), ((x - mean) ** 2, variance)):
        size = effective_sample_size(values)
        assert size > 300 and abs(values.mean() - exact) < Z_LIMIT * values.std() / np.sqrt(size)


def test_an_update_that_leaves_the_support_is_told_without_warnings(capsys: pytest.CaptureFixture[str]) -> None:
    """Energies are infinite then."""

    def model() -> None:
        ppl.sample("k", dist.Uniform(0.0, 1.0))
        ppl.sample("x", dist.Normal(0.0, 1.0))

    kernel = HMCGibbs(NUTS(model), lambda rng_key, gibbs_sites, hmc_sites: {"k": gibbs_sites["k"] + 2}, ["k"])
    mcmc = MCMC(kernel, num_warmup=5, num_samples=10, progress_bar=False)
    mcmc.run(random.key(0))
    mcmc.print_summary()
    assert "Number of divergences: 10" in capsys.readouterr().out


def test_the_state_of_blocks() -> None:
    kernel = Gibbs([(DiscreteGibbs(features_gibbs.switched), ["k"]), (HMC(features_gibbs.switched), None)])
    assert isinstance(run(kernel, num_warmup=40, num_samples=2).last_state, GibbsState)


def test_the_inner_state_is_reached_by_its_name() -> None:
    fields = ("hmc_state.potential_energy", "hmc_state.diverging")
    mcmc = run(DiscreteHMCGibbs(HMC(features_gibbs.switched)), num_warmup=5, num_samples=3, run_options=dict(extra_fields=fields))
    assert {name: value.shape for name, value in mcmc.get_extra_fields().items()} == dict.fromkeys(fields, (3,))
    assert mcmc.last_state.hmc_state is mcmc.last_state.block_states[1]


def test_blocks_may_name_a_method_each() -> None:
    """A bound method is a new object whenever it is named."""

    class Experiment:
        def model(self) -> None:
            features_gibbs.switched(Y)

    experiment = Experiment()
    kernel = Gibbs([(DiscreteGibbs(experiment.model), ["k"]), (HMC(experiment.model), None)])
    assert [type(own) for own, _ in kernel.blocks] == [DiscreteGibbs, HMC]
    mcmc = MCMC(kernel, num_warmup=2, num_samples=2, progress_bar=False)
    mcmc.run(jax.random.key(0))
    assert mcmc.get_samples()["k"].shape == (2,)


@pytest.mark.parametrize("given", [None, 0.75])
def test_a_users_block_starts_at_constrained_values(given: float | None) -> None:
    """Those of the start of the chain, or the user's; `sigma` is positive."""
    model = features_gibbs.switched
    kernel = Gibbs([(Recall(model), ["sigma"]), (HMC(model), ["mu"]), (DiscreteGibbs(model), ["k"])])
    init_params = None if given is None else {"sigma": given}
    sigma = run(kernel, num_warmup=2, num_samples=4, run_options=dict(init_params=init_params)).get_samples()["sigma"]
    assert (sigma == sigma[0]).all() and sigma[0] > 0
    assert given is None or sigma[0] == np.float32(given)


@pytest.mark.parametrize("method", ["sequential", "vectorized"])
def test_energies_that_are_not_numbers_are_reported(method: str) -> None:
    """Also where several blocks are chains, in the coordinates of all of them."""

    def root() -> None:
        k = ppl.sample("k", dist.Bernoulli(0.4))
        x, z = (ppl.sample(name, dist.Normal(0.0, 1.0)) for name in "xz")
        ppl.sample("y", dist.Normal(jnp.sqrt(x + 0.8) + 0.0 * z, 1.0 + k), obs=1.0)

    kernel = Gibbs([(DiscreteGibbs(root), ["k"]), (BarkerMH(root), ["z"]), (HMC(root, num_steps=3, trajectory_length=None), ["x"])])
    mcmc = MCMC(kernel, num_warmup=50, num_samples=100, num_chains=2, chain_method=method, progress_bar=False)
    with pytest.warns(UserWarning, match=r"not a number.*site 'y' ~ Normal.*loc=nan"):
        mcmc.run(random.key(0))
    assert (np.asarray(mcmc.get_samples()["x"]) >= -0.8).all()
