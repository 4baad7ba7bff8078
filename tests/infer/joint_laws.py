"""Models with discrete or conjugate sites, and exact draws of all their sites and data, by NumPy alone."""

import itertools
from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import random
from test_sbc import Calibration, Draws, normal_log_density

import ppl
import ppl.distributions as dist
from ppl._typing import Array
from ppl.diagnostics import effective_sample_size


def _choice(rng: np.random.Generator, probs: np.ndarray) -> np.ndarray:
    """States drawn with probabilities `(..., k)`."""
    return (rng.uniform(size=probs.shape[:-1])[..., None] > np.cumsum(probs, -1)[..., :-1]).sum(-1)


def _is(name: str, state: int, *index: Any) -> Callable[[Draws], np.ndarray]:
    return lambda p: (p[name][(..., *index)] == state).astype(float)


def _site(name: str, *index: Any) -> Callable[[Draws], np.ndarray]:
    return lambda p: p[name][(..., *index)].astype(float)


# Two normal sites of which only the sum is seen


def two_normals(obs: Any) -> None:
    x = ppl.sample("x", dist.Normal(0.0, 2.0))
    y = ppl.sample("y", dist.Normal(0.0, 2.0))
    ppl.deterministic("seen", obs)
    ppl.sample("obs", dist.Normal(x + y, 1.0), obs=obs)


def draw_x(rng_key: Any, gibbs_sites: Any, hmc_sites: Any) -> Any:
    return {"x": 0.8 * (hmc_sites["seen"] - hmc_sites["y"]) + jnp.sqrt(0.8) * random.normal(rng_key)}


TWO_NORMALS = Calibration(
    two_normals,
    lambda rng, n: {"x": 2.0 * rng.standard_normal(n), "y": 2.0 * rng.standard_normal(n)},
    lambda rng, p: p["x"] + p["y"] + rng.standard_normal(len(p["x"])),
    lambda p, y: normal_log_density(y, p["x"] + p["y"], 1.0),
    {"x": _site("x"), "y": _site("y"), "product": lambda p: p["x"] * p["y"]},
    1.4,
    held=("x",),
)

# Normal means whose variance has an inverse gamma law


def variances(y: Any) -> None:
    mu = ppl.sample("mu", dist.Normal(0.0, 1.0))
    tau2 = ppl.sample("tau2", dist.InverseGamma(3.0, 2.0))
    with ppl.plate("groups", 4):
        theta = ppl.sample("theta", dist.Normal(mu, jnp.sqrt(tau2)))
        ppl.sample("y", dist.Normal(theta, 0.8), obs=y)
    ppl.deterministic("data", y)


def draw_tau2(rng_key: Any, gibbs_sites: Any, hmc_sites: Any) -> Any:
    squares = jnp.sum((hmc_sites["theta"] - hmc_sites["mu"]) ** 2)
    return {"tau2": (2.0 + 0.5 * squares) / random.gamma(rng_key, 5.0)}


def draw_mu_and_theta(rng_key: Any, gibbs_sites: Any, hmc_sites: Any) -> Any:
    """The mean of the groups given their values, then the values given it."""
    k_mu, k_theta = random.split(rng_key)
    tau2 = hmc_sites["tau2"]
    precision = 1.0 + 4.0 / tau2
    mu = jnp.sum(gibbs_sites["theta"]) / tau2 / precision + random.normal(k_mu) / jnp.sqrt(precision)
    precision = 1.0 / tau2 + 1.0 / 0.64
    centre = (mu / tau2 + hmc_sites["data"] / 0.64) / precision
    return {"mu": mu, "theta": centre + random.normal(k_theta, (4,)) / jnp.sqrt(precision)}


def _variances_prior(rng: np.random.Generator, n: int) -> Draws:
    mu, tau2 = rng.standard_normal(n), 2.0 / rng.gamma(3.0, size=n)
    return {"mu": mu, "tau2": tau2, "theta": mu[:, None] + np.sqrt(tau2)[:, None] * rng.standard_normal((n, 4))}


def _variances(held: tuple[str, ...], step_size: float) -> Calibration:
    return Calibration(
        variances,
        _variances_prior,
        lambda rng, p: p["theta"] + 0.8 * rng.standard_normal(p["theta"].shape),
        lambda p, y: normal_log_density(y, p["theta"], 0.8).sum(-1),
        {"mu": _site("mu"), "log tau2": lambda p: np.log(p["tau2"]), "theta": _site("theta", 0)},
        step_size,
        held=held,
    )


VARIANCES = _variances(("tau2",), 0.57)
MEANS = _variances(("mu", "theta"), 0.65)

# The mixture of four normals

WEIGHTS, CENTRES = np.array([0.15, 0.3, 0.3, 0.25], np.float32), np.array([-2.0, 0.0, 2.0, 4.0], np.float32)


def mixture(y: Any = None) -> None:
    c = ppl.sample("c", dist.Categorical(jnp.asarray(WEIGHTS)))
    x = ppl.sample("x", dist.Normal(jnp.asarray(CENTRES)[c], 0.5))
    if y is not None:
        ppl.sample("y", dist.Normal(x, 2.0), obs=y)


def _mixture_prior(rng: np.random.Generator, n: int) -> Draws:
    c = rng.choice(4, n, p=WEIGHTS / WEIGHTS.sum(dtype=float))
    return {"c": c, "x": rng.normal(CENTRES[c], 0.5)}


MIXTURE = Calibration(
    mixture,
    _mixture_prior,
    lambda rng, p: rng.normal(p["x"], 2.0),
    lambda p, y: normal_log_density(y, p["x"], 2.0),
    {"x": _site("x"), "residual": lambda p: p["x"] - CENTRES[p["c"]], **{f"c={k}": _is("c", k) for k in range(4)}},
    0.9,
    held=("c",),
)


def mixture_deviation(samples: Any) -> float:
    """The largest z-score of moments and weights in draws `(c, n)` of the mixture without data."""
    x, c = np.asarray(samples["x"], np.float64), np.asarray(samples["c"])
    scores = []
    for values, exact in [(x, 1.3), ((x - 1.3) ** 2, 4.36), *((1.0 * (c == k), float(WEIGHTS[k])) for k in range(4))]:
        size = effective_sample_size(values)
        assert size > 400
        scores.append(abs(values.mean() - exact) / values.std() * np.sqrt(size))
    return float(max(scores))


# A ring of four spins, neighbours alike; within one plate, but each coupled with two others

RING = np.array(list(itertools.product([0, 1], repeat=4)))
COUPLING = 0.7


def _ring_energy(z: Any) -> Any:
    return COUPLING * ((2 * z - 1) * (2 * z[..., [1, 2, 3, 0]] - 1)).sum(-1)


RING_PROBS = np.exp(_ring_energy(RING)) / np.exp(_ring_energy(RING)).sum()


def ring(y: Any) -> None:
    with ppl.plate("spins", 4):
        z = ppl.sample("z", dist.Bernoulli(0.5))
        ppl.factor("coupling", COUPLING * (2.0 * z - 1.0) * (2.0 * jnp.roll(z, 1) - 1.0))
        x = ppl.sample("x", dist.Normal(1.0 * z, 1.0))
        ppl.sample("y", dist.Normal(x, 1.0), obs=y)


def _ring_prior(rng: np.random.Generator, n: int) -> Draws:
    z = RING[rng.choice(16, n, p=RING_PROBS)]
    return {"z": z, "x": rng.normal(z, 1.0)}


ISING = Calibration(
    ring,
    _ring_prior,
    lambda rng, p: rng.normal(p["x"], 1.0),
    lambda p, y: normal_log_density(y, p["x"], 1.0).sum(-1),
    {
        "first": _site("z", 0),
        "last": _site("z", 3),
        "energy": lambda p: _ring_energy(p["z"]),
        "ends": lambda p: 1.0 * (p["z"][..., 0] == p["z"][..., 3]),
        "residual": lambda p: (p["x"] - p["z"]).sum(-1),
    },
    1.2,
    held=("z",),
)

# Sites of four kinds with supports of their own, all seen through one normal

TOTALS, HIGHS = np.array([1, 2, 4]), np.array([2, 4, 3])
CATEGORIES = np.array([0.2, 0.5, 0.3], np.float32)


def supports(y: Any) -> None:
    a = ppl.sample("a", dist.Bernoulli(logits=-0.5))
    b = ppl.sample("b", dist.Categorical(jnp.asarray(CATEGORIES)))
    with ppl.plate("n", 3):
        k = ppl.sample("k", dist.Binomial(TOTALS, 0.4))
        d = ppl.sample("d", dist.DiscreteUniform(2, HIGHS))
    x = ppl.sample("x", dist.Normal(1.0 * a + b - 0.5 * jnp.sum(k) + 0.7 * jnp.sum(d), 1.0))
    ppl.sample("y", dist.Normal(x, 1.0), obs=y)


def _supports_mean(p: Draws) -> np.ndarray:
    return p["a"] + p["b"] - 0.5 * p["k"].sum(-1) + 0.7 * p["d"].sum(-1)


def _supports_prior(rng: np.random.Generator, n: int) -> Draws:
    p: Draws = {"a": (rng.uniform(size=n) < 1 / (1 + np.exp(0.5))).astype(int), "b": rng.choice(3, n, p=[0.2, 0.5, 0.3])}
    p |= {"k": rng.binomial(TOTALS, 0.4, (n, 3)), "d": rng.integers(2, HIGHS + 1, (n, 3))}
    return p | {"x": rng.normal(_supports_mean(p), 1.0)}


SUPPORTS = Calibration(
    supports,
    _supports_prior,
    lambda rng, p: rng.normal(p["x"], 1.0),
    lambda p, y: normal_log_density(y, p["x"], 1.0),
    {
        "a": _site("a"),
        "b=1": _is("b", 1),
        "b=2": _is("b", 2),
        "k0": _site("k", 0),
        "k2": _site("k", 2),
        "k2=4": _is("k", 4, 2),
        "d2": _site("d", 2),
        "d1": _site("d", 1),
        "d1=4": _is("d", 4, 1),
        "residual": lambda p: p["x"] - _supports_mean(p),
    },
    1.3,
    held=("a", "b", "d", "k"),
)

# A mixture in a plate


def plated(y: Any) -> None:
    mu = ppl.sample("mu", dist.Normal(jnp.array([-1.0, 1.0]), 0.7).to_event(1))
    sigma = ppl.sample("sigma", dist.LogNormal(-0.3, 0.3))
    with ppl.plate("n", 6):
        z = ppl.sample("z", dist.Categorical(jnp.array([0.35, 0.65])))
        ppl.sample("y", dist.Normal(mu[z], sigma), obs=y)
    ppl.deterministic("data", y)


def draw_assignments(rng_key: Any, gibbs_sites: Any, hmc_sites: Any) -> Any:
    residuals = (hmc_sites["data"][:, None] - hmc_sites["mu"]) / hmc_sites["sigma"]
    logits = jnp.log(jnp.array([0.35, 0.65])) - 0.5 * residuals**2
    return {"z": random.categorical(rng_key, logits).astype(gibbs_sites["z"].dtype)}


def _plated_prior(rng: np.random.Generator, n: int) -> Draws:
    return {
        "mu": rng.normal([-1.0, 1.0], 0.7, (n, 2)),
        "sigma": np.exp(-0.3 + 0.3 * rng.standard_normal(n)),
        "z": (rng.uniform(size=(n, 6)) < 0.65).astype(int),
    }


PLATED = Calibration(
    plated,
    _plated_prior,
    lambda rng, p: rng.normal(np.take_along_axis(p["mu"], p["z"], 1), p["sigma"][:, None]),
    lambda p, y: normal_log_density(y, np.take_along_axis(p["mu"], p["z"], -1), p["sigma"][..., None]).sum(-1),
    {"mu0": _site("mu", 0), "mu1": _site("mu", 1), "sigma": _site("sigma"), "z0": _site("z", 0), "sum": lambda p: p["z"].sum(-1)},
    0.3,
    held=("z",),
)

# Nested plates: elements of a group are coupled, groups are apart


def nested(y: Any) -> None:
    with ppl.plate("groups", 3, dim=-2):
        with ppl.plate("items", 2, dim=-1):
            z = ppl.sample("z", dist.Bernoulli(jnp.array([0.3, 0.6])))
        x = ppl.sample("x", dist.Normal(1.5 * jnp.sum(z, -1, keepdims=True), 0.8))
        ppl.sample("y", dist.Normal(x, 1.0), obs=y[:, None])


def _nested_prior(rng: np.random.Generator, n: int) -> Draws:
    z = (rng.uniform(size=(n, 3, 2)) < [0.3, 0.6]).astype(int)
    return {"z": z, "x": rng.normal(1.5 * z.sum(-1, keepdims=True), 0.8)}


NESTED = Calibration(
    nested,
    _nested_prior,
    lambda rng, p: rng.normal(p["x"], 1.0)[..., 0],
    lambda p, y: normal_log_density(y, p["x"][..., 0], 1.0).sum(-1),
    {
        "z00": _site("z", 0, 0),
        "z21": _site("z", 2, 1),
        "both": lambda p: 1.0 * p["z"].prod(-1).sum(-1),
        "x": _site("x", 1, 0),
        "residual": lambda p: (p["x"][..., 0] - 1.5 * p["z"].sum(-1)).sum(-1),
    },
    0.8,
    held=("z",),
)

# Discrete sites that depend on each other

CHILD = np.array([[0.7, 0.2, 0.1], [0.1, 0.3, 0.6]], np.float32)
GRANDCHILD = np.array([[0.9, 0.5, 0.2], [0.6, 0.3, 0.1]], np.float32)


def family(y: Any) -> None:
    a = ppl.sample("a", dist.Bernoulli(0.4))
    b = ppl.sample("b", dist.Categorical(jnp.asarray(CHILD)[a]))
    c = ppl.sample("c", dist.Bernoulli(jnp.asarray(GRANDCHILD)[a, b]))
    x = ppl.sample("x", dist.Normal(1.0 * a - b + 2.0 * c, 1.0))
    ppl.sample("y", dist.Normal(x, 1.5), obs=y)


def _family_prior(rng: np.random.Generator, n: int) -> Draws:
    a = (rng.uniform(size=n) < 0.4).astype(int)
    b = _choice(rng, CHILD[a])
    c = (rng.uniform(size=n) < GRANDCHILD[a, b]).astype(int)
    return {"a": a, "b": b, "c": c, "x": rng.normal(a - b + 2.0 * c, 1.0)}


FAMILY = Calibration(
    family,
    _family_prior,
    lambda rng, p: rng.normal(p["x"], 1.5),
    lambda p, y: normal_log_density(y, p["x"], 1.5),
    {
        "a": _site("a"),
        "b=1": _is("b", 1),
        "b=2": _is("b", 2),
        "c": _site("c"),
        "a and c": lambda p: 1.0 * p["a"] * p["c"],
        "x": _site("x"),
        "residual": lambda p: p["x"] - p["a"] + p["b"] - 2.0 * p["c"],
    },
    1.35,
    held=("a", "b", "c"),
)

# One site swept, another summed out


def summed(y: Any) -> None:
    k = ppl.sample("k", dist.Bernoulli(0.3), infer={"enumerate": "parallel"})
    c = ppl.sample("c", dist.Categorical(jnp.asarray(CATEGORIES)))
    x = ppl.sample("x", dist.Normal(1.0 * k + 2.0 * c, 1.0))
    ppl.sample("y", dist.Normal(x, 1.0), obs=y)


def _summed_prior(rng: np.random.Generator, n: int) -> Draws:
    c = rng.choice(3, n, p=[0.2, 0.5, 0.3])
    return {"c": c, "x": rng.normal((rng.uniform(size=n) < 0.3) + 2.0 * c, 1.0)}


SUMMED = Calibration(
    summed,
    _summed_prior,
    lambda rng, p: rng.normal(p["x"], 1.0),
    lambda p, y: normal_log_density(y, p["x"], 1.0),
    {"x": _site("x"), "residual": lambda p: p["x"] - 2.0 * p["c"], **{f"c={k}": _is("c", k) for k in range(3)}},
    1.35,
    held=("c",),
)

# Scales, masks and missing data: p(z)^2 p(x)^1.5, of four data one masked, of three others one missing

SEEN = np.array([True, False, True, True])
KNOWN = np.array([True, True, False])


def weighted(y: Any) -> None:
    with ppl.handlers.scale(scale=2.0), ppl.plate("n", 4):
        z = ppl.sample("z", dist.Bernoulli(logits=jnp.array([0.3, -0.2, 0.4, 0.1])))
    with ppl.handlers.scale(scale=1.5):
        x = ppl.sample("x", dist.Normal(0.0, 1.0))
    with ppl.plate("n", 4), ppl.handlers.mask(mask=jnp.asarray(SEEN)):
        ppl.sample("y", dist.Normal(x + z, 1.0), obs=y[:4])
    with ppl.plate("m", 3):
        ppl.sample("w", dist.Normal(x - z[:3], 0.7), obs=y[4:], obs_mask=jnp.asarray(KNOWN))


def _weighted_prior(rng: np.random.Generator, n: int) -> Draws:
    z = (rng.uniform(size=(n, 4)) < 1 / (1 + np.exp(-2 * np.array([0.3, -0.2, 0.4, 0.1])))).astype(int)
    x = rng.normal(0.0, 1 / np.sqrt(1.5), n)
    return {"z": z, "x": x, "w_unobserved": rng.normal(x[:, None] - z[:, :3], 0.7)}


def _weighted_log_likelihood(p: Draws, y: np.ndarray) -> np.ndarray:
    x = p["x"][..., None]
    seen = np.where(SEEN, normal_log_density(y[..., :4], x + p["z"], 1.0), 0.0)
    return seen.sum(-1) + np.where(KNOWN, normal_log_density(y[..., 4:], x - p["z"][..., :3], 0.7), 0.0).sum(-1)


def _weighted_data(rng: np.random.Generator, p: Draws) -> np.ndarray:
    """What is masked is noise of no account."""
    y = rng.normal(p["x"][:, None] + p["z"], 1.0)
    w = rng.normal(p["x"][:, None] - p["z"][:, :3], 0.7)
    data = np.concatenate([y, w], 1)
    return np.where(np.concatenate([SEEN, KNOWN]), data, rng.standard_normal(data.shape))


WEIGHTED = Calibration(
    weighted,
    _weighted_prior,
    _weighted_data,
    _weighted_log_likelihood,
    {
        **{f"z{i}": _site("z", i) for i in range(4)},
        "x": _site("x"),
        "missing": _site("w_unobserved", 2),
        "residual": lambda p: p["w_unobserved"][..., 2] - p["x"] + p["z"][..., 2],
    },
    0.55,
    held=("z",),
)

# Discrete sites alone, seen through data


def discrete_only(y: Any) -> None:
    with ppl.plate("n", 5):
        z = ppl.sample("z", dist.Bernoulli(jnp.array([0.3, 0.4, 0.5, 0.6, 0.7])))
    ppl.sample("y", dist.Normal(1.0 * jnp.sum(z), 1.0), obs=y)


DISCRETE_ONLY = Calibration(
    discrete_only,
    lambda rng, n: {"z": (rng.uniform(size=(n, 5)) < [0.3, 0.4, 0.5, 0.6, 0.7]).astype(int)},
    lambda rng, p: rng.normal(p["z"].sum(1), 1.0),
    lambda p, y: normal_log_density(y, p["z"].sum(-1), 1.0),
    {
        "first": _site("z", 0),
        "last": _site("z", 4),
        "sum": lambda p: p["z"].sum(-1),
        "pair": lambda p: p["z"][..., 1] * p["z"][..., 2],
    },
    1.0,
    held=("z",),
)

DISCRETE = {
    "mixture": MIXTURE,
    "ring": ISING,
    "supports": SUPPORTS,
    "plated": PLATED,
    "nested": NESTED,
    "family": FAMILY,
    "summed": SUMMED,
    "weighted": WEIGHTED,
    "discrete only": DISCRETE_ONLY,
}


def of_inner(state: Any) -> Array:
    """The acceptance probability of the kernel on continuous sites."""
    return state.block_states[1].accept_prob
