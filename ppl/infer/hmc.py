"""Hamiltonian Monte Carlo and the no-U-turn sampler as kernels of MCMC."""

import warnings
from collections.abc import Callable, Mapping, Sequence
from math import pi, prod
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import random
from jax.flatten_util import ravel_pytree

from ppl._typing import Array, Key, PyTree
from ppl.diagnostics import ebfmi
from ppl.infer.adaptation.warmup import Warmup
from ppl.infer.algorithms.hmc import HMC as HMCTransition
from ppl.infer.algorithms.metric import EuclideanKinetic, Kinetic, Metric
from ppl.infer.algorithms.nuts import NUTS as NUTSTransition
from ppl.infer.arguments import check_number
from ppl.infer.binding import Binding
from ppl.infer.blocks import Blocks, check_mass, flat_blocks, site_blocks
from ppl.infer.facade import TargetKernel
from ppl.infer.hamiltonian import HamiltonianProcess, HMCAdaptState, HMCState
from ppl.infer.initialization import init_to_uniform
from ppl.util import find_stack_level

__all__ = ["HMC", "NUTS", "HMCAdaptState", "HMCState", "hmc", "momentum_generator"]


class UserKinetic:
    """A kinetic energy that the user gives: a function of the inverse mass matrix and the momentum, in their public forms.

    Momenta are drawn from N(0, M) whatever the function: it samples the right distribution only if exp(-K) is that normal density.
    """

    def __init__(self, kinetic_fn: Callable[[Any, PyTree], Array], layout: Any, names: tuple[tuple[str, ...], ...] | None) -> None:
        self.kinetic_fn = kinetic_fn
        self.layout = layout
        self.names = names

    def energy(self, metric: Metric, momentum: Array) -> Array:
        """K(p), a scalar."""
        inverse = metric.inverse[0] if self.names is None else dict(zip(self.names, metric.inverse))
        return self.kinetic_fn(inverse, self.layout.unravel(momentum))

    def velocity(self, metric: Metric, momentum: Array) -> Array:
        """The gradient of K at p."""
        return jax.grad(self.energy, argnums=1)(metric, momentum)


class HMC(TargetKernel):
    """Hamiltonian Monte Carlo with windowed adaptation of step size and mass matrix.

    Args:
        model: the model; exactly one of it and `potential_fn`.
        potential_fn: the potential energy, a function of a pytree of unconstrained values; `init_params` is then needed.
        kinetic_fn: a function of the inverse mass matrix and the momentum; momenta are drawn from N(0, M) nevertheless.
        step_size: of the leapfrog integrator; where adaptation starts.
        inverse_mass_matrix: where adaptation starts: a vector or matrix over the sorted sites, or a dict from tuples of sites to
            vectors and matrices; default: the identity.
        adapt_step_size: adapt the step size by dual averaging.
        adapt_mass_matrix: adapt the mass matrix by the covariance of the warm-up draws.
        dense_mass: False: diagonal; True: dense; or a list of tuples of sites that are dense together.
        target_accept_prob: acceptance probability that adaptation of the step size aims at.
        num_steps: number of leapfrog steps; None: the trajectory length divided by the step size, rounded up.
        trajectory_length: length of a trajectory; None: `num_steps` steps.
        init_strategy: start values; see `ppl.infer.initialization`.
        find_heuristic_step_size: search a reasonable step size at the start and whenever the mass matrix changes.
        forward_mode_differentiation: take gradients in forward mode, which works through `while_loop`.
        regularize_mass_matrix: shrink covariances of few draws.

    Raises:
        ValueError: if an argument is out of its range, or they contradict each other.

    Source: Neal (2011), "MCMC using Hamiltonian dynamics"; warm-up: Stan reference manual.

    Example:
        >>> import ppl
        >>> import ppl.distributions as dist
        >>> from jax import random
        >>> from ppl.infer import HMC, MCMC
        >>> def model():
        ...     ppl.sample("x", dist.Normal(0.0, 1.0))
        >>> mcmc = MCMC(HMC(model, trajectory_length=1.5), num_warmup=50, num_samples=50, progress_bar=False)
        >>> mcmc.run(random.key(0))
        >>> mcmc.get_samples()["x"].shape
        (50,)
    """

    def __init__(
        self,
        model: Callable[..., Any] | None = None,
        potential_fn: Callable[..., Any] | None = None,
        kinetic_fn: Callable[..., Any] | None = None,
        step_size: Any = 1.0,
        inverse_mass_matrix: Any = None,
        adapt_step_size: bool = True,
        adapt_mass_matrix: bool = True,
        dense_mass: bool | Sequence[tuple[str, ...]] = False,
        target_accept_prob: Any = 0.8,
        num_steps: int | None = None,
        trajectory_length: Any = 2 * pi,
        init_strategy: Callable[..., Any] = init_to_uniform,
        find_heuristic_step_size: bool = False,
        forward_mode_differentiation: bool = False,
        regularize_mass_matrix: bool = True,
    ) -> None:
        super().__init__(model, potential_fn, init_strategy, forward_mode_differentiation)
        kernel = type(self).__name__
        check_number(kernel, "step_size", step_size, 0.0)
        check_number(kernel, "target_accept_prob", target_accept_prob, 0.0, 1.0)
        if kinetic_fn is not None and not callable(kinetic_fn):
            raise TypeError(
                f"{kernel}: kinetic_fn must be a function of the inverse mass matrix and the momentum, found {kinetic_fn!r}"
            )
        check_mass(dense_mass, inverse_mass_matrix)
        self._kinetic_fn = kinetic_fn
        self._step_size = step_size
        self._inverse_mass_matrix = inverse_mass_matrix
        self._adapt_step_size = adapt_step_size
        self._adapt_mass_matrix = adapt_mass_matrix
        self._dense_mass = dense_mass
        self._target_accept_prob = target_accept_prob
        self._find_heuristic_step_size = find_heuristic_step_size
        self._regularize_mass_matrix = regularize_mass_matrix
        self._set_trajectory(num_steps, trajectory_length)

    def _set_trajectory(self, num_steps: int | None, trajectory_length: Any) -> None:
        kernel = type(self).__name__
        if num_steps is None and trajectory_length is None:
            raise ValueError(f"{kernel}: At least one of `num_steps` and `trajectory_length` must be given, found None for both")
        if trajectory_length is not None:
            check_number(kernel, "trajectory_length", trajectory_length, 0.0)
        if num_steps is not None:
            if isinstance(num_steps, bool) or not isinstance(num_steps, int | np.integer):
                raise TypeError(f"{kernel}: num_steps must be a whole number, found {num_steps!r}")
            check_number(kernel, "num_steps", num_steps, 0)
            if trajectory_length is not None and self._adapt_step_size:
                warnings.warn(
                    f"{kernel}: If both `num_steps` and `trajectory_length` are given, the step size is their quotient and is not "
                    "adapted; pass trajectory_length=None for a fixed number of steps of adapted size",
                    stacklevel=find_stack_level(),
                )
        self._num_steps = num_steps
        self._trajectory_length = trajectory_length

    @property
    def default_fields(self) -> tuple[str, ...]:
        """What a run always collects."""
        return ("z", "diverging")

    def get_diagnostics_str(self, state: HMCState) -> str:
        """Steps, step size and mean acceptance probability of a state."""
        step_size = float(np.mean(state.adapt_state.step_size))
        accepted = float(np.mean(state.mean_accept_prob))
        return f"{int(np.max(state.num_steps))} steps of size {step_size:.2e}. acc. prob={accepted:.2f}"

    def get_advice(self, fields: Mapping[str, Any]) -> list[str]:
        """Divergences, low E-BFMI, and what to do about them."""
        lines = []
        if "diverging" in fields:
            count = int(np.sum(fields["diverging"]))
            lines.append(f"Number of divergences: {count}")
            if count:
                lines.append(
                    "  Divergent trajectories left the region where the integrator is accurate, so the draws may miss part of the "
                    "posterior: raise target_accept_prob (0.95, say), or reparameterise (a hierarchical scale: non-centred)."
                )
        lines += self._depth_advice(fields)
        energy = np.asarray(fields.get("energy", np.zeros((0, 0))))
        if energy.shape[-1] > 3:
            low = float(np.min(ebfmi(energy)))
            if low < 0.3:
                lines.append(
                    f"Low E-BFMI: {low:.2f}, below 0.3. Momenta explore the energies slowly, as with heavy tails or a funnel: "
                    "reparameterise, or take more draws."
                )
        return lines

    def _depth_advice(self, fields: Mapping[str, Any]) -> list[str]:
        return []

    # What the run executes

    def _blocks(self, sizes: Mapping[str, int] | None, dimension: int) -> Blocks:
        if sizes is None:
            return flat_blocks(dimension, self._dense_mass, self._inverse_mass_matrix)
        return site_blocks(sizes, self._dense_mass, self._inverse_mass_matrix)

    def _site_order(self, shapes: Mapping[str, tuple[int, ...]]) -> tuple[str, ...] | None:
        return self._blocks({name: prod(shape) for name, shape in shapes.items()}, 0).order

    def _max_step_size(self) -> Any:
        """A trajectory of one step is as long as the trajectory, whatever the step size."""
        return self._trajectory_length if self._num_steps is None else None

    def _transition(self, kinetic: Kinetic) -> HMCTransition | NUTSTransition:
        return HMCTransition(num_steps=self._num_steps, trajectory_length=self._trajectory_length, kinetic=kinetic)

    def _new_process(self, binding: Binding, fields: tuple[str, ...]) -> HamiltonianProcess:
        layout = binding.target.layout
        blocks = self._blocks(None if binding.model is None else layout.sizes(), layout.dimension)
        kinetic: Kinetic = EuclideanKinetic()
        if self._kinetic_fn is not None:
            kinetic = UserKinetic(self._kinetic_fn, layout, blocks.names)
        warmup = Warmup(
            target_accept_prob=self._target_accept_prob,
            adapt_step_size=self._adapt_step_size,
            adapt_metric=self._adapt_mass_matrix,
            regularize=self._regularize_mass_matrix,
            block_shapes=blocks.shapes,
            max_step_size=self._max_step_size(),
        )
        return HamiltonianProcess(
            kernel=self._transition(kinetic),
            warmup=warmup,
            initial_step_size=self._step_size,
            initial_inverse=blocks.inverse,
            search_step_size=self._find_heuristic_step_size,
            block_names=blocks.names,
            **self._settings(binding, fields),
        )


class NUTS(HMC):
    """The no-U-turn sampler: Hamiltonian Monte Carlo that chooses the length of each trajectory by itself.

    Args:
        model: the model; exactly one of it and `potential_fn`.
        potential_fn: the potential energy, a function of a pytree of unconstrained values; `init_params` is then needed.
        kinetic_fn: as in `HMC`.
        step_size: as in `HMC`.
        inverse_mass_matrix: as in `HMC`.
        adapt_step_size: as in `HMC`.
        adapt_mass_matrix: as in `HMC`.
        dense_mass: as in `HMC`.
        target_accept_prob: as in `HMC`.
        trajectory_length: accepted and without effect.
        max_tree_depth: at most 2**depth - 1 leapfrog steps are taken; or a pair, for warm-up and after it.
        init_strategy: as in `HMC`.
        find_heuristic_step_size: as in `HMC`.
        forward_mode_differentiation: as in `HMC`.
        regularize_mass_matrix: as in `HMC`.

    Raises:
        ValueError: if an argument is out of its range, or they contradict each other.

    Source: Hoffman, Gelman (2014), JMLR 15; Betancourt (2017), arXiv:1701.02434, appendix A; Phan, Pradhan, Jankowiak (2019),
    arXiv:1912.11554, appendix A.

    Example:
        >>> import ppl
        >>> import ppl.distributions as dist
        >>> from jax import random
        >>> from ppl.infer import MCMC, NUTS
        >>> def model(y):
        ...     mu = ppl.sample("mu", dist.Normal(0.0, 10.0))
        ...     ppl.sample("y", dist.Normal(mu, 1.0), obs=y)
        >>> mcmc = MCMC(NUTS(model), num_warmup=50, num_samples=50, progress_bar=False)
        >>> mcmc.run(random.key(0), 2.0)
        >>> mcmc.get_samples()["mu"].shape
        (50,)
    """

    def __init__(
        self,
        model: Callable[..., Any] | None = None,
        potential_fn: Callable[..., Any] | None = None,
        kinetic_fn: Callable[..., Any] | None = None,
        step_size: Any = 1.0,
        inverse_mass_matrix: Any = None,
        adapt_step_size: bool = True,
        adapt_mass_matrix: bool = True,
        dense_mass: bool | Sequence[tuple[str, ...]] = False,
        target_accept_prob: Any = 0.8,
        trajectory_length: Any = None,
        max_tree_depth: int | tuple[int, int] = 10,
        init_strategy: Callable[..., Any] = init_to_uniform,
        find_heuristic_step_size: bool = False,
        forward_mode_differentiation: bool = False,
        regularize_mass_matrix: bool = True,
    ) -> None:
        self._max_tree_depth = _tree_depths(max_tree_depth)
        super().__init__(
            model=model,
            potential_fn=potential_fn,
            kinetic_fn=kinetic_fn,
            step_size=step_size,
            inverse_mass_matrix=inverse_mass_matrix,
            adapt_step_size=adapt_step_size,
            adapt_mass_matrix=adapt_mass_matrix,
            dense_mass=dense_mass,
            target_accept_prob=target_accept_prob,
            num_steps=None,
            trajectory_length=trajectory_length,
            init_strategy=init_strategy,
            find_heuristic_step_size=find_heuristic_step_size,
            forward_mode_differentiation=forward_mode_differentiation,
            regularize_mass_matrix=regularize_mass_matrix,
        )

    def _set_trajectory(self, num_steps: int | None, trajectory_length: Any) -> None:
        if trajectory_length is not None:
            check_number("NUTS", "trajectory_length", trajectory_length, 0.0)

    def _max_step_size(self) -> None:
        """A tree has no given length."""

    def _transition(self, kinetic: Kinetic) -> NUTSTransition:
        return NUTSTransition(max_tree_depth=self._max_tree_depth, kinetic=kinetic)

    def _depth_advice(self, fields: Mapping[str, Any]) -> list[str]:
        limit = 2 ** self._max_tree_depth[1] - 1
        count = int(np.sum(np.asarray(fields.get("num_steps", 0)) >= limit))
        if not count:
            return []
        return [
            f"Trees at maximum depth {self._max_tree_depth[1]}: {count}. Trajectories were cut before they turned, which costs "
            "efficiency, not correctness: warm up longer, try dense_mass=True, rescale or reparameterise, or raise max_tree_depth."
        ]

    @property
    def max_tree_depth(self) -> tuple[int, int]:
        """The limits of the tree depth, in warm-up and after it."""
        return self._max_tree_depth


def _tree_depths(max_tree_depth: Any) -> tuple[int, int]:
    pair = max_tree_depth if isinstance(max_tree_depth, tuple | list) else (max_tree_depth, max_tree_depth)
    if len(pair) != 2 or any(isinstance(depth, bool) or not isinstance(depth, int | np.integer) for depth in pair):
        raise TypeError(f"NUTS: max_tree_depth must be a whole number or a pair of them, found {max_tree_depth!r}")
    if not all(1 <= depth <= 20 for depth in pair):
        raise ValueError(f"NUTS: max_tree_depth must lie between 1 and 20, found {max_tree_depth!r}")
    return int(pair[0]), int(pair[1])


class _Functions:
    """The functional form: an initialiser, whose settings the transition uses."""

    def __init__(self, potential_fn: Any, potential_fn_gen: Any, kinetic_fn: Any, algo: str) -> None:
        if algo not in ("HMC", "NUTS"):
            raise ValueError(f'hmc: algo must be "HMC" or "NUTS", found {algo!r}')
        if (potential_fn is None) == (potential_fn_gen is None):
            found = "neither" if potential_fn is None else "both"
            raise ValueError(f"hmc: expected exactly one of `potential_fn` and `potential_fn_gen`, found {found}")
        self.potential_fn, self.potential_fn_gen, self.kinetic_fn, self.algo = potential_fn, potential_fn_gen, kinetic_fn, algo
        self.kernel: HMC | None = None

    def init_kernel(
        self,
        init_params: Any,
        num_warmup: int,
        step_size: Any = 1.0,
        inverse_mass_matrix: Any = None,
        adapt_step_size: bool = True,
        adapt_mass_matrix: bool = True,
        dense_mass: bool = False,
        target_accept_prob: Any = 0.8,
        *,
        num_steps: int | None = None,
        trajectory_length: Any = 2 * pi,
        max_tree_depth: int | tuple[int, int] = 10,
        find_heuristic_step_size: bool = False,
        forward_mode_differentiation: bool = False,
        regularize_mass_matrix: bool = True,
        model_args: tuple[Any, ...] = (),
        model_kwargs: Mapping[str, Any] | None = None,
        rng_key: Key | None = None,
    ) -> HMCState:
        """The initial state at `init_params`, a pytree or a `ParamInfo`; the other arguments are those of `HMC` and `NUTS`."""
        options: dict[str, Any] = dict(
            potential_fn=self.potential_fn if self.potential_fn is not None else self.potential_fn_gen,
            kinetic_fn=self.kinetic_fn,
            step_size=step_size,
            inverse_mass_matrix=inverse_mass_matrix,
            adapt_step_size=adapt_step_size,
            adapt_mass_matrix=adapt_mass_matrix,
            dense_mass=dense_mass,
            target_accept_prob=target_accept_prob,
            find_heuristic_step_size=find_heuristic_step_size,
            forward_mode_differentiation=forward_mode_differentiation,
            regularize_mass_matrix=regularize_mass_matrix,
        )
        if self.algo == "NUTS":
            kernel: HMC = NUTS(max_tree_depth=max_tree_depth, **options)
        else:
            kernel = HMC(num_steps=num_steps, trajectory_length=trajectory_length, **options)
        if self.potential_fn is None:
            kernel.make_potential_from_arguments()
        self.kernel = kernel
        start = init_params.z if hasattr(init_params, "z") and hasattr(init_params, "z_grad") else init_params
        return kernel.init(random.key(0) if rng_key is None else rng_key, num_warmup, start, model_args, model_kwargs)

    def sample_kernel(
        self, state: HMCState, model_args: tuple[Any, ...] = (), model_kwargs: Mapping[str, Any] | None = None
    ) -> HMCState:
        """The next state."""
        if self.kernel is None:
            raise ValueError("hmc: call init_kernel before sample_kernel")
        return self.kernel.sample(state, model_args, model_kwargs)


def hmc(
    potential_fn: Callable[..., Any] | None = None,
    potential_fn_gen: Callable[..., Any] | None = None,
    kinetic_fn: Callable[..., Any] | None = None,
    algo: str = "NUTS",
) -> tuple[Callable[..., HMCState], Callable[..., HMCState]]:
    """HMC or NUTS as two functions, which can be jitted and vmapped.

    Args:
        potential_fn: the potential energy of a pytree; exactly one of it and the next.
        potential_fn_gen: a function of the model's arguments that returns it.
        kinetic_fn: as in `HMC`.
        algo: `"HMC"` or `"NUTS"`.

    Returns:
        `init_kernel` and `sample_kernel`.

    Example:
        >>> from jax import jit, random
        >>> init_kernel, sample_kernel = hmc(lambda z: 0.5 * z**2)
        >>> state = init_kernel(1.0, num_warmup=0, step_size=0.5, rng_key=random.key(0))
        >>> jit(sample_kernel)(state).z.shape
        ()
    """
    functions = _Functions(potential_fn, potential_fn_gen, kinetic_fn, algo)
    return functions.init_kernel, functions.sample_kernel


def momentum_generator(prototype_r: PyTree, mass_matrix_sqrt: Any, rng_key: Key) -> PyTree:
    """A momentum from N(0, M), of the structure of `prototype_r`.

    Args:
        prototype_r: a pytree of arrays.
        mass_matrix_sqrt: R with M = R R': a vector, a matrix, or a dict from tuples of names to them.
        rng_key: a random key.
    """
    if isinstance(mass_matrix_sqrt, Mapping):
        keys = random.split(rng_key, len(mass_matrix_sqrt))
        result: dict[str, Any] = {}
        for key, (names, block) in zip(keys, mass_matrix_sqrt.items()):
            result |= momentum_generator({name: prototype_r[name] for name in names}, block, key)
        return result
    flat, unravel = ravel_pytree(prototype_r)
    noise = random.normal(rng_key, flat.shape, flat.dtype)
    return unravel(mass_matrix_sqrt * noise if jnp.ndim(mass_matrix_sqrt) == 1 else mass_matrix_sqrt @ noise)
