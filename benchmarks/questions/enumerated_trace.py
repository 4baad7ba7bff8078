"""How long does JAX take to trace a log density in which discrete sites are summed out, and is it the one summed by hand?"""

import math
import time
from collections.abc import Callable
from typing import Any

import jax

from benchmarks.enumeration_models import CASES, EnumeratedCase
from benchmarks.harness import Ask, Row, fastest, row
from benchmarks.instruments import Library, key
from benchmarks.models import Arguments, Case

ASKED_OF = tuple(CASES)
ROUNDS = 3  # in turn, so that other work on the machine, which comes and goes, is no burden to one library alone
SECONDS = 1.0


def measure(library_name: str, case: EnumeratedCase) -> dict[str, Any]:
    """Seconds to trace the potential energy of both forms, the fastest of those within ``SECONDS``; and how far apart they are.

    They are those of the thread on a processor, since it only runs Python, and other processes then matter less.
    """
    library = Library.load(library_name, "contrib.control_flow", "contrib.funsor")
    arguments = case.enumerated.arguments()
    potential, start = _potential(library, case.enumerated, arguments)
    by_hand, _ = _potential(library, case.by_hand, arguments)
    summed, expected = float(jax.jit(potential)(start)), float(jax.jit(by_hand)(start))
    return {
        "enumerated": _seconds_to_trace(potential, start),
        "by_hand": _seconds_to_trace(by_hand, start),
        "difference": abs(summed - expected) / abs(expected),
    }


def _potential(library: Library, case: Case, arguments: Arguments) -> tuple[Callable[[Any], Any], Any]:
    model = case.bind(library.pp, library.dist)
    info = library.infer.util.initialize_model(key(0), model, model_args=arguments, dynamic_args=True)
    return lambda z: info.potential_fn(*arguments)(z), info.param_info.z


def _seconds_to_trace(potential: Callable[[Any], Any], start: Any) -> float:
    best = math.inf
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        begin = time.thread_time()
        jax.make_jaxpr(lambda z: potential(z))(start)  # a function of its own, which JAX has not traced
        best = min(best, time.thread_time() - begin)
    return best


def rows(name: str, ask: Ask) -> list[Row]:
    """Time of tracing, the fastest of all rounds, and the difference of the two forms."""
    answers = [ask() for _ in range(ROUNDS)]
    figures = fastest(answers)
    return [
        row("tracing the log density", name, figures, "enumerated", "ms", factor=1e3, goal=0.25),
        row("  marginalised by hand", name, figures, "by_hand", "ms", factor=1e3),
        row("  relative difference of the two", name, answers[0], "difference", "", goal=1e-4, goal_on="ppl"),
    ]
