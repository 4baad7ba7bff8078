"""The layers of docs/architecture.md, and the sizes and habits of the code."""

import ast
import re
import sys
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "ppl"
CORE_DEPENDENCIES = {"jax", "jaxlib", "numpy", "opt_einsum", "tqdm"}  # opt_einsum is a dependency of jax
MAX_FILE_LINES, MAX_FUNCTION_LINES = 650, 80
Function = ast.FunctionDef | ast.AsyncFunctionDef


class Import(NamedTuple):
    """An import statement: what it names, and the functions around it."""

    target: str
    line: int
    is_inside_function: bool


class Layer(NamedTuple):
    modules: tuple[str, ...]
    may_import: frozenset[str]


def _module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


FILES = {_module_name(path): path for path in sorted(PACKAGE.rglob("*.py"))}


@cache
def _tree(module: str) -> ast.Module:
    return ast.parse(FILES[module].read_text(), filename=str(FILES[module]))


def _walk(node: ast.AST, is_inside_function: bool = False):
    """Every node below, but for those that only type checkers see, and whether a function is around it."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and ast.unparse(child.test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING"):
            continue
        yield child, is_inside_function
        yield from _walk(child, is_inside_function or isinstance(child, Function))


@cache
def _imports(module: str) -> tuple[Import, ...]:
    found = []
    for node, is_inside in _walk(_tree(module)):
        if isinstance(node, ast.Import):
            found += [Import(alias.name, node.lineno, is_inside) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module}:{node.lineno}: relative import"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
            found += [Import(name if name in FILES else str(node.module), node.lineno, is_inside) for name in names]
    return tuple(found)


def _own_imports(module: str) -> list[Import]:
    return [found for found in _imports(module) if found.target.split(".")[0] == "ppl"]


@cache
def _layers() -> dict[str, Layer]:
    """The table of docs/architecture.md."""
    rows = re.findall(r"^\| (\w+) \| (`[^|]*`) \|([^|]*)\|$", (ROOT / "docs" / "architecture.md").read_text(), re.MULTILINE)
    layers = {name: Layer(tuple(re.findall(r"`([\w.]+)`", modules)), _names(allowed)) for name, modules, allowed in rows}
    assert len(layers) >= 10
    assert all(layer.may_import <= layers.keys() for layer in layers.values())
    return layers


def _names(cell: str) -> frozenset[str]:
    return frozenset(name.strip() for name in cell.split(",") if name.strip())


def _layer_of(module: str) -> str:
    """The layer with the longest name that the module is or lies under; the package itself is no prefix."""
    matching = [
        (len(entry), name)
        for name, layer in _layers().items()
        for entry in layer.modules
        if module == entry or (entry != "ppl" and module.startswith(f"{entry}."))
    ]
    assert matching, f"{module} belongs to no layer of docs/architecture.md"
    return max(matching)[1]


def test_imports_point_downward():
    wrong = []
    for module in FILES:
        layer = _layer_of(module)
        for found in _own_imports(module):
            other = _layer_of(found.target)
            if other != layer and other not in _layers()[layer].may_import:
                wrong.append(f"{module}:{found.line} (layer {layer}) imports {found.target} (layer {other})")
    assert not wrong, wrong


def test_every_module_in_the_table_exists():
    named = {module for layer in _layers().values() for module in layer.modules}
    assert named <= FILES.keys(), named - FILES.keys()


def test_layers_form_no_cycle():
    TopologicalSorter({name: layer.may_import for name, layer in _layers().items()}).prepare()


def test_no_import_cycle():
    graph = {module: {found.target for found in _own_imports(module)} for module in FILES}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(" -> ".join(reversed(error.args[1])))


def test_nothing_imports_the_package_as_a_whole():
    wrong = [f"{module}:{found.line}" for module in FILES for found in _own_imports(module) if found.target == "ppl"]
    assert not wrong, wrong


def test_only_core_dependencies_are_imported_at_the_top():
    allowed = CORE_DEPENDENCIES | {"ppl"} | sys.stdlib_module_names
    wrong = [
        f"{module}:{found.line}: {found.target}"
        for module in FILES
        for found in _imports(module)
        if not found.is_inside_function and found.target.split(".")[0] not in allowed
    ]
    assert not wrong, wrong


def test_only_optional_packages_are_imported_inside_functions():
    forbidden = CORE_DEPENDENCIES | {"ppl"} | sys.stdlib_module_names
    wrong = [
        f"{module}:{found.line}: {found.target}"
        for module in FILES
        for found in _imports(module)
        if found.is_inside_function and found.target.split(".")[0] in forbidden
    ]
    assert not wrong, wrong


def _is_name(node: ast.stmt) -> bool:
    """Whether a statement is a docstring, an import, or a definition like `__all__`."""
    if isinstance(node, ast.Assign):
        return all(isinstance(target, ast.Name) and target.id.startswith("__") for target in node.targets)
    is_docstring = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    is_attribute = isinstance(node, ast.FunctionDef) and node.name == "__getattr__"
    return is_docstring or is_attribute or isinstance(node, ast.Import | ast.ImportFrom)


def test_package_files_hold_names_only():
    packages = [module for module, path in FILES.items() if path.name == "__init__.py"]
    wrong = [f"{module}:{node.lineno}" for module in packages for node in _tree(module).body if not _is_name(node)]
    assert not wrong, wrong


def test_files_are_short():
    lengths = {module: len(path.read_text().splitlines()) for module, path in FILES.items()}
    too_long = {module: length for module, length in lengths.items() if length > MAX_FILE_LINES}
    assert not too_long, too_long


def _code_lines(function: Function) -> int:
    """The lines of a function without its docstring."""
    docstring = ast.get_docstring(function, clean=False)
    return function.end_lineno - function.lineno + 1 - (len(docstring.splitlines()) if docstring else 0)


def _functions():
    for module in FILES:
        for node in ast.walk(_tree(module)):
            if isinstance(node, Function):
                yield module, node


def test_functions_are_short():
    too_long = {f"{m}.{f.name}": _code_lines(f) for m, f in _functions() if _code_lines(f) > MAX_FUNCTION_LINES}
    assert not too_long, too_long


def test_no_assert_on_what_users_pass():
    """An assert states an invariant: it names no parameter of a public function."""
    wrong = []
    for module, function in _functions():
        arguments = function.args
        every = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, arguments.vararg, arguments.kwarg]
        parameters = {argument.arg for argument in every if argument is not None} - {"self", "cls"}
        for node in ast.walk(function):
            if isinstance(node, ast.Assert) and (not function.name.startswith("_") or function.name == "__init__"):
                used = {name.id for name in ast.walk(node.test) if isinstance(name, ast.Name)}
                wrong += [f"{module}:{node.lineno}: {name}" for name in used & parameters]
    assert not wrong, wrong


def test_nothing_is_left_undone():
    marks = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b")
    wrong = [module for module, path in FILES.items() if marks.search(path.read_text())]
    assert not wrong, wrong
