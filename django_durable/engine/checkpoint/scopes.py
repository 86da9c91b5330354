"""Which names of a function are its own, and which of them its inner functions use."""

from __future__ import annotations

import ast
import symtable
from collections.abc import Iterator
from dataclasses import dataclass

from .source import Source
from .syntax import parts, suspends

COMPREHENSIONS = ("listcomp", "setcomp", "dictcomp")


@dataclass(frozen=True, slots=True)
class Scope:
    """`plain` are locals that nobody else uses; `shared` are locals that inner functions capture."""

    plain: tuple[str, ...]
    shared: tuple[str, ...]


def scope_of(source: Source) -> Scope:
    """Return the names of a function.

    What only a comprehension uses does not count as captured: it is over before the function can be suspended. One that
    awaits becomes a function, so what it uses counts.
    """
    table = source.table
    assert table is not None
    captured = {source.spelled(name) for child in table.get_children() for name in _captured(child)}
    captured |= {name for comprehension in _awaiting(source.tree) for name in _names(comprehension)}
    own = sorted(
        source.spelled(symbol.get_name())
        for symbol in table.get_symbols()
        if symbol.is_local() and not symbol.is_declared_global()
    )
    comprehended = _comprehended(source.tree)
    own = [name for name in own if name not in comprehended]
    return Scope(
        tuple(name for name in own if name not in captured),
        tuple(name for name in own if name in captured),
    )


def _captured(table: symtable.SymbolTable) -> Iterator[str]:
    if table.get_name() not in COMPREHENSIONS:
        yield from (symbol.get_name() for symbol in table.get_symbols() if symbol.is_free())
        return
    for child in table.get_children():
        yield from _captured(child)


def _awaiting(function: ast.AsyncFunctionDef) -> Iterator[ast.AST]:
    for statement in function.body:
        for part in parts(statement):
            if isinstance(part, ast.ListComp | ast.SetComp | ast.DictComp) and suspends(part):
                yield part


def _comprehended(function: ast.AsyncFunctionDef) -> set[str]:
    """Return the names that comprehensions bind and nothing else: since Python 3.12 they count as the function's."""
    found = [part for statement in function.body for part in parts(statement)]
    targets = [part.target for part in found if isinstance(part, ast.comprehension)]
    inside = {id(name): name.id for target in targets for name in ast.walk(target) if isinstance(name, ast.Name)}
    bound = {each.arg for each in ast.walk(function.args) if isinstance(each, ast.arg)}
    bound.update(name for part in found if id(part) not in inside for name in _bound_by(part))
    return {*inside.values()} - bound


def _bound_by(part: ast.AST) -> Iterator[str]:
    match part:
        case ast.Name(id=name, ctx=ast.Store() | ast.Del()):
            yield name
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
            yield name
        case ast.ExceptHandler(name=str(name)) | ast.MatchAs(name=str(name)) | ast.MatchStar(name=str(name)):
            yield name
        case ast.MatchMapping(rest=str(name)):
            yield name
        case ast.alias(name=name, asname=None):
            yield name.partition(".")[0]
        case ast.alias(asname=str(name)):
            yield name


def _names(node: ast.AST) -> Iterator[str]:
    return (part.id for part in ast.walk(node) if isinstance(part, ast.Name))
