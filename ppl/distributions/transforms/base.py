"""The contract of a transform."""

from typing import Any

import numpy as np

from ppl._typing import Array, ArrayLike, Shape
from ppl.distributions.constraints import Constraint
from ppl.distributions.structure import Structure


class Transform(Structure):
    """An invertible, differentiable map from `domain` to `codomain`, with its log-determinant.

    `t(x)` maps, `t.inv` is the inverse transform, `t.inv.inv is t`. Transforms are values: they compare by type and parameters,
    and are pytrees whose leaves are their parameters. A subclass defines `__call__`, `_inverse`, `log_abs_det_jacobian`, and the
    names of its fields in `leaf_fields` and `static_fields` (or `tree_flatten`).
    """

    domain: Constraint
    codomain: Constraint

    @property
    def inv(self) -> "Transform":
        """The inverse transform, the same object each time, so that `t.inv.inv is t` for every transform."""
        fields = self.__dict__
        if "_kept_inverse" not in fields:
            fields["_kept_inverse"] = _InverseTransform(self)
        return fields["_kept_inverse"]

    @property
    def sign(self) -> ArrayLike:
        """1 if increasing, -1 if decreasing, of a monotone map of scalars."""
        raise NotImplementedError(f"{type(self).__name__} has no sign: it is not a monotone map of scalars")

    def __call__(self, x: ArrayLike) -> Array:
        """The image of `x`."""
        raise NotImplementedError(f"{type(self).__name__} defines no map")

    def _inverse(self, y: ArrayLike) -> Array:
        """The preimage of `y`."""
        raise NotImplementedError(f"{type(self).__name__} has no inverse")

    def log_abs_det_jacobian(self, x: ArrayLike, y: ArrayLike, intermediates: Any = None) -> Array:
        """`log|det dy/dx|` at `x`, where `y = t(x)`: the shape of the larger of the two without their event axes.

        Args:
            x: a point of the domain.
            y: its image.
            intermediates: what `call_with_intermediates(x)` returned beside `y`, which saves work.
        """
        raise NotImplementedError(f"{type(self).__name__} defines no log_abs_det_jacobian")

    def call_with_intermediates(self, x: ArrayLike) -> tuple[Array, Any]:
        """The image of `x`, and what `log_abs_det_jacobian` can use again, or None."""
        return self(x), None

    def forward_shape(self, shape: Shape) -> Shape:
        """The shape of the image of an array of `shape`."""
        return shape

    def inverse_shape(self, shape: Shape) -> Shape:
        """The shape of the preimage of an array of `shape`."""
        return shape

    def __repr__(self) -> str:
        names = (*self.leaf_fields, *self.static_fields)
        fields = ", ".join(f"{name.lstrip('_')}={getattr(self, name)!r}" for name in names)
        return f"{type(self).__name__}({fields})"


class ParameterFreeTransform(Transform):
    """A transform without parameters."""


class _InverseTransform(Transform):
    """The inverse of the transform in its only field."""

    leaf_fields = ("_inv",)

    def __init__(self, transform: Transform) -> None:
        self._inv = transform

    @property
    def inv(self) -> Transform:
        return self._inv

    @property
    def domain(self) -> Constraint:  # type: ignore[override]
        return self._inv.codomain

    @property
    def codomain(self) -> Constraint:  # type: ignore[override]
        return self._inv.domain

    @property
    def sign(self) -> ArrayLike:
        return self._inv.sign

    def __call__(self, x: ArrayLike) -> Array:
        return self._inv._inverse(x)

    def _inverse(self, y: ArrayLike) -> Array:
        return self._inv(y)

    def log_abs_det_jacobian(self, x: ArrayLike, y: ArrayLike, intermediates: Any = None) -> Array:
        return -self._inv.log_abs_det_jacobian(y, x)

    def forward_shape(self, shape: Shape) -> Shape:
        return self._inv.inverse_shape(shape)

    def inverse_shape(self, shape: Shape) -> Shape:
        return self._inv.forward_shape(shape)


def check_vector(name: str, shape: Shape, minimum: int = 1) -> None:
    """Raise ValueError unless `shape` has a last axis of at least `minimum` entries."""
    if len(shape) < 1:
        raise ValueError(f"{name} needs vectors, but got a scalar, of shape ()")
    if shape[-1] < minimum:
        raise ValueError(f"{name} needs vectors with at least {minimum} entries along the last axis, but got shape {tuple(shape)}")


def constant(values: Any, like: Any) -> np.ndarray:
    """A NumPy constant in the dtype of the array `like`."""
    return np.asarray(values, like.dtype)
