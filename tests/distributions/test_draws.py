"""What draws say about entropies, and their derivatives about moments, for every case of the three tables."""

import functools
import zlib
from typing import Any

import jax
import numpy as np
import pytest
from cases import CONTINUOUS, Case, offers
from cases_discrete import DISCRETE
from cases_multivariate import MULTIVARIATE

N_DRAWS = 3000
MAX_Z = 5.0  # a two-sided false alarm of 6e-7 each
WITH_SLOPES, WITHOUT_SLOPES = ("has_rsample", "mean", "variance"), ("moments", "slopes")
EVERY = CONTINUOUS + DISCRETE + MULTIVARIATE


def having(*members: str, without: tuple[str, ...] = ()) -> Any:
    """Parametrize a test with the cases whose distribution has these members, and these properties."""
    cases = [case for case in EVERY if not set(without) & set(case.without) and all(offers(case.build(), m) for m in members)]
    return pytest.mark.parametrize("case", cases, ids=lambda case: case.name)


def single_precision(p: Any) -> Any:
    """Parameters in float32; integers as they are."""
    p = np.asarray(p)
    return p.astype(np.float32) if p.dtype.kind == "f" else p


@functools.cache
def drawn(case: Case) -> dict[str, Any]:
    """Draws with their densities, and derivatives of draws and of moments by every parameter, in one program."""
    params = {name: single_precision(p) for name, p in case.params.items()}
    floats = {name: p for name, p in params.items() if p.dtype == np.float32}
    key = jax.random.key(zlib.crc32(case.name.encode()) + 1)
    d = case.make(**params, **case.static)
    has_entropy = offers(d, "entropy")
    has_slopes = not set(WITHOUT_SLOPES) & set(case.without) and all(offers(d, m) for m in WITH_SLOPES)

    def make(floats: dict[str, Any]) -> Any:
        return case.make(**{**params, **floats}, **case.static)

    def draw(floats: dict[str, Any]) -> Any:
        return make(floats).sample(key, (N_DRAWS,))

    def moments(floats: dict[str, Any]) -> Any:
        d = make(floats)
        return d.mean, d.variance + d.mean**2

    @jax.jit
    def run(floats: dict[str, Any]) -> dict[str, Any]:
        d, x = make(floats), draw(floats)
        out = {"log_prob": d.log_prob(x)}
        if has_entropy:
            out["entropy"] = d.entropy()
        if has_slopes:
            out["x"], out["slopes"], out["of_moments"] = x, jax.jacfwd(draw)(floats), jax.jacfwd(moments)(floats)
        return out

    return jax.tree.map(np.asarray, run(floats))


def z_scores(samples: np.ndarray, expected: Any) -> np.ndarray:
    """Of the means over the first axis, with an allowance for the rounding of single precision."""
    samples = samples.astype(np.float64)
    error = samples.std(0) / N_DRAWS**0.5
    allowance = 2e-5 * np.maximum(np.abs(samples).mean(0), 1e-3)
    return np.abs(samples.mean(0) - expected) / np.hypot(error, allowance)


@having("entropy")
def test_entropy_is_the_mean_of_minus_the_log_density(case: Case) -> None:
    out = drawn(case)
    assert (z_scores(-out["log_prob"], out["entropy"]) < MAX_Z).all()


@having(*WITH_SLOPES, without=WITHOUT_SLOPES)
def test_derivatives_of_draws_have_the_means_of_derivatives_of_moments(case: Case) -> None:
    """`d E x / dp = E dx/dp` and `d E x^2 / dp = E 2 x dx/dp`, for every entry of every parameter."""
    out = drawn(case)
    first, second = out["of_moments"]
    for name, slopes in out["slopes"].items():
        assert np.isfinite(slopes).all()
        x = out["x"].reshape(out["x"].shape + (1,) * (slopes.ndim - out["x"].ndim))
        assert (z_scores(slopes, first[name]) < MAX_Z).all(), name
        assert (z_scores(2.0 * x * slopes, second[name]) < MAX_Z).all(), name


def test_the_tables_name_what_does_not_hold() -> None:
    """Every reason for leaving out a property is given in words."""
    assert all(reason.strip() for case in EVERY for reason in case.without.values())
