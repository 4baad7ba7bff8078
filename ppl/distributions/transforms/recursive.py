"""Maps that run along time."""

from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import lax

from ppl._typing import Array, ArrayLike, Shape
from ppl.distributions import constraints
from ppl.distributions.transforms.base import Transform
from ppl.distributions.util import as_parameter, float_dtype, square_dim


class RecursiveLinearTransform(Transform):
    """Innovations `eps_1, ..., eps_T` to states `x_t = A x_{t-1} + eps_t`, series of vectors of shape `(..., T, d)`.

    The map is one sweep along time, its inverse `eps_t = x_t - A x_{t-1}` one product for all times. Its matrix is block lower
    triangular with identities on the diagonal: the log-determinant is zero.

    Args:
        transition_matrix: `A`, shape `(..., d, d)`.
        initial_value: `x_0`, shape `(..., d)`; None for zero.

    Raises:
        ValueError: if `transition_matrix` is not square, or other sizes are not its own.

    Example:
        >>> import jax.numpy as jnp
        >>> t = RecursiveLinearTransform(jnp.array([[0.5]]))
        >>> x = t(jnp.array([[1.0], [0.0], [0.0]]))
        >>> [float(v) for v in x[:, 0]]
        [1.0, 0.5, 0.25]

    Reference: Durbin and Koopman (2012), Time Series Analysis by State Space Methods, section 3.1.
    """

    domain = codomain = constraints.real_matrix
    leaf_fields = ("transition_matrix", "initial_value")

    def __init__(self, transition_matrix: ArrayLike, initial_value: ArrayLike | None = None) -> None:
        self.transition_matrix, self.initial_value = as_parameter(transition_matrix), as_parameter(initial_value)
        shape, start = np.shape(self.transition_matrix), np.shape(self.initial_value)
        d = square_dim("RecursiveLinearTransform", "transition_matrix", shape)
        if self.initial_value is not None and start[-1:] not in ((1,), (d,)):
            raise ValueError(
                f"RecursiveLinearTransform: initial_value must be vectors (..., {d}), as transition_matrix has the shape "
                f"{shape}, but got shape {start}"
            )

    def _operands(self, x: ArrayLike) -> tuple[Array, Array, Array]:
        """Series of shape `(..., T, d)`, the transposed `A`, and `x_0` of shape `(..., 1, d)`, in one dtype."""
        dtype = float_dtype(x, self.transition_matrix, self.initial_value)
        shape = self.forward_shape(np.shape(x))
        start_shape = (*shape[:-2], 1, shape[-1])
        if self.initial_value is None:
            start = jnp.zeros(start_shape, dtype)
        else:
            start = jnp.broadcast_to(jnp.asarray(self.initial_value, dtype)[..., None, :], start_shape)
        transposed = jnp.swapaxes(jnp.asarray(self.transition_matrix, dtype), -2, -1)
        return jnp.broadcast_to(jnp.asarray(x, dtype), shape), transposed, start

    def __call__(self, x: ArrayLike) -> Array:
        innovations, transposed, start = self._operands(x)

        def step(state: Array, eps: Array) -> tuple[Array, Array]:
            state = jnp.matmul(state, transposed, precision=lax.Precision.HIGHEST) + eps
            return state, state

        _, states = lax.scan(step, start, jnp.moveaxis(innovations[..., None, :], -3, 0))
        return jnp.moveaxis(states, 0, -3)[..., 0, :]

    def _inverse(self, y: ArrayLike) -> Array:
        states, transposed, start = self._operands(y)
        axis = states.ndim - 2
        before = lax.slice_in_dim(lax.concatenate([start, states], axis), 0, states.shape[axis], 1, axis)
        return states - jnp.matmul(before, transposed, precision=lax.Precision.HIGHEST)

    def log_abs_det_jacobian(self, x: ArrayLike, y: ArrayLike, intermediates: Any = None) -> Array:
        dtype = float_dtype(x, self.transition_matrix, self.initial_value)
        return jnp.zeros(self.forward_shape(np.shape(x))[:-2], dtype)

    def forward_shape(self, shape: Shape) -> Shape:
        matrix, start = np.shape(self.transition_matrix), np.shape(self.initial_value)
        if len(shape) < 2 or shape[-1] != matrix[-1]:
            raise ValueError(
                f"RecursiveLinearTransform with a transition_matrix of shape {matrix} needs series of vectors, of shape "
                f"(..., T, {matrix[-1]}), but got shape {tuple(shape)}"
            )
        return (*np.broadcast_shapes(shape[:-2], matrix[:-2], start[:-1]), *shape[-2:])

    def inverse_shape(self, shape: Shape) -> Shape:
        return self.forward_shape(shape)
