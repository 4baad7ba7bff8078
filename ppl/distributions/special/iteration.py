"""Series and continued fractions, iterated until they converge, with derivatives in forward mode."""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jax.custom_derivatives import SymbolicZero

from ppl._typing import Array

MAX_TERMS = 20_000
State = tuple[Array, ...]
Step = Callable[[Array, tuple[Array, ...], State], State]


def _where(active: Array, new: Any, old: Any) -> Any:
    return jax.tree.map(lambda a, b: jnp.where(active, a, b), new, old)


def _run(step: Step, params: tuple[Array, ...], state: State) -> tuple[Array, State]:
    """The number of steps of each element, and the states; elements that have converged rest, lest rounding errors add up."""
    tolerance = 4 * float(jnp.finfo(params[0].dtype).eps)  # above the rounding error of a relative change

    def unfinished(loop: tuple[Array, Array, State]) -> Array:
        n, _, state = loop
        return jnp.any(jnp.abs(state[-1]) > tolerance) & (n < MAX_TERMS)

    def advance(loop: tuple[Array, Array, State]) -> tuple[Array, Array, State]:
        n, count, state = loop
        active = jnp.abs(state[-1]) > tolerance
        state = _where(active, step(n.astype(params[0].dtype), params, state), state)
        return n + 1, jnp.where(active, n, count), state

    first = (jnp.int32(1), jnp.zeros(params[0].shape, jnp.int32), state)
    return lax.while_loop(unfinished, advance, first)[1:]


def _run_tangent(step: Step, start: Callable[..., State], params: tuple[Array, ...], i: int, count: Array) -> State:
    """The tangent of the state after `count` steps along parameter `i`."""

    def with_parameter(p: Array) -> tuple[Array, ...]:
        return (*params[:i], p, *params[i + 1 :])

    def advance(loop: tuple[Array, State, State]) -> tuple[Array, State, State]:
        n, state, tangent = loop
        m = n.astype(params[i].dtype)
        out = jax.jvp(lambda p, s: step(m, with_parameter(p), s), (params[i], state), (one, tangent))
        return n + 1, *_where(n <= count, out, (state, tangent))

    one = jnp.ones_like(params[i])
    first = jax.jvp(lambda p: start(*with_parameter(p)), (params[i],), (one,))
    return lax.while_loop(lambda loop: jnp.any(loop[0] <= count), advance, (jnp.int32(1), *first))[2]


@partial(jax.custom_jvp, nondiff_argnums=(0, 1))
def iterate(step: Step, start: Callable[..., State], params: tuple[Array, ...]) -> Array:
    """The last but one entry of `state = step(n, params, state)`, n = 1, 2, ..., once the last, a relative change, is negligible.

    The derivative takes over twice as many steps: where a fraction terminates (at integer parameters), its derivative does not.
    """
    return _run(step, params, start(*params))[1][-2]


def _iterate_jvp(step: Step, start: Callable[..., State], primals: Any, tangents: Any) -> tuple[Array, Array]:
    (params,), (d_params,) = primals, tangents
    n, state = _run(step, params, start(*params))
    out = state[-2]
    d_out = jnp.zeros_like(out)
    for i, d in enumerate(d_params):
        if not isinstance(d, SymbolicZero):
            d_out = d_out + _run_tangent(step, start, params, i, 2 * n + 60)[-2] * d
    return out, d_out


iterate.defjvp(_iterate_jvp, symbolic_zeros=True)
