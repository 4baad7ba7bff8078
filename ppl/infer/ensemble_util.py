"""Tools for ensembles of chains."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree

from ppl._typing import Array, PyTree

__all__ = ["batch_ravel_pytree", "get_nondiagonal_indices"]


def batch_ravel_pytree(pytree: PyTree) -> tuple[Array, Callable[[Array], PyTree]]:
    """The leaves `(n, ...)` of a pytree as one array `(n, d)`, and a function from such an array back to the pytree.

    Args:
        pytree: arrays with the same leading axis.

    Raises:
        ValueError: if there is no leaf, or leading axes differ.

    Example:
        >>> import numpy as np
        >>> flat, unravel = batch_ravel_pytree({"x": np.zeros((4, 2)), "y": np.ones(4)})
        >>> flat.shape, unravel(flat)["x"].shape
        ((4, 3), (4, 2))
    """
    shapes = [np.shape(leaf) for leaf in jax.tree.leaves(pytree)]
    sizes = {shape[:1] for shape in shapes}
    if len(sizes) != 1 or () in sizes:
        raise ValueError(f"batch_ravel_pytree: expected arrays with one common leading axis, found shapes {shapes}")
    arrays = jax.tree.map(jnp.asarray, pytree)
    _, unravel = ravel_pytree(jax.tree.map(lambda leaf: leaf[0], arrays))
    return jax.vmap(lambda tree: ravel_pytree(tree)[0])(arrays), jax.vmap(unravel)


def get_nondiagonal_indices(n: int) -> Array:
    """All ordered pairs of different numbers below n, `(n (n - 1), 2)`.

    Args:
        n: how many numbers.

    Example:
        >>> get_nondiagonal_indices(3).tolist()
        [[0, 1], [0, 2], [1, 0], [1, 2], [2, 0], [2, 1]]
    """
    return jnp.asarray(np.argwhere(~np.eye(n, dtype=bool)))
