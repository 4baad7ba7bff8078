"""The schedule of warm-up: windows in which the step size, and in the slow ones the metric, are learnt.

Source: Stan reference manual, "Automatic parameter tuning".
"""

from typing import NamedTuple

import numpy as np

__all__ = ["AdaptWindow", "MAX_WINDOWS", "build_adaptation_schedule", "window_ends"]

MAX_WINDOWS = 40  # windows double: more iterations than any run has

START_BUFFER, END_BUFFER, FIRST_WINDOW = 75, 50, 25


class AdaptWindow(NamedTuple):
    """A window of iterations, both ends included."""

    start: int
    end: int


def build_adaptation_schedule(num_steps: int) -> list[AdaptWindow]:
    """The windows of a warm-up of `num_steps` iterations.

    A fast window of 75, slow ones of 25, 50, 100, ..., the last stretched to fill, and a fast one of 50. For less than 150
    iterations 15 % / 75 % / 10 %; under 20 a single fast window.

    Raises:
        ValueError: if `num_steps` is no whole number, at least 0.

    Example:
        >>> build_adaptation_schedule(150)
        [AdaptWindow(start=0, end=74), AdaptWindow(start=75, end=99), AdaptWindow(start=100, end=149)]
    """
    if isinstance(num_steps, bool) or not isinstance(num_steps, int | np.integer) or num_steps < 0:
        raise ValueError(f"build_adaptation_schedule: num_steps must be a whole number, at least 0; found {num_steps!r}")
    if num_steps < 20:
        return [AdaptWindow(0, num_steps - 1)]
    start_buffer, end_buffer, size = START_BUFFER, END_BUFFER, FIRST_WINDOW
    if start_buffer + size + end_buffer > num_steps:
        start_buffer, end_buffer = int(0.15 * num_steps), int(0.1 * num_steps)
        size = num_steps - start_buffer - end_buffer
    windows = [AdaptWindow(0, start_buffer - 1)]
    start, slow_end = start_buffer, num_steps - end_buffer
    while start < slow_end:
        if start + 3 * size > slow_end:
            size = slow_end - start
        windows.append(AdaptWindow(start, start + size - 1))
        start, size = start + size, 2 * size
    windows.append(AdaptWindow(slow_end, num_steps - 1))
    return windows


def window_ends(num_steps: int) -> np.ndarray:
    """The last iteration of each window, `(MAX_WINDOWS,)`, filled up with -1; the first and the last window are the fast ones."""
    ends = np.full(MAX_WINDOWS, -1, np.int32)
    if num_steps > 0:
        windows = build_adaptation_schedule(num_steps)
        ends[: len(windows)] = [window.end for window in windows]
    return ends
