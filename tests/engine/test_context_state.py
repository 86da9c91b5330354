"""The verbs about what an instance shows and knows: custom status, KV, time, chance, logs; and their misuse."""

from __future__ import annotations

import json
import threading
import uuid
from datetime import timedelta

import pytest

from django_durable.engine import events
from django_durable.engine.durations import epoch_ms
from django_durable.engine.errors import (
    ForbiddenInOrchestration,
    InvalidArgument,
)
from django_durable.engine.keyvalueverbs import GET_KV_VALUE
from django_durable.engine.replay import Execution

from .support import START, FakeEnvironment, Host, replay

# Custom status and KV.


def test_the_custom_status_is_what_the_code_last_set(style) -> None:
    def story(ctx):
        seen = [ctx.get_custom_status()]
        ctx.set_custom_status("packing")
        seen.append(ctx.get_custom_status())
        yield ctx.schedule_activity("a")
        seen.append(ctx.get_custom_status())
        ctx.set_custom_status({"progress": 0.5})
        seen.append(ctx.get_custom_status())
        ctx.reset_custom_status()
        return [*seen, ctx.get_custom_status()]

    host = Host(style(story))
    host.complete("a")

    assert host.output == [None, "packing", "packing", {"progress": 0.5}, None]
    assert [each.value for each in host.of(events.CustomStatusUpdated)] == ['"packing"', '{"progress": 0.5}', None]


def test_the_kv_verbs_read_their_own_writes(style) -> None:
    def story(ctx):
        ctx.set_kv_value("b", [1])
        ctx.set_kv_value("a", "7")
        ctx.set_kv_value("c", None)
        before = [ctx.get_kv_value("a", int), ctx.get_kv_all_values(), ctx.get_kv_all_keys(), ctx.get_kv_length()]
        yield ctx.schedule_activity("a")
        ctx.clear_kv_value("b")
        middle = ctx.get_kv_all_keys()
        ctx.clear_all_kv_values()
        return [*before, middle, ctx.get_kv_all_values(), ctx.get_kv_value("a")]

    host = Host(style(story))
    host.complete("a")

    assert host.output == [7, {"a": "7", "b": [1], "c": None}, ["a", "b", "c"], 3, ["a", "c"], {}, None]
    assert host.kinds[5:] == [
        "ActivityCompleted",
        "KeyValueCleared",
        "KeyValuesCleared",
        "OrchestrationCompleted",
    ]


def test_the_kv_value_of_another_instance_is_read_by_an_activity_of_the_engine(style) -> None:
    def story(ctx):
        found = yield ctx.get_kv_value_from_instance("other", "k")
        return found

    host = Host(style(story))
    [scheduled] = host.of(events.ActivityScheduled)
    host.complete(GET_KV_VALUE, {"x": 1})

    assert json.loads(scheduled.input) == {"instance_id": "other", "key": "k"}
    assert host.output == {"x": 1}


# Time, identity, chance.


def test_the_clock_moves_with_the_events(style) -> None:
    def story(ctx):
        first, started = ctx.now, (yield ctx.utc_now())
        yield ctx.schedule_activity("a")
        return [started, (ctx.now - first).total_seconds(), (yield ctx.utc_now()) - started]

    host = Host(style(story))
    host.turn(host.completed("a"), after=timedelta(seconds=3))

    assert host.output == [epoch_ms(host.history[0].recorded_at), 3.0, 3000]


def test_guids_and_random_numbers_are_new_at_each_call_and_the_same_on_each_replay(style) -> None:
    def story(ctx):
        ids = []
        for _ in range(3):
            guid = yield ctx.new_guid()
            ids.append(guid)
        yield ctx.schedule_activity("a", [*ids, ctx.random.random()])
        return [*ids, ctx.random.randrange(10**9)]

    host = Host(style(story))
    host.complete("a")
    other = Host(style(story), start={"seed": "other"})
    later = Host(style(story), start={"execution": 2})

    assert len({*host.output[:3]}) == 3
    assert all(uuid.UUID(each).version == 4 for each in host.output[:3])
    inputs = {each.of(events.ActivityScheduled)[0].input for each in (host, other, later)}
    assert len(inputs) == 3
    assert len(host.history) == 4  # none of them costs an event


def test_guids_do_not_give_the_random_numbers_away(style) -> None:
    def story(ctx):
        guid = yield ctx.new_guid()
        return [guid, str(uuid.UUID(int=ctx.random.getrandbits(128), version=4))]

    output = Host(style(story)).output

    assert output[0] != output[1]


def test_reading_the_clock_and_guids_never_suspends_the_code() -> None:
    seen = []

    async def story(ctx):
        seen.append(await ctx.utc_now())
        seen.append(await ctx.new_guid())
        ctx.schedule_activity("a").with_tag("still open")

    Host(story, rebuild=False)

    assert len(seen) == 2


def test_the_context_tells_what_is_running() -> None:
    def story(ctx):
        return [
            ctx.instance_id,
            ctx.execution_id,
            ctx.orchestration_name,
            ctx.orchestration_version,
            ctx.parent_instance_id,
        ]

    start = {"instance_id": "me", "execution": 3, "version": "2.1.0", "parent_instance_id": "mother"}

    assert Host(story, start=start).output == ["me", 3, "story", "2.1.0", "mother"]


# Logging.


def test_logging_is_silent_on_replay(style) -> None:
    def story(ctx):
        ctx.trace_info("one")
        yield ctx.schedule_activity("a")
        ctx.trace_debug("two")
        ctx.trace_warn("three %d")
        ctx.trace_error("four")
        ctx.logger.critical("five %d", 5)
        yield ctx.schedule_activity("b")

    told = style(story)
    host = Host(told)
    host.complete("a")
    environment = FakeEnvironment(told)
    Execution.replay(environment, host.history)

    assert host.environment.logged == ["one", "two", "three %d", "four", "five 5"]
    assert environment.logged == []


def test_the_code_can_tell_a_replay(style) -> None:
    seen = []

    def story(ctx):
        seen.append(ctx.is_replaying)
        yield ctx.schedule_activity("a")
        seen.append(ctx.is_replaying)

    told = style(story)
    host = Host(told, rebuild=False)
    replayed = replay(host, told)
    replayed.advance([host.completed("a")], now=START)

    assert seen == [False, True, False]


# Misuse.


def test_a_verb_called_from_a_thread_is_refused(style) -> None:
    def story(ctx):
        found = []

        def call():
            try:
                ctx.schedule_activity("a")
            except ForbiddenInOrchestration as error:
                found.append(str(error))

        thread = threading.Thread(target=call)
        thread.start()
        thread.join()
        yield ctx.utc_now()
        return found

    host = Host(style(story))

    assert "from outside the orchestration" in host.output[0]
    assert "ActivityScheduled" not in host.kinds


def test_a_verb_called_after_the_turn_is_refused(style) -> None:
    contexts = []

    def story(ctx):
        contexts.append(ctx)
        yield ctx.schedule_activity("a")

    host = Host(style(story), rebuild=False)

    for call in (
        lambda ctx: ctx.schedule_activity("b"),
        lambda ctx: ctx.set_custom_status("x"),
        lambda ctx: ctx.set_kv_value("k", 1),
        lambda ctx: ctx.start_orchestration("story", "other"),
    ):
        with pytest.raises(ForbiddenInOrchestration):
            call(contexts[0])
    assert contexts[0].get_kv_value("k") is None
    assert contexts[0].get_custom_status() is None
    assert host.complete("a")[-1].kind == "OrchestrationCompleted"


def test_what_is_yielded_by_mistake_can_be_caught() -> None:
    def story(ctx):
        try:
            yield {"type": "activity"}
        except TypeError as error:
            return str(error)[:36]

    assert Host(story).output == "The orchestration waits for dict {'t"


def test_a_session_of_the_wrong_type_is_named() -> None:
    def story(ctx):
        try:
            ctx.schedule_activity_on_session("a", 1, 7)
        except InvalidArgument as error:
            return str(error)

    assert Host(story).output == "The session id is 7, expected a string of 1 to 255 characters."
