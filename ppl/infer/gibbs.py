"""Gibbs sampling over blocks of sites: updates that a user writes, updates of discrete sites, and kernels on continuous sites."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ppl import _random as random
from ppl import handlers
from ppl._typing import Array, Key, Message, PyTree, Trace
from ppl.distributions import constraints
from ppl.distributions.distribution.validation import holds
from ppl.distributions.util import TracedSupport
from ppl.handlers.enumeration import is_marked
from ppl.infer.binding import Binding
from ppl.infer.facade import TargetKernel, shapes_of
from ppl.infer.gibbs_blocks import (
    CustomGibbs,
    CustomGibbsState,
    DiscreteGibbs,
    DiscreteGibbsState,
    GibbsUpdateFn,
    UpdateKernel,
)
from ppl.infer.gibbs_process import GIVEN, ChainBlock, GibbsProcess, KernelBlock
from ppl.infer.gibbs_sweep import (
    ModelWrapper,
    ProposalFn,
    SiteSelector,
    SitesSpec,
    any_changed,
    discrete_gibbs_sweep,
    discrete_support_sizes,
    prototype_trace,
    select_discrete_proposal,
    subsample_plate_sizes,
)
from ppl.infer.kernel import RUN_METHODS, MCMCKernel, overridden
from ppl.infer.target.conditional import Point, count_states, has_known_size
from ppl.infer.target.density import Target, bound_trace
from ppl.infer.target.dependence import dependences
from ppl.infer.target.layout import Layout
from ppl.infer.target.model import Arguments, bind, contents
from ppl.trace import latent_sites, sample_sites, subsampled_plates
from ppl.util import describe, dtype_of, not_jax_tracer

__all__ = [
    "CustomGibbs",
    "CustomGibbsState",
    "DiscreteBlocks",
    "DiscreteGibbs",
    "DiscreteGibbsState",
    "Gibbs",
    "GibbsState",
    "GibbsUpdateFn",
    "GIBBS_SITES_KWARG",
    "ModelWrapper",
    "ProposalFn",
    "SiteSelector",
    "SitesSpec",
    "any_changed",
    "check_inner",
    "check_inner_or_own",
    "conditioned",
    "discrete_gibbs_sweep",
    "discrete_latent_sites",
    "discrete_support_sizes",
    "latent_sample_sites",
    "prototype_trace",
    "select_discrete_proposal",
    "subsample_plate_sizes",
    "with_conditioning",
]


class GibbsState(NamedTuple):
    """The state of Gibbs sampling.

    Attributes:
        z: values of all latent sites: unconstrained those that a chain on continuous sites moves, constrained the others.
        block_states: the state of each block.
        rng_key: key for the iterations to come.
    """

    z: Any
    block_states: Any
    rng_key: Any


# Sites


def latent_sample_sites(trace: Trace) -> tuple[str, ...]:
    """The names of the latent sites of a trace: a selector for `Gibbs`."""
    return tuple(latent_sites(trace))


def discrete_latent_sites(trace: Trace) -> tuple[str, ...]:
    """The names of the discrete latent sites that are not marked to be summed out: a selector for `Gibbs`.

    Example:
        >>> import ppl
        >>> import ppl.distributions as dist
        >>> from ppl import handlers
        >>> from ppl.infer.gibbs import discrete_latent_sites
        >>> def model():
        ...     ppl.sample("x", dist.Normal(0.0, 1.0))
        ...     ppl.sample("k", dist.Bernoulli(0.5))
        >>> discrete_latent_sites(handlers.trace(handlers.seed(model, 0)).get_trace())
        ('k',)
    """
    return tuple(name for name, site in latent_sites(trace).items() if site["fn"].is_discrete and not is_marked(site))


# Models with some sites given

GIBBS_SITES_KWARG = GIVEN


def conditioned(model: Callable[..., Any]) -> Callable[..., Any]:
    """The model with sites fixed at values, which come in the keyword argument `GIBBS_SITES_KWARG`; one that has it stays as it is.

    Example:
        >>> import ppl
        >>> import ppl.distributions as dist
        >>> from ppl.infer.gibbs import conditioned, with_conditioning
        >>> model = conditioned(lambda: ppl.sample("x", dist.Normal(0.0, 1.0)))
        >>> model(**with_conditioning({}, {"x": 2.0}))
        2.0
    """
    if isinstance(model, _Conditioned):
        return model
    return _Conditioned(model)


@dataclass(frozen=True)
class _Conditioned:
    model: Callable[..., Any]

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        values = kwargs.pop(GIBBS_SITES_KWARG, {})
        with handlers.condition(data=values):
            return self.model(*args, **kwargs)


def with_conditioning(
    model_kwargs: Mapping[str, Any] | None, values: Mapping[str, Any], *, allowed: Iterable[str] | None = None
) -> dict[str, Any]:
    """Keyword arguments for a model that is `conditioned`.

    Args:
        model_kwargs: those of the model itself; sites that are fixed there stay so, unless `values` has them.
        values: of the sites that are to be fixed.
        allowed: names that may be among them; None: all.

    Raises:
        ValueError: if another name is.
    """
    unknown = [] if allowed is None else sorted(set(values) - set(allowed))
    if unknown:
        raise ValueError(f"with_conditioning: the sites {unknown} cannot be given; allowed are {sorted(allowed or ())}")
    kwargs = dict(model_kwargs or {})
    return {**kwargs, GIBBS_SITES_KWARG: {**kwargs.get(GIBBS_SITES_KWARG, {}), **values}}


# The kernel


@dataclass(frozen=True, eq=False)
class GibbsBinding(Binding):
    """A kernel of blocks bound to arguments: the sites of each block besides."""

    owners: tuple[tuple[str, ...], ...] = ()


class _Form:
    """The public state of `Gibbs`."""

    def __init__(self, state_type: Callable[..., Any]) -> None:
        self.state_type = state_type

    def state(self, z: dict[str, Any], block_states: tuple[Any, ...], rng_key: Any) -> Any:
        return self.state_type(z, block_states, rng_key)

    def block_states(self, state: Any) -> Sequence[Any]:
        return state.block_states


class Gibbs(TargetKernel):
    """Gibbs sampling: in each iteration the blocks update their sites one after another, given all others.

    Args:
        blocks: pairs of a kernel and its sites. Kernels: `CustomGibbs`, `DiscreteGibbs`, and on continuous sites `HMC`, `NUTS` and
            others that are built from the model. Sites: a list of names; a function from a trace to names; or, for one block, None:
            all that no other block has.

    Raises:
        ValueError: if blocks, kernels, models or sites do not fit together.

    Source: Geman, Geman (1984), IEEE PAMI 6(6).

    Example:
        >>> import ppl
        >>> import ppl.distributions as dist
        >>> from jax import random
        >>> from ppl.infer import MCMC, NUTS
        >>> from ppl.infer.gibbs import DiscreteGibbs, Gibbs, discrete_latent_sites
        >>> def model():
        ...     k = ppl.sample("k", dist.Bernoulli(0.3))
        ...     ppl.sample("x", dist.Normal(3.0 * k, 1.0))
        >>> kernel = Gibbs([(DiscreteGibbs(model), discrete_latent_sites), (NUTS(model), None)])
        >>> mcmc = MCMC(kernel, num_warmup=50, num_samples=50, progress_bar=False)
        >>> mcmc.run(random.key(0))
        >>> sorted(mcmc.get_samples())
        ['k', 'x']
    """

    state_type: Callable[..., Any] = GibbsState
    not_a_block = "is made of blocks itself; put these beside the others, in one Gibbs([(kernel, sites), ...])"

    def __init__(self, blocks: Sequence[tuple[MCMCKernel, Any]]) -> None:
        self._blocks = _checked_blocks(type(self).__name__, blocks)
        chains = [kernel for kernel, _ in self._blocks if isinstance(kernel, TargetKernel)]
        model = _common_model(type(self).__name__, [kernel for kernel, _ in self._blocks])
        options = {}
        if chains:
            options = dict(
                init_strategy=chains[0]._init_strategy, forward_mode_differentiation=chains[0]._forward_mode_differentiation
            )
        super().__init__(model, None, **options)  # type: ignore[arg-type]

    @property
    def blocks(self) -> tuple[tuple[MCMCKernel, Any], ...]:
        """Each block's kernel, and what says which sites are its own."""
        return self._blocks

    @property
    def inner_kernel(self) -> TargetKernel | None:
        """The first kernel on continuous sites."""
        return next((kernel for kernel, _ in self._blocks if isinstance(kernel, TargetKernel)), None)

    def get_diagnostics_str(self, state: Any) -> str:
        """What the first kernel on continuous sites says of its state."""
        for (kernel, _), own in zip(self._blocks, self._form().block_states(state)):
            if isinstance(kernel, TargetKernel):
                return kernel.get_diagnostics_str(own)
        return ""

    def get_advice(self, fields: Mapping[str, Any]) -> list[str]:
        """What the first kernel on continuous sites says."""
        return [] if self.inner_kernel is None else self.inner_kernel.get_advice(fields)

    def wrap_model(self, wrapper: Callable[[Callable[..., Any]], Callable[..., Any]]) -> "Gibbs":
        """A copy of the kernel on `wrapper(model)`."""
        copy = super().wrap_model(wrapper)
        assert isinstance(copy, Gibbs)
        copy._blocks = tuple((kernel.wrap_model(wrapper), sites) for kernel, sites in self._blocks)
        return copy

    def get_potential_fn(
        self, model_args: tuple[Any, ...] = (), model_kwargs: Mapping[str, Any] | None = None
    ) -> Callable[[PyTree], Array]:
        """The potential energy as a function of all sites, with values as in the `z` of a state."""
        target: Any = self._bound(model_args, model_kwargs)
        return lambda z: _at_values(target, z)(target.layout.ravel(z))

    def get_constrain_fn(
        self,
        model_args: tuple[Any, ...] = (),
        model_kwargs: Mapping[str, Any] | None = None,
        *,
        return_deterministic: bool = False,
    ) -> Callable[[PyTree], PyTree]:
        """A function from values as in the `z` of a state to constrained ones."""
        target: Any = self._bound(model_args, model_kwargs)
        return lambda z: _at_values(target, z).constrain(target.layout.ravel(z), deterministic=return_deterministic)

    def _form(self) -> Any:
        return _Form(self.state_type)

    # Binding

    def _new_binding(
        self, args: tuple[Any, ...], kwargs: Mapping[str, Any], arguments: Arguments, arrays: tuple[Any, ...], layout: Any
    ) -> GibbsBinding:
        owners: list[tuple[str, ...]] = []
        uncounted: list[str] = []

        def select(sites: Trace) -> list[str]:
            owners[:] = self._owners(sites)
            of_blocks = [(kernel, name) for (kernel, _), own in zip(self._blocks, owners) for name in own]
            uncounted[:] = [n for kernel, n in of_blocks if isinstance(kernel, DiscreteGibbs) and not has_known_size(sites[n])]
            return [name for kernel, name in of_blocks if not isinstance(kernel, TargetKernel)]

        assert self._model is not None
        model, kept = bind(self._model, args, kwargs, select=select)
        shapes = {site.name: site.unconstrained_shape for site in model.facts.latents}
        ordered = []
        for (kernel, _), own in zip(self._blocks, owners):
            if isinstance(kernel, TargetKernel):
                held = {name: shapes[name] for name in own if name in shapes}
                own = kernel._site_order(held) or tuple(sorted(held))
            ordered.append(tuple(own))
        moved = [name for (kernel, _), own in zip(self._blocks, ordered) if isinstance(kernel, TargetKernel) for name in own]
        position = Layout.of({name: shapes[name] for name in moved}, model.facts.dtype, moved)
        target = Target(shapes_of(kept), {}, model, position, self._forward_mode_differentiation)
        if uncounted and kept:
            try:
                count_states(target, uncounted)
            except TracedSupport:
                model, _ = bind(self._model, args, kwargs, select=select, baked=True)
                target = replace(target, arrays=(), model=model)
        _check_supports(type(self).__name__, target, self._blocks, ordered)
        return GibbsBinding(target, model, contents(arrays) if model.baked else None, owners=tuple(ordered))

    def _owners(self, sites: Trace) -> list[tuple[str, ...]]:
        """The sites of each block."""
        kernel_name, latents = type(self).__name__, latent_sites(sites)
        found: list[tuple[str, ...] | None] = []
        taken: dict[str, int] = {}
        for number, (kernel, chosen) in enumerate(self._blocks):
            if chosen is None:
                found.append(None)
                continue
            names = tuple(chosen(sites)) if callable(chosen) else chosen
            own = subsampled_plates(sites) if getattr(kernel, "owns_plates", False) else latents
            for name in names:
                _check_owned(kernel_name, name, number, own, sites, taken)
                if isinstance(kernel, TargetKernel) and own[name]["fn"].is_discrete:
                    raise ValueError(
                        f"{kernel_name}: site {name!r} of block {number} is discrete, which {type(kernel).__name__} cannot move; "
                        "give it to a block of DiscreteGibbs, or mark it infer={'enumerate': 'parallel'} and name it in no block"
                    )
                taken[name] = number
            found.append(names)
        rest = tuple(name for name in latents if name not in taken)
        if None not in found:
            loose = [name for name in rest if not is_marked(latents[name])]
            if loose:
                raise ValueError(
                    f"{kernel_name}: no block has the latent sites {loose}; name them, or give one block None for the rest"
                )
        owners = [rest if names is None else names for names in found]
        for number, ((kernel, _), names) in enumerate(zip(self._blocks, owners)):
            if not names and not isinstance(kernel, TargetKernel):
                raise ValueError(f"{kernel_name}: block {number} ({type(kernel).__name__}) has no sites; drop it")
            if isinstance(kernel, UpdateKernel):
                kernel.check_sites(sites, names)
        return owners

    # Running

    def _new_process(self, binding: Binding, fields: tuple[str, ...]) -> Any:
        assert isinstance(binding, GibbsBinding)
        joint, start = binding.target, 0
        blocks: list[Any] = []
        values = joint.model.facts.shapes_apart()
        for (kernel, _), names in zip(self._blocks, binding.owners):
            if isinstance(kernel, UpdateKernel):
                blocks.append(kernel.new_update(joint, names))
                continue
            if not isinstance(kernel, TargetKernel):
                dtypes = {name: joint.model.facts.apart[name].dtype for name in names}
                blocks.append(KernelBlock(names, kernel.wrap_model(conditioned), dtypes))
                continue
            shapes = {slot.name: slot.shape for slot in joint.layout.slots if slot.name in names}
            others = {
                site.name: jax.ShapeDtypeStruct(site.shape, joint.layout.dtype)
                for site in joint.model.facts.latents
                if site.name in joint.layout.names and site.name not in names
            }
            own = replace(joint, fixed={**values, **others}, layout=Layout.of(shapes, joint.layout.dtype, names))
            blocks.append(ChainBlock(names, kernel._new_process(Binding(own, binding.model), ()), start))
            start = blocks[-1].stop
        return GibbsProcess(joint, tuple(blocks), partial(_propose, self._init_strategy), fields, self._form())

    def start_positions(self, binding: Binding, init_params: Any, num_chains: int) -> tuple[Any, bool] | None:
        """The user's start values of each chain, or None.

        Args:
            binding: the binding.
            init_params: unconstrained values of sites that chains move, constrained ones of the others; for several chains one set,
                or one for each with a leading axis.
            num_chains: number of chains.

        Raises:
            ValueError: if a site is unknown, a shape is wrong, or a value is not finite.
        """
        if init_params is None:
            return None
        if not isinstance(init_params, Mapping):
            raise ValueError(f"init_params: expected a dict from site names to values, found {describe(init_params)}")
        layout, apart = binding.target.layout, binding.target.model.facts.apart
        shapes = {slot.name: slot.shape for slot in layout.slots} | {name: site.shape for name, site in apart.items()}
        unknown = sorted(set(init_params) - set(shapes))
        if unknown:
            raise ValueError(f"init_params: no latent site is called {unknown}; the latent sites are {sorted(shapes)}")
        is_shared = all(np.shape(value) == shapes[name] for name, value in init_params.items())
        batch = () if num_chains == 1 or is_shared else (num_chains,)
        dtypes = {name: apart[name].dtype if name in apart else layout.dtype for name in init_params}
        for name, value in init_params.items():
            _check_start(name, value, (*batch, *shapes[name]), np.dtype(dtypes[name]))
            if name in apart:
                _check_in_support(name, value, apart[name].support)
        given = {name: jnp.asarray(value, dtypes[name]) for name, value in init_params.items()}
        rows = [{name: value[i] if batch else value for name, value in given.items()} for i in range(num_chains)]
        return rows, False


def _propose(strategy: Callable[..., Any], key: Key, attempt: Array, target: Target, given: Mapping[str, Array]) -> Point:
    """A start: given values, those of a strategy, and draws from the prior for discrete sites."""
    facts, layout = target.model.facts, target.layout
    fixed = {name: value for name, value in given.items() if name in facts.apart}

    def choose(site: Message) -> Any:
        return None if site["name"] in facts.enumerated or site["name"] in fixed else strategy(site)

    with handlers.trace() as sites, handlers.substitute(data=fixed), handlers.substitute(substitute_fn=choose):
        with handlers.seed(rng_seed=random.typed(random.fold_in(key, attempt))):
            target.model.call(target.arrays)
    position = target.unconstrain_trace(sites)
    own = layout.unravel(position)
    position = layout.ravel({name: given.get(name, own[name]) for name in layout.names})
    return Point(position, {name: jnp.asarray(sites[name]["value"], site.dtype) for name, site in facts.apart.items()})


def _at_values(target: Target, z: Mapping[str, Any]) -> Target:
    """The target with the sites fixed that its position does not hold."""
    return replace(target, fixed={name: jnp.asarray(z[name], site.dtype) for name, site in target.model.facts.apart.items()})


def _check_start(name: str, value: Any, shape: tuple[int, ...], dtype: np.dtype) -> None:
    if np.shape(value) != shape:
        raise ValueError(
            f"init_params: site {name!r} has shape {np.shape(value)}, expected {shape}; values are unconstrained for sites that a "
            "kernel on continuous sites moves, constrained for others, and several chains may have a leading axis"
        )
    known, kind = not_jax_tracer(value), dtype_of(value).kind
    if known and kind in "biuf" and not np.isfinite(np.asarray(value, float)).all():
        raise ValueError(f"init_params: site {name!r} has values that are not finite; pass finite ones")
    is_whole = known and kind == "f" and (np.asarray(value) == np.round(value)).all()
    if kind not in ("biu" if dtype.kind in "iu" else "biuf") and not is_whole:
        raise ValueError(f"init_params: site {name!r} has values of type {dtype}, found {value!r} of type {dtype_of(value)}")


def _check_in_support(name: str, value: Any, support: constraints.Constraint | None) -> None:
    if support is not None and not_jax_tracer(value) and not holds(support, np.asarray(value)).all():
        raise ValueError(f"init_params: site {name!r} must start within its support, {support}; found {value!r}")


def _check_owned(kernel: str, name: str, number: int, latents: Trace, sites: Trace, taken: Mapping[str, int]) -> None:
    """Refuse a site of a block that is none, or that another block has."""
    if name in taken:
        raise ValueError(f"{kernel}: site {name!r} belongs to blocks {taken[name]} and {number}; each site has one block")
    if name in latents:
        return
    what = "is not latent" if name in sample_sites(sites) else "is no site of the model"
    raise ValueError(f"{kernel}: site {name!r} of block {number} {what}; the latent sites are {sorted(latents)}")


def _check_supports(
    kernel: str, target: Target, blocks: Sequence[tuple[MCMCKernel, Any]], owners: Sequence[tuple[str, ...]]
) -> None:
    """Refuse coordinates of a chain that change their meaning when another block draws constrained values given theirs.

    A block of discrete states is none of these: it weighs them at fixed coordinates, with their Jacobian.

    Raises:
        ValueError: if the support of a chain's site depends on a site of such a block.
    """
    moving = [site.name for site in target.model.facts.latents if site.transform is None and site.name in target.layout.names]
    if not moving:
        return
    shapes = {slot.name: jax.ShapeDtypeStruct(slot.shape, target.layout.dtype) for slot in target.layout.slots}
    values = target.model.facts.shapes_apart()

    def images(arrays: PyTree, unconstrained: dict[str, Array], given: dict[str, Array]) -> list[Array]:
        sites, _ = bound_trace(target.model, arrays, unconstrained, given)
        return [sites[name]["value"] for name in moving]

    closed = jax.make_jaxpr(images)(target.arrays, shapes, values)
    place = {name: number for number, names in enumerate(owners) for name in names}
    for other in (*shapes, *values):
        if isinstance(blocks[place[other]][0], DiscreteGibbs):
            continue
        marks = (jax.tree.map(lambda _: False, target.arrays), *({name: name == other for name in own} for own in (shapes, values)))
        dependent = dependences(closed, [{} if own else None for own in jax.tree.leaves(marks)])
        for name, along in zip(moving, dependent):
            if along is not None and place[name] != place[other]:
                raise ValueError(
                    f"{kernel}: the support of site {name!r} depends on site {other!r} of another block, whose moves would move "
                    f"{name!r} with it; put both into the same block"
                )


def _checked_blocks(name: str, blocks: Any) -> tuple[tuple[MCMCKernel, Any], ...]:
    """The blocks with their names as tuples.

    Raises:
        ValueError: if they are not what they should be.
    """
    if not isinstance(blocks, Sequence) or not blocks:
        raise ValueError(f"{name}: expected a list of pairs (kernel, sites), found {describe(blocks)}")
    checked = []
    for number, pair in enumerate(blocks):
        if not isinstance(pair, tuple | list) or len(pair) != 2:
            raise ValueError(f"{name}: block {number} must be a pair (kernel, sites), found {describe(pair)}")
        kernel, sites = pair
        _check_kernel(name, number, kernel)
        if sites is not None and not callable(sites):
            if isinstance(sites, str) or not isinstance(sites, Iterable) or not all(isinstance(s, str) for s in sites):
                raise ValueError(
                    f"{name}: the sites of block {number} must be a list of names, a function or None, found {sites!r}"
                )
            sites = tuple(sites)
            if not sites:
                raise ValueError(f"{name}: block {number} has an empty list of sites; name some, or pass None for the rest")
        checked.append((kernel, sites))
    if sum(sites is None for _, sites in checked) > 1:
        raise ValueError(f"{name}: only one block can have None, the rest of the sites")
    return tuple(checked)


def _check_kernel(name: str, number: int, kernel: Any) -> None:
    if not isinstance(kernel, MCMCKernel):
        raise ValueError(
            f"{name}: block {number} needs a kernel such as NUTS(model) or CustomGibbs(gibbs_fn), found {describe(kernel)}"
        )
    if type(kernel).refresh is MCMCKernel.refresh:
        raise ValueError(f"{name}: {type(kernel).__name__} defines no refresh, which a block of Gibbs sampling needs")
    if isinstance(kernel, TargetKernel) and kernel.model is None:
        raise ValueError(f"{name}: block {number} is built from potential_fn; build {type(kernel).__name__} from the model")
    if kernel.is_ensemble_kernel:
        raise ValueError(
            f"{name}: {type(kernel).__name__} moves all chains together, where a block moves sites of one chain; use NUTS, HMC or "
            "BarkerMH"
        )
    if isinstance(kernel, TargetKernel) and kernel.not_a_block:
        raise ValueError(f"{name}: {type(kernel).__name__} {kernel.not_a_block}")
    anew = overridden(kernel, (*RUN_METHODS, "refresh")) if isinstance(kernel, TargetKernel) else []
    if anew:
        raise ValueError(
            f"{name}: {type(kernel).__name__} defines {', '.join(anew)} anew, which Gibbs sampling would not call: a chain inside "
            "it is a compiled process; use the kernel that it derives from, or write an MCMCKernel for a block of Gibbs([...])"
        )


def _common_model(name: str, kernels: Sequence[MCMCKernel]) -> Callable[..., Any]:
    models = [model for kernel in kernels if (model := getattr(kernel, "model", None)) is not None]
    if not models:
        raise ValueError(f"{name}: no block has a model; pass one to a kernel, as in DiscreteGibbs(model)")
    if any(model != models[0] for model in models[1:]):  # a bound method is a new object each time that it is named
        raise ValueError(f"{name}: the blocks have different models; build all kernels from the same function")
    return models[0]


def check_inner(name: str, kernel: Any) -> TargetKernel:
    """The inner kernel.

    Raises:
        ValueError: if it is none, or is built from a potential function.
    """
    if not isinstance(kernel, TargetKernel):
        own = "; a kernel of your own is a block: Gibbs([(CustomGibbs(gibbs_fn), [...]), (kernel, [...])])"
        raise ValueError(
            f"{name}: inner_kernel must be a kernel on continuous sites such as NUTS(model), found {describe(kernel)}"
            + (own if isinstance(kernel, MCMCKernel) else "")
        )
    if kernel.model is None:
        raise ValueError(
            f"{name}: inner_kernel is built from potential_fn, which has no sites to condition on; build {type(kernel).__name__} "
            "from the model"
        )
    return kernel


def check_inner_or_own(name: str, kernel: Any) -> Any:
    """The inner kernel, or one that the user wrote on a model: a block as well.

    Raises:
        ValueError: if it is neither.
    """
    is_own = isinstance(kernel, MCMCKernel) and not isinstance(kernel, TargetKernel) and hasattr(kernel, "model")
    return kernel if is_own else check_inner(name, kernel)


class DiscreteBlocks(Gibbs):
    """Kernels on all sites of a model: on its discrete ones by their states, on the others by an inner kernel."""

    def __init__(self, inner_kernel: MCMCKernel, *, random_walk: bool = False, modified: bool = False) -> None:
        inner = check_inner_or_own(type(self).__name__, inner_kernel)
        block = DiscreteGibbs(inner.model, random_walk=random_walk, modified=modified)
        super().__init__([(block, self._discrete_sites), (inner, None)])

    def _discrete_sites(self, trace: Trace) -> tuple[str, ...]:
        names = discrete_latent_sites(trace)
        if not names:
            raise ValueError(
                f"{type(self).__name__}: the model has no discrete latent site to update; use "
                f"{type(self.blocks[1][0]).__name__} alone"
            )
        return names
