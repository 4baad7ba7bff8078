"""The generalised U-turn criterion, for the whole tree and for the sub-trees that close at a leaf.

A tree is built leaf by leaf. A balanced sub-tree closes at an odd leaf n (counted from 0), one for each trailing one bit of n,
and only one leaf per level has to be remembered for it. Beside the criterion on a sub-tree's own ends, two more across the junction
of its halves see the turns that the ends alone miss where steps resonate with the period of a near normal target.

Source: Betancourt (2017), arXiv:1701.02434, appendix A.4.2 (criterion); Phan, Pradhan, Jankowiak (2019), arXiv:1912.11554,
appendix A (iterative form).
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from ppl._typing import Array
from ppl.infer.algorithms.metric import Kinetic, Metric

__all__ = ["Leaf", "checkpoint_slot", "closing_subtrees", "is_turning", "is_turning_across", "new_checkpoints"]


class Leaf(NamedTuple):
    """A leaf of the sub-tree that is being built: number, momentum `(d,)`, sum of the momenta of leaves 0 to n `(d,)`."""

    number: Array
    momentum: Array
    momentum_sum: Array


def is_turning(kinetic: Kinetic, metric: Metric, first: Array, last: Array, momentum_sum: Array) -> Array:
    """v_first . rho <= 0 or v_last . rho <= 0, for the momenta at the ends of a (sub-)tree and the sum rho over all its leaves."""
    along_first = jnp.sum(kinetic.velocity(metric, first) * momentum_sum)
    along_last = jnp.sum(kinetic.velocity(metric, last) * momentum_sum)
    return (along_first <= 0) | (along_last <= 0)


def is_turning_across(
    kinetic: Kinetic, metric: Metric, first: tuple[Array, Array], last: tuple[Array, Array], sums: tuple[Array, Array]
) -> Array:
    """The criterion for two neighbouring trees A, B as one, for A with the first leaf of B, and for B with the last leaf of A.

    Args:
        kinetic: the kinetic energy, whose gradient is the velocity.
        metric: the metric.
        first: momenta at the first leaf of A and the last leaf of A.
        last: momenta at the first leaf of B and the last leaf of B.
        sums: sums of the momenta over A and over B.
    """
    a_first, a_last = first
    b_first, b_last = last
    a_sum, b_sum = sums
    return (
        is_turning(kinetic, metric, a_first, b_last, a_sum + b_sum)
        | is_turning(kinetic, metric, a_first, b_first, a_sum + b_first)
        | is_turning(kinetic, metric, a_last, b_last, b_sum + a_last)
    )


def trailing_ones(n: Array) -> Array:
    """How many one bits end the binary form of n."""
    return lax.population_count(n ^ (n + 1)) - 1


def new_checkpoints(max_depth: int, prototype: Array) -> Array:
    """Room for the leaves to be remembered, `(2 max_depth, 2, d)`: momentum and momentum sum of each.

    The first half holds first leaves (an even leaf n in slot popcount(n)), the second the last leaves of left halves (an odd leaf
    n in slot max_depth + trailing ones of n).
    """
    return jnp.zeros((2 * max_depth, 2, *prototype.shape), prototype.dtype)


def checkpoint_slot(index: Array, max_depth: int) -> Array:
    """Where the leaf is to be remembered."""
    is_even = (index & 1) == 0
    last_slot = jnp.minimum(max_depth + trailing_ones(index), 2 * max_depth - 1)
    return lax.select(is_even, lax.population_count(index), last_slot)


def _recall(checkpoints: Array, slot: Array) -> tuple[Array, Array]:
    row = lax.dynamic_index_in_dim(checkpoints, slot, keepdims=False)
    return row[0], row[1]


def closing_subtrees(kinetic: Kinetic, metric: Metric, leaf: Leaf, checkpoints: Array) -> Array:
    """Whether a balanced sub-tree that closes at this leaf turns.

    On a CPU they are looked at one after another, smallest first, and none after the first that does. An accelerator looks at those
    of all sizes at once: there a loop costs more, which waits for its condition each time.
    """
    max_depth = checkpoints.shape[0] // 2
    num_closing = trailing_ones(leaf.number)
    newest_first = lax.population_count(leaf.number >> 1)

    def turns(level: Array) -> Array:
        is_pair = level == 1
        a_first, a_first_sum = _recall(checkpoints, newest_first - level + 1)
        a_last, a_last_sum = _recall(checkpoints, lax.select(is_pair, newest_first, max_depth + level - 1))
        b_first, _ = _recall(checkpoints, lax.select(is_pair, newest_first, newest_first - level + 2))
        a_sum = a_last_sum - a_first_sum + a_first
        b_sum = leaf.momentum_sum - a_last_sum
        b_first = lax.select(is_pair, leaf.momentum, b_first)
        return is_turning_across(kinetic, metric, (a_first, a_last), (b_first, leaf.momentum), (a_sum, b_sum))

    if jax.default_backend() != "cpu":
        levels = jnp.arange(1, max_depth + 1, dtype=num_closing.dtype)
        return jnp.any(jax.vmap(turns)(levels) & (levels <= num_closing))

    def wanted(carry: tuple[Array, Array]) -> Array:
        level, turning = carry
        return (level <= num_closing) & ~turning

    one = lax.full_like(num_closing, 1)
    return lax.while_loop(wanted, lambda carry: (carry[0] + 1, turns(carry[0])), (one, one < 0))[1]
