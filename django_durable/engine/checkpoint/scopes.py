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
    awaits becomes a function, so then all of them count.
    """
    table = source.table
    assert table is not None
    awaiting = any(
        isinstance(part, ast.ListComp | ast.SetComp | ast.DictComp) and suspends(part)
        for statement in source.tree.body
        for part in parts(statement)
    )
    captured = {name for child in table.get_children() for name in _captured(child, awaiting)}
    own = sorted(
        symbol.get_name() for symbol in table.get_symbols() if symbol.is_local() and not symbol.is_declared_global()
    )
    spelled = {name: source.spelled(name) for name in own}
    return Scope(
        tuple(spelled[name] for name in own if name not in captured),
        tuple(spelled[name] for name in own if name in captured),
    )


def _captured(table: symtable.SymbolTable, awaiting: bool) -> Iterator[str]:
    if table.get_name() in COMPREHENSIONS and not awaiting:
        for child in table.get_children():
            yield from _captured(child, awaiting)
        return
    yield from (symbol.get_name() for symbol in table.get_symbols() if symbol.is_free())
