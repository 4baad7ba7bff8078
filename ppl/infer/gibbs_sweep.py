"""Parts for Gibbs kernels that users write: what sites there are, and sweeps over discrete values by a potential function."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax, random
from jax.flatten_util import ravel_pytree

from ppl import handlers
from ppl._typing import Array, Key, PyTree, Trace
from ppl.handlers.enumeration import support_of
from ppl.infer.initialization import init_to_sample
from ppl.trace import subsampled_plates

__all__ = [
    "ModelWrapper",
    "ProposalFn",
    "SiteSelector",
    "SitesSpec",
    "any_changed",
    "discrete_gibbs_sweep",
    "discrete_support_sizes",
    "prototype_trace",
    "select_discrete_proposal",
    "subsample_plate_sizes",
]

PotentialFn = Callable[[dict[str, Array]], Array]
ProposalFn = Callable[[Key, dict[str, Array], Array, PotentialFn, Array, Array], tuple[Key, dict[str, Array], Array, Array]]
ModelWrapper = Callable[[Callable[..., Any]], Callable[..., Any]]
SiteSelector = Callable[[Trace], Sequence[str]]
SitesSpec = Sequence[str] | SiteSelector | None


def prototype_trace(
    model: Callable[..., Any], rng_key: Key, model_args: tuple[Any, ...] = (), model_kwargs: Mapping[str, Any] | None = None
) -> Trace:
    """One trace of a model, with values from its prior; sites that have no draws get a value from their support.

    Args:
        model: the model.
        rng_key: for the values.
        model_args: its positional arguments.
        model_kwargs: its keyword arguments, or None.
    """
    with handlers.trace() as sites, handlers.substitute(substitute_fn=init_to_sample), handlers.seed(rng_seed=rng_key):
        model(*model_args, **(model_kwargs or {}))
    return sites


def subsample_plate_sizes(trace: Trace) -> dict[str, tuple[int, int]]:
    """The size and the size of the subsample of each plate that uses fewer indices than it has."""
    return {name: (site["args"][0], np.shape(site["value"])[0]) for name, site in subsampled_plates(trace).items()}


def discrete_support_sizes(trace: Trace, sites: Sequence[str]) -> dict[str, np.ndarray]:
    """The number of states of each element of discrete sites, in the shapes of their values.

    Args:
        trace: of a model, see `prototype_trace`.
        sites: names of discrete sites.

    Raises:
        ValueError: if there is no such site, or its support is too large.
        NotImplementedError: if it is not finite, or not the same in all elements.

    Example:
        >>> import ppl
        >>> import ppl.distributions as dist
        >>> from jax import random
        >>> from ppl.infer.gibbs import discrete_support_sizes, prototype_trace
        >>> def model():
        ...     with ppl.plate("n", 2):
        ...         ppl.sample("k", dist.Categorical(jnp.ones(3) / 3))
        >>> discrete_support_sizes(prototype_trace(model, random.key(0)), ["k"])
        {'k': array([3, 3])}
    """
    unknown = sorted(set(sites) - {name for name, site in trace.items() if site["type"] == "sample"})
    if unknown:
        raise ValueError(f"discrete_support_sizes: no sample sites named {unknown}; there are {sorted(trace)}")
    sizes = {}
    for name in sites:
        sizes[name] = np.full(np.shape(trace[name]["value"]), len(support_of(trace[name])))
    return sizes


def any_changed(old: PyTree, new: PyTree) -> Array:
    """Whether an element differs between two pytrees of the same structure: a scalar."""
    changes = jax.tree.leaves(jax.tree.map(lambda a, b: jnp.any(jnp.asarray(a) != jnp.asarray(b)), old, new))
    return jnp.any(jnp.stack(changes)) if changes else jnp.zeros((), bool)


def discrete_gibbs_sweep(
    rng_key: Key,
    z: dict[str, Array],
    potential_energy: Array,
    potential_fn: PotentialFn,
    support_sizes_flat: Array,
    proposal_fn: ProposalFn,
) -> tuple[dict[str, Array], Array]:
    """One Metropolis step for each element of discrete values, in random order.

    Args:
        rng_key: a key.
        z: values, whose elements are states 0, ..., size - 1.
        potential_energy: `potential_fn(z)`.
        potential_fn: minus the joint log density as a function of the values.
        support_sizes_flat: the number of states of each element, `(n,)`, in the order of `ravel_pytree(z)`.
        proposal_fn: of `select_discrete_proposal`, or called as `proposal_fn(rng_key, z, potential_energy, potential_fn, index,
            support_size)`, with the number of the element and its number of states; it returns a key, new values, their potential
            energy, and the log of the acceptance ratio.

    Returns:
        The new values and their potential energy.

    Example:
        >>> from jax import random
        >>> from ppl.infer.gibbs import discrete_gibbs_sweep, select_discrete_proposal
        >>> potential_fn = lambda z: jnp.sum(jnp.where(z["k"] == 1, 0.0, 100.0))
        >>> z = {"k": jnp.array([0, 2])}
        >>> proposal_fn = select_discrete_proposal(random_walk=False, modified=False)
        >>> discrete_gibbs_sweep(random.key(0), z, potential_fn(z), potential_fn, jnp.array([3, 3]), proposal_fn)[0]
        {'k': Array([1, 1], dtype=int32)}
    """
    support_sizes = jnp.asarray(support_sizes_flat)
    key_of_order, rng_key = random.split(rng_key)
    order = random.permutation(key_of_order, support_sizes.size)

    def update(i: Array, carry: tuple[Key, dict[str, Array], Array]) -> tuple[Key, dict[str, Array], Array]:
        key, z, energy = carry
        index = order[i]
        key, proposed, new_energy, log_ratio = proposal_fn(key, z, energy, potential_fn, index, support_sizes[index])
        key, own = random.split(key)
        accepted = jnp.log(random.uniform(own, (), log_ratio.dtype)) < log_ratio
        z, energy = jax.tree.map(lambda new, old: jnp.where(accepted, new, old), (proposed, new_energy), (z, energy))
        return key, z, energy

    z = jax.tree.map(jnp.asarray, z)
    _, z, energy = lax.fori_loop(0, support_sizes.size, update, (rng_key, z, jnp.asarray(potential_energy)))
    return z, energy


class _Drawn(NamedTuple):
    """A state drawn from those seen so far: its Gumbel score, number, energy, and the log of the weight of the others."""

    score: Array
    state: Array
    energy: Array
    log_others: Array


def select_discrete_proposal(random_walk: bool, modified: bool) -> ProposalFn:
    """How `discrete_gibbs_sweep` proposes a state.

    Args:
        random_walk: uniformly from all states, instead of from the full conditional distribution.
        modified: never the state at hand.

    Source: Liu (1996), "Peskun's theorem and a modified discrete-state Gibbs sampler", Biometrika 83(3).
    """

    def propose(
        rng_key: Key, z: dict[str, Array], potential_energy: Array, potential_fn: PotentialFn, index: Array, support_size: Array
    ) -> tuple[Key, dict[str, Array], Array, Array]:
        flat, unravel = ravel_pytree(z)
        current = flat[index]
        rng_key, own = random.split(rng_key)

        def values(state: Array) -> dict[str, Array]:
            return unravel(flat.at[index].set(state.astype(flat.dtype)))

        if random_walk:
            state = random.randint(own, (), 0, support_size - modified, jnp.result_type(int))
            state = state + (modified & (state >= current))
            new_energy = potential_fn(values(state))
            return rng_key, values(state), new_energy, potential_energy - new_energy

        # One state after another, so that the number of states may be traced: the largest of Gumbel scores is a draw.
        def visit(state: Array, drawn: _Drawn) -> _Drawn:
            energy = jnp.where(state == current, potential_energy, potential_fn(values(state)))
            energy = jnp.where(jnp.isnan(energy), jnp.inf, energy)
            score = jnp.where(modified & (state == current), -jnp.inf, random.gumbel(random.fold_in(own, state)) - energy)
            is_new = score > drawn.score
            beaten = jnp.where(is_new, drawn.energy, energy)
            beaten = jnp.where(modified & (state == current), jnp.inf, beaten)
            return _Drawn(
                score=jnp.where(is_new, score, drawn.score),
                state=jnp.where(is_new, state, drawn.state),
                energy=jnp.where(is_new, energy, drawn.energy),
                log_others=jnp.logaddexp(drawn.log_others, -beaten),
            )

        energy = jnp.asarray(potential_energy)
        nothing = jnp.full_like(energy, -jnp.inf)
        start = _Drawn(nothing, current.astype(jnp.result_type(int)), jnp.full_like(energy, jnp.inf), nothing)
        drawn = lax.fori_loop(0, support_size.astype(start.state.dtype), visit, start)
        if not modified:
            return rng_key, values(drawn.state), drawn.energy, jnp.zeros_like(energy)
        stays = drawn.state == current
        # All but the old state, over all but the new one: 1 - p without cancellation.
        log_ratio = jnp.logaddexp(drawn.log_others, -drawn.energy) - jnp.logaddexp(drawn.log_others, -energy)
        new_energy = jnp.where(stays, energy, drawn.energy)
        return rng_key, values(drawn.state), new_energy, jnp.where(stays, 0.0, log_ratio)

    return propose
