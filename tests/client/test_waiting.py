"""Waits: they end when what they wait for is there, at their time at the latest, and never hang."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import connection, transaction

from django_durable.client import waits
from django_durable.engine.errors import (
    InstanceNotFound,
    InvalidArgument,
    OrchestrationFailed,
    WaitInsideTransaction,
    WaitTimeout,
)
from django_durable.store import keyvalues, queries, wakeups
from django_durable.testing import Durable

from .orders import Receipt, registry

MOMENT = timedelta(milliseconds=1)
LONG = timedelta(seconds=20)


@pytest.fixture
def run(durable_db) -> Iterator[Callable[[], None]]:
    """Runs everything that is due, and commits it."""
    harness = Durable(registry)
    yield harness.run
    harness.close()


@contextmanager
def after_the_first_look(monkeypatch, action: Callable[[], object]) -> Iterator[None]:
    """Do something on another thread once a wait has looked and found nothing. Its error is raised here."""
    errors: list[BaseException] = []
    looked = threading.Event()
    read = queries.status_of
    read_entry = keyvalues.key_value_of

    def noticed(original):
        def reading(*args, **kwargs):
            found = original(*args, **kwargs)
            if threading.current_thread() is not thread:
                looked.set()
            return found

        return reading

    def work() -> None:
        try:
            looked.wait()
            action()
        except Exception as error:
            errors.append(error)
        finally:
            connection.close()

    thread = threading.Thread(target=work)
    monkeypatch.setattr(queries, "status_of", noticed(read))
    monkeypatch.setattr(keyvalues, "key_value_of", noticed(read_entry))
    thread.start()
    try:
        yield
    finally:
        looked.set()
        thread.join()
        for error in errors:
            raise error


def started(client) -> str:
    client.start_orchestration("order-7", "orders.waits")
    return "order-7"


# What ends a wait.


def test_a_wait_returns_at_once_what_is_there(client, run, django_assert_num_queries):
    client.start_orchestration("order-7", "orders.checkout", 7)
    run()
    with django_assert_num_queries(1):
        assert client.wait_for_orchestration("order-7", LONG).output == Receipt(7, Decimal("9.90"))
    assert client.wait_for_output("order-7", 0) == Receipt(7, Decimal("9.90"))


def test_a_wait_ends_when_the_instance_does(client, run, monkeypatch):
    client.start_orchestration("order-7", "orders.checkout", 7)
    with after_the_first_look(monkeypatch, run):
        assert client.wait_for_orchestration("order-7", LONG).finished


def test_a_wait_for_an_output_raises_why_there_is_none(client, run, monkeypatch):
    client.start_orchestration("order-7", "orders.fails")
    with after_the_first_look(monkeypatch, run), pytest.raises(OrchestrationFailed, match="broken on purpose"):
        client.wait_for_output("order-7", LONG)


def test_a_wait_for_the_status_to_change_returns_when_its_version_moves_on(client, run, monkeypatch):
    key = started(client)
    with after_the_first_look(monkeypatch, run):
        status = client.wait_for_status_change(key, 0, LONG)
    assert (status.custom_status, status.custom_status_version) == ("waiting", 1)
    assert client.wait_for_status_change(key, 0, LONG).custom_status_version == 1


def test_a_wait_for_the_status_to_change_returns_when_the_instance_ends(client, run, monkeypatch):
    key = started(client)
    run()
    with after_the_first_look(monkeypatch, lambda: client.terminate_instance(key)):
        assert client.wait_for_status_change(key, 1, LONG).runtime_status == "Terminated"


def test_a_wait_for_a_kv_value_returns_when_it_is_written(client, run, monkeypatch):
    key = started(client)
    with after_the_first_look(monkeypatch, run):
        assert client.wait_for_kv_value(key, "state", LONG) == {"step": 1}
    client.raise_event(key, "go")
    with after_the_first_look(monkeypatch, run):
        assert client.wait_for_kv_value_typed(key, "receipt", Receipt, LONG) == Receipt(7, Decimal("1.50"))


def test_a_wait_for_a_kv_value_gives_up_when_the_instance_has_ended_without(client, run, monkeypatch):
    key = started(client)
    with (
        after_the_first_look(monkeypatch, lambda: client.terminate_instance(key)),
        pytest.raises(WaitTimeout, match="no KV value 'receipt'; it is Terminated"),
    ):
        client.wait_for_kv_value(key, "receipt", LONG)


def test_a_wait_ends_when_its_instance_is_deleted(client, run, monkeypatch):
    key = started(client)
    delete = lambda: client.delete_instance(key, force=True)  # noqa: E731
    with after_the_first_look(monkeypatch, delete), pytest.raises(InstanceNotFound):
        client.wait_for_orchestration(key, LONG)


def test_continue_as_new_does_not_end_a_wait(client, run):
    from tests.conformance.activities import registry as other
    from tests.conformance.orchestrations import PAIRS

    harness = Durable(other)
    harness.client.start_definition(PAIRS["continue_as_new"]["gen"], (), {"left": 2}, instance_id="again")
    harness.client.raise_event("again", "kept", 1)
    harness.client.enqueue_event("again", "kept", 2)
    harness.run()
    status = harness.client.wait_for_orchestration("again", MOMENT)
    harness.close()
    assert (status.execution_number, status.output[0]) == (3, 3)


# Time.


@pytest.mark.parametrize("timeout", [0, 1, MOMENT])
def test_a_wait_that_is_over_raises_where_the_instance_is_or_returns_none(client, run, timeout):
    key = started(client)
    with pytest.raises(WaitTimeout, match="Instance 'order-7' has not ended; it is Pending"):
        client.wait_for_orchestration(key, timeout)
    with pytest.raises(WaitTimeout):
        client.wait_for_output(key, timeout)
    with pytest.raises(WaitTimeout, match="no KV value 'state'; it is Pending"):
        client.wait_for_kv_value(key, "state", timeout)
    assert client.wait_for_status_change(key, 0, timeout) is None


def test_a_wait_for_a_blocked_instance_says_why_it_does_not_end(client, durable_db):
    key = started(client)
    from django_durable import Registry

    harness = Durable(Registry())
    harness.run()
    harness.close()
    with pytest.raises(WaitTimeout, match=r"it is Blocked \(.*NotRegistered"):
        client.wait_for_orchestration(key, MOMENT)


@pytest.mark.parametrize("timeout", [-1, 1.5, "1", None, True, timedelta(hours=2)])
def test_a_timeout_that_cannot_be_is_refused(client, db, timeout):
    with pytest.raises(InvalidArgument, match="timeout"):
        client.wait_for_orchestration("order-7", timeout)


def test_a_wait_for_an_unknown_instance_raises_at_once(client, db):
    with pytest.raises(InstanceNotFound):
        client.wait_for_orchestration("nobody", LONG)


# Transactions.


def test_a_wait_inside_a_transaction_is_refused_unless_the_answer_is_there(client, run):
    key = started(client)
    with transaction.atomic():
        for wait in (client.wait_for_orchestration, client.wait_for_output):
            with pytest.raises(WaitInsideTransaction, match="Wait after the block"):
                wait(key, LONG)
        with pytest.raises(WaitInsideTransaction):
            client.wait_for_kv_value(key, "state", LONG)
        with pytest.raises(WaitInsideTransaction):
            client.wait_for_status_change(key, 0, LONG)
        with pytest.raises(WaitTimeout):
            client.wait_for_orchestration(key, 0)
    run()
    with transaction.atomic():
        assert client.wait_for_kv_value(key, "state", LONG) == {"step": 1}


# Without hints, and with too many.


def test_a_wait_ends_without_any_hint(client, run, monkeypatch):
    client.start_orchestration("order-7", "orders.checkout", 7)
    monkeypatch.setattr(wakeups.Hub, "gives_hints", property(lambda hub: False))
    with after_the_first_look(monkeypatch, run):
        assert client.wait_for_orchestration("order-7", LONG).finished


def test_a_wait_ends_by_a_hint_alone(client, run, monkeypatch):
    client.start_orchestration("order-7", "orders.checkout", 7)
    subscribed = threading.Event()

    def pauses(wait, started, hinted):
        assert hinted
        subscribed.set()
        while True:
            yield 100.0

    def work() -> None:
        subscribed.wait()
        run()

    monkeypatch.setattr(waits.Wait, "_pauses", pauses)
    with after_the_first_look(monkeypatch, work):
        assert client.wait_for_orchestration("order-7", LONG).finished


def test_a_wait_asks_for_hints_after_its_first_look_and_lets_them_go_at_its_end(client, run, monkeypatch):
    key = started(client)
    hub = wakeups.Hub.of("default", wakeups.CHANGES)
    seen = []
    look = waits.Wait._look

    def looks(wait):
        seen.append(len(hub._subscriptions))
        if len(seen) == 2:
            raise StopAsyncIteration  # Which nothing here raises.
        return look(wait)

    monkeypatch.setattr(waits.Wait, "_look", looks)
    with pytest.raises(StopAsyncIteration):
        client.wait_for_orchestration(key, 60_000)
    assert (seen, hub._subscriptions) == ([0, 1], ())


def test_a_wait_in_a_process_that_listens_already_looks_once(client, run, monkeypatch):
    key = started(client)
    hub = wakeups.Hub.of("default", wakeups.CHANGES)
    seen = []
    look = waits.Wait._look

    def looks(wait):
        seen.append(len(hub._subscriptions))
        return look(wait)

    def pauses(wait, *args):
        yield from ()

    monkeypatch.setattr(waits.Wait, "_look", looks)
    monkeypatch.setattr(waits.Wait, "_pauses", pauses)
    others = hub.subscribe(lambda hint: None)
    try:
        with pytest.raises(WaitTimeout):
            client.wait_for_orchestration(key, 60_000)
    finally:
        others.close()
    assert seen == [2]


def test_a_hint_about_other_instances_wakes_nobody(client, run, monkeypatch):
    key = started(client)
    callbacks = []
    monkeypatch.setattr(
        wakeups.Hub,
        "subscribe",
        lambda hub, callback: callbacks.append(callback) or wakeups.Subscription(hub, callback),
    )
    wait = client.wait_for_orchestration._plan_of_wait(client, key, MOMENT)
    rung = []
    wait._look()
    with wait._hints(lambda: rung.append(1)):
        callbacks[0](wakeups.Hint(instances=frozenset({wait._seen.id + 1})))
        assert rung == []
        callbacks[0](wakeups.Hint(instances=frozenset({wait._seen.id})))
        callbacks[0](wakeups.Hint(instances=None))
    assert rung == [1, 1]


# Async.


def test_async_waits_end_like_the_others(client, run, monkeypatch):
    key = started(client)

    async def wait() -> None:
        with pytest.raises(WaitTimeout):
            await client.await_for_orchestration(key, MOMENT)
        assert await client.await_for_status_change(key, 0, MOMENT) is None
        with after_the_first_look(monkeypatch, run):
            assert await client.await_for_kv_value(key, "state", LONG) == {"step": 1}
        assert (await client.await_for_status_change(key, 0, LONG)).custom_status == "waiting"
        with pytest.raises(InstanceNotFound):
            await client.await_for_output("nobody", LONG)

    _in_a_loop(wait)


def test_an_async_wait_holds_no_thread_while_it_waits(client, run, monkeypatch):
    keys = [f"order-{number}" for number in range(50)]
    for key in keys:
        client.start_orchestration(key, "orders.checkout", 7)

    async def wait() -> list[bool]:
        before = threading.active_count()
        tasks = [asyncio.create_task(client.await_for_orchestration(key, LONG)) for key in keys]
        with after_the_first_look(monkeypatch, run):
            found = [each.finished for each in await asyncio.gather(*tasks)]
            # The hub, the worker of this test, and the thread that serves database calls of async code.
            assert threading.active_count() <= before + 4
        return found

    assert all(_in_a_loop(wait))


def test_an_async_wait_can_be_canceled(client, run, monkeypatch):
    key = started(client)

    async def wait() -> None:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(client.await_for_orchestration(key, LONG), 0.01)

    _in_a_loop(wait)
    assert not wakeups.Hub.of("default")._subscriptions


def _in_a_loop(function):
    """Run a coroutine function to its end on a thread of its own, and close what connections it opened."""
    result = []

    async def run() -> None:
        from asgiref.sync import sync_to_async

        result.append(await function())
        await sync_to_async(lambda: connection.close())()

    thread_error = []

    def main() -> None:
        try:
            asyncio.run(run())
        except BaseException as error:
            thread_error.append(error)

    thread = threading.Thread(target=main)
    thread.start()
    thread.join()
    if thread_error:
        raise thread_error[0]
    return result[0]
