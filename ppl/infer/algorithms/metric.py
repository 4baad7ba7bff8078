"""The Euclidean metric: an estimate of the posterior covariance, diagonal, dense, or block by block.

Source: Neal (2011), "MCMC using Hamiltonian dynamics", sections 5.2.1 and 5.4.1.4; Betancourt (2017), arXiv:1701.02434,
section 4.2.
"""

from typing import Any, NamedTuple, Protocol

import jax.numpy as jnp
import numpy as np
from jax import lax

from ppl._typing import Array

__all__ = [
    "EuclideanKinetic",
    "Kinetic",
    "Metric",
    "from_whitened",
    "identity_metric",
    "metric_from_inverse",
    "momentum_of",
    "to_whitened_gradient",
    "velocity",
]


class Metric(NamedTuple):
    """The inverse mass matrix as consecutive blocks of the position: `(k,)` a diagonal block, `(k, k)` a dense one.

    Attributes:
        inverse: the blocks of M^-1.
        root: the blocks of a factor R with M = R R', diagonal or lower triangular: momenta are R n with n ~ N(0, I).
        root_inverse: the blocks of R^-1.
    """

    inverse: tuple[Array, ...]
    root: tuple[Array, ...]
    root_inverse: tuple[Array, ...]


def identity_metric(shapes: tuple[tuple[int, ...], ...], dtype: Any) -> Metric:
    """M = I in blocks of these shapes, of NumPy arrays, for which nothing is compiled."""
    blocks: tuple[Any, ...] = tuple(np.ones(s, dtype) if len(s) == 1 else np.eye(s[0], dtype=dtype) for s in shapes)
    return Metric(inverse=blocks, root=blocks, root_inverse=blocks)


def metric_from_inverse(inverse: tuple[Array, ...]) -> Metric:
    """The metric of these blocks of M^-1. With M^-1 = A A' (Cholesky), M = R R' for R = A'^-1."""
    roots = [_roots(block) for block in inverse]
    return Metric(inverse=inverse, root=tuple(root for root, _ in roots), root_inverse=tuple(inv for _, inv in roots))


def _roots(block: Array) -> tuple[Array, Array]:
    if block.ndim == 1:
        root_inverse = jnp.sqrt(block)
        return 1.0 / root_inverse, root_inverse
    # With the rows and columns of M^-1 in reverse order its Cholesky factor gives M^-1 = U U', U upper triangular, so R = U'^-1.
    root_inverse = lax.rev(lax.linalg.cholesky(lax.rev(block, (0, 1))), (0, 1)).T
    identity = jnp.eye(block.shape[0], dtype=block.dtype)
    return lax.linalg.triangular_solve(root_inverse, identity, left_side=True, lower=True), root_inverse


def _multiply(blocks: tuple[Array, ...], vector: Array) -> Array:
    """The product of a block-diagonal matrix and a vector `(d,)`."""
    if len(blocks) == 1:
        return _multiply_block(blocks[0], vector)
    pieces = lax.split(vector, [block.shape[0] for block in blocks])
    return lax.concatenate([_multiply_block(block, piece) for block, piece in zip(blocks, pieces)], 0)


def _multiply_block(block: Array, vector: Array) -> Array:
    if block.ndim == 1:
        return block * vector
    return jnp.sum(block * lax.broadcast_in_dim(vector, block.shape, (1,)), axis=1)


def velocity(metric: Metric, momentum: Array) -> Array:
    """M^-1 p, shape `(d,)`."""
    return _multiply(metric.inverse, momentum)


def momentum_of(metric: Metric, noise: Array) -> Array:
    """A draw from N(0, M), of standard normal noise `(d,)`."""
    return _multiply(metric.root, noise)


def from_whitened(metric: Metric, w: Array) -> Array:
    """A w for the factor A = R'^-1 of M^-1 = A A', shape `(d,)`: of w ~ N(0, I) a draw from N(0, M^-1)."""
    return _multiply(tuple(block.T for block in metric.root_inverse), w)


def to_whitened_gradient(metric: Metric, gradient: Array) -> Array:
    """A' g, shape `(d,)`: the gradient with respect to w, where the position is A w."""
    return _multiply(metric.root_inverse, gradient)


class Kinetic(Protocol):
    """A kinetic energy K(p) and its gradient."""

    def energy(self, metric: Metric, momentum: Array) -> Array:
        """K(p), a scalar."""

    def velocity(self, metric: Metric, momentum: Array) -> Array:
        """The gradient of K at p, shape `(d,)`."""


class EuclideanKinetic(NamedTuple):
    """K(p) = p' M^-1 p / 2."""

    def energy(self, metric: Metric, momentum: Array) -> Array:
        """K(p), a scalar."""
        return 0.5 * jnp.sum(momentum * velocity(metric, momentum))

    def velocity(self, metric: Metric, momentum: Array) -> Array:
        """M^-1 p, shape `(d,)`."""
        return velocity(metric, momentum)
