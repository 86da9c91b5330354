"""Instances as callers start, send to, suspend and resume them. Ends at once are in `endings`, reads in `queries`.

Senders look an instance up and insert; all they lock is its key, which only a deletion waits for, so a caller may do it
inside a long transaction of its own. A message for an instance that ends meanwhile is deleted by the next claim.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.db import connections
from django.db.models import F, FilteredRelation, Q

from .. import models
from ..codec.named import same
from ..engine.errors import IllegalTransition, InstanceAlreadyExists, InstanceNotFound
from ..engine.events import EventEnqueued, ExternalEvent, OrchestrationStarted, Payload
from ..engine.states import TERMINAL, Move, RuntimeStatus, resumed_status, sources
from . import sql, trees, wakeups
from .inbox import Delivery, deliver
from .starts import NewInstance, insert_instances
from .transactions import statement, write_transaction

LIVE = sorted(set(RuntimeStatus) - TERMINAL)
ATTEMPTS = 3
"""How often a start looks again for the instance that has its id, and was deleted in between."""


@dataclass(frozen=True, slots=True)
class Target:
    """A live instance that something is sent to. `earliest` is when its start is visible, None once it has started."""

    id: int
    instance_id: str
    runtime_status: RuntimeStatus
    earliest: datetime | None

    def visible_at(self, now: datetime) -> datetime:
        """Return when a message for it may be seen: never before its start, which has to be its first."""
        return now if self.earliest is None else max(now, self.earliest)


def create_instance(new: NewInstance, *, same_version: bool, now: datetime, using: str) -> tuple[int, bool]:
    """Create an instance, or find the one that an earlier start with the same id and input created.

    Args:
        same_version: Whether an existing instance must have been started at the same version. An instance whose first
            execution was pruned is taken to be the same: its input is gone.
    Returns: the surrogate id, and whether it was created now.
    Raises: InstanceAlreadyExists: the id is taken by another orchestration, input or version; nothing was written.
    Writes: Instance, Execution, InboxMessage; in the transaction that is open, or one of its own.
    """
    for _ in range(ATTEMPTS):
        with statement(using) as connection:
            created = insert_instances(connection, [new], now, notify=True)
        if created:
            return created[new.instance_id], True
        existing = _existing(new, same_version=same_version, using=using)
        if existing is not None:
            return existing, False
    raise InstanceAlreadyExists(new.instance_id, "transaction, which this one does not see")


def _existing(new: NewInstance, *, same_version: bool, using: str) -> int | None:
    row = (
        models.Instance.objects.using(using)
        .filter(instance_id=new.instance_id)
        .alias(first=FilteredRelation("executions", condition=Q(executions__number=1)))
        .values_list("id", "orchestration", "first__version", "first__input")
        .first()
    )
    if row is None:
        return None
    id, orchestration, version, input = row
    if orchestration != new.orchestration:
        raise InstanceAlreadyExists(new.instance_id, f"orchestration ({orchestration!r})")
    if input is not None and not same(input, new.input):
        raise InstanceAlreadyExists(new.instance_id, "input")
    if same_version and version not in (None, new.version):
        raise InstanceAlreadyExists(new.instance_id, f"version ({version!r})")
    return int(id)


def raise_event(instance_id: str, name: str, payload: Payload, *, now: datetime, using: str) -> None:
    """Send an external event.

    Raises: InstanceNotFound. IllegalTransition: the instance has finished.
    Writes: InboxMessage; in the transaction that is open, or one of its own.
    """
    with write_transaction(using) as connection:
        target = target_of(instance_id, action=f"raise event {name!r} for", using=using)
        fact = ExternalEvent(name=name, payload=payload)
        deliver(connection, [Delivery(target.id, fact, visible_at=target.visible_at(now))], now)
        wakeups.notify(using, messages=True)


def enqueue_event(instance_id: str, queue: str, payload: Payload, *, now: datetime, using: str) -> None:
    """Put a message at the end of one of an instance's event queues.

    Raises: InstanceNotFound. IllegalTransition: the instance has finished.
    Writes: QueuedEvent, InboxMessage; in the transaction that is open, or one of its own.
    """
    with write_transaction(using) as connection:
        target = target_of(instance_id, action=f"enqueue to {queue!r} of", using=using)
        row = (target.id, queue, payload, sql.moment(connection, now))
        sql.insert_rows(connection, models.QueuedEvent, ("instance_id", "queue", "payload", "created_at"), [row])
        fact = EventEnqueued(queue=queue)
        deliver(connection, [Delivery(target.id, fact, visible_at=target.visible_at(now))], now)
        wakeups.notify(using, messages=True)


def suspend_instance(instance_id: str, *, now: datetime, using: str) -> None:
    """Stop running turns of an instance; what it is sent is kept. Activities that run go on, and their results wait.

    A worker that is in the middle of a turn loses it: the lease token moves on.
    Raises: InstanceNotFound. IllegalTransition: it is not Pending or Running.
    Writes: Instance (guarded by status); one transaction.
    """
    with write_transaction(using):
        row = locked(instance_id, Move.SUSPEND, using=using)
        change_status(row, RuntimeStatus.SUSPENDED, now=now, using=using)
        wakeups.notify(using, instances=[row.id])


def resume_instance(instance_id: str, *, now: datetime, using: str) -> None:
    """Let a Suspended or Blocked instance run again, from where it was, with everything it was sent meanwhile.

    Raises: InstanceNotFound. IllegalTransition: it is neither.
    Writes: Instance (guarded by status), InboxMessage; one transaction.
    """
    with write_transaction(using):
        row = locked(instance_id, Move.RESUME, using=using)
        resume(row, now=now, using=using)
        wakeups.notify(using, work=True, instances=[row.id])


def locked(instance_id: str, move: Move, *, using: str) -> trees.Locked:
    """Lock an instance that may make a move. Raises: InstanceNotFound, IllegalTransition: nothing was written."""
    found = trees.lock(Q(instance_id=instance_id), using=using)
    if not found:
        raise InstanceNotFound(instance_id)
    if found[0].runtime_status not in sources(move):
        raise IllegalTransition(instance_id, move.value, found[0].runtime_status, sorted(sources(move)))
    return found[0]


def resume(row: trees.Locked, *, now: datetime, using: str) -> None:
    """Resume an instance whose row is locked. Writes: as `resume_instance`."""
    # The row is locked: no claim that still saw it parked can hold a message after this.
    change_status(row, resumed_status(row.history_length, row.execution_number), now=now, using=using)
    models.InboxMessage.objects.using(using).filter(instance=row.id, held=True).update(held=False)


def change_status(row: trees.Locked, status: RuntimeStatus, *, now: datetime, using: str) -> None:
    """Write another open status. Whoever holds the lease loses it. Writes: Instance (guarded by status)."""
    updated = (
        models.Instance.objects.using(using)
        .filter(id=row.id, runtime_status=row.runtime_status)
        .update(
            runtime_status=status,
            blocked_reason=None,
            lease_token=F("lease_token") + 1,
            lease_owner=None,
            lease_until=None,
            turn_attempts=0,
            revision=F("revision") + 1,
            updated_at=now,
        )
    )
    if not updated:
        raise IllegalTransition(row.instance_id, f"make {status}", "something else by now", [row.runtime_status])


def target_of(instance_id: str, *, action: str, using: str) -> Target:
    """Look up an instance that can still take a message, by one query. It is not deleted before the transaction ends.

    Args:
        action: What the caller is about to do, for the error's sentence: "raise event 'paid' for".
    Raises:
        InstanceNotFound.
        IllegalTransition: it has finished.
    """
    found = sql.fetch(
        connections[using],
        f"""
        SELECT i.id, i.runtime_status, CASE WHEN i.history_length = 0 THEN (
            SELECT MAX(m.visible_at) FROM {sql.table(models.InboxMessage)} m WHERE m.instance_id = i.id AND m.kind = %s
        ) END
        FROM {sql.table(models.Instance)} i WHERE i.instance_id = %s {sql.lock_key(connections[using], of="i")}
        """,
        [OrchestrationStarted.__name__, instance_id],
    )
    if not found:
        raise InstanceNotFound(instance_id)
    id, status, earliest = found[0]
    if status in TERMINAL:
        raise IllegalTransition(instance_id, action, status, LIVE)
    return Target(id, instance_id, RuntimeStatus(status), sql.read_moment(earliest))
