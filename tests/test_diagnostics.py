"""Diagnostics against exact values, definitions, and ArviZ where it is installed."""

import importlib.util
import time
import warnings
from types import ModuleType

import numpy as np
import pytest
import scipy.stats

from ppl import diagnostics
from ppl.diagnostics import (
    autocorrelation,
    autocovariance,
    ebfmi,
    effective_sample_size,
    ess_bulk,
    ess_mean,
    ess_quantile,
    ess_tail,
    gelman_rubin,
    hpdi,
    live_diagnostics,
    mcse_mean,
    mcse_quantile,
    mcse_sd,
    print_summary,
    rank_normalized_rhat,
    split_gelman_rubin,
    summary,
)
from ppl.diagnostics.quantiles import beta_quantile, doubled_ranks, normal_quantile

SITEWISE = {
    "gelman_rubin": gelman_rubin,
    "split_gelman_rubin": split_gelman_rubin,
    "rank_normalized_rhat": rank_normalized_rhat,
    "effective_sample_size": effective_sample_size,
    "ess_mean": ess_mean,
    "ess_bulk": ess_bulk,
    "ess_tail": ess_tail,
    "ess_quantile": lambda x: ess_quantile(x, 0.2),
    "mcse_mean": mcse_mean,
    "mcse_sd": mcse_sd,
    "mcse_quantile": lambda x: mcse_quantile(x, 0.2),
}


def autoregression(phi: float, chains: int, n: int, *, seed: int = 0, shape: tuple[int, ...] = ()) -> np.ndarray:
    """Stationary AR(1) chains ``(chains, n, *shape)`` with unit variance."""
    noise = np.random.default_rng(seed).standard_normal((n, chains, *shape))
    x = noise.copy()
    for t in range(1, n):
        x[t] = phi * x[t - 1] + np.sqrt(1 - phi**2) * noise[t]
    return np.moveaxis(x, 0, 1)


@pytest.mark.parametrize("n", [1, 2, 7, 11, 13, 97, 1025, 2001, 100_001])
def test_fast_length_is_the_smallest_of_small_factors(n: int) -> None:
    def is_fast(m: int) -> bool:
        for prime in (2, 3, 5):
            while m % prime == 0:
                m //= prime
        return m == 1

    assert diagnostics._fft_next_fast_len(n) == next(m for m in range(n, 2 * n + 1) if is_fast(m))


@pytest.mark.parametrize("bias", [True, False])
def test_autocovariance_is_its_definition(bias: bool) -> None:
    x = np.random.default_rng(1).standard_normal((3, 21, 2)).astype(np.float32)
    centred = x.astype(float) - x.astype(float).mean(axis=1, keepdims=True)
    products = np.stack([(centred[:, : 21 - t] * centred[:, t:]).sum(axis=1) / (21 if bias else 21 - t) for t in range(21)], axis=1)
    np.testing.assert_allclose(autocovariance(x, axis=1, bias=bias), products, atol=1e-12)
    np.testing.assert_allclose(autocorrelation(x, axis=1, bias=bias), products / products[:, :1], atol=1e-12)
    assert np.isnan(autocorrelation(np.ones(5))).all()


def test_gelman_rubin_by_hand() -> None:
    x = np.array([[1.0, 2.0, 3.0, 4.0], [2.0, 4.0, 6.0, 8.0]])
    within, between = (5 / 3 + 20 / 3) / 2, 4 * 3.125
    assert gelman_rubin(x) == pytest.approx(np.sqrt((0.75 * within + between / 4) / within))
    assert split_gelman_rubin(x) == pytest.approx(gelman_rubin(np.array([[1.0, 2.0], [3.0, 4.0], [2.0, 4.0], [6.0, 8.0]])))
    odd = np.random.default_rng(0).standard_normal((2, 9))
    assert split_gelman_rubin(odd) == pytest.approx(split_gelman_rubin(np.delete(odd, 4, axis=1)))


@pytest.mark.parametrize("size", [effective_sample_size, ess_mean, ess_bulk])
def test_effective_size_of_an_autoregression(size: object) -> None:
    """ESS/N = (1 - phi)/(1 + phi); the error rate of 5 % at N = 4e5 and phi = .9 is about 1e-3 over the three."""
    assert size(autoregression(0.9, 4, 100_000)) / 400_000 == pytest.approx(0.1 / 1.9, rel=0.05)


def test_independent_draws_have_full_size_and_agree() -> None:
    x = np.random.default_rng(3).standard_normal((4, 10_000))
    for size in (effective_sample_size, ess_mean, ess_bulk, ess_tail):
        assert size(x) / x.size == pytest.approx(1, rel=0.05)
    assert effective_sample_size(x) / x.size == pytest.approx(1, rel=0.03)
    for rhat in (gelman_rubin, split_gelman_rubin, rank_normalized_rhat):
        assert rhat(x) < 1.002
    antithetic = autoregression(-0.6, 4, 10_000)
    assert effective_sample_size(antithetic) > 3 * antithetic.size
    assert ess_bulk(antithetic) <= antithetic.size * np.log10(antithetic.size)


def test_shifted_and_stretched_chains_are_seen() -> None:
    """A chain of four shifted by one standard deviation: the means of eight halves vary by 1.5/7, W is 1."""
    x = np.random.default_rng(4).standard_normal((4, 20_000))
    shifted, stretched = x.copy(), x.copy()
    shifted[0] += 1
    stretched[0] *= 3
    for rhat in (split_gelman_rubin, rank_normalized_rhat):
        assert rhat(shifted) == pytest.approx(np.sqrt(1 + 1.5 / 7), abs=0.01)
    assert split_gelman_rubin(stretched) == pytest.approx(1.0, abs=0.003)
    assert rank_normalized_rhat(stretched) == pytest.approx(1.137, abs=0.01)
    cauchy = np.random.default_rng(5).standard_cauchy((4, 20_000))
    assert rank_normalized_rhat(cauchy) < 1.002


def test_monte_carlo_errors_are_the_spread_of_the_estimates() -> None:
    """Over 400 repetitions the standard deviation of an estimate is known to 3.5 %; tolerance 15 %, four of its errors."""
    x = autoregression(0.5, 2, 2000, seed=6, shape=(400,))
    flat = x.reshape(-1, 400)
    for error, estimate in (
        (mcse_mean(x), flat.mean(0)),
        (mcse_sd(x), flat.std(0)),
        (mcse_quantile(x, 0.9), np.quantile(flat, 0.9, axis=0)),
    ):
        assert error.shape == (400,)
        assert np.median(error) == pytest.approx(estimate.std(), rel=0.15)


def test_energy_fraction_of_missing_information() -> None:
    """For an autoregression the expectation is 2 (1 - phi)."""
    energy = autoregression(0.9, 3, 50_000)
    np.testing.assert_allclose(ebfmi(energy), 0.2, rtol=0.1)
    assert ebfmi(energy[0]) == pytest.approx(ebfmi(energy)[0])
    assert np.isnan(ebfmi(np.ones(5)))


@pytest.mark.parametrize("name", SITEWISE)
def test_shapes_and_degenerate_sites(name: str) -> None:
    statistic = SITEWISE[name]
    x = autoregression(0.3, 2, 60, shape=(2, 3)).astype(np.float32)
    x[:, :, 0, 0] = 0.1
    x[1, 5, 0, 1] = np.nan
    x[1, 5, 0, 2] = np.inf
    result = statistic(x)
    assert result.shape == (2, 3)
    assert np.isnan(result[0]).all()
    assert np.isfinite(result[1]).all()
    np.testing.assert_allclose(result[1, 2], statistic(x[..., 1, 2].tolist()), rtol=1e-9)
    assert statistic(np.zeros((2, 10, 0))).shape == (0,)
    with pytest.raises(ValueError, match=r"expected draws of shape \(chains, draws, ...\), found \(60,\)"):
        statistic(x[0, :, 0, 0])
    with pytest.raises(ValueError, match="found 2 of 1; run longer"):
        statistic(x[:, :1])


def test_batches_do_not_change_results(monkeypatch: pytest.MonkeyPatch) -> None:
    x = autoregression(0.3, 2, 50, shape=(7,))
    whole = {name: statistic(x) for name, statistic in SITEWISE.items()}
    monkeypatch.setattr(diagnostics.draws, "BATCH_SIZE", 300)
    for name, statistic in SITEWISE.items():
        np.testing.assert_allclose(statistic(x), whole[name], rtol=1e-12)


def test_chains_that_are_stuck_apart() -> None:
    x = np.repeat(np.arange(4.0)[:, None], 100, axis=1)
    assert split_gelman_rubin(x) == np.inf
    assert effective_sample_size(x) < 5


def test_interval_of_highest_density() -> None:
    x = np.random.default_rng(7).exponential(size=(200_000, 2))
    low, high = hpdi(x, prob=0.8)
    np.testing.assert_allclose(low, 0, atol=0.01)
    np.testing.assert_allclose(high, -np.log(0.2), rtol=0.03)
    assert hpdi(x.T, axis=1).shape == (2, 2)
    np.testing.assert_array_equal(hpdi(np.array([3.0, 1.0, 2.0]), prob=0.99), [1.0, 3.0])
    np.testing.assert_array_equal(hpdi(np.array([5.0])), [5.0, 5.0])
    for bad in (0.0, 1.0, 90):
        with pytest.raises(ValueError, match="expected 0 < prob < 1, found"):
            hpdi(x, prob=bad)
    with pytest.raises(ValueError, match="no draws along axis 0"):
        hpdi(np.zeros((0, 3)))


def test_sites_may_be_trees() -> None:
    draws = np.random.default_rng(0).normal(size=(2, 50))
    table = summary({"a": draws, "b": (draws, {"c": draws})})
    assert list(table) == ["a", "b[0]", "b[1]['c']"]
    assert table["b[0]"]["mean"] == table["a"]["mean"]
    assert summary({"x": draws.tolist()})["x"]["mean"] == table["a"]["mean"]


def test_summary_holds_the_familiar_columns() -> None:
    x = np.random.default_rng(8).standard_normal((4, 100, 2, 3)).astype(np.float32)
    k = np.arange(400).reshape(4, 100) % 3
    result = summary({"x": x, "k": k, "flag": k > 0, "empty": np.zeros((4, 100, 0))}, prob=0.9)
    assert list(result) == ["x", "k", "flag"]
    assert list(result["x"]) == ["mean", "std", "median", "5.0%", "95.0%", "n_eff", "r_hat"]
    assert all(np.shape(column) == (2, 3) for column in result["x"].values())
    flat = x.reshape(400, 2, 3)
    np.testing.assert_allclose(result["x"]["std"], flat.std(0, ddof=1), rtol=1e-5)
    np.testing.assert_allclose(result["x"]["median"], np.median(flat, axis=0), rtol=1e-5)
    np.testing.assert_allclose([result["x"]["5.0%"], result["x"]["95.0%"]], hpdi(flat), rtol=1e-6)
    np.testing.assert_allclose(result["x"]["n_eff"], effective_sample_size(x))
    np.testing.assert_allclose(result["x"]["r_hat"], split_gelman_rubin(x))
    single = summary({"x": x.reshape(400, 2, 3)}, group_by_chain=False)["x"]
    np.testing.assert_allclose(single["mean"], result["x"]["mean"], rtol=1e-5)
    assert list(summary([x, k])) == ["Param:0", "Param:1"]
    assert list(summary(x)) == ["Param:0"]
    with pytest.raises(ValueError, match="site 'x'.*found \\(5,\\); pass group_by_chain=False"):
        summary({"x": np.zeros(5)})


@pytest.mark.parametrize("n", [1, 2, 3, 4])
def test_few_draws_print(n: int, capsys: pytest.CaptureFixture[str]) -> None:
    print_summary({"mu": np.arange(2.0 * n).reshape(2, n)})
    assert capsys.readouterr().out.splitlines()[2].split()[0] == "mu"


def test_table(capsys: pytest.CaptureFixture[str]) -> None:
    x = np.arange(16.0).reshape(2, 4, 2)
    print_summary({"a_rather_long_name": x, "b": x[..., 0]}, prob=0.5)
    lines = capsys.readouterr().out.split("\n")
    assert lines[0] == lines[-2] == ""
    assert lines[1].split() == ["mean", "std", "median", "25.0%", "75.0%", "n_eff", "r_hat"]
    assert [line.split()[0] for line in lines[2:-2]] == ["a_rather_long_name[0]", "a_rather_long_name[1]", "b"]
    assert {len(line) for line in lines[1:-2]} == {len(lines[1])}
    print_summary({})
    print_summary({"empty": np.zeros((2, 4, 0))})
    assert capsys.readouterr().out == ""


def test_quantiles_of_normal_and_beta() -> None:
    p = np.concatenate([np.geomspace(1e-300, 0.5, 300), 1 - np.geomspace(1e-16, 0.5, 100)])
    np.testing.assert_allclose(normal_quantile(p), scipy.stats.norm.ppf(p), rtol=1e-13, atol=1e-15)
    a, b = np.array([1.0, 2.0, 21.0, 501.0, 4e4, 1e6]), np.array([1.0, 9.0, 381.0, 501.0, 3.6e5, 1.5])
    for q in (0.1586553, 0.8413447):
        np.testing.assert_allclose(beta_quantile(q, a, b), scipy.stats.beta.ppf(q, a, b), rtol=1e-8)
    x = np.random.default_rng(9).integers(0, 7, size=(3, 50)).astype(float)
    np.testing.assert_array_equal(doubled_ranks(x), 2 * scipy.stats.rankdata(x, axis=1))


def test_live_diagnostics_are_near_the_full_ones_at_any_length() -> None:
    for n in (150, 4000):
        x = autoregression(0.9, 4, n, seed=10, shape=(5,))
        live = live_diagnostics(x.astype(np.float32))
        assert 0.4 < live.n_eff / effective_sample_size(x).min() < 2
        assert live.r_hat == pytest.approx(split_gelman_rubin(x).max(), abs=0.05)
    assert live_diagnostics(np.random.default_rng(0).standard_normal((4, 4000, 2))).n_eff <= 16_000
    x[2, :, 3] += 5
    assert live_diagnostics(x).r_hat > 1.5
    for empty in (np.zeros((2, 3, 1)), np.zeros((2, 50, 0)), np.ones((2, 50, 3))):
        assert np.isnan(live_diagnostics(empty)).all()
    with pytest.raises(ValueError, match=r"\(chains, draws, d\)"):
        live_diagnostics(np.zeros((2, 3)))


def test_speed() -> None:
    """A summary of 1,000 parameters of 4 x 1,000 draws, and the live figures at their largest; limits several times the need."""
    x = np.random.default_rng(11).standard_normal((4, 1000, 1000)).astype(np.float32)
    start = time.process_time()
    summary({"x": x})
    middle = time.process_time()
    live_diagnostics(x)
    assert middle - start < 2
    assert time.process_time() - middle < 0.25


@pytest.fixture(scope="module")
def arviz() -> ModuleType:
    if importlib.util.find_spec("arviz") is None:
        pytest.skip("ArviZ is not installed")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import arviz

    return arviz


STORED = {
    "iid": np.random.default_rng(0).standard_normal((4, 500)),
    "slow": autoregression(0.9, 4, 500),
    "antithetic": autoregression(-0.5, 3, 301),
    "tied": np.random.default_rng(1).poisson(2.0, (4, 400)),
    "heavy": np.random.default_rng(2).standard_t(2, (2, 1000)),
    "float32": (100 + autoregression(0.5, 4, 250)).astype(np.float32),
}


@pytest.mark.parametrize("case", STORED)
def test_agreement_with_arviz(case: str, arviz: ModuleType) -> None:
    x = STORED[case]
    pairs = {
        "bulk": (ess_bulk(x), arviz.ess(x, method="bulk")),
        "tail": (ess_tail(x), arviz.ess(x, method="tail")),
        "mean": (ess_mean(x), arviz.ess(x, method="mean")),
        "quantile": (ess_quantile(x, 0.3), arviz.ess(x, method="quantile", prob=0.3)),
        "rhat rank": (rank_normalized_rhat(x), arviz.rhat(x, method="rank")),
        "rhat split": (split_gelman_rubin(x), arviz.rhat(x, method="split")),
        "rhat identity": (gelman_rubin(x), arviz.rhat(x, method="identity")),
        "mcse mean": (mcse_mean(x), arviz.mcse(x, method="mean")),
        "mcse sd": (mcse_sd(x), arviz.mcse(x, method="sd")),
        "mcse quantile": (mcse_quantile(x, 0.3), arviz.mcse(x, method="quantile", prob=0.3)),
        "bfmi": (ebfmi(x), arviz.bfmi(x)),
    }
    for name, (ours, theirs) in pairs.items():
        np.testing.assert_allclose(ours, np.asarray(theirs), rtol=1e-3, err_msg=name)
