"""Oxygen demand: a posterior like a banana, by ensembles of chains.

Microbes use up the oxygen of a water sample; how much they have used after some days approaches a limit at a rate. Six
measurements do not say much about either: a high limit at a low rate does as well. ESS and AIES move many chains together, the one
half told by the other where to go, and need no gradient.

Chains of one ensemble depend on each other. Hence here are several ensembles with seeds of their own, to be compared; and sums over
a grid of limit and rate, with the standard deviation integrated out on paper, tell what is right.

Data: Marske (1967), as in Bates, Watts (1988), "Nonlinear regression analysis and its applications", A1.4.
"""

import jax.numpy as jnp
import numpy as np
from _common import draw_band, moments, parser, plot, print_beside
from jax import Array, random

import ppl
import ppl.distributions as dist
from ppl.infer import AIES, ESS, MCMC

DAY = np.array([1.0, 2.0, 3.0, 4.0, 5.0, 7.0])
DEMAND = np.array([8.3, 10.3, 19.0, 16.0, 15.6, 19.8])  # in milligrams a litre


def model(day: Array, demand: Array) -> None:
    limit = ppl.sample("limit", dist.LogNormal(3.0, 0.5))
    rate = ppl.sample("rate", dist.LogNormal(-0.5, 1.0))
    variance = ppl.sample("variance", dist.InverseGamma(1.0, 5.0))
    with ppl.plate("measurement", len(day)):
        ppl.sample("demand", dist.Normal(limit * (1.0 - jnp.exp(-rate * day)), jnp.sqrt(variance)), obs=demand)


def exact() -> dict[str, tuple[float, float]]:
    """Posterior moments of the logarithms of limit and rate by sums over a grid: without the variance the data have a t law."""
    log_limit, log_rate = np.meshgrid(np.linspace(1.0, 6.0, 500), np.linspace(-6.0, 4.0, 500), indexing="ij")
    limit, rate = np.exp(log_limit), np.exp(log_rate)
    squares = np.sum((DEMAND - limit[..., None] * (1.0 - np.exp(-rate[..., None] * DAY))) ** 2, axis=-1)
    log_prior = -0.5 * ((log_limit - 3.0) / 0.5) ** 2 - 0.5 * (log_rate + 0.5) ** 2
    return moments(log_prior - (1.0 + 0.5 * len(DAY)) * np.log(5.0 + 0.5 * squares), log_limit=log_limit, log_rate=log_rate)


def main() -> None:
    options = parser("Ensembles on a curve with two parameters.", num_warmup=2000, num_samples=2000, num_chains=2)
    options.add_argument("--kernel", choices=["ess", "aies"], default="ess", help="the kernel")
    options.add_argument("--walkers", type=int, default=24, metavar="N", help="chains of an ensemble; --num-chains are ensembles")
    args = options.parse_args()

    kernel = ESS(model) if args.kernel == "ess" else AIES(model)
    mcmc = MCMC(
        kernel,
        num_warmup=args.num_warmup,
        num_samples=args.num_samples,
        num_chains=args.walkers,
        chain_method="vectorized",
    )
    ensembles = []
    for number in range(args.num_chains):
        mcmc.run(random.key(args.seed + number), DAY, DEMAND)
        mcmc.print_summary()
        ensembles.append(mcmc.get_samples())
    draws = {name: np.stack([ensemble[name] for ensemble in ensembles]) for name in ensembles[0]}
    if args.save is not None:
        np.savez(args.save, **draws)
        print(f"draws saved to {args.save}")
    means = {name: ", ".join(f"{mean:.2f}" for mean in values.mean(axis=1)) for name, values in draws.items()}
    print(f"means in each ensemble: limit {means['limit']}; rate {means['rate']}")
    logarithms = {f"log_{name}": np.log(draws[name]) for name in ("limit", "rate")}
    print_beside(logarithms, exact(), "sums over a grid")

    def draw(curve, joint) -> None:
        days = np.linspace(0.0, 10.0, 100)
        limit, rate = (draws[name].reshape(-1)[:: max(1, draws[name].size // 1000)] for name in ("limit", "rate"))
        draw_band(curve, days, limit[:, None] * (1.0 - np.exp(-rate[:, None] * days)), "demand, 90 % band")
        curve.plot(DAY, DEMAND, "k.", label="measured")
        curve.set(xlabel="day", ylabel="oxygen demand in mg / l", title="six measurements")
        curve.legend()
        joint.scatter(limit, rate, s=4, alpha=0.4)
        joint.set(xlabel="limit", ylabel="rate", xscale="log", yscale="log", title="the banana")

    plot(args, draw, columns=2)


if __name__ == "__main__":
    main()
