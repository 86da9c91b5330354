"""Plain asyncio inside `async def` orchestrations."""

from __future__ import annotations

import asyncio

from .activities import add, double, echo, refuse, registry


@registry.orchestration("aio.gather")
async def gather(ctx):
    return await asyncio.gather(*(ctx.run(double, n) for n in range(4)), return_exceptions=False)


@registry.orchestration("aio.gather_errors")
async def gather_errors(ctx):
    results = await asyncio.gather(ctx.run(double, 1), ctx.run(refuse, "no"), return_exceptions=True)
    return [results[0], results[1].message]


@registry.orchestration("aio.wait")
async def wait(ctx):
    tasks = {asyncio.create_task(_doubled(ctx, n)) for n in range(4)}
    seen = []
    while tasks:
        done, tasks = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for each in done:
            seen.append(await ctx.run(add, each.result(), 1))
    return sorted(seen)


async def _doubled(ctx, n):
    return await ctx.run(double, n)


@registry.orchestration("aio.as_completed")
async def as_completed(ctx):
    return sorted([await each for each in asyncio.as_completed([ctx.run(double, n) for n in range(4)])])


@registry.orchestration("aio.timeouts")
async def timeouts(ctx):
    seen = []
    try:
        await asyncio.wait_for(ctx.wait_for_event("never"), 1)
    except TimeoutError:
        seen.append("wait_for")
    try:
        async with asyncio.timeout(2):
            await asyncio.sleep(3600)
    except TimeoutError:
        seen.append("timeout")
    seen.append(await asyncio.wait_for(ctx.run(double, 4), 60))
    return seen


@registry.orchestration("aio.task_group")
async def task_group(ctx):
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(_doubled(ctx, n)) for n in range(3)]
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(_refused(ctx))
            group.create_task(asyncio.sleep(3600))
    except* Exception as errors:
        failed = len(errors.exceptions)
    return [[each.result() for each in tasks], failed]


async def _refused(ctx):
    await ctx.run(refuse, "no")


@registry.orchestration("aio.called_off")
async def called_off(ctx):
    """What is left of a group that was larger once is canceled in the order in which it was created."""
    undone = []
    try:
        async with asyncio.TaskGroup() as group:
            for n in range(6):
                group.create_task(_leg(ctx, n, undone))
            await asyncio.sleep(1)
            group.create_task(_refused(ctx))
    except* Exception as errors:
        undone.append(len(errors.exceptions))
    return undone


async def _leg(ctx, n, undone):
    try:
        await (asyncio.sleep(3600) if n % 2 else ctx.run(double, n))
    except asyncio.CancelledError:
        undone.append(n)
        undone.append(await ctx.run(double, n))
        raise


@registry.orchestration("aio.primitives")
async def primitives(ctx):
    queue: asyncio.Queue[int] = asyncio.Queue(maxsize=1)
    lock, semaphore, event = asyncio.Lock(), asyncio.Semaphore(2), asyncio.Event()
    order = []

    async def produce():
        for n in range(3):
            await queue.put(await ctx.run(double, n))
        event.set()

    async def consume():
        for _ in range(3):
            async with lock, semaphore:
                order.append(await queue.get())
                await ctx.run(echo)

    await asyncio.gather(produce(), consume(), event.wait())
    return order


@registry.orchestration("aio.shield")
async def shield(ctx):
    kept = ctx.run(double, 21)
    try:
        async with asyncio.timeout(0.001):
            await asyncio.shield(kept)
    except TimeoutError:
        pass
    return await kept


EXPECTED = {
    "aio.gather": [0, 2, 4, 6],
    "aio.gather_errors": [2, "no"],
    "aio.wait": [1, 3, 5, 7],
    "aio.as_completed": [0, 2, 4, 6],
    "aio.timeouts": ["wait_for", "timeout", 8],
    "aio.task_group": [[0, 2, 4], 1],
    "aio.called_off": [1, 3, 5, 2, 6, 10, 1],
    "aio.primitives": [0, 2, 4],
    "aio.shield": 42,
}
