"""Sample-adaptive MCMC as a kernel of MCMC: no gradient, no tuning."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import lax

from ppl import _random as random
from ppl._typing import Array, Key, PyTree
from ppl.infer.adaptation.warmup import Schedule
from ppl.infer.algorithms.fused import Fusing, call_fused
from ppl.infer.algorithms.sample_adaptive import Newcomer, PointSet, SampleAdaptive, SampleAdaptiveInfo, SampleAdaptiveParams
from ppl.infer.arguments import check_flag
from ppl.infer.binding import Binding
from ppl.infer.facade import TargetKernel
from ppl.infer.initialization import init_to_uniform
from ppl.infer.target.gradient import GradientTarget
from ppl.infer.target.start import ValueStart
from ppl.infer.target_process import Inputs, TargetProcess, fusing_modes, mean_in_phase

__all__ = ["SA", "SAAdaptState", "SAState"]

LOW_ACCEPTANCE = 0.05


class SAState(NamedTuple):
    """The state of `SA`.

    Attributes:
        i: iteration; counts on through warm-up.
        z: unconstrained values of the reported point, one of the set.
        potential_energy: minus the log density at `z`.
        accept_prob: probability with which the last proposal took some place in the set.
        mean_accept_prob: mean of those so far, restarted after warm-up.
        diverging: whether the energy of the last proposal was not finite, or more than 1,000 above that of `z` before.
        adapt_state: `SAAdaptState`.
        rng_key: key for the iterations to come.
    """

    i: Any
    z: Any
    potential_energy: Any
    accept_prob: Any
    mean_accept_prob: Any
    diverging: Any
    adapt_state: Any
    rng_key: Any


class SAAdaptState(NamedTuple):
    """The set of points, as flat unconstrained positions over the sorted sites.

    Attributes:
        zs: the points, `(n, d)`.
        pes: their potential energies, `(n,)`.
        loc: their mean, `(d,)`.
        inv_mass_matrix_sqrt: the Cholesky factor of their covariance `(d, d)`, or their standard deviations `(d,)`.
    """

    zs: Any
    pes: Any
    loc: Any
    inv_mass_matrix_sqrt: Any


class Chain(NamedTuple):
    """The carry of a run.

    Attributes:
        rng_key: for the iterations to come.
        i: iterations done.
        state: the set of points.
        info: of the last proposal.
        mean_accept_prob: since the beginning, or since the end of warm-up.
    """

    rng_key: Key
    i: Array
    state: PointSet
    info: SampleAdaptiveInfo
    mean_accept_prob: Array


class StartPoint(NamedTuple):
    """Where a chain starts: a key, the set of points, and whether the first one has a finite density."""

    key: Key
    state: PointSet
    is_valid: Array


@dataclass(frozen=True, eq=False)
class SAProcess(TargetProcess):
    """One chain.

    Attributes:
        kernel: the transition.
    """

    uses_gradient: ClassVar[bool] = False
    statistic_names: ClassVar[tuple[str, ...]] = ("accept_prob", "diverging")
    kernel: SampleAdaptive

    def begin(self, key: Key, inputs: Inputs, start: ValueStart) -> StartPoint:
        """Add the other points."""
        k_points, k_chain = random.draw(key, start.position.dtype, keys=2).keys
        state = self.kernel.surround(k_points, inputs.target, start.position, start.potential_energy)
        return StartPoint(key=k_chain, state=state, is_valid=start.is_valid)

    def chain_at(self, point: StartPoint) -> Chain:
        """The carry before the first iteration. What is constant is NumPy's: outside a trace nothing is compiled for it."""
        zero: Any = np.zeros((), self.target.layout.dtype)
        count: Any = np.zeros((), np.int32)
        false: Any = np.zeros((), bool)
        info = SampleAdaptiveInfo(accept_prob=zero, diverging=false)
        return Chain(rng_key=point.key, i=count, state=point.state, info=info, mean_accept_prob=zero)

    def step(self, carry: Chain, inputs: Inputs) -> Chain:
        """One proposal."""
        k_next, newcomer = call_fused(self._open, carry.rng_key, carry.i, carry.state, inputs.schedule)
        state, info = self.kernel.settle(carry.state, newcomer, inputs.target(newcomer.position))
        return call_fused(self._close, carry, k_next, state, info, inputs.schedule)

    def _open(self, key: Key, i: Array, state: PointSet, schedule: Schedule) -> tuple[Key, Newcomer]:
        k_next, k_propose = random.draw(key, state.mean.dtype, keys=2).keys
        return k_next, self.kernel.propose(k_propose, state, SampleAdaptiveParams(warming_up=i < schedule.num_warmup))

    def _close(self, carry: Chain, rng_key: Key, state: PointSet, info: SampleAdaptiveInfo, schedule: Schedule) -> Chain:
        i = carry.i + 1
        mean = mean_in_phase(carry.mean_accept_prob, info.accept_prob, i, schedule)
        return Chain(rng_key=rng_key, i=i, state=state, info=info, mean_accept_prob=mean)

    def rebase(self, carry: Chain, target: GradientTarget) -> Chain:
        """The same points under another target: the density at each."""
        return carry._replace(state=self.kernel.rebase(carry.state, target))

    def statistics(self, carry: Chain) -> Array:
        """Acceptance probability, and whether the proposal diverged."""
        return jnp.stack([carry.info.accept_prob, carry.info.diverging.astype(carry.info.accept_prob.dtype)])

    def name_statistics(self, rows: Any) -> dict[str, Any]:
        """The same by name."""
        named = super().name_statistics(rows)
        return named | {"diverging": named["diverging"] != 0}

    def modes(self) -> list[Fusing]:
        """What of a program can be one kernel, from nothing to all of it."""
        return fusing_modes(self.target, allows_whole=not self.kernel.is_dense, with_gradient=False)

    def assemble(self, carry: Chain, unravel: Callable[[Any], PyTree]) -> SAState:
        """The public state."""
        state = carry.state
        return SAState(
            i=carry.i,
            z=unravel(state.position),
            potential_energy=state.potential_energy,
            accept_prob=carry.info.accept_prob,
            mean_accept_prob=carry.mean_accept_prob,
            diverging=carry.info.diverging,
            adapt_state=SAAdaptState(zs=state.points, pes=state.energies, loc=state.mean, inv_mass_matrix_sqrt=state.root),
            rng_key=carry.rng_key,
        )

    def carry_of(self, state: SAState, ravel: Callable[[PyTree], Array]) -> Chain:
        """The carry of a public state; `ravel` makes positions of unconstrained values."""
        adapt = state.adapt_state
        points = PointSet(
            position=ravel(state.z),
            potential_energy=state.potential_energy,
            points=adapt.zs,
            energies=adapt.pes,
            mean=adapt.loc,
            root=adapt.inv_mass_matrix_sqrt,
        )
        info = SampleAdaptiveInfo(accept_prob=state.accept_prob, diverging=state.diverging)
        return Chain(rng_key=state.rng_key, i=state.i, state=points, info=info, mean_accept_prob=state.mean_accept_prob)


class SA(TargetKernel):
    """Sample-adaptive MCMC: needs the density alone, so that it works where no gradient exists.

    The state is a set of n points. A new one is proposed from the normal law that they suggest, and takes the place of one of them
    or of none; the draw is a point of the set, chosen at random. There is one evaluation of the density in each iteration, and
    nothing to tune; in warm-up, where proposals also go further out, the set finds its place. Since one point of n moves in an
    iteration, expect to need n times as many iterations as of a chain that moves one point, some ten thousands; thinning keeps what
    is stored small.

    The set begins with a start value (the user's, or one by the init strategy) and points that are normal about it with standard
    deviation 1 in unconstrained space; a point without a finite density is drawn again, closer by halves.

    Args:
        model: the model; exactly one of it and `potential_fn`.
        potential_fn: the potential energy, a function of a pytree of unconstrained values; `init_params` is then needed.
        adapt_state_size: the number of points n; default: twice the dimension d, at least d + 2. With a dense covariance at least
            d + 1.
        dense_mass: propose with the whole covariance, not with the variances alone.
        init_strategy: start values; see `ppl.infer.initialization`.

    Raises:
        AssertionError: if `adapt_state_size` is not greater than 1.
        TypeError: if an argument is of the wrong type.
        ValueError: if there are both a model and a potential function or neither; in a run, if `adapt_state_size` is too small for
            a dense covariance.

    Source: Zhu (2019), "Sample adaptive MCMC", NeurIPS 32, algorithm 1.

    Example:
        >>> import jax.numpy as jnp
        >>> from jax import random
        >>> from ppl.infer import MCMC
        >>> mcmc = MCMC(SA(potential_fn=lambda z: jnp.abs(z["x"])), num_warmup=100, num_samples=100, progress_bar=False)
        >>> mcmc.run(random.key(0), init_params={"x": jnp.array(1.0)})
        >>> mcmc.get_samples()["x"].shape
        (100,)
    """

    not_a_block = (
        "keeps a set of points, which would belong to the law at earlier values of the other sites: its draws would be wrong "
        "inside Gibbs sampling; use NUTS, HMC or BarkerMH"
    )

    def __init__(
        self,
        model: Callable[..., Any] | None = None,
        potential_fn: Callable[..., Any] | None = None,
        adapt_state_size: int | None = None,
        dense_mass: bool = True,
        init_strategy: Callable[..., Any] = init_to_uniform,
    ) -> None:
        super().__init__(model, potential_fn, init_strategy)
        if adapt_state_size is not None:
            if isinstance(adapt_state_size, bool) or not isinstance(adapt_state_size, int | np.integer):
                raise TypeError(f"SA: adapt_state_size must be a whole number or None, found {adapt_state_size!r}")
            if adapt_state_size < 2:
                raise AssertionError(f"SA: adapt_state_size must be greater than 1, found {adapt_state_size}")
        check_flag("SA", "dense_mass", dense_mass)
        self._adapt_state_size = adapt_state_size
        self._dense_mass = dense_mass

    @property
    def default_fields(self) -> tuple[str, ...]:
        """What a run always collects."""
        return ("z", "diverging")

    def get_diagnostics_str(self, state: SAState) -> str:
        """Mean acceptance probability of a state."""
        return f"acc. prob={float(np.mean(state.mean_accept_prob)):.2f}"

    def get_advice(self, fields: Mapping[str, Any]) -> list[str]:
        """What to do about an acceptance that is far too low."""
        accepted = float(np.min(np.mean(fields.get("accept_prob", np.ones((1, 1))), axis=-1)))
        if accepted >= LOW_ACCEPTANCE:
            return []
        return [
            f"Low acceptance: {accepted:.3f} in one chain. The normal law of the set of points is a poor guide to the posterior, "
            "or the set has not found its place: warm up longer, start nearer (init_params), reparameterise, or use NUTS, if there "
            "are gradients."
        ]

    def _num_points(self, dimension: int) -> int:
        if self._adapt_state_size is None:
            return max(2 * dimension, dimension + 2)
        if self._dense_mass and self._adapt_state_size < dimension + 1:
            raise ValueError(
                f"SA: adapt_state_size={self._adapt_state_size} points have no dense covariance in {dimension} dimensions; pass at "
                f"least {dimension + 1} (twice the dimension is usual), or dense_mass=False"
            )
        return int(self._adapt_state_size)

    def _new_process(self, binding: Binding, fields: tuple[str, ...]) -> SAProcess:
        kernel = SampleAdaptive(self._num_points(binding.target.layout.dimension), bool(self._dense_mass))
        return SAProcess(kernel=kernel, **self._settings(binding, fields))


def _get_proposal_loc_and_scale(samples: Array, loc: Array, scale: Array, new_sample: Array) -> tuple[Array, Array]:
    """Mean and scale of a set of points in which one was replaced, for each of them.

    Args:
        samples: the points, `(n, d)`.
        loc: their mean, `(d,)`.
        scale: the Cholesky factor of their covariance (divisor n) `(d, d)`, or their standard deviations `(d,)`.
        new_sample: what takes the place, `(d,)`.

    Returns:
        Means `(n, d)` and scales `(n, d, d)` or `(n, d)`.
    """
    n, away = len(samples), new_sample - loc
    shifts = (new_sample[None] - samples) / n

    def square(x: Array) -> Array:
        return x[..., :, None] * x[..., None, :] if scale.ndim == 2 else lax.square(x)

    covariance = scale @ scale.T if scale.ndim == 2 else lax.square(scale)
    moved = covariance[None] + (square(away)[None] - square(samples - loc[None])) / n - square(shifts)
    return loc[None] + shifts, lax.linalg.cholesky(moved) if scale.ndim == 2 else jnp.sqrt(moved)


def _numpy_delete(x: Array, idx: Array) -> Array:
    """`x` without the row `idx`, which may be traced."""
    kept = lax.iota(jnp.int32, x.shape[0] - 1)
    return x[kept + (kept >= idx).astype(jnp.int32)]
