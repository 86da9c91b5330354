"""A worker with its threads, on a database that commits."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.core.exceptions import ImproperlyConfigured
from django.utils import timezone

from django_durable import RetryPolicy
from django_durable.engine.errors import InvalidArgument
from django_durable.models import ActivityTask, Instance, Session
from django_durable.models import Worker as WorkerRow
from django_durable.registry import Registry
from django_durable.store import activities, endings, instances
from django_durable.store import turns as store_turns
from django_durable.store.records import TagFilter
from django_durable.worker.worker import Worker

from .support import (
    PATIENCE,
    USING,
    failure,
    kinds,
    output,
    start,
    status,
    tasks,
    wait_for_status,
    wait_until,
)

pytestmark = pytest.mark.usefixtures("durable_db")


@pytest.fixture
def registry() -> Registry:
    registry = Registry()

    @registry.activity("double")
    def double(number: int) -> int:
        return number * 2

    @registry.activity("double_async")
    async def double_async(number: int) -> int:
        await asyncio.sleep(0)
        return number * 2

    @registry.orchestration("chain")
    def chain(ctx, steps: int):
        number = 1
        for _ in range(steps):
            number = yield ctx.schedule_activity("double", number)
        return number

    @registry.orchestration("fan_out")
    async def fan_out(ctx, width: int):
        names = ("double", "double_async")
        doubled = await asyncio.gather(*[ctx.schedule_activity(names[each % 2], each) for each in range(width)])
        return sum(doubled)

    return registry


@contextmanager
def running(registry: Registry, **options: Any) -> Iterator[Worker]:
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


def gated(registry: Registry, gate: Gate, **options: Any) -> str:
    return one_activity(registry, lambda_of(gate), **options)


def lambda_of(gate: Gate) -> Callable[[], str]:
    def it() -> str:
        return gate()

    return it


# The way of a result.


def test_chains_run_to_their_end(registry: Registry) -> None:
    started = [start(registry, "chain", 5) for _ in range(40)]

    counts = run_to_idle(registry)

    assert [output(each) for each in started] == [32] * 40
    assert counts["turns"] >= 240
    assert counts["commits"] < counts["turns"] / 4


def test_a_fan_out_of_sync_and_async_activities_runs_to_its_end(registry: Registry) -> None:
    instance = start(registry, "fan_out", 200)

    counts = run_to_idle(registry, concurrency=4)

    assert output(instance) == sum(range(200)) * 2
    assert counts["activities_completed"] == 200


def test_two_workers_share_instances_and_do_everything_once(registry: Registry) -> None:
    started = [start(registry, "fan_out", 20) for _ in range(20)]

    with running(registry, worker_id="one") as one, running(registry, worker_id="two") as two:
        assert one.wait_until_idle(PATIENCE)
        assert two.wait_until_idle(PATIENCE)
        assert one.wait_until_idle(PATIENCE)

    assert [output(each) for each in started] == [sum(range(20)) * 2] * 20
    for each in started:
        assert kinds(each).count("ActivityCompleted") == 20


def test_nothing_starts_before_its_schedule_is_committed(registry: Registry) -> None:
    seen: list[int] = []

    def look(ctx) -> None:
        # The activity's own connection sees only what was committed.
        seen.append(ActivityTask.objects.filter(lease_owner=ctx.worker_id, name="it").count())

    instance = start(registry, one_activity(registry, look))
    run_to_idle(registry)

    assert output(instance) is None
    assert seen == [1]


def test_an_idle_worker_is_woken_by_a_start(registry: Registry) -> None:
    with running(registry, poll_interval=timedelta(minutes=5)) as worker:
        assert worker.wait_until_idle(PATIENCE)
        gate = Gate()
        instance = start(registry, gated(registry, gate))
        gate.wait()
        gate.open.set()
        worker.stop()

    assert kinds(instance)[:2] == ["OrchestrationStarted", "ActivityScheduled"]


# Slots.


def test_no_more_activities_run_than_there_are_slots(registry: Registry) -> None:
    running_now, most, lock = set(), [], threading.Lock()
    barrier = threading.Barrier(3, timeout=PATIENCE)

    def crowded(ctx) -> None:
        with lock:
            running_now.add(ctx.idempotency_key)
            most.append(len(running_now))
        barrier.wait()
        with lock:
            running_now.discard(ctx.idempotency_key)

    registry.activity("crowded")(crowded)

    @registry.orchestration("crowd")
    def crowd(ctx, many: int):
        yield ctx.all([ctx.schedule_activity("crowded") for _ in range(many)])

    instance = start(registry, "crowd", 12)
    run_to_idle(registry, concurrency=3)

    assert status(instance) == "Completed"
    assert max(most) == 3


def test_what_a_busy_worker_has_no_slot_for_is_left_to_others(registry: Registry) -> None:
    gate = Gate()
    one_activity(registry, lambda_of(gate))

    @registry.orchestration("wide")
    def wide(ctx, many: int):
        return (yield ctx.all([ctx.schedule_activity("it") for _ in range(many)]))

    instance = start(registry, "wide", 6)
    with running(registry, worker_id="one", concurrency=2):
        gate.wait()
        gate.wait()
        with running(registry, worker_id="two", concurrency=4):
            for _ in range(4):
                gate.wait()
            owners = [task.lease_owner for task in tasks(instance)]
            gate.open.set()
    run_to_idle(registry)

    assert sorted(filter(None, owners)) == ["one"] * 2 + ["two"] * 4
    assert output(instance) == [{"ok": "through"}] * 6


# Ends that are not results.


def test_a_sync_activity_over_its_limit_is_over_while_its_thread_still_runs(registry: Registry) -> None:
    gate = Gate()
    instance = start(registry, gated(registry, gate, timeout=50))

    with running(registry) as worker:
        assert worker.wait_until_idle(PATIENCE)
        assert failure(instance)["error_type"] == "TimeoutError"
        gate.open.set()

    assert kinds(instance).count("ActivityFailed") == 1
    assert "ActivityCompleted" not in kinds(instance)


def test_an_attempt_that_timed_out_is_tried_again(registry: Registry) -> None:
    first = Gate()

    def slow_once(ctx) -> int:
        if ctx.attempt == 1:
            first()
        return ctx.attempt

    policy = RetryPolicy(max_attempts=2, backoff="fixed", initial=1)
    instance = start(registry, one_activity(registry, slow_once, timeout=50, retry=policy))
    with running(registry):
        wait_for_status(instance, "Completed")
        first.open.set()

    assert output(instance) == 2


def test_a_cancellation_reaches_a_running_activity_within_about_a_second(registry: Registry) -> None:
    begun, told = threading.Event(), threading.Event()

    def patient(ctx) -> None:
        begun.set()
        for _ in range(400):
            if ctx.is_cancelled():
                told.set()
                return
            threading.Event().wait(0.01)

    instance = start(registry, one_activity(registry, patient))
    with running(registry):
        assert begun.wait(PATIENCE)
        endings.cancel_instance(instance, now=timezone.now(), using=USING)
        assert told.wait(3)

    assert status(instance) == "Canceled"


def test_a_task_deleted_behind_the_workers_back_cancels_its_async_activity(registry: Registry) -> None:
    begun, canceled = threading.Event(), threading.Event()

    async def patient() -> None:
        begun.set()
        try:
            await asyncio.sleep(PATIENCE)
        except asyncio.CancelledError:
            canceled.set()
            raise

    instance = start(registry, one_activity(registry, patient))
    with running(registry):
        assert begun.wait(PATIENCE)
        endings.terminate_instance(instance, now=timezone.now(), using=USING)
        assert canceled.wait(4)

    assert status(instance) == "Terminated"


def test_async_activities_use_the_orm(registry: Registry) -> None:
    async def enter(ctx) -> int:
        await Group.objects.acreate(name=f"group {ctx.instance_id}")
        return await Group.objects.acount()

    name = one_activity(registry, enter)
    started = [start(registry, name) for _ in range(5)]
    run_to_idle(registry)

    assert Group.objects.count() == 5
    assert all(output(each) >= 1 for each in started)


def test_an_atomic_activity_is_exactly_once_and_joins_the_inbox(registry: Registry) -> None:
    def enter(ctx) -> str:
        Group.objects.create(name=ctx.idempotency_key)
        if ctx.attempt == 1:
            raise ValueError("not yet")
        return "entered"

    policy = RetryPolicy(max_attempts=2, backoff="none")
    name = one_activity(registry, enter, atomic=True, retry=policy)
    started = [start(registry, name) for _ in range(10)]
    with running(registry):
        for each in started:
            wait_for_status(each, "Completed")

    assert [output(each) for each in started] == ["entered"] * 10
    assert Group.objects.count() == 10


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


# Somebody else's tags.


def test_an_expired_activity_that_nobody_serves_fails_for_its_orchestration(registry: Registry) -> None:
    name = one_activity(registry, lambda_of(Gate()), total_timeout=1, tag="nowhere")
    instance = start(registry, name)
    with running(registry, tags=TagFilter.DEFAULT_ONLY):
        wait_for_status(instance, "Failed")

    assert failure(instance)["error_type"] == "TimeoutError"


def test_an_instance_blocked_for_missing_code_goes_on_when_a_worker_has_it(registry: Registry) -> None:
    instance = start(registry, "chain", 2)
    run_to_idle(Registry())
    assert status(instance) == "Blocked"

    with running(registry):
        wait_for_status(instance, "Completed")
    assert output(instance) == 4


def test_an_event_reaches_an_instance_that_is_held(registry: Registry) -> None:
    gate = Gate()
    one_activity(registry, lambda_of(gate))

    @registry.orchestration("both")
    def both(ctx, value: Any = None):
        running = ctx.schedule_activity("it")
        heard = yield ctx.wait_for_event("go")
        ctx.set_custom_status(heard)
        return (yield running)

    instance = start(registry, "both")
    with running(registry) as worker:
        gate.wait()
        instances.raise_event(instance, "go", '"heard"', now=timezone.now(), using=USING)
        wait_until(lambda: bool(Instance.objects.get(instance_id=instance).custom_status))
        gate.open.set()
        assert worker.wait_until_idle(PATIENCE)

    assert output(instance) == "through"
