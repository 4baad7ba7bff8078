"""Mixtures: the law of a draw from a component that a categorical variable chooses."""

from collections.abc import Sequence
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from ppl._typing import Array, ArrayLike, Key, Shape
from ppl.distributions import constraints, random
from ppl.distributions.constraints import Constraint, ParameterFreeConstraint
from ppl.distributions.discrete.categorical import CategoricalLogits, CategoricalProbs
from ppl.distributions.discrete.numerics import to_float
from ppl.distributions.discrete.parameters import safe_log
from ppl.distributions.distribution.base import Distribution
from ppl.distributions.special.elementary import logsumexp, select
from ppl.distributions.util import as_operand, factory, promote_shapes, validate_sample


class _Mixture(Distribution):
    """What mixtures share; a subclass tells the terms of each component."""

    pytree_data_fields: ClassVar[tuple[str, ...]] = ("mixing_distribution",)
    mixing_distribution: CategoricalProbs | CategoricalLogits

    def _set_mixing(self, mixing_distribution: Any) -> None:
        """Set the mixing distribution.

        Raises:
            ValueError: if it is not categorical.
        """
        if not isinstance(mixing_distribution, (CategoricalProbs, CategoricalLogits)):
            found = type(mixing_distribution).__name__
            raise ValueError(f"{type(self).__name__}: the mixing distribution must be a Categorical, but got {found}")
        self.mixing_distribution = mixing_distribution

    @property
    def has_rsample(self) -> bool:
        return False

    @property
    def mixture_size(self) -> int:
        """The number of components."""
        return self.mixing_distribution._size()

    @property
    def mixture_dim(self) -> int:
        """The axis of the components in `component_log_probs` with event axes added, in draws and in moments of the components."""
        return -self.event_dim - 1

    def _weights(self, like: Array, axes: int) -> Array:
        """The mixing probabilities in the dtype of `like`, with `axes` axes of size 1 after that of the components."""
        probs = as_operand(to_float(self.mixing_distribution.probs, like.dtype))
        return probs.reshape(np.shape(probs) + (1,) * axes)

    def _log_weights(self, dtype: Any) -> Array:
        """The logarithms of the mixing probabilities, of shape `batch + (mixture_size,)`."""
        mixing = self.mixing_distribution
        if isinstance(mixing, CategoricalLogits):
            logits = to_float(mixing.logits, dtype)
            return logits - logsumexp(logits, keepdims=True)
        return safe_log(to_float(mixing.probs, dtype))

    # what a mixture defines

    def component_sample(self, key: Key, sample_shape: Shape = ()) -> Array:
        """A draw of every component, of shape `sample_shape + batch_shape + (mixture_size,) + event_shape`."""
        raise self._missing("component_sample")

    def component_log_probs(self, value: ArrayLike) -> Array:
        """`log(weight_j) + log p_j(value)` along a new last axis."""
        raise self._missing("component_log_probs")

    def component_cdf(self, samples: ArrayLike) -> Array:
        """The distribution functions of the components at `samples`, along a new last axis."""
        raise self._missing("component_cdf")

    @property
    def component_mean(self) -> Array:
        """The means of the components, of shape `batch_shape + (mixture_size,) + event_shape`."""
        raise self._missing("component_mean")

    @property
    def component_variance(self) -> Array:
        """The variances of the components, of shape `batch_shape + (mixture_size,) + event_shape`."""
        raise self._missing("component_variance")

    # what follows

    def sample_with_intermediates(self, key: Key, sample_shape: Shape = ()) -> tuple[Array, list[Any]]:
        """Draws, and the list of one array: the index of the component of each."""
        k_index, k_components = random.split(key)
        index = self.mixing_distribution.expand(self.batch_shape).sample(k_index, sample_shape)
        draws = self.component_sample(k_components, sample_shape)
        axis = draws.ndim + self.mixture_dim
        where = lax.expand_dims(index, tuple(range(axis, draws.ndim)))
        return jnp.squeeze(jnp.take_along_axis(draws, where, axis), axis), [index]

    def sample(self, key: Key, sample_shape: Shape = ()) -> Array:
        return self.sample_with_intermediates(key, sample_shape)[0]

    @validate_sample
    def log_prob(self, value: ArrayLike, intermediates: list[Any] | None = None) -> Array:
        """The density of the mixture; the component that the intermediates name is summed over too."""
        return logsumexp(self.component_log_probs(value))

    def _average(self, terms: Array) -> Array:
        """The weighted mean over the components of `terms`, of shape `... + (mixture_size,) + event_shape`."""
        weights, terms = promote_shapes(self._weights(terms, self.event_dim), terms)
        weighted = weights * terms
        return lax.reduce_sum(weighted, (weighted.ndim + self.mixture_dim,))

    @property
    def mean(self) -> Array:
        mean = self._average(self.component_mean)
        return jnp.broadcast_to(mean, np.broadcast_shapes(mean.shape, self.shape()))

    @property
    def variance(self) -> Array:
        means = self.component_mean
        center = self._average(means)
        center, means = promote_shapes(lax.expand_dims(center, (center.ndim - self.event_dim,)), means)
        deviations = means - center
        spread, inner = promote_shapes(self._average(deviations * deviations), self._average(self.component_variance))
        variance = spread + inner
        return jnp.broadcast_to(variance, np.broadcast_shapes(variance.shape, self.shape()))

    def cdf(self, value: ArrayLike) -> Array:
        cdfs = self.component_cdf(value)
        weights, cdfs = promote_shapes(self._weights(cdfs, 0), cdfs)
        terms = weights * cdfs
        return lax.reduce_sum(terms, (terms.ndim - 1,))

    def _without_batch(self, values: Array) -> Array:
        """Enumerated values `(k, 1, ..., 1)` with as many trailing 1s as this mixture has batch axes."""
        with jax.ensure_compile_time_eval():
            return jax.device_put(np.asarray(values).reshape((-1,) + (1,) * len(self.batch_shape)))

    def _enumerate(self, component: Distribution, expand: bool) -> Array:
        values = self._without_batch(component.enumerate_support(expand=False))
        return jnp.broadcast_to(values, (values.shape[0], *self.batch_shape)) if expand else values


def _is_parameter_free(support: Constraint) -> bool:
    if isinstance(support, constraints._IndependentConstraint):
        support = support.base_constraint
    return isinstance(support, ParameterFreeConstraint)


class MixtureSameFamily(_Mixture):
    """A mixture of components that are one batched distribution: `p(x) = sum_j w_j p_j(x)`.

    Args:
        mixing_distribution: a Categorical with `k` categories, of batch shape `b`.
        component_distribution: a distribution of batch shape `b + (k,)`.
        validate_args: check parameters and values.

    Raises:
        ValueError: if the mixing distribution is not categorical, if the last batch axis of the components does not have size `k`,
            or if their support depends on parameters.

    Example:
        >>> import numpy as np
        >>> from ppl import distributions as dist
        >>> weights = dist.Categorical(probs=np.array([0.25, 0.75]))
        >>> mixture = dist.MixtureSameFamily(weights, dist.Normal(np.array([-2.0, 2.0]), 1.0))
        >>> float(mixture.mean)
        1.0
    """

    pytree_data_fields = ("component_distribution",)

    def __init__(
        self,
        mixing_distribution: CategoricalProbs | CategoricalLogits,
        component_distribution: Distribution,
        *,
        validate_args: bool | None = None,
    ) -> None:
        self._set_mixing(mixing_distribution)
        component, size = component_distribution, self.mixture_size
        if not isinstance(component, Distribution):
            raise ValueError(f"MixtureSameFamily: the components must be a Distribution, but got {component!r}")
        if component.batch_shape[-1:] != (size,):
            raise ValueError(
                f"MixtureSameFamily: the rightmost batch dimension of the components must be the mixture size {size}, but "
                f"{type(component).__name__} has batch shape {component.batch_shape}"
            )
        if not _is_parameter_free(component.support):
            raise ValueError(
                "MixtureSameFamily: the support of the components must not depend on parameters (expected "
                f"ParameterFreeConstraint, but found {component.support!r} of {type(component).__name__}); pass a list "
                f"of {size} distributions instead, for a MixtureGeneral"
            )
        self.component_distribution = component
        shape = np.broadcast_shapes(mixing_distribution.batch_shape, component.batch_shape[:-1])
        super().__init__(shape, component.event_shape, validate_args=validate_args)

    @constraints.dependent_property
    def support(self) -> Constraint:
        return self.component_distribution.support

    @property
    def has_enumerate_support(self) -> bool:
        return self.component_distribution.has_enumerate_support

    def enumerate_support(self, expand: bool = True) -> Array:
        return self._enumerate(self.component_distribution, expand)

    def _with_component_axis(self, value: ArrayLike) -> Any:
        value = as_operand(value)
        at = np.ndim(value) - self.event_dim
        return np.expand_dims(value, at) if not isinstance(value, jax.Array) else lax.expand_dims(value, (at,))

    def component_sample(self, key: Key, sample_shape: Shape = ()) -> Array:
        return self.component_distribution.expand((*self.batch_shape, self.mixture_size)).sample(key, sample_shape)

    def component_log_probs(self, value: ArrayLike) -> Array:
        log_probs = self.component_distribution.log_prob(self._with_component_axis(value))
        log_weights, log_probs = promote_shapes(self._log_weights(log_probs.dtype), log_probs)
        return log_weights + log_probs

    def component_cdf(self, samples: ArrayLike) -> Array:
        return self.component_distribution.cdf(self._with_component_axis(samples))

    @property
    def component_mean(self) -> Array:
        return self.component_distribution.mean

    @property
    def component_variance(self) -> Array:
        return self.component_distribution.variance


class MixtureGeneral(_Mixture):
    """A mixture of any distributions over the same set: `p(x) = sum_j w_j p_j(x)`.

    Args:
        mixing_distribution: a Categorical with `k` categories; its batch shape and those of the components broadcast to `b`.
        component_distributions: a list of `k` distributions with the same event shape.
        support: the support of the mixture, where those of the components differ; each of them lies in it.
        validate_args: check parameters and values.

    Raises:
        ValueError: if the mixing distribution is not categorical, the components are no list of `k` distributions, their event
            shapes differ, or their supports differ and `support` is not given.

    Example:
        >>> import numpy as np
        >>> from ppl import distributions as dist
        >>> weights = dist.Categorical(probs=np.array([0.25, 0.75]))
        >>> mixture = dist.MixtureGeneral(weights, [dist.Normal(-2.0, 1.0), dist.Laplace(2.0, 1.0)])
        >>> float(mixture.mean)
        1.0
    """

    pytree_data_fields: ClassVar[tuple[str, ...]] = ("component_distributions", "_support")

    def __init__(
        self,
        mixing_distribution: CategoricalProbs | CategoricalLogits,
        component_distributions: Sequence[Distribution],
        *,
        support: Constraint | None = None,
        validate_args: bool | None = None,
    ) -> None:
        self._set_mixing(mixing_distribution)
        components = _checked_components(component_distributions, self.mixture_size)
        self.component_distributions = components
        self._support = support
        if support is not None and not isinstance(support, Constraint):
            raise ValueError(f"MixtureGeneral: support must be a Constraint, but got {support!r}")
        if support is None and any(c.support != components[0].support for c in components):
            found = ", ".join(f"{type(c).__name__}: {c.support!r}" for c in components)
            raise ValueError(
                f"MixtureGeneral: all component distributions must have the same support, but got {found}; pass support=, a set "
                "that contains them"
            )
        shape = np.broadcast_shapes(mixing_distribution.batch_shape, *(c.batch_shape for c in components))
        super().__init__(shape, components[0].event_shape, validate_args=validate_args)

    @constraints.dependent_property
    def support(self) -> Constraint:
        return self.component_distributions[0].support if self._support is None else self._support

    @property
    def has_enumerate_support(self) -> bool:
        return self._support is None and self.component_distributions[0].has_enumerate_support

    def enumerate_support(self, expand: bool = True) -> Array:
        if self._support is not None:
            raise self._missing("enumerate_support")
        return self._enumerate(self.component_distributions[0], expand)

    def component_sample(self, key: Key, sample_shape: Shape = ()) -> Array:
        keys = random.split(key, self.mixture_size)
        draws = [c.expand(self.batch_shape).sample(k, sample_shape) for c, k in zip(self.component_distributions, keys)]
        dtype = jnp.result_type(*draws)
        axis = draws[0].ndim + self.mixture_dim + 1
        return jnp.stack([draw.astype(dtype) for draw in draws], axis)

    def _terms(self, value: ArrayLike) -> list[Array]:
        """`log(weight_j) + log p_j(value)` of each component."""
        log_probs = [self._component_log_prob(c, value) for c in self.component_distributions]
        dtype = jnp.result_type(*log_probs)
        log_weights = self._log_weights(dtype)
        pairs = (promote_shapes(log_weights[..., j], log_prob.astype(dtype)) for j, log_prob in enumerate(log_probs))
        return promote_shapes(*(weight + log_prob for weight, log_prob in pairs))

    def _component_log_prob(self, component: Distribution, value: ArrayLike) -> Array:
        if self._support is None:
            return component.log_prob(value)
        support = component.support
        value = jnp.asarray(value)
        inside = support.check(value)
        whole = lax.expand_dims(inside, tuple(range(inside.ndim, value.ndim))) if inside.ndim < value.ndim else inside
        log_prob = component.log_prob(jnp.where(whole, value, support.feasible_like(value)))
        inside, log_prob = promote_shapes(inside, log_prob)
        return select(inside, log_prob, -np.inf)

    def component_log_probs(self, value: ArrayLike) -> Array:
        return jnp.stack(jnp.broadcast_arrays(*self._terms(value)), -1)

    @validate_sample
    def log_prob(self, value: ArrayLike, intermediates: list[Any] | None = None) -> Array:
        """The density of the mixture; the component that the intermediates name is summed over too."""
        # term by term: no array with an axis of components is formed
        terms = self._terms(value)
        top: Any = terms[0]
        for term in terms[1:]:
            top = jnp.maximum(top, term)
        top = lax.stop_gradient(top)
        top = select(top > -np.inf, top, 0.0)
        total: Any = 0.0
        for term in terms:
            total = total + lax.exp(term - top)
        positive = total > 0
        return select(positive, lax.log(select(positive, total, 1.0)) + top, -np.inf)

    def component_cdf(self, samples: ArrayLike) -> Array:
        cdfs = promote_shapes(*(c.cdf(samples) for c in self.component_distributions))
        return jnp.stack(jnp.broadcast_arrays(*cdfs), -1)

    def _stacked(self, moments: list[Array]) -> Array:
        dtype = jnp.result_type(*moments)
        shape = self.shape()
        return jnp.stack([jnp.broadcast_to(m.astype(dtype), shape) for m in moments], len(shape) - self.event_dim)

    @property
    def component_mean(self) -> Array:
        return self._stacked([c.mean for c in self.component_distributions])

    @property
    def component_variance(self) -> Array:
        return self._stacked([c.variance for c in self.component_distributions])


def _checked_components(components: Any, size: int) -> list[Distribution]:
    """The components as a list.

    Raises:
        ValueError: as `MixtureGeneral`.
    """
    if not isinstance(components, (list, tuple)) or not all(isinstance(c, Distribution) for c in components):
        raise ValueError(f"MixtureGeneral: component_distributions must be a list of distributions, but got {components!r}")
    if len(components) != size:
        raise ValueError(
            "MixtureGeneral: the number of component_distributions must be the mixture size; expected "
            f"{size}, got {len(components)}"
        )
    shapes = [c.event_shape for c in components]
    if len(set(shapes)) > 1:
        raise ValueError(f"MixtureGeneral: all component distributions must have the same event shape, but got {shapes}")
    return list(components)


@factory
def Mixture(
    mixing_distribution: CategoricalProbs | CategoricalLogits,
    component_distributions: Distribution | Sequence[Distribution],
    *,
    validate_args: bool | None = None,
) -> MixtureSameFamily | MixtureGeneral:
    """`MixtureGeneral` of a list of components, `MixtureSameFamily` of one batched distribution."""
    if isinstance(component_distributions, (list, tuple)):
        return MixtureGeneral(mixing_distribution, component_distributions, validate_args=validate_args)
    if isinstance(component_distributions, Distribution):
        return MixtureSameFamily(mixing_distribution, component_distributions, validate_args=validate_args)
    raise ValueError(f"Mixture: the components must be a Distribution or a list of them, but got {component_distributions!r}")
