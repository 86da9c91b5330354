"""Retrying instances that ended badly, and forking executions: both go on from an earlier point of a history.

Theory of operation. Nothing that was recorded changes. A retry leaves the execution that ended as it is and gives the
instance a next one; a fork starts another instance. Either begins with a copy of the events before the point that it
goes back to, and is then told by messages who it is and what the outside had told by then. Its first turn takes them,
after the copy has been replayed: code that does not fit it any more parks the instance as Blocked.

What the copied events leave open is made again: activities as fresh tasks, timers with the time they were due. Children
that ended badly are retried with their parent, those that completed meanwhile answer again, and those that are not
there are started.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import Q

from .. import models
from ..engine import rewind
from ..engine.errors import CallerError, IllegalTransition, InstanceAlreadyExists, InstanceNotFound, InvalidArgument
from ..engine.events import HistoryEvent, SubOrchestrationCompleted
from ..engine.rewind import Child, Rewind
from ..engine.states import Move, RuntimeStatus, sources
from . import claims, instances, rewinds, trees, wakeups
from .rewinds import NewExecution
from .starts import NewInstance, insert_instances, new_seed
from .succession import id_is_taken
from .transactions import write_transaction

_OPEN_CHILD = "Sub-orchestration {!r} has not ended yet; its parent is retried when it has."


def retry_instance(instance_id: str, *, from_event: int | None, now: datetime, using: str) -> int:
    """Let an instance that ended badly go on from its last good point, or from before an event, as a new execution.

    Returns: the number of that execution.
    Raises:
        InstanceNotFound.
        IllegalTransition: it is not Failed, Canceled or Terminated; it is a child; or one of its children has not
            ended yet.
        InvalidArgument: there is no good point to be found, or none before that event.
    Writes: Instance (guarded by status), Execution, HistoryEvent, ActivityTask, InboxMessage, KeyValue, QueuedEvent, of
        it and of its children that are retried; one transaction, whose statements grow with the depth of the tree.
    """
    with write_transaction(using) as connection:
        row = instances.locked(instance_id, Move.RETRY, using=using)
        if row.parent is not None:
            raise _child_is_not_retried(row, using)
        found = _Retries(connection, now)
        level: list[Wanted] = [(row, from_event, None)]
        while level:
            level = found.add(level)
        rewinds.write(connection, found.executions, Move.RETRY, now)
        wakeups.notify(using, work=True, instances=[each.instance for each in found.executions])
        return row.execution_number + 1


def fork_instance(
    instance_id: str, new_instance_id: str, *, execution: int | None, from_event: int | None, now: datetime, using: str
) -> None:
    """Start a new instance with the events of an execution before an event, or before its last good point.

    Raises:
        InstanceNotFound.
        InstanceAlreadyExists: the new id is taken.
        InvalidArgument: there is no such execution, or no such point in it.
    Writes: as `retry_instance`, of the new instance only; children that are open at that point are started anew.
    """
    with write_transaction(using) as connection:
        source = models.Instance.objects.using(using).filter(instance_id=instance_id).first()
        if source is None:
            raise InstanceNotFound(instance_id)
        place = (source.id, source.execution_number if execution is None else execution)
        history = claims.load_histories([place], using=using)[source.id]
        if not history:
            raise InvalidArgument(f"Instance {instance_id!r} has no events of an execution {place[1]} to be forked.")
        plan = _plan(history, from_event, instance_id)
        seed, started = new_seed(), plan.started
        new = NewInstance(
            instance_id=new_instance_id,
            orchestration=started.name,
            version=started.version,
            input=started.input,
            seed=seed,
        )
        created = insert_instances(connection, [new], now)
        if not created:
            raise InstanceAlreadyExists(new_instance_id, "history")
        row = trees.lock(Q(id=created[new_instance_id]), using=using)[0]
        first = plan.first_fact(
            (instance_id, place[1]), instance_id=new_instance_id, execution=1, seed=seed, parent=None
        )
        forked = NewExecution(instance=row.id, number=1, copied_from=place, rewind=plan, first=first, is_next=False)
        _start_children(connection, [(row, forked, child) for child in plan.children], now)
        rewinds.write(connection, [forked], Move.TURN, now)
        wakeups.notify(using, work=True)


def _plan(history: Sequence[HistoryEvent], from_event: int | None, instance_id: str) -> Rewind:
    """Return the rewind of a history. Raises: InvalidArgument, which names the instance."""
    try:
        return rewind.rewind(history, rewind.good_point(history) if from_event is None else from_event)
    except InvalidArgument as error:
        raise InvalidArgument(f"Instance {instance_id!r}: {error}") from None


def _child_is_not_retried(row: trees.Locked, using: str) -> CallerError:
    children = models.Instance.objects.using(using).filter(id=row.id)
    parent = children.values_list("parent__instance_id", flat=True).first()
    return IllegalTransition(
        row.instance_id,
        "retry",
        "a sub-orchestration",
        ["a root"],
        f"Its parent {parent!r} was told how it ended: retry that one, which retries its children, or fork this one.",
    )


Wanted = tuple[trees.Locked, int | None, int | None]
"""An instance to retry, the event to go back to, and the execution of its parent that it then answers."""


@dataclass(slots=True)
class _Retries:
    """The executions of a tree of retried instances, gathered level by level."""

    connection: BaseDatabaseWrapper
    now: datetime
    executions: list[NewExecution] = field(default_factory=list)

    def add(self, level: Sequence[Wanted]) -> list[Wanted]:
        """Plan the retries of one level. Returns: their children that are to be retried, too."""
        using = self.connection.alias
        places = [(row.id, row.execution_number) for row, _, _ in level]
        histories = claims.load_histories(places, using=using)
        children: list[tuple[trees.Locked, NewExecution, Child]] = []
        for row, from_event, answers in level:
            new = _next_execution(row, histories[row.id], from_event, answers)
            self.executions.append(new)
            children += [(row, new, child) for child in new.rewind.children]
        return self._settle(children) if children else []

    def _settle(self, children: Sequence[tuple[trees.Locked, NewExecution, Child]]) -> list[Wanted]:
        """Decide for each open child: it is retried, answers again, or is started."""
        using, there = self.connection.alias, self._lock(children)
        retried: list[Wanted] = []
        completed: dict[int, tuple[trees.Locked, NewExecution, Child]] = {}
        missing = []
        for parent, new, child in children:
            row = there.get((parent.id, child.seq, _child_id(parent, child)))
            if row is None:
                missing.append((parent, new, child))
            elif row.runtime_status is RuntimeStatus.COMPLETED:
                completed[row.id] = (row, new, child)
            elif row.runtime_status in sources(Move.RETRY):
                retried.append((row, None, new.number))
            else:
                expected = sorted({*sources(Move.RETRY), RuntimeStatus.COMPLETED})
                hint = _OPEN_CHILD.format(row.instance_id)
                raise IllegalTransition(row.instance_id, "retry", row.runtime_status, expected, hint)
        _start_children(self.connection, missing, self.now)
        outputs = models.Execution.objects.using(using).filter(
            instance__in=completed, status=RuntimeStatus.COMPLETED.value
        )
        for pk, output in outputs.values_list("instance_id", "output") if completed else ():
            _, new, child = completed[pk]
            new.answers.append(SubOrchestrationCompleted(scheduled_seq=child.seq, result=output or "null"))
        return retried

    def _lock(
        self, children: Sequence[tuple[trees.Locked, NewExecution, Child]]
    ) -> dict[tuple[int, int, str], trees.Locked]:
        names = {_child_id(parent, child) for parent, _, child in children}
        parents = {parent.id for parent, _, _ in children}
        rows = [
            row
            for part in trees.chunks(parents)
            for row in trees.lock(Q(parent__in=part), using=self.connection.alias)
            if row.instance_id in names
        ]
        return {(row.parent or 0, row.parent_seq or 0, row.instance_id): row for row in rows}


def _next_execution(
    row: trees.Locked, history: Sequence[HistoryEvent], from_event: int | None, answers: int | None
) -> NewExecution:
    plan = _plan(history, from_event, row.instance_id)
    if plan.reserved:
        raise InvalidArgument(
            f"Instance {row.instance_id!r}: going back to event {plan.kept + 1} would start {plan.reserved[0]!r} "
            f"again, and that id is taken by the child that was started then. Go back to a later event, or fork the "
            f"instance."
        )
    number, identity = row.execution_number + 1, plan.started
    first = plan.first_fact(
        (row.instance_id, row.execution_number),
        instance_id=row.instance_id,
        execution=number,
        seed=identity.seed,
        parent=identity.parent_instance_id,
    )
    place = (row.id, row.execution_number)
    return NewExecution(
        instance=row.id, number=number, copied_from=place, rewind=plan, first=first, parent_execution=answers
    )


def _child_id(parent: trees.Locked, child: Child) -> str:
    """Return the id of an open child: as recorded, or of its own where another instance scheduled it."""
    if child.starter == parent.instance_id:
        return child.fact.instance_id
    return f"{parent.instance_id}::sub::fork_{child.seq}"


def _start_children(
    connection: BaseDatabaseWrapper, missing: Sequence[tuple[trees.Locked, NewExecution, Child]], now: datetime
) -> None:
    """Start children that are not there. An id that is taken fails at the parent."""
    rows = [
        NewInstance(
            instance_id=_child_id(parent, child),
            orchestration=child.fact.name,
            version=child.fact.version,
            input=child.fact.input,
            seed=new_seed(),
            parent=parent.id,
            parent_instance_id=parent.instance_id,
            parent_execution=new.number,
            parent_seq=child.seq,
            root=parent.root or parent.id,
        )
        for parent, new, child in missing
    ]
    created = insert_instances(connection, rows, now)
    for row, (_, new, child) in zip(rows, missing, strict=True):
        if created.pop(row.instance_id, None) is None:
            new.answers.append(id_is_taken(row.instance_id, child.seq))
