"""The contract of a distribution: shapes, parameters, validation, pytrees, mapping, and what executes no JAX operation."""

import copy
import pickle
import warnings
from typing import Any

import jax
import jax.extend
import jax.numpy as jnp
import numpy as np
import pytest
from jax import random

from ppl import distributions as dist
from ppl.distributions import constraints, util
from ppl.distributions.batch_util import promote_batch_shape, vmap_over
from ppl.distributions.util import batch_shape_of, lazy_property, promote_shapes, validate_sample

KEY = random.PRNGKey(0)


class Gauss(dist.Distribution):
    """A normal law with a lazily derived parameter."""

    arg_constraints = {"loc": constraints.real, "scale": constraints.positive, "precision": constraints.positive}
    support = constraints.real
    reparametrized_params = ["loc", "scale", "precision"]

    def __init__(self, loc: Any = 0.0, scale: Any = 1.0, *, validate_args: bool | None = None) -> None:
        self.loc, self.scale = promote_shapes(loc, scale)
        super().__init__(batch_shape_of(loc, scale), validate_args=validate_args)

    @lazy_property
    def precision(self) -> Any:
        return 1.0 / (self.scale * self.scale)

    def sample(self, key: Any, sample_shape: tuple[int, ...] = ()) -> Any:
        loc, scale, eps = promote_shapes(self.loc, self.scale, random.normal(key, self.shape(sample_shape), self._dtype))
        return loc + scale * eps

    @validate_sample
    def log_prob(self, value: Any) -> Any:
        value, loc, scale = promote_shapes(value, self.loc, self.scale)
        z = (value - loc) / scale
        return -0.5 * z * z - jnp.log(scale) - 0.5 * np.log(2 * np.pi)

    @property
    def mean(self) -> Any:
        return jnp.broadcast_to(self.loc, self.shape())


class Simplicial(dist.Distribution):
    """A law over vectors, whose weights are a parameter with event axes."""

    arg_constraints = {"weights": constraints.simplex}
    support = constraints.simplex

    def __init__(self, weights: Any, *, validate_args: bool | None = None) -> None:
        (self.weights,) = promote_shapes(weights)
        super().__init__(np.shape(weights)[:-1], np.shape(weights)[-1:], validate_args=validate_args)

    @validate_sample
    def log_prob(self, value: Any) -> Any:
        return jnp.sum(self.weights * jnp.log(value), -1)


pytestmark = pytest.mark.usefixtures("strict")


@pytest.fixture
def no_jax(monkeypatch: pytest.MonkeyPatch) -> None:
    """Any JAX operation is an error."""

    def refuse(self: Any, *args: Any, **kwargs: Any) -> Any:
        raise AssertionError(f"operation {self} was executed")

    monkeypatch.setattr(jax.extend.core.Primitive, "bind", refuse)


def test_shapes() -> None:
    d = Gauss(np.zeros((3, 1), np.float32), np.ones(2, np.float32))
    assert (d.batch_shape, d.event_shape, d.event_dim, d.shape((4,))) == ((3, 2), (), 0, (4, 3, 2))
    assert d.loc.shape == (3, 1) and d.scale.shape == (1, 2)
    assert d.sample(KEY, (4,)).shape == (4, 3, 2) and d.log_prob(np.zeros((4, 1, 1), np.float32)).shape == (4, 3, 2)
    assert Gauss().batch_shape == Gauss(jnp.float32(0.0)).batch_shape == ()
    assert Gauss(loc=[0.0, 1.0]).batch_shape == (2,)
    assert d.event_dim == 0 and not d.is_discrete
    assert "batch shape (3, 2) and event shape ()>" in repr(d) and "Gauss object at 0x" in repr(d)
    assert Gauss.infer_shapes((3, 1), scale=(2,)) == ((3, 2), ())
    assert Simplicial.infer_shapes((2, 3)) == ((2,), (3,))
    with pytest.raises(ValueError, match="broadcast"):
        Gauss.infer_shapes((3,), (2,))


def test_no_operation_before_a_density_is_asked_for(no_jax: None) -> None:
    with pytest.raises(AssertionError, match="executed"):
        jax.lax.add_p.bind(1.0, 1.0)
    loc = np.zeros((3, 1), np.float32)
    d = Gauss(loc, np.ones(2)).expand((4, 3, 2)).to_event(1).mask(np.ones((4, 3), bool)).expand_by((2,))
    t = dist.TransformedDistribution(Gauss(loc), [dist.transforms.AffineTransform(1.0, [2.0, 1.0]), dist.transforms.ExpTransform()])
    assert (d.shape(), t.shape(), t.support, d.support) == ((2, 4, 3, 2), (3, 2), constraints.positive, constraints.real_vector)
    dist.biject_to(constraints.independent(constraints.interval(loc, 2.0), 1))
    dist.ImproperUniform(constraints.simplex, (), (3,)), dist.Delta([1.0, 2.0], event_dim=1), dist.FoldedDistribution(Gauss())
    jax.tree_util.tree_flatten(d)


def test_device_arrays_as_parameters_cost_no_operation(monkeypatch: pytest.MonkeyPatch) -> None:
    loc, scale = jnp.zeros((3, 2)), jnp.ones(2)
    monkeypatch.setattr(jax.extend.core.Primitive, "bind", lambda *args, **kwargs: 1 / 0)
    d = Gauss(loc, scale).to_event(1)
    assert d.batch_shape == (3,) and dist.biject_to(constraints.interval(loc, scale)) is not None


def test_parameters_are_kept_as_given() -> None:
    d = Gauss(1, 2.0)
    assert d.get_args() == {"loc": 1, "scale": 2.0} and type(d.loc) is int
    assert d.precision == 0.25 and d.get_args() == {"loc": 1, "scale": 2.0}
    assert d.log_prob(0.0).dtype == np.float32
    assert Gauss(np.float16(1.0)).sample(KEY).dtype == np.float16


def test_lazy_properties_do_not_keep_traced_values() -> None:
    d = Gauss(0.0, 2.0)

    class Counted(Gauss):
        @lazy_property
        def variance(self) -> Any:
            return jnp.square(self.scale)

    traced = Counted(0.0, 2.0)
    jax.jit(lambda: traced.variance)()
    assert "variance" not in traced.__dict__
    assert float(traced.variance) == 4.0 and "variance" in traced.__dict__
    assert isinstance(Gauss.precision, lazy_property) and d.precision is d.precision


def test_missing_members_name_the_class() -> None:
    d = Simplicial([0.5, 0.5])
    calls = {
        "sample": lambda: d.sample(KEY),
        "rsample": lambda: d.rsample(KEY),
        "mean": lambda: d.mean,
        "variance": lambda: d.variance,
        "mode": lambda: d.mode,
        "cdf": lambda: d.cdf(0.5),
        "icdf": lambda: d.icdf(0.5),
        "entropy": lambda: d.entropy(),
        "enumerate_support": lambda: d.enumerate_support(),
    }
    for member, call in calls.items():
        with pytest.raises(NotImplementedError, match=f"Simplicial.{member} "):
            call()
    with pytest.raises(NotImplementedError, match="Distribution.log_prob"):
        dist.Distribution().log_prob(0.0)
    assert not d.has_rsample and Gauss().has_rsample and Gauss().rsample(KEY).shape == ()


def test_call_draws() -> None:
    d = Gauss()
    assert d(rng_key=KEY, sample_shape=(2,)).shape == (2,)
    assert d(rng_key=KEY, sample_intermediates=True)[1] == []
    with pytest.raises(ValueError, match="random key"):
        d(rng_key=None)


# validation


@pytest.mark.parametrize(
    ("make", "error", "message", "note"),
    [
        (lambda: Gauss(0.0, -1.0), ValueError, "Gauss distribution got invalid scale parameter.", "found -1.0"),
        (lambda: Gauss(np.nan), ValueError, "Gauss distribution got invalid loc parameter.", "found nan"),
        (
            lambda: Gauss(0.0, [1.0, -2.0, 0.0]),
            ValueError,
            "Gauss distribution got invalid scale parameter.",
            r"-2.0 at index \(1,\) \(2 of 3",
        ),
        (lambda: Gauss(0.0, jnp.zeros(2)), ValueError, "Gauss distribution got invalid scale parameter.", "Positive"),
        (lambda: Gauss("a"), TypeError, "Gauss distribution got invalid loc parameter.", "found 'a', expected numbers"),
        (
            lambda: Simplicial([0.5, 0.6]),
            ValueError,
            "Simplicial distribution got invalid weights parameter.",
            r"found \[0.5, 0.6\]",
        ),
        (
            lambda: Simplicial([[0.5, 0.5], [0.5, 0.7]]),
            ValueError,
            "Simplicial distribution got invalid weights parameter.",
            r"index \(1,\)",
        ),
    ],
)
def test_invalid_parameters_are_named(make: Any, error: type[Exception], message: str, note: str) -> None:
    with pytest.raises(error) as info:
        make()
    assert str(info.value) == message
    info.match(note)


def test_terse_parameters_keep_their_message_to_the_end() -> None:
    class Terse(Gauss):
        _terse_parameters = frozenset({"scale"})

    with pytest.raises(ValueError, match=r"^Terse distribution got invalid scale parameter\.$") as info:
        Terse(0.0, -1.0)
    assert "found -1.0" in str(info.value.__cause__)


def test_errors_in_constructors_name_class_and_arguments() -> None:
    with pytest.raises(ValueError, match=r"while constructing Gauss\(loc=float32\[3\], scale=float32\[4\]\)"):
        Gauss(np.zeros(3, np.float32), scale=np.ones(4, np.float32))
    with pytest.raises(TypeError, match=r"while constructing Gauss\(1, 2, 3\)"):
        Gauss(1, 2, 3)


def test_validation_can_be_switched() -> None:
    Gauss(0.0, -1.0, validate_args=False)
    with dist.validation_enabled(False):
        assert not dist.distribution._VALIDATION_ENABLED
        d = Gauss(0.0, -1.0)
        with pytest.raises(ValueError, match="got invalid scale parameter"):
            Gauss(0.0, -1.0, validate_args=True)
    assert dist.distribution._VALIDATION_ENABLED
    with pytest.raises(ValueError, match="got invalid scale parameter"):
        d.validate_args()
    with pytest.raises(RuntimeError, match="inside"), dist.validation_enabled(False):
        raise RuntimeError("inside")
    assert dist.distribution._VALIDATION_ENABLED
    with pytest.raises(ValueError, match="True or False"):
        dist.Distribution.set_default_validate_args("yes")
    with pytest.raises(AttributeError):
        _ = dist.distribution.nothing


def test_traced_parameters_are_not_validated() -> None:
    assert jax.jit(lambda s: Gauss(0.0, s).log_prob(0.0))(-1.0).shape == ()

    @jax.jit
    def strict(s: Any) -> Any:
        d = Gauss(0.0, s)
        with pytest.raises(RuntimeError, match="Cannot validate arguments"):
            d.validate_args()
        d.validate_args(strict=False)
        return s

    strict(1.0)
    with pytest.raises(ValueError, match="got invalid scale parameter"):
        jax.jit(lambda x: Gauss(x, -1.0).log_prob(0.0))(0.0)


def test_values_out_of_support_warn_when_concrete() -> None:
    d = dist.TransformedDistribution(Gauss(), dist.transforms.ExpTransform())
    with pytest.warns(
        UserWarning, match="Out-of-support values provided to log prob method. The value argument should be within the support."
    ):
        assert d.log_prob(-1.0) == -np.inf
    with pytest.warns(UserWarning, match=r"found -1.0 at index \(1,\) \(1 of 2"):
        d.log_prob(jnp.array([1.0, -1.0]))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        jax.jit(d.log_prob)(-1.0)
        dist.TransformedDistribution(Gauss(), dist.transforms.ExpTransform(), validate_args=False).log_prob(-1.0)
        jax.jit(lambda high: dist.ImproperUniform(constraints.interval(0.0, high), (), ()).log_prob(2.0))(1.0)
    with pytest.warns(UserWarning):
        assert d._validate_sample(np.array([1.0, -1.0])).tolist() == [True, False]


@pytest.mark.parametrize("shape", [(), (3,), (2, 4)])
def test_values_of_another_event_shape_are_refused(shape: tuple[int, ...]) -> None:
    words = r"Simplicial.log_prob got a value of shape .* but its event shape is \(2,\)"
    with pytest.raises(ValueError, match=words):
        Simplicial([0.5, 0.5]).log_prob(np.full(shape, 0.5))
    with pytest.raises(ValueError, match="event shape is"):
        jax.jit(Simplicial([0.5, 0.5]).log_prob)(np.full(shape, 0.5))


# pytrees


def test_distributions_are_pytrees() -> None:
    d = Gauss(np.zeros(3, np.float32), 2.0)
    leaves, treedef = jax.tree_util.tree_flatten(d)
    assert len(leaves) == 2 and leaves[0] is d.loc and leaves[1] == 2.0
    hash(treedef)
    assert Gauss.gather_pytree_data_fields() == ("loc", "scale")
    assert Gauss.gather_pytree_aux_fields() == ("_batch_shape", "_event_shape", "_validate_args")
    paths = [jax.tree_util.keystr(path) for path, _ in jax.tree_util.tree_leaves_with_path(d)]
    assert paths == [".loc", ".scale"]
    for again in (jax.tree_util.tree_unflatten(treedef, leaves), Gauss.tree_unflatten(d.tree_flatten()[1], d.tree_flatten()[0])):
        assert again.batch_shape == (3,) and again.get_args().keys() == {"loc", "scale"}
    for other in (pickle.loads(pickle.dumps(d)), copy.deepcopy(d)):
        np.testing.assert_array_equal(other.log_prob(0.0), d.log_prob(0.0))
    invalid = jax.tree_util.tree_map(lambda leaf: leaf * -1.0, d)
    assert invalid.scale == -2.0
    off = Gauss(0.0, 1.0, validate_args=False)
    assert jax.tree_util.tree_map(lambda x: x, off)._validate_args is False
    assert jax.tree_util.tree_structure(off) != jax.tree_util.tree_structure(Gauss(0.0, 1.0))


def test_distributions_pass_through_transformations() -> None:
    d = Gauss(np.arange(3, dtype=np.float32), 2.0)
    expected = d.log_prob(1.0)
    np.testing.assert_allclose(jax.jit(lambda d: d.log_prob(1.0))(d), expected, rtol=1e-6)
    out = jax.jit(lambda d: Gauss(d.loc + 1.0, d.scale))(d)
    np.testing.assert_array_equal(out.loc, [1.0, 2.0, 3.0])
    grad = jax.grad(lambda d: d.log_prob(1.0).sum())(d)
    assert isinstance(grad, Gauss) and grad.loc.shape == (3,)
    spec = vmap_over(d, loc=0)
    np.testing.assert_allclose(jax.vmap(lambda d: d.log_prob(1.0), in_axes=(spec,))(d), expected, rtol=1e-6)


def test_extra_fields_are_gathered_from_all_classes() -> None:
    class Named(Gauss):
        pytree_data_fields = ("extra",)
        pytree_aux_fields = ("name",)

        def __init__(self, extra: Any, name: str) -> None:
            self.extra, self.name = extra, name
            super().__init__(0.0, 1.0)

    d = jax.tree_util.tree_map(lambda x: x + 1.0, Named(np.zeros(2), "a"))
    assert d.name == "a" and d.extra.tolist() == [1.0, 1.0] and d.loc == 1.0
    assert jax.tree_util.tree_structure(Named(0.0, "a")) != jax.tree_util.tree_structure(Named(0.0, "b"))


# mapping


def test_promote_batch_shape_reads_the_parameters() -> None:
    locs, scales = np.zeros(4, np.float32), np.ones((4, 3), np.float32)
    d = jax.vmap(Gauss)(locs, scales)
    assert d.batch_shape == (3,)
    p = promote_batch_shape(d)
    assert p.batch_shape == (4, 3) and d.batch_shape == (3,) and p.log_prob(np.zeros(3, np.float32)).shape == (4, 3)
    assert promote_batch_shape(p).batch_shape == (4, 3)
    cases: list[tuple[Any, tuple[int, ...], tuple[int, ...]]] = [
        (lambda loc: Gauss(loc).expand((3,)), (4, 3), ()),
        (lambda loc: Gauss(loc).expand((3,)).to_event(1), (4,), (3,)),
        (lambda loc: Gauss(loc).mask(np.ones(3, bool)), (4, 3), ()),
        (lambda loc: dist.TransformedDistribution(Gauss(loc), dist.transforms.ExpTransform()), (4,), ()),
        (lambda loc: dist.Delta(loc[None], event_dim=1), (4,), (1,)),
        (lambda loc: dist.Unit(loc), (4,), (0,)),
        (lambda loc: dist.FoldedDistribution(Gauss(loc)).expand((2,)), (4, 2), ()),
    ]
    for make, batch_shape, event_shape in cases:
        p = promote_batch_shape(jax.vmap(make)(locs))
        assert (p.batch_shape, p.event_shape) == (batch_shape, event_shape)
        assert p.sample(KEY).shape == batch_shape + event_shape
    inflated = jax.vmap(lambda rate: dist.ZeroInflatedDistribution(dist.Poisson(rate), gate=0.5).expand((2,)))(locs + 1.0)
    assert promote_batch_shape(inflated).log_prob(np.zeros((4, 2), np.int32)).shape == (4, 2)
    improper = dist.ImproperUniform(constraints.real, (), ())
    assert promote_batch_shape(improper) is improper


def test_vmap_over_builds_axes() -> None:
    d = jax.vmap(lambda loc: Gauss(loc, 2.0), out_axes=vmap_over(Gauss(), loc=0))(np.arange(3, dtype=np.float32))
    assert d.loc.shape == (3,) and np.shape(d.scale) == ()
    nested = Gauss(np.zeros(3, np.float32)).to_event(1)
    spec = vmap_over(nested, base_dist=vmap_over(nested.base_dist, loc=0))
    assert spec.base_dist.loc == 0 and spec.base_dist.scale is None
    with pytest.raises(TypeError, match=r"Gauss has no leaves \['mean'\]"):
        vmap_over(Gauss(), mean=0)
    with pytest.raises(NotImplementedError, match="float"):
        vmap_over(1.0)
    interval = constraints.interval(np.zeros(2, np.float32), 1.0)
    assert jax.vmap(lambda c: c(np.float32(0.5)), in_axes=(vmap_over(interval, lower_bound=0),))(interval).shape == (2,)
    assert vmap_over.dispatch(Gauss) is vmap_over.dispatch(dist.Distribution)


# helpers


def test_promote_shapes() -> None:
    x, y, z = promote_shapes(1.0, np.zeros(3), np.zeros((2, 1)))
    assert x == 1.0 and y.shape == (1, 3) and z.shape == (2, 1)
    (x,), shape = promote_shapes([1.0, 2.0], shape=(4, 1), return_shapes=True)
    assert x.shape == (1, 2) and shape == (4, 2)
    with pytest.raises(ValueError, match="broadcast"):
        promote_shapes(np.zeros(3), np.zeros(2))
    assert jax.jit(lambda v: promote_shapes(v, np.zeros((2, 3)))[0])(np.zeros(3)).shape == (1, 3)


def test_sums_and_repeats() -> None:
    x = np.arange(6, dtype=np.float32).reshape(2, 3)
    np.testing.assert_array_equal(util.sum_rightmost(x, 1), x.sum(-1))
    assert util.sum_rightmost(x, 0) is x and util.sum_rightmost(x, 5) == 15 and util.sum_rightmost(2.0, 1) == 2.0
    np.testing.assert_array_equal(util.periodic_repeat(x, 5, -1), x[:, [0, 1, 2, 0, 1]])
    long = np.random.default_rng(0).normal(size=(2, 100)).astype(np.float32)
    for values in (x, long):
        np.testing.assert_allclose(util.cumulative_sum(jnp.asarray(values)), values.cumsum(-1), atol=1e-4)
        shifted = np.concatenate([np.zeros((2, 1)), values.cumsum(-1)[:, :-1]], -1)
        np.testing.assert_allclose(util.cumulative_sum(jnp.asarray(values), exclusive=True), shifted, atol=1e-4)
        np.testing.assert_allclose(
            util.cumulative_sum(jnp.asarray(values), reverse=True), values[:, ::-1].cumsum(-1)[:, ::-1], atol=1e-4
        )
        backwards = np.concatenate([values[:, ::-1].cumsum(-1)[:, ::-1][:, 1:], np.zeros((2, 1))], -1)
        np.testing.assert_allclose(util.cumulative_sum(jnp.asarray(values), exclusive=True, reverse=True), backwards, atol=1e-4)


def test_identities_of_concrete_values_only() -> None:
    assert util.is_identically_zero(np.zeros(3)) and not util.is_identically_zero(1.0) and util.is_identically_one(1)
    assert not jax.jit(lambda x: jnp.asarray(util.is_identically_zero(x)))(0.0)
    with pytest.raises(ValueError, match="exactly one of `probs`, `logits` must be given, but got none"):
        util.assert_one_of(probs=None, logits=None)
    with pytest.raises(ValueError, match="`probs` and `logits`"):
        util.assert_one_of(probs=1, logits=1)
    with pytest.warns(DeprecationWarning):
        assert util.is_prng_key(KEY)
    with pytest.warns(DeprecationWarning):
        assert util.is_prng_key(random.key(0)) and not util.is_prng_key(np.zeros(3))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_float_dtype_follows_inputs(dtype: Any) -> None:
    with jax.enable_x64(True):
        assert util.float_dtype(np.zeros(2, dtype), 1.0, 2) == dtype
        assert util.float_dtype(1.0, np.arange(3)) == np.float64
        assert util.float_dtype(jnp.asarray(1.0), np.zeros(2, dtype)) == dtype
    assert util.float_dtype(np.zeros(2, np.float64)) == np.float32
