"""Arithmetic that the scalar families share: operands of equal rank, and densities that vanish outside their support."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from ppl._typing import Array, ArrayLike
from ppl.distributions.special import stirling_remainder
from ppl.distributions.special.elementary import as_float, is_number
from ppl.distributions.util import float_dtype, is_concrete, promote_shapes


def as_value(value: ArrayLike, dtype: Any) -> Array:
    """`value` as a floating point array, of that dtype if it is a Python number."""
    return jnp.asarray(value, dtype) if is_number(value) else as_float(value)


def with_value(value: ArrayLike, *parameters: Any) -> list[Any]:
    """`value` as a floating point array, and `parameters`, brought to equal rank (scalars excepted)."""
    return promote_shapes(as_value(value, float_dtype(*parameters)), *parameters)


def within(inside: Array, log_density: Array) -> Array:
    """`log_density`, and -inf where not `inside`."""
    inside, log_density = promote_shapes(inside, log_density)
    return jnp.where(inside, log_density, -np.inf)


def filled(x: ArrayLike, shape: tuple[int, ...], dtype: Any) -> Array:
    """`x` as an array of that shape and dtype."""
    return jnp.broadcast_to(jnp.asarray(x, dtype), shape)


def shifted(x: Array, loc: ArrayLike) -> Array:
    """`x - loc`."""
    return x if is_number(loc) and loc == 0 else x - loc


def divided(x: Array, scale: ArrayLike) -> Array:
    """`x / scale`."""
    return x if is_number(scale) and scale == 1 else x / scale


def _known_zero(factor: ArrayLike) -> np.ndarray | None:
    """Where the factor is known to be 0; None for nowhere."""
    if not is_concrete(factor):
        return None
    zero = np.asarray(factor) == 0
    return zero if zero.any() else None


def times_log(factor: ArrayLike, x: Array) -> Array | float:
    """`factor * log(x)` for `x >= 0`, where a factor that is known to be 0 gives 0 also at `x = 0`; a number if it is one."""
    if is_number(factor) and factor == 0:
        return 0.0
    zero = _known_zero(factor)
    if zero is None:
        return factor * lax.log(x)
    return jnp.where(zero, 0.0, factor * lax.log(jnp.where(zero, 1.0, x)))


def times_log1p(factor: ArrayLike, x: Array) -> Array | float:
    """`factor * log(1 + x)` for `x >= -1`, where a factor that is known to be 0 gives 0 also at `x = -1`; a number if it is one."""
    if is_number(factor) and factor == 0:
        return 0.0
    zero = _known_zero(factor)
    if zero is None:
        return factor * lax.log1p(x)
    return jnp.where(zero, 0.0, factor * lax.log1p(jnp.where(zero, 0.0, x)))


def times_log_ratio(factor: ArrayLike, x: Array, inverse: ArrayLike, offset: Array) -> Array:
    """`factor * log(x inverse)` by `offset = x inverse - 1` where that is small; a factor known to be 0 gives 0 also at `x = 0`."""
    near = lax.abs(offset) < 0.5
    zero = _known_zero(factor)
    near = near if zero is None else near | zero
    out = factor * jnp.where(near, lax.log1p(jnp.where(near, offset, 0.0)), lax.log(jnp.where(near, 1.0, x * inverse)))
    return out if zero is None else jnp.where(zero, 0.0, out)


def digamma_rest(a: Array) -> Array:
    """`digamma(a) - log a + 1/(2 a)`, without the cancellation."""
    return jax.jvp(stirling_remainder, (a,), (jnp.ones_like(a),))[1]


def at_least_tiny(x: Array) -> Array:
    """`x`, and the smallest normal number instead of 0, which draws of a positive law must not be."""
    return lax.max(x, np.asarray(jnp.finfo(x.dtype).tiny, x.dtype))


def above(x: Array, low: ArrayLike) -> Array:
    """`x` moved above `low`, for draws that round to that end, with the derivatives of `x`."""
    x, low = promote_shapes(x, low)
    low = lax.stop_gradient(jnp.asarray(low, x.dtype))
    next_above = jnp.nextafter(low, jnp.asarray(np.inf, x.dtype))
    return jnp.where(x > low, x, next_above + (x - lax.stop_gradient(x)))


def inside_unit(x: Array) -> Array:
    """`x` moved into the open unit interval, for draws that round to its ends."""
    finfo = jnp.finfo(x.dtype)
    return lax.clamp(np.asarray(finfo.tiny, x.dtype), x, np.asarray(1 - finfo.epsneg, x.dtype))
