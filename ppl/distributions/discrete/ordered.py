"""Ordered categories."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from ppl._typing import Array, ArrayLike, Key, Shape
from ppl.distributions import constraints, random
from ppl.distributions.discrete.categorical import CategoricalProbs, as_category, pick
from ppl.distributions.discrete.numerics import to_float
from ppl.distributions.discrete.sampling import int_dtype
from ppl.distributions.discrete.shared import filled_batch
from ppl.distributions.distribution.base import Distribution
from ppl.distributions.special.elementary import select
from ppl.distributions.util import as_operand, as_parameter, lazy_property, log1mexp, promote_shapes, softplus, validate_sample


class OrderedLogistic(CategoricalProbs):
    """A category out of `0, ..., k - 1`, ordered: `P(x <= i) = 1 / (1 + exp(predictor - cutpoints[i]))`.

    The category counts the cutpoints that `predictor` plus a standard logistic variable exceeds.

    Args:
        predictor: the location of the latent variable.
        cutpoints: increasing, of shape `b + (k - 1,)`; with `predictor` of batch shape `b`.
        validate_args: check parameters and values.

    Raises:
        ValueError: if `cutpoints` is a scalar.

    Example:
        >>> import numpy as np
        >>> from ppl import distributions as dist
        >>> round(float(dist.OrderedLogistic(0.0, np.array([-1.0, 1.0])).log_prob(1)), 4)
        -0.7719
    """

    arg_constraints = {"predictor": constraints.real, "cutpoints": constraints.ordered_vector}

    def __init__(self, predictor: ArrayLike, cutpoints: ArrayLike, *, validate_args: bool | None = None) -> None:
        predictor, cutpoints = as_parameter(predictor), as_parameter(cutpoints)
        if np.ndim(cutpoints) < 1:
            raise ValueError("OrderedLogistic: `cutpoints` must be at least one-dimensional, but got a scalar")
        shape = np.broadcast_shapes(np.shape(predictor), np.shape(cutpoints)[:-1])
        self.predictor = _padded(predictor, len(shape))
        self.cutpoints = _padded(cutpoints, len(shape) + 1)
        Distribution.__init__(self, shape, validate_args=validate_args)

    def _size(self) -> int:
        return np.shape(self.cutpoints)[-1] + 1

    @lazy_property
    def probs(self) -> Array:
        dtype = self._dtype
        predictor, cutpoints = to_float(self.predictor, dtype), to_float(self.cutpoints, dtype)
        shift = predictor[..., None] if np.ndim(predictor) else predictor
        below = jnp.asarray(lax.logistic(cutpoints - shift))
        pad = [(0, 0)] * (below.ndim - 1)
        top = jnp.pad(below, [*pad, (0, 1)], constant_values=1.0)
        return top - jnp.pad(below, [*pad, (1, 0)], constant_values=0.0)

    def sample(self, key: Key, sample_shape: Shape = ()) -> Array:
        shape, dtype = self.shape(sample_shape), self._dtype
        latent = random.logistic(key, shape, dtype) + jnp.broadcast_to(to_float(self.predictor, dtype), shape)
        exceeded = latent[..., None] > self._aligned_cutpoints(len(shape))
        return lax.reduce_sum(lax.convert_element_type(exceeded, int_dtype()), (len(shape),))

    def _aligned_cutpoints(self, rank: int) -> Any:
        """The cutpoints with `rank` batch axes."""
        return _padded(to_float(self.cutpoints, self._dtype), rank + 1)

    @validate_sample
    def log_prob(self, value: ArrayLike) -> Array:
        dtype = self._dtype
        return ordered_log_prob(as_category(value), to_float(self.predictor, dtype), to_float(self.cutpoints, dtype))

    def entropy(self) -> Array:
        """`-sum_i p(i) log p(i)`."""
        dtype = self._dtype
        predictor, cutpoints = to_float(self.predictor, dtype), jnp.asarray(to_float(self.cutpoints, dtype))
        pad = [(0, 0)] * (cutpoints.ndim - 1)
        upper = jnp.pad(cutpoints, [*pad, (0, 1)], constant_values=np.inf)
        lower = jnp.pad(cutpoints, [*pad, (1, 0)], constant_values=-np.inf)
        upper, lower, shift = promote_shapes(upper, lower, predictor[..., None] if np.ndim(predictor) else predictor)
        log_probs = _log_share(lower, upper, shift) + log1mexp(lower - upper)
        possible = log_probs > -np.inf
        log_probs = select(possible, log_probs, 0.0)
        return filled_batch(self, -(lax.exp(log_probs) * log_probs).sum(-1))


def _log_share(lower: Array, upper: Array, predictor: Array) -> Array:
    """`log [s(upper - predictor) s(predictor - lower)]`: with `s(a) - s(b) = s(a) s(-b) (1 - exp(b - a))` nothing cancels."""
    return -softplus(predictor - upper) - softplus(lower - predictor)


@jax.jit
def ordered_log_prob(x: Array, predictor: Array, cutpoints: Array) -> Array:
    """`log [s(c_x - predictor) - s(c_(x-1) - predictor)]` with the logistic function `s`, the ends at infinity; -inf outside."""
    size = cutpoints.shape[-1] + 1
    upper, lower = pick(cutpoints, x, np.inf), pick(cutpoints, x - 1, -np.inf)
    upper, lower, x, predictor = promote_shapes(upper, lower, x, predictor)
    out = _log_share(lower, upper, predictor)
    if size > 2 and cutpoints.ndim == 1:  # fewer gaps than values
        gap = pick(log1mexp(cutpoints[:-1] - cutpoints[1:]), x - 1, 0.0)
        out, gap = promote_shapes(out, gap)
        out = out + gap
    elif size > 2:
        out = out + log1mexp(lower - upper)
    inside, out = promote_shapes((x >= 0) & (x < size), out)
    return select(inside, out, -np.inf)


def _padded(x: Any, rank: int) -> Any:
    """`x` with 1s prepended to its shape up to `rank` axes; scalars as they are."""
    shape = np.shape(x)
    return x if len(shape) in (0, rank) else as_operand(x).reshape((1,) * (rank - len(shape)) + shape)
