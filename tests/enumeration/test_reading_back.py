"""From a run with sites summed out to their posterior: samples, predictions, probabilities; and both ways to sum along time."""

import pickle
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import ppl
import ppl.distributions as dist
from ppl import handlers
from ppl.contrib.control_flow import scan
from ppl.contrib.funsor import plate_to_enum_plate
from ppl.infer import HMC, MCMC, NUTS, Predictive, compute_marginals, log_likelihood
from ppl.infer.target import dynamics
from ppl.infer.util import initialize_model, potential_energy

MARK = {"enumerate": "parallel"}
Y = np.where(np.arange(12) < 5, 0.0, 4.0) + np.random.default_rng(0).normal(size=12)


def chain(y: Any = Y) -> None:
    """A chain of two states, with deterministic sites of each step and behind the loop."""
    mu = ppl.sample("mu", dist.Normal(jnp.array([0.0, 4.0]), 0.5).to_event(1))
    stay = ppl.sample("stay", dist.Beta(8.0, 2.0))
    ppl.deterministic("gap", mu[1] - mu[0])

    def step(z: Any, y: Any) -> tuple[Any, None]:
        z = ppl.sample("z", dist.Bernoulli(jnp.where(z == 1, stay, 1.0 - stay)), infer=MARK)
        ppl.deterministic("mean", mu[z])
        ppl.sample("y", dist.Normal(mu[z], 1.0), obs=y)
        return z, None

    last, _ = scan(step, 0, y, length=12)
    ppl.deterministic("last", 10 * last)


def groups(x: Any = None) -> None:
    """A site in a plate and one in a plate inside; the outer plate has size 1."""
    w = ppl.sample("w", dist.Dirichlet(jnp.ones(3)))
    with ppl.plate("group", 1, dim=-2):
        a = ppl.sample("a", dist.Bernoulli(0.3), infer=MARK)
        with ppl.plate("row", 5, dim=-1):
            z = ppl.sample("z", dist.Categorical(w), infer=MARK)
            ppl.sample("x", dist.Normal(2.0 * z + a, 1.0), obs=x)
    ppl.deterministic("sum", z + a)


def continuous() -> None:
    ppl.sample("x", dist.Normal(0.0, 1.0))


@pytest.fixture(scope="module")
def run() -> MCMC:
    mcmc = MCMC(NUTS(chain), num_warmup=300, num_samples=500, num_chains=2, progress_bar=False)
    mcmc.run(jax.random.key(0), Y)
    return mcmc


def test_samples_hold_what_was_summed_out_on_request(run: MCMC) -> None:
    samples = run.get_samples()
    assert {name: x.shape[1:] for name, x in samples.items()} == {"gap": (), "last": (), "mean": (12,), "mu": (2,), "stay": ()}
    with_states = run.get_samples(infer_discrete=True)
    z, mu = np.asarray(with_states["z"]), np.asarray(with_states["mu"])
    np.testing.assert_array_equal(np.take_along_axis(mu, z, 1), with_states["mean"])
    np.testing.assert_array_equal(10 * z[:, -1], with_states["last"])
    np.testing.assert_array_equal(run.get_samples(True, infer_discrete=True)["z"].reshape(z.shape), z)


def test_states_have_their_posterior_probabilities(run: MCMC) -> None:
    """The share of ones is the mean of their probabilities given each draw: 5 standard errors, of independent draws."""
    samples = {name: run.get_samples()[name] for name in ("mu", "stay")}
    given = jax.vmap(lambda s: compute_marginals(chain, (Y,), {}, s)["z"])(samples)
    expected, ones = np.asarray(given)[..., 1], np.asarray(run.get_samples(infer_discrete=True)["z"])
    errors = np.sqrt((expected * (1 - expected)).mean(0) / len(ones)) + 1e-3
    assert (np.abs(ones.mean(0) - expected.mean(0)) < 5 * errors).all()
    predicted = Predictive(chain, samples, infer_discrete=True)(jax.random.key(1), Y)
    assert list(predicted) == ["gap", "z", "mean", "y", "last"]
    assert (np.abs(np.asarray(predicted["z"]).mean(0) - expected.mean(0)) < 5 * errors).all()
    np.testing.assert_array_equal(np.take_along_axis(np.asarray(samples["mu"]), np.asarray(predicted["z"]), 1), predicted["mean"])


def test_without_inference_states_are_drawn_from_the_prior() -> None:
    samples = {"mu": np.tile([0.0, 4.0], (2000, 1)), "stay": np.full(2000, 0.9)}
    z = np.asarray(Predictive(chain, samples)(jax.random.key(0), None)["z"])
    assert abs(z[:, 0].mean() - 0.1) < 5 * np.sqrt(0.09 / 2000)


def test_shapes_of_plates_are_kept() -> None:
    x = np.array([[0.1, 2.2, 3.9, 4.4, 0.3]])
    mcmc = MCMC(HMC(groups), num_warmup=50, num_samples=40, progress_bar=False)
    mcmc.run(0, x)
    shapes = {"a": (1, 1), "sum": (1, 5), "w": (3,), "z": (1, 5)}
    samples = mcmc.get_samples(infer_discrete=True)
    assert {name: value.shape[1:] for name, value in samples.items()} == shapes
    predicted = Predictive(groups, {"w": samples["w"]}, infer_discrete=True)(1, x)
    assert {name: value.shape[1:] for name, value in predicted.items()} == {"a": (1, 1), "z": (1, 5), "x": (1, 5), "sum": (1, 5)}
    marginals = compute_marginals(groups, (x,), {}, {"w": np.full(3, 1 / 3)})
    assert {name: value.shape for name, value in marginals.items()} == {"a": (1, 1, 2), "z": (1, 5, 3)}
    likelihood = log_likelihood(groups, {name: samples[name] for name in ("a", "w", "z")}, x)
    assert likelihood["x"].shape == (40, 1, 5)


def subsampled() -> None:
    with ppl.plate("row", 10, subsample_size=2):
        ppl.sample("z", dist.Bernoulli(0.3), infer=MARK)


def test_nothing_is_drawn_for_marginals() -> None:
    """Sites without a value are named, in loops too; a key of the model's own is for it to use."""
    given = {"mu": np.array([0.0, 4.0]), "stay": 0.8}
    with pytest.raises(ValueError, match="no value of the latent site 'stay'; params has 'mu', 'step'"):
        compute_marginals(chain, (Y,), {}, {"mu": given["mu"], "step": 0.8})
    unseen = handlers.uncondition(chain)
    with pytest.raises(ValueError, match="no value of the latent site 'y'"):
        compute_marginals(unseen, (Y,), {}, given)
    with pytest.raises(ValueError, match="no indices of the subsampled plate 'row'; params has nothing"):
        compute_marginals(subsampled, (), {}, {})
    for model, params in ((subsampled, {"row": np.array([3, 1])}), (handlers.seed(subsampled, 0), {})):
        np.testing.assert_allclose(compute_marginals(model, (), {}, params)["z"], [[0.7, 0.3]] * 2, rtol=1e-5)


def test_the_end_of_a_series_that_is_not_known() -> None:
    """A short series is refused, with the cure: it is filled up, and what is unknown is drawn."""
    known = np.arange(12) < 10

    def forecast(y: Any) -> None:
        def step(z: Any, entry: Any) -> tuple[Any, None]:
            z = ppl.sample("z", dist.Bernoulli(0.2 + 0.6 * z), infer=MARK)
            ppl.sample("y", dist.Normal(4.0 * z, 0.1), obs=entry[0], obs_mask=entry[1])
            return z, None

        scan(step, 0, (y, known))

    predicted = Predictive(forecast, num_samples=4000, infer_discrete=True)(0, np.where(known, 4.0, 0.0))
    np.testing.assert_allclose(predicted["z"].mean(0), np.where(known, 1.0, [0.8] * 11 + [0.68]), atol=5 * 0.5 / np.sqrt(4000))
    np.testing.assert_allclose(predicted["y"][:, 11].mean(), 4 * 0.68, atol=5 * 2 / np.sqrt(4000))


def test_only_what_data_depend_on_is_enumerated_in_predictions() -> None:
    """New data are drawn given their parents, whatever their support; a site that cannot be enumerated is refused, not ignored."""

    def model(counts: Any, y: Any = None) -> None:
        with ppl.plate("n", 3):
            z = ppl.sample("z", dist.Bernoulli(0.3), infer=MARK)
            w = ppl.sample("w", dist.Bernoulli(0.2 + 0.6 * z))
            ppl.sample("x", dist.Normal(4.0 * w, 1.0), obs=np.array([0.0, 2.0, 4.0]))
            ppl.sample("y", dist.Binomial(counts, 0.1 + 0.5 * z), obs=y)
            ppl.sample("count", dist.Poisson(1.0 + z))

    counts, states = np.array([3, 1, 2]), np.array([0.0, 1.0])
    found = Predictive(model, num_samples=20_000, infer_discrete=True)(0, counts)
    joint = np.array([0.7, 0.3])[:, None] * np.array([[0.8, 0.2], [0.2, 0.8]])
    likelihood = np.exp(-0.5 * (np.array([0.0, 2.0, 4.0])[:, None] - 4.0 * states) ** 2)
    posterior = joint * likelihood[:, None, :]
    posterior /= posterior.sum((1, 2), keepdims=True)
    pz, pw = posterior[:, 1, :].sum(1), posterior[:, :, 1].sum(1)
    errors = {
        "z": (found["z"].mean(0) - pz, np.sqrt(pz * (1 - pz))),
        "w": (found["w"].mean(0) - pw, np.sqrt(pw * (1 - pw))),
        "y": (found["y"].mean(0) - counts * (0.1 + 0.5 * pz), np.std(found["y"], 0)),
        "count": (found["count"].mean(0) - (1 + pz), np.std(found["count"], 0)),
    }
    for name, (error, deviation) in errors.items():
        assert np.abs(error / (deviation + 1e-3)).max() < 4.5 / np.sqrt(20_000), name

    def infinite() -> None:
        k = ppl.sample("k", dist.Poisson(2.0))
        ppl.sample("x", dist.Normal(k, 1.0), obs=3.0)

    def sequential() -> None:
        z = ppl.sample("z", dist.Bernoulli(0.3), infer={"enumerate": "sequential"})
        ppl.sample("x", dist.Normal(z, 1.0), obs=1.0)

    def forecast() -> None:
        def step(z: Any, _: Any) -> tuple[Any, Any]:
            z = ppl.sample("z", dist.Bernoulli(0.2 + 0.6 * z))
            return z, ppl.sample("y", dist.Normal(z, 0.1))

        with handlers.condition(data={"y": jnp.zeros(2)}):
            scan(step, 0, None, length=4)

    cases = (
        (infinite, "'k' ~ Poisson has no finite support"),
        (sequential, "'z' has infer=.*sequential"),
        (forecast, "'y' in a loop of 4 steps.*obs_mask=known"),
    )
    for refused, words in cases:
        with pytest.raises(NotImplementedError, match=words):
            Predictive(refused, num_samples=3, infer_discrete=True)(0)


def unseen() -> None:
    loc = ppl.sample("loc", dist.Normal(0.0, 1.0))

    def step(z: Any, _: Any) -> tuple[Any, None]:
        z = ppl.sample("z", dist.Bernoulli(0.2 + 0.6 * z), infer=MARK)
        ppl.sample("y", dist.Normal(loc + z, 0.1))
        return z, None

    scan(step, 0, None, length=12)


def plain_loop() -> None:
    loc = ppl.sample("loc", dist.Normal(0.0, 1.0))
    scan(lambda c, _: (c, ppl.sample("y", dist.Normal(loc, 1.0))), 0.0, None, length=12)


def test_a_series_that_is_shorter_than_its_loop() -> None:
    """It is continued in predictions, if nothing is enumerated, and has no density."""
    draws = {"loc": np.zeros(3)}
    continued = Predictive(handlers.condition(plain_loop, data={"y": Y[:10]}), draws)(0)["y"]
    np.testing.assert_allclose(continued[:, :10], np.broadcast_to(Y[:10], (3, 10)), rtol=1e-6)
    assert np.std(continued[:, 11]) > 0
    short = handlers.condition(unseen, data={"y": Y[:10]})
    with pytest.raises(NotImplementedError, match=r"site 'y' in a loop of 12 steps: .* of shape \(10,\) is too short.*obs_mask"):
        Predictive(short, draws, infer_discrete=True)(0)
    for handler in (handlers.condition, handlers.substitute):
        given = handler(handlers.condition(unseen, data={"y": Y}), data={"z": np.array([1, 0])})
        with pytest.raises(ValueError, match="site 'z': values were given for 2 steps"):
            potential_energy(given, (), {}, {"loc": 0.0}, enum=True)
    with pytest.raises(ValueError, match="site 'y': values were given for 10 steps, fewer than its loop has"):
        MCMC(NUTS(handlers.condition(plain_loop, data={"y": Y[:10]})), num_warmup=5, num_samples=5).run(0)
    with pytest.raises(ValueError, match="site 'y': values were given for 10 steps"):
        log_likelihood(handlers.condition(plain_loop, data={"y": Y[:10]}), draws)


def test_only_models_with_such_sites_have_them() -> None:
    plain = MCMC(NUTS(continuous), num_warmup=5, num_samples=5, progress_bar=False)
    plain.run(0)
    with pytest.raises(ValueError, match="no discrete site"):
        plain.get_samples(infer_discrete=True)
    with pytest.raises(ValueError, match="infer_discrete=True works where the kernel ran"):
        pickle.loads(pickle.dumps(plain)).get_samples(infer_discrete=True)


def test_the_functional_forms_sum_out() -> None:
    info = initialize_model(jax.random.key(0), chain, model_args=(Y,))
    z = info.param_info.z
    assert set(z) == {"mu", "stay"}
    expected = potential_energy(chain, (Y,), {}, z, enum=True)
    np.testing.assert_allclose(info.potential_fn(z), expected, rtol=1e-6)
    assert {name: np.shape(x) for name, x in info.postprocess_fn(z).items()}["mean"] == (12,)
    with plate_to_enum_plate():
        pass


# By hand and by enumeration


def captures(y: np.ndarray, by_hand: bool) -> None:
    """Capture and recapture with a response to the first capture (model Mb), individuals that were never seen among the rows."""
    omega, p, c = (ppl.sample(name, dist.Uniform(0.0, 1.0)) for name in ("omega", "p", "c"))
    seen_before = np.cumsum(y, 1) - y > 0
    probs = jnp.where(seen_before, c, p)
    with ppl.plate("individual", len(y), dim=-2):
        if by_hand:
            alive = jnp.log(omega) + dist.Bernoulli(probs).log_prob(y).sum(1, keepdims=True)
            gone = jnp.where(y.any(1, keepdims=True), -jnp.inf, jnp.log1p(-omega))
            ppl.factor("y", jnp.logaddexp(alive, gone))
            return
        z = ppl.sample("z", dist.Bernoulli(omega), infer=MARK)
        with ppl.plate("occasion", y.shape[1], dim=-1):
            ppl.sample("y", dist.Bernoulli(z * probs), obs=y)


def successes(y: np.ndarray, by_hand: bool) -> None:
    """The same with an ability of each individual (model Mh); counts up to the number of occasions."""
    omega = ppl.sample("omega", dist.Uniform(0.0, 1.0))
    sigma = ppl.sample("sigma", dist.HalfNormal(1.0))
    with ppl.plate("individual", len(y)):
        p = jax.nn.sigmoid(ppl.sample("ability", dist.Normal(-0.5, 1.0)) * sigma)
        if by_hand:
            alive = jnp.log(omega) + dist.Binomial(5, p).log_prob(y)
            ppl.factor("y", jnp.logaddexp(alive, jnp.where(y == 0, jnp.log1p(-omega), -jnp.inf)))
            return
        z = ppl.sample("z", dist.Bernoulli(omega), infer=MARK)
        ppl.sample("y", dist.Binomial(5, z * p), obs=y)


HISTORIES = (np.random.default_rng(1).uniform(size=(30, 4)) < np.linspace(0.1, 0.6, 30)[:, None]).astype(np.int32)


@pytest.mark.parametrize(("model", "y"), [(captures, HISTORIES), (successes, np.arange(30, dtype=np.int32) % 6)])
def test_capture_and_recapture(model: Callable[..., None], y: np.ndarray) -> None:
    """Density and gradient are those of the sum by hand, also where a state is ruled out by the data."""
    z = initialize_model(jax.random.key(0), model, model_args=(y, True)).param_info.z

    def energy(by_hand: bool) -> tuple[Any, Any]:
        return jax.value_and_grad(lambda z: potential_energy(model, (y, by_hand), {}, z, enum=not by_hand))(z)

    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=2e-5, atol=1e-5), energy(True), energy(False))


# Along time, in sequence and in parallel


def from_a_drawn_state(reverse: bool, joint: bool) -> Callable[[], None]:
    """Two coupled chains in a plate, or a single one, from a drawn state, whose last one is used."""
    rows = np.array([[0.7, 0.2, 0.1], [0.1, 0.6, 0.3], [0.3, 0.3, 0.4]])

    def step(carry: Any, y: Any) -> tuple[Any, None]:
        z, w = carry
        with ppl.plate("series", 2):
            z = ppl.sample("z", dist.Categorical(jnp.asarray(rows)[z]), infer=MARK)
            if joint:
                w = ppl.sample("w", dist.Bernoulli(0.2 + 0.2 * z + 0.1 * w), infer=MARK)
            ppl.sample("y", dist.Normal(1.0 * z - w, 1.0), obs=y)
        return (z, w), None

    def model() -> None:
        with ppl.plate("series", 2):
            first = ppl.sample("first", dist.Categorical(jnp.asarray(rows[0])), infer=MARK)
        last, _ = scan(step, (first, np.zeros(2, int)), np.stack([Y[:7], Y[5:]], 1), reverse=reverse)
        with ppl.plate("series", 2):
            ppl.sample("end", dist.Normal(1.0 * last[0], 0.5), obs=np.array([0.3, 1.8]))

    return model


@pytest.mark.parametrize(("reverse", "joint"), [(False, True), (True, False)])
def test_in_parallel_as_in_sequence(monkeypatch: pytest.MonkeyPatch, reverse: bool, joint: bool) -> None:
    model = from_a_drawn_state(reverse, joint)

    def found() -> tuple[Any, Any]:
        marginals = compute_marginals(model, (), {}, {})
        draw = handlers.trace(ppl.infer.infer_discrete(model, -2, 1, jax.random.key(3))).get_trace()
        best = handlers.trace(ppl.infer.infer_discrete(model, -2, 0)).get_trace()
        return marginals, [tr[name]["value"] for tr in (draw, best) for name in marginals]

    expected, states = found()
    monkeypatch.setattr(dynamics._Recursion, "is_better_in_parallel", lambda self: True)
    marginals, same_states = found()
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-5), expected, marginals)
    jax.tree.map(np.testing.assert_array_equal, states, same_states)
