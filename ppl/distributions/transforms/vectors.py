"""Maps of vectors: simplices, order, balls, planes."""

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from ppl._typing import Array, ArrayLike, Shape
from ppl.distributions import constraints
from ppl.distributions.constraints import Constraint
from ppl.distributions.transforms.base import ParameterFreeTransform, Transform, check_vector, constant
from ppl.distributions.transforms.elementwise import as_float
from ppl.distributions.util import as_parameter, cumulative_sum, promote_shapes, softplus, sum_rightmost


def pad_last(x: Array, before: int, after: int) -> Array:
    """`x` with zeros before and after along the last axis, or with entries cut off for negative counts."""
    return lax.pad(x, constant(0, x), [*[(0, 0, 0)] * (x.ndim - 1), (before, after, 0)])


def log_sech2(x: Array) -> Array:
    """`log(1 - tanh(x)^2)` without cancellation."""
    return 2.0 * (math.log(2.0) - x - softplus(-2.0 * x))


class OrderedTransform(ParameterFreeTransform):
    """`y_0 = x_0, y_k = y_{k-1} + exp(x_k)`: increasing vectors, with log-determinant `sum_{k>0} x_k`."""

    domain = constraints.real_vector
    codomain = constraints.ordered_vector

    def __call__(self, x: ArrayLike) -> Array:
        x = as_float(x)
        check_vector("OrderedTransform", x.shape, 0)
        if x.shape[-1] < 2:
            return x
        return cumulative_sum(lax.concatenate([x[..., :1], lax.exp(x[..., 1:])], x.ndim - 1))

    def _inverse(self, y: ArrayLike) -> Array:
        y = as_float(y)
        check_vector("OrderedTransform.inv", y.shape, 0)
        return lax.concatenate([y[..., :1], lax.log(y[..., 1:] - y[..., :-1])], y.ndim - 1)

    def log_abs_det_jacobian(self, x: ArrayLike, y: ArrayLike, intermediates: Any = None) -> Array:
        x = as_float(x)
        check_vector("OrderedTransform", x.shape, 0)
        return sum_rightmost(x[..., 1:], 1)


class StickBreakingTransform(ParameterFreeTransform):
    """Vectors of K - 1 reals to probability vectors of length K, by breaking pieces off a stick; 0 maps to `(1/K, ..., 1/K)`.

    With `u_k = x_k - log(K - 1 - k)`, the share `1 / (1 + exp(-u_k))` of what is left becomes `y_k` (Stan reference manual, "Unit
    simplex"). In logarithms, `log y_k = -softplus(-u_k) - sum_{j<k} softplus(u_j)`, and the log-determinant is the sum of all K of
    them.
    """

    domain = constraints.real_vector
    codomain = constraints.simplex

    def __call__(self, x: ArrayLike) -> Array:
        return self.call_with_intermediates(x)[0]

    def call_with_intermediates(self, x: ArrayLike) -> tuple[Array, Any]:
        x = as_float(x)
        check_vector("StickBreakingTransform", x.shape, 0)
        return _break_stick(x)

    def _inverse(self, y: ArrayLike) -> Array:
        y = as_float(y)
        check_vector("StickBreakingTransform.inv", y.shape)
        n = y.shape[-1] - 1
        y = lax.max(y, lax.full_like(y, jnp.finfo(y.dtype).tiny))
        rest = cumulative_sum(y, exclusive=True, reverse=True)[..., :-1]
        return lax.log(y[..., :-1]) - lax.log(rest) + constant(np.log(np.arange(n, 0, -1)), y).reshape((1,) * (y.ndim - 1) + (n,))

    def log_abs_det_jacobian(self, x: ArrayLike, y: ArrayLike, intermediates: Any = None) -> Array:
        return sum_rightmost(self.call_with_intermediates(x)[1] if intermediates is None else intermediates, 1)

    def forward_shape(self, shape: Shape) -> Shape:
        check_vector("StickBreakingTransform", shape, 0)
        return (*shape[:-1], shape[-1] + 1)

    def inverse_shape(self, shape: Shape) -> Shape:
        check_vector("StickBreakingTransform.inv", shape)
        return (*shape[:-1], shape[-1] - 1)


@jax.jit
def _break_stick(x: Array) -> tuple[Array, Array]:
    """The shares `y` of StickBreakingTransform, and their logarithms."""
    n = x.shape[-1]
    u = x - constant(np.log(np.arange(n, 0, -1)), x).reshape((1,) * (x.ndim - 1) + (n,))
    left = softplus(u)
    log_y = pad_last(u - left, 0, 1) - cumulative_sum(pad_last(left, 1, 0))
    # Shares below the smallest normal number would be zero, where densities on the simplex are not finite.
    return lax.exp(lax.max(log_y, lax.full_like(log_y, math.log(jnp.finfo(log_y.dtype).tiny) + 1e-3))), log_y


class SimplexToOrderedTransform(Transform):
    """Probability vectors of length K to K - 1 cutpoints `y_k = anchor_point + logit(x_0 + ... + x_k)`.

    The cutpoints of an ordered logistic regression whose categories have the probabilities `x` at the predictor `anchor_point`
    (Betancourt, "Ordinal regression", 2019).
    """

    domain = constraints.simplex
    codomain = constraints.ordered_vector
    leaf_fields = ("anchor_point",)

    def __init__(self, anchor_point: ArrayLike = 0.0) -> None:
        self.anchor_point = as_parameter(anchor_point)

    def _anchor(self, like: Array) -> Any:
        anchor = self.anchor_point
        return promote_shapes(anchor[..., None], like)[0] if np.ndim(anchor) else anchor

    def __call__(self, x: ArrayLike) -> Array:
        x = as_float(x)
        check_vector("SimplexToOrderedTransform", x.shape)
        below = cumulative_sum(x)[..., :-1]
        above = cumulative_sum(x, exclusive=True, reverse=True)[..., :-1]
        return self._anchor(x) + (lax.log(below) - lax.log(above))

    def _inverse(self, y: ArrayLike) -> Array:
        y = as_float(y)
        check_vector("SimplexToOrderedTransform.inv", y.shape, 0)
        u = y - self._anchor(y)
        low, high = u[..., :-1], u[..., 1:]
        inner = lax.logistic(high) * lax.logistic(-low) * -lax.expm1(low - high)
        return lax.concatenate([lax.logistic(u[..., :1]), inner, lax.logistic(-u[..., -1:])], u.ndim - 1)

    def log_abs_det_jacobian(self, x: ArrayLike, y: ArrayLike, intermediates: Any = None) -> Array:
        u = as_float(y) - self._anchor(y)
        return sum_rightmost(2.0 * softplus(u) - u, 1)

    def forward_shape(self, shape: Shape) -> Shape:
        check_vector("SimplexToOrderedTransform", shape)
        return (*shape[:-1], shape[-1] - 1)

    def inverse_shape(self, shape: Shape) -> Shape:
        check_vector("SimplexToOrderedTransform.inv", shape, 0)
        return (*shape[:-1], shape[-1] + 1)


class L1BallTransform(ParameterFreeTransform):
    """Real vectors to `sum |y_k| < 1`, by signed stick breaking: `y_k = tanh(x_k) r_k` with `r_k = prod_{j<k} (1 - |tanh x_j|)`."""

    domain = constraints.real_vector
    codomain = constraints.l1_ball

    def _log_rest(self, x: Array) -> Array:
        # log(1 - |tanh x|) = log 2 - softplus(2 |x|)
        check_vector("L1BallTransform", x.shape, 0)
        return cumulative_sum(math.log(2.0) - softplus(2.0 * lax.abs(x)), exclusive=True)

    def call_with_intermediates(self, x: ArrayLike) -> tuple[Array, Any]:
        x = as_float(x)
        log_rest = self._log_rest(x)
        return lax.tanh(x) * lax.exp(log_rest), log_rest

    def __call__(self, x: ArrayLike) -> Array:
        return self.call_with_intermediates(x)[0]

    def _inverse(self, y: ArrayLike) -> Array:
        y = as_float(y)
        check_vector("L1BallTransform.inv", y.shape, 0)
        finfo = jnp.finfo(y.dtype)
        rest = lax.max(1.0 - cumulative_sum(lax.abs(y), exclusive=True), lax.full_like(y, finfo.tiny))
        return lax.atanh(lax.clamp(constant(-1 + finfo.eps, y), y / rest, constant(1 - finfo.eps, y)))

    def log_abs_det_jacobian(self, x: ArrayLike, y: ArrayLike, intermediates: Any = None) -> Array:
        x = as_float(x)
        log_rest = self._log_rest(x) if intermediates is None else intermediates
        return sum_rightmost(log_sech2(x) + log_rest, 1)


class ZeroSumTransform(Transform):
    """The isometry of R^(n-1) onto the vectors of length n that sum to zero, applied along each of the last `transform_ndims` axes.

    With `s = sum x`: `y_i = x_i - s / (n + sqrt n)` for i < n, and `y_n = -s / sqrt n`. Its log-determinant is zero.
    """

    static_fields = ("transform_ndims",)

    def __init__(self, transform_ndims: int = 1) -> None:
        if not isinstance(transform_ndims, (int, np.integer)) or transform_ndims < 0:
            raise ValueError(f"transform_ndims must be an integer >= 0, but got {transform_ndims!r}")
        self.transform_ndims = int(transform_ndims)

    @property
    def domain(self) -> Constraint:  # type: ignore[override]
        return _real_of(self.transform_ndims)

    @property
    def codomain(self) -> Constraint:  # type: ignore[override]
        return constraints.zero_sum(self.transform_ndims)

    def __call__(self, x: ArrayLike) -> Array:
        x = as_float(x)
        self.forward_shape(x.shape)
        for axis in range(x.ndim - self.transform_ndims, x.ndim):
            n = x.shape[axis] + 1
            total = lax.expand_dims(lax.reduce_sum(x, (axis,)), (axis,))
            x = lax.concatenate([x - total / (n + n**0.5), total * -(n**-0.5)], axis)
        return x

    def _inverse(self, y: ArrayLike) -> Array:
        y = as_float(y)
        self.inverse_shape(y.shape)
        for axis in range(y.ndim - self.transform_ndims, y.ndim):
            n = y.shape[axis]
            last = lax.slice_in_dim(y, n - 1, n, axis=axis)
            y = lax.slice_in_dim(y, 0, n - 1, axis=axis) - last / (n**0.5 + 1.0)
        return y

    def log_abs_det_jacobian(self, x: ArrayLike, y: ArrayLike, intermediates: Any = None) -> Array:
        x = as_float(x)
        self.forward_shape(x.shape)
        return jnp.zeros(x.shape[: x.ndim - self.transform_ndims], x.dtype)

    def _resized(self, shape: Shape, by: int) -> Shape:
        cut = len(shape) - self.transform_ndims
        if cut < 0:
            raise ValueError(f"{self!r} needs at least {self.transform_ndims} dimension(s), but got shape {shape}")
        return (*shape[:cut], *(n + by for n in shape[cut:]))

    def forward_shape(self, shape: Shape) -> Shape:
        return self._resized(shape, 1)

    def inverse_shape(self, shape: Shape) -> Shape:
        return self._resized(shape, -1)


def _real_of(event_dim: int) -> Constraint:
    named = (constraints.real, constraints.real_vector, constraints.real_matrix)
    return named[event_dim] if event_dim < 3 else constraints.independent(constraints.real, event_dim)
