"""Gibbs sampling with a kernel on continuous sites: HMCGibbs, DiscreteHMCGibbs and, in a file of its own, HMCECS."""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from ppl.infer.gibbs import CustomGibbs, DiscreteBlocks, Gibbs, GibbsUpdateFn, check_inner_or_own
from ppl.infer.hmcecs import HMCECS, HMCECSState
from ppl.infer.kernel import MCMCKernel

__all__ = ["HMCECS", "DiscreteHMCGibbs", "HMCECSState", "HMCGibbs", "HMCGibbsState"]


class HMCGibbsState(NamedTuple):
    """The state of HMCGibbs and DiscreteHMCGibbs.

    Attributes:
        z: values of all latent sites: constrained the Gibbs sites, unconstrained the others.
        block_states: the state of the Gibbs block, and that of the inner kernel.
        rng_key: key for the iterations to come.
    """

    z: Any
    block_states: Any
    rng_key: Any

    @property
    def hmc_state(self) -> Any:
        """The state of the inner kernel."""
        return self.block_states[1]


class HMCGibbs(Gibbs):
    """Some sites are drawn by a user's function, the others moved by a kernel on continuous sites.

    Args:
        inner_kernel: HMC, NUTS or another kernel that is built from the model; also one of your own that can be a block of `Gibbs`.
        gibbs_fn: called as `gibbs_fn(rng_key=, gibbs_sites=, hmc_sites=)` with dicts of constrained values; `hmc_sites` has the
            deterministic sites too. Returns a dict with new values of exactly the Gibbs sites. It must leave their distribution
            given the others and the data as it is, as a draw from the full conditional distribution does.
        gibbs_sites: the names of the sites that `gibbs_fn` draws.

    Raises:
        ValueError: if an argument does not fit; in a run, if `gibbs_fn` returns other sites, shapes or types.

    Source: Geman, Geman (1984), IEEE PAMI 6(6); Neal (2011), "MCMC using Hamiltonian dynamics", section 5.5.

    Example:
        >>> import jax.numpy as jnp
        >>> import ppl
        >>> import ppl.distributions as dist
        >>> from jax import random
        >>> from ppl.infer import HMCGibbs, MCMC, NUTS
        >>> def model():
        ...     x = ppl.sample("x", dist.Normal(0.0, 2.0))
        ...     y = ppl.sample("y", dist.Normal(0.0, 2.0))
        ...     ppl.sample("obs", dist.Normal(x + y, 1.0), obs=1.0)
        >>> def gibbs_fn(rng_key, gibbs_sites, hmc_sites):
        ...     return {"x": 0.8 * (1 - hmc_sites["y"]) + jnp.sqrt(0.8) * random.normal(rng_key)}
        >>> kernel = HMCGibbs(NUTS(model), gibbs_fn=gibbs_fn, gibbs_sites=["x"])
        >>> mcmc = MCMC(kernel, num_warmup=50, num_samples=50, progress_bar=False)
        >>> mcmc.run(random.key(0))
        >>> mcmc.get_samples()["x"].shape
        (50,)
    """

    state_type = HMCGibbsState

    def __init__(self, inner_kernel: MCMCKernel, gibbs_fn: GibbsUpdateFn, gibbs_sites: Sequence[str]) -> None:
        inner = check_inner_or_own("HMCGibbs", inner_kernel)
        if isinstance(gibbs_sites, str) or not isinstance(gibbs_sites, Iterable):
            raise ValueError(f"HMCGibbs: gibbs_sites must be a list of names, found {gibbs_sites!r}; write [{gibbs_sites!r}]")
        super().__init__([(CustomGibbs(gibbs_fn), list(gibbs_sites)), (inner, None)])


class DiscreteHMCGibbs(DiscreteBlocks):
    """Discrete sites are updated element by element, the others moved by a kernel on continuous sites.

    All discrete latent sites that are not marked for enumeration (`infer={"enumerate": "parallel"}`) are updated.

    Args:
        inner_kernel: HMC, NUTS or another kernel that is built from the model; also one of your own that can be a block of `Gibbs`.
        random_walk: propose a state uniformly from the support, instead of from the full conditional distribution.
        modified: never propose the state at hand.

    Raises:
        ValueError: if an argument does not fit; in a run, if there is no discrete site, or one without a finite support.

    Source: Liu (1996), "Peskun's theorem and a modified discrete-state Gibbs sampler", Biometrika 83(3).

    Example:
        >>> import jax.numpy as jnp
        >>> import ppl
        >>> import ppl.distributions as dist
        >>> from jax import random
        >>> from ppl.infer import DiscreteHMCGibbs, MCMC, NUTS
        >>> def model():
        ...     k = ppl.sample("k", dist.Categorical(jnp.array([0.2, 0.8])))
        ...     ppl.sample("x", dist.Normal(jnp.array([-1.0, 1.0])[k], 1.0))
        >>> mcmc = MCMC(DiscreteHMCGibbs(NUTS(model), modified=True), num_warmup=50, num_samples=50, progress_bar=False)
        >>> mcmc.run(random.key(0))
        >>> mcmc.get_samples()["k"].dtype
        dtype('int32')
    """

    state_type = HMCGibbsState
