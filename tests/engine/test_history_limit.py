"""A history that is too long ends its execution, at the end of the step that made it so, and replays."""

from __future__ import annotations

import pytest

from django_durable.engine import events
from django_durable.engine.errors import HistoryLimitExceeded, NondeterminismError
from django_durable.engine.failures import type_name
from django_durable.engine.program import Limits
from django_durable.engine.replay import Execution

from .support import FakeEnvironment, Host

LIMIT = 7


@pytest.fixture
def looping(style):
    def story(ctx):
        while True:
            yield ctx.schedule_activity("a")

    return style(story)


def run_out(story) -> Host:
    host = Host(story, history_events=LIMIT)
    while host.execution.outcome is None:
        host.complete("a", nth=-1)
    return host


def test_the_execution_fails_once_the_step_that_reaches_the_limit_is_recorded(looping) -> None:
    host = run_out(looping)

    assert [each.kind for each in host.history[-3:]] == [
        "ActivityCompleted",
        "ActivityScheduled",
        "OrchestrationFailed",
    ]
    assert len(host.history) == LIMIT + 2
    assert host.failure.error_type == type_name(HistoryLimitExceeded)
    assert f"has {LIMIT + 1} events, the limit is {LIMIT}" in host.failure.message


def test_facts_from_outside_alone_can_reach_the_limit(style) -> None:
    def story(ctx):
        yield ctx.wait_for_event("never")

    host = Host(style(story), history_events=LIMIT)
    host.turn(*[events.ExternalEvent(name="other", payload="1")] * 20)

    assert [each.kind for each in host.history[-2:]] == ["ExternalEvent", "OrchestrationFailed"]
    assert len(host.history) == LIMIT + 1
    assert host.execution.undelivered == 20 - (LIMIT - 2)


def test_an_execution_that_ends_with_the_step_that_reaches_the_limit_ends_as_it_does(style) -> None:
    def story(ctx):
        for _ in range(4):
            yield ctx.schedule_activity("a")
        return "done"

    host = Host(style(story), history_events=LIMIT + 2)
    for _ in range(4):
        host.complete("a", nth=-1)

    assert host.output == "done"


@pytest.mark.parametrize("limit", [LIMIT, 100_000], ids=["same limit", "raised since"])
def test_its_history_replays_whatever_the_limit_is_by_then(looping, limit) -> None:
    host = run_out(looping)

    replayed = Execution.replay(FakeEnvironment(looping, limits=Limits(history_events=limit)), host.history)

    assert replayed.outcome == host.history[-1].fact


def test_code_that_would_ask_for_more_at_that_place_is_still_nondeterministic(style, looping) -> None:
    host = run_out(looping)

    def story(ctx):
        while True:
            yield ctx.all([ctx.schedule_activity("a"), ctx.schedule_activity("b")])

    with pytest.raises(NondeterminismError):
        Execution.replay(FakeEnvironment(style(story)), host.history)
