"""Chains of discrete states, by `markov` and by `scan`, against brute force and against algorithms written out."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from enumeration import brute_force
from enumeration.cases import DRAWS, LEVEL, Case, check_density, check_draws, compiled, summed_out
from scipy import special, stats

import ppl
import ppl.distributions as dist
from ppl import handlers
from ppl.contrib.control_flow import scan
from ppl.contrib.funsor import config_enumerate, infer_discrete, markov
from ppl.ops.indexing import Vindex

START = np.array([0.2, 0.5, 0.3])
ROWS = np.array([[0.7, 0.2, 0.1], [0.1, 0.6, 0.3], [0.25, 0.25, 0.5]])
LOCS = np.array([-1.0, 0.4, 2.0])
Y = np.array([0.3, -1.2, 2.2, 0.8, 1.4])
SECOND = np.random.default_rng(0).dirichlet(np.ones(3), (3, 3))  # given the states one and two steps back
THREE, TWO = (0, 1, 2), (0, 1)
COUPLED = np.array([[0.8, 0.3, 0.4], [0.1, 0.6, 0.5]])  # probability of 1 given the own state before and the leader's


def locs_site() -> Any:
    """A continuous latent vector."""
    return ppl.sample("locs", dist.Normal(0.0, 2.0).expand([3]).to_event(1))


def normal(loc: Any) -> dist.Normal:
    return dist.Normal(loc, 1.0)


# By markov


def first_order() -> None:
    locs, z = locs_site(), 0
    for t in markov(range(5)):
        z = ppl.sample(f"z{t}", dist.Categorical(Vindex(ROWS)[z]))
        ppl.sample(f"x{t}", normal(locs[z]), obs=Y[t])


def second_order() -> None:
    locs, before, z = locs_site(), 0, 1
    for t in markov(range(5), history=2):
        before, z = z, ppl.sample(f"z{t}", dist.Categorical(Vindex(SECOND)[before, z]))
        ppl.sample(f"x{t}", normal(locs[z] + 0.2 * before), obs=Y[t])


def factorial() -> None:
    """Two chains, the second led by the first, seen together."""
    locs, z, w = locs_site(), 0, 0
    for t in markov(range(4)):
        z = ppl.sample(f"z{t}", dist.Categorical(Vindex(ROWS)[z]))
        w = ppl.sample(f"w{t}", dist.Bernoulli(Vindex(COUPLED)[w, z]))
        ppl.sample(f"x{t}", normal(locs[z] - w), obs=Y[t])


def in_a_plate() -> None:
    """Loops inside a plate, with a state for the whole series and a ragged end."""
    locs, lengths = locs_site(), np.array([3, 1])
    with ppl.plate("series", 2):
        g = ppl.sample("g", dist.Bernoulli(0.4))
        z = 0
        for t in markov(range(3)):
            with handlers.mask(mask=t < lengths):
                z = ppl.sample(f"z{t}", dist.Categorical(Vindex(ROWS)[z]))
                ppl.sample(f"x{t}", normal(locs[z] + g), obs=Y[t])


def around_a_plate() -> None:
    """Plates inside the loop: a global chain that leads one for each series, under a state for all time."""
    locs, series = locs_site(), ppl.plate("series", 2)
    g, z, w = ppl.sample("g", dist.Bernoulli(0.4)), 0, 0
    for t in markov(range(3)):
        z = ppl.sample(f"z{t}", dist.Bernoulli(0.2 + 0.3 * z + 0.2 * g))
        with series:
            w = ppl.sample(f"w{t}", dist.Bernoulli(0.1 + 0.4 * z + 0.3 * w))
            ppl.sample(f"x{t}", normal(locs[z] + w), obs=Y[t : t + 2])


def z_at(steps: int, support: tuple[int, ...] = THREE, name: str = "z", shape: tuple[int, ...] = ()) -> dict[str, Any]:
    return {f"{name}{t}": (support, shape) for t in range(steps)}


LOCS_PARAM = {"locs": [-0.8, 0.5, 1.7]}
UNROLLED = [
    Case(first_order, z_at(5), LOCS_PARAM, drawn=True),
    Case(second_order, z_at(5), LOCS_PARAM, drawn=True),
    Case(factorial, z_at(4) | z_at(4, TWO, "w"), LOCS_PARAM, drawn=True),
    Case(in_a_plate, {"g": (TWO, (2,)), **z_at(3, shape=(2,))}, LOCS_PARAM, nesting=1),
    Case(around_a_plate, {"g": (TWO, ()), **z_at(3, TWO), **z_at(3, TWO, "w", (2,))}, LOCS_PARAM, nesting=1, drawn=True),
]


# By scan


def scanned() -> None:
    locs = locs_site()

    def step(z: Any, y: Any) -> tuple[Any, None]:
        z = ppl.sample("z", dist.Categorical(Vindex(ROWS)[z]))
        ppl.sample("x", normal(locs[z]), obs=y)
        return z, None

    scan(step, 0, Y)


def of_steps(steps: int) -> Callable[[], None]:
    """A chain whose mean in a step depends on both states, of so many steps."""

    def model() -> None:
        locs = locs_site()

        def step(before: Any, y: Any) -> tuple[Any, None]:
            z = ppl.sample("z", dist.Categorical(Vindex(ROWS)[before]))
            ppl.sample("x", normal(locs[z] - 0.3 * before), obs=y)
            return z, None

        scan(step, 1, Y[:steps])

    model.__name__ = f"of_{steps}_steps"
    return model


def second_order_of(steps: int) -> Callable[[], None]:
    """A state that depends on the two before it, of so many steps."""

    def model() -> None:
        locs = locs_site()

        def step(carry: Any, y: Any) -> tuple[Any, None]:
            before, z = carry
            before, z = z, ppl.sample("z", dist.Categorical(Vindex(SECOND)[before, z]))
            ppl.sample("x", normal(locs[z] + 0.2 * before), obs=y)
            return (before, z), None

        scan(step, (0, 1), Y[:steps], history=2)

    model.__name__ = f"second_order_of_{steps}_steps"
    return model


def scanned_in_a_plate() -> None:
    """A chain for each series, with one more state in each step of it, under a state for all."""
    locs = locs_site()
    g = ppl.sample("g", dist.Bernoulli(0.4))

    def step(w: Any, y: Any) -> tuple[Any, None]:
        with ppl.plate("series", 2):
            w = ppl.sample("w", dist.Bernoulli(0.1 + 0.4 * g + 0.3 * w))
            v = ppl.sample("v", dist.Bernoulli(0.3 + 0.2 * w))
            ppl.sample("x", normal(locs[w] + g - v), obs=y)
        return w, None

    scan(step, np.zeros(2, int), np.stack([Y[:3], Y[2:]], 1))


def scanned_around_a_plate() -> None:
    """A chain for all series that leads a state in each step of each series."""
    locs = locs_site()

    def step(z: Any, y: Any) -> tuple[Any, None]:
        z = ppl.sample("z", dist.Categorical(Vindex(ROWS)[z]))
        with ppl.plate("series", 2):
            w = ppl.sample("w", dist.Bernoulli(0.1 + 0.3 * z))
            ppl.sample("x", normal(locs[z] + w), obs=y)
        return z, None

    scan(step, 0, np.stack([Y[:3], Y[2:]], 1))


def scanned_in_and_around_a_plate() -> None:
    """A chain for all series that leads a chain in each; only a short one can be done."""
    locs = locs_site()

    def step(carry: Any, y: Any) -> tuple[Any, None]:
        z, w = carry
        z = ppl.sample("z", dist.Bernoulli(0.2 + 0.5 * z))
        with ppl.plate("series", 2):
            w = ppl.sample("w", dist.Bernoulli(0.1 + 0.4 * z + 0.3 * w))
            ppl.sample("x", normal(locs[z] + w), obs=y)
        return (z, w), None

    scan(step, (0, np.zeros(2, int)), np.stack([Y[:3], Y[2:]], 1))


def scanned_with_masks() -> None:
    """Series of 3 and 1 steps, padded to 3."""
    locs, lengths = locs_site(), np.array([3, 1])

    def step(carry: Any, y: Any) -> tuple[Any, None]:
        t, z = carry
        with ppl.plate("series", 2), handlers.mask(mask=t < lengths):
            z = ppl.sample("z", dist.Categorical(Vindex(ROWS)[z]))
            ppl.sample("x", normal(locs[z]), obs=y)
        return (t + 1, z), None

    scan(step, (0, np.zeros(2, int)), np.stack([Y[:3], Y[2:]], 1))


def masked_loop() -> None:
    """The same, written as a loop."""
    locs, lengths, z = locs_site(), np.array([3, 1]), 0
    for t in range(3):
        with ppl.plate(f"series{t}", 2), handlers.mask(mask=t < lengths):
            z = ppl.sample(f"z{t}", dist.Categorical(Vindex(ROWS)[z]))
            ppl.sample(f"x{t}", normal(locs[z]), obs=np.array([Y[t], Y[2:][t]]))


def scanned_continuous() -> None:
    """A latent continuous site in the body, whose mean depends on the state and on its own past."""

    def step(carry: Any, y: Any) -> tuple[Any, None]:
        z, u = carry
        z = ppl.sample("z", dist.Categorical(Vindex(ROWS)[z]))
        u = ppl.sample("u", normal(Vindex(LOCS)[z] + 0.5 * u))
        ppl.sample("x", normal(u), obs=y)
        return (z, u), None

    scan(step, (0, 0.0), Y)


def scanned_in_reverse() -> None:
    locs = locs_site()

    def step(carry: Any, y: Any) -> tuple[Any, None]:
        z, u = carry
        z = ppl.sample("z", dist.Categorical(Vindex(ROWS)[z]))
        u = ppl.sample("u", normal(locs[z] + 0.5 * u))
        ppl.sample("x", normal(u + z), obs=y)
        return (z, u), None

    scan(step, (0, 0.0), Y, reverse=True)


def scanned_from_a_drawn_state() -> None:
    locs = locs_site()

    def step(before: Any, y: Any) -> tuple[Any, None]:
        z = ppl.sample("z", dist.Categorical(Vindex(ROWS)[before]))
        ppl.sample("x", normal(locs[z] - before), obs=y)
        return z, None

    first = ppl.sample("first", dist.Categorical(START))
    ppl.sample("x_first", normal(locs[first]), obs=0.1)
    scan(step, first, Y[:4])


def last_state_used_afterwards() -> None:
    locs = locs_site()

    def step(z: Any, y: Any) -> tuple[Any, None]:
        z = ppl.sample("z", dist.Categorical(Vindex(ROWS)[z]))
        ppl.sample("x", normal(locs[z]), obs=y)
        return z, None

    last, _ = scan(step, 0, Y[:4])
    end = ppl.sample("end", dist.Bernoulli(0.2 + 0.3 * last))
    ppl.sample("x_end", normal(locs[last] + end), obs=0.7)


def two_scans() -> None:
    """The second goes on from the last state of the first."""
    locs = locs_site()

    def step(name: str) -> Callable[[Any, Any], tuple[Any, None]]:
        def body(z: Any, y: Any) -> tuple[Any, None]:
            z = ppl.sample(f"z_{name}", dist.Categorical(Vindex(ROWS)[z]))
            ppl.sample(f"x_{name}", normal(locs[z]), obs=y)
            return z, None

        return body

    middle, _ = scan(step("a"), 0, Y[:3])
    scan(step("b"), middle, Y[3:])


def carry_of_many_things() -> None:
    """Besides the state: a step counter, a continuous sum over the data, and a constant."""
    locs = locs_site()

    def step(carry: Any, y: Any) -> tuple[Any, Any]:
        t, z, total, constant = carry
        z = ppl.sample("z", dist.Categorical(Vindex(ROWS)[z]))
        ppl.sample("x", normal(locs[z] + 0.1 * t + 0.3 * total + constant), obs=y)
        return (t + 1, z, 0.5 * total + y, constant), t

    scan(step, (0, 0, 0.0, 0.2), Y)


def scanned_factorial() -> None:
    """Two chains in one body, the second led by the first."""
    locs = locs_site()

    def step(carry: Any, y: Any) -> tuple[Any, None]:
        z, w = carry
        z = ppl.sample("z", dist.Categorical(Vindex(ROWS)[z]))
        w = ppl.sample("w", dist.Bernoulli(Vindex(COUPLED)[w, z]))
        ppl.sample("x", normal(locs[z] - w), obs=y)
        return (z, w), None

    scan(step, (0, 0), Y[:4])


def scanned_under_a_global_state() -> None:
    locs = locs_site()
    g = ppl.sample("g", dist.Bernoulli(0.4))

    def step(z: Any, y: Any) -> tuple[Any, None]:
        z = ppl.sample("z", dist.Bernoulli(0.2 + 0.3 * z + 0.3 * g))
        ppl.sample("x", normal(locs[z] + g), obs=y)
        return z, None

    scan(step, 0, Y)


def scanned_without_history() -> None:
    """Each step has a state of its own."""
    locs = locs_site()

    def step(total: Any, y: Any) -> tuple[Any, None]:
        z = ppl.sample("z", dist.Categorical(START))
        ppl.sample("x", normal(locs[z] + 0.2 * total), obs=y)
        return total + y, None

    scan(step, 0.0, Y, history=0)


def scanned_beside_constants() -> None:
    """Beside a chain, a state of its own in each step, with a weight that is the same in all of them."""
    locs, u = locs_site(), ppl.sample("u", dist.Normal(0.0, 1.0))

    def step(z: Any, y: Any) -> tuple[Any, None]:
        z = ppl.sample("z", dist.Categorical(Vindex(ROWS)[z]))
        w = ppl.sample("w", dist.Bernoulli(0.4))
        ppl.factor("weight", 0.7 * u * w)
        ppl.sample("x", normal(locs[z]), obs=y)
        return z, None

    scan(step, 0, Y[:4])


def scanned_constants() -> None:
    """A state of its own in each step, with a weight that is the same in all of them, and no chain."""
    u = ppl.sample("u", dist.Normal(0.0, 1.0))

    def step(carry: Any, _: Any) -> tuple[Any, None]:
        w = ppl.sample("w", dist.Bernoulli(0.4))
        ppl.factor("weight", 0.7 * u * w)
        return carry, None

    scan(step, None, None, length=3)


def scanned_and_scaled() -> None:
    """Scales and observed discrete sites in the body, and a deterministic site in between."""
    u = ppl.sample("u", dist.Normal(0.0, 1.0))

    def step(z: Any, y: Any) -> tuple[Any, None]:
        with handlers.scale(scale=0.5):
            z = ppl.sample("z", dist.Binomial(2, probs=0.2 + 0.3 * z))
        rate = ppl.deterministic("rate", jnp.exp(u) * (1.0 + z))
        with handlers.scale(scale=1.5):
            ppl.sample("x", dist.Poisson(rate), obs=y)
        return z, None

    scan(step, 0, np.array([1, 4, 0, 2]))


def z_of(*shape: int, support: tuple[int, ...] = THREE, name: str = "z") -> dict[str, Any]:
    return {name: (support, shape)}


SCANNED = [
    Case(scanned, z_of(5), LOCS_PARAM, drawn=True),
    *(Case(of_steps(steps), z_of(steps), LOCS_PARAM, drawn=True) for steps in (1, 2, 3)),
    *(Case(second_order_of(steps), z_of(steps), LOCS_PARAM, drawn=steps == 5) for steps in (1, 2, 3, 5)),
    Case(
        scanned_in_a_plate,
        {"g": (TWO, ()), **z_of(3, 2, support=TWO, name="w"), **z_of(3, 2, support=TWO, name="v")},
        LOCS_PARAM,
        nesting=1,
    ),
    Case(scanned_around_a_plate, z_of(3) | z_of(3, 2, support=TWO, name="w"), LOCS_PARAM, nesting=1, drawn=True),
    Case(
        scanned_in_and_around_a_plate, z_of(3, support=TWO) | z_of(3, 2, support=TWO, name="w"), LOCS_PARAM, nesting=1, drawn=True
    ),
    Case(scanned_with_masks, z_at(3, shape=(2,)), LOCS_PARAM, nesting=1, reference=masked_loop),
    Case(scanned_continuous, z_of(5), {"u": Y - 0.3}, drawn=True),
    Case(scanned_in_reverse, z_of(5), {**LOCS_PARAM, "u": Y - 0.3}, drawn=True),
    Case(scanned_from_a_drawn_state, {"first": (THREE, ()), **z_of(4)}, LOCS_PARAM, drawn=True),
    Case(last_state_used_afterwards, {**z_of(4), "end": (TWO, ())}, LOCS_PARAM, drawn=True),
    Case(two_scans, z_of(3, name="z_a") | z_of(2, name="z_b"), LOCS_PARAM, drawn=True),
    Case(carry_of_many_things, z_of(5), LOCS_PARAM),
    Case(scanned_factorial, z_of(4) | z_of(4, support=TWO, name="w"), LOCS_PARAM, drawn=True),
    Case(scanned_under_a_global_state, {"g": (TWO, ()), **z_of(5, support=TWO)}, LOCS_PARAM, drawn=True),
    Case(scanned_without_history, z_of(5), LOCS_PARAM),
    Case(scanned_beside_constants, z_of(4) | z_of(4, support=TWO, name="w"), {**LOCS_PARAM, "u": 0.9}),
    Case(scanned_constants, z_of(3, support=TWO, name="w"), {"u": 0.9}),
    Case(scanned_and_scaled, z_of(4), {"u": 0.2}),
]
CASES = [*UNROLLED, *SCANNED]


@pytest.mark.parametrize("x64", [False, True])
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_density(case: Case, x64: bool) -> None:
    check_density(case, x64)


@pytest.mark.parametrize("case", [case for case in CASES if case.drawn], ids=lambda case: case.name)
def test_draws(case: Case) -> None:
    check_draws(case)


# Algorithms written out, for a chain with `START`, transitions and normal observations


def series(steps: int, states: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Start, transitions, means and observations."""
    rng = np.random.default_rng(seed)
    rows = 0.5 * rng.dirichlet(np.ones(states), states) + 0.5 * np.eye(states)
    return rng.dirichlet(np.ones(states)), rows, rng.normal(0.0, 2.0, states), rng.normal(0.0, 2.0, steps)


def forward(start: np.ndarray, rows: np.ndarray, log_factors: np.ndarray) -> np.ndarray:
    """The log joint density `(t, k)` of the state and of what was seen until then."""
    messages = [np.log(start) + log_factors[0]]
    for factor in log_factors[1:]:
        messages.append(special.logsumexp(messages[-1][:, None] + np.log(rows), axis=0) + factor)
    return np.array(messages)


def backward(rows: np.ndarray, log_factors: np.ndarray) -> np.ndarray:
    """The log density `(t, k)` of what is seen later, given the state."""
    messages = [np.zeros(len(rows))]
    for factor in log_factors[:0:-1]:
        messages.append(special.logsumexp(np.log(rows) + factor + messages[-1], axis=1))
    return np.array(messages[::-1])


def viterbi(start: np.ndarray, rows: np.ndarray, log_factors: np.ndarray) -> tuple[float, list[int]]:
    """The log joint density of the most probable states, and these."""
    best, pointers = np.log(start) + log_factors[0], []
    for factor in log_factors[1:]:
        through = best[:, None] + np.log(rows)
        pointers.append(through.argmax(0))
        best = through.max(0) + factor
    path = [int(best.argmax())]
    for pointer in reversed(pointers):
        path.append(int(pointer[path[-1]]))
    return float(best.max()), path[::-1]


def by_markov(start: Any, rows: Any, locs: Any, ys: Any) -> None:
    z = None
    for t in markov(range(len(ys))):
        z = ppl.sample(f"z{t}", dist.Categorical(start if z is None else Vindex(rows)[z]))
        ppl.sample(f"x{t}", normal(Vindex(locs)[z]), obs=ys[t])


def by_scan(start: Any, rows: Any, locs: Any, ys: Any) -> None:
    def step(z: Any, y: Any) -> tuple[Any, None]:
        z = ppl.sample("z", dist.Categorical(Vindex(rows)[z]))
        ppl.sample("x", normal(Vindex(locs)[z]), obs=y)
        return z, None

    first = ppl.sample("first", dist.Categorical(start))
    ppl.sample("x_first", normal(Vindex(locs)[first]), obs=ys[0])
    scan(step, first, ys[1:])


@pytest.mark.parametrize(("model", "steps"), [(by_markov, 30), (by_scan, 30), (by_scan, 100), (by_scan, 101)])
def test_forward_algorithm(model: Callable[..., None], steps: int) -> None:
    start, rows, locs, ys = series(steps, 4)
    expected = special.logsumexp(forward(start, rows, stats.norm.logpdf(ys[:, None], locs, 1.0))[-1])
    found = compiled(lambda *args: summed_out(model, *args))(start, rows, locs, ys)
    np.testing.assert_allclose(found, expected, rtol=1e-4)


@pytest.mark.parametrize("states", [2, 12])
def test_few_and_many_states(states: int) -> None:
    """Whichever way the chain is eliminated, value and gradient are those of the forward algorithm."""
    start, rows, locs, ys = series(15, states)

    def expected(locs: Any) -> Any:
        log_factors = -0.5 * (ys[:, None] - locs) ** 2 - 0.5 * np.log(2 * np.pi)
        message = jnp.log(start) + log_factors[0]
        for factor in log_factors[1:]:
            message = jax.nn.logsumexp(message[:, None] + jnp.log(rows), axis=0) + factor
        return jax.nn.logsumexp(message)

    with jax.enable_x64(True):
        both = [jax.value_and_grad(f) for f in (expected, lambda locs: summed_out(by_scan, start, rows, locs, ys))]
        (a, slope_a), (b, slope_b) = compiled(lambda locs: [f(locs) for f in both])(jnp.array(locs))
    np.testing.assert_allclose(b, a, rtol=1e-10)
    np.testing.assert_allclose(slope_b, slope_a, rtol=1e-8, atol=1e-9)


def test_impossible_transitions() -> None:
    """A chain that only moves upwards: the sum and its gradient are finite."""
    _, _, locs, ys = series(20, 3)
    start, rows = np.array([1.0, 0.0, 0.0]), np.array([[0.8, 0.2, 0.0], [0.0, 0.7, 0.3], [0.0, 0.0, 1.0]])
    with np.errstate(divide="ignore"):
        expected = special.logsumexp(forward(start, rows, stats.norm.logpdf(ys[:, None], locs, 1.0))[-1])
    found, slope = compiled(jax.value_and_grad(lambda locs: summed_out(by_scan, start, rows, locs, ys)))(jnp.array(locs))
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    assert np.isfinite(slope).all()


def test_posterior_marginals_by_gradient() -> None:
    """The derivative by a log factor of each step and state is forward-backward's probability."""
    start, rows, _, _ = series(25, 3)
    log_factors = np.random.default_rng(5).normal(0.0, 1.5, (25, 3))

    def model(log_factors: Any) -> None:
        def step(z: Any, row: Any) -> tuple[Any, None]:
            z = ppl.sample("z", dist.Categorical(Vindex(rows)[z]))
            ppl.factor("f", Vindex(row)[z])
            return z, None

        first = ppl.sample("first", dist.Categorical(start))
        ppl.factor("f_first", Vindex(log_factors)[0, first])
        scan(step, first, log_factors[1:])

    with jax.enable_x64(True):
        found = compiled(jax.grad(lambda f: summed_out(model, f)))(jnp.array(log_factors))
    expected = special.softmax(forward(start, rows, log_factors) + backward(rows, log_factors), axis=1)
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-12)


def drawn_states(start: Any, rows: Any, locs: Any, ys: Any, temperature: int, key: Any) -> Any:
    """All states of `by_scan`, from the first on."""
    model = infer_discrete(config_enumerate(by_scan), -1, temperature, key)
    trace = handlers.trace(model).get_trace(start, rows, locs, ys)
    assert jnp.shape(trace["first"]["value"]) == () and jnp.shape(trace["z"]["value"]) == (len(ys) - 1,)
    return jnp.concatenate([trace["first"]["value"][None], trace["z"]["value"]])


def test_viterbi() -> None:
    """Temperature 0 finds states as probable as those of the algorithm written out."""
    start, rows, locs, ys = series(60, 3)
    log_factors = stats.norm.logpdf(ys[:, None], locs, 1.0)
    highest, path = viterbi(start, rows, log_factors)
    with jax.enable_x64(True):
        found = np.asarray(compiled(lambda: drawn_states(start, rows, locs, ys, 0, None))())

    def log_joint(z: Any) -> float:
        return np.log(start[z[0]]) + np.log(rows[z[:-1], z[1:]]).sum() + log_factors[np.arange(len(z)), z].sum()

    np.testing.assert_allclose(log_joint(np.array(path)), highest, rtol=1e-12)
    np.testing.assert_allclose(log_joint(found), highest, rtol=1e-10)


def test_draws_of_a_short_chain() -> None:
    """Temperature 1 in a chain of three steps with two states: all eight frequencies."""
    start, rows, locs, ys = series(3, 2)
    latents = {"states": (TWO, (3,))}
    every = brute_force.states(latents)["states"]
    log_weights = np.log(start[every[:, 0]]) + np.log(rows[every[:, :-1], every[:, 1:]]).sum(1)
    log_weights = log_weights + stats.norm.logpdf(ys, locs[every], 1.0).sum(1)
    keys = jax.random.split(jax.random.key(2), DRAWS)
    draws = compiled(jax.vmap(lambda key: drawn_states(start, rows, locs, ys, 1, key)))(keys)
    assert brute_force.p_value(brute_force.number_of({"states": draws}, latents), log_weights) > LEVEL


def test_marginals_of_draws_of_a_long_chain() -> None:
    """Backward sampling: at every step the frequencies are those of forward-backward.

    45 steps of 3 states and 4000 draws: a standard score beyond 5.5 has probability 135 * 4e-8 < 1e-5.
    """
    start, rows, locs, ys = series(45, 3)
    log_factors = stats.norm.logpdf(ys[:, None], locs, 1.0)
    exact = special.softmax(forward(start, rows, log_factors) + backward(rows, log_factors), axis=1)
    keys = jax.random.split(jax.random.key(4), 4000)
    draws = np.asarray(compiled(jax.vmap(lambda key: drawn_states(start, rows, locs, ys, 1, key)))(keys))
    found = (draws[:, :, None] == np.arange(3)).mean(0)
    likely = exact * (1 - exact) * 4000 > 20  # where the normal law holds
    score = (found - exact) / np.sqrt(exact * (1 - exact) / 4000 + 1e-12)
    assert np.abs(score[likely]).max() < 5.5


@pytest.mark.parametrize("model", [by_markov, by_scan])
def test_compiled_once_for_all_data(model: Callable[..., None]) -> None:
    """The density is a function of arrays: other numbers run the same program."""
    density = compiled(lambda *args: summed_out(model, *args))
    for seed in (0, 1):
        start, rows, locs, ys = series(6, 3, seed)
        expected = special.logsumexp(forward(start, rows, stats.norm.logpdf(ys[:, None], locs, 1.0))[-1])
        np.testing.assert_allclose(density(start, rows, locs, ys), expected, rtol=1e-4)
    assert density._cache_size() == 1
