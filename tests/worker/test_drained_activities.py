"""Attempts, limits, routing and transactions of activities, on one thread."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Group

from django_durable import RetryPolicy
from django_durable.engine.errors import ActivityError, ActivityTimeout
from django_durable.models import ActivityTask, Instance
from django_durable.registry import Registry
from django_durable.store.records import TagFilter
from django_durable.testing.clock import FakeClock
from django_durable.worker.worker import Worker

from .support import drained, failure, history, one_activity, output, start, status, tasks

pytestmark = pytest.mark.django_db


# Activities.


def test_a_failed_attempt_is_tried_again_by_its_policy(registry: Registry) -> None:
    attempts: list[int] = []

    def flaky(ctx) -> str:
        attempts.append(ctx.attempt)
        if ctx.attempt < 3:
            raise ConnectionError("no answer")
        return "done"

    instance = start(registry, one_activity(registry, flaky, retry=RetryPolicy(max_attempts=3, initial=1000)))
    clock = FakeClock()
    worker = drained(registry, clock)
    assert attempts == [1]
    assert [each["message"] for each in json.loads(tasks(instance)[0].failures or "[]")] == ["no answer"]

    clock.advance(timedelta(seconds=1))
    worker.drain()
    assert attempts == [1, 2]
    clock.advance(timedelta(seconds=2))
    worker.drain()

    assert attempts == [1, 2, 3]
    assert output(instance) == "done"


def test_the_error_of_the_last_attempt_reaches_the_orchestration_with_its_type(registry: Registry) -> None:
    @registry.activity("refuse", retry=RetryPolicy(max_attempts=2, backoff="none"))
    def refuse() -> None:
        raise LookupError("no such order")

    @registry.orchestration("caught")
    def caught(ctx, value: Any = None):
        try:
            yield ctx.schedule_activity("refuse")
        except ActivityError as error:
            return [error.error_type, error.message]

    instance = start(registry, "caught")
    drained(registry)

    assert output(instance) == ["LookupError", "no such order"]


@pytest.mark.parametrize("exit", [SystemExit, KeyboardInterrupt])
def test_author_code_that_exits_fails_its_activity_only(registry: Registry, exit: type[BaseException]) -> None:
    def leave() -> None:
        raise exit(3)

    instance = start(registry, one_activity(registry, leave))
    drained(registry)

    assert failure(instance)["error_type"] == exit.__name__


def test_a_result_that_cannot_be_encoded_fails_without_another_attempt(registry: Registry) -> None:
    runs: list[int] = []

    def unencodable() -> object:
        runs.append(1)
        return object()

    instance = start(registry, one_activity(registry, unencodable, retry=RetryPolicy(max_attempts=5)))
    drained(registry)

    assert failure(instance)["error_type"].endswith("PayloadError")
    assert runs == [1]


def test_an_attempt_over_its_limit_is_a_timeout_even_if_it_returned(registry: Registry) -> None:
    clock = FakeClock()

    @registry.activity("slow", timeout=timedelta(seconds=2))
    def slow() -> str:
        clock.advance(timedelta(seconds=3))
        return "too late"

    @registry.orchestration("impatient")
    def impatient(ctx, value: Any = None):
        try:
            yield ctx.schedule_activity("slow")
        except ActivityTimeout as error:
            return error.error_type

    instance = start(registry, "impatient")
    drained(registry, clock)

    assert output(instance) == "TimeoutError"


def test_an_async_activity_is_interrupted_at_its_limit(registry: Registry) -> None:
    interrupted: list[bool] = []

    async def endless() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            interrupted.append(True)

    instance = start(registry, one_activity(registry, endless, timeout=10))
    drained(registry)

    assert failure(instance)["error_type"] == "TimeoutError"
    assert interrupted == [True]


def test_the_total_time_covers_attempts_and_pauses(registry: Registry) -> None:
    clock = FakeClock()
    attempts: list[int] = []

    def failing(ctx) -> None:
        attempts.append(ctx.attempt)
        raise ValueError("again")

    policy = RetryPolicy(max_attempts=100, backoff="fixed", initial=timedelta(seconds=10))
    name = one_activity(registry, failing, retry=policy, total_timeout=timedelta(seconds=25))
    instance = start(registry, name)
    worker = drained(registry, clock)
    for _ in range(5):
        clock.advance(timedelta(seconds=10))
        worker.drain()

    assert attempts == [1, 2, 3]
    assert failure(instance)["error_type"] == "ValueError"
    assert history(instance)[2].fact.timed_out  # type: ignore[attr-defined]


def test_an_activity_delivered_too_often_is_poisoned_and_the_orchestration_can_catch_it(registry: Registry) -> None:
    @registry.activity("killer")
    def killer() -> str:
        return "survived"

    @registry.orchestration("careful")
    def careful(ctx, value: Any = None):
        try:
            return (yield ctx.schedule_activity("killer").with_tag("risky"))
        except ActivityError as error:
            return error.error_type

    instance = start(registry, "careful")
    drained(registry)
    ActivityTask.objects.update(deliveries=10)
    drained(registry, tags=TagFilter.tags(["risky"]))

    assert output(instance) == "Poisoned"


def test_an_activity_that_is_not_registered_here_is_left_for_later_and_not_counted(registry: Registry) -> None:
    other = Registry()
    other.activity("it")(run)
    other.orchestration("one")(calls_it)
    registry.orchestration("one")(calls_it)
    clock = FakeClock()
    instance = start(other, "one")

    drained(other, clock, tags=TagFilter.NONE)
    drained(registry, clock)
    assert (tasks(instance)[0].deliveries, tasks(instance)[0].lease_owner) == (0, None)
    clock.advance(timedelta(seconds=2))
    drained(other, clock)

    assert output(instance) == "ran"


def run() -> str:
    return "ran"


def calls_it(ctx, value: Any = None):
    return (yield ctx.schedule_activity("it"))


def test_the_context_says_who_runs_for_whom(registry: Registry) -> None:
    seen: dict[str, Any] = {}

    @registry.activity("look", tag="here")
    def look(ctx) -> None:
        names = ("instance_id", "execution_id", "orchestration_name", "orchestration_version", "activity_name")
        names += ("attempt", "worker_id", "session_id", "tag", "idempotency_key")
        seen.update({name: getattr(ctx, name) for name in names})
        ctx.logger.info("hello")
        ctx.trace_info("hello")
        assert not ctx.is_cancelled()

    @registry.orchestration("looking", version="2.0.0")
    def looking(ctx, value: Any = None):
        yield ctx.schedule_activity_on_session("look", None, "s-1")

    instance = start(registry, "looking", instance_id="order-7")
    drained(registry, worker_id="w-1", tags=TagFilter.ANY)

    assert output(instance) is None
    key = seen.pop("idempotency_key")
    assert key.startswith(f"{Instance.objects.get().id}-1-2-")
    assert seen == {
        "instance_id": "order-7",
        "execution_id": 1,
        "orchestration_name": "looking",
        "orchestration_version": "2.0.0",
        "activity_name": "look",
        "attempt": 1,
        "worker_id": "w-1",
        "session_id": "s-1",
        "tag": "here",
    }


def test_tags_decide_which_worker_runs_an_activity(registry: Registry) -> None:
    @registry.orchestration("tagged")
    def tagged(ctx, value: Any = None):
        return (yield ctx.schedule_activity("double", 4).with_tag("gpu"))

    instance = start(registry, "tagged")
    drained(registry)
    drained(registry, tags=TagFilter.tags(["cpu"]))
    assert status(instance) == "Running"

    drained(registry, tags=TagFilter.default_and(["gpu"]))
    assert output(instance) == 8


def test_the_value_of_another_instance_is_read_when_the_activity_runs(registry: Registry) -> None:
    @registry.orchestration("writer")
    def writer(ctx, value: Any = None):
        ctx.set_kv_value("price", {"euro": 7})

    @registry.orchestration("reader")
    def reader(ctx, other: str):
        found = yield ctx.all(
            [
                ctx.get_kv_value_from_instance(other, "price"),
                ctx.get_kv_value_from_instance(other, "weight"),
                ctx.get_kv_value_from_instance("nobody", "price"),
            ]
        )
        return found

    writing = start(registry, "writer")
    drained(registry)
    reading = start(registry, "reader", writing)
    drained(registry)

    assert output(reading) == [{"ok": {"euro": 7}}, {"ok": None}, {"ok": None}]


# Atomic activities.


def test_an_atomic_activity_commits_with_its_completion(registry: Registry) -> None:
    @registry.activity("enter", atomic=True)
    def enter(name: str) -> int:
        return Group.objects.create(name=name).pk

    @registry.orchestration("entering")
    def entering(ctx, name: str):
        return (yield ctx.schedule_activity("enter", name))

    instance = start(registry, "entering", "editors")
    drained(registry)

    assert output(instance) == Group.objects.get(name="editors").pk


def test_an_atomic_activity_that_fails_leaves_nothing(registry: Registry) -> None:
    def enter(ctx) -> str:
        Group.objects.create(name=f"attempt {ctx.attempt}")
        if ctx.attempt == 1:
            raise ValueError("not yet")
        return "entered"

    policy = RetryPolicy(max_attempts=2, backoff="none")
    instance = start(registry, one_activity(registry, enter, atomic=True, retry=policy))
    drained(registry)

    assert output(instance) == "entered"
    assert [group.name for group in Group.objects.all()] == ["attempt 2"]


def test_an_atomic_activity_whose_lease_was_lost_rolls_back(registry: Registry) -> None:
    def enter() -> str:
        Group.objects.create(name="doubled")
        ActivityTask.objects.update(lease_token=99)
        return "entered"

    instance = start(registry, one_activity(registry, enter, atomic=True))
    worker = drained(registry)

    assert not Group.objects.exists()
    assert status(instance) == "Running"
    assert worker.metrics_snapshot()["activities_dropped"] == 1


def test_an_atomic_activity_whose_task_is_gone_is_not_run(registry: Registry) -> None:
    runs: list[int] = []

    def enter() -> None:
        runs.append(1)

    name = one_activity(registry, enter, atomic=True)
    start(registry, name)
    worker = Worker(registry)
    # One round commits the schedule; the attempt is run by the next.
    with pytest.raises(Exception, match="still something to do"):
        worker.drain(rounds=1)
    ActivityTask.objects.all().delete()
    worker.drain()

    assert runs == []
