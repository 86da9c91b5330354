"""The worker processes that are alive, as they say themselves."""

from __future__ import annotations

import json
import os
import socket
from dataclasses import dataclass
from datetime import datetime

from django.db.models import F

from ..conf import settings
from ..models import ActivityTask, InboxMessage, Instance, Session, Worker
from .records import TagFilter
from .transactions import write_transaction
from .wakeups import notify


@dataclass(frozen=True, slots=True)
class WorkerRecord:
    """A worker as of its last heartbeat. `tags` and `metrics` are JSON text."""

    worker_id: str
    host: str
    pid: int
    tags: str
    concurrency: int
    metrics: str
    started_at: datetime
    heartbeat_at: datetime
    stopping: bool


def register(worker_id: str, tags: TagFilter, concurrency: int, now: datetime, *, using: str | None = None) -> None:
    """Write the row of a worker that starts in this process; one left over from an earlier process is replaced.

    Writes: Worker; one transaction.
    """
    using = using or settings.DATABASE
    with write_transaction(using):
        Worker.objects.using(using).update_or_create(
            worker_id=worker_id,
            defaults={
                "host": socket.gethostname(),
                "pid": os.getpid(),
                "tags": json.dumps(tags.as_dict()),
                "concurrency": concurrency,
                "metrics": "{}",
                "started_at": now,
                "heartbeat_at": now,
                "stopping": False,
            },
        )


def heartbeat(worker_id: str, metrics: str, now: datetime, *, using: str | None = None) -> bool:
    """Note that a worker is alive. Returns: whether its row is still there. Writes: Worker."""
    rows = Worker.objects.using(using or settings.DATABASE).filter(worker_id=worker_id)
    return bool(rows.update(heartbeat_at=now, metrics=metrics))


def note_stopping(worker_id: str, *, using: str | None = None) -> None:
    """Note that a worker takes no more work. Writes: Worker."""
    Worker.objects.using(using or settings.DATABASE).filter(worker_id=worker_id).update(stopping=True)


def release_leases(worker_id: str, now: datetime, *, using: str | None = None) -> None:
    """Give back every lease of a worker whose process has ended, so that nobody waits for them to run out.

    The tokens move on: should the process be alive after all, it can write nothing any more. Only instances that have
    something to do are looked at; for the others nobody waits.
    Writes: Instance, ActivityTask (guarded by owner), Session; one transaction.
    """
    with write_transaction(using or settings.DATABASE) as connection:
        using = connection.alias
        tasks = ActivityTask.objects.using(using).filter(lease_owner=worker_id)
        messages = InboxMessage.objects.using(using).filter(held=False, visible_at__lte=now)
        # By a union and not by two conditions, for which all instances that there are would be read.
        waiting = tasks.values("instance_id").union(messages.values("instance_id"))
        instances = Instance.objects.using(using).filter(id__in=waiting, lease_owner=worker_id).order_by("id")
        ids = list(instances.select_for_update(no_key=True).values_list("id", flat=True))
        Instance.objects.using(using).filter(id__in=ids).update(
            lease_owner=None, lease_until=None, lease_token=F("lease_token") + 1
        )
        tasks.update(lease_owner=None, visible_at=now, lease_token=F("lease_token") + 1)
        Session.objects.using(using).filter(worker_id=worker_id).delete()
        notify(using, work=True)


def remove(worker_id: str, *, using: str | None = None) -> None:
    """Remove the row of a worker that stopped. Writes: Worker."""
    Worker.objects.using(using or settings.DATABASE).filter(worker_id=worker_id).delete()


def remove_silent(before: datetime, *, using: str | None = None) -> int:
    """Remove workers not heard of since `before`; return how many. Writes: Worker."""
    return Worker.objects.using(using or settings.DATABASE).filter(heartbeat_at__lt=before).delete()[0]


def list_workers(*, using: str | None = None) -> list[WorkerRecord]:
    """Return all workers by id."""
    rows = Worker.objects.using(using or settings.DATABASE).order_by("worker_id")
    return [
        WorkerRecord(
            row.worker_id,
            row.host,
            row.pid,
            row.tags,
            row.concurrency,
            row.metrics,
            row.started_at,
            row.heartbeat_at,
            row.stopping,
        )
        for row in rows
    ]
