"""Enumerated sites read back: draws from their joint posterior, its maximum, and the probability of each state."""

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import random

from ppl import handlers
from ppl._typing import Array, Key, Message, Trace
from ppl.handlers.enumeration import GiveStates, is_marked
from ppl.handlers.values import Lookup
from ppl.infer.target.enumeration import discrete_values, enumerated_log_density, state_probabilities
from ppl.infer.target.model import check_call
from ppl.stack import Messenger, acts_inside, current_stack, isolated
from ppl.trace import latent_sites, max_plate_nesting
from ppl.util import as_key

__all__ = ["compute_marginals", "infer_discrete", "log_density"]

_PURE = (Lookup, handlers.mask, handlers.scale, handlers.reparam, handlers.infer_config)


def log_density(
    model: Callable[..., Any], model_args: tuple[Any, ...], model_kwargs: Mapping[str, Any] | None, params: Mapping[str, Any]
) -> tuple[Array, Trace]:
    """The log density of a model at constrained values, with its enumerated sites summed out; no Jacobians.

    Args:
        model: a model inside `handlers.enum`.
        model_args: its positional arguments.
        model_kwargs: its keyword arguments, or None.
        params: constrained values of its other latent sites.

    Returns:
        The log density, a scalar, and the trace, whose sites say in `infer["dim_to_name"]` what their dimensions are.

    Raises:
        ValueError: if a dimension belongs to nothing, the plates cross, or the sum would need too much memory.

    Example:
        >>> import jax.numpy as jnp
        >>> import ppl
        >>> import ppl.distributions as dist
        >>> def model():
        ...     z = ppl.sample("z", dist.Bernoulli(0.5), infer={"enumerate": "parallel"})
        ...     ppl.sample("x", dist.Bernoulli(jnp.where(z == 1, 0.8, 0.2)), obs=1)
        >>> round(float(jnp.exp(log_density(handlers.enum(model, -1), (), {}, {})[0])), 4)
        0.5
    """
    check_call(model, model_args)
    with handlers.trace() as sites, handlers.substitute(data=params):
        model(*model_args, **(model_kwargs or {}))
    return enumerated_log_density(sites), sites


def infer_discrete(
    fn: Callable[..., Any] | None = None,
    first_available_dim: int | None = None,
    temperature: int = 1,
    rng_key: Key | int | None = None,
) -> Callable[..., Any]:
    """A model that runs with its enumerated sites at values given by their posterior, given everything else.

    Other latent sites take the values that handlers inside or outside give them; the rest is drawn.

    Args:
        fn: a model with sites marked `infer={"enumerate": "parallel"}`; None for use as a decorator.
        first_available_dim: the first dimension that no plate uses, as in `handlers.enum`; None: found by running the model.
        temperature: 1 for a draw from the joint posterior, 0 for its maximum (the most probable states together).
        rng_key: a random key; needed for temperature 1.

    Returns:
        The model.

    Raises:
        ValueError: if there is no key where one is needed, or the temperature is neither 0 nor 1.

    Example:
        >>> import jax.numpy as jnp
        >>> import ppl
        >>> import ppl.distributions as dist
        >>> def model():
        ...     z = ppl.sample("z", dist.Categorical(logits=jnp.zeros(3)), infer={"enumerate": "parallel"})
        ...     ppl.sample("x", dist.Normal(z, 0.1), obs=2.0)
        ...     return z
        >>> int(infer_discrete(model, first_available_dim=-1, temperature=0)())
        2
    """
    if temperature not in (0, 1):
        raise ValueError(f"infer_discrete: temperature must be 0 (the maximum) or 1 (a draw), found {temperature!r}")
    if rng_key is None and (temperature == 1 or first_available_dim is None):
        raise ValueError("infer_discrete: rng_key is needed for temperature=1, and where first_available_dim is None")
    if fn is None:
        return partial(infer_discrete, first_available_dim=first_available_dim, temperature=temperature, rng_key=rng_key)
    key = None if rng_key is None else as_key(rng_key, name="infer_discrete: rng_key")
    return partial(_run_with_states, fn, first_available_dim, temperature, key)


def _run_with_states(
    fn: Callable[..., Any], first_available_dim: int | None, temperature: int, key: Key | None, /, *args: Any, **kwargs: Any
) -> Any:
    seed = () if key is None else (handlers.seed(rng_seed=random.fold_in(key, 0)),)
    sites = _enumerated_trace(fn, first_available_dim, seed, args, kwargs)
    depends = {name for name, site in latent_sites(sites).items() if "_slot" not in site["infer"] and _depends(site)}
    given = {n: site["value"] for n, site in latent_sites(sites).items() if "_slot" not in site["infer"] and n not in depends}
    plates = {name: site["value"] for name, site in sites.items() if site["type"] == "plate"}
    known = {name: site for name, site in sites.items() if name not in depends}
    states = discrete_values(known, random.fold_in(key, 1) if temperature else None)  # type: ignore[arg-type]
    with ExitStack() as stack:
        if key is not None:
            stack.enter_context(handlers.seed(rng_seed=random.fold_in(key, 2)))
        stack.enter_context(handlers.substitute(data=plates))
        stack.enter_context(GiveStates(given | states))
        return fn(*args, **kwargs)


def _depends(site: Message) -> bool:
    """Whether the value of a site differs between states: it was drawn, so that it says nothing of them."""
    rank = np.ndim(site["value"]) - site["fn"].event_dim - ("_loop" in site["infer"])
    return any(
        -slot.dim <= rank and np.shape(site["value"])[slot.dim - site["fn"].event_dim] > 1 for slot in site["infer"]["_slots"]
    )


def _enumerated_trace(
    fn: Callable[..., Any],
    first_available_dim: int | None,
    around: tuple[Messenger, ...],
    args: tuple[Any, ...],
    kwargs: Mapping[str, Any],
) -> Trace:
    """The trace under enumeration, with the values that handlers outside give; those do not see it, and lie within `around`."""
    outside: list[Messenger] = [handler for handler in current_stack() if isinstance(handler, _PURE)]

    def run(*further: Messenger) -> Trace:
        with ExitStack() as stack:
            stack.enter_context(isolated())
            sites = stack.enter_context(handlers.trace())
            for handler in (*further, *outside):
                stack.enter_context(handler)
            fn(*args, **kwargs)
        return sites

    if first_available_dim is None:
        nesting: list[int] = []
        jax.eval_shape(lambda: nesting.append(max_plate_nesting(run(handlers.seed(rng_seed=0)))))
        first_available_dim = -1 - nesting[0]
    return run(handlers.enum(first_available_dim=first_available_dim), *around)


class _NoDraws(Messenger):
    """Refuses to draw what `compute_marginals` has no value for."""

    def __init__(self, given: tuple[str, ...]) -> None:
        self._given = given
        super().__init__()

    def process_message(self, msg: Message) -> None:
        """Refuse a latent site without a value, and a subsample without indices, where the model has no key of its own."""
        if acts_inside(msg, lambda step: _NoDraws(self._given)) or msg["value"] is not None or is_marked(msg):
            return
        if msg["kwargs"].get("rng_key") is not None:
            return
        is_subsampled = msg["type"] == "plate" and msg["args"][0] != msg["args"][1]
        if msg["type"] == "sample" or is_subsampled:
            what = "are no indices of the subsampled plate" if is_subsampled else "is no value of the latent site"
            raise ValueError(
                f"compute_marginals: there {what} {msg['name']!r}; params has {', '.join(map(repr, self._given)) or 'nothing'}. "
                "Give values to all sites that are neither observed nor enumerated"
            )


def compute_marginals(
    model: Callable[..., Any],
    model_args: tuple[Any, ...],
    model_kwargs: Mapping[str, Any] | None,
    params: Mapping[str, Any],
    *,
    first_available_dim: int | None = None,
) -> dict[str, Array]:
    """The posterior probability of each state of each enumerated site, given values of the other sites.

    They are the derivatives of the log density by the log factors of the states.

    Args:
        model: a model with sites marked `infer={"enumerate": "parallel"}`.
        model_args: its positional arguments.
        model_kwargs: its keyword arguments, or None.
        params: constrained values of its other latent sites.
        first_available_dim: as in `infer_discrete`.

    Returns:
        A dict from names of enumerated sites to probabilities: the batch shape of the site, then the k states in the order of
        `enumerate_support`; they sum to one.

    Raises:
        ValueError: if another latent site, or a plate that is subsampled, has no value in `params`.

    Example:
        >>> import jax.numpy as jnp
        >>> import ppl
        >>> import ppl.distributions as dist
        >>> def model():
        ...     z = ppl.sample("z", dist.Bernoulli(0.5), infer={"enumerate": "parallel"})
        ...     ppl.sample("x", dist.Bernoulli(jnp.where(z == 1, 0.8, 0.2)), obs=1)
        >>> [round(float(p), 4) for p in compute_marginals(model, (), {}, {})["z"]]
        [0.2, 0.8]
    """
    check_call(model, model_args)
    with handlers.substitute(data=jax.tree.map(jnp.asarray, dict(params))):
        sites = _enumerated_trace(model, first_available_dim, (_NoDraws(tuple(params)),), model_args, model_kwargs or {})
    return state_probabilities(sites)
