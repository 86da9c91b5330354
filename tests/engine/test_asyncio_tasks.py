"""Tasks, locks and generators of plain asyncio inside orchestrations, what is refused there, and where it runs."""

from __future__ import annotations

import asyncio
import contextvars
import sys

import pytest

from django_durable.engine import events
from django_durable.engine.errors import ActivityError, ForbiddenInOrchestration

from .support import Host, call, failed, in_order, replay

# Tasks.


def test_a_task_group_gives_all_results() -> None:
    async def story(ctx):
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(call(ctx, name)) for name in "abc"]
        return [each.result() for each in tasks]

    assert in_order(Host(story), "b", "c", "a") == ["a", "b", "c"]


def test_a_task_group_takes_what_a_verb_returns() -> None:
    async def story(ctx):
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(ctx.schedule_activity(name)) for name in "ab"]
        return [each.result() for each in tasks]

    assert in_order(Host(story), "b", "a") == ["a", "b"]


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


async def shrinks(ctx):
    """A group that had eight tasks has three when it fails."""
    try:
        async with asyncio.TaskGroup() as group:
            for n in range(8):
                group.create_task(call(ctx, f"a{n}"))
    except ExceptionGroup:
        return "failed"


@pytest.mark.parametrize("engine_version", [1, 2])
def test_what_is_left_of_a_task_group_is_canceled_in_the_order_of_its_engine(engine_version: int) -> None:
    host = Host(shrinks, start={"engine_version": engine_version, "seed": "s3"})
    host.turn(*(host.completed(name) for name in ("a0", "a2", "a3", "a5")))
    host.fail("a1")
    canceled = [each.scheduled_seq for each in host.of(events.ActivityCancelRequested)]

    # The last had come round to the first place of the set's table; so histories have it.
    assert canceled == ([9, 6, 8] if engine_version == 1 else [6, 8, 9])
    assert replay(host, shrinks).outcome == host.history[-1].fact


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


def test_tasks_hash_alike_on_every_replay_and_apart_from_those_of_other_instances() -> None:
    async def story(ctx):
        return hash(asyncio.current_task())

    hashes = [Host(story, start={"instance_id": name}).output for name in ("i", "i", "j")]

    # asyncio keeps the tasks of the whole process in one set: alike, those of a thousand executions would collide.
    assert hashes[0] == hashes[1]
    assert abs(hashes[0] - hashes[2]) > 1000


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
