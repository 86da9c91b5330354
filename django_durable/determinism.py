"""Finds calls in orchestration code whose answer a replay could not repeat.

It reads the source of one function: what helpers do that it calls is not seen. A function given to `ctx.run` is a local
step, whose result is recorded, and may do anything. `# durable: ignore` on a line silences it.
"""

from __future__ import annotations

import ast
import inspect
import linecache
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

SILENCE = "# durable: ignore"

CLOCK = "use ctx.now, or yield ctx.utc_now()"
RANDOM = "use ctx.random"
GUID = "use yield ctx.new_guid()"
SLEEP = "use ctx.schedule_timer(...), or await asyncio.sleep(...)"
ACTIVITY = "move it into an activity"

FORBIDDEN: dict[str, str] = {
    "time.sleep": SLEEP,
    "time": CLOCK,
    "datetime.datetime.now": CLOCK,
    "datetime.datetime.utcnow": CLOCK,
    "datetime.datetime.today": CLOCK,
    "datetime.date.today": CLOCK,
    "django.utils.timezone.now": CLOCK,
    "django.utils.timezone.localtime": CLOCK,
    "django.utils.timezone.localdate": CLOCK,
    "random": RANDOM,
    "secrets": RANDOM,
    "numpy.random": RANDOM,
    "os.urandom": RANDOM,
    "uuid.uuid1": GUID,
    "uuid.uuid4": GUID,
    "uuid.uuid6": GUID,
    "uuid.uuid7": GUID,
    "django.utils.crypto.get_random_string": RANDOM,
    "asyncio.to_thread": ACTIVITY,
    "asyncio.open_connection": ACTIVITY,
    "asyncio.create_subprocess_exec": ACTIVITY,
    "asyncio.create_subprocess_shell": ACTIVITY,
    "asgiref.sync.sync_to_async": ACTIVITY,
    "asgiref.sync.async_to_sync": ACTIVITY,
    "threading": ACTIVITY,
    "multiprocessing": ACTIVITY,
    "concurrent.futures": ACTIVITY,
    "subprocess": ACTIVITY,
    "os.system": ACTIVITY,
    "os.popen": ACTIVITY,
    "shutil": ACTIVITY,
    "socket": ACTIVITY,
    "smtplib": ACTIVITY,
    "http.client": ACTIVITY,
    "urllib.request": ACTIVITY,
    "requests": ACTIVITY,
    "httpx": ACTIVITY,
    "aiohttp": ACTIVITY,
    "boto3": ACTIVITY,
    "django.core.mail": ACTIVITY,
    "django.core.cache": ACTIVITY,
    "django.db": ACTIVITY,
    "django.shortcuts": ACTIVITY,
    "builtins.open": ACTIVITY,
    "builtins.input": ACTIVITY,
}
"""Dotted path of a function, or of a module whose functions are all meant, and what to do instead."""

ALLOWED = frozenset({"time.strftime", "time.strptime", "time.gmtime", "time.struct_time", "django.db.models"})
_MANAGERS = frozenset({"objects", "_default_manager", "_base_manager"})
_METHODS = frozenset({"run_in_executor"})
_STEPS = frozenset({"run"})
_BUILTINS = frozenset({"open", "input"})


@dataclass(frozen=True, slots=True)
class Finding:
    """One call that a replay could not repeat."""

    path: str
    line: int
    call: str
    instead: str


def findings(function: Callable[..., Any]) -> list[Finding]:
    """Return the suspect calls of an orchestration function in source order; none where there is no source."""
    function = inspect.unwrap(function)
    path = inspect.getsourcefile(function)
    if path is None:
        return []
    tree = _parsed("".join(linecache.getlines(path)))
    body = _definition(tree, function)
    if tree is None or body is None:
        return []
    visitor = _Visitor(_imports(tree) | _imports(body), body)
    found = [Finding(path, line, call, instead) for line, call, instead in visitor.run()]
    return [each for each in found if SILENCE not in linecache.getline(path, each.line)]


@lru_cache(maxsize=8)
def _parsed(source: str) -> ast.Module | None:
    try:
        return ast.parse(source)
    except SyntaxError:
        return None


def _definition(tree: ast.Module | None, function: Callable[..., Any]) -> ast.FunctionDef | ast.AsyncFunctionDef | None:
    line = function.__code__.co_firstlineno
    for node in ast.walk(tree) if tree is not None else ():
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) or node.name != function.__name__:
            continue
        if line in (node.lineno, *(decorator.lineno for decorator in node.decorator_list)):
            return node
    return None


def _imports(scope: ast.AST) -> dict[str, str]:
    """Return the names that imports bind, with the dotted path each stands for; those in functions only of `scope`."""
    found: dict[str, str] = {}
    for node in _within(scope):
        if isinstance(node, ast.Import):
            for alias in node.names:
                path = alias.name if alias.asname else alias.name.partition(".")[0]
                found[alias.asname or path] = path
        elif isinstance(node, ast.ImportFrom) and not node.level:
            for alias in node.names:
                found[alias.asname or alias.name] = f"{node.module}.{alias.name}"
    return found


def _within(scope: ast.AST) -> Iterator[ast.AST]:
    for child in ast.iter_child_nodes(scope):
        yield child
        if not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda | ast.ClassDef):
            yield from _within(child)


class _Visitor:
    """Walks one function. `names` maps what imports bound; names that the function itself binds hide them."""

    def __init__(self, names: dict[str, str], function: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        self.function = function
        self.local = _bound(function)
        self.names = {name: path for name, path in names.items() if name not in self.local}
        self.steps = _step_functions(function)

    def run(self) -> Iterator[tuple[int, str, str]]:
        for statement in self.function.body:
            yield from self._visit(statement)

    def _visit(self, node: ast.AST) -> Iterator[tuple[int, str, str]]:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name in self.steps:
            return
        if isinstance(node, ast.Call):
            if (found := self._suspect(node)) is not None:
                yield (node.lineno, *found)
            elif (manager := _manager(node.func)) is not None:
                yield node.lineno, manager, ACTIVITY
        for child in ast.iter_child_nodes(node):
            if not (isinstance(node, ast.Call) and _is_step(node) and isinstance(child, ast.Lambda)):
                yield from self._visit(child)

    def _suspect(self, call: ast.Call) -> tuple[str, str] | None:
        path = self._path(call.func)
        if path is None:
            is_method = isinstance(call.func, ast.Attribute) and call.func.attr in _METHODS
            return (f"{ast.unparse(call.func)}()", ACTIVITY) if is_method else None
        parts = path.split(".")
        prefixes = [".".join(parts[:count]) for count in range(len(parts), 0, -1)]
        if any(prefix in ALLOWED for prefix in prefixes):
            return None
        return next(((f"{path}()", FORBIDDEN[prefix]) for prefix in prefixes if prefix in FORBIDDEN), None)

    def _path(self, node: ast.expr) -> str | None:
        """Return the dotted path that an expression stands for, `None` where it starts at no import."""
        if isinstance(node, ast.Attribute):
            inner = self._path(node.value)
            return None if inner is None else f"{inner}.{node.attr}"
        if not isinstance(node, ast.Name):
            return None
        if node.id in _BUILTINS and node.id not in self.names and node.id not in self.local:
            return f"builtins.{node.id}"
        return self.names.get(node.id)


def _manager(node: ast.expr) -> str | None:
    """Return `Order.objects` for a call through a model's manager."""
    while isinstance(node, ast.Attribute):
        if node.attr in _MANAGERS:
            return ast.unparse(node)
        node = node.value
    return None


def _is_step(call: ast.Call) -> bool:
    return isinstance(call.func, ast.Attribute) and call.func.attr in _STEPS


def _step_functions(function: ast.AST) -> set[str]:
    """Return the names of nested functions that are given to `ctx.run`."""
    calls = [node for node in ast.walk(function) if isinstance(node, ast.Call) and _is_step(node) and node.args]
    return {call.args[0].id for call in calls if isinstance(call.args[0], ast.Name)}


def _bound(function: ast.FunctionDef | ast.AsyncFunctionDef) -> set[str]:
    """Return the parameters of a function and the names it assigns."""
    given = function.args
    names = {each.arg for each in (*given.posonlyargs, *given.args, *given.kwonlyargs)}
    names |= {each.arg for each in (given.vararg, given.kwarg) if each is not None}
    stored = (node for node in ast.walk(function) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store))
    return names | {node.id for node in stored}
