"""The contract of a constraint."""

from typing import Any, ClassVar

import jax.numpy as jnp
import numpy as np

from ppl._typing import ArrayLike
from ppl.distributions.structure import Structure
from ppl.distributions.util import Tracer, as_operand, is_concrete, promote_shapes


class Constraint(Structure):
    """A set of values: a region of the reals, a lattice, a manifold of vectors or matrices.

    `constraint(x)` is an array of bools without the `event_dim` rightmost axes of `x`. NumPy arrays are checked with NumPy.
    Constraints are values: they compare by type and parameters, and are pytrees whose leaves are their parameters.

    Attributes:
        is_discrete: whether the set is countable.
        event_dim: the number of rightmost axes that make one element.
    """

    is_discrete: bool = False
    event_dim: int = 0

    def __call__(self, x: ArrayLike) -> ArrayLike:
        """The same as `check(x)`."""
        return self.check(x)

    def check(self, x: ArrayLike) -> ArrayLike:
        """Whether each element of `x` lies in the set; shape of `x` without its `event_dim` rightmost axes."""
        raise NotImplementedError(f"{self!r} has no check")

    def feasible_like(self, prototype: ArrayLike) -> ArrayLike:
        """A value of the set, with the shape and floating point dtype of `prototype`."""
        raise NotImplementedError(f"{self!r} has no feasible_like")

    def __repr__(self) -> str:
        fields = ", ".join(f"{name.lstrip('_')}={getattr(self, name)!r}" for name in (*self.leaf_fields, *self.static_fields))
        return f"{type(self).__name__.lstrip('_')}({fields})"


class ParameterFreeConstraint(Constraint):
    """A constraint without parameters: every call of the constructor gives the one instance of the class."""

    _instances: ClassVar[dict[type, Any]] = {}

    def __new__(cls, *args: Any, **kwargs: Any) -> "ParameterFreeConstraint":
        """The instance."""
        if cls not in ParameterFreeConstraint._instances:
            ParameterFreeConstraint._instances[cls] = super().__new__(cls)
        return ParameterFreeConstraint._instances[cls]

    def tree_flatten(self) -> tuple[tuple[Any, ...], tuple[tuple[str, ...], dict[str, Any]]]:
        """No children and no fields."""
        return (), ((), {})

    def __reduce__(self) -> tuple[type, tuple[()]]:
        return type(self), ()


def comparable(x: Any, *bounds: Any) -> tuple[Any, ...]:
    """`x` and `bounds` ready to be compared.

    They are NumPy arrays if all are concrete and `x` is no JAX array, else JAX operands of equal rank.
    """
    if type(x) in (float, int) and all(type(bound) in (float, int) for bound in bounds):
        return (x, *bounds) if bounds else (np.asarray(x),)
    if isinstance(x, (bool, int, float, np.ndarray, np.generic)) and all(is_concrete(bound) for bound in bounds):
        x = as_operand(np.asarray(x))
        # A Python number is rounded to the width of x, as JAX does: 0.1 bounds float32(0.1).
        return (x, *(np.asarray(b, x.dtype) if isinstance(b, float) and x.dtype.kind == "f" else as_operand(b) for b in bounds))
    return tuple(promote_shapes(x, *bounds))


def xp(x: Any) -> Any:
    """The module that computes with `x`: `numpy` or `jax.numpy`."""
    return np if isinstance(x, (bool, int, float, complex, np.ndarray, np.generic)) else jnp


def full_like(prototype: Any, value: Any) -> Any:
    """`value` broadcast to the shape of `prototype`, floating point, in NumPy where both are concrete."""
    shape = np.broadcast_shapes(np.shape(prototype), np.shape(value))
    dtype = getattr(prototype, "dtype", None)
    if dtype is None or not jnp.issubdtype(dtype, np.inexact):
        dtype = jnp.result_type(float)
    if isinstance(value, Tracer):
        return jnp.broadcast_to(value, shape).astype(dtype)
    return np.broadcast_to(np.asarray(as_operand(value), dtype), shape)
