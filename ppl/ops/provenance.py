"""Which arguments each output of a function depends on."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
from jax.extend.core import Jaxpr, Literal

from ppl._programs.jaxprs import inner_jaxprs, scan_counts
from ppl._typing import PyTree

__all__ = ["eval_provenance"]

Names = frozenset[str]
_NONE: Names = frozenset()


def eval_provenance(fn: Callable[..., Any], **kwargs: Any) -> PyTree:
    """The names of the arguments that each output of `fn(**kwargs)` depends on, found without computing anything.

    Args:
        fn: a function that JAX can trace.
        **kwargs: its arguments: pytrees of arrays, or of their shapes and dtypes.

    Returns:
        A pytree like the output whose leaves are frozensets of names.

    Example:
        >>> import jax.numpy as jnp
        >>> eval_provenance(lambda x, y, z: {"a": x + y, "b": 2 * z}, x=1.0, y=2.0, z=3.0)["b"]
        frozenset({'z'})
    """
    leaves, tree = jax.tree.flatten(kwargs)
    names = [str(path[0].key) for path, _ in jax.tree_util.tree_flatten_with_path(kwargs)[0]]
    closed, shapes = jax.make_jaxpr(lambda *xs: fn(**jax.tree.unflatten(tree, xs)), return_shape=True)(*leaves)
    out = _propagate(closed.jaxpr, [frozenset((name,)) for name in names])
    return jax.tree.unflatten(jax.tree.structure(shapes), out)


def _union(sets: Sequence[Names]) -> Names:
    return _NONE.union(*sets)


def _propagate(jaxpr: Jaxpr, inputs: Sequence[Names]) -> list[Names]:
    """The dependencies of a program's outputs, given those of its inputs."""
    known: dict[Any, Names] = dict(zip(jaxpr.invars, inputs))

    def read(var: Any) -> Names:
        return _NONE if isinstance(var, Literal) else known.get(var, _NONE)

    for eqn in jaxpr.eqns:
        known.update(zip(eqn.outvars, _outputs(eqn, [read(var) for var in eqn.invars])))
    return [read(var) for var in jaxpr.outvars]


def _outputs(eqn: Any, inputs: list[Names]) -> list[Names]:
    """The dependencies of one equation's outputs: inside the programs that it calls, or all of its inputs for each."""
    params = eqn.params
    if eqn.primitive.name == "scan":
        first, second = scan_counts(eqn)
        return _loop(params["jaxpr"].jaxpr, inputs[:first], inputs[first : first + second], inputs[first + second :])
    if eqn.primitive.name == "while":
        c, b = params["cond_nconsts"], params["body_nconsts"]
        carry = _loop(params["body_jaxpr"].jaxpr, inputs[c : c + b], inputs[c + b :], [])
        (decides,) = _propagate(params["cond_jaxpr"].jaxpr, [*inputs[:c], *carry])
        return [names | decides for names in carry]
    if eqn.primitive.name == "cond":
        branches = [_propagate(branch.jaxpr, inputs[1:]) for branch in params["branches"]]
        return [_union(outs) | inputs[0] for outs in zip(*branches)]
    inner = next(inner_jaxprs(eqn), None)
    if inner is not None and len(inner.invars) == len(inputs) and len(inner.outvars) == len(eqn.outvars):
        return _propagate(inner, inputs)
    return [_union(inputs)] * len(eqn.outvars)


def _loop(body: Jaxpr, consts: list[Names], carry: list[Names], xs: list[Names]) -> list[Names]:
    """The dependencies after any number of steps of a loop: a fixed point of its body."""
    while True:
        out = _propagate(body, [*consts, *carry, *xs])
        merged = [old | new for old, new in zip(carry, out)]
        if merged == carry:
            return [*carry, *out[len(carry) :]]
        carry = merged
