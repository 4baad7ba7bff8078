"""Blocks of Gibbs sampling that are no chains: what a user's function draws, and discrete sites."""

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import prod
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from ppl import _random as random
from ppl._typing import Array, Key, Trace
from ppl.handlers.enumeration import without_support
from ppl.infer.algorithms.discrete import DiscreteProposal
from ppl.infer.gibbs_process import Update
from ppl.infer.kernel import MCMCKernel
from ppl.infer.target.conditional import Conditional, Point, conditionals, point_shapes
from ppl.infer.target.density import Target
from ppl.util import describe

__all__ = ["CustomGibbs", "CustomGibbsState", "DiscreteGibbs", "DiscreteGibbsState", "GibbsUpdateFn", "UpdateKernel"]

GibbsUpdateFn = Callable[..., Mapping[str, Any]]


class CustomGibbsState(NamedTuple):
    """The state of a block that the user's function draws: constrained values, and the key."""

    z: Any
    rng_key: Any


class DiscreteGibbsState(NamedTuple):
    """The state of a block of discrete sites.

    Attributes:
        z: values.
        potential_energy: minus the joint log density there; nan unless the last block is that of a chain, which knows it.
        rng_key: key for the iterations to come.
    """

    z: Any
    potential_energy: Any
    rng_key: Any


class UpdateKernel(MCMCKernel):
    """A block of Gibbs sampling that draws new values of its sites, which no position holds. It is no kernel by itself.

    Attributes:
        owns_plates: whether its sites are the indices of subsampled plates.
    """

    sample_field = "z"
    owns_plates = False

    @abstractmethod
    def new_update(self, target: Target, sites: tuple[str, ...]) -> Update:
        """What an iteration does; the arrays of the target are shapes."""

    def check_sites(self, sites: Trace, names: Sequence[str]) -> None:
        """Refuse sites that the block cannot draw."""

    def init(
        self, rng_key: Key, num_warmup: int, init_params: Any, model_args: tuple[Any, ...], model_kwargs: dict[str, Any]
    ) -> Any:
        """A block has no chain of its own.

        Raises:
            TypeError: always.
        """
        raise TypeError(
            f"{type(self).__name__} is a block of Gibbs sampling: use Gibbs([({type(self).__name__}(...), sites), ...])"
        )

    def sample(self, state: Any, model_args: tuple[Any, ...], model_kwargs: dict[str, Any]) -> Any:
        """As `init`."""
        return self.init(state.rng_key, 0, None, model_args, model_kwargs)

    def refresh(self, state: Any, model_args: tuple[Any, ...], model_kwargs: dict[str, Any]) -> Any:
        """The state itself: nothing is cached."""
        return state

    def wrap_model(self, wrapper: Callable[[Callable[..., Any]], Callable[..., Any]]) -> "UpdateKernel":
        """The block itself: it knows no model."""
        return self


class CustomGibbs(UpdateKernel):
    """A block whose sites a user's function draws from their conditional distribution.

    Args:
        gibbs_fn: called as `gibbs_fn(rng_key=, gibbs_sites=, hmc_sites=)` with the constrained values of the block's sites, and of
            all others with deterministic sites; returns a dict with new values of the block's sites. It must leave their
            distribution given all others as it is.

    Raises:
        ValueError: if `gibbs_fn` is no function; in a run, if it returns other sites, or values of other shapes or types.
    """

    def __init__(self, gibbs_fn: GibbsUpdateFn) -> None:
        if not callable(gibbs_fn):
            raise ValueError(
                "gibbs_fn must be a function of rng_key, gibbs_sites and hmc_sites that returns a dict from site names to values, "
                f"found {describe(gibbs_fn)}"
            )
        self._gibbs_fn = gibbs_fn

    def new_update(self, target: Target, sites: tuple[str, ...]) -> Update:
        """What an iteration does, tried once without numbers."""
        update = _CustomUpdate(self._gibbs_fn, sites, target.model.facts.apart)
        jax.eval_shape(update, jax.ShapeDtypeStruct((2,), np.uint32), target, point_shapes(target))
        return update


@dataclass(frozen=True, eq=False)
class _CustomUpdate:
    gibbs_fn: GibbsUpdateFn
    sites: tuple[str, ...]
    facts: Mapping[str, Any]
    told: tuple[str, ...] = ()

    def __call__(self, key: Key, target: Target, point: Point) -> tuple[dict[str, Array], Array]:
        own = {name: point.values[name] for name in self.sites}
        constrained = replace(target, fixed=point.values).constrain(point.position)
        others = {name: value for name, value in constrained.items() if name not in own}
        drawn = self.gibbs_fn(rng_key=random.typed(key), gibbs_sites=dict(own), hmc_sites=others)
        return self._checked(drawn), jnp.zeros(0, target.layout.dtype)

    def _checked(self, drawn: Any) -> dict[str, Array]:
        if not isinstance(drawn, Mapping) or set(drawn) != set(self.sites):
            found = sorted(map(str, drawn)) if isinstance(drawn, Mapping) else describe(drawn)
            raise ValueError(f"gibbs_fn must return a dict with exactly the sites {sorted(self.sites)}, found {found}")
        checked = {}
        for name in self.sites:
            value, site = jnp.asarray(drawn[name]), self.facts[name]
            kinds = (value.dtype.kind, np.dtype(site.dtype).kind)
            if value.shape != site.shape or not (kinds[0] == kinds[1] or kinds in (("b", "i"), ("i", "f"), ("u", "i"), ("b", "f"))):
                raise ValueError(
                    f"gibbs_fn: site {name!r} has shape {site.shape} and type {np.dtype(site.dtype)}, found a value of shape "
                    f"{value.shape} and type {value.dtype}; return values as they come in gibbs_sites"
                )
            checked[name] = value.astype(site.dtype)
        return checked

    def state(self, z: dict[str, Any], potential_energy: Any, told: Any, rng_key: Any) -> CustomGibbsState:
        return CustomGibbsState(z, rng_key)


class DiscreteGibbs(UpdateKernel):
    """A block of discrete sites with finite supports, whose elements are updated in turn from their conditional distributions.

    Elements that no factor of the model mixes (those in a plate, as a rule) are updated at a time, at the cost of one evaluation of
    the factors that depend on them for each state. The others follow one another in random order.

    Args:
        model: the model.
        random_walk: propose uniformly from the support.
        modified: never propose the state at hand (Liu 1996).

    Source: Liu (1996), "Peskun's theorem and a modified discrete-state Gibbs sampler", Biometrika 83(3).
    """

    def __init__(self, model: Callable[..., Any] | None = None, *, random_walk: bool = False, modified: bool = False) -> None:
        self.model = model
        self._proposal = DiscreteProposal(bool(random_walk), bool(modified))

    def wrap_model(self, wrapper: Callable[[Callable[..., Any]], Callable[..., Any]]) -> "DiscreteGibbs":
        """A copy on `wrapper(model)`."""
        proposal = self._proposal
        model = None if self.model is None else wrapper(self.model)
        return DiscreteGibbs(model, random_walk=proposal.random_walk, modified=proposal.modified)

    def check_sites(self, sites: Trace, names: Sequence[str]) -> None:
        """Refuse sites without a finite support.

        Raises:
            ValueError: with the site.
        """
        for name in names:
            fn = sites[name]["fn"]
            if not fn.has_enumerate_support:
                cure = "truncate it, or update it with HMCGibbs and a gibbs_fn"
                raise ValueError(f"site {name!r} {without_support(fn, 'updated state by state', cure)}")

    def new_update(self, target: Target, sites: tuple[str, ...]) -> Update:
        """What an iteration does; a site without elements stays as it is."""
        shapes = target.model.facts.apart
        moving = [name for name in sites if prod(shapes[name].shape)]
        found = conditionals(target, moving) if moving else {}
        return DiscreteUpdate(self._proposal, sites, tuple(found.values()))


@dataclass(frozen=True, eq=False)
class DiscreteUpdate:
    """One sweep over discrete sites, site by site, group by group in random order.

    Attributes:
        proposal: how a state is proposed.
        sites: the sites.
        conditionals: those of the sites that have elements.
        told: the names of what is told.
    """

    proposal: DiscreteProposal
    sites: tuple[str, ...]
    conditionals: tuple[Conditional, ...]
    told: tuple[str, ...] = ("discrete_accept_prob",)

    def __call__(self, key: Key, target: Target, point: Point) -> tuple[dict[str, Array], Array]:
        """New values, and the mean acceptance probability, `(1,)`; it is 1 where there is no element."""
        dtype = target.layout.dtype
        if not self.conditionals:
            return {name: point.values[name] for name in self.sites}, jnp.ones(1, dtype)
        keys = random.draw(key, dtype, keys=len(self.conditionals)).keys
        accepted = []
        for conditional, own_key in zip(self.conditionals, keys):
            point, accept_prob = self._sweep(own_key, conditional, target, point)
            accepted.append(accept_prob)
        return {name: point.values[name] for name in self.sites}, jnp.mean(jnp.stack(accepted))[None]

    def _sweep(self, key: Key, conditional: Conditional, target: Target, point: Point) -> tuple[Point, Array]:
        dtype, rows, columns = target.layout.dtype, conditional.rows, conditional.columns
        support = conditional.support(target, point)
        order = jnp.argsort(random.draw(key, dtype, uniforms=rows, stage=0).uniforms) if rows > 1 else jnp.zeros(1, jnp.int32)

        def update(step: Array, loop: tuple[Point, Array]) -> tuple[Point, Array]:
            point, total = loop
            uniforms = random.draw(random.fold_in(key, step), dtype, uniforms=2 * columns).uniforms.reshape((2, columns))
            element = conditional.element(target, point, order[step], support)
            chosen, accept_prob = self.proposal.update(uniforms, element.log_weights, element.current)
            return conditional.with_states(point, order[step], support, chosen), total + jnp.mean(accept_prob)

        nothing = jnp.zeros((), dtype)
        if rows == 1:
            return update(jnp.int32(0), (point, nothing))
        point, total = lax.fori_loop(0, rows, update, (point, nothing))
        return point, total / rows

    def state(self, z: dict[str, Any], potential_energy: Any, told: Any, rng_key: Any) -> DiscreteGibbsState:
        """The public state of the block."""
        return DiscreteGibbsState(z, potential_energy, rng_key)
