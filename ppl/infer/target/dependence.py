"""Which outputs of a traced computation depend on an input, and along which of its axes they do so element by element.

A site's elements are conditionally independent along an axis if no factor mixes them. That is read off the computation itself, not
off the plates that a user declares: an operation that is not known to keep elements apart counts as mixing them.
"""

from collections.abc import Mapping, Sequence
from math import prod
from typing import Any

from jax.extend.core import ClosedJaxpr, Jaxpr, Literal

from ppl._programs.jaxprs import ELEMENTWISE, called, scan_counts

__all__ = ["Dependence", "dependences"]

# Axes of the input that are kept apart, and the axis of the value at which each lies; None: no dependence at all.
Dependence = Mapping[int, int] | None

REDUCTIONS = frozenset("reduce_sum reduce_prod reduce_max reduce_min reduce_and reduce_or reduce_xor argmax argmin".split())
ALONG_AN_AXIS = {**dict.fromkeys("cumsum cumprod cummax cummin cumlogsumexp".split(), "axis"), "sort": "dimension"}


def dependences(closed: ClosedJaxpr, inputs: Sequence[Dependence]) -> list[Dependence]:
    """How the outputs of a computation depend on what its inputs depend on."""
    return _through(closed.jaxpr, inputs)


def _through(jaxpr: Jaxpr, inputs: Sequence[Dependence]) -> list[Dependence]:
    known: dict[Any, Dependence] = dict(zip(jaxpr.invars, inputs))

    def read(variable: Any) -> Dependence:
        return None if isinstance(variable, Literal) else known.get(variable)

    for equation in jaxpr.eqns:
        found = [read(variable) for variable in equation.invars]
        if any(dependence is not None for dependence in found):
            known.update(zip(equation.outvars, _of_equation(equation, found)))
    return [read(variable) for variable in jaxpr.outvars]


def _of_equation(equation: Any, inputs: list[Dependence]) -> list[Dependence]:
    name = equation.primitive.name
    if (inner := called(equation)) is not None:
        return _through(inner.jaxpr, inputs)
    if name in CONTROL_FLOW:
        return CONTROL_FLOW[name](equation, inputs)
    rule = RULES.get(name)
    if rule is None and name in ELEMENTWISE:
        rule = _elementwise
    kept = {} if rule is None else rule(equation, inputs)
    return [_within(kept, equation, inputs, out) for out in equation.outvars]


def _linear_solve(equation: Any, inputs: list[Dependence]) -> list[Dependence]:
    """The solver uses a part of the constants, and the right-hand sides."""
    lengths = equation.params["const_lengths"]
    first = lengths.matvec + lengths.vecmat
    constants = inputs[first : first + lengths.solve]
    return _through(equation.params["jaxprs"].solve.jaxpr, constants + inputs[sum(lengths) :])


def _either(first: Dependence, second: Dependence) -> Dependence:
    return None if first is None and second is None else _common([first, second])


def _loop(body: Jaxpr, constants: list[Dependence], carry: list[Dependence], rest: list[Dependence]) -> list[Dependence]:
    """What goes round in a loop: what holds before it and after each step."""
    while True:
        results = _through(body, constants + carry + rest)
        merged = [_either(*pair) for pair in zip(carry, results)]
        if merged == carry:
            return results
        carry = merged


def _scan(equation: Any, inputs: list[Dependence]) -> list[Dependence]:
    num_constants, num_carry = scan_counts(equation)
    carry_end = num_constants + num_carry
    of_step = [_shifted(found, -1) for found in inputs[carry_end:]]
    results = _loop(equation.params["jaxpr"].jaxpr, inputs[:num_constants], inputs[num_constants:carry_end], of_step)
    before = inputs[num_constants:carry_end]
    carry = [_either(*pair) for pair in zip(before, results)]
    return carry + [_shifted(found, 1) for found in results[num_carry:]]


def _shifted(dependence: Dependence, by: int) -> Dependence:
    """With the leading axis taken away, or added; along it the elements go into different steps, and are not kept apart."""
    if dependence is None:
        return None
    return {label: axis + by for label, axis in dependence.items() if axis + by >= 0}


def _while(equation: Any, inputs: list[Dependence]) -> list[Dependence]:
    parameters = equation.params
    first, second = parameters["cond_nconsts"], parameters["cond_nconsts"] + parameters["body_nconsts"]
    before = inputs[second:]
    results = _loop(parameters["body_jaxpr"].jaxpr, inputs[first:second], before, [])
    carry = [_either(*pair) for pair in zip(before, results)]
    (condition,) = _through(parameters["cond_jaxpr"].jaxpr, inputs[:first] + carry)
    return carry if condition is None else [{} for _ in carry]


def _cond(equation: Any, inputs: list[Dependence]) -> list[Dependence]:
    outcomes = [_through(branch.jaxpr, inputs[1:]) for branch in equation.params["branches"]]
    if inputs[0] is not None:
        return [{} for _ in outcomes[0]]
    merged = outcomes[0]
    for other in outcomes[1:]:
        merged = [_either(*pair) for pair in zip(merged, other)]
    return merged


def _checkpoint(equation: Any, inputs: list[Dependence]) -> list[Dependence]:
    return _through(equation.params["jaxpr"], inputs)


CONTROL_FLOW = {"remat2": _checkpoint, "custom_linear_solve": _linear_solve, "scan": _scan, "while": _while, "cond": _cond}


def _within(kept: Mapping[int, int], equation: Any, inputs: Sequence[Dependence], out: Any) -> dict[int, int]:
    """Axes that keep their size: a dimension that is broadcast no longer tells elements apart."""
    sizes = {
        label: variable.aval.shape[axis]
        for variable, dependence in zip(equation.invars, inputs)
        for label, axis in (dependence or {}).items()
    }
    return {label: axis for label, axis in kept.items() if out.aval.shape[axis] == sizes[label]}


def _common(maps: Sequence[Dependence]) -> dict[int, int]:
    """What all that depend agree on."""
    first, *others = [found for found in maps if found is not None]
    return {label: axis for label, axis in first.items() if all(other.get(label) == axis for other in others)}


def _renumbered(dependence: Dependence, places: Mapping[int, int]) -> Dependence:
    if dependence is None:
        return None
    return {label: places[axis] for label, axis in dependence.items() if axis in places}


def _elementwise(equation: Any, inputs: list[Dependence]) -> dict[int, int]:
    return _common(inputs)


def _broadcast(equation: Any, inputs: list[Dependence]) -> dict[int, int]:
    return dict(_renumbered(inputs[0], dict(enumerate(equation.params["broadcast_dimensions"]))) or {})


def _reshape(equation: Any, inputs: list[Dependence]) -> dict[int, int]:
    before, after = equation.invars[0].aval.shape, equation.outvars[0].aval.shape
    places = {}
    for axis, size in enumerate(before):
        for other, same in enumerate(after):
            if size == same and prod(before[:axis]) == prod(after[:other]) and prod(before[axis:]) == prod(after[other:]):
                places[axis] = other
    return dict(_renumbered(inputs[0], places) or {})


def _squeeze(equation: Any, inputs: list[Dependence]) -> dict[int, int]:
    return _without(equation, inputs, equation.params["dimensions"])


def _reduction(equation: Any, inputs: list[Dependence]) -> dict[int, int]:
    return _without(equation, inputs, equation.params["axes"])


def _without(equation: Any, inputs: list[Dependence], axes: Sequence[int]) -> dict[int, int]:
    rank = equation.invars[0].aval.ndim
    left = [axis for axis in range(rank) if axis not in axes]
    return dict(_renumbered(inputs[0], {axis: place for place, axis in enumerate(left)}) or {})


def _transpose(equation: Any, inputs: list[Dependence]) -> dict[int, int]:
    places = {axis: place for place, axis in enumerate(equation.params["permutation"])}
    return dict(_renumbered(inputs[0], places) or {})


def _except(axes: Sequence[int], inputs: Sequence[Dependence]) -> dict[int, int]:
    """As elementwise, but for axes along which elements are mixed or moved."""
    return {label: axis for label, axis in _common(inputs).items() if axis not in axes}


def _concatenate(equation: Any, inputs: list[Dependence]) -> dict[int, int]:
    return _except([equation.params["dimension"]], inputs)


def _along_an_axis(equation: Any, inputs: list[Dependence]) -> dict[int, int]:
    return _except([equation.params[ALONG_AN_AXIS[equation.primitive.name]]], inputs)


def _pad(equation: Any, inputs: list[Dependence]) -> dict[int, int]:
    moved = [axis for axis, config in enumerate(equation.params["padding_config"]) if config != (0, 0, 0)]
    return {} if inputs[1] is not None else _except(moved, inputs[:1])


def _reverse(equation: Any, inputs: list[Dependence]) -> dict[int, int]:
    return _except(equation.params["dimensions"], inputs)


def _slice(equation: Any, inputs: list[Dependence]) -> dict[int, int]:
    before, after = equation.invars[0].aval.shape, equation.outvars[0].aval.shape
    cut = [axis for axis, (size, left) in enumerate(zip(before, after)) if size != left]
    return _except(cut, inputs)


def _dynamic_slice(equation: Any, inputs: list[Dependence]) -> dict[int, int]:
    return {} if any(found is not None for found in inputs[1:]) else _slice(equation, inputs[:1])


def _split(equation: Any, inputs: list[Dependence]) -> dict[int, int]:
    return _except([equation.params["axis"]], inputs)


def _dot_general(equation: Any, inputs: list[Dependence]) -> dict[int, int]:
    (contracted, batched), maps = equation.params["dimension_numbers"], []
    ranks = [variable.aval.ndim for variable in equation.invars]
    first_free = len(batched[0])
    for side in range(2):
        free = [axis for axis in range(ranks[side]) if axis not in (*contracted[side], *batched[side])]
        places = {axis: place for place, axis in enumerate(batched[side])}
        places |= {axis: first_free + place for place, axis in enumerate(free)}
        first_free += len(free)
        maps.append(_renumbered(inputs[side], places))
    return _common(maps)


def _stack(equation: Any, inputs: list[Dependence]) -> dict[int, int]:
    new = equation.params["axis"]
    return {label: axis + (axis >= new) for label, axis in _common(inputs).items()}


def _cholesky(equation: Any, inputs: list[Dependence]) -> dict[int, int]:
    rank = equation.invars[0].aval.ndim
    return _except([rank - 2, rank - 1], inputs)


def _triangular_solve(equation: Any, inputs: list[Dependence]) -> dict[int, int]:
    """Matrices of a batch are solved one by one, and so are the columns (or rows) of the right-hand side."""
    rank = equation.invars[1].aval.ndim
    solved = rank - 2 if equation.params["left_side"] else rank - 1
    matrices = None if inputs[0] is None else _except([rank - 2, rank - 1], inputs[:1])
    sides = None if inputs[1] is None else _except([solved], inputs[1:])
    return _common([matrices, sides])


def _gather(equation: Any, inputs: list[Dependence]) -> dict[int, int]:
    """Elements at indices. An axis of the indices is one of the result; of the array, whole slices and batch axes are kept."""
    numbers, sizes = equation.params["dimension_numbers"], equation.params["slice_sizes"]
    array, indices, out = (v.aval for v in (*equation.invars, *equation.outvars))
    batch = [axis for axis in range(out.ndim) if axis not in numbers.offset_dims]
    of_indices = {axis: batch[axis] for axis in range(indices.ndim - 1)}
    removed = (*numbers.collapsed_slice_dims, *numbers.operand_batching_dims)
    offsets = [axis for axis in range(array.ndim) if axis not in removed]
    of_array = {
        axis: place
        for axis, place in zip(offsets, numbers.offset_dims)
        if sizes[axis] == array.shape[axis] and axis not in numbers.start_index_map
    }
    of_array |= {axis: of_indices[other] for axis, other in zip(numbers.operand_batching_dims, numbers.start_indices_batching_dims)}
    return _common([_renumbered(inputs[0], of_array), _renumbered(inputs[1], of_indices)])


RULES = {
    "broadcast_in_dim": _broadcast,
    "reshape": _reshape,
    "squeeze": _squeeze,
    "transpose": _transpose,
    "concatenate": _concatenate,
    "pad": _pad,
    "rev": _reverse,
    "slice": _slice,
    "dynamic_slice": _dynamic_slice,
    "split": _split,
    "dot_general": _dot_general,
    "gather": _gather,
    "stack": _stack,
    "cholesky": _cholesky,
    "triangular_solve": _triangular_solve,
    **dict.fromkeys(REDUCTIONS, _reduction),
    **dict.fromkeys(ALONG_AN_AXIS, _along_an_axis),
}


def identity_of(shape: Sequence[int]) -> Dependence:
    """How an input of this shape depends on itself."""
    return {axis: axis for axis in range(len(shape))}
