import threading

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import random

import ppl
from ppl import distributions as dist
from ppl import handlers, sample

N = dist.Normal(0.0, 1.0)


def model():
    return jnp.stack([sample(name, N) for name in "abc"])


SEEDS = [3, np.int32(3), np.array(3), jnp.array(3), random.key(3), random.PRNGKey(3), np.array([0, 3], np.uint32)]


@pytest.mark.parametrize("seed", SEEDS)
def test_every_kind_of_seed_gives_the_same_draws(seed):
    assert jnp.array_equal(handlers.seed(model, seed)(), handlers.seed(model, 3)())


@pytest.mark.parametrize("seed", [None, 0.5, "0", True, np.zeros(2), random.split(random.key(0))])
def test_other_seeds_are_refused(seed):
    with pytest.raises(TypeError, match="rng_seed"):
        handlers.seed(model, seed)


def test_draws_are_a_pure_function_of_the_seed():
    wrapped = handlers.seed(model, 0)
    first = wrapped()
    assert jnp.array_equal(wrapped(), first)
    assert len(np.unique(first)) == 3
    assert not jnp.array_equal(handlers.seed(model, 1)(), first)


def test_a_context_advances_and_starts_again_when_entered_again():
    context = handlers.seed(rng_seed=0)
    with context:
        a, b = model(), model()
    with context:
        c = model()
    assert not jnp.array_equal(a, b)
    assert jnp.array_equal(a, c)
    with context:
        d = model()
        with context:
            e = model()
    assert jnp.array_equal(d, a)
    assert jnp.array_equal(e, b)


def test_the_innermost_seed_wins():
    assert jnp.array_equal(handlers.seed(handlers.seed(model, 1), 2)(), handlers.seed(model, 1)())


def test_hidden_types_get_no_key():
    with handlers.seed(rng_seed=0, hide_types=["prng_key"]):
        assert ppl.prng_key() is None
        sample("x", N)
    with handlers.seed(rng_seed=0, hide_types=["sample"]), pytest.raises(ValueError, match="key"):
        sample("x", N)


def test_seeds_may_be_traced_and_leave_no_tracer_behind():
    context = handlers.seed(rng_seed=0)
    with context, jax.checking_leaks():
        traced = jax.jit(model)()
        plain = model()
    assert not jnp.array_equal(traced, plain)
    draw = jax.jit(lambda seed: handlers.seed(model, seed)())
    for seed in (5, random.key(5), random.PRNGKey(5)):
        assert jnp.array_equal(draw(seed), handlers.seed(model, 5)())
    assert jax.vmap(draw)(random.split(random.key(0), 4)).shape == (4, 3)


def test_one_wrapped_model_runs_in_several_threads():
    wrapped, results = handlers.seed(model, 0), []
    expected = wrapped()
    threads = [threading.Thread(target=lambda: results.append(wrapped())) for _ in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert all(jnp.array_equal(r, expected) for r in results)


def test_a_site_costs_one_fold():
    def trace(n):
        def run(key):
            return [p for p in [handlers.seed(lambda: [ppl.sample(f"x{i}", Keyed()) for i in range(n)], key)()]]

        return len(jax.make_jaxpr(run)(random.key(0)).jaxpr.eqns)

    assert trace(3) - trace(2) == 1


class Keyed(dist.Distribution):
    """Its draw is its key."""

    def sample(self, key, sample_shape=()):
        return key
