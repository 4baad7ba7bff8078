"""The step size that has the target acceptance, by a curve of acceptance fitted to what warm-up sees.

Dual averaging makes the step size swing about the one that has the target. The acceptance bends as a function of it, so that the
average of the swings is too small: a target of .8 is met by .85 to .95, with more steps per trajectory than needed. Here the
acceptance of a step size e is `erfc((e / s)^k)`, with k = 2 for trajectories of leapfrog steps in many independent directions, and
its one parameter s is fitted by recursive least squares to the pairs of step size and acceptance as they come. What is taken in the
end may lie a standard error below, so that few observations err on the side of small steps.

Sources: Beskos, Pillai, Roberts, Sanz-Serna, Stuart (2013), Bernoulli 19, theorem 3.6 (curve); Ljung (1999), "System
Identification", section 11.2 (recursive least squares).
"""

import math
import statistics
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import lax

from ppl._typing import Array

__all__ = ["AcceptanceCurve", "curve_init", "curve_update", "log_step_size_of"]

PRIOR_INFORMATION = 0.1
MAX_DISTANCE = 0.7  # of the logarithm of the step size from the average of dual averaging
MIN_LOG_RATIO, MAX_LOG_RATIO = -10.0, 3.0


class AcceptanceCurve(NamedTuple):
    """The logarithm of s, and the sum of squared slopes of the curve by it, at the step sizes seen."""

    log_scale: Array
    information: Array


def _log_ratio(target: float, power: float) -> float:
    """`log(e / s)` of the step size that has this acceptance."""
    return math.log(statistics.NormalDist().inv_cdf(1.0 - 0.5 * target) / math.sqrt(2.0)) / power


def curve_init(log_step_size: Array, target: float, power: float = 2.0) -> AcceptanceCurve:
    """The curve on which a step size has the target acceptance, before any observation."""
    dtype = log_step_size.dtype
    shift: Any = np.asarray(_log_ratio(target, power), dtype)
    information: Any = np.asarray(PRIOR_INFORMATION, dtype)
    return AcceptanceCurve(log_scale=log_step_size - shift, information=information)


def curve_update(
    curve: AcceptanceCurve, log_step_size: Array, accept_prob: Array, log_average: Array, target: float, power: float = 2.0
) -> AcceptanceCurve:
    """The curve after one observation.

    Args:
        curve: the curve before.
        log_step_size: the logarithm of the step size that was used.
        accept_prob: the acceptance probability that was seen.
        log_average: the logarithm of the average of dual averaging, from which the fit must not stray.
        target: the target acceptance.
        power: k.
    """
    ratio = jnp.exp(power * jnp.clip(log_step_size - curve.log_scale, MIN_LOG_RATIO, MAX_LOG_RATIO))
    slope = (2.0 * power / math.sqrt(math.pi)) * ratio * jnp.exp(-lax.square(ratio))
    information = curve.information + lax.square(slope)
    log_scale = curve.log_scale + slope * (accept_prob - lax.erfc(ratio)) / information
    centre = log_average - _log_ratio(target, power)
    return AcceptanceCurve(jnp.clip(log_scale, centre - MAX_DISTANCE, centre + MAX_DISTANCE), information)


def log_step_size_of(curve: AcceptanceCurve, target: float, power: float = 2.0, caution: float = 0.15) -> Array:
    """The logarithm of the step size with the target acceptance, less its standard error where one iteration errs by `caution`."""
    return curve.log_scale + _log_ratio(target, power) - caution * lax.rsqrt(1.0 + curve.information)
