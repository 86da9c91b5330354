"""Spans of what an execution has waited for: timers, events, children, promises, queues and streams.

They are in the history, so nothing is kept of them. They are made for OpenTelemetry, once the turn is committed that
they ended with; when they began is asked of the history, as that may have been another worker's turn.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..engine import events
from ..engine.events import Fact, HistoryEvent
from ..engine.spans import ERROR, OK, SpanRecord
from ..store import connections
from ..store.openings import Opening, load_openings
from ..store.records import ClaimedInstance

DONE = (
    events.TimerFired,
    events.ExternalEvent,
    events.SubOrchestrationCompleted,
    events.PromiseCompleted,
    events.QueueEventDelivered,
    events.StreamItemsReceived,
)
FAILED = (events.SubOrchestrationFailed, events.PromiseFailed, events.PromiseExpired)
CALLED_OFF = (
    events.TimerCanceled,
    events.ExternalSubscriptionCanceled,
    events.SubOrchestrationCancelRequested,
    events.PromiseWithdrawn,
    events.QueueSubscriptionCanceled,
    events.StreamSubscriptionCanceled,
)
_WORDS = {
    "TimerCreated": "timer",
    "ExternalSubscribed": "event",
    "SubOrchestrationScheduled": "child",
    "PromiseCreated": "promise",
    "QueueSubscribed": "queue",
    "StreamSubscribed": "stream",
}


def waits_of(
    claim: ClaimedInstance, ended: Sequence[HistoryEvent], heard: Mapping[int, int], *, using: str
) -> list[SpanRecord]:
    """Return a span for each wait that ended with these events; one query, none where there is none.

    Where the database fails there are none: what was committed must not be undone by its trace.

    Args:
        heard: The waits that external events ended, by the seq of the event.
    """
    sources = [
        (event, seq)
        for event in ended
        if isinstance(event.fact, (*DONE, *FAILED, *CALLED_OFF))
        and (seq := event.fact.source_seq or heard.get(event.seq)) is not None
    ]
    if not sources:
        return []
    try:
        openings = load_openings(claim.id, claim.execution_number, {seq for _, seq in sources}, using=using)
    except connections.DatabaseFault:
        connections.discard(using)
        return []
    return [_span(event, openings[seq]) for event, seq in sources if seq in openings]


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
        case events.PromiseFailed(failure=failure) | events.SubOrchestrationFailed(failure=failure):
            return f"{failure.error_type}: {failure.message}"
        case events.PromiseExpired():
            return "Its deadline has passed."
        case _:
            return ""
