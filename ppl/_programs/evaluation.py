"""Evaluate a traced program equation by equation, so that another one is traced: without inner calls, needless gathers, long sums.

Parameters that are indexed by the states of an enumerated site, all of them in order, are a gather, and a scatter in the gradient.
The indices are known when the program is traced. So the rows are taken as they stand. Some sums are taken by slices (`sliced`),
few values that are repeated are kept as these few (`spread`), and what would be computed again and again is stored (`stored`).
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.extend.core import ClosedJaxpr, Jaxpr, JaxprEqn, Literal

from ppl._programs.jaxprs import called
from ppl._programs.sliced import REDUCTIONS, reduce_apart, reduce_rows
from ppl._programs.spread import placed_shape, spread_result, whole
from ppl._programs.stored import stored
from ppl._typing import Array
from ppl.util import not_jax_tracer

__all__ = ["IN_MANY_KERNELS", "IN_ONE_KERNEL", "ROWS", "entered", "evaluate"]

# The results of what takes the place of an operation, of its parameters and inputs; None: it stays.
Replacement = Callable[[Mapping[str, Any], list[Any]], Sequence[Any] | None]

MAX_KNOWN = 4096  # elements of indices that are computed while a program is traced


def evaluate(
    closed: ClosedJaxpr, args: Sequence[Any], replacements: Mapping[str, Replacement], kept: Collection[Any] = ()
) -> list[Any]:
    """The results of a jaxpr, with inner calls inlined, some operations replaced, and the values of some variables stored."""
    return [whole(result) for result in _evaluate(closed, args, replacements, kept)]


def _evaluate(
    closed: ClosedJaxpr, args: Sequence[Any], replacements: Mapping[str, Replacement], kept: Collection[Any]
) -> list[Any]:
    """The same, where arguments and results may be a `Spread`."""
    values: dict[Any, Any] = {}

    def bind(variables: Sequence[Any], results: Sequence[Any]) -> None:
        for variable, result in zip(variables, results):
            values[variable] = stored(whole(result)) if variable in kept else result

    def read(variable: Any) -> Any:
        return variable.val if isinstance(variable, Literal) else values[variable]

    def read_whole(variable: Any) -> Any:
        if not isinstance(variable, Literal):
            values[variable] = whole(values[variable])
        return read(variable)

    bind(closed.jaxpr.constvars, closed.consts)
    bind(closed.jaxpr.invars, args)
    for equation in closed.jaxpr.eqns:
        inputs = [read(variable) for variable in equation.invars]
        if (inner := called(equation)) is not None:
            results: Sequence[Any] = _evaluate(inner, inputs, replacements, kept)
        elif (spread := spread_result(equation, inputs)) is not None:
            results = [spread]
        else:
            results = _results(equation, [read_whole(variable) for variable in equation.invars], replacements)
        bind(equation.outvars, results)
    return [read(variable) for variable in closed.jaxpr.outvars]


def _results(equation: JaxprEqn, inputs: list[Any], replacements: Mapping[str, Replacement]) -> Sequence[Any]:
    """The results of one equation that calls nothing."""
    name, parameters = equation.primitive.name, equation.params
    known = _known_result(equation, inputs)
    if known is not None:
        return [known]
    replaced = replacements[name](parameters, inputs) if name in replacements else None
    if replaced is not None:
        return replaced
    result = equation.primitive.bind(*inputs, **parameters)
    return result if equation.primitive.multiple_results else [result]


def entered(jaxpr: Jaxpr) -> Iterator[Jaxpr]:
    """The programs whose equations are evaluated one by one: this one, and those that it calls."""
    yield jaxpr
    for equation in jaxpr.eqns:
        if (inner := called(equation)) is not None:
            yield from entered(inner.jaxpr)


# What is known while tracing


def _known(x: Any) -> np.ndarray | None:
    """A few whole numbers or truth values that are no tracers."""
    if not not_jax_tracer(x) or not hasattr(x, "dtype"):
        return None
    return np.asarray(x) if _is_whole(x.dtype) and np.size(x) <= MAX_KNOWN else None


def _is_whole(dtype: Any) -> bool:
    return jnp.issubdtype(dtype, jnp.integer) or jnp.issubdtype(dtype, jnp.bool_)


def _iota(parameters: Mapping[str, Any]) -> np.ndarray:
    shape, axis = parameters["shape"], parameters["dimension"]
    numbers = np.arange(shape[axis], dtype=parameters["dtype"])
    return np.broadcast_to(numbers.reshape([n if i == axis else 1 for i, n in enumerate(shape)]), shape)


def _broadcast(parameters: Mapping[str, Any], x: np.ndarray) -> np.ndarray:
    shape, dims = parameters["shape"], parameters["broadcast_dimensions"]
    return np.broadcast_to(x.reshape(placed_shape(x.shape, dims, len(shape))), shape)


# Of what indices are made, and what becomes of them: negative ones are counted from the end, and axes are added.
INDEX_ARITHMETIC: dict[str, Callable[..., Any]] = {
    "iota": _iota,
    "lt": lambda parameters, x, y: np.less(x, y),
    "add": lambda parameters, x, y: np.add(x, y),
    "sub": lambda parameters, x, y: np.subtract(x, y),
    "select_n": lambda parameters, which, *cases: np.choose(which.astype(np.int32), cases),
    "convert_element_type": lambda parameters, x: x.astype(parameters["new_dtype"]),
    "broadcast_in_dim": _broadcast,
    "reshape": lambda parameters, x: x.reshape(parameters["new_sizes"]),
}


def _known_result(equation: JaxprEqn, inputs: list[Any]) -> np.ndarray | None:
    """The result of index arithmetic on known numbers."""
    name = equation.primitive.name
    if name not in INDEX_ARITHMETIC:
        return None
    result: Any = equation.outvars[0].aval
    known = [_known(x) for x in inputs]
    if any(x is None for x in known) or not _is_whole(result.dtype) or result.size > MAX_KNOWN:
        return None
    return np.asarray(INDEX_ARITHMETIC[name](equation.params, *known), result.dtype)


# All rows in order


def _are_rows(operand: Any, indices: Any, removed: Any, mapped: Any, batching: Any, window: Any) -> bool:
    """Whether the indices are those of all rows of an array in their order, and the window dimensions those of a row, last.

    Args:
        operand: the array.
        indices: of the rows, with a last axis of size 1.
        removed: dimensions of the array that the window has not.
        mapped: dimensions of the array that the indices are of.
        batching: dimensions of both.
        window: dimensions of the rows among those of the result of a gather, or of the updates of a scatter.
    """
    known, batch = _known(indices), np.ndim(indices) - 1
    return (
        known is not None
        and np.ndim(operand) > 0
        and known.shape[-1:] == (1,)
        and np.array_equal(known.ravel(), np.arange(operand.shape[0]))
        and removed == mapped == (0,)
        and not batching
        and tuple(window) == tuple(range(batch, batch + operand.ndim - 1))
    )


def _gather(parameters: Mapping[str, Any], inputs: list[Any]) -> list[Array] | None:
    operand, indices = inputs
    d = parameters["dimension_numbers"]
    rows = _are_rows(operand, indices, d.collapsed_slice_dims, d.start_index_map, d.operand_batching_dims, d.offset_dims)
    if not rows or tuple(parameters["slice_sizes"]) != (1, *operand.shape[1:]):
        return None
    return [jnp.reshape(operand, (*indices.shape[:-1], *operand.shape[1:]))]


def _scatter_add(parameters: Mapping[str, Any], inputs: list[Any]) -> list[Array] | None:
    operand, indices, updates = inputs
    d = parameters["dimension_numbers"]
    removed, mapped = d.inserted_window_dims, d.scatter_dims_to_operand_dims
    rows = _are_rows(operand, indices, removed, mapped, d.operand_batching_dims, d.update_window_dims)
    return [operand + jnp.reshape(updates, operand.shape)] if rows else None


# Loops, branches, reductions


def _while(parameters: Mapping[str, Any], inputs: list[Any]) -> Sequence[Any]:
    """The loop, built anew from closures: so it takes no operand without use."""
    first, second = parameters["cond_nconsts"], parameters["cond_nconsts"] + parameters["body_nconsts"]
    condition, body = parameters["cond_jaxpr"], parameters["body_jaxpr"]
    return lax.while_loop(
        lambda carry: evaluate(condition, [*inputs[:first], *carry], IN_ONE_KERNEL)[0],
        lambda carry: tuple(evaluate(body, [*inputs[first:second], *carry], IN_ONE_KERNEL)),
        tuple(inputs[second:]),
    )


def _cond(parameters: Mapping[str, Any], inputs: list[Any]) -> Sequence[Any]:
    """The branches, likewise."""
    index, *operands = inputs
    return lax.switch(index, [partial(evaluate, branch, operands, IN_ONE_KERNEL) for branch in parameters["branches"]])


def _reductions(reduce: Callable[[str, Array, Any], Array | None]) -> dict[str, Replacement]:
    def replacement(name: str) -> Replacement:
        def results(parameters: Mapping[str, Any], inputs: list[Any]) -> list[Array] | None:
            reduced = reduce(name, inputs[0], parameters["axes"])
            return None if reduced is None else [reduced]

        return results

    return {name: replacement(name) for name in REDUCTIONS}


# What is replaced. Where a program is one kernel: gathers and scatters of all rows in order, which it cannot hold, loops, branches,
# long reductions. Where it is many: reductions of what is apart.
ROWS: dict[str, Replacement] = {"gather": _gather, "scatter-add": _scatter_add}
IN_ONE_KERNEL: dict[str, Replacement] = {**ROWS, "while": _while, "cond": _cond, **_reductions(reduce_rows)}
IN_MANY_KERNELS: dict[str, Replacement] = _reductions(reduce_apart)
