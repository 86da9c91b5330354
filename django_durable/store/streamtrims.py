"""Trimming streams: items that nobody needs any more are deleted from the beginning.

What the code of the instance has yet to read stays, and so does what an activity has sent that has not ended, because
`sent()` counts it. The end of a stream is never trimmed.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

from django.db.backends.base.base import BaseDatabaseWrapper

from ..engine.errors import InstanceNotFound
from ..engine.states import TERMINAL
from ..models import ActivityTask, HistoryEvent, Instance, Stream, StreamItem
from . import sql
from .transactions import write_transaction


@dataclass(frozen=True, slots=True, kw_only=True)
class TrimResult:
    """`first_position` is that of the first item that may still be there, `items_deleted` says how many are not."""

    first_position: int
    items_deleted: int


def trim(instance_id: str, name: str, *, before: int | None, keep: int | None, using: str) -> TrimResult:
    """Delete the items before a position, or all but the newest `keep`, as far as nobody needs them.

    Raises: InstanceNotFound.
    Writes: Stream, StreamItem; in the transaction that is open, or one of its own. It locks the stream.
    """
    with write_transaction(using) as connection:
        instances = Instance.objects.using(using).filter(instance_id=instance_id)
        found = instances.values_list("id", "runtime_status", "execution_number").first()
        if found is None:
            raise InstanceNotFound(instance_id)
        pk, status, execution = found
        row = sql.fetch(
            connection,
            f"""
            SELECT trimmed_to, last_position, awaited FROM {sql.table(Stream)} s
            WHERE instance_id = %s AND name = %s {sql.lock(connection, of="s")}
            """,
            [pk, name],
        )
        if not row:
            return TrimResult(first_position=1, items_deleted=0)
        [(trimmed_to, last, awaited)] = row
        wanted = min(last, before - 1) if before is not None else _before_newest(connection, pk, name, keep or 0)
        if awaited and status not in TERMINAL:
            wanted = min(wanted, _read_to(pk, name, execution, using=using))
        until = max(trimmed_to, min(wanted, _before_unfinished(connection, pk, name, wanted)))
        return TrimResult(
            first_position=until + 1, items_deleted=_delete(connection, pk, name, until) if until > trimmed_to else 0
        )


def _delete(connection: BaseDatabaseWrapper, pk: int, name: str, until: int) -> int:
    sql.execute(
        connection,
        f"UPDATE {sql.table(Stream)} SET trimmed_to = %s WHERE instance_id = %s AND name = %s",
        [until, pk, name],
    )
    return sql.execute(
        connection,
        f"""
        DELETE FROM {sql.table(StreamItem)}
        WHERE instance_id = %s AND stream = %s AND position <= %s AND NOT closes
        """,
        [pk, name, until],
    )


def _before_newest(connection: BaseDatabaseWrapper, pk: int, name: str, keep: int) -> int:
    """Return the position of the last item that is not among the newest, 0 where all of them are."""
    rows = sql.fetch(
        connection,
        f"""
        SELECT position FROM {sql.table(StreamItem)} WHERE instance_id = %s AND stream = %s AND NOT closes
        ORDER BY position DESC LIMIT 1 OFFSET %s
        """,
        [pk, name, keep],
    )
    return int(rows[0][0]) if rows else 0


def _read_to(pk: int, name: str, execution: int, *, using: str) -> int:
    """Return the position up to which the code has read a stream, by the history of its current execution."""
    history = HistoryEvent.objects.using(using).filter(instance=pk, execution_number=execution)
    received = history.filter(kind="StreamItemsReceived", name=name).order_by("-seq")
    if (data := received.values_list("data", flat=True).first()) is not None:
        return int(json.loads(data).get("position", 0))
    started = history.filter(kind="OrchestrationStarted").values_list("data", flat=True).first()
    carried = json.loads(started or "{}").get("stream_positions") or {}
    return int(carried.get(name, 0))


def _before_unfinished(connection: BaseDatabaseWrapper, pk: int, name: str, until: int) -> int:
    """Return the position before the first item that an activity has sent which is not done; else `until`."""
    rows = sql.fetch(
        connection,
        f"""
        SELECT MIN(i.position) FROM {sql.table(ActivityTask)} t JOIN {sql.table(StreamItem)} i
            ON i.instance_id = t.instance_id AND i.execution_number <= t.execution_number AND i.source_seq = t.seq
        WHERE t.instance_id = %s AND i.stream = %s AND i.position <= %s
        """,
        [pk, name, until],
    )
    first = rows[0][0]
    return until if first is None else int(first) - 1
