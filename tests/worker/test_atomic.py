"""Atomic activities: what they write, ask for and complete with is one transaction, whatever happens in it."""

from __future__ import annotations

from contextlib import suppress
from datetime import timedelta

import pytest
from django.contrib.auth.models import Group
from django.db import IntegrityError, OperationalError, connection, transaction

from django_durable.client import Client
from django_durable.models import ActivityTask, Instance, QueuedEvent
from django_durable.registry import Registry
from django_durable.store.connections import hinders
from django_durable.testing.clock import FakeClock

from .support import drained, failure, one_activity, output, start, status, tasks

pytestmark = pytest.mark.usefixtures("durable_db")


def run_out_of_room() -> None:
    """Write until the database says that its disk is full."""
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("DO $$ BEGIN RAISE EXCEPTION 'could not extend file' USING ERRCODE = 'disk_full'; END $$")
            return
        cursor.execute("PRAGMA max_page_count = 1")  # It becomes as many as there are.
        try:
            cursor.execute("CREATE TABLE filler (data)")
            cursor.execute("INSERT INTO filler VALUES (zeroblob(10000000))")
        finally:
            cursor.execute("PRAGMA max_page_count = 1073741823")


def names() -> list[str]:
    return sorted(Group.objects.values_list("name", flat=True))


def test_savepoints_that_it_rolls_back_take_only_their_own_writes_back(registry: Registry) -> None:
    def enter() -> str:
        Group.objects.create(name="kept")
        try:
            with transaction.atomic():
                Group.objects.create(name="dropped")
                Group.objects.create(name="kept")
        except IntegrityError:
            return "once"
        return "twice"

    instance = start(registry, one_activity(registry, enter, atomic=True))
    drained(registry)
    assert (output(instance), names()) == ("once", ["kept"])


@pytest.mark.parametrize("error", [True, False])
def test_a_transaction_that_it_marks_for_rollback_is_not_completed(registry: Registry, error: bool) -> None:
    """An `IntegrityError` that is swallowed with no savepoint around it does so, too."""

    def enter() -> None:
        Group.objects.create(name="dropped")
        if not error:
            transaction.set_rollback(True)
            return
        with suppress(IntegrityError):
            Group.objects.create(name="dropped")

    instance = start(registry, one_activity(registry, enter, atomic=True))
    drained(registry)
    assert "TransactionManagementError" in failure(instance)["error_type"]
    assert names() == []


@pytest.mark.parametrize("fails", [True, False])
def test_what_it_starts_sends_and_cancels_is_there_with_its_completion_or_not_at_all(
    registry: Registry, fails: bool
) -> None:
    client = Client(registry)

    @registry.orchestration("waits")
    def waits(ctx):
        return (yield ctx.wait_for_event("go"))

    def steer() -> str:
        client.start_orchestration("started", "waits")
        client.raise_event("it", "go", 1)
        client.enqueue_event("other", "jobs", 2)
        client.cancel_instance("canceled", "not needed")
        if fails:
            raise ValueError("no")
        return "done"

    for key in ("it", "other", "canceled"):
        start(registry, "waits", instance_id=key)
    drained(registry)
    instance = start(registry, one_activity(registry, steer, atomic=True))
    drained(registry)
    assert status(instance) == ("Failed" if fails else "Completed")
    assert Instance.objects.filter(instance_id="started").exists() is not fails
    assert status("it") == ("Running" if fails else "Completed")
    assert QueuedEvent.objects.exists() is not fails
    assert status("canceled") == ("Running" if fails else "Canceled")


def test_a_database_that_cannot_take_its_writes_is_no_error_of_its_own(registry: Registry) -> None:
    """It has one attempt, and the disk is full; the attempt is made when there is room, and counts once."""
    full = [True]

    def enter(ctx) -> int:
        Group.objects.create(name="editors")
        if full:
            run_out_of_room()
        return ctx.attempt

    clock = FakeClock()
    instance = start(registry, one_activity(registry, enter, atomic=True))
    worker = drained(registry, clock)
    assert (status(instance), names()) == ("Running", [])
    assert ActivityTask.objects.get().deliveries == 0
    assert tasks(instance)[0].visible_at > clock.now()
    full.clear()
    clock.advance(timedelta(minutes=1))
    worker.drain()
    assert (output(instance), names()) == (1, ["editors"])


def test_an_error_in_what_was_asked_is_told_from_a_database_that_cannot_do_it() -> None:
    with pytest.raises(OperationalError) as full:
        run_out_of_room()
    with pytest.raises(Exception, match=r"syntax|no such") as wrong, connection.cursor() as cursor:
        cursor.execute("SELECT nothing FROM")
    assert [hinders(each.value) for each in (full, wrong)] == [True, False]
    assert not hinders(ValueError())
