"""Draws in host memory: whatever the sizes of chunks and batches, each draw is finished once, in order, in its place."""

import numpy as np
import pytest

from ppl.infer.run.store import Draws, Finish


def finish_of(batch):
    """Doubles the draws; counts its calls, and refuses batches of another size."""
    calls = []

    def program(rows, inputs):
        assert rows["x"].shape == (batch, 2)
        calls.append(1)
        return {"twice": rows["x"] * inputs}

    row, result = {"x": np.zeros(2, np.float32)}, {"twice": np.zeros(2, np.float32)}
    return Finish(program, 2, "z", batch, row, result), calls


@pytest.mark.parametrize("chunks", [[1, 1, 1], [7], [3, 4, 1], [0, 5, 0, 9], [12, 12]])
@pytest.mark.parametrize("batch", [1, 4, 32])
def test_every_draw_once_in_order(chunks, batch):
    total = sum(chunks)
    finish, calls = finish_of(batch)
    draws = Draws(2, total, {"i": np.zeros((), np.int32)}, finish)
    raw = np.arange(4 * total, dtype=np.float32).reshape(2, total, 2)
    for chain, store in enumerate(draws.stores):
        done = 0
        for count in chunks:
            # a buffer has rows behind those that are kept
            rows = np.concatenate([raw[chain, done : done + count], np.full((3, 2), np.nan, np.float32)])
            numbers = np.concatenate([np.arange(done, done + count), [-1, -1, -1]])
            store.append({"z": {"x": rows}, "i": numbers}, count)
            done += count
        store.flush()
        store.flush()
    rows, samples = draws.collected()
    np.testing.assert_array_equal(rows["i"], np.tile(np.arange(total), (2, 1)))
    np.testing.assert_array_equal(samples["twice"], 2 * raw)
    assert len(calls) == 2 * -(-total // batch)


@pytest.mark.parametrize(
    ("counts", "chains", "count"),
    [((10, 10), 2, 10), ((6, 5), 2, 5), ((10, 0), 1, 10), ((10, 3), 1, 10), ((2, 9, 8, 9), 3, 8), ((0, 0), 2, 0)],
)
def test_the_most_draws_that_chains_have_in_common(counts, chains, count):
    """After an interruption: chains that have hardly begun do not hide the draws of the others."""
    finish, _ = finish_of(4)
    draws = Draws(len(counts), 10, {}, finish)
    for store, drawn in zip(draws.stores, counts):
        store.append({"z": {"x": np.ones((10, 2), np.float32)}}, drawn)
        store.flush()
    samples = draws.collected()[1]["twice"]
    assert samples.shape == (chains, count, 2)
    assert (samples == 2).all()
