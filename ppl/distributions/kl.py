"""Kullback-Leibler divergences in closed form, by the types of both distributions."""

from collections.abc import Callable
from typing import Any, TypeVar

import jax.numpy as jnp
import numpy as np
from jax import lax

from ppl._typing import Array
from ppl.distributions.continuous.interval import Beta, Kumaraswamy
from ppl.distributions.continuous.multivariate_normal import MultivariateNormal
from ppl.distributions.continuous.positive import Gamma, Weibull
from ppl.distributions.continuous.real import Normal
from ppl.distributions.continuous.triangular import add, difference, half_log_det, over_rows, transpose
from ppl.distributions.continuous.vectors import CirculantNormal, Dirichlet, circulant_sum
from ppl.distributions.discrete.categorical import CategoricalProbs
from ppl.distributions.distribution import Delta, Distribution, ExpandedDistribution, Independent, MaskedDistribution
from ppl.distributions.special.elementary import operands
from ppl.distributions.special.gamma import log_beta
from ppl.distributions.util import (
    promote_shapes,
    solve_vectors,
    sum_rightmost,
)

__all__ = ["kl_divergence"]

Rule = Callable[[Any, Any], Array]
R = TypeVar("R", bound=Rule)
_EULER_GAMMA = 0.5772156649015329


class _Divergences:
    """The Kullback-Leibler divergence `KL(p || q) = E_p[log p(X) - log q(X)]` in closed form, of shape batch shape.

    The rule is chosen by the types of both arguments; the nearest base classes win, those of `p` before those of `q`. `register`
    adds one. There are rules for Normal, MultivariateNormal, Beta, Gamma, Dirichlet and categorical pairs, Kumaraswamy-Beta (a
    series), Weibull-Gamma, Independent normals-CirculantNormal, Delta-any, and through Independent, expanded and masked ones.

    Raises:
        NotImplementedError: no rule for the pair; estimate the divergence from draws instead.

    Example:
        >>> from ppl.distributions import Normal
        >>> float(kl_divergence(Normal(1.0, 1.0), Normal(0.0, 1.0)))
        0.5
    """

    def __init__(self) -> None:
        self._rules: dict[tuple[type, type], Rule] = {}

    def register(self, p_type: type, q_type: type) -> Callable[[R], R]:
        """Decorator of a function `(p, q) -> divergence` for these two types and what derives from them."""

        def add_rule(rule: R) -> R:
            self._rules[p_type, q_type] = rule
            return rule

        return add_rule

    def dispatch(self, p_type: type, q_type: type) -> Rule:
        """The rule for distributions of these types.

        Raises:
            NotImplementedError: there is none.
        """
        p_line, q_line = p_type.__mro__, q_type.__mro__
        found = [
            (p_line.index(p) + q_line.index(q), p_line.index(p), rule)
            for (p, q), rule in self._rules.items()
            if p in p_line and q in q_line
        ]
        if not found:
            raise NotImplementedError(
                f"kl_divergence({p_type.__name__}, {q_type.__name__}) is not implemented: no rule for this pair of types; "
                "add one with kl_divergence.register, or estimate it from draws: (p.log_prob(x) - q.log_prob(x)).mean(0)"
            )
        return min(found, key=lambda entry: entry[:2])[2]

    def __call__(self, p: Distribution, q: Distribution) -> Array:
        """The divergence of `p` from `q`."""
        return self.dispatch(type(p), type(q))(p, q)


kl_divergence = _Divergences()


# wrappers ---------------------------------------------------------------------------------------------------------------


@kl_divergence.register(Delta, Distribution)
def _delta_any(p: Delta, q: Distribution) -> Array:
    return add(p.log_density, -q.log_prob(p.v))


@kl_divergence.register(Independent, Independent)
def _independent(p: Independent, q: Independent) -> Array:
    n, m = p.reinterpreted_batch_ndims, q.reinterpreted_batch_ndims
    if n != m:
        raise NotImplementedError(
            f"kl_divergence of Independent distributions needs equal reinterpreted_batch_ndims, but p has {n} and q has {m}; "
            "write both with the same to_event(...)"
        )
    divergence = kl_divergence(p.base_dist, q.base_dist)
    return sum_rightmost(divergence, n)


@kl_divergence.register(ExpandedDistribution, Distribution)
def _expanded_any(p: ExpandedDistribution, q: Distribution) -> Array:
    divergence = kl_divergence(p.base_dist, q)
    return jnp.broadcast_to(divergence, np.broadcast_shapes(np.shape(divergence), p.batch_shape))


@kl_divergence.register(Distribution, ExpandedDistribution)
def _any_expanded(p: Distribution, q: ExpandedDistribution) -> Array:
    divergence = kl_divergence(p, q.base_dist)
    return jnp.broadcast_to(divergence, np.broadcast_shapes(np.shape(divergence), q.batch_shape))


@kl_divergence.register(MaskedDistribution, MaskedDistribution)
def _masked(p: MaskedDistribution, q: MaskedDistribution) -> Array:
    """The divergence where both masks hold, else zero."""
    divergence, p_mask, q_mask = promote_shapes(kl_divergence(p.base_dist, q.base_dist), p._mask, q._mask)
    return jnp.where(p_mask & q_mask, divergence, 0.0)


# real line and vectors --------------------------------------------------------------------------------------------------


@kl_divergence.register(Normal, Normal)
def _normal_normal(p: Normal, q: Normal) -> Array:
    p_loc, p_scale, q_loc, q_scale = promote_shapes(p.loc, p.scale, q.loc, q.scale)
    ratio = (p_scale / q_scale) ** 2
    shift = ((p_loc - q_loc) / q_scale) ** 2
    return 0.5 * (ratio + shift - 1.0 - jnp.log(ratio))


@kl_divergence.register(MultivariateNormal, MultivariateNormal)
def _multivariate_normals(p: MultivariateNormal, q: MultivariateNormal) -> Array:
    d = p.event_shape[0]
    p_tril, q_tril = jnp.asarray(p.scale_tril), jnp.asarray(q.scale_tril)
    trace = lax.square(solve_vectors(over_rows(q_tril), transpose(p_tril))).sum((-2, -1))
    shift = solve_vectors(q_tril, difference(p.loc, q.loc))
    log_dets = add(half_log_det(q_tril), -half_log_det(p_tril))
    return add(0.5 * (add(trace, lax.square(shift).sum(-1)) - d), log_dets)


@kl_divergence.register(Independent, CirculantNormal)
def _independent_circulant(p: Independent, q: CirculantNormal) -> Array:
    """For independent normals: the inverse of a circulant matrix has a constant diagonal, the mean of the inverse eigenvalues."""
    base = p.base_dist.base_dist if isinstance(p.base_dist, ExpandedDistribution) else p.base_dist
    if not isinstance(base, Normal) or p.event_dim != 1:
        raise NotImplementedError(
            f"kl_divergence(Independent, CirculantNormal) needs an Independent Normal with one event dimension, but got "
            f"{type(base).__name__} with event shape {p.event_shape}"
        )
    n = p.event_shape[0]
    spectrum = jnp.asarray(q.covariance_rfft)
    shift = jnp.fft.rfft(difference(p.mean, q.loc))
    power, eigenvalues = promote_shapes(lax.square(shift.real) + lax.square(shift.imag), spectrum)
    inverse, variance = promote_shapes(circulant_sum(1 / spectrum, n), p.variance.mean(-1))
    trace = inverse * variance
    log_dets = add(circulant_sum(jnp.log(spectrum), n), -jnp.log(p.variance).sum(-1))
    return 0.5 * add(add(trace, circulant_sum(power / eigenvalues, n) / n) - n, log_dets)


@kl_divergence.register(Dirichlet, Dirichlet)
def _dirichlets(p: Dirichlet, q: Dirichlet) -> Array:
    a, b = promote_shapes(jnp.asarray(p.concentration), jnp.asarray(q.concentration))
    a_total, b_total = a.sum(-1, keepdims=True), b.sum(-1, keepdims=True)
    normalizers = (lax.lgamma(b) - lax.lgamma(a)).sum(-1) + (lax.lgamma(a_total) - lax.lgamma(b_total))[..., 0]
    return normalizers + ((a - b) * (lax.digamma(a) - lax.digamma(a_total))).sum(-1)


# intervals and half lines -----------------------------------------------------------------------------------------------


@kl_divergence.register(Beta, Beta)
def _betas(p: Beta, q: Beta) -> Array:
    a1, a0, b1, b0 = operands(p.concentration1, p.concentration0, q.concentration1, q.concentration0)
    known = (a1 - b1) * lax.digamma(a1) + (a0 - b0) * lax.digamma(a0)
    return log_beta(b1, b0) - log_beta(a1, a0) + known + (b1 - a1 + b0 - a0) * lax.digamma(a1 + a0)


@kl_divergence.register(Kumaraswamy, Beta)
def _kumaraswamy_beta(p: Kumaraswamy, q: Beta) -> Array:
    """`E log(1 - X) = -sum_m E X^m / m` is cut after `KL_KUMARASWAMY_BETA_TAYLOR_ORDER` terms (Nalisnick and Smyth 2017)."""
    a, b, alpha, beta = operands(p.concentration1, p.concentration0, q.concentration1, q.concentration0)
    mean_log = -(_EULER_GAMMA + lax.digamma(b) + 1 / b) / a
    series = sum(jnp.exp(log_beta(m / a, b)) / (m + a * b) for m in range(1, p.KL_KUMARASWAMY_BETA_TAYLOR_ORDER + 1))
    return jnp.log(a * b) + (a - alpha) * mean_log - (b - 1) / b + (beta - 1) * b * series + log_beta(alpha, beta)


@kl_divergence.register(Gamma, Gamma)
def _gammas(p: Gamma, q: Gamma) -> Array:
    a, rate, b, q_rate = operands(p.concentration, p.rate, q.concentration, q.rate)
    shapes = (a - b) * lax.digamma(a) + lax.lgamma(b) - lax.lgamma(a)
    return shapes + b * (jnp.log(rate) - jnp.log(q_rate)) + a * (q_rate / rate - 1)


@kl_divergence.register(Weibull, Gamma)
def _weibull_gamma(p: Weibull, q: Gamma) -> Array:
    scale, k, a, rate = operands(p.scale, p.concentration, q.concentration, q.rate)
    log_scale = jnp.log(scale)
    entropy = _EULER_GAMMA * (1 - 1 / k) + log_scale - jnp.log(k) + 1
    mean = scale * jnp.exp(lax.lgamma(1 + 1 / k))
    return -entropy - (a * jnp.log(rate) - lax.lgamma(a) + (a - 1) * (log_scale - _EULER_GAMMA / k) - rate * mean)


# finite supports --------------------------------------------------------------------------------------------------------


@kl_divergence.register(CategoricalProbs, CategoricalProbs)
def _categoricals(p: CategoricalProbs, q: CategoricalProbs) -> Array:
    """`sum_k p_k log(p_k / q_k)`, where `p_k = 0` counts nothing."""
    p_probs, q_probs = promote_shapes(jnp.asarray(p.probs), jnp.asarray(q.probs))
    p_probs, q_probs = jnp.broadcast_arrays(p_probs, q_probs)
    possible = p_probs > 0
    ratio = jnp.log(jnp.where(possible, p_probs, 1.0)) - jnp.log(jnp.where(possible, q_probs, 1.0))
    return (p_probs * ratio).sum(-1)
