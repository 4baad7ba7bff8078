"""Stochastic volatility: returns whose scale follows a random walk on the logarithm.

Without `--data` the returns are simulated; with it they are read from a text file, one return to a line.

Model: after Kim, Shephard, Chib (1998), "Stochastic volatility: likelihood inference and comparison with ARCH models".
"""

from pathlib import Path

import jax.numpy as jnp
import numpy as np
from _common import draw_band, parser, plot, run
from jax import Array

import ppl
import ppl.distributions as dist
from ppl.infer import NUTS


def model(returns: Array) -> None:
    start = ppl.sample("start", dist.Normal(0.0, 3.0))
    step = ppl.sample("step", dist.HalfNormal(0.2))
    nu = ppl.sample("nu", dist.Gamma(2.0, 0.1))
    with ppl.plate("day", returns.shape[0]):
        innovation = ppl.sample("innovation", dist.Normal(0.0, 1.0))
        scale = ppl.deterministic("scale", jnp.exp(start + step * jnp.cumsum(innovation)))
        ppl.sample("returns", dist.StudentT(nu, 0.0, scale), obs=returns)


def simulate(seed: int, days: int) -> np.ndarray:
    """Returns whose scale drifts from day to day."""
    rng = np.random.default_rng(seed)
    log_scale = -1.0 + np.cumsum(0.05 * rng.standard_normal(days))
    return np.exp(log_scale) * rng.standard_t(10.0, days)


def main() -> None:
    options = parser("NUTS on a model of stochastic volatility.", num_warmup=500, num_samples=500, num_chains=4)
    options.add_argument(
        "--data", type=Path, metavar="FILE", help="read the returns from this text file instead of simulating them"
    )
    options.add_argument("--days", type=int, default=300, metavar="N", help="number of simulated returns")
    args = options.parse_args()
    returns = simulate(args.seed, args.days) if args.data is None else np.loadtxt(args.data)

    mcmc = run(args, NUTS(model, target_accept_prob=0.95), returns, drop=["innovation"])
    mcmc.print_summary()
    last = np.quantile(mcmc.get_samples()["scale"][:, -1], [0.05, 0.95])
    print(f"scale on the last day: between {last[0]:.2f} and {last[1]:.2f} with probability 90 %")

    def draw(axes) -> None:
        days = np.arange(len(returns))
        axes.plot(days, np.abs(returns), ".", color="0.6", markersize=3, label="size of the return")
        draw_band(axes, days, mcmc.get_samples()["scale"], "scale, 90 % band")
        axes.set(xlabel="day", yscale="log", title="volatility")
        axes.legend()

    plot(args, draw)


if __name__ == "__main__":
    main()
