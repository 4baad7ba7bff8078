"""A target that a user gives as a potential energy function of a pytree."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ppl._typing import Array, PyTree
from ppl.infer.target.gradient import value_and_gradient
from ppl.infer.target.layout import Layout
from ppl.infer.target.model import Arguments
from ppl.util import dtype_of

__all__ = ["PotentialTarget", "TreeLayout"]


@dataclass(frozen=True)
class TreeLayout:
    """The leaves of a pytree in a flat position, one after another."""

    leaves: Layout
    structure: Any

    @staticmethod
    def of(tree: PyTree, batch: int = 0) -> "TreeLayout":
        """The layout of pytrees like this one, whose leaves have so many leading batch axes.

        Raises:
            TypeError: if a leaf is no array of numbers.
        """
        leaves, structure = jax.tree.flatten(tree)
        for leaf in leaves:
            if dtype_of(leaf).kind not in "iuf":
                raise TypeError(f"init_params: expected arrays of real numbers, found {leaf!r} of type {type(leaf).__name__}")
        names = [f"{i:06d}" for i in range(len(leaves))]
        shapes = {name: np.shape(leaf)[batch:] for name, leaf in zip(names, leaves)}
        return TreeLayout(leaves=Layout.of(shapes, jnp.result_type(float), names), structure=structure)

    @property
    def dimension(self) -> int:
        """The length d of the position."""
        return self.leaves.dimension

    @property
    def dtype(self) -> str:
        """The type of the position."""
        return self.leaves.dtype

    def unravel(self, position: Array) -> PyTree:
        """The pytree of a position."""
        return jax.tree.unflatten(self.structure, list(self.leaves.unravel(position).values()))

    def unravel_host(self, positions: np.ndarray) -> PyTree:
        """The pytree of NumPy positions `(..., d)`."""
        return jax.tree.unflatten(self.structure, list(self.leaves.unravel_host(positions).values()))

    def ravel(self, tree: PyTree) -> Array:
        """The position of a pytree."""
        return self.leaves.ravel(dict(zip(self.leaves.names, jax.tree.leaves(tree))))

    def ravel_host(self, tree: PyTree, batch: tuple[int, ...] = ()) -> np.ndarray:
        """The NumPy position `batch + (d,)` of a pytree."""
        return self.leaves.ravel_host(dict(zip(self.leaves.names, jax.tree.leaves(tree))), batch)


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class PotentialTarget:
    """A potential energy as a target.

    Attributes:
        arrays: the array arguments of the function that makes it.
        potential_fn: of a pytree; or, with `arguments`, a function of model arguments that returns it.
        arguments: the other arguments.
        layout: of the pytree.
        forward_mode: whether the gradient is made of directional derivatives.
    """

    arrays: tuple[Any, ...]
    potential_fn: Callable[..., Any] = field(metadata={"static": True})
    arguments: Arguments | None = field(metadata={"static": True})
    layout: TreeLayout = field(metadata={"static": True})
    forward_mode: bool = field(default=False, metadata={"static": True})

    def __call__(self, position: Array) -> Array:
        """The potential energy, a scalar."""
        potential_fn = self.potential_fn
        if self.arguments is not None:
            args, kwargs = self.arguments.join(self.arrays)
            potential_fn = potential_fn(*args, **kwargs)
        energy = potential_fn(self.layout.unravel(position))
        if jnp.shape(energy) != ():
            raise ValueError(f"potential_fn: expected a scalar, found shape {jnp.shape(energy)}; sum over the batch")
        return jnp.asarray(energy, self.layout.dtype)

    def value_and_gradient(self, position: Array) -> tuple[Array, Array]:
        """The potential energy and its gradient `(d,)`."""
        return value_and_gradient(self, position)

    def constrain(self, position: Array) -> PyTree:
        """The pytree of a position."""
        return self.layout.unravel(position)
