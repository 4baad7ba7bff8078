"""Many draws in one program, in chunks as large as memory allows."""

from collections.abc import Callable
from typing import Any

import jax
import jax.extend.core
import jax.numpy as jnp
from jax import lax

from ppl._programs.jaxprs import equations
from ppl._typing import Array, PyTree

__all__ = ["map_draws"]

CHUNK_BYTES = 16_000_000

# What need not have a rule for batches.
CALLBACKS = frozenset(("pure_callback", "io_callback", "ffi_call"))


def _chunk_size(jaxpr: Any) -> int:
    """How many draws at a time: as many as keep what is computed on the way within `CHUNK_BYTES`."""
    if any(equation.primitive.name in CALLBACKS for equation in equations(jaxpr)):
        return 1
    avals = [v.aval for equation in jaxpr.eqns for v in equation.outvars]
    size = sum(aval.size * aval.dtype.itemsize for aval in avals if hasattr(aval, "dtype"))
    return max(1, CHUNK_BYTES // max(size, 1))


def map_draws(one: Callable[[PyTree], PyTree], xs: PyTree, count: int, parallel: bool) -> PyTree:
    """`one(x)` for each of the `count` entries of `xs` along its leading axis; `one` is traced once.

    Args:
        one: a function of one entry.
        xs: a pytree of traced arrays with a leading axis.
        count: the length of that axis.
        parallel: all entries at a time, whatever memory that takes.
    """
    entry = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape[1:], x.dtype), xs)
    closed, out = jax.make_jaxpr(one, return_shape=True)(entry)
    flat_one = jax.extend.core.jaxpr_as_fun(closed)

    def apply(x: PyTree) -> PyTree:
        return jax.tree.unflatten(jax.tree.structure(out), flat_one(*jax.tree.leaves(x)))

    size = count if parallel else _chunk_size(closed.jaxpr)
    if size >= count:
        return jax.vmap(apply)(xs)
    if size == 1:
        return lax.map(apply, xs)
    steps = -(-count // size)
    size = -(-count // steps)
    surplus = steps * size - count

    def split(x: Array) -> Array:
        padded = jnp.concatenate([x, jnp.broadcast_to(x[-1:], (surplus, *x.shape[1:]))]) if surplus else x
        return padded.reshape((steps, size, *x.shape[1:]))

    ys = lax.map(jax.vmap(apply), jax.tree.map(split, xs))
    return jax.tree.map(lambda y: y.reshape((steps * size, *y.shape[2:]))[:count], ys)
