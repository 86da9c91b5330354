"""Taking instances: which have something to do, whose lease is free, and what they were sent.

Theory of operation.

1. What can be claimed is found through visible messages, oldest first, so the cost grows with what waits and not with
   what is finished. Candidates are read without any lock: a look that finds nothing writes nothing.
2. A window of messages is looked at. Where one instance fills it, the next window leaves that instance out, so
   that nobody's thousands of messages keep others from being found.
3. The leases are taken by one guarded UPDATE of what nobody else has locked. Two workers that see the same candidates
   get different instances; the one that comes too late looks again.
4. Messages of parked instances that a claim comes across are marked held and leave the index; those of finished
   instances are deleted. That mends what a sender that raced with the end of its instance left behind. Both lock the
   instance first: one that is being resumed keeps its messages visible.
5. No statement depends on an earlier one's lock, so each commits by itself. An instance is taken before its messages
   are read; a worker that fails in between finds it by its own lease.
6. Taking a lease does not wait for the disk. A crash of the server that undoes it breaks the worker's connection, too,
   and nothing of a turn stands before the turn's commit, which puts on disk what was written before it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper

from ..conf import settings
from ..engine.events import HistoryEvent as RecordedEvent, OrchestrationRewound, OrchestrationStarted, fact_from_columns
from ..engine.replay import QueuedMessage
from ..engine.states import CLAIMABLE, PARKED, TERMINAL
from ..models import HistoryEvent, InboxMessage, Instance, QueuedEvent
from . import sql
from .records import ClaimedInstance, Kin, Message

MESSAGES_PER_CLAIM = 500
"""Messages an instance gets per claim; the rest waits for its next turn."""

WINDOW = 500
"""Messages looked at for candidates, at least; each further window is larger by `GROWTH`."""

GROWTH = 4
WINDOWS = 6
LOOKS = 3
"""How often a claim looks again because others took what it had found."""

QUEUES_PER_QUERY = 100

_PARKED, _TERMINAL = sorted(PARKED), sorted(TERMINAL)
UNCLAIMABLE = sorted(PARKED | TERMINAL)
"""Asked for by NOT IN, which is no condition of an index: whatever a database takes for likely, it reads no index of
statuses where it is given ids."""

_FIRST = (OrchestrationStarted.__name__, OrchestrationRewound.__name__)
_IDS = "pk bigint"
_ORDERED = "pk bigint, place bigint"
_LEASED = "pk bigint, token bigint"
_PLACE = "pk bigint, number bigint"
_FREE = "(i.lease_until IS NULL OR i.lease_until <= %s OR i.lease_owner = %s)"


class Candidate(NamedTuple):
    """An instance with visible messages, and how many of them were in the window."""

    id: int
    status: str
    messages: int


def claim_instances(
    worker_id: str, *, limit: int, lease: timedelta, now: datetime, using: str | None = None
) -> list[ClaimedInstance]:
    """Lease up to `limit` instances that have visible messages and whose lease is free, expired or this worker's own.

    Returns: those that wait longest first, each with its messages, oldest first; but what an execution starts with
        before everything else, because messages that came before a continue-as-new are for the execution after it.
        Fewer than `limit` means that there are no more, except where others claim at the same time.
    Writes: Instance (lease, guarded by status and lease), InboxMessage (held, or deleted); nothing where nothing waits.
    """
    connection = connections[using or settings.DATABASE]
    claimed: dict[int, ClaimedInstance] = {}
    for _ in range(LOOKS):
        found = _candidates(connection, worker_id, limit - len(claimed), now, claimed)
        _set_aside(connection, found)
        able = [each.id for each in found if each.status in CLAIMABLE]
        taken = _lease(connection, worker_id, able, limit - len(claimed), lease, now)
        claimed.update(_with_messages(connection, worker_id, taken, now))
        if len(claimed) >= limit or len(taken) == len(able):
            break
    return list(claimed.values())


def _candidates(
    connection: BaseDatabaseWrapper, worker_id: str, limit: int, now: datetime, known: Iterable[int]
) -> list[Candidate]:
    """Return instances with visible messages, longest waiting first; `limit` claimable ones at least, if there are."""
    found: list[Candidate] = []
    seen = list(known)
    window = max(WINDOW, GROWTH * limit)
    for _ in range(WINDOWS):
        part = _window(connection, worker_id, window, now, seen)
        found += part
        claimable = sum(each.status in CLAIMABLE for each in found)
        if claimable >= limit or sum(each.messages for each in part) < window:
            break
        seen += [each.id for each in part]
        window *= GROWTH
    return found


def _window(
    connection: BaseDatabaseWrapper, worker_id: str, window: int, now: datetime, seen: Sequence[int]
) -> list[Candidate]:
    at = sql.moment(connection, now)
    unseen = f"AND i.id NOT IN (SELECT pk FROM {sql.rows(connection, 'seen', _IDS)})" if seen else ""
    rows = sql.fetch(
        connection,
        f"""
        SELECT id, runtime_status, COUNT(*) FROM (
            SELECT i.id, i.runtime_status, m.visible_at
            FROM {sql.table(InboxMessage)} m {_each_instance(connection, f"{_FREE} {unseen}")}
            WHERE {sql.unheld(connection)} AND m.visible_at <= %s
            ORDER BY m.visible_at, m.instance_id LIMIT %s
        ) due
        GROUP BY id, runtime_status ORDER BY MIN(visible_at), id
        """,
        [at, worker_id, *([sql.pack(_IDS, [(pk,) for pk in seen])] if seen else []), at, window],
    )
    return [Candidate(*row) for row in rows]


def _each_instance(connection: BaseDatabaseWrapper, condition: str) -> str:
    """Return the join of messages `m` with their instances `i`, one look-up for each message in turn.

    PostgreSQL would plan for a third of all messages being visible, and merge with all instances that there are.
    """
    table = sql.table(Instance)
    if connection.vendor != "postgresql":
        return f"JOIN {table} i ON i.id = m.instance_id AND {condition}"
    found = f"SELECT i.id, i.runtime_status FROM {table} i WHERE i.id = m.instance_id AND {condition} OFFSET 0"
    return f"CROSS JOIN LATERAL ({found}) i"


def _lease(
    connection: BaseDatabaseWrapper, worker_id: str, ids: Sequence[int], limit: int, lease: timedelta, now: datetime
) -> dict[int, ClaimedInstance]:
    """Take the leases of the first `limit` of `ids` that can be had, in their order.

    Each is asked for its messages by itself; for EXISTS, PostgreSQL would go through all that are visible.
    """
    if not ids:
        return {}
    at = sql.moment(connection, now)
    rows = sql.fetch(
        connection,
        f"""
        WITH free AS MATERIALIZED (
            SELECT i.id AS pk FROM {sql.rows(connection, "wanted", _ORDERED)}
            JOIN {sql.table(Instance)} i ON i.id = wanted.pk
            WHERE i.runtime_status NOT IN ({sql.marks(UNCLAIMABLE)}) AND {_FREE} AND (
                SELECT TRUE FROM {sql.table(InboxMessage)} m
                WHERE m.instance_id = i.id AND NOT m.held AND m.visible_at <= %s LIMIT 1
            )
            ORDER BY wanted.place LIMIT %s {sql.lock(connection, skip=True, of="i")}
        )
        UPDATE {sql.table(Instance)} AS i
        SET lease_owner = %s, lease_until = %s, lease_token = lease_token + 1, turn_attempts = turn_attempts + 1
        FROM free WHERE i.id = free.pk
        RETURNING id, instance_id, orchestration, version, runtime_status, execution_number, history_length,
                  lease_token, turn_attempts, traceparent, root_id, parent_id, parent_execution, parent_seq
                  {sql.unhurried(connection)}
        """,
        [
            sql.pack(_ORDERED, [(pk, place) for place, pk in enumerate(ids)]),
            *(*UNCLAIMABLE, at, worker_id, at, limit),
            *(worker_id, sql.moment(connection, now + lease)),
        ],
    )
    taken = {row[0]: _claimed(*row[:14]) for row in rows}
    return {pk: taken[pk] for pk in ids if pk in taken}


def _claimed(
    pk: int,
    instance_id: str,
    orchestration: str,
    version: str,
    status: str,
    execution: int,
    length: int,
    token: int,
    attempts: int,
    traceparent: str | None,
    *kin: int | None,
) -> ClaimedInstance:
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
        traceparent=traceparent,
        kin=Kin(*kin),
    )


def _set_aside(connection: BaseDatabaseWrapper, found: Sequence[Candidate]) -> None:
    """Hold the messages of parked instances and delete those of finished ones."""
    table = sql.table(InboxMessage)
    for statuses, change in (
        (_PARKED, f"UPDATE {table} SET held = TRUE WHERE NOT held AND instance_id IN"),
        (_TERMINAL, f"DELETE FROM {table} WHERE instance_id IN"),
    ):
        ids = [(each.id,) for each in found if each.status in statuses]
        if ids:
            sql.execute(
                connection,
                f"""
                {change} (
                    SELECT i.id FROM {sql.table(Instance)} i
                    WHERE i.id IN (SELECT pk FROM {sql.rows(connection, "aside", _IDS)})
                      AND i.runtime_status IN ({sql.marks(statuses)})
                    ORDER BY i.id {sql.lock(connection, skip=True)}
                )
                """,
                [sql.pack(_IDS, ids), *statuses],
            )


def _with_messages(
    connection: BaseDatabaseWrapper, worker_id: str, taken: dict[int, ClaimedInstance], now: datetime
) -> dict[int, ClaimedInstance]:
    """Read the messages of instances that were taken. Those that turn out to have none are released again.

    They are found by their instances: a condition within a CASE is one of no index.
    """
    if not taken:
        return {}
    theirs = sql.among(connection, f"SELECT pk FROM {sql.rows(connection, 'taken', _IDS)}")
    rows = sql.fetch(
        connection,
        f"""
        SELECT id, instance_id, execution_number, kind, name, source_seq, payload, data FROM (
            SELECT m.*, ROW_NUMBER() OVER (
                PARTITION BY instance_id ORDER BY kind NOT IN ({sql.marks(_FIRST)}), visible_at, id
            ) AS place
            FROM {sql.table(InboxMessage)} m
            WHERE instance_id {theirs} AND CASE WHEN NOT held THEN visible_at <= %s END
        ) numbered
        WHERE place <= %s ORDER BY instance_id, place
        """,
        [
            *_FIRST,
            sql.pack(_IDS, [(pk,) for pk in taken]),
            sql.moment(connection, now),
            MESSAGES_PER_CLAIM,
        ],
    )
    for message_id, pk, execution, *columns in rows:
        taken[pk].messages.append(_message(message_id, execution, columns))
    # Another worker had a turn of it between the look and the lease.
    idle = {pk: each.lease_token for pk, each in taken.items() if not each.messages}
    _release(connection, worker_id, idle, attempts=1)
    return {pk: each for pk, each in taken.items() if each.messages}


def _message(message_id: int, execution: int | None, columns: Sequence[Any]) -> Message:
    try:
        return Message(message_id, execution, fact_from_columns(*columns))
    except ValueError as error:
        return Message(message_id, execution, None, str(error))


def load_histories(places: Iterable[tuple[int, int]], *, using: str | None = None) -> dict[int, list[RecordedEvent]]:
    """Return the histories of `(instance, execution number)` pairs by instance, in order; one query.

    Raises: ValueError: a row that cannot be decoded; load one by one to find whose it is.
    """
    places = list(places)
    histories: dict[int, list[RecordedEvent]] = {pk: [] for pk, _ in places}
    if not places:
        return histories
    connection = connections[using or settings.DATABASE]
    rows = sql.fetch(
        connection,
        f"""
        SELECT e.instance_id, e.seq, e.recorded_at, e.kind, e.name, e.source_seq, e.payload, e.data
        FROM {sql.rows(connection, "place", _PLACE)}
        JOIN {sql.table(HistoryEvent)} e ON e.instance_id = place.pk AND e.execution_number = place.number
        ORDER BY e.instance_id, e.seq
        """,
        [sql.pack(_PLACE, places)],
    )
    for pk, seq, recorded_at, *columns in rows:
        at = sql.read_moment(recorded_at)
        assert at is not None
        histories[pk].append(RecordedEvent(seq, at, fact_from_columns(*columns)))
    return histories


def load_queued(
    wanted: Mapping[int, Iterable[str]], limit: int = 1000, *, using: str | None = None
) -> dict[int, list[QueuedMessage]]:
    """Return up to `limit` queued events per queue that `wanted` names for an instance, oldest first.

    One query for up to `QUEUES_PER_QUERY` queues.
    """
    connection = connections[using or settings.DATABASE]
    queues = [(pk, queue) for pk, names in wanted.items() for queue in sorted(names)]
    found: dict[int, list[QueuedMessage]] = {}
    one = f"""
        SELECT * FROM (
            SELECT instance_id, id, queue, payload FROM {sql.table(QueuedEvent)}
            WHERE instance_id = %s AND queue = %s ORDER BY id LIMIT %s
        ) AS one
    """
    for start in range(0, len(queues), QUEUES_PER_QUERY):
        part = queues[start : start + QUEUES_PER_QUERY]
        rows = sql.fetch(
            connection,
            " UNION ALL ".join([one] * len(part)) + " ORDER BY 2",
            [value for pk, queue in part for value in (pk, queue, limit)],
        )
        for pk, message_id, queue, payload in rows:
            found.setdefault(pk, []).append(QueuedMessage(message_id, queue, payload))
    return found


def renew_instances(
    worker_id: str, tokens: Mapping[int, int], lease: timedelta, now: datetime, *, using: str | None = None
) -> set[int]:
    """Extend the leases of held instances; one statement, and one more where not all were extended.

    A row that a commit of this worker has locked is left out and counts as held; so does one whose lease this worker
    gave back meanwhile: nobody else has it.
    Args:
        tokens: Lease token by instance.
    Returns: the instances whose lease is lost. Drop what is held of them.
    Writes: Instance (guarded by owner, token and lease).
    """
    if not tokens:
        return set()
    connection = connections[using or settings.DATABASE]
    at = sql.moment(connection, now)
    ours = f"""
        SELECT i.id AS pk FROM {sql.rows(connection, "leased", _LEASED)}
        JOIN {sql.table(Instance)} i ON i.id = leased.pk AND i.lease_token = leased.token
        WHERE i.lease_owner = %s AND i.lease_until > %s
    """
    params = [sql.pack(_LEASED, tokens.items()), worker_id, at]
    renewed = sql.fetch(
        connection,
        f"""
        WITH mine AS MATERIALIZED ({ours} ORDER BY i.id {sql.lock(connection, skip=True, of="i")})
        UPDATE {sql.table(Instance)} AS i SET lease_until = %s FROM mine WHERE i.id = mine.pk RETURNING id
        """,
        [*params, sql.moment(connection, now + lease)],
    )
    left = set(tokens) - {pk for (pk,) in renewed}
    return left - {pk for (pk,) in sql.fetch(connection, f"{ours} OR i.lease_owner IS NULL", params)} if left else left


def release_instances(worker_id: str, tokens: Mapping[int, int], now: datetime, *, using: str | None = None) -> None:
    """Give leases back, so that any worker may take the instances at once; one statement.

    Args:
        tokens: Lease token by instance; where it is not current any more, nothing is to be given back.
    Writes: Instance (guarded by owner and token).
    """
    _release(connections[using or settings.DATABASE], worker_id, tokens)


def _release(connection: BaseDatabaseWrapper, worker_id: str, tokens: Mapping[int, int], *, attempts: int = 0) -> None:
    if not tokens:
        return
    sql.execute(
        connection,
        f"""
        WITH mine AS MATERIALIZED (
            SELECT i.id AS pk FROM {sql.rows(connection, "leased", _LEASED)}
            JOIN {sql.table(Instance)} i ON i.id = leased.pk AND i.lease_token = leased.token
            WHERE i.lease_owner = %s ORDER BY i.id {sql.lock(connection, of="i")}
        )
        UPDATE {sql.table(Instance)} AS i
        SET lease_owner = NULL, lease_until = NULL, turn_attempts = turn_attempts - %s
        FROM mine WHERE i.id = mine.pk
        """,
        [sql.pack(_LEASED, tokens.items()), worker_id, attempts],
    )
