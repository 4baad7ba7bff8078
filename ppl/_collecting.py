"""A loop that collects what it passes through."""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from tqdm.auto import tqdm

from ppl._typing import Array, PyTree

__all__ = ["fori_collect"]


def _itself(x: Any) -> Any:
    return x


def fori_collect(
    lower: int,
    upper: int,
    body_fun: Callable[[Any], Any],
    init_val: PyTree,
    transform: Callable[[Any], Any] = _itself,
    progbar: bool = True,
    progress_rate: int | None = None,
    return_last_val: bool = False,
    collection_size: int | None = None,
    thinning: int = 1,
    **progbar_opts: Any,
) -> Any:
    """Apply `body_fun` `upper` times and collect the values after iteration `lower`.

    The loop is one compiled program for each `body_fun` and `transform`, whatever the start value and the number of iterations.

    Args:
        lower: the number of iterations whose values are not collected.
        upper: the number of iterations.
        body_fun: from a value to the next one, a pytree of the same shapes.
        init_val: the value to start from.
        transform: what to collect of a value.
        progbar: whether to show progress; never in a traced computation.
        progress_rate: iterations between two updates of the bar; default: a twentieth of the loop.
        return_last_val: return the last value, too.
        collection_size: the number of rows; default: as many as there are values. Surplus rows are zero.
        thinning: collect the last of so many values, counted so that the final one is kept.
        **progbar_opts: `progbar_desc`, a function from the number of iterations done to the text before the bar;
            `diagnostics_fn`, a function from a value to the text behind it; `num_chains`, which is not needed.

    Returns:
        The collection, leaves `(n, ...)` with `n = (upper - lower) // thinning`; or the pair of it and the last value.

    Raises:
        ValueError: if a number is out of its range.

    Example:
        >>> fori_collect(1, 4, lambda x: x + 1.0, 0.0, progbar=False).tolist()
        [2.0, 3.0, 4.0]
    """
    lower, upper, thinning = int(lower), int(upper), int(thinning)
    if not 0 <= lower <= upper or thinning < 1:
        raise ValueError(f"fori_collect: expected 0 <= lower <= upper and thinning >= 1, found {lower=}, {upper=}, {thinning=}")
    count = (upper - lower) // thinning
    rows = count if collection_size is None else int(collection_size)
    if rows < count:
        raise ValueError(f"fori_collect: collection_size must be at least {count}, the number of values; found {rows}")
    collection = jax.tree.map(partial(_zeros, max(rows, 1)), jax.eval_shape(transform, init_val))
    span = np.array([upper - count * thinning, thinning], np.int32)
    value = init_val
    shown = progbar and upper > 0 and not any(isinstance(leaf, jax.core.Tracer) for leaf in jax.tree.leaves(init_val))
    with tqdm(total=upper, disable=not shown) as bar:
        for begin, end in _chunks(upper, (progress_rate or -(-upper // 20)) if shown else upper):
            value, collection = _advance(body_fun, transform, value, collection, np.array([begin, end], np.int32), span)
            _show(bar, begin, end, value, progbar_opts)
    collection = jax.tree.map(lambda leaf: jnp.asarray(leaf if rows else leaf[:0]), collection)
    return (collection, value) if return_last_val else collection


def _zeros(rows: int, leaf: jax.ShapeDtypeStruct) -> Any:
    is_key = jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)
    return (jnp if is_key else np).zeros((rows, *leaf.shape), leaf.dtype)


def _chunks(total: int, size: int) -> list[tuple[int, int]]:
    return [(begin, min(begin + size, total)) for begin in range(0, total, max(size, 1))]


@partial(jax.jit, static_argnums=(0, 1))
def _advance(
    body_fun: Callable[[Any], Any], transform: Callable[[Any], Any], value: PyTree, collection: PyTree, chunk: Array, span: Array
) -> tuple[PyTree, PyTree]:
    """Iterations `chunk[0]`, ..., `chunk[1] - 1`; from `span[0]` on, each group of `span[1]` leaves its last value in a row."""

    def iterate(i: Array, carry: tuple[PyTree, PyTree]) -> tuple[PyTree, PyTree]:
        value, collection = carry
        value = body_fun(value)
        is_kept = (i >= span[0]) & (lax.rem(i - span[0] + 1, span[1]) == 0)
        row = lax.max(i - span[0], jnp.zeros_like(i)) // span[1]

        def put() -> PyTree:
            return jax.tree.map(lambda rows, x: lax.dynamic_update_index_in_dim(rows, x, row, 0), collection, transform(value))

        return value, lax.cond(is_kept, put, lambda: collection)

    return lax.fori_loop(chunk[0], chunk[1], iterate, (jax.tree.map(jnp.asarray, value), collection))


def _show(bar: Any, begin: int, end: int, value: PyTree, options: dict[str, Any]) -> None:
    if bar.disable:
        return
    if "progbar_desc" in options:
        bar.set_description(options["progbar_desc"](end), refresh=False)
    if "diagnostics_fn" in options:
        bar.set_postfix_str(options["diagnostics_fn"](value), refresh=False)
    bar.update(end - begin)
