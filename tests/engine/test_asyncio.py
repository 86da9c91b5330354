"""Plain asyncio inside orchestrations. `Host` runs each turn live and again on a replay and compares the two."""

from __future__ import annotations

import asyncio
import contextvars
import sys
from typing import Any

import pytest

from django_durable.engine import events
from django_durable.engine.errors import ActivityError, ForbiddenInOrchestration

from .support import Host


async def call(ctx, name, *args):
    return await ctx.run(name, *args)


def in_order(host: Host, *names: str) -> Any:
    """Complete activities in this order, each with its own name as the result."""
    for name in names:
        host.complete(name, name)
    return host.output


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


# Tasks.


def test_a_task_group_gives_all_results() -> None:
    async def story(ctx):
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(call(ctx, name)) for name in "abc"]
        return [each.result() for each in tasks]

    assert in_order(Host(story), "b", "c", "a") == ["a", "b", "c"]


def test_a_task_group_that_fails_cancels_the_others_and_tells_all_errors() -> None:
    async def story(ctx):
        try:
            async with asyncio.TaskGroup() as group:
                for name in "abc":
                    group.create_task(call(ctx, name))
        except* ActivityError as errors:
            messages = [each.message for each in errors.exceptions]
        return messages

    host = Host(story)
    host.turn(failed(host, "b"), failed(host, "a"))

    assert host.output == ["b"]
    assert [each.scheduled_seq for each in host.of(events.ActivityCancelRequested)] == [2, 4]


def test_a_task_runs_beside_its_creator_and_can_be_canceled() -> None:
    async def story(ctx):
        async def work():
            try:
                await ctx.run("a")
            except asyncio.CancelledError:
                await ctx.run("undo")
                raise

        task = asyncio.create_task(work())
        await ctx.run("b")
        task.cancel("enough")
        try:
            await task
        except asyncio.CancelledError as error:
            return [task.cancelled(), str(error)]

    host = Host(story)
    host.complete("b")
    host.complete("undo")

    assert host.output[0] is True


def test_a_task_may_cancel_itself_and_go_on() -> None:
    async def story(ctx):
        task = asyncio.current_task()
        task.cancel()
        try:
            await ctx.run("a")
        except asyncio.CancelledError:
            task.uncancel()
        return await ctx.run("b")

    host = Host(story)
    host.complete("b", 1)

    assert host.output == 1


def test_a_shielded_activity_outlives_the_wait_for_it() -> None:
    async def story(ctx):
        task = ctx.run("a")
        try:
            async with asyncio.timeout(5):
                await asyncio.shield(task)
        except TimeoutError:
            return await task

    host = Host(story)
    host.fire()
    host.complete("a", "late but whole")

    assert host.output == "late but whole"
    assert host.of(events.ActivityCancelRequested) == []


def test_tasks_are_named_the_same_on_every_replay() -> None:
    async def story(ctx):
        async def name():
            return asyncio.current_task().get_name()

        await ctx.run("a", await asyncio.create_task(name()))
        return [each.get_name() for each in asyncio.all_tasks()]

    host = Host(story)
    host.complete("a")

    assert host.of(events.ActivityScheduled)[0].input == '"Task-2"'
    assert host.output == ["Task-1"]


def test_a_background_task_ends_with_its_orchestration() -> None:
    async def story(ctx):
        async def beat():
            while True:
                await asyncio.sleep(60)

        task = asyncio.create_task(beat())
        await ctx.run("a")
        return task.done()

    host = Host(story)
    host.complete("a")

    assert host.output is False
    assert host.of(events.TimerCanceled) == []


@pytest.mark.skipif(sys.version_info < (3, 12), reason="since Python 3.12")
def test_eager_tasks_are_refused_as_a_factory_and_started_in_turn_otherwise() -> None:
    async def story(ctx):
        try:
            asyncio.get_running_loop().set_task_factory(asyncio.eager_task_factory)
        except ForbiddenInOrchestration:
            seen = ["refused"]

        async def work():
            seen.append("task")
            return await ctx.run("a")

        task = asyncio.get_running_loop().create_task(work(), eager_start=True)
        seen.append("creator")
        value = await task
        return [*seen, value]

    host = Host(story)
    host.complete("a", 1)

    assert host.output == ["refused", "creator", "task", 1]


# Synchronization.


def test_an_event_wakes_everyone_who_waits_for_it() -> None:
    async def story(ctx):
        event, seen = asyncio.Event(), []

        async def wait(name):
            await event.wait()
            seen.append(name)

        tasks = [asyncio.create_task(wait(name)) for name in "abc"]
        await ctx.run("a")
        event.set()
        await asyncio.gather(*tasks)
        return seen

    host = Host(story)
    host.complete("a")

    assert host.output == ["a", "b", "c"]


def test_a_queue_hands_work_to_workers_in_order() -> None:
    async def story(ctx):
        queue: asyncio.Queue[str] = asyncio.Queue(maxsize=1)
        seen = []

        async def work(worker):
            while True:
                name = await queue.get()
                seen.append([worker, await ctx.run(name)])
                queue.task_done()

        workers = [asyncio.create_task(work(n)) for n in range(2)]
        for name in "abcd":
            await queue.put(name)
        await queue.join()
        for each in workers:
            each.cancel()
        await asyncio.gather(*workers, return_exceptions=True)
        return seen

    host = Host(story)
    for name in "bacd":
        host.complete(name, name)

    assert host.output == [[1, "b"], [0, "a"], [1, "c"], [0, "d"]]


def test_a_lock_and_a_semaphore_bound_what_runs_at_once() -> None:
    async def story(ctx):
        lock, semaphore, running, most = asyncio.Lock(), asyncio.Semaphore(2), [0, 0], [0, 0]

        async def work(name):
            for place, guard in enumerate((lock, semaphore)):
                async with guard:
                    running[place] += 1
                    most[place] = max(most[place], running[place])
                    await ctx.run(f"{name}{place}")
                    running[place] -= 1

        await asyncio.gather(*(work(name) for name in "abc"))
        return most

    host = Host(story)
    for name in ("a0", "b0", "c0", "a1", "b1", "c1"):
        host.complete(name)

    assert host.output == [1, 2]


def test_a_condition_is_notified() -> None:
    async def story(ctx):
        condition, items = asyncio.Condition(), []

        async def consume():
            async with condition:
                await condition.wait_for(lambda: len(items) == 2)
                return list(items)

        task = asyncio.create_task(consume())
        for name in "ab":
            items.append(await ctx.run(name))
            async with condition:
                condition.notify_all()
        return await task

    assert in_order(Host(story), "a", "b") == ["a", "b"]


def test_a_barrier_lets_all_pass_together() -> None:
    async def story(ctx):
        barrier, seen = asyncio.Barrier(3), []

        async def work(name):
            await ctx.run(name)
            await barrier.wait()
            seen.append(name)

        tasks = [asyncio.create_task(work(name)) for name in "abc"]
        await tasks[0]
        await asyncio.gather(*tasks)
        return sorted(seen)

    host = Host(story)
    host.complete("c")
    host.complete("a")
    assert not host.execution.finished
    host.complete("b")

    assert host.output == ["a", "b", "c"]


# Generators and contexts.


def test_async_generators_and_comprehensions_work() -> None:
    async def story(ctx):
        async def pages():
            for name in "abc":
                yield await ctx.run(name)

        return [each async for each in pages()] + [await ctx.run(name) for name in "d"]

    assert in_order(Host(story), "a", "b", "c", "d") == ["a", "b", "c", "d"]


def test_an_async_generator_left_early_cleans_up_durably() -> None:
    async def story(ctx):
        async def pages():
            try:
                yield await ctx.run("a")
                yield await ctx.run("b")
            finally:
                await ctx.run("close")

        async for _ in pages():
            break
        return await ctx.run("c")

    host = Host(story)
    host.complete("a")
    host.complete("close")
    host.complete("c", 1)

    assert host.output == 1
    assert [each.name for each in host.of(events.ActivityScheduled)] == ["a", "c", "close"]


def test_context_variables_belong_to_each_task() -> None:
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="none")

    async def story(ctx):
        async def work(name):
            variable.set(name)
            await ctx.run(name)
            return variable.get()

        before = variable.get()
        variable.set("root")
        found = await asyncio.gather(work("a"), work("b"))
        return [before, *found, variable.get()]

    variable.set("the worker's")
    host = Host(story)
    host.complete("b")
    host.complete("a")

    assert host.output == ["none", "a", "b", "root"]


# What is refused.


@pytest.mark.parametrize(
    "forbidden",
    [
        lambda: asyncio.to_thread(print),
        lambda: asyncio.get_running_loop().run_in_executor(None, print),
        lambda: asyncio.open_connection("localhost", 80),
        lambda: asyncio.create_subprocess_exec("true"),
        lambda: asyncio.get_running_loop().getaddrinfo("localhost", 80),
        lambda: asyncio.get_running_loop().sock_recv(None, 1),
        lambda: asyncio.start_server(print, "localhost", 0),
    ],
    ids=["to_thread", "run_in_executor", "open_connection", "subprocess", "getaddrinfo", "sock_recv", "start_server"],
)
def test_threads_sockets_and_processes_are_refused_where_they_are_asked_for(forbidden) -> None:
    async def story(ctx):
        try:
            await forbidden()
        except ForbiddenInOrchestration as error:
            return "Move it into an activity" in str(error)

    assert Host(story).output is True


def test_running_another_loop_is_refused() -> None:
    async def story(ctx):
        inner = asyncio.sleep(0)
        try:
            asyncio.run(inner)
        except RuntimeError as error:
            return str(error)
        finally:
            inner.close()

    assert "cannot be called from a running event loop" in Host(story).output


# Where it runs.


def test_an_orchestration_runs_inside_an_application_that_has_a_loop_of_its_own() -> None:
    async def story(ctx):
        return await asyncio.gather(ctx.run("a"), ctx.run("b"))

    async def application():
        host = Host(story)
        mine = asyncio.create_task(asyncio.sleep(0, "mine"))
        host.complete("b", "b")
        found = await mine
        host.complete("a", "a")
        return [found, host.output, asyncio.current_task() is not None]

    assert asyncio.run(application()) == ["mine", ["a", "b"], True]


def test_generators_may_use_asyncio_too() -> None:
    def story(ctx):
        task = asyncio.create_task(call(ctx, "a"))
        found = yield asyncio.gather(task, ctx.run("b"))
        yield asyncio.sleep(1)
        return found

    host = Host(story)
    host.complete("b", 2)
    host.complete("a", 1)
    host.fire()

    assert host.output == [1, 2]


def test_djangos_guard_sees_a_running_loop_in_both_styles(style) -> None:
    def story(ctx):
        before = asyncio.get_running_loop().is_running()
        yield ctx.schedule_activity("a")
        return [before, asyncio.get_running_loop().is_running()]

    host = Host(style(story))
    host.complete("a")

    assert host.output == [True, True]


def test_an_error_in_a_task_nobody_awaits_is_logged() -> None:
    async def story(ctx):
        async def broken():
            raise ValueError("nobody looks")

        asyncio.create_task(broken())  # noqa: RUF006 - the point
        await ctx.run("a")

    host = Host(story)
    host.complete("a")

    [text] = host.environment.logged
    assert "exception was never retrieved" in text
    assert text.endswith("ValueError: nobody looks\n")


def failed(host: Host, name: str) -> events.Fact:
    seq = host.seq(events.ActivityScheduled, name)
    return events.ActivityFailed(scheduled_seq=seq, failure=events.Failure("ValueError", name))
