"""What the events of turns do to the tables, gathered so that a batch of turns costs a constant number of statements."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper

from ..engine import events
from ..engine.durations import from_epoch_ms
from ..engine.errors import Failure
from ..engine.events import HistoryEvent
from ..engine.states import RuntimeStatus
from . import sql
from .inbox import Delivery
from .records import TaskKey, TurnCommit
from .starts import NewInstance

ENDS: dict[type[events.Fact], RuntimeStatus] = {
    events.OrchestrationCompleted: RuntimeStatus.COMPLETED,
    events.OrchestrationFailed: RuntimeStatus.FAILED,
    events.OrchestrationCanceled: RuntimeStatus.CANCELED,
}


@dataclass(slots=True)
class Effects:
    """Rows to write, by table and kind of write. Filled by `add`, carried out by `turns`."""

    connection: BaseDatabaseWrapper
    worker_id: str
    now: datetime
    lease: timedelta
    history: list[tuple[Any, ...]] = field(default_factory=list)
    tasks: list[tuple[Any, ...]] = field(default_factory=list)
    finished_tasks: list[tuple[Any, ...]] = field(default_factory=list)
    dropped_tasks: list[TaskKey] = field(default_factory=list)
    consumed: list[int] = field(default_factory=list)
    dequeued: list[int] = field(default_factory=list)
    deliveries: list[Delivery] = field(default_factory=list)
    dropped_timers: list[tuple[int, int, int]] = field(default_factory=list)
    children: list[tuple[TurnCommit, int, events.SubOrchestrationScheduled]] = field(default_factory=list)
    canceled_children: list[tuple[int, str]] = field(default_factory=list)
    chained: list[NewInstance] = field(default_factory=list)
    entries: dict[tuple[int, str], tuple[str, Any]] = field(default_factory=dict)
    dropped_entries: set[tuple[int, str]] = field(default_factory=set)
    ended: list[tuple[TurnCommit, events.Fact]] = field(default_factory=list)
    continued: list[TurnCommit] = field(default_factory=list)

    def add(self, commit: TurnCommit) -> None:
        """Gather everything one turn writes, its guarded instance row excepted."""
        self.consumed += commit.consumed
        self.dequeued += commit.dequeued
        self.finished_tasks += [(*key, token) for key, token in commit.finished_tasks]
        for event in commit.events:
            self._add_history(commit, event)
            self._add_effect(commit, event, event.fact)

    def _add_history(self, commit: TurnCommit, event: HistoryEvent) -> None:
        at = sql.moment(self.connection, event.recorded_at)
        self.history.append((commit.instance, commit.execution_number, event.seq, *event.fact.columns(), at))

    def _add_effect(self, commit: TurnCommit, event: HistoryEvent, fact: events.Fact) -> None:
        pk, execution = commit.instance, commit.execution_number
        match fact:
            case events.ActivityScheduled():
                self.tasks.append(self._task(commit, event, fact))
            case events.ActivityCancelRequested(scheduled_seq=seq):
                self.dropped_tasks.append(TaskKey(pk, execution, seq))
            case events.TimerCreated(fire_at_ms=due):
                fired = events.TimerFired(timer_seq=event.seq)
                self.deliveries.append(Delivery(pk, fired, execution, from_epoch_ms(due)))
            case events.TimerCanceled(timer_seq=seq):
                self.dropped_timers.append((pk, execution, seq))
            case events.SubOrchestrationScheduled():
                self.children.append((commit, event.seq, fact))
            case events.SubOrchestrationCancelRequested(instance_id=child):
                self.canceled_children.append((pk, child))
            case events.OrchestrationChained():
                self.chained.append(self._chained(commit, event, fact))
            case events.KeyValueSet(key=key, value=value):
                self.entries[pk, key] = (value, sql.moment(self.connection, event.recorded_at))
                self.dropped_entries.discard((pk, key))
            case events.KeyValueCleared(key=key):
                self._drop_entries(pk, (key,))
            case events.KeyValuesCleared(keys=keys):
                self._drop_entries(pk, keys)
            case events.OrchestrationContinuedAsNew():
                self.continued.append(commit)
            case events.OrchestrationCompleted() | events.OrchestrationFailed() | events.OrchestrationCanceled():
                self.ended.append((commit, fact))
            case _:
                pass  # In the history only.

    def _drop_entries(self, pk: int, keys: tuple[str, ...]) -> None:
        for key in keys:
            self.entries.pop((pk, key), None)
            self.dropped_entries.add((pk, key))

    def _task(self, commit: TurnCommit, event: HistoryEvent, fact: events.ActivityScheduled) -> tuple[Any, ...]:
        eager = event.seq in commit.eager
        expires_at = None
        if fact.schedule_to_close_ms is not None:
            expires_at = event.recorded_at + timedelta(milliseconds=fact.schedule_to_close_ms)
        return (
            *(commit.instance, commit.execution_number, event.seq, fact.name, fact.input),
            *(fact.tag or "", fact.session_id or "", fact.priority, 1, int(eager)),
            *(json.dumps(fact.retry) if fact.retry else None, fact.start_to_close_ms),
            sql.moment(self.connection, expires_at),
            sql.moment(self.connection, self.now + self.lease if eager else self.now),
            *(int(eager), self.worker_id if eager else None),
            sql.moment(self.connection, event.recorded_at),
        )

    def _chained(self, commit: TurnCommit, event: HistoryEvent, fact: events.OrchestrationChained) -> NewInstance:
        return NewInstance(
            instance_id=fact.instance_id,
            orchestration=fact.name,
            version=fact.version,
            input=fact.input,
            seed=derived_seed(commit, event.seq),
        )


def derived_seed(commit: TurnCommit, seq: int) -> str:
    """Return the seed of an instance that another one starts: unique, as surrogate ids are never used again."""
    return f"{commit.instance}:{commit.execution_number}:{seq}"


def outcome_for_parent(fact: events.Fact, instance_id: str, seq: int) -> events.Fact:
    """Return what a parent is told of a child's end."""
    match fact:
        case events.OrchestrationCompleted(output=output):
            return events.SubOrchestrationCompleted(scheduled_seq=seq, result=output)
        case events.OrchestrationFailed(failure=failure):
            return events.SubOrchestrationFailed(scheduled_seq=seq, failure=failure)
        case events.OrchestrationCanceled(reason=reason):
            text = f"Sub-orchestration {instance_id!r} was canceled" + (f": {reason}" if reason else ".")
            return events.SubOrchestrationFailed(scheduled_seq=seq, failure=Failure("CancelledError", text))
        case _:
            raise TypeError(f"{fact.kind} does not end an instance.")
