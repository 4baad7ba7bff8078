"""A kernel bound to arguments and ready to run: start its chains, execute it, read its states, finish its draws."""

import warnings
from collections.abc import Callable, Mapping
from operator import itemgetter
from typing import Any, Protocol

import jax
import jax.numpy as jnp
import numpy as np

from ppl import _random as random
from ppl._typing import Array, Key, PyTree
from ppl.infer.run.programs import Programs
from ppl.infer.target.model import Arguments
from ppl.util import find_stack_level, identity, not_jax_tracer

CHAIN_STREAM = 0x636861  # any constant: keeps the keys of chains apart from those that the first one derives from the seed

NO_DISCRETE = "MCMC.get_samples: infer_discrete=True, but the kernel has summed out no discrete site"

__all__ = [
    "NO_DISCRETE",
    "Launch",
    "UserLaunch",
    "check_chain_axis",
    "is_traced",
    "key_of_chain",
    "read_field",
    "stack_carries",
    "unstack_carry",
    "words_of_chain",
]


def is_traced(*trees: PyTree) -> bool:
    """Whether an array among these is traced, so that the run is part of somebody's program."""
    return not all(map(not_jax_tracer, jax.tree.leaves(trees)))


def stack_carries(carries: list[PyTree]) -> PyTree:
    """The carries of chains as one, with a leading chain axis; in NumPy but for typed keys, so that nothing is compiled."""

    def stack(*leaves: Any) -> Any:
        if random.is_typed(leaves[0]) or is_traced(leaves):
            return jnp.stack(leaves)
        return np.stack([np.asarray(leaf) for leaf in leaves])

    return jax.tree.map(stack, *carries)


def unstack_carry(carry: PyTree, num_chains: int) -> list[PyTree]:
    """The carries of chains out of one with a leading chain axis."""
    return [jax.tree.map(itemgetter(i), carry) for i in range(num_chains)]


def check_chain_axis(init_params: PyTree, num_chains: int) -> None:
    """Check start values of a kernel without sites: one for each of several chains.

    Raises:
        ValueError: if a leaf has no leading axis for the chains.
    """
    if num_chains == 1:
        return
    for path, leaf in jax.tree_util.tree_leaves_with_path(init_params):
        if np.shape(leaf)[:1] != (num_chains,):
            raise ValueError(
                f"init_params{jax.tree_util.keystr(path)}: for num_chains={num_chains} every leaf needs a leading axis of "
                f"{num_chains}, found shape {np.shape(leaf)}"
            )


def _is_one_key(keys: Key) -> bool:
    return jnp.ndim(keys) == (0 if random.is_typed(keys) else 1)


def key_of_chain(keys: Key, chain: int) -> Key:
    """The key of a chain: its own out of an array of keys, or out of one seed; the first chain has the seed itself."""
    if not _is_one_key(keys):
        return keys[chain]
    return keys if chain == 0 else jax.random.fold_in(jax.random.fold_in(keys, CHAIN_STREAM), chain)


def words_of_chain(keys: Key, chain: Array) -> Array:
    """The same for the samplers' own generator, for a traced number of the chain."""
    if not _is_one_key(keys):
        return random.words(keys[chain])
    seed = random.words(keys)
    return jnp.where(chain == 0, seed, random.fold_in(seed, chain))


class Launch(Protocol):
    """What the driver asks of a kernel that is bound to arguments.

    Attributes:
        process: what a run executes.
        inputs: arrays that all chains share.
        programs: the compiled programs.
        sample_field: the field of the rows that holds the draws.
        deterministic: names of deterministic sites among what the user gets.
    """

    process: Any
    inputs: Any
    programs: Programs
    sample_field: str
    deterministic: frozenset[str]

    def prepare(self, keys: Key) -> PyTree:
        """Begin to compile the start, where it is compiled; shapes and types of a carry, or None where they are not known."""

    def start(self, keys: Key, num_chains: int) -> list[PyTree]:
        """The carries of the chains."""

    def public(self, carry: PyTree) -> Any:
        """The public state of a carry, with or without a leading chain axis."""

    def carry_of(self, state: Any, before: Any = None) -> PyTree:
        """The carry of a public state, at the beginning of a run without warm-up; with or without a leading chain axis.

        `before` is the launch of the run that the state comes from, if that is known, else None.
        """

    def with_key(self, carry: PyTree, keys: Key, chain: int) -> PyTree:
        """A carry with the key of a chain, where it has one."""

    def finish(self, row: Any, inputs: PyTree) -> PyTree:
        """What the user gets of one row of the sample field."""

    def unravel(self, rows: Any) -> PyTree:
        """Rows of the sample field as the user's pytree."""

    def expand(self, rows: dict[str, Any]) -> dict[str, Any]:
        """The fields of rows under their public names."""

    def discrete(self, samples: PyTree) -> dict[str, Any]:
        """Draws of the sites that were summed out, for draws `(c, n, ...)` of the others."""

    def problems(self, carries: list[PyTree]) -> list[str]:
        """What went wrong on the way, in words."""


def read_field(state: Any, path: str) -> Any:
    """The part of a state under a dotted path of attributes, dictionary keys and tuple indices.

    Raises:
        ValueError: if there is no such field.
    """
    part = state
    for name in path.split("."):
        try:
            if isinstance(part, dict):
                part = part[name]
            else:
                part = part[int(name)] if name.isdigit() else getattr(part, name)
        except (AttributeError, KeyError, IndexError, TypeError) as error:
            fields = list(part) if isinstance(part, dict) else list(getattr(part, "_fields", ()))
            raise ValueError(
                f"extra_fields: there is no field {path!r} in {type(state).__name__}: found no {name!r} among {fields}; dots lead "
                'further in, as in "adapt_state.step_size"'
            ) from error
    return part


class UserProcess:
    """A kernel that defines `init` and `sample`, as the run executes it."""

    def __init__(self, kernel: Any, arguments: Arguments, fields: tuple[str, ...]) -> None:
        self.kernel = kernel
        self.arguments = arguments
        self.fields = fields

    @property
    def wrappers(self) -> list[Callable[[Callable[..., Any]], Callable[..., Any]]]:
        """A user's kernel is left to the compiler."""
        return [identity]

    def step(self, carry: PyTree, inputs: PyTree) -> PyTree:
        """One call of `sample`."""
        args, kwargs = self.arguments.join(inputs)
        state = self.kernel.sample(carry, args, kwargs)
        _check_types(type(self.kernel).__name__, carry, state)
        return state

    def settled(self, carry: PyTree, inputs: PyTree) -> PyTree:
        """A first state whose Python numbers have the types that a step gives them."""
        if not any(map(_is_weak, jax.tree.leaves(carry))):
            return carry
        stepped = jax.eval_shape(lambda carry: self.kernel.sample(carry, *self.arguments.join(inputs)), carry)
        if not _is_alike(carry, stepped):
            return carry
        return jax.tree.map(lambda old, new: old.astype(new.dtype) if _is_weak(old) else old, carry, stepped)

    def read(self, carry: PyTree) -> dict[str, Array]:
        """The fields to be kept; of an ensemble, what all chains share for each of them."""
        rows = {field: jax.tree.map(_words_of_keys, read_field(carry, field)) for field in self.fields}
        samples = jax.tree.leaves(rows[self.kernel.sample_field])
        if not self.kernel.is_ensemble_kernel or not samples:
            return rows
        num_chains = len(samples[0])

        def for_each(leaf: Array) -> Array:
            is_shared = jnp.shape(leaf)[:1] != (num_chains,)
            return jnp.broadcast_to(leaf, (num_chains, *jnp.shape(leaf))) if is_shared else leaf

        return jax.tree.map(for_each, rows)


def _words_of_keys(leaf: Any) -> Any:
    """A leaf as it is kept: of a random key, its words."""
    return random.words(leaf) if random.is_typed(leaf) else leaf


def _is_weak(leaf: Any) -> bool:
    """Whether an array was made of a Python number, so that its type gives way to others."""
    return jax.typeof(leaf).weak_type


def _is_alike(one: PyTree, other: PyTree) -> bool:
    """Whether two pytrees have the same structure."""
    structure: Any = jax.tree.structure(one)
    return bool(structure == jax.tree.structure(other))


def _check_types(kernel: str, before: PyTree, after: PyTree) -> None:
    """Refuse a step that changes the type of a field.

    Raises:
        TypeError: with the field.
    """
    if not _is_alike(before, after):
        return
    for (path, old), new in zip(jax.tree_util.tree_leaves_with_path(before), jax.tree.leaves(after)):
        if jnp.result_type(old) != jnp.result_type(new) and not _is_weak(old):
            field = jax.tree_util.keystr(path, simple=True, separator=".")
            raise TypeError(
                f"{kernel}: the field {field!r} of the state has type {jnp.result_type(old)}, and {jnp.result_type(new)} after "
                f"`sample`; let `init` and `sample` agree, with jnp.asarray(value, {jnp.result_type(new)}) in `init`"
            )


class UserLaunch:
    """A kernel that a user has written against `MCMCKernel`.

    Args:
        kernel: the kernel.
        args: positional arguments of the model.
        kwargs: keyword arguments of the model.
        fields: of the state, to be read beside the sample and the default fields.
        num_chains: number of chains.
        num_warmup: what `init` is told.
        init_params: start values, with a leading chain axis for several chains.
        cache: programs of this kernel, by signature.
        baked: whether arrays among the arguments are fixed parts of the program.
        deterministic: names of deterministic sites among what `postprocess_fn` gives.

    Raises:
        ValueError: if start values lack the chain axis.
    """

    def __init__(
        self,
        kernel: Any,
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
        fields: tuple[str, ...],
        num_chains: int,
        num_warmup: int,
        init_params: PyTree,
        cache: dict[Any, Any],
        *,
        baked: bool = False,
        deterministic: frozenset[str] = frozenset(),
    ) -> None:
        check_chain_axis(init_params, num_chains)
        fields = tuple(dict.fromkeys((kernel.sample_field, *kernel.default_fields, *fields)))
        self.kernel = kernel
        self.args, self.kwargs = args, dict(kwargs)
        self.sample_field = kernel.sample_field
        self.deterministic = deterministic
        arguments, arrays = Arguments.split(args, kwargs, baked)
        self.inputs = arrays if is_traced(arrays) else jax.device_put(arrays)
        self.num_warmup = num_warmup
        self.init_params = init_params
        signature = (kernel, arguments.signature(arrays), fields, num_warmup, _shapes(init_params))
        if signature not in cache:
            cache[signature] = (UserProcess(kernel, arguments, fields), Programs())
        self.process, self.programs = cache[signature]

    def prepare(self, keys: Key) -> None:
        """The start is not compiled: it is the user's Python function."""

    def start(self, keys: Key, num_chains: int) -> list[PyTree]:
        """Call `init` for each chain; once with all keys for an ensemble."""
        if self.kernel.is_ensemble_kernel:
            all_keys = jnp.stack([key_of_chain(keys, i) for i in range(num_chains)])
            return [self._init(all_keys, self.init_params)]
        carries = []
        for i in range(num_chains):
            start = self.init_params
            if num_chains > 1 and start is not None:
                start = jax.tree.map(itemgetter(i), start)
            carries.append(self._init(key_of_chain(keys, i), start))
        return carries

    def _init(self, keys: Key, init_params: PyTree) -> PyTree:
        state = self.kernel.init(keys, self.num_warmup, init_params, self.args, self.kwargs)
        return self.process.settled(jax.tree.map(jnp.asarray, state), self.inputs)

    def public(self, carry: PyTree) -> Any:
        """The carry is the state."""
        return carry

    def carry_of(self, state: Any, before: Any = None) -> PyTree:
        """The state is the carry."""
        return state

    def with_key(self, carry: PyTree, keys: Key, chain: int) -> PyTree:
        """A state with the key of a chain, where it has one: a JAX key, or the two words of one."""
        if "rng_key" not in getattr(carry, "_fields", ()):
            if any(map(random.is_typed, jax.tree.leaves(carry))):
                warnings.warn(
                    f"{type(self.kernel).__name__}: its state has a random key, but no field `rng_key`, by which a continued run "
                    "would get its own: it repeats the random numbers of the state; let that be a named tuple with such a field",
                    stacklevel=find_stack_level(),
                )
            return carry
        key = key_of_chain(keys, chain)
        return carry._replace(rng_key=key if random.is_typed(carry.rng_key) else random.words(key))

    def finish(self, row: Any, inputs: PyTree) -> PyTree:
        """What `postprocess_fn` makes of a sample."""
        args, kwargs = self.process.arguments.join(inputs)
        return self.kernel.postprocess_fn(args, kwargs)(row)

    def unravel(self, rows: Any) -> PyTree:
        """Samples are what they are."""
        return rows

    def expand(self, rows: dict[str, Any]) -> dict[str, Any]:
        """Fields have their names."""
        return rows

    def discrete(self, samples: PyTree) -> dict[str, Any]:
        """What a user's kernel sums out is not known here.

        Raises:
            ValueError: always.
        """
        raise ValueError(
            f"MCMC.get_samples: infer_discrete=True, but {type(self.kernel).__name__} runs as a user's kernel; use "
            "Predictive(model, samples, infer_discrete=True)"
        )

    def problems(self, carries: list[PyTree]) -> list[str]:
        """Nothing is known of a user's kernel."""
        return []


def _shapes(tree: PyTree) -> Any:
    leaves, structure = jax.tree.flatten(tree)
    return structure, tuple((np.shape(leaf), str(jnp.result_type(leaf))) for leaf in leaves)
