"""Every verb, in both styles: what it records and what the code gets."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest

from django_durable.engine import events
from django_durable.engine.durations import epoch_ms
from django_durable.engine.errors import (
    ActivityError,
    ActivityTimeout,
    NotRegistered,
    SubOrchestrationError,
)
from django_durable.engine.replay import Execution
from django_durable.engine.retry import RetryPolicy

from .support import START, Callee, FakeEnvironment, Host, started


def charge(order: int) -> str: ...


def child(ctx, input): ...


# Activities.


def test_an_activity_is_scheduled_by_its_function_or_its_name(style) -> None:
    def story(ctx):
        first = yield ctx.schedule_activity(charge, 7)
        second = yield ctx.run("charge", {"order": first})
        return second

    host = Host(style(story))
    host.complete("charge", 8)
    host.complete("charge", [9], nth=1)

    assert [(each.name, json.loads(each.input)) for each in host.of(events.ActivityScheduled)] == [
        ("charge", 7),
        ("charge", {"order": 8}),
    ]
    assert host.output == [9]


def test_an_activity_that_failed_raises_its_error_at_the_wait(style) -> None:
    def story(ctx):
        try:
            yield ctx.schedule_activity("a")
        except ActivityError as error:
            return [error.error_type, error.message, isinstance(error, TimeoutError), str(error)]

    host = Host(style(story))
    host.fail("a", "shop.Declined", "expired")

    assert host.output == ["shop.Declined", "expired", False, "Activity 'a' failed: shop.Declined: expired"]


def test_an_activity_that_ran_out_of_time_raises_a_timeout(style) -> None:
    def story(ctx):
        try:
            yield ctx.schedule_activity("a")
        except ActivityTimeout as error:
            return isinstance(error, TimeoutError)

    host = Host(style(story))
    host.fail("a", timed_out=True)

    assert host.output is True


def test_an_activity_carries_what_it_was_declared_with() -> None:
    def story(ctx):
        return ctx.schedule_activity("a")

    environment = FakeEnvironment(story)
    policy = RetryPolicy(max_attempts=7, timeout=timedelta(seconds=1))
    environment.activities["a"] = Callee(
        "a", story, tag="gpu", priority=5, retry=policy, start_to_close_ms=3000, schedule_to_close_ms=9000
    )
    [_, scheduled] = Execution(environment).advance([started("story")], now=START)

    assert scheduled.fact == events.ActivityScheduled(
        name="a",
        input="null",
        tag="gpu",
        priority=5,
        retry=policy.as_dict(),
        start_to_close_ms=1000,
        schedule_to_close_ms=9000,
    )


def test_a_session_and_a_retry_policy_are_recorded_with_the_activity(style) -> None:
    def story(ctx):
        policy = RetryPolicy(max_attempts=2, backoff="none", total_timeout=timedelta(seconds=3))
        yield ctx.all(
            [
                ctx.schedule_activity_on_session("a", {"x": 1}, "s1"),
                ctx.schedule_activity_with_retry("a", 2, policy),
                ctx.schedule_activity_with_retry("a", None, {"max_attempts": 4, "timeout_ms": 250}),
                ctx.schedule_activity_with_retry_on_session("a", 3, policy, "s2").with_tag("gpu"),
            ]
        )

    scheduled = Host(style(story)).of(events.ActivityScheduled)

    assert [each.session_id for each in scheduled] == ["s1", None, None, "s2"]
    assert [json.loads(each.input) for each in scheduled] == [{"x": 1}, 2, None, 3]
    assert [each.retry and each.retry["max_attempts"] for each in scheduled] == [None, 2, 4, 2]
    assert [each.start_to_close_ms for each in scheduled] == [None, None, 250, None]
    assert [each.schedule_to_close_ms for each in scheduled] == [None, 3000, None, 3000]
    assert scheduled[3].tag == "gpu"


def test_a_verb_that_refuses_its_arguments_schedules_nothing(style) -> None:
    def story(ctx):
        calls = [
            lambda: ctx.schedule_activity_on_session("a", 1, ""),
            lambda: ctx.schedule_activity_on_session("a", 1),
            lambda: ctx.schedule_activity_with_retry("a", 1, {"max_attempts": 0}),
            lambda: ctx.schedule_activity_with_retry("a", 1, "often"),
            lambda: ctx.schedule_activity_with_retry_on_session("a", 1, RetryPolicy(), "x" * 256),
            lambda: ctx.schedule_timer(-1),
            lambda: ctx.schedule_timer(1.5),
            lambda: ctx.schedule_timer(10**19),
            lambda: ctx.wait_for_event(""),
            lambda: ctx.dequeue_event(None),
            lambda: ctx.schedule_sub_orchestration_with_id("story", "x" * 513),
            lambda: ctx.start_orchestration("story", ""),
            lambda: ctx.get_kv_value_from_instance("", "k"),
            lambda: ctx.patched("p" * 256),
            lambda: ctx.schedule_activity("a", object()),
        ]
        refused = 0
        for call in calls:
            try:
                call()
            except ValueError:
                refused += 1
        yield ctx.utc_now()
        return [refused, len(calls)]

    host = Host(style(story))

    assert host.output[0] == host.output[1]
    assert host.kinds == ["OrchestrationStarted", "OrchestrationCompleted"]


def test_forgetting_to_wait_never_loses_a_command(style) -> None:
    def story(ctx):
        ctx.schedule_activity("a")
        ctx.start_orchestration("story", "other")
        yield ctx.schedule_activity("b")

    assert Host(style(story)).kinds[1:] == ["ActivityScheduled", "OrchestrationChained", "ActivityScheduled"]


def test_one_future_waited_for_twice_is_scheduled_once(style) -> None:
    def story(ctx):
        task = ctx.schedule_activity("a")
        return [(yield task), (yield task)]

    host = Host(style(story))
    host.complete("a", 1)

    assert host.output == [1, 1]
    assert len(host.of(events.ActivityScheduled)) == 1


def test_commands_are_recorded_in_the_order_of_their_calls_not_of_their_waits(style) -> None:
    def story(ctx):
        first, second = ctx.schedule_activity("first"), ctx.schedule_activity("second")
        yield second
        yield first

    assert [each.name for each in Host(style(story)).of(events.ActivityScheduled)] == ["first", "second"]


@pytest.mark.parametrize("swallow", [False, True])
def test_an_unknown_name_stops_the_turn_whatever_the_code_does_about_it(style, swallow: bool) -> None:
    def story(ctx):
        try:
            yield ctx.schedule_activity("unknown")
        except NotRegistered:
            if not swallow:
                raise
        return "went on"

    with pytest.raises(NotRegistered, match="No activity 'unknown'"):
        Host(style(story))


# Timers.


@pytest.mark.parametrize("delay", [1500, timedelta(seconds=1.5), timedelta(milliseconds=1499, microseconds=1)])
def test_a_timer_is_due_after_its_delay_by_the_historys_clock(style, delay: Any) -> None:
    def story(ctx):
        before = yield ctx.utc_now()
        value = yield ctx.schedule_timer(delay)
        after = yield ctx.utc_now()
        return [value, after - before]

    host = Host(style(story))
    [timer] = host.of(events.TimerCreated)
    host.fire()

    assert timer.duration_ms == 1500
    assert timer.fire_at_ms == epoch_ms(host.history[0].recorded_at) + 1500
    assert host.output == [None, 1500]


# External events and queues.


def test_events_go_to_the_waits_of_their_name_oldest_first(style) -> None:
    def story(ctx):
        waits = [ctx.wait_for_event("x"), ctx.wait_for_event("y"), ctx.wait_for_event("x")]
        found = yield ctx.all(waits)
        return [each["ok"] for each in found]

    host = Host(style(story))
    for name, data in (("x", 1), ("X", 0), ("x", 2), ("y", 3)):
        host.raise_event(name, data)

    assert host.output == [1, 3, 2]


def test_events_before_their_wait_are_kept_in_order(style) -> None:
    def story(ctx):
        yield ctx.schedule_activity("a")
        found = []
        for _ in range(3):
            data = yield ctx.wait_for_event("x")
            found.append(data)
        return found

    host = Host(style(story))
    host.raise_event("x", 1)
    host.raise_event("x", 2)
    host.complete("a")
    host.raise_event("x", 3)

    assert host.output == [1, 2, 3]


def test_a_burst_of_events_in_one_turn_is_read_one_by_one(style) -> None:
    def story(ctx):
        found = []
        for _ in range(200):
            data = yield ctx.wait_for_event("x", int)
            found.append(data)
        return found

    host = Host(style(story))
    host.turn(*[events.ExternalEvent(name="x", payload=str(n)) for n in range(200)])

    assert host.output == list(range(200))


@pytest.mark.parametrize("count", [1, 150, 1000])
def test_any_number_of_queued_messages_is_drained_in_one_turn(style, count: int) -> None:
    def story(ctx, count):
        found = []
        for _ in range(count):
            data = yield ctx.dequeue_event("q")
            found.append(data)
        return found

    host = Host(style(story), count)
    host.enqueue("q", *range(count))

    assert host.output == list(range(count))
    assert host.queue == []


def test_messages_go_to_the_dequeues_of_their_queue_and_the_rest_stays(style) -> None:
    def story(ctx):
        found = yield ctx.all([ctx.dequeue_event("x"), ctx.dequeue_event("y"), ctx.dequeue_event("x", str)])
        return [each["ok"] for each in found]

    host = Host(style(story))
    host.enqueue("z", 0)
    host.enqueue("y", 1)
    host.enqueue("x", 2, 3, 4)

    assert host.output == [2, 1, "3"]
    assert [each.queue for each in host.queue] == ["z", "x"]


# Other orchestrations.


def test_a_child_is_scheduled_by_reference_name_id_and_version(style) -> None:
    def story(ctx):
        found = yield ctx.all(
            [
                ctx.schedule_sub_orchestration(child, 1),
                ctx.schedule_sub_orchestration_with_id("child", "mine", 2),
                ctx.schedule_sub_orchestration_versioned("child", "2.0.0", 3),
                ctx.schedule_sub_orchestration_versioned_with_id("child", None, "other", 4),
            ]
        )
        return [each["ok"] for each in found]

    host = Host(style(story), None, child)
    for nth in range(4):
        host.complete_child("child", nth * 10, nth=nth)

    assert host.of(events.SubOrchestrationScheduled) == [
        events.SubOrchestrationScheduled(
            name="child", version=version, instance_id=instance, input=str(n), requested_version=requested
        )
        for n, (instance, version, requested) in enumerate(
            [
                ("i::sub::2", "1.0.0", None),
                ("mine", "1.0.0", None),
                ("i::sub::4", "2.0.0", "2.0.0"),
                ("other", "1.0.0", None),
            ],
            start=1,
        )
    ]
    assert host.output == [0, 10, 20, 30]


def test_a_child_that_failed_raises_its_error_at_the_wait(style) -> None:
    def story(ctx):
        try:
            yield ctx.schedule_sub_orchestration("story")
        except SubOrchestrationError as error:
            return [error.error_type, error.message]

    host = Host(style(story))
    host.fail_child("story", "shop.Declined", "expired")

    assert host.output == ["shop.Declined", "expired"]


def test_a_detached_start_is_recorded_and_waits_for_nothing(style) -> None:
    def story(ctx):
        first = yield ctx.start_orchestration("child", "a", 1)
        second = yield ctx.start_orchestration_versioned(child, "3.0.0", "b")
        return [first, second]

    host = Host(style(story), None, child)

    assert host.output == [None, None]
    assert host.of(events.OrchestrationChained) == [
        events.OrchestrationChained(name="child", version="1.0.0", instance_id="a", input="1"),
        events.OrchestrationChained(
            name="child", version="3.0.0", instance_id="b", input="null", requested_version="3.0.0"
        ),
    ]


def test_an_unknown_orchestration_stops_the_turn(style) -> None:
    def story(ctx):
        yield ctx.schedule_sub_orchestration_versioned("nobody", "1.2.3")

    with pytest.raises(NotRegistered, match="No orchestration 'nobody' version '1.2.3'"):
        Host(style(story))
