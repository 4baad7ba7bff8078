"""What the property tests do not see: far tails, large parameters, edges, constants that fold, and truncation."""

import pickle
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import random
from scipy import special as sc
from scipy import stats

import ppl.distributions as dist
from ppl.distributions import random as draws
from ppl.distributions import special

MAX_Z = 5.0


def in_float64(function: Any, *args: Any) -> Any:
    with jax.enable_x64(True):
        return jax.tree.map(np.asarray, jax.jit(function)(*(np.asarray(a, np.float64) for a in args)))


def primitives(function: Any, *args: Any) -> list[str]:
    """The names of the operations in the traced function, those of inner functions included."""

    def names(jaxpr: Any) -> list[str]:
        out = []
        for eqn in jaxpr.eqns:
            inner = [p for p in eqn.params.values() if hasattr(p, "jaxpr")]
            out += [name for p in inner for name in names(p.jaxpr)] or [eqn.primitive.name]
        return out

    return names(jax.make_jaxpr(function)(*args).jaxpr)


# special functions ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("x64", "rtol"), [(False, 5e-7), (True, 2e-15)])
def test_angles_in_half_turns(x64: bool, rtol: float) -> None:
    dtype = np.float64 if x64 else np.float32
    x = np.concatenate([np.logspace(-30, 30, 61), np.linspace(0.5, 2.0, 301)]).astype(dtype)
    t = np.concatenate([np.logspace(-30, -1, 30), np.linspace(0.1, 0.5, 200, endpoint=False)]).astype(dtype)
    with jax.enable_x64(x64):
        functions = (special.angles.arctan, special.angles.arccot, special.angles.cot)
        (arctan, arccot, cot), slopes = jax.jit(
            lambda x, t: tuple(zip(*(jax.jvp(f, (y,), (jnp.ones_like(y),)) for f, y in zip(functions, (x, x, t)))))
        )(x, t)
        below = jax.jit(special.angles.arctan)(-x)
    wide, turns = x.astype(np.longdouble), t.astype(np.longdouble)
    pi = np.longdouble(np.pi) + np.longdouble(1.2246467991473532e-16)
    np.testing.assert_allclose(arctan, np.arctan(wide) / pi, rtol=rtol)
    np.testing.assert_allclose(below, -np.arctan(wide) / pi, rtol=rtol)
    np.testing.assert_allclose(arccot, np.arctan(1 / wide) / pi, rtol=rtol)
    np.testing.assert_allclose(cot, 1 / np.tan(pi * turns), rtol=rtol)
    with np.errstate(over="ignore"):
        expected = (1 / (pi * (1 + wide**2)), -1 / (pi * (1 + wide**2)), -pi / np.sin(pi * turns) ** 2)
        for slope, exact in zip(slopes, expected):
            np.testing.assert_allclose(slope, exact.astype(dtype), rtol=4 * rtol, atol=np.finfo(dtype).tiny)


@pytest.mark.parametrize(("dtype", "rtol"), [(np.float32, 5e-6), (np.float64, 1e-11)])
def test_the_normal_tail_and_its_inverse(dtype: Any, rtol: float) -> None:
    x = np.concatenate([-np.logspace(-2, 3.5, 60), [0.0, 0.5, 3.0, 5.0]]).astype(dtype)
    with jax.enable_x64(dtype == np.float64):
        log_p, slope = jax.jit(lambda x: (special.log_ndtr(x), jax.vmap(jax.grad(special.log_ndtr))(x)))(x)
        back = jax.jit(special.log_ndtr_inverse)(log_p[:60])
    np.testing.assert_allclose(log_p, sc.log_ndtr(x.astype(np.float64)), rtol=rtol)
    hazard = np.exp(-0.5 * x.astype(np.float64) ** 2 - 0.5 * np.log(2 * np.pi) - sc.log_ndtr(x.astype(np.float64)))
    np.testing.assert_allclose(slope, hazard, rtol=max(10 * rtol, 1e-6))
    np.testing.assert_allclose(back, x[:60], rtol=10 * rtol)


def test_incomplete_gamma_functions_and_their_derivatives() -> None:
    rng = np.random.default_rng(0)
    a, p = np.exp(rng.uniform(-3, 9, 400)), rng.uniform(size=400)
    x = sc.gammaincinv(a, p)

    def run(a: Any, p: Any, x: Any) -> Any:
        by_shape = jax.grad(lambda a, x: special.log_gammainc_pair(a, x)[0].sum())(a, x)
        quantile_slopes = jax.grad(lambda a, p: special.gammaincinv(a, p).sum(), (0, 1))(a, p)
        return special.gammaincinv(a, p), special.log_gammainc_pair(a, x), by_shape, quantile_slopes

    inverse, (log_p, log_q), by_shape, (by_a, by_p) = in_float64(run, a, p, x)
    np.testing.assert_allclose(inverse, x, rtol=1e-10)
    np.testing.assert_allclose(np.exp(log_p), sc.gammainc(a, x), rtol=1e-10)
    np.testing.assert_allclose(np.exp(log_q), sc.gammaincc(a, x), rtol=1e-10)
    h = 1e-5 * a
    difference = (np.log(sc.gammainc(a + h, x)) - np.log(sc.gammainc(a - h, x))) / (2 * h)
    np.testing.assert_allclose(by_shape, difference, rtol=1e-4, atol=1e-7)
    np.testing.assert_allclose(by_p, 1 / stats.gamma.pdf(x, a), rtol=1e-7)
    np.testing.assert_allclose(by_a, (sc.gammaincinv(a + h, p) - sc.gammaincinv(a - h, p)) / (2 * h), rtol=1e-4, atol=1e-6)


def test_incomplete_beta_functions_and_their_derivatives() -> None:
    rng = np.random.default_rng(1)
    a, b, p = np.exp(rng.uniform(-2, 8, 300)), np.exp(rng.uniform(-2, 8, 300)), rng.uniform(0.02, 0.98, size=300)
    a[:20], b[:20] = np.round(a[:20]) + 1, np.round(b[:20]) + 1  # where continued fractions terminate
    x = sc.betaincinv(a, b, p)

    def run(a: Any, b: Any, p: Any, x: Any) -> Any:
        slopes = jax.grad(lambda *args: special.betainc(*args).sum(), (0, 1, 2))(a, b, x)
        return special.betainc(a, b, x), special.betaincinv(a, b, p), slopes

    value, inverse, (by_a, by_b, by_x) = in_float64(run, a, b, p, x)
    np.testing.assert_allclose(value, sc.betainc(a, b, x), rtol=1e-9)
    np.testing.assert_allclose(inverse, x, rtol=1e-9)
    np.testing.assert_allclose(by_x, stats.beta.pdf(x, a, b), rtol=1e-7)
    h, k = 1e-5 * a, 1e-5 * b
    np.testing.assert_allclose(by_a, (sc.betainc(a + h, b, x) - sc.betainc(a - h, b, x)) / (2 * h), rtol=1e-4, atol=1e-7)
    np.testing.assert_allclose(by_b, (sc.betainc(a, b + k, x) - sc.betainc(a, b - k, x)) / (2 * k), rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize(("dtype", "rtol"), [(np.float32, 3e-5), (np.float64, 1e-9)])
def test_the_tail_of_student_t_for_any_degrees_of_freedom(dtype: Any, rtol: float) -> None:
    df, z = (v.ravel().astype(dtype) for v in np.meshgrid([0.3, 1, 2.5, 30, 1e3, 3e4, 1e7], [-1e3, -20, -3, -0.5, -1e-3, 0, 2]))
    expected = stats.t.logcdf(z.astype(np.float64), df.astype(np.float64))
    keep = np.isfinite(expected)
    lower = keep & (z < 0)

    def run(df: Any, z: Any, log_p: Any) -> Any:
        slopes = jax.grad(lambda *args: special.student_t_log_cdf(*args).sum(), (0, 1))(df, z)
        return special.student_t_log_cdf(df, z), slopes, special.student_t_log_cdf_inverse(df[lower], log_p)

    with jax.enable_x64(dtype == np.float64):
        log_p, slopes, back = jax.jit(run)(df, z, expected[lower].astype(dtype))
    np.testing.assert_allclose(np.asarray(log_p)[keep], expected[keep], rtol=rtol)
    assert all(np.isfinite(s).all() for s in slopes)
    np.testing.assert_allclose(back, z[lower], rtol=10 * rtol, atol=1e-6 if dtype == np.float32 else 1e-12)


def test_beta_function_and_stirling_remainder_fold_numbers() -> None:
    assert special.log_beta(2.0, 3.0) == pytest.approx(-np.log(12.0), abs=1e-14)
    assert special.log_beta(1e8, 0.5) == pytest.approx(sc.betaln(1e8, 0.5), rel=1e-13)
    a = np.logspace(-3, 2, 50)
    np.testing.assert_allclose(in_float64(special.log_beta, a, a[::-1]), sc.betaln(a, a[::-1]), rtol=1e-12)


# large parameters and far tails in float32 ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("d", "reference", "rtol"),
    [
        (dist.Gamma(np.float32(1e6), np.float32(1e3)), stats.gamma(1e6, 0, 1e-3), 2e-4),
        (dist.StudentT(np.float32(1e7)), stats.t(1e7), 1e-6),
        (dist.VonMises(np.float32(0.25), np.float32(1e6)), stats.norm(0.25, 1e-3), 1e-4),
        (dist.InverseGamma(np.float32(1e5), np.float32(1e5)), stats.invgamma(1e5, 0, 1e5), 2e-4),
    ],
    ids=["Gamma", "StudentT", "VonMises", "InverseGamma"],
)
def test_large_parameters_do_not_cancel(d: Any, reference: Any, rtol: float) -> None:
    x = reference.ppf([0.01, 0.3, 0.9]).astype(np.float32)
    np.testing.assert_allclose(
        jax.jit(lambda d, x: d.log_prob(x))(d, x), reference.logpdf(x.astype(np.float64)), rtol=rtol, atol=rtol
    )


def test_far_tails_have_finite_densities_and_gradients() -> None:
    families = [dist.Normal, dist.Cauchy, dist.Laplace, dist.Logistic, dist.SoftLaplace]
    z = jnp.array([-1e4, -300.0, 300.0, 1e4])

    @jax.jit
    def run(loc: Any, scale: Any) -> Any:
        makers = [*families, lambda loc, scale: dist.StudentT(4.0, loc, scale)]
        return [
            jax.value_and_grad(lambda loc, scale, z, m=m: (m(loc, scale).log_prob(z) + m(loc, scale).log_cdf(z)).sum(), (0, 1, 2))(
                loc, scale, z
            )
            for m in makers
        ]

    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(run(0.5, 2.0)))


def test_small_shapes_and_unequal_sides_keep_their_digits() -> None:
    def run(tiny: Any, million: Any) -> Any:
        return [
            special.log_gammainc_pair(tiny, 0.0625 + 0.0 * tiny)[1],
            dist.InverseGamma(tiny).cdf(8.0),
            jnp.log(dist.InverseGamma(tiny).icdf(tiny * 2.0)),
            dist.Beta(million, million).log_prob(0.5),
            dist.AsymmetricLaplace(0.0, tiny, 2.0**-10).cdf(0.0),
            dist.AsymmetricLaplace(0.0, 1024.0, 2.0**-10).icdf(tiny + 2.0**-20 / (1 + 2.0**-20)),
            dist.DoublyTruncatedPowerLaw(63.0, 1.0, 2.0).icdf(tiny * 2.0**-30),
        ]

    tiny, million = 2.0**-20, 2.0**20
    expected = [
        np.log(tiny * sc.exp1(0.0625)),
        tiny * sc.exp1(0.125),
        -np.log(0.0823720296),  # exp1 is 2 there
        stats.beta.logpdf(0.5, million, million),
        2.0**-20 / (1 + 2.0**-20),
        -(2.0**20) * np.log1p(-tiny * (1 + 2.0**-20)),
        np.exp(np.log1p(tiny * 2.0**-30 * (2.0**64 - 1)) / 64),
    ]
    for value, exact in zip(jax.jit(run)(np.float32(tiny), np.float32(million)), expected):
        np.testing.assert_allclose(value, exact, rtol=1e-5)
    by_shape = jax.jit(jax.grad(lambda a: special.log_gammainc_pair(a, 0.0625 + 0.0 * a)[1]))(np.float32(tiny))
    np.testing.assert_allclose(by_shape, 1 / tiny, rtol=1e-4)


# edges ------------------------------------------------------------------------------------------------------------------


def test_densities_and_quantiles_at_the_ends() -> None:
    def run(zero: Any, one: Any) -> Any:
        return [
            dist.Beta(1.0, 1.0).log_prob(zero),
            dist.Beta(1.0, 3.0).log_prob(one),
            dist.Gamma(1.0, 2.0).log_prob(zero),
            dist.Gamma(2.0, 2.0).log_prob(zero),
            dist.Exponential(2.0).log_prob(zero),
            dist.Gamma(2.0).icdf(zero),
            dist.Gamma(2.0).icdf(one),
            dist.Beta(2.0, 0.5).icdf(one),
            dist.Normal().icdf(zero),
            dist.StudentT(3.0).icdf(one),
            dist.HalfCauchy().icdf(one),
            dist.InverseGamma(2.0).cdf(zero),
        ]

    inf = np.inf
    expected = [0.0, -inf, np.log(2), -inf, np.log(2), 0.0, inf, 1.0, -inf, inf, inf, 0.0]
    np.testing.assert_allclose(jax.jit(run)(0.0, 1.0), expected, rtol=1e-6, atol=1e-6)


def test_moments_that_do_not_exist() -> None:
    infinite = [dist.HalfCauchy(), dist.Pareto(1.0, 0.5), dist.InverseGamma(0.5)]
    assert all(d.mean == np.inf and d.variance == np.inf for d in infinite)
    assert np.isnan(dist.Cauchy().mean)
    assert np.isnan(dist.Cauchy().variance)
    d = dist.StudentT(np.array([0.5, 1.5, 3.0]))
    np.testing.assert_array_equal(d.mean, [np.nan, 0.0, 0.0])
    np.testing.assert_allclose(d.variance, [np.inf, np.inf, 3.0], rtol=1e-6)


def test_numbers_lists_and_integers_are_parameters() -> None:
    d = dist.Normal(0, [1, 2])
    assert d.batch_shape == (2,)
    assert d.log_prob(1).dtype == d.mean.dtype == d.sample(random.key(0)).dtype == jnp.float32
    with jax.enable_x64(True):
        d = dist.Gamma(np.float32(2.0), np.float32(3.0))
        assert jax.eval_shape(d.sample, random.key(0)).dtype == jnp.float32
        assert jax.eval_shape(d.log_prob, np.float32(1.0)).dtype == jnp.float32
        assert jax.eval_shape(dist.Gamma(2.0, 3.0).sample, random.key(0)).dtype == jnp.float64


def test_relatives_are_instances_and_name_their_parameters() -> None:
    chi2, proportion = dist.Chi2(5.0), dist.BetaProportion(0.25, 8.0)
    assert isinstance(chi2, dist.Gamma)
    assert (chi2.concentration, chi2.rate) == (2.5, 0.5)
    assert isinstance(proportion, dist.Beta)
    assert (proportion.concentration1, proportion.concentration0) == (2.0, 6.0)
    assert proportion.get_args() == {"mean": 0.25, "concentration": 8.0}
    assert pickle.loads(pickle.dumps(proportion)).mean == 0.25
    with pytest.raises(ValueError, match=r"^BetaProportion distribution got invalid mean parameter\.$"):
        dist.BetaProportion(1.0, 8.0)
    for d in (dist.LogNormal(), dist.InverseGamma(2.0), dist.Pareto(1.0, 2.0), dist.LogUniform(1.0, 2.0)):
        assert isinstance(d, dist.TransformedDistribution)


# cost -------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("d", "most"),
    [
        (dist.Normal(), 3),
        (dist.Normal(1.0, 2.0), 6),
        (dist.StudentT(3.0), 6),
        (dist.HalfCauchy(5.0), 8),
        (dist.HalfNormal(2.0), 8),
        (dist.Exponential(2.0), 6),
        (dist.Gamma(2.0, 3.0), 14),
        (dist.Beta(2.0, 3.0), 16),
        (dist.Uniform(0.0, 1.0), 8),
    ],
    ids=lambda v: type(v).__name__ if isinstance(v, dist.Distribution) else str(v),
)
def test_numbers_fold_into_few_operations(d: Any, most: int) -> None:
    names = primitives(d.log_prob, jax.ShapeDtypeStruct((10,), np.float32))
    assert len(names) <= most, names
    assert "lgamma" not in names


# draws ------------------------------------------------------------------------------------------------------------------


def test_draws_of_gamma_like_families_are_differentiable() -> None:
    n = 4000

    def means(theta: Any) -> Any:
        keys = random.split(random.key(3), 4)
        draws = [
            dist.Gamma(theta[0], theta[1]).rsample(keys[0], (n,)),
            dist.Beta(theta[0], theta[1]).rsample(keys[1], (n,)),
            dist.InverseGamma(theta[0] + 3.0, theta[1]).rsample(keys[2], (n,)),
            dist.StudentT(theta[0] + 5.0, theta[1], 1.0).rsample(keys[3], (n,)) ** 2,
        ]
        return jnp.stack(draws)

    theta = jnp.array([2.5, 1.5])
    tangents = np.asarray(jax.jit(lambda theta: jax.jvp(means, (theta,), (jnp.array([1.0, 0.0]),))[1])(theta))
    # derivatives of E x along the first parameter; of E x^2 for Student's t, whose variance is df / (df - 2)
    exact = np.array([1 / 1.5, 1.5 / 16.0, -1.5 / 4.5**2, -2 / 5.5**2])
    error = np.std(tangents, axis=1) / np.sqrt(n)
    assert np.all(np.abs(np.mean(tangents, axis=1) - exact) < MAX_Z * error)


def test_directions_are_wrapped() -> None:
    d = dist.VonMises(np.float32(20.0), np.float32(4.0))
    x = np.asarray(jax.jit(lambda d, key: d.sample(key, (4000,)))(d, random.key(0)), np.float64)
    assert np.all((x >= -np.pi) & (x < np.pi))
    direction = np.mean(np.exp(1j * x))
    assert abs(np.angle(direction) - float(d.mean)) < MAX_Z * 0.5 / np.sqrt(4000)
    assert float(d.mean) == pytest.approx(20.0 - 6 * np.pi, abs=1e-5)
    assert abs(1 - abs(direction) - float(d.variance)) < MAX_Z * np.std(np.cos(x - 20.0)) / np.sqrt(4000)
    assert not d.has_rsample


# truncation -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scale", [1.0, 1e-3])
@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_truncation_forty_deviations_from_the_mean(scale: float, sign: float) -> None:
    near, far = sign * 40.0 * scale, sign * 41.0 * scale
    one = dist.TruncatedNormal(0.0, scale, low=near) if sign > 0 else dist.TruncatedNormal(0.0, scale, high=near)
    two = dist.TruncatedNormal(0.0, scale, low=min(near, far), high=max(near, far))

    @jax.jit
    def run(d: Any, key: Any) -> Any:
        x = d.sample(key, (2000,))
        slopes = jax.grad(lambda d, x: d.log_prob(x).mean(), (0, 1))(d, x)
        moved = jax.jvp(lambda d: d.sample(key), (d,), (jax.tree.map(jnp.ones_like, d),))[1]
        return x, d.log_prob(x), d.mean, d.variance, (slopes, moved)

    expected_mean, expected_variance = stats.truncnorm(40.0, 41.0).mean(), 1 / 40.0**2 - 6 / 40.0**4 + 50 / 40.0**6
    for d in (one, two):
        x, log_prob, mean, variance, slopes = run(jax.tree.map(jnp.float32, d), random.key(0))
        assert np.all(d.support(np.asarray(x)))
        assert np.isfinite(log_prob).all()
        assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(slopes))
        np.testing.assert_allclose(mean, sign * scale * expected_mean, rtol=1e-6)
        np.testing.assert_allclose(variance, scale**2 * expected_variance, rtol=2e-4)
        assert abs(np.asarray(x, np.float64).mean() - mean) < MAX_Z * np.sqrt(variance / 2000)


@pytest.mark.parametrize(
    "base", [dist.Normal(), dist.Cauchy(), dist.Laplace(), dist.Logistic(), dist.SoftLaplace(0.0, 1.0), dist.StudentT(3.0)]
)
def test_truncation_to_a_short_interval(base: Any) -> None:
    def run(x: Any) -> Any:
        at_zero, from_zero = dist.TruncatedDistribution(base, 0.0, 1e-3), dist.TruncatedDistribution(base, 0.0)
        aside = dist.TruncatedDistribution(base, 2e-3, 3e-3)
        far = dist.TruncatedDistribution(base, np.float32(30.0), np.nextafter(np.float32(30.0), np.float32(31.0)))
        slope = jax.grad(lambda low: dist.TruncatedDistribution(base, low, 3e-3).log_prob(2.5e-3))(2e-3)
        return at_zero.cdf(x), at_zero.icdf(1e3 * x), aside.log_prob(2.5e-3), slope, far.log_prob(30.0), from_zero.icdf(x)

    x = np.float32(1e-6)
    cdf, icdf, log_density, slope, far, quantile = jax.jit(run)(x)
    density = float(np.exp(base.log_prob(0.0)))
    np.testing.assert_allclose([cdf, icdf], [1e-3, 1e-6], rtol=1e-3 if isinstance(base, dist.Laplace) else 2e-6)
    np.testing.assert_allclose([log_density, slope], [np.log(1e3), 1e3], rtol=1e-3)
    np.testing.assert_allclose(log_density, np.log(1e3), rtol=1e-6)
    np.testing.assert_allclose(quantile, x / (2 * density), rtol=3e-6)
    assert abs(far - np.log(2.0**19)) < 2


@pytest.mark.parametrize(
    "base", [dist.Normal(), dist.Cauchy(), dist.Laplace(), dist.Logistic(), dist.SoftLaplace(0.0, 1.0), dist.StudentT(3.0)]
)
def test_draws_of_truncated_laws_are_quantiles_wherever_the_bounds_lie(base: Any) -> None:
    """Of the uniform numbers of the same key, up to the digits that draws do without, with derivatives that are finite."""
    bounds = np.array([-np.inf, -1e4, -30.0, -1.0, 0.0, 0.5, 3.0, 30.0, 1e4], np.float32)
    low, high = bounds[:-1], np.append(bounds[1:-1], np.inf).astype(np.float32)

    @jax.jit
    def run(key: Any, low: Any, high: Any) -> Any:
        out = []
        for kind, args in (
            (dist.LeftTruncatedDistribution, (low,)),
            (dist.RightTruncatedDistribution, (high,)),
            (dist.TwoSidedTruncatedDistribution, (low, high)),
        ):
            d = kind(base, *args)

            def bounded(args: Any, kind: Any = kind) -> Any:
                x = kind(base, *args).sample(key, (50,))
                return jnp.tanh(x).sum(), x

            slopes, x = jax.grad(bounded, has_aux=True)(args)
            out.append((x, d.icdf(draws.open_uniform(key, (50, len(low)))), d.support(x), slopes))
        return out

    for x, quantile, inside, slopes in run(random.key(1), low, high):
        np.testing.assert_allclose(x, quantile, rtol=2e-5, atol=2e-6)
        assert np.all(inside)
        assert all(np.isfinite(leaf).all() for leaf in slopes)


def test_truncated_gamma_moments_far_in_both_tails() -> None:
    def run(low: Any, high: Any) -> Any:
        left, right = dist.LeftTruncatedGamma(dist.Gamma(2.0, 1.0), low), dist.RightTruncatedGamma(dist.Gamma(300.0, 1.0), high)
        return left.mean, left.variance, right.mean, right.variance, left.icdf(0.5), right.icdf(0.5)

    # x | x > l has density (x) exp(-x) / ((1 + l) exp(-l)); x | x < h is near h Beta(300, 1)
    low = 200.0
    mean = (low**2 + 2 * low + 2) / (low + 1)
    out = [float(v) for v in jax.jit(run)(jnp.float32(low), jnp.float32(10.0))]
    quad = stats.gamma(300.0)
    grid = np.linspace(5.0, 10.0, 200_001)
    weight = np.exp(quad.logpdf(grid) - quad.logpdf(10.0))
    right_mean = np.average(grid, weights=weight)
    right_variance = np.average((grid - right_mean) ** 2, weights=weight)
    variance = (low**3 + 3 * low**2 + 6 * low + 6) / (low + 1) - mean**2
    np.testing.assert_allclose(out[:4], [mean, variance, right_mean, right_variance], rtol=1e-4)
    assert low < out[4] < low + 1
    assert 9.9 < out[5] < 10.0


def test_the_factory_chooses_by_the_bounds() -> None:
    base = dist.Laplace(0.0, 1.0)
    assert dist.TruncatedDistribution(base) is base
    assert dist.TruncatedDistribution(base, -np.inf, np.inf) is base
    assert type(dist.TruncatedDistribution(base, low=0.0)) is dist.LeftTruncatedDistribution
    assert type(dist.TruncatedDistribution(base, high=0.0)) is dist.RightTruncatedDistribution
    both = dist.TruncatedDistribution(base, 0.0, np.ones(3))
    assert type(both) is dist.TwoSidedTruncatedDistribution
    assert both.batch_shape == (3,)
    assert repr(both.support).startswith("Interval(lower_bound=0.0")
    assert type(dist.TruncatedCauchy(low=0.0)) is dist.LeftTruncatedDistribution
    assert type(dist.TruncatedGamma(2.0, 1.0, low=1.0, high=2.0)) is dist.TwoSidedTruncatedGamma
    assert type(dist.TruncatedGamma(2.0)) is dist.Gamma
    with pytest.raises(TypeError, match="LeftTruncatedDistribution truncates Normal, .* but base_dist is of type Gamma"):
        dist.TruncatedDistribution(dist.Gamma(2.0), low=0.0)
    with pytest.raises(TypeError, match="LeftTruncatedGamma truncates Gamma and Chi2"):
        dist.LeftTruncatedGamma(dist.Normal(), 0.0)
    with pytest.raises(NotImplementedError, match="moments of a truncated Laplace"):
        _ = both.mean


def test_bounds_and_base_are_leaves_that_gradients_reach() -> None:
    d = dist.TruncatedNormal(0.5, 2.0, low=-1.0, high=3.0)
    assert sorted(jax.tree.leaves(d)) == [-1.0, 0.5, 2.0, 3.0]
    assert d.has_rsample
    gradient = in_float64(jax.grad(lambda low: dist.TruncatedNormal(0.5, 2.0, low=low, high=3.0).log_prob(1.0)), -1.0)
    z = (-1.0 - 0.5) / 2.0
    assert gradient == pytest.approx(stats.norm.pdf(z) / 2.0 / (stats.norm.cdf(1.25) - stats.norm.cdf(z)), rel=1e-10)
    # at the median, where the bound changes its side
    gradient = in_float64(jax.grad(lambda low: dist.TruncatedNormal(0.5, 2.0, low=low, high=3.0).log_prob(1.0)), 0.5)
    assert gradient == pytest.approx(stats.norm.pdf(0.0) / 2.0 / (stats.norm.cdf(1.25) - 0.5), rel=1e-10)
