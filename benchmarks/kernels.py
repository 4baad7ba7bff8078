"""Measure the kernels beside NUTS, in ppl and in NumPyro: a table with goals, and JSON."""

import sys
from pathlib import Path

from benchmarks.__main__ import command_line
from benchmarks.kernel_models import CASES

QUESTIONS = ("kernel_cold", "kernel_step", "subsampling")


def main() -> int:
    """Run the command line; the exit status is 0 unless a measurement failed."""
    return command_line("python -m benchmarks.kernels", __doc__, tuple(CASES), QUESTIONS, Path("results/kernels.json"))


if __name__ == "__main__":
    sys.exit(main())
