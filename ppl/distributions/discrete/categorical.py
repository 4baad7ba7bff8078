"""One of a finite number of categories."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from ppl._typing import Array, ArrayLike, Key, Shape
from ppl.distributions import constraints, random
from ppl.distributions.constraints import Constraint
from ppl.distributions.discrete.numerics import to_float
from ppl.distributions.discrete.parameters import _to_logits_multinom, _to_probs_multinom, safe_log
from ppl.distributions.discrete.sampling import int_dtype
from ppl.distributions.discrete.shared import filled, filled_batch, support_values
from ppl.distributions.distribution.base import Distribution
from ppl.distributions.distribution.validation import check_parameter
from ppl.distributions.special.elementary import logsumexp, select
from ppl.distributions.util import (
    Tracer,
    as_parameter,
    assert_one_of,
    categorical,
    factory,
    is_concrete,
    lazy_property,
    promote_shapes,
    validate_sample,
)
from ppl.distributions.util.shapes import SMALL_VECTOR

_MAX_UNROLLED = 8


def with_categories(family: str, name: str, x: Any) -> Any:
    """The parameter `x`, whose last axis runs over categories.

    Raises:
        ValueError: if it has no axis.
    """
    x = as_parameter(x)
    if np.ndim(x) < 1:
        raise ValueError(f"{family}: `{name}` must be at least one-dimensional, with one entry per category, but got a scalar")
    return x


def check_log_weights(d: Distribution, strict: bool) -> None:
    """Check the parameter `logits` of `d`: numbers below infinity, -inf allowed but not everywhere."""
    logits = d.__dict__.get("logits")
    if is_concrete(logits):
        check_parameter(type(d), "logits", logits, _log_weights)
    elif strict:
        raise RuntimeError(f"Cannot validate arguments inside jitted code. Parameter 'logits' of {type(d).__name__} is traced")


class _LogWeights(Constraint):
    """Vectors of logarithms of weights: no nan, no inf, not all -inf."""

    event_dim = 1

    def check(self, x: ArrayLike) -> ArrayLike:
        return (x < np.inf).all(-1) & (x > -np.inf).any(-1)


_log_weights = _LogWeights()


def pick(table: Array, value: Any, fill: float) -> Array:
    """`table[..., value]`: the entries of the last axis that `value` names, `fill` where there is no such category.

    Values and the batch of the table broadcast. A few categories are chosen by comparisons, whose derivative needs no scatter.
    """
    size = table.shape[-1]
    batch = table.shape[:-1]
    if _is_enumeration(value, size, len(batch)):
        moved = lax.transpose(table, (len(batch), *range(len(batch))))
        return lax.reshape(moved, (size,) + (1,) * (np.ndim(value) - 1 - len(batch)) + batch)
    return _pick(table, as_category(value), fill)


@partial(jax.jit, static_argnames="fill")
def _pick(table: Array, value: Array, fill: float) -> Array:
    size = table.shape[-1]
    batch = table.shape[:-1]
    if size <= _MAX_UNROLLED:
        if value.ndim != len(batch):
            table, column = promote_shapes(table, value[..., None])
            value = column[..., 0]
        out: Any = fill
        for i in range(size):
            out = select(value == i, table[..., i], out)
        return out
    inside = (value >= 0) & (value < size)
    index = select(inside, value, 0)
    if not batch:
        return select(inside, table.at[index].get(mode="promise_in_bounds"), fill)
    shape = np.broadcast_shapes(value.shape, batch)
    if shape == batch and table.size < 2**31:
        # one entry of each row: to say so makes the derivative, a scatter, three times as fast
        rows = lax.mul(lax.iota(np.int32, table.size // size), np.int32(size))
        flat = rows + jnp.broadcast_to(index, shape).reshape(-1).astype(np.int32)
        picked = table.reshape(-1).at[flat].get(mode="promise_in_bounds", unique_indices=True, indices_are_sorted=True)
        return select(inside, picked.reshape(shape), fill)
    if all(n == 1 or m == 1 for n, m in zip(reversed(batch), reversed(value.shape))):
        return select(inside, _outer_pick(table, index, shape), fill)
    index = jnp.broadcast_to(index, shape)[..., None]
    table = jnp.broadcast_to(table, (*shape, size))
    return select(inside, jnp.take_along_axis(table, index, -1, mode="promise_in_bounds")[..., 0], fill)


def _outer_pick(table: Array, index: Array, shape: Shape) -> Array:
    """`table[..., index]` where batch and index have no axis in common, as data and an enumerated parent: it takes columns."""
    rank = len(shape)
    batch = (1,) * (rank - table.ndim + 1) + table.shape[:-1]
    own = (1,) * (rank - index.ndim) + index.shape
    columns = table.reshape(-1, table.shape[-1]).T.at[index.reshape(-1)].get(mode="promise_in_bounds")
    order = [rank + axis if own[axis] == 1 else axis for axis in range(rank)]
    others = [axis for axis in range(2 * rank) if axis not in order]
    return jnp.transpose(columns.reshape(*own, *batch), (*order, *others)).reshape(shape)


def as_category(value: Any) -> Any:
    """The value as an integer array."""
    if isinstance(value, jax.Array):
        return value if value.dtype.kind in "iu" else lax.convert_element_type(value, int_dtype())
    return np.asarray(value).astype(int_dtype())


def _is_enumeration(value: Any, size: int, batch_ndim: int) -> bool:
    """Whether `value` is known to be `0, ..., size - 1` along an axis left of the batch."""
    if isinstance(value, Tracer) or not isinstance(value, (np.ndarray, jax.Array)):
        return False
    shape = value.shape
    if len(shape) <= batch_ndim or value.size != size or shape[0] != size:
        return False
    return bool(np.array_equal(np.asarray(value).reshape(-1), np.arange(size)))


class _Categorical(Distribution):
    """What both parametrizations share."""

    has_enumerate_support = True
    probs: Any
    logits: Any

    def _size(self) -> int:
        raise NotImplementedError

    @constraints.dependent_property(is_discrete=True, event_dim=0)
    def support(self) -> Constraint:
        return constraints.integer_interval(0, self._size() - 1)

    def sample(self, key: Key, sample_shape: Shape = ()) -> Array:
        if self._size() <= SMALL_VECTOR:
            return categorical(key, to_float(self.probs, self._dtype), self.shape(sample_shape))
        logits = to_float(self.logits, self._dtype)
        return lax.convert_element_type(random.categorical(key, logits, shape=self.shape(sample_shape)), int_dtype())

    def _moment(self, weights: Any) -> Array:
        probs = to_float(self.probs, self._dtype)
        return lax.reduce_sum(probs * np.asarray(weights, probs.dtype).reshape((1,) * (probs.ndim - 1) + (-1,)), (probs.ndim - 1,))

    @property
    def mean(self) -> Array:
        """The mean of the category's number."""
        return filled(self, self._moment(np.arange(self._size())))

    @property
    def variance(self) -> Array:
        """The variance of the category's number."""
        center = 0.5 * (self._size() - 1)
        shifted = np.arange(self._size()) - center
        return filled(self, self._moment(shifted**2) - self._moment(shifted) ** 2)

    def cdf(self, value: ArrayLike) -> Array:
        """The sum of the probabilities of the categories up to the value."""
        probs = to_float(self.probs, self._dtype)
        x, probs = promote_shapes(jnp.asarray(to_float(value, self._dtype))[..., None], probs)
        numbers = np.arange(self._size(), dtype=x.dtype).reshape((1,) * (x.ndim - 1) + (-1,))
        return jnp.minimum(jnp.where(numbers <= x, probs, 0.0).sum(-1), 1.0)

    @property
    def mode(self) -> Array:
        """The most probable category."""
        return jnp.argmax(to_float(self.logits, self._dtype), axis=-1)

    def entropy(self) -> Array:
        """`-sum p log p`, where `0 log 0 = 0`."""
        probs = jnp.asarray(to_float(self.probs, self._dtype))
        log_probs = safe_log(probs)
        terms = probs * select(probs > 0, log_probs, 0.0)
        return filled_batch(self, -lax.reduce_sum(terms, (probs.ndim - 1,)))

    def enumerate_support(self, expand: bool = True) -> Array:
        return support_values(self, 0, self._size() - 1, expand)


class CategoricalProbs(_Categorical):
    """A category out of `0, ..., k - 1`: `p(x) = probs[x]`.

    Args:
        probs: the probabilities, of shape `b + (k,)`, each row summing to one. Their logarithms are the attribute `logits`.
        validate_args: check parameters and values.

    Raises:
        ValueError: if `probs` is a scalar.

    Example:
        >>> import numpy as np
        >>> from ppl import distributions as dist
        >>> round(float(dist.CategoricalProbs(np.array([0.5, 0.25, 0.25])).log_prob(1)), 4)
        -1.3863
    """

    arg_constraints = {"probs": constraints.simplex}

    def __init__(self, probs: ArrayLike, *, validate_args: bool | None = None) -> None:
        self.probs = with_categories("CategoricalProbs", "probs", probs)
        super().__init__(np.shape(self.probs)[:-1], validate_args=validate_args)

    def _size(self) -> int:
        return np.shape(self.probs)[-1]

    @lazy_property
    def logits(self) -> Array:
        return _to_logits_multinom(self.probs)

    @validate_sample
    def log_prob(self, value: ArrayLike) -> Array:
        probs = to_float(self.probs, self._dtype)
        if probs.size < np.size(value):
            return pick(safe_log(probs), value, -np.inf)
        return safe_log(pick(probs, value, 0.0))


class CategoricalLogits(_Categorical):
    """A category out of `0, ..., k - 1`: `log p(x) = logits[x] - log sum exp(logits)`.

    Args:
        logits: logarithms of weights, of shape `b + (k,)`; -inf excludes a category. The probabilities are the attribute `probs`.
        validate_args: check parameters and values.

    Raises:
        ValueError: if `logits` is a scalar.

    Example:
        >>> import numpy as np
        >>> from ppl import distributions as dist
        >>> round(float(dist.CategoricalLogits(np.zeros(4)).log_prob(1)), 4)
        -1.3863
    """

    arg_constraints = {"logits": constraints.real_vector}

    def __init__(self, logits: ArrayLike, *, validate_args: bool | None = None) -> None:
        self.logits = with_categories("CategoricalLogits", "logits", logits)
        super().__init__(np.shape(self.logits)[:-1], validate_args=validate_args)

    def validate_args(self, strict: bool = True) -> None:
        """Check that no logit is nan or inf, and that not all are -inf."""
        check_log_weights(self, strict)

    def _size(self) -> int:
        return np.shape(self.logits)[-1]

    @lazy_property
    def probs(self) -> Array:
        return _to_probs_multinom(self.logits)

    @validate_sample
    def log_prob(self, value: ArrayLike) -> Array:
        logits = to_float(self.logits, self._dtype)
        chosen, norm = promote_shapes(pick(logits, value, -np.inf), logsumexp(logits))
        return chosen - norm


@factory
def Categorical(
    probs: ArrayLike | None = None, logits: ArrayLike | None = None, *, validate_args: bool | None = None
) -> CategoricalProbs | CategoricalLogits:
    """`CategoricalProbs` or `CategoricalLogits`.

    Raises:
        ValueError: unless exactly one of `probs`, `logits` is given.
    """
    assert_one_of(probs=probs, logits=logits)
    if probs is not None:
        return CategoricalProbs(probs, validate_args=validate_args)
    return CategoricalLogits(logits, validate_args=validate_args)
