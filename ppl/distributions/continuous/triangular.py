"""Arithmetic with lower triangular factors and the vectors that they scale.

The factors may be NumPy arrays (constants of a model: their factorisation and log determinant are then computed once, in NumPy, and
never traced) or JAX arrays. Batches broadcast without copies: what is shared by many vectors becomes one solve with many columns.
"""

import math
from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import lax

from ppl._typing import Array, ArrayLike
from ppl.distributions.special.elementary import is_number, lgamma
from ppl.distributions.util import as_operand, as_parameter, float_dtype, is_concrete, promote_shapes, solve_rows
from ppl.distributions.util.matrices import as_pair

__all__ = [
    "add",
    "alternative",
    "as_float",
    "as_vector",
    "as_vectors",
    "cholesky",
    "diagonal",
    "difference",
    "exactly_one_matrix",
    "half_log_det",
    "inverse_from_tril",
    "lgamma_sum",
    "log_diagonal",
    "lower_with",
    "matrix_times_vectors",
    "over_rows",
    "prepend_ones",
    "self_outer",
    "transpose",
]


# parameters -------------------------------------------------------------------------------------------------------------


class alternative:
    """A parameter that may be given in place of another.

    Where it is given, it is an ordinary attribute and a leaf of the pytree; else it is computed when asked for, and kept unless
    it is traced.
    """

    def __init__(self, compute: Callable[[Any], Any]) -> None:
        self.compute = compute
        self.__doc__ = compute.__doc__

    def __set_name__(self, owner: type, name: str) -> None:
        self.kept_as = f"_computed_{name}"

    def __get__(self, instance: Any, owner: type) -> Any:
        if instance is None:
            return self
        if self.kept_as in instance.__dict__:
            return instance.__dict__[self.kept_as]
        value = self.compute(instance)
        if is_concrete(value):
            instance.__dict__[self.kept_as] = value
        return value


def as_float(x: Any) -> Any:
    """A parameter as it is kept: sequences become arrays, arrays of integers become arrays of floats."""
    x = as_parameter(x)
    if is_number(x):
        return x
    try:
        dtype = jnp.result_type(x)
    except TypeError as error:
        raise TypeError(f"expected numbers, found {x!r}"[:200]) from error
    if jnp.issubdtype(dtype, np.inexact):
        return x
    known = as_operand(x)
    return known if is_number(known) else known.astype(float_dtype())


def as_vectors(owner: str, name: str, x: Any, entry: str) -> Any:
    """A parameter `(..., d)` as it is kept; `entry` is what a number of it belongs to.

    Raises:
        ValueError: a scalar.
    """
    x = as_float(x)
    if not np.shape(x):
        raise ValueError(f"{owner}: {name} must be at least one-dimensional, got a scalar; pass one number per {entry}")
    return x


def exactly_one_matrix(owner: str, **matrices: Any) -> tuple[str, Any]:
    """The name and value of the only matrix that is not None.

    Raises:
        ValueError: none or several are given.
    """
    given = [name for name, matrix in matrices.items() if matrix is not None]
    if len(given) != 1:
        found = " and ".join(given) if given else "none of them"
        raise ValueError(
            f"{owner}: exactly one of {', '.join(matrices)} must be given, got {found}; pass one and leave out the others"
        )
    return given[0], as_float(matrices[given[0]])


def as_vector(owner: str, loc: Any, d: int, like: Any) -> Any:
    """The location as vectors `(..., d)` or `(..., 1)`; a number takes the dtype of the matrix beside it.

    Raises:
        ValueError: a last dimension other than `d` and 1.
    """
    loc = as_float(loc)
    shape = np.shape(loc)
    if not shape:
        known = as_operand(loc)
        return np.full((1,), known, dtype=like.dtype) if is_number(known) else known.reshape((1,))
    if shape[-1] not in (1, d):
        raise ValueError(
            f"{owner}: loc of shape {shape} does not fit matrices of dimension {d}; its last dimension must be {d} (or 1)"
        )
    return loc


def lgamma_sum(x: Any, offsets: np.ndarray) -> Any:
    """`sum_i log Gamma(x + offsets_i)`, computed now where `x` is known."""
    if is_number(x):
        return math.fsum(math.lgamma(x + offset) for offset in offsets) if x + min(offsets) > 0 else math.nan
    return lgamma(x[..., None] + prepend_ones(offsets.astype(x.dtype), x.ndim + 1)).sum(-1)


# shapes -----------------------------------------------------------------------------------------------------------------


def prepend_ones(x: ArrayLike, ndim: int) -> Any:
    """`x` with dimensions of size 1 in front, so that it has `ndim` of them (scalars, and arrays of more, stay as they are)."""
    return promote_shapes(x, shape=(1,) * ndim)[0]


def add(a: ArrayLike, b: ArrayLike) -> Any:
    """`a + b` with the ranks made equal first."""
    a, b = promote_shapes(a, b)
    return a + b


def difference(value: ArrayLike, loc: Any) -> Array:
    """`value - loc` as a JAX array, with the ranks made equal first."""
    x, loc = promote_shapes(jnp.asarray(value), loc)
    return x - loc


def transpose(matrix: ArrayLike) -> Array:
    """Matrices `(..., n, m)` transposed to `(..., m, n)`."""
    return jnp.swapaxes(jnp.asarray(matrix), -1, -2)


# factors ----------------------------------------------------------------------------------------------------------------


def cholesky(matrix: ArrayLike) -> Any:
    """The lower Cholesky factor, nan where the matrix is not positive definite; in NumPy and double precision where it is known."""
    known = as_operand(matrix)
    if not isinstance(known, np.ndarray):
        return lax.linalg.cholesky(jnp.asarray(matrix))
    try:
        return np.linalg.cholesky(known.astype(np.float64)).astype(known.dtype)
    except np.linalg.LinAlgError:
        return np.full_like(known, np.nan)


def diagonal(matrix: Any) -> Any:
    """The diagonals `(..., d)` of matrices `(..., d, d)`, by a strided slice: its gradient is a pad, that of a gather a scatter."""
    known = as_operand(matrix)
    if isinstance(known, np.ndarray):
        return np.diagonal(known, axis1=-2, axis2=-1)
    shape = matrix.shape
    flat = lax.reshape(matrix, (*shape[:-2], shape[-1] * shape[-2]))
    return lax.slice_in_dim(flat, 0, flat.shape[-1], shape[-1] + 1, axis=flat.ndim - 1)


def log_diagonal(tril: ArrayLike) -> Any:
    """Logarithms `(..., d)` of the diagonal, in NumPy for known factors."""
    values = diagonal(tril)
    if not isinstance(values, np.ndarray):
        return lax.log(values)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.log(values)


def half_log_det(tril: ArrayLike) -> Any:
    """`1/2 log det(L L') = sum_i log L_ii`, shape `(...,)`."""
    return log_diagonal(tril).sum(-1)


def lower_with(below: Array, diag: Array) -> Array:
    """Lower triangular matrices: the vectors `diag` on the diagonal, under it matrices, or vectors that hold for whole columns."""
    d = diag.shape[-1]
    below = below if below.ndim > diag.ndim else below[..., None, :]
    lower, on = (prepend_ones(m, diag.ndim + 1) for m in (np.tri(d, k=-1, dtype=bool), np.eye(d, dtype=bool)))
    return jnp.where(lower, below, jnp.where(on, diag[..., None], 0.0))


def self_outer(factor: ArrayLike) -> Array:
    """`A A'`, to full precision on every device."""
    factor = jnp.asarray(factor)
    return jnp.matmul(factor, transpose(factor), precision=lax.Precision.HIGHEST)


def inverse_from_tril(tril: ArrayLike) -> Array:
    """`(L L')^-1`, by one triangular solve."""
    tril = jnp.asarray(tril)
    identity = jnp.broadcast_to(np.eye(tril.shape[-1], dtype=tril.dtype), tril.shape)
    return self_outer(solve_rows(tril, identity))


# factors and vectors ----------------------------------------------------------------------------------------------------


def matrix_times_vectors(matrix: ArrayLike, x: Array) -> Array:
    """`A x` for matrices `(..., e, d)` and vectors `(..., d)`, batches broadcast."""
    matrix, x = as_pair(matrix, x)
    if matrix.shape[-1] != x.shape[-1]:
        x = jnp.broadcast_to(x, (*x.shape[:-1], matrix.shape[-1]))
    if matrix.ndim == 2:
        return lax.dot_general(x, matrix, (((x.ndim - 1,), (1,)), ((), ())), precision=lax.Precision.HIGHEST)
    return jnp.matmul(matrix, x[..., None], precision=lax.Precision.HIGHEST)[..., 0]


def over_rows(matrix: ArrayLike) -> Any:
    """Factors for each row of a matrix: `(..., d, d)` becomes `(..., 1, d, d)`, known ones in NumPy; one alone stays as is."""
    return matrix if np.ndim(matrix) == 2 else as_operand(matrix)[..., None, :, :]
