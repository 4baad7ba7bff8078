import random as python_random
from contextlib import nullcontext

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import random

import ppl
from ppl import distributions as dist
from ppl import handlers, plate, sample, util

N = dist.Normal(0.0, 1.0)


@pytest.mark.parametrize(
    ("key", "single"),
    [
        (random.key(0), True),
        (random.PRNGKey(0), True),
        (np.array([0, 1], np.uint32), True),
        (random.split(random.key(0)), False),
        (random.split(random.PRNGKey(0)), False),
        (np.array([0, 1]), False),
        (0, False),
        (None, False),
    ],
)
def test_is_prng_key(key, single):
    assert util.is_prng_key(key) is single


@pytest.mark.parametrize("seed", [3, np.int64(3), jnp.array(3), np.array(3), random.key(3), random.PRNGKey(3)])
def test_every_seed_becomes_the_same_typed_key(seed):
    assert util.as_key(seed) == random.key(3)


@pytest.mark.parametrize("seed", [None, 1.0, True, "0", np.zeros(2), np.array([1, 2]), random.split(random.key(0))])
def test_other_seeds_are_refused(seed):
    with pytest.raises(TypeError, match="my_seed: expected a single random key or an integer seed"):
        util.as_key(seed, name="my_seed")


def test_small_tools():
    assert util.identity(3) == 3
    assert util.not_jax_tracer(1.0)
    assert not jax.jit(util.not_jax_tracer)(1.0)
    with util.optional(True, nullcontext(1)) as x, util.optional(0, nullcontext(1)) as y:
        assert (x, y) == (1, None)
    tree = {"a": {"b": 1}, "c": np.ones(3)}
    assert util.nested_attrgetter("a.b", "c.shape")(tree) == (1, (3,))
    assert util.nested_attrgetter("c.ndim")(tree) == 1
    util.set_rng_seed(1)
    a = python_random.random(), np.random.rand()
    util.set_rng_seed(1)
    assert a == (python_random.random(), np.random.rand())


def test_stack_level_points_at_the_caller():
    with pytest.warns(UserWarning) as caught:
        ppl.prng_key()
    assert caught[0].filename == __file__


def test_control_flow_can_run_as_python():
    calls = []

    def body(i, x):
        calls.append(i)
        return x + 1

    def everything():
        total = util.fori_loop(0, 3, body, 0)
        total = util.while_loop(lambda x: x < 5, lambda x: x + 1, total)
        total = util.cond(total > 4, total, lambda x: x + 10, total, lambda x: x)
        return util.maybe_jit(lambda x: x * 2)(total)

    with util.control_flow_prims_disabled():
        assert everything() == 30
        assert isinstance(everything(), int)
    assert calls == [0, 1, 2, 0, 1, 2]
    assert everything() == 30
    assert isinstance(everything(), jax.Array)


@pytest.mark.parametrize("batch_ndims", [0, 1, 2])
@pytest.mark.parametrize("chunk_size", [None, 1, 4, 100])
def test_soft_vmap_equals_vmap(batch_ndims, chunk_size):
    xs = {"a": np.arange(24.0).reshape(2, 3, 4), "key": random.split(random.key(0), (2, 3, 4))}

    def fn(x):
        assert chunk_size != 1 or batch_ndims == 0 or x["a"].ndim == 3 - batch_ndims
        return x["a"] ** 2, random.key_data(x["key"])

    ys = util.soft_vmap(fn, xs, batch_ndims, chunk_size)
    assert np.allclose(ys[0], xs["a"] ** 2)
    assert np.array_equal(ys[1], random.key_data(xs["key"]))


def test_soft_vmap_checks_its_arguments():
    with pytest.raises(ValueError, match="leading dimensions"):
        util.soft_vmap(lambda x: x, {"a": np.ones(2), "b": np.ones(3)})
    with pytest.raises(ValueError, match="leading dimensions"):
        util.soft_vmap(lambda x: x, np.ones(2), batch_ndims=2)
    with pytest.raises(ValueError, match="chunk_size"):
        util.soft_vmap(lambda x: x, np.ones(2), chunk_size=0)


def model():
    ppl.param("loc", np.zeros((2, 1)))
    with plate("row", 3):
        sample("x", dist.Normal(np.zeros((3, 2)), 1.0).to_event(1))
        sample("y", N, obs=np.zeros(3))
    sample("z", N)


def test_format_shapes():
    tr = handlers.trace(handlers.seed(model, 0)).get_trace()
    table = util.format_shapes(tr, compute_log_prob=lambda site: site["name"] == "x", title="Shapes:", last_site="y")
    lines = [line.split() for line in table.split("\n")]
    assert lines == [
        ["Shapes:"],
        ["Param", "Sites:"],
        ["loc", "2", "1"],
        ["Sample", "Sites:"],
        ["row", "plate", "3", "|"],
        ["x", "dist", "3", "|", "2"],
        ["value", "3", "|", "2"],
        ["log_prob", "3", "|"],
        ["y", "dist", "3", "|"],
        ["value", "3", "|"],
    ]
    assert len({len(line) for line in table.split("\n")}) == 1


def trace_of(*sites, plates=True):
    def run():
        for name, fn, infer in sites:
            sample(name, fn, infer=infer)
        if plates:
            with plate("n", 2):
                sample("in_plate", N, obs=np.zeros(2))

    return handlers.trace(handlers.seed(run, 0)).get_trace()


def test_matching_model_and_guide_pass_in_silence():
    aux = ("a", N, {"is_auxiliary": True})
    util.check_model_guide_match(trace_of(("x", N, {})), trace_of(aux, ("x", dist.Cauchy(0.0, 1.0), {}), plates=False))


@pytest.mark.parametrize(
    ("guide", "words"),
    [
        ([("x", N, {"is_auxiliary": True})], r"Found auxiliary vars in the model: \['x'\]"),
        ([("x", N, {}), ("w", N, {})], r"Found non-auxiliary vars in guide but not model.*'w'"),
        ([], r"Found vars in model but not guide: \['x'\]"),
    ],
)
def test_different_sites_warn(guide, words):
    with pytest.warns(UserWarning, match=words):
        util.check_model_guide_match(trace_of(("x", N, {})), trace_of(*guide))


def test_plates_of_the_guide_alone_warn():
    with pytest.warns(UserWarning, match=r"Found plate statements in guide but not model: \['n'\]"):
        util.check_model_guide_match(trace_of(("x", N, {}), plates=False), trace_of(("x", N, {})))


@pytest.mark.parametrize(
    ("fn", "words"),
    [
        (dist.Normal(np.zeros(2), 1.0).to_event(1), r"Model and guide event_dims disagree at site 'x': 0 vs 1"),
        (dist.Normal(np.zeros(2), 1.0), r"Model and guide shapes disagree at site 'x': \(\) vs \(2,\)"),
    ],
)
def test_different_shapes_are_an_error(fn, words):
    with pytest.raises(ValueError, match=words):
        util.check_model_guide_match(trace_of(("x", N, {})), trace_of(("x", fn, {})))
