"""What takes time in an execution: spans, read from the outline of its history.

A span is opened by one event and ended by another. What no event has ended is what the execution waits for.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from django.utils.translation import gettext as _

from ..engine.facts.streams import FOLLOW
from ..engine.spans import ATTEMPT, ERROR, TURN, SpanRecord
from ..store.insight import EventOutline

ACTIVITIES, TIMERS, EVENTS, CHILDREN = "activity", "timer", "event", "child"
SPANS, TURNS = "span", "turn"
"""Lanes of what was traced beside the history."""

DONE, FAILED, CANCELED, OPEN = "done", "failed", "canceled", "open"


@dataclass(slots=True)
class Span:
    """Something that took from `start` to `end`.

    Attributes:
        worked_from: When the last attempt of an activity began.
        failed: From when to when the attempts ran that failed before; known of an open one, or where it was traced.
        traced: The id of the span that was traced beside the history, where it is one.
    """

    lane: str
    name: str
    seq: int
    start: datetime
    end: datetime
    state: str
    attempt: int = 1
    worked_from: datetime | None = None
    due: datetime | None = None
    target: str | None = None
    failed: list[tuple[datetime, datetime]] = field(default_factory=list)
    traced: str | None = None


@dataclass(slots=True)
class Waits:
    """What an execution has open, by the seq of the event that opened it."""

    activities: dict[int, Span] = field(default_factory=dict)
    timers: dict[int, Span] = field(default_factory=dict)
    children: dict[int, Span] = field(default_factory=dict)
    queues: dict[int, Span] = field(default_factory=dict)
    promises: dict[int, Span] = field(default_factory=dict)
    reads: dict[int, Span] = field(default_factory=dict)
    events: dict[str, deque[Span]] = field(default_factory=lambda: defaultdict(deque))

    def all(self) -> list[Span]:
        """Return everything open, in the order it was opened."""
        by_seq = (self.activities, self.timers, self.children, self.queues, self.promises, self.reads)
        found = [span for opened in by_seq for span in opened.values()]
        found += [span for waiting in self.events.values() for span in waiting]
        return sorted(found, key=lambda span: span.seq)


def spans_of(outline: Iterable[EventOutline], now: datetime) -> tuple[list[Span], Waits]:
    """Return everything that a history says took time, and what of it is open; open spans end now."""
    spans: list[Span] = []
    waits = Waits()
    for event in outline:
        made = _opened(event, now, waits) or _happened(event)
        if made is not None:
            spans.append(made)
        else:
            _close(event, waits)
    return spans, waits


def with_traced(spans: Iterable[Span], records: Iterable[SpanRecord], now: datetime) -> list[Span]:
    """Return the spans of a history with what was traced beside it: failed attempts, turns, and the author's spans."""
    found = list(spans)
    activities = {each.seq: each for each in found if each.lane == ACTIVITIES}
    for record in records:
        if record.kind == ATTEMPT:
            activity = activities.get(record.seq or 0)
            if activity is not None and record.status == ERROR and record.ended_at is not None:
                activity.failed.append((max(record.started_at, activity.start), min(record.ended_at, activity.end)))
            continue
        end = record.ended_at or max(now, record.started_at)
        state = OPEN if record.ended_at is None else FAILED if record.status == ERROR else DONE
        lane = TURNS if record.kind == TURN else SPANS
        found.append(Span(lane, record.name, record.seq or 0, record.started_at, end, state, traced=record.span_id))
    for activity in activities.values():
        # What failed for good is the last attempt, which is drawn as such.
        if activity.state == FAILED and activity.failed:
            activity.failed.pop()
    return found


def _opened(event: EventOutline, now: datetime, waits: Waits) -> Span | None:
    """Return the span that an event opens, and note that it is open."""

    def span(lane: str, name: str, **more: Any) -> Span:
        return Span(lane, name, event.seq, event.recorded_at, max(now, event.recorded_at), OPEN, **more)

    name = event.name or ""
    match event.kind:
        case "ActivityScheduled":
            made = waits.activities[event.seq] = span(ACTIVITIES, name)
        case "TimerCreated":
            fire_at = _moment(event.data.get("fire_at_ms"))
            made = waits.timers[event.seq] = span(TIMERS, _("timer"), due=fire_at)
        case "SubOrchestrationScheduled":
            made = waits.children[event.seq] = span(CHILDREN, name, target=event.data.get("instance_id"))
        case "ExternalSubscribed":
            made = span(EVENTS, name)
            waits.events[name].append(made)
        case "StreamSubscribed" if event.data.get("mode") == FOLLOW:
            return None  # It is told of each signal, and waits for none.
        case "StreamSubscribed":
            made = waits.reads[event.seq] = span(EVENTS, name)
        case "QueueSubscribed":
            made = waits.queues[event.seq] = span(EVENTS, name)
        case "PromiseCreated":
            made = waits.promises[event.seq] = span(EVENTS, name)
        case _:
            return None
    return made


def _happened(event: EventOutline) -> Span | None:
    """Return the point of an event that took no time and answers nothing."""
    if event.kind == "OrchestrationCancelRequested":
        return Span(EVENTS, _("cancel request"), event.seq, event.recorded_at, event.recorded_at, CANCELED)
    return None


def _close(event: EventOutline, waits: Waits) -> None:
    """Note that an event ends a span."""
    source = event.source_seq or 0
    match event.kind:
        case "ActivityCompleted":
            _end(waits.activities.pop(source, None), event, DONE)
        case "ActivityFailed":
            _end(waits.activities.pop(source, None), event, FAILED)
        case "ActivityCancelRequested":
            _end(waits.activities.pop(source, None), event, CANCELED)
        case "TimerFired":
            _end(waits.timers.pop(source, None), event, DONE)
        case "TimerCanceled":
            _end(waits.timers.pop(source, None), event, CANCELED)
        case "SubOrchestrationCompleted":
            _end(waits.children.pop(source, None), event, DONE)
        case "SubOrchestrationFailed":
            _end(waits.children.pop(source, None), event, FAILED)
        case "SubOrchestrationCancelRequested":
            if (child := waits.children.get(source)) is not None:
                child.state = CANCELED
        case "StreamItemsReceived":
            _end(waits.reads.pop(source, None), event, DONE)
        case "StreamSubscriptionCanceled":
            _end(waits.reads.pop(source, None), event, CANCELED)
        case "QueueEventDelivered":
            _end(waits.queues.pop(source, None), event, DONE)
        case "QueueSubscriptionCanceled":
            _end(waits.queues.pop(source, None), event, CANCELED)
        case "PromiseCompleted":
            _end(waits.promises.pop(source, None), event, DONE)
        case "PromiseFailed" | "PromiseExpired":
            _end(waits.promises.pop(source, None), event, FAILED)
        case "PromiseWithdrawn":
            _end(waits.promises.pop(source, None), event, CANCELED)
        case "ExternalEvent":
            waiting = waits.events[event.name or ""]
            _end(waiting.popleft() if waiting else None, event, DONE)
        case "ExternalSubscriptionCanceled":
            for waiting in waits.events.values():
                for span in [each for each in waiting if each.seq == source]:
                    waiting.remove(span)
                    _end(span, event, CANCELED)


def _end(span: Span | None, event: EventOutline, state: str) -> None:
    if span is None:
        return
    span.end, span.state = max(event.recorded_at, span.start), state
    span.attempt = event.data.get("attempt", 1)
    worked_from = _moment(event.data.get("started_ms"))
    if worked_from is not None:
        span.worked_from = min(max(worked_from, span.start), span.end)


def _moment(ms: Any) -> datetime | None:
    return datetime.fromtimestamp(ms / 1000, UTC) if isinstance(ms, int) else None
