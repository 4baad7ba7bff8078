"""Laws of correlation matrices and of their Cholesky factors."""

import math
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import lax

from ppl._typing import Array, ArrayLike, Key, Shape
from ppl.distributions import constraints, random
from ppl.distributions.continuous.triangular import add, as_float, lgamma_sum, log_diagonal, lower_with, prepend_ones
from ppl.distributions.distribution.base import Distribution
from ppl.distributions.distribution.transformed import TransformedDistribution
from ppl.distributions.special.elementary import lgamma
from ppl.distributions.transforms import CorrCholeskyTransform, CorrMatrixCholeskyTransform
from ppl.distributions.util import as_operand, promote_shapes, validate_sample

__all__ = ["LKJ", "LKJCholesky"]


class LKJCholesky(Distribution):
    r"""The law of the Cholesky factor `L` of a correlation matrix `R = L L'` with density `p(R) ~ det(R)^(concentration - 1)`.

    `log p(L) = sum_{i=1}^{D-1} (D - i - 1 + 2 (eta - 1)) log L_ii - log Z` with respect to the entries below the diagonal, rows
    `i` counted from 0. A row is a point of the unit ball with density `~ (1 - |w|^2)^(b_i - 1)`, `b_i = eta + (D - 1 - i)/2`, so
    `log Z = sum_{i=1}^{D-1} [i/2 log pi + lgamma(b_i) - lgamma(eta + (D - 1)/2)]`.

    Args:
        dimension: `D`, a static integer from 2 up.
        concentration: `eta`, positive, shape `(...)`; 1 is uniform over correlation matrices, more favours the identity.
        sample_method: `"onion"` (row by row, from the ball) or `"cvine"` (from partial correlations); the same law.
        validate_args: whether to check the parameters now and values in `log_prob`.

    Raises:
        ValueError: a dimension below 2 or no integer, an unknown `sample_method`.

    Example:
        >>> d = LKJCholesky(3, concentration=2.0)
        >>> d.event_shape
        (3, 3)

    Reference: Lewandowski, Kurowicka and Joe (2009), Generating random correlation matrices based on vines and extended onion
    method.
    """

    arg_constraints = {"concentration": constraints.positive}
    support = constraints.corr_cholesky
    reparametrized_params = ["concentration"]
    pytree_aux_fields = ("dimension", "sample_method")

    def __init__(
        self,
        dimension: int,
        concentration: ArrayLike = 1.0,
        sample_method: str = "onion",
        *,
        validate_args: bool | None = None,
    ) -> None:
        self.dimension = _checked_dimension(dimension)
        self.sample_method = _checked_method(sample_method)
        self.concentration = as_float(concentration)
        super().__init__(np.shape(self.concentration), (self.dimension, self.dimension), validate_args=validate_args)

    def sample(self, key: Key, sample_shape: Shape = ()) -> Array:
        """Factors of shape `sample_shape + batch_shape + (D, D)`."""
        draw = self._sample_onion if self.sample_method == "onion" else self._sample_cvine
        return draw(key, sample_shape)

    def _sample_onion(self, key: Key, sample_shape: Shape) -> Array:
        """Row `i` is `(z_1, ..., z_i, sqrt(2 g))` over its norm, with normal `z` and `g ~ Gamma(b_i)`.

        The squared norm of its first `i` entries is then `Beta(i/2, b_i)`, and their direction uniform and independent of it.
        """
        k_normal, k_gamma = random.split(key)
        shape = self.shape(sample_shape)
        b = self._concentrations(0.5 * np.arange(self.dimension - 2, -1, -1), len(shape) - 1)
        z = random.normal(k_normal, shape, dtype=self._dtype)
        log_gamma = random.loggamma(k_gamma, b, shape=(*shape[:-2], self.dimension - 1), dtype=self._dtype)
        edge = jnp.maximum(jnp.exp(0.5 * (log_gamma + math.log(2))), math.sqrt(jnp.finfo(z.dtype).tiny))
        edge = jnp.concatenate([jnp.ones_like(z[..., :1, 0]), edge], axis=-1)
        rows = lower_with(z, edge)
        return rows * lax.rsqrt(lax.square(rows).sum(-1, keepdims=True))

    def _sample_cvine(self, key: Key, sample_shape: Shape) -> Array:
        """Partial correlations of column `j` (given the columns before) are `2 Beta(b, b) - 1`, `b = eta + (D - 2 - j)/2`.

        With `g, h ~ Gamma(b)` that is `tanh((log g - log h)/2)`, which keeps the distance to +-1.
        """
        columns = np.tril_indices(self.dimension, -1)[1]
        shape = (*self.shape(sample_shape)[:-2], len(columns))
        b = self._concentrations(0.5 * (self.dimension - 2 - columns), len(shape))
        g, h = random.loggamma(key, b[None], shape=(2, *shape), dtype=self._dtype)
        tril = CorrCholeskyTransform()(0.5 * (g - h))
        return tril + prepend_ones(math.sqrt(jnp.finfo(tril.dtype).tiny) * np.eye(self.dimension, dtype=tril.dtype), tril.ndim)

    def _concentrations(self, offsets: np.ndarray, ndim: int) -> Array:
        """`eta + offsets`, with `ndim` dimensions, the offsets along the last."""
        eta = jnp.asarray(self.concentration, self._dtype)[..., None]
        return prepend_ones(eta, ndim) + prepend_ones(offsets.astype(self._dtype), ndim)

    @validate_sample
    def log_prob(self, value: ArrayLike) -> Array:
        """Log density of factors `(..., D, D)`."""
        logs = log_diagonal(jnp.asarray(value))[..., 1:]
        fixed = (logs * prepend_ones(np.arange(self.dimension - 2, -1, -1, dtype=logs.dtype), logs.ndim)).sum(-1)
        total, eta = promote_shapes(logs.sum(-1), self.concentration)
        return add(fixed, 2 * (eta - 1) * total - prepend_ones(self._log_normalizer(), np.ndim(total)))

    def _log_normalizer(self) -> Array:
        eta, d = as_operand(self.concentration), self.dimension
        balls = lgamma_sum(eta, 0.5 * np.arange(d - 1))
        return balls - (d - 1) * lgamma(eta + 0.5 * (d - 1)) + 0.25 * d * (d - 1) * math.log(math.pi)


class LKJ(TransformedDistribution):
    r"""The law of correlation matrices with density `p(R) ~ det(R)^(concentration - 1)`.

    Each correlation has mean 0 and variance `1 / (2 eta + D - 1)`. Where only a factor is needed, `LKJCholesky` is cheaper.

    Args:
        dimension: `D`, a static integer from 2 up.
        concentration: `eta`, positive, shape `(...)`; 1 is uniform over correlation matrices, more favours the identity.
        sample_method: `"onion"` or `"cvine"`; the same law.
        validate_args: whether to check the parameters now and values in `log_prob`.

    Raises:
        ValueError: a dimension below 2 or no integer, an unknown `sample_method`.

    Example:
        >>> d = LKJ(2, concentration=1.0)
        >>> [[float(m) for m in row] for row in d.mean]
        [[1.0, 0.0], [0.0, 1.0]]

    Reference: Lewandowski, Kurowicka and Joe (2009).
    """

    arg_constraints = {"concentration": constraints.positive}
    support = constraints.corr_matrix
    reparametrized_params = ["concentration"]
    pytree_aux_fields = ("dimension", "sample_method")

    def __init__(
        self,
        dimension: int,
        concentration: ArrayLike = 1.0,
        sample_method: str = "onion",
        *,
        validate_args: bool | None = None,
    ) -> None:
        base = LKJCholesky(dimension, concentration, sample_method, validate_args=validate_args)
        self.dimension, self.concentration, self.sample_method = base.dimension, base.concentration, base.sample_method
        super().__init__(base, CorrMatrixCholeskyTransform().inv, validate_args=validate_args)

    @property
    def variance(self) -> Array:
        """`1 / (2 eta + D - 1)` off the diagonal, 0 on it."""
        spread = 1.0 / (2.0 * jnp.asarray(self.concentration, self._dtype) + (self.dimension - 1))
        off_diagonal = prepend_ones(1 - np.eye(self.dimension, dtype=self._dtype), spread.ndim + 2)
        return jnp.broadcast_to(spread[..., None, None] * off_diagonal, self.shape())

    @property
    def mean(self) -> Array:
        """The identity matrix."""
        return jnp.broadcast_to(np.eye(self.dimension, dtype=self._dtype), self.shape())


def _checked_dimension(dimension: Any) -> int:
    if not isinstance(dimension, (int, np.integer)) or dimension < 2:
        raise ValueError(f"LKJ: dimension must be an integer of at least 2 (the size of the correlation matrix), got {dimension!r}")
    return int(dimension)


def _checked_method(sample_method: str) -> str:
    if sample_method not in ("onion", "cvine"):
        raise ValueError(f"LKJ: sample_method must be 'onion' or 'cvine', got {sample_method!r}")
    return sample_method
