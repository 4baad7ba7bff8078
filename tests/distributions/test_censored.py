"""Censored observations, and the tails on which they rest."""

import pickle
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

import ppl.distributions as dist
from ppl.distributions.tails import log_tails

FAMILIES = {
    "Normal": (dist.Normal(0.5, 2.0), stats.norm(0.5, 2.0)),
    "StudentT": (dist.StudentT(3.5, 0.5, 2.0), stats.t(3.5, 0.5, 2.0)),
    "Exponential": (dist.Exponential(0.5), stats.expon(0, 2.0)),
    "Weibull": (dist.Weibull(2.0, 1.5), stats.weibull_min(1.5, 0, 2.0)),
    "Gompertz": (dist.Gompertz(0.3, 0.5), stats.gompertz(0.3, 0, 2.0)),
    "Gamma": (dist.Gamma(2.5, 0.4), stats.gamma(2.5, 0, 2.5)),
    "InverseGamma": (dist.InverseGamma(2.5, 4.0), stats.invgamma(2.5, 0, 4.0)),
    "LogNormal": (dist.LogNormal(0.3, 0.8), stats.lognorm(0.8, 0, np.exp(0.3))),
    "Pareto": (dist.Pareto(1.5, 2.0), stats.pareto(2.0, 0, 1.5)),
    "Gumbel": (dist.Gumbel(0.5, 2.0), stats.gumbel_r(0.5, 2.0)),
}
POINTS = np.array([-40.0, -1.0, 0.0, 0.4, 1.6, 5.0, 60.0])


@pytest.mark.parametrize("name", FAMILIES)
def test_tails_are_those_of_scipy(name: str) -> None:
    """Both logarithms, also where one is of the order of -1e3.

    Gumbel, without a rule of its own, is exact near the middle only; of Gompertz SciPy has no far tail.
    """
    d, reference = FAMILIES[name]
    with jax.enable_x64(True):
        points = POINTS[1:6] if name in ("Gumbel", "Gompertz") else POINTS
        below, above = jax.jit(log_tails)(d, points)
    with np.errstate(divide="ignore"):
        np.testing.assert_allclose(below, reference.logcdf(points), rtol=1e-8, atol=1e-13)
        np.testing.assert_allclose(above, reference.logsf(points), rtol=1e-8, atol=1e-13)


def test_tails_of_wrapped_distributions() -> None:
    d = dist.Normal(0.0, 1.0).expand((2, 3))
    assert float(log_tails(d, -30.0)[0]) == pytest.approx(stats.norm.logcdf(-30.0), rel=1e-6)
    folded = dist.TransformedDistribution(dist.Normal(0.0, 1.0), dist.transforms.AffineTransform(1.0, np.array([-2.0, 3.0])))
    below, above = log_tails(folded, 25.0)
    reference = stats.norm(1.0, [2.0, 3.0])
    np.testing.assert_allclose(below, reference.logcdf(25.0), rtol=1e-5)
    np.testing.assert_allclose(above, reference.logsf(25.0), rtol=1e-5)


@pytest.mark.parametrize("name", FAMILIES)
def test_one_sided_censoring(name: str) -> None:
    """Exact values have the density, bounds the tail, and gradients by the parameters are finite everywhere."""
    base, reference = FAMILIES[name]
    x, flags = np.array([2.0, 2.0, 60.0]), np.array([False, True, True])
    for kind, tail in ((dist.LeftCensoredDistribution, reference.logcdf), (dist.RightCensoredDistribution, reference.logsf)):
        if name in ("Gumbel", "Gompertz"):
            x = x[:2]
            flags = flags[:2]
        with jax.enable_x64(True):
            d = kind(base, flags)
            slopes = jax.jit(jax.grad(lambda d, x: d.log_prob(x).sum(), allow_int=True))(d, x)
            out = d.log_prob(x)
        np.testing.assert_allclose(out, np.where(flags, tail(x), reference.logpdf(x)), rtol=1e-8, atol=1e-12)
        leaves = [leaf for leaf in jax.tree.leaves(slopes) if leaf.dtype == np.float64]
        assert leaves and all(np.isfinite(leaf).all() for leaf in leaves)


def test_interval_censoring() -> None:
    """Of a normal law: an interval, one far in a tail, a short one, an exact value, both sides, and the outside."""
    low = np.array([-1.0, 30.0, 0.1, 0.7, 1.0, 1.0, -2.0])
    high = np.array([2.0, 31.0, 0.1 + 1e-9, 0.7, 2.0, 2.0, 1.5])
    left = np.array([0, 0, 0, 0, 1, 0, 1])
    right = np.array([0, 0, 0, 0, 0, 1, 1])
    z = stats.norm
    expected = [
        np.log(z.cdf(2.0) - z.cdf(-1.0)),
        z.logsf(30.0) + np.log1p(-np.exp(z.logsf(31.0) - z.logsf(30.0))),
        z.logpdf(0.1) + np.log(high[2] - low[2]),
        z.logpdf(0.7),
        z.logcdf(2.0),
        z.logsf(1.0),
        np.log(z.cdf(-2.0) + z.sf(1.5)),
    ]
    value = np.stack([low, high], -1)
    with jax.enable_x64(True):
        d = dist.IntervalCensoredDistribution(dist.Normal(0.0, 1.0), left, right)
        np.testing.assert_allclose(d.log_prob(value), expected, rtol=1e-9)
        slopes = jax.grad(lambda loc: _interval(loc, left, right).log_prob(value).sum())(0.0)
        step = 1e-5
        ends = [_interval(s * step, left, right).log_prob(value).sum() for s in (1, -1)]
        np.testing.assert_allclose(slopes, (ends[0] - ends[1]) / (2 * step), rtol=1e-6)
    masks = d._get_censoring_masks(value)
    np.testing.assert_array_equal(np.sum(masks, 0), np.ones(7))
    single = dist.IntervalCensoredDistribution(dist.Normal(0.0, 1.0), False, False)
    got = single.log_prob(jnp.array([0.5, 0.5 + 1e-5], jnp.float32))
    width = np.float32(0.5 + 1e-5) - np.float32(0.5)
    assert float(got) == pytest.approx(z.logpdf(0.5) + np.log(width), rel=1e-5)
    assert single.log_prob(jnp.array([2.0, 1.0])) == -np.inf


def _interval(loc: Any, left: np.ndarray, right: np.ndarray) -> dist.Distribution:
    return dist.IntervalCensoredDistribution(dist.Normal(loc, 1.0), left, right)


def test_interval_censoring_of_counts_excludes_the_lower_end() -> None:
    d = dist.IntervalCensoredDistribution(dist.Poisson(3.0), False, False)
    assert float(d.log_prob(jnp.array([1, 4]))) == pytest.approx(np.log(stats.poisson(3.0).pmf([2, 3, 4]).sum()), rel=1e-5)


def test_shapes_draws_and_copies() -> None:
    flags = np.array([[True], [False]])
    d = dist.RightCensoredDistribution(dist.Weibull(np.ones(3), 2.0), flags)
    assert (d.batch_shape, d.event_shape) == ((2, 3), ())
    assert d.sample(jax.random.key(0), (4,)).shape == (4, 2, 3)
    assert d.log_prob(jnp.ones((5, 1, 1))).shape == (5, 2, 3)
    assert d.has_rsample and d.support is dist.constraints.positive
    interval = dist.IntervalCensoredDistribution(dist.Normal(np.zeros(3), 1.0), flags, False)
    assert (interval.batch_shape, interval.event_shape) == ((2, 3), (2,))
    x = interval.sample(jax.random.key(0), (4,))
    assert x.shape == (4, 2, 3, 2) and interval.log_prob(x).shape == (4, 2, 3)
    for distribution in (d, interval):
        copy = pickle.loads(pickle.dumps(distribution))
        assert jax.tree.structure(copy) == jax.tree.structure(distribution)
    mapped = jax.vmap(lambda flag: dist.LeftCensoredDistribution(dist.Normal(0.0, 1.0), flag).log_prob(0.3))(flags[:, 0])
    np.testing.assert_allclose(mapped, [stats.norm.logcdf(0.3), stats.norm.logpdf(0.3)], rtol=1e-5)


@pytest.mark.parametrize("kind", [dist.LeftCensoredDistribution, dist.RightCensoredDistribution])
def test_errors_name_what_is_wrong(kind: Any) -> None:
    with pytest.raises(TypeError, match="VonMises has no cdf"):
        kind(dist.VonMises(0.0, 1.0), True, validate_args=True)
    with pytest.raises(ValueError, match="Dirichlet, has event_shape"):
        kind(dist.Dirichlet(np.ones(3)), True)
    with pytest.raises(TypeError, match="needs a distribution as base_dist, but got float"):
        kind(1.0, True)
    for validate in (True, False):
        with pytest.raises(ValueError, match=f"{kind.__name__} distribution got invalid censored parameter"):
            kind(dist.Normal(0.0, 1.0), np.array([0.0, 0.5]), validate_args=validate)
        with pytest.raises(TypeError, match="invalid censored parameter"):
            kind(dist.Normal(0.0, 1.0), "no", validate_args=validate)
    with pytest.raises(ValueError, match="invalid right_censored parameter"):
        dist.IntervalCensoredDistribution(dist.Normal(0.0, 1.0), True, 2)
