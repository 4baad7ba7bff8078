"""Elementary functions that fold: of Python numbers and NumPy arrays they are computed now, in NumPy, of anything else in JAX.

A parameter given as a number then costs a model no operation to trace or to compile, and its constants are rounded once.
"""

import math
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from ppl._typing import Array, ArrayLike, Shape

HALF_LOG_2PI = 0.5 * math.log(2 * math.pi)
LOG_2 = math.log(2.0)


def is_number(x: Any) -> bool:
    """Whether `x` is a Python number, which JAX treats as weakly typed."""
    return type(x) in (float, int)


def _is_numpy(x: Any) -> bool:
    return isinstance(x, (np.ndarray, np.generic)) and np.issubdtype(x.dtype, np.floating)


def as_float(x: ArrayLike) -> Any:
    """`x` as a floating point array; numbers and floating point arrays as they are."""
    if is_number(x):
        return x
    if not isinstance(x, jax.Array):
        x = jnp.asarray(x)
    return x if jnp.issubdtype(x.dtype, np.inexact) else x.astype(jax.dtypes.canonicalize_dtype(np.float64))


def log(x: ArrayLike) -> Any:
    """`log(x)`."""
    if is_number(x):
        return math.log(x) if x > 0 else (-math.inf if x == 0 else math.nan)
    if _is_numpy(x):
        with np.errstate(all="ignore"):
            return np.log(x)
    return lax.log(as_float(x))


def log1p(x: ArrayLike) -> Any:
    """`log(1 + x)`."""
    if is_number(x):
        return math.log1p(x) if x > -1 else (-math.inf if x == -1 else math.nan)
    if _is_numpy(x):
        with np.errstate(all="ignore"):
            return np.log1p(x)
    return lax.log1p(as_float(x))


def sqrt(x: ArrayLike) -> Any:
    """The square root of `x`."""
    if is_number(x):
        return math.sqrt(x) if x >= 0 else math.nan
    if _is_numpy(x):
        with np.errstate(all="ignore"):
            return np.sqrt(x)
    return lax.sqrt(as_float(x))


def exp(x: ArrayLike) -> Any:
    """`exp(x)`."""
    if is_number(x) and x < 700:
        return math.exp(x)
    if _is_numpy(x):
        with np.errstate(all="ignore"):
            return np.exp(x)
    return lax.exp(jnp.asarray(float(x)) if is_number(x) else as_float(x))


def lgamma(x: ArrayLike) -> Any:
    """`log|Gamma(x)|`; folded for positive numbers and small arrays of them."""
    if is_number(x) and x > 0:
        return math.lgamma(x)
    if _is_numpy(x) and np.size(x) <= 64 and np.all(x > 0):
        return np.vectorize(math.lgamma, otypes=[np.float64])(x).astype(x.dtype)
    return lax.lgamma(jnp.asarray(float(x)) if is_number(x) else as_float(x))


def times(x: Array, c: float) -> Array:
    """`c x` in the dtype of `x`, at the cost of one primitive operation."""
    return lax.mul(x, x.dtype.type(c))


def plus(x: Array, c: float) -> Array:
    """`x + c` in the dtype of `x`, at the cost of one primitive operation."""
    return lax.add(x, x.dtype.type(c))


def polynomial(x: Array, coefficients: tuple[float, ...]) -> Array:
    """The sum of `coefficients[k] x^k`, by Horner's rule."""
    out = times(x, coefficients[-1])
    for c in coefficients[-2:0:-1]:
        out = lax.mul(plus(out, c), x)
    return plus(out, coefficients[0])


def log1mexp(x: Array) -> Array:
    """`log(1 - exp(x))` for an array `x < 0`, accurate for small and large `-x` (Maechler 2012); -inf at 0 with gradient 0."""
    near, zero = x > -LOG_2, x >= 0
    small = lax.log(-lax.expm1(jnp.where(near & ~zero, x, -1.0)))
    return jnp.where(near, jnp.where(zero, -np.inf, small), lax.log1p(-lax.exp(jnp.where(near, -1.0, x))))


def full(x: Any, shape: Shape, dtype: Any) -> Any:
    """`x` in a shape that it broadcasts to; numbers and NumPy arrays in that dtype."""
    if not isinstance(x, jax.Array):
        return np.broadcast_to(np.asarray(x, dtype), shape)
    return x if x.shape == shape else jnp.broadcast_to(x, shape)


def select(condition: Any, x: Any, y: Any) -> Any:
    """`where(condition, x, y)` as one operation; numbers take the dtype of the other branch."""
    dtype = getattr(x, "dtype", None) or getattr(y, "dtype", None)
    shape = np.broadcast_shapes(np.shape(condition), np.shape(x), np.shape(y))
    return lax.select(full(condition, shape, np.bool_), full(x, shape, dtype), full(y, shape, dtype))


@partial(jax.jit, static_argnames=("axis", "keepdims"))
def logsumexp(x: Array, axis: int | tuple[int, ...] = -1, keepdims: bool = False) -> Array:
    """`log sum exp(x)` along one axis or several; -inf, with gradient zero, where all terms are -inf."""
    axes = tuple(i % x.ndim for i in (axis if isinstance(axis, tuple) else (axis,)))
    top = lax.stop_gradient(lax.reduce_max(x, axes))
    top = select(lax.is_finite(top), top, 0.0)
    total = lax.reduce_sum(lax.exp(x - lax.expand_dims(top, axes)), axes)
    positive = total > 0
    out = select(positive, lax.log(select(positive, total, 1.0)), -np.inf) + top
    return lax.expand_dims(out, axes) if keepdims else out


def operands(*args: ArrayLike) -> tuple[Array, ...]:
    """The arguments as arrays of one shape and one floating point dtype."""
    dtype = jnp.result_type(*args, float)
    shape = np.broadcast_shapes(*(np.shape(arg) for arg in args))
    return tuple(jnp.broadcast_to(jnp.asarray(arg, dtype), shape) for arg in args)
