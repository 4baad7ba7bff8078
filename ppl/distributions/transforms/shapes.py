"""Maps that move elements without changing them."""

import warnings
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from ppl._typing import Array, ArrayLike, PyTree, Shape
from ppl.distributions import constraints
from ppl.distributions.constraints import Constraint
from ppl.distributions.transforms.base import ParameterFreeTransform, Transform
from ppl.distributions.transforms.elementwise import as_float
from ppl.distributions.util import as_operand, as_parameter, float_dtype, is_concrete


def as_complex(x: ArrayLike) -> Array:
    """`x` as a JAX array of complex numbers, of the width of its own numbers."""
    return jnp.asarray(x, np.result_type(float_dtype(x), np.complex64))


class ComplexTransform(ParameterFreeTransform):
    """Pairs of reals along the last axis to complex numbers, `y = x_1 + i x_2`, with log-determinant zero.

    Raises:
        ValueError: if the last axis is not of size 2.

    Example:
        >>> import jax.numpy as jnp
        >>> complex(ComplexTransform()(jnp.array([1.0, -2.0])))
        (1-2j)
    """

    domain = constraints.real_vector
    codomain = constraints.complex

    def __call__(self, x: ArrayLike) -> Array:
        x = as_float(x)
        self.forward_shape(x.shape)
        return lax.complex(x[..., 0], x[..., 1])

    def _inverse(self, y: ArrayLike) -> Array:
        y = as_complex(y)
        return lax.concatenate([lax.expand_dims(part, (y.ndim,)) for part in (lax.real(y), lax.imag(y))], y.ndim)

    def log_abs_det_jacobian(self, x: ArrayLike, y: ArrayLike, intermediates: Any = None) -> Array:
        return jnp.zeros(self.forward_shape(np.shape(x)), as_float(x).dtype)

    def forward_shape(self, shape: Shape) -> Shape:
        if not shape or shape[-1] != 2:
            raise ValueError(
                f"ComplexTransform needs pairs of reals, the real and imaginary parts, in a last axis of size 2, but got shape "
                f"{tuple(shape)}"
            )
        return shape[:-1]

    def inverse_shape(self, shape: Shape) -> Shape:
        return (*shape, 2)


class PermuteTransform(Transform):
    """`y_i = x[permutation_i]` along the last axis."""

    domain = codomain = constraints.real_vector
    leaf_fields = ("permutation",)

    def __init__(self, permutation: ArrayLike) -> None:
        self.permutation = as_parameter(permutation)
        shape = np.shape(self.permutation)
        if len(shape) != 1:
            raise ValueError(f"PermuteTransform: permutation must be one vector of indices, but got shape {shape}")
        known = as_operand(self.permutation)
        if isinstance(known, np.ndarray) and not np.array_equal(np.sort(known), np.arange(shape[0])):
            raise ValueError(
                f"PermuteTransform: permutation must hold each of 0, ..., {shape[0] - 1} once, but got {known.tolist()}"
            )

    def __call__(self, x: ArrayLike) -> Array:
        self.forward_shape(np.shape(x))
        return jnp.asarray(x)[..., as_operand(self.permutation)]

    def _inverse(self, y: ArrayLike) -> Array:
        permutation = self.permutation
        self.inverse_shape(np.shape(y))
        order = as_operand(np.argsort(np.asarray(permutation))) if is_concrete(permutation) else jnp.argsort(permutation)
        return jnp.asarray(y)[..., order]

    def log_abs_det_jacobian(self, x: ArrayLike, y: ArrayLike, intermediates: Any = None) -> Array:
        return jnp.zeros(np.shape(x)[:-1], as_float(x).dtype)

    def forward_shape(self, shape: Shape) -> Shape:
        n = np.shape(self.permutation)[-1]
        if shape[-1:] != (n,):
            raise ValueError(f"PermuteTransform of {n} entries needs vectors of shape (..., {n}), but got shape {tuple(shape)}")
        return shape

    def inverse_shape(self, shape: Shape) -> Shape:
        return self.forward_shape(shape)


class ReshapeTransform(Transform):
    """Arrays whose last axes are `inverse_shape` to arrays whose last axes are `forward_shape`.

    Raises:
        ValueError: if the sizes of the shapes differ.
    """

    static_fields = ("_forward_shape", "_inverse_shape")

    def __init__(self, forward_shape: Shape, inverse_shape: Shape) -> None:
        self._forward_shape, self._inverse_shape = tuple(forward_shape), tuple(inverse_shape)
        if np.prod(self._forward_shape, dtype=int) != np.prod(self._inverse_shape, dtype=int):
            raise ValueError(
                f"forward shape {self._forward_shape} and inverse shape {self._inverse_shape} are not compatible: "
                "their sizes differ"
            )

    @property
    def domain(self) -> Constraint:  # type: ignore[override]
        return constraints.independent(constraints.real, len(self._inverse_shape))

    @property
    def codomain(self) -> Constraint:  # type: ignore[override]
        return constraints.independent(constraints.real, len(self._forward_shape))

    def _replace(self, shape: Shape, old: Shape, new: Shape) -> Shape:
        cut = len(shape) - len(old)
        if cut < 0 or tuple(shape[cut:]) != old:
            raise TypeError(f"cannot reshape array of shape {tuple(shape)}: its last axes must be {old}, to become {new}")
        return (*shape[:cut], *new)

    def forward_shape(self, shape: Shape) -> Shape:
        return self._replace(shape, self._inverse_shape, self._forward_shape)

    def inverse_shape(self, shape: Shape) -> Shape:
        return self._replace(shape, self._forward_shape, self._inverse_shape)

    def __call__(self, x: ArrayLike) -> Array:
        return lax.reshape(jnp.asarray(x), self.forward_shape(np.shape(x)))

    def _inverse(self, y: ArrayLike) -> Array:
        return lax.reshape(jnp.asarray(y), self.inverse_shape(np.shape(y)))

    def log_abs_det_jacobian(self, x: ArrayLike, y: ArrayLike, intermediates: Any = None) -> Array:
        x = as_float(x)
        return jnp.zeros(x.shape[: x.ndim - len(self._inverse_shape)], x.dtype)


class UnpackTransform(Transform):
    """Vectors to the pytrees that `unpack_fn` makes of one of them; a batch of vectors is mapped over.

    Args:
        unpack_fn: takes a vector, returns a pytree.
        pack_fn: its inverse, takes a pytree, returns a vector.
    """

    domain = constraints.real_vector
    codomain = constraints.dependent(is_discrete=False, event_dim=1)
    static_fields = ("unpack_fn", "pack_fn")

    def __init__(self, unpack_fn: Callable[[Array], PyTree], pack_fn: Callable[[PyTree], Array] | None = None) -> None:
        self.unpack_fn, self.pack_fn = unpack_fn, pack_fn

    def __call__(self, x: ArrayLike) -> PyTree:
        fn = self.unpack_fn
        for _ in range(np.ndim(x) - 1):
            fn = jax.vmap(fn)
        return fn(x)

    def _inverse(self, y: PyTree) -> Array:
        if self.pack_fn is None:
            raise NotImplementedError("UnpackTransform.inv needs pack_fn, which was not given")
        if self._is_batch(y):
            warnings.warn(
                "UnpackTransform.inv cannot pack a batch of unpacked arrays: its result is what pack_fn makes of the whole batch. "
                "Map it over the batch with jax.vmap.",
                UserWarning,
                stacklevel=2,
            )
        return self.pack_fn(y)

    def _is_batch(self, y: PyTree) -> bool:
        """Whether `y` is not what `unpack_fn` makes of one vector, judged by shapes."""
        try:
            again = jax.eval_shape(lambda tree: self.unpack_fn(self.pack_fn(tree)), y)  # type: ignore[misc]
        except (TypeError, ValueError, IndexError):
            return True
        return [np.shape(leaf) for leaf in jax.tree_util.tree_leaves(again)] != [
            np.shape(leaf) for leaf in jax.tree_util.tree_leaves(y)
        ]

    def log_abs_det_jacobian(self, x: ArrayLike, y: PyTree, intermediates: Any = None) -> Array:
        return jnp.zeros(np.shape(x)[:-1], as_float(x).dtype)

    def forward_shape(self, shape: Shape) -> Shape:
        raise NotImplementedError("the image of UnpackTransform is a pytree, which has no one shape")

    def inverse_shape(self, shape: Shape) -> Shape:
        raise NotImplementedError("the image of UnpackTransform is a pytree, which has no one shape")
