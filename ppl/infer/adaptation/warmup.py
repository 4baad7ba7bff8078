"""Warm-up of a step size, by dual averaging and a curve of acceptance, and of a metric, by the covariance of slow windows.

Source: Stan reference manual, "Automatic parameter tuning"; Hoffman, Gelman (2014), JMLR 15, section 3.2 and Algorithm 4.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import lax

from ppl._typing import Array
from ppl.infer.adaptation.acceptance import AcceptanceCurve, curve_init, curve_update, log_step_size_of
from ppl.infer.adaptation.covariance import WelfordState, estimate, regularize, welford_init, welford_update
from ppl.infer.adaptation.dual_averaging import DualAveragingState, dual_averaging_init, dual_averaging_update
from ppl.infer.algorithms.metric import Metric, metric_from_inverse
from ppl.infer.algorithms.protocols import HamiltonianParams, tree_select

__all__ = ["Schedule", "Signal", "StepSizeRule", "StepSizeState", "Warmup", "WarmupState"]

StepSizeSearch = Callable[[Array, Metric], Array]


class Schedule(NamedTuple):
    """Of a run: the number of warm-up iterations, and the last iteration of each window, as in `window_ends`."""

    num_warmup: Any
    window_ends: Any


class Signal(NamedTuple):
    """What adaptation learns from: position `(d,)`, and acceptance probability."""

    position: Array
    accept_prob: Array


class StepSizeRule(NamedTuple):
    """How the step size is learnt; the defaults are for Hamiltonian trajectories.

    Attributes:
        gamma: of dual averaging: the larger, the less the step size swings.
        pull: towards this multiple of the step size that a window begins with.
        power: of the curve of acceptance.
        caution: by how much one iteration errs about the curve; 0: take the step size that has the target, and none below.
        kept: the part of what one window has learnt of the curve that counts in the next, where the metric is another: so the last,
            short window need not begin from nothing.
    """

    gamma: float = 0.05
    pull: float = 10.0
    power: float = 2.0
    caution: float = 0.15
    kept: float = 0.0


class StepSizeState(NamedTuple):
    """What the step size is found by: dual averaging while it is sought, and the curve of acceptance for the last one."""

    averaging: DualAveragingState
    curve: AcceptanceCurve


class WarmupState(NamedTuple):
    """Step size and metric in use, their estimators, and the number of the window."""

    step_size: Array
    metric: Metric
    tuning: StepSizeState
    covariance: WelfordState
    window: Array


@dataclass(frozen=True)
class Warmup:
    """What is adapted, and how.

    Attributes:
        target_accept_prob: acceptance probability to aim at.
        adapt_step_size: whether to adapt the step size.
        adapt_metric: whether to adapt the metric.
        regularize: whether to shrink covariances of few draws.
        block_shapes: `(k,)` for a diagonal, `(k, k)` for a dense block of the metric.
        max_step_size: beyond which a step size has no meaning; None: there is no bound. Without it, where every step is accepted,
            the step size would grow without end, and take long to come back when the metric changes.
        rule: how the step size is learnt.
    """

    target_accept_prob: float
    adapt_step_size: bool
    adapt_metric: bool
    regularize: bool
    block_shapes: tuple[tuple[int, ...], ...]
    max_step_size: Any = None
    rule: StepSizeRule = StepSizeRule()

    @property
    def is_adaptive(self) -> bool:
        """Whether anything is adapted."""
        return self.adapt_step_size or self.adapt_metric

    def init(self, step_size: Array, metric: Metric) -> WarmupState:
        """The state before the first iteration."""
        first: Any = np.zeros((), np.int32)
        return WarmupState(
            step_size=step_size,
            metric=metric,
            tuning=self._new_tuning(step_size),
            covariance=welford_init(self.block_shapes, step_size.dtype),
            window=first,
        )

    def _new_tuning(self, step_size: Array) -> StepSizeState:
        return StepSizeState(
            averaging=dual_averaging_init(_log(step_size * self.rule.pull)),
            curve=curve_init(_log(step_size), self.target_accept_prob, self.rule.power),
        )

    def params(self, i: Array, state: WarmupState, schedule: Schedule) -> HamiltonianParams:
        """What iteration i (from 0) uses."""
        return HamiltonianParams(step_size=state.step_size, metric=state.metric, warming_up=i < schedule.num_warmup)

    def update(
        self, i: Array, signal: Signal, state: WarmupState, schedule: Schedule, search: StepSizeSearch | None = None
    ) -> WarmupState:
        """Learn from warm-up iteration i (from 0). `search`, where given, finds a step size afresh when the metric changes."""
        if not self.is_adaptive:
            return state
        if self.adapt_step_size:
            state = self._adapt_step_size(i, signal, state, schedule)
        ends_window = i == lax.dynamic_index_in_dim(schedule.window_ends, state.window, keepdims=False)
        if self.adapt_metric:
            state = self._collect(signal, state, schedule)

        def end_window(state: WarmupState) -> WarmupState:
            return self._end_window(state, schedule, search)

        return lax.cond(ends_window, end_window, lambda state: state, state)

    def _is_slow(self, window: Array, schedule: Schedule) -> Array:
        """Whether this is neither the first window nor the last."""
        following = lax.dynamic_index_in_dim(schedule.window_ends, window + 1, keepdims=False)
        return (window > 0) & (following >= 0)

    def _adapt_step_size(self, i: Array, signal: Signal, state: WarmupState, schedule: Schedule) -> WarmupState:
        target, rule = self.target_accept_prob, self.rule
        averaging = dual_averaging_update(target - signal.accept_prob, state.tuning.averaging, gamma=rule.gamma)
        log_used = jnp.log(state.step_size)
        curve = curve_update(state.tuning.curve, log_used, signal.accept_prob, averaging.x_avg, target, rule.power)
        is_last = i + 1 >= schedule.num_warmup
        log_step_size = lax.select(is_last, log_step_size_of(curve, target, rule.power, rule.caution), averaging.x_t)
        bounds = jnp.finfo(log_step_size.dtype)
        largest = float(bounds.max) if self.max_step_size is None else self.max_step_size
        step_size = jnp.clip(jnp.exp(log_step_size), float(bounds.tiny), largest)
        return state._replace(step_size=step_size, tuning=StepSizeState(averaging, curve))

    def _collect(self, signal: Signal, state: WarmupState, schedule: Schedule) -> WarmupState:
        updated = welford_update(signal.position, state.covariance)
        return state._replace(covariance=tree_select(self._is_slow(state.window, schedule), updated, state.covariance))

    def _end_window(self, state: WarmupState, schedule: Schedule, search: StepSizeSearch | None) -> WarmupState:
        """Step to the next window; after a slow one, take over the estimated metric and start the step size afresh."""
        if not self.adapt_metric:
            return state._replace(window=state.window + 1)

        def renew(state: WarmupState) -> WarmupState:
            metric = self._estimated_metric(state)
            step_size = state.step_size
            # from the last iterate: the average lags by orders of magnitude where a chain is still falling from a far start
            if self.adapt_step_size and search is not None:
                step_size = search(step_size, metric)
            step_size, tuning = self._carried_over(step_size, metric, state)
            return WarmupState(
                step_size=step_size,
                metric=metric,
                tuning=tuning,
                covariance=welford_init(self.block_shapes, step_size.dtype),
                window=state.window,
            )

        renewed = lax.cond(self._is_slow(state.window, schedule), renew, lambda state: state, state)
        return renewed._replace(window=state.window + 1)

    def _carried_over(self, step_size: Array, metric: Metric, state: WarmupState) -> tuple[Array, StepSizeState]:
        """The step size to begin a window with, and what is known of the best one."""
        rule = self.rule
        if not self.adapt_step_size:
            return step_size, state.tuning
        if not rule.kept:
            return step_size, self._new_tuning(step_size)
        change = jnp.exp(_mean_log_scale(state.metric) - _mean_log_scale(metric))
        step_size = step_size * change
        tuning = self._new_tuning(step_size)
        learnt = state.tuning.curve
        curve = AcceptanceCurve(learnt.log_scale + jnp.log(change), tuning.curve.information + rule.kept * learnt.information)
        return step_size, tuning._replace(curve=curve)

    def _estimated_metric(self, state: WarmupState) -> Metric:
        """The metric of the estimated covariance; the old one in blocks where that cannot serve (a chain that is stuck)."""
        inverse = estimate(state.covariance)
        if self.regularize:
            inverse = regularize(inverse, state.covariance.n)
        new = metric_from_inverse(inverse)
        blocks = [tree_select(_is_usable(*pair[0]), *pair) for pair in zip(zip(*new), zip(*state.metric))]
        return Metric(*(tuple(parts) for parts in zip(*blocks)))


def _log(x: Any) -> Any:
    """The logarithm, of a NumPy number without JAX, which would compile a program for it."""
    return np.log(x) if isinstance(x, np.ndarray | np.generic) else jnp.log(x)


def _mean_log_scale(metric: Metric) -> Array:
    """The mean logarithm of what one unit of step size is, over the coordinates: that of the determinant of M^-1/2."""
    logs = [jnp.log(block if block.ndim == 1 else jnp.diagonal(block)) for block in metric.root_inverse]
    return sum((jnp.sum(part) for part in logs[1:]), jnp.sum(logs[0])) / max(sum(part.size for part in logs), 1)


def _is_usable(inverse: Array, root: Array, root_inverse: Array) -> Array:
    """Whether M^-1 and its factors are numbers, and no variance is zero."""
    sizes = [jnp.sum(lax.abs(part)) for part in (inverse, root, root_inverse)]
    return lax.is_finite(sizes[0] + sizes[1] + sizes[2])
