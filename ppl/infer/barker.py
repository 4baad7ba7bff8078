"""Metropolis with Barker's proposal as a kernel of MCMC."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import lax

from ppl import _random as random
from ppl._typing import Array, Key, PyTree
from ppl.infer.adaptation.warmup import Schedule, Signal, StepSizeRule, Warmup, WarmupState
from ppl.infer.algorithms.barker import Barker, BarkerInfo, Proposal
from ppl.infer.algorithms.fused import Fusing, call_fused
from ppl.infer.algorithms.metric import identity_metric
from ppl.infer.algorithms.protocols import HamiltonianParams, HamiltonianState
from ppl.infer.arguments import check_flag, check_number
from ppl.infer.binding import Binding
from ppl.infer.facade import TargetKernel
from ppl.infer.hamiltonian import Chain, adaptation_of, public_adaptation
from ppl.infer.initialization import init_to_uniform
from ppl.infer.target.gradient import GradientTarget
from ppl.infer.target.start import Start
from ppl.infer.target_process import Inputs, TargetProcess, fusing_modes
from ppl.util import not_jax_tracer

__all__ = ["BarkerMH", "BarkerMHState"]

LOW_ACCEPTANCE = 0.1

# The acceptance probability of one proposal is 0 or 1 more often than in between, whatever the step size
STEP_SIZE_RULE = StepSizeRule(gamma=0.25, pull=1.0, power=1.0, caution=0.0, kept=0.1)


class BarkerMHState(NamedTuple):
    """The state of `BarkerMH`.

    Attributes:
        i: iteration; counts on through warm-up.
        z: unconstrained values.
        potential_energy: minus the log density at `z`.
        z_grad: gradient of the potential energy at `z`.
        accept_prob: acceptance probability of the last iteration.
        mean_accept_prob: mean of those so far, restarted after warm-up.
        adapt_state: `ppl.infer.hmc.HMCAdaptState`; its inverse mass matrix is the covariance of proposals of step size 1, a vector
            `(d,)` or a matrix `(d, d)` over the sorted sites.
        rng_key: key for the iterations to come.
    """

    i: Any
    z: Any
    potential_energy: Any
    z_grad: Any
    accept_prob: Any
    mean_accept_prob: Any
    adapt_state: Any
    rng_key: Any


class StartPoint(NamedTuple):
    """Where a chain starts: a key, the state, whether it is valid, and the step size, where that is not a constant."""

    key: Key
    state: HamiltonianState
    is_valid: Array
    step_size: Array | None


class Opening(NamedTuple):
    """The beginning of an iteration: the key of the next one, parameters, and a proposal."""

    rng_key: Key
    params: HamiltonianParams
    proposal: Proposal


@dataclass(frozen=True, eq=False)
class BarkerProcess(TargetProcess):
    """One chain with windowed warm-up.

    Attributes:
        kernel: the transition.
        warmup: the adaptation.
        initial_step_size: where adaptation starts.
    """

    statistic_names: ClassVar[tuple[str, ...]] = ("accept_prob",)
    kernel: Barker
    warmup: Warmup
    initial_step_size: Any

    def begin(self, key: Key, inputs: Inputs, start: Start) -> StartPoint:
        """Add the step size, where it is traced."""
        is_constant = not_jax_tracer(self.initial_step_size)
        return StartPoint(
            key=key,
            state=HamiltonianState(position=start.position, potential_energy=start.potential_energy, gradient=start.gradient),
            is_valid=start.is_valid,
            step_size=None if is_constant else jnp.asarray(self.initial_step_size, start.position.dtype),
        )

    def chain_at(self, point: StartPoint) -> Chain:
        """The carry before the first iteration. What is constant is NumPy's: outside a trace nothing is compiled for it."""
        dtype = np.dtype(self.target.layout.dtype)
        step_size: Any = np.asarray(self.initial_step_size, dtype) if point.step_size is None else point.step_size
        zero: Any = np.zeros((), dtype)
        count: Any = np.zeros((), np.int32)
        false: Any = np.zeros((), bool)
        nowhere: Any = np.zeros(np.shape(point.state.position), dtype)
        return Chain(
            rng_key=point.key,
            i=count,
            state=point.state,
            info=BarkerInfo(accept_prob=zero, last_position=point.state.position, is_nan=false),
            warmup=self.warmup.init(step_size, identity_metric(self.warmup.block_shapes, dtype)),
            mean_accept_prob=zero,
            nan_position=nowhere,
            has_nan=false,
        )

    def step(self, carry: Chain, inputs: Inputs) -> Chain:
        """One proposal, and what warm-up learns from it."""
        opening = call_fused(self._open, carry.rng_key, carry.i, carry.state, carry.warmup, inputs.schedule)
        potential_energy, gradient = inputs.target.value_and_gradient(opening.proposal.position)
        chain = call_fused(self._close, carry, opening, potential_energy, gradient, inputs.schedule)
        if not self.warmup.is_adaptive:
            return chain

        def adapt() -> WarmupState:
            signal = Signal(position=chain.state.position, accept_prob=chain.info.accept_prob)
            update = (carry.i, signal, carry.warmup, inputs.schedule)
            return call_fused(self._learn, *update) if self._is_diagonal() else self._learn(*update)

        return chain._replace(warmup=lax.cond(opening.params.warming_up, adapt, lambda: carry.warmup))

    def _open(self, key: Key, i: Array, state: HamiltonianState, warmup: WarmupState, schedule: Schedule) -> Opening:
        k_next, k_propose = random.draw(key, state.position.dtype, keys=2).keys
        params = self.warmup.params(i, warmup, schedule)
        return Opening(rng_key=k_next, params=params, proposal=self.kernel.propose(k_propose, state, params))

    def _close(self, carry: Chain, opening: Opening, potential_energy: Array, gradient: Array, schedule: Schedule) -> Chain:
        state, info = self.kernel.decide(carry.state, opening.proposal, potential_energy, gradient, opening.params)
        return carry.after(opening.rng_key, state, info, schedule)

    def _learn(self, i: Array, signal: Signal, warmup: WarmupState, schedule: Schedule) -> WarmupState:
        return self.warmup.update(i, signal, warmup, schedule)

    def rebase(self, carry: Chain, target: GradientTarget) -> Chain:
        """The same position under another target: one gradient."""
        return carry._replace(state=self.kernel.rebase(carry.state, target))

    def statistics(self, carry: Chain) -> Array:
        """The acceptance probability."""
        return carry.info.accept_prob[None]

    def modes(self) -> list[Fusing]:
        """What of a program can be one kernel, from nothing to all of it."""
        return fusing_modes(self.target, allows_whole=self._is_diagonal())

    def _is_diagonal(self) -> bool:
        return all(len(shape) == 1 for shape in self.warmup.block_shapes)

    def assemble(self, carry: Chain, unravel: Callable[[Any], PyTree]) -> BarkerMHState:
        """The public state."""
        return BarkerMHState(
            i=carry.i,
            z=unravel(carry.state.position),
            potential_energy=carry.state.potential_energy,
            z_grad=unravel(carry.state.gradient),
            accept_prob=carry.info.accept_prob,
            mean_accept_prob=carry.mean_accept_prob,
            adapt_state=public_adaptation(carry.warmup, carry.rng_key, None),
            rng_key=carry.rng_key,
        )

    def carry_of(self, state: BarkerMHState, ravel: Callable[[PyTree], Array]) -> Chain:
        """The carry of a public state; `ravel` makes positions of unconstrained values."""
        position = ravel(state.z)
        nowhere: Any = np.zeros(np.shape(position), self.target.layout.dtype)
        false: Any = np.zeros(np.shape(state.i), bool)
        return Chain(
            rng_key=state.rng_key,
            i=state.i,
            state=HamiltonianState(position=position, potential_energy=state.potential_energy, gradient=ravel(state.z_grad)),
            info=BarkerInfo(accept_prob=state.accept_prob, last_position=position, is_nan=false),
            warmup=adaptation_of(state.adapt_state, None),
            mean_accept_prob=state.mean_accept_prob,
            nan_position=nowhere,
            has_nan=false,
        )

    def nan_positions(self, carry: Chain) -> np.ndarray:
        """Where an energy was first not a number after warm-up."""
        return carry.nan_positions()


class BarkerMH(TargetKernel):
    """Metropolis with Barker's proposal: one gradient for each draw, and robust to a step size that is far too large.

    In whitened coordinates, each coordinate of a normal step gets the sign that leads up the log density with probability
    1 / (1 + exp(-z_i c_i)), z_i the step and c_i the slope. It mixes more slowly than NUTS, but does not lose its way where
    gradients vary wildly: light tails, rough starts.

    Args:
        model: the model; exactly one of it and `potential_fn`.
        potential_fn: the potential energy, a function of a pytree of unconstrained values; `init_params` is then needed.
        step_size: scale of the steps in whitened coordinates; where adaptation starts.
        adapt_step_size: adapt it to the target acceptance probability in warm-up.
        adapt_mass_matrix: adapt the covariance of the steps to that of the warm-up draws.
        dense_mass: whether that is a whole matrix, not its diagonal alone.
        target_accept_prob: acceptance probability that adaptation of the step size aims at; 0.4 is best in high dimension.
        init_strategy: start values; see `ppl.infer.initialization`.

    Raises:
        TypeError: if an argument is of the wrong type.
        ValueError: if an argument is out of its range, or if there are both a model and a potential function or neither.

    Source: Livingstone, Zanella (2022), JRSS B 84, algorithm 2; warm-up: Stan reference manual.

    Example:
        >>> import ppl
        >>> import ppl.distributions as dist
        >>> from jax import random
        >>> from ppl.infer import MCMC
        >>> def model():
        ...     ppl.sample("x", dist.Normal(0.0, 1.0).expand([10]).to_event(1))
        >>> mcmc = MCMC(BarkerMH(model), num_warmup=100, num_samples=100, progress_bar=False)
        >>> mcmc.run(random.key(0))
        >>> mcmc.get_samples()["x"].shape
        (100, 10)
    """

    def __init__(
        self,
        model: Callable[..., Any] | None = None,
        potential_fn: Callable[..., Any] | None = None,
        step_size: Any = 1.0,
        adapt_step_size: bool = True,
        adapt_mass_matrix: bool = True,
        dense_mass: bool = False,
        target_accept_prob: Any = 0.4,
        init_strategy: Callable[..., Any] = init_to_uniform,
    ) -> None:
        super().__init__(model, potential_fn, init_strategy)
        check_number("BarkerMH", "step_size", step_size, 0.0)
        check_number("BarkerMH", "target_accept_prob", target_accept_prob, 0.0, 1.0)
        for name, flag in (
            ("adapt_step_size", adapt_step_size),
            ("adapt_mass_matrix", adapt_mass_matrix),
            ("dense_mass", dense_mass),
        ):
            check_flag("BarkerMH", name, flag)
        self._step_size = step_size
        self._adapt_step_size = adapt_step_size
        self._adapt_mass_matrix = adapt_mass_matrix
        self._dense_mass = dense_mass
        self._target_accept_prob = target_accept_prob

    def get_diagnostics_str(self, state: BarkerMHState) -> str:
        """Step size and mean acceptance probability of a state."""
        step_size, accepted = float(np.mean(state.adapt_state.step_size)), float(np.mean(state.mean_accept_prob))
        return f"step size {step_size:.2e}. acc. prob={accepted:.2f}"

    def get_advice(self, fields: Mapping[str, Any]) -> list[str]:
        """What to do about an acceptance that is far too low."""
        accepted = float(np.min(np.mean(fields.get("accept_prob", np.ones((1, 1))), axis=-1)))
        if accepted >= LOW_ACCEPTANCE:
            return []
        return [
            f"Low acceptance: {accepted:.3f} in one chain, for a target of {self._target_accept_prob}. The step size does not fit "
            "where the chain went after warm-up: warm up longer, try dense_mass=True, or reparameterise (a hierarchical scale: "
            "non-centred)."
        ]

    def _new_process(self, binding: Binding, fields: tuple[str, ...]) -> BarkerProcess:
        size = binding.target.layout.dimension
        warmup = Warmup(
            target_accept_prob=self._target_accept_prob,
            adapt_step_size=self._adapt_step_size,
            adapt_metric=self._adapt_mass_matrix,
            regularize=True,
            block_shapes=((size, size) if self._dense_mass else (size,),),
            rule=STEP_SIZE_RULE,
        )
        return BarkerProcess(kernel=Barker(), warmup=warmup, initial_step_size=self._step_size, **self._settings(binding, fields))
