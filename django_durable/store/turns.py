"""Committing turns: everything a batch of turns asks for, in one transaction, or each alone where the batch fails.

Theory of operation.

1. What comes first is one UPDATE of all instances, guarded per instance: lease token, owner, a lease that is not over,
   status, and the place in the history that the turn started from. It locks the rows until the commit, in the order of
   their ids, as everybody does who locks several. What follows needs no guard of its own, with one exception: activity
   tasks whose outcome the turn takes must still be this worker's.
2. A guard that misses means that somebody else has the instance, or the task. The transaction is rolled back, and the
   turns are committed one by one, so that only those are lost whose own guard misses.
3. `effects` says what to write; each kind of write is one statement for the whole batch, and no statement where there
   is nothing of its kind. A step of a chain is an UPDATE, two INSERTs and a DELETE. On PostgreSQL they are the parts of
   one statement, which commits by itself; only turns that have to look at what is there (they start or cancel
   children, end badly, write to streams or promises) make it the first one of a transaction.
4. Only the ids of consumed messages are deleted, so what arrives while a turn runs survives its commit. The end of an
   instance deletes what is left in its inbox; a message that a sender has not committed by then is deleted by the claim
   that comes across it.
5. Histories are append-only, and the primary key refuses an event whose place is taken.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from django.db import DatabaseError, InterfaceError, OperationalError, connections
from django.db.backends.base.base import BaseDatabaseWrapper

from ..conf import settings
from ..engine import events
from ..engine.errors import LeaseLost
from ..engine.events import failure_to_payload
from ..engine.failures import Failure
from ..engine.states import TERMINAL, Move, RuntimeStatus, sources
from ..models import ActivityTask, HistoryEvent, InboxMessage, Instance, KeyValue, QueuedEvent
from . import sql, streams, succession, wakeups
from .batch import GIVEN, Batch
from .checkpoints import write_checkpoints
from .claims import UNCLAIMABLE
from .effects import TASK, Effects, end_of, shows
from .inbox import COLUMNS, deliver, delivered
from .promises import write_promises
from .records import TurnCommit, TurnOutcome
from .spans import add_spans
from .transactions import write_transaction

_HISTORY = (
    *("instance_id", "execution_number", "seq", "kind", "name", "source_seq", "payload", "data"),
    "recorded_at",
)
_TURN = (
    "pk bigint, token bigint, execution bigint, length bigint, status text, ends bigint, next_version text, "
    "next_execution bigint, next_length bigint, shows bigint, shown text, keeps bigint"
)
_PLACE = "instance_id bigint, execution_number bigint, seq bigint"
_LEASED = f"{_PLACE}, lease_token bigint"
_BLOCKED = "pk bigint, token bigint, reason text"
_BLOCKABLE = sorted(sources(Move.BLOCK))


def commit_turns(
    worker_id: str, commits: Sequence[TurnCommit], *, lease: timedelta, now: datetime, using: str | None = None
) -> list[TurnOutcome]:
    """Write turns, all in one transaction; where that fails, each in its own, so that one harms only itself.

    Args:
        commits: Of different instances.
    Returns: one outcome per commit, in order. LOST: drop the turn; completions it took are still due. With an error:
        the database refuses what this turn writes; it will refuse it again.
    Raises: OperationalError, InterfaceError: the database failed, and what was committed is unknown. Drop what is in
        memory of these instances and claim again.
    Writes: Instance (guarded), HistoryEvent, ActivityTask, InboxMessage, Execution, KeyValue, QueuedEvent, TraceSpan,
        Stream, StreamItem; and Instance, Execution, InboxMessage of the orchestrations that were started.
    """
    if not commits:
        return []
    using = using or settings.DATABASE
    try:
        _commit(worker_id, commits, lease, now, using)
    except (DatabaseError, InterfaceError, LeaseLost, ValueError, OverflowError) as error:
        if len(commits) > 1:
            single = (commit_turns(worker_id, [each], lease=lease, now=now, using=using) for each in commits)
            return [outcome for outcomes in single for outcome in outcomes]
        if isinstance(error, LeaseLost):
            return [TurnOutcome.LOST]
        if isinstance(error, OperationalError | InterfaceError) and not _is_too_large(error):
            raise
        return [TurnOutcome.failed(error)]
    return [TurnOutcome.COMMITTED] * len(commits)


def _is_too_large(error: Exception) -> bool:
    """Tell whether the database refused a value (SQLSTATE class 54), which it does whenever it is asked again."""
    return str(getattr(error.__cause__, "sqlstate", None)).startswith("54")


def _commit(worker_id: str, commits: Sequence[TurnCommit], lease: timedelta, now: datetime, using: str) -> None:
    connection = connections[using]
    batch = Batch(connection)
    effects = Effects(partial(sql.moment, connection), worker_id, now, lease)
    for commit in commits:
        effects.add(commit)
    _update_instances(batch, effects, commits)
    _finish_tasks(batch, effects)
    batch.insert(HistoryEvent, _HISTORY, effects.history)
    batch.insert(ActivityTask, TASK, effects.tasks)
    batch.delete(InboxMessage, effects.consumed)
    batch.delete(QueuedEvent, effects.dequeued)
    _cancel(batch, effects)
    _write_entries(batch, effects)
    succession.end_executions(batch, effects)
    write_checkpoints(batch, effects.checkpoints)
    add_spans(batch, effects.spans)
    changed = [commit.instance for commit in commits if shows(commit)]
    if effects.reaches_out:
        with write_transaction(using):
            batch.run()
            _reach_out(connection, effects)
            deliver(connection, effects.deliveries, now)
            wakeups.send(connection, _notices(connection, effects, changed))
    else:
        batch.insert(InboxMessage, COLUMNS, delivered(connection, effects.deliveries, now))
        batch.commit(_notices(connection, effects, changed))


def _reach_out(connection: BaseDatabaseWrapper, effects: Effects) -> None:
    """Do what depends on what is there; whom it tells is added to `effects.deliveries`."""
    succession.start_and_cancel(connection, effects)
    write_promises(connection, effects)
    ended = {commit.instance for commit, _ in effects.ended}
    effects.deliveries += streams.write(connection, effects.streams, ended)
    succession.end_what_was_started(connection, effects)


def _notices(connection: BaseDatabaseWrapper, effects: Effects, changed: Sequence[int]) -> list[wakeups.Notice]:
    due = any(each.visible_at is None or each.visible_at <= effects.now for each in effects.deliveries)
    messages = due or bool(effects.children or effects.chained)
    return wakeups.notices_of(connection, work=effects.offers_work, messages=messages, instances=changed)


def _update_instances(batch: Batch, effects: Effects, commits: Sequence[TurnCommit]) -> None:
    """Update every instance by one guarded statement."""
    at, until = effects.moment(effects.now), effects.moment(effects.now + effects.lease)
    lock = sql.lock(batch.connection, of="held")
    batch.change(
        f"""
        WITH turn AS MATERIALIZED (
            SELECT given.* FROM {GIVEN}
            JOIN {sql.table(Instance)} held ON held.id = given.pk ORDER BY held.id {lock}
        )
        UPDATE {sql.table(Instance)} AS i
        SET runtime_status = COALESCE(turn.status, runtime_status), version = COALESCE(turn.next_version, version),
            execution_number = turn.next_execution, history_length = turn.next_length,
            custom_status = CASE WHEN turn.shows = 1 THEN turn.shown ELSE custom_status END,
            custom_status_version = custom_status_version + turn.shows, revision = revision + 1,
            lease_owner = CASE WHEN turn.keeps = 1 THEN lease_owner END,
            lease_until = CASE WHEN turn.keeps = 1 THEN %s END,
            completed_at = CASE WHEN turn.ends = 1 THEN %s END,
            started_at = COALESCE(started_at, %s), updated_at = %s, turn_attempts = 0
        FROM turn
        WHERE i.id = turn.pk AND i.lease_token = turn.token AND i.lease_owner = %s AND i.lease_until > %s
          AND i.execution_number = turn.execution AND i.history_length = turn.length
          AND i.runtime_status NOT IN ({sql.marks(UNCLAIMABLE)})
        """,
        _TURN,
        [_new_state(each) for each in commits],
        [until, at, at, at, effects.worker_id, at, *UNCLAIMABLE],
        guarded=True,
    )


def _new_state(commit: TurnCommit) -> tuple[Any, ...]:
    """Return the guard of a turn and what its instance is after it, in the order of `_TURN`."""
    shown = [each.fact for each in commit.events if isinstance(each.fact, events.CustomStatusUpdated)]
    end, execution, length = end_of(commit), commit.execution_number, commit.history_length + len(commit.events)
    version = None
    if commit.next_start is not None:
        execution, length, version = execution + 1, 0, commit.next_version or commit.next_start.version
    ends = end in TERMINAL
    return (
        *(commit.instance, commit.lease_token, commit.execution_number, commit.history_length),
        *(end.value if commit.events else None, int(ends), version, execution, length),
        *(int(bool(shown)), shown[-1].value if shown else None, int(commit.keep_lease and not ends)),
    )


def _finish_tasks(batch: Batch, effects: Effects) -> None:
    """Delete the tasks whose outcomes the turns take; each must still be there, and this worker's.

    The condition on the lease is a CASE because no index serves one: PostgreSQL would read the index of `visible_at`.
    """
    batch.change(
        f"""
        DELETE FROM {sql.table(ActivityTask)} WHERE (instance_id, execution_number, seq, lease_token) IN (
            SELECT instance_id, execution_number, seq, lease_token FROM {GIVEN}
        ) AND CASE WHEN lease_owner = %s THEN visible_at > %s END
        """,
        _LEASED,
        effects.finished_tasks,
        [effects.worker_id, effects.moment(effects.now)],
        guarded=True,
    )


def _cancel(batch: Batch, effects: Effects) -> None:
    """Delete what earlier turns scheduled and these take back. What is gone already is no error."""
    batch.change(
        f"""
        DELETE FROM {sql.table(ActivityTask)} WHERE (instance_id, execution_number, seq) IN (
            SELECT instance_id, execution_number, seq FROM {GIVEN}
        )
        """,
        _PLACE,
        effects.canceled_tasks,
    )
    batch.change(
        f"""
        DELETE FROM {sql.table(InboxMessage)} WHERE (instance_id, execution_number, source_seq) IN (
            SELECT instance_id, execution_number, seq FROM {GIVEN}
        ) AND kind IN (%s, %s)
        """,
        _PLACE,
        effects.canceled_timers,
        [events.TimerFired.__name__, events.PromiseExpired.__name__],
    )


def _write_entries(batch: Batch, effects: Effects) -> None:
    """Write KV values as the turns leave them."""
    batch.change(
        f"DELETE FROM {sql.table(KeyValue)} WHERE (instance_id, key) IN (SELECT instance_id, key FROM {GIVEN})",
        "instance_id bigint, key text",
        [place for place, row in effects.entries.items() if row is None],
    )
    batch.insert(
        KeyValue,
        ("instance_id", "key", "value", "updated_at"),
        [row for row in effects.entries.values() if row is not None],
        "ON CONFLICT (instance_id, key) DO UPDATE SET value = excluded.value, updated_at = excluded.updated_at",
    )


def block_instances(
    worker_id: str, blocked: Sequence[tuple[int, int, Failure]], now: datetime, *, using: str | None = None
) -> set[int]:
    """Park instances whose code is missing or has diverged, with the reason; their messages are held.

    Args:
        blocked: `(instance, lease token, reason)`.
    Returns: the instances whose lease was lost; nothing was changed of those.
    Writes: Instance (guarded), InboxMessage (held); one transaction.
    """
    if not blocked:
        return set()
    reasons = [(pk, token, failure_to_payload(failure)) for pk, token, failure in blocked]
    with write_transaction(using or settings.DATABASE) as connection:
        at = sql.moment(connection, now)
        parked = sql.fetch(
            connection,
            f"""
            WITH refused AS MATERIALIZED (
                SELECT given.* FROM {sql.rows(connection, "given", _BLOCKED)}
                JOIN {sql.table(Instance)} held ON held.id = given.pk ORDER BY held.id {sql.lock(connection, of="held")}
            )
            UPDATE {sql.table(Instance)} AS i
            SET runtime_status = %s, blocked_reason = refused.reason, lease_owner = NULL, lease_until = NULL,
                turn_attempts = 0, updated_at = %s, revision = revision + 1
            FROM refused
            WHERE i.id = refused.pk AND i.lease_token = refused.token AND i.lease_owner = %s AND i.lease_until > %s
              AND i.runtime_status IN ({sql.marks(_BLOCKABLE)})
            RETURNING id
            """,
            [sql.pack(_BLOCKED, reasons), RuntimeStatus.BLOCKED.value, at, worker_id, at, *_BLOCKABLE],
        )
        _hold_messages(connection, parked)
        wakeups.notify(connection.alias, instances=[pk for (pk,) in parked])
    return {pk for pk, _, _ in blocked} - {pk for (pk,) in parked}


def _hold_messages(connection: BaseDatabaseWrapper, parked: Sequence[tuple[Any, ...]]) -> None:
    if parked:
        sql.execute(
            connection,
            f"""
            UPDATE {sql.table(InboxMessage)} SET held = TRUE WHERE NOT held AND instance_id IN (
                SELECT id FROM {sql.rows(connection, "parked", "id bigint")}
            )
            """,
            [sql.pack("id bigint", parked)],
        )
