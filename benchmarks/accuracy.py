"""Errors in float32 of densities, distribution functions and quantiles beside NumPyro's: ``python -m benchmarks.accuracy``.

The exact values are computed with mpmath at the inputs as float32 has them. An error is measured in units: the spacing of float32
at the exact value, or, where it is larger, the change of the exact value when every input moves by its own spacing.
"""

import argparse
import importlib
import json
import math
import multiprocessing
import statistics
import sys
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import jax
import numpy as np
from mpmath import mp, mpf

from benchmarks import exact
from benchmarks.accuracy_cases import CASES, Case, Point

LIBRARIES = ("ppl", "numpyro")
METHODS = ("log_prob", "cdf", "icdf")
TINY, LARGEST = float(np.finfo(np.float32).tiny), float(np.finfo(np.float32).max)
BAD, TOLERATED = 100.0, 4.0  # units that are plainly many, and up to which no difference to the peer counts
PROCESSES = 2


@dataclass(frozen=True)
class Reference:
    """Inputs as float32 has them, the exact results, and the units of their errors."""

    inputs: list[np.ndarray]
    exact: np.ndarray
    units: np.ndarray


@dataclass(frozen=True)
class Errors:
    """Of one method of one library: units at the median and at the worst point, and the number of results that are not finite."""

    median: float
    worst: float
    failures: int
    worst_at: str


@dataclass(frozen=True)
class Row:
    """One method of one law."""

    case: str
    method: str
    points: int
    ppl: Errors
    numpyro: Errors | None

    @property
    def is_worse(self) -> bool:
        """Whether the peer is more accurate, beyond a few roundings; a result that is not finite is worse than any other."""
        own, theirs = self.ppl, self.numpyro
        if theirs is None:
            return False
        if own.failures != theirs.failures:
            return own.failures > theirs.failures
        return own.median > max(TOLERATED, theirs.median) or own.worst > max(TOLERATED, theirs.worst)

    @property
    def is_bad(self) -> bool:
        """Whether something is plainly wrong."""
        return self.ppl.failures > 0 or self.ppl.worst > BAD


def main() -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.accuracy", description=__doc__)
    parser.add_argument("cases", nargs="*", metavar="case", help="names of laws, or how they begin; all by default")
    parser.add_argument("--json", metavar="FILE", type=Path, default=Path("results/accuracy.json"))
    parser.add_argument("--write", metavar="PAGE", type=Path, help="also write the table as a page, docs/accuracy.md")
    options = parser.parse_args()
    names = [name for name in CASES if not options.cases or name.startswith(tuple(options.cases))]
    if not names:
        parser.error(f"no case begins so; the cases are {', '.join(CASES)}")
    warnings.simplefilter("ignore")
    libraries = {name: importlib.import_module(f"{name}.distributions") for name in LIBRARIES}
    print(f"{'case':<30}{'method':<10}{'points':>6}{'ppl median, worst, failures':>32}{'numpyro median, worst, failures':>36}")
    rows: list[Row] = []
    jobs = [(name, method) for name in names for method in CASES[name].methods]
    with multiprocessing.get_context("spawn").Pool(PROCESSES) as pool:
        for (name, method), reference in zip(jobs, pool.imap(_reference_of, jobs)):
            own, theirs = (_errors(CASES[name], method, dist, reference) for dist in libraries.values())
            assert own is not None, f"ppl has no {name}.{method}"
            rows.append(Row(name, method, len(reference.exact), own, theirs))
            print(_line(rows[-1]), flush=True)
    _summarize(rows)
    options.json.parent.mkdir(parents=True, exist_ok=True)
    options.json.write_text(json.dumps([asdict(row) for row in rows], indent=1))
    print(f"written to {options.json}")
    if options.write:
        options.write.write_text(_page(rows))
        print(f"written to {options.write}")
    return 0


# exact values -----------------------------------------------------------------------------------------------------------


def spacing(x: Any) -> float:
    """The spacing of float32 at `x`; below its normal numbers, which may be flushed to zero, the smallest of them."""
    return max(float(np.spacing(np.float32(min(abs(x), LARGEST)))), TINY)


def _rounded(x: Any) -> Any:
    if isinstance(x, tuple):
        return tuple(_rounded(entry) for entry in x)
    return x if isinstance(x, int) else float(np.float32(x))


def _digits(x: Any) -> Any:
    return tuple(mpf(entry) for entry in x) if isinstance(x, tuple) else mpf(x)


def _moved(point: Point) -> Iterator[tuple[Point, Any, float]]:
    """The point with one of its floating point inputs moved a little, by how much, and the spacing of float32 there."""
    for i, x in enumerate(point):
        for j, entry in enumerate(x if isinstance(x, tuple) else (x,)):
            if isinstance(entry, int):
                continue
            step = (abs(mpf(entry)) or 1) * mpf(10) ** -20
            moved = (*x[:j], entry + step, *x[j + 1 :]) if isinstance(x, tuple) else entry + step
            yield (*point[:i], moved, *point[i + 1 :]), step, spacing(entry)


def _function(case: Case, method: str) -> Any:
    if method == "log_prob":
        return case.law.log_density
    assert case.law.tails is not None
    tails = case.law.tails
    return lambda *point: tails(*point)[0]


def _evaluate(function: Any, point: Point) -> Any:
    return function(*(_digits(x) for x in point))


def _with_unit(function: Any, point: Point) -> tuple[Any, Any]:
    """The exact value, and the sum of its changes when the inputs move by their spacings."""
    value = _evaluate(function, point)
    return value, sum(abs((_evaluate(function, moved) - value) / step) * size for moved, step, size in _moved(point))


def _solve(case: Case, q: float, x: Any, params: Sequence[Any]) -> Any:
    """The `x` with the probability `q` below it, by Newton's method; None if that leads away."""
    cdf = _function(case, "cdf")
    try:
        for _ in range(60):
            step = (cdf(x, *params) - q) / exact.exp(case.law.log_density(x, *params))
            x -= step
            if abs(step) <= abs(x) * mpf(10) ** -18:
                return x
    except TypeError:  # outside the support, where formulas turn complex
        pass
    return None


def _quantile(case: Case, point: Point) -> tuple[Point, Any, Any] | None:
    """The point with the probability below its value in place of it, the exact quantile of that, and the change by the inputs.

    None where the probability is 0 or 1 in float32, or rounding it leaves too little of it.
    """
    cdf = _function(case, "cdf")
    x, params = mpf(point[0]), tuple(_digits(p) for p in point[1:])
    p = cdf(x, *params)
    q = float(np.float32(float(p)))
    if not TINY < q < 1 or abs(q - p) > 0.1 * min(q, 1 - q):
        return None
    x = _solve(case, q, x, params)
    if x is None:
        return None
    density = exact.exp(case.law.log_density(x, *params))
    _, change = _with_unit(cdf, (x, *point[1:]))
    own = density * spacing(x)  # the spacing of the value itself does not count, that of the probability does
    return (q, *point[1:]), x, (change - own + spacing(q)) / density


def _reference_of(job: tuple[str, str]) -> Reference:
    name, method = job
    return reference(CASES[name], method)


def reference(case: Case, method: str) -> Reference:
    """The exact results of a method at the points of a case, where float32 can represent them."""
    kept: list[tuple[Point, float, float]] = []
    with mp.workdps(exact.DIGITS):
        for point in (_rounded(point) for point in case.points):
            if method == "icdf":
                found = _quantile(case, point)
                if found is None:
                    continue
                point, value, change = found
            else:
                value, change = _with_unit(_function(case, method), point)
            if mp.isfinite(value) and abs(value) < LARGEST / 2:
                kept.append((point, float(value), float(max(change, spacing(value)))))
    columns = zip(*(point for point, _, _ in kept))
    inputs = [_column(column) for column in columns]
    return Reference(inputs, *(np.array(column) for column in list(zip(*kept))[1:]))


def _column(entries: Any) -> np.ndarray:
    array = np.array(entries)
    return array.astype(np.int32 if np.issubdtype(array.dtype, np.integer) else np.float32)


# errors -----------------------------------------------------------------------------------------------------------------


def _errors(case: Case, method: str, dist: Any, reference: Reference) -> Errors | None:
    """The errors of one library; None if it lacks the law or the method, or needs another library for it."""
    value, *params = reference.inputs
    try:
        computed = jax.jit(lambda value, params: getattr(case.make(dist, *params), method)(value))(case.lift(value), params)
    except (AttributeError, NotImplementedError, TypeError, ImportError):
        return None
    computed = np.asarray(computed, np.float64)
    finite = np.isfinite(computed)
    units = np.where(finite, np.abs(np.where(finite, computed, 0.0) - reference.exact) / reference.units, np.inf)
    if not finite.any():
        return Errors(math.inf, math.inf, len(units), "everywhere")
    worst = int(np.argmax(np.where(finite, units, -1.0)))
    at = ", ".join(str(column[worst].tolist()) for column in reference.inputs)
    description = f"({at}): {computed[worst]:.9g}, exactly {reference.exact[worst]:.9g}"
    return Errors(statistics.median(units), float(units[worst]), int((~finite).sum()), description)


# tables -----------------------------------------------------------------------------------------------------------------


def _line(row: Row) -> str:
    def cells(errors: Errors | None) -> str:
        return f"{errors.median:>12.2f}{errors.worst:>14.4g}{errors.failures:>6}" if errors else f"{'-':>32}"

    mark = (" worse" if row.is_worse else "") + (" bad" if row.is_bad else "")
    line = f"{row.case:<30}{row.method:<10}{row.points:>6}{cells(row.ppl)}    {cells(row.numpyro)}{mark}"
    return line + (f"\n      at {row.ppl.worst_at}" if mark else "")


def _summary(rows: list[Row]) -> list[str]:
    lines = []
    for method in METHODS:
        own = [row.ppl for row in rows if row.method == method]
        theirs = [row.numpyro for row in rows if row.method == method and row.numpyro]
        for name, errors in zip(LIBRARIES, (own, theirs)):
            if errors:
                medians, worsts = (statistics.median(getattr(e, key) for e in errors) for key in ("median", "worst"))
                failures = sum(e.failures for e in errors)
                lines.append(
                    f"{method}, {name}: {len(errors)} laws, the median of the medians {medians:.2f}, of the worst {worsts:.3g}, "
                    f"{failures} results not finite"
                )
    return lines


def _summarize(rows: list[Row]) -> None:
    print("\n".join(_summary(rows)))
    print("worse than numpyro: " + (", ".join(f"{row.case}.{row.method}" for row in rows if row.is_worse) or "none"))
    print(f"above {BAD:g} or not finite: " + (", ".join(f"{row.case}.{row.method}" for row in rows if row.is_bad) or "none"))


HEAD = f"""# Accuracy in float32

How far densities, distribution functions and quantiles in float32 are from the exact values, beside NumPyro's. The exact
values are computed with mpmath in {exact.DIGITS} digits at the very inputs that float32 has, over grids that reach far into
both tails, and over parameters from 1e-6 to 1e6. An error is measured in units: the spacing of float32 at the exact value,
or, where it is larger, the change of the exact value when the value and every parameter move by their own spacings, which no
formula in float32 can beat by much. Columns show the error at the median point and at the worst, and behind a slash the
number of results that are nan or infinite though the exact value is representable. In bold: where NumPyro is more accurate,
and the error above {TOLERATED:g} units. The page
is written by

    pip install -e '.[bench]'
    python -m benchmarks.accuracy --write docs/accuracy.md

Errors of more than {BAD:g} units are left in these places. Log probabilities close to 0, of counts that are almost certain: their
relative error is large, but they are within 2e-6 of the exact value, and so are the probabilities. A million binomial trials whose
log odds are near 0, by 0.002 in a log probability of -207. Distribution functions and quantiles of Beta laws with a shape below
1e-3, and distribution functions of binomial and negative binomial laws whose probability of failure float32 flushes to 0. And
truncated normal distribution functions one rounding from a bound that is 10,000 standard deviations out.

"""


def _page(rows: list[Row]) -> str:
    def cell(errors: Errors | None) -> tuple[str, str]:
        if errors is None:
            return "", ""
        worst = f"{errors.worst:.1f}" if errors.worst < 1e4 else f"{errors.worst:.0e}"
        return f"{errors.median:.2f}", worst + (f" / {errors.failures}" if errors.failures else "")

    def line(row: Row) -> str:
        own = cell(row.ppl)
        own = (own[0], f"**{own[1]}**") if row.is_worse else own
        return "| " + " | ".join((row.case, f"`{row.method}`", str(row.points), *own, *cell(row.numpyro))) + " |"

    header = "| law | method | points | median | worst | NumPyro's median | worst |\n|---|---|--:|--:|--:|--:|--:|\n"
    return HEAD + "".join(f"- {line}\n" for line in _summary(rows)) + "\n" + header + "".join(f"{line(row)}\n" for row in rows)


if __name__ == "__main__":
    sys.exit(main())
