"""Checks of parameters and samples, of concrete values only and in NumPy only."""

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

from ppl._typing import Shape
from ppl.distributions import constraints
from ppl.distributions.constraints import Constraint, ParameterFreeConstraint
from ppl.distributions.util import is_concrete

if TYPE_CHECKING:
    from ppl.distributions.distribution.base import Distribution


def check_parameter(cls: type["Distribution"], name: str, value: Any, constraint: Constraint) -> None:
    """Check one concrete parameter.

    Raises:
        TypeError: if it is no number or array of numbers.
        ValueError: if it does not lie in `constraint`; the note says what was found.
    """
    if type(value) in (float, int) and constraint.event_dim == 0 and constraint.check(value):
        return
    message = f"{cls.__name__} distribution got invalid {name} parameter."
    array = np.asarray(value)
    if array.dtype.kind not in "biufcV":
        raise _explained(cls, name, TypeError(message), f"found {_show(value)}, expected numbers in {constraint!r}")
    if array.dtype.kind == "c" and not _is_complex(constraint):
        raise _explained(cls, name, TypeError(message), f"found {_show(value)}, expected real numbers in {constraint!r}")
    if array.ndim < constraint.event_dim:
        cure = f"expected at least {constraint.event_dim} dimension(s), for {constraint!r}"
        raise _explained(cls, name, ValueError(message), f"found an array of shape {array.shape}, {cure}")
    valid = holds(constraint, array)
    if not valid.all():
        raise _explained(cls, name, ValueError(message), _describe_invalid(array, valid, constraint))


def _is_complex(constraint: Constraint) -> bool:
    if isinstance(constraint, constraints._IndependentConstraint):
        constraint = constraint.base_constraint
    return constraint is constraints.complex


def check_order(cls: type["Distribution"], low: Any, high: Any, *, may_touch: bool) -> None:
    """Check that `low < high` everywhere, or `low <= high`, where both are concrete.

    Raises:
        TypeError: if one of them is no real number or array of such.
        ValueError: if not.
    """
    if not (is_concrete(low) and is_concrete(high)):
        return
    a, b = np.asarray(low), np.asarray(high)
    for name, bound in (("low", a), ("high", b)):
        if bound.dtype.kind not in "biufV":
            message = f"{cls.__name__} distribution got invalid {name} parameter."
            raise _explained(cls, name, TypeError(message), f"found {_show(bound.tolist())}, expected real numbers")
    if not np.all((a <= b) if may_touch else (a < b)):
        error = ValueError(f"{cls.__name__} distribution got invalid high parameter.")
        relation = "low <= high" if may_touch else "low < high"
        error.add_note(f"found low={_show(low)} and high={_show(high)}, expected {relation} everywhere")
        raise error


def as_sizes(cls: type["Distribution"], member: str, shape: Any) -> Shape:
    """The sizes in `shape` as a tuple.

    Raises:
        TypeError: if it is no sequence, or an entry no integer.
        ValueError: if an entry is negative.
    """
    try:
        sizes = tuple(shape)
    except TypeError as error:
        raise TypeError(f"{cls.__name__}.{member} takes a tuple of sizes, found {shape!r}; write ({shape!r},)") from error
    for size in sizes:
        if isinstance(size, float | str):
            raise TypeError(f"{cls.__name__}.{member}: sizes must be integers, found {sizes}")
        if size < 0:
            raise ValueError(f"{cls.__name__}.{member}: sizes must be at least 0, found {sizes}")
    return sizes


def check_shape(cls: type["Distribution"], found: Shape, batch_shape: Shape, event_shape: Shape) -> None:
    """Check that a value of shape `found` fits `batch_shape + event_shape`.

    Raises:
        ValueError: if not.
    """
    cut = len(found) - len(event_shape)
    if cut < 0 or not _broadcast(found[cut:], event_shape):
        raise ValueError(
            f"{cls.__name__}.log_prob got a value of shape {found}, but its event shape is {event_shape}: "
            "the rightmost axes of the value must be the event shape"
        )
    if not _broadcast(found[:cut], batch_shape):
        raise ValueError(
            f"{cls.__name__}.log_prob got a value of shape {found}, whose batch axes {found[:cut]} do not broadcast against the "
            f"batch shape {batch_shape}; pass a value of shape {batch_shape + event_shape}, or one with sample axes on its left"
        )


def _broadcast(a: Shape, b: Shape) -> bool:
    return all(n == m or n == 1 or m == 1 for n, m in zip(a[::-1], b[::-1]))


def check_numbers(who: str, value: np.ndarray) -> None:
    """Raise TypeError if a concrete array holds no numbers."""
    if value.dtype.kind not in "biufcV":
        raise TypeError(f"{who} takes numbers, found {_show(value.tolist())} of type {value.dtype}")


def holds(constraint: Constraint, array: np.ndarray) -> np.ndarray:
    """Whether each element of a concrete array lies in `constraint`; values that are not finite raise no warnings of NumPy."""
    with np.errstate(all="ignore"):
        return np.asarray(constraint.check(array))


def _explained(cls: type["Distribution"], name: str, error: Exception, detail: str) -> Exception:
    """The error with the detail: as a note, or as its cause where the message is fixed to its last character."""
    if name in cls._terse_parameters:
        error.__cause__ = type(error)(detail)
    else:
        error.add_note(detail)
    return error


def _show(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _describe_invalid(array: Any, valid: np.ndarray, constraint: Constraint) -> str:
    if valid.ndim == 0:
        return f"found {_show(np.asarray(array).tolist())}, expected a value in {constraint!r}"
    index = tuple(int(i) for i in np.argwhere(~valid)[0])
    entry = np.broadcast_to(array, valid.shape + np.shape(array)[np.ndim(array) - constraint.event_dim :])[index]
    count = int(valid.size - valid.sum())
    return (
        f"found {_show(entry.tolist())} at index {index} ({count} of {valid.size} are invalid), expected values in {constraint!r}"
    )


def warn_out_of_support(who: str, value: Any, valid: np.ndarray, support: Constraint, stacklevel: int = 4) -> None:
    """Warn that entries of `value` lie outside the support of a distribution, or of that of a site."""
    warnings.warn(
        "Out-of-support values provided to log prob method. The value argument should be within the support. "
        f"{who} has support {_show(support)}; {_describe_invalid(value, valid, support)}.",
        UserWarning,
        stacklevel=stacklevel,
    )


def is_checkable(constraint: Constraint) -> bool:
    """Whether values can be checked against `constraint` now: it stands for no other, and no parameter of it is traced."""
    if isinstance(constraint, ParameterFreeConstraint):
        return True
    return not constraints.is_dependent(constraint) and is_concrete(constraint)
