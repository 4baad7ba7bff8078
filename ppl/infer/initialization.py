"""Strategies for start values: functions `site -> constrained value`, or None to leave a site to others.

Called without a site they return themselves with their options filled in, which is how options are passed:
`NUTS(model, init_strategy=init_to_value(values={"x": 1.0}))`.
"""

import warnings
from collections.abc import Mapping
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import random

from ppl._random import draw
from ppl._typing import Array, Key, Message
from ppl.distributions import biject_to
from ppl.infer.arguments import check_count
from ppl.infer.target.start import PositionStrategy
from ppl.util import find_stack_level, not_jax_tracer

__all__ = ["init_to_feasible", "init_to_mean", "init_to_median", "init_to_sample", "init_to_uniform", "init_to_value"]


def _is_open(site: Message, strategy: str) -> bool:
    """Whether a site wants a start value: latent, continuous, and without a value."""
    if site["type"] != "sample" or site["is_observed"] or site["fn"].is_discrete:
        return False
    if site["value"] is not None:
        warnings.warn(
            f"{strategy}: site {site['name']!r} has a value already, skipping initialization", stacklevel=find_stack_level()
        )
        return False
    return True


def _shape(site: Message) -> tuple[int, ...]:
    return site["fn"].shape(site["kwargs"]["sample_shape"])


class _Uniform(PositionStrategy):
    """Uniform on `[-radius, radius]` in the unconstrained space.

    Args:
        site: a site; None for the strategy with another radius.
        radius: half the width.

    Example:
        >>> from ppl.infer import init_to_uniform
        >>> strategy = init_to_uniform(radius=0.5)
    """

    def __init__(self, radius: float = 2.0) -> None:
        self.radius = radius

    def __call__(self, site: Message | None = None, radius: float | None = None) -> Any:
        radius = self.radius if radius is None else radius
        if not_jax_tracer(radius) and not 0 <= radius < float("inf"):
            raise ValueError(f"init_to_uniform: radius must be a number, at least 0; found {radius!r}")
        if site is None:
            return _Uniform(radius)
        if not _is_open(site, "init_to_uniform"):
            return None
        transform = biject_to(site["fn"].support)
        shape = transform.inverse_shape(_shape(site))
        if radius == 0:
            return transform(jnp.zeros(shape))
        return transform(random.uniform(site["kwargs"]["rng_key"], shape, minval=-radius, maxval=radius))

    def position(self, key: Key, attempt: Array, dimension: int, dtype: Any) -> Array:
        """All coordinates at once."""
        return self.radius * (2 * draw(key, dtype, uniforms=dimension, stage=attempt).uniforms - 1)


init_to_uniform = _Uniform()


def init_to_feasible(site: Message | None = None) -> Any:
    """The image of 0: a value inside the support, whatever the distribution."""
    return init_to_uniform(site, radius=0)


def _draws(site: Message, num_samples: int) -> Array | None:
    """Draws from the prior, `(num_samples, ...)`; None where the distribution has no sampler."""
    shape = (num_samples, *site["kwargs"]["sample_shape"])
    try:
        return site["fn"].sample(site["kwargs"]["rng_key"], shape)
    except NotImplementedError:
        return None


def init_to_sample(site: Message | None = None) -> Any:
    """A draw from the prior; where there is no sampler, uniform."""
    if site is None:
        return init_to_sample
    if not _is_open(site, "init_to_sample"):
        return None
    draws = _draws(site, 1)
    return init_to_uniform(site) if draws is None else draws[0]


def init_to_median(site: Message | None = None, num_samples: int = 15) -> Any:
    """The median of draws from the prior, element by element, brought back into the support; where there is no sampler, uniform."""
    check_count("init_to_median", "num_samples", num_samples)
    if site is None:
        return partial(init_to_median, num_samples=num_samples)
    if not _is_open(site, "init_to_median"):
        return None
    draws = _draws(site, num_samples)
    if draws is None:
        return init_to_uniform(site)
    # On the unconstrained space the median of vectors and matrices stays within the support.
    transform = biject_to(site["fn"].support)
    return transform(jnp.median(jax.vmap(transform.inv)(draws), axis=0))


def init_to_mean(site: Message | None = None) -> Any:
    """The mean of the prior; where there is none, or it lies on the boundary, the median of draws."""
    if site is None:
        return init_to_mean
    if not _is_open(site, "init_to_mean"):
        return None
    fn = site["fn"]
    try:
        mean = jnp.broadcast_to(fn.mean, _shape(site))
    except NotImplementedError:
        return init_to_median(site)
    median = init_to_median(site)
    axes = tuple(range(mean.ndim - fn.event_dim, mean.ndim))
    unconstrained = jnp.sum(biject_to(fn.support).inv(mean))
    is_inside = jnp.all(jnp.isfinite(mean), axis=axes, keepdims=True) & jnp.isfinite(unconstrained)
    return jnp.where(is_inside, mean, median)


def init_to_value(site: Message | None = None, values: Mapping[str, Any] | None = None) -> Any:
    """Given, constrained values of some sites; the others uniform.

    Args:
        site: the site; None for the strategy with these values.
        values: dict from names of sites to values.

    Raises:
        ValueError: if a value has the wrong shape.
        TypeError: if `values` is no dict.
    """
    values = {} if values is None else values
    if not isinstance(values, Mapping):
        raise TypeError(f"init_to_value: values must be a dict from names of sites to values, found {values!r}")
    if site is None:
        return partial(init_to_value, values=values)
    if site["type"] == "sample" and not site["is_observed"] and site["name"] in values:
        value = values[site["name"]]
        if np.shape(value) != _shape(site):
            raise ValueError(
                f"init_to_value: site {site['name']!r} has shape {_shape(site)}, found a value of shape {np.shape(value)}"
            )
        return jnp.asarray(value, jnp.result_type(float))
    return init_to_uniform(site)
