"""Intervals of highest posterior density, and the summary of a run as a dictionary or a table."""

from collections import OrderedDict
from collections.abc import Iterator, Mapping
from typing import Any

import jax
import numpy as np
from jax.typing import ArrayLike

from ppl.diagnostics.convergence import split_gelman_rubin
from ppl.diagnostics.draws import Floats, as_draws, axis_last, check_probability
from ppl.diagnostics.effective_size import effective_sample_size

Statistics = OrderedDict[str, np.ndarray]


def hpdi(x: ArrayLike, prob: float = 0.90, axis: int = 0) -> np.ndarray:
    """The narrowest interval between draws that holds a share ``prob`` of them.

    :param x: draws along ``axis``.
    :returns: lower and upper ends: leading axis 2, then the shape of ``x`` without ``axis``.
    :raises ValueError: unless ``0 < prob < 1``, or without draws.

    >>> hpdi([0.0, 1.0, 2.0, 3.0, 20.0], prob=0.6).tolist()
    [0.0, 3.0]
    """
    draws = axis_last(as_draws(x, "hpdi"), axis, "hpdi")
    check_probability("hpdi", prob)
    if draws.shape[-1] == 0:
        raise ValueError(f"hpdi: no draws along axis {axis} of an array of shape {np.shape(x)}")
    return _narrowest(np.sort(draws, axis=-1), prob)


def summary(samples: ArrayLike | Mapping[str, ArrayLike], prob: float = 0.90, group_by_chain: bool = True) -> dict[str, Statistics]:
    """Per site ``mean, std, median``, the ends of the HPDI of mass ``prob``, ``n_eff`` and split ``r_hat``.

    :param samples: draws by site, or by site a tree of draws, whose leaves are named by where they lie; anything else than a
        dictionary is taken as a tree whose leaves are ``Param:0``, ...
    :param group_by_chain: draws are ``(chains, draws, *shape)``; if False ``(draws, *shape)``, taken as one chain.
    :returns: for every site that is not empty the statistics as arrays of ``shape``; ``n_eff`` and ``r_hat`` are nan for a site
        that never changes or is not finite, or with fewer than 2 and 4 draws.
    :raises ValueError: unless ``0 < prob < 1``.

    >>> import numpy as np
    >>> list(summary({"x": np.zeros((2, 10))})["x"])
    ['mean', 'std', 'median', '5.0%', '95.0%', 'n_eff', 'r_hat']
    """
    check_probability("summary", prob)
    result = {}
    for name, value in _named_leaves(samples):
        draws = as_draws(value, f"site '{name}'")
        draws = draws if group_by_chain else draws[None]
        if draws.ndim < 2:
            raise ValueError(
                f"site '{name}': expected draws of shape (chains, draws, ...), found {draws.shape}; pass group_by_chain=False"
            )
        if draws.size:
            result[name] = _site_statistics(draws, prob)
    return result


def _named_leaves(samples: Any) -> Iterator[tuple[str, ArrayLike]]:
    if not isinstance(samples, Mapping):
        yield from ((f"Param:{i}", leaf) for i, leaf in enumerate(jax.tree.leaves(samples)))
        return
    for name, value in samples.items():
        leaves, _ = jax.tree_util.tree_flatten_with_path(value)
        if all(hasattr(leaf, "shape") for _, leaf in leaves):
            yield from ((f"{name}{jax.tree_util.keystr(path)}", leaf) for path, leaf in leaves)
        else:
            yield name, value


def format_summary(statistics: Mapping[str, Statistics]) -> str:
    """The lines of the table: one row per scalar coordinate, two decimals, under the names of the statistics."""
    labels = [
        f"{name}[{','.join(map(str, i))}]" if i else name for name, s in statistics.items() for i in np.ndindex(s["mean"].shape)
    ]
    if not labels:
        return ""
    rows = [row for s in statistics.values() for row in np.stack([np.ravel(column) for column in s.values()], axis=-1)]
    width = max(10, *map(len, labels))
    columns = next(iter(statistics.values()))
    lines = [" " * width + "".join(f"{column:>10}" for column in columns)]
    lines += [f"{label:>{width}}" + "".join(f" {number:9.2f}" for number in row) for label, row in zip(labels, rows)]
    return "\n".join(lines)


def print_summary(samples: ArrayLike | Mapping[str, ArrayLike], prob: float = 0.90, group_by_chain: bool = True) -> None:
    """Print the :func:`summary` as a table, between blank lines; nothing if there is nothing to print.

    >>> import numpy as np
    >>> print_summary({"x": np.arange(8.0).reshape(2, 4)})  # doctest: +NORMALIZE_WHITESPACE
    <BLANKLINE>
            mean   std  median  5.0%  95.0%  n_eff  r_hat
      x     3.50  2.45    3.50  0.00   7.00   1.38   3.72
    <BLANKLINE>
    """
    table = format_summary(summary(samples, prob, group_by_chain))
    if table:
        print(f"\n{table}\n")


def _site_statistics(draws: np.ndarray, prob: float) -> Statistics:
    chains, n, *shape = draws.shape
    flat = np.ascontiguousarray(np.moveaxis(draws.reshape(chains * n, *shape), 0, -1))
    ordered = np.sort(flat, axis=-1)
    low, high = _narrowest(ordered, prob)
    unknown = np.full(shape, np.nan)
    return OrderedDict(
        [
            ("mean", flat.mean(axis=-1, dtype=np.float64)),
            ("std", flat.std(axis=-1, ddof=1, dtype=np.float64) if chains * n > 1 else unknown),
            ("median", 0.5 * (ordered[..., (chains * n - 1) // 2] + 1.0 * ordered[..., chains * n // 2])),
            (f"{50 * (1 - prob):.1f}%", low),
            (f"{50 * (1 + prob):.1f}%", high),
            ("n_eff", effective_sample_size(draws) if n >= 2 else unknown),
            ("r_hat", split_gelman_rubin(draws) if n >= 4 else unknown),
        ]
    )


def _narrowest(ordered: Floats, prob: float) -> np.ndarray:
    """The narrowest interval of a share ``prob`` of values sorted along the last axis."""
    count = ordered.shape[-1]
    reach = min(int(prob * count), count - 1)
    left, right = ordered[..., : count - reach], ordered[..., reach:]
    start = np.argmin(1.0 * right - left, axis=-1)[..., None]
    return np.stack([np.take_along_axis(left, start, -1)[..., 0], np.take_along_axis(right, start, -1)[..., 0]])
