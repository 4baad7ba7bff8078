"""Parts for Gibbs kernels that users write: sweeps over discrete values, and what a trace tells."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

import ppl
import ppl.distributions as dist
from ppl.infer.gibbs import (
    any_changed,
    conditioned,
    discrete_gibbs_sweep,
    discrete_support_sizes,
    prototype_trace,
    select_discrete_proposal,
    subsample_plate_sizes,
    with_conditioning,
)


@pytest.mark.parametrize("modified", [False, True])
@pytest.mark.parametrize("random_walk", [False, True])
def test_sweeps_leave_a_joint_law_as_it_is(random_walk: bool, modified: bool) -> None:
    """From exact draws of three dependent elements of 2 and 3 states, one of them impossible (chi square at 1e-4)."""
    table = np.random.default_rng(1).normal(size=(2, 3, 3)).astype(np.float32)
    table[1, 2, 0] = np.inf
    weights = np.exp(-table.astype(np.float64)).ravel()
    weights /= weights.sum()
    proposal_fn = select_discrete_proposal(random_walk, modified)

    def potential_fn(z: dict[str, Any]) -> Any:
        return jnp.asarray(table)[z["a"], z["b"][0], z["b"][1]]

    def sweep(key: Any, start: Any) -> Any:
        z = {"a": start[0], "b": start[1:]}
        z, energy = discrete_gibbs_sweep(key, z, potential_fn(z), potential_fn, jnp.array([2, 3, 3]), proposal_fn)
        return jnp.array([z["a"], *z["b"]]), energy

    n = 20_000
    starts = np.stack(np.unravel_index(np.random.default_rng(2).choice(18, n, p=weights), table.shape), 1)
    ends, energies = map(np.asarray, jax.jit(jax.vmap(sweep))(jax.random.split(jax.random.key(0), n), jnp.asarray(starts)))
    np.testing.assert_array_equal(energies, table[tuple(ends.T)])
    counts = np.bincount(np.ravel_multi_index(ends.T, table.shape), minlength=18)
    possible = weights > 0
    assert counts[~possible].sum() == 0
    assert stats.chisquare(counts[possible], n * weights[possible]).pvalue > 1e-4
    assert (ends != starts).any(1).mean() > 0.5


def test_parts_of_a_trace() -> None:
    def parts(x: Any, scale: float = 1.0) -> None:
        ppl.sample("any", dist.ImproperUniform(dist.constraints.positive, (), ()))
        ppl.sample("k", dist.Bernoulli(0.5))
        with ppl.plate("n", 10, subsample_size=3):
            ppl.sample("b", dist.Binomial(4, 0.5))
            ppl.sample("y", dist.Normal(0.0, scale), obs=ppl.subsample(x, 0))
        ppl.sample("count", dist.Poisson(2.0))

    sites = prototype_trace(parts, jax.random.key(0), (jnp.arange(10.0),), {"scale": 2.0})
    assert subsample_plate_sizes(sites) == {"n": (10, 3)} and sites["any"]["value"] > 0
    sizes = discrete_support_sizes(sites, ["b", "k"])
    assert sizes["b"].tolist() == [5, 5, 5] and sizes["k"].shape == () and sizes["k"] == 2
    with pytest.raises(ValueError, match=r"no sample sites named \['n'\]"):
        discrete_support_sizes(sites, ["n"])
    with pytest.raises(NotImplementedError, match="'count' ~ Poisson has no finite support"):
        discrete_support_sizes(sites, ["count"])


def test_any_changed() -> None:
    old = {"a": jnp.zeros(2), "b": (1,)}
    assert not any_changed(old, {"a": jnp.zeros(2), "b": (1,)}) and not any_changed({}, {})
    assert any_changed(old, {"a": jnp.zeros(2), "b": (2,)})


def test_conditioned_models_nest() -> None:
    def pair() -> Any:
        return ppl.sample("x", dist.Normal(0.0, 1.0)) + ppl.sample("y", dist.Normal(0.0, 1.0))

    model = conditioned(pair)
    assert conditioned(model) is model
    kwargs = with_conditioning(with_conditioning({}, {"x": 1.0, "y": 1.0}), {"y": 2.0})
    assert model(**kwargs) == 3.0
    with pytest.raises(ValueError, match=r"the sites \['z'\] cannot be given"):
        with_conditioning({}, {"z": 1.0}, allowed=frozenset({"x"}))
