"""Galaxies: a mixture of normals whose assignments are summed out.

The velocities of 82 galaxies, in thousands of kilometres per second, cluster: matter in the universe lies in walls around voids.
Each galaxy belongs to one of some components; to which, is a discrete latent site that NUTS sums out. Afterwards the assignments
are drawn from their posterior, and the share of draws in which a galaxy belongs to a component is the probability that it does.

Data: Postman, Huchra, Geller (1986), in the form of Roeder (1990), "Density estimation with confidence sets exemplified by
superclusters and voids in the galaxies". Model: after Richardson, Green (1997), "On Bayesian analysis of mixtures".
"""

import jax.numpy as jnp
import numpy as np
from _common import draw_band, parser, plot, run
from jax import Array

import ppl
import ppl.distributions as dist
from ppl.infer import NUTS

# fmt: off
VELOCITY = np.array([
    9172, 9350, 9483, 9558, 9775, 10227, 10406, 16084, 16170, 18419, 18552, 18600, 18927, 19052, 19070, 19330, 19343, 19349,
    19440, 19473, 19529, 19541, 19547, 19663, 19846, 19856, 19863, 19914, 19918, 19973, 19989, 20166, 20175, 20179, 20196, 20215,
    20221, 20415, 20629, 20795, 20821, 20846, 20875, 20986, 21137, 21492, 21701, 21814, 21921, 21960, 22185, 22209, 22242, 22249,
    22314, 22374, 22495, 22746, 22747, 22888, 22914, 23206, 23241, 23263, 23484, 23538, 23542, 23666, 23706, 23711, 24129, 24285,
    24289, 24366, 24717, 24990, 25633, 26960, 26995, 32065, 32789, 34279,
]) / 1000.0
# fmt: on


def model(components: int, velocity: Array) -> None:
    weight = ppl.sample("weight", dist.Dirichlet(jnp.full(components, 2.0)))
    lowest = ppl.sample("lowest", dist.Normal(10.0, 3.0))
    gap = ppl.sample("gap", dist.LogNormal(jnp.log(4.0), 1.0).expand([components - 1]).to_event(1))
    # In order, so that a component means the same in every draw.
    location = ppl.deterministic("location", lowest + jnp.concatenate([jnp.zeros(1), jnp.cumsum(gap)]))
    scale = ppl.sample("scale", dist.LogNormal(0.0, 0.7))
    with ppl.plate("galaxy", len(velocity)):
        component = ppl.sample("component", dist.Categorical(weight), infer={"enumerate": "parallel"})
        ppl.sample("velocity", dist.Normal(location[component], scale), obs=velocity)


def main() -> None:
    options = parser("NUTS on a mixture of normals for the velocities of galaxies.")
    options.add_argument("--components", type=int, default=4, metavar="N", help="number of components, at least two")
    args = options.parse_args()

    mcmc = run(args, NUTS(model, target_accept_prob=0.9), args.components, VELOCITY)
    mcmc.print_summary(exclude_deterministic=False)

    draws = mcmc.get_samples()
    component = np.asarray(mcmc.get_samples(infer_discrete=True)["component"])
    probability = np.stack([np.mean(component == k, axis=0) for k in range(args.components)], axis=1)
    print("The galaxies whose component is least certain, and the probabilities of each component:")
    for galaxy in np.sort(np.argsort(probability.max(axis=1))[:8]):
        print(f"{VELOCITY[galaxy]:8.2f}: " + "  ".join(f"{p:.2f}" for p in probability[galaxy]))

    def draw(density, membership) -> None:
        x = np.linspace(5.0, 38.0, 300)
        chosen = slice(None, None, max(1, len(draws["scale"]) // 400))
        normals = dist.Normal(draws["location"][chosen, None], draws["scale"][chosen, None, None])
        parts = draws["weight"][chosen, None] * jnp.exp(normals.log_prob(x[:, None]))
        density.hist(VELOCITY, bins=40, density=True, color="0.85")
        draw_band(density, x, parts.sum(axis=-1), "mixture, 90 % band")
        density.set(xlabel="velocity", ylabel="density", title="82 galaxies")
        density.legend()
        for k in range(args.components):
            membership.plot(VELOCITY, probability[:, k], "o-", markersize=3, linewidth=0.7, label=f"component {k}")
        membership.set(xlabel="velocity", ylabel="probability", title="the component of each galaxy")
        membership.legend()

    plot(args, draw, columns=2)


if __name__ == "__main__":
    main()
