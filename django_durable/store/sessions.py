"""Sessions: which worker owns the activities that name one.

A session is owned through a lease. Its worker renews it while the session has open activities or had one lately; then
it lets go. Taking a session and leasing its first task is one transaction. A worker that stops gives its sessions back;
one that dies loses them with the lease. Where no activity names a session, none of this costs a statement.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from django.db.backends.base.base import BaseDatabaseWrapper

from ..conf import settings
from ..models import ActivityTask, Session
from . import sql
from .records import SessionLimits
from .transactions import write_transaction

_ASKED = "session_id text, worker_id text, lease_until timestamptz, active_at timestamptz"


def condition(worker_id: str, at: Any, *, serves: bool, only_owned: bool) -> tuple[str, list[Any]]:
    """Return the condition, and its parameters, for a task `t` to be this worker's as far as sessions go.

    Args:
        serves: Whether the worker takes tasks with a session at all.
        only_owned: Whether only of sessions that it owns already.
    """
    if not serves:
        return "t.session_id = ''", []
    owner, wanted = ("=", "EXISTS") if only_owned else ("<>", "NOT EXISTS")
    owned = f"SELECT 1 FROM {sql.table(Session)} s WHERE s.session_id = t.session_id AND s.lease_until > %s"
    return f"(t.session_id = '' OR {wanted} ({owned} AND s.worker_id {owner} %s))", [at, worker_id]


class Taken(NamedTuple):
    """The sessions among those wanted that a worker owns now, and whether it may own more."""

    sessions: frozenset[str]
    has_room: bool


def take_sessions(
    connection: BaseDatabaseWrapper,
    worker_id: str,
    wanted: Sequence[str],
    limit: int,
    limits: SessionLimits,
    lease: timedelta,
    now: datetime,
) -> Taken:
    """Take the sessions of the first `limit` tasks, where nobody else owns them and as far as there is room.

    Args:
        wanted: The session of each task that is due, in order; empty where it has none. Sessions that only further
            tasks need are left to others, unless the worker owns them already.
    Writes: Session (inserted, or updated where its lease is over or this worker's); in the transaction that is open.
    """
    own = Session.objects.using(connection.alias).filter(worker_id=worker_id, lease_until__gt=now)
    owned = set(own.values_list("session_id", flat=True))
    asked, room, tasks = owned.intersection(wanted), limits.max_sessions - len(owned), 0
    for session in wanted:
        if tasks >= limit:
            break
        if session and session not in asked:
            if room <= 0:
                continue
            asked.add(session)
            room -= 1
        tasks += 1
    return Taken(frozenset(_upsert(connection, worker_id, sorted(asked), lease, now)), room > 0)


def _upsert(
    connection: BaseDatabaseWrapper, worker_id: str, asked: Sequence[str], lease: timedelta, now: datetime
) -> set[str]:
    if not asked:
        return set()
    at, until = sql.moment(connection, now), sql.moment(connection, now + lease)
    # In the order of their ids, so that two workers that want the same ones do not wait for each other.
    taken = sql.fetch(
        connection,
        f"""
        INSERT INTO {sql.table(Session)} AS s (session_id, worker_id, lease_until, last_activity_at)
        SELECT session_id, worker_id, lease_until, active_at
        FROM {sql.rows(connection, "asked", _ASKED)} WHERE TRUE
        ON CONFLICT (session_id) DO UPDATE
        SET worker_id = excluded.worker_id, lease_until = excluded.lease_until,
            last_activity_at = excluded.last_activity_at
        WHERE s.worker_id = excluded.worker_id OR s.lease_until <= %s
        RETURNING session_id
        """,
        [sql.pack(_ASKED, [(each, worker_id, until, at) for each in asked]), at],
    )
    return {session for (session,) in taken}


def renew_sessions(
    worker_id: str, lease: timedelta, idle: timedelta, now: datetime, *, using: str | None = None
) -> int:
    """Extend the leases of this worker's sessions, and let those go that were idle for too long.

    Args:
        idle: A session without open activities is let go so long after it last had one.
    Returns: how many sessions it still owns.
    Writes: Session (guarded by owner and lease); one transaction, none where it owns no session.
    """
    own = Session.objects.using(using or settings.DATABASE).filter(worker_id=worker_id, lease_until__gt=now)
    if not own.exists():
        return 0
    with write_transaction(own.db) as connection:
        at = sql.moment(connection, now)
        sql.execute(
            connection,
            f"""
            UPDATE {sql.table(Session)} SET last_activity_at = %s
            WHERE worker_id = %s AND lease_until > %s AND EXISTS (
                SELECT 1 FROM {sql.table(ActivityTask)} t
                WHERE t.session_id = {sql.table(Session)}.session_id AND NOT (t.session_id = '')
            )
            """,
            [at, worker_id, at],
        )
        own.filter(last_activity_at__lte=now - idle).delete()
        return own.update(lease_until=now + lease)


def release_sessions(worker_id: str, *, using: str | None = None) -> None:
    """Give this worker's sessions back. Writes: Session."""
    Session.objects.using(using or settings.DATABASE).filter(worker_id=worker_id).delete()


def delete_expired(now: datetime, *, using: str | None = None) -> int:
    """Remove sessions nobody owns any more; return how many. Writes: Session."""
    return Session.objects.using(using or settings.DATABASE).filter(lease_until__lte=now).delete()[0]
