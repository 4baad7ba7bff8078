"""The Polya-Gamma law: its density against its series and its mass, draws against its transform, the ends of its support."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import random
from scipy import stats

from ppl.distributions import TruncatedPolyaGamma, constraints

ODD = 2.0 * np.arange(200) + 1
SIGN = (-1.0) ** np.arange(200)


pytestmark = pytest.mark.usefixtures("float64_and_strict")


def survival(x: Any) -> np.ndarray:
    """`P(X > x)` of PG(1, 0), by the integral of the series for large `x`."""
    x = np.asarray(x)[..., None]
    return (SIGN * 4 / (np.pi * ODD) * np.exp(-0.5 * (np.pi * ODD) ** 2 * x)).sum(-1)


def test_density() -> None:
    """Both series with many terms, mass one, a smooth seam, and the gradient against finite differences."""
    nodes, weights = np.polynomial.legendre.leggauss(400)
    x = 1.25 + 1.25 * nodes
    seam = np.array([0.16 - 1e-9, 0.16 + 1e-9])

    @jax.jit
    def compute(x: Any, seam: Any) -> Any:
        d = TruncatedPolyaGamma()
        slopes = jax.vmap(jax.grad(d.log_prob))(x)
        return d.log_prob(x), slopes, d.log_prob(x + 1e-7) - d.log_prob(x - 1e-7), d.log_prob(seam)

    log_prob, slopes, differences, at_seam = jax.tree.map(np.asarray, compute(x, seam))
    np.testing.assert_allclose(1.25 * weights @ np.exp(log_prob), 1.0, rtol=1e-12)
    low, high = x[x < 0.5, None], x[x > 0.05, None]
    by_small = (SIGN * ODD * np.exp(-(ODD**2) / (8 * low) + 1 / (8 * low))).sum(-1) / np.sqrt(2 * np.pi * low[:, 0] ** 3)
    by_large = 2 * np.pi * (SIGN * ODD * np.exp(-0.5 * (np.pi * ODD) ** 2 * high)).sum(-1)
    log_mass = np.log1p(-survival(2.5))
    np.testing.assert_allclose(log_prob[x < 0.5], np.log(by_small) - 1 / (8 * low[:, 0]) - log_mass, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(log_prob[x > 0.05], np.log(by_large) - log_mass, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(at_seam[0], at_seam[1], atol=1e-7)
    np.testing.assert_allclose(slopes[5:-5], differences[5:-5] / 2e-7, rtol=1e-6, atol=1e-6)


def test_draws() -> None:
    """The distribution function, and the transform `E exp(-t x) = 1 / cosh(sqrt(t / 2))`."""
    n = 20_000
    d = TruncatedPolyaGamma((2,))
    x = np.asarray(jax.jit(lambda key: d.sample(key, (n,)))(random.key(0)))
    assert x.shape == (n, 2) and x.min() > 0 and x.max() <= 2.5
    assert np.all(d.support(x))
    for column in x.T:
        assert stats.kstest(1 - survival(column), "uniform").pvalue > 1e-6
    for t in (0.5, 3.0, 20.0):
        values = np.exp(-t * x.ravel())
        assert abs(values.mean() - 1 / np.cosh(np.sqrt(t / 2))) < 5 * values.std() / (2 * n) ** 0.5


def test_ends_of_the_support_float32() -> None:
    d = TruncatedPolyaGamma()
    x = np.array([0.0, -1.0, 3.0, 1e-30, 1e-9, 1e-3, 0.01, 2.5], np.float32)
    log_prob, slope = jax.jit(jax.vmap(jax.value_and_grad(d.log_prob)))(x)
    assert log_prob.dtype == np.float32
    assert np.all(log_prob[:3] == -np.inf) and np.all(np.isfinite(log_prob[3:]))
    assert not np.isnan(slope).any() and np.all(np.isfinite(slope[4:]))
    assert np.all(slope[4:7] > 0) and slope[7] < 0


def test_shapes_and_attributes() -> None:
    d = TruncatedPolyaGamma((3,))
    assert (d.batch_shape, d.event_shape, d.has_rsample) == ((3,), (), True)
    assert (d.truncation_point, d.num_log_prob_terms, d.num_gamma_variates) == (2.5, 7, 8)
    assert d.support == constraints.interval(0.0, 2.5) and TruncatedPolyaGamma().batch_shape == ()
    value = jax.ShapeDtypeStruct((4, 1), np.float64)
    assert jax.eval_shape(d.log_prob, value).shape == (4, 3)
    assert jax.eval_shape(d.log_prob, jax.ShapeDtypeStruct((), np.float64)).shape == (3,)
    assert jax.eval_shape(lambda k: d.expand((2, 3)).to_event(1).rsample(k, (5,)), random.key(0)).shape == (5, 2, 3)
    assert jax.tree.leaves(d) == [] and jax.tree.map(jnp.sin, d).batch_shape == (3,)
    with pytest.warns(UserWarning, match="TruncatedPolyaGamma"):
        d.log_prob(np.full(3, 2.6))
