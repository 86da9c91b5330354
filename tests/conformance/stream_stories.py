"""Streams and signals, in both styles; see `orchestrations`."""

from __future__ import annotations

import asyncio

from django_durable import Provided, RetryPolicy, Signal, SignalInterrupt, Stream, StreamClosed, StreamWriter

from .activities import double, registry
from .orchestrations import story


@registry.activity
def speak(text: str, words: StreamWriter[str] = Provided) -> int:
    for word in text.split():
        words.send(word)
    return words.sent()


@registry.activity
async def speak_async(text: str, words: StreamWriter[str] = Provided) -> int:
    for word in text.split():
        await words.send(word)
    return await words.sent()


@registry.activity(atomic=True)
def speak_at_once(text: str, words: StreamWriter[str] = Provided) -> int:
    for word in text.split():
        words.send(word)
    if text.endswith("!"):
        raise ValueError(text)
    return words.sent()


@registry.activity(retry=RetryPolicy(max_attempts=3, backoff="none"))
def speak_and_stumble(text: str, words: StreamWriter[str] = Provided) -> int:
    """Say one word more in each attempt."""
    words.send(text.split()[words.sent()])
    if words.sent() < 3:
        raise ConnectionError("again")
    return words.sent()


@story
def sends_gen(ctx, words: StreamWriter[str] = Provided):
    yield words.send("first")
    counts = yield ctx.all([ctx.schedule_activity(speak, "a b")])
    yield ctx.schedule_activity(speak_async, "c d")
    yield ctx.schedule_activity(speak_at_once, "e f")
    yield words.send("last")
    yield words.close()
    return counts


@story
async def sends_aio(ctx, words: StreamWriter[str] = Provided):
    await words.send("first")
    counts = await ctx.all([ctx.run(speak, "a b")])
    await ctx.run(speak_async, "c d")
    await ctx.run(speak_at_once, "e f")
    await words.send("last")
    await words.close()
    return counts


@story
def reads_gen(ctx, orders: Stream[int] = Provided):
    seen: list[int] = []
    nothing = yield orders.next(block=False)
    while True:
        try:
            for order in (yield orders.next()):
                seen.append((yield ctx.schedule_activity(double, order)))
        except StreamClosed as closed:
            return [nothing, seen, closed.reason]


@story
async def reads_aio(ctx, orders: Stream[int] = Provided):
    seen: list[int] = []
    nothing = await orders.next(block=False)
    try:
        async for order in orders:
            seen.append(await ctx.run(double, order))
    except StreamClosed as closed:
        return [nothing, seen, closed.reason]


@story
def relays_gen(ctx, rounds: int = 3, orders: Stream[int] = Provided, done: StreamWriter[int] = Provided):
    for order in (yield orders.next(limit=1)):
        yield done.send(order * 10)
    if rounds > 1:
        yield ctx.continue_as_new(rounds - 1)
    return "relayed"


@story
async def relays_aio(ctx, rounds: int = 3, orders: Stream[int] = Provided, done: StreamWriter[int] = Provided):
    async for order in orders:
        await done.send(order * 10)
        break
    if rounds > 1:
        await ctx.continue_as_new(rounds - 1)
    return "relayed"


@story
def interrupted_gen(ctx, stop: Signal[str] = Provided):
    try:
        yield stop.guard(ctx.wait_for_event("never"))
    except SignalInterrupt as first:
        try:
            yield stop.guard(ctx.schedule_timer(60_000))
        except SignalInterrupt as second:
            return [first.value, second.value]
        return [first.value]


@story
async def interrupted_aio(ctx, stop: Signal[str] = Provided):
    try:
        async with stop:
            await ctx.wait_for_event("never")
    except SignalInterrupt as first:
        try:
            async with stop:
                await asyncio.sleep(60)
        except SignalInterrupt as second:
            return [first.value, second.value]
        return [first.value]


@story
def hands_over_gen(ctx):
    stream, writer = ctx.create_stream(str)
    yield ctx.schedule_activity(speak, "one two", writer)
    said = yield stream.next()
    yield ctx.schedule_activity(speak_async, "three", words=writer)
    yield writer.close()
    return [said, (yield stream.collect())]


@story
async def hands_over_aio(ctx):
    stream, writer = ctx.create_stream(str)
    await ctx.run(speak, "one two", writer)
    said = await stream.next()
    await ctx.run(speak_async, "three", words=writer)
    await writer.close()
    return [said, await stream.collect()]
