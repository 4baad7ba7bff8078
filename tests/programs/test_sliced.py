"""Sums and maxima by slices, where XLA for the CPU has nothing better."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ppl._programs.evaluation import IN_ONE_KERNEL, evaluate
from ppl._programs.jaxprs import equations
from ppl._programs.sliced import is_apart, reduce_apart, reduce_rows
from ppl.infer.target.gradient import value_and_gradient
from ppl.infer.target.potential import PotentialTarget, TreeLayout


@pytest.mark.parametrize("name", ["reduce_sum", "reduce_max"])
@pytest.mark.parametrize(
    ("shape", "axes", "is_sliced"),
    [
        ((1000,), (0,), True),
        ((1025,), (0,), True),
        ((4, 300), (1,), True),
        ((300, 4), (0, 1), True),
        ((3, 20, 30), (0, 2), False),
        ((3, 20, 33), (0, 2), True),
        ((20, 5, 7), (1, 2), True),
        ((1000, 4), (0,), False),
        ((400,), (0,), False),
        ((40, 0), (1,), False),
        ((), (), False),
    ],
)
def test_long_sums_and_maxima_are_taken_by_slices(name, shape, axes, is_sliced):
    x = np.random.default_rng(0).normal(size=shape) - 9
    found = reduce_rows(name, jnp.asarray(x), axes)
    assert (found is not None) == is_sliced
    if is_sliced:
        reduction = {"reduce_sum": np.sum, "reduce_max": np.max}[name]
        np.testing.assert_allclose(found, reduction(x, axis=axes), rtol=1e-6 if name == "reduce_max" else 1e-4)
        for special in (-np.inf, np.nan):
            everywhere = jnp.full(shape, special)
            np.testing.assert_array_equal(reduce_rows(name, everywhere, axes), reduction(everywhere, axis=axes))


def test_sums_of_whole_numbers_are_left_alone():
    assert reduce_rows("reduce_sum", jnp.ones(1000, jnp.int32), (0,)) is None


def test_gradients_of_long_sums_are_taken_by_slices():
    def energy(x):
        return jnp.sum(jax.nn.logsumexp(jnp.sin(x)[:, None] * jnp.arange(3.0), axis=1)) + jnp.sum(x**2)

    x = jnp.asarray(np.random.default_rng(0).normal(size=777), jnp.float32)
    closed = jax.make_jaxpr(jax.value_and_grad(energy))(x)
    again = jax.make_jaxpr(lambda x: evaluate(closed, [x], IN_ONE_KERNEL))(x)

    def totals(program):
        sums = [equation for equation in equations(program.jaxpr) if equation.primitive.name == "reduce_sum"]
        return [equation.invars[0].aval.size for equation in sums if equation.outvars[0].aval.ndim == 0]

    assert totals(closed) == [777, 777]
    assert totals(again) == [32, 32]
    for found, expected in zip(evaluate(closed, [x], IN_ONE_KERNEL), jax.value_and_grad(energy)(x)):
        np.testing.assert_allclose(found, expected, rtol=1e-5)


APART = {
    "pairs in the middle": ((11, 2, 200), (1,), True),
    "pairs first, and rows": ((2, 30, 100), (0, 2), True),
    "pairs of pairs": ((2, 2, 2000), (0, 1), True),
    "short pairs": ((11, 2, 100), (1,), False),
    "pairs of neighbours": ((4000, 2), (1,), False),
    "threes": ((11, 3, 200), (1,), False),
    "all": ((2, 3000), (0, 1), True),
    "an axis between": ((11, 3, 200), (0, 2), True),
    "no axis between": ((11, 3, 200), (1, 2), False),
    "an axis of one element": ((5000, 1), (0, 1), False),
    "no axes": ((5000,), (), False),
}


@pytest.mark.parametrize("name", ["reduce_sum", "reduce_max"])
@pytest.mark.parametrize("case", APART)
def test_reductions_of_what_is_apart(name, case):
    shape, axes, is_replaced = APART[case]
    x = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    found = reduce_apart(name, jnp.asarray(x), axes)
    assert (found is not None) == is_replaced == is_apart(shape, axes)
    if is_replaced:
        expected = {"reduce_sum": np.sum, "reduce_max": np.max}[name](x.astype(float), axis=axes)
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.skipif(jax.default_backend() != "cpu", reason="replaced for the CPU's compiler")
@pytest.mark.parametrize("batch", [(), (3,)])
def test_gradients_with_reductions_of_what_is_apart_are_the_same(batch):
    y = np.random.default_rng(0).normal(size=(11, 300))

    def energy(q):
        states = q[:, None, None] * jnp.array([-1.0, 1.0])[:, None] * y[:, None, :]
        return jnp.sum(jax.nn.logsumexp(states, axis=1)) + jnp.sum(q**2)

    target = PotentialTarget((), energy, None, TreeLayout.of(np.zeros(11, np.float32)))
    q = np.random.default_rng(1).normal(size=(*batch, 11)).astype(np.float32)
    plain, ours = jax.value_and_grad(energy), lambda q: value_and_gradient(target, q)
    if batch:
        plain, ours = jax.vmap(plain), jax.vmap(ours)

    def apart(fn):
        reductions = [e for e in equations(jax.make_jaxpr(fn)(q).jaxpr) if e.primitive.name in ("reduce_sum", "reduce_max")]
        return [e for e in reductions if is_apart(e.invars[0].aval.shape, e.params["axes"])]

    assert apart(plain) and not apart(ours)
    for found, expected in zip(jax.jit(ours)(q), plain(q), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)
