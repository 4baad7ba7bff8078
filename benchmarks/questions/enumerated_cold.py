"""How long is the first run of a model whose discrete sites are summed out, and how much memory does it take at its peak?"""

from typing import Any

from benchmarks.enumeration_models import CASES, EnumeratedCase
from benchmarks.harness import Ask, Row, row
from benchmarks.instruments import CompileMeter, Library, MemoryMeter, key, run

ASKED_OF = tuple(CASES)


def measure(library_name: str, case: EnumeratedCase) -> dict[str, Any]:
    """One chain from the construction of the kernel to the samples, compilation in it; imports and data are not counted."""
    library = Library.load(library_name, "contrib.control_flow", "contrib.funsor")
    rng_key, arguments = key(0), case.enumerated.arguments()
    meter = CompileMeter()
    with MemoryMeter() as memory, meter.interval() as first:
        steps = run(library.mcmc(case.enumerated, num_warmup=case.iterations, num_samples=case.iterations), rng_key, arguments)
    return {
        "seconds": first.seconds,
        "compile_seconds": first.compile_seconds,
        "programs": first.programs,
        "steps": steps,
        "growth": memory.growth,
    }


def rows(name: str, ask: Ask) -> list[Row]:
    """Seconds, programs, memory; the steps tell how much of the time chance has given."""
    figures = ask()
    iterations = CASES[name].iterations
    return [
        row(f"first run, {iterations:,} + {iterations:,}", name, figures, "seconds", "s", goal=0.5),
        row("  of which compilation", name, figures, "compile_seconds", "s"),
        row("  programs compiled", name, figures, "programs", ""),
        row("  leapfrog steps after warm-up", name, figures, "steps", ""),
        row("  memory at the peak", name, figures, "growth", "MB", factor=1e-6),
    ]
