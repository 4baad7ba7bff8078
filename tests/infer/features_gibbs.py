"""What kernels of several blocks must do in a run; they have no count of iterations and no energy of their own at the top."""

import pickle
from typing import Any

import features
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import random
from test_chains import Y, grouped, run

import ppl
import ppl.distributions as dist
from ppl import _random
from ppl.infer import MCMC


def switched(y: Any) -> None:
    """A switch for the mean of the mean; given the mean, the data do not matter to it."""
    k = ppl.sample("k", dist.Bernoulli(0.4))
    mu = ppl.sample("mu", dist.Normal(jnp.where(k == 1, 1.0, -1.0), 2.0))
    sigma = ppl.sample("sigma", dist.LogNormal(0.0, 0.5))
    ppl.deterministic("ratio", mu / sigma)
    with ppl.plate("data", len(y)):
        ppl.sample("y", dist.Normal(mu, sigma), obs=y)


def draw_k(rng_key: Any, gibbs_sites: Any, hmc_sites: Any) -> Any:
    """Log odds log(.4 / .6) + mu / 2."""
    assert set(gibbs_sites) == {"k"} and {"mu", "sigma", "ratio"} <= set(hmc_sites)
    odds = hmc_sites["mu"] / 2 + jnp.log(2.0 / 3.0)
    return {"k": (random.uniform(rng_key) < jax.nn.sigmoid(odds)).astype(gibbs_sites["k"].dtype)}


def exact_means() -> tuple[float, float]:
    """E(mu) and P(k = 1) given `Y`, by quadrature over mu and log sigma."""
    mu, log_sigma = np.meshgrid(np.linspace(-8, 8, 801), np.linspace(-3, 3, 601), indexing="ij")
    data, sigma = np.asarray(Y, np.float64), np.exp(log_sigma)
    likelihood = sum(-0.5 * ((y - mu) / sigma) ** 2 - log_sigma for y in data) - 0.5 * (log_sigma / 0.5) ** 2
    weights = [p * np.exp(likelihood - 0.5 * ((mu - m) / 2) ** 2) for p, m in ((0.6, -1.0), (0.4, 1.0))]
    total = weights[0].sum() + weights[1].sum()
    return float(((weights[0] + weights[1]) * mu).sum() / total), float(weights[1].sum() / total)


def words_used_twice(kernel: Any, patch: pytest.MonkeyPatch) -> int:
    """How many counters of the generator one iteration uses more than once under one key and tag."""
    state = kernel.init(random.key(1), 0, None, (Y,))
    seen: list[tuple[Any, ...]] = []
    right = _random.generate

    def generate(key: Any, tag: int, first: Any, blocks: int) -> Any:
        numbers = range(int(first), int(first) + blocks)
        seen.extend((*np.asarray(key).tolist(), tag, number) for number in numbers)
        return right(key, tag, first, blocks)

    with patch.context() as inner, jax.disable_jit():
        inner.setattr(_random, "generate", generate)
        kernel.sample(state, (Y,))
    assert len(seen) > 5
    return len(seen) - len(set(seen))


def same_draws_in_every_chain_method(kernel: Any) -> None:
    """Bitwise where the program is the same, to rounding where it is batched; chain 0 is the run of a single chain."""
    methods = ("parallel", "sequential", "vectorized")
    results = [grouped(run(kernel, num_chains=3, chain_method=method, num_warmup=5)) for method in methods]
    single = grouped(run(kernel, num_warmup=5))
    assert len(np.unique(results[0]["mu"][:, -1])) == 3
    for name, values in results[0].items():
        assert values.shape == (3, 30)
        np.testing.assert_array_equal(results[1][name], values)
        np.testing.assert_array_equal(single[name][0], values[0])
        np.testing.assert_allclose(results[2][name][:, :3], values[:, :3], rtol=0.02, atol=0.02)


def continues(kernel: Any, field: str) -> None:
    """Warm-up and then the run, or a run in two parts, are one longer run, draw by draw; also from a pickled driver."""
    wanted = dict(extra_fields=(field,))
    mcmc = run(kernel, num_samples=60, run_options=wanted)
    whole, extra = grouped(mcmc)["mu"], mcmc.get_extra_fields()[field]
    parts = run(kernel, num_samples=25, run_options=wanted)
    first = grouped(parts)["mu"]
    for mcmc in (parts, pickle.loads(pickle.dumps(parts))):
        mcmc.post_warmup_state = mcmc.last_state
        mcmc.num_samples = 35
        mcmc.run(mcmc.last_state.rng_key, Y, extra_fields=(field,))
        np.testing.assert_array_equal(np.concatenate([first, grouped(mcmc)["mu"]], 1), whole)
        np.testing.assert_array_equal(mcmc.get_extra_fields()[field], extra[25:])
    warmed = MCMC(kernel, num_warmup=40, num_samples=60, progress_bar=False)
    warmed.warmup(jax.random.key(0), Y)
    warmed.run(warmed.post_warmup_state.rng_key, Y)
    np.testing.assert_array_equal(grouped(warmed)["mu"], whole)


def keeps_fields_and_thins(kernel: Any, state_type: type, inner: str, names: tuple[str, ...]) -> None:
    """Fields of the inner kernel's state under the path `inner`, others by name, deterministic sites, the last of each group."""
    fields = ("z.sigma", f"{inner}.i", f"{inner}.accept_prob", f"{inner}.adapt_state.step_size", *names)
    mcmc = run(kernel, num_chains=2, num_samples=21, thinning=2, run_options=dict(extra_fields=fields))
    samples, extra = mcmc.get_samples(), mcmc.get_extra_fields(group_by_chain=True)
    assert set(fields) <= set(extra) and samples["mu"].shape == (20,) and extra[f"{inner}.accept_prob"].shape == (2, 10)
    assert extra[f"{inner}.i"][0].tolist() == list(range(43, 62, 2))
    assert (extra[f"{inner}.adapt_state.step_size"] == extra[f"{inner}.adapt_state.step_size"][:, :1]).all()
    np.testing.assert_allclose(np.log(samples["sigma"]).reshape(2, 10), extra["z.sigma"], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(samples["ratio"], samples["mu"] / samples["sigma"], rtol=1e-5)
    assert isinstance(mcmc.last_state, state_type) and mcmc.last_state.z["mu"].shape == (2,)
    for name in names:
        assert np.isfinite(extra[name]).all()


def runs_in_float64(kernel: Any) -> None:
    """Draws and states are float64 with 64 bits, on the same object as float32 ones, which stay what they were."""
    before = grouped(run(kernel))["mu"]
    with jax.enable_x64(True):
        mcmc = run(kernel, jnp.asarray(np.asarray(Y, np.float64)))
        assert mcmc.get_samples()["mu"].dtype == jnp.float64
        kinds = {np.dtype(leaf.dtype).name for leaf in jax.tree.leaves(mcmc.last_state)}
        assert "float64" in kinds and "float32" not in kinds
    np.testing.assert_array_equal(grouped(run(kernel))["mu"], before)


def shows_progress_and_summary(
    kernel: Any, pattern: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> str:
    """A bar changes no draw; the text of the summary."""
    features.shows_progress(kernel, pattern, monkeypatch, capsys)
    run(kernel, num_chains=2).print_summary(exclude_deterministic=False)
    text = capsys.readouterr().out
    assert all(name in text for name in ("mu", "sigma", "ratio")) and "Number of divergences" in text
    return text
