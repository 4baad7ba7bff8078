"""Programs that are evaluated anew are the same: gathers and scatters of all rows in order are none, keys stay keys."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ppl._programs.evaluation import IN_ONE_KERNEL, evaluate
from ppl._programs.jaxprs import equations


def indexed(kind):
    """A function that indexes a table by whole numbers, and whether it takes all rows in their order."""
    rows, columns = np.arange(3)[:, None], np.arange(4)
    return {
        "all rows": (lambda x: x[jnp.asarray(rows)], True),
        "all rows of a vector": (lambda x: x[:, 0][jnp.arange(3)], True),
        "all entries of a vector, reversed": (lambda x: x[:, 0][jnp.arange(3)[::-1]], False),
        "from the end": (lambda x: x[jnp.arange(3) - 3], True),
        "some rows": (lambda x: x[jnp.asarray([0, 1])], False),
        "another order": (lambda x: x[jnp.asarray([0, 2, 1])], False),
        "a row twice": (lambda x: x[jnp.asarray([0, 1, 2, 2])], False),
        "columns": (lambda x: x[:, jnp.asarray(columns)], False),
        "pairs": (lambda x: x[jnp.asarray([0, 1, 2]), jnp.asarray([0, 1, 2])], False),
        "by a traced number": (lambda x: x[jnp.argsort(x[:, 0])], False),
    }[kind]


@pytest.mark.parametrize(
    "kind",
    ["all rows", "all rows of a vector", "all entries of a vector, reversed", "from the end", "some rows", "another order"]
    + ["a row twice", "columns", "pairs", "by a traced number"],
)
def test_all_rows_in_order_are_no_gather(kind):
    """Neither is their gradient a scatter; both are right whatever the indices."""
    fn, is_replaced = indexed(kind)
    x = jnp.asarray(np.random.default_rng(0).normal(size=(3, 4)), jnp.float32)
    both = jax.value_and_grad(lambda x: jnp.sum(jnp.sin(fn(x)) * jnp.arange(1.0, 1 + fn(x).size).reshape(fn(x).shape)))
    closed, shape = jax.make_jaxpr(both, return_shape=True)(x)
    again = jax.make_jaxpr(lambda x: evaluate(closed, [x], IN_ONE_KERNEL))(x)
    names = {equation.primitive.name for equation in equations(again.jaxpr)}
    assert ("gather" not in names and "scatter-add" not in names) == is_replaced
    found = jax.tree.unflatten(jax.tree.structure(shape), jax.jit(lambda x: evaluate(closed, [x], IN_ONE_KERNEL))(x))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-6), found, both(x))


def test_keys_and_choices_of_many_are_evaluated_as_they_are():
    key, which = jax.random.key(0), jnp.array([2, 0, 1], jnp.int32)

    def fn(x):
        one = jnp.reshape(jnp.broadcast_to(key, (2,)), (2, 1))[0, 0]
        places = jax.lax.select_n(which, *(jnp.full(3, n, jnp.int32) for n in (5, 6, 7)))
        return jax.random.normal(one) + x[places]

    x = jnp.arange(9.0)
    (found,) = evaluate(jax.make_jaxpr(fn)(x), [x], IN_ONE_KERNEL)
    np.testing.assert_array_equal(found, fn(x))
