"""Plain asyncio inside orchestrations. `Host` runs each turn live and again on a replay and compares the two."""

from __future__ import annotations

import asyncio
import sys

import pytest

from django_durable.engine import events
from django_durable.engine.errors import ActivityError

from .support import Host, call, failed, in_order

# Several at once.


def test_gather_keeps_the_order_asked_for() -> None:
    async def story(ctx):
        return await asyncio.gather(ctx.run("a"), call(ctx, "b"), asyncio.create_task(call(ctx, "c")))

    assert in_order(Host(story), "c", "a", "b") == ["a", "b", "c"]


def test_gather_raises_the_first_error_in_history_and_lets_the_others_run() -> None:
    async def story(ctx):
        try:
            await asyncio.gather(call(ctx, "a"), call(ctx, "b"), call(ctx, "c"))
        except ActivityError as error:
            return error.message

    host = Host(story)
    host.turn(failed(host, "c"), failed(host, "a"))

    assert host.output == "c"
    assert host.of(events.ActivityCancelRequested) == []


def test_gather_can_return_errors() -> None:
    async def story(ctx):
        found = await asyncio.gather(ctx.run("a"), ctx.run("b"), return_exceptions=True)
        return [str(each) for each in found]

    host = Host(story)
    host.turn(failed(host, "b"))
    host.complete("a", 1)

    assert host.output == ["1", "Activity 'b' failed: ValueError: b"]


def test_wait_for_the_first_sees_one_at_a_time_even_when_all_came_in_one_turn() -> None:
    async def story(ctx):
        pending = {asyncio.create_task(call(ctx, name)) for name in "abcd"}
        seen = []
        while pending:
            done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
            seen.append([each.result() for each in done])
        return seen

    host = Host(story)
    host.turn(*[host.completed(name, name) for name in "cabd"])

    assert host.output == [["c"], ["a"], ["b"], ["d"]]


def test_sets_of_tasks_iterate_alike_on_every_replay() -> None:
    async def story(ctx):
        tasks = {asyncio.create_task(call(ctx, f"a{n}")) for n in range(40)}
        done, _ = await asyncio.wait(tasks)
        for each in done:
            await ctx.run("next", each.result())

    host = Host(story)
    host.turn(*[host.completed(f"a{n}", n) for n in reversed(range(40))])
    for n in range(40):
        host.complete("next", nth=n)

    assert host.output is None


def test_wait_for_all_and_for_the_first_error() -> None:
    async def story(ctx):
        tasks = [asyncio.create_task(call(ctx, name)) for name in "abc"]
        done, pending = await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
        seen = [len(done), len(pending)]
        done, pending = await asyncio.wait(tasks)
        return [*seen, len(done), len(pending), [str(each.exception()) for each in tasks if each.exception()]]

    host = Host(story)
    host.complete("b")
    host.turn(failed(host, "a"))
    host.complete("c")

    assert host.output == [2, 1, 3, 0, ["Activity 'a' failed: ValueError: a"]]


def test_wait_with_a_timeout_leaves_what_is_pending() -> None:
    async def story(ctx):
        done, pending = await asyncio.wait([ctx.run("a"), ctx.run("b")], timeout=5)
        rest = [await each for each in pending]
        return [len(done), len(pending), rest]

    host = Host(story)
    host.complete("a", 1)
    host.fire()
    host.complete("b", 2)

    assert host.output == [1, 1, [2]]


def test_as_completed_follows_history() -> None:
    async def story(ctx):
        return [await each for each in asyncio.as_completed([ctx.run(name) for name in "abc"])]

    assert in_order(Host(story), "c", "a", "b") == ["c", "a", "b"]


@pytest.mark.skipif(sys.version_info < (3, 13), reason="since Python 3.13")
def test_as_completed_can_be_iterated_asynchronously() -> None:
    async def story(ctx):
        tasks = [asyncio.create_task(call(ctx, name)) for name in "abc"]
        return [tasks.index(each) async for each in asyncio.as_completed(tasks)]

    host = Host(story)
    for name in "cab":
        host.complete(name)

    assert host.output == [2, 0, 1]


def test_shared_counters_see_every_completion_one_by_one() -> None:
    async def story(ctx):
        done, seen = [], []

        async def work(name):
            await ctx.run(name)
            done.append(name)

        tasks = [asyncio.create_task(work(name)) for name in "abcd"]
        await tasks[0]
        seen.append(len(done))
        await tasks[3]
        seen.append(len(done))
        return seen

    host = Host(story)
    host.turn(*[host.completed(name) for name in "abcd"])

    assert host.output == [1, 4]


# Time.


def test_sleep_is_a_durable_timer() -> None:
    async def story(ctx):
        before = asyncio.get_running_loop().time()
        value = await asyncio.sleep(1.5, "slept")
        return [value, asyncio.get_running_loop().time() - before]

    host = Host(story)
    assert [each.duration_ms for each in host.of(events.TimerCreated)] == [1500]
    host.fire()

    assert host.output == ["slept", 1.5]


def test_sleeping_for_nothing_lets_others_run_and_records_nothing() -> None:
    async def story(ctx):
        seen = []

        async def other():
            seen.append("other")

        task = asyncio.create_task(other())
        await asyncio.sleep(0)
        seen.append("main")
        await task
        return seen

    host = Host(story)

    assert host.output == ["other", "main"]
    assert len(host.history) == 2


def test_wait_for_returns_in_time_and_takes_its_timer_back() -> None:
    async def story(ctx):
        return await asyncio.wait_for(ctx.run("a"), 5)

    host = Host(story)
    host.complete("a", 1)

    assert host.output == 1
    assert host.kinds[-2:] == ["TimerCanceled", "OrchestrationCompleted"]


@pytest.mark.parametrize("as_coroutine", [False, True])
def test_wait_for_cancels_what_took_too_long(as_coroutine: bool) -> None:
    async def story(ctx):
        try:
            await asyncio.wait_for(call(ctx, "a") if as_coroutine else ctx.run("a"), 5)
        except TimeoutError:
            return "late"

    host = Host(story)
    host.fire()

    assert host.output == "late"
    assert len(host.of(events.ActivityCancelRequested)) == 1


def test_a_timeout_block_cancels_what_is_in_it() -> None:
    async def story(ctx):
        try:
            async with asyncio.timeout(5):
                await ctx.run("a")
                await ctx.run("b")
        except TimeoutError:
            return "late"

    host = Host(story)
    host.complete("a")
    host.fire()

    assert host.output == "late"
    assert [each.scheduled_seq for each in host.of(events.ActivityCancelRequested)] == [
        host.seq(events.ActivityScheduled, "b")
    ]


def test_a_timeout_can_be_moved_and_set_by_the_clock() -> None:
    async def story(ctx):
        loop = asyncio.get_running_loop()
        async with asyncio.timeout_at(loop.time() + 5) as block:
            await ctx.run("a")
            block.reschedule(loop.time() + 60)
            await ctx.run("b")
        return block.expired()

    host = Host(story)
    host.complete("a")
    host.complete("b")

    assert host.output is False
    assert [each.duration_ms for each in host.of(events.TimerCreated)] == [5000, 60_000]
    assert len(host.of(events.TimerCanceled)) == 2


def test_nested_timeouts_are_told_apart() -> None:
    async def story(ctx):
        try:
            async with asyncio.timeout(60):
                try:
                    async with asyncio.timeout(5):
                        await ctx.run("a")
                except TimeoutError:
                    await ctx.run("b")
        except TimeoutError:
            return "outer"
        return "inner"

    host = Host(story)
    host.fire(1)
    host.complete("b")

    assert host.output == "inner"


def test_call_later_runs_after_a_durable_timer() -> None:
    async def story(ctx):
        future = asyncio.get_running_loop().create_future()
        handle = asyncio.get_running_loop().call_later(60, future.set_result, "never")
        asyncio.get_running_loop().call_later(2, future.set_result, "called")
        value = await future
        handle.cancel()
        return value

    host = Host(story)
    host.fire(1)

    assert host.output == "called"
    assert host.kinds[-2:] == ["TimerCanceled", "OrchestrationCompleted"]
