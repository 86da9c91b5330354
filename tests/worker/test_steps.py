"""Local steps in a worker, on one thread and on many."""

from __future__ import annotations

import asyncio
import functools
import json
import threading
from contextvars import ContextVar
from datetime import date, timedelta
from typing import Any

import pytest

from django_durable import RetryPolicy
from django_durable.engine.errors import ActivityError, ActivityTimeout
from django_durable.models import ActivityTask
from django_durable.registry import Registry, RegistryEnvironment
from django_durable.store.instances import resume_instance
from django_durable.testing.clock import FakeClock
from django_durable.testing.replays import assert_prefix_law
from django_durable.worker.worker import Worker

from .support import (
    PATIENCE,
    blocked_reason,
    drained,
    failure,
    history,
    output,
    run_to_idle,
    running,
    start,
    tasks,
    wait_for_status,
)

who: ContextVar[str] = ContextVar("who", default="nobody")


class Shop:
    def __init__(self, name: str) -> None:
        self.name = name

    def greet(self, guest: str) -> str:
        return f"{self.name} greets {guest}"

    async def __call__(self) -> str:
        await asyncio.sleep(0)
        return self.name


def due(days: int) -> date:
    return date(2026, 1, days)


async def later(value: int) -> int:
    await asyncio.sleep(0)
    return value


async def all_kinds(ctx: Any) -> Any:
    local = 10
    shop = Shop("Poster")
    return [
        await ctx.run(lambda: local + 1),
        await ctx.run(functools.partial(pow, 2), 5),
        await ctx.run(shop.greet, guest="Ada"),
        await ctx.run(shop),
        await ctx.run(later, 7),
        await ctx.run(lambda: later(8)),
        await ctx.run(asyncio.sleep, 0, "slept"),
        (await ctx.run(due, 3)).day,
    ]


KINDS = [11, 32, "Poster greets Ada", "Poster", 7, 8, "slept", 3]


@pytest.fixture
def registry() -> Registry:
    registry = Registry()
    registry.orchestration("all_kinds")(all_kinds)
    return registry


def register(registry: Registry, function: Any, version: str = "1.0.0") -> str:
    registry.orchestration(function.__name__, version=version)(function)
    return str(function.__name__)


# On one thread.


@pytest.mark.django_db
def test_every_kind_of_callable_runs(registry: Registry) -> None:
    instance = start(registry, "all_kinds")

    drained(registry)

    assert output(instance) == KINDS
    assert_prefix_law(RegistryEnvironment(registry), history(instance))


@pytest.mark.django_db
def test_a_generator_runs_callables(registry: Registry) -> None:
    def gen(ctx: Any) -> Any:
        first = yield ctx.run(lambda: 1)
        both = yield ctx.all([ctx.run(later, first + 1), ctx.run(due, 4)])
        return [both[0]["ok"], both[1]["ok"].day]

    instance = start(registry, register(registry, gen))
    drained(registry)

    assert output(instance) == [2, 4]


@pytest.mark.django_db
def test_an_error_keeps_its_type_message_and_traceback(registry: Registry) -> None:
    def refuse() -> None:
        raise LookupError("no such order")

    async def caught(ctx: Any) -> Any:
        try:
            await ctx.run(refuse)
        except ActivityError as error:
            return [error.error_type, error.message, "in refuse" in error.traceback]

    instance = start(registry, register(registry, caught))
    drained(registry)

    assert output(instance) == ["LookupError", "no such order", True]


@pytest.mark.django_db
def test_a_failed_step_is_tried_again_by_a_worker_that_has_to_replay(registry: Registry) -> None:
    tried: list[str] = []

    async def again(ctx: Any) -> Any:
        who = "closure"

        def flaky() -> str:
            tried.append(who)
            if len(tried) < 3:
                raise ConnectionError("no answer")
            return who

        return await ctx.run(flaky).with_retry(RetryPolicy(max_attempts=3, backoff="fixed", initial=1000))

    instance = start(registry, register(registry, again))
    clock = FakeClock()
    for _ in range(3):
        drained(registry, clock).close()
        clock.advance(timedelta(seconds=1))

    assert tried == ["closure"] * 3
    assert output(instance) == "closure"


@pytest.mark.django_db
def test_a_step_sees_the_context_variables_of_its_caller(registry: Registry) -> None:
    async def told(ctx: Any) -> Any:
        who.set("me")
        return [await ctx.run(who.get), await ctx.run(lambda: asyncio.to_thread(who.get)), who.get()]

    instance = start(registry, register(registry, told))
    drained(registry)

    assert output(instance) == ["me", "me", "me"]


@pytest.mark.django_db
def test_code_that_lost_the_step_blocks_the_instance_and_runs_it_once_it_is_back() -> None:
    ran: list[str] = []

    def flaky() -> str:
        ran.append("ran")
        if len(ran) == 1:
            raise ConnectionError("no answer")
        return "done"

    def version(*, changed: bool) -> Registry:
        registry = Registry()

        @registry.orchestration("edited")
        async def edited(ctx: Any) -> Any:
            if changed:
                return await ctx.run(len, [])
            return await ctx.run(flaky).with_retry(RetryPolicy(max_attempts=2, backoff="fixed", initial=1000))

        return registry

    clock = FakeClock()
    before, after = version(changed=False), version(changed=True)
    instance = start(before, "edited")
    drained(before, clock).close()
    clock.advance(timedelta(seconds=1))

    drained(after, clock).close()

    assert blocked_reason(instance)["error_type"].endswith("NondeterminismError")
    assert "local:builtins.len" in blocked_reason(instance)["message"]
    assert ran == ["ran"]

    resume_instance(instance, now=clock.now(), using="default")
    clock.advance(timedelta(minutes=1))
    drained(before, clock).close()

    assert output(instance) == "done"


@pytest.mark.django_db
def test_a_result_that_is_no_payload_fails_the_step(registry: Registry) -> None:
    async def bad(ctx: Any) -> Any:
        return await ctx.run(lambda: object())

    instance = start(registry, register(registry, bad))
    drained(registry)

    assert "local:" in failure(instance)["message"]


# With threads.


@pytest.mark.usefixtures("durable_db")
def test_every_kind_of_callable_runs_on_threads_and_the_loop(registry: Registry) -> None:
    started = [start(registry, "all_kinds") for _ in range(5)]

    run_to_idle(registry)

    assert [output(each) for each in started] == [KINDS] * 5


@pytest.mark.usefixtures("durable_db")
def test_a_plain_function_runs_in_a_thread_and_a_coroutine_function_on_the_loop(registry: Registry) -> None:
    async def name_of_loop() -> str:
        return threading.current_thread().name

    async def names(ctx: Any) -> Any:
        return [await ctx.run(lambda: threading.current_thread().name), await ctx.run(name_of_loop)]

    instance = start(registry, register(registry, names))
    run_to_idle(registry)

    assert output(instance) == ["durable-activity", "durable-asyncio"]


@pytest.mark.usefixtures("durable_db")
@pytest.mark.parametrize("wrapped", [False, True])
def test_a_timeout_around_the_await_cancels_the_coroutine(registry: Registry, wrapped: bool) -> None:
    canceled = threading.Event()

    async def endless() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            canceled.set()

    async def limited(ctx: Any) -> Any:
        try:
            async with asyncio.timeout(0.05):
                await ctx.run((lambda: endless()) if wrapped else endless)
        except TimeoutError:
            return "late"

    instance = start(registry, register(registry, limited))
    with running(registry):
        wait_for_status(instance, "Completed")
        assert canceled.wait(PATIENCE)

    assert output(instance) == "late"
    assert not tasks(instance)


@pytest.mark.usefixtures("durable_db")
@pytest.mark.parametrize("wrapped", [False, True])
def test_a_step_ends_at_its_own_timeout(registry: Registry, wrapped: bool) -> None:
    async def endless() -> None:
        await asyncio.Event().wait()

    async def limited(ctx: Any) -> Any:
        try:
            await ctx.run((lambda: endless()) if wrapped else endless).with_timeout(50)
        except ActivityTimeout as error:
            return error.error_type

    instance = start(registry, register(registry, limited))
    run_to_idle(registry)

    assert output(instance) == "TimeoutError"


@pytest.mark.usefixtures("durable_db")
def test_the_loser_of_a_race_and_the_siblings_of_a_failed_task_are_canceled(registry: Registry) -> None:
    canceled = threading.Semaphore(0)

    async def endless() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            canceled.release()

    def refuse() -> None:
        raise LookupError("no")

    async def raced(ctx: Any) -> Any:
        won = await ctx.race(ctx.run(endless), ctx.run(later, 1))
        try:
            async with asyncio.TaskGroup() as group:

                async def wait() -> None:
                    await ctx.run(endless)

                async def fail() -> None:
                    await ctx.run(refuse)

                group.create_task(wait())
                group.create_task(fail())
        except* ActivityError:
            won["group"] = "failed"
        return won

    instance = start(registry, register(registry, raced))
    with running(registry):
        wait_for_status(instance, "Completed")
        assert canceled.acquire(timeout=PATIENCE)
        assert canceled.acquire(timeout=PATIENCE)

    assert output(instance) == {"index": 1, "value": 1, "group": "failed"}


@pytest.mark.usefixtures("durable_db")
def test_a_step_of_a_worker_that_gave_up_runs_in_another(registry: Registry) -> None:
    begun = threading.Event()
    release = threading.Event()
    runs: list[int] = []

    def slow() -> int:
        runs.append(len(runs))
        if len(runs) == 1:
            begun.set()
            release.wait(PATIENCE)
        return len(runs)

    async def waits(ctx: Any) -> Any:
        return await ctx.run(slow)

    instance = start(registry, register(registry, waits))
    first = Worker(registry)
    first.start()
    assert begun.wait(PATIENCE)
    first.stop(timeout=0)
    try:
        assert ActivityTask.objects.get().name.startswith("local:")
        assert json.loads(ActivityTask.objects.get().input) is None
        run_to_idle(registry)
        assert output(instance) == 2
    finally:
        release.set()
