"""What becomes of streams where an execution goes back in its history."""

from __future__ import annotations

from collections.abc import Sequence

from django.db.backends.base.base import BaseDatabaseWrapper

from ..models import Stream, StreamItem
from . import sql
from .streams import ITEM


def copy(
    connection: BaseDatabaseWrapper, source: int, target: int, execution: int, kept: int, again: Sequence[int]
) -> None:
    """Give a forked instance the streams of its source, as they stood before the point that it goes on from.

    What the outside had sent is there as a whole; of what code and activities sent, only that of the events it keeps.
    Args:
        kept: Events of `execution` that are copied.
        again: Seqs of the activities that will run again.
    Writes: Stream, StreamItem; in the transaction that is open.
    """
    sql.execute(
        connection,
        f"""
        INSERT INTO {sql.table(Stream)} (instance_id, name, last_position, closed_at, awaited, trimmed_to)
        SELECT %s, name, last_position, NULL, awaited, trimmed_to FROM {sql.table(Stream)} WHERE instance_id = %s
        """,
        [target, source],
    )
    redone = f"AND source_seq NOT IN ({sql.marks(again)})" if again else ""
    sql.execute(
        connection,
        f"""
        INSERT INTO {sql.table(StreamItem)} ({", ".join(ITEM)})
        SELECT %s, {", ".join(ITEM[1:])} FROM {sql.table(StreamItem)}
        WHERE instance_id = %s AND (source_seq IS NULL OR execution_number < %s
              OR (execution_number = %s AND source_seq <= %s {redone}))
        """,
        [target, source, execution, execution, kept, *again],
    )
    sql.execute(
        connection,
        f"""
        UPDATE {sql.table(Stream)} SET closed_at = (
            SELECT MIN(position) FROM {sql.table(StreamItem)} i
            WHERE i.instance_id = {sql.table(Stream)}.instance_id AND i.stream = {sql.table(Stream)}.name AND i.closes
        ) WHERE instance_id = %s
        """,
        [target],
    )


def reopen(connection: BaseDatabaseWrapper, pk: int, execution: int, kept: int, again: Sequence[int]) -> None:
    """Let streams go on that an execution ended after the point that it goes back to; their items stay.

    Args: as those of `copy`.
    Writes: Stream, StreamItem; in the transaction that is open.
    """
    redone = f"OR source_seq IN ({sql.marks(again)})" if again else ""
    ends = sql.fetch(
        connection,
        f"""
        DELETE FROM {sql.table(StreamItem)}
        WHERE instance_id = %s AND closes AND execution_number = %s AND (source_seq > %s {redone})
        RETURNING stream
        """,
        [pk, execution, kept, *again],
    )
    if ends:
        names = [name for (name,) in ends]
        Stream.objects.using(connection.alias).filter(instance=pk, name__in=names).update(closed_at=None)
