"""The distribution of a site over all steps of a loop."""
# ruff: noqa: D102  (members are described by `Distribution`)

from collections.abc import Callable
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from jax import random

from ppl._typing import Array, ArrayLike, Key, Shape
from ppl.distributions import constraints
from ppl.distributions.constraints import Constraint
from ppl.distributions.distribution import Distribution


class StackedDistribution(Distribution):
    """Independent distributions of one family along a new leftmost batch dimension, one for each step of a loop.

    Args:
        base_dist: a distribution whose every array has a leading dimension of size `length`, or of size 1 if it is the same in all
            steps; its shapes are those of one step.
        length: the number of steps.
        step_ndim: the number of dimensions of the value of one step, where that is not the one of `base_dist`: values with one more
            have time as their first dimension.
    """

    arg_constraints: ClassVar[dict[str, Constraint]] = {}
    pytree_data_fields: ClassVar[tuple[str, ...]] = ("base_dist",)
    pytree_aux_fields = ("length", "step_ndim")

    def __init__(
        self, base_dist: Distribution, length: int, step_ndim: int | None = None, *, validate_args: bool | None = False
    ) -> None:
        self.base_dist = base_dist
        self.length = length
        self.step_ndim = step_ndim
        super().__init__((length, *base_dist.batch_shape), base_dist.event_shape, validate_args=validate_args)

    def __getattr__(self, name: str) -> Any:
        """A parameter of the family, with time as its first dimension (of size 1 if it is the same in all steps)."""
        base = self.__dict__.get("base_dist")
        if base is not None and name in base.arg_constraints:
            return getattr(base, name)
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    def _each(self, fn: Callable[..., Any], *args: Any, in_axes: tuple[Any, ...] = (), out_axes: int = 0) -> Any:
        """`fn(d, *args)` for the distribution `d` of every step; once, with an axis of size 1, if it is the same in all."""
        leaves, structure = jax.tree.flatten(self.base_dist)
        varies = [np.shape(leaf)[0] == self.length for leaf in leaves]
        leaves = [leaf if moves else jnp.squeeze(leaf, 0) for leaf, moves in zip(leaves, varies)]
        axes = [0 if moves else None for moves in varies]
        if not any(varies) and all(axis is None for axis in in_axes):
            out = fn(jax.tree.unflatten(structure, leaves), *args)
            return jax.tree.map(lambda x: jnp.expand_dims(x, out_axes), out)
        mapped = jax.vmap(lambda d, *rest: fn(jax.tree.unflatten(structure, d), *rest), in_axes=(axes, *in_axes), out_axes=out_axes)
        return mapped(leaves, *args)

    @constraints.dependent_property
    def support(self) -> Constraint:
        """The support of one step; bounds that depend on the step are stacked."""
        one = self.base_dist.support
        if not jax.tree.leaves(one):
            return one
        rank = len(self.base_dist.shape())

        def align(x: Any) -> Array:
            return jnp.reshape(x, np.shape(x)[:1] + (1,) * (rank - (np.ndim(x) - 1)) + np.shape(x)[1:])

        return jax.tree.map(align, self._each(lambda d: d.support))

    @property
    def is_discrete(self) -> bool:
        return self.base_dist.is_discrete

    @property
    def has_rsample(self) -> bool:
        return self.base_dist.has_rsample

    @property
    def has_enumerate_support(self) -> bool:
        return self.base_dist.has_enumerate_support

    def sample(self, key: Key, sample_shape: Shape = ()) -> Array:
        return self._each(
            lambda d, k: d.sample(k, sample_shape), random.split(key, self.length), in_axes=(0,), out_axes=len(sample_shape)
        )

    def log_prob(self, value: ArrayLike, intermediates: Any = None) -> Array:
        time = -1 - len(self.base_dist.batch_shape)
        rank = len(self.shape())
        value = jnp.asarray(value)
        if self.step_ndim is not None and value.ndim == self.step_ndim + 1:
            moves = value.shape[0] == self.length
            return self._each(
                lambda d, x: d.log_prob(x),
                value if moves else jnp.squeeze(value, 0),
                in_axes=(0 if moves else None,),
                out_axes=time,
            )
        if value.ndim < rank or value.shape[value.ndim - rank] == 1 != self.length:
            value = jnp.broadcast_to(value, np.broadcast_shapes(value.shape, (self.length,) + (1,) * (rank - 1)))
        return self._each(lambda d, x: d.log_prob(x), value, in_axes=(time - self.event_dim,), out_axes=time)

    @property
    def mean(self) -> Array:
        return self._each(lambda d: d.mean)

    @property
    def variance(self) -> Array:
        return self._each(lambda d: d.variance)

    def enumerate_support(self, expand: bool = True) -> Array:
        values = self._each(lambda d: d.enumerate_support(expand=expand), out_axes=1)
        return values if expand else values[:, :1]
