"""Radon in houses: varying intercepts for counties.

The logarithm of the radon level of a house depends on whether it was measured in the basement (0) or on the first floor (1), and
on its county. Counties with few houses are drawn towards the mean of all.

Without `--data` the houses are simulated, as many as there are in Minnesota's data; with it they are read from a JSON file that
holds `log_radon`, `floor_measure`, and `county_idx` counted from 1 (the format of `radon_mn` in posteriordb).

Model: Gelman, Hill (2007), "Data Analysis Using Regression and Multilevel/Hierarchical Models", chapter 12.
"""

import json
from pathlib import Path

import numpy as np
from _common import draw_intervals, parser, plot, run
from jax import Array

import ppl
import ppl.distributions as dist
from ppl.infer import NUTS

COUNTIES, HOUSES = 85, 919


def model(num_counties: int, county: Array, floor: Array, log_radon: Array | None = None) -> None:
    mu = ppl.sample("mu", dist.Normal(0.0, 5.0))
    tau = ppl.sample("tau", dist.HalfNormal(1.0))
    slope = ppl.sample("slope", dist.Normal(0.0, 2.0))
    sigma = ppl.sample("sigma", dist.HalfNormal(1.0))
    with ppl.plate("county", num_counties):
        deviation = ppl.sample("deviation", dist.Normal(0.0, 1.0))
        intercept = ppl.deterministic("intercept", mu + tau * deviation)
    with ppl.plate("house", len(county)):
        ppl.sample("log_radon", dist.Normal(intercept[county] + slope * floor, sigma), obs=log_radon)


def load(path: Path) -> tuple[int, np.ndarray, np.ndarray, np.ndarray]:
    """Number of counties, county of each house counted from 0, floor, logarithm of the level."""
    data = json.loads(path.read_text())
    county = np.array(data["county_idx"]) - 1
    return int(county.max()) + 1, county, np.array(data["floor_measure"], float), np.array(data["log_radon"], float)


def simulate(seed: int) -> tuple[int, np.ndarray, np.ndarray, np.ndarray]:
    """Houses like Minnesota's: a few large counties, many small ones."""
    rng = np.random.default_rng(seed)
    more = rng.choice(COUNTIES, HOUSES - COUNTIES, p=rng.dirichlet(np.full(COUNTIES, 0.7)))
    county = np.sort(np.concatenate([np.arange(COUNTIES), more]))
    floor = rng.binomial(1, 0.17, HOUSES).astype(float)
    intercept = 1.5 + 0.3 * rng.standard_normal(COUNTIES)
    return COUNTIES, county, floor, intercept[county] - 0.7 * floor + 0.75 * rng.standard_normal(HOUSES)


def main() -> None:
    options = parser("NUTS on varying intercepts for the counties of radon measurements.")
    options.add_argument("--data", type=Path, metavar="FILE", help="read the houses from this JSON file instead of simulating them")
    args = options.parse_args()
    num_counties, county, floor, log_radon = simulate(args.seed) if args.data is None else load(args.data)

    mcmc = run(args, NUTS(model), num_counties, county, floor, log_radon, drop=["deviation"])
    mcmc.print_summary()

    def draw(axes) -> None:
        houses = np.bincount(county, minlength=num_counties)
        jitter = np.random.default_rng(0).uniform(0.9, 1.1, num_counties)
        draws = mcmc.get_samples()
        axes.axhline(float(draws["mu"].mean()), color="0.6")
        draw_intervals(axes, houses * jitter, draws["intercept"], alpha=0.6)
        axes.set(xscale="log", xlabel="houses in the county", ylabel="intercept", title="intercepts of counties, 90 % intervals")

    plot(args, draw)


if __name__ == "__main__":
    main()
