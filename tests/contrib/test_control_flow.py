import copy

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax
from scipy import stats

import ppl
from ppl import distributions as dist
from ppl import handlers, plate, sample
from ppl.contrib.control_flow import cond, scan
from ppl.infer.util import constrain_fn, potential_energy
from ppl.trace import check_plates, log_density, missing_plates

FLOAT = jnp.result_type(float)

N = dist.Normal(0.0, 1.0)
T = 5
X = np.linspace(-1, 1, 3 * T).reshape(T, 3).astype(FLOAT)
Y = np.arange(T, dtype=FLOAT)


def run(fn, *args, seed=0):
    return handlers.trace(handlers.seed(fn, seed)).get_trace(*args)


def model(steps=T, reverse=False):
    start = sample("start", N)

    def step(carry, t):
        with plate("n", 3):
            x = sample("x", dist.Normal(carry, 1.0 + t))
        y = sample("y", dist.Normal(x.sum(), 2.0))
        ppl.deterministic("d", 2 * x)
        return x, y

    return scan(step, jnp.full(3, start), jnp.arange(float(steps)), reverse=reverse)


def test_outside_handlers_scan_and_cond_are_those_of_jax():
    step = lambda c, x: (c + x, c * x)  # noqa: E731
    assert jax.tree.all(jax.tree.map(jnp.array_equal, scan(step, 0.0, Y), lax.scan(step, 0.0, Y)))
    assert cond(True, lambda x: x, lambda x: -x, 3.0) == 3.0


def test_sites_gain_a_leading_time_dimension():
    tr = run(model)
    shapes = {"start": (), "n": (3,), "x": (T, 3), "y": (T,), "d": (T, 3)}
    assert {name: np.shape(site["value"]) for name, site in tr.items()} == shapes
    assert {n: tr[n]["fn"].batch_shape for n in ("x", "y")} == {"x": (T, 3), "y": (T,)}
    assert [f.name for f in tr["x"]["cond_indep_stack"]] == ["n"]
    assert np.allclose(tr["d"]["value"], 2 * tr["x"]["value"])
    assert len(np.unique(tr["x"]["value"])) == 3 * T
    assert missing_plates(tr["x"]) == ()
    check_plates(tr)


@pytest.mark.parametrize("reverse", [False, True])
def test_the_density_is_the_one_of_the_unrolled_model(reverse):
    tr = run(lambda: model(reverse=reverse))
    x, y, start = (np.asarray(tr[n]["value"]) for n in ("x", "y", "start"))
    first = np.full((1, 3), start)
    before = np.concatenate([x[1:], first]) if reverse else np.concatenate([first, x[:-1]])
    expected = (
        N.log_prob(start)
        + dist.Normal(before, 1.0 + np.arange(T, dtype=FLOAT)[:, None]).log_prob(x).sum()
        + dist.Normal(x.sum(-1), 2.0).log_prob(y).sum()
    )
    assert np.allclose(log_density(tr), expected, rtol=1e-5)


def test_values_are_indexed_by_time():
    fn = handlers.condition(handlers.substitute(model, data={"x": X}), data={"y": Y})
    tr = run(fn)
    assert np.allclose(tr["x"]["value"], X)
    assert np.allclose(tr["y"]["value"], Y)
    assert (tr["x"]["is_observed"], tr["y"]["is_observed"]) == (False, True)
    assert np.allclose(tr["y"]["fn"].log_prob(Y), dist.Normal(X.sum(-1), 2.0).log_prob(Y), rtol=1e-5)
    latent = {"x": tr["x"]}
    assert np.allclose(run(handlers.replay(model, trace=latent), seed=1)["x"]["value"], X)


@pytest.mark.parametrize("order", ["seed outside", "seed inside"])
def test_a_shorter_series_is_continued_by_draws(order):
    data = {"x": X[:3], "start": 0.0}
    fn = (
        handlers.substitute(handlers.seed(model, 0), data)
        if order == "seed inside"
        else handlers.seed(handlers.substitute(model, data), 0)
    )
    tr = handlers.trace(fn).get_trace()
    assert np.allclose(tr["x"]["value"][:3], X[:3])
    assert len(np.unique(tr["x"]["value"][3:])) == 6
    with pytest.raises(ValueError, match="'y' in a loop of 5 steps.*without a `seed`"):
        handlers.substitute(model, {"x": X, "start": 0.0, "y": Y[:2]})()


@pytest.mark.parametrize("value", [np.zeros((T + 1, 3)), np.zeros((2, T, 3)), 0.0])
def test_series_of_the_wrong_shape_are_named(value):
    with pytest.raises(ValueError, match=rf"site 'x' in a loop of {T} steps"):
        run(handlers.substitute(model, {"x": value}))


def test_functions_of_sites_see_one_step_with_its_index():
    seen = []

    def look(site):
        if site["name"] != "x":
            return None
        seen.append(site["infer"]["_scan_current_index"])
        return jnp.asarray(X)[site["infer"]["_scan_current_index"]]

    tr = run(handlers.substitute(model, substitute_fn=look))
    assert np.allclose(tr["x"]["value"], X)
    assert len(seen) >= 1
    assert "_scan_current_index" not in tr["x"]["infer"]
    tr = run(handlers.substitute(model, substitute_fn=lambda site: X if site["name"] == "x" else None))
    assert np.allclose(tr["x"]["value"], X)


def test_seeds_keep_their_place_among_the_handlers():
    keys = []

    def look(site):
        keys.append(site["kwargs"].get("rng_key"))

    run(handlers.substitute(model, substitute_fn=look))
    assert all(key is None for key in keys)
    keys.clear()
    handlers.trace(handlers.substitute(handlers.seed(model, 0), substitute_fn=look)).get_trace()
    assert any(key is not None for key in keys)
    a, b = handlers.seed(handlers.seed(model, 1), 2)(), handlers.seed(model, 1)()
    assert jnp.array_equal(a[1], b[1])


def decentre(name, fn, obs):
    z = sample(f"{name}_z", dist.Normal(jnp.zeros(fn.batch_shape), 1.0))
    return None, 10.0 + z


def test_other_handlers_act_on_each_step_or_on_the_whole_series():
    plain = run(model)
    tr = run(handlers.reparam(model, config={"x": decentre}))
    assert tr["x"]["type"] == "deterministic"
    assert tr["x_z"]["value"].shape == (T, 3)
    assert np.allclose(tr["x"]["value"], 10 + tr["x_z"]["value"])
    tr = run(handlers.scope(model, prefix="a"))
    assert set(tr) == {f"a/{name}" for name in plain}
    assert tr["a/x"]["cond_indep_stack"][0].name == "a/n"
    assert list(run(handlers.block(model, hide=["x", "n"]))) == ["start", "y", "d"]
    walk = handlers.mask(lambda: scan(lambda c, _: (c, sample("y", N)), 0.0, None, length=3), mask=np.array([True, True, False]))
    tr = run(handlers.scale(walk, scale=2.0))
    assert np.allclose(log_density(tr), 2 * N.log_prob(tr["y"]["value"][:2]).sum(), rtol=1e-5)
    assert tr["y"]["scale"] == 2.0
    tr = run(handlers.infer_config(model, config_fn=lambda site: {"seen": site["name"]}))
    assert tr["x"]["infer"] == {"seen": "x"}
    tr = run(handlers.uncondition(handlers.condition(model, {"y": Y + 1000})))
    assert not tr["y"]["is_observed"]
    assert np.abs(tr["y"]["value"]).max() < 500
    tr = run(handlers.do(model, {"x": X}))
    assert not np.allclose(tr["x"]["value"], X)
    assert np.allclose(tr["y"]["fn"].base_dist.loc, X.sum(-1), atol=1e-6)


def test_handlers_inside_the_body_act_per_step():
    def masked():
        def step(c, t):
            with handlers.mask(mask=t < 2), handlers.scale(scale=1.0 + t):
                sample("x", N, obs=1.0)
            return c, ppl.get_mask()

        return scan(step, 0.0, jnp.arange(3.0))

    tr = run(masked)
    assert np.allclose(log_density(tr), (1 + 2) * N.log_prob(1.0))
    flags = []
    handlers.seed(handlers.mask(lambda: scan(lambda c, _: (c, flags.append(ppl.get_mask())), 0.0, None, length=2), mask=False), 0)()
    assert flags[0] is False


def test_the_density_is_differentiable_in_a_series():
    def density(x):
        return log_density(handlers.trace(handlers.substitute(model, {"x": x, "start": 0.0, "y": Y})).get_trace())

    gradient = jax.jit(jax.grad(density))(X)
    h = 1e-2
    bump = np.zeros_like(X)
    bump[2, 1] = h
    assert np.allclose(gradient[2, 1], (density(X + bump) - density(X - bump)) / (2 * h), rtol=2e-2, atol=1e-2)


def test_a_site_of_a_loop_tells_its_parameters():
    def step(total, y):
        sample("y", dist.Normal(total + y, 2.0), obs=y)
        return total + 1.0, None

    fn = run(lambda: scan(step, 0.0, jnp.arange(4.0)))["y"]["fn"]
    np.testing.assert_allclose(fn.loc, [0.0, 2.0, 4.0, 6.0])
    np.testing.assert_allclose(np.broadcast_to(fn.scale, 4), 2.0)
    assert copy.deepcopy(fn).loc.shape == (4,)
    with pytest.raises(AttributeError, match="'StackedDistribution' object has no attribute 'rate'"):
        _ = fn.rate


def test_supports_that_depend_on_the_step_are_stacked():
    def bounded():
        def step(c, t):
            with plate("n", 3):
                return c, sample("x", dist.Uniform(0.0, 1.0 + t))

        return scan(step, 0.0, jnp.arange(float(T)))

    fn = run(bounded)["x"]["fn"]
    values = np.full((T, 3), 1.5, FLOAT)
    assert fn.support.check(values).tolist() == [[False] * 3] + [[True] * 3] * (T - 1)
    z = jnp.zeros((T, 3))
    assert np.allclose(dist.biject_to(fn.support)(z), 0.5 * (1 + np.arange(T))[:, None] * np.ones(3))
    assert fn.sample(jax.random.key(0), (2,)).shape == (2, T, 3)
    assert np.allclose(fn.mean, 0.5 * (1 + np.arange(T))[:, None] * np.ones(3))


def test_loops_nest():
    def nested():
        def outer(c, _):
            def inner(c, _):
                x = sample("x", dist.Normal(c, 1.0))
                return x, x

            return scan(inner, c, None, length=3)

        return scan(outer, 0.0, None, length=2)

    values = np.arange(6.0, dtype=FLOAT).reshape(2, 3)
    tr = run(handlers.substitute(nested, {"x": values}))
    assert np.allclose(tr["x"]["value"], values)
    assert np.allclose(log_density(tr), N.log_prob(0.0) + 5 * N.log_prob(1.0), rtol=1e-5)
    assert tr["x"]["fn"].batch_shape == (2, 3)


def test_draws_are_reproducible_and_differ_by_step():
    a, b, c = run(model), run(model), run(model, seed=1)
    assert jnp.array_equal(a["x"]["value"], b["x"]["value"])
    assert not jnp.array_equal(a["x"]["value"], c["x"]["value"])


def test_sample_shape_in_a_body():
    tr = run(lambda: scan(lambda c, _: (c, sample("x", N, sample_shape=(4,))), 0.0, None, length=2))
    assert tr["x"]["value"].shape == tr["x"]["fn"].batch_shape == (2, 4)


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: scan(lambda c, x: (c, x), 0.0, None), ValueError, "number of steps"),
        (lambda: scan(lambda c, x: (c, x), 0.0, (X, Y[:2])), ValueError, "one common leading axis"),
        (lambda: scan(lambda c, x: (c, x), 0.0, 3.0), ValueError, "number of steps"),
        (lambda: scan(lambda c, x: (c, x), 0.0, Y, history=-1), ValueError, "history"),
        (lambda: scan(lambda c, x: c, 0.0, Y), TypeError, "pair"),
        (lambda: scan(lambda c, x: (c, ppl.param("p", 1.0)), 0.0, Y), NotImplementedError, "param site 'p'"),
        (lambda: cond(True, lambda x: ppl.mutable("m", {}), lambda x: {}, None), NotImplementedError, "mutable site 'm'"),
    ],
)
def test_malformed_control_flow_is_named(call, error, words):
    with handlers.seed(rng_seed=0), pytest.raises(error, match=words):
        call()


@pytest.mark.parametrize("loop", [lambda: scan(lambda c, x: (c, x), 0.0, Y), lambda: cond(True, lambda x: x, lambda x: x, 0.0)])
def test_control_flow_inside_a_plate_is_refused(loop):
    with handlers.seed(rng_seed=0), plate("n", 3), pytest.raises(NotImplementedError, match="plate 'n'"):
        loop()


def branching(flag):
    def high(loc):
        x = sample("x", dist.Normal(loc, 1.0))
        return ppl.deterministic("d", x + 1)

    def low(loc):
        x = sample("x", dist.Normal(-loc, 2.0))
        return ppl.deterministic("d", x - 1)

    return cond(flag, high, low, 20.0)


@pytest.mark.parametrize("flag", [True, False])
def test_the_branch_taken_gives_the_sites(flag):
    tr = run(branching, flag)
    sign = 1 if flag else -1
    assert sign * tr["x"]["value"] > 0
    assert tr["d"]["value"] == tr["x"]["value"] + sign
    assert tr["x"]["fn"].loc == sign * 20
    tr = run(handlers.condition(branching, {"x": 3.0}), flag)
    assert (tr["x"]["value"], tr["x"]["is_observed"], tr["d"]["value"]) == (3.0, True, 3 + sign)
    assert np.allclose(log_density(tr), dist.Normal(sign * 20.0, 1.0 if flag else 2.0).log_prob(3.0))


def test_branches_with_other_sites_are_named():
    with handlers.seed(rng_seed=0), pytest.raises(ValueError, match="same sites.*'x'.*'y'"):
        cond(True, lambda _: sample("x", N), lambda _: sample("y", N), None)


def test_a_model_with_a_loop_runs_under_jit_and_vmap():
    draw = jax.jit(jax.vmap(lambda key: handlers.seed(model, key)()[1]))
    assert draw(jax.random.split(jax.random.key(0), 4)).shape == (4, T)


def bounded_walk(loop):
    """Sites of a body whose supports depend on the carry and on each other; `loop` runs the body."""

    def step(carry, t):
        with plate("n", 3):
            high = sample("high", dist.Uniform(carry, carry + 2.0 + t))
            sample("low", dist.TruncatedNormal(0.0, 1.0, high=high))
        return high.max(), None

    loop(step, sample("start", dist.Exponential(1.0)))


def unrolled(step, carry):
    for t in range(T):
        with handlers.scope(prefix=f"{t}"):
            carry, _ = step(carry, float(t))


def test_supports_that_depend_on_the_carry_are_mapped_to_step_by_step():
    z = {"start": FLOAT.type(0.3), "high": X, "low": 2 * X - 1}
    by_step = {"start": z["start"], **{f"{t}/{name}": z[name][t] for name in ("high", "low") for t in range(T)}}
    looped = lambda step, carry: scan(step, carry, jnp.arange(float(T)))  # noqa: E731
    found = jax.value_and_grad(lambda z: potential_energy(bounded_walk, (looped,), {}, z))(z)
    expected = jax.value_and_grad(lambda z: potential_energy(bounded_walk, (unrolled,), {}, z))(by_step)
    np.testing.assert_allclose(found[0], expected[0], rtol=1e-5)
    np.testing.assert_allclose(found[1]["high"][3], expected[1]["3/high"], rtol=1e-4, atol=1e-5)
    values = constrain_fn(bounded_walk, (looped,), {}, z)
    reference = constrain_fn(bounded_walk, (unrolled,), {}, by_step)
    np.testing.assert_allclose(values["low"][4], reference["4/low"], rtol=1e-5)


@pytest.mark.parametrize("flag", [True, False])
def test_supports_in_a_branch_are_mapped_to(flag):
    def model(flag):
        scale = sample("scale", dist.Exponential(1.0))
        cond(flag, lambda s: sample("x", dist.Uniform(0.0, s)), lambda s: sample("x", dist.Uniform(s, 3.0 * s)), scale)

    z = {"scale": FLOAT.type(0.3), "x": FLOAT.type(-0.7)}
    scale, share = np.exp(0.3), 1 / (1 + np.exp(0.7))
    width = scale if flag else 2 * scale
    log_jacobian = 0.3 + np.log(width * share * (1 - share))
    np.testing.assert_allclose(potential_energy(model, (flag,), {}, z), scale + np.log(width) - log_jacobian, rtol=1e-5)


def test_data_may_broadcast_over_a_plate_of_the_body():
    y, x = jnp.arange(4.0), jnp.ones((4, 3))

    def model():
        def step(loc, y):
            with ppl.plate("n", 3):
                ppl.sample("y", dist.Normal(ppl.sample("x", dist.Normal(loc, 1.0)), 1.0), obs=y)
            return loc + 1.0, None

        scan(step, 0.0, y)

    density = log_density(run(handlers.substitute(model, data={"x": x})))
    expected = 3 * (stats.norm.logpdf(1.0, y) + stats.norm.logpdf(y, 1.0)).sum()
    np.testing.assert_allclose(density, expected, rtol=1e-6)
