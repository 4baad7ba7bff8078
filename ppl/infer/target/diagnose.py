"""Why a position has no finite density: which site, which value, which parameter. Runs the model with concrete numbers."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import jax
import numpy as np

from ppl._typing import Array, Message
from ppl.distributions import validation_enabled
from ppl.infer.target.density import Target, bound_trace
from ppl.stack import innermost
from ppl.trace import sample_sites, site_log_prob

__all__ = ["explain", "is_impossible"]

MAX_REASONS = 5


def explain(target: Target, position: Array | np.ndarray) -> list[str]:
    """What is wrong at a position, one sentence for each site that is to blame; empty where nothing is.

    Args:
        target: a target made of a model.
        position: an unconstrained position `(d,)`.
    """
    position = jax.numpy.asarray(position)
    with _judging_nothing():
        reasons = [_density_reason(name, site, log_prob) for name, site, log_prob in _densities(target, position)]
    found = [reason for reason in reasons if reason is not None]
    if not found:
        found = _gradient_reasons(target, position)
    return found[:MAX_REASONS]


def is_impossible(target: Target, position: Array | np.ndarray) -> bool:
    """Whether a site has density 0 at a position, so that it does not matter what the others have."""
    with _judging_nothing():
        return any(np.isneginf(log_prob).any() for _, _, log_prob in _densities(target, jax.numpy.asarray(position)))


@contextmanager
def _judging_nothing() -> Iterator[None]:
    """No errors for parameters that are not valid and values outside a support: the reasons say so."""
    with validation_enabled(False), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _densities(target: Target, position: Array) -> Iterator[tuple[str, Message, np.ndarray]]:
    """Sites that are not summed out, with their log densities."""
    sites, _ = bound_trace(target.model, target.arrays, target.layout.unravel(position), target.fixed, enumerate=True)
    for name, site in sample_sites(sites).items():
        if "_slot" not in site["infer"]:
            yield name, site, _in_best_state(site, np.asarray(site_log_prob(site)))


def _density_reason(name: str, site: Message, log_prob: np.ndarray) -> str | None:
    """Why the log density of a site is not finite, or None if it is."""
    value = np.asarray(site["value"])
    kind = "observed" if site["is_observed"] else "latent"
    fn = type(innermost(site["fn"])).__name__
    bad = ~np.isfinite(log_prob)
    if not bad.any():
        return None
    if site["is_observed"] and value.dtype.kind == "f" and np.isnan(value).any():
        where = tuple(int(i) for i in np.argwhere(np.isnan(value))[0])
        return (
            f"site {name!r} ~ {fn}: {np.isnan(value).sum()} of {value.size} observed values are nan, the first at index {where}; "
            "drop or impute them, or pass obs_mask"
        )
    where = tuple(int(i) for i in np.argwhere(bad)[0])
    found = log_prob[where]
    event = value.ndim - site["fn"].event_dim
    shape = np.broadcast_shapes(log_prob.shape, value.shape[: max(event, 0)])
    at = np.broadcast_to(value, shape + value.shape[max(event, 0) :])[where]
    text = f"site {name!r} ~ {fn} ({kind}): log density {found} at value {_short(at)}"
    if where:
        text += f", index {where}"
    parameters = _parameters(site["fn"], where)
    if parameters:
        text += f", with {parameters}"
    if np.isneginf(found):
        text += "; the value lies outside the support" if not _inside(site, at) else "; the density is 0 there"
    return text


def _in_best_state(site: Message, log_prob: np.ndarray) -> np.ndarray:
    """The largest log density over the states of enumerated sites, whose axes get size 1."""
    axes = tuple(slot.dim + log_prob.ndim for slot in site["infer"].get("_slots", ()) if -slot.dim <= log_prob.ndim)
    return log_prob.max(axes, keepdims=True) if axes else log_prob


def _inside(site: Message, value: Any) -> bool:
    try:
        return bool(np.all(np.asarray(site["fn"].support(np.asarray(value)))))
    except (ValueError, TypeError, NotImplementedError):
        return True


def _parameters(fn: Any, where: tuple[int, ...]) -> str:
    """The parameters of a distribution for one element of its batch, in words."""
    fn = innermost(fn)
    parts = []
    for name, parameter in fn.get_args().items():
        array = np.asarray(parameter) if not isinstance(parameter, str) and np.ndim(parameter) <= 3 else None
        if array is None or array.dtype.kind not in "iuf":
            continue
        index = where[max(len(where) - array.ndim, 0) :]
        try:
            part = array[tuple(i if n > 1 else 0 for i, n in zip(index, array.shape))]
        except IndexError:
            part = array
        parts.append(f"{name}={_short(part)}")
    return ", ".join(parts)


def _short(value: Any) -> str:
    return np.array2string(np.asarray(value), precision=4, threshold=6, edgeitems=2)


def _gradient_reasons(target: Target, position: Array) -> list[str]:
    energy = target(position)
    if not np.isfinite(energy):
        return [f"the log density is {-float(energy)}, though that of every site is finite: their sum, or its estimate, overflows"]
    gradient = (jax.jacfwd if target.forward_mode else jax.grad)(target)(position)
    parts = target.layout.unravel_host(np.asarray(gradient))
    values = target.constrain(position, deterministic=False)
    return [
        f"site {name!r} (latent): the log density is finite but its gradient is {_short(part)} at value {_short(values[name])}; a "
        "function in the model has no derivative there (sqrt or norm at 0, or a jnp.where around one), or it overflows"
        for name, part in parts.items()
        if not np.isfinite(part).all()
    ]
