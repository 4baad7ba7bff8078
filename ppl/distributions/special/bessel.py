"""The logarithm of the Bessel function that normalises von Mises laws."""

from typing import Any

import jax.numpy as jnp
from jax import lax

from ppl._typing import ArrayLike
from ppl.distributions.special.elementary import as_float


def log_i0e(x: ArrayLike) -> Any:
    """`log(e^-x I_0(x))` for `x >= 0`, the exponentially scaled modified Bessel function of order 0."""
    return lax.log(lax.bessel_i0e(jnp.asarray(as_float(x))))
