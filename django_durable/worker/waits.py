"""Spans of what an execution has waited for: timers, promises, queues and streams.

They are in the history, so nothing is kept of them. They are made for OpenTelemetry, once the turn is committed that
they ended with; when they began is asked of the history, as that may have been another worker's turn.
"""

from __future__ import annotations

from collections.abc import Sequence

from ..engine import events
from ..engine.events import Fact, HistoryEvent
from ..engine.spans import ERROR, OK, SpanRecord
from ..store import connections
from ..store.openings import Opening, load_openings
from ..store.records import ClaimedInstance

DONE = (events.TimerFired, events.PromiseCompleted, events.QueueEventDelivered, events.StreamItemsReceived)
FAILED = (events.PromiseFailed, events.PromiseExpired)
CALLED_OFF = (
    events.TimerCanceled,
    events.PromiseWithdrawn,
    events.QueueSubscriptionCanceled,
    events.StreamSubscriptionCanceled,
)
_WORDS = {
    "TimerCreated": "timer",
    "PromiseCreated": "promise",
    "QueueSubscribed": "queue",
    "StreamSubscribed": "stream",
}


def waits_of(claim: ClaimedInstance, ended: Sequence[HistoryEvent], *, using: str) -> list[SpanRecord]:
    """Return a span for each wait that ended with these events; one query, none where there is none.

    Where the database fails there are none: what was committed must not be undone by its trace.
    """
    facts = [event for event in ended if isinstance(event.fact, (*DONE, *FAILED, *CALLED_OFF))]
    seqs = {event.fact.source_seq for event in facts if event.fact.source_seq is not None}
    if not seqs:
        return []
    try:
        openings = load_openings(claim.id, claim.execution_number, seqs, using=using)
    except connections.DatabaseFault:
        connections.discard(using)
        return []
    found = [(event, openings.get(event.fact.source_seq or 0)) for event in facts]
    return [_span(event, opening) for event, opening in found if opening is not None]


def _span(event: HistoryEvent, opening: Opening) -> SpanRecord:
    word = _WORDS.get(opening.kind, opening.kind)
    return SpanRecord(
        span_id="",
        parent_id=None,
        kind="",
        name=f"{word} {opening.name}" if opening.name else word,
        seq=opening.seq,
        started_at=opening.recorded_at,
        ended_at=max(event.recorded_at, opening.recorded_at),
        status=ERROR if isinstance(event.fact, FAILED) else OK,
        message=_reason(event.fact),
        attributes={"canceled": True} if isinstance(event.fact, CALLED_OFF) else {},
    )


def _reason(fact: Fact) -> str:
    match fact:
        case events.PromiseFailed(failure=failure):
            return f"{failure.error_type}: {failure.message}"
        case events.PromiseExpired():
            return "Its deadline has passed."
        case _:
            return ""
