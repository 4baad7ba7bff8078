"""Mixed Hamiltonian Monte Carlo, which moves continuous and discrete sites along one trajectory."""

from dataclasses import dataclass, replace
from functools import partial
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import lax

from ppl import _random as random
from ppl._typing import Array
from ppl.infer.algorithms.discrete import DiscreteProposal
from ppl.infer.algorithms.fused import fused_target
from ppl.infer.algorithms.mixed import MixedHMC as MixedTransition
from ppl.infer.algorithms.mixed import Move
from ppl.infer.arguments import check_count
from ppl.infer.binding import Binding
from ppl.infer.gibbs import DiscreteBlocks
from ppl.infer.gibbs_process import ChainBlock, GibbsChain, GibbsProcess
from ppl.infer.hmc import HMC, NUTS
from ppl.infer.target.conditional import Conditional, Point
from ppl.infer.target.density import Target
from ppl.infer.target.gradient import pack
from ppl.infer.target_process import Inputs
from ppl.util import describe

__all__ = ["MixedHMC", "MixedHMCState"]


class MixedHMCState(NamedTuple):
    """The state of MixedHMC.

    Attributes:
        z: values of all latent sites: as they are of discrete ones, unconstrained of the others.
        hmc_state: the state of the inner kernel, with the momentum `r` at the end of the trajectory.
        rng_key: key for the iterations to come.
        accept_prob: acceptance probability of the last trajectory.
    """

    z: Any
    hmc_state: Any
    rng_key: Any
    accept_prob: Any


class _Form:
    """The public state."""

    def state(self, z: dict[str, Any], block_states: tuple[Any, ...], rng_key: Any) -> MixedHMCState:
        return MixedHMCState(z, block_states[1], rng_key, block_states[1].accept_prob)

    def block_states(self, state: MixedHMCState) -> tuple[Any, ...]:
        return None, state.hmc_state


@dataclass(frozen=True, eq=False)
class _Elements:
    """The elements of discrete sites, one after another, as a trajectory visits them."""

    conditionals: tuple[Conditional, ...]
    supports: tuple[Array, ...]
    proposal: DiscreteProposal
    joint: Target

    @property
    def count(self) -> int:
        return sum(conditional.rows * conditional.columns for conditional in self.conditionals)

    def target(self, values: dict[str, Array]) -> Any:
        return fused_target(replace(self.joint, fixed=values), pack)

    def propose(self, uniform: Array, number: Array, position: Array, values: dict[str, Array]) -> Move:
        sizes = [conditional.rows * conditional.columns for conditional in self.conditionals]
        starts = np.cumsum([0, *sizes])
        branches = [
            partial(self._propose_for, place, uniform, number - int(starts[place]), Point(position, values))
            for place in range(len(sizes))
        ]
        if not branches:
            return Move(values, jnp.zeros((), position.dtype))
        if len(branches) == 1:
            return branches[0]()
        return lax.switch(jnp.searchsorted(starts[1:], number, side="right"), branches)

    def _propose_for(self, place: int, uniform: Array, number: Array, point: Point) -> Move:
        conditional, support = self.conditionals[place], self.supports[place]
        row, column = number // conditional.columns, number % conditional.columns
        element = conditional.element(self.joint, point, row, support)
        weights = lax.dynamic_slice_in_dim(element.log_weights, column, 1, axis=1)
        current = lax.dynamic_slice_in_dim(element.current, column, 1)
        choice = self.proposal.propose(uniform, weights, current)
        states = lax.dynamic_update_slice_in_dim(element.current, choice.state, column, axis=0)
        return Move(conditional.with_states(point, row, support, states).values, choice.energy_change[0])


@dataclass(frozen=True, eq=False)
class MixedProcess(GibbsProcess):
    """One chain of mixed Hamiltonian Monte Carlo: the blocks are the discrete sites, and the chain of the others."""

    kernel: MixedTransition

    def step(self, carry: GibbsChain, inputs: Inputs) -> GibbsChain:
        """One trajectory of all sites, and what warm-up learns from it."""
        (update,), (block,), (chain,) = self.updates, self.chain_blocks, carry.chains
        process: Any = block.process
        point = Point(self.position_of(carry), carry.values)
        conditionals = update.conditionals  # type: ignore[attr-defined]
        supports = tuple(conditional.support(inputs.target, point) for conditional in conditionals)
        elements = _Elements(conditionals, supports, update.proposal, inputs.target)  # type: ignore[attr-defined]
        draws = random.draw(carry.rng_key, self.target.layout.dtype, keys=3)
        params = process.warmup.params(chain.i, chain.warmup, inputs.schedule)
        state, values, info = self.kernel.step(draws.keys[1], chain.state, carry.values, elements, params)
        moved = chain.after(chain.rng_key, state, info, inputs.schedule)
        conditional = inputs._replace(target=elements.target(values))
        moved = process.adapted(chain, moved, conditional, draws.keys[2])
        told = (info.accept_prob[None],)
        return carry._replace(rng_key=draws.keys[0], i=carry.i + 1, values=values, chains=(moved,), told=told)


class MixedHMC(DiscreteBlocks):
    """Mixed Hamiltonian Monte Carlo: discrete sites are updated along the trajectories of the continuous ones.

    All discrete latent sites that are not marked for enumeration (`infer={"enumerate": "parallel"}`) are updated.

    Args:
        inner_kernel: HMC, built from the model.
        num_discrete_updates: the mean number of updates of single discrete elements along a trajectory; default: as many as there
            are elements.
        random_walk: propose a state uniformly from the support, instead of from the full conditional distribution.
        modified: never propose the state at hand.

    Raises:
        ValueError: if the inner kernel is not HMC, or an argument does not fit; in a run, if there is no discrete site, or one
            without a finite support.

    Source: Zhou (2020), "Mixed Hamiltonian Monte Carlo for mixed discrete and continuous variables", NeurIPS 33, Algorithm 1.

    Example:
        >>> import jax.numpy as jnp
        >>> import ppl
        >>> import ppl.distributions as dist
        >>> from jax import random
        >>> from ppl.infer import HMC, MCMC, MixedHMC
        >>> def model():
        ...     k = ppl.sample("k", dist.Categorical(jnp.array([0.2, 0.8])))
        ...     ppl.sample("x", dist.Normal(jnp.array([-1.0, 1.0])[k], 0.5))
        >>> kernel = MixedHMC(HMC(model, trajectory_length=1.2), num_discrete_updates=10)
        >>> mcmc = MCMC(kernel, num_warmup=50, num_samples=50, progress_bar=False)
        >>> mcmc.run(random.key(0))
        >>> mcmc.get_samples()["k"].shape
        (50,)
    """

    def __init__(
        self, inner_kernel: HMC, *, num_discrete_updates: int | None = None, random_walk: bool = False, modified: bool = False
    ) -> None:
        if not isinstance(inner_kernel, HMC) or isinstance(inner_kernel, NUTS):
            raise ValueError(
                f"MixedHMC: inner_kernel must be HMC, whose trajectories have a given length; found {describe(inner_kernel)}; with "
                "NUTS use DiscreteHMCGibbs"
            )
        if num_discrete_updates is not None:
            check_count("MixedHMC", "num_discrete_updates", num_discrete_updates)
        super().__init__(inner_kernel, random_walk=random_walk, modified=modified)
        self._num_discrete_updates = num_discrete_updates

    def _form(self) -> Any:
        return _Form()

    def _new_process(self, binding: Binding, fields: tuple[str, ...]) -> Any:
        process = super()._new_process(binding, fields)
        inner: Any = process.chain_blocks[0].process
        (update,) = process.updates
        count = sum(conditional.rows * conditional.columns for conditional in update.conditionals)
        kernel = MixedTransition(
            num_discrete_updates=self._num_discrete_updates or max(count, 1),
            num_steps=inner.kernel.num_steps,
            trajectory_length=inner.kernel.trajectory_length,
            kinetic=inner.kernel.kinetic,
        )
        blocks = tuple(
            replace(block, process=replace(inner, tells_momentum=True)) if isinstance(block, ChainBlock) else block
            for block in process.blocks
        )
        return MixedProcess(process.target, blocks, process.propose, process.fields, process.form, kernel)
