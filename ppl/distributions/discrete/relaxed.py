"""Continuous relaxations of discrete laws."""

from ppl._typing import ArrayLike
from ppl.distributions import constraints
from ppl.distributions.continuous.real import Logistic
from ppl.distributions.discrete.binary import BernoulliProbs
from ppl.distributions.discrete.numerics import aligned
from ppl.distributions.distribution import Distribution, TransformedDistribution
from ppl.distributions.transforms import SigmoidTransform
from ppl.distributions.util import assert_one_of, factory, promote_shapes


class RelaxedBernoulliLogits(TransformedDistribution):
    """A number in (0, 1) that tends to a Bernoulli variable as the temperature tends to 0: `sigmoid((logits + L) / temperature)`.

    `L` is a standard logistic variable (Maddison, Mnih & Teh 2017; Jang, Gu & Poole 2017).

    Args:
        temperature: positive; with `logits` of shape `b`.
        logits: the log odds of 1.
        validate_args: check parameters and values.

    Example:
        >>> from ppl import distributions as dist
        >>> round(float(dist.RelaxedBernoulliLogits(1.0, 0.0).log_prob(0.3)), 4)
        0.0
    """

    arg_constraints = {"temperature": constraints.positive, "logits": constraints.real}
    reparametrized_params = ["temperature", "logits"]
    support = constraints.unit_interval

    def __init__(self, temperature: ArrayLike, logits: ArrayLike, *, validate_args: bool | None = None) -> None:
        (self.temperature, self.logits), shape = promote_shapes(temperature, logits, return_shapes=True)
        self.transforms = [SigmoidTransform()]
        Distribution.__init__(self, shape, validate_args=validate_args)

    @property
    def base_dist(self) -> Logistic:  # type: ignore[override]
        """The law of the logit."""
        temperature, logits = aligned(self._dtype, self.temperature, self.logits)
        return Logistic(logits / temperature, 1.0 / temperature, validate_args=False)


@factory
def RelaxedBernoulli(
    temperature: ArrayLike,
    probs: ArrayLike | None = None,
    logits: ArrayLike | None = None,
    *,
    validate_args: bool | None = None,
) -> RelaxedBernoulliLogits:
    """`RelaxedBernoulliLogits` with the given log odds, or those of `probs`.

    Raises:
        ValueError: unless exactly one of `probs`, `logits` is given.
    """
    assert_one_of(probs=probs, logits=logits)
    if probs is not None:
        logits = BernoulliProbs(probs, validate_args=validate_args).logits
    return RelaxedBernoulliLogits(temperature, logits, validate_args=validate_args)
