"""How long does a useful leapfrog step take where many chains are vectorized, as on an accelerator?"""

from typing import Any

from benchmarks.harness import Ask, Row, row
from benchmarks.instruments import CompileMeter, Library, key, run
from benchmarks.models import Case

ASKED_OF = ("eight_schools", "radon", "logistic")
CHAINS = (16, 256)
DRAWS = 300


def measure(library_name: str, case: Case) -> dict[str, Any]:
    """Seconds of a warm run of 300 + 300 iterations, without compiling, over the steps of all chains after warm-up; and cold."""
    library, meter, arguments = Library.load(library_name), CompileMeter(), case.arguments()
    result: dict[str, Any] = {}
    for chains in CHAINS:
        mcmc = library.mcmc(case, num_warmup=DRAWS, num_samples=DRAWS, num_chains=chains, chain_method="vectorized")
        with meter.interval() as cold:
            run(mcmc, key(0), arguments)
        mcmc.post_warmup_state = None
        with meter.interval() as warm:
            steps = run(mcmc, key(0), arguments)
        result |= {f"cold_{chains}": cold.seconds, f"step_{chains}": warm.running / steps}
    return result


def rows(name: str, ask: Ask) -> list[Row]:
    """Seconds by number of chains."""
    figures = ask()
    return [
        line
        for chains in CHAINS
        for line in (
            row(f"{chains} vectorized chains, first run", name, figures, f"cold_{chains}", "s"),
            row("  per useful leapfrog step", name, figures, f"step_{chains}", "us", factor=1e6),
        )
    ]
