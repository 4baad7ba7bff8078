"""Handlers that enumerate, under NumPyro's module path; and conversions to funsor, where that package is installed."""

from collections.abc import Mapping
from typing import Any

from ppl.handlers import enum, markov, trace
from ppl.plate import plate

__all__ = ["enum", "markov", "plate", "to_data", "to_funsor", "trace"]


def _funsor() -> Any:
    try:
        import funsor
    except ImportError as error:
        raise ImportError("to_funsor, to_data: the package funsor is not installed; ppl enumerates without it") from error
    funsor.set_backend("jax")
    return funsor


def to_funsor(x: Any, output: Any = None, dim_to_name: Mapping[int, str] | None = None) -> Any:
    """A value as a funsor with named dimensions.

    Args:
        x: an array.
        output: funsor's domain of the output; None for that of the array.
        dim_to_name: the names of batch dimensions, as in `site["infer"]["dim_to_name"]`.

    Raises:
        ImportError: if funsor is not installed.
    """
    return _funsor().to_funsor(x, output, dict(dim_to_name or {}))


def to_data(x: Any, name_to_dim: Mapping[str, int] | None = None) -> Any:
    """A funsor as an array whose dimensions are placed by name.

    Raises:
        ImportError: if funsor is not installed.
    """
    return _funsor().to_data(x, dict(name_to_dim or {}))
