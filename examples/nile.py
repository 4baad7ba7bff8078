"""Nile: a drop of the river's flow, by kernels that need no gradient.

The flow of the Nile at Aswan fell at the end of the 19th century. When it did is a continuous site, a time between 1871 and 1970:
the density is a staircase in it, whose gradient is zero or does not exist. NUTS would be wrong without a word. SA needs the density
alone.

Between two measurements the time makes no difference, so that it can be summed over; the two levels have normal priors and are
integrated out, which leaves a sum over a grid of the standard deviation to tell what is right.

Data: Cobb (1978), "The problem of the Nile: conditional solution to a changepoint problem", Biometrika 65.
"""

import jax.numpy as jnp
import numpy as np
from _common import draw_band, moments, parser, plot, print_beside, run
from jax import Array

import ppl
import ppl.distributions as dist
from ppl.infer import SA

# fmt: off
FLOW = np.array([
    1120, 1160, 963, 1210, 1160, 1160, 813, 1230, 1370, 1140, 995, 935, 1110, 994, 1020, 960, 1180, 799, 958, 1140, 1100, 1210,
    1150, 1250, 1260, 1220, 1030, 1100, 774, 840, 874, 694, 940, 833, 701, 916, 692, 1020, 1050, 969, 831, 726, 456, 824, 702,
    1120, 1100, 832, 764, 821, 768, 845, 864, 862, 698, 845, 744, 796, 1040, 759, 781, 865, 845, 944, 984, 897, 822, 1010, 771,
    676, 649, 846, 812, 742, 801, 1040, 860, 874, 848, 890, 744, 749, 838, 1050, 918, 986, 797, 923, 975, 815, 1020, 906, 901,
    1170, 912, 746, 919, 718, 714, 740,
]) / 100.0  # in ten thousand million cubic metres
# fmt: on
YEAR = 1871.0 + np.arange(len(FLOW))


def model(year: Array, flow: Array) -> None:
    when = ppl.sample("when", dist.Uniform(YEAR[0], YEAR[-1]))
    level = ppl.sample("level", dist.Normal(9.0, 3.0).expand([2]).to_event(1))
    scale = ppl.sample("scale", dist.LogNormal(0.0, 1.0))
    with ppl.plate("measurement", len(year)):
        ppl.sample("flow", dist.Normal(jnp.where(year < when, level[0], level[1]), scale), obs=flow)


def exact() -> dict[str, tuple[float, float]]:
    """Posterior moments by sums over the intervals between two measurements and a grid of the logarithm of the scale."""
    count, log_scale = np.arange(1.0, len(FLOW))[:, None], np.linspace(-1.0, 2.0, 400)
    variance, total = np.exp(2.0 * log_scale), np.cumsum(FLOW - 9.0)
    log_weight = -0.5 * log_scale**2 - len(FLOW) * log_scale - 0.5 * np.sum((FLOW - 9.0) ** 2) / variance
    for number, part in ((count, total[:-1, None]), (len(FLOW) - count, (total[-1] - total[:-1])[:, None])):
        precision = number / variance + 1.0 / 9.0
        log_weight = log_weight + 0.5 * (part / variance) ** 2 / precision - 0.5 * np.log(precision)
    return moments(log_weight, year=YEAR[:-1, None] + 0.0 * log_scale, scale=np.exp(log_scale) + 0.0 * count)


def main() -> None:
    args = parser("Sample-adaptive MCMC on a change in time.", num_warmup=20_000, num_samples=100_000).parse_args()
    mcmc = run(args, SA(model), YEAR, FLOW, thinning=min(10, args.num_samples))
    mcmc.print_summary()
    draws = mcmc.get_samples()
    print_beside({"year": np.floor(draws["when"]), "scale": draws["scale"]}, exact(), "sums over a grid")

    def draw(series, time) -> None:
        chosen = slice(None, None, max(1, len(draws["when"]) // 1000))
        before = np.asarray(draws["when"])[chosen, None] > YEAR
        level = np.asarray(draws["level"])[chosen]
        series.plot(YEAR, FLOW, ".-", color="0.6", linewidth=0.7)
        draw_band(series, YEAR, np.where(before, level[:, :1], level[:, 1:]), "level, 90 % band")
        series.set(xlabel="year", ylabel="flow in 10^10 cubic metres", title="the Nile at Aswan")
        series.legend()
        time.hist(np.clip(draws["when"], 1885.0, 1911.0), bins=np.arange(1885.0, 1912.0), density=True)
        time.set(xlabel="year", ylabel="density", title="when the flow fell")

    plot(args, draw, columns=2)


if __name__ == "__main__":
    main()
