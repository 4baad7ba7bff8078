"""Where each site lies in the flat, unconstrained position."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import lax

from ppl._typing import Array, Shape

__all__ = ["Layout", "Slot"]


@dataclass(frozen=True)
class Slot:
    """A site's place: its name, its unconstrained shape, and where it starts."""

    name: str
    shape: Shape
    start: int

    @property
    def size(self) -> int:
        """Number of coordinates."""
        return prod(self.shape)


@dataclass(frozen=True)
class Layout:
    """The sites of a flat position `(d,)`, one after another."""

    slots: tuple[Slot, ...]
    dtype: str

    @staticmethod
    def of(shapes: Mapping[str, Shape], dtype: Any, order: Sequence[str] | None = None) -> "Layout":
        """The layout of sites with these unconstrained shapes, in this order (default: that of their names)."""
        slots, start = [], 0
        for name in sorted(shapes) if order is None else order:
            slots.append(Slot(name=name, shape=tuple(shapes[name]), start=start))
            start += slots[-1].size
        return Layout(slots=tuple(slots), dtype=str(np.dtype(dtype)))

    @property
    def dimension(self) -> int:
        """The length d of the position."""
        return sum(slot.size for slot in self.slots)

    @property
    def names(self) -> tuple[str, ...]:
        """The sites, in order."""
        return tuple(slot.name for slot in self.slots)

    def sizes(self) -> dict[str, int]:
        """The number of coordinates of each site."""
        return {slot.name: slot.size for slot in self.slots}

    def unravel(self, position: Array) -> dict[str, Array]:
        """The unconstrained value of each site. One split, whose transpose is one concatenation."""
        if not self.slots:
            return {}
        pieces = lax.split(position, [slot.size for slot in self.slots])
        return {slot.name: lax.reshape(piece, slot.shape) for slot, piece in zip(self.slots, pieces)}

    def ravel(self, values: Mapping[str, Array]) -> Array:
        """The position of these unconstrained values."""
        if not self.slots:
            return jnp.zeros(0, self.dtype)
        return lax.concatenate([lax.reshape(jnp.asarray(values[s.name], self.dtype), (s.size,)) for s in self.slots], 0)

    def unravel_host(self, positions: np.ndarray) -> dict[str, np.ndarray]:
        """The unconstrained values of NumPy positions `(..., d)`, as views."""
        batch = positions.shape[:-1]
        return {s.name: positions[..., s.start : s.start + s.size].reshape(batch + s.shape) for s in self.slots}

    def ravel_host(self, values: Mapping[str, Any], batch: Shape = ()) -> np.ndarray:
        """The NumPy position `batch + (d,)` of these values, `batch + shape` each.

        Raises:
            ValueError: if a site is missing, unknown, or has the wrong shape.
            TypeError: if values are no numbers.
        """
        self.check_names(values)
        position = np.empty((*batch, self.dimension), self.dtype)
        for slot in self.slots:
            value = np.asarray(values[slot.name])
            if value.dtype.kind not in "biufV":
                raise TypeError(f"init_params: site {slot.name!r} takes real numbers, found {value.tolist()!r}")
            if value.shape != batch + slot.shape:
                chains = f", {batch[0]} chains in front" if batch else ""
                raise ValueError(
                    f"init_params: site {slot.name!r} has shape {value.shape}, expected {batch + slot.shape} "
                    f"(its unconstrained shape{chains}); ppl.infer.util.unconstrain_fn maps constrained values there"
                )
            position[..., slot.start : slot.start + slot.size] = value.reshape((*batch, slot.size))
        return position

    def check_names(self, values: Mapping[str, Any]) -> None:
        """Raise ValueError where a name belongs to no site."""
        unknown = sorted(set(values) - set(self.names))
        if unknown:
            raise ValueError(f"init_params: no latent site is called {unknown}; the latent sites are {sorted(self.names)}")
