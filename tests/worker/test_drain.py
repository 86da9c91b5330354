"""The whole way of an instance, on one thread and inside the test's transaction."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from django.db import transaction
from django.utils import timezone

from django_durable.models import InboxMessage, Instance, QueuedEvent
from django_durable.registry import Registry
from django_durable.store import endings, instances
from django_durable.testing.clock import FakeClock
from django_durable.worker.worker import Worker

from .support import USING, drained, failure, kinds, output, start, status, tasks

pytestmark = pytest.mark.django_db


# The way of a result.


def test_a_chain_runs_to_its_end(registry: Registry) -> None:
    instance = start(registry, "chain", 5)

    drained(registry)

    assert output(instance) == 32
    assert kinds(instance) == [
        "OrchestrationStarted",
        *["ActivityScheduled", "ActivityCompleted"] * 5,
        "OrchestrationCompleted",
    ]


def test_each_step_of_a_chain_is_one_commit_without_a_claim(registry: Registry) -> None:
    start(registry, "chain", 5)

    counts = drained(registry).metrics_snapshot()

    assert counts["commits"] == counts["turns"] == 6
    assert (counts["instances_claimed"], counts["activities_claimed"]) == (1, 0)
    assert (counts["cache_misses"], counts["cache_hits"]) == (1, 5)


def test_a_history_that_grows_is_reported_once_and_over_the_limit_fails(registry: Registry, settings, caplog) -> None:
    settings.DJANGO_DURABLE = {"HISTORY_WARNING_EVENTS": 6, "MAX_HISTORY_EVENTS": 100}
    instance = start(registry, "chain", 500)

    counts = drained(registry).metrics_snapshot()

    assert failure(instance)["error_type"].endswith("HistoryLimitExceeded")
    assert counts["histories_warned_of"] == 1
    assert [each.message for each in caplog.records if "events; at 100 it fails" in each.message] == [
        f"The history of instance {instance!r} has 6 events; at 100 it fails. Continue as new now and then."
    ]
    assert not tasks(instance)


def test_instances_share_their_commits(registry: Registry) -> None:
    for _ in range(20):
        start(registry, "chain", 5)

    counts = drained(registry).metrics_snapshot()

    assert counts["turns"] == 120
    assert counts["commits"] == 6


def test_a_fan_out_wider_than_the_worker_runs_to_its_end(registry: Registry) -> None:
    instance = start(registry, "fan_out", 350)

    worker = drained(registry)

    assert output(instance) == sum(range(350)) * 2
    assert worker.metrics_snapshot()["activities_claimed"] > 0


def test_nothing_is_left_of_what_has_ended(registry: Registry) -> None:
    instance = start(registry, "fan_out", 30)

    drained(registry)

    assert not tasks(instance)
    assert not InboxMessage.objects.exists()
    assert Instance.objects.get(instance_id=instance).lease_owner is None


def test_a_new_worker_goes_on_where_another_one_was(registry: Registry) -> None:
    clock = FakeClock()

    @registry.orchestration("pausing")
    def pausing(ctx, value: Any = None):
        before = yield ctx.schedule_activity("double", 1)
        yield ctx.schedule_timer(timedelta(hours=1))
        after = yield ctx.schedule_activity("double", before)
        return after

    instance = start(registry, "pausing")
    drained(registry, clock)
    clock.advance(timedelta(hours=1))
    drained(registry, clock)

    assert output(instance) == 4


def test_a_rolled_back_transaction_takes_the_whole_drain_with_it(registry: Registry) -> None:
    instance = start(registry, "chain", 2)
    worker = Worker(registry)

    with transaction.atomic():
        worker.drain()
        assert output(instance) == 4
        transaction.set_rollback(True)
    assert status(instance) == "Pending"

    worker.drain()
    assert output(instance) == 4


# Time.


def test_a_timer_fires_when_the_clock_gets_there(registry: Registry) -> None:
    @registry.orchestration("sleeper")
    def sleeper(ctx, value: Any = None):
        yield ctx.schedule_timer(timedelta(days=2))
        return "awake"

    clock = FakeClock()
    instance = start(registry, "sleeper")
    worker = drained(registry, clock)
    assert status(instance) == "Running"

    due = worker.next_due()
    assert due is not None
    clock.advance_to(due - timedelta(milliseconds=1))
    worker.drain()
    assert status(instance) == "Running"

    clock.advance_to(due)
    worker.drain()
    assert output(instance) == "awake"


def test_a_delayed_start_waits_for_its_time(registry: Registry) -> None:
    clock = FakeClock()
    instance = start(registry, "chain", 1, start_at=timezone.now() + timedelta(hours=1))

    worker = drained(registry, clock)
    assert status(instance) == "Pending"

    clock.advance(timedelta(hours=1))
    worker.drain()
    assert output(instance) == 2


# What a turn takes and makes.


def test_external_events_are_kept_until_they_are_waited_for(registry: Registry) -> None:
    @registry.orchestration("listening")
    def listening(ctx, value: Any = None):
        first = yield ctx.wait_for_event("go")
        second = yield ctx.wait_for_event("go")
        return [first, second]

    instance = start(registry, "listening")
    for number in (1, 2):
        instances.raise_event(instance, "go", str(number), now=timezone.now(), using=USING)
    drained(registry)

    assert output(instance) == [1, 2]


def test_any_number_of_queued_messages_is_drained_in_one_turn(registry: Registry) -> None:
    @registry.orchestration("draining")
    def draining(ctx, many: int):
        total = 0
        for _ in range(many):
            total += yield ctx.dequeue_event("numbers")
        return total

    instance = start(registry, "draining", 1500)
    drained(registry)
    now, pk = timezone.now(), Instance.objects.get().pk
    QueuedEvent.objects.bulk_create(
        QueuedEvent(instance_id=pk, queue="numbers", payload=str(each), created_at=now) for each in range(1499)
    )
    instances.enqueue_event(instance, "numbers", "1499", now=now, using=USING)
    counts = drained(registry).metrics_snapshot()

    assert output(instance) == sum(range(1500))
    assert counts["turns"] == 1
    assert not QueuedEvent.objects.exists()


def test_more_messages_than_a_claim_takes_are_all_taken(registry: Registry) -> None:
    @registry.orchestration("listening")
    def listening(ctx, many: int):
        found = []
        for _ in range(many):
            found.append((yield ctx.wait_for_event("go")))
        return found == list(range(many))

    instance = start(registry, "listening", 600)
    for number in range(600):
        instances.raise_event(instance, "go", str(number), now=timezone.now(), using=USING)
    drained(registry)

    assert output(instance) is True


def test_an_instance_continues_as_new_with_what_it_was_sent_meanwhile(registry: Registry) -> None:
    @registry.orchestration("generations")
    def generations(ctx, left: int):
        if left:
            yield ctx.schedule_activity("double", 1)
            yield ctx.continue_as_new(left - 1)
        found = []
        for _ in range(3):
            found.append((yield ctx.wait_for_event("go")))
        return [ctx.execution_id, found]

    instance = start(registry, "generations", 3)
    for number in range(3):
        instances.raise_event(instance, "go", str(number), now=timezone.now(), using=USING)
    drained(registry)

    assert output(instance) == [4, [0, 1, 2]]


def test_events_that_come_between_two_executions_are_for_the_next(registry: Registry) -> None:
    @registry.orchestration("turning")
    def turning(ctx, again: bool):
        if again:
            yield ctx.wait_for_event("turn")
            yield ctx.continue_as_new(False)
        return (yield ctx.wait_for_event("go"))

    instance = start(registry, "turning", True)
    drained(registry)
    for name in ("turn", "go"):
        instances.raise_event(instance, name, '"x"', now=timezone.now(), using=USING)
    drained(registry)

    assert output(instance) == "x"


def test_children_report_to_their_parent(registry: Registry) -> None:
    @registry.orchestration("family")
    async def family(ctx, children: int):
        started = [ctx.schedule_sub_orchestration("chain", each) for each in range(children)]
        return sum(await asyncio.gather(*started))

    instance = start(registry, "family", 6)
    drained(registry)

    assert output(instance) == 2**6 - 1


def test_a_canceled_instance_compensates_and_its_activities_are_gone(registry: Registry) -> None:
    @registry.orchestration("booking")
    def booking(ctx, value: Any = None):
        try:
            yield ctx.schedule_activity("double", 1).with_tag("nowhere")
        except asyncio.CancelledError:
            undone = yield ctx.schedule_activity("double", 21)
            return undone

    instance = start(registry, "booking")
    worker = drained(registry)
    endings.cancel_instance(instance, "changed my mind", now=timezone.now(), using=USING)
    worker.drain()

    assert status(instance) == "Canceled"
    assert not tasks(instance)
