"""Ending instances at once, without asking their code: terminate, and cancel where the code cannot be asked.

Whoever runs a turn of such an instance loses it, because the lease token moves on; its activity tasks are deleted,
which tells whoever runs them. What a worker writes at the end of an instance is written here in the same way, and the
history gets the fact that ended it.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import F, OuterRef, Q, Subquery

from .. import models
from ..engine.errors import IllegalTransition, InstanceNotFound, LeaseLost
from ..engine.events import (
    Fact,
    OrchestrationCanceled,
    OrchestrationCancelRequested,
    OrchestrationStarted,
    OrchestrationTerminated,
    SubOrchestrationFailed,
    failure_to_payload,
)
from ..engine.failures import Failure
from ..engine.states import CLAIMABLE, ExecutionStatus, Move, RuntimeStatus, sources
from . import instances, sql, trees, wakeups
from .inbox import Delivery, deliver
from .transactions import write_transaction

_STARTED = OrchestrationStarted.__name__
PARENT_ENDED = "parent ended"
_OPEN = Q(completed_at__isnull=True)
_EVENT = ("instance_id", "execution_number", "seq", "kind", "name", "source_seq", "payload", "data", "recorded_at")


def terminate_instance(instance_id: str, reason: str | None = None, *, now: datetime, using: str) -> None:
    """End an instance at once as Terminated, and with it every descendant that has not finished.

    A parent is told that its child failed.
    Raises: InstanceNotFound. IllegalTransition: it has finished.
    Writes: Instance (guarded by status), Execution, HistoryEvent, InboxMessage, ActivityTask; one transaction.
    """
    with write_transaction(using) as connection:
        row = instances.locked(instance_id, Move.TERMINATE, using=using)
        below = [each for each in trees.descendants([row.id], using=using) if each.live]
        _end(connection, [row, *below], Move.TERMINATE, OrchestrationTerminated(reason=reason), now)


def cancel_instance(instance_id: str, reason: str | None = None, *, now: datetime, using: str) -> None:
    """Ask an instance to end; its code gets the chance to compensate.

    One that is Suspended is resumed for it. One that is Blocked, or whose delayed start is not due, ends at once as
    Canceled, and its children are canceled.
    Raises: InstanceNotFound. IllegalTransition: it has finished.
    Writes: InboxMessage; where it is Suspended, Blocked or not due also as `terminate_instance`.
    """
    with write_transaction(using) as connection:
        target = instances.target_of(instance_id, action="cancel", using=using)
        due = target.earliest is None or target.earliest <= now
        if due and target.runtime_status in CLAIMABLE:
            request = OrchestrationCancelRequested(reason=reason)
            deliver(connection, [Delivery(target.id, request, visible_at=target.visible_at(now))], now)
            wakeups.notify(using, work=True)
            return
        rows = trees.lock(Q(id=target.id), using=using)
        if not rows:
            raise InstanceNotFound(instance_id)
        if not rows[0].live:
            raise IllegalTransition(instance_id, "cancel", rows[0].runtime_status, instances.LIVE)
        _cancel(connection, rows, reason, now, due=due)


def _cancel(
    connection: BaseDatabaseWrapper,
    rows: Sequence[trees.Locked],
    reason: str | None,
    now: datetime,
    *,
    due: bool = True,
) -> None:
    """Cancel instances that are locked: ask those whose code can run, end the others and cancel their children."""
    using = connection.alias
    asked: list[trees.Locked] = []
    ended: list[trees.Locked] = []
    for row in rows:
        if row.runtime_status is RuntimeStatus.SUSPENDED:
            instances.resume(row, now=now, using=using)
        (asked if due and row.runtime_status is not RuntimeStatus.BLOCKED else ended).append(row)
    deliver(connection, [Delivery(row.id, OrchestrationCancelRequested(reason=reason)) for row in asked], now)
    wakeups.notify(using, work=bool(asked), instances=[row.id for row in asked])
    if ended:
        _end(connection, ended, Move.CANCEL, OrchestrationCanceled(output="null", reason=reason), now)
        children = [
            child
            for part in trees.chunks([row.id for row in ended])
            for child in trees.lock(_OPEN & Q(parent__in=part), using=using)
        ]
        if children:
            _cancel(connection, children, PARENT_ENDED, now)


def _end(connection: BaseDatabaseWrapper, rows: Sequence[trees.Locked], move: Move, fact: Fact, now: datetime) -> None:
    """End instances that are locked, by a move that is legal for each. A constant number of statements."""
    started = _append(connection, rows, fact, now)
    ids = [row.id for row in rows]
    for part in trees.chunks(ids):
        _close(connection, part, started, move, fact, now)
    _tell_parents(connection, rows, fact, now)
    wakeups.notify(connection.alias, work=True, instances=ids)


def _append(connection: BaseDatabaseWrapper, rows: Sequence[trees.Locked], fact: Fact, now: datetime) -> set[int]:
    """Append the fact to each history. Returns: the instances whose start, not taken by any turn, stands before it.

    A history begins with `OrchestrationStarted`, also that of an execution that never had a turn.
    """
    at = sql.moment(connection, now)
    fresh = {row.id: row.execution_number for row in rows if row.history_length == 0}
    starts = {}
    for part in trees.chunks(fresh):
        unread = models.InboxMessage.objects.using(connection.alias).filter(
            instance__in=part, kind=OrchestrationStarted.__name__
        )
        for id, number, *columns in unread.values_list(
            "instance_id", "execution_number", "kind", "name", "source_seq", "payload", "data"
        ):
            if number == fresh[id]:
                starts[id] = (id, number, 1, *columns, at)
    ends = [
        (row.id, row.execution_number, row.history_length + 1 + (row.id in starts), *fact.columns(), at) for row in rows
    ]
    sql.insert_rows(connection, models.HistoryEvent, _EVENT, [*starts.values(), *ends])
    return set(starts)


def _close(
    connection: BaseDatabaseWrapper, ids: list[int], started: set[int], move: Move, fact: Fact, now: datetime
) -> None:
    using = connection.alias
    status = RuntimeStatus.TERMINATED if move is Move.TERMINATE else RuntimeStatus.CANCELED
    updated = 0
    for appended, some in ((2, started.intersection(ids)), (1, set(ids) - started)):
        found = models.Instance.objects.using(using).filter(id__in=some, runtime_status__in=sorted(sources(move)))
        updated += found.update(
            runtime_status=status,
            blocked_reason=None,
            history_length=F("history_length") + appended,
            lease_token=F("lease_token") + 1,
            lease_owner=None,
            lease_until=None,
            revision=F("revision") + 1,
            updated_at=now,
            completed_at=now,
        )
    if updated != len(ids):
        raise LeaseLost(f"{len(ids) - updated} of {len(ids)} instances that were locked")
    length = models.Instance.objects.filter(pk=OuterRef("instance_id")).values("history_length")
    models.Execution.objects.using(using).filter(instance__in=ids, status=ExecutionStatus.RUNNING).update(
        status=status.value,
        completed_at=now,
        output=getattr(fact, "output", None),
        failure=failure_to_payload(_failure(fact)),
        event_count=Subquery(length),
        checkpoint=None,
        checkpoint_seq=None,
    )
    # Tasks first: the outcome of one that was just recorded is then among the messages.
    for model in (models.ActivityTask, models.InboxMessage):
        trees.delete_rows(model.objects.using(using).filter(instance__in=ids))


def _tell_parents(connection: BaseDatabaseWrapper, rows: Sequence[trees.Locked], fact: Fact, now: datetime) -> None:
    """Tell each parent that still runs that its child failed. Those that ended in the same move need not know."""
    ended = {row.id for row in rows}
    children = [row for row in rows if row.parent is not None and row.parent not in ended]
    parents = models.Instance.objects.using(connection.alias).filter(
        _OPEN, id__in={row.parent for row in children if row.parent is not None}
    )
    waiting = set(parents.values_list("id", flat=True)) if children else set()
    deliveries = []
    for row in children:
        if row.parent in waiting and row.parent_seq is not None:
            failed = SubOrchestrationFailed(scheduled_seq=row.parent_seq, failure=_failure(fact, row.instance_id))
            deliveries.append(Delivery(row.parent, failed, row.parent_execution))
    deliver(connection, deliveries, now)


def _failure(fact: Fact, child: str | None = None) -> Failure:
    """Return how an end that the code was not asked about is recorded; for a parent, with the child's id."""
    what = "The instance" if child is None else f"Sub-orchestration {child!r}"
    terminated = isinstance(fact, OrchestrationTerminated)
    kind, verb = ("Terminated", "terminated") if terminated else ("CancelledError", "canceled")
    reason = getattr(fact, "reason", None)
    return Failure(kind, f"{what} was {verb}" + (f": {reason}" if reason else "."))
