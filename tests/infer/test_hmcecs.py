"""HMCECS: exact draws of parameters and indices stay exact, posteriors are those of all data, noise is told."""

import itertools
from collections.abc import Callable
from functools import partial
from typing import Any

import faults_gibbs
import features
import features_gibbs
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import random
from test_chains import Y, grouped, run
from test_sbc import Calibration, Draws, as_data, normal_log_density, ranks_of, uniformity

import ppl
import ppl.distributions as dist
from ppl.contrib.ecs_proxies import block_update
from ppl.diagnostics import effective_sample_size
from ppl.infer import HMC, HMCECS, MCMC, NUTS, BarkerMH
from ppl.infer.hmc_gibbs import HMCECSState

Z_LIMIT, RED = 5.0, 7.0
FIXED: dict[str, Any] = dict(adapt_step_size=False, adapt_mass_matrix=False)


# The law of parameter and indices together, by enumeration

X, SUCCESS = np.array([1.0, -2.0, 3.0, 0.5]), np.array([1, 0, 0, 1])
COUNTS = np.array([0, 3, 1])
REFERENCE = 0.3


def small(with_counts: bool, width: float) -> Callable[[], None]:
    """A slope, two indices into four trials over some width, and two into three counts."""

    def model() -> None:
        mu = ppl.sample("mu", dist.Normal(0.0, 1.0))
        with ppl.plate("trials", 4, subsample_size=2) as i:
            ppl.sample("success", dist.Bernoulli(logits=mu * jnp.asarray(width * X, mu.dtype)[i]), obs=jnp.asarray(SUCCESS)[i])
        if with_counts:
            with ppl.plate("counts", 3, subsample_size=2) as j:
                ppl.sample("count", dist.Poisson(jnp.exp(mu)), obs=jnp.asarray(COUNTS)[j])

    return model


def _terms(mu: np.ndarray, width: float) -> list[np.ndarray]:
    """The log likelihoods of trials and counts, `(n, len(mu))`."""
    x = width * X[:, None] * mu
    return [SUCCESS[:, None] * x - np.logaddexp(0, x), COUNTS[:, None] * mu - np.exp(mu)]


def _expanded(order: int, mu: np.ndarray, width: float) -> list[np.ndarray]:
    """Their expansions about the reference, by differences."""
    h = 1e-4
    at = [_terms(np.array([REFERENCE + shift]), width) for shift in (-h, 0.0, h)]
    found = []
    for low, middle, high in zip(*at):
        value = middle + (high - low) / (2 * h) * (mu - REFERENCE)
        found.append(value + (order == 2) * 0.5 * (high - 2 * middle + low) / h**2 * (mu - REFERENCE) ** 2)
    return found


def extended(order: int | None, with_counts: bool, num: int, width: float = 1.0) -> dict[str, np.ndarray]:
    """Exact draws from prior(mu) exp(estimate - variance / 2), over all index pairs and a fine grid; None: the naive estimate."""
    rng, grid = np.random.default_rng(1), np.linspace(-5.0, 5.0, 4001)
    plates = [("trials", 4), ("counts", 3)][: 1 + with_counts]
    tables = []
    for number, (_, size) in enumerate(plates):
        pairs = np.array(list(itertools.product(range(size), repeat=2)))
        values = _terms(grid, width)[number]
        if order is None:
            tables.append((pairs, size * values[pairs].mean(1)))
            continue
        proxy = _expanded(order, grid, width)[number]
        difference = (values - proxy)[pairs]
        tables.append((pairs, proxy.sum(0) + size * difference.mean(1) - 0.5 * size**2 * difference.var(1) / 2))
    log_density = tables[0][1] if not with_counts else (tables[0][1][:, None] + tables[1][1][None]).reshape(-1, len(grid))
    log_density = log_density - 0.5 * grid**2
    probs = np.exp(log_density - log_density.max())
    drawn = rng.choice(probs.size, num, p=probs.ravel() / probs.sum())
    state, place = drawn // len(grid), drawn % len(grid)
    draws = {"mu": grid[place] + (rng.uniform(size=num) - 0.5) * (grid[1] - grid[0])}
    for (name, _), (pairs, _) in reversed(list(zip(plates, tables))):
        draws[name], state = pairs[state % len(pairs)], state // len(pairs)
    return draws


def shift(kernel: HMCECS, starts: dict[str, np.ndarray]) -> tuple[float, float]:
    """The largest z-score of a change by two iterations from exact starts, and the mean acceptance of the chain."""
    num = len(starts["mu"])

    def chain(key: Any, start: Any) -> Any:
        state = kernel.init(key, 0, start)
        return jax.lax.fori_loop(0, 2, lambda _, state: kernel.sample(state), state)

    state = jax.jit(jax.vmap(chain))(random.split(random.PRNGKey(4), num), jax.tree.map(as_data, starts))
    ends = jax.tree.map(np.asarray, state.z)
    assert set(ends) == set(starts)

    def statistics(z: Any) -> np.ndarray:
        columns = [np.tanh(z["mu"]), z["mu"] ** 2 < 0.5, *(z["mu"] > edge for edge in (-1.0, -0.3, 0.3))]
        for name in sorted(set(z) - {"mu"}):
            for k in range(3):
                columns += [z[name][:, 0] == k, z[name][:, 1] == k, np.tanh(z["mu"]) * (z[name][:, 0] == k)]
            columns += [z[name][:, 0] == z[name][:, 1], np.tanh(z["mu"]) * (z[name][:, 0] == z[name][:, 1])]
        return np.stack(columns, 1).astype(float)

    change = statistics(ends) - statistics(starts)
    change = change[:, change.any(0)]
    scores = np.abs(change.mean(0)) / (change.std(0) / np.sqrt(num))
    return float(scores.max()), float(np.mean(state.hmc_state.accept_prob))


def kernel_of(order: int | None, with_counts: bool, step_size: float = 1.1, num_blocks: int = 2, width: float = 1.0) -> HMCECS:
    proxy = None if order is None else HMCECS.taylor_proxy({"mu": REFERENCE}, order)
    inner = HMC(small(with_counts, width), num_steps=2, trajectory_length=None, step_size=step_size, **FIXED)
    return HMCECS(inner, num_blocks=num_blocks, proxy=proxy)


# Beyond this width the estimate by a second-order proxy outgrows the prior where both indices are the same
SETTINGS: dict[str, tuple[int | None, bool, int, float, float]] = {
    "naive": (None, False, 2, 1.1, 1.0),
    "first order": (1, False, 1, 1.1, 1.0),
    "second order": (2, False, 2, 1.4, 0.3),
    "two plates": (1, True, 2, 0.6, 1.0),
}


@pytest.mark.parametrize("name", SETTINGS)
def test_exact_draws_stay_exact(name: str) -> None:
    """40,000 exact starts, two iterations, at 40 to 95 per cent acceptance; false alarm below 3e-5."""
    order, with_counts, num_blocks, step_size, width = SETTINGS[name]
    starts = extended(order, with_counts, 40_000, width)
    score, accepted = shift(kernel_of(order, with_counts, step_size, num_blocks, width), starts)
    assert score < Z_LIMIT and 0.4 < accepted < 0.95, (score, accepted)


@pytest.mark.parametrize("name", faults_gibbs.ESTIMATES)
def test_exact_draws_see_faults(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    faults_gibbs.ESTIMATES[name](monkeypatch)
    assert shift(kernel_of(1, False), extended(1, False, 160_000))[0] > RED


def refreshed() -> set[int]:
    """The places of the subsample in which an index has changed in 40 iterations."""
    mcmc = MCMC(kernel_of(None, False), num_warmup=0, num_samples=40, progress_bar=False)
    mcmc.run(random.key(1), extra_fields=("z.trials",))
    indices = np.asarray(mcmc.get_extra_fields()["z.trials"])
    assert indices.shape == (40, 2) and set(np.unique(indices)) <= set(range(4))
    return set(np.nonzero((indices != indices[0]).any(0))[0].tolist())


def test_every_index_is_drawn_afresh(monkeypatch: pytest.MonkeyPatch) -> None:
    assert refreshed() == {0, 1}
    faults_gibbs.only_first_block(monkeypatch)
    assert refreshed() == {0}


@pytest.mark.parametrize("num_blocks", [1, 3, 7])
def test_one_block_of_indices_is_proposed(num_blocks: int) -> None:
    """Blocks of seven indices differ by one in size at most; each is chosen in its turn, and the others stay."""
    plate_sizes, state = {"data": (10_000, 7)}, object()
    changed = set()
    for seed in range(40):
        indices, same = block_update(plate_sizes, num_blocks, random.key(seed), {"data": np.arange(7)}, state)
        assert same is state and indices["data"].shape == (7,)
        changed.add(tuple(np.nonzero(np.asarray(indices["data"]) != np.arange(7))[0].tolist()))
    assert sorted(itertools.chain(*changed)) == list(range(7)) and len(changed) == num_blocks
    assert max(map(len, changed)) - min(map(len, changed)) <= 1
    with pytest.raises(ValueError, match="num_blocks must be from 1 to the 7 indices of plate 'data', found 8"):
        block_update(plate_sizes, 8, random.key(0), {"data": np.arange(7)}, None)


# Posteriors of all data

DATA = np.asarray(1.0 + random.normal(random.key(5), (10_000,)))


def normal_mean(y: Any, size: int | None = 100) -> None:
    mu = ppl.sample("mu", dist.Normal(0.0, 1.0))
    with ppl.plate("data", len(y), subsample_size=size):
        ppl.sample("y", dist.Normal(mu, 1.0), obs=ppl.subsample(y, 0))


@pytest.mark.parametrize("degree", [1, 2])
def test_a_normal_mean_is_exact(degree: int, capsys: pytest.CaptureFixture[str]) -> None:
    """The differences are the same for all data, so that nothing is noisy: mean sum y / (n + 1), variance 1 / (n + 1)."""
    kernel = HMCECS(NUTS(normal_mean), num_blocks=10, proxy=HMCECS.taylor_proxy({"mu": 0.98}, degree))
    mcmc = MCMC(kernel, num_warmup=500, num_samples=3000, num_chains=2, progress_bar=False)
    mcmc.run(random.key(0), DATA, extra_fields=("accept_prob", "gibbs_state.variance"))
    mu, n = np.asarray(mcmc.get_samples(group_by_chain=True)["mu"], np.float64), len(DATA)
    size, sd = effective_sample_size(mu), 1 / np.sqrt(n + 1)
    assert size > 800
    assert abs(mu.mean() - DATA.sum(dtype=np.float64) / (n + 1)) < 5 * sd / np.sqrt(size)
    assert abs(mu.std() / sd - 1) < 5 / np.sqrt(2 * size)
    extra = mcmc.get_extra_fields()
    assert np.mean(extra["accept_prob"]) > 0.95 and np.max(extra["gibbs_state.variance"]) < 0.1
    mcmc.print_summary()
    text = capsys.readouterr().out
    assert "Variance of the estimated log likelihood: " in text and "too noisy" not in text


def test_without_a_proxy_the_noise_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    """The naive estimate has a variance of thousands, and a posterior that is too wide; the summary says so."""
    mcmc = MCMC(HMCECS(NUTS(normal_mean), num_blocks=10), num_warmup=300, num_samples=500, progress_bar=False)
    mcmc.run(random.key(0), DATA)
    assert float(jnp.std(mcmc.get_samples()["mu"])) > 0.015
    mcmc.print_summary()
    text = capsys.readouterr().out
    assert "too noisy to trust" in text and "HMCECS.taylor_proxy" in text and "raise subsample_size" in text


def logistic(x: Any, y: Any, size: int | None = None) -> None:
    w = ppl.sample("w", dist.Normal(0.0, 1.0).expand([5]).to_event(1))
    s = ppl.sample("s", dist.Exponential(1.0))
    with ppl.plate("data", len(y), subsample_size=size) as i:
        ppl.sample("y", dist.Bernoulli(logits=x[i] @ w + jnp.log(s)), obs=y[i])


def test_logistic_regression_equals_that_of_all_data() -> None:
    """A positive site besides, so that the expansion is of unconstrained values: 5 combined standard errors, sds within 10 %."""
    rng = np.random.default_rng(1)
    x = rng.normal(size=(4000, 5)).astype(np.float32)
    y = (rng.uniform(size=4000) < 1 / (1 + np.exp(-x @ [1, -0.5, 0.3, 0, 0.8]))).astype(np.int32)
    full = MCMC(NUTS(logistic), num_warmup=300, num_samples=1500, progress_bar=False)
    full.run(random.key(0), x, y)
    reference = {name: jnp.mean(values, 0) for name, values in full.get_samples().items()}
    kernel = HMCECS(NUTS(partial(logistic, size=200)), num_blocks=20, proxy=HMCECS.taylor_proxy(reference, 2))
    mcmc = MCMC(kernel, num_warmup=300, num_samples=3000, progress_bar=False)
    mcmc.run(random.key(1), x, y, extra_fields=("gibbs_state.variance",))
    assert np.mean(mcmc.get_extra_fields()["gibbs_state.variance"]) < 1
    ours, theirs = mcmc.get_samples(group_by_chain=True), full.get_samples(group_by_chain=True)
    for name in ("w", "s"):
        errors = sum(np.var(draws[name], (0, 1)) / effective_sample_size(np.asarray(draws[name])) for draws in (ours, theirs))
        assert (np.abs(np.mean(ours[name], (0, 1)) - np.mean(theirs[name], (0, 1))) < 5 * np.sqrt(errors)).all()
        np.testing.assert_allclose(np.std(ours[name], (0, 1)), np.std(theirs[name], (0, 1)), rtol=0.12)


# Calibration: models of few data under narrow priors, for which the estimates have little noise


def trials(y: Any, size: int | None = None) -> None:
    a = ppl.sample("a", dist.Normal(0.0, 0.5))
    b = ppl.sample("b", dist.Normal(0.3, 0.5))
    with ppl.plate("data", 20, subsample_size=size) as i:
        ppl.sample("y", dist.Bernoulli(logits=a + b * jnp.linspace(-1.5, 1.5, 20)[i]), obs=y[i])


def _trials_logits(p: Draws) -> np.ndarray:
    return p["a"][..., None] + p["b"][..., None] * np.linspace(-1.5, 1.5, 20)


def counts(y: Any, size: int | None = None) -> None:
    a = ppl.sample("a", dist.Normal(0.5, 0.3))
    with ppl.plate("data", 12, subsample_size=size) as i:
        ppl.sample("y", dist.Poisson(jnp.exp(a)), obs=y[i])


def spread(y: Any, size: int | None = None) -> None:
    mu = ppl.sample("mu", dist.Normal(0.0, 0.3))
    sigma = ppl.sample("sigma", dist.LogNormal(0.0, 0.2))
    with ppl.plate("data", 12, subsample_size=size):
        ppl.sample("y", dist.Normal(mu, sigma), obs=ppl.subsample(y, 0))


def two_plates(y: Any, size: int | None = None) -> None:
    mu = ppl.sample("mu", dist.Normal(0.0, 1.0))
    with ppl.plate("first", 6, subsample_size=size):
        ppl.sample("y", dist.Normal(mu, 1.0), obs=ppl.subsample(y[:6], 0))
    with ppl.plate("second", 8, subsample_size=size):
        ppl.sample("w", dist.Normal(2.0 * mu, 1.5), obs=ppl.subsample(y[6:], 0))


TWO_MEANS, TWO_SDS = np.array([1.0] * 6 + [2.0] * 8), np.array([1.0] * 6 + [1.5] * 8)

RANKED: dict[str, tuple[Calibration, dict[str, float]]] = {
    "trials": (
        Calibration(
            trials,
            lambda rng, n: {"a": rng.normal(0.0, 0.5, n), "b": rng.normal(0.3, 0.5, n)},
            lambda rng, p: (rng.uniform(size=(len(p["a"]), 20)) < 1 / (1 + np.exp(-_trials_logits(p)))).astype(int),
            lambda p, y: (y * _trials_logits(p) - np.logaddexp(0, _trials_logits(p))).sum(-1),
            {"a": lambda p: p["a"], "b": lambda p: p["b"]},
            0.25,
        ),
        {"a": 0.0, "b": 0.3},
    ),
    "counts": (
        Calibration(
            counts,
            lambda rng, n: {"a": rng.normal(0.5, 0.3, n)},
            lambda rng, p: rng.poisson(np.exp(p["a"])[:, None], (len(p["a"]), 12)),
            lambda p, y: (y * p["a"][..., None] - np.exp(p["a"])[..., None]).sum(-1),
            {"a": lambda p: p["a"]},
            0.2,
        ),
        {"a": 0.5},
    ),
    "spread": (
        Calibration(
            spread,
            lambda rng, n: {"mu": rng.normal(0.0, 0.3, n), "sigma": np.exp(rng.normal(0.0, 0.2, n))},
            lambda rng, p: p["mu"][:, None] + p["sigma"][:, None] * rng.standard_normal((len(p["mu"]), 12)),
            lambda p, y: normal_log_density(y, p["mu"][..., None], p["sigma"][..., None]).sum(-1),
            {"mu": lambda p: p["mu"], "sigma": lambda p: p["sigma"]},
            0.15,
        ),
        {"mu": 0.0, "sigma": 1.0},
    ),
    "two plates": (
        Calibration(
            two_plates,
            lambda rng, n: {"mu": rng.standard_normal(n)},
            lambda rng, p: p["mu"][:, None] * TWO_MEANS + TWO_SDS * rng.standard_normal((len(p["mu"]), 14)),
            lambda p, y: normal_log_density(y, p["mu"][..., None] * TWO_MEANS, TWO_SDS).sum(-1),
            {"mu": lambda p: p["mu"]},
            0.25,
        ),
        {"mu": 0.4},
    ),
}


@pytest.mark.parametrize("name", RANKED)
def test_ranks_are_uniform(name: str) -> None:
    """As in `test_sbc`, the log likelihood of all data among the functions."""
    case, reference = RANKED[name]
    inner = HMC(partial(case.model, size=5), num_steps=4, trajectory_length=None, step_size=case.step_size, **FIXED)
    kernel = HMCECS(inner, num_blocks=2, proxy=HMCECS.taylor_proxy(reference))
    accepted = dict(told=lambda state: state.hmc_state.accept_prob)
    for label, found in ranks_of(case, kernel, burn_in=40, thinning=5, **accepted).items():
        assert uniformity(found) > 2e-5, (label, found)


def test_states_of_rows_are_summed_out() -> None:
    """Without a proxy, a mixture in the subsampled plate is that which is written as one: the chains stay together at first."""
    y = jnp.asarray(np.random.default_rng(0).normal(size=40) + np.repeat([0.0, 3.0], 20), jnp.float32)

    def enumerated() -> None:
        mu = ppl.sample("mu", dist.Normal(0.0, 1.0))
        with ppl.plate("row", 40, subsample_size=10):
            z = ppl.sample("z", dist.Bernoulli(0.4), infer={"enumerate": "parallel"})
            ppl.sample("y", dist.Normal(mu + 3.0 * z, 1.0), obs=ppl.subsample(y, 0))

    def by_hand() -> None:
        mu = ppl.sample("mu", dist.Normal(0.0, 1.0))
        with ppl.plate("row", 40, subsample_size=10):
            parts = dist.Normal(mu + jnp.array([0.0, 3.0]), 1.0)
            ppl.sample("y", dist.MixtureSameFamily(dist.Categorical(jnp.array([0.6, 0.4])), parts), obs=ppl.subsample(y, 0))

    draws = []
    for model in (enumerated, by_hand):
        kernel = HMCECS(HMC(model, num_steps=3, trajectory_length=None, step_size=0.1, **FIXED), num_blocks=5)
        mcmc = MCMC(kernel, num_warmup=0, num_samples=15, progress_bar=False)
        mcmc.run(0, init_params={"mu": 0.2})
        draws.append(np.asarray(mcmc.get_samples()["mu"]))
    np.testing.assert_allclose(*draws, rtol=1e-3, atol=1e-3)
    assert len(np.unique(draws[0])) > 10


# Features


def model(y: Any) -> None:
    mu = ppl.sample("mu", dist.Normal(0.0, 2.0))
    sigma = ppl.sample("sigma", dist.LogNormal(0.0, 0.5))
    ppl.deterministic("ratio", mu / sigma)
    with ppl.plate("data", len(y), subsample_size=3):
        ppl.sample("y", dist.Normal(mu, sigma), obs=ppl.subsample(y, 0))


KERNEL = HMCECS(NUTS(model), num_blocks=3)
WITH_PROXY = HMCECS(NUTS(model), num_blocks=3, proxy=HMCECS.taylor_proxy({"mu": 0.4, "sigma": 1.2}))


def test_keys_are_used_once(monkeypatch: pytest.MonkeyPatch) -> None:
    kernel = HMCECS(HMC(model, num_steps=1, trajectory_length=None), num_blocks=2)
    assert features_gibbs.words_used_twice(kernel, monkeypatch) == 0
    faults_gibbs.one_key_for_all(monkeypatch)
    assert features_gibbs.words_used_twice(kernel, monkeypatch) > 0


# Far from its reference an expansion overflows, which is told
OVERFLOWS = pytest.mark.filterwarnings("ignore:MCMC. an energy was not a number")


@OVERFLOWS
def test_chain_methods() -> None:
    features_gibbs.same_draws_in_every_chain_method(WITH_PROXY)


def test_one_compilation() -> None:
    features.second_run_compiles_nothing(KERNEL)


@OVERFLOWS
def test_data_of_another_shape() -> None:
    """And then the first again, with the same draws."""
    first = grouped(run(WITH_PROXY))["mu"]
    assert np.isfinite(grouped(run(WITH_PROXY, jnp.concatenate([Y, Y + 0.5])))["mu"]).all()
    np.testing.assert_array_equal(grouped(run(WITH_PROXY))["mu"], first)


def test_continuation() -> None:
    features_gibbs.continues(WITH_PROXY, "hmc_state.diverging")


def test_fields_and_thinning() -> None:
    """The indices are part of the state and not of the draws; energies are those of the estimate."""
    features_gibbs.keeps_fields_and_thins(WITH_PROXY, HMCECSState, "hmc_state", ("accept_prob", "gibbs_state.variance"))
    mcmc = run(WITH_PROXY, run_options=dict(extra_fields=("z.data",)))
    assert set(mcmc.get_samples()) == {"mu", "sigma", "ratio"} and mcmc.get_extra_fields()["z.data"].shape == (30, 3)
    state = mcmc.last_state
    np.testing.assert_allclose(state.hmc_state.potential_energy, WITH_PROXY.get_potential_fn((Y,))(state.z), rtol=1e-5)
    refreshed = WITH_PROXY.refresh(state, (Y,))
    np.testing.assert_allclose(refreshed.hmc_state.potential_energy, state.hmc_state.potential_energy, rtol=1e-5)


def test_progress_and_summary(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    pattern = r"\d+ steps of size \d\.\d\de[-+]\d\d\. acc\. prob=\d\.\d\d\. subsample acc\. prob=\d\.\d\d"
    features_gibbs.shows_progress_and_summary(WITH_PROXY, pattern, monkeypatch, capsys)


def test_float64() -> None:
    features_gibbs.runs_in_float64(WITH_PROXY)


def test_strict_promotion() -> None:
    features.is_strict(lambda _: HMCECS(NUTS(model), num_blocks=3, proxy=HMCECS.taylor_proxy({"mu": 0.4, "sigma": 1.2})))


def test_start_values() -> None:
    """Unconstrained values, and indices; shared or by chain."""
    still = HMCECS(HMC(model, num_steps=1, trajectory_length=None, step_size=1e-9, **FIXED))
    start = {"mu": jnp.array([1.0, 2.0]), "sigma": jnp.zeros(2), "data": jnp.array([[0, 1, 2], [3, 3, 3]])}
    samples = run(still, num_warmup=0, num_samples=1, num_chains=2, run_options=dict(init_params=start)).get_samples()
    np.testing.assert_allclose([*samples["mu"], *samples["sigma"]], [1, 2, 1, 1], rtol=1e-5)


def test_another_model() -> None:
    """A copy of the kernel on a wrapped model: the same draws with the same model, others with another."""
    draws = grouped(run(WITH_PROXY))["mu"]
    np.testing.assert_array_equal(grouped(run(WITH_PROXY.wrap_model(lambda model: model)))["mu"], draws)
    moved = WITH_PROXY.wrap_model(lambda model: lambda y: model(y + 5.0))
    assert isinstance(moved, HMCECS) and grouped(run(moved))["mu"].mean() > draws.mean() + 0.5
    np.testing.assert_array_equal(grouped(run(WITH_PROXY))["mu"], draws)


def test_barker_inside() -> None:
    """The exact posterior of a normal mean, by a kernel of another kind."""
    kernel = HMCECS(BarkerMH(normal_mean), num_blocks=10, proxy=HMCECS.taylor_proxy({"mu": 0.98}, 1))
    mcmc = MCMC(kernel, num_warmup=1000, num_samples=4000, progress_bar=False)
    mcmc.run(random.key(0), DATA)
    mu = np.asarray(mcmc.get_samples(group_by_chain=True)["mu"], np.float64)
    assert abs(mu.mean() - DATA.sum(dtype=np.float64) / 10_001) < 5 * mu.std() / np.sqrt(effective_sample_size(mu))
