"""The one program that advances a chain: a bounded number of iterations, whose number is an argument, into a buffer of rows."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from ppl._typing import Array, PyTree
from ppl.infer.run.process import Process

__all__ = ["Thinning", "advance", "buffer_rows", "collect_all", "empty_buffers", "is_kept", "kept_between"]

BUFFER_BYTES = 4_000_000
MIN_ROWS, MAX_ROWS = 16, 1024


class Thinning(NamedTuple):
    """Which iterations are kept: the last of each group of `step`, from iteration `first` on; with `step` 0 none."""

    first: int
    step: int
    kept: int

    @staticmethod
    def of(num_warmup: int, num_samples: int, step: int) -> "Thinning":
        """Every `step`-th of the samples, counted so that the last one is kept, and nothing of warm-up."""
        kept = num_samples // step if step else 0
        return Thinning(first=num_warmup + num_samples - kept * step, step=step, kept=kept)


def kept_between(begin: int, end: int, thinning: Thinning) -> int:
    """How many of the iterations `begin`, ..., `end - 1` are kept."""
    if thinning.step == 0:
        return 0
    return max(end - thinning.first, 0) // thinning.step - max(begin - thinning.first, 0) // thinning.step


def buffer_rows(process: Process, carry: PyTree) -> int:
    """How many rows a buffer has: bounded in number and in memory, whatever the length of the run."""
    row = jax.eval_shape(process.read, carry)
    size = sum(int(np.prod(leaf.shape)) * leaf.dtype.itemsize for leaf in jax.tree.leaves(row))
    return int(np.clip(BUFFER_BYTES // max(size, 1), MIN_ROWS, MAX_ROWS))


def empty_buffers(num_rows: int, row: PyTree) -> dict[str, Array]:
    """Room for rows like this one, and for one more: iterations after the last that is kept are written there."""
    return jax.tree.map(lambda x: jnp.zeros((num_rows + 1, *x.shape), x.dtype), row)


def is_kept(t: Array, first: Array, step: Array) -> Array:
    """Whether iteration t is kept, by a thinning with this `first` and `step`."""
    return (step > 0) & (t >= first) & (lax.rem(t - first + 1, jnp.maximum(step, 1)) == 0)


def advance(process: Process, num_rows: int, carry: PyTree, inputs: PyTree, span: Array) -> tuple[PyTree, dict[str, Array]]:
    """Advance a chain.

    Args:
        process: what to execute.
        num_rows: rows of the buffer.
        carry: the chain before.
        inputs: arrays that all chains share.
        span: `(4,)`: first iteration, end, and of the thinning `first` and `step` (0: nothing is kept).

    Returns:
        The chain after, and the rows: those kept stand in front, in order; when none is, the last iteration stands in the first.
    """
    begin, end, first, step = span[0], span[1], span[2], span[3]
    buffers = empty_buffers(num_rows, jax.eval_shape(process.read, carry))

    def iterate(t: Array, loop: tuple[PyTree, Array, Any]) -> tuple[PyTree, Array, Any]:
        carry, row, buffers = loop
        carry = process.step(carry, inputs)
        value = process.read(carry)
        buffers = jax.tree.map(lambda b, x: lax.dynamic_update_index_in_dim(b, x, row, 0), buffers, value)
        return carry, row + is_kept(t, first, step).astype(row.dtype), buffers

    carry, _, buffers = lax.fori_loop(begin, end, iterate, (carry, jnp.zeros((), jnp.int32), buffers))
    return carry, buffers


def collect_all(
    process: Process, carry: PyTree, inputs: PyTree, num_iterations: int, thinning: Thinning
) -> tuple[PyTree, dict[str, Array]]:
    """All of a run as one traced computation, for use inside `jit`, `vmap` and the like: last carry and all kept rows."""

    def skip(_: Any, carry: PyTree) -> PyTree:
        return process.step(carry, inputs)

    def group(carry: PyTree, _: None) -> tuple[PyTree, dict[str, Array]]:
        carry = lax.fori_loop(0, thinning.step, skip, carry)
        return carry, process.read(carry)

    if thinning.step == 0:
        return lax.fori_loop(0, num_iterations, skip, carry), {}
    carry = lax.fori_loop(0, thinning.first, skip, carry)
    return lax.scan(group, carry, None, length=thinning.kept)
