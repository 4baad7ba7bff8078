"""Counts of categories in a number of trials."""

from typing import Any

import jax
import numpy as np
from jax import lax

from ppl._typing import Array, ArrayLike, Key, Shape
from ppl.distributions import constraints
from ppl.distributions.constraints import Constraint
from ppl.distributions.discrete.categorical import check_log_weights, with_categories
from ppl.distributions.discrete.numerics import (
    aligned,
    log_count_constant,
    polya_log_norm,
    polya_log_terms,
    scaled_log_ratio,
    to_float,
)
from ppl.distributions.discrete.parameters import _to_logits_multinom, _to_probs_multinom
from ppl.distributions.discrete.shared import filled
from ppl.distributions.distribution.base import Distribution
from ppl.distributions.distribution.validation import check_parameter
from ppl.distributions.special.elementary import logsumexp, select
from ppl.distributions.util import (
    as_operand,
    as_parameter,
    assert_one_of,
    factory,
    is_concrete,
    lazy_property,
    multinomial,
    validate_sample,
)


class Counts(Distribution):
    """Counts of `k` categories that sum to `total_count`: what laws of such vectors share."""

    pytree_aux_fields = ("total_count_max",)
    total_count: Any
    total_count_max: int | None

    def _set_counts(self, name: str, parameter: Any, total_count: Any, total_count_max: int | None) -> tuple[Shape, Shape]:
        """Set the parameters; the batch and event shape.

        Raises:
            ValueError: if `parameter` is a scalar, or `total_count_max` is no bound of a concrete `total_count`.
        """
        family = type(self).__name__
        parameter, total_count = with_categories(family, name, parameter), as_parameter(total_count)
        shape = np.shape(parameter)
        batch = np.broadcast_shapes(shape[:-1], np.shape(total_count))
        if len(shape) - 1 < len(batch):
            parameter = as_operand(parameter).reshape((1,) * (len(batch) + 1 - len(shape)) + shape)
        counts_shape = np.shape(total_count)
        if 0 < len(counts_shape) < len(batch):
            total_count = as_operand(total_count).reshape((1,) * (len(batch) - len(counts_shape)) + counts_shape)
        if total_count_max is not None and is_concrete(total_count) and np.any(np.asarray(total_count) > total_count_max):
            raise ValueError(f"{family}: total_count_max={total_count_max} is below total_count={total_count}")
        setattr(self, name, parameter)
        self.total_count, self.total_count_max = total_count, total_count_max
        return batch, shape[-1:]

    @constraints.dependent_property(is_discrete=True, event_dim=1)
    def support(self) -> Constraint:
        return constraints.multinomial(self.total_count)

    def _draw(self, key: Key, probs: Any, sample_shape: Shape) -> Array:
        """Multinomial counts with the given probabilities.

        Raises:
            ValueError: if `total_count` is traced and `total_count_max` is not given.
        """
        if self.total_count_max is None and not is_concrete(self.total_count):
            raise ValueError(
                f"{type(self).__name__}.sample: `total_count` is traced; pass total_count_max=, a Python integer that bounds it"
            )
        shape = (*sample_shape, *self.batch_shape)
        return multinomial(key, to_float(probs, self._dtype), self.total_count, shape, self.total_count_max)

    def _total_column(self) -> Any:
        """`total_count` as floating point array with a last axis of size 1."""
        total = to_float(self.total_count, self._dtype)
        return total[..., None] if np.ndim(total) else total

    def _aligned(self, value: ArrayLike, *args: Any) -> tuple[Any, ...]:
        """The value, `total_count` with a last axis, and the arguments, as floating point arrays of one rank."""
        return aligned(self._dtype, value, self._total_column(), *args)


def split_counts(x: Array, n: Array) -> tuple[Array, Array]:
    """Whether the counts are not negative and sum to `n`, which has a last axis of size 1 or none; the counts, 0 if negative."""
    last = x.ndim - 1
    inside = (lax.reduce_min(x, (last,)) >= 0) & (lax.reduce_sum(x, (last,)) == without_column(n))
    return inside, select(x >= 0, x, 0.0)


def without_column(n: Array) -> Array:
    """`n` without its last axis, of size 1."""
    return n[..., 0] if n.ndim else n


def log_arrangements(x: Array, n: Array) -> Array:
    """`log [n! / prod x_i!] + sum x_i log(x_i / n)`, small for all counts."""
    return lax.reduce_sum(log_count_constant(x), (x.ndim - 1,)) - log_count_constant(without_column(n))


@jax.jit
def multinomial_probs_log_prob(x: Array, n: Array, probs: Array) -> Array:
    """`log [n! prod probs_i^x_i / x_i!]`, -inf outside."""
    inside, x = split_counts(x, n)
    expected = n * probs
    terms = scaled_log_ratio(x, expected - x, expected)
    return lax.reduce_sum(terms, (terms.ndim - 1,)) + select(inside, log_arrangements(x, n), -np.inf)


@jax.jit
def multinomial_logits_log_prob(x: Array, n: Array, logits: Array) -> Array:
    """`log [n! prod softmax(logits)_i^x_i / x_i!]`, -inf outside."""
    inside, x = split_counts(x, n)
    some = x > 0
    fraction = select(some, x, 1.0) / select(n > 0, n, 1.0)
    log_probs = logits - logsumexp(logits, keepdims=True)
    terms = x * (select(some, log_probs, 0.0) - lax.log(fraction))
    return lax.reduce_sum(terms, (terms.ndim - 1,)) + select(inside, log_arrangements(x, n), -np.inf)


@jax.jit
def dirichlet_multinomial_log_prob(x: Array, n: Array, concentration: Array) -> Array:
    """`log [n! Gamma(s) / Gamma(n + s) prod_i Gamma(x_i + a_i) / (x_i! Gamma(a_i))]`, -inf outside."""
    inside, x = split_counts(x, n)
    axis = concentration.ndim - 1
    s = lax.expand_dims(lax.reduce_sum(concentration, (axis,)), (axis,))
    terms = polya_log_terms(x, concentration, n, s) - polya_log_norm(n, s) / x.shape[-1]
    return select(inside, lax.reduce_sum(terms, (terms.ndim - 1,)), -np.inf)


class MultinomialProbs(Counts):
    """Counts of `k` categories in `total_count` trials: `p(x) = n! prod_i probs_i^x_i / x_i!`.

    Args:
        probs: the probabilities, of shape `b + (k,)`, each row summing to one. Their logarithms are the attribute `logits`.
        total_count: the number of trials `n`, of a shape that broadcasts to `b`; it may differ between elements.
        total_count_max: an integer that a traced `total_count` does not exceed, needed to draw.
        validate_args: check parameters and values.

    Raises:
        ValueError: if `probs` is a scalar; from `sample`, if `total_count` is traced and `total_count_max` is not given.

    Example:
        >>> import numpy as np
        >>> from ppl import distributions as dist
        >>> round(float(dist.MultinomialProbs(np.array([0.5, 0.5]), 4).log_prob(np.array([2, 2]))), 4)
        -0.9808
    """

    arg_constraints = {"probs": constraints.simplex, "total_count": constraints.nonnegative_integer}

    def __init__(
        self,
        probs: ArrayLike,
        total_count: ArrayLike = 1,
        *,
        total_count_max: int | None = None,
        validate_args: bool | None = None,
    ) -> None:
        shapes = self._set_counts("probs", probs, total_count, total_count_max)
        super().__init__(*shapes, validate_args=validate_args)

    probs: Any

    @lazy_property
    def logits(self) -> Array:
        return _to_logits_multinom(self.probs)

    def sample(self, key: Key, sample_shape: Shape = ()) -> Array:
        return self._draw(key, self.probs, sample_shape)

    @validate_sample
    def log_prob(self, value: ArrayLike) -> Array:
        return multinomial_probs_log_prob(*self._aligned(value, self.probs))

    @property
    def mean(self) -> Array:
        return filled(self, self._total_column() * to_float(self.probs, self._dtype))

    @property
    def variance(self) -> Array:
        probs = to_float(self.probs, self._dtype)
        return filled(self, self._total_column() * probs * (1.0 - probs))


class MultinomialLogits(Counts):
    """Counts of `k` categories in `total_count` trials, with probabilities `softmax(logits)`.

    Args:
        logits: logarithms of weights, of shape `b + (k,)`; -inf excludes a category. The probabilities are the attribute `probs`.
        total_count: the number of trials, of a shape that broadcasts to `b`; it may differ between elements.
        total_count_max: an integer that a traced `total_count` does not exceed, needed to draw.
        validate_args: check parameters and values.

    Raises:
        ValueError: if `logits` is a scalar; from `sample`, if `total_count` is traced and `total_count_max` is not given.

    Example:
        >>> import numpy as np
        >>> from ppl import distributions as dist
        >>> round(float(dist.MultinomialLogits(np.zeros(2), 4).log_prob(np.array([2, 2]))), 4)
        -0.9808
    """

    arg_constraints = {"logits": constraints.real_vector, "total_count": constraints.nonnegative_integer}

    def __init__(
        self,
        logits: ArrayLike,
        total_count: ArrayLike = 1,
        *,
        total_count_max: int | None = None,
        validate_args: bool | None = None,
    ) -> None:
        shapes = self._set_counts("logits", logits, total_count, total_count_max)
        super().__init__(*shapes, validate_args=validate_args)

    logits: Any

    def validate_args(self, strict: bool = True) -> None:
        """Check that no logit is nan or inf, that not all are -inf, and that the counts are integers >= 0."""
        check_log_weights(self, strict)
        if is_concrete(self.total_count):
            check_parameter(type(self), "total_count", self.total_count, self.arg_constraints["total_count"])

    @lazy_property
    def probs(self) -> Array:
        return _to_probs_multinom(self.logits)

    def sample(self, key: Key, sample_shape: Shape = ()) -> Array:
        return self._draw(key, self.probs, sample_shape)

    @validate_sample
    def log_prob(self, value: ArrayLike) -> Array:
        return multinomial_logits_log_prob(*self._aligned(value, self.logits))

    @property
    def mean(self) -> Array:
        return filled(self, self._total_column() * self.probs)

    @property
    def variance(self) -> Array:
        return filled(self, self._total_column() * self.probs * (1.0 - self.probs))


@factory
def Multinomial(
    total_count: ArrayLike = 1,
    probs: ArrayLike | None = None,
    logits: ArrayLike | None = None,
    *,
    total_count_max: int | None = None,
    validate_args: bool | None = None,
) -> MultinomialProbs | MultinomialLogits:
    """`MultinomialProbs` or `MultinomialLogits`.

    Raises:
        ValueError: unless exactly one of `probs`, `logits` is given.
    """
    assert_one_of(probs=probs, logits=logits)
    if probs is not None:
        return MultinomialProbs(probs, total_count, total_count_max=total_count_max, validate_args=validate_args)
    return MultinomialLogits(logits, total_count, total_count_max=total_count_max, validate_args=validate_args)
