"""Draws in host memory, chunk by chunk, so that nothing is copied as they grow, and each chunk is freed when it has been used."""

from collections.abc import Iterator
from math import prod
from typing import Any

import jax
import numpy as np

__all__ = ["Store", "aligned_empty", "as_jax"]

ALIGNMENT = 64  # what JAX asks of host memory that it takes over without a copy


class Store:
    """The kept rows of one process, field by field; a field is a pytree of arrays."""

    def __init__(self) -> None:
        self._chunks: list[dict[str, Any]] = []
        self.count = 0

    def append(self, rows: dict[str, Any], count: int) -> None:
        """Keep the first `count` rows of each field."""
        if count:
            self._chunks.append(jax.tree.map(lambda values: np.array(values[:count]), rows))
            self.count += count

    def field(self, name: str) -> Any:
        """All rows of a field."""
        return jax.tree.map(lambda *parts: np.concatenate(parts), *(chunk[name] for chunk in self._chunks))

    def take(self, name: str) -> Any:
        """All rows of a field, which the store gives up."""
        return jax.tree.map(lambda *parts: np.concatenate(parts), *self.drain(name))

    def first(self, name: str) -> Any:
        """The first chunk of a field."""
        return self._chunks[0][name]

    def fields(self) -> tuple[str, ...]:
        """The names of the fields that are there."""
        return tuple(self._chunks[0]) if self._chunks else ()

    def drain(self, name: str) -> Iterator[Any]:
        """The chunks of a field, which the store gives up one by one."""
        for chunk in self._chunks:
            yield chunk.pop(name)


def aligned_empty(shape: tuple[int, ...], dtype: Any) -> np.ndarray:
    """An array without content whose memory JAX can take over."""
    size = prod(shape) * np.dtype(dtype).itemsize
    buffer = np.empty(size + ALIGNMENT, np.uint8)
    offset = -buffer.ctypes.data % ALIGNMENT
    return buffer[offset : offset + size].view(dtype).reshape(shape)


def as_jax(array: np.ndarray) -> jax.Array:
    """A JAX array of a NumPy array, on the CPU without a copy where its memory is aligned; nothing is compiled."""
    return jax.device_put(array, may_alias=True)
