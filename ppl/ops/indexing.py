"""Advanced indexing whose result keeps batch dimensions on the left, whatever is sliced."""

from typing import Any

import jax.numpy as jnp
import numpy as np

from ppl._typing import Array, ArrayLike

__all__ = ["Vindex", "vindex"]


def vindex(tensor: ArrayLike, args: Any) -> Array:
    """`tensor[args]` with the broadcast batch dimensions of the indices on the left and the sliced dimensions on the right.

    An integer or an array of integers is a batch of indices; `:` keeps a dimension as an event dimension; a leading `...` stands
    for batch dimensions of `tensor` itself, which broadcast against those of the indices. So a lookup keeps its meaning when
    the indices gain dimensions on the left, as they do in enumeration.

    Args:
        tensor: the array.
        args: an index, or a tuple of integers, integer arrays and `:`, possibly after `...`.

    Raises:
        NotImplementedError: for slices other than `:`, and for `...` that does not come first.
        ValueError: for more indices than dimensions.

    Example:
        >>> x = np.arange(24).reshape(2, 3, 4)
        >>> vindex(x, (np.array([0, 1]), slice(None), np.array([[2], [3]]))).shape
        (2, 2, 3)
    """
    tensor = jnp.asarray(tensor)
    if not isinstance(args, tuple):
        return tensor[args]
    if any(arg is Ellipsis for arg in args[1:]):
        raise NotImplementedError("Vindex: ... stands for batch dimensions and must come first, once")
    batched = bool(args) and args[0] is Ellipsis
    args = args[batched:]
    if len(args) > tensor.ndim:
        raise ValueError(f"Vindex: {len(args)} indices for an array of {tensor.ndim} dimensions")
    if any(isinstance(arg, slice) and arg != slice(None) for arg in args):
        raise NotImplementedError(f"Vindex: slices other than : are not supported, found {args}; slice the array beforehand")
    rest = tensor.ndim - len(args)
    if not batched:
        args, rest = args + (slice(None),) * rest, 0
    # Sliced dimensions become ranges on the right, batch dimensions of the tensor ranges next to them on the left.
    events = [axis for axis, arg in enumerate(args, start=rest) if isinstance(arg, slice)]
    place = {axis: len(events) - 1 - i for i, axis in enumerate(events)}
    place |= {axis: len(events) + rest - 1 - axis for axis in range(rest)}
    index = tuple(
        np.arange(tensor.shape[axis]).reshape((-1,) + (1,) * place[axis])
        if axis in place
        else jnp.reshape(args[axis - rest], np.shape(args[axis - rest]) + (1,) * len(events))
        for axis in range(tensor.ndim)
    )
    return tensor[index]


class Vindex:
    """`Vindex(tensor)[args]` is `vindex(tensor, args)`.

    Example:
        >>> Vindex(np.eye(3))[np.array([0, 1]), np.array([0, 2])].tolist()
        [1.0, 0.0]
    """

    def __init__(self, tensor: ArrayLike) -> None:
        self._tensor = tensor

    def __getitem__(self, args: Any) -> Array:
        return vindex(self._tensor, args)
