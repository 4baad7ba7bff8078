"""Handlers that set the values of sites: substitute, condition, uncondition, replay, do."""

import warnings
from collections.abc import Callable, Mapping
from typing import Any

import jax

from ppl._typing import Message, Trace
from ppl.primitives import prng_key
from ppl.stack import Messenger, acts_inside, apply_outer, copy_message
from ppl.util import describe, find_stack_level

__all__ = ["condition", "do", "replay", "substitute", "uncondition"]

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


def _at(data: Mapping[str, Any], step: Any) -> Mapping[str, Any]:
    """The values of one step of a loop, taken along their leading axis when they are asked for; all of them in a branch."""
    return data if step is None else _Step(data, step)


class _Step(Mapping[str, Any]):
    def __init__(self, data: Mapping[str, Any], step: Any) -> None:
        self.data, self.step = data, step

    def __getitem__(self, name: str) -> Any:
        return jax.tree.map(lambda x: jax.numpy.asarray(x)[self.step], self.data[name])

    def __iter__(self) -> Any:
        return iter(self.data)

    def __len__(self) -> int:
        return len(self.data)


class substitute(Messenger):
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

    def _inside(self, step: Any) -> "substitute":
        return substitute(data=None if self.data is None else _at(self.data, step), substitute_fn=self.substitute_fn)

    def process_message(self, msg: Message) -> None:
        """Set the value of a site."""
        if acts_inside(msg, self._inside) or msg["type"] not in _SUBSTITUTED:
            return
        value = self.data.get(msg["name"]) if self.data is not None else self.substitute_fn(msg)  # type: ignore[misc]
        if value is not None:
            msg["value"] = dict(value) if msg["type"] == "mutable" and isinstance(value, dict) else value


class condition(Messenger):
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

    def _inside(self, step: Any) -> "condition":
        return condition(data=None if self.data is None else _at(self.data, step), condition_fn=self.condition_fn)

    def process_message(self, msg: Message) -> None:
        """Set the value of a sample site and mark it observed."""
        if acts_inside(msg, self._inside) or msg["type"] != "sample":
            return
        value = self.data.get(msg["name"]) if self.data is not None else self.condition_fn(msg)  # type: ignore[misc]
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


class replay(Messenger):
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
        self.trace = trace
        super().__init__(fn)

    def _inside(self, step: Any) -> "replay":
        if step is None:
            return self
        return replay(trace={name: _at_step(site, step) for name, site in self.trace.items()})

    def process_message(self, msg: Message) -> None:
        """Set the value of a latent site or a plate from the trace."""
        if acts_inside(msg, self._inside):
            return
        kind = msg["type"]
        if kind not in ("sample", "plate"):
            return
        site = self.trace.get(msg["name"])
        if site is None or (kind == "sample" and msg["is_observed"]):
            return
        if kind == "plate" and site["type"] != "plate":
            raise RuntimeError(f"replay: {msg['name']!r} is a plate in the model but a {site['type']} site in the trace")
        if kind == "sample" and (site["type"] != "sample" or site["is_observed"]):
            found = "an observed site" if site["type"] == "sample" else f"a {site['type']} site"
            raise RuntimeError(f"replay: {msg['name']!r} is a latent sample site in the model but {found} in the trace")
        msg["value"] = site["value"]
        if kind == "sample":
            msg["infer"] = dict(site["infer"])


def _at_step(site: Message, step: Any) -> Message:
    if site["type"] != "sample" or not site.get("_control_flow_done"):
        return site
    return {**site, "value": _at({"value": site["value"]}, step)["value"]}


class do(Messenger):
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

    def _inside(self, step: Any) -> "do":
        return do(data=_at(self.data, step))

    def process_message(self, msg: Message) -> None:
        """Send the natural site outwards and give the model the intervened value."""
        if acts_inside(msg, self._inside) or msg["type"] != "sample":
            return
        value = self.data.get(msg["name"])
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
        msg["stop"] = True
