"""What is left of a scenario in the database: what has to be as it would have been, and what must not be there."""

from __future__ import annotations

import json
import time
from collections import Counter
from typing import Any

from django.apps import apps
from django.core.management.color import no_style
from django.db import connections, models, transaction

from ...client import Client
from ...engine.states import TERMINAL
from ...models import (
    ActivityTask,
    Execution,
    InboxMessage,
    Instance,
    KeyValue,
    Promise,
    QueuedEvent,
    Stream,
    StreamItem,
)
from ...store.records import TaskKey
from ..replays import assert_replays

COMPLETIONS = {
    "ActivityCompleted",
    "ActivityFailed",
    "TimerFired",
    "SubOrchestrationCompleted",
    "SubOrchestrationFailed",
}
PATIENCE_SECONDS = 30.0
COUNTED = (Instance, Execution, InboxMessage, ActivityTask, KeyValue, QueuedEvent, Promise, Stream, StreamItem)


class Rows:
    """The rows that there were before a scenario; every other one is deleted after it, and its number given again.

    Args:
        using: The database alias.
    """

    def __init__(self, using: str) -> None:
        self._using = using
        there = set(connections[using].introspection.table_names())
        self._models = [
            model
            for model in apps.get_models(include_auto_created=True)
            if model._meta.managed and not model._meta.proxy and model._meta.db_table in there
        ]
        self._before = {model: list(self._all(model).values_list("pk", flat=True)) for model in self._models}
        self._resets = self._sequence_resets()
        self.restore()

    def restore(self) -> None:
        """Delete the rows that were added since, in one transaction; foreign keys are checked at its end."""
        with transaction.atomic(using=self._using), connections[self._using].cursor() as cursor:
            for model, before in self._before.items():
                added = self._all(model).exclude(pk__in=before) if before else self._all(model)
                added._raw_delete(self._using)
            for statement in self._resets:
                cursor.execute(statement)

    def _sequence_resets(self) -> list[str]:
        """Return what makes the next keys those that follow on the rows that are there."""
        connection: Any = connections[self._using]
        if connection.vendor != "sqlite":
            return list(connection.ops.sequence_reset_sql(no_style(), self._models))
        # There a sequence goes on from the largest key, if that is larger than its own number.
        sequences = [{"table": model._meta.db_table} for model in self._models]
        return list(connection.ops.sequence_reset_by_name_sql(no_style(), sequences))

    def _all(self, model: type[models.Model]) -> Any:
        return model._base_manager.using(self._using).order_by()


def outcome_of(using: str) -> dict[str, Any]:
    """Return what every instance has come to, and how many rows the tables of this app have. Plain data."""
    found: dict[str, Any] = {each.__name__: _all(each, using).count() for each in COUNTED}
    for instance in _all(Instance, using):
        found[f"instance {instance.instance_id}"] = {
            "orchestration": (instance.orchestration, instance.version),
            "runtime_status": instance.runtime_status,
            "custom_status": instance.custom_status,
            "blocked_reason": _failure(instance.blocked_reason),
            "executions": [
                (each.number, each.status, each.input, each.output, _failure(each.failure))
                for each in _all(Execution, using).filter(instance=instance).order_by("number")
            ],
            "kv": dict(_all(KeyValue, using).filter(instance=instance).values_list("key", "value")),
            "queues": list(_all(QueuedEvent, using).filter(instance=instance).values_list("queue", "payload")),
            "promises": sorted(
                _all(Promise, using)
                .filter(instance=instance)
                .values_list("execution_number", "seq", "outcome", "settled_by")
            ),
            "streams": sorted(
                _all(StreamItem, using).filter(instance=instance).values_list("stream", "position", "payload", "closes")
            ),
        }
    return found


def wait_until_undone(using: str) -> None:
    """Wait until the database has undone what a process that was killed had begun: its locks are held until then.

    Raises: AssertionError: somebody has had a transaction open for long.
    """
    if connections[using].vendor != "postgresql":
        return  # SQLite's locks are the process's, and gone with it.
    deadline = time.monotonic() + PATIENCE_SECONDS
    while _open_transactions(using):
        if time.monotonic() >= deadline:
            raise AssertionError(f"Another connection still has a transaction open on the database {using!r}.")
        time.sleep(0.005)


def _open_transactions(using: str) -> int:
    """Return how many transactions of others are open on the database."""
    with connections[using].cursor() as cursor:
        cursor.execute(
            """
            SELECT COUNT(*) FROM pg_stat_activity
            WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'
              AND xact_start IS NOT NULL
            """
        )
        found: int = cursor.fetchone()[0]
    return found


def open_tasks(using: str) -> dict[TaskKey, int]:
    """Return the attempt that each activity without an outcome is at."""
    rows = _all(ActivityTask, using).values_list("instance_id", "execution_number", "seq", "attempt")
    return {TaskKey(*key): attempt for *key, attempt in rows}


def check_whole(client: Client) -> None:
    """Check that nothing is left over of what has ended, and that histories are whole and lead where they led.

    Raises: AssertionError: says of which instance, and what.
    """
    ended = _all(Instance, client.using).filter(runtime_status__in=TERMINAL)
    for instance in ended:
        _check_nothing_left(instance, client.using)
    for instance in _all(Instance, client.using):
        for number in client.list_executions(instance.instance_id):
            _check_history(client, instance, number)


def _check_nothing_left(instance: Instance, using: str) -> None:
    left = {
        "leases": int(instance.lease_owner is not None),
        "activity tasks": _all(ActivityTask, using).filter(instance=instance).count(),
        "messages": _all(InboxMessage, using).filter(instance=instance).count(),
        "running executions": _all(Execution, using).filter(instance=instance, status="Running").count(),
        "children that go on": _all(Instance, using).filter(parent=instance, completed_at=None).count(),
    }
    found = [f"{number} {name}" for name, number in left.items() if number]
    if found:
        raise AssertionError(
            f"{instance.instance_id!r} is {instance.runtime_status}, with {', '.join(found)} left over."
        )


def _check_history(client: Client, instance: Instance, number: int) -> None:
    where = f"the history of {instance.instance_id!r}, execution {number}"
    history = client.read_execution_history(instance.instance_id, number)
    if [event.seq for event in history] != list(range(1, len(history) + 1)):
        raise AssertionError(f"There is a gap in {where}.")
    answered = Counter(event.fact.columns()[2] for event in history if event.kind in COMPLETIONS)
    twice = [seq for seq, times in answered.items() if times > 1]
    if twice:
        raise AssertionError(f"Commands {twice} were answered twice in {where}.")
    if history and instance.runtime_status != "Blocked":
        assert_replays(client.registry.environment, history)


def _all(model: type[models.Model], using: str) -> Any:
    return model._base_manager.using(using)


def _failure(text: str | None) -> Any:
    """Leave tracebacks out: they tell which way the code was driven."""
    if text is None:
        return None
    failure = json.loads(text)
    return {name: failure.get(name) for name in ("error_type", "message")}
