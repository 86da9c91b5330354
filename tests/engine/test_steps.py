"""Local steps: callables that `ctx.run` records like activities."""

from __future__ import annotations

import asyncio
from contextvars import ContextVar
from datetime import timedelta
from typing import Any

import pytest

from django_durable.engine import events
from django_durable.engine.errors import ActivityError, InvalidArgument, NondeterminismError
from django_durable.engine.failures import Failure
from django_durable.engine.replay import Execution
from django_durable.engine.retry import RetryPolicy

from .support import FakeEnvironment, Host

who: ContextVar[str] = ContextVar("who", default="nobody")


def add(a: int, b: int = 0) -> int:
    return a + b


def other(a: int, b: int = 0) -> int:
    return a - b


async def story(ctx: Any) -> Any:
    return await ctx.run(add, 1, b=2)


def scheduled(host: Host) -> events.ActivityScheduled:
    [found] = [event.fact for event in host.history if isinstance(event.fact, events.ActivityScheduled)]
    return found


def test_a_callable_is_recorded_with_its_arguments() -> None:
    host = Host(story)

    assert scheduled(host).name == "local:add"
    assert scheduled(host).input == '{"args": [1], "kwargs": {"b": 2}}'


def test_the_program_has_the_callable_live_and_after_a_replay() -> None:
    host = Host(story)
    rebuilt = Execution.replay(host.environment, host.history)

    for execution in (host.execution, rebuilt):
        step = execution.step_at(2)
        assert step is not None
        args, kwargs = step.decode_call("null")
        assert step.function(*args, **kwargs) == 3


def test_a_step_is_gone_once_its_result_is_recorded() -> None:
    host = Host(story)

    host.turn(events.ActivityCompleted(scheduled_seq=2, result="3"))

    assert host.execution.step_at(2) is None
    assert host.history[-1].fact == events.OrchestrationCompleted(output="3")


def test_a_generator_yields_steps() -> None:
    def gen(ctx: Any) -> Any:
        value = yield ctx.run(lambda: 20)
        return value + 1

    host = Host(gen)
    host.turn(events.ActivityCompleted(scheduled_seq=2, result="20"))

    assert host.history[-1].fact == events.OrchestrationCompleted(output="21")


def test_an_argument_that_cannot_be_recorded_is_no_obstacle() -> None:
    async def given(ctx: Any) -> Any:
        return await ctx.run(len, {object()})

    assert scheduled(Host(given)).input == "null"


def test_another_callable_at_its_place_is_told_apart() -> None:
    async def changed(ctx: Any) -> Any:
        return await ctx.run(other, 1, b=2)

    environment = FakeEnvironment(story=changed)

    with pytest.raises(NondeterminismError, match=r"local:add.*local:other"):
        Execution.replay(environment, Host(story).history)


def test_a_step_runs_under_the_context_variables_of_its_caller() -> None:
    async def told(ctx: Any) -> Any:
        who.set("me")
        future = ctx.run(who.get)
        who.set("later")
        return await future

    step = Host(told).execution.step_at(2)

    assert step is not None
    assert step.context.run(step.function) == "me"


def test_retries_and_timeouts_are_refined_on_the_future() -> None:
    async def refined(ctx: Any) -> Any:
        future = ctx.run(add, 1).with_retry(RetryPolicy(max_attempts=2))
        return await future.with_timeout(timedelta(seconds=1), total=5000)

    fact = scheduled(Host(refined))

    assert fact.retry is not None
    assert fact.retry["max_attempts"] == 2
    assert (fact.start_to_close_ms, fact.schedule_to_close_ms) == (1000, 5000)


@pytest.mark.parametrize("given", [0, timedelta(0), -1])
def test_a_timeout_that_is_no_time_is_refused(given: Any) -> None:
    async def refined(ctx: Any) -> Any:
        with pytest.raises(InvalidArgument):
            ctx.run(add, 1).with_timeout(given)

    assert scheduled(Host(refined)).start_to_close_ms is None


def test_an_error_keeps_its_name() -> None:
    async def caught(ctx: Any) -> Any:
        try:
            await ctx.run(add, 1)
        except ActivityError as error:
            return [error.error_type, error.message]

    host = Host(caught)
    failure = Failure("shop.Declined", "no funds", "traceback")
    host.turn(events.ActivityFailed(scheduled_seq=2, failure=failure))

    assert host.history[-1].fact == events.OrchestrationCompleted(output='["shop.Declined", "no funds"]')


def test_a_timeout_around_the_await_cancels_the_step() -> None:
    async def limited(ctx: Any) -> Any:
        try:
            async with asyncio.timeout(1):
                await ctx.run(add, 1)
        except TimeoutError:
            return "late"

    host = Host(limited)
    timer = next(event.seq for event in host.history if isinstance(event.fact, events.TimerCreated))
    host.turn(events.TimerFired(timer_seq=timer), after=timedelta(seconds=1))

    assert any(isinstance(event.fact, events.ActivityCancelRequested) for event in host.history)
    assert host.history[-1].fact == events.OrchestrationCompleted(output='"late"')
