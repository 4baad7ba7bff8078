"""The interface of MCMC kernels."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any

from ppl._typing import Key, PyTree
from ppl.infer.launch import Launch, UserLaunch
from ppl.util import identity

__all__ = ["MCMCKernel"]


class MCMCKernel(ABC):
    """A Markov kernel. A subclass that defines `init` and `sample` runs in every chain method of `MCMC`.

    Example:
        >>> from collections import namedtuple
        >>> import jax.numpy as jnp
        >>> from jax import random
        >>> from ppl.infer import MCMC
        >>> State = namedtuple("State", "x rng_key")
        >>> class RandomWalk(MCMCKernel):
        ...     sample_field = "x"
        ...     def init(self, rng_key, num_warmup, init_params, model_args, model_kwargs):
        ...         return State(init_params, rng_key)
        ...     def sample(self, state, model_args, model_kwargs):
        ...         rng_key, k_move, k_accept = random.split(state.rng_key, 3)
        ...         proposal = state.x + random.normal(k_move)
        ...         accepted = random.uniform(k_accept) < jnp.exp(0.5 * (state.x**2 - proposal**2))
        ...         return State(jnp.where(accepted, proposal, state.x), rng_key)
        >>> mcmc = MCMC(RandomWalk(), num_warmup=0, num_samples=100, progress_bar=False)
        >>> mcmc.run(random.key(0), init_params=0.0)
        >>> mcmc.get_samples().shape
        (100,)
    """

    @abstractmethod
    def init(
        self, rng_key: Key, num_warmup: int, init_params: Any, model_args: tuple[Any, ...], model_kwargs: dict[str, Any]
    ) -> Any:
        """The initial state, a NamedTuple of arrays.

        Args:
            rng_key: a random key; an array of keys only for an ensemble kernel.
            num_warmup: the number of warm-up iterations.
            init_params: start values, or None.
            model_args: positional arguments of the model.
            model_kwargs: keyword arguments of the model.
        """

    @abstractmethod
    def sample(self, state: Any, model_args: tuple[Any, ...], model_kwargs: dict[str, Any]) -> Any:
        """The next state."""

    def postprocess_fn(self, model_args: tuple[Any, ...], model_kwargs: dict[str, Any]) -> Callable[[Any], Any]:
        """A function from the sample field of a state to what the user gets; the identity unless overridden."""
        return identity

    @property
    @abstractmethod
    def sample_field(self) -> str:
        """The name of the field of the state that holds the sample."""

    @property
    def default_fields(self) -> tuple[str, ...]:
        """Names of the fields that a run always collects."""
        return (self.sample_field,)

    @property
    def is_ensemble_kernel(self) -> bool:
        """Whether one state holds all chains."""
        return False

    def get_diagnostics_str(self, state: Any) -> str:
        """What the progress bar says of a state."""
        return ""

    def get_advice(self, fields: Mapping[str, Any]) -> list[str]:
        """What to say below the summary of a run, one line each.

        Args:
            fields: what was collected beside the samples, `(chains, draws, ...)` each.
        """
        return []

    def refresh(self, state: Any, model_args: tuple[Any, ...], model_kwargs: dict[str, Any]) -> Any:
        """The same position with its caches computed again; needed of blocks in Gibbs sampling."""
        raise NotImplementedError(f"{type(self).__name__} defines no refresh: it cannot be a block of Gibbs sampling")

    def wrap_model(self, wrapper: Callable[[Callable[..., Any]], Callable[..., Any]]) -> "MCMCKernel":
        """A copy of the kernel on `wrapper(model)`."""
        raise NotImplementedError(f"{type(self).__name__} defines no wrap_model: it cannot be put on another model")

    def get_constrain_fn(self, model_args: tuple[Any, ...], model_kwargs: dict[str, Any]) -> Callable[[Any], Any]:
        """A function from unconstrained to constrained values; `postprocess_fn` unless overridden."""
        return self.postprocess_fn(model_args, model_kwargs)

    def launch(
        self,
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
        *,
        fields: tuple[str, ...],
        init_params: PyTree,
        num_chains: int,
        num_warmup: int,
        cache: dict[Any, Any],
    ) -> Launch:
        """Bind the kernel to arguments, for a run.

        Args:
            args: positional arguments of the model.
            kwargs: keyword arguments of the model.
            fields: of the state, to be read beside what the kernel always reads.
            init_params: start values, or None.
            num_chains: number of chains.
            num_warmup: number of warm-up iterations.
            cache: where programs may be kept.
        """
        every = tuple(dict.fromkeys((self.sample_field, *self.default_fields, *fields)))
        return UserLaunch(self, args, kwargs, every, num_warmup, init_params, cache)
