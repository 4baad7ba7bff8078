"""The types that annotations share."""

from typing import TYPE_CHECKING, Any

import jax

if TYPE_CHECKING:
    # JAX's own union admits Python numbers, so that a type checker refuses `x.shape` and most arithmetic.
    ArrayLike = Any
else:
    from jax.typing import ArrayLike

Array = jax.Array
Key = jax.Array
Shape = tuple[int, ...]
Message = dict[str, Any]
Trace = dict[str, Message]
PyTree = Any

__all__ = ["Array", "ArrayLike", "Key", "Message", "PyTree", "Shape", "Trace"]
