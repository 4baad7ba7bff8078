"""Checks of the numbers that users give to kernels."""

from typing import Any

import numpy as np

from ppl.util import not_jax_tracer

__all__ = ["check_count", "check_flag", "check_number"]


def check_number(kernel: str, name: str, value: Any, low: float, high: float = float("inf")) -> None:
    """Check an argument of a kernel, unless it is traced.

    Raises:
        TypeError: if it is no number.
        ValueError: if it is not greater than `low` and less than `high`.
    """
    if not not_jax_tracer(value):
        return
    if isinstance(value, bool) or np.ndim(value) != 0 or np.asarray(value).dtype.kind not in "iuf":
        raise TypeError(f"{kernel}: {name} must be a number, found {value!r}")
    if not low < float(value) < high:
        limits = f"between {low} and {high}" if np.isfinite(high) else f"greater than {low}"
        raise ValueError(f"{kernel}: {name} must be {limits}, found {value!r}")


def check_count(owner: str, name: str, value: Any, minimum: int = 1) -> None:
    """Check an argument of a kernel or function.

    Raises:
        ValueError: if it is no whole number, at least `minimum`.
    """
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < minimum:
        raise ValueError(f"{owner}: {name} must be a whole number, at least {minimum}; found {value!r}")


def check_flag(kernel: str, name: str, value: Any) -> None:
    """Check an argument of a kernel.

    Raises:
        TypeError: if it is neither True nor False.
    """
    if not isinstance(value, bool | np.bool_):
        raise TypeError(f"{kernel}: {name} must be True or False, found {value!r}")
