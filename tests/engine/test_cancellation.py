"""A cancel request is raised into the code at its wait, once; how the code takes it decides how the execution ends."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import pytest

from django_durable.engine import events
from django_durable.engine.failures import Failure
from django_durable.engine.loop import CancelledError

from .support import Host


def test_a_cancel_request_that_is_let_through_ends_as_canceled_with_its_reason(style) -> None:
    def story(ctx):
        yield ctx.schedule_activity("a")
        return "never"

    host = Host(style(story))
    host.cancel("too late")

    assert host.execution.outcome == events.OrchestrationCanceled(output="null", reason="too late")
    assert host.kinds[2:] == ["OrchestrationCancelRequested", "ActivityCancelRequested", "OrchestrationCanceled"]


def test_what_was_waited_for_is_canceled_whatever_it_is(style) -> None:
    def story(ctx):
        yield ctx.all(
            [
                ctx.schedule_activity("a"),
                ctx.schedule_timer(5),
                ctx.wait_for_event("e"),
                ctx.race(ctx.dequeue_event("q"), ctx.schedule_sub_orchestration("story")),
            ]
        )

    host = Host(style(story))
    host.cancel()

    assert host.kinds[7:] == [
        "ActivityCancelRequested",
        "TimerCanceled",
        "ExternalSubscriptionCanceled",
        "QueueSubscriptionCanceled",
        "SubOrchestrationCancelRequested",
        "OrchestrationCanceled",
    ]
    assert host.canceled is None


def test_the_code_can_compensate_and_say_what_it_did(style) -> None:
    def story(ctx):
        try:
            yield ctx.schedule_activity("charge")
        except CancelledError as error:
            undone = yield ctx.schedule_activity("refund", str(error))
            return undone

    host = Host(style(story))
    host.cancel("customer left")
    assert host.of(events.ActivityScheduled)[-1].input == '"customer left"'
    host.complete("refund", "refunded")

    assert host.canceled == "refunded"


def test_a_finally_block_may_wait_and_the_cancellation_goes_on_after_it(style) -> None:
    def story(ctx):
        try:
            yield ctx.wait_for_event("never")
        finally:
            yield ctx.schedule_activity("release")

    host = Host(style(story))
    host.cancel()
    assert not host.execution.finished
    host.complete("release")

    assert host.canceled is None


def test_code_that_goes_on_after_a_cancel_request_ends_as_canceled_with_its_output(style) -> None:
    def story(ctx):
        with suppress(CancelledError):
            yield ctx.schedule_activity("a")
        yield ctx.schedule_timer(5)
        return "done all the same"

    host = Host(style(story))
    host.cancel()
    host.fire()

    assert host.canceled == "done all the same"


def test_a_compensation_that_fails_fails_the_execution(style) -> None:
    def story(ctx):
        try:
            yield ctx.schedule_activity("charge")
        except CancelledError:
            yield ctx.schedule_activity("refund")

    host = Host(style(story))
    host.cancel()
    host.fail("refund", "shop.BankClosed", "sunday")

    assert (host.failure.error_type, host.failure.message) == ("shop.BankClosed", "sunday")


def test_a_second_cancel_request_is_not_recorded_nor_raised(style) -> None:
    def story(ctx):
        try:
            yield ctx.schedule_activity("a")
        except CancelledError:
            yield ctx.schedule_activity("undo")
            return "undone"

    host = Host(style(story))
    host.cancel()
    assert host.cancel("again") == []
    host.complete("undo")

    assert host.canceled == "undone"


def test_a_cancel_request_in_the_turn_of_the_start_lets_the_code_begin(style) -> None:
    def story(ctx):
        try:
            yield ctx.schedule_activity("a")
        except CancelledError:
            return "had the chance"

    host = Host(style(story), first_turn=[events.OrchestrationCancelRequested(reason=None)])

    assert host.kinds[:3] == ["OrchestrationStarted", "ActivityScheduled", "OrchestrationCancelRequested"]
    assert host.canceled == "had the chance"


def test_a_completion_before_the_cancel_request_is_seen_first(style) -> None:
    def story(ctx):
        value = yield ctx.schedule_activity("a")
        try:
            yield ctx.schedule_activity("b")
        except CancelledError:
            return value

    host = Host(style(story))
    host.turn(host.completed("a", 7), events.OrchestrationCancelRequested(reason=None))

    assert host.canceled == 7


def test_a_completion_after_the_cancel_request_is_dropped(style) -> None:
    def story(ctx):
        try:
            yield ctx.schedule_activity("a")
        except CancelledError:
            yield ctx.schedule_timer(5)

    host = Host(style(story))
    host.turn(events.OrchestrationCancelRequested(reason=None), host.completed("a", 7))

    assert "ActivityCompleted" not in host.kinds


def test_a_cancel_request_after_the_end_stays_undelivered(style) -> None:
    def story(ctx):
        yield ctx.schedule_activity("a")

    host = Host(style(story))
    host.turn(host.completed("a"), events.OrchestrationCancelRequested(reason=None))

    assert host.execution.undelivered == 1
    assert host.output is None


def test_a_cancel_request_wins_over_continuing_as_new(style) -> None:
    def story(ctx):
        try:
            yield ctx.wait_for_event("never")
        except CancelledError:
            yield ctx.continue_as_new("again")

    host = Host(style(story))
    host.cancel("stop")

    assert host.execution.outcome == events.OrchestrationCanceled(output="null", reason="stop")


def test_a_cancel_request_reaches_every_task_of_a_group() -> None:
    async def story(ctx):
        seen = []

        async def work(name):
            try:
                await ctx.run(name)
            except asyncio.CancelledError:
                seen.append(await ctx.run(f"undo {name}"))
                raise

        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(work("a"))
                group.create_task(work("b"))
        except asyncio.CancelledError:
            return seen

    host = Host(story)
    host.cancel()
    host.complete("undo b", "b undone")
    host.complete("undo a", "a undone")

    assert host.canceled == ["b undone", "a undone"]


def test_a_cancel_request_is_no_timeout() -> None:
    async def story(ctx):
        try:
            async with asyncio.timeout(60):
                await ctx.run("a")
        except TimeoutError:
            return "timeout"
        except asyncio.CancelledError:
            return "canceled"

    host = Host(story)
    host.cancel()

    assert host.canceled == "canceled"


def test_a_shielded_activity_is_not_canceled_by_a_cancel_request() -> None:
    async def story(ctx):
        task = ctx.run("a")
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError:
            return await task

    host = Host(story)
    host.cancel()
    host.complete("a", "whole")

    assert host.canceled == "whole"
    assert host.of(events.ActivityCancelRequested) == []


def test_an_orchestration_that_cancels_itself_has_failed() -> None:
    async def story(ctx):
        asyncio.current_task().cancel()
        await ctx.run("a")

    assert Host(story).failure == Failure("CancelledError", "The orchestration canceled itself.")


def test_a_cancellation_raised_by_the_code_itself_is_a_failure(style) -> None:
    def story(ctx):
        yield ctx.utc_now()
        raise CancelledError

    assert Host(style(story)).failure.error_type == "CancelledError"


def test_an_exception_handler_does_not_swallow_a_cancel_request(style) -> None:
    def story(ctx):
        try:
            yield ctx.schedule_activity("a")
        except Exception:
            return "swallowed"

    host = Host(style(story))
    host.cancel()

    assert host.canceled is None


@pytest.mark.parametrize("waits", [False, True])
def test_an_output_that_cannot_be_encoded_fails_even_after_a_cancel_request(style, waits: bool) -> None:
    def story(ctx):
        try:
            yield ctx.schedule_activity("a")
        except CancelledError:
            if waits:
                yield ctx.schedule_timer(5)
            return object()

    host = Host(style(story))
    host.cancel()
    if waits:
        host.fire()

    assert host.failure.error_type.endswith("PayloadError")
