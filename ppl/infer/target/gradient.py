"""Value and gradient of a target, traced once for all programs that need it, and what a compiler should know about it."""

from typing import Any, Protocol

import jax
import jax.extend.core
import jax.numpy as jnp

from ppl._typing import Array
from ppl.infer.target.layout import Layout

__all__ = ["GradientTarget", "is_small_and_smooth", "value_and_gradient"]

MAX_OPERATIONS = 350  # beyond, one kernel of everything takes long to compile, or exhausts memory
MAX_ELEMENTS = 100_000

# What one CPU kernel can hold; anything else (a scatter, a matrix product, a loop, a call of LAPACK) is left to the compiler.
ELEMENTARY = frozenset(
    """abs add add_any and atan2 broadcast_in_dim ceil clamp concatenate convert_element_type copy copy_p cos cosh custom_jvp_call
    custom_vjp_call digamma div eq erf erf_inv erfc exp exp2 expand_dims expm1 floor ge gt integer_pow iota is_finite jit le lgamma
    log log1p logistic lt max min mul ne neg not or pad pjit pow reduce_and reduce_max reduce_min reduce_or reduce_sum rem reshape
    round rsqrt select_n sign sin sinh slice split sqrt square squeeze stop_gradient sub tan tanh xor""".split()
)


class GradientTarget(Protocol):
    """A target of sampling whose gradient exists: a registered pytree."""

    @property
    def layout(self) -> Any:
        """Where the parts of a position lie; it has `dimension` and `dtype`."""

    @property
    def forward_mode(self) -> bool:
        """Whether the gradient is made of directional derivatives."""

    def __call__(self, position: Array) -> Array:
        """The potential energy."""

    def value_and_gradient(self, position: Array) -> tuple[Array, Array]:
        """The potential energy and its gradient."""


@jax.jit
def value_and_gradient(target: GradientTarget, position: Array) -> tuple[Array, Array]:
    """The potential energy at a position `(d,)`, and its gradient `(d,)`."""
    if target.forward_mode:
        return target(position), jax.jacfwd(target)(position)
    return jax.value_and_grad(target)(position)


def is_small_and_smooth(target: GradientTarget) -> bool:
    """Whether value and gradient are a few hundred elementary operations on short arrays: what one CPU kernel can hold."""
    if any(not jnp.issubdtype(leaf.dtype, jnp.floating) for leaf in jax.tree.leaves(target)):
        return False  # products of integers with 0 are simplified away, which small calls do not survive
    layout: Layout = target.layout
    position = jax.ShapeDtypeStruct((layout.dimension,), layout.dtype)
    operations = elements = 0
    pending = [value_and_gradient.trace(target, position).jaxpr.jaxpr]
    while pending:
        jaxpr = pending.pop()
        for equation in jaxpr.eqns:
            if equation.primitive.name not in ELEMENTARY:
                return False
            inner = [p for p in equation.params.values() if isinstance(p, jax.extend.core.ClosedJaxpr)]
            pending.extend(closed.jaxpr for closed in inner)
            operations += not inner
            elements += sum(v.aval.size for v in equation.outvars)
    return operations <= MAX_OPERATIONS and elements <= MAX_ELEMENTS
