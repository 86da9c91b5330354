"""Activity tasks: claiming them, recording how they ended, keeping their leases.

A task's row exists for as long as its outcome is due. `visible_at` is when it may be claimed: when it is due, or when
the lease of whoever runs it ends. A row that is gone tells whoever runs it that it, or its instance, was canceled.

Every write names the lease token. Claiming a task and giving it back both move the token on, so that whoever had the
task before can write nothing any more; and what ran is only recorded while its lease is not over.

Nothing locks a row for as long as an activity runs: its lease must be renewable and the activity cancelable meanwhile.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper

from ..conf import settings
from ..engine.errors import LeaseLost
from ..engine.events import ActivityCompleted, ActivityFailed, Payload
from ..models import ActivityTask, Instance
from . import sessions as session_store, sql
from .due import Due, due_tasks, served_tags
from .inbox import Delivery, deliver
from .records import ClaimedTask, SessionLimits, TagFilter, TaskKey
from .spans import SpanOf, write_spans
from .transactions import write_transaction
from .wakeups import notify

Leased = tuple[TaskKey, int]
"""A task and the lease token it is held by."""

WINDOW = 4
"""How many times the tasks wanted are looked at: others look at the same ones, and take some."""

LOOKS = 3
"""How often a claim looks again because others took what it had found, or because it may not have the session."""

_PLACE = "instance bigint, execution bigint, seq bigint"
_LEASED = f"{_PLACE}, token bigint"
_ORDERED = f"{_PLACE}, place bigint"
_GIVEN_BACK = f"{_LEASED}, visible_at timestamptz, attempts bigint, failures text"
_SAME = "t.instance_id = given.instance AND t.execution_number = given.execution AND t.seq = given.seq"
_RETURNED = (
    "instance_id, execution_number, seq, name, input, tag, session_id, attempt, deliveries, retry, start_to_close_ms, "
    "expires_at, failures, heartbeat, lease_token, created_at"
)
_OF_INSTANCE = ("id", "instance_id", "orchestration", "version", "traceparent")


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
    Returns: the tasks, in that order. Fewer than `limit` means that there are no more for this worker, except where
        others claim at the same time.
    Writes: ActivityTask (lease), Session; one transaction, none when nothing is due.
    """
    connection = connections[using or settings.DATABASE]
    served = served_tags(connection, tags)
    claimed: list[ClaimedTask] = []
    has_room = True
    for _ in range(LOOKS):
        wanted = limit - len(claimed)
        due = due_tasks(
            connection, served, worker_id, WINDOW * wanted, now, sessions=sessions is not None, only_owned=not has_room
        )
        if not due:
            break
        got, has_room = _claim(connection, worker_id, due, wanted, sessions, lease, now)
        claimed += got
        if len(got) in (wanted, len(due)):
            break
    return claimed


def _claim(
    connection: BaseDatabaseWrapper,
    worker_id: str,
    due: Sequence[Due],
    limit: int,
    limits: SessionLimits | None,
    lease: timedelta,
    now: datetime,
) -> tuple[list[ClaimedTask], bool]:
    """Lease tasks, with their sessions. Returns: those that it got, and whether it has room for more sessions."""
    wanted = [each.session for each in due]
    if limits is None or not any(wanted):
        return _lease(connection, worker_id, [each.key for each in due], limit, lease, now), True
    with write_transaction(connection.alias):
        taken = session_store.take_sessions(connection, worker_id, wanted, limit, limits, lease, now)
        keys = [each.key for each in due if not each.session or each.session in taken.sessions]
        return _lease(connection, worker_id, keys, limit, lease, now), taken.has_room


def _lease(
    connection: BaseDatabaseWrapper,
    worker_id: str,
    keys: Sequence[TaskKey],
    limit: int,
    lease: timedelta,
    now: datetime,
) -> list[ClaimedTask]:
    """Take the leases of the first `limit` of `keys` that can be had, in their order."""
    if not keys:
        return []
    rows = sql.fetch(
        connection,
        f"""
        WITH free AS MATERIALIZED (
            SELECT given.instance, given.execution, given.seq AS event
            FROM {sql.rows(connection, "given", _ORDERED)} JOIN {sql.table(ActivityTask)} t ON {_SAME}
            WHERE t.visible_at <= %s ORDER BY given.place LIMIT %s {sql.lock(connection, skip=True, of="t")}
        )
        UPDATE {sql.table(ActivityTask)} AS t
        SET lease_owner = %s, lease_token = lease_token + 1, deliveries = deliveries + 1, visible_at = %s
        FROM free WHERE t.instance_id = free.instance AND t.execution_number = free.execution AND t.seq = free.event
        RETURNING {_RETURNED}
        """,
        [
            sql.pack(_ORDERED, [(*key, place) for place, key in enumerate(keys)]),
            *(sql.moment(connection, now), limit, worker_id, sql.moment(connection, now + lease)),
        ],
    )
    instances = Instance.objects.using(connection.alias).filter(id__in={row[0] for row in rows})
    names = {each[0]: each[1:] for each in instances.values_list(*_OF_INSTANCE)}
    taken = {TaskKey(*row[:3]): row for row in rows}
    return [_claimed(taken[key], names[key.instance]) for key in keys if key in taken and key.instance in names]


def _claimed(row: tuple[Any, ...], instance: tuple[str, str, str, str | None]) -> ClaimedTask:
    instance_id, orchestration, version, traceparent = instance
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
        traceparent=traceparent,
    )


def finish_activities(
    finished: Sequence[tuple[TaskKey, int, ActivityCompleted | ActivityFailed]],
    now: datetime,
    *,
    spans: Sequence[SpanOf] = (),
    using: str | None = None,
) -> set[TaskKey]:
    """Record outcomes and deliver them to the instances' inboxes; one transaction.

    An outcome of something that ran (it has `started_ms`) needs a lease that is not over. One of a task that was never
    started, because its time is up or it is poisoned, needs only that nobody has claimed the task since.
    Returns: tasks whose lease was lost or that are gone. Their outcomes count for nothing; drop them.
    Writes: ActivityTask (deleted, guarded by token), InboxMessage, TraceSpan.
    """
    if not finished:
        return set()
    facts = {key: fact for key, _, fact in finished}
    with write_transaction(using or settings.DATABASE) as connection:
        done: set[TaskKey] = set()
        for ran in (True, False):
            leased = [(*key, token) for key, token, fact in finished if (fact.started_ms is not None) is ran]
            if leased:
                done |= _delete(connection, leased, now if ran else None)
        _deliver_outcomes(connection, {key: fact for key, fact in facts.items() if key in done}, now)
        write_spans(connection, spans)
    return set(facts) - done


def _delete(
    connection: BaseDatabaseWrapper, leased: Sequence[tuple[int, ...]], leased_at: datetime | None
) -> set[TaskKey]:
    """Delete tasks that still have their token and, with `leased_at`, a lease that is not over then."""
    in_time = "" if leased_at is None else "AND t.visible_at > %s"
    rows = sql.fetch(
        connection,
        f"""
        WITH held AS MATERIALIZED (
            SELECT given.instance, given.execution, given.seq AS event
            FROM {sql.rows(connection, "given", _LEASED)} JOIN {sql.table(ActivityTask)} t ON {_SAME}
            WHERE t.lease_token = given.token {in_time}
            ORDER BY t.instance_id, t.execution_number, t.seq {sql.lock(connection, of="t")}
        )
        DELETE FROM {sql.table(ActivityTask)} WHERE (instance_id, execution_number, seq) IN (SELECT * FROM held)
        RETURNING instance_id, execution_number, seq
        """,
        [sql.pack(_LEASED, leased), *([] if leased_at is None else [sql.moment(connection, leased_at)])],
    )
    return {TaskKey(*row) for row in rows}


def _deliver_outcomes(
    connection: BaseDatabaseWrapper, facts: Mapping[TaskKey, ActivityCompleted | ActivityFailed], now: datetime
) -> None:
    """Deliver outcomes to the instances that are still there."""
    if not facts:
        return
    instances = Instance.objects.using(connection.alias).filter(id__in={key.instance for key in facts})
    there = set(instances.values_list("id", flat=True))
    outcomes = [Delivery(key.instance, fact, key.execution) for key, fact in facts.items() if key.instance in there]
    deliver(connection, outcomes, now)
    notify(connection.alias, work=True)


def finish_activity_in_transaction(
    key: TaskKey,
    token: int,
    fact: ActivityCompleted | ActivityFailed,
    now: datetime,
    *,
    spans: Sequence[SpanOf] = (),
    using: str | None = None,
) -> None:
    """Record one outcome in the transaction that is open, with whatever else it writes.

    Where an open write transaction keeps everybody else from writing, nobody can have taken the task over and nobody
    could renew the lease; only the token counts then.
    Raises: LeaseLost: the task is gone, or the lease is no longer held. Leave the transaction by raising; nothing of it
        may be kept.
    Writes: ActivityTask (deleted, guarded by token), InboxMessage, TraceSpan.
    """
    connection = connections[using or settings.DATABASE]
    if not _delete(connection, [(*key, token)], None if sql.one_writer(connection) else now):
        raise LeaseLost(f"activity task {key.seq} of instance {key.instance}")
    _deliver_outcomes(connection, {key: fact}, now)
    write_spans(connection, spans)


def retry_activities(
    retried: Iterable[tuple[TaskKey, int, datetime, Payload]],
    *,
    spans: Sequence[SpanOf] = (),
    using: str | None = None,
) -> None:
    """Make failed tasks due again at a time, as their next attempt, whose deliveries count anew.

    Args:
        retried: Key, lease token, when it is due, and the failures so far as JSON text. Those whose lease is lost stay
            as they are.
    Writes: ActivityTask (guarded by token), TraceSpan; one transaction.
    """
    _give_back([(*key, token, due, 1, failures) for key, token, due, failures in retried], using, spans)


def hand_back(leased: Iterable[Leased], now: datetime, *, using: str | None = None) -> None:
    """Give tasks that were not run to whoever wants them, now; it does not count as a delivery.

    Writes: ActivityTask (guarded by token); one statement.
    """
    _give_back([(*key, token, now, 0, None) for key, token in leased], using)


def defer(leased: Iterable[Leased], until: datetime, now: datetime, *, using: str | None = None) -> None:
    """Give tasks back that this worker cannot run, not to be claimed before `until`. Writes: as `hand_back`."""
    _give_back([(*key, token, until, 0, None) for key, token in leased], using)


def _give_back(given: Sequence[tuple[Any, ...]], using: str | None, spans: Sequence[SpanOf] = ()) -> None:
    """Unlease tasks. Each of `given` is key, token, when it is due, attempts that this adds, and failures if new."""
    if not given:
        return
    with write_transaction(using or settings.DATABASE) as connection:
        rows = [(*each[:4], sql.moment(connection, each[4]), *each[5:]) for each in given]
        sql.execute(
            connection,
            f"""
            WITH back AS MATERIALIZED (
                SELECT given.instance, given.execution, given.seq AS event, given.visible_at AS due, given.attempts,
                       given.failures AS known
                FROM {sql.rows(connection, "given", _GIVEN_BACK)}
                JOIN {sql.table(ActivityTask)} t ON {_SAME}
                WHERE t.lease_token = given.token AND t.lease_owner IS NOT NULL
                ORDER BY t.instance_id, t.execution_number, t.seq {sql.lock(connection, of="t")}
            )
            UPDATE {sql.table(ActivityTask)} AS t
            SET lease_owner = NULL, lease_token = lease_token + 1, visible_at = back.due,
                attempt = attempt + back.attempts, failures = COALESCE(back.known, failures),
                deliveries = CASE WHEN back.attempts = 1 OR deliveries = 0 THEN 0 ELSE deliveries - 1 END
            FROM back
            WHERE t.instance_id = back.instance AND t.execution_number = back.execution AND t.seq = back.event
            """,
            [sql.pack(_GIVEN_BACK, rows)],
        )
        write_spans(connection, spans)
        notify(connection.alias, work=True)


def renew_activities(
    worker_id: str, leased: Mapping[TaskKey, int], lease: timedelta, now: datetime, *, using: str | None = None
) -> set[TaskKey]:
    """Extend the leases of tasks that run; one statement, and one more where not all were extended.

    A row that somebody has locked, to record its outcome or to delete it, is left out and counts as held.
    Returns: those of `leased` that are gone, somebody else's, or were not renewed in time. Tell whoever runs them.
    Writes: ActivityTask (guarded by owner, token and lease).
    """
    if not leased:
        return set()
    connection = connections[using or settings.DATABASE]
    mine = f"""
        SELECT t.instance_id AS instance, t.execution_number AS execution, t.seq AS event
        FROM {sql.rows(connection, "given", _LEASED)} JOIN {sql.table(ActivityTask)} t ON {_SAME}
        WHERE t.lease_token = given.token AND t.lease_owner = %s AND t.visible_at > %s
    """
    packed = sql.pack(_LEASED, [(*key, token) for key, token in leased.items()])
    params = [packed, worker_id, sql.moment(connection, now)]
    renewed = sql.fetch(
        connection,
        f"""
        WITH mine AS MATERIALIZED ({mine} {sql.lock(connection, skip=True, of="t")})
        UPDATE {sql.table(ActivityTask)} AS t SET visible_at = %s FROM mine
        WHERE t.instance_id = mine.instance AND t.execution_number = mine.execution AND t.seq = mine.event
        RETURNING instance_id, execution_number, seq
        """,
        [*params, sql.moment(connection, now + lease)],
    )
    left = set(leased) - {TaskKey(*row) for row in renewed}
    return left - {TaskKey(*row) for row in sql.fetch(connection, mine, params)} if left else left


def find_lost(leased: Mapping[TaskKey, int], *, using: str | None = None) -> set[TaskKey]:
    """Return those of `leased` that are gone or held by another token; one query that locks nothing."""
    if not leased:
        return set()
    connection = connections[using or settings.DATABASE]
    found = sql.fetch(
        connection,
        f"""
        SELECT t.instance_id, t.execution_number, t.seq FROM {sql.rows(connection, "given", _LEASED)}
        JOIN {sql.table(ActivityTask)} t ON {_SAME} AND t.lease_token = given.token
        """,
        [sql.pack(_LEASED, [(*key, token) for key, token in leased.items()])],
    )
    return set(leased) - {TaskKey(*row) for row in found}


def record_heartbeat(
    key: TaskKey, token: int, details: Payload, lease: timedelta, now: datetime, *, using: str | None = None
) -> bool:
    """Store what a running activity reports, and extend its lease. Returns: whether the lease is still held.

    Writes: ActivityTask (guarded by token and lease).
    """
    mine = ActivityTask.objects.using(using or settings.DATABASE).filter(
        instance_id=key.instance, execution_number=key.execution, seq=key.seq, lease_token=token, visible_at__gt=now
    )
    return bool(mine.update(heartbeat=details, visible_at=now + lease))
