"""The harness finds what a crash breaks, and leaves nothing behind."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection

from django_durable import InvalidArgument
from django_durable.client import Client
from django_durable.registry import Registry
from django_durable.testing import assert_survives_every_crash
from django_durable.testing.crashing import forking, mortal, traces

OUTSIDE: list[str] = []


def faulty() -> Registry:
    registry = Registry()

    @registry.activity("write")
    def write(label: str) -> None:
        """Writes as an activity must not that is not repeatable: its transaction is another one than its record's."""
        from django.contrib.auth.models import Group

        Group.objects.create(name=f"{label} {Group.objects.count()}")

    @registry.activity("hangs")
    def hangs() -> None:
        threading.Event().wait()

    @registry.activity("exits")
    def exits() -> None:
        os._exit(3)

    @registry.orchestration("calls")
    def calls(ctx, activity: str):
        yield ctx.schedule_activity(activity)

    @registry.orchestration("writes")
    def writes(ctx, label: str):
        yield ctx.schedule_activity("write", label)

    @registry.orchestration("waits")
    def waits(ctx):
        first = yield ctx.race(ctx.wait_for_event("go"), ctx.schedule_timer(timedelta(hours=1)))
        return first["index"]

    return registry


def writes(client):
    client.start_orchestration("it", "writes", "row")
    yield


def waits(client):
    client.start_orchestration("it", "waits")
    yield timedelta(minutes=59)
    client.raise_event("it", "go")
    yield timedelta(minutes=2)


def test_an_effect_that_a_crash_doubles_is_found_and_the_boundary_named(groups):
    with pytest.raises(AssertionError, match=r"Killed at boundary \d+, .*: effects is 2, was 1 without a crash"):
        assert_survives_every_crash(writes, effects=groups.count, registry=faulty())
    assert not groups.exists()


def test_an_outcome_that_differs_is_found(groups):
    def counting(client):
        OUTSIDE.append("played")
        client.start_orchestration("it", "writes", f"row {len(OUTSIDE)}")
        yield

    with pytest.raises(AssertionError, match=r"instance it is .*row 2.*, was .*row 1.* without a crash"):
        assert_survives_every_crash(counting, registry=faulty())


def test_a_worker_that_is_dead_for_the_length_of_a_lease_fires_no_timer_too_early(groups):
    report = assert_survives_every_crash(waits, registry=faulty(), sample=6)
    assert (report.kills, report.boundaries > 25) == (6, True)


def test_rows_of_before_are_kept_and_those_of_a_play_are_not(groups):
    from django_durable.models import Instance

    groups.create(name="before")
    assert_survives_every_crash(writes, registry=faulty(), sample=1)
    assert list(groups.values_list("name", flat=True)) == ["before"]
    assert not Instance.objects.exists()


def test_a_worker_that_hangs_is_found_and_where_it_stands(groups, monkeypatch):
    def hanging(client):
        client.start_orchestration("it", "calls", "hangs")
        yield

    monkeypatch.setattr(mortal, "DEADLINE_SECONDS", 1.0)
    with pytest.raises(AssertionError, match=r"(?s)said nothing for 1 s.*test_harness.py.* in hangs"):
        assert_survives_every_crash(hanging, registry=faulty())


def test_a_worker_that_fails_says_why(groups):
    def failing(client):
        client.start_orchestration("it", "calls", "hangs")
        yield

    with pytest.raises(AssertionError, match="The worker failed:(?s:.*)concurrency is 0"):
        assert_survives_every_crash(failing, registry=faulty(), concurrency=0)


def test_a_worker_that_is_dead_before_it_is_told_anything_says_why(groups):
    worker = mortal.Mortal(faulty(), dies_at=None, now=datetime.now(UTC), concurrency=0)
    os.waitid(os.P_PID, worker._pid, os.WEXITED | os.WNOWAIT)
    with pytest.raises(AssertionError, match="The worker failed:(?s:.*)concurrency is 0"):
        worker.run(timedelta(0))


def test_code_that_ends_its_worker_is_found_and_how(groups):
    def exiting(client):
        client.start_orchestration("it", "calls", "exits")
        yield

    with pytest.raises(AssertionError, match=r"The worker ended by itself, with exit code 3, last: "):
        assert_survives_every_crash(exiting, registry=faulty())


@pytest.fixture
def reader(groups) -> Iterator[Reader]:
    made = Reader()
    made.start()
    made.reads.wait()
    yield made
    made.enough.set()
    made.join()


class Reader(threading.Thread):
    """A thread that is in the middle of reading the database until it is told that it is enough."""

    def __init__(self) -> None:
        super().__init__()
        self.reads, self.enough = threading.Event(), threading.Event()

    def run(self) -> None:
        with connection.cursor() as cursor:
            cursor.execute("BEGIN")
            cursor.execute("SELECT COUNT(*) FROM auth_group")
            self.reads.set()
            self.enough.wait()
            cursor.execute("ROLLBACK")
        connection.close()


@pytest.mark.only_on("sqlite")
def test_no_worker_inherits_a_lock_that_another_thread_had(reader, groups, monkeypatch):
    asked = forking._open_databases

    def open_databases() -> list[str]:
        """The thread ends once it was seen."""
        if found := asked():
            reader.enough.set()
        return found

    monkeypatch.setattr(forking, "_open_databases", open_databases)
    worker = mortal.Mortal(faulty(), dies_at=None, now=datetime.now(UTC), using="default")
    try:
        reader.join()
        Client(faulty()).start_orchestration("it", "writes", "row")
        assert worker.run(timedelta(0))
    finally:
        worker.end()
    assert groups.count() == 1


@pytest.mark.only_on("sqlite")
def test_a_thread_that_keeps_the_database_open_is_told_of(reader, monkeypatch):
    monkeypatch.setattr(forking, "PATIENCE_SECONDS", 0.0)
    with pytest.raises(InvalidArgument, match=r"Another thread of the test's process has .*test\.sqlite3\S* open"):
        mortal.Mortal(faulty(), dies_at=None, now=datetime.now(UTC), using="default")


@pytest.mark.only_on("postgresql")
def test_the_next_worker_waits_until_the_database_has_undone_what_the_last_one_had_begun(reader, monkeypatch):
    """Until then rows are locked, and a claim passes over them."""
    looks = []
    asked = traces._open_transactions

    def open_transactions(using: str) -> int:
        """The thread's transaction ends once it was seen twice."""
        looks.append(asked(using))
        if len(looks) == 2:
            reader.enough.set()
        return looks[-1]

    monkeypatch.setattr(traces, "_open_transactions", open_transactions)
    traces.wait_until_undone("default")
    reader.join()
    assert looks[:2] == [1, 1]
    assert looks[-1] == 0


def test_a_test_inside_a_transaction_is_refused(db):
    with pytest.raises(InvalidArgument, match="transaction=True"):
        assert_survives_every_crash(writes, registry=faulty())
