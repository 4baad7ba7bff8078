"""Why a position has no finite density: which site, which value, which parameter. Runs the model with concrete numbers."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import jax
import numpy as np

from ppl._typing import Array, Message
from ppl.distributions import validation_enabled
from ppl.handlers.enumeration import written_name
from ppl.infer.target.density import Target, bound_trace
from ppl.stack import innermost
from ppl.trace import sample_sites, site_log_prob, unscaled_log_prob

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
        reasons = [_density_reason(site, log_prob) for site, log_prob in _densities(target, position)]
    found = [reason for reason in reasons if reason is not None]
    if not found:
        found = _gradient_reasons(target, position)
    return found[:MAX_REASONS]


def is_impossible(target: Target, position: Array | np.ndarray) -> bool:
    """Whether a site has density 0 at a position, so that it does not matter what the others have."""
    with _judging_nothing():
        return any(np.isneginf(log_prob).any() for _, log_prob in _densities(target, jax.numpy.asarray(position)))


@contextmanager
def _judging_nothing() -> Iterator[None]:
    """No errors for parameters that are not valid and values outside a support: the reasons say so."""
    with validation_enabled(False), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _sites(target: Target, position: Array) -> list[Message]:
    sites, _ = bound_trace(target.model, target.arrays, target.layout.unravel(position), target.fixed, enumerate=True)
    return list(sample_sites(sites).values())


def _densities(target: Target, position: Array) -> Iterator[tuple[Message, np.ndarray]]:
    """Sites that are not summed out, with their log densities."""
    for site in _sites(target, position):
        if "_slot" in site["infer"]:
            continue
        if "_loop" in site["infer"]:
            log_prob = np.asarray(unscaled_log_prob(site, site["fn"]))
            site = {**site, "value": _behind_time(site, log_prob.ndim)}
        else:
            log_prob = np.asarray(site_log_prob(site))
        yield site, _in_best_state(site, log_prob)


def _enumerated(target: Target, position: Array) -> list[str]:
    """Names of the sites that are summed out."""
    return sorted({repr(written_name(site)) for site in _sites(target, position) if "_slot" in site["infer"]})


def _behind_time(site: Message, ndim: int) -> np.ndarray:
    """The values of a site in a loop with states: room for the axes of the states between time and the plates."""
    value = np.asarray(site["value"])
    missing = ndim - (value.ndim - site["fn"].event_dim)
    return value.reshape(value.shape[0], *(1,) * missing, *value.shape[1:])


def _num_loops(site: Message) -> int:
    """In how many loops a site is, whose steps are stacked in its distribution."""
    return int(site.get("time_dims", 0)) or int("_loop" in site["infer"])


def _family(site: Message) -> Any:
    """The distribution of a site below plates, masks and loops."""
    fn = innermost(site["fn"])
    for _ in range(_num_loops(site)):
        fn = innermost(fn.base_dist)
    return fn


def _density_reason(site: Message, log_prob: np.ndarray) -> str | None:
    """Why the log density of a site is not finite, or None if it is."""
    value = np.asarray(site["value"])
    kind = "observed" if site["is_observed"] else "latent"
    family = _family(site)
    fn = type(family).__name__
    bad = ~np.isfinite(log_prob)
    if not bad.any():
        return None
    states = _state_axes(site, log_prob.ndim)
    event = value.ndim - site["fn"].event_dim
    if site["is_observed"] and value.dtype.kind == "f" and np.isnan(value).any():
        found_at = np.argwhere(np.isnan(value))[0]
        where = tuple(int(i) for axis, i in enumerate(found_at) if event < log_prob.ndim or axis not in states)
        return (
            f"site {written_name(site)!r} ~ {fn}: {np.isnan(value).sum()} of {value.size} observed values are nan, the first at "
            f"index {where}; drop or impute them, or pass obs_mask"
        )
    where = tuple(int(i) for i in np.argwhere(bad)[0])
    found = log_prob[where]
    shape = np.broadcast_shapes(log_prob.shape, value.shape[: max(event, 0)])
    at = np.broadcast_to(value, shape + value.shape[max(event, 0) :])[where]
    text = f"site {written_name(site)!r} ~ {fn} ({kind}): log density {found} at value {_short(at)}"
    index = tuple(i for axis, i in enumerate(where) if axis not in states)
    if index:
        text += f", index {index}"
    parameters = _parameters(family, where, has_time=_num_loops(site) > 0)
    if parameters:
        text += f", with {parameters}"
    if np.isneginf(found):
        text += "; the value lies outside the support" if not _inside(site, at) else "; the density is 0 there"
    return text


def _in_best_state(site: Message, log_prob: np.ndarray) -> np.ndarray:
    """The largest log density over the states of enumerated sites, whose axes get size 1."""
    axes = _state_axes(site, log_prob.ndim)
    return log_prob.max(axes, keepdims=True) if axes else log_prob


def _state_axes(site: Message, ndim: int) -> tuple[int, ...]:
    """Which of so many axes of its log density are those of enumerated states."""
    return tuple(slot.dim + ndim for slot in site["infer"].get("_slots", ()) if -slot.dim <= ndim)


def _inside(site: Message, value: Any) -> bool:
    try:
        return bool(np.all(np.asarray(site["fn"].support(np.asarray(value)))))
    except (ValueError, TypeError, NotImplementedError):
        return True


def _parameters(fn: Any, where: tuple[int, ...], *, has_time: bool) -> str:
    """The parameters of a distribution for one element of its batch, in words; `has_time`: their first axis is that of steps."""
    parts = []
    for name, parameter in fn.get_args().items():
        array = np.asarray(parameter) if not isinstance(parameter, str) and np.ndim(parameter) <= 3 else None
        if array is None or array.dtype.kind not in "iuf":
            continue
        rest = where[max(len(where) - array.ndim + has_time, 0) :]
        index = (where[0], *rest) if has_time else rest
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
    if np.isposinf(energy) and (states := _enumerated(target, position)):
        return [
            f"each site has a density in some states of {', '.join(states)}, but no states of all of them together have one for "
            "these data"
        ]
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
