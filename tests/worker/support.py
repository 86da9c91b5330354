"""Starting instances and reading what became of them, without the client."""

from __future__ import annotations

import json
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

from django.utils import timezone

from django_durable.engine.events import HistoryEvent, fact_from_columns
from django_durable.models import ActivityTask, Execution, HistoryEvent as HistoryRow, Instance
from django_durable.registry import Registry
from django_durable.store.instances import create_instance
from django_durable.store.starts import NewInstance
from django_durable.store.wakeups import Hub
from django_durable.testing.clock import FakeClock
from django_durable.worker.worker import Worker

USING = "default"
PATIENCE = 20.0
"""Seconds after which a test that waits for something has failed."""


def start(
    registry: Registry, name: str, value: Any = None, instance_id: str = "", start_at: datetime | None = None
) -> str:
    """Start an instance and return its id."""
    definition = registry.get_orchestration(name)
    new = NewInstance(
        instance_id=instance_id or uuid.uuid4().hex,
        orchestration=definition.name,
        version=definition.version,
        input=definition.encode_input(value),
        seed=uuid.uuid4().hex,
        start_at=start_at,
    )
    create_instance(new, same_version=False, now=timezone.now(), using=USING)
    return new.instance_id


def status(instance_id: str) -> str:
    return Instance.objects.get(instance_id=instance_id).runtime_status


def output(instance_id: str) -> Any:
    """Return the output of the newest execution, having checked that it completed."""
    execution = Execution.objects.filter(instance__instance_id=instance_id).latest("number")
    assert execution.status == "Completed", (execution.status, execution.failure)
    return json.loads(execution.output or "null")


def failure(instance_id: str) -> dict[str, str]:
    """Return the failure of the newest execution, having checked that it failed."""
    execution = Execution.objects.filter(instance__instance_id=instance_id).latest("number")
    assert execution.status == "Failed", (execution.status, execution.output)
    return json.loads(execution.failure or "null")


def blocked_reason(instance_id: str) -> dict[str, str]:
    instance = Instance.objects.get(instance_id=instance_id)
    assert instance.runtime_status == "Blocked", instance.runtime_status
    return json.loads(instance.blocked_reason or "null")


def history(instance_id: str, execution: int = 1) -> list[HistoryEvent]:
    rows = HistoryRow.objects.filter(instance__instance_id=instance_id, execution_number=execution).order_by("seq")
    return [
        HistoryEvent(
            row.seq,
            row.recorded_at,
            fact_from_columns(row.kind, row.name, row.source_seq, row.payload, row.data),
        )
        for row in rows
    ]


def kinds(instance_id: str, execution: int = 1) -> list[str]:
    return [event.kind for event in history(instance_id, execution)]


def tasks(instance_id: str) -> list[ActivityTask]:
    return list(ActivityTask.objects.filter(instance__instance_id=instance_id).order_by("seq"))


def drained(registry: Registry, clock: FakeClock | None = None, **options: Any) -> Worker:
    """Return a new worker that has run everything that is due, on this thread."""
    worker = Worker(registry, clock=clock or FakeClock(), **options)
    worker.drain()
    return worker


def wait_until(condition: Callable[[], bool]) -> None:
    """Wait until the database shows something; looks again at every hint that it changed."""
    changed = threading.Event()
    subscription = Hub.of(USING).subscribe(lambda hint: changed.set())
    try:
        while not condition():
            assert changed.wait(PATIENCE), "Nothing changed for a long time."
            changed.clear()
    finally:
        subscription.close()


def wait_for_status(instance_id: str, expected: str) -> None:
    wait_until(lambda: status(instance_id) == expected)


@contextmanager
def running(registry: Registry, **options: Any) -> Iterator[Worker]:
    """Run a worker with its threads for the length of a block."""
    worker = Worker(registry, **{"shutdown_timeout": timedelta(seconds=10), **options})
    worker.start()
    try:
        yield worker
    finally:
        worker.stop()


def run_to_idle(registry: Registry, **options: Any) -> dict[str, int]:
    """Run a worker until nothing is due, and return what it counted."""
    with running(registry, **options) as worker:
        assert worker.wait_until_idle(PATIENCE)
    return worker.metrics_snapshot()


def one_activity(registry: Registry, function: Callable[..., Any], **options: Any) -> str:
    """Register an activity `it` and an orchestration that returns its result; return the orchestration's name."""
    registry.activity("it", **options)(function)

    @registry.orchestration("one")
    def one(ctx, value: Any = None):
        return (yield ctx.schedule_activity("it"))

    return "one"


class Gate:
    """An activity that says when it has begun, and ends when told to."""

    def __init__(self) -> None:
        self.begun = threading.Semaphore(0)
        self.open = threading.Event()
        self.attempts = 0

    def __call__(self) -> str:
        self.attempts += 1
        self.begun.release()
        assert self.open.wait(PATIENCE)
        return "through"

    def wait(self) -> None:
        assert self.begun.acquire(timeout=PATIENCE)

    def function(self) -> Callable[[], str]:
        """Return it as a function, which is what can be registered."""

        def it() -> str:
            return self()

        return it


def gated(registry: Registry, gate: Gate, **options: Any) -> str:
    """Register an orchestration that returns what passes the gate; return its name."""
    return one_activity(registry, gate.function(), **options)
