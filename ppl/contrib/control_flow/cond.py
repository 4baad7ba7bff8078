"""`lax.cond` with sample statements in its branches."""

from collections.abc import Callable
from typing import Any

import numpy as np
from jax import lax

from ppl._typing import Key, Message, PyTree
from ppl.contrib.control_flow.body import emit, run_body
from ppl.ops.pytree import PytreeTrace
from ppl.stack import Messenger, Step, apply_stack, current_stack
from ppl.util import describe


def cond(pred: Any, true_fun: Callable[[Any], Any], false_fun: Callable[[Any], Any], operand: Any) -> Any:
    """`true_fun(operand)` where `pred` holds, otherwise `false_fun(operand)`; both may hold sample statements.

    Args:
        pred: a boolean scalar, possibly traced.
        true_fun: one branch.
        false_fun: the other; it must have the same sites, with distributions of the same families and shapes.
        operand: the argument of either.

    Returns:
        The result of the branch taken; results of both have one structure.

    Raises:
        ValueError: if the branches have different sites.
        TypeError: if a branch is no function, or `pred` no scalar.
        NotImplementedError: inside a plate, and for `param` or `mutable` in a branch.

    Example:
        >>> from ppl import distributions as dist, handlers
        >>> from ppl.primitives import sample
        >>> def high(_):
        ...     return sample("x", dist.Normal(20.0, 1.0))
        >>> def low(_):
        ...     return sample("x", dist.Normal(0.0, 1.0))
        >>> model = handlers.seed(lambda flag: cond(flag, high, low, None), 0)
        >>> bool(model(True) > 10), bool(model(False) > 10)
        (True, False)
    """
    for name, fn in (("true_fun", true_fun), ("false_fun", false_fun)):
        if not callable(fn):
            raise TypeError(f"cond: `{name}` must be a function of the operand, found {describe(fn)}")
    if np.shape(pred) != ():
        raise TypeError(f"cond: `pred` must be a scalar, found {describe(pred)}; for arrays use jnp.where")
    if not current_stack():
        return lax.cond(pred, true_fun, false_fun, operand)
    msg: Message = {
        "type": "control_flow",
        "name": "_cond",
        "fn": _run,
        "args": (pred, true_fun, false_fun, operand),
        "kwargs": {"rng_key": None, "inside": []},
        "value": None,
    }
    sites, out = apply_stack(msg)["value"]
    for site in sites.trace.values():
        emit(site, site["fn"], site["value"], site.get("time_dims", 0))
    return out


def _run(
    pred: Any,
    true_fun: Callable[[Any], Any],
    false_fun: Callable[[Any], Any],
    operand: Any,
    *,
    rng_key: Key | None,
    inside: list[Callable[[Step | None], Messenger]],
) -> tuple[PytreeTrace, PyTree]:
    seen: list[dict[str, str]] = []

    def branch(fn: Callable[[Any], Any]) -> Callable[[Any], tuple[PytreeTrace, Any]]:
        def run(operand: Any) -> tuple[PytreeTrace, Any]:
            out, sites = run_body(fn, (operand,), inside, None)
            seen.append({name: _describe(site) for name, site in sites.items()})
            return PytreeTrace(sites), out

        return run

    try:
        return lax.cond(pred, branch(true_fun), branch(false_fun), operand)
    except TypeError as error:
        if len(seen) == 2 and seen[0] != seen[1]:
            raise ValueError(
                f"cond: both branches must have the same sites, with distributions of the same families and shapes; "
                f"found {seen[0]} and {seen[1]}"
            ) from error
        raise


def _describe(site: Message) -> str:
    if site["type"] != "sample":
        return site["type"]
    fn = site["fn"]
    return f"{type(fn).__name__} with batch shape {fn.batch_shape} and event shape {fn.event_shape}"
