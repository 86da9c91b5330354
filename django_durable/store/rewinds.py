"""Writing executions that begin with a copy of an earlier one's events; see `retries`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper

from ..engine.durations import from_epoch_ms
from ..engine.errors import LeaseLost
from ..engine.events import ExternalEvent, Fact, TimerFired
from ..engine.rewind import Rewind
from ..engine.states import ExecutionStatus, Move, resumed_status, sources
from ..models import ActivityTask, Execution, HistoryEvent, InboxMessage, Instance, KeyValue, Promise, QueuedEvent
from . import sql, streamcopies
from .effects import TASK, new_task
from .inbox import Delivery, deliver
from .promiserows import COLUMNS, expiry_of, new_promise
from .records import TaskKey

_IDS = "pk bigint"
_COPY = "pk bigint, number bigint, source bigint, source_number bigint, kept bigint"
_STATE = "pk bigint, number bigint, length bigint, status text, shown text, parent_execution bigint"
_COPIED = ("seq", "kind", "name", "source_seq", "payload", "data", "recorded_at")


@dataclass(slots=True, kw_only=True)
class NewExecution:
    """An execution to write.

    Attributes:
        instance: Surrogate id, of a row that is locked.
        copied_from: Surrogate id and execution number of the history that its first events are copied from.
        first: What it is told first.
        answers: What it is told last: outcomes of children that are known already.
        parent_execution: The execution of the parent that it answers; None leaves that as it is.
        is_next: Whether the instance has other executions, of which this is the next.
    """

    instance: int
    number: int
    copied_from: tuple[int, int]
    rewind: Rewind
    first: Fact
    answers: list[Fact] = field(default_factory=list)
    parent_execution: int | None = None
    is_next: bool = True


def write(connection: BaseDatabaseWrapper, executions: Sequence[NewExecution], move: Move, now: datetime) -> None:
    """Write executions of different instances, with everything that makes them run; a constant number of statements.

    Raises: LeaseLost: one of the instances is not in a status from which `move` is legal.
    Writes: Instance (guarded by status), Execution, HistoryEvent, ActivityTask, InboxMessage, KeyValue, QueuedEvent; in
        the transaction that is open.
    """
    _update_instances(connection, executions, move, now)
    at = sql.moment(connection, now)
    started = [(each, each.rewind.started) for each in executions if each.is_next]
    sql.insert_rows(
        connection,
        Execution,
        ("instance_id", "number", "version", "status", "input", "started_at"),
        [(e.instance, e.number, start.version, ExecutionStatus.RUNNING.value, start.input, at) for e, start in started],
    )
    _copy_histories(connection, executions)
    _copy_streams(connection, executions)
    _restore_entries(connection, executions)
    _put_messages_back(connection, executions, at)
    _insert_tasks(connection, executions, now)
    _ask_again(connection, executions, now)
    _deliver(connection, executions, now)


def _update_instances(
    connection: BaseDatabaseWrapper, executions: Sequence[NewExecution], move: Move, now: datetime
) -> None:
    states = [
        (
            *(each.instance, each.number, each.rewind.kept),
            *(resumed_status(each.rewind.kept, each.number).value, each.rewind.custom_status, each.parent_execution),
        )
        for each in executions
    ]
    at, legal = sql.moment(connection, now), sorted(sources(move))
    updated = sql.execute(
        connection,
        f"""
        UPDATE {sql.table(Instance)} AS i
        SET runtime_status = state.status, execution_number = state.number, history_length = state.length,
            custom_status = state.shown, custom_status_version = custom_status_version
                + CASE WHEN COALESCE(custom_status, '') <> COALESCE(state.shown, '') THEN 1 ELSE 0 END,
            parent_execution = COALESCE(state.parent_execution, i.parent_execution), blocked_reason = NULL,
            lease_token = lease_token + 1, lease_owner = NULL, lease_until = NULL, turn_attempts = 0,
            revision = revision + 1, updated_at = %s, completed_at = NULL
        FROM {sql.rows(connection, "state", _STATE)}
        WHERE i.id = state.pk AND i.runtime_status IN ({sql.marks(legal)})
        """,
        [at, sql.pack(_STATE, states), *legal],
    )
    if updated != len(executions):
        raise LeaseLost(f"{len(executions) - updated} of {len(executions)} instances that were locked")


def _copy_histories(connection: BaseDatabaseWrapper, executions: Sequence[NewExecution]) -> None:
    copies = [(each.instance, each.number, *each.copied_from, each.rewind.kept) for each in executions]
    columns = ", ".join(_COPIED)
    sql.execute(
        connection,
        f"""
        INSERT INTO {sql.table(HistoryEvent)} (instance_id, execution_number, {columns})
        SELECT copy.pk, copy.number, {", ".join(f"e.{each}" for each in _COPIED)}
        FROM {sql.rows(connection, "copy", _COPY)}
        JOIN {sql.table(HistoryEvent)} e ON e.instance_id = copy.source AND e.execution_number = copy.source_number
        WHERE e.seq <= copy.kept
        """,
        [sql.pack(_COPY, copies)],
    )


def _copy_streams(connection: BaseDatabaseWrapper, executions: Sequence[NewExecution]) -> None:
    """Give a fork the streams of its source. Those of an instance that is retried go on, if they had ended since."""
    for each in executions:
        source, number = each.copied_from
        again = [seq for seq, _ in each.rewind.activities]
        if source != each.instance:
            streamcopies.copy(connection, source, each.instance, number, each.rewind.kept, again)
        else:
            streamcopies.reopen(connection, each.instance, number, each.rewind.kept, again)


def _restore_entries(connection: BaseDatabaseWrapper, executions: Sequence[NewExecution]) -> None:
    sql.execute(
        connection,
        f"DELETE FROM {sql.table(KeyValue)} WHERE instance_id IN ({_chosen(connection, executions)})",
        [_packed(executions)],
    )
    rows = [
        (each.instance, key, value.payload, sql.moment(connection, from_epoch_ms(value.updated_ms)))
        for each in executions
        for key, value in each.rewind.key_values.items()
    ]
    sql.insert_rows(connection, KeyValue, ("instance_id", "key", "value", "updated_at"), rows)


def _put_messages_back(connection: BaseDatabaseWrapper, executions: Sequence[NewExecution], at: Any) -> None:
    """Put messages at the front of their queues: those that nobody has taken are inserted anew behind them."""
    rows = [(each.instance, *message, at) for each in executions for message in each.rewind.queued]
    if not rows:
        return
    columns = ("instance_id", "queue", "payload", "created_at")
    returning = [each for each in executions if each.rewind.queued]
    chosen, packed = _chosen(connection, returning), _packed(returning)
    left = sql.fetch(
        connection,
        f"SELECT id, {', '.join(columns)} FROM {sql.table(QueuedEvent)} WHERE instance_id IN ({chosen}) ORDER BY id",
        [packed],
    )
    sql.delete_by_id(connection, QueuedEvent, [row[0] for row in left])
    sql.insert_rows(connection, QueuedEvent, columns, [*rows, *(row[1:] for row in left)])


def _insert_tasks(connection: BaseDatabaseWrapper, executions: Sequence[NewExecution], now: datetime) -> None:
    def moment(value: datetime | None) -> Any:
        return sql.moment(connection, value)

    rows = [
        (*new_task(TaskKey(each.instance, each.number, seq), fact, now, moment), 0, moment(now), 0, None)
        for each in executions
        for seq, fact in each.rewind.activities
    ]
    sql.insert_rows(connection, ActivityTask, TASK, rows)


def _ask_again(connection: BaseDatabaseWrapper, executions: Sequence[NewExecution], now: datetime) -> None:
    """Open promises anew, with all of their time."""
    opened = [
        (TaskKey(each.instance, each.number, seq), fact) for each in executions for seq, fact in each.rewind.promises
    ]
    rows = [new_promise(key, fact, now, lambda value: sql.moment(connection, value)) for key, fact in opened]
    sql.insert_rows(connection, Promise, COLUMNS, rows)


def _deliver(connection: BaseDatabaseWrapper, executions: Sequence[NewExecution], now: datetime) -> None:
    """Deliver what the executions are told. Of what was in the inboxes, only external events mean something to them."""
    sql.execute(
        connection,
        f"""
        DELETE FROM {sql.table(InboxMessage)}
        WHERE instance_id IN ({_chosen(connection, executions)}) AND kind <> %s
        """,
        [_packed(executions), ExternalEvent.__name__],
    )
    deliver(connection, [message for each in executions for message in _messages(each, now)], now)


def _messages(new: NewExecution, now: datetime) -> list[Delivery]:
    def told(fact: Fact, visible_at: datetime | None = None) -> Delivery:
        number = None if isinstance(fact, ExternalEvent) else new.number
        return Delivery(new.instance, fact, number, visible_at)

    timers = [
        told(TimerFired(timer_seq=seq), max(now, from_epoch_ms(timer.fire_at_ms))) for seq, timer in new.rewind.timers
    ]
    deadlines = [
        expiry_of(TaskKey(new.instance, new.number, seq), fact.deadline_ms, now)
        for seq, fact in new.rewind.promises
        if fact.deadline_ms is not None
    ]
    return [told(new.first), *map(told, new.rewind.repeated), *timers, *deadlines, *map(told, new.answers)]


def _chosen(connection: BaseDatabaseWrapper, executions: Sequence[NewExecution]) -> str:
    """Return the query of the instances' ids; `_packed` is its parameter."""
    return f"SELECT pk FROM {sql.rows(connection, 'chosen', _IDS)}"


def _packed(executions: Sequence[NewExecution]) -> str:
    return sql.pack(_IDS, [(each.instance,) for each in executions])
