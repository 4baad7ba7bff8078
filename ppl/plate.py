"""Plates: conditional independence along a batch dimension, subsampling, and the checks that a declared size allows."""

import warnings
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import random

from ppl._typing import Array, ArrayLike, Key, Message, Shape
from ppl.stack import CondIndepStackFrame, Messenger, apply_stack, current_stack
from ppl.trace import check_value
from ppl.util import describe, find_stack_level

__all__ = ["plate", "plate_stack", "subsample"]

_FRAMED = frozenset(("sample", "param", "plate", "deterministic"))
_SUBSAMPLE_HINT = " (take the subsample of full data with ppl.subsample(data, event_dim))"
_SCALED = frozenset(("sample", "param", "plate"))


def _all_indices(size: int) -> np.ndarray:
    return np.arange(size, dtype=jax.dtypes.canonicalize_dtype(int))


def _subsample_fn(size: int, subsample_size: int, rng_key: Key | None = None) -> ArrayLike:
    """`subsample_size` distinct indices below `size`."""
    if subsample_size == size:
        return _all_indices(size)
    if rng_key is None:
        raise ValueError(_without_key("a plate", size, subsample_size))
    return random.permutation(rng_key, size)[:subsample_size]


def _without_key(which: str, size: int, subsample_size: int) -> str:
    return (
        f"{which} of size {size} with subsample_size={subsample_size} needs a random key for its indices, and no `seed` "
        "handler gives one: give the indices by `substitute`, drop subsample_size, or use SVI or HMCECS, as HMC and NUTS cannot "
        "subsample"
    )


def _check_arguments(name: Any, size: Any, subsample_size: Any, dim: Any) -> None:
    if not isinstance(name, str):
        raise TypeError(f"plate: the name must be a string, found {name!r} of type {type(name).__name__}")
    for what, number in (("size", size), ("subsample_size", subsample_size), ("dim", dim)):
        if number is None and what != "size":
            continue
        if isinstance(number, bool | np.bool_) or not isinstance(number, int | np.integer):
            raise TypeError(
                f"plate {name!r}: {what} must be a Python integer, found {number!r} of type {type(number).__name__}; "
                "sizes are static: take them from shapes, such as x.shape[0]"
            )
    if size <= 0:
        raise ValueError(f"plate {name!r}: size must be positive, found {size}")
    if subsample_size is not None and not 0 < subsample_size <= size:
        raise ValueError(f"plate {name!r}: subsample_size must lie between 1 and the size {size}, found {subsample_size}")
    if dim is not None and dim >= 0:
        raise ValueError(
            f"plate {name!r}: dim counts batch dimensions from the right and must be negative, found {dim}; use dim=-1"
        )


class plate(Messenger):
    """Declares that the sites inside are conditionally independent along one batch dimension.

    Inside, the batch shape of each sample site is broadcast so that it has `subsample_size` at `dim`, and log densities are
    multiplied by `size / subsample_size`. The indices are drawn, without replacement, when the plate is constructed.

    Args:
        name: the name of the plate.
        size: the number of elements.
        subsample_size: how many of them to use; `None` for all.
        dim: the batch dimension, counted from the right, hence negative; `None` for the rightmost one that no enclosing plate has.

    Returns:
        Used as `with plate(...) as indices`: the indices `(subsample_size,)`.

    Raises:
        ValueError: if the size is not positive, `dim` is not negative or belongs to an enclosing plate, if there is no key to
            subsample with; and when a site inside does not fit.
        TypeError: if an argument is not a whole number.

    Example:
        >>> from ppl import distributions as dist, handlers
        >>> from ppl.primitives import sample
        >>> with handlers.seed(rng_seed=0), plate("school", 3):
        ...     sample("effect", dist.Normal(0.0, 1.0)).shape
        (3,)
    """

    def __init__(self, name: str, size: int, subsample_size: int | None = None, dim: int | None = None) -> None:
        _check_arguments(name, size, subsample_size, dim)
        self.name = name
        self.size = int(size)
        self.dim, self._indices = _declare(name, self.size, self.size if subsample_size is None else int(subsample_size), dim)
        self.subsample_size = int(np.shape(self._indices)[0])
        self._frame = CondIndepStackFrame(name, self.dim, self.subsample_size)
        super().__init__()

    def __enter__(self) -> ArrayLike:
        super().__enter__()
        return self._indices

    def process_message(self, msg: Message) -> None:
        """Add the plate to a site: its frame, its size in the batch shape, its scale."""
        kind = msg["type"]
        if kind in _FRAMED:
            if kind == "sample" and self.name in msg["infer"].get("block_plates", ()):
                return
            self._append_frame(msg)
            if kind == "sample":
                self._expand(msg)
            if kind in _SCALED and self.subsample_size != self.size:
                scale = self.size / self.subsample_size
                msg["scale"] = scale if msg["scale"] is None else msg["scale"] * scale
        elif kind == "control_flow":
            raise NotImplementedError(
                f"plate {self.name!r}: control flow (scan, cond) inside a plate is not supported; open the plate in the body"
            )

    def _append_frame(self, msg: Message) -> None:
        frames = msg["cond_indep_stack"]
        for frame in frames:
            if frame.dim == self.dim:
                raise ValueError(
                    f"site {msg['name']!r}: plates {frame.name!r} (size {frame.size}) and {self.name!r} (size "
                    f"{self.subsample_size}) both use dim {self.dim}; "
                    "give one of them another dim, or construct the inner plate inside the outer one"
                )
        frames.append(self._frame)

    def _expand(self, msg: Message) -> None:
        """Broadcast the distribution of a site, and its `sample_shape`, to this plate."""
        fn, kwargs = msg["fn"], msg["kwargs"]
        batch_shape = (*kwargs["sample_shape"], *fn.batch_shape)
        if kwargs["sample_shape"]:
            kwargs["sample_shape"] = ()
        rank = max(len(batch_shape), -self.dim)
        target = (1,) * (rank - len(batch_shape)) + batch_shape
        found = target[self.dim]
        if found != self.subsample_size:
            if found != 1:
                raise ValueError(self._mismatch(msg["name"], "batch shape", batch_shape, found))
            target = (*target[: rank + self.dim], self.subsample_size, *target[rank + self.dim + 1 :])
        if target != fn.batch_shape:
            msg["fn"] = fn.expand(target)

    def _mismatch(self, site: str, what: str, shape: Shape, found: int) -> str:
        return (
            f"site {site!r}: {what} {shape} does not fit plate {self.name!r} (size {self.subsample_size}, dim {self.dim}): "
            f"found {found} at dim {self.dim}; pass {self.subsample_size} values there, declare further batch dimensions as "
            "event dimensions with .to_event(1), or give the plate another dim"
        )

    def postprocess_message(self, msg: Message) -> None:
        """Check the value of a sample site; take the subsample of a param or of data."""
        kind = msg["type"]
        if kind == "sample":
            frames = msg["cond_indep_stack"]
            if frames and frames[0].dim == self.dim:
                check_value(msg, _SUBSAMPLE_HINT if self.subsample_size != self.size else "")
        elif kind in ("param", "subsample") and msg["kwargs"].get("event_dim") is not None:
            msg["value"] = self._take(msg)

    def _take(self, msg: Message) -> Any:
        """The part of a full-size value that belongs to this plate's indices."""
        value, event_dim = msg["value"], msg["kwargs"]["event_dim"]
        dim, shape = self.dim - event_dim, np.shape(value)
        if len(shape) < -dim or shape[dim] == 1:
            return value
        if shape[dim] != self.size:
            what = (
                f"param({msg['name']!r}, ..., event_dim={event_dim})" if msg["type"] == "param" else f"subsample(..., {event_dim})"
            )
            raise ValueError(
                f"inside plate {self.name!r} (size {self.size}, dim {self.dim}) invalid shape of {what}: found {shape}, expected "
                f"size {self.size} or 1 at dim {dim}; pass the full-size value, or another event_dim"
            )
        if self.subsample_size == self.size:
            return value
        concrete = not isinstance(value, jax.Array) and not isinstance(self._indices, jax.Array)
        return (np.take if concrete else jnp.take)(value, self._indices, axis=dim)


def _declare(name: str, size: int, subsample_size: int, dim: int | None) -> tuple[int, Any]:
    """Record the plate as a site; returns its dimension and its indices."""
    indices = _all_indices(size) if subsample_size == size else None
    if not current_stack():
        if indices is None:
            raise ValueError(_without_key(f"plate {name!r}", size, subsample_size))
        return -1 if dim is None else int(dim), indices
    msg = apply_stack(
        {
            "type": "plate",
            "name": name,
            "fn": _subsample_fn,
            "args": (size, subsample_size),
            "kwargs": {"rng_key": None},
            "value": indices,
            "scale": None,
            "cond_indep_stack": [],
        }
    )
    if any(frame.name == msg["name"] for frame in msg["cond_indep_stack"]):
        raise ValueError(f"plate {name!r}: an enclosing plate has the same name; give one of them another name")
    taken = {frame.dim: frame for frame in msg["cond_indep_stack"]}
    if dim is None:
        dim = -1
        while dim in taken:
            dim -= 1
    elif dim in taken:
        raise ValueError(
            f"plate {name!r}: dim {dim} is taken by the enclosing plate {taken[dim].name!r} (size {taken[dim].size}); "
            "use another dim, or none for the next free one"
        )
    indices = msg["value"]
    if np.ndim(indices) != 1:
        raise ValueError(f"plate {name!r}: expected a vector of indices, found shape {np.shape(indices)}")
    if np.shape(indices)[0] != subsample_size:
        warnings.warn(
            f"plate {name!r}: {np.shape(indices)[0]} indices were substituted where subsample_size is {subsample_size}; "
            f"{np.shape(indices)[0]} are used",
            stacklevel=find_stack_level(),
        )
    return int(dim), indices


@contextmanager
def plate_stack(prefix: str, sizes: Sequence[int], rightmost_dim: int = -1) -> Iterator[None]:
    """Nested plates for the batch shape `sizes`: `{prefix}_0` at `rightmost_dim`, `{prefix}_1` left of it, and so on.

    Raises:
        ValueError: if `rightmost_dim` is not negative.
        TypeError: if `sizes` is no sequence.
    """
    if not isinstance(sizes, Iterable) or isinstance(sizes, str):
        raise TypeError(f"plate_stack {prefix!r}: sizes must be a list of sizes, found {describe(sizes)}; write [{sizes!r}]")
    if rightmost_dim >= 0:
        raise ValueError(
            f"plate_stack {prefix!r}: rightmost_dim counts from the right and must be negative, found {rightmost_dim}; use -1"
        )
    with ExitStack() as stack:
        for i, size in enumerate(reversed(tuple(sizes))):
            stack.enter_context(plate(f"{prefix}_{i}", size, dim=rightmost_dim - i))
        yield


def subsample(data: ArrayLike, event_dim: int) -> Array | ArrayLike:
    """The part of `data` that belongs to the indices of the enclosing plates.

    Args:
        data: an array of full size along each plate's dimension.
        event_dim: the number of dimensions right of the batch dimensions.

    Returns:
        `data` taken at the indices of each subsampling plate along `plate.dim - event_dim`; dimensions of size 1 are left alone.

    Raises:
        ValueError: if a dimension has neither the plate's size nor 1, or `event_dim` is negative.
    """
    if isinstance(event_dim, bool) or not isinstance(event_dim, int) or event_dim < 0:
        raise ValueError(f"subsample: event_dim must be a number of dimensions, at least 0; found {event_dim!r}")
    if not current_stack():
        return data
    msg = {"type": "subsample", "value": data, "kwargs": {"event_dim": event_dim}}
    return apply_stack(msg)["value"]
