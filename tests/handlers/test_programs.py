import jax.numpy as jnp
import numpy as np
import pytest

import ppl
from ppl import distributions as dist
from ppl import handlers, plate, sample
from ppl.trace import log_density

FLOAT = jnp.result_type(float)

N = dist.Normal(0.0, 1.0)


def run(fn, seed=0):
    return handlers.trace(handlers.seed(fn, seed)).get_trace()


def model():
    loc = ppl.param("loc", 3.0)
    scale = ppl.param("scale", 1.0)
    again = ppl.param("loc", 3.0)
    return loc, scale, again


def test_lift_draws_params_from_their_prior():
    tr = run(handlers.lift(model, prior=N))
    assert list(tr) == ["loc", "scale"]
    assert all(site["type"] == "sample" and not site["is_observed"] for site in tr.values())
    assert np.allclose(log_density(tr), sum(N.log_prob(site["value"]) for site in tr.values()))


def test_a_lifted_name_keeps_its_value_within_a_run():
    lifted = handlers.lift(model, prior=N)
    first, second = handlers.seed(lifted, 0)(), handlers.seed(lifted, 1)()
    assert first[0] == first[2]
    assert first[0] != first[1]
    assert first[0] != second[0] == second[2]


def test_lift_by_name_leaves_other_params():
    tr = run(handlers.lift(model, prior={"scale": dist.Exponential(1.0)}))
    assert {n: s["type"] for n, s in tr.items()} == {"loc": "param", "scale": "sample"}
    assert isinstance(tr["scale"]["fn"], dist.Exponential)


def test_lifted_params_can_be_substituted_and_conditioned():
    fn = handlers.substitute(handlers.lift(model, prior=N), data={"loc": 5.0})
    assert handlers.seed(fn, 0)()[::2] == (5.0, 5.0)
    tr = run(handlers.condition(handlers.lift(model, prior=N), data={"loc": 5.0}))
    assert tr["loc"]["is_observed"]


@pytest.mark.parametrize("prior", [None, 3.0, dist.Normal, {"loc": 3.0}])
def test_priors_are_distributions(prior):
    with pytest.raises(TypeError, match="lift: `prior` must be"):
        handlers.lift(model, prior=prior)


def decentre(name, fn, obs):
    assert obs is None
    z = sample(f"{name}_z", dist.Normal(np.zeros(fn.batch_shape, FLOAT), 1.0))
    return None, 10.0 + 2.0 * z


def centred():
    with plate("n", 3):
        return sample("x", dist.Normal(10.0, 2.0))


@pytest.mark.parametrize("config", [{"x": decentre}, lambda site: decentre if site["name"] == "x" else None])
def test_reparam_makes_the_site_deterministic(config):
    tr = run(handlers.reparam(centred, config=config))
    assert {n: s["type"] for n, s in tr.items()} == {"n": "plate", "x_z": "sample", "x": "deterministic"}
    assert np.allclose(tr["x"]["value"], 10 + 2 * tr["x_z"]["value"])
    assert [f.name for f in tr["x_z"]["cond_indep_stack"]] == ["n"]
    assert "fn" in tr["x"]
    assert "is_observed" not in tr["x"]


def test_a_distribution_in_return_keeps_the_site():
    def shift(name, fn, obs):
        return dist.Normal(1.0, 1.0).expand(fn.batch_shape), None

    def fix(name, fn, obs):
        return fn, np.zeros(fn.batch_shape)

    tr = run(handlers.reparam(centred, config={"x": shift}))
    assert tr["x"]["type"] == "sample"
    assert not tr["x"]["is_observed"]
    tr = run(handlers.reparam(centred, config={"x": fix}))
    assert tr["x"]["is_observed"]
    assert tr["x"]["value"].tolist() == [0.0, 0.0, 0.0]


def test_reparam_composes_with_scope_on_either_side():
    inside = handlers.scope(handlers.reparam(centred, config={"x": decentre}), prefix="a")
    outside = handlers.reparam(handlers.scope(centred, prefix="a"), config={"a/x": decentre})
    for fn in (inside, outside):
        tr = run(fn)
        assert set(tr) == {"a/n", "a/x_z", "a/x"}
        assert [f.name for f in tr["a/x_z"]["cond_indep_stack"]] == ["a/n"]


def test_reparam_expands_sample_shape():
    def free():
        return sample("x", dist.Normal(10.0, 2.0), sample_shape=(4,))

    assert run(handlers.reparam(free, config={"x": decentre}))["x"]["value"].shape == (4,)


def test_reparam_checks_its_config_and_its_strategy():
    with pytest.raises(TypeError, match="reparam: `config`"):
        handlers.reparam(centred)
    with pytest.raises(ValueError, match="neither a distribution nor a value"):
        run(handlers.reparam(centred, config={"x": lambda *_: (None, None)}))


def test_reparam_passes_the_observed_value():
    seen = []

    def look(name, fn, obs):
        seen.append(obs)
        return fn, None

    tr = run(handlers.reparam(lambda: sample("x", N, obs=2.0), config={"x": look}))
    assert seen == [2.0]
    assert (tr["x"]["value"], tr["x"]["is_observed"]) == (2.0, True)
