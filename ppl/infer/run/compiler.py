"""How XLA is to compile a program for the CPU: how much it is worth to optimize, and by which of its code generators.

XLA has two generators of loops. The newer, its default, yields faster loops over long arrays. For short ones the older yields a
faster program, and in half the time. Reductions are left to a library, which divides long ones among threads: maxima over a first
axis, such as those over the states of many elements, take several times as long there as in loops.
"""

from typing import Any

import jax
from jax.extend.core import Jaxpr

from ppl._programs.jaxprs import equations

__all__ = ["compile_lowered", "compiler_options"]

Options = dict[str, Any]

OLDER: Options = {"xla_cpu_use_fusion_emitters": False}
WITHOUT_LIBRARY: Options = {"xla_cpu_experimental_ynn_fusion_type": ""}
OLDER_UNOPTIMIZED: Options = {**OLDER, "xla_backend_optimization_level": 0}

# Elements of the longest array for which the older generator yields the faster program.
SHORT = 256
# Elements of an array from which the library divides the work among threads.
DIVIDED = 1 << 15
ARITHMETIC = frozenset(("add", "sub", "mul", "div", "dot_general"))

_unknown: set[str] = set()  # options that the compiler has refused


def compiler_options(jaxpr: Jaxpr, *, runs_once: bool) -> Options:
    """What to tell the compiler.

    Args:
        jaxpr: the program.
        runs_once: whether it takes longer to optimize it than to run it as it is.
    """
    if jax.default_backend() != "cpu":
        return {}
    if runs_once:
        return OLDER_UNOPTIMIZED
    if any(map(_is_long_maximum, equations(jaxpr))):
        return WITHOUT_LIBRARY
    return OLDER if _longest(jaxpr) <= SHORT else {}


def _is_long_maximum(equation: Any) -> bool:
    """Whether this is a maximum along other axes than the last of an array whose elements are divided among threads."""
    if equation.primitive.name != "reduce_max":
        return False
    operand = equation.invars[0].aval
    return operand.size > DIVIDED and operand.ndim - 1 not in equation.params["axes"]


def _longest(jaxpr: Jaxpr) -> int:
    """Elements of the longest array of the program's arithmetic; where draws are only kept does not count."""
    arithmetic = (equation for equation in equations(jaxpr) if equation.primitive.name in ARITHMETIC)
    return max((v.aval.size for equation in arithmetic for v in (*equation.invars, *equation.outvars)), default=0)


def compile_lowered(lowered: Any, options: Options) -> Any:
    """The compiled program; without those of the options that this compiler does not know."""
    known = {name: value for name, value in options.items() if name not in _unknown}
    try:
        return lowered.compile(known)
    except jax.errors.JaxRuntimeError as error:
        refused = [name for name in known if f"No such compile option: '{name}'" in str(error)]
        if not refused:
            raise
    _unknown.update(refused)
    return compile_lowered(lowered, known)
