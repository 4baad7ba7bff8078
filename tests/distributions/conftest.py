"""Settings under which whole files of tests run; a file asks for one by `pytestmark = pytest.mark.usefixtures(NAME)`."""

import os
from collections.abc import Iterator

import jax
import pytest


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the tests of one case of the table side by side: with `-n 2` they mostly share a worker, and its compiled programs."""

    def order(item: pytest.Item) -> str:
        case = item.callspec.params.get("case") if isinstance(item, pytest.Function) and hasattr(item, "callspec") else None
        return getattr(case, "name", "")

    here = [i for i, item in enumerate(items) if order(item) and item.path.parent.name == "distributions"]
    for i, item in zip(here, sorted((items[i] for i in here), key=order)):
        items[i] = item


@pytest.fixture(autouse=True)
def _few_optimisations() -> Iterator[None]:
    """Programs run once here, and compile in two thirds of the time; JAX_DISABLE_MOST_OPTIMIZATIONS set by hand is obeyed."""
    if "JAX_DISABLE_MOST_OPTIMIZATIONS" in os.environ:
        yield
        return
    before = jax.config.read("jax_disable_most_optimizations")
    jax.config.update("jax_disable_most_optimizations", True)
    yield
    jax.config.update("jax_disable_most_optimizations", before)


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
