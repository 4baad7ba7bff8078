"""How much faster are four chains in parallel than one after another, with nothing set beforehand?"""

from typing import Any

from benchmarks.harness import Ask, Row, row
from benchmarks.instruments import CompileMeter, Library, key, run
from benchmarks.models import Case

ASKED_OF = ("eight_schools", "radon", "irt_2pl")


def measure(library_name: str, case: Case) -> dict[str, Any]:
    """Seconds of a warm run of four chains by each method, without compiling; the better of two."""
    library = Library.load(library_name)
    meter, arguments = CompileMeter(), case.arguments()
    seconds = {}
    for method in ("sequential", "parallel"):
        mcmc = library.mcmc(case, num_samples=case.long_draws, num_chains=4, chain_method=method)
        run(mcmc, key(0), arguments)
        times = []
        for seed in (1, 2):
            with meter.interval() as interval:
                run(mcmc, key(seed), arguments)
            times.append(interval.running)
        seconds[method] = min(times)
    return {**seconds, "gain": seconds["sequential"] / seconds["parallel"]}


def rows(name: str, ask: Ask) -> list[Row]:
    """Seconds by method, and the gain, for which two cores are needed."""
    figures = ask()
    return [
        row("four chains, sequential", name, figures, "sequential", "s"),
        row("four chains, parallel", name, figures, "parallel", "s"),
        row("gain of parallel", name, figures, "gain", "x", goal=1.8, goal_on="ppl", at_least=True),
    ]
