"""Which instances an operation is about."""

from __future__ import annotations

import sys
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from django.db import connections
from django.db.models import QuerySet
from django.db.models.functions import Left

from .. import models
from ..engine.durations import checked_moment
from ..engine.errors import InvalidArgument
from ..engine.states import RuntimeStatus

PAGE_SIZE = 100
LARGEST_PAGE = 10_000
FEW = 1_000
"""Instances that are sorted sooner than looked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InstanceFilter:
    """Which instances. All that is given must hold; an empty filter matches every instance.

    Args:
        runtime_status: One status or several.
        instance_id_prefix: Case matters.
        parent: Instance id; matches its direct children.
        has_parent: True for children, False for roots.
        created_after, created_before, completed_after, completed_before: Aware datetimes, exclusive.
        limit: How many instances at most; each operation says its default.
    Raises: InvalidArgument: an unknown status, a naive datetime, a limit below 1.
    """

    instance_ids: Collection[str] | None = None
    runtime_status: str | Collection[str] | None = None
    orchestration: str | None = None
    version: str | None = None
    instance_id_prefix: str | None = None
    parent: str | None = None
    has_parent: bool | None = None
    created_after: datetime | None = None
    created_before: datetime | None = None
    completed_after: datetime | None = None
    completed_before: datetime | None = None
    limit: int | None = None

    def __post_init__(self) -> None:
        if isinstance(self.instance_ids, str):
            raise InvalidArgument(f"instance_ids is {self.instance_ids!r:.80}, expected a list of instance ids.")
        for name in ("created_after", "created_before", "completed_after", "completed_before"):
            moment = getattr(self, name)
            if moment is not None:
                checked_moment(moment, name)
        if self.limit is not None:
            checked_limit(self.limit)
        _ = self.statuses

    @property
    def statuses(self) -> list[RuntimeStatus] | None:
        """The statuses asked for, None for any."""
        if self.runtime_status is None:
            return None
        given = [self.runtime_status] if isinstance(self.runtime_status, str) else self.runtime_status
        return [checked_status(each) for each in given]


def checked_status(status: str) -> RuntimeStatus:
    """Return a status by its text. Raises: InvalidArgument: there is no such status."""
    try:
        return RuntimeStatus(status)
    except ValueError:
        known = ", ".join(RuntimeStatus)
        raise InvalidArgument(f"There is no status {status!r:.80}; the statuses are {known}.") from None


def checked_limit(limit: int) -> int:
    """Return a limit. Raises: InvalidArgument: not a whole number from 1 to 10,000."""
    if not isinstance(limit, int) or isinstance(limit, bool) or not 1 <= limit <= LARGEST_PAGE:
        raise InvalidArgument(f"limit is {limit!r:.80}, expected a whole number from 1 to {LARGEST_PAGE:,}.")
    return limit


def matching(filter: InstanceFilter, *, using: str) -> QuerySet[models.Instance]:
    """Return the instances that a filter matches, unordered; its limit is left to the caller."""
    found = models.Instance.objects.using(using).order_by()
    if filter.instance_ids is not None:
        found = found.filter(instance_id__in=list(filter.instance_ids))
    if filter.statuses is not None:
        found = found.filter(runtime_status__in=filter.statuses)
    if filter.instance_id_prefix:
        found = starting_with(found, filter.instance_id_prefix)
    if filter.has_parent is not None:
        found = found.filter(parent__isnull=not filter.has_parent)
    exact = {
        "orchestration": filter.orchestration,
        "version": filter.version,
        "parent__instance_id": filter.parent,
        "created_at__gt": filter.created_after,
        "created_at__lt": filter.created_before,
        "completed_at__gt": filter.completed_after,
        "completed_at__lt": filter.completed_before,
    }
    return found.filter(**{name: value for name, value in exact.items() if value is not None})


def starting_with(found: QuerySet[models.Instance], prefix: str) -> QuerySet[models.Instance]:
    """Return those whose instance id starts with a prefix; case matters. On SQLite it asks by an index how many."""
    starts = found.alias(start=Left("instance_id", len(prefix))).filter(instance_id__startswith=prefix, start=prefix)
    # PostgreSQL finds them by the index of patterns, or in the order asked for, whichever reads less. SQLite's LIKE
    # ignores case and has no index, and it keeps no statistics: so few are found by their range, many as they come.
    if connections[found.db].vendor == "sqlite":
        within = {"instance_id__gte": prefix, "instance_id__lt": _after(prefix)}
        if models.Instance.objects.using(found.db).order_by().filter(**within)[:FEW].count() < FEW:
            return starts.filter(**within)
    return starts


def _after(prefix: str) -> str:
    """Return the first text, by code points, after all that start with a prefix."""
    kept = prefix.rstrip(chr(sys.maxunicode))
    last = ord(kept[-1]) + 1 if kept else sys.maxunicode
    # Between the planes are code points that no database stores.
    return kept[:-1] + chr(0xE000 if last == 0xD800 else last) if kept else prefix + chr(last)
