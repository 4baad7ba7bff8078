"""Handlers that set the values of sites: substitute, condition, uncondition, replay, do."""

import copy
import warnings
from collections.abc import Callable, Mapping
from typing import Any, Self

import jax.numpy as jnp
import numpy as np
from jax import lax

from ppl._typing import Message, Trace
from ppl.primitives import prng_key
from ppl.stack import Messenger, Step, acts_inside, apply_outer, copy_message
from ppl.util import describe, find_stack_level

__all__ = ["condition", "do", "has_states", "replay", "substitute", "uncondition"]

_SUBSTITUTED = frozenset(("sample", "param", "mutable", "plate", "deterministic"))


def _check_source(handler: str, data: Any, function: Any) -> None:
    """Exactly one of a dict and a function must be given."""
    if (data is None) == (function is None):
        found = "none" if data is None else "both"
        raise ValueError(f"{handler}: expected exactly one of `data` and `{handler}_fn`, found {found}")
    if data is not None and not isinstance(data, Mapping):
        raise TypeError(f"{handler}: `data` must be a dict from site names to values, found {describe(data)}")
    if function is not None and not callable(function):
        raise TypeError(f"{handler}: `{handler}_fn` must be a function of a site, found {describe(function)}")


class Lookup(Messenger):
    """A handler that looks values up; within loops it takes the part that belongs to the step."""

    _steps: tuple[Step, ...] = ()

    def inside(self, step: Step | None) -> Self:
        """The same handler around the body of a loop or a branch."""
        inner = copy.copy(self)
        inner.fn = None
        inner._steps = self._steps if step is None else (*self._steps, step)
        return inner

    def of_step(self, msg: Message, value: Any) -> Any:
        """The part of a value that belongs to the step: of a series, the value at the step's index.

        Where a series is shorter than its loop, later steps are drawn.
        """
        steps = self._steps
        if not steps or value is None or msg["type"] in ("param", "mutable"):
            return value
        found, expected = np.shape(value), _site_ndim(msg, steps[-1].first_dim)
        if len(found) == expected:
            return value
        lengths = tuple(step.length for step in steps)
        series = found[: len(steps)]
        index = tuple(step.index for step in steps)
        if len(found) == expected + len(steps):
            if series == lengths:
                return jnp.asarray(value)[index]
            if msg["type"] == "sample" and len(steps) == 1 and series < lengths:
                if has_states(msg, steps[-1].first_dim):
                    raise NotImplementedError(_too_short(msg, value, lengths[0]))
                msg["infer"] = {**msg["infer"], "_num_given": series[0]}
                return lax.cond(index[0] < series[0], lambda: jnp.asarray(value)[index], lambda: _draw(msg, value, lengths[0]))
        raise ValueError(
            f"site {msg['name']!r} in a loop of {lengths[-1]} steps: a value of shape {found} does not fit; pass a series of shape "
            f"{lengths} + the shape of the site in one step ({expected} dimensions)"
        )


def _draw(msg: Message, like: Any, length: int) -> Any:
    """A draw for a step that a series does not reach."""
    key = msg["kwargs"]["rng_key"]
    key = prng_key() if key is None else key
    if key is None:
        raise ValueError(
            f"site {msg['name']!r} in a loop of {length} steps: the series of shape {np.shape(like)} is too short, and "
            "without a `seed` handler the later steps cannot be drawn"
        )
    drawn = msg["fn"](rng_key=key, sample_shape=msg["kwargs"]["sample_shape"])
    return jnp.asarray(drawn, jnp.result_type(like))


def has_states(msg: Message, first_dim: int | None) -> bool:
    """Whether a site has dimensions of enumerated sites, which lie from `first_dim` on."""
    return first_dim is not None and len(msg["fn"].batch_shape) >= -first_dim


def _too_short(msg: Message, value: Any, length: int) -> str:
    name = msg["name"]
    return (
        f"site {name!r} in a loop of {length} steps: the series of shape {np.shape(value)} is too short, and later values would "
        f"depend on sites that are enumerated. Fill the series up to {length} steps and say which are known, by "
        f"sample({name!r}, ..., obs=y, obs_mask=known) with both among the xs of scan; the others are then drawn"
    )


def _site_ndim(msg: Message, first_dim: int | None) -> int:
    """The number of dimensions of the value that a site has in one step, without those of enumerated sites, from `first_dim` on."""
    if msg["type"] == "sample":
        fn = msg["fn"]
        if has_states(msg, first_dim):
            return max((-frame.dim for frame in msg["cond_indep_stack"]), default=0) + fn.event_dim
        return len(msg["kwargs"]["sample_shape"]) + len(fn.shape())
    return 1 if msg["type"] == "plate" else np.ndim(msg["value"])


class substitute(Lookup):
    """Fixes the values of sites; a latent site stays latent.

    Args:
        fn: a model.
        data: a dict from names of sample, param, mutable, plate or deterministic sites to values.
        substitute_fn: or a function `site -> value`, with `None` to leave a site alone.

    Raises:
        ValueError: unless exactly one of `data` and `substitute_fn` is given.

    Example:
        >>> from ppl import distributions as dist
        >>> from ppl.primitives import sample
        >>> substitute(lambda: sample("x", dist.Normal(0.0, 1.0)), data={"x": 2.0})()
        2.0
    """

    def __init__(
        self,
        fn: Callable[..., Any] | None = None,
        data: Mapping[str, Any] | None = None,
        substitute_fn: Callable[[Message], Any] | None = None,
    ) -> None:
        _check_source("substitute", data, substitute_fn)
        self.data = data
        self.substitute_fn = substitute_fn
        super().__init__(fn)

    def process_message(self, msg: Message) -> None:
        """Set the value of a site."""
        if acts_inside(msg, self.inside) or msg["type"] not in _SUBSTITUTED:
            return
        value = self.data.get(msg["name"]) if self.data is not None else self.substitute_fn(msg)  # type: ignore[misc]
        value = self.of_step(msg, value)
        if value is not None:
            msg["value"] = dict(value) if msg["type"] == "mutable" and isinstance(value, dict) else value


class condition(Lookup):
    """Makes sample sites observed.

    Args:
        fn: a model.
        data: a dict from names of sample sites to values.
        condition_fn: or a function `site -> value`, with `None` to leave a site alone.

    Raises:
        ValueError: unless exactly one of `data` and `condition_fn` is given.

    Example:
        >>> from ppl import distributions as dist
        >>> from ppl.primitives import sample
        >>> condition(lambda: sample("x", dist.Normal(0.0, 1.0)), data={"x": 2.0})()
        2.0
    """

    def __init__(
        self,
        fn: Callable[..., Any] | None = None,
        data: Mapping[str, Any] | None = None,
        condition_fn: Callable[[Message], Any] | None = None,
    ) -> None:
        _check_source("condition", data, condition_fn)
        self.data = data
        self.condition_fn = condition_fn
        super().__init__(fn)

    def process_message(self, msg: Message) -> None:
        """Set the value of a sample site and mark it observed."""
        if acts_inside(msg, self.inside) or msg["type"] != "sample":
            return
        value = self.data.get(msg["name"]) if self.data is not None else self.condition_fn(msg)  # type: ignore[misc]
        value = self.of_step(msg, value)
        if value is not None:
            msg["value"] = value
            msg["is_observed"] = True


class uncondition(Messenger):
    """Makes observed sample sites latent, so that they are drawn.

    `infer["was_observed"]` is set, and `infer["obs"]` keeps the observed value.

    Example:
        >>> from ppl import distributions as dist, handlers
        >>> from ppl.primitives import sample
        >>> with handlers.seed(rng_seed=0), uncondition():
        ...     sample("x", dist.Uniform(0.0, 1.0), obs=7.0) < 1
        Array(True, dtype=bool)
    """

    def process_message(self, msg: Message) -> None:
        """Take the observed value away."""
        if acts_inside(msg, lambda step: uncondition()) or msg["type"] != "sample" or not msg["is_observed"]:
            return
        msg["is_observed"] = False
        msg["infer"].update(was_observed=True, obs=msg["value"])
        msg["value"] = None
        if msg["kwargs"]["rng_key"] is None:
            # A `seed` further in has seen a value and gave no key.
            msg["kwargs"]["rng_key"] = prng_key()


class replay(Lookup):
    """Lets latent sample sites and plates take the values that they have in a trace.

    Args:
        fn: a model.
        trace: an earlier execution trace, such as the guide's.

    Raises:
        ValueError: without a trace.
        RuntimeError: if a plate of the model is no plate in `trace`, or a latent site is observed or no sample site there.

    Example:
        >>> from ppl import distributions as dist, handlers
        >>> from ppl.primitives import sample
        >>> guide = handlers.trace(handlers.seed(lambda: sample("x", dist.Normal(0.0, 1.0)), 0)).get_trace()
        >>> replay(lambda: sample("x", dist.Cauchy(0.0, 1.0)), trace=guide)() == guide["x"]["value"]
        Array(True, dtype=bool)
    """

    def __init__(self, fn: Callable[..., Any] | None = None, trace: Trace | None = None) -> None:
        if trace is None:
            raise ValueError("replay: `trace` is needed; pass what handlers.trace(fn).get_trace(...) returned")
        if not isinstance(trace, Mapping):
            raise TypeError(
                f"replay: `trace` must be a dict from names to sites, found {describe(trace)}; pass what "
                "handlers.trace(fn).get_trace(...) returned"
            )
        self.trace = trace
        super().__init__(fn)

    def process_message(self, msg: Message) -> None:
        """Set the value of a latent site or a plate from the trace."""
        if acts_inside(msg, self.inside):
            return
        kind = msg["type"]
        if kind not in ("sample", "plate"):
            return
        site = self.trace.get(msg["name"])
        if site is None or (kind == "sample" and msg["is_observed"]):
            return
        if not isinstance(site, Mapping):
            raise TypeError(
                f"replay: `trace` must hold sites, found {describe(site)} under {msg['name']!r}; pass what "
                "handlers.trace(fn).get_trace(...) returned, or set values with handlers.substitute"
            )
        if kind == "plate" and site["type"] != "plate":
            raise RuntimeError(f"replay: {msg['name']!r} is a plate in the model but a {site['type']} site in the trace")
        if kind == "sample" and (site["type"] != "sample" or site["is_observed"]):
            found = "an observed site" if site["type"] == "sample" else f"a {site['type']} site"
            raise RuntimeError(f"replay: {msg['name']!r} is a latent sample site in the model but {found} in the trace")
        msg["value"] = self.of_step(msg, site["value"])
        if kind == "sample":
            msg["infer"] = dict(site["infer"])


class do(Lookup):
    """Intervenes on sites: the model sees the given value, while the site keeps its own distribution and value in the trace.

    Args:
        fn: a model.
        data: a dict from names of sample sites to values.

    Raises:
        ValueError: without data.

    Example:
        >>> from ppl import distributions as dist, handlers
        >>> from ppl.primitives import sample
        >>> model = handlers.seed(lambda: sample("x", dist.Normal(0.0, 1.0)), 0)
        >>> do(model, data={"x": 10.0})()
        10.0
    """

    def __init__(self, fn: Callable[..., Any] | None = None, data: Mapping[str, Any] | None = None) -> None:
        if not isinstance(data, Mapping):
            raise ValueError(f"do: expected `data`, a dict from site names to values, found {describe(data)}")
        self.data = data
        super().__init__(fn)

    def process_message(self, msg: Message) -> None:
        """Send the natural site outwards and give the model the intervened value."""
        if acts_inside(msg, self.inside):
            msg["stop"] = msg.get("_cut", False)
            return
        if msg["type"] != "sample":
            return
        value = self.of_step(msg, self.data.get(msg["name"]))
        if value is None:
            return
        if msg.get("_intervened"):
            warnings.warn(
                f"do: two interventions on the site {msg['name']!r}; the model sees the value of the inner one",
                RuntimeWarning,
                stacklevel=find_stack_level(),
            )
        natural = copy_message(msg)
        natural["_intervened"] = True
        apply_outer(self, natural)
        msg["name"] += "__CF"
        msg["value"] = value
        msg["is_observed"] = True
        msg["stop"] = msg["_cut"] = True
