"""How a form is declared, and what forms use."""

from __future__ import annotations

import collections
import dataclasses
import enum
from collections.abc import Callable
from typing import Any

from ..support import Tick, note, tick

Form = Callable[..., Any]

DECLARED: dict[str, list[Form]] = {}
"""Forms by heading."""

REFUSED: dict[str, tuple[Form, str]] = {}
"""Forms that are refused when they are decorated, with the words of the refusal."""

UNSTORABLE: dict[str, tuple[Form, str]] = {}
"""Forms that compile, and whose checkpoint names what cannot be stored."""


def form(heading: str) -> Callable[[Form], Form]:
    def add(function: Form) -> Form:
        DECLARED.setdefault(heading, []).append(function)
        return function

    return add


class Manager:
    def __init__(self, name: str, *, swallows: bool = False) -> None:
        self.name, self.swallows = name, swallows

    def __enter__(self) -> Manager:
        note(f"enter {self.name}")
        return self

    def __exit__(self, kind: Any, error: Any, traceback: Any) -> bool:
        note(f"exit {self.name} {error!r}")
        return self.swallows


class AsyncManager(Manager):
    def __aenter__(self) -> Tick:
        note(f"aenter {self.name}")
        return tick(self.name)

    def __aexit__(self, kind: Any, error: Any, traceback: Any) -> Tick:
        note(f"aexit {self.name} {error!r}")
        return tick(self.swallows)


class Countdown:
    def __init__(self, left: int) -> None:
        self.left = left

    def __aiter__(self) -> Countdown:
        return self

    def __anext__(self) -> Tick:
        self.left -= 1
        return Tick(error=StopAsyncIteration()) if self.left < 0 else tick(self.left)


class Colour(enum.Enum):
    RED = 1


@dataclasses.dataclass
class Order:
    number: int
    lines: list[str] = dataclasses.field(default_factory=list)


Pair = collections.namedtuple("Pair", "first second")


def refused(says: str) -> Callable[[Form], Form]:
    def add(function: Form) -> Form:
        REFUSED[function.__doc__ or ""] = function, says
        return function

    return add


def unstorable(says: str) -> Callable[[Form], Form]:
    def add(function: Form) -> Form:
        UNSTORABLE[function.__doc__ or ""] = function, says
        return function

    return add
