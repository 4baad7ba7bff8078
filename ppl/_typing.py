"""The types that annotations share."""

from typing import Any

import jax
from jax.typing import ArrayLike

Array = jax.Array
Key = jax.Array
Shape = tuple[int, ...]
Message = dict[str, Any]
Trace = dict[str, Message]
PyTree = Any

__all__ = ["Array", "ArrayLike", "Key", "Message", "PyTree", "Shape", "Trace"]
