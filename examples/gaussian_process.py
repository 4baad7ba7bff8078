"""Gaussian-process regression: the kernel's parameters by NUTS, then the curve between and beyond the data.

Runs in float64, since Cholesky factors of smooth kernels lose too many digits in float32.

Source of the prediction formulas: Rasmussen, Williams (2006), "Gaussian Processes for Machine Learning", algorithm 2.1.
"""

import jax
import jax.numpy as jnp
import numpy as np
from _common import draw_band, parser, plot, run
from jax import Array, random
from jax.scipy.linalg import cho_solve

import ppl
import ppl.distributions as dist
from ppl.infer import NUTS


def kernel(x: Array, z: Array, variance: Array, length: Array) -> Array:
    """The squared exponential kernel, `(n, m)` for points `(n,)` and `(m,)`."""
    return variance * jnp.exp(-0.5 * ((x[:, None] - z[None, :]) / length) ** 2)


def model(x: Array, y: Array) -> None:
    variance = ppl.sample("variance", dist.LogNormal(0.0, 1.0))
    length = ppl.sample("length", dist.LogNormal(0.0, 1.0))
    noise = ppl.sample("noise", dist.LogNormal(-2.0, 1.0))
    covariance = kernel(x, x, variance, length) + (noise + 1e-8) * jnp.eye(len(x))
    ppl.sample("y", dist.MultivariateNormal(jnp.zeros(len(x)), covariance_matrix=covariance), obs=y)


def predict(key: Array, x: Array, y: Array, grid: Array, draw: dict[str, Array]) -> Array:
    """A draw of the curve on the grid, given the data and one draw of the parameters."""
    variance, length, noise = draw["variance"], draw["length"], draw["noise"]
    cross = kernel(x, grid, variance, length)
    factor = jnp.linalg.cholesky(kernel(x, x, variance, length) + noise * jnp.eye(len(x)))
    mean = cross.T @ cho_solve((factor, True), y)
    covariance = kernel(grid, grid, variance, length) - cross.T @ cho_solve((factor, True), cross)
    jitter = 1e-6 * variance * jnp.eye(len(grid))
    return dist.MultivariateNormal(mean, covariance_matrix=covariance + jitter).sample(key)


def main() -> None:
    options = parser("NUTS on the parameters of a Gaussian process.", num_warmup=500, num_samples=500)
    options.add_argument("--points", type=int, default=40, metavar="N", help="number of simulated points")
    args = options.parse_args()
    ppl.enable_x64()
    rng = np.random.default_rng(args.seed)
    x = np.sort(rng.uniform(-3.0, 3.0, args.points))
    y = np.sin(2.0 * x) + 0.3 * rng.standard_normal(args.points)

    mcmc = run(args, NUTS(model), x, y)
    mcmc.print_summary()

    grid = jnp.linspace(-4.0, 4.0, 81)
    draws = mcmc.get_samples()
    keys = random.split(random.key(args.seed + 1), len(draws["noise"]))
    curves = np.asarray(jax.jit(jax.vmap(lambda key, draw: predict(key, x, y, grid, draw)))(keys, draws))
    inside = np.abs(np.asarray(grid)) < 3.0
    error = np.abs(curves.mean(0) - np.sin(2.0 * grid))[inside]
    print(f"largest error of the mean curve between the data: {error.max():.2f}")

    def draw(axes) -> None:
        axes.plot(x, y, "k.", label="data")
        axes.plot(grid, np.sin(2.0 * grid), "--", color="0.5", label="truth")
        draw_band(axes, grid, curves, "mean and 90 % band")
        axes.set(xlabel="x", ylabel="y", title="curve given the data")
        axes.legend()

    plot(args, draw)


if __name__ == "__main__":
    main()
