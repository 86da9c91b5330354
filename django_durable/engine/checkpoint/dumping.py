"""Writes a graph of objects as JSON-ready data.

Theory of operation. The graph is a table: each object that has an identity is a row, `[tag, ...]`, and is referred to
by `[number]`; `None`, booleans, texts and common numbers stand for themselves. So an object that two variables share
is one row, and a cycle is nothing special. Rows are written first in, first out; none is written inside another, so
depth costs nothing. A list that grows while the graph is written is written to its end.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from ..errors import Unstorable
from .frame import Frame
from .kinds import KINDS, Hook, kind_of
from .kinds.base import LARGEST, Data, described

VERSION = 1

Reference = Callable[[Any], Any]


class Writer:
    """Writes one graph. `ref` is what kinds call for each object inside another."""

    def __init__(self, reference: Reference | None, hooks: Sequence[Hook]) -> None:
        self.reference = reference
        self.hooks = hooks
        self.rows: list[Data] = []
        self._numbers: dict[int, int] = {}
        self._found: list[Any] = []
        self._from: list[tuple[int, str]] = []
        self._at = -1

    def write(self, root: object) -> dict[str, Data]:
        value = self.ref(root, "the root")
        lists: list[tuple[int, list[Any]]] = []
        while self._at + 1 < len(self._found):
            self._at += 1
            found = self._found[self._at]
            self.rows.append(self._row(found))
            if type(found) is list:
                lists.append((self._at, found))
            if self._at + 1 == len(self._found):
                self._catch_up(lists)
        return {"version": VERSION, "root": value, "objects": self.rows}

    def _catch_up(self, lists: list[tuple[int, list[Any]]]) -> None:
        at = self._at
        for number, found in lists:
            row = self.rows[number]
            assert isinstance(row, list)
            self._at = number
            while len(row) - 1 < len(found):
                row.append(self.ref(found[len(row) - 1], f"[{len(row) - 1}]"))
        self._at = at

    def ref(self, value: object, label: str = "") -> Data:
        """Return what stands for an object in a row; `label` says where it was found, as code would."""
        if value is None or isinstance(value, bool) or type(value) is str:
            return value
        if type(value) is int and abs(value) <= LARGEST:
            return value
        if type(value) is float and math.isfinite(value):
            return value
        number = self._numbers.get(id(value))
        if number is None:
            number = self._numbers[id(value)] = len(self._found)
            self._found.append(value)
            self._from.append((self._at, label))
        return [number]

    def _row(self, value: object) -> Data:
        if (plain := KINDS.get(type(value))) is not None:
            return [plain.tag, *plain.dump(self, value)]
        if self.reference is not None and (token := self.reference(value)) is not None:
            return ["part", token]
        for hook in self.hooks:
            if hook.matches(value):
                return ["hook", hook.tag, self.ref(hook.dump(value))]
        kind = kind_of(value)
        if kind is None:
            raise self.unstorable(value)
        return [kind.tag, *kind.dump(self, value)]

    def unstorable_in(self, frame: Frame, waits: object) -> Unstorable:
        """Return the error for a frame that waits for code which is not compiled."""
        name = getattr(waits, "__qualname__", "it")
        return Unstorable(
            "What it awaits",
            f"{frame.function.name} (line {frame.line})",
            described(waits),
            f"Make {name}() durable, too, so that its calls can be stored",
        )

    def unstorable(self, value: object, hint: str = "") -> Unstorable:
        """Return the error for the object being written, with the way to it."""
        path: list[str] = []
        at = self._at
        while at >= 0:
            before, label = self._from[at]
            path.append(label)
            if before >= 0 and isinstance(frame := self._found[before], Frame):
                return Unstorable(
                    "".join(reversed(path)), f"{frame.function.name} (line {frame.line})", described(value), hint
                )
            at = before
        return Unstorable("".join(reversed(path)), "", described(value), hint)


def dump(root: object, *, reference: Reference | None = None, hooks: Sequence[Hook] = ()) -> dict[str, Data]:
    """Return a graph of objects, suspended frames among them, as JSON-ready data for `load`.

    Args:
        reference: Asked for each object that is no plain value; returns a JSON-ready token for what is not to be
            written but found again by `resolve`, or None.
        hooks: For kinds of objects that are written in a way of their own, such as rows of a database.
    Raises: Unstorable: it names the variable, the function and the line, and the type of what cannot be stored.
    """
    return Writer(reference, hooks).write(root)
