"""Every documented limit raises at the call that passes it, can be caught, and leaves nothing behind."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from django_durable.engine.errors import InvalidArgument, LimitExceeded
from django_durable.engine.events import ActivityCompleted
from django_durable.engine.program import Limits

from .support import Host

SMALL = {
    "kv_keys": 2,
    "kv_value_bytes": 10,
    "custom_status_bytes": 10,
    "tag_bytes": 4,
    "name_length": 4,
    "instance_id_length": 4,
}


def fill(ctx: Any, keys: int) -> None:
    for n in range(keys):
        ctx.set_kv_value(f"k{n}", n)


# (within the limit, one past it, what the error names)
LIMITED: list[tuple[Callable[[Any], Any], Callable[[Any], Any], str]] = [
    (lambda ctx: fill(ctx, 2), lambda ctx: fill(ctx, 3), "The number of KV keys is 3, the limit is 2"),
    (
        lambda ctx: ctx.set_kv_value("k", "x" * 8),
        lambda ctx: ctx.set_kv_value("k", "x" * 9),
        "in bytes is 11, the limit is 10",
    ),
    (
        lambda ctx: ctx.set_custom_status("x" * 8),
        lambda ctx: ctx.set_custom_status("x" * 9),
        "The custom status in bytes is 11, the limit is 10",
    ),
    (
        lambda ctx: ctx.schedule_activity("a").with_tag("éé"),
        lambda ctx: ctx.schedule_activity("a").with_tag("ééé"),
        "The tag in bytes is 6, the limit is 4",
    ),
    (lambda ctx: ctx.wait_for_event("name"), lambda ctx: ctx.wait_for_event("names"), "1 to 4 characters"),
    (lambda ctx: ctx.dequeue_event("name"), lambda ctx: ctx.dequeue_event("names"), "1 to 4 characters"),
    (lambda ctx: ctx.set_kv_value("name", 1), lambda ctx: ctx.set_kv_value("names", 1), "1 to 4 characters"),
    (lambda ctx: ctx.patched("name"), lambda ctx: ctx.patched("names"), "1 to 4 characters"),
    (
        lambda ctx: ctx.start_orchestration("story", "éééé"),
        lambda ctx: ctx.start_orchestration("story", "ééééé"),
        "The instance id is",
    ),
    (
        lambda ctx: ctx.schedule_sub_orchestration_with_id("story", "name"),
        lambda ctx: ctx.schedule_sub_orchestration_with_id("story", "names"),
        "The instance id is",
    ),
]


@pytest.mark.parametrize(
    ("within", "past", "named"),
    LIMITED,
    ids=["kv keys", "kv value", "status", "tag", "event", "queue", "kv key", "patch", "detached id", "child id"],
)
def test_the_last_allowed_value_passes_and_the_next_one_raises_at_the_call(
    style, within: Callable[[Any], Any], past: Callable[[Any], Any], named: str
) -> None:
    def allowed(ctx):
        within(ctx)
        yield ctx.utc_now()

    def refused(ctx):
        try:
            past(ctx)
        except (LimitExceeded, InvalidArgument) as error:
            return str(error)
        yield ctx.utc_now()

    assert Host(style(allowed), None, story, **SMALL).output is None
    assert named in Host(style(refused), None, story, **SMALL).output


def story(ctx): ...


def test_a_limit_that_nobody_catches_fails_the_execution_and_what_was_over_it_is_not_recorded(style) -> None:
    def story(ctx):
        ctx.set_custom_status("fine")
        yield ctx.utc_now()
        ctx.set_custom_status("x" * 100)

    host = Host(style(story), **SMALL)

    assert host.failure.error_type.endswith("LimitExceeded")
    assert host.kinds == ["OrchestrationStarted", "CustomStatusUpdated", "OrchestrationFailed"]


def test_the_status_and_entries_stay_what_they_were_before_the_refused_one(style) -> None:
    def story(ctx):
        ctx.set_custom_status("fine")
        ctx.set_kv_value("k", "fine")
        for write in (lambda: ctx.set_custom_status("x" * 100), lambda: ctx.set_kv_value("k", "x" * 100)):
            try:
                write()
            except LimitExceeded:
                yield ctx.utc_now()
        return [ctx.get_custom_status(), ctx.get_kv_value("k")]

    assert Host(style(story), **SMALL).output == ["fine", "fine"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("kv_keys", 150),
        ("kv_value_bytes", 65_536),
        ("custom_status_bytes", 262_144),
        ("tag_bytes", 256),
        ("steps_per_turn", 100_000),
        ("history_events", 200_000),
    ],
)
def test_the_limits_are_those_that_are_documented(name: str, value: int) -> None:
    assert getattr(Limits(), name) == value


@pytest.mark.parametrize("count", [1000, 5000])
def test_a_fan_out_of_thousands_stays_within_the_steps_of_a_turn(count: int) -> None:
    async def story(ctx, count):
        found = await ctx.all([ctx.run("a", n) for n in range(count)])
        return len(found)

    host = Host(story, count, rebuild=False)
    seqs = [each.seq for each in host.history if each.kind == "ActivityScheduled"]
    host.turn(*[ActivityCompleted(scheduled_seq=seq, result="1") for seq in seqs])

    assert host.output == count
