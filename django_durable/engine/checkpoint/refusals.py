"""What cannot be compiled, found when a function is decorated."""

from __future__ import annotations

import ast
from collections.abc import Callable

from ..errors import NotCompilable
from .syntax import parts, suspends

Refuse = Callable[[ast.AST, str, str], NotCompilable]
"""Makes the error from the node, what was found there, and what to write instead."""


def check(function: ast.AsyncFunctionDef, refuse: Refuse) -> None:
    """Look at one function, without those inside it. Raises: NotCompilable."""
    for statement in function.body:
        for part in parts(statement):
            _check_part(part, refuse)


def _check_part(part: ast.AST, refuse: Refuse) -> None:
    match part:
        case ast.Yield() | ast.YieldFrom():
            raise refuse(
                part,
                "a yield, which makes an async generator",
                "Collect the values in a list and return it, or loop where they are used",
            )
        case ast.GeneratorExp() if _awaits_inside(part):
            raise refuse(
                part,
                "an await in a generator expression",
                "Write a list comprehension: [... for ... in ...]",
            )
        case ast.TryStar() if suspends(part):
            raise refuse(
                part,
                "an await inside a try with except*",
                "Await before or after it, or catch the group with `except BaseExceptionGroup` and split() it",
            )
        case ast.TryStar() if any(isinstance(each, ast.Raise) and _is_pause(each.exc) for each in parts(part)):
            raise refuse(
                part,
                "a pause inside a try with except*",
                "Pause before or after it, or catch the group with `except BaseExceptionGroup` and split() it",
            )
        case ast.Raise(exc=found, cause=ast.expr()) if _is_pause(found):
            raise refuse(
                part,
                "a pause that is raised from something",
                "Write `raise` without `from`, or `await pause(...)`",
            )
        case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef() if suspends(part):
            raise refuse(
                part,
                "an await in a decorator, a default or a base",
                "Assign it to a variable before the definition",
            )


def _is_pause(raised: ast.expr | None) -> bool:
    """Tell whether this makes a pause, as far as its name tells."""
    match raised:
        case ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name)):
            return name == "PauseForEventException"
    return False


def _awaits_inside(generator: ast.GeneratorExp) -> bool:
    first, *others = generator.generators
    inner = [generator.elt, *first.ifs, *others]
    return bool(first.is_async) or any(suspends(part) for part in inner)
