"""Distributions, their constraints and transforms."""

from ppl.distributions import constraints, transforms, util
from ppl.distributions.distribution import (
    Delta,
    Distribution,
    ExpandedDistribution,
    FoldedDistribution,
    ImproperUniform,
    Independent,
    MaskedDistribution,
    TransformedDistribution,
    Unit,
    enable_validation,
    validation_enabled,
)
from ppl.distributions.support import biject_to
