"""Independent, Expanded, Masked, Transformed, Folded, Delta, Unit, ImproperUniform."""

import pickle
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats as st
from jax import random

from ppl import distributions as dist
from ppl.distributions import constraints, transforms

KEY = random.PRNGKey(1)
NAN = float("nan")


pytestmark = pytest.mark.usefixtures("strict")


def f32(*shape: int, start: float = 0.0) -> np.ndarray:
    return (start + 0.1 * np.arange(np.prod(shape, dtype=int)).reshape(shape)).astype(np.float32)


# Independent


def test_independent_sums_over_event_axes() -> None:
    base = dist.Normal(f32(4, 3, 2), 1.0)
    d = base.to_event(2)
    assert (d.batch_shape, d.event_shape, d.base_dist, d.reinterpreted_batch_ndims) == ((4,), (3, 2), base, 2)
    value = f32(5, 1, 3, 2)
    np.testing.assert_allclose(d.log_prob(value), base.log_prob(value).sum((-2, -1)), rtol=1e-5)
    np.testing.assert_allclose(d.entropy(), base.entropy().sum((-2, -1)), rtol=1e-6)
    assert d.sample(KEY, (5,)).shape == (5, 4, 3, 2) and d.mean.shape == d.variance.shape == (4, 3, 2)
    assert base.to_event(0) is base and base.to_event().event_shape == (4, 3, 2)
    assert d.support == constraints.independent(constraints.real, 2) and d.has_rsample and not d.has_enumerate_support
    assert d.expand((2, 4)).shape() == (2, 4, 3, 2) and d.to_event(1).event_shape == (4, 3, 2)
    assert isinstance(d.expand((2, 4)), dist.Independent)
    with pytest.raises(NotImplementedError, match="Cartesian"):
        dist.Bernoulli(np.full(2, 0.5, np.float32)).to_event(1).enumerate_support()
    for n, error in ((4, ValueError), (-1, ValueError), (0.5, TypeError)):
        with pytest.raises(error, match="batch dimension|integer"):
            base.to_event(n)  # type: ignore[arg-type]


# Expanded


def test_expanded_axes_are_drawn_independently_and_in_place() -> None:
    base = dist.Normal(np.array([[[0.0]], [[100.0]]], np.float32) + np.array([0.0, 10.0, 20.0], np.float32)[:, None], 1.0)
    assert base.batch_shape == (2, 3, 1)
    d = base.expand((5, 2, 3, 4))
    x = np.asarray(d.sample(KEY, (6,)))
    assert x.shape == (6, 5, 2, 3, 4) and len(np.unique(x)) == x.size
    np.testing.assert_allclose(np.round(x.mean((0, 1, 4)) / 10), [[0, 1, 2], [10, 11, 12]])
    assert np.abs(x - np.broadcast_to(d.mean, x.shape)).max() < 6
    np.testing.assert_array_equal(x, np.asarray(d.rsample(KEY, (6,))))
    assert (
        d.log_prob(np.float32(0.0)).shape == (5, 2, 3, 4) and d.variance.shape == (5, 2, 3, 4) and d.entropy().shape == (5, 2, 3, 4)
    )
    np.testing.assert_allclose(d.icdf(d.cdf(np.float32(1.0)))[:, 0, 0, 0], np.ones(5), atol=1e-5)
    assert base.expand((2, 3, 1)) is base and base.expand([2, 3, 1]) is base
    assert d.expand_by((2,)).base_dist is base and base.expand_by((7,)).batch_shape == (7, 2, 3, 1)
    middle = (
        dist.Normal(np.array([[0.0], [50.0]], np.float32)[:, None], np.ones((1, 1, 3), np.float32)).expand((2, 4, 3)).sample(KEY)
    )
    np.testing.assert_allclose(np.round(np.asarray(middle).mean((1, 2)) / 50), [0, 1])


@pytest.mark.parametrize(("found", "wanted"), [((3,), (4,)), ((3, 2), (2,)), ((2, 1), (3, 2))])
def test_expansion_that_does_not_broadcast(found: tuple[int, ...], wanted: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="Cannot broadcast distribution of shape"):
        dist.Normal(np.zeros(found), 1.0).expand(wanted)
    with pytest.raises(ValueError, match="Cannot broadcast distribution of shape"):
        dist.Normal().expand(found).expand(wanted)


def test_expanded_support_is_enumerated_along_the_front() -> None:
    d = dist.Categorical(np.full((2, 1, 3), 1 / 3, np.float32)).expand((4, 2, 5))
    assert d.has_enumerate_support and d.is_discrete
    assert d.enumerate_support().shape == (3, 4, 2, 5) and d.enumerate_support(expand=False).shape == (3, 1, 1, 1)
    assert d.log_prob(d.enumerate_support(expand=False)).shape == (3, 4, 2, 5)


def test_intermediates_follow_an_expansion() -> None:
    base = dist.TransformedDistribution(
        dist.Normal(f32(2, 1, 3), 1.0).to_event(1), [transforms.AffineTransform(0.0, 2.0), transforms.StickBreakingTransform()]
    )
    d = base.expand((2, 5))
    x, intermediates = d.sample_with_intermediates(KEY, (4,))
    assert x.shape == (4, 2, 5, 4) and len(intermediates) == 2
    np.testing.assert_allclose(d.log_prob(x, intermediates), d.log_prob(x), rtol=2e-4)


# Masked


def test_masked_entries_contribute_nothing_not_even_nan() -> None:
    mask = np.array([True, False])
    value = np.array([1.0, NAN], np.float32)

    def total(scale: Any, value: Any) -> Any:
        return dist.HalfNormal(scale).mask(mask).log_prob(value).sum()

    log_prob, gradient = jax.jit(jax.value_and_grad(total, argnums=(0, 1)))(np.float32(2.0), value)
    np.testing.assert_allclose(log_prob, st.halfnorm.logpdf(1.0, scale=2.0), rtol=1e-5)
    assert np.isfinite(gradient[0]) and np.isfinite(gradient[1]).all() and gradient[1][1] == 0


@pytest.mark.parametrize(
    ("base", "value"),
    [
        (lambda x: dist.Gamma(x, x), NAN),
        (lambda x: dist.Beta(x, x), -3.0),
        (lambda x: dist.Uniform(x, x + 1.0), NAN),
        (lambda x: dist.Dirichlet(x * np.ones(3, np.float32)), [NAN, 0.0, 0.0]),
        (lambda x: dist.Poisson(x), -1),
        (lambda x: dist.TransformedDistribution(dist.Normal(x, 1.0), transforms.ExpTransform()), 0.0),
    ],
)
def test_gradients_of_masked_families_are_zero(base: Any, value: Any) -> None:
    value = np.asarray(value) if isinstance(value, int) else np.asarray(value, np.float32)
    for mask in (np.array(False), False):
        grad = jax.grad(lambda x: base(x).mask(mask).log_prob(value).sum())(2.0)  # noqa: B023
        assert grad == 0.0


def test_mask_shapes() -> None:
    base = dist.Normal(f32(3), 1.0)
    d = base.mask(np.ones((2, 1), bool))
    assert d.batch_shape == (2, 3) and d.log_prob(np.float32(0)).shape == (2, 3) and d._mask.shape == (2, 1)
    assert base.mask(True) is base and base.mask(False)._mask is False
    assert base.mask(False).log_prob(f32(4, 3)).tolist() == [[0.0] * 3] * 4
    m = dist.MultivariateNormal(f32(3), np.eye(3, dtype=np.float32)).mask(np.array([True, False]))
    assert (m.batch_shape, m.event_shape) == ((2,), (3,)) and m.log_prob(f32(5, 1, 3)).shape == (5, 2)
    assert m.log_prob(f32(3))[1] == 0 and m.sample(KEY).shape == m.mean.shape == (2, 3)
    assert dist.Bernoulli(0.5).mask(np.array([True, False])).enumerate_support(expand=False).shape == (2, 1)
    assert base.mask(np.array([True, False, True])).entropy()[1] == 0
    outer = base.mask(np.array([True, False, True])).to_event(1)
    np.testing.assert_allclose(outer.log_prob(f32(3)), 2 * base.log_prob(f32(3))[0], rtol=1e-6)
    for wrong in (1, np.ones(3), "yes"):
        with pytest.raises(TypeError, match="mask must be a bool"):
            base.mask(wrong)
    with pytest.raises(ValueError, match="broadcast"):
        base.mask(np.ones(2, bool))


# Transformed


def test_transformed_matches_scipy() -> None:
    d = dist.TransformedDistribution(dist.Normal(0.5, 0.8), transforms.ExpTransform())
    exact = st.lognorm(s=0.8, scale=np.exp(0.5))
    x = np.array([0.1, 1.0, 7.0], np.float32)
    np.testing.assert_allclose(d.log_prob(x), exact.logpdf(x), rtol=1e-5)
    np.testing.assert_allclose(d.cdf(x), exact.cdf(x), rtol=1e-4)
    np.testing.assert_allclose(d.icdf(np.array([0.1, 0.9], np.float32)), exact.ppf([0.1, 0.9]), rtol=1e-4)
    falling = dist.TransformedDistribution(d, transforms.AffineTransform(1.0, -2.0, domain=constraints.positive))
    assert [type(t).__name__ for t in falling.transforms] == ["ExpTransform", "AffineTransform"]
    assert falling.base_dist is d.base_dist and falling.support == constraints.less_than(1.0)
    np.testing.assert_allclose(falling.cdf(1 - 2 * x), exact.sf(x), rtol=1e-4)
    np.testing.assert_allclose(falling.icdf(np.float32(0.2)), 1 - 2 * exact.isf(0.2), rtol=1e-4)
    assert d.cdf(np.float32(-1.0)) == 0 and falling.cdf(np.float32(2.0)) == 1
    traced = jax.jit(lambda s, v: dist.TransformedDistribution(dist.Normal(), transforms.AffineTransform(0.0, s)).cdf(v))
    np.testing.assert_allclose(traced(-2.0, 1.0), st.norm.cdf(0.5), rtol=1e-5)


@pytest.mark.parametrize("base", [dist.HalfNormal(1.0), dist.Uniform(-1.0, 2.0), dist.Beta(2.0, 3.0)])
@pytest.mark.parametrize("scale", [-2.0, 0.5])
def test_a_traced_scale_may_be_negative(base: Any, scale: float) -> None:
    def run(scale: Any, y: Any) -> Any:
        d = dist.TransformedDistribution(base, transforms.AffineTransform(1.0, scale, domain=base.support), validate_args=False)
        return d.log_prob(y), d.cdf(y), d.support(y), d.support(d.sample(jax.random.key(0), (50,)))

    x = np.array([-7.0, -0.8, 0.2, 0.7, 1.9, 9.0], np.float32)
    log_prob, cdf, inside, drawn = jax.jit(run)(scale, 1.0 + scale * x)
    with pytest.warns(UserWarning, match="Out-of-support"):
        expected = base.log_prob(x)
    np.testing.assert_allclose(log_prob, np.where(base.support(x), expected - np.log(abs(scale)), -np.inf), rtol=1e-5)
    below = base.cdf(x)
    np.testing.assert_allclose(cdf, below if scale > 0 else 1 - below, rtol=1e-5, atol=1e-7)
    np.testing.assert_array_equal(inside, base.support(x))
    assert np.all(drawn)


def test_values_outside_have_no_density_and_finite_gradients() -> None:
    def log_prob(loc: Any) -> Any:
        return (
            dist.TransformedDistribution(dist.Normal(loc, 1.0), transforms.ExpTransform())
            .log_prob(np.array([-1.0, 0.0], np.float32))
            .sum()
        )

    with pytest.warns(UserWarning, match="Out-of-support"):
        value, gradient = jax.value_and_grad(log_prob)(0.5)
    assert value == -np.inf and np.isfinite(gradient)


@pytest.mark.parametrize(
    ("base", "transform", "batch_shape", "event_shape"),
    [
        (lambda: dist.Normal(f32(4, 3), 1.0), lambda: transforms.ExpTransform(), (4, 3), ()),
        (lambda: dist.Normal(f32(4, 3), 1.0), lambda: transforms.OrderedTransform(), (4,), (3,)),
        (lambda: dist.Normal(f32(4, 3), 1.0), lambda: transforms.StickBreakingTransform(), (4,), (4,)),
        (lambda: dist.Normal(f32(4, 3), 1.0), lambda: transforms.CorrCholeskyTransform(), (4,), (3, 3)),
        (lambda: dist.Normal(f32(2, 3), 1.0).to_event(2), lambda: transforms.StickBreakingTransform(), (), (2, 4)),
        (lambda: dist.Normal(0.0, 1.0), lambda: transforms.AffineTransform(f32(3), 1.0), (3,), ()),
        (
            lambda: dist.Normal(f32(3), 1.0),
            lambda: transforms.LowerCholeskyAffine(f32(2, 3), np.eye(3, dtype=np.float32)),
            (2,),
            (3,),
        ),
        (lambda: dist.Normal(f32(6), 1.0), lambda: transforms.ReshapeTransform((2, 3), (6,)), (), (2, 3)),
        (
            lambda: dist.Normal(f32(2, 6), 1.0),
            lambda: [transforms.LowerCholeskyTransform(), transforms.CholeskyTransform().inv],
            (2,),
            (3, 3),
        ),
        (lambda: dist.Normal(f32(5), 1.0), lambda: [], (5,), ()),
    ],
)
def test_shapes_follow_the_transforms(base: Any, transform: Any, batch_shape: Any, event_shape: Any) -> None:
    d = dist.TransformedDistribution(base(), transform())
    assert (d.batch_shape, d.event_shape) == (batch_shape, event_shape)
    assert d.support.event_dim == len(event_shape)
    x, intermediates = d.sample_with_intermediates(KEY, (2,))
    assert x.shape == (2, *batch_shape, *event_shape) and d.has_rsample
    log_prob = d.log_prob(x)
    assert log_prob.shape == (2, *batch_shape)
    np.testing.assert_allclose(log_prob, d.log_prob(x, intermediates or None), rtol=1e-3, atol=1e-4)
    np.testing.assert_array_equal(x, d.rsample(KEY, (2,)))
    again = pickle.loads(pickle.dumps(d))
    np.testing.assert_allclose(jax.jit(lambda d: d.log_prob(x))(again), log_prob, rtol=1e-5)


def test_log_probability_integrates_to_one() -> None:
    d = dist.TransformedDistribution(
        dist.Normal(0.2, 0.7),
        [transforms.SigmoidTransform(), transforms.AffineTransform(-1.0, 3.0, domain=constraints.unit_interval)],
    )
    grid = np.linspace(-1, 2, 20001)[1:-1].astype(np.float32)
    assert abs(float(jnp.sum(jnp.exp(d.log_prob(grid)))) * 3 / 20000 - 1) < 1e-3
    assert d.support == constraints.interval(-1.0, 2.0)


def test_affine_moments_and_missing_ones() -> None:
    d = dist.TransformedDistribution(dist.Normal(1.0, 2.0), transforms.AffineTransform(f32(3), 3.0))
    np.testing.assert_allclose(d.mean, 3.0 + f32(3), rtol=1e-6)
    np.testing.assert_allclose(d.variance, np.full(3, 36.0), rtol=1e-6)
    with pytest.raises(NotImplementedError, match="TransformedDistribution.mean"):
        _ = dist.TransformedDistribution(dist.Normal(), transforms.ExpTransform()).mean
    with pytest.raises(TypeError, match="Transform"):
        dist.TransformedDistribution(dist.Normal(), 3)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="transforms must be"):
        dist.TransformedDistribution(dist.Normal(), [3])  # type: ignore[list-item]
    with pytest.raises(ValueError, match="expand it first"):
        dist.TransformedDistribution(dist.Normal(), transforms.OrderedTransform())


# Folded, Delta, Unit, ImproperUniform


def test_folded() -> None:
    d = dist.FoldedDistribution(dist.Normal(f32(2, start=0.5), 1.5))
    x = np.array([0.3, 2.0], np.float32)
    np.testing.assert_allclose(d.log_prob(x), st.foldnorm.logpdf(x, np.array([0.5, 0.6]) / 1.5, scale=1.5), rtol=1e-4)
    assert d.support is constraints.positive and d.has_rsample and (d.sample(KEY, (100,)) >= 0).all()
    assert jax.jit(d.log_prob)(np.float32(-1.0)).tolist() == [-np.inf] * 2
    with pytest.raises(ValueError, match="univariate"):
        dist.FoldedDistribution(dist.Normal(f32(2), 1.0).to_event(1))
    np.testing.assert_allclose(d.cdf(x), st.foldnorm.cdf(x, np.array([0.5, 0.6]) / 1.5, scale=1.5), rtol=1e-4)
    with pytest.raises(NotImplementedError):
        d.icdf(x)


def test_delta() -> None:
    d = dist.Delta(f32(2, 3), f32(2), event_dim=1)
    assert (d.batch_shape, d.event_shape, d.event_dim) == ((2,), (3,), 1) and d.has_rsample
    np.testing.assert_array_equal(d.sample(KEY, (4,)), np.broadcast_to(f32(2, 3), (4, 2, 3)))
    np.testing.assert_array_equal(d.log_prob(f32(2, 3)), f32(2))
    assert d.log_prob(f32(3)).tolist()[1] == -np.inf
    assert d.mean.shape == d.mode.shape == (2, 3) and (d.variance == 0).all() and d.entropy().shape == (2,)
    assert d.support == constraints.real_vector and dist.Delta().log_prob(0.0) == 0
    assert dist.Delta(3).sample(KEY, (2,)).tolist() == [3, 3] and dist.Delta(np.array([1, 2])).log_prob(1).tolist() == [
        0.0,
        -np.inf,
    ]
    assert dist.Delta(f32(3)).expand((2, 3)).sample(KEY).shape == (2, 3)
    assert dist.Delta(0.0, f32(3)).shape() == (3,)
    gradient = jax.grad(lambda v: dist.Delta(v, v * 2.0).log_prob(v))(1.5)
    assert gradient == 2.0
    with pytest.raises(ValueError, match="event_dim=2"):
        dist.Delta(f32(3), event_dim=2)


def test_unit() -> None:
    d = dist.Unit(f32(3))
    assert (d.batch_shape, d.event_shape, d.sample(KEY, (2,)).shape) == ((3,), (0,), (2, 3, 0))
    np.testing.assert_array_equal(d.log_prob(d.sample(KEY)), f32(3))
    assert d.log_prob(d.sample(KEY, (2,))).shape == (2, 3)
    assert dist.Unit(NAN).log_prob(np.zeros(0, np.float32)).shape == ()
    assert d.mask(np.array([True, False, True])).log_prob(d.sample(KEY))[1] == 0
    np.testing.assert_array_equal(dist.Unit(2.0).expand((2,)).log_prob(np.zeros((2, 0), np.float32)), [2.0, 2.0])


def test_improper_uniform() -> None:
    d = dist.ImproperUniform(constraints.simplex, (2,), (4, 3))
    assert d.support == constraints.independent(constraints.simplex, 1) and d.has_rsample
    value = np.full((5, 1, 4, 3), 1 / 3, np.float32)
    assert d.log_prob(value).shape == (5, 2) and not d.log_prob(value).any()
    with pytest.warns(UserWarning, match="Out-of-support"):
        d.log_prob(value * 2)
    with pytest.raises(NotImplementedError, match="ImproperUniform.sample"):
        d.sample(KEY)
    with pytest.raises(ValueError, match="event_shape"):
        dist.ImproperUniform(constraints.simplex, (), ())
    bounded = dist.ImproperUniform(constraints.interval(0.0, f32(3, start=1.0)), (3,), ())
    assert len(jax.tree_util.tree_leaves(bounded)) == 2
    assert jax.jit(lambda d: d.log_prob(np.float32(0.5)))(bounded).shape == (3,)
    with jax.enable_x64(True):
        assert d.log_prob(np.full((4, 3), 1 / 3)).dtype == np.float64


def test_wrappers_compose_and_stay_pytrees() -> None:
    d = dist.Normal(f32(2, 1), 1.0).expand((2, 3)).mask(np.array([[True], [False]])).to_event(1).expand((4, 2))
    again = jax.tree_util.tree_map(lambda x: x, pickle.loads(pickle.dumps(d)))
    x = again.sample(KEY)
    assert x.shape == (4, 2, 3)
    log_prob = jax.jit(lambda d, x: d.log_prob(x))(again, x)
    assert log_prob.shape == (4, 2) and not log_prob[:, 1].any() and log_prob[:, 0].all()
    shifted = jax.tree_util.tree_map(lambda leaf: leaf if np.asarray(leaf).dtype.kind == "b" else leaf + 1.0, d)
    assert float(shifted.mean.mean()) == pytest.approx(float(d.mean.mean()) + 1.0)


def test_has_rsample_and_support_come_from_the_base() -> None:
    for wrap in (lambda d: d.expand((2,)), lambda d: d.expand((2,)).to_event(1), lambda d: d.mask(np.array([True, False]))):
        assert wrap(dist.Normal()).has_rsample and not wrap(dist.Bernoulli(0.5)).has_rsample
        assert wrap(dist.Bernoulli(0.5)).is_discrete and not wrap(dist.Normal()).is_discrete
        assert wrap(dist.Gamma(2.0, 1.0)).support in (constraints.positive, constraints.independent(constraints.positive, 1))
        with pytest.raises(NotImplementedError, match="rsample"):
            wrap(dist.Bernoulli(0.5)).rsample(KEY)


CIRCULANT = {"covariance_row": np.array([2.0, 0.5, 0.2, 0.5])}
MATRIX = np.array([[1.5, 0.3], [0.3, 0.7]])


@pytest.mark.parametrize(
    "make",
    [
        lambda: dist.CirculantNormal(np.arange(4.0), **CIRCULANT),
        lambda: dist.CirculantNormal(np.zeros((2, 5)), covariance_rfft=np.array([2.0, 1.0, 0.5])),
        lambda: dist.GaussianStateSpace(3, 0.5 * np.eye(2), MATRIX, initial_value=np.ones(2)),
        lambda: dist.GaussianStateSpace(3, 0.5 * np.eye(2), precision_matrix=np.stack([MATRIX, np.eye(2)])),
        lambda: dist.LogNormal(np.zeros(2), 1.0),
        lambda: dist.Wishart(4.0, MATRIX),
        lambda: dist.ZeroSumNormal(np.array([1.0, 2.0]), (3,)),
    ],
    ids=["circulant", "circulant_batch", "states", "states_batch", "log_normal", "wishart", "zero_sum"],
)
def test_families_that_are_transformed_agree_with_their_parts(make: Callable[[], Any]) -> None:
    assert jax.make_jaxpr(lambda: [make() and None])().eqns == []
    with jax.enable_x64(True):
        d = make()
        assert isinstance(d, dist.TransformedDistribution)
        plain = dist.TransformedDistribution(d.base_dist, d.transforms)
        assert (plain.batch_shape, plain.event_shape) == (d.batch_shape, d.event_shape)
        x, intermediates = d.sample_with_intermediates(KEY, (3,))
        np.testing.assert_allclose(d.log_prob(x), plain.log_prob(x), rtol=1e-10)
        np.testing.assert_allclose(d.log_prob(x, intermediates), plain.log_prob(x), rtol=1e-10)
        assert x.shape == (3, *d.shape()) == d.sample(KEY, (3,)).shape
