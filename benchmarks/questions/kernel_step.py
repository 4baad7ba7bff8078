"""How long does a transition of a kernel take, once compiled?"""

from typing import Any

from benchmarks.harness import Ask, Row, row
from benchmarks.instruments import CompileMeter, Library, key, run_kernel
from benchmarks.kernel_models import CASES, KernelCase

ASKED_OF = tuple(CASES)
REPETITIONS = 3


def measure(library_name: str, case: KernelCase) -> dict[str, Any]:
    """Seconds of warm runs, without compiling, over their iterations: the fastest counts."""
    library = Library.load(library_name)
    meter, arguments, draws = CompileMeter(), case.case.arguments(), case.case.long_draws
    mcmc = library.kernel_mcmc(case, num_samples=draws)
    mcmc.warmup(key(0), *arguments)
    run_kernel(mcmc, key(0), arguments)
    seconds = []
    for seed in range(REPETITIONS):
        with meter.interval() as interval:
            run_kernel(mcmc, key(seed), arguments)
        seconds.append(interval.running / draws)
    return {"seconds": min(seconds)}


def rows(name: str, ask: Ask) -> list[Row]:
    """Time per transition; of an ensemble, of all its chains."""
    return [row("transition", name, ask(), "seconds", "us", factor=1e6, goal=0.3 if name == "DiscreteHMCGibbs" else 0.7)]
