"""Probabilities and logits, each from the other."""

import jax
import jax.numpy as jnp
from jax import lax

from ppl._typing import Array, ArrayLike
from ppl.distributions.discrete.numerics import to_float
from ppl.distributions.special.elementary import select
from ppl.distributions.util import clamp_probs, float_dtype


def _to_probs_bernoulli(logits: ArrayLike) -> Array:
    """`1 / (1 + exp(-logits))`."""
    return lax.logistic(to_float(logits, float_dtype(logits)))


def _to_logits_bernoulli(probs: ArrayLike) -> Array:
    """`log(probs / (1 - probs))`, of probabilities moved off 0 and 1 by the least that their dtype allows."""
    probs = clamp_probs(to_float(probs, float_dtype(probs)))
    return lax.log(probs) - lax.log1p(-probs)


def _to_probs_multinom(logits: ArrayLike) -> Array:
    """The softmax of `logits` along the last axis."""
    logits = jnp.asarray(to_float(logits, float_dtype(logits)))
    weights = lax.exp(logits - lax.stop_gradient(logits.max(-1, keepdims=True)))
    return weights / weights.sum(-1, keepdims=True)


def _to_logits_multinom(probs: ArrayLike) -> Array:
    """`log(probs)`, -inf for zero."""
    return safe_log(jnp.asarray(to_float(probs, float_dtype(probs))))


@jax.jit
def safe_log(x: Array) -> Array:
    """`log(x)` for `x >= 0`, with gradient 0 where it is -inf."""
    positive = x > 0
    return select(positive, lax.log(select(positive, x, 1.0)), -jnp.inf)
