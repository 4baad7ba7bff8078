"""Laws of matrices: densities against SciPy and quadrature, moments of draws, gradients, structure."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats as st
from jax import random
from scipy.special import digamma

from ppl.distributions.continuous.lkj import LKJ, LKJCholesky
from ppl.distributions.continuous.matrices import (
    InverseWishart,
    InverseWishartCholesky,
    MatrixNormal,
    Wishart,
    WishartCholesky,
)

RNG = np.random.default_rng(0)
D = 3
TRIL = np.tril(RNG.normal(size=(D, D)) * 0.4, -1) + np.diag([0.8, 1.3, 0.6])
SCALE = TRIL @ TRIL.T
RATE = np.linalg.inv(SCALE)
PARAMETERS = {"scale_matrix": SCALE, "rate_matrix": RATE, "scale_tril": TRIL}
ROW_TRIL = np.array([[1.0, 0.0], [0.5, 0.7]])


pytestmark = pytest.mark.usefixtures("float64_and_strict")


def assert_mean(draws: np.ndarray, expected: np.ndarray) -> None:
    """The mean of independent draws within five Monte Carlo errors, elementwise; exact where the draws are constant."""
    error = draws.std(0) / np.sqrt(len(draws))
    assert np.all(abs(draws.mean(0) - expected) <= 5 * error + 1e-12)


def outer(factor: np.ndarray) -> np.ndarray:
    return factor @ np.swapaxes(factor, -1, -2)


def log_jacobian_of_outer(tril: np.ndarray) -> np.ndarray:
    """`log |d(L L') / dL|` in lower-triangle coordinates: `d log 2 + sum_i (d - i) log L_ii`, rows from 0."""
    d = tril.shape[-1]
    return d * np.log(2) + (np.log(np.diagonal(tril, axis1=-2, axis2=-1)) * np.arange(d, 0, -1)).sum(-1)


def test_matrix_normal() -> None:
    loc = RNG.normal(size=(2, D))
    d = MatrixNormal(loc, ROW_TRIL, TRIL)
    n = 4000
    x = RNG.normal(size=(5, 2, D))
    log_prob, draws, batched = jax.jit(
        lambda x: (
            d.log_prob(x),
            d.sample(random.key(0), (n,)),
            MatrixNormal(loc, np.stack([ROW_TRIL, 2 * ROW_TRIL])[:, None], TRIL[None] * np.ones((4, 1, 1))).log_prob(x[0]),
        )
    )(x)
    reference = st.matrix_normal(loc, outer(ROW_TRIL), SCALE)
    np.testing.assert_allclose(log_prob, reference.logpdf(x), rtol=1e-10)
    expected = st.matrix_normal(loc, 4 * outer(ROW_TRIL), SCALE).logpdf(x[0])
    np.testing.assert_allclose(batched, np.array([[log_prob[0]] * 4, [expected] * 4]), rtol=1e-10)
    draws = np.asarray(draws)
    assert_mean(draws, loc)
    flat = (draws - loc).reshape(n, -1)
    assert_mean(flat[:, :, None] * flat[:, None, :], np.kron(outer(ROW_TRIL), SCALE))
    np.testing.assert_allclose(d.variance, np.outer(np.diag(outer(ROW_TRIL)), np.diag(SCALE)), rtol=1e-12)


@pytest.mark.parametrize("given", PARAMETERS)
@pytest.mark.parametrize("inverse", [False, True], ids=["wishart", "inverse_wishart"])
def test_wishart_families(inverse: bool, given: str) -> None:
    """Both laws and those of their factors, for a single and a batch of concentrations."""
    nu = 9.5
    matrix, factor = (InverseWishart, InverseWishartCholesky) if inverse else (Wishart, WishartCholesky)
    d = matrix(nu, **{given: PARAMETERS[given]})
    f = factor(np.array([nu, 12.0]), **{given: PARAMETERS[given]})
    x = np.tril(RNG.normal(size=(4, D, D)) * 0.3, -1) + np.exp(RNG.normal(size=(4, 1, D))) * np.eye(D)
    n = 10_000

    @jax.jit
    def compute(d: Any, f: Any, x: Any) -> Any:
        log_probs = d.log_prob(x @ x.mT), f.log_prob(x[:, None])
        return log_probs, (d.mean, d.variance, f.mean, f.variance)

    # Not in one program: two independent solves of many matrices can wait for each other for ever (jaxlib 0.10, two threads).
    draw = jax.jit(lambda law, key: law.sample(key, (n,)))
    log_probs, moments = jax.tree.map(np.asarray, compute(d, f, x))
    draws, factors = np.asarray(draw(d, random.key(0))), np.asarray(draw(f, random.key(1)))
    reference = (st.invwishart if inverse else st.wishart)(nu, SCALE)
    expected = np.array([reference.logpdf(v) for v in outer(x)])
    np.testing.assert_allclose(log_probs[0], expected, rtol=1e-9)
    np.testing.assert_allclose(log_probs[1][:, 0], expected + log_jacobian_of_outer(x), rtol=1e-9)
    np.testing.assert_allclose(moments[0], reference.mean(), rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(moments[1], reference.var(), rtol=1e-9)
    assert_mean(draws, moments[0])
    assert_mean((draws - moments[0]) ** 2, moments[1])
    assert_mean(outer(factors[:, 0]), moments[0])
    assert_mean(factors, moments[2])
    assert_mean((factors - moments[2]) ** 2, moments[3])
    for name, value in PARAMETERS.items():
        np.testing.assert_allclose(getattr(d, name), value, rtol=1e-9, atol=1e-12)
    if not inverse:
        np.testing.assert_allclose(d.entropy(), reference.entropy(), rtol=1e-9)


@pytest.mark.parametrize("eta", [0.5, 1.0, 4.0])
def test_lkj_density_integrates_to_one(eta: float) -> None:
    """By quadrature: over one correlation (D = 2), and over the three entries of a factor (D = 3)."""
    compute = jax.jit(
        lambda r, lower: (LKJ(2, eta).log_prob(r), LKJ(3, eta).log_prob(lower @ lower.mT), LKJCholesky(3, eta).log_prob(lower))
    )
    # r = sin(angle) smooths the ends
    nodes, weights = np.polynomial.legendre.leggauss(60)
    s, ds = np.sin(0.5 * np.pi * nodes), 0.5 * np.pi * np.cos(0.5 * np.pi * nodes)
    matrices = np.stack([np.stack([np.ones_like(s), s], -1), np.stack([s, np.ones_like(s)], -1)], -2)
    # a factor of size 3: l10 = sin(a); (l20, l21) = sin(b) (cos(c), sin(c))
    nodes, w = np.polynomial.legendre.leggauss(24)
    a, b, c = (grid.ravel() for grid in np.meshgrid(0.5 * np.pi * nodes, 0.25 * np.pi * (nodes + 1), np.pi * nodes, indexing="ij"))
    volume = np.einsum("i,j,k->ijk", w * 0.5 * np.pi, w * 0.25 * np.pi, w * np.pi).ravel() * np.cos(a) * np.sin(b) * np.cos(b)
    zero = np.zeros_like(a)
    lower = np.stack(
        [
            np.stack([zero + 1, zero, zero], -1),
            np.stack([np.sin(a), np.cos(a), zero], -1),
            np.stack([np.sin(b) * np.cos(c), np.sin(b) * np.sin(c), np.cos(b)], -1),
        ],
        -2,
    )
    on_pairs, on_matrices, on_factors = compute(matrices, lower)
    assert abs((np.exp(on_pairs) * ds * weights).sum() - 1) < (2e-2 if eta < 1 else 1e-9)
    assert abs((np.exp(on_factors) * volume).sum() - 1) < (5e-2 if eta < 1 else 1e-9)
    # the law of the matrix is that of the factor times |dL/dR| = prod_i L_ii^-(D - 1 - i)
    jacobian = (np.log(np.diagonal(lower, axis1=-2, axis2=-1)) * np.array([2, 1, 0])).sum(-1)
    np.testing.assert_allclose(on_matrices, on_factors - jacobian, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("method", ["onion", "cvine"])
def test_lkj_draws(method: str) -> None:
    """Every correlation is `2 Beta(b, b) - 1` with `b = eta - 1 + D/2`, hence of variance `1/(2 eta + D - 1)`; a batch of eta."""
    eta, dimension, n = np.array([0.5, 2.0, 10.0]), 4, 4000
    d = LKJCholesky(dimension, eta, method)
    lower, matrices, log_det = jax.jit(
        lambda key: (
            x := d.sample(key, (n,)),
            LKJ(dimension, eta, method).sample(key, (n,)),
            jnp.log(jnp.diagonal(x, axis1=-2, axis2=-1)).sum(-1) * 2,
        )
    )(random.key(0))
    lower, matrices, log_det = np.asarray(lower), np.asarray(matrices), np.asarray(log_det)
    assert np.all(d.support(lower))
    np.testing.assert_allclose(np.diagonal(outer(lower), axis1=-2, axis2=-1), 1, rtol=1e-12)
    rows, columns = np.tril_indices(dimension, -1)
    for i, e in enumerate(eta):
        b = e - 1 + dimension / 2
        for r in (outer(lower)[:, i], matrices[:, i]):
            off = r[:, rows, columns]
            assert_mean(off, np.zeros(len(rows)))
            assert_mean(off**2, np.full(len(rows), 1 / (2 * e + dimension - 1)))
            for k in range(len(rows)):
                assert st.kstest(0.5 + 0.5 * off[:, k], st.beta(b, b).cdf).pvalue > 1e-6
        # det R = prod_i L_ii^2 with independent L_ii^2 ~ Beta(b_i, i/2), b_i = eta + (D - 1 - i)/2
        i_ = np.arange(1, dimension)
        b_ = e + 0.5 * (dimension - 1 - i_)
        assert_mean(log_det[:, i], (digamma(b_) - digamma(b_ + 0.5 * i_)).sum())
    np.testing.assert_allclose(LKJ(2, eta).mean, np.broadcast_to(np.eye(2), (3, 2, 2)))


def test_gradients() -> None:
    """Reverse mode against central differences, in parameters and values."""
    rows, columns = np.tril_indices(D)

    def tril(z: Any) -> Any:
        strict = jnp.zeros((D, D)).at[rows, columns].set(z)
        return jnp.tril(strict, -1) + jnp.diag(jnp.exp(jnp.diagonal(strict)))

    def loss(z: Any) -> Any:
        low, value, nu = tril(z[:6]), tril(z[6:12]), 4 + jnp.exp(z[12])
        total = MatrixNormal(z[:6].reshape(2, 3), value[:2, :2], low).log_prob(RNG_VALUE)
        for factor, matrix in ((WishartCholesky, Wishart), (InverseWishartCholesky, InverseWishart)):
            total += factor(nu, scale_tril=low).log_prob(value) + matrix(nu, rate_matrix=low @ low.T).log_prob(value @ value.T)
        unit = value / jnp.sqrt((value**2).sum(-1, keepdims=True))
        return total + LKJCholesky(D, nu).log_prob(unit) + LKJ(D, nu).log_prob(unit @ unit.T)

    z = RNG.normal(size=13) * 0.3
    step = 1e-5
    points = z + step * np.concatenate([np.eye(13), -np.eye(13)])
    values, gradient = jax.jit(lambda z, points: (jax.lax.map(loss, points), jax.grad(loss)(z)))(z, points)
    np.testing.assert_allclose(gradient, (values[:13] - values[13:]) / (2 * step), rtol=1e-6, atol=1e-6)


RNG_VALUE = RNG.normal(size=(2, D))


def test_reparametrized_draws_are_differentiable() -> None:
    def total(eta: Any, low: Any) -> Any:
        return LKJCholesky(3, eta).sample(random.key(0)).sum() + WishartCholesky(4.0, scale_tril=low).sample(random.key(1)).sum()

    gradients = jax.jit(jax.grad(total, (0, 1)))(1.5, TRIL)
    assert all(np.all(np.isfinite(g)) and np.any(g != 0) for g in gradients)
    assert LKJCholesky(3).has_rsample and not Wishart(4.0, scale_tril=TRIL).has_rsample


@pytest.mark.parametrize("method", ["onion", "cvine"])
def test_extreme_concentrations_float32(method: str) -> None:
    """Nearly singular correlation matrices, and many dimensions: draws stay in the support, with finite densities."""
    for d in (LKJCholesky(3, 0.01, method), LKJCholesky(8, 1.0, method), LKJCholesky(3, 1e6, method)):
        draws, log_prob = jax.jit(lambda key, d=d: (x := d.sample(key, (200,)), d.log_prob(x)))(random.key(0))
        assert np.all(d.support(draws)) and np.all(np.isfinite(log_prob))


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: LKJ(1), "dimension must be an integer of at least 2.*1"),
        (lambda: LKJCholesky(2.5), "dimension must be an integer of at least 2.*2.5"),
        (lambda: LKJCholesky(3, 1.0, "vine"), "'onion' or 'cvine'.*'vine'"),
        (lambda: LKJ(3, -1.0), "invalid concentration"),
        (lambda: Wishart(4.0), "exactly one of scale_matrix, rate_matrix, scale_tril"),
        (lambda: Wishart(1.5, scale_matrix=np.eye(3)), "Wishart distribution got invalid concentration"),
        (
            lambda: InverseWishartCholesky(2.0, scale_matrix=np.eye(3)),
            "InverseWishartCholesky distribution got invalid concentration",
        ),
        (lambda: WishartCholesky(4.0, scale_matrix=-np.eye(3)), "invalid scale_matrix"),
        (lambda: MatrixNormal(np.zeros((2, 2)), np.eye(2), np.eye(3)), r"loc of shape \(2, 2\) must end in \(2, 3\)"),
        (lambda: MatrixNormal(np.zeros((2, 3)), np.ones((2, 2)), np.eye(3)), "invalid scale_tril_row"),
    ],
)
def test_errors_say_what_was_found(make: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        make()
