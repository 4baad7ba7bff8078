"""Constraints made of constraints, and constraints that depend on parameters of a distribution."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ppl._typing import ArrayLike
from ppl.distributions.constraints.base import Constraint, ParameterFreeConstraint, xp
from ppl.distributions.constraints.scalars import real
from ppl.distributions.util import all_rightmost


class _IndependentConstraint(Constraint):
    """Every element along the `reinterpreted_batch_ndims` axes left of the event axes of `base_constraint` lies in it."""

    leaf_fields = ("base_constraint",)
    static_fields = ("reinterpreted_batch_ndims",)
    base_constraint: Constraint
    reinterpreted_batch_ndims: int

    def __init__(self, base_constraint: Constraint, reinterpreted_batch_ndims: int) -> None:
        if not isinstance(base_constraint, Constraint):
            raise TypeError(f"base_constraint must be a Constraint, but got {base_constraint!r}")
        if not isinstance(reinterpreted_batch_ndims, (int, np.integer)) or reinterpreted_batch_ndims < 0:
            raise ValueError(f"reinterpreted_batch_ndims must be an integer >= 0, but got {reinterpreted_batch_ndims!r}")
        if isinstance(base_constraint, _IndependentConstraint):
            reinterpreted_batch_ndims += base_constraint.reinterpreted_batch_ndims
            base_constraint = base_constraint.base_constraint
        self.base_constraint = base_constraint
        self.reinterpreted_batch_ndims = int(reinterpreted_batch_ndims)

    @property
    def event_dim(self) -> int:  # type: ignore[override]
        return self.base_constraint.event_dim + self.reinterpreted_batch_ndims

    @property
    def is_discrete(self) -> bool:  # type: ignore[override]
        return self.base_constraint.is_discrete

    def check(self, x: ArrayLike) -> ArrayLike:
        if np.ndim(x) < self.event_dim:
            raise ValueError(f"{self!r} needs values with at least {self.event_dim} dimensions, but got shape {np.shape(x)}")
        return all_rightmost(self.base_constraint.check(x), self.reinterpreted_batch_ndims)

    def feasible_like(self, prototype: ArrayLike) -> ArrayLike:
        return self.base_constraint.feasible_like(prototype)

    def eq(self, other: object, static: bool = False) -> ArrayLike:
        """Whether `other` reinterprets as many axes of an equal constraint."""
        if not isinstance(other, _IndependentConstraint) or self.reinterpreted_batch_ndims != other.reinterpreted_batch_ndims:
            return False
        return self.base_constraint.eq(other.base_constraint, static=static)

    def __hash__(self) -> int:
        return hash((_IndependentConstraint, self.reinterpreted_batch_ndims))

    def __repr__(self) -> str:
        return f"{type(self).__name__.lstrip('_')}({self.base_constraint!r}, {self.reinterpreted_batch_ndims})"


class _RealVector(ParameterFreeConstraint, _IndependentConstraint):
    base_constraint = real
    reinterpreted_batch_ndims = 1

    def __init__(self) -> None: ...


class _RealMatrix(ParameterFreeConstraint, _IndependentConstraint):
    base_constraint = real
    reinterpreted_batch_ndims = 2

    def __init__(self) -> None: ...


class _Cat(Constraint):
    """The pieces along axis `dim`, of sizes `lengths`, each lie in their own constraint."""

    leaf_fields = ("cseq",)
    static_fields = ("dim", "lengths")

    def __init__(self, cseq: Sequence[Constraint], dim: int = 0, lengths: Sequence[int] | None = None) -> None:
        self.cseq, self.dim, self.lengths = check_pieces("cseq", cseq, Constraint, dim, lengths)

    @property
    def event_dim(self) -> int:  # type: ignore[override]
        return max(c.event_dim for c in self.cseq)

    @property
    def is_discrete(self) -> bool:  # type: ignore[override]
        return any(c.is_discrete for c in self.cseq)

    def check(self, x: ArrayLike) -> ArrayLike:
        pieces = split_pieces(x, self.dim, self.lengths)
        checks = [all_rightmost(c.check(piece), self.event_dim - c.event_dim) for c, piece in zip(self.cseq, pieces)]
        axis = self.dim % np.ndim(x)
        if axis < np.ndim(x) - self.event_dim:
            return xp(x).concatenate(checks, axis=axis)
        out = checks[0]
        for check in checks[1:]:
            out = out & check
        return out

    def feasible_like(self, prototype: ArrayLike) -> ArrayLike:
        pieces = split_pieces(prototype, self.dim, self.lengths)
        parts = [c.feasible_like(piece) for c, piece in zip(self.cseq, pieces)]
        return xp(parts[0]).concatenate(parts, axis=self.dim)

    def __repr__(self) -> str:
        return f"{type(self).__name__.lstrip('_')}({self.cseq!r}, dim={self.dim}, lengths={self.lengths})"


def check_pieces(
    name: str, parts: Sequence[Any], kind: type, dim: int, lengths: Sequence[int] | None
) -> tuple[tuple[Any, ...], int, tuple[int, ...]]:
    """The validated parts, axis and lengths of a concatenation; lengths default to 1 each.

    Raises:
        ValueError, TypeError: naming `name`, `dim` or `lengths`.
    """
    parts = tuple(parts)
    if not parts:
        raise ValueError(f"{name} cannot be empty; give at least one {kind.__name__}")
    for part in parts:
        if not isinstance(part, kind):
            raise TypeError(f"each of {name} must be a {kind.__name__}, but got {part!r}")
    if not isinstance(dim, (int, np.integer)) or isinstance(dim, bool):
        raise TypeError(f"dim must be an integer, but got {dim!r}")
    lengths = (1,) * len(parts) if lengths is None else tuple(lengths)
    if len(lengths) != len(parts):
        raise ValueError(f"lengths must have one entry per part of {name}, {len(parts)} in all, but got {lengths}")
    if not all(isinstance(n, (int, np.integer)) and n >= 0 for n in lengths):
        raise ValueError(f"lengths must be nonnegative integers, but got {lengths}")
    return parts, int(dim), tuple(int(n) for n in lengths)


def split_pieces(x: ArrayLike, dim: int, lengths: tuple[int, ...]) -> list[Any]:
    """The pieces of `x` along axis `dim`.

    Raises:
        ValueError: if `x` has no such axis or its size is not the sum of `lengths`.
    """
    shape = np.shape(x)
    if not -len(shape) <= dim < len(shape):
        raise ValueError(f"a value of shape {shape} has no axis dim={dim} to split")
    if shape[dim] != sum(lengths):
        raise ValueError(f"the size {shape[dim]} of axis {dim} must equal the sum of lengths {sum(lengths)}")
    ends = np.cumsum(lengths)
    before = (slice(None),) * (dim % len(shape))
    return [x[(*before, slice(int(end - n), int(end)))] for n, end in zip(lengths, ends)]


class _Dependent(Constraint):
    """A placeholder for a support that depends on other parameters: it cannot be checked by itself.

    Calling it with `is_discrete` or `event_dim` gives a placeholder with these properties.
    """

    static_fields = ("_is_discrete", "_event_dim")

    def __init__(self, *, is_discrete: bool | None = None, event_dim: int | None = None) -> None:
        self._is_discrete = is_discrete
        self._event_dim = event_dim

    @property
    def is_discrete(self) -> bool:  # type: ignore[override]
        if self._is_discrete is None:
            raise NotImplementedError("is_discrete of this dependent constraint is not known")
        return self._is_discrete

    @property
    def event_dim(self) -> int:  # type: ignore[override]
        if self._event_dim is None:
            raise NotImplementedError("event_dim of this dependent constraint is not known")
        return self._event_dim

    def __call__(self, x: Any = None, *, is_discrete: bool | None = None, event_dim: int | None = None) -> Any:
        if x is not None:
            return self.check(x)
        return _Dependent(
            is_discrete=self._is_discrete if is_discrete is None else is_discrete,
            event_dim=self._event_dim if event_dim is None else event_dim,
        )

    def check(self, x: ArrayLike) -> ArrayLike:
        raise ValueError("cannot check a dependent constraint: it is known only for an instance of the distribution")

    def __repr__(self) -> str:
        return "Dependent()"


class dependent_property(property, _Dependent):
    """A property that computes a constraint from the parameters of its object, for `support` of a distribution class.

    On the class it is a dependent constraint that knows `is_discrete` and `event_dim`.

    Example:
        >>> import numpy as np
        >>> from ppl.distributions import constraints
        >>> class Box:
        ...     high = 2.0
        ...
        ...     @constraints.dependent_property(is_discrete=False, event_dim=0)
        ...     def support(self):
        ...         return constraints.interval(0.0, self.high)
        >>> Box.support.event_dim, Box().support
        (0, Interval(lower_bound=0.0, upper_bound=2.0))
    """

    def __init__(
        self, fn: Callable[[Any], Any] | None = None, *, is_discrete: bool | None = None, event_dim: int | None = None
    ) -> None:
        property.__init__(self, fn)
        _Dependent.__init__(self, is_discrete=is_discrete, event_dim=event_dim)

    def __call__(self, x: Any = None, *, is_discrete: bool | None = None, event_dim: int | None = None) -> Any:
        """The property for the decorated function `x`; the error of `check` for anything else."""
        if not callable(x):
            return _Dependent.__call__(self, x, is_discrete=is_discrete, event_dim=event_dim)
        return dependent_property(x, is_discrete=self._is_discrete, event_dim=self._event_dim)


def is_dependent(constraint: object) -> bool:
    """Whether `constraint` is a placeholder that depends on parameters, or is built on one."""
    if isinstance(constraint, _IndependentConstraint):
        return is_dependent(constraint.base_constraint)
    return isinstance(constraint, _Dependent)


real_vector = _RealVector()
real_matrix = _RealMatrix()
independent = _IndependentConstraint
cat = _Cat
dependent = _Dependent()
