"""How long does the import take beyond JAX's?"""

import time
from typing import Any

from benchmarks.harness import Ask, Row, fastest, row
from benchmarks.instruments import Library
from benchmarks.models import Case

ASKED_OF = ("eight_schools",)
REPETITIONS = 5


def measure(library_name: str, case: Case) -> dict[str, Any]:
    """Seconds of importing the library, its distributions and inference, after jax and numpy."""
    del case
    start = time.perf_counter()
    Library.load(library_name)
    return {"seconds": time.perf_counter() - start}


def rows(name: str, ask: Ask) -> list[Row]:
    """The fastest of several processes: the first may read files from disk."""
    del name
    figures = fastest([ask() for _ in range(REPETITIONS)])
    return [row("import beyond jax", "", figures, "seconds", "s", goal=0.4, goal_on="ppl")]
