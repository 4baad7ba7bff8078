"""A model bound to arguments: what an abstract run tells about its sites, without a single number being computed.

Arrays among the arguments stay arguments: of the same shape and type, other ones need no new trace and no new compilation.
Everything else (numbers, strings, None) is fixed. A model that needs numbers where a trace has none (it branches on data, or takes
a size from them) gets its arrays fixed too.
"""

import hashlib
import warnings
from collections.abc import Callable, Coroutine, Generator, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ppl import handlers
from ppl._typing import Array, Message, PyTree, Shape, Trace
from ppl.distributions import Delta, biject_to, constraints
from ppl.distributions.distribution import ExpandedDistribution, Independent, MaskedDistribution
from ppl.distributions.distribution.validation import holds, is_checkable, warn_out_of_support
from ppl.distributions.transforms import IdentityTransform, IndependentTransform, Transform
from ppl.distributions.util import TracedSupport
from ppl.handlers.enumeration import config_enumerate, is_enumerable, is_marked, without_support
from ppl.infer.target.enumeration import site_with_dislocated_states
from ppl.infer.target.mixing import mixed_elements
from ppl.trace import (
    check_plates,
    check_value,
    deterministic_sites,
    latent_sites,
    max_plate_nesting,
    observed_sites,
    subsampled_plates,
)
from ppl.util import describe, find_stack_level, not_jax_tracer

__all__ = [
    "NEEDS_NUMBERS",
    "ApartSite",
    "Arguments",
    "BoundModel",
    "LatentSite",
    "ModelCall",
    "bind",
    "check_call",
    "check_support",
    "contents",
    "plate_dims",
]

NEEDS_NUMBERS = (
    jax.errors.ConcretizationTypeError,
    jax.errors.TracerArrayConversionError,
    jax.errors.TracerIntegerConversionError,
    jax.errors.NonConcreteBooleanIndexError,
    TracedSupport,
)
NO_NUMBER = (
    "ppl: the model takes the value of a latent site, or what follows from one, for a known number. It is traced, so write "
    "jnp.where in place of `if`, jnp functions in place of NumPy's, and jnp.asarray(table)[z] to look something up"
)

Select = Callable[[Trace], Iterable[str]]


def _nothing(sites: Trace) -> tuple[str, ...]:
    return ()


def _is_array(leaf: Any) -> bool:
    return isinstance(leaf, jax.Array | np.ndarray | np.generic) and not (isinstance(leaf, np.ndarray) and leaf.dtype.kind in "OUS")


@dataclass(frozen=True)
class Arguments:
    """The arguments of a model without the arrays among them, which go into compiled programs; the rest is part of those."""

    static: tuple[Any, ...]
    is_array: tuple[bool, ...]
    structure: Any

    @staticmethod
    def split(args: tuple[Any, ...], kwargs: Mapping[str, Any], baked: bool = False) -> "tuple[Arguments, tuple[Any, ...]]":
        """Positional and keyword arguments without their arrays, and the arrays; with `baked` no array counts as one."""
        leaves, structure = jax.tree.flatten((args, dict(kwargs)))
        is_array = tuple(not baked and _is_array(leaf) for leaf in leaves)
        static = tuple(leaf for leaf, dynamic in zip(leaves, is_array) if not dynamic)
        arrays = tuple(leaf for leaf, dynamic in zip(leaves, is_array) if dynamic)
        return Arguments(static=static, is_array=is_array, structure=structure), arrays

    def join(self, arrays: tuple[Any, ...]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Positional and keyword arguments with these arrays."""
        dynamic, static = iter(arrays), iter(self.static)
        return jax.tree.unflatten(self.structure, [next(dynamic) if is_array else next(static) for is_array in self.is_array])

    def signature(self, arrays: tuple[Any, ...]) -> tuple[Any, ...]:
        """Equal for arguments that the same compiled program serves."""
        shapes = tuple((np.shape(array), str(jax.dtypes.canonicalize_dtype(array.dtype))) for array in arrays)
        return self.structure, self.is_array, tuple(_StaticLeaf(leaf) for leaf in self.static), shapes


def contents(arrays: tuple[Any, ...]) -> bytes:
    """Equal for arrays of equal contents, among arrays of the same shapes; for models that have them fixed."""
    total = hashlib.sha256()
    for array in arrays:
        total.update(np.ascontiguousarray(array).tobytes())
    return total.digest()


class _StaticLeaf:
    """Compares a fixed argument by type and value; by identity where values cannot be compared."""

    def __init__(self, leaf: Any) -> None:
        self.leaf = leaf

    def __hash__(self) -> int:
        try:
            return hash((type(self.leaf), self.leaf))
        except TypeError:
            return id(self.leaf)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, _StaticLeaf) or type(self.leaf) is not type(other.leaf):
            return False
        if self.leaf is other.leaf:
            return True
        return not isinstance(self.leaf, jax.Array | np.ndarray) and bool(self.leaf == other.leaf)


@dataclass(frozen=True)
class ModelCall:
    """A model with its fixed arguments: a function of the array arguments."""

    model: Callable[..., Any]
    arguments: Arguments

    def __call__(self, arrays: tuple[Any, ...]) -> Any:
        """Run the model."""
        args, kwargs = self.arguments.join(arrays)
        return self.model(*args, **kwargs)


@dataclass(frozen=True)
class LatentSite:
    """A latent site: constrained and unconstrained shapes, and the bijection; None where that depends on other sites or on data."""

    name: str
    shape: Shape
    unconstrained_shape: Shape
    transform: Transform | None


class ApartSite(NamedTuple):
    """A site (or the plate of a subsample) that no position holds: its constrained value is given from outside.

    Attributes:
        shape: of its value.
        dtype: of its value.
        event_dim: how many dimensions of the shape belong to the event.
        is_plate: whether it is the indices of a plate.
        support: of its value; None where that depends on other sites or on data.
    """

    shape: Shape
    dtype: Any
    event_dim: int
    is_plate: bool
    support: constraints.Constraint | None


class DataSite(NamedTuple):
    """An observed site: its name with that of its distribution, the place of its value among the arrays, and its support."""

    description: str
    place: int
    support: constraints.Constraint


@dataclass(frozen=True)
class Facts:
    """What an abstract run tells.

    Attributes:
        latents: the latent sites.
        deterministics: shapes of the deterministic sites.
        observed: names of the observed sites.
        dims: for each latent and deterministic site, the plates of its dimensions, and None where there is none.
        plate_sizes: the number of indices of each plate.
        dtype: of the unconstrained position.
        data: observed sites whose value is one of the array arguments.
        enumerated: the shapes of the discrete latent sites that are summed out.
        enumerated_outside: whether there are some outside of loops.
        max_plate_nesting: the number of batch dimensions that plates use.
        apart: the sites whose values are given from outside.
    """

    latents: tuple[LatentSite, ...]
    deterministics: dict[str, Shape]
    observed: tuple[str, ...]
    dims: dict[str, tuple[str | None, ...]]
    plate_sizes: dict[str, int]
    dtype: Any
    data: tuple["DataSite", ...]
    enumerated: dict[str, Shape]
    enumerated_outside: bool
    max_plate_nesting: int
    apart: dict[str, ApartSite]

    def shapes_apart(self) -> dict[str, jax.ShapeDtypeStruct]:
        """Shapes and types of the values that are given from outside."""
        return {name: jax.ShapeDtypeStruct(site.shape, site.dtype) for name, site in self.apart.items()}


@dataclass(frozen=True, eq=False)
class BoundModel:
    """A model bound to the shapes of its arguments. Compared by identity: it is the static part of a target."""

    call: ModelCall
    facts: Facts
    baked: bool = field(default=False)

    def trace(self, arrays: tuple[Any, ...], *around: Any) -> Trace:
        """Run the model inside these handlers, the last one innermost, and record its sites."""
        with handlers.trace() as sites, handlers.seed(rng_seed=0):
            _run_inside(self.call, arrays, around)
        return sites

    def enumerated_trace(self, arrays: tuple[Any, ...], *around: Any) -> Trace:
        """The same, with the discrete latent sites that have no value enumerated."""
        enumerate_sites = handlers.enum(first_available_dim=-1 - self.facts.max_plate_nesting)
        return self.trace(arrays, enumerate_sites, config_enumerate(), *around)

    def check_data(self, arrays: tuple[Any, ...]) -> None:
        """Warn of concrete data outside the support of their site."""
        for description, index, support in self.facts.data:
            if not_jax_tracer(arrays[index]):
                value = np.asarray(arrays[index])
                valid = holds(support, value)
                if not valid.all():
                    warn_out_of_support(description, value, valid, support, find_stack_level())


def _run_inside(call: ModelCall, arrays: tuple[Any, ...], around: tuple[Any, ...]) -> None:
    if not around:
        call(arrays)
        return
    with around[0]:
        _run_inside(call, arrays, around[1:])


def bind(
    model: Callable[..., Any],
    args: tuple[Any, ...],
    kwargs: Mapping[str, Any],
    *,
    check: bool = True,
    select: Select = _nothing,
    baked: bool = False,
) -> tuple[BoundModel, tuple[Any, ...]]:
    """Run the model abstractly and bind it to its arguments.

    Args:
        model: the model.
        args: its positional arguments.
        kwargs: its keyword arguments.
        check: refuse models that gradient methods cannot sample; otherwise latent sites without a bijection are left out.
        select: the names of the sites and plates whose values will be given from outside.
        baked: keep the arrays in the model, whose numbers it then sees; so it is anyway where it asks for them.

    Returns:
        The bound model, and the arrays among the arguments: what its programs are to be called with.

    Raises:
        ValueError: if a latent site cannot be sampled by a gradient method; whatever the model raises.
        TypeError: if the model is no function, or returns a generator.
    """
    check_call(model, args)
    arguments, arrays = Arguments.split(args, kwargs)
    if not baked:
        try:
            return _bound(ModelCall(model, arguments), arrays, check, select, baked=False), arrays
        except NEEDS_NUMBERS:
            if not arrays:
                raise
    call = ModelCall(model, Arguments.split(args, kwargs, baked=True)[0])
    return _bound(call, (), check, select, baked=True), ()


def _bound(call: ModelCall, arrays: tuple[Any, ...], check: bool, select: Select, baked: bool) -> BoundModel:
    try:
        bound = BoundModel(call, _facts(call, arrays, check, select), baked)
        if bound.facts.enumerated:
            _warn_of_dislocated_states(bound, arrays)
            _warn_of_mixed_elements(bound, arrays)
    except NEEDS_NUMBERS as error:
        error.add_note(NO_NUMBER)
        raise
    return bound


def _warn_of_dislocated_states(bound: BoundModel, arrays: tuple[Any, ...]) -> None:
    found: list[str | None] = []

    def run(arrays: tuple[Any, ...]) -> None:
        given = {site.name: jnp.zeros(site.shape) for site in bound.facts.latents}
        given |= {name: jnp.zeros(site.shape, site.dtype) for name, site in bound.facts.apart.items()}
        inside = config_enumerate(), handlers.substitute(data=given)

        def trace_inside(enumerate_sites: handlers.enum) -> Trace:
            return bound.trace(arrays, enumerate_sites, *inside)

        found.append(site_with_dislocated_states(trace_inside, bound.facts.max_plate_nesting))

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        jax.eval_shape(run, arrays)
    if found[0] is not None:
        warnings.warn(
            f"site {found[0]!r}: an enumerated value seems to meet a dimension of an event or of another site, where its states "
            "count as other entries and the log density is wrong; give the value a dimension for each of the event, as in "
            "`z[..., None] * vector`, and index a table with a plate in it by Vindex(table)[z, indices of the plate]",
            stacklevel=find_stack_level(),
        )


def _warn_of_mixed_elements(bound: BoundModel, arrays: tuple[Any, ...]) -> None:
    facts, rng = bound.facts, np.random.default_rng(0)
    is_known = all(map(not_jax_tracer, arrays)) and all(site.transform is not None for site in facts.latents)
    if not (is_known and facts.enumerated_outside):
        return
    position = {site.name: rng.uniform(-1, 1, site.unconstrained_shape).astype(facts.dtype) for site in facts.latents}
    given = {name: np.zeros(site.shape, site.dtype) for name, site in facts.apart.items()}

    def trace(inputs: Any) -> Trace:
        arrays, position = inputs
        values = {site.name: site.transform(position[site.name]) for site in facts.latents}  # type: ignore[misc]
        return bound.enumerated_trace(arrays, handlers.substitute(data=values | given))

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            found = mixed_elements(trace, (arrays, position))
        except Exception:  # what is wrong with the model is told elsewhere
            return
    if found is not None:
        warnings.warn(
            f"site {found.site!r}: its density mixes elements of the enumerated value of {found.enumerated!r}, or picks one of "
            "them, as z.sum() and z[0] do; but that value has all states, along a dimension of their own, and the log density is "
            "wrong; give the elements sites of their own (z0, z1, ...), or sample them by DiscreteHMCGibbs",
            stacklevel=find_stack_level(),
        )


def check_call(model: Any, args: Any) -> None:
    """Raise a `TypeError` unless `model` is a function and `args` a tuple or list."""
    if not callable(model):
        raise TypeError(f"the model must be a function, found {describe(model)}")
    if not isinstance(args, tuple | list):
        raise TypeError(f"model_args must be a tuple of positional arguments, found {describe(args)}; write ({args!r},)")


def _placeholder(site: Message) -> Array | None:
    """A value of the right shape and type for a latent site, whatever number it is."""
    if site["type"] != "sample" or site["is_observed"]:
        return None
    fn = site["fn"]
    return jnp.zeros(fn.shape(site["kwargs"]["sample_shape"]), int if fn.is_discrete else float)


def _facts(call: ModelCall, arrays: tuple[Any, ...], check: bool, select: Select) -> Facts:
    found: list[Facts] = []
    substituted: dict[str, None] = {}

    def value_of(site: Message) -> Any:
        if site["type"] == "sample" and not site["is_observed"] and site["value"] is not None:
            substituted[site["name"]] = None
        return _placeholder(site)

    def run(arrays: tuple[Any, ...]) -> None:
        with handlers.trace() as sites, handlers.seed(rng_seed=0), handlers.substitute(substitute_fn=value_of):
            out = call(arrays)
        if isinstance(out, Generator | Coroutine):
            out.close()
            raise TypeError(
                f"the model returned a {type(out).__name__}, which runs none of its statements; write it as an ordinary function, "
                "without yield and async"
            )
        found.append(_read_facts(sites, check, arrays, frozenset(select(sites))))

    jax.eval_shape(run, arrays)
    ignored = [name for name in substituted if check and name not in found[0].apart]
    if ignored:
        warnings.warn(
            f"the latent sites {ignored} have values by substitute, which does not observe them: they are sampled all the same; "
            "use handlers.condition to fix them",
            stacklevel=find_stack_level(),
        )
    return found[0]


def _read_facts(sites: Trace, check: bool, arrays: tuple[Any, ...], apart: frozenset[str]) -> Facts:
    latents = {name: site for name, site in latent_sites(sites).items() if name not in apart}
    if check:
        enumerated = _check_sites(sites, latents, apart)
        latents = {name: site for name, site in latents.items() if name not in enumerated}
    else:
        enumerated = tuple(name for name, site in latents.items() if is_marked(site) and is_enumerable(site))
        latents = {name: site for name, site in latents.items() if _has_bijection(site)}
    if enumerated:
        check_plates(sites, strict=True)
    deterministics = deterministic_sites(sites)
    return Facts(
        latents=tuple(_latent(name, site) for name, site in latents.items()),
        deterministics={name: np.shape(site["value"]) for name, site in deterministics.items()},
        observed=tuple(observed_sites(sites)),
        dims={name: plate_dims(site) for name, site in (latents | deterministics).items()},
        plate_sizes={name: np.shape(site["value"])[0] for name, site in sites.items() if site["type"] == "plate"},
        dtype=jnp.result_type(float),
        data=_data_sites(sites, arrays),
        enumerated={name: np.shape(sites[name]["value"]) for name in enumerated},
        enumerated_outside=any(not sites[name].get("time_dims", 0) for name in enumerated),
        max_plate_nesting=max_plate_nesting(sites),
        apart={name: _apart_site(sites[name]) for name in sites if name in apart},
    )


def _apart_site(site: Message) -> ApartSite:
    is_plate = site["type"] == "plate"
    shape, dtype = np.shape(site["value"]), jnp.result_type(site["value"])
    if is_plate:
        return ApartSite(shape, dtype, 0, True, None)
    return ApartSite(shape, dtype, site["fn"].event_dim, False, _known_support(site))


def _data_sites(sites: Trace, arrays: tuple[Any, ...]) -> tuple[DataSite, ...]:
    """The observed sites, without a mask and with a known support, whose value is one of the arrays as it is."""
    found = []
    for name, site in observed_sites(sites).items():
        index = next((i for i, array in enumerate(arrays) if array is site["value"]), None)
        base = site["fn"]
        while isinstance(base, Independent | ExpandedDistribution):
            base = base.base_dist
        if index is None or isinstance(base, MaskedDistribution) or not base._validate_args:
            continue
        support = _known_support(site)
        if support is not None:
            found.append(DataSite(f"site {name!r} ~ {type(base).__name__}", index, support))
    return tuple(found)


def _known_support(site: Message) -> constraints.Constraint | None:
    support = site["fn"].support
    return support if isinstance(support, constraints.Constraint) and is_checkable(support) else None


def plate_dims(site: Message) -> tuple[str | None, ...]:
    """The plate of each dimension of the value."""
    rank = np.ndim(site["value"])
    event_dim = site["fn"].event_dim if site["type"] == "sample" else 0
    dims: list[str | None] = [None] * rank
    for frame in site["cond_indep_stack"]:
        position = rank - event_dim + frame.dim
        if 0 <= position < rank and np.shape(site["value"])[position] == frame.size:
            dims[position] = frame.name
    return tuple(dims)


class DiscreteSiteError(RuntimeError, ValueError):
    """A discrete latent site that a gradient-based kernel can neither sample nor sum out."""


def _check_sites(sites: Trace, latents: Trace, apart: frozenset[str]) -> tuple[str, ...]:
    """Refuse models that gradient methods cannot sample; the discrete sites that are to be summed out."""
    for site in sites.values():
        if site["type"] == "sample":
            check_value(site)
    subsampled = {name: site for name, site in subsampled_plates(sites).items() if name not in apart}
    if subsampled:
        name, site = next(iter(subsampled.items()))
        raise ValueError(
            f"plate {name!r} uses {np.shape(site['value'])[0]} of its {site['args'][0]} elements; HMC and NUTS cannot subsample, "
            "since they need the density of all data: drop subsample_size, or use SVI or HMCECS"
        )
    check_plates(sites)
    discrete = {name: site for name, site in latents.items() if site["fn"].is_discrete and not _is_delta(site["fn"])}
    for name, site in discrete.items():
        _check_enumerable(name, site)
    for name, site in latents.items():
        if name not in discrete:
            check_support(name, site)
    if discrete and len(discrete) == len(latents) and not apart:
        raise ValueError(
            f"the latent sites {list(discrete)} are all discrete, and nothing is left to sample once they are summed out: draw "
            "them with Predictive(model, num_samples=n, infer_discrete=True), or take their probabilities from compute_marginals"
        )
    unmarked = [name for name, site in discrete.items() if not is_marked(site)]
    if unmarked:
        warnings.warn(
            f"the discrete latent sites {unmarked} are summed out as enumerated sites; say so in the model, with "
            "infer={'enumerate': 'parallel'} or config_enumerate",
            FutureWarning,
            stacklevel=find_stack_level(),
        )
    return tuple(discrete)


def _check_enumerable(name: str, site: Message) -> None:
    """Refuse discrete latent sites that cannot be summed out."""
    fn, hint = site["fn"], site["infer"].get("enumerate") or "parallel"
    if hint != "parallel":
        raise DiscreteSiteError(
            f"site {name!r}: infer={{'enumerate': {hint!r}}} is not possible in MCMC, which enumerates in parallel; write "
            "'parallel', or sample the site with DiscreteHMCGibbs"
        )
    if not fn.has_enumerate_support:
        raise DiscreteSiteError(
            f"site {name!r} {without_support(fn)}. A gradient-based kernel cannot handle discrete latent sites other than by "
            "summing them out"
        )


def _is_delta(fn: Any) -> bool:
    while hasattr(fn, "base_dist") and not isinstance(fn, Delta):
        fn = fn.base_dist
    return isinstance(fn, Delta)


def check_support(name: str, site: Message) -> None:
    """Refuse latent sites that gradient methods cannot sample; warn where they sample badly."""
    fn = site["fn"]
    if _is_delta(fn):
        raise ValueError(
            f"site {name!r} is latent and has a delta distribution, which has no density to sample from; "
            "use ppl.deterministic for a value that follows from others"
        )
    support = fn.support
    if support.is_discrete:
        raise DiscreteSiteError(
            f"site {name!r} ~ {type(fn).__name__} is latent and discrete: a gradient-based kernel cannot handle discrete latent "
            "sites other than by summing them out; observe it, or give it a finite support"
        )
    kind = support
    while isinstance(kind, constraints._IndependentConstraint):
        kind = kind.base_constraint
    if kind is constraints.sphere:
        raise ValueError(
            f"site {name!r} lies on a sphere, which no bijection from the reals covers: use "
            f"handlers.reparam(config={{{name!r}: ProjectedNormalReparam()}})"
        )
    if kind is constraints.circular:
        warnings.warn(
            f"site {name!r} has circular support: chains cannot cross its ends at -pi and pi; consider "
            f"handlers.reparam(config={{{name!r}: CircularReparam()}})",
            stacklevel=find_stack_level(),
        )


def _has_bijection(site: Message) -> bool:
    try:
        biject_to(site["fn"].support)
    except NotImplementedError:
        return False
    return True


def _latent(name: str, site: Message) -> LatentSite:
    support = site["fn"].support
    try:
        transform = biject_to(support)
    except NotImplementedError as error:
        raise ValueError(
            f"site {name!r} has support {describe(support)}, for which no bijection from the reals is registered"
        ) from error
    shape = np.shape(site["value"])
    leaves: PyTree = jax.tree.leaves((support, transform))
    is_fixed = not any(isinstance(leaf, jax.core.Tracer) for leaf in leaves)
    return LatentSite(
        name=name,
        shape=shape,
        unconstrained_shape=tuple(transform.inverse_shape(shape)),
        transform=transform if is_fixed else None,
    )


def is_identity(transform: Transform) -> bool:
    """Whether a transform changes nothing."""
    while isinstance(transform, IndependentTransform):
        transform = transform.base_transform
    return isinstance(transform, IdentityTransform)
