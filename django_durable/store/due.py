"""Which activity tasks are due and may be a worker's, by tag, session and priority; and when anything is due next.

Reads only, locks nothing.

Each tag is one walk along an index, in the order in which its tasks are given out, that ends after a few rows however
many wait. Neither tasks with other tags nor those that are leased or not due yet stand in the way.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper

from ..conf import settings
from ..models import ActivityTask, InboxMessage
from . import sessions as session_store, sql
from .records import TagFilter, TaskKey

_ORDER = "priority DESC, visible_at, instance_id, seq"


class Due(NamedTuple):
    """A task that may be claimed; `session` is empty where it has none."""

    key: TaskKey
    session: str


def served_tags(connection: BaseDatabaseWrapper, tags: TagFilter) -> list[str]:
    """Return the tags to look for, the empty one for tasks without; where any will do, those that tasks have now."""
    if not tags.any:
        return sorted(tags.names) + ([""] if tags.untagged else [])
    table = sql.table(ActivityTask)
    rows = sql.fetch(
        connection,
        f"""
        WITH RECURSIVE present(tag) AS (
            SELECT MIN(tag) FROM {table}
            UNION ALL
            SELECT (SELECT MIN(t.tag) FROM {table} t WHERE t.tag > present.tag) FROM present WHERE tag IS NOT NULL
        )
        SELECT tag FROM present WHERE tag IS NOT NULL
        """,
    )
    return [tag for (tag,) in rows]


def due_tasks(
    connection: BaseDatabaseWrapper,
    served: Sequence[str],
    worker_id: str,
    limit: int,
    now: datetime,
    *,
    sessions: bool,
    only_owned: bool = False,
) -> list[Due]:
    """Return up to `limit` tasks that are due, highest priority first, then longest due; one query.

    Args:
        served: From `served_tags`.
        sessions: Whether tasks with a session count at all; those in a session of another worker never do.
        only_owned: Leave out those in sessions that this worker does not own yet.
    """
    if not served or limit <= 0:
        return []
    at = sql.moment(connection, now)
    by_session, params = session_store.condition(worker_id, at, serves=sessions, only_owned=only_owned)
    one = f"""
        SELECT * FROM (
            SELECT t.instance_id, t.execution_number, t.seq, t.session_id, t.priority, t.visible_at
            FROM {sql.table(ActivityTask)} t
            WHERE t.tag = %s AND t.visible_at <= %s AND {by_session} ORDER BY {_ORDER} LIMIT %s
        ) AS one
    """
    rows = sql.fetch(
        connection,
        f"SELECT * FROM ({' UNION ALL '.join([one] * len(served))}) AS every ORDER BY {_ORDER} LIMIT %s",
        [*(value for tag in served for value in (tag, at, *params, limit)), limit],
    )
    return [Due(TaskKey(*row[:3]), row[3]) for row in rows]


def next_due(now: datetime, *, using: str | None = None) -> datetime | None:
    """Return when the next message or task becomes due that is not yet: a timer, a delayed start, a retry, a lease that
    ends. One query, one look into an index of each table."""
    connection = connections[using or settings.DATABASE]
    at, after = sql.moment(connection, now), "WHERE visible_at > %s"
    [found] = sql.fetch(
        connection,
        f"""
        SELECT (SELECT MIN(visible_at) FROM {sql.table(InboxMessage)} {after} AND {sql.unheld(connection)}),
               (SELECT MIN(visible_at) FROM {sql.table(ActivityTask)} {after})
        """,
        [at, at],
    )
    return min((moment for each in found if (moment := sql.read_moment(each)) is not None), default=None)
