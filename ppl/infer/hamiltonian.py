"""A chain of a Hamiltonian kernel with its warm-up, as the run executes it, and the public states that are assembled from it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import lax

from ppl import _random as random
from ppl._typing import Array, Key, PyTree
from ppl.infer.adaptation.covariance import WelfordState
from ppl.infer.adaptation.step_size_search import find_step_size
from ppl.infer.adaptation.warmup import Schedule, Signal, Warmup, WarmupState
from ppl.infer.algorithms.fused import Fusing, call_fused
from ppl.infer.algorithms.hmc import HMC
from ppl.infer.algorithms.metric import Metric, identity_metric, metric_from_inverse
from ppl.infer.algorithms.nuts import NUTS
from ppl.infer.algorithms.packed import packed
from ppl.infer.algorithms.protocols import HamiltonianInfo, HamiltonianParams, HamiltonianState
from ppl.infer.algorithms.trajectory import walk_on, walk_one_step
from ppl.infer.run.interleaved import select_chains
from ppl.infer.target.gradient import GradientTarget
from ppl.infer.target.start import Start
from ppl.infer.target_process import Inputs, TargetProcess, fusing_modes, mean_in_phase
from ppl.util import not_jax_tracer

__all__ = ["Chain", "HamiltonianProcess", "HMCAdaptState", "HMCState", "StartPoint", "adaptation_of", "public_adaptation"]


class HMCState(NamedTuple):
    """The state of HMC and NUTS.

    Attributes:
        i: iteration; counts on through warm-up.
        z: unconstrained values.
        z_grad: gradient of the potential energy at `z`.
        potential_energy: minus the log density at `z`.
        energy: potential plus kinetic energy.
        r: momentum at the end of the iteration, where `MixedHMC` moves the chain; otherwise None. The next one draws its own.
        trajectory_length: step size times number of steps.
        num_steps: leapfrog steps of the last iteration.
        accept_prob: acceptance probability of the last iteration, a mean over the trajectory in NUTS.
        mean_accept_prob: mean of those so far, restarted after warm-up.
        diverging: whether the energy error exceeded 1,000.
        adapt_state: `HMCAdaptState`.
        rng_key: key for the iterations to come.
    """

    i: Any
    z: Any
    z_grad: Any
    potential_energy: Any
    energy: Any
    r: Any
    trajectory_length: Any
    num_steps: Any
    accept_prob: Any
    mean_accept_prob: Any
    diverging: Any
    adapt_state: Any
    rng_key: Any


class HMCAdaptState(NamedTuple):
    """What warm-up learns.

    Attributes:
        step_size: of the integrator.
        inverse_mass_matrix: M^-1; for models a dict from tuples of site names to vectors (diagonal) or matrices.
        mass_matrix_sqrt: R with M = R R'.
        mass_matrix_sqrt_inv: its inverse.
        ss_state: by what the step size is found.
        mm_state: of the covariance estimate.
        window_idx: number of the adaptation window.
        rng_key: unused; kept for its name.
    """

    step_size: Any
    inverse_mass_matrix: Any
    mass_matrix_sqrt: Any
    mass_matrix_sqrt_inv: Any
    ss_state: Any
    mm_state: Any
    window_idx: Any
    rng_key: Any


class Chain(NamedTuple):
    """The carry of a run, of this kernel and of others with gradients and the same warm-up.

    Attributes:
        rng_key: for the iterations to come.
        i: iterations done.
        state: what the next trajectory needs.
        info: of the last trajectory or proposal.
        warmup: step size, metric and their estimators.
        mean_accept_prob: since the beginning, or since the end of warm-up.
        nan_position: where an energy was first not a number after warm-up.
        has_nan: whether there is such a place.
    """

    rng_key: Key
    i: Array
    state: HamiltonianState
    info: Any
    warmup: WarmupState
    mean_accept_prob: Array
    nan_position: Array
    has_nan: Array

    def after(self, rng_key: Key, state: HamiltonianState, info: Any, schedule: Schedule) -> "Chain":
        """The carry after an iteration, before warm-up learns from it."""
        i = self.i + 1
        is_first_nan = info.is_nan & ~self.has_nan & (self.i >= schedule.num_warmup)
        return Chain(
            rng_key=rng_key,
            i=i,
            state=state,
            info=info,
            warmup=self.warmup,
            mean_accept_prob=mean_in_phase(self.mean_accept_prob, info.accept_prob, i, schedule),
            nan_position=lax.select(is_first_nan, info.last_position, self.nan_position),
            has_nan=self.has_nan | is_first_nan,
        )

    def nan_positions(self) -> np.ndarray:
        """Where an energy was first not a number after warm-up: `(k, d)`, of a carry with or without a chain axis."""
        found = np.asarray(self.has_nan).reshape(-1)
        return np.asarray(self.nan_position).reshape(len(found), -1)[found]


class StartPoint(NamedTuple):
    """Where a chain starts.

    Attributes:
        key: for the chain.
        state: position, potential energy, gradient.
        is_valid: whether density and gradient are finite.
        metric: the user's; None: the identity.
        step_size: where it is not the user's number; else None.
    """

    key: Key
    state: HamiltonianState
    is_valid: Array
    metric: Metric | None
    step_size: Array | None


class Iteration(NamedTuple):
    """An iteration under way: the key of the next one, a key for adaptation, parameters, and the trajectory so far."""

    rng_key: Key
    key_adapt: Key
    params: HamiltonianParams
    trajectory: Any


@dataclass(frozen=True, eq=False)
class HamiltonianProcess(TargetProcess):
    """One chain of HMC or NUTS with windowed warm-up.

    Attributes:
        kernel: the transition.
        warmup: the adaptation.
        initial_step_size: where adaptation starts.
        initial_inverse: blocks of the inverse mass matrix to start from; None: the identity.
        search_step_size: whether a reasonable step size is searched at the start and when the metric changes.
        block_names: names of the sites of each block of the metric; None where there are no sites.
        tells_momentum: whether states have the momentum.
    """

    statistic_names: ClassVar[tuple[str, ...]] = ("energy", "accept_prob", "num_steps", "diverging")
    kernel: NUTS | HMC
    warmup: Warmup
    initial_step_size: Any
    initial_inverse: tuple[Any, ...] | None
    search_step_size: bool
    block_names: tuple[tuple[str, ...], ...] | None
    tells_momentum: bool = False

    # The run

    def begin(self, key: Key, inputs: Inputs, start: Start) -> StartPoint:
        """Add what is not the same for every start: a metric that the user gave, and a step size that is searched for."""
        state = HamiltonianState(position=start.position, potential_energy=start.potential_energy, gradient=start.gradient)
        dtype = start.position.dtype
        metric, step_size = None, None
        if self.initial_inverse is not None:
            metric = metric_from_inverse(tuple(jnp.asarray(block, dtype) for block in self.initial_inverse))
        if self.search_step_size:
            k_search, key = random.draw(key, dtype, keys=2).keys
            first = jnp.asarray(self.initial_step_size, dtype)
            step_size = self._search(inputs, state, k_search)(first, metric or self._identity())
        elif not not_jax_tracer(self.initial_step_size):
            step_size = jnp.asarray(self.initial_step_size, dtype)
        return StartPoint(key=key, state=state, is_valid=start.is_valid, metric=metric, step_size=step_size)

    def _identity(self) -> Metric:
        return identity_metric(self.warmup.block_shapes, self.target.layout.dtype)

    def chain_at(self, start: StartPoint) -> Chain:
        """The carry before the first iteration. What is constant is NumPy's: outside a trace nothing is compiled for it."""
        dtype = np.dtype(self.target.layout.dtype)
        step_size: Any = np.asarray(self.initial_step_size, dtype) if start.step_size is None else start.step_size
        zero: Any = np.zeros((), dtype)
        count: Any = np.zeros((), np.int32)
        false: Any = np.zeros((), bool)
        nowhere: Any = np.zeros(np.shape(start.state.position), dtype)
        state = start.state
        return Chain(
            rng_key=start.key,
            i=count,
            state=state,
            info=HamiltonianInfo(
                energy=state.potential_energy,
                accept_prob=zero,
                num_steps=count,
                trajectory_length=zero,
                diverging=false,
                last_position=state.position,
                is_nan=false,
                momentum=nowhere if self.tells_momentum else None,
            ),
            warmup=self.warmup.init(step_size, start.metric or self._identity()),
            mean_accept_prob=zero,
            nan_position=nowhere,
            has_nan=false,
        )

    def step(self, carry: Chain, inputs: Inputs) -> Chain:
        """One trajectory, and what warm-up learns from it."""
        iteration = self.open(carry, inputs)
        trajectory = walk_on(packed(self.kernel), iteration.trajectory, inputs.target, iteration.params)
        iteration = iteration._replace(trajectory=trajectory)
        return self.learn(carry, self.close(carry, iteration, inputs), iteration, inputs)

    def open(self, carry: Chain, inputs: Inputs) -> Iteration:
        """Keys, parameters, and a trajectory of no steps."""
        return call_fused(self._open, carry.rng_key, carry.i, carry.state, carry.warmup, inputs.schedule)

    def is_under_way(self, iteration: Iteration) -> Array:
        """Whether another gradient is wanted."""
        return packed(self.kernel).is_running(iteration.trajectory)

    def extend(self, iteration: Iteration, inputs: Inputs) -> Iteration:
        """One leapfrog step."""
        trajectory = walk_one_step(packed(self.kernel), iteration.trajectory, inputs.target, iteration.params)
        return iteration._replace(trajectory=trajectory)

    def choose(self, chosen: Array, iteration: Iteration, other: Iteration) -> Iteration:
        """Of the iterations of all chains, `iteration` for the chosen ones."""
        merged = select_chains(chosen, iteration, other)
        return merged._replace(trajectory=packed(self.kernel).in_room_of(merged.trajectory, other.trajectory))

    def close(self, carry: Chain, iteration: Iteration, inputs: Inputs) -> Chain:
        """The next state, and what is told about it."""
        return call_fused(self._close, carry, iteration.rng_key, iteration.trajectory, inputs.schedule)

    def learns(self, carry: Chain, inputs: Inputs) -> Array:
        """Whether this is warm-up, and adapts something."""
        return self.warmup.params(carry.i, carry.warmup, inputs.schedule).warming_up & self.warmup.is_adaptive

    def learn(self, carry: Chain, closed: Chain, iteration: Iteration, inputs: Inputs) -> Chain:
        """What warm-up learns from an iteration."""
        return self.adapted(carry, closed, inputs, iteration.key_adapt)

    def adapted(self, carry: Chain, chain: Chain, inputs: Inputs, key: Key) -> Chain:
        """The chain after an iteration, with what warm-up learns from it; `carry` is the chain before."""
        if not self.warmup.is_adaptive:
            return chain

        def adapt() -> WarmupState:
            return self._adapt(carry.i, chain, carry.warmup, inputs, key)

        return chain._replace(warmup=lax.cond(self.learns(carry, inputs), adapt, lambda: carry.warmup))

    def _open(self, key: Key, i: Array, state: HamiltonianState, warmup: WarmupState, schedule: Schedule) -> Iteration:
        draws = random.draw(key, state.position.dtype, keys=3)
        params = self.warmup.params(i, warmup, schedule)
        return Iteration(draws.keys[0], draws.keys[2], params, packed(self.kernel).begin(draws.keys[1], state, params))

    def _close(self, carry: Chain, rng_key: Key, trajectory: Any, schedule: Schedule) -> Chain:
        state, info = packed(self.kernel).finish(trajectory)
        return carry.after(rng_key, state, info, schedule)

    def _adapt(self, i: Array, chain: Chain, warmup: WarmupState, inputs: Inputs, key: Key) -> WarmupState:
        signal = Signal(position=chain.state.position, accept_prob=chain.info.accept_prob)
        if self.search_step_size:
            return self.warmup.update(i, signal, warmup, inputs.schedule, self._search(inputs, chain.state, key))
        if self._is_diagonal():
            return call_fused(self._adapt_without_search, i, signal, warmup, inputs.schedule)
        return self._adapt_without_search(i, signal, warmup, inputs.schedule)

    def _adapt_without_search(self, i: Array, signal: Signal, warmup: WarmupState, schedule: Schedule) -> WarmupState:
        return self.warmup.update(i, signal, warmup, schedule)

    def _search(self, inputs: Inputs, state: HamiltonianState, key: Key) -> Callable[[Array, Metric], Array]:
        def search(step_size: Array, metric: Metric) -> Array:
            return find_step_size(inputs.target, self.kernel.kinetic, state, metric, step_size, key)

        return search

    def rebase(self, carry: Chain, target: GradientTarget) -> Chain:
        """The same position under another target: one gradient."""
        return carry._replace(state=self.kernel.rebase(carry.state, target))

    def statistics(self, carry: Chain) -> Array:
        """Energy, acceptance probability, number of steps, and whether the trajectory diverged."""
        dtype = carry.state.position.dtype
        info = carry.info
        return jnp.stack([info.energy, info.accept_prob, info.num_steps.astype(dtype), info.diverging.astype(dtype)])

    def name_statistics(self, rows: Any) -> dict[str, Any]:
        """The same by name."""
        named = super().name_statistics(rows)
        return named | {"num_steps": named["num_steps"].astype(np.int32), "diverging": named["diverging"] != 0}

    def modes(self) -> list[Fusing]:
        """What of a program can be one kernel, from nothing to all of it."""
        return fusing_modes(self.target, allows_whole=self._is_diagonal() and not self.search_step_size)

    def _is_diagonal(self) -> bool:
        return all(len(shape) == 1 for shape in self.warmup.block_shapes)

    # Public states

    def assemble(self, carry: Chain, unravel: Callable[[Any], PyTree]) -> HMCState:
        """The public state."""
        return HMCState(
            i=carry.i,
            z=unravel(carry.state.position),
            z_grad=unravel(carry.state.gradient),
            potential_energy=carry.state.potential_energy,
            energy=carry.info.energy,
            r=None if carry.info.momentum is None else unravel(carry.info.momentum),
            trajectory_length=carry.info.trajectory_length,
            num_steps=carry.info.num_steps,
            accept_prob=carry.info.accept_prob,
            mean_accept_prob=carry.mean_accept_prob,
            diverging=carry.info.diverging,
            adapt_state=public_adaptation(carry.warmup, carry.rng_key, self.block_names),
            rng_key=carry.rng_key,
        )

    def carry_of(self, state: HMCState, ravel: Callable[[PyTree], Array]) -> Chain:
        """The carry of a public state; `ravel` makes positions of unconstrained values."""
        position = ravel(state.z)
        nowhere: Any = np.zeros(np.shape(position), self.target.layout.dtype)
        false: Any = np.zeros(np.shape(state.i), bool)
        return Chain(
            rng_key=state.rng_key,
            i=state.i,
            state=HamiltonianState(position=position, potential_energy=state.potential_energy, gradient=ravel(state.z_grad)),
            info=HamiltonianInfo(
                energy=state.energy,
                accept_prob=state.accept_prob,
                num_steps=state.num_steps,
                trajectory_length=state.trajectory_length,
                diverging=state.diverging,
                last_position=position,
                is_nan=false,
                momentum=ravel(state.r) if self.tells_momentum else None,
            ),
            warmup=adaptation_of(state.adapt_state, self.block_names),
            mean_accept_prob=state.mean_accept_prob,
            nan_position=nowhere,
            has_nan=false,
        )

    def nan_positions(self, carry: Chain) -> np.ndarray:
        """Where an energy was first not a number after warm-up."""
        return carry.nan_positions()


def public_adaptation(adapt: WarmupState, rng_key: Key, names: tuple[tuple[str, ...], ...] | None) -> HMCAdaptState:
    """The public form of what warm-up has learnt; `names` are the sites of each block of the metric, None where there is one."""

    def name_blocks(blocks: tuple[Any, ...]) -> Any:
        return blocks[0] if names is None else dict(zip(names, blocks))

    return HMCAdaptState(
        step_size=adapt.step_size,
        inverse_mass_matrix=name_blocks(adapt.metric.inverse),
        mass_matrix_sqrt=name_blocks(adapt.metric.root),
        mass_matrix_sqrt_inv=name_blocks(adapt.metric.root_inverse),
        ss_state=adapt.tuning,
        mm_state=adapt.covariance,
        window_idx=adapt.window,
        rng_key=rng_key,
    )


def adaptation_of(adapt: HMCAdaptState, names: tuple[tuple[str, ...], ...] | None) -> WarmupState:
    """What warm-up has learnt, of its public form."""

    def blocks_of(named: Any) -> tuple[Any, ...]:
        return (named,) if names is None else tuple(named[block] for block in names)

    return WarmupState(
        step_size=adapt.step_size,
        metric=Metric(
            inverse=blocks_of(adapt.inverse_mass_matrix),
            root=blocks_of(adapt.mass_matrix_sqrt),
            root_inverse=blocks_of(adapt.mass_matrix_sqrt_inv),
        ),
        tuning=adapt.ss_state,
        covariance=WelfordState(*adapt.mm_state),
        window=adapt.window_idx,
    )
