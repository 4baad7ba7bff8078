"""Coal mining: the year in which disasters became rarer.

The number of disasters in British coal mines in each of 112 years is a Poisson variable whose rate changed once. The year of the
change is a discrete site with 111 states, and is drawn given the two rates, which NUTS moves given the year.

All of it can be done on paper too, since the rates have Gamma priors: each year's probability is a ratio of Gamma functions.

Data: Jarrett (1979), "A note on the intervals between coal-mining disasters", Biometrika 66, counted by years. Model: Carlin,
Gelfand, Smith (1992), "Hierarchical Bayesian analysis of changepoint problems", Applied Statistics 41.
"""

import jax.numpy as jnp
import numpy as np
from _common import draw_band, parser, plot, run
from jax import Array
from jax.scipy.special import gammaln

import ppl
import ppl.distributions as dist
from ppl.infer import NUTS, DiscreteHMCGibbs

# fmt: off
DISASTERS = np.array([
    4, 5, 4, 1, 0, 4, 3, 4, 0, 6, 3, 3, 4, 0, 2, 6, 3, 3, 5, 4, 5, 3, 1, 4, 4, 1, 5, 5, 3, 4, 2, 5, 2, 2, 3, 4, 2, 1, 3, 2, 2, 1, 1,
    1, 1, 3, 0, 0, 1, 0, 1, 1, 0, 0, 3, 1, 0, 3, 2, 2, 0, 1, 1, 1, 0, 1, 0, 1, 0, 0, 0, 2, 1, 0, 0, 0, 1, 1, 0, 2, 3, 3, 1, 1, 2, 1,
    1, 1, 1, 2, 4, 2, 0, 0, 0, 1, 4, 0, 0, 0, 1, 0, 0, 0, 0, 0, 1, 0, 0, 1, 0, 1,
])
# fmt: on
YEARS = 1851 + np.arange(len(DISASTERS))


def model(disasters: Array) -> None:
    rate = ppl.sample("rate", dist.Gamma(2.0, 1.0).expand([2]).to_event(1))
    change = ppl.sample("change", dist.DiscreteUniform(1, len(disasters) - 1))  # years of the first rate
    with ppl.plate("year", len(disasters)):
        late = jnp.arange(len(disasters)) >= change
        ppl.sample("disasters", dist.Poisson(jnp.where(late, rate[1], rate[0])), obs=disasters)


def exact() -> np.ndarray:
    """The posterior probability of each number of years of the first rate, 1 to 111."""
    years, total = np.arange(1, len(DISASTERS)), np.cumsum(DISASTERS)
    log_weight = np.zeros(len(years))
    for count, span in ((total[:-1], years), (total[-1] - total[:-1], len(DISASTERS) - years)):
        log_weight += np.asarray(gammaln(2.0 + count)) - (2.0 + count) * np.log(1.0 + span)
    weight = np.exp(log_weight - log_weight.max())
    return weight / weight.sum()


def main() -> None:
    options = parser("NUTS and updates of a discrete site on a change of rate.")
    options.add_argument("--random-walk", action="store_true", help="propose years uniformly")
    options.add_argument("--plain", action="store_true", help="let the year at hand be proposed, too")
    args = options.parse_args()

    kernel = DiscreteHMCGibbs(NUTS(model), random_walk=args.random_walk, modified=not args.plain)
    mcmc = run(args, kernel, DISASTERS)
    mcmc.print_summary()
    draws = mcmc.get_samples()
    change = np.asarray(draws["change"])
    share, probability = np.bincount(change, minlength=len(DISASTERS))[1:] / len(change), exact()
    print("\nThe first year of the lower rate: the share of draws, and its probability on paper")
    for place in np.sort(np.argsort(probability)[-8:]):
        print(f"    {YEARS[place + 1]}: {share[place]:.3f} {probability[place]:.3f}")

    def draw(series, years) -> None:
        series.bar(YEARS, DISASTERS, color="0.8")
        chosen = slice(None, None, max(1, len(change) // 1000))
        late = np.arange(len(DISASTERS)) >= change[chosen, None]
        rate = np.asarray(draws["rate"])[chosen]
        draw_band(series, YEARS, np.where(late, rate[:, 1:], rate[:, :1]), "rate, 90 % band")
        series.set(xlabel="year", ylabel="disasters", title="disasters in British coal mines")
        series.legend()
        near = slice(25, 55)
        years.bar(YEARS[1:][near], share[near], label="share of draws")
        years.plot(YEARS[1:][near], probability[near], "k.", label="exact")
        years.set(xlabel="first year of the lower rate", ylabel="probability", title="the change")
        years.legend()

    plot(args, draw, columns=2)


if __name__ == "__main__":
    main()
