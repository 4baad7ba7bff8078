"""Maps to matrices: triangular factors, correlations, covariances."""

import math
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import lax

from ppl._typing import Array, ArrayLike, Shape
from ppl.distributions import constraints
from ppl.distributions.transforms.base import ParameterFreeTransform, Transform, check_vector, constant
from ppl.distributions.transforms.elementwise import as_float
from ppl.distributions.transforms.vectors import log_sech2
from ppl.distributions.util import (
    as_parameter,
    cumulative_sum,
    matrix_to_tril_vec,
    promote_shapes,
    softplus,
    solve_vectors,
    square_dim,
    sum_rightmost,
    tril_dim,
    vec_to_tril_matrix,
)

SMALL_TRIANGLE = 10  # up to this size sums along rows are one product with a constant matrix


def _diagonal(x: Array) -> Array:
    return jnp.diagonal(x, axis1=-2, axis2=-1)


def _eye(n: int, like: Array) -> np.ndarray:
    return np.eye(n, dtype=like.dtype).reshape((1,) * (like.ndim - 2) + (n, n))


def _dot_last(x: Array, weights: Any) -> Array:
    """The sum over the last axis of `x` times constant weights."""
    weights = constant(weights, x)
    return sum_rightmost(x * weights.reshape((1,) * (x.ndim - 1) + weights.shape), 1)


def _matrix_dim(name: str, shape: Shape, diagonal: int) -> int:
    check_vector(name, shape, 0)
    return tril_dim(shape[-1], diagonal)


def _matrix_shape(name: str, shape: Shape, diagonal: int) -> Shape:
    n = _matrix_dim(name, shape, diagonal)
    return (*shape[:-1], n, n)


def _vector_shape(name: str, shape: Shape, diagonal: int) -> Shape:
    n = square_dim(name, "its argument", shape) + diagonal
    return (*shape[:-2], n * (n + 1) // 2)


def _sums_to_the_left(x: Array, n: int) -> Array:
    """Matrices whose entry (i, j) is the sum of the entries (i, k), k < j, of the strict lower triangles `x`, given row by row."""
    if n > SMALL_TRIANGLE:
        return cumulative_sum(vec_to_tril_matrix(x, diagonal=-1), exclusive=True)
    weights = np.zeros((x.shape[-1], n, n), x.dtype)
    for entry, (i, k) in enumerate(zip(*np.tril_indices(n, -1))):
        weights[entry, i, k + 1 :] = 1
    sums = lax.dot_general(x, weights.reshape(-1, n * n), (((x.ndim - 1,), (0,)), ((), ())), precision=lax.Precision.HIGHEST)
    return lax.reshape(sums, (*x.shape[:-1], n, n))


class CorrCholeskyTransform(ParameterFreeTransform):
    """Vectors of n (n - 1) / 2 reals to the Cholesky factors of n x n correlation matrices.

    With the partial correlations `t = tanh(x)` as strict lower triangle, row by row,
    `L_ij = t_ij sqrt(prod_{k<j} (1 - t_ik^2))` and `L_ii = sqrt(prod_{k<i} (1 - t_ik^2))`. The log-determinant, in the strict
    lower triangle of L, is `sum_{k<i} (1 + (i - k - 1) / 2) log(1 - t_ik^2)` (Lewandowski, Kurowicka & Joe 2009; Stan reference
    manual, "Cholesky factors of correlation matrices").
    """

    domain = constraints.real_vector
    codomain = constraints.corr_cholesky

    def call_with_intermediates(self, x: ArrayLike) -> tuple[Array, Any]:
        x = as_float(x)
        n = _matrix_dim("CorrCholeskyTransform", x.shape, -1)
        log_left = log_sech2(x)
        t = vec_to_tril_matrix(lax.tanh(x), diagonal=-1)
        log_rest = _sums_to_the_left(log_left, n)
        # The floor keeps the diagonal above zero, where densities of correlation matrices are not finite.
        floor = constant(math.log(jnp.finfo(x.dtype).tiny), x)
        return (t + _eye(n, t)) * lax.exp(lax.max(0.5 * log_rest, lax.full_like(log_rest, floor))), log_left

    def __call__(self, x: ArrayLike) -> Array:
        return self.call_with_intermediates(x)[0]

    def _inverse(self, y: ArrayLike) -> Array:
        y = as_float(y)
        square_dim("CorrCholeskyTransform.inv", "its argument", y.shape)
        # What is left of a unit row before entry j is the sum of the squares from j on.
        rest = cumulative_sum(y * y, reverse=True)
        tiny = jnp.finfo(y.dtype).tiny
        t = y / lax.sqrt(lax.max(rest, lax.full_like(rest, tiny)))
        return lax.atanh(matrix_to_tril_vec(t, diagonal=-1))

    def log_abs_det_jacobian(self, x: ArrayLike, y: ArrayLike, intermediates: Any = None) -> Array:
        log_left = log_sech2(as_float(x)) if intermediates is None else intermediates
        i, k = np.tril_indices(_matrix_dim("CorrCholeskyTransform", log_left.shape, -1), -1)
        return _dot_last(log_left, 1.0 + 0.5 * (i - k - 1))

    def forward_shape(self, shape: Shape) -> Shape:
        return _matrix_shape("CorrCholeskyTransform", shape, -1)

    def inverse_shape(self, shape: Shape) -> Shape:
        return _vector_shape("CorrCholeskyTransform.inv", shape, -1)


class _TriangularTransform(ParameterFreeTransform):
    """Vectors of n (n + 1) / 2 reals, the strict lower triangle row by row and then the diagonal, to lower triangular matrices."""

    domain = constraints.real_vector

    def _split(self, x: ArrayLike) -> tuple[Array, Array]:
        x = as_float(x)
        diagonal = self._free_diagonal(x)
        return vec_to_tril_matrix(x[..., : x.shape[-1] - diagonal.shape[-1]], diagonal=-1), diagonal

    def _free_diagonal(self, x: ArrayLike) -> Array:
        """The last n entries."""
        x = as_float(x)
        n = _matrix_dim(type(self).__name__, x.shape, 0)
        return x[..., x.shape[-1] - n :]

    def forward_shape(self, shape: Shape) -> Shape:
        return _matrix_shape(type(self).__name__, shape, 0)

    def inverse_shape(self, shape: Shape) -> Shape:
        return _vector_shape(f"{type(self).__name__}.inv", shape, 0)


def _softplus_inverse(y: Array) -> Array:
    return y + lax.log(-lax.expm1(-y))


class LowerCholeskyTransform(_TriangularTransform):
    """Vectors to lower triangular matrices whose diagonal is the exponential of the last n entries."""

    codomain = constraints.lower_cholesky

    def __call__(self, x: ArrayLike) -> Array:
        strict, diag = self._split(x)
        return strict + lax.exp(diag)[..., None] * _eye(diag.shape[-1], strict)

    def _inverse(self, y: ArrayLike) -> Array:
        y = as_float(y)
        square_dim("LowerCholeskyTransform.inv", "its argument", y.shape)
        return lax.concatenate([matrix_to_tril_vec(y, diagonal=-1), lax.log(_diagonal(y))], y.ndim - 2)

    def log_abs_det_jacobian(self, x: ArrayLike, y: ArrayLike, intermediates: Any = None) -> Array:
        return sum_rightmost(self._free_diagonal(x), 1)


class SoftplusLowerCholeskyTransform(_TriangularTransform):
    """Vectors to lower triangular matrices whose diagonal is the softplus of the last n entries."""

    codomain = constraints.softplus_lower_cholesky

    def __call__(self, x: ArrayLike) -> Array:
        strict, diag = self._split(x)
        return strict + softplus(diag)[..., None] * _eye(diag.shape[-1], strict)

    def _inverse(self, y: ArrayLike) -> Array:
        y = as_float(y)
        square_dim("SoftplusLowerCholeskyTransform.inv", "its argument", y.shape)
        return lax.concatenate([matrix_to_tril_vec(y, diagonal=-1), _softplus_inverse(_diagonal(y))], y.ndim - 2)

    def log_abs_det_jacobian(self, x: ArrayLike, y: ArrayLike, intermediates: Any = None) -> Array:
        return sum_rightmost(-softplus(-self._free_diagonal(x)), 1)


class ScaledUnitLowerCholeskyTransform(_TriangularTransform):
    """Vectors to `diag(s) U`, where U is unit lower triangular and `s` is the softplus of the last n entries.

    Row i of the strict lower triangle is scaled by `s_i`, so that the log-determinant is
    `sum_i i log s_i - softplus(-x_i)` over the last n entries.
    """

    codomain = constraints.scaled_unit_lower_cholesky

    def __call__(self, x: ArrayLike) -> Array:
        strict, diag = self._split(x)
        return (strict + _eye(diag.shape[-1], strict)) * softplus(diag)[..., None]

    def _inverse(self, y: ArrayLike) -> Array:
        y = as_float(y)
        square_dim("ScaledUnitLowerCholeskyTransform.inv", "its argument", y.shape)
        scale = _diagonal(y)
        return lax.concatenate([matrix_to_tril_vec(y / scale[..., None], diagonal=-1), _softplus_inverse(scale)], y.ndim - 2)

    def log_abs_det_jacobian(self, x: ArrayLike, y: ArrayLike, intermediates: Any = None) -> Array:
        diag = self._free_diagonal(x)
        # Below about -17 (float32) softplus(x) = exp(x), whose logarithm is x; this also avoids the logarithm of zero.
        low = diag < 0.5 * math.log(jnp.finfo(diag.dtype).eps)
        log_scale = jnp.where(low, diag, lax.log(softplus(jnp.where(low, 0.0, diag))))
        return _dot_last(log_scale, np.arange(diag.shape[-1])) - sum_rightmost(softplus(-diag), 1)


class _Cholesky(ParameterFreeTransform):
    """Symmetric matrices `S` to their lower Cholesky factors `L`, `S = L L'`."""

    def __call__(self, x: ArrayLike) -> Array:
        x = as_float(x)
        self.forward_shape(x.shape)
        return jnp.linalg.cholesky(x)

    def forward_shape(self, shape: Shape) -> Shape:
        square_dim(type(self).__name__, "its argument", shape)
        return shape

    def inverse_shape(self, shape: Shape) -> Shape:
        square_dim(f"{type(self).__name__}.inv", "its argument", shape)
        return shape

    def _inverse(self, y: ArrayLike) -> Array:
        y = as_float(y)
        self.inverse_shape(y.shape)
        return jnp.matmul(y, jnp.swapaxes(y, -2, -1), precision=lax.Precision.HIGHEST)


class CholeskyTransform(_Cholesky):
    """Positive definite matrices `S` to their lower Cholesky factors `L`, `S = L L'`.

    The log-determinant, in the coordinates of the lower triangles, is `-(n log 2 + sum_i (n - i) log L_ii)`, i = 0 ... n - 1.
    """

    domain = constraints.positive_definite
    codomain = constraints.lower_cholesky

    def log_abs_det_jacobian(self, x: ArrayLike, y: ArrayLike, intermediates: Any = None) -> Array:
        y = as_float(y)
        n = y.shape[-1]
        return -(n * math.log(2.0) + _dot_last(lax.log(_diagonal(y)), n - np.arange(n)))


class CorrMatrixCholeskyTransform(_Cholesky):
    """Correlation matrices to their lower Cholesky factors, with log-determinant `-sum_i (n - 1 - i) log L_ii`, i = 0 ... n - 1."""

    domain = constraints.corr_matrix
    codomain = constraints.corr_cholesky

    def log_abs_det_jacobian(self, x: ArrayLike, y: ArrayLike, intermediates: Any = None) -> Array:
        y = as_float(y)
        n = y.shape[-1]
        return -_dot_last(lax.log(_diagonal(y)), n - 1 - np.arange(n))


class LowerCholeskyAffine(Transform):
    """`y = loc + L x` with the lower triangular `L = scale_tril`, with log-determinant `sum_i log L_ii`.

    Raises:
        ValueError: if `scale_tril` is not made of square matrices.
    """

    domain = constraints.real_vector
    codomain = constraints.real_vector
    leaf_fields = ("loc", "scale_tril")

    def __init__(self, loc: ArrayLike, scale_tril: ArrayLike) -> None:
        self.loc, self.scale_tril = as_parameter(loc), as_parameter(scale_tril)
        square_dim("LowerCholeskyAffine", "scale_tril", np.shape(self.scale_tril))

    def __call__(self, x: ArrayLike) -> Array:
        x = as_float(x)
        self.forward_shape(x.shape)
        product = jnp.matmul(self.scale_tril, x[..., None], precision=lax.Precision.HIGHEST)[..., 0]
        loc, product = promote_shapes(self.loc, product)
        return loc + product

    def _inverse(self, y: ArrayLike) -> Array:
        y, loc = promote_shapes(as_float(y), self.loc)
        y = y - loc
        return solve_vectors(self.scale_tril, y)

    def log_abs_det_jacobian(self, x: ArrayLike, y: ArrayLike, intermediates: Any = None) -> Array:
        log_det = sum_rightmost(lax.log(lax.abs(_diagonal(as_float(self.scale_tril)))), 1)
        return jnp.broadcast_to(log_det, np.broadcast_shapes(log_det.shape, np.shape(x)[:-1]))

    def forward_shape(self, shape: Shape) -> Shape:
        d = np.shape(self.scale_tril)[-1]
        if shape[-1:] != (d,):
            raise ValueError(
                f"LowerCholeskyAffine with a scale_tril of shape {np.shape(self.scale_tril)} needs vectors (..., {d}), but got "
                f"shape {tuple(shape)}"
            )
        return np.broadcast_shapes(shape, np.shape(self.loc), np.shape(self.scale_tril)[:-1])

    def inverse_shape(self, shape: Shape) -> Shape:
        return self.forward_shape(shape)
