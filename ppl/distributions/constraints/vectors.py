"""Sets of vectors."""

import jax.numpy as jnp
import numpy as np

from ppl._typing import ArrayLike
from ppl.distributions.constraints.base import Constraint, ParameterFreeConstraint, comparable, full_like, xp


def _eps(x: ArrayLike) -> float:
    """Unit roundoff of the values of `x`; integers count as single precision."""
    return float(jnp.finfo(x.dtype if jnp.issubdtype(x.dtype, np.floating) else np.float32).eps)


class _Simplex(ParameterFreeConstraint):
    event_dim = 1

    def check(self, x: ArrayLike) -> ArrayLike:
        (x,) = comparable(x)
        tolerance = max(1e-6, x.shape[-1] * _eps(x))
        return (x >= 0).all(-1) & (abs(x.sum(-1) - 1) <= tolerance)

    def feasible_like(self, prototype: ArrayLike) -> ArrayLike:
        return full_like(prototype, 1.0 / np.shape(prototype)[-1])


class _OrderedVector(ParameterFreeConstraint):
    event_dim = 1

    def check(self, x: ArrayLike) -> ArrayLike:
        (x,) = comparable(x)
        return (x[..., 1:] > x[..., :-1]).all(-1)

    def feasible_like(self, prototype: ArrayLike) -> ArrayLike:
        return full_like(prototype, np.arange(np.shape(prototype)[-1], dtype=float))


class _PositiveOrderedVector(ParameterFreeConstraint):
    event_dim = 1

    def check(self, x: ArrayLike) -> ArrayLike:
        (x,) = comparable(x)
        return (x[..., 1:] > x[..., :-1]).all(-1) & (x > 0).all(-1)

    def feasible_like(self, prototype: ArrayLike) -> ArrayLike:
        return full_like(prototype, np.exp(np.arange(np.shape(prototype)[-1], dtype=float)))


class _L1Ball(ParameterFreeConstraint):
    event_dim = 1

    def check(self, x: ArrayLike) -> ArrayLike:
        (x,) = comparable(x)
        return abs(x).sum(-1) < 1 + 10 * _eps(x)

    def feasible_like(self, prototype: ArrayLike) -> ArrayLike:
        return full_like(prototype, 0.0)


class _Sphere(ParameterFreeConstraint):
    event_dim = 1

    def check(self, x: ArrayLike) -> ArrayLike:
        (x,) = comparable(x)
        return abs((x * x).sum(-1) - 1) <= 10 * x.shape[-1] * _eps(x)

    def feasible_like(self, prototype: ArrayLike) -> ArrayLike:
        return full_like(prototype, np.shape(prototype)[-1] ** -0.5)


class _ZeroSum(Constraint):
    """Arrays whose sum along each of the `event_dim` rightmost axes is zero, up to rounding."""

    static_fields = ("event_dim",)

    def __init__(self, event_dim: int = 1) -> None:
        if not isinstance(event_dim, (int, np.integer)) or event_dim < 0:
            raise ValueError(f"event_dim must be an integer >= 0, but got {event_dim!r}")
        self.event_dim = int(event_dim)

    def check(self, x: ArrayLike) -> ArrayLike:
        (x,) = comparable(x)
        axes = tuple(range(-self.event_dim, 0))
        ok = xp(x).ones(x.shape[: x.ndim - self.event_dim], dtype=bool)
        tolerance = 100 * _eps(x) * (1 + abs(x).sum(axes, keepdims=True))
        for axis in axes:
            ok = ok & (abs(x.sum(axis, keepdims=True)) <= tolerance).all(axes)
        return ok

    def feasible_like(self, prototype: ArrayLike) -> ArrayLike:
        return full_like(prototype, 0.0)


class _PositiveDefiniteCirculantVector(ParameterFreeConstraint):
    """First rows of circulant matrices whose eigenvalues, the discrete Fourier transform of the row, are real and not negative."""

    event_dim = 1

    def check(self, x: ArrayLike) -> ArrayLike:
        (x,) = comparable(x)
        spectrum = xp(x).fft.fft(x)
        tolerance = 10 * _eps(x) * abs(x).sum(-1, keepdims=True)
        return ((spectrum.real >= -tolerance) & (abs(spectrum.imag) <= tolerance)).all(-1)

    def feasible_like(self, prototype: ArrayLike) -> ArrayLike:
        return full_like(prototype, (np.arange(np.shape(prototype)[-1]) == 0).astype(float))


simplex = _Simplex()
ordered_vector = _OrderedVector()
positive_ordered_vector = _PositiveOrderedVector()
l1_ball = _L1Ball()
sphere = _Sphere()
zero_sum = _ZeroSum
positive_definite_circulant_vector = _PositiveDefiniteCirculantVector()
