"""Laws with a probability of zero of their own, and another law for what is not zero."""

from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import lax

from ppl._typing import Array, ArrayLike, Key, Shape
from ppl.distributions import constraints, random
from ppl.distributions.constraints import Constraint
from ppl.distributions.continuous.positive import Gamma, LogNormal
from ppl.distributions.discrete.counts import Poisson
from ppl.distributions.discrete.numerics import to_float
from ppl.distributions.discrete.parameters import _to_logits_bernoulli, _to_probs_bernoulli
from ppl.distributions.discrete.shared import filled
from ppl.distributions.discrete.zero_inflated import GatedAtZero
from ppl.distributions.distribution.base import Distribution
from ppl.distributions.special.elementary import select
from ppl.distributions.util import assert_one_of, factory, float_dtype, lazy_property, log1mexp, promote_shapes, validate_sample

_MAX_REJECTIONS = 64
_MAX_INVERSION = 10_000


class _Hurdle(GatedAtZero):
    """What the parametrizations share."""

    @constraints.dependent_property
    def support(self) -> Constraint:
        support = self.base_dist.support
        return constraints.nonnegative if support is constraints.positive else support

    def _log_zero(self) -> Array:
        """The log probability of zero under the base, of its batch shape."""
        return self.base_dist.log_prob(np.zeros((), np.int32))

    def sample(self, key: Key, sample_shape: Shape = ()) -> Array:
        k_gate, k_base = random.split(key)
        base = self.base_dist.expand(self.batch_shape)
        draw = _positive_counts(base, k_base, sample_shape) if base.is_discrete else base.sample(k_base, sample_shape)
        return select(self._open(k_gate, self.shape(sample_shape)) == 1, 0, draw)

    @validate_sample
    def log_prob(self, value: ArrayLike) -> Array:
        zero = np.equal(value, 0) if isinstance(value, (int, float, np.ndarray)) else jnp.equal(value, 0)
        base = self.base_dist
        if base.is_discrete:
            rest = base.log_prob(select(zero, 1, value))
            rest, log_zero = promote_shapes(rest, self._log_zero())
            rest = rest - log1mexp(log_zero)
        else:
            value = to_float(value, float_dtype(value))
            rest = base.log_prob(select(zero, base.support.feasible_like(np.ones((), value.dtype)), value))
        log_gate, log_rest = self._log_gates(rest)
        zero, rest = promote_shapes(zero, rest, shape=np.shape(log_gate))
        return select(zero, log_gate, log_rest + rest)

    def _rest(self, like: Array) -> Array:
        """The factor of the moments of the base: `1 - gate`, over its probability of a positive count if it is discrete."""
        rest = 1.0 - self._gate(like)
        if not self.base_dist.is_discrete:
            return rest
        rest, log_zero = promote_shapes(rest, self._log_zero())
        return rest / -jnp.expm1(log_zero)

    @property
    def mean(self) -> Array:
        mean = self.base_dist.mean
        rest, mean = promote_shapes(self._rest(mean), mean)
        return filled(self, rest * mean)

    @property
    def variance(self) -> Array:
        mean = self.base_dist.mean
        rest, mean, variance = promote_shapes(self._rest(mean), mean, self.base_dist.variance)
        return filled(self, rest * (variance + (1.0 - rest) * mean * mean))


def _positive_counts(base: Distribution, key: Key, sample_shape: Shape) -> Array:
    """Draws of the discrete `base` given that they are not zero.

    By rejection; what has been zero too often has small counts, and is found by inversion.
    """
    k_reject, k_invert = random.split(key)

    def redraw(state: tuple[Array, Array, Key]) -> tuple[Array, Array, Key]:
        n, draw, key = state
        key, k_draw = random.split(key)
        return n + 1, select(draw == 0, base.sample(k_draw, sample_shape), draw), key

    start: Any = (np.int32(1), base.sample(random.fold_in(k_reject, 0), sample_shape), k_reject)
    _, draw, _ = lax.while_loop(lambda state: (state[1] == 0).any() & (state[0] < _MAX_REJECTIONS), redraw, start)

    dtype = base._dtype
    u = random.uniform(k_invert, draw.shape, dtype)
    log_positive = log1mexp(base.log_prob(np.zeros((), draw.dtype)))
    eps = float(jnp.finfo(dtype).eps)

    def step(state: tuple[Array, Array, Array, Array]) -> tuple[Array, Array, Array, Array]:
        k, found, cdf, active = state
        mass = jnp.broadcast_to(lax.exp(base.log_prob(k) - log_positive), cdf.shape)
        cdf = cdf + mass
        found = select(active, k, found)
        return k + 1, found, cdf, active & (u > cdf) & ((mass > eps * eps) | (cdf < 0.5)) & (k < _MAX_INVERSION)

    first = (jnp.ones((), draw.dtype), draw, jnp.zeros(draw.shape, dtype), draw == 0)
    return lax.while_loop(lambda state: state[3].any(), step, first)[1]


class HurdleProbs(_Hurdle):
    """Zero with probability `gate`, else a draw of a law that is not zero.

    `p(0) = gate`, and for `x != 0`, `p(x) = (1 - gate) base(x) / (1 - base(0))` for a discrete base (cut at zero) and
    `(1 - gate) base(x)` for a continuous one.

    Args:
        base_dist: a distribution without event axes.
        gate: the probability of zero, in [0, 1]; its shape and the batch shape of the base broadcast to `b`.
        validate_args: check parameters and values.

    Raises:
        ValueError: if the base has event axes.

    Example:
        >>> from ppl import distributions as dist
        >>> round(float(dist.HurdleProbs(dist.Poisson(2.0), 0.25).log_prob(0)), 4)
        -1.3863
    """

    arg_constraints = {"gate": constraints.unit_interval}

    def __init__(self, base_dist: Distribution, gate: ArrayLike, *, validate_args: bool | None = None) -> None:
        shape = self._set_gate("gate", gate, base_dist)
        self.base_dist = base_dist
        super().__init__(shape, validate_args=validate_args)

    @lazy_property
    def gate_logits(self) -> Array:
        return _to_logits_bernoulli(self.gate)


class HurdleLogits(_Hurdle):
    """Zero with probability `sigmoid(gate_logits)`, else a draw of a law that is not zero, as `HurdleProbs`.

    Args:
        base_dist: a distribution without event axes.
        gate_logits: the log odds of zero; its shape and the batch shape of the base broadcast to `b`.
        validate_args: check parameters and values.

    Raises:
        ValueError: if the base has event axes.

    Example:
        >>> from ppl import distributions as dist
        >>> round(float(dist.HurdleLogits(dist.Poisson(2.0), 0.0).log_prob(0)), 4)
        -0.6931
    """

    arg_constraints = {"gate_logits": constraints.real}

    def __init__(self, base_dist: Distribution, gate_logits: ArrayLike, *, validate_args: bool | None = None) -> None:
        shape = self._set_gate("gate_logits", gate_logits, base_dist)
        self.base_dist = base_dist
        super().__init__(shape, validate_args=validate_args)

    gate_logits: Any

    @lazy_property
    def gate(self) -> Array:
        return _to_probs_bernoulli(self.gate_logits)


class HurdlePoisson(HurdleProbs):
    """Zero with probability `gate`, else a Poisson count that is not zero.

    Args:
        gate: the probability of zero, in [0, 1]; with `rate` of shape `b`.
        rate: the rate of the Poisson law before it is cut at zero.
        validate_args: check parameters and values.

    Example:
        >>> from ppl import distributions as dist
        >>> round(float(dist.HurdlePoisson(0.25, 2.0).log_prob(0)), 4)
        -1.3863
    """

    arg_constraints = {"gate": constraints.unit_interval, "rate": constraints.positive}
    support = constraints.nonnegative_integer

    def __init__(self, gate: ArrayLike, rate: ArrayLike = 1.0, *, validate_args: bool | None = None) -> None:
        (self.gate, self.rate), shape = promote_shapes(gate, rate, return_shapes=True)
        Distribution.__init__(self, shape, validate_args=validate_args)

    @property
    def base_dist(self) -> Poisson:  # type: ignore[override]
        """The law before it is cut at zero."""
        return Poisson(self.rate, validate_args=False)


class HurdleGamma(HurdleProbs):
    """Zero with probability `gate`, else a Gamma variable.

    Args:
        gate: the probability of zero, in [0, 1]; with the others of shape `b`.
        concentration: the shape of the Gamma law.
        rate: its rate.
        validate_args: check parameters and values.

    Example:
        >>> from ppl import distributions as dist
        >>> round(float(dist.HurdleGamma(0.25, 2.0).mean), 4)
        1.5
    """

    arg_constraints = {"gate": constraints.unit_interval, "concentration": constraints.positive, "rate": constraints.positive}
    support = constraints.nonnegative

    def __init__(
        self, gate: ArrayLike, concentration: ArrayLike, rate: ArrayLike = 1.0, *, validate_args: bool | None = None
    ) -> None:
        (self.gate, self.concentration, self.rate), shape = promote_shapes(gate, concentration, rate, return_shapes=True)
        Distribution.__init__(self, shape, validate_args=validate_args)

    @property
    def base_dist(self) -> Gamma:  # type: ignore[override]
        """The law of what is not zero."""
        return Gamma(self.concentration, self.rate, validate_args=False)


class HurdleLogNormal(HurdleProbs):
    """Zero with probability `gate`, else a log-normal variable.

    Args:
        gate: the probability of zero, in [0, 1]; with the others of shape `b`.
        loc: the mean of the logarithm.
        scale: its standard deviation.
        validate_args: check parameters and values.

    Example:
        >>> from ppl import distributions as dist
        >>> round(float(dist.HurdleLogNormal(0.25).log_prob(0.0)), 4)
        -1.3863
    """

    arg_constraints = {"gate": constraints.unit_interval, "loc": constraints.real, "scale": constraints.positive}
    support = constraints.nonnegative

    def __init__(self, gate: ArrayLike, loc: ArrayLike = 0.0, scale: ArrayLike = 1.0, *, validate_args: bool | None = None) -> None:
        (self.gate, self.loc, self.scale), shape = promote_shapes(gate, loc, scale, return_shapes=True)
        Distribution.__init__(self, shape, validate_args=validate_args)

    @property
    def base_dist(self) -> LogNormal:  # type: ignore[override]
        """The law of what is not zero."""
        return LogNormal(self.loc, self.scale, validate_args=False)


@factory
def HurdleDistribution(
    base_dist: Distribution,
    *,
    gate: ArrayLike | None = None,
    gate_logits: ArrayLike | None = None,
    validate_args: bool | None = None,
) -> HurdleProbs | HurdleLogits:
    """`HurdleProbs` or `HurdleLogits`.

    Raises:
        ValueError: unless exactly one of `gate`, `gate_logits` is given.
    """
    assert_one_of(gate=gate, gate_logits=gate_logits)
    if gate is not None:
        return HurdleProbs(base_dist, gate, validate_args=validate_args)
    return HurdleLogits(base_dist, gate_logits, validate_args=validate_args)
