"""Regions of the real line and of the complex plane."""

from math import isfinite

import jax.numpy as jnp
import numpy as np

from ppl._typing import ArrayLike
from ppl.distributions.constraints.base import Constraint, ParameterFreeConstraint, comparable, full_like, xp
from ppl.distributions.util import as_operand, as_parameter, is_concrete, promote_shapes


class _Real(ParameterFreeConstraint):
    def check(self, x: ArrayLike) -> ArrayLike:
        return isfinite(x) if type(x) is float else xp(x).isfinite(x)

    def feasible_like(self, prototype: ArrayLike) -> ArrayLike:
        return full_like(prototype, 0.0)


class _Complex(ParameterFreeConstraint):
    def check(self, x: ArrayLike) -> ArrayLike:
        return xp(x).isfinite(x)

    def feasible_like(self, prototype: ArrayLike) -> ArrayLike:
        dtype = getattr(prototype, "dtype", np.dtype(np.complex64))
        return np.zeros(np.shape(prototype), dtype if np.issubdtype(dtype, np.complexfloating) else np.complex64)


class _GreaterThan(Constraint):
    leaf_fields = ("lower_bound",)

    def __init__(self, lower_bound: ArrayLike) -> None:
        self.lower_bound = as_parameter(lower_bound)

    def check(self, x: ArrayLike) -> ArrayLike:
        x, lower = comparable(x, self.lower_bound)
        return x > lower

    def feasible_like(self, prototype: ArrayLike) -> ArrayLike:
        return full_like(prototype, as_operand(self.lower_bound) + 1)


class _GreaterThanEq(_GreaterThan):
    def check(self, x: ArrayLike) -> ArrayLike:
        x, lower = comparable(x, self.lower_bound)
        return x >= lower


class _LessThan(Constraint):
    leaf_fields = ("upper_bound",)

    def __init__(self, upper_bound: ArrayLike) -> None:
        self.upper_bound = as_parameter(upper_bound)

    def check(self, x: ArrayLike) -> ArrayLike:
        x, upper = comparable(x, self.upper_bound)
        return x < upper

    def feasible_like(self, prototype: ArrayLike) -> ArrayLike:
        return full_like(prototype, as_operand(self.upper_bound) - 1)


class _LessThanEq(_LessThan):
    def check(self, x: ArrayLike) -> ArrayLike:
        x, upper = comparable(x, self.upper_bound)
        return x <= upper


class _HalfLine(Constraint):
    """The numbers above `bound` where `sign` is positive, those below it elsewhere: signs may be traced, or of both kinds."""

    leaf_fields = ("bound", "sign")

    def __init__(self, bound: ArrayLike, sign: ArrayLike) -> None:
        self.bound = as_parameter(bound)
        self.sign = as_parameter(sign)

    @property
    def lower_bound(self) -> ArrayLike:
        """`bound` where the line goes up from there, else -inf."""
        bound, sign = promote_shapes(as_operand(self.bound), as_operand(self.sign))
        return (np if is_concrete(sign) and is_concrete(bound) else jnp).where(sign > 0, bound, -np.inf)

    def check(self, x: ArrayLike) -> ArrayLike:
        x, bound, sign = comparable(x, self.bound, self.sign)
        return ((sign > 0) & (x > bound)) | ((sign < 0) & (x < bound))

    def feasible_like(self, prototype: ArrayLike) -> ArrayLike:
        bound, sign = promote_shapes(as_operand(self.bound), as_operand(self.sign))
        return full_like(prototype, bound + sign)


class _Interval(Constraint):
    leaf_fields = ("lower_bound", "upper_bound")

    def __init__(self, lower_bound: ArrayLike, upper_bound: ArrayLike) -> None:
        self.lower_bound = as_parameter(lower_bound)
        self.upper_bound = as_parameter(upper_bound)

    def check(self, x: ArrayLike) -> ArrayLike:
        x, lower, upper = comparable(x, self.lower_bound, self.upper_bound)
        return (x >= lower) & (x <= upper)

    def feasible_like(self, prototype: ArrayLike) -> ArrayLike:
        lower, upper = promote_shapes(as_operand(self.lower_bound), as_operand(self.upper_bound))
        return full_like(prototype, 0.5 * lower + 0.5 * upper)


class _OpenInterval(_Interval):
    def check(self, x: ArrayLike) -> ArrayLike:
        x, lower, upper = comparable(x, self.lower_bound, self.upper_bound)
        return (x > lower) & (x < upper)


class _Positive(ParameterFreeConstraint, _GreaterThan):
    lower_bound = 0.0

    def __init__(self) -> None: ...


class _SoftplusPositive(_Positive):
    def feasible_like(self, prototype: ArrayLike) -> ArrayLike:
        return full_like(prototype, np.log(2.0))


class _Nonnegative(ParameterFreeConstraint, _GreaterThanEq):
    lower_bound = 0.0

    def __init__(self) -> None: ...


class _UnitInterval(ParameterFreeConstraint, _Interval):
    lower_bound = 0.0
    upper_bound = 1.0

    def __init__(self) -> None: ...


class _Circular(ParameterFreeConstraint, _Interval):
    lower_bound = -float(np.pi)
    upper_bound = float(np.pi)

    def __init__(self) -> None: ...


real = _Real()
complex = _Complex()
positive = _Positive()
softplus_positive = _SoftplusPositive()
nonnegative = _Nonnegative()
unit_interval = _UnitInterval()
circular = _Circular()
greater_than = _GreaterThan
greater_than_eq = _GreaterThanEq
less_than = _LessThan
less_than_eq = _LessThanEq
interval = _Interval
open_interval = _OpenInterval
