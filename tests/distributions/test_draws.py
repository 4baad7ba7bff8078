"""Draws in float32 of every case of the table: supports, goodness of fit, moments, entropies, derivatives, quantiles, tails.

Error rates are for a new seed; the seeds are fixed. Some 3,000 means are compared at 5.5 standard errors, each a two-sided false
alarm of 4e-8, and some 250 tests of fit fail with probability 1e-7 each: together 2e-4.
"""

from typing import Any

import jax
import numpy as np
from case import Case
from scipy import stats
from table import (
    CONTINUOUS,
    DISCRETE,
    EVERY,
    INTEGERS,
    LEVELS,
    MULTIVARIATE,
    SCALARS,
    cases,
    chi_square,
    double,
    grid,
    n_draws,
    single,
)

MAX_Z, MIN_P = 5.5, 1e-7
EPS = np.finfo(np.float32).eps


def z_scores(samples: np.ndarray, expected: Any) -> np.ndarray:
    """Of the means over the first axis, with an allowance for the rounding of single precision."""
    samples = samples.astype(np.float64)
    with np.errstate(invalid="ignore"):
        error = samples.std(0) / len(samples) ** 0.5
        allowance = 2e-5 * np.maximum(np.abs(samples).mean(0), 1e-3)
        return np.abs(samples.mean(0) - expected) / np.hypot(error, allowance)


# supports ---------------------------------------------------------------------------------------------------------------


@cases(EVERY)
def test_draws_lie_in_the_support_with_finite_density(case: Case) -> None:
    out = single(case)
    assert out["x"].dtype == (np.int32 if case in INTEGERS else np.float32)
    assert out["log_prob"].dtype == np.float32
    assert out["inside"][: n_draws(case)].all()
    assert np.isfinite(out["log_prob"][: n_draws(case)]).all()


@cases(EVERY)
def test_values_outside_are_not_in_the_support(case: Case) -> None:
    out = single(case)
    assert not out["inside"][out["beyond"] :].any()


@cases(SCALARS, holds="outside")
def test_values_outside_have_no_density(case: Case) -> None:
    out = single(case)
    assert (out["log_prob"][out["beyond"] :] == -np.inf).all()


# laws -------------------------------------------------------------------------------------------------------------------


@cases(CONTINUOUS)
def test_draws_follow_the_distribution_function(case: Case) -> None:
    """That of SciPy."""
    for x, law in zip(single(case)["x"].astype(np.float64).T, case.references()):
        assert stats.kstest(law.cdf(x), "uniform").pvalue > MIN_P


@cases(DISCRETE)
def test_draws_follow_the_probabilities(case: Case) -> None:
    for x, law in zip(single(case)["x"].T, case.references()):
        assert chi_square(x, grid(law), np.exp(law.logpmf(grid(law)))) > MIN_P


@cases(MULTIVARIATE, holds="scores")
def test_the_mean_score_of_draws_is_zero(case: Case) -> None:
    """`E d log p(x) / dp = 0` for every entry of every parameter."""
    assert (z_scores(np.moveaxis(single(case)["scores"][:, : n_draws(case)], 0, -1), 0.0) < MAX_Z).all()


@cases(EVERY, "mean", holds="moments")
def test_draws_have_the_mean(case: Case) -> None:
    out = single(case)
    assert (z_scores(out["x"], out["mean"]) < MAX_Z).all()


@cases(EVERY, "mean", "variance", holds="moments")
def test_draws_have_the_variance(case: Case) -> None:
    out = single(case)
    assert (z_scores((out["x"].astype(np.float64) - out["mean"]) ** 2, out["variance"]) < MAX_Z).all()


@cases(EVERY, "entropy")
def test_entropy_is_the_mean_of_minus_the_log_density(case: Case) -> None:
    out = single(case)
    assert (z_scores(-out["log_prob"][: n_draws(case)], out["entropy"]) < MAX_Z).all()


@cases(DISCRETE, "enumerate_support")
def test_enumerated_values_are_all_there_are(case: Case) -> None:
    for setting, law in zip(case.settings, case.references()):
        d = case.make(**setting)
        values = np.asarray(d.enumerate_support())
        low, high = law.support()
        np.testing.assert_array_equal(values, np.arange(low, high + 1))
        np.testing.assert_allclose(np.exp(law.logpmf(values)).sum(), 1.0, rtol=1e-9)
        wide = d.expand((2, 3))
        np.testing.assert_array_equal(wide.enumerate_support(expand=False), values.reshape(-1, 1, 1))
        np.testing.assert_array_equal(wide.enumerate_support(), np.broadcast_to(values.reshape(-1, 1, 1), (len(values), 2, 3)))
        np.testing.assert_array_equal(d.mask(False).enumerate_support(), values)


# derivatives and quantiles ----------------------------------------------------------------------------------------------


@cases(CONTINUOUS, "rsample", "cdf")
def test_derivatives_of_draws_have_the_mean_of_the_implicit_derivative(case: Case) -> None:
    """`E w(u) dx/dp = -int w(u) (dF(x)/dp / p(x)) du` for `u = F(x)` and every parameter: `E f(x)`, differentiated in two ways.

    The integral is over 32 quantiles in float64, and allowed an error of 2 % and the difference to half as many.
    """
    out, at = single(case), double(case)
    by_draw, u, level = out["by_draw"].astype(np.float64), out["cdf"][: n_draws(case)].astype(np.float64), at["cdf"]
    assert np.isfinite(by_draw).all()
    half = np.r_[0 : level.shape[1] - 1 : 2, level.shape[1] - 1]
    for found, by_cdf in zip(by_draw, at["by_cdf"]):
        implicit = -by_cdf / np.exp(at["log_prob"])
        for weight in (lambda u: u * (1 - u), lambda u: u * (1 - u) * (2 * u - 1)):
            mass = weight(level) * implicit
            expected, size = (np.trapezoid(m, level, axis=-1) for m in (mass, np.abs(mass)))
            coarse = np.trapezoid(mass[:, half], level[:, half], axis=-1)
            allowance = 0.02 * size + np.abs(expected - coarse) + 1e-7 * np.abs(found).mean(0)
            samples = weight(u) * found
            error = np.abs(samples.mean(0) - expected) - allowance
            assert (error <= MAX_Z * samples.std(0) / n_draws(case) ** 0.5).all()


@cases(MULTIVARIATE, "rsample")
def test_derivatives_of_draws_have_the_mean_of_the_score_estimate(case: Case) -> None:
    """`E f'(x) dx/dp = E f(x) d log p(x) / dp` for `f(x) = sin(c z + 0.8)` with the standardised entries `z` of a draw."""
    out = single(case)
    x, by_draw = out["x"].astype(np.float64), out["by_draw"].astype(np.float64)
    assert np.isfinite(by_draw).all()
    slope = np.cos(2.0 + 3.0 * np.arange(x[0, 0].size)).reshape(x.shape[2:]) / np.maximum(x.std(0), 1e-6)
    axes = tuple(range(2, x.ndim))
    angle = ((x - x.mean(0)) * slope).sum(axes) + 0.8
    by_path = np.cos(angle) * (by_draw * slope).sum(tuple(a + 1 for a in axes))
    difference = by_path - (np.sin(angle) - np.sin(angle).mean(0)) * out["scores"][:, : n_draws(case)]
    assert (z_scores(np.moveaxis(difference, 1, 0), 0.0) < MAX_Z).all()


@cases(SCALARS, "cdf", "icdf")
def test_quantiles_invert_the_distribution_function_in_single_precision(case: Case) -> None:
    """Up to the rounding of the argument, carried through: `eps u / p(x)` for quantiles of levels, `eps x p(x)` for levels."""
    out = single(case)
    if case in DISCRETE:
        np.testing.assert_array_equal(out["icdf_of_cdf"], out["x"][: len(LEVELS)])
        return
    x, u = out["x"][: len(LEVELS)].astype(np.float64), out["cdf"][: len(LEVELS)].astype(np.float64)
    density = np.exp(out["log_prob"][: len(LEVELS)].astype(np.float64))
    spread = np.abs(out["x"]).max(0).astype(np.float64)
    tolerance = 64 * EPS * (u / density + np.maximum(np.abs(x), 1e-3 * spread))
    assert (np.abs(out["icdf_of_cdf"] - x) <= tolerance).all()
    z, density = out["icdf"].astype(np.float64), np.exp(out["log_prob_of_icdf"].astype(np.float64))
    levels = LEVELS.astype(np.float32)[:, None]
    tolerance = 64 * EPS * (levels + np.abs(z) * density)
    assert (np.abs(out["cdf_of_icdf"] - levels) <= tolerance).all()


@cases(CONTINUOUS, holds="tails")
def test_gradients_are_finite_at_the_ends_of_the_support(case: Case) -> None:
    """Also at all draws, and outside."""
    out = single(case)
    assert np.isfinite(out["log_prob"][: out["beyond"]]).all()
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(out["by_value"]))


# wrappers ---------------------------------------------------------------------------------------------------------------


@cases([case for case in EVERY if case.name in ("Normal", "Poisson", "MultivariateNormal-tril")])
def test_wrappers_have_the_densities_of_what_they_wrap(case: Case) -> None:
    """One family of each table; what the others have of their own is under `vmap` in `test_exact.py`."""
    params, static = case.batch(np.float32)
    k = len(case.settings)
    mask = np.arange(3 * k).reshape(k, 3) % 2 == 0

    @jax.jit
    def run(params: Any, key: Any) -> Any:
        base = case.make(**{name: p[:, None] for name, p in params.items()}, **static)
        masked = base.expand((2, k, 3)).mask(mask)
        x = masked.sample(key, (500,))
        return x, base.log_prob(x), masked.log_prob(x), masked.to_event(1).log_prob(x), masked.to_event(2).log_prob(x)

    x, log_prob, masked, rows, joint = jax.tree.map(np.asarray, run(params, jax.random.key(0)))
    np.testing.assert_allclose(masked, log_prob * mask, rtol=1e-6)
    np.testing.assert_allclose(rows, masked.sum(-1), rtol=1e-4, atol=1e-3)
    np.testing.assert_allclose(joint, masked.sum((-2, -1)), rtol=1e-4, atol=1e-3)
    draws = np.moveaxis(x, 2, 0)
    for found, own in zip(draws.reshape(k, 3000, *x.shape[4:]), single(case)["mean"]):
        assert (z_scores(found, own) < MAX_Z).all()
