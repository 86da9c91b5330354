"""Deleting instances and pruning executions: whole trees, in statements per table and not per row.

Whatever is deleted while a worker has it in hand, that worker's guarded writes find no row: its turn is lost, its
activity's completion is lost, and neither brings anything back. A new start of the same id has a new surrogate id.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Exists, F, OuterRef, Q, QuerySet

from .. import models
from ..engine.durations import checked_moment
from ..engine.errors import IllegalTransition, InstanceNotFound, InvalidArgument
from ..engine.states import TERMINAL, ExecutionStatus
from . import trees, wakeups
from .filters import InstanceFilter, matching
from .transactions import write_transaction

LARGEST_NUMBER = 2**31 - 1
"""Of an execution; whoever keeps more keeps all."""

BULK_LIMIT = 1_000
"""Instances of one bulk operation, where its filter does not say."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeleteResult:
    """How many rows a deletion removed. `queue_messages_deleted` counts messages, queued events and activity tasks."""

    instances_deleted: int = 0
    executions_deleted: int = 0
    events_deleted: int = 0
    queue_messages_deleted: int = 0
    key_values_deleted: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class PruneOptions:
    """Which executions a prune removes. Both must hold; the current execution always stays.

    Args:
        keep_last: How many of the newest executions stay, the current one included; None, 0 and 1 are the same.
        completed_before: Aware datetime; only executions that ended before it go.
    Raises: InvalidArgument: a negative number, a naive datetime.
    """

    keep_last: int | None = None
    completed_before: datetime | None = None

    def __post_init__(self) -> None:
        keep = self.keep_last
        if keep is not None and (not isinstance(keep, int) or isinstance(keep, bool) or keep < 0):
            raise InvalidArgument(f"keep_last is {keep!r:.80}, expected a whole number of at least 0, or None.")
        if self.completed_before is not None:
            checked_moment(self.completed_before, "completed_before")


@dataclass(frozen=True, slots=True, kw_only=True)
class PruneResult:
    """What a prune looked at and removed."""

    instances_processed: int = 0
    executions_deleted: int = 0
    events_deleted: int = 0


def delete_instance(instance_id: str, *, force: bool = False, using: str) -> DeleteResult:
    """Delete a root instance with all its descendants and everything they own, all or nothing.

    Args:
        force: Also where the instance or a descendant has not finished.
    Raises:
        InstanceNotFound.
        IllegalTransition: it is a child (delete its root), or something in its tree has not finished (wait, terminate
            it, or pass force).
    Writes: Instance and every table that refers to it; one transaction.
    """
    with write_transaction(using):
        found = trees.lock(Q(instance_id=instance_id), using=using)
        if not found:
            raise InstanceNotFound(instance_id)
        if found[0].parent is not None:
            raise _is_child(instance_id, using)
        tree = found + trees.descendants([found[0].id], using=using)
        unfinished = [each for each in tree if each.live]
        if unfinished and not force:
            raise _unfinished(instance_id, unfinished[0])
        return _delete([each.id for each in tree], using)


def delete_instances(filter: InstanceFilter, *, using: str) -> DeleteResult:
    """Delete finished root instances with all their descendants, oldest first.

    Roots that have not finished, or have a descendant that has not, are left alone.

    Args:
        filter: All of it must hold; an empty one matches every finished root. Its limit bounds the number of roots,
            1,000 where it has none; call again until nothing is deleted.
    Writes: as `delete_instance`; one transaction.
    """
    with write_transaction(using):
        ids = list(_deletable(filter, using).order_by("id").values_list("id", flat=True)[: filter.limit or BULK_LIMIT])
        # A descendant of a finished root can still start children: what was read is read again once it is locked.
        parts = trees.chunks(ids)
        roots = [each for part in parts for each in trees.lock(Q(id__in=part), using=using)]
        members = trees.descendants([each.id for each in roots], using=using)
        kept = {each.root for each in members if each.live}
        doomed = [each.id for each in roots if each.id not in kept]
        doomed += [each.id for each in members if each.root not in kept]
        return _delete(doomed, using)


def count_deletable(filter: InstanceFilter, *, using: str) -> int:
    """Count the roots that `delete_instances` would delete, were it called until nothing is left. One query."""
    return _deletable(filter, using).count()


def prune_executions(instance_id: str, options: PruneOptions, *, using: str) -> PruneResult:
    """Delete old executions of one instance and their events. KV entries and messages stay.

    Raises: InstanceNotFound.
    Writes: HistoryEvent, Execution; one transaction.
    """
    with write_transaction(using):
        id = models.Instance.objects.using(using).filter(instance_id=instance_id).values_list("id", flat=True).first()
        if id is None:
            raise InstanceNotFound(instance_id)
        return _prune([id], options, using)


def prune_instances(filter: InstanceFilter, options: PruneOptions, *, using: str) -> PruneResult:
    """Delete old executions of many instances, running ones included.

    Args:
        filter: Its limit bounds the number of instances that have something to prune, 1,000 where it has none; call
            again until nothing is deleted.
    Writes: HistoryEvent, Execution; one transaction.
    """
    prunable = Exists(_prunable(options, using).filter(instance=OuterRef("pk")))
    with write_transaction(using):
        found = matching(filter, using=using).filter(prunable).order_by("id").values_list("id", flat=True)
        return _prune(list(found[: filter.limit or BULK_LIMIT]), options, using)


def count_prunable(filter: InstanceFilter, options: PruneOptions, *, using: str) -> int:
    """Count the executions that `prune_instances` would delete, were it called until nothing is left. One query."""
    return _prunable(options, using).filter(instance__in=matching(filter, using=using)).count()


_FINISHED = Q(runtime_status__in=sorted(TERMINAL))


def _is_child(instance_id: str, using: str) -> IllegalTransition:
    root = (
        models.Instance.objects.using(using)
        .filter(instance_id=instance_id)
        .values_list("root__instance_id", flat=True)
        .get()
    )
    return IllegalTransition(
        instance_id, "delete", "a sub-orchestration", ["a root"], f"Delete its root {root!r}, which takes it along."
    )


def _unfinished(instance_id: str, first: trees.Locked) -> IllegalTransition:
    found: str = first.runtime_status
    if first.instance_id != instance_id:
        found = f"the ancestor of {first.instance_id!r}, which is {found}"
    return IllegalTransition(
        instance_id, "delete", found, sorted(TERMINAL), "Wait until it has ended, terminate it, or pass force=True."
    )


def _delete(ids: Collection[int], using: str) -> DeleteResult:
    """Delete instances that are locked, with everything that refers to them.

    Tasks go first: whoever is recording an activity's outcome has locked its task, and then needs the instance. The
    instances go before what can still be sent to them: that waits for senders, whose messages are there then, and
    whoever sends later waits, and finds no instance. Foreign keys are checked when the transaction ends, so the order
    is free.
    """
    removed = dict.fromkeys(_TABLES, 0)
    for part in trees.chunks(ids):
        for model in _TABLES:
            of_these = {"id__in" if model is models.Instance else "instance__in": part}
            removed[model] += trees.delete_rows(model.objects.using(using).filter(**of_these))
    if ids:
        wakeups.notify(using, instances=ids)
    return DeleteResult(
        instances_deleted=removed[models.Instance],
        executions_deleted=removed[models.Execution],
        events_deleted=removed[models.HistoryEvent],
        queue_messages_deleted=sum(removed[model] for model in _QUEUES),
        key_values_deleted=removed[models.KeyValue],
    )


_QUEUES: tuple[type[Any], ...] = (models.InboxMessage, models.QueuedEvent, models.ActivityTask)
_TABLES: tuple[type[Any], ...] = (
    models.ActivityTask,
    models.Instance,
    models.InboxMessage,
    models.QueuedEvent,
    models.Promise,
    models.KeyValue,
    models.TraceSpan,
    models.StreamItem,
    models.Stream,
    models.HistoryEvent,
    models.Execution,
)


def _deletable(filter: InstanceFilter, using: str) -> QuerySet[models.Instance]:
    """Return the finished roots that match, without those of which a descendant has not finished."""
    live_descendant = models.Instance.objects.using(using).filter(root=OuterRef("pk")).exclude(_FINISHED)
    return matching(filter, using=using).filter(_FINISHED, ~Exists(live_descendant), parent__isnull=True)


def _prunable(options: PruneOptions, using: str) -> QuerySet[models.Execution]:
    """Return the executions that a prune may remove, of all instances."""
    found = (
        models.Execution.objects.using(using)
        .filter(number__lte=F("instance__execution_number") - min(max(options.keep_last or 1, 1), LARGEST_NUMBER))
        .exclude(status=ExecutionStatus.RUNNING)
    )
    if options.completed_before is not None:
        found = found.filter(completed_at__lt=options.completed_before)
    return found


def _prune(ids: Collection[int], options: PruneOptions, using: str) -> PruneResult:
    events = executions = 0
    prunable = _prunable(options, using)
    for part in trees.chunks(ids):
        old = Exists(prunable.filter(instance=OuterRef("instance_id"), number=OuterRef("execution_number")))
        trees.delete_rows(models.TraceSpan.objects.using(using).filter(old, instance__in=part))
        events += trees.delete_rows(models.HistoryEvent.objects.using(using).filter(old, instance__in=part))
        trees.delete_rows(models.Promise.objects.using(using).filter(old, instance__in=part))
        old = Exists(prunable.filter(instance=OuterRef("instance_id"), number=OuterRef("number")))
        executions += trees.delete_rows(models.Execution.objects.using(using).filter(old, instance__in=part))
    return PruneResult(instances_processed=len(ids), executions_deleted=executions, events_deleted=events)
