"""A chain on a target, as the run executes it: how it starts, what of it is one kernel, how its public state is assembled."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from ppl import _random as random
from ppl._typing import Array, Key, PyTree
from ppl.infer.adaptation.warmup import Schedule
from ppl.infer.algorithms.fused import FusedTarget, Fusing, fusing, whole_program
from ppl.infer.launch import read_field
from ppl.infer.target.gradient import GradientTarget, elementary_operations, pack
from ppl.infer.target.start import evaluate_start, evaluate_value, find_start, find_value_start

__all__ = ["STATISTICS", "Inputs", "TargetProcess", "fusing_modes", "in_mode", "mean_in_phase"]

STATISTICS = "statistics"  # the field of the rows that holds what the summary tells about

MAX_FUSED_DIMENSION = 2048  # longer sums are not left to one kernel
MAX_WHOLE_OPERATIONS = 350  # of a gradient; with more, one kernel of all loops takes long to compile, or exhausts memory
MAX_GRADIENT_OPERATIONS = 5000  # the same for a gradient alone


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
        uses_gradient: whether the gradient of the target is ever asked for, also at the start.
        statistic_names: names of what the summary tells about.
    """

    uses_gradient: ClassVar[bool] = True
    statistic_names: ClassVar[tuple[str, ...]]
    target: GradientTarget
    propose: Callable[[Key, Array, Any], Array] | None
    proposes_directly: bool
    fields: tuple[str, ...]

    # The start

    def start(self, key: Key, inputs: Inputs, position: Array | None) -> Any:
        """A start at a position, or else at a proposed one."""
        draws = random.draw(key, self.target.layout.dtype, keys=2)
        if position is None:
            start = self._find(draws.keys[0], lambda key, attempt: self._proposal(key, attempt, inputs), inputs.target)
        else:
            start = self.evaluate(position, inputs.target)
        return self.begin(draws.keys[1], inputs, start)

    def start_partly_given(self, key: Key, inputs: Inputs, position: Array) -> Any:
        """As `start`, where the coordinates that are nan are proposed."""
        draws = random.draw(key, self.target.layout.dtype, keys=2)

        def propose(key: Key, attempt: Array) -> Array:
            return jnp.where(jnp.isnan(position), self._proposal(key, attempt, inputs), position)

        return self.begin(draws.keys[1], inputs, self._find(draws.keys[0], propose, inputs.target))

    def evaluate(self, position: Array, target: GradientTarget) -> Any:
        """The start at a position: a `Start`, or a `ValueStart` where no gradient is used."""
        return evaluate_start(position, target) if self.uses_gradient else evaluate_value(position, target)

    def _find(self, key: Key, propose: Callable[[Key, Array], Array], target: GradientTarget) -> Any:
        return find_start(key, propose, target) if self.uses_gradient else find_value_start(key, propose, target)

    def _proposal(self, key: Key, attempt: Array, inputs: Inputs) -> Array:
        if self.propose is None:
            raise ValueError("init_params: a potential function needs a complete start value")
        return self.propose(key, attempt, inputs.target)

    @abstractmethod
    def begin(self, key: Key, inputs: Inputs, start: Any) -> Any:
        """What a chain at a `Start` (or a `ValueStart`) needs beside constants: a pytree with `is_valid` and `state.position`."""

    @abstractmethod
    def chain_at(self, point: Any) -> Any:
        """The carry before the first iteration. What is constant is NumPy's: outside a trace nothing is compiled for it."""

    def blame(self, point: Any, inputs: Inputs) -> tuple[Any, np.ndarray]:
        """A target and a position at which to look for the reason of a bad start."""
        return inputs.target, np.asarray(point.state.position)

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

    def potential_of(self, carry: Any) -> Array:
        """The potential energy there."""
        return carry.state.potential_energy

    @abstractmethod
    def statistics(self, carry: Any) -> Array:
        """What the summary tells about, as one vector."""

    def name_statistics(self, rows: Any) -> dict[str, Any]:
        """The statistics in rows `(..., k)` by name."""
        return {name: rows[..., i] for i, name in enumerate(self.statistic_names)}

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
        """Ways to build the stepping program: with as much in one kernel as is possible, then with less, then with nothing."""
        return [in_mode(mode) for mode in reversed(self.modes())]

    @property
    def start_wrappers(self) -> Sequence[Callable[[Callable[..., Any]], Callable[..., Any]]]:
        """The same for the program that finds a start; where that takes a run of the model, there is nothing to fuse."""
        return self.wrappers if self.proposes_directly else [in_mode(Fusing.NOTHING)]

    def modes(self) -> list[Fusing]:
        """What of a program can be one kernel, from nothing to all of it."""
        return [Fusing.NOTHING]

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

    def continued(self, state: Any, host: bool = False) -> Any:
        """The carry of a public state, with its count of iterations; `host`: of NumPy arrays, with any chain axis in front."""
        layout = self.target.layout
        if not host:
            return self.carry_of(state._replace(rng_key=random.words(state.rng_key)), layout.ravel)
        words = np.asarray(random.words(jnp.asarray(state.rng_key)))
        return self.carry_of(state._replace(rng_key=words), lambda z: layout.ravel_host(z, words.shape[:-1]))

    def restarted(self, carry: Any) -> Any:
        """The carry at the beginning of a run without warm-up."""
        count: Any = np.zeros(np.shape(carry.i), np.int32)
        mean: Any = np.zeros(np.shape(carry.mean_accept_prob), self.target.layout.dtype)
        return carry._replace(i=count, mean_accept_prob=mean)

    def unravel(self, rows: Any, host: bool) -> Any:
        """Rows of positions as the user's pytree; `host`: of NumPy arrays with any leading axes."""
        layout = self.target.layout
        return layout.unravel_host(rows) if host else layout.unravel(rows)

    def nan_positions(self, carry: Any) -> Any:
        """Positions `(k, d)` after warm-up at which an energy was not a number, of a carry with or without a chain axis."""
        return ()

    def nan_places(self, carry: Any, inputs: Inputs) -> Iterator[tuple[Any, np.ndarray]]:
        """The same positions, each with the target that was asked."""
        return ((inputs.target, position) for position in self.nan_positions(carry))


def mean_in_phase(mean: Array, value: Array, i: Array, schedule: Schedule) -> Array:
    """The mean of a number over i iterations, which starts anew after warm-up; `mean` is that before the i-th."""
    phase_length = lax.select(i <= schedule.num_warmup, i, i - schedule.num_warmup)
    return mean + (value - mean) / phase_length.astype(value.dtype)


def fusing_modes(target: GradientTarget, *, allows_whole: bool, with_gradient: bool = True) -> list[Fusing]:
    """What can be one kernel, from nothing to all of it.

    Args:
        target: the target.
        allows_whole: whether all of the program can be, as far as the kernel of MCMC goes: no factorisation of a matrix, no search.
        with_gradient: whether the gradient is used.
    """
    modes = [Fusing.NOTHING]
    if jax.default_backend() != "cpu" or not 0 < target.layout.dimension <= MAX_FUSED_DIMENSION:
        return modes
    modes.append(Fusing.UPDATES)
    operations = elementary_operations(target, with_gradient=with_gradient)
    if operations is not None and operations <= MAX_GRADIENT_OPERATIONS:
        modes.append(Fusing.PARTS)
        if operations <= MAX_WHOLE_OPERATIONS and allows_whole:
            modes.append(Fusing.WHOLE)
    return modes


def in_mode(mode: Fusing, *, packs_target: bool = True) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Build a program with this choice of what is fused; `packs_target`: unless the target is another in each iteration."""

    def wrap(fn: Callable[..., Any]) -> Callable[..., Any]:
        def traced(*args: Any) -> Any:
            if packs_target and mode in (Fusing.PARTS, Fusing.WHOLE):
                args = tuple(_with_packed_target(arg, mode) if isinstance(arg, Inputs) else arg for arg in args)
            with fusing(mode):
                return whole_program(fn)(*args)

        return traced

    return wrap


def _with_packed_target(inputs: Inputs, mode: Fusing) -> Inputs:
    target = pack(inputs.target)
    return inputs._replace(target=FusedTarget(target) if mode is Fusing.PARTS else target)
