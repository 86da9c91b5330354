"""Committing turns: everything a batch of turns asks for, in one transaction, or each alone where the batch fails.

Every instance is written by a guarded UPDATE: it names the lease token, the owner, a lease that is not over, the status
and the place in the history that the turn started from. A guard that misses means that somebody else has the instance;
nothing of that turn is written.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from django.db import DatabaseError, InterfaceError, OperationalError
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import F

from ..conf import settings
from ..engine import events
from ..engine.errors import Failure, InstanceAlreadyExists, LeaseLost, type_name
from ..engine.events import failure_to_payload
from ..engine.states import MOVES, TERMINAL, ExecutionStatus, Move, RuntimeStatus
from ..models import ActivityTask, Execution, HistoryEvent, InboxMessage, Instance, KeyValue, QueuedEvent
from . import sql
from .effects import ENDS, Effects, derived_seed, outcome_for_parent
from .inbox import Delivery, deliver
from .records import TurnCommit, TurnOutcome
from .starts import NewInstance, insert_instances
from .transactions import write_transaction
from .wakeups import notify

_HISTORY = (
    *("instance_id", "execution_number", "seq", "kind", "name", "source_seq", "payload", "data"),
    "recorded_at",
)
_TASK = (
    *("instance_id", "execution_number", "seq", "name", "input", "tag", "session_id", "priority"),
    *("attempt", "deliveries", "retry", "start_to_close_ms", "expires_at", "visible_at"),
    *("lease_token", "lease_owner", "created_at"),
)
_TURN = {
    **dict.fromkeys(("id", "token", "execution", "length"), "bigint"),
    **{"status": "text", "ends": "bigint", "next_version": "text", "next_execution": "bigint", "next_length": "bigint"},
    **{"shows": "bigint", "shown": "text", "keeps": "bigint"},
}
_LEASED_TASK = dict.fromkeys(("instance_id", "execution_number", "seq", "lease_token"), "bigint")
_CLAIMABLE = sorted(MOVES[Move.TURN])


def commit_turns(
    worker_id: str, commits: Sequence[TurnCommit], *, lease: timedelta, now: datetime, using: str | None = None
) -> list[TurnOutcome]:
    """Write turns, all in one transaction; where that fails, each in its own, so that one harms only itself.

    Returns: one outcome per commit, in order. LOST: drop the turn; completions it took are still due.
    Raises: OperationalError and the like when the database itself fails; what was committed is unknown, claim again.
    Writes: Instance (guarded), HistoryEvent, ActivityTask, InboxMessage, Execution, KeyValue, QueuedEvent; and
        Instance, Execution, InboxMessage of the orchestrations that were started.
    """
    using = using or settings.DATABASE
    try:
        _commit(worker_id, commits, lease, now, using)
    except (OperationalError, InterfaceError):
        raise
    except (DatabaseError, LeaseLost, ValueError) as error:
        if len(commits) == 1:
            return [TurnOutcome.LOST if isinstance(error, LeaseLost) else TurnOutcome(error)]
        return [
            outcome
            for commit in commits
            for outcome in commit_turns(worker_id, [commit], lease=lease, now=now, using=using)
        ]
    return [TurnOutcome.COMMITTED] * len(commits)


def _commit(worker_id: str, commits: Sequence[TurnCommit], lease: timedelta, now: datetime, using: str) -> None:
    with write_transaction(using) as connection:
        effects = Effects(connection, worker_id, now, lease)
        ordered = sorted(commits, key=lambda commit: commit.instance)
        for commit in ordered:
            effects.add(commit)
        _update_instances(connection, worker_id, ordered, lease, now)
        _finish_tasks(connection, effects)
        sql.insert_rows(connection, HistoryEvent, _HISTORY, effects.history)
        sql.insert_rows(connection, ActivityTask, _TASK, effects.tasks)
        sql.delete_by_id(connection, InboxMessage, effects.consumed)
        sql.delete_by_id(connection, QueuedEvent, effects.dequeued)
        _end(connection, effects)
        _start_children(connection, effects)
        _cancel_children(connection, effects)
        insert_instances(connection, effects.chained, now)
        deliver(connection, effects.deliveries, now)
        _drop_canceled(connection, effects)
        _write_entries(connection, effects)
        _notify(using, effects, ordered)


def _update_instances(
    connection: BaseDatabaseWrapper, worker_id: str, commits: Sequence[TurnCommit], lease: timedelta, now: datetime
) -> None:
    """Update every instance by one guarded statement. Raises: LeaseLost: a guard missed."""
    at, until = sql.moment(connection, now), sql.moment(connection, now + lease)
    source, params = sql.values(connection, _TURN, [_new_state(commit) for commit in commits])
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            UPDATE {sql.table(Instance)} AS i
            SET runtime_status = turn.status, version = COALESCE(turn.next_version, version),
                execution_number = turn.next_execution, history_length = turn.next_length,
                custom_status = CASE WHEN turn.shows = 1 THEN turn.shown ELSE custom_status END,
                custom_status_version = custom_status_version + turn.shows, revision = revision + 1,
                lease_owner = CASE WHEN turn.keeps = 1 THEN lease_owner END,
                lease_until = CASE WHEN turn.keeps = 1 THEN %s END,
                completed_at = CASE WHEN turn.ends = 1 THEN %s END,
                started_at = COALESCE(started_at, %s), updated_at = %s, turn_attempts = 0
            FROM ({source}) AS turn
            WHERE i.id = turn.id AND i.lease_token = turn.token AND i.lease_owner = %s AND i.lease_until > %s
              AND i.execution_number = turn.execution AND i.history_length = turn.length
              AND i.runtime_status IN ({sql.marks(_CLAIMABLE)})
            """,
            [until, at, at, at, *params, worker_id, at, *_CLAIMABLE],
        )
        if cursor.rowcount != len(commits):
            raise LeaseLost(f"{len(commits) - cursor.rowcount} of {len(commits)} instances")


def _new_state(commit: TurnCommit) -> tuple[Any, ...]:
    """Return the guard of a turn and what its instance is after it, in the order of `_TURN`."""
    shown = [each.fact for each in commit.events if isinstance(each.fact, events.CustomStatusUpdated)]
    end, execution, length = _end_of(commit), commit.execution_number, commit.history_length + len(commit.events)
    if commit.next_start is not None:
        execution, length = execution + 1, 0
    return (
        *(commit.instance, commit.lease_token, commit.execution_number, commit.history_length),
        *(end.value, int(end in TERMINAL), commit.next_version, execution, length),
        *(int(bool(shown)), shown[-1].value if shown else None, int(commit.keep_lease)),
    )


def _end_of(commit: TurnCommit) -> RuntimeStatus:
    last = commit.events[-1].fact if commit.events else None
    return ENDS.get(type(last), RuntimeStatus.RUNNING) if last is not None else RuntimeStatus.RUNNING


def _finish_tasks(connection: BaseDatabaseWrapper, effects: Effects) -> None:
    if not effects.finished_tasks:
        return
    source, params = sql.values(connection, _LEASED_TASK, effects.finished_tasks)
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            DELETE FROM {sql.table(ActivityTask)}
            WHERE (instance_id, execution_number, seq, lease_token) IN ({source}) AND lease_owner = %s
            """,
            [*params, effects.worker_id],
        )
        if cursor.rowcount != len(effects.finished_tasks):
            raise LeaseLost("an activity task")


def _end(connection: BaseDatabaseWrapper, effects: Effects) -> None:
    """Close executions that ended, tell parents, cancel what a bad end cancels, start what continues as new."""
    if effects.ended or effects.continued:
        _close_executions(connection, effects)
    if effects.ended:
        _tell_parents(connection, effects)
        ids = [commit.instance for commit, _ in effects.ended]
        _execute(connection, f"DELETE FROM {sql.table(InboxMessage)} WHERE instance_id IN ({sql.marks(ids)})", ids)
    bad = [commit.instance for commit, fact in effects.ended if not isinstance(fact, events.OrchestrationCompleted)]
    if bad:
        _execute(connection, f"DELETE FROM {sql.table(ActivityTask)} WHERE instance_id IN ({sql.marks(bad)})", bad)
        cancel_children_of(connection, bad, effects.deliveries)


def cancel_children_of(connection: BaseDatabaseWrapper, parents: Sequence[int], deliveries: list[Delivery]) -> None:
    """Add a cancel request for every open child of `parents` (surrogate ids) to `deliveries`."""
    rows = Instance.objects.using(connection.alias).filter(parent_id__in=parents, completed_at__isnull=True)
    canceled = events.OrchestrationCancelRequested(reason="parent ended")
    deliveries += [Delivery(pk, canceled) for pk in rows.values_list("id", flat=True)]


def _close_executions(connection: BaseDatabaseWrapper, effects: Effects) -> None:
    at = sql.moment(connection, effects.now)
    rows: list[tuple[Any, ...]] = []
    for commit, fact in effects.ended:
        output = getattr(fact, "output", None)
        failure = failure_to_payload(fact.failure) if isinstance(fact, events.OrchestrationFailed) else None
        count = commit.history_length + len(commit.events)
        rows.append((ENDS[type(fact)].value, output, failure, at, count, commit.instance, commit.execution_number))
    for commit in effects.continued:
        count = commit.history_length + len(commit.events)
        ended = ExecutionStatus.CONTINUED_AS_NEW.value
        rows.append((ended, None, None, at, count, commit.instance, commit.execution_number))
    with connection.cursor() as cursor:
        cursor.executemany(
            f"""
            UPDATE {sql.table(Execution)}
            SET status = %s, output = %s, failure = %s, completed_at = %s, event_count = %s
            WHERE instance_id = %s AND number = %s
            """,
            rows,
        )
        if effects.continued:
            cursor.executemany(
                f"DELETE FROM {sql.table(InboxMessage)} WHERE instance_id = %s AND execution_number = %s",
                [(commit.instance, commit.execution_number) for commit in effects.continued],
            )
    _start_next_executions(connection, effects, at)


def _start_next_executions(connection: BaseDatabaseWrapper, effects: Effects, at: Any) -> None:
    rows = []
    for commit in effects.continued:
        start, number = commit.next_start, commit.execution_number + 1
        assert start is not None
        rows.append((commit.instance, number, start.version, ExecutionStatus.RUNNING.value, start.input, at))
        effects.deliveries.append(Delivery(commit.instance, start, number))
    sql.insert_rows(
        connection, Execution, ("instance_id", "number", "version", "status", "input", "started_at"), rows
    )


def _tell_parents(connection: BaseDatabaseWrapper, effects: Effects) -> None:
    facts = {commit.instance: (commit.instance_id, fact) for commit, fact in effects.ended}
    rows = Instance.objects.using(connection.alias).filter(id__in=list(facts), parent_id__isnull=False)
    for pk, parent, execution, seq in rows.values_list("id", "parent_id", "parent_execution", "parent_seq"):
        instance_id, fact = facts[pk]
        effects.deliveries.append(Delivery(parent, outcome_for_parent(fact, instance_id, seq), execution))


def _start_children(connection: BaseDatabaseWrapper, effects: Effects) -> None:
    """Create children; one whose id is taken fails at its parent."""
    if not effects.children:
        return
    parents = Instance.objects.using(connection.alias).filter(id__in={each.instance for each, _, _ in effects.children})
    roots = dict(parents.values_list("id", "root_id"))
    rows = [
        NewInstance(
            instance_id=fact.instance_id,
            orchestration=fact.name,
            version=fact.version,
            input=fact.input,
            seed=derived_seed(commit, seq),
            parent=commit.instance,
            parent_instance_id=commit.instance_id,
            parent_execution=commit.execution_number,
            parent_seq=seq,
            root=roots[commit.instance] or commit.instance,
        )
        for commit, seq, fact in effects.children
    ]
    created = insert_instances(connection, rows, effects.now)
    for row in rows:
        if created.pop(row.instance_id, None) is None:
            assert row.parent is not None and row.parent_seq is not None
            failure = Failure(
                type_name(InstanceAlreadyExists),
                f"The id {row.instance_id!r} is taken by another instance. Choose another id, or none.",
            )
            failed = events.SubOrchestrationFailed(scheduled_seq=row.parent_seq, failure=failure)
            effects.deliveries.append(Delivery(row.parent, failed, row.parent_execution))


def _cancel_children(connection: BaseDatabaseWrapper, effects: Effects) -> None:
    if not effects.canceled_children:
        return
    wanted = set(effects.canceled_children)
    rows = Instance.objects.using(connection.alias).filter(
        instance_id__in=[instance_id for _, instance_id in wanted], completed_at__isnull=True
    )
    canceled = events.OrchestrationCancelRequested(reason="parent canceled")
    for pk, parent, instance_id in rows.values_list("id", "parent_id", "instance_id"):
        if (parent, instance_id) in wanted:
            effects.deliveries.append(Delivery(pk, canceled))


def _drop_canceled(connection: BaseDatabaseWrapper, effects: Effects) -> None:
    with connection.cursor() as cursor:
        if effects.dropped_tasks:
            cursor.executemany(
                f"DELETE FROM {sql.table(ActivityTask)} WHERE instance_id = %s AND execution_number = %s AND seq = %s",
                effects.dropped_tasks,
            )
        if effects.dropped_timers:
            cursor.executemany(
                f"""
                DELETE FROM {sql.table(InboxMessage)}
                WHERE instance_id = %s AND execution_number = %s AND source_seq = %s AND kind = 'TimerFired'
                """,
                effects.dropped_timers,
            )


def _write_entries(connection: BaseDatabaseWrapper, effects: Effects) -> None:
    if effects.dropped_entries:
        with connection.cursor() as cursor:
            cursor.executemany(
                f"DELETE FROM {sql.table(KeyValue)} WHERE instance_id = %s AND key = %s",
                sorted(effects.dropped_entries),
            )
    sql.insert_rows(
        connection,
        KeyValue,
        ("instance_id", "key", "value", "updated_at"),
        [(pk, key, value, at) for (pk, key), (value, at) in effects.entries.items()],
        "ON CONFLICT (instance_id, key) DO UPDATE SET value = excluded.value, updated_at = excluded.updated_at",
    )


def _notify(using: str, effects: Effects, commits: Sequence[TurnCommit]) -> None:
    open_tasks = any(row[14] == 0 for row in effects.tasks)
    changed = [commit.instance for commit in commits if _is_visible(commit)]
    work = open_tasks or bool(effects.deliveries or effects.children or effects.chained)
    notify(using, work=work, instances=changed)


def _is_visible(commit: TurnCommit) -> bool:
    """Tell whether clients may be waiting for what the turn changed."""
    shown = (events.CustomStatusUpdated, events.KeyValueSet, events.KeyValueCleared, events.KeyValuesCleared)
    return _end_of(commit) in TERMINAL or any(isinstance(each.fact, shown) for each in commit.events)


def block_instances(
    worker_id: str, blocked: Sequence[tuple[int, int, Failure]], now: datetime, *, using: str | None = None
) -> set[int]:
    """Park instances whose code is missing or has diverged, with the reason; their messages stay.

    Args:
        blocked: `(instance, lease token, reason)`.
    Returns: the instances whose lease was lost; nothing was changed of those.
    Writes: Instance (guarded), InboxMessage (held); one transaction.
    """
    using = using or settings.DATABASE
    lost = set()
    with write_transaction(using):
        for pk, token, failure in sorted(blocked, key=lambda each: each[0]):
            updated = Instance.objects.using(using).filter(
                id=pk, lease_token=token, lease_owner=worker_id, runtime_status__in=sorted(MOVES[Move.BLOCK])
            ).update(
                runtime_status=RuntimeStatus.BLOCKED,
                blocked_reason=failure_to_payload(failure),
                lease_owner=None,
                lease_until=None,
                turn_attempts=0,
                updated_at=now,
                revision=F("revision") + 1,
            )
            if updated:
                InboxMessage.objects.using(using).filter(instance_id=pk, held=False).update(held=True)
            else:
                lost.add(pk)
        notify(using, work=False, instances=[pk for pk, _, _ in blocked if pk not in lost])
    return lost




def _execute(connection: BaseDatabaseWrapper, statement: str, params: Sequence[Any]) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement, params)
