"""A worker with its threads, on a database that commits."""

from __future__ import annotations

import asyncio
import threading
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.utils import timezone

from django_durable import RetryPolicy
from django_durable.models import ActivityTask, Instance
from django_durable.registry import Registry
from django_durable.store import endings, instances
from django_durable.store.records import TagFilter

from .support import (
    PATIENCE,
    USING,
    Gate,
    failure,
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
    wait_until,
)

pytestmark = pytest.mark.usefixtures("durable_db")


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
    one_activity(registry, gate.function())

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


# Somebody else's tags.


def test_an_expired_activity_that_nobody_serves_fails_for_its_orchestration(registry: Registry) -> None:
    name = one_activity(registry, Gate().function(), total_timeout=1, tag="nowhere")
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
    one_activity(registry, gate.function())

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
