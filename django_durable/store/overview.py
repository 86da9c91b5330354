"""How the whole system is: what there is, what ended, what waits, what is left over. Cheap however much has ended."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.db import connections
from django.db.models import Count, Min, Q

from .. import models
from ..engine.states import CLAIMABLE, TERMINAL, RuntimeStatus
from . import sql
from .filters import InstanceFilter, matching

COUNTED = 100_000
"""Instances of one status that are counted at most: what has ended grows without end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OldestTask:
    """What waits of one tag, "" for none: how many tasks can be claimed, and since when the oldest of them."""

    tag: str
    waiting: int
    since: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Overview:
    """How the system is.

    Attributes:
        by_status: Every status, with the number of instances that have it, `COUNTED` where it is as many or more.
        ended: Instances that ended since the moment asked for, by how.
        expired_instance_leases: Instances that a worker took and neither renewed nor gave back; `expired_task_leases`
            are activities. Another worker takes them by itself.
        oldest_tasks: By tag, the longest wait first.
    """

    by_status: dict[RuntimeStatus, int]
    ended: dict[RuntimeStatus, int]
    failed: int
    expired_instance_leases: int
    expired_task_leases: int
    oldest_tasks: list[OldestTask]


def overview_of(*, now: datetime, ended_since: datetime, failed_since: datetime, using: str) -> Overview:
    """Measure the system by four queries; none reads payloads or histories, none counts what has ended without end.

    Args:
        ended_since, failed_since: What ended, and what failed, after these moments is counted.
    """
    # One walk over the end of one index: grouped, SQLite would read all that ever ended instead.
    lately = matching(InstanceFilter(completed_after=min(ended_since, failed_since)), using=using).aggregate(
        **{
            status: Count("id", filter=Q(runtime_status=status, completed_at__gt=ended_since))
            for status in sorted(TERMINAL)
        },
        failed=Count("id", filter=Q(runtime_status=RuntimeStatus.FAILED, completed_at__gt=failed_since)),
    )
    claimed = models.Instance.objects.using(using).filter(runtime_status__in=sorted(CLAIMABLE), lease_until__lt=now)
    tasks = list(
        models.ActivityTask.objects.using(using)
        .filter(visible_at__lte=now)
        .order_by("tag")
        .values_list("tag")
        .annotate(
            waiting=Count("seq"), since=Min("visible_at"), expired=Count("seq", filter=Q(lease_owner__isnull=False))
        )
    )
    oldest = [OldestTask(tag=tag, waiting=waiting, since=since) for tag, waiting, since, _ in tasks]
    return Overview(
        by_status=count_by_status(limit=COUNTED, using=using),
        ended={status: lately[status] for status in RuntimeStatus if status in TERMINAL},
        failed=lately["failed"],
        expired_instance_leases=claimed.count(),
        expired_task_leases=sum(expired for _, _, _, expired in tasks),
        oldest_tasks=sorted(oldest, key=lambda each: each.since),
    )


def count_by_status(*, limit: int, using: str) -> dict[RuntimeStatus, int]:
    """Count the instances of every status, each as far as a limit, by one query that reads an index no further."""
    counted = f"(SELECT 1 FROM {sql.table(models.Instance)} WHERE runtime_status = %s LIMIT %s)"
    statement = " UNION ALL ".join(f"SELECT %s AS status, COUNT(*) FROM {counted} AS counted" for _ in RuntimeStatus)
    params = [value for status in RuntimeStatus for value in (status.value, status.value, limit)]
    rows = sql.fetch(connections[using], statement, params)
    return {RuntimeStatus(status): number for status, number in rows}
