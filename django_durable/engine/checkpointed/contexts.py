"""How the context variables of a task, or of a local step, are written: those that can be found again.

A variable is found by the module at whose top it stands. One that stands nowhere, or has a value that cannot be stored,
is not kept: libraries set them too, and what they keep there is theirs. What `decimal` keeps is read out.
"""

from __future__ import annotations

import decimal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextvars import Context, ContextVar
from functools import lru_cache
from typing import Any

from ..base import BaseProgram
from ..checkpoint import dump
from ..errors import CheckpointDamaged, Unstorable
from ..spans import current_variable, use_book
from .parts import Kind, Loading, Saving

VARIABLE, DECIMAL = "variable", "decimal"
_PLAIN = (str, int, float, bool, type(None))


class Contexts:
    """What `contextvars.copy_context` returns."""

    name = "context"

    def __init__(self, probe: Callable[[BaseProgram], Saving]) -> None:
        self._probe = probe

    def owns(self, part: Any) -> bool:
        return type(part) is Context

    def scalars(self, part: Context, saving: Saving) -> Sequence[Any]:
        return []

    def state(self, part: Context, saving: Saving) -> list[list[Any]]:
        return [each for variable, value in part.items() for each in self._written(variable, value, saving.program)]

    def _written(self, variable: ContextVar[Any], value: Any, program: BaseProgram) -> Iterator[list[Any]]:
        if isinstance(value, decimal.Context):
            if _fields(value)[:-2] != _fields(decimal.DefaultContext)[:-2]:
                yield [DECIMAL, *_fields(value)]
        elif (name := _name_of(variable)) is not None and self._storable(variable, value, program):
            yield [VARIABLE, name, value]

    def _storable(self, variable: ContextVar[Any], value: Any, program: BaseProgram) -> bool:
        if variable is current_variable or type(value) in _PLAIN:
            return True
        saving = self._probe(program)
        try:
            dump([value, saving.states], reference=saving.reference, hooks=program.environment.hooks)
        except Unstorable:
            return False
        return True

    def shell(self, scalars: Sequence[Any], loading: Loading) -> Context:
        return fresh(loading.program)

    def fill(self, part: Context, state: Any, loading: Loading) -> None:
        for kind, *rest in state:
            if kind == DECIMAL:
                part.run(decimal.setcontext, decimal.Context(*rest))
            else:
                name, value = rest
                part.run(_named(name).set, value)


def fresh(program: BaseProgram) -> Context:
    """Return a context that knows of nothing but the spans of the program."""
    context = Context()
    if program.spans is not None:
        context.run(use_book, program.spans)
    return context


def _fields(context: decimal.Context) -> list[Any]:
    return list(context.__reduce__()[1])


@lru_cache(maxsize=1024)
def _name_of(variable: ContextVar[Any]) -> str | None:
    """Return "module:name" of a variable that stands at the top of a module, None for any other."""
    for module in list(sys.modules.values()):
        for name, found in list(getattr(module, "__dict__", {}).items()):
            if found is variable:
                return f"{module.__name__}:{name}"
    return None


def _named(name: str) -> ContextVar[Any]:
    module, _, own = name.partition(":")
    found = getattr(sys.modules.get(module), "__dict__", {}).get(own)
    if not isinstance(found, ContextVar):
        raise CheckpointDamaged(f"the context variable {name} is not there; import its module, or bring it back")
    return found


def kinds(probe: Callable[[BaseProgram], Saving]) -> tuple[Kind, ...]:
    """Return the kind of contexts; `probe` makes what a value is written by, to see whether it can be."""
    return (Contexts(probe),)
