"""Where a history can be gone back to, what is kept of it and what is told again."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, strategies as st

from django_durable.engine import events
from django_durable.engine.errors import ActivityError, InvalidArgument
from django_durable.engine.events import HistoryEvent, OrchestrationTerminated
from django_durable.engine.replay import Execution, QueuedMessage
from django_durable.engine.rewind import CAUSES, Rewind, good_point, rewind

from .support import STYLES, FakeEnvironment, Host, arrivals, in_style, started
from .test_prefix_law import NAMES, STORIES, Drive, choices, law


@pytest.fixture(params=STYLES)
def style(request: pytest.FixtureRequest) -> Any:
    return request.param


def ended(host: Host, fact: events.Fact) -> list[HistoryEvent]:
    """Return a host's history as an operator ended it."""
    return [*host.history, HistoryEvent(len(host.history) + 1, host.now, fact)]


# The law: from every step of every history.


def resumed(story: Any, history: list[HistoryEvent], plan: Rewind) -> Execution:
    """Take a history up again as a worker does, and check that what came of it replays."""
    environment, kept = FakeEnvironment(story), history[: plan.kept]
    execution = Execution.replay(environment, kept)
    first = plan.first_fact(("i", 1), instance_id="again", execution=9, seed="other", parent=None)
    now = history[-1].recorded_at + timedelta(seconds=1)
    new = execution.advance([first, *plan.repeated], now=now)
    queued = [QueuedMessage(n, queue, payload) for n, (queue, payload) in enumerate(plan.queued)]
    new += execution.deliver(queued, now=now)[0]
    again = Execution.replay(FakeEnvironment(story), [*kept, *new])
    assert again.history_length == len(kept) + len(new)
    again.close()
    return execution


@law
@given(picks=choices)
def test_every_step_can_be_gone_back_to_and_what_comes_of_it_replays(story: Any, picks: list[int]) -> None:
    for history in Drive(story, picks, step=timedelta(milliseconds=70)).histories:
        for step in arrivals(history):
            resumed(story, history, rewind(history, step.seq)).close()


@law
@given(picks=choices)
def test_what_is_open_at_a_point_is_what_the_code_waits_for_there(story: Any, picks: list[int]) -> None:
    kinds = {events.ActivityScheduled, events.TimerCreated, events.SubOrchestrationScheduled, events.PromiseCreated}
    for history in Drive(story, picks, step=timedelta(milliseconds=70)).histories:
        for step in arrivals(history):
            plan = rewind(history, step.seq)
            execution = Execution.replay(FakeEnvironment(story), history[: plan.kept])
            waiting = {seq for seq, _ in execution.waiting_for() if type(history[seq - 1].fact) in kinds}
            told = {fact.source_seq for fact in plan.repeated if fact.source_seq is not None}
            again = {seq for seq, _ in (*plan.activities, *plan.timers, *plan.promises)} | {
                child.seq for child in plan.children
            }
            assert waiting == told | again
            assert not told & again
            assert not any(isinstance(fact, CAUSES) for fact in plan.repeated)
            if plan.kept:
                assert plan.key_values == execution._program.key_values.snapshot()
            execution.close()


@law
@given(picks=choices)
def test_a_good_point_is_a_step_that_can_be_gone_back_to(story: Any, picks: list[int]) -> None:
    for history in Drive(story, picks, step=timedelta(milliseconds=70)).histories:
        try:
            point = good_point(history)
        except InvalidArgument:
            continue
        assert rewind(history, point).kept == point - 1


@pytest.mark.parametrize("story", STORIES, ids=NAMES)
@given(number=st.integers(-3, 70))
def test_any_other_event_is_refused_with_one_that_is_not(story: Any, number: int) -> None:
    [history, *_] = Drive(story, [1, 2, 3], step=timedelta(milliseconds=70)).histories
    steps = {each.seq for each in arrivals(history)}
    if not isinstance(history[-1].fact, events.TERMINAL_FACTS):
        steps.add(len(history) + 1)
    if number in steps:
        assert rewind(history, number).kept == number - 1
        return
    with pytest.raises(InvalidArgument) as caught:
        rewind(history, number)
    if 1 <= number <= len(history):
        named = int(str(caught.value).rpartition("event ")[2].rstrip("."))
        assert named in steps


# Good points.


def test_it_is_the_failure_that_the_code_passed_on(style: str) -> None:
    def story(ctx):
        yield ctx.schedule_activity("a")
        yield ctx.schedule_activity("b")

    host = Host(in_style(story, style))
    host.complete("a")
    host.fail("b")
    assert good_point(host.history) == host.seq(events.ActivityFailed)


def test_it_is_the_first_of_the_failures_after_the_last_work(style: str) -> None:
    def story(ctx):
        found = yield ctx.all([ctx.schedule_activity(name) for name in "abc"])
        raise LookupError(str(found))

    host = Host(in_style(story, style))
    host.complete("b")
    host.fail("c")
    host.fail("a")
    assert good_point(host.history) == host.seq(events.ActivityFailed)


def test_waiting_and_noting_are_no_work_that_keeps_from_going_back(style: str) -> None:
    def story(ctx):
        try:
            yield ctx.schedule_activity("a")
        except ActivityError:
            ctx.set_custom_status("failed")
            ctx.set_kv_value("failed", True)
            yield ctx.schedule_timer(1000)
            ctx.schedule_activity("never begun")
            raise

    host = Host(in_style(story, style))
    host.fail("a")
    host.fire()
    assert host.failure
    assert good_point(host.history) == host.seq(events.ActivityFailed)


@pytest.mark.parametrize("verb", ["schedule_activity", "schedule_sub_orchestration"])
def test_work_since_the_failure_that_ended_it_leaves_the_choice_to_the_operator(style: str, verb: str) -> None:
    def story(ctx):
        try:
            yield ctx.schedule_activity("a")
        except ActivityError:
            yield getattr(ctx, verb)("story")
            raise

    host = Host(in_style(story, style))
    host.fail("a")
    (host.complete if verb == "schedule_activity" else host.complete_child)("story")
    with pytest.raises(InvalidArgument, match=rf"gone on since, with event \d+ .*for example {host.seq(CAUSES[0])}\."):
        good_point(host.history)


def test_an_instance_that_was_started_in_the_last_step_was_begun(style: str) -> None:
    def story(ctx):
        try:
            yield ctx.schedule_activity("a")
        except ActivityError:
            ctx.start_orchestration("story", "other")
            raise

    host = Host(in_style(story, style))
    host.fail("a")
    with pytest.raises(InvalidArgument, match="OrchestrationChained"):
        good_point(host.history)


def test_an_error_of_the_code_itself_goes_back_to_the_last_fact(style: str) -> None:
    def story(ctx):
        try:
            yield ctx.schedule_activity("a")
        except ActivityError:
            yield ctx.schedule_activity("b")
        yield ctx.wait_for_event("e")
        raise LookupError

    host = Host(in_style(story, style))
    host.fail("a")
    host.complete("b")
    host.raise_event("e")
    assert good_point(host.history) == host.seq(events.ExternalEvent)


def test_an_end_without_asking_goes_back_to_where_it_stood_or_to_the_start(style: str) -> None:
    def story(ctx):
        yield ctx.schedule_activity("a")

    host = Host(in_style(story, style))
    stood = ended(host, OrchestrationTerminated())
    assert good_point(stood) == len(stood) == 3
    assert rewind(stood, 3).activities[0][0] == 2
    never_ran = [host.history[0], HistoryEvent(2, host.now, events.OrchestrationCanceled(output="null"))]
    assert good_point(never_ran) == 1
    with pytest.raises(InvalidArgument, match="Go back to event 1"):
        rewind(never_ran, 2)


def test_what_has_not_failed_has_no_good_point(style: str) -> None:
    def story(ctx):
        yield ctx.schedule_activity("a")

    host = Host(in_style(story, style))
    with pytest.raises(InvalidArgument, match="has not failed"):
        good_point(host.history)
    host.complete("a")
    with pytest.raises(InvalidArgument, match="has not failed"):
        good_point(host.history)


# What is kept.


def test_the_identity_is_that_of_the_last_rewind_and_an_id_that_was_chosen_is_reserved(style: str) -> None:
    def story(ctx):
        yield ctx.schedule_activity("a")
        ctx.schedule_sub_orchestration("story")
        yield ctx.schedule_sub_orchestration_with_id("story", "chosen")

    host = Host(in_style(story, style))
    host.turn(
        events.OrchestrationRewound(
            copied_from="other",
            copied_execution=3,
            instance_id="again",
            execution=7,
            seed="new",
            parent_instance_id="p",
        )
    )
    host.complete("a")
    plan = rewind(host.history, 4)
    assert (plan.started.instance_id, plan.started.execution, plan.started.seed) == ("again", 7, "new")
    assert plan.reserved == ("chosen",)
    assert [child.starter for child in rewind(host.history, len(host.history) + 1).children] == ["again", "again"]


def test_an_empty_history_takes_the_start_with_the_new_identity(style: str) -> None:
    def story(ctx):
        yield ctx.wait_for_event("e")

    host = Host(in_style(story, style), start={"kv": {"k": events.StoredValue("1", 2)}, "custom_status": '"s"'})
    plan = rewind(host.history, 1)
    first = plan.first_fact(("i", 1), instance_id="other", execution=4, seed="x", parent="p")
    assert first == started(
        "story",
        kv=host.started.kv,
        custom_status='"s"',
        instance_id="other",
        execution=4,
        seed="x",
        parent_instance_id="p",
    )
    assert (plan.key_values, plan.custom_status) == (host.started.kv, '"s"')
