"""`lax.scan` with sample statements in its body."""

from collections.abc import Callable
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from ppl._typing import Array, Key, Message, PyTree, Trace
from ppl.contrib.control_flow.body import emit, run_body, with_sample_shape
from ppl.contrib.control_flow.enumerated import EnumeratedLoop, run_enumerated
from ppl.contrib.control_flow.stacked import StackedDistribution
from ppl.distributions.distribution import Distribution
from ppl.handlers.enumeration import EARLIER, Loop, enum
from ppl.ops.pytree import PytreeTrace
from ppl.stack import Messenger, Step, apply_stack, current_stack
from ppl.util import describe

C = TypeVar("C")


def scan(
    f: Callable[[C, Any], tuple[C, Any]],
    init: C,
    xs: PyTree,
    length: int | None = None,
    reverse: bool = False,
    history: int = 1,
) -> tuple[C, PyTree]:
    """Run `f` over the leading axis of `xs`, passing a carry along, as `jax.lax.scan` does; `f` may hold sample statements.

    A site of the body becomes one site with the time axis on the left of its value and its batch shape. Plates inside the body are
    allowed. Handlers outside act on each step: values for a site are indexed by time, and where a series is shorter than the
    loop the later steps are drawn.

    Args:
        f: `(carry, x) -> (carry, y)`.
        init: the first carry.
        xs: arrays with a common leading axis, or `None`.
        length: the number of steps, needed where `xs` is `None`.
        reverse: run from the last entry to the first; sites keep the order of `xs`.
        history: how many earlier steps an enumerated site of a step depends on.

    Returns:
        The last carry and the stacked `y`.

    Raises:
        ValueError: if the number of steps is not clear.
        TypeError: if `f` is no function, or returns no pair; if `length` is no integer.
        NotImplementedError: inside a plate, and for `param` or `mutable` in the body.

    Example:
        >>> from ppl import distributions as dist, handlers
        >>> from ppl.primitives import sample
        >>> def walk(x, _):
        ...     x = sample("x", dist.Normal(x, 1.0))
        ...     return x, x
        >>> model = handlers.seed(lambda: scan(walk, 0.0, None, length=5), 0)
        >>> handlers.trace(model).get_trace()["x"]["value"].shape
        (5,)
    """
    if isinstance(history, bool) or not isinstance(history, int) or history < 0:
        raise ValueError(f"scan: history must be a number of steps, at least 0; found {history!r}")
    if not callable(f):
        raise TypeError(f"scan: `f` must be a function (carry, x) -> (carry, y), found {describe(f)}")
    steps = _number_of_steps(xs, length)
    if not current_stack():
        return lax.scan(f, init, xs, length=steps, reverse=reverse)
    msg: Message = {
        "type": "control_flow",
        "name": "_scan",
        "fn": _run,
        "args": (f, init, xs, steps, reverse),
        "kwargs": {"rng_key": None, "inside": [], "history": history, "enumeration": None},
        "value": None,
    }
    carry, first, sites, ys, loop = apply_stack(msg)["value"]
    for number, earlier in enumerate(first):
        _emit_first(earlier, EARLIER * (history - number))
    for site in sites.trace.values():
        _emit_stacked(site, steps, loop)
    return carry, ys


def _number_of_steps(xs: PyTree, length: int | None) -> int:
    found = {np.shape(x)[0] if np.ndim(x) else None for x in jax.tree.leaves(xs)}
    if length is not None:
        if isinstance(length, bool) or not isinstance(length, int | np.integer):
            raise TypeError(f"scan: length must be a Python integer, found {describe(length)}; take it from shapes")
        if length < 0:
            raise ValueError(f"scan: length must be at least 0, found {length}")
        found.add(int(length))
    if len(found) != 1 or None in found:
        shapes = [np.shape(x) for x in jax.tree.leaves(xs)]
        raise ValueError(
            f"scan: the number of steps must be clear, found length={length} and xs of shapes {shapes}; give `xs` arrays with one "
            "common leading axis, or `length`"
        )
    (steps,) = found
    return steps  # type: ignore[return-value]


def _run(
    f: Callable[[Any, Any], tuple[Any, Any]],
    init: Any,
    xs: PyTree,
    steps: int,
    reverse: bool,
    *,
    rng_key: Key | None,
    inside: list[Callable[[Step | None], Messenger]],
    history: int,
    enumeration: enum | None,
) -> EnumeratedLoop:
    """Run the loop; if it enumerates sites, with their states along dimensions of their own."""
    if enumeration is not None and steps:
        found = run_enumerated(f, init, xs, steps, reverse, inside, history, enumeration)
        if found is not None:
            return found

    def body(carry: Any, entry: tuple[Array, Any]) -> tuple[Any, tuple[PytreeTrace, Any]]:
        i, x = entry
        out, sites = run_body(f, (carry, x), inside, Step(i, steps))
        if not isinstance(out, tuple) or len(out) != 2:
            raise TypeError(f"scan: the body must return a pair (carry, y), found {describe(out)}")
        return out[0], (PytreeTrace({name: with_sample_shape(site) for name, site in sites.items()}), out[1])

    indices = jnp.arange(steps)
    carry, (sites, ys) = lax.scan(body, init, (indices, xs), length=steps, reverse=reverse)
    return EnumeratedLoop(carry, [], sites, ys, None)


def _emit_first(sites: Trace, prefix: str) -> None:
    """Send the sample sites of one of the first steps through the handlers outside, under names of their own."""
    for name, site in sites.items():
        if site["type"] == "sample":
            site = with_sample_shape(site)
            own = {"name": prefix + name, "_name_in_body": name, "_had_density_inside": True}
            emit({**site, **own}, site["fn"], site["value"], 0)


def _emit_stacked(site: Message, steps: int, loop: Loop | None) -> None:
    """Send a site of the body, stacked over time, through the handlers outside."""
    time_dims = site.get("time_dims", 0) + 1
    fn, value = site["fn"], site["value"]
    if site["type"] == "plate" and site["args"][0] == site["args"][1]:
        value = np.arange(site["args"][0], dtype=jax.dtypes.canonicalize_dtype(int))
    if isinstance(fn, Distribution):
        scale = site["scale"]
        if isinstance(scale, jax.Array):
            shape = scale.shape[1:]
            scale = jnp.reshape(scale, scale.shape[:1] + (1,) * (len(fn.batch_shape) - len(shape)) + shape)
        infer = site["infer"] if loop is None else site["infer"] | {"_loop": loop}
        site = {**site, "scale": scale, "infer": infer, "_had_density_inside": loop is not None}
        missing = len(fn.shape()) + 1 - np.ndim(value)
        if loop is None and missing > 0:  # data that broadcast over plates of the body: time stays on the left
            value = jnp.reshape(value, (steps,) + (1,) * missing + np.shape(value)[1:])
        fn = StackedDistribution(fn, steps, None if loop is None else np.ndim(value) - 1)
    elif loop is not None and site["type"] != "plate":
        value = jnp.broadcast_to(value, (steps, *np.shape(value)[1:]))
    emit(site, fn, value, time_dims)
