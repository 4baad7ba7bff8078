"""Faults to be planted in Gibbs sampling, MixedHMC and HMCECS, each wrong in one way that people have got wrong."""

from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import jax.numpy as jnp
import pytest
from jax import lax

from ppl import _random as random
from ppl._typing import Array, Key
from ppl.infer import gibbs_process, hmcecs, mixed_hmc
from ppl.infer.algorithms.discrete import Choice, DiscreteProposal
from ppl.infer.algorithms.metric import momentum_of
from ppl.infer.algorithms.mixed import MixedHMC, Walk
from ppl.infer.gibbs_process import GibbsProcess
from ppl.infer.target import conditional, dependence, subsampled
from ppl.infer.target.subsampled import EstimatedTarget, Expansion

Plant = Callable[[pytest.MonkeyPatch], None]

# Proposals of discrete states


class WithoutReverse(DiscreteProposal):
    """What is never the state at hand is accepted always."""

    def propose(self, uniforms: Array, log_weights: Array, current: Array) -> Choice:
        choice = super().propose(uniforms, log_weights, current)
        return choice._replace(energy_change=jnp.zeros_like(choice.energy_change))


class ReverseSwapped(DiscreteProposal):
    """(1 - p(new)) / (1 - p(old)), upside down."""

    def propose(self, uniforms: Array, log_weights: Array, current: Array) -> Choice:
        choice = super().propose(uniforms, log_weights, current)
        return choice._replace(energy_change=-choice.energy_change)


class WithoutProposal(DiscreteProposal):
    """The change of energy alone, as if states were proposed uniformly."""

    def propose(self, uniforms: Array, log_weights: Array, current: Array) -> Choice:
        choice = super().propose(uniforms, log_weights, current)
        old, new = (jnp.take_along_axis(log_weights, state[None], axis=0)[0] for state in (current, choice.state))
        return choice._replace(energy_change=old - new)


class UniformIsExact(DiscreteProposal):
    """A uniform proposal that is never refused."""

    def propose(self, uniforms: Array, log_weights: Array, current: Array) -> Choice:
        choice = super().propose(uniforms, log_weights, current)
        return choice._replace(energy_change=jnp.where(jnp.isinf(choice.energy_change), jnp.inf, 0.0))


# The run of the blocks


def without_rebase(patch: pytest.MonkeyPatch) -> None:
    """A chain goes on with the energy and the gradient that it had before the other blocks moved."""

    def advance(self: GibbsProcess, block: Any, chain: Any, inputs: Any, point: Any) -> Any:
        return block.process.step(chain, inputs._replace(target=self._conditional(block, inputs.target, point)))

    patch.setattr(GibbsProcess, "_advance", advance)


def with_old_values(patch: pytest.MonkeyPatch) -> None:
    """All blocks are updated given the values of before the iteration."""
    right = GibbsProcess.step

    def step(self: GibbsProcess, carry: Any, inputs: Any) -> Any:
        moved = right(self, carry, inputs)
        inner = replace(self, blocks=self.chain_blocks)
        return moved._replace(chains=right(inner, carry._replace(rng_key=moved.rng_key, told=()), inputs).chains)

    patch.setattr(GibbsProcess, "step", step)


def one_key_for_all(patch: pytest.MonkeyPatch) -> None:
    """Every block of an iteration gets the same key."""
    right = random.draw

    def draw(key: Key, dtype: Any, *, keys: int = 0, **counts: Any) -> Any:
        draws = right(key, dtype, keys=keys, **counts)
        return draws._replace(keys=draws.keys[:1] + draws.keys[1:2] * (keys - 1))

    planted = SimpleNamespace(draw=draw, words=random.words, typed=random.typed, fold_in=random.fold_in)
    patch.setattr(gibbs_process, "random", planted)


def support_too_small(patch: pytest.MonkeyPatch) -> None:
    """The last state of every support is left out."""
    right = conditional.count_states

    def count(*args: Any) -> dict[str, int]:
        return {name: number - 1 for name, number in right(*args).items()}

    patch.setattr(conditional, "count_states", count)


def support_from_zero(patch: pytest.MonkeyPatch) -> None:
    """Every support begins at zero."""
    right = conditional._states_of

    def states_of(site: Any, num_states: int) -> Array:
        states = right(site, num_states)
        return states - jnp.min(states, axis=0)

    patch.setattr(conditional, "_states_of", states_of)


def coupled_at_a_time(patch: pytest.MonkeyPatch) -> None:
    """What is cut and put together again counts as unmoved, so that coupled elements are updated at a time."""

    def unmoved(equation: Any, inputs: Any) -> Any:
        return dependence._common(inputs)

    for name in ("slice", "concatenate"):
        patch.setitem(dependence.RULES, name, unmoved)
    patch.setattr(dependence, "_within", lambda kept, *_: dict(kept))


# Mixed trajectories


class WithoutChange(MixedHMC):
    """The changes of potential energy by discrete moves enter the Metropolis test."""

    def _accept(self, uniform: Array, begin: Walk, end: Walk, *rest: Any) -> Any:
        return super()._accept(uniform, begin, end._replace(change=jnp.zeros_like(end.change)), *rest)


class WithoutLastStretch(MixedHMC):
    """The trajectory ends with the last visit."""

    def _next_stretch(self, walk: Walk, speed: Array, end_of_clock: Array, params: Any) -> Walk:
        ahead = super()._next_stretch(walk, speed, end_of_clock, params)
        return ahead._replace(steps_left=jnp.where(ahead.clock < end_of_clock, ahead.steps_left, 0))


class KineticNotPaid(MixedHMC):
    """A discrete variable keeps its kinetic energy when its state has changed."""

    def _move(self, uniforms: Array, visiting: Array, walk: Walk, *rest: Any) -> Walk:
        return super()._move(uniforms, visiting, walk, *rest)._replace(kinetic=walk.kinetic)


class GradientNotRefreshed(MixedHMC):
    """The gradient after an accepted change is that of before."""

    def _move(self, uniforms: Array, visiting: Array, walk: Walk, *rest: Any) -> Walk:
        moved = super()._move(uniforms, visiting, walk, *rest)
        return moved._replace(state=moved.state._replace(gradient=lax.select(visiting, walk.state.gradient, moved.state.gradient)))


class KeepsDiscrete(MixedHMC):
    """When a trajectory is refused, the discrete variables stay where it ended."""

    def _accept(self, uniform: Array, begin: Walk, end: Walk, *rest: Any) -> Any:
        state, _, info = super()._accept(uniform, begin, end, *rest)
        return state, end.values, info


class FreshMomentum(MixedHMC):
    """The momentum is drawn anew at every visit."""

    def _move(self, uniforms: Array, visiting: Array, walk: Walk, discrete: Any, params: Any) -> Walk:
        moved = super()._move(uniforms, visiting, walk, discrete, params)
        key = random.fold_in(lax.bitcast_convert_type(uniforms[:2], jnp.uint32), walk.visits)
        fresh = momentum_of(params.metric, random.draw(key, uniforms.dtype, normals=walk.momentum.size).normals)
        return moved._replace(momentum=lax.select(visiting, fresh, moved.momentum))


class AlwaysPaid(MixedHMC):
    """Discrete moves are accepted whatever their kinetic energy."""

    def _move(self, uniforms: Array, visiting: Array, walk: Walk, *rest: Any) -> Walk:
        return super()._move(uniforms, visiting, walk._replace(kinetic=jnp.full_like(walk.kinetic, jnp.inf)), *rest)


MIXED: dict[str, type[MixedHMC]] = {
    "change of energy left out": WithoutChange,
    "no last stretch": WithoutLastStretch,
    "kinetic energy not paid": KineticNotPaid,
    "gradient not refreshed": GradientNotRefreshed,
    "discrete values not restored": KeepsDiscrete,
    "fresh momentum at visits": FreshMomentum,
    "moves always paid": AlwaysPaid,
}


def plant_mixed(patch: pytest.MonkeyPatch, name: str) -> None:
    """Let MixedHMC run another transition."""
    patch.setattr(mixed_hmc, "MixedTransition", MIXED[name])


# Estimated log likelihoods


def _without_variance(patch: pytest.MonkeyPatch) -> None:
    right = EstimatedTarget.estimate

    def estimate(self: EstimatedTarget, position: Array) -> Any:
        found = right(self, position)
        return found._replace(energy=found.energy - 0.5 * found.variance)

    patch.setattr(EstimatedTarget, "estimate", estimate)


def _without_total(patch: pytest.MonkeyPatch) -> None:
    right = Expansion.total
    patch.setattr(Expansion, "total", lambda self, position: 0.0 * right(self, position))


def _constant_total(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Expansion, "total", lambda self, position: self.value)


def _without_ratio(patch: pytest.MonkeyPatch) -> None:
    """The differences are summed over the subsample, without n / m."""
    right = subsampled.log_likelihoods

    def scaled(sites: Any, plates: Any) -> Any:
        return {name: values * plates[name].num_indices / plates[name].size for name, values in right(sites, plates).items()}

    patch.setattr(subsampled, "log_likelihoods", scaled)


def only_first_block(patch: pytest.MonkeyPatch) -> None:
    """The other blocks keep their indices for ever; what is drawn has the right law."""
    right = hmcecs.with_fresh_block

    def propose(key: Key, uniform: Array, *rest: Any) -> Array:
        return right(key, 0.0 * uniform, *rest)

    patch.setattr(hmcecs, "with_fresh_block", propose)


def _with_uniforms(patch: pytest.MonkeyPatch, of_test: Callable[[Array], Array]) -> None:
    """Numbers for the choice of the blocks, and for the Metropolis tests as a function of them."""
    right = random.draw

    def draw(key: Key, dtype: Any, **counts: int) -> Any:
        draws = right(key, dtype, **counts)
        of_block = draws.uniforms[: counts["uniforms"] // 2]
        return draws._replace(uniforms=jnp.concatenate([of_block, of_test(of_block)]))

    patch.setattr(hmcecs, "random", SimpleNamespace(draw=draw, typed=random.typed))


def _always(patch: pytest.MonkeyPatch) -> None:
    _with_uniforms(patch, lambda uniforms: uniforms - 1.0)


def _one_number_for_block_and_test(patch: pytest.MonkeyPatch) -> None:
    _with_uniforms(patch, lambda uniforms: uniforms)


def _without_replacement(patch: pytest.MonkeyPatch) -> None:
    """A proposal with an index that stands there already is given up."""
    right = hmcecs.with_fresh_block

    def propose(key: Key, uniform: Array, num_blocks: int, size: int, indices: Array) -> Array:
        fresh = right(key, uniform, num_blocks, size, indices)
        return jnp.where(jnp.unique(fresh, size=len(fresh), fill_value=-1)[-1] < 0, indices, fresh)

    patch.setattr(hmcecs, "with_fresh_block", propose)


ESTIMATES: dict[str, Plant] = {
    "half of the variance left out": _without_variance,
    "sum of the proxy left out": _without_total,
    "sum of the proxy constant": _constant_total,
    "ratio left out": _without_ratio,
    "indices accepted always": _always,
    "indices without replacement": _without_replacement,
    "one number for block and test": _one_number_for_block_and_test,
}
