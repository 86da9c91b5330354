"""What somebody has to do now and then. Every worker does a little of it; doing it twice does no harm."""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime, timedelta

from ..conf import settings
from ..engine.errors import CallerError
from ..registry import Registry
from ..store import activities, blocked, expiry, instances, retention, sessions, workers
from ..store.filters import InstanceFilter
from .instrumentation import Instrumentation
from .outcomes import refusal

OFTEN = timedelta(seconds=5)
SELDOM = timedelta(minutes=1)
LONGEST_BACKOFF = timedelta(minutes=10)
SILENT_LEASES = 3
"""A worker silent for so many leases has ended."""

AT_ONCE = 200
"""Rows taken per round: tasks failed, instances resumed, instances deleted."""


class Maintenance:
    """Called with the time by the lease keeper; does what is due.

    Writes: Worker, Session; ActivityTask and InboxMessage of expired tasks; Instance where code came back; with
        `RETENTION` set, whatever belongs to instances that finished longer ago than that.
    """

    def __init__(
        self,
        registry: Registry,
        *,
        worker_id: str,
        lease: timedelta,
        instrumentation: Instrumentation,
        using: str,
    ) -> None:
        self._registry = registry
        self._worker_id = worker_id
        self._lease = lease
        self._instrumentation = instrumentation
        self._using = using
        self._often: datetime | None = None
        self._seldom: datetime | None = None
        self._deleting = False
        self._backoff: dict[int, tuple[datetime, timedelta]] = {}

    def __call__(self, now: datetime) -> None:
        if self._often is None or now - self._often >= OFTEN:
            self._often = now
            self._fail_expired(now)
            self._resume_blocked(now)
        if self._seldom is None or now - self._seldom >= SELDOM:
            self._seldom = now
            workers.remove_silent(now - self._lease * SILENT_LEASES, using=self._using)
            sessions.delete_expired(now, using=self._using)
            self._deleting = True
        if self._deleting:
            self._deleting = self._delete_finished(now)

    def _fail_expired(self, now: datetime) -> None:
        expired = expiry.find_expired(now, limit=AT_ONCE, using=self._using)
        finishes = ((task, refusal(task, worker_id=self._worker_id, max_deliveries=0, now=now)) for task in expired)
        facts = [(task.key, task.lease_token, finish.fact) for task, finish in finishes if finish is not None]
        if facts:
            activities.finish_activities(facts, now, using=self._using)

    def _resume_blocked(self, now: datetime) -> None:
        """Resume instances whose orchestration is registered here, less and less often those that block again."""
        self._backoff = {id: kept for id, kept in self._backoff.items() if now - kept[0] < LONGEST_BACKOFF}
        registered = {name: self._registry.versions(name) for name in self._registry.names}
        waiting = [id for id, (due, _) in self._backoff.items() if now < due]
        found = blocked.blocked_for_missing_code(registered, besides=waiting, limit=AT_ONCE, using=self._using)
        for id, instance_id in found.items():
            _, pause = self._backoff.get(id, (now, OFTEN))
            self._backoff[id] = (now + pause, min(pause * 2, LONGEST_BACKOFF))
            with suppress(CallerError):  # An operator was quicker.
                instances.resume_instance(instance_id, now=now, using=self._using)
                self._instrumentation.instance_resumed(instance_id)

    def _delete_finished(self, now: datetime) -> bool:
        """Delete what is older than the retention. Returns: whether there may be more than one round deletes."""
        if settings.RETENTION is None:
            return False
        old = InstanceFilter(completed_before=now - settings.RETENTION, limit=AT_ONCE)
        return retention.delete_instances(old, using=self._using).instances_deleted >= AT_ONCE
