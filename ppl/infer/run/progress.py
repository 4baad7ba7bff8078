"""Progress bars: a line for each chain, and one for the whole, drawn between chunks. Nothing is compiled for them."""

import time
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from tqdm.auto import tqdm

from ppl._typing import PyTree

__all__ = ["Bars", "Silent"]

SECONDS_BETWEEN_SUMMARIES = 1.0


class Silent:
    """No bar."""

    def update(self, chain: int, done: int, rows: dict[str, np.ndarray], carry: PyTree) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Do nothing."""


class Bars:
    """A bar for each chain and, for several, a line about the whole.

    Args:
        num_chains: number of bars.
        total: iterations of each chain.
        num_warmup: how many of them, in front, are warm-up.
        describe: what to say of a chain, from its carry.
        summarize: what to say of the whole, from the latest positions `(chains, draws, d)`; may return "".
        field: the field that holds positions.
        expand: gives the fields of rows their names.
        is_batch: whether rows have a chain axis, behind that of the draws.
    """

    def __init__(
        self,
        num_chains: int,
        total: int,
        num_warmup: int,
        describe: Callable[[PyTree], str],
        summarize: Callable[[np.ndarray], str],
        field: str,
        expand: Callable[[dict[str, Any]], dict[str, Any]],
        is_batch: bool = False,
    ) -> None:
        self.is_batch = is_batch
        self.num_warmup = num_warmup
        self.describe = describe
        self.summarize = summarize
        self.field = field
        self.expand = expand
        self.divergences = [0] * num_chains
        self.recent: list[list[np.ndarray]] = [[] for _ in range(num_chains)]
        self.last_summary = time.monotonic()
        names = [f"chain {i + 1}" for i in range(num_chains)] if num_chains > 1 else [""]
        self.names = names
        self.bars = [tqdm(total=total, position=i, leave=True, desc=self._title(i, 0), mininterval=0.1) for i in range(num_chains)]
        self.whole = tqdm(total=0, position=num_chains, leave=True, bar_format="{desc}")

    def _title(self, chain: int, done: int) -> str:
        phase = "warmup" if done < self.num_warmup else "sample"
        return f"{self.names[chain]} {phase}".strip()

    def update(self, chain: int, done: int, rows: dict[str, np.ndarray], carry: PyTree) -> None:
        """Move the bar of a chain, and from time to time the line about the whole."""
        bar = self.bars[chain]
        bar.set_description_str(self._title(chain, done), refresh=False)
        text = self.describe(carry)
        is_sampling = done > self.num_warmup
        if is_sampling:
            self.divergences[chain] += int(np.sum(self.expand(rows).get("diverging", 0)))
        if self.divergences[chain]:
            text += f", {self.divergences[chain]} divergences"
        bar.set_postfix_str(text, refresh=False)
        bar.update(done - bar.n)
        if is_sampling and self.field in rows:
            self.recent[chain].append(_by_chain(rows[self.field], self.is_batch))
            self._summarize()

    def _summarize(self, force: bool = False) -> None:
        now = time.monotonic()
        if not force and now - self.last_summary < SECONDS_BETWEEN_SUMMARIES:
            return
        self.last_summary = now
        draws = [np.concatenate(parts, axis=1) for parts in self.recent if parts]
        count = min((part.shape[1] for part in draws), default=0)
        if len(draws) == len(self.recent) and count >= 4:
            self.whole.set_description_str(self.summarize(np.concatenate([part[:, :count] for part in draws])))

    def close(self) -> None:
        """Draw everything a last time."""
        self._summarize(force=True)
        for bar in self.bars:
            bar.close()
        self.whole.close()


def _by_chain(rows: PyTree, is_batch: bool) -> np.ndarray:
    """Rows of a field, a pytree of `(n, ...)`, or of `(n, chains, ...)` for a batch, as `(chains, n, d)`.

    Whole numbers, such as states and indices of a subsample, are left out where there are others.
    """
    every = [np.asarray(leaf) for leaf in jax.tree.leaves(rows)]
    leaves = [
        leaf if is_batch else leaf[:, None] for leaf in every if leaf.dtype.kind == "f" or all(x.dtype.kind != "f" for x in every)
    ]
    return np.concatenate([leaf.reshape((*leaf.shape[:2], -1)) for leaf in leaves], axis=-1).swapaxes(0, 1)
