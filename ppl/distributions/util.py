"""Numerics and shape bookkeeping shared by constraints, transforms and distributions.

Shape helpers and checks of concrete values run in NumPy, so that building a distribution executes no JAX operation.
"""

import warnings
from collections.abc import Callable
from functools import update_wrapper, wraps
from typing import Any, Generic, TypeVar, overload

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.scipy.linalg import solve_triangular

from ppl._typing import Array, ArrayLike, Shape

Tracer = jax.core.Tracer
T = TypeVar("T")
F = TypeVar("F", bound=Callable[..., Any])
SMALL_MATRIX = 6  # up to this size triangular matrices are put together from their rows
SMALL_VECTOR = 64  # up to this size cumulative sums are products with a triangular matrix


# concrete values --------------------------------------------------------------------------------------------------------


def is_concrete(x: Any) -> bool:
    """Whether the value of `x` is known now, that is, no leaf of `x` is traced."""
    if isinstance(x, (int, float, np.ndarray, np.generic)):
        return True
    if isinstance(x, Tracer):
        return False
    return not any(isinstance(leaf, Tracer) for leaf in jax.tree_util.tree_leaves(x))


def as_parameter(x: Any) -> Any:
    """What a distribution keeps of an argument: Python numbers, arrays and tracers as they are, sequences as NumPy arrays."""
    if isinstance(x, (list, tuple)):
        if any(isinstance(leaf, jax.Array) for leaf in jax.tree_util.tree_leaves(x)):
            return jnp.asarray(x)
        return np.asarray(x)
    return x


def as_operand(x: Any) -> Any:
    """A concrete array as NumPy array (in the width that JAX uses), so that arithmetic with it compiles nothing; tracers and Python
    numbers as they are.
    """
    if isinstance(x, (Tracer, int, float, complex)) and not isinstance(x, np.generic):
        return x
    if isinstance(x, jax.Array) and not x.is_fully_addressable:
        return x
    out = np.asarray(x)
    dtype = jax.dtypes.canonicalize_dtype(out.dtype) if out.dtype.kind in "iufc" else out.dtype
    return out if out.dtype == dtype else out.astype(dtype)


def float_dtype(*args: Any) -> Any:
    """The floating point dtype of a computation with `args`: theirs, and JAX's default if none has one."""
    found = None
    for arg in args:
        dtype = getattr(arg, "dtype", None)
        if dtype is None or getattr(arg, "weak_type", False) or not jnp.issubdtype(dtype, np.inexact):
            continue
        dtype = jax.dtypes.canonicalize_dtype(dtype)
        found = dtype if found is None or found == dtype else jnp.promote_types(found, dtype)
    return jax.dtypes.canonicalize_dtype(np.float64) if found is None else found


def is_identically_zero(x: ArrayLike) -> bool:
    """Whether `x` is known to be zero everywhere; False for traced values."""
    return is_concrete(x) and bool(np.all(np.asarray(x) == 0))


def is_identically_one(x: ArrayLike) -> bool:
    """Whether `x` is known to be one everywhere; False for traced values."""
    return is_concrete(x) and bool(np.all(np.asarray(x) == 1))


def array_equiv(a: ArrayLike, b: ArrayLike, static: bool = False) -> ArrayLike:
    """Whether `a` and `b` are equal up to broadcasting; with `static=True` always a bool, where traced values equal only themselves."""
    if a is b:
        return True
    if is_concrete(a) and is_concrete(b):
        return bool(np.array_equiv(np.asarray(a), np.asarray(b)))
    return False if static else jnp.array_equiv(a, b)


def assert_one_of(**kwargs: Any) -> None:
    """Raise ValueError unless exactly one of the keyword arguments is not None."""
    given = [name for name, value in kwargs.items() if value is not None]
    if len(given) != 1:
        names = ", ".join(f"`{name}`" for name in kwargs)
        found = "none" if not given else " and ".join(f"`{name}`" for name in given)
        raise ValueError(f"exactly one of {names} must be given, but got {found}")


def is_prng_key(key: Any) -> bool:
    """Deprecated: whether `key` is a random key; use `jax.dtypes.issubdtype(key.dtype, jax.dtypes.prng_key)`."""
    warnings.warn("is_prng_key is deprecated; test the dtype of the key instead", DeprecationWarning, stacklevel=2)
    try:
        if jax.dtypes.issubdtype(key.dtype, jax.dtypes.prng_key):
            return key.shape == ()
        return key.shape == (2,) and key.dtype == np.uint32
    except AttributeError:
        return False


# shapes -----------------------------------------------------------------------------------------------------------------


def batch_shape_of(*args: Any, shape: Shape = ()) -> Shape:
    """The shape to which `args` and `shape` broadcast."""
    return np.broadcast_shapes(shape, *(np.shape(arg) for arg in args))


def _with_rank(x: Any, shape: Shape, rank: int) -> Any:
    if len(shape) in (0, rank):
        return x
    x = as_operand(x)
    return x.reshape((1,) * (rank - len(shape)) + shape)


def promote_shapes(*args: Any, shape: Shape = (), return_shapes: bool = False) -> Any:
    """The arguments with 1s prepended to their shapes so that all non-scalars have the same rank, at least that of `shape`.

    Scalars and arguments of full rank are returned as they are; sequences become arrays.

    Args:
        *args: arrays or numbers.
        shape: one more shape to count in.
        return_shapes: return the common broadcast shape too.

    Returns:
        The list of arguments, or `(list, shape)`.

    Raises:
        ValueError: if the shapes do not broadcast.
    """
    args = tuple(as_parameter(arg) for arg in args)
    shapes = [np.shape(arg) for arg in args]
    common = np.broadcast_shapes(shape, *shapes)
    out = [_with_rank(arg, s, len(common)) for arg, s in zip(args, shapes)]
    return (out, common) if return_shapes else out


def sum_rightmost(x: ArrayLike, dim: int) -> Array:
    """The sum of `x` over its last `dim` axes; over all axes if there are fewer."""
    ndim = np.ndim(x)
    if dim == 0 or ndim == 0:
        return x
    return lax.reduce_sum(x, tuple(range(max(ndim - dim, 0), ndim)))


def cumulative_sum(x: Array, *, exclusive: bool = False, reverse: bool = False) -> Array:
    """The sums of `x[..., :k + 1]` along the last axis; of `x[..., :k]` if `exclusive`; of entries from the right if `reverse`."""
    n = x.shape[-1]
    if n <= SMALL_VECTOR:
        ones = np.triu(np.ones((n, n), x.dtype), int(exclusive))
        axes = (((x.ndim - 1,), (0,)), ((), ()))
        return lax.dot_general(x, ones.T if reverse else ones, axes, precision=lax.Precision.HIGHEST)
    out = lax.cumsum(x, axis=x.ndim - 1, reverse=reverse)
    if not exclusive:
        return out
    shift = (-1, 1, 0) if reverse else (1, -1, 0)
    return lax.pad(out, np.zeros((), x.dtype), [*[(0, 0, 0)] * (x.ndim - 1), shift])


def all_rightmost(x: Any, dim: int) -> Any:
    """Whether `x` holds over its last `dim` axes; NumPy in, NumPy out."""
    return x if dim == 0 else x.all(axis=tuple(range(x.ndim - dim, x.ndim)))


def periodic_repeat(x: ArrayLike, size: int, dim: int) -> Array:
    """`x` repeated along axis `dim` and cut to `size` entries."""
    if not isinstance(size, (int, np.integer)) or not isinstance(dim, (int, np.integer)):
        raise ValueError(f"size and dim must be integers, but got size={size!r} and dim={dim!r}")
    return jnp.take(x, np.arange(size) % np.shape(x)[dim], axis=dim)


# elementary functions ---------------------------------------------------------------------------------------------------


@jax.custom_jvp
def softplus(x: Array) -> Array:
    """`log(1 + exp(x))` without overflow; its derivative is the logistic function."""
    return lax.max(x, lax.full_like(x, 0)) + lax.log1p(lax.exp(-lax.abs(x)))


@softplus.defjvp
def _softplus_jvp(primals: tuple[Array], tangents: tuple[Array]) -> tuple[Array, Array]:
    (x,), (dx,) = primals, tangents
    return softplus(x), lax.logistic(x) * dx


def clamp_probs(probs: ArrayLike) -> Array:
    """`probs` moved into `[tiny, 1 - eps]` of its dtype, so that logarithms of it and of its complement are finite."""
    finfo = jnp.finfo(float_dtype(probs))
    return jnp.clip(probs, finfo.tiny, 1.0 - finfo.eps)


def log1mexp(x: ArrayLike) -> Array:
    """`log(1 - exp(x))` for `x < 0`, accurate for small and large `-x` (Maechler 2012); -inf at 0, nan above."""
    x = jnp.asarray(x, float_dtype(x))
    near = x > -np.log(2.0)
    return jnp.where(
        near,
        jnp.log(-jnp.expm1(jnp.where(near, x, -1.0))),
        jnp.log1p(-jnp.exp(jnp.where(near, -1.0, x))),
    )


def logdiffexp(a: ArrayLike, b: ArrayLike) -> Array:
    """`log(exp(a) - exp(b))` for `a >= b`; -inf where `a == b`."""
    a, b = promote_shapes(a, b)
    equal = jnp.equal(a, b)
    out = a + log1mexp(jnp.where(equal, -1.0, b - jnp.where(equal, 0.0, a)))
    return jnp.where(equal, -np.inf, out)


def logmatmulexp(x: ArrayLike, y: ArrayLike) -> Array:
    """`log(exp(x) @ exp(y))` over the last two axes, without overflow; rows or columns of -inf give -inf."""
    x_shift = lax.stop_gradient(jnp.max(x, axis=-1, keepdims=True))
    y_shift = lax.stop_gradient(jnp.max(y, axis=-2, keepdims=True))
    x_shift = jnp.where(jnp.isfinite(x_shift), x_shift, 0.0)
    y_shift = jnp.where(jnp.isfinite(y_shift), y_shift, 0.0)
    product = jnp.matmul(jnp.exp(x - x_shift), jnp.exp(y - y_shift), precision=lax.Precision.HIGHEST)
    positive = product > 0
    return jnp.where(positive, jnp.log(jnp.where(positive, product, 1.0)), -np.inf) + x_shift + y_shift


def binary_cross_entropy_with_logits(x: ArrayLike, y: ArrayLike) -> Array:
    """`-log p(y | logits=x)` of a Bernoulli variable: `softplus(x) - x y`."""
    return jax.nn.softplus(x) - x * y


def scale_and_mask(x: ArrayLike, scale: ArrayLike | None = None, mask: ArrayLike | bool | None = None) -> Array:
    """`scale * x`, and zero where `mask` is False; None leaves out that step."""
    if is_identically_zero(x) and mask is None:
        return x
    if not (scale is None or is_identically_one(scale)):
        x, scale = promote_shapes(x, scale)
        x = x * scale
    if mask is None or mask is True:
        return x
    x, mask = promote_shapes(x, mask)
    return jnp.where(mask, x, 0.0)


def safe_normalize(x: ArrayLike, *, p: int = 2) -> Array:
    """`x` divided by its `p`-norm along the last axis; a zero vector maps to `(1, ..., 1) / n^(1/p)`, and gradients stay finite."""
    if not isinstance(p, (int, float)) or p < 0:
        raise ValueError(f"the order of the norm must be a number >= 0, but got p={p!r}")
    x = jnp.asarray(x)
    zero = jnp.all(x == 0, axis=-1, keepdims=True)
    safe = jnp.where(zero, 1.0, x)
    return safe / jnp.linalg.norm(safe, p, axis=-1, keepdims=True)


def stirling_approx_tail(k: ArrayLike) -> Array:
    """`log k! - [log(2 pi)/2 + (k + 1/2) log(k + 1) - (k + 1)]`, the remainder of Stirling's formula, for integers `k >= 0`."""
    table = np.array(
        [
            0.0810614667953272582,
            0.0413406959554092941,
            0.0276779256849983391,
            0.0207906721037650931,
            0.0166446911898211922,
            0.0138761288230707480,
            0.0118967099458917701,
            0.0104112652619720965,
            0.0092554621827127330,
            0.0083305634333631530,
        ]
    )
    dtype = float_dtype(k)
    k = jnp.asarray(k).astype(dtype)
    u = 1.0 / (k + 1.0)
    series = (1.0 / 12 - (1.0 / 360 - 1.0 / 1260 * u * u) * u * u) * u
    small = k < len(table)
    index = jnp.clip(jnp.where(small, k, 0.0), 0, len(table) - 1).astype(int)
    return jnp.where(small, jnp.asarray(table, dtype)[index], series)


def multidigamma(a: ArrayLike, d: int) -> Array:
    """The derivative of the multivariate log-gamma function: `sum_{i<d} digamma(a - i/2)`."""
    a = jnp.asarray(a, float_dtype(a))
    return jnp.sum(jax.scipy.special.digamma(a[..., None] - (0.5 * np.arange(d)).astype(a.dtype)), axis=-1)


# matrices ---------------------------------------------------------------------------------------------------------------


def add_diag(matrix: ArrayLike, diag: ArrayLike) -> Array:
    """`matrix` with `diag` (a scalar, or a vector per matrix) added to its diagonal."""
    matrix = jnp.asarray(matrix)
    eye = np.eye(matrix.shape[-1], dtype=matrix.dtype)
    diag = diag[..., None, :] if np.ndim(diag) else diag
    diag = diag * eye
    matrix, diag = promote_shapes(matrix, diag)
    return matrix + diag


def tri_logabsdet(a: ArrayLike) -> Array:
    """`log|det a|` of triangular matrices: the sum of the logarithms of the diagonal's absolute values."""
    return jnp.sum(jnp.log(jnp.abs(jnp.diagonal(a, axis1=-2, axis2=-1))), axis=-1)


def tril_dim(length: int, diagonal: int = 0) -> int:
    """The size of the matrix whose lower triangle up to `diagonal` (0 or -1, ...) has `length` entries.

    Raises:
        ValueError: if there is none.
    """
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
            lax.pad(lax.slice_in_dim(t, int(a), int(b), axis=-1), zero, [*keep, (0, n - int(b - a), 0)]) for a, b in zip(starts, ends)
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
    return (r + np.eye(r.shape[-1], dtype=r.dtype)) * remaining


def cholesky_of_inverse(matrix: ArrayLike) -> Array:
    """The lower Cholesky factor of `matrix^-1`, from the factor of the matrix with its rows and columns reversed."""
    reverse = jnp.linalg.cholesky(jnp.asarray(matrix)[..., ::-1, ::-1])
    upper = jnp.swapaxes(reverse[..., ::-1, ::-1], -2, -1)
    identity = jnp.broadcast_to(np.eye(upper.shape[-1], dtype=upper.dtype), upper.shape)
    return solve_triangular(upper, identity, lower=True)


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

    (_, _), out = lax.scan(step, (x, jnp.ones(batch, L.dtype)), (np.arange(n), columns))
    return jnp.tril(jnp.moveaxis(out, 0, -1))


# decorators -------------------------------------------------------------------------------------------------------------


class lazy_property(Generic[T]):
    """A property that is computed once and kept, unless its value is traced (a traced value must not outlive its trace)."""

    def __init__(self, wrapped: Callable[[Any], T]) -> None:
        self.wrapped = wrapped
        update_wrapper(self, wrapped)  # type: ignore[arg-type]

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    @overload
    def __get__(self, instance: None, owner: type) -> "lazy_property[T]": ...

    @overload
    def __get__(self, instance: object, owner: type) -> T: ...

    def __get__(self, instance: object | None, owner: type) -> "lazy_property[T] | T":
        if instance is None:
            return self
        value = self.wrapped(instance)
        if is_concrete(value):
            instance.__dict__[self.name] = value
        return value


def validate_sample(log_prob: F) -> F:
    """Decorator of a `log_prob` method: checks the event shape of the value, and warns of concrete values outside the support."""

    @wraps(log_prob)
    def wrapper(self: Any, value: Any, *args: Any, **kwargs: Any) -> Any:
        self._check_event_shape(value)
        if self._validate_args and is_concrete(value):
            self._validate_sample(value)
        return log_prob(self, value, *args, **kwargs)

    return wrapper  # type: ignore[return-value]
