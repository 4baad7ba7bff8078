"""How programs are compiled: by what they cost to optimize, and by how long their arrays are."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from ppl.infer.run import compiler
from ppl.infer.run.compiler import DIVIDED, OLDER, OLDER_UNOPTIMIZED, SHORT, WITHOUT_LIBRARY, compile_lowered, compiler_options
from ppl.infer.run.programs import Programs

on_cpu = pytest.mark.skipif(jax.default_backend() != "cpu", reason="the options are those of the CPU's compiler")


def _options(fn, *args, runs_once=False):
    return compiler_options(jax.make_jaxpr(fn)(*args).jaxpr, runs_once=runs_once)


def _kept(x):
    """Short arithmetic in a loop, whose results are kept in a long buffer."""
    buffer = jnp.zeros((10 * SHORT, len(x)))
    return lax.fori_loop(0, 10, lambda i, b: lax.dynamic_update_index_in_dim(b, x * i + 1.0, i, 0), buffer)


@on_cpu
def test_short_arrays_are_compiled_by_the_older_generator():
    assert _options(lambda x: 2.0 * x, jnp.zeros(SHORT)) == OLDER
    assert _options(lambda x: 2.0 * x, jnp.zeros(SHORT + 1)) == {}
    assert _options(_kept, jnp.zeros(3)) == OLDER


@on_cpu
def test_long_arrays_are_seen_in_loops_branches_and_calls():
    long = jnp.zeros(SHORT + 1)
    assert _options(lambda x: lax.fori_loop(0, 3, lambda _, s: s + jnp.sum(2.0 * x), 0.0), long) == {}
    assert _options(lambda x: lax.cond(x[0] > 0, lambda: jnp.sum(x + x), lambda: 0.0), long) == {}
    assert _options(jax.jit(lambda x: x - 1.0), long) == {}
    assert _options(lambda: jnp.sum(long * long)) == {}, "data in the closure"


@on_cpu
def test_maxima_over_the_states_of_many_elements_are_not_left_to_the_library():
    states = jnp.zeros((4, DIVIDED // 4 + 1))
    assert _options(lambda x: jax.grad(lambda x: jnp.sum(jax.nn.logsumexp(x, axis=0)))(x), states) == WITHOUT_LIBRARY
    assert _options(lambda x: jnp.max(x, 0), states[:, :-1]) == OLDER, "as long as one thread takes"
    assert _options(lambda x: jnp.max(x, 1), states) == OLDER, "along the last axis"
    assert _options(lambda x: jnp.sum(x, 0), states) == OLDER, "a sum"
    compiled = compile_lowered(jax.jit(lambda x: jnp.max(x, 0)).lower(states), WITHOUT_LIBRARY)
    np.testing.assert_array_equal(compiled(states), np.zeros(states.shape[1]))


@on_cpu
def test_what_runs_once_is_not_optimized():
    assert _options(lambda x: 2.0 * x, jnp.zeros(10 * SHORT), runs_once=True) == OLDER_UNOPTIMIZED


def test_nothing_is_said_to_other_compilers(monkeypatch):
    monkeypatch.setattr(compiler.jax, "default_backend", lambda: "gpu")
    assert _options(lambda x: 2.0 * x, jnp.zeros(3)) == {}
    assert _options(lambda x: 2.0 * x, jnp.zeros(3), runs_once=True) == {}


def test_options_that_a_compiler_does_not_know_are_left_out():
    class Asked:
        """A program that keeps the options it was compiled with in the end."""

        def __init__(self):
            self.lowered = jax.jit(lambda x: x + 1.0).lower(1.0)

        def compile(self, options):
            compiled = self.lowered.compile(options)
            self.options = options
            return compiled

    asked = Asked()
    known = {"xla_backend_optimization_level": 0}
    compiled = compile_lowered(asked, {"xla_no_such_option": True, **known, "xla_nor_this": 1})
    assert compiled(1.0) == 2.0
    assert asked.options == known


def test_other_refusals_are_the_callers():
    class Refusing:
        def compile(self, options=None):
            raise jax.errors.JaxRuntimeError("out of memory")

    for options in ({}, OLDER):
        with pytest.raises(jax.errors.JaxRuntimeError, match="out of memory"):
            compile_lowered(Refusing(), options)


@pytest.mark.parametrize("runs_once", [False, True])
def test_the_results_are_the_same(runs_once):
    def fn(x):
        return jnp.sum(jnp.log1p(jnp.exp(jnp.sin(x)))), lax.fori_loop(0, 5, lambda _, y: jnp.cos(y) / 2, x)

    x = np.linspace(-3, 3, 50, dtype=np.float32)
    programs = Programs()
    programs.prepare("fn", fn, (x,), runs_once=runs_once)
    for found, expected in zip(programs.get("fn")(x), jax.jit(fn)(x)):
        np.testing.assert_allclose(found, expected, rtol=3e-6, atol=1e-6)
