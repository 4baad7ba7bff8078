"""Value and gradient of a target, traced once for all programs that need it, and what a compiler should know about it."""

from dataclasses import dataclass, field
from typing import Any, Protocol

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.extend.core import Jaxpr

from ppl._programs.evaluation import IN_MANY_KERNELS, ROWS, entered, evaluate
from ppl._programs.jaxprs import equations, inner_jaxprs
from ppl._programs.sliced import MIN_LEFT_TO_LIBRARY, is_apart
from ppl._programs.spread import chooses_among_few
from ppl._programs.stored import worth_storing
from ppl._typing import Array
from ppl.infer.target.layout import Layout

__all__ = ["GradientTarget", "Packed", "elementary_operations", "pack", "value_and_gradient"]

MAX_PRODUCT = 64
MIN_CHOSEN = 4096  # elements of a choice between few values, for which a gradient is evaluated anew

# What one CPU kernel can hold, but for reductions that XLA leaves to a library, which it cannot call; anything else (a scatter,
# a matrix product, a loop, a call of LAPACK) is left to the compiler.
ELEMENTARY = frozenset(
    """abs add add_any and atan2 broadcast_in_dim ceil clamp concatenate convert_element_type copy copy_p cos cosh custom_jvp_call
    custom_vjp_call digamma div eq erf erf_inv erfc exp exp2 expand_dims expm1 floor ge gt integer_pow iota is_finite jit le lgamma
    log log1p logistic lt max min mul ne neg not or pad pjit pow reduce_and reduce_max reduce_min reduce_or reduce_sum rem reshape
    round rsqrt select_n sign sin sinh slice split sqrt square squeeze stack stop_gradient sub tan tanh unstack xor""".split()
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
    closed = _differentiated.trace(target, position).jaxpr
    if jax.default_backend() != "cpu":
        return _differentiated(target, position)
    kept = worth_storing(closed.jaxpr)
    if not kept and not _gains_when_evaluated(closed.jaxpr):
        return _differentiated(target, position)
    value, gradient = evaluate(closed, jax.tree.leaves((target, position)), IN_MANY_KERNELS, kept)
    return value, gradient


@jax.jit
def _differentiated(target: GradientTarget, position: Array) -> tuple[Array, Array]:
    if target.forward_mode:
        return target(position), jax.jacfwd(target)(position)
    return jax.value_and_grad(target)(position)


def _gains_when_evaluated(jaxpr: Jaxpr) -> bool:
    """Whether a program has operations that evaluation replaces or does less often."""
    return any(chooses_among_few(part.eqns, MIN_CHOSEN) or any(map(_is_apart, part.eqns)) for part in entered(jaxpr))


def _is_apart(equation: Any) -> bool:
    return equation.primitive.name in IN_MANY_KERNELS and is_apart(equation.invars[0].aval.shape, equation.params["axes"])


def elementary_operations(target: GradientTarget, *, with_gradient: bool = True) -> int | None:
    """Of how many elementary operations on short arrays value and gradient consist; None where one CPU kernel cannot hold them.

    Without gradient, those of the value, for which nothing is differentiated.
    """
    leaves = jax.tree.leaves(target)
    has_no_element = bool(leaves) and not any(leaf.size for leaf in leaves)
    if has_no_element or not all(_packable(leaf.dtype, target.layout.dtype) for leaf in leaves):
        return None
    layout: Layout = target.layout
    position = jax.ShapeDtypeStruct((layout.dimension,), layout.dtype)
    if with_gradient:
        closed = value_and_gradient.trace(target, position).jaxpr
    else:
        closed = jax.make_jaxpr(lambda target, position: target(position))(target, position)
    program = list(equations(closed.jaxpr))
    others = [equation for equation in program if not _is_elementary(equation)]
    if not all(equation.primitive.name in ROWS for equation in others):
        return None
    if others:
        replaced = jax.make_jaxpr(lambda *args: evaluate(closed, args, ROWS))(*closed.in_avals)
        if not all(map(_is_elementary, equations(replaced.jaxpr))):
            return None
    return sum(not any(inner_jaxprs(equation)) for equation in program)


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Packed:
    """A target whose arrays are one vector, taken apart where value and gradient are computed.

    One kernel with loops must not have an operand of which simplification leaves no use; of this vector some part is used.

    Attributes:
        vector: the arrays, integers bit by bit, in the type of the position.
        structure: the pytree of the target.
        arrays: shapes and types of its arrays.
        layout: that of the target.
    """

    vector: Array
    structure: Any = field(metadata={"static": True})
    arrays: tuple[jax.ShapeDtypeStruct, ...] = field(metadata={"static": True})
    layout: Any = field(metadata={"static": True})

    def unpack(self) -> GradientTarget:
        """The target."""
        parts = lax.split(self.vector, [array.size for array in self.arrays])
        leaves = [_from_bits(part, array.dtype).reshape(array.shape) for part, array in zip(parts, self.arrays)]
        return jax.tree.unflatten(self.structure, leaves)

    @property
    def forward_mode(self) -> bool:
        """Whether the gradient is made of directional derivatives."""
        return self.unpack().forward_mode

    def __call__(self, position: Array) -> Array:
        """The potential energy."""
        return self.unpack()(position) + _next_to_nothing(self.vector)

    def value_and_gradient(self, position: Array) -> tuple[Array, Array]:
        """The potential energy and its gradient."""
        value, gradient = value_and_gradient(self.unpack(), position)
        return value + _next_to_nothing(self.vector), gradient


def _next_to_nothing(vector: Array) -> Array:
    """Zero, or the least number for one first element of all: a use of the vector that no simplification takes away.

    There may be no other: a model may use its arrays for their shapes, or not at all.
    """
    bits = lax.bitcast_convert_type(lax.index_in_dim(vector, 0, keepdims=False), _integer_like(vector.dtype))
    info = jnp.finfo(vector.dtype)
    return jnp.where(bits == np.iinfo(bits.dtype).max, info.tiny, jnp.zeros((), vector.dtype))


def pack(target: GradientTarget) -> GradientTarget:
    """The target with its arrays as one vector."""
    leaves, structure = jax.tree.flatten(target)
    if not leaves:
        return target
    vector = lax.concatenate([_to_bits(leaf.reshape(-1), target.layout.dtype) for leaf in leaves], 0)
    return Packed(vector, structure, tuple(jax.ShapeDtypeStruct(leaf.shape, leaf.dtype) for leaf in leaves), target.layout)


def _packable(dtype: Any, carrier: Any) -> bool:
    """Whether numbers of a type go into numbers of another without loss: real, and no wider."""
    return np.dtype(dtype).kind in "iufb" and np.dtype(dtype).itemsize <= np.dtype(carrier).itemsize


def _integer_like(dtype: Any) -> np.dtype:
    return np.dtype(f"int{8 * np.dtype(dtype).itemsize}")


def _to_bits(x: Array, carrier: Any) -> Array:
    if jnp.issubdtype(x.dtype, jnp.floating):
        return x.astype(carrier)
    return lax.bitcast_convert_type(x.astype(_integer_like(carrier)), np.dtype(carrier))


def _from_bits(x: Array, dtype: Any) -> Array:
    if np.dtype(dtype).kind == "f":
        return x.astype(dtype)
    return lax.bitcast_convert_type(x, _integer_like(x.dtype)).astype(dtype)


def _is_elementary(equation: Any) -> bool:
    name = equation.primitive.name
    if name.startswith("reduce_") and equation.invars[0].aval.size >= MIN_LEFT_TO_LIBRARY:
        return False
    return name in ELEMENTARY or _is_small_product(equation)


def _is_small_product(equation: Any) -> bool:
    """Whether this is a matrix product of a few numbers."""
    sizes = [variable.aval.size for variable in (*equation.invars, *equation.outvars)]
    return equation.primitive.name == "dot_general" and max(sizes) <= MAX_PRODUCT
