"""An ensemble of chains as the run executes it, and the public states that are assembled from it."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, Self

import jax
import jax.numpy as jnp
import numpy as np

from ppl import _random as random
from ppl._typing import Array, Key, PyTree
from ppl.infer.algorithms.ensembles import Walkers, draw, in_turn
from ppl.infer.algorithms.fused import Fusing
from ppl.infer.launch import read_field, words_of_chain
from ppl.infer.target.gradient import GradientTarget
from ppl.infer.target.start import ValueStart, evaluate_value, find_value_start
from ppl.infer.target_process import STATISTICS, Inputs, fusing_modes, in_mode

__all__ = ["Ensemble", "EnsembleProcess", "EnsembleSamplerState", "EnsembleStart", "HalfInfo", "Rules"]


class EnsembleSamplerState(NamedTuple):
    """The state of an ensemble: all chains in one.

    Attributes:
        z: unconstrained values, each leaf with a leading chain axis.
        inner_state: what else the kernel keeps, such as `AIESState`.
        rng_key: key for the iterations to come.
    """

    z: Any
    inner_state: Any
    rng_key: Any


class HalfInfo(Protocol):
    """What is told about the update of one half: where an energy was not a number; and what else the kernel wants to know."""

    @property
    def last_position(self) -> Array:
        """Positions `(m, d)`; those where `is_nan` holds are to blame."""

    @property
    def is_nan(self) -> Array:
        """Whether an energy was not a number, `(m,)`."""


class Rules(Protocol):
    """What a process asks of its kernel."""

    @property
    def randomize_split(self) -> bool:
        """Whether the halves are drawn anew in each iteration."""

    @property
    def statistics(self) -> tuple[str, ...]:
        """Names of what `describe` tells."""

    def on(self, target: GradientTarget, num_chains: int, num_warmup: Any) -> Self:
        """A copy of the kernel that knows what it runs on."""

    def init_inner_state(self, rng_key: Key) -> Any:
        """What the kernel keeps beside the positions."""

    def update_half(self, active: Walkers, inactive: Walkers, inner_state: Any) -> tuple[Walkers, Any, HalfInfo]:
        """Update one half: walkers, inner state, info."""

    def end_iteration(self, inner_state: Any, info: Any) -> Any:
        """The inner state after both halves; leaves of `info` are `(n, ...)`."""

    def describe(self, walkers: Walkers, info: Any) -> Array:
        """What the summary tells about, `(n, k)`."""

    def restart(self, inner_state: Any) -> Any:
        """The inner state at the beginning of another run."""


class Ensemble(NamedTuple):
    """The carry of a run.

    Attributes:
        rng_key: for the iterations to come.
        i: iterations done.
        walkers: positions `(n, d)` and energies `(n,)`.
        inner_state: that of the kernel.
        statistics: what is told about the last iteration, `(n, k)`.
        nan_position: where, after warm-up, an energy was not a number first, `(d,)`.
        has_nan: whether that has happened.
    """

    rng_key: Any
    i: Any
    walkers: Walkers
    inner_state: Any
    statistics: Any
    nan_position: Any
    has_nan: Any


class EnsembleStart(NamedTuple):
    """An ensemble before its first iteration, and which walkers `(n,)` have a finite energy."""

    ensemble: Ensemble
    is_valid: Array


@dataclass(frozen=True, eq=False)
class EnsembleProcess:
    """An ensemble on a target.

    Attributes:
        rules: the kernel.
        target: the target, whose arrays are replaced by those of the inputs.
        propose: `(key, attempt, target) -> position`, to find starts; None where they are always given.
        proposes_directly: whether that takes no run of the model.
        fields: paths into the public state to read beside the standard ones.
    """

    rules: Rules
    target: GradientTarget
    propose: Callable[[Key, Array, Any], Array] | None
    proposes_directly: bool
    fields: tuple[str, ...]

    def _rules(self, inputs: Inputs, num_chains: int) -> Rules:
        return self.rules.on(inputs.target, num_chains, inputs.schedule.num_warmup)

    # The start

    def start(self, keys: Key, num_chains: int, inputs: Inputs, positions: Array | None, is_partial: bool) -> EnsembleStart:
        """Start at positions `(n, d)`, or at proposed ones; with `is_partial`, coordinates that are nan are proposed."""
        dtype = self.target.layout.dtype

        def draw_keys(chain: Array) -> tuple[Array, ...]:
            return random.draw(words_of_chain(keys, chain), dtype, keys=3).keys

        k_start, k_run, k_inner = _for_each(draw_keys, jnp.arange(num_chains))
        if positions is not None and not is_partial:
            starts = jax.vmap(evaluate_value, in_axes=(0, None))(positions, inputs.target)
        else:
            starts = self._find(k_start, inputs, positions)
        walkers = Walkers(starts.position, starts.potential_energy)
        inner_state = self._rules(inputs, num_chains).init_inner_state(k_inner[0])
        return EnsembleStart(self.ensemble_at(k_run[0], walkers, inner_state), starts.is_valid)

    def _find(self, keys: Key, inputs: Inputs, positions: Array | None) -> ValueStart:
        def find(key: Key, position: Array | None) -> ValueStart:
            def propose(key: Key, attempt: Array) -> Array:
                if self.propose is None:
                    raise ValueError("init_params: a potential function needs a complete start value")
                proposal = self.propose(key, attempt, inputs.target)
                return proposal if position is None else jnp.where(jnp.isnan(position), proposal, position)

            return find_value_start(key, propose, inputs.target)

        return _for_each(lambda pair: find(*pair), (keys, positions))

    def ensemble_at(self, rng_key: Key, walkers: Walkers, inner_state: Any) -> Ensemble:
        """The carry before the first iteration."""
        n, d = np.shape(walkers.position)
        dtype = np.dtype(self.target.layout.dtype)
        return Ensemble(
            rng_key=rng_key,
            i=jnp.int32(0),
            walkers=walkers,
            inner_state=inner_state,
            statistics=jnp.zeros((n, len(self.rules.statistics)), dtype),
            nan_position=jnp.zeros(d, dtype),
            has_nan=jnp.zeros((), bool),
        )

    # The run

    def step(self, carry: Ensemble, inputs: Inputs) -> Ensemble:
        """One iteration of both halves."""
        n, dtype = len(carry.walkers.position), carry.walkers.position.dtype
        draws = draw(carry.rng_key, dtype, keys=3, uniforms=n if self.rules.randomize_split else 0)
        k_first, k_second, k_next = draws.keys
        order = jnp.argsort(draws.uniforms) if self.rules.randomize_split else None
        rules = self._rules(inputs, n)

        def update(key: Key, active: Walkers, inactive: Walkers, inner_state: Any) -> tuple[Walkers, Any, Any]:
            return rules.update_half(active, inactive, with_key(inner_state, key))

        walkers, inner_state, info = in_turn(update, carry.walkers, carry.inner_state, (k_first, k_second), order)
        is_first_nan = jnp.any(info.is_nan) & ~carry.has_nan & (carry.i >= inputs.schedule.num_warmup)
        return Ensemble(
            rng_key=k_next,
            i=carry.i + 1,
            walkers=walkers,
            inner_state=rules.end_iteration(inner_state, info),
            statistics=rules.describe(walkers, info),
            nan_position=jnp.where(is_first_nan, info.last_position[jnp.argmax(info.is_nan)], carry.nan_position),
            has_nan=carry.has_nan | is_first_nan,
        )

    def rebase(self, carry: Ensemble, target: GradientTarget) -> Ensemble:
        """The same positions under another target."""
        walkers = carry.walkers._replace(potential_energy=jax.vmap(target)(carry.walkers.position))
        return carry._replace(walkers=walkers)

    def read(self, carry: Ensemble) -> dict[str, Array]:
        """Positions, what the summary tells about, and the fields that the user wants; what all chains share, for each of them."""
        n = len(carry.walkers.position)
        rows = {"z": carry.walkers.position, STATISTICS: carry.statistics}
        if not self.fields:
            return rows
        state = self.public_state(carry)
        shared = {field: read_field(state, field) for field in self.fields}
        return rows | jax.tree.map(lambda leaf: jnp.broadcast_to(leaf, (n, *jnp.shape(leaf))), shared)

    @property
    def statistic_names(self) -> tuple[str, ...]:
        """The names of what the summary tells about."""
        return self.rules.statistics

    def expand(self, rows: dict[str, Any]) -> dict[str, Any]:
        """The fields of rows under their public names."""
        others = {name: value for name, value in rows.items() if name != STATISTICS}
        return others | {name: rows[STATISTICS][..., i] for i, name in enumerate(self.statistic_names) if STATISTICS in rows}

    @property
    def wrappers(self) -> Sequence[Callable[[Callable[..., Any]], Callable[..., Any]]]:
        """Random numbers, and the arithmetic between energies, as kernels of their own; or all left to the compiler."""
        modes = fusing_modes(self.target, allows_whole=False, with_gradient=False)
        return [in_mode(mode) for mode in (Fusing.UPDATES, Fusing.NOTHING) if mode in modes]

    @property
    def start_wrappers(self) -> Sequence[Callable[[Callable[..., Any]], Callable[..., Any]]]:
        """The program that finds the starts: as one kernel, where it is small and takes no run of the model; or not."""
        modes = fusing_modes(self.target, allows_whole=True, with_gradient=False) if self.proposes_directly else [Fusing.NOTHING]
        return [in_mode(mode) for mode in (Fusing.WHOLE, Fusing.NOTHING) if mode in modes]

    def finish(self, position: Array, inputs: Inputs) -> Any:
        """What the user gets of a draw: constrained values and deterministic sites."""
        return inputs.target.constrain(position)

    # Public states

    def unravel(self, rows: Any, host: bool) -> PyTree:
        """Rows of positions as the user's pytree; `host`: of NumPy arrays with any leading axes."""
        layout = self.target.layout
        return layout.unravel_host(rows) if host else layout.unravel(rows)

    def public_state(self, carry: Ensemble) -> EnsembleSamplerState:
        """The public state of a traced carry."""
        return self._assemble(carry, jax.vmap(self.target.layout.unravel)(carry.walkers.position))

    def public_state_host(self, carry: Ensemble) -> EnsembleSamplerState:
        """The public state of a carry of NumPy arrays."""
        return self._assemble(carry, self.target.layout.unravel_host(carry.walkers.position))

    def _assemble(self, carry: Ensemble, z: PyTree) -> EnsembleSamplerState:
        return EnsembleSamplerState(z=z, inner_state=carry.inner_state, rng_key=carry.rng_key)

    def continued(self, state: EnsembleSamplerState) -> Ensemble:
        """The carry of a public state, whose energies are to be computed: see `rebase`."""
        return self.at(random.words(state.rng_key), jax.vmap(self.target.layout.ravel)(state.z), state.inner_state)

    def at(self, rng_key: Key, position: Array, inner_state: Any) -> Ensemble:
        """The carry at positions `(n, d)`, whose energies are to be computed."""
        energies = jnp.full(len(position), jnp.nan, position.dtype)
        return self.ensemble_at(rng_key, Walkers(position=position, potential_energy=energies), inner_state)

    def nan_places(self, carry: Ensemble, inputs: Inputs) -> Iterator[tuple[GradientTarget, np.ndarray]]:
        """The position after warm-up at which an energy was not a number, if there was one, with the target."""
        if carry.has_nan:
            yield inputs.target, np.asarray(carry.nan_position)


def with_key(inner_state: Any, key: Key) -> Any:
    """An inner state with this key, where it has one: so each update has a key of its own, and a run those of its seed."""
    return inner_state._replace(rng_key=key) if "rng_key" in getattr(inner_state, "_fields", ()) else inner_state


def _for_each(fn: Callable[[Any], Any], xs: PyTree) -> Any:
    """`fn` of the rows of `xs`. On the CPU it is a loop: it is compiled in a third of the time of a batch, and as fast."""
    return jax.lax.map(fn, xs) if jax.default_backend() == "cpu" else jax.vmap(fn)(xs)
