"""Reading streams: by code, by whoever asks for a page, and by whoever follows.

A reader says after which position it goes on, and misses nothing: what comes after it is given, or it is told that some
of that was trimmed. None, in place of a position, is the first item that is kept.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from django.db import connections

from ..conf import settings
from ..engine.errors import InstanceNotFound, StreamTrimmed
from ..engine.events import Payload
from ..engine.facts.streams import OpenRead, StoredItem
from ..engine.states import TERMINAL, RuntimeStatus
from ..models import Instance, Stream, StreamItem
from . import sql
from .insight import Excerpt

READ_AT_ONCE = 1000
"""Items loaded per read and round."""

STREAMS_PER_QUERY = 100


def load_items(
    wanted: Mapping[int, Iterable[OpenRead]], *, using: str | None = None
) -> dict[int, dict[str, list[StoredItem]]]:
    """Return up to `READ_AT_ONCE` items of each stream that is read, in order, after the position of its first read.

    One query for up to `STREAMS_PER_QUERY` streams.
    """
    connection = connections[using or settings.DATABASE]
    found: dict[int, dict[str, list[StoredItem]]] = {}
    places: list[tuple[int, str, int]] = []
    for pk, reads in wanted.items():
        for read in reads:
            if read.name not in found.setdefault(pk, {}):
                found[pk][read.name] = []
                places.append((pk, read.name, read.after))
    one = f"""
        SELECT * FROM (
            SELECT instance_id, stream, position, payload, closes FROM {sql.table(StreamItem)}
            WHERE instance_id = %s AND stream = %s AND position > %s ORDER BY position LIMIT {READ_AT_ONCE}
        ) AS one
    """
    for start in range(0, len(places), STREAMS_PER_QUERY):
        part = places[start : start + STREAMS_PER_QUERY]
        rows = sql.fetch(
            connection,
            " UNION ALL ".join([one] * len(part)) + " ORDER BY 3",
            [value for place in part for value in place],
        )
        for pk, name, position, payload, closes in rows:
            found[pk][name].append(StoredItem(position, payload, bool(closes)))
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamRecord:
    """A stream of an instance, as it is listed.

    Attributes:
        items: How many are kept.
        first_position, last_position: Of the first item that is kept, and of whatever was sent last; no item has a
            higher one, and some between them may have none.
        reason: Why it was closed, JSON text; None where it is open, `null` where no reason was given.
        awaited: Whether the code of the instance has begun to read it.
    """

    name: str
    items: int
    first_position: int
    last_position: int
    closed: bool
    reason: Payload | None
    awaited: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemRecord:
    """One item as it is stored; `payload` is JSON text."""

    position: int
    payload: Payload
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class PageRecord:
    """Items of a stream after a position, and whether it is at its end; `id` is the surrogate id of the instance.

    `position` is what to read on from. A stream has ended where it was closed, for the `reason` if any, or where its
    instance has; a page with the last items may not tell so yet. Before `first_position` nothing is kept.
    """

    id: int
    instance_id: str
    name: str
    runtime_status: RuntimeStatus
    items: tuple[ItemRecord, ...]
    position: int
    first_position: int
    ended: bool
    reason: str | None


def page_of(instance_id: str, name: str, *, after: int | None, limit: int, using: str) -> PageRecord:
    """Return what comes after a position, by two queries; None is the first item that is kept.

    Raises: InstanceNotFound. StreamTrimmed: the items after the position are not all kept.
    """
    instance = Instance.objects.using(using).filter(instance_id=instance_id).values_list("id", "runtime_status").first()
    if instance is None:
        raise InstanceNotFound(instance_id)
    pk, status = instance
    # Read after the status: an instance that had ended has nothing more to come.
    [run] = runs_after([Cursor(pk, name, after)], limit=limit + 1, using=using)
    if after is not None and after < run.trimmed_to:
        raise StreamTrimmed(name, after, run.trimmed_to + 1)
    rows = run.items[:limit]
    closing = next((row for row in rows if row.closes), None)
    return PageRecord(
        id=pk,
        instance_id=instance_id,
        name=name,
        runtime_status=RuntimeStatus(status),
        items=tuple(
            ItemRecord(position=row.position, payload=row.payload, created_at=row.created_at)
            for row in rows
            if not row.closes
        ),
        position=rows[-1].position if rows else max(after or 0, run.trimmed_to),
        first_position=run.trimmed_to + 1,
        ended=closing is not None or (status in TERMINAL and len(run.items) <= limit),
        reason=None if closing is None else json.loads(closing.payload),
    )


class Cursor(NamedTuple):
    """Where somebody is in a stream of an instance (surrogate id); None is before the first item that is kept."""

    id: int
    name: str
    after: int | None


class Row(NamedTuple):
    """An item as a follower is told of it; one that `closes` is the end of the stream, its payload the reason."""

    position: int
    payload: Payload
    closes: bool
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Run:
    """What a stream has after a cursor, in order, and up to where it was trimmed."""

    cursor: Cursor
    trimmed_to: int = 0
    items: list[Row] = field(default_factory=list)


def runs_after(cursors: Sequence[Cursor], *, limit: int, using: str) -> list[Run]:
    """Return what comes after each cursor, up to `limit` items each; one query for `STREAMS_PER_QUERY` of them.

    A cursor at the end of a stream, or behind it, finds the end again.
    """
    connection = connections[using]
    one = f"""
        SELECT %s AS place, s.trimmed_to, i.position, i.payload, i.closes, i.created_at
        FROM {sql.table(Stream)} s LEFT JOIN (
            SELECT position, payload, closes, created_at FROM {sql.table(StreamItem)}
            WHERE instance_id = %s AND stream = %s AND position > (
                SELECT CASE WHEN closed_at <= %s THEN closed_at - 1 ELSE %s END
                FROM {sql.table(Stream)} WHERE instance_id = %s AND name = %s
            ) ORDER BY position LIMIT %s
        ) i ON TRUE
        WHERE s.instance_id = %s AND s.name = %s
    """
    runs = [Run(cursor) for cursor in cursors]
    for start in range(0, len(cursors), STREAMS_PER_QUERY):
        params: list[object] = []
        part = cursors[start : start + STREAMS_PER_QUERY]
        for place, (id, name, after) in enumerate(part, start):
            params += [place, id, name, after or 0, after or 0, id, name, limit, id, name]
        for place, trimmed_to, *item in sql.fetch(
            connection, " UNION ALL ".join([one] * len(part)) + " ORDER BY 1, 3", params
        ):
            run = runs[place]
            runs[place] = Run(run.cursor, trimmed_to, run.items)
            if item[0] is not None:
                run.items.append(_row(*item))
    return runs


def _row(position: int, payload: Payload, closes: object, created_at: object) -> Row:
    at = sql.read_moment(created_at)
    assert at is not None
    return Row(position, payload, bool(closes), at)


def streams_of(instance_id: str, *, using: str) -> list[StreamRecord]:
    """Return the streams of an instance, by name, by one query. Raises: InstanceNotFound."""
    item = f"FROM {sql.table(StreamItem)} i WHERE i.instance_id = s.instance_id AND i.stream = s.name"
    rows = sql.fetch(
        connections[using],
        f"""
        SELECT s.name, (SELECT COUNT(*) {item} AND NOT i.closes), s.trimmed_to, s.last_position, s.closed_at,
               (SELECT i.payload {item} AND i.position = s.closed_at), s.awaited
        FROM {sql.table(Instance)} instance LEFT JOIN {sql.table(Stream)} s ON s.instance_id = instance.id
        WHERE instance.instance_id = %s ORDER BY s.name
        """,
        [instance_id],
    )
    if not rows:
        raise InstanceNotFound(instance_id)
    return [
        StreamRecord(
            name=name,
            items=items,
            first_position=trimmed_to + 1,
            last_position=last if closed_at is None else closed_at,
            closed=closed_at is not None,
            reason=reason,
            awaited=bool(awaited),
        )
        for name, items, trimmed_to, last, closed_at, reason, awaited in rows
        if name is not None
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemExcerpt:
    """The beginning of an item, to be looked at."""

    stream: str
    position: int
    payload: Excerpt
    created_at: datetime


def newest_items(
    id: int, below: Mapping[str, int | None], *, limit: int, characters: int, using: str
) -> list[ItemExcerpt]:
    """Return the newest items of streams of an instance (surrogate id) below a position each, in order; one query."""
    if not below:
        return []
    one = f"""
        SELECT * FROM (
            SELECT stream, position, SUBSTR(payload, 1, %s), LENGTH(payload), created_at FROM {sql.table(StreamItem)}
            WHERE instance_id = %s AND stream = %s AND position < %s AND NOT closes ORDER BY position DESC LIMIT %s
        ) AS one
    """
    params = [value for name, place in below.items() for value in (characters, id, name, place or 2**63 - 1, limit)]
    rows = sql.fetch(connections[using], " UNION ALL ".join([one] * len(below)) + " ORDER BY 1, 2", params)
    return [_excerpt(*row) for row in rows]


def _excerpt(stream: str, position: int, text: str, length: int, created_at: object) -> ItemExcerpt:
    at = sql.read_moment(created_at)
    assert at is not None
    return ItemExcerpt(stream=stream, position=position, payload=Excerpt(text, length), created_at=at)
