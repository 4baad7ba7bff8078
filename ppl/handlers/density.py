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
        self._step: Step | None = None
        super().__init__(fn)

    def process_message(self, msg: Message) -> None:
        """Mask the distribution of a sample site; tell `get_mask` about the mask."""
        if msg["type"] == "sample":
            if self.mask is not True and not msg.get("_had_density_inside"):
                msg["fn"] = self._masked(msg)
        elif msg["type"] == "inspect":
            if self._step is None or np.ndim(self.mask) == 0:
                msg["mask"] = _both(msg["mask"], self.mask)
        elif msg["type"] == "control_flow" and self.mask is not True:
            msg["kwargs"]["inside"].append(self._inside)

    def _inside(self, step: Step | None) -> Messenger:
        """The mask within a loop that enumerates sites. Otherwise sites are masked when they come out; the body may know."""
        if step is None or step.first_dim is None:
            return _Known(False) if self.mask is False else Messenger()
        own = mask(mask=self.mask)
        own._step = step
        return own

    def _masked(self, msg: Message) -> Any:
        try:
            return msg["fn"].mask(self.mask if self._step is None else _of_step(self.mask, self._step, msg))
        except ValueError as error:
            batch_shape = msg["fn"].batch_shape if self._step is None else (self._step.length, *_plate_shape(msg))
            raise ValueError(
                f"mask: a mask of shape {np.shape(self.mask)} does not broadcast against the batch shape {batch_shape} of site "
                f"{msg['name']!r}; pass one entry for each element of the batch"
            ) from error


def _plate_shape(msg: Message) -> tuple[int, ...]:
    sizes = {frame.dim: frame.size for frame in msg["cond_indep_stack"]}
    return tuple(sizes.get(dim, 1) for dim in range(min(sizes, default=0), 0))


def _of_step(x: Any, step: Step, msg: Message) -> Any:
    """What an array around a loop has for a site in one step: it broadcasts against the batch shape with time on its left.

    Raises:
        ValueError: if it does not.
    """
    shape = (step.length, *_plate_shape(msg))
    if any(n not in (1, m) for n, m in zip(reversed(np.shape(x)), reversed(shape))) or np.ndim(x) > len(shape):
        raise ValueError(f"an array of shape {np.shape(x)} does not broadcast against {shape}")
    if np.ndim(x) < len(shape):
        return x
    return jnp.asarray(x)[0 if np.shape(x)[0] == 1 else step.index]


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
        self._step: Step | None = None
        super().__init__(fn)

    def process_message(self, msg: Message) -> None:
        """Multiply the scale of a sample, param or plate site."""
        is_array = np.ndim(self.scale) > 0
        if msg["type"] in ("sample", "param", "plate") and not (is_array and msg.get("_had_density_inside")):
            own = self._of_step(msg) if self._step is not None and msg["type"] == "sample" else self.scale
            msg["scale"] = own if msg["scale"] is None else own * msg["scale"]
        elif msg["type"] == "control_flow" and is_array:
            msg["kwargs"]["inside"].append(self._inside)

    def _inside(self, step: Step | None) -> Messenger:
        """The scale within a loop that enumerates sites. Otherwise sites are scaled when they come out."""
        if step is None or step.first_dim is None:
            return Messenger()
        own = scale(scale=self.scale)
        own._step = step
        return own

    def _of_step(self, msg: Message) -> Any:
        assert self._step is not None
        try:
            return _of_step(self.scale, self._step, msg)
        except ValueError as error:
            raise ValueError(f"scale: around the loop of site {msg['name']!r} {error}") from None
