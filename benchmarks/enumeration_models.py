"""Models with discrete sites that are summed out, each beside the same one marginalised by hand; namespaces as in ``models``."""

from collections.abc import Callable
from dataclasses import dataclass

import jax.numpy as jnp
import numpy as np
from jax import Array, lax
from jax.nn import logsumexp

from benchmarks.models import Arguments, Case, Namespace, collection


@dataclass(frozen=True)
class EnumeratedCase:
    """Two cases of one density and one set of continuous sites.

    ``iterations`` is how many of warm-up and of sampling a first run has: fewer than 1,000 where NumPyro would need minutes.
    """

    enumerated: Case
    by_hand: Case
    iterations: int = 1000

    @property
    def x64(self) -> bool:
        """Whether floats are wide."""
        return self.enumerated.x64


def _normals(pp: Namespace, dist: Namespace, centres: np.ndarray) -> tuple[Array, Array]:
    """Locations near their centres, so that the states keep their names, and scales."""
    loc = pp.sample("loc", dist.Normal(centres, 0.5).to_event(1))
    scale = pp.sample("scale", dist.LogNormal(0.0, 0.3).expand([centres.shape[0]]).to_event(1))
    return loc, scale


def hmm(pp: Namespace, dist: Namespace, concentration: np.ndarray, centres: np.ndarray, y: np.ndarray) -> None:
    transition = pp.sample("transition", dist.Dirichlet(concentration).to_event(1))
    loc, scale = _normals(pp, dist, centres)

    def step(previous: Array, observed: Array) -> tuple[Array, None]:
        state = pp.sample("state", dist.Categorical(transition[previous]), infer={"enumerate": "parallel"})
        pp.sample("y", dist.Normal(loc[state], scale[state]), obs=observed)
        return state, None

    pp.contrib.control_flow.scan(step, 0, y)


def hmm_by_hand(pp: Namespace, dist: Namespace, concentration: np.ndarray, centres: np.ndarray, y: np.ndarray) -> None:
    """The forward algorithm."""
    log_transition = jnp.log(pp.sample("transition", dist.Dirichlet(concentration).to_event(1)))
    loc, scale = _normals(pp, dist, centres)
    emission = dist.Normal(loc, scale).log_prob(y[:, None])

    def step(log_state: Array, log_emission: Array) -> tuple[Array, None]:
        return logsumexp(log_state[:, None] + log_transition, axis=0) + log_emission, None

    last, _ = lax.scan(step, log_transition[0] + emission[0], emission[1:])
    pp.factor("y", logsumexp(last))


def assignments(pp: Namespace, dist: Namespace, centres: np.ndarray, y: np.ndarray) -> None:
    weights = pp.sample("weights", dist.Dirichlet(jnp.full(centres.shape, 2.0)))
    loc, scale = _normals(pp, dist, centres)
    with pp.plate("point", y.shape[0]):
        which = pp.sample("which", dist.Categorical(weights), infer={"enumerate": "parallel"})
        pp.sample("y", dist.Normal(loc[which], scale[which]), obs=y)


def assignments_by_hand(pp: Namespace, dist: Namespace, centres: np.ndarray, y: np.ndarray) -> None:
    weights = pp.sample("weights", dist.Dirichlet(jnp.full(centres.shape, 2.0)))
    loc, scale = _normals(pp, dist, centres)
    with pp.plate("point", y.shape[0]):
        pp.factor("y", logsumexp(jnp.log(weights) + dist.Normal(loc, scale).log_prob(y[:, None]), axis=-1))


def survival(pp: Namespace, dist: Namespace, first: np.ndarray, seen: np.ndarray) -> None:
    """Cormack-Jolly-Seber: animals ``(n,)`` marked at the occasion ``first``, seen or not at each of the later ones ``(t, n)``."""
    rate = pp.sample("rate", dist.Beta(1, 1).expand([seen.shape[0]]).to_event(1))
    detection = pp.sample("detection", dist.Beta(1, 1))

    def step(alive: Array, now: tuple[Array, Array, Array]) -> tuple[Array, None]:
        occasion, rate_now, seen_now = now
        marked = occasion > first
        with pp.plate("animal", seen.shape[1]):
            alive = pp.sample("alive", dist.Bernoulli(jnp.where(marked, rate_now * alive, 1.0)), infer={"enumerate": "parallel"})
            with pp.handlers.mask(mask=marked):
                pp.sample("seen", dist.Bernoulli(detection * alive), obs=seen_now)
        return alive, None

    pp.contrib.control_flow.scan(step, jnp.ones(seen.shape[1], dtype=jnp.int32), (jnp.arange(1, 1 + seen.shape[0]), rate, seen))


def survival_by_hand(pp: Namespace, dist: Namespace, first: np.ndarray, seen: np.ndarray) -> None:
    """The forward algorithm over two states of each animal."""
    rate = pp.sample("rate", dist.Beta(1, 1).expand([seen.shape[0]]).to_event(1))
    detection = pp.sample("detection", dist.Beta(1, 1))

    def step(state: tuple[Array, Array], now: tuple[Array, Array, Array]) -> tuple[tuple[Array, Array], None]:
        log_alive, log_dead = state
        occasion, rate_now, seen_now = now
        alive = log_alive + jnp.log(rate_now) + jnp.where(seen_now == 1, jnp.log(detection), jnp.log1p(-detection))
        dead = jnp.logaddexp(log_dead, log_alive + jnp.log1p(-rate_now)) + jnp.where(seen_now == 1, -jnp.inf, 0.0)
        marked = occasion > first
        return (jnp.where(marked, alive, log_alive), jnp.where(marked, dead, log_dead)), None

    start = jnp.zeros(seen.shape[1]), jnp.full(seen.shape[1], -jnp.inf)
    (log_alive, log_dead), _ = lax.scan(step, start, (jnp.arange(1, 1 + seen.shape[0]), rate, seen))
    with pp.plate("animal", seen.shape[1]):
        pp.factor("seen", jnp.logaddexp(log_alive, log_dead))


def _chances(pp: Namespace, dist: Namespace, seen: np.ndarray) -> tuple[Array, Array]:
    """Whether an animal exists, and how probably it is caught ``(n, t)``: otherwise once it was caught the time before."""
    included = pp.sample("included", dist.Beta(1, 1))
    naive = pp.sample("naive", dist.Beta(1, 1))
    trapped = pp.sample("trapped", dist.Beta(1, 1))
    before = jnp.concatenate([jnp.zeros_like(seen[:, :1]), seen[:, :-1]], axis=1)
    return included, jnp.where(before == 1, trapped, naive)


def abundance(pp: Namespace, dist: Namespace, seen: np.ndarray) -> None:
    """Captures ``(n, t)`` with a response to the trap (Mb), among them rows for animals that may not exist."""
    included, chance = _chances(pp, dist, seen)
    with pp.plate("animal", seen.shape[0], dim=-2):
        exists = pp.sample("exists", dist.Bernoulli(included), infer={"enumerate": "parallel"})
        with pp.plate("occasion", seen.shape[1], dim=-1):
            pp.sample("seen", dist.Bernoulli(exists * chance), obs=seen)


def abundance_by_hand(pp: Namespace, dist: Namespace, seen: np.ndarray) -> None:
    included, chance = _chances(pp, dist, seen)
    exists = jnp.log(included) + dist.Bernoulli(chance).log_prob(seen).sum(axis=1)
    absent = jnp.where(seen.max(axis=1) == 1, -jnp.inf, jnp.log1p(-included))
    with pp.plate("animal", seen.shape[0]):
        pp.factor("seen", jnp.logaddexp(exists, absent))


def topics(pp: Namespace, dist: Namespace, concentration: np.ndarray, words: np.ndarray) -> None:
    """Latent Dirichlet allocation: ``words`` is (words, documents), ``concentration`` (topics, vocabulary)."""
    with pp.plate("topic", concentration.shape[0]):
        frequencies = pp.sample("frequencies", dist.Dirichlet(concentration))
    with pp.plate("document", words.shape[1], dim=-1):
        shares = pp.sample("shares", dist.Dirichlet(jnp.ones(concentration.shape[0])))
        with pp.plate("word", words.shape[0], dim=-2):
            which = pp.sample("which", dist.Categorical(shares), infer={"enumerate": "parallel"})
            pp.sample("words", dist.Categorical(frequencies[which]), obs=words)


def topics_by_hand(pp: Namespace, dist: Namespace, concentration: np.ndarray, words: np.ndarray) -> None:
    with pp.plate("topic", concentration.shape[0]):
        frequencies = pp.sample("frequencies", dist.Dirichlet(concentration))
    with pp.plate("document", words.shape[1], dim=-1):
        shares = pp.sample("shares", dist.Dirichlet(jnp.ones(concentration.shape[0])))
        with pp.plate("word", words.shape[0], dim=-2):
            pp.factor("words", logsumexp(jnp.log(shares) + jnp.log(frequencies).T[words], axis=-1))


def _centres(count: int) -> np.ndarray:
    return 3.0 * (np.arange(count) - (count - 1) / 2)


def _hmm_data(states: int) -> Callable[[int], Arguments]:
    """A chain of length 600 that stays where it is in four steps of five."""

    def data(seed: int) -> Arguments:
        rng = np.random.default_rng(seed)
        state = np.zeros(600, dtype=int)
        for t in range(1, 600):
            state[t] = state[t - 1] if rng.random() < 0.8 else rng.integers(states)
        return 1.0 + 4.0 * np.eye(states), _centres(states), rng.normal(_centres(states)[state], 1.0)

    return data


def _assignments_data(seed: int) -> Arguments:
    rng = np.random.default_rng(seed)
    return _centres(4), rng.normal(_centres(4)[rng.choice(4, 1000, p=[0.1, 0.2, 0.3, 0.4])], [1.0])


def _survival_data(seed: int) -> Arguments:
    """Three hundred animals over twelve occasions; those that die or are missed are not seen."""
    rng = np.random.default_rng(seed)
    first = np.sort(rng.integers(0, 11, 300))
    alive, seen = np.ones(300, dtype=int), np.zeros((11, 300), dtype=int)
    for t in range(1, 12):
        marked = t > first
        alive = np.where(marked, alive * rng.binomial(1, 0.75, 300), alive)
        seen[t - 1] = marked * alive * rng.binomial(1, 0.6, 300)
    return first, seen


def _abundance_data(seed: int) -> Arguments:
    """The animals of posteriordb's Mb, or simulated ones of the same numbers."""
    data = collection("Mb_data")
    rng = np.random.default_rng(seed)
    if data is not None:
        return (data["y"] if seed == 0 else rng.permutation(data["y"]),)
    seen = np.zeros((318, 5), dtype=int)
    for t in range(5):
        seen[:150, t] = rng.binomial(1, np.where(seen[:150, max(t - 1, 0)] == 1, 0.3, 0.25))
    return (seen,)


def _topics_data(seed: int) -> Arguments:
    """Forty documents of fifty words out of eighty; each of five topics has sixteen words of its own."""
    rng = np.random.default_rng(seed)
    concentration = 0.5 + 3.0 * np.repeat(np.eye(5), 16, axis=1)
    frequencies = np.stack([rng.dirichlet(row) for row in concentration])
    shares = rng.dirichlet(np.ones(5), 40)
    words = np.stack([rng.choice(80, 50, p=share @ frequencies) for share in shares], axis=1)
    return concentration, words


def _case(
    model: Callable[..., None],
    by_hand: Callable[..., None],
    data: Callable[[int], Arguments],
    draws: int,
    iterations: int = 1000,
) -> EnumeratedCase:
    return EnumeratedCase(Case(model, data, long_draws=draws), Case(by_hand, data, long_draws=draws), iterations)


CASES: dict[str, EnumeratedCase] = {
    "hmm_2": _case(hmm, hmm_by_hand, _hmm_data(2), draws=200),
    "hmm_4": _case(hmm, hmm_by_hand, _hmm_data(4), draws=100),
    "hmm_8": _case(hmm, hmm_by_hand, _hmm_data(8), draws=50),
    "hmm_16": _case(hmm, hmm_by_hand, _hmm_data(16), draws=20, iterations=300),
    "assignments": _case(assignments, assignments_by_hand, _assignments_data, draws=500),
    "survival": _case(survival, survival_by_hand, _survival_data, draws=500),
    "abundance": _case(abundance, abundance_by_hand, _abundance_data, draws=1000),
    "topics": _case(topics, topics_by_hand, _topics_data, draws=100),
}
