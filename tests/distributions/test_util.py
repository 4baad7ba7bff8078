"""Shared numerics against SciPy and NumPy, with finite gradients at the edges; draws against their laws."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.special as sp
import scipy.stats as st
from jax import random

from ppl.distributions import util

RNG = np.random.default_rng(0)


pytestmark = pytest.mark.usefixtures("strict")


@pytest.mark.parametrize(("x64", "tolerance"), [(False, 3e-6), (True, 1e-13)])
def test_functions_of_numbers(x64: bool, tolerance: float) -> None:
    dtype = np.float64 if x64 else np.float32
    x = np.array([-80.0, -20.0, -1.0, -1e-3, 0.0, 0.5, 30.0, 80.0], dtype)
    low = np.array([-50.0, -5.0, -0.7, -0.69, -1e-3, -1e-6], dtype)
    exact_low, wide = low.astype(np.longdouble), x.astype(np.longdouble)
    with jax.enable_x64(x64):

        @jax.jit
        def values(x: Any, low: Any) -> Any:
            k = jnp.arange(15)
            return {
                "softplus": util.softplus(x),
                "softplus_gradient": jax.grad(lambda x: util.softplus(x).sum())(x),
                "softplus_curvature": jax.grad(lambda x: jax.grad(lambda x: util.softplus(x).sum())(x).sum())(x),
                "log1mexp": util.log1mexp(low),
                "log1mexp_gradient": jax.grad(lambda v: util.log1mexp(v).sum())(low),
                "logdiffexp": util.logdiffexp(jnp.zeros_like(low), low),
                "cross_entropy": util.binary_cross_entropy_with_logits(x, jnp.ones_like(x)),
                "stirling": util.stirling_approx_tail(k),
                "multidigamma": util.multidigamma(5.0 + jnp.abs(x), 3),
            }

        got = {name: np.asarray(value) for name, value in values(x, low).items()}
    k = np.arange(15.0)
    stirling = sp.gammaln(k + 1) - (0.5 * np.log(2 * np.pi) + (k + 0.5) * np.log(k + 1) - (k + 1))
    expected = {
        "softplus": np.logaddexp(0, wide),
        "softplus_gradient": 1 / (1 + np.exp(-wide)),
        "softplus_curvature": np.exp(-np.abs(wide)) / (1 + np.exp(-np.abs(wide))) ** 2,
        "log1mexp": np.where(low < -1, np.log1p(-np.exp(exact_low)), np.log(-np.expm1(exact_low))),
        "log1mexp_gradient": np.exp(exact_low) / np.expm1(exact_low),
        "logdiffexp": np.where(low < -1, np.log1p(-np.exp(exact_low)), np.log(-np.expm1(exact_low))),
        "cross_entropy": np.logaddexp(0, -wide),
        "stirling": stirling,
        "multidigamma": sum(sp.digamma(5.0 + np.abs(x.astype(float)) - i / 2) for i in range(3)),
    }
    for name, value in expected.items():
        assert got[name].dtype == dtype, name
        np.testing.assert_allclose(
            got[name],
            value.astype(float),
            rtol=tolerance,
            atol={"stirling": 1e-9, "softplus_curvature": 10 * tolerance}.get(name, 1e-33),
            err_msg=name,
        )


def test_edges_of_logarithms() -> None:
    probs = np.array([0.0, 0.3, 1.0], np.float32)
    assert np.isfinite(np.log(util.clamp_probs(probs))).all() and np.isfinite(np.log1p(-util.clamp_probs(probs))).all()
    assert util.log1mexp(0.0) == -np.inf and util.logdiffexp(1.0, 1.0) == -np.inf
    assert np.isfinite(jax.grad(lambda a: jnp.exp(util.logdiffexp(a, 1.0)))(1.0))
    x = np.log(RNG.dirichlet(np.ones(3), 2)).astype(np.float32)
    y = np.log(RNG.dirichlet(np.ones(2), 3)).astype(np.float32)
    x[0, :2] = -np.inf
    np.testing.assert_allclose(util.logmatmulexp(x, y), np.log(np.exp(x) @ np.exp(y)), rtol=1e-5)
    nothing = np.full((2, 3), -np.inf, np.float32)
    assert (util.logmatmulexp(nothing, y) == -np.inf).all()
    gradient = jax.grad(lambda y: jnp.exp(util.logmatmulexp(nothing, y)).sum())(y)
    assert np.isfinite(gradient).all()


def test_normalize_scale_and_mask() -> None:
    x = np.array([[3.0, 4.0], [0.0, 0.0]], np.float32)
    np.testing.assert_allclose(util.safe_normalize(x), [[0.6, 0.8], [0.5**0.5, 0.5**0.5]], rtol=1e-6)
    assert np.isfinite(jax.grad(lambda x: util.safe_normalize(x)[..., 0].sum())(x)).all()
    np.testing.assert_allclose(util.safe_normalize(x, p=1)[0], [3 / 7, 4 / 7], rtol=1e-6)
    with pytest.raises(ValueError, match="p=-1"):
        util.safe_normalize(x, p=-1)
    mask = np.array([True, False])
    np.testing.assert_array_equal(util.scale_and_mask(x, 2.0, mask), [[6.0, 0.0], [0.0, 0.0]])
    assert util.scale_and_mask(x) is x and util.scale_and_mask(x, 1) is x and util.scale_and_mask(x, mask=True) is x


def test_matrices() -> None:
    a = RNG.normal(size=(2, 4, 4))
    spd = (a @ np.swapaxes(a, -1, -2) + 4 * np.eye(4)).astype(np.float32)
    x = RNG.normal(size=(2, 4)).astype(np.float32)
    vec = RNG.normal(size=(2, 10)).astype(np.float32)
    long = RNG.normal(size=45).astype(np.float32)

    @jax.jit
    def values(spd: Any, x: Any, vec: Any, long: Any) -> Any:
        L = jnp.linalg.cholesky(spd)
        return {
            "added": util.add_diag(spd, x),
            "added_scalar": util.add_diag(spd, 2.0),
            "inverse": util.cholesky_of_inverse(spd),
            "up": util.cholesky_update(L, x),
            "down": util.cholesky_update(L, x, -0.1),
            "det": util.tri_logabsdet(L),
            "tril": util.vec_to_tril_matrix(vec),
            "strict": util.vec_to_tril_matrix(vec, -1),
            "long": util.vec_to_tril_matrix(long),
            "back": util.matrix_to_tril_vec(util.vec_to_tril_matrix(vec)),
            "long_back": util.matrix_to_tril_vec(util.vec_to_tril_matrix(long, -1), -1),
            "sticks": util.signed_stick_breaking_tril(jnp.tanh(vec)),
        }

    got = {name: np.asarray(value) for name, value in values(spd, x, vec, long).items()}
    outer = x[..., :, None] * x[..., None, :]
    np.testing.assert_allclose(got["added"], spd + x[..., None] * np.eye(4, dtype=np.float32), rtol=1e-6)
    np.testing.assert_allclose(got["added_scalar"], spd + 2 * np.eye(4, dtype=np.float32), rtol=1e-6)
    np.testing.assert_allclose(got["inverse"], np.linalg.cholesky(np.linalg.inv(spd.astype(float))), atol=1e-5)
    np.testing.assert_allclose(got["up"], np.linalg.cholesky(spd + outer), atol=1e-4)
    np.testing.assert_allclose(got["down"], np.linalg.cholesky(spd - 0.1 * outer), atol=1e-4)
    np.testing.assert_allclose(got["det"], 0.5 * np.linalg.slogdet(spd)[1], rtol=1e-5)
    for name, k, source, n in (("tril", 0, vec, 4), ("strict", -1, vec, 5), ("long", 0, long, 9)):
        expected = np.zeros((*source.shape[:-1], n, n), np.float32)
        expected[(..., *np.tril_indices(n, k))] = source
        np.testing.assert_array_equal(got[name], expected)
    np.testing.assert_array_equal(got["back"], vec)
    np.testing.assert_array_equal(got["long_back"], long)
    np.testing.assert_allclose((got["sticks"] ** 2).sum(-1), np.ones((2, 5)), rtol=1e-5)
    assert np.isfinite(jax.grad(lambda t: util.signed_stick_breaking_tril(t)[..., -1].sum())(np.tanh(vec))).all()


@pytest.mark.parametrize("length", [2, 4, 5, 7])
def test_vectors_that_fill_no_triangle(length: int) -> None:
    with pytest.raises(ValueError, match=f"length {length}"):
        util.vec_to_tril_matrix(np.zeros(length, np.float32))
    with pytest.raises(ValueError, match="diagonal=1"):
        util.vec_to_tril_matrix(np.zeros(3, np.float32), 1)


def test_inverses_of_incomplete_functions() -> None:
    p = np.array([0.01, 0.4, 0.99], np.float32)
    np.testing.assert_allclose(util.betaincinv(2.0, 3.0, p), sp.betaincinv(2.0, 3.0, p), rtol=1e-4)
    np.testing.assert_allclose(util.gammaincinv(2.5, p), sp.gammaincinv(2.5, p), rtol=1e-4)
    np.testing.assert_allclose(util.betainc(2.0, 3.0, p), sp.betainc(2.0, 3.0, p), rtol=1e-4)


@pytest.mark.parametrize("make_key", [random.PRNGKey, lambda seed: random.key(seed, impl="rbg")])
def test_draws_follow_their_laws(make_key: Any) -> None:
    """Means within 5 standard errors: the chance of a false alarm is below 1e-6 per number."""
    n, p = 4000, np.array([0.5, 0.0, 0.2, 0.3], np.float32)
    keys = random.split(make_key(0), 4)
    concentrations = np.array([0.0, 0.5, 30.0, 1e6], np.float32)

    @jax.jit
    def draw(keys: Any) -> Any:
        return (
            util.categorical(keys[0], p, (n,)),
            util.binomial(keys[1], np.float32(0.3), 7, (n,)),
            util.multinomial(keys[2], p, 10, (n,)),
            util.von_mises_centered(keys[3], concentrations, (n, 4), np.float32),
        )

    category, successes, counts, angles = (np.asarray(x) for x in draw(keys))
    se = np.sqrt(p * (1 - p) / n)
    assert category.dtype == np.int32 and (abs(np.bincount(category, minlength=4) / n - p) <= 5 * se).all()
    assert successes.dtype == np.int32 and abs(successes.mean() - 2.1) < 5 * np.sqrt(7 * 0.21 / n)
    assert (counts.sum(-1) == 10).all() and (abs(counts.mean(0) - 10 * p) <= 5 * np.sqrt(10) * se).all()
    exact = st.multinomial(10, p / p.sum()).cov()
    assert abs(np.cov(counts.T) - exact).max() < 5 * 10 / np.sqrt(n)
    assert ((angles >= -np.float32(np.pi)) & (angles < np.float32(np.pi))).all()
    for i, k in enumerate(concentrations):
        exact_law = st.vonmises(k) if k else st.uniform(-np.pi, 2 * np.pi)
        assert st.kstest(angles[:, i], exact_law.cdf).pvalue > 1e-6


def test_shapes_of_draws() -> None:
    key = random.PRNGKey(0)
    p = np.full((2, 3), 1 / 3, np.float32)
    assert util.categorical(key, p).shape == (2,) and util.multinomial(key, p, np.array([1, 5])).sum(-1).tolist() == [1, 5]
    assert util.binomial(key, np.float32(0.5)).shape == () and util.von_mises_centered(key, np.float32(1.0)).dtype == np.float32


@pytest.mark.parametrize("transposed", [False, True])
def test_rows_are_solved_in_batches_as_one_by_one(transposed):
    """Values and gradients of the substitution over a batch are those of LAPACK for each of its systems."""
    rng = np.random.default_rng(0)
    tril = np.tril(rng.normal(size=(3, 4, 4))) + 4 * np.eye(4)
    rows, weights = rng.normal(size=(2, 3, 2, 4))

    def loss(tril, rows, weights):
        return jnp.sum(weights * util.solve_rows(tril, rows, transposed=transposed))

    with jax.enable_x64(True):
        run = jax.jit(jax.value_and_grad(loss, (0, 1)))
        value, slopes = run(tril, rows, weights)
        single = [run(*args) for args in zip(tril, rows, weights)]
        np.testing.assert_allclose(value, sum(v for v, _ in single), rtol=1e-12)
        for i in range(2):
            np.testing.assert_allclose(slopes[i], np.stack([s[i] for _, s in single]), rtol=1e-10, atol=1e-14)
        solved = util.solve_rows(jnp.asarray(tril), jnp.asarray(rows), transposed=transposed)
    factors = tril.swapaxes(-1, -2) if transposed else tril
    np.testing.assert_allclose(solved, np.linalg.solve(factors, rows.swapaxes(-1, -2)).swapaxes(-1, -2), rtol=1e-12)
