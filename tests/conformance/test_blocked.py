"""Instances whose code is missing or has diverged: parked with the reason, and nothing is lost until it is back.

With real processes: `tests/acceptance/test_sharing.py`.
"""

from __future__ import annotations

from datetime import timedelta

import pytest

from django_durable import ActivityError, CancelledError, IllegalTransition, SubOrchestrationError
from django_durable.client import Client
from django_durable.registry import Registry
from django_durable.testing import Durable
from django_durable.worker.instrumentation import Instrumentation
from django_durable.worker.maintenance import OFTEN, Maintenance

from .measures import row_counts, statements


@pytest.fixture
def code(registry):
    """Fill the registry with two orchestrations and an activity, and return it."""

    @registry.activity("echo")
    def echo(value=None):
        return value

    @registry.orchestration("waits")
    def waits(ctx, first: str = "first"):
        try:
            ctx.set_custom_status((yield ctx.schedule_activity("echo", first)))
            one = yield ctx.wait_for_event("go")
            two = yield ctx.dequeue_event("box")
            return [one, two]
        except CancelledError:
            ctx.set_custom_status("asked")
            raise

    @registry.orchestration("parent")
    def parent(ctx):
        try:
            return (yield ctx.schedule_sub_orchestration_with_id("waits", f"{ctx.instance_id}-child"))
        except SubOrchestrationError as error:
            return error.error_type

    return registry


def without_code() -> Durable:
    """Return a worker of a deployment that lacks all of it."""
    return Durable(Registry())


def maintain(registry: Registry, durable: Durable, times: int = 1) -> None:
    """Do what every worker does from its start on, every few seconds."""
    maintenance = Maintenance(
        registry,
        worker_id="maintainer",
        lease=timedelta(seconds=30),
        instrumentation=Instrumentation("maintainer"),
        using="default",
    )
    for _ in range(times):
        maintenance(durable.now())
        durable.run()
        durable.clock.advance(OFTEN)


def blocked(client: Client, instance_id: str) -> str:
    """Return why an instance is blocked."""
    status = client.get_status(instance_id)
    assert status.runtime_status == "Blocked"
    return status.blocked_reason.message


# Missing code.


def test_missing_code_parks_with_its_name_and_what_is_there(durable, code):
    durable.client.start_orchestration("it", "waits")
    without_code().run()
    reason = blocked(durable.client, "it")
    assert reason.startswith("No orchestration 'waits' version '1.0.0' is registered in this process.")
    assert "Decorate it with @orchestration" in reason


def test_it_goes_on_by_itself_where_a_worker_with_the_code_starts(durable, code):
    durable.client.start_orchestration("it", "waits")
    without_code().run()
    durable.client.raise_event("it", "go", 1)
    durable.client.enqueue_event("it", "box", 2)
    durable.run()
    assert blocked(durable.client, "it")
    maintain(code, durable)
    assert durable.client.get_output("it") == [1, 2]


def test_it_goes_on_when_somebody_resumes_it(durable, code):
    durable.client.start_orchestration("it", "waits")
    durable.run()
    durable.client.raise_event("it", "go", 1)
    without_code().run()
    durable.client.enqueue_event("it", "box", 2)
    durable.client.resume_instance("it")
    durable.run()
    assert durable.client.get_output("it") == [1, 2]


def test_it_stays_blocked_while_the_code_is_missing_however_often_it_is_resumed(durable, code):
    durable.client.start_orchestration("it", "waits")
    for _ in range(3):
        without_code().run()
        assert blocked(durable.client, "it")
        durable.client.resume_instance("it")
    durable.run()
    assert durable.client.get_status("it").custom_status == "first"


def test_a_version_that_is_gone_blocks_what_was_pinned_to_it(durable, code):
    @code.orchestration("waits", version="2.0.0")
    def second(ctx, first: str = "first"):
        return "second"
        yield

    durable.client.start_orchestration("old", "waits", version="1.0.0")
    durable.client.start_orchestration("new", "waits")
    only_second = Registry()
    only_second.orchestration("waits", version="2.0.0")(second.function)
    Durable(only_second).run()
    assert durable.client.get_output("new") == "second"
    assert "version '1.0.0'" in blocked(durable.client, "old")


def test_an_activity_name_that_nobody_registered_blocks_the_instance_that_asks_for_it(durable, code):
    @code.orchestration("asks")
    def asks(ctx):
        try:
            return (yield ctx.schedule_activity("later"))
        except ActivityError:
            return "not reached"

    durable.client.start_orchestration("it", "asks")
    durable.run()
    assert blocked(durable.client, "it").startswith("No activity 'later' is registered in this process.")
    assert durable.client.read_execution_history("it") == []

    @code.activity("later")
    def later() -> str:
        return "came"

    maintain(code, durable)
    assert durable.client.get_output("it") == "came"


def test_a_parent_waits_for_a_blocked_child(durable, code):
    durable.client.start_orchestration("it", "parent")
    halves = Registry()
    halves.orchestration("parent")(code.get_orchestration("parent").function)
    halves.orchestration("waits")(code.get_orchestration("waits").function)
    Durable(halves).run()
    assert blocked(durable.client, "it-child").startswith("No activity 'echo'")
    assert durable.client.get_status("it").runtime_status == "Running"
    durable.client.resume_instance("it-child")
    durable.run()
    durable.client.raise_event("it-child", "go", 1)
    durable.client.enqueue_event("it-child", "box", 2)
    durable.run()
    assert durable.client.get_output("it") == [1, 2]


def test_maintenance_asks_less_and_less_often_for_what_blocks_again(durable, code):
    """Its orchestration is here, an activity that it names is not."""

    @code.orchestration("asks")
    def asks(ctx):
        yield ctx.schedule_activity("later")

    durable.client.start_orchestration("it", "asks")
    durable.run()
    before = durable.client.get_status("it").revision
    maintain(code, durable, times=40)
    resumed = (durable.client.get_status("it").revision - before) // 2
    assert 3 <= resumed <= 8
    assert blocked(durable.client, "it")


# What happens to it meanwhile.


def test_everything_it_is_sent_meanwhile_is_kept_in_order(durable, code):
    @code.orchestration("collects")
    def collects(ctx, count: int):
        seen = []
        for _ in range(count):
            seen.append((yield ctx.wait_for_event("sign")))
        return seen

    durable.client.start_orchestration("it", "collects", 6)
    durable.client.raise_event("it", "sign", 0)
    without_code().run()
    for number in range(1, 6):
        durable.client.raise_event("it", "sign", number)
        without_code().run()
    durable.client.resume_instance("it")
    durable.run()
    assert durable.client.get_output("it") == [0, 1, 2, 3, 4, 5]


def test_timers_and_activities_that_end_meanwhile_are_not_lost(durable, code):
    ran = []

    @code.activity("notes")
    def notes() -> str:
        ran.append("notes")
        return "noted"

    @code.orchestration("both")
    def both(ctx):
        results = yield ctx.all([ctx.schedule_timer(1000), ctx.schedule_activity("notes").with_tag("other")])
        return [each["ok"] for each in results]

    durable.client.start_orchestration("it", "both")
    without = Durable(Registry())
    Durable(code).run()
    without.clock.advance(timedelta(seconds=2))
    without.run()
    assert blocked(durable.client, "it")
    durable.run()
    assert ran == ["notes"]
    assert blocked(durable.client, "it")
    durable.client.resume_instance("it")
    durable.advance(seconds=2)
    assert durable.client.get_output("it") == [None, "noted"]
    assert ran == ["notes"]


def test_it_can_be_canceled_at_once_and_its_parent_hears_of_it(durable, code):
    durable.client.start_orchestration("it", "parent")
    durable.run()
    durable.client.raise_event("it-child", "go", 1)
    without_code().run()
    assert blocked(durable.client, "it-child")
    durable.client.cancel_instance("it-child", "no use")
    assert durable.client.get_status("it-child").runtime_status == "Canceled"
    durable.run()
    assert durable.client.get_output("it") == "CancelledError"


def test_it_can_be_terminated_or_deleted(durable, code):
    for key in ("one", "two"):
        durable.client.start_orchestration(key, "waits")
    without_code().run()
    durable.client.terminate_instance("one")
    assert durable.client.get_status("one").runtime_status == "Terminated"
    with pytest.raises(IllegalTransition):
        durable.client.delete_instance("two")
    durable.client.delete_instance("two", force=True)
    durable.client.delete_instance("one")
    assert not +row_counts()


def test_it_cannot_be_suspended_and_says_so(durable, code):
    durable.client.start_orchestration("it", "waits")
    without_code().run()
    with pytest.raises(IllegalTransition, match="Cannot suspend instance 'it': it is Blocked"):
        durable.client.suspend_instance("it")


# Diverged code.


def changed(code: Registry, function) -> Durable:
    """Return a worker of a deployment that changed one orchestration."""
    other = Registry()
    other.activity("echo")(code.get_activity("echo").function)
    other.activity("other")(lambda value=None: value)
    other.orchestration("waits")(function)
    return Durable(other)


def asks_otherwise(ctx, first: str = "first"):
    yield ctx.schedule_activity("echo", "other input")
    yield ctx.wait_for_event("go")


def asks_for_another(ctx, first: str = "first"):
    yield ctx.schedule_activity("other", first)
    yield ctx.wait_for_event("go")


def asks_less(ctx, first: str = "first"):
    yield ctx.wait_for_event("go")


def asks_more(ctx, first: str = "first"):
    ctx.set_custom_status("started")
    ctx.set_custom_status((yield ctx.schedule_activity("echo", first)))
    yield ctx.wait_for_event("go")


def asks_nothing(ctx, first: str = "first"):
    return "done"
    yield


@pytest.mark.parametrize(
    ("function", "difference"),
    [
        (asks_otherwise, "input: recorded '\"first\"', requested '\"other input\"'"),
        (asks_for_another, "name: recorded 'echo', requested 'other'"),
        (asks_less, "recorded ActivityScheduled echo, the code now requests ExternalSubscribed"),
        (asks_more, "recorded ActivityScheduled echo, the code now requests CustomStatusUpdated"),
        (asks_nothing, "recorded ActivityScheduled echo, the code now requests OrchestrationCompleted"),
    ],
)
def test_diverged_code_parks_with_the_difference_and_goes_on_when_it_is_restored(durable, code, function, difference):
    durable.client.start_orchestration("it", "waits")
    durable.run()
    history = durable.client.read_execution_history("it")
    durable.client.raise_event("it", "go", 1)
    changed(code, function).run()
    reason = blocked(durable.client, "it")
    assert difference in reason
    assert "then resume the instance." in reason
    assert durable.client.read_execution_history("it") == history
    assert durable.client.get_status("it").custom_status == "first"
    durable.client.enqueue_event("it", "box", 2)
    durable.client.resume_instance("it")
    durable.run()
    assert durable.client.get_output("it") == [1, 2]


def test_diverged_code_is_not_resumed_by_itself(durable, code):
    durable.client.start_orchestration("it", "waits")
    durable.run()
    durable.client.raise_event("it", "go", 1)
    changed(code, asks_less).run()
    maintain(code, durable, times=3)
    assert blocked(durable.client, "it")
    durable.client.cancel_instance("it")
    assert durable.client.get_status("it").runtime_status == "Canceled"


# Others.


def test_hundreds_of_blocked_instances_cost_others_nothing(durable, code):
    durable.run()
    with statements() as idle:
        durable.run()
    for number in range(200):
        durable.client.start_orchestration(f"blocked-{number}", "waits")
    without_code().run()
    assert len(durable.client.list_instances_by_status("Blocked")) == 200
    with statements() as idle_beside_blocked:
        durable.run()
    assert len(idle_beside_blocked) == len(idle)


def test_messages_to_hundreds_of_blocked_instances_do_not_hold_up_others(durable, code):
    for number in range(200):
        durable.client.start_orchestration(f"blocked-{number}", "waits")
    without_code().run()
    for number in range(200):
        durable.client.raise_event(f"blocked-{number}", "go", 1)
    durable.client.start_orchestration("it", "waits")
    durable.run()
    assert durable.client.get_status("it").custom_status == "first"
    with statements() as after:
        durable.run()
    with statements() as again:
        durable.run()
    assert len(after) == len(again)
    assert durable.client.get_queue_depths().held_messages == 400
