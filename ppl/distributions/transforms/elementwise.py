"""Maps of numbers to numbers."""

import warnings
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from ppl._typing import Array, ArrayLike, Shape
from ppl.distributions import constraints
from ppl.distributions.constraints import Constraint
from ppl.distributions.special.elementary import is_number, log
from ppl.distributions.transforms.base import ParameterFreeTransform, Transform
from ppl.distributions.util import (
    as_operand,
    as_parameter,
    batch_shape_of,
    float_dtype,
    is_concrete,
    promote_shapes,
    softplus,
    sum_rightmost,
)


def as_float(x: ArrayLike) -> Array:
    """`x` as a JAX array of floating point numbers."""
    if isinstance(x, jax.Array) and jnp.issubdtype(x.dtype, np.inexact):
        return x
    return jnp.asarray(x, float_dtype(x))


def log_abs(x: ArrayLike) -> Any:
    """`log|x|`, a Python number for a Python number and in NumPy for other concrete values."""
    return log(abs(as_operand(x)))


class IdentityTransform(ParameterFreeTransform):
    """`y = x`."""

    domain = codomain = constraints.real
    sign = 1

    def __call__(self, x: ArrayLike) -> Array:
        return x

    def _inverse(self, y: ArrayLike) -> Array:
        return y

    def log_abs_det_jacobian(self, x: ArrayLike, y: ArrayLike, intermediates: Any = None) -> Array:
        return jnp.zeros_like(x)


class ExpTransform(Transform):
    """`y = exp(x)`, with log-determinant `x`."""

    leaf_fields = ("domain",)
    sign = 1

    def __init__(self, domain: Constraint = constraints.real) -> None:
        self.domain = domain

    @property
    def codomain(self) -> Constraint:  # type: ignore[override]
        return _exp_of(self.domain)

    def __call__(self, x: ArrayLike) -> Array:
        return lax.exp(as_float(x))

    def _inverse(self, y: ArrayLike) -> Array:
        return lax.log(as_float(y))

    def log_abs_det_jacobian(self, x: ArrayLike, y: ArrayLike, intermediates: Any = None) -> Array:
        return sum_rightmost(as_float(x), self.domain.event_dim)


def _exp_of(domain: Constraint) -> Constraint:
    """The image of `domain` under `exp`."""

    def exp(bound: ArrayLike) -> ArrayLike:
        return np.exp(as_operand(bound)) if is_concrete(bound) else jnp.exp(bound)

    if domain is constraints.ordered_vector:
        return constraints.positive_ordered_vector
    if domain is constraints.real:
        return constraints.positive
    if isinstance(domain, constraints._IndependentConstraint):
        return constraints.independent(_exp_of(domain.base_constraint), domain.reinterpreted_batch_ndims)
    if isinstance(domain, constraints._GreaterThan):
        return constraints.greater_than(exp(domain.lower_bound))
    if isinstance(domain, constraints._LessThan):
        return constraints.interval(0.0, exp(domain.upper_bound))
    if isinstance(domain, constraints._Interval):
        return constraints.interval(exp(domain.lower_bound), exp(domain.upper_bound))
    raise NotImplementedError(f"the image of {domain!r} under exp is not known")


class SigmoidTransform(ParameterFreeTransform):
    """`y = 1 / (1 + exp(-x))`, kept strictly inside (0, 1), with log-determinant `-softplus(x) - softplus(-x)`."""

    domain = constraints.real
    codomain = constraints.unit_interval
    sign = 1

    def __call__(self, x: ArrayLike) -> Array:
        x = as_float(x)
        finfo = jnp.finfo(x.dtype)
        return lax.clamp(np.asarray(finfo.tiny, x.dtype), lax.logistic(x), np.asarray(1 - finfo.epsneg, x.dtype))

    def _inverse(self, y: ArrayLike) -> Array:
        y = as_float(y)
        return lax.log(y) - lax.log1p(-y)

    def log_abs_det_jacobian(self, x: ArrayLike, y: ArrayLike, intermediates: Any = None) -> Array:
        x = as_float(x)
        return x - 2 * softplus(x)


class SoftplusTransform(ParameterFreeTransform):
    """`y = log(1 + exp(x))`, with log-determinant `-softplus(-x)`."""

    domain = constraints.real
    codomain = constraints.softplus_positive
    sign = 1

    def __call__(self, x: ArrayLike) -> Array:
        return softplus(as_float(x))

    def _inverse(self, y: ArrayLike) -> Array:
        y = as_float(y)
        return y + lax.log(-lax.expm1(-y))

    def log_abs_det_jacobian(self, x: ArrayLike, y: ArrayLike, intermediates: Any = None) -> Array:
        return -softplus(-as_float(x))


class AffineTransform(Transform):
    """`y = loc + scale x`, with log-determinant `log|scale|`.

    Args:
        loc, scale: numbers or arrays; `scale` is not zero, and may be negative.
        domain: the constraint on `x`; the codomain follows from it.
    """

    leaf_fields = ("loc", "scale", "domain")

    def __init__(self, loc: ArrayLike, scale: ArrayLike, domain: Constraint = constraints.real) -> None:
        self.loc = as_parameter(loc)
        self.scale = as_parameter(scale)
        self.domain = domain

    @property
    def codomain(self) -> Constraint:  # type: ignore[override]
        return self._image(self.domain)

    def _image(self, domain: Constraint) -> Constraint:
        if domain in (constraints.real, constraints.real_vector, constraints.real_matrix):
            return domain
        if isinstance(domain, constraints._IndependentConstraint):
            return constraints.independent(self._image(domain.base_constraint), domain.reinterpreted_batch_ndims)
        if isinstance(domain, constraints._GreaterThan):
            return self._half_line(domain.lower_bound, upwards=True)
        if isinstance(domain, constraints._LessThan):
            return self._half_line(domain.upper_bound, upwards=False)
        if isinstance(domain, constraints._Interval):
            ends = promote_shapes(self._bound(domain.lower_bound), self._bound(domain.upper_bound))
            if all(is_number(end) for end in ends):
                return constraints.interval(min(ends), max(ends))
            numbers = np if all(is_concrete(end) for end in ends) else jnp
            return constraints.interval(numbers.minimum(*ends), numbers.maximum(*ends))
        raise NotImplementedError(f"the image of {domain!r} under an affine map is not known")

    def _half_line(self, bound: ArrayLike, *, upwards: bool) -> Constraint:
        """The image of the numbers above `bound`, or below it."""
        bound, sign = self._bound(bound), self.sign if upwards else -self.sign
        if is_concrete(sign):
            if np.all(np.asarray(sign) > 0):
                return constraints.greater_than(bound)
            if np.all(np.asarray(sign) < 0):
                return constraints.less_than(bound)
        return constraints._HalfLine(bound, sign)

    def _bound(self, x: ArrayLike) -> ArrayLike:
        loc, scale, x = promote_shapes(*(as_operand(v) for v in (self.loc, self.scale, x)))
        return loc + scale * x

    @property
    def sign(self) -> ArrayLike:
        scale = self.scale
        return np.sign(as_operand(scale)) if is_concrete(scale) else jnp.sign(scale)

    def __call__(self, x: ArrayLike) -> Array:
        loc, scale, x = promote_shapes(self.loc, self.scale, x)
        return loc + scale * x

    def _inverse(self, y: ArrayLike) -> Array:
        loc, scale, y = promote_shapes(self.loc, self.scale, y)
        return (y - loc) / scale

    def log_abs_det_jacobian(self, x: ArrayLike, y: ArrayLike, intermediates: Any = None) -> Array:
        log_scale = log_abs(self.scale)
        shape = batch_shape_of(self.loc, log_scale, x)
        dtype = float_dtype(x, self.loc, self.scale)
        return sum_rightmost(jnp.broadcast_to(jnp.asarray(log_scale, dtype), shape), self.domain.event_dim)

    def forward_shape(self, shape: Shape) -> Shape:
        return np.broadcast_shapes(shape, np.shape(self.loc), np.shape(self.scale))

    def inverse_shape(self, shape: Shape) -> Shape:
        return np.broadcast_shapes(shape, np.shape(self.loc), np.shape(self.scale))


class PowerTransform(Transform):
    """`y = x^exponent` of positive numbers, with log-determinant `log|exponent y / x|`."""

    domain = codomain = constraints.positive
    leaf_fields = ("exponent",)

    def __init__(self, exponent: ArrayLike) -> None:
        self.exponent = as_parameter(exponent)

    @property
    def sign(self) -> ArrayLike:
        exponent = self.exponent
        return np.sign(as_operand(exponent)) if is_concrete(exponent) else jnp.sign(exponent)

    def __call__(self, x: ArrayLike) -> Array:
        x, exponent = promote_shapes(x, self.exponent)
        return jnp.power(x, exponent)

    def _inverse(self, y: ArrayLike) -> Array:
        y, exponent = promote_shapes(y, self.exponent)
        return jnp.power(y, 1.0 / exponent)

    def log_abs_det_jacobian(self, x: ArrayLike, y: ArrayLike, intermediates: Any = None) -> Array:
        x, exponent = promote_shapes(x, self.exponent)
        return log_abs(exponent) + (exponent - 1.0) * log(x)

    def forward_shape(self, shape: Shape) -> Shape:
        return np.broadcast_shapes(shape, np.shape(self.exponent))

    def inverse_shape(self, shape: Shape) -> Shape:
        return np.broadcast_shapes(shape, np.shape(self.exponent))


class AbsTransform(ParameterFreeTransform):
    """`y = |x|`, which is not a bijection: its inverse returns `y`, with a warning."""

    domain = constraints.real
    codomain = constraints.positive

    def __call__(self, x: ArrayLike) -> Array:
        return abs(x)

    def _inverse(self, y: ArrayLike) -> Array:
        warnings.warn(
            "AbsTransform is not a bijection; its inverse returns the positive of the two values", UserWarning, stacklevel=2
        )
        return y
