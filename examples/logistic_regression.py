"""Logistic regression on simulated data.

Are the coefficients recovered that made the data, and are the predicted probabilities calibrated?
"""

import jax
import jax.numpy as jnp
import numpy as np
from _common import draw_intervals, parser, plot, run
from jax import Array

import ppl
import ppl.distributions as dist
from ppl.infer import NUTS


def model(x: Array, y: Array | None = None) -> None:
    intercept = ppl.sample("intercept", dist.Normal(0.0, 2.5))
    slope = ppl.sample("slope", dist.Normal(0.0, 1.0).expand([x.shape[1]]).to_event(1))
    with ppl.plate("row", x.shape[0]):
        ppl.sample("y", dist.Bernoulli(logits=intercept + x @ slope), obs=y)


def simulate(seed: int, rows: int, columns: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Predictors, answers, and the slopes that made them."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((rows, columns))
    slope = rng.standard_normal(columns)
    return x, rng.binomial(1, 1.0 / (1.0 + np.exp(0.5 - x @ slope))), slope


def main() -> None:
    options = parser("NUTS on a logistic regression.")
    options.add_argument("--rows", type=int, default=1000, metavar="N", help="rows of simulated data")
    options.add_argument("--columns", type=int, default=8, metavar="N", help="number of predictors")
    args = options.parse_args()
    x, y, true_slope = simulate(args.seed, args.rows, args.columns)

    mcmc = run(args, NUTS(model), x, y)
    mcmc.print_summary()
    draws = mcmc.get_samples()
    inside = np.abs(draws["slope"].mean(0) - true_slope) < 2 * draws["slope"].std(0)
    print(f"{inside.sum()} of {len(true_slope)} slopes lie within two posterior standard deviations of the true ones")

    def draw(slopes, calibration) -> None:
        places = np.arange(len(true_slope))
        draw_intervals(slopes, places, draws["slope"], label="posterior")
        slopes.plot(places, true_slope, "kx", label="true")
        slopes.set(xlabel="predictor", ylabel="slope", title="slopes, 90 % intervals")
        slopes.legend()
        logits = draws["intercept"][:, None] + draws["slope"] @ jnp.asarray(x).T
        predicted = np.asarray(jax.nn.sigmoid(logits).mean(0))
        bins = np.array_split(np.argsort(predicted), 10)
        calibration.plot([0, 1], [0, 1], color="0.7")
        calibration.plot([predicted[b].mean() for b in bins], [y[b].mean() for b in bins], "o")
        calibration.set(xlabel="predicted probability", ylabel="observed share", title="calibration, tenths of the rows")

    plot(args, draw, columns=2)


if __name__ == "__main__":
    main()
