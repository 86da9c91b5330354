"""What becomes of the author's code: its errors, the steps it may run, and its end when the program is dropped.

Warnings are errors in this suite, those of the garbage collector included: code that is left suspended makes noise.
"""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from django_durable.engine import events
from django_durable.engine.errors import NotRegistered
from django_durable.engine.replay import Execution

from .support import START, FakeEnvironment, Host, started


def dropped(host: Host) -> list[str]:
    """Close a host's execution; return what was logged, and let the garbage collector make its noise here."""
    host.environment.logged.clear()
    host.execution.close()
    gc.collect()
    return host.environment.logged


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
