"""What enumeration refuses, and the words with which it does."""

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from enumeration.cases import summed_out

import ppl
import ppl.distributions as dist
from ppl import handlers
from ppl.contrib.control_flow import cond, scan
from ppl.contrib.funsor import config_enumerate, enum, infer_discrete, log_density, markov
from ppl.infer import MCMC, NUTS
from ppl.infer.target.model import DiscreteSiteError
from ppl.ops.indexing import Vindex

ROWS = np.array([[0.7, 0.3], [0.4, 0.6]])
Model = Callable[[], Any]


@dataclass(frozen=True)
class Refused:
    """A use that is refused.

    Attributes:
        use: what the user does.
        error: the types of exception that will do.
        words: what the message and its notes must hold.
    """

    name: str
    use: Callable[[], Any]
    error: type[Exception] | tuple[type[Exception], ...]
    words: tuple[str, ...]


def density(model: Model, nesting: int = 1) -> Callable[[], Any]:
    """The log density with discrete sites summed out, abstractly: a refusal comes before any number."""
    return lambda: jax.eval_shape(lambda: summed_out(model, nesting=nesting))


def nuts(model: Model) -> Callable[[], Any]:
    """A short run."""
    return lambda: MCMC(NUTS(model), num_warmup=1, num_samples=1, progress_bar=False).run(jax.random.key(0))


def coin(name: str, probs: Any = 0.3, **options: Any) -> Any:
    return ppl.sample(name, dist.Bernoulli(probs), **options)


def seen(name: str, loc: Any) -> None:
    ppl.sample(name, dist.Normal(loc, 1.0), obs=0.5)


def within_a_loop(inner: Callable[[Any], Any]) -> Model:
    """A loop whose step has a state, which `inner` uses."""

    def step(carry: Any, _: Any) -> tuple[Any, None]:
        state = coin("z", infer={"enumerate": "parallel"})
        inner(state)
        return state, None

    return lambda: scan(step, 0, None, length=3)


# Plates


def crossing_plates() -> None:
    rows, columns = ppl.plate("rows", 2, dim=-2), ppl.plate("columns", 3, dim=-1)
    with rows:
        z = coin("z")
    with columns:
        w = coin("w")
    with rows, columns:
        seen("x", z + w)


def crossing_through_a_third_site() -> None:
    """No factor has parents in both plates, but what is left after summing `v` out has."""
    rows, columns = ppl.plate("rows", 2, dim=-2), ppl.plate("columns", 3, dim=-1)
    with rows:
        z = coin("z")
    with columns:
        w = coin("w")
    with rows, columns:
        v = coin("v", 0.2 + 0.5 * z)
        seen("x", v + w)


def batch_without_a_plate() -> None:
    z = coin("z", np.array([0.2, 0.3, 0.4]))
    seen("x", z.sum(-1))


def child_without_a_plate() -> None:
    z = coin("z")
    seen("x", z + np.zeros(3))


def used_outside_its_plate() -> None:
    with ppl.plate("inner", 3):
        z = coin("z")
    seen("x", 1.0 * z)


def used_in_another_plate() -> None:
    """Plates of two names are independent of each other, though their sizes agree."""
    with ppl.plate("inner", 3):
        z = coin("z")
    with ppl.plate("again", 3):
        seen("x", 1.0 * z)


def plate_inside_out() -> None:
    """The inner plate comes first: what depends on it stands in the outer plate only."""
    outer = ppl.plate("outer", 2, dim=-2)
    with outer, ppl.plate("inner", 3, dim=-1):
        z = coin("z")
    with outer:
        w = coin("w", 0.2 + 0.5 * z)
        seen("x", w)


# Supports


def counts() -> None:
    z = ppl.sample("z", dist.Poisson(2.0), infer={"enumerate": "parallel"})
    seen("x", 1.0 * z)


def moving_support() -> None:
    z = coin("z", infer={"enumerate": "parallel"})
    u = ppl.sample("u", dist.Uniform(0.0, 1.0 + z))
    seen("x", u)


def different_counts() -> None:
    with ppl.plate("n", 2):
        z = ppl.sample("z", dist.Binomial(np.array([2, 3]), probs=0.3))
        seen("x", 1.0 * z)


def data_dependent_count(n: Any) -> None:
    z = ppl.sample("z", dist.Binomial(n, probs=0.3))
    seen("x", 1.0 * z)


def twelve_parents() -> None:
    """One factor with 10^12 elements."""
    seen("x", sum(ppl.sample(f"z{i}", dist.Categorical(np.full(10, 0.1))) for i in range(12)))


def all_pairs() -> None:
    """Factors of 100 elements, but whatever is summed out first joins all others."""
    z = [ppl.sample(f"z{i}", dist.Categorical(np.full(10, 0.1))) for i in range(14)]
    table = np.random.default_rng(0).normal(size=(10, 10))
    for i in range(14):
        for j in range(i):
            ppl.factor(f"f{i}_{j}", Vindex(table)[z[i], z[j]])


def more_sites_than_dimensions() -> None:
    """Each needs a dimension of its own, of which arrays have at most 64."""
    for i in range(80):
        seen(f"x{i}", coin(f"z{i}"))


# Chains


def two_steps_back() -> None:
    states = [0, 0]
    for t in markov(range(5)):
        states.append(coin(f"z{t}", Vindex(ROWS)[states[-1], states[-2]]))
        seen(f"x{t}", states[-1])


def emission_two_steps_back() -> None:
    states = [0, 0]
    for t in markov(range(5)):
        states.append(coin(f"z{t}", Vindex(ROWS)[states[-1], 0]))
        seen(f"x{t}", states[-1] + states[-3])


def carry_of_old_states() -> None:
    def step(carry: Any, _: Any) -> tuple[Any, None]:
        before, z = carry
        before, z = z, coin("z", Vindex(ROWS)[before, z])
        seen("x", z)
        return (before, z), None

    scan(step, (0, 0), None, length=5)


def scan_without_history() -> None:
    def step(z: Any, _: Any) -> tuple[Any, None]:
        z = coin("z", Vindex(ROWS)[z, 0])
        seen("x", z)
        return z, None

    scan(step, 0, None, length=5, history=0)


def chains_in_and_around_a_plate() -> None:
    """Given its leader, each series is a chain of its own: what is left of one has every step of the leader in it."""

    def step(carry: Any, _: Any) -> tuple[Any, None]:
        z, w = carry
        z = coin("z", Vindex(ROWS)[z, 0])
        with ppl.plate("series", 2):
            w = coin("w", Vindex(ROWS)[w, z])
            seen("x", 2 * w)
        return (z, w), None

    scan(step, (0, np.zeros(2, int)), None, length=60)


def handed_on_by_a_function() -> None:
    """Runs of a decorated function do not see each other."""

    @markov
    def step(t: int, z: Any) -> Any:
        z = coin(f"z{t}", 0.2 + 0.6 * z)
        seen(f"x{t}", z)
        return z

    z = 0
    for t in range(3):
        z = step(t, z)


def handed_on_by_contexts() -> None:
    z = 0
    for t in range(3):
        with markov():
            seen(f"x{t}", 2 * z)
            z = coin(f"z{t}")


def outputs_behind_the_loop() -> None:
    """A state of its own would lie where the states of the loop did."""

    def step(z: Any, _: Any) -> tuple[Any, Any]:
        z = coin("z", Vindex(ROWS)[z, 1])
        return z, z

    _, states = scan(step, 0, None, length=3)
    seen("x", states[-1] + coin("w"))


def branches() -> None:
    z = coin("z")
    cond(True, lambda z: seen("x", z), lambda z: seen("x", -z), 1.0 * z)


def branches_with_states() -> None:
    def branch(probs: float) -> Callable[[Any], None]:
        def run(_: Any) -> None:
            seen("x", coin("z", probs))

        return run

    cond(True, branch(0.2), branch(0.4), None)


def sequential() -> None:
    seen("x", coin("z", infer={"enumerate": "sequential"}))


def expanded() -> None:
    seen("x", coin("z", infer={"enumerate": "parallel", "expand": True}))


def state() -> None:
    seen("x", coin("z"))


def state_and_mean() -> None:
    u = ppl.sample("u", dist.Normal(0.0, 1.0))
    seen("x", coin("z") + u)


TABLE = np.array([[[0.3, 0.7], [0.6, 0.4]], [[0.5, 0.5], [0.9, 0.1]]])


def states_where_others_lie() -> None:
    """The states of z get into the dimension on their left, since the table has one for the plate."""
    z = coin("z")
    with ppl.plate("n", 2):
        w = ppl.sample("w", dist.Categorical(jnp.asarray(TABLE)[z]))
        seen("x", w)


def table_with_a_plate() -> None:
    def step(z: Any, _: Any) -> tuple[Any, None]:
        z = coin("z", 0.2 + 0.5 * z)
        with ppl.plate("n", 2):
            seen("x", jnp.asarray(TABLE[0])[z])
        return z, None

    scan(step, 0, None, length=3)


def entries_of_an_event() -> None:
    ppl.sample("u", dist.Normal(0.0, 1.0))
    ppl.sample("z", dist.Bernoulli(0.3).expand([2]).to_event(1), infer={"enumerate": "parallel"})


def shifted_state() -> None:
    z = ppl.sample("z", dist.TransformedDistribution(dist.Bernoulli(0.3), dist.transforms.AffineTransform(1.0, 2.0)))
    ppl.sample("u", dist.Normal(z, 1.0))


STATES = (ValueError, MemoryError)
CASES = [
    Refused("crossing plates", density(crossing_plates, 2), ValueError, ("intractable!", "rows", "columns")),
    Refused("crossing, indirectly", density(crossing_through_a_third_site, 2), ValueError, ("intractable!", "rows", "columns")),
    Refused("batch without a plate", density(batch_without_a_plate), ValueError, ("Missing a plate statement", "'z'", "(3,)")),
    Refused("child without a plate", density(child_without_a_plate), ValueError, ("Missing a plate statement", "'x'")),
    Refused("used outside its plate", density(used_outside_its_plate), ValueError, ("'x'", "'inner'")),
    Refused("plate inside out", density(plate_inside_out, 2), ValueError, ("'w'", "'inner'")),
    Refused("used in a plate of another name", density(used_in_another_plate), ValueError, ("'x'", "'inner'", "'again'")),
    Refused("infinite support", nuts(counts), (ValueError, RuntimeError), ("'z'", "Poisson")),
    Refused("moving support", nuts(moving_support), (ValueError, RuntimeError), ("'u'",)),
    Refused("different counts", density(different_counts), (ValueError, NotImplementedError), ("'z'", "total_count")),
    Refused(
        "data-dependent count",
        lambda: jax.eval_shape(lambda n: summed_out(data_dependent_count, n), jnp.asarray(3)),
        (ValueError, TypeError, NotImplementedError),
        ("'z'", "total_count"),
    ),
    Refused("states where others lie", density(states_where_others_lie), ValueError, ("'w'", "(2, 1, 2)", "at -3", "Vindex")),
    Refused("table with a plate, in scan", density(table_with_a_plate), ValueError, ("at site 'x'", "(2, 1, 2)", "Vindex")),
    Refused("entries of an event", nuts(entries_of_an_event), DiscreteSiteError, ("'z'", "to_event", "plate")),
    Refused("transformed states", nuts(shifted_state), DiscreteSiteError, ("'z'", "discrete", "TransformedDistribution")),
    Refused("one factor too large", density(twelve_parents), STATES, ("'z",)),
    Refused("too much to join", density(all_pairs), STATES, ("'z",)),
    Refused("more sites than dimensions", density(more_sites_than_dimensions), ValueError, ("'z", "dimensions", "plate", "markov")),
    Refused("markov: two steps back", density(two_steps_back), ValueError, ("'z2'", "'z0'", "history")),
    Refused("markov: emission two steps back", density(emission_two_steps_back), ValueError, ("'x2'", "'z0'", "history")),
    Refused("markov: handed on by a function", density(handed_on_by_a_function), ValueError, ("'z1'", "'z0'", "keep=True")),
    Refused("markov: handed on by contexts", density(handed_on_by_contexts), ValueError, ("'x1'", "'z0'", "keep=True")),
    Refused("scan: outputs behind the loop", density(outputs_behind_the_loop), ValueError, ("'x'", "'z'", "scan", "carry")),
    Refused("scan: old states in the carry", density(carry_of_old_states), ValueError, ("'z'", "history")),
    Refused("scan: a state without history", density(scan_without_history), ValueError, ("'z'", "history")),
    Refused("scan: chains in and around a plate", density(chains_in_and_around_a_plate), STATES, ("'z", "series")),
    Refused("states in branches", density(branches_with_states), RuntimeError, ("cond",)),
    Refused("sequential", nuts(sequential), RuntimeError, ("'z'", "sequential")),
    Refused("sequential, by enum", density(sequential), NotImplementedError, ("'z'", "sequential", "'parallel'")),
    Refused("expand", density(expanded), NotImplementedError, ("'z'", "expand")),
    Refused("unmarked in NUTS", nuts(state_and_mean), FutureWarning, ("enumerated sites", "'z'")),
    # Where API.md says AssertionError, the library raises ValueError, as its paragraph (d) says
    Refused("enum: dim 0", lambda: enum(state, first_available_dim=0), ValueError, ("first_available_dim", "0")),
    Refused("enum: positive dim", lambda: enum(state, first_available_dim=2), ValueError, ("first_available_dim", "2")),
    Refused(
        "enum: dim of a plate",
        lambda: jax.eval_shape(lambda: log_density(enum(config_enumerate(in_a_plate), -1), (), {}, {})[0]),
        ValueError,
        ("first_available_dim", "'n'"),
    ),
    Refused("infer_discrete: no key", lambda: infer_discrete(state, -1)(), ValueError, ("infer_discrete", "rng_key")),
    Refused(
        "infer_discrete: no key to guess with",
        lambda: infer_discrete(state, temperature=0)(),
        ValueError,
        ("infer_discrete", "rng_key"),
    ),
    Refused(
        "infer_discrete: positive dim",
        lambda: infer_discrete(state, 1, rng_key=jax.random.key(0))(),
        ValueError,
        ("first_available_dim", "1"),
    ),
    Refused(
        "infer_discrete: temperature",
        lambda: infer_discrete(state, -1, temperature=0.5, rng_key=jax.random.key(0))(),
        (ValueError, NotImplementedError),
        ("temperature", "0.5"),
    ),
    Refused(
        "loop in a loop",
        density(within_a_loop(lambda z: scan(lambda c, x: (seen("x", z + x), None), None, jnp.zeros(2)))),
        NotImplementedError,
        ("'_scan'", "markov", "in a plate"),
    ),
    Refused(
        "branch in a loop",
        density(within_a_loop(lambda z: cond(True, lambda x: seen("x", x), lambda x: None, z))),
        NotImplementedError,
        ("'_cond'", "jnp.where", "handlers.mask"),
    ),
    Refused("markov: history", lambda: markov(range(3), history=-1), ValueError, ("markov", "history", "-1")),
]


def in_a_plate() -> None:
    with ppl.plate("n", 3):
        seen("x", coin("z"))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_refused(case: Refused) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(case.error) as caught:
            case.use()
    found = "\n".join([str(caught.value), *getattr(caught.value, "__notes__", ())])
    missing = [word for word in case.words if word not in found]
    assert not missing, f"the message does not hold {missing}:\n{found}"


def test_a_marked_latent_in_nuts_is_no_reason_to_warn() -> None:
    """And the run goes through."""

    def model() -> None:
        u = ppl.sample("u", dist.Normal(0.0, 1.0))
        z = coin("z", infer={"enumerate": "parallel"})
        seen("x", z + u)

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        sampler = MCMC(NUTS(model), num_warmup=1, num_samples=2, progress_bar=False)
        sampler.run(jax.random.key(0))
    assert sampler.get_samples().keys() == {"u"}


def test_an_unmarked_latent_in_nuts_is_enumerated_with_a_warning() -> None:
    sampler = MCMC(NUTS(state_and_mean), num_warmup=1, num_samples=2, progress_bar=False)
    with pytest.warns(FutureWarning, match="enumerated sites"):
        sampler.run(jax.random.key(0))
    assert sampler.get_samples().keys() == {"u"}


@pytest.mark.parametrize(("written", "is_noticed"), [(lambda z: z, True), (lambda z: z[..., None], False)])
def test_states_that_meet_an_event_are_noticed(written: Callable[[Any], Any], is_noticed: bool) -> None:
    """As many states as entries: the shapes fit, and the density would be another one."""

    def model() -> None:
        u = ppl.sample("u", dist.Normal(0.0, 1.0))
        z = coin("z", infer={"enumerate": "parallel"})
        ppl.sample("x", dist.Normal(u + written(z) * np.array([1.0, 2.0]), 1.0).to_event(1), obs=np.zeros(2))

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        nuts(model)()
    assert [all(word in str(w.message) for word in ("'x'", "z[..., None]")) for w in caught] == [True] * is_noticed


NUMBERS = np.arange(6.0).reshape(2, 3)
ELEMENTS_MIXED: dict[str, Callable[[Any], Any]] = {
    "sum": lambda z: z.sum() * jnp.ones(3),
    "largest": lambda z: z.max() * jnp.ones(3),
    "first": lambda z: z[0] * jnp.ones(3),
    "second": lambda z: z[1] * jnp.ones(3),
    "neighbour": lambda z: jnp.roll(z, 1),
    "deviation": lambda z: z - z.mean(),
    "running sum": lambda z: jnp.cumsum(z, axis=-1),
    "sorted": lambda z: jnp.sort(z, axis=-1),
}
ELEMENTS_KEPT: dict[str, Callable[[Any], Any]] = {
    "number": lambda z: 2.0 * z + z**2,
    "case": lambda z: jnp.where(z == 1, 2.0, -1.0),
    "entry": lambda z: jnp.asarray(NUMBERS)[:, 0][z],
    "row": lambda z: Vindex(NUMBERS)[z, jnp.arange(3)],
    "one hot": lambda z: jax.nn.one_hot(z, 2) @ NUMBERS[:, 1],
    "switch": lambda z: jnp.vectorize(lambda k: jax.lax.switch(k, [lambda: 1.0, lambda: 3.0]))(z),
    "map": lambda z: jax.lax.map(lambda k: 3.0 * k, z),
    "loop": lambda z: jax.lax.fori_loop(0, 3, lambda _, x: 0.5 * x + z, 0.0 * z),
    "flat": lambda z: (2.0 * z.reshape(-1)).reshape(z.shape),
    "there and back": lambda z: jnp.roll(jnp.roll(z, 1), -1),
}


@pytest.mark.parametrize(
    ("name", "is_inside"),
    [(name, True) for name in ELEMENTS_MIXED | ELEMENTS_KEPT] + [(name, False) for name in ("sum", "largest", "first", "second")],
)
def test_elements_that_are_mixed_are_noticed(name: str, is_inside: bool) -> None:
    """A value that has all states in place of a number gives their sum, and the shapes fit."""
    written = (ELEMENTS_MIXED | ELEMENTS_KEPT)[name]

    def model() -> None:
        u = ppl.sample("u", dist.Normal(0.0, 1.0))
        with ppl.plate("n", 3):
            z = ppl.sample("z", dist.Bernoulli(0.3), infer={"enumerate": "parallel"})
            if is_inside:
                ppl.sample("x", dist.Normal(u + written(z), 1.0), obs=np.array([0.1, 0.2, 0.4]))
        if not is_inside:
            ppl.sample("x", dist.Normal(u + written(z)[..., 0], 1.0), obs=0.3)

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        nuts(model)()
    assert [all(word in str(w.message) for word in ("'x'", "'z'", "z.sum()")) for w in caught] == [True] * (name in ELEMENTS_MIXED)


def test_elements_of_data_may_be_mixed() -> None:
    """What other sites do with their own elements is nothing to enumeration."""

    def model(y: Any) -> None:
        u = ppl.sample("u", dist.Normal(jnp.cumsum(y).sum(), 1.0).expand([3]).to_event(1))
        z = ppl.sample("z", dist.Categorical(jax.nn.softmax(u)), infer={"enumerate": "parallel"})
        seen("x", u.sum() + jnp.array([1.0, 2.0, 4.0])[z])

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        MCMC(NUTS(model), num_warmup=1, num_samples=1, progress_bar=False).run(jax.random.key(0), np.ones(3, np.float32))


def test_states_that_meet_other_states_are_noticed() -> None:
    """Those of z, in the dimension of w, which a later site looks up."""

    def model(indices: Any) -> None:
        u = ppl.sample("u", dist.Normal(0.0, 1.0))
        z, w = coin("z", infer={"enumerate": "parallel"}), coin("w", infer={"enumerate": "parallel"})
        with ppl.plate("n", 2) as n:
            table = jnp.asarray(TABLE[0])
            seen("x", u + w + (Vindex(table)[z, n] if indices else table[z]))

    with pytest.warns(UserWarning, match="'x': .* or of another site"):
        MCMC(NUTS(model), num_warmup=1, num_samples=1, progress_bar=False).run(0, False)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        MCMC(NUTS(model), num_warmup=1, num_samples=1, progress_bar=False).run(0, True)


@pytest.mark.parametrize("count", [4, np.int64(4), np.full(2, 4), jnp.full(2, 4)], ids=["number", "NumPy", "array", "of JAX"])
def test_a_number_of_states_may_be_an_argument(count: Any) -> None:
    def model(count: Any) -> None:
        q = ppl.sample("q", dist.Beta(2.0, 2.0))
        with ppl.plate("n", 2):
            k = ppl.sample("k", dist.Binomial(count, q), infer={"enumerate": "parallel"})
            ppl.sample("x", dist.Binomial(k, 0.5), obs=np.array([3, 0]))

    with warnings.catch_warnings():  # states of which data are no outcome are ruled out without a word
        warnings.simplefilter("error")
        sampler = MCMC(NUTS(model), num_warmup=50, num_samples=20, progress_bar=False)
        sampler.run(0, count)
        samples = sampler.get_samples(infer_discrete=True)
    assert set(np.unique(samples["k"][:, 0])) <= {3, 4}


def _seen_in_a_loop(y: Any, in_plate: bool, seen_when_dead: float) -> None:
    """Those alive die with some probability in each step, and the dead stay dead; the counts of all that are seen."""
    survival, plate = ppl.sample("survival", dist.Beta(1.0, 1.0)), ppl.plate("animal", 2)

    def step(alive: Any, y_now: Any) -> tuple[Any, None]:
        alive = ppl.sample("alive", dist.Bernoulli(survival * alive), infer={"enumerate": "parallel"})
        ppl.sample("y", dist.Poisson(jnp.where(alive == 1, 2.0, seen_when_dead)), obs=y_now)
        return alive, None

    scan(plate(step) if in_plate else step, jnp.zeros(2, int) if in_plate else 0, y)


@pytest.mark.parametrize("in_plate", [False, True])
def test_data_that_no_states_can_have_in_a_loop_are_told(in_plate: bool) -> None:
    """A single value outside of the support with its place, and data that some state allows, but no sequence of them."""
    y, place = np.ones((5, 2), int), (3, 1) if in_plate else (3,)
    y[3, 1] = -4
    told = {}
    for seen_when_dead, data in ((1.0, y), (0.0, abs(y))):
        sampler = MCMC(NUTS(_seen_in_a_loop), num_warmup=2, num_samples=2, progress_bar=False)
        with pytest.raises(RuntimeError) as caught, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            sampler.run(0, data if in_plate else data[:, 1], in_plate, seen_when_dead)
        told[seen_when_dead] = str(caught.value)
    assert f"site 'y' ~ Poisson (observed): log density -inf at value -4, index {place}" in told[1.0]
    assert "each site has a density in some states of 'alive', but no states of all of them together" in told[0.0]


def test_what_is_refused_leaves_no_handler_behind() -> None:
    with pytest.raises(ValueError, match="intractable!"):
        density(crossing_plates, 2)()
    assert len(ppl.primitives._PYRO_STACK) == 0


def test_a_long_chain_and_a_wide_star_are_not_too_large() -> None:
    """Cost is linear in length and leaves, so that neither is near the bound."""

    def chain() -> None:
        z = 0
        for t in markov(range(60)):
            z = ppl.sample(f"z{t}", dist.Categorical(Vindex(np.full((10, 10), 0.1))[z]))
            seen(f"x{t}", z)

    def star() -> None:
        g = ppl.sample("g", dist.Categorical(np.full(10, 0.1)))
        for i in markov(range(60), history=0):
            seen(f"x{i}", g + ppl.sample(f"z{i}", dist.Categorical(np.full(10, 0.1))))

    for model in (chain, star):
        assert density(model)().shape == ()


@pytest.mark.parametrize("model", [crossing_plates, used_in_another_plate, two_steps_back, carry_of_old_states, branches])
def test_a_plain_run_of_what_enumeration_refuses_is_fine(model: Model) -> None:
    jax.eval_shape(lambda: handlers.trace(handlers.seed(model, 0)).get_trace()["x2" if model is two_steps_back else "x"]["value"])
