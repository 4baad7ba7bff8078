"""Sets of square matrices."""

import jax.numpy as jnp
import numpy as np

from ppl._typing import ArrayLike
from ppl.distributions.constraints.base import ParameterFreeConstraint, comparable, full_like, xp
from ppl.distributions.constraints.vectors import _eps


def _diagonal(x: ArrayLike) -> ArrayLike:
    return xp(x).diagonal(x, axis1=-2, axis2=-1)


def _identity_like(prototype: ArrayLike, scale: float = 1.0) -> ArrayLike:
    return full_like(prototype, scale * np.eye(np.shape(prototype)[-1]))


def _is_lower_with_positive_diagonal(x: ArrayLike) -> ArrayLike:
    return (xp(x).tril(x) == x).all((-2, -1)) & (_diagonal(x) > 0).all(-1)


def _is_symmetric(x: ArrayLike) -> ArrayLike:
    scale = abs(x).max((-2, -1), keepdims=True)
    return (abs(x - xp(x).swapaxes(x, -2, -1)) <= max(1e-6, 10 * _eps(x)) * scale).all((-2, -1))


def _smallest_eigenvalue(x: ArrayLike) -> ArrayLike:
    """The smallest eigenvalue of symmetric matrices, in double precision for NumPy arrays; -1 where an entry is not finite."""
    finite = xp(x).isfinite(x).all((-2, -1))
    if xp(x) is np:
        x = np.where(finite[..., None, None], x, -np.eye(x.shape[-1])).astype(np.float64)
        return np.linalg.eigvalsh(x)[..., 0]
    return jnp.where(finite, jnp.linalg.eigvalsh(x)[..., 0], -1.0)


class _LowerCholesky(ParameterFreeConstraint):
    event_dim = 2

    def check(self, x: ArrayLike) -> ArrayLike:
        (x,) = comparable(x)
        return _is_lower_with_positive_diagonal(x)

    def feasible_like(self, prototype: ArrayLike) -> ArrayLike:
        return _identity_like(prototype)


class _SoftplusLowerCholesky(_LowerCholesky):
    def feasible_like(self, prototype: ArrayLike) -> ArrayLike:
        return _identity_like(prototype, np.log(2.0))


class _ScaledUnitLowerCholesky(_LowerCholesky): ...


class _CorrCholesky(ParameterFreeConstraint):
    event_dim = 2

    def check(self, x: ArrayLike) -> ArrayLike:
        (x,) = comparable(x)
        unit_rows = (abs((x * x).sum(-1) - 1) <= 10 * x.shape[-1] * _eps(x)).all(-1)
        return _is_lower_with_positive_diagonal(x) & unit_rows

    def feasible_like(self, prototype: ArrayLike) -> ArrayLike:
        return _identity_like(prototype)


class _PositiveDefinite(ParameterFreeConstraint):
    event_dim = 2

    def check(self, x: ArrayLike) -> ArrayLike:
        (x,) = comparable(x)
        return _is_symmetric(x) & (_smallest_eigenvalue(x) > 0)

    def feasible_like(self, prototype: ArrayLike) -> ArrayLike:
        return _identity_like(prototype)


class _PositiveSemiDefinite(ParameterFreeConstraint):
    event_dim = 2

    def check(self, x: ArrayLike) -> ArrayLike:
        (x,) = comparable(x)
        tolerance = 10 * x.shape[-1] * _eps(x) * abs(x).max((-2, -1))
        return _is_symmetric(x) & (_smallest_eigenvalue(x) >= -tolerance)

    def feasible_like(self, prototype: ArrayLike) -> ArrayLike:
        return _identity_like(prototype)


class _CorrMatrix(ParameterFreeConstraint):
    event_dim = 2

    def check(self, x: ArrayLike) -> ArrayLike:
        (x,) = comparable(x)
        unit = (abs(_diagonal(x) - 1) <= 10 * x.shape[-1] * _eps(x)).all(-1)
        return unit & _is_symmetric(x) & (_smallest_eigenvalue(x) > 0)

    def feasible_like(self, prototype: ArrayLike) -> ArrayLike:
        return _identity_like(prototype)


lower_cholesky = _LowerCholesky()
softplus_lower_cholesky = _SoftplusLowerCholesky()
scaled_unit_lower_cholesky = _ScaledUnitLowerCholesky()
corr_cholesky = _CorrCholesky()
corr_matrix = _CorrMatrix()
positive_definite = _PositiveDefinite()
positive_semidefinite = _PositiveSemiDefinite()
