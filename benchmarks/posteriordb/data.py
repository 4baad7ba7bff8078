"""Where the collection lies, and its files as arrays."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

ENVIRONMENT = "PPL_POSTERIORDB"

Data = Mapping[str, Any]


def find_directory(given: str | None = None) -> Path:
    """The collection: what is given, else the environment variable, else ``posteriordb`` beside the project.

    :raises FileNotFoundError: if there is none.
    """
    root = Path(__file__).resolve().parents[2]
    named = given or os.environ.get(ENVIRONMENT)
    places = [Path(named)] if named else [root / "posteriordb", root.parent / "posteriordb", root.parent / "shared" / "posteriordb"]
    for place in places:
        if (place / "data").is_dir():
            return place
    raise FileNotFoundError(
        f"no posteriordb collection at {', '.join(map(str, places))}; pass --data DIR or set {ENVIRONMENT} to its directory, "
        "which holds reference.json and data/"
    )


def load_data(directory: Path, name: str) -> Data:
    """The data set ``name``, its lists as arrays."""
    raw = json.loads((directory / "data" / f"{name}.json").read_text())
    return {key: np.asarray(value) if isinstance(value, list) else value for key, value in raw.items()}


def load_reference(directory: Path) -> dict[str, Any]:
    """Per posterior the name of its data set and, per parameter, the reference moments."""
    return json.loads((directory / "reference.json").read_text())
