"""Malformed uses of kernels, of runs and of what comes after them: more of the table in `errors.py`."""

import warnings
from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from errors import KEY, Case, in_plate, normal

import ppl
import ppl.distributions as dist
from ppl import handlers
from ppl.infer import (
    HMC,
    MCMC,
    NUTS,
    SA,
    BarkerMH,
    Predictive,
    init_to_median,
    init_to_uniform,
    init_to_value,
    initialize_model,
    log_likelihood,
)
from ppl.infer.hmc import hmc
from ppl.infer.hmc_util import build_adaptation_schedule, euclidean_kinetic_energy
from ppl.infer.mcmc import MCMCKernel
from ppl.infer.util import constrain_fn, log_density, potential_energy, unconstrain_fn

NAN = np.array([0.0, np.nan, 1.0])


def mcmc(kernel: Any = None, **options: Any) -> MCMC:
    """A short run, not yet begun."""
    sizes = {"num_warmup": 1, "num_samples": 1, "progress_bar": False, **options}
    return MCMC(NUTS(normal) if kernel is None else kernel, **sizes)


def run(kernel: Any, *args: Any, init_params: Any = None, extra_fields: Any = (), key: Any = KEY, **options: Any) -> None:
    """A short run; of a model, by NUTS."""
    sampler = kernel if isinstance(kernel, MCMCKernel) else NUTS(kernel)
    mcmc(sampler, **options).run(key, *args, init_params=init_params, extra_fields=extra_fields)


def quietly(fn: Callable[..., Any], *args: Any) -> Any:
    """Call a function without its warnings."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return fn(*args)


def resume(state: Any, **options: Any) -> None:
    """Run from a state, without warm-up."""
    sampler = mcmc(**options)
    sampler.post_warmup_state = state
    sampler.run(KEY)


def resume_with_longer_data() -> None:
    """Sites for each entry of data that only have a length: fused with what does not fit, this ended the process."""

    def model(y: Any) -> None:
        with ppl.plate("n", len(y)):
            ppl.sample("x", dist.Normal(0.0, 1.0))

    sampler = mcmc(NUTS(model))
    sampler.warmup(KEY, np.zeros(3, np.float32))
    sampler.run(KEY, np.zeros(5, np.float32))


class Plain(MCMCKernel):
    """A user's kernel without refresh."""

    sample_field = "z"

    def init(self, *args: Any) -> Any:
        """Nothing."""

    def sample(self, *args: Any) -> Any:
        """Nothing."""


def two_sites() -> None:
    normal("a")
    ppl.sample("b", dist.Normal(np.zeros(2), 1.0))


def regression(y: Any) -> None:
    mu = normal("mu")
    ppl.sample("y", dist.Normal(mu, 1.0), obs=y)


def observed(fn: Callable[[Any], dist.Distribution]) -> Callable[[Any], None]:
    """A model with one latent site and one observed one."""

    def model(y: Any) -> None:
        ppl.sample("y", fn(normal("mu")), obs=y)

    return model


def latent(fn: dist.Distribution) -> Callable[[], None]:
    """A model with one latent site."""

    def model() -> None:
        ppl.sample("x", fn)

    return model


def generator() -> Iterator[None]:
    normal()
    yield


def branches() -> None:
    if normal() > 0:
        normal("y", obs=1.0)


def looks_up_in_numpy() -> None:
    z = ppl.sample("z", dist.Bernoulli(0.3), infer={"enumerate": "parallel"})
    ppl.sample("y", dist.Normal(normal() + np.array([0.1, 0.2])[z], 1.0), obs=1.0)


def without_derivative() -> None:
    ppl.factor("f", -jnp.sqrt(jnp.abs(0.0 * normal())))


def quadratic(z: Any) -> Any:
    return 0.5 * jnp.sum(z**2)


MODELS = [
    Case("a number as model", lambda: NUTS(3), TypeError, ("NUTS", "`model` must be a function", "found 3")),
    Case(
        "a called model",
        lambda: NUTS(handlers.seed(normal, KEY)() and None),
        ValueError,
        ("NUTS", "`model`", "neither"),
        compiles=True,
    ),
    Case("missing argument", lambda: run(regression), TypeError, ("regression() missing 1 required positional argument", "'y'")),
    Case("a generator as model", lambda: run(generator), TypeError, ("model", "generator", "yield")),
    Case("no distribution", lambda: run(lambda: ppl.sample("x", dist.Normal)), TypeError, ("site 'x'", "class Normal")),
    Case("run: two sites of one name", lambda: run(lambda: (normal(), normal())), ValueError, ("`x` duplicated", "rename")),
    Case(
        "run: obs of another length",
        lambda: run(in_plate(5, obs=np.zeros(3))),
        ValueError,
        ("site 'x'", "value of shape (3,)", "plate 'n' (5)", "(5,)"),
    ),
    Case(
        "obs of another shape",
        lambda: run(observed(lambda mu: dist.Normal(mu * np.ones(3), 1.0)), np.zeros(4)),
        ValueError,
        ("site 'y'", "value of shape (4,)", "batch shape (3,)"),
    ),
    Case("data of strings", lambda: run(regression, np.array(["1.0"])), TypeError, ("site 'y'", "obs must be numbers", "<U3")),
    Case(
        "complex data",
        lambda: run(regression, np.array([1j])),
        TypeError,
        ("site 'y'", "complex", "Normal", "real"),
    ),
    Case(
        "discrete latent site",
        lambda: run(latent(dist.Poisson(1.0))),
        ValueError,
        ("site 'x' ~ Poisson", "cannot handle discrete", "observe it"),
    ),
    Case("Delta", lambda: run(latent(dist.Delta(0.0))), ValueError, ("site 'x'", "has a delta distribution", "ppl.deterministic")),
    Case(
        "sphere",
        lambda: run(latent(dist.ImproperUniform(dist.constraints.sphere, (), (3,)))),
        ValueError,
        ("site 'x'", "sphere", "ProjectedNormalReparam"),
    ),
    Case("circle", lambda: run(latent(dist.VonMises(0.0, 1.0))), UserWarning, ("site 'x'", "circular", "CircularReparam")),
    Case(
        "no bijection",
        lambda: run(latent(dist.ImproperUniform(dist.constraints.positive_definite_circulant_vector, (), (3,)))),
        ValueError,
        ("site 'x'", "support", "no bijection"),
    ),
    Case("a branch", lambda: run(branches), jax.errors.TracerBoolConversionError, ("latent site", "jnp.where in place of `if`")),
    Case(
        "a table of NumPy",
        lambda: run(looks_up_in_numpy),
        jax.errors.TracerArrayConversionError,
        ("latent site", "jnp.asarray(table)[z]"),
    ),
    Case(
        "values by substitute",
        lambda: run(handlers.substitute(two_sites, data={"a": 1.0})),
        UserWarning,
        ("['a']", "by substitute", "sampled all the same", "condition"),
    ),
    Case(
        "subsampled plate",
        lambda: run(in_plate(10, subsample_size=5)),
        ValueError,
        ("plate 'n'", "5 of its 10", "HMC and NUTS cannot subsample", "SVI or HMCECS"),
    ),
    Case(
        "batch dimension without a plate",
        lambda: run(in_plate(3, dist.Normal(np.zeros((2, 3)), 1.0))),
        UserWarning,
        ("Missing a plate statement", "dimension -2", "site 'x'", "plate 'n'", ".to_event"),
    ),
    Case(
        "parameter outside its constraint",
        lambda: run(lambda: ppl.sample("x", dist.Gamma(-1.0))),
        ValueError,
        ("Gamma", "invalid concentration", "-1.0"),
    ),
    Case(
        "a start without derivative",
        lambda: run(without_derivative),
        RuntimeError,
        ("Cannot find valid initial parameters", "site 'x'", "gradient", "nan"),
        compiles=True,
    ),
    Case(
        "data with nan",
        lambda: quietly(run, regression, NAN),
        RuntimeError,
        ("site 'y' ~ Normal", "1 of 3 observed values are nan", "index (1,)", "obs_mask"),
        compiles=True,
    ),
    Case(
        "data outside the support",
        lambda: quietly(run, observed(lambda mu: dist.LogNormal(mu, 1.0)), np.array([1.0, -1.0])),
        RuntimeError,
        ("site 'y' ~ LogNormal", "-inf", "value -1", "index (1,)", "outside the support"),
        compiles=True,
    ),
    Case(
        "categories out of range",
        lambda: quietly(run, observed(lambda mu: dist.Categorical(logits=mu * np.ones(3))), np.array([3])),
        RuntimeError,
        ("site 'y' ~ Categorical", "value 3", "outside the support"),
        compiles=True,
    ),
    Case(
        "warning of nan",
        lambda: run(regression, NAN),
        UserWarning,
        ("Out-of-support", "site 'y' ~ Normal", "found nan at index (1,)", "1 of 3"),
    ),
    Case(
        "warning of data outside the support",
        lambda: run(observed(lambda mu: dist.LogNormal(mu, 1.0)), np.array([1.0, -1.0])),
        UserWarning,
        ("Out-of-support", "site 'y' ~ LogNormal", "found -1.0 at index (1,)", "Positive"),
    ),
    Case(
        "warning of fractions as counts",
        lambda: run(observed(lambda mu: dist.Poisson(jnp.exp(mu))), np.array([0.5])),
        UserWarning,
        ("Out-of-support", "site 'y' ~ Poisson", "found 0.5", "Integer"),
    ),
    Case(
        "warning of data in the model",
        lambda: run(lambda: observed(lambda mu: dist.LogNormal(mu, 1.0))(np.array([1.0, -1.0]))),
        UserWarning,
        ("Out-of-support", "LogNormal", "found -1.0 at index (1,)", "site 'y'"),
        compiles=True,
    ),
    Case(
        "a factor that is nan",
        lambda: run(lambda: ppl.factor("f", np.nan * normal())),
        RuntimeError,
        ("site 'f'", "nan"),
        compiles=True,
    ),
]

KERNELS = [
    Case("neither", lambda: NUTS(), ValueError, ("NUTS", "exactly one of `model` and `potential_fn`", "neither")),
    Case("both", lambda: HMC(normal, quadratic), ValueError, ("HMC", "exactly one of `model` and `potential_fn`", "both")),
    Case("potential_fn", lambda: NUTS(potential_fn=3.0), TypeError, ("NUTS", "`potential_fn` must be a function", "3.0")),
    Case("kinetic_fn", lambda: NUTS(normal, kinetic_fn=3.0), TypeError, ("NUTS", "kinetic_fn must be a function", "3.0")),
    Case(
        "init_strategy",
        lambda: NUTS(normal, init_strategy="uniform"),
        TypeError,
        ("`init_strategy`", "'uniform'", "init_to_uniform"),
    ),
    Case("step size 0", lambda: NUTS(normal, step_size=0.0), ValueError, ("NUTS", "step_size", "greater than 0", "0.0")),
    Case("step size nan", lambda: NUTS(normal, step_size=np.nan), ValueError, ("NUTS", "step_size", "nan")),
    Case("step size a string", lambda: NUTS(normal, step_size="0.1"), TypeError, ("NUTS", "step_size must be a number", "'0.1'")),
    Case("step size a vector", lambda: HMC(normal, step_size=np.ones(2)), TypeError, ("HMC", "step_size must be a number")),
    Case(
        "target_accept_prob 1", lambda: NUTS(normal, target_accept_prob=1.0), ValueError, ("target_accept_prob", "between 0", "1.0")
    ),
    Case(
        "target_accept_prob in per cent",
        lambda: NUTS(normal, target_accept_prob=80),
        ValueError,
        ("target_accept_prob", "between 0", "80"),
    ),
    Case("tree depth 0", lambda: NUTS(normal, max_tree_depth=0), ValueError, ("max_tree_depth", "between 1 and", "found 0")),
    Case("tree depth 50", lambda: NUTS(normal, max_tree_depth=50), ValueError, ("max_tree_depth", "between 1 and", "found 50")),
    Case(
        "tree depth 2.5", lambda: NUTS(normal, max_tree_depth=2.5), TypeError, ("max_tree_depth", "whole number or a pair", "2.5")
    ),
    Case("three tree depths", lambda: NUTS(normal, max_tree_depth=(5, 6, 7)), TypeError, ("max_tree_depth", "pair", "(5, 6, 7)")),
    Case(
        "neither steps nor length",
        lambda: HMC(normal, trajectory_length=None),
        ValueError,
        ("HMC", "At least one of `num_steps` and `trajectory_length`"),
    ),
    Case("steps and length", lambda: HMC(normal, num_steps=5), UserWarning, ("HMC", "If both", "trajectory_length=None")),
    Case("0 steps", lambda: HMC(normal, num_steps=0, trajectory_length=None), ValueError, ("HMC", "num_steps", "0")),
    Case("2.5 steps", lambda: HMC(normal, num_steps=2.5, trajectory_length=None), TypeError, ("HMC", "num_steps", "whole", "2.5")),
    Case("length 0", lambda: HMC(normal, trajectory_length=0.0), ValueError, ("HMC", "trajectory_length", "0.0")),
    Case(
        "dense_mass: unknown site",
        lambda: run(NUTS(two_sites, dense_mass=[("a", "c")])),
        ValueError,
        ("dense_mass", "'c'", "['a', 'b']"),
    ),
    Case(
        "dense_mass: a site twice",
        lambda: run(NUTS(two_sites, dense_mass=[("a",), ("a", "b")])),
        ValueError,
        ("dense_mass", "'a'", "more than one"),
    ),
    Case("dense_mass: a string", lambda: NUTS(two_sites, dense_mass="a"), ValueError, ("dense_mass", "list of tuples", "'a'")),
    Case(
        "dense_mass: strings",
        lambda: NUTS(two_sites, dense_mass=["a"]),
        ValueError,
        ("dense_mass", "tuple of site names", "('a',)"),
    ),
    Case(
        "dense_mass: sites of a function",
        lambda: run(NUTS(potential_fn=quadratic, dense_mass=[("a",)]), init_params=0.0),
        ValueError,
        ("dense_mass", "no sites", "True or False"),
    ),
    Case(
        "inverse_mass_matrix: shape",
        lambda: run(NUTS(two_sites, inverse_mass_matrix=np.ones(2))),
        ValueError,
        ("inverse_mass_matrix", "(3,)", "(3, 3)", "found (2,)"),
    ),
    Case(
        "inverse_mass_matrix: negative",
        lambda: NUTS(two_sites, inverse_mass_matrix=np.array([1.0, -1.0, 1.0])),
        ValueError,
        ("inverse_mass_matrix", "positive", "-1."),
    ),
    Case(
        "inverse_mass_matrix: not positive definite",
        lambda: NUTS(two_sites, inverse_mass_matrix=-np.eye(3)),
        ValueError,
        ("inverse_mass_matrix", "positive definite"),
    ),
    Case("inverse_mass_matrix: nan", lambda: NUTS(two_sites, inverse_mass_matrix=NAN), ValueError, ("inverse_mass_matrix", "nan")),
    Case(
        "inverse_mass_matrix: unknown site",
        lambda: run(NUTS(two_sites, inverse_mass_matrix={("c",): np.ones(1)})),
        ValueError,
        ("inverse_mass_matrix", "'c'", "['a', 'b']"),
    ),
    Case(
        "inverse_mass_matrix: a dict of strings",
        lambda: run(NUTS(two_sites, inverse_mass_matrix={"a": np.ones(1)})),
        ValueError,
        ("inverse_mass_matrix", "tuple of site names", "('a',)"),
    ),
    Case(
        "potential_fn without a start",
        lambda: run(NUTS(potential_fn=quadratic)),
        ValueError,
        ("NUTS", "potential_fn", "init_params is needed"),
    ),
    Case(
        "potential_fn returns a vector",
        lambda: run(NUTS(potential_fn=lambda z: z**2), init_params=np.ones(2)),
        ValueError,
        ("potential_fn", "scalar", "(2,)"),
    ),
    Case(
        "potential_fn: no start for each chain",
        lambda: run(NUTS(potential_fn=quadratic), init_params=np.ones(3), num_chains=2),
        ValueError,
        ("init_params", "num_chains=2", "leading axis of 2", "(3,)"),
    ),
    *(
        Case(
            f"{kernel.__name__}: no start for each chain, in a dict",
            lambda kernel=kernel: run(kernel(potential_fn=quadratic), init_params={"a": [np.ones(2), np.ones(3)]}, num_chains=2),
            ValueError,
            ("init_params['a'][1]", "num_chains=2", "leading axis of 2", "(3,)"),
        )
        for kernel in (HMC, SA, BarkerMH)
    ),
    Case(
        "a user's kernel: no start for each chain, in a dict",
        lambda: run(Plain(), init_params={"x": np.ones(3)}, num_chains=2),
        ValueError,
        ("init_params['x']", "num_chains=2", "leading axis of 2", "(3,)"),
    ),
    Case(
        "potential_fn: a start of strings",
        lambda: run(NUTS(potential_fn=quadratic), init_params="a"),
        TypeError,
        ("init_params", "'a'"),
    ),
    Case(
        "potential_fn is nan",
        lambda: run(NUTS(potential_fn=lambda z: jnp.log(z)), init_params=-1.0),
        RuntimeError,
        ("init_params", "no finite", "potential_fn"),
        compiles=True,
    ),
    Case("sample before init", lambda: NUTS(normal).sample(None), ValueError, ("NUTS.sample", "call `init` first")),
    Case("get_potential_fn before init", lambda: HMC(normal).get_potential_fn(), RuntimeError, ("HMC", "call `init`")),
    Case(
        "wrap_model",
        lambda: NUTS(potential_fn=quadratic).wrap_model(handlers.seed),
        ValueError,
        ("NUTS.wrap_model", "potential_fn"),
    ),
    Case("functional: algorithm", lambda: hmc(quadratic, algo="MALA"), ValueError, ("algo", '"HMC" or "NUTS"', "'MALA'")),
    Case("build_adaptation_schedule", lambda: build_adaptation_schedule(-5), ValueError, ("num_steps", "at least 0", "found -5")),
    Case("functional: neither", lambda: hmc(), ValueError, ("exactly one of `potential_fn` and `potential_fn_gen`", "neither")),
    Case("functional: sample first", lambda: hmc(quadratic)[1](None), ValueError, ("init_kernel before sample_kernel",)),
    Case(
        "kinetic energy",
        lambda: euclidean_kinetic_energy(np.ones((1, 1, 1)), np.ones(1)),
        ValueError,
        ("inverse_mass_matrix", "3 dimensions"),
        compiles=True,
    ),
    Case("BarkerMH: neither", lambda: BarkerMH(), ValueError, ("BarkerMH", "`model` and `potential_fn`", "neither")),
    Case(
        "BarkerMH: step size",
        lambda: BarkerMH(normal, step_size=-1.0),
        ValueError,
        ("BarkerMH", "step_size", "greater than 0", "-1"),
    ),
    Case(
        "BarkerMH: target",
        lambda: BarkerMH(normal, target_accept_prob=40),
        ValueError,
        ("BarkerMH", "target_accept_prob", "between 0", "40"),
    ),
    Case(
        "BarkerMH: blocks",
        lambda: BarkerMH(normal, dense_mass=[("x",)]),
        TypeError,
        ("BarkerMH", "dense_mass must be True or False", "[('x',)]"),
    ),
    Case("BarkerMH: flag", lambda: BarkerMH(normal, adapt_step_size=None), TypeError, ("BarkerMH", "adapt_step_size", "None")),
    Case("SA: both", lambda: SA(normal, quadratic), ValueError, ("SA", "`model` and `potential_fn`", "both")),
    Case(
        "SA: one point", lambda: SA(normal, adapt_state_size=1), AssertionError, ("SA", "adapt_state_size", "greater than 1", "1")
    ),
    Case("SA: 2.5 points", lambda: SA(normal, adapt_state_size=2.5), TypeError, ("SA", "adapt_state_size", "whole number", "2.5")),
    Case("SA: dense_mass", lambda: SA(normal, dense_mass="yes"), TypeError, ("SA", "dense_mass must be True or False", "'yes'")),
    Case(
        "SA: too few points",
        lambda: run(SA(two_sites, adapt_state_size=3)),
        ValueError,
        ("SA", "adapt_state_size=3", "3 dimensions", "at least 4", "dense_mass=False"),
    ),
    Case("SA: data with nan", lambda: run(SA(regression), NAN), UserWarning, ("site 'y'", "nan")),
]

RUNS = [
    Case(
        "a model as sampler",
        lambda: MCMC(normal, num_warmup=1, num_samples=1),
        TypeError,
        ("MCMC", "NUTS(model)", "wrap the model"),
    ),
    Case("a kernel class", lambda: MCMC(NUTS, num_warmup=1, num_samples=1), TypeError, ("MCMC", "NUTS(model)", "class NUTS")),
    Case("no draws", lambda: mcmc(num_samples=0), ValueError, ("num_samples", "at least 1", "found 0")),
    Case("num_samples a float", lambda: mcmc(num_samples=1e3), ValueError, ("num_samples", "whole number", "1000.0")),
    Case("negative warm-up", lambda: mcmc(num_warmup=-1), ValueError, ("num_warmup", "at least 0", "found -1")),
    Case("thinning 0", lambda: mcmc(thinning=0), ValueError, ("thinning", "at least 1", "found 0")),
    Case(
        "thinning beyond the draws", lambda: mcmc(thinning=5), ValueError, ("num_samples", "at least", "thinning", "5", "found 1")
    ),
    Case("no chains", lambda: mcmc(num_chains=0), ValueError, ("num_chains", "at least 1", "found 0")),
    Case("chain_method", lambda: mcmc(chain_method="serial"), ValueError, ("chain_method", "'sequential'", "found 'serial'")),
    Case("chain_method: a list", lambda: mcmc(chain_method=["parallel"]), ValueError, ("chain_method", "['parallel']")),
    Case("progress_rate", lambda: mcmc(progress_rate=0), ValueError, ("progress_rate", "at least 1", "found 0")),
    Case("postprocess_fn", lambda: mcmc(postprocess_fn=3), TypeError, ("postprocess_fn", "function", "3")),
    Case("num_samples given by position", lambda: MCMC(NUTS(normal), 100, 100), TypeError, ("positional",)),
    Case("no key", lambda: mcmc().run(None), TypeError, ("MCMC.run: rng_key", "found None", "jax.random.key(0)")),
    Case("data as key", lambda: mcmc().run(np.zeros(3)), TypeError, ("MCMC.run: rng_key", "float64[3]", "jax.random.key(0)")),
    Case(
        "number of keys",
        lambda: mcmc(num_chains=2).run(jax.random.split(KEY, 3)),
        ValueError,
        ("3 keys", "num_chains=2", "one for each chain"),
        compiles=True,
    ),
    Case(
        "extra_fields: a string",
        lambda: run(normal, extra_fields="energy"),
        ValueError,
        ("extra_fields", "list or tuple", "'energy'"),
    ),
    Case("extra_fields: numbers", lambda: run(normal, extra_fields=[1]), TypeError, ("extra_fields", "strings", "[1]")),
    Case(
        "extra_fields: unknown",
        lambda: run(normal, extra_fields=["step_size"]),
        ValueError,
        ("extra_fields", "'step_size'", "adapt_state", "HMCState"),
        compiles=True,
    ),
    Case(
        "extra_fields: unknown site to drop",
        lambda: run(normal, extra_fields=["~z.w"]),
        ValueError,
        ("extra_fields", "'w'", "['x']"),
        compiles=True,
    ),
    Case("init_params: a number", lambda: run(normal, init_params=1.0), ValueError, ("init_params", "dict", "float")),
    Case("init_params: unknown site", lambda: run(normal, init_params={"w": 1.0}), ValueError, ("init_params", "['w']", "['x']")),
    Case(
        "init_params: shape",
        lambda: run(two_sites, init_params={"b": np.zeros(3)}),
        ValueError,
        ("init_params", "site 'b'", "(3,)", "expected (2,)", "unconstrain_fn"),
    ),
    Case(
        "init_params: not finite",
        lambda: run(normal, init_params={"x": np.inf}),
        ValueError,
        ("init_params", "site 'x'", "not finite"),
    ),
    Case("init_params: strings", lambda: run(normal, init_params={"x": "1"}), TypeError, ("init_params", "site 'x'", "number")),
    Case(
        "init_params: number of chains",
        lambda: run(two_sites, init_params={"b": np.zeros((3, 2))}, num_chains=4),
        ValueError,
        ("init_params", "site 'b'", "(3, 2)", "(4, 2)", "4 chains"),
    ),
    Case("jit_model_args", lambda: run(regression, "data", jit_model_args=True), TypeError, ("jit_model_args", "arrays", "'data'")),
    Case("samples before the run", lambda: mcmc().get_samples(), ValueError, ("no samples yet", "call `run`")),
    Case("summary before the run", lambda: mcmc().print_summary(), ValueError, ("no samples yet", "call `run`")),
    Case("extra fields before the run", lambda: mcmc().get_extra_fields(), ValueError, ("no samples yet", "call `run`")),
    Case(
        "resume from anything",
        lambda: resume(3),
        ValueError,
        ("post_warmup_state", "int", "last_state", "None to warm up again"),
        compiles=True,
    ),
    Case(
        "resume with other chains",
        lambda: resume(NUTS(normal).init(KEY, 0), num_chains=2),
        ValueError,
        ("post_warmup_state", "2 chains", "()", "warm up with num_chains=2"),
        compiles=True,
    ),
    Case(
        "resume one of several chains",
        lambda: resume(jax.tree.map(lambda x: np.stack([x, x]), NUTS(normal).init(KEY, 0))),
        ValueError,
        ("post_warmup_state", "its i has shape (2,)", "expected ()", "as many chains"),
        compiles=True,
    ),
    Case(
        "resume with other settings",
        lambda: resume(NUTS(normal, dense_mass=True).init(KEY, 0)),
        ValueError,
        ("post_warmup_state", "adapt_state.inverse_mass_matrix", "settings"),
        compiles=True,
    ),
    Case(
        "resume another kernel",
        lambda: resume(BarkerMH(normal).init(KEY, 0)),
        ValueError,
        ("post_warmup_state", "BarkerMHState", "which has HMCStates"),
        compiles=True,
    ),
    Case(
        "resume with data of another shape",
        resume_with_longer_data,
        ValueError,
        ("its z['x'] has shape (3,)", "expected (5,)"),
        compiles=True,
    ),
    Case(
        "resume another model",
        lambda: resume(NUTS(two_sites).init(KEY, 0)),
        ValueError,
        ("post_warmup_state", "HMCState", "no state of this kernel on this model"),
        compiles=True,
    ),
]

STARTS = [
    Case(
        "init_to_value: shape",
        lambda: run(NUTS(normal, init_strategy=init_to_value(values={"x": np.zeros(2)}))),
        ValueError,
        ("init_to_value", "site 'x'", "shape ()", "(2,)"),
    ),
    Case("init_to_value: no dict", lambda: init_to_value(values=[1.0]), TypeError, ("init_to_value", "values", "dict", "[1.0]")),
    Case("init_to_uniform: radius", lambda: init_to_uniform(radius=-1.0), ValueError, ("init_to_uniform", "radius", "-1.0")),
    Case("init_to_median: number", lambda: init_to_median(num_samples=0), ValueError, ("init_to_median", "num_samples", "0")),
    Case(
        "a strategy that gives nothing",
        lambda: run(NUTS(normal, init_strategy=lambda site=None: "start")),
        TypeError,
        ("init_strategy", "site 'x'", "'start'"),
    ),
    Case("initialize_model: a number", lambda: initialize_model(KEY, 3), TypeError, ("model", "function", "3")),
    Case(
        "initialize_model: data outside the support",
        lambda: initialize_model(KEY, observed(lambda mu: dist.LogNormal(mu, 1.0)), model_args=(-1.0,)),
        UserWarning,
        ("Out-of-support", "LogNormal", "found -1.0", "site 'y'"),
        compiles=True,
    ),
    Case(
        "initialize_model: nan",
        lambda: initialize_model(KEY, regression, model_args=(NAN,)),
        UserWarning,
        ("Site y", "Out-of-support"),
        compiles=True,
    ),
    Case(
        "initialize_model: args",
        lambda: initialize_model(KEY, regression, model_args=1.0),
        TypeError,
        ("model_args", "tuple", "1.0", "(1.0,)"),
    ),
]

AFTER = [
    Case("Predictive: no model", lambda: Predictive(3, num_samples=3), TypeError, ("Predictive", "`model`", "found 3")),
    Case("Predictive: nothing", lambda: Predictive(normal), ValueError, ("Predictive", "`posterior_samples` or `num_samples`")),
    Case("Predictive: both", lambda: Predictive(normal, {}, guide=normal), ValueError, ("both `posterior_samples` and `guide`",)),
    Case("Predictive: samples", lambda: Predictive(normal, [1.0]), TypeError, ("`posterior_samples`", "dict", "list")),
    Case("Predictive: num_samples", lambda: Predictive(normal, num_samples=0), ValueError, ("num_samples", "at least 1", "0")),
    Case(
        "Predictive: batch shapes",
        lambda: Predictive(two_sites, {"a": np.zeros(3), "b": np.zeros((4, 2))}),
        ValueError,
        ("site 'b'", "(4,)", "site 'a'", "(3,)", "same number of draws"),
    ),
    Case("Predictive: one draw", lambda: Predictive(normal, {"x": 1.0}), ValueError, ("site 'x'", "()", "batch_ndims=0")),
    Case(
        "Predictive: no draws",
        lambda: Predictive(normal, {"x": np.zeros(0)}),
        ValueError,
        ("posterior_samples", "(0,)", "no draws"),
    ),
    Case("Predictive: batch_ndims", lambda: Predictive(normal, num_samples=3, batch_ndims=-1), ValueError, ("batch_ndims", "-1")),
    Case(
        "Predictive: return_sites",
        lambda: Predictive(normal, num_samples=3, return_sites="x"),
        TypeError,
        ("return_sites", "list", "'x'"),
    ),
    Case(
        "Predictive: unknown site",
        lambda: Predictive(normal, num_samples=3, return_sites=["w"])(KEY),
        ValueError,
        ("return_sites", "['w']", "['x']"),
    ),
    Case(
        "Predictive: draws by chain",
        lambda: Predictive(normal, {"x": np.zeros((2, 3))})(KEY),
        ValueError,
        ("site 'x'", "(3,)", "()", "batch_ndims=2"),
    ),
    Case(
        "Predictive: no key",
        lambda: Predictive(normal, num_samples=3)(None),
        TypeError,
        ("Predictive: rng_key", "None", "jax.random.key(0)"),
    ),
    Case("Predictive: no argument", lambda: Predictive(regression, num_samples=3)(KEY), TypeError, ("regression()", "'y'")),
    Case(
        "Predictive: two numbers",
        lambda: Predictive(normal, {"x": np.zeros(3)}, num_samples=4),
        UserWarning,
        ("num_samples=4", "3"),
    ),
    Case(
        "log_likelihood: no samples of a site",
        lambda: log_likelihood(regression, {}, np.zeros(3), batch_ndims=0),
        ValueError,
        ("log_likelihood", "latent site 'mu'", "no samples"),
    ),
    Case(
        "log_likelihood: shapes",
        lambda: log_likelihood(regression, {"mu": np.zeros((4, 2))}, np.zeros(3)),
        ValueError,
        ("log_likelihood", "site 'mu'", "(2,)", "()"),
    ),
    Case(
        "log_likelihood: samples",
        lambda: log_likelihood(regression, np.zeros(3), 1.0),
        TypeError,
        ("log_likelihood", "posterior_samples", "dict"),
    ),
    Case(
        "log_density: no key",
        lambda: log_density(normal, (), {}, {}),
        ValueError,
        ("site 'x' ~ Normal", "random key", "handlers.seed"),
    ),
    Case("log_density: params", lambda: log_density(normal, (), {}, [1.0]), TypeError, ("dict", "[1.0]")),
    Case(
        "log_density: args",
        lambda: log_density(regression, 1.0, {}, {"mu": 0.0}),
        TypeError,
        ("model_args", "tuple", "(1.0,)"),
    ),
    Case(
        "potential_energy: no value",
        lambda: potential_energy(normal, (), {}, {}),
        ValueError,
        ("potential_energy", "latent sites ['x']"),
    ),
    Case(
        "constrain_fn: batch_ndims",
        lambda: constrain_fn(normal, (), {}, {"x": 0.0}, batch_ndims=-1),
        ValueError,
        ("constrain_fn", "batch_ndims", "-1"),
    ),
    Case(
        "constrain_fn: shape",
        lambda: constrain_fn(two_sites, (), {}, {"a": 0.0, "b": np.zeros(3)}),
        ValueError,
        ("site 'b'", "(3,)", "expected (2,)", "batch_ndims"),
        compiles=True,
    ),
    Case(
        "unconstrain_fn: outside the support",
        lambda: unconstrain_fn(latent(dist.Exponential(1.0)), (), {}, {"x": -1.0}),
        ValueError,
        ("unconstrain_fn", "site 'x'", "outside the support", "-1.0"),
        compiles=True,
    ),
]


CASES = [*MODELS, *KERNELS, *RUNS, *STARTS, *AFTER]
