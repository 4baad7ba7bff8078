"""What does HMCECS cost as the data grow, and what are its draws worth beside those of NUTS on all data?"""

from typing import Any

import numpy as np

from benchmarks.harness import Ask, Row, row
from benchmarks.instruments import CompileMeter, Library, key, run_kernel
from benchmarks.kernel_models import KernelCase, logistic, logistic_data, subsampled_logistic, subsampling_kernel
from ppl.diagnostics import effective_sample_size

ASKED_OF = ("HMCECS",)
SIZES = (10_000, 100_000, 1_000_000)
DRAWS, REPETITIONS = 300, 3


def measure(library_name: str, case: KernelCase) -> dict[str, Any]:
    """Seconds per leapfrog step at each size, without what a run does once; at the middle one, effective draws per second."""
    library = Library.load(library_name)
    figures: dict[str, Any] = {}
    for size in SIZES:
        arguments = _arguments(size)
        found = _measure(library, subsampling_kernel(library.infer, _bound(library, subsampled_logistic), arguments), arguments)
        figures[f"step_{size}"] = found["step"]
        if size == SIZES[1]:
            inside = found
    arguments = _arguments(SIZES[1])
    whole = _measure(library, library.infer.NUTS(_bound(library, logistic)), arguments, repetitions=1)
    figures["growth"] = figures[f"step_{SIZES[2]}"] / figures[f"step_{SIZES[0]}"]
    figures["gain"] = (inside["effective"] / inside["seconds"]) / (whole["effective"] / whole["seconds"])
    error = np.hypot(inside["sd"], whole["sd"]) / np.sqrt(min(inside["effective"], whole["effective"]))
    figures["mean_apart"] = float(np.max(np.abs(inside["mean"] - whole["mean"]) / error))
    figures["sd_ratio"] = float(np.mean(inside["sd"] / whole["sd"]))
    return figures


def _arguments(size: int) -> tuple[np.ndarray, ...]:
    x, y = logistic_data(size)
    return x.astype(np.float32), y.astype(np.int32)


def _bound(library: Library, model: Any) -> Any:
    return lambda x, y: model(library.pp, library.dist, x, y)


def _measure(library: Library, kernel: Any, arguments: tuple[np.ndarray, ...], repetitions: int = REPETITIONS) -> dict[str, Any]:
    meter = CompileMeter()
    mcmc = library.infer.MCMC(kernel, num_warmup=DRAWS, num_samples=DRAWS, progress_bar=False)
    mcmc.warmup(key(0), *arguments)
    field = "num_steps" if type(kernel).__name__ == "NUTS" else "hmc_state.num_steps"
    spans = []
    for draws in (DRAWS, 5 * DRAWS):
        mcmc.num_samples, seconds = draws, []
        run_kernel(mcmc, key(0), arguments, field)
        for _ in range(repetitions):
            with meter.interval() as interval:
                run_kernel(mcmc, key(1), arguments, field)
            seconds.append(interval.running)
        steps = int(np.sum(np.asarray(mcmc.get_extra_fields()[field]), dtype=np.int64))
        spans.append((min(seconds), steps))
    (short, few), (long, many) = spans
    weights = np.asarray(mcmc.get_samples(group_by_chain=True)["weight"], np.float64)
    return {
        "seconds": long,
        "step": (long - short) / (many - few),
        "effective": float(np.min(effective_sample_size(weights))),
        "mean": weights.mean((0, 1)),
        "sd": weights.std((0, 1)),
    }


def rows(name: str, ask: Ask) -> list[Row]:
    """Steps, their growth, and the gain."""
    figures = ask()
    steps = [row(f"leapfrog step, {size:,} rows", name, figures, f"step_{size}", "us", factor=1e6) for size in SIZES]
    return [
        *steps,
        row("  at 1,000,000 rows over 10,000", name, figures, "growth", "x", goal=1.2, goal_on="ppl"),
        row("effective draws/s over NUTS", name, figures, "gain", "x", goal=5.0, goal_on="ppl", at_least=True),
        row("  means apart, in standard errors", name, figures, "mean_apart", "", goal=4.5, goal_on="ppl"),
        row("  standard deviations over NUTS", name, figures, "sd_ratio", "x"),
    ]
