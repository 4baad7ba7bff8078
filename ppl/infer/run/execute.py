"""Run chains: compile, spread over threads and devices, collect."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import numpy as np

from ppl._typing import PyTree
from ppl.infer.run.chains import ChainRun, Monitor, run_chains
from ppl.infer.run.collect import Thinning, advance, buffer_rows
from ppl.infer.run.process import Process
from ppl.infer.run.programs import Programs
from ppl.infer.run.store import Store, aligned_empty

__all__ = ["Execution", "Plan", "execute", "finish_rows", "prepare_advance", "prepare_finish"]

FINISH_BYTES = 4_000_000
MAX_FINISHED = 512


class Plan(NamedTuple):
    """How long chains run, what they keep, and how often they report.

    Attributes:
        total: iterations of each chain.
        thinning: which to keep.
        max_chunk: iterations at most between two reports.
        threads: how many chains run at a time.
        batch_size: chains that the one process of a lockstep run holds; 0 where each chain is a process.
    """

    total: int
    thinning: Thinning
    max_chunk: int
    threads: int
    batch_size: int


class Execution(NamedTuple):
    """What has been drawn, chain by chain, where each process ended, and whether Ctrl-C stopped the run."""

    stores: list[Store]
    carries: list[PyTree]
    interrupted: bool


def _advance_name(carry: PyTree, num_rows: int, device: Any) -> tuple[Any, ...]:
    return ("advance", tuple(np.shape(leaf) for leaf in jax.tree.leaves(carry)), num_rows, device)


def prepare_advance(programs: Programs, process: Process, carry: PyTree, inputs: PyTree, device: Any = None) -> int:
    """Begin to compile the program that advances chains with carries like this one; returns the number of rows of its buffer."""
    num_rows = buffer_rows(process, carry)
    name = _advance_name(carry, num_rows, device)
    span = np.zeros(4, np.int32)
    programs.prepare(name, partial(advance, process, num_rows), (carry, inputs, span), lambda: process.wrappers)
    return num_rows


def execute(
    programs: Programs, process: Process, carries: Sequence[PyTree], inputs: PyTree, plan: Plan, monitor: Monitor
) -> Execution:
    """Run chains from these carries. With several devices and several threads, chains are spread over the devices."""
    devices = jax.local_devices()
    is_spread = len(devices) > 1 and plan.threads > 1
    chains = []
    for i, carry in enumerate(carries):
        device = devices[i % len(devices)] if is_spread else None
        if device is not None:
            carry, here = jax.device_put((carry, inputs), device)
        else:
            here = inputs
        num_rows = prepare_advance(programs, process, carry, here, device)
        chains.append((device, carry, here, num_rows))
    runs = [
        ChainRun(
            advance=programs.get(_advance_name(carry, num_rows, device)),
            carry=carry,
            inputs=here,
            total=plan.total,
            thinning=plan.thinning,
            num_rows=num_rows,
            max_chunk=plan.max_chunk,
            stores=[Store() for _ in range(plan.batch_size or 1)],
            is_batch=plan.batch_size > 0,
        )
        for device, carry, here, num_rows in chains
    ]
    interrupted = run_chains(runs, threads=plan.threads, monitor=monitor)
    return Execution([store for run in runs for store in run.stores], [run.carry for run in runs], interrupted)


def prepare_finish(
    programs: Programs, name: Any, finish: Callable[[Any, PyTree], PyTree], row: PyTree, inputs: PyTree
) -> tuple[PyTree, int]:
    """Begin to compile the program that finishes draws in batches.

    Returns:
        Shapes and types of what one draw becomes, and the size of a batch.
    """
    shape = jax.eval_shape(finish, row, inputs)
    size = sum(int(np.prod(leaf.shape)) * leaf.dtype.itemsize for leaf in jax.tree.leaves((shape, row)))
    batch = int(np.clip(FINISH_BYTES // max(size, 1), 1, MAX_FINISHED))
    rows = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct((batch, *leaf.shape), leaf.dtype), row)
    programs.prepare((name, batch), jax.vmap(finish, in_axes=(0, None)), (rows, inputs))
    return shape, batch


def finish_rows(
    program: Callable[..., PyTree], stores: Sequence[Store], name: str, count: int, shape: PyTree, batch: int, inputs: PyTree
) -> PyTree:
    """Finish `count` rows of a field of each store, batch by batch, and free the rows on the way: memory hardly grows.

    Returns:
        A pytree like `shape` with leading axes `(chains, count)`.
    """
    result = jax.tree.map(lambda leaf: aligned_empty((len(stores), count, *leaf.shape), leaf.dtype), shape)
    for chain, store in enumerate(stores):
        done = 0
        for chunk in store.drain(name):
            length = min(len(jax.tree.leaves(chunk)[0]), count - done)
            for begin in range(0, length, batch):
                end = min(begin + batch, length)
                finished = program(jax.tree.map(partial(_padded, begin=begin, end=end, batch=batch), chunk), inputs)
                jax.tree.map(partial(_put, chain=chain, begin=done, length=end - begin), result, finished)
                done += end - begin
    return result


def _padded(rows: np.ndarray, begin: int, end: int, batch: int) -> np.ndarray:
    """Rows `begin` to `end`, filled up to a batch with the last one."""
    part = rows[begin:end]
    if len(part) == batch:
        return part
    return np.concatenate([part, np.broadcast_to(part[-1:], (batch - len(part), *part.shape[1:]))])


def _put(result: np.ndarray, finished: Any, chain: int, begin: int, length: int) -> None:
    result[chain, begin : begin + length] = np.asarray(finished)[:length]
