"""The contract of a distribution, and the wrappers that its methods return."""

import inspect
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from ppl._typing import Array, ArrayLike, Key, Shape
from ppl.distributions import constraints
from ppl.distributions.constraints import Constraint
from ppl.distributions.distribution.pytree import DistributionType, ParameterTree
from ppl.distributions.distribution.validation import (
    as_sizes,
    check_numbers,
    check_order,
    check_parameter,
    check_shape,
    holds,
    is_checkable,
    warn_out_of_support,
)
from ppl.distributions.util import (
    as_parameter,
    float_dtype,
    is_concrete,
    lazy_property,
    promote_shapes,
    reshaped,
    sum_rightmost,
    validate_key,
)
from ppl.distributions.util.shapes import no_number


class Distribution(ParameterTree, metaclass=DistributionType):
    """A batch of independent probability distributions over arrays of shape `event_shape`.

    Values have the shape `sample_shape + batch_shape + event_shape`. A subclass defines `arg_constraints`, `support`,
    `reparametrized_params`, sets its parameters as attributes, and calls this constructor. It is a pytree whose leaves are its
    parameters.

    Args:
        batch_shape: the shape of the batch.
        event_shape: the shape of one draw.
        validate_args: check parameters and samples; None: as set by `enable_validation`.

    Example:
        >>> from jax import numpy as jnp
        >>> from ppl.distributions import Distribution, constraints
        >>> class Triangle(Distribution):
        ...     arg_constraints = {"width": constraints.positive}
        ...     support = constraints.real
        ...
        ...     def __init__(self, width, *, validate_args=None):
        ...         self.width = width
        ...         super().__init__(jnp.shape(width), validate_args=validate_args)
        ...
        ...     def log_prob(self, value):
        ...         return jnp.log1p(-abs(value) / self.width) - jnp.log(self.width)
        >>> Triangle(2.0).expand([3]).to_event(1).log_prob(jnp.zeros(3)).shape
        ()
    """

    arg_constraints: ClassVar[dict[str, Constraint]] = {}
    support: Any = None
    reparametrized_params: ClassVar[list[str]] = []
    has_enumerate_support: Any = False
    pytree_aux_fields: ClassVar[tuple[str, ...]] = ("_batch_shape", "_event_shape", "_validate_args")
    _validate_args: bool | None = True
    _terse_parameters: ClassVar[frozenset[str]] = frozenset()
    _bounds_may_touch: ClassVar[bool] = False  # whether `low` may equal `high`

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "sample" in cls.__dict__:
            cls.sample = validate_key(cls.sample)  # type: ignore[method-assign]

    def __init__(self, batch_shape: Shape = (), event_shape: Shape = (), *, validate_args: bool | None = None) -> None:
        if callable(batch_shape):
            raise no_number(getattr(batch_shape, "__self__", batch_shape))
        self._batch_shape = tuple(batch_shape)
        self._event_shape = tuple(event_shape)
        if validate_args is not None:
            self._validate_args = validate_args
        if self._validate_args:
            self.validate_args(strict=False)

    # shapes

    @property
    def batch_shape(self) -> Shape:
        """The shape of the batch of distributions."""
        return self._batch_shape

    @property
    def event_shape(self) -> Shape:
        """The shape of one draw of one distribution."""
        return self._event_shape

    @property
    def event_dim(self) -> int:
        """The number of axes of one draw."""
        return len(self._event_shape)

    def shape(self, sample_shape: Shape = ()) -> Shape:
        """The shape of a sample: `sample_shape + batch_shape + event_shape`."""
        return (*sample_shape, *self._batch_shape, *self._event_shape)

    @classmethod
    def infer_shapes(cls, *args: Shape, **kwargs: Shape) -> tuple[Shape, Shape]:
        """The batch and event shape from the shapes of the parameters, given as for the constructor.

        A matrix or vector that stands for another one, and is not given, may have the shape None or ().

        Raises:
            NotImplementedError: where shapes are not enough, as for a dimension or a base distribution.
            ValueError: shapes that do not fit each other.
        """
        signature = inspect.signature(cls.__init__)
        bound = signature.bind_partial(None, *args, **kwargs).arguments
        of_parameters = {name: tuple(shape) for name, shape in bound.items() if shape is not None}
        unknown = NotImplementedError(
            f"{cls.__name__}.infer_shapes is not implemented for {of_parameters}: shapes are not enough to construct it"
        )
        if not set(of_parameters) <= set(cls.arg_constraints):
            raise unknown
        given = {}
        for name, shape in of_parameters.items():
            constraint = cls.arg_constraints[name]
            is_left_out = shape == () and constraint.event_dim > 0 and signature.parameters[name].default is None
            if not is_left_out:
                given[name] = jax.ShapeDtypeStruct(shape, jnp.result_type(int) if constraint.is_discrete else float_dtype())
        shapes: list[tuple[Shape, Shape]] = []

        def construct(given: dict[str, Any]) -> None:
            distribution = cls(**given)
            shapes.append((distribution.batch_shape, distribution.event_shape))

        try:
            jax.eval_shape(construct, given)
        except TypeError as error:
            raise unknown from error
        return shapes[0]

    # parameters

    def get_args(self) -> dict[str, Any]:
        """The parameters that were given or set, by name."""
        cls = type(self)
        return {
            name: self.__dict__[name]
            for name in self.arg_constraints
            if name in self.__dict__ and not isinstance(getattr(cls, name, None), lazy_property)
        }

    def validate_args(self, strict: bool = True) -> None:
        """Check the concrete parameters against `arg_constraints`.

        Args:
            strict: raise for traced parameters, which cannot be checked, instead of passing over them.

        Raises:
            ValueError, TypeError: naming the class and the parameter.
            RuntimeError: if `strict` and a parameter is traced.
        """
        fields = self.__dict__
        for name, constraint in self.arg_constraints.items():
            value = fields.get(name)
            if value is None:
                if name in fields:
                    raise TypeError(f"{type(self).__name__} distribution got invalid {name} parameter: None, expected numbers")
                continue
            checkable = is_checkable(constraint)
            if checkable and is_concrete(value):
                check_parameter(type(self), name, value, constraint)
            elif strict and not constraints.is_dependent(constraint):
                raise RuntimeError(
                    f"Cannot validate arguments inside jitted code. Parameter {name!r} of {type(self).__name__} is traced: "
                    "check it before it is traced, or use strict=False."
                )
        if "low" in fields and "high" in fields:
            check_order(type(self), fields["low"], fields["high"], may_touch=self._bounds_may_touch)

    @staticmethod
    def set_default_validate_args(value: bool) -> None:
        """Whether distributions without their own `validate_args` are checked."""
        if value not in (True, False):
            raise ValueError(f"validation is switched by True or False, but got {value!r}")
        Distribution._validate_args = value

    @property
    def _dtype(self) -> Any:
        """The floating point dtype of samples: the parameters', or JAX's default."""
        return float_dtype(*(self.__dict__.get(name) for name in self.arg_constraints))

    def _check_event_shape(self, value: Any) -> None:
        """Raise ValueError if the rightmost axes of `value` cannot be `event_shape`, or those left of them `batch_shape`."""
        if self._event_shape or self._batch_shape:
            check_shape(type(self), np.shape(value), self._batch_shape, self._event_shape)

    def _validate_sample(self, value: Any) -> Any:
        """Whether each entry of `value` lies in the support; warns where a concrete one does not."""
        support = self.support
        if not (is_concrete(value) and is_checkable(support)):
            return support.check(value)
        value = np.asarray(value)
        check_numbers(f"{type(self).__name__}.log_prob", value)
        valid = holds(support, value)
        if not valid.all():
            warn_out_of_support(type(self).__name__, value, valid, support)
        return valid

    # sampling

    @property
    def has_rsample(self) -> bool:
        """Whether samples are differentiable in all parameters."""
        return set(self.reparametrized_params) == set(self.arg_constraints)

    def sample(self, key: Key, sample_shape: Shape = ()) -> Array:
        """Independent draws, of shape `sample_shape + batch_shape + event_shape`."""
        raise self._missing("sample")

    def rsample(self, key: Key, sample_shape: Shape = ()) -> Array:
        """Draws that are differentiable in the parameters.

        Raises:
            NotImplementedError: if they are not.
        """
        if self.has_rsample:
            return self.sample(key, sample_shape)
        raise NotImplementedError(
            f"{type(self).__name__}.rsample is not implemented: its draws are not differentiable in all parameters"
        )

    def sample_with_intermediates(self, key: Key, sample_shape: Shape = ()) -> tuple[Array, list[Any]]:
        """Draws, and what `log_prob` can use again: one `[x, intermediates]` per transform of a transformed distribution."""
        return self.sample(key, sample_shape), []

    def __call__(self, *, rng_key: Key, sample_shape: Shape = (), sample_intermediates: bool = False) -> Any:
        """Draws, or draws and intermediates, as the `sample` statement asks for them."""
        if rng_key is None:
            raise ValueError(f"drawing from {type(self).__name__} needs a random key; pass rng_key=jax.random.key(0), or use seed")
        return (self.sample_with_intermediates if sample_intermediates else self.sample)(rng_key, sample_shape)

    # what a family defines

    def _missing(self, member: str) -> NotImplementedError:
        return NotImplementedError(
            f"{type(self).__name__}.{member} is not implemented for this distribution; a subclass may define it"
        )

    def log_prob(self, value: ArrayLike, *args: Any, **kwargs: Any) -> Array:
        """The logarithm of the density or mass, of the shape to which the batch shapes of value and distribution broadcast."""
        raise self._missing("log_prob")

    @property
    def mean(self) -> Array:
        """The mean, of shape `batch_shape + event_shape`."""
        raise self._missing("mean")

    @property
    def variance(self) -> Array:
        """The variance of each element, of shape `batch_shape + event_shape`."""
        raise self._missing("variance")

    @property
    def mode(self) -> Array:
        """The mode, of shape `batch_shape + event_shape`."""
        raise self._missing("mode")

    def cdf(self, value: ArrayLike) -> Array:
        """The probability of a value at most `value`."""
        raise self._missing("cdf")

    def icdf(self, q: ArrayLike) -> Array:
        """The quantile function, inverse of `cdf`."""
        raise self._missing("icdf")

    def entropy(self) -> Array:
        """The entropy in nats, of shape `batch_shape`."""
        raise self._missing("entropy")

    def enumerate_support(self, expand: bool = True) -> Array:
        """All values of a finite support, of shape `(k,) + batch_shape`, or `(k, 1, ..., 1)` with `expand=False`."""
        raise self._missing("enumerate_support")

    @property
    def is_discrete(self) -> bool:
        """Whether the support is countable."""
        return self.support.is_discrete

    # wrappers

    def expand(self, batch_shape: Sequence[int]) -> "Distribution":
        """Independent copies that fill `batch_shape`, to which the own batch shape must broadcast.

        Raises:
            ValueError: if it does not.
        """
        batch_shape = as_sizes(type(self), "expand", batch_shape)
        return self if batch_shape == self._batch_shape else ExpandedDistribution(self, batch_shape)

    def expand_by(self, sample_shape: Sequence[int]) -> "Distribution":
        """Independent copies along new leftmost axes of sizes `sample_shape`."""
        return self.expand((*as_sizes(type(self), "expand_by", sample_shape), *self._batch_shape))

    def to_event(self, reinterpreted_batch_ndims: int | None = None) -> "Distribution":
        """The joint distribution over the rightmost batch axes; over all of them for None.

        Raises:
            ValueError: if there are fewer.
        """
        n = len(self._batch_shape) if reinterpreted_batch_ndims is None else reinterpreted_batch_ndims
        return self if n == 0 else Independent(self, n)

    def mask(self, mask: ArrayLike | bool) -> "Distribution":
        """The distribution whose `log_prob` is zero where `mask` is False."""
        return self if mask is True else MaskedDistribution(self, mask)

    def __repr__(self) -> str:
        cls = type(self)
        return (
            f"<{cls.__module__}.{cls.__qualname__} object at {hex(id(self))} "
            f"with batch shape {self._batch_shape} and event shape {self._event_shape}>"
        )


def enable_validation(is_validate: bool = True) -> None:
    """Turn the checks of parameters and samples on or off, for all distributions without their own `validate_args`."""
    Distribution.set_default_validate_args(is_validate)


@contextmanager
def validation_enabled(is_validate: bool = True) -> Iterator[None]:
    """A context in which `enable_validation(is_validate)` holds."""
    before = Distribution._validate_args
    enable_validation(is_validate)
    try:
        yield
    finally:
        enable_validation(bool(before))


def _check_base(owner: type, base_dist: Any) -> None:
    """Raise TypeError if `base_dist` is no distribution."""
    if not isinstance(base_dist, Distribution):
        found = f"the class {base_dist.__name__}, no instance" if isinstance(base_dist, type) else repr(base_dist)
        raise TypeError(f"{owner.__name__}: base_dist must be a distribution, found {found}; pass one such as Normal(0.0, 1.0)")


class _Wrapper(Distribution):
    """What wrappers take from the distribution in `base_dist`."""

    pytree_data_fields = ("base_dist",)
    base_dist: Distribution

    @property
    def has_rsample(self) -> bool:
        return self.base_dist.has_rsample

    @property
    def has_enumerate_support(self) -> bool:
        return self.base_dist.has_enumerate_support

    @property
    def is_discrete(self) -> bool:
        return self.base_dist.is_discrete

    @property
    def reparametrized_params(self) -> list[str]:  # type: ignore[override]
        return self.base_dist.reparametrized_params

    @constraints.dependent_property
    def support(self) -> Constraint:
        return self.base_dist.support

    def sample(self, key: Key, sample_shape: Shape = ()) -> Array:
        return self.base_dist.sample(key, sample_shape)

    def rsample(self, key: Key, sample_shape: Shape = ()) -> Array:
        return self.base_dist.rsample(key, sample_shape)

    def sample_with_intermediates(self, key: Key, sample_shape: Shape = ()) -> tuple[Array, list[Any]]:
        return self.base_dist.sample_with_intermediates(key, sample_shape)

    @property
    def mean(self) -> Array:
        return self.base_dist.mean

    @property
    def variance(self) -> Array:
        return self.base_dist.variance

    @property
    def mode(self) -> Array:
        return self.base_dist.mode

    def _base_log_prob(self, value: ArrayLike, intermediates: list[Any] | None) -> Array:
        return self.base_dist.log_prob(value, intermediates) if intermediates else self.base_dist.log_prob(value)


class Independent(_Wrapper):
    """`base_dist` with its `reinterpreted_batch_ndims` rightmost batch axes counted as event axes: a joint, independent draw.

    Raises:
        ValueError: if `base_dist` has fewer batch axes.
    """

    pytree_aux_fields = ("reinterpreted_batch_ndims",)

    def __init__(self, base_dist: Distribution, reinterpreted_batch_ndims: int, *, validate_args: bool | None = None) -> None:
        _check_base(type(self), base_dist)
        batch_shape, n = base_dist.batch_shape, reinterpreted_batch_ndims
        if not isinstance(n, (int, np.integer)) or isinstance(n, bool):
            raise TypeError(f"reinterpreted_batch_ndims must be an integer, but got {n!r}")
        if not 0 <= n <= len(batch_shape):
            raise ValueError(
                f"cannot take {n} batch dimension(s) of {type(base_dist).__name__} as event dimensions: its batch shape is "
                f"{batch_shape}; expected reinterpreted_batch_ndims between 0 and {len(batch_shape)}"
            )
        cut = len(batch_shape) - n
        self.base_dist = base_dist
        self.reinterpreted_batch_ndims = n
        super().__init__(batch_shape[:cut], batch_shape[cut:] + base_dist.event_shape, validate_args=validate_args)

    @constraints.dependent_property
    def support(self) -> Constraint:
        n = self.reinterpreted_batch_ndims
        return constraints.independent(self.base_dist.support, n) if n else self.base_dist.support

    @property
    def has_enumerate_support(self) -> bool:
        return self.reinterpreted_batch_ndims == 0 and self.base_dist.has_enumerate_support

    def log_prob(self, value: ArrayLike, intermediates: list[Any] | None = None) -> Array:
        self._check_event_shape(value)
        return sum_rightmost(self._base_log_prob(value, intermediates), self.reinterpreted_batch_ndims)

    def entropy(self) -> Array:
        return sum_rightmost(self.base_dist.entropy(), self.reinterpreted_batch_ndims)

    def enumerate_support(self, expand: bool = True) -> Array:
        if self.reinterpreted_batch_ndims:
            raise NotImplementedError(
                "enumerate_support of Independent would be a Cartesian product; enumerate the base distribution"
            )
        return self.base_dist.enumerate_support(expand=expand)

    def expand(self, batch_shape: Sequence[int]) -> Distribution:
        n = self.reinterpreted_batch_ndims
        return self.base_dist.expand((*batch_shape, *self._event_shape[:n])).to_event(n)


class ExpandedDistribution(_Wrapper):
    """Independent copies of `base_dist` that fill `batch_shape`.

    Raises:
        ValueError: if the batch shape of `base_dist` does not broadcast to `batch_shape`.
    """

    def __init__(self, base_dist: Distribution, batch_shape: Shape = (), *, validate_args: bool | None = None) -> None:
        _check_base(type(self), base_dist)
        if isinstance(base_dist, ExpandedDistribution):
            _check_expansion(base_dist, base_dist.batch_shape, tuple(batch_shape))
            base_dist = base_dist.base_dist
        _check_expansion(base_dist, base_dist.batch_shape, tuple(batch_shape))
        self.base_dist = base_dist
        super().__init__(batch_shape, base_dist.event_shape, validate_args=validate_args)

    def _layout(self) -> tuple[Shape, tuple[int, ...]]:
        """The sizes of new leftmost axes, and the axes of the base (from its left) that grow."""
        base = self.base_dist.batch_shape
        lead = len(self._batch_shape) - len(base)
        grown = tuple(i for i, n in enumerate(base) if n == 1 and self._batch_shape[lead + i] != 1)
        return self._batch_shape[:lead], grown

    def _arrange(self, draw: Array, n_sample: int) -> Array:
        """Move the extra sample axes of grown batch axes into their place.

        From `sample + lead + grown + base batch + rest` to `sample + batch + rest`.
        """
        lead, grown = self._layout()
        if not grown:
            return draw
        first = n_sample + len(lead)
        base = first + len(grown)
        draw = lax.squeeze(draw, tuple(base + i for i in grown))
        order, kept = list(range(first)), base
        for i in range(len(self.base_dist.batch_shape)):
            if i in grown:
                order.append(first + grown.index(i))
            else:
                order.append(kept)
                kept += 1
        return lax.transpose(draw, (*order, *range(kept, draw.ndim)))

    def _draw_shape(self, sample_shape: Shape) -> Shape:
        lead, grown = self._layout()
        return (*sample_shape, *lead, *(self._batch_shape[len(lead) + i] for i in grown))

    def sample(self, key: Key, sample_shape: Shape = ()) -> Array:
        return self._arrange(self.base_dist.sample(key, self._draw_shape(sample_shape)), len(sample_shape))

    def rsample(self, key: Key, sample_shape: Shape = ()) -> Array:
        return self._arrange(self.base_dist.rsample(key, self._draw_shape(sample_shape)), len(sample_shape))

    def sample_with_intermediates(self, key: Key, sample_shape: Shape = ()) -> tuple[Array, list[Any]]:
        drawn = self.base_dist.sample_with_intermediates(key, self._draw_shape(sample_shape))
        return jax.tree_util.tree_map(lambda x: self._arrange(x, len(sample_shape)), drawn)

    def log_prob(self, value: ArrayLike, intermediates: list[Any] | None = None) -> Array:
        self._check_event_shape(value)
        log_prob = self._base_log_prob(value, intermediates)
        shape = np.broadcast_shapes(self._batch_shape, np.shape(log_prob))
        return log_prob if shape == np.shape(log_prob) else jnp.broadcast_to(log_prob, shape)

    def enumerate_support(self, expand: bool = True) -> Array:
        values = self.base_dist.enumerate_support(expand=False)
        values = reshaped(values, (values.shape[0],) + (1,) * len(self._batch_shape) + self._event_shape)
        return jnp.broadcast_to(values, (values.shape[0], *self.shape())) if expand else values

    @property
    def mean(self) -> Array:
        return jnp.broadcast_to(self.base_dist.mean, self.shape())

    @property
    def variance(self) -> Array:
        return jnp.broadcast_to(self.base_dist.variance, self.shape())

    @property
    def mode(self) -> Array:
        return jnp.broadcast_to(self.base_dist.mode, self.shape())

    def cdf(self, value: ArrayLike) -> Array:
        out = self.base_dist.cdf(value)
        return jnp.broadcast_to(out, np.broadcast_shapes(self._batch_shape, np.shape(out)))

    def icdf(self, q: ArrayLike) -> Array:
        out = self.base_dist.icdf(q)
        return jnp.broadcast_to(out, np.broadcast_shapes(self._batch_shape, np.shape(out)))

    def entropy(self) -> Array:
        return jnp.broadcast_to(self.base_dist.entropy(), self._batch_shape)


def _check_expansion(base_dist: Distribution, found: Shape, wanted: Shape) -> None:
    if len(found) > len(wanted) or any(n not in (1, m) for n, m in zip(found[::-1], wanted[::-1])):
        raise ValueError(
            f"Cannot broadcast distribution of shape {found} to shape {wanted}: the axes of the batch shape of "
            f"{type(base_dist).__name__}, from the right, must have size 1 or the size asked for"
        )


class MaskedDistribution(_Wrapper):
    """`base_dist` whose `log_prob` is zero, with zero gradient, where `mask` is False; the value there may be anything.

    Raises:
        ValueError: if the shape of `mask` and the batch shape do not broadcast.
        TypeError: if `mask` is not boolean.
    """

    pytree_data_fields = ("_array_mask",)
    pytree_aux_fields = ("_static_mask",)

    def __init__(self, base_dist: Distribution, mask: ArrayLike | bool, *, validate_args: bool | None = None) -> None:
        _check_base(type(self), base_dist)
        mask = as_parameter(mask)
        if not (isinstance(mask, (bool, np.bool_)) or getattr(mask, "dtype", None) == np.bool_):
            raise TypeError(
                f"a mask must be a bool or an array of bools, but got {mask!r}; compare first, for example `mask=x > 0`"
            )
        batch_shape = np.broadcast_shapes(np.shape(mask), base_dist.batch_shape)
        self.base_dist = base_dist.expand(batch_shape)
        if isinstance(mask, (bool, np.bool_)):
            self._static_mask = bool(mask)
        else:
            self._array_mask = mask
        super().__init__(batch_shape, base_dist.event_shape, validate_args=validate_args)

    @property
    def _mask(self) -> Any:
        fields = self.__dict__
        return fields["_static_mask"] if "_static_mask" in fields else fields["_array_mask"]

    def log_prob(self, value: ArrayLike, intermediates: list[Any] | None = None) -> Array:
        self._check_event_shape(value)
        mask = self._mask
        if mask is True:
            return self._base_log_prob(value, intermediates)
        if mask is False:
            shape = np.shape(value)[: np.ndim(value) - self.event_dim]
            return jnp.zeros(np.broadcast_shapes(self._batch_shape, shape), float_dtype(value))
        # A value in the support stands in for masked entries, so that their gradient is zero and not nan.
        mask_of_event = mask[(..., *(None,) * self.event_dim)] if self.event_dim else mask
        feasible = self.base_dist.support.feasible_like(value)
        m, v, f = promote_shapes(mask_of_event, value, feasible)
        log_prob = self.base_dist.log_prob(jnp.where(m, v, f))
        m, log_prob = promote_shapes(mask, log_prob)
        return jnp.where(m, log_prob, 0.0)

    def enumerate_support(self, expand: bool = True) -> Array:
        return self.base_dist.enumerate_support(expand=expand)

    def cdf(self, value: ArrayLike) -> Array:
        return self.base_dist.cdf(value)

    def icdf(self, q: ArrayLike) -> Array:
        return self.base_dist.icdf(q)

    def entropy(self) -> Array:
        return jnp.where(self._mask, self.base_dist.entropy(), 0.0)
