"""The end of a program that is dropped: cleanup without effect, no noise, nothing left for the garbage collector.

Warnings are errors in this suite, those of the garbage collector included: code that is left suspended makes noise.
"""

from __future__ import annotations

import asyncio
import gc
import weakref
from typing import Any

import pytest

from django_durable.engine.errors import NotRegistered
from django_durable.engine.replay import Execution

from .support import START, FakeEnvironment, Host, dropped, started

# Closing.


def verbs_in_finally(ctx):
    try:
        yield ctx.schedule_activity("a")
    finally:
        ctx.set_kv_value("k", 1)
        ctx.set_custom_status("closing")
        ctx.trace_info("closing")
        ctx.schedule_activity("undo")
        ctx.start_orchestration("verbs_in_finally", "other")
        ctx.patched("p")
        ctx.continue_as_new()


def waits_in_finally(ctx):
    try:
        yield ctx.wait_for_event("e")
    finally:
        ctx.trace_info("first")
        yield ctx.schedule_activity("undo")
        ctx.trace_info("second")


def waits_in_nested_finally(ctx):
    try:
        try:
            yield ctx.schedule_timer(5)
        finally:
            yield ctx.schedule_timer(5)
    finally:
        yield ctx.all([ctx.schedule_activity("undo"), ctx.race(ctx.schedule_timer(5), ctx.dequeue_event("q"))])


def raises_in_finally(ctx):
    try:
        yield ctx.schedule_activity("a")
    finally:
        raise ValueError("lost")


def exits_in_finally(ctx):
    try:
        yield ctx.schedule_activity("a")
    finally:
        raise SystemExit(3)


def swallows_everything(ctx):
    for _ in range(20):
        try:
            yield ctx.schedule_activity("a")
        except BaseException:
            ctx.trace_info("swallowed")


def asks_the_clock_in_finally(ctx):
    try:
        yield ctx.schedule_activity("a")
    finally:
        before = yield ctx.utc_now()
        ctx.get_kv_all_values()
        yield ctx.schedule_activity("b", before)


def unknown_in_finally(ctx):
    try:
        yield ctx.schedule_activity("a")
    finally:
        yield ctx.schedule_activity("unknown")


def failed_and_canceled_futures(ctx):
    ctx.schedule_activity("ignored")
    ctx.schedule_activity("failing")
    canceled = ctx.schedule_activity("a")
    canceled.cancel()
    yield ctx.wait_for_event("never")


CLOSED = [
    verbs_in_finally,
    waits_in_finally,
    waits_in_nested_finally,
    raises_in_finally,
    exits_in_finally,
    swallows_everything,
    asks_the_clock_in_finally,
    unknown_in_finally,
    failed_and_canceled_futures,
]


@pytest.mark.parametrize("story", CLOSED, ids=lambda each: each.__name__)
def test_cleanup_of_a_dropped_program_has_no_effect_and_makes_no_noise(style, story, capfd) -> None:
    host = Host(style(story))
    before = host.execution.history_length

    assert dropped(host) == []
    assert host.execution.history_length == before
    assert host.execution.outcome is None
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("story", CLOSED, ids=lambda each: each.__name__)
def test_a_program_that_is_forgotten_without_a_close_is_dropped_all_the_same(style, story, capfd) -> None:
    host = Host(style(story))
    host.environment.logged.clear()
    host.execution = Execution(host.environment)
    gc.collect()

    assert host.environment.logged == []
    assert capfd.readouterr() == ("", "")


async def children(ctx):
    async def work(name):
        try:
            await ctx.run(name)
        finally:
            ctx.trace_info("closing")
            await asyncio.gather(ctx.run("undo"), asyncio.sleep(1))

    task = asyncio.create_task(work("a"))
    await asyncio.gather(work("b"), work("c"), task)


async def group(ctx):
    async with asyncio.TaskGroup() as group:
        for name in "abc":
            group.create_task(asyncio.wait_for(ctx.run(name), 5))


async def primitives(ctx):
    lock, queue = asyncio.Lock(), asyncio.Queue()
    async with lock, asyncio.timeout(5), asyncio.Semaphore():
        await asyncio.wait([asyncio.create_task(queue.get()), asyncio.create_task(lock.acquire())])


async def tasks_in_finally(ctx):
    try:
        await ctx.run("a")
    finally:

        async def undo():
            await ctx.run("undo")

        task = asyncio.create_task(undo())
        async with asyncio.TaskGroup() as group:
            group.create_task(undo())
            group.create_task(asyncio.sleep(5))
        await task


async def async_generators(ctx):
    async def pages():
        try:
            yield 1
            yield await ctx.run("a")
        finally:
            await ctx.run("close")

    async for _ in pages():
        pass


async def left_generator(ctx):
    async def pages():
        try:
            yield 1
        finally:
            await ctx.run("close")

    kept = pages()
    await anext(kept)
    await ctx.run("a")


async def callbacks(ctx):
    loop = asyncio.get_running_loop()
    loop.call_later(5, print)
    future = loop.create_future()
    future.add_done_callback(print)
    await asyncio.shield(future)


@pytest.mark.parametrize(
    "story",
    [children, group, primitives, tasks_in_finally, async_generators, left_generator, callbacks],
    ids=lambda each: each.__name__,
)
@pytest.mark.parametrize("inside", [False, True], ids=["alone", "inside a loop"])
def test_what_asyncio_left_pending_is_dropped_without_effect_or_noise(story, inside: bool, capfd) -> None:
    async def application():
        host = Host(story)
        assert dropped(host) == []
        return host

    host = asyncio.run(application()) if inside else Host(story)
    before = list(host.kinds)
    assert dropped(host) == []
    gc.collect()

    assert host.kinds == before
    assert capfd.readouterr() == ("", "")


def test_cleanup_runs_when_the_program_is_dropped_and_not_at_each_turn(style) -> None:
    seen = []

    def story(ctx):
        try:
            yield ctx.schedule_activity("a")
            yield ctx.schedule_activity("b")
        finally:
            seen.append("cleanup")

    host = Host(style(story), rebuild=False)
    host.complete("a")
    assert seen == []
    host.execution.close()
    assert seen == ["cleanup"]


def test_closing_twice_or_before_the_start_or_after_the_end_does_nothing(style) -> None:
    def story(ctx):
        yield ctx.schedule_activity("a")

    host = Host(style(story))
    fresh = Execution(FakeEnvironment())
    host.complete("a")
    for execution in (host.execution, host.execution, fresh, fresh):
        execution.close()

    assert host.output is None


def test_closing_after_an_error_of_a_turn_makes_no_noise(style) -> None:
    def story(ctx):
        ctx.schedule_activity("a")
        yield ctx.all([ctx.schedule_activity("b"), ctx.schedule_sub_orchestration("unknown")])

    execution = Execution(FakeEnvironment(style(story)))
    with pytest.raises(NotRegistered):
        execution.advance([started("story")], now=START)
    execution.close()
    gc.collect()


def test_a_program_with_tasks_left_is_closed_after_its_end_too(capfd) -> None:
    async def story(ctx):
        async def beat():
            try:
                while True:
                    await asyncio.sleep(60)
            finally:
                ctx.trace_info("never logged")

        asyncio.create_task(beat())  # noqa: RUF006 - the point
        await ctx.run("a")

    host = Host(story)
    host.complete("a")

    assert dropped(host) == []
    assert host.output is None


def test_nothing_that_failed_is_reported_once_the_program_is_dropped() -> None:
    async def story(ctx):
        async def broken():
            raise ValueError("nobody looks")

        kept.append(asyncio.create_task(broken()))
        ctx.run("failing")
        await ctx.run("a")

    kept: list[Any] = []
    host = Host(story, rebuild=False)
    host.fail("failing")
    logged = len(host.environment.logged)
    host.execution.close()
    kept.clear()
    gc.collect()

    assert len(host.environment.logged) == logged == 1


@pytest.mark.parametrize("end", ["waiting", "completed", "failed", "continued", "canceled"])
def test_a_dropped_program_is_freed_without_the_garbage_collector(style, end: str) -> None:
    contexts = []

    def story(ctx):
        contexts.append(weakref.ref(ctx))
        ctx.set_kv_value("k", 1)
        ctx.logger.info("begun")
        yield ctx.all([ctx.schedule_activity("a"), ctx.race(ctx.utc_now(), ctx.schedule_timer(5))])
        if end == "failed":
            raise ValueError("no")
        if end == "continued":
            yield ctx.continue_as_new()

    host = Host(style(story), rebuild=False)
    if end == "canceled":
        host.cancel()
    elif end != "waiting":
        host.complete("a")
    assert host.execution.finished == (end != "waiting")
    programs = [weakref.ref(host.execution), weakref.ref(host.execution._program)]
    gc.collect()
    gc.disable()
    try:
        host.execution.close()
        del host
        assert [each() for each in contexts + programs] == [None, None, None]
    finally:
        gc.enable()
