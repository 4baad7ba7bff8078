"""The building blocks of HMC as functions of pytrees: integrator, tree, adaptation.

The kernels of this library work on flat vectors; these functions are the same mathematics for people who build kernels of their
own.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.flatten_util import ravel_pytree

from ppl._random import draw, words
from ppl._typing import Array, Key, PyTree
from ppl.infer.adaptation.covariance import WelfordState, estimate, regularize, welford_init, welford_update
from ppl.infer.adaptation.dual_averaging import DualAveragingState, dual_averaging_init, dual_averaging_update
from ppl.infer.adaptation.step_size_search import search_step_size
from ppl.infer.adaptation.warmup import Schedule, Signal, Warmup, WarmupState
from ppl.infer.adaptation.windows import AdaptWindow, build_adaptation_schedule, window_ends
from ppl.infer.algorithms.metric import Metric, metric_from_inverse
from ppl.infer.algorithms.nuts import BACKWARD, FORWARD, NUTS
from ppl.infer.algorithms.protocols import HamiltonianParams, HamiltonianState
from ppl.infer.hamiltonian import HMCAdaptState
from ppl.infer.merging import consensus, parametric, parametric_draws

__all__ = [
    "AdaptWindow",
    "HMCAdaptState",
    "IntegratorState",
    "TreeInfo",
    "build_adaptation_schedule",
    "build_tree",
    "consensus",
    "dual_averaging",
    "euclidean_kinetic_energy",
    "find_reasonable_step_size",
    "parametric",
    "parametric_draws",
    "velocity_verlet",
    "warmup_adapter",
    "welford_covariance",
]


class IntegratorState(NamedTuple):
    """A phase point: position, momentum, potential energy and its gradient."""

    z: PyTree
    r: PyTree
    potential_energy: Any = None
    z_grad: Any = None


class TreeInfo(NamedTuple):
    """A tree of a NUTS iteration: its ends, its proposal, its depth and log weight, and what became of it."""

    z_left: PyTree
    r_left: PyTree
    z_left_grad: PyTree
    z_right: PyTree
    r_right: PyTree
    z_right_grad: PyTree
    z_proposal: PyTree
    z_proposal_pe: Array
    z_proposal_grad: PyTree
    z_proposal_energy: Array
    depth: Array
    weight: Array
    r_sum: PyTree
    turning: Array
    diverging: Array
    sum_accept_probs: Array
    num_proposals: Array


# Adaptation


def dual_averaging(
    t0: float = 10, kappa: float = 0.75, gamma: float = 0.05
) -> tuple[Callable[..., DualAveragingState], Callable[..., DualAveragingState]]:
    """Dual averaging (Hoffman, Gelman 2014, section 3.2).

    Args:
        t0: stabilises the first updates.
        kappa: exponent of the weights of the average.
        gamma: strength of the pull to `prox_center`.

    Returns:
        `init_fn(prox_center=0.0)` and `update_fn(g, state)`; a state is `(x_t, x_avg, g_avg, t, prox_center)`.

    Example:
        >>> init_fn, update_fn = dual_averaging()
        >>> float(update_fn(-1.0, init_fn()).x_t) > 0
        True
    """

    def init_fn(prox_center: Any = 0.0) -> DualAveragingState:
        return jax.tree.map(jnp.asarray, dual_averaging_init(jnp.asarray(prox_center, jnp.result_type(float))))

    def update_fn(g: Any, state: DualAveragingState) -> DualAveragingState:
        return dual_averaging_update(g, DualAveragingState(*state), t0, kappa, gamma)

    return init_fn, update_fn


def welford_covariance(diagonal: bool = True) -> tuple[Callable[..., Any], Callable[..., Any], Callable[..., Any]]:
    """A running covariance (Welford 1962).

    Args:
        diagonal: estimate variances only.

    Returns:
        `init_fn(size)` for a length, a shape or a dict from tuples of names to shapes, `update_fn(sample, state)`, and
        `final_fn(state, regularize=False)`, which gives the covariance S, R with R R' = S^-1, and R^-1; a state is `(mean, m2, n)`.

    Example:
        >>> init_fn, update_fn, final_fn = welford_covariance()
        >>> state = init_fn(1)
        >>> for x in [1.0, 2.0, 3.0]:
        ...     state = update_fn(jnp.array([x]), state)
        >>> final_fn(state)[0].tolist()
        [1.0]
    """

    def init_fn(size: Any) -> Any:
        if isinstance(size, Mapping):
            return {name: init_fn(shape) for name, shape in size.items()}
        length = int(size) if isinstance(size, int | np.integer) else int(size[-1])
        return jax.tree.map(jnp.asarray, welford_init(((length,) if diagonal else (length, length),), jnp.result_type(float)))

    def update_fn(sample: Any, state: Any) -> Any:
        if isinstance(state, dict):
            return {names: update_fn({name: sample[name] for name in names}, part) for names, part in state.items()}
        return welford_update(ravel_pytree(sample)[0], WelfordState(*state))

    def final_fn(state: Any, regularize: bool = False) -> tuple[Any, Any, Any]:
        if isinstance(state, dict):
            parts = {names: final_fn(part, regularize) for names, part in state.items()}
            covariance, root, inverse = ({names: part[i] for names, part in parts.items()} for i in range(3))
            return covariance, root, inverse
        metric = metric_from_inverse(_regularized(WelfordState(*state), regularize))
        return metric.inverse[0], metric.root[0], metric.root_inverse[0]

    return init_fn, update_fn, final_fn


def _regularized(state: WelfordState, wanted: bool) -> tuple[Array, ...]:
    covariance = estimate(state)
    return regularize(covariance, state.n) if wanted else covariance


def warmup_adapter(
    num_adapt_steps: int,
    find_reasonable_step_size: Callable[..., Array] | None = None,
    adapt_step_size: bool = True,
    adapt_mass_matrix: bool = True,
    dense_mass: bool = False,
    target_accept_prob: float = 0.8,
    regularize_mass_matrix: bool = True,
) -> tuple[Callable[..., HMCAdaptState], Callable[..., HMCAdaptState]]:
    """Windowed adaptation of step size and mass matrix.

    Args:
        num_adapt_steps: number of warm-up iterations.
        find_reasonable_step_size: `(step_size, inverse_mass_matrix, z_info, key) -> step size`, called at the start and whenever
            the mass matrix changes.
        adapt_step_size: adapt the step size.
        adapt_mass_matrix: adapt the mass matrix.
        dense_mass: dense instead of diagonal.
        target_accept_prob: what the step size aims at.
        regularize_mass_matrix: shrink covariances of few draws.

    Returns:
        `init_fn(z_info, rng_key, step_size=1.0, inverse_mass_matrix=None, mass_matrix_size=None)` and
        `update_fn(t, accept_prob, z_info, state)`, both of which give an `HMCAdaptState`.
    """
    schedule = Schedule(num_warmup=np.int32(num_adapt_steps), window_ends=window_ends(num_adapt_steps))

    def adaptation(size: int) -> Warmup:
        return Warmup(
            target_accept_prob=target_accept_prob,
            adapt_step_size=adapt_step_size,
            adapt_metric=adapt_mass_matrix,
            regularize=regularize_mass_matrix,
            block_shapes=((size, size) if dense_mass else (size,),),
        )

    def search(z_info: IntegratorState, key: Key) -> Callable[[Array, Metric], Array] | None:
        if find_reasonable_step_size is None:
            return None
        return lambda step_size, metric: find_reasonable_step_size(step_size, metric.inverse[0], z_info, key)

    def init_fn(
        z_info: IntegratorState,
        rng_key: Key,
        step_size: Any = 1.0,
        inverse_mass_matrix: Any = None,
        mass_matrix_size: int | None = None,
    ) -> HMCAdaptState:
        rng_key, key = jax.random.split(rng_key)
        size = ravel_pytree(z_info.z)[0].size if mass_matrix_size is None else mass_matrix_size
        step = jnp.asarray(step_size, jnp.result_type(float))
        if inverse_mass_matrix is None:
            inverse_mass_matrix = jnp.eye(size) if dense_mass else jnp.ones(size)
        metric = metric_from_inverse((jnp.asarray(inverse_mass_matrix),))
        find = search(z_info, key)
        step = step if find is None else find(step, metric)
        return _public(adaptation(size).init(step, metric), rng_key)

    def update_fn(t: Any, accept_prob: Any, z_info: IntegratorState, state: HMCAdaptState) -> HMCAdaptState:
        rng_key, key = jax.random.split(state.rng_key)
        position = ravel_pytree(z_info.z)[0]
        inner = WarmupState(
            step_size=state.step_size,
            metric=Metric((state.inverse_mass_matrix,), (state.mass_matrix_sqrt,), (state.mass_matrix_sqrt_inv,)),
            tuning=state.ss_state,
            covariance=WelfordState(*state.mm_state),
            window=state.window_idx,
        )
        signal = Signal(position=position, accept_prob=accept_prob)
        updated = adaptation(position.size).update(jnp.asarray(t), signal, inner, schedule, search(z_info, key))
        return _public(updated, rng_key)

    return init_fn, update_fn


def _public(state: WarmupState, rng_key: Key) -> HMCAdaptState:
    metric = state.metric
    return HMCAdaptState(
        step_size=state.step_size,
        inverse_mass_matrix=metric.inverse[0],
        mass_matrix_sqrt=metric.root[0],
        mass_matrix_sqrt_inv=metric.root_inverse[0],
        ss_state=state.tuning,
        mm_state=state.covariance,
        window_idx=state.window,
        rng_key=rng_key,
    )


# Dynamics


def euclidean_kinetic_energy(inverse_mass_matrix: Any, r: PyTree) -> Array:
    """K(r) = r' M^-1 r / 2.

    Args:
        inverse_mass_matrix: a vector (diagonal), a matrix, or a dict from tuples of names to them.
        r: the momentum, a pytree.

    Raises:
        ValueError: if a matrix has other than one or two dimensions.

    Example:
        >>> float(euclidean_kinetic_energy(jnp.array([2.0]), jnp.array([3.0])))
        9.0
    """
    if isinstance(inverse_mass_matrix, Mapping):
        parts = [euclidean_kinetic_energy(block, tuple(r[name] for name in names)) for names, block in inverse_mass_matrix.items()]
        return sum(parts, jnp.zeros(()))
    momentum = ravel_pytree(r)[0]
    rank = jnp.ndim(inverse_mass_matrix)
    if rank not in (1, 2):
        raise ValueError(f"inverse_mass_matrix: expected a vector (diagonal) or a matrix, found {rank} dimensions")
    velocity = inverse_mass_matrix * momentum if rank == 1 else inverse_mass_matrix @ momentum
    return 0.5 * jnp.sum(momentum * velocity)


def velocity_verlet(
    potential_fn: Callable[[PyTree], Array], kinetic_fn: Callable[[Any, PyTree], Array], forward_mode_differentiation: bool = False
) -> tuple[Callable[..., IntegratorState], Callable[..., IntegratorState]]:
    """The leapfrog integrator (Neal 2011, section 5.2.3).

    Args:
        potential_fn: potential energy of a position.
        kinetic_fn: kinetic energy of an inverse mass matrix and a momentum.
        forward_mode_differentiation: take gradients in forward mode.

    Returns:
        `init_fn(z, r, potential_energy=None, z_grad=None)` and `update_fn(step_size, inverse_mass_matrix, state)`.

    Example:
        >>> init_fn, update_fn = velocity_verlet(lambda z: 0.5 * z**2, euclidean_kinetic_energy)
        >>> state = update_fn(0.1, jnp.ones(1), init_fn(1.0, 0.0))
        >>> round(float(state.z), 4)
        0.995
    """

    def gradient(z: PyTree) -> tuple[Array, PyTree]:
        if forward_mode_differentiation:
            return potential_fn(z), jax.jacfwd(potential_fn)(z)
        return jax.value_and_grad(potential_fn)(z)

    def init_fn(z: PyTree, r: PyTree, potential_energy: Any = None, z_grad: Any = None) -> IntegratorState:
        z = jax.tree.map(lambda x: jnp.asarray(x, jnp.result_type(float)), z)
        r = jax.tree.map(lambda x: jnp.asarray(x, jnp.result_type(float)), r)
        if potential_energy is None or z_grad is None:
            potential_energy, z_grad = gradient(z)
        return IntegratorState(z, r, potential_energy, z_grad)

    def update_fn(step_size: Any, inverse_mass_matrix: Any, state: IntegratorState) -> IntegratorState:
        z, r, _, z_grad = state
        r = jax.tree.map(lambda r, g: r - 0.5 * step_size * g, r, z_grad)
        velocity = jax.grad(kinetic_fn, argnums=1)(inverse_mass_matrix, r)
        z = jax.tree.map(lambda z, v: z + step_size * v, z, velocity)
        potential_energy, z_grad = gradient(z)
        r = jax.tree.map(lambda r, g: r - 0.5 * step_size * g, r, z_grad)
        return IntegratorState(z, r, potential_energy, z_grad)

    return init_fn, update_fn


def find_reasonable_step_size(
    potential_fn: Callable[[PyTree], Array],
    kinetic_fn: Callable[[Any, PyTree], Array],
    momentum_generator: Callable[[PyTree, Any, Key], PyTree],
    init_step_size: Any,
    inverse_mass_matrix: Any,
    z_info: IntegratorState,
    rng_key: Key,
) -> Array:
    """Double or halve the step size until the acceptance probability of one leapfrog step crosses 0.8.

    Args:
        potential_fn: potential energy of a position.
        kinetic_fn: kinetic energy of an inverse mass matrix and a momentum.
        momentum_generator: `(z, inverse_mass_matrix, key) -> momentum`.
        init_step_size: where to begin.
        inverse_mass_matrix: the inverse mass matrix.
        z_info: where to try.
        rng_key: a random key.

    Source: Hoffman, Gelman (2014), JMLR 15, Algorithm 4.
    """
    init_fn, update_fn = velocity_verlet(potential_fn, kinetic_fn)

    def log_acceptance(step_size: Array, key: Key) -> Array:
        r = momentum_generator(z_info.z, inverse_mass_matrix, key)
        start = init_fn(z_info.z, r, z_info.potential_energy, z_info.z_grad)
        end = update_fn(step_size, inverse_mass_matrix, start)
        gain = kinetic_fn(inverse_mass_matrix, r) - kinetic_fn(inverse_mass_matrix, end.r)
        return start.potential_energy - end.potential_energy + gain

    return search_step_size(jnp.asarray(init_step_size, jnp.result_type(float)), words(rng_key), log_acceptance)


class _FunctionKinetic:
    """A kinetic energy function of pytrees as one of flat momenta; the metric holds the inverse mass matrix alone."""

    def __init__(self, kinetic_fn: Callable[[Any, PyTree], Array], unravel: Callable[[Array], PyTree]) -> None:
        self.kinetic_fn = kinetic_fn
        self.unravel = unravel

    def energy(self, metric: Metric, momentum: Array) -> Array:
        return self.kinetic_fn(metric.inverse[0], self.unravel(momentum))

    def velocity(self, metric: Metric, momentum: Array) -> Array:
        return jax.grad(self.energy, argnums=1)(metric, momentum)


def build_tree(
    verlet_update: Callable[[Any, Any, IntegratorState], IntegratorState],
    kinetic_fn: Callable[[Any, PyTree], Array],
    verlet_state: IntegratorState,
    inverse_mass_matrix: Any,
    step_size: Any,
    rng_key: Key,
    max_delta_energy: float = 1000.0,
    max_tree_depth: int = 10,
) -> TreeInfo:
    """The tree of a NUTS iteration from a phase point.

    Args:
        verlet_update: the integrator, as from `velocity_verlet`.
        kinetic_fn: kinetic energy of an inverse mass matrix and a momentum.
        verlet_state: the start, with its momentum.
        inverse_mass_matrix: the inverse mass matrix.
        step_size: the step size.
        rng_key: a random key.
        max_delta_energy: energy error beyond which a leaf diverges.
        max_tree_depth: where to stop doubling.
    """
    position, unravel = ravel_pytree(verlet_state.z)

    def flat(tree: PyTree) -> Array:
        return ravel_pytree(tree)[0]

    kernel = NUTS((max_tree_depth, max_tree_depth), _FunctionKinetic(kinetic_fn, unravel), max_delta_energy)
    step_size = jnp.asarray(step_size, position.dtype)
    params = HamiltonianParams(step_size, Metric((inverse_mass_matrix,), (), ()), jnp.asarray(False))
    start = HamiltonianState(position, verlet_state.potential_energy, flat(verlet_state.z_grad))
    draws = draw(words(rng_key), position.dtype, keys=1, uniforms=1)
    trajectory = kernel.begin_at(draws.keys[0], draws.uniforms[0], start, flat(verlet_state.r), params)

    def extend(carry: tuple[Any, Array]) -> tuple[Any, Array]:
        trajectory, last = carry
        end = lax.select(
            trajectory.leaf == 0, lax.dynamic_index_in_dim(trajectory.ends, trajectory.direction, keepdims=False), last
        )
        signed = lax.select(trajectory.direction == FORWARD, step_size, -step_size)
        here = IntegratorState(unravel(end[0]), unravel(end[1]), jnp.zeros_like(step_size), unravel(end[2]))
        state = verlet_update(signed, inverse_mass_matrix, here)
        gradient = flat(state.z_grad)
        new_end = jnp.stack([flat(state.z), flat(state.r), gradient])
        half = new_end[1] + 0.5 * signed * gradient
        trajectory = trajectory._replace(position=new_end[0], momentum=half)
        return kernel.extend(trajectory, state.potential_energy, gradient, params), new_end

    first = trajectory.ends[BACKWARD]
    trajectory, _ = lax.while_loop(lambda carry: carry[0].is_running, extend, (trajectory, first))
    left, right = trajectory.ends[BACKWARD], trajectory.ends[FORWARD]
    tree = trajectory.tree
    return TreeInfo(
        z_left=unravel(left[0]),
        r_left=unravel(left[1]),
        z_left_grad=unravel(left[2]),
        z_right=unravel(right[0]),
        r_right=unravel(right[1]),
        z_right_grad=unravel(right[2]),
        z_proposal=unravel(tree.point[0]),
        z_proposal_pe=tree.energies[0],
        z_proposal_grad=unravel(tree.point[1]),
        z_proposal_energy=tree.energies[1],
        depth=trajectory.depth,
        weight=tree.log_weight,
        r_sum=unravel(trajectory.momentum_sum),
        turning=~trajectory.diverging & (trajectory.depth < max_tree_depth),
        diverging=trajectory.diverging,
        sum_accept_probs=trajectory.sum_accept_prob,
        num_proposals=trajectory.num_steps,
    )
