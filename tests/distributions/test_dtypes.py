"""Parameters and values of every mixture of float widths, in sessions of either width; everything is traced, nothing computed."""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np
import pytest
from case import Case
from jax import random
from table import EVERY, cases

import ppl.distributions as dist

# widths of parameters (None: Python numbers) and of the value
MIXTURES = [(None, np.float32), (np.float32, np.float32), (np.float64, np.float32), (np.float32, np.float64)]


def is_float(x: Any) -> bool:
    return isinstance(x, float) or (isinstance(x, np.ndarray) and x.dtype.kind == "f")


def of_width(dtype: Any) -> Callable[[Any], Any]:
    """What makes arrays of this width of the floats among parameters; None leaves Python numbers as they are."""

    def convert(x: Any) -> Any:
        if not is_float(x) or (dtype is None and isinstance(x, float)):
            return x
        return np.asarray(x, np.float32 if dtype is None else dtype)

    return convert


def abstract(d: Any, dtype: Any) -> Any:
    """A value of the distribution, without numbers."""
    return jax.ShapeDtypeStruct(d.shape(), dtype)


OF_VALUES = {
    "log_prob": lambda d, x: d.log_prob(x),
    "slope": lambda d, x: jax.grad(lambda x: d.log_prob(x).sum())(x),
    "cdf": lambda d, x: d.cdf(x),
    "icdf": lambda d, x: d.icdf(x),
}
OF_ITSELF = {
    "mean": lambda d, x: d.mean,
    "variance": lambda d, x: d.variance,
    "entropy": lambda d, x: d.entropy(),
    "draw": lambda d, x: d.sample(random.key(0)),
}


def members(d: Any, value: Any, asked: dict[str, Callable[[Any, Any], Any]]) -> dict[str, Any]:
    """The shapes and types of what a distribution says about a value and about itself; what it does not define is left out."""
    found = {}
    for name, ask in asked.items():
        try:
            found[name] = jax.eval_shape(lambda x, ask=ask: ask(d, x), value)
        except NotImplementedError:
            continue
    return found


@cases(EVERY)
def test_widths_mix_in_a_session_of_float64(case: Case) -> None:
    with jax.enable_x64(True):
        for dtype, value_dtype in MIXTURES:
            d = case.build(of_width(dtype), validate_args=False)
            again = value_dtype == np.float64  # the second distribution of float32
            found = members(d, abstract(d, value_dtype), OF_VALUES if again else OF_VALUES | OF_ITSELF)
            assert "log_prob" in found
            if dtype == value_dtype == np.float32 and any(map(is_float, case.params.values())):
                wide = {member for member, x in found.items() if x.dtype == np.float64}
                assert not wide, f"{case.name} of float32 parameters gives float64: {wide}"


@cases(EVERY)
def test_strict_promotion_and_ranks(case: Case) -> None:
    """In a session of float32 only the slope: the rest is in `test_shapes_and_widths_under_strict_promotion`."""
    for x64 in (False, True):
        dtype = np.float64 if x64 else np.float32
        with jax.enable_x64(x64), jax.numpy_dtype_promotion("strict"), jax.numpy_rank_promotion("raise"):
            d = case.build(of_width(dtype), validate_args=False)
            found = members(d, abstract(d, dtype), OF_VALUES | OF_ITSELF if x64 else {"slope": OF_VALUES["slope"]})
            assert found["slope"].dtype == dtype
            assert not x64 or found["log_prob"].dtype == dtype


@pytest.mark.parametrize("make", [dist.Normal, dist.Laplace, dist.Logistic, dist.Cauchy, dist.HalfNormal, dist.Exponential])
def test_python_numbers_take_the_width_of_the_value(make: Any) -> None:
    with jax.enable_x64(True):
        value = jax.ShapeDtypeStruct((2,), np.float32)
        assert jax.eval_shape(make().log_prob, value).dtype == np.float32
