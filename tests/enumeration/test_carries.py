"""What a loop with enumerated states carries besides them, and sites in an unusual order, against brute force."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from enumeration.cases import Case, check_density, check_draws, summed_out

import ppl
import ppl.distributions as dist
from ppl import handlers
from ppl.contrib.control_flow import scan
from ppl.contrib.funsor import config_enumerate, infer_discrete, log_density, markov

TWO = (0, 1)
Y = np.array([0.1, -0.4, 1.2, 0.5])
PAIRS = np.random.default_rng(0).normal(size=(4, 2))
TABLE = np.random.default_rng(1).normal(size=(2, 3))
ROWS = np.array([[0.3, 0.7], [0.6, 0.4]])
Z = {"z": (TWO, (4,))}


def mean() -> Any:
    return ppl.sample("mean", dist.Normal(0.0, 2.0))


def coin(name: str, before: Any) -> Any:
    return ppl.sample(name, dist.Bernoulli(0.2 + 0.6 * before))


def seen(loc: Any, y: Any) -> None:
    ppl.sample("x", dist.Normal(loc, 1.0), obs=y)


# Carries with dimensions of their own


def vector_latent() -> None:
    """A switching model: a continuous vector that moves on beside the state."""

    def step(carry: Any, y: Any) -> tuple[Any, None]:
        z, v = carry
        z = coin("z", z)
        v = ppl.sample("u", dist.Normal(0.5 * v, 1.0).to_event(1))
        seen(z + v[..., 0] * v[..., 1], y)
        return (z, v), None

    scan(step, (0, jnp.zeros(2)), Y)


def correlated_latent() -> None:
    def step(carry: Any, y: Any) -> tuple[Any, None]:
        z, v = carry
        z = coin("z", z)
        v = ppl.sample("u", dist.MultivariateNormal(0.5 * v, jnp.array([[1.0, 0.3], [0.3, 2.0]])))
        seen(z + v[..., 0], y)
        return (z, v), None

    scan(step, (0, jnp.zeros(2)), Y)


def vectors_in_a_plate() -> None:
    def step(carry: Any, y: Any) -> tuple[Any, None]:
        z, v = carry
        with ppl.plate("series", 2):
            z = coin("z", z)
            v = ppl.sample("u", dist.Normal(0.5 * v, 1.0).to_event(1))
            seen(z + v[..., 0] - v[..., 2], y)
        return (z, v), None

    scan(step, (np.zeros(2, int), jnp.zeros((2, 3))), PAIRS)


def constants() -> None:
    """A vector, a matrix of transitions, and a random key in two forms."""
    loc = mean()

    def step(carry: Any, y: Any) -> tuple[Any, None]:
        z, vector, rows, old, new = carry
        z = ppl.sample("z", dist.Categorical(rows[z]))
        seen(loc * z + vector[1], y)
        return (z, vector, rows, jax.random.split(old)[0], jax.random.split(new)[0]), None

    scan(step, (0, jnp.array([1.0, 2.0]), jnp.asarray(ROWS), jax.random.PRNGKey(0), jax.random.key(1)), Y)


def window_of_data() -> None:
    loc = mean()

    def step(carry: Any, y: Any) -> tuple[Any, None]:
        z, window = carry
        z = coin("z", z)
        seen(loc * z + window.sum(-1), y)
        return (z, jnp.roll(window, 1).at[0].set(y)), None

    scan(step, (0, jnp.zeros(2)), Y)


def row_of_the_state() -> None:
    """The probabilities of the next state are carried, and not the state."""
    loc = mean()

    def step(row: Any, y: Any) -> tuple[Any, None]:
        z = ppl.sample("z", dist.Categorical(row))
        seen(loc * z, y)
        return jnp.asarray(ROWS)[z], None

    scan(step, jnp.array([0.5, 0.5]), Y)


def vector_of_the_state(size: int, history: int) -> Callable[[], None]:
    """A vector of the state before, also of one entry, where sizes do not tell which axis is that of the states."""

    def model() -> None:
        loc, table = mean(), jnp.asarray(TABLE[:, :size])

        def step(carry: Any, y: Any) -> tuple[Any, None]:
            vector, z = carry
            z = coin("z", z)
            ppl.sample("x", dist.Normal(vector + loc * table[z], 1.0).to_event(1), obs=y * np.ones(size))
            return (0.5 * table[z], z), None

        scan(step, (jnp.zeros(size), 0), Y, history=history)

    model.__name__ = f"vector_of_{size}_with_history_{history}"
    return model


def vector_of_two_states() -> None:
    """The vector that is carried has the states of two steps in it."""
    loc, table = mean(), jnp.asarray(TABLE)

    def step(carry: Any, y: Any) -> tuple[Any, None]:
        vector, z = carry
        new = coin("z", z)
        ppl.sample("x", dist.Normal(vector * loc, 1.0).to_event(1), obs=y * np.ones(3))
        return (table[new] + 0.5 * table[z], new), None

    scan(step, (jnp.zeros(3), 0), Y, history=2)


def third_order() -> None:
    """The states of three steps are carried, and the second of them counts."""
    loc = mean()

    def step(carry: Any, y: Any) -> tuple[Any, None]:
        last, before, _ = carry
        z = ppl.sample("z", dist.Bernoulli(0.1 + 0.8 * before))
        seen(loc * z, y)
        return (z, last, before), None

    scan(step, (0, 1, 0), Y, history=3)


def lags(history: int) -> Callable[[], None]:
    """Two states and a function of both, each with its own past, beside a constant vector."""

    def model() -> None:
        loc = mean()

        def step(carry: Any, y: Any) -> tuple[Any, None]:
            zs, ws, values, vector = carry
            z = ppl.sample("z", dist.Bernoulli(0.15 + 0.2 * zs[-1] + 0.3 * ws[0]))
            w = ppl.sample("w", dist.Bernoulli(0.2 + 0.3 * ws[-1] + 0.25 * zs[0] + 0.1 * z))
            seen(z - w + 0.5 * zs[-1] + 0.7 * ws[-1] + loc * values[-1] + vector[1], y)
            return ((z, *zs[:-1]), (w, *ws[:-1]), (jnp.sin(1.3 * z) + w, *values[:-1]), vector), None

        start = (0,) * history
        scan(step, (start, start, (0.0,) * history, jnp.array([1.0, 0.2])), Y, history=history)

    model.__name__ = f"lags_of_{history}"
    return model


# Sites in an unusual order


def seen_before_it_moves() -> None:
    """The state that is carried is seen before the next one is there."""
    loc = mean()

    def step(z: Any, y: Any) -> tuple[Any, None]:
        seen(loc * z, y)
        return coin("z", z), None

    scan(step, 0, Y)


def drawn_and_seen_before_it_moves() -> None:
    loc, first = mean(), coin("first", 0)

    def step(z: Any, y: Any) -> tuple[Any, None]:
        with ppl.plate("series", 2):
            seen(loc * z, y)
        return coin("z", z), None

    scan(step, first, PAIRS)


def crossed() -> None:
    """Each of two states depends on the other one, a step before."""
    loc = mean()

    def step(carry: Any, y: Any) -> tuple[Any, None]:
        z, w = carry
        new_w, new_z = coin("w", z), ppl.sample("z", dist.Bernoulli(0.3 + 0.4 * w))
        seen(loc * new_z + 0.5 * new_w, y)
        return (new_z, new_w), None

    scan(step, (0, 0), Y)


def continuous_first() -> None:
    """A continuous site that depends on the state before the next one is there."""

    def step(carry: Any, y: Any) -> tuple[Any, None]:
        u = ppl.sample("u", dist.Normal(1.0 * carry, 1.0))
        z = coin("z", carry)
        seen(u + z, y)
        return z, None

    scan(step, 0, Y)


def plain_loop_before_a_state() -> None:
    """Nothing is enumerated within the loop, nor before it."""

    def step(m: Any, _: Any) -> tuple[Any, Any]:
        with ppl.plate("series", 2):
            m = ppl.sample("u", dist.Normal(m, 1.0).to_event(1))
        return m, m

    _, path = scan(step, jnp.zeros((2, 3)), None, length=4)
    with ppl.plate("point", 4):
        z = coin("z", 0)
        seen(path.sum((1, 2)) + z, Y)


def given_chain_before_a_state() -> None:
    loc = mean()

    def step(w: Any, y: Any) -> tuple[Any, None]:
        w = coin("w", w)
        seen(loc * w, y)
        return w, None

    handlers.condition(lambda: scan(step, 0, Y), data={"w": np.array([1, 0, 1, 1])})()
    ppl.factor("weight", 0.7 * loc * coin("z", 0))


# Loops under states and handlers outside


def drawn_under_a_state_outside() -> None:
    """A continuous site and data by `condition`, whose laws depend on a state outside of the loop."""
    g = coin("g", 0)

    def step(carry: Any, _: Any) -> tuple[Any, None]:
        u = ppl.sample("u", dist.Normal(2.0 * g, 1.0))
        ppl.sample("x", dist.Normal(u + g, 1.0))
        return carry, None

    handlers.condition(lambda: scan(step, None, None, length=4), data={"x": Y})()


def two_loops_in_a_row() -> None:
    """Continuous sites of the second depend on the last state of the first."""

    def first(z: Any, y: Any) -> tuple[Any, None]:
        z = coin("z", z)
        seen(z, y)
        return z, None

    last, _ = scan(first, 0, Y)

    def second(m: Any, y: Any) -> tuple[Any, None]:
        u = ppl.sample("u", dist.Normal(2.0 * last, 1.0))
        ppl.sample("v", dist.Normal(u, 1.0), obs=y)
        return m, None

    scan(second, 0.0, Y)


def chain_and_states_in_a_plate() -> None:
    """States outside of the loop, in a plate that the chain is not in, couple all of its steps."""
    loc, points = mean(), ppl.plate("point", 2)
    with points:
        g = ppl.sample("g", dist.Bernoulli(0.4))

    def step(z: Any, y: Any) -> tuple[Any, None]:
        z = coin("z", z)
        with points:
            seen(loc * g + z, y)
        return z, None

    scan(step, 0, PAIRS)


def shock_of_all_series() -> None:
    """A state of each step alone, outside of the plate of the chains that it acts on."""
    loc = mean()

    def step(z: Any, y: Any) -> tuple[Any, None]:
        shock = coin("shock", 0)
        with ppl.plate("series", 2):
            z = ppl.sample("z", dist.Bernoulli(0.2 + 0.4 * z + 0.3 * shock))
            seen(loc * z, y)
        return z, None

    scan(step, np.zeros(2, int), PAIRS[:3])


def steps_across_a_plate() -> None:
    """States of steps that are not handed on, and others in a plate: each pair of them meets."""
    loc, points = mean(), ppl.plate("point", 2)
    with points:
        g = ppl.sample("g", dist.Bernoulli(0.4))

    def step(carry: Any, y: Any) -> tuple[Any, None]:
        z = coin("z", 0.3)
        with points:
            seen(loc * g + z, y)
        return carry, None

    scan(step, 0, PAIRS[:3], reverse=True)


def state_that_cannot_change() -> None:
    """One state alone, and both of its pasts in the carry."""
    loc = mean()

    def step(carry: Any, y: Any) -> tuple[Any, None]:
        z = ppl.sample("z", dist.Categorical(jnp.ones((1, 1, 1))[carry]))
        seen(loc + z, y)
        return (z, carry[0]), None

    scan(step, (0, 0), Y, history=2)


def collapsed_in_each_step() -> None:
    def step(z: Any, y: Any) -> tuple[Any, None]:
        z = coin("z", z)
        with handlers.collapse():
            p = ppl.sample("p", dist.Beta(1.0 + 2.0 * z, 2.0))
            with ppl.plate("item", 2):
                ppl.sample("x", dist.Binomial(3 + z, p), obs=y)
        return z, None

    scan(step, 0, np.array([[0, 2], [3, 1], [2, 2], [3, 3]]))


def collapsed_under_states_outside() -> None:
    """States outside of the loop lie on the right of those within."""
    g, h = coin("g", 0.3), coin("h", 0.8)

    def step(z: Any, y: Any) -> tuple[Any, None]:
        z = coin("z", z)
        with handlers.collapse():
            p = ppl.sample("p", dist.Beta(1.0 + 2.0 * z + g, 2.0 + h))
            ppl.sample("x", dist.Binomial(6, p), obs=y)
        return z, None

    scan(step, 0, np.array([1, 3, 2, 5]))


def masked_from_outside() -> None:
    loc = mean()

    def step(z: Any, y: Any) -> tuple[Any, None]:
        seen(loc * z, y)
        return coin("z", z), None

    with handlers.mask(mask=np.array([True, False, True, True])):
        scan(step, 0, Y)


def masked_in_the_body() -> None:
    """The same, unrolled."""
    loc, z = mean(), 0
    for t, counts in enumerate([True, False, True, True]):
        with handlers.mask(mask=counts):
            ppl.sample(f"x{t}", dist.Normal(loc * z, 1.0), obs=Y[t])
            z = coin(f"z{t}", z)


def seen_after_it_moved() -> None:
    def step(z: Any, y: Any) -> tuple[Any, None]:
        z = coin("z", z)
        seen(z, y)
        return z, None

    scan(step, 0, Y)


def contexts_that_are_kept() -> None:
    loc, step, z = mean(), markov(keep=True), 0
    for t in range(4):
        with step:
            z = coin(f"z{t}", z)
            ppl.sample(f"x{t}", dist.Normal(loc * z, 1.0), obs=Y[t])


def left_by_break() -> None:
    loc, z = mean(), 0
    for t in markov(range(9)):
        z = coin(f"z{t}", z)
        ppl.sample(f"x{t}", dist.Normal(loc * z, 1.0), obs=Y[t])
        if t == 3:
            break
    ppl.sample("last", dist.Normal(loc + z, 1.0), obs=0.3)


def many_contexts_beside_each_other() -> None:
    """More than there are dimensions."""
    loc, step = mean(), markov()
    for t in range(40):
        with step:
            z = ppl.sample(f"z{t}", dist.Bernoulli(0.3))
            ppl.sample(f"x{t}", dist.Normal(loc * z, 1.0), obs=Y[0])


MEAN = {"mean": 0.8}
VECTORS = {"u": np.random.default_rng(2).normal(size=(4, 2))}
CASES = [
    Case(vector_latent, Z, VECTORS, drawn=True),
    Case(correlated_latent, Z, VECTORS),
    Case(vectors_in_a_plate, {"z": (TWO, (4, 2))}, {"u": np.random.default_rng(3).normal(size=(4, 2, 3))}, nesting=1),
    Case(constants, Z, MEAN),
    Case(window_of_data, Z, MEAN),
    Case(row_of_the_state, Z, MEAN, drawn=True),
    *(Case(vector_of_the_state(size, history), Z, MEAN, drawn=size == 2) for size in (1, 2, 3) for history in (1, 2)),
    Case(vector_of_two_states, Z, MEAN),
    Case(seen_before_it_moves, Z, MEAN, drawn=True),
    Case(drawn_and_seen_before_it_moves, {"first": (TWO, ()), **Z}, MEAN, nesting=1),
    Case(crossed, Z | {"w": (TWO, (4,))}, MEAN, drawn=True),
    Case(continuous_first, Z, {"u": np.array([0.3, 1.0, -0.2, 0.9])}),
    Case(plain_loop_before_a_state, Z, {"u": np.random.default_rng(4).normal(size=(4, 2, 3))}, nesting=1),
    Case(given_chain_before_a_state, {"z": (TWO, ())}, MEAN),
    Case(third_order, Z, MEAN, drawn=True),
    *(Case(lags(history), Z | {"w": (TWO, (4,))}, MEAN) for history in (2, 3)),
    Case(drawn_under_a_state_outside, {"g": (TWO, ())}, {"u": Y + 0.2}),
    Case(two_loops_in_a_row, Z, {"u": Y + 0.2}),
    Case(chain_and_states_in_a_plate, {"g": (TWO, (2,)), **Z}, MEAN, nesting=1, drawn=True),
    Case(shock_of_all_series, {"shock": (TWO, (3,)), "z": (TWO, (3, 2))}, MEAN, nesting=1, drawn=True),
    Case(steps_across_a_plate, {"g": (TWO, (2,)), "z": (TWO, (3,))}, MEAN, nesting=1, drawn=True),
    Case(state_that_cannot_change, {"z": ((0,), (4,))}, MEAN),
    Case(collapsed_in_each_step, Z, {}, nesting=1),
    Case(collapsed_under_states_outside, {"g": (TWO, ()), "h": (TWO, ()), **Z}, {}),
    Case(masked_from_outside, {f"z{t}": (TWO, ()) for t in range(4)}, MEAN, reference=masked_in_the_body),
    Case(left_by_break, {f"z{t}": (TWO, ()) for t in range(4)}, MEAN),
    Case(contexts_that_are_kept, {f"z{t}": (TWO, ()) for t in range(4)}, MEAN),
]


@pytest.mark.parametrize("x64", [False, True])
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_density(case: Case, x64: bool) -> None:
    check_density(case, x64)


@pytest.mark.parametrize("case", [case for case in CASES if case.drawn], ids=lambda case: case.name)
def test_draws(case: Case) -> None:
    check_draws(case)


def test_contexts_that_are_over_leave_their_dimensions() -> None:
    many = Case(many_contexts_beside_each_other, {}, MEAN).log_density({"mean": 0.8})
    prior = dist.Normal(0.0, 2.0).log_prob(0.8)
    terms = [np.log(weight) + dist.Normal(0.8 * z, 1.0).log_prob(Y[0]) for z, weight in ((0, 0.7), (1, 0.3))]
    np.testing.assert_allclose(many, prior + 40 * np.logaddexp(*terms), rtol=1e-5)


@pytest.mark.parametrize(
    "hidden",
    [dict(hide=["x"]), dict(hide_fn=lambda site: site["name"] == "x"), dict(expose=["z"])],
    ids=["hide", "hide_fn", "expose"],
)
def test_sites_are_hidden_in_all_steps(hidden: dict[str, Any]) -> None:
    np.testing.assert_allclose(summed_out(handlers.block(seen_after_it_moved, **hidden)), 0.0, atol=1e-6)


def test_values_from_outside_of_infer_discrete() -> None:
    """Numbers, and a discrete site."""

    def model() -> None:
        loc, z = mean(), 0
        for t in range(3):
            z = coin(f"z{t}", z)
            ppl.sample(f"x{t}", dist.Normal(loc * z, 1.0), obs=Y[t])

    drawn = infer_discrete(config_enumerate(model), -1, 1, jax.random.key(0))
    for handler in (handlers.substitute, handlers.condition):
        trace = handlers.trace(handler(drawn, data={"mean": 0.5, "z1": 1})).get_trace()
        assert float(trace["mean"]["value"]) == 0.5 and int(trace["z1"]["value"]) == 1
        assert trace["z2"]["value"].shape == ()


AROUND = [
    *(handlers.mask(mask=np.asarray(m)) for m in ([True, False], [True], [[True], [False], [True]], [[True, False]] * 3, False)),
    *(handlers.scale(scale=jnp.asarray(x)) for x in (0.5, [0.5, 2.0], [[0.5], [1.0], [2.0]], [[0.5, 1.0], [2.0, 0.7], [1.0, 3.0]])),
]


@pytest.mark.parametrize("around", AROUND, ids=lambda h: f"{type(h).__name__}-{np.shape(getattr(h, type(h).__name__))}")
def test_arrays_around_a_loop_mean_the_same_with_and_without_states(around: Any) -> None:
    """They broadcast against the batch shape with time on its left."""

    def model() -> None:
        g = coin("g", 0)

        def step(carry: Any, y: Any) -> tuple[Any, None]:
            with ppl.plate("series", 2):
                seen(2.0 * g, y)
            return carry, None

        with around:
            scan(step, 0.0, PAIRS[:3])

    given = [log_density(model, (), {}, {"g": state})[0] for state in TWO]
    np.testing.assert_allclose(summed_out(model, nesting=1), np.logaddexp(*given), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    "around", [handlers.mask(mask=np.ones(4, bool)), handlers.scale(scale=np.full(4, 0.5))], ids=["mask", "scale"]
)
def test_arrays_that_do_not_fit_are_refused(around: Any) -> None:
    def model() -> None:
        with around:
            scan(lambda z, y: (coin("z", z), seen(1.0, y)), 0, Y[:3])

    with pytest.raises(ValueError, match=r"\(4,\).*does not broadcast"):
        summed_out(model)
