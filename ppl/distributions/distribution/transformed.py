"""The law of a transformed random variable."""

from collections.abc import Sequence
from typing import Any, ClassVar

import jax.numpy as jnp
import numpy as np

from ppl._typing import Array, ArrayLike, Key, Shape
from ppl.distributions import constraints
from ppl.distributions.constraints import Constraint
from ppl.distributions.distribution.base import Distribution, _check_base
from ppl.distributions.transforms.base import Transform
from ppl.distributions.transforms.composition import ComposeTransform
from ppl.distributions.transforms.elementwise import AbsTransform, AffineTransform
from ppl.distributions.util import is_concrete, promote_shapes, sum_rightmost, validate_sample


class TransformedDistribution(Distribution):
    """The law of `t(x)` for `x` from `base_distribution`: `log p(y) = log p0(x) - log|det dt/dx|`.

    A base that is transformed itself is merged into this one. The base is expanded to the shape that the transforms broadcast to,
    and its batch axes become event axes where a transform acts on them jointly.

    Attributes:
        base_dist: the law of `x`.
        transforms: the list of transforms, the first one applied first.

    Raises:
        ValueError: if the base has fewer axes than the first transform takes.
    """

    arg_constraints: ClassVar[dict[str, Constraint]] = {}
    pytree_data_fields = ("base_dist", "transforms")
    base_dist: Distribution
    transforms: list[Transform]

    def __init__(
        self,
        base_distribution: Distribution,
        transforms: Transform | Sequence[Transform],
        *,
        validate_args: bool | None = None,
    ) -> None:
        if not isinstance(base_distribution, Distribution):
            raise TypeError(f"TransformedDistribution: base_distribution must be a distribution, found {base_distribution!r}")
        parts: list[Any] = list(transforms) if isinstance(transforms, list | tuple) else [transforms]
        for part in parts:
            if not isinstance(part, Transform):
                raise TypeError(f"transforms must be a Transform or a list of them, but got {part!r}")
        if isinstance(base_distribution, TransformedDistribution):
            parts = base_distribution.transforms + parts
            base_distribution = base_distribution.base_dist
        base_shape = base_distribution.shape()
        base_event_dim = base_distribution.event_dim
        domain_dim, codomain_dim = ComposeTransform(parts)._event_dims() if parts else (0, 0)
        if len(base_shape) < domain_dim:
            raise ValueError(
                f"{parts[0]!r} acts on values with {domain_dim} dimension(s), but the base distribution "
                f"{type(base_distribution).__name__} has shape {base_shape}; expand it first, as in base.expand([n])"
            )
        shape = base_shape
        for part in parts:
            shape = part.forward_shape(shape)
        needed = shape
        for part in reversed(parts):
            needed = part.inverse_shape(needed)
        if needed != base_shape:
            base_distribution = base_distribution.expand(needed[: len(needed) - base_event_dim])
        extra = domain_dim - base_event_dim
        self.base_dist = base_distribution.to_event(extra) if extra > 0 else base_distribution
        self.transforms = parts
        cut = len(shape) - codomain_dim - max(-extra, 0)
        super().__init__(shape[:cut], shape[cut:], validate_args=validate_args)

    @property
    def has_rsample(self) -> bool:
        return self.base_dist.has_rsample

    @property
    def is_discrete(self) -> bool:
        return self.base_dist.is_discrete

    @constraints.dependent_property
    def support(self) -> Constraint:
        codomain = self.transforms[-1].codomain if self.transforms else self.base_dist.support
        extra = self.event_dim - codomain.event_dim
        return constraints.independent(codomain, extra) if extra > 0 else codomain

    def sample(self, key: Key, sample_shape: Shape = ()) -> Array:
        x = self.base_dist.sample(key, sample_shape)
        for transform in self.transforms:
            x = transform(x)
        return x

    def rsample(self, key: Key, sample_shape: Shape = ()) -> Array:
        x = self.base_dist.rsample(key, sample_shape)
        for transform in self.transforms:
            x = transform(x)
        return x

    def sample_with_intermediates(self, key: Key, sample_shape: Shape = ()) -> tuple[Array, list[Any]]:
        x = self.base_dist.sample(key, sample_shape)
        intermediates = []
        for transform in self.transforms:
            y, inner = transform.call_with_intermediates(x)
            intermediates.append([x, inner])
            x = y
        return x, intermediates

    @validate_sample
    def log_prob(self, value: ArrayLike, intermediates: list[Any] | None = None) -> Array:
        bounded = intermediates is None and _is_bounded(self.support)
        y, inside = self._inside(value) if bounded else (value, None)
        event_dim = self.event_dim
        log_det: Any = 0.0
        for i in reversed(range(len(self.transforms))):
            transform = self.transforms[i]
            x, inner = intermediates[i] if intermediates else (transform._inverse(y), None)
            rest = event_dim - transform.codomain.event_dim
            term = sum_rightmost(transform.log_abs_det_jacobian(x, y, inner), rest)
            log_det, term = promote_shapes(log_det, term)
            log_det = log_det + term
            event_dim = transform.domain.event_dim + rest
            y = x
        log_prob, log_det = promote_shapes(self.base_dist.log_prob(y), log_det)
        log_prob = log_prob - log_det
        if inside is None:
            return log_prob
        inside, log_prob = promote_shapes(inside, log_prob)
        return jnp.where(inside, log_prob, -np.inf)

    def _inside(self, value: ArrayLike) -> tuple[Array, Array]:
        """`value` with a feasible one in place of entries outside the support, and which events lie inside."""
        support = self.support
        element = support.base_constraint if isinstance(support, constraints._IndependentConstraint) else support
        value = jnp.asarray(value)
        inside = element.check(value)
        inside_, value, feasible = promote_shapes(inside, value, element.feasible_like(value))
        safe = jnp.where(inside_, value, feasible)
        dims = support.event_dim
        return safe, inside.all(tuple(range(inside.ndim - dims, inside.ndim))) if dims else inside

    @property
    def sign(self) -> Any:
        """1 where the transforms increase, -1 where they decrease.

        Raises:
            NotImplementedError: if one of them is not a monotone map of scalars.
        """
        sign: Any = 1
        for transform in self.transforms:
            sign = sign * transform.sign
        return sign

    def preimage(self, value: ArrayLike) -> tuple[ArrayLike, Array | None]:
        """What the base takes for `value`, and whether it lies inside bounds of the support, or None if that has none."""
        x, inside = self._inside(value) if _is_bounded(self.support) else (value, None)
        for transform in reversed(self.transforms):
            x = transform._inverse(x)
        return x, inside

    def continued(self, value: ArrayLike, inside: Array | None, out: Array, below: float, above: float) -> Array:
        """`out` inside the support, and constants below and above it."""
        if inside is None:
            return out
        lower = getattr(self.support, "lower_bound", None)
        value, inside, out, lower_ = promote_shapes(value, inside, out, -np.inf if lower is None else lower)
        return jnp.where(inside, out, jnp.where(value <= lower_, below, above))

    def cdf(self, value: ArrayLike) -> Array:
        sign = self.sign
        x, inside = self.preimage(value)
        return self.continued(value, inside, _flip(self.base_dist.cdf(x), sign), 0.0, 1.0)

    def icdf(self, q: ArrayLike) -> Array:
        x = self.base_dist.icdf(_flip(q, self.sign))
        for transform in self.transforms:
            x = transform(x)
        return x

    def _require_affine(self, member: str) -> None:
        if not all(isinstance(transform, AffineTransform) for transform in self.transforms):
            raise self._missing(member)

    @property
    def mean(self) -> Array:
        self._require_affine("mean")
        mean = self.base_dist.mean
        for transform in self.transforms:
            mean = transform(mean)
        return jnp.broadcast_to(mean, self.shape())

    @property
    def variance(self) -> Array:
        self._require_affine("variance")
        variance = self.base_dist.variance
        for transform in self.transforms:
            scale, variance = promote_shapes(transform.scale, variance)  # type: ignore[attr-defined]
            variance = scale * scale * variance
        return jnp.broadcast_to(variance, self.shape())


def _is_bounded(support: Constraint) -> bool:
    if isinstance(support, constraints._IndependentConstraint):
        support = support.base_constraint
    kinds = (constraints._GreaterThan, constraints._LessThan, constraints._HalfLine, constraints._Interval)
    return isinstance(support, kinds)


def _flip(p: ArrayLike, sign: Any) -> Any:
    """`p` where `sign` is positive, else `1 - p`."""
    if is_concrete(sign):
        if np.all(np.asarray(sign) > 0):
            return p
        if np.all(np.asarray(sign) < 0):
            return 1.0 - p
    p, sign = promote_shapes(p, sign)
    return jnp.where(sign > 0, p, 1.0 - p)


class FoldedDistribution(TransformedDistribution):
    """The law of `|x|`, with density `p0(y) + p0(-y)`, for `x` from a distribution over the reals.

    Raises:
        ValueError: if `base_dist` is not univariate.
    """

    support = constraints.positive

    def __init__(self, base_dist: Distribution, *, validate_args: bool | None = None) -> None:
        _check_base(type(self), base_dist)
        if base_dist.event_shape:
            raise ValueError(
                f"only univariate distributions can be folded, but {type(base_dist).__name__} has "
                f"event_shape {base_dist.event_shape}"
            )
        super().__init__(base_dist, AbsTransform(), validate_args=validate_args)

    def cdf(self, value: ArrayLike) -> Array:
        """`F0(x) - F0(-x)` for `x > 0`, else 0."""
        x = jnp.maximum(value, 0)
        return self.base_dist.cdf(x) - self.base_dist.cdf(-x)

    @validate_sample
    def log_prob(self, value: ArrayLike, intermediates: list[Any] | None = None) -> Array:
        log_prob = jnp.logaddexp(self.base_dist.log_prob(value), self.base_dist.log_prob(-jnp.asarray(value)))
        value, log_prob = promote_shapes(value, log_prob)
        return jnp.where(jnp.less(value, 0), -np.inf, log_prob)
