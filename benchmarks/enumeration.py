"""Measure models with discrete sites that are summed out beside NumPyro with funsor, and by hand: a table with goals, and JSON."""

import sys
from pathlib import Path

from benchmarks.__main__ import command_line
from benchmarks.enumeration_models import CASES

QUESTIONS = ("enumerated_trace", "enumerated_cold", "enumerated_step")


def main() -> int:
    """Run the command line; the exit status is 0 unless a measurement failed."""
    return command_line("python -m benchmarks.enumeration", __doc__, tuple(CASES), QUESTIONS, Path("results/enumeration.json"))


if __name__ == "__main__":
    sys.exit(main())
