"""What becomes of the author's code: its errors, the steps it may run, and its end when the program is dropped.

Warnings are errors in this suite, those of the garbage collector included: code that is left suspended makes noise.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from django_durable.engine import events
from django_durable.engine.replay import Execution

from .support import START, FakeEnvironment, Host, dropped, started

# Errors of the author.


def test_what_the_code_raises_fails_the_execution_with_type_message_and_traceback(style) -> None:
    def story(ctx):
        yield ctx.schedule_activity("a")
        raise ZeroDivisionError("of course")

    host = Host(style(story))
    host.complete("a")

    assert (host.failure.error_type, host.failure.message) == ("ZeroDivisionError", "of course")
    assert "raise ZeroDivisionError" in host.failure.traceback


class Unprintable(Exception):
    def __str__(self) -> str:
        raise RuntimeError("not even this")


class Unpicklable(Exception):
    def __init__(self) -> None:
        super().__init__("no pickle")

    def __reduce__(self) -> Any:
        raise TypeError("cannot pickle")


@pytest.mark.parametrize(
    "make",
    [
        Unprintable,
        Unpicklable,
        lambda: ValueError("lone \ud800 surrogate"),
        lambda: ValueError("x" * 10**6),
        lambda: ExceptionGroup("several", [ValueError(1), KeyError(2)]),
        lambda: SystemExit(3),
        GeneratorExit,
        lambda: BaseException("base"),
        RecursionError,
    ],
    ids=lambda make: type(make()).__name__,
)
def test_an_execution_fails_whatever_its_code_raises(style, make: Callable[[], BaseException]) -> None:
    def story(ctx):
        yield ctx.utc_now()
        raise make()

    failure = Host(style(story)).failure

    assert failure.error_type.rpartition(".")[2] == type(make()).__name__
    assert len(failure.message) < 10_000
    failure.message.encode()


def test_endless_recursion_fails_the_execution(style) -> None:
    def story(ctx):
        def deeper():
            return deeper()

        yield ctx.utc_now()
        deeper()

    assert Host(style(story)).failure.error_type == "RecursionError"


def test_a_keyboard_interrupt_is_the_operators_and_fails_nothing(style) -> None:
    def story(ctx):
        yield ctx.schedule_activity("a")
        raise KeyboardInterrupt

    host = Host(style(story), rebuild=False)
    with pytest.raises(KeyboardInterrupt):
        host.complete("a")
    assert host.execution.outcome is None
    dropped(host)


def test_an_output_that_cannot_be_encoded_fails_the_execution(style) -> None:
    def story(ctx):
        yield ctx.utc_now()
        return object()

    assert Host(style(story)).failure.error_type.endswith("PayloadError")


def test_an_input_that_cannot_be_decoded_fails_the_execution(style) -> None:
    def story(ctx, input):
        yield ctx.utc_now()

    execution = Execution(FakeEnvironment(style(story)))
    execution.advance([replace(started("story"), input="no json")], now=START)

    assert isinstance(execution.outcome, events.OrchestrationFailed)


def test_a_plain_function_is_an_orchestration_that_ends_at_once() -> None:
    def story(ctx, input):
        ctx.schedule_activity("a")
        return input * 2

    host = Host(story, 21)

    assert host.output == 42
    assert host.kinds == ["OrchestrationStarted", "ActivityScheduled", "OrchestrationCompleted"]


def test_a_plain_function_may_return_what_is_to_be_waited_for() -> None:
    def story(ctx):
        return ctx.schedule_activity("a")

    host = Host(story)
    host.complete("a", 1)

    assert host.output == 1


def test_an_orchestration_may_return_a_generator_or_coroutine_of_another_function() -> None:
    def inner(ctx):
        return (yield ctx.schedule_activity("a"))

    async def inner_async(ctx):
        return await ctx.schedule_activity("a")

    for function in (inner, inner_async):
        host = Host(returning(function))
        host.complete("a", 1)
        assert host.output == 1


def returning(function: Callable[..., Any]) -> Callable[..., Any]:
    def story(ctx):
        return function(ctx)

    return story


# Steps.


@pytest.mark.parametrize(
    "spin",
    [
        lambda ctx: asyncio.sleep(0),
        lambda ctx: ctx.utc_now(),
        lambda ctx: ctx.new_guid(),
        lambda ctx: ctx.start_orchestration("story", "other"),
        lambda ctx: ctx.all([]),
        lambda ctx: ctx.all([ctx.utc_now()]),
    ],
    ids=["sleep(0)", "utc_now", "new_guid", "start_orchestration", "all([])", "all"],
)
def test_code_that_spins_without_waiting_is_stopped_and_fails(style, spin: Callable[[Any], Any]) -> None:
    def story(ctx):
        yield ctx.schedule_activity("a")
        while True:
            yield spin(ctx)

    host = Host(style(story), steps_per_turn=500)
    host.complete("a")

    assert host.failure.error_type.endswith("StepBudgetExceeded")
    assert "more than 500 steps" in host.failure.message
    dropped(host)


@pytest.mark.parametrize(
    "ask",
    [lambda ctx: ctx.set_custom_status("on and on"), lambda ctx: ctx.schedule_activity("b"), lambda ctx: ctx.utc_now()],
    ids=["status", "activity", "clock"],
)
def test_code_that_asks_without_end_is_stopped_and_nothing_it_asked_for_is_recorded(style, ask) -> None:
    def story(ctx):
        yield ctx.schedule_activity("a")
        while True:
            try:
                ask(ctx)
            except Exception:
                continue

    host = Host(style(story), steps_per_turn=500)
    new = host.complete("a")

    assert [each.kind for each in new] == ["ActivityCompleted", "OrchestrationFailed"]
    dropped(host)


def test_the_steps_of_a_turn_are_counted_per_event_so_that_batches_do_not_matter(style) -> None:
    def story(ctx):
        for _ in range(50):
            yield ctx.wait_for_event("e")

    host = Host(style(story), steps_per_turn=20)
    host.turn(*[events.ExternalEvent(name="e", payload="1")] * 50)

    assert host.output is None


def test_tasks_that_were_not_begun_when_the_steps_ran_out_are_dropped_in_silence() -> None:
    async def story(ctx):
        async def never():
            await asyncio.sleep(0)

        while True:
            asyncio.create_task(never())  # noqa: RUF006 - the point
            await asyncio.sleep(0)

    host = Host(story, steps_per_turn=50)

    assert host.failure.error_type.endswith("StepBudgetExceeded")
    dropped(host)
