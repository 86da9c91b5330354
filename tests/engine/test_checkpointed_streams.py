"""Streams, signals and context variables of programs with checkpoints, with every turn in another process."""

from __future__ import annotations

import asyncio
import decimal
import threading
from contextvars import ContextVar
from typing import Any

from django_durable import Provided, Signal, SignalInterrupt, Stream, StreamClosed, StreamWriter
from django_durable.engine import events
from django_durable.engine.spans import current_book, current_span

from .checkpoints import CheckpointHost, durable

TENANT: ContextVar[Any] = ContextVar("tenant", default="nobody")
LOCK: ContextVar[Any] = ContextVar("lock", default=None)


# Streams.


async def reads(ctx: Any, orders: Stream[int] = Provided) -> Any:
    seen = [await orders.next(block=False)]
    try:
        async for order in orders:
            seen.append(await ctx.run("work", order))
    except StreamClosed as closed:
        return [seen, closed.reason]


def test_a_stream_is_read_on() -> None:
    host = CheckpointHost(reads)
    host.send("orders", 1, 2)
    host.complete("work", 10)
    host.complete("work", 20, nth=1)
    host.send("orders", 3)
    host.complete("work", 30, nth=2)
    host.close("orders", "sold out")
    assert host.output == [[[], 10, 20, 30], "sold out"]


async def writes(ctx: Any, tokens: StreamWriter[str] = Provided) -> Any:
    async with tokens:
        await tokens.send("a")
        await ctx.run("work")
        await tokens.send("b")
    try:
        tokens.send("c")
    except StreamClosed:
        return "closed"


def test_a_writer_sends_on_and_closes() -> None:
    host = CheckpointHost(writes)
    host.complete("work")
    assert (host.output, host.sent("tokens")) == ("closed", ["a", "b"])


async def reads_through_functions(ctx: Any, orders: Stream[int] = Provided) -> Any:
    factor = 10
    view = orders.filter(lambda n: n % 2 == 0).map(lambda n: n * factor)
    first = await view.next()
    factor = 100
    return [first, await view.collect()]


def test_what_reads_through_functions_goes_on() -> None:
    host = CheckpointHost(reads_through_functions)
    for number in range(1, 5):
        host.send("orders", number)
    host.close("orders")
    assert host.output == [[20], [400]]


async def makes_streams(ctx: Any) -> Any:
    one, writer = ctx.create_stream(int)
    await ctx.run("work")
    other, _ = ctx.create_stream(dict[str, int])
    writer.send(1)
    writer.close()
    return [one.name, other.name, await one.collect(), await other.next()]


def test_streams_that_code_makes_go_on_and_names_are_given_once() -> None:
    host = CheckpointHost(makes_streams)
    host.complete("work")
    host.turn(events.StreamAppended(name="stream-1"))
    host.send("stream-2", {"a": 1})
    assert host.output == ["stream-1", "stream-2", [1], [{"a": 1}]]


@durable
async def takes(orders: Any, found: list[Any], name: str) -> None:
    async for order in orders:
        found.append([name, order])


async def shares_a_stream(ctx: Any, orders: Stream[int] = Provided) -> Any:
    found: list[Any] = []
    await asyncio.gather(takes(orders, found, "one"), takes(orders, found, "two"))
    return found


def test_readers_of_one_stream_share_its_items() -> None:
    host = CheckpointHost(shares_a_stream)
    for number in range(3):
        host.send("orders", number)
    host.close("orders")
    assert sorted(order for _, order in host.output) == [0, 1, 2]


async def continues(ctx: Any, left: int, orders: Stream[int] = Provided) -> Any:
    first = await orders.next(limit=1)
    await ctx.run("work", first)
    return ctx.continue_as_new(left - 1) if left else first


def test_the_next_execution_reads_on_where_this_one_has_stopped() -> None:
    host = CheckpointHost(continues, 1)
    host.send("orders", 1, 2)
    host.complete("work")
    follower = host.execution.next_start()
    assert follower.stream_positions == {"orders": 1}


# Signals.


async def interrupted(ctx: Any, stop: Signal[str] = Provided) -> Any:
    found = []
    for _ in range(2):
        try:
            async with stop:
                await ctx.run("work")
        except SignalInterrupt as interrupt:
            found.append(interrupt.value)
            await ctx.run("undo")
    return found


def test_a_signal_interrupts_code_that_was_loaded_and_one_that_nothing_hears_is_kept() -> None:
    host = CheckpointHost(interrupted)
    host.send("stop", "first")
    host.send("stop", "second")
    host.complete("undo")
    host.complete("undo", nth=1)
    assert host.output == ["first", "second"]


async def guards(ctx: Any, stop: Signal[int] = Provided) -> Any:
    first = await stop.guard(ctx.run("work"))
    late, writer = ctx.create_signal(int, policy="fifo")
    won = await ctx.race(late.wait(), ctx.schedule_timer(1000))
    try:
        await stop.guard(ctx.wait_for_event("never"))
    except SignalInterrupt as interrupt:
        return [first, won, interrupt.value, late.name, writer.name]


def test_signals_are_guarded_by_waited_for_and_made() -> None:
    host = CheckpointHost(guards)
    host.complete("work", 1)
    host.send("signal-1", 2)
    host.send("stop", 3)
    assert host.output == [1, {"index": 0, "value": 2}, 3, "signal-1", "signal-1"]


async def cleans_up(ctx: Any, stop: Signal[str] = Provided) -> Any:
    try:
        async with stop:
            try:
                await ctx.run("work")
            finally:
                await ctx.run("undo")
    except SignalInterrupt as interrupt:
        return interrupt.value


def test_code_that_cleans_up_after_a_signal_goes_on_to_its_interruption() -> None:
    host = CheckpointHost(cleans_up)
    host.send("stop", "now")
    host.complete("undo")
    assert host.output == "now"


# Context variables.


@durable
async def says(ctx: Any, name: str) -> Any:
    TENANT.set(name)
    await ctx.run("work", name)
    return TENANT.get()


async def sets_variables(ctx: Any) -> Any:
    TENANT.set(["root"])
    LOCK.set(threading.Lock())
    decimal.getcontext().prec = 3
    others = [asyncio.create_task(says(ctx, name)) for name in "ab"]
    await ctx.run("first")
    third = str(decimal.Decimal(1) / 3)
    return [TENANT.get(), await asyncio.gather(*others), third]


def test_context_variables_of_each_task_go_on() -> None:
    host = CheckpointHost(sets_variables)
    host.complete("first")
    host.complete("work", nth=1)
    host.complete("work")
    assert host.output == [["root"], ["a", "b"], "0.333"]


async def nests_spans(ctx: Any) -> Any:
    with current_book().open("outer", {}) as outer:
        await ctx.run("a")
        with current_book().open("inner", {}) as inner:
            await ctx.run("b")
            inside = current_span() is inner
        again = current_span() is outer
    with current_book().open("after", {}):
        await ctx.run("c")
    return [inside, again, current_span().span_id]


def test_spans_are_in_those_that_were_open_before_a_load() -> None:
    host = CheckpointHost(nests_spans)
    found = {}
    for name in "abc":
        loaded = host.loaded()
        loaded.advance([host.completed(name)], now=host.now)
        found |= {each.name: each.parent_id for each in loaded.take_spans()[0]}
        host.complete(name)
    assert found == {"inner": "s1", "outer": None, "after": None}
    assert host.output == [True, True, None]
