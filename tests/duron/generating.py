"""A program written for Duron, with its imports changed and nothing else: an effect that yields, and is folded."""

import asyncio
import sys
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Annotated

from django_durable import duron
from django_durable.duron import Reducer
from django_durable.duron.contrib.storage import FileLogStorage


def append(text: str, word: str) -> str:
    return f"{text} {word}".strip()


@duron.effect
async def write(text: Annotated[str, Reducer(append)], words: list[str]) -> AsyncGenerator[str, str]:
    for word in words[len(text.split()) :]:
        print(f"writing {word}\n", end="")
        text = yield word
    assert text == " ".join(words)


async def count_down(left: int, by: int) -> AsyncGenerator[int, int]:
    while left > 0:
        left = yield left - by


@duron.durable
async def author(ctx: duron.Context, words: list[str]) -> list[object]:
    async with ctx.stream(write, "", words) as (stream, result):
        seen = [word async for word in stream]
        text = await result
    return [seen, text, await ctx.run(write, "a", ["a", "b"]), await ctx.run(count_down, 10, 3)]


async def main() -> None:
    for _ in range(2):
        async with duron.invoke(author, FileLogStorage(Path(sys.argv[1]))) as job:
            await job.start(["once", "upon"])
            print(await job.wait())


if __name__ == "__main__":
    asyncio.run(main())
