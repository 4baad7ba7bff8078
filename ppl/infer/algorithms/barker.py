"""Metropolis with Barker's proposal: a step whose direction, coordinate by coordinate, follows the gradient with a probability.

In coordinates w with q = A w, M^-1 = A A', and c = A' grad log pi, noise z ~ N(0, eps^2 I) gets signs b, b_i = 1 with probability
1 / (1 + exp(-z_i c_i)), and q' = q + A (b z). Unlike a Langevin step it is no longer for a steeper gradient, so that a step size
that is far too large costs acceptance, but does not make the chain explode.

Source: Livingstone, Zanella (2022), "The Barker proposal: combining robustness and efficiency in gradient-based MCMC", JRSS B 84,
algorithms 1 and 2, section 3.
"""

from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from ppl import _random as random
from ppl._typing import Array, Key
from ppl.infer.algorithms.fused import call_fused
from ppl.infer.algorithms.metric import from_whitened, to_whitened_gradient
from ppl.infer.algorithms.protocols import HamiltonianParams, HamiltonianState, Target, tree_select
from ppl.infer.algorithms.trajectory import init_state, is_unexplained

__all__ = ["Barker", "BarkerInfo", "Proposal"]


class Proposal(NamedTuple):
    """A proposal.

    Attributes:
        position: where the gradient is wanted, `(d,)`.
        move: w, the step in whitened coordinates, `(d,)`.
        log_forward: the logarithm of the density of the step, without the factor that is the same for the way back.
        uniform: for the Metropolis test.
    """

    position: Array
    move: Array
    log_forward: Array
    uniform: Array


class BarkerInfo(NamedTuple):
    """What people look at after a step.

    Attributes:
        accept_prob: Metropolis acceptance probability.
        last_position: the proposal `(d,)`; when `is_nan`, the place that is to blame.
        is_nan: whether the energy or its gradient was not a number there.
    """

    accept_prob: Array
    last_position: Array
    is_nan: Array


@dataclass(frozen=True)
class Barker:
    """Metropolis with Barker's proposal."""

    def init(self, key: Key, target: Target, position: Array) -> HamiltonianState:
        """The state at a position: one gradient."""
        return init_state(target, position)

    def rebase(self, state: HamiltonianState, target: Target) -> HamiltonianState:
        """The same position under another target."""
        return init_state(target, state.position)

    def step(
        self, key: Key, state: HamiltonianState, target: Target, params: HamiltonianParams
    ) -> tuple[HamiltonianState, BarkerInfo]:
        """One proposal, its gradient, and the Metropolis test."""
        proposal = call_fused(self.propose, key, state, params)
        potential_energy, gradient = target.value_and_gradient(proposal.position)
        return call_fused(self.decide, state, proposal, potential_energy, gradient, params)

    def propose(self, key: Key, state: HamiltonianState, params: HamiltonianParams) -> Proposal:
        """Noise, with signs that favour the way up."""
        size = state.position.size
        draws = random.draw(key, state.position.dtype, uniforms=size + 1, normals=size)
        noise = params.step_size * draws.normals
        slope = self._slope(state.gradient, params)
        goes_along = draws.uniforms[1:] < lax.logistic(noise * slope)
        move = lax.select(goes_along, noise, -noise)
        return Proposal(
            position=state.position + from_whitened(params.metric, move),
            move=move,
            log_forward=_log_density(move, slope),
            uniform=draws.uniforms[0],
        )

    def decide(
        self, state: HamiltonianState, proposal: Proposal, potential_energy: Array, gradient: Array, params: HamiltonianParams
    ) -> tuple[HamiltonianState, BarkerInfo]:
        """Accept with probability min(1, pi(q') q(q', q) / (pi(q) q(q, q'))); what is not finite is refused."""
        log_back = _log_density(-proposal.move, self._slope(gradient, params))
        log_ratio = state.potential_energy - potential_energy + log_back - proposal.log_forward
        accept_prob = jnp.exp(jnp.minimum(lax.select(lax.is_finite(log_ratio), log_ratio, jnp.full_like(log_ratio, -jnp.inf)), 0.0))
        end = HamiltonianState(position=proposal.position, potential_energy=potential_energy, gradient=gradient)
        info = BarkerInfo(
            accept_prob=accept_prob,
            last_position=proposal.position,
            is_nan=is_unexplained(log_ratio, potential_energy, state.potential_energy),
        )
        return tree_select(proposal.uniform < accept_prob, end, state), info

    def _slope(self, gradient: Array, params: HamiltonianParams) -> Array:
        """The gradient of the log density in whitened coordinates."""
        return -to_whitened_gradient(params.metric, gradient)


def _log_density(move: Array, slope: Array) -> Array:
    """The sum of log 1 / (1 + exp(-w_i c_i))."""
    return -jnp.sum(jax.nn.softplus(-move * slope))
