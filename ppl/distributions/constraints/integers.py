"""Countable sets."""

import jax.numpy as jnp
import numpy as np

from ppl._typing import ArrayLike
from ppl.distributions.constraints.base import Constraint, ParameterFreeConstraint, comparable, xp
from ppl.distributions.util import Tracer, as_operand, as_parameter


def _is_integral(x: ArrayLike) -> ArrayLike:
    if isinstance(x, (int, float)):
        return float(x).is_integer()
    return (x == xp(x).floor(x)) & (abs(x) < np.inf) if np.dtype(x.dtype).kind == "f" else x == x


def _lattice_like(prototype: ArrayLike, value: ArrayLike) -> ArrayLike:
    """`value` in the shape and dtype of `prototype`."""
    shape = np.broadcast_shapes(np.shape(prototype), np.shape(value))
    dtype = getattr(prototype, "dtype", None) or np.result_type(type(prototype))
    if isinstance(value, Tracer):
        return jnp.broadcast_to(value, shape).astype(dtype)
    return np.broadcast_to(np.asarray(as_operand(value), dtype), shape)


class _Boolean(ParameterFreeConstraint):
    is_discrete = True

    def check(self, x: ArrayLike) -> ArrayLike:
        (x,) = comparable(x)
        return (x == 0) | (x == 1)

    def feasible_like(self, prototype: ArrayLike) -> ArrayLike:
        return _lattice_like(prototype, 0)


class _IntegerInterval(Constraint):
    is_discrete = True
    leaf_fields = ("lower_bound", "upper_bound")

    def __init__(self, lower_bound: ArrayLike, upper_bound: ArrayLike) -> None:
        self.lower_bound = as_parameter(lower_bound)
        self.upper_bound = as_parameter(upper_bound)

    def check(self, x: ArrayLike) -> ArrayLike:
        x, lower, upper = comparable(x, self.lower_bound, self.upper_bound)
        return (x >= lower) & (x <= upper) & _is_integral(x)

    def feasible_like(self, prototype: ArrayLike) -> ArrayLike:
        return _lattice_like(prototype, self.lower_bound)


class _IntegerGreaterThan(Constraint):
    is_discrete = True
    leaf_fields = ("lower_bound",)

    def __init__(self, lower_bound: ArrayLike) -> None:
        self.lower_bound = as_parameter(lower_bound)

    def check(self, x: ArrayLike) -> ArrayLike:
        x, lower = comparable(x, self.lower_bound)
        return (x >= lower) & _is_integral(x)

    def feasible_like(self, prototype: ArrayLike) -> ArrayLike:
        return _lattice_like(prototype, self.lower_bound)


class _IntegerPositive(ParameterFreeConstraint, _IntegerGreaterThan):
    lower_bound = 1

    def __init__(self) -> None: ...


class _IntegerNonnegative(ParameterFreeConstraint, _IntegerGreaterThan):
    lower_bound = 0

    def __init__(self) -> None: ...


class _Multinomial(Constraint):
    is_discrete = True
    event_dim = 1
    leaf_fields = ("upper_bound",)

    def __init__(self, upper_bound: ArrayLike) -> None:
        self.upper_bound = as_parameter(upper_bound)

    def check(self, x: ArrayLike) -> ArrayLike:
        (x,) = comparable(x)
        total, upper = comparable(x.sum(-1), self.upper_bound)
        return ((x >= 0) & _is_integral(x)).all(-1) & (total == upper)

    def feasible_like(self, prototype: ArrayLike) -> ArrayLike:
        first = np.arange(np.shape(prototype)[-1]) == 0
        upper = as_operand(self.upper_bound)
        upper = upper[..., None] if np.ndim(upper) else upper
        return _lattice_like(prototype, upper * first.astype(getattr(upper, "dtype", int)))


boolean = _Boolean()
positive_integer = _IntegerPositive()
nonnegative_integer = _IntegerNonnegative()
integer_interval = _IntegerInterval
integer_greater_than = _IntegerGreaterThan
multinomial = _Multinomial
