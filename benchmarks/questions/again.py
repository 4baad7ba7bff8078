"""What does a second run of the same object cost beyond its sampling: other data of one shape, other numbers of draws, a bar?"""

import contextlib
import io
from typing import Any

from benchmarks.harness import Ask, Row, row
from benchmarks.instruments import CompileMeter, Library, key, run, warm_up
from benchmarks.models import Case

ASKED_OF = ("eight_schools", "radon", "irt_2pl")
CHANGES = {"data": "other data", "draws": "other number of draws", "bar": "with a bar"}


def measure(library_name: str, case: Case) -> dict[str, Any]:
    """Seconds of each kind of second run, less leapfrog steps times the time per step; and the programs compiled in it."""
    library = Library.load(library_name)
    meter = CompileMeter()
    mcmc, rng_key, other_data = library.mcmc(case), key(1), case.arguments(1)
    run(mcmc, key(0), case.arguments())
    steps, intervals = {}, {}
    for kind in CHANGES:
        mcmc.post_warmup_state = None
        mcmc.num_samples = 1500 if kind == "draws" else 1000
        mcmc.progress_bar = kind == "bar"
        with contextlib.redirect_stderr(io.StringIO()), meter.interval() as intervals[kind]:
            steps[kind] = run(mcmc, rng_key, other_data)
    per_step = _seconds_per_step(library, case, meter)
    warm_up_steps = warm_up(library.mcmc(case), rng_key, other_data)
    result: dict[str, Any] = {}
    for kind, interval in intervals.items():
        result[f"{kind}_seconds"] = interval.seconds - per_step * (steps[kind] + warm_up_steps)
        result[f"{kind}_programs"] = interval.programs
    return result


def _seconds_per_step(library: Library, case: Case, meter: CompileMeter) -> float:
    mcmc = library.mcmc(case, num_samples=case.long_draws)
    arguments = case.arguments()
    warm_up(mcmc, key(1), arguments)
    run(mcmc, key(1), arguments)
    with meter.interval() as interval:
        steps = run(mcmc, key(2), arguments)
    return interval.running / steps


def rows(name: str, ask: Ask) -> list[Row]:
    """Seconds beyond sampling, and programs."""
    figures = ask()
    return [
        line
        for kind, words in CHANGES.items()
        for line in (
            row(f"second run, {words}", name, figures, f"{kind}_seconds", "s", goal=0.1, goal_on="ppl"),
            row("  programs compiled", name, figures, f"{kind}_programs", "", goal=0, goal_on="ppl"),
        )
    ]
