"""Progress bars: whatever the shape of a sample field, the line about the whole is told of positions `(chains, draws, d)`."""

import numpy as np
import pytest

from ppl.infer.run.progress import Bars

DRAWS = 10
PER_CHAIN = {
    "scalar": (np.zeros(DRAWS), 1),
    "vector": (np.zeros((DRAWS, 3)), 3),
    "matrix": (np.zeros((DRAWS, 2, 2)), 4),
    "tree": ({"a": np.zeros((DRAWS, 2)), "b": np.zeros(DRAWS)}, 3),
}


def _seen(num_bars: int, rows, is_batch: bool) -> list[tuple[int, ...]]:
    """The shapes that a run of two chunks in each bar, the first of them warm-up, tells of."""
    seen = []

    def summarize(positions: np.ndarray) -> str:
        seen.append(positions.shape)
        return ""

    bars = Bars(num_bars, 2 * DRAWS, DRAWS, lambda carry: "", summarize, "z", lambda rows: rows, is_batch)
    for chain in range(num_bars):
        bars.update(chain, DRAWS, {"z": rows}, None)
        bars.update(chain, 2 * DRAWS, {"z": rows}, None)
    bars.close()
    return seen


@pytest.mark.parametrize("kind", PER_CHAIN)
def test_chains_each_with_a_bar(kind):
    rows, width = PER_CHAIN[kind]
    assert _seen(2, rows, is_batch=False)[-1] == (2, DRAWS, width)


def test_vectorized_chains_share_a_bar():
    assert _seen(1, np.zeros((DRAWS, 4, 3)), is_batch=True)[-1] == (4, DRAWS, 3)
