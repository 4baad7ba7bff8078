"""Every malformed use of the table is refused, with the words that help, and before anything is compiled."""

import threading
import warnings
from typing import Any

import errors
import errors_distributions
import errors_ensembles
import errors_gibbs
import errors_inference
import jax.monitoring
import pytest
from errors import Case

from ppl.primitives import _PYRO_STACK

CASES: list[Case] = [
    *errors.CASES,
    *errors_distributions.CASES,
    *errors_inference.CASES,
    *errors_ensembles.CASES,
    *errors_gibbs.CASES,
]
lowered: list[str] = []


def _listen(event: str, duration: float, **_: Any) -> None:
    """Note every program that the test's own thread hands to the compiler, or to its cache on disk."""
    if event.endswith("jaxpr_to_mlir_module_duration") and threading.current_thread() is threading.main_thread():
        lowered.append(event)


jax.monitoring.register_event_duration_secs_listener(_listen)


def message(error: BaseException) -> str:
    """What a user reads: the message and the notes below it."""
    return "\n".join([str(error), *getattr(error, "__notes__", ())])


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_message(case: Case) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        before = len(lowered)
        with pytest.raises(case.error) as caught:
            case.use()
    found = message(caught.value)
    missing = [word for word in case.words if word not in found]
    assert not missing, f"the message does not hold {missing}:\n{found}"
    if not case.compiles:
        assert len(lowered) == before, f"{len(lowered) - before} programs were compiled before the message:\n{found}"
    assert len(_PYRO_STACK) == 0


def test_names_are_unique() -> None:
    names = [case.name for case in CASES]
    assert len(set(names)) == len(names)


def test_the_table_is_large_enough() -> None:
    assert len(CASES) >= 120
    assert all(case.words for case in CASES)
