"""The target of sampling: the posterior of a bound model's latent sites as a function of a flat, unconstrained position."""

import operator
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import reduce
from typing import Any, Self

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax, random

from ppl import handlers
from ppl._typing import Array, Key, Message, Trace
from ppl.distributions import biject_to
from ppl.handlers.enumeration import GiveStates
from ppl.handlers.values import Lookup
from ppl.infer.target.enumeration import discrete_values, enumerated_log_density
from ppl.infer.target.gradient import value_and_gradient
from ppl.infer.target.layout import Layout
from ppl.infer.target.model import BoundModel, is_identity
from ppl.stack import Step, acts_inside
from ppl.trace import deterministic_sites, latent_sites, log_density

__all__ = ["Target", "Unconstrain", "bound_trace"]


class Unconstrain(Lookup):
    """Gives latent sites the images of unconstrained values under the bijections to their supports, and keeps the log Jacobians.

    Within a loop a site takes the part of its step; the log Jacobians of all steps are taken when the site comes out of the loop.
    """

    def __init__(self, values: Mapping[str, Array]) -> None:
        self.values = values
        self.log_jacobians: list[Array] = []
        super().__init__()

    def inside(self, step: Step | None) -> Self:
        """The same handler around the body of a loop or a branch; its log Jacobians belong to the body, and are dropped."""
        inner = super().inside(step)
        inner.log_jacobians = []
        return inner

    def process_message(self, msg: Message) -> None:
        """Map the value of a latent site."""
        comes_out = acts_inside(msg, self.inside)
        if msg["type"] != "sample" or msg["is_observed"] or msg["name"] not in self.values:
            return
        unconstrained = self.of_step(msg, self.values[msg["name"]])
        transform = biject_to(msg["fn"].support)
        inner = None
        if not comes_out:
            msg["value"], inner = transform.call_with_intermediates(unconstrained)
        self.log_jacobians.append(transform.log_abs_det_jacobian(unconstrained, msg["value"], inner))


def _check_start(site: Message) -> None:
    """Check the value that a strategy gave to a site.

    Raises:
        TypeError: if it is no number or array of numbers.
        ValueError: if it has not the shape of the site.
    """
    value, expected = site["value"], site["fn"].shape(site["kwargs"]["sample_shape"])
    if not isinstance(value, jax.Array) and np.asarray(value).dtype.kind not in "biufV":
        raise TypeError(f"site {site['name']!r}: init_strategy gave {value!r} of type {type(value).__name__}, expected numbers")
    if np.shape(value) != expected:
        raise ValueError(
            f"site {site['name']!r}: the start of shape {np.shape(value)} has not the shape of the site, {expected}; let "
            "init_strategy return one value for every element"
        )


def _total(terms: list[Array]) -> Array | float:
    """The sum over all entries of all terms."""
    sums = [lax.reduce_sum(term, tuple(range(term.ndim))) if jnp.ndim(term) else term for term in terms]
    return reduce(operator.add, sums) if sums else 0.0


def bound_trace(
    model: BoundModel,
    arrays: tuple[Any, ...],
    unconstrained: Mapping[str, Array],
    given: Mapping[str, Any],
    *,
    enumerate: bool = False,
) -> tuple[Trace, Array | float]:
    """The trace of a model with unconstrained values of its latent sites, and the sum of the log Jacobians.

    Values in `given` are constrained, and have no Jacobian. With `enumerate`, discrete sites without a value are enumerated.
    """
    run = model.enumerated_trace if enumerate and model.facts.enumerated else model.trace
    values: dict[str, Any] = dict(given)
    moving: dict[str, Array] = {}
    log_jacobians: list[Array] = []
    for site in model.facts.latents:
        if site.name not in unconstrained:
            continue
        z = unconstrained[site.name]
        if site.transform is None:
            moving[site.name] = z
            continue
        if is_identity(site.transform):
            values[site.name] = z
            continue
        values[site.name], inner = site.transform.call_with_intermediates(z)
        log_jacobians.append(site.transform.log_abs_det_jacobian(z, values[site.name], inner))
    if not moving:
        return run(arrays, handlers.substitute(data=values)), _total(log_jacobians)
    unconstrain = Unconstrain(moving)
    sites = run(arrays, handlers.substitute(data=values), unconstrain)
    for name in moving:
        _check_moving(sites[name], model)
    return sites, _total(log_jacobians + unconstrain.log_jacobians)


def _states(sites: Trace, values: Mapping[str, Array]) -> dict[str, Array]:
    """A draw of the enumerated sites. It is a function of the values of the others: their bits are the random key."""
    return discrete_values(sites, _key_of(values))


def _key_of(values: Mapping[str, Array]) -> Key:
    parts = [jnp.ravel(jnp.asarray(values[name], jnp.float32)) for name in sorted(values)]
    bits = lax.bitcast_convert_type(jnp.concatenate([jnp.zeros(1, jnp.float32), *parts]), jnp.uint32)
    odd = 2 * jnp.arange(bits.size, dtype=jnp.uint32) + 1
    mixed = bits ^ (bits >> 15)
    first, second = jnp.sum(mixed * odd * np.uint32(0x9E3779B1)), jnp.sum((bits ^ (bits >> 13)) * odd * odd * np.uint32(0x85EBCA77))
    return random.fold_in(random.fold_in(random.key(0), first), second)


def _check_moving(site: Message, model: BoundModel) -> None:
    """Check that the support of a continuous site does not depend on an enumerated one."""
    (expected,) = (latent.shape for latent in model.facts.latents if latent.name == site["name"])
    if np.shape(site["value"]) != expected:
        raise ValueError(
            f"site {site['name']!r}: its support depends on an enumerated site, so that its values differ between states and the "
            "states cannot be summed out; give it a fixed support, such as a scaled or truncated value computed from one"
        )


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Target:
    """The unnormalised posterior of the sites in `layout`, everything else fixed.

    A pytree: other data, or other values of the given sites, are the same target with other arrays.

    Attributes:
        arrays: the model's array arguments.
        fixed: constrained values of sites that are not in the layout.
        model: the bound model.
        layout: the sites of the position.
        forward_mode: whether the gradient is made of directional derivatives (works through loops that reverse mode refuses).
    """

    arrays: tuple[Any, ...]
    fixed: dict[str, Array]
    model: BoundModel = field(metadata={"static": True})
    layout: Layout = field(metadata={"static": True})
    forward_mode: bool = field(default=False, metadata={"static": True})

    def __call__(self, position: Array) -> Array:
        """The potential energy: minus the log density on the unconstrained space, a scalar."""
        sites, log_jacobian = bound_trace(self.model, self.arrays, self.layout.unravel(position), self.fixed, enumerate=True)
        density = enumerated_log_density(sites) if self.model.facts.enumerated else log_density(sites)
        return jnp.asarray(-(density + log_jacobian), self.layout.dtype)

    def value_and_gradient(self, position: Array) -> tuple[Array, Array]:
        """The potential energy and its gradient `(d,)`."""
        return value_and_gradient(self, position)

    def constrain(self, position: Array, *, deterministic: bool = True) -> dict[str, Array]:
        """The values of the latent sites at a position, and of the deterministic ones."""
        facts = self.model.facts
        names = set(self.layout.names)
        unconstrained = self.layout.unravel(position)
        if (not deterministic or not facts.deterministics) and all(site.transform is not None for site in facts.latents):
            moved = {s.name: s.transform(unconstrained[s.name]) for s in facts.latents if s.name in names}  # type: ignore[misc]
            return moved | {name: value for name, value in self.fixed.items() if not self._is_plate(name)}
        if facts.enumerated and deterministic and facts.deterministics:
            sites = self.discrete_trace(unconstrained)
        else:
            sites, _ = bound_trace(self.model, self.arrays, unconstrained, self.fixed)
        kept = latent_sites(sites).keys() - (facts.enumerated.keys() - self.fixed.keys())
        kept |= deterministic_sites(sites).keys() if deterministic else set()
        return {name: jnp.asarray(sites[name]["value"]) for name in sites if name in kept}

    def _is_plate(self, name: str) -> bool:
        apart = self.model.facts.apart
        return name in apart and apart[name].is_plate

    def discrete_trace(self, unconstrained: Mapping[str, Array]) -> Trace:
        """The trace with the enumerated sites drawn from their joint posterior, given the others."""
        sites, _ = bound_trace(self.model, self.arrays, unconstrained, self.fixed, enumerate=True)
        values = {name: sites[name]["value"] for name in unconstrained}
        given = {name: value for name, value in self.fixed.items() if not self._is_plate(name)}
        states = GiveStates(_states(sites, given | values))
        return self.model.trace(self.arrays, states, handlers.substitute(data=self.fixed | values))

    def discrete(self, values: Mapping[str, Array]) -> dict[str, Array]:
        """The enumerated sites as `discrete_trace` draws them, given constrained values of all others."""
        given = handlers.substitute(data={**self.fixed, **values})
        found = _states(self.model.enumerated_trace(self.arrays, given), values)
        sites = self.model.trace(self.arrays, GiveStates(found), given)
        return {name: sites[name]["value"] for name in found}

    def unconstrain(self, values: Mapping[str, Array]) -> Array:
        """The position of constrained values of the sites in the layout."""
        return self.unconstrain_trace(self.model.trace(self.arrays, handlers.substitute(data={**self.fixed, **values})))

    def unconstrain_trace(self, sites: Trace) -> Array:
        """The position of the values in a trace."""
        inverse = {}
        for name in self.layout.names:
            _check_start(sites[name])
            inverse[name] = biject_to(sites[name]["fn"].support).inv(sites[name]["value"])
        return self.layout.ravel(inverse)

    def given(self, values: Mapping[str, Array]) -> "Target":
        """The target with these sites fixed at constrained values; they leave the layout."""
        shapes = {slot.name: slot.shape for slot in self.layout.slots if slot.name not in values}
        order = [name for name in self.layout.names if name not in values]
        layout = Layout.of(shapes, self.layout.dtype, order)
        return replace(self, fixed={**self.fixed, **values}, layout=layout)
