"""Handlers that change the density of sites: scale, mask."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ppl._typing import ArrayLike, Message
from ppl.stack import Messenger, Step
from ppl.util import describe, not_jax_tracer

__all__ = ["mask", "scale"]


class mask(Messenger):
    """Leaves elements of sample sites out of the density; their values are drawn all the same.

    Args:
        fn: a model.
        mask: true where elements count, a bool or a boolean array that broadcasts against the batch shapes.

    Raises:
        ValueError: if `mask` is not boolean.

    Example:
        >>> from ppl import distributions as dist, handlers
        >>> from ppl.primitives import sample
        >>> with handlers.trace() as tr, mask(mask=False):
        ...     x = sample("x", dist.Normal(0.0, 1.0), obs=3.0)
        >>> float(tr["x"]["fn"].log_prob(3.0))
        0.0
    """

    def __init__(self, fn: Callable[..., Any] | None = None, mask: ArrayLike | bool = True) -> None:
        if isinstance(mask, np.bool_):
            mask = bool(mask)
        if not isinstance(mask, bool) and not (isinstance(mask, jax.Array | np.ndarray) and mask.dtype == np.bool_):
            raise ValueError(f"mask: `mask` must be a bool or a boolean array, found {describe(mask)}; write mask=x != 0, say")
        self.mask = mask
        super().__init__(fn)

    def process_message(self, msg: Message) -> None:
        """Mask the distribution of a sample site; tell `get_mask` about the mask."""
        if msg["type"] == "sample":
            if self.mask is not True and not msg.get("_masked_inside"):
                msg["fn"] = self._masked(msg)
        elif msg["type"] == "inspect":
            msg["mask"] = _both(msg["mask"], self.mask)
        elif msg["type"] == "control_flow" and self.mask is not True:
            msg["kwargs"]["inside"].append(self._inside)

    def _inside(self, step: Step | None) -> Messenger:
        """The mask of a step of a loop that enumerates sites. Otherwise sites are masked when they come out; the body may know."""
        if step is None or step.first_dim is None:
            return _Known(False) if self.mask is False else mask()
        if np.ndim(self.mask) == 0:
            return mask(mask=self.mask)
        if np.shape(self.mask)[0] != step.length:
            raise ValueError(
                f"mask: a mask of shape {np.shape(self.mask)} around a loop of {step.length} steps that enumerates sites; pass one "
                "entry for each step along its first axis, or put it into the body"
            )
        return mask(mask=jnp.asarray(self.mask)[step.index])

    def _masked(self, msg: Message) -> Any:
        try:
            return msg["fn"].mask(self.mask)
        except ValueError as error:
            raise ValueError(
                f"mask: a mask of shape {np.shape(self.mask)} does not broadcast against the batch shape {msg['fn'].batch_shape} "
                f"of site {msg['name']!r}; pass one entry for each element of the batch"
            ) from error


class _Known(Messenger):
    """Tells `get_mask` about a mask that is applied elsewhere."""

    def __init__(self, mask: bool) -> None:
        self.mask = mask
        super().__init__()

    def process_message(self, msg: Message) -> None:
        """Combine the mask with those further in."""
        if msg["type"] == "inspect":
            msg["mask"] = _both(msg["mask"], self.mask)


def _both(a: Any, b: Any) -> Any:
    """Where both masks hold; `None` and `True` hold everywhere, `False` nowhere."""
    if a is None or a is True:
        return b
    if b is True:
        return a
    return False if a is False or b is False else a & b


class scale(Messenger):
    """Multiplies the log densities of sites.

    Args:
        fn: a model.
        scale: a positive factor.

    Raises:
        ValueError: if `scale` is not positive; a traced value is not checked.
        TypeError: if it is no number.

    Example:
        >>> from ppl import distributions as dist, handlers
        >>> from ppl.primitives import sample
        >>> with handlers.trace() as tr, scale(scale=0.5):
        ...     x = sample("x", dist.Normal(0.0, 1.0), obs=3.0)
        >>> tr["x"]["scale"]
        0.5
    """

    def __init__(self, fn: Callable[..., Any] | None = None, scale: ArrayLike = 1.0) -> None:
        if not_jax_tracer(scale) and np.asarray(scale).dtype.kind not in "biufV":
            raise TypeError(f"scale: `scale` must be a number or an array of numbers, found {describe(scale)}")
        if not_jax_tracer(scale) and not np.all(np.asarray(scale) > 0):
            raise ValueError(f"scale: `scale` must be positive, found {scale}; to leave sites out use handlers.mask")
        self.scale = scale
        super().__init__(fn)

    def process_message(self, msg: Message) -> None:
        """Multiply the scale of a sample, param or plate site."""
        if msg["type"] in ("sample", "param", "plate"):
            msg["scale"] = self.scale if msg["scale"] is None else self.scale * msg["scale"]
