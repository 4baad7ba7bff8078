"""Exact answers for models with discrete latent sites, from their factors at every joint state.

Nothing of the library's enumeration is used: a state fixes a value for each copy of each discrete site (a site in plates has one
copy for each element), and the log probabilities of all sites are added up. They come from running the model plainly with these
values substituted (here), or from formulas in NumPy (`by_numpy.py`).

What a factor is:

* a masked element of a site that is summed out keeps its own prior probability, so that its states sum to one; a mask takes
  everything else out as usual;
* `handlers.scale` multiplies the log probability of each of its sites, inside the sum over states;
* the factor N/m of a subsampled plate multiplies the log of the sum over the sites local to an element of the plate. Then the
  density is no sum over joint states any more: `total_by_plates` goes plate by plate.
"""

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from scipy import stats

from ppl import handlers
from ppl.distributions.distribution import Distribution, ExpandedDistribution, Independent, MaskedDistribution

Model = Callable[..., Any]
Latents = dict[str, tuple[Sequence[int], tuple[int, ...]]]
Values = dict[str, np.ndarray]


@dataclass(frozen=True, eq=False)
class Factor:
    """The log probabilities `(s, ...)` of a site at `s` states, for each element of its plates, and the dims of these by name."""

    log_prob: Any
    plates: dict[str, int]


@dataclass(frozen=True, eq=False)
class Factors:
    """The factors of all sites by name, and N/m of each plate."""

    sites: dict[str, Factor]
    scales: dict[str, float]


# States


def num_states(latents: Latents) -> int:
    """The number of joint states of all copies."""
    return int(np.prod([float(len(support)) ** int(np.prod(shape)) for support, shape in latents.values()]))


def states(latents: Latents) -> Values:
    """Every joint state, in the order of `itertools.product`: values `(s, ...)` of each site."""
    copies = [int(np.prod(shape)) for _, shape in latents.values()]
    supports = [support for (support, _), count in zip(latents.values(), copies) for _ in range(count)]
    table = np.array(list(itertools.product(*supports)), int).reshape(-1, sum(copies))
    columns = np.split(table, np.cumsum(copies)[:-1], axis=1)
    return {name: column.reshape(-1, *shape) for (name, (_, shape)), column in zip(latents.items(), columns)}


def prototypes(latents: Latents) -> Values:
    """Every choice of one state for each site, the same in all its copies: values `(s, ...)`."""
    table = np.array(list(itertools.product(*(support for support, _ in latents.values()))), int)
    return {
        name: np.broadcast_to(column.reshape(-1, *(1,) * len(shape)), (len(column), *shape))
        for column, (name, (_, shape)) in zip(table.T, latents.items())
    }


def number_of(values: dict[str, Any], latents: Latents) -> np.ndarray:
    """The numbers in `states` of draws whose values have shapes `(n, ...)`."""
    number = 0
    for name, (support, shape) in latents.items():
        drawn = np.asarray(values[name])
        assert drawn.shape[1:] == shape, f"{name}: found {drawn.shape[1:]}, expected {shape}"
        assert np.isin(drawn, support).all(), f"{name}: values outside {support}"
        for digits in np.searchsorted(support, drawn.reshape(len(drawn), -1)).T:
            number = number * len(support) + digits
    return number


# Sums over states


def logsumexp(x: Any, axis: tuple[int, ...] = (0,)) -> Any:
    """Along axes, which stay with size 1; of JAX arrays, or of NumPy arrays, also complex ones with small imaginary parts."""
    if isinstance(x, jax.Array):
        return jax.nn.logsumexp(x, axis=axis, keepdims=True)
    highest = np.max(x.real, axis=axis, keepdims=True)
    return np.log(np.sum(np.exp(x - highest), axis=axis, keepdims=True)) + highest


def joints(factors: Factors) -> Any:
    """The log joint density `(s,)` at every state."""
    assert all(scale == 1.0 for scale in factors.scales.values()), "subsampled: use total_by_plates"
    return sum(f.log_prob.reshape(f.log_prob.shape[0], -1).sum(1) for f in factors.sites.values())


def total(factors: Factors) -> Any:
    """The log of the sum over all joint states, from the factors at each of them."""
    return logsumexp(joints(factors))[0]


def total_by_plates(factors: Factors, latents: Latents) -> Any:
    """The log density where plates may be subsampled; the plates form a tree.

    `L(element; states above) = log sum_{states of its own sites} exp(own factors + sum_{plates inside} N/m sum_{elements} L)`.

    The factors are those at `prototypes`: an element's factor depends on its own copies only, so what it is when all copies have
    one state is enough. Every summed-out site has one axis, then come the plates.
    """
    names, sizes = list(latents), [len(support) for support, _ in latents.values()]
    plates = {name: frozenset(f.plates) for name, f in factors.sites.items()}
    dims = {name: dim for f in factors.sites.values() for name, dim in f.plates.items()}
    rank = max((-dim for dim in dims.values()), default=0)
    totals: dict[frozenset[str], Any] = {node: 0.0 for node in {frozenset[str](), *plates.values()}}
    for name, f in factors.sites.items():
        shape = f.log_prob.shape
        array = f.log_prob.reshape(*(sizes if shape[0] > 1 else [1] * len(sizes)), *(1,) * (rank + 1 - len(shape)), *shape[1:])
        own = plates[name]
        cannot_see = [i for i, other in enumerate(names) if not plates[other] <= own]
        totals[own] = totals[own] + array[tuple(slice(1) if i in cannot_see else slice(None) for i in range(len(names)))]
    for node in sorted(totals, key=len, reverse=True):
        local = tuple(i for i, name in enumerate(names) if plates[name] == node)
        here = logsumexp(totals[node], local) if local else totals[node]
        if not node:
            return here.reshape(())
        above = max((other for other in totals if other < node), key=len)
        assert all(other <= above for other in totals if other < node), "the plates cross"
        scale = np.prod([factors.scales[name] for name in node - above])
        totals[above] = totals[above] + scale * here.sum(tuple(dims[name] for name in node - above), keepdims=True)
    raise AssertionError("the root is a node")


# Factors of a model, by running it


def run(model: Model, args: tuple[Any, ...], values: dict[str, Any]) -> dict[str, Any]:
    """The trace of the model at these values of all its latent sites: there is no key to draw another with."""
    return handlers.trace(handlers.substitute(model, data=values)).get_trace(*args)


def unmasked(fn: Distribution) -> Distribution:
    """The distribution without its masks, of the same shape."""
    match fn:
        case MaskedDistribution() | ExpandedDistribution():
            return unmasked(fn.base_dist).expand(fn.batch_shape)
        case Independent():
            return unmasked(fn.base_dist).to_event(fn.reinterpreted_batch_ndims)
    return fn


def factor(site: dict[str, Any], scales: dict[str, float], is_summed_out: bool) -> Any:
    """The log probability of a sample site, for each element of its plates, without the factors N/m."""
    fn = unmasked(site["fn"]) if is_summed_out else site["fn"]
    log_prob = fn.log_prob(site["value"])
    log_prob = jnp.broadcast_to(log_prob, np.broadcast_shapes(np.shape(log_prob), fn.batch_shape))
    if site["scale"] is None:
        return log_prob
    return site["scale"] / np.prod([scales[frame.name] for frame in site["cond_indep_stack"]]) * log_prob


def model_factors(model: Model, args: tuple[Any, ...], given: dict[str, Any], values: Values) -> Factors:
    """The factors at states `values` of the sites to be summed out, and `given` values of the other latent sites."""
    known: dict[str, Any] = {}

    def at(state: dict[str, Any]) -> dict[str, Any]:
        trace = run(model, args, {**given, **state})
        sites = {name: site for name, site in trace.items() if site["type"] == "sample"}
        known["scales"] = {n: site["args"][0] / len(site["value"]) for n, site in trace.items() if site["type"] == "plate"}
        known["plates"] = {name: {frame.name: frame.dim for frame in site["cond_indep_stack"]} for name, site in sites.items()}
        return {name: factor(site, known["scales"], name in values) for name, site in sites.items()}

    found = jax.vmap(at)(values)
    return Factors({name: Factor(log_prob, known["plates"][name]) for name, log_prob in found.items()}, known["scales"])


def log_joints(model: Model, args: tuple[Any, ...], given: dict[str, Any], latents: Latents) -> Any:
    """The log joint density `(s,)` of a model at every state."""
    return joints(model_factors(model, args, given, states(latents)))


def log_density(model: Model, args: tuple[Any, ...], given: dict[str, Any], latents: Latents) -> Any:
    """The log of the sum over all joint states.

    Args:
        model: the model, with neither marks nor `enum`.
        args: its arguments.
        given: the values of the other latent sites.
        latents: the support and the batch shape of each site to be summed out.
    """
    return total(model_factors(model, args, given, states(latents)))


def log_density_by_plates(model: Model, args: tuple[Any, ...], given: dict[str, Any], latents: Latents) -> Any:
    """The log density of a model whose plates may be subsampled."""
    return total_by_plates(model_factors(model, args, given, prototypes(latents)), latents)


def log_density_by_loop(model: Model, args: tuple[Any, ...], given: dict[str, Any], latents: Latents) -> float:
    """The log of the sum over all joint states, one call of the model's log joint density after another."""
    log_joint = jax.jit(lambda state: joints(model_factors(model, args, given, state))[0])
    every = states(latents)
    found = [float(log_joint({name: values[i : i + 1] for name, values in every.items()})) for i in range(num_states(latents))]
    return float(np.logaddexp.reduce(found))


# Draws


def p_value(numbers: np.ndarray, log_weights: np.ndarray) -> float:
    """The p-value of the chi-square test that draws have these frequencies.

    States expected less than 5 times are merged into one, with as many of the next ones as make it expected 5 times.
    """
    weights = np.exp(log_weights - np.logaddexp.reduce(log_weights))
    order = np.argsort(weights)
    expected = len(numbers) * weights[order]
    observed = np.bincount(numbers, minlength=len(weights))[order].astype(float)
    assert not observed[expected == 0].any(), "a state of probability zero was drawn"
    few = 0 if expected[0] >= 5 else max(int(np.sum(expected < 5)), int(np.searchsorted(np.cumsum(expected), 5)) + 1)
    if few:
        expected = np.append(expected[few:], expected[:few].sum())
        observed = np.append(observed[few:], observed[:few].sum())
    if len(expected) == 1:
        return 1.0
    return float(stats.chi2.sf(np.sum((observed - expected) ** 2 / expected), len(expected) - 1))
