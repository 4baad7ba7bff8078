"""The names of `ppl.contrib.funsor` are the main objects under another import path."""

from typing import Any

import pytest

import ppl
from ppl import handlers, infer
from ppl.contrib import funsor
from ppl.ops.indexing import Vindex
from ppl.util import format_shapes

MAIN = {
    "Vindex": Vindex,
    "config_enumerate": infer.config_enumerate,
    "enum": handlers.enum,
    "format_shapes": format_shapes,
    "infer_config": handlers.infer_config,
    "infer_discrete": infer.infer_discrete,
    "markov": handlers.markov,
    "plate": ppl.plate,
    "trace": handlers.trace,
}


@pytest.mark.parametrize(("name", "value"), MAIN.items())
def test_names_are_the_main_objects(name: str, value: Any) -> None:
    assert getattr(funsor, name) is value
    assert name in funsor.__all__
