"""The tail: one reader however many listen, none where nobody does, and going on whatever fails."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from asgiref.sync import sync_to_async
from django.db import DatabaseError, connection

from django_durable.live import tail as tails
from django_durable.live.tail import Tail
from django_durable.store import changes

from .support import PATIENCE, scenario
from .test_listening import start, step

TABLE = '"django_durable_instance"'


class Queries:
    """Counts the statements on instances, on whatever thread they run."""

    def __init__(self) -> None:
        self.statements: list[str] = []

    def __call__(self, execute, sql, params, many, context):
        self.statements.append(sql)
        return execute(sql, params, many, context)

    @property
    def looks(self) -> int:
        return sum("seen.instance_id" in each for each in self.statements)


@asynccontextmanager
async def counted() -> AsyncIterator[Queries]:
    """Count what the thread of the database is asked."""
    queries = Queries()
    await sync_to_async(lambda: connection.execute_wrappers.append(queries))()
    try:
        yield queries
    finally:
        await sync_to_async(lambda: connection.execute_wrappers.remove(queries))()


def until_no_hints() -> None:
    for each in threading.enumerate():
        if each.name.startswith("durable-hints"):
            each.join(PATIENCE)
            assert not each.is_alive()


@scenario
async def test_many_listeners_of_one_instance_cost_one_query(durable, boss, ear_of) -> None:
    await start(durable, "order-7", "orders.counts", 9)
    ears = [ear_of(boss) for _ in range(20)]
    async with counted() as queries:
        for ear in ears:
            ear.subscribe("order-7")
        for ear in ears:
            await ear.until_type("snapshot")
        first = queries.looks
        await step(durable, "order-7")
        for ear in ears:
            await ear.until_type("status")

    assert 1 <= first <= 3, "one for all, and one or two when the hints begin"
    assert first < queries.looks <= first + 3, "one per round, and there may have been two or three rounds"


@scenario
async def test_many_instances_cost_one_query(durable, boss, ear_of, monkeypatch) -> None:
    monkeypatch.setattr(tails, "INSTANCES_AT_ONCE", 20)
    ear = ear_of(boss)
    for number in range(30):
        await start(durable, f"order-{number}", "orders.counts", 1)
    async with counted() as queries:
        for number in range(30):
            ear.subscribe(f"order-{number}")
        for number in range(30):
            await ear.until(lambda message, n=number: message["instance_id"] == f"order-{n}")

    assert 2 <= queries.looks <= 8, "two for the thirty, which are more than one query takes"


@scenario
async def test_nobody_who_listens_costs_nothing(durable, boss, ear_of) -> None:
    await start(durable, "order-7", "orders.counts", 1)
    first, second = ear_of(boss), ear_of(boss)
    for ear in (first, second):
        ear.subscribe("order-7")
        await ear.until_type("snapshot")
    tail = Tail.of()
    task = tail._task
    first.close()
    assert tail._task is task
    second.close()
    second.close()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert (tail._task, tail._watched, tail._ids, tail._reading) == (None, {}, {}, {})
    await asyncio.to_thread(until_no_hints)


@scenario
async def test_who_comes_after_the_last_has_gone_is_told_as_the_first_was(durable, boss, ear_of) -> None:
    await start(durable, "order-7", "orders.counts", 1)
    for _ in range(3):
        ear = ear_of(boss)
        ear.subscribe("order-7")
        await ear.until_type("snapshot")
        ear.close()


@scenario
async def test_a_database_that_fails_for_a_while_is_waited_for(durable, boss, ear_of, monkeypatch) -> None:
    monkeypatch.setattr(tails, "BACKOFF_SECONDS", (0.01,))
    await start(durable, "order-7", "orders.counts", 2)
    ear = ear_of(boss)
    ear.subscribe("order-7")
    await ear.until_type("snapshot")
    read, failures = changes.changed_instances, []

    def fail_twice(*args, **kwargs):
        if len(failures) < 2:
            failures.append(args)
            raise DatabaseError("the connection is lost")
        return read(*args, **kwargs)

    monkeypatch.setattr(changes, "changed_instances", fail_twice)
    late = ear_of(boss)
    late.subscribe("order-7")
    await step(durable, "order-7")

    assert (await ear.until_type("status"))["custom_status"]["count"] == 1
    assert (await late.until_type("snapshot"))["custom_status"]["count"] == 1
    assert len(failures) == 2


@scenario
async def test_a_tail_that_ends_by_a_mistake_ends_its_listeners_and_the_next_has_a_new_one(
    durable, boss, ear_of, monkeypatch
) -> None:
    await start(durable, "order-7", "orders.counts", 2)
    with monkeypatch.context() as patch:
        patch.setattr(changes, "changed_instances", lambda *args, **kwargs: 1 / 0)
        ear = ear_of(boss)
        ear.subscribe("order-7")
        with pytest.raises(ZeroDivisionError):
            await ear.hear()
    again = ear_of(boss)
    again.subscribe("order-7")

    assert (await again.until_type("snapshot"))["instance_id"] == "order-7"


@pytest.mark.only_on("postgresql")
@scenario
async def test_changes_arrive_after_the_connection_of_the_hints_was_cut(durable, boss, ear_of) -> None:
    await start(durable, "order-7", "orders.counts", 9)
    ear = ear_of(boss)
    ear.subscribe("order-7")
    await ear.until_type("snapshot")

    def cut() -> int:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity "
                "WHERE application_name = 'django_durable hints' AND datname = current_database()"
            )
            return cursor.fetchone()[0]

    while not await sync_to_async(cut)():
        await asyncio.to_thread(threading.Event().wait, 0.01)
    for count in (1, 2):
        await step(durable, "order-7")
        await ear.until(lambda message, n=count: message["custom_status"]["count"] == n)


@scenario
async def test_without_hints_changes_arrive_by_polling(durable, boss, ear_of, monkeypatch) -> None:
    from django_durable.store.wakeups import Hub

    monkeypatch.setattr(Hub, "gives_hints", property(lambda hub: False))
    await start(durable, "order-7", "orders.counts", 9)
    ear = ear_of(boss)
    ear.subscribe("order-7")
    await ear.until_type("snapshot")
    await step(durable, "order-7")

    assert (await ear.until_type("status"))["custom_status"]["count"] == 1
