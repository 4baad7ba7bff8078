"""European dippers: survival from captures and recaptures, with the states alive and dead summed out.

Birds were caught, marked and released each year from 1981 to 1986 and looked for up to 1987. A bird that was not seen again has
died or was missed. Whether a bird is alive in a year is a discrete latent site; NUTS sums over all these histories (the model of
Cormack, Jolly and Seber). A flood in 1983 makes one ask whether survival from 1982 to 1984 was lower. Afterwards the histories are
drawn from their posterior, which tells how many birds that were never seen again were still alive.

Each release is followed until the bird is seen again, which releases it anew: the likelihood need not know which bird it was.

Data: Marzolin (1988), as in Lebreton, Burnham, Clobert, Anderson (1992), "Modeling survival and testing biological hypotheses using
marked animals", Ecological Monographs 62.
"""

import jax.numpy as jnp
import numpy as np
from _common import draw_intervals, parser, plot, run
from jax import Array, random

import ppl
import ppl.distributions as dist
from ppl import handlers
from ppl.infer import NUTS, Predictive

YEARS = np.arange(1981, 1988)
RELEASED = np.array([22, 60, 78, 80, 88, 98])  # in each year but the last
SEEN_NEXT = np.array(  # of those released in a year (row) how many were seen next in each later one
    [[11, 2, 0, 0, 0, 0], [0, 24, 1, 0, 0, 0], [0, 0, 34, 2, 0, 0], [0, 0, 0, 45, 1, 2], [0, 0, 0, 0, 51, 0], [0, 0, 0, 0, 0, 52]]
)


def releases() -> tuple[np.ndarray, np.ndarray]:
    """For each release the year, counted from 0, and the year of the next sighting, or 7 if there is none."""
    release, following = [], []
    for year, (count, seen) in enumerate(zip(RELEASED, SEEN_NEXT)):
        ends = np.repeat(np.arange(1, 8), [*seen, count - seen.sum()])
        release += [year] * count
        following += ends.tolist()
    return np.array(release), np.array(following)


def model(release: Array, following: Array) -> None:
    with ppl.plate("interval", len(YEARS) - 1):
        survival = ppl.sample("survival", dist.Beta(1.0, 1.0))
    detection = ppl.sample("detection", dist.Beta(1.0, 1.0))
    with ppl.plate("release", len(release)):
        alive = jnp.ones(len(release), dtype=int)
        for year in handlers.markov(range(1, len(YEARS))):
            followed = (release < year) & (year <= following)
            chance = jnp.where(followed, survival[year - 1] * alive, alive)  # the state stays while nobody looks
            alive = ppl.sample(f"alive_{YEARS[year]}", dist.Bernoulli(chance), infer={"enumerate": "parallel"})
            with handlers.mask(mask=followed):
                ppl.sample(f"seen_{YEARS[year]}", dist.Bernoulli(detection * alive), obs=(following == year).astype(int))


def main() -> None:
    args = parser("NUTS on the survival of marked birds.").parse_args()
    data = releases()

    mcmc = run(args, NUTS(model), *data)
    mcmc.print_summary()
    draws = mcmc.get_samples()
    survival = np.asarray(draws["survival"])
    flood, other = survival[:, 1:3].mean(axis=1), survival[:, [0, 3, 4, 5]].mean(axis=1)
    print(f"yearly survival {flood.mean():.2f} in the flood, {other.mean():.2f} otherwise; P(lower) = {np.mean(flood < other):.2f}")

    sites = [f"alive_{year}" for year in YEARS[1:]]
    histories = Predictive(model, draws, infer_discrete=True, return_sites=sites)(random.key(args.seed + 1), *data)
    print("Birds not seen again in any later year, by the year of their last release, and how many of them lived in 1987:")
    living = []
    for year, count in enumerate(RELEASED - SEEN_NEXT.sum(axis=1)):
        chosen = (data[0] == year) & (data[1] == len(YEARS))
        draws_of_living = np.stack([np.asarray(histories[site])[:, chosen].sum(axis=1) for site in sites[year:]], axis=1)
        living.append([count, *draws_of_living.mean(axis=0)])
        low, high = np.quantile(draws_of_living[:, -1], [0.05, 0.95])
        print(f"    {YEARS[year]}: {count:3d} birds, {living[-1][-1]:.1f} alive (90 %: {low:.0f} to {high:.0f})")

    def draw(rates, cohorts) -> None:
        draw_intervals(rates, YEARS[:-1] + 0.5, survival)
        rates.axvspan(1982, 1984, color="0.9", zorder=0, label="flood")
        rates.set(xlabel="year", ylabel="probability to survive a year", ylim=(0, 1), title="survival, 90 % intervals")
        rates.legend()
        for year, numbers in enumerate(living):
            cohorts.plot(YEARS[year:], numbers, "o-", markersize=3)
        cohorts.set(xlabel="year", ylabel="alive, posterior mean", title="birds never seen again after their release")

    plot(args, draw, columns=2)


if __name__ == "__main__":
    main()
