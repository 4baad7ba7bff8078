"""Laws of counts with extra zeros."""

from typing import Any, ClassVar

import numpy as np

from ppl._typing import Array, ArrayLike, Key, Shape
from ppl.distributions import constraints, random
from ppl.distributions.constraints import Constraint
from ppl.distributions.discrete.counts import Poisson
from ppl.distributions.discrete.numerics import gate_by_logits, gate_by_probs, log_odds_kernel, log_probs_kernel, to_float
from ppl.distributions.discrete.parameters import _to_logits_bernoulli, _to_probs_bernoulli
from ppl.distributions.discrete.sampling import bernoulli
from ppl.distributions.discrete.shared import filled
from ppl.distributions.distribution.base import Distribution
from ppl.distributions.special.elementary import select
from ppl.distributions.util import assert_one_of, factory, float_dtype, lazy_property, promote_shapes, validate_sample


class GatedAtZero(Distribution):
    """A law with a `gate` for the value zero and a base distribution for the rest: what zero-inflated and hurdle laws share."""

    pytree_data_fields: ClassVar[tuple[str, ...]] = ("base_dist",)
    base_dist: Distribution
    gate: Any

    def _set_gate(self, name: str, gate: ArrayLike, base_dist: Distribution) -> Shape:
        """Set the gate; the batch shape.

        Raises:
            TypeError: if `base_dist` is no distribution.
            ValueError: if it has event axes.
        """
        family = type(self).__name__
        if not isinstance(base_dist, Distribution):
            raise TypeError(f"{family}: base_dist must be a Distribution, but got {base_dist!r}")
        if base_dist.event_shape:
            raise ValueError(
                f"{family}: expected a base_dist with empty event_shape, but {type(base_dist).__name__} has event_shape "
                f"{base_dist.event_shape}"
            )
        (gate,), shape = promote_shapes(gate, shape=base_dist.batch_shape, return_shapes=True)
        setattr(self, name, gate)
        return shape

    @constraints.dependent_property
    def support(self) -> Constraint:
        return self.base_dist.support

    def _gate(self, like: Array) -> Array:
        return to_float(self.gate, like.dtype)

    def _log_gates(self, like: Array) -> tuple[Array, Array]:
        """`log gate` and `log(1 - gate)`, with the dtype of `like` and at least its number of axes."""
        dtype, rank = like.dtype, np.ndim(like)
        one, zero = np.ones((), dtype), np.zeros((), dtype)
        if "gate_logits" in self.arg_constraints:
            g = to_float(self.gate_logits, dtype)  # type: ignore[attr-defined]
            pair = log_odds_kernel(one, one, g), log_odds_kernel(zero, one, g)
        else:
            g = to_float(self.gate, dtype)
            pair = log_probs_kernel(one, zero, g), log_probs_kernel(zero, one, g)
        return promote_shapes(*pair, shape=(1,) * rank)

    def _open(self, key: Key, shape: Shape) -> Array:
        """Ones where the gate gives a zero."""
        return bernoulli(key, to_float(self.gate, float_dtype(self.gate)), shape)


class _ZeroInflated(GatedAtZero):
    """What the parametrizations share."""

    @property
    def has_enumerate_support(self) -> bool:
        return self.base_dist.has_enumerate_support

    def sample(self, key: Key, sample_shape: Shape = ()) -> Array:
        k_gate, k_base = random.split(key)
        draw = self.base_dist.expand(self.batch_shape).sample(k_base, sample_shape)
        return select(self._open(k_gate, self.shape(sample_shape)) == 1, 0, draw)

    @validate_sample
    def log_prob(self, value: ArrayLike) -> Array:
        base = self.base_dist.log_prob(value)
        by_logits = "gate_logits" in self.arg_constraints
        gate = self.gate_logits if by_logits else self.gate  # type: ignore[attr-defined]
        value, gate, base, at_zero = promote_shapes(
            to_float(value, base.dtype), to_float(gate, base.dtype), base, self._at_zero(base)
        )
        return (gate_by_logits if by_logits else gate_by_probs)(value == 0, gate, base, at_zero)

    def _at_zero(self, base: Array) -> Array:
        """The log probability of zero under the base, where the value is zero, given that of the value."""
        return base

    @property
    def mean(self) -> Array:
        mean = self.base_dist.mean
        rest, mean = promote_shapes(1.0 - self._gate(mean), mean)
        return filled(self, rest * mean)

    @property
    def variance(self) -> Array:
        mean = self.base_dist.mean
        gate, mean, variance = promote_shapes(self._gate(mean), mean, self.base_dist.variance)
        return filled(self, (1.0 - gate) * (variance + gate * mean * mean))

    def enumerate_support(self, expand: bool = True) -> Array:
        return self.base_dist.expand(self.batch_shape).enumerate_support(expand=expand)

    def _check_discrete(self) -> None:
        if not self.base_dist.is_discrete:
            raise ValueError(
                f"{type(self).__name__}: expected a discrete base_dist, but got {type(self.base_dist).__name__}; "
                "for a continuous one use HurdleDistribution"
            )


class ZeroInflatedProbs(_ZeroInflated):
    """Zero with probability `gate`, else a draw of a law of counts: `p(x) = gate [x = 0] + (1 - gate) base(x)`.

    Args:
        base_dist: a discrete distribution without event axes.
        gate: the probability of an extra zero, in [0, 1]; its shape and the batch shape of the base broadcast to `b`.
        validate_args: check parameters and values.

    Raises:
        ValueError: if the base is continuous or has event axes.

    Example:
        >>> from ppl import distributions as dist
        >>> round(float(dist.ZeroInflatedProbs(dist.Poisson(2.0), 0.5).mean), 4)
        1.0
    """

    arg_constraints = {"gate": constraints.unit_interval}

    def __init__(self, base_dist: Distribution, gate: ArrayLike, *, validate_args: bool | None = None) -> None:
        shape = self._set_gate("gate", gate, base_dist)
        self.base_dist = base_dist
        self._check_discrete()
        super().__init__(shape, validate_args=validate_args)

    @lazy_property
    def gate_logits(self) -> Array:
        return _to_logits_bernoulli(self.gate)


class ZeroInflatedLogits(_ZeroInflated):
    """Zero with probability `sigmoid(gate_logits)`, else a draw of a law of counts.

    Args:
        base_dist: a discrete distribution without event axes.
        gate_logits: the log odds of an extra zero; its shape and the batch shape of the base broadcast to `b`.
        validate_args: check parameters and values.

    Raises:
        ValueError: if the base is continuous or has event axes.

    Example:
        >>> from ppl import distributions as dist
        >>> round(float(dist.ZeroInflatedLogits(dist.Poisson(2.0), 0.0).mean), 4)
        1.0
    """

    arg_constraints = {"gate_logits": constraints.real}

    def __init__(self, base_dist: Distribution, gate_logits: ArrayLike, *, validate_args: bool | None = None) -> None:
        shape = self._set_gate("gate_logits", gate_logits, base_dist)
        self.base_dist = base_dist
        self._check_discrete()
        super().__init__(shape, validate_args=validate_args)

    gate_logits: Any

    @lazy_property
    def gate(self) -> Array:
        return _to_probs_bernoulli(self.gate_logits)


class ZeroInflatedPoisson(ZeroInflatedProbs):
    """Zero with probability `gate`, else a Poisson count.

    Args:
        gate: the probability of an extra zero, in [0, 1]; with `rate` of shape `b`.
        rate: the mean of the counts.
        validate_args: check parameters and values.

    Example:
        >>> from ppl import distributions as dist
        >>> round(float(dist.ZeroInflatedPoisson(0.5, 2.0).mean), 4)
        1.0
    """

    arg_constraints = {"gate": constraints.unit_interval, "rate": constraints.positive}
    support = constraints.nonnegative_integer

    def __init__(self, gate: ArrayLike, rate: ArrayLike = 1.0, *, validate_args: bool | None = None) -> None:
        (self.gate, self.rate), shape = promote_shapes(gate, rate, return_shapes=True)
        Distribution.__init__(self, shape, validate_args=validate_args)

    def _at_zero(self, base: Array) -> Array:
        return -to_float(self.rate, base.dtype)

    @property
    def base_dist(self) -> Poisson:  # type: ignore[override]
        """The law of the counts."""
        return Poisson(self.rate, validate_args=False)


@factory
def ZeroInflatedDistribution(
    base_dist: Distribution,
    *,
    gate: ArrayLike | None = None,
    gate_logits: ArrayLike | None = None,
    validate_args: bool | None = None,
) -> ZeroInflatedProbs | ZeroInflatedLogits:
    """`ZeroInflatedProbs` or `ZeroInflatedLogits`.

    Raises:
        ValueError: unless exactly one of `gate`, `gate_logits` is given.
    """
    assert_one_of(gate=gate, gate_logits=gate_logits)
    if gate is not None:
        return ZeroInflatedProbs(base_dist, gate, validate_args=validate_args)
    return ZeroInflatedLogits(base_dist, gate_logits, validate_args=validate_args)
