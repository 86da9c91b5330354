"""What follows from a committed turn for the worker that made it. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from ..engine.durations import from_epoch_ms
from ..engine.events import (
    ActivityScheduled,
    HistoryEvent,
    OrchestrationChained,
    SubOrchestrationCancelRequested,
    SubOrchestrationScheduled,
    TimerCreated,
)
from ..store.records import ClaimedTask, TaskKey
from .outcomes import Defer, Outcome, Retry
from .turns import Turn

EAGER_TOKEN = 1
"""The lease token with which a commit inserts the tasks that its worker starts at once."""


def tasks_of(turn: Turn, eager: frozenset[int]) -> list[ClaimedTask]:
    """Return the tasks that the turn's commit inserted already leased to this worker."""
    return [
        _task(turn, event, event.fact)
        for event in turn.events
        if event.seq in eager and isinstance(event.fact, ActivityScheduled)
    ]


def leaves_tasks(turn: Turn, eager: frozenset[int]) -> bool:
    """Tell whether the turn scheduled activities that wait to be claimed."""
    return any(isinstance(event.fact, ActivityScheduled) and event.seq not in eager for event in turn.events)


def makes_work(turn: Turn) -> bool:
    """Tell whether the turn wrote messages that are due: to children, a parent, or its own next execution."""
    kinds = (SubOrchestrationScheduled, SubOrchestrationCancelRequested, OrchestrationChained)
    return turn.ended is not None or any(isinstance(event.fact, kinds) for event in turn.events)


def due_of(turn: Turn) -> datetime | None:
    """Return when the first timer fires that the turn created."""
    timers = [event.fact.fire_at_ms for event in turn.events if isinstance(event.fact, TimerCreated)]
    return from_epoch_ms(min(timers)) if timers else None


def _task(turn: Turn, event: HistoryEvent, fact: ActivityScheduled) -> ClaimedTask:
    expires_at = None
    if fact.schedule_to_close_ms is not None:
        expires_at = event.recorded_at + timedelta(milliseconds=fact.schedule_to_close_ms)
    return ClaimedTask(
        key=TaskKey(turn.claim.id, turn.claim.execution_number, event.seq),
        instance_id=turn.claim.instance_id,
        orchestration=turn.claim.orchestration,
        version=turn.claim.version,
        name=fact.name,
        input=fact.input,
        tag=fact.tag,
        session_id=fact.session_id,
        attempt=1,
        deliveries=1,
        retry=fact.retry,
        start_to_close_ms=fact.start_to_close_ms,
        expires_at=expires_at,
        failures=[],
        heartbeat=None,
        lease_token=EAGER_TOKEN,
        created_at=event.recorded_at,
        traceparent=turn.claim.traceparent,
    )


def next_due(outcomes: Iterable[Outcome]) -> datetime | None:
    """Return when the first of the tasks is due again that are retried or deferred."""
    moments = [each.visible_at for each in outcomes if isinstance(each, Retry)]
    moments += [each.until for each in outcomes if isinstance(each, Defer)]
    return min(moments, default=None)
