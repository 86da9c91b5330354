"""A program written for Duron, with its imports changed and nothing else: a script, not a test."""

import asyncio
import sys
from pathlib import Path

from django_durable import duron
from django_durable.duron.contrib.storage import FileLogStorage
from django_durable.duron.tracing import Tracer, setup_tracing, span


@duron.effect
async def fetch(name: str) -> str:
    print("fetching\n", end="")  # With its line end: two threads write.
    await asyncio.sleep(0.01)
    return f"Good morning, {name}"


@duron.effect
def count(name: str) -> int:
    print("counting\n", end="")
    return len(name)


@duron.durable
async def greeting(ctx: duron.Context, name: str) -> str:
    with span("both") as both:
        text, letters = await asyncio.gather(ctx.run(fetch, name), ctx.run(count, name))
        both.record(letters=letters)
    return f"{text}: {letters} letters, {await ctx.time() > 0}, {ctx.random().random() < 1}"


async def main() -> None:
    setup_tracing()
    storage = FileLogStorage(Path(sys.argv[1]))
    async with greeting.invoke(storage, tracer=Tracer("session-1")) as job:
        await job.start("Ada")
        print(await job.wait())
    async with duron.invoke(greeting, storage) as job:
        await job.start("Ada")
        print(await job.wait())
    async with duron.Session(storage) as session:
        task = session.start(greeting, "Ada")
        print(await task.result())
        await session.verify(greeting)


if __name__ == "__main__":
    asyncio.run(main())
