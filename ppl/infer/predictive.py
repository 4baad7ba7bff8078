"""Draws from a model: prior and posterior predictive samples, and the log likelihood of the data for each draw.

A call is one compiled program: the model is traced for a single draw, and that draw is repeated in chunks as large as memory
allows. Arrays among the model's arguments are arguments of the program.
"""

import warnings
from collections import OrderedDict
from collections.abc import Callable, Collection, Mapping
from math import prod
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import random

from ppl import handlers
from ppl._typing import Array, Key, Message, PyTree, Shape, Trace
from ppl.infer.arguments import check_count
from ppl.infer.discrete import infer_discrete
from ppl.infer.evidence import enumerated_given_data
from ppl.infer.map_draws import map_draws
from ppl.infer.target.model import NEEDS_NUMBERS, Arguments, contents
from ppl.trace import observed_sites, site_log_prob, subsampled_plates
from ppl.util import as_key, check_seed, find_stack_level, is_prng_key, not_jax_tracer

__all__ = ["Predictive", "log_likelihood"]

MAX_PROGRAMS = 8


# Programs


class _Programs:
    """Compiled functions of the arguments of a model: one for each combination of shapes and fixed arguments.

    Args:
        build: makes a function `(arrays, *others)` of fixed arguments.
    """

    def __init__(self, build: Callable[[Arguments], Callable[..., Any]]) -> None:
        self._build = build
        self._compiled: dict[Any, Callable[..., Any]] = {}
        self._baked: set[Any] = set()

    def __call__(self, args: tuple[Any, ...], kwargs: Mapping[str, Any], *others: Any) -> Any:
        """Run the program. A model that needs to see numbers gets its arrays as constants."""
        arguments, arrays = Arguments.split(args, kwargs)
        signature = arguments.signature(arrays)
        if signature not in self._baked:
            try:
                return self._get(signature, arguments)(arrays, *others)
            except NEEDS_NUMBERS:
                del self._compiled[signature]
                if not arrays or not all(map(not_jax_tracer, arrays)):
                    raise
                self._baked.add(signature)
        fixed, _ = Arguments.split(args, kwargs, baked=True)
        return self._get((signature, contents(arrays)), fixed)((), *others)

    def _get(self, signature: Any, arguments: Arguments) -> Callable[..., Any]:
        if signature not in self._compiled:
            if len(self._compiled) >= MAX_PROGRAMS:
                self._compiled.pop(next(iter(self._compiled)))
            self._compiled[signature] = jax.jit(self._build(arguments))
        return self._compiled[signature]


# Batches of samples


def _batch_shape(what: str, samples: Mapping[str, Any], batch_ndims: int) -> Shape | None:
    """The common leading `batch_ndims` dimensions; None where there are no samples.

    Raises:
        ValueError: if they differ, or there are fewer.
    """
    first: tuple[str, Shape] | None = None
    for name, value in samples.items():
        for leaf in jax.tree.leaves(value):
            shape = np.shape(leaf)
            if len(shape) < batch_ndims:
                raise ValueError(
                    f"{what}: site {name!r} has shape {shape}, expected batch_ndims={batch_ndims} leading batch dimensions; pass "
                    "batch_ndims=0 for a single draw, 1 for many, 2 for draws grouped by chain"
                )
            batch = shape[:batch_ndims]
            if first is None:
                first = (name, batch)
            elif batch != first[1]:
                raise ValueError(
                    f"{what}: site {name!r} has batch shape {batch}, but site {first[0]!r} has {first[1]} "
                    f"(batch_ndims={batch_ndims}); pass the same number of draws of each site"
                )
    return None if first is None else first[1]


def _flatten_batch(samples: PyTree, batch_ndims: int) -> PyTree:
    """One leading axis in place of `batch_ndims`, in a program that is being traced."""

    def flatten(x: Any) -> Array:
        shape = np.shape(x)
        return jnp.reshape(x, (prod(shape[:batch_ndims]), *shape[batch_ndims:]))

    return jax.tree.map(flatten, samples)


def _restore_batch(values: PyTree, batch_shape: Shape) -> PyTree:
    return jax.tree.map(lambda y: y.reshape((*batch_shape, *y.shape[1:])), values)


def _check_batch_ndims(what: str, batch_ndims: Any) -> None:
    if isinstance(batch_ndims, bool) or not isinstance(batch_ndims, int) or batch_ndims < 0:
        raise ValueError(f"{what}: batch_ndims must be a number of dimensions, at least 0; found {batch_ndims!r}")


def _check_given(what: str, sites: Trace, given: Mapping[str, Any]) -> None:
    """Refuse values that would broadcast: of a sample site, they have the shape that the distribution says.

    Raises:
        ValueError: if one has not.
    """
    for name, site in sites.items():
        if name not in given or site["type"] != "sample":
            continue
        found, expected = np.shape(site["value"]), site["fn"].shape(site["kwargs"]["sample_shape"])
        rank = max(len(found), len(expected))
        if (1,) * (rank - len(found)) + found != (1,) * (rank - len(expected)) + expected:
            raise ValueError(
                f"{what}: one draw of site {name!r} has shape {found}, but the model says {expected}; pass batch_ndims=2 for draws "
                "grouped by chain, batch_ndims=0 for a single one, or the arguments with which the draws were made"
            )


# Prediction


class Predictive:
    """Draws of a model's sites: from the prior, given draws from a posterior, or given draws from a guide.

    Draw i has its own random key, made of `rng_key` and i, so that it is the same whatever `parallel` is.

    Args:
        model: the model.
        posterior_samples: a dict from names of sites to draws with `batch_ndims` leading dimensions; other sites are drawn.
        guide: draws from the guide take the place of `posterior_samples`.
        params: values of param sites of guide and model; with a guide, `batch_ndims` leading dimensions number particles.
        num_samples: the number of draws; of posterior samples it is known.
        return_sites: names of the sites to return. By default sample sites without samples, and deterministic sites.
        infer_discrete: draw discrete sites with a finite support from their joint posterior, given the samples and the observed
            data, instead of given their parents. Sites that no data depend on, such as data to be predicted, are drawn as they
            would be without it, unless they are marked `infer={"enumerate": "parallel"}`.
        parallel: compute all draws at a time; otherwise as many as need little memory.
        batch_ndims: the number of leading dimensions, by default 1 for samples and 0 for the parameters of a guide.
        condition_deterministic: take deterministic sites from the samples instead of computing them again.
        exclude_deterministic: deprecated; the opposite of `condition_deterministic`.

    Raises:
        ValueError: if arguments contradict each other, or batch shapes of samples differ.

    Example:
        >>> import ppl
        >>> import ppl.distributions as dist
        >>> from jax import random
        >>> def model(y=None):
        ...     mu = ppl.sample("mu", dist.Normal(0.0, 1.0))
        ...     with ppl.plate("data", 3):
        ...         ppl.sample("y", dist.Normal(mu, 1.0), obs=y)
        >>> prior = Predictive(model, num_samples=10)(random.key(0))
        >>> {name: draws.shape for name, draws in prior.items()}
        {'mu': (10,), 'y': (10, 3)}
        >>> Predictive(model, {"mu": prior["mu"]})(random.key(1))["y"].shape
        (10, 3)
    """

    def __init__(
        self,
        model: Callable[..., Any],
        posterior_samples: Mapping[str, Any] | None = None,
        *,
        guide: Callable[..., Any] | None = None,
        params: Mapping[str, Any] | None = None,
        num_samples: int | None = None,
        return_sites: Collection[str] | None = None,
        infer_discrete: bool = False,
        parallel: bool = False,
        batch_ndims: int | None = None,
        condition_deterministic: bool | None = None,
        exclude_deterministic: bool | None = None,
    ) -> None:
        _check_callables(model, guide)
        _check_sources(posterior_samples, guide, params)
        _check_return_sites(return_sites)
        self.model = model
        self.posterior_samples: Mapping[str, Any] = {} if posterior_samples is None else dict(posterior_samples)
        self.guide = guide
        self.params: Mapping[str, Any] = {} if params is None else dict(params)
        self.infer_discrete = infer_discrete
        self.return_sites = return_sites
        self.parallel = parallel
        self.condition_deterministic = _check_deterministic(condition_deterministic, exclude_deterministic)
        self.batch_ndims = (1 if guide is None else 0) if batch_ndims is None else batch_ndims
        _check_batch_ndims("Predictive", self.batch_ndims)
        batch_shape = _batch_shape("Predictive: posterior_samples", self.posterior_samples, self.batch_ndims)
        self.num_samples = _number_of_draws(batch_shape, num_samples)
        if batch_shape is None:
            batch_shape = (self.num_samples,) if guide is not None else (1,) * (self.batch_ndims - 1) + (self.num_samples,)
        self._batch_shape = batch_shape
        self._programs = _Programs(self._build)

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "_programs"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._programs = _Programs(self._build)

    @property
    def exclude_deterministic(self) -> bool:
        """Deprecated: the opposite of `condition_deterministic`."""
        warnings.warn(
            "Predictive: `exclude_deterministic` is deprecated, use `condition_deterministic`, its opposite",
            FutureWarning,
            stacklevel=find_stack_level(),
        )
        return not self.condition_deterministic

    def __call__(self, rng_key: Key | int, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """Draw.

        Args:
            rng_key: a random key or an integer seed.
            *args: positional arguments of the model, and of the guide.
            **kwargs: keyword arguments of the same.

        Returns:
            A dict from names of sites, in the order of the model, to values of shape `batch_shape` + shape of the site.

        Raises:
            ValueError: if a site to be returned does not exist, or samples have not the shape of their site.
        """
        check_seed(rng_key, name="Predictive: rng_key")
        key = rng_key if is_prng_key(rng_key) else as_key(rng_key)
        return dict(self._programs((args, self.params), kwargs, key, self.posterior_samples))

    def _build(self, arguments: Arguments) -> Callable[..., "OrderedDict[str, PyTree]"]:
        """The program: a function of the array arguments, a key and samples."""

        def run(arrays: tuple[Any, ...], key: Key, samples: Mapping[str, Any]) -> "OrderedDict[str, PyTree]":
            (args, params), kwargs = arguments.join(arrays)
            predict = _Prediction(
                self.model, self.guide, self.infer_discrete, self.condition_deterministic, self.return_sites, args, kwargs
            )

            def one(entry: tuple[Array, Mapping[str, Array]]) -> "OrderedDict[str, PyTree]":
                index, given = entry
                own_key = random.fold_in(key, index)
                if self.guide is None:
                    return predict.given(own_key, given, params)
                return predict.for_particles(own_key, params, self.batch_ndims)

            count = prod(self._batch_shape)
            flat = _flatten_batch(samples, self.batch_ndims)
            values = map_draws(one, (jnp.arange(count, dtype=jnp.int32), flat), count, self.parallel)
            return _restore_batch(values, self._batch_shape)

        return run


class _Prediction:
    """One draw.

    Args:
        model: the model.
        guide: the guide, or None.
        infer_discrete: whether discrete sites are drawn from their posterior.
        condition_deterministic: whether deterministic sites are taken from what is given.
        return_sites: names of the sites to return, or None.
        args: positional arguments of model and guide.
        kwargs: keyword arguments of the same.
    """

    def __init__(
        self,
        model: Callable[..., Any],
        guide: Callable[..., Any] | None,
        infer_discrete: bool,
        condition_deterministic: bool,
        return_sites: Collection[str] | None,
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
    ) -> None:
        self.model = model
        self.guide = guide
        self.infer_discrete = infer_discrete
        self.condition_deterministic = condition_deterministic
        self.return_sites = return_sites
        self.args = args
        self.kwargs = kwargs

    def given(
        self, key: Key, given: Mapping[str, Any], params: Mapping[str, Any], guide_sites: Trace | None = None
    ) -> "OrderedDict[str, PyTree]":
        """The values of the chosen sites, given those of some."""

        def value_of(site: Message) -> Any:
            if site["type"] == "deterministic" and not self.condition_deterministic:
                return None
            return given.get(site["name"])

        model, masked = self.model, handlers.mask(mask=False)
        if self.infer_discrete:
            model, masked = self._with_states(value_of, params, key), handlers.mask(mask=True)
        with handlers.trace() as sites, handlers.seed(rng_seed=key), masked:
            with handlers.substitute(substitute_fn=value_of), handlers.substitute(data=params):
                model(*self.args, **self.kwargs)
        _check_given("Predictive", sites, given)
        every = {**(guide_sites or {}), **sites}
        return OrderedDict((name, jax.tree.map(jnp.asarray, every[name]["value"])) for name in self._chosen(sites, every, given))

    def _with_states(self, value_of: Callable[[Message], Any], params: Mapping[str, Any], key: Key) -> Callable[..., Any]:
        """The model with states of its enumerated sites drawn from their posterior; with those that the data tell something of."""

        def run() -> None:
            with handlers.substitute(data=params):
                self.model(*self.args, **self.kwargs)

        chosen = enumerated_given_data(run, value_of)

        def hint(site: Message) -> dict[str, Any]:
            return {"enumerate": "parallel"} if site["name"] in chosen else {}

        return infer_discrete(handlers.infer_config(self.model, config_fn=hint), rng_key=random.fold_in(key, 1))

    def _chosen(self, sites: Trace, every: Trace, given: Mapping[str, Any]) -> list[str]:
        if self.return_sites is not None:
            missing = sorted(set(self.return_sites) - set(every))
            if missing:
                raise ValueError(f"Predictive: return_sites: the model has no sites {missing}; it has {list(every)}")
            return [name for name in every if name in self.return_sites]
        drawn = [name for name, site in sites.items() if site["type"] == "sample" and name not in given]
        return [name for name in sites if name in drawn or sites[name]["type"] == "deterministic"]

    def for_particles(self, key: Key, params: Mapping[str, Any], batch_ndims: int) -> "OrderedDict[str, PyTree]":
        """The values given a draw from the guide; for each particle, where parameters have leading dimensions."""
        if batch_ndims == 0:
            return self.from_guide(key, params)
        particles = _batch_shape("Predictive: params", params, batch_ndims)
        if particles is None:
            raise ValueError(f"Predictive: batch_ndims={batch_ndims} with a guide needs `params` with that many leading dimensions")

        def one(index: Array, params: Mapping[str, Any]) -> "OrderedDict[str, PyTree]":
            return self.from_guide(random.fold_in(key, index), params)

        indices = jnp.arange(prod(particles), dtype=jnp.int32)
        return _restore_batch(jax.vmap(one)(indices, _flatten_batch(params, batch_ndims)), particles)

    def from_guide(self, key: Key, params: Mapping[str, Any]) -> "OrderedDict[str, PyTree]":
        """The values given a draw from the guide: its sites, and the indices that its plates have drawn."""
        assert self.guide is not None
        k_guide, k_model = random.split(key)
        with handlers.trace() as sites, handlers.seed(rng_seed=k_guide), handlers.substitute(data=params):
            self.guide(*self.args, **self.kwargs)
        given = {name: site["value"] for name, site in sites.items() if site["type"] in ("sample", "deterministic")}
        given |= {name: site["value"] for name, site in subsampled_plates(sites).items()}
        return self.given(k_model, given, params, sites)


def _check_callables(model: Any, guide: Any) -> None:
    for name, fn in (("model", model), ("guide", guide)):
        if not callable(fn) and not (name == "guide" and fn is None):
            raise TypeError(f"Predictive: `{name}` must be a function, found {fn!r} of type {type(fn).__name__}")


def _check_sources(posterior_samples: Any, guide: Any, params: Any) -> None:
    if posterior_samples is not None and guide is not None:
        raise ValueError("Predictive: found both `posterior_samples` and `guide`; draws come from one of them")
    for name, values in (("posterior_samples", posterior_samples), ("params", params)):
        if values is not None and not isinstance(values, Mapping):
            raise TypeError(f"Predictive: `{name}` must be a dict from names of sites to values, found {type(values).__name__}")


def _check_return_sites(return_sites: Any) -> None:
    if return_sites is not None and not isinstance(return_sites, list | tuple | set | frozenset):
        raise TypeError(f"Predictive: return_sites must be a list, tuple or set of names, found {return_sites!r}")


def _check_deterministic(condition_deterministic: bool | None, exclude_deterministic: bool | None) -> bool:
    if exclude_deterministic is None:
        return bool(condition_deterministic)
    if condition_deterministic is not None:
        raise ValueError("Predictive: found both `condition_deterministic` and `exclude_deterministic`, its deprecated opposite")
    warnings.warn(
        f"Predictive: `exclude_deterministic` is deprecated; pass condition_deterministic={not exclude_deterministic}",
        FutureWarning,
        stacklevel=find_stack_level(),
    )
    return not exclude_deterministic


def _number_of_draws(batch_shape: Shape | None, num_samples: Any) -> int:
    """The number of draws by the samples, or else by `num_samples`."""
    if num_samples is not None:
        check_count("Predictive", "num_samples", num_samples)
    if batch_shape is None:
        if num_samples is None:
            raise ValueError("Predictive: the number of draws is not known; pass `posterior_samples` or `num_samples`")
        return int(num_samples)
    count = prod(batch_shape)
    if count == 0:
        raise ValueError(f"Predictive: posterior_samples of batch shape {batch_shape} hold no draws")
    if num_samples is not None and num_samples != count:
        warnings.warn(
            f"Predictive: num_samples={num_samples} differs from the batch size of posterior_samples, {count}, which is used",
            stacklevel=find_stack_level(),
        )
    return count


# Likelihood


def log_likelihood(
    model: Callable[..., Any],
    posterior_samples: Mapping[str, Any],
    *args: Any,
    parallel: bool = False,
    batch_ndims: int = 1,
    **kwargs: Any,
) -> dict[str, Array]:
    """The log likelihood of the observed sites for each draw of the latent ones: masked, neither scaled nor summed.

    Args:
        model: the model.
        posterior_samples: a dict from names of all latent sites to draws with `batch_ndims` leading dimensions.
        *args: positional arguments of the model.
        parallel: compute all draws at a time; otherwise as many as need little memory.
        batch_ndims: the number of leading dimensions.
        **kwargs: keyword arguments of the model.

    Returns:
        A dict from names of observed sites to log probabilities, batch shape of the samples + batch shape of the site.

    Raises:
        ValueError: if a latent site has no samples, or samples have not the shape of their site.

    Example:
        >>> import numpy as np
        >>> import ppl
        >>> import ppl.distributions as dist
        >>> def model(y):
        ...     mu = ppl.sample("mu", dist.Normal(0.0, 1.0))
        ...     with ppl.plate("data", len(y)):
        ...         ppl.sample("y", dist.Normal(mu, 1.0), obs=y)
        >>> log_likelihood(model, {"mu": np.zeros(10)}, np.zeros(3))["y"].shape
        (10, 3)
    """
    if not isinstance(posterior_samples, Mapping):
        found = type(posterior_samples).__name__
        raise TypeError(f"log_likelihood: posterior_samples must be a dict from names of sites to draws, found {found}")
    _check_batch_ndims("log_likelihood", batch_ndims)
    batch_shape = _batch_shape("log_likelihood: posterior_samples", posterior_samples, batch_ndims)
    shape = () if batch_shape is None else batch_shape

    def build(arguments: Arguments) -> Callable[..., "OrderedDict[str, Array]"]:
        def run(arrays: tuple[Any, ...], samples: Mapping[str, Any]) -> "OrderedDict[str, Array]":
            own_args, own_kwargs = arguments.join(arrays)

            def one(entry: tuple[Array, Mapping[str, Array]]) -> "OrderedDict[str, Array]":
                return _site_log_likelihoods(model, entry[1], own_args, own_kwargs)

            count = prod(shape)
            flat = _flatten_batch(samples, batch_ndims)
            return _restore_batch(map_draws(one, (jnp.arange(count, dtype=jnp.int32), flat), count, parallel), shape)

        return run

    return dict(_Programs(build)(args, kwargs, dict(posterior_samples)))


def _site_log_likelihoods(
    model: Callable[..., Any], given: Mapping[str, Array], args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> "OrderedDict[str, Array]":
    """The log probability of each observed site for one draw."""

    def value_of(site: Message) -> Any:
        if site["type"] == "sample" and site["value"] is None and site["name"] not in given:
            raise ValueError(
                f"log_likelihood: latent site {site['name']!r} has no samples; pass draws of every latent site, found those of "
                f"{sorted(given)}"
            )
        return None if site["type"] == "deterministic" else given.get(site["name"])

    with handlers.trace() as sites, handlers.seed(rng_seed=0, hide_types=("plate",)):
        with handlers.substitute(substitute_fn=value_of):
            model(*args, **kwargs)
    _check_given("log_likelihood", sites, given)
    return OrderedDict((name, site_log_prob({**site, "scale": None})) for name, site in observed_sites(sites).items())
