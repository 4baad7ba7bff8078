import jax.numpy as jnp
import numpy as np
import pytest

import ppl
from ppl import distributions as dist
from ppl import handlers, plate, sample

N = dist.Normal(0.0, 1.0)


def model():
    p = ppl.param("p", 1.0)
    x = sample("x", dist.Normal(p, 1.0))
    with plate("n", 4, subsample_size=2):
        y = sample("y", dist.Normal(x, 1.0))
    return ppl.deterministic("d", x + y)


def run(fn, seed=0):
    return handlers.trace(handlers.seed(fn, seed)).get_trace()


DATA = {"p": 5.0, "x": 7.0, "y": np.ones(2), "d": 9.0, "n": np.array([3, 0]), "elsewhere": 1.0}


@pytest.mark.parametrize("names", [("p",), ("x",), ("y", "n"), ("d",), tuple(DATA)])
@pytest.mark.parametrize("how", ["data", "function"])
def test_substitute_sets_values_and_nothing_else(names, how):
    data = {name: DATA[name] for name in names}
    plain = run(model)
    handler = (
        handlers.substitute(model, data=data)
        if how == "data"
        else handlers.substitute(model, substitute_fn=lambda site: data.get(site["name"]))
    )
    tr = run(handler)
    assert list(tr) == list(plain)
    for name, site in tr.items():
        if name in names:
            assert site["value"] is data[name]
        assert site["type"] == plain[name]["type"]
        assert site.get("is_observed", False) is plain[name].get("is_observed", False)
    assert data == {name: DATA[name] for name in names}


def test_the_outer_of_two_substitutes_wins():
    inner = handlers.substitute(model, data={"x": 1.0})
    assert run(handlers.substitute(inner, data={"x": 2.0}))["x"]["value"] == 2.0


def test_substituted_and_observed_sites_consume_no_key():
    def rest(first):
        def fn():
            first()
            sample("z", N)

        return run(fn)["z"]["value"]

    plain = rest(lambda: None)
    assert rest(lambda: sample("a", N, obs=1.0)) == plain
    assert rest(handlers.substitute(lambda: sample("a", N), data={"a": 1.0})) == plain
    assert rest(lambda: ppl.deterministic("a", 1.0)) == plain
    assert rest(lambda: sample("a", N)) != plain


@pytest.mark.parametrize("how", ["data", "function"])
def test_condition_makes_sample_sites_observed(how):
    data = {"x": 7.0, "p": 3.0, "d": 2.0}
    handler = (
        handlers.condition(model, data=data)
        if how == "data"
        else handlers.condition(model, condition_fn=lambda site: data.get(site["name"]))
    )
    tr = run(handler)
    assert (tr["x"]["value"], tr["x"]["is_observed"]) == (7.0, True)
    assert not tr["y"]["is_observed"]
    assert tr["p"]["value"] == 1.0
    assert tr["d"]["value"].shape == (2,)


@pytest.mark.parametrize("handler", [handlers.substitute, handlers.condition])
def test_exactly_one_source_is_needed(handler):
    with pytest.raises(ValueError, match="exactly one of `data` and"):
        handler(model)
    with pytest.raises(ValueError, match="found both"):
        handler(model, {}, lambda site: None)
    with pytest.raises(TypeError, match="must be a dict"):
        handler(model, [("x", 1.0)])
    with pytest.raises(TypeError, match="function of a site"):
        handler(model, None, 3.0)


@pytest.mark.parametrize("seed_inside", [False, True])
def test_uncondition_draws_observed_sites(seed_inside):
    def observed():
        return sample("x", dist.Uniform(0.0, 1.0), obs=5.0), sample("z", N)

    fn = handlers.seed(observed, 0) if seed_inside else observed
    tr = run(handlers.uncondition(fn))
    assert 0 < tr["x"]["value"] < 1
    assert not tr["x"]["is_observed"]
    assert tr["x"]["infer"] == {"was_observed": True, "obs": 5.0}
    assert tr["z"]["infer"] == {}


def test_condition_around_uncondition_observes_again():
    tr = run(handlers.condition(handlers.uncondition(lambda: sample("x", N, obs=5.0)), data={"x": 2.0}))
    assert (tr["x"]["value"], tr["x"]["is_observed"]) == (2.0, True)


def test_replay_takes_latent_values_plates_and_hints():
    def guide():
        sample("x", dist.Cauchy(0.0, 1.0), infer={"hint": 1})
        plate("n", 4, subsample_size=2)

    recorded = run(guide, seed=5)
    tr = run(handlers.replay(model, trace=recorded))
    assert tr["x"]["value"] is recorded["x"]["value"]
    assert tr["n"]["value"] is recorded["n"]["value"]
    assert tr["x"]["infer"] == {"hint": 1}
    assert tr["x"]["infer"] is not recorded["x"]["infer"]
    assert isinstance(tr["x"]["fn"], dist.Normal)


def test_replay_leaves_observed_sites():
    recorded = run(lambda: sample("x", N))
    tr = run(handlers.replay(lambda: sample("x", N, obs=3.0), trace=recorded))
    assert tr["x"]["value"] == 3.0


@pytest.mark.parametrize(
    ("guide", "words"),
    [
        (lambda: sample("x", N, obs=1.0), "'x' is a latent sample site in the model but an observed site"),
        (lambda: ppl.deterministic("x", 1.0), "'x' is a latent sample site in the model but a deterministic site"),
        (lambda: sample("n", N), "'n' is a plate in the model but a sample site"),
    ],
)
def test_replay_of_sites_of_another_kind_is_an_error(guide, words):
    with pytest.raises(RuntimeError, match=words):
        run(handlers.replay(model, trace=run(guide)))
    with pytest.raises(ValueError, match="trace"):
        handlers.replay(model)


def chain():
    x = sample("x", N)
    y = sample("y", dist.Normal(x, 1.0))
    return x, y


def test_do_cuts_the_model_but_keeps_the_natural_site():
    natural, intervened = run(chain), handlers.do(chain, data={"x": 100.0})
    tr = run(intervened)
    assert list(tr) == ["x", "y"]
    assert tr["x"]["value"] == natural["x"]["value"]
    assert not tr["x"]["is_observed"]
    assert tr["y"]["fn"].loc == 100.0
    x, y = handlers.seed(intervened, 0)()
    assert x == 100.0
    assert jnp.abs(y - 100) < 10


def test_do_is_seen_by_inner_handlers_as_counterfactual():
    inside = handlers.trace(chain)
    with handlers.trace() as outside, handlers.seed(rng_seed=0), handlers.do(data={"x": 1.0}):
        inside()
    assert list(inside.trace) == ["x__CF", "y"]
    assert inside.trace["x__CF"]["is_observed"]
    assert list(outside) == ["x", "y"]


def test_do_inside_a_plate_counts_scales_once():
    def plated():
        with plate("n", 10, subsample_size=2), handlers.scale(scale=3.0):
            return sample("x", N)

    with handlers.trace() as tr, handlers.seed(rng_seed=0), handlers.do(data={"x": 1.0}):
        plated()
    assert tr["x"]["scale"] == 15.0
    assert len(tr["x"]["cond_indep_stack"]) == 1


def test_do_on_an_observed_site_keeps_its_observation():
    tr = run(handlers.do(lambda: sample("x", N, obs=1.0), data={"x": 2.0}))
    assert (tr["x"]["value"], tr["x"]["is_observed"]) == (1.0, True)


def test_two_interventions_warn_and_the_inner_counts():
    fn = handlers.seed(handlers.do(handlers.do(chain, data={"x": 1.0}), data={"x": 2.0}), 0)
    with pytest.warns(RuntimeWarning, match="two interventions on the site 'x'"):
        assert fn()[0] == 1.0
    with pytest.raises(ValueError, match="do: expected `data`"):
        handlers.do(chain)
