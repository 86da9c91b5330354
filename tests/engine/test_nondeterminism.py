"""Histories replayed against changed code: each change that the code makes to its commands is told precisely."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from django_durable.engine import events
from django_durable.engine.errors import Difference, NondeterminismError, NotRegistered
from django_durable.engine.events import HistoryEvent
from django_durable.engine.replay import Execution

from .support import START, FakeEnvironment, Host, replay, started

DEFAULTS: dict[str, Any] = {
    "activity": "a",
    "input": 1,
    "status": "one",
    "kv": ("k", 1),
    "event": "e",
    "tag": "t",
    "session": "s",
    "child": "child",
    "child_input": 1,
    "detached": "other",
    "queue": "q",
    "duration": 50,
}


def told(**changes: Any) -> Callable[..., Any]:
    """Return an orchestration with a bit of everything, some of it changed; it waits for a timer in the end."""
    use = DEFAULTS | changes

    def original(ctx):
        yield ctx.schedule_activity(use["activity"], use["input"])
        ctx.set_custom_status(use["status"])
        ctx.set_kv_value(*use["kv"])
        yield ctx.wait_for_event(use["event"])
        ctx.schedule_activity("b").with_tag(use["tag"]).on_session(use["session"])
        if use["child"]:
            ctx.schedule_sub_orchestration_with_id("original", use["child"], use["child_input"])
        else:
            ctx.schedule_sub_orchestration("original", use["child_input"])
        ctx.start_orchestration("original", use["detached"], 1)
        ctx.dequeue_event(use["queue"])
        yield ctx.schedule_timer(use["duration"])

    return original


def recorded(style) -> Host:
    host = Host(style(told()))
    host.complete("a", 1)
    host.raise_event("e", 2)
    return host


# The same with commands in other places.


def swapped(ctx):
    yield ctx.schedule_activity("a", 1)
    ctx.set_kv_value("k", 1)
    ctx.set_custom_status("one")
    yield ctx.wait_for_event("e")


def inserted_first(ctx):
    yield ctx.schedule_activity("audit")
    yield ctx.schedule_activity("a", 1)


def inserted_later(ctx):
    yield ctx.schedule_activity("a", 1)
    ctx.set_custom_status("one")
    ctx.set_kv_value("k", 1)
    ctx.set_kv_value("k2", 1)
    yield ctx.wait_for_event("e")


def removed(ctx):
    yield ctx.schedule_activity("a", 1)
    ctx.set_kv_value("k", 1)
    yield ctx.wait_for_event("e")


def returned_early(ctx):
    yield ctx.schedule_activity("a", 1)
    ctx.set_custom_status("one")
    ctx.set_kv_value("k", 1)
    yield ctx.wait_for_event("e")
    return "done"


def of_another_kind(ctx):
    yield ctx.schedule_timer(5)


def failing(ctx):
    raise ValueError("new and broken")
    yield ctx.schedule_activity("a", 1)


MOVES: list[tuple[Callable[..., Any], int, list[Difference]]] = [
    (swapped, 4, [Difference("kind", "CustomStatusUpdated", "KeyValueSet")]),
    (inserted_first, 2, [Difference("name", "a", "audit"), Difference("input", "1", "null")]),
    (inserted_later, 6, [Difference("kind", "ExternalSubscribed", "KeyValueSet")]),
    (removed, 4, [Difference("kind", "CustomStatusUpdated", "KeyValueSet")]),
    (returned_early, 8, [Difference("kind", "ActivityScheduled", "OrchestrationCompleted")]),
    (of_another_kind, 2, [Difference("kind", "ActivityScheduled", "TimerCreated")]),
    (failing, 2, [Difference("kind", "ActivityScheduled", "OrchestrationFailed")]),
]
CHANGES: list[tuple[dict[str, Any], int, Difference]] = [
    ({"activity": "b"}, 2, Difference("name", "a", "b")),
    ({"input": 2}, 2, Difference("input", "1", "2")),
    ({"status": "two"}, 4, Difference("value", '"one"', '"two"')),
    ({"kv": ("k", 2)}, 5, Difference("value", "1", "2")),
    ({"kv": ("l", 1)}, 5, Difference("key", "k", "l")),
    ({"event": "f"}, 6, Difference("name", "e", "f")),
    ({"tag": "u"}, 8, Difference("tag", "t", "u")),
    ({"session": "r"}, 8, Difference("session_id", "s", "r")),
    ({"child": "another"}, 9, Difference("instance_id", "child", "another")),
    ({"child": None}, 9, Difference("instance_id", "child", "i::sub::9")),
    ({"child_input": 2}, 9, Difference("input", "1", "2")),
    ({"detached": "another"}, 10, Difference("instance_id", "other", "another")),
    ({"queue": "r"}, 11, Difference("queue", "q", "r")),
    ({"duration": 60}, 12, Difference("duration_ms", 50, 60)),
]


def test_unchanged_code_replays(style) -> None:
    host = recorded(style)

    assert replay(host, style(told())).history_length == len(host.history) == 12


@pytest.mark.parametrize(("moved", "seq", "differences"), MOVES, ids=lambda each: getattr(each, "__name__", ""))
def test_a_command_in_another_place_is_told(style, moved, seq: int, differences: list[Difference]) -> None:
    with pytest.raises(NondeterminismError) as caught:
        replay(recorded(style), style(moved))

    assert caught.value.seq == seq
    assert list(caught.value.differences) == differences


@pytest.mark.parametrize(("changes", "seq", "difference"), CHANGES, ids=str)
def test_a_change_is_told_with_its_place_and_field(style, changes, seq: int, difference: Difference) -> None:
    with pytest.raises(NondeterminismError) as caught:
        replay(recorded(style), style(told(**changes)))

    assert caught.value.seq == seq
    assert caught.value.differences == (difference,)
    assert f"{difference.field}: recorded {difference.recorded!r}, requested {difference.requested!r}." in str(
        caught.value
    )


def test_a_child_that_got_an_id_of_its_own_is_told_from_a_derived_one(style) -> None:
    def story(ctx):
        yield ctx.schedule_sub_orchestration("story")

    def changed(ctx):
        yield ctx.schedule_sub_orchestration_with_id("story", "mine")

    with pytest.raises(NondeterminismError, match="instance_id: recorded 'i::sub::2', requested 'mine'"):
        replay(Host(style(story)), style(changed))


def test_code_that_asks_for_more_than_was_recorded_is_told(style) -> None:
    def story(ctx):
        yield ctx.schedule_activity("a")

    def changed(ctx):
        ctx.schedule_activity("a")
        yield ctx.schedule_activity("b")

    with pytest.raises(NondeterminismError, match="at event 3: recorded nothing, the code now requests Activity"):
        replay(Host(style(story)), style(changed))


def test_code_that_asks_for_less_than_was_recorded_is_told(style) -> None:
    def story(ctx):
        ctx.schedule_activity("a")
        yield ctx.schedule_activity("b")

    def changed(ctx):
        yield ctx.schedule_activity("a")

    with pytest.raises(NondeterminismError, match="at event 3: recorded ActivityScheduled b, .* requests nothing"):
        replay(Host(style(story)), style(changed))


def test_code_that_no_longer_waits_for_what_then_came_is_told(style) -> None:
    def story(ctx):
        yield ctx.schedule_activity("a")
        yield ctx.schedule_activity("b")

    def changed(ctx):
        ctx.schedule_activity("a").cancel()
        ctx.schedule_activity("a")
        yield ctx.schedule_activity("b")

    host = Host(style(story))
    host.complete("a")

    with pytest.raises(NondeterminismError, match="at event 3: recorded ActivityCompleted"):
        replay(host, style(changed))


@pytest.mark.parametrize("change", ["output", "end"])
def test_a_finished_history_is_compared_to_its_last_event(style, change: str) -> None:
    def story(ctx):
        yield ctx.schedule_activity("a")
        return 1

    def other_output(ctx):
        yield ctx.schedule_activity("a")
        return 2

    def goes_on(ctx):
        yield ctx.schedule_activity("a")
        yield ctx.schedule_activity("b")

    host = Host(style(story))
    host.complete("a")

    assert replay(host, style(story)).outcome == events.OrchestrationCompleted(output="1")
    with pytest.raises(NondeterminismError, match="at event 4: recorded OrchestrationCompleted"):
        replay(host, style(other_output if change == "output" else goes_on))


def test_a_failure_may_have_moved_to_another_line(style) -> None:
    def story(ctx):
        yield ctx.schedule_activity("a")
        raise ValueError("no")

    def moved(ctx):
        yield ctx.schedule_activity("a")
        1 / 0  # noqa: B018

    host = Host(style(story))
    host.complete("a")

    assert replay(host, style(moved)).outcome == host.execution.outcome


def test_the_target_of_continuing_as_new_is_compared(style) -> None:
    def story(ctx):
        yield ctx.continue_as_new(1)

    def changed(ctx):
        yield ctx.continue_as_new(2)

    with pytest.raises(NondeterminismError, match="input: recorded '1', requested '2'"):
        replay(Host(style(story)), style(changed))


def test_code_that_is_missing_is_no_nondeterminism(style) -> None:
    with pytest.raises(NotRegistered):
        Execution.replay(FakeEnvironment(), recorded(style).history)


# Damaged histories.


def damaged(*places: Callable[[list[HistoryEvent]], Any]) -> list[HistoryEvent]:
    def story(ctx):
        yield ctx.schedule_activity("a")
        yield ctx.schedule_activity("b")

    host = Host(story)
    host.complete("a")
    host.complete("b")
    history = list(host.history)
    for place in places:
        place(history)
    return history


def at(history: list[HistoryEvent], fact: events.Fact) -> None:
    history.append(HistoryEvent(len(history) + 1, START, fact))


@pytest.mark.parametrize(
    "damage",
    [
        lambda history: history.pop(0),
        lambda history: history.pop(2),
        lambda history: history.insert(3, history[2]),
        lambda history: history.__setitem__(2, replace(history[2], seq=9)),
        lambda history: at(history, events.OrchestrationTerminated()),
        lambda history: at(history, events.ExternalEvent(name="e", payload="1")),
        lambda history: at(history, events.ActivityScheduled(name="c", input="null")),
    ],
    ids=["no start", "gap", "twice", "wrong seq", "ended twice", "event after the end", "command after the end"],
)
def test_a_damaged_history_is_refused(damage) -> None:
    def story(ctx):
        yield ctx.schedule_activity("a")
        yield ctx.schedule_activity("b")

    with pytest.raises(ValueError, match="The history is damaged: event"):
        Execution.replay(FakeEnvironment(story), damaged(damage))


def test_an_answer_of_another_kind_or_to_nothing_is_refused() -> None:
    def story(ctx):
        yield ctx.schedule_activity("a")

    for fact in (
        events.TimerFired(timer_seq=2),
        events.QueueEventDelivered(queue="q", subscribed_seq=2, payload="1"),
        events.SubOrchestrationCompleted(scheduled_seq=2, result="1"),
        events.ActivityCompleted(scheduled_seq=1, result="1"),
        events.OrchestrationStarted(**vars_of(started("story"))),
        events.EventEnqueued(queue="q"),
    ):
        history = list(Host(story).history)
        at(history, fact)
        with pytest.raises(NondeterminismError, match=f"at event 3: recorded {fact.kind}"):
            Execution.replay(FakeEnvironment(story), history)


def vars_of(fact: Any) -> dict[str, Any]:
    return {name: getattr(fact, name) for name in fact.__dataclass_fields__}


def test_an_execution_that_a_newer_engine_started_is_refused() -> None:
    def story(ctx):
        return 1

    newer = started("story", engine_version=events.ENGINE_VERSION + 1)
    for history, facts in (([HistoryEvent(1, START, newer)], []), ([], [newer])):
        with pytest.raises(ValueError, match="was started by engine version 3, this one is version 2"):
            Execution.replay(FakeEnvironment(story), history).advance(facts, now=START)


# ctx.patched.


def test_a_new_execution_takes_the_patched_way_and_records_it(style) -> None:
    def story(ctx):
        if ctx.patched("p"):
            yield ctx.schedule_activity("new")
        else:
            yield ctx.schedule_activity("old")

    host = Host(style(story))
    host.complete("new")

    assert host.kinds[1:3] == ["PatchMarked", "ActivityScheduled"]
    assert host.output is None


def test_an_execution_that_was_past_the_patch_goes_the_old_way_to_its_end(style) -> None:
    def story(ctx):
        yield ctx.schedule_activity("old")
        yield ctx.schedule_activity("next")
        return "old way"

    def changed(ctx):
        if ctx.patched("p"):
            yield ctx.schedule_activity("new")
        else:
            yield ctx.schedule_activity("old")
        yield ctx.schedule_activity("next")
        return "new way" if ctx.patched("p") else "old way"

    host = Host(style(story))
    execution = replay(host, style(changed))
    first = execution.advance([host.completed("old")], now=START)

    assert [each.kind for each in first] == ["ActivityCompleted", "ActivityScheduled"]
    rebuilt = replay(host, style(changed), [*host.history, *first])
    rebuilt.advance([events.ActivityCompleted(scheduled_seq=4, result="null")], now=START)
    assert rebuilt.outcome == events.OrchestrationCompleted(output='"old way"')


def test_an_execution_that_reaches_the_patch_later_takes_the_new_way(style) -> None:
    def story(ctx):
        yield ctx.schedule_activity("first")
        yield ctx.schedule_activity("old")

    def changed(ctx):
        yield ctx.schedule_activity("first")
        if ctx.patched("p"):
            yield ctx.schedule_activity("new")
        else:
            yield ctx.schedule_activity("old")

    host = Host(style(story))
    execution = replay(host, style(changed))
    new = execution.advance([host.completed("first")], now=START)

    assert [each.kind for each in new] == ["ActivityCompleted", "PatchMarked", "ActivityScheduled"]
    assert replay(host, style(changed), [*host.history, *new]).history_length == 5


def test_each_patch_answers_for_itself_and_always_the_same(style) -> None:
    def story(ctx):
        answers = [ctx.patched("p"), ctx.patched("q"), ctx.patched("p")]
        yield ctx.schedule_activity("a")
        return [*answers, ctx.patched("p"), ctx.patched("q")]

    host = Host(style(story))
    host.complete("a")

    assert host.output == [True] * 5
    assert [each.patch_id for each in host.of(events.PatchMarked)] == ["p", "q"]


def test_a_patch_that_was_recorded_and_is_gone_from_the_code_is_told(style) -> None:
    def story(ctx):
        ctx.patched("p")
        yield ctx.schedule_activity("new")

    def changed(ctx):
        yield ctx.schedule_activity("new")

    with pytest.raises(NondeterminismError, match="recorded PatchMarked p"):
        replay(Host(style(story)), style(changed))
