"""Transforms made of transforms."""

from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np

from ppl._typing import Array, ArrayLike, Shape
from ppl.distributions import constraints
from ppl.distributions.constraints import Constraint
from ppl.distributions.constraints.combinators import check_pieces, split_pieces
from ppl.distributions.transforms.base import Transform
from ppl.distributions.util import promote_shapes, sum_rightmost


def _add(a: Array, b: Array) -> Array:
    a, b = promote_shapes(a, b)
    return a + b


class ComposeTransform(Transform):
    """The transforms of `parts`, applied from left to right.

    The event dimensions of the whole are the fewest that every part sees its own; log-determinants are summed over the others.
    """

    leaf_fields = ("parts",)

    def __init__(self, parts: Sequence[Transform]) -> None:
        self.parts = list(parts)
        for part in self.parts:
            if not isinstance(part, Transform):
                raise TypeError(f"each of the parts must be a Transform, but got {part!r}")

    @property
    def domain(self) -> Constraint:  # type: ignore[override]
        if not self.parts:
            return constraints.real
        return _with_event_dim(self.parts[0].domain, self._event_dims()[0])

    @property
    def codomain(self) -> Constraint:  # type: ignore[override]
        if not self.parts:
            return constraints.real
        return _with_event_dim(self.parts[-1].codomain, self._event_dims()[1])

    def _event_dims(self) -> tuple[int, int]:
        """The event dims of the input and the output of the whole."""
        need = self.parts[-1].codomain.event_dim
        for part in reversed(self.parts):
            need = max(need - part.codomain.event_dim + part.domain.event_dim, part.domain.event_dim)
        out = need
        for part in self.parts:
            out += part.codomain.event_dim - part.domain.event_dim
        return need, out

    @property
    def sign(self) -> ArrayLike:
        out: Any = 1
        for part in self.parts:
            out = out * part.sign
        return out

    def __call__(self, x: ArrayLike) -> Array:
        for part in self.parts:
            x = part(x)
        return x

    def _inverse(self, y: ArrayLike) -> Array:
        for part in reversed(self.parts):
            y = part._inverse(y)
        return y

    def call_with_intermediates(self, x: ArrayLike) -> tuple[Array, list[Any]]:
        steps: list[Any] = []
        for part in self.parts:
            x, inner = part.call_with_intermediates(x)
            steps.append([x, inner])
        return x, steps

    def log_abs_det_jacobian(self, x: ArrayLike, y: ArrayLike, intermediates: Any = None) -> Array:
        if not self.parts:
            return jnp.zeros_like(x)
        if intermediates is None:
            _, intermediates = ComposeTransform(self.parts[:-1]).call_with_intermediates(x)
            intermediates.append([y, None])
        # Each part's log-determinant keeps the axes that it does not count as event; the whole counts more of them.
        event_dim = self._event_dims()[0]
        total: Any = None
        for part, (image, inner) in zip(self.parts, intermediates):
            own = part.domain.event_dim
            term = sum_rightmost(part.log_abs_det_jacobian(x, image, inner), event_dim - own)
            total = term if total is None else _add(total, term)
            x, event_dim = image, event_dim + part.codomain.event_dim - own
        return total

    def forward_shape(self, shape: Shape) -> Shape:
        for part in self.parts:
            shape = part.forward_shape(shape)
        return shape

    def inverse_shape(self, shape: Shape) -> Shape:
        for part in reversed(self.parts):
            shape = part.inverse_shape(shape)
        return shape

    def __repr__(self) -> str:
        return f"ComposeTransform({self.parts!r})"


def _with_event_dim(constraint: Constraint, event_dim: int) -> Constraint:
    extra = event_dim - constraint.event_dim
    return constraints.independent(constraint, extra) if extra > 0 else constraint


class IndependentTransform(Transform):
    """`base_transform` with `reinterpreted_batch_ndims` more event axes, over which its log-determinants are summed."""

    leaf_fields = ("base_transform",)
    static_fields = ("reinterpreted_batch_ndims",)

    def __init__(self, base_transform: Transform, reinterpreted_batch_ndims: int) -> None:
        if not isinstance(base_transform, Transform):
            raise TypeError(f"base_transform must be a Transform, but got {base_transform!r}")
        if not isinstance(reinterpreted_batch_ndims, (int, np.integer)) or reinterpreted_batch_ndims < 0:
            raise ValueError(f"reinterpreted_batch_ndims must be an integer >= 0, but got {reinterpreted_batch_ndims!r}")
        self.base_transform = base_transform
        self.reinterpreted_batch_ndims = int(reinterpreted_batch_ndims)

    @property
    def domain(self) -> Constraint:  # type: ignore[override]
        return constraints.independent(self.base_transform.domain, self.reinterpreted_batch_ndims)

    @property
    def codomain(self) -> Constraint:  # type: ignore[override]
        return constraints.independent(self.base_transform.codomain, self.reinterpreted_batch_ndims)

    def __call__(self, x: ArrayLike) -> Array:
        return self.base_transform(x)

    def _inverse(self, y: ArrayLike) -> Array:
        return self.base_transform._inverse(y)

    def call_with_intermediates(self, x: ArrayLike) -> tuple[Array, Any]:
        return self.base_transform.call_with_intermediates(x)

    def log_abs_det_jacobian(self, x: ArrayLike, y: ArrayLike, intermediates: Any = None) -> Array:
        base = self.base_transform.log_abs_det_jacobian(x, y, intermediates)
        if np.ndim(base) < self.reinterpreted_batch_ndims:
            raise ValueError(f"{self!r} needs values with at least {self.domain.event_dim} dimensions, but got shape {np.shape(x)}")
        return sum_rightmost(base, self.reinterpreted_batch_ndims)

    def forward_shape(self, shape: Shape) -> Shape:
        return self.base_transform.forward_shape(shape)

    def inverse_shape(self, shape: Shape) -> Shape:
        return self.base_transform.inverse_shape(shape)


class CatTransform(Transform):
    """Pieces of sizes `lengths` along axis `dim`, each mapped by its own transform of `tseq`."""

    leaf_fields = ("transforms",)
    static_fields = ("dim", "lengths")

    def __init__(self, tseq: Sequence[Transform], dim: int = 0, lengths: Sequence[int] | None = None) -> None:
        self.transforms, self.dim, self.lengths = check_pieces("tseq", tseq, Transform, dim, lengths)

    @property
    def length(self) -> int:
        """The size of the axis."""
        return sum(self.lengths)

    @property
    def domain(self) -> Constraint:  # type: ignore[override]
        return constraints.cat([t.domain for t in self.transforms], self.dim, self.lengths)

    @property
    def codomain(self) -> Constraint:  # type: ignore[override]
        return constraints.cat([t.codomain for t in self.transforms], self.dim, self._image_lengths())

    def _image_lengths(self) -> tuple[int, ...]:
        """The sizes of the pieces' images along `dim`, which must lie in the event for a transform that changes sizes."""
        return tuple(
            t.forward_shape((n,))[0] if t.domain.event_dim == 1 and self.dim == -1 else n
            for t, n in zip(self.transforms, self.lengths)
        )

    def __call__(self, x: ArrayLike) -> Array:
        pieces = split_pieces(x, self.dim, self.lengths)
        return jnp.concatenate([t(piece) for t, piece in zip(self.transforms, pieces)], axis=self.dim)

    def _inverse(self, y: ArrayLike) -> Array:
        pieces = split_pieces(y, self.dim, self._image_lengths())
        return jnp.concatenate([t._inverse(piece) for t, piece in zip(self.transforms, pieces)], axis=self.dim)

    def log_abs_det_jacobian(self, x: ArrayLike, y: ArrayLike, intermediates: Any = None) -> Array:
        xs = split_pieces(x, self.dim, self.lengths)
        ys = split_pieces(y, self.dim, self._image_lengths())
        event_dims = [max(t.domain.event_dim, t.codomain.event_dim) for t in self.transforms]
        event_dim = max(event_dims)
        parts = [
            sum_rightmost(t.log_abs_det_jacobian(a, b), event_dim - own)
            for t, own, a, b in zip(self.transforms, event_dims, xs, ys)
        ]
        axis = self.dim % np.ndim(x)
        if axis < np.ndim(x) - event_dim:
            return jnp.concatenate(parts, axis=axis)
        total = parts[0]
        for part in parts[1:]:
            total = total + part
        return total

    def _resized(self, shape: Shape, old: tuple[int, ...], new: tuple[int, ...]) -> Shape:
        if not -len(shape) <= self.dim < len(shape):
            raise ValueError(f"a value of shape {tuple(shape)} has no axis dim={self.dim} to split")
        if shape[self.dim] != sum(old):
            raise ValueError(f"the size {shape[self.dim]} of axis {self.dim} must equal the sum of lengths {sum(old)}")
        axis = self.dim % len(shape)
        return (*shape[:axis], sum(new), *shape[axis + 1 :])

    def forward_shape(self, shape: Shape) -> Shape:
        return self._resized(shape, self.lengths, self._image_lengths())

    def inverse_shape(self, shape: Shape) -> Shape:
        return self._resized(shape, self._image_lengths(), self.lengths)
