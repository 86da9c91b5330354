"""Leases kept and lost, an orderly stop, and a database that fails."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.utils import timezone

from django_durable import RetryPolicy
from django_durable.engine.errors import InvalidArgument
from django_durable.models import ActivityTask, Instance, Session, Worker as WorkerRow
from django_durable.registry import Registry
from django_durable.store import activities, turns as store_turns
from django_durable.worker.worker import Worker

from .support import (
    PATIENCE,
    Gate,
    gated,
    kinds,
    one_activity,
    output,
    run_to_idle,
    running,
    start,
    status,
    tasks,
    wait_for_status,
)

pytestmark = pytest.mark.usefixtures("durable_db")


# Leases.


def test_a_lost_turn_leaves_nothing_and_its_completion_goes_to_the_inbox(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = Gate()
    instance = start(registry, gated(registry, gate))
    with running(registry) as worker:
        gate.wait()
        # Somebody else gets the lease while the activity runs, and lets go of it again.
        Instance.objects.filter(instance_id=instance).update(lease_token=99, lease_owner=None, lease_until=None)
        gate.open.set()
        wait_for_status(instance, "Completed")

    counts = worker.metrics_snapshot()
    assert output(instance) == "through"
    assert (counts["turns_lost"], gate.attempts) == (1, 1)
    assert kinds(instance).count("ActivityCompleted") == 1


def test_a_completion_whose_task_was_taken_over_counts_for_nothing(registry: Registry) -> None:
    gate = Gate()
    instance = start(registry, gated(registry, gate))
    with running(registry) as worker:
        gate.wait()
        ActivityTask.objects.update(lease_token=99, lease_owner="another")
        gate.open.set()
        assert worker.wait_until_idle(PATIENCE)

    assert status(instance) == "Running"
    assert "ActivityCompleted" not in kinds(instance)
    assert worker.metrics_snapshot()["activity_leases_lost"] >= 1


def test_leases_are_renewed_while_an_activity_runs(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    gate, renewed, renew = Gate(), threading.Event(), activities.renew_activities

    def renewing(*args: Any, **options: Any) -> Any:
        lost = renew(*args, **options)
        renewed.set()
        return lost

    monkeypatch.setattr(activities, "renew_activities", renewing)
    instance = start(registry, gated(registry, gate))
    with running(registry, lease=timedelta(seconds=1)) as worker:
        gate.wait()
        before = tasks(instance)[0].visible_at
        assert renewed.wait(PATIENCE)
        assert tasks(instance)[0].visible_at > before
        assert Instance.objects.get(instance_id=instance).lease_owner == worker.worker_id
        assert tasks(instance)[0].lease_token == 1
        gate.open.set()
        assert worker.wait_until_idle(PATIENCE)

    assert output(instance) == "through"
    assert gate.attempts == 1


def test_the_details_of_a_heartbeat_reach_the_next_attempt(registry: Registry) -> None:
    def reporting(ctx) -> Any:
        if ctx.attempt == 1:
            ctx.heartbeat({"page": 7})
            raise ValueError("not yet")
        return ctx.last_heartbeat

    policy = RetryPolicy(max_attempts=2, backoff="none")
    instance = start(registry, one_activity(registry, reporting, retry=policy))
    with running(registry):
        wait_for_status(instance, "Completed")

    assert output(instance) == {"page": 7}


# Stopping.


def test_a_stop_lets_running_activities_end_and_records_them(registry: Registry) -> None:
    gate = Gate()
    instance = start(registry, gated(registry, gate))
    worker = Worker(registry)
    worker.start()
    gate.wait()
    stopping = threading.Thread(target=worker.stop)
    stopping.start()
    gate.open.set()
    stopping.join(PATIENCE)
    assert not stopping.is_alive()

    assert not tasks(instance)
    run_to_idle(registry)
    assert output(instance) == "through"
    assert gate.attempts == 1


def test_a_stop_hands_back_at_once_what_does_not_end(registry: Registry) -> None:
    gate = Gate()
    instance = start(registry, gated(registry, gate))
    worker = Worker(registry)
    worker.start()
    gate.wait()
    worker.stop(timeout=0)

    row = Instance.objects.get(instance_id=instance)
    (task,) = tasks(instance)
    assert (row.lease_owner, task.lease_owner, task.deliveries) == (None, None, 0)
    assert task.visible_at <= timezone.now()

    gate.open.set()
    run_to_idle(registry)
    assert output(instance) == "through"


def test_a_stop_gives_up_sessions_and_the_workers_row(registry: Registry) -> None:
    @registry.orchestration("affine")
    def affine(ctx, value: Any = None):
        return (yield ctx.schedule_activity_on_session("double", 4, "s-1"))

    instance = start(registry, "affine")
    with running(registry, worker_id="w-1") as worker:
        assert worker.wait_until_idle(PATIENCE)
        assert Session.objects.get().worker_id == "w-1"
        assert WorkerRow.objects.get().worker_id == "w-1"

    assert output(instance) == 8
    assert not Session.objects.exists()
    assert not WorkerRow.objects.exists()


def test_a_worker_starts_once(registry: Registry) -> None:
    with running(registry) as worker, pytest.raises(InvalidArgument, match="started before"):
        worker.start()


def test_a_database_without_tables_is_told_so(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("django_durable.worker.worker.TABLES", {"django_durable_absent"})

    with pytest.raises(ImproperlyConfigured, match="Apply the migrations first"):
        Worker(registry).start()


# A database that fails.


def test_what_ended_while_the_database_was_away_is_written_when_it_is_back(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    from django.db import OperationalError

    real, failures = store_turns.commit_turns, iter([True, True])

    def failing(*args: Any, **options: Any) -> Any:
        if next(failures, False):
            raise OperationalError("gone away")
        return real(*args, **options)

    instance = start(registry, "chain", 3)
    monkeypatch.setattr(store_turns, "commit_turns", failing)
    with running(registry) as worker:
        wait_for_status(instance, "Completed")

    assert output(instance) == 8
    assert worker.metrics_snapshot()["database_errors"] == 2
    assert kinds(instance).count("ActivityCompleted") == 3
