"""The handler that integrates latent sites out in closed form: collapse."""

from types import TracebackType
from typing import Any, Self

import jax.numpy as jnp
import numpy as np
from jax.scipy.special import betaln, gammaln

from ppl._typing import Array, Message, Shape
from ppl.distributions import BernoulliProbs, Beta, BinomialProbs
from ppl.distributions.distribution import Distribution, ExpandedDistribution
from ppl.handlers.enumeration import first_state_dim
from ppl.plate import plate
from ppl.primitives import factor
from ppl.stack import Messenger, current_stack
from ppl.trace import check_value


class collapse(Messenger):
    """Integrates the Beta-distributed latent sites of its block exactly; used as a context manager.

    Each latent `p ~ Beta(a, b)` must be the `probs` of observed Bernoulli or Binomial sites in the block. With `s` successes and
    `f` failures among them, the marginal likelihood `C(n, x) B(a + s, b + f) / B(a, b)` becomes one factor under the name of the
    first latent. Outside, neither the latents nor the observed sites are seen. Plates may be opened inside and outside. While the
    block runs, a latent has its mean as a stand-in; no other use of it is meant.

    Raises:
        ValueError: if there is no latent site in the block.
        NotImplementedError: for sites that cannot be integrated so.

    Example:
        >>> from ppl import distributions as dist, handlers
        >>> from ppl.primitives import sample
        >>> with handlers.trace() as tr, collapse():
        ...     p = sample("p", dist.Beta(1.0, 1.0))
        ...     x = sample("x", dist.Bernoulli(probs=p), obs=1)
        >>> round(float(tr["p"]["fn"].log_prob(tr["p"]["value"])), 4)  # log(1 / 2)
        -0.6931
    """

    def __init__(self, fn: Any = None) -> None:
        self._latents: dict[str, Message] = {}
        self._observed: list[Message] = []
        self._outer_dims: set[int] = set()
        super().__init__(fn)

    def __enter__(self) -> Self:
        self._latents, self._observed, self._outer_dims = {}, [], set()
        return super().__enter__()

    def __exit__(
        self, exc_type: type[BaseException] | None, exc_value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        super().__exit__(exc_type, exc_value, traceback)
        if exc_type is not None:
            return
        if not self._latents:
            raise ValueError("collapse: there is no latent site in the block; open it around the sites to integrate out")
        factor(next(iter(self._latents)), self._log_marginal())

    def process_message(self, msg: Message) -> None:
        """Keep a sample site from the handlers outside, save the plates."""
        if msg["type"] == "deterministic":
            raise NotImplementedError(
                f"collapse: deterministic site {msg['name']!r}: its value is unknown until the block has ended"
            )
        if msg["type"] != "sample":
            return
        self._enclose(msg)
        if not msg["is_observed"]:
            family = _unwrapped(msg["fn"])
            if not isinstance(family, Beta) or msg["value"] is not None or msg["kwargs"]["sample_shape"]:
                raise NotImplementedError(
                    f"collapse: latent site {msg['name']!r} with distribution {type(family).__name__} cannot be integrated "
                    "out; only Beta priors of Bernoulli and Binomial sites can. "
                    "For discrete latents use infer={'enumerate': 'parallel'}"
                )
            msg["value"] = jnp.asarray(msg["fn"].mean)
        msg["stop"] = True

    def postprocess_message(self, msg: Message) -> None:
        """Collect a sample site."""
        if msg["type"] == "sample":
            if msg["is_observed"]:
                self._observed.append(msg)
            else:
                self._latents[msg["name"]] = msg

    def _enclose(self, msg: Message) -> None:
        """Let the plates around the block, and nothing else, act on a site; their scale belongs to the factor."""
        scale, inside = msg["scale"], len(msg["cond_indep_stack"])
        stack = current_stack()
        depth = max(i for i, handler in enumerate(stack) if handler is self)
        for handler in reversed(stack[:depth]):
            if isinstance(handler, plate):
                handler.process_message(msg)
        msg["scale"] = scale
        self._outer_dims |= {frame.dim for frame in msg["cond_indep_stack"][inside:]}

    def _log_marginal(self) -> Array:
        """The log marginal likelihood, with the batch dimensions of the plates around the block, and of enumerated states."""
        left, first_dim = list(self._observed), first_state_dim()
        total: Any = 0.0
        for name, latent in self._latents.items():
            mine = [site for site in left if getattr(_unwrapped(site["fn"]), "probs", None) is latent["value"]]
            left = [site for site in left if all(site is not other for other in mine)]
            if not mine:
                raise NotImplementedError(
                    f"collapse: no observed Bernoulli or Binomial site has the latent {name!r} itself as its "
                    "probs; pass it unchanged"
                )
            total = total + _sum_to_dims(_beta_marginal(latent, mine, first_dim), self._outer_dims, first_dim)
        if left:
            raise NotImplementedError(
                f"collapse: observed site {left[0]['name']!r} is no Bernoulli or Binomial with a latent of the block as its "
                "probs; move it out of the block"
            )
        return total


def _unwrapped(fn: Distribution) -> Distribution:
    return fn.base_dist if isinstance(fn, ExpandedDistribution) else fn


def _beta_marginal(latent: Message, sites: list[Message], first_dim: float) -> Array:
    """`log of the integral of Beta(p; a, b) prod C(n, x) p^x (1 - p)^(n - x)` over `p`, of the latent's batch shape.

    From `first_dim` on to the left it has the dimensions of the sites, too, along which enumerated states lie.
    """
    prior = _unwrapped(latent["fn"])
    shape = latent["fn"].batch_shape
    a, b = jnp.asarray(prior.concentration1), jnp.asarray(prior.concentration0)  # type: ignore[attr-defined]
    successes: Any = 0.0
    failures: Any = 0.0
    constant: Any = 0.0
    for site in sites:
        check_value(site)
        x, n, log_count = _counts(site, latent["value"].dtype)
        # A scale of the latent multiplies the marginal, a further one of the site is a power of its likelihood.
        scale = 1.0 if site["scale"] is None else site["scale"]
        scale = scale if latent["scale"] is None else scale / latent["scale"]
        successes = successes + _sum_to_shape(scale * x, shape, first_dim)
        failures = failures + _sum_to_shape(scale * (n - x), shape, first_dim)
        constant = constant + _sum_to_shape(scale * log_count, shape, first_dim)
    log_marginal = constant + betaln(a + successes, b + failures) - betaln(a, b)
    log_marginal = jnp.broadcast_to(log_marginal, jnp.broadcast_shapes(log_marginal.shape, shape))
    return log_marginal if latent["scale"] is None else latent["scale"] * log_marginal


def _counts(site: Message, dtype: Any) -> tuple[Array, Array, Array]:
    """Successes, trials, and the log number of arrangements, of the batch shape of the site."""
    fn = _unwrapped(site["fn"])
    if not isinstance(fn, BernoulliProbs | BinomialProbs):
        raise NotImplementedError(
            f"collapse: observed site {site['name']!r} with distribution {type(fn).__name__}; only Bernoulli and Binomial sites "
            "can be collapsed with a Beta prior, without masks"
        )
    shape = np.broadcast_shapes(site["fn"].batch_shape, np.shape(site["value"]))
    x = jnp.broadcast_to(jnp.asarray(site["value"], dtype), shape)
    if isinstance(fn, BernoulliProbs):
        return x, jnp.ones_like(x), jnp.zeros_like(x)
    n = jnp.broadcast_to(jnp.asarray(fn.total_count, dtype), shape)
    return x, n, gammaln(n + 1) - gammaln(x + 1) - gammaln(n - x + 1)


def _sum_to_shape(x: Array, shape: Shape, first_dim: float) -> Array:
    """Sum over the dimensions on the right of `first_dim` along which `x` is wider than `shape`; the rank stays."""
    own = (1,) * (x.ndim - len(shape)) + tuple(shape)
    wide = tuple(dim for dim in range(-x.ndim, 0) if dim > first_dim and own[dim] == 1 != x.shape[dim])
    return jnp.sum(x, axis=wide, keepdims=True) if wide else x


def _sum_to_dims(x: Array, dims: set[int], first_dim: float) -> Array:
    """Sum over all dimensions on the right of `first_dim` but `dims` (negative); the rank is that of the leftmost that remains."""
    kept = [dim for dim in range(-x.ndim, 0) if dim in dims or dim <= first_dim]
    rank = max((-dim for dim in kept), default=0)
    x = jnp.sum(x, axis=tuple(dim for dim in range(-x.ndim, 0) if dim not in kept), keepdims=True)
    return jnp.reshape(x, x.shape[x.ndim - rank :] if rank else ())
