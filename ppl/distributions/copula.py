"""Copulas: vectors whose elements have given laws, and the dependence of a normal vector."""

import math
from functools import singledispatch
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import lax

from ppl._typing import Array, ArrayLike, Key, Shape
from ppl.distributions import constraints, random
from ppl.distributions.constraints import Constraint
from ppl.distributions.continuous.interval import Beta
from ppl.distributions.continuous.numerics import as_value, at_least_tiny, inside_unit
from ppl.distributions.continuous.positive import Gamma
from ppl.distributions.continuous.real import SymmetricLocationScale
from ppl.distributions.continuous.triangular import (
    add,
    alternative,
    as_float,
    cholesky,
    exactly_one_matrix,
    half_log_det,
    matrix_times_vectors,
    self_outer,
)
from ppl.distributions.distribution import Distribution, ExpandedDistribution
from ppl.distributions.special import beta_logit_quantile, gamma_log_quantile, log_ndtr, log_ndtr_inverse
from ppl.distributions.special.elementary import is_number, operands
from ppl.distributions.tails import log_tails
from ppl.distributions.util import (
    as_operand,
    batch_shape_of,
    clamp_probs,
    float_dtype,
    promote_shapes,
    solve_vectors,
    square_dim,
    validate_sample,
)

# from a marginal to the standard normal law, and back -------------------------------------------------------------------


def normal_score(d: Distribution, value: ArrayLike) -> Array:
    """The `z` with `Phi(z) = P(X <= value)`, as accurate as the tails of `d`; finite also where these are empty."""
    below, above = log_tails(d, value)
    lower = below <= above
    tail = jnp.where(lower, below, above)
    tail = jnp.where(tail == -np.inf, math.log(float(jnp.finfo(tail.dtype).tiny)), tail)
    z = log_ndtr_inverse(tail)
    return jnp.where(lower, z, -z)


@singledispatch
def from_normal_score(d: Distribution, z: Array) -> Array:
    """The `x` with `P(X <= x) = Phi(z)`; for families without a rule of their own, by their `icdf`.

    Raises:
        NotImplementedError: if the distribution has no `icdf`.
    """
    return d.icdf(clamp_probs(0.5 * lax.erfc(z * -math.sqrt(0.5))))


@from_normal_score.register
def _to_expanded(d: ExpandedDistribution, z: Array) -> Array:
    return from_normal_score(d.base_dist, z)


@from_normal_score.register
def _to_symmetric(d: SymmetricLocationScale, z: Array) -> Array:
    lower = z < 0
    tail = d.standard_tail_quantile(log_ndtr(jnp.where(lower, z, -z)))
    return d.unstandardize(jnp.where(lower, tail, -tail))


@from_normal_score.register
def _to_beta(d: Beta, z: Array) -> Array:
    a, b, z = operands(d.concentration1, d.concentration0, z)
    return inside_unit(lax.logistic(beta_logit_quantile(a, b, log_ndtr(z), log_ndtr(-z))))


@from_normal_score.register
def _to_gamma(d: Gamma, z: Array) -> Array:
    a, rate, z = operands(d.concentration, d.rate, z)
    return at_least_tiny(jnp.exp(gamma_log_quantile(a, log_ndtr(z), log_ndtr(-z))) / rate)


# copulas ----------------------------------------------------------------------------------------------------------------


class GaussianCopula(Distribution):
    """The law of `x_i = F_i^-1(Phi(z_i))` for a normal vector `z` with correlation matrix `R`: given marginals, made dependent.

    With the normal scores `z_i = Phi^-1(F_i(x_i))` of a value,
    `log p(x) = sum_i log f_i(x_i) - z' (R^-1 - I) z / 2 - log(det R) / 2`.
    Scores come from the logarithms of both tails, so that for families which know these the density keeps its accuracy, however
    far out an element lies.

    Args:
        marginal_dist: the laws of the elements, a continuous distribution of scalars with `cdf` and `icdf`; its last batch axis
            becomes the event.
        correlation_matrix: `R`, shape `(..., d, d)`.
        correlation_cholesky: the lower Cholesky factor of `R`, shape `(..., d, d)`.
        validate_args: whether to check the parameters now and values in `log_prob`.

    Exactly one of the matrices is given; both are attributes. `mean` and `variance` are those of the marginals.

    Raises:
        TypeError: if `marginal_dist` is no distribution.
        ValueError: if it has event axes, is discrete, or its last batch axis is not `d`; none or both of the matrices.

    Example:
        >>> import jax.numpy as jnp
        >>> from ppl.distributions import Exponential, GaussianCopula
        >>> d = GaussianCopula(Exponential(jnp.array([1.0, 2.0])), correlation_matrix=jnp.array([[1.0, 0.5], [0.5, 1.0]]))
        >>> d.event_shape, [float(m) for m in d.mean]
        ((2,), [1.0, 0.5])

    Source: Song (2000), "Multivariate dispersion models generated from Gaussian copula".
    """

    arg_constraints = {"correlation_matrix": constraints.corr_matrix, "correlation_cholesky": constraints.corr_cholesky}
    reparametrized_params = ["correlation_matrix", "correlation_cholesky"]
    pytree_data_fields = ("marginal_dist",)
    marginal_dist: Distribution

    def __init__(
        self,
        marginal_dist: Distribution,
        correlation_matrix: ArrayLike | None = None,
        correlation_cholesky: ArrayLike | None = None,
        *,
        validate_args: bool | None = None,
    ) -> None:
        _check_marginal(marginal_dist)
        shape = self._couple(marginal_dist.batch_shape, correlation_matrix, correlation_cholesky)
        self.marginal_dist = marginal_dist.expand(shape)
        super().__init__(shape[:-1], shape[-1:], validate_args=validate_args)

    def _couple(self, shape: Shape, matrix: ArrayLike | None, factor: ArrayLike | None) -> Shape:
        """Set the correlations, and tell the shape of a value; `shape` is that of the marginals.

        Raises:
            ValueError: as the constructor.
        """
        owner = type(self).__name__
        name, given = exactly_one_matrix(owner, correlation_matrix=matrix, correlation_cholesky=factor)
        d = square_dim(owner, name, np.shape(given))
        if shape[-1:] not in ((), (1,), (d,)):
            raise ValueError(
                f"{owner}: marginals of batch shape {shape} do not fit a {name} of dimension {d}; their last batch axis, which "
                f"becomes the event, must have size {d} (or 1)"
            )
        setattr(self, name, given)
        return (*np.broadcast_shapes(shape[:-1], np.shape(given)[:-2]), d)

    @alternative
    def correlation_matrix(self) -> Any:
        """The correlation matrix of the normal vector, `(..., d, d)`."""
        return self_outer(self.correlation_cholesky)

    @alternative
    def correlation_cholesky(self) -> Any:
        """The lower Cholesky factor of the correlation matrix, `(..., d, d)`."""
        return cholesky(self.correlation_matrix)

    @constraints.dependent_property(is_discrete=False, event_dim=1)
    def support(self) -> Constraint:
        """Vectors of elements in the support of the marginals."""
        return constraints.independent(self.marginal_dist.support, 1)

    def sample(self, key: Key, sample_shape: Shape = ()) -> Array:
        """Vectors, shape `sample_shape + batch_shape + (d,)`."""
        noise = random.normal(key, self.shape(sample_shape), self._dtype)
        return from_normal_score(self.marginal_dist, matrix_times_vectors(self.correlation_cholesky, noise))

    @validate_sample
    def log_prob(self, value: ArrayLike) -> Array:
        """Log density of vectors `(..., d)`."""
        value = as_value(value, self._dtype)
        marginal = self.marginal_dist
        own, z = promote_shapes(marginal.log_prob(value), normal_score(marginal, value))
        factor = self.correlation_cholesky
        z, whitened = promote_shapes(z, solve_vectors(factor, z))
        dependence = 0.5 * (lax.square(z) - lax.square(whitened)).sum(-1)
        return add(add(own.sum(-1), dependence), -half_log_det(factor))

    @property
    def mean(self) -> Array:
        """The means of the marginals, shape `batch_shape + (d,)`."""
        return jnp.broadcast_to(self.marginal_dist.mean, self.shape())

    @property
    def variance(self) -> Array:
        """The variances of the marginals, shape `batch_shape + (d,)`."""
        return jnp.broadcast_to(self.marginal_dist.variance, self.shape())


def _check_marginal(marginal_dist: Any) -> None:
    """Refuse what has no normal scores, with the errors of `GaussianCopula`."""
    if not isinstance(marginal_dist, Distribution):
        raise TypeError(f"GaussianCopula: marginal_dist must be a distribution, found {marginal_dist!r}")
    kind = type(marginal_dist).__name__
    if marginal_dist.event_shape:
        raise ValueError(
            f"GaussianCopula: marginal_dist must be a distribution of scalars, but {kind} has event shape "
            f"{marginal_dist.event_shape}; leave out to_event: the last batch axis becomes the event"
        )
    if marginal_dist.is_discrete:
        raise ValueError(f"GaussianCopula: marginal_dist must be continuous, but {kind} is discrete")


class GaussianCopulaBeta(GaussianCopula):
    """The Gaussian copula of Beta marginals: dependent proportions.

    Args:
        concentration1: the first concentrations of the marginals, positive, shape `(..., d)`.
        concentration0: the second ones.
        correlation_matrix: the correlation matrix of the normal vector, shape `(..., d, d)`.
        correlation_cholesky: its lower Cholesky factor, shape `(..., d, d)`.
        validate_args: whether to check the parameters now and values in `log_prob`.

    Raises:
        ValueError: as `GaussianCopula`.

    Example:
        >>> import jax.numpy as jnp
        >>> from ppl.distributions import GaussianCopulaBeta
        >>> d = GaussianCopulaBeta(jnp.array([1.0, 3.0]), 1.0, correlation_cholesky=jnp.eye(2))
        >>> d.mean
        Array([0.5 , 0.75], dtype=float32)
    """

    arg_constraints = {
        "concentration1": constraints.positive,
        "concentration0": constraints.positive,
        "correlation_matrix": constraints.corr_matrix,
        "correlation_cholesky": constraints.corr_cholesky,
    }
    support = constraints.independent(constraints.unit_interval, 1)

    def __init__(
        self,
        concentration1: ArrayLike,
        concentration0: ArrayLike,
        correlation_matrix: ArrayLike | None = None,
        correlation_cholesky: ArrayLike | None = None,
        *,
        validate_args: bool | None = False,
    ) -> None:
        dtype = float_dtype(concentration1, concentration0, correlation_matrix, correlation_cholesky)
        self.concentration1, self.concentration0 = (_as_vector(c, dtype) for c in (concentration1, concentration0))
        marginal_shape = batch_shape_of(self.concentration1, self.concentration0)
        shape = self._couple(marginal_shape, correlation_matrix, correlation_cholesky)
        Distribution.__init__(self, shape[:-1], shape[-1:], validate_args=validate_args)

    @property
    def marginal_dist(self) -> Beta:  # type: ignore[override]
        """The Beta laws of the elements."""
        return Beta(self.concentration1, self.concentration0, validate_args=False)


def _as_vector(x: ArrayLike, dtype: Any) -> Any:
    """A parameter whose last axis is that of the event: a number becomes a vector of one element."""
    x = as_float(x)
    if np.shape(x):
        return x
    known = as_operand(x)
    return np.full((1,), known, dtype) if is_number(known) else known.reshape((1,))
