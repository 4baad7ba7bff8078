"""Draws as ArviZ sees them: an `InferenceData` (ArviZ 0.x) or an xarray `DataTree`, with dimensions named after plates."""

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np

from ppl import handlers
from ppl._typing import PyTree, Trace
from ppl.infer.algorithms.nuts import NUTS
from ppl.infer.predictive import log_likelihood as log_likelihood_of
from ppl.infer.results import Results
from ppl.infer.target.model import BoundModel, plate_dims
from ppl.trace import observed_sites

__all__ = ["to_datatree", "to_inferencedata"]

# ArviZ's names of the fields of a state.
STATISTICS = {
    "diverging": "diverging",
    "energy": "energy",
    "num_steps": "n_steps",
    "accept_prob": "acceptance_rate",
    "adapt_state.step_size": "step_size",
}


def to_inferencedata(
    results: Results,
    launch: Any,
    *,
    log_likelihood: bool = False,
    posterior_predictive: Mapping[str, Any] | None = None,
    prior: Mapping[str, Any] | None = None,
    coords: Mapping[str, Any] | None = None,
    dims: Mapping[str, Sequence[str]] | None = None,
) -> Any:
    """The draws of a run for ArviZ.

    The groups are `posterior`, `sample_stats`, `observed_data` and, where they are asked for or given, `log_likelihood`,
    `posterior_predictive`, `prior` and `prior_predictive`. Dimensions of plates have their names.

    Args:
        results: what has been drawn.
        launch: the kernel as it was bound to the model and its arguments.
        log_likelihood: compute the log likelihood of each draw, for LOO and WAIC.
        posterior_predictive: what `Predictive` returned for these draws, grouped by chain or not.
        prior: what `Predictive` returned without draws; observed sites become the group `prior_predictive`.
        coords: a dict from names of dimensions (of plates, say) to labels.
        dims: a dict from names of sites to names of their dimensions, where those of the plates are not wanted.

    Returns:
        An `arviz.InferenceData` with ArviZ 0.x, an `xarray.DataTree` from ArviZ 1 on.

    Raises:
        ImportError: if ArviZ is not installed.
        ValueError: if the leading dimensions of `posterior_predictive` are not those of the draws.
    """
    arviz = _import_arviz()
    posterior = _named(results.samples)
    groups = {"posterior": posterior, "sample_stats": _statistics(results.fields, launch)}
    bound, arrays = _bound_model(launch)
    own_dims: dict[str, tuple[str | None, ...]] = {}
    observed: dict[str, np.ndarray] = {}
    if bound is not None:
        observed, observed_dims = _observed(bound, arrays, posterior)
        own_dims = {**bound.facts.dims, **observed_dims}
        if log_likelihood:
            groups["log_likelihood"] = _log_likelihood(bound, arrays, posterior, observed)
        groups["observed_data"] = observed
    elif log_likelihood:
        raise ValueError("to_inferencedata: log_likelihood=True needs a kernel that was made of a model, in the process of the run")
    if posterior_predictive is not None:
        shape = next(iter(posterior.values())).shape[:2]
        groups["posterior_predictive"] = {name: _by_chain(name, x, shape) for name, x in posterior_predictive.items()}
    if prior is not None:
        one_chain = {name: np.asarray(x)[np.newaxis] for name, x in prior.items()}
        groups["prior"] = {name: x for name, x in one_chain.items() if name not in observed}
        groups["prior_predictive"] = {name: x for name, x in one_chain.items() if name in observed}
    groups = {group: values for group, values in groups.items() if values}
    named_dims = {**_dimension_names(groups, own_dims), **{name: list(names) for name, names in (dims or {}).items()}}
    labels = dict(coords or {})
    if int(arviz.__version__.split(".")[0]) == 0:
        return arviz.from_dict(**groups, coords=labels, dims=named_dims, attrs={"inference_library": "ppl"})
    return arviz.from_dict(groups, coords=labels, dims=named_dims, attrs={"/": {"inference_library": "ppl"}})


def to_datatree(results: Results, launch: Any, **options: Any) -> Any:
    """The same as an `xarray.DataTree`, whatever the version of ArviZ."""
    data = to_inferencedata(results, launch, **options)
    return data.to_datatree() if int(_import_arviz().__version__.split(".")[0]) == 0 else data


def _import_arviz() -> Any:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # some versions announce their successor
            import arviz
    except ImportError as error:
        raise ImportError("to_inferencedata needs the package arviz; install it with `pip install arviz`") from error
    return arviz


def _bound_model(launch: Any) -> tuple[BoundModel | None, tuple[Any, ...]]:
    """The model of a run with its arrays, where the kernel was made of one and the run was in this process."""
    bound = getattr(getattr(launch, "binding", None), "model", None)
    return (None, ()) if bound is None else (bound, launch.inputs.target.arrays)


def _named(samples: PyTree) -> dict[str, np.ndarray]:
    """Arrays by name; of a pytree that is no dict of arrays, by the path to each leaf."""
    leaves, _ = jax.tree_util.tree_flatten_with_path(samples)
    return {jax.tree_util.keystr(path, simple=True, separator=".") or "z": np.asarray(leaf) for path, leaf in leaves}


def _statistics(fields: Mapping[str, Any], launch: Any) -> dict[str, np.ndarray]:
    found = {theirs: np.asarray(fields[ours]) for ours, theirs in STATISTICS.items() if ours in fields}
    if "potential_energy" in fields:
        found["lp"] = -np.asarray(fields["potential_energy"])
    if "n_steps" in found and isinstance(getattr(getattr(launch, "process", None), "kernel", None), NUTS):
        found["tree_depth"] = np.floor(np.log2(np.maximum(found["n_steps"], 1))).astype(np.int64) + 1
    return found


def _observed(
    bound: BoundModel, arrays: tuple[Any, ...], posterior: Mapping[str, np.ndarray]
) -> tuple[dict[str, np.ndarray], dict[str, tuple[str | None, ...]]]:
    """Values and plates of the observed sites, factors left out."""
    dims: dict[str, tuple[str | None, ...]] = {}

    def run(arrays: tuple[Any, ...], draw: Mapping[str, Any]) -> dict[str, Any]:
        sites = _data_sites(bound.trace(arrays, handlers.substitute(data=draw)))
        dims.update({name: plate_dims(site) for name, site in sites.items()})
        return {name: site["value"] for name, site in sites.items()}

    first = {name: draws[0, 0] for name, draws in posterior.items()}
    values = jax.jit(run)(arrays, first)
    return {name: np.asarray(value) for name, value in values.items()}, dims


def _data_sites(sites: Trace) -> Trace:
    return {name: site for name, site in observed_sites(sites).items() if not site["infer"].get("is_auxiliary")}


def _log_likelihood(
    bound: BoundModel, arrays: tuple[Any, ...], posterior: Mapping[str, np.ndarray], observed: Mapping[str, Any]
) -> dict[str, np.ndarray]:
    args, kwargs = bound.call.arguments.join(arrays)
    values = log_likelihood_of(bound.call.model, posterior, *args, batch_ndims=2, **kwargs)
    return {name: np.asarray(x) for name, x in values.items() if name in observed}


def _by_chain(name: str, draws: Any, shape: tuple[int, ...]) -> np.ndarray:
    """Draws with leading dimensions (chains, draws).

    Raises:
        ValueError: if their number is another one.
    """
    array = np.asarray(draws)
    if array.shape[:2] == shape:
        return array
    if array.shape[:1] == (shape[0] * shape[1],):
        return array.reshape((*shape, *array.shape[1:]))
    raise ValueError(
        f"to_inferencedata: posterior_predictive: site {name!r} has shape {array.shape}, expected leading dimensions {shape} or "
        f"({shape[0] * shape[1]},), one entry for each draw"
    )


def _dimension_names(
    groups: Mapping[str, Mapping[str, np.ndarray]], plates: Mapping[str, tuple[str | None, ...]]
) -> dict[str, list[str]]:
    """Names of the dimensions of each variable: plates, or else the variable and a number."""
    taken = {"chain", "draw"}.union(*groups.values())
    names = {}
    for group, values in groups.items():
        for variable, array in values.items():
            if variable not in plates or variable in names:
                continue
            rank = array.ndim - (0 if group == "observed_data" else 2)
            own = plates[variable]
            if len(own) == rank:
                names[variable] = [
                    f"{variable}_dim_{i}" if plate is None else f"{plate}_plate" if plate in taken else plate
                    for i, plate in enumerate(own)
                ]
    return names
