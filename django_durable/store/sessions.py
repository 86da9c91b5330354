"""Sessions: which worker owns the activities that name one.

A session is owned through a lease that its worker renews while the session has been active lately. Taking a session and
its first task is one transaction. A worker that stops gives its sessions back; one that dies loses them with the lease.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from django.db.backends.base.base import BaseDatabaseWrapper

from ..conf import settings
from ..models import Session
from . import sql
from .records import SessionLimits, TaskKey

SERVABLE = (
    "(t.session_id = '' OR NOT EXISTS (SELECT 1 FROM "
    + sql.table(Session)
    + " s WHERE s.session_id = t.session_id AND s.lease_until > %s AND s.worker_id <> %s))"
)
"""Condition on a task `t`: no session, or one that nobody else owns. Parameters: now, worker id."""


def take_sessions(
    connection: BaseDatabaseWrapper,
    worker_id: str,
    due: Sequence[tuple[TaskKey, str]],
    limits: SessionLimits | None,
    lease: timedelta,
    now: datetime,
) -> list[TaskKey]:
    """Take the sessions that `due` tasks need and return the tasks this worker may lease.

    Writes: Session (inserted, or updated where its lease is over or this worker's); in the transaction that is open.
    """
    wanted = {session for _, session in due if session}
    if not wanted or limits is None:
        return [key for key, session in due if not session]
    owned = set(
        Session.objects.using(connection.alias)
        .filter(worker_id=worker_id, lease_until__gt=now)
        .values_list("session_id", flat=True)
    )
    room = max(limits.max_sessions - len(owned), 0)
    asked = sorted(wanted & owned) + sorted(wanted - owned)[:room]
    taken = _upsert(connection, worker_id, asked, lease, now)
    return [key for key, session in due if not session or session in taken]


def _upsert(
    connection: BaseDatabaseWrapper, worker_id: str, asked: Sequence[str], lease: timedelta, now: datetime
) -> set[str]:
    at, until = sql.moment(connection, now), sql.moment(connection, now + lease)
    taken: set[str] = set()
    with connection.cursor() as cursor:
        for session_id in asked:
            cursor.execute(
                f"""
                INSERT INTO {sql.table(Session)} AS s (session_id, worker_id, lease_until, last_activity_at)
                VALUES (%s, %s, %s, %s)
                ON CONFLICT (session_id) DO UPDATE
                SET worker_id = excluded.worker_id, lease_until = excluded.lease_until,
                    last_activity_at = excluded.last_activity_at
                WHERE s.worker_id = excluded.worker_id OR s.lease_until <= %s
                """,
                [session_id, worker_id, until, at, at],
            )
            if cursor.rowcount:
                taken.add(session_id)
    return taken


def renew_sessions(
    worker_id: str, lease: timedelta, idle: timedelta, now: datetime, *, using: str | None = None
) -> int:
    """Extend the leases of this worker's sessions that were active within `idle`; return how many.

    Writes: Session (guarded by owner and lease).
    """
    return (
        Session.objects.using(using or settings.DATABASE)
        .filter(worker_id=worker_id, lease_until__gt=now, last_activity_at__gt=now - idle)
        .update(lease_until=now + lease)
    )


def release_sessions(worker_id: str, *, using: str | None = None) -> None:
    """Give this worker's sessions back. Writes: Session."""
    Session.objects.using(using or settings.DATABASE).filter(worker_id=worker_id).delete()


def delete_expired(now: datetime, *, using: str | None = None) -> int:
    """Remove sessions nobody owns any more; return how many. Writes: Session."""
    return Session.objects.using(using or settings.DATABASE).filter(lease_until__lte=now).delete()[0]
