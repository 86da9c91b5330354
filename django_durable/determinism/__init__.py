"""Finds in orchestration code what a replay could not repeat.

It reads the source of one function, and of the plain functions of the same module that it calls; what other modules do
is not seen. A function given to `ctx.run` is a local step, whose result is recorded, and may do anything.
`# durable: ignore` on a line silences it. Code that is kept by checkpoints may read clocks and the like by itself,
for a line that has run does not run again. What would hold up its worker, or is refused there, is found in it, too.
"""

from __future__ import annotations

import ast
import inspect
import linecache
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from . import tables
from .reading import Reader, Source

SILENCE = "# durable: ignore"


@dataclass(frozen=True, slots=True)
class Finding:
    """One place that a replay could not repeat: what the code `does` there, and what to do instead."""

    path: str
    line: int
    does: str
    instead: str


def findings(function: Callable[..., Any], *, replayed: bool = True) -> list[Finding]:
    """Return the suspect places of an orchestration function by line; none where there is no source.

    Args:
        replayed: Whether its code runs again to come back into memory; False: it is kept by checkpoints.
    """
    function = inspect.unwrap(function)
    path = inspect.getsourcefile(function)
    tree = None if path is None else _parsed("".join(linecache.getlines(path)))
    if path is None or tree is None or (body := _definition(tree, function)) is None:
        return []
    # A chain of calls through one manager is found at each of them.
    found = [Finding(path, *suspect) for suspect in dict.fromkeys(Reader(Source.of(tree), body).run())]
    if not replayed:
        found = [each for each in found if each.instead not in tables.OF_REPLAYS]
    return [each for each in found if SILENCE not in linecache.getline(path, each.line)]


@lru_cache(maxsize=8)
def _parsed(source: str) -> ast.Module | None:
    try:
        return ast.parse(source)
    except SyntaxError:
        return None


def _definition(tree: ast.Module, function: Callable[..., Any]) -> ast.FunctionDef | ast.AsyncFunctionDef | None:
    line = function.__code__.co_firstlineno
    for node in ast.walk(tree):
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) or node.name != function.__name__:
            continue
        if line in (node.lineno, *(decorator.lineno for decorator in node.decorator_list)):
            return node
    return None
