"""The base of ensemble samplers: all chains in two halves, which update each other in turn."""

import warnings
from abc import abstractmethod
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, Self

import jax
import jax.numpy as jnp
import numpy as np

from ppl import _random as random
from ppl._typing import Array, Key, PyTree
from ppl.infer.algorithms.ensembles import Reach, Walkers, reachable_dimension
from ppl.infer.binding import Binding
from ppl.infer.ensemble_launch import EnsembleLaunch
from ppl.infer.ensemble_process import EnsembleProcess, EnsembleSamplerState, EnsembleStart
from ppl.infer.facade import TargetKernel
from ppl.infer.initialization import init_to_uniform
from ppl.infer.launch import is_traced
from ppl.infer.target.diagnose import explain
from ppl.util import find_stack_level

__all__ = ["EnsembleSampler"]


class _Moved(NamedTuple):
    """What is known of an update by a user's ensemble: where walkers went, and that no energy was seen."""

    last_position: Array
    is_nan: Array


class EnsembleSampler(TargetKernel):
    """An ensemble of chains in two halves, which update each other in turn.

    A subclass defines `init_inner_state` and `update_active_chains`. It runs with `chain_method="vectorized"` and an even number of
    chains. The target stays invariant if, given the inactive half, each active walker moves by a kernel that leaves it invariant.
    A field `rng_key` of the inner state holds a new key at each update. Within `update_active_chains`, `potential_energies` is at
    hand, and `_num_chains` is the number of chains.

    Args:
        model: the model; exactly one of it and `potential_fn`.
        potential_fn: the potential energy, a function of a pytree of unconstrained values; `init_params` is then needed.
        randomize_split: draw the halves anew in each iteration; otherwise they are the chains of even and of odd number.
        init_strategy: start values, for each chain its own; see `ppl.infer.initialization`.

    Raises:
        ValueError: if not exactly one of `model` and `potential_fn` is given.
        TypeError: if an argument has a wrong type.

    Example:
        >>> import jax.numpy as jnp
        >>> import ppl
        >>> import ppl.distributions as dist
        >>> from collections import namedtuple
        >>> from jax import random
        >>> from ppl.infer import MCMC
        >>> Inner = namedtuple("Inner", "rng_key")
        >>> class Walk(EnsembleSampler):
        ...     def init_inner_state(self, rng_key):
        ...         return Inner(rng_key)
        ...     def update_active_chains(self, active, inactive, inner_state):
        ...         k_move, k_accept = random.split(inner_state.rng_key)
        ...         proposal = active + random.normal(k_move, active.shape) * jnp.std(inactive, 0)
        ...         change = self.potential_energies(active) - self.potential_energies(proposal)
        ...         accepted = jnp.log(random.uniform(k_accept, change.shape)) < change
        ...         return jnp.where(accepted[:, None], proposal, active), inner_state
        >>> def model():
        ...     ppl.sample("x", dist.Normal(0.0, 1.0))
        >>> mcmc = MCMC(
        ...     Walk(model, randomize_split=True),
        ...     num_warmup=10, num_samples=20, num_chains=6, chain_method="vectorized", progress_bar=False,
        ... )
        >>> mcmc.run(random.key(0))
        >>> mcmc.get_samples(group_by_chain=True)["x"].shape
        (6, 20)
    """

    reach = Reach.EVERYWHERE
    statistics: tuple[str, ...] = ()

    def __init__(
        self,
        model: Callable[..., Any] | None = None,
        potential_fn: Callable[..., Any] | None = None,
        *,
        randomize_split: bool,
        init_strategy: Callable[..., Any] = init_to_uniform,
    ) -> None:
        super().__init__(model, potential_fn, init_strategy)
        if not isinstance(randomize_split, bool | np.bool_):
            raise TypeError(f"{type(self).__name__}: randomize_split must be True or False, found {randomize_split!r}")
        self.randomize_split = bool(randomize_split)
        self._target: Any = None
        self._num_chains = 0

    @property
    def is_ensemble_kernel(self) -> bool:
        """One state holds all chains."""
        return True

    # What an ensemble defines

    @abstractmethod
    def init_inner_state(self, rng_key: Key) -> Any:
        """What the kernel keeps beside the positions: a pytree of arrays.

        Args:
            rng_key: a random key.
        """

    @abstractmethod
    def update_active_chains(self, active: Array, inactive: Array, inner_state: Any) -> tuple[Array, Any]:
        """Update one half of the chains, given the other.

        Args:
            active: positions `(n / 2, d)` to be moved.
            inactive: positions `(n / 2, d)` of the other half.
            inner_state: what the kernel keeps, with a new key in the field `rng_key`, where it has one.

        Returns:
            New positions of the active half, and the inner state.
        """

    def potential_energies(self, positions: Array) -> Array:
        """The potential energies `(m,)` of positions `(m, d)`; one may be no number.

        Raises:
            RuntimeError: outside a run.
        """
        return jax.vmap(self._running_on())(positions)

    def _running_on(self) -> Any:
        if self._target is None:
            raise RuntimeError(f"{type(self).__name__}: the target is known only while the kernel runs, in update_active_chains")
        return self._target

    # What the run asks

    def on(self, target: Any, num_chains: int, num_warmup: Any) -> Self:
        """A copy of the kernel that knows what it runs on."""
        copy = object.__new__(type(self))
        copy.__dict__.update(self.__dict__)
        copy._target, copy._num_chains, copy._num_warmup = target, num_chains, num_warmup
        return copy

    def update_half(self, active: Walkers, inactive: Walkers, inner_state: Any) -> tuple[Walkers, Any, Any]:
        """Update one half: walkers, inner state, and what is told about it.

        Raises:
            ValueError: if `update_active_chains` returns positions of another shape or type.
        """
        found, inner_state = self.update_active_chains(active.position, inactive.position, inner_state)
        expected = active.position
        if jnp.shape(found) != expected.shape or jnp.result_type(found) != expected.dtype:
            raise ValueError(
                f"{type(self).__name__}.update_active_chains returned positions of shape {jnp.shape(found)} and type "
                f"{jnp.result_type(found)}, expected {expected.shape} and {expected.dtype}, those of `active`"
            )
        unknown = jnp.full(len(expected), jnp.nan, expected.dtype)
        info = _Moved(last_position=found, is_nan=jnp.zeros(len(expected), bool))
        return Walkers(position=found, potential_energy=unknown), inner_state, info

    def end_iteration(self, inner_state: Any, info: Any) -> Any:
        """The inner state after both halves."""
        return inner_state

    def describe(self, walkers: Walkers, info: Any) -> Array:
        """The statistics of all walkers, `(n, k)`."""
        return jnp.zeros((len(walkers.position), 0), walkers.position.dtype)

    def restart(self, inner_state: Any) -> Any:
        """The inner state at the beginning of another run."""
        return inner_state

    # Checks

    def _reach(self, num_chains: int) -> Reach:
        """How far moves lead; halves that are drawn anew mix, if they have two walkers each."""
        mixes = self.randomize_split and num_chains >= 4 and self.reach is Reach.HALF
        return Reach.HULL if mixes else self.reach

    def check_chains(self, num_chains: int, dimension: int) -> None:
        """Check the number of chains.

        Raises:
            AssertionError: if it is odd.
            ValueError: if so few chains can never leave a subspace.
        """
        kernel = type(self).__name__
        if num_chains < 2 or num_chains % 2:
            raise AssertionError(
                f"{kernel}: the chains are two halves of one ensemble, so their number must be even, found {num_chains}; pass an "
                'even num_chains, with chain_method="vectorized"'
            )
        reach = self._reach(num_chains)
        least = dimension + (2 if reach is Reach.HALF else 1)
        least += least % 2
        if dimension and reach is not Reach.EVERYWHERE and num_chains < least:
            raise ValueError(
                f"{kernel}: {num_chains} chains in {dimension} dimensions: these moves combine the positions of the chains, which "
                f"could never leave the subspace where they start; pass num_chains={least} at least, better {2 * dimension} or more"
            )
        if num_chains < 2 * dimension:
            warnings.warn(
                f"{kernel}: num_chains={num_chains} is less than twice the number of dimensions, {dimension}, so that the ensemble "
                f"mixes slowly; pass num_chains={2 * dimension} or more",
                stacklevel=find_stack_level(),
            )

    def check_start(self, binding: Binding, target: Any, started: EnsembleStart, was_given: bool) -> None:
        """Check the start of all walkers.

        Raises:
            RuntimeError: if a walker has no finite density, with the reason.
            ValueError: if the walkers can never leave a subspace.
        """
        positions = np.asarray(started.ensemble.walkers.position)
        invalid = np.flatnonzero(~np.asarray(started.is_valid))
        if len(invalid):
            what = "init_params have" if was_given else "Cannot find valid initial parameters: 100 proposals had"
            reasons = explain(target, positions[invalid[0]]) if binding.model is not None else ["potential_fn is not finite there"]
            details = "".join(f"\n  {reason}" for reason in reasons)
            raise RuntimeError(
                f"{what} no finite log density, for {len(invalid)} of {len(positions)} chains. At the first of them:{details}\n"
                "Check the data and the supports, or choose another start: init_params, or init_strategy such as init_to_sample."
            )
        self._check_spread(positions, was_given)

    def _check_spread(self, positions: np.ndarray, was_given: bool) -> None:
        """Raise a `ValueError` if walkers at these positions can never leave a subspace."""
        n, d = positions.shape
        reach = self._reach(n)
        if reach is Reach.EVERYWHERE or d == 0:
            return
        rank = reachable_dimension(positions, reach)
        if rank < d:
            cure = "init_params with a leading axis for the chains" if was_given else "init_to_uniform or init_to_sample"
            where = "at one point" if rank == 0 else f"in a subspace of dimension {rank} of {d}"
            raise ValueError(
                f"{type(self).__name__}: the chains start {where}, and these moves, which combine their positions, can never leave "
                f"it; let every chain start at a place of its own, with {cure}"
            )

    # Running

    def _new_process(self, binding: Binding, fields: tuple[str, ...]) -> Any:
        return EnsembleProcess(rules=self, **self._settings(binding, fields))

    def launch_on_target(
        self,
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
        fields: tuple[str, ...],
        init_params: PyTree,
        num_chains: int,
        num_warmup: int,
    ) -> EnsembleLaunch:
        """The kernel bound to arguments, all chains being one compiled process on the target."""
        binding, arrays = self.bind(args, kwargs, init_params, 1)
        self.check_chains(num_chains, binding.target.layout.dimension)
        binding.check_data(arrays)
        given = self.start_positions(binding, init_params, num_chains)
        if given is not None and not given[1] and not is_traced(given[0]):
            self._check_spread(given[0], True)
        process = self._process_to_run(binding, fields)
        return EnsembleLaunch(self, binding, process, self.inputs(binding, arrays, num_warmup), given, num_chains)

    def init(
        self,
        rng_key: Key,
        num_warmup: int,
        init_params: Any = None,
        model_args: tuple[Any, ...] = (),
        model_kwargs: Mapping[str, Any] | None = None,
    ) -> EnsembleSamplerState:
        """The initial state.

        Args:
            rng_key: random keys, one for each chain.
            num_warmup: the number of iterations in which to adapt.
            init_params: unconstrained start values with a leading axis for the chains; None: by the init strategy.
            model_args: positional arguments of the model.
            model_kwargs: keyword arguments of the model.

        Raises:
            AssertionError: if the keys are not an even number of them.
            RuntimeError: if a walker has no finite density.
            ValueError: if the walkers can never leave a subspace.
        """
        words = random.words(jnp.asarray(rng_key))
        if words.ndim != 2:
            raise AssertionError(
                f"{type(self).__name__}.init: expected an array of keys, one for each chain, found one key; MCMC passes them with "
                'chain_method="vectorized"'
            )
        self._num_warmup = num_warmup
        launch = self.launch_on_target(model_args, model_kwargs or {}, (), init_params, len(words), num_warmup)
        (carry,) = launch.start(words, len(words))
        return launch.public(carry) if is_traced(carry) else jax.tree.map(jnp.asarray, launch.public(carry))

    def sample(
        self, state: EnsembleSamplerState, model_args: tuple[Any, ...] = (), model_kwargs: Mapping[str, Any] | None = None
    ) -> EnsembleSamplerState:
        """The next state.

        Raises:
            ValueError: before `init`.
        """
        if self._latest is None:
            raise ValueError(f"{type(self).__name__}.sample: call `init` first")
        binding, arrays = self.bind(model_args, model_kwargs or {}, None)
        process: Any = self.process(binding)
        inputs = self.inputs(binding, arrays, self._num_warmup)
        carry = process.rebase(process.continued(state), inputs.target)
        return process.public_state(process.step(carry, inputs))
