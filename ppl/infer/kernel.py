"""The interface of MCMC kernels."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ppl._typing import Key, PyTree
from ppl.infer.launch import Launch, UserLaunch
from ppl.util import identity

__all__ = ["RUN_METHODS", "MCMCKernel", "overridden"]

RUN_METHODS = ("init", "sample", "postprocess_fn", "get_constrain_fn")  # what a run of a user's kernel calls


class MCMCKernel(ABC):
    """A Markov kernel. A subclass that defines `init` and `sample` runs in every chain method of `MCMC`.

    So does a subclass of `NUTS` or another kernel that defines `init`, `sample`, `postprocess_fn` or `get_constrain_fn` anew: a run
    then calls these methods, in place of the kernel's own, faster program.

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
        return UserLaunch(self, args, kwargs, fields, num_chains, num_warmup, init_params, cache)


def overridden(kernel: MCMCKernel, names: Sequence[str] = RUN_METHODS) -> list[str]:
    """Those of these methods that the class of a user, or the object, defines in place of the library's.

    A kernel of the library runs as one compiled process, which calls none of them; a kernel with such methods is a user's.
    """
    package = __name__.partition(".")[0]

    def is_own(name: str) -> bool:
        owner = next(base for base in type(kernel).__mro__ if name in vars(base))
        return name in vars(kernel) or owner.__module__.partition(".")[0] != package

    return [name for name in names if is_own(name)]
