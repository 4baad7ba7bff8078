"""What the families of counts share: moments and supports in the shapes of the contract."""

from functools import lru_cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ppl._typing import Array, Shape
from ppl.distributions.discrete.numerics import to_float
from ppl.distributions.distribution.base import Distribution
from ppl.distributions.util import TracedSupport, is_concrete


def filled(d: Distribution, x: Any) -> Array:
    """`x` as a floating point array in the shape `batch_shape + event_shape` of `d`."""
    return jnp.broadcast_to(_floating(d, x), np.broadcast_shapes(np.shape(x), d.shape()))


def filled_batch(d: Distribution, x: Any) -> Array:
    """`x` as a floating point array in the batch shape of `d`."""
    return jnp.broadcast_to(_floating(d, x), np.broadcast_shapes(np.shape(x), d.batch_shape))


def _floating(d: Distribution, x: Any) -> Any:
    return x if isinstance(x, jax.Array) and jnp.issubdtype(x.dtype, np.inexact) else to_float(x, d._dtype)


def support_values(d: Distribution, low: int, high: int, expand: bool) -> Array:
    """The integers from `low` to `high` along a new leftmost axis: shape `(k,) + batch_shape`, or `(k, 1, ..., 1)`.

    They are concrete also where the caller is traced, so that densities and models can make use of knowing them.
    """
    dtype = jax.dtypes.canonicalize_dtype(np.int64)
    if expand:
        return _integers(low, high, d.batch_shape, dtype)
    return _kept_integers(low, high, (1,) * len(d.batch_shape), dtype)


def _integers(low: int, high: int, batch_shape: Shape, dtype: Any) -> Array:
    values = np.arange(low, high + 1, dtype=dtype).reshape((-1,) + (1,) * len(batch_shape))
    with jax.ensure_compile_time_eval():
        return jax.device_put(np.ascontiguousarray(np.broadcast_to(values, (len(values), *batch_shape))))


# A model asks for the states of its sites each time that it is traced.
_kept_integers = lru_cache(maxsize=32)(_integers)


def common_integer(d: Distribution, name: str, x: Any) -> int:
    """The value that all elements of the parameter `x` have.

    Raises:
        NotImplementedError: if it is traced or there are several.
    """
    family = type(d).__name__
    if not is_concrete(x):
        raise TracedSupport(f"{family}.enumerate_support needs a concrete `{name}`, but it is traced; pass a Python number")
    values = np.unique(np.asarray(x))
    if len(values) != 1:
        found = f"{len(values)} different values, {values.min()} to {values.max()}" if len(values) else "an empty array"
        raise NotImplementedError(f"{family}.enumerate_support needs one common `{name}`, but got {found}")
    return int(values[0])
