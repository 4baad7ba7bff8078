"""Triangular and positive definite matrices."""

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from ppl._typing import Array, ArrayLike
from ppl.distributions.util.shapes import promote_shapes

SMALL_MATRIX = 6  # up to this size triangular matrices are put together from their rows
SUBSTITUTED = 32  # up to this size batches of triangular systems are solved row by row, all at once
SUBSTITUTED_ALONE = 6  # up to this size a single one is, on CPUs


def _eye(like: Array) -> np.ndarray:
    """The identity matrix of the size and rank of `like`."""
    return np.eye(like.shape[-1], dtype=like.dtype).reshape((1,) * (like.ndim - 2) + (like.shape[-1],) * 2)


def add_diag(matrix: ArrayLike, diag: ArrayLike) -> Array:
    """`matrix` with `diag` (a scalar, or a vector per matrix) added to its diagonal."""
    matrix = jnp.asarray(matrix)
    matrix, diag, eye = promote_shapes(matrix, diag[..., None, :] if np.ndim(diag) else diag, _eye(matrix))
    return matrix + diag * eye


def tri_logabsdet(a: ArrayLike) -> Array:
    """`log|det a|` of triangular matrices: the sum of the logarithms of the diagonal's absolute values."""
    return jnp.sum(jnp.log(jnp.abs(jnp.diagonal(a, axis1=-2, axis2=-1))), axis=-1)


def tril_dim(length: int, diagonal: int = 0) -> int:
    """The size of the matrix whose lower triangle up to `diagonal <= 0` has `length` entries.

    Raises:
        ValueError: if there is none.
    """
    if diagonal > 0:
        raise ValueError(f"a lower triangle reaches up to a diagonal <= 0, but got diagonal={diagonal}")
    n = round((np.sqrt(1 + 8 * length) - 1) / 2) - diagonal
    size = n + diagonal
    if size * (size + 1) // 2 != length:
        raise ValueError(
            f"a vector of length {length} is not the lower triangle of a square matrix; expected n (n + 1) / 2 entries for some n"
        )
    return n


def vec_to_tril_matrix(t: ArrayLike, diagonal: int = 0) -> Array:
    """The matrices whose lower triangles up to `diagonal`, row by row, are the vectors `t`; zero elsewhere.

    Raises:
        ValueError: if the length of the vectors fits no square matrix.
    """
    t = jnp.asarray(t)
    n = tril_dim(t.shape[-1], diagonal)
    rows, cols = np.tril_indices(n, diagonal)
    if 0 < n <= SMALL_MATRIX:
        # Padded slices compile faster than a gather, whose transpose is a scatter.
        ends = np.cumsum([max(i + 1 + diagonal, 0) for i in range(n)])
        starts = [0, *ends[:-1]]
        keep = [(0, 0, 0)] * (t.ndim - 1)
        zero = np.zeros((), t.dtype)
        pieces = [
            lax.pad(lax.slice_in_dim(t, int(a), int(b), axis=-1), zero, [*keep, (0, n - int(b - a), 0)])
            for a, b in zip(starts, ends)
        ]
        return lax.reshape(lax.concatenate(pieces, t.ndim - 1), (*t.shape[:-1], n, n))
    index = np.full((n, n), t.shape[-1])
    index[rows, cols] = np.arange(len(rows))
    return t.at[..., index].get(mode="fill", fill_value=0)


def matrix_to_tril_vec(x: ArrayLike, diagonal: int = 0) -> Array:
    """The lower triangles of `x` up to `diagonal`, row by row."""
    x = jnp.asarray(x)
    n = x.shape[-1]
    rows, cols = np.tril_indices(n, diagonal)
    flat = lax.reshape(x, (*x.shape[:-2], n * n))
    return flat.at[..., rows * n + cols].get(mode="promise_in_bounds", unique_indices=True, indices_are_sorted=True)


def signed_stick_breaking_tril(t: ArrayLike) -> Array:
    """The Cholesky factor of a correlation matrix from partial correlations `t` in (-1, 1), a vector of its strict lower triangle.

    `L_ij = t_ij sqrt(prod_{k<j} (1 - t_ik^2))`, `L_ii = sqrt(prod_{k<i} (1 - t_ik^2))` (Lewandowski, Kurowicka & Joe 2009).
    """
    r = vec_to_tril_matrix(t, diagonal=-1)
    remaining = jnp.cumprod(jnp.sqrt(1.0 - r * r), axis=-1)
    remaining = jnp.concatenate([jnp.ones_like(remaining[..., :1]), remaining[..., :-1]], axis=-1)
    return (r + _eye(r)) * remaining


def solve_rows(tril: Array, rows: Array, *, transposed: bool = False) -> Array:
    """`L^-1 r`, or `L'^-1 r`, for each row `r` of `(..., k, d)` and lower triangular `(..., d, d)` of that dtype and batch shape.

    A batch of small systems is solved by substitution, one entry of all of them at a time: that is faster than a call of LAPACK for
    each, and JAX 0.10 can wait for ever on a machine of two cores where it spreads large batches of such calls over them. So is a
    single system that is smaller still: besides, the first call of LAPACK imports SciPy's linear algebra, a quarter of a second.
    """
    on_cpu = jax.default_backend() == "cpu"
    largest = SUBSTITUTED if tril.ndim > 2 else SUBSTITUTED_ALONE if on_cpu else 0
    if tril.shape[-1] > largest:
        return lax.linalg.triangular_solve(tril, rows, left_side=False, lower=True, transpose_a=not transposed)

    def multiply(x: Array) -> Array:
        lower = jnp.tril(tril)
        return jnp.matmul(x, lower if transposed else jnp.swapaxes(lower, -1, -2), precision=lax.Precision.HIGHEST)

    substitute = _substitute_few if rows.shape[-2] < tril.shape[-1] else _substitute_many

    def solve(_: Any, b: Array) -> Array:
        return substitute(tril, b, transposed)

    def solve_transposed(_: Any, b: Array) -> Array:
        return substitute(tril, b, not transposed)

    return lax.custom_linear_solve(multiply, rows, solve, solve_transposed)


def solve_vectors(tril: ArrayLike, x: Array, *, transposed: bool = False) -> Array:
    """`L^-1 x`, or `L'^-1 x`, for lower factors `(..., d, d)` and vectors `x (..., d)`, batches broadcast.

    Batch dimensions that the factor lacks, or has with size 1, become columns of one triangular solve; so a factor is never copied.
    """
    tril, x = as_pair(tril, x)
    d = tril.shape[-1]
    if x.shape[-1] != d:
        x = jnp.broadcast_to(x, (*x.shape[:-1], d))
    if tril.ndim == 2:
        return solve_rows(tril, x.reshape((-1, d)), transposed=transposed).reshape(x.shape)
    batch = np.broadcast_shapes(tril.shape[:-2], x.shape[:-1])
    factor_batch = (1,) * (len(batch) - tril.ndim + 2) + tril.shape[:-2]
    own = [i for i in range(len(batch)) if factor_batch[i] != 1]
    free = [i for i in range(len(batch)) if factor_batch[i] == 1]
    order = (*own, *free, len(batch))
    own_shape = [batch[i] for i in own]
    free_shape = [batch[i] for i in free]
    rows = lax.transpose(jnp.broadcast_to(x, (*batch, d)), order).reshape((*own_shape, math.prod(free_shape), d))
    solved = solve_rows(tril.reshape((*own_shape, d, d)), rows, transposed=transposed)
    solved = solved.reshape((*own_shape, *free_shape, d))
    return lax.transpose(solved, np.argsort(order))


def as_pair(matrix: ArrayLike, x: Array) -> tuple[Array, Array]:
    """Both as JAX arrays in the dtype that JAX's promotion gives them together."""
    matrix = jnp.asarray(matrix)
    if matrix.dtype == x.dtype:
        return matrix, x
    dtype = jnp.result_type(matrix, x)
    return matrix.astype(dtype), x.astype(dtype)


def _substitute_few(tril: Array, rows: Array, transposed: bool) -> Array:
    """Forward substitution, or backward with the transposed matrices: each entry found leaves the equations of the others."""
    n = tril.shape[-1]
    index = lax.broadcasted_iota(np.int32, rows.shape, rows.ndim - 1)
    diag = jnp.diagonal(tril, axis1=-2, axis2=-1)[..., None, :]

    def step(k: Array, x: Array) -> Array:
        i = np.int32(n - 1) - k if transposed else k
        factors = lax.dynamic_slice_in_dim(tril, i, 1, axis=-2 if transposed else -1)
        factors = factors if transposed else jnp.swapaxes(factors, -1, -2)
        found = lax.dynamic_slice_in_dim(x, i, 1, axis=-1) / lax.dynamic_slice_in_dim(diag, i, 1, axis=-1)
        open_ = index < i if transposed else index > i
        return jnp.where(index == i, found, jnp.where(open_, x - factors * found, x))

    return lax.fori_loop(np.int32(0), np.int32(n), step, rows)


def _substitute_many(tril: Array, rows: Array, transposed: bool) -> Array:
    """The same after the diagonals are made 1: a step is then one multiplication and one addition for each of many rows."""
    n = tril.shape[-1]
    diag = jnp.diagonal(tril, axis1=-2, axis2=-1)
    below = np.tri(n, k=-1, dtype=bool).reshape((1,) * (tril.ndim - 2) + (n, n))
    unit = jnp.where(below, tril / (diag[..., :, None] if transposed else diag[..., None, :]), 0.0)
    unit = unit if transposed else jnp.swapaxes(unit, -1, -2)

    def step(k: Array, x: Array) -> Array:
        i = np.int32(n - 1) - k if transposed else k
        return x - lax.dynamic_slice_in_dim(unit, i, 1, axis=-2) * lax.dynamic_slice_in_dim(x, i, 1, axis=-1)

    return lax.fori_loop(np.int32(0), np.int32(n - 1), step, rows) / diag[..., None, :]


def cholesky_of_inverse(matrix: ArrayLike) -> Array:
    """The lower Cholesky factor of `matrix^-1`, from the factor of the matrix with its rows and columns reversed."""
    reverse = jnp.linalg.cholesky(jnp.asarray(matrix)[..., ::-1, ::-1])
    upper = jnp.swapaxes(reverse[..., ::-1, ::-1], -2, -1)
    return jnp.swapaxes(solve_rows(upper, jnp.broadcast_to(_eye(upper), upper.shape)), -1, -2)


def cholesky_update(L: ArrayLike, x: ArrayLike, coef: ArrayLike = 1) -> Array:
    """The lower Cholesky factor of `L L' + coef x x'` in O(n^2) (Krause & Igel 2015, section 3.2)."""
    L, x = jnp.asarray(L), jnp.asarray(x)
    n = L.shape[-1]
    batch = np.broadcast_shapes(L.shape[:-2], x.shape[:-1], np.shape(coef))
    x = jnp.broadcast_to(x, (*batch, n))
    coef = jnp.broadcast_to(jnp.asarray(coef, L.dtype), batch)
    columns = jnp.moveaxis(jnp.broadcast_to(L, (*batch, n, n)), -1, 0)

    def step(carry: tuple[Array, Array], inputs: tuple[Array, Array]) -> tuple[tuple[Array, Array], Array]:
        residual, b = carry
        j, column = inputs
        diag = lax.dynamic_index_in_dim(column, j, axis=-1, keepdims=False)
        pivot = lax.dynamic_index_in_dim(residual, j, axis=-1, keepdims=False)
        gamma = diag * diag * b + coef * pivot * pivot
        new_diag = jnp.sqrt(diag * diag + coef / b * pivot * pivot)
        residual = residual - (pivot / diag)[..., None] * column
        new = (new_diag / diag)[..., None] * column + (new_diag * coef * pivot / gamma)[..., None] * residual
        return (residual, b + coef * (pivot / diag) ** 2), new

    start: Any = (x, jnp.ones(batch, L.dtype))
    _, out = lax.scan(step, start, (jnp.arange(n), columns))
    return jnp.tril(jnp.moveaxis(out, 0, -1))
