"""Every malformed use of the table is refused, with the words that help, and before anything is compiled."""

import warnings
from typing import Any

import errors
import errors_distributions
import errors_inference
import jax.monitoring
import pytest
from errors import Case

from ppl.primitives import _PYRO_STACK

CASES = [*errors.CASES, *errors_distributions.CASES, *errors_inference.CASES]
compiled: list[str] = []


def _listen(event: str, duration: float, **_: Any) -> None:
    if event.endswith("backend_compile_duration"):
        compiled.append(event)


jax.monitoring.register_event_duration_secs_listener(_listen)


def message(error: BaseException) -> str:
    """What a user reads: the message and the notes below it."""
    return "\n".join([str(error), *getattr(error, "__notes__", ())])


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_message(case: Case) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        before = len(compiled)
        with pytest.raises(case.error) as caught:
            case.use()
    found = message(caught.value)
    missing = [word for word in case.words if word not in found]
    assert not missing, f"the message does not hold {missing}:\n{found}"
    if not case.compiles:
        assert len(compiled) == before, f"{len(compiled) - before} programs were compiled before the message:\n{found}"
    assert len(_PYRO_STACK) == 0


def test_names_are_unique() -> None:
    names = [case.name for case in CASES]
    assert len(set(names)) == len(names)
