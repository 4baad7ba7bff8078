"""Densities, distribution functions, quantiles, moments and gradients in float64, of every case and setting of the table."""

import numpy as np
from case import Case
from table import CONTINUOUS, DISCRETE, EVERY, LEVELS, MULTIVARIATE, SCALARS, cases, double, grid


@cases(CONTINUOUS + MULTIVARIATE)
def test_density_is_that_of_the_reference(case: Case) -> None:
    out = double(case)
    assert out["log_prob"].dtype == np.float64
    for found, x, law in zip(out["log_prob"], np.moveaxis(out["x"], 1, 0), case.references()):
        np.testing.assert_allclose(found, law.logpdf(x), rtol=1e-9, atol=1e-9)


@cases(DISCRETE)
def test_probabilities_are_those_of_the_reference(case: Case) -> None:
    out = double(case)
    assert out["log_prob"].dtype == np.float64
    for found, law in zip(out["log_prob"], case.references()):
        k = grid(law)
        np.testing.assert_allclose(found[: len(k)], law.logpmf(k), rtol=1e-9, atol=1e-9)
        np.testing.assert_allclose(np.exp(found[: len(k)]).sum(), 1.0, atol=2e-9)


@cases(SCALARS, "cdf")
def test_distribution_function_is_that_of_the_reference(case: Case) -> None:
    out = double(case)
    for found, x, law in zip(out["cdf"], out["x"].T, case.references()):
        np.testing.assert_allclose(found, law.cdf(x), rtol=1e-8, atol=1e-12)


@cases(SCALARS, "icdf")
def test_quantiles_are_those_of_the_reference(case: Case) -> None:
    out = double(case)
    for found, law in zip(out["icdf"], case.references()):
        levels = np.resize(LEVELS, len(found))
        np.testing.assert_allclose(found, law.ppf(levels), rtol=1e-8, atol=1e-9)


@cases(SCALARS, "cdf", "icdf")
def test_quantiles_invert_the_distribution_function(case: Case) -> None:
    """`icdf(cdf(x)) = x` and `cdf(icdf(q)) = q`; for counts, `icdf(q)` is the smallest with `cdf >= q`."""
    out = double(case)
    levels = np.stack([np.resize(LEVELS, out["icdf"].shape[1])] * len(out["icdf"]))
    if case in DISCRETE:
        for found, law in zip(out["icdf"], case.references()):
            assert (law.cdf(found) >= levels[0] - 1e-12).all() and (law.cdf(found - 1) < levels[0]).all()
        np.testing.assert_array_equal(out["icdf_of_cdf"], out["x"].T)
        return
    np.testing.assert_allclose(out["cdf_of_icdf"], levels, rtol=1e-9, atol=1e-13)
    np.testing.assert_allclose(out["icdf_of_cdf"], out["x"].T, rtol=1e-8, atol=1e-9)


@cases(SCALARS, "mean", "variance", holds="scipy_moments")
def test_moments_are_those_of_the_reference(case: Case) -> None:
    out = double(case)
    for mean, variance, law in zip(out["mean"], out["variance"], case.references()):
        np.testing.assert_allclose(mean, law.mean(), rtol=1e-7, atol=1e-9)
        np.testing.assert_allclose(variance, law.var(), rtol=1e-7)


@cases(SCALARS, "entropy")
def test_entropy_is_that_of_the_reference(case: Case) -> None:
    for found, law in zip(double(case)["entropy"], case.references()):
        np.testing.assert_allclose(found, law.entropy(), rtol=1e-7, atol=1e-9)


@cases(EVERY, holds="gradients")
def test_gradients_agree_with_finite_differences(case: Case) -> None:
    """By every parameter, and by the value, each in one direction with all its entries."""
    for name, (found, expected) in double(case)["differences"].items():
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-4, err_msg=name)
