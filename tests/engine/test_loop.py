from __future__ import annotations

import asyncio
import contextvars
import gc
import weakref
from collections.abc import Callable
from sys import get_asyncgen_hooks
from typing import Any

import pytest

from django_durable.engine.errors import (
    ForbiddenInOrchestration,
    InvalidArgument,
    NotAwaitable,
    StepBudgetExceeded,
)
from django_durable.engine.loop import OrchestrationLoop

from .support import LoopHost

STEPS = 1000


def test_what_is_ready_runs_first_in_first_out() -> None:
    seen: list[int] = []

    async def main():
        loop = asyncio.get_running_loop()
        for n in range(3):
            loop.call_soon(seen.append, n)
        await asyncio.gather(*(append(n) for n in (3, 4, 5)))

    async def append(n):
        seen.append(n)
        await asyncio.sleep(0)
        seen.append(n + 10)

    LoopHost().run(main)

    assert seen == [0, 1, 2, 3, 4, 5, 13, 14, 15]


def test_the_clock_is_the_one_it_is_given() -> None:
    fixture = LoopHost()
    fixture.loop.now_ms += 1500

    assert fixture.loop.time() == 1.5


def test_a_timer_is_asked_for_in_whole_milliseconds() -> None:
    fixture = LoopHost()

    async def main():
        loop = asyncio.get_running_loop()
        for delay in (1.5, 0.0014, 1.001, 0.1 + 0.2, 3600):
            loop.call_later(delay, print)
        loop.call_at(loop.time() + 2, print)

    fixture.run(main)

    assert [delay for delay, _ in fixture.timers] == [1500, 1, 1001, 300, 3_600_000, 2000]


def test_what_is_due_already_runs_without_a_timer() -> None:
    fixture, seen = LoopHost(), []

    async def main():
        loop = asyncio.get_running_loop()
        for delay in (0, -5, 0.0001):
            loop.call_later(delay, seen.append, delay)
        await asyncio.sleep(0)

    fixture.run(main)

    assert seen == [0, -5, 0.0001]
    assert fixture.timers == []


def test_a_timer_that_fires_runs_its_callback_and_one_canceled_does_not() -> None:
    fixture, seen = LoopHost(), []

    async def main():
        loop = asyncio.get_running_loop()
        loop.call_later(1, seen.append, "fired")
        loop.call_later(2, seen.append, "canceled").cancel()

    fixture.run(main)
    assert fixture.timers[1][1].cancelled()
    fixture.timers[0][1].set_result(None)
    fixture.loop.run_until_idle(STEPS)

    assert seen == ["fired"]


def test_canceling_a_handle_after_its_timer_fired_still_stops_the_callback() -> None:
    fixture, seen = LoopHost(), []

    async def main():
        return asyncio.get_running_loop().call_later(1, seen.append, "ran")

    handle = fixture.run(main)
    fixture.timers[0][1].set_result(None)
    handle.cancel()
    fixture.loop.run_until_idle(STEPS)

    assert (seen, fixture.reported) == ([], [])


@pytest.mark.parametrize("delay", [float("inf"), float("nan"), 10.0**12])
def test_a_delay_that_no_clock_holds_is_refused(delay: float) -> None:
    async def main():
        asyncio.get_running_loop().call_later(delay, print)

    with pytest.raises(InvalidArgument, match="delay is"):
        LoopHost().run(main)


@pytest.mark.parametrize(("engine_version", "expected"), [(1, [502, 503, 504, 505]), (2, [501, 502, 502, 503])])
def test_tasks_and_futures_are_hashed_in_the_order_of_their_creation_from_the_salt(engine_version, expected) -> None:
    async def main():
        loop = asyncio.get_running_loop()
        made = [loop.create_future(), asyncio.create_task(asyncio.sleep(0)), loop.create_future()]
        await made[1]
        return [hash(each) for each in [*made, asyncio.create_task(asyncio.sleep(0))]]

    assert LoopHost(salt=500, engine_version=engine_version).run(main) == expected


def test_tasks_are_named_by_their_own_loop() -> None:
    async def main():
        child = asyncio.create_task(asyncio.sleep(0))
        named = asyncio.create_task(asyncio.sleep(0), name="mine")
        await asyncio.gather(child, named)
        return asyncio.current_task().get_name(), child.get_name(), named.get_name()

    assert LoopHost().run(main) == LoopHost().run(main) == ("Task-1", "Task-2", "mine")


@pytest.mark.parametrize(
    "call",
    [
        lambda loop: loop.run_in_executor(None, print),
        lambda loop: loop.call_soon_threadsafe(print),
        lambda loop: loop.getaddrinfo("localhost", 80),
        lambda loop: loop.create_connection(None),
        lambda loop: loop.create_server(None),
        lambda loop: loop.create_datagram_endpoint(None),
        lambda loop: loop.subprocess_exec(None),
        lambda loop: loop.add_reader(0, print),
        lambda loop: loop.add_signal_handler(2, print),
        lambda loop: loop.sock_recv(None, 1),
        lambda loop: loop.run_until_complete(None),
        lambda loop: loop.run_forever(),
        lambda loop: loop.stop(),
        lambda loop: loop.close(),
        lambda loop: loop.set_task_factory(None),
        lambda loop: loop.set_exception_handler(None),
        lambda loop: loop.set_debug(True),
        lambda loop: loop.set_default_executor(None),
    ],
)
def test_whatever_reaches_outside_is_forbidden(call: Callable[[OrchestrationLoop], Any]) -> None:
    with pytest.raises(ForbiddenInOrchestration, match=r"The event loop's \w+\(\) is not allowed"):
        call(LoopHost().loop)


def test_nothing_of_a_loop_is_left_unanswered() -> None:
    for name, member in vars(asyncio.AbstractEventLoop).items():
        if callable(member) and not name.startswith("_"):
            assert getattr(OrchestrationLoop, name) is not member, name


def test_it_is_the_running_loop_only_while_it_runs_and_only_in_its_thread() -> None:
    fixture = LoopHost()

    async def main():
        return asyncio.get_running_loop() is fixture.loop and fixture.loop.is_running()

    assert fixture.run(main)
    assert asyncio._get_running_loop() is None
    assert not fixture.loop.is_running()


def test_a_loop_that_ran_before_is_put_back_with_its_task_and_hooks() -> None:
    async def application():
        before = asyncio.get_running_loop(), asyncio.current_task(), get_asyncgen_hooks()
        assert LoopHost().run(inner) == "done"
        assert before == (asyncio.get_running_loop(), asyncio.current_task(), get_asyncgen_hooks())
        await asyncio.sleep(0)
        return "went on"

    async def inner():
        assert asyncio.current_task().get_name() == "Task-1"
        return "done"

    assert asyncio.run(application()) == "went on"


@pytest.mark.parametrize("error", [KeyboardInterrupt, StepBudgetExceeded])
def test_the_outer_loop_is_put_back_after_an_error_too(error: type[BaseException]) -> None:
    async def spin():
        while True:
            await asyncio.sleep(0)

    async def interrupt():
        raise KeyboardInterrupt

    async def application():
        fixture = LoopHost()
        before = asyncio.get_running_loop(), asyncio.current_task(), get_asyncgen_hooks()
        with pytest.raises(error):
            fixture.run(interrupt if error is KeyboardInterrupt else spin)
        fixture.loop.dispose()
        assert before == (asyncio.get_running_loop(), asyncio.current_task(), get_asyncgen_hooks())

    asyncio.run(application())


def test_nothing_of_the_callers_context_reaches_the_code() -> None:
    variable = contextvars.ContextVar("variable", default="default")
    variable.set("the worker's")

    async def main():
        return variable.get()

    assert LoopHost().run(main) == "default"


@pytest.mark.parametrize(("steps", "enough"), [(5, True), (4, False)])
def test_exactly_the_steps_given_are_run(steps: int, enough: bool) -> None:
    async def main():
        for _ in range(3):
            await asyncio.sleep(0)

    # Four steps of the task, and one that takes note of its end.
    fixture = LoopHost()
    if enough:
        fixture.run(main, steps)
    else:
        with pytest.raises(StepBudgetExceeded, match=r"more than 4 steps"):
            fixture.run(main, steps)


def test_steps_of_verbs_count_and_cannot_be_swallowed_as_an_exception() -> None:
    fixture, calls = LoopHost(), []

    async def main():
        while True:
            try:
                fixture.loop.count_step()
                calls.append(1)
            except Exception:
                continue

    with pytest.raises(StepBudgetExceeded, match="more than 10 steps"):
        fixture.run(main, 10)
    assert len(calls) == 9


def test_a_task_that_nobody_holds_is_kept_until_it_is_done() -> None:
    fixture, seen = LoopHost(), []

    async def forgotten(future):
        try:
            await future
            seen.append("done")
        finally:
            seen.append("closed")

    async def main():
        # Each holds only the other: only the loop keeps them from the garbage collector.
        future = asyncio.get_running_loop().create_future()
        task = asyncio.create_task(forgotten(future))
        future.task, references[:] = task, [weakref.ref(future), weakref.ref(task)]

    references: list[Any] = []
    fixture.run(main)
    gc.collect()

    assert seen == []
    references[0]().set_result(None)
    fixture.loop.run_until_idle(STEPS)
    assert seen == ["done", "closed"]
    gc.collect()
    assert [each() for each in references] == [None, None]


def test_an_async_generator_left_early_is_closed_on_this_loop() -> None:
    seen = []

    async def numbers():
        try:
            yield 1
            yield 2
        finally:
            await asyncio.sleep(0)
            seen.append(asyncio.get_running_loop())

    async def main():
        async for _ in numbers():
            break

    async def application():
        fixture = LoopHost()
        fixture.run(main)
        return fixture.loop

    assert asyncio.run(application()) is seen[0]


def test_errors_nobody_retrieved_are_reported() -> None:
    fixture = LoopHost()

    async def broken():
        raise ValueError("in a task")

    def broken_callback():
        raise ValueError("in a callback")

    async def main():
        asyncio.create_task(broken())  # noqa: RUF006 - the point
        asyncio.get_running_loop().call_soon(broken_callback)

    fixture.run(main)
    gc.collect()

    assert sorted(fixture.reported) == ["in a callback", "in a task"]


def test_system_exit_is_kept_as_the_outcome_of_its_task() -> None:
    async def main():
        raise SystemExit(3)

    with pytest.raises(SystemExit):
        LoopHost().run(main)  # raised by `result()`, not by the loop

    fixture = LoopHost()
    task = fixture.loop.start(main())
    fixture.loop.run_until_idle(STEPS)
    assert isinstance(task.exception(), SystemExit)


@pytest.mark.parametrize("thing", [3, None, "text", [asyncio]])
def test_only_an_awaitable_becomes_a_future(thing: Any) -> None:
    with pytest.raises(NotAwaitable, match="expected a future"):
        LoopHost().loop.ensure_future(thing)


def test_as_completed_of_coroutines_is_refused_since_a_set_of_them_has_no_order() -> None:
    async def main():
        coroutines = [asyncio.sleep(0), asyncio.sleep(0)]
        try:
            for each in asyncio.as_completed(coroutines):
                await each
        except ForbiddenInOrchestration as error:
            return str(error)
        finally:
            for each in coroutines:
                each.close()

    assert "asyncio.create_task()" in LoopHost().run(main)


def test_every_other_way_to_a_task_is_open() -> None:
    async def main():
        async def one():
            return 1

        async with asyncio.TaskGroup() as group:
            grouped = group.create_task(one())
        loop = asyncio.get_running_loop()
        return [
            grouped.result(),
            await asyncio.create_task(one()),
            await asyncio.ensure_future(one()),
            await loop.create_task(one()),
            *await asyncio.gather(one(), one()),
            await asyncio.shield(one()),
        ]

    assert LoopHost().run(main) == [1] * 7
