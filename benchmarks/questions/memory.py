"""How much memory do 4 x 100,000 draws take, at the peak, over the draws themselves?"""

from typing import Any

import jax

from benchmarks.harness import Ask, Row, row
from benchmarks.instruments import Library, MemoryMeter, key, run
from benchmarks.models import Case

ASKED_OF = ("radon",)
DRAWS = 100_000


def measure(library_name: str, case: Case) -> dict[str, Any]:
    """Growth of resident memory in a run, after a short one has paid for compiling; small trees, which change nothing stored."""
    library, arguments = Library.load(library_name), case.arguments()
    short, mcmc = (library.mcmc(case, num_samples=n, num_chains=4, kernel={"max_tree_depth": 2}) for n in (100, DRAWS))
    run(short, key(0), arguments)
    rng_key = key(1)
    with MemoryMeter() as meter:
        run(mcmc, rng_key, arguments)
        samples = mcmc.get_samples()
    draws = sum(leaf.nbytes for leaf in jax.tree.leaves(samples))
    return {"growth": meter.growth, "draws": draws, "over_draws": meter.growth / draws}


def rows(name: str, ask: Ask) -> list[Row]:
    """Peak growth over the bytes of the samples."""
    figures = ask()
    return [
        row("memory of 4 x 100,000 draws", name, figures, "growth", "MB", factor=1e-6),
        row("  over the draws themselves", name, figures, "over_draws", "x", goal=1.5, goal_on="ppl"),
    ]
