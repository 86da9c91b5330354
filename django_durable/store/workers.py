"""The worker processes that are alive, as they say themselves."""

from __future__ import annotations

import json
import os
import socket
from dataclasses import dataclass
from datetime import datetime

from django.db.models import F

from ..conf import settings
from ..models import ActivityTask, Instance, Worker
from .records import TagFilter
from .transactions import write_transaction


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


def register(
    worker_id: str, tags: TagFilter, concurrency: int, now: datetime, *, using: str | None = None
) -> None:
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
    """Give back every lease that is still in a stopped worker's name, so that nobody waits for it to run out.

    Writes: Instance, ActivityTask (guarded by owner).
    """
    using = using or settings.DATABASE
    Instance.objects.using(using).filter(lease_owner=worker_id).update(lease_owner=None, lease_until=None)
    ActivityTask.objects.using(using).filter(lease_owner=worker_id).update(
        lease_owner=None, visible_at=now, deliveries=F("deliveries") - 1
    )


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
