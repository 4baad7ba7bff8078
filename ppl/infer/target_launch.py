"""A kernel on a target, bound to arguments and ready to run."""

import itertools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ppl import _random as random
from ppl._typing import Array, Key, PyTree
from ppl.infer.binding import Binding
from ppl.infer.launch import NO_DISCRETE, is_traced, words_of_chain
from ppl.infer.map_draws import map_draws
from ppl.infer.run.programs import Programs
from ppl.infer.target.density import Target
from ppl.infer.target.diagnose import explain, is_impossible
from ppl.infer.target_process import Inputs, TargetProcess

__all__ = ["TargetLaunch"]


class TargetLaunch:
    """A kernel whose chains move a position on a target.

    Args:
        binding: what it is bound to.
        process: what the run executes.
        inputs: arrays that all chains share.
        given: start positions `(c, d)` and whether coordinates are missing; or None.
    """

    sample_field = "z"

    def __init__(self, binding: Binding, process: TargetProcess, inputs: Inputs, given: tuple[Any, bool] | None) -> None:
        self.binding = binding
        self.process = process
        self.deterministic = binding.deterministic
        self.inputs = inputs
        self.positions: Any = None if given is None else given[0]
        self.is_partial = given is not None and given[1]
        self.programs = binding.programs.setdefault(process.fields, Programs())

    def _start(self, keys: Key, chain: Array, inputs: Inputs, position: Array | None) -> Any:
        key = words_of_chain(keys, chain)
        if self.is_partial and position is not None:
            return self.process.start_partly_given(key, inputs, position)
        return self.process.start(key, inputs, position)

    def _start_name(self, keys: Key) -> tuple[Any, ...]:
        return ("start", jax.tree.structure(self._position(0)), self.is_partial, np.shape(keys), str(keys.dtype))

    def _position(self, chain: int) -> Any:
        return None if self.positions is None else self.positions[chain]

    def prepare(self, keys: Key) -> Any:
        """Begin to compile the start."""
        arguments = (keys, np.int32(0), self.inputs, self._position(0))
        name = self._start_name(keys)
        point = self.programs.prepare(name, self._start, arguments, lambda: self.process.start_wrappers, runs_once=True)
        return jax.eval_shape(self.process.chain_at, point)

    def start(self, keys: Key, num_chains: int) -> list[Any]:
        """Start the chains, one after another.

        Raises:
            RuntimeError: if a start has no finite density and gradient, with the reason.
        """
        if is_traced(keys, self.inputs, self.positions):
            points = [self._start(keys, jnp.int32(i), self.inputs, self._position(i)) for i in range(num_chains)]
            return [self.process.chain_at(point) for point in points]
        self.prepare(keys)
        program = self.programs.get(self._start_name(keys))
        carries = []
        for i in range(num_chains):
            point = program(keys, np.int32(i), self.inputs, self._position(i))
            if not point.is_valid:
                target, position = self.process.blame(point, self.inputs)
                self.binding.raise_invalid_start(target, position, self.positions is not None)
            carries.append(self.process.chain_at(point))
        return carries

    def public(self, carry: Any) -> Any:
        """The public state; outside a trace of NumPy arrays, for which nothing is compiled."""
        if is_traced(carry):
            return self.process.public_state(carry)
        return self.process.public_state_host(jax.tree.map(np.asarray, carry))

    def carry_of(self, state: Any, before: Any = None) -> Any:
        """The carry of a public state; the count of iterations starts anew.

        What the state knows of the density is computed again, unless it was found under the same data, those of `before`.
        """
        host = not is_traced(state)
        given = jax.tree.map(np.asarray, state) if host else state
        carry = self.process.restarted(self.process.continued(given, host))
        return carry if self._has_data_of(before) else self._rebased(carry)

    def _has_data_of(self, other: Any) -> bool:
        """Whether another launch is on the same target."""
        if not isinstance(other, TargetLaunch) or is_traced(self.inputs, other.inputs):
            return False
        mine, theirs = self.inputs.target, other.inputs.target
        structure: Any = jax.tree.structure(mine)
        if structure != jax.tree.structure(theirs):
            return False
        pairs = zip(jax.tree.leaves(mine), jax.tree.leaves(theirs))
        return all(a is b or np.array_equal(a, b, equal_nan=True) for a, b in pairs)

    def _rebased(self, carry: Any) -> Any:
        def rebase(carry: Any, inputs: Inputs) -> Any:
            return self.process.rebase(carry, inputs.target)

        is_batch = jnp.ndim(carry.rng_key) > 1
        program = jax.vmap(rebase, in_axes=(0, None)) if is_batch else rebase
        if is_traced(carry, self.inputs):
            return program(carry, self.inputs)
        name = ("rebase", np.shape(carry.rng_key))
        self.programs.prepare(name, program, (carry, self.inputs), runs_once=True)
        return self.programs.get(name)(carry, self.inputs)

    def with_key(self, carry: Any, keys: Key, chain: int) -> Any:
        """A carry with the key of a chain."""
        if is_traced(keys):
            return carry._replace(rng_key=words_of_chain(keys, jnp.int32(chain)))
        words: Any = np.asarray(random.words(keys))
        own: Any = words[chain] if words.ndim == 2 else (random.fold_in_host(words, chain) if chain else words)
        return carry._replace(rng_key=own)

    def finish(self, row: Array, inputs: Inputs) -> PyTree:
        """Constrained values and deterministic sites of a position."""
        return self.process.finish(row, inputs)

    def discrete(self, samples: dict[str, Any]) -> dict[str, Any]:
        """Draws of the sites that were summed out, for draws `(c, n, ...)` of the others.

        Raises:
            ValueError: if there are none.
        """
        model, target = self.binding.model, self.inputs.target
        if model is None or not model.facts.enumerated:
            raise ValueError(NO_DISCRETE)
        apart = [name for name, site in model.facts.apart.items() if not site.is_plate]
        given = {name: samples[name] for name in (*target.layout.names, *apart)}
        batch = np.shape(next(iter(given.values())))[:2]

        @jax.jit
        def run(target: Target, values: dict[str, Array]) -> dict[str, Array]:
            flat = jax.tree.map(lambda x: x.reshape((-1, *x.shape[2:])), values)
            return map_draws(target.discrete, flat, batch[0] * batch[1], parallel=False)

        drawn = run(target, given)
        return {name: np.asarray(x).reshape((*batch, *x.shape[1:])) for name, x in drawn.items()}

    def problems(self, carries: list[Any]) -> list[str]:
        """Where, after warm-up, an energy was not a number, and why."""
        if self.binding.model is None:
            return []
        places = itertools.chain.from_iterable(self.process.nan_places(carry, self.inputs) for carry in carries)
        return next((explain(target, position) for target, position in places if not is_impossible(target, position)), [])

    def expand(self, rows: dict[str, Any]) -> dict[str, Any]:
        """The statistics by name."""
        return self.process.expand(rows)

    def unravel(self, rows: np.ndarray) -> PyTree:
        """Positions as the user's pytree."""
        return self.process.unravel(rows, host=not is_traced(rows))
