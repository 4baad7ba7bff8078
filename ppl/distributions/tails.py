"""The logarithms of distribution and survival functions, accurate in the tails where a family allows it."""

from functools import singledispatch

import jax.numpy as jnp
import numpy as np

from ppl._typing import Array, ArrayLike
from ppl.distributions.continuous.interval import Beta
from ppl.distributions.continuous.numerics import with_value
from ppl.distributions.continuous.positive import Exponential, Gamma, Gompertz, Weibull
from ppl.distributions.continuous.real import SymmetricLocationScale
from ppl.distributions.distribution import Distribution, ExpandedDistribution, TransformedDistribution
from ppl.distributions.special import log_betainc_pair, log_gammainc_pair
from ppl.distributions.special.elementary import log1mexp, operands
from ppl.distributions.util import promote_shapes


@singledispatch
def log_tails(d: Distribution, value: ArrayLike) -> tuple[Array, Array]:
    """`log P(X <= value)` and `log P(X > value)`; for families without a rule of their own, by their `cdf`.

    Raises:
        NotImplementedError: if the distribution has no `cdf`.
    """
    p = jnp.clip(d.cdf(value), 0.0, 1.0)
    below, above = p > 0, p < 1
    log_p = jnp.where(below, jnp.log(jnp.where(below, p, 1.0)), -np.inf)
    return log_p, jnp.where(above, jnp.log1p(-jnp.where(above, p, 0.0)), -np.inf)


@log_tails.register
def _of_expanded(d: ExpandedDistribution, value: ArrayLike) -> tuple[Array, Array]:
    return log_tails(d.base_dist, value)


@log_tails.register
def _of_symmetric(d: SymmetricLocationScale, value: ArrayLike) -> tuple[Array, Array]:
    z = d.standardize(value)
    return d.standard_log_cdf(z), d.standard_log_cdf(-z)


@log_tails.register
def _of_transformed(d: TransformedDistribution, value: ArrayLike) -> tuple[Array, Array]:
    sign = d.sign
    x, inside = d.preimage(value)
    below, above = log_tails(d.base_dist, x)
    sign, below, above = promote_shapes(sign, below, above)
    below, above = jnp.where(sign > 0, below, above), jnp.where(sign > 0, above, below)
    return d.continued(value, inside, below, -np.inf, 0.0), d.continued(value, inside, above, 0.0, -np.inf)


@log_tails.register
def _of_gamma(d: Gamma, value: ArrayLike) -> tuple[Array, Array]:
    value, a, rate = with_value(value, d.concentration, d.rate)
    a, x = operands(a, jnp.maximum(value, 0.0) * rate)
    return log_gammainc_pair(a, x)


@log_tails.register
def _of_beta(d: Beta, value: ArrayLike) -> tuple[Array, Array]:
    value, a, b = with_value(value, d.concentration1, d.concentration0)
    a, b, x = operands(a, b, jnp.clip(value, 0.0, 1.0))
    return log_betainc_pair(a, b, x, 1.0 - x)


def _from_hazard(hazard: Array) -> tuple[Array, Array]:
    """Both logarithms from the cumulative hazard `-log P(X > value)`."""
    positive = hazard > 0
    return jnp.where(positive, log1mexp(-jnp.where(positive, hazard, 1.0)), -np.inf), -hazard


@log_tails.register
def _of_exponential(d: Exponential, value: ArrayLike) -> tuple[Array, Array]:
    value, rate = with_value(value, d.rate)
    return _from_hazard(jnp.maximum(value, 0.0) * rate)


@log_tails.register
def _of_weibull(d: Weibull, value: ArrayLike) -> tuple[Array, Array]:
    return _from_hazard(d.cumulative_hazard(value))


@log_tails.register
def _of_gompertz(d: Gompertz, value: ArrayLike) -> tuple[Array, Array]:
    return _from_hazard(d.cumulative_hazard(value))
