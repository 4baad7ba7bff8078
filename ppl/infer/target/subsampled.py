"""The log likelihood of subsampled plates, estimated from the subsample and a Taylor expansion of the whole.

With l_i the log likelihood of element i of a plate of n, q_i its expansion about reference values, and m indices u drawn with
replacement, `sum_i q_i + n mean_j (l_u - q_u)` estimates the log likelihood without bias, and `n^2 / m var_j (l_u - q_u)` its
variance; half of the variance is taken off, so that the exponential of the estimate has little bias.

Source: Dang, Quiroz, Kohn, Tran, Villani (2019), "Hamiltonian Monte Carlo with energy conserving subsampling", JMLR 20, sections 2
and 3; Quiroz, Kohn, Villani, Tran (2019), JASA 114, section 3.
"""

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from ppl._typing import Array, Message, Trace
from ppl.handlers.enumeration import is_marked
from ppl.infer.target.density import Target, bound_trace
from ppl.trace import sample_sites, site_log_prob, subsampled_plates

__all__ = [
    "Estimate",
    "EstimatedTarget",
    "Expansion",
    "Subsample",
    "expand",
    "log_likelihoods",
    "subsamples",
    "variance_of_total",
]


class Subsample(NamedTuple):
    """A subsampled plate: its size n, the number of indices m, and the observed sites inside."""

    size: int
    num_indices: int
    sites: tuple[str, ...]


def subsamples(sites: Trace) -> dict[str, Subsample]:
    """The subsampled plates of a trace.

    Raises:
        RuntimeError: if an observed site lies in two of them.
        ValueError: if a latent site that is not enumerated lies in one, or no observed one; for a plate in a loop.
    """
    plates = subsampled_plates(sites)
    for name, site in plates.items():
        if np.ndim(site["value"]) > 1:
            raise ValueError(
                f"plate {name!r} is subsampled in each step of a loop anew, which is not supported: give the plate to the model "
                "outside of scan, with time as a dimension of the event, or drop subsample_size"
            )
    inside: dict[str, list[str]] = {name: [] for name in plates}
    for name, site in sample_sites(sites).items():
        around = [frame.name for frame in site["cond_indep_stack"] if frame.name in plates]
        if not around or is_marked(site):
            continue
        if not site["is_observed"]:
            raise ValueError(
                f"site {name!r} is latent and lies in the subsampled plate {around[0]!r}: it would belong to other data whenever "
                "the indices change; sum it out, with infer={'enumerate': 'parallel'} if it is discrete, or sample all of the plate"
            )
        if len(around) > 1:
            raise RuntimeError(
                f"site {name!r} lies in the subsampled plates {around}; its log likelihood can be estimated for one: subsample one"
            )
        inside[around[0]].append(name)
    for name, own in inside.items():
        if not own:
            raise ValueError(
                f"plate {name!r} is subsampled, but no observed site lies in it, so that the log likelihood does not follow its "
                "indices; put the site that sees them into the plate, or drop subsample_size"
            )
    return {
        name: Subsample(int(site["args"][0]), int(np.shape(site["value"])[0]), tuple(inside[name])) for name, site in plates.items()
    }


def _of_elements(site: Message, plate: str) -> Array:
    """The log likelihood of a site for each element of a plate, `(m,)`, without the scale of the subsample."""
    (frame,) = (frame for frame in site["cond_indep_stack"] if frame.name == plate)
    log_prob = site_log_prob(site)
    shape = (*site["kwargs"]["sample_shape"], *site["fn"].batch_shape)
    log_prob = jnp.broadcast_to(log_prob, np.broadcast_shapes(log_prob.shape, shape))
    axis = log_prob.ndim + frame.dim
    return jnp.sum(log_prob, axis=tuple(i for i in range(log_prob.ndim) if i != axis))


def log_likelihoods(sites: Trace, plates: Mapping[str, Subsample]) -> dict[str, Array]:
    """Of each subsampled plate, the log likelihood of the elements in the subsample, `(m,)`."""
    found = {}
    for name, plate in plates.items():
        scale = plate.size / np.shape(sites[name]["value"])[0]
        found[name] = sum((_of_elements(sites[site], name) for site in plate.sites), jnp.zeros(())) / scale
    return found


class Expansion(NamedTuple):
    """The expansion of the log likelihood of all elements of a plate about a position.

    Attributes:
        position: the reference, `(d,)`.
        value: of the sum, a scalar.
        gradient: `(d,)`.
        hessian: `(d, d)`; None for an expansion of first order.
    """

    position: Array
    value: Array
    gradient: Array
    hessian: Array | None

    def total(self, position: Array) -> Array:
        """The expansion of the sum at a position."""
        step = position - self.position
        total = self.value + jnp.dot(self.gradient, step)
        return total if self.hessian is None else total + 0.5 * jnp.dot(step, self.hessian @ step)


class Estimate(NamedTuple):
    """A potential energy, and the variance of the estimated log likelihood in it."""

    energy: Array
    variance: Array


def variance_of_total(plate: Subsample, values: Array) -> Array:
    """The variance of an estimate of the sum over a plate, from the values at m indices drawn with replacement."""
    return float(plate.size) ** 2 * jnp.var(values) / values.shape[0]


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class EstimatedTarget(Target):
    """A target whose log likelihood in subsampled plates is estimated.

    Attributes:
        expansions: of each subsampled plate.
        plates: the subsampled plates.
    """

    expansions: dict[str, Expansion] = field(default_factory=dict)
    plates: Any = field(default=(), metadata={"static": True})

    def __call__(self, position: Array) -> Array:
        """The potential energy: minus the estimate of the log density on the unconstrained space, a scalar."""
        return self.estimate(position).energy

    def estimate(self, position: Array) -> Estimate:
        """The potential energy, and the variance of the estimated log likelihood."""
        sites, log_jacobian = bound_trace(self.model, self.arrays, self.layout.unravel(position), self.fixed)
        plates = dict(self.plates)
        estimated = {name for plate in plates.values() for name in plate.sites}
        density, variance = jnp.asarray(log_jacobian, self.layout.dtype), jnp.zeros((), self.layout.dtype)
        for name, site in sample_sites(sites).items():
            if name not in estimated:
                density = density + jnp.sum(site_log_prob(site))
        found = log_likelihoods(sites, plates)
        for name, plate in plates.items():
            differences = found[name] - self._expanded(name, position)
            density = density + self.expansions[name].total(position) + plate.size * jnp.mean(differences)
            variance = variance + variance_of_total(plate, differences)
        return Estimate(jnp.asarray(0.5 * variance - density, self.layout.dtype), variance)

    def _expanded(self, name: str, position: Array) -> Array:
        """The expansions of the elements in the subsample, `(m,)`, by derivatives along the way from the reference."""
        expansion = self.expansions[name]
        step = position - expansion.position
        of_elements = partial(_log_likelihoods_at, self, name)

        def slope(at: Array) -> tuple[Array, Array]:
            return jax.jvp(of_elements, (at,), (step,))

        if expansion.hessian is None:
            value, first = slope(expansion.position)
            return value + first
        (value, first), (_, second) = jax.jvp(slope, (expansion.position,), (step,))
        return value + first + 0.5 * second


def _log_likelihoods_at(target: Target, name: str, position: Array) -> Array:
    sites, _ = bound_trace(target.model, target.arrays, target.layout.unravel(position), target.fixed)
    plates = dict(target.plates)  # type: ignore[attr-defined]
    return log_likelihoods(sites, {name: plates[name]})[name]


@partial(jax.jit, static_argnames=("degree",))
def expand(target: EstimatedTarget, reference: Array, degree: int) -> dict[str, Expansion]:
    """The expansions of all subsampled plates about a position `(d,)`: one pass over all data for each row of a Hessian.

    Args:
        target: the target; its own expansions are not used.
        reference: the position.
        degree: 1 or 2.
    """
    found = {}
    for name, plate in target.plates:
        whole = replace(target, fixed={**target.fixed, name: jnp.arange(plate.size)})

        def total(position: Array, whole: EstimatedTarget = whole, name: str = name) -> Array:
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", message=".*indices were substituted")
                return jnp.sum(_log_likelihoods_at(whole, name, position))

        value, gradient = jax.value_and_grad(total)(reference)
        hessian = None
        if degree == 2:
            directions = jnp.eye(reference.size, dtype=reference.dtype)
            hessian = lax.map(lambda direction: jax.jvp(jax.grad(total), (reference,), (direction,))[1], directions)
        found[name] = Expansion(reference, value, gradient, hessian)
    return found
