"""Pumps: failure rates by partial pooling, with conjugate updates inside of NUTS.

Ten pumps of a nuclear power plant ran for some thousand hours each and failed a few times. Their failure rates come from a Gamma
law with unknown shape and inverse scale. Given these, the rates are Gamma distributed a posteriori; given rates and shape, so is
the inverse scale. Both are drawn from these laws, and NUTS is left with the shape, which has no such law.

The rates can also be integrated out on paper, so that sums over a grid of shape and inverse scale tell what is right.

Data: Gaver, O'Muircheartaigh (1987), "Robust empirical Bayes analyses of event rates". Model: George, Makov, Smith (1993),
"Conjugate likelihood distributions".
"""

from collections.abc import Mapping

import jax.numpy as jnp
import numpy as np
from _common import draw_intervals, moments, parser, plot, print_beside, run
from jax import Array, random
from jax.scipy.special import gammaln

import ppl
import ppl.distributions as dist
from ppl.infer import NUTS, HMCGibbs

HOURS = np.array([94.3, 15.7, 62.9, 126.0, 5.24, 31.4, 1.05, 1.05, 2.1, 10.5])  # in thousands
FAILURES = np.array([5, 1, 5, 14, 3, 19, 1, 1, 4, 22])


def model(hours: Array, failures: Array) -> None:
    shape = ppl.sample("shape", dist.Exponential(1.0))
    inverse_scale = ppl.sample("inverse_scale", dist.Gamma(0.1, 1.0))
    with ppl.plate("pump", len(hours)):
        rate = ppl.sample("rate", dist.Gamma(shape, inverse_scale))
        ppl.sample("failures", dist.Poisson(rate * hours), obs=failures)


def draw_rates(rng_key: Array, gibbs_sites: Mapping[str, Array], hmc_sites: Mapping[str, Array]) -> dict[str, Array]:
    """The rates given all else, then the inverse scale given the new rates."""
    k_rate, k_scale = random.split(rng_key)
    shape = hmc_sites["shape"]
    rate = dist.Gamma(shape + FAILURES, gibbs_sites["inverse_scale"] + HOURS).sample(k_rate)
    inverse_scale = dist.Gamma(0.1 + len(HOURS) * shape, 1.0 + jnp.sum(rate)).sample(k_scale)
    return {"rate": rate, "inverse_scale": inverse_scale}


def exact() -> dict[str, tuple[float, float]]:
    """Posterior moments of shape and inverse scale, by sums over a grid of their logarithms."""
    log_shape, log_scale = np.meshgrid(np.linspace(-4.0, 3.0, 400), np.linspace(-7.0, 4.0, 400), indexing="ij")
    a, b = np.exp(log_shape)[..., None], np.exp(log_scale)[..., None]
    of_pumps = gammaln(a + FAILURES) - gammaln(a) + a * np.log(b) - (a + FAILURES) * np.log(b + HOURS)
    log_prior = -a - 0.9 * np.log(b) - b + np.log(a) + np.log(b)  # with the Jacobian of the logarithms
    log_weight = np.asarray(of_pumps.sum(axis=-1) + log_prior[..., 0], float)
    return moments(log_weight, shape=a[..., 0], inverse_scale=b[..., 0])


def main() -> None:
    args = parser("NUTS with conjugate updates on the failure rates of pumps.").parse_args()
    kernel = HMCGibbs(NUTS(model), gibbs_fn=draw_rates, gibbs_sites=["rate", "inverse_scale"])
    mcmc = run(args, kernel, HOURS, FAILURES)
    mcmc.print_summary()
    draws = mcmc.get_samples()
    print_beside(draws, exact(), "sums over a grid")

    def draw(rates, population) -> None:
        places = np.arange(len(HOURS))
        rates.plot(places - 0.12, FAILURES / HOURS, "s", color="0.6", label="failures / hours")
        draw_intervals(rates, places + 0.12, draws["rate"], label="partially pooled")
        rates.set(xlabel="pump", ylabel="failures in a thousand hours", yscale="log", title="rates, 90 % intervals")
        rates.legend()
        population.scatter(draws["shape"], draws["inverse_scale"], s=4, alpha=0.4)
        population.set(xlabel="shape", ylabel="inverse scale", title="the population of pumps")

    plot(args, draw, columns=2)


if __name__ == "__main__":
    main()
