"""Generators in a worker with its threads: what they cost, how they end, who may write."""

from __future__ import annotations

import asyncio
import operator
import threading
import time
from collections.abc import AsyncGenerator, Iterator
from datetime import timedelta
from typing import Annotated, Any

import pytest
from django.db import OperationalError, transaction

from django_durable import Reducer, RetryPolicy
from django_durable.client import client
from django_durable.models import ActivityTask, HistoryEvent, Stream, StreamItem
from django_durable.registry import Registry
from django_durable.store import streams
from django_durable.testing.clock import FakeClock
from django_durable.worker import partials

from .support import (
    PATIENCE,
    drained,
    failure,
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

Total = Annotated[int, Reducer(operator.add)]
AGAIN = RetryPolicy(max_attempts=2, backoff="none")


def counting(registry: Registry, generator: Any, **options: Any) -> str:
    """Register a generator `it`, and an orchestration that returns its result; return the orchestration's name."""
    registry.activity("it", **options)(generator)

    @registry.orchestration("one")
    def one(ctx, value: Any = None):
        return (yield ctx.schedule_activity("it", 0))

    return "one"


def stored(instance: str) -> int:
    return StreamItem.objects.filter(instance__instance_id=instance, closes=False).count()


@pytest.fixture
def appends(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many partial results each transaction has stored."""
    found: list[int] = []
    append = streams.append_from_activity

    def counted(key: Any, token: int, name: str, payloads: Any, **options: Any) -> int:
        found.append(len(payloads))
        return append(key, token, name, payloads, **options)

    monkeypatch.setattr(partials.streams, "append_from_activity", counted)
    return found


def test_what_a_generator_costs_follows_from_its_time_and_not_from_how_often_it_yields(
    registry: Registry, appends: list[int]
) -> None:
    def it(total: Total) -> Iterator[int]:
        for _ in range(5000):
            yield 1

    async def it_async(total: Total) -> AsyncGenerator[int, int]:
        for _ in range(5000):
            yield 1

    started = time.monotonic()
    instances = [start(registry, counting(registry, it))]
    run_to_idle(registry)
    other = Registry()
    instances.append(start(other, counting(other, it_async)))
    run_to_idle(other)
    seconds = time.monotonic() - started

    assert [output(each) for each in instances] == [5000, 5000]
    assert sum(appends) == 10_000
    assert max(appends) <= partials.MOST_WAITING
    assert len(appends) <= 2 * 5000 / partials.MOST_WAITING + seconds / partials.PAUSE_SECONDS + 4
    assert not HistoryEvent.objects.filter(kind__in=["StreamItemSent", "StreamItemsReceived"]).exists()


def test_a_partial_result_is_stored_while_the_generator_thinks(registry: Registry) -> None:
    go = threading.Event()

    def it(total: Total) -> Iterator[int]:
        yield 1
        assert go.wait(PATIENCE)
        yield 2

    instance = start(registry, counting(registry, it))
    with running(registry):
        wait_until(lambda: stored(instance) == 1)
        go.set()
        wait_for_status(instance, "Completed")
    assert output(instance) == 3


def test_a_generator_may_yield_from_lists_and_from_other_generators(registry: Registry) -> None:
    def helper() -> Any:
        yield from range(3)
        return (yield 10)

    def it(total: Total) -> Any:
        yield from [1, 2]
        total = yield from helper()
        yield total

    instance = start(registry, counting(registry, it))
    run_to_idle(registry)
    assert output(instance) == 2 * (1 + 2 + 0 + 1 + 2 + 10)


@pytest.mark.parametrize("is_async", [False, True])
def test_a_generator_that_is_called_off_is_closed_and_writes_nothing_more(registry: Registry, is_async: bool) -> None:
    closed = threading.Event()

    def it(total: Total) -> Iterator[int]:
        try:
            while True:
                yield 1
                time.sleep(0.01)
        finally:
            closed.set()

    async def it_async(total: Total) -> AsyncGenerator[int, int]:
        try:
            yield 1
            await asyncio.sleep(60)
        finally:
            closed.set()

    instance = start(registry, counting(registry, it_async if is_async else it))
    with running(registry):
        wait_until(lambda: stored(instance) > 0)
        client.cancel_instance(instance)
        wait_for_status(instance, "Canceled")
        assert closed.wait(PATIENCE)
        count = stored(instance)
    assert stored(instance) == count
    assert Stream.objects.get().closed_at is not None


@pytest.mark.parametrize("is_async", [False, True])
def test_an_attempt_that_runs_out_of_time_is_closed_and_the_next_goes_on(registry: Registry, is_async: bool) -> None:
    closed = threading.Semaphore(0)

    def it(total: Total) -> Iterator[int]:
        try:
            if total < 3:
                for _ in range(3):
                    yield 1
                while True:
                    time.sleep(0.01)
                    yield 0
            yield 10
        finally:
            closed.release()

    async def it_async(total: Total) -> AsyncGenerator[int, int]:
        try:
            if total < 3:
                for _ in range(3):
                    yield 1
                await asyncio.sleep(60)
            yield 10
        finally:
            closed.release()

    name = counting(registry, it_async if is_async else it, timeout=timedelta(milliseconds=400), retry=AGAIN)
    instance = start(registry, name)
    with running(registry):
        wait_for_status(instance, "Completed")
    assert output(instance) == 13
    assert closed.acquire(timeout=PATIENCE)
    assert closed.acquire(timeout=PATIENCE)


def test_a_generator_that_never_ends_in_time_fails_as_timed_out(registry: Registry) -> None:
    async def it(total: Total) -> AsyncGenerator[int, int]:
        yield 1
        await asyncio.sleep(60)

    instance = start(registry, counting(registry, it, timeout=timedelta(milliseconds=100)))
    with running(registry):
        wait_for_status(instance, "Failed")
    assert failure(instance)["error_type"] == "TimeoutError"
    assert stored(instance) == 1


def test_who_has_lost_the_lease_stores_nothing_and_is_stopped(registry: Registry) -> None:
    closed, go = threading.Event(), threading.Event()

    def it(total: Total) -> Iterator[int]:
        try:
            yield 1
            assert go.wait(PATIENCE)
            while True:
                yield 100
                time.sleep(0.01)
        finally:
            closed.set()

    instance = start(registry, counting(registry, it))
    with running(registry, lease=timedelta(seconds=5)):
        wait_until(lambda: stored(instance) == 1)
        ActivityTask.objects.update(lease_token=99, lease_owner="another")
        go.set()
        assert closed.wait(PATIENCE)
    assert stored(instance) == 1
    assert status(instance) == "Running"


def test_a_worker_that_stops_stores_what_was_yielded_and_the_next_goes_on(registry: Registry) -> None:
    seen: list[int] = []
    yielded = threading.Event()

    async def it(total: Total) -> AsyncGenerator[int, int]:
        seen.append(total)
        if not total:
            for _ in range(7):
                yield 1
            yielded.set()
            await asyncio.sleep(60)
        yield 10

    instance = start(registry, counting(registry, it))
    with running(registry, shutdown_timeout=timedelta(0)):
        assert yielded.wait(PATIENCE)
        wait_until(lambda: stored(instance) == 7)
    run_to_idle(registry)
    assert output(instance) == 17
    assert seen == [0, 7]


def test_a_database_that_fails_for_a_while_loses_no_partial_result(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    failures, append, called = [OperationalError("gone")] * 3, streams.append_from_activity, []

    def failing(*args: Any, **options: Any) -> int:
        if failures:
            raise failures.pop()
        return append(*args, **options)

    async def it(total: Total) -> AsyncGenerator[int, int]:
        called.append(total)
        for _ in range(total, 20):
            yield 1
            await asyncio.sleep(0.02)

    monkeypatch.setattr(partials.streams, "append_from_activity", failing)
    instance = start(registry, counting(registry, it))
    counts = run_to_idle(registry)
    assert output(instance) == 20
    assert stored(instance) == 20
    assert (called, counts["database_errors"]) == ([0], 3)


def test_where_the_last_partial_results_cannot_be_stored_the_attempt_does_not_count(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    failures, append = [OperationalError("gone")] * 2, streams.append_from_activity

    def failing(*args: Any, **options: Any) -> int:
        if failures:
            raise failures.pop()
        return append(*args, **options)

    def it(ctx: Any, total: Total) -> Iterator[int]:
        assert ctx.attempt == 1
        yield 1

    monkeypatch.setattr(partials.streams, "append_from_activity", failing)
    clock = FakeClock()
    instance = start(registry, counting(registry, it))
    worker = drained(registry, clock)
    assert (tasks(instance)[0].attempt, stored(instance)) == (1, 0)
    clock.advance(timedelta(minutes=1))
    worker.drain()
    assert output(instance) == 1


def test_an_error_nobody_expects_is_the_attempts_and_ends_the_worker(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both: the attempt, so that what fails each time is tried as often as its policy says; the worker, as any bug."""
    attempts: list[int] = []
    ended, append = threading.Event(), streams.append_from_activity
    monkeypatch.setattr(threading, "excepthook", lambda args: ended.set())

    def failing(*args: Any, **options: Any) -> int:
        if not ended.is_set():
            raise KeyError("a bug")
        return append(*args, **options)

    def it(ctx: Any, total: Total) -> Iterator[int]:
        attempts.append(ctx.attempt)
        for _ in range(total, 5000):
            yield 1
        assert ended.wait(PATIENCE)
        yield 0

    monkeypatch.setattr(partials.streams, "append_from_activity", failing)
    instance = start(registry, counting(registry, it, retry=AGAIN))
    with running(registry) as worker:
        assert ended.wait(PATIENCE)
        assert not worker.running
    run_to_idle(registry)
    assert (output(instance), set(attempts)) == (5000, {1, 2})  # The second one may be handed back and called again.


def test_a_stream_that_is_locked_holds_up_no_other(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    append, failed = streams.append_from_activity, []

    def failing(key: Any, *args: Any, **options: Any) -> int:
        failed.append(key)
        if key == failed[0] and len(set(failed)) < 2:
            raise OperationalError("lock timeout")
        return append(key, *args, **options)

    def it(total: Total) -> Iterator[int]:
        yield 1
        wait_until(lambda: StreamItem.objects.exists())
        yield 1

    monkeypatch.setattr(partials.streams, "append_from_activity", failing)
    name = counting(registry, it)
    instances = [start(registry, name), start(registry, name)]
    run_to_idle(registry)
    assert [output(each) for each in instances] == [2, 2]


@pytest.mark.parametrize("is_async", [False, True])
def test_a_generator_that_waits_for_room_runs_out_of_time(
    registry: Registry, monkeypatch: pytest.MonkeyPatch, is_async: bool
) -> None:
    def failing(*args: Any, **options: Any) -> int:
        raise OperationalError("gone")

    def it(total: Total) -> Iterator[int]:
        while True:
            yield 1

    async def it_async(total: Total) -> AsyncGenerator[int, int]:
        while True:
            yield 1

    monkeypatch.setattr(partials.streams, "append_from_activity", failing)
    function = it_async if is_async else it
    instance = start(registry, counting(registry, function, timeout=timedelta(milliseconds=300)))
    with running(registry):
        wait_for_status(instance, "Failed")
    assert failure(instance)["error_type"] == "TimeoutError"


def test_a_yield_inside_a_transaction_is_refused(registry: Registry) -> None:
    def it(total: Total) -> Iterator[int]:
        with transaction.atomic():
            yield 1

    instance = start(registry, counting(registry, it))
    run_to_idle(registry)
    assert "yielded inside transaction.atomic()" in failure(instance)["message"]
    assert stored(instance) == 0
