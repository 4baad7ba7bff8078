"""Cement: which of four ingredients say how much heat cement gives off.

A spike-and-slab regression: each ingredient has a coefficient, and a discrete site that says whether it counts. To include an
ingredient changes what the others have to explain, so that inclusions and coefficients want to move together, as they do along the
trajectories of MixedHMC. With --kernel gibbs inclusions are updated while the coefficients stand still: a few times fewer effective
draws.

There are 16 sets of ingredients, and the coefficients can be integrated out on paper, so that the probability of each is known.

Data: Woods, Steinour, Starke (1932), "Effect of composition of Portland cement on heat evolved during hardening"; Hald (1952).
Model: after George, McCulloch (1993), "Variable selection via Gibbs sampling", JASA 88.
"""

from itertools import product

import jax.numpy as jnp
import numpy as np
from _common import parser, plot, run
from jax import Array
from numpy.linalg import slogdet, solve

import ppl
import ppl.distributions as dist
from ppl.infer import HMC, DiscreteHMCGibbs, MixedHMC

NAMES = ("aluminate", "tri-silicate", "ferrite", "di-silicate")
PERCENT = np.array(
    [
        [7, 1, 11, 11, 7, 11, 3, 1, 2, 21, 1, 11, 10],
        [26, 29, 56, 31, 52, 55, 71, 31, 54, 47, 40, 66, 68],
        [6, 15, 8, 8, 6, 9, 17, 22, 18, 4, 23, 9, 8],
        [60, 52, 20, 47, 33, 22, 6, 44, 22, 26, 34, 12, 12],
    ]
).T
HEAT = np.array([78.5, 74.3, 104.3, 87.6, 95.9, 109.2, 102.7, 72.5, 93.1, 115.9, 83.8, 113.3, 109.4])
X = (PERCENT - PERCENT.mean(axis=0)) / PERCENT.std(axis=0)
Y = (HEAT - HEAT.mean()) / HEAT.std()
SLAB = 5.0  # variance of a coefficient, in units of that of the noise


def model(x: Array, y: Array) -> None:
    variance = ppl.sample("variance", dist.InverseGamma(2.0, 0.2))
    with ppl.plate("ingredient", x.shape[1]):
        included = ppl.sample("included", dist.Bernoulli(0.5))
        coefficient = ppl.sample("coefficient", dist.Normal(0.0, 1.0))  # in units of its standard deviation
    slope = ppl.deterministic("slope", included * coefficient * jnp.sqrt(SLAB * variance))
    with ppl.plate("sample", len(y)):
        ppl.sample("heat", dist.Normal(x @ slope, jnp.sqrt(variance)), obs=y)


def exact() -> dict[tuple[int, ...], float]:
    """The posterior probability of each set: given it, the data have a multivariate t law."""
    log_weights = {}
    for chosen in product((0, 1), repeat=len(NAMES)):
        covariance = np.eye(len(Y)) + SLAB * (X * np.array(chosen)) @ X.T
        log_scale = np.log(0.2 + 0.5 * Y @ solve(covariance, Y))
        log_weights[chosen] = -0.5 * slogdet(covariance)[1] - (2.0 + 0.5 * len(Y)) * log_scale
    total = np.logaddexp.reduce(list(log_weights.values()))
    return {chosen: float(np.exp(log_weight - total)) for chosen, log_weight in log_weights.items()}


def main() -> None:
    options = parser("Mixed HMC on the choice of predictors.", num_samples=5000)
    options.add_argument("--kernel", choices=["mixed", "gibbs"], default="mixed", help="MixedHMC, or DiscreteHMCGibbs")
    args = options.parse_args()

    inner = HMC(model, trajectory_length=3.0)
    kernel = MixedHMC(inner, num_discrete_updates=12) if args.kernel == "mixed" else DiscreteHMCGibbs(inner, modified=True)
    mcmc = run(args, kernel, X, Y)
    mcmc.print_summary(exclude_deterministic=False)
    draws = mcmc.get_samples()
    included, right = np.asarray(draws["included"]), exact()
    print("\nThe sets that are most probable: the share of draws, and the probability on paper")
    shares = {chosen: float(np.mean((included == chosen).all(axis=1))) for chosen in right}
    likely = sorted(right, key=lambda chosen: -right[chosen])[:8]
    for chosen in likely:
        names = [name for name, is_in in zip(NAMES, chosen) if is_in]
        print(f"    {shares[chosen]:.3f} {right[chosen]:.3f}  {', '.join(names)}")
    marginal = sum(right[chosen] * np.array(chosen) for chosen in right)

    def draw(inclusion, slopes) -> None:
        places = np.arange(len(NAMES))
        inclusion.bar(places, included.mean(axis=0), label="share of draws")
        inclusion.plot(places, marginal, "k.", label="exact")
        inclusion.set(xticks=places, xticklabels=NAMES, ylabel="probability", title="an ingredient counts")
        inclusion.legend()
        slopes.violinplot(np.asarray(draws["slope"]), places)
        slopes.set(xticks=places, xticklabels=NAMES, ylabel="slope", title="heat by a standard deviation more, or zero")

    plot(args, draw, columns=2)


if __name__ == "__main__":
    main()
