"""Small tools that stand on their own: keys, mapping in chunks, readable shapes, switches for control flow."""

import os
import random as python_random
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from pathlib import Path
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax, random

from ppl._collecting import fori_collect
from ppl._typing import Key, PyTree, Trace

__all__ = [
    "as_key",
    "check_model_guide_match",
    "check_seed",
    "cond",
    "control_flow_prims_disabled",
    "dtype_of",
    "find_stack_level",
    "fori_collect",
    "fori_loop",
    "format_shapes",
    "identity",
    "is_prng_key",
    "maybe_jit",
    "nested_attrgetter",
    "not_jax_tracer",
    "optional",
    "set_rng_seed",
    "soft_vmap",
    "while_loop",
]

T = TypeVar("T")
_PACKAGE = str(Path(__file__).parent)


def identity(x: T) -> T:
    """The argument itself."""
    return x


def not_jax_tracer(x: Any) -> bool:
    """Whether `x` is a concrete value, not a tracer of a JAX transformation."""
    return not isinstance(x, jax.core.Tracer)


def dtype_of(x: Any) -> np.dtype:
    """The type of a number or array, as NumPy has it; a traced array is not looked at."""
    return np.dtype(x.dtype) if isinstance(x, jax.Array | np.ndarray) else np.asarray(x).dtype


def is_prng_key(key: Any) -> bool:
    """Whether `key` is a single random key: a typed one of shape `()`, or a legacy one, `uint32[2]`.

    Example:
        >>> is_prng_key(np.array([0, 1], np.uint32)), is_prng_key(3)
        (True, False)
    """
    if not isinstance(key, jax.Array | np.ndarray):
        return False
    if _is_typed(key):
        return key.shape == ()
    return key.dtype == np.uint32 and key.shape == (2,)


def _is_typed(key: Any) -> bool:
    return jnp.issubdtype(key.dtype, jax.dtypes.prng_key)


def _kind_of_seed(seed: Any) -> str | None:
    if isinstance(seed, int | np.integer) and not isinstance(seed, bool):
        return "integer"
    if isinstance(seed, jax.Array | np.ndarray):
        if _is_typed(seed):
            return "typed" if seed.shape == () else None
        if seed.dtype == np.uint32 and seed.shape in ((2,), (4,)):
            return "legacy"
        if seed.shape == () and jnp.issubdtype(seed.dtype, jnp.integer):
            return "integer"
    return None


def check_seed(seed: Any, *, name: str = "rng_key") -> None:
    """Raise a `TypeError` unless `seed` is a single random key of either kind, an `int`, or a 0-d integer array."""
    if _kind_of_seed(seed) is None:
        raise TypeError(
            f"{name}: expected a single random key or an integer seed, found {describe(seed)}; pass jax.random.key(0), say, or 0"
        )


def as_key(seed: Any, *, name: str = "rng_key") -> Key:
    """A typed random key from a key of either kind or an integer seed.

    Args:
        seed: a typed key, a legacy key (`uint32` of the default implementation's length), an `int` or a 0-d integer array.
        name: what messages call the argument.

    Raises:
        TypeError: for anything else.
    """
    check_seed(seed, name=name)
    kind = _kind_of_seed(seed)
    if kind == "typed":
        return seed
    return random.wrap_key_data(seed) if kind == "legacy" else random.key(seed)


def describe(x: Any) -> str:
    """A value in a few words for messages: dtype and shape of an array, otherwise the value and its type."""
    if isinstance(x, jax.Array | np.ndarray):
        return f"an array {x.dtype}{list(x.shape)}"
    return f"{x!r} of type {type(x).__name__}"


def set_rng_seed(rng_seed: int) -> None:
    """Seed the generators of Python's `random` and of NumPy; JAX has none.

    Raises:
        TypeError: if `rng_seed` is no integer.
    """
    if isinstance(rng_seed, bool) or not isinstance(rng_seed, int | np.integer):
        raise TypeError(f"set_rng_seed: rng_seed must be an integer, found {describe(rng_seed)}")
    python_random.seed(rng_seed)
    np.random.seed(rng_seed)


def optional(condition: Any, context_manager: AbstractContextManager[Any]) -> AbstractContextManager[Any]:
    """The context manager if the condition holds, otherwise one that does nothing.

    Example:
        >>> with optional(False, open("/no/such/file") if False else nullcontext(1)) as x:
        ...     x is None
        True
    """
    return context_manager if condition else nullcontext()


def nested_attrgetter(*fields: str) -> Callable[[Any], Any]:
    """Like `operator.attrgetter`, also through mappings: `"state.params.x"` reads `obj.state.params["x"]`.

    Example:
        >>> nested_attrgetter("a.b", "c")({"a": {"b": 1}, "c": 2})
        (1, 2)
    """

    def read(obj: Any, field: str) -> Any:
        for part in field.split("."):
            obj = obj[part] if isinstance(obj, Mapping) else getattr(obj, part)
        return obj

    def getter(obj: Any) -> Any:
        return read(obj, fields[0]) if len(fields) == 1 else tuple(read(obj, field) for field in fields)

    return getter


def find_stack_level() -> int:
    """The `stacklevel` with which `warnings.warn`, called in the caller, points at the first line outside this package."""
    frame = sys._getframe(1)
    level = 1
    while frame.f_back is not None and frame.f_code.co_filename.startswith(_PACKAGE + os.sep):
        frame = frame.f_back
        level += 1
    return level


# Control flow: JAX's primitives, or plain Python while `control_flow_prims_disabled`

_DISABLED: ContextVar[bool] = ContextVar("ppl_control_flow_disabled", default=False)


@contextmanager
def control_flow_prims_disabled() -> Iterator[None]:
    """Within the context `cond`, `while_loop`, `fori_loop` and `maybe_jit` of this module run as plain Python."""
    token = _DISABLED.set(True)
    try:
        yield
    finally:
        _DISABLED.reset(token)


def maybe_jit(fn: Callable[..., T], *args: Any, **kwargs: Any) -> Callable[..., T]:
    """`jax.jit(fn, *args, **kwargs)`, or `fn` itself while control flow is disabled."""
    return fn if _DISABLED.get() else jax.jit(fn, *args, **kwargs)


def cond(pred: Any, true_operand: Any, true_fun: Callable[[Any], Any], false_operand: Any, false_fun: Callable[[Any], Any]) -> Any:
    """`true_fun(true_operand)` where `pred` holds, otherwise `false_fun(false_operand)`."""
    if _DISABLED.get():
        return true_fun(true_operand) if pred else false_fun(false_operand)
    return lax.cond(pred, lambda ops: true_fun(ops[0]), lambda ops: false_fun(ops[1]), (true_operand, false_operand))


def while_loop(cond_fun: Callable[[T], Any], body_fun: Callable[[T], T], init_val: T) -> T:
    """Apply `body_fun` as long as `cond_fun` holds."""
    if not _DISABLED.get():
        return lax.while_loop(cond_fun, body_fun, init_val)
    val = init_val
    while cond_fun(val):
        val = body_fun(val)
    return val


def fori_loop(lower: int, upper: int, body_fun: Callable[[int, T], T], init_val: T) -> T:
    """Apply `body_fun(i, val)` for `i` from `lower` to `upper - 1`."""
    if not _DISABLED.get():
        return lax.fori_loop(lower, upper, body_fun, init_val)
    val = init_val
    for i in range(int(lower), int(upper)):
        val = body_fun(i, val)
    return val


# Mapping in chunks


def soft_vmap(fn: Callable[[Any], Any], xs: PyTree, batch_ndims: int = 1, chunk_size: int | None = None) -> PyTree:
    """Map `fn` over the leading `batch_ndims` dimensions of `xs`, `chunk_size` elements at a time.

    Args:
        fn: a function of one element of `xs`.
        xs: a pytree of arrays with the same `batch_ndims` leading dimensions.
        batch_ndims: the number of dimensions to map over; with 0, `fn(xs)`.
        chunk_size: how many elements one vectorised call holds in memory; `None` for all.

    Returns:
        The results, with the same leading dimensions.

    Raises:
        ValueError: if the leading dimensions differ, or `chunk_size` is not positive.

    Example:
        >>> soft_vmap(lambda x: 2 * x, jnp.arange(3), chunk_size=2).tolist()
        [0, 2, 4]
    """
    if chunk_size is not None and chunk_size < 1:
        raise ValueError(f"soft_vmap: chunk_size must be a positive number or None, found {chunk_size}")
    leaves = jax.tree.leaves(xs)
    if batch_ndims == 0 or not leaves:
        return fn(xs)
    shapes = {np.shape(x)[:batch_ndims] for x in leaves}
    if len(shapes) > 1 or len(next(iter(shapes))) < batch_ndims:
        raise ValueError(
            f"soft_vmap: expected arrays with the same {batch_ndims} leading dimensions, "
            f"found shapes {[np.shape(x) for x in leaves]}"
        )
    (batch_shape,) = shapes
    size = int(np.prod(batch_shape))
    flat = jax.tree.map(lambda x: jnp.reshape(x, (size, *np.shape(x)[batch_ndims:])), xs)
    ys = jax.vmap(fn)(flat) if chunk_size is None or chunk_size >= size else lax.map(fn, flat, batch_size=chunk_size)
    return jax.tree.map(lambda y: jnp.reshape(y, (*batch_shape, *y.shape[1:])), ys)


# Shapes of a trace in a table


def format_shapes(
    trace: Trace,
    *,
    compute_log_prob: bool | Callable[[dict[str, Any]], bool] = False,
    title: str = "Trace Shapes:",
    last_site: str | None = None,
) -> str:
    """A table of the shapes in a trace: batch dimensions on the left of `|`, event dimensions on its right.

    Args:
        trace: an execution trace.
        compute_log_prob: whether to show the shape of the log probabilities; or a function of the site that tells.
        title: the first line.
        last_site: the name of the site after which to stop.

    Example:
        >>> from ppl import distributions as dist, handlers, primitives
        >>> def model():
        ...     with primitives.plate("school", 3):
        ...         primitives.sample("effect", dist.Normal(np.zeros(2), 1.0).to_event(1))
        >>> for line in format_shapes(handlers.trace(handlers.seed(model, 0)).get_trace()).splitlines():
        ...     print(line.rstrip())
        Trace Shapes:
         Param Sites:
        Sample Sites:
         school plate 3 |
          effect dist 3 | 2
                value 3 | 2
    """
    shown = _upto(trace, last_site)
    params: list[tuple[list[str], list[str], list[str]]]
    params = [([name], _shape_cells(site["value"]), []) for name, site in shown if site["type"] == "param"]
    samples: list[tuple[list[str], list[str], list[str]]] = []
    for name, site in shown:
        if site["type"] == "plate":
            samples.append(([f"{name} plate"], [*_shape_cells(site["value"]), "|"], []))
        elif site["type"] == "sample":
            fn, value, event_dim = site["fn"], site["value"], len(site["fn"].event_shape)
            samples.append(([f"{name} dist"], [*map(str, fn.batch_shape), "|"], [*map(str, fn.event_shape)]))
            cells = _shape_cells(value)
            split = len(cells) - event_dim
            samples.append((["value"], [*cells[:split], "|"], cells[split:]))
            if compute_log_prob(site) if callable(compute_log_prob) else compute_log_prob:
                log_prob = jax.eval_shape(lambda fn=fn, value=value: fn.log_prob(value))
                samples.append((["log_prob"], [*map(str, log_prob.shape), "|"], []))
    return _table([([title], [], []), (["Param Sites:"], [], []), *params, (["Sample Sites:"], [], []), *samples])


def _upto(trace: Trace, last_site: str | None) -> list[tuple[str, dict[str, Any]]]:
    shown = []
    for name, site in trace.items():
        shown.append((name, site))
        if name == last_site:
            break
    return shown


def _shape_cells(value: Any) -> list[str]:
    return [] if value is None else [str(size) for size in np.shape(value)]


def _table(rows: Sequence[tuple[list[str], list[str], list[str]]]) -> str:
    """Align three groups of cells: the first two to the right, the third to the left."""
    counts = [max(len(row[group]) for row in rows) for group in range(3)]
    full = [
        [*[""] * (counts[0] - len(a)), *a, *[""] * (counts[1] - len(b)), *b, *c, *[""] * (counts[2] - len(c))] for a, b, c in rows
    ]
    widths = [max(map(len, column)) for column in zip(*full)]
    return "\n".join(" ".join(cell.rjust(width) for cell, width in zip(row, widths)) for row in full)


# Model against guide


def check_model_guide_match(model_trace: Trace, guide_trace: Trace) -> None:
    """Compare the sites of a model and its guide.

    Warns about sites or plates that only one of them has.

    Raises:
        ValueError: if a common site has other event dimensions or another shape in the guide.
    """
    guide_vars = {n for n, s in guide_trace.items() if s["type"] == "sample" and not s["is_observed"]}
    auxiliary = {n for n in guide_vars if guide_trace[n]["infer"].get("is_auxiliary")}
    latents = {n for n, s in model_trace.items() if s["type"] == "sample" and not s["is_observed"]}
    enumerated = {n for n in latents if model_trace[n]["infer"].get("enumerate") == "parallel"}
    level = find_stack_level()
    if auxiliary & latents:
        warnings.warn(f"Found auxiliary vars in the model: {sorted(auxiliary & latents)}", stacklevel=level)
    if guide_vars - latents - auxiliary:
        warnings.warn(
            f"Found non-auxiliary vars in guide but not model: {sorted(guide_vars - latents - auxiliary)}; "
            "mark them with infer={'is_auxiliary': True} if that is meant",
            stacklevel=level,
        )
    if latents - guide_vars - enumerated:
        warnings.warn(f"Found vars in model but not guide: {sorted(latents - guide_vars - enumerated)}", stacklevel=level)
    for name in sorted(guide_vars & latents):
        _check_same_shape(name, model_trace[name], guide_trace[name])
    plates = [{f.name for site in t.values() for f in site.get("cond_indep_stack", ())} for t in (model_trace, guide_trace)]
    if plates[1] - plates[0]:
        warnings.warn(f"Found plate statements in guide but not model: {sorted(plates[1] - plates[0])}", stacklevel=level)


def _check_same_shape(name: str, model_site: dict[str, Any], guide_site: dict[str, Any]) -> None:
    model_fn, guide_fn = model_site["fn"], guide_site["fn"]
    if model_fn.event_dim != guide_fn.event_dim:
        raise ValueError(
            f"Model and guide event_dims disagree at site {name!r}: {model_fn.event_dim} vs {guide_fn.event_dim}; "
            "use .to_event in one of them"
        )
    model_shape = (*model_site["kwargs"]["sample_shape"], *model_fn.batch_shape, *model_fn.event_shape)
    guide_shape = (*guide_site["kwargs"]["sample_shape"], *guide_fn.batch_shape, *guide_fn.event_shape)
    rank = max(len(model_shape), len(guide_shape))
    padded = [(1,) * (rank - len(shape)) + shape for shape in (model_shape, guide_shape)]
    if padded[0] != padded[1]:
        raise ValueError(f"Model and guide shapes disagree at site {name!r}: {model_shape} vs {guide_shape}")
