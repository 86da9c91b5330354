"""How commands write: tables, moments, durations, statuses, JSON. For people in text, for programs in JSON.

Text of instances may be anything; what a terminal would obey is escaped before it is written.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

from django.core.management.base import OutputWrapper
from django.utils import timezone

from ..engine.states import RuntimeStatus

NOTHING = "-"
CUT = "..."
LOOKAHEAD = 200
"""Rows of a table that decide how wide its columns are."""

Tone = Callable[[str], str]


def plain(text: str) -> str:
    """Return text as it is."""
    return text


# Values.


def printable(text: str) -> str:
    """Escape what is not printable: control characters, and those that turn the direction of writing."""
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() else repr(each)[1:-1] for each in text)


def one_line(text: str | None, width: int | None = None) -> str:
    """Return text in one line, cut where it is longer than `width`."""
    if text is None:
        return NOTHING
    line = printable(" ".join(text.split()))
    return line if width is None or len(line) <= width else line[: max(width - len(CUT), 0)] + CUT


def moment(at: datetime | None) -> str:
    """Return a moment in the project's time zone, with its offset."""
    return NOTHING if at is None else timezone.localtime(at).isoformat(sep=" ", timespec="seconds")


def duration(length: timedelta) -> str:
    """Return a duration in the two largest units that say something, such as `3.4 s` or `2 h 5 min`."""
    seconds = max(length.total_seconds(), 0.0)
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 60:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    hours, minutes = divmod(minutes, 60)
    if hours < 24:
        return f"{hours} h {minutes} min"
    days, hours = divmod(hours, 24)
    return f"{days:,} d {hours} h"


def ago(at: datetime, now: datetime) -> str:
    """Return how far a moment is from now."""
    return f"in {duration(at - now)}" if at > now else f"{duration(now - at)} ago"


def count(number: int, noun: str) -> str:
    """Return a number with its noun: `1 instance`, `2,000 instances`."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def tone_of(status: str, style: Any) -> Tone:
    """Return the colour of a status."""
    tones = {
        RuntimeStatus.COMPLETED.value: style.SUCCESS,
        RuntimeStatus.FAILED.value: style.ERROR,
        RuntimeStatus.BLOCKED.value: style.ERROR,
        RuntimeStatus.TERMINATED.value: style.WARNING,
        RuntimeStatus.CANCELED.value: style.WARNING,
        RuntimeStatus.SUSPENDED.value: style.WARNING,
    }
    found: Tone = tones.get(str(status), plain)
    return found


# Tables.

Cell = str | tuple[str, Tone]


class Table:
    """Writes rows in aligned columns. Rows beyond the first few hundred keep the widths that those had.

    Args:
        titles: Of the columns; one that starts with ">" is aligned to the right.
    """

    def __init__(self, out: OutputWrapper, titles: Sequence[str], style: Any) -> None:
        self._out = out
        self._titles = [title.lstrip(">") for title in titles]
        self._right = [title.startswith(">") for title in titles]
        self._heading: Tone = style.MIGRATE_HEADING
        self._waiting: list[Sequence[Cell]] = []
        self._widths: list[int] | None = None

    def add(self, *cells: Cell) -> None:
        """Write a row, or keep it until the widths are known."""
        if self._widths is not None:
            self._write(cells)
            return
        self._waiting.append(cells)
        if len(self._waiting) >= LOOKAHEAD:
            self.close()

    def close(self) -> None:
        """Write what was kept, under its heading; nothing where there is no row."""
        if self._widths is None and self._waiting:
            rows = [self._titles, *([_text(cell) for cell in row] for row in self._waiting)]
            self._widths = [max(len(row[place]) for row in rows) for place in range(len(self._titles))]
            self._write([(title, self._heading) for title in self._titles])
            for row in self._waiting:
                self._write(row)
            self._waiting.clear()

    def _write(self, cells: Sequence[Cell]) -> None:
        assert self._widths is not None
        parts = []
        last = len(cells) - 1
        for place, cell in enumerate(cells):
            text, tone = cell if isinstance(cell, tuple) else (cell, plain)
            blank = " " * (self._widths[place] - len(text))
            if self._right[place]:
                parts.append(blank + tone(text))
            else:
                parts.append(tone(text) + (blank if place < last else ""))
        self._out.write("  ".join(parts).rstrip())


def _text(cell: Cell) -> str:
    return cell[0] if isinstance(cell, tuple) else cell


@contextmanager
def table(out: OutputWrapper, titles: Sequence[str], style: Any) -> Iterator[Table]:
    """Write a table; what was kept is written at the end, also where an error ends it."""
    made = Table(out, titles, style)
    try:
        yield made
    finally:
        made.close()


def pairs(out: OutputWrapper, found: Iterable[tuple[str, Cell]], style: Any) -> None:
    """Write names and values in two columns."""
    rows = list(found)
    width = max((len(name) for name, _ in rows), default=0)
    for name, cell in rows:
        text, tone = cell if isinstance(cell, tuple) else (cell, plain)
        out.write(f"{style.MIGRATE_HEADING(name)}{' ' * (width - len(name))}  {tone(text)}")


# JSON.


def write_json(out: OutputWrapper, data: Any) -> None:
    """Write one value, indented."""
    out.write(json.dumps(data, indent=2))


def write_line(out: OutputWrapper, data: Any) -> None:
    """Write one value in one line."""
    out.write(json.dumps(data, separators=(",", ":")))


class Results:
    """Writes `{"results": [...], ...}` as it comes: one result a line, and nothing is kept."""

    def __init__(self, out: OutputWrapper) -> None:
        self._out = out
        self._first = True
        out.write('{"results": [', ending="")

    def add(self, data: Any) -> None:
        self._out.write("\n" if self._first else ",\n", ending="")
        self._out.write(json.dumps(data), ending="")
        self._first = False

    def close(self, **more: Any) -> None:
        """Write the end of the list, and what stands beside it."""
        rest = "".join(f", {json.dumps(name)}: {json.dumps(each)}" for name, each in more.items())
        self._out.write(f"{'' if self._first else chr(10)}]{rest}}}")
