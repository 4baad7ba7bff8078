"""Dual averaging: find x such that a noisy, decreasing function of it averages to zero; here x is the log of a step size.

Source: Nesterov (2009), Math. Program. 120; Hoffman, Gelman (2014), JMLR 15, section 3.2.
"""

from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from ppl._typing import Array

__all__ = ["DualAveragingState", "dual_averaging_init", "dual_averaging_update"]


class DualAveragingState(NamedTuple):
    """State of dual averaging, all scalars.

    Attributes:
        x_t: the latest iterate.
        x_avg: the average of the iterates, with weights that favour late ones.
        g_avg: the average of the gradients.
        t: the number of updates.
        prox_center: towards which x is drawn.
    """

    x_t: Array
    x_avg: Array
    g_avg: Array
    t: Array
    prox_center: Array


def dual_averaging_init(prox_center: Array) -> DualAveragingState:
    """The state before the first update."""
    zero: Any = np.zeros((), prox_center.dtype)
    count: Any = np.zeros((), np.int32)
    return DualAveragingState(x_t=zero, x_avg=zero, g_avg=zero, t=count, prox_center=prox_center)


def dual_averaging_update(
    g: Array, state: DualAveragingState, t0: float = 10.0, kappa: float = 0.75, gamma: float = 0.05
) -> DualAveragingState:
    """One update with the statistic g: target minus observed acceptance probability.

    Args:
        g: the statistic, a scalar.
        state: the state before.
        t0: stabilises the first updates.
        kappa: exponent of the weights of the average, in (0.5, 1].
        gamma: strength of the pull to `prox_center`.
    """
    t = state.t + 1
    count = t.astype(state.x_t.dtype)
    weight = 1.0 / (count + t0)
    g_avg = (1.0 - weight) * state.g_avg + weight * g
    x_t = state.prox_center - jnp.sqrt(count) / gamma * g_avg
    decay = count**-kappa
    x_avg = decay * x_t + (1.0 - decay) * state.x_avg
    return DualAveragingState(x_t=x_t, x_avg=x_avg, g_avg=g_avg, t=t, prox_center=state.prox_center)
