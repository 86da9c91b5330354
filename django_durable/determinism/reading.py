"""Reads the syntax tree of a function, name by name: what a name stands for is what an import bound it to."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from . import tables

Function = ast.FunctionDef | ast.AsyncFunctionDef
Comprehension = ast.GeneratorExp | ast.ListComp | ast.SetComp | ast.DictComp


class Suspect(NamedTuple):
    """A place that a replay could not repeat."""

    line: int
    does: str
    instead: str


@dataclass(frozen=True, slots=True)
class Source:
    """What a module offers its functions: the names that imports bind, and its plain functions."""

    imports: dict[str, str]
    helpers: dict[str, Function]

    @classmethod
    def of(cls, tree: ast.Module) -> Source:
        helpers = {node.name: node for node in tree.body if isinstance(node, Function) and not node.decorator_list}
        return cls(imports_of(tree), helpers)


def imports_of(scope: ast.AST) -> dict[str, str]:
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
        if not isinstance(child, Function | ast.Lambda | ast.ClassDef):
            yield from _within(child)


class Reader:
    """Walks one function, and the helpers it calls, each once. Names that the function itself binds hide imports.

    Args:
        read: Names of the functions that were read already.
    """

    def __init__(self, source: Source, function: Function, read: set[str] | None = None) -> None:
        self._source = source
        self._function = function
        self._read = {function.name} if read is None else read
        self._local = _bound(function)
        self._names = {
            name: path for name, path in (source.imports | imports_of(function)).items() if name not in self._local
        }
        self._steps = _step_functions(function)
        self._sets = self._names_of_sets()

    def run(self) -> Iterator[Suspect]:
        for statement in self._function.body:
            yield from self._visit(statement)

    def _visit(self, node: ast.AST) -> Iterator[Suspect]:
        if isinstance(node, Function) and node.name in self._steps:
            return
        match node:
            case ast.Call():
                yield from self._called(node)
            case ast.For() | ast.AsyncFor():
                yield from self._iterated(node.iter)
            case ast.YieldFrom():
                yield from self._iterated(node.value)
            case ast.GeneratorExp() | ast.ListComp() | ast.DictComp():
                for generator in node.generators:
                    yield from self._iterated(generator.iter)
            case ast.Subscript() if (path := self._path(node.value)) in tables.FORBIDDEN:
                yield Suspect(node.lineno, f"reads {path}", tables.FORBIDDEN[path])
        yield from self._children(node)

    def _children(self, node: ast.AST) -> Iterator[Suspect]:
        step = isinstance(node, ast.Call) and _is_step(node)
        orderless = isinstance(node, ast.Call) and self._builtin(node) in tables.ORDERLESS
        for child in ast.iter_child_nodes(node):
            if step and isinstance(child, ast.Lambda):
                continue
            if orderless and isinstance(child, Comprehension):
                yield from self._children(child)
            else:
                yield from self._visit(child)

    # Calls.

    def _called(self, call: ast.Call) -> Iterator[Suspect]:
        if (found := self._forbidden(call)) is not None:
            yield found
        elif (manager := _manager(call.func)) is not None:
            yield Suspect(call.lineno, f"calls {manager}", tables.ACTIVITY)
        elif isinstance(call.func, ast.Attribute) and call.func.attr in tables.METHODS:
            yield Suspect(call.lineno, f"calls {ast.unparse(call.func)}()", tables.ACTIVITY)
        elif self._builtin(call) in tables.IN_ORDER and call.args:
            yield from self._iterated(call.args[0])
        elif isinstance(call.func, ast.Name) and call.func.id not in self._local:
            yield from self._helper(call.func.id)

    def _forbidden(self, call: ast.Call) -> Suspect | None:
        path = self._path(call.func)
        if path is None:
            return None
        parts = path.split(".")
        prefixes = [".".join(parts[:count]) for count in range(len(parts), 0, -1)]
        if any(prefix in tables.ALLOWED for prefix in prefixes):
            return None
        instead = next((tables.FORBIDDEN[prefix] for prefix in prefixes if prefix in tables.FORBIDDEN), None)
        return None if instead is None else Suspect(call.lineno, f"calls {path}()", instead)

    def _helper(self, name: str) -> Iterator[Suspect]:
        helper = self._source.helpers.get(name)
        if helper is not None and name not in self._read:
            self._read.add(name)
            yield from Reader(self._source, helper, self._read).run()

    def _path(self, node: ast.expr) -> str | None:
        """Return the dotted path that an expression stands for, `None` where it starts at no import."""
        if isinstance(node, ast.Attribute):
            inner = self._path(node.value)
            return None if inner is None else f"{inner}.{node.attr}"
        if not isinstance(node, ast.Name):
            return None
        if self._is_builtin(node.id) and node.id in tables.BUILTINS:
            return f"builtins.{node.id}"
        return self._names.get(node.id)

    def _builtin(self, call: ast.Call) -> str | None:
        """Return the name of a built-in that is called, `None` for anything else."""
        name = call.func.id if isinstance(call.func, ast.Name) else None
        return name if name is not None and self._is_builtin(name) else None

    def _is_builtin(self, name: str) -> bool:
        return name not in self._names and name not in self._local and name not in self._source.helpers

    # Sets, whose order differs from process to process where they hold text.

    def _iterated(self, node: ast.expr) -> Iterator[Suspect]:
        if self._is_set(node) or (isinstance(node, ast.Name) and node.id in self._sets):
            yield Suspect(node.lineno, "iterates over a set", tables.SORTED)

    def _is_set(self, node: ast.expr) -> bool:
        match node:
            case ast.Set() | ast.SetComp():
                return True
            case ast.Call():
                return self._builtin(node) in tables.SETS
        return False

    def _names_of_sets(self) -> set[str]:
        """Return the names that this function binds to sets and to nothing else."""
        sets: set[str] = set()
        others: set[str] = set()
        for node in ast.walk(self._function):
            value = node.value if isinstance(node, ast.Assign | ast.AnnAssign) else None
            targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
            names = {target.id for target in targets if isinstance(target, ast.Name)}
            if value is not None and self._is_set(value):
                sets |= names
            elif not isinstance(node, ast.AugAssign):
                others |= names
        return sets - others


def _manager(node: ast.expr) -> str | None:
    """Return `Order.objects` for a call through a model's manager."""
    while isinstance(node, ast.Attribute | ast.Call):
        if isinstance(node, ast.Attribute) and node.attr in tables.MANAGERS:
            return ast.unparse(node)
        node = node.func if isinstance(node, ast.Call) else node.value
    return None


def _is_step(call: ast.Call) -> bool:
    return isinstance(call.func, ast.Attribute) and call.func.attr in tables.STEPS


def _step_functions(function: ast.AST) -> set[str]:
    """Return the names of nested functions that are given to `ctx.run`."""
    calls = [node for node in ast.walk(function) if isinstance(node, ast.Call) and _is_step(node) and node.args]
    return {call.args[0].id for call in calls if isinstance(call.args[0], ast.Name)}


def _bound(function: Function) -> set[str]:
    """Return the parameters of a function and the names it assigns."""
    given = function.args
    names = {each.arg for each in (*given.posonlyargs, *given.args, *given.kwonlyargs)}
    names |= {each.arg for each in (given.vararg, given.kwarg) if each is not None}
    stored = (node for node in ast.walk(function) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store))
    return names | {node.id for node in stored}
