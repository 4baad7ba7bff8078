"""Probabilistic programming with effect handlers for JAX."""

from ppl import diagnostics, distributions, handlers, infer, ops, primitives, util
from ppl._settings import enable_x64, set_host_device_count, set_platform
from ppl.distributions.distribution import enable_validation, validation_enabled
from ppl.primitives import (
    deterministic,
    factor,
    get_mask,
    module,
    mutable,
    param,
    plate,
    plate_stack,
    prng_key,
    sample,
    subsample,
)

__version__ = "0.1.0"

__all__ = [
    "__version__",
    "deterministic",
    "diagnostics",
    "distributions",
    "enable_validation",
    "enable_x64",
    "factor",
    "get_mask",
    "handlers",
    "infer",
    "module",
    "mutable",
    "ops",
    "param",
    "plate",
    "plate_stack",
    "primitives",
    "prng_key",
    "sample",
    "set_host_device_count",
    "set_platform",
    "subsample",
    "util",
    "validation_enabled",
]
