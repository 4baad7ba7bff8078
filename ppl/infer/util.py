"""Models as functions: densities, start values, and the way between constrained and unconstrained values.

Unconstrained values live on the reals; each latent site has a bijection from there to its support (`ppl.distributions.biject_to`).
"""

import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ppl import handlers
from ppl._random import is_typed, words
from ppl._typing import Array, Key, Message, Trace
from ppl.distributions import biject_to
from ppl.distributions.transforms import Transform
from ppl.infer.initialization import init_to_uniform
from ppl.infer.predictive import Predictive, log_likelihood
from ppl.infer.target.density import Target, bound_trace
from ppl.infer.target.diagnose import explain
from ppl.infer.target.enumeration import enumerated_log_density
from ppl.infer.target.layout import Layout
from ppl.infer.target.model import Arguments, BoundModel, bind, check_call, check_support
from ppl.infer.target.start import Strategy, find_start, propose_start
from ppl.ops.pytree import PytreeTrace
from ppl.trace import check_plates, max_plate_nesting, observed_sites, sample_sites, site_log_prob
from ppl.trace import log_density as density_of_trace
from ppl.util import as_key, describe, find_stack_level, not_jax_tracer, soft_vmap

__all__ = [
    "ModelInfo",
    "ParamInfo",
    "Predictive",
    "compute_log_probs",
    "constrain_fn",
    "find_valid_initial_params",
    "get_importance_trace",
    "get_potential_fn",
    "get_transforms",
    "helpful_support_errors",
    "initialize_model",
    "log_density",
    "log_likelihood",
    "potential_energy",
    "transform_fn",
    "unconstrain_fn",
]

Model = Callable[..., Any]
Args = tuple[Any, ...]
Kwargs = Mapping[str, Any] | None


# Densities


def log_density(model: Model, model_args: Args, model_kwargs: Kwargs, params: Mapping[str, Any]) -> tuple[Array, Trace]:
    """The log density of a model at constrained values: the sum over all sample sites, masked and scaled; no Jacobians.

    Args:
        model: the model; where it has latent sites that are not in `params`, inside `handlers.seed`.
        model_args: its positional arguments.
        model_kwargs: its keyword arguments, or None.
        params: constrained values of latent and param sites.

    Returns:
        The log density, a scalar, and the trace.

    Example:
        >>> import ppl
        >>> import ppl.distributions as dist
        >>> from ppl.infer.util import log_density
        >>> round(float(log_density(lambda: ppl.sample("x", dist.Exponential(1.0)), (), {}, {"x": 2.0})[0]), 4)
        -2.0
    """
    sites = _trace_at(model, model_args, model_kwargs, params)
    return density_of_trace(sites), sites


def compute_log_probs(
    model: Model, model_args: Args, model_kwargs: Kwargs, params: Mapping[str, Any], sum_log_prob: bool = True
) -> tuple[dict[str, Array], Trace]:
    """The log probability of each sample site at constrained values, masked and scaled.

    Args:
        model: as in `log_density`.
        model_args: its positional arguments.
        model_kwargs: its keyword arguments, or None.
        params: constrained values.
        sum_log_prob: sum over the batch of a site.

    Returns:
        A dict from names of sites to scalars, or to arrays of their batch shapes; and the trace.

    Raises:
        ValueError: if a value does not fit its distribution.
    """
    sites = _trace_at(model, model_args, model_kwargs, params)
    log_probs = {name: site_log_prob(site) for name, site in sample_sites(sites).items()}
    return {name: jnp.sum(x) if sum_log_prob else x for name, x in log_probs.items()}, sites


def _trace_at(model: Model, args: Args, kwargs: Kwargs, params: Mapping[str, Any]) -> Trace:
    check_call(model, args)
    with handlers.trace() as sites, handlers.substitute(data=params):
        model(*args, **(kwargs or {}))
    return sites


def potential_energy(model: Model, model_args: Args, model_kwargs: Kwargs, params: Mapping[str, Any], enum: bool = False) -> Array:
    """Minus the log density on the unconstrained space: `-(log p(x) + log |det dx/dz|)` at `x = T(z)`.

    Args:
        model: the model.
        model_args: its positional arguments.
        model_kwargs: its keyword arguments, or None.
        params: unconstrained values z of the latent sites; of discrete sites their values.
        enum: sum out the discrete sites that have no value.

    Raises:
        ValueError: if a latent site has no value.

    Example:
        >>> import ppl
        >>> import ppl.distributions as dist
        >>> from ppl.infer.util import potential_energy
        >>> round(float(potential_energy(lambda: ppl.sample("x", dist.Exponential(1.0)), (), {}, {"x": 0.0})), 4)
        1.0
    """
    bound, arrays = bind(model, model_args, model_kwargs or {}, check=False)
    _check_complete("potential_energy", bound, params)
    sites, log_jacobian = _trace_unconstrained(bound, arrays, params, enum=enum)
    density = enumerated_log_density(sites) if enum and bound.facts.enumerated else density_of_trace(sites)
    return -(density + log_jacobian)


def _check_complete(function: str, bound: BoundModel, params: Mapping[str, Any]) -> None:
    missing = [site.name for site in bound.facts.latents if site.name not in params]
    if missing:
        raise ValueError(f"{function}: no values of latent sites {missing}; found those of {sorted(params)}")


def _trace_unconstrained(
    bound: BoundModel, arrays: tuple[Any, ...], params: Mapping[str, Any], *, enum: bool = False
) -> tuple[Trace, Array | float]:
    """The trace at unconstrained values, and the sum of the log Jacobians of the latent sites.

    Sample sites without a bijection, such as discrete ones, take values as they are; param sites have no Jacobian.
    """
    shapes = {site.name: site.unconstrained_shape for site in bound.facts.latents}
    names = set(shapes)
    moving = {name: jnp.asarray(value) for name, value in params.items() if name in names}
    for name, value in moving.items():
        if value.shape != shapes[name]:
            raise ValueError(
                f"site {name!r}: an unconstrained value of shape {value.shape} was found, expected {shapes[name]}; "
                "unconstrain_fn maps constrained values there, and batch_ndims tells of leading dimensions"
            )

    def value_of(site: Message) -> Any:
        if site["name"] in names or site["name"] not in params or site["type"] == "deterministic":
            return None
        value = params[site["name"]]
        return jax.tree.map(biject_to(site["kwargs"]["constraint"]), value) if site["type"] == "param" else value

    with handlers.substitute(substitute_fn=value_of):
        return bound_trace(bound, arrays, moving, {}, enumerate=enum)


def get_importance_trace(
    model: Model, guide: Model, args: Args, kwargs: Mapping[str, Any], params: Mapping[str, Any]
) -> tuple[Trace, Trace]:
    """The trace of a guide, and that of the model at the guide's values; sample sites have their `"log_prob"`.

    Args:
        model: the model, inside `handlers.seed`.
        guide: the guide, inside `handlers.seed`.
        args: positional arguments of both.
        kwargs: keyword arguments of both.
        params: values of param sites.

    Returns:
        The model's trace and the guide's. Log probabilities are masked and scaled, and have the batch shapes of their sites.
    """
    guide_trace = _trace_at(guide, args, kwargs, params)
    model_trace = _trace_at(handlers.replay(model, trace=guide_trace), args, kwargs, params)
    return _with_log_probs(model_trace), _with_log_probs(guide_trace)


def _with_log_probs(sites: Trace) -> Trace:
    return type(sites)(
        (name, {**site, "log_prob": site_log_prob(site)} if site["type"] == "sample" else site) for name, site in sites.items()
    )


# Constrained and unconstrained values


def transform_fn(transforms: Mapping[str, Transform], params: Mapping[str, Any], invert: bool = False) -> dict[str, Any]:
    """Each value under the transform of its name; values without a transform are left alone.

    Args:
        transforms: a dict from names to transforms.
        params: a dict from names to values.
        invert: apply the inverses.
    """
    chosen = {name: t.inv if invert else t for name, t in transforms.items()}
    return {name: jax.tree.map(chosen[name], value) if name in chosen else value for name, value in params.items()}


def get_transforms(model: Model, model_args: Args, model_kwargs: Kwargs, params: Mapping[str, Any]) -> dict[str, Transform]:
    """The bijections from the reals to the supports of the latent sites and the constraints of the param sites.

    Args:
        model: the model.
        model_args: its positional arguments.
        model_kwargs: its keyword arguments, or None.
        params: constrained values, on which supports may depend; other sites are drawn.
    """
    found = {}
    for name, site in _seeded_trace(model, model_args, model_kwargs, params).items():
        if site["type"] == "param":
            found[name] = biject_to(site["kwargs"]["constraint"])
        elif site["type"] == "sample" and not site["is_observed"] and not site["fn"].is_discrete:
            with helpful_support_errors(site):
                found[name] = biject_to(site["fn"].support)
    return found


def _seeded_trace(model: Model, args: Args, kwargs: Kwargs, params: Mapping[str, Any]) -> Trace:
    with handlers.seed(rng_seed=0):
        return _trace_at(model, args, kwargs, params)


def unconstrain_fn(model: Model, model_args: Args, model_kwargs: Kwargs, params: Mapping[str, Any]) -> dict[str, Any]:
    """Unconstrained values: the inverse of `constrain_fn`.

    Args:
        model: the model.
        model_args: its positional arguments.
        model_kwargs: its keyword arguments, or None.
        params: constrained values.

    Example:
        >>> import ppl
        >>> import ppl.distributions as dist
        >>> from ppl.infer.util import unconstrain_fn
        >>> float(unconstrain_fn(lambda: ppl.sample("x", dist.Exponential(1.0)), (), {}, {"x": 1.0})["x"])
        0.0
    """
    transforms = get_transforms(model, model_args, model_kwargs, params)
    unconstrained = transform_fn(transforms, params, invert=True)
    for name in transforms:
        if name in params and any(not_jax_tracer(x) and np.isnan(x).any() for x in jax.tree.leaves(unconstrained[name])):
            raise ValueError(
                f"unconstrain_fn: the value of site {name!r} lies outside the support {transforms[name].codomain!r}: "
                f"{params[name]!r}"
            )
    return unconstrained


def constrain_fn(
    model: Model,
    model_args: Args,
    model_kwargs: Kwargs,
    params: Mapping[str, Any],
    return_deterministic: bool = False,
    batch_ndims: int = 0,
) -> dict[str, Any]:
    """Constrained values, by a run of the model, since a support may depend on other sites.

    Args:
        model: the model.
        model_args: its positional arguments.
        model_kwargs: its keyword arguments, or None.
        params: unconstrained values of latent and param sites, with `batch_ndims` leading dimensions.
        return_deterministic: also return the deterministic sites.
        batch_ndims: number of leading dimensions.

    Raises:
        ValueError: if `batch_ndims` is negative.

    Example:
        >>> import ppl
        >>> import ppl.distributions as dist
        >>> from ppl.infer.util import constrain_fn
        >>> float(constrain_fn(lambda: ppl.sample("x", dist.Exponential(1.0)), (), {}, {"x": 0.0})["x"])
        1.0
    """
    if isinstance(batch_ndims, bool) or not isinstance(batch_ndims, int) or batch_ndims < 0:
        raise ValueError(f"constrain_fn: batch_ndims must be a number of dimensions, at least 0; found {batch_ndims!r}")
    bound, arrays = bind(model, model_args, model_kwargs or {}, check=False)

    def constrain(params: Mapping[str, Any]) -> dict[str, Any]:
        sites, _ = _trace_unconstrained(bound, arrays, params)
        names = [n for n, s in sites.items() if n in params or (return_deterministic and s["type"] == "deterministic")]
        return {name: jax.tree.map(jnp.asarray, sites[name]["value"]) for name in names}

    return soft_vmap(constrain, dict(params), batch_ndims)


# Start values


class ParamInfo(NamedTuple):
    """A start: unconstrained values, the potential energy there, and its gradient."""

    z: dict[str, Array]
    potential_energy: Array
    z_grad: dict[str, Array]


class ModelInfo(NamedTuple):
    """What a sampler needs of a model.

    Attributes:
        param_info: a start.
        potential_fn: the potential energy as a function of unconstrained values.
        postprocess_fn: from unconstrained values to constrained ones and deterministic sites.
        model_trace: the trace at the start.
    """

    param_info: ParamInfo
    potential_fn: Callable[..., Any]
    postprocess_fn: Callable[..., Any]
    model_trace: Trace


def initialize_model(
    rng_key: Key,
    model: Model,
    *,
    init_strategy: Strategy = init_to_uniform,
    dynamic_args: bool = False,
    model_args: Args = (),
    model_kwargs: Kwargs = None,
    forward_mode_differentiation: bool = False,
    validate_grad: bool = True,
) -> ModelInfo:
    """A model as a potential energy function, with a start: what one needs for a sampler of one's own.

    Args:
        rng_key: a random key or an integer seed; of an array of keys every part of the start gets a leading dimension.
        model: the model.
        init_strategy: how start values are proposed.
        dynamic_args: make `potential_fn` and `postprocess_fn` functions of the model's arguments that return the functions.
        model_args: positional arguments of the model.
        model_kwargs: its keyword arguments, or None.
        forward_mode_differentiation: make the gradient of directional derivatives.
        validate_grad: ask for a start with a finite gradient, too.

    Raises:
        RuntimeError: if no start with finite density is found, with the sites that are to blame.
        ValueError: if the model has latent sites that gradient methods cannot sample.

    Example:
        >>> import ppl
        >>> import ppl.distributions as dist
        >>> from jax import random
        >>> from ppl.infer.util import initialize_model
        >>> info = initialize_model(random.key(0), lambda: ppl.sample("x", dist.Exponential(1.0)))
        >>> round(float(info.potential_fn({"x": 0.0})), 4)
        1.0
    """
    kwargs = dict(model_kwargs or {})
    target = _target(model, model_args, kwargs, forward_mode_differentiation)
    starts = _find_starts(rng_key, target, init_strategy, validate_grad)
    _check_valid(target, starts)

    def potential_of(*args: Any, **kwargs: Any) -> Callable[[Mapping[str, Any]], Array]:
        own = _with_arguments(target, args, kwargs)
        return lambda z: own(_position(own.layout, z))

    def postprocess_of(*args: Any, **kwargs: Any) -> Callable[[Mapping[str, Any]], dict[str, Array]]:
        own = _with_arguments(target, args, kwargs)
        return lambda z: own.constrain(_position(own.layout, z))

    if dynamic_args:
        potential_fn: Callable[..., Any] = potential_of
        postprocess_fn: Callable[..., Any] = postprocess_of
    else:
        potential_fn, postprocess_fn = potential_of(*model_args, **kwargs), postprocess_of(*model_args, **kwargs)
    return ModelInfo(starts.info, potential_fn, postprocess_fn, starts.sites.trace)


def find_valid_initial_params(
    rng_key: Key,
    model: Model,
    *,
    init_strategy: Strategy = init_to_uniform,
    enum: bool = False,
    model_args: Args = (),
    model_kwargs: Kwargs = None,
    prototype_params: Mapping[str, Any] | None = None,
    forward_mode_differentiation: bool = False,
    validate_grad: bool = True,
) -> tuple[tuple[dict[str, Array], Array, dict[str, Array]], Array]:
    """Unconstrained values with finite potential energy and gradient, out of at most 100 proposals.

    Args:
        rng_key: as in `initialize_model`.
        model: the model.
        init_strategy: how start values are proposed.
        enum: sum out discrete sites, as is done anyway.
        model_args: positional arguments of the model.
        model_kwargs: its keyword arguments, or None.
        prototype_params: unconstrained values whose names are compared with those of the latent sites.
        forward_mode_differentiation: make the gradient of directional derivatives.
        validate_grad: ask for a finite gradient, too.

    Returns:
        `((z, potential energy, gradient), is_valid)`; the last try where no one was valid.

    Raises:
        ValueError: if a name in `prototype_params` is no latent site.
    """
    target = _target(model, model_args, dict(model_kwargs or {}), forward_mode_differentiation)
    if prototype_params is not None:
        target.layout.check_names(prototype_params)
    starts = _find_starts(rng_key, target, init_strategy, validate_grad)
    info = starts.info
    return (info.z, info.potential_energy, info.z_grad), starts.is_valid


def _target(model: Model, args: Args, kwargs: Mapping[str, Any], forward_mode: bool) -> Target:
    """The posterior of a model."""
    bound, arrays = bind(model, args, kwargs)
    layout = Layout.of({site.name: site.unconstrained_shape for site in bound.facts.latents}, bound.facts.dtype)
    return Target(arrays, {}, bound, layout, forward_mode)


def _with_arguments(target: Target, args: Args, kwargs: Mapping[str, Any]) -> Target:
    """The posterior of the same model with other arguments."""
    call = target.model.call
    arguments, arrays = Arguments.split(args, kwargs)
    if not target.model.baked and arguments.signature(arrays) == call.arguments.signature(target.arrays):
        return replace(target, arrays=arrays)
    return _target(call.model, args, kwargs, target.forward_mode)


def _position(layout: Layout, z: Mapping[str, Any]) -> Array:
    """The flat position of unconstrained values.

    Raises:
        ValueError: if a site is missing.
    """
    missing = sorted(set(layout.names) - set(z))
    if missing:
        raise ValueError(f"no unconstrained values of latent sites {missing}; found those of {sorted(z)}")
    return layout.ravel(z)


class _Starts(NamedTuple):
    """Starts, with a leading dimension where there are several keys, and the trace at the first.

    Attributes:
        position: `(d,)` each.
        info: what the user gets.
        is_valid: whether density and gradient are finite.
        sites: a `PytreeTrace`.
    """

    position: Array
    info: ParamInfo
    is_valid: Array
    sites: Any


def _find_starts(rng_key: Any, target: Target, strategy: Strategy, validate_grad: bool) -> _Starts:
    """Starts for one key or for an array of keys, by one program."""
    keys = rng_key if isinstance(rng_key, jax.Array) and rng_key.ndim > 0 else as_key(rng_key)
    is_many = keys.ndim > (0 if is_typed(keys) else 1)

    def find(key: Key, target: Target) -> tuple[Array, ParamInfo, Array]:
        start = find_start(words(key), lambda key, attempt: propose_start(key, attempt, target, strategy), target, validate_grad)
        unravel = target.layout.unravel
        info = ParamInfo(unravel(start.position), start.potential_energy, unravel(start.gradient))
        return start.position, info, start.is_valid

    @jax.jit
    def run(keys: Key, target: Target) -> _Starts:
        position, info, is_valid = jax.vmap(find, in_axes=(0, None))(keys, target) if is_many else find(keys, target)
        first = target.layout.unravel(position[0] if is_many else position)
        sites, _ = bound_trace(target.model, target.arrays, first, target.fixed)
        return _Starts(position, info, is_valid, PytreeTrace(sites))

    return run(keys, target)


def _check_valid(target: Target, starts: _Starts) -> None:
    """Say why a start has no finite density; nothing is said inside other programs.

    Raises:
        RuntimeError: if one has not.
    """
    if not not_jax_tracer(starts.is_valid) or np.asarray(starts.is_valid).all():
        return
    for name, site in observed_sites(starts.sites.trace).items():
        if not np.all(site["fn"].support(site["value"])):
            warnings.warn(
                f"Site {name}: Out-of-support values provided to log prob method. The value argument should be within the support.",
                stacklevel=find_stack_level(),
            )
    worst = int(np.argmin(np.asarray(starts.is_valid)))
    position = np.asarray(starts.position).reshape(-1, target.layout.dimension)[worst]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the reasons name sites, which a warning of a distribution cannot
        details = "".join(f"\n  {reason}" for reason in explain(target, position))
    raise RuntimeError(
        "Cannot find valid initial parameters: 100 proposals had no finite log density with a finite gradient. At the last one:"
        f"{details}\nCheck the data and the supports, or choose another init_strategy such as init_to_median or init_to_value."
    )


def get_potential_fn(
    model: Model,
    inv_transforms: Mapping[str, Transform],
    *,
    enum: bool = False,
    replay_model: bool = False,
    dynamic_args: bool = False,
    model_args: Args = (),
    model_kwargs: Kwargs = None,
) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """The potential energy of a model, and the way from unconstrained to constrained values.

    Args:
        model: the model.
        inv_transforms: bijections from the reals to the supports of the latent sites.
        enum: sum out discrete sites.
        replay_model: run the model to constrain values, which also gives deterministic sites; otherwise apply `inv_transforms`.
        dynamic_args: make both functions of the model's arguments that return the functions.
        model_args: positional arguments of the model.
        model_kwargs: its keyword arguments, or None.

    Returns:
        `(potential_fn, postprocess_fn)`, functions of unconstrained values.
    """

    def potential_of(*args: Any, **kwargs: Any) -> Callable[[Mapping[str, Any]], Array]:
        return partial(potential_energy, model, args, kwargs, enum=enum)

    def postprocess_of(*args: Any, **kwargs: Any) -> Callable[[Mapping[str, Any]], dict[str, Any]]:
        if replay_model:
            return partial(constrain_fn, model, args, kwargs, return_deterministic=True)
        return partial(transform_fn, inv_transforms)

    if dynamic_args:
        return potential_of, postprocess_of
    kwargs = dict(model_kwargs or {})
    return potential_of(*model_args, **kwargs), postprocess_of(*model_args, **kwargs)


# Checks


@contextmanager
def helpful_support_errors(site: Message, raise_warnings: bool = False) -> Iterator[None]:
    """Within the context, that there is no bijection to the support of a site is an error that names site and cure.

    Args:
        site: the site.
        raise_warnings: warn where the support is circular.

    Raises:
        ValueError: if a `NotImplementedError` was raised within.
    """
    name, support = site["name"], site["fn"].support
    try:
        yield
    except NotImplementedError as error:
        check_support(name, site)
        raise ValueError(f"site {name!r} has support {describe(support)}, for which no bijection is registered") from error
    if raise_warnings:
        check_support(name, site)


_guess_max_plate_nesting = max_plate_nesting


def _validate_model(model_trace: Trace, plate_warning: str = "strict") -> None:
    check_plates(model_trace, strict=plate_warning == "error")
