"""Chains at different places in their iterations: each does what it would do alone, whatever the others do."""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

import ppl
import ppl.distributions as dist
from ppl.infer import HMC, MCMC, NUTS, BarkerMH
from ppl.infer.run.collect import advance
from ppl.infer.run.interleaved import Interleaved, advance_interleaved, select_chains, vectorized
from ppl.infer.run.process import Vectorized

CHAINS = 13


class Carry(NamedTuple):
    number: Any
    value: Any
    learnt: Any


class Iteration(NamedTuple):
    left: Any
    value: Any
    is_longer: Any


class Walk:
    """Numbers on their way: an iteration has one to nine steps, by the value it begins with; while `number < limit` it learns."""

    def step(self, carry: Carry, limit: Any) -> Carry:
        iteration = lax.while_loop(self.is_under_way, partial(self.extend, inputs=limit), self.open(carry, limit))
        return self.learn(carry, self.close(carry, iteration, limit), iteration, limit)

    def read(self, carry: Carry) -> dict[str, Any]:
        return {"value": carry.value, "both": jnp.stack([carry.number, carry.learnt])}

    def open(self, carry: Carry, limit: Any) -> Iteration:
        left = 1 + carry.value % 3 * jnp.where(carry.value % 7 == 0, 4, 1)
        return Iteration(left, carry.value, left > 5)

    def is_under_way(self, iteration: Iteration) -> Any:
        return iteration.left > 0

    def extend(self, iteration: Iteration, inputs: Any) -> Iteration:
        return Iteration(iteration.left - 1, (31 * iteration.value + 7) % 1009, iteration.is_longer)

    def choose(self, chosen: Any, iteration: Iteration, other: Iteration) -> Iteration:
        return select_chains(chosen, iteration, other)

    def close(self, carry: Carry, iteration: Iteration, limit: Any) -> Carry:
        return carry._replace(number=carry.number + 1, value=iteration.value)

    def learns(self, carry: Carry, limit: Any) -> Any:
        return carry.number < limit

    def learn(self, carry: Carry, closed: Carry, iteration: Iteration, limit: Any) -> Carry:
        longer = carry.learnt + jnp.where(iteration.is_longer, 10, 1)
        return closed._replace(learnt=lax.select(self.learns(carry, limit), longer, carry.learnt))


def start() -> Carry:
    zeros = jnp.zeros(CHAINS, jnp.int32)
    return Carry(zeros, 5 * jnp.arange(CHAINS, dtype=jnp.int32), zeros)


RUNS = {
    "together": jax.jit(partial(advance, Vectorized(Walk()), 16)),
    "interleaved": jax.jit(partial(advance_interleaved, Interleaved(Walk()), 16)),
}


@pytest.mark.parametrize("spans", [[(0, 16)], [(0, 1), (1, 9), (9, 25)], [(0, 7), (7, 7), (7, 20)]])
@pytest.mark.parametrize(("first", "step"), [(0, 1), (5, 3), (12, 2), (0, 0), (100, 1)])
def test_a_chain_does_what_it_does_alone(spans, first, step):
    carries = dict.fromkeys(RUNS, start())
    for begin, end in spans:
        rows = {}
        for name, run in RUNS.items():
            carries[name], rows[name] = run(carries[name], jnp.int32(6), np.array([begin, end, first, step], np.int32))
        kept = sum(1 for t in range(begin, end) if step and t >= first and (t - first + 1) % step == 0)
        for found, expected in zip(jax.tree.leaves(rows["interleaved"]), jax.tree.leaves(rows["together"])):
            np.testing.assert_array_equal(found[: max(kept, 1)], expected[: max(kept, 1)])
    jax.tree.map(np.testing.assert_array_equal, carries["interleaved"], carries["together"])
    assert len(np.unique(carries["together"].value)) > CHAINS // 2


def test_chains_do_not_wait_for_the_longest_iteration():
    """A hundred iterations of one step, and in each some chain's of fifty: 5,000 steps together, some hundreds interleaved."""
    steps = []

    class Uneven(Walk):
        def open(self, carry: Carry, limit: Any) -> Iteration:
            left = jnp.where((carry.number + carry.value) % CHAINS == 0, 50, 1)
            return Iteration(left, carry.value, left > 5)

        def extend(self, iteration: Iteration, inputs: Any) -> Iteration:
            jax.debug.callback(lambda left: steps.append(left), iteration.left)
            return iteration._replace(left=iteration.left - 1)

    counts = {}
    begun = start()._replace(value=jnp.arange(CHAINS, dtype=jnp.int32))
    for name, run in (
        ("together", partial(advance, Vectorized(Uneven()))),
        ("interleaved", partial(advance_interleaved, Interleaved(Uneven()))),
    ):
        steps.clear()
        jax.block_until_ready(run(16, begun, jnp.int32(0), np.array([0, 100, 0, 0], np.int32)))
        jax.effects_barrier()
        counts[name] = len(steps) / CHAINS
    assert counts["together"] == 5000
    assert counts["interleaved"] < 1000


def model(y):
    mu = ppl.sample("mu", dist.Normal(0.0, 1.0))
    sigma = ppl.sample("sigma", dist.LogNormal(0.0, 0.5))
    with ppl.plate("point", len(y)):
        ppl.sample("y", dist.Normal(mu, sigma), obs=y)


@pytest.mark.parametrize(
    ("kernel", "expected"), [(NUTS(model), Interleaved), (HMC(model), Interleaved), (BarkerMH(model), Vectorized)]
)
def test_trajectories_are_interleaved_and_proposals_are_not(kernel, expected, monkeypatch):
    made = []
    monkeypatch.setattr("ppl.infer.mcmc.vectorized", lambda process: made.append(vectorized(process)) or made[-1])
    mcmc = MCMC(kernel, num_warmup=5, num_samples=5, num_chains=3, chain_method="vectorized", progress_bar=False)
    mcmc.run(0, np.ones(3))
    assert {type(process) for process in made} == {expected}


@pytest.mark.parametrize("kernel", [NUTS(model), NUTS(model, dense_mass=True, find_heuristic_step_size=True), HMC(model)])
def test_draws_are_those_of_a_chain_alone(kernel):
    """To rounding, which grows along a chain; and so are step sizes and metrics."""
    y, fields = np.array([0.3, -1.2, 0.8, 2.1]), ("adapt_state.step_size", "num_steps")
    found = {}
    with jax.enable_x64(True):
        for method in ("sequential", "vectorized"):
            mcmc = MCMC(kernel, num_warmup=25, num_samples=15, num_chains=5, chain_method=method, progress_bar=False)
            mcmc.run(0, y, extra_fields=fields)
            found[method] = mcmc.get_samples(group_by_chain=True), mcmc.get_extra_fields(group_by_chain=True)
            mcmc.warmup(0, y, extra_fields=fields, collect_warmup=True)
            found[method] += (mcmc.get_samples(group_by_chain=True), mcmc.get_extra_fields(group_by_chain=True))
    jax.tree.map(partial(np.testing.assert_allclose, rtol=1e-6, atol=1e-6), found["sequential"], found["vectorized"])
