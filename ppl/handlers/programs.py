"""Handlers that replace a statement by another program: lift, reparam."""

from collections.abc import Callable, Mapping
from typing import Any

from ppl._typing import Message
from ppl.distributions.distribution import Distribution
from ppl.stack import Messenger, acts_inside
from ppl.util import describe, identity

__all__ = ["lift", "reparam"]

Strategy = Callable[[str, Distribution, Any], tuple[Distribution | None, Any]]


class lift(Messenger):
    """Turns param sites into sample sites with a prior.

    A name that comes twice in one run gets the same value; the second site is observed and hidden.

    Args:
        fn: a model.
        prior: a distribution for all params, or a dict from names to distributions; other params stay as they are.

    Raises:
        TypeError: if a prior is no distribution.

    Example:
        >>> from ppl import distributions as dist, handlers
        >>> from ppl.primitives import param
        >>> model = lift(handlers.seed(lambda: param("loc", 0.0), 0), prior=dist.Normal(0.0, 1.0))
        >>> handlers.trace(handlers.seed(model, 0)).get_trace()["loc"]["type"]
        'sample'
    """

    def __init__(
        self, fn: Callable[..., Any] | None = None, prior: Distribution | Mapping[str, Distribution] | None = None
    ) -> None:
        priors = prior.values() if isinstance(prior, Mapping) else (prior,)
        for each in priors:
            if not isinstance(each, Distribution):
                raise TypeError(f"lift: `prior` must be a distribution or a dict of distributions, found {describe(each)}")
        self.prior = prior
        self._seen: dict[str, Any] = {}
        super().__init__(fn)

    def __enter__(self) -> "lift":
        self._seen = {}
        return super().__enter__()

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run the model with its params drawn from the prior."""
        if self.fn is None:
            return super().__call__(*args, **kwargs)
        with lift(prior=self.prior):
            return self.fn(*args, **kwargs)

    def process_message(self, msg: Message) -> None:
        """Turn a param site into a sample site."""
        if msg["type"] != "param":
            return
        prior = self.prior.get(msg["name"]) if isinstance(self.prior, Mapping) else self.prior
        if prior is None:
            return
        seen = self._seen.get(msg["name"])
        msg["type"] = "sample"
        msg["fn"] = prior
        msg["args"] = ()
        msg["kwargs"] = {"rng_key": None, "sample_shape": ()}
        msg["infer"] = {}
        msg["intermediates"] = []
        msg["is_observed"] = seen is not None
        msg["lifted_from"] = msg["name"]
        if seen is not None:
            msg["value"] = seen
            msg["stop"] = True

    def postprocess_message(self, msg: Message) -> None:
        """Remember the value for later sites of the same name."""
        name = msg.get("lifted_from")
        if name is not None:
            self._seen.setdefault(name, msg["value"])


class reparam(Messenger):
    """Rewrites sample sites by reparametrisers, see `ppl.infer.reparam`.

    A reparametriser is called as `(name, fn, obs) -> (new_fn, value)`; it may itself sample. Where it returns no distribution the
    site becomes deterministic.

    Args:
        fn: a model.
        config: a dict from names of sites to reparametrisers, or a function `site -> reparametriser or None`.

    Raises:
        TypeError: if `config` is neither.
    """

    def __init__(
        self,
        fn: Callable[..., Any] | None = None,
        config: Mapping[str, Strategy] | Callable[[Message], Strategy | None] | None = None,
    ) -> None:
        if not isinstance(config, Mapping) and not callable(config):
            raise TypeError(
                "reparam: `config` must be a dict from site names to reparametrisers or a function of a site, "
                f"found {describe(config)}"
            )
        self.config = config
        super().__init__(fn)

    def process_message(self, msg: Message) -> None:
        """Let the reparametriser of a sample site, if there is one, rewrite it."""
        if acts_inside(msg, lambda step: reparam(config=self.config)) or msg["type"] != "sample":
            return
        strategy = self.config.get(msg["name"]) if isinstance(self.config, Mapping) else self.config(msg)
        if strategy is None:
            return
        if not callable(strategy):
            raise TypeError(f"reparam: expected a reparametriser for site {msg['name']!r}, found {describe(strategy)}")
        fn, sample_shape = msg["fn"], msg["kwargs"]["sample_shape"]
        if sample_shape:
            fn = fn.expand_by(sample_shape)
            msg["kwargs"]["sample_shape"] = ()
        fn, value = strategy(msg.get("local_name") or msg["name"], fn, msg["value"])
        if fn is None:
            _make_deterministic(msg, value)
            return
        msg["fn"] = fn
        if value is not None:
            msg["is_observed"] = msg["is_observed"] or msg["value"] is None
            msg["value"] = value


def _make_deterministic(msg: Message, value: Any) -> None:
    if value is None:
        raise ValueError(f"reparam: the reparametriser of site {msg['name']!r} returned neither a distribution nor a value")
    for field in ("is_observed", "scale", "infer", "intermediates"):
        del msg[field]
    msg.update(type="deterministic", fn=identity, args=(value,), kwargs={}, value=value)
