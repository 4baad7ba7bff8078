"""Mixtures of one batched distribution and of lists of distributions."""

import pickle
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import random
from scipy import stats

import ppl.distributions as dist
from ppl.distributions import constraints

N_DRAWS = 4000
# false alarms: 1e-6 per Kolmogorov-Smirnov or binomial test, 6e-7 per comparison of a mean at five standard errors
MIN_P, MAX_Z = 1e-6, 5.0
WEIGHTS = np.array([0.2, 0.5, 0.3], np.float32)
LOC = np.array([-2.0, 0.5, 3.0], np.float32)
SCALE = np.array([0.5, 1.0, 2.0], np.float32)
X = np.array([-3.0, 0.0, 0.7, 9.0], np.float32)


def categorical(kind: str = "probs", weights: Any = WEIGHTS) -> Any:
    return dist.Categorical(probs=weights) if kind == "probs" else dist.Categorical(logits=np.log(weights) + np.float32(1.5))


def same() -> Any:
    return dist.MixtureSameFamily(categorical("logits"), dist.Normal(LOC, SCALE))


def general() -> Any:
    return dist.MixtureGeneral(categorical(), [dist.Normal(loc, scale) for loc, scale in zip(LOC, SCALE)])


def log_density(x: Any, weights: Any = WEIGHTS) -> Any:
    return np.log((weights * stats.norm.pdf(np.asarray(x, float)[..., None], LOC, SCALE)).sum(-1))


@pytest.mark.parametrize("make", [same, general], ids=["same", "general"])
def test_a_mixture_of_normals(make: Any) -> None:
    @jax.jit
    def run(d: Any, key: Any) -> dict[str, Any]:
        x, (index,) = d.sample_with_intermediates(key, (N_DRAWS,))
        return {
            "log_prob": d.log_prob(X),
            "components": d.component_log_probs(X),
            "with_index": d.log_prob(x[:4], [index[:4]]) - d.log_prob(x[:4]),
            "cdf": d.cdf(X),
            "drawn_cdf": d.cdf(x),
            "mean": d.mean,
            "variance": d.variance,
            "index": index,
            "draws": x,
            "component_draws": d.component_sample(key, (5,)),
            "slope": jax.grad(lambda x: d.log_prob(x).sum())(jnp.asarray(X)),
        }

    d = make()
    out = jax.tree.map(np.asarray, run(d, random.key(7)))
    parts = stats.norm.logpdf(X[:, None].astype(float), LOC, SCALE) + np.log(WEIGHTS)
    np.testing.assert_allclose(out["log_prob"], log_density(X), rtol=1e-5)
    np.testing.assert_allclose(out["components"], parts, rtol=1e-5)
    np.testing.assert_allclose(out["with_index"], 0)
    np.testing.assert_allclose(out["cdf"], stats.norm.cdf(X[:, None], LOC, SCALE) @ WEIGHTS, rtol=1e-5)
    mean = WEIGHTS @ LOC
    np.testing.assert_allclose(out["mean"], mean, rtol=1e-5)
    np.testing.assert_allclose(out["variance"], WEIGHTS @ (SCALE**2 + LOC**2) - mean**2, rtol=1e-5)
    responsibility = np.exp(parts - log_density(X)[:, None])
    np.testing.assert_allclose(out["slope"], (responsibility * (LOC - X[:, None]) / SCALE**2).sum(-1), rtol=1e-4)
    assert stats.kstest(out["drawn_cdf"], "uniform").pvalue > MIN_P
    assert stats.binomtest(int((out["index"] == 1).sum()), N_DRAWS, 0.5).pvalue > MIN_P
    chosen = out["draws"][out["index"] == 0]
    assert abs(chosen.mean() - LOC[0]) < MAX_Z * SCALE[0] / len(chosen) ** 0.5
    assert out["component_draws"].shape == (5, 3)
    assert (d.mixture_size, d.mixture_dim, d.batch_shape, d.event_shape) == (3, -1, (), ())
    assert d.support is constraints.real
    assert not d.has_rsample


def test_gradients_by_the_parameters_of_a_mixture() -> None:
    def same_family(logits: Any, loc: Any) -> Any:
        return dist.MixtureSameFamily(dist.CategoricalLogits(logits), dist.Normal(loc, SCALE)).log_prob(X)

    def listed(logits: Any, loc: Any) -> Any:
        return dist.MixtureGeneral(dist.CategoricalLogits(logits), [dist.Normal(loc[i], SCALE[i]) for i in range(3)]).log_prob(X)

    @jax.jit
    def run(logits: Any, loc: Any) -> Any:
        return [jax.grad(lambda *args, f=f: f(*args).sum(), (0, 1))(logits, loc) for f in (same_family, listed)]

    (by_logits, by_loc), other = run(np.log(WEIGHTS), LOC)
    responsibility = np.exp(stats.norm.logpdf(X[:, None], LOC, SCALE) + np.log(WEIGHTS) - log_density(X)[:, None])
    np.testing.assert_allclose(by_logits, (responsibility - WEIGHTS).sum(0), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(by_loc, (responsibility * (X[:, None] - LOC) / SCALE**2).sum(0), rtol=1e-4, atol=1e-5)
    for a, b in zip((by_logits, by_loc), other):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


def test_where_no_component_has_density_there_is_none_and_no_nan() -> None:
    weights = np.array([0.0, 1.0, 0.0], np.float32)

    @jax.jit
    def run(x: Any, loc: Any, weights: Any) -> Any:
        def bounded(x: Any, loc: Any, weights: Any) -> Any:
            d = dist.MixtureSameFamily(dist.CategoricalProbs(weights), dist.Exponential(loc))
            g = dist.MixtureGeneral(dist.CategoricalProbs(weights), [dist.Exponential(loc[i]) for i in range(3)])
            return d.log_prob(x), g.log_prob(x)

        values = bounded(x, loc, weights)
        slopes = [jax.grad(lambda *args, i=i: bounded(*args)[i].sum(), (0, 1, 2))(x, loc, weights) for i in range(2)]
        return values, slopes

    x = np.array([-1.0, 2.0], np.float32)
    values, slopes = run(x, SCALE, weights)
    for value in values:
        np.testing.assert_allclose(value, [-np.inf, -2.0])
    for slope in slopes:
        assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(slope))
        np.testing.assert_allclose(slope[0][1], -1.0)


def test_batches_of_mixtures_broadcast() -> None:
    weights = np.stack([WEIGHTS, WEIGHTS[::-1]])[:, None]
    loc = np.stack([LOC, LOC + 1, LOC + 2, LOC + 3])
    d = dist.MixtureSameFamily(dist.CategoricalProbs(weights), dist.Normal(loc, SCALE))
    g = dist.MixtureGeneral(dist.CategoricalProbs(weights), [dist.Normal(loc[:, i], SCALE[i]) for i in range(3)])
    with jax.numpy_dtype_promotion("strict"), jax.numpy_rank_promotion("raise"):
        for mixture in (d, g):
            assert mixture.batch_shape == (2, 4)
            x = jax.ShapeDtypeStruct((5, 1, 4), jnp.float32)
            assert jax.eval_shape(mixture.log_prob, x).shape == (5, 2, 4)
            assert jax.eval_shape(mixture.cdf, x).shape == (5, 2, 4)
            assert jax.eval_shape(mixture.log_prob, jax.ShapeDtypeStruct((), jnp.float32)).shape == (2, 4)
            assert jax.eval_shape(mixture.component_log_probs, x).shape == (5, 2, 4, 3)
            assert jax.eval_shape(lambda key, m=mixture: m.component_sample(key, (7,)), random.key(0)).shape == (7, 2, 4, 3)
            drawn = jax.eval_shape(lambda key, m=mixture: m.sample_with_intermediates(key, (7,)), random.key(0))
            assert (drawn[0].shape, drawn[1][0].shape) == ((7, 2, 4), (7, 2, 4))
            assert jax.eval_shape(lambda m: (m.mean, m.variance), mixture)[1].shape == (2, 4)
            wide = mixture.expand((6, 2, 4)).to_event(1)
            assert jax.eval_shape(lambda key, w=wide: w.sample(key), random.key(0)).shape == (6, 2, 4)
            assert jax.eval_shape(wide.log_prob, jax.ShapeDtypeStruct((4,), jnp.float32)).shape == (6, 2)
            assert jax.eval_shape(mixture.mask(np.array([[True], [False]])).log_prob, x).shape == (5, 2, 4)
    a, b = jax.jit(lambda d, g: (d.log_prob(X), g.log_prob(X)))(d, g)
    np.testing.assert_allclose(a, b, rtol=1e-5)
    np.testing.assert_allclose(np.asarray(a)[0, 0], log_density(X)[0], rtol=1e-5)


@pytest.mark.parametrize("listed", [False, True])
def test_mixtures_of_vectors(listed: bool) -> None:
    loc = np.stack([LOC, LOC + 2]).astype(np.float32)
    weights = categorical(weights=WEIGHTS[:2] / WEIGHTS[:2].sum())
    parts = [dist.Normal(row, SCALE).to_event(1) for row in loc] if listed else dist.Normal(loc, SCALE).to_event(1)
    d = dist.Mixture(weights, parts)
    assert isinstance(d, dist.MixtureGeneral if listed else dist.MixtureSameFamily)
    assert (d.batch_shape, d.event_shape, d.mixture_dim) == ((), (3,), -2)
    assert d.support.event_dim == 1

    @jax.jit
    def run(d: Any, key: Any) -> Any:
        x = d.sample(key, (6,))
        return x, d.log_prob(x), d.mean, d.variance, d.component_sample(key), d.component_log_probs(x), d.component_mean

    x, log_prob, mean, variance, components, terms, means = map(np.asarray, run(d, random.key(1)))
    w = WEIGHTS[:2] / WEIGHTS[:2].sum()
    expected = np.log(w) + stats.norm.logpdf(x[:, None, :], loc, SCALE).sum(-1)
    np.testing.assert_allclose(terms, expected, rtol=1e-4)
    np.testing.assert_allclose(log_prob, np.logaddexp(*expected.T), rtol=1e-5)
    np.testing.assert_allclose(mean, w @ loc, rtol=1e-5)
    np.testing.assert_allclose(variance, SCALE**2 + w[0] * w[1] * 4, rtol=1e-5)
    assert components.shape == means.shape == (2, 3)
    with pytest.raises(ValueError, match="event shape"):
        d.log_prob(np.zeros(2))


def test_components_of_different_supports() -> None:
    parts = [dist.Normal(0.0, 1.0), dist.Exponential(1.0), dist.Uniform(2.0, 4.0)]
    with pytest.raises(ValueError, match="same support.*support="):
        dist.MixtureGeneral(categorical(), parts)
    d = dist.MixtureGeneral(categorical(), parts, support=constraints.real)
    assert d.support is constraints.real

    @jax.jit
    def run(d: Any, x: Any) -> Any:
        slope = jax.grad(lambda d, x: d.log_prob(x).sum(), (0, 1))(d, x)
        return d.log_prob(x), slope

    x = np.array([-1.5, 0.5, 3.0], np.float32)
    expected = stats.norm.pdf(x) * 0.2 + stats.expon.pdf(x) * 0.5 + stats.uniform(2, 2).pdf(x) * 0.3
    value, slope = run(d, x)
    np.testing.assert_allclose(value, np.log(expected), rtol=1e-5)
    np.testing.assert_allclose(d.log_prob(x), np.log(expected), rtol=1e-5)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(slope))


def test_mixtures_of_counts() -> None:
    same_family = dist.MixtureSameFamily(categorical(), dist.BernoulliProbs(np.array([0.1, 0.5, 0.8], np.float32)))
    listed = dist.MixtureGeneral(categorical(), [dist.BinomialProbs(p, 2) for p in (0.1, 0.5, 0.8)])
    for d, n in ((same_family, 1), (listed, 2)):
        assert d.is_discrete and d.has_enumerate_support
        k = np.arange(n + 1)
        np.testing.assert_array_equal(d.enumerate_support(), k)
        assert d.expand((4,)).enumerate_support(expand=False).shape == (n + 1, 1)
        expected = stats.binom.pmf(k[:, None], n, [0.1, 0.5, 0.8]) @ WEIGHTS
        np.testing.assert_allclose(np.exp(jax.jit(lambda d, k: d.log_prob(k))(d, k)), expected, rtol=1e-5)
        assert jax.eval_shape(lambda d, key: d.sample(key, (5,)), d, random.key(0)).dtype == jnp.int32


@pytest.mark.parametrize("make", [same, general], ids=["same", "general"])
def test_mixtures_are_values(make: Any) -> None:
    d = make()
    for copy in (jax.tree.map(lambda x: x, d), pickle.loads(pickle.dumps(d))):
        assert type(copy) is type(d)
        assert jax.tree.structure(copy) == jax.tree.structure(d)
        for a, b in zip(jax.tree.leaves(copy), jax.tree.leaves(d)):
            np.testing.assert_array_equal(a, b)
        assert copy.mixture_size == 3
    assert jax.make_jaxpr(lambda: make().expand((2, 3)).to_event(1).shape())().eqns == []
    mapped = jax.vmap(lambda loc: dist.MixtureSameFamily(categorical(), dist.Normal(loc, 1.0)).log_prob(0.3))
    assert jax.eval_shape(mapped, jax.ShapeDtypeStruct((7, 3), jnp.float32)).shape == (7,)


def test_mistakes_are_explained() -> None:
    weights = categorical()
    with pytest.raises(ValueError, match="must be a Categorical, but got Normal"):
        dist.MixtureSameFamily(dist.Normal(0.0, 1.0), dist.Normal(LOC, 1.0))
    with pytest.raises(ValueError, match="mixture size 3.*batch shape \\(\\)"):
        dist.MixtureSameFamily(weights, dist.Normal(0.0, 1.0))
    with pytest.raises(ValueError, match="ParameterFreeConstraint, but found Interval"):
        dist.MixtureSameFamily(weights, dist.Uniform(0.0, SCALE))
    with pytest.raises(ValueError, match="ParameterFreeConstraint, but found IntegerInterval"):
        dist.MixtureSameFamily(weights, dist.BinomialProbs(WEIGHTS, 4))
    with pytest.raises(ValueError, match="expected 3, got 1"):
        dist.MixtureGeneral(weights, [dist.Normal(0.0, 1.0)])
    with pytest.raises(ValueError, match="list of distributions"):
        dist.MixtureGeneral(weights, dist.Normal(LOC, 1.0))
    with pytest.raises(ValueError, match="same event shape"):
        dist.MixtureGeneral(weights, [dist.Normal(0.0, 1.0), dist.Normal(0.0, 1.0), dist.Dirichlet(LOC + 3)])
    with pytest.raises(ValueError, match="a Distribution or a list"):
        dist.Mixture(weights, 3.0)


def test_a_mixture_in_double_precision() -> None:
    with jax.enable_x64(True), jax.numpy_dtype_promotion("strict"):
        d = dist.MixtureSameFamily(
            categorical(weights=WEIGHTS.astype(float) / WEIGHTS.astype(float).sum()),
            dist.Normal(LOC.astype(float), SCALE.astype(float)),
        )
        value = jax.jit(lambda d, x: d.log_prob(x))(d, X.astype(float))
        assert value.dtype == np.float64
        np.testing.assert_allclose(value, log_density(X, WEIGHTS.astype(float) / WEIGHTS.astype(float).sum()), rtol=1e-12)
