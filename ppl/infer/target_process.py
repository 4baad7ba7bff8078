"""A chain on a target, as the run executes it: how it starts, and how its public state is assembled."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax.numpy as jnp

from ppl import _random as random
from ppl._typing import Array, Key, PyTree
from ppl.infer.adaptation.warmup import Schedule
from ppl.infer.launch import read_field
from ppl.infer.target.gradient import GradientTarget
from ppl.infer.target.start import Start, evaluate_start, find_start
from ppl.util import identity

__all__ = ["STATISTICS", "Inputs", "TargetProcess"]

STATISTICS = "statistics"  # the field of the rows that holds what the summary tells about


class Inputs(NamedTuple):
    """Arrays that all chains share: the target's, and the schedule of warm-up."""

    target: Any
    schedule: Schedule


@dataclass(frozen=True, eq=False)
class TargetProcess(ABC):
    """One chain on a target. Its carry has the fields `rng_key`, two words, and `i`, the iterations done.

    Attributes:
        target: the target, whose arrays are replaced by those of the inputs.
        propose: `(key, attempt, target) -> position`, to find a start; None where starts are always given.
        proposes_directly: whether that takes no run of the model.
        fields: paths into the public state to read beside the standard ones.
    """

    target: GradientTarget
    propose: Callable[[Key, Array, Any], Array] | None
    proposes_directly: bool
    fields: tuple[str, ...]

    # The start

    def start(self, key: Key, inputs: Inputs, position: Array | None) -> Any:
        """A start at a position, or else at a proposed one."""
        draws = random.draw(key, self.target.layout.dtype, keys=2)
        if position is None:
            start = find_start(draws.keys[0], lambda key, attempt: self._proposal(key, attempt, inputs), inputs.target)
        else:
            start = evaluate_start(position, inputs.target)
        return self.begin(draws.keys[1], inputs, start)

    def start_partly_given(self, key: Key, inputs: Inputs, position: Array) -> Any:
        """As `start`, where the coordinates that are nan are proposed."""
        draws = random.draw(key, self.target.layout.dtype, keys=2)

        def propose(key: Key, attempt: Array) -> Array:
            return jnp.where(jnp.isnan(position), self._proposal(key, attempt, inputs), position)

        return self.begin(draws.keys[1], inputs, find_start(draws.keys[0], propose, inputs.target))

    def _proposal(self, key: Key, attempt: Array, inputs: Inputs) -> Array:
        if self.propose is None:
            raise ValueError("init_params: a potential function needs a complete start value")
        return self.propose(key, attempt, inputs.target)

    @abstractmethod
    def begin(self, key: Key, inputs: Inputs, start: Start) -> Any:
        """What a chain at a start needs beside constants: a pytree with `is_valid` and `state.position`."""

    @abstractmethod
    def chain_at(self, point: Any) -> Any:
        """The carry before the first iteration. What is constant is NumPy's: outside a trace nothing is compiled for it."""

    # The run

    @abstractmethod
    def step(self, carry: Any, inputs: Inputs) -> Any:
        """One iteration."""

    @abstractmethod
    def rebase(self, carry: Any, target: GradientTarget) -> Any:
        """The same position under another target: what is cached is computed again."""

    def position_of(self, carry: Any) -> Array:
        """The position `(d,)`."""
        return carry.state.position

    @abstractmethod
    def statistics(self, carry: Any) -> Array:
        """What the summary tells about, as one vector."""

    @abstractmethod
    def name_statistics(self, rows: Any) -> dict[str, Any]:
        """The statistics in rows `(..., k)` by name."""

    def read(self, carry: Any) -> dict[str, Array]:
        """Position, what the summary tells about, and the fields that the user wants."""
        rows = {"z": self.position_of(carry), STATISTICS: self.statistics(carry)}
        if not self.fields:
            return rows
        state = self.public_state(carry)
        return rows | {field: read_field(state, field) for field in self.fields}

    def expand(self, rows: dict[str, Any]) -> dict[str, Any]:
        """The fields of rows under their public names."""
        others = {name: value for name, value in rows.items() if name != STATISTICS}
        return others | (self.name_statistics(rows[STATISTICS]) if STATISTICS in rows else {})

    @property
    def wrappers(self) -> Sequence[Callable[[Callable[..., Any]], Callable[..., Any]]]:
        """Ways to build the stepping program, the best first."""
        return [identity]

    @property
    def start_wrappers(self) -> Sequence[Callable[[Callable[..., Any]], Callable[..., Any]]]:
        """The same for the program that finds a start."""
        return [identity]

    def finish(self, position: Array, inputs: Inputs) -> Any:
        """What the user gets of a draw: constrained values and deterministic sites."""
        return inputs.target.constrain(position)

    # Public states

    def public_state(self, carry: Any) -> Any:
        """The public state of a traced carry."""
        return self.assemble(carry, self.target.layout.unravel)

    def public_state_host(self, carry: Any) -> Any:
        """The public state of a carry of NumPy arrays, which may have a leading chain axis."""
        return self.assemble(carry, self.target.layout.unravel_host)

    @abstractmethod
    def assemble(self, carry: Any, unravel: Callable[[Any], PyTree]) -> Any:
        """The public state; `unravel` makes unconstrained values of positions."""

    @abstractmethod
    def carry_of(self, state: Any, ravel: Callable[[PyTree], Array]) -> Any:
        """The carry of a public state; `ravel` makes positions of unconstrained values."""

    def nan_positions(self, carry: Any) -> Any:
        """Positions `(k, d)` after warm-up at which an energy was not a number, of a carry with or without a chain axis."""
        return ()
