"""Traces as pytrees, so that they pass out of `jit`, `vmap`, `scan` and `cond`."""

from collections import OrderedDict
from typing import Any

import jax
import numpy as np

from ppl._typing import Trace
from ppl.distributions.distribution import Distribution

__all__ = ["PytreeTrace"]

_TYPES = ("sample", "deterministic", "plate")
_ARRAYS = ("fn", "value", "intermediates")


class _Static:
    """The fields of a trace that are not arrays, compared by content."""

    def __init__(self, sites: dict[str, dict[str, Any]]) -> None:
        self.sites = sites

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Static) and self.sites == other.sites

    def __hash__(self) -> int:
        return hash(tuple(self.sites))


def _is_array(x: Any) -> bool:
    return isinstance(x, jax.Array | np.ndarray | np.generic)


def _split(site: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The array part and the static part of a site."""
    arrays: dict[str, Any] = {}
    static: dict[str, Any] = {}
    for field, content in site.items():
        if field == "fn":
            (arrays if isinstance(content, Distribution) else static)[field] = content
        elif field in _ARRAYS or _is_array(content):
            arrays[field] = content
        elif isinstance(content, dict):
            content = {**content, "rng_key": None} if "rng_key" in content else content  # keys are used up
            arrays[field] = {key: x for key, x in content.items() if _is_array(x)}
            static[field] = {key: x for key, x in content.items() if not _is_array(x)}
        elif field == "args":
            static[field] = content if site["type"] == "plate" else ()
        else:
            static[field] = tuple(content) if isinstance(content, list) else content
    return arrays, static


def _join(arrays: dict[str, Any], static: dict[str, Any]) -> dict[str, Any]:
    site = {**static, **{field: x for field, x in arrays.items() if field in _ARRAYS or field not in static}}
    for field, content in static.items():
        if isinstance(content, dict):
            site[field] = {**content, **arrays.get(field, {})}
        elif field == "cond_indep_stack":
            site[field] = list(content)
    return site


@jax.tree_util.register_pytree_node_class
class PytreeTrace:
    """The sample, deterministic and plate sites of a trace as a pytree.

    Its leaves are the values, the parameters of the distributions, array scales and other arrays in the sites; names, frames
    and settings are static. Used random keys are dropped.

    Args:
        trace: an execution trace.

    Example:
        >>> from ppl import distributions as dist, handlers
        >>> from ppl.primitives import sample
        >>> tr = handlers.trace(lambda: sample("x", dist.Normal(0.0, 1.0), obs=2.0)).get_trace()
        >>> doubled = jax.tree.map(lambda x: 2 * x, PytreeTrace(tr)).trace
        >>> doubled["x"]["value"], doubled["x"]["fn"].scale
        (4.0, 2.0)
    """

    def __init__(self, trace: Trace) -> None:
        self.trace = trace

    def tree_flatten(self) -> tuple[tuple[Any, ...], _Static]:
        """The arrays of each site, and the rest."""
        parts = {n: _split(site) for n, site in self.trace.items() if site["type"] in _TYPES}
        return tuple(arrays for arrays, _ in parts.values()), _Static({name: static for name, (_, static) in parts.items()})

    @classmethod
    def tree_unflatten(cls, aux_data: _Static, children: Any) -> "PytreeTrace":
        """The inverse of `tree_flatten`."""
        return cls(OrderedDict((name, _join(arrays, static)) for arrays, (name, static) in zip(children, aux_data.sites.items())))
