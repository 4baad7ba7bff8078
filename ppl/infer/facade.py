"""What public kernels over a target share: model or potential function, binding to arguments, start values, constraining."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ppl._typing import Array, Key, PyTree
from ppl.infer.initialization import init_to_uniform
from ppl.infer.kernel import MCMCKernel
from ppl.infer.run.programs import Programs
from ppl.infer.target.density import Target
from ppl.infer.target.diagnose import explain
from ppl.infer.target.gradient import GradientTarget
from ppl.infer.target.layout import Layout
from ppl.infer.target.model import Arguments, BoundModel, bind, contents
from ppl.infer.target.potential import PotentialTarget, TreeLayout
from ppl.infer.target.start import propose_start
from ppl.util import not_jax_tracer

__all__ = ["Binding", "TargetKernel"]

MAX_BINDINGS = 8


@dataclass(frozen=True, eq=False)
class Binding:
    """A kernel bound to arguments of certain shapes.

    Attributes:
        target: the target; in place of arrays it has their shapes and types.
        model: the bound model, or None for a potential function.
        fixed: contents of the arrays, where the model has them fixed.
        processes: what the run executes, by the fields that it collects.
        programs: the compiled programs, by the same.
    """

    target: Any
    model: BoundModel | None
    fixed: bytes | None = None
    processes: dict[tuple[str, ...], Any] = field(default_factory=dict)
    programs: dict[tuple[str, ...], Programs] = field(default_factory=dict)

    def check_data(self, arrays: tuple[Any, ...]) -> None:
        """Warn of data outside the support of their site."""
        if self.model is not None:
            self.model.check_data(arrays)

    def with_arrays(self, arrays: tuple[Any, ...]) -> Any:
        """The target with these array arguments."""
        return replace(self.target, arrays=arrays)


def _shapes_of(arrays: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple(jax.ShapeDtypeStruct(np.shape(a), jax.dtypes.canonicalize_dtype(a.dtype)) for a in arrays)


class TargetKernel(MCMCKernel):
    """A kernel on continuous sites of a model, or on the pytree of a potential function."""

    sample_field = "z"

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
                return Binding(PotentialTarget(_shapes_of(arrays), self._potential_fn, arguments, layout, forward), None)
            return Binding(PotentialTarget((), self._potential_fn, None, layout, forward), None)
        assert self._model is not None
        model, kept = bind(self._model, args, kwargs)
        shapes = {site.name: site.unconstrained_shape for site in model.facts.latents}
        position = Layout.of(shapes, model.facts.dtype, self._site_order(shapes))
        target = Target(_shapes_of(kept), {}, model, position, forward)
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

    def raise_invalid_start(self, binding: Binding, target: GradientTarget, position: np.ndarray, was_given: bool) -> None:
        """Say why a start has no finite density.

        Raises:
            RuntimeError: always.
        """
        what = "init_params have" if was_given else "Cannot find valid initial parameters: 100 proposals had"
        reasons = explain(target, position) if binding.model is not None else []  # type: ignore[arg-type]
        details = "".join(f"\n  {reason}" for reason in reasons) or "\n  potential_fn or its gradient is not finite there"
        raise RuntimeError(
            f"{what} no finite log density with a finite gradient. At the last one:{details}\n"
            "Check the data and the supports, or choose another start: init_params, or init_strategy such as "
            "init_to_median or init_to_value."
        )

    # What users call

    def _bound(self, model_args: tuple[Any, ...], model_kwargs: Mapping[str, Any] | None) -> GradientTarget:
        if self._latest is None:
            raise RuntimeError(f"{type(self).__name__}: call `init` (or run MCMC) first")
        binding, arrays = self.bind(model_args, model_kwargs or {}, None)
        return binding.with_arrays(arrays)

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
