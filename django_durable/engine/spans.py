"""Spans that an author opens: what took how long, with attributes, events and links.

Theory of operation. A `SpanBook` belongs to one execution or to one attempt of an activity, and is found through a
context variable by `span()`. It numbers its spans, so a replay gives each the same id, and reads its own clock, which
in an execution is that of the history. Replayed code opens and ends its spans again, and they come out the same; what
is new is what happens while the book is *live*. `take` gives what has changed since the last time, to be stored.

Without a book there is nothing to record: `span()` then gives `NULL_SPAN`.
"""

from __future__ import annotations

import contextvars
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from types import TracebackType
from typing import Any

from .failures import storable, text_of, type_name

OK, ERROR = "OK", "ERROR"
SPAN, TURN, ATTEMPT = "span", "turn", "attempt"
LONGEST_NAME = 255
MOST_EVENTS = 1_000
"""Events kept of one span; an endless loop that logs must not grow its row without end."""


@dataclass(slots=True, kw_only=True, eq=False)
class SpanRecord:
    """A span as it is stored.

    Attributes:
        span_id: Unique within its execution; the same on every replay.
        parent_id: The span around it, None for one directly in the execution.
        kind: `span` of the author, `turn` or `attempt`.
        ended_at: None while it goes on.
        status: `OK`, `ERROR`, or empty where nothing was said; `message` goes with it.
        events: Objects with `name`, `at` (ISO 8601) and `attributes`.
        links: Each an object with `span_id` or `traceparent`.
        seq: The event of the history it belongs to.
        around: The record of its parent, where that is in memory; not stored.
        handle: What it is elsewhere, for whoever hands spans on; not stored.
    """

    span_id: str
    parent_id: str | None
    kind: str
    name: str
    started_at: datetime
    ended_at: datetime | None = None
    status: str = ""
    message: str = ""
    attributes: dict[str, Any] = field(default_factory=dict)
    events: list[dict[str, Any]] = field(default_factory=list)
    links: list[dict[str, str]] = field(default_factory=list)
    seq: int | None = None
    around: SpanRecord | None = None
    handle: Any = None

    def as_data(self) -> dict[str, Any]:
        """Return what is stored as JSON besides the columns; what is empty is left out."""
        names = ("status", "message", "attributes", "events", "links")
        return {name: value for name in names if (value := getattr(self, name))}


class Span:
    """A span that is open, as `with span("packing") as packing:` gives it. Its methods do nothing once it has ended."""

    def __init__(self, book: SpanBook | None, record: SpanRecord | None) -> None:
        self._book = book
        self._record = record
        self._around: Span | None = None

    @property
    def span_id(self) -> str | None:
        """Its id within the execution, None where nothing is recorded."""
        return self._record.span_id if self._record is not None else None

    def record(self, **attributes: Any) -> None:
        """Set attributes; values are what JSON has, everything else is stored as its text."""
        if (record := self._open()) is not None:
            record.attributes.update(plain(attributes))

    def add_event(self, name: str, **attributes: Any) -> None:
        """Note that something happened now."""
        if (record := self._open()) is not None and self._book is not None:
            self._book.note(record, name, attributes)

    def add_link(self, other: Span | str) -> None:
        """Link another span of the same execution, or one anywhere, as the text of a W3C `traceparent`."""
        record = self._open()
        if record is None:
            return
        if isinstance(other, str):
            record.links.append({"traceparent": other})
        elif other.span_id is not None:
            record.links.append({"span_id": other.span_id})

    def set_status(self, status: str, message: str | None = None, /) -> None:
        """Say how it went: `OK` or `ERROR`. A span left by an exception is an `ERROR` by itself."""
        if (record := self._open()) is not None:
            record.status, record.message = status, message or ""

    def _open(self) -> SpanRecord | None:
        if self._book is None or self._record is None or self._record.ended_at is not None:
            return None
        self._book.touch(self._record)
        return self._record

    def __enter__(self) -> Span:
        if self._book is not None and self._record is not None:
            self._around = current_variable.get()
            current_variable.set(self)
            self._book.entered(self, self._record)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        # A program that is dropped closes its code from another context; nothing of it runs any more.
        if current_variable.get() is self:
            current_variable.set(self._around)
        if (record := self._open()) is not None and self._book is not None:
            self._book.end(record, error)


NULL_SPAN = Span(None, None)
"""A span that records nothing."""

current_variable: contextvars.ContextVar[Span | None] = contextvars.ContextVar("django_durable.span", default=None)
_book: contextvars.ContextVar[SpanBook | None] = contextvars.ContextVar("django_durable.spans", default=None)


def current_span() -> Span:
    """Return the span that the code is in, `NULL_SPAN` where it is in none."""
    return current_variable.get() or NULL_SPAN


def current_book() -> SpanBook | None:
    """Return the book of the execution or attempt whose code runs."""
    return _book.get()


def use_book(book: SpanBook) -> None:
    """Have the code of this context find `book`, and be in none of its spans."""
    _book.set(book)
    current_variable.set(None)


class SpanBook:
    """The spans of one execution or attempt; see the module docstring.

    Args:
        clock: Returns now, as aware UTC.
        live: Tells whether the code runs for the first time.
        prefix: What the ids of its spans begin with; `parent` is what they are in, unless in one another.
    """

    def __init__(
        self, clock: Callable[[], datetime], live: Callable[[], bool], *, prefix: str = "s", parent: str | None = None
    ) -> None:
        self._clock = clock
        self._live = live
        self._prefix = prefix
        self._parent = parent
        self._count = 0
        self._open: dict[SpanRecord, None] = {}
        self._changed: dict[SpanRecord, None] = {}
        self._loose: list[dict[str, Any]] = []
        self._heard: dict[int, int] = {}

    def open(self, name: str, attributes: Mapping[str, Any]) -> Span:
        """Open a span within the one that the code is in."""
        around = current_span()
        self._count += 1
        record = SpanRecord(
            span_id=f"{self._prefix}{self._count}",
            parent_id=around.span_id or self._parent,
            kind=SPAN,
            name=storable(str(name)).replace("\0", "\ufffd")[:LONGEST_NAME],
            started_at=self._clock(),
            attributes=plain(attributes),
            around=around._record,
        )
        self._open[record] = None
        self.touch(record)
        return Span(self, record)

    def entered(self, span: Span, record: SpanRecord) -> None:
        """The code is in a span from now on; for those that make more of it."""

    def note(self, record: SpanRecord, name: str, attributes: Mapping[str, Any]) -> None:
        """Add an event to a span."""
        if len(record.events) < MOST_EVENTS:
            record.events.append(self._event(name, attributes))

    def log(self, level: str, message: str, **attributes: Any) -> None:
        """Add a log record to the span that the code is in; outside of all, keep it for `take_loose`."""
        noted = {"level": level, "message": message, **attributes}
        inside = current_span()
        if inside._book is self and inside._open() is not None:
            inside.add_event("log", **noted)
        elif self._live() and len(self._loose) < MOST_EVENTS:
            self._loose.append(self._event("log", noted))

    def _event(self, name: str, attributes: Mapping[str, Any]) -> dict[str, Any]:
        made: dict[str, Any] = {"name": str(name)[:LONGEST_NAME], "at": self._clock().isoformat()}
        return made | ({"attributes": plain(attributes)} if attributes else {})

    def end(self, record: SpanRecord, error: BaseException | None) -> None:
        """End a span, by an error if there is one."""
        record.ended_at = self._clock()
        if error is not None and not record.status:
            record.status, record.message = ERROR, f"{type_name(type(error))}: {text_of(error)}".rstrip(": ")
        self._open.pop(record, None)

    def end_all(self, message: str) -> None:
        """End what is open; nothing will."""
        for record in list(self._open):
            self.touch(record)
            record.ended_at, record.status = self._clock(), record.status or ERROR
            record.message = record.message or message
        self._open.clear()

    def touch(self, record: SpanRecord) -> None:
        """Note that a span changes."""
        if self._live():
            self._changed[record] = None

    def heard(self, event: int, wait: int) -> None:
        """Note which wait an external event has ended, both by their seq: the event does not say."""
        if self._live():
            self._heard[event] = wait

    def standing(self) -> list[Any]:
        """Return what a checkpoint keeps: how many spans there were, and those that are open."""
        return [self._count, list(self._open)]

    def stand(self, state: list[Any]) -> None:
        """Go on from `standing`."""
        self._count, opened = state
        self._open = dict.fromkeys(opened)

    def take(self) -> list[SpanRecord]:
        """Return the spans that have changed since the last time, in the order of their opening."""
        changed, self._changed = list(self._changed), {}
        return changed

    def take_loose(self) -> list[dict[str, Any]]:
        """Return the log records since the last time that belong to no span."""
        loose, self._loose = self._loose, []
        return loose

    def take_heard(self) -> dict[int, int]:
        """Return the waits that external events have ended since the last time, by the seq of the event."""
        heard, self._heard = self._heard, {}
        return heard


def plain(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Return attributes as JSON has them; what it has no word for becomes text."""
    return {str(name): _plain(value) for name, value in attributes.items()}


def _plain(value: Any) -> Any:
    match value:
        case None | bool() | int():
            return value
        case str():
            return storable(value)
        case float():
            return value if value - value == 0 else str(value)
        case Mapping():
            return plain(value)
        case list() | tuple():
            return [_plain(each) for each in value]
    return storable(str(value))


def formatted(message: str, args: tuple[Any, ...]) -> str:
    """Return a log message with its arguments, or both side by side where they do not fit."""
    try:
        return message % args if args else str(message)
    except (TypeError, ValueError):
        return f"{message} {args!r:.500}"
