"""Many chains as one process, each at its own place in its own iteration.

Chains that begin every iteration together wait for the longest of their trajectories in each: among hundreds of chains of NUTS
there is always a deep tree. Here all chains that are under way take one step of their iterations at a time. Those that have come
to an end wait until they are a part of all, and then begin the next iteration: to end and to begin costs about as much as a step,
so it is not done for each chain alone. At the end of a call all chains have done the same iterations, and a chain's draws are those
of any other layout.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple, Protocol

import jax
import jax.numpy as jnp
from jax import lax

from ppl._typing import Array, PyTree
from ppl.infer.run.collect import empty_buffers, is_kept
from ppl.infer.run.process import Process, Vectorized

__all__ = ["Interleaved", "Stepwise", "advance_interleaved", "select_chains", "vectorized"]

PATIENCE = 4  # chains that wait begin their next iteration when they are one in so many


class Stepwise(Process, Protocol):
    """A process whose iteration is a loop: `open`, `extend` while `is_under_way`, `close`, and `learn` where it `learns`."""

    def open(self, carry: PyTree, inputs: PyTree) -> PyTree:
        """Begin an iteration."""

    def is_under_way(self, iteration: PyTree) -> Array:
        """Whether another step of it is wanted."""

    def extend(self, iteration: PyTree, inputs: PyTree) -> PyTree:
        """One step."""

    def close(self, carry: PyTree, iteration: PyTree, inputs: PyTree) -> PyTree:
        """The carry after the iteration, before anything is learnt from it; `carry` is the one before."""

    def choose(self, chosen: Array, iteration: PyTree, other: PyTree) -> PyTree:
        """Of two iterations of all chains, the first for the chains that are chosen: `select_chains`, but for room to work in.

        Where it does not matter what is in an array, that of `other` saves to copy it.
        """

    def learns(self, carry: PyTree, inputs: PyTree) -> Array:
        """Whether something is to be learnt from the iteration after this carry."""

    def learn(self, carry: PyTree, closed: PyTree, iteration: PyTree, inputs: PyTree) -> PyTree:
        """The carry `closed` with what is learnt, where it learns."""


class Interleaved(Vectorized):
    """Chains of a `Stepwise` process."""

    process: Stepwise


def vectorized(process: Any) -> Vectorized:
    """Many chains of a process as one."""
    is_stepwise = all(hasattr(process, name) for name in ("open", "is_under_way", "extend", "close", "choose", "learns", "learn"))
    return Interleaved(process) if is_stepwise else Vectorized(process)


class Loop(NamedTuple):
    """Chains on their way.

    Attributes:
        carry: of each, after its last whole iteration.
        iteration: of each, under way or at its end.
        number: of that iteration, `(chains,)`; the end of the span for a chain that has done them all.
        row: where its next row goes, `(chains,)`.
        buffers: the rows.
    """

    carry: PyTree
    iteration: PyTree
    number: Array
    row: Array
    buffers: dict[str, Array]


def advance_interleaved(
    interleaved: Interleaved, num_rows: int, carry: PyTree, inputs: PyTree, span: Array
) -> tuple[PyTree, dict[str, Array]]:
    """As `collect.advance`, of many chains."""
    process = interleaved.process
    begin, end, first, step = span[0], span[1], span[2], span[3]
    begin_all = _for_each(process.open, inputs)
    is_under_way = jax.vmap(process.is_under_way)
    value = jax.eval_shape(interleaved.read, carry)
    chains = jnp.arange(jax.tree.leaves(value)[0].shape[0])

    def is_waiting(loop: Loop) -> Array:
        return (loop.number < end) & ~is_under_way(loop.iteration)

    def move_on(number: Array, iteration: PyTree) -> PyTree:
        """Step after step, until enough chains wait."""
        is_active = number < end
        num_active = jnp.sum(is_active)

        def few_wait(iteration: PyTree) -> Array:
            return PATIENCE * jnp.sum(is_active & ~is_under_way(iteration)) < num_active

        def extend(iteration: PyTree) -> PyTree:
            return process.choose(~is_under_way(iteration), iteration, _for_each(process.extend, inputs)(iteration))

        return lax.while_loop(few_wait, extend, iteration)

    def close(loop: Loop) -> PyTree:
        """The carries, as if all iterations were at their ends."""
        closed = _for_each(process.close, inputs)(loop.carry, loop.iteration)
        learning = is_waiting(loop) & _for_each(process.learns, inputs)(loop.carry)
        learnt = partial(_for_each(process.learn, inputs), loop.carry, closed, loop.iteration)
        return lax.cond(jnp.any(learning), learnt, lambda: closed)

    def turn(loop: Loop) -> Loop:
        loop = loop._replace(iteration=move_on(loop.number, loop.iteration))
        waiting = is_waiting(loop)
        carry = select_chains(waiting, close(loop), loop.carry)
        row = jnp.where(waiting, loop.row, num_rows)
        return Loop(
            carry=carry,
            iteration=process.choose(waiting, begin_all(carry), loop.iteration),
            number=loop.number + waiting,
            row=loop.row + (waiting & is_kept(loop.number, first, step)),
            buffers=jax.tree.map(lambda b, x: b.at[row, chains].set(x), loop.buffers, interleaved.read(carry)),
        )

    start = Loop(
        carry=carry,
        iteration=begin_all(carry),
        number=jnp.full(chains.shape, begin),
        row=jnp.zeros(chains.shape, jnp.int32),
        buffers=empty_buffers(num_rows, value),
    )
    last = lax.while_loop(lambda loop: jnp.any(loop.number < end), turn, start)
    return last.carry, last.buffers


def _for_each(fn: Callable[..., Any], inputs: PyTree) -> Callable[..., Any]:
    """A function of one chain's arrays and of the inputs, as one of all chains' arrays."""
    return jax.vmap(lambda *arrays: fn(*arrays, inputs))


def select_chains(chosen: Array, if_true: PyTree, if_false: PyTree) -> PyTree:
    """Of arrays with a leading chain axis, chain by chain."""
    return jax.tree.map(lambda a, b: jnp.where(chosen.reshape(-1, *(1,) * (a.ndim - 1)), a, b), if_true, if_false)
