"""Handlers that record, hide and rename sites: trace, block, scope, infer_config."""

from collections import OrderedDict
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from typing import Any, Self

from ppl._typing import Message, Trace
from ppl.primitives import prng_key
from ppl.stack import Messenger, acts_inside, copy_message
from ppl.util import describe

__all__ = ["block", "infer_config", "scope", "trace"]


class trace(Messenger):
    """Records the sites of a run.

    Used as `with trace() as tr`, `tr` is the dict of sites; `get_trace` runs the wrapped model. Each site is a copy of its
    message.

    Raises:
        ValueError: if two sample or deterministic sites have the same name, or a plate returns with another size or dim.

    Example:
        >>> from ppl import distributions as dist
        >>> from ppl.primitives import sample
        >>> tr = trace(lambda: sample("x", dist.Normal(0.0, 1.0), obs=2.0)).get_trace()
        >>> tr["x"]["value"], tr["x"]["is_observed"]
        (2.0, True)
    """

    def __init__(self, fn: Callable[..., Any] | None = None) -> None:
        super().__init__(fn)
        self.trace: Trace = OrderedDict()

    def __enter__(self) -> Trace:
        super().__enter__()
        self.trace = OrderedDict()
        return self.trace

    def postprocess_message(self, msg: Message) -> None:
        """Record a copy of a named message."""
        name, kind = msg.get("name"), msg["type"]
        if name is None or kind == "control_flow":
            return
        earlier = self.trace.get(name)
        if earlier is not None:
            if kind in ("sample", "deterministic") or kind != earlier["type"]:
                raise ValueError(
                    f"all sites must have unique names but got `{name}` duplicated (a {earlier['type']} site, then a {kind} site); "
                    "rename one of them, or use handlers.scope"
                )
            if kind == "plate" and earlier["args"][0] != msg["args"][0]:
                raise ValueError(
                    f"plate {name!r} is declared with size {earlier['args'][0]} and again with size {msg['args'][0]}; "
                    "give the second one another name"
                )
        self.trace[name] = copy_message(msg)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run the model; the sites are then in `trace`."""
        if self.fn is None:
            return super().__call__(*args, **kwargs)
        recorder = trace()
        try:
            with recorder:
                return self.fn(*args, **kwargs)
        finally:
            self.trace = recorder.trace

    def get_trace(self, *args: Any, **kwargs: Any) -> Trace:
        """Run the model on the arguments and return the dict of its sites."""
        if self.fn is None:
            raise ValueError("trace.get_trace: there is no model to run; write handlers.trace(model).get_trace(...)")
        with trace() as sites:
            self.fn(*args, **kwargs)
        self.trace = sites
        return sites


def _hide_names(names: tuple[str, ...], msg: Message) -> bool:
    return msg["name"] in names


def _hide_other_names(names: tuple[str, ...], msg: Message) -> bool:
    return msg["name"] not in names


def _hide_other_types(types: tuple[str, ...], msg: Message) -> bool:
    return msg["type"] not in types


def _hide_all(msg: Message) -> bool:
    return True


class block(Messenger):
    """Hides sites from the handlers outside; they still get random keys from there.

    The first argument given, in this order, decides; without any, all sites are hidden.

    Args:
        fn: a model.
        hide_fn: `site -> bool`, true for sites to hide.
        hide: names of the sites to hide.
        expose_types: types of the sites to leave visible.
        expose: names of the sites to leave visible.

    Example:
        >>> from ppl import distributions as dist, handlers
        >>> from ppl.primitives import sample
        >>> def model():
        ...     sample("x", dist.Normal(0.0, 1.0))
        ...     sample("y", dist.Normal(0.0, 1.0))
        >>> list(handlers.trace(block(handlers.seed(model, 0), hide=["x"])).get_trace())
        ['y']
    """

    def __init__(
        self,
        fn: Callable[..., Any] | None = None,
        hide_fn: Callable[[Message], bool] | None = None,
        hide: Collection[str] | None = None,
        expose_types: Collection[str] | None = None,
        expose: Collection[str] | None = None,
    ) -> None:
        if hide_fn is not None and not callable(hide_fn):
            raise TypeError(
                f"block: `hide_fn` must be a function of a site, found {describe(hide_fn)}; for names write hide={hide_fn!r}"
            )
        for name, names in (("hide", hide), ("expose_types", expose_types), ("expose", expose)):
            if isinstance(names, str):
                raise TypeError(f"block: `{name}` must be a list of names, found the string {names!r}; write [{names!r}]")
        if hide_fn is not None:
            self.hide_fn = hide_fn
        elif hide is not None:
            self.hide_fn = partial(_hide_names, tuple(hide))
        elif expose_types is not None:
            self.hide_fn = partial(_hide_other_types, tuple(expose_types))
        elif expose is not None:
            self.hide_fn = partial(_hide_other_names, tuple(expose))
        else:
            self.hide_fn = _hide_all
        super().__init__(fn)

    def process_message(self, msg: Message) -> None:
        """Stop a message that is to be hidden."""
        if msg["type"] == "control_flow":
            msg["kwargs"]["inside"].append(lambda step: block(hide_fn=self.hide_fn))
            return
        if msg.get("name") is None or not self.hide_fn({**msg, "name": msg.get("_name_in_body", msg["name"])}):
            return
        if msg["type"] in ("sample", "plate") and msg["value"] is None and msg["kwargs"].get("rng_key") is None:
            msg["kwargs"]["rng_key"] = prng_key()
        msg["stop"] = True


class scope(Messenger):
    """Puts `prefix + divider` in front of the names of sites, and of the plates in which they lie.

    Args:
        fn: a model.
        prefix: what to put in front.
        divider: what separates it from the name.
        hide_types: types of sites whose names stay as they are.

    Example:
        >>> from ppl import distributions as dist, handlers
        >>> from ppl.primitives import sample
        >>> list(handlers.trace(scope(lambda: sample("x", dist.Normal(0.0, 1.0), obs=1.0), prefix="a")).get_trace())
        ['a/x']
    """

    def __init__(
        self,
        fn: Callable[..., Any] | None = None,
        prefix: str = "",
        divider: str = "/",
        *,
        hide_types: Sequence[str] | None = None,
    ) -> None:
        for argument, text in (("prefix", prefix), ("divider", divider)):
            if not isinstance(text, str):
                raise TypeError(f"scope: `{argument}` must be a string, found {describe(text)}")
        self.prefix = prefix
        self.divider = divider
        self.hide_types = () if hide_types is None else tuple(hide_types)
        super().__init__(fn)

    def _inside(self, step: Any) -> Self:
        return type(self)(prefix=self.prefix, divider=self.divider, hide_types=self.hide_types)

    def process_message(self, msg: Message) -> None:
        """Rename a site and the plates around it."""
        if acts_inside(msg, self._inside):
            return
        if msg.get("name") is not None and msg["type"] not in self.hide_types:
            # Handlers that make further sites run through this one again: they need the name that the model gave.
            msg.setdefault("local_name", msg["name"])
            msg["name"] = f"{self.prefix}{self.divider}{msg['name']}"
        frames = msg.get("cond_indep_stack")
        if frames and "plate" not in self.hide_types:
            msg["cond_indep_stack"] = [f._replace(name=f"{self.prefix}{self.divider}{f.name}") for f in frames]


class infer_config(Messenger):
    """Adds hints for inference to sample sites.

    Args:
        fn: a model.
        config_fn: `site -> dict`, merged into `site["infer"]`.

    Example:
        >>> from ppl import distributions as dist, handlers
        >>> from ppl.primitives import sample
        >>> model = infer_config(lambda: sample("x", dist.Normal(0.0, 1.0), obs=1.0), lambda site: {"note": 1})
        >>> handlers.trace(model).get_trace()["x"]["infer"]
        {'note': 1}
    """

    def __init__(self, fn: Callable[..., Any] | None = None, config_fn: Callable[[Message], dict[str, Any]] | None = None) -> None:
        if not callable(config_fn):
            raise ValueError(f"infer_config: `config_fn` must be a function of a site, found {config_fn!r}")
        self.config_fn = config_fn
        super().__init__(fn)

    def process_message(self, msg: Message) -> None:
        """Merge the hints into those of a sample site."""
        if acts_inside(msg, lambda step: infer_config(config_fn=self.config_fn)) or msg["type"] != "sample":
            return
        hints = self.config_fn(msg)
        if not isinstance(hints, Mapping):
            raise TypeError(f"infer_config: `config_fn` must return a dict, found {describe(hints)} for site {msg['name']!r}")
        msg["infer"].update(hints)
