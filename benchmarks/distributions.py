"""Densities with their gradients, draws, and construction of every family beside NumPyro's: ``python -m benchmarks.distributions``.

Both libraries run in this one process, in turns, on the same parameters of about 10^5 elements; figures are the fastest of
several runs. Prints a table of ratios with their medians, and writes JSON.
"""

import argparse
import importlib
import importlib.metadata
import json
import math
import platform
import statistics
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.distribution_cases import CASES, Case, Parameters

LIBRARIES = ("ppl", "numpyro")
MEASURES = ("density", "draw", "construct")
GOALS = {"density": (0.9, 1.2), "draw": (0.9, 1.2), "construct": (0.5, math.inf)}
ROUNDS = 7
MIN_SECONDS = 0.02
CONSTRUCTIONS = 200  # in one trace, so that starting the trace does not count


@dataclass(frozen=True)
class Figure:
    """Seconds of one call for both libraries."""

    measure: str
    case: str
    ppl: float
    numpyro: float

    @property
    def ratio(self) -> float:
        """Ours over theirs."""
        return self.ppl / self.numpyro


def main() -> int:
    """Run the command line; the exit status is 0 unless a measurement failed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.distributions", description=__doc__)
    parser.add_argument("cases", nargs="*", metavar="case", help="names of families; all by default")
    parser.add_argument("--measures", nargs="+", choices=MEASURES, default=list(MEASURES))
    parser.add_argument("--json", metavar="FILE", type=Path, default=Path("results/distributions.json"))
    options = parser.parse_args()
    if unknown := sorted(set(options.cases) - set(CASES)):
        parser.error(f"no case {', '.join(unknown)}; the cases are {', '.join(CASES)}")
    warnings.simplefilter("ignore")
    libraries = {name: importlib.import_module(f"{name}.distributions") for name in LIBRARIES}
    parameters = Parameters(np.random.default_rng(0))
    print(f"{'case':<32}{'measure':<12}{'ppl':>12}{'numpyro':>12} us{'ratio':>8}")
    figures: list[Figure] = []
    failures: list[str] = []
    for name in options.cases or CASES:
        for measure in options.measures:
            try:
                figure = Figure(measure, name, **_measure(measure, CASES[name], libraries, parameters))
            except Exception as error:
                failures.append(f"{name}, {measure}: {type(error).__name__}: {error}")
                print(failures[-1][:300], file=sys.stderr, flush=True)
                continue
            figures.append(figure)
            print(f"{name:<32}{measure:<12}{figure.ppl * 1e6:>12.1f}{figure.numpyro * 1e6:>12.1f}{figure.ratio:>11.3f}", flush=True)
    _summarize(figures)
    options.json.parent.mkdir(parents=True, exist_ok=True)
    rows = [vars(figure) | {"ratio": figure.ratio} for figure in figures]
    versions = {name: importlib.metadata.version(name) for name in ("jax", *LIBRARIES)}
    options.json.write_text(json.dumps({"machine": platform.platform(), **versions, "rows": rows, "failures": failures}, indent=1))
    print(f"written to {options.json}")
    return 1 if failures else 0


def _summarize(figures: list[Figure]) -> None:
    for measure in MEASURES:
        ratios = {figure.case: figure.ratio for figure in figures if figure.measure == measure}
        if not ratios:
            continue
        median_goal, worst_goal = GOALS[measure]
        above = ", ".join(f"{case} {ratio:.2f}" for case, ratio in ratios.items() if ratio > worst_goal) or "none"
        median = statistics.median(ratios.values())
        print(f"{measure}: median {median:.3f} (goal {median_goal}); above {worst_goal}: {above}")


def _measure(measure: str, case: Case, libraries: dict[str, Any], parameters: Parameters) -> dict[str, float]:
    make = {"density": _density, "draw": _draw, "construct": _construct}[measure]
    calls = {name: make(case, dist, libraries["ppl"], parameters) for name, dist in libraries.items()}
    best = dict.fromkeys(calls, math.inf)
    for _ in range(ROUNDS):
        for name, call in calls.items():
            best[name] = min(best[name], _seconds(call))
    return {name: seconds / (CONSTRUCTIONS if measure == "construct" else 1) for name, seconds in best.items()}


def _seconds(call: Callable[[], Any]) -> float:
    """Seconds of one call, from as many as fill a moment."""
    count, elapsed = 1, 0.0
    while True:
        start = time.perf_counter()
        for _ in range(count):
            out = call()
        jax.block_until_ready(out)
        elapsed = time.perf_counter() - start
        if elapsed >= MIN_SECONDS:
            return elapsed / count
        count *= max(2, min(100, math.ceil(1.2 * MIN_SECONDS / max(elapsed, 1e-6))))


def _density(case: Case, dist: Any, ours: Any, parameters: Parameters) -> Callable[[], Any]:
    """The log density with its gradient by all continuous parameters, and by the value where that is continuous."""
    args = [jnp.asarray(arg) for arg in case.arguments(parameters)]
    value = jax.jit(lambda args: case.make(ours, *args).sample(jax.random.key(1)))(args)
    floats = [i for i, arg in enumerate(args) if jnp.issubdtype(arg.dtype, jnp.floating)]
    by_value = jnp.issubdtype(value.dtype, jnp.floating)

    @jax.jit
    def call(varied: list[Any], value: Any) -> Any:
        def log_prob(varied: list[Any], value: Any) -> Any:
            full: list[Any] = list(args)
            for i, arg in zip(floats, varied):
                full[i] = arg
            return case.make(dist, *full).log_prob(value).sum()

        return jax.value_and_grad(log_prob, (0, 1) if by_value else 0)(varied, value)

    varied = [args[i] for i in floats]
    return lambda: call(varied, value)


def _draw(case: Case, dist: Any, ours: Any, parameters: Parameters) -> Callable[[], Any]:
    args = [jnp.asarray(arg) for arg in case.arguments(parameters)]
    call = jax.jit(lambda key, args: case.make(dist, *args).sample(key))
    keys = _keys()
    return lambda: call(next(keys), args)


def _keys() -> Iterator[Any]:
    keys = list(jax.random.split(jax.random.key(0), 16))
    while True:
        yield from keys


def _construct(case: Case, dist: Any, ours: Any, parameters: Parameters) -> Callable[[], Any]:
    """Constructions with validation, as in a model that is traced: parameters are tracers."""
    args = [np.asarray(arg) for arg in case.arguments(parameters)]

    def call() -> None:
        def trace(*args: Any) -> int:  # a new function each time, which JAX has not traced before
            for _ in range(CONSTRUCTIONS):
                case.make(dist, *args)
            return 0

        jax.eval_shape(trace, *args)

    return call


if __name__ == "__main__":
    sys.exit(main())
