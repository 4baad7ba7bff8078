"""A chain of a Hamiltonian kernel with its warm-up, as the run executes it, and the public states that are assembled from it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax, random

from ppl._typing import Array, Key, PyTree
from ppl.infer.adaptation.covariance import WelfordState
from ppl.infer.adaptation.dual_averaging import DualAveragingState
from ppl.infer.adaptation.step_size_search import find_step_size
from ppl.infer.adaptation.warmup import Schedule, Signal, Warmup, WarmupState
from ppl.infer.algorithms.fused import Fusing, call_fused, fusing, whole_program
from ppl.infer.algorithms.hmc import HMC
from ppl.infer.algorithms.metric import Metric, metric_from_inverse
from ppl.infer.algorithms.nuts import NUTS
from ppl.infer.algorithms.protocols import HamiltonianInfo, HamiltonianState
from ppl.infer.launch import read_field
from ppl.infer.target.gradient import GradientTarget, is_small_and_smooth
from ppl.infer.target.start import Start, evaluate_start, find_start

__all__ = ["Chain", "HamiltonianProcess", "HMCAdaptState", "HMCState", "Inputs"]

MAX_FUSED_DIMENSION = 2048  # longer sums are not left to one kernel


class HMCState(NamedTuple):
    """The state of HMC and NUTS.

    Attributes:
        i: iteration; counts on through warm-up.
        z: unconstrained values.
        z_grad: gradient of the potential energy at `z`.
        potential_energy: minus the log density at `z`.
        energy: potential plus kinetic energy.
        r: momentum; None: drawn afresh in each iteration.
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
        ss_state: of dual averaging.
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


class Inputs(NamedTuple):
    """Arrays that all chains share: the target's, and the schedule of warm-up."""

    target: Any
    schedule: Schedule


class Chain(NamedTuple):
    """The carry of a run.

    Attributes:
        rng_key: for the iterations to come.
        i: iterations done.
        state: what the next trajectory needs.
        info: of the last trajectory.
        warmup: step size, metric and their estimators.
        mean_accept_prob: since the beginning, or since the end of warm-up.
        nan_position: where an energy was first not a number after warm-up.
        has_nan: whether there is such a place.
    """

    rng_key: Key
    i: Array
    state: HamiltonianState
    info: HamiltonianInfo
    warmup: WarmupState
    mean_accept_prob: Array
    nan_position: Array
    has_nan: Array


@dataclass(frozen=True, eq=False)
class HamiltonianProcess:
    """One chain of HMC or NUTS with windowed warm-up.

    Attributes:
        kernel: the transition.
        warmup: the adaptation.
        target: the target, whose arrays are replaced by those of the inputs.
        propose: `(key, target) -> position`, to find a start.
        initial_step_size: where adaptation starts.
        initial_inverse: blocks of the inverse mass matrix to start from; None: the identity.
        search_step_size: whether a reasonable step size is searched at the start and when the metric changes.
        fields: paths into `HMCState` to read beside the standard ones.
        block_names: names of the sites of each block of the metric; None where there are no sites.
    """

    kernel: NUTS | HMC
    warmup: Warmup
    target: GradientTarget
    propose: Callable[[Key, Any], Array] | None
    initial_step_size: Any
    initial_inverse: tuple[Any, ...] | None
    search_step_size: bool
    fields: tuple[str, ...]
    block_names: tuple[tuple[str, ...], ...] | None

    # The run

    def start(self, key: Key, inputs: Inputs, position: Array | None) -> tuple[Chain, Array]:
        """The carry at a position, or else at a proposed one, and whether density and gradient are finite there."""
        k_start, k_chain = random.split(key)
        if position is None:
            start = find_start(k_start, lambda key: self._proposal(key, inputs), inputs.target)
        else:
            start = evaluate_start(position, inputs.target)
        return self._begin(k_chain, inputs, start)

    def start_partly_given(self, key: Key, inputs: Inputs, position: Array) -> tuple[Chain, Array]:
        """As `start`, where the coordinates that are nan are proposed."""
        k_start, k_chain = random.split(key)

        def propose(key: Key) -> Array:
            return jnp.where(jnp.isnan(position), self._proposal(key, inputs), position)

        return self._begin(k_chain, inputs, find_start(k_start, propose, inputs.target))

    def _proposal(self, key: Key, inputs: Inputs) -> Array:
        if self.propose is None:
            raise ValueError("init_params: a potential function needs a complete start value")
        return self.propose(key, inputs.target)

    def _begin(self, key: Key, inputs: Inputs, start: Start) -> tuple[Chain, Array]:
        state = HamiltonianState(position=start.position, potential_energy=start.potential_energy, gradient=start.gradient)
        return self.begin(key, inputs, state), start.is_valid

    def begin(self, key: Key, inputs: Inputs, state: HamiltonianState) -> Chain:
        """The carry at a position."""
        dtype = state.position.dtype
        inverse = self.initial_inverse
        if inverse is None:
            shapes = self.warmup.block_shapes
            inverse = tuple(jnp.ones(s, dtype) if len(s) == 1 else jnp.eye(s[0], dtype=dtype) for s in shapes)
        metric = metric_from_inverse(tuple(jnp.asarray(block, dtype) for block in inverse))
        k_search, k_chain = random.split(key)
        step_size = jnp.asarray(self.initial_step_size, dtype)
        if self.search_step_size:
            step_size = self._search(inputs, state, k_search)(step_size, metric)
        zero, count = jnp.zeros((), dtype), jnp.zeros((), jnp.int32)
        return Chain(
            rng_key=k_chain,
            i=count,
            state=state,
            info=HamiltonianInfo(
                energy=state.potential_energy,
                accept_prob=zero,
                num_steps=count,
                trajectory_length=zero,
                diverging=jnp.zeros((), bool),
                last_position=state.position,
                is_nan=jnp.zeros((), bool),
            ),
            warmup=self.warmup.init(step_size, metric),
            mean_accept_prob=zero,
            nan_position=jnp.zeros_like(state.position),
            has_nan=jnp.zeros((), bool),
        )

    def step(self, carry: Chain, inputs: Inputs) -> Chain:
        """One trajectory, and what warm-up learns from it."""
        rng_key, k_step, k_adapt = random.split(carry.rng_key, 3)
        params = self.warmup.params(carry.i, carry.warmup, inputs.schedule)
        state, info = self.kernel.step(k_step, carry.state, inputs.target, params)
        signal = Signal(position=state.position, accept_prob=info.accept_prob)

        def adapt() -> WarmupState:
            return self._adapt(carry.i, signal, carry.warmup, inputs, k_adapt, state)

        warmup = lax.cond(params.warming_up, adapt, lambda: carry.warmup)
        i = carry.i + 1
        phase_length = lax.select(params.warming_up, i, i - inputs.schedule.num_warmup)
        is_first_nan = info.is_nan & ~carry.has_nan & ~params.warming_up
        gain = (info.accept_prob - carry.mean_accept_prob) / phase_length.astype(info.accept_prob.dtype)
        return Chain(
            rng_key=rng_key,
            i=i,
            state=state,
            info=info,
            warmup=warmup,
            mean_accept_prob=carry.mean_accept_prob + gain,
            nan_position=lax.select(is_first_nan, info.last_position, carry.nan_position),
            has_nan=carry.has_nan | is_first_nan,
        )

    def _adapt(
        self, i: Array, signal: Signal, warmup: WarmupState, inputs: Inputs, key: Key, state: HamiltonianState
    ) -> WarmupState:
        if self.search_step_size:
            return self.warmup.update(i, signal, warmup, inputs.schedule, self._search(inputs, state, key))
        if all(len(shape) == 1 for shape in self.warmup.block_shapes):
            return call_fused(self._adapt_diagonal, i, signal, warmup, inputs.schedule)
        return self._adapt_diagonal(i, signal, warmup, inputs.schedule)

    def _adapt_diagonal(self, i: Array, signal: Signal, warmup: WarmupState, schedule: Schedule) -> WarmupState:
        return self.warmup.update(i, signal, warmup, schedule)

    def _search(self, inputs: Inputs, state: HamiltonianState, key: Key) -> Callable[[Array, Metric], Array]:
        def search(step_size: Array, metric: Metric) -> Array:
            return find_step_size(inputs.target, self.kernel.kinetic, state, metric, step_size, key)

        return search

    def read(self, carry: Chain) -> dict[str, Array]:
        """Position, what the summary tells about, and the fields that the user wants."""
        rows = {
            "z": carry.state.position,
            "diverging": carry.info.diverging,
            "num_steps": carry.info.num_steps,
            "energy": carry.info.energy,
            "accept_prob": carry.info.accept_prob,
        }
        if not self.fields:
            return rows
        state = self.public_state(carry)
        return rows | {field: read_field(state, field) for field in self.fields}

    @property
    def wrappers(self) -> Sequence[Callable[[Callable[..., Any]], Callable[..., Any]]]:
        """One kernel of the whole program where that is possible, else of the updates between gradients, else nothing."""
        modes = [Fusing.NOTHING]
        if jax.default_backend() == "cpu" and 0 < self.target.layout.dimension <= MAX_FUSED_DIMENSION:
            modes.append(Fusing.UPDATES)
            if self._is_diagonal() and not self.search_step_size and is_small_and_smooth(self.target):
                modes.append(Fusing.WHOLE)
        return [_in_mode(mode) for mode in reversed(modes)]

    def _is_diagonal(self) -> bool:
        return all(len(shape) == 1 for shape in self.warmup.block_shapes)

    # Public states

    def public_state(self, carry: Chain) -> HMCState:
        """The public state of a traced carry."""
        return self._assemble(carry, self.target.layout.unravel)

    def finish(self, position: Array, inputs: Inputs) -> Any:
        """What the user gets of a draw: constrained values and deterministic sites."""
        return inputs.target.constrain(position)

    def public_state_host(self, carry: Chain) -> HMCState:
        """The public state of a carry of NumPy arrays, which may have a leading chain axis."""
        return self._assemble(carry, self.target.layout.unravel_host)

    def _assemble(self, carry: Chain, unravel: Callable[[Any], PyTree]) -> HMCState:
        adapt = carry.warmup
        return HMCState(
            i=carry.i,
            z=unravel(carry.state.position),
            z_grad=unravel(carry.state.gradient),
            potential_energy=carry.state.potential_energy,
            energy=carry.info.energy,
            r=None,
            trajectory_length=carry.info.trajectory_length,
            num_steps=carry.info.num_steps,
            accept_prob=carry.info.accept_prob,
            mean_accept_prob=carry.mean_accept_prob,
            diverging=carry.info.diverging,
            adapt_state=HMCAdaptState(
                step_size=adapt.step_size,
                inverse_mass_matrix=self._name_blocks(adapt.metric.inverse),
                mass_matrix_sqrt=self._name_blocks(adapt.metric.root),
                mass_matrix_sqrt_inv=self._name_blocks(adapt.metric.root_inverse),
                ss_state=adapt.averaging,
                mm_state=adapt.covariance,
                window_idx=adapt.window,
                rng_key=carry.rng_key,
            ),
            rng_key=carry.rng_key,
        )

    def _name_blocks(self, blocks: tuple[Any, ...]) -> Any:
        if self.block_names is None:
            return blocks[0]
        return dict(zip(self.block_names, blocks))

    def _blocks(self, named: Any) -> tuple[Any, ...]:
        if self.block_names is None:
            return (named,)
        return tuple(named[names] for names in self.block_names)

    def carry_of(self, state: HMCState, ravel: Callable[[PyTree], Array]) -> Chain:
        """The carry of a public state; `ravel` makes positions of unconstrained values."""
        adapt = state.adapt_state
        position = ravel(state.z)
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
                is_nan=np.zeros(np.shape(state.i), bool),
            ),
            warmup=WarmupState(
                step_size=adapt.step_size,
                metric=Metric(
                    inverse=self._blocks(adapt.inverse_mass_matrix),
                    root=self._blocks(adapt.mass_matrix_sqrt),
                    root_inverse=self._blocks(adapt.mass_matrix_sqrt_inv),
                ),
                averaging=DualAveragingState(*adapt.ss_state),
                covariance=WelfordState(*adapt.mm_state),
                window=adapt.window_idx,
            ),
            mean_accept_prob=state.mean_accept_prob,
            nan_position=np.zeros(np.shape(position), self.target.layout.dtype),
            has_nan=np.zeros(np.shape(state.i), bool),
        )


def _in_mode(mode: Fusing) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Build a program with this choice of what is fused."""

    def wrap(fn: Callable[..., Any]) -> Callable[..., Any]:
        def traced(*args: Any) -> Any:
            with fusing(mode):
                return whole_program(fn)(*args)

        return traced

    return wrap
