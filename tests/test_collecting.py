"""The loop that collects."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import random

from ppl._collecting import fori_collect


def increase(x):
    return x + 1


@pytest.mark.parametrize(
    ("lower", "upper", "thinning", "size", "expected"),
    [
        (0, 5, 1, None, [1, 2, 3, 4, 5]),
        (2, 9, 2, None, [5, 7, 9]),
        (0, 3, 1, 5, [1, 2, 3, 0, 0]),
        (4, 4, 1, None, []),
        (0, 0, 1, None, []),
    ],
)
def test_what_is_collected(lower, upper, thinning, size, expected):
    found, last = fori_collect(
        lower, upper, increase, np.int32(0), thinning=thinning, collection_size=size, return_last_val=True, progbar=False
    )
    assert found.tolist() == expected
    assert last == upper


def test_pytrees_with_keys_and_progress(capsys):
    def body(state):
        return {"x": state["x"] + 1.0, "key": random.fold_in(state["key"], 1)}

    found = fori_collect(
        0,
        7,
        body,
        {"x": jnp.zeros(2), "key": random.key(0)},
        progress_rate=3,
        progbar_desc=lambda i: f"at {i}",
        diagnostics_fn=lambda state: f"x={state['x'][0]:.0f}",
    )
    assert found["x"].shape == (7, 2) and found["key"].shape == (7,)
    shown = capsys.readouterr().err
    assert "at 7" in shown and "x=7" in shown


def test_one_program():
    runs = []

    def body(x):
        runs.append(1)
        return x + 1

    fori_collect(0, 3, body, np.int32(0), collection_size=4, progbar=False)
    traced = len(runs)
    fori_collect(1, 4, body, np.int32(9), collection_size=4, progbar=True, progress_rate=2)
    assert len(runs) == traced
    assert jax.jit(lambda x: fori_collect(1, 3, increase, x, lambda x: 2 * x))(1).tolist() == [6, 8]


@pytest.mark.parametrize("options", [{"lower": 3, "upper": 2}, {"thinning": 0}, {"collection_size": 1}])
def test_errors(options):
    with pytest.raises(ValueError, match="fori_collect"):
        fori_collect(**{"lower": 0, "upper": 4, "body_fun": increase, "init_val": 0, **options})
