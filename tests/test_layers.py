"""What import-linter cannot see: where the database may be touched, and what the engine may not know.

`import-linter` (`make imports`) holds the layers themselves; see `[tool.importlinter]` in pyproject.toml.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "django_durable"

# The layers that own the database: every statement and every table definition stands there.
DATABASE_OWNERS = ("store/", "models/", "migrations/", "testing/")

# What else may import from `django.db`, name by name, and why. Nothing here may issue a statement.
DATABASE_ALLOWED: dict[str, dict[str, str]] = {}

# Ways to it without an import: through a model, or through a name that another module imported.
MANAGERS = {"objects", "_default_manager", "_base_manager"}
DATABASE_CALLS = ("transaction.atomic", "transaction.on_commit", "connection.cursor")

# Standard library that the engine may not know: time, chance, concurrency, logs, and the world outside.
ENGINE_FORBIDDEN = {
    "concurrent",
    "io",
    "logging",
    "multiprocessing",
    "os",
    "pathlib",
    "queue",
    "random",
    "sched",
    "secrets",
    "select",
    "selectors",
    "signal",
    "socket",
    "subprocess",
    "tempfile",
    "threading",
    "time",
    "warnings",
}
# `Random` is a generator that the caller seeds; the module's own functions share a generator that nobody seeds.
# A pure path touches no disk. Compiling generated code says once more what Python warns of in an author's own.
# The hooks are those of one thread; the loop sets its own while it runs, as every event loop does.
ENGINE_ALLOWED_NAMES = {
    ("pathlib", "PurePath"),
    ("random", "Random"),
    ("sys", "get_asyncgen_hooks"),
    ("sys", "set_asyncgen_hooks"),
    ("warnings", "catch_warnings"),
    ("warnings", "simplefilter"),
}
AMBIENT_CALLS = {
    "datetime": {"now", "today", "utcnow"},
    "date": {"today"},
    "uuid": {"uuid1", "uuid4", "uuid6", "uuid7"},
}
ASYNCIO_OWNERS = {"engine/loop.py", "engine/unordered.py"} | {
    f"engine/checkpointed/{name}.py" for name in ("awaiting", "borrowed", "futures", "tasks")
}

Finding = tuple[int, str]


def modules(folder: Path) -> list[str]:
    return sorted(path.relative_to(PACKAGE).as_posix() for path in folder.rglob("*.py"))


def parsed(module: str) -> ast.Module:
    return ast.parse((PACKAGE / module).read_text(), filename=module)


def imports(tree: ast.AST) -> Iterator[tuple[int, str, str | None]]:
    """Yield (line, module, name) of each absolute import; the name is `None` for `import module`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name, None) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield from ((node.lineno, node.module or "", alias.name) for alias in node.names)


def without_type_checking(tree: ast.Module) -> ast.Module:
    """Drop `if TYPE_CHECKING:` bodies: what stands there does not run."""

    class Drop(ast.NodeTransformer):
        def visit_If(self, node: ast.If) -> ast.AST:
            if isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
                node.body = [ast.Pass()]
            self.generic_visit(node)
            return node

    return Drop().visit(tree)


def database_uses(tree: ast.Module, allowed: set[str]) -> Iterator[Finding]:
    for line, module, name in imports(tree):
        whole = f"{module}.{name}" if name else module
        if (module == "django.db" or whole.startswith("django.db")) and name not in allowed:
            yield line, f"imports {whole}"
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and node.attr in MANAGERS:
            yield node.lineno, f"uses .{node.attr}"
        elif isinstance(node, ast.Attribute) and ast.unparse(node).endswith(DATABASE_CALLS):
            yield node.lineno, f"uses {ast.unparse(node)}"


def ambient_uses(tree: ast.Module, *, asyncio_allowed: bool) -> Iterator[Finding]:
    for line, module, name in imports(tree):
        top = module.partition(".")[0]
        if top not in sys.stdlib_module_names:
            yield line, f"imports {module}, which is not in the standard library"
        elif top == "asyncio" and not asyncio_allowed:
            yield line, "imports asyncio"
        elif top in ENGINE_FORBIDDEN and (module, name) not in ENGINE_ALLOWED_NAMES:
            yield line, f"imports {module}"
        elif name in AMBIENT_CALLS.get(module, ()):
            yield line, f"imports {module}.{name}"
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Attribute)
            and isinstance(node.value, ast.Name)
            and node.attr in AMBIENT_CALLS.get(node.value.id, ())
        ):
            yield node.lineno, f"uses {node.value.id}.{node.attr}"


# Who reads what is stored without the REDACT hook, and why; nobody else of the faces does.
FACES = ("admin/", "api/", "websockets/", "management/")
UNREDACTED = {"management/commands/durable_export.py": "writes it where that was asked for"}


def unredacted_reads(tree: ast.Module) -> Iterator[Finding]:
    """Yield each import of a client other than `client.viewing.client`, and of what reads payloads below it."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.level:
            names = {alias.name for alias in node.names}
            if node.module == "client" and "client" in names:
                yield node.lineno, "imports client.client"
            elif node.module == "store" and names & {"queries", "keyvalues", "changes", "insight"}:
                yield node.lineno, f"imports {', '.join(sorted(names))} of the store"


# Where any error of somebody else's code is caught, and what becomes of it; see decision 42.
BROAD_EXCEPTS = {
    "checks.py": "a codec of the project's, tried by its check: a check message",
    "codec/named.py": "a codec of the project's: CodecError",
    "durable/runtime.py": "the program that it runs: stored as its error and raised again",
    "engine/checkpoint/frame.py": "the frame's own code: the frame has ended, and it is raised again",
    "engine/checkpoint/helpers.py": "what is thrown into a loaded frame: passed on to what it waits for",
    "engine/failures.py": "str() of an author's error: a note",
    "engine/futures.py": "constructors of an author's types: the error of the future",
    "engine/driving.py": "what a generator waits for: thrown into it; its cleanup when it is dropped: dropped",
    "redaction/hook.py": "the REDACT hook: what it was to hide is withheld",
    "testing/": "code under test",
    "worker/executor.py": "an attempt of an activity: its failure",
    "worker/partials.py": "what storing partial results raises: given to the attempt, and raised again",
    "worker/stepfinder.py": "a replay outside a turn: a turn, which blocks the instance",
    "worker/turns.py": "the engine's advance: the instance is blocked, and nobody else",
}


def broad_excepts(tree: ast.Module) -> Iterator[Finding]:
    for node in ast.walk(tree):
        if isinstance(node, ast.ExceptHandler):
            caught = "" if node.type is None else ast.unparse(node.type)
            if caught in ("", "Exception", "BaseException"):
                yield node.lineno, f"catches {caught or 'everything'}"


def report(module: str, found: Iterator[Finding]) -> list[str]:
    return [f"django_durable/{module}:{line} {what}" for line, what in sorted(found)]


@pytest.mark.parametrize("module", [name for name in modules(PACKAGE) if not name.startswith(DATABASE_OWNERS)])
def test_only_the_store_and_the_models_touch_the_database(module: str) -> None:
    assert report(module, database_uses(parsed(module), set(DATABASE_ALLOWED.get(module, ())))) == []


@pytest.mark.parametrize("module", modules(PACKAGE / "engine"))
def test_the_engine_knows_no_clock_no_chance_no_threads_no_logs_and_no_django(module: str) -> None:
    found = ambient_uses(without_type_checking(parsed(module)), asyncio_allowed=module in ASYNCIO_OWNERS)

    assert report(module, found) == []


def test_the_faces_read_what_is_stored_through_the_hook() -> None:
    found = {name: report(name, unredacted_reads(parsed(name))) for name in modules(PACKAGE) if name.startswith(FACES)}

    assert len(found) > 40
    assert {name for name, lines in found.items() if lines} == set(UNREDACTED)


def test_any_error_is_caught_only_where_somebody_elses_code_is_called() -> None:
    places = {module for module in modules(PACKAGE) if list(broad_excepts(parsed(module)))}
    listed = {place for place in BROAD_EXCEPTS if any(module.startswith(place) for module in places)}

    assert sorted(module for module in places if not module.startswith(tuple(BROAD_EXCEPTS))) == []
    assert listed == set(BROAD_EXCEPTS)


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("from ..client import Client, client", ["imports client.client"]),
        ("from ..store import insight", ["imports insight of the store"]),
        ("from ..client.viewing import client", []),
        ("from ..store.insight import Excerpt", []),
    ],
)
def test_a_read_without_the_hook_is_found(source: str, expected: list[str]) -> None:
    assert [what for _, what in unredacted_reads(ast.parse(source))] == expected


def test_every_allowance_is_still_needed() -> None:
    for module, names in DATABASE_ALLOWED.items():
        imported = {name for _, source, name in imports(parsed(module)) if source.startswith("django.db")}
        assert set(names) <= imported, f"{module} no longer imports all of {sorted(names)}"


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("import django.db", "imports django.db"),
        ("from django import db", "imports django.db"),
        ("from django.db import transaction", "imports django.db.transaction"),
        ("from django.db.models import Q", "imports django.db.models.Q"),
        ("def f():\n    from django.db import connections", "imports django.db.connections"),
        ("Instance.objects.all()", "uses .objects"),
        ("with transaction.atomic(): pass", "uses transaction.atomic"),
        ("self.connection.cursor()", "uses self.connection.cursor"),
    ],
)
def test_a_use_of_the_database_is_found(source: str, expected: str) -> None:
    assert [what for _, what in database_uses(ast.parse(source), set())] == [expected]


def test_an_attribute_that_only_shares_its_name_is_let_through() -> None:
    assert list(database_uses(ast.parse("if activity.atomic and page.cursor: pass"), set())) == []


def test_only_the_allowed_names_are_let_through() -> None:
    source = "from django.db import DatabaseError, connection"

    assert [what for _, what in database_uses(ast.parse(source), {"DatabaseError"})] == ["imports django.db.connection"]


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("import time", "imports time"),
        ("from random import random", "imports random"),
        ("import random", "imports random"),
        ("import logging.config", "imports logging.config"),
        ("from uuid import uuid4", "imports uuid.uuid4"),
        ("import asyncio.events", "imports asyncio"),
        ("from django.utils import timezone", "imports django.utils, which is not in the standard library"),
        ("datetime.now(UTC)", "uses datetime.now"),
        ("uuid.uuid4()", "uses uuid.uuid4"),
    ],
)
def test_an_ambient_use_is_found(source: str, expected: str) -> None:
    tree = without_type_checking(ast.parse(source))

    assert [what for _, what in ambient_uses(tree, asyncio_allowed=False)] == [expected]


@pytest.mark.parametrize(
    "source",
    [
        "from random import Random",
        "from . import time",
        "import uuid\nuuid.UUID(int=1)",
        "if TYPE_CHECKING:\n    import asyncio",
    ],
)
def test_what_depends_on_nothing_outside_is_let_through(source: str) -> None:
    assert list(ambient_uses(without_type_checking(ast.parse(source)), asyncio_allowed=False)) == []
