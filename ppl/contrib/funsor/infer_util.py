"""Hints for inference and densities with enumerated sites, under NumPyro's names."""

from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from ppl._typing import Message
from ppl.handlers import infer_config
from ppl.handlers.enumeration import config_enumerate
from ppl.infer.discrete import log_density

__all__ = ["config_enumerate", "config_kl", "log_density", "plate_to_enum_plate"]


def _analytic(sites: Collection[str] | None, site: Message) -> dict[str, Any]:
    chosen = site["type"] == "sample" and (sites is None or site["name"] in sites)
    return {"kl": "analytic"} if chosen else {}


def config_kl(fn: Callable[..., Any] | None = None, sites: Collection[str] | None = None) -> Any:
    """Asks for the closed form of the Kullback-Leibler divergence at sample sites, by the hint `infer={"kl": "analytic"}`.

    Args:
        fn: a model; None for use as a decorator or a context manager.
        sites: names of the sites; None for all.

    Returns:
        The model inside a handler, or the handler.
    """
    return infer_config(fn, config_fn=partial(_analytic, sites))


@contextmanager
def plate_to_enum_plate() -> Iterator[None]:
    """Does nothing: `ppl.plate` works under enumeration as it is."""
    yield
