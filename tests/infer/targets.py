"""Targets whose draws and moments are known exactly, and what can be asked of a transition that starts from such draws.

A transition leaves a target invariant if, started from exact draws, it ends in exact draws. `displacement` compares many starts
with their ends: the differences of any statistic have mean zero, and the pairs are independent, so no effective sample sizes come
in.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ppl._typing import Array
from ppl.infer.algorithms.metric import Metric, metric_from_inverse
from ppl.infer.algorithms.protocols import HamiltonianParams


@dataclass(frozen=True, eq=False)
class ExactTarget:
    """A potential energy of positions `(d,)`, and exact draws `(n, d)` from its density."""

    name: str
    dimension: int
    potential: Callable[[Array], Array]
    draw: Callable[[np.random.Generator, int], np.ndarray]

    def __call__(self, position: Array) -> Array:
        return self.potential(position)

    def value_and_gradient(self, position: Array) -> tuple[Array, Array]:
        return jax.value_and_grad(self.potential)(position)


def normal(dimension: int) -> ExactTarget:
    return ExactTarget(
        f"normal{dimension}", dimension, lambda q: 0.5 * jnp.sum(q**2), lambda rng, n: rng.standard_normal((n, dimension))
    )


def multivariate_normal(mean: np.ndarray, covariance: np.ndarray) -> ExactTarget:
    precision, root = np.linalg.inv(covariance), np.linalg.cholesky(covariance)

    def potential(q: Array) -> Array:
        x = q - jnp.asarray(mean, q.dtype)
        return 0.5 * jnp.sum(x * (jnp.asarray(precision, q.dtype) @ x))

    return ExactTarget("correlated", len(mean), potential, lambda rng, n: mean + rng.standard_normal((n, len(mean))) @ root.T)


COVARIANCE = np.array([[1.0, 0.6, -0.1], [0.6, 2.0, 0.3], [-0.1, 0.3, 0.25]])
CORRELATED = multivariate_normal(np.array([1.0, -2.0, 0.5]), COVARIANCE)


def _draw_curved(rng: np.random.Generator, n: int) -> np.ndarray:
    x = np.log(rng.gamma(1.5, size=n))
    return np.stack([x, 0.6 * x**2 + rng.standard_normal(n)], 1)


# exp(x) ~ Gamma(1.5): a light tail on one side, an exponential one on the other, and a bent ridge
CURVED = ExactTarget("curved", 2, lambda q: jnp.exp(q[0]) - 1.5 * q[0] + 0.5 * (q[1] - 0.6 * q[0] ** 2) ** 2, _draw_curved)


def _draw_funnel(rng: np.random.Generator, n: int) -> np.ndarray:
    v = rng.normal(0.0, 1.5, n)
    return np.concatenate([v[:, None], np.exp(0.5 * v)[:, None] * rng.standard_normal((n, 2))], 1)


FUNNEL = ExactTarget("funnel", 3, lambda q: q[0] ** 2 / 4.5 + q[0] + 0.5 * jnp.exp(-q[0]) * (q[1] ** 2 + q[2] ** 2), _draw_funnel)

WEIGHTS, CENTRES, SPREAD = np.array([0.15, 0.3, 0.3, 0.25]), np.array([-2.0, 0.0, 2.0, 4.0]), 0.5


def _mixture_potential(q: Array) -> Array:
    logits = np.log(WEIGHTS).astype(q.dtype) - 0.5 * ((q[0] - CENTRES.astype(q.dtype)) / SPREAD) ** 2
    return -jax.nn.logsumexp(logits)


MIXTURE = ExactTarget(
    "mixture", 1, _mixture_potential, lambda rng, n: rng.normal(rng.choice(CENTRES, n, p=WEIGHTS), SPREAD)[:, None]
)

# A density on x > 0 whose potential is not a number elsewhere
HALF_LINE = ExactTarget("half_line", 1, lambda q: q[0] - 1.5 * jnp.log(q[0]), lambda rng, n: rng.gamma(2.5, size=(n, 1)))


def _wall_potential(q: Array) -> Array:
    outside = q[0] < 0
    return jnp.where(outside, 1e6, q[0]) + jnp.sqrt(jnp.where(outside, 0.0 * q[0], 1.0))


# A density on x > 0; elsewhere the potential is a million, and its gradient is not a number
WALL = ExactTarget("wall", 1, _wall_potential, lambda rng, n: rng.exponential(size=(n, 1)))


def params_of(step_size: float, *blocks: Any, warming_up: bool = False) -> HamiltonianParams:
    """A fixed step size, and the metric of these blocks of M^-1."""
    inverse = tuple(jnp.asarray(block, jnp.result_type(float)) for block in blocks)
    return HamiltonianParams(
        step_size=jnp.asarray(step_size, jnp.result_type(float)),
        metric=metric_from_inverse(inverse),
        warming_up=jnp.asarray(warming_up),
    )


def unit_params(step_size: float, dimension: int) -> HamiltonianParams:
    return params_of(step_size, np.ones(dimension))


def momenta_of(metric: Metric, rng: np.random.Generator, n: int) -> np.ndarray:
    """Draws `(n, d)` from N(0, M), by NumPy from M^-1 alone."""
    parts = []
    for block in metric.inverse:
        matrix = np.asarray(block, np.float64)
        mass = np.linalg.inv(np.diag(matrix) if matrix.ndim == 1 else matrix)
        parts.append(rng.standard_normal((n, len(mass))) @ np.linalg.cholesky(mass).T)
    return np.concatenate(parts, 1)


def raw_keys(seed: int, *shape: int) -> Array:
    """Keys as the algorithms take them, two words each."""
    return jax.random.split(jax.random.PRNGKey(seed), shape)


@dataclass
class Moves:
    """Starts and ends `(n, d)`, and what each iteration told, leaves `(n, iterations, ...)`."""

    starts: np.ndarray
    ends: np.ndarray
    state: Any
    info: Any


def move(kernel: Any, target: ExactTarget, params: HamiltonianParams, *, num: int, iterations: int = 1, seed: int = 0) -> Moves:
    """Start many chains from exact draws, and apply a transition a few times."""
    starts = target.draw(np.random.default_rng(seed), num).astype(jnp.result_type(float))
    state, info = _move(kernel, target, params, raw_keys(seed, num, iterations), starts)
    return Moves(starts, np.asarray(state.position), state, info)


@partial(jax.jit, static_argnums=(0, 1))
def _move(kernel: Any, target: ExactTarget, params: HamiltonianParams, keys: Array, starts: np.ndarray) -> Any:
    def chain(keys: Array, position: Array) -> Any:
        def step(state: Any, key: Array) -> tuple[Any, Any]:
            return kernel.step(key, state, target, params)

        return jax.lax.scan(step, kernel.init(keys[0], target, position), keys)

    return jax.vmap(chain)(keys, starts)


def _statistics(x: np.ndarray, centre: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """First and second moments, and the masses of a few sets: `(n, k)`."""
    u = (x - centre) / scale
    d = u.shape[1]
    columns = [u[:, i] for i in range(d)]
    columns += [u[:, i] * u[:, j] for i in range(d) for j in range(i + 1)]
    columns += [u[:, i] < edge for i in range(d) for edge in (-1.0, 0.0, 1.0)]
    columns += [np.abs(u[:, i]) > 2.0 for i in range(d)]
    return np.stack([np.asarray(column, np.float64) for column in columns], 1)


def displacement(moves: Moves) -> float:
    """The largest absolute z-score of a statistic's change between exact starts and their ends.

    Of ensembles, starts and ends `(n, k, d)`, each statistic is the mean over the k walkers, which depend on each other.
    With k <= 24 statistics and an invariant transition it exceeds 5 with probability 24 * 6e-7 < 2e-5.
    """
    starts, ends = (x.astype(np.float64).reshape(-1, x.shape[-1]) for x in (moves.starts, moves.ends))
    if not np.isfinite(ends).all():
        return np.inf
    centre, scale = np.median(starts, 0), starts.std(0)
    change = _statistics(ends, centre, scale) - _statistics(starts, centre, scale)
    change = change.reshape((len(moves.starts), -1, change.shape[1])).mean(1)
    moved = change.any(0)
    error = change[:, moved].std(0) / np.sqrt(len(change))
    return float(np.max(np.abs(change[:, moved].mean(0)) / error))


Z_LIMIT = 5.0
