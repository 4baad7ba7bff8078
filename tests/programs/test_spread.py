"""What is computed of a few repeated values is computed once for each, and is the same number as before."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ppl._programs.evaluation import IN_MANY_KERNELS, IN_ONE_KERNEL, evaluate
from ppl._programs.jaxprs import equations, inner_jaxprs
from ppl._programs.spread import chooses_among_few

RNG = np.random.default_rng(0)
MASK = jnp.asarray(RNG.random((40, 50)) < 0.4)
OTHER_MASK = jnp.asarray(RNG.random((40, 50)) < 0.4)
FULL = jnp.asarray(RNG.normal(size=(40, 50)), jnp.float32)
KEYS = jax.random.split(jax.random.key(0), 2000).reshape(40, 50)


def _where(mask, a, b):
    return jnp.where(mask, a, b)


# The program of numbers a, b > 0 and rows (50,), and of how many elements it takes logarithms; 2,000 where nothing is gained.
PROGRAMS = {
    "a choice of two numbers": (lambda a, b, rows: jnp.log(jnp.where(MASK, a, b)), 2),
    "a number and a constant": (lambda a, b, rows: jnp.log(jnp.where(MASK, a, 1.0)), 2),
    "a row and a number": (lambda a, b, rows: jnp.log(jnp.where(MASK, rows, b)), 51),
    "two rows of one array": (lambda a, b, rows: jnp.log(jnp.where(MASK, rows, 1 + rows)), 100),
    "a repeated row": (lambda a, b, rows: jnp.log(jnp.broadcast_to(rows, (40, 50)) * a + 1), 50),
    "arithmetic on a choice": (lambda a, b, rows: jnp.log(2 * jnp.where(MASK, a, b) ** 2 + rows) - a, 100),
    "two choices by one mask": (lambda a, b, rows: jnp.log(jnp.where(MASK, a, b) + jnp.where(MASK, 1.0, rows)), 51),
    "two choices by two masks": (lambda a, b, rows: jnp.log(jnp.where(MASK, a, b) + jnp.where(OTHER_MASK, a, b)), 2000),
    "a choice and an array": (lambda a, b, rows: jnp.log(jnp.where(MASK, a, b) + FULL**2), 2000),
    "a choice of arrays": (lambda a, b, rows: jnp.log(jnp.where(MASK, a + FULL**2, b)), 2000),
    "a choice by a choice": (lambda a, b, rows: jnp.log(jnp.where(jnp.where(MASK, a, b) > 1, a, rows)), 100),
    "a guard": (lambda a, b, rows: jnp.where(rows > a, jnp.log(jnp.where(MASK & (rows > a), rows - a, 1.0)), -jnp.inf), 51),
    "axes of one element": (lambda a, b, rows: jnp.log(jnp.where(MASK[:, None], a, b)).reshape(40, 50), 2),
    "through axes of one element": (lambda a, b, rows: jnp.log(jnp.where(MASK, rows, b)[:, None, :, None] + 1)[:, 0, :, 0], 51),
    "more elements by repetition": (
        lambda a, b, rows: jnp.log(jnp.where(MASK, a, b)[None] * jnp.arange(1.0, 4.0)[:, None, None]),
        6,
    ),
    "known numbers": (lambda a, b, rows: jnp.log(jnp.where(jnp.ones((40, 50)) * np.arange(50) > 20, a, b)), None),
    "within a call": (lambda a, b, rows: jnp.log(jax.jit(_where)(MASK, a, b)), 2),
    "into a call": (lambda a, b, rows: jax.jit(lambda x: jnp.log(x) + x)(jnp.where(MASK, a, b)), 2),
    "a result": (lambda a, b, rows: jnp.where(MASK, a, b), 0),
    "a short array": (lambda a, b, rows: jnp.log(jnp.where(MASK[0], a, b)), 50),
    "a sum": (lambda a, b, rows: jnp.log(jnp.where(MASK, a, b)).sum(axis=0), 2),
    "random numbers": (lambda a, b, rows: jnp.log(jax.vmap(jax.random.exponential)(KEYS.reshape(-1)).reshape(40, 50) + a), 2000),
    "keys": (lambda a, b, rows: jax.vmap(jax.random.normal)(jnp.broadcast_to(KEYS[0], (40, 50)).reshape(-1)), 0),
    "integers": (lambda a, b, rows: jnp.where(MASK, 3, 7) // 2 + jnp.where(MASK, 1, 0) % 2, 0),
}


def _logarithms(fn, *args):
    """Elements of which a program takes logarithms."""
    taken = [
        equation.invars[0].aval.size for equation in equations(jax.make_jaxpr(fn)(*args).jaxpr) if equation.primitive.name == "log"
    ]
    return sum(taken)


@pytest.mark.parametrize("replacements", [IN_ONE_KERNEL, IN_MANY_KERNELS], ids=["one kernel", "many"])
@pytest.mark.parametrize("name", PROGRAMS)
def test_programs_are_the_same(name, replacements):
    fn, logarithms = PROGRAMS[name]
    args = jnp.float32(0.7), jnp.float32(1.8), jnp.asarray(RNG.gamma(2.0, size=50), jnp.float32)
    closed = jax.make_jaxpr(fn)(*args)

    def again(*args):
        (result,) = evaluate(closed, args, replacements)
        return result

    assert logarithms is None or _logarithms(again, *args) == logarithms
    found, expected = jax.jit(again)(*args), fn(*args)
    assert (found.shape, found.dtype) == (expected.shape, expected.dtype)
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-6)


def test_gradients_are_finite_where_they_were():
    """A branch that is never taken has an infinite derivative at zero: what is evaluated anew is not differentiated again."""

    def energy(q):
        p = jnp.where(MASK, q[0], q[1])
        return -jnp.sum(jnp.where(MASK, jnp.log(jnp.where(MASK, p, 1.0)), p**2))

    q = jnp.array([0.3, 0.0])
    closed = jax.make_jaxpr(jax.value_and_grad(energy))(q)
    for found, expected in zip(evaluate(closed, [q], IN_MANY_KERNELS), jax.value_and_grad(energy)(q), strict=True):
        assert np.isfinite(np.asarray(found)).all()
        np.testing.assert_allclose(found, expected, rtol=1e-5)


def _chooses(fn, *args):
    jaxpr = jax.make_jaxpr(fn)(*args).jaxpr
    parts = [jaxpr, *(inner for equation in equations(jaxpr) for inner in inner_jaxprs(equation))]
    return any(chooses_among_few(part.eqns, 2000) for part in parts)


def test_choices_among_few_are_seen_in_programs():
    assert _chooses(lambda a, b: jnp.where(MASK, a, b), 1.0, 2.0)
    assert _chooses(lambda a, b: jax.lax.map(lambda x: jnp.where(MASK, x, b), a), jnp.ones(3), 2.0)
    assert not _chooses(lambda a, b: jnp.where(MASK, a, b), 1.0, FULL)
    assert not _chooses(lambda a, b: jnp.where(MASK[:, :10], a, b), 1.0, 2.0)
    assert not _chooses(lambda a, b: a + b, FULL, FULL)
