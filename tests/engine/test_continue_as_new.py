"""An execution that continues as new ends, and the next one starts with what it left."""

from __future__ import annotations

import json

import pytest

from django_durable.engine import events
from django_durable.engine.errors import NotRegistered
from django_durable.engine.events import CarriedEvent, StoredValue

from .support import Host, replay


def test_the_execution_ends_with_the_input_of_the_next(style) -> None:
    def story(ctx, n):
        yield ctx.schedule_activity("a")
        yield ctx.continue_as_new(n + 1)

    host = Host(style(story), 1)
    host.complete("a")
    start = host.execution.next_start()

    assert host.execution.outcome == events.OrchestrationContinuedAsNew(input="2", version=None)
    assert (start.execution, start.input, start.instance_id, start.seed) == (2, "2", "i", "seed")
    assert start.engine_version == events.ENGINE_VERSION


@pytest.mark.parametrize("ending", ["yield", "return", "forget"])
def test_it_ends_whether_the_code_waits_for_it_returns_it_or_forgets_it(style, ending: str) -> None:
    def story(ctx):
        future = ctx.continue_as_new()
        if ending == "yield":
            yield future
        if ending == "return":
            return future
        yield ctx.schedule_activity("never")

    host = Host(style(story))

    assert isinstance(host.execution.outcome, events.OrchestrationContinuedAsNew)


def test_what_was_asked_for_before_the_end_is_still_done(style) -> None:
    def story(ctx):
        ctx.continue_as_new()
        ctx.start_orchestration("story", "other")
        ctx.set_custom_status("bye")
        yield ctx.schedule_activity("a")

    assert Host(style(story)).kinds[1:] == [
        "OrchestrationChained",
        "CustomStatusUpdated",
        "ActivityScheduled",
        "OrchestrationContinuedAsNew",
    ]


def test_the_code_never_goes_on_after_it(style) -> None:
    seen = []

    def story(ctx):
        try:
            yield ctx.continue_as_new()
            seen.append("went on")
        except BaseException as error:
            seen.append(type(error).__name__)
            raise

    host = Host(style(story), rebuild=False)
    assert seen == []
    host.execution.close()

    assert seen == ["GeneratorExit"]


def test_kv_status_and_unread_events_go_along(style) -> None:
    def story(ctx):
        if ctx.execution_id == 1:
            ctx.set_kv_value("k", 1)
            ctx.set_custom_status("halfway")
            yield ctx.schedule_activity("a")
            yield ctx.continue_as_new()
        first = yield ctx.wait_for_event("e")
        second = yield ctx.wait_for_event("e")
        third = yield ctx.wait_for_event("e")
        return [ctx.get_kv_value("k"), ctx.get_custom_status(), first, second, third]

    host = Host(style(story))
    host.raise_event("e", 1)
    host.raise_event("other", 0)
    host.raise_event("e", 2)
    host.complete("a")
    start = host.execution.next_start()
    follower = host.next()
    follower.raise_event("e", 3)

    assert sorted(start.carried_events) == [CarriedEvent("e", "1"), CarriedEvent("e", "2"), CarriedEvent("other", "0")]
    assert list(start.kv) == ["k"]
    assert start.custom_status == '"halfway"'
    assert follower.output == [1, "halfway", 1, 2, 3]


def test_the_custom_status_can_be_read_and_changed_in_the_next_execution(style) -> None:
    def story(ctx):
        before = ctx.get_custom_status()
        ctx.set_custom_status(["seen", before])
        yield ctx.schedule_activity("a")
        if ctx.execution_id < 3:
            yield ctx.continue_as_new()
        return ctx.get_custom_status()

    host = Host(style(story))
    for _ in range(2):
        host.complete("a")
        host = host.next()
    host.complete("a")

    assert host.output == ["seen", ["seen", ["seen", None]]]


def test_an_event_that_was_read_is_not_carried(style) -> None:
    def story(ctx):
        yield ctx.wait_for_event("e")
        yield ctx.continue_as_new()

    host = Host(style(story))
    host.turn(*[events.ExternalEvent(name="e", payload=str(n)) for n in range(3)])

    # The others of the batch were not taken: they are for the next execution.
    assert host.execution.undelivered == 2
    assert host.execution.next_start().carried_events == ()


def test_carried_events_are_carried_on_by_an_execution_that_does_not_read_them(style) -> None:
    def story(ctx):
        yield ctx.schedule_activity("a")
        yield ctx.continue_as_new()

    host = Host(style(story))
    host.raise_event("e", 1)
    for _ in range(3):
        host.complete("a")
        host = host.next()
        host.raise_event("e", 2)

    host.complete("a")
    assert [each.payload for each in host.execution.next_start().carried_events] == ["1", "2", "2", "2"]


def test_queued_messages_are_left_for_the_next_execution(style) -> None:
    def story(ctx, seen):
        message = yield ctx.dequeue_event("q")
        seen = [*(seen or []), message]
        if message == "stop":
            return seen
        yield ctx.continue_as_new(seen)

    host = Host(style(story))
    host.enqueue("q", *range(130), "stop")
    while isinstance(host.execution.outcome, events.OrchestrationContinuedAsNew):
        host = host.next()

    assert host.output == [*range(130), "stop"]


def test_the_version_asked_for_is_recorded_and_resolved_for_the_next_start(style) -> None:
    def story(ctx):
        yield ctx.continue_as_new_versioned({"n": 1}, "2.0.0")

    host = Host(style(story))

    assert host.execution.outcome == events.OrchestrationContinuedAsNew(input='{"n": 1}', version="2.0.0")
    assert host.execution.next_start().version == "2.0.0"


def test_without_a_version_the_next_start_is_at_the_latest_one(style) -> None:
    def story(ctx):
        yield ctx.continue_as_new()

    host = Host(style(story), start={"version": "0.9.0"})

    assert host.execution.outcome == events.OrchestrationContinuedAsNew(input="null", version=None)
    assert host.execution.next_start().version == "1.0.0"


def test_a_parent_stays_the_parent(style) -> None:
    def story(ctx):
        yield ctx.continue_as_new()

    host = Host(style(story), start={"parent_instance_id": "mother"})

    assert host.execution.next_start().parent_instance_id == "mother"


def test_continuing_as_something_unknown_stops_the_turn() -> None:
    def story(ctx):
        ctx.continue_as_new()

    class Moved(Host):
        def _environment(self):
            environment = super()._environment()
            known = environment.orchestration
            environment.orchestration = lambda ref, version=None: (
                known(ref, version) if version else environment_without(ref)
            )
            return environment

    def environment_without(ref):
        raise NotRegistered("orchestration", ref)

    with pytest.raises(NotRegistered):
        Moved(story)


def test_chance_and_children_are_new_in_each_execution(style) -> None:
    def story(ctx):
        guid = yield ctx.new_guid()
        ctx.schedule_sub_orchestration("story", [guid, ctx.random.random()])
        yield ctx.continue_as_new()

    first = Host(style(story))
    second = first.next()
    children = [host.of(events.SubOrchestrationScheduled)[0] for host in (first, second)]

    assert [each.instance_id for each in children] == ["i::sub::2", "i::sub::2_2"]
    assert children[0].input != children[1].input


def test_the_snapshot_is_that_of_the_end_not_a_window_into_it(style) -> None:
    def story(ctx):
        ctx.set_kv_value("k", 1)
        yield ctx.continue_as_new()

    host = Host(style(story))
    start = host.execution.next_start()
    host.execution.close()

    assert start.kv == {"k": StoredValue("1", start.kv["k"].updated_ms)}
    assert json.loads(start.kv["k"].payload) == 1


def test_a_replayed_end_gives_the_same_next_start(style) -> None:
    def story(ctx):
        ctx.set_kv_value("k", 1)
        yield ctx.schedule_activity("a")
        ctx.set_custom_status("s")
        yield ctx.continue_as_new_versioned(7, "1.0.0")

    host = Host(style(story))
    host.raise_event("e", 1)
    host.complete("a")

    assert replay(host, style(story)).next_start() == host.execution.next_start()
