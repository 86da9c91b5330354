"""The timeline of one execution in text: a bar for each thing that took time."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from ..client.spans import CANCELED, DONE, FAILED, OPEN, Span
from . import rendering

WIDTH = 40
MOST_ROWS = 30
NAME_WIDTH = 32

WAITED, WORKED = ".", "="
ENDS = {DONE: "|", FAILED: "x", CANCELED: "~", OPEN: ">"}

Row = tuple[str, str, str, str]
"""Kind, name, bar, and what there is to say."""


def rows_of(spans: Sequence[Span], started_at: datetime, ended_at: datetime) -> Iterator[Row]:
    """Yield the rows of a timeline: a row for each span, or for each name where those would be too many."""
    scale = _Scale(started_at, max([ended_at, *(span.end for span in spans), started_at + timedelta(milliseconds=1)]))
    if len(spans) <= MOST_ROWS:
        for span in spans:
            yield span.lane, _name(span), "".join(scale.drawn([span])), _said(span)
        return
    together: dict[tuple[str, str], list[Span]] = defaultdict(list)
    for span in spans:
        together[span.lane, _name(span)].append(span)
    for (lane, name), found in list(together.items())[:MOST_ROWS]:
        yield lane, name, "".join(scale.drawn(found)), _said_of_all(found)
    if len(together) > MOST_ROWS:
        yield "", f"and {len(together) - MOST_ROWS:,} more names", "", ""


class _Scale:
    """From moments to columns."""

    def __init__(self, start: datetime, end: datetime) -> None:
        self._start = start
        self._whole = end - start

    def at(self, moment: datetime) -> int:
        return min(max(int((moment - self._start) / self._whole * WIDTH), 0), WIDTH - 1)

    def drawn(self, spans: Sequence[Span]) -> list[str]:
        """Draw spans over each other: waiting first, then work, then how each ended."""
        cells = [" "] * WIDTH
        for span in spans:
            first, last = self.at(span.start), self.at(span.end)
            worked = first if span.worked_from is None else self.at(span.worked_from)
            cells[first : last + 1] = [WAITED if place < worked else WORKED for place in range(first, last + 1)]
        for span in spans:
            cells[self.at(span.end)] = ENDS[span.state]
        return cells


def _name(span: Span) -> str:
    name = span.target or span.name
    return rendering.one_line(name.rpartition(".")[2] or name, NAME_WIDTH)


def _said(span: Span) -> str:
    parts = [rendering.duration(span.end - span.start)]
    if span.attempt > 1:
        parts.append(f"attempt {span.attempt}")
    if span.state != DONE:
        parts.append(span.state)
    return ", ".join(parts)


def _said_of_all(spans: Sequence[Span]) -> str:
    parts = ["once" if len(spans) == 1 else f"{len(spans):,} times"]
    for state in (FAILED, CANCELED, OPEN):
        if number := sum(span.state == state for span in spans):
            parts.append(f"{number:,} {state}")
    return ", ".join(parts)
