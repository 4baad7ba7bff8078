"""Vectors with a constraint: the simplex, vectors that sum to zero, fields on a graph and on a circle."""

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from ppl._typing import Array, ArrayLike, Key, Shape
from ppl.distributions import constraints, random
from ppl.distributions.continuous.real import Normal
from ppl.distributions.continuous.triangular import (
    add,
    alternative,
    as_float,
    as_vector,
    as_vectors,
    cholesky,
    diagonal,
    difference,
    exactly_one_matrix,
    half_log_det,
    inverse_from_tril,
    matrix_times_vectors,
    prepend_ones,
)
from ppl.distributions.distribution.base import Distribution
from ppl.distributions.distribution.transformed import TransformedDistribution
from ppl.distributions.distribution.validation import check_parameter
from ppl.distributions.special.elementary import lgamma, log
from ppl.distributions.transforms import (
    AffineTransform,
    PackRealFastFourierCoefficientsTransform,
    RealFastFourierTransform,
    ZeroSumTransform,
)
from ppl.distributions.util import (
    as_operand,
    lazy_property,
    promote_shapes,
    solve_vectors,
    square_dim,
    sum_rightmost,
    validate_sample,
)

__all__ = ["CAR", "CirculantNormal", "Dirichlet", "ZeroSumNormal"]

_LOG_2PI = math.log(2 * math.pi)


class Dirichlet(Distribution):
    r"""The Dirichlet law on the simplex,
    `log p(x) = sum_i (a_i - 1) log x_i + lgamma(sum_i a_i) - sum_i lgamma(a_i)`.

    Args:
        concentration: `a`, positive, shape `(..., k)`.
        validate_args: whether to check the parameters now and values in `log_prob`.

    Draws are gamma variables, normalised in logs. No component is ever exactly zero: with tiny concentrations the small ones are
    the smallest normal number of the dtype, so that the map back to unconstrained space stays finite.

    Raises:
        ValueError: a scalar concentration.

    Example:
        >>> import jax.numpy as jnp
        >>> d = Dirichlet(jnp.array([1.0, 2.0, 1.0]))
        >>> [float(m) for m in d.mean]
        [0.25, 0.5, 0.25]
    """

    arg_constraints = {"concentration": constraints.independent(constraints.positive, 1)}
    support = constraints.simplex
    reparametrized_params = ["concentration"]

    def __init__(self, concentration: ArrayLike, *, validate_args: bool | None = None) -> None:
        self.concentration = as_vectors("Dirichlet", "concentration", concentration, "category")
        shape = np.shape(self.concentration)
        super().__init__(shape[:-1], shape[-1:], validate_args=validate_args)

    def sample(self, key: Key, sample_shape: Shape = ()) -> Array:
        """Draws of shape `sample_shape + batch_shape + (k,)`."""
        shape = self.shape(sample_shape)
        log_gamma = random.loggamma(key, prepend_ones(self.concentration, len(shape)), shape=shape, dtype=self._dtype)
        weights = jnp.exp(log_gamma - lax.stop_gradient(log_gamma.max(-1, keepdims=True)))
        return jnp.maximum(weights / weights.sum(-1, keepdims=True), jnp.finfo(weights.dtype).tiny)

    @validate_sample
    def log_prob(self, value: ArrayLike) -> Array:
        """Log density of points of the simplex `(..., k)`, with respect to Lebesgue measure on `k - 1` coordinates."""
        a, x = promote_shapes(as_operand(self.concentration), as_float(value))
        return _folded_log_density(a, x) if isinstance(a, np.ndarray) else _log_density(a, x)

    @property
    def mean(self) -> Array:
        """`a / A` with `A = sum_i a_i`."""
        a = jnp.asarray(self.concentration)
        return a / a.sum(-1, keepdims=True)

    @property
    def variance(self) -> Array:
        """`a_i (A - a_i) / (A^2 (A + 1))`."""
        a = jnp.asarray(self.concentration)
        total = a.sum(-1, keepdims=True)
        return a * (total - a) / (total**2 * (total + 1))

    def entropy(self) -> Array:
        """`log B(a) + (A - k) digamma(A) - sum_i (a_i - 1) digamma(a_i)`."""
        a = jnp.asarray(self.concentration)
        total = a.sum(-1)
        return (total - a.shape[-1]) * lax.digamma(total) - ((a - 1) * lax.digamma(a)).sum(-1) - _log_normalizer(a)


def _log_normalizer(a: Any) -> Any:
    return lgamma(a.sum(-1)) - lgamma(a).sum(-1)


def _folded_log_density(a: Any, x: Array) -> Array:
    """The log density of a Dirichlet law. What depends on concentrations in NumPy alone is computed now."""
    uniform = a == 1
    if not (isinstance(uniform, np.ndarray) and not uniform.any()):
        x = jnp.where((x == 0) & uniform, 1.0, x)
    return add(((a - 1) * lax.log(x)).sum(-1), _log_normalizer(a))


_log_density = jax.jit(_folded_log_density)


class ZeroSumNormal(TransformedDistribution):
    r"""Normal arrays that sum to zero along each of their event axes.

    With `n_1, ..., n_r` the sizes of the axes and `m = prod_i (n_i - 1)` the dimension of that space,
    `log p(x) = -|x|^2 / (2 scale^2) - m log(scale) - m/2 log 2 pi`, with respect to the volume of that space: the image of `m`
    independent normals under an isometry (`ZeroSumTransform`). One axis: variances
    `scale^2 (n - 1)/n`, covariances `-scale^2/n`.

    Args:
        scale: positive, shape `(...)`.
        event_shape: sizes of the axes that sum to zero, a static tuple of integers from 2 up.
        validate_args: whether to check the parameters now and values in `log_prob`.

    Raises:
        ValueError: an empty event shape, or a size below 2.

    Example:
        >>> d = ZeroSumNormal(2.0, event_shape=(4,))
        >>> [float(v) for v in d.variance]
        [3.0, 3.0, 3.0, 3.0]
    """

    arg_constraints = {"scale": constraints.positive}
    reparametrized_params = ["scale"]

    def __init__(self, scale: ArrayLike, event_shape: Shape, *, validate_args: bool | None = None) -> None:
        event_shape = tuple(event_shape)
        if not event_shape or min(event_shape) < 2:
            raise ValueError(f"ZeroSumNormal: event_shape must hold one or more sizes of at least 2, got {event_shape}")
        ndim = len(event_shape)
        self.scale = as_float(scale)
        free_shape = tuple(n - 1 for n in event_shape)
        batch_shape = np.shape(self.scale)
        base_scale = as_operand(self.scale).reshape(batch_shape + (1,) * ndim) if batch_shape else self.scale
        base = Normal(0.0, base_scale, validate_args=False).expand(batch_shape + free_shape).to_event(ndim)
        super().__init__(base, ZeroSumTransform(ndim), validate_args=validate_args)

    @constraints.dependent_property(is_discrete=False)
    def support(self) -> Any:
        """Arrays that sum to zero along each event axis."""
        return constraints.zero_sum(len(self.event_shape))

    @validate_sample
    def log_prob(self, value: ArrayLike, intermediates: Any = None) -> Array:
        """Log density of arrays `(..., n_1, ..., n_r)`; the isometry keeps the norm, so nothing is mapped back."""
        squared = sum_rightmost(lax.square(jnp.asarray(value)), self.event_dim)
        squared, scale = promote_shapes(squared, as_operand(self.scale))
        m = math.prod(n - 1 for n in self.event_shape)
        return -0.5 * squared / scale**2 - m * (log(scale) + 0.5 * _LOG_2PI)

    def entropy(self) -> Array:
        """`m (log scale + 1/2 log(2 pi e))` with `m = prod_i (n_i - 1)`, with respect to the volume of the plane."""
        m = math.prod(n - 1 for n in self.event_shape)
        return jnp.broadcast_to(m * (log(as_operand(self.scale)) + 0.5 * (1 + _LOG_2PI)), self.batch_shape)

    @property
    def mean(self) -> Array:
        """Zero."""
        return jnp.zeros(self.shape(), self._dtype)

    @property
    def variance(self) -> Array:
        """`scale^2 prod_i (1 - 1/n_i)`."""
        shrink = math.prod(1 - 1 / n for n in self.event_shape)
        scale = jnp.reshape(self.scale, self.batch_shape + (1,) * self.event_dim)
        return jnp.broadcast_to(shrink * scale**2, self.shape())


class CAR(Distribution):
    r"""A conditional autoregression on the `n` vertices of a graph: normal with precision `tau (D - rho W)`.

    `W` is the adjacency matrix and `D` the diagonal matrix of its row sums. Given the others, a vertex is normal around
    `loc_i + rho sum_j W_ij (x_j - loc_j) / D_i` with precision `tau D_i`. Log determinants come from the eigenvalues of
    `D^-1/2 W D^-1/2`, computed once, in NumPy, where the graph is known.

    Args:
        loc: mean, shape `(..., n)`; a scalar stands for a constant vector.
        correlation: `rho` in (-1, 1), shape `(...)`.
        conditional_precision: `tau`, positive, shape `(...)`.
        adj_matrix: `W`, symmetric, no row without an entry; shape `(..., n, n)`, or a SciPy sparse matrix.
        is_sparse: visit the edges only; then `adj_matrix` is a SciPy sparse matrix or a NumPy array of two dimensions.
        validate_args: whether to check the parameters now and values in `log_prob`.

    Raises:
        ValueError: a matrix that is not square, not symmetric, or has an isolated vertex; the wrong kind of matrix for `is_sparse`.
        TypeError: a matrix of complex numbers.

    Example:
        >>> import numpy as np
        >>> d = CAR(0.0, 0.5, 1.0, np.array([[0.0, 1.0], [1.0, 0.0]]))
        >>> [[float(p) for p in row] for row in d.precision_matrix]
        [[1.0, -0.5], [-0.5, 1.0]]

    Reference: Jin, Carlin and Banerjee (2005), Generalized hierarchical multivariate CAR models for areal data.
    """

    arg_constraints = {
        "loc": constraints.real_vector,
        "correlation": constraints.open_interval(-1.0, 1.0),
        "conditional_precision": constraints.positive,
        "adj_matrix": constraints.dependent(is_discrete=False, event_dim=2),
    }
    support = constraints.real_vector
    reparametrized_params = ["loc", "correlation", "conditional_precision", "adj_matrix"]
    pytree_aux_fields = ("is_sparse",)

    def __init__(
        self,
        loc: ArrayLike,
        correlation: ArrayLike,
        conditional_precision: ArrayLike,
        adj_matrix: Any,
        *,
        is_sparse: bool = False,
        validate_args: bool | None = None,
    ) -> None:
        self.is_sparse = is_sparse
        self.adj_matrix = as_float(_dense_graph(adj_matrix, is_sparse))
        n = square_dim("CAR", "adj_matrix", np.shape(self.adj_matrix))
        self.loc = as_vector("CAR", loc, n, self.adj_matrix)
        self.correlation, self.conditional_precision = as_float(correlation), as_float(conditional_precision)
        batch_shape = np.broadcast_shapes(
            np.shape(self.loc)[:-1],
            np.shape(self.correlation),
            np.shape(self.conditional_precision),
            np.shape(self.adj_matrix)[:-2],
        )
        super().__init__(batch_shape, (n,), validate_args=validate_args)

    def validate_args(self, strict: bool = True) -> None:
        """Check the concrete parameters, and that a known graph is symmetric and has no isolated vertex."""
        super().validate_args(strict)
        graph = as_operand(self.adj_matrix)
        if not isinstance(graph, np.ndarray):
            return
        check_parameter(type(self), "adj_matrix", graph, constraints.real_matrix)
        if not np.array_equal(graph, np.swapaxes(graph, -1, -2)):
            raise ValueError("CAR: adj_matrix must be symmetric; make it so, e.g. by np.maximum(a, a.T)")
        if not (graph.sum(-1) > 0).all():
            isolated = np.argwhere(graph.sum(-1) <= 0)[0].tolist()
            raise ValueError(
                f"CAR: adj_matrix must not have isolated sites, but the row at index {isolated} has no neighbour; leave it out"
            )

    @lazy_property
    def _degrees(self) -> Any:
        """Row sums of the graph, shape `(..., n)`."""
        return as_operand(self.adj_matrix).sum(-1)

    @lazy_property
    def _spectrum(self) -> Any:
        """Eigenvalues of `D^-1/2 W D^-1/2`, shape `(..., n)`."""
        graph, root = as_operand(self.adj_matrix), self._degrees**-0.5
        scaled = graph * root[..., :, None] * root[..., None, :]
        if isinstance(scaled, np.ndarray):
            return np.linalg.eigvalsh(scaled.astype(np.float64)).astype(scaled.dtype)
        return jnp.linalg.eigvalsh(scaled)

    def _graph_times(self, x: Array) -> Array:
        """`W x` for vectors `(..., n)`."""
        graph = as_operand(self.adj_matrix)
        if not (self.is_sparse and isinstance(graph, np.ndarray)):
            return matrix_times_vectors(graph, x)
        rows, columns = np.nonzero(graph)
        weights = prepend_ones(graph[rows, columns], x.ndim)
        return jnp.zeros_like(x).at[..., rows].add(weights * x[..., columns], indices_are_sorted=True)

    @property
    def precision_matrix(self) -> Array:
        """`tau (D - rho W)`, shape `(..., n, n)`."""
        graph = jnp.asarray(self.adj_matrix)
        rho, tau = (jnp.asarray(p)[..., None, None] for p in (self.correlation, self.conditional_precision))
        rho, tau, graph = promote_shapes(rho, tau, graph)
        eye = prepend_ones(np.eye(graph.shape[-1], dtype=graph.dtype), graph.ndim)
        degrees = eye * prepend_ones(self._degrees[..., None, :], graph.ndim)
        return tau * (degrees - rho * graph)

    def sample(self, key: Key, sample_shape: Shape = ()) -> Array:
        """`loc + C'^-1 eps` with `C C'` the precision matrix, shape `sample_shape + batch_shape + (n,)`."""
        eps = random.normal(key, self.shape(sample_shape), dtype=self._dtype)
        noise = solve_vectors(cholesky(self.precision_matrix), eps, transposed=True)
        return prepend_ones(self.loc, eps.ndim) + noise

    @validate_sample
    def log_prob(self, value: ArrayLike) -> Array:
        """Log density of vectors `(..., n)`."""
        diff = difference(value, self.loc)
        n = self.event_shape[0]
        diff = jnp.broadcast_to(diff, (*diff.shape[:-1], n))
        rho, spectrum = promote_shapes(jnp.asarray(self.correlation)[..., None], self._spectrum)
        log_det = add(jnp.log1p(-rho * spectrum).sum(-1), log(self._degrees).sum(-1))
        own, degrees = promote_shapes(lax.square(diff), self._degrees)
        diff, neighbours = promote_shapes(diff, self._graph_times(diff))
        along, rho = promote_shapes((diff * neighbours).sum(-1), self.correlation)
        quadratic, tau = promote_shapes(add((own * degrees).sum(-1), -rho * along), self.conditional_precision)
        return add(0.5 * (n * (jnp.log(tau) - _LOG_2PI) - tau * quadratic), 0.5 * log_det)

    def entropy(self) -> Array:
        """`n/2 log(2 pi e) - 1/2 log det Q` with the precision matrix `Q`."""
        log_det = half_log_det(cholesky(self.precision_matrix))
        return jnp.broadcast_to(0.5 * self.event_shape[0] * (1 + _LOG_2PI) - log_det, self.batch_shape)

    @property
    def variance(self) -> Array:
        """Diagonal of the inverse of the precision matrix."""
        covariance = inverse_from_tril(cholesky(self.precision_matrix))
        return jnp.broadcast_to(diagonal(covariance), self.shape())

    @property
    def mean(self) -> Array:
        """`loc`."""
        return jnp.broadcast_to(self.loc, self.shape())


class CirculantNormal(TransformedDistribution):
    r"""The normal law with a circulant covariance matrix, `S_ij = row[(j - i) mod n]`: a stationary process on a circle.

    The Fourier transform diagonalises `S`; with eigenvalues `s_k` the density costs `O(n log n)`:
    `log p(x) = -1/2 sum_k |F(x - loc)_k|^2 / (n s_k) - 1/2 sum_k log s_k - n/2 log 2 pi`.

    Args:
        loc: mean, shape `(..., n)`.
        covariance_row: first row of the covariance matrix, shape `(..., n)`.
        covariance_rfft: its real Fourier transform `s_0, ..., s_{n // 2}`, positive, shape `(..., n // 2 + 1)`.
        validate_args: whether to check the parameters now and values in `log_prob`.

    Exactly one of the last two is given; both are attributes, and so is `covariance_matrix`. As a transformed distribution,
    `base_dist` is the law of the real and imaginary parts of the Fourier coefficients of `x - loc`, which are independent.

    Raises:
        ValueError: not exactly one of row and spectrum, lengths that do not fit `loc`.

    Example:
        >>> import jax.numpy as jnp
        >>> d = CirculantNormal(jnp.zeros(3), covariance_row=jnp.array([2.0, 0.5, 0.5]))
        >>> [round(float(s), 4) for s in d.covariance_rfft]
        [3.0, 1.5]

    Reference: Wood and Chan (1994), Simulation of stationary Gaussian processes in [0, 1]^d.
    """

    arg_constraints = {
        "loc": constraints.real_vector,
        "covariance_row": constraints.positive_definite_circulant_vector,
        "covariance_rfft": constraints.independent(constraints.positive, 1),
    }
    support = constraints.real_vector
    reparametrized_params = ["loc", "covariance_row", "covariance_rfft"]

    def __init__(
        self,
        loc: ArrayLike,
        covariance_row: ArrayLike | None = None,
        covariance_rfft: ArrayLike | None = None,
        *,
        validate_args: bool | None = None,
    ) -> None:
        name, vector = exactly_one_matrix("CirculantNormal", covariance_row=covariance_row, covariance_rfft=covariance_rfft)
        self.loc = as_float(loc)
        if not np.shape(self.loc):
            raise ValueError("CirculantNormal: loc must be a vector, its length is the number of points; got a scalar")
        n = np.shape(self.loc)[-1]
        expected = n if name == "covariance_row" else n // 2 + 1
        if np.shape(vector)[-1:] != (expected,):
            raise ValueError(f"CirculantNormal: {name} of shape {np.shape(vector)} must end in {expected} for loc of length {n}")
        setattr(self, name, vector)
        coefficients = Normal(0.0, self._coefficient_scale(n), validate_args=False).to_event(1)
        shift = AffineTransform(self.loc, np.ones(n, vector.dtype), domain=constraints.real_vector)
        parts = [PackRealFastFourierCoefficientsTransform((n,)), RealFastFourierTransform((n,)).inv, shift]
        super().__init__(coefficients, parts, validate_args=validate_args)

    def _coefficient_scale(self, n: int) -> Any:
        """Standard deviations of the real parts, then of the imaginary parts that are not zero, `(..., n)`; known ones in NumPy."""
        given = as_operand(self.__dict__.get("covariance_rfft", self.__dict__.get("covariance_row")))
        known = isinstance(given, np.ndarray)
        spectrum = given if "covariance_rfft" in self.__dict__ else (np if known else jnp).fft.rfft(given).real
        share = np.full(n // 2 + 1, n / 2)
        share[0] = n
        if n % 2 == 0:
            share[-1] = n
        with np.errstate(invalid="ignore"):  # of a matrix that is not positive definite, which is told later
            scale = (spectrum * prepend_ones(share.astype(spectrum.dtype), spectrum.ndim)) ** 0.5
        imaginary = scale[..., 1 : n - n // 2]
        return (np.concatenate if known else jnp.concatenate)([scale, imaginary], axis=-1).astype(given.dtype)

    @alternative
    def covariance_row(self) -> Array:
        """First row of the covariance matrix, `(..., n)`."""
        return jnp.fft.irfft(self.covariance_rfft, n=self.event_shape[0])

    @alternative
    def covariance_rfft(self) -> Array:
        """Eigenvalues of the covariance matrix, each once: `(..., n // 2 + 1)`."""
        return jnp.fft.rfft(self.covariance_row).real

    @property
    def covariance_matrix(self) -> Array:
        """`S_ij = row[(j - i) mod n]`, shape `(..., n, n)`."""
        i = np.arange(self.event_shape[0])
        return jnp.asarray(self.covariance_row)[..., (i - i[:, None]) % len(i)]

    def sample(self, key: Key, sample_shape: Shape = ()) -> Array:
        """`loc + S^1/2 eps`, shape `sample_shape + batch_shape + (n,)`."""
        eps = random.normal(key, self.shape(sample_shape), dtype=self._dtype)
        root = prepend_ones(jnp.sqrt(self.covariance_rfft), eps.ndim)
        noise = jnp.fft.rfft(eps)
        scaled = lax.complex(root * noise.real, root * noise.imag)
        return prepend_ones(self.loc, eps.ndim) + jnp.fft.irfft(scaled, n=self.event_shape[0])

    @validate_sample
    def log_prob(self, value: ArrayLike, intermediates: Any = None) -> Array:
        """Log density of vectors `(..., n)`."""
        n = self.event_shape[0]
        transformed = jnp.fft.rfft(difference(value, self.loc))
        power = lax.square(transformed.real) + lax.square(transformed.imag)
        spectrum = jnp.asarray(self.covariance_rfft)
        log_det = circulant_sum(jnp.log(spectrum), n)
        power, spectrum = promote_shapes(power, spectrum)
        return add(-0.5 * circulant_sum(power / spectrum, n) / n, -0.5 * (log_det + n * _LOG_2PI))

    @property
    def mean(self) -> Array:
        """`loc`."""
        return jnp.broadcast_to(self.loc, self.shape())

    @property
    def variance(self) -> Array:
        """The first entry of the row, everywhere."""
        return jnp.broadcast_to(jnp.asarray(self.covariance_row)[..., :1], self.shape())

    def entropy(self) -> Array:
        """`1/2 log det(2 pi e S)`."""
        log_det = circulant_sum(jnp.log(self.covariance_rfft), self.event_shape[0])
        return jnp.broadcast_to(0.5 * (log_det + self.event_shape[0] * (1 + _LOG_2PI)), self.batch_shape)


def circulant_sum(terms: Array, n: int) -> Array:
    """The sum over the `n` eigenvalues of a circulant matrix of terms given for the first `n // 2 + 1`; the others mirror these."""
    count = np.full(n // 2 + 1, 2.0, terms.dtype)
    count[0] = 1.0
    if n % 2 == 0:
        count[-1] = 1.0
    return (terms * prepend_ones(count, terms.ndim)).sum(-1)


def _dense_graph(adj_matrix: Any, is_sparse: bool) -> Any:
    """The adjacency matrix as an array.

    Raises:
        ValueError: a SciPy sparse matrix without `is_sparse`, another array than a two-dimensional NumPy one with it.
    """
    try:
        from scipy.sparse import issparse
    except ImportError:

        def issparse(_: Any) -> bool:
            return False

    if issparse(adj_matrix):
        if not is_sparse:
            raise ValueError("CAR: adj_matrix is a SciPy sparse matrix; pass is_sparse=True with it")
        return adj_matrix.toarray()
    if is_sparse and not (isinstance(adj_matrix, np.ndarray) and adj_matrix.ndim == 2):
        found = f"{type(adj_matrix).__name__} of shape {np.shape(adj_matrix)}"
        raise ValueError(f"CAR: with is_sparse=True, adj_matrix must be a SciPy sparse matrix or a 2-d NumPy array, got {found}")
    return adj_matrix
