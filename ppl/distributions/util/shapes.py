"""Shapes: what broadcasts to what, and sums over axes."""

from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import lax

from ppl._typing import Array, ArrayLike, Shape
from ppl.distributions.util.concrete import as_operand, as_parameter, is_identically_one, is_identically_zero

SMALL_VECTOR = 64  # up to this size cumulative sums are products with a triangular matrix


def no_number(x: Any) -> TypeError:
    """The error for a distribution in place of a parameter: its `shape` is a method."""
    return TypeError(f"expected a number or an array, found {type(x).__name__}; draw a value from a distribution by ppl.sample")


def shape_of(x: Any) -> Shape:
    """`numpy.shape`, quicker for numbers and arrays."""
    shape = getattr(x, "shape", None)
    if shape is not None:
        if callable(shape):
            raise no_number(x)
        return shape
    return () if isinstance(x, (int, float)) else np.shape(x)


def _broadcast(shapes: list[Shape]) -> Shape:
    """The common shape, without work where at most one of them is not ()."""
    common: Shape = ()
    for shape in shapes:
        if shape and shape != common:
            if common:
                return np.broadcast_shapes(*shapes)
            common = tuple(shape)
    return common


def batch_shape_of(*args: Any, shape: Shape = ()) -> Shape:
    """The shape to which `args` and `shape` broadcast.

    Raises:
        ValueError: if they do not.
    """
    return _broadcast([shape, *(shape_of(arg) for arg in args)])


def _with_rank(x: Any, shape: Shape, rank: int) -> Any:
    if len(shape) in (0, rank):
        return x
    x = as_operand(x)
    return x.reshape((1,) * (rank - len(shape)) + tuple(shape))


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
    out = [as_parameter(arg) for arg in args]
    shapes = [shape_of(arg) for arg in out]
    common = _broadcast([shape, *shapes])
    rank = len(common)
    if rank:
        out = [_with_rank(arg, s, rank) for arg, s in zip(out, shapes)]
    return (out, common) if return_shapes else out


def square_dim(owner: str, name: str, shape: Shape) -> int:
    """The dimension `d` of the matrices `name` of `owner`, of shape `(..., d, d)`.

    Raises:
        ValueError: fewer than two dimensions, or not square.
    """
    if len(shape) < 2 or shape[-1] != shape[-2]:
        raise ValueError(f"{owner}: {name} must be a square matrix, or a batch of them (..., d, d), but got shape {tuple(shape)}")
    return shape[-1]


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
