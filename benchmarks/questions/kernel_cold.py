"""How long is the first run of a kernel?"""

from typing import Any

from benchmarks.harness import Ask, Row, row
from benchmarks.instruments import CompileMeter, Library, key, run_kernel
from benchmarks.kernel_models import CASES, KernelCase

ASKED_OF = tuple(CASES)


def measure(library_name: str, case: KernelCase) -> dict[str, Any]:
    """From the construction of the kernel to the samples, compilation in it; imports and data are not counted."""
    library = Library.load(library_name)
    rng_key, arguments, meter = key(0), case.case.arguments(), CompileMeter()
    with meter.interval() as first:
        run_kernel(library.kernel_mcmc(case, num_samples=case.iterations), rng_key, arguments)
    return {"seconds": first.seconds, "compile_seconds": first.compile_seconds, "programs": first.programs}


def rows(name: str, ask: Ask) -> list[Row]:
    """Seconds and programs."""
    figures, iterations = ask(), CASES[name].iterations
    return [
        row(f"first run, {iterations:,} + {iterations:,}", name, figures, "seconds", "s", goal=0.4),
        row("  of which compilation", name, figures, "compile_seconds", "s"),
        row("  programs compiled", name, figures, "programs", ""),
    ]
