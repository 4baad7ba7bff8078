"""The harness: every measurement in a process of its own, for each library alike; rows, ratios and the table.

``python -m benchmarks.harness QUESTION LIBRARY CASE`` is such a process: it prints its figures as JSON in its last line.
"""

import importlib
import json
import math
import os
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import jax

from benchmarks import enumeration_models, kernel_models, models

QUESTIONS = ("cold", "again", "step", "efficiency", "chains", "lockstep", "imports", "memory")
LIBRARIES = ("ppl", "numpyro")
TIME_LIMIT = 3600

Figures = Mapping[str, Any]
Ask = Callable[..., Mapping[str, Figures]]


@dataclass(frozen=True)
class Row:
    """One figure for both libraries; ``goal`` bounds the ratio, or with ``goal_on="ppl"`` our own figure, from above or below."""

    measure: str
    case: str
    ppl: float
    numpyro: float
    unit: str
    goal: float | None = None
    goal_on: str = "ratio"
    at_least: bool = False

    @property
    def ratio(self) -> float:
        """Ours over theirs; nan if one is missing or theirs is 0."""
        return self.ppl / self.numpyro if self.numpyro else math.nan

    @property
    def met(self) -> bool | None:
        """Whether the goal is reached; None without a goal or without the figures."""
        judged = self.ratio if self.goal_on == "ratio" else self.ppl
        if self.goal is None or math.isnan(judged):
            return None
        return judged >= self.goal if self.at_least else judged <= self.goal

    def line(self) -> str:
        """A row of the table."""
        goal = ""
        if self.goal is not None:
            verdict = {True: "met", False: "MISSED", None: "?"}[self.met]
            goal = f"{self.goal_on} {'>=' if self.at_least else '<='} {self.goal:g}: {verdict}"
        figures = f"{_number(self.ppl):>11}{_number(self.numpyro):>11} {self.unit:<6}{_number(self.ratio):>8}"
        return f"{self.measure:<34}{self.case:<23}{figures}  {goal}"

    def as_dict(self) -> dict[str, Any]:
        """For JSON; unknown figures are null."""
        figures = {**asdict(self), "ratio": self.ratio, "met": self.met}
        return {key: None if isinstance(value, float) and math.isnan(value) else value for key, value in figures.items()}


HEADER = f"{'measure':<34}{'case':<23}{'ppl':>11}{'numpyro':>11} {'unit':<6}{'ratio':>8}  goal"


def row(measure: str, case: str, figures: Mapping[str, Figures], key: str, unit: str, *, factor: float = 1.0, **goal: Any) -> Row:
    """A row out of one key of both libraries' figures, in units of ``1 / factor``."""
    values = {library: factor * float(figures.get(library, {}).get(key, math.nan)) for library in LIBRARIES}
    return Row(measure=measure, case=case, unit=unit, **values, **goal)


def fastest(answers: Sequence[Mapping[str, Figures]]) -> dict[str, dict[str, float]]:
    """The least of each figure among answers to one question, for each library."""
    return {
        library: {key: min(answer[library][key] for answer in answers) for key in figures}
        for library, figures in answers[0].items()
    }


def asker(question: str, case: str, libraries: tuple[str, ...]) -> Ask:
    """A function that measures a case with each library in a fresh process; it takes a directory for compiled programs."""

    def ask(*, cache: str | None = None) -> dict[str, Figures]:
        return {
            library: measure_in_fresh_process(question, library, case, cache=None if cache is None else f"{cache}/{library}")
            for library in libraries
        }

    return ask


def measure_in_fresh_process(question: str, library: str, case: str, *, cache: str | None = None) -> Figures:
    """Figures of a question; without ``cache`` nothing compiled earlier is used.

    :raises RuntimeError: with the end of its output if the process fails.
    """
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("JAX_COMPILATION_CACHE", "JAX_PERSISTENT"))
    }
    if cache is not None:
        environment |= {
            "JAX_COMPILATION_CACHE_DIR": cache,
            "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
            "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
        }
    command = [sys.executable, "-m", "benchmarks.harness", question, library, case]
    root = Path(__file__).resolve().parents[1]
    try:
        process = subprocess.run(
            command, cwd=root, env=environment, capture_output=True, text=True, timeout=TIME_LIMIT, check=False
        )
    except subprocess.TimeoutExpired:
        raise RuntimeError(f"{question} of {case} with {library} took more than {TIME_LIMIT} s") from None
    if process.returncode != 0:
        raise RuntimeError(f"{question} of {case} with {library} failed ({process.returncode}):\n{process.stderr[-2000:]}")
    return json.loads(process.stdout.splitlines()[-1])


def temporary_cache() -> tempfile.TemporaryDirectory[str]:
    """A directory for compiled programs that goes away after use."""
    return tempfile.TemporaryDirectory(prefix="ppl-benchmarks-")


def _number(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.4g}"


def _answer(question: str, library: str, case: str) -> None:
    warnings.simplefilter("ignore")
    module = importlib.import_module(f"benchmarks.questions.{question}")
    asked_of = {**models.CASES, **enumeration_models.CASES, **kernel_models.CASES}[case]
    jax.config.update("jax_enable_x64", asked_of.x64)
    print(json.dumps(module.measure(library, asked_of)))


if __name__ == "__main__":
    _answer(*sys.argv[1:])
