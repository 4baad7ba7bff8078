"""How long does a leapfrog step take where discrete sites are summed out, beside the same model marginalised by hand?"""

from typing import Any

from benchmarks.enumeration_models import CASES, EnumeratedCase
from benchmarks.harness import Ask, Row, row
from benchmarks.instruments import CompileMeter, Library, key, run, warm_up

ASKED_OF = tuple(CASES)
REPETITIONS = 5


def measure(library_name: str, case: EnumeratedCase) -> dict[str, Any]:
    """Seconds of warm runs, without compiling, over their steps: both forms in one process and in turns, the faster counts."""
    library = Library.load(library_name, "contrib.control_flow", "contrib.funsor")
    meter, arguments = CompileMeter(), case.enumerated.arguments()
    samplers = {}
    for form, model in (("enumerated", case.enumerated), ("by_hand", case.by_hand)):
        samplers[form] = library.mcmc(model, num_warmup=min(case.iterations, 300), num_samples=model.long_draws)
        warm_up(samplers[form], key(0), arguments)
        run(samplers[form], key(0), arguments)
    times: dict[str, list[float]] = {form: [] for form in samplers}
    for seed in range(REPETITIONS):
        for form, mcmc in samplers.items():
            with meter.interval() as interval:
                steps = run(mcmc, key(seed), arguments)
            times[form].append(interval.running / steps)
    best = {form: min(seconds) for form, seconds in times.items()}
    return {**best, "over_by_hand": best["enumerated"] / best["by_hand"]}


def rows(name: str, ask: Ask) -> list[Row]:
    """Time per step of both forms, and their ratio."""
    figures = ask()
    return [
        row("leapfrog step", name, figures, "enumerated", "us", factor=1e6, goal=0.8),
        row("  marginalised by hand", name, figures, "by_hand", "us", factor=1e6),
        row("  enumerated over by hand", name, figures, "over_by_hand", "x", goal=1.3, goal_on="ppl"),
    ]
