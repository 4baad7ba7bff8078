"""Draws for ArviZ."""

import sys

import numpy as np
import pytest
from jax import random
from scipy import stats

import ppl
import ppl.distributions as dist
from ppl.infer import MCMC, NUTS, Predictive

pytestmark = pytest.mark.filterwarnings("error")
Y = np.array([1.0, 2.0, 3.0], np.float32)


def model(y=None):
    mu = ppl.sample("mu", dist.Normal(0.0, 5.0))
    with ppl.plate("school", 3):
        theta = ppl.sample("theta", dist.Normal(mu, 1.0))
        ppl.deterministic("pair", np.ones((2, 1), np.float32) * theta)
        ppl.sample("y", dist.Normal(theta, 1.0), obs=y)
    ppl.factor("f", -(mu**2))


@pytest.fixture(scope="module")
def mcmc():
    mcmc = MCMC(NUTS(model), num_warmup=50, num_samples=8, num_chains=2, progress_bar=False)
    mcmc.run(random.key(0), Y, extra_fields=("potential_energy", "adapt_state.step_size"))
    return mcmc


def test_groups_and_dimensions(mcmc):
    pytest.importorskip("arviz")
    samples = mcmc.get_samples(group_by_chain=True)
    predicted = Predictive(model, mcmc.get_samples())(random.key(1))
    prior = Predictive(model, num_samples=5, return_sites=["mu", "y"])(random.key(2))
    data = mcmc.to_inferencedata(
        log_likelihood=True,
        posterior_predictive={"y": predicted["y"]},
        prior=prior,
        coords={"school": ["a", "b", "c"]},
        dims={"pair": ["side", "pupil"]},
    )
    assert data["posterior"]["theta"].dims == ("chain", "draw", "school")
    assert data["posterior"]["pair"].dims == ("chain", "draw", "side", "pupil")
    assert data["posterior"]["school"].values.tolist() == ["a", "b", "c"]
    np.testing.assert_array_equal(data["posterior"]["mu"], samples["mu"])
    np.testing.assert_array_equal(data["posterior_predictive"]["y"].values.reshape(16, 3), predicted["y"])
    assert list(data["observed_data"].data_vars) == list(data["log_likelihood"].data_vars) == ["y"]
    np.testing.assert_array_equal(data["observed_data"]["y"], Y)
    assert data["log_likelihood"]["y"].dims == ("chain", "draw", "school")
    np.testing.assert_allclose(data["log_likelihood"]["y"], stats.norm(samples["theta"]).logpdf(Y), rtol=1e-5)
    assert dict(data["prior"].sizes) == {"chain": 1, "draw": 5} and list(data["prior_predictive"].data_vars) == ["y"]


def test_statistics(mcmc):
    pytest.importorskip("arviz")
    stats = mcmc.to_inferencedata()["sample_stats"]
    assert set(stats.data_vars) == {"diverging", "energy", "n_steps", "acceptance_rate", "step_size", "lp", "tree_depth"}
    fields = mcmc.get_extra_fields(group_by_chain=True)
    np.testing.assert_array_equal(stats["lp"], -fields["potential_energy"])
    np.testing.assert_array_equal(stats["step_size"], fields["adapt_state.step_size"])
    assert np.all(stats["energy"] >= fields["potential_energy"])
    assert np.all((2 ** (stats["tree_depth"] - 1) <= stats["n_steps"]) & (stats["n_steps"] < 2 ** stats["tree_depth"]))


def test_tree(mcmc):
    pytest.importorskip("arviz")
    tree = mcmc.to_datatree()
    assert tree["posterior/theta"].shape == (2, 8, 3)


def test_potential_functions():
    pytest.importorskip("arviz")
    mcmc = MCMC(NUTS(potential_fn=lambda z: (z["a"]["b"] ** 2).sum()), num_warmup=10, num_samples=4, progress_bar=False)
    mcmc.run(random.key(0), init_params={"a": {"b": np.zeros(2, np.float32)}})
    assert mcmc.to_inferencedata()["posterior"]["a.b"].shape == (1, 4, 2)
    with pytest.raises(ValueError, match="made of a model"):
        mcmc.to_inferencedata(log_likelihood=True)


def test_errors(mcmc, monkeypatch):
    with pytest.raises(ValueError, match="call `run` first"):
        MCMC(NUTS(model), num_warmup=1, num_samples=1).to_inferencedata()
    with pytest.raises((ValueError, ImportError), match="posterior_predictive|arviz"):
        mcmc.to_inferencedata(posterior_predictive={"y": np.zeros((5, 3))})
    monkeypatch.setitem(sys.modules, "arviz", None)
    with pytest.raises(ImportError, match="pip install arviz"):
        mcmc.to_inferencedata()
