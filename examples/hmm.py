"""Who drives: a hidden Markov model whose states are summed out, and decoded afterwards.

The distance of a basketball player from the hoop and his speed are recorded over the seconds of an event. In one hidden state the
player waits or moves about, in the other he drives to the hoop: nearer to it and faster. NUTS sums over all sequences of states.
Given posterior means of the parameters, `infer_discrete` then finds the most probable sequence, and drawing sequences for each
posterior draw gives the probability of a state at each time.

Without `--data` a series is simulated; with it, it is read from a JSON file that holds `u`, the inverse of the speed, `v`, the
distance, and `alpha`, the concentration of the rows of the transition matrix (the format of `bball_drive_event_0` in posteriordb).

Model: Imad Ali, "Hidden Markov models for basketball data", in the form of `hmm_drive_0` of posteriordb.
"""

import json
from pathlib import Path

import jax.numpy as jnp
import numpy as np
from _common import parser, plot, run
from jax import Array, random

import ppl
import ppl.distributions as dist
from ppl import handlers
from ppl.contrib.control_flow import scan
from ppl.distributions import constraints
from ppl.infer import NUTS, Predictive, infer_discrete

PRIOR_RATE = np.array([0.0, 3.0])


def model(concentration: Array, u: Array, v: Array) -> None:
    transition = ppl.sample("transition", dist.Dirichlet(concentration).to_event(1))
    # In order, so that a state means the same in every draw.
    ordered = dist.ImproperUniform(constraints.positive_ordered_vector, (), (2,))
    rate_u, rate_v = ppl.sample("rate_u", ordered), ppl.sample("rate_v", ordered)
    ppl.factor("prior", dist.Normal(PRIOR_RATE, 1.0).log_prob(jnp.stack([rate_u, rate_v])).sum())

    def step(previous: Array, now: tuple[Array, Array]) -> tuple[Array, None]:
        state = ppl.sample("state", dist.Categorical(transition[previous]), infer={"enumerate": "parallel"})
        ppl.sample("u", dist.Exponential(rate_u[state]), obs=now[0])
        ppl.sample("v", dist.Exponential(rate_v[state]), obs=now[1])
        return state, None

    scan(step, 0, (u, v))


def load(path: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Concentration of the transitions, and the two series."""
    data = json.loads(path.read_text())
    return np.array(data["alpha"], float), np.array(data["u"], float), np.array(data["v"], float)


def simulate(seed: int, length: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A player who drives a fifth of the time."""
    rng = np.random.default_rng(seed)
    driving = np.zeros(length, dtype=int)
    for t in range(1, length):
        driving[t] = rng.random() < (0.92 if driving[t - 1] else 0.02)
    u = rng.exponential(1 / np.array([1.3, 4.0])[driving])
    return np.array([[4.0, 2.0], [2.0, 4.0]]), u, rng.exponential(1 / np.array([0.2, 3.0])[driving])


def main() -> None:
    options = parser("NUTS on a hidden Markov model, with decoded states.", num_warmup=500, num_samples=500, num_chains=2)
    options.add_argument("--data", type=Path, metavar="FILE", help="read the series from this JSON file instead of simulating it")
    options.add_argument("--length", type=int, default=300, metavar="N", help="length of a simulated series")
    args = options.parse_args()
    data = simulate(args.seed, args.length) if args.data is None else load(args.data)

    mcmc = run(args, NUTS(model), *data)
    mcmc.print_summary()

    draws = mcmc.get_samples()
    k_path, k_states = random.split(random.key(args.seed + 1))
    means = {name: value.mean(axis=0) for name, value in draws.items()}
    decoded = infer_discrete(handlers.substitute(model, data=means), temperature=0, rng_key=k_path)
    path = np.asarray(handlers.trace(decoded).get_trace(*data)["state"]["value"])
    states = Predictive(model, draws, infer_discrete=True, return_sites=["state"])(k_states, *data)["state"]
    probability = np.mean(states, axis=0)
    starts = np.flatnonzero(np.diff(path, prepend=0) == 1)
    print(f"most probable sequence: driving {path.mean():.0%} of the time, starting at {', '.join(map(str, starts))}")
    unsure = np.mean((probability > 0.05) & (probability < 0.95))
    print(f"the state has a probability between 5 % and 95 % at {unsure:.0%} of the times")

    def draw(series, hidden) -> None:
        times = np.arange(len(path))
        for state, label in enumerate(("waiting", "driving")):
            chosen = path == state
            series.plot(times[chosen], data[2][chosen], ".", markersize=4, label=label)
        series.set(xlabel="time", ylabel="distance from the hoop", title="decoded states")
        series.legend()
        hidden.plot(times, probability, linewidth=0.8, label="probability of driving")
        hidden.fill_between(times, path, step="mid", alpha=0.2, label="most probable sequence")
        hidden.set(xlabel="time", title="hidden states")
        hidden.legend()

    plot(args, draw, columns=2)


if __name__ == "__main__":
    main()
