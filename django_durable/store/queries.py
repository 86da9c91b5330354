"""What is read of instances. Payloads leave this layer as JSON text; whoever asked decodes them.

Every read names what it costs: a status is one query, a page is one query however many instances there are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import connections
from django.db.models import F, FilteredRelation, Q, QuerySet

from .. import models
from ..engine.errors import InstanceNotFound, InvalidArgument
from ..engine.events import HistoryEvent, Payload, fact_from_columns, failure_from_payload
from ..engine.failures import Failure
from ..engine.program import Checkpoint
from ..engine.states import ExecutionStatus, RuntimeStatus
from . import sql
from .filters import PAGE_SIZE, InstanceFilter, checked_limit, matching


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusRecord:
    """What a caller may know of an instance without reading its history. `id` is the surrogate key."""

    id: int
    instance_id: str
    orchestration: str
    version: str
    runtime_status: RuntimeStatus
    execution_number: int
    output: Payload | None
    failure: Failure | None
    custom_status: Payload | None
    custom_status_version: int
    revision: int
    blocked_reason: Failure | None
    created_at: datetime
    started_at: datetime | None
    updated_at: datetime
    completed_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class InstanceSummary:
    """One instance as a row of a list. `worker_id` is who holds its lease, `custom_status` is JSON text."""

    id: int
    instance_id: str
    orchestration: str
    version: str
    runtime_status: RuntimeStatus
    execution_number: int
    history_length: int
    parent_instance_id: str | None
    root_instance_id: str | None
    custom_status: Payload | None
    custom_status_version: int
    revision: int
    blocked_reason: Failure | None
    worker_id: str | None
    created_at: datetime
    started_at: datetime | None
    updated_at: datetime
    completed_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class InstanceInfo(InstanceSummary):
    """One instance with the payloads of its current execution, as JSON text."""

    input: Payload
    output: Payload | None
    failure: Failure | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecutionInfo:
    """One execution; payloads are JSON text. `output` is None where it continued as new."""

    instance_id: str
    number: int
    version: str
    status: ExecutionStatus
    input: Payload
    output: Payload | None
    failure: Failure | None
    event_count: int
    started_at: datetime
    completed_at: datetime | None


@dataclass(frozen=True, slots=True)
class InstancePage:
    """Some instances, newest first. `next_cursor` asks for those after them; None on the last page."""

    items: list[InstanceSummary]
    next_cursor: str | None


@dataclass(frozen=True, slots=True)
class InstanceTree:
    """An instance and all its descendants, parents before children. `root_id` is the id that was asked for."""

    root_id: str
    nodes: list[InstanceSummary]

    @property
    def all_ids(self) -> list[str]:
        return [node.instance_id for node in self.nodes]

    @property
    def size(self) -> int:
        return len(self.nodes)


def hides_commits(using: str) -> bool:
    """Tell whether this thread is inside a transaction, which may not see what others commit from now on."""
    return connections[using].in_atomic_block


# One instance.


def status_of(instance_id: str, *, using: str) -> StatusRecord:
    """Read an instance's status by one query.

    Raises: InstanceNotFound.
    """
    # In SQL, as everything that is polled: building this query costs the ORM twenty times what SQLite takes to run it.
    found = sql.fetch(
        connections[using],
        f"""
        SELECT {STATUS_COLUMNS}
        FROM {sql.table(models.Instance)} i
        JOIN {sql.table(models.Execution)} e ON e.instance_id = i.id AND e.number = i.execution_number
        WHERE i.instance_id = %s
        """,
        [instance_id],
    )
    if not found:
        raise InstanceNotFound(instance_id)
    return status_record(found[0])


STATUS_COLUMNS = (
    "i.id, i.instance_id, i.orchestration, i.version, i.runtime_status, i.execution_number, e.output, e.failure, "
    "i.custom_status, i.custom_status_version, i.revision, i.blocked_reason, i.created_at, i.started_at, i.updated_at, "
    "i.completed_at"
)
"""What `status_record` takes, of an instance `i` and its current execution `e`."""


def status_record(row: Sequence[Any]) -> StatusRecord:
    """Return a raw row of `STATUS_COLUMNS` as a record."""
    id, instance_id, orchestration, version, status, number, output, failure, *shown = row
    custom_status, custom_status_version, revision, blocked, created_at, started_at, updated_at, completed_at = shown
    return StatusRecord(
        id=id,
        instance_id=instance_id,
        orchestration=orchestration,
        version=version,
        runtime_status=RuntimeStatus(status),
        execution_number=number,
        output=output,
        failure=_failure(failure),
        custom_status=custom_status,
        custom_status_version=custom_status_version,
        revision=revision,
        blocked_reason=_failure(blocked),
        created_at=_moment(created_at),
        started_at=sql.read_moment(started_at),
        updated_at=_moment(updated_at),
        completed_at=sql.read_moment(completed_at),
    )


def info_of(instance_id: str, *, using: str) -> InstanceInfo:
    """Read an instance and its current payloads by one query.

    Raises: InstanceNotFound.
    """
    row = (
        models.Instance.objects.using(using)
        .filter(instance_id=instance_id)
        .alias(current=FilteredRelation("executions", condition=Q(executions__number=F("execution_number"))))
        .annotate(input=F("current__input"), output=F("current__output"), failure=F("current__failure"))
        .values(*_SUMMARY, "input", "output", "failure")
        .first()
    )
    if row is None:
        raise InstanceNotFound(instance_id)
    return InstanceInfo(**_summary_values(row))


def page_of(filter: InstanceFilter, *, limit: int | None = None, cursor: str | None = None, using: str) -> InstancePage:
    """Read one page of instances, newest first, by one query; nothing is counted.

    Args:
        limit: Instances per page; else the filter's, else 100.
        cursor: `next_cursor` of the page before.
    Raises: InvalidArgument: a limit or cursor that cannot be.
    """
    size = checked_limit(limit) if limit is not None else filter.limit or PAGE_SIZE
    found = matching(filter, using=using)
    if cursor is not None:
        if not (isinstance(cursor, str) and cursor.isascii() and cursor.isdecimal() and len(cursor) < 19):
            raise InvalidArgument(f"The cursor is {cursor!r:.80}, expected one that came with another page.")
        found = found.filter(id__lt=int(cursor))
    rows = list(found.order_by("-id").values(*_SUMMARY)[: size + 1])
    items = [InstanceSummary(**_summary_values(row)) for row in rows[:size]]
    return InstancePage(items, str(items[-1].id) if len(rows) > size else None)


def instance_ids(filter: InstanceFilter, *, using: str) -> list[str]:
    """Read the ids of all instances that match, oldest first; the filter's limit holds if it has one."""
    found = matching(filter, using=using).order_by("id").values_list("instance_id", flat=True)
    return list(found[: filter.limit] if filter.limit else found)


def tree_of(instance_id: str, *, using: str) -> InstanceTree:
    """Read an instance and all its descendants by two queries.

    Raises: InstanceNotFound.
    """
    found = models.Instance.objects.using(using).filter(instance_id=instance_id).values_list("id", "root_id").first()
    if found is None:
        raise InstanceNotFound(instance_id)
    id, root = found
    members = models.Instance.objects.using(using).filter(Q(id=id) | Q(root=root or id)).order_by("id")
    wanted: set[int] = {id}
    nodes = []
    for row in members.values(*_SUMMARY, "parent_id"):
        # Children come after their parents: their surrogate ids are higher.
        if row["id"] == id or row["parent_id"] in wanted:
            wanted.add(row["id"])
            nodes.append(InstanceSummary(**_summary_values(row)))
    return InstanceTree(instance_id, nodes)


# Executions and histories.


def execution_numbers(instance_id: str, *, using: str) -> list[int]:
    """Read which executions an instance has, ascending; those pruned are missing. One query.

    Raises: InstanceNotFound.
    """
    rows = models.Execution.objects.using(using).filter(instance__instance_id=instance_id)
    numbers = list(rows.order_by("number").values_list("number", flat=True))
    if not numbers:
        raise InstanceNotFound(instance_id)
    return numbers


def execution_of(instance_id: str, number: int | None = None, *, using: str) -> ExecutionInfo:
    """Read one execution, by default the current one.

    Raises: InstanceNotFound. InvalidArgument: the instance has no such execution; the message lists those it has.
    """
    row = (
        _executions(instance_id, number, using)
        .values_list(
            "number", "version", "status", "input", "output", "failure", "event_count", "instance__history_length",
            "started_at", "completed_at",
        )
        .first()
    )  # fmt: skip
    if row is None:
        raise _no_execution(instance_id, number, using)
    number, version, status, input, output, failure, ended_with, length, started_at, completed_at = row
    return ExecutionInfo(
        instance_id=instance_id,
        number=number,
        version=version,
        status=ExecutionStatus(status),
        input=input,
        output=output,
        failure=_failure(failure),
        event_count=length if ended_with is None else ended_with,
        started_at=started_at,
        completed_at=completed_at,
    )


def history_of(
    instance_id: str, number: int | None = None, *, after: int = 0, limit: int | None = None, using: str
) -> list[HistoryEvent]:
    """Read the events of one execution, by default the current one, in order.

    Args:
        after: Only events with a higher seq.
        limit: At most so many.
    Raises: InstanceNotFound. InvalidArgument: the instance has no such execution.
    """
    found = _executions(instance_id, number, using).values_list("instance_id", "number").first()
    if found is None:
        raise _no_execution(instance_id, number, using)
    rows = (
        models.HistoryEvent.objects.using(using)
        .filter(instance_id=found[0], execution_number=found[1], seq__gt=after)
        .order_by("seq")
        .values_list("seq", "recorded_at", "kind", "name", "source_seq", "payload", "data")
    )
    if limit is not None:
        rows = rows[:limit]
    return [
        HistoryEvent(seq, recorded_at, fact_from_columns(kind, name, source_seq, payload, data))
        for seq, recorded_at, kind, name, source_seq, payload, data in rows
    ]


def checkpoint_of(instance_id: str, number: int | None, *, using: str) -> Checkpoint | None:
    """Read the checkpoint of one execution, by default the current one. Raises: as `history_of`."""
    found = _executions(instance_id, number, using).values_list("checkpoint_seq", "checkpoint").first()
    if found is None:
        raise _no_execution(instance_id, number, using)
    seq, state = found
    return None if seq is None or state is None else Checkpoint(seq, state)


def _executions(instance_id: str, number: int | None, using: str) -> QuerySet[models.Execution]:
    number_wanted = F("instance__execution_number") if number is None else number
    return models.Execution.objects.using(using).filter(instance__instance_id=instance_id, number=number_wanted)


def _no_execution(instance_id: str, number: int | None, using: str) -> Exception:
    known = execution_numbers(instance_id, using=using)
    return InvalidArgument(
        f"Instance {instance_id!r} has no execution {number}; it has {_ranges(known)}. Older ones may have been pruned."
    )


def _ranges(numbers: list[int]) -> str:
    return f"{numbers[0]}" if len(numbers) == 1 else f"{len(numbers):,} from {numbers[0]} to {numbers[-1]}"


# KV entries.


# Rows to records.

_SUMMARY = (
    "id", "instance_id", "orchestration", "version", "runtime_status", "execution_number", "history_length",
    "parent__instance_id", "root__instance_id", "custom_status", "custom_status_version", "revision",
    "blocked_reason", "lease_owner", "created_at", "started_at", "updated_at", "completed_at",
)  # fmt: skip


def _summary_values(row: dict[str, Any]) -> dict[str, Any]:
    row.pop("parent_id", None)
    row["parent_instance_id"] = row.pop("parent__instance_id")
    row["root_instance_id"] = row.pop("root__instance_id")
    row["worker_id"] = row.pop("lease_owner")
    row["runtime_status"] = RuntimeStatus(row["runtime_status"])
    row["blocked_reason"] = _failure(row["blocked_reason"])
    if "failure" in row:
        row["failure"] = _failure(row["failure"])
    return row


def _failure(payload: Payload | None) -> Failure | None:
    return None if payload is None else failure_from_payload(payload)


def _moment(value: Any) -> datetime:
    found = sql.read_moment(value)
    assert found is not None
    return found
