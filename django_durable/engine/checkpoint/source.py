"""The source of a function: its text, its tree, its hash."""

from __future__ import annotations

import ast
import hashlib
import inspect
import symtable
from collections.abc import Callable, Iterator
from types import FunctionType, MethodType
from typing import Any

from ..errors import NotCompilable

GENERATION = 1
"""Counts changes of the compiler that make old frames unreadable: other points, other temporaries."""


class Source:
    """The text of one `async def`, and where it stands. `owner` is the class it is a method of."""

    def __init__(
        self, text: str, file: str, line: int, owner: str | None = None, tree: ast.AsyncFunctionDef | None = None
    ) -> None:
        self.text = text
        self.file = file
        self.line = line
        self.owner = owner
        self.tree = tree or self._parsed()
        self.name = self.tree.name
        self.table = None if tree else self._table()
        if owner and tree is None:
            _Mangling(owner).visit(self.tree)

    def part(self, tree: ast.AsyncFunctionDef) -> Source:
        """Return the source of a function inside this one."""
        part = Source(self.text, self.file, self.line, self.owner, tree)
        if self.table is not None:
            part.table = next(iter(_tables_of(self.table, tree)), None)
        return part

    def spelled(self, name: str) -> str:
        """Return a name as the code has it: private names of a class carry the name of their class."""
        return _Mangling(self.owner).mangled(name) if self.owner else name

    def _block(self) -> str:
        # An indented function is put into a block instead of dedented, which would change strings of several lines.
        return f"if True:\n{self.text}" if self.text[:1].isspace() else self.text

    def _table(self) -> symtable.SymbolTable:
        table = symtable.symtable(self._block(), self.file, "exec").get_children()[0]
        while table.get_name() != self.name:  # Type parameters have a scope of their own around the function.
            table = table.get_children()[0]
        return table

    @classmethod
    def of(cls, function: Callable[..., Any]) -> Source:
        """Find the source of a function. Raises: NotCompilable: it has none, or it is no `async def`."""
        if not isinstance(function, FunctionType) or hasattr(function, "__wrapped__"):
            raise _no_function(function)
        code = function.__code__
        file, line = code.co_filename, code.co_firstlineno
        if not inspect.iscoroutinefunction(function) and not inspect.isasyncgenfunction(function):
            raise NotCompilable(
                file, line, function.__qualname__, "no coroutine function", "Write it as `async def` that returns"
            )
        try:
            lines, line = inspect.getsourcelines(function)
        except (OSError, TypeError) as error:
            raise NotCompilable(
                file, line, function.__qualname__, "no source", "Put the function into a file that Python can read"
            ) from error
        parents = function.__qualname__.split(".")[:-1]
        owner = parents[-1] if parents and parents[-1] != "<locals>" else None
        return cls("".join(lines), file, max(line, 1), owner)

    def refuse(self, node: ast.AST, found: str, instead: str) -> NotCompilable:
        return NotCompilable(self.file, getattr(node, "lineno", self.line), self.tree.name, found, instead)

    def _parsed(self) -> ast.AsyncFunctionDef:
        try:
            module = ast.parse(self._block(), self.file)
        except SyntaxError as error:
            raise NotCompilable(self.file, self.line, "?", f"source that does not parse ({error.msg})", "") from error
        block: list[ast.stmt] = module.body
        if self.text[:1].isspace() and isinstance(block[0], ast.If):
            block = block[0].body
        ast.increment_lineno(module, self.line - self._first_line)
        if not block or not isinstance(block[0], ast.AsyncFunctionDef):
            raise NotCompilable(self.file, self.line, "?", "no `async def`", "Write the function as `async def`")
        return block[0]

    @property
    def _first_line(self) -> int:
        return 2 if self.text[:1].isspace() else 1


def _no_function(found: Any) -> NotCompilable:
    """Return the error for what was decorated and is no function with a source of its own."""
    code = getattr(inspect.unwrap(getattr(found, "__func__", found)), "__code__", None)
    file, line = (code.co_filename, code.co_firstlineno) if code is not None else ("", 0)
    name = getattr(found, "__qualname__", type(found).__qualname__)
    match found:
        case MethodType():
            instead = "Decorate the function in its class, and give the object as its first argument"
            return NotCompilable(file, line, name, "a bound method", instead)
        case FunctionType():
            instead = "Make the function itself durable, and do what the decorator does in it, or where it is called"
            return NotCompilable(file, line, name, "a function that a decorator has wrapped in another", instead)
    return NotCompilable(file, line, name, "no coroutine function", "Write it as `async def` that returns")


def _tables_of(table: symtable.SymbolTable, tree: ast.AsyncFunctionDef) -> Iterator[symtable.SymbolTable]:
    """Yield the tables of an `async def` somewhere inside."""
    for child in table.get_children():
        if child.get_name() == tree.name and child.get_type() == "function":
            yield child
        yield from _tables_of(child, tree)


def fingerprint(function: ast.AsyncFunctionDef) -> str:
    """Return the hash of what a function does: comments, layout, docstring, annotations and decorators do not count."""
    body = function.body
    if ast.get_docstring(function, clean=False) is not None:
        body = body[1:]
    text = "\n".join(("arguments", *_lines(function.args), "body", *(line for s in body for line in _lines(s))))
    return hashlib.sha256(f"{GENERATION}\n{text}".encode()).hexdigest()[:32]


def _lines(node: ast.AST) -> Iterator[str]:
    """Yield a tree as text that is the same on every version of Python: what is empty is left out."""
    yield type(node).__name__
    for name, value in ast.iter_fields(node):
        if name in ("annotation", "returns", "type_comment", "kind", "ctx") or value is None or value == []:
            continue
        if not isinstance(value, ast.AST | list):
            yield f"{name}={value!r}"
            continue
        yield f"{name}:"
        for item in value if isinstance(value, list) else [value]:
            yield from _lines(item) if isinstance(item, ast.AST) else [repr(item)]
    yield "."


class _Mangling(ast.NodeTransformer):
    """Spells the private names of a class as Python does inside it."""

    def __init__(self, owner: str) -> None:
        self._prefix = f"_{owner.lstrip('_')}"

    def generic_visit(self, node: ast.AST) -> ast.AST:
        for name in ("id", "attr", "arg", "name", "rest"):
            if isinstance(value := getattr(node, name, None), str):
                setattr(node, name, self.mangled(value))
        if isinstance(node, ast.Global | ast.Nonlocal):
            node.names = [self.mangled(name) for name in node.names]
        return super().generic_visit(node)

    def mangled(self, name: str) -> str:
        private = name.startswith("__") and not name.endswith("__") and "." not in name
        return self._prefix + name if private and self._prefix != "_" else name
