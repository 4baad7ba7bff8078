"""Distributions, transforms and constraints under `jax.vmap`: which of their leaves are mapped, and the batch shape afterwards."""

from copy import copy
from functools import singledispatch
from typing import Any

import jax
import numpy as np

from ppl._typing import Shape
from ppl.distributions.copula import GaussianCopula, GaussianCopulaBeta
from ppl.distributions.directional.torus import SineSkewed
from ppl.distributions.distribution import (
    Delta,
    Distribution,
    ExpandedDistribution,
    ImproperUniform,
    Independent,
    MaskedDistribution,
    TransformedDistribution,
)
from ppl.distributions.structure import Structure
from ppl.distributions.util import as_operand


def _check_names(value: Any, fields: tuple[str, ...], axes: dict[str, Any]) -> None:
    unknown = sorted(set(axes) - set(fields))
    if unknown:
        raise TypeError(f"{type(value).__name__} has no leaves {unknown} to map over; it has {sorted(fields)}")


@singledispatch
def vmap_over(d: Any, **axes: Any) -> Any:
    """The object that says over which axes of the leaves of `d` to map, for `in_axes` and `out_axes` of `jax.vmap`.

    Args:
        d: a distribution, transform or constraint.
        **axes: the axis of each mapped leaf, or for a part of `d` its own `vmap_over(part, ...)`; other leaves are not mapped.

    Raises:
        TypeError: if `d` has no such leaf.

    Example:
        >>> import jax, numpy as np
        >>> from ppl.distributions import Delta, vmap_over
        >>> d = Delta(np.arange(3.0))
        >>> jax.vmap(lambda d: d.log_prob(1.0), in_axes=(vmap_over(d, v=0),))(d)
        Array([-inf,   0., -inf], dtype=float32)
    """
    raise NotImplementedError(f"vmap_over is not defined for {type(d).__name__}; register it with vmap_over.register")


@vmap_over.register
def _vmap_over_structure(d: Structure, **axes: Any) -> Any:
    children, (names, _) = d.tree_flatten()
    _check_names(d, tuple(names), axes)
    spec = copy(d) if children else d
    for name in names:
        spec.__dict__[name] = axes.get(name)
    return spec


@vmap_over.register
def _vmap_over_distribution(d: Distribution, **axes: Any) -> Any:
    fields = tuple(name for name in type(d).gather_pytree_data_fields() if name in d.__dict__)
    _check_names(d, fields, axes)
    own = {name: d.__dict__[name] for name in d.arg_constraints if name in d.__dict__}

    def axis_of(path: Any, leaf: Any) -> Any:
        """A parameter may also sit in a part of d, as `loc` of a LogNormal does in its base distribution."""
        name = getattr(path[-1], "name", None)
        if name in own and own[name] is leaf:
            return axes.get(name)
        holders = [name for name, value in own.items() if value is leaf]
        return axes.get(holders[0]) if len(holders) == 1 else None

    spec = copy(d)
    for name in fields:
        part = d.__dict__[name]
        spec.__dict__[name] = axes.get(name) if name in axes or name in own else jax.tree_util.tree_map_with_path(axis_of, part)
    return spec


def _batch_of(leaf: Any, event_dim: int) -> Shape:
    shape = np.shape(leaf)
    return shape[: len(shape) - event_dim]


def _spread(leaf: Any, batch: Shape, k: int, gap: int) -> Any:
    """`leaf` with `gap` axes of size 1 after its first `k` axes, without compiling anything for a concrete one."""
    leaf = as_operand(leaf)
    return leaf.reshape(batch[:k] + (1,) * gap + np.shape(leaf)[k:])


def _event_dim_of(d: Distribution, name: str) -> int:
    try:
        return d.arg_constraints[name].event_dim
    except NotImplementedError:
        return 0


def _promote_parameters(d: Distribution, event_dims: dict[str, int], also: Shape = ()) -> Distribution:
    """A copy of `d` whose batch shape is that of its parameters, with axes of 1 where mapped parameters had fewer axes inside.

    The batch shape of something else that `d` is made of is counted in as `also`.
    """
    inner = len(d.batch_shape)
    batches = {name: _batch_of(d.__dict__[name], n) for name, n in event_dims.items() if name in d.__dict__}
    if not batches:
        return d
    lead = max(also, *batches.values(), key=len)
    k = max(len(lead) - inner, 0)
    out = copy(d)
    for name, batch in batches.items():
        gap = inner + k - len(batch)
        if k and gap and len(batch) >= k and batch[:k] == lead[:k]:
            out.__dict__[name] = _spread(d.__dict__[name], batch, k, gap)
    shapes = [_batch_of(out.__dict__[name], event_dims[name]) for name in batches]
    out._batch_shape = np.broadcast_shapes((1,) * k + d.batch_shape, also, *shapes)
    return out


@singledispatch
def promote_batch_shape(d: Distribution) -> Distribution:
    """`d` as it came out of `jax.vmap`, whose batch shape is the one from inside, with the batch shape of its parameters.

    The argument stays as it is.
    """
    fields = [name for name in type(d).gather_pytree_data_fields() if name in d.__dict__]
    out = _promote_parameters(d, {name: _event_dim_of(d, name) for name in fields if name in d.arg_constraints})
    lead = out.batch_shape[: len(out.batch_shape) - len(d.batch_shape)]
    for name in fields:
        # Distributions inside d, such as the components of a mixture, may have been mapped too.
        inner = jax.tree_util.tree_leaves(d.__dict__[name], is_leaf=_is_distribution)
        if not any(_is_distribution(part) for part in inner):
            continue
        promote = jax.tree_util.tree_map(
            lambda part: promote_batch_shape(part) if _is_distribution(part) else part, d.__dict__[name], is_leaf=_is_distribution
        )
        for old, new in zip(inner, jax.tree_util.tree_leaves(promote, is_leaf=_is_distribution)):
            if _is_distribution(old):
                lead = max(lead, new.batch_shape[: len(new.batch_shape) - len(old.batch_shape)], key=len)
        out = copy(out)
        out.__dict__[name] = promote
    if lead and len(out.batch_shape) == len(d.batch_shape):
        out._batch_shape = lead + d.batch_shape
    return out


def _is_distribution(x: Any) -> bool:
    return isinstance(x, Distribution)


@promote_batch_shape.register
def _promote_delta(d: Delta) -> Distribution:
    return _promote_parameters(d, {"v": d.event_dim, "log_density": 0})


CORRELATIONS = {"correlation_matrix": 2, "correlation_cholesky": 2}


@promote_batch_shape.register
def _promote_copula(d: GaussianCopula) -> Distribution:
    marginal = promote_batch_shape(d.marginal_dist)
    out: Any = _promote_parameters(d, CORRELATIONS, marginal.batch_shape[:-1])
    out.marginal_dist = marginal
    return out


@promote_batch_shape.register
def _promote_copula_beta(d: GaussianCopulaBeta) -> Distribution:
    return _promote_parameters(d, {"concentration1": 1, "concentration0": 1, **CORRELATIONS})


@promote_batch_shape.register
def _promote_skewed(d: SineSkewed) -> Distribution:
    base = promote_batch_shape(d.base_dist)
    out: Any = _promote_parameters(d, {"skewness": 1}, base.batch_shape)
    out.base_dist = base
    return out


@promote_batch_shape.register
def _promote_improper(d: ImproperUniform) -> Distribution:
    return d


def _with_base(d: Any, base: Distribution, batch_shape: Shape) -> Any:
    out = copy(d)
    out.base_dist = base
    out._batch_shape = batch_shape
    return out


@promote_batch_shape.register
def _promote_independent(d: Independent) -> Distribution:
    base = promote_batch_shape(d.base_dist)
    return _with_base(d, base, base.batch_shape[: len(base.batch_shape) - d.reinterpreted_batch_ndims])


def _spread_all(d: Distribution, lead: Shape, gap: int) -> Distribution:
    """`d` with `gap` axes of size 1 after the mapped axes `lead` of its leaves and of the distributions inside it."""
    k = len(lead)

    def spread(part: Any) -> Any:
        if _is_distribution(part):
            return _spread_all(part, lead, gap)
        shape = np.shape(part)
        return _spread(part, shape, k, gap) if shape[:k] == lead else part

    out = copy(d)
    for name in type(d).gather_pytree_data_fields():
        if name in d.__dict__:
            out.__dict__[name] = jax.tree_util.tree_map(spread, d.__dict__[name], is_leaf=_is_distribution)
    if d.batch_shape[:k] == lead:
        out._batch_shape = lead + (1,) * gap + d.batch_shape[k:]
    return out


@promote_batch_shape.register
def _promote_expanded(d: ExpandedDistribution) -> Distribution:
    base = promote_batch_shape(d.base_dist)
    k = len(base.batch_shape) - len(d.base_dist.batch_shape)
    if not k:
        return d
    lead, gap = base.batch_shape[:k], len(d.batch_shape) - len(d.base_dist.batch_shape)
    if gap:
        base = _spread_all(base, lead, gap)  # the expanded axes lie to the right of the mapped ones
    return _with_base(d, base, lead + d.batch_shape)


@promote_batch_shape.register
def _promote_masked(d: MaskedDistribution) -> Distribution:
    base = promote_batch_shape(d.base_dist)
    return _with_base(d, base, np.broadcast_shapes(base.batch_shape, np.shape(d._mask)))


@promote_batch_shape.register
def _promote_transformed(d: TransformedDistribution) -> Distribution:
    base = promote_batch_shape(d.base_dist)
    own = {name: _event_dim_of(d, name) for name in d.arg_constraints if name in d.__dict__}
    promoted = _promote_parameters(d, own) if own else d
    shape = base.shape()
    for transform in d.transforms:
        shape = transform.forward_shape(shape)
    return _with_base(promoted, base, shape[: len(shape) - d.event_dim])
