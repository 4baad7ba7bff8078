"""Run chains: compile, spread over threads and devices, collect."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import numpy as np

from ppl._typing import PyTree
from ppl.infer.run.chains import ChainRun, Monitor, run_chains
from ppl.infer.run.collect import Thinning, advance, buffer_rows
from ppl.infer.run.interleaved import Interleaved, advance_interleaved
from ppl.infer.run.process import Process
from ppl.infer.run.programs import Programs
from ppl.infer.run.store import Draws

__all__ = ["Execution", "FinishProgram", "Plan", "execute", "prepare_advance", "prepare_finish"]

FINISH_BYTES = 4_000_000
MAX_FINISHED = 512


class Plan(NamedTuple):
    """How long chains run, what they keep, and how often they report.

    Attributes:
        total: iterations of each chain.
        thinning: which to keep.
        max_chunk: iterations at most between two reports.
        threads: how many chains run at a time.
        is_batch: whether one process holds all chains.
    """

    total: int
    thinning: Thinning
    max_chunk: int
    threads: int
    is_batch: bool


class Execution(NamedTuple):
    """Where each process ended, and whether Ctrl-C stopped the run."""

    carries: list[PyTree]
    interrupted: bool


class FinishProgram(NamedTuple):
    """The program that finishes draws: its name, its batch, and shapes and types of what one draw becomes."""

    name: Any
    batch: int
    result: PyTree


def _advance_name(carry: PyTree, num_rows: int, device: Any) -> tuple[Any, ...]:
    return ("advance", tuple(np.shape(leaf) for leaf in jax.tree.leaves(carry)), num_rows, device)


def prepare_advance(programs: Programs, process: Process, carry: PyTree, inputs: PyTree, device: Any = None) -> int:
    """Begin to compile the program that advances chains with carries like this one; returns the number of rows of its buffer."""
    num_rows = buffer_rows(process, carry)
    name = _advance_name(carry, num_rows, device)
    span = np.zeros(4, np.int32)
    if isinstance(process, Interleaved):
        program: Any = partial(advance_interleaved, process, num_rows)
    else:
        program = partial(advance, process, num_rows)
    programs.prepare(name, program, (carry, inputs, span), lambda: process.wrappers)
    return num_rows


def execute(
    programs: Programs,
    process: Process,
    carries: Sequence[PyTree],
    inputs: PyTree,
    plan: Plan,
    draws: Draws | None,
    monitor: Monitor,
) -> Execution:
    """Run chains from these carries. With several devices and several threads, chains are spread over the devices.

    Args:
        programs: the compiled programs.
        process: what to execute.
        carries: where each process starts.
        inputs: arrays that all chains share.
        plan: how long, and what to keep.
        draws: where to keep it; None where the plan keeps nothing.
        monitor: told about progress.
    """
    stores = [] if draws is None else draws.stores
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
            stores=stores if plan.is_batch else stores[i : i + 1],
            is_batch=plan.is_batch,
        )
        for i, (device, carry, here, num_rows) in enumerate(chains)
    ]
    interrupted = run_chains(runs, threads=plan.threads, monitor=monitor)
    return Execution([run.carry for run in runs], interrupted)


def prepare_finish(
    programs: Programs, name: Any, finish: Callable[[Any, PyTree], PyTree], row: PyTree, inputs: PyTree
) -> FinishProgram:
    """Begin to compile the program that finishes draws in batches.

    Args:
        programs: where it is kept.
        name: what to call it.
        finish: of one draw and the inputs.
        row: shapes and types of a draw.
        inputs: arrays that all chains share.
    """
    result = jax.eval_shape(finish, row, inputs)
    size = sum(int(np.prod(leaf.shape)) * leaf.dtype.itemsize for leaf in jax.tree.leaves((result, row)))
    batch = int(np.clip(FINISH_BYTES // max(size, 1), 1, MAX_FINISHED))
    rows = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct((batch, *leaf.shape), leaf.dtype), row)
    programs.prepare((name, batch), jax.vmap(finish, in_axes=(0, None)), (rows, inputs))
    return FinishProgram((name, batch), batch, result)
