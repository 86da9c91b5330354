"""Hints: they come after the commit, to every subscriber, also after the connection was lost."""

from __future__ import annotations

import os
import threading
import warnings

import pytest
from django.db import connection, connections, transaction
from django.test.utils import CaptureQueriesContext

from django_durable.engine.events import CustomStatusUpdated
from django_durable.store import wakeups
from django_durable.store.transactions import write_transaction
from django_durable.store.wakeups import Hint, Hub

from .lives import USING, start
from .turn_rows import claim_all, committed, fresh, made, task

pytestmark = pytest.mark.usefixtures("durable_db")
PATIENCE = 30.0


class Listener:
    """Subscribes, and waits for hints instead of sleeping."""

    def __init__(self):
        self.hints = []
        self._changed = threading.Condition()
        self._subscription = Hub.of(USING).subscribe(self._note)

    def _note(self, hint):
        with self._changed:
            self.hints.append(hint)
            self._changed.notify_all()

    def wait_for(self, condition):
        with self._changed:
            assert self._changed.wait_for(lambda: any(map(condition, self.hints)), PATIENCE), self.hints

    def ready(self):
        """Wait until it hears; what came before is forgotten."""
        self.wait_for(lambda hint: True)
        with self._changed:
            self.hints.clear()
        return self

    def close(self):
        self._subscription.close()


@pytest.fixture
def listen():
    listeners = []

    def make():
        listeners.append(Listener())
        return listeners[-1]

    yield make
    for each in listeners:
        each.close()
    until_ended()


def threads():
    return [each for each in threading.enumerate() if each.name.startswith("durable-hints")]


def until_ended():
    for each in threads():
        each.join(PATIENCE)
        assert not each.is_alive()


def test_a_new_subscriber_is_told_to_look_at_everything(listen):
    listen().wait_for(lambda hint: hint == wakeups.ANYTHING)


def test_a_start_hints_at_work(listen):
    listener = listen().ready()
    start("order-7")
    listener.wait_for(lambda hint: hint.work)


def test_a_change_that_clients_can_see_names_its_instance(listen):
    start("order-7")
    claimed = claim_all()["order-7"]
    listener = listen().ready()
    committed(made(claimed, CustomStatusUpdated(value="1")))
    listener.wait_for(lambda hint: hint.instances is None or claimed.id in hint.instances)


def test_every_subscriber_hears_and_one_that_was_closed_hears_no_more(listen):
    first = listen().ready()
    second = listen()
    start("order-7")
    first.wait_for(lambda hint: hint.work)
    second.ready()
    first.close()
    start("order-8")
    second.ready()
    heard = len(first.hints)
    start("order-9")
    second.wait_for(lambda hint: hint.work)
    assert len(first.hints) == heard, "nothing of the last one; one hint may have been under way at the close"


def test_the_thread_ends_with_the_last_subscriber_and_starts_again_with_the_next(listen):
    first, second = listen(), listen()
    first.ready()
    assert len(threads()) == 1
    first.close()
    first.close()
    assert len(threads()) == 1
    second.close()
    until_ended()
    again = listen().ready()
    start("order-7")
    again.wait_for(lambda hint: hint.work)


def test_the_thread_outlives_a_subscriber_that_lingers_and_serves_the_next(listen, monkeypatch):
    monkeypatch.setattr(wakeups, "_in_tests", lambda: False)
    first = listen().ready()
    first._subscription.close(linger=True)
    [thread] = threads()
    second = listen().ready()
    assert threads() == [thread]
    start("order-7")
    second.wait_for(lambda hint: hint.work)
    second.close()
    thread.join(10)
    assert not thread.is_alive()


def test_a_thread_that_lingers_ends_when_nobody_comes(listen, monkeypatch):
    monkeypatch.setattr(wakeups, "_in_tests", lambda: False)
    monkeypatch.setattr(wakeups, "LINGER_SECONDS", 0.01)
    listen()._subscription.close(linger=True)
    [thread] = threads()
    thread.join(10)
    assert not thread.is_alive()


def test_a_callback_may_close_its_own_subscription():
    subscriptions, done = [], threading.Event()

    def once(hint):
        if subscriptions:
            subscriptions.pop().close()
            done.set()

    subscriptions.append(Hub.of(USING).subscribe(once))
    start("order-7")
    assert done.wait(PATIENCE)
    until_ended()


def test_a_database_has_one_hub_and_a_forked_process_its_own():
    mine = Hub.of(USING)
    assert Hub.of(None) is mine
    reader, writer = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # The child of a process with threads only writes a word.
        child = os.fork()
    if not child:
        os.write(writer, b"mine" if Hub.of(USING) is mine else b"its own")
        os._exit(0)
    os.waitpid(child, 0)
    os.close(writer)
    with os.fdopen(reader, "rb") as answer:
        assert answer.read() == b"its own"


@pytest.mark.only_on("postgresql")
def test_a_hint_comes_after_the_commit_and_not_at_all_after_a_rollback(listen):
    listener = listen().ready()
    with transaction.atomic():
        start("rolled-back")
        transaction.set_rollback(True)
    with write_transaction(USING):
        wakeups.notify(USING, instances=[7])
    listener.wait_for(lambda hint: hint.instances == frozenset({7}))
    assert not any(hint.work for hint in listener.hints)


@pytest.mark.only_on("postgresql")
def test_a_listener_whose_connection_the_server_ends_connects_again_and_looks_at_everything(listen):
    listener = listen().ready()
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE application_name = 'django_durable hints' AND datname = current_database()"
        )
        assert cursor.fetchall() == [(True,)]
    listener.wait_for(lambda hint: hint == wakeups.ANYTHING)
    listener.hints.clear()
    start("order-7")
    listener.wait_for(lambda hint: hint.work)


@pytest.mark.only_on("postgresql")
def test_one_notification_tells_of_a_whole_batch_and_of_many_as_anything(listen):
    listener = listen().ready()
    with write_transaction(USING):
        wakeups.notify(USING, instances=range(1, 101))
    listener.wait_for(lambda hint: hint == Hint(work=False, tasks=False, instances=frozenset(range(1, 101))))
    with write_transaction(USING):
        wakeups.notify(USING, work=True, instances=range(10_000))
    listener.wait_for(lambda hint: hint == Hint(work=True, instances=None))


@pytest.mark.only_on("postgresql")
def test_a_start_says_that_there_are_no_tasks_and_whatever_else_there_is_says_nothing_of_the_kind(listen):
    listener = listen().ready()
    start("order-7")
    listener.wait_for(lambda hint: hint == Hint(work=True, tasks=False, instances=frozenset()))
    with write_transaction(USING):
        wakeups.notify(USING, work=True, messages=True)
    listener.wait_for(lambda hint: hint == Hint(work=True, tasks=True, instances=frozenset()))


@pytest.mark.only_on("postgresql")
def test_a_hub_of_one_channel_hears_nothing_of_the_other(listen):
    heard = []
    changed = threading.Event()

    def hear(hint):
        heard.append(hint)
        changed.set()

    work = Hub.of(USING, wakeups.WORK).subscribe(hear)
    try:
        assert changed.wait(PATIENCE)
        heard.clear()
        changed.clear()
        with write_transaction(USING):
            wakeups.notify(USING, instances=[7])
        start("order-7")
        assert changed.wait(PATIENCE)
        assert heard == [Hint(work=True, tasks=False, instances=frozenset())]
    finally:
        work.close()


@pytest.mark.only_on("postgresql")
def test_hints_can_be_switched_off(settings, django_assert_num_queries):
    settings.DJANGO_DURABLE = {"NOTIFY": False}
    assert not Hub.of(USING).gives_hints
    with transaction.atomic(), django_assert_num_queries(0):
        wakeups.notify(USING, work=True)
    subscription = Hub.of(USING).subscribe(lambda hint: None)
    assert not threads()
    subscription.close()


@pytest.mark.only_on("sqlite")
def test_a_database_in_memory_gives_no_hints(monkeypatch):
    monkeypatch.setattr(connections[USING], "is_in_memory_db", lambda: True)
    assert not Hub.of(USING).gives_hints


@pytest.mark.only_on("postgresql")
def test_a_turn_that_leaves_work_to_nobody_else_tells_nobody():
    [claimed] = fresh("order-7")
    with CaptureQueriesContext(connections[USING]) as captured:
        committed(made(claimed, task(), eager=frozenset([2]), keep_lease=True))
    assert "INSERT INTO django_durable_activitytask" in str(captured.captured_queries)
    assert "pg_notify" not in str(captured.captured_queries)
