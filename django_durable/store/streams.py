"""Streams: appending items, by turns and by anybody else.

Whoever appends first updates the row of the stream, and so locks it until the commit: positions become visible in their
order, and a reader that goes on after the last position it has seen misses nothing. A turn takes these locks after
those of its instances, in the order of instance and name.

The code of an instance is told by a message, once it has begun to read (`awaited`). The turn that begins locks the
stream, too, and tells itself of what was appended between its look and its commit.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

from django.db.backends.base.base import BaseDatabaseWrapper

from ..engine import events
from ..engine.errors import LeaseLost, StreamClosed
from ..engine.events import Fact, Payload
from ..models import ActivityTask, Stream, StreamItem
from . import sql, wakeups
from .inbox import Delivery, deliver
from .instances import target_of
from .records import TaskKey
from .transactions import write_transaction

ITEM = (
    *("instance_id", "stream", "position", "payload", "closes"),
    *("execution_number", "source_seq", "created_at"),
)


class Appended(NamedTuple):
    """An item before it has a position: the event or activity that sent it, None where somebody outside did."""

    payload: Payload
    closes: bool
    execution_number: int | None
    source_seq: int | None
    created_at: Any


@dataclass(slots=True)
class StreamWrite:
    """What is written of one stream. `opens`: its code reads it from now on, and has seen it up to `seen`."""

    items: list[Appended] = field(default_factory=list)
    opens: bool = False
    seen: int = 0


class StreamState(NamedTuple):
    """The row of a stream after an append."""

    last_position: int
    closed_at: int | None
    awaited: bool


class StreamWrites(dict[tuple[int, str], StreamWrite]):
    """What turns write, by instance and stream."""

    def add(self, instance: int, execution: int, seq: int, fact: Fact, at: Any) -> None:
        """Gather what one event writes; reads that go on write nothing."""
        match fact:
            case events.StreamItemSent(name=name, payload=payload):
                self._of(instance, name).items.append(Appended(payload, False, execution, seq, at))
            case events.StreamEnded(name=name, reason=reason):
                self._of(instance, name).items.append(Appended(json.dumps(reason), True, execution, seq, at))
            case events.StreamSubscribed(name=name, after=after, opens=True):
                write = self._of(instance, name)
                write.opens, write.seen = True, max(write.seen, after)
            case events.StreamItemsReceived(name=name, position=position) if (instance, name) in self:
                self[instance, name].seen = position

    def _of(self, instance: int, name: str) -> StreamWrite:
        return self.setdefault((instance, name), StreamWrite())


def write(connection: BaseDatabaseWrapper, writes: StreamWrites, ended: Collection[int]) -> list[Delivery]:
    """Write what turns do to streams; two statements, none where they do nothing.

    Args:
        ended: Instances whose code is not told any more.
    Returns: what has to be told to code that reads.
    Writes: Stream, StreamItem; in the transaction that is open.
    """
    if not writes:
        return []
    states = _append(connection, writes)
    return [
        Delivery(pk, events.StreamAppended(name=name))
        for (pk, name), written in writes.items()
        if (state := states[pk, name]).awaited and pk not in ended and state.last_position > written.seen
    ]


def _append(
    connection: BaseDatabaseWrapper, writes: Mapping[tuple[int, str], StreamWrite]
) -> dict[tuple[int, str], StreamState]:
    rows = []
    for (pk, name), written in sorted(writes.items()):
        closing = next((place for place, each in enumerate(written.items, 1) if each.closes), None)
        rows.append((pk, name, len(written.items), closing, written.opens))
    table = sql.table(Stream)
    returned = sql.insert_rows(
        connection,
        Stream,
        ("instance_id", "name", "last_position", "closed_at", "awaited"),
        rows,
        f"""
        ON CONFLICT (instance_id, name) DO UPDATE
        SET last_position = {table}.last_position + excluded.last_position,
            closed_at = COALESCE({table}.closed_at, {table}.last_position + excluded.closed_at),
            awaited = {table}.awaited OR excluded.awaited
        RETURNING instance_id, name, last_position, closed_at, awaited
        """,
    )
    states = {(pk, name): StreamState(last, closed, bool(awaited)) for pk, name, last, closed, awaited in returned}
    sql.insert_rows(connection, StreamItem, ITEM, [row for key in states for row in _items(key, writes, states)])
    return states


def _items(
    key: tuple[int, str], writes: Mapping[tuple[int, str], StreamWrite], states: Mapping[tuple[int, str], StreamState]
) -> Iterable[tuple[Any, ...]]:
    """Return the rows of a stream's new items; what comes behind its end is not stored."""
    items, state = writes[key].items, states[key]
    first = state.last_position - len(items) + 1
    for position, item in enumerate(items, first):
        if state.closed_at is None or position <= state.closed_at:
            yield (*key, position, item.payload, item.closes, *item[2:])


def append(
    instance_id: str,
    name: str,
    payloads: Sequence[Payload],
    *,
    reason: Payload | None = None,
    now: datetime,
    using: str,
) -> int:
    """Append items from outside, and close the stream where there is a `reason` (JSON text, `null` for none).

    Returns: the position of the last one.
    Raises: InstanceNotFound. IllegalTransition: the instance has finished. StreamClosed. Nothing was written.
    Writes: Stream, StreamItem, InboxMessage; in the transaction that is open, or one of its own. It locks the stream.
    """
    with write_transaction(using) as connection:
        target = target_of(instance_id, action=f"send on stream {name!r} of", using=using)
        at = sql.moment(connection, now)
        items = _outside(payloads, reason, at)
        state = _append_to(connection, target.id, name, items)
        if state.awaited:
            fact = events.StreamAppended(name=name)
            deliver(connection, [Delivery(target.id, fact, visible_at=target.visible_at(now))], now)
        wakeups.notify(using, work=state.awaited, instances=[target.id])
        return state.last_position


def append_from_activity(
    key: TaskKey,
    lease_token: int,
    name: str,
    payloads: Sequence[Payload],
    *,
    reason: Payload | None = None,
    now: datetime,
    using: str,
) -> int:
    """Append items that an activity sends, while it holds its lease.

    Returns, raises, writes: as `append`. LeaseLost: it is somebody else's now, or was canceled; stop it.
    """
    with write_transaction(using) as connection:
        held = sql.fetch(
            connection,
            f"""
            SELECT 1 FROM {sql.table(ActivityTask)} t
            WHERE instance_id = %s AND execution_number = %s AND seq = %s AND lease_token = %s
              AND lease_owner IS NOT NULL {sql.lock_key(connection, of="t")}
            """,
            [*key, lease_token],
        )
        if not held:
            raise LeaseLost("an activity task")
        at = sql.moment(connection, now)
        items = [
            each._replace(execution_number=key.execution, source_seq=key.seq) for each in _outside(payloads, reason, at)
        ]
        state = _append_to(connection, key.instance, name, items)
        if state.awaited:
            deliver(connection, [Delivery(key.instance, events.StreamAppended(name=name))], now)
        wakeups.notify(using, work=state.awaited, instances=[key.instance])
        return state.last_position


def _outside(payloads: Sequence[Payload], reason: Payload | None, at: Any) -> list[Appended]:
    items = [Appended(payload, False, None, None, at) for payload in payloads]
    return items if reason is None else [*items, Appended(reason, True, None, None, at)]


def _append_to(connection: BaseDatabaseWrapper, pk: int, name: str, items: list[Appended]) -> StreamState:
    """Append to one stream. Raises: StreamClosed: it was closed before."""
    state = _append(connection, {(pk, name): StreamWrite(items)})[pk, name]
    if state.closed_at is not None and state.closed_at <= state.last_position - len(items):
        reason = _reason(connection, pk, name, state.closed_at)
        raise StreamClosed(name, state.closed_at, reason)
    return state


def _reason(connection: BaseDatabaseWrapper, pk: int, name: str, position: int) -> str | None:
    found = StreamItem.objects.using(connection.alias).filter(instance=pk, stream=name, position=position)
    payload = found.values_list("payload", flat=True).first()
    reason: str | None = None if payload is None else json.loads(payload)
    return reason


def count_sent(key: TaskKey, name: str, *, using: str) -> int:
    """Count the items that an activity has sent on a stream so far, in all its attempts."""
    sent = StreamItem.objects.using(using).filter(instance=key.instance, stream=name, closes=False)
    return sent.filter(execution_number=key.execution, source_seq=key.seq).count()
