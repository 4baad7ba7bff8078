"""The bijections that map unconstrained reals to each constraint."""

from collections.abc import Callable
from typing import Any

from ppl.distributions import constraints
from ppl.distributions.constraints import Constraint
from ppl.distributions.transforms.base import Transform
from ppl.distributions.transforms.composition import CatTransform, ComposeTransform, IndependentTransform
from ppl.distributions.transforms.elementwise import (
    AffineTransform,
    ExpTransform,
    IdentityTransform,
    SigmoidTransform,
    SoftplusTransform,
)
from ppl.distributions.transforms.matrices import (
    CholeskyTransform,
    CorrCholeskyTransform,
    CorrMatrixCholeskyTransform,
    LowerCholeskyTransform,
    ScaledUnitLowerCholeskyTransform,
    SoftplusLowerCholeskyTransform,
)
from ppl.distributions.transforms.shapes import ComplexTransform
from ppl.distributions.transforms.vectors import L1BallTransform, OrderedTransform, StickBreakingTransform, ZeroSumTransform
from ppl.distributions.util import as_operand, promote_shapes

Factory = Callable[[Any], Transform]


class ConstraintRegistry:
    """A table from classes of constraints to the transforms that reach them.

    Calling it with a constraint gives the transform from unconstrained reals.

    Example:
        >>> from ppl.distributions import biject_to, constraints
        >>> biject_to(constraints.positive)
        ExpTransform(domain=Real())
    """

    def __init__(self) -> None:
        self._factories: dict[type[Constraint], Factory] = {}

    def register(self, constraint: Constraint | type[Constraint], factory: Factory | None = None) -> Any:
        """Register `factory(constraint) -> Transform` for a class of constraints, or the class of an instance; also a decorator.

        Raises:
            TypeError: if `constraint` is neither.
        """
        if factory is None:
            return lambda fn: self.register(constraint, fn)
        cls = type(constraint) if isinstance(constraint, Constraint) else constraint
        if not (isinstance(cls, type) and issubclass(cls, Constraint)):
            raise TypeError(f"a transform is registered for a Constraint or a class of them, but got {constraint!r}")
        self._factories[cls] = factory
        return factory

    def __call__(self, constraint: Constraint) -> Transform:
        """The transform from unconstrained reals to `constraint`.

        Raises:
            NotImplementedError: if none is registered.
        """
        if not isinstance(constraint, Constraint):
            raise TypeError(f"biject_to takes a constraint such as constraints.positive, found {constraint!r}")
        for cls in type(constraint).__mro__:
            if cls in self._factories:
                return self._factories[cls](constraint)
        raise NotImplementedError(
            f"no transform is registered from the reals to {constraint!r}; register one with biject_to.register, "
            "or use a distribution with another support"
        )


biject_to = ConstraintRegistry()


def _register_parameter_free() -> None:
    table: list[tuple[Constraint, Callable[[], Transform]]] = [
        (constraints.real, IdentityTransform),
        (constraints.complex, ComplexTransform),
        (constraints.positive, ExpTransform),
        (constraints.nonnegative, ExpTransform),
        (constraints.softplus_positive, SoftplusTransform),
        (constraints.unit_interval, SigmoidTransform),
        (constraints.simplex, StickBreakingTransform),
        (constraints.ordered_vector, OrderedTransform),
        (constraints.l1_ball, L1BallTransform),
        (constraints.lower_cholesky, LowerCholeskyTransform),
        (constraints.softplus_lower_cholesky, SoftplusLowerCholeskyTransform),
        (constraints.scaled_unit_lower_cholesky, ScaledUnitLowerCholeskyTransform),
        (constraints.corr_cholesky, CorrCholeskyTransform),
    ]
    for constraint, transform in table:
        biject_to.register(constraint, lambda _, make=transform: make())  # type: ignore[misc]


_register_parameter_free()


@biject_to.register(constraints.greater_than)
def _above(constraint: Any) -> Transform:
    return ComposeTransform([ExpTransform(), AffineTransform(constraint.lower_bound, 1, domain=constraints.positive)])


@biject_to.register(constraints.less_than)
def _below(constraint: Any) -> Transform:
    return ComposeTransform([ExpTransform(), AffineTransform(constraint.upper_bound, -1, domain=constraints.positive)])


@biject_to.register(constraints._HalfLine)
def _on_one_side(constraint: Any) -> Transform:
    return ComposeTransform([ExpTransform(), AffineTransform(constraint.bound, constraint.sign, domain=constraints.positive)])


@biject_to.register(constraints.interval)
def _between(constraint: Any) -> Transform:
    lower, upper = promote_shapes(as_operand(constraint.lower_bound), as_operand(constraint.upper_bound))
    return ComposeTransform([SigmoidTransform(), AffineTransform(lower, upper - lower, domain=constraints.unit_interval)])


@biject_to.register(constraints.positive_ordered_vector)
def _positive_ordered(constraint: Any) -> Transform:
    return ComposeTransform([OrderedTransform(), ExpTransform(constraints.ordered_vector)])


@biject_to.register(constraints.corr_matrix)
def _corr_matrix(constraint: Any) -> Transform:
    return ComposeTransform([CorrCholeskyTransform(), CorrMatrixCholeskyTransform().inv])


@biject_to.register(constraints.positive_definite)
def _positive_definite(constraint: Any) -> Transform:
    return ComposeTransform([LowerCholeskyTransform(), CholeskyTransform().inv])


biject_to.register(constraints.positive_semidefinite, _positive_definite)


@biject_to.register(constraints.zero_sum)
def _zero_sum(constraint: Any) -> Transform:
    return ZeroSumTransform(constraint.event_dim)


@biject_to.register(constraints.independent)
def _independent(constraint: Any) -> Transform:
    return IndependentTransform(biject_to(constraint.base_constraint), constraint.reinterpreted_batch_ndims)


@biject_to.register(constraints.cat)
def _cat(constraint: Any) -> Transform:
    parts = [biject_to(part) for part in constraint.cseq]
    # A vector of a piece's length may be the image of a shorter one.
    along = [constraint.dim == -1 and part.codomain.event_dim == 1 for part in parts]
    lengths = [part.inverse_shape((n,))[0] if a else n for part, a, n in zip(parts, along, constraint.lengths)]
    return CatTransform(parts, constraint.dim, lengths)
