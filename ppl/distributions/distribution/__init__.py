"""The base class of distributions and its wrappers."""

from typing import Any

from ppl.distributions.distribution.base import (
    Distribution,
    ExpandedDistribution,
    Independent,
    MaskedDistribution,
    enable_validation,
    validation_enabled,
)
from ppl.distributions.distribution.special import Delta, ImproperUniform, Unit
from ppl.distributions.distribution.transformed import FoldedDistribution, TransformedDistribution

__all__ = [
    "Delta",
    "Distribution",
    "ExpandedDistribution",
    "FoldedDistribution",
    "ImproperUniform",
    "Independent",
    "MaskedDistribution",
    "TransformedDistribution",
    "Unit",
    "enable_validation",
    "validation_enabled",
]


def __getattr__(name: str) -> Any:
    if name == "_VALIDATION_ENABLED":
        return bool(Distribution._validate_args)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
