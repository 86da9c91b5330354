"""Crashes at every place where one can tell: before each statement that writes, a commit included.

The worker runs on the test's connection, so its transactions are savepoints; a crash raises through it and rolls back
what was not committed. Then the worker is gone, its leases run out, and another one goes on.
"""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection, transaction

from django_durable.conf import settings
from django_durable.registry import Registry
from django_durable.store.records import TagFilter
from django_durable.testing import Durable
from django_durable.testing.clock import StandingClock
from tests.acceptance.checks import check_finished, completed_labels

START = datetime(2030, 1, 1, tzinfo=UTC)
OUTPUT = ["wrote", "noted0", "noted1", "went", "queued", "child", "waited", 3]


WRITES = {"INSERT", "UPDATE", "DELETE", "WITH", "RELEASE"}


class CrashError(BaseException):
    """The process dies here."""


class Crashes:
    """Lets a worker run until it is about to make its `at`-th write; counts from 0."""

    def __init__(self, at: int) -> None:
        self.left = at
        self.happened = False

    def __call__(self, execute, sql, params, many, context):
        verb = sql.split(None, 1)[0].upper()
        if verb in WRITES and not self.happened:
            self.happened = not self.left
            self.left -= 1
        if not self.happened or verb == "ROLLBACK":
            return execute(sql, params, many, context)
        if verb != "RELEASE":
            raise CrashError
        # A dead process commits nothing.
        execute(sql.replace("RELEASE", "ROLLBACK TO", 1), params, many, context)
        return execute(sql, params, many, context)


class Play:
    """An orchestration with a little of everything, what it is sent, and what its activities did."""

    def __init__(self) -> None:
        self.registry = Registry()
        self.ran: Counter[str] = Counter()
        self._register()
        # Time stands still but where it is moved: no lease runs out because the machine is slow.
        self.durable = Durable(self.registry, clock=StandingClock(START), tags=TagFilter.ANY)

    def _register(self) -> None:
        from django.contrib.auth.models import Group

        registry, ran = self.registry, self.ran

        @registry.activity("write", atomic=True)
        def write(label: str) -> str:
            ran[label] += 1
            Group.objects.create(name=f"{label}-{Group.objects.count()}")
            return label

        @registry.activity("note")
        def note(label: str) -> str:
            ran[label] += 1
            return label

        @registry.orchestration("child")
        def child(ctx, label: str):
            ctx.set_kv_value("key", label)
            return (yield ctx.schedule_activity("note", label))

        @registry.orchestration("everything")
        def everything(ctx, generation: int):
            ctx.set_kv_value("generations", generation)
            wrote = yield ctx.schedule_activity("write", "wrote" if generation == 3 else f"wrote{generation}")
            if generation < 3:
                ctx.continue_as_new(generation + 1)
                return None
            noted = yield ctx.all([ctx.schedule_activity("note", f"noted{each}") for each in range(2)])
            event = yield ctx.wait_for_event("go")
            message = yield ctx.dequeue_event("box")
            from_child = yield ctx.schedule_sub_orchestration("child", "child")
            ctx.set_custom_status("waiting")
            yield ctx.race(ctx.schedule_timer(60_000), ctx.schedule_timer(120_000))
            waited = yield ctx.schedule_activity("write", "waited")
            kept = ctx.get_kv_value("generations")
            return [wrote, *(each["ok"] for each in noted), event, message, from_child, waited, kept]

    def scenes(self) -> Iterator[Callable[[], object]]:
        """Yield what the worker does, and between them do what others do."""
        client, durable = self.durable.client, self.durable
        client.start_orchestration("it", "everything", 2)
        yield durable.run
        client.raise_event("it", "go", "went")
        client.enqueue_event("it", "box", "queued")
        yield durable.run
        durable.clock.advance(timedelta(seconds=60))
        yield durable.run

    def perform(self, crashes: Crashes) -> set[str]:
        """Play it all, with one crash. Returns: the activities that were committed when it happened."""
        committed: set[str] = set()
        for scene in self.scenes():
            if crashes.happened:
                scene()
                continue
            with contextlib.suppress(CrashError), connection.execute_wrapper(crashes):
                scene()
            if crashes.happened:
                committed = completed_labels(self.durable.client, "it")
                self.take_over()
                self.durable.run()
        return committed

    def take_over(self) -> None:
        """Go on with another worker when the leases of the dead one are over."""
        self.durable.close()
        self.durable.restart()
        self.durable.clock.advance(settings.LEASE + timedelta(seconds=1))


@pytest.mark.timeout(600)  # Some seventy plays, each with a worker that dies.
def test_a20_a_crash_before_any_write_loses_and_doubles_nothing(db):
    from django.contrib.auth.models import Group

    at = 0
    while True:
        with transaction.atomic():
            play = Play()
            crashes = Crashes(at)
            committed = play.perform(crashes)
            client = play.durable.client
            assert client.get_output("it") == OUTPUT, f"crash before write {at}"
            check_finished(client, "it")
            assert client.get_kv_all_values("it") == {"generations": 3}
            assert sorted(Group.objects.values_list("name", flat=True)) == ["waited-2", "wrote-1", "wrote2-0"]
            again = {label for label, times in play.ran.items() if times > 1}
            assert not again & committed, f"crash before write {at} ran again what was committed"
            assert max(play.ran.values()) <= 2
            play.durable.close()
            transaction.set_rollback(True)
        if not crashes.happened:
            break
        at += 1
    assert at > 50


@pytest.mark.parametrize("at", [5, 15, 25])
def test_a_worker_that_crashes_in_every_scene_still_gets_there(db, at):
    play = Play()
    for scene in play.scenes():
        for _ in range(5):
            with contextlib.suppress(CrashError), connection.execute_wrapper(Crashes(at)):
                scene()
            play.take_over()
        play.durable.run()
    assert play.durable.client.get_output("it") == OUTPUT
    check_finished(play.durable.client, "it")
    play.durable.close()
