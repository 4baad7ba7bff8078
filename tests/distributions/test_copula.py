"""Gaussian copulas: against normal vectors, SciPy's marginals and quadrature; draws, tails, gradients, structure."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import random
from scipy import stats

from ppl.distributions import (
    Beta,
    Exponential,
    Gamma,
    GaussianCopula,
    GaussianCopulaBeta,
    Laplace,
    MultivariateNormal,
    Normal,
    Poisson,
    Uniform,
    constraints,
    promote_batch_shape,
    vmap_over,
)

RNG = np.random.default_rng(0)
# two-sided false alarms: 6e-7 per comparison of a mean at five standard errors, 1e-6 per test of fit
MAX_Z, MIN_P = 5.0, 1e-6
LOC, SCALE = np.array([0.3, -1.0, 0.7]), np.array([0.5, 1.0, 2.0])
R = np.array([[1.0, 0.6, -0.3], [0.6, 1.0, 0.2], [-0.3, 0.2, 1.0]])
FACTOR = np.linalg.cholesky(R)
COV = R * np.outer(SCALE, SCALE)


pytestmark = pytest.mark.usefixtures("float64_and_strict")


MARGINALS = {
    "Beta": (lambda: Beta(np.array([0.7, 2.0, 3.5]), 1.3), lambda i: stats.beta([0.7, 2.0, 3.5][i], 1.3)),
    "Gamma": (lambda: Gamma(np.array([0.4, 2.0, 30.0]), 2.0), lambda i: stats.gamma([0.4, 2.0, 30.0][i], scale=0.5)),
    "Exponential": (lambda: Exponential(np.array([0.5, 1.0, 2.0])), lambda i: stats.expon(scale=[2.0, 1.0, 0.5][i])),
    "Laplace, expanded": (lambda: Laplace(0.5, 2.0).expand((3,)), lambda i: stats.laplace(0.5, 2.0)),
    "Uniform": (lambda: Uniform(-1.0, np.array([0.0, 1.0, 2.0])), lambda i: stats.uniform(-1.0, i + 1.0)),
}


def test_normal_marginals_give_the_multivariate_normal() -> None:
    """The same density, gradient and draws, also thirty standard deviations out."""
    copula = GaussianCopula(Normal(LOC, SCALE), correlation_matrix=R)
    normal = MultivariateNormal(LOC, scale_tril=SCALE[:, None] * FACTOR)
    x = LOC + SCALE * np.concatenate([RNG.normal(size=(5, 3)), 30 * RNG.normal(size=(5, 3)), np.zeros((1, 3))])

    @jax.jit
    def compute(x: Any, key: Any) -> Any:
        return [(d.log_prob(x), jax.grad(lambda x, d=d: d.log_prob(x).sum())(x), d.sample(key, (6,))) for d in (copula, normal)]

    own, expected = compute(x, random.key(0))
    for a, b in zip(own, expected):
        np.testing.assert_allclose(a, b, rtol=1e-8, atol=1e-9)
    np.testing.assert_allclose(copula.mean, LOC)
    np.testing.assert_allclose(copula.variance, np.diag(COV), rtol=1e-12)


@pytest.mark.parametrize("name", MARGINALS)
def test_density_draws_and_gradient(name: str) -> None:
    """Density by the normal scores of SciPy; draws with the marginals and the dependence asked for; finite differences."""
    make, reference = MARGINALS[name]
    laws, n = [reference(i) for i in range(3)], 4000
    d = GaussianCopula(make(), correlation_cholesky=FACTOR)
    x = np.stack([law.ppf(q) for law, q in zip(laws, RNG.uniform(0.02, 0.98, (3, 6)))], -1)
    step = 1e-6 * np.abs(x)

    @jax.jit
    def compute(x: Any, step: Any, key: Any) -> Any:
        slopes = jax.grad(lambda x: d.log_prob(x).sum())(x)
        moved = jnp.stack([x + s * step * e for e in np.eye(3).reshape(3, 1, 3) for s in (1.0, -1.0)])
        return d.log_prob(x), slopes, d.log_prob(moved), d.sample(key, (n,)), d.mean, d.variance

    key = random.key(list(MARGINALS).index(name))
    log_prob, slopes, moved, draws, mean, variance = jax.tree.map(np.asarray, compute(x, step, key))
    scores = stats.norm.ppf(np.stack([law.cdf(x[:, i]) for i, law in enumerate(laws)], -1))
    expected = sum(law.logpdf(x[:, i]) for i, law in enumerate(laws)) - stats.norm.logpdf(scores).sum(-1)
    expected = expected + stats.multivariate_normal(np.zeros(3), R).logpdf(scores)
    np.testing.assert_allclose(log_prob, expected, rtol=1e-8, atol=1e-8)
    np.testing.assert_allclose(slopes, ((moved[::2] - moved[1::2]).T / (2 * step)), rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(mean, [law.mean() for law in laws], rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(variance, [law.var() for law in laws], rtol=1e-10)
    assert np.all(d.support(draws))
    levels = np.stack([law.cdf(draws[:, i]) for i, law in enumerate(laws)], -1)
    assert min(stats.kstest(level, "uniform").pvalue for level in levels.T) > MIN_P
    z = stats.norm.ppf(levels)
    products = z[:, :, None] * z[:, None, :]
    assert np.all(abs(products.mean(0) - R) < MAX_Z * products.std(0) / n**0.5)


def test_beta_copula_has_mass_one() -> None:
    d = GaussianCopulaBeta(np.array([2.0, 3.5]), np.array([3.0, 2.0]), correlation_matrix=R[:2, :2])
    nodes, weights = np.polynomial.legendre.leggauss(60)
    x = np.stack(np.meshgrid(0.5 + 0.5 * nodes, 0.5 + 0.5 * nodes), -1)
    density = np.exp(jax.jit(d.log_prob)(x))
    np.testing.assert_allclose(0.25 * weights @ density @ weights, 1.0, rtol=1e-3)


def test_beta_copula_is_a_copula_of_beta_marginals() -> None:
    a, b = np.array([0.7, 2.0, 3.5]), 1.3
    d = GaussianCopulaBeta(a, b, correlation_matrix=R)
    plain = GaussianCopula(Beta(a, b), R)
    assert isinstance(d, GaussianCopula) and d.support == plain.support == constraints.independent(constraints.unit_interval, 1)
    assert set(d.get_args()) == {"concentration1", "concentration0", "correlation_matrix"}
    assert plain.has_rsample and not d.has_rsample
    np.testing.assert_allclose(d.correlation_cholesky, FACTOR, rtol=1e-12)
    np.testing.assert_allclose(GaussianCopula(Beta(a, b), correlation_cholesky=FACTOR).correlation_matrix, R, rtol=1e-12)
    x = np.array([0.1, 0.5, 0.6])

    @jax.jit
    def compute(d: Any, plain: Any) -> Any:
        return [(law.log_prob(x), law.mean, law.variance) for law in (d, plain)]

    own, expected = compute(d, plain)
    for left, right in zip(own, expected):
        np.testing.assert_allclose(left, right, rtol=1e-12)


@pytest.mark.parametrize("kind", ["normal", pytest.param("beta", marks=pytest.mark.slow)])
def test_gradients_with_respect_to_parameters(kind: str) -> None:
    """Of densities and of reparametrized draws, against finite differences."""
    x = RNG.uniform(0.1, 0.9, (4, 2))

    def loss(z: Any) -> Any:
        rho = jnp.tanh(z[4])
        factor = jnp.array([[1.0, 0.0], [0.0, 0.0]]) + jnp.stack([jnp.zeros(2), jnp.stack([rho, jnp.sqrt(1.0 - rho * rho)])])
        if kind == "beta":
            return GaussianCopulaBeta(jnp.exp(z[:2]), jnp.exp(z[2:4]), correlation_cholesky=factor).log_prob(x).sum()
        normal = GaussianCopula(Normal(z[:2], jnp.exp(z[2:4])), correlation_matrix=factor @ factor.T)
        return normal.log_prob(x).sum() + normal.rsample(random.key(1)).sum()

    z = np.array([0.5, -0.2, 0.3, 0.7, 0.4])
    step = 1e-5
    points = z + step * np.concatenate([np.eye(5), -np.eye(5)])
    values, gradient = jax.jit(lambda z, points: (jax.lax.map(loss, points), jax.grad(loss)(z)))(z, points)
    np.testing.assert_allclose(gradient, (values[:5] - values[5:]) / (2 * step), rtol=1e-6, atol=1e-6)


FAR = {
    "Normal": (lambda: Normal(np.zeros(2, np.float32), 1.0), [[300.0, -200.0], [-1e3, 1e3]]),
    "Exponential": (lambda: Exponential(np.ones(2, np.float32)), [[80.0, 1e-20], [500.0, 300.0]]),
    "Gamma": (lambda: Gamma(np.full(2, 2.5, np.float32), 1.0), [[90.0, 1e-9], [200.0, 150.0]]),
    "Beta": (lambda: Beta(np.full(2, 2.0, np.float32), 3.0), [[1e-15, 1.0 - 2.0**-20], [1e-12, 1e-10]]),
}


@pytest.mark.parametrize("name", FAR)
def test_far_tails_float32(name: str) -> None:
    """As accurate as in float64, up to rounding, with finite gradients."""
    make, x = FAR[name]
    correlation = np.array([[1.0, 0.5], [0.5, 1.0]])

    def compute(x: Any, correlation: Any) -> Any:
        def density(x: Any, correlation: Any) -> Any:
            log_prob = GaussianCopula(make(), correlation).log_prob(x)
            return log_prob.sum(), log_prob

        return jax.value_and_grad(density, (0, 1), has_aux=True)(x, correlation)

    (_, log_prob), grads = jax.jit(compute)(np.array(x, np.float32), correlation.astype(np.float32))
    assert log_prob.dtype == np.float32 and all(np.isfinite(g).all() for g in grads)
    with jax.enable_x64(True), jax.numpy_dtype_promotion("standard"):
        (_, exact), exact_grads = jax.jit(compute)(np.array(x, np.float32).astype(np.float64), correlation)
    np.testing.assert_allclose(log_prob, exact, rtol=1e-4, atol=1e-3)
    np.testing.assert_allclose(grads[0], exact_grads[0], rtol=1e-3)


def test_ends_of_the_support_float32() -> None:
    """Where a distribution function rounds to 0 or 1, densities and gradients are finite, and draws stay inside."""
    correlation = np.array([[1.0, 0.5], [0.5, 1.0]], np.float32)
    flat = GaussianCopula(Uniform(np.zeros(2, np.float32), 1.0), correlation)
    steep = GaussianCopulaBeta(np.full(2, 0.02, np.float32), 0.02, correlation)

    @jax.jit
    def compute(x: Any, key: Any) -> Any:
        draws = steep.sample(key, (1000,))
        return jax.value_and_grad(lambda x: flat.log_prob(x).sum())(x), draws, steep.log_prob(draws), flat.log_prob(x + 1.0)

    (value, slope), draws, log_prob, outside = compute(np.array([[0.0, 1.0], [1.0, 1.0]], np.float32), random.key(0))
    assert np.isfinite(value) and np.isfinite(slope).all()
    assert np.all((draws > 0) & (draws < 1)) and np.isfinite(log_prob).all()
    assert np.all(outside == -np.inf)


def beta_copula(concentration1: Any) -> GaussianCopulaBeta:
    return GaussianCopulaBeta(concentration1, 2.0, correlation_matrix=np.eye(2))


def gamma_copula(rate: Any) -> GaussianCopula:
    return GaussianCopula(Gamma(2.0, rate), correlation_matrix=np.eye(2))


@pytest.mark.parametrize("make", [beta_copula, gamma_copula])
def test_shapes_of_batches_wrappers_and_maps(make: Any) -> None:
    d = make(np.full((3, 2), 0.7))
    assert (d.batch_shape, d.event_shape) == ((3,), (2,))
    value = jax.ShapeDtypeStruct((5, 4, 3, 2), np.float64)
    wide = d.expand((4, 3)).to_event(1)
    assert jax.eval_shape(lambda k: wide.sample(k, (5,)), random.key(0)).shape == (5, 4, 3, 2)
    assert jax.eval_shape(wide.log_prob, value).shape == (5, 4)
    assert jax.eval_shape(lambda: wide.variance).shape == (4, 3, 2)
    assert jax.eval_shape(d.log_prob, jax.ShapeDtypeStruct((2,), np.float64)).shape == (3,)
    assert jax.eval_shape(d.mask(np.array([True, False, True])).log_prob, value).shape == (5, 4, 3)
    mapped = jax.vmap(make)(np.full((7, 3, 2), 0.7))
    assert mapped.batch_shape == (3,) and promote_batch_shape(mapped).batch_shape == (7, 3)
    stack = GaussianCopula(Normal(np.zeros((4, 1, 2)), 1.0), np.tile(np.eye(2), (3, 1, 1)))
    assert stack.batch_shape == (4, 3)
    assert jax.eval_shape(stack.log_prob, jax.ShapeDtypeStruct((2,), np.float64)).shape == (4, 3)
    assert jax.eval_shape(lambda k: stack.sample(k, (5,)), random.key(0)).shape == (5, 4, 3, 2)


def test_maps_over_parameters() -> None:
    def make(loc: Any) -> GaussianCopula:
        return GaussianCopula(Normal(loc, 2.0), R)

    locs, x = RNG.normal(size=(4, 3)), np.array([0.3, 0.8, -1.0])
    spec = vmap_over(make(LOC), marginal_dist=vmap_over(Normal(LOC, 2.0), loc=0))
    mapped = jax.vmap(make, out_axes=spec)(locs)
    log_prob = jax.jit(jax.vmap(lambda d: d.log_prob(x), in_axes=(spec,)))(mapped)
    np.testing.assert_allclose(log_prob, jax.jit(make(locs).log_prob)(x), rtol=1e-12)
    beta = vmap_over(beta_copula(SCALE[:2]), concentration1=0)
    mapped = jax.vmap(beta_copula, out_axes=beta)(np.ones((4, 2)))
    assert jax.eval_shape(jax.vmap(lambda d: d.log_prob(x[:2]), in_axes=(beta,)), mapped).shape == (4,)


def test_construction_runs_no_jax_operation() -> None:
    def build() -> None:
        GaussianCopula(Normal(LOC, SCALE), correlation_matrix=R)
        GaussianCopulaBeta([1.0, 2.0, 3.0], 1.0, correlation_cholesky=FACTOR, validate_args=True)

    assert not jax.make_jaxpr(build)().eqns


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: GaussianCopula(Normal(LOC)), "GaussianCopula: exactly one of correlation_matrix, correlation_cholesky .* none"),
        (lambda: GaussianCopula(Normal(LOC), R, FACTOR), "correlation_matrix and correlation_cholesky"),
        (lambda: GaussianCopula(Normal(LOC), R[:2]), r"correlation_matrix must be a square matrix.*\(2, 3\)"),
        (lambda: GaussianCopula(Normal(LOC), np.eye(2)), r"batch shape \(3,\) do not fit a correlation_matrix of dimension 2"),
        (lambda: GaussianCopula(Normal(LOC), COV), "GaussianCopula distribution got invalid correlation_matrix parameter"),
        (lambda: GaussianCopula(Normal(LOC), correlation_cholesky=R), "invalid correlation_cholesky parameter"),
        (lambda: GaussianCopula(Normal(LOC).to_event(1), R), r"Independent has event shape \(3,\); leave out to_event"),
        (lambda: GaussianCopula(Poisson(SCALE), R), "must be continuous, but Poisson is discrete"),
        (lambda: GaussianCopulaBeta(SCALE, 1.0), "GaussianCopulaBeta: exactly one of"),
        (lambda: GaussianCopulaBeta(-SCALE, 1.0, R, validate_args=True), "GaussianCopulaBeta .* invalid concentration1 parameter"),
    ],
)
def test_errors_say_what_was_found(make: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        make()


def test_the_marginals_are_a_distribution() -> None:
    with pytest.raises(TypeError, match="marginal_dist must be a distribution, found 0.5"):
        GaussianCopula(0.5, R)
