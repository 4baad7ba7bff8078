"""What public kernels over a target share: model or potential function, binding to arguments, start values, running."""

from abc import abstractmethod
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ppl._random import words
from ppl._typing import Array, Key, PyTree
from ppl.infer.adaptation.warmup import Schedule
from ppl.infer.adaptation.windows import window_ends
from ppl.infer.binding import Binding
from ppl.infer.initialization import init_to_uniform
from ppl.infer.kernel import MCMCKernel, overridden
from ppl.infer.launch import Launch, UserLaunch, check_chain_axis, is_traced
from ppl.infer.target.density import Target
from ppl.infer.target.gradient import GradientTarget
from ppl.infer.target.layout import Layout
from ppl.infer.target.model import Arguments, bind, contents
from ppl.infer.target.potential import PotentialTarget, TreeLayout
from ppl.infer.target.start import PositionStrategy, propose_start
from ppl.infer.target_launch import TargetLaunch
from ppl.infer.target_process import Inputs, TargetProcess
from ppl.util import as_key, not_jax_tracer

__all__ = ["TargetKernel", "shapes_of"]

MAX_BINDINGS = 8


def shapes_of(arrays: tuple[Any, ...]) -> tuple[Any, ...]:
    """Shapes and types of arrays, in the width that programs have."""
    return tuple(jax.ShapeDtypeStruct(np.shape(a), jax.dtypes.canonicalize_dtype(a.dtype)) for a in arrays)


class TargetKernel(MCMCKernel):
    """A kernel on continuous sites of a model, or on the pytree of a potential function.

    Attributes:
        not_a_block: why it cannot be a block of Gibbs sampling, and what to do; empty where it can.
    """

    sample_field = "z"
    not_a_block = ""

    def __init__(
        self,
        model: Callable[..., Any] | None,
        potential_fn: Callable[..., Any] | None,
        init_strategy: Callable[..., Any] = init_to_uniform,
        forward_mode_differentiation: bool = False,
    ) -> None:
        kernel = type(self).__name__
        self._makes_potential = False
        if (model is None) == (potential_fn is None):
            found = "neither" if model is None else "both"
            raise ValueError(f"{kernel}: expected exactly one of `model` and `potential_fn`, found {found}")
        for name, fn in (("model", model), ("potential_fn", potential_fn), ("init_strategy", init_strategy)):
            if fn is not None and not callable(fn):
                cure = "; pass one such as ppl.infer.init_to_uniform" if name == "init_strategy" else ""
                raise TypeError(f"{kernel}: `{name}` must be a function, found {fn!r} of type {type(fn).__name__}{cure}")
        self._model = model
        self._potential_fn = potential_fn
        self._init_strategy = init_strategy
        self._forward_mode_differentiation = bool(forward_mode_differentiation)
        self._num_warmup = 0
        self._bindings: dict[Any, Binding] = {}
        self._latest: Binding | None = None

    def make_potential_from_arguments(self) -> None:
        """Take `potential_fn` as a function of the model's arguments that returns the potential energy function."""
        self._makes_potential = True

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_bindings": {}, "_latest": None}

    @property
    def model(self) -> Callable[..., Any] | None:
        """The model; None for a potential function."""
        return self._model

    # Binding

    def bind(self, args: tuple[Any, ...], kwargs: Mapping[str, Any], init_params: Any, batch: int = 0) -> tuple[Binding, Any]:
        """The binding to arguments of these shapes, made when there is none yet, and the array arguments.

        Args:
            args: positional arguments of the model.
            kwargs: keyword arguments of the model.
            init_params: with a potential function, a pytree like its argument.
            batch: leading axes of `init_params` that number chains.
        """
        arguments, arrays = Arguments.split(args, kwargs)
        layout = None if self._model is not None else self._tree_layout(init_params, batch)
        key = (arguments.signature(arrays), layout, str(jax.dtypes.canonicalize_dtype(float)))
        binding = self._bindings.get(key)
        if binding is None or (binding.fixed is not None and binding.fixed != contents(arrays)):
            binding = self._new_binding(args, kwargs, arguments, arrays, layout)
            if len(self._bindings) >= MAX_BINDINGS:
                self._bindings.pop(next(iter(self._bindings)))
            self._bindings[key] = binding
        self._latest = binding
        return binding, arrays[: len(binding.target.arrays)]

    def _new_binding(
        self,
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
        arguments: Arguments,
        arrays: tuple[Any, ...],
        layout: TreeLayout | None,
    ) -> Binding:
        forward = self._forward_mode_differentiation
        if layout is not None:
            assert self._potential_fn is not None
            if self._makes_potential:
                return Binding(PotentialTarget(shapes_of(arrays), self._potential_fn, arguments, layout, forward), None)
            return Binding(PotentialTarget((), self._potential_fn, None, layout, forward), None)
        assert self._model is not None
        model, kept = bind(self._model, args, kwargs)
        shapes = {site.name: site.unconstrained_shape for site in model.facts.latents}
        position = Layout.of(shapes, model.facts.dtype, self._site_order(shapes))
        target = Target(shapes_of(kept), {}, model, position, forward)
        return Binding(target, model, contents(arrays) if model.baked else None)

    def _site_order(self, shapes: Mapping[str, tuple[int, ...]]) -> tuple[str, ...] | None:
        """The order of the sites in the position; None: by name."""
        return None

    def _tree_layout(self, init_params: Any, batch: int) -> TreeLayout:
        if init_params is None:
            if self._latest is not None:
                return self._latest.target.layout
            raise ValueError(
                f"{type(self).__name__}: with potential_fn, init_params is needed: a start value, a pytree like the argument of "
                "potential_fn"
            )
        return TreeLayout.of(init_params, batch)

    # Start values

    def propose(self, key: Key, attempt: Array, target: Target) -> Array:
        """A position by the init strategy."""
        return propose_start(key, attempt, target, self._init_strategy)

    def start_positions(self, binding: Binding, init_params: Any, num_chains: int) -> tuple[Any, bool] | None:
        """The user's start values as positions `(c, d)`, and whether sites are missing; their coordinates are nan.

        Args:
            binding: the binding.
            init_params: unconstrained values, one set, or for several chains one for each with a leading axis; or None.
            num_chains: number of chains.

        Raises:
            ValueError: if a site is unknown, a shape is wrong, or a value is not finite.
        """
        if init_params is None:
            return None
        layout = binding.target.layout
        if binding.model is not None:
            if not isinstance(init_params, Mapping):
                raise ValueError(f"init_params: expected a dict from site names to values, found {type(init_params).__name__}")
            layout.check_names(init_params)
            shapes = {slot.name: slot.shape for slot in layout.slots}
            is_shared = all(np.shape(value) == shapes[name] for name, value in init_params.items())
            batch = () if num_chains == 1 or is_shared else (num_chains,)
            missing = {name: np.full(batch + shape, np.nan) for name, shape in shapes.items() if name not in init_params}
            init_params = {**init_params, **missing}
        else:
            check_chain_axis(init_params, num_chains)
            batch, missing = (() if num_chains == 1 else (num_chains,)), {}
        if not all(map(not_jax_tracer, jax.tree.leaves(init_params))):
            ravel = jax.vmap(layout.ravel) if batch else layout.ravel
            position = ravel(init_params)
            return (position if batch else jnp.broadcast_to(position, (num_chains, *position.shape))), bool(missing)
        position = layout.ravel_host(init_params, batch)
        for slot in () if binding.model is None else layout.slots:
            part = position[..., slot.start : slot.start + slot.size]
            if slot.name not in missing and not np.isfinite(part).all():
                raise ValueError(f"init_params: site {slot.name!r} has values that are not finite; pass finite ones")
        return np.broadcast_to(position, (num_chains, position.shape[-1])), bool(missing)

    # What the run executes

    def process(self, binding: Binding, fields: tuple[str, ...] = ()) -> TargetProcess:
        """A chain as the run executes it, reading these fields of the state beside the standard ones."""
        process = binding.processes.get(fields)
        if process is None:
            process = binding.processes[fields] = self._new_process(binding, fields)
        return process

    def _settings(self, binding: Binding, fields: tuple[str, ...]) -> dict[str, Any]:
        """What every process is made of."""
        return dict(
            target=binding.target,
            propose=None if binding.model is None else self.propose,
            proposes_directly=isinstance(self._init_strategy, PositionStrategy),
            fields=fields,
        )

    @abstractmethod
    def _new_process(self, binding: Binding, fields: tuple[str, ...]) -> TargetProcess:
        """A chain on the target of a binding."""

    def inputs(self, binding: Binding, arrays: tuple[Any, ...], num_warmup: int) -> Inputs:
        """The arrays that all chains share."""
        schedule = Schedule(num_warmup=np.int32(num_warmup), window_ends=window_ends(num_warmup))
        inputs = Inputs(target=self._target_with(binding, arrays), schedule=schedule)
        return inputs if is_traced(inputs) else jax.device_put(inputs)

    def _target_with(self, binding: Binding, arrays: tuple[Any, ...]) -> Any:
        """The target of a run."""
        return binding.with_arrays(arrays)

    def launch(
        self,
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
        *,
        fields: tuple[str, ...],
        init_params: PyTree,
        num_chains: int,
        num_warmup: int,
        cache: dict[Any, Any],
    ) -> Launch:
        """Bind the kernel to arguments, for a run; where a class defines methods of a run anew, as a user's kernel."""
        self._num_warmup = num_warmup
        if not overridden(self):
            return self.launch_on_target(args, kwargs, fields, init_params, num_chains, num_warmup)
        binding, _ = self.bind(args, kwargs, init_params, int(num_chains > 1))
        return UserLaunch(
            self,
            args,
            kwargs,
            fields,
            num_chains,
            num_warmup,
            init_params,
            cache,
            baked=binding.fixed is not None,
            deterministic=binding.deterministic,
        )

    def launch_on_target(
        self,
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
        fields: tuple[str, ...],
        init_params: PyTree,
        num_chains: int,
        num_warmup: int,
    ) -> Launch:
        """The kernel bound to arguments, its chains being compiled processes on the target."""
        binding, arrays = self.bind(args, kwargs, init_params, int(num_chains > 1))
        binding.check_data(arrays)
        given = self.start_positions(binding, init_params, num_chains)
        process = self._process_to_run(binding, fields)
        return TargetLaunch(binding, process, self.inputs(binding, arrays, num_warmup), given)

    def _process_to_run(self, binding: Binding, fields: tuple[str, ...]) -> Any:
        """A chain that reads these fields, and the default fields that are no statistics, which are read anyway."""
        process = self.process(binding, fields)
        read = {self.sample_field, *process.statistic_names, *fields}
        unread = tuple(dict.fromkeys(name for name in self.default_fields if name not in read))
        return self.process(binding, (*unread, *fields)) if unread else process

    # One transition at a time

    def init(
        self,
        rng_key: Key,
        num_warmup: int,
        init_params: Any = None,
        model_args: tuple[Any, ...] = (),
        model_kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """The initial state.

        Args:
            rng_key: a random key.
            num_warmup: the number of iterations in which to adapt.
            init_params: unconstrained start values; None: by the init strategy.
            model_args: positional arguments of the model.
            model_kwargs: keyword arguments of the model.

        Raises:
            RuntimeError: if no start with finite density and gradient is found.
        """
        self._num_warmup = num_warmup
        binding, arrays = self.bind(model_args, model_kwargs or {}, init_params)
        binding.check_data(arrays)
        process, inputs = self.process(binding), self.inputs(binding, arrays, num_warmup)
        found = self.start_positions(binding, init_params, 1)
        given, is_partial = (None, False) if found is None else (found[0][0], found[1])
        start = process.start_partly_given if is_partial else process.start
        point = jax.jit(start)(words(as_key(rng_key)), inputs, given)
        if not_jax_tracer(point.is_valid) and not point.is_valid:
            binding.raise_invalid_start(*process.blame(point, inputs), given is not None)
        return process.public_state(jax.tree.map(jnp.asarray, process.chain_at(point)))

    def sample(self, state: Any, model_args: tuple[Any, ...] = (), model_kwargs: Mapping[str, Any] | None = None) -> Any:
        """The next state.

        Raises:
            ValueError: before `init`.
        """
        if self._latest is None:
            raise ValueError(f"{type(self).__name__}.sample: call `init` first")
        binding, arrays = self.bind(model_args, model_kwargs or {}, None)
        process, inputs = self.process(binding), self.inputs(binding, arrays, self._num_warmup)
        carry = process.continued(state)
        return process.public_state(process.step(jax.tree.map(jnp.asarray, carry), inputs))

    def refresh(self, state: Any, model_args: tuple[Any, ...] = (), model_kwargs: Mapping[str, Any] | None = None) -> Any:
        """The same position with what is cached of the density computed again."""
        binding, arrays = self.bind(model_args, model_kwargs or {}, None)
        process = self.process(binding)
        return process.public_state(process.rebase(process.continued(state), self._target_with(binding, arrays)))

    def wrap_model(self, wrapper: Callable[[Callable[..., Any]], Callable[..., Any]]) -> "TargetKernel":
        """A copy of the kernel on `wrapper(model)`.

        Raises:
            ValueError: if the kernel has a potential function instead of a model.
        """
        if self._model is None:
            raise ValueError(f"{type(self).__name__}.wrap_model: the kernel is built from potential_fn and has no model to wrap")
        copy = object.__new__(type(self))
        copy.__dict__.update(self.__getstate__())
        copy._bindings = {}
        copy._model = wrapper(self._model)
        return copy

    # What users call

    def _bound(self, model_args: tuple[Any, ...], model_kwargs: Mapping[str, Any] | None) -> GradientTarget:
        if self._latest is None:
            raise RuntimeError(f"{type(self).__name__}: call `init` (or run MCMC) first")
        binding, arrays = self.bind(model_args, model_kwargs or {}, None)
        return self._target_with(binding, arrays)

    def get_potential_fn(
        self, model_args: tuple[Any, ...] = (), model_kwargs: Mapping[str, Any] | None = None
    ) -> Callable[[PyTree], Array]:
        """The potential energy as a function of unconstrained values.

        Raises:
            RuntimeError: before `init`.
        """
        target: Any = self._bound(model_args, model_kwargs)
        return lambda z: target(target.layout.ravel(z))

    def get_constrain_fn(
        self,
        model_args: tuple[Any, ...] = (),
        model_kwargs: Mapping[str, Any] | None = None,
        *,
        return_deterministic: bool = False,
    ) -> Callable[[PyTree], PyTree]:
        """A function from unconstrained to constrained values.

        Raises:
            RuntimeError: before `init`.
        """
        target: Any = self._bound(model_args, model_kwargs)
        if isinstance(target, PotentialTarget):
            return lambda z: z
        return lambda z: target.constrain(target.layout.ravel(z), deterministic=return_deterministic)

    def postprocess_fn(self, model_args: tuple[Any, ...], model_kwargs: Mapping[str, Any]) -> Callable[[PyTree], PyTree]:
        """A function from unconstrained values to constrained ones and deterministic sites."""
        return self.get_constrain_fn(model_args, model_kwargs, return_deterministic=True)
