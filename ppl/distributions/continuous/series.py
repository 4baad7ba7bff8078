"""Laws of time series."""

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from ppl._typing import Array, ArrayLike, Key, Shape
from ppl.distributions import constraints, random
from ppl.distributions.continuous.multivariate_normal import CovarianceParameters, MultivariateNormal
from ppl.distributions.continuous.triangular import (
    as_float,
    as_vector,
    diagonal,
    exactly_one_matrix,
    half_log_det,
    matrix_times_vectors,
    over_rows,
    prepend_ones,
    transpose,
)
from ppl.distributions.distribution.base import Distribution
from ppl.distributions.distribution.transformed import TransformedDistribution
from ppl.distributions.special.elementary import log
from ppl.distributions.transforms import RecursiveLinearTransform
from ppl.distributions.util import as_operand, promote_shapes, square_dim, sum_rightmost, validate_sample

__all__ = ["EulerMaruyama", "GaussianRandomWalk", "GaussianStateSpace"]

_LOG_2PI = math.log(2 * math.pi)


class GaussianRandomWalk(Distribution):
    r"""Sums of independent normal increments: `x_1 ~ N(0, scale^2)`, `x_t ~ N(x_{t-1}, scale^2)`.

    `log p(x) = -[x_1^2 + sum_{t>1} (x_t - x_{t-1})^2] / (2 scale^2) - T log(scale) - T/2 log 2 pi`.

    Args:
        scale: standard deviation of an increment, positive, shape `(...)`.
        num_steps: `T`, a static integer from 1 up; the walk starts after its first increment.
        validate_args: whether to check the parameters now and values in `log_prob`.

    Raises:
        ValueError: `num_steps` is no positive integer.

    Example:
        >>> d = GaussianRandomWalk(scale=2.0, num_steps=3)
        >>> [float(v) for v in d.variance]
        [4.0, 8.0, 12.0]
    """

    arg_constraints = {"scale": constraints.positive}
    support = constraints.real_vector
    reparametrized_params = ["scale"]
    pytree_aux_fields = ("num_steps",)

    def __init__(self, scale: ArrayLike = 1.0, num_steps: int = 1, *, validate_args: bool | None = None) -> None:
        self.scale = as_float(scale)
        self.num_steps = _checked_steps("GaussianRandomWalk", num_steps)
        super().__init__(np.shape(self.scale), (self.num_steps,), validate_args=validate_args)

    def sample(self, key: Key, sample_shape: Shape = ()) -> Array:
        """Walks of shape `sample_shape + batch_shape + (T,)`."""
        eps = random.normal(key, self.shape(sample_shape), dtype=self._dtype)
        scale = prepend_ones(self.scale, eps.ndim - 1)
        return lax.cumsum(eps, axis=eps.ndim - 1) * (scale if np.ndim(scale) == 0 else scale[..., None])

    @validate_sample
    def log_prob(self, value: ArrayLike) -> Array:
        """Log density of walks `(..., T)`."""
        value = jnp.asarray(value)
        # Each value less the one before it, the first less 0: one pad, where slices would have three in the gradient.
        before = lax.pad(value, value.dtype.type(0), [*[(0, 0, 0)] * (value.ndim - 1), (1, -1, 0)])
        squared = lax.square(value - before).sum(-1)
        squared, scale = promote_shapes(squared, as_operand(self.scale))
        return -0.5 * squared / scale**2 - self.num_steps * (log(scale) + 0.5 * _LOG_2PI)

    def entropy(self) -> Array:
        """`T (log scale + 1/2 log(2 pi e))`."""
        return jnp.broadcast_to(self.num_steps * (log(as_operand(self.scale)) + 0.5 * (1 + _LOG_2PI)), self.batch_shape)

    @property
    def mean(self) -> Array:
        """Zero."""
        return jnp.zeros(self.shape(), self._dtype)

    @property
    def variance(self) -> Array:
        """`t scale^2`, `t = 1, ..., T`."""
        steps = jnp.arange(1, self.num_steps + 1, dtype=self._dtype)
        scale = jnp.asarray(self.scale)[..., None]
        return scale**2 * prepend_ones(steps, scale.ndim)


class GaussianStateSpace(CovarianceParameters, TransformedDistribution):
    r"""States that follow `z_t = A z_{t-1} + eps_t` with normal innovations `eps_t ~ N(0, Q)`, `t = 1, ..., T`.

    `log p(z) = sum_t log N(z_t - A z_{t-1}; 0, Q)`: the map from innovations to states has determinant 1. An autoregression
    of order one with coefficient `phi` is `A = [[phi]]`.

    Args:
        num_steps: `T`, a static integer from 1 up.
        transition_matrix: `A`, shape `(..., d, d)`.
        covariance_matrix: `Q`, shape `(..., d, d)`.
        precision_matrix: `Q^-1`, shape `(..., d, d)`.
        scale_tril: lower Cholesky factor of `Q`, shape `(..., d, d)`.
        initial_value: `z_0`, shape `(..., d)`; None for zero.
        validate_args: whether to check the parameters now and values in `log_prob`.

    Exactly one of the three matrices is given; all are attributes. As a transformed distribution, `base_dist` is the law of the
    innovations, and `transforms` the one map from them to the states.

    Raises:
        ValueError: `num_steps` is no positive integer, not exactly one matrix, sizes that differ.

    Example:
        >>> import jax.numpy as jnp
        >>> d = GaussianStateSpace(2, 0.5 * jnp.eye(1), scale_tril=jnp.eye(1))
        >>> [float(v) for v in d.variance[:, 0]]
        [1.0, 1.25]
    """

    arg_constraints = {
        "transition_matrix": constraints.real_matrix,
        "covariance_matrix": constraints.positive_definite,
        "precision_matrix": constraints.positive_definite,
        "scale_tril": constraints.lower_cholesky,
        "initial_value": constraints.real_vector,
    }
    support = constraints.real_matrix
    reparametrized_params = ["transition_matrix", "covariance_matrix", "precision_matrix", "scale_tril", "initial_value"]
    pytree_aux_fields = ("num_steps",)

    def __init__(
        self,
        num_steps: int,
        transition_matrix: ArrayLike,
        covariance_matrix: ArrayLike | None = None,
        precision_matrix: ArrayLike | None = None,
        scale_tril: ArrayLike | None = None,
        initial_value: ArrayLike | None = None,
        *,
        validate_args: bool | None = None,
    ) -> None:
        owner = "GaussianStateSpace"
        self.num_steps = _checked_steps(owner, num_steps)
        self.transition_matrix = as_float(transition_matrix)
        name, matrix = exactly_one_matrix(
            owner, covariance_matrix=covariance_matrix, precision_matrix=precision_matrix, scale_tril=scale_tril
        )
        setattr(self, name, matrix)
        d = square_dim(owner, "transition_matrix", np.shape(self.transition_matrix))
        sizes = {"transition_matrix": d, name: square_dim(owner, name, np.shape(matrix))}
        if initial_value is not None:
            self.initial_value = as_vector(owner, initial_value, d, matrix)
        if sizes[name] != d:
            raise ValueError(f"{owner}: the matrices must have the same dimension, that of the state; got {sizes}")
        innovation: Any = MultivariateNormal(0.0, validate_args=False, **{name: over_rows(matrix)})
        innovations = innovation.expand((*innovation.batch_shape[:-1], self.num_steps)).to_event(1)
        TransformedDistribution.__init__(self, innovations, self._from_innovations, validate_args=validate_args)

    @property
    def _from_innovations(self) -> RecursiveLinearTransform:
        """The map from innovations `(..., T, d)` to states."""
        return RecursiveLinearTransform(self.transition_matrix, self.__dict__.get("initial_value"))

    def sample(self, key: Key, sample_shape: Shape = ()) -> Array:
        """Paths of shape `sample_shape + batch_shape + (T, d)`."""
        lead, (num_steps, d) = (*sample_shape, *self.batch_shape), self.event_shape
        noise = random.normal(key, (num_steps, *lead, d), dtype=self._dtype)
        innovations = matrix_times_vectors(self.scale_tril, noise)
        return self._from_innovations(jnp.moveaxis(innovations, 0, -2))

    @validate_sample
    def log_prob(self, value: ArrayLike, intermediates: Any = None) -> Array:
        """Log density of paths `(..., T, d)`."""
        value = jnp.asarray(value)
        lead = np.broadcast_shapes(value.shape[:-2], self.batch_shape)
        innovations = self._from_innovations.inv(jnp.broadcast_to(value, (*lead, *value.shape[-2:])))
        return self.base_dist.log_prob(innovations)

    def entropy(self) -> Array:
        """`T/2 log det(2 pi e Q)`."""
        of_step = half_log_det(self.scale_tril) + 0.5 * self.event_shape[-1] * (1 + _LOG_2PI)
        return jnp.broadcast_to(self.num_steps * of_step, self.batch_shape)

    @property
    def mean(self) -> Array:
        """`A^t z_0`."""
        return self._from_innovations(jnp.zeros(self.shape(), self._dtype))

    @property
    def variance(self) -> Array:
        """Diagonals of `V_t = A V_{t-1} A' + Q`, `V_0 = 0`."""
        d = self.event_shape[-1]
        a = jnp.asarray(self.transition_matrix)
        q = jnp.broadcast_to(self.covariance_matrix, (*self.batch_shape, d, d))

        def step(v: Array, _: None) -> tuple[Array, Array]:
            v = jnp.matmul(jnp.matmul(a, v), transpose(a)) + q
            return v, diagonal(v)

        return jnp.moveaxis(lax.scan(step, jnp.zeros_like(q), length=self.num_steps)[1], 0, -2)


class EulerMaruyama(Distribution):
    r"""Paths of a stochastic differential equation `dx = f(x, t) dt + g(x, t) dW`, discretised at the times `t`.

    `x_0 ~ init_dist` at `t_0`, then `x_{k+1} ~ N(x_k + f(x_k, t_k) dt_k, g(x_k, t_k)^2 dt_k)`, `dt_k = t_{k+1} - t_k`.

    Args:
        t: increasing times, shape `(..., T)`.
        sde_fn: `sde_fn(x, t) -> (drift, diffusion)`, for one state `x` of the shape of an event of `init_dist` and a scalar `t`.
        init_dist: the law of the state at `t_0`.
        validate_args: whether to check the parameters now and values in `log_prob`.

    Events have the shape `(T,) + init_dist.event_shape`, the first entry is `x_0`.

    Raises:
        TypeError: `init_dist` is no distribution, or `sde_fn` cannot be called.
        ValueError: scalar times.

    Example:
        >>> import jax.numpy as jnp
        >>> from ppl.distributions import Normal
        >>> d = EulerMaruyama(jnp.linspace(0.0, 1.0, 11), lambda x, t: (-x, 0.5), Normal(0.0, 1.0))
        >>> d.event_shape
        (11,)

    Reference: Kloeden and Platen (1992), Numerical Solution of Stochastic Differential Equations, section 10.2.
    """

    arg_constraints = {"t": constraints.ordered_vector}
    pytree_data_fields = ("init_dist",)
    pytree_aux_fields = ("sde_fn",)

    def __init__(
        self,
        t: ArrayLike,
        sde_fn: Callable[[Array, Array], tuple[ArrayLike, ArrayLike]],
        init_dist: Distribution,
        *,
        validate_args: bool | None = None,
    ) -> None:
        if not isinstance(init_dist, Distribution):
            raise TypeError(
                f"EulerMaruyama: init_dist must be a Distribution, got {type(init_dist).__name__}; e.g. Normal(0.0, 1.0)"
            )
        if not callable(sde_fn):
            raise TypeError(f"EulerMaruyama: sde_fn must be a function (x, t) -> (drift, diffusion), got {type(sde_fn).__name__}")
        self.t = as_float(t)
        if np.ndim(self.t) < 1:
            raise ValueError("EulerMaruyama: t must have at least one dimension, that of time, got a scalar")
        self.sde_fn = sde_fn
        self.init_dist = init_dist
        shape = np.shape(self.t)
        batch_shape = np.broadcast_shapes(shape[:-1], init_dist.batch_shape)
        super().__init__(batch_shape, (shape[-1], *init_dist.event_shape), validate_args=validate_args)

    @constraints.dependent_property(is_discrete=False)
    def support(self) -> Any:
        """Real arrays of `1 + init_dist.event_dim` dimensions."""
        return constraints.independent(constraints.real, self.event_dim)

    def _steps(self, x: Array, t: Array, dt: Array) -> tuple[Array, Array]:
        """Mean and standard deviation of the states after `x (n, ...)` at times `t (n,)`, steps `dt (n,)`."""

        def coefficients(x: Array, t: Array) -> tuple[Array, Array]:
            drift, diffusion = self.sde_fn(x, t)
            return jnp.broadcast_to(drift, x.shape), jnp.broadcast_to(diffusion, x.shape)

        drift, diffusion = jax.vmap(coefficients)(x, t)
        dt = dt.reshape(dt.shape + (1,) * (x.ndim - 1))
        return x + dt * drift, jnp.sqrt(dt) * diffusion

    def sample(self, key: Key, sample_shape: Shape = ()) -> Array:
        """Paths of shape `sample_shape + batch_shape + (T,) + init_dist.event_shape`."""
        k_start, k_noise = random.split(key)
        lead = (*sample_shape, *self.batch_shape)
        state_shape = self.event_shape[1:]
        n = math.prod(lead)
        start = self.init_dist.expand(self.batch_shape).sample(k_start, sample_shape).reshape((n, *state_shape))
        num_times = self.event_shape[0]
        times = jnp.broadcast_to(prepend_ones(self.t, len(lead) + 1), (*lead, num_times)).reshape((n, num_times)).T
        noise = random.normal(k_noise, (len(times) - 1, n, *state_shape), dtype=start.dtype)

        def step(x: Array, inputs: tuple[Array, Array, Array]) -> tuple[Array, Array]:
            eps, now, dt = inputs
            mean, scale = self._steps(x, now, dt)
            x = mean + scale * eps
            return x, x

        _, rest = lax.scan(step, start, (noise, times[:-1], times[1:] - times[:-1]))
        path = jnp.concatenate([start[None], rest])
        return jnp.moveaxis(path, 0, 1).reshape((*lead, *self.event_shape))

    @validate_sample
    def log_prob(self, value: ArrayLike) -> Array:
        """Log density of paths `(..., T) + init_dist.event_shape`."""
        value = jnp.asarray(value)
        event_dim = self.event_dim
        lead = np.broadcast_shapes(value.shape[:-event_dim], self.batch_shape)
        value = jnp.broadcast_to(value, (*lead, *value.shape[-event_dim:]))
        times = jnp.broadcast_to(prepend_ones(self.t, len(lead) + 1), (*lead, self.event_shape[0]))
        axis = len(lead)
        before, after = lax.slice_in_dim(value, 0, -1, axis=axis), lax.slice_in_dim(value, 1, None, axis=axis)
        state_shape = self.event_shape[1:]
        dt = (times[..., 1:] - times[..., :-1]).reshape(-1)
        mean, scale = self._steps(before.reshape((-1, *state_shape)), times[..., :-1].reshape(-1), dt)
        terms = -0.5 * lax.square((after.reshape(mean.shape) - mean) / scale) - jnp.log(scale) - 0.5 * _LOG_2PI
        start = self.init_dist.log_prob(lax.index_in_dim(value, 0, axis=axis, keepdims=False))
        return start + sum_rightmost(terms.reshape(after.shape), event_dim)


def _checked_steps(owner: str, num_steps: Any) -> int:
    if not isinstance(num_steps, (int, np.integer)) or num_steps < 1:
        raise ValueError(f"{owner}: num_steps must be a positive integer, known when the model is traced, got {num_steps!r}")
    return int(num_steps)
