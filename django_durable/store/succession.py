"""What turns do to other instances and to other executions of their own: starts, ends, and who is told of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper

from ..engine import events
from ..engine.errors import InstanceAlreadyExists
from ..engine.failures import Failure, type_name
from ..engine.states import ExecutionStatus
from ..models import ActivityTask, Execution, InboxMessage, Instance
from . import sql
from .batch import GIVEN, Batch
from .effects import Effects
from .inbox import Delivery
from .starts import NewInstance, insert_instances, new_seed

_CLOSED = "instance_id bigint, number bigint, status text, output text, failure text, length bigint, at timestamptz"
_PLACE = "instance_id bigint, execution_number bigint"
_CHILD = f"{_PLACE}, seq bigint"
_PARENT_ENDED, _PARENT_CANCELED = "parent ended", "parent canceled"


def end_executions(batch: Batch, effects: Effects) -> None:
    """Close executions, begin those after them, and note in `effects.deliveries` what parents are told.

    Writes: Execution, InboxMessage; with `batch`, which must be guarded.
    """
    _close_executions(batch, effects)
    _clear_inboxes(batch, effects)
    _start_next_executions(batch, effects)
    _tell_parents(effects)


def start_and_cancel(connection: BaseDatabaseWrapper, effects: Effects) -> None:
    """Start instances, and ask children to end; what has to be told to anybody is added to `effects.deliveries`.

    Writes: Instance, Execution, InboxMessage; in the transaction that is open, which holds the parents.
    """
    if effects.children or effects.chained:
        _start(connection, effects)
    if effects.canceled_children:
        _cancel_children(connection, effects)


def end_what_was_started(connection: BaseDatabaseWrapper, effects: Effects) -> None:
    """Delete the open activities of executions that ended badly, and ask their children that still run to end.

    Writes: ActivityTask; in the transaction that is open, after the tasks that the turns finished were deleted.
    """
    badly = [
        (commit.instance, commit.execution_number)
        for commit, fact in effects.ended
        if not isinstance(fact, events.OrchestrationCompleted)
    ]
    if not badly:
        return
    packed = sql.pack(_PLACE, badly)
    sql.execute(
        connection,
        f"""
        DELETE FROM {sql.table(ActivityTask)} WHERE (instance_id, execution_number) IN (
            SELECT instance_id, execution_number FROM {sql.rows(connection, "bad", _PLACE)}
        )
        """,
        [packed],
    )
    found = sql.fetch(
        connection,
        f"""
        SELECT i.id FROM {sql.rows(connection, "bad", _PLACE)}
        JOIN {sql.table(Instance)} i ON i.parent_id = bad.instance_id AND i.parent_execution = bad.execution_number
        WHERE i.completed_at IS NULL ORDER BY i.id
        """,
        [packed],
    )
    _ask_to_end(effects, found, _PARENT_ENDED)


def _start(connection: BaseDatabaseWrapper, effects: Effects) -> None:
    """Create children and detached instances. An id that is taken fails at the parent of a child, else silently."""
    children = [
        NewInstance(
            instance_id=fact.instance_id,
            orchestration=fact.name,
            version=fact.version,
            input=fact.input,
            seed=new_seed(),
            parent=commit.instance,
            parent_instance_id=commit.instance_id,
            parent_execution=commit.execution_number,
            parent_seq=seq,
            root=commit.kin.root or commit.instance,
            traceparent=commit.traceparents.get(seq),
        )
        for commit, seq, fact in effects.children
    ]
    created = insert_instances(connection, [*children, *effects.chained], effects.now)
    for child in children:
        if created.pop(child.instance_id, None) is None:
            assert child.parent is not None
            assert child.parent_seq is not None
            taken = id_is_taken(child.instance_id, child.parent_seq)
            effects.deliveries.append(Delivery(child.parent, taken, child.parent_execution))


def id_is_taken(instance_id: str, seq: int) -> events.SubOrchestrationFailed:
    """Return what a parent is told of a child that could not be started."""
    text = f"The id {instance_id!r} is taken by another instance. Choose another id, or none."
    return events.SubOrchestrationFailed(scheduled_seq=seq, failure=Failure(type_name(InstanceAlreadyExists), text))


def _cancel_children(connection: BaseDatabaseWrapper, effects: Effects) -> None:
    found = sql.fetch(
        connection,
        f"""
        SELECT i.id FROM {sql.rows(connection, "place", _CHILD)}
        JOIN {sql.table(Instance)} i ON i.parent_id = place.instance_id
         AND i.parent_execution = place.execution_number AND i.parent_seq = place.seq
        WHERE i.completed_at IS NULL ORDER BY i.id
        """,
        [sql.pack(_CHILD, sorted(effects.canceled_children))],
    )
    _ask_to_end(effects, found, _PARENT_CANCELED)


def _ask_to_end(effects: Effects, found: Sequence[tuple[Any, ...]], reason: str) -> None:
    request = events.OrchestrationCancelRequested(reason=reason)
    effects.deliveries += [Delivery(pk, request) for (pk,) in found]


def _close_executions(batch: Batch, effects: Effects) -> None:
    batch.change(
        f"""
        UPDATE {sql.table(Execution)} AS e
        SET status = given.status, output = given.output, failure = given.failure, event_count = given.length,
            completed_at = given.at, checkpoint = NULL, checkpoint_seq = NULL
        FROM {GIVEN} WHERE e.instance_id = given.instance_id AND e.number = given.number
        """,
        _CLOSED,
        [(*row, effects.moment(effects.now)) for row in effects.closed_executions()],
    )


def _clear_inboxes(batch: Batch, effects: Effects) -> None:
    """Delete all messages of instances that ended, and those of an execution of instances that continued as new."""
    theirs = sql.among(batch.connection, f"SELECT id FROM {GIVEN}")
    batch.change(
        f"DELETE FROM {sql.table(InboxMessage)} WHERE instance_id {theirs}",
        "id bigint",
        [(commit.instance,) for commit, _ in effects.ended],
    )
    batch.change(
        f"""
        DELETE FROM {sql.table(InboxMessage)} WHERE (instance_id, execution_number) IN (
            SELECT instance_id, execution_number FROM {GIVEN}
        )
        """,
        _PLACE,
        [(commit.instance, commit.execution_number) for commit in effects.continued],
    )


def _start_next_executions(batch: Batch, effects: Effects) -> None:
    rows = []
    for commit in effects.continued:
        start = commit.next_start
        assert start is not None
        version, running = commit.next_version or start.version, ExecutionStatus.RUNNING.value
        at = effects.moment(effects.now)
        rows.append((commit.instance, commit.execution_number + 1, version, running, start.input, at))
    batch.insert(Execution, ("instance_id", "number", "version", "status", "input", "started_at"), rows)


def _tell_parents(effects: Effects) -> None:
    for commit, fact in effects.ended:
        kin = commit.kin
        if kin.parent is not None and kin.parent_seq is not None:
            told = outcome_for_parent(fact, commit.instance_id, kin.parent_seq)
            effects.deliveries.append(Delivery(kin.parent, told, kin.parent_execution))


def outcome_for_parent(fact: events.Fact, instance_id: str, seq: int) -> events.Fact:
    """Return what a parent is told of a child's end; `seq` is that of its `SubOrchestrationScheduled`."""
    match fact:
        case events.OrchestrationCompleted(output=output):
            return events.SubOrchestrationCompleted(scheduled_seq=seq, result=output)
        case events.OrchestrationFailed(failure=failure):
            return events.SubOrchestrationFailed(scheduled_seq=seq, failure=failure)
        case events.OrchestrationCanceled(reason=reason):
            text = f"Sub-orchestration {instance_id!r} was canceled" + (f": {reason}" if reason else ".")
            return events.SubOrchestrationFailed(scheduled_seq=seq, failure=Failure("CancelledError", text))
        case _:
            raise TypeError(f"{fact.kind} does not end an instance.")
