"""The Python blocks of the documentation run, and print what stands below them, but for numbers."""

import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "docs"))
from blocks import BLOCK, run_page, without_numbers  # noqa: E402

PAGES = [
    path
    for path in (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")))
    if path.name != "architecture.md" and BLOCK.search(path.read_text())
]


@pytest.mark.filterwarnings("ignore:Out-of-support values")  # a page shows what such data lead to
@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_blocks_run_and_print_what_is_shown(path):
    for block, output in run_page(path):
        assert without_numbers(output) == without_numbers(block["output"] or ""), block["code"]


def test_the_readme_gives_the_commands_of_the_checks():
    readme = (ROOT / "README.md").read_text()
    assert "-m pytest -n 2\n" in readme
    assert '"$python" -m pytest -n 2\n' in (ROOT / ".ci" / "run").read_text()
