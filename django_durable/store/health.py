"""What system checks and probes ask of a database. All of it is cheap, however many instances there are."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.db import Error, connections
from django.db.migrations.executor import MigrationExecutor

from ..engine.states import RuntimeStatus
from ..models import ActivityTask, InboxMessage, Instance, Worker

SUPPORTED_VENDORS = ("sqlite", "postgresql")


def vendor(using: str) -> str:
    """Return what kind of database an alias is, for example `"sqlite"`; opens no connection."""
    return connections[using].vendor


def journal_mode(using: str) -> str | None:
    """Return the journal mode of a SQLite file, for example `"wal"`; `None` for other databases and in memory."""
    connection = connections[using]
    if connection.vendor != "sqlite":
        return None
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA journal_mode")
        mode = str(cursor.fetchone()[0]).lower()
    return None if mode == "memory" else mode


def answers(using: str) -> bool:
    """Tell whether a database can be asked and has the tables."""
    try:
        Worker.objects.using(using).exists()
    except Error:
        return False
    return True


@dataclass(frozen=True, slots=True, kw_only=True)
class Backlog:
    """What has waited longest of all that is due, None where nothing is, and how many instances are Blocked.

    Attributes:
        turn_since: Since when the oldest message waits for a turn.
        task_since, task_tag: Since when the oldest activity task waits for a worker, and its tag, "" for none. A lease
            that ran out counts from then.
    """

    turn_since: datetime | None
    task_since: datetime | None
    task_tag: str
    blocked: int


def backlog(now: datetime, *, using: str) -> Backlog:
    """Find what has waited longest, by three queries, each along an index."""
    messages = InboxMessage.objects.using(using).filter(held=False, visible_at__lte=now)
    turn_since = messages.order_by("visible_at").values_list("visible_at", flat=True).first()
    tasks = ActivityTask.objects.using(using).filter(visible_at__lte=now)
    task_since, task_tag = tasks.order_by("visible_at").values_list("visible_at", "tag").first() or (None, "")
    return Backlog(
        turn_since=turn_since,
        task_since=task_since,
        task_tag=task_tag,
        blocked=Instance.objects.using(using).filter(runtime_status=RuntimeStatus.BLOCKED).count(),
    )


def unapplied_migrations(using: str) -> list[str]:
    """Return the names of this app's migrations that a database lacks, in order."""
    executor = MigrationExecutor(connections[using])
    label = Instance._meta.app_label
    targets = [node for node in executor.loader.graph.leaf_nodes() if node[0] == label]
    return [migration.name for migration, _ in executor.migration_plan(targets) if migration.app_label == label]
