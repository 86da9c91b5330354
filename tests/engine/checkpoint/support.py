"""Drives a coroutine function natively, and compiled with a JSON round trip and new frames at every suspension.

An author's code waits for `Tick`s; its driver answers each by what the tick says. What the code notes is its side
effects.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Coroutine, Generator
from dataclasses import dataclass, field
from typing import Any

from django_durable.engine.checkpoint import CompiledFunction, Frame, compile_function, dump, load
from django_durable.engine.errors import NotRegistered
from django_durable.engine.pauses import PauseForEventException

STEPS = 500


class Tick:
    """What code waits for: resolves to `value`, or raises `error`."""

    def __init__(self, value: Any = None, error: BaseException | None = None) -> None:
        self.value = value
        self.error = error

    def __await__(self) -> Generator[Any, Any, Any]:
        return (yield self)


notes: list[Any] = []
"""The side effects of the run that is under way."""


def note(value: Any) -> Any:
    """Note a value as it is now: what is loaded later is another object."""
    notes.append(value if isinstance(value, str | int) else plain(repr(value)))
    return value


def tick(value: Any = None) -> Tick:
    """Note that something was asked for, and wait for it."""
    note(("tick", value))
    return Tick(value)


def broken(error: BaseException) -> Tick:
    """Wait for something that fails."""
    notes.append(("broken", repr(error)))
    return Tick(error=error)


@dataclass
class Outcome:
    """How a run ended."""

    result: Any = None
    error: str | None = None
    notes: list[Any] = field(default_factory=list)
    suspensions: int = 0

    def seen(self) -> tuple[str, str, str]:
        return plain(repr(self.result)), plain(self.error or ""), plain(repr(self.notes))


def plain(text: str) -> str:
    """Leave out what may differ: addresses, and how Python calls a variable that has no value and is shared."""
    text = re.sub(r"0x[0-9a-f]+", "0x", text)
    text = re.sub(
        r"cannot access (local|free) variable \\?'(\w+)\\?' where .*? value( in enclosing scope)?", r"no \2", text
    )
    return text.replace("UnboundLocalError", "NameError")


class World:
    """The compiled functions that checkpoints name."""

    def __init__(self, *functions: CompiledFunction) -> None:
        self.functions = {function.name: function for function in functions}

    def find(self, name: str, recorded: str) -> CompiledFunction:
        if name not in self.functions:
            raise NotRegistered("orchestration", name)
        return self.functions[name]

    def reborn(self, root: Any) -> Any:
        """Return what is left of an object after it was stored and loaded in another process."""
        return load(json.loads(json.dumps(dump(root))), find=self.find)


def run(code: Coroutine[Any, Any, Any], world: World | None = None) -> Outcome:
    """Run code to its end; where a world is given, from a checkpoint at every suspension."""
    notes.clear()
    outcome = Outcome()
    try:
        asked = code.send(None)
        while outcome.suspensions < STEPS:
            outcome.suspensions += 1
            if world is not None:
                code = world.reborn(code)
                assert isinstance(code, Frame)
                asked = code.send(None)
            asked = code.send(asked.value) if asked.error is None else code.throw(asked.error)
        outcome.error = "it does not end"
    except StopIteration as stop:
        outcome.result = stop.value
    except BaseException as error:
        outcome.error = f"{type(error).__name__}: {error}{chain(error)}"
    outcome.notes = list(notes)
    return outcome


def chain(error: BaseException) -> str:
    """Return what an error came from, as text."""
    if error.__cause__ is not None:
        return f" because of {error.__cause__!r}{chain(error.__cause__)}"
    if error.__context__ is not None and not error.__suppress_context__:
        return f" while handling {error.__context__!r}{chain(error.__context__)}"
    return ""


def compile_durable(function: Callable[..., Any]) -> CompiledFunction:
    """Compile a function as `make_durable` does: what it raises may be a pause."""
    return compile_function(function, pause=PauseForEventException)


def both(function: Callable[..., Any], *arguments: Any, with_: tuple[Callable[..., Any], ...] = ()) -> Outcome:
    """Run a function both ways, assert that nobody can tell the difference, and return how it ended."""
    native = run(function(*arguments))
    compiled = compile_durable(function)
    whole = run(compiled(*arguments))
    assert whole.seen() == native.seen(), "compiled, never stored"
    stored = run(compiled(*arguments), World(compiled, *(compile_durable(other) for other in with_)))
    assert stored.seen() == native.seen(), "stored at every suspension"
    return stored
