"""Construction, structure and shapes of every case of the table; nothing is compiled here."""

import importlib
import pickle
import re
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from case import MEMBERS, Case
from jax import random
from table import CONTINUOUS, DISCRETE, EVERY, INTEGERS, cases, outside

import ppl.distributions as dist
from ppl.distributions import Distribution

PROPERTIES = {"moments", "scipy_moments", "gradients", "scores", "tails", "outside"}
BATCHES = [(), (2, 3)]


def single_precision(p: Any) -> np.ndarray:
    return np.asarray(p, np.float32)


def tiled(*shape: int) -> Any:
    """What repeats a parameter over a batch shape on its left."""
    return lambda p: np.broadcast_to(single_precision(p), (*shape, *np.shape(p))).copy()


# the table itself -------------------------------------------------------------------------------------------------------


def test_the_table_names_every_case_once_and_gives_reasons() -> None:
    names = [case.name for case in EVERY]
    assert len(names) == len(set(names))
    for case in EVERY:
        assert set(case.without) <= {*MEMBERS, *PROPERTIES}
        assert all(reason.strip() for reason in case.without.values())
        assert case.others, f"{case.name} has a single setting"


# families that are tested elsewhere, by what they do with others
ELSEWHERE = {
    "test_base.py": "Distribution ExpandedDistribution Independent MaskedDistribution",
    "test_wrappers.py": "Delta ImproperUniform Unit",
    "test_censored.py": "IntervalCensoredDistribution LeftCensoredDistribution RightCensoredDistribution",
    "test_discrete.py": "HurdleGamma HurdleLogNormal",
    "test_polya_gamma.py": "TruncatedPolyaGamma",
}


def test_every_family_is_in_the_table_or_in_a_file_of_its_own() -> None:
    families = {value for value in vars(dist).values() if isinstance(value, type) and issubclass(value, Distribution)}
    named = {name for names in ELSEWHERE.values() for name in names.split()}
    in_table = {type(case.build()) for case in EVERY}
    assert {family.__name__ for family in families - in_table} == named


@pytest.mark.parametrize(
    ("module", "names"),
    [
        ("continuous", "HurdleGamma HurdleLogNormal Normal RelaxedBernoulli RelaxedBernoulliLogits"),
        ("directional", "ProjectedNormal SineBivariateVonMises SineSkewed VonMises"),
        ("truncated", "DoublyTruncatedPowerLaw LowerTruncatedPowerLaw TruncatedNormal TruncatedPolyaGamma"),
    ],
)
def test_families_are_found_where_numpyro_has_them(module: str, names: str) -> None:
    found = importlib.import_module(f"ppl.distributions.{module}")
    assert all(getattr(found, name) is getattr(dist, name) for name in names.split())


@cases(EVERY)
def test_a_member_is_defined_unless_the_case_names_it(case: Case) -> None:
    d = case.build(single_precision)
    defined = {"rsample": d.has_rsample}
    asked = {"mean": lambda d: d.mean, "variance": lambda d: d.variance, "entropy": lambda d: d.entropy()}
    if d.event_dim == 0:
        asked |= {"cdf": lambda d: d.cdf(jnp.ones_like(d.sample(random.key(0)))), "icdf": lambda d: d.icdf(jnp.float32(0.5))}
    if case in DISCRETE:
        defined["enumerate_support"] = d.has_enumerate_support
    for member, ask in asked.items():
        try:
            jax.eval_shape(ask, d)
        except NotImplementedError:
            defined[member] = False
        else:
            defined[member] = True
    assert {member: case.has(member) for member in defined} == defined
    assert d.is_discrete == (case in INTEGERS)


# construction -----------------------------------------------------------------------------------------------------------


@cases(EVERY)
def test_construction_and_wrapping_run_no_jax_operation(case: Case) -> None:
    mask = np.array([[True], [False]])

    arguments = [
        {name: convert(p) for name, p in case.params.items()} for convert in (lambda p: p, single_precision, tiled(3), jnp.asarray)
    ]

    def construct() -> None:
        for params in arguments:
            d = case.make(**params, **case.static)
            d.expand((2, 3)).mask(mask).to_event(1).expand_by((4,)).shape((5,))

    assert jax.make_jaxpr(construct)().eqns == []


@cases(EVERY)
def test_an_invalid_parameter_is_named(case: Case) -> None:
    for name, bad in case.invalid.items():
        pattern = re.escape(f"distribution got invalid {name} parameter")
        for value in (bad, np.stack([np.asarray(case.params[name]), bad])):
            with pytest.raises(ValueError, match=pattern) as info:
                case.make(**{**case.params, name: value}, **case.static)
        if type(case.build()) is case.make:
            assert str(info.value).startswith(case.make.__name__)
        case.make(**{**case.params, name: bad}, **case.static, validate_args=False)


@cases(EVERY)
def test_a_value_outside_the_support_is_named(case: Case) -> None:
    d = case.build(single_precision)
    for value in outside(case)[:, 0]:
        with pytest.warns(UserWarning, match="Out-of-support"):
            jax.eval_shape(lambda value=value: d.log_prob(value))
        with dist.validation_enabled(False):
            jax.eval_shape(lambda value=value: case.build(single_precision).log_prob(value))


# pytrees ----------------------------------------------------------------------------------------------------------------


def alike(a: Any, b: Any) -> bool:
    """Whether two distributions are equal as pytrees: of one type, with the same static part and the same leaves."""
    x, y = jax.tree.leaves(a), jax.tree.leaves(b)
    return jax.tree.structure(a) == jax.tree.structure(b) and all(np.array_equal(p, q) for p, q in zip(x, y))


WRAPPERS = [
    lambda d: d,
    lambda d: d.expand((2, *d.batch_shape)),
    lambda d: d.to_event(1),
    lambda d: d.mask(np.arange(d.batch_shape[0]) > 0),
    lambda d: d.mask(False),
    lambda d: d.mask(np.array(True)).expand_by((2,)).to_event(1),
]


@cases(EVERY)
def test_survives_tree_maps_and_pickling_and_differs_from_others(case: Case) -> None:
    params, static = case.batch(np.float32)

    def make(params: Any) -> Distribution:
        return case.make(**params, **static, validate_args=False)

    d, again = make(params), make({name: p.copy() for name, p in params.items()})
    for wrap in WRAPPERS:
        wrapped = wrap(d)
        for copy in (wrap(again), jax.tree.map(lambda leaf: leaf, wrapped), pickle.loads(pickle.dumps(wrapped))):
            assert type(copy) is type(wrapped)
            assert (copy.batch_shape, copy.event_shape) == (wrapped.batch_shape, wrapped.event_shape)
            assert alike(copy, wrapped)
        assert not any(alike(wrapped, other(d)) for other in WRAPPERS if other is not wrap)
        for name in params:
            changed = make({**params, name: params[name][::-1].copy()})
            same = np.array_equal(params[name], params[name][::-1])
            assert alike(wrapped, wrap(changed)) == same, f"{name} is no leaf"
    hash(jax.tree.structure(d))


# shapes -----------------------------------------------------------------------------------------------------------------


def shape_of(function: Any, *args: Any) -> tuple[int, ...]:
    """The shape of the result, computed without compiling; floats are of width 32."""
    out = jax.eval_shape(function, *args)
    assert out.dtype == jnp.float32 or not jnp.issubdtype(out.dtype, jnp.floating)
    return out.shape


def kind_of(case: Case) -> Any:
    """The type of draws: integers have the width of the session."""
    return jax.dtypes.canonicalize_dtype(np.int64) if case in INTEGERS else np.dtype(np.float32)


def check_members(case: Case, d: Distribution, batch: tuple[int, ...]) -> None:
    """Everything that the family defines has the batch and event shape, with and without sample axes."""
    event, kind = d.event_shape, kind_of(case)
    full = (4, 1, *batch, *event)

    def value(*shape: int) -> Any:
        return jax.ShapeDtypeStruct((*shape, *event), kind)

    assert d.batch_shape == batch
    assert d.shape((5,)) == (5, *batch, *event)
    drawn = jax.eval_shape(lambda key: d.sample(key, (4, 1)), random.key(0))
    assert (drawn.shape, drawn.dtype) == (full, kind)
    assert shape_of(d.log_prob, value(4, 1, *batch)) == shape_of(d.support, value(4, 1, *batch)) == (4, 1, *batch)
    assert shape_of(d.log_prob, value()) == batch
    for member in ("mean", "variance"):
        if case.has(member):
            assert shape_of(lambda d, m=member: getattr(d, m), d) == (*batch, *event)
    if case.has("entropy"):
        assert shape_of(lambda d: d.entropy(), d) == batch
    for member, argument in (("cdf", kind), ("icdf", jnp.float32)):
        if case.has(member):
            few, one = (jax.ShapeDtypeStruct(shape, argument) for shape in ((6, *(1 for _ in batch)), ()))
            assert shape_of(getattr(d, member), few) == (6, *batch)
            assert shape_of(getattr(d, member), one) == batch
    if case in DISCRETE and case.has("enumerate_support"):
        values = d.enumerate_support()
        assert values.shape[1:] == batch
        assert d.enumerate_support(expand=False).shape == values.shape[:1] + (1,) * len(batch)
        assert shape_of(d.log_prob, d.enumerate_support(expand=False)) == values.shape


@cases(EVERY)
def test_shapes_and_widths_under_strict_promotion(case: Case) -> None:
    with jax.numpy_dtype_promotion("strict"), jax.numpy_rank_promotion("raise"):
        for batch in BATCHES if case.params else [()]:
            check_members(case, case.build(tiled(*batch)), batch)
        grown = case.build(tiled(1, 2, 1)) if case.params else case.build()
        check_members(case, grown.expand((4, 3, 2, 5)), (4, 3, 2, 5))
        first, *others = case.params or [None]
        for wide in [first, others[-1]] if others else []:  # parameters of several batch shapes
            mixed = {name: tiled(2, 1)(p) if name == wide else tiled(3)(p) for name, p in case.params.items()}
            check_members(case, case.make(**mixed, **case.static), (2, 3))
        if case.params:
            with jax.enable_x64(True):  # parameters of width 32 keep it
                check_members(case, case.build(tiled(2, 1)), (2, 1))


@cases(EVERY)
def test_shapes_of_wrappers_and_maps(case: Case) -> None:
    d, kind = case.build(single_precision).expand((3,)), kind_of(case)
    event = d.event_shape
    if case.params:
        d = case.build(tiled(3))

    def value(*shape: int) -> Any:
        return jax.ShapeDtypeStruct((*shape, *event), kind)

    with jax.numpy_dtype_promotion("strict"), jax.numpy_rank_promotion("raise"):
        assert shape_of(d.log_prob, value()) == (3,)
        assert shape_of(d.log_prob, value(2, 1)) == (2, 3)
        joint = d.expand((2, 3)).to_event(1)
        assert (joint.batch_shape, joint.event_shape) == ((2,), (3, *event))
        assert shape_of(joint.log_prob, value(4, 2, 3)) == (4, 2)
        assert shape_of(joint.support, value(4, 2, 3)) == (4, 2)
        assert shape_of(lambda key: joint.sample(key, (4,)), random.key(0)) == (4, 2, 3, *event)
        assert shape_of(d.to_event(1).mask(np.array(True)).log_prob, value(3)) == ()
        assert shape_of(d.mask(np.array([[True, False, True]])).log_prob, value(3)) == (1, 3)
        assert shape_of(d.expand_by((2,)).log_prob, value(3)) == (2, 3)
        if not case.params:
            return
        batched = {name: jax.ShapeDtypeStruct((7, *np.shape(p)), jnp.float32) for name, p in case.params.items()}
        mapped = jax.eval_shape(jax.vmap(lambda params: case.make(**params, **case.static)), batched)
        assert all(leaf.shape[0] == 7 for leaf in jax.tree.leaves(mapped))
        assert shape_of(jax.vmap(lambda d, x: d.log_prob(x)), mapped, value(7, 2)) == (7, 2)
        draw = jax.vmap(lambda d, key: d.sample(key, (2,)), (0, None))
        assert shape_of(draw, mapped, random.key(0)) == (7, 2, *event)


def test_the_tables_are_of_their_kinds() -> None:
    for case in EVERY:
        d = case.build()
        assert isinstance(d, Distribution)
        assert (d.event_dim == 0) == (case in CONTINUOUS or case in DISCRETE)
