"""What comes together is seen one by one, alike with a hot cache, with none, and when it is replayed.

Duron hands over together, live, what ends together, and one by one on a replay: code that counts then goes another way.
"""

from __future__ import annotations

import asyncio
from itertools import groupby

import pytest

from django_durable import Provided, Signal, SignalInterrupt, Stream

from .activities import double, refuse, registry
from .test_verbs import completed

OUTCOMES = ("ActivityCompleted", "ActivityFailed", "PromiseCompleted", "ExternalEvent")


TOLD = {}


def told(function):
    """Register one half of a pair; the style is the suffix of the function's name."""
    TOLD[function.__name__] = registry.orchestration(function.__name__)(function)
    return function


@pytest.fixture(params=["gen", "aio"])
def style(request):
    """Not with checkpoints: there every function that waits is marked as one."""
    return request.param


async def _one(ctx, n, seen):
    value = await ctx.run(double, n)
    seen.append(n)
    return value


@told
async def first_of_four_aio(ctx):
    """One call more for each that is done: how many there are decides what is asked for."""
    seen = []
    tasks = [asyncio.create_task(_one(ctx, n, seen)) for n in range(4)]
    found = []
    while tasks:
        done, rest = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        found.append([len(done), len(rest), len(seen)])
        for each in tasks:
            if each in done:
                await ctx.run(double, each.result() + 100)
        tasks = [each for each in tasks if each in rest]
    return found


@told
def first_of_four_gen(ctx):
    seen = []
    tasks = [asyncio.ensure_future(_one(ctx, n, seen)) for n in range(4)]
    found = []
    while tasks:
        done, rest = yield asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        found.append([len(done), len(rest), len(seen)])
        for each in tasks:
            if each in done:
                yield ctx.run(double, each.result() + 100)
        tasks = [each for each in tasks if each in rest]
    return found


@told
async def counter_aio(ctx):
    seen = []
    tasks = [asyncio.create_task(_one(ctx, n, seen)) for n in range(4)]
    await tasks[0]
    counted = len(seen)
    for _ in range(counted):
        await ctx.run(double, 1)
    await asyncio.gather(*tasks)
    return [counted, sorted(seen)]


@told
def counter_gen(ctx):
    seen = []
    tasks = [asyncio.ensure_future(_one(ctx, n, seen)) for n in range(4)]
    yield tasks[0]
    counted = len(seen)
    for _ in range(counted):
        yield ctx.run(double, 1)
    yield asyncio.gather(*tasks)
    return [counted, sorted(seen)]


async def _refused(ctx, n):
    await ctx.run(refuse, f"no {n}")


@told
async def groups_aio(ctx):
    """Four fail at once; the first takes the others along."""
    try:
        async with asyncio.TaskGroup() as group:
            for n in range(4):
                group.create_task(_refused(ctx, n))
    except BaseExceptionGroup as errors:
        found = [each.message for each in errors.exceptions]
    for _ in found:
        await ctx.run(double, 1)
    return found


@told
def groups_gen(ctx):
    async def grouped():
        async with asyncio.TaskGroup() as group:
            for n in range(4):
                group.create_task(_refused(ctx, n))

    try:
        yield asyncio.ensure_future(grouped())
    except BaseExceptionGroup as errors:
        found = [each.message for each in errors.exceptions]
    for _ in found:
        yield ctx.run(double, 1)
    return found


@told
async def mixed_aio(ctx, orders: Stream[int] = Provided, stop: Signal[str] = Provided(policy="fifo")):
    """An event, a promise, items and signals, all there before the next turn."""
    promise = ctx.create_future(int)
    ctx.set_custom_status(promise.promise_id)
    seen = []

    async def note(label, awaitable):
        seen.append([label, await awaitable])

    async def interrupted():
        for _ in range(2):
            try:
                async with stop:
                    await ctx.wait_for_event("never")
            except SignalInterrupt as interrupt:
                seen.append(["signal", interrupt.value])

    await asyncio.gather(
        *(note("event", ctx.wait_for_event("go")), note("promise", promise)),
        *(note("items", orders.next()), interrupted()),
    )
    return seen


@told
def mixed_gen(ctx, orders: Stream[int] = Provided, stop: Signal[str] = Provided(policy="fifo")):
    promise = ctx.create_future(int)
    ctx.set_custom_status(promise.promise_id)
    seen = []

    def note(label, awaitable):
        seen.append([label, (yield awaitable)])

    def interrupted():
        for _ in range(2):
            try:
                yield stop.guard(ctx.wait_for_event("never"))
            except SignalInterrupt as interrupt:
                seen.append(["signal", interrupt.value])

    yield ctx.all(
        [
            *(note("event", ctx.wait_for_event("go")), note("promise", promise)),
            *(note("items", orders.next()), interrupted()),
        ]
    )
    return seen


def together(run, key):
    """Return how many outcomes arrived in each turn that has any."""
    events = [each for each in run.client.read_execution_history(key) if each.kind in OUTCOMES]
    return [len(list(same)) for _, same in groupby(events, key=lambda each: each.recorded_at)]


def test_wait_for_the_first_sees_one_of_those_that_end_together(run, style):
    key = run.start(TOLD[f"first_of_four_{style}"])
    run.drain()
    assert together(run, key)[0] == 4, "they did not end together"
    assert completed(run, key) == [[1, 3, 1], [3, 0, 4]]


def test_a_counter_shows_one_when_the_first_of_those_that_end_together_is_done(run, style):
    key = run.start(TOLD[f"counter_{style}"])
    run.drain()
    assert together(run, key)[0] == 4, "they did not end together"
    assert completed(run, key) == [1, [0, 1, 2, 3]]


def test_a_group_of_errors_holds_the_first_of_those_that_come_together(run, style):
    key = run.start(TOLD[f"groups_{style}"])
    run.drain()
    assert completed(run, key) == ["no 0"]


def test_events_promises_items_and_signals_that_come_together_are_seen_in_one_order(run, style):
    key = run.start(TOLD[f"mixed_{style}"])
    run.drain()
    run.client.complete_promise(key, run.client.get_status(key).custom_status, 1)
    run.client.send_to_stream(key, "stop", "first", "second")
    run.client.raise_event(key, "go", "now")
    run.client.send_to_stream(key, "orders", 7, 8)
    run.drain()
    output = completed(run, key)
    assert sorted(output) == [
        ["event", "now"],
        ["items", [7, 8]],
        ["promise", 1],
        ["signal", "first"],
        ["signal", "second"],
    ]
    assert [value for label, value in output if label == "signal"] == ["first", "second"]


@pytest.mark.parametrize("name", ["first_of_four", "counter", "groups"])
def test_what_is_seen_does_not_depend_on_the_cache(conformance_run, name, style):
    histories = []
    for hot in (1000, 0):
        run = conformance_run(hot_executions=hot)
        run.started = len(histories)
        key = run.start(TOLD[f"{name}_{style}"])
        run.drain()
        kinds = [each.kind for each in run.client.read_execution_history(key)]
        histories.append([kinds, run.client.get_output(key)])
    assert histories[0] == histories[1]
