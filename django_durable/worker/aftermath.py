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


def tasks_of(turn: Turn, eager: frozenset[int]) -> list[ClaimedTask]:
    """Return the tasks that the turn's commit inserted already leased to this worker."""
    return [_task(turn, event, event.fact) for event in turn.events if event.seq in eager and _schedules(event)]


def leaves_tasks(turn: Turn, eager: frozenset[int]) -> bool:
    """Tell whether the turn scheduled activities that wait to be claimed."""
    return any(_schedules(event) and event.seq not in eager for event in turn.events)


def makes_work(turn: Turn) -> bool:
    """Tell whether the turn wrote messages that are due: to children, a parent, or its own next execution."""
    kinds = (SubOrchestrationScheduled, SubOrchestrationCancelRequested, OrchestrationChained)
    return turn.ended is not None or any(isinstance(event.fact, kinds) for event in turn.events)


def due_of(turn: Turn) -> datetime | None:
    """Return when the first timer fires that the turn created."""
    timers = [event.fact.fire_at_ms for event in turn.events if isinstance(event.fact, TimerCreated)]
    return from_epoch_ms(min(timers)) if timers else None


def next_due(outcomes: Iterable[Outcome]) -> datetime | None:
    """Return when the first of the tasks is due again that are retried or deferred."""
    moments = [each.visible_at for each in outcomes if isinstance(each, Retry)]
    moments += [each.until for each in outcomes if isinstance(each, Defer)]
    return min(moments, default=None)
