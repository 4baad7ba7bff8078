"""Values that are known now, and what distributions keep of their arguments. All of it runs in NumPy."""

import warnings
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ppl._typing import Array, ArrayLike, Shape

Tracer = jax.core.Tracer


class TracedSupport(NotImplementedError, ValueError):
    """A support cannot be listed, since its size is traced."""


def is_concrete(x: Any) -> bool:
    """Whether the value of `x` is known here and now: no leaf of `x` is traced or lies on other hosts."""
    if isinstance(x, (int, float, np.ndarray, np.generic)):
        return True
    if isinstance(x, jax.Array):
        return not isinstance(x, Tracer) and x.is_fully_addressable
    return all(is_concrete(leaf) for leaf in jax.tree_util.tree_leaves(x) if isinstance(leaf, jax.Array))


def as_parameter(x: Any) -> Any:
    """What a distribution keeps of an argument: Python numbers, arrays and tracers as they are, sequences as NumPy arrays."""
    if isinstance(x, (list, tuple)):
        if any(isinstance(leaf, jax.Array) for leaf in jax.tree_util.tree_leaves(x)):
            return jnp.asarray(x)
        try:
            return np.asarray(x)
        except ValueError as error:
            raise ValueError(f"expected a rectangular array, found rows of unequal length: {x!r}"[:200]) from error
    return x


def as_operand(x: Any) -> Any:
    """`x` as an operand of arithmetic that compiles nothing if `x` is concrete: arrays as NumPy arrays in the width that JAX uses;
    tracers and Python numbers as they are.
    """
    if isinstance(x, (Tracer, int, float, complex)) and not isinstance(x, np.generic):
        return x
    if isinstance(x, jax.Array):
        if not x.is_fully_addressable:
            return x
        if x.weak_type and x.ndim == 0:
            return x.item()
    out = np.asarray(x)
    dtype = jax.dtypes.canonicalize_dtype(out.dtype) if out.dtype.kind in "iufc" else out.dtype
    return out if out.dtype == dtype else out.astype(dtype)


def reshaped(x: Array, shape: Shape) -> Array:
    """`x` in another shape. What is known stays known where the caller is traced, and nothing is compiled for it."""
    if x.shape == shape:
        return x
    if not is_concrete(x):
        return jnp.reshape(x, shape)
    with jax.ensure_compile_time_eval():
        return jax.device_put(np.asarray(x).reshape(shape))


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
    """Whether `a` and `b` are equal up to broadcasting.

    With `static=True` always a bool, where traced values equal only themselves.
    """
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
