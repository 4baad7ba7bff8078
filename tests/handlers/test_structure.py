import numpy as np
import pytest

import ppl
from ppl import distributions as dist
from ppl import handlers, plate, sample

N = dist.Normal(0.0, 1.0)


def model(scale=1.0):
    p = ppl.param("p", 1.0)
    x = sample("x", dist.Normal(p, scale))
    with plate("n", 3):
        y = sample("y", dist.Normal(x, 1.0), obs=np.zeros(3))
    return ppl.deterministic("d", y)


def run(fn, *args, seed=0):
    return handlers.trace(handlers.seed(fn, seed)).get_trace(*args)


def test_trace_records_in_order_with_arguments():
    tr = run(model, 2.0)
    assert list(tr) == ["p", "x", "n", "y", "d"]
    assert [site["type"] for site in tr.values()] == ["param", "sample", "plate", "sample", "deterministic"]
    assert tr["x"]["fn"].scale == 2.0


def test_trace_by_call_and_by_context_agree():
    recorder = handlers.trace(handlers.seed(model, 0))
    recorder()
    with handlers.trace() as tr, handlers.seed(rng_seed=0):
        model()
    assert list(recorder.trace) == list(tr)
    assert recorder.trace["x"]["value"] == tr["x"]["value"]
    with pytest.raises(ValueError, match="no model"):
        handlers.trace().get_trace()


def test_trace_records_copies():
    seen = []

    class Peek(ppl.primitives.Messenger):
        def postprocess_message(self, msg):
            seen.append(msg)
            if "infer" in msg:
                msg["infer"]["later"] = True
                msg["value"] = 0.0

    with handlers.trace() as tr, handlers.seed(rng_seed=0), Peek():
        sample("x", N)
    assert tr["x"] is not seen[0]
    assert tr["x"]["infer"] == {}
    assert tr["x"]["value"] != 0.0


def test_a_trace_is_fresh_each_time_and_keeps_what_an_error_left():
    recorder = handlers.trace()
    with recorder as first:
        sample("x", N, obs=1.0)
    with recorder as second:
        sample("y", N, obs=1.0)
    assert (list(first), list(second)) == (["x"], ["y"])

    def failing():
        sample("z", N, obs=1.0)
        raise KeyError

    wrapped = handlers.trace(failing)
    with pytest.raises(KeyError):
        wrapped()
    assert list(wrapped.trace) == ["z"]


@pytest.mark.parametrize("second", [lambda: sample("x", N, obs=1.0), lambda: ppl.deterministic("x", 1.0)])
def test_names_are_unique(second):
    def twice():
        sample("x", N, obs=1.0)
        second()

    with pytest.raises(ValueError, match="all sites must have unique names but got `x` duplicated"):
        handlers.trace(twice).get_trace()


def test_params_and_plates_may_return():
    def twice():
        for _ in range(2):
            ppl.param("p", 1.0)
            plate("n", 3)

    assert list(run(twice)) == ["p", "n"]


@pytest.mark.parametrize(
    ("kwargs", "visible"),
    [
        ({}, []),
        ({"hide": ["x", "p"]}, ["n", "y", "d"]),
        ({"expose": ["x"]}, ["x"]),
        ({"expose_types": ["param", "plate"]}, ["p", "n"]),
        ({"hide_fn": lambda site: site["type"] == "sample"}, ["p", "n", "d"]),
        ({"hide_fn": lambda site: False, "hide": ["x"]}, ["p", "x", "n", "y", "d"]),
        ({"hide": ["x"], "expose": ["x"]}, ["p", "n", "y", "d"]),
    ],
)
def test_block_hides_sites(kwargs, visible):
    assert list(run(handlers.block(model, **kwargs))) == visible


def test_hidden_sites_get_keys_from_outside():
    def pair():
        return sample("a", N), sample("b", N), plate("n", 9, subsample_size=3)._indices

    blocked, plain = handlers.seed(handlers.block(pair), 0)(), handlers.seed(pair, 0)()
    assert blocked[0] == plain[0] != blocked[1] == plain[1]
    assert np.array_equal(blocked[2], plain[2])


def test_block_lets_get_mask_and_keys_through():
    with handlers.seed(rng_seed=0), handlers.mask(mask=False), handlers.block():
        assert ppl.get_mask() is False
        assert ppl.prng_key() is not None


def test_block_wants_lists_of_names():
    with pytest.raises(TypeError, match=r"write \['x'\]"):
        handlers.block(model, hide="x")


def test_scope_prefixes_sites_and_plates():
    tr = run(handlers.scope(handlers.scope(model, prefix="b"), prefix="a", divider="."))
    assert list(tr) == [f"a.b/{name}" for name in ("p", "x", "n", "y", "d")]
    assert [f.name for f in tr["a.b/y"]["cond_indep_stack"]] == ["a.b/n"]
    assert tr["a.b/y"]["name"] == "a.b/y"


def test_scope_leaves_hidden_types_and_outer_plates():
    tr = run(handlers.scope(model, prefix="a", hide_types=["plate", "param"]))
    assert list(tr) == ["p", "a/x", "n", "a/y", "a/d"]
    assert [f.name for f in tr["a/y"]["cond_indep_stack"]] == ["n"]

    def plated():
        with plate("outer", 2), handlers.scope(prefix="a"), plate("inner", 3):
            sample("x", N)

    assert [f.name for f in run(plated)["a/x"]["cond_indep_stack"]] == ["a/inner", "outer"]


def test_infer_config_merges_hints_into_sample_sites():
    hints = {"x": 1}
    fn = handlers.infer_config(lambda: sample("x", N, infer=hints), config_fn=lambda site: {"y": site["name"]})
    assert run(fn)["x"]["infer"] == {"x": 1, "y": "x"}
    assert hints == {"x": 1}
    with pytest.raises(ValueError, match="config_fn"):
        handlers.infer_config(model)
