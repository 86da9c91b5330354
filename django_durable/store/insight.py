"""What operators look at: one instance, by its surrogate id, with everything it has open.

Everything here is bounded: lists have a limit, and a payload is read as far as it is shown.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Case, Count, F, Q, TextField, Value, When
from django.db.models.functions import Length, Substr

from .. import models
from ..engine import events
from ..engine.states import ExecutionStatus, RuntimeStatus

# Kinds whose data says what a timeline shows, and is small.
_TELLING = (
    events.ActivityCompleted.__name__,
    events.ActivityFailed.__name__,
    events.TimerCreated.__name__,
    events.SubOrchestrationScheduled.__name__,
    events.StreamSubscribed.__name__,
)


@dataclass(frozen=True, slots=True)
class Excerpt:
    """The beginning of a text, and how many characters all of it has."""

    text: str
    length: int

    @property
    def complete(self) -> bool:
        return len(self.text) >= self.length


@dataclass(frozen=True, slots=True, kw_only=True)
class EventOutline:
    """One event of a history. `data` is what a timeline needs of it; empty for kinds of which it needs nothing."""

    seq: int
    recorded_at: datetime
    kind: str
    name: str | None
    source_seq: int | None
    data: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class EventRow:
    """One event of a history as a row of a table. `data` is JSON text, as `payload` is."""

    seq: int
    recorded_at: datetime
    kind: str
    name: str | None
    source_seq: int | None
    payload: Excerpt | None
    data: Excerpt | None


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenActivity:
    """An activity whose outcome is not recorded. `visible_at` is when it may be claimed, or when its lease ends.

    Attributes:
        failures: Failed attempts so far, oldest first, as `error_type` and `message`.
        heartbeat: JSON text.
    """

    execution_number: int
    seq: int
    name: str
    tag: str
    session_id: str
    attempt: int
    failures: list[dict[str, Any]]
    heartbeat: Excerpt | None
    worker_id: str | None
    visible_at: datetime
    expires_at: datetime | None
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitingMessage:
    """A message that no turn has taken. `kind` is that of its fact; a timer is visible when it is due."""

    kind: str
    name: str | None
    execution_number: int | None
    source_seq: int | None
    visible_at: datetime
    held: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class QueuedPayload:
    """A queued event that nothing has dequeued."""

    queue: str
    payload: Excerpt
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A KV entry, its value as JSON text."""

    key: str
    value: Excerpt
    updated_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecutionOutline:
    """One execution with the beginnings of its payloads; `failure` is JSON text, too."""

    number: int
    version: str
    status: ExecutionStatus
    input: Excerpt
    output: Excerpt | None
    failure: Excerpt | None
    event_count: int | None
    started_at: datetime
    completed_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Relative:
    """A member of an instance's tree; `parent` is the surrogate id of its parent."""

    id: int
    parent: int | None
    instance_id: str
    orchestration: str
    version: str
    runtime_status: RuntimeStatus
    created_at: datetime
    completed_at: datetime | None


def outline_of(instance: int, execution: int, *, limit: int, using: str) -> list[EventOutline]:
    """Read the last events of one execution, in order, without payloads. One query."""
    telling = Case(When(kind__in=_TELLING, then=F("data")), default=Value(None), output_field=TextField())
    rows = (
        models.HistoryEvent.objects.using(using)
        .filter(instance=instance, execution_number=execution)
        .order_by("-seq")
        .values_list("seq", "recorded_at", "kind", "name", "source_seq", telling)[:limit]
    )
    return [
        EventOutline(
            seq=seq, recorded_at=at, kind=kind, name=name, source_seq=source, data=json.loads(data) if data else {}
        )
        for seq, at, kind, name, source, data in reversed(rows)
    ]


def events_of(
    instance: int, execution: int, *, before: int | None, limit: int, characters: int, using: str
) -> list[EventRow]:
    """Read the last events of one execution, in order, or the last before a seq. One query.

    Args:
        characters: Of each payload at most.
    """
    found = models.HistoryEvent.objects.using(using).filter(instance=instance, execution_number=execution)
    if before is not None:
        found = found.filter(seq__lt=before)
    rows = found.order_by("-seq").values_list(
        "seq", "recorded_at", "kind", "name", "source_seq", *_cut("payload", characters), *_cut("data", characters)
    )[:limit]
    return [
        EventRow(
            seq=seq,
            recorded_at=at,
            kind=kind,
            name=name,
            source_seq=source,
            payload=_excerpt(payload, payload_length),
            data=_excerpt(data, data_length),
        )
        for seq, at, kind, name, source, payload, payload_length, data, data_length in reversed(rows)
    ]


def open_activities_of(instance: int, *, limit: int, characters: int, using: str) -> list[OpenActivity]:
    """Read the activity tasks of an instance, oldest first. One query."""
    rows = (
        models.ActivityTask.objects.using(using)
        .filter(instance=instance)
        .order_by("execution_number", "seq")
        .values_list(
            "execution_number", "seq", "name", "tag", "session_id", "attempt", "failures", "lease_owner", "visible_at",
            "expires_at", "created_at", *_cut("heartbeat", characters),
        )
    )  # fmt: skip
    return [
        OpenActivity(
            execution_number=number,
            seq=seq,
            name=name,
            tag=tag,
            session_id=session,
            attempt=attempt,
            failures=json.loads(failures) if failures else [],
            heartbeat=_excerpt(heartbeat, length),
            worker_id=worker,
            visible_at=visible_at,
            expires_at=expires_at,
            created_at=created_at,
        )
        for number, seq, name, tag, session, attempt, failures, worker, visible_at, expires_at, created_at, heartbeat,
        length in rows[:limit]
    ]  # fmt: skip


def messages_of(instance: int, *, limit: int, using: str) -> list[WaitingMessage]:
    """Read an instance's inbox, what is due first leading. One query."""
    rows = (
        models.InboxMessage.objects.using(using)
        .filter(instance=instance)
        .order_by("visible_at", "id")
        .values("kind", "name", "execution_number", "source_seq", "visible_at", "held")
    )
    return [WaitingMessage(**row) for row in rows[:limit]]


def queued_of(instance: int, *, limit: int, characters: int, using: str) -> list[QueuedPayload]:
    """Read what nothing has dequeued yet, by queue, oldest first. One query."""
    rows = (
        models.QueuedEvent.objects.using(using)
        .filter(instance=instance)
        .order_by("queue", "id")
        .values_list("queue", "created_at", *_cut("payload", characters))
    )
    return [
        QueuedPayload(queue=queue, payload=Excerpt(text, length), created_at=created_at)
        for queue, created_at, text, length in rows[:limit]
    ]


def queue_lengths_of(instances: Collection[int], *, using: str) -> dict[int, int]:
    """Count what nothing has dequeued, by instance; those with nothing are missing. One query."""
    found = models.QueuedEvent.objects.using(using).filter(instance__in=instances).order_by()
    return dict(found.values_list("instance").annotate(waiting=Count("id")))


def entries_of(instance: int, *, characters: int, using: str) -> list[Entry]:
    """Read an instance's KV entries, by key. One query."""
    found = models.KeyValue.objects.using(using).filter(instance=instance).order_by("key")
    rows = found.values_list("key", "updated_at", *_cut("value", characters))
    return [Entry(key=key, value=Excerpt(text, length), updated_at=at) for key, at, text, length in rows]


def executions_of(instance: int, *, limit: int, characters: int, using: str) -> list[ExecutionOutline]:
    """Read an instance's executions, newest first. `event_count` is None for one that runs. One query."""
    rows = (
        models.Execution.objects.using(using)
        .filter(instance=instance)
        .order_by("-number")
        .values_list(
            "number", "version", "status", "event_count", "started_at", "completed_at", *_cut("input", characters),
            *_cut("output", characters), *_cut("failure", characters),
        )
    )  # fmt: skip
    return [_execution(row) for row in rows[:limit]]


def relatives_of(instance: int, root: int | None, *, limit: int, using: str) -> list[Relative]:
    """Read the tree that an instance is in, parents before children. One query."""
    top = root or instance
    rows = (
        models.Instance.objects.using(using)
        .filter(Q(id=top) | Q(root=top))
        .order_by("id")
        .values_list(
            "id", "parent_id", "instance_id", "orchestration", "version", "runtime_status", "created_at", "completed_at"
        )
    )
    return [
        Relative(
            id=id,
            parent=parent,
            instance_id=instance_id,
            orchestration=orchestration,
            version=version,
            runtime_status=RuntimeStatus(status),
            created_at=created_at,
            completed_at=completed_at,
        )
        for id, parent, instance_id, orchestration, version, status, created_at, completed_at in rows[:limit]
    ]


def _cut(column: str, characters: int) -> tuple[Substr, Length]:
    return Substr(column, 1, characters), Length(column)


def _excerpt(text: str | None, length: int | None) -> Excerpt | None:
    return None if text is None or length is None else Excerpt(text, length)


def _execution(row: Sequence[Any]) -> ExecutionOutline:
    number, version, status, event_count, started_at, completed_at, *payloads = row
    input, input_length, output, output_length, failure, failure_length = payloads
    return ExecutionOutline(
        number=number,
        version=version,
        status=ExecutionStatus(status),
        input=Excerpt(input, input_length),
        output=_excerpt(output, output_length),
        failure=_excerpt(failure, failure_length),
        event_count=event_count,
        started_at=started_at,
        completed_at=completed_at,
    )
