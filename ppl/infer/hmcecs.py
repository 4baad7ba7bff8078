"""Hamiltonian Monte Carlo with energy conserving subsampling, for models whose plates use a subsample of the data."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ppl import _random as random
from ppl._typing import Array, Key, Trace
from ppl.infer.algorithms.protocols import tree_select
from ppl.infer.arguments import check_count
from ppl.infer.binding import Binding
from ppl.infer.facade import TargetKernel
from ppl.infer.gibbs import Gibbs, GibbsBinding, check_inner
from ppl.infer.gibbs_blocks import UpdateKernel
from ppl.infer.gibbs_process import Update
from ppl.infer.target.conditional import Point
from ppl.infer.target.density import Target, bound_trace
from ppl.infer.target.model import Arguments, LatentSite
from ppl.infer.target.subsampled import Estimate, EstimatedTarget, Subsample, expand, log_likelihoods, subsamples, variance_of_total
from ppl.trace import subsampled_plates
from ppl.util import describe, dtype_of, not_jax_tracer

__all__ = ["HMCECS", "HMCECSState", "SubsampleState", "TaylorProxy", "with_fresh_block"]

NOISY = 4.0  # a variance of the estimated log likelihood above which it is too noisy to trust


class HMCECSState(NamedTuple):
    """The state of HMCECS.

    Attributes:
        z: unconstrained values of the latent sites, and the indices of the subsampled plates by their names.
        hmc_state: the state of the inner kernel.
        rng_key: key for the iterations to come.
        gibbs_state: `SubsampleState`.
        accept_prob: acceptance probability of the last proposal of indices, a mean over plates.
    """

    z: Any
    hmc_state: Any
    rng_key: Any
    gibbs_state: Any
    accept_prob: Any


class SubsampleState(NamedTuple):
    """What is known of the subsample: the variance of the estimated log likelihood, nan where it is not known."""

    variance: Any


class _Form:
    """The public state."""

    def state(self, z: dict[str, Any], block_states: tuple[Any, ...], rng_key: Any) -> HMCECSState:
        (accept_prob, gibbs_state), hmc_state = block_states
        return HMCECSState(z, hmc_state, rng_key, gibbs_state, accept_prob)

    def block_states(self, state: HMCECSState) -> tuple[Any, ...]:
        return None, state.hmc_state


@dataclass(frozen=True)
class TaylorProxy:
    """A Taylor expansion of the log likelihood of each element, on the unconstrained space.

    Attributes:
        reference_params: constrained values of all latent sites, about which it is made: a point of high posterior density.
        degree: 1 or 2.
    """

    reference_params: Mapping[str, Any]
    degree: int


class _Subsampling(UpdateKernel):
    """The block of the indices of subsampled plates."""

    owns_plates = True

    def __init__(self, num_blocks: int) -> None:
        self.num_blocks = num_blocks

    def check_sites(self, sites: Trace, names: Sequence[str]) -> None:
        """Refuse sites whose log likelihood cannot be estimated.

        Raises:
            ValueError: if a latent site lies in a subsampled plate.
            RuntimeError: if an observed site lies in two.
        """
        subsamples(sites)

    def new_update(self, target: Target, sites: tuple[str, ...]) -> Update:
        """What an iteration does."""
        found = _subsamples_of(target)
        for name, plate in found.items():
            if self.num_blocks > plate.num_indices:
                raise ValueError(
                    f"HMCECS: num_blocks must be at most the subsample_size {plate.num_indices} of plate {name!r}, found "
                    f"{self.num_blocks}"
                )
        return _SubsampleUpdate(self.num_blocks, tuple(found.items()))


def _subsamples_of(target: Target) -> dict[str, Subsample]:
    found: dict[str, Subsample] = {}

    def run(arrays: tuple[Any, ...], position: Array) -> None:
        sites, _ = bound_trace(target.model, arrays, target.layout.unravel(position), {})
        found.update(subsamples(sites))

    jax.eval_shape(run, target.arrays, jax.ShapeDtypeStruct((target.layout.dimension,), target.layout.dtype))
    return found


def with_fresh_block(key: Key, uniform: Array, num_blocks: int, size: int, indices: Array) -> Array:
    """Indices `(m,)` into `size` elements of which one block, chosen by a uniform number, is drawn afresh, with replacement."""
    block = (uniform * num_blocks).astype(jnp.int32)
    blocks = jnp.arange(indices.shape[0]) * num_blocks // indices.shape[0]
    fresh = jax.random.randint(random.typed(key), indices.shape, 0, size, indices.dtype)
    return jnp.where(blocks == block, fresh, indices)


@dataclass(frozen=True, eq=False)
class _SubsampleUpdate:
    """Fresh indices for one block of each subsampled plate, and a Metropolis test by the estimated log density."""

    num_blocks: int
    plates: tuple[tuple[str, Subsample], ...]
    told: tuple[str, ...] = ("subsample_accept_prob", "log_likelihood_variance")

    @property
    def sites(self) -> tuple[str, ...]:
        return tuple(name for name, _ in self.plates)

    def __call__(self, key: Key, target: Target, point: Point) -> tuple[dict[str, Array], Array]:
        draws = random.draw(key, target.layout.dtype, keys=len(self.plates), uniforms=2 * len(self.plates))
        uniforms = draws.uniforms.reshape((2, -1))
        estimate = self._estimate(target, point)
        accept_probs = []
        for number, (name, plate) in enumerate(self.plates):
            indices = with_fresh_block(draws.keys[number], uniforms[0, number], self.num_blocks, plate.size, point.values[name])
            proposed = point._replace(values={**point.values, name: indices})
            new = self._estimate(target, proposed)
            accept_prob = jnp.exp(-jnp.maximum(new.energy - estimate.energy, 0.0))
            accept_prob = jnp.where(jnp.isnan(accept_prob), 0.0, accept_prob)
            accepted = uniforms[1, number] < accept_prob
            point, estimate = tree_select(accepted, (proposed, new), (point, estimate))
            accept_probs.append(accept_prob)
        told = jnp.stack([jnp.mean(jnp.stack(accept_probs)), estimate.variance])
        return {name: point.values[name] for name in self.sites}, told

    def _estimate(self, target: Target, point: Point) -> Estimate:
        """The potential energy, and the variance of the estimated log likelihood."""
        given = replace(target, fixed=point.values)
        if isinstance(given, EstimatedTarget):
            return given.estimate(point.position)
        energy = given(point.position)
        if target.model.facts.enumerated:
            return Estimate(energy, jnp.full_like(energy, jnp.nan))
        sites, _ = bound_trace(target.model, target.arrays, target.layout.unravel(point.position), point.values)
        found, plates = log_likelihoods(sites, dict(self.plates)), dict(self.plates)
        variance = sum((variance_of_total(plates[name], values) for name, values in found.items()), jnp.zeros_like(energy))
        return Estimate(energy, variance)

    def state(self, z: dict[str, Any], potential_energy: Any, told: Any, rng_key: Any) -> Any:
        return told[..., 0], SubsampleState(told[..., 1])


class HMCECS(Gibbs):
    """Subsamples of the data move along with the latent sites: the cost of a step does not depend on the size of the data.

    In the model, a plate has `subsample_size`, and its data are taken by `ppl.subsample`, or by the indices that the plate yields.
    With a proxy the log likelihood is estimated from the subsample and a Taylor expansion of the rest, and the posterior is right
    up to an error that falls with the variance of that estimate (keep it below about 3: the summary tells). Without a proxy the
    scaled log likelihood of the subsample stands for that of the data: this targets another posterior, far off unless the
    subsample is most of the data, since the indices drift to rows that the latent sites explain well.

    Args:
        inner_kernel: NUTS, HMC or another kernel that is built from the model.
        num_blocks: into how many blocks the indices are divided, one of which is drawn afresh in each iteration: with more blocks
            the estimates of successive iterations are more alike, and more proposals are accepted.
        proxy: `HMCECS.taylor_proxy(reference_params)`; None: see above.

    Raises:
        ValueError: if an argument does not fit; in a run, if no plate is subsampled, or a latent site lies in one that is, unless
            it is discrete and enumerated and there is no proxy.
        RuntimeError: in a run, if an observed site lies in two subsampled plates, or there are a proxy and discrete latent sites.

    Source: Dang, Quiroz, Kohn, Tran, Villani (2019), "Hamiltonian Monte Carlo with energy conserving subsampling", JMLR 20; blocks:
    Tran, Kohn, Quiroz, Villani (2017), arXiv:1603.02485.

    Example:
        >>> import jax.numpy as jnp
        >>> import ppl
        >>> import ppl.distributions as dist
        >>> from jax import random
        >>> from ppl.infer import HMCECS, MCMC, NUTS
        >>> def model(y):
        ...     mu = ppl.sample("mu", dist.Normal(0.0, 1.0))
        ...     with ppl.plate("data", len(y), subsample_size=20):
        ...         ppl.sample("y", dist.Normal(mu, 1.0), obs=ppl.subsample(y, 0))
        >>> proxy = HMCECS.taylor_proxy({"mu": 1.0})
        >>> mcmc = MCMC(HMCECS(NUTS(model), num_blocks=5, proxy=proxy), num_warmup=50, num_samples=50, progress_bar=False)
        >>> mcmc.run(random.key(0), 1.0 + random.normal(random.key(1), (200,)))
        >>> sorted(mcmc.get_samples())
        ['mu']
    """

    def __init__(self, inner_kernel: TargetKernel, *, num_blocks: int = 1, proxy: TaylorProxy | None = None) -> None:
        inner = check_inner("HMCECS", inner_kernel)
        check_count("HMCECS", "num_blocks", num_blocks)
        if proxy is not None and not isinstance(proxy, TaylorProxy):
            raise ValueError(
                f"HMCECS: proxy must come from HMCECS.taylor_proxy(reference_params), or be None; found {describe(proxy)}"
            )
        super().__init__([(_Subsampling(int(num_blocks)), _plates), (inner, None)])
        self._proxy = proxy

    @staticmethod
    def taylor_proxy(reference_params: Mapping[str, Any], degree: int = 2) -> TaylorProxy:
        """A proxy: the Taylor expansion of the log likelihood about reference values.

        Args:
            reference_params: constrained values of all latent sites, near the mode of the posterior: found by an optimizer, or the
                mean of draws on a part of the data.
            degree: 1 or 2.

        Raises:
            ValueError: if an argument does not fit.
        """
        if not isinstance(reference_params, Mapping):
            raise ValueError(f"HMCECS.taylor_proxy: reference_params must be a dict of values, found {describe(reference_params)}")
        if isinstance(degree, bool) or degree not in (1, 2):
            raise ValueError(f"HMCECS.taylor_proxy: degree must be 1 or 2, found {degree!r}")
        return TaylorProxy(reference_params, degree)

    def _form(self) -> Any:
        return _Form()

    def get_diagnostics_str(self, state: HMCECSState) -> str:
        """What the inner kernel says, and how many proposals of indices are accepted."""
        assert self.inner_kernel is not None
        return (
            f"{self.inner_kernel.get_diagnostics_str(state.hmc_state)}. subsample acc. prob={float(np.mean(state.accept_prob)):.2f}"
        )

    def get_advice(self, fields: Mapping[str, Any]) -> list[str]:
        """What the inner kernel says, and how noisy the estimated log likelihood is."""
        lines = super().get_advice(fields)
        variance = np.asarray(fields.get("log_likelihood_variance", np.nan), float)
        if np.isfinite(variance).any():
            mean = float(np.nanmean(variance))
            lines.append(f"Variance of the estimated log likelihood: {mean:.3g}")
            if mean > NOISY:
                cure = "move reference_params to the mode, use degree=2" if self._proxy else "use HMCECS.taylor_proxy"
                lines.append(f"  The estimate is too noisy to trust the posterior: {cure}, or raise subsample_size.")
        return lines

    def _new_binding(
        self, args: tuple[Any, ...], kwargs: Mapping[str, Any], arguments: Arguments, arrays: tuple[Any, ...], layout: Any
    ) -> GibbsBinding:
        binding = super()._new_binding(args, kwargs, arguments, arrays, layout)
        if self._proxy is None:
            return binding
        target = binding.target
        if target.model.facts.enumerated:
            raise RuntimeError(
                f"HMCECS: a proxy cannot be made of a model with discrete latent sites, found "
                f"{list(target.model.facts.enumerated)}; sum them out by hand (MixtureSameFamily), or use no proxy"
            )
        names = set(self._proxy.reference_params)
        missing, unknown = sorted(set(target.layout.names) - names), sorted(names - set(target.layout.names))
        if missing or unknown:
            raise ValueError(
                f"HMCECS.taylor_proxy: reference_params must have the latent sites {sorted(target.layout.names)}; "
                f"missing {missing}, unknown {unknown}"
            )
        _check_reference(target.model.facts.latents, self._proxy.reference_params)
        plates = tuple(_subsamples_of(target).items())
        estimated = EstimatedTarget(
            target.arrays,
            target.fixed,
            target.model,
            target.layout,
            target.forward_mode,
            {},
            plates,
        )
        expansions = jax.eval_shape(self._expand, estimated)
        return replace(binding, target=replace(estimated, expansions=expansions))

    def _expand(self, target: EstimatedTarget) -> Any:
        assert self._proxy is not None
        given = {name: jnp.arange(plate.num_indices) for name, plate in target.plates}
        at = replace(target, fixed=given)
        reference = {name: jnp.asarray(value, target.layout.dtype) for name, value in self._proxy.reference_params.items()}
        return expand(at, at.unconstrain(reference), self._proxy.degree)

    def _target_with(self, binding: Binding, arrays: tuple[Any, ...]) -> Any:
        target = super()._target_with(binding, arrays)
        return target if self._proxy is None else replace(target, expansions=self._expand(replace(target, expansions={})))


def _check_reference(latents: Sequence[LatentSite], reference: Mapping[str, Any]) -> None:
    """Refuse values about which nothing can be expanded.

    Raises:
        ValueError: if a shape is wrong, or a value lies outside the support of its site.
    """
    for site in latents:
        value = reference[site.name]
        if dtype_of(value).kind not in "biuf":
            raise ValueError(f"HMCECS.taylor_proxy: the reference of site {site.name!r} must be numbers, found {value!r}")
        if np.shape(value) != site.shape:
            raise ValueError(
                f"HMCECS.taylor_proxy: site {site.name!r} has shape {site.shape}, found a reference of shape {np.shape(value)}; "
                "pass one constrained value for every element"
            )
        if site.transform is None or not not_jax_tracer(value):
            continue
        with jax.ensure_compile_time_eval():
            unconstrained = np.asarray(site.transform.inv(jnp.asarray(value, float)))
        if not np.isfinite(unconstrained).all():
            raise ValueError(
                f"HMCECS.taylor_proxy: the reference {value!r} of site {site.name!r} lies outside its support, or at its edge; "
                "pass a constrained value inside"
            )


def _plates(sites: Trace) -> list[str]:
    plates = list(subsampled_plates(sites))
    if not plates:
        raise ValueError("HMCECS: no plate of the model is subsampled; give one a subsample_size, or use the inner kernel alone")
    return plates
