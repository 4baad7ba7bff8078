"""Normal vectors and their heavy-tailed relative."""

import math

import jax.numpy as jnp
import numpy as np
from jax import lax

from ppl._typing import Array, ArrayLike, Key, Shape
from ppl.distributions import constraints, random
from ppl.distributions.continuous.triangular import (
    add,
    alternative,
    as_float,
    as_vector,
    cholesky,
    difference,
    exactly_one_matrix,
    half_log_det,
    inverse_from_tril,
    matrix_times_vectors,
    prepend_ones,
    self_outer,
    transpose,
)
from ppl.distributions.distribution.base import Distribution
from ppl.distributions.special.elementary import log, log1p
from ppl.distributions.special.gamma import stirling_remainder
from ppl.distributions.util import (
    add_diag,
    as_operand,
    cholesky_of_inverse,
    lazy_property,
    promote_shapes,
    solve_rows,
    solve_vectors,
    square_dim,
    validate_sample,
)

__all__ = ["CovarianceParameters", "LowRankMultivariateNormal", "MultivariateNormal", "MultivariateStudentT"]

_LOG_2PI = math.log(2 * math.pi)


class CovarianceParameters(Distribution):
    """What laws with a covariance matrix share: it, its inverse, or its factor is given, and all three are attributes."""

    @alternative
    def scale_tril(self) -> Array:
        """Lower Cholesky factor of the covariance matrix, `(..., d, d)`."""
        if "precision_matrix" in self.__dict__:
            return cholesky_of_inverse(jnp.asarray(self.precision_matrix))
        return cholesky(self.covariance_matrix)

    @alternative
    def covariance_matrix(self) -> Array:
        """Covariance matrix, `(..., d, d)`."""
        return self_outer(self.scale_tril)

    @alternative
    def precision_matrix(self) -> Array:
        """Inverse of the covariance matrix, `(..., d, d)`."""
        return inverse_from_tril(self.scale_tril)


class MultivariateNormal(CovarianceParameters):
    r"""The normal law on vectors,
    `log p(x) = -1/2 (x - loc)' S^-1 (x - loc) - 1/2 log det S - d/2 log 2 pi`.

    Args:
        loc: mean, shape `(..., d)`; a scalar stands for a constant vector.
        covariance_matrix: `S`, shape `(..., d, d)`.
        precision_matrix: `S^-1`, shape `(..., d, d)`.
        scale_tril: lower triangular `L` with positive diagonal and `S = L L'`, shape `(..., d, d)`.
        validate_args: whether to check the parameters now and values in `log_prob`.

    Exactly one of the three matrices is given; all three are attributes, the others computed when first asked for. A density needs
    one triangular solve with the factor, or one product with the factor of the precision; no matrix is inverted.

    Raises:
        ValueError: none or several matrices, one that is not square, a `loc` of another length.

    Example:
        >>> import jax.numpy as jnp
        >>> d = MultivariateNormal(jnp.zeros(2), covariance_matrix=jnp.array([[2.0, 0.5], [0.5, 1.0]]))
        >>> d.event_shape
        (2,)
        >>> round(float(d.log_prob(jnp.array([0.0, 1.0]))), 4)
        -2.6891
    """

    arg_constraints = {
        "loc": constraints.real_vector,
        "covariance_matrix": constraints.positive_definite,
        "precision_matrix": constraints.positive_definite,
        "scale_tril": constraints.lower_cholesky,
    }
    support = constraints.real_vector
    reparametrized_params = ["loc", "covariance_matrix", "precision_matrix", "scale_tril"]

    def __init__(
        self,
        loc: ArrayLike = 0.0,
        covariance_matrix: ArrayLike | None = None,
        precision_matrix: ArrayLike | None = None,
        scale_tril: ArrayLike | None = None,
        *,
        validate_args: bool | None = None,
    ) -> None:
        owner = "MultivariateNormal"
        name, matrix = exactly_one_matrix(
            owner, covariance_matrix=covariance_matrix, precision_matrix=precision_matrix, scale_tril=scale_tril
        )
        d = square_dim(owner, name, np.shape(matrix))
        self.loc = as_vector(owner, loc, d, matrix)
        setattr(self, name, matrix)
        batch_shape = np.broadcast_shapes(np.shape(self.loc)[:-1], np.shape(matrix)[:-2])
        super().__init__(batch_shape, (d,), validate_args=validate_args)

    def sample(self, key: Key, sample_shape: Shape = ()) -> Array:
        """`loc + L eps` with standard normal `eps`, or `loc + M'^-1 eps` for a precision `M M'`."""
        eps = random.normal(key, self.shape(sample_shape), dtype=self._dtype)
        if "precision_matrix" in self.__dict__:
            noise = solve_vectors(cholesky(self.precision_matrix), eps, transposed=True)
        else:
            noise = matrix_times_vectors(self.scale_tril, eps)
        return prepend_ones(self.loc, eps.ndim) + noise

    @validate_sample
    def log_prob(self, value: ArrayLike) -> Array:
        """Log density of vectors `(..., d)`."""
        diff = difference(value, self.loc)
        if "precision_matrix" in self.__dict__:
            factor = cholesky(self.precision_matrix)
            whitened = matrix_times_vectors(transpose(factor), diff)
            log_det = -half_log_det(factor)
        else:
            factor = self.scale_tril
            whitened = solve_vectors(factor, diff)
            log_det = half_log_det(factor)
        return add(-0.5 * lax.square(whitened).sum(-1), -(log_det + 0.5 * self.event_shape[0] * _LOG_2PI))

    @property
    def mean(self) -> Array:
        """`loc`."""
        return jnp.broadcast_to(self.loc, self.shape())

    @property
    def variance(self) -> Array:
        """Diagonal of the covariance matrix."""
        return jnp.broadcast_to(jnp.square(self.scale_tril).sum(-1), self.shape())

    def entropy(self) -> Array:
        """`1/2 log det(2 pi e S)`."""
        return jnp.broadcast_to(half_log_det(self.scale_tril) + 0.5 * self.event_shape[0] * (1 + _LOG_2PI), self.batch_shape)


class LowRankMultivariateNormal(Distribution):
    r"""The normal law with covariance `W W' + diag(D)`, `W` of few columns.

    Args:
        loc: mean, shape `(..., d)`.
        cov_factor: `W`, shape `(..., d, m)`; worth it for `m` well below `d`.
        cov_diag: `D`, positive, shape `(..., d)`.
        validate_args: whether to check the parameters now and values in `log_prob`.

    The density costs `O(d m^2)`, by the Woodbury identity and the determinant lemma:
    `S^-1 = D^-1 - D^-1 W K^-1 W' D^-1` and `det S = det K det D` with `K = I + W' D^-1 W`.

    Raises:
        ValueError: parameters of too few dimensions or of lengths that differ.

    Example:
        >>> import jax.numpy as jnp
        >>> d = LowRankMultivariateNormal(jnp.zeros(2), jnp.array([[1.0], [0.0]]), jnp.array([1.0, 1.0]))
        >>> [[float(c) for c in row] for row in d.covariance_matrix]
        [[2.0, 0.0], [0.0, 1.0]]
    """

    arg_constraints = {
        "loc": constraints.real_vector,
        "cov_factor": constraints.independent(constraints.real, 2),
        "cov_diag": constraints.independent(constraints.positive, 1),
    }
    support = constraints.real_vector
    reparametrized_params = ["loc", "cov_factor", "cov_diag"]

    def __init__(self, loc: ArrayLike, cov_factor: ArrayLike, cov_diag: ArrayLike, *, validate_args: bool | None = None) -> None:
        owner = "LowRankMultivariateNormal"
        self.loc, self.cov_factor, self.cov_diag = as_float(loc), as_float(cov_factor), as_float(cov_diag)
        for name, ndim in (("loc", 1), ("cov_factor", 2), ("cov_diag", 1)):
            shape = np.shape(getattr(self, name))
            if len(shape) < ndim:
                raise ValueError(f"{owner}: {name} must have at least {ndim} dimension(s), got shape {shape}")
        shape, d = np.shape(self.cov_factor), np.shape(self.cov_diag)[-1]
        if shape[-2] != d:
            raise ValueError(f"{owner}: cov_factor of shape {shape} must end in ({d}, m), since cov_diag has {d} entries")
        self.loc = as_vector(owner, self.loc, d, self.cov_diag)
        batch_shape = np.broadcast_shapes(np.shape(self.loc)[:-1], shape[:-2], np.shape(self.cov_diag)[:-1])
        super().__init__(batch_shape, (d,), validate_args=validate_args)

    @property
    def _weighted_factor(self) -> Array:
        """`W' D^-1`, shape `(..., m, d)`."""
        factor, cov_diag = promote_shapes(transpose(self.cov_factor), self.cov_diag[..., None, :])
        return factor / cov_diag

    def _capacitance(self, weighted_factor: Array) -> Array:
        """`I + W' D^-1 W`, shape `(..., m, m)`."""
        gram = jnp.matmul(weighted_factor, jnp.asarray(self.cov_factor), precision=lax.Precision.HIGHEST)
        return add_diag(gram, 1.0)

    @lazy_property
    def covariance_matrix(self) -> Array:
        """`W W' + diag(D)`, shape `(..., d, d)`."""
        return jnp.broadcast_to(add_diag(self_outer(self.cov_factor), self.cov_diag), self.shape() + self.event_shape)

    @lazy_property
    def precision_matrix(self) -> Array:
        """Inverse of the covariance matrix, shape `(..., d, d)`, from a factorisation of an `(m, m)` matrix."""
        weighted_factor = self._weighted_factor
        capacitance_tril = jnp.asarray(cholesky(self._capacitance(weighted_factor)))
        gram = self_outer(solve_rows(capacitance_tril, transpose(weighted_factor)))
        return jnp.broadcast_to(add_diag(-gram, 1.0 / self.cov_diag), self.shape() + self.event_shape)

    @lazy_property
    def scale_tril(self) -> Array:
        """Lower Cholesky factor of the covariance matrix, shape `(..., d, d)`."""
        return cholesky(self.covariance_matrix)

    @property
    def mean(self) -> Array:
        """`loc`."""
        return jnp.broadcast_to(self.loc, self.shape())

    @property
    def variance(self) -> Array:
        """Diagonal of the covariance matrix."""
        return jnp.broadcast_to(add(jnp.square(self.cov_factor).sum(-1), self.cov_diag), self.shape())

    def sample(self, key: Key, sample_shape: Shape = ()) -> Array:
        """`loc + W eps + sqrt(D) eta`, shape `sample_shape + batch_shape + (d,)`."""
        k_factor, k_diag = random.split(key)
        shape = self.shape(sample_shape)
        eps = random.normal(k_factor, shape[:-1] + np.shape(self.cov_factor)[-1:], dtype=self._dtype)
        eta = random.normal(k_diag, shape, dtype=self._dtype)
        diag = prepend_ones(jnp.sqrt(self.cov_diag), eta.ndim)
        return prepend_ones(self.loc, eta.ndim) + matrix_times_vectors(self.cov_factor, eps) + diag * eta

    @validate_sample
    def log_prob(self, value: ArrayLike) -> Array:
        """Log density of vectors `(..., d)`."""
        diff = difference(value, self.loc)
        weighted_factor = self._weighted_factor
        capacitance_tril = cholesky(self._capacitance(weighted_factor))
        inner = solve_vectors(capacitance_tril, matrix_times_vectors(weighted_factor, diff))
        diff, cov_diag = promote_shapes(diff, self.cov_diag)
        squared = add((lax.square(diff) / cov_diag).sum(-1), -lax.square(inner).sum(-1))
        log_det = add(half_log_det(capacitance_tril), 0.5 * log(as_operand(self.cov_diag)).sum(-1))
        return add(-0.5 * squared, -(log_det + 0.5 * self.event_shape[0] * _LOG_2PI))

    def entropy(self) -> Array:
        """`1/2 log det(2 pi e S)`."""
        capacitance_tril = cholesky(self._capacitance(self._weighted_factor))
        log_det = add(half_log_det(capacitance_tril), 0.5 * log(as_operand(self.cov_diag)).sum(-1))
        return jnp.broadcast_to(log_det + 0.5 * self.event_shape[0] * (1 + _LOG_2PI), self.batch_shape)


class MultivariateStudentT(Distribution):
    r"""Student's t on vectors: `loc + L z sqrt(df / u)` with `z ~ N(0, I)`, `u ~ chi-squared(df)`.

    `log p(x) = lgamma((df + d)/2) - lgamma(df/2) - d/2 log(df pi) - log det L - (df + d)/2 log(1 + |L^-1 (x - loc)|^2 / df)`.

    Args:
        df: degrees of freedom, positive, shape `(...)`.
        loc: location, shape `(..., d)`; a scalar stands for a constant vector.
        scale_tril: lower triangular `L` with positive diagonal, shape `(..., d, d)`; required.
        validate_args: whether to check the parameters now and values in `log_prob`.

    `covariance_matrix` is `L L'` and `precision_matrix` its inverse, the matrices of the scale; the covariance of a draw is
    `df / (df - 2)` times the former, and `variance` its diagonal.

    Raises:
        ValueError: `scale_tril` missing or not square, a `loc` of another length.

    Example:
        >>> import jax.numpy as jnp
        >>> d = MultivariateStudentT(4.0, jnp.zeros(2), jnp.eye(2))
        >>> [float(v) for v in d.variance]
        [2.0, 2.0]
    """

    arg_constraints = {"df": constraints.positive, "loc": constraints.real_vector, "scale_tril": constraints.lower_cholesky}
    support = constraints.real_vector
    reparametrized_params = ["df", "loc", "scale_tril"]

    def __init__(
        self, df: ArrayLike, loc: ArrayLike = 0.0, scale_tril: ArrayLike | None = None, *, validate_args: bool | None = None
    ) -> None:
        if scale_tril is None:
            raise ValueError(
                "MultivariateStudentT: scale_tril must be given, got None; pass the lower Cholesky factor of the scale"
            )
        scale_tril = as_float(scale_tril)
        d = square_dim("MultivariateStudentT", "scale_tril", np.shape(scale_tril))
        self.df = as_float(df)
        self.loc = as_vector("MultivariateStudentT", loc, d, scale_tril)
        self.scale_tril = scale_tril
        batch_shape = np.broadcast_shapes(np.shape(self.df), np.shape(self.loc)[:-1], np.shape(scale_tril)[:-2])
        super().__init__(batch_shape, (d,), validate_args=validate_args)

    @lazy_property
    def covariance_matrix(self) -> Array:
        """`L L'`, shape `(..., d, d)`: the covariance of a draw but for the factor `df / (df - 2)`."""
        return self_outer(self.scale_tril)

    @lazy_property
    def precision_matrix(self) -> Array:
        """`(L L')^-1`, shape `(..., d, d)`."""
        return inverse_from_tril(self.scale_tril)

    def sample(self, key: Key, sample_shape: Shape = ()) -> Array:
        """`loc + L z sqrt(df / u)`, shape `sample_shape + batch_shape + (d,)`."""
        k_normal, k_chi2 = random.split(key)
        z = random.normal(k_normal, self.shape(sample_shape), dtype=self._dtype)
        half_df = prepend_ones(0.5 * self.df, z.ndim - 1)
        half_u = random.gamma(k_chi2, jnp.broadcast_to(half_df, z.shape[:-1]), dtype=self._dtype)
        stretch = jnp.sqrt(half_df / half_u)
        return prepend_ones(self.loc, z.ndim) + matrix_times_vectors(self.scale_tril, z * stretch[..., None])

    @validate_sample
    def log_prob(self, value: ArrayLike) -> Array:
        """Log density of vectors `(..., d)`."""
        d = self.event_shape[0]
        squared = lax.square(solve_vectors(self.scale_tril, difference(value, self.loc))).sum(-1)
        ndim = max(squared.ndim, np.ndim(self.df))
        df = prepend_ones(as_operand(self.df), ndim)
        half_df, h = 0.5 * df, 0.5 * d
        # log Gamma(half_df + h) - log Gamma(half_df) - h log(pi df), without the difference of large terms
        remainders = stirling_remainder(half_df + h) - stirling_remainder(half_df)
        constant = (half_df + h - 0.5) * log1p(h / half_df) - h * (1 + _LOG_2PI) + remainders
        kernel = constant - (half_df + h) * jnp.log1p(prepend_ones(squared, ndim) / df)
        return add(kernel, -half_log_det(self.scale_tril))

    def entropy(self) -> Array:
        """`log det L + d/2 log(df pi) + lgamma(df/2) - lgamma(a) + a (digamma(a) - digamma(df/2))`, `a = (df + d)/2`."""
        d = self.event_shape[0]
        df = jnp.asarray(self.df, self._dtype)
        a, half = 0.5 * (df + d), 0.5 * df
        spread = a * (lax.digamma(a) - lax.digamma(half))
        of_df = 0.5 * d * jnp.log(df * math.pi) + lax.lgamma(half) - lax.lgamma(a) + spread
        return jnp.broadcast_to(add(half_log_det(self.scale_tril), of_df), self.batch_shape)

    @property
    def mean(self) -> Array:
        """`loc` where `df > 1`, else nan."""
        defined = jnp.broadcast_to(jnp.asarray(self.df)[..., None] > 1, self.shape())
        return jnp.where(defined, jnp.broadcast_to(self.loc, self.shape()), jnp.nan)

    @property
    def variance(self) -> Array:
        """`df / (df - 2) diag(L L')` where `df > 2`, infinite for `1 < df <= 2`, else nan."""
        df = jnp.broadcast_to(jnp.asarray(self.df)[..., None], self.shape())
        rows = jnp.broadcast_to(jnp.square(self.scale_tril).sum(-1), self.shape())
        finite = df > 2
        factor = jnp.where(finite, df / jnp.where(finite, df - 2, 1.0), jnp.where(df > 1, jnp.inf, jnp.nan))
        return factor * rows
