"""Signals: what interrupts code, what is kept, and what stays a cancellation."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import pytest

from django_durable import Provided, Signal, SignalInterrupt
from django_durable.engine.loop import CancelledError

from .support import Host


async def guarded(ctx, stop: Signal[str] = Provided):
    try:
        async with stop:
            await ctx.run("work")
        return "done"
    except SignalInterrupt as interrupt:
        return interrupt.value


def test_a_signal_interrupts_the_code_inside():
    host = Host(guarded)
    host.send("stop", "enough")
    assert host.output == "enough"
    assert "ActivityCancelRequested" in host.kinds


def test_code_that_is_not_interrupted_goes_on():
    host = Host(guarded)
    host.complete("work")
    assert host.output == "done"


def test_a_generator_guards_what_it_waits_for():
    def story(ctx, stop: Signal[str] = Provided):
        try:
            yield stop.guard(ctx.schedule_activity("work"))
        except SignalInterrupt as interrupt:
            return interrupt.value

    host = Host(story)
    host.send("stop", "enough")
    assert host.output == "enough"


def test_a_generator_guards_another_generator():
    def inner(ctx):
        yield ctx.schedule_activity("a")
        return (yield ctx.schedule_activity("b"))

    def story(ctx, stop: Signal[str] = Provided):
        return (yield stop.guard(inner(ctx)))

    host = Host(story)
    host.complete("a")
    host.complete("b", 7)
    assert host.output == 7


def test_a_wait_is_raced(style):
    def story(ctx, stop: Signal[str] = Provided):
        return (yield ctx.race(ctx.schedule_activity("work"), stop.wait()))

    host = Host(style(story))
    host.send("stop", "now")
    assert host.output == {"index": 1, "value": "now"}


def test_a_wait_that_was_canceled_takes_no_signal(style):
    def story(ctx, stop: Signal[str] = Provided):
        yield ctx.race(ctx.schedule_activity("work"), stop.wait())
        return (yield stop.wait())

    host = Host(style(story))
    host.complete("work")
    host.send("stop", "now")
    assert host.output == "now"


def test_an_early_signal_is_kept_and_the_code_inside_does_not_run():
    async def story(ctx, stop: Signal[str] = Provided):
        await ctx.run("before")
        async with stop:
            await ctx.run("inside")

    host = Host(story)
    host.send("stop", "early")
    host.complete("before")
    assert host.failure.error_type == "django_durable.engine.errors.SignalInterrupt"
    assert host.kinds.count("ActivityScheduled") == 1


@pytest.mark.parametrize(
    ("policy", "found"), [("latch", ["b", "later"]), ("fifo", ["a", "b"]), ("drop", ["later", "last"])]
)
def test_a_policy_says_what_becomes_of_early_signals(policy, found):
    async def story(ctx, stop: Signal[str] = Provided(policy=policy)):
        await ctx.run("before")
        return [await stop.wait(), await stop.wait()]

    host = Host(story)
    host.send("stop", "a", "b")
    host.complete("before")
    for late in ("later", "last"):
        if not host.execution.finished:
            host.send("stop", late)
    assert host.output == found


def test_a_kept_signal_goes_along_when_the_code_continues_as_new():
    async def story(ctx, again, stop: Signal[str] = Provided(policy="fifo")):
        if again:
            await ctx.run("before")
            await ctx.continue_as_new(False)
        return [await stop.wait(), await stop.wait()]

    host = Host(story, True)
    host.send("stop", "a", "b")
    host.complete("before")
    assert host.next().output == ["a", "b"]


def test_a_signal_interrupts_every_task_inside():
    async def story(ctx, stop: Signal[str] = Provided):
        async def one(name):
            try:
                async with stop:
                    await ctx.run(name)
            except SignalInterrupt as interrupt:
                return f"{name} {interrupt.value}"

        return await asyncio.gather(one("a"), one("b"))

    host = Host(story)
    host.send("stop", "both")
    assert host.output == ["a both", "b both"]


def test_a_signal_interrupts_the_innermost_scope_only():
    async def story(ctx, stop: Signal[str] = Provided):
        async with stop:
            try:
                async with stop:
                    await ctx.run("a")
            except SignalInterrupt as inner:
                log = [inner.value]
            try:
                await ctx.run("b")
            finally:
                ctx.set_custom_status(log)

    host = Host(story)
    host.send("stop", "first")
    assert "b" in [each.fact.columns().name for each in host.history]
    host.send("stop", "second")
    assert host.failure.error_type == "django_durable.engine.errors.SignalInterrupt"


def test_two_signals_interrupt_their_own_scopes():
    async def story(ctx, outer: Signal[str] = Provided, inner: Signal[str] = Provided):
        try:
            async with outer:
                try:
                    async with inner:
                        await ctx.run("work")
                except SignalInterrupt as interrupt:
                    return ["inner", interrupt.value]
        except SignalInterrupt as interrupt:
            return ["outer", interrupt.value]

    host = Host(story)
    host.send("outer", "x")
    assert host.output == ["outer", "x"]
    host = Host(story)
    host.send("inner", "y")
    assert host.output == ["inner", "y"]


def test_cleanup_inside_may_wait():
    async def story(ctx, stop: Signal[str] = Provided):
        try:
            async with stop:
                try:
                    await ctx.run("work")
                finally:
                    await ctx.run("undo")
        except SignalInterrupt:
            return "undone"

    host = Host(story)
    host.send("stop", "x")
    host.complete("undo")
    assert host.output == "undone"


def test_a_cancel_of_the_instance_stays_one():
    async def story(ctx, stop: Signal[str] = Provided):
        try:
            async with stop:
                await ctx.run("work")
        except CancelledError:
            return "canceled"

    host = Host(story)
    host.cancel()
    assert host.canceled == "canceled"


def test_a_timeout_inside_stays_one():
    async def story(ctx, stop: Signal[str] = Provided):
        async with stop:
            try:
                async with asyncio.timeout(1):
                    await ctx.run("work")
            except TimeoutError:
                return "late"

    host = Host(story)
    host.fire()
    assert host.output == "late"


def test_code_that_swallows_the_cancellation_is_told_where_it_leaves():
    async def story(ctx, stop: Signal[str] = Provided):
        try:
            async with stop:
                with suppress(CancelledError):
                    await ctx.run("work")
        except SignalInterrupt as interrupt:
            return interrupt.value

    host = Host(story)
    host.send("stop", "x")
    assert host.output == "x"


def test_an_orchestration_signals_itself():
    async def story(ctx):
        signal, writer = ctx.create_signal(str)
        await writer.send("mine")
        try:
            async with signal:
                await ctx.run("work")
        except SignalInterrupt as interrupt:
            return [signal.name, interrupt.value]

    host = Host(story)
    from django_durable.engine.events import StreamAppended

    host.turn(StreamAppended(name="signal-1"))
    assert host.output == ["signal-1", "mine"]
