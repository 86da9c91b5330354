"""The timeline of one execution: bars in lanes, computed here, drawn by the template as SVG.

From spans to rows, from rows to bars in percent of the width: the template only writes attributes. What overlaps in a
row goes to tracks below each other. A row with very many spans is drawn as a summary, spans that touch or nearly touch
as one bar that says how many it is, so the page of a history of thousands of events has hundreds of bars at most.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from django.utils.translation import gettext as _

from ..client.spans import ACTIVITIES, CANCELED, CHILDREN, DONE, EVENTS, FAILED, OPEN, SPANS, TIMERS, TURNS, Span
from ..store.insight import OpenActivity
from . import text

GROUP_ABOVE = 40
"""Spans of one row that are still drawn one by one."""

MAX_TRACKS = 6
MAX_ROWS = 40
NEAR = 0.4
"""Percent of the width under which two spans of a summary are one bar."""

TRACK_HEIGHT = 18
BAR_HEIGHT = 12
NARROWEST = 0.35
TICKS = 4


@dataclass(frozen=True, slots=True)
class Bar:
    """A bar with its geometry as text of SVG attributes.

    Its part from `work_x` on is the last attempt; `failed` are x and width of the attempts before.
    """

    x: str
    width: str
    y: str
    work_x: str
    work_width: str
    state: str
    title: str
    seq: int
    failed: list[tuple[str, str]] = field(default_factory=list)
    traced: str | None = None


@dataclass(frozen=True, slots=True)
class Row:
    label: str
    name: str
    count: int
    height: int
    bars: list[Bar]


@dataclass(frozen=True, slots=True)
class Lane:
    kind: str
    label: str
    rows: list[Row]


@dataclass(frozen=True, slots=True)
class Tick:
    x: str
    label: str
    anchor: str


@dataclass(frozen=True, slots=True)
class Timeline:
    """Lanes to be drawn. `hidden_rows` had no room, `now_x` is where now is, None after the end."""

    lanes: list[Lane]
    ticks: list[Tick]
    now_x: str | None
    hidden_rows: int
    length: str
    bar_height: int = BAR_HEIGHT


@dataclass(frozen=True, slots=True)
class Scale:
    """From moments to percent of the width."""

    start: datetime
    end: datetime

    def at(self, moment: datetime) -> float:
        whole = (self.end - self.start).total_seconds()
        return min(max((moment - self.start).total_seconds() / whole * 100, 0.0), 100.0)


def timeline_of(
    spans: Sequence[Span],
    *,
    started_at: datetime,
    ended_at: datetime | None,
    now: datetime,
    tasks: Sequence[OpenActivity],
) -> Timeline | None:
    """Lay out spans between the start of an execution and its end or now; None where there is nothing to draw."""
    if not spans:
        return None
    open_tasks = {task.seq: task for task in tasks}
    for span in spans:
        if span.state == OPEN:
            if span.lane == ACTIVITIES and (task := open_tasks.get(span.seq)) is not None:
                span.attempt, span.failed = task.attempt, list(_attempts(task, span))
            if ended_at is not None:
                span.end, span.state = max(ended_at, span.start), CANCELED
    end = ended_at or now
    scale = Scale(started_at, max([end, *(span.end for span in spans), started_at + timedelta(milliseconds=1)]))
    rows: dict[tuple[str, str], list[Span]] = defaultdict(list)
    for span in spans:
        rows[span.lane, span.name].append(span)
    shown = list(rows.items())[:MAX_ROWS]
    lanes = [
        Lane(kind, label, [_row(name, found, scale) for (lane, name), found in shown if lane == kind])
        for kind, label in (
            (SPANS, _("Spans")), (ACTIVITIES, _("Activities")), (CHILDREN, _("Children")), (EVENTS, _("Events")),
            (TIMERS, _("Timers")), (TURNS, _("Turns")),
        )
    ]  # fmt: skip
    return Timeline(
        lanes=[lane for lane in lanes if lane.rows],
        ticks=_ticks(scale),
        now_x=None if ended_at is not None else _percent(scale.at(now)),
        hidden_rows=len(rows) - len(shown),
        length=text.duration(scale.end - scale.start),
    )


def _attempts(task: OpenActivity, span: Span) -> Iterator[tuple[datetime, datetime]]:
    """Yield from when to when the attempts ran that failed."""
    for each in task.failures:
        started, failed = (datetime.fromtimestamp(each[name] / 1000, UTC) for name in ("started_ms", "failed_ms"))
        yield max(started, span.start), min(failed, span.end)


def _row(name: str, spans: Sequence[Span], scale: Scale) -> Row:
    ordered = sorted(spans, key=lambda span: (span.start, span.seq))
    if len(ordered) > GROUP_ABOVE:
        bars, tracks = _summary(ordered, scale), 1
    else:
        bars, tracks = _tracked(ordered, scale)
    return Row(text.last_part(name), name, len(ordered), tracks * TRACK_HEIGHT + 4, bars)


def _tracked(spans: Sequence[Span], scale: Scale) -> tuple[list[Bar], int]:
    """Place spans on the first track that is free; when all are taken, they share the last."""
    ends: list[float] = []
    bars = []
    for span in spans:
        left = min(scale.at(span.start), 100 - NARROWEST)
        right = max(scale.at(span.end), left + NARROWEST)
        track = next((place for place, end in enumerate(ends) if end <= left), len(ends))
        track = min(track, MAX_TRACKS - 1)
        ends[track : track + 1] = [right]
        bars.append(_bar(span, left, right, track, scale))
    return bars, len(ends)


def _bar(span: Span, left: float, right: float, track: int, scale: Scale) -> Bar:
    work = left if span.worked_from is None else min(max(scale.at(span.worked_from), left), right - NARROWEST / 2)
    return Bar(
        x=_percent(left),
        width=_percent(right - left),
        y=str(track * TRACK_HEIGHT + (TRACK_HEIGHT - BAR_HEIGHT) // 2 + 2),
        work_x=_percent(work),
        work_width=_percent(right - work),
        state=span.state,
        title=_title(span),
        seq=span.seq,
        failed=[
            (_percent(scale.at(start)), _percent(max(scale.at(end) - scale.at(start), NARROWEST)))
            for start, end in span.failed
        ],
        traced=span.traced,
    )


def _title(span: Span) -> str:
    words = {
        DONE: _("done"),
        FAILED: _("failed"),
        CANCELED: _("canceled"),
        OPEN: _("open"),
    }
    parts = [span.name, words[span.state], text.duration(span.end - span.start)]
    if span.attempt > 1:
        parts.append(_("attempt %(number)s") % {"number": span.attempt})
    if span.due is not None and span.state == OPEN:
        parts.append(_("due %(moment)s") % {"moment": f"{span.due:%Y-%m-%d %H:%M:%S} UTC"})
    if span.target:
        parts.append(span.target)
    if span.seq:
        parts.append(_("event %(seq)s") % {"seq": span.seq})
    return ", ".join(parts)


def _summary(spans: Sequence[Span], scale: Scale) -> list[Bar]:
    """Draw spans that touch as one bar each."""
    bars: list[Bar] = []
    together: list[Span] = []
    left = right = 0.0
    for span in spans:
        start, end = scale.at(span.start), scale.at(span.end)
        if together and start > right + NEAR:
            bars.append(_together(together, left, right))
            together = []
        if not together:
            left, right = start, end
        together.append(span)
        right = max(right, end)
    bars.append(_together(together, left, right))
    return bars


def _together(spans: Sequence[Span], left: float, right: float) -> Bar:
    failed = sum(span.state == FAILED for span in spans)
    is_open = sum(span.state == OPEN for span in spans)
    title = text.times(spans[0].name, len(spans))
    if failed:
        title += ", " + _("%(count)s failed") % {"count": failed}
    if is_open:
        title += ", " + _("%(count)s open") % {"count": is_open}
    state = FAILED if failed else OPEN if is_open else DONE
    left = min(left, 100 - NARROWEST)
    x, width = _percent(left), _percent(max(right - left, NARROWEST))
    y = str((TRACK_HEIGHT - BAR_HEIGHT) // 2 + 2)
    return Bar(x, width, y, x, width, state, title, spans[0].seq, traced=spans[0].traced)


def _ticks(scale: Scale) -> list[Tick]:
    whole = scale.end - scale.start
    anchors = {0: "start", TICKS: "end"}
    return [
        Tick(_percent(100 * place / TICKS), text.duration(whole * place / TICKS), anchors.get(place, "middle"))
        for place in range(TICKS + 1)
    ]


def _percent(value: float) -> str:
    return f"{value:.3f}".rstrip("0").rstrip(".") + "%"
