"""Streams in orchestration code: what is read and sent, in either style, live and rebuilt."""

from __future__ import annotations

import asyncio

import pytest

from django_durable import Provided, Stream, StreamClosed, StreamWriter
from django_durable.engine import events

from .support import Host


def test_what_code_sends_is_recorded_in_order(style):
    def story(ctx, tokens: StreamWriter[str] = Provided):
        yield tokens.send("a")
        yield ctx.schedule_activity("work")
        tokens.send("b")
        yield tokens.close()

    host = Host(style(story))
    assert host.sent("tokens") == ["a"]
    host.complete("work")
    assert host.sent("tokens") == ["a", "b"]
    assert host.of(events.StreamEnded) == [events.StreamEnded(name="tokens")]


def test_items_sent_before_the_start_are_read(style):
    def story(ctx, orders: Stream[int] = Provided):
        first = yield orders.next()
        second = yield orders.next()
        return [first, second]

    host = Host(style(story))
    host.send("orders", 1, 2)
    host.send("orders", 3)
    assert host.output == [[1, 2], [3]]


def test_a_read_waits_and_costs_two_events(style):
    def story(ctx, orders: Stream[int] = Provided):
        return (yield orders.next())

    host = Host(style(story))
    assert host.kinds == ["OrchestrationStarted", "StreamSubscribed"]
    host.send("orders", 7)
    assert host.kinds[2:] == ["StreamItemsReceived", "OrchestrationCompleted"]


def test_a_read_that_does_not_block_gets_nothing(style):
    def story(ctx, orders: Stream[int] = Provided):
        found = yield orders.next(block=False)
        yield ctx.schedule_activity("work")
        more = yield orders.next(block=False)
        return [found, more]

    host = Host(style(story))
    host.store("orders", "1", "2")
    host.complete("work")
    assert host.output == [[], [1, 2]]


def test_a_limit_leaves_the_rest(style):
    def story(ctx, orders: Stream[int] = Provided):
        first = yield orders.next(limit=2)
        rest = yield orders.next()
        return [first, rest]

    host = Host(style(story))
    host.send("orders", 1, 2, 3)
    assert host.output == [[1, 2], [3]]


@pytest.mark.parametrize("limit", [0, 1001, "2"])
def test_a_limit_that_cannot_be_is_refused(limit):
    def story(ctx, orders: Stream[int] = Provided):
        yield orders.next(limit=limit)

    assert "limit" in Host(story).failure.message


def test_the_end_of_a_stream_raises_at_the_next_read(style):
    def story(ctx, orders: Stream[int] = Provided):
        found = yield orders.next()
        try:
            yield orders.next()
        except StreamClosed as closed:
            return [found, closed.position, closed.reason]

    host = Host(style(story))
    host.store("orders", "1")
    host.close("orders", "no more")
    assert host.output == [[1], 2, "no more"]


def test_iteration_ends_with_the_stream():
    async def story(ctx, orders: Stream[int] = Provided):
        return [order async for order in orders]

    host = Host(story)
    host.send("orders", 1, 2)
    host.send("orders", 3)
    host.close("orders")
    assert host.output == [1, 2, 3]


def test_iteration_raises_where_the_stream_was_closed_with_a_reason():
    async def story(ctx, orders: Stream[int] = Provided):
        found = []
        try:
            async for order in orders:
                found.append(order)
        except StreamClosed as closed:
            return [*found, str(closed)]

    host = Host(story)
    host.store("orders", "1")
    host.close("orders", "broken")
    assert host.output == [1, "Stream 'orders' is closed: broken."]


def test_collect_reads_to_the_end(style):
    def story(ctx, orders: Stream[int] = Provided):
        return (yield orders.map(lambda n: n * 2).filter(lambda n: n > 2).collect())

    host = Host(style(story))
    host.send("orders", 1, 2)
    host.send("orders", 3)
    host.close("orders")
    assert host.output == [4, 6]


def test_a_view_waits_for_an_item_that_it_lets_pass(style):
    def story(ctx, orders: Stream[int] = Provided):
        return (yield orders.filter(lambda n: n > 2).next())

    host = Host(style(story))
    host.send("orders", 1, 2)
    host.send("orders", 3, 1, 4)
    assert host.output == [3, 4]


def test_two_readers_share_the_items():
    async def story(ctx, orders: Stream[int] = Provided):
        return await asyncio.gather(orders.next(limit=1), orders.next(limit=1))

    host = Host(story)
    host.send("orders", 1, 2)
    assert host.output == [[1], [2]]


def test_the_end_of_a_stream_reaches_all_who_read_it():
    async def story(ctx, orders: Stream[int] = Provided):
        collected, batch = await asyncio.gather(orders.collect(), orders.next(), return_exceptions=True)
        return [collected, type(batch).__name__]

    host = Host(story)
    host.close("orders")
    assert host.output == [[], "StreamClosed"]


def test_a_read_that_is_canceled_leaves_the_items():
    async def story(ctx, orders: Stream[int] = Provided):
        try:
            async with asyncio.timeout(1):
                await orders.next()
        except TimeoutError:
            return await orders.next()

    host = Host(story)
    host.fire()
    assert host.kinds.count("StreamSubscriptionCanceled") == 1
    host.send("orders", 1)
    assert host.output == [1]


def test_items_are_decoded_by_the_annotation(style):
    def story(ctx, orders: Stream[str] = Provided):
        return (yield orders.next())

    host = Host(style(story))
    host.send("orders", 1)
    assert host.output == ["1"]


def test_an_orchestration_reads_what_its_own_tasks_send():
    async def story(ctx):
        stream, writer = ctx.create_stream(int)

        async def produce():
            for n in range(3):
                await asyncio.sleep(1)
                await writer.send(n)
            await writer.close()

        task = asyncio.create_task(produce())
        found = await stream.collect()
        await task
        return [stream.name, *found]

    host = Host(story)
    for n in range(3):
        host.fire(n)
        host.turn(events.StreamAppended(name="stream-1"))
    assert host.output == ["stream-1", 0, 1, 2]


def test_a_writer_closes_with_the_error_of_its_block():
    async def story(ctx, out: StreamWriter[int] = Provided):
        async with out:
            await out.send(1)
            raise ValueError("burned")

    host = Host(story)
    assert host.of(events.StreamEnded) == [events.StreamEnded(name="out", reason="burned")]


def test_sending_on_what_this_code_has_closed_raises(style):
    def story(ctx, out: StreamWriter[int] = Provided):
        out.close()
        yield out.send(1)

    assert Host(style(story)).failure.error_type == "django_durable.engine.errors.StreamClosed"


def test_what_was_read_is_not_read_again_after_continue_as_new():
    def story(ctx, rounds, orders: Stream[int] = Provided):
        found = yield orders.next(limit=1)
        if rounds == 0:
            return found
        yield ctx.continue_as_new(rounds - 1)

    host = Host(story, 2)
    host.send("orders", 1, 2, 3)
    assert host.execution.next_start().stream_positions == {"orders": 1}
    host = host.next().next()
    assert host.output == [3]


def test_items_fetched_and_not_taken_are_read_after_continue_as_new():
    async def story(ctx, again, orders: Stream[int] = Provided):
        async for order in orders:
            if again:
                await ctx.continue_as_new(False)
            return order

    host = Host(story, True)
    host.send("orders", 1, 2)
    assert host.next().output == 2


def test_a_stream_is_opened_once_in_an_execution(style):
    def story(ctx, orders: Stream[int] = Provided):
        yield orders.next()
        yield orders.next()

    host = Host(style(story))
    host.send("orders", 1)
    assert [each.opens for each in host.of(events.StreamSubscribed)] == [True, False]


def test_reads_are_looked_at_only_when_there_may_be_items():
    def story(ctx, orders: Stream[int] = Provided):
        yield ctx.all([orders.next(), ctx.wait_for_event("go")])

    host = Host(story)
    assert not host.execution.open_reads()
    host.raise_event("other")
    assert not host.execution.open_reads()
    host.execution.advance([events.StreamAppended(name="elsewhere")], now=host.now)
    assert not host.execution.open_reads()
    host.execution.advance([events.StreamAppended(name="orders")], now=host.now)
    assert [each.name for each in host.execution.open_reads()] == ["orders"]


def test_many_items_are_read_in_several_turns_of_the_store():
    async def story(ctx, orders: Stream[int] = Provided):
        return len(await orders.collect())

    host = Host(story)
    host.store("orders", *map(str, range(250)))
    host.close("orders")
    assert host.output == 250
    assert [len(each.items) for each in host.of(events.StreamItemsReceived)] == [100, 100, 50]


def test_a_parameter_that_says_not_what_is_provided_fails_the_orchestration():
    def story(ctx, orders: list[int] = Provided):
        yield orders

    assert "is Provided, and its hint is list[int]" in Host(story).failure.message
