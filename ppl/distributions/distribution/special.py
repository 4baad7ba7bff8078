"""Point masses, factors and improper flat densities."""

from collections.abc import Sequence
from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np

from ppl._typing import Array, ArrayLike, Key, Shape
from ppl.distributions import constraints
from ppl.distributions.constraints import Constraint
from ppl.distributions.distribution.base import Distribution
from ppl.distributions.distribution.validation import check_numbers
from ppl.distributions.util import batch_shape_of, float_dtype, promote_shapes, sum_rightmost, validate_sample


class Delta(Distribution):
    """A point mass at `v`: `log p(x) = log_density` at `x = v`, else -inf.

    Args:
        v: the point, of shape `batch_shape + event_shape`.
        log_density: a factor that `log_prob` carries, of the batch shape.
        event_dim: the number of rightmost axes of `v` that are the event.

    Raises:
        ValueError: if `v` has fewer than `event_dim` axes.
    """

    arg_constraints = {"v": constraints.dependent, "log_density": constraints.real}
    reparametrized_params = ["v", "log_density"]

    def __init__(
        self, v: ArrayLike = 0.0, log_density: ArrayLike = 0.0, event_dim: int = 0, *, validate_args: bool | None = None
    ) -> None:
        (v,) = promote_shapes(v)
        if not isinstance(v, jax.Array):
            check_numbers("Delta: v", np.asarray(v))
        shape = np.shape(v)
        if event_dim > len(shape):
            raise ValueError(
                f"Delta with event_dim={event_dim} needs v with at least {event_dim} dimension(s), but got shape {shape}"
            )
        cut = len(shape) - event_dim
        self.v, self.log_density = v, log_density
        super().__init__(batch_shape_of(log_density, shape=shape[:cut]), shape[cut:], validate_args=validate_args)

    @constraints.dependent_property
    def support(self) -> Constraint:
        return constraints.independent(constraints.real, self.event_dim)

    def sample(self, key: Key, sample_shape: Shape = ()) -> Array:
        return jnp.broadcast_to(self.v, self.shape(sample_shape))

    @validate_sample
    def log_prob(self, value: ArrayLike) -> Array:
        value, v = promote_shapes(value, self.v)
        at_point = sum_rightmost(jnp.where(jnp.equal(value, v), 0.0, -np.inf).astype(float_dtype(value, v)), self.event_dim)
        at_point, log_density = promote_shapes(at_point, self.log_density)
        return at_point + log_density

    @property
    def mean(self) -> Array:
        return jnp.broadcast_to(self.v, self.shape())

    @property
    def variance(self) -> Array:
        return jnp.zeros(self.shape(), float_dtype(self.v))

    @property
    def mode(self) -> Array:
        return jnp.broadcast_to(self.v, self.shape())

    def entropy(self) -> Array:
        return jnp.broadcast_to(-jnp.asarray(self.log_density, float_dtype(self.v, self.log_density)), self.batch_shape)


class Unit(Distribution):
    """A distribution over one value without elements, whose `log_prob` is `log_factor`: how a factor enters a model."""

    arg_constraints = {"log_factor": constraints.real}
    support = constraints.real

    def __init__(self, log_factor: ArrayLike, *, validate_args: bool | None = False) -> None:
        (self.log_factor,) = promote_shapes(log_factor)
        super().__init__(np.shape(self.log_factor), (0,), validate_args=validate_args)

    def sample(self, key: Key, sample_shape: Shape = ()) -> Array:
        return jnp.empty(self.shape(sample_shape), float_dtype(self.log_factor))

    def log_prob(self, value: ArrayLike) -> Array:
        self._check_event_shape(value)
        shape = np.broadcast_shapes(self.batch_shape, np.shape(value)[:-1])
        return jnp.broadcast_to(self.log_factor, shape)


class ImproperUniform(Distribution):
    """A flat density, `log p(x) = 0`, over a support of any size; it cannot be drawn from.

    Args:
        support: the constraint on a value.
        batch_shape: the shape of the batch.
        event_shape: the shape of one value, at least the event axes of `support`.

    Example:
        >>> from ppl.distributions import ImproperUniform, constraints
        >>> ImproperUniform(constraints.ordered_vector, (), (3,)).log_prob([1.0, 2.0, 4.0])
        Array(0., dtype=float32)
    """

    arg_constraints: ClassVar[dict[str, Constraint]] = {}
    pytree_data_fields = ("_support",)

    def __init__(
        self, support: Constraint, batch_shape: Sequence[int], event_shape: Sequence[int], *, validate_args: bool | None = None
    ) -> None:
        if not isinstance(support, Constraint):
            raise TypeError(f"ImproperUniform: support must be a constraint such as constraints.real, found {support!r}")
        extra = len(event_shape) - support.event_dim
        if extra < 0:
            raise ValueError(
                f"event_shape {tuple(event_shape)} has fewer dimensions than an element of {support!r}: {support.event_dim}"
            )
        self._support = constraints.independent(support, extra) if extra else support
        super().__init__(tuple(batch_shape), tuple(event_shape), validate_args=validate_args)

    @constraints.dependent_property
    def support(self) -> Constraint:
        return self._support

    def sample(self, key: Key, sample_shape: Shape = ()) -> Array:
        raise NotImplementedError(
            "ImproperUniform.sample is not implemented: a flat density has no draws; give the site a value or a proper prior"
        )

    @validate_sample
    def log_prob(self, value: ArrayLike) -> Array:
        shape = np.shape(value)[: np.ndim(value) - self.event_dim]
        dtype = jnp.finfo(float_dtype(value)).dtype  # of a complex value, that of its parts
        return jnp.zeros(np.broadcast_shapes(self.batch_shape, shape), dtype)
