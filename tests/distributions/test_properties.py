"""Properties that every distribution of the table has.

Two programs are compiled per case, and shared by the tests through a cache: one in float32 that draws, one in float64 that is
compared with SciPy, with quadrature and with finite differences. Shapes are checked on abstract values, which compiles nothing.
"""

import functools
import pickle
import re
import zlib
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from cases import CONTINUOUS, Case, offers
from jax import random
from scipy import stats

from ppl.distributions import Distribution, biject_to

N_DRAWS = 4000
# two-sided false alarms: 6e-7 per comparison of a mean at five standard errors, 1e-6 per Kolmogorov-Smirnov test
MAX_Z, MIN_KS = 5.0, 1e-6
LEVELS = np.array([0.001, 0.02, 0.2, 0.45, 0.7, 0.97, 0.999])


def all_cases(*without: str) -> Any:
    """Parametrize a test with the cases for which these properties hold."""
    chosen = [case for case in CONTINUOUS if not set(without) & set(case.without)]
    return pytest.mark.parametrize("case", chosen, ids=lambda case: case.name)


@functools.cache
def drawn(case: Case) -> dict[str, np.ndarray]:
    """Draws in float32 and what the distribution says about them, by one program; the distribution is its argument."""
    d = case.build(np.float32)
    has_cdf = offers(d, "cdf", 0.5)

    @jax.jit
    def run(d: Distribution, key: Any, outside: Any) -> dict[str, Any]:
        x = d.sample(key, (N_DRAWS,))
        out = {"x": x, "inside": d.support(x)}
        out["log_prob"], out["outside"] = jnp.split(d.log_prob(jnp.concatenate([x, outside])), [N_DRAWS])
        if has_cdf:
            out["cdf"] = d.cdf(x)
        far = biject_to(d.support)(jnp.array([-20.0, 20.0]))
        out["far_density"], out["far_slope"] = jax.value_and_grad(lambda d, x: d.log_prob(x).sum(), (0, 1))(d, far)
        return out

    key = random.key(zlib.crc32(case.name.encode()))
    out = run(d, key, jnp.asarray(case.outside, jnp.float32))
    return jax.tree.map(np.asarray, out)


@functools.cache
def exact(case: Case) -> dict[str, Any]:
    """Densities, quantiles, moments and gradients in float64 at draws, and the density's finite differences."""
    x = np.quantile(drawn(case)["x"], LEVELS, method="nearest").astype(np.float64)
    members = [m for m in ("mean", "variance", "entropy") if offers(case.build(), m)]
    has_cdf, has_icdf = offers(case.build(), "cdf", 0.5), offers(case.build(), "icdf", 0.5)

    def density(params: dict[str, Any], x: Any) -> Any:
        log_prob = case.make(**params, **case.static).log_prob(x)
        return log_prob.sum(), log_prob

    @jax.jit
    def run(params: dict[str, Any], x: Any, q: Any) -> dict[str, Any]:
        d = case.make(**params, **case.static)
        out = {m: getattr(d, m)() if m == "entropy" else getattr(d, m) for m in members}
        (_, out["log_prob"]), out["slopes"] = jax.value_and_grad(density, (0, 1), has_aux=True)(params, x)
        if has_cdf:
            out["cdf"] = d.cdf(x)
        if has_icdf:
            out["icdf"] = d.icdf(q)
            if case.scipy is None:
                width = out["icdf"][5] - out["icdf"][4]
                out["mass"] = jnp.exp(d.log_prob(out["icdf"][4] + width * nodes)) @ weights * width
        return out

    nodes, weights = np.polynomial.legendre.leggauss(60)
    nodes, weights = 0.5 + 0.5 * nodes, 0.5 * weights
    with jax.enable_x64(True):
        params = {name: np.float64(p) for name, p in case.params.items()}
        out = run(params, x, LEVELS)
        differences = {}
        for name, p in params.items():
            h = 1e-6 * max(abs(p), 0.1)
            ends = [run({**params, name: p + s * h}, x, LEVELS)["log_prob"].sum() for s in (1, -1)]
            differences[name] = (ends[0] - ends[1]) / (2 * h)
        h = 1e-6 * np.maximum(np.abs(x), 1e-3) * 0.1
        ends = [run(params, x + s * h, LEVELS)["log_prob"] for s in (1, -1)]
        out["differences"] = (differences, (ends[0] - ends[1]) / (2 * h))
        out["x"] = x
        return jax.tree.map(np.asarray, out)


# construction -----------------------------------------------------------------------------------------------------------


@all_cases()
@pytest.mark.parametrize(
    "convert", [lambda p: p, np.float32, lambda p: np.full(3, p), jnp.asarray], ids=["number", "0d", "1d", "jax"]
)
def test_construction_and_wrapping_run_no_jax_operation(case: Case, convert: Any) -> None:
    params = {name: convert(p) for name, p in case.params.items()}
    mask = np.array([[True], [False]])

    def construct() -> None:
        d = case.make(**params, **case.static)
        d.expand((2, 3)).mask(mask).to_event(1).expand_by((4,)).shape((5,))

    assert jax.make_jaxpr(construct)().eqns == []


@all_cases()
def test_an_invalid_parameter_is_named(case: Case) -> None:
    cls = type(case.build()).__name__
    for name, bad in case.invalid.items():
        pattern = re.escape(f"{cls} distribution got invalid {name} parameter")
        for value in (bad, np.array([case.params[name], bad])):
            with pytest.raises(ValueError, match=pattern):
                case.make(**{**case.params, name: value}, **case.static)
        case.make(**{**case.params, name: bad}, **case.static, validate_args=False)


@all_cases()
def test_survives_tree_maps_and_pickling(case: Case) -> None:
    d = case.build(np.float32)
    for copy in (jax.tree.map(lambda leaf: leaf, d), pickle.loads(pickle.dumps(d))):
        assert type(copy) is type(d)
        assert (copy.batch_shape, copy.event_shape) == (d.batch_shape, d.event_shape)
        assert jax.tree.structure(copy) == jax.tree.structure(d)
        assert jax.tree.leaves(copy) == jax.tree.leaves(d)


# shapes -----------------------------------------------------------------------------------------------------------------


def shape_of(function: Any, *args: Any) -> tuple[int, ...]:
    """The shape of the result, computed without compiling; floats are of width 32."""
    out = jax.eval_shape(function, *args)
    assert out.dtype in (jnp.float32, jnp.bool_)
    return out.shape


def value(*shape: int) -> Any:
    return jax.ShapeDtypeStruct(shape, jnp.float32)


def check_members(d: Distribution, batch: tuple[int, ...]) -> None:
    event = d.event_shape
    assert d.batch_shape == batch
    assert d.shape((5,)) == (5, *batch, *event)
    full = (4, 1, *batch, *event) if batch else event
    sample_shape = full[: len(full) - len(batch) - len(event)]
    assert shape_of(lambda key: d.sample(key, sample_shape), random.key(0)) == full
    assert shape_of(d.log_prob, value(*full)) == (*sample_shape, *batch)
    for member in ("cdf", "icdf"):
        if offers(d, member, 0.5):
            assert shape_of(getattr(d, member), value(6, *(1 for _ in batch))) == (6, *batch)
            assert shape_of(lambda d, q, m=member: getattr(d, m)(q), d, value()) == batch
    for member in ("mean", "variance"):
        if offers(d, member):
            assert shape_of(lambda d, m=member: getattr(d, m), d) == (*batch, *event)
    if offers(d, "entropy"):
        assert shape_of(lambda d: d.entropy(), d) == batch


@all_cases()
def test_shapes_and_widths_under_strict_promotion(case: Case) -> None:
    with jax.numpy_dtype_promotion("strict"), jax.numpy_rank_promotion("raise"):
        check_members(case.build(), ())
        d = case.build(lambda p: np.full(3, p, np.float32))
        assert shape_of(d.log_prob, value()) == (3,)
        assert shape_of(d.log_prob, value(2, 1)) == (2, 3)
        assert shape_of(d.expand((2, 3)).to_event(1).log_prob, value(4, 2, 3)) == (4, 2)
        assert shape_of(lambda k: d.expand((2, 3)).to_event(1).sample(k, (4,)), random.key(0)) == (4, 2, 3)
        assert shape_of(d.to_event(1).mask(np.array(True)).log_prob, value(3)) == ()
        assert shape_of(d.mask(np.array([[True, False, True]])).log_prob, value(3)) == (1, 3)
        assert shape_of(d.expand_by((2,)).log_prob, value(3)) == (2, 3)
        batched = {n: value(7) for n in case.params}
        mapped = jax.vmap(lambda params, x: case.make(**params, **case.static).log_prob(x))
        assert shape_of(mapped, batched, value(7, 2)) == (7, 2)
        outer = jax.vmap(lambda params: case.make(**params, **case.static), out_axes=0)
        assert jax.tree.leaves(jax.eval_shape(outer, batched))[0].shape == (7,)
        with jax.enable_x64(True):  # parameters of width 32 keep it
            first = next(iter(case.params))
            mixed = {n: np.full((2, 1) if n == first else (3,), p, np.float32) for n, p in case.params.items()}
            check_members(case.make(**mixed, **case.static), (2, 3) if len(mixed) > 1 else (2, 1))


# draws ------------------------------------------------------------------------------------------------------------------


@all_cases()
def test_draws_lie_in_the_support_with_finite_density(case: Case) -> None:
    out = drawn(case)
    assert out["x"].dtype == out["log_prob"].dtype == np.float32
    assert out["inside"].all()
    assert np.isfinite(out["log_prob"]).all()
    assert (out["outside"] == -np.inf).all()


@all_cases("ks")
def test_draws_follow_the_distribution_function(case: Case) -> None:
    out, reference = drawn(case), case.reference()
    u = out["cdf"] if "cdf" in out else reference.cdf(out["x"].astype(np.float64))
    assert stats.kstest(u, "uniform").pvalue > MIN_KS


@all_cases("moments")
def test_draws_have_the_mean_and_variance(case: Case) -> None:
    x, out = drawn(case)["x"].astype(np.float64), exact(case)
    if "mean" not in out:
        pytest.skip("no moments")
    centered = x - out["mean"]
    assert abs(centered.mean()) < MAX_Z * centered.std() / N_DRAWS**0.5
    if "variance" in out:
        squares = centered**2 - out["variance"]
        assert abs(squares.mean()) < MAX_Z * squares.std() / N_DRAWS**0.5


@all_cases("tails")
def test_gradients_are_finite_at_the_ends_of_the_support(case: Case) -> None:
    out = drawn(case)
    assert np.isfinite(out["far_density"])
    by_parameter, by_value = out["far_slope"]
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(by_parameter))
    assert np.isfinite(by_value).all()


# exact values, in float64 -----------------------------------------------------------------------------------------------


@all_cases()
def test_density_is_that_of_scipy_or_has_the_mass_between_quantiles(case: Case) -> None:
    out, reference = exact(case), case.reference()
    assert out["log_prob"].dtype == np.float64
    if reference is not None:
        np.testing.assert_allclose(out["log_prob"], reference.logpdf(out["x"]), rtol=1e-9, atol=1e-9)
    if "mass" in out:
        np.testing.assert_allclose(out["mass"], LEVELS[5] - LEVELS[4], rtol=1e-8)


@all_cases()
def test_distribution_function_and_quantiles_are_those_of_scipy(case: Case) -> None:
    out, reference = exact(case), case.reference()
    if reference is None:
        pytest.skip("no reference")
    if "cdf" in out:
        np.testing.assert_allclose(out["cdf"], reference.cdf(out["x"]), rtol=1e-8, atol=1e-12)
    if "icdf" in out:
        np.testing.assert_allclose(out["icdf"], reference.ppf(LEVELS), rtol=1e-8, atol=1e-9)


@all_cases("scipy_moments")
def test_moments_are_those_of_scipy(case: Case) -> None:
    out, reference = exact(case), case.reference()
    if reference is None:
        pytest.skip("no reference")
    for member, expected in (("mean", reference.mean), ("variance", reference.var), ("entropy", reference.entropy)):
        if member in out:
            np.testing.assert_allclose(out[member], expected(), rtol=1e-7)


@all_cases("gradients")
def test_gradients_agree_with_finite_differences(case: Case) -> None:
    out = exact(case)
    (by_parameter, by_value), (differences, slopes) = out["slopes"], out["differences"]
    for name, expected in differences.items():
        np.testing.assert_allclose(by_parameter[name], expected, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(by_value, slopes, rtol=1e-5, atol=1e-5)


def test_the_table_names_every_case_once() -> None:
    names = [case.name for case in CONTINUOUS]
    assert len(names) == len(set(names))
    assert all(isinstance(case.build(), Distribution) for case in CONTINUOUS)
