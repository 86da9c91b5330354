"""Taking instances: which have something to do, whose lease is free, and what they were sent.

What can be claimed is found through visible messages, so the cost grows with what waits, not with what is finished.
Messages of parked instances that a claim comes across are marked held and leave the index; those of finished instances
are deleted. That mends what a sender that raced with the end of its instance left behind.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import Min, Q

from ..conf import settings
from ..engine.events import HistoryEvent as RecordedEvent
from ..engine.events import fact_from_columns
from ..engine.replay import QueuedMessage
from ..engine.states import CLAIMABLE, PARKED, TERMINAL
from ..models import HistoryEvent, InboxMessage, Instance, QueuedEvent
from . import sql
from .records import ClaimedInstance, Message
from .transactions import write_transaction

MESSAGES_PER_CLAIM = 500
"""Messages an instance gets per claim; the rest waits for its next turn."""

_CLAIMABLE, _PARKED, _TERMINAL = sorted(CLAIMABLE), sorted(PARKED), sorted(TERMINAL)


def claim_instances(
    worker_id: str, *, limit: int, lease: timedelta, now: datetime, using: str | None = None
) -> list[ClaimedInstance]:
    """Lease up to `limit` instances that have visible messages and whose lease is free, expired or this worker's own.

    Returns: the instances with their messages, oldest first; but the start of an execution before everything else,
        because messages that came before a continue-as-new are for the execution that follows it. An empty list took
        no lock.
    Writes: Instance (lease, guarded by status and lease), InboxMessage (held, or deleted); one transaction.
    """
    using = using or settings.DATABASE
    connection = connections[using]
    found = _candidates(connection, worker_id, limit, now)
    if not found:
        return []
    with write_transaction(using):
        claimed = _lease(connection, worker_id, [pk for pk, status in found if status in CLAIMABLE], lease, now)
        _set_aside(connection, found)
        _load_messages(connection, claimed, now)
    return list(claimed.values())


def _candidates(
    connection: BaseDatabaseWrapper, worker_id: str, limit: int, now: datetime
) -> list[tuple[int, str]]:
    at = sql.moment(connection, now)
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            SELECT DISTINCT i.id, i.runtime_status
            FROM {sql.table(InboxMessage)} m JOIN {sql.table(Instance)} i ON i.id = m.instance_id
            WHERE NOT m.held AND m.visible_at <= %s
              AND (i.lease_until IS NULL OR i.lease_until <= %s OR i.lease_owner = %s)
            LIMIT %s
            """,
            [at, at, worker_id, limit],
        )
        return [(pk, status) for pk, status in cursor.fetchall()]


def _lease(
    connection: BaseDatabaseWrapper, worker_id: str, ids: Sequence[int], lease: timedelta, now: datetime
) -> dict[int, ClaimedInstance]:
    if not ids:
        return {}
    at = sql.moment(connection, now)
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            UPDATE {sql.table(Instance)}
            SET lease_owner = %s, lease_until = %s, lease_token = lease_token + 1, turn_attempts = turn_attempts + 1
            WHERE id IN (
                SELECT id FROM {sql.table(Instance)}
                WHERE id IN ({sql.marks(ids)}) AND runtime_status IN ({sql.marks(_CLAIMABLE)})
                  AND (lease_until IS NULL OR lease_until <= %s OR lease_owner = %s)
                ORDER BY id {sql.skip_locked(connection)}
            )
            RETURNING id, instance_id, orchestration, version, runtime_status, execution_number, history_length,
                      lease_token, turn_attempts
            """,
            [worker_id, sql.moment(connection, now + lease), *ids, *_CLAIMABLE, at, worker_id],
        )
        return {row[0]: _claimed(row) for row in sorted(cursor.fetchall())}


def _claimed(row: tuple[Any, ...]) -> ClaimedInstance:
    pk, instance_id, orchestration, version, status, execution, length, token, attempts = row
    return ClaimedInstance(
        id=pk,
        instance_id=instance_id,
        orchestration=orchestration,
        version=version,
        runtime_status=status,
        execution_number=execution,
        history_length=length,
        lease_token=token,
        previous_token=token - 1,
        turn_attempts=attempts,
    )


def _set_aside(connection: BaseDatabaseWrapper, found: Sequence[tuple[int, str]]) -> None:
    """Hold the messages of parked instances and delete those of finished ones.

    The status is read again under a lock: an instance that was resumed in between keeps its messages visible.
    """
    for statuses, change in (
        (_PARKED, f"UPDATE {sql.table(InboxMessage)} SET held = TRUE WHERE NOT held AND instance_id IN"),
        (_TERMINAL, f"DELETE FROM {sql.table(InboxMessage)} WHERE instance_id IN"),
    ):
        ids = [pk for pk, status in found if status in statuses]
        if ids:
            with connection.cursor() as cursor:
                cursor.execute(
                    f"""
                    {change} (
                        SELECT id FROM {sql.table(Instance)}
                        WHERE id IN ({sql.marks(ids)}) AND runtime_status IN ({sql.marks(statuses)})
                        ORDER BY id {sql.skip_locked(connection)}
                    )
                    """,
                    [*ids, *statuses],
                )


def _load_messages(connection: BaseDatabaseWrapper, claimed: Mapping[int, ClaimedInstance], now: datetime) -> None:
    if not claimed:
        return
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            SELECT id, instance_id, execution_number, kind, name, source_seq, payload, data FROM (
                SELECT m.*, ROW_NUMBER() OVER (
                    PARTITION BY instance_id ORDER BY kind <> 'OrchestrationStarted', visible_at, id
                ) AS place
                FROM {sql.table(InboxMessage)} m
                WHERE instance_id IN ({sql.marks(list(claimed))}) AND NOT held AND visible_at <= %s
            ) numbered
            WHERE place <= %s ORDER BY instance_id, place
            """,
            [*claimed, sql.moment(connection, now), MESSAGES_PER_CLAIM],
        )
        for message_id, pk, execution, *columns in cursor.fetchall():
            claimed[pk].messages.append(_message(message_id, execution, columns))


def _message(message_id: int, execution: int | None, columns: Sequence[Any]) -> Message:
    try:
        return Message(message_id, execution, fact_from_columns(*columns))
    except ValueError as error:
        return Message(message_id, execution, None, str(error))


def load_histories(
    places: Iterable[tuple[int, int]], *, using: str | None = None
) -> dict[int, list[RecordedEvent]]:
    """Return the histories of `(instance, execution number)` pairs by instance, in order; one query.

    Raises: ValueError: a row that cannot be decoded; load one by one to find whose it is.
    """
    places = list(places)
    connection = connections[using or settings.DATABASE]
    histories: dict[int, list[RecordedEvent]] = {pk: [] for pk, _ in places}
    if not places:
        return histories
    wanted = " OR ".join(["(instance_id = %s AND execution_number = %s)"] * len(places))
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            SELECT instance_id, seq, recorded_at, kind, name, source_seq, payload, data
            FROM {sql.table(HistoryEvent)} WHERE {wanted} ORDER BY instance_id, seq
            """,
            [value for place in places for value in place],
        )
        for pk, seq, recorded_at, *columns in cursor.fetchall():
            at = sql.read_moment(recorded_at)
            assert at is not None
            histories[pk].append(RecordedEvent(seq, at, fact_from_columns(*columns)))
    return histories


def load_queued(
    wanted: Mapping[int, Iterable[str]], limit: int = 1000, *, using: str | None = None
) -> dict[int, list[QueuedMessage]]:
    """Return up to `limit` queued events per queue that `wanted` names for an instance, oldest first."""
    using = using or settings.DATABASE
    found: dict[int, list[QueuedMessage]] = {}
    for pk, queues in wanted.items():
        for queue in sorted(queues):
            rows = QueuedEvent.objects.using(using).filter(instance_id=pk, queue=queue).order_by("id")
            found.setdefault(pk, []).extend(
                QueuedMessage(each_id, queue, payload)
                for each_id, payload in rows.values_list("id", "payload")[:limit]
            )
    return found


def renew_instances(
    worker_id: str, tokens: Mapping[int, int], lease: timedelta, now: datetime, *, using: str | None = None
) -> set[int]:
    """Extend the leases of held instances; one statement.

    Returns: the instances whose lease is lost. Drop what is held of them.
    Writes: Instance (guarded by owner, token and lease).
    """
    if not tokens:
        return set()
    rows = Instance.objects.using(using or settings.DATABASE).filter(
        id__in=list(tokens), lease_owner=worker_id, lease_until__gt=now
    )
    rows.update(lease_until=now + lease)
    kept = {pk for pk, token in rows.values_list("id", "lease_token") if tokens[pk] == token}
    return set(tokens) - kept


def release_instances(
    worker_id: str, tokens: Mapping[int, int], now: datetime, *, using: str | None = None
) -> None:
    """Give leases back, so that any worker may take the instances at once. Writes: Instance (guarded)."""
    for pk, token in sorted(tokens.items()):
        Instance.objects.using(using or settings.DATABASE).filter(
            id=pk, lease_owner=worker_id, lease_token=token
        ).update(lease_owner=None, lease_until=None)


def next_due(now: datetime, *, using: str | None = None) -> datetime | None:
    """Return when the next message that is not visible yet becomes visible."""
    due = (
        InboxMessage.objects.using(using or settings.DATABASE)
        .filter(Q(held=False), visible_at__gt=now)
        .aggregate(due=Min("visible_at"))["due"]
    )
    return due if due is None else due
