"""What a run executes. The run knows no kernel: it starts a chain, steps it, and reads what is to be kept."""

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import jax

from ppl._typing import Array, PyTree

__all__ = ["Process", "Vectorized"]


class Process(Protocol):
    """A chain as pure functions of its carry, a pytree, and of the inputs, the arrays that all chains share."""

    def step(self, carry: PyTree, inputs: PyTree) -> PyTree:
        """One iteration."""

    def read(self, carry: PyTree) -> dict[str, Array]:
        """What is to be kept of an iteration."""

    @property
    def wrappers(self) -> Sequence[Callable[[Callable[..., Any]], Callable[..., Any]]]:
        """Ways to build the stepping program, the best first; the next one is for where a compiler gives up."""


class Vectorized:
    """Many chains as one process: every array has a leading chain axis."""

    def __init__(self, process: Process) -> None:
        self.process = process

    @property
    def wrappers(self) -> Sequence[Callable[[Callable[..., Any]], Callable[..., Any]]]:
        """Lockstep is left to the compiler."""
        return [lambda fn: fn]

    def step(self, carry: PyTree, inputs: PyTree) -> PyTree:
        """One iteration of all chains."""
        return jax.vmap(self.process.step, in_axes=(0, None))(carry, inputs)

    def read(self, carry: PyTree) -> dict[str, Array]:
        """What is to be kept, with a leading chain axis."""
        return jax.vmap(self.process.read)(carry)
