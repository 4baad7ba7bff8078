"""Laws of counts and categories: what families have beyond the properties of the table."""

import functools
import itertools
import pickle
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import random
from scipy import stats
from table import chi_square

import ppl.distributions as dist

N_DRAWS = 4000
# false alarms: 6e-7 per comparison of a mean at five standard errors, 1e-6 per chi-square test
MAX_Z, MIN_P = 5.0, 1e-6


def counts(*shape: int) -> Any:
    return jax.ShapeDtypeStruct(shape, jnp.int32)


# accuracy ---------------------------------------------------------------------------------------------------------------

LARGE = {
    "Poisson": (dist.Poisson, ([1.0e6, 0.5, 120.0, 3.0e4], [1_000_500, 0, 100, 30_000])),
    "BinomialLogits": (dist.BinomialLogits, ([0.5, -0.25, 8.0, -9.0], [6_000, 440_000, 9_999, 0], [10_000, 1_000_000, 10_000, 10])),
    "BinomialProbs": (dist.BinomialProbs, ([0.625, 0.4375, 0.9990234375], [6_000, 440_000, 9_999], [10_000, 1_000_000, 10_000])),
    "NegativeBinomial2": (
        dist.NegativeBinomial2,
        ([90.0, 90.0, 1.0e4, 3.0e6], [100, 100, 9_000, 1_000_000], [1.0e10, 0.0009765625, 3.0, 5.0]),
    ),
    "NegativeBinomialLogits": (dist.NegativeBinomialLogits, ([3.0, 100.0], [10_000, 90], [8.0, -0.125])),
    "BetaBinomial": (
        dist.BetaBinomial,
        ([2.0, 1.0e6, 0.5], [5_000, 5_100, 10_000], [3.0, 1.0e6, 0.5], [10_000, 10_000, 10_000]),
    ),
    "BetaNegativeBinomial": (dist.BetaNegativeBinomial, ([2.0, 1.0e4], [1_000, 5], [3.0, 1.0e4], [4.0, 10.0])),
}


@pytest.mark.parametrize("name", LARGE)
def test_large_counts_and_concentrations_in_single_precision(name: str) -> None:
    make, (first, k, *rest) = LARGE[name]

    @jax.jit
    def run(first: Any, rest: Any, k: Any) -> Any:
        return jax.vmap(jax.value_and_grad(lambda p, r, k: make(p, *r).log_prob(k)))(first, rest, k)

    def at(dtype: Any) -> Any:
        return np.asarray(first, dtype), [np.asarray(r, dtype) for r in rest], np.asarray(k)

    log_prob, slope = map(np.asarray, run(*at(np.float32)))
    with jax.enable_x64(True):
        expected, expected_slope = map(np.asarray, run(*at(np.float64)))
    assert log_prob.dtype == np.float32
    np.testing.assert_allclose(log_prob, expected, rtol=1e-5, atol=2e-4)
    # relative to the terms that the slope is the difference of
    scale = np.asarray(k) / np.maximum(np.abs(first), 1e-3) + np.max([np.abs(r) for r in rest], axis=0, initial=0) * 0 + 1
    assert (np.abs(slope - expected_slope) < 1e-5 * scale * (np.asarray(k) + 10) ** 0.5).all()


def test_probabilities_near_one_keep_their_digits() -> None:
    def run(logits: Any, k: Any, n: Any) -> Any:
        def log_prob(logits: Any) -> Any:
            return dist.BinomialLogits(logits, n).log_prob(k)

        return log_prob(logits), jax.vmap(jax.grad(lambda x, k, n: dist.BinomialLogits(x, n).log_prob(k)))(logits, k, n)

    logits, k, n = np.float32([-1000, -20, 20, 1000, 1000]), np.array([0, 0, 300, 7, 0]), np.array([300, 10, 300, 7, 7])
    value, slope = jax.jit(run)(logits, k, n)
    small = np.exp(-20.0)
    np.testing.assert_allclose(value, [0, -10 * small, -300 * small, 0, -7000], rtol=1e-6, atol=1e-30)
    np.testing.assert_allclose(slope, [0, -10 * small, 300 * small, 0, -7], rtol=1e-6, atol=1e-30)


def test_distribution_functions_of_counts_in_single_precision() -> None:
    def run(large: Any, tiny: Any) -> Any:
        return (
            dist.Poisson(large * 2e-3).cdf(2000),
            dist.NegativeBinomial2(0.125, large).cdf(0),
            dist.NegativeBinomialProbs(large, tiny).cdf(1),
            dist.NegativeBinomialLogits(tiny, 90.0).cdf(10_000),
        )

    large, tiny = np.float32(1e6), np.float32(1e-6)
    expected = [
        stats.poisson.cdf(2000, 2e3),
        stats.nbinom.cdf(0, 1e6, 1e6 / (1e6 + 0.125)),
        stats.nbinom.cdf(1, 1e6, 1 - float(tiny)),
        np.exp(-float(tiny) * (90 - np.log(10_000))),
    ]
    np.testing.assert_allclose(jax.jit(run)(large, tiny), expected, rtol=3e-5)


def test_a_large_concentration_gives_the_poisson_law() -> None:
    k = np.arange(30)
    limit, mixed = jax.jit(lambda k: (dist.Poisson(9.0).log_prob(k), dist.NegativeBinomial2(9.0, 1e12).log_prob(k)))(k)
    np.testing.assert_allclose(mixed, limit, atol=1e-5)


EXTREME = [
    (dist.BernoulliLogits, 1e4, 0, -1e4, -1.0),
    (dist.BernoulliLogits, -1e4, 0, 0.0, 0.0),
    (dist.BinomialLogits, 1e4, 0, -1e4, -1.0),
    (dist.BinomialLogits, 1e4, 1, 0.0, 0.0),
    (dist.BinomialLogits, -3e38, 0, 0.0, 0.0),
    (dist.GeometricLogits, 1e4, 0, 0.0, 0.0),
    (dist.GeometricLogits, -1e4, 0, -1e4, 1.0),
    (dist.BernoulliProbs, 0.0, 0, 0.0, -1.0),
    (dist.BernoulliProbs, 1.0, 1, 0.0, 1.0),
    (dist.BinomialProbs, 0.0, 0, 0.0, -1.0),
    (dist.BinomialProbs, 1.0, 1, 0.0, 1.0),
    (dist.GeometricProbs, 1.0, 0, 0.0, 1.0),
    (dist.Poisson, 0.0, 0, 0.0, -1.0),
    (dist.Poisson, 1e-30, 1, -69.077553, 1e30),
    (lambda p: dist.NegativeBinomial2(p, 2.0), 0.0, 0, 0.0, -1.0),
    (lambda p: dist.NegativeBinomialProbs(2.0, p), 0.0, 0, 0.0, -2.0),
    (lambda p: dist.NegativeBinomialLogits(2.0, p), 500.0, 3, -998.613706, -2.0),
    (lambda p: dist.NegativeBinomialLogits(2.0, p), -500.0, 3, -1498.613706, 3.0),
    (lambda p: dist.ZeroInflatedPoisson(p, 3.0), 0.0, 0, -3.0, 19.085537),
    (lambda p: dist.ZeroInflatedPoisson(p, 3.0), 1.0, 0, 0.0, 0.950213),
    (lambda p: dist.ZeroInflatedLogits(dist.Poisson(300.0), p), -200.0, 0, -200.0, 1.0),
    (lambda p: dist.ZeroInflatedLogits(dist.Poisson(3.0), p), 200.0, 4, -201.783751, -1.0),
    (lambda p: dist.HurdlePoisson(0.5, p), 1e-3, 1, -0.693647, -0.499917),
    (lambda p: dist.OrderedLogistic(p, np.array([-1.0, 1.0])), 200.0, 0, -201.0, -1.0),
    (lambda p: dist.OrderedLogistic(p, np.array([-1.0, 1.0])), 200.0, 1, -199.145413, -1.0),
    (lambda p: dist.OrderedLogistic(p, np.array([-1.0, 1.0])), 200.0, 2, 0.0, 0.0),
]


@functools.cache
def extremes() -> tuple[Any, Any]:
    @jax.jit
    def run(params: Any) -> Any:
        return tuple(jax.value_and_grad(lambda p, m=make, k=k: m(p).log_prob(k))(p) for (make, _, k, *_), p in zip(EXTREME, params))

    return run(tuple(np.float32(p) for _, p, *_ in EXTREME))


@pytest.mark.parametrize("i", range(len(EXTREME)))
def test_values_and_gradients_at_extremes(i: int) -> None:
    value, slope = extremes()[i]
    np.testing.assert_allclose(value, EXTREME[i][3], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(slope, EXTREME[i][4], rtol=1e-3, atol=1e-5)


# trials and counts ------------------------------------------------------------------------------------------------------


def test_impossible_outcomes_have_no_probability_and_no_nan() -> None:
    @jax.jit
    def run(zero: Any, one: Any) -> Any:
        pairs = [
            (lambda p: dist.BernoulliProbs(p).log_prob(1), zero),
            (lambda p: dist.BernoulliProbs(p).log_prob(0), one),
            (lambda p: dist.BinomialProbs(p, 3).log_prob(2), zero),
            (lambda p: dist.Poisson(p).log_prob(2), zero),
            (lambda p: dist.NegativeBinomial2(p, 2.0).log_prob(2), zero),
            (lambda p: dist.ZeroInflatedPoisson(p, 2.0).log_prob(2), one),
        ]
        return [jax.value_and_grad(f)(p) for f, p in pairs]

    for value, slope in run(np.float32(0), np.float32(1)):
        assert value == -np.inf
        assert not np.isnan(slope)


def test_total_counts_may_differ() -> None:
    total = np.array([[3], [0], [12]])
    d = dist.BinomialLogits(np.array([0.3, -0.2], np.float32), total)
    b = dist.BetaBinomial(2.0, np.array([0.5, 3.0], np.float32), total)
    m = dist.MultinomialProbs(np.array([0.3, 0.7], np.float32), total[:, 0])

    @jax.jit
    def run(key: Any) -> Any:
        x = d.sample(key, (50,))
        return x, d.log_prob(x), b.log_prob(x), m.log_prob(np.array([[1, 2], [0, 0], [12, 0]]))

    x, *log_probs = run(random.key(0))
    assert x.shape == (50, 3, 2)
    assert (x <= total).all()
    assert all(np.isfinite(lp).all() for lp in log_probs)
    assert (np.asarray(log_probs[0])[:, 1] == 0).all()
    np.testing.assert_allclose(log_probs[0], stats.binom(total, np.asarray(jax.nn.sigmoid(d.logits))).logpmf(x), atol=1e-5)
    for one in (d, b):
        with pytest.raises(NotImplementedError, match="total_count.*3 different values"):
            one.enumerate_support()


def test_a_traced_total_count_cannot_be_enumerated() -> None:
    with pytest.raises(NotImplementedError, match="concrete `total_count`"):
        jax.eval_shape(lambda n: dist.BinomialProbs(0.5, n).enumerate_support(), counts())


def test_discrete_uniform_enumerates_its_values() -> None:
    d = dist.DiscreteUniform(2, 4)
    assert d.enumerate_support().tolist() == [2, 3, 4]
    assert d.expand((5,)).enumerate_support(expand=False).shape == (3, 1)
    with pytest.raises(NotImplementedError, match="`high`"):
        dist.DiscreteUniform(0, np.array([1, 2])).enumerate_support()
    with pytest.raises(ValueError, match="invalid high"):
        dist.DiscreteUniform(3, 2)


def test_discrete_uniform_quantiles_invert_the_distribution_function() -> None:
    low, high = np.array([-3, 0]), np.array([8, 999])
    k = np.array([[-3, 0], [0, 1], [4, 500], [8, 999]])
    cdf, back = jax.jit(lambda k: (lambda d: (d.cdf(k), d.icdf(d.cdf(k))))(dist.DiscreteUniform(low, high)))(k)
    np.testing.assert_allclose(cdf, stats.randint(low, high + 1).cdf(k), rtol=1e-6)
    np.testing.assert_array_equal(back, k)
    assert back.dtype == jnp.int32


def test_sparse_poisson_is_the_poisson_law_on_concrete_counts() -> None:
    k = np.array([0, 3, 0, 0, 7])
    rate = np.array([0.5, 1.0, 2.0, 3.0, 4.0], np.float32)
    sparse = dist.Poisson(rate, is_sparse=True)
    slopes = jax.grad(lambda r: dist.Poisson(r, is_sparse=True).log_prob(k).sum())(rate)
    np.testing.assert_allclose(sparse.log_prob(k), stats.poisson(rate).logpmf(k), rtol=1e-6)
    np.testing.assert_allclose(slopes, k / rate - 1, rtol=1e-6)
    np.testing.assert_allclose(dist.Poisson(2.0, is_sparse=True).log_prob(k), stats.poisson(2).logpmf(k), rtol=1e-6)
    with pytest.raises(TypeError, match="concrete"):
        jax.eval_shape(sparse.log_prob, counts(5))
    assert jax.tree.map(lambda x: x, sparse).is_sparse


@pytest.mark.parametrize("key", [random.PRNGKey(1), random.key(1, impl="rbg")], ids=["legacy", "rbg"])
def test_keys_of_every_kind_draw(key: Any) -> None:
    laws = (dist.Poisson(30.0), dist.BinomialProbs(0.5, 50), dist.CategoricalLogits(np.zeros(3)), dist.GeometricProbs(0.3))
    draws = jax.jit(lambda key: [d.sample(key, (3,)) for d in laws])(key)
    assert all(x.shape == (3,) and x.dtype == jnp.int32 and (x >= 0).all() for x in draws)


def test_poisson_draws_with_large_rates_have_the_right_spread() -> None:
    rate = np.array([1e4, 1e6, 3e7], np.float32)
    x = np.asarray(jax.jit(lambda key: dist.Poisson(rate).sample(key, (N_DRAWS,)))(random.key(3)), np.float64)
    z = (x - rate) / rate**0.5
    assert (np.abs(z.mean(0)) < MAX_Z / N_DRAWS**0.5).all()
    assert (np.abs(z.var(0) - 1) < MAX_Z * (2 / N_DRAWS) ** 0.5).all()


def test_probs_and_logits_come_from_each_other() -> None:
    probs = np.array([0.0, 1e-6, 0.4, 1.0], np.float32)
    bernoulli = dist.BernoulliProbs(probs)
    assert np.isfinite(bernoulli.logits).all()
    np.testing.assert_allclose(dist.BernoulliLogits(bernoulli.logits).probs, probs, rtol=1e-4, atol=2e-7)
    categorical = dist.CategoricalProbs(np.array([0.0, 0.4, 0.6], np.float32))
    np.testing.assert_allclose(dist.CategoricalLogits(categorical.logits).probs, categorical.probs, rtol=1e-6)
    negative = dist.NegativeBinomialLogits(2.0, 0.5)
    np.testing.assert_allclose(negative.rate, np.exp(-0.5), rtol=1e-6)
    assert isinstance(negative, dist.GammaPoisson)
    assert negative.concentration == 2.0
    np.testing.assert_allclose(dist.NegativeBinomialProbs(2.0, 0.25).rate, 3.0, rtol=1e-6)
    np.testing.assert_allclose(dist.NegativeBinomial2(np.array([2.0, 4.0]), 3.0).rate, [1.5, 0.75])
    np.testing.assert_allclose(dist.NegativeBinomial2(2, 3).mean, 2.0)


@pytest.mark.parametrize(
    "factory",
    [
        dist.Bernoulli,
        dist.Binomial,
        dist.Categorical,
        dist.Geometric,
        dist.Multinomial,
        lambda **kw: dist.NegativeBinomial(2.0, **kw),
        lambda **kw: dist.RelaxedBernoulli(1.0, **kw),
    ],
)
def test_factories_take_probs_or_logits(factory: Any) -> None:
    given = np.array([0.5, 0.5])
    assert type(factory(probs=given)) is not type(factory(logits=given)) or isinstance(
        factory(probs=given), dist.RelaxedBernoulliLogits
    )
    for arguments in ({}, {"probs": given, "logits": given}):
        with pytest.raises(ValueError, match="exactly one of `probs`, `logits`"):
            factory(**arguments)


# categories -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [3, 20])
def test_categories_of_a_batch_are_picked_by_row(size: int) -> None:
    logits = np.sin(np.arange(6 * size, dtype=np.float32)).reshape(2, 3, size)
    x = np.arange(12).reshape(4, 1, 3) % size
    table = np.asarray(jax.nn.log_softmax(logits))
    expected = np.take_along_axis(np.broadcast_to(table, (4, 2, 3, size)), np.broadcast_to(x, (4, 2, 3))[..., None], -1)[..., 0]
    d, p = dist.CategoricalLogits(logits), dist.CategoricalProbs(np.exp(table))

    @jax.jit
    def run(d: Any, p: Any, x: Any) -> Any:
        enumerated = d.log_prob(d.enumerate_support(expand=False))
        by_value = d.log_prob(jnp.arange(size).reshape(size, 1, 1))
        slope = jax.grad(lambda logits: dist.CategoricalLogits(logits).log_prob(x).sum())(d.logits)
        return d.log_prob(x), p.log_prob(x), enumerated, by_value, slope

    a, b, enumerated, by_value, slope = run(d, p, x)
    np.testing.assert_allclose(a, expected, rtol=1e-5)
    np.testing.assert_allclose(b, expected, rtol=1e-5)
    np.testing.assert_allclose(enumerated, np.moveaxis(table, -1, 0), rtol=1e-5)
    np.testing.assert_allclose(by_value, enumerated, rtol=1e-6)
    one_hot = (np.broadcast_to(x, (4, 2, 3))[..., None] == np.arange(size)).sum(0)
    np.testing.assert_allclose(slope, one_hot - 4 * np.exp(table), atol=1e-5)


@pytest.mark.parametrize("size", [3, 20])
def test_excluded_categories_have_no_probability_and_finite_gradients(size: int) -> None:
    logits = np.full(size, -np.inf, np.float32)
    logits[[0, 2]] = 0.0, 1.0
    x = np.array([0, 1, 2])

    @jax.jit
    def run(logits: Any, probs: Any) -> Any:
        def marginal(d: Any) -> Any:
            return jax.scipy.special.logsumexp(d.log_prob(x) + np.array([0.1, 0.2, 0.3], np.float32))

        value, by_logits = jax.value_and_grad(lambda v: marginal(dist.CategoricalLogits(v)))(logits)
        by_probs = jax.grad(lambda v: marginal(dist.CategoricalProbs(v)))(probs)
        d = dist.CategoricalLogits(logits)
        return d.log_prob(x), value, by_logits, by_probs, d.entropy(), d.sample(random.key(0), (200,))

    probs = np.where(np.isfinite(logits), np.exp(logits), 0) / (1 + np.e)
    log_prob, value, by_logits, by_probs, entropy, draws = run(logits, probs)
    np.testing.assert_allclose(log_prob, [-np.log1p(np.e), -np.inf, -np.log1p(1 / np.e)], rtol=1e-6)
    assert np.isfinite(value) and np.isfinite(by_logits).all() and np.isfinite(by_probs).all()
    np.testing.assert_allclose(entropy, stats.entropy([1, np.e]), rtol=1e-6)
    assert set(np.unique(draws)) == {0, 2}


def test_a_categorical_needs_an_axis_of_categories() -> None:
    for make, name in ((dist.CategoricalProbs, "probs"), (dist.CategoricalLogits, "logits"), (dist.MultinomialProbs, "probs")):
        with pytest.raises(ValueError, match=f"`{name}` must be at least one-dimensional"):
            make(0.5)
    with pytest.raises(ValueError, match="`cutpoints` must be at least one-dimensional"):
        dist.OrderedLogistic(0.5, 1.0)


@pytest.mark.parametrize(
    ("make", "name"),
    [
        (lambda: dist.Bernoulli(probs=2.0), "Bernoulli"),
        (lambda: dist.Categorical(), "Categorical"),
        (lambda: dist.Binomial(3, logits=np.nan), "Binomial"),
        (lambda: dist.Multinomial(3, probs=0.5), "Multinomial"),
        (lambda: dist.NegativeBinomial(-1.0, probs=0.5), "NegativeBinomial"),
        (lambda: dist.TruncatedNormal(0.0, -1.0, low=0.0), "TruncatedNormal"),
    ],
)
def test_errors_name_the_function_that_was_called(make: Any, name: str) -> None:
    with pytest.raises(ValueError) as info:
        make()
    assert f"in the call of {name}(...)" in info.value.__notes__


def test_ordered_logistic_is_a_categorical() -> None:
    d = dist.OrderedLogistic(np.array([0.4, -1.0]), np.array([-1.0, 0.3, 0.9]))
    assert isinstance(d, dist.CategoricalProbs)
    np.testing.assert_allclose(np.sum(d.probs, -1), 1.0, rtol=1e-6)
    np.testing.assert_allclose(d.log_prob(d.enumerate_support()), np.log(np.asarray(d.probs)).T, rtol=1e-5)
    np.testing.assert_allclose(d.entropy(), stats.entropy(np.asarray(d.probs), axis=-1), rtol=1e-5)
    two = dist.OrderedLogistic(0.3, np.array([0.0]))
    np.testing.assert_allclose(two.entropy(), stats.entropy(two.probs), rtol=1e-5)
    far = dist.OrderedLogistic(1e4, np.array([-1.0, 0.3]))
    assert far.entropy() == 0
    assert np.isfinite(jax.grad(lambda p: dist.OrderedLogistic(p, np.array([-1.0, 0.3])).entropy())(1e4))


# vectors of counts ------------------------------------------------------------------------------------------------------

N, K = 5, 3
COMPOSITIONS = np.array([c for c in itertools.product(range(N + 1), repeat=K) if sum(c) == N])
PROBS = np.array([0.2, 0.5, 0.3])
CONCENTRATION = np.array([0.7, 2.0, 3.5])
VECTORS = {
    "MultinomialProbs": (dist.MultinomialProbs, PROBS, stats.multinomial(N, PROBS)),
    "MultinomialLogits": (dist.MultinomialLogits, np.log(PROBS) - 3.0, stats.multinomial(N, PROBS)),
    "DirichletMultinomial": (dist.DirichletMultinomial, CONCENTRATION, stats.dirichlet_multinomial(CONCENTRATION, N)),
}


@pytest.mark.parametrize("name", VECTORS)
def test_vectors_of_counts(name: str) -> None:
    make, parameter, reference = VECTORS[name]
    expected = reference.logpmf(COMPOSITIONS)
    weights, wrong = np.cos(np.arange(len(COMPOSITIONS))), np.array([[6, 0, 0], [1, 1, 1], [-1, 3, 3]])

    @jax.jit
    def run(p: Any, key: Any, wrong: Any) -> Any:
        d = make(p, N)
        x = d.sample(key, (N_DRAWS,))
        slope = jax.grad(lambda p: make(p, N).log_prob(COMPOSITIONS) @ weights)(p)
        return d.log_prob(COMPOSITIONS), d.mean, d.variance, x, d.log_prob(wrong), slope

    with jax.enable_x64(True), jax.numpy_dtype_promotion("strict"), jax.numpy_rank_promotion("raise"):
        log_prob, mean, variance, x, wrong, slope = map(np.asarray, run(parameter, random.key(5), wrong))
        for i in range(K):
            up, down = (run(parameter + s * 1e-6 * np.eye(K)[i], random.key(5), wrong)[0] @ weights for s in (1, -1))
            np.testing.assert_allclose(slope[i], (up - down) / 2e-6, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(log_prob, expected, rtol=1e-10)
    np.testing.assert_allclose(np.exp(log_prob).sum(), 1.0, rtol=1e-10)
    assert (wrong == -np.inf).all()
    center = reference.mean() if name == "DirichletMultinomial" else N * PROBS
    np.testing.assert_allclose(mean, center, rtol=1e-10)
    np.testing.assert_allclose(variance, np.diag(reference.cov()), rtol=1e-10)
    assert (x.shape, x.dtype) == ((N_DRAWS, K), np.int64)
    code = (N + 1) ** np.arange(K)
    assert chi_square(x @ code, COMPOSITIONS @ code, np.exp(expected)) > MIN_P
    np.testing.assert_allclose(jax.jit(lambda p: make(p, N).log_prob(COMPOSITIONS))(np.float32(parameter)), expected, atol=5e-6)


@pytest.mark.parametrize("name", VECTORS)
def test_vectors_of_counts_as_values(name: str) -> None:
    make, parameter, _ = VECTORS[name]
    d = make(np.stack([parameter] * 2), np.array([[4], [7], [0]]))
    assert (d.batch_shape, d.event_shape) == ((3, 2), (K,))
    copy = pickle.loads(pickle.dumps(jax.tree.map(lambda x: x, d)))
    assert (copy.batch_shape, copy.event_shape) == ((3, 2), (K,))
    assert jax.eval_shape(d.log_prob, counts(5, 1, 1, K)).shape == (5, 3, 2)
    assert make.infer_shapes((2, K), (3, 1)) == ((3, 2), (K,))
    with pytest.raises(ValueError, match="event shape"):
        d.log_prob(np.ones(2))


@pytest.mark.parametrize("name", VECTORS)
def test_a_traced_total_count_needs_a_bound_to_draw(name: str) -> None:
    make, parameter, _ = VECTORS[name]
    key = random.key(0)
    with pytest.raises(ValueError, match="total_count_max"):
        jax.eval_shape(lambda n: make(parameter, n).sample(key), counts())
    assert jax.eval_shape(lambda n: make(parameter, n, total_count_max=9).sample(key), counts()).shape == (K,)
    assert jax.eval_shape(lambda n: make(parameter, n).log_prob(np.ones(K)), counts()).shape == ()
    with pytest.raises(ValueError, match="total_count_max=3 is below"):
        make(parameter, 4, total_count_max=3)


# gates ------------------------------------------------------------------------------------------------------------------


def test_gates_need_a_univariate_base() -> None:
    vectors = dist.MultinomialProbs(PROBS, 3)
    for make in (dist.ZeroInflatedDistribution, dist.HurdleDistribution):
        with pytest.raises(ValueError, match="event_shape"):
            make(vectors, gate=0.3)
        with pytest.raises(ValueError, match="exactly one of `gate`, `gate_logits`"):
            make(dist.Poisson(1.0))
        with pytest.raises(TypeError, match="base_dist must be a Distribution"):
            make(1.0, gate=0.3)
    with pytest.raises(ValueError, match="discrete base_dist.*HurdleDistribution"):
        dist.ZeroInflatedProbs(dist.Normal(0.0, 1.0), 0.3)
    with pytest.raises(ValueError, match="mean"):
        dist.HurdleNegativeBinomial2(0.3, 0.0, 2.0)


def test_a_gate_broadcasts_with_its_base() -> None:
    base = dist.Poisson(np.array([1.0, 2.0, 3.0], np.float32))
    gate = np.array([[0.2], [0.7]], np.float32)
    for make in (dist.ZeroInflatedProbs, dist.HurdleProbs):
        d = make(base, gate)
        assert d.batch_shape == (2, 3)
        with jax.numpy_rank_promotion("raise"):
            assert jax.eval_shape(d.log_prob, counts(4, 1, 1)).shape == (4, 2, 3)
            assert jax.eval_shape(lambda key, d=d: d.sample(key, (4,)), random.key(0)).shape == (4, 2, 3)
            assert jax.eval_shape(lambda d: (d.mean, d.variance), d)[1].shape == (2, 3)
    assert dist.ZeroInflatedProbs(dist.BernoulliProbs(0.3), 0.2).has_enumerate_support
    assert not dist.ZeroInflatedPoisson(0.3, 1.0).has_enumerate_support


@pytest.mark.parametrize(
    ("d", "reference"),
    [
        (dist.HurdleGamma(0.3, 2.5, 0.4), stats.gamma(2.5, 0, 2.5)),
        (dist.HurdleLogNormal(0.3, 0.3, 0.4), stats.lognorm(0.4, 0, np.exp(0.3))),
        (dist.HurdleLogits(dist.Normal(1.0, 2.0), np.log(0.3 / 0.7)), stats.norm(1, 2)),
    ],
    ids=["HurdleGamma", "HurdleLogNormal", "HurdleLogits-Normal"],
)
def test_a_hurdle_before_a_continuous_law(d: Any, reference: Any) -> None:
    x = np.array([0.0, 0.5, 2.0, 7.0], np.float32)

    @jax.jit
    def run(d: Any, key: Any) -> Any:
        slope = jax.grad(lambda d: d.log_prob(x).sum())(d)
        return d.log_prob(x), d.mean, d.variance, d.sample(key, (N_DRAWS,)), slope

    log_prob, mean, variance, draws, slope = run(d, random.key(11))
    np.testing.assert_allclose(log_prob, [np.log(0.3), *(np.log(0.7) + reference.logpdf(x[1:]))], rtol=1e-4)
    expected = 0.7 * reference.mean(), 0.7 * (reference.var() + reference.mean() ** 2) - (0.7 * reference.mean()) ** 2
    np.testing.assert_allclose((mean, variance), expected, rtol=1e-5)
    assert stats.binomtest(int((draws == 0).sum()), N_DRAWS, 0.3).pvalue > MIN_P
    assert stats.kstest(draws[draws != 0], reference.cdf).pvalue > MIN_P
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(slope))
    assert not d.is_discrete


# relaxation -------------------------------------------------------------------------------------------------------------


def test_the_relaxed_bernoulli_law() -> None:
    temperature, logits = 0.6, 0.8
    d = dist.RelaxedBernoulliLogits(temperature, logits)
    assert isinstance(d, dist.TransformedDistribution) and d.has_rsample

    @jax.jit
    def run(d: Any, key: Any) -> Any:
        x = d.rsample(key, (N_DRAWS,))
        slope = jax.grad(lambda d: d.rsample(key, (3,)).sum())(d)
        return x, d.log_prob(x), d.cdf(x), d.support(x), slope

    x, log_prob, cdf, inside, slope = (jax.tree.map(np.asarray, out) for out in run(d, random.key(2)))
    assert inside.all()
    # Maddison, Mnih & Teh (2017), equation 24
    a, t = np.exp(logits), temperature
    y = x.astype(np.float64)
    expected = np.log(t * a) - (t + 1) * (np.log(y) + np.log1p(-y)) - 2 * np.log(a * y**-t + (1 - y) ** -t)
    middle = (y > 1e-3) & (y < 1 - 1e-3)
    np.testing.assert_allclose(log_prob[middle], expected[middle], atol=1e-3)
    assert stats.kstest(cdf, "uniform").pvalue > MIN_P
    assert stats.binomtest(int((x > 0.5).sum()), N_DRAWS, 1 / (1 + np.exp(-logits))).pvalue > MIN_P
    assert len(jax.tree.leaves(d)) == 2
    assert all(np.isfinite(leaf) and leaf != 0 for leaf in jax.tree.leaves(slope))
    assert isinstance(dist.RelaxedBernoulli(0.5, probs=0.3), dist.RelaxedBernoulliLogits)
