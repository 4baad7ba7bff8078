"""How much memory do 4 x 100,000 draws take, at the peak, over the draws themselves?"""

from typing import Any

import jax

from benchmarks.harness import Ask, Row, row
from benchmarks.instruments import Library, MemoryMeter, key, run
from benchmarks.models import Case

ASKED_OF = ("radon",)
CHAINS, DRAWS = 4, 100_000


def measure(library_name: str, case: Case) -> dict[str, Any]:
    """Growth of resident memory in a run, after a short one has paid for compiling; small trees, which change nothing stored.

    The same object takes the long run, or another one where an object keeps to its first number of draws.
    """
    library, arguments, rng_key = Library.load(library_name), case.arguments(), key(1)
    objects = [library.mcmc(case, num_samples=n, num_chains=CHAINS, kernel={"max_tree_depth": 2}) for n in (100, DRAWS)]
    run(objects[0], key(0), arguments)
    for mcmc in objects:
        mcmc.num_samples = DRAWS
        with MemoryMeter() as meter:
            run(mcmc, rng_key, arguments)
            leaves = jax.tree.leaves(mcmc.get_samples())
        if leaves[0].shape[0] == CHAINS * DRAWS:
            break
    draws = sum(leaf.nbytes for leaf in leaves)
    return {"growth": meter.growth, "draws": draws, "over_draws": meter.growth / draws}


def rows(name: str, ask: Ask) -> list[Row]:
    """Peak growth over the bytes of the samples."""
    figures = ask()
    return [
        row("memory of 4 x 100,000 draws", name, figures, "growth", "MB", factor=1e-6),
        row("  over the draws themselves", name, figures, "over_draws", "x", goal=1.5, goal_on="ppl"),
    ]
