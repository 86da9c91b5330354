"""What is stored is data: the package has no way to run it, and reads no format that does.

See `docs/explanation/threat-model.md`.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Collection, Iterator

import pytest

from .test_layers import PACKAGE, Finding, imports, modules, parsed, report

# Formats whose readers make any object, or run code, on behalf of what they read.
READERS = {
    "pickle",
    "_pickle",
    "cPickle",
    "marshal",
    "shelve",
    "dbm",
    "dill",
    "cloudpickle",
    "jsonpickle",
    "yaml",
    "code",
}
RUNNERS = {"eval", "exec", "compile", "__import__", "execfile"}

# Where source code is compiled and run: that of functions of the project, as their modules have it. Names of stored
# functions are looked up among those, and stored code is never run.
COMPILER = "engine/checkpoint/"

# Who imports by name, and whose names these are; of what is stored, nothing but Python's own library is imported.
IMPORT_BY_NAME = {"import_module", "import_string"}
NAMES_OF_OTHERS = {
    "__init__.py": "its own, late",
    "worker/__init__.py": "its own, late",
    "testing/__init__.py": "its own, late",
    "engine/checkpoint/kinds/named.py": "of modules of Python's own library that a stored function had imported",
    "apps.py": "of modules of the installed apps",
    "checks.py": "of settings",
    "permissions.py": "of a setting",
    "redaction/__init__.py": "of a setting",
    "codec/named.py": "of a setting",
    "live/viewers.py": "of a setting",
}


def readers(tree: ast.Module) -> Iterator[Finding]:
    for line, module, _ in imports(tree):
        if module.partition(".")[0] in READERS:
            yield line, f"imports {module}"


def runners(tree: ast.Module) -> Iterator[Finding]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and node.id in RUNNERS:
            yield node.lineno, f"uses {node.id}"
        elif isinstance(node, ast.Attribute) and node.attr in RUNNERS and ast.unparse(node.value) == "builtins":
            yield node.lineno, f"uses builtins.{node.attr}"
    for line, module, name in imports(tree):
        if module == "builtins" and name in RUNNERS:
            yield line, f"imports builtins.{name}"


def imports_by_name(tree: ast.Module) -> Iterator[Finding]:
    for line, module, name in imports(tree):
        if name in IMPORT_BY_NAME:
            yield line, f"imports {module}.{name}"
        elif name is None and module in ("importlib", "pkgutil", "runpy"):
            yield line, f"imports {module}"


def everywhere(find: Callable[[ast.Module], Iterator[Finding]], *, but: Collection[str] = ()) -> list[str]:
    """Return what there is in the package, outside of some folders and modules."""
    wanted = [name for name in modules(PACKAGE) if not name.startswith(tuple(but))]
    assert len(wanted) > 100
    return [line for name in wanted for line in report(name, find(parsed(name)))]


def test_no_stored_data_is_read_as_objects() -> None:
    assert everywhere(readers) == []


def test_no_stored_data_is_run_as_code() -> None:
    assert everywhere(runners, but={COMPILER}) == []


def test_no_stored_name_is_imported() -> None:
    assert everywhere(imports_by_name, but=NAMES_OF_OTHERS) == []


@pytest.mark.parametrize(
    ("find", "source", "expected"),
    [
        (readers, "import pickle", "imports pickle"),
        (readers, "def f():\n    from yaml import load", "imports yaml"),
        (readers, "from shelve import open", "imports shelve"),
        (runners, "eval(data)", "uses eval"),
        (runners, "run = exec", "uses exec"),
        (runners, "builtins.eval(data)", "uses builtins.eval"),
        (runners, "from builtins import exec", "imports builtins.exec"),
        (imports_by_name, "from importlib import import_module", "imports importlib.import_module"),
        (imports_by_name, "import importlib", "imports importlib"),
    ],
)
def test_a_way_to_run_stored_data_is_found(
    find: Callable[[ast.Module], Iterator[Finding]], source: str, expected: str
) -> None:
    assert [what for _, what in find(ast.parse(source))] == [expected]


def test_what_only_shares_the_name_is_let_through() -> None:
    assert list(runners(ast.parse("re.compile(pattern)\nself.eval(data)"))) == []
