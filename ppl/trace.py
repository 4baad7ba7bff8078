"""Questions about an execution trace: which sites, which plates, which densities. Nothing here changes a trace."""

import warnings
from collections.abc import Iterator

import jax.numpy as jnp
import numpy as np
from jax import lax

from ppl._typing import Array, Message, Shape, Trace
from ppl.distributions import constraints
from ppl.distributions.distribution import Distribution
from ppl.distributions.util import promote_shapes
from ppl.stack import CondIndepStackFrame, describe_plates
from ppl.util import find_stack_level

__all__ = [
    "check_log_prob",
    "check_plates",
    "check_value",
    "deterministic_sites",
    "latent_sites",
    "log_density",
    "max_plate_nesting",
    "missing_plates",
    "observed_sites",
    "param_sites",
    "plate_frames",
    "plates_of",
    "sample_sites",
    "site_log_prob",
    "subsampled_plates",
    "unscaled_log_prob",
]


_NO_DTYPE = np.dtype(bool)  # Python numbers have none, and tell by themselves what they are


# Sites


def _of_type(trace: Trace, kind: str) -> Iterator[tuple[str, Message]]:
    return ((name, site) for name, site in trace.items() if site["type"] == kind)


def sample_sites(trace: Trace) -> Trace:
    """The sample sites, in the order of the run."""
    return dict(_of_type(trace, "sample"))


def latent_sites(trace: Trace) -> Trace:
    """The sample sites that are not observed."""
    return {name: site for name, site in _of_type(trace, "sample") if not site["is_observed"]}


def observed_sites(trace: Trace) -> Trace:
    """The observed sample sites, factors among them."""
    return {name: site for name, site in _of_type(trace, "sample") if site["is_observed"]}


def deterministic_sites(trace: Trace) -> Trace:
    """The deterministic sites."""
    return dict(_of_type(trace, "deterministic"))


def param_sites(trace: Trace) -> Trace:
    """The param sites."""
    return dict(_of_type(trace, "param"))


# Plates


def plates_of(site: Message) -> tuple[CondIndepStackFrame, ...]:
    """The plates around a site, outermost first."""
    return tuple(reversed(site.get("cond_indep_stack", ())))


def plate_frames(trace: Trace) -> dict[str, CondIndepStackFrame]:
    """The plates that some site lies in, by name."""
    return {frame.name: frame for site in trace.values() for frame in plates_of(site)}


def subsampled_plates(trace: Trace) -> Trace:
    """The plate sites that use fewer indices than their size."""
    return {name: site for name, site in _of_type(trace, "plate") if np.shape(site["value"])[0] != site["args"][0]}


def max_plate_nesting(trace: Trace) -> int:
    """The number of batch dimensions, counted from the right, that plates of sample sites use."""
    return max((-frame.dim for _, site in _of_type(trace, "sample") for frame in site["cond_indep_stack"]), default=0)


def _batch_shape(site: Message) -> Shape:
    """The shape that the log probability of a sample site has: the batch shapes of distribution and value together."""
    fn, shape = site["fn"], np.shape(site["value"])
    return np.broadcast_shapes((*site["kwargs"]["sample_shape"], *fn.batch_shape), shape[: max(len(shape) - fn.event_dim, 0)])


def missing_plates(site: Message) -> tuple[int, ...]:
    """The batch dimensions (negative) of a sample site that are wider than 1 and belong to no plate.

    The leading time dimension of a site in `scan` is not one of them.
    """
    shape = _batch_shape(site)
    declared = {frame.dim for frame in site["cond_indep_stack"]}
    rank = len(shape) - site.get("time_dims", 0)
    return tuple(dim for dim in range(-1, -rank - 1, -1) if shape[dim] > 1 and dim not in declared)


def check_plates(trace: Trace, *, strict: bool = False) -> None:
    """Look for batch dimensions without a plate.

    Args:
        trace: an execution trace.
        strict: raise for every one (as enumeration must), instead of warning about those of sites that are in other plates.

    Raises:
        ValueError: if `strict` and a dimension has no plate.
    """
    for name, site in _of_type(trace, "sample"):
        if not strict and not site["cond_indep_stack"]:
            continue
        for dim in missing_plates(site):
            frames = site["cond_indep_stack"]
            where = f" in {describe_plates(frames)}" if frames else ""
            text = (
                f"Missing a plate statement for batch dimension {dim} at site {name!r}{where}: its batch shape is "
                f"{_batch_shape(site)}; add a plate, or use .to_event; `ppl.util.format_shapes` shows the shapes of all sites"
            )
            if strict:
                raise ValueError(text)
            warnings.warn(text, stacklevel=find_stack_level())


def _broadcastable(a: Shape, b: Shape) -> bool:
    return all(n == m or n == 1 or m == 1 for n, m in zip(reversed(a), reversed(b)))


def check_value(site: Message, hint: str = "") -> None:
    """Check that the value of a sample site fits its distribution and the plates around it.

    Args:
        site: the site.
        hint: a further cure for the message.

    Raises:
        ValueError: if it does not, with the site, the shapes and the plates.
        TypeError: for complex values of a real distribution.
    """
    fn, frames = site["fn"], site["cond_indep_stack"]
    if getattr(site["value"], "dtype", _NO_DTYPE).kind == "c" and not _holds_complex(fn):
        raise TypeError(f"site {site['name']!r}: found complex values, but {type(fn).__name__} takes real ones; pass their parts")
    shape, event_shape = np.shape(site["value"]), fn.event_shape
    batch_shape = (*site["kwargs"]["sample_shape"], *fn.batch_shape)
    split = max(len(shape) - len(event_shape), 0)
    value_batch = shape[:split]
    if (
        _broadcastable(shape[split:], event_shape)
        and _broadcastable(value_batch, batch_shape)
        and all(-frame.dim > split or value_batch[frame.dim] in (1, frame.size) for frame in frames)
    ):
        return
    plates = ", ".join(f"{f.name!r} ({f.size})" for f in reversed(frames))
    event = f" and event shape {event_shape}" if event_shape else ""
    raise ValueError(
        f"site {site['name']!r}: value of shape {shape} does not fit batch shape {batch_shape}{event}"
        + (f" in plate {plates}" if plates else "")
        + f"; pass a value of shape {(*batch_shape, *event_shape)}{hint}, or declare batch dimensions as event dimensions "
        "with .to_event(1)"
    )


def _holds_complex(fn: Distribution) -> bool:
    support = fn.support
    return getattr(support, "base_constraint", support) is constraints.complex


# Densities


def site_log_prob(site: Message) -> Array:
    """The log probability of a sample site, masked and scaled, of the batch shape.

    Raises:
        ValueError: if the value does not fit the distribution, or the log probability not the batch shape; if a part of a series
            was drawn.
    """
    check_value(site)
    scale, log_prob = site["scale"], unscaled_log_prob(site, site["fn"])
    check_log_prob(site, np.shape(log_prob))
    if scale is None:
        return log_prob
    if not isinstance(scale, int | float):
        scale, log_prob = promote_shapes(scale.astype(log_prob.dtype), log_prob)
    return scale * log_prob


def unscaled_log_prob(site: Message, fn: Distribution) -> Array:
    """The log probability of the value of a site by its distribution, or by that without masks.

    Raises:
        ValueError: if values of a series were given for a part of its loop: the rest was drawn, so that it has no density.
    """
    if "_num_given" in site["infer"]:
        raise ValueError(
            f"site {site['name']!r}: values were given for {site['infer']['_num_given']} steps, fewer than its loop has. The "
            "others were drawn, which is meant for predictions; for a density give values for all, or let the loop end with them"
        )
    args = (site["value"], site["intermediates"]) if site["intermediates"] else (site["value"],)
    try:
        return fn.log_prob(*args)
    except Exception as error:
        error.add_note(f"ppl: in the log density of site {site['name']!r}")
        raise


def check_log_prob(site: Message, shape: Shape) -> None:
    """Check the shape of a site's log probability against its batch shape and the plates.

    Raises:
        ValueError: if a batch dimension got lost or changed, as when `log_prob` sums over it.
    """
    batch_shape = site["fn"].batch_shape
    if len(shape) >= len(batch_shape) and all(n in (m, 1) for n, m in zip(reversed(batch_shape), reversed(shape))):
        return
    frames = site["cond_indep_stack"]
    where = f" in {describe_plates(frames)}" if frames else ""
    raise ValueError(
        f"site {site['name']!r}: log_prob of shape {shape} does not fit batch shape {batch_shape}{where}; log_prob must return one "
        "number for each element of the batch: declare dimensions that it sums over as event dimensions, with .to_event"
    )


def log_density(trace: Trace) -> Array:
    """The sum of the log probabilities of all sample sites, masked and scaled: a scalar.

    No Jacobian is included and nothing is enumerated.
    """
    total = None
    for _, site in _of_type(trace, "sample"):
        term = site_log_prob(site)
        if term.ndim:
            term = lax.reduce_sum(term, tuple(range(term.ndim)))
        total = term if total is None else total + term
    return jnp.zeros(()) if total is None else total
