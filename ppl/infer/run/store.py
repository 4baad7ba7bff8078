"""Draws in host memory: arrays that the chains fill as they go, each draw finished (constrained) on the way.

So the raw draws are gone when their batch is full, memory grows with what the user gets and little more, and chains that run in
threads finish their draws there.
"""

from collections.abc import Callable
from math import prod
from operator import itemgetter
from typing import Any, NamedTuple

import jax
import numpy as np

from ppl._typing import PyTree

__all__ = ["Draws", "Finish", "Store", "as_jax"]

ALIGNMENT = 64  # what JAX asks of host memory that it takes over without a copy


class Finish(NamedTuple):
    """How the draws of one field become what the user gets.

    Attributes:
        program: compiled, of a batch of rows of the field and of the inputs.
        inputs: arrays that all chains share.
        field: the name of the field.
        batch: how many rows the program takes.
        row: shapes and types of a raw draw.
        result: shapes and types of a finished one.
    """

    program: Callable[[PyTree, PyTree], PyTree]
    inputs: PyTree
    field: str
    batch: int
    row: PyTree
    result: PyTree


class Draws:
    """What the chains of a run draw.

    Args:
        num_chains: number of chains.
        capacity: the most draws of a chain.
        rows: shapes and types of what is read of an iteration and kept as it is.
        finish: for the draws themselves.

    Attributes:
        rows: what is kept as it is, leaves `(chains, capacity, ...)`.
        samples: finished draws, the same.
        stores: where each chain puts what it has read.
    """

    def __init__(self, num_chains: int, capacity: int, rows: dict[str, PyTree], finish: Finish) -> None:
        def room(leaf: Any) -> np.ndarray:
            return _aligned_empty((num_chains, capacity, *leaf.shape), leaf.dtype)

        self.rows = jax.tree.map(room, rows)
        self.samples = jax.tree.map(room, finish.result)
        parts = [jax.tree.map(itemgetter(i), (self.rows, self.samples)) for i in range(num_chains)]
        self.stores = [Store(kept, samples, finish) for kept, samples in parts]

    def collected(self) -> tuple[dict[str, PyTree], PyTree]:
        """Rows and samples: of every chain, or where some are far behind, of those and as many draws as make the most in all."""
        counts = sorted((store.count for store in self.stores), reverse=True)
        count = counts[int(np.argmax(counts * np.arange(1, len(counts) + 1)))]
        chosen = [i for i, store in enumerate(self.stores) if store.count >= count]
        chains = slice(None) if len(chosen) == len(counts) else chosen
        return jax.tree.map(itemgetter((chains, slice(count))), (self.rows, self.samples))


class Store:
    """What one chain has drawn, in its part of the arrays of all chains."""

    def __init__(self, rows: dict[str, PyTree], samples: PyTree, finish: Finish) -> None:
        self.count = 0
        self._rows = rows
        self._samples = samples
        self._finish = finish
        self._raw = jax.tree.map(lambda leaf: _aligned_empty((finish.batch, *leaf.shape), leaf.dtype), finish.row)
        self._waiting = 0

    def append(self, rows: dict[str, Any], count: int) -> None:
        """Take over the first `count` rows of each field."""
        done = 0
        while done < count:
            length = min(count - done, self._finish.batch - self._waiting)
            _copy(self._raw, self._waiting, rows[self._finish.field], done, length)
            for name, kept in self._rows.items():
                _copy(kept, self.count, rows[name], done, length)
            done += length
            self.count += length
            self._waiting += length
            if self._waiting == self._finish.batch:
                self.flush()

    def flush(self) -> None:
        """Finish the draws that wait for their batch to fill."""
        if self._waiting == 0:
            return
        raw = jax.tree.map(lambda leaf: _repeat_last(leaf, self._waiting), self._raw)
        finished = jax.tree.map(np.asarray, self._finish.program(raw, self._finish.inputs))
        _copy(self._samples, self.count - self._waiting, finished, 0, self._waiting)
        self._waiting = 0


def _copy(target: PyTree, at: int, source: PyTree, begin: int, length: int) -> None:
    """Copy `length` rows from `begin` of the source on to `at` of the target."""

    def copy(here: np.ndarray, there: np.ndarray) -> None:
        here[at : at + length] = there[begin : begin + length]

    jax.tree.map(copy, target, source)


def _repeat_last(rows: np.ndarray, length: int) -> np.ndarray:
    """The rows, those from `length` on filled with the one before, since what memory holds by chance may raise warnings."""
    rows[length:] = rows[length - 1]
    return rows


def _aligned_empty(shape: tuple[int, ...], dtype: Any) -> np.ndarray:
    """An array without content whose memory JAX can take over."""
    size = prod(shape) * np.dtype(dtype).itemsize
    buffer = np.empty(size + ALIGNMENT, np.uint8)
    offset = -buffer.ctypes.data % ALIGNMENT
    return buffer[offset : offset + size].view(dtype).reshape(shape)


def as_jax(array: np.ndarray) -> jax.Array:
    """A JAX array of a NumPy array, on the CPU without a copy where its memory is aligned; nothing is compiled."""
    return jax.device_put(array, may_alias=True)
