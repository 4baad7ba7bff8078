"""Whole models: simulation-based calibration, and the prior-to-posterior consistency of single transitions.

Parameters are drawn from the prior and data from the model, by NumPy alone; then a chain is run on the data. The rank of the true
value of any function among its posterior draws is uniform: Talts et al. (2018), arXiv:1804.06788; with the log likelihood as one
function: Modrak et al. (2023). And a transition that starts from the parameters that made the data leaves the joint law of
parameters and data as it is: Geweke (2004); Gandy, Scott (2020), arXiv:2001.06465.
"""

from collections.abc import Callable
from dataclasses import dataclass
from operator import attrgetter
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats
from targets import raw_keys

import ppl
import ppl.distributions as dist
from ppl import handlers
from ppl._typing import Array
from ppl.distributions import transforms
from ppl.infer import HMC, NUTS
from ppl.infer.util import unconstrain_fn

Draws = dict[str, np.ndarray]
REPLICATES, RANKS, THINNING, BURN_IN = 256, 63, 3, 100
Z_LIMIT = 5.0


@dataclass(frozen=True, eq=False)
class Calibration:
    """A model, and the same in NumPy.

    Attributes:
        model: a function of the data.
        prior: draws `(n, ...)` of the latent sites.
        simulate: data `(n, ...)` of them.
        log_likelihood: of parameters `(..., ...)` and data that broadcast.
        functions: what to rank beside it.
        step_size: a good one.
        held: sites whose start values are constrained ones: those of the discrete blocks of a kernel.
    """

    model: Callable[[Any], None]
    prior: Callable[[np.random.Generator, int], Draws]
    simulate: Callable[[np.random.Generator, Draws], np.ndarray]
    log_likelihood: Callable[[Draws, np.ndarray], np.ndarray]
    functions: dict[str, Callable[[Draws], np.ndarray]]
    step_size: float
    held: tuple[str, ...] = ()


def normal_log_density(y: np.ndarray, mean: Any, sd: Any) -> np.ndarray:
    return -0.5 * ((y - mean) / sd) ** 2 - np.log(sd)


# A hierarchical model


def hierarchical(y: Any) -> None:
    mu = ppl.sample("mu", dist.Normal(0.0, 1.0))
    tau = ppl.sample("tau", dist.LogNormal(-0.3, 0.4))
    with ppl.plate("group", 4):
        theta = ppl.sample("theta", dist.Normal(mu, tau))
        ppl.sample("y", dist.Normal(theta, 0.8), obs=y)


def hierarchical_prior(rng: np.random.Generator, n: int) -> Draws:
    mu, tau = rng.standard_normal(n), np.exp(-0.3 + 0.4 * rng.standard_normal(n))
    return {"mu": mu, "tau": tau, "theta": mu[:, None] + tau[:, None] * rng.standard_normal((n, 4))}


HIERARCHICAL = Calibration(
    hierarchical,
    hierarchical_prior,
    lambda rng, p: p["theta"] + 0.8 * rng.standard_normal(p["theta"].shape),
    lambda p, y: normal_log_density(y, p["theta"], 0.8).sum(-1),
    {"mu": lambda p: p["mu"], "tau": lambda p: p["tau"], "theta": lambda p: p["theta"][..., 0]},
    0.2,
)

# A simplex

CONCENTRATION = np.array([1.5, 2.0, 1.0], np.float32)


def simplex(y: Any) -> None:
    p = ppl.sample("p", dist.Dirichlet(jnp.asarray(CONCENTRATION)))
    ppl.sample("y", dist.Multinomial(12, p), obs=y)


SIMPLEX = Calibration(
    simplex,
    lambda rng, n: {"p": rng.dirichlet(CONCENTRATION, n)},
    lambda rng, p: np.stack([rng.multinomial(12, row / row.sum()) for row in p["p"]]),
    lambda p, y: (y * np.log(np.maximum(p["p"], 1e-30))).sum(-1),
    {"first": lambda p: p["p"][..., 0], "last": lambda p: p["p"][..., 2]},
    0.6,
)

# A Cholesky factor of a correlation matrix


def correlation(y: Any) -> None:
    factor = ppl.sample("factor", dist.LKJCholesky(3, 1.5))
    with ppl.plate("data", 5):
        ppl.sample("y", dist.MultivariateNormal(jnp.zeros(3), scale_tril=factor), obs=y)


def correlation_prior(rng: np.random.Generator, n: int) -> Draws:
    """By partial correlations along a vine: Lewandowski, Kurowicka, Joe (2009), section 2.4."""
    r12, r13 = (2 * rng.beta(2.0, 2.0, n) - 1 for _ in range(2))
    partial = 2 * rng.beta(1.5, 1.5, n) - 1
    factor = np.zeros((n, 3, 3))
    factor[:, 0, 0] = 1
    factor[:, 1, 0], factor[:, 1, 1] = r12, np.sqrt(1 - r12**2)
    factor[:, 2, 0], factor[:, 2, 1] = r13, partial * np.sqrt(1 - r13**2)
    factor[:, 2, 2] = np.sqrt((1 - partial**2) * (1 - r13**2))
    return {"factor": factor}


def correlation_log_likelihood(p: Draws, y: np.ndarray) -> np.ndarray:
    factor = np.broadcast_to(p["factor"], np.broadcast_shapes(p["factor"].shape, (*y.shape[:-2], 3, 3)))
    white = np.linalg.solve(factor, np.swapaxes(y, -1, -2))
    return -0.5 * (white**2).sum((-1, -2)) - 5 * np.log(np.diagonal(factor, axis1=-2, axis2=-1)).sum(-1)


CORRELATION = Calibration(
    correlation,
    correlation_prior,
    lambda rng, p: rng.standard_normal((len(p["factor"]), 5, 3)) @ np.swapaxes(p["factor"], 1, 2),
    correlation_log_likelihood,
    {"r12": lambda p: p["factor"][..., 1, 0], "r23": lambda p: (p["factor"][..., 1, :] * p["factor"][..., 2, :]).sum(-1)},
    0.25,
)

# An ordered vector


def ordered(y: Any) -> None:
    base = dist.Normal(0.0, 1.0).expand((3,)).to_event(1)
    cut = ppl.sample("cut", dist.TransformedDistribution(base, transforms.OrderedTransform()))
    ppl.sample("y", dist.Normal(cut, 0.7).to_event(1), obs=y)


def ordered_prior(rng: np.random.Generator, n: int) -> Draws:
    z = rng.standard_normal((n, 3))
    return {"cut": np.cumsum(np.concatenate([z[:, :1], np.exp(z[:, 1:])], 1), 1)}


ORDERED = Calibration(
    ordered,
    ordered_prior,
    lambda rng, p: p["cut"] + 0.7 * rng.standard_normal(p["cut"].shape),
    lambda p, y: normal_log_density(y, p["cut"], 0.7).sum(-1),
    {"first": lambda p: p["cut"][..., 0], "gap": lambda p: p["cut"][..., 2] - p["cut"][..., 1]},
    0.16,
)

# A truncated law whose bound is another site


def truncated(y: Any) -> None:
    low = ppl.sample("low", dist.Normal(0.0, 1.0))
    x = ppl.sample("x", dist.TruncatedNormal(0.5, 1.0, low=low))
    ppl.sample("y", dist.Normal(x, 0.5), obs=y)


def truncated_prior(rng: np.random.Generator, n: int) -> Draws:
    low = rng.standard_normal(n)
    return {"low": low, "x": stats.truncnorm.rvs(low - 0.5, np.inf, 0.5, 1.0, size=n, random_state=rng)}


TRUNCATED = Calibration(
    truncated,
    truncated_prior,
    lambda rng, p: p["x"] + 0.5 * rng.standard_normal(p["x"].shape),
    lambda p, y: normal_log_density(y, p["x"], 0.5),
    {"low": lambda p: p["low"], "x": lambda p: p["x"], "distance": lambda p: p["x"] - p["low"]},
    0.25,
)

# A subsampled plate at full size


def subsampled(y: Any) -> None:
    mu = ppl.sample("mu", dist.Normal(0.0, 1.0))
    sigma = ppl.sample("sigma", dist.LogNormal(0.0, 0.5))
    with ppl.plate("data", 6, subsample_size=6):
        ppl.sample("y", dist.Normal(mu, sigma), obs=ppl.subsample(y, event_dim=0))


SUBSAMPLED = Calibration(
    subsampled,
    lambda rng, n: {"mu": rng.standard_normal(n), "sigma": np.exp(0.5 * rng.standard_normal(n))},
    lambda rng, p: p["mu"][:, None] + p["sigma"][:, None] * rng.standard_normal((len(p["mu"]), 6)),
    lambda p, y: normal_log_density(y, p["mu"][..., None], p["sigma"][..., None]).sum(-1),
    {"mu": lambda p: p["mu"], "sigma": lambda p: p["sigma"]},
    0.22,
)

CASES = {
    "hierarchical": HIERARCHICAL,
    "simplex": SIMPLEX,
    "correlation": CORRELATION,
    "ordered": ORDERED,
    "truncated": TRUNCATED,
    "subsampled": SUBSAMPLED,
}


def kernel_of(case: Calibration, algorithm: str, factor: float = 1.0, *, adaptive: bool = False) -> HMC:
    fixed: dict[str, Any] = dict(step_size=factor * case.step_size, adapt_step_size=adaptive, adapt_mass_matrix=False)
    if algorithm == "NUTS":
        return NUTS(case.model, max_tree_depth=5, **fixed)
    return HMC(case.model, num_steps=6, trajectory_length=None, **fixed)


Told = Callable[[Any], Array]  # what a state tells of the acceptance of the last iteration


def chains(
    kernel: Any,
    data: np.ndarray,
    starts: Any,
    *,
    burn_in: int,
    count: int,
    thinning: int,
    seed: int,
    cautious: float = 1.0,
    told: Told = attrgetter("accept_prob"),
) -> Draws:
    """Draws `(n, count, ...)` of one chain for each set of data, by the kernel's own `init` and `sample` under vmap.

    During burn-in the step size is smaller by the factor `cautious`, unless that is 1: then the kernel need not have one.
    """

    def chain(key: Array, y: Array, start: Any) -> Any:
        state = kernel.init(key, burn_in, start, (y,))

        def skip(_: Any, state: Any) -> Any:
            return kernel.sample(state, (y,))

        def keep(state: Any, _: None) -> Any:
            state = jax.lax.fori_loop(0, thinning, skip, state)
            return state, (state.z, told(state))

        if cautious != 1.0:
            step_size = state.adapt_state.step_size
            state = state._replace(adapt_state=state.adapt_state._replace(step_size=cautious * step_size))
        state = jax.lax.fori_loop(0, burn_in, skip, state)
        if cautious != 1.0:
            state = state._replace(adapt_state=state.adapt_state._replace(step_size=step_size))
        positions, accepted = jax.lax.scan(keep, state, None, length=count)[1]
        return {**jax.vmap(kernel.postprocess_fn((y,), {}))(positions), "accept_prob": accepted}

    return jax.tree.map(np.asarray, jax.jit(jax.vmap(chain))(raw_keys(seed, len(data)), data, starts))


def starts_from(case: Calibration, data: np.ndarray, values: Draws) -> Any:
    """Unconstrained values of constrained ones, but for those that are held."""

    def unconstrain(y: Array, values: Any) -> Any:
        held = {name: values[name] for name in case.held}
        moved = {name: value for name, value in values.items() if name not in held}
        return unconstrain_fn(handlers.condition(case.model, held), (y,), {}, moved) | held

    return jax.jit(jax.vmap(unconstrain))(data, jax.tree.map(as_data, values))


def as_data(y: np.ndarray) -> np.ndarray:
    return y.astype(np.int32 if y.dtype.kind == "i" else np.float32)


def ranks_of(case: Calibration, kernel: Any, *, burn_in: int, thinning: int, **options: Any) -> dict[str, np.ndarray]:
    """How many of the 256 ranks fall into each of 16 bins, for each function and the log likelihood."""
    rng = np.random.default_rng(11)
    truth = case.prior(rng, REPLICATES)
    data = as_data(case.simulate(rng, truth))
    starts = starts_from(case, data, case.prior(rng, REPLICATES))
    draws = chains(kernel, data, starts, burn_in=burn_in, count=RANKS, thinning=thinning, seed=5, **options)
    pairs = {label: (function(truth), function(draws)) for label, function in case.functions.items()}
    pairs["log_likelihood"] = case.log_likelihood(truth, data), case.log_likelihood(draws, data[:, None])
    ranks = {label: _ranks(rng, true_value[:, None], values) for label, (true_value, values) in pairs.items()}
    return {label: np.bincount(rank * 16 // (RANKS + 1), minlength=16) for label, rank in ranks.items()}


def _ranks(rng: np.random.Generator, true_value: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Ranks among the values in a row; among equal ones, any."""
    return (values < true_value).sum(1) + rng.integers((values == true_value).sum(1) + 1)


def uniformity(counts: np.ndarray) -> float:
    """The p-value of uniform ranks."""
    return float(stats.chisquare(counts).pvalue)


@pytest.mark.parametrize("algorithm", ["NUTS", "HMC"])
@pytest.mark.parametrize("name", CASES)
def test_ranks_are_uniform(name: str, algorithm: str) -> None:
    """Chi-square of 256 ranks on 16 bins; with 42 tests in all, at p > 2e-5 each, the family-wise false alarm is below 0.001."""
    case = CASES[name]
    thinning = THINNING * (4 if algorithm == "HMC" else 1)
    kernel = kernel_of(case, algorithm)
    for label, counts in ranks_of(case, kernel, burn_in=BURN_IN, thinning=thinning, cautious=0.25).items():
        assert uniformity(counts) > 2e-5, (label, counts)


# Single transitions from the joint law

CONSISTENCY = {"hierarchical": 1.5, "truncated": 2.0, "correlation": 1.5}


def consistency(
    kernel: Any,
    case: Calibration,
    num: int = 20_000,
    *,
    told: Told = attrgetter("accept_prob"),
    acceptance: tuple[float, float] = (0.3, 1.0),
) -> float:
    """The largest z-score of a change, by two transitions, of a function of parameters and data, from exact joint draws.

    Under the right transition it exceeds 5 with probability below 2e-5.
    """
    rng = np.random.default_rng(2)
    truth = case.prior(rng, num)
    data = as_data(case.simulate(rng, truth))

    starts = starts_from(case, data, truth)
    moved = chains(kernel, data, starts, burn_in=1, count=1, thinning=1, seed=9, told=told)
    draws = {name: x[:, 0] for name, x in moved.items()}
    scores = []
    pairs = [(function(truth), function(draws)) for function in case.functions.values()]
    pairs.append((case.log_likelihood(truth, data), case.log_likelihood(draws, data)))
    statistic = data.reshape(num, -1).mean(1)
    for before, after in pairs:
        centre, scale = np.median(before), before.std()
        for f in (np.tanh, np.abs, lambda u: u > 0, lambda u: u > 1, lambda u: np.tanh(u) * statistic):
            change = f((after - centre) / scale).astype(float) - f((before - centre) / scale).astype(float)
            scores.append(abs(change.mean()) / (change.std() / np.sqrt(num)) if change.any() else 0.0)
    low, high = acceptance
    assert low < draws["accept_prob"].mean() <= high, draws["accept_prob"].mean()
    return max(scores)


@pytest.mark.parametrize("algorithm", ["NUTS", "HMC"])
@pytest.mark.parametrize("name", CONSISTENCY)
def test_transitions_keep_the_joint_law(name: str, algorithm: str) -> None:
    """At step sizes that are too large: faults hide where everything is accepted."""
    case = CASES[name]
    factor = CONSISTENCY[name] * (0.5 if algorithm == "HMC" and name == "correlation" else 1.0)
    assert consistency(kernel_of(case, algorithm, factor), case) < Z_LIMIT


def test_consistency_sees_a_missing_jacobian(monkeypatch: pytest.MonkeyPatch) -> None:
    right = transforms.ExpTransform.log_abs_det_jacobian
    monkeypatch.setattr(
        transforms.ExpTransform, "log_abs_det_jacobian", lambda self, *args, **kwargs: 0.0 * right(self, *args, **kwargs)
    )
    assert consistency(kernel_of(HIERARCHICAL, "NUTS"), HIERARCHICAL, 5000) > Z_LIMIT


def test_consistency_sees_a_wrong_model() -> None:
    """A likelihood that is a little too narrow."""

    def narrow(y: Any) -> None:
        with ppl.handlers.scale(scale=1.2):
            hierarchical(y)

    wrong = Calibration(**{**HIERARCHICAL.__dict__, "model": narrow})
    assert consistency(kernel_of(wrong, "NUTS"), wrong) > Z_LIMIT
