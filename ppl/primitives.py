"""The statements of a model: `sample`, `param`, `plate` and friends.

Outside any handler each of them is an ordinary function. Inside, each makes a message and passes it through the handlers
(`ppl.stack`).
"""

import warnings
from collections.abc import Callable, Mapping
from functools import partial
from types import NoneType
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ppl._typing import ArrayLike, Key, Message, PyTree, Shape
from ppl.distributions import constraints
from ppl.distributions.distribution import Distribution, Unit
from ppl.plate import _subsample_fn, plate, plate_stack, subsample
from ppl.stack import (
    _PYRO_STACK,
    CondIndepStackFrame,
    Messenger,
    apply_stack,
    current_stack,
    default_process_message,
)
from ppl.util import as_key, describe, find_stack_level, identity

_VALUES = (jax.Array, int, float, complex, NoneType)

__all__ = [
    "_PYRO_STACK",
    "CondIndepStackFrame",
    "Messenger",
    "_inspect",
    "_subsample_fn",
    "apply_stack",
    "default_process_message",
    "deterministic",
    "factor",
    "get_mask",
    "module",
    "mutable",
    "param",
    "plate",
    "plate_stack",
    "prng_key",
    "sample",
    "subsample",
]


def sample(
    name: str,
    fn: Distribution,
    obs: ArrayLike | None = None,
    rng_key: Key | None = None,
    sample_shape: Shape = (),
    infer: dict[str, Any] | None = None,
    obs_mask: ArrayLike | bool | None = None,
) -> Any:
    """A random value with the distribution `fn`, or the observed one.

    Args:
        name: the name of the site, unique in the model.
        fn: the distribution.
        obs: the observed value; `None` for a latent site.
        rng_key: a random key; it wins over the one of `handlers.seed`.
        sample_shape: draws to the left of the batch shape; inside a plate it becomes part of the batch shape.
        infer: hints for inference, such as `{"enumerate": "parallel"}`.
        obs_mask: where `obs` is observed, broadcastable to the batch shape; elsewhere the value is latent. It makes the sites
            `{name}_observed`, `{name}_unobserved` and the deterministic `{name}` out of both.

    Returns:
        The value, `sample_shape + fn.batch_shape + fn.event_shape`.

    Raises:
        TypeError: if `fn` is no distribution, or another argument has the wrong type.
        ValueError: if the value does not fit the distribution and the plates.

    Example:
        >>> from ppl import distributions as dist
        >>> sample("x", dist.Normal(0.0, 1.0), obs=2.5)
        2.5
    """
    if not isinstance(name, str):
        raise TypeError(_not_a_name("sample", name))
    if not isinstance(fn, Distribution):
        raise TypeError(_not_a_distribution(name, fn))
    if sample_shape != ():
        _check_sample_shape(name, sample_shape)
    if infer is not None and not isinstance(infer, Mapping):
        raise TypeError(f"site {name!r}: infer must be a dict such as {{'enumerate': 'parallel'}}, found {describe(infer)}")
    if rng_key is not None and not isinstance(rng_key, jax.Array):
        rng_key = as_key(rng_key, name=f"site {name!r}: rng_key")
    if obs_mask is not None and obs is not None:
        return _masked_observe(name, fn, obs, obs_mask, rng_key, sample_shape, infer)
    if not isinstance(obs, _VALUES):
        obs = _as_array(name, obs)
    if not current_stack():
        return fn(rng_key=rng_key, sample_shape=sample_shape) if obs is None else obs  # type: ignore[arg-type]
    msg = {
        "type": "sample",
        "name": name,
        "fn": fn,
        "args": (),
        "kwargs": {"rng_key": rng_key, "sample_shape": sample_shape},
        "value": obs,
        "is_observed": obs is not None,
        "cond_indep_stack": [],
        "scale": None,
        "infer": {} if infer is None else dict(infer),
        "intermediates": [],
    }
    return apply_stack(msg)["value"]


def _not_a_name(statement: str, name: Any) -> str:
    return f"{statement}: the name of a site must be a string, found {describe(name)}"


def _not_a_distribution(name: str, fn: Any) -> str:
    if isinstance(fn, type):
        return f"site {name!r}: expected a distribution, found the class {fn.__name__}; pass an instance: dist.{fn.__name__}(...)"
    return f"site {name!r}: expected a distribution, found {describe(fn)}; pass an instance such as dist.Normal(0.0, 1.0)"


def _check_sample_shape(name: str, sample_shape: Any) -> None:
    if not isinstance(sample_shape, tuple):
        cure = tuple(sample_shape) if isinstance(sample_shape, list) else (sample_shape,)
        raise TypeError(f"site {name!r}: sample_shape must be a tuple, found {describe(sample_shape)}; write {cure}")
    if not all(isinstance(size, int | np.integer) and size >= 0 for size in sample_shape):
        raise ValueError(f"site {name!r}: sample_shape must hold whole numbers, at least 0; found {sample_shape}")


def _as_array(name: str, obs: Any) -> np.ndarray | np.generic:
    """NumPy values as they are, the array in a list, a data frame's column or the like.

    Raises:
        TypeError: if that is no array of numbers.
    """
    try:
        array = np.asarray(obs)
    except ValueError as error:
        raise TypeError(f"site {name!r}: obs must be a rectangular array of numbers, found rows of unequal length") from error
    if array.dtype.kind not in "biufcV":
        raise TypeError(
            f"site {name!r}: obs must be numbers, found {describe(obs)} with entries of type {array.dtype}; "
            "encode text as numbers, and missing values as nan, to be left out by obs_mask"
        )
    return obs if isinstance(obs, np.ndarray | np.generic) else array


def _masked_observe(
    name: str,
    fn: Distribution,
    obs: ArrayLike,
    obs_mask: ArrayLike | bool,
    rng_key: Key | None,
    sample_shape: Shape,
    infer: dict[str, Any] | None,
) -> Any:
    """A site of which some elements are observed: two sites under complementary masks, and what they say together."""
    if not isinstance(obs_mask, bool | np.bool_) and getattr(obs_mask, "dtype", None) != np.bool_:
        obs_mask = np.asarray(obs_mask)
        if obs_mask.dtype != np.bool_:
            raise TypeError(f"site {name!r}: obs_mask must be boolean, found {describe(obs_mask)}; write obs_mask != 0, say")
    unobserved_mask = not obs_mask if isinstance(obs_mask, bool) else ~obs_mask
    try:
        observed = sample(f"{name}_observed", fn.mask(obs_mask), obs=obs, rng_key=rng_key, sample_shape=sample_shape, infer=infer)
    except ValueError as error:
        error.add_note(
            f"obs_mask of site {name!r} has shape {np.shape(obs_mask)}; it must broadcast to the batch shape of the site"
        )
        raise
    unobserved = sample(f"{name}_unobserved", fn.mask(unobserved_mask), rng_key=rng_key, sample_shape=sample_shape, infer=infer)
    batch_mask = np.reshape(obs_mask, np.shape(obs_mask) + (1,) * fn.event_dim) if fn.event_dim else obs_mask
    return deterministic(name, jnp.where(batch_mask, observed, unobserved))


def param(
    name: str,
    init_value: Any = None,
    *,
    constraint: constraints.Constraint = constraints.real,
    event_dim: int | None = None,
    **kwargs: Any,
) -> Any:
    """A parameter to be optimised.

    Args:
        name: the name of the site.
        init_value: the value to start from, or a function `key -> value`.
        constraint: the set of its values.
        event_dim: the number of event dimensions, so that an enclosing plate subsamples its batch dimensions; `None` for no
            subsampling.
        **kwargs: kept in the message.

    Raises:
        ValueError: if `init_value` is a function and no `seed` gives it a key.

    Example:
        >>> param("loc", 0.5)
        0.5
    """
    if not isinstance(name, str):
        raise TypeError(_not_a_name("param", name))
    if not isinstance(constraint, constraints.Constraint):
        raise TypeError(f"param {name!r}: constraint must be one such as constraints.positive, found {describe(constraint)}")
    if event_dim is not None and (isinstance(event_dim, bool) or not isinstance(event_dim, int) or event_dim < 0):
        raise ValueError(f"param {name!r}: event_dim must be a number of dimensions, at least 0; found {event_dim!r}")
    if not current_stack():
        if callable(init_value):
            raise ValueError(_callable_without_key(name))
        return init_value
    msg = {
        "type": "param",
        "name": name,
        "fn": partial(_initial_value, name),
        "args": (init_value,),
        "kwargs": {"constraint": constraint, "event_dim": event_dim, **kwargs},
        "value": None,
        "scale": None,
        "cond_indep_stack": [],
    }
    return apply_stack(msg)["value"]


def _callable_without_key(name: str) -> str:
    return f"param {name!r}: a callable init_value needs a random key; run the model inside `handlers.seed`, or pass an array"


def _initial_value(name: str, init_value: Any, **_: Any) -> Any:
    if not callable(init_value):
        return init_value
    key = prng_key()
    if key is None:
        raise ValueError(_callable_without_key(name))
    return init_value(key)


def deterministic(name: str, value: PyTree) -> PyTree:
    """Record a value computed from others, so that it appears among the results.

    Example:
        >>> deterministic("total", 1 + 2)
        3
    """
    if not isinstance(name, str):
        raise TypeError(_not_a_name("deterministic", name))
    if not current_stack():
        return value
    msg = {
        "type": "deterministic",
        "name": name,
        "fn": identity,
        "args": (value,),
        "kwargs": {},
        "value": value,
        "cond_indep_stack": [],
    }
    return apply_stack(msg)["value"]


def factor(name: str, log_factor: ArrayLike) -> None:
    """Add `log_factor` to the log density of the model; inside plates and masks it is scaled and masked like any site.

    Raises:
        TypeError: if it is no number or array of numbers.
    """
    if not isinstance(name, str):
        raise TypeError(_not_a_name("factor", name))
    if not isinstance(log_factor, jax.Array | float | int) and np.asarray(log_factor).dtype.kind not in "biufV":
        raise TypeError(f"factor {name!r}: expected a number or an array of numbers, found {describe(log_factor)}")
    unit = Unit(log_factor)
    value = np.empty((*unit.batch_shape, 0), jax.dtypes.canonicalize_dtype(float))
    sample(name, unit, obs=value, infer={"is_auxiliary": True})


def _shallow_copy(value: Any) -> Any:
    return dict(value) if isinstance(value, dict) else value


def mutable(name: str, init_value: Any = None) -> Any:
    """A dict that the model updates in place and that SVI carries from step to step.

    Args:
        name: the name of the site.
        init_value: what it holds at the start; it is copied, so that the argument does not change.
    """
    if not isinstance(name, str):
        raise TypeError(_not_a_name("mutable", name))
    if not current_stack():
        return init_value
    msg = {"type": "mutable", "name": name, "fn": _shallow_copy, "args": (init_value,), "kwargs": {}, "value": None}
    return apply_stack(msg)["value"]


def prng_key() -> Key | None:
    """A fresh random key from the nearest `handlers.seed`; `None` without one, with a warning outside any handler."""
    if not current_stack():
        warnings.warn(
            "prng_key() was called outside of `seed` and returns None; wrap the model in handlers.seed(model, 0)",
            stacklevel=find_stack_level(),
        )
        return None
    msg = {"type": "prng_key", "fn": _given_key, "args": (), "kwargs": {"rng_key": None}, "value": None}
    return apply_stack(msg)["value"]


def _given_key(rng_key: Key | None) -> Key | None:
    return rng_key


def _inspect() -> Message:
    """A message that handlers such as `mask` fill in, for a statement that wants to know what surrounds it."""
    return apply_stack(
        {"type": "inspect", "fn": _nothing, "args": (), "kwargs": {}, "value": None, "mask": None, "infer": {}, "scale": None}
    )


def _nothing() -> None:
    return None


def get_mask() -> ArrayLike | bool | None:
    """The combined mask of the enclosing `mask` handlers: `None`, a bool or an array; `False` lets a model skip work."""
    return _inspect()["mask"] if current_stack() else None


def module(name: str, nn: tuple[Callable[..., Any], Callable[..., Any]], input_shape: Shape | None = None) -> Callable[..., Any]:
    """A neural network in the style of stax whose parameters are the `param` site `{name}$params`.

    Args:
        name: the name of the network.
        nn: the pair `(init_fn, apply_fn)`.
        input_shape: the shape of its input, needed to make the parameters.

    Returns:
        `apply_fn` with its parameters bound.

    Raises:
        ValueError: if the parameters do not exist yet and `input_shape` is not given.
        TypeError: if `nn` is no pair.
    """
    if not isinstance(nn, tuple | list) or len(nn) != 2:
        raise TypeError(f"module {name!r}: nn must be a pair (init_fn, apply_fn) as stax makes them, found {describe(nn)}")
    init_fn, apply_fn = nn

    def init(key: Key) -> PyTree:
        if input_shape is None:
            raise ValueError(f"module {name!r}: input_shape is needed where the parameters are first made")
        return init_fn(key, input_shape)[1]

    return partial(apply_fn, param(f"{name}$params", init))
