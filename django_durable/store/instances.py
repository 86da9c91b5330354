"""Instances as callers start, send to, suspend and resume them. Ends at once are in `endings`, reads in `queries`.

Senders look an instance up and insert; they lock nothing, so a caller may do it inside a long transaction of its own.
A message for an instance that ends meanwhile is deleted by the next claim.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Case, F, FilteredRelation, OuterRef, Q, Subquery, When

from .. import models
from ..engine.errors import IllegalTransition, InstanceAlreadyExists, InstanceNotFound
from ..engine.events import EventEnqueued, ExternalEvent, Fact, OrchestrationStarted, Payload
from ..engine.states import CLAIMABLE, PARKED, TERMINAL, Move, RuntimeStatus, resumed_status, sources
from . import trees, wakeups
from .transactions import write_transaction

LIVE = sorted(set(RuntimeStatus) - TERMINAL)
STARTED = OrchestrationStarted.__name__


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


def target_of(instance_id: str, *, action: str, using: str) -> Target:
    """Look up an instance that can still take a message, by one query.

    Args:
        action: What the caller is about to do, for the error's sentence: "raise event 'paid' for".
    Raises:
        InstanceNotFound.
        IllegalTransition: it has finished.
    """
    start = models.InboxMessage.objects.filter(instance=OuterRef("pk"), kind=STARTED).order_by("-visible_at")
    row = (
        models.Instance.objects.using(using)
        .filter(instance_id=instance_id)
        .annotate(earliest=Case(When(history_length=0, then=Subquery(start.values("visible_at")[:1]))))
        .values_list("id", "instance_id", "runtime_status", "earliest")
        .first()
    )
    if row is None:
        raise InstanceNotFound(instance_id)
    status = RuntimeStatus(row[2])
    if status in TERMINAL:
        raise IllegalTransition(instance_id, action, status, LIVE)
    return Target(row[0], row[1], status, row[3])
