"""A chain of block updates: some blocks draw values of their sites, the others are chains on the conditional target of theirs."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, Protocol

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from ppl import _random as random
from ppl._typing import Array, Key
from ppl.infer.algorithms.fused import Fusing, fused_target
from ppl.infer.kernel import MCMCKernel
from ppl.infer.launch import read_field
from ppl.infer.target.conditional import Point
from ppl.infer.target.density import Target
from ppl.infer.target.gradient import pack
from ppl.infer.target.start import first_valid
from ppl.infer.target_process import STATISTICS, Inputs, TargetProcess, in_mode

__all__ = ["GIVEN", "ChainBlock", "GibbsChain", "GibbsProcess", "KernelBlock", "Update"]

GIVEN = "_given_sites"  # the keyword argument in which a user's kernel gets values of sites that are not its own


class Update(Protocol):
    """A block that draws new values of its sites, which no position holds."""

    @property
    def sites(self) -> tuple[str, ...]:
        """The sites."""

    @property
    def told(self) -> tuple[str, ...]:
        """The names of the numbers that an update tells."""

    def __call__(self, key: Key, target: Target, point: Point) -> tuple[dict[str, Array], Array]:
        """New values of the sites, and what is told, `(k,)`."""

    def state(self, z: dict[str, Any], potential_energy: Any, told: Any, rng_key: Any) -> Any:
        """The public state of the block."""


class Form(Protocol):
    """The public state of a kernel of blocks."""

    def state(self, z: dict[str, Any], block_states: tuple[Any, ...], rng_key: Any) -> Any:
        """The state, of all values, the states of the blocks, and the key."""

    def block_states(self, state: Any) -> Sequence[Any]:
        """The states of the blocks."""


@dataclass(frozen=True, eq=False)
class ChainBlock:
    """A block whose sites are moved by a chain.

    Attributes:
        sites: the sites, in the order of its position.
        process: the chain on their conditional target.
        start: where its coordinates begin in the joint position.
    """

    sites: tuple[str, ...]
    process: TargetProcess
    start: int

    @property
    def stop(self) -> int:
        """Where they end."""
        return self.start + self.process.target.layout.dimension


@dataclass(frozen=True, eq=False)
class KernelBlock:
    """A block whose sites a user's kernel moves, on the model with all other sites given.

    Attributes:
        sites: the sites.
        kernel: the kernel, on a model that takes values of other sites in the keyword argument `GIVEN`.
        dtypes: of the constrained values of the sites.
    """

    sites: tuple[str, ...]
    kernel: MCMCKernel
    dtypes: Mapping[str, Any]

    def _arguments(self, joint: Target, point: Point) -> tuple[tuple[Any, ...], dict[str, Any]]:
        args, kwargs = joint.model.call.arguments.join(joint.arrays)
        values = replace(joint, fixed=point.values).constrain(point.position, deterministic=False)
        return args, {**kwargs, GIVEN: {name: value for name, value in values.items() if name not in self.sites}}

    def _values(self, state: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Array]:
        values = self.kernel.get_constrain_fn(args, kwargs)(read_field(state, self.kernel.sample_field))
        return {name: jnp.asarray(values[name], self.dtypes[name]) for name in self.sites}

    def begin(self, key: Key, inputs: Inputs, point: Point, start: Any) -> tuple[Any, dict[str, Array]]:
        """The kernel's first state, and the constrained values of its sites, which are `start` before it."""
        args, kwargs = self._arguments(inputs.target, point)
        state = self.kernel.init(key, inputs.schedule.num_warmup, start, args, kwargs)
        state = jax.tree.map(jnp.asarray, state)
        return state, self._values(state, args, kwargs)

    def advance(self, key: Key, state: Any, inputs: Inputs, point: Point) -> tuple[Any, dict[str, Array]]:
        """One iteration, given the values of the other sites."""
        args, kwargs = self._arguments(inputs.target, point)
        if "rng_key" in getattr(state, "_fields", ()):
            state = state._replace(rng_key=key)
        state = self.kernel.sample(self.kernel.refresh(state, args, kwargs), args, kwargs)
        return state, self._values(state, args, kwargs)


class GibbsChain(NamedTuple):
    """The carry of a run.

    Attributes:
        rng_key: for the iterations to come.
        i: iterations done.
        values: of the sites that no position holds.
        chains: the carries of the blocks that are chains.
        kernels: the states of users' kernels.
        told: by the last updates of the other blocks, `(k,)` each.
    """

    rng_key: Key
    i: Array
    values: dict[str, Array]
    chains: tuple[Any, ...]
    kernels: tuple[Any, ...]
    told: tuple[Array, ...]


class GibbsPoint(NamedTuple):
    """Where a chain starts."""

    key: Key
    values: dict[str, Array]
    position: Array
    points: tuple[Any, ...]
    kernels: tuple[Any, ...]
    is_valid: Array


class _Found(NamedTuple):
    """A proposed start: the point, and the starts of the chains there."""

    point: Point
    starts: tuple[Any, ...]
    is_valid: Array


Propose = Callable[[Key, Array, Target, Mapping[str, Array]], Point]


@dataclass(frozen=True, eq=False)
class GibbsProcess:
    """One chain of block updates, in a fixed order.

    Attributes:
        target: the joint target of all sites that are moved by chains, in the order of the blocks.
        blocks: the blocks.
        propose: `(key, attempt, target, given) -> point`, to find a start; `given` are start values.
        fields: paths into the public state to read beside the standard ones.
        form: of the public state.
    """

    target: Target
    blocks: tuple[Any, ...]
    propose: Propose
    fields: tuple[str, ...]
    form: Form

    @property
    def chain_blocks(self) -> tuple[ChainBlock, ...]:
        """The blocks that are chains."""
        return tuple(block for block in self.blocks if isinstance(block, ChainBlock))

    @property
    def kernel_blocks(self) -> tuple[KernelBlock, ...]:
        """The blocks that are users' kernels."""
        return tuple(block for block in self.blocks if isinstance(block, KernelBlock))

    @property
    def updates(self) -> tuple[Update, ...]:
        """The others."""
        return tuple(block for block in self.blocks if not isinstance(block, ChainBlock | KernelBlock))

    # The start

    def start(self, key: Key, inputs: Inputs, given: Mapping[str, Array] | None) -> GibbsPoint:
        """A start; sites without a given value are proposed until density and gradients are finite."""
        given = given or {}
        draws = random.draw(key, self.target.layout.dtype, keys=2 + len(self.chain_blocks) + len(self.kernel_blocks))
        keys = iter(draws.keys[2:])
        owned = {name for block in self.kernel_blocks for name in block.sites}
        found = self._find(draws.keys[0], inputs, {name: value for name, value in given.items() if name not in owned})
        point, kernels = found.point, []
        for block in self.kernel_blocks:
            start = {name: given.get(name, point.values[name]) for name in block.sites}
            state, values = block.begin(next(keys), inputs, point, start)
            point = point._replace(values={**point.values, **values})
            kernels.append(state)
        if kernels:
            found = self._evaluate(inputs.target, point)
        points = []
        for chain, start in zip(self.chain_blocks, found.starts):
            target = self._conditional(chain, inputs.target, point)
            points.append(chain.process.begin(next(keys), inputs._replace(target=target), start))
        return GibbsPoint(draws.keys[1], point.values, point.position, tuple(points), tuple(kernels), found.is_valid)

    def _find(self, key: Key, inputs: Inputs, given: Mapping[str, Array]) -> _Found:
        def propose(key: Key, attempt: Array) -> Point:
            return self.propose(key, attempt, inputs.target, given)

        def evaluate(point: Point) -> _Found:
            return self._evaluate(inputs.target, point)

        shape = jax.eval_shape(lambda: evaluate(propose(key, jnp.int32(0))))
        nothing = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), shape)
        return first_valid(key, propose, evaluate, nothing)

    def _evaluate(self, target: Target, point: Point) -> _Found:
        starts = tuple(
            block.process.evaluate(point.position[block.start : block.stop], self._conditional(block, target, point))
            for block in self.chain_blocks
        )
        if not starts:
            return _Found(point, (), lax.is_finite(replace(target, fixed=point.values)(point.position)))
        return _Found(point, starts, jnp.all(jnp.stack([start.is_valid for start in starts])))

    def chain_at(self, point: GibbsPoint) -> GibbsChain:
        """The carry before the first iteration."""
        dtype = np.dtype(self.target.layout.dtype)
        count: Any = np.zeros((), np.int32)
        nothing: Any = tuple(np.zeros(len(update.told), dtype) for update in self.updates)
        chains = tuple(block.process.chain_at(own) for block, own in zip(self.chain_blocks, point.points))
        return GibbsChain(point.key, count, point.values, chains, point.kernels, nothing)

    def blame(self, point: GibbsPoint, inputs: Inputs) -> tuple[Target, np.ndarray]:
        """A target and a position at which to look for the reason of a bad start."""
        values = jax.tree.map(np.asarray, point.values)
        return replace(inputs.target, fixed=values), np.asarray(point.position)

    # The run

    def _conditional(self, block: ChainBlock, joint: Target, point: Point) -> Any:
        """The target of a block, given everything else."""
        target = replace(joint, fixed=point.values)
        if len(self.chain_blocks) > 1:
            others = target.constrain(point.position, deterministic=False)
            target = target.given({name: others[name] for name in joint.layout.names if name not in block.sites})
        return target

    def position_of(self, carry: GibbsChain) -> Array:
        """The joint position."""
        parts = [block.process.position_of(chain) for block, chain in zip(self.chain_blocks, carry.chains)]
        return lax.concatenate(parts, 0) if parts else jnp.zeros(0, self.target.layout.dtype)

    def step(self, carry: GibbsChain, inputs: Inputs) -> GibbsChain:
        """One update of every block."""
        draws = random.draw(carry.rng_key, self.target.layout.dtype, keys=1 + len(self.blocks))
        chains, kernels, told = list(carry.chains), list(carry.kernels), []
        point = Point(self.position_of(carry), carry.values)
        for block, key in zip(self.blocks, draws.keys[1:]):
            if isinstance(block, ChainBlock):
                place = self.chain_blocks.index(block)
                chains[place] = self._advance(block, chains[place]._replace(rng_key=key), inputs, point)
                moved = block.process.position_of(chains[place])
                point = point._replace(position=lax.dynamic_update_slice(point.position, moved, (block.start,)))
            elif isinstance(block, KernelBlock):
                place = self.kernel_blocks.index(block)
                kernels[place], values = block.advance(key, kernels[place], inputs, point)
                point = point._replace(values={**point.values, **values})
            else:
                values, numbers = block(key, inputs.target, point)
                point = point._replace(values={**point.values, **values})
                told.append(numbers)
        return GibbsChain(draws.keys[0], carry.i + 1, point.values, tuple(chains), tuple(kernels), tuple(told))

    def _advance(self, block: ChainBlock, chain: Any, inputs: Inputs, point: Point) -> Any:
        """One iteration of a chain on its conditional target, under which what it has cached is computed again."""
        target = fused_target(self._conditional(block, inputs.target, point), pack)
        return block.process.step(block.process.rebase(chain, target), inputs._replace(target=target))

    def rebase(self, carry: GibbsChain, target: Target) -> GibbsChain:
        """The same point under another joint target."""
        point = Point(self.position_of(carry), carry.values)
        pairs = zip(self.chain_blocks, carry.chains)
        return carry._replace(
            chains=tuple(block.process.rebase(chain, self._conditional(block, target, point)) for block, chain in pairs)
        )

    def read(self, carry: GibbsChain) -> dict[str, Any]:
        """Values and joint position, what the summary tells about, and the fields that the user wants."""
        rows: dict[str, Any] = {"z": Point(self.position_of(carry), carry.values)}
        statistics = [self.chain_blocks[0].process.statistics(carry.chains[0])] if self.chain_blocks else []
        rows[STATISTICS] = lax.concatenate([*statistics, *carry.told], 0)
        if not self.fields:
            return rows
        state = self.public_state(carry)
        return rows | {field: read_field(state, field) for field in self.fields}

    @property
    def statistic_names(self) -> tuple[str, ...]:
        """The names of what the summary tells about: statistics of the first chain, and what updates tell."""
        told = [name for update in self.updates for name in update.told]
        return (*(self.chain_blocks[0].process.statistic_names if self.chain_blocks else ()), *told)

    def expand(self, rows: dict[str, Any]) -> dict[str, Any]:
        """The statistics of the first chain, what updates tell, by name; fields of these names that the user wants come first."""
        others = {name: value for name, value in rows.items() if name != STATISTICS}
        if STATISTICS not in rows:
            return others
        names = [name for update in self.updates for name in update.told]
        statistics = rows[STATISTICS]
        split = statistics.shape[-1] - len(names)
        named = {name: statistics[..., split + i] for i, name in enumerate(names)}
        if self.chain_blocks:
            named |= self.chain_blocks[0].process.name_statistics(statistics[..., :split])
        return named | others

    @property
    def wrappers(self) -> Sequence[Callable[[Callable[..., Any]], Callable[..., Any]]]:
        """Ways to build the stepping program: as for the first chain, but that the whole of it is no single kernel."""
        modes = self.chain_blocks[0].process.modes() if self.chain_blocks else [Fusing.NOTHING]
        return [in_mode(mode, packs_target=False) for mode in reversed(modes) if mode is not Fusing.WHOLE]

    @property
    def start_wrappers(self) -> Sequence[Callable[[Callable[..., Any]], Callable[..., Any]]]:
        """A start takes a run of the model: there is nothing to fuse."""
        return [in_mode(Fusing.NOTHING)]

    def finish(self, row: Point, inputs: Inputs) -> dict[str, Array]:
        """Constrained values of all sites, and deterministic sites."""
        return replace(inputs.target, fixed=row.values).constrain(row.position)

    def unravel(self, row: Point, host: bool) -> dict[str, Any]:
        """A row as a dict from sites to values, unconstrained where a chain moves them."""
        layout = self.target.layout
        moved = layout.unravel_host(np.asarray(row.position)) if host else layout.unravel(row.position)
        return {**row.values, **moved}

    # Public states

    def public_state(self, carry: GibbsChain) -> Any:
        """The public state of a traced carry."""
        row = Point(self.position_of(carry), carry.values)
        return self._assemble(carry, self.unravel(row, host=False), lambda process, chain: process.public_state(chain))

    def public_state_host(self, carry: GibbsChain) -> Any:
        """The public state of a carry of NumPy arrays, which may have a leading chain axis."""
        parts = [np.asarray(block.process.position_of(chain)) for block, chain in zip(self.chain_blocks, carry.chains)]
        batch = np.shape(carry.i)
        position = np.concatenate(parts, -1) if parts else np.zeros((*batch, 0), self.target.layout.dtype)
        row = Point(position, carry.values)  # type: ignore[arg-type]
        return self._assemble(carry, self.unravel(row, host=True), lambda process, chain: process.public_state_host(chain))

    def _assemble(self, carry: GibbsChain, z: dict[str, Any], state_of: Callable[[TargetProcess, Any], Any]) -> Any:
        chains, kernels = iter(carry.chains), iter(carry.kernels)
        potential_energy = self._last_energy(carry)
        states, number = [], 0
        for block in self.blocks:
            if isinstance(block, ChainBlock):
                states.append(state_of(block.process, next(chains)))
            elif isinstance(block, KernelBlock):
                states.append(next(kernels))
            else:
                own = {name: carry.values[name] for name in block.sites}
                states.append(block.state(own, potential_energy, carry.told[number], carry.rng_key))
                number += 1
        return self.form.state(z, tuple(states), carry.rng_key)

    def _last_energy(self, carry: GibbsChain) -> Any:
        """The potential energy of all sites, as the last block knows it; nan if that is not the block of a chain."""
        if isinstance(self.blocks[-1], ChainBlock):
            return self.chain_blocks[-1].process.potential_of(carry.chains[-1])
        return np.full(np.shape(carry.i), np.nan, self.target.layout.dtype)

    def continued(self, state: Any, host: bool = False) -> GibbsChain:
        """The carry of a public state, with its count of iterations; `host`: of NumPy arrays, with any chain axis in front."""
        pairs = list(zip(self.blocks, self.form.block_states(state)))
        states = [own for block, own in pairs if isinstance(block, ChainBlock)]
        kernels = tuple(own for block, own in pairs if isinstance(block, KernelBlock))
        states = [own._replace(z={name: state.z.get(name, value) for name, value in own.z.items()}) for own in states]
        chains = tuple(block.process.continued(own, host) for block, own in zip(self.chain_blocks, states))
        words = random.words(jnp.asarray(state.rng_key))
        batch = words.shape[:-1]
        moved = {name for block in self.chain_blocks for name in block.sites}
        nothing: Any = tuple(np.zeros((*batch, len(update.told)), self.target.layout.dtype) for update in self.updates)
        count: Any = chains[0].i if chains else np.zeros(batch, np.int32)
        values = {name: value for name, value in state.z.items() if name not in moved}
        key: Any = np.asarray(words) if host else words
        return GibbsChain(key, count, values, chains, kernels, nothing)

    def restarted(self, carry: GibbsChain) -> GibbsChain:
        """The carry at the beginning of a run without warm-up."""
        chains = tuple(block.process.restarted(chain) for block, chain in zip(self.chain_blocks, carry.chains))
        count: Any = np.zeros(np.shape(carry.i), np.int32)
        return carry._replace(i=count, chains=chains)

    def nan_places(self, carry: GibbsChain, inputs: Inputs) -> Iterator[tuple[Target, np.ndarray]]:
        """Positions after warm-up at which an energy was not a number, with the target; other sites are as they are at the end."""
        count, depth = np.size(carry.i), np.ndim(carry.i)
        for i in range(count):
            own = jax.tree.map(lambda x, i=i: np.reshape(x, (count, *np.shape(x)[depth:]))[i], (carry.chains, carry.values))
            chains, values = own
            parts = [np.asarray(block.process.position_of(chain)) for block, chain in zip(self.chain_blocks, chains)]
            for number, (block, chain) in enumerate(zip(self.chain_blocks, chains)):
                for position in block.process.nan_positions(chain):
                    joint = np.concatenate([*parts[:number], position, *parts[number + 1 :]])
                    yield replace(inputs.target, fixed=values), joint
