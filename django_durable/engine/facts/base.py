"""What every fact is: a base class, and the way a fact maps to the columns of a row without loss.

The columns are `kind`, `name`, `source_seq`, `payload`, and `data` for what is left (a JSON object of the values that
differ from their defaults, `None` when there are none). Each class declares which of its attributes goes where.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import fields
from operator import attrgetter
from typing import Any, ClassVar, NamedTuple

from ..failures import Failure

Payload = str
"""JSON text."""

_encode = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False).encode


class Columns(NamedTuple):
    """A fact as the columns of a row; see the module docstring."""

    kind: str
    name: str | None
    source_seq: int | None
    payload: Payload | None
    data: str | None


class Fact:
    """Base of all facts. `name_field`, `source_field`, `payload_field` say which attribute fills which column."""

    __slots__ = ()
    name_field: ClassVar[str | None] = None
    source_field: ClassVar[str | None] = None
    payload_field: ClassVar[str | None] = None

    @property
    def kind(self) -> str:
        return type(self).__name__

    @property
    def source_seq(self) -> int | None:
        """The seq of the event that this fact answers or takes back, for example the scheduling of an activity."""
        seq: int | None = getattr(self, self.source_field) if self.source_field else None
        return seq

    def columns(self) -> Columns:
        """Return this fact as row columns; `events.fact_from_columns` is the inverse."""
        name_field, source_field, payload_field, rest = layout_of(type(self))
        data = None
        if rest is not None and (values := rest.read(self)) != rest.defaults:
            data = _encode(rest.told(values))
        payload = getattr(self, payload_field) if payload_field else None
        return Columns(
            type(self).__name__,
            getattr(self, name_field) if name_field else None,
            getattr(self, source_field) if source_field else None,
            failure_to_payload(payload) if isinstance(payload, Failure) else payload,
            data,
        )


class Rest(NamedTuple):
    """The attributes of a fact class that have no column of their own; `read` gives all their values at once."""

    names: tuple[str, ...]
    defaults: tuple[Any, ...]
    read: Callable[[Fact], tuple[Any, ...]]

    def told(self, values: tuple[Any, ...]) -> dict[str, Any]:
        """Return those that differ from their defaults."""
        each = zip(self.names, values, self.defaults, strict=True)
        return {name: value for name, value, default in each if value != default}


class Layout(NamedTuple):
    """Which attribute of a fact class fills which column; `rest` are the others."""

    name: str | None
    source: str | None
    payload: str | None
    rest: Rest | None


_layouts: dict[type[Fact], Layout] = {}


def layout_of(cls: type[Fact]) -> Layout:
    """Return the layout of a fact class."""
    if cls not in _layouts:
        _layouts[cls] = _layout(cls)
    return _layouts[cls]


def _layout(cls: type[Fact]) -> Layout:
    placed = (cls.name_field, cls.source_field, cls.payload_field)
    # Every subclass is a dataclass, the base is none.
    left = [each for each in fields(cls) if each.name not in placed]  # type: ignore[arg-type]
    names = tuple(each.name for each in left)
    defaults: tuple[Any, ...] = tuple({} if each.default_factory is dict else each.default for each in left)
    return Layout(*placed, Rest(names, defaults, _reader(names)) if left else None)


def _reader(names: Sequence[str]) -> Callable[[Any], tuple[Any, ...]]:
    """Return what reads attributes as a tuple, also where it is only one."""
    if len(names) > 1:
        return attrgetter(*names)
    one = attrgetter(*names)
    return lambda thing: (one(thing),)


def failure_to_payload(failure: Failure) -> Payload:
    """Return a failure as the JSON text that is stored of it."""
    return json.dumps(
        {"error_type": failure.error_type, "message": failure.message, "traceback": failure.traceback},
        ensure_ascii=False,
    )


def failure_from_payload(payload: Payload | None) -> Failure:
    """Rebuild a failure from its JSON text; missing fields become empty."""
    stored = json.loads(payload or "{}")
    return Failure(stored.get("error_type", "Exception"), stored.get("message", ""), stored.get("traceback", ""))
