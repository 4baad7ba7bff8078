"""Laws of matrices: normal matrices, and covariance matrices with their factors."""

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
    cholesky,
    diagonal,
    difference,
    exactly_one_matrix,
    half_log_det,
    inverse_from_tril,
    lgamma_sum,
    log_diagonal,
    lower_with,
    matrix_times_vectors,
    over_rows,
    prepend_ones,
    self_outer,
    transpose,
)
from ppl.distributions.distribution.base import Distribution
from ppl.distributions.distribution.transformed import TransformedDistribution
from ppl.distributions.transforms import CholeskyTransform
from ppl.distributions.util import (
    as_operand,
    cholesky_of_inverse,
    promote_shapes,
    solve_rows,
    solve_vectors,
    square_dim,
    validate_sample,
)

__all__ = ["InverseWishart", "InverseWishartCholesky", "MatrixNormal", "Wishart", "WishartCholesky"]


class MatrixNormal(Distribution):
    r"""Normal matrices `X = loc + A Z B'` with independent standard normal entries of `Z`.

    `log p(X) = -1/2 |A^-1 (X - loc) B'^-1|^2 - p log det A - n log det B - n p/2 log 2 pi`: rows covary as `A A'`, columns as
    `B B'`.

    Args:
        loc: mean, shape `(..., n, p)`.
        scale_tril_row: `A`, lower triangular with positive diagonal, shape `(..., n, n)`.
        scale_tril_column: `B`, likewise, shape `(..., p, p)`.
        validate_args: whether to check the parameters now and values in `log_prob`.

    Raises:
        ValueError: a `loc` of fewer than two dimensions, factors that are not square or do not fit `loc`.

    Example:
        >>> import jax.numpy as jnp
        >>> MatrixNormal(jnp.zeros((3, 2)), jnp.eye(3), jnp.eye(2)).event_shape
        (3, 2)
    """

    arg_constraints = {
        "loc": constraints.real_matrix,
        "scale_tril_row": constraints.lower_cholesky,
        "scale_tril_column": constraints.lower_cholesky,
    }
    support = constraints.real_matrix
    reparametrized_params = ["loc", "scale_tril_row", "scale_tril_column"]

    def __init__(
        self, loc: ArrayLike, scale_tril_row: ArrayLike, scale_tril_column: ArrayLike, *, validate_args: bool | None = None
    ) -> None:
        owner = "MatrixNormal"
        self.loc, self.scale_tril_row, self.scale_tril_column = as_float(loc), as_float(scale_tril_row), as_float(scale_tril_column)
        n = square_dim(owner, "scale_tril_row", np.shape(self.scale_tril_row))
        p = square_dim(owner, "scale_tril_column", np.shape(self.scale_tril_column))
        if np.shape(self.loc)[-2:] != (n, p):
            raise ValueError(f"{owner}: loc of shape {np.shape(self.loc)} must end in ({n}, {p}), the sizes of the two factors")
        batch_shape = np.broadcast_shapes(*(np.shape(x)[:-2] for x in (self.loc, self.scale_tril_row, self.scale_tril_column)))
        super().__init__(batch_shape, (n, p), validate_args=validate_args)

    def sample(self, key: Key, sample_shape: Shape = ()) -> Array:
        """Matrices of shape `sample_shape + batch_shape + (n, p)`."""
        z = random.normal(key, self.shape(sample_shape), dtype=self._dtype)
        scaled = matrix_times_vectors(over_rows(self.scale_tril_column), z)
        scaled = transpose(matrix_times_vectors(over_rows(self.scale_tril_row), transpose(scaled)))
        return add(self.loc, scaled)

    @validate_sample
    def log_prob(self, value: ArrayLike) -> Array:
        """Log density of matrices `(..., n, p)`."""
        n, p = self.event_shape
        whitened = solve_vectors(over_rows(self.scale_tril_column), difference(value, self.loc))
        whitened = solve_vectors(over_rows(self.scale_tril_row), transpose(whitened))
        log_det = add(p * half_log_det(self.scale_tril_row), n * half_log_det(self.scale_tril_column))
        return add(-0.5 * lax.square(whitened).sum((-2, -1)), -(log_det + 0.5 * n * p * math.log(2 * math.pi)))

    def entropy(self) -> Array:
        """`p log det A + n log det B + n p/2 log(2 pi e)`."""
        n, p = self.event_shape
        log_det = add(p * half_log_det(self.scale_tril_row), n * half_log_det(self.scale_tril_column))
        return jnp.broadcast_to(log_det + 0.5 * n * p * (1 + math.log(2 * math.pi)), self.batch_shape)

    @property
    def mean(self) -> Array:
        """`loc`."""
        return jnp.broadcast_to(self.loc, self.shape())

    @property
    def variance(self) -> Array:
        """`(A A')_ii (B B')_jj`."""
        rows = jnp.square(self.scale_tril_row).sum(-1)[..., :, None]
        columns = jnp.square(self.scale_tril_column).sum(-1)[..., None, :]
        rows, columns = promote_shapes(rows, columns)
        return jnp.broadcast_to(rows * columns, self.shape())


class _ScaleOfMatrices(Distribution):
    """What the Wishart laws share: a concentration above `d - 1` and one of scale matrix, its inverse, and its factor."""

    arg_constraints = {
        "concentration": constraints.dependent(is_discrete=False, event_dim=0),
        "scale_matrix": constraints.positive_definite,
        "rate_matrix": constraints.positive_definite,
        "scale_tril": constraints.lower_cholesky,
    }
    reparametrized_params = ["scale_matrix", "rate_matrix", "scale_tril"]

    def _set_parameters(self, concentration: ArrayLike, **matrices: ArrayLike | None) -> tuple[Shape, Shape]:
        """Keep the parameters and return batch shape and event shape.

        Raises:
            ValueError: not exactly one matrix, or one that is not square.
        """
        owner = type(self).__name__
        name, matrix = exactly_one_matrix(owner, **matrices)
        d = square_dim(owner, name, np.shape(matrix))
        self.concentration = as_float(concentration)
        setattr(self, name, matrix)
        return np.broadcast_shapes(np.shape(self.concentration), np.shape(matrix)[:-2]), (d, d)

    def validate_args(self, strict: bool = True) -> None:
        """Check the concrete parameters, the concentration against the dimension too."""
        super().validate_args(strict)
        known, d = as_operand(self.concentration), self.event_shape[-1]
        if isinstance(known, (int, float, np.ndarray)) and not np.all(known > d - 1):
            raise ValueError(
                f"{type(self).__name__} distribution got invalid concentration parameter.\n"
                f"found {known}, expected degrees of freedom above d - 1 = {d - 1} for matrices of dimension d = {d}"
            )

    @alternative
    def scale_tril(self) -> Array:
        """Lower Cholesky factor of the scale matrix, `(..., d, d)`."""
        if "rate_matrix" in self.__dict__:
            return cholesky_of_inverse(self.rate_matrix)
        return cholesky(self.scale_matrix)

    @alternative
    def scale_matrix(self) -> Array:
        """The scale matrix, `(..., d, d)`."""
        return self_outer(self.scale_tril)

    @alternative
    def rate_matrix(self) -> Array:
        """Inverse of the scale matrix, `(..., d, d)`."""
        return inverse_from_tril(self.scale_tril)

    def _log_constant(self) -> Array:
        """`log 2^(nu d/2) Gamma_d(nu/2)`, what both laws are divided by."""
        nu, d = as_operand(self.concentration), self.event_shape[-1]
        return lgamma_sum(0.5 * nu, -0.5 * np.arange(d)) + 0.25 * d * (d - 1) * math.log(math.pi) + 0.5 * d * math.log(2) * nu

    def _entropy(self, excess: int) -> Array:
        """`(d+1) log det C + log Gamma_d(nu/2) - (nu + excess)/2 digamma_d(nu/2) + nu d/2`, with `C` the factor of the scale."""
        nu, d = jnp.asarray(self.concentration), self.event_shape[-1]
        gamma_part = self._log_constant() - 0.5 * d * math.log(2) * nu
        digammas = lax.digamma(0.5 * self._degrees(-np.arange(d))).sum(-1)
        of_nu = gamma_part - 0.5 * (nu + excess) * digammas + 0.5 * nu * d
        return jnp.broadcast_to(add((d + 1) * half_log_det(self.scale_tril), of_nu), self.batch_shape)

    def _degrees(self, offsets: np.ndarray) -> Array:
        """`nu + offsets`, shape `(..., d)`."""
        return add(jnp.asarray(self.concentration, self._dtype)[..., None], offsets.astype(self._dtype))

    def _bartlett(self, key: Key, sample_shape: Shape, degrees: np.ndarray) -> Array:
        """Lower triangular matrices: normals below the diagonal, roots of chi-squared variables of `nu - degrees[i]` on it."""
        k_normal, k_chi2 = random.split(key)
        shape = self.shape(sample_shape)
        z = random.normal(k_normal, shape, dtype=self._dtype)
        half_df = 0.5 * prepend_ones(self._degrees(-degrees), z.ndim - 1)
        return lower_with(z, jnp.sqrt(2 * random.gamma(k_chi2, half_df, shape=shape[:-1], dtype=z.dtype)))


class WishartCholesky(_ScaleOfMatrices):
    r"""The law of the Cholesky factor `L` of a Wishart matrix `W = L L'`.

    `log p(L) = sum_i (nu - 1 - i) log L_ii - 1/2 |C^-1 L|^2 - nu log det C - log(2^(nu d/2) Gamma_d(nu/2)) + d log 2`
    with rows counted from 0, `V = C C'` the scale matrix, with respect to the entries of the lower triangle.

    Args:
        concentration: `nu > d - 1`, degrees of freedom, shape `(...)`.
        scale_matrix: `V`, shape `(..., d, d)`; `E W = nu V`.
        rate_matrix: `V^-1`, shape `(..., d, d)`.
        scale_tril: `C`, shape `(..., d, d)`.
        validate_args: whether to check the parameters now and values in `log_prob`.

    Exactly one of the three matrices is given; all are attributes.

    Raises:
        ValueError: none or several matrices, one that is not square, a concentration that is too small.

    Example:
        >>> import jax.numpy as jnp
        >>> WishartCholesky(4.0, scale_matrix=jnp.eye(2)).event_shape
        (2, 2)

    Reference: Bartlett's decomposition (Anderson 2003, An Introduction to Multivariate Statistical Analysis, section 7.2).
    """

    support = constraints.lower_cholesky

    def __init__(
        self,
        concentration: ArrayLike,
        scale_matrix: ArrayLike | None = None,
        rate_matrix: ArrayLike | None = None,
        scale_tril: ArrayLike | None = None,
        *,
        validate_args: bool | None = None,
    ) -> None:
        shapes = self._set_parameters(concentration, scale_matrix=scale_matrix, rate_matrix=rate_matrix, scale_tril=scale_tril)
        super().__init__(*shapes, validate_args=validate_args)

    def sample(self, key: Key, sample_shape: Shape = ()) -> Array:
        """`C A` with Bartlett's `A`, shape `sample_shape + batch_shape + (d, d)`."""
        a = self._bartlett(key, sample_shape, np.arange(self.event_shape[-1]))
        return jnp.matmul(jnp.asarray(self.scale_tril), a)

    @validate_sample
    def log_prob(self, value: ArrayLike) -> Array:
        """Log density of factors `(..., d, d)`."""
        value = jnp.asarray(value)
        d = value.shape[-1]
        columns = transpose(value)
        if "rate_matrix" in self.__dict__:
            factor = cholesky(self.rate_matrix)
            whitened = matrix_times_vectors(over_rows(transpose(factor)), columns)
            log_det = -half_log_det(factor)
        else:
            factor = self.scale_tril
            whitened = solve_vectors(over_rows(factor), columns)
            log_det = half_log_det(factor)
        nu, log_det = promote_shapes(self.concentration, log_det)
        constant = add(nu * log_det, self._log_constant()) - d * math.log(2)
        return add(_powers_of_diagonal(value, nu, -1), add(-0.5 * lax.square(whitened).sum((-2, -1)), -constant))

    @property
    def mean(self) -> Array:
        """`C diag(E chi(nu - i))`."""
        chi, _ = self._chi_moments()
        tril, chi = promote_shapes(self.scale_tril, chi[..., None, :])
        return jnp.broadcast_to(tril * chi, self.shape())

    @property
    def variance(self) -> Array:
        """`sum_k C_ik^2 Var A_kj`, where `Var A_kj` is 1 below the diagonal and that of `chi(nu - j)` on it."""
        _, variance = self._chi_moments()
        of_a = lower_with(jnp.ones_like(variance), variance)
        return jnp.broadcast_to(jnp.matmul(jnp.square(self.scale_tril), of_a), self.shape())

    def _chi_moments(self) -> tuple[Array, Array]:
        """Mean and variance of `chi(nu - i)`, each of shape `(..., d)`."""
        df = self._degrees(-np.arange(self.event_shape[-1]))
        mean = math.sqrt(2) * jnp.exp(lax.lgamma(0.5 * (df + 1)) - lax.lgamma(0.5 * df))
        return mean, df - mean**2


class Wishart(_ScaleOfMatrices, TransformedDistribution):
    r"""The law of `W = sum of nu outer products of N(0, V) vectors`, for any real `nu > d - 1`.

    `log p(W) = (nu - d - 1)/2 log det W - 1/2 tr(V^-1 W) - nu/2 log det V - log(2^(nu d/2) Gamma_d(nu/2))`.

    Args:
        concentration: `nu > d - 1`, degrees of freedom, shape `(...)`.
        scale_matrix: `V`, shape `(..., d, d)`.
        rate_matrix: `V^-1`, shape `(..., d, d)`.
        scale_tril: lower Cholesky factor of `V`, shape `(..., d, d)`.
        validate_args: whether to check the parameters now and values in `log_prob`.

    Exactly one of the three matrices is given; all are attributes.

    Raises:
        ValueError: none or several matrices, one that is not square, a concentration that is too small.

    Example:
        >>> import jax.numpy as jnp
        >>> d = Wishart(4.0, scale_matrix=jnp.eye(2))
        >>> [[float(m) for m in row] for row in d.mean]
        [[4.0, 0.0], [0.0, 4.0]]
    """

    support = constraints.positive_definite

    def __init__(
        self,
        concentration: ArrayLike,
        scale_matrix: ArrayLike | None = None,
        rate_matrix: ArrayLike | None = None,
        scale_tril: ArrayLike | None = None,
        *,
        validate_args: bool | None = None,
    ) -> None:
        self._set_parameters(concentration, scale_matrix=scale_matrix, rate_matrix=rate_matrix, scale_tril=scale_tril)
        base = WishartCholesky(concentration, scale_matrix, rate_matrix, scale_tril, validate_args=False)
        TransformedDistribution.__init__(self, base, CholeskyTransform().inv, validate_args=validate_args)

    @property
    def mean(self) -> Array:
        """`nu V`."""
        nu, scale = promote_shapes(jnp.asarray(self.concentration)[..., None, None], self.scale_matrix)
        return jnp.broadcast_to(nu * scale, self.shape())

    @property
    def variance(self) -> Array:
        """`nu (V_ij^2 + V_ii V_jj)`."""
        nu, scale = promote_shapes(jnp.asarray(self.concentration)[..., None, None], self.scale_matrix)
        diag = diagonal(scale)
        return jnp.broadcast_to(nu * (scale**2 + diag[..., :, None] * diag[..., None, :]), self.shape())

    def entropy(self) -> Array:
        """`(d+1) log det C + d (d+1)/2 log 2 + log Gamma_d(nu/2) - (nu-d-1)/2 digamma_d(nu/2) + nu d/2`."""
        d = self.event_shape[-1]
        return self._entropy(-(d + 1)) + 0.5 * d * (d + 1) * math.log(2)


class InverseWishartCholesky(_ScaleOfMatrices):
    r"""The law of the Cholesky factor `L` of an inverse Wishart matrix `X = L L'`.

    `log p(L) = -sum_i (nu + 1 + i) log L_ii - 1/2 |L^-1 C|^2 + nu log det C - log(2^(nu d/2) Gamma_d(nu/2)) + d log 2`
    with rows counted from 0, `S = C C'` the scale matrix, with respect to the entries of the lower triangle.

    Args:
        concentration: `nu > d - 1`, degrees of freedom, shape `(...)`.
        scale_matrix: `S`, shape `(..., d, d)`; `X^-1` is Wishart with scale `S^-1`.
        rate_matrix: `S^-1`, shape `(..., d, d)`.
        scale_tril: `C`, shape `(..., d, d)`.
        validate_args: whether to check the parameters now and values in `log_prob`.

    Exactly one of the three matrices is given; all are attributes.

    Raises:
        ValueError: none or several matrices, one that is not square, a concentration that is too small.

    Example:
        >>> import jax.numpy as jnp
        >>> InverseWishartCholesky(4.0, scale_matrix=jnp.eye(2)).event_shape
        (2, 2)
    """

    support = constraints.lower_cholesky

    def __init__(
        self,
        concentration: ArrayLike,
        scale_matrix: ArrayLike | None = None,
        rate_matrix: ArrayLike | None = None,
        scale_tril: ArrayLike | None = None,
        *,
        validate_args: bool | None = None,
    ) -> None:
        shapes = self._set_parameters(concentration, scale_matrix=scale_matrix, rate_matrix=rate_matrix, scale_tril=scale_tril)
        super().__init__(*shapes, validate_args=validate_args)

    def sample(self, key: Key, sample_shape: Shape = ()) -> Array:
        """`C G^-1` with `G` lower triangular and `G' G` Wishart, shape `sample_shape + batch_shape + (d, d)`."""
        g = self._bartlett(key, sample_shape, np.arange(self.event_shape[-1])[::-1])
        factor = jnp.broadcast_to(jnp.asarray(self.scale_tril, g.dtype), g.shape)
        return solve_rows(g, factor, transposed=True)

    @validate_sample
    def log_prob(self, value: ArrayLike) -> Array:
        """Log density of factors `(..., d, d)`."""
        value = jnp.asarray(value)
        factor = self.scale_tril
        d = value.shape[-1]
        shape = np.broadcast_shapes(value.shape, np.shape(factor))
        tril, right = jnp.broadcast_to(value, shape), jnp.broadcast_to(jnp.asarray(factor, value.dtype), shape)
        whitened = solve_rows(tril, transpose(right))
        nu, log_det = promote_shapes(self.concentration, half_log_det(factor))
        constant = add(nu * log_det, -self._log_constant()) + d * math.log(2)
        return add(_powers_of_diagonal(value, -nu, -1), add(-0.5 * lax.square(whitened).sum((-2, -1)), constant))

    @property
    def mean(self) -> Array:
        """`C diag(E 1/chi(k_i))` with `k_i = nu - d + 1 + i`; nan where `k_0 <= 1`."""
        inverse_chi, _ = self._inverse_chi_moments()
        tril, inverse_chi = promote_shapes(self.scale_tril, inverse_chi[..., None, :])
        return jnp.broadcast_to(tril * inverse_chi, self.shape())

    @property
    def variance(self) -> Array:
        """`sum_k C_ik^2 Var M_kj` with `M = G^-1`, nan where `k_0 <= 2`; below the diagonal `Var M_kj = 1/((k_j - 2)(k_j - 1))`.

        There `E M_kj = 0` by symmetry, and `E M_kj^2` follows from `G_kk M_kj = -sum_{j<=l<k} G_kl M_lj` row by row.
        """
        mean, second = self._inverse_chi_moments()
        df = self._degrees(np.arange(1 - self.event_shape[-1], 1))
        of_m = lower_with(second / (df - 1), second - mean**2)
        return jnp.broadcast_to(jnp.matmul(jnp.square(self.scale_tril), of_m), self.shape())

    def _inverse_chi_moments(self) -> tuple[Array, Array]:
        """`E 1/chi(k_i)` and `E 1/chi^2(k_i)`, each of shape `(..., d)`, nan where they do not exist."""
        df = self._degrees(np.arange(1 - self.event_shape[-1], 1))
        first = jnp.where(
            df > 1, jnp.exp(lax.lgamma(0.5 * jnp.maximum(df - 1, 1e-3)) - lax.lgamma(0.5 * df)) / math.sqrt(2), jnp.nan
        )
        return first, jnp.where(df > 2, 1.0 / (df - 2), jnp.nan)


class InverseWishart(_ScaleOfMatrices, TransformedDistribution):
    r"""The law of the inverse of a Wishart matrix.

    `log p(X) = nu/2 log det S - log(2^(nu d/2) Gamma_d(nu/2)) - (nu + d + 1)/2 log det X - 1/2 tr(S X^-1)`.

    Args:
        concentration: `nu > d - 1`, degrees of freedom, shape `(...)`.
        scale_matrix: `S`, shape `(..., d, d)`; `X^-1` is Wishart with scale `S^-1`.
        rate_matrix: `S^-1`, shape `(..., d, d)`.
        scale_tril: lower Cholesky factor of `S`, shape `(..., d, d)`.
        validate_args: whether to check the parameters now and values in `log_prob`.

    Exactly one of the three matrices is given; all are attributes.

    Raises:
        ValueError: none or several matrices, one that is not square, a concentration that is too small.

    Example:
        >>> import jax.numpy as jnp
        >>> d = InverseWishart(5.0, scale_matrix=jnp.eye(2))
        >>> [[float(m) for m in row] for row in d.mean]
        [[0.5, 0.0], [0.0, 0.5]]
    """

    support = constraints.positive_definite

    def __init__(
        self,
        concentration: ArrayLike,
        scale_matrix: ArrayLike | None = None,
        rate_matrix: ArrayLike | None = None,
        scale_tril: ArrayLike | None = None,
        *,
        validate_args: bool | None = None,
    ) -> None:
        self._set_parameters(concentration, scale_matrix=scale_matrix, rate_matrix=rate_matrix, scale_tril=scale_tril)
        base = InverseWishartCholesky(concentration, scale_matrix, rate_matrix, scale_tril, validate_args=False)
        TransformedDistribution.__init__(self, base, CholeskyTransform().inv, validate_args=validate_args)

    @property
    def mean(self) -> Array:
        """`S / (nu - d - 1)` where `nu > d + 1`, else nan."""
        excess = jnp.asarray(self.concentration, self._dtype)[..., None, None] - (self.event_shape[-1] + 1)
        excess, scale = promote_shapes(excess, self.scale_matrix)
        defined = excess > 0
        return jnp.broadcast_to(jnp.where(defined, scale / jnp.where(defined, excess, 1.0), jnp.nan), self.shape())

    @property
    def variance(self) -> Array:
        """`((m + 2) S_ij^2 + m S_ii S_jj) / ((m + 1) m^2 (m - 2))` with `m = nu - d - 1`, where `m > 2`, else nan."""
        m = jnp.asarray(self.concentration, self._dtype)[..., None, None] - (self.event_shape[-1] + 1)
        m, scale = promote_shapes(m, self.scale_matrix)
        defined = m > 2
        m = jnp.where(defined, m, 3.0)
        diag = diagonal(scale)
        products = (m + 2) * scale**2 + m * diag[..., :, None] * diag[..., None, :]
        return jnp.broadcast_to(jnp.where(defined, products / ((m + 1) * m**2 * (m - 2)), jnp.nan), self.shape())

    def entropy(self) -> Array:
        """`(d+1) log det C - d (d+1)/2 log 2 + log Gamma_d(nu/2) - (nu+d+1)/2 digamma_d(nu/2) + nu d/2`."""
        d = self.event_shape[-1]
        return self._entropy(d + 1) - 0.5 * d * (d + 1) * math.log(2)


def _powers_of_diagonal(tril: Array, exponent: ArrayLike, step: int) -> Array:
    """`sum_i (exponent + step (i + 1)) log L_ii`."""
    logs = log_diagonal(tril)
    steps = prepend_ones(step * np.arange(1, logs.shape[-1] + 1, dtype=logs.dtype), logs.ndim)
    total, exponent = promote_shapes(logs.sum(-1), exponent)
    return add((logs * steps).sum(-1), total * exponent)
