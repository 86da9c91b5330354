"""Workflows that stream, are signaled, and wait for promises; `workflows` imports them."""

from __future__ import annotations

import asyncio
import operator
import time
from collections.abc import AsyncGenerator, Iterator
from typing import Annotated

from django_durable import Provided, Reducer, Signal, SignalInterrupt, Stream, StreamWriter, activity, orchestration

from .stage import Stage

Numbers = Annotated[list[int], Reducer(operator.add)]


@activity("acceptance.number")
def number(ctx, found: Numbers, count: int, gate_at: int) -> Iterator[list[int]]:
    Stage.here().note(ctx, f"from-{len(found)}")
    for each in range(len(found), count):
        if each == gate_at:
            Stage.here().wait_at("gate")
        yield [each]
        time.sleep(0.002)


@activity("acceptance.number_async")
async def number_async(ctx, found: Numbers, count: int, gate_at: int) -> AsyncGenerator[list[int], list[int]]:
    Stage.here().note(ctx, f"from-{len(found)}")
    for each in range(len(found), count):
        if each == gate_at:
            await asyncio.to_thread(Stage.here().wait_at, "gate")
        yield [each]
        await asyncio.sleep(0.002)


def number_locally(found: Numbers, count: int, gate_at: int) -> Iterator[list[int]]:
    for each in range(len(found), count):
        if each == gate_at:
            Stage.here().wait_at("gate")
        yield [each]
        time.sleep(0.002)


@orchestration("acceptance.generates")
def generates(ctx, count: int, gate_at: int):
    """Three generators at once."""
    running = [
        ctx.schedule_activity(number, [], count, gate_at),
        ctx.schedule_activity(number_async, [], count, gate_at),
        ctx.run(number_locally, [], count, gate_at),
    ]
    results = yield ctx.all(running)
    return [each["ok"] == list(range(count)) for each in results]


@activity("acceptance.dictate")
def dictate(ctx, count: int, gate_at: int, words: StreamWriter[int] = Provided) -> int:
    """Send numbers, those that no attempt has sent yet."""
    for each in range(words.sent(), count):
        if each == gate_at:
            Stage.here().wait_at("gate")
        words.send(each)
    return words.sent()


@orchestration("acceptance.dictates")
async def dictates(ctx, count: int, gate_at: int, words: Stream[int] = Provided):
    """Read what an activity sends while it does."""
    done = ctx.run(dictate, count, gate_at)
    seen: list[int] = []
    while len(seen) < count:
        seen += await words.next()
    return [await done, seen]


@activity("acceptance.heard")
def heard(ctx, label: str) -> str:
    Stage.here().note(ctx, label)
    return label


@orchestration("acceptance.converses")
async def converses(
    ctx,
    rounds: int,
    orders: Stream[int] = Provided,
    said: StreamWriter[str] = Provided,
    ring: Signal[int] = Provided(policy="fifo"),
):
    """In each round: read, say so, ask, and be interrupted."""
    found = []
    for _ in range(rounds):
        (order,) = await orders.next(limit=1)
        await ctx.run(heard, f"order-{order}")
        promise = ctx.create_future(int)
        await said.send(promise.promise_id)
        answer = await promise
        try:
            async with ring:
                await ctx.wait_for_event("never")
        except SignalInterrupt as interrupt:
            found.append([order, answer, interrupt.value])
    return found
