"""Activity tasks: claiming them, recording how they ended, keeping their leases.

A task's row exists for as long as its outcome is due. `visible_at` is when it may be claimed: when it is due, or when the
lease of whoever runs it ends. A row that is gone tells whoever runs it that it was canceled, or that its instance was.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import F, Min

from ..conf import settings
from ..engine.errors import LeaseLost
from ..engine.events import ActivityCompleted, ActivityFailed, Payload
from ..models import ActivityTask, Instance
from . import sessions as session_store
from . import sql
from .inbox import Delivery, deliver
from .records import ClaimedTask, SessionLimits, TagFilter, TaskKey
from .transactions import write_transaction
from .wakeups import notify

Leased = tuple[TaskKey, int]
"""A task and the lease token it is held by."""

_KEY = "instance_id = %s AND execution_number = %s AND seq = %s"


def claim_activities(
    worker_id: str,
    *,
    tags: TagFilter,
    limit: int,
    lease: timedelta,
    now: datetime,
    sessions: SessionLimits | None = None,
    using: str | None = None,
) -> list[ClaimedTask]:
    """Lease up to `limit` tasks that are due, highest priority first, then longest due.

    Tasks of a session are only given to the worker that owns it; an unowned session becomes this worker's, up to
    `sessions.max_sessions` of them. Without `sessions` no such task is given.
    Writes: ActivityTask (lease), Session; one transaction, none when nothing is due.
    """
    using = using or settings.DATABASE
    connection = connections[using]
    if limit <= 0 or not (tags.any or tags.untagged or tags.names):
        return []
    due = _due(connection, tags, sessions, worker_id, limit, now)
    if not due:
        return []
    with write_transaction(using):
        wanted = session_store.take_sessions(connection, worker_id, due, sessions, lease, now)
        return _lease(connection, worker_id, wanted, lease, now)


def _due(
    connection: BaseDatabaseWrapper,
    tags: TagFilter,
    sessions: SessionLimits | None,
    worker_id: str,
    limit: int,
    now: datetime,
) -> list[tuple[TaskKey, str]]:
    """Return `(key, session id)` of what is due and not in a session that somebody else owns."""
    at = sql.moment(connection, now)
    served = sorted(tags.names) + ([""] if tags.untagged else [])
    by_tag = "TRUE" if tags.any else f"t.tag IN ({sql.marks(served)})"
    by_session = session_store.SERVABLE if sessions is not None else "t.session_id = ''"
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            SELECT t.instance_id, t.execution_number, t.seq, t.session_id FROM {sql.table(ActivityTask)} t
            WHERE {by_tag} AND t.visible_at <= %s AND {by_session}
            ORDER BY t.priority DESC, t.visible_at LIMIT %s
            """,
            [*([] if tags.any else served), at, *([at, worker_id] if sessions is not None else []), limit],
        )
        return [(TaskKey(*key), session) for *key, session in cursor.fetchall()]


def _lease(
    connection: BaseDatabaseWrapper, worker_id: str, keys: Sequence[TaskKey], lease: timedelta, now: datetime
) -> list[ClaimedTask]:
    if not keys:
        return []
    picked = " OR ".join([f"({_KEY})"] * len(keys))
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            UPDATE {sql.table(ActivityTask)}
            SET lease_owner = %s, lease_token = lease_token + 1, deliveries = deliveries + 1, visible_at = %s
            WHERE (instance_id, execution_number, seq) IN (
                SELECT instance_id, execution_number, seq FROM {sql.table(ActivityTask)}
                WHERE ({picked}) AND visible_at <= %s
                ORDER BY instance_id, execution_number, seq {sql.skip_locked(connection)}
            )
            RETURNING instance_id, execution_number, seq, name, input, tag, session_id, attempt, deliveries, retry,
                      start_to_close_ms, expires_at, failures, heartbeat, lease_token, created_at, priority
            """,
            [
                worker_id,
                sql.moment(connection, now + lease),
                *(value for key in keys for value in key),
                sql.moment(connection, now),
            ],
        )
        rows = cursor.fetchall()
    rows.sort(key=lambda row: (-row[16], *row[:3]))
    instances = Instance.objects.using(connection.alias).filter(id__in={row[0] for row in rows})
    names = {each[0]: each[1:] for each in instances.values_list("id", "instance_id", "orchestration", "version")}
    return [_claimed(row, names[row[0]]) for row in rows if row[0] in names]


def _claimed(row: tuple[Any, ...], instance: tuple[str, str, str]) -> ClaimedTask:
    instance_id, orchestration, version = instance
    created_at = sql.read_moment(row[15])
    assert created_at is not None
    return ClaimedTask(
        key=TaskKey(*row[:3]),
        instance_id=instance_id,
        orchestration=orchestration,
        version=version,
        name=row[3],
        input=row[4],
        tag=row[5] or None,
        session_id=row[6] or None,
        attempt=row[7],
        deliveries=row[8],
        retry=json.loads(row[9]) if row[9] else None,
        start_to_close_ms=row[10],
        expires_at=sql.read_moment(row[11]),
        failures=json.loads(row[12]) if row[12] else [],
        heartbeat=row[13],
        lease_token=row[14],
        created_at=created_at,
    )


def finish_activities(
    finished: Sequence[tuple[TaskKey, int, ActivityCompleted | ActivityFailed]],
    now: datetime,
    *,
    using: str | None = None,
) -> set[TaskKey]:
    """Record outcomes and deliver them to the instances' inboxes; one transaction.

    Returns: tasks whose lease was lost or that are gone. Their outcomes count for nothing; drop them.
    Writes: ActivityTask (deleted, guarded by token), InboxMessage.
    """
    using = using or settings.DATABASE
    lost: set[TaskKey] = set()
    with write_transaction(using) as connection:
        deliveries = []
        for key, token, fact in sorted(finished, key=lambda each: each[0]):
            if _delete(connection, key, token):
                deliveries.append(Delivery(key.instance, fact, key.execution))
            else:
                lost.add(key)
        deliver(connection, deliveries, now)
        if deliveries:
            notify(using, work=True)
    return lost


def _delete(connection: BaseDatabaseWrapper, key: TaskKey, token: int) -> bool:
    with connection.cursor() as cursor:
        cursor.execute(f"DELETE FROM {sql.table(ActivityTask)} WHERE {_KEY} AND lease_token = %s", [*key, token])
        return bool(cursor.rowcount)


def lock_activity(key: TaskKey, token: int, *, using: str | None = None) -> None:
    """Lock a task's row until the transaction that is open ends, so that nobody else can claim it.

    Raises: LeaseLost: the lease is no longer held. Leave the transaction by raising; nothing of it may be kept.
    """
    using = using or settings.DATABASE
    rows = _rows(key, token, using)
    if not rows.select_for_update().exists():
        raise LeaseLost(f"activity task {key.seq} of instance {key.instance}")


def finish_activity_in_transaction(
    key: TaskKey, token: int, fact: ActivityCompleted | ActivityFailed, now: datetime, *, using: str | None = None
) -> None:
    """Record one outcome in the transaction that is open, with whatever else it writes.

    Raises: LeaseLost: as `lock_activity`.
    Writes: ActivityTask (deleted, guarded by token), InboxMessage.
    """
    using = using or settings.DATABASE
    connection = connections[using]
    if not _delete(connection, key, token):
        raise LeaseLost(f"activity task {key.seq} of instance {key.instance}")
    deliver(connection, [Delivery(key.instance, fact, key.execution)], now)
    notify(using, work=True)


def retry_activities(
    retried: Iterable[tuple[TaskKey, int, datetime, Payload]], *, using: str | None = None
) -> None:
    """Make failed tasks due again at a time, with their failures so far; those whose lease is lost stay as they are.

    Writes: ActivityTask (guarded by token); one transaction.
    """
    using = using or settings.DATABASE
    with write_transaction(using):
        for key, token, visible_at, failures in sorted(retried):
            _rows(key, token, using).update(
                attempt=F("attempt") + 1, visible_at=visible_at, failures=failures, lease_owner=None
            )
        notify(using, work=True)


def hand_back(leased: Iterable[Leased], now: datetime, *, using: str | None = None) -> None:
    """Give tasks that were not run to whoever wants them, now; it does not count as a delivery.

    Writes: ActivityTask (guarded by token); one transaction.
    """
    using = using or settings.DATABASE
    with write_transaction(using):
        for key, token in sorted(leased):
            _rows(key, token, using).update(visible_at=now, lease_owner=None, deliveries=F("deliveries") - 1)
        notify(using, work=True)


def defer(leased: Iterable[Leased], until: datetime, now: datetime, *, using: str | None = None) -> None:
    """Give tasks back that this worker cannot run, not to be claimed before `until`. Writes: as `hand_back`."""
    using = using or settings.DATABASE
    with write_transaction(using):
        for key, token in sorted(leased):
            _rows(key, token, using).update(visible_at=until, lease_owner=None, deliveries=F("deliveries") - 1)


def _rows(key: TaskKey, token: int, using: str) -> Any:
    return ActivityTask.objects.using(using).filter(
        instance_id=key.instance, execution_number=key.execution, seq=key.seq, lease_token=token
    )


def renew_activities(
    worker_id: str, leased: Mapping[TaskKey, int], lease: timedelta, now: datetime, *, using: str | None = None
) -> set[TaskKey]:
    """Extend the leases of all tasks of this worker; one statement.

    Returns: those of `leased` that are gone or somebody else's: canceled, or taken over. Tell whoever runs them.
    Writes: ActivityTask (guarded by owner).
    """
    using = using or settings.DATABASE
    ActivityTask.objects.using(using).filter(lease_owner=worker_id, visible_at__gt=now).update(visible_at=now + lease)
    return find_lost(leased, using=using)


def find_lost(leased: Mapping[TaskKey, int], *, using: str | None = None) -> set[TaskKey]:
    """Return those of `leased` that are gone or held by another token; one query."""
    if not leased:
        return set()
    using = using or settings.DATABASE
    connection = connections[using]
    picked = " OR ".join([f"({_KEY})"] * len(leased))
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT instance_id, execution_number, seq, lease_token FROM {sql.table(ActivityTask)} WHERE {picked}",
            [value for key in leased for value in key],
        )
        found = {TaskKey(*key): token for *key, token in cursor.fetchall()}
    return {key for key, token in leased.items() if found.get(key) != token}


def record_heartbeat(
    key: TaskKey, token: int, details: Payload, lease: timedelta, now: datetime, *, using: str | None = None
) -> bool:
    """Store what a running activity reports, and extend its lease. Returns: whether the lease is still held.

    Writes: ActivityTask (guarded by token).
    """
    using = using or settings.DATABASE
    return bool(_rows(key, token, using).update(heartbeat=details, visible_at=now + lease))


def next_due_activity(now: datetime, *, using: str | None = None) -> datetime | None:
    """Return when the next task becomes due that is not yet: a retry, or a lease that ends."""
    rows = ActivityTask.objects.using(using or settings.DATABASE).filter(visible_at__gt=now)
    due: datetime | None = rows.aggregate(due=Min("visible_at"))["due"]
    return due
