"""What crashes while streams are sent on and read, signals arrive, promises are settled, and generators yield.

As `stories`, in the same styles.
"""

from __future__ import annotations

import operator
from collections.abc import AsyncGenerator, Iterator
from typing import Annotated

from django_durable import Provided, Reducer, Signal, SignalInterrupt, Stream, StreamClosed, StreamWriter
from django_durable.client import Client

from .plays import Moves, Story, simply
from .stories import asynchronous, registry

Words = Annotated[list[str], Reducer(operator.add)]
Orders = Stream[int]
Fifo = Provided(policy="fifo")


@registry.activity("say")
def say(text: str, words: StreamWriter[str] = Provided) -> int:
    """Send the words that no attempt has sent."""
    for word in text.split()[words.sent() :]:
        words.send(word)
    return words.sent()


@registry.activity("say-at-once", atomic=True)
def say_at_once(text: str, words: StreamWriter[str] = Provided) -> int:
    words.send(*text.split())
    return words.sent()


@registry.activity("spell")
def spell(said: Words, text: str) -> Iterator[list[str]]:
    for word in text.split()[len(said) :]:
        yield [word]


@registry.activity("spell-async")
async def spell_async(said: Words, text: str) -> AsyncGenerator[list[str], list[str]]:
    for word in text.split()[len(said) :]:
        yield [word]


def spell_locally(said: Words, text: str) -> Iterator[list[str]]:
    for word in text.split()[len(said) :]:
        yield [word]


@registry.orchestration("sends.generator")
def sends(ctx, words: StreamWriter[str] = Provided):
    yield words.send("first")
    counts = yield ctx.all([ctx.schedule_activity("say", "a b c")])
    at_once = yield ctx.schedule_activity("say-at-once", "d e")
    yield words.send("last")
    yield words.close("said")
    return [counts[0]["ok"], at_once]


@asynchronous("sends")
async def sends_async(ctx, words: StreamWriter[str] = Provided):
    await words.send("first")
    count = await ctx.schedule_activity("say", "a b c")
    at_once = await ctx.schedule_activity("say-at-once", "d e")
    await words.send("last")
    await words.close("said")
    return [count, at_once]


@registry.orchestration("reads.generator")
def reads(ctx, orders: Stream[int] = Provided, done: StreamWriter[str] = Provided):
    seen = []
    while True:
        try:
            for order in (yield orders.next()):
                seen.append((yield ctx.schedule_activity("note", f"order {order}")))
                yield done.send(seen[-1])
        except StreamClosed:
            return seen


@asynchronous("reads")
async def reads_async(ctx, orders: Orders = Provided, done: StreamWriter[str] = Provided):
    seen = []
    async for order in orders:
        seen.append(await ctx.schedule_activity("note", f"order {order}"))
        await done.send(seen[-1])
    return seen


@registry.orchestration("relays.generator")
def relays(ctx, left: int = 2, orders: Stream[int] = Provided, done: StreamWriter[int] = Provided):
    for order in (yield orders.next(limit=1)):
        yield done.send(order * 10)
    return ctx.continue_as_new(left - 1) if left else "relayed"


@asynchronous("relays")
async def relays_async(ctx, left: int = 2, orders: Orders = Provided, done: StreamWriter[int] = Provided):
    (order,) = await orders.next(limit=1)
    await done.send(order * 10)
    return ctx.continue_as_new(left - 1) if left else "relayed"


@registry.orchestration("signals.generator")
def signals(ctx, stop: Signal[str] = Fifo):
    found = []
    while len(found) < 3:
        try:
            yield stop.guard(ctx.wait_for_event("never"))
        except SignalInterrupt as interrupt:
            found.append((yield ctx.schedule_activity("note", interrupt.value)))
    return found


@asynchronous("signals")
async def signals_async(ctx, stop: Signal[str] = Fifo):
    found = []
    while len(found) < 3:
        try:
            async with stop:
                await ctx.wait_for_event("never")
        except SignalInterrupt as interrupt:
            found.append(await ctx.schedule_activity("note", interrupt.value))
    return found


@registry.orchestration("promises.generator")
def promises(ctx):
    first, second = ctx.request("?", int, name="first"), ctx.request("?", int, name="second")
    answers = [(yield second), (yield first)]
    return [answers, (yield ctx.schedule_activity("note", "answered"))]


@asynchronous("promises")
async def promises_async(ctx):
    first, second = ctx.request("?", int, name="first"), ctx.request("?", int, name="second")
    answers = [await second, await first]
    return [answers, await ctx.schedule_activity("note", "answered")]


@registry.orchestration("yields.generator")
def yields(ctx):
    spelled = yield ctx.schedule_activity("spell", [], "a b c")
    spelled_async = yield ctx.schedule_activity("spell-async", spelled, "a b c d e")
    return [spelled_async, (yield ctx.run(spell_locally, [], "f g"))]


@asynchronous("yields")
async def yields_async(ctx):
    spelled = await ctx.schedule_activity("spell", [], "a b c")
    spelled_async = await ctx.schedule_activity("spell-async", spelled, "a b c d e")
    return [spelled_async, await ctx.run(spell_locally, [], "f g")]


@registry.orchestration("follows.generator")
def follows(ctx):
    made = ctx.stream(spell, [], "a b c").with_name("words")
    seen = []
    while len(seen) < 3:
        for words in (yield made.partials.next()):
            seen += words
    return [seen, (yield made.result)]


@asynchronous("follows")
async def follows_async(ctx):
    seen = []
    async with ctx.stream(spell, [], "a b c").with_name("words") as (partials, result):
        async for words in partials:
            seen += words
        return [seen, await result]


def with_orders(client: Client) -> Moves:
    client.send_to_stream("it", "orders", 1, 2)
    yield None
    client.send_to_stream("it", "orders", 3)
    yield None
    client.close_stream("it", "orders")
    yield None


def with_orders_to_be_relayed(client: Client) -> Moves:
    client.send_to_stream("it", "orders", 1, 2)
    yield None
    client.send_to_stream("it", "orders", 3)
    yield None


def with_signals(client: Client) -> Moves:
    client.send_to_stream("it", "stop", "early")
    yield None
    client.send_to_stream("it", "stop", "second")
    client.send_to_stream("it", "stop", "third")
    yield None


def with_answers(client: Client) -> Moves:
    yield None
    asked = {each.name: each.promise_id for each in client.list_requests(instance_id="it")}
    client.complete_promise("it", asked["first"], 1)
    yield None
    client.complete_promise("it", asked["second"], 2)
    yield None


ORDERS = [f"order {number}" for number in (1, 2, 3)]
STREAM_STORIES = {
    "sends": Story(simply, [3, 2]),
    "reads": Story(with_orders, ORDERS),
    "relays": Story(with_orders_to_be_relayed, "relayed"),
    "signals": Story(with_signals, ["early", "second", "third"]),
    "promises": Story(with_answers, [[2, 1], "answered"]),
    "yields": Story(simply, [["a", "b", "c", "d", "e"], ["f", "g"]]),
    "follows": Story(simply, [["a", "b", "c"], ["a", "b", "c"]]),
}
SENT = {
    "sends": {"words": ["first", "a", "b", "c", "d", "e", "last"]},
    "reads": {"orders": [1, 2, 3], "done": ORDERS},
    "relays": {"orders": [1, 2, 3], "done": [10, 20, 30]},
    "signals": {"stop": ["early", "second", "third"]},
    "promises": {},
    "yields": {
        "spell-1": [["a"], ["b"], ["c"]],
        "spell-async-2": [["d"], ["e"]],
        "spell_locally-3": [["f"], ["g"]],
    },
    "follows": {"words": [["a"], ["b"], ["c"]]},
}
"""What is in the streams of each in the end, in order."""
