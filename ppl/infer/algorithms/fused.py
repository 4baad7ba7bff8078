"""Compile a small function into one CPU kernel instead of a sequence of them.

On the CPU, XLA runs a program as a sequence of kernels, each of which costs a good part of a microsecond to start: more than
the arithmetic of a leapfrog step of a small model. A call that carries the attribute `xla_cpu_small_call` is compiled into one
kernel, loops and branches included. It does not support every operation (a scatter, a large matrix product), so what is fused is
chosen here, before compilation: see `docs/architecture.md`, "Fusing".
"""

import itertools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from enum import Enum
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
from jax import lax
from jax.experimental.xla_metadata import set_xla_metadata
from jax.extend.core import ClosedJaxpr, Literal

from ppl._programs.evaluation import IN_ONE_KERNEL, evaluate
from ppl._typing import Array, PyTree

__all__ = ["FusedTarget", "Fusing", "are_updates_fused", "call_fused", "fused_target", "fusing", "whole_program"]

R = TypeVar("R")


class Fusing(Enum):
    """What of a sampling program becomes a single kernel.

    NOTHING: the program is left to the compiler. UPDATES: the arithmetic between two gradients. PARTS: that, and each value and
    gradient, for which the target is to be a `FusedTarget`. WHOLE: all of the program.
    """

    NOTHING = "nothing"
    UPDATES = "updates"
    PARTS = "parts"
    WHOLE = "whole"


_FUSING: ContextVar[Fusing] = ContextVar("ppl_fusing", default=Fusing.NOTHING)


@contextmanager
def fusing(mode: Fusing) -> Iterator[None]:
    """Trace the body with this choice."""
    token = _FUSING.set(mode)
    try:
        yield
    finally:
        _FUSING.reset(token)


def are_updates_fused() -> bool:
    """Whether the arithmetic between two gradients is a kernel of its own."""
    return _FUSING.get() in (Fusing.UPDATES, Fusing.PARTS)


def call_fused(fn: Callable[..., R], *args: PyTree) -> R:
    """`fn(*args)`, as one kernel where updates are fused. `fn` closes over no traced value."""
    return _as_small_call(fn, False)(*args) if are_updates_fused() else fn(*args)


def whole_program(fn: Callable[..., R]) -> Callable[..., R]:
    """`fn` itself, or `fn` as one kernel where the whole program is fused; decided when it is traced."""

    def call(*args: PyTree) -> R:
        return _as_small_call(fn, True)(*args) if _FUSING.get() is Fusing.WHOLE else fn(*args)

    return call


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class FusedTarget:
    """A target whose value, and whose value and gradient together, are one kernel each."""

    target: Any

    @property
    def layout(self) -> Any:
        """Where the parts of a position lie."""
        return self.target.layout

    def __call__(self, position: Array) -> Array:
        """The potential energy."""
        return _as_small_call(lambda target, position: target(position), True)(self.target, position)

    def value_and_gradient(self, position: Array) -> tuple[Array, Array]:
        """The potential energy and its gradient."""
        return _as_small_call(lambda target, position: target.value_and_gradient(position), True)(self.target, position)


def fused_target(target: Any, pack: Callable[[Any], Any]) -> Any:
    """A target that arises within a step, with value and gradient as one kernel where that is done; `pack` makes it one array."""
    return FusedTarget(pack(target)) if _FUSING.get() is Fusing.PARTS else target


def _as_small_call(fn: Callable[..., R], is_users: bool) -> Callable[..., R]:
    """`fn` as a small call of those leaves of its arguments that it uses, with all inner calls inlined.

    With jaxlib 0.10 a call that has an operand of which simplification leaves no use ends the process ("All or none of the slices
    should have an explicit index"). Hence no inner calls, and a further result that depends on every operand.
    """

    def call(*args: PyTree) -> R:
        leaves, structure = jax.tree.flatten(args)
        closed, shape = jax.make_jaxpr(lambda *flat: fn(*jax.tree.unflatten(structure, flat)), return_shape=True)(*leaves)
        mentioned = _mentioned(closed)
        used = [i for i, variable in enumerate(closed.jaxpr.invars) if variable in mentioned]

        def run_used(*operands: Array) -> list[Array]:
            flat: list[Any] = [None] * len(leaves)
            for i, operand in zip(used, operands):
                flat[i] = operand
            return [*evaluate(closed, flat, IN_ONE_KERNEL), *_touch(operands, is_users)]

        with set_xla_metadata(xla_cpu_small_call="true", inlineable="false"):
            results = jax.jit(run_used)(*(leaves[i] for i in used))
        return jax.tree.unflatten(jax.tree.structure(shape), results[: len(closed.jaxpr.outvars)])

    return call


def _mentioned(closed: ClosedJaxpr) -> set[Any]:
    """The variables that occur on a right-hand side, or are results."""
    every = itertools.chain(closed.jaxpr.outvars, *(equation.invars for equation in closed.jaxpr.eqns))
    return {variable for variable in every if not isinstance(variable, Literal)}


def _touch(operands: tuple[Array, ...], is_users: bool) -> list[Array]:
    """A number that depends on the first element of each operand: only where a user's function decides which are used."""
    if not is_users:
        return []
    numbers = [x for x in operands if x.size and not jnp.issubdtype(x.dtype, jax.dtypes.extended)]
    first = [lax.slice(x, (0,) * x.ndim, (1,) * x.ndim).reshape(()) for x in numbers]
    return [sum((x.astype(jnp.float32) for x in first), jnp.zeros((), jnp.float32))]
