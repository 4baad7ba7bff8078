"""A Bayesian neural network: regression with one hidden layer, every weight sampled by NUTS.

Hidden units can be exchanged and their signs flipped without a change of the function, so the posterior of the weights has many
modes and their R-hat means nothing. What is identified, and what is summarised here, is the function.

Prior: Neal (1996), "Bayesian Learning for Neural Networks", chapter 2: output weights scaled by the width.
"""

import jax.numpy as jnp
import numpy as np
from _common import draw_band, parser, plot, run
from jax import Array, random

import ppl
import ppl.distributions as dist
from ppl.infer import NUTS, Predictive


def model(width: int, x: Array, y: Array | None = None) -> None:
    slope = ppl.sample("slope", dist.Normal(0.0, 2.0).expand([width]).to_event(1))
    offset = ppl.sample("offset", dist.Normal(0.0, 2.0).expand([width]).to_event(1))
    weight = ppl.sample("weight", dist.Normal(0.0, 2.0 / width**0.5).expand([width]).to_event(1))
    noise = ppl.sample("noise", dist.HalfNormal(0.5))
    with ppl.plate("point", len(x)):
        hidden = jnp.tanh(x[:, None] * slope + offset)
        function = ppl.deterministic("function", hidden @ weight)
        ppl.sample("y", dist.Normal(function, noise), obs=y)


def main() -> None:
    options = parser("NUTS on the weights of a neural network.", num_warmup=500, num_samples=500)
    options.add_argument("--width", type=int, default=8, metavar="N", help="number of hidden units")
    options.add_argument("--points", type=int, default=60, metavar="N", help="number of simulated points")
    args = options.parse_args()
    rng = np.random.default_rng(args.seed)
    x = np.sort(rng.uniform(-2.0, 2.0, args.points))
    y = np.sin(3.0 * x) * np.exp(-0.2 * x) + 0.2 * rng.standard_normal(args.points)

    mcmc = run(args, NUTS(model), args.width, x, y)
    draws = mcmc.get_samples(group_by_chain=True)
    chosen = np.linspace(0, args.points - 1, 5).astype(int)
    ppl.diagnostics.print_summary({f"function({x[i]:.2f})": draws["function"][..., i] for i in chosen} | {"noise": draws["noise"]})
    print(f"Number of divergences: {int(mcmc.get_extra_fields()['diverging'].sum())}")

    grid = np.linspace(-3.0, 3.0, 121)
    weights = {name: value for name, value in mcmc.get_samples().items() if name != "function"}
    predicted = Predictive(model, weights)(random.key(args.seed + 1), args.width, grid)

    def draw(axes) -> None:
        axes.plot(x, y, "k.", label="data")
        draw_band(axes, grid, predicted["function"], "function, 90 % band")
        draw_band(axes, grid, predicted["y"], "new observations, 90 % band")
        axes.set(xlabel="x", ylabel="y", title="predictions")
        axes.legend()

    plot(args, draw)


if __name__ == "__main__":
    main()
