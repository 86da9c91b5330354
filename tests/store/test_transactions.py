"""Write transactions: they wait for each other, and never fail because another one writes."""

from __future__ import annotations

import threading

import pytest
from django.contrib.auth.models import Group
from django.db import OperationalError, connection, connections, transaction

from django_durable.store.transactions import write_transaction

from .lives import USING
from .test_races import meanwhile


def names():
    return sorted(Group.objects.values_list("name", flat=True))


def hold_by_hand(held, done):
    """Hold the lock as another process would: writers of one process wait for each other before they ask SQLite."""
    with connection.cursor() as cursor:
        cursor.execute("BEGIN IMMEDIATE")
        held.set()
        done.wait()
        cursor.execute("ROLLBACK")


def write_and_fail(name):
    with write_transaction(USING):
        Group.objects.create(name=name)
        raise ZeroDivisionError


@pytest.mark.django_db
def test_inside_a_transaction_it_is_a_part_of_it():
    with transaction.atomic():
        with write_transaction(USING) as inner:
            Group.objects.create(name="inner")
        assert inner is connections[USING]
        transaction.set_rollback(True)
    assert names() == []


@pytest.mark.django_db
def test_an_error_inside_undoes_only_itself():
    with transaction.atomic():
        Group.objects.create(name="outer")
        with pytest.raises(ZeroDivisionError):
            write_and_fail("inner")
    assert names() == ["outer"]


@pytest.mark.usefixtures("durable_db")
def test_it_commits_at_its_end_and_rolls_back_on_an_error():
    with write_transaction(USING):
        Group.objects.create(name="kept")
    with pytest.raises(ZeroDivisionError):
        write_and_fail("gone")
    assert not connection.in_atomic_block
    assert names() == ["kept"]


@pytest.mark.usefixtures("durable_db")
def test_readers_that_become_writers_wait_for_each_other_instead_of_failing():
    """Each reads, then writes: with BEGIN DEFERRED the second of them fails at once on SQLite."""
    together = threading.Barrier(4)

    def increment():
        together.wait()
        for _ in range(5):
            with write_transaction(USING):
                found = Group.objects.select_for_update().get()
                found.name = str(int(found.name) + 1)
                found.save()

    Group.objects.create(name="0")
    with meanwhile(increment) as one, meanwhile(increment) as two, meanwhile(increment) as three:
        increment()
    assert one == two == three == [None]
    assert names() == ["20"]


@pytest.mark.only_on("sqlite")
@pytest.mark.usefixtures("durable_db")
def test_the_lock_is_taken_at_the_beginning_and_the_projects_own_transactions_stay_as_they_are(monkeypatch):
    connection.ensure_connection()
    # The wrapper itself: undone on the proxy, the patch would delete the attribute.
    monkeypatch.setattr(connections[USING], "transaction_mode", None)
    begun = []
    connection.connection.set_trace_callback(lambda text: begun.append(text) if text.startswith("BEGIN") else None)
    try:
        with write_transaction(USING):
            pass
        with transaction.atomic():
            pass
    finally:
        connection.connection.set_trace_callback(None)
    assert begun == ["BEGIN IMMEDIATE", "BEGIN"]


@pytest.mark.only_on("sqlite")
@pytest.mark.usefixtures("durable_db")
def test_a_writer_outlasts_a_lock_that_is_held_for_longer_than_its_timeout():
    held, done = threading.Event(), threading.Event()

    with meanwhile(lambda: hold_by_hand(held, done)):
        held.wait()
        tries = []

        def release_at_the_second_try(text):
            if text.startswith("BEGIN"):
                tries.append(text)
                if len(tries) == 2:
                    done.set()

        connection.connection.execute("PRAGMA busy_timeout = 20")
        connection.connection.set_trace_callback(release_at_the_second_try)
        try:
            with write_transaction(USING):
                Group.objects.create(name="written")
        finally:
            done.set()
            connection.connection.set_trace_callback(None)
            connection.close()
    assert len(tries) > 1
    assert names() == ["written"]


@pytest.mark.only_on("sqlite")
@pytest.mark.usefixtures("durable_db")
def test_a_lock_that_is_never_freed_is_an_error_in_the_end():
    held, done = threading.Event(), threading.Event()

    with meanwhile(lambda: hold_by_hand(held, done)):
        held.wait()
        connection.connection.execute("PRAGMA busy_timeout = 1")
        try:
            with pytest.raises(OperationalError, match="locked"), write_transaction(USING):
                pass
        finally:
            done.set()
            connection.close()
    with write_transaction(USING):
        Group.objects.create(name="written")
    assert names() == ["written"]
