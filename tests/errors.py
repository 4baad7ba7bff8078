"""The table of malformed uses: what a user may get wrong, and the words with which the library must answer.

Primitives, plates, handlers, control flow, diagnostics and settings stand here; `errors_distributions.py` and
`errors_inference.py` add theirs with the same `Case`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import ppl
import ppl.distributions as dist
from ppl import diagnostics, handlers
from ppl.contrib.control_flow import cond, scan
from ppl.trace import log_density

KEY = jax.random.key(0)


@dataclass(frozen=True)
class Case:
    """One malformed use.

    Attributes:
        name: unique; shown by pytest.
        use: what the user does; called without arguments.
        error: the type of the exception, or of the warning.
        words: what the message and its notes must hold: the site, plate or argument, what was found, what was expected, the cure.
        compiles: whether something is compiled before the message comes; only where numbers must be computed to find the fault.
    """

    name: str
    use: Callable[[], Any]
    error: type[Exception]
    words: tuple[str, ...]
    compiles: bool = False


def run(model: Callable[..., Any], *args: Any) -> None:
    """Run a model inside `seed` and `trace`; abstractly, so that no number is computed."""

    def density(*args: Any) -> Any:
        return log_density(handlers.trace(handlers.seed(model, KEY)).get_trace(*args))

    jax.eval_shape(density, *args)


def normal(name: str = "x", **options: Any) -> Any:
    """A site with the standard normal distribution."""
    return ppl.sample(name, dist.Normal(0.0, 1.0), **options)


def in_plate(size: int, fn: dist.Distribution | None = None, name: str = "n", **options: Any) -> Callable[[], Any]:
    """A model with one site in one plate."""

    def model() -> None:
        with ppl.plate(name, size, **{key: options.pop(key) for key in ("subsample_size", "dim") if key in options}):
            ppl.sample("x", dist.Normal(0.0, 1.0) if fn is None else fn, **options)

    return model


def twice(statement: Callable[[], Any], other: Callable[[], Any] | None = None) -> Callable[[], None]:
    """A model with two statements."""

    def model() -> None:
        statement()
        (statement if other is None else other)()

    return model


def nested(outer: Callable[[], Any], inner: Callable[[], Any]) -> Callable[[], None]:
    """A model with a site in two nested plates."""

    def model() -> None:
        with outer(), inner():
            normal()

    return model


def two_plates(first: tuple[str, int], second: tuple[str, int]) -> Callable[[], None]:
    """A model with two plates, one after the other."""

    def model() -> None:
        with ppl.plate(*first):
            normal("a")
        with ppl.plate(*second):
            normal("b")

    return model


def loop(body: Callable[..., Any], xs: Any = None, length: int | None = 3) -> Callable[[], Any]:
    """A model with a loop."""
    return lambda: scan(body, 0.0, xs, length=length)


def step(carry: Any, _: Any) -> tuple[Any, Any]:
    """One step of a random walk."""
    x = ppl.sample("x", dist.Normal(carry, 1.0))
    return x, x


def loop_in_plate() -> None:
    with ppl.plate("n", 3):
        scan(step, 0.0, None, length=2)


def param_in_loop(carry: Any, _: Any) -> tuple[Any, Any]:
    return carry + ppl.param("w", 1.0), None


def param_in_plate() -> None:
    with ppl.plate("n", 4):
        ppl.param("w", np.zeros(3), event_dim=0)


def subsample_in_plate() -> None:
    with ppl.plate("n", 10, subsample_size=4):
        ppl.subsample(np.zeros(7), event_dim=0)


EMPTY = {"x": None}
GUIDE = {"n": {"type": "sample", "is_observed": False}, "x": {"type": "sample", "is_observed": True}}

SAMPLE = [
    Case("name is a number", lambda: normal(3), TypeError, ("name", "must be a string", "found 3")),
    Case("name and distribution swapped", lambda: ppl.sample(dist.Normal(), "x"), TypeError, ("name", "string", "Normal")),
    Case(
        "class instead of an instance",
        lambda: ppl.sample("x", dist.Normal),
        TypeError,
        ("site 'x'", "found the class Normal", "dist.Normal("),
    ),
    Case("number as distribution", lambda: ppl.sample("x", 0.5), TypeError, ("site 'x'", "expected a distribution", "found 0.5")),
    Case("array as distribution", lambda: ppl.sample("x", np.zeros(3)), TypeError, ("site 'x'", "expected a distribution", "[3]")),
    Case("no key, outside handlers", lambda: normal(), ValueError, ("Normal", "random key", "rng_key", "seed")),
    Case(
        "no key, in a trace",
        lambda: handlers.trace(normal).get_trace(),
        ValueError,
        ("site 'x' ~ Normal", "random key", "handlers.seed"),
    ),
    Case("rng_key is a float", lambda: normal(rng_key=0.5), TypeError, ("site 'x'", "rng_key", "0.5", "jax.random.key(0)")),
    Case("sample_shape is a number", lambda: normal(sample_shape=3), TypeError, ("site 'x'", "sample_shape", "found 3", "(3,)")),
    Case(
        "sample_shape is a list", lambda: normal(sample_shape=[2, 3]), TypeError, ("site 'x'", "sample_shape", "[2, 3]", "(2, 3)")
    ),
    Case(
        "sample_shape is negative",
        lambda: run(lambda: normal(sample_shape=(-1,))),
        ValueError,
        ("site 'x'", "sample_shape", "(-1,)", "at least 0"),
    ),
    Case("infer is a string", lambda: normal(infer="parallel"), TypeError, ("site 'x'", "infer", "dict", "'parallel'")),
    Case("obs of strings", lambda: normal(obs=["a", "b"]), TypeError, ("site 'x'", "obs must be numbers", "<U1")),
    Case("obs an array of strings", lambda: normal(obs=np.array(["1"])), TypeError, ("site 'x'", "obs must be numbers", "<U1")),
    Case(
        "obs with None", lambda: normal(obs=np.array([1.0, None])), TypeError, ("site 'x'", "obs must be numbers", "object", "nan")
    ),
    Case("obs ragged", lambda: normal(obs=[[1.0], [1.0, 2.0]]), TypeError, ("site 'x'", "obs", "rectangular")),
    Case("obs a distribution", lambda: normal(obs=dist.Normal()), TypeError, ("site 'x'", "obs must be numbers", "Normal")),
    Case(
        "obs of another length",
        lambda: run(lambda: ppl.sample("x", dist.Normal(np.zeros(3), 1.0), obs=np.zeros(4))),
        ValueError,
        ("site 'x'", "value of shape (4,)", "batch shape (3,)", "pass a value of shape (3,)"),
    ),
    Case(
        "obs of another event shape",
        lambda: run(lambda: ppl.sample("x", dist.Dirichlet(np.ones(3)), obs=np.ones(4) / 4)),
        ValueError,
        ("site 'x'", "value of shape (4,)", "event shape (3,)", "pass a value of shape (3,)"),
    ),
    Case(
        "obs_mask of numbers",
        lambda: normal(obs=np.zeros(2), obs_mask=np.array([0, 1])),
        TypeError,
        ("site 'x'", "obs_mask must be boolean", "int64", "obs_mask != 0"),
    ),
    Case(
        "obs_mask of another length",
        lambda: run(in_plate(3, obs=np.zeros(3), obs_mask=np.array([True, False]))),
        ValueError,
        ("obs_mask", "(2,)", "site 'x'", "batch shape"),
    ),
    Case("two sites of one name", lambda: run(twice(normal)), ValueError, ("`x` duplicated", "rename")),
    Case(
        "a plate and a site of one name",
        lambda: run(twice(normal, lambda: ppl.plate("x", 3))),
        ValueError,
        ("`x` duplicated", "a sample site, then a plate", "rename"),
    ),
    Case(
        "a param and a site of one name",
        lambda: run(twice(normal, lambda: ppl.param("x", 0.0))),
        ValueError,
        ("`x` duplicated", "a sample site, then a param", "rename"),
    ),
]

OTHER_PRIMITIVES = [
    Case("param: name is a number", lambda: ppl.param(3, 0.0), TypeError, ("param", "name", "string", "found 3")),
    Case("param: no key", lambda: ppl.param("w", jax.random.normal), ValueError, ("param 'w'", "random key", "handlers.seed")),
    Case(
        "param: constraint by name",
        lambda: ppl.param("w", 1.0, constraint="positive"),
        TypeError,
        ("param 'w'", "constraint", "'positive'", "constraints.positive"),
    ),
    Case("param: event_dim", lambda: ppl.param("w", 1.0, event_dim=-1), ValueError, ("param 'w'", "event_dim", "-1", "at least 0")),
    Case(
        "param: shape in a plate",
        lambda: run(param_in_plate),
        ValueError,
        ("plate 'n' (size 4", "invalid shape of", "'w'", "(3,)", "size 4 or 1"),
    ),
    Case("deterministic: name", lambda: ppl.deterministic(None, 1.0), TypeError, ("deterministic", "string", "found None")),
    Case("factor: name", lambda: ppl.factor(1.0, "x"), TypeError, ("factor", "name", "string", "found 1.0")),
    Case("factor: a string", lambda: ppl.factor("f", "x"), TypeError, ("factor 'f'", "number", "'x'")),
    Case(
        "factor: shape in a plate",
        lambda: run(lambda: ppl.plate("n", 5).__enter__() is None or ppl.factor("f", np.zeros(3))),
        ValueError,
        ("site 'f'", "(3,)", "plate 'n' (size 5", "pass 5 values"),
    ),
    Case("mutable: name", lambda: ppl.mutable(3), TypeError, ("mutable", "name", "string", "found 3")),
    Case("module: no pair", lambda: ppl.module("net", abs), TypeError, ("module 'net'", "pair (init_fn, apply_fn)", "abs")),
    Case(
        "module: no input shape",
        lambda: run(lambda: ppl.module("net", (abs, abs))),
        ValueError,
        ("module 'net'", "input_shape"),
    ),
    Case("prng_key outside", ppl.prng_key, UserWarning, ("prng_key()", "outside of `seed`", "handlers.seed(model, 0)")),
    Case("subsample: event_dim", lambda: ppl.subsample(np.zeros(3), -1), ValueError, ("subsample", "event_dim", "-1")),
    Case(
        "subsample: data of another size",
        lambda: run(subsample_in_plate),
        ValueError,
        ("plate 'n' (size 10", "invalid shape of subsample", "(7,)", "size 10 or 1", "full-size"),
    ),
]

PLATES = [
    Case("plate: name", lambda: ppl.plate(3, 3), TypeError, ("plate", "name must be a string", "found 3")),
    Case("plate: size 0", lambda: ppl.plate("n", 0), ValueError, ("plate 'n'", "size must be positive", "found 0")),
    Case("plate: negative size", lambda: ppl.plate("n", -2), ValueError, ("plate 'n'", "size must be positive", "found -2")),
    Case("plate: float size", lambda: ppl.plate("n", 3.0), TypeError, ("plate 'n'", "size must be a Python integer", "found 3.0")),
    Case("plate: no size", lambda: ppl.plate("n", None), TypeError, ("plate 'n'", "size must be a Python integer", "found None")),
    Case("plate: data as size", lambda: ppl.plate("n", np.zeros(3)), TypeError, ("plate 'n'", "size", "x.shape[0]")),
    Case(
        "plate: traced size",
        lambda: run(lambda n: ppl.plate("n", n), 3),
        TypeError,
        ("plate 'n'", "size", "static", "x.shape[0]"),
    ),
    Case("plate: dim 0", lambda: ppl.plate("n", 3, dim=0), ValueError, ("plate 'n'", "dim", "negative", "found 0", "dim=-1")),
    Case("plate: positive dim", lambda: ppl.plate("n", 3, dim=1), ValueError, ("plate 'n'", "dim", "negative", "found 1")),
    Case("plate: float dim", lambda: ppl.plate("n", 3, dim=-1.0), TypeError, ("plate 'n'", "dim", "integer", "found -1.0")),
    Case(
        "plate: subsample larger than size",
        lambda: ppl.plate("n", 3, subsample_size=4),
        ValueError,
        ("plate 'n'", "subsample_size", "between 1 and the size 3", "found 4"),
    ),
    Case("plate: subsample 0", lambda: ppl.plate("n", 3, 0), ValueError, ("plate 'n'", "subsample_size", "found 0")),
    Case(
        "plate: subsample without a key",
        lambda: ppl.plate("n", 10, subsample_size=5),
        ValueError,
        ("plate 'n' of size 10", "subsample_size=5", "random key", "seed", "HMC and NUTS cannot subsample"),
    ),
    Case(
        "plate: dim taken",
        lambda: run(nested(lambda: ppl.plate("a", 2, dim=-1), lambda: ppl.plate("b", 3, dim=-1))),
        ValueError,
        ("'a' (size 2", "'b'", "dim -1", "another dim"),
    ),
    Case(
        "plate: one name, two sizes",
        lambda: run(two_plates(("n", 2), ("n", 3))),
        ValueError,
        ("plate 'n'", "size 2", "size 3", "another name"),
    ),
    Case(
        "plate: one name, nested",
        lambda: run(nested(lambda: ppl.plate("n", 2), lambda: ppl.plate("n", 2))),
        ValueError,
        ("plate 'n'", "same name", "another name"),
    ),
    Case(
        "plate: batch shape does not fit",
        lambda: run(in_plate(5, dist.Normal(np.zeros(3), 1.0))),
        ValueError,
        ("site 'x'", "batch shape (3,)", "plate 'n' (size 5, dim -1)", "pass 5 values", ".to_event(1)"),
    ),
    Case(
        "plate: vectors as batches",
        lambda: run(in_plate(5, dist.Normal(np.zeros((5, 2)), 1.0))),
        ValueError,
        ("site 'x'", "batch shape (5, 2)", "plate 'n' (size 5, dim -1)", "found 2 at dim -1", ".to_event(1)"),
    ),
    Case(
        "plate: obs does not fit",
        lambda: run(in_plate(5, obs=np.zeros(3))),
        ValueError,
        ("site 'x'", "value of shape (3,)", "batch shape (5,)", "plate 'n' (5)", "pass a value of shape (5,)"),
    ),
    Case(
        "plate: all data in a subsampled plate",
        lambda: run(in_plate(10, subsample_size=5, obs=np.zeros(10))),
        ValueError,
        ("site 'x'", "value of shape (10,)", "plate 'n' (5)", "ppl.subsample(data, event_dim)"),
    ),
    Case(
        "plate: substituted value does not fit",
        lambda: run(handlers.substitute(in_plate(5), data={"x": np.zeros(4)})),
        ValueError,
        ("site 'x'", "value of shape (4,)", "plate 'n' (5)"),
    ),
    Case(
        "plate: substituted indices",
        lambda: run(handlers.substitute(in_plate(5), data={"n": np.zeros((2, 2), int)})),
        ValueError,
        ("plate 'n'", "vector of indices", "(2, 2)"),
    ),
    Case(
        "plate: number of substituted indices",
        lambda: run(handlers.substitute(in_plate(5, subsample_size=3), data={"n": np.arange(2)})),
        UserWarning,
        ("plate 'n'", "2 indices", "subsample_size is 3"),
    ),
    Case(
        "plate_stack: sizes is a number",
        lambda: ppl.plate_stack("n", 3).__enter__(),
        TypeError,
        ("plate_stack", "sizes", "found 3", "[3]"),
    ),
    Case(
        "plate_stack: positive dim",
        lambda: ppl.plate_stack("n", [2, 3], rightmost_dim=1).__enter__(),
        ValueError,
        ("plate_stack", "rightmost_dim", "negative", "found 1"),
    ),
    Case("plate: loop inside", lambda: run(loop_in_plate), NotImplementedError, ("plate 'n'", "scan", "in the body")),
]

HANDLERS = [
    Case("trace of a number", lambda: handlers.trace(3), ValueError, ("trace", "to be a Python callable object", "found 3")),
    Case("get_trace without a model", lambda: handlers.trace().get_trace(), ValueError, ("get_trace", "no model", "trace(model)")),
    Case("a handler called without a model", lambda: handlers.scale(scale=2.0)(), ValueError, ("scale", "Python callable object")),
    Case(
        "first argument is data",
        lambda: handlers.condition({"x": 1.0}),
        ValueError,
        ("condition", "expected exactly one of `data`"),
    ),
    Case("data first, model second", lambda: handlers.substitute({"x": 1.0}, normal), TypeError, ("substitute", "`data`", "dict")),
    Case(
        "seed without a seed", lambda: handlers.seed(normal), TypeError, ("seed", "`rng_seed`", "found None", "jax.random.key(0)")
    ),
    Case("seed with a float", lambda: handlers.seed(normal, 0.5), TypeError, ("seed", "`rng_seed`", "0.5", "jax.random.key(0)")),
    Case("seed with a bool", lambda: handlers.seed(normal, True), TypeError, ("seed", "`rng_seed`", "True")),
    Case(
        "seed with several keys",
        lambda: handlers.seed(normal, np.zeros((3, 2), np.uint32)),
        TypeError,
        ("seed", "single random key", "uint32[3, 2]"),
    ),
    Case("substitute without anything", lambda: handlers.substitute(normal), ValueError, ("substitute", "exactly one of", "none")),
    Case(
        "substitute with both",
        lambda: handlers.substitute(normal, data={}, substitute_fn=abs),
        ValueError,
        ("substitute", "exactly one of `data` and `substitute_fn`", "both"),
    ),
    Case(
        "substitute_fn", lambda: handlers.substitute(normal, substitute_fn=3), TypeError, ("`substitute_fn`", "function", "found 3")
    ),
    Case("condition without anything", lambda: handlers.condition(normal), ValueError, ("condition", "exactly one of", "none")),
    Case(
        "condition with a list", lambda: handlers.condition(normal, data=[1.0]), TypeError, ("condition", "`data`", "dict", "[1.0]")
    ),
    Case(
        "condition on a value that does not fit",
        lambda: handlers.trace(handlers.condition(in_plate(3), data={"x": np.zeros(2)})).get_trace(),
        ValueError,
        ("site 'x'", "value of shape (2,)", "plate 'n' (3)"),
    ),
    Case("replay without a trace", lambda: handlers.replay(normal), ValueError, ("replay", "`trace`", "get_trace")),
    Case("replay with a list", lambda: handlers.replay(normal, trace=[1.0]), TypeError, ("replay", "`trace`", "dict", "get_trace")),
    Case(
        "replay of values",
        lambda: handlers.replay(normal, trace={"x": 1.0})(),
        TypeError,
        ("replay", "'x'", "found 1.0", "get_trace", "substitute"),
    ),
    Case(
        "replay: a plate is no plate",
        lambda: handlers.replay(in_plate(3), trace=GUIDE)(),
        RuntimeError,
        ("replay", "'n' is a plate in the model", "sample site in the trace"),
    ),
    Case(
        "replay: a latent site is observed",
        lambda: handlers.replay(normal, trace=GUIDE)(),
        RuntimeError,
        ("replay", "'x' is a latent sample site", "an observed site in the trace"),
    ),
    Case("block with a string", lambda: handlers.block(normal, hide="x"), TypeError, ("block", "`hide`", "'x'", "['x']")),
    Case("block with a list as function", lambda: handlers.block(normal, ["x"]), TypeError, ("block", "`hide_fn`", "hide=['x']")),
    Case("do without data", lambda: handlers.do(normal), ValueError, ("do", "`data`", "dict", "found None")),
    Case(
        "do twice",
        lambda: run(handlers.do(handlers.do(normal, {"x": 1.0}), {"x": 2.0})),
        RuntimeWarning,
        ("do", "'x'", "two interventions"),
    ),
    Case("mask with a number", lambda: handlers.mask(normal, mask=1), ValueError, ("mask", "bool", "found 1")),
    Case(
        "mask of numbers",
        lambda: handlers.mask(normal, mask=np.ones(3)),
        ValueError,
        ("mask", "boolean array", "float64[3]", "mask=x != 0"),
    ),
    Case(
        "mask of another length",
        lambda: run(handlers.mask(in_plate(3), mask=np.array([True, False]))),
        ValueError,
        ("mask", "(2,)", "site 'x'", "batch shape"),
    ),
    Case("scale 0", lambda: handlers.scale(normal, scale=0.0), ValueError, ("scale", "positive", "found 0.0", "handlers.mask")),
    Case("negative scale", lambda: handlers.scale(normal, scale=-1.0), ValueError, ("scale", "positive", "found -1.0")),
    Case("scale nan", lambda: handlers.scale(normal, scale=np.nan), ValueError, ("scale", "positive", "found nan")),
    Case("scale a string", lambda: handlers.scale(normal, scale="2"), TypeError, ("scale", "number", "'2'")),
    Case("scope with a number", lambda: handlers.scope(normal, prefix=3), TypeError, ("scope", "`prefix`", "string", "found 3")),
    Case("lift without a prior", lambda: handlers.lift(normal), TypeError, ("lift", "`prior`", "distribution", "found None")),
    Case(
        "lift with a class", lambda: handlers.lift(normal, prior={"w": dist.Normal}), TypeError, ("lift", "`prior`", "distribution")
    ),
    Case("reparam without a config", lambda: handlers.reparam(normal), TypeError, ("reparam", "`config`", "dict", "found None")),
    Case(
        "reparam with a class",
        lambda: run(handlers.reparam(normal, config={"x": 3})),
        TypeError,
        ("reparam", "site 'x'", "found 3"),
    ),
    Case("infer_config", lambda: handlers.infer_config(normal), ValueError, ("infer_config", "`config_fn`", "function", "None")),
    Case(
        "infer_config returns nothing",
        lambda: run(handlers.infer_config(normal, config_fn=lambda site: None)),
        TypeError,
        ("infer_config", "site 'x'", "dict", "None"),
    ),
    Case("collapse of nothing", lambda: handlers.collapse(lambda: None)(), ValueError, ("collapse", "no latent site")),
    Case(
        "collapse of a normal",
        lambda: handlers.collapse(normal)(),
        NotImplementedError,
        ("collapse", "latent site 'x'", "Normal", "only Beta"),
    ),
]

CONTROL_FLOW = [
    Case("scan: no length", lambda: scan(step, 0.0, None), ValueError, ("scan", "number of steps", "length=None")),
    Case("scan: float length", lambda: scan(step, 0.0, None, length=3.5), TypeError, ("scan", "length", "found 3.5")),
    Case("scan: negative length", lambda: scan(step, 0.0, None, length=-1), ValueError, ("scan", "length", "-1", "at least 0")),
    Case(
        "scan: lengths differ",
        lambda: scan(step, 0.0, (np.zeros(3), np.zeros(4))),
        ValueError,
        ("scan", "number of steps", "[(3,), (4,)]", "common leading axis"),
    ),
    Case("scan: history", lambda: scan(step, 0.0, None, 3, history=-1), ValueError, ("scan", "history", "found -1")),
    Case("scan: f is no function", lambda: scan(3, 0.0, None, length=3), TypeError, ("scan", "`f`", "(carry, x)", "found 3")),
    Case(
        "scan: body returns one value",
        lambda: run(loop(lambda c, _: normal())),
        TypeError,
        ("scan", "must return a pair (carry, y)"),
    ),
    Case(
        "scan: carry changes its shape",
        lambda: run(loop(lambda c, _: (jnp.zeros(2), None))),
        TypeError,
        ("scan", "carry", "float32[]", "float32[2]"),
    ),
    Case(
        "scan: param in the body",
        lambda: run(loop(param_in_loop)),
        NotImplementedError,
        ("param site 'w'", "before the loop"),
    ),
    Case(
        "scan: series of another length",
        lambda: run(handlers.condition(loop(step), data={"x": np.zeros(5)})),
        ValueError,
        ("site 'x'", "loop of 3 steps", "(5,)"),
    ),
    Case("cond: no functions", lambda: cond(True, 1.0, 2.0, None), TypeError, ("cond", "`true_fun`", "function", "found 1.0")),
    Case(
        "cond: the branches differ",
        lambda: run(lambda: cond(True, lambda _: normal("a"), lambda _: normal("b"), None)),
        ValueError,
        ("cond", "same sites", "'a'", "'b'"),
    ),
    Case(
        "cond: pred is an array",
        lambda: cond(np.array([True, False]), abs, abs, 1.0),
        TypeError,
        ("cond", "`pred`", "scalar", "bool[2]"),
    ),
]

DIAGNOSTICS = [
    Case(
        "summary: prob",
        lambda: diagnostics.summary({"x": np.zeros((2, 9))}, prob=90),
        ValueError,
        ("summary", "0 < prob < 1", "90"),
    ),
    Case(
        "summary: no chain axis",
        lambda: diagnostics.summary({"x": np.zeros(9)}),
        ValueError,
        ("site 'x'", "(chains, draws, ...)", "(9,)", "group_by_chain=False"),
    ),
    Case("summary: strings", lambda: diagnostics.summary({"x": np.array([["a"]])}), TypeError, ("site 'x'", "numbers", "<U1")),
    Case(
        "hpdi: prob", lambda: diagnostics.hpdi(np.zeros(9), prob=1.0), ValueError, ("hpdi", "0 < prob < 1", "found 1.0", "prob=0.9")
    ),
    Case("hpdi: no draws", lambda: diagnostics.hpdi(np.zeros((0, 3))), ValueError, ("hpdi", "no draws", "(0, 3)")),
    Case("hpdi: axis", lambda: diagnostics.hpdi(np.zeros(9), axis=1), ValueError, ("hpdi", "axis 1", "(9,)")),
    Case(
        "effective_sample_size: no chain axis",
        lambda: diagnostics.effective_sample_size(np.zeros(9)),
        ValueError,
        ("effective_sample_size", "(chains, draws, ...)", "(9,)", "x[None]"),
    ),
    Case(
        "split_gelman_rubin: too few draws",
        lambda: diagnostics.split_gelman_rubin(np.zeros((2, 3))),
        ValueError,
        ("split_gelman_rubin", "4 draws", "2 of 3", "(chains, draws, ...)"),
    ),
    Case(
        "gelman_rubin: strings",
        lambda: diagnostics.gelman_rubin(np.array([["a", "b"]])),
        TypeError,
        ("gelman_rubin", "numbers", "<U1"),
    ),
    Case(
        "mcse_quantile: prob",
        lambda: diagnostics.mcse_quantile(np.zeros((2, 9)), 5),
        ValueError,
        ("mcse_quantile", "0 < prob < 1", "5"),
    ),
    Case(
        "ess_quantile: prob",
        lambda: diagnostics.ess_quantile(np.zeros((2, 9)), 1.5),
        ValueError,
        ("ess_quantile", "0 < prob < 1", "1.5"),
    ),
    Case("autocorrelation: axis", lambda: diagnostics.autocorrelation(np.zeros(9), axis=2), ValueError, ("axis 2", "(9,)")),
    Case("ebfmi: a number", lambda: diagnostics.ebfmi(3.0), ValueError, ("ebfmi", "(chains, draws)", "()")),
]

SETTINGS = [
    Case("set_platform", lambda: ppl.set_platform("gpu"), ValueError, ("set_platform", "cpu, cuda", "'gpu'")),
    Case("set_platform: a number", lambda: ppl.set_platform(0), TypeError, ("set_platform", "cpu, cuda", "0")),
    Case(
        "set_host_device_count", lambda: ppl.set_host_device_count(0), ValueError, ("set_host_device_count", "positive", "found 0")
    ),
    Case("enable_x64", lambda: ppl.enable_x64("yes"), TypeError, ("enable_x64", "True or False", "'yes'")),
    Case("enable_validation", lambda: ppl.enable_validation("yes"), ValueError, ("True or False", "'yes'")),
    Case("set_rng_seed", lambda: ppl.util.set_rng_seed("a"), TypeError, ("rng_seed", "integer", "'a'")),
    Case(
        "soft_vmap: chunk_size",
        lambda: ppl.util.soft_vmap(abs, np.zeros(3), chunk_size=0),
        ValueError,
        ("soft_vmap", "chunk_size", "0"),
    ),
    Case(
        "soft_vmap: lengths differ",
        lambda: ppl.util.soft_vmap(abs, (np.zeros(3), np.zeros(4))),
        ValueError,
        ("soft_vmap", "leading dimensions", "[(3,), (4,)]"),
    ),
]

CASES = [*SAMPLE, *OTHER_PRIMITIVES, *PLATES, *HANDLERS, *CONTROL_FLOW, *DIAGNOSTICS, *SETTINGS]
