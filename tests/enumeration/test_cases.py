"""Models without chains that every suite on enumeration holds, against brute force or a formula; chains are in `test_chains.py`."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from enumeration.cases import Case, check_density, check_draws, compiled, summed_out
from scipy import special, stats

import ppl
import ppl.distributions as dist
from ppl import handlers
from ppl.contrib.funsor import config_enumerate, infer_discrete
from ppl.ops.indexing import Vindex

PROBS = np.array([0.2, 0.5, 0.3])
ROWS = np.array([[0.7, 0.2, 0.1], [0.1, 0.6, 0.3], [0.25, 0.25, 0.5]])
LOCS = np.array([-1.0, 0.4, 2.0])
IMPOSSIBLE = np.array([[0.2, 0.3, 0.5], [0.0, 0.0, 1.0], [0.5, 0.5, 0.0]])
GRID = np.array([[0.1, -1.2, 0.8], [1.5, 0.3, -0.4], [-0.6, 2.2, 1.1]])


def locs_site(size: int = 3) -> Any:
    """A continuous latent vector."""
    return ppl.sample("locs", dist.Normal(0.0, 2.0).expand([size]).to_event(1))


def normal(loc: Any, scale: float = 1.0) -> dist.Normal:
    return dist.Normal(loc, scale)


# Without plates


def single_site() -> None:
    locs = locs_site()
    z = ppl.sample("z", dist.Categorical(PROBS))
    ppl.sample("x", normal(locs[z]), obs=0.3)


def two_dependent_sites() -> None:
    locs = locs_site()
    z = ppl.sample("z", dist.Categorical(PROBS))
    w = ppl.sample("w", dist.Categorical(Vindex(ROWS)[z]))
    ppl.sample("x", normal(Vindex(GRID)[z, w] + locs[w]), obs=0.3)


def a_site_that_touches_no_data() -> None:
    locs = locs_site()
    z = ppl.sample("z", dist.Categorical(PROBS))
    ppl.sample("w", dist.Categorical(Vindex(ROWS)[z]))
    ppl.sample("x", normal(locs[0]), obs=0.3)


def supports_of_all_kinds() -> None:
    u = ppl.sample("u", dist.Normal(0.0, 1.0))
    a = ppl.sample("a", dist.Bernoulli(logits=u))
    b = ppl.sample("b", dist.Binomial(3, probs=0.2 + 0.5 * a))
    c = ppl.sample("c", dist.DiscreteUniform(-1, 2))
    d = ppl.sample("d", dist.OrderedLogistic(u + 0.5 * b, np.array([-0.5, 1.0])))
    ppl.sample("x", normal(a - 0.3 * b + 0.5 * c * d), obs=0.3)


def uniform_from_two_to_four() -> None:
    u = ppl.sample("u", dist.Normal(0.0, 1.0))
    n = ppl.sample("n", dist.DiscreteUniform(2, 4))
    ppl.sample("x", normal(u * n), obs=2.7)
    ppl.sample("y", dist.Poisson(jnp.exp(u) * n), obs=3)


def deterministic_in_between() -> None:
    u = ppl.sample("u", dist.Normal(0.0, 1.0))
    z = ppl.sample("z", dist.Categorical(PROBS))
    loc = ppl.deterministic("loc", 2.0 * z - u)
    ppl.sample("x", normal(loc), obs=0.3)


def a_factor() -> None:
    u = ppl.sample("u", dist.Normal(0.0, 1.0))
    z = ppl.sample("z", dist.Bernoulli(0.3))
    w = ppl.sample("w", dist.Categorical(PROBS))
    ppl.factor("f", u * z * w - 0.5 * w**2)


def impossible_states() -> None:
    """Zero probabilities: the sum and its gradient stay finite."""
    locs = locs_site()
    z = ppl.sample("z", dist.Categorical(np.array([0.0, 0.4, 0.6])))
    w = ppl.sample("w", dist.Categorical(Vindex(IMPOSSIBLE)[z]))
    ppl.sample("x", normal(locs[w] + z), obs=0.3)


def continuous_site_between() -> None:
    """A latent continuous site whose mean depends on one state, and on which a later one depends."""
    z = ppl.sample("z", dist.Categorical(PROBS))
    u = ppl.sample("u", normal(Vindex(LOCS)[z]))
    w = ppl.sample("w", dist.Bernoulli(logits=u + 0.5 * z))
    ppl.sample("x", normal(u * w), obs=0.3)


def observed_discrete_child() -> None:
    u = ppl.sample("u", dist.Dirichlet(np.ones(3)))
    z = ppl.sample("z", dist.Categorical(u))
    with ppl.plate("n", 4):
        ppl.sample("x", dist.Categorical(Vindex(ROWS)[z]), obs=np.array([0, 2, 1, 2]))
        ppl.sample("y", dist.Binomial(5, probs=0.2 + 0.3 * z), obs=np.array([1, 4, 3, 0]))


def scaled() -> None:
    """The scale acts inside the sum: on each factor before its exponential."""
    locs = locs_site()
    with handlers.scale(scale=0.5):
        z = ppl.sample("z", dist.Categorical(PROBS))
    with handlers.scale(scale=3.0), ppl.plate("n", 3):
        w = ppl.sample("w", dist.Categorical(Vindex(ROWS)[z]))
        with handlers.scale(scale=0.25):
            ppl.sample("x", normal(locs[w]), obs=LOCS)


# In plates


def local_sites() -> None:
    locs = locs_site()
    with ppl.plate("n", 4):
        z = ppl.sample("z", dist.Categorical(PROBS))
        ppl.sample("x", normal(locs[z]), obs=np.array([0.3, -1.2, 2.2, 0.8]))


def several_local_sites() -> None:
    locs = locs_site()
    with ppl.plate("n", 3):
        z = ppl.sample("z", dist.Categorical(ROWS))  # a row for each element
        w = ppl.sample("w", dist.Bernoulli(0.2 + 0.3 * z))
        v = ppl.sample("v", dist.Bernoulli(0.5 - 0.2 * w))
        ppl.sample("x", normal(locs[z] + w * v), obs=LOCS)


def nested_plates() -> None:
    locs = locs_site()
    with ppl.plate("a", 2):
        z = ppl.sample("z", dist.Categorical(PROBS))
        with ppl.plate("b", 3):
            w = ppl.sample("w", dist.Bernoulli(0.2 + 0.3 * z))
            ppl.sample("x", normal(locs[z] - w), obs=GRID[:, :2])


def three_levels() -> None:
    u = ppl.sample("u", dist.Normal(0.0, 1.0))
    y = np.random.default_rng(0).normal(size=(2, 2, 2))
    with ppl.plate("a", 2, dim=-3):
        z = ppl.sample("z", dist.Bernoulli(0.3))
        with ppl.plate("b", 2, dim=-2):
            w = ppl.sample("w", dist.Bernoulli(0.2 + 0.5 * z))
            with ppl.plate("c", 2, dim=-1):
                v = ppl.sample("v", dist.Bernoulli(logits=u * w - z))
                ppl.sample("x", normal(v - w), obs=y)


def global_and_local() -> None:
    locs = locs_site()
    g = ppl.sample("g", dist.Bernoulli(0.4))
    with ppl.plate("n", 4):
        z = ppl.sample("z", dist.Categorical(Vindex(ROWS)[g]))
        ppl.sample("x", normal(locs[z] + g), obs=np.array([0.3, -1.2, 2.2, 0.8]))


def sibling_plates() -> None:
    locs = locs_site()
    g = ppl.sample("g", dist.Categorical(PROBS))
    with ppl.plate("a", 2):
        z = ppl.sample("z", dist.Categorical(Vindex(ROWS)[g]))
        ppl.sample("x", normal(locs[z]), obs=LOCS[:2])
    with ppl.plate("b", 3):
        w = ppl.sample("w", dist.Bernoulli(0.2 + 0.3 * g))
        ppl.sample("y", normal(locs[g] - w), obs=LOCS)


def parent_in_the_outer_plate() -> None:
    """Local to one plate and parent of a site in another, with a plate used twice."""
    locs = locs_site()
    a = ppl.plate("a", 2, dim=-1)
    with a:
        z = ppl.sample("z", dist.Categorical(PROBS))
    g = ppl.sample("g", dist.Bernoulli(0.4))
    with ppl.plate("b", 2, dim=-2), a:
        w = ppl.sample("w", dist.Categorical(Vindex(ROWS)[z]))
        ppl.sample("x", normal(locs[w] + g), obs=GRID[:2, :2])
    with a:
        ppl.sample("y", normal(locs[z]), obs=LOCS[:2])


def crossing_plates() -> None:
    """Rows with a state each, columns without: rows and columns cross, but no product over one of them is needed."""
    locs = locs_site()
    rows, columns = ppl.plate("rows", 2, dim=-2), ppl.plate("columns", 3, dim=-1)
    with rows:
        z = ppl.sample("z", dist.Categorical(PROBS))
    with columns:
        u = ppl.sample("u", dist.Normal(0.0, 1.0))
    with rows, columns:
        w = ppl.sample("w", dist.Bernoulli(0.2 + 0.3 * z))
        ppl.sample("x", normal(locs[z] + u * w), obs=GRID[:2])


def shared_counts() -> None:
    """Binomial sites whose counts are equal over the plate: as one number, and as an array."""
    u = ppl.sample("u", dist.Normal(0.0, 1.0))
    with ppl.plate("n", 3):
        k = ppl.sample("k", dist.Binomial(2, logits=u))
        m = ppl.sample("m", dist.Binomial(np.full(3, 2), probs=0.2 + 0.3 * k))
        ppl.sample("x", normal(1.0 * k - m), obs=LOCS)


def ragged() -> None:
    """Groups of 3, 1 and 2 members, padded to 3: the padding is masked, states and observations."""
    locs = locs_site()
    members = np.arange(3)[:, None] < np.array([3, 1, 2])
    with ppl.plate("group", 3, dim=-1):
        z = ppl.sample("z", dist.Bernoulli(0.3))
        with ppl.plate("member", 3, dim=-2), handlers.mask(mask=members):
            w = ppl.sample("w", dist.Bernoulli(0.2 + 0.5 * z))
            ppl.sample("x", normal(locs[z + w]), obs=GRID)


def partly_observed() -> None:
    locs = locs_site()
    with ppl.plate("n", 3):
        z = ppl.sample("z", dist.Categorical(PROBS))
        x = ppl.sample("x", normal(locs[z]), obs=np.array([0.3, np.nan, 2.0]), obs_mask=np.array([True, False, True]))
        ppl.sample("y", normal(x + z), obs=LOCS)


def subsampled() -> None:
    """N/m multiplies the log of each element's sum, before the sum over the global site."""
    locs = locs_site()
    g = ppl.sample("g", dist.Bernoulli(0.4))
    with handlers.substitute(data={"n": np.array([4, 1, 2])}), ppl.plate("n", 6, subsample_size=3):
        z = ppl.sample("z", dist.Categorical(Vindex(ROWS)[g]))
        y = ppl.subsample(np.array([0.3, -1.2, 2.2, 0.8, 1.4, -0.3]), event_dim=0)
        ppl.sample("x", normal(locs[z]), obs=y)


def subsampled_and_nested() -> None:
    locs = locs_site()
    indices = {"a": np.array([3, 0]), "b": np.array([1])}
    with handlers.substitute(data=indices), ppl.plate("a", 4, subsample_size=2, dim=-1):
        z = ppl.sample("z", dist.Categorical(PROBS))
        with ppl.plate("b", 3, subsample_size=1, dim=-2), handlers.scale(scale=0.7):
            w = ppl.sample("w", dist.Bernoulli(0.2 + 0.3 * z))
            ppl.sample("x", normal(locs[z] - w), obs=ppl.subsample(np.outer(LOCS, np.arange(4)), event_dim=0))
        ppl.sample("y", normal(locs[z]), obs=0.5)


def collapsed_in_a_plate() -> None:
    """A proportion in each group, integrated out, whose prior and numbers of trials depend on the group's kind."""
    locs = locs_site()
    with ppl.plate("group", 3, dim=-2):
        z = ppl.sample("z", dist.Categorical(PROBS))
        with handlers.collapse():
            p = ppl.sample("p", dist.Beta(jnp.exp(locs[z]), 2.0))
            with ppl.plate("item", 2, dim=-1):
                ppl.sample("y", dist.Binomial(3 + z, p), obs=np.array([[0, 1], [2, 3], [1, 1]]))


def collapsed_groups() -> None:
    """The same, with a kind for all groups, which are inside of the block."""
    locs = locs_site()
    z = ppl.sample("z", dist.Categorical(PROBS))
    with handlers.collapse(), ppl.plate("group", 2):
        p = ppl.sample("p", dist.Beta(jnp.exp(locs[z]), 2.0))
        ppl.sample("y", dist.Binomial(3 + z, p), obs=np.array([1, 3]))


LOCS_PARAM = {"locs": [-0.8, 0.5, 1.7]}
THREE, TWO = (0, 1, 2), (0, 1)
CASES = [
    Case(single_site, {"z": (THREE, ())}, LOCS_PARAM),
    Case(two_dependent_sites, {"z": (THREE, ()), "w": (THREE, ())}, LOCS_PARAM, drawn=True),
    Case(a_site_that_touches_no_data, {"z": (THREE, ()), "w": (THREE, ())}, LOCS_PARAM),
    Case(
        supports_of_all_kinds,
        {"a": (TWO, ()), "b": ((0, 1, 2, 3), ()), "c": ((-1, 0, 1, 2), ()), "d": (THREE, ())},
        {"u": 0.4},
        drawn=True,
    ),
    Case(uniform_from_two_to_four, {"n": ((2, 3, 4), ())}, {"u": 0.8}, drawn=True),
    Case(deterministic_in_between, {"z": (THREE, ())}, {"u": 0.4}),
    Case(a_factor, {"z": (TWO, ()), "w": (THREE, ())}, {"u": 0.4}),
    Case(impossible_states, {"z": (THREE, ()), "w": (THREE, ())}, LOCS_PARAM, drawn=True),
    Case(continuous_site_between, {"z": (THREE, ()), "w": (TWO, ())}, {"u": 0.4}),
    Case(observed_discrete_child, {"z": (THREE, ())}, {"u": [0.3, 0.2, 0.5]}, nesting=1),
    Case(scaled, {"z": (THREE, ()), "w": (THREE, (3,))}, LOCS_PARAM, nesting=1, drawn=True),
    Case(local_sites, {"z": (THREE, (4,))}, LOCS_PARAM, nesting=1),
    Case(several_local_sites, {"z": (THREE, (3,)), "w": (TWO, (3,)), "v": (TWO, (3,))}, LOCS_PARAM, nesting=1),
    Case(nested_plates, {"z": (THREE, (2,)), "w": (TWO, (3, 2))}, LOCS_PARAM, nesting=2, drawn=True),
    Case(three_levels, {"z": (TWO, (2, 1, 1)), "w": (TWO, (2, 2, 1)), "v": (TWO, (2, 2, 2))}, {"u": 0.4}, nesting=3),
    Case(global_and_local, {"g": (TWO, ()), "z": (THREE, (4,))}, LOCS_PARAM, nesting=1, drawn=True),
    Case(sibling_plates, {"g": (THREE, ()), "z": (THREE, (2,)), "w": (TWO, (3,))}, LOCS_PARAM, nesting=1, drawn=True),
    Case(parent_in_the_outer_plate, {"z": (THREE, (2,)), "g": (TWO, ()), "w": (THREE, (2, 2))}, LOCS_PARAM, nesting=2),
    Case(crossing_plates, {"z": (THREE, (2, 1)), "w": (TWO, (2, 3))}, {**LOCS_PARAM, "u": [0.2, -0.6, 1.1]}, nesting=2, drawn=True),
    Case(shared_counts, {"k": (THREE, (3,)), "m": (THREE, (3,))}, {"u": 0.4}, nesting=1),
    Case(ragged, {"z": (TWO, (3,)), "w": (TWO, (3, 3))}, LOCS_PARAM, nesting=2),
    Case(partly_observed, {"z": (THREE, (3,))}, {**LOCS_PARAM, "x_unobserved": [0.1, 0.7, -0.3]}, nesting=1),
    Case(subsampled, {"g": (TWO, ()), "z": (THREE, (3,))}, LOCS_PARAM, nesting=1, subsampled=True),
    Case(subsampled_and_nested, {"z": (THREE, (2,)), "w": (TWO, (1, 2))}, LOCS_PARAM, nesting=2, subsampled=True),
    Case(collapsed_in_a_plate, {"z": (THREE, (3, 1))}, LOCS_PARAM, nesting=2),
    Case(collapsed_groups, {"z": (THREE, ())}, LOCS_PARAM, nesting=1),
]


@pytest.mark.parametrize("x64", [False, True])
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_density(case: Case, x64: bool) -> None:
    check_density(case, x64)


@pytest.mark.parametrize("case", [case for case in CASES if case.drawn], ids=lambda case: case.name)
def test_draws(case: Case) -> None:
    check_draws(case)


# Formulas


def test_padding_does_not_change_the_log_density() -> None:
    """The ragged groups, each written out with its members only."""

    def written_out() -> None:
        locs = locs_site()
        for i, size in enumerate((3, 1, 2)):
            z = ppl.sample(f"z{i}", dist.Bernoulli(0.3))
            with ppl.plate(f"member{i}", size):
                w = ppl.sample(f"w{i}", dist.Bernoulli(0.2 + 0.5 * z))
                ppl.sample(f"x{i}", normal(locs[z + w]), obs=GRID[:size, i])

    params = {"locs": jnp.array([-0.8, 0.5, 1.7])}
    padded, expected = compiled(
        lambda params: (summed_out(ragged, params=params, nesting=2), summed_out(written_out, params=params, nesting=1))
    )(params)
    np.testing.assert_allclose(padded, expected, rtol=1e-5)


def test_a_site_that_touches_no_data_changes_nothing() -> None:
    def without() -> None:
        ppl.sample("x", normal(locs_site()[0]), obs=0.3)

    params = {"locs": jnp.array([-0.8, 0.5, 1.7])}
    models = (a_site_that_touches_no_data, without)
    found, expected = compiled(lambda params: [summed_out(model, params=params) for model in models])(params)
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_mixture_of_normals() -> None:
    """Enumerated assignments of 200 points against the density of the mixture."""
    y = np.random.default_rng(1).normal(size=200) * 2
    weights, locs, scales = np.array([0.5, 0.2, 0.3]), np.array([-2.0, 0.5, 1.5]), np.array([0.7, 1.0, 2.0])

    def model() -> None:
        locs = locs_site()
        with ppl.plate("n", 200):
            z = ppl.sample("z", dist.Categorical(weights))
            ppl.sample("x", dist.Normal(locs[z], Vindex(scales)[z]), obs=y)

    density, slope = compiled(jax.value_and_grad(lambda locs: summed_out(model, params={"locs": locs}, nesting=1)))(jnp.array(locs))
    terms = np.log(weights) + stats.norm.logpdf(y[:, None], locs, scales)
    expected = special.logsumexp(terms, axis=1).sum() + stats.norm.logpdf(locs, 0.0, 2.0).sum()
    np.testing.assert_allclose(density, expected, rtol=1e-5)
    belongs = special.softmax(terms, axis=1)
    expected_slope = (belongs * (y[:, None] - locs) / scales**2).sum(0) - locs / 4
    np.testing.assert_allclose(slope, expected_slope, rtol=1e-4, atol=1e-4)


def test_posterior_marginals_by_gradient() -> None:
    """The derivative of the log density by a log factor is the posterior probability of its state."""

    def model(log_factors: Any) -> None:
        with ppl.plate("n", 3):
            z = ppl.sample("z", dist.Categorical(PROBS))
            ppl.factor("f", Vindex(log_factors)[..., z])

    log_factors = np.random.default_rng(2).normal(size=(3, 3))
    found = compiled(jax.grad(lambda f: summed_out(model, f, nesting=1)))(jnp.array(log_factors))
    np.testing.assert_allclose(found, special.softmax(np.log(PROBS) + log_factors, axis=1), rtol=1e-5)


def test_a_deterministic_site_has_the_shape_of_the_plain_model() -> None:
    model = handlers.substitute(config_enumerate(deterministic_in_between), data={"u": 0.4})
    trace = handlers.trace(infer_discrete(model, -1, rng_key=jax.random.key(0))).get_trace()
    assert jnp.shape(trace["z"]["value"]) == jnp.shape(trace["loc"]["value"]) == ()
    np.testing.assert_allclose(trace["loc"]["value"], 2.0 * trace["z"]["value"] - 0.4, rtol=1e-6)


def test_an_unmarked_site_with_a_value_is_left_alone() -> None:
    model = handlers.substitute(two_dependent_sites, data={"z": 1})
    locs = jnp.array([-0.8, 0.5, 1.7])
    terms = np.log(ROWS[1]) + stats.norm.logpdf(0.3, GRID[1] + np.asarray(locs))
    expected = np.log(PROBS[1]) + special.logsumexp(terms) + stats.norm.logpdf(locs, 0.0, 2.0).sum()
    np.testing.assert_allclose(compiled(lambda locs: summed_out(model, params={"locs": locs}))(locs), expected, rtol=1e-5)


def test_conditioned_sites_are_not_enumerated() -> None:
    model = handlers.condition(two_dependent_sites, data={"w": 2})
    locs = jnp.array([-0.8, 0.5, 1.7])
    terms = np.log(PROBS) + np.log(ROWS[:, 2]) + stats.norm.logpdf(0.3, GRID[:, 2] + locs[2])
    expected = special.logsumexp(terms) + stats.norm.logpdf(locs, 0.0, 2.0).sum()
    np.testing.assert_allclose(compiled(lambda locs: summed_out(model, params={"locs": locs}))(locs), expected, rtol=1e-5)


@pytest.mark.parametrize("leaves", [1, 20])
def test_a_star(leaves: int) -> None:
    """A state with many observed children and many hidden ones, by the formula."""

    def model() -> None:
        g = ppl.sample("g", dist.Categorical(PROBS))
        for i in range(leaves):
            z = ppl.sample(f"z{i}", dist.Categorical(Vindex(ROWS)[g]))
            ppl.sample(f"x{i}", normal(Vindex(LOCS)[z]), obs=0.1 * i)

    likelihood = np.exp(stats.norm.logpdf(0.1 * np.arange(leaves)[:, None], LOCS))
    expected = special.logsumexp(np.log(PROBS) + np.log(likelihood @ ROWS.T).sum(0))
    np.testing.assert_allclose(compiled(lambda: summed_out(model))(), expected, rtol=1e-5)


def test_one_key_gives_one_draw() -> None:
    def draw(key: Any) -> Any:
        model = handlers.substitute(config_enumerate(nested_plates), data={"locs": jnp.array([-0.8, 0.5, 1.7])})
        trace = handlers.trace(infer_discrete(model, -3, rng_key=key)).get_trace()
        return trace["z"]["value"], trace["w"]["value"]

    keys = jax.random.split(jax.random.key(3), 8)
    together, one = compiled(lambda keys: (jax.vmap(draw)(keys), draw(keys[5])))(keys)
    jax.tree.map(lambda all_, one: np.testing.assert_array_equal(all_[5], one), together, one)
