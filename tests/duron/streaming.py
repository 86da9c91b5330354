"""Programs written for Duron, with their imports changed and nothing else: streams in both directions, a signal."""

import asyncio
import sys
from pathlib import Path

from django_durable import duron
from django_durable.duron import Provided, Signal, SignalInterrupt, Stream, StreamWriter
from django_durable.duron.contrib.storage import FileLogStorage


@duron.durable
async def producer(ctx: duron.Context, output: StreamWriter[str] = Provided) -> None:
    for number in range(3):
        await output.send(f"item {number}")
        await asyncio.sleep(0.01)
    await output.close()


@duron.durable
async def echo(ctx: duron.Context, inputs: Stream[int] = Provided, output: StreamWriter[int] = Provided) -> int:
    total = 0
    async for number in inputs:
        total += number
        await output.send(total)
    await output.close()
    return total


@duron.effect
async def very_long() -> None:
    await asyncio.sleep(60)


@duron.durable
async def interruptible(ctx: duron.Context, signal: Signal[str] = Provided) -> str:
    try:
        async with signal:
            await ctx.run(very_long)
            return "completed"
    except SignalInterrupt:
        return "interrupted"


async def main() -> None:
    folder = Path(sys.argv[1])
    async with duron.invoke(producer, FileLogStorage(folder / "producer.jsonl")) as job:
        stream: Stream[str] = job.open_stream("output", "r")
        await job.start()
        async with stream as items:
            async for item in items:
                print(item)
        await job.wait()
    async with duron.Session(FileLogStorage(folder / "echo.jsonl")) as session:
        task = session.start(echo)
        writer = await task.open_stream("inputs", "w")
        reader = await task.open_stream("output", "r")
        for number in (1, 2, 3):
            await writer.send(number)
        await writer.close()
        print(await reader.collect(), await task.result())
    async with duron.invoke(interruptible, FileLogStorage(folder / "signal.jsonl")) as job:
        sender = job.open_stream("signal", "w")
        await job.start()
        await sender.send("stop")
        print(await job.wait())


if __name__ == "__main__":
    asyncio.run(main())
