"""The kernels beside NUTS where the answer is known: ``python -m benchmarks.exactness``, the table of ``docs/exactness.md``.

An error is measured in standard errors, by the effective sample size of what is averaged.
"""

import argparse
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import ppl
import ppl.distributions as dist
from ppl.diagnostics import effective_sample_size
from ppl.infer import AIES, ESS, HMC, HMCECS, MCMC, NUTS, SA, BarkerMH, DiscreteHMCGibbs, HMCGibbs, MixedHMC

Draws = Mapping[str, np.ndarray]
Mean = tuple[str, Callable[[Draws], np.ndarray], float]


@dataclass(frozen=True)
class Target:
    """A model, and expectations that are known: their names, the functions that are averaged, and the exact values."""

    model: Callable[..., None]
    means: tuple[Mean, ...]
    arguments: tuple[Any, ...] = ()


@dataclass(frozen=True)
class Case:
    """A kernel on a target. `is_exact` is False where it samples another law by design."""

    kernel: str
    target: str
    make: Callable[[Callable[..., None]], Any]
    draws: int = 20_000
    is_exact: bool = True
    options: dict[str, Any] = field(default_factory=lambda: {"num_chains": 4, "chain_method": "parallel"})


# Targets


def _moments(name: str, mean: float, variance: float) -> tuple[Mean, Mean]:
    return (
        (f"mean of {name}", lambda draws: draws[name], mean),
        (f"variance of {name}", lambda draws: (draws[name] - mean) ** 2, variance),
    )


def _product(first: str, second: str, means: tuple[float, float], covariance: float) -> Mean:
    return (
        f"covariance of {first} and {second}",
        lambda draws: (draws[first] - means[0]) * (draws[second] - means[1]),
        covariance,
    )


def two_normals() -> None:
    x = ppl.sample("x", dist.Normal(0.0, 2.0))
    y = ppl.sample("y", dist.Normal(0.0, 2.0))
    ppl.sample("sum", dist.Normal(x + y, 1.0), obs=1.0)


def mixture() -> None:
    c = ppl.sample("c", dist.Categorical(jnp.array([0.15, 0.3, 0.3, 0.25])))
    ppl.sample("x", dist.Normal(jnp.array([-2.0, 0.0, 2.0, 4.0])[c], 0.5))


def normal_mean(data: Any) -> None:
    mu = ppl.sample("mu", dist.Normal(0.0, 1.0))
    with ppl.plate("data", len(data), subsample_size=100):
        ppl.sample("y", dist.Normal(mu, 1.0), obs=ppl.subsample(data, event_dim=0))


def correlated() -> None:
    x = ppl.sample("x", dist.Normal(0.0, 1.0))
    ppl.sample("y", dist.Normal(0.9 * x, np.sqrt(0.19)))


def banana() -> None:
    x = ppl.sample("x", dist.Normal(0.0, 1.0))
    ppl.sample("y", dist.Normal(x**2, 1.0))


DATA = np.asarray(1.0 + jax.random.normal(jax.random.PRNGKey(0), (10_000,)))
MEAN = float(DATA.sum(dtype=np.float64) / 10_001)

TARGETS = {
    "two normals, their sum observed": Target(
        two_normals, (*_moments("x", 4 / 9, 20 / 9), *_moments("y", 4 / 9, 20 / 9), _product("x", "y", (4 / 9, 4 / 9), -16 / 9))
    ),
    "mixture of four": Target(
        mixture,
        (
            *_moments("x", 1.3, 4.36),
            ("probability of c = 0", lambda draws: 1.0 * (draws["c"] == 0), 0.15),
            ("probability of c = 3", lambda draws: 1.0 * (draws["c"] == 3), 0.25),
        ),
    ),
    "mean of 10,000 normal data": Target(normal_mean, _moments("mu", MEAN, 1 / 10_001), (DATA,)),
    "two normals, correlation .9": Target(
        correlated, (*_moments("x", 0.0, 1.0), *_moments("y", 0.0, 1.0), _product("x", "y", (0.0, 0.0), 0.9))
    ),
    "banana": Target(banana, (*_moments("x", 0.0, 1.0), *_moments("y", 1.0, 3.0), _product("x", "y", (0.0, 1.0), 0.0))),
}


# Kernels


def draw_x(rng_key: Any, gibbs_sites: Any, hmc_sites: Any) -> dict[str, Any]:
    """The full conditional law of `x`."""
    return {"x": 0.8 * (1.0 - hmc_sites["y"]) + np.sqrt(0.8) * jax.random.normal(rng_key)}


def _reference() -> Any:
    return HMCECS.taylor_proxy({"mu": jnp.float32(MEAN)}, degree=2)


ENSEMBLE = {"num_chains": 32, "chain_method": "vectorized"}
PLANES = ("two normals, correlation .9", "banana")

CASES = (
    Case("HMCGibbs", "two normals, their sum observed", lambda model: HMCGibbs(NUTS(model), draw_x, ["x"])),
    Case("DiscreteHMCGibbs", "mixture of four", lambda model: DiscreteHMCGibbs(NUTS(model)), 100_000),
    Case("DiscreteHMCGibbs, modified", "mixture of four", lambda model: DiscreteHMCGibbs(NUTS(model), modified=True), 100_000),
    Case(
        "DiscreteHMCGibbs, random walk", "mixture of four", lambda model: DiscreteHMCGibbs(NUTS(model), random_walk=True), 100_000
    ),
    Case(
        "MixedHMC", "mixture of four", lambda model: MixedHMC(HMC(model, trajectory_length=1.2), num_discrete_updates=20), 100_000
    ),
    Case("HMCECS with a proxy", "mean of 10,000 normal data", lambda model: HMCECS(NUTS(model), num_blocks=10, proxy=_reference())),
    Case("HMCECS without", "mean of 10,000 normal data", lambda model: HMCECS(NUTS(model), num_blocks=10), is_exact=False),
    *(Case("BarkerMH", plane, lambda model: BarkerMH(model, dense_mass=True), 100_000) for plane in PLANES),
    *(Case("SA", plane, lambda model: SA(model, adapt_state_size=10), 100_000) for plane in PLANES),
    *(Case("AIES", plane, lambda model: AIES(model), 20_000, options=ENSEMBLE) for plane in PLANES),
    *(Case("ESS", plane, lambda model: ESS(model), 5_000, options=ENSEMBLE) for plane in PLANES),
)


# The table


def rows_of(case: Case) -> list[str]:
    """A line for each expectation."""
    target = TARGETS[case.target]
    mcmc = MCMC(case.make(target.model), num_warmup=2_000, num_samples=case.draws, progress_bar=False, **case.options)
    mcmc.run(jax.random.key(0), *target.arguments)
    samples = mcmc.get_samples(group_by_chain=True)
    draws = {name: np.asarray(values, np.float64) for name, values in samples.items()}
    lines = []
    for name, function, exact in target.means:
        values = function(draws)
        found, size = float(values.mean()), float(effective_sample_size(values))
        error = (found - exact) / (values.std() / np.sqrt(size))
        lines.append(f"| {case.kernel} | {case.target} | {name} | {exact:.5g} | {found:.5g} | {size:,.0f} | {error:.1f} |")
    return lines


HEADER = """# Kernels where the answer is known

Targets whose expectations are known exactly, and what the kernels beside NUTS make of them: in the last column the error in
standard errors, by the effective size of what is averaged. `HMCECS` without a proxy samples another law by design, which is
visible: it wanders, and the variance is too large by a factor of tens; see [subsampling](how-to/choosing-a-kernel.md). Written by

    python -m benchmarks.exactness --write docs/exactness.md

| kernel | target | expectation | exact | found | effective size | error |
|---|---|---|---:|---:|---:|---:|
"""


def main() -> int:
    """Run all cases; the exit status is 1 if one that should be exact is more than 4.5 standard errors off."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.exactness", description=__doc__)
    parser.add_argument("--write", type=Path, help="the page to write")
    chosen = parser.parse_args()
    lines, is_off = [], False
    for case in CASES:
        own = rows_of(case)
        print("\n".join(own), flush=True)
        lines += own
        is_off |= case.is_exact and any(abs(float(line.split("|")[-2])) > 4.5 for line in own)
    if chosen.write:
        chosen.write.write_text(HEADER + "\n".join(lines) + "\n")
    return int(is_off)


if __name__ == "__main__":
    sys.exit(main())
