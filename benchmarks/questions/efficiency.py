"""How much does a gradient buy: smallest effective sample size per leapfrog step, and divergences, over five seeds?"""

from typing import Any

import numpy as np

from benchmarks.harness import Ask, Row, row, temporary_cache
from benchmarks.instruments import Library, key, run, warm_up
from benchmarks.models import CASES, Case
from ppl.diagnostics import ess_bulk

ASKED_OF = tuple(CASES)
SEEDS = 5


def measure(library_name: str, case: Case) -> dict[str, Any]:
    """Means over seeds of the smallest bulk size of one chain of 1,000 + 1,000, per step after warm-up and per step in all."""
    library, arguments = Library.load(library_name), case.arguments()
    sizes, steps, warm_up_steps, divergences = [], [], [], 0
    for seed in range(SEEDS):
        mcmc = library.mcmc(case)
        warm_up_steps.append(warm_up(mcmc, key(seed), arguments))
        steps.append(run(mcmc, key(seed + 100), arguments))
        sizes.append(min(float(np.min(ess_bulk(draws))) for draws in mcmc.get_samples(group_by_chain=True).values()))
        divergences += int(np.sum(mcmc.get_extra_fields()["diverging"]))
    per_step = np.array(sizes) / np.array(steps)
    return {
        "smallest_size": float(np.mean(sizes)),
        "per_step": float(per_step.mean()),
        "per_step_error": float(per_step.std(ddof=1) / np.sqrt(SEEDS)),
        "per_step_in_all": float(np.mean(np.array(sizes) / (np.array(steps) + np.array(warm_up_steps)))),
        "divergences": divergences,
    }


def rows(name: str, ask: Ask) -> list[Row]:
    """Efficiencies; the goal on divergences is the other library's number (none may be added to none)."""
    with temporary_cache() as cache:
        figures = ask(cache=cache)
    theirs = figures.get("numpyro", {}).get("divergences")
    goal = {"goal": 0, "goal_on": "ppl"} if theirs == 0 else {}
    return [
        row("smallest ESS per 1,000 steps", name, figures, "per_step", "", factor=1000, goal=1.0, at_least=True),
        row("  its error over the seeds", name, figures, "per_step_error", "", factor=1000),
        row("  warm-up steps included", name, figures, "per_step_in_all", "", factor=1000),
        row("smallest ESS", name, figures, "smallest_size", ""),
        row("divergences in five runs", name, figures, "divergences", "", **goal),
    ]
