"""Values that are written as a text or two: numbers, times, identifiers."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from fractions import Fraction
from pathlib import PurePath
from types import EllipsisType, NotImplementedType
from typing import TYPE_CHECKING, Any
from uuid import UUID
from zoneinfo import ZoneInfo

from .base import Data, Kind

if TYPE_CHECKING:
    from ..dumping import Writer
    from ..loading import Reader


class Scalars(Kind):
    """`dumps` returns JSON-ready arguments, of which `loads` makes the value again."""

    def __init__(self, tag: str, dumps: Callable[[Any], list[Data]], loads: Callable[..., Any]) -> None:
        self.tag = tag
        self._dumps = dumps
        self._loads = loads

    def dump(self, writer: Writer, value: Any) -> list[Data]:
        return self._dumps(value)

    def make(self, reader: Reader, *row: Any) -> Any:
        return self._loads(*row)


class Zoned(Kind):
    """Times that may have a time zone, which is an object of its own."""

    def __init__(self, cls: type[datetime] | type[time]) -> None:
        self.tag = cls.__name__
        self._cls = cls

    def dump(self, writer: Writer, value: Any) -> list[Data]:
        return [value.replace(tzinfo=None).isoformat(), writer.ref(value.tzinfo, ".tzinfo"), value.fold]

    def make(self, reader: Reader, *row: Any) -> Any:
        text, zone, fold = row
        return self._cls.fromisoformat(text).replace(tzinfo=reader.get(zone), fold=fold)


class Composite(Kind):
    """Immutable values made of others, by their attributes."""

    def __init__(self, cls: type[Any], *attributes: str, make: Callable[..., Any] | None = None) -> None:
        self.tag = cls.__name__
        self._cls = make or cls
        self._attributes = attributes

    def dump(self, writer: Writer, value: Any) -> list[Data]:
        return [writer.ref(getattr(value, name), f".{name}") for name in self._attributes]

    def make(self, reader: Reader, *row: Any) -> Any:
        if len(row) != len(self._attributes):
            raise ValueError(f"{self.tag} of {len(row)} parts")
        return self._cls(*[reader.get(item) for item in row])


class Paths(Kind):
    """Paths of any class, as text."""

    tag = "path"

    def dump(self, writer: Writer, value: PurePath) -> list[Data]:
        return [writer.ref(type(value)), str(value)]

    def make(self, reader: Reader, *row: Any) -> Any:
        cls = reader.get(row[0])
        if not (isinstance(cls, type) and issubclass(cls, PurePath)):
            raise ValueError(f"{cls!r:.80} is no class of paths")
        return cls(row[1])


def _text(value: bytes | bytearray) -> list[Data]:
    return [base64.b64encode(value).decode()]


def _bytes(text: str) -> bytes:
    return base64.b64decode(text, validate=True)


def _named_timezone(seconds: float, name: str | None = None) -> timezone:
    delta = timedelta(seconds=seconds)
    return UTC if not delta and name is None else timezone(delta) if name is None else timezone(delta, name)


def _timezone(value: timezone) -> list[Data]:
    offset = value.utcoffset(None)
    named = value.tzname(None) != timezone(offset).tzname(None)
    return [offset.total_seconds(), *([value.tzname(None)] if named else [])]


SCALARS: dict[type, Kind] = {
    int: Scalars("int", lambda value: [hex(value)], lambda text: int(text, 16)),
    float: Scalars("float", lambda value: [repr(value)], float),
    complex: Scalars("complex", lambda value: [repr(value)], complex),
    bytes: Scalars("bytes", _text, _bytes),
    bytearray: Scalars("bytearray", _text, lambda text: bytearray(_bytes(text))),
    date: Scalars("date", lambda value: [value.isoformat()], date.fromisoformat),
    timedelta: Scalars("timedelta", lambda v: [v.days, v.seconds, v.microseconds], lambda d, s, m: timedelta(d, s, m)),
    timezone: Scalars("timezone", _timezone, _named_timezone),
    ZoneInfo: Scalars("ZoneInfo", lambda value: [value.key], ZoneInfo),
    Decimal: Scalars("Decimal", lambda value: [str(value)], Decimal),
    Fraction: Scalars("Fraction", lambda value: [str(value)], Fraction),
    UUID: Scalars("UUID", lambda value: [str(value)], UUID),
    EllipsisType: Scalars("Ellipsis", lambda value: [], lambda: ...),
    NotImplementedType: Scalars("NotImplemented", lambda value: [], lambda: NotImplemented),
    datetime: Zoned(datetime),
    time: Zoned(time),
    range: Composite(range, "start", "stop", "step"),
    slice: Composite(slice, "start", "stop", "step"),
    re.Pattern: Composite(re.Pattern, "pattern", "flags", make=re.compile),
}
