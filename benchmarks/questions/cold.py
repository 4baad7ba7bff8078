"""How long is the first run in a fresh process, and how many programs does it compile, with and without compiled ones on disk?"""

from typing import Any

from benchmarks.harness import Ask, Row, row, temporary_cache
from benchmarks.instruments import CompileMeter, Library, key, run
from benchmarks.models import CASES, Case

GOALS = {
    "eight_schools": 0.35,
    **dict.fromkeys(("radon", "irt_2pl", "mixture", "stochastic_volatility", "logistic", "gaussian_process"), 0.4),
    "sites_200": 0.25,
}
ASKED_OF = tuple(CASES)


def measure(library_name: str, case: Case) -> dict[str, Any]:
    """One chain of 1,000 + 1,000 from the construction of the kernel to the samples; imports and data are not counted.

    What sampling takes is taken from a further run of the same object, less what that compiles.
    """
    library = Library.load(library_name)
    rng_key, arguments = key(0), case.arguments()
    meter = CompileMeter()
    with meter.interval() as first:
        mcmc = library.mcmc(case)
        run(mcmc, rng_key, arguments)
    mcmc.post_warmup_state = None
    with meter.interval() as second:
        run(mcmc, rng_key, arguments)
    return {
        "seconds": first.seconds,
        "compile_seconds": first.compile_seconds,
        "programs": first.programs,
        "overhead": first.seconds - second.running,
    }


def rows(name: str, ask: Ask) -> list[Row]:
    """Fresh, then filling a cache, then with the filled cache."""
    fresh = ask()
    with temporary_cache() as cache:
        ask(cache=cache)
        filled = ask(cache=cache)
    return [
        row("first run", name, fresh, "seconds", "s", goal=GOALS.get(name)),
        row("of which compilation", name, fresh, "compile_seconds", "s", goal=0.25 if name == "sites_200" else None),
        row("programs compiled", name, fresh, "programs", "", goal=5, goal_on="ppl"),
        row("first run, cache filled", name, filled, "seconds", "s"),
        row("  less sampling", name, filled, "overhead", "s", goal=None if name == "sites_200" else 1.0, goal_on="ppl"),
    ]
