"""The length of the first interval of slice sampling, tuned so that intervals grow as often as they shrink.

Source: Karamanis, Beutler (2021), "Ensemble slice sampling", Stat. Comput. 31:61, section 3.3 and algorithm 4.
"""

from typing import NamedTuple

import jax.numpy as jnp
from jax import lax

from ppl._typing import Array

__all__ = ["SliceTuning", "tune_length"]

WINDOWS_PER_E_FOLD = 5.0


class SliceTuning(NamedTuple):
    """The length, and how often intervals grew and shrank since it was last changed; scalars."""

    length: Array
    num_expansions: Array
    num_contractions: Array


def tune_length(tuning: SliceTuning, i: Array, num_expansions: Array, num_contractions: Array, is_tuned: Array) -> SliceTuning:
    """Take in what iteration `i` did, and at the end of a window set `length <- length * 2 E / (E + C)`.

    Windows grow by about a fifth from one to the next, and first have one iteration: so the length gets near in a few of them, and
    in the end is an average over many draws. What is not tuned keeps its length, and the counts are those of the last iteration.

    Args:
        tuning: so far.
        i: iterations before this one.
        num_expansions: E of this iteration, of all walkers.
        num_contractions: C of this iteration.
        is_tuned: whether to tune.
    """
    grown = num_expansions + jnp.where(is_tuned, tuning.num_expansions, 0)
    shrunk = num_contractions + jnp.where(is_tuned, tuning.num_contractions, 0)
    ends = is_tuned & (_window(i + 1) > _window(i)) & (grown + shrunk > 0)
    dtype = tuning.length.dtype
    at_least_one = jnp.maximum(grown, 1).astype(dtype)
    factor = 2.0 * at_least_one / (at_least_one + shrunk.astype(dtype))
    return SliceTuning(
        length=jnp.where(ends, factor * tuning.length, tuning.length),
        num_expansions=jnp.where(ends, 0, grown),
        num_contractions=jnp.where(ends, 0, shrunk),
    )


def _window(i: Array) -> Array:
    """The number of the window that holds iteration i."""
    return lax.floor(WINDOWS_PER_E_FOLD * jnp.log(i.astype(jnp.float32) + 1.0))
