"""Subsampling: a logistic regression whose data are too many for a gradient.

HMCECS estimates the log likelihood of all rows from some hundred of them and a Taylor expansion about the mode. The time of a
gradient does not depend on the number of rows: try --rows. The summary tells the variance of the estimate, which has to be small
(below about 3) for the posterior to be right; --subsample 100 and --degree 1 show how it grows.

With so many rows the posterior is a normal law about the mode, which tells what is right. --compare runs NUTS on all data, too.
"""

import argparse
import time
from typing import Any

import jax.numpy as jnp
import numpy as np
from _common import draw_intervals, parser, plot, print_beside, run
from jax import Array

import ppl
import ppl.distributions as dist
from ppl.infer import HMCECS, MCMC, NUTS


def model(x: Array, y: Array, subsample_size: int | None = None) -> None:
    slope = ppl.sample("slope", dist.Normal(0.0, 1.0).expand([x.shape[1]]).to_event(1))
    with ppl.plate("row", x.shape[0], subsample_size=subsample_size):
        ppl.sample("y", dist.Bernoulli(logits=ppl.subsample(x, 1) @ slope), obs=ppl.subsample(y, 0))


def simulate(seed: int, rows: int, columns: int) -> tuple[np.ndarray, np.ndarray]:
    """Predictors and answers."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((rows, columns))
    return x, rng.binomial(1, 1.0 / (1.0 + np.exp(-x @ rng.normal(0.0, 0.5, columns))))


def mode(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The mode of the posterior, by Newton's method, and the standard deviations of the normal law that touches it there."""
    slope = np.zeros(x.shape[1])
    for _ in range(10):
        p = 1.0 / (1.0 + np.exp(-x @ slope))
        hessian = (x.T * (p * (1.0 - p))) @ x + np.eye(len(slope))
        slope = slope + np.linalg.solve(hessian, x.T @ (y - p) - slope)
    return slope, np.sqrt(np.diag(np.linalg.inv(hessian)))


def leapfrog_time(mcmc: MCMC, fields: list[str], *data: Any) -> float:
    """Microseconds for each leapfrog step of all chains, in a further run with the same fields, for which nothing is compiled."""
    mcmc.post_warmup_state = mcmc.last_state
    begin = time.perf_counter()
    mcmc.run(mcmc.last_state.rng_key, *data, extra_fields=fields)
    return 1e6 * (time.perf_counter() - begin) / float(np.sum(mcmc.get_extra_fields()[fields[0]]))


def main() -> None:
    options = parser("Energy conserving subsampling on a logistic regression.")
    options.add_argument("--rows", type=int, default=100_000, metavar="N", help="rows of simulated data")
    options.add_argument("--columns", type=int, default=8, metavar="N", help="number of predictors")
    options.add_argument("--subsample", type=int, default=500, metavar="N", help="rows in a subsample")
    options.add_argument("--blocks", type=int, default=50, metavar="N", help="blocks of the subsample, one renewed at a time")
    options.add_argument("--degree", type=int, default=2, choices=[1, 2], help="of the expansion")
    options.add_argument("--compare", action="store_true", help="run NUTS on all data, too")
    args = options.parse_args()
    x, y = simulate(args.seed, args.rows, args.columns)
    reference, spread = mode(x, y)

    proxy = HMCECS.taylor_proxy({"slope": jnp.asarray(reference, jnp.float32)}, degree=args.degree)
    kernel = HMCECS(NUTS(model), num_blocks=args.blocks, proxy=proxy)
    wanted = ["hmc_state.num_steps", "gibbs_state.variance"]
    mcmc = run(args, kernel, x, y, args.subsample, extra_fields=wanted)
    mcmc.print_summary()
    fields = mcmc.get_extra_fields()
    print(f"a leapfrog step takes {leapfrog_time(mcmc, wanted, x, y, args.subsample):.0f} microseconds")
    if args.compare:
        whole = run(argparse.Namespace(**{**vars(args), "save": None}), NUTS(model), x, y, extra_fields=["num_steps"])
        whole.print_summary()
        print(f"on all data {leapfrog_time(whole, ['num_steps'], x, y):.0f} microseconds")
    draws = np.asarray(mcmc.get_samples()["slope"])
    by_name = {f"slope[{i}]": (float(reference[i]), float(spread[i])) for i in range(args.columns)}
    print_beside(dict(zip(by_name, draws.T)), by_name, "normal law")

    def draw(slopes, noise) -> None:
        places = np.arange(args.columns)
        draw_intervals(slopes, places, (draws - reference) / spread)
        slopes.axhspan(-1.645, 1.645, color="0.9", zorder=0)
        slopes.set(xlabel="predictor", ylabel="slope - mode, in standard deviations", title="90 % intervals; grey: exact")
        noise.hist(np.log10(np.maximum(fields["gibbs_state.variance"], 1e-9)), bins=50)
        noise.set(xlabel="logarithm, base 10", ylabel="draws", title="variance of the estimated log likelihood")

    plot(args, draw, columns=2)


if __name__ == "__main__":
    main()
