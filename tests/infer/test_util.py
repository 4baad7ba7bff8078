"""Models as functions: densities against SciPy, round trips, starts, errors."""

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import random
from scipy import stats

import ppl
import ppl.distributions as dist
from ppl import handlers
from ppl.contrib.control_flow import scan
from ppl.distributions import constraints
from ppl.infer import init_to_value, initialize_model, util

pytestmark = pytest.mark.filterwarnings("error")
KEY = random.key(0)
Y = np.array([1.0, 2.0, 0.5])
VALUES = {"z": 1.0, "a": 2.0, "u": 0.5, "w": np.array([[0.2, 0.3, 0.5], [0.6, 0.3, 0.1]]), "b": 1, "p": 2.0}


@pytest.fixture(autouse=True)
def _strict_float64() -> Iterator[None]:
    with jax.enable_x64(True), jax.numpy_dtype_promotion("strict"), jax.numpy_rank_promotion("raise"):
        yield


def model(y: Any = None) -> None:
    """Supports that depend on sites and parameters, vectors in a plate, a discrete site, subsampling, scale and mask."""
    z = ppl.sample("z", dist.Normal(0.0, 1.0))
    a = ppl.sample("a", dist.Exponential(1.0))
    p = ppl.param("p", 1.0, constraint=constraints.positive)
    u = ppl.sample("u", dist.Uniform(0.0, a * p))
    ppl.deterministic("d", a + z)
    b = ppl.sample("b", dist.Bernoulli(0.3))
    with ppl.plate("K", 2):
        ppl.sample("w", dist.Dirichlet(jnp.array([1.0, 2.0, 3.0])))
    ppl.factor("f", -(u**2))
    with ppl.plate("N", 6, subsample_size=3), handlers.mask(mask=np.array([True, True, False])):
        ppl.sample("y", dist.Normal(z + jnp.asarray(b, float), p), obs=y)


def expected_log_probs() -> dict[str, Any]:
    return {
        "z": stats.norm.logpdf(1.0),
        "a": stats.expon.logpdf(2.0),
        "u": stats.uniform(0, 4.0).logpdf(0.5),
        "b": np.log(0.3),
        "w": stats.dirichlet([1.0, 2.0, 3.0]).logpdf(VALUES["w"].T),
        "f": -0.25,
        "y": 2 * stats.norm(2.0, 2.0).logpdf(Y) * [1, 1, 0],
    }


def seeded(y: Any = None) -> None:
    with handlers.seed(rng_seed=0):
        model(y)


# Densities


def test_log_probs():
    expected = expected_log_probs()
    found, trace = util.compute_log_probs(seeded, (Y,), {}, VALUES, sum_log_prob=False)
    assert found.keys() == expected.keys()
    for site, values in expected.items():
        np.testing.assert_allclose(found[site], values, rtol=1e-6, err_msg=site)
    assert trace["d"]["value"] == 3.0
    summed, _ = util.compute_log_probs(seeded, (Y,), None, VALUES)
    np.testing.assert_allclose(summed["y"], expected["y"].sum(), rtol=1e-6)
    total, trace = util.log_density(seeded, (), {"y": Y}, VALUES)
    assert total.shape == () and trace["y"]["is_observed"]
    np.testing.assert_allclose(total, sum(np.sum(values) for values in expected.values()), rtol=1e-6)


def test_potential_energy_has_the_jacobians_of_latent_sites():
    unconstrained = util.unconstrain_fn(model, (Y,), {}, VALUES)
    log_probs = sum(np.sum(values) for values in expected_log_probs().values())
    transforms = util.get_transforms(model, (Y,), {}, VALUES)
    assert transforms.keys() == {"z", "a", "p", "u", "w"}
    jacobians = sum(
        jnp.sum(transforms[name].log_abs_det_jacobian(unconstrained[name], VALUES[name])) for name in ("z", "a", "u", "w")
    )
    np.testing.assert_allclose(jacobians - np.log(2.0) - np.log(4 * 0.125 * 0.875), np.sum(np.log(VALUES["w"]).sum(-1)), rtol=1e-6)
    found = util.potential_energy(model, (Y,), None, unconstrained)
    np.testing.assert_allclose(found, -(log_probs + jacobians), rtol=1e-6)


def test_the_jacobian_is_not_scaled():
    """x ~ Exponential(1) under scale 2 has density 2 exp(-2 x) on the reals, x = exp(z)."""
    tempered = handlers.scale(lambda: ppl.sample("x", dist.Exponential(1.0)), scale=2.0)
    found = jax.vmap(lambda z: util.potential_energy(tempered, (), {}, {"x": z}))(jnp.linspace(-1.0, 1.0, 3))
    np.testing.assert_allclose(found, 2 * np.exp(np.linspace(-1.0, 1.0, 3)) - np.linspace(-1.0, 1.0, 3), rtol=1e-10)


def test_loops():
    def walk(x: Any, _: Any) -> Any:
        x = ppl.sample("x", dist.LogNormal(jnp.log(x), 1.0))
        return x, x

    def chain() -> None:
        start = ppl.sample("s", dist.HalfNormal(1.0))
        scan(walk, start, None, length=3)

    values = {"s": 0.5, "x": np.array([1.0, 2.0, 0.5])}
    z = util.unconstrain_fn(chain, (), {}, values)
    np.testing.assert_allclose(z["x"], np.log(values["x"]), rtol=1e-10)
    x = np.append(0.5, values["x"])
    steps = stats.norm(np.log(x[:-1])).logpdf(np.log(x[1:])) - np.log(x[1:])
    density = stats.halfnorm.logpdf(0.5) + steps.sum() + np.log(x).sum()
    np.testing.assert_allclose(util.potential_energy(chain, (), {}, z), -density, rtol=1e-6)
    np.testing.assert_allclose(util.constrain_fn(chain, (), {}, z)["x"], values["x"], rtol=1e-10)


def test_importance_traces():
    def guide(y: Any) -> None:
        ppl.sample("x", dist.Normal(ppl.param("loc", 0.0), 2.0))

    def target(y: Any) -> None:
        with ppl.plate("N", 2):
            ppl.sample("y", dist.Normal(ppl.sample("x", dist.Normal(0.0, 1.0), infer={"block_plates": {"N"}}), 1.0), obs=y)

    y = np.array([0.0, 1.0])
    scaled = handlers.scale(handlers.seed(target, 1), scale=0.5)
    of_model, of_guide = util.get_importance_trace(scaled, handlers.seed(guide, 0), (y,), {}, {"loc": 3.0})
    x = float(of_guide["x"]["value"])
    assert of_model["x"]["value"] == x and of_guide["loc"]["value"] == 3.0
    np.testing.assert_allclose(of_guide["x"]["log_prob"], stats.norm(3.0, 2.0).logpdf(x), rtol=1e-6)
    np.testing.assert_allclose(of_model["x"]["log_prob"], 0.5 * stats.norm.logpdf(x), rtol=1e-6)
    np.testing.assert_allclose(of_model["y"]["log_prob"], 0.5 * stats.norm(x).logpdf(y), rtol=1e-6)


# Constrained and unconstrained


def test_round_trip():
    unconstrained = util.unconstrain_fn(model, (Y,), {}, VALUES)
    assert unconstrained["w"].shape == (2, 2) and unconstrained["b"] == 1
    found = util.constrain_fn(model, (Y,), {}, unconstrained, return_deterministic=True)
    assert found.keys() == {*VALUES, "d"}
    for name, value in {**VALUES, "d": 3.0}.items():
        np.testing.assert_allclose(found[name], value, rtol=1e-10, err_msg=name)
    stacked = jax.tree.map(lambda x: np.stack([np.stack([x, x])] * 3), unconstrained)
    many = util.constrain_fn(model, (Y,), {}, stacked, batch_ndims=2)
    assert many.keys() == VALUES.keys() and many["w"].shape == (3, 2, 2, 3)
    np.testing.assert_allclose(many["u"], np.full((3, 2), 0.5), rtol=1e-10)


def test_transform_fn():
    transforms = {"x": dist.transforms.ExpTransform()}
    found = util.transform_fn(transforms, {"x": jnp.zeros(2), "y": 3.0})
    np.testing.assert_array_equal(found["x"], 1.0)
    assert found["y"] == 3.0
    np.testing.assert_array_equal(util.transform_fn(transforms, found, invert=True)["x"], 0.0)


# Starts


def simple(y: Any, scale: float = 1.0) -> None:
    a = ppl.sample("a", dist.Exponential(1.0))
    ppl.deterministic("d", 2 * a)
    with ppl.plate("N", 2):
        ppl.sample("y", dist.Normal(ppl.sample("x", dist.Normal(a, scale)), 1.0), obs=y)


def test_initialize_model():
    runs = []

    def counted(y: Any) -> None:
        runs.append(1)
        simple(y)

    y = np.array([0.0, 1.0])
    info = initialize_model(KEY, counted, model_args=(y,), dynamic_args=True)
    assert info._fields == ("param_info", "potential_fn", "postprocess_fn", "model_trace")
    z, energy, gradient = info.param_info
    assert z["a"].shape == () and z["x"].shape == (2,) and np.all(np.abs(z["x"]) <= 2)
    evaluate = jax.jit(lambda y, z: (info.potential_fn(y)(z), info.postprocess_fn(y)(z)))
    found, values = evaluate(y, z)
    np.testing.assert_allclose(found, energy, rtol=1e-10)
    np.testing.assert_allclose(values["d"], 2 * np.exp(z["a"]), rtol=1e-10)
    assert info.model_trace["x"]["value"].shape == info.model_trace["x"]["fn"].batch_shape == (2,)
    np.testing.assert_allclose(info.model_trace["a"]["value"], values["a"], rtol=1e-10)
    traced = len(runs)
    assert evaluate(y + 1, z)[0] != found and len(runs) == traced
    numeric = (info.potential_fn(y)({**z, "a": z["a"] + 1e-5}) - info.potential_fn(y)({**z, "a": z["a"] - 1e-5})) / 2e-5
    np.testing.assert_allclose(gradient["a"], numeric, rtol=1e-6)


def test_initialize_model_with_several_keys():
    y = np.zeros(2)
    keys = random.split(KEY, 3)
    info = initialize_model(keys, simple, model_args=(y,), model_kwargs={"scale": 2.0}, forward_mode_differentiation=True)
    one = initialize_model(keys[1], simple, model_args=(y,), model_kwargs={"scale": 2.0})
    assert info.param_info.z["x"].shape == (3, 2)
    for found, expected in zip(jax.tree.leaves(info.param_info), jax.tree.leaves(one.param_info)):
        np.testing.assert_allclose(found[1], expected, rtol=1e-10)
    np.testing.assert_allclose(jax.vmap(info.potential_fn)(info.param_info.z), info.param_info.potential_energy, rtol=1e-10)
    with pytest.raises(ValueError, match=r"latent sites \['x'\]"):
        info.potential_fn({"a": 0.0})


def test_find_valid_initial_params():
    strategy = init_to_value(values={"a": 2.0, "x": np.array([1.0, -1.0])})
    find = jax.jit(lambda key: util.find_valid_initial_params(key, simple, init_strategy=strategy, model_args=(np.zeros(2),)))
    (z, energy, _), is_valid = find(KEY)
    assert is_valid
    np.testing.assert_allclose(z["a"], np.log(2.0), rtol=1e-10)
    np.testing.assert_array_equal(z["x"], [1.0, -1.0])
    np.testing.assert_allclose(energy, util.potential_energy(simple, (np.zeros(2),), {}, z), rtol=1e-10)
    with pytest.raises(ValueError, match="nowhere"):
        util.find_valid_initial_params(KEY, simple, model_args=(np.zeros(2),), prototype_params={"nowhere": 0.0})


def test_a_start_that_does_not_exist_is_explained():
    def impossible(y: Any) -> None:
        ppl.sample("x", dist.Normal(0.0, 1.0))
        ppl.sample("y", dist.Exponential(1.0), obs=y)

    with pytest.warns(UserWarning, match="Site y: Out-of-support values"), pytest.raises(RuntimeError, match="site 'y'"):
        initialize_model(KEY, impossible, model_args=(np.array([1.0, -1.0]),))


def test_get_potential_fn():
    y = np.zeros(2)
    transforms = util.get_transforms(simple, (y,), {}, {"a": 1.0, "x": y})
    z = {"a": 0.5, "x": np.array([1.0, -1.0])}
    potential_fn, postprocess_fn = util.get_potential_fn(simple, transforms, model_args=(y,))
    assert postprocess_fn(z).keys() == {"a", "x"}
    dynamic, replay = util.get_potential_fn(simple, transforms, dynamic_args=True, replay_model=True)
    np.testing.assert_allclose(dynamic(y)(z), potential_fn(z), rtol=1e-10)
    np.testing.assert_allclose(replay(y)(z)["d"], 2 * np.exp(0.5), rtol=1e-10)


# Errors


def test_errors():
    for function in (util.potential_energy, util.constrain_fn):
        with pytest.raises(ValueError, match="batch_ndims|latent sites"):
            function(simple, (np.zeros(2),), {}, {"a": 0.0}, **({"batch_ndims": -1} if function is util.constrain_fn else {}))
    with pytest.raises(ValueError, match="site 'x': value of shape"):
        util.compute_log_probs(lambda: ppl.sample("x", dist.Normal(np.zeros(3), 1.0)), (), {}, {"x": np.zeros(2)})
    with pytest.raises(ValueError, match="handle discrete"):
        initialize_model(KEY, lambda: ppl.sample("x", dist.Poisson(1.0)))


def test_support_errors():
    def site(support: Any) -> Any:
        return {"name": "x", "type": "sample", "fn": SimpleNamespace(support=support)}

    def enter(support: Any, **options: Any) -> None:
        with util.helpful_support_errors(site(support), **options):
            dist.biject_to(support)

    with pytest.raises(ValueError, match="handle discrete"):
        enter(constraints.nonnegative_integer)
    with pytest.raises(ValueError, match="ProjectedNormalReparam"):
        enter(constraints.sphere)
    enter(constraints.circular)
    with pytest.warns(UserWarning, match="CircularReparam"):
        enter(constraints.circular, raise_warnings=True)


def test_plate_nesting():
    def nested() -> None:
        with ppl.plate("a", 2), ppl.plate("b", 3, dim=-3):
            ppl.sample("x", dist.Normal(0.0, 1.0))

    trace = handlers.trace(handlers.seed(nested, 0)).get_trace()
    assert util._guess_max_plate_nesting(trace) == 3


def test_a_complex_site_moves_as_two_reals() -> None:
    """Its density is real, and nothing is cast."""

    def model() -> None:
        x = ppl.sample("x", dist.ImproperUniform(dist.constraints.complex, (), ()))
        ppl.factor("near", -(jnp.abs(x - (1.0 + 2.0j)) ** 2))

    with jax.numpy_dtype_promotion("standard"):
        energy, gradient = jax.value_and_grad(lambda z: util.potential_energy(model, (), {}, {"x": z}))(jnp.array([1.0, 0.5]))
    np.testing.assert_allclose(energy, 2.25, rtol=1e-5)
    np.testing.assert_allclose(gradient, [0.0, -3.0], rtol=1e-5)
