"""Run the Python blocks of a page, in order and in one namespace, and compare or write the output shown below them.

A block that starts with ```` ```python ```` is run. What it prints stands in a ```` ```text ```` block right below.

    python docs/blocks.py docs/tutorial.md       # run the page and write what its blocks print into it
"""

import contextlib
import io
import re
import sys
from pathlib import Path
from typing import Any

BLOCK = re.compile(r"^```python\n(?P<code>.*?)^```\n(?:\n```text\n(?P<output>.*?)^```\n)?", re.MULTILINE | re.DOTALL)
ADVICE = re.compile(r"^(  Divergent trajectories|Low E-BFMI|Trees at maximum depth).*\n", re.MULTILINE)
NUMBER = re.compile(r"[-+]?\d+(\.\d+)?(e[-+]?\d+)?")


def run_page(path: Path) -> list[tuple[re.Match[str], str]]:
    """The blocks of a page, and what each of them prints."""
    text = path.read_text()
    namespace: dict[str, Any] = {"__name__": path.stem}
    results = []
    for block in BLOCK.finditer(text):
        lines_before = text.count("\n", 0, block.start("code"))
        code = compile("\n" * lines_before + block["code"], str(path), "exec")
        with contextlib.redirect_stdout(io.StringIO()) as printed:
            exec(code, namespace)
        results.append((block, _trimmed(printed.getvalue())))
    return results


def without_numbers(output: str) -> str:
    """Output to be compared: numbers depend on the machine, and with them the widths of columns and what is advised."""
    return " ".join(NUMBER.sub("#", ADVICE.sub("", output)).split())


def write_outputs(path: Path) -> None:
    """Write what the blocks of a page print below them."""
    text = path.read_text()
    for block, output in reversed(run_page(path)):
        below = f"\n```text\n{output}```\n" if output else ""
        text = f"{text[: block.start()]}```python\n{block['code']}```\n{below}{text[block.end() :]}"
    path.write_text(text)


def _trimmed(output: str) -> str:
    lines = [line.rstrip() for line in output.strip("\n").splitlines()]
    return "".join(f"{line}\n" for line in lines)


if __name__ == "__main__":
    for name in sys.argv[1:]:
        write_outputs(Path(name))
