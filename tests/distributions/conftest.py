"""Settings under which whole files of tests run; a file asks for one by `pytestmark = pytest.mark.usefixtures(NAME)`."""

from collections.abc import Iterator

import jax
import pytest


@pytest.fixture
def strict() -> Iterator[None]:
    """Nothing is promoted silently."""
    with jax.numpy_dtype_promotion("strict"), jax.numpy_rank_promotion("raise"):
        yield


@pytest.fixture
def float64_and_strict(request: pytest.FixtureRequest, strict: None) -> Iterator[None]:
    """Everything runs in float64 with strict promotions, except what is marked with `float32` in its name."""
    with jax.enable_x64("float32" not in request.node.name):
        yield
