"""Plain asyncio inside orchestrations with checkpoints: the stories of `asyncio_stories`, their helpers durable."""

from __future__ import annotations

import asyncio
from typing import Annotated, Literal

from . import asyncio_stories as replayed
from .activities import double, echo, refuse, registry


def stored(function):
    """Register a story with checkpoints; its name is that of the function."""
    return registry.orchestration(f"stored.{function.__name__}", mode="checkpoint")(function)


for each in (replayed.gather, replayed.gather_errors, replayed.timeouts, replayed.shield):
    stored(each.function)


@registry.durable_function
async def doubled(ctx, n):
    return await ctx.run(double, n)


@registry.durable_function
async def refused(ctx):
    await ctx.run(refuse, "no")


@stored
async def wait(ctx):
    tasks = {asyncio.create_task(doubled(ctx, n)) for n in range(4)}
    seen = []
    while tasks:
        done, tasks = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for each in done:
            seen.append(1 + each.result())
            await ctx.run(echo)
    return sorted(seen)


@stored
async def task_group(ctx):
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(doubled(ctx, n)) for n in range(3)]
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(refused(ctx))
            group.create_task(doubled(ctx, 7))
    except ExceptionGroup as errors:
        failed = len(errors.exceptions)
    return [[each.result() for each in tasks], failed]


@stored
async def called_off(ctx):
    undone = []
    try:
        async with asyncio.TaskGroup() as group:
            for n in range(6):
                group.create_task(leg(ctx, n, undone))
            await asyncio.sleep(1)
            group.create_task(refused(ctx))
    except ExceptionGroup as errors:
        undone.append(len(errors.exceptions))
    return undone


@registry.durable_function
async def leg(ctx, n, undone):
    try:
        await (asyncio.sleep(3600) if n % 2 else ctx.run(double, n))
    except asyncio.CancelledError:
        undone.append(n)
        undone.append(await ctx.run(double, n))
        raise


@registry.durable_function
async def produce(ctx, queue, event):
    for n in range(3):
        await queue.put(await ctx.run(double, n))
    event.set()


@registry.durable_function
async def consume(ctx, queue, lock, semaphore, order):
    for _ in range(3):
        async with lock, semaphore:
            order.append(await queue.get())
            await ctx.run(echo)


@stored
async def primitives(ctx):
    queue = asyncio.Queue(maxsize=1)
    lock, semaphore, event = asyncio.Lock(), asyncio.Semaphore(2), asyncio.Event()
    order = []
    await asyncio.gather(
        produce(ctx, queue, event), consume(ctx, queue, lock, semaphore, order), asyncio.create_task(wait_for(event))
    )
    return order


@registry.durable_function
async def wait_for(event):
    await event.wait()


@stored
async def hints(ctx):
    """Types that no checkpoint can hold by themselves, where code waits."""
    one = ctx.wait_for_event("one", Literal["a", "b"])
    two = ctx.wait_for_event("two", Annotated[int | None, "a number"])
    stream, writer = ctx.create_stream(dict[str, Literal[1, 2]])
    await ctx.run(echo)
    writer.send({"a": 1})
    writer.close()
    return [one.done(), two.done(), await stream.collect()]


# `as_completed` is left out: what it returns are coroutines that no checkpoint holds (see docs/how-to/checkpoints.md).
EXPECTED = {
    name.replace("aio.", "stored."): output for name, output in replayed.EXPECTED.items() if name != "aio.as_completed"
} | {"stored.hints": [False, False, [{"a": 1}]]}
