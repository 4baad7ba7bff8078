"""Measure ppl beside NumPyro: a table with ratios and goals, and JSON."""

import argparse
import importlib
import importlib.metadata
import importlib.util
import json
import os
import platform
import sys
from pathlib import Path
from typing import Any

from benchmarks.harness import HEADER, LIBRARIES, QUESTIONS, Row, asker
from benchmarks.models import CASES


def main() -> int:
    """Run the command line; the exit status is 0 unless a measurement failed."""
    return command_line("python -m benchmarks", __doc__, tuple(CASES), QUESTIONS, Path("results/benchmarks.json"))


def command_line(prog: str, description: str | None, cases: tuple[str, ...], questions: tuple[str, ...], json_file: Path) -> int:
    """Ask some or all of the questions of some or all of the cases; the exit status is 0 unless a measurement failed."""
    parser = argparse.ArgumentParser(prog=prog, description=description)
    parser.add_argument("cases", nargs="*", metavar="case", help=f"any of {', '.join(cases)}; all by default")
    parser.add_argument("--questions", nargs="+", choices=questions, default=list(questions))
    parser.add_argument("--libraries", nargs="+", choices=LIBRARIES, default=list(LIBRARIES))
    parser.add_argument("--json", metavar="FILE", type=Path, default=json_file)
    options = parser.parse_args()
    unknown = sorted(set(options.cases) - set(cases))
    if unknown:
        parser.error(f"no case {', '.join(unknown)}; the cases are {', '.join(cases)}")
    libraries = tuple(name for name in options.libraries if importlib.util.find_spec(name) is not None)
    if absent := set(options.libraries) - set(libraries):
        print(f"without {', '.join(absent)}: not installed (NumPyro comes with the extra 'bench')")
    print(HEADER)
    rows, failures = _measure_all(options.questions, options.cases or list(cases), libraries)
    missed = sum(row.met is False for row in rows)
    print(f"\n{sum(row.met is True for row in rows)} goals met, {missed} missed, {len(failures)} measurements failed")
    options.json.parent.mkdir(parents=True, exist_ok=True)
    options.json.write_text(
        json.dumps({"machine": _machine(), "rows": [row.as_dict() for row in rows], "failures": failures}, indent=1)
    )
    print(f"written to {options.json}")
    return 1 if failures else 0


def _measure_all(questions: list[str], cases: list[str], libraries: tuple[str, ...]) -> tuple[list[Row], list[str]]:
    rows: list[Row] = []
    failures: list[str] = []
    for question in questions:
        module = importlib.import_module(f"benchmarks.questions.{question}")
        for case in (case for case in cases if case in module.ASKED_OF):
            try:
                answered = module.rows(case, asker(question, case, libraries))
            except RuntimeError as error:
                failures.append(str(error))
                print(error, file=sys.stderr, flush=True)
                continue
            rows += answered
            print("\n".join(row.line() for row in answered), flush=True)
    return rows, failures


def _machine() -> dict[str, Any]:
    versions = {}
    for name in ("jax", "jaxlib", "numpy", *LIBRARIES):
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            versions[name] = None
    return {"platform": platform.platform(), "python": platform.python_version(), "cores": os.cpu_count(), "versions": versions}


if __name__ == "__main__":
    sys.exit(main())
