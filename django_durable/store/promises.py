"""Promises in the database: what turns write of them, who settles one, and which are open.

Theory of operation. The row decides who was first. Whoever settles a promise updates it where it is open, by one
guarded statement, and delivers the outcome to its execution in the same transaction; the second finds it settled. A
turn that records that a deadline has passed has to find the row open, too, or it is lost: somebody was just in time,
whose message the next turn finds instead. What the code itself gives up it may give up: an outcome that arrives
together with that is dropped, like the result of an activity that was canceled.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import F, Q, QuerySet

from .. import models
from ..engine.errors import InstanceNotFound, LeaseLost, PromiseNotFound, PromiseSettled
from ..engine.events import Fact, Payload, PromiseCompleted, PromiseExpired, PromiseFailed
from ..engine.states import TERMINAL, PromiseOutcome
from . import sql, wakeups
from .effects import Effects
from .inbox import Delivery, deliver
from .instances import target_of
from .promiserows import COLUMNS
from .records import TaskKey
from .transactions import write_transaction

_PLACE = "instance_id bigint, execution_number bigint, seq bigint"


def write_promises(connection: BaseDatabaseWrapper, effects: Effects) -> None:
    """Write what turns do to promises. Raises: LeaseLost: one that a turn takes for expired was settled in time."""
    sql.insert_rows(connection, models.Promise, COLUMNS, effects.promises)
    _close(connection, effects.withdrawn, PromiseOutcome.WITHDRAWN, effects.now)
    if _close(connection, effects.expired, PromiseOutcome.EXPIRED, effects.now) != len(effects.expired):
        raise LeaseLost("a promise")


def _close(connection: BaseDatabaseWrapper, places: Sequence[TaskKey], outcome: PromiseOutcome, now: datetime) -> int:
    if not places:
        return 0
    return sql.execute(
        connection,
        f"""
        UPDATE {sql.table(models.Promise)} SET outcome = %s, settled_at = %s
        WHERE outcome = '' AND (instance_id, execution_number, seq) IN (
            SELECT instance_id, execution_number, seq FROM {sql.rows(connection, "closed", _PLACE)}
        )
        """,
        [outcome.value, sql.moment(connection, now), sql.pack(_PLACE, places)],
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class PromiseRecord:
    """A promise as callers see it: `question` and `answer`, the JSON Schema of the result, are JSON text.

    `outcome` is empty while it is open; `abandoned` tells that its execution has ended without it.
    """

    id: int
    instance_id: str
    orchestration: str
    runtime_status: str
    promise_id: str
    name: str
    question: Payload | None
    answer: str | None
    assignee: str
    created_at: datetime
    expires_at: datetime | None
    outcome: str
    settled_at: datetime | None
    settled_by: str
    abandoned: bool

    @property
    def is_open(self) -> bool:
        return not self.outcome and not self.abandoned


def find_promise(instance_id: str, promise_id: str, *, using: str) -> PromiseRecord:
    """Return a promise of the execution that an instance is in, by one query, two where there is none.

    Raises: InstanceNotFound, PromiseNotFound.
    """
    found = _records(
        models.Promise.objects.using(using).filter(
            instance__instance_id=instance_id, promise_id=promise_id, execution_number=F("instance__execution_number")
        )
    )
    if not found:
        if not models.Instance.objects.using(using).filter(instance_id=instance_id).exists():
            raise InstanceNotFound(instance_id)
        raise PromiseNotFound(instance_id, promise_id)
    return found[0]


def list_requests(
    *, open_only: bool, assignee: str | None, instance_id: str | None, before: int | None, limit: int, using: str
) -> list[PromiseRecord]:
    """Return requests, newest first; one query.

    Args:
        before: Only those with a smaller id, for the next page.
    """
    found = models.Promise.objects.using(using).filter(question__isnull=False)
    if open_only:
        found = found.filter(OPEN)
    if assignee is not None:
        found = found.filter(assignee=assignee)
    if instance_id is not None:
        found = found.filter(instance__instance_id=instance_id)
    if before is not None:
        found = found.filter(id__lt=before)
    return _records(found.order_by("-id")[:limit])


def named_or_of(found: QuerySet[models.Promise], term: str) -> QuerySet[models.Promise]:
    """Return those that have a name, or are of an instance with that id."""
    return found.filter(Q(name=term) | Q(instance__instance_id=term))


OPEN = Q(outcome="", execution_number=F("instance__execution_number")) & ~Q(
    instance__runtime_status__in=sorted(TERMINAL)
)
"""Promises that an execution still waits for."""

_FIELDS = (
    *("id", "promise_id", "name", "question", "answer", "assignee", "created_at", "expires_at"),
    *("outcome", "settled_at", "settled_by"),
)


def _records(found: QuerySet[models.Promise]) -> list[PromiseRecord]:
    rows = found.values(
        *_FIELDS,
        "execution_number",
        key=F("instance__instance_id"),
        orchestration=F("instance__orchestration"),
        runtime_status=F("instance__runtime_status"),
        current=F("instance__execution_number"),
    )
    return [_record(row) for row in rows]


def _record(row: dict[str, Any]) -> PromiseRecord:
    over = row["runtime_status"] in TERMINAL or row["execution_number"] != row["current"]
    return PromiseRecord(
        **{name: row[name] for name in _FIELDS},
        instance_id=row["key"],
        orchestration=row["orchestration"],
        runtime_status=row["runtime_status"],
        abandoned=over and not row["outcome"],
    )


def settle(
    instance_id: str, promise_id: str, *, outcome: PromiseOutcome, payload: Any, by: str, now: datetime, using: str
) -> None:
    """Settle a promise, if nobody has yet, and tell its execution.

    Args:
        outcome: COMPLETED, with a payload; or FAILED, with a Failure.
    Raises:
        InstanceNotFound, PromiseNotFound.
        IllegalTransition: the instance has finished.
        PromiseSettled: it was settled, withdrawn or expired before.
    Writes: Promise (guarded), InboxMessage; in the transaction that is open, or one of its own.
    """
    with write_transaction(using) as connection:
        target = target_of(instance_id, action=f"settle promise {promise_id!r} of", using=using)
        at = sql.moment(connection, now)
        settled = sql.fetch(
            connection,
            f"""
            UPDATE {sql.table(models.Promise)} SET outcome = %s, settled_at = %s, settled_by = %s
            WHERE instance_id = %s AND promise_id = %s AND outcome = '' AND (expires_at IS NULL OR expires_at > %s)
              AND execution_number = (SELECT execution_number FROM {sql.table(models.Instance)} WHERE id = %s)
            RETURNING execution_number, seq
            """,
            [outcome.value, at, by, target.id, promise_id, at, target.id],
        )
        if not settled:
            raise _refused(find_promise(instance_id, promise_id, using=using))
        key = TaskKey(target.id, *settled[0])
        _forget_deadline(key, using)
        told = _outcome(outcome, key.seq, payload, by)
        deliver(connection, [Delivery(target.id, told, key.execution, target.visible_at(now))], now)
        wakeups.notify(using, work=True)


def _refused(found: PromiseRecord) -> PromiseSettled:
    outcome = found.outcome or PromiseOutcome.EXPIRED
    return PromiseSettled(found.instance_id, found.promise_id, outcome.lower(), found.settled_by)


def _forget_deadline(key: TaskKey, using: str) -> None:
    models.InboxMessage.objects.using(using).filter(
        instance=key.instance, execution_number=key.execution, source_seq=key.seq, kind=PromiseExpired.__name__
    ).delete()


def _outcome(outcome: PromiseOutcome, seq: int, payload: Any, by: str) -> Fact:
    if outcome is PromiseOutcome.FAILED:
        return PromiseFailed(created_seq=seq, failure=payload, settled_by=by or None)
    return PromiseCompleted(created_seq=seq, result=payload, settled_by=by or None)
