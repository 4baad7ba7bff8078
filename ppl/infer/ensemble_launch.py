"""An ensemble kernel bound to arguments and ready to run: one carry holds all chains."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ppl import _random as random
from ppl._typing import Array, Key, PyTree
from ppl.infer.binding import Binding
from ppl.infer.ensemble_process import Ensemble, EnsembleProcess, EnsembleSamplerState, EnsembleStart
from ppl.infer.launch import is_traced
from ppl.infer.run.programs import Programs
from ppl.infer.target_launch import TargetLaunch
from ppl.infer.target_process import Inputs

__all__ = ["EnsembleLaunch"]


class EnsembleLaunch:
    """An ensemble of walkers on a target.

    Args:
        kernel: the kernel.
        binding: what it is bound to.
        process: what the run executes.
        inputs: arrays that all chains share.
        given: start positions `(n, d)` and whether coordinates are missing; or None.
        num_chains: the number n of walkers.
    """

    sample_field = "z"

    def __init__(
        self,
        kernel: Any,
        binding: Binding,
        process: Any,
        inputs: Inputs,
        given: tuple[Any, bool] | None,
        num_chains: int,
    ) -> None:
        self.kernel = kernel
        self.binding = binding
        self.process: EnsembleProcess = process
        self.inputs = inputs
        self.num_chains = num_chains
        self.positions: Any = None if given is None else given[0]
        self.is_partial = given is not None and given[1]
        self.on_target = TargetLaunch(binding, process, inputs, None)
        self.deterministic = self.on_target.deterministic
        self.programs: Programs = self.on_target.programs

    # Carries

    def _start(self, keys: Key, inputs: Inputs, positions: Array | None) -> EnsembleStart:
        return self.process.start(keys, self.num_chains, inputs, positions, self.is_partial)

    def _start_name(self, keys: Key) -> tuple[Any, ...]:
        given = (self.positions is None, self.is_partial)
        return ("start", self.num_chains, *given, np.shape(keys), str(keys.dtype))

    def prepare(self, keys: Key) -> Ensemble:
        """Begin to compile the start."""
        arguments = keys, self.inputs, self.positions
        name = self._start_name(keys)
        return self.programs.prepare(name, self._start, arguments, lambda: self.process.start_wrappers, runs_once=True).ensemble

    def start(self, keys: Key, num_chains: int) -> list[Ensemble]:
        """Start all walkers at once.

        Raises:
            RuntimeError: if a walker has no finite density, with the reason.
            ValueError: if the walkers can never leave a subspace.
        """
        if is_traced(keys, self.inputs, self.positions):
            return [self._start(keys, self.inputs, self.positions).ensemble]
        self.prepare(keys)
        started = self.programs.get(self._start_name(keys))(keys, self.inputs, self.positions)
        self.kernel.check_start(self.binding, self.inputs.target, started, self.positions is not None)
        return [started.ensemble]

    def public(self, carry: Ensemble) -> EnsembleSamplerState:
        """The public state; outside a trace of NumPy arrays, for which nothing is compiled."""
        if is_traced(carry):
            return self.process.public_state(carry)
        return self.process.public_state_host(jax.tree.map(np.asarray, carry))

    def carry_of(self, state: EnsembleSamplerState, before: Any = None) -> Ensemble:
        """The carry of a public state; counts of iterations start anew.

        Raises:
            ValueError: if the state has another number of walkers.
        """
        layout = self.binding.target.layout
        inner_state = self.kernel.restart(state.inner_state)
        state = state._replace(inner_state=inner_state, rng_key=random.words(jnp.asarray(state.rng_key)))
        if is_traced(state, self.inputs):
            return self.process.rebase(self.process.continued(state), self.inputs.target)
        position = layout.ravel_host(jax.tree.map(np.asarray, state.z), (self.num_chains,))
        name = ("resume", self.num_chains)
        self.programs.prepare(name, self._resume, (state.rng_key, position, inner_state, self.inputs), runs_once=True)
        return self.programs.get(name)(state.rng_key, position, inner_state, self.inputs)

    def _resume(self, rng_key: Key, position: Array, inner_state: Any, inputs: Inputs) -> Ensemble:
        return self.process.rebase(self.process.at(rng_key, position, inner_state), inputs.target)

    def with_key(self, carry: Ensemble, keys: Key, chain: int) -> Ensemble:
        """A carry with the key of the run: of an array of keys, the first."""
        words = random.words(keys)
        return carry._replace(rng_key=words[0] if words.ndim == 2 else words)

    # Draws

    def finish(self, row: Array, inputs: Inputs) -> PyTree:
        """Constrained values and deterministic sites of a position."""
        return self.process.finish(row, inputs)

    def unravel(self, rows: Any) -> PyTree:
        """Positions as the user's pytree."""
        return self.process.unravel(rows, host=not is_traced(rows))

    def expand(self, rows: dict[str, Any]) -> dict[str, Any]:
        """The statistics by name."""
        return self.process.expand(rows)

    def discrete(self, samples: dict[str, Any]) -> dict[str, Any]:
        """Draws of the sites that were summed out, for draws `(c, n, ...)` of the others."""
        return self.on_target.discrete(samples)

    def problems(self, carries: list[Ensemble]) -> list[str]:
        """Where, after warm-up, an energy was not a number, and why."""
        return self.on_target.problems(carries)
