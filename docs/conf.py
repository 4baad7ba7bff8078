"""Settings of the documentation."""

import sys
from collections import namedtuple
from pathlib import Path
from typing import Any

import ppl
from ppl.distributions import Distribution
from ppl.distributions.constraints import Constraint
from ppl.distributions.transforms import Transform
from ppl.distributions.util import lazy_property

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))
import families  # noqa: E402

project = "ppl"
author = "the authors of ppl"
version = release = ppl.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.viewcode"]
exclude_patterns = ["_build"]
default_role = "code"
html_theme = "furo"
html_title = "ppl"

myst_heading_anchors = 3
autodoc_member_order = "bysource"
autodoc_typehints = "none"
autodoc_preserve_defaults = True
python_maximum_signature_line_length = 100
napoleon_use_rtype = False
napoleon_use_ivar = True

FAMILIES = (Distribution, Constraint, Transform)
FIELD = type(namedtuple("Pair", "first second").first)


def skip_inherited_contract(app: Any, what: str, name: str, obj: Any, skip: bool, options: Any) -> bool | None:
    """Leave out what a family has by its contract, which the base class documents, and other forms of its parameters.

    Fields of named tuples are described by the class.
    """
    if isinstance(obj, lazy_property | FIELD):
        return True
    owner = getattr(obj, "__qualname__", getattr(getattr(obj, "fget", None), "__qualname__", "")).rpartition(".")[0]
    bases = {family.__name__ for family in FAMILIES}
    if what == "class" and owner and owner not in bases and any(hasattr(family, name) for family in FAMILIES):
        return True
    return None


def setup(app: Any) -> None:
    """Connect the hook, and write the page of all families before pages are looked for."""
    app.connect("autodoc-skip-member", skip_inherited_contract)
    families.write(HERE / "reference" / "generated")
