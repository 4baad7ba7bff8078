"""What a measuring process holds: a library by name, and meters for time, compilation and memory."""

import importlib
import math
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import jax
import jax.monitoring
import numpy as np

from benchmarks.kernel_models import KernelCase
from benchmarks.models import Arguments, Case


@dataclass(frozen=True)
class Library:
    """The namespaces of ppl or of NumPyro."""

    name: str
    pp: Any
    dist: Any
    infer: Any

    @staticmethod
    def load(name: str, *further: str) -> "Library":
        """Import the library with its distributions and inference, and further modules that models find in its namespace."""
        for path in further:
            importlib.import_module(f"{name}.{path}")
        return Library(name, *(importlib.import_module(path) for path in (name, f"{name}.distributions", f"{name}.infer")))

    def mcmc(self, case: Case, *, num_samples: int = 1000, **options: Any) -> Any:
        """One chain of NUTS of 1,000 iterations of warm-up at default settings, without a bar unless said."""
        options = {"num_warmup": 1000, "progress_bar": False, **options}
        kernel_options = options.pop("kernel", {})
        return self.infer.MCMC(self.infer.NUTS(case.bind(self.pp, self.dist), **kernel_options), num_samples=num_samples, **options)

    def kernel_mcmc(self, case: KernelCase, *, num_samples: int) -> Any:
        """The run of a kernel beside NUTS."""
        kernel = case.make(self.infer, case.case.bind(self.pp, self.dist), case.case.arguments())
        options = {"num_warmup": case.iterations, "progress_bar": False, **case.options}
        return self.infer.MCMC(kernel, num_samples=num_samples, **options)


@dataclass
class Interval:
    """What passed between two moments: seconds in all, those in which a compiler was at work, and the programs asked for."""

    seconds: float = 0.0
    compile_seconds: float = 0.0
    programs: int = 0

    @property
    def running(self) -> float:
        """Seconds without those of compilation."""
        return self.seconds - self.compile_seconds


class CompileMeter:
    """Listens to JAX's own report of every program that goes to the compiler (or comes out of its cache on disk)."""

    def __init__(self) -> None:
        self._spans: list[tuple[float, float]] = []
        jax.monitoring.register_event_duration_secs_listener(self._listen)

    def _listen(self, event: str, duration: float, **_: Any) -> None:
        if event.endswith("backend_compile_duration"):
            now = time.perf_counter()
            self._spans.append((now - duration, now))

    @contextmanager
    def interval(self) -> Iterator[Interval]:
        """Measure the body; the yielded interval is filled when it ends."""
        result = Interval()
        before, start = len(self._spans), time.perf_counter()
        yield result
        result.seconds = time.perf_counter() - start
        result.compile_seconds, result.programs = _covered(self._spans[before:]), len(self._spans) - before


def _covered(spans: list[tuple[float, float]]) -> float:
    """Seconds in which at least one of the spans, which may overlap, was under way."""
    total, until = 0.0, -math.inf
    for begin, end in sorted(spans):
        total += max(end - max(begin, until), 0.0)
        until = max(until, end)
    return total


class MemoryMeter:
    """The growth of the process's resident memory at its peak, watched every five milliseconds from a thread (Linux)."""

    def __init__(self) -> None:
        self._stop = threading.Event()
        self._start = self._peak = self._resident()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> "MemoryMeter":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    @property
    def growth(self) -> int:
        """Bytes above the start."""
        return self._peak - self._start

    def _watch(self) -> None:
        while not self._stop.wait(0.005):
            self._peak = max(self._peak, self._resident())

    @staticmethod
    def _resident() -> int:
        with open("/proc/self/statm") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def key(seed: int) -> Any:
    """A random key, ready: making one compiles programs that are not the library's."""
    return jax.block_until_ready(jax.random.PRNGKey(seed))


def run(mcmc: Any, rng_key: Any, arguments: Arguments) -> int:
    """Run to the end, samples and all; the number of leapfrog steps after warm-up."""
    mcmc.run(rng_key, *arguments, extra_fields=("num_steps",))
    jax.block_until_ready(mcmc.get_samples())
    return _steps(mcmc)


def run_kernel(mcmc: Any, rng_key: Any, arguments: Arguments, *fields: str) -> None:
    """Run any kernel to the end, samples and all."""
    mcmc.run(rng_key, *arguments, extra_fields=fields)
    jax.block_until_ready(mcmc.get_samples())


def warm_up(mcmc: Any, rng_key: Any, arguments: Arguments) -> int:
    """Warm up; the number of leapfrog steps that took."""
    mcmc.warmup(rng_key, *arguments, extra_fields=("num_steps",), collect_warmup=True)
    return _steps(mcmc)


def _steps(mcmc: Any) -> int:
    return int(np.sum(np.asarray(mcmc.get_extra_fields()["num_steps"]), dtype=np.int64))
