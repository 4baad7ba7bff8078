"""Chains, advanced chunk by chunk: one after another, or each in a thread of its own, on the same compiled program.

Between two chunks Python has the chain in hand: it stores draws, reports progress, and stops when asked. Chunks change nothing
about the draws.
"""

import contextlib
import contextvars
import queue
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from operator import itemgetter
from types import FrameType
from typing import Any, Protocol

import jax
import numpy as np

from ppl._typing import PyTree
from ppl.infer.run.collect import Thinning, kept_between
from ppl.infer.run.store import Store

__all__ = ["ChainRun", "Monitor", "run_chains"]

FIRST_CHUNK = 100
SECONDS_PER_CHUNK = 0.2  # how long Ctrl-C may have to wait
SECONDS_PER_BATCH_CHUNK = 1.0  # longer, since the chains of a batch wait for each other at the end of a chunk

Reports = queue.SimpleQueue[tuple[int, int, Any]]
Advance = Callable[[PyTree, PyTree, np.ndarray], tuple[PyTree, dict[str, Any]]]


class Monitor(Protocol):
    """Told about progress, in the thread that waits for the chains."""

    def update(self, chain: int, done: int, rows: dict[str, np.ndarray], carry: PyTree) -> None:
        """Chain `chain` has done so many iterations; the rows of the last chunk, and where it is."""

    def close(self) -> None:
        """The run is over."""


@dataclass
class ChainRun:
    """One process (a chain, or a batch of them) on its way.

    Attributes:
        advance: the compiled program.
        carry: where the chain is.
        inputs: arrays that all chains share.
        total: iterations to do.
        thinning: which of them to keep.
        num_rows: what a buffer holds.
        max_chunk: iterations at most between two reports.
        stores: where to keep the rows: of the chain, or of each chain of a batch; none where nothing is kept.
        is_batch: whether rows have a chain axis, behind that of the draws.
        done: iterations done.
    """

    advance: Advance
    carry: PyTree
    inputs: PyTree
    total: int
    thinning: Thinning
    num_rows: int
    max_chunk: int
    stores: list[Store]
    is_batch: bool
    done: int = 0

    def next_chunk(self, seconds_per_iteration: float | None) -> int:
        """How many iterations to do next: what takes a moment, and fits into the buffer."""
        if seconds_per_iteration is None:
            wanted = FIRST_CHUNK
        else:
            seconds = SECONDS_PER_BATCH_CHUNK if self.is_batch else SECONDS_PER_CHUNK
            wanted = int(seconds / max(seconds_per_iteration, 1e-7)) + 1
        if self.thinning.step:
            wanted = min(wanted, self.num_rows * self.thinning.step)
        return min(wanted, self.max_chunk, self.total - self.done)

    def advance_by(self, count: int) -> dict[str, np.ndarray]:
        """Do `count` iterations, store what is to be kept, and return the rows: the kept ones, or else the last iteration."""
        begin, end = self.done, self.done + count
        span = np.array([begin, end, self.thinning.first, self.thinning.step], np.int32)
        self.carry, buffers = self.advance(self.carry, self.inputs, span)
        rows = jax.tree.map(np.asarray, buffers)
        kept = kept_between(begin, end, self.thinning)
        for i, store in enumerate(self.stores):
            store.append(jax.tree.map(itemgetter((slice(None), i)), rows) if self.is_batch else rows, kept)
        self.done = end
        return jax.tree.map(itemgetter(slice(max(kept, 1))), rows)

    def run(self, report: Callable[[dict[str, np.ndarray], PyTree], None], stopped: threading.Event) -> None:
        """Advance to the end, or until stopped."""
        pace: float | None = None
        while self.done < self.total and not stopped.is_set():
            count = self.next_chunk(pace)
            began = time.perf_counter()
            rows = self.advance_by(count)
            pace = (time.perf_counter() - began) / count
            report(rows, self.carry)
        for store in self.stores:
            store.flush()


def run_chains(chains: Sequence[ChainRun], *, threads: int, monitor: Monitor) -> bool:
    """Run chains in so many threads, and wait.

    Returns:
        Whether Ctrl-C stopped them; each chain then has what it had drawn.

    Raises:
        Exception: what a chain raised, after the others have stopped.
        KeyboardInterrupt: at a second Ctrl-C.
    """
    reports: Reports = queue.SimpleQueue()
    stopped = threading.Event()
    waiting = queue.SimpleQueue[int]()
    for number in range(len(chains)):
        waiting.put(number)

    # Double precision may hold in the caller's context only, which JAX keeps to the thread.
    is_double = jax.dtypes.canonicalize_dtype(float) == np.float64

    def work() -> None:
        with jax.enable_x64(is_double):
            while True:
                try:
                    number = waiting.get_nowait()
                except queue.Empty:
                    return
                _run_and_report(number, chains[number], reports, stopped)

    workers = [
        threading.Thread(target=contextvars.copy_context().run, args=(work,), name=f"ppl-chain-{i}", daemon=True)
        for i in range(min(threads, len(chains)))
    ]
    with _stopped_by_interrupt(stopped) as interrupted:
        try:
            for worker in workers:
                worker.start()
            _wait(len(chains), reports, monitor)
        finally:
            stopped.set()
            for worker in workers:
                if worker.ident is not None:
                    worker.join()
            monitor.close()
    return interrupted.is_set()


@contextlib.contextmanager
def _stopped_by_interrupt(stopped: threading.Event) -> Iterator[threading.Event]:
    """While in here the first Ctrl-C stops the chains, wherever it finds this thread; the event says that it came.

    A handler that somebody else has set stays. Signals reach the main thread only.
    """
    interrupted = threading.Event()

    def stop(number: int, frame: FrameType | None) -> None:
        if interrupted.is_set():
            signal.default_int_handler(number, frame)
        interrupted.set()
        stopped.set()

    in_main = threading.current_thread() is threading.main_thread()
    is_ours = in_main and signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if is_ours:
        signal.signal(signal.SIGINT, stop)
    try:
        yield interrupted
    finally:
        if is_ours:
            signal.signal(signal.SIGINT, signal.default_int_handler)


def _run_and_report(number: int, chain: ChainRun, reports: Reports, stopped: threading.Event) -> None:
    """Run a chain; its last report is None, or what it raised."""
    last: BaseException | None = None
    try:
        chain.run(lambda rows, carry: reports.put((number, chain.done, (rows, carry))), stopped)
    except BaseException as error:
        stopped.set()
        last = error
    reports.put((number, chain.done, last))


def _wait(num_chains: int, reports: Reports, monitor: Monitor) -> None:
    """Pass on reports until every chain has ended, and raise what one of them raised."""
    running, failure = num_chains, None
    while running:
        number, done, report = reports.get()
        if report is None or isinstance(report, BaseException):
            running -= 1
            failure = failure or report
        else:
            monitor.update(number, done, *report)
    if failure is not None:
        raise failure
