"""What is new of many instances at once: the statements of whoever watches. Each is one query for all of them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from django.db import connections

from .. import models
from ..engine.events import Payload
from . import sql
from .queries import STATUS_COLUMNS, StatusRecord, status_record

_SEEN = "instance_id text, id bigint, revision bigint"
_PLACE = "id bigint, execution bigint, seq bigint"


class Seen(NamedTuple):
    """An instance as somebody saw it last; surrogate id and revision are 0 where nobody did."""

    instance_id: str
    id: int
    revision: int


class Place(NamedTuple):
    """An instance (surrogate id), and an event of its history that comes before the first one wanted."""

    id: int
    execution: int
    seq: int


@dataclass(frozen=True, slots=True, kw_only=True)
class EventRecord:
    """One event of one execution; payload and data are JSON text, None also where they were not asked for."""

    id: int
    execution: int
    seq: int
    kind: str
    name: str | None
    source_seq: int | None
    payload: Payload | None
    data: Payload | None
    recorded_at: datetime


def changed_instances(seen: Sequence[Seen], *, using: str) -> dict[str, StatusRecord | None]:
    """Read those instances that are not as they were seen, by one query; None stands for one that does not exist.

    An instance that was deleted and started again has another surrogate id, and is not as it was seen.
    """
    found = sql.fetch(
        connections[using],
        f"""
        SELECT seen.instance_id, {STATUS_COLUMNS}
        FROM {sql.rows(connections[using], "seen", _SEEN)}
        LEFT JOIN {sql.table(models.Instance)} i ON i.instance_id = seen.instance_id
        LEFT JOIN {sql.table(models.Execution)} e ON e.instance_id = i.id AND e.number = i.execution_number
        WHERE i.id IS NULL OR i.id <> seen.id OR i.revision <> seen.revision
        """,
        [sql.pack(_SEEN, seen)],
    )
    return {asked: None if row[0] is None else status_record(row) for asked, *row in found}


def events_after(places: Sequence[Place], *, payloads: bool, limit: int, using: str) -> list[EventRecord]:
    """Read what the histories of instances have after a place each, in order, by one query.

    Args:
        payloads: Whether to read payloads and data, which may be large.
        limit: Events of all of them together; the last instances may be cut off.
    """
    texts = "e.payload, e.data" if payloads else "NULL, NULL"
    found = sql.fetch(
        connections[using],
        f"""
        SELECT e.instance_id, e.execution_number, e.seq, e.kind, e.name, e.source_seq, {texts}, e.recorded_at
        FROM {sql.rows(connections[using], "place", _PLACE)}
        JOIN {sql.table(models.HistoryEvent)} e
            ON e.instance_id = place.id AND (e.execution_number, e.seq) > (place.execution, place.seq)
        ORDER BY e.instance_id, e.execution_number, e.seq LIMIT %s
        """,
        [sql.pack(_PLACE, places), limit],
    )
    return [_event(*row) for row in found]


def _event(
    id: int,
    execution: int,
    seq: int,
    kind: str,
    name: str | None,
    source_seq: int | None,
    payload: Payload | None,
    data: Payload | None,
    recorded_at: object,
) -> EventRecord:
    at = sql.read_moment(recorded_at)
    assert at is not None
    return EventRecord(
        id=id,
        execution=execution,
        seq=seq,
        kind=kind,
        name=name,
        source_seq=source_seq,
        payload=payload,
        data=data,
        recorded_at=at,
    )


def entries_of_many(ids: Collection[int], *, using: str) -> dict[int, dict[str, Payload]]:
    """Read all KV entries of instances (surrogate ids), as last committed, by one query."""
    found = sql.fetch(
        connections[using],
        f"""
        SELECT v.instance_id, v.key, v.value
        FROM {sql.rows(connections[using], "wanted", "id bigint")}
        JOIN {sql.table(models.KeyValue)} v ON v.instance_id = wanted.id
        ORDER BY v.instance_id, v.key
        """,
        [sql.pack("id bigint", [(id,) for id in ids])],
    )
    entries: dict[int, dict[str, Payload]] = {id: {} for id in ids}
    for id, key, value in found:
        entries[id][key] = value
    return entries
