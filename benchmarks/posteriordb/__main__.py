"""Compare with reference posteriors: a table, JSON, and a non-zero exit on a mismatch."""

import argparse
import json
import sys
from pathlib import Path

import jax

from benchmarks.posteriordb.data import ENVIRONMENT, find_directory
from benchmarks.posteriordb.posteriors import POSTERIORS, select
from benchmarks.posteriordb.run import HEADER, KERNELS, Outcome, check

REPEAT = 1000  # what is added to the seed where a posterior is sampled once more


def main() -> int:
    """Run the command line; the exit status is the number of posteriors that do not match, at most 100."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.posteriordb", description=__doc__)
    parser.add_argument(
        "names", nargs="*", help="posteriors, or the part of their names before or after the hyphen; all by default"
    )
    parser.add_argument(
        "--data", metavar="DIR", help=f"directory of the collection (default: ${ENVIRONMENT}, or beside the project)"
    )
    parser.add_argument(
        "--kernel", choices=KERNELS, default="nuts", help="NUTS, BarkerMH, or Gibbs over blocks of sites (default: %(default)s)"
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--x64", action="store_true", help="sample in double precision")
    parser.add_argument("--json", metavar="FILE", type=Path, default=Path("results/posteriordb.json"))
    parser.add_argument("--list", action="store_true", help="print the names and stop")
    options = parser.parse_args()
    if options.list:
        print("\n".join(POSTERIORS))
        return 0
    try:
        names, directory = select(options.names), find_directory(options.data)
    except (ValueError, FileNotFoundError) as error:
        parser.error(str(error))
    jax.config.update("jax_enable_x64", options.x64)
    return _compare_all(names, directory, options.seed, options.kernel, options.json)


def _compare_all(names: list[str], directory: Path, seed: int, kernel: str, target: Path) -> int:
    print(HEADER)
    outcomes: list[Outcome] = []
    repeated: list[str] = []
    for name in names:
        outcome = check(name, directory, seed, kernel)
        print(outcome.line(), flush=True)
        if outcome.complaints:
            # of so many comparisons some fail by chance; one that fails for a reason fails again
            repeated.append(name)
            _print_complaints(outcome)
            outcome = check(name, directory, seed + REPEAT, kernel)
            print(f"{outcome.line()} (again, with seed {seed + REPEAT})", flush=True)
        outcomes.append(outcome)
    failed = [outcome for outcome in outcomes if outcome.complaints]
    for outcome in failed:
        print(f"\n{outcome.name}")
        _print_complaints(outcome)
    again = f", of which {len(repeated)} at the second try ({', '.join(repeated)})" if repeated else ""
    print(f"\n{len(outcomes) - len(failed)} of {len(outcomes)} posteriors match{again if not failed else ''}")
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(json.dumps([outcome.as_dict() for outcome in outcomes], indent=1))
    print(f"written to {target}")
    return min(len(failed), 100)


def _print_complaints(outcome: Outcome) -> None:
    print("\n".join(f"  {complaint}" for complaint in outcome.complaints))


if __name__ == "__main__":
    sys.exit(main())
