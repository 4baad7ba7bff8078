"""Directions on the circle, the sphere and the torus: densities against quadrature and other formulas, draws, large parameters."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import random
from scipy import special as sc
from scipy import stats

from ppl.distributions import (
    Normal,
    ProjectedNormal,
    SineBivariateVonMises,
    SineSkewed,
    Uniform,
    VonMises,
    constraints,
    promote_batch_shape,
    vmap_over,
)

RNG = np.random.default_rng(0)
# two-sided false alarms: 6e-7 per comparison of a mean at five standard errors, 1e-6 per test of fit
MAX_Z, MIN_P = 5.0, 1e-6


pytestmark = pytest.mark.usefixtures("float64_and_strict")


def unit_vectors(n: int, d: int) -> np.ndarray:
    x = RNG.normal(size=(n, d))
    return x / np.linalg.norm(x, axis=-1, keepdims=True)


# ProjectedNormal --------------------------------------------------------------------------------------------------------

CENTERS = np.array([[0.0, 0.0, 0.0], [1.0, -0.5, 0.2], [-3.0, 4.0, 1.0], [0.0, 8.0, -6.0]])


def sphere_rule(d: int) -> tuple[np.ndarray, np.ndarray]:
    """Points and weights of a quadrature over the circle or the sphere."""
    angle = 2 * np.pi * np.arange(200) / 200
    circle = np.stack([np.cos(angle), np.sin(angle)], -1)
    if d == 2:
        return circle, np.full(200, 2 * np.pi / 200)
    height, weights = np.polynomial.legendre.leggauss(80)
    ring = np.sqrt(1 - height**2)[:, None, None] * circle
    points = np.concatenate([ring, np.broadcast_to(height[:, None, None], (80, 200, 1))], -1)
    return points.reshape(-1, 3), np.repeat(weights * 2 * np.pi / 200, 200)


def radial_log_density(x: np.ndarray, center: np.ndarray) -> np.ndarray:
    """`log int_0^inf r^(d - 1) N(r x; center, I) dr` by Gauss and Legendre's rule in `r`."""
    d = x.shape[-1]
    along = x @ center
    nodes, weights = np.polynomial.legendre.leggauss(200)
    start = np.maximum(along - 10, 0.0)
    width = np.where(along > 0, along + 10 - start, np.minimum(10.0, 60 / np.maximum(-along, 1e-3)))
    r = start[:, None] + width[:, None] * (0.5 + 0.5 * nodes)
    exponent = (d - 1) * np.log(r) - 0.5 * r**2 + r * along[:, None] - 0.5 * center @ center
    return sc.logsumexp(exponent, b=0.5 * weights * width[:, None], axis=-1) - 0.5 * d * np.log(2 * np.pi)


@pytest.mark.parametrize("d", [2, 3])
def test_projected_normal(d: int) -> None:
    """The density is the radial integral and has mass one; draws have its mean vector."""
    centers, n = CENTERS[:, :d], 4000
    points, weights = sphere_rule(d)

    @jax.jit
    def compute(centers: Any, x: Any, key: Any) -> Any:
        law = ProjectedNormal(centers)
        return law.log_prob(x[:, None]), law.sample(key, (n,)), law.mean

    log_prob, draws, mean = jax.tree.map(np.asarray, compute(centers, points, random.key(d)))
    assert draws.shape == (n, 4, d) and log_prob.shape == (len(points), 4)
    assert np.all(constraints.sphere(draws))
    np.testing.assert_allclose(weights @ np.exp(log_prob), 1.0, rtol=1e-8)
    np.testing.assert_allclose(mean[1:], centers[1:] / np.linalg.norm(centers[1:], axis=-1, keepdims=True), rtol=1e-12)
    np.testing.assert_allclose(mean[0], np.full(d, d**-0.5), rtol=1e-12)
    few = np.arange(0, len(points), 37)
    for i, center in enumerate(centers):
        np.testing.assert_allclose(log_prob[few, i], radial_log_density(points[few], center), rtol=1e-9, atol=1e-9)
        vector = (weights * np.exp(log_prob[:, i])) @ points
        assert np.all(abs(draws[:, i].mean(0) - vector) < MAX_Z * draws[:, i].std(0) / n**0.5)


@pytest.mark.parametrize("d", [2, 3])
def test_projected_normal_in_every_direction_float32(d: int) -> None:
    """Along, across, against and between, up to concentrations of 1e4: as accurate as the width allows, with finite gradients."""
    along = np.eye(d)[0]
    across = np.eye(d)[1]
    x = np.stack([along, -along, across, 0.6 * along + 0.8 * across, -0.8 * along + 0.6 * across])
    centers = np.array([0.0, 2.0, 3.0, 30.0, 1e4])[:, None, None] * along

    def slopes(centers: Any, x: Any) -> Any:
        def density(centers: Any, x: Any) -> Any:
            log_prob = ProjectedNormal(centers).log_prob(x)
            return log_prob.sum(), log_prob

        return jax.value_and_grad(density, (0, 1), has_aux=True)(centers, x)

    (_, log_prob), grads = jax.jit(slopes)(*(a.astype(np.float32) for a in (np.tile(centers, (1, 5, 1)), np.tile(x, (5, 1, 1)))))
    with jax.enable_x64(True):
        (_, exact), exact_grads = jax.jit(slopes)(np.tile(centers, (1, 5, 1)), np.tile(x, (5, 1, 1)))
    assert log_prob.dtype == np.float32
    np.testing.assert_allclose(log_prob, exact, rtol=1e-5, atol=1e-5)
    # in the direction of x the gradient is that of an extension, and means nothing
    np.testing.assert_allclose(grads[0], exact_grads[0], rtol=1e-4, atol=1e-2)
    assert np.isfinite(grads[1]).all()


def test_projected_normal_of_other_dimensions() -> None:
    law = ProjectedNormal(np.ones(4))
    assert np.all(constraints.sphere(law.sample(random.key(0), (5,))))
    with pytest.raises(NotImplementedError, match=r"dimensions 2 and 3, but the dimension is 4.*ProjectedNormalReparam"):
        law.log_prob(np.full(4, 0.5))
    assert law.has_rsample


# SineBivariateVonMises --------------------------------------------------------------------------------------------------

# weak, one mode, none of the interaction, two modes, nearly flat, two narrow modes, one narrow mode
SINE = {
    "phi_loc": np.array([0.0, 3.0, -1.0, 0.5, 0.2, 3.1, -3.1]),
    "psi_loc": np.array([0.0, -3.0, 2.0, -0.5, 0.1, 1.0, 3.1]),
    "phi_concentration": np.array([0.1, 5.0, 2.0, 1.5, 6.0, 1e3, 900.0]),
    "psi_concentration": np.array([0.3, 3.0, 4.0, 2.0, 1.5, 2e3, 1500.0]),
    "correlation": np.array([-0.2, 2.5, 0.0, -6.0, 3.0, 1800.0, -700.0]),
}
MODERATE = 5  # so many of them are resolved by a coarse grid


def centered(x: Any, *locs: Any) -> np.ndarray:
    """Angles around their locations, in [-pi, pi)."""
    return (np.asarray(x) - np.stack(locs, -1) + np.pi) % (2 * np.pi) - np.pi


def singh_log_norm(k1: float, k2: float, c: float) -> float:
    """`C = 4 pi^2 sum_m binom(2m, m) (c^2 / (4 k1 k2))^m I_m(k1) I_m(k2)`, the series of Singh, Hnizdo & Demchuk."""
    m = np.arange(3000)
    with np.errstate(divide="ignore"):
        bessel = np.log(sc.ive(m, k1)) + np.log(sc.ive(m, k2))
    terms = sc.gammaln(2 * m + 1) - 2 * sc.gammaln(m + 1) + sc.xlogy(m, c**2 / (4 * k1 * k2)) + bessel
    return float(np.log(4 * np.pi**2) + sc.logsumexp(terms) + k1 + k2)


def torus_grid(n: int) -> np.ndarray:
    """Midpoints of `n` by `n` squares, in an array of shape `(n, n, 2)`."""
    angle = -np.pi + 2 * np.pi * (np.arange(n) + 0.5) / n
    return np.stack(np.meshgrid(angle, angle, indexing="ij"), -1)


def fits_squares(draws: np.ndarray, log_density: np.ndarray, bins: int = 6) -> bool:
    """A chi-squared test of angles in [-pi, pi) against a density on a fine grid."""
    fine = len(log_density) // bins
    mass = np.exp(log_density).reshape(bins, fine, bins, fine).sum((1, 3)).ravel()
    edges = np.linspace(-np.pi, np.pi, bins + 1)
    counts = np.histogram2d(draws[:, 0], draws[:, 1], [edges, edges])[0].ravel()
    expected = mass / mass.sum() * len(draws)
    # squares with few expected draws join the smallest of the others
    rare = expected < 5
    smallest = np.argmin(np.where(rare, np.inf, expected))
    for x in (counts, expected):
        x[smallest] += x[rare].sum()
    counts, expected = counts[~rare], expected[~rare]
    return stats.chi2.sf(((counts - expected) ** 2 / expected).sum(), len(counts) - 1) > MIN_P


def test_sine_model() -> None:
    """The density against the formula and the series of its constant; draws against the density."""
    law = SineBivariateVonMises(**SINE)
    grid, n = torus_grid(120), 5000

    @jax.jit
    def compute(law: Any, x: Any, key: Any) -> Any:
        return law.log_prob(x), law.norm_const, law.sample(key, (n,)), law.mean

    moved = grid[..., None, :] + np.stack([SINE["phi_loc"], SINE["psi_loc"]], -1)
    log_prob, norm, draws, mean = jax.tree.map(np.asarray, compute(law, moved, random.key(0)))
    k1, k2, c = SINE["phi_concentration"], SINE["psi_concentration"], SINE["correlation"]
    np.testing.assert_allclose(norm, [singh_log_norm(*args) for args in zip(k1, k2, c)], rtol=1e-11)
    u, v = grid[..., 0, None], grid[..., 1, None]
    expected = k1 * np.cos(u) + k2 * np.cos(v) + c * np.sin(u) * np.sin(v) - norm
    np.testing.assert_allclose(log_prob, expected, rtol=1e-9, atol=1e-9)
    mass = np.exp(log_prob).mean((0, 1)) * 4 * np.pi**2
    np.testing.assert_allclose(mass[:MODERATE], 1.0, rtol=1e-10)
    np.testing.assert_allclose(mean, np.stack([SINE["phi_loc"], SINE["psi_loc"]], -1), rtol=1e-12)
    assert draws.shape == (n, 7, 2) and draws.min() >= -np.pi and draws.max() < np.pi
    around = centered(draws, SINE["phi_loc"], SINE["psi_loc"])
    for i in range(MODERATE):
        assert fits_squares(around[:, i], log_prob[:, :, i]), i
    for i in range(MODERATE, 7):
        check_narrow_draws(around[:, i], k1[i], k2[i], c[i])


def check_narrow_draws(draws: np.ndarray, k1: float, k2: float, c: float) -> None:
    """The marginal law of `phi` by its distribution function, and that of `psi` given `phi`, which is about normal."""
    grid = np.linspace(-np.pi, np.pi, 100_001)
    spread = np.hypot(k2, c * np.sin(grid))
    density = np.exp(k1 * np.cos(grid) + spread - (k1 * np.cos(grid) + spread).max()) * sc.i0e(spread)
    cumulative = np.cumsum(density) / density.sum()
    u, v = draws.T
    assert stats.kstest(np.interp(u, grid, cumulative), "uniform").pvalue > MIN_P
    residual = v - np.arctan2(c * np.sin(u), k2)
    residual = (residual + np.pi) % (2 * np.pi) - np.pi
    assert stats.kstest(residual * np.sqrt(np.hypot(k2, c * np.sin(u))), "norm").pvalue > MIN_P


def test_weighted_correlation_is_relative_to_the_concentrations() -> None:
    weighted = SineBivariateVonMises(0.0, 1.0, 4.0, 9.0, weighted_correlation=0.5)
    plain = SineBivariateVonMises(0.0, 1.0, 4.0, 9.0, correlation=3.0)
    assert weighted.correlation == 3.0 and plain.weighted_correlation == 0.5
    assert set(weighted.get_args()) == set(plain.get_args()) ^ {"correlation", "weighted_correlation"}
    x = np.array([0.3, 0.5])
    np.testing.assert_allclose(weighted.log_prob(x), plain.log_prob(x), rtol=1e-12)
    assert SineBivariateVonMises.infer_shapes((3,), (), (2, 1), (), weighted_correlation=()) == ((2, 3), (2,))
    assert not weighted.has_rsample and weighted.max_sample_iter == 1000


def test_concentrated_sine_models_float32() -> None:
    """Up to concentrations of 1e6, with one mode and two: values near those of float64, finite gradients, draws at the modes."""
    k1, k2 = np.array([1e4, 1e6, 1e5, 1e3]), np.array([2e4, 1e6, 10.0, 1e3])
    c = np.array([1e4, -9e5, 5e3, 1e3])

    def compute(k1: Any, k2: Any, c: Any, x: Any) -> Any:
        def density(k1: Any, k2: Any, c: Any, x: Any) -> Any:
            log_prob = SineBivariateVonMises(0.0 * k1, 0.0 * k1, k1, k2, c).log_prob(x)
            return log_prob.sum(), log_prob

        return jax.value_and_grad(density, (0, 1, 2, 3), has_aux=True)(k1, k2, c, x)

    def draw(k1: Any, k2: Any, c: Any, key: Any) -> Any:
        return SineBivariateVonMises(0.0 * k1, 0.0 * k1, k1, k2, c).sample(key, (500,))

    args = [a.astype(np.float32) for a in (k1, k2, c)]
    x = np.asarray(jax.jit(draw)(*args, random.key(0)))
    (_, log_prob), grads = jax.jit(compute)(*args, x[0])
    with jax.enable_x64(True):
        (_, exact), _ = jax.jit(compute)(k1, k2, c, x[0].astype(np.float64))
    assert x.dtype == log_prob.dtype == np.float32
    np.testing.assert_allclose(log_prob, exact, rtol=1e-3, atol=0.05)
    assert all(np.isfinite(g).all() for g in grads)
    # the covariance of the first two is about the inverse of [[k1, -c], [-c, k2]]
    for i in range(2):
        covariance = np.linalg.inv([[k1[i], -c[i]], [-c[i], k2[i]]])
        whitened = x[:, i] @ np.linalg.inv(np.linalg.cholesky(covariance)).T
        assert abs(whitened.mean(0)).max() < MAX_Z * 500**-0.5
        assert abs((whitened**2).mean(0) - 1).max() < MAX_Z * (2 / 500) ** 0.5


# SineSkewed -------------------------------------------------------------------------------------------------------------

SKEWNESS = np.array([0.7, -0.3])
BASES = {
    "von Mises": lambda: VonMises(np.array([0.5, 3.0]), np.array([2.0, 0.5])).to_event(1),
    "one von Mises, expanded": lambda: VonMises(-1.0, 1.5).expand((2,)).to_event(1),
    "uniform": lambda: Uniform(-np.pi, np.pi).expand((2,)).to_event(1),
    "sine model": lambda: SineBivariateVonMises(0.5, -1.0, 2.0, 3.0, weighted_correlation=0.8),
}


@pytest.mark.parametrize("name", BASES)
def test_sine_skewed(name: str) -> None:
    """The density against its formula, its mass, and draws against it."""
    base = BASES[name]()
    law = SineSkewed(base, SKEWNESS)
    grid, n = torus_grid(60), 4000

    @jax.jit
    def compute(x: Any, key: Any) -> Any:
        return law.log_prob(x), base.log_prob(x), law.sample(key, (n,)), law.mean, base.mean

    log_prob, base_log_prob, draws, mean, base_mean = jax.tree.map(np.asarray, compute(grid, random.key(3)))
    tilt = (SKEWNESS * np.sin(grid - base_mean)).sum(-1)
    np.testing.assert_allclose(log_prob, base_log_prob + np.log1p(tilt), rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(np.exp(log_prob).mean() * 4 * np.pi**2, 1.0, rtol=1e-8)
    np.testing.assert_allclose(mean, base_mean, rtol=1e-12)
    assert np.all(law.support(draws))
    assert fits_squares(draws, log_prob)
    # positive skewness moves mass to larger angles
    sines = np.sin(draws - base_mean)
    expected = (np.exp(log_prob)[..., None] * np.sin(grid - base_mean)).mean((0, 1)) * 4 * np.pi**2
    assert np.all(abs(sines.mean(0) - expected) < MAX_Z * sines.std(0) / n**0.5)
    assert np.all(np.sign(expected) == np.sign(SKEWNESS)) or name == "sine model"


def test_full_skewness_has_finite_density_float32() -> None:
    law = SineSkewed(Uniform(-np.pi, np.pi).expand((1,)).to_event(1), np.ones(1, np.float32))
    value, slope = jax.jit(jax.value_and_grad(lambda x: law.log_prob(x)))(np.full(1, -0.5 * np.pi, np.float32))
    assert np.isfinite(value) and np.isfinite(slope).all()
    draws = np.asarray(law.sample(random.key(0), (2000,)))
    assert (draws > 0).mean() > 0.75  # 1/2 + 1/pi, five standard errors below


# all of them ------------------------------------------------------------------------------------------------------------


def test_gradients_agree_with_finite_differences() -> None:
    circle, sphere = unit_vectors(6, 2), unit_vectors(6, 3)
    angles = RNG.uniform(-3, 3, (4, 2))

    def loss(z: Any) -> Any:
        k1, k2 = jnp.exp(z[2]), jnp.exp(z[3])
        total = ProjectedNormal(4.0 * z[:2]).log_prob(circle).sum() + ProjectedNormal(6.0 * z[:3]).log_prob(sphere).sum()
        total += SineBivariateVonMises(z[0], z[1], k1, k2, 4.0 * z[4]).log_prob(angles).sum()
        weight = 0.5 + 0.4 * jnp.tanh(z[5])
        total += SineBivariateVonMises(z[0], z[1], 9.0 * k1, k2, weighted_correlation=weight).log_prob(angles).sum()
        base = VonMises(z[:2], jnp.exp(z[2:4])).to_event(1)
        total += SineSkewed(base, 0.4 * jnp.tanh(z[5:])).log_prob(angles + 0.1 * z[:2].reshape(1, 2)).sum()
        return total

    z = np.array([0.7, -1.1, 0.4, 0.9, -1.0, 0.3, -0.6])
    step = 1e-5
    points = z + step * np.concatenate([np.eye(7), -np.eye(7)])
    values, gradient = jax.jit(lambda z, points: (jax.lax.map(loss, points), jax.grad(loss)(z)))(z, points)
    np.testing.assert_allclose(gradient, (values[:7] - values[7:]) / (2 * step), rtol=1e-6, atol=1e-6)


def sine_model(k1: Any) -> SineBivariateVonMises:
    return SineBivariateVonMises(0.1, 0.2, k1, 2.0, 1.0)


def skewed(skewness: Any) -> SineSkewed:
    return SineSkewed(VonMises(np.zeros(2), 1.0).to_event(1), skewness)


FAMILIES = [
    pytest.param(ProjectedNormal, "concentration", (2,), id="ProjectedNormal"),
    pytest.param(sine_model, "phi_concentration", (), id="SineBivariateVonMises"),
    pytest.param(skewed, "skewness", (2,), id="SineSkewed"),
]


@pytest.mark.parametrize(("make", "name", "shape"), FAMILIES)
def test_shapes_of_batches_wrappers_and_maps(make: Any, name: str, shape: tuple[int, ...]) -> None:
    d = make(np.full((3, *shape), 0.3))
    assert (d.batch_shape, d.event_shape) == ((3,), (2,))
    key = random.key(0)
    value = jax.ShapeDtypeStruct((5, 4, 3, 2), np.float64)
    wide = d.expand((4, 3)).to_event(1)
    assert jax.eval_shape(lambda k: wide.sample(k, (5,)), key).shape == (5, 4, 3, 2)
    assert jax.eval_shape(wide.log_prob, value).shape == (5, 4)
    assert jax.eval_shape(d.log_prob, jax.ShapeDtypeStruct((2,), np.float64)).shape == (3,)
    assert jax.eval_shape(lambda: wide.mean).shape == (4, 3, 2)
    mask = np.array([True, False, True])
    assert jax.eval_shape(d.mask(mask).log_prob, value).shape == (5, 4, 3)
    parameters = np.full((7, 3, *shape), 0.3)
    mapped = jax.vmap(make)(parameters)
    assert mapped.batch_shape == (3,) and promote_batch_shape(mapped).batch_shape == (7, 3)
    one = make(np.full(shape, 0.3))
    spec = vmap_over(one, **{name: 0})
    x = np.array([0.6, 0.8])
    log_prob = jax.vmap(lambda d: d.log_prob(x), in_axes=(spec,))(jax.vmap(make, out_axes=spec)(np.full((3, *shape), 0.3)))
    np.testing.assert_allclose(log_prob, d.log_prob(x), rtol=1e-12)


def test_construction_runs_no_jax_operation() -> None:
    def build() -> None:
        ProjectedNormal([1.0, 2.0])
        SineBivariateVonMises(0.0, np.zeros(2), 1.0, [1.0, 2.0], weighted_correlation=0.5)
        SineSkewed(VonMises(0.0, 1.0).expand((2,)).to_event(1), [0.2, 0.3])

    assert not jax.make_jaxpr(build)().eqns


PAIR = VonMises(np.zeros(2), 1.0)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: ProjectedNormal(1.0), "ProjectedNormal: concentration must be at least one-dimensional"),
        (lambda: ProjectedNormal([1.0, np.nan]), "ProjectedNormal distribution got invalid concentration parameter"),
        (lambda: SineBivariateVonMises(0.0, 0.0, 1.0, 1.0), "exactly one of correlation, weighted_correlation .* none"),
        (lambda: SineBivariateVonMises(0.0, 0.0, 1.0, 1.0, 0.5, 0.5), "correlation and weighted_correlation"),
        (lambda: SineBivariateVonMises(4.0, 0.0, 1.0, 1.0, 0.5), "invalid phi_loc parameter"),
        (lambda: SineBivariateVonMises(0.0, 0.0, 1.0, 1.0, weighted_correlation=-0.1), "invalid weighted_correlation parameter"),
        (lambda: SineSkewed(PAIR, SKEWNESS), r"VonMises has event shape \(\) and skewness has shape \(2,\); to_event"),
        (lambda: SineSkewed(PAIR.to_event(1), np.zeros(3)), r"event shape \(2,\) and skewness has shape \(3,\)"),
        (lambda: SineSkewed(PAIR.to_event(1), 0.1), r"skewness has shape \(\)"),
        (lambda: SineSkewed(PAIR.to_event(1), np.array([0.7, 0.7])), "SineSkewed distribution got invalid skewness parameter"),
        (lambda: SineSkewed(Normal(np.zeros(2), 1.0).to_event(1), SKEWNESS), "must be circular.*Real"),
        (lambda: SineSkewed(Uniform(np.zeros(2), 1.0).to_event(1), SKEWNESS), "must be circular.*Interval"),
    ],
)
def test_errors_say_what_was_found(make: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        make()


def test_the_base_of_a_skewed_law_is_a_distribution() -> None:
    with pytest.raises(TypeError, match="base_dist must be a distribution, found 0.5"):
        SineSkewed(0.5, SKEWNESS)


def test_values_off_the_support_are_reported() -> None:
    with pytest.warns(UserWarning, match="ProjectedNormal"):
        ProjectedNormal(np.ones(2)).log_prob(np.ones(2))
    with pytest.warns(UserWarning, match="SineBivariateVonMises"):
        sine_model(1.0).log_prob(np.array([0.0, 4.0]))
