"""Malformed uses of Gibbs sampling, MixedHMC and HMCECS: more of the table in `errors.py`."""

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import numpy as np
from errors import Case, normal
from errors_inference import Plain, quadratic, run

import ppl
import ppl.distributions as dist
from ppl.contrib.control_flow import scan
from ppl.infer import AIES, HMC, HMCECS, MCMC, NUTS, SA, DiscreteHMCGibbs, HMCGibbs, MixedHMC
from ppl.infer.gibbs import CustomGibbs, DiscreteGibbs, Gibbs, discrete_latent_sites
from ppl.infer.mcmc import MCMCKernel

# Models


def two() -> None:
    normal("a")
    ppl.sample("b", dist.Normal(np.zeros(2), 1.0).to_event(1))
    ppl.sample("y", dist.Normal(0.0, 1.0), obs=0.5)


def switched() -> None:
    k = ppl.sample("k", dist.Bernoulli(0.5))
    ppl.sample("x", dist.Normal(1.0 * k, 1.0))


def switched_vector() -> None:
    k = ppl.sample("k", dist.Bernoulli(0.5).expand([3]).to_event(1))
    ppl.sample("x", dist.Normal(1.0 * k.sum(), 1.0))


def counted() -> None:
    k = ppl.sample("k", dist.Poisson(2.0))
    ppl.sample("x", dist.Normal(1.0 * k, 1.0))


def nested_supports() -> None:
    k = ppl.sample("k", dist.Categorical(jnp.ones(3) / 3))
    ppl.sample("n", dist.Binomial(k, 0.5))
    normal()


def bounded() -> None:
    low = normal("low")
    ppl.sample("x", dist.TruncatedNormal(0.0, 1.0, low=low))


def data(latent: str | None = None, size: int | None = 2, twice: bool = False) -> Callable[[], None]:
    """Five data of which two are taken."""

    def model() -> None:
        mu = normal("mu")
        if twice:
            with ppl.plate("rows", 3, subsample_size=size, dim=-2), ppl.plate("n", 5, subsample_size=size, dim=-1):
                ppl.sample("y", dist.Normal(mu, 1.0), obs=jnp.zeros((2, 2)))
            return
        with ppl.plate("n", 5, subsample_size=size) as i:
            centre = mu if latent is None else ppl.sample(latent, dist.Normal(mu, 1.0))
            ppl.sample("y", dist.Normal(centre, 1.0), obs=jnp.arange(5.0)[i])

    return model


def discrete_data() -> None:
    k = ppl.sample("k", dist.Bernoulli(0.5), infer={"enumerate": "parallel"})
    mu = normal("mu")
    with ppl.plate("n", 5, subsample_size=2) as i:
        ppl.sample("y", dist.Normal(mu + k, 1.0), obs=jnp.arange(5.0)[i])


# Kernels


def empty_plate() -> None:
    normal("mu")
    with ppl.plate("n", 9, subsample_size=3):
        pass


def subsampled_steps() -> None:
    mu = normal("mu")

    def step(carry: Any, _: Any) -> tuple[Any, None]:
        with ppl.plate("n", 9, subsample_size=3):
            ppl.sample("y", dist.Normal(mu, 1.0), obs=np.zeros(3))
        return carry, None

    scan(step, 0.0, None, length=2)


def of_a(value: Any) -> HMCGibbs:
    """A user's update of site 'a' that returns this."""
    return HMCGibbs(NUTS(two), lambda rng_key, gibbs_sites, hmc_sites: value, ["a"])


class Resting(NUTS):
    """A user's variant of a kernel."""

    def sample(self, state: Any, *args: Any) -> Any:
        """The state itself."""
        return state

    refresh = sample


def keep(rng_key: Any, gibbs_sites: Any, hmc_sites: Any) -> Any:
    return gibbs_sites


def alone(kernel: MCMCKernel) -> None:
    run(kernel)


UPDATES = [
    Case("gibbs_fn", lambda: HMCGibbs(NUTS(two), 3, ["a"]), ValueError, ("gibbs_fn must be a function", "rng_key", "found 3")),
    Case(
        "gibbs_sites: a string",
        lambda: HMCGibbs(NUTS(two), keep, "a"),
        ValueError,
        ("HMCGibbs", "gibbs_sites", "list of names", "['a']"),
    ),
    Case("gibbs_sites: none", lambda: HMCGibbs(NUTS(two), keep, []), ValueError, ("HMCGibbs", "empty list", "name some")),
    Case("gibbs_sites: numbers", lambda: HMCGibbs(NUTS(two), keep, [1]), ValueError, ("HMCGibbs", "list of names", "[1]")),
    Case(
        "HMCGibbs: no kernel",
        lambda: HMCGibbs(two, keep, ["a"]),
        ValueError,
        ("HMCGibbs", "inner_kernel", "NUTS(model)", "function two"),
    ),
    Case(
        "HMCGibbs: potential_fn",
        lambda: HMCGibbs(NUTS(potential_fn=quadratic), keep, ["a"]),
        ValueError,
        ("HMCGibbs", "potential_fn", "no sites", "from the model"),
    ),
    Case(
        "gibbs_sites: unknown",
        lambda: alone(HMCGibbs(NUTS(two), keep, ["c"])),
        ValueError,
        ("HMCGibbs", "site 'c'", "no site of the model", "['a', 'b']"),
    ),
    Case(
        "gibbs_sites: observed",
        lambda: alone(HMCGibbs(NUTS(two), keep, ["y"])),
        ValueError,
        ("HMCGibbs", "site 'y'", "not latent", "['a', 'b']"),
    ),
    Case(
        "gibbs_fn returns no dict",
        lambda: alone(of_a(1.0)),
        ValueError,
        ("gibbs_fn must return a dict", "['a']", "found 1.0"),
    ),
    Case(
        "gibbs_fn returns other sites",
        lambda: alone(of_a({"a": 0.0, "b": np.zeros(2)})),
        ValueError,
        ("gibbs_fn must return a dict", "exactly the sites ['a']", "['a', 'b']"),
    ),
    Case(
        "gibbs_fn returns another shape",
        lambda: alone(of_a({"a": np.zeros(2)})),
        ValueError,
        ("gibbs_fn", "site 'a'", "shape ()", "shape (2,)", "as they come in gibbs_sites"),
    ),
    Case(
        "gibbs_fn returns another type",
        lambda: alone(HMCGibbs(NUTS(switched), lambda rng_key, gibbs_sites, hmc_sites: {"k": 0.5}, ["k"])),
        ValueError,
        ("gibbs_fn", "site 'k'", "int32", "float", "as they come in gibbs_sites"),
    ),
    Case(
        "a discrete site left to HMC",
        lambda: alone(HMCGibbs(NUTS(counted), keep, ["x"])),
        ValueError,
        ("site 'k' ~ Poisson", "cannot handle discrete"),
    ),
]

DISCRETE = [
    Case(
        "DiscreteHMCGibbs: no discrete site",
        lambda: alone(DiscreteHMCGibbs(NUTS(two))),
        ValueError,
        ("DiscreteHMCGibbs", "no discrete latent site", "NUTS alone"),
    ),
    Case(
        "MixedHMC: no discrete site", lambda: alone(MixedHMC(HMC(two))), ValueError, ("MixedHMC", "no discrete latent", "HMC alone")
    ),
    Case(
        "HMCGibbs: a user's kernel without a model",
        lambda: HMCGibbs(Plain(), keep, ["a"]),
        ValueError,
        ("HMCGibbs", "inner_kernel", "Gibbs(["),
    ),
    Case(
        "HMCECS: a user's kernel inside",
        lambda: HMCECS(Plain()),
        ValueError,
        ("HMCECS", "inner_kernel", "such as NUTS(model)"),
    ),
    Case(
        "DiscreteHMCGibbs: a start between states",
        lambda: run(DiscreteHMCGibbs(NUTS(switched)), init_params={"k": 0.7}),
        ValueError,
        ("init_params", "site 'k'", "int32", "0.7"),
    ),
    Case(
        "DiscreteHMCGibbs: a start that is no state",
        lambda: run(DiscreteHMCGibbs(NUTS(switched)), init_params={"k": 7}),
        ValueError,
        ("init_params", "site 'k'", "within its support", "found 7"),
    ),
    Case(
        "DiscreteHMCGibbs: entries of an event",
        lambda: alone(DiscreteHMCGibbs(NUTS(switched_vector))),
        ValueError,
        ("site 'k' ~ BernoulliProbs.to_event", "finite support for each entry", "into a plate"),
    ),
    Case(
        "DiscreteHMCGibbs: infinite support",
        lambda: alone(DiscreteHMCGibbs(NUTS(counted))),
        ValueError,
        ("site 'k' ~ Poisson", "no finite support", "truncate", "HMCGibbs"),
    ),
    Case(
        "MixedHMC: infinite support",
        lambda: alone(MixedHMC(HMC(counted))),
        ValueError,
        ("site 'k' ~ Poisson", "no finite support"),
    ),
    Case(
        "DiscreteHMCGibbs: a support of another site",
        lambda: alone(DiscreteHMCGibbs(NUTS(nested_supports))),
        ValueError,
        ("site 'n'", "support depends on other sites", "constant"),
    ),
    Case(
        "DiscreteHMCGibbs: potential_fn",
        lambda: DiscreteHMCGibbs(NUTS(potential_fn=quadratic)),
        ValueError,
        ("DiscreteHMCGibbs", "potential_fn", "from the model"),
    ),
    Case("DiscreteHMCGibbs: no kernel", lambda: DiscreteHMCGibbs(switched), ValueError, ("DiscreteHMCGibbs", "inner_kernel")),
    Case(
        "MixedHMC: NUTS", lambda: MixedHMC(NUTS(switched)), ValueError, ("MixedHMC", "must be HMC", "NUTS", "use DiscreteHMCGibbs")
    ),
    Case(
        "MixedHMC: potential_fn",
        lambda: MixedHMC(HMC(potential_fn=quadratic)),
        ValueError,
        ("MixedHMC", "potential_fn", "from the model"),
    ),
    Case(
        "MixedHMC: visits",
        lambda: MixedHMC(HMC(switched), num_discrete_updates=0),
        ValueError,
        ("MixedHMC", "num_discrete_updates", "at least 1", "found 0"),
    ),
    Case(
        "MixedHMC: half a visit",
        lambda: MixedHMC(HMC(switched), num_discrete_updates=1.5),
        ValueError,
        ("MixedHMC", "num_discrete_updates", "whole number", "found 1.5"),
    ),
    Case(
        "init_params: shape in a block",
        lambda: run(DiscreteHMCGibbs(NUTS(switched)), init_params={"k": np.zeros(2, int)}),
        ValueError,
        ("init_params", "site 'k'", "(2,)", "expected ()", "constrained for others"),
    ),
    Case(
        "init_params: unknown site in blocks",
        lambda: run(DiscreteHMCGibbs(NUTS(switched)), init_params={"w": 1}),
        ValueError,
        ("init_params", "['w']", "['k', 'x']"),
    ),
    Case(
        "init_params: nan in a block",
        lambda: run(DiscreteHMCGibbs(NUTS(switched)), init_params={"x": np.nan}),
        ValueError,
        ("init_params", "site 'x'", "not finite"),
    ),
    Case(
        "init_params: no dict for blocks",
        lambda: run(DiscreteHMCGibbs(NUTS(switched)), init_params=1.0),
        ValueError,
        ("init_params", "dict", "1.0"),
    ),
    Case(
        "extra_fields of blocks",
        lambda: run(DiscreteHMCGibbs(NUTS(switched)), extra_fields=["diverging_steps"]),
        ValueError,
        ("extra_fields", "'diverging_steps'", "block_states"),
        compiles=True,
    ),
]

BLOCKS = [
    Case("Gibbs: nothing", lambda: Gibbs([]), ValueError, ("Gibbs", "list of pairs (kernel, sites)")),
    Case("Gibbs: a kernel", lambda: Gibbs(NUTS(two)), ValueError, ("Gibbs", "list of pairs (kernel, sites)", "NUTS")),
    Case("Gibbs: no pair", lambda: Gibbs([NUTS(two)]), ValueError, ("Gibbs", "block 0", "a pair (kernel, sites)")),
    Case("Gibbs: a model", lambda: Gibbs([(two, None)]), ValueError, ("Gibbs", "block 0", "NUTS(model)", "function two")),
    Case("Gibbs: no refresh", lambda: Gibbs([(Plain(), ["a"]), (NUTS(two), None)]), ValueError, ("Gibbs", "Plain", "refresh")),
    Case(
        "Gibbs: a kernel that keeps a set of points",
        lambda: HMCGibbs(SA(two), keep, ["a"]),
        ValueError,
        ("HMCGibbs", "SA", "set of points", "BarkerMH"),
    ),
    Case(
        "Gibbs: walkers of an ensemble",
        lambda: Gibbs([(AIES(two), None)]),
        ValueError,
        ("Gibbs", "AIES", "moves all chains together", "use NUTS"),
    ),
    Case(
        "HMCGibbs: MixedHMC inside",
        lambda: HMCGibbs(MixedHMC(HMC(switched)), keep, ["k"]),
        ValueError,
        ("HMCGibbs", "MixedHMC is made of blocks itself", "Gibbs([(kernel, sites), ...])"),
    ),
    Case(
        "DiscreteHMCGibbs: HMCGibbs inside",
        lambda: DiscreteHMCGibbs(HMCGibbs(NUTS(switched), keep, ["x"])),
        ValueError,
        ("DiscreteHMCGibbs", "HMCGibbs is made of blocks itself", "Gibbs([(kernel, sites), ...])"),
    ),
    Case(
        "Gibbs: HMCGibbs as a block",
        lambda: Gibbs([(HMCGibbs(NUTS(switched), keep, ["x"]), ["x"]), (DiscreteGibbs(switched), ["k"])]),
        ValueError,
        ("Gibbs", "HMCGibbs is made of blocks itself", "put these beside the others"),
    ),
    Case(
        "HMCECS: DiscreteHMCGibbs inside",
        lambda: HMCECS(DiscreteHMCGibbs(NUTS(switched))),
        ValueError,
        ("HMCECS", "DiscreteHMCGibbs is made of blocks itself"),
    ),
    Case(
        "Gibbs: a method of a chain defined anew",
        lambda: DiscreteHMCGibbs(Resting(switched)),
        ValueError,
        ("DiscreteHMCGibbs", "Resting defines sample, refresh anew", "would not call", "MCMCKernel"),
    ),
    Case(
        "Gibbs: potential_fn",
        lambda: Gibbs([(NUTS(potential_fn=quadratic), ["a"])]),
        ValueError,
        ("Gibbs", "block 0", "potential_fn", "NUTS from the model"),
    ),
    Case(
        "Gibbs: no names",
        lambda: Gibbs([(NUTS(two), [])]),
        ValueError,
        ("Gibbs", "block 0", "empty list", "None for the rest"),
    ),
    Case("Gibbs: one name", lambda: Gibbs([(NUTS(two), "a")]), ValueError, ("Gibbs", "sites of block 0", "list of names", "'a'")),
    Case("Gibbs: numbers", lambda: Gibbs([(NUTS(two), [1])]), ValueError, ("Gibbs", "sites of block 0", "list of names", "[1]")),
    Case(
        "Gibbs: the rest twice",
        lambda: Gibbs([(NUTS(two), None), (HMC(two), None)]),
        ValueError,
        ("Gibbs", "only one block", "None", "rest"),
    ),
    Case(
        "Gibbs: no model",
        lambda: Gibbs([(CustomGibbs(keep), ["a"])]),
        ValueError,
        ("Gibbs", "no block has a model", "DiscreteGibbs(model)"),
    ),
    Case(
        "Gibbs: two models",
        lambda: Gibbs([(NUTS(two), ["a"]), (HMC(switched), None)]),
        ValueError,
        ("Gibbs", "different models", "same function"),
    ),
    Case(
        "Gibbs: a site twice",
        lambda: alone(Gibbs([(NUTS(two), ["a", "b"]), (CustomGibbs(keep), ["a"])])),
        ValueError,
        ("Gibbs", "site 'a'", "blocks 0 and 1", "one block"),
    ),
    Case(
        "Gibbs: a site of no block",
        lambda: alone(Gibbs([(NUTS(two), ["a"])])),
        ValueError,
        ("Gibbs", "no block has the latent sites ['b']", "None for the rest"),
    ),
    Case(
        "Gibbs: nothing left",
        lambda: alone(Gibbs([(NUTS(two), ["a", "b"]), (CustomGibbs(keep), None)])),
        ValueError,
        ("Gibbs", "block 1 (CustomGibbs)", "no sites", "drop it"),
    ),
    Case(
        "Gibbs: a discrete site in a block of NUTS",
        lambda: alone(Gibbs([(NUTS(switched), ["k", "x"])])),
        ValueError,
        ("Gibbs", "site 'k'", "discrete", "DiscreteGibbs"),
    ),
    Case(
        "Gibbs: a continuous site in a block of states",
        lambda: alone(Gibbs([(DiscreteGibbs(switched), ["k", "x"])])),
        ValueError,
        ("site 'x' ~ Normal", "no finite support"),
    ),
    Case(
        "Gibbs: no chain in a selector",
        lambda: alone(Gibbs([(DiscreteGibbs(two), discrete_latent_sites), (NUTS(two), None)])),
        ValueError,
        ("Gibbs", "block 0 (DiscreteGibbs)", "no sites", "drop it"),
    ),
    Case(
        "Gibbs: a support of another block's site",
        lambda: alone(Gibbs([(NUTS(bounded), ["x"]), (HMC(bounded), ["low"])])),
        ValueError,
        ("Gibbs", "support of site 'x'", "'low'", "same block"),
    ),
    Case(
        "Gibbs: a subsampled plate",
        lambda: alone(Gibbs([(NUTS(MODEL), None)])),
        ValueError,
        ("plate 'n'", "2 of its 5", "HMCECS"),
    ),
    Case(
        "a block as kernel",
        lambda: MCMC(DiscreteGibbs(switched), num_warmup=1, num_samples=1, progress_bar=False).run(0),
        TypeError,
        ("DiscreteGibbs", "block of Gibbs sampling", "Gibbs([(DiscreteGibbs(...), sites), ...])"),
        compiles=True,
    ),
]

MODEL = data()

SUBSAMPLES = [
    Case("HMCECS: no kernel", lambda: HMCECS(MODEL), ValueError, ("HMCECS", "inner_kernel", "NUTS(model)")),
    Case(
        "HMCECS: potential_fn",
        lambda: HMCECS(NUTS(potential_fn=quadratic)),
        ValueError,
        ("HMCECS", "potential_fn", "from the model"),
    ),
    Case("HMCECS: blocks", lambda: HMCECS(NUTS(MODEL), num_blocks=0), ValueError, ("HMCECS", "num_blocks", "at least 1", "0")),
    Case("HMCECS: half a block", lambda: HMCECS(NUTS(MODEL), num_blocks=1.5), ValueError, ("HMCECS", "num_blocks", "whole", "1.5")),
    Case(
        "HMCECS: more blocks than indices",
        lambda: alone(HMCECS(NUTS(MODEL), num_blocks=3)),
        ValueError,
        ("HMCECS", "num_blocks", "subsample_size 2", "plate 'n'", "found 3"),
    ),
    Case(
        "HMCECS: proxy",
        lambda: HMCECS(NUTS(MODEL), proxy=lambda: 0.0),
        ValueError,
        ("HMCECS", "proxy", "HMCECS.taylor_proxy(reference_params)"),
    ),
    Case(
        "HMCECS: no subsampled plate",
        lambda: alone(HMCECS(NUTS(two))),
        ValueError,
        ("HMCECS", "no plate of the model is subsampled", "subsample_size"),
    ),
    Case(
        "HMCECS: a latent site in the plate",
        lambda: alone(HMCECS(NUTS(data("theta")))),
        ValueError,
        ("site 'theta'", "latent", "subsampled plate 'n'"),
    ),
    Case(
        "HMCECS: nothing observed in the plate",
        lambda: alone(HMCECS(NUTS(empty_plate))),
        ValueError,
        ("plate 'n'", "subsampled", "no observed site", "subsample_size"),
    ),
    Case(
        "HMCECS: a plate in a loop",
        lambda: alone(HMCECS(NUTS(subsampled_steps))),
        ValueError,
        ("plate 'n'", "step of a loop", "outside of scan"),
    ),
    Case(
        "HMCECS: a site in two plates",
        lambda: alone(HMCECS(NUTS(data(twice=True)))),
        RuntimeError,
        ("site 'y'", "subsampled plates", "'rows'", "'n'", "subsample one"),
    ),
    Case(
        "HMCECS: proxy and discrete sites",
        lambda: alone(HMCECS(NUTS(discrete_data), proxy=HMCECS.taylor_proxy({"mu": 0.0}))),
        RuntimeError,
        ("HMCECS", "discrete latent", "['k']", "no proxy"),
    ),
    Case(
        "taylor_proxy: no dict",
        lambda: HMCECS.taylor_proxy([1.0]),
        ValueError,
        ("HMCECS.taylor_proxy", "reference_params", "dict", "[1.0]"),
    ),
    Case(
        "taylor_proxy: degree",
        lambda: HMCECS.taylor_proxy({"mu": 0.0}, 3),
        ValueError,
        ("HMCECS.taylor_proxy", "degree must be 1 or 2", "found 3"),
    ),
    Case(
        "taylor_proxy: missing and unknown sites",
        lambda: alone(HMCECS(NUTS(MODEL), proxy=HMCECS.taylor_proxy({"nu": 0.0}))),
        ValueError,
        ("HMCECS.taylor_proxy", "reference_params", "missing ['mu']", "unknown ['nu']"),
    ),
    Case(
        "taylor_proxy: words",
        lambda: alone(HMCECS(NUTS(MODEL), proxy=HMCECS.taylor_proxy({"mu": "a"}))),
        ValueError,
        ("HMCECS.taylor_proxy", "site 'mu'", "numbers", "'a'"),
    ),
    Case(
        "taylor_proxy: shape",
        lambda: alone(HMCECS(NUTS(MODEL), proxy=HMCECS.taylor_proxy({"mu": np.zeros(3)}))),
        ValueError,
        ("HMCECS.taylor_proxy", "site 'mu'", "(3,)", "()"),
    ),
    Case(
        "taylor_proxy: outside the support",
        lambda: alone(HMCECS(NUTS(spread), proxy=HMCECS.taylor_proxy({"sigma": -1.0}))),
        ValueError,
        ("HMCECS.taylor_proxy", "site 'sigma'", "support"),
        compiles=True,
    ),
]


def spread() -> None:
    sigma = ppl.sample("sigma", dist.Exponential(1.0))
    with ppl.plate("n", 5, subsample_size=2) as i:
        ppl.sample("y", dist.Normal(0.0, sigma), obs=jnp.arange(5.0)[i])


CASES = [*UPDATES, *DISCRETE, *BLOCKS, *SUBSAMPLES]
