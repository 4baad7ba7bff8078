"""What costs something is stored before rows are taken of it, what is made of transposed arrays before its maximum is taken."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.nn import logsumexp

from ppl._programs.evaluation import IN_MANY_KERNELS, evaluate
from ppl._programs.jaxprs import equations
from ppl._programs.stored import stored, worth_storing
from ppl.infer.target.gradient import value_and_gradient
from ppl.infer.target.potential import PotentialTarget, TreeLayout

RNG = np.random.default_rng(0)
WORDS = jnp.asarray(RNG.integers(0, 30, 1200))
TABLE = jnp.asarray(RNG.normal(size=(4, 30)), jnp.float32)


# Programs of a table (4, 30), and of how many arrays they take rows or maxima that should be stored before.
PROGRAMS = {
    "rows of logarithms": (lambda x: jnp.log(1 + x[0] ** 2)[WORDS], 1),
    "of a function of logarithms": (lambda x: jnp.where(x > 0, 1 + jnp.log(1 + x**2), 0.0).T[WORDS], 1),
    "of shares": (lambda x: jax.nn.softmax(x[0])[WORDS], 1),
    "of an array within a call": (lambda x: jax.jit(lambda table: table[WORDS])(jnp.sin(x[0])), 1),
    "twice": (lambda x: jnp.sin(x[0])[WORDS] + jnp.cos(x[0])[WORDS], 2),
    "twice of one": (lambda x: (lambda table: table[WORDS] * table[WORDS[::-1]])(jnp.sin(x[0])), 1),
    "of what is cheap": (lambda x: (2 * x[0] + 1)[WORDS], 0),
    "of sums of logarithms": (lambda x: jnp.cumsum(jnp.sin(x[0]))[WORDS], 0),
    "few rows": (lambda x: jnp.sin(x[0])[WORDS[:1000]], 0),
    "of many rows": (lambda x: jnp.sin(jnp.ones((20, 1)) * x[0]).reshape(-1)[WORDS], 0),
    "columns": (lambda x: logsumexp(x.T[WORDS].T, axis=0), 1),
    "columns, and a sum": (lambda x: logsumexp(jnp.where(WORDS > 3, x.T[WORDS].T, -1.0) + x[:, :1], axis=0), 1),
    "a repeated column": (lambda x: logsumexp(jnp.ones((1200, 1)) * x[:, :1].T * x[:, 0], axis=0), 0),
    "repeated transposed rows": (lambda x: logsumexp(jnp.ones((50, 1, 1)) * x.T, axis=0), 1),
    "within a call": (lambda x: logsumexp(jax.jit(lambda x: x.T[WORDS].T)(x) + 1, axis=0), 1),
    "two": (lambda x: logsumexp(x.T[WORDS].T, axis=0) + logsumexp(x.T[WORDS].T + 1, axis=0), 2),
    "of one array": (lambda x: jnp.max(x.T[WORDS].T, axis=0) + jnp.max(jnp.max(x.T[WORDS].T, axis=1)), 2),
    "a product of transposed": (lambda x: logsumexp(x.T[WORDS] @ x, axis=0), 0),
    "rows": (lambda x: logsumexp(x.T[WORDS], axis=1), 0),
    "axes of one element": (lambda x: logsumexp(jnp.transpose(x.T[WORDS][:, None], (1, 0, 2)), axis=-1), 0),
    "a sum": (lambda x: jnp.sum(x.T[WORDS].T, axis=0), 0),
    "few": (lambda x: logsumexp(x.T[WORDS[:1000]].T, axis=0), 0),
}


def _stored(jaxpr):
    """How many arrays a program stores."""
    return sum(equation.primitive.name == "custom_vmap_call" for equation in equations(jaxpr))


@pytest.mark.parametrize("name", PROGRAMS)
def test_worth_storing_arrays_are_found(name):
    fn, count = PROGRAMS[name]
    both = jax.value_and_grad(lambda x: jnp.sum(fn(x) ** 2))
    closed = jax.make_jaxpr(both)(TABLE)
    kept = worth_storing(closed.jaxpr)

    def again(x):
        return tuple(evaluate(closed, [x], IN_MANY_KERNELS, kept))

    assert _stored(jax.make_jaxpr(again)(TABLE).jaxpr) == count
    for found, expected in zip(jax.jit(again)(TABLE), both(TABLE), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("special", [0.0, -1.0, np.nan, np.inf])
def test_what_is_stored_is_the_array(special):
    x = TABLE.at[0, 0].set(special)
    np.testing.assert_array_equal(jax.jit(stored)(x), x)
    np.testing.assert_array_equal(jax.jit(jax.vmap(stored, 1))(x), x.T)


@pytest.mark.skipif(jax.default_backend() != "cpu", reason="stored for the CPU's compiler")
@pytest.mark.parametrize("batch", [(), (3,)])
def test_the_compiler_stores_it(batch):
    """A branch remains in the program: chains of one batch have it in common, and it is not simplified away."""

    def energy(q):
        x = q.reshape(4, 30)
        return jnp.sum(logsumexp(x.T[WORDS].T + x[:, :1], axis=0)) + jnp.sum(q**2)

    target = PotentialTarget((), energy, None, TreeLayout.of(np.zeros(120, np.float32)))
    q = jnp.asarray(RNG.normal(size=(*batch, 120)), jnp.float32)
    plain, ours = jax.value_and_grad(energy), lambda q: value_and_gradient(target, q)
    if batch:
        plain, ours = jax.vmap(plain), jax.vmap(ours)
    compiled = jax.jit(ours).lower(q).compile()
    assert " conditional(" in compiled.as_text()
    for found, expected in zip(compiled(q), plain(q), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)
