"""Programs that are compiled into one CPU kernel, wholly or in part: they compile, and they draw the same as those that are not.

A fault of the compiler ends the process here, so the cases are many and small: every kind of operand that a user can cause.
"""

import pickle

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from targets import normal, unit_params

import ppl
import ppl.distributions as dist
from ppl.infer import HMC, MCMC, NUTS
from ppl.infer.algorithms.fused import Fusing, call_fused, fusing, whole_program
from ppl.infer.algorithms.hmc import HMC as HMCTransition
from ppl.infer.algorithms.nuts import NUTS as NUTSTransition
from ppl.infer.algorithms.packed import PackedTrajectory
from ppl.infer.run.compiler import compile_lowered

Y = np.array([28.0, 8.0, -3.0, 7.0, -1.0], np.float32)
SIGMA = np.array([15.0, 10.0, 16.0, 11.0, 9.0], np.float32)


def one_scalar(y):
    ppl.sample("y", dist.Normal(ppl.sample("x", dist.Normal(0, 1)), 1), obs=y)


def hierarchical(y, sigma):
    mu = ppl.sample("mu", dist.Normal(0, 5))
    tau = ppl.sample("tau", dist.HalfCauchy(5))
    with ppl.plate("school", 5):
        z = ppl.sample("z", dist.Normal(0, 1))
        ppl.sample("y", dist.Normal(ppl.deterministic("theta", mu + tau * z), sigma), obs=y)


def unused_argument(y, sigma, unused):
    hierarchical(y, sigma)


def unused_after_simplification(y, sigma, number):
    x = ppl.sample("x", dist.Normal(0, 1))
    offset = jnp.where(number > 3, 1.0, 1.0) + number**0
    ppl.sample("y", dist.Normal(x + offset, sigma), obs=y)


def only_the_shape(y, other):
    x = ppl.sample("x", dist.Normal(0, other.shape[0]))
    ppl.sample("y", dist.Normal(x, 1 + 0 * jnp.ones_like(other)), obs=y)


def integers(counts, index):
    rate = ppl.sample("rate", dist.Gamma(2.0, 1.0))
    effect = ppl.sample("effect", dist.Normal(0, 1).expand([2]).to_event(1))
    ppl.sample("y", dist.Poisson(rate * jnp.exp(effect[index])), obs=counts)


def zero_times_integer(y, index):
    x = ppl.sample("x", dist.Normal(jnp.sum(index * 0), 1))
    ppl.sample("y", dist.Normal(x, 1), obs=y)


def booleans(y, is_large):
    x = ppl.sample("x", dist.Normal(0, 1))
    ppl.sample("y", dist.Normal(jnp.where(is_large, x, 2 * x), 1), obs=y)


def gather(y, index):
    x = ppl.sample("x", dist.Normal(0, 1).expand([3]).to_event(1))
    ppl.sample("y", dist.Normal(x[index], 1), obs=y)


def matrix(y, design):
    b = ppl.sample("b", dist.Normal(0, 1).expand([design.shape[1]]).to_event(1))
    ppl.sample("y", dist.Normal(design @ b, 1), obs=y)


def vectors(alpha):
    ppl.sample("p", dist.Dirichlet(alpha))
    ppl.sample("L", dist.LKJCholesky(3, 2.0))


def dependent_support(y):
    low = ppl.sample("low", dist.Normal(0, 1))
    ppl.sample("y", dist.Normal(ppl.sample("x", dist.Uniform(low, low + 2)), 1), obs=y)


def prior_by_length(y):
    with ppl.plate("n", len(y)):
        ppl.sample("x", dist.Normal(0, 1))


def nothing_used(y):
    ppl.sample("x", dist.Normal(0, 1).expand([3]).to_event(1))


def nothing_left(index):
    ppl.sample("x", dist.Normal(jnp.sum(index * 0), 1))


INDEX = np.array([0, 1, 0, 1, 1])
CASES = {
    "one scalar": (one_scalar, (np.float32(1.0),)),
    "Python numbers": (one_scalar, (1.0,)),
    "hierarchical": (hierarchical, (Y, SIGMA)),
    "unused argument": (unused_argument, (Y, SIGMA, SIGMA + 1)),
    "unused integers": (unused_argument, (Y, SIGMA, INDEX)),
    "unused after simplification": (unused_after_simplification, (Y, SIGMA, np.ones(5, np.float32))),
    "only the shape": (only_the_shape, (Y, SIGMA)),
    "nothing but the shape": (prior_by_length, (Y,)),
    "nothing at all": (nothing_used, (Y,)),
    "nothing of a number": (nothing_used, (np.float32(1.0),)),
    "nothing after simplification": (nothing_left, (INDEX,)),
    "no elements": (nothing_used, (np.zeros(0, np.float32),)),
    "some without elements": (lambda y, z: nothing_used(y), (Y, np.zeros((0, 2), np.float32))),
    "integers": (integers, (np.array([3, 1, 2, 0, 4]), INDEX)),
    "zero times integer": (zero_times_integer, (Y, INDEX)),
    "booleans": (booleans, (Y, Y > 0)),
    "gather": (gather, (Y, INDEX)),
    "matrix": (matrix, (Y, np.stack([np.ones(5), SIGMA / 10], 1))),
    "vectors": (vectors, (np.ones(3, np.float32) * 2,)),
    "dependent support": (dependent_support, (Y / 10,)),
}


def draws(kernel, arguments, num_warmup=30, **options):
    mcmc = MCMC(kernel, num_warmup=num_warmup, num_samples=30, progress_bar=False, **options)
    mcmc.run(jax.random.key(0), *arguments, extra_fields=("adapt_state.step_size",))
    return mcmc


@pytest.mark.parametrize("name", CASES)
def test_same_draws_with_and_without(name, monkeypatch):
    model, arguments = CASES[name]
    fused = draws(NUTS(model), arguments, num_warmup=8)
    monkeypatch.setattr("ppl.infer.target_process.MAX_FUSED_DIMENSION", 0)
    plain = draws(NUTS(model), arguments, num_warmup=8)
    for site, values in fused.get_samples().items():
        assert np.isfinite(values).all()
        # Rounding differs, and a chain forgets what it was; the first iterations agree.
        np.testing.assert_allclose(values[:2], plain.get_samples()[site][:2], rtol=0.1, atol=0.1)


KERNELS = {
    "pair of depths": lambda model: NUTS(model, max_tree_depth=(3, 6)),
    "equal pair": lambda model: NUTS(model, max_tree_depth=(4, 4)),
    "depth one": lambda model: NUTS(model, max_tree_depth=1),
    "no step size": lambda model: NUTS(model, adapt_step_size=False, step_size=0.1),
    "no mass": lambda model: NUTS(model, adapt_mass_matrix=False),
    "nothing adapted": lambda model: NUTS(model, adapt_mass_matrix=False, adapt_step_size=False, step_size=0.1),
    "not regularised": lambda model: NUTS(model, regularize_mass_matrix=False),
    "dense": lambda model: NUTS(model, dense_mass=True),
    "blocks": lambda model: NUTS(model, dense_mass=[("mu", "tau")]),
    "search": lambda model: NUTS(model, find_heuristic_step_size=True),
    "given mass": lambda model: NUTS(model, inverse_mass_matrix=np.full(7, 2.0)),
    "forward mode": lambda model: NUTS(model, forward_mode_differentiation=True),
    "kinetic function": lambda model: NUTS(model, kinetic_fn=lambda m, r: 0.5 * sum(jnp.sum(x**2) for x in jax.tree.leaves(r))),
    "HMC by length": lambda model: HMC(model, trajectory_length=1.0),
    "HMC by steps": lambda model: HMC(model, num_steps=5, trajectory_length=None),
}


@pytest.mark.parametrize("name", KERNELS)
def test_every_option_compiles(name):
    for model, arguments in ((hierarchical, (Y, SIGMA)), (unused_argument, (Y, SIGMA, INDEX))):
        mcmc = draws(KERNELS[name](model), arguments)
        assert np.isfinite(mcmc.get_samples()["mu"]).all()


def test_operands_without_use_are_left_out():
    def fn(x, unused, y):
        def body(carry):
            i, total = carry
            return i + 1, total + jnp.sum(x) + jnp.where(y > 0, 1.0, 2.0)

        return jax.lax.while_loop(lambda carry: carry[0] < 3, body, (0, 0.0))[1]

    arguments = (jnp.ones(3), jnp.ones(4), jnp.float32(1.0))
    for mode in Fusing:
        with fusing(mode):
            for form in (lambda *a: call_fused(fn, *a), whole_program(fn)):
                assert jax.jit(form)(*arguments) == 12.0


def states_of_a_mixture(y):
    loc = ppl.sample("loc", dist.Normal(jnp.array([-2.0, 0.0, 3.0]), 1.0).to_event(1))
    scale = ppl.sample("scale", dist.LogNormal(0.0, 0.3).expand([3]).to_event(1))
    weights = ppl.sample("weights", dist.Dirichlet(jnp.ones(3)))
    with ppl.plate("point", len(y)):
        which = ppl.sample("which", dist.Categorical(weights), infer={"enumerate": "parallel"})
        ppl.sample("y", dist.Normal(loc[which], scale[which]), obs=y)


def many_sites(y):
    values = [ppl.sample(f"x{i}", dist.Normal(0, 1)) for i in range(40)]
    ppl.sample("y", dist.Normal(jnp.stack(values), 1.0).to_event(1), obs=y)


@pytest.mark.parametrize(
    ("kernel", "arguments", "mode"),
    [
        (NUTS(hierarchical), (Y, SIGMA), Fusing.WHOLE),
        (NUTS(hierarchical, dense_mass=True), (Y, SIGMA), Fusing.PARTS),
        (NUTS(many_sites), (np.zeros(40, np.float32),), Fusing.PARTS),
        (HMC(many_sites, num_steps=5, trajectory_length=None), (np.zeros(40, np.float32),), Fusing.PARTS),
        (NUTS(gather), (Y, INDEX), Fusing.UPDATES),
        (NUTS(states_of_a_mixture), (np.linspace(-3.0, 4.0, 12, dtype=np.float32),), Fusing.WHOLE),
    ],
    ids=["all elementary", "dense metric", "many sites", "many sites, HMC", "scatter", "states"],
)
def test_as_much_is_fused_as_can_be(kernel, arguments, mode, monkeypatch):
    fused = draws(kernel, arguments, num_warmup=5)  # in a longer warm-up another rounding may accept what was rejected
    assert fused._launch.process.modes()[-1] is mode
    monkeypatch.setattr("ppl.infer.target_process.MAX_FUSED_DIMENSION", 0)
    plain = draws(pickle.loads(pickle.dumps(kernel)), arguments, num_warmup=5)
    for site, values in fused.get_samples().items():
        np.testing.assert_allclose(values[:2], plain.get_samples()[site][:2], rtol=0.1, atol=0.1)


SUMMED = [((4095,), Fusing.WHOLE), ((4096,), Fusing.UPDATES), ((3, 1400), Fusing.UPDATES), ((2, 2100), Fusing.WHOLE)]


@pytest.mark.parametrize(("shape", "mode"), SUMMED)
def test_sums_that_xla_leaves_to_a_library_are_not_fused(shape, mode, monkeypatch):
    """Nothing is tried that the compiler refuses: it would be told on the terminal, and take time."""
    refused = []

    def watched(lowered, options):
        try:
            return compile_lowered(lowered, options)
        except jax.errors.JaxRuntimeError as error:
            refused.append(str(error))
            raise

    monkeypatch.setattr("ppl.infer.run.programs.compile_lowered", watched)
    mcmc = draws(NUTS(one_scalar), (np.ones(shape, np.float32),), num_warmup=5)
    assert mcmc._launch.process.modes()[-1] is mode
    assert refused == []


@pytest.mark.parametrize("kernel", [NUTSTransition(), HMCTransition(num_steps=3)], ids=["NUTS", "HMC"])
def test_packed_trajectories_are_the_same(kernel):
    state = kernel.init(jnp.array([1, 2], jnp.uint32), normal(3), jnp.array([0.5, -1.0, 2.0]))
    trajectory = kernel.begin(jnp.array([3, 4], jnp.uint32), state, unit_params(0.1, 3))
    again = PackedTrajectory.of(trajectory, kernel.is_running(trajectory)).unpack()
    assert jax.tree.structure(again) == jax.tree.structure(trajectory)
    for one, other in zip(jax.tree.leaves(trajectory), jax.tree.leaves(again), strict=True):
        assert one.dtype == other.dtype
        np.testing.assert_array_equal(one, other)
