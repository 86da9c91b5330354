"""Generators with a Reducer, as activities and as steps, in all styles; see `orchestrations`."""

from __future__ import annotations

import asyncio
import operator
from collections import Counter
from collections.abc import AsyncGenerator, Iterator
from dataclasses import dataclass
from typing import Annotated

from django_durable import ActivityError, Reducer, RetryPolicy

from .activities import registry
from .orchestrations import story

CALLED: Counter[str] = Counter()
"""How often each word was made; a word that was stored is not made again."""

AGAIN = RetryPolicy(max_attempts=3, backoff="none")
Words = Annotated[list[str], Reducer(operator.add)]


@registry.activity
def spell(said: Words, text: str) -> Iterator[list[str]]:
    for word in text.split()[len(said) :]:
        CALLED[word] += 1
        said = yield [word]


@registry.activity("spell_async")
async def spell_async(said: Words, text: str) -> AsyncGenerator[list[str], list[str]]:
    for word in text.split()[len(said) :]:
        await asyncio.sleep(0)
        CALLED[word] += 1
        said = yield [word]


@registry.activity(retry=AGAIN)
def spell_and_stumble(ctx, said: Words, text: str) -> Iterator[list[str]]:
    """Say two words in each attempt."""
    for word in text.split()[len(said) :]:
        if len(said) == 2 * ctx.attempt:
            raise ConnectionError(word)
        CALLED[word] += 1
        said = yield [word]


@registry.activity(retry=AGAIN)
async def spell_and_stumble_async(ctx, said: Words, text: str) -> AsyncGenerator[list[str], list[str]]:
    for word in text.split()[len(said) :]:
        if len(said) == 2 * ctx.attempt:
            raise ConnectionError(word)
        CALLED[word] += 1
        said = yield [word]


@dataclass
class Progress:
    page: int
    rows: int


@registry.activity
def count_pages(at: Annotated[Progress | None, Reducer()] = None) -> Iterator[Progress]:
    """Yield where it is; the newest replaces what was there."""
    for page in range(at.page if at else 0, 3):
        at = yield Progress(page + 1, (page + 1) * 10)


def add_up(total: Annotated[int, Reducer(operator.add)], numbers: list[int]) -> Iterator[int]:
    for number in numbers:
        if total < 100:
            total = yield number


async def add_up_async(total: Annotated[int, Reducer(operator.add)], numbers: list[int]) -> AsyncGenerator[int, int]:
    for number in numbers:
        yield number


@registry.activity
def spoil(said: Words) -> Iterator[list[str]]:
    yield ["good"]
    raise ValueError("spoiled")


@story
def generates_gen(ctx):
    spelled = yield ctx.schedule_activity(spell, [], "a b c")
    named = yield ctx.schedule_activity("spell_async", {"said": ["a"], "text": "a d e"})
    pages = yield ctx.run(count_pages)
    summed = yield ctx.run(add_up, 10, [1, 2, 3])
    summed_async = yield ctx.run(add_up_async, 10, [1, 2, 3])
    return [spelled, named, type(pages).__name__, pages.rows, summed, summed_async]


@story
async def generates_aio(ctx):
    spelled = await ctx.run(spell, [], "a b c")
    named = await ctx.schedule_activity("spell_async", {"said": ["a"], "text": "a d e"})
    pages = await ctx.run(count_pages)
    summed = await ctx.run(add_up, 10, [1, 2, 3])
    summed_async = await ctx.run(add_up_async, 10, [1, 2, 3])
    return [spelled, named, type(pages).__name__, pages.rows, summed, summed_async]


@story
def stumbles_gen(ctx):
    told = yield ctx.schedule_activity(spell_and_stumble, [], "a b c d e")
    told_async = yield ctx.schedule_activity(spell_and_stumble_async, [], "f g h i j")
    return [told, told_async]


@story
async def stumbles_aio(ctx):
    told = await ctx.run(spell_and_stumble, [], "a b c d e")
    told_async = await ctx.run(spell_and_stumble_async, [], "f g h i j")
    return [told, told_async]


@story
def spoils_gen(ctx):
    try:
        yield ctx.schedule_activity(spoil, [])
    except ActivityError as error:
        return [error.error_type, error.message]


@story
async def spoils_aio(ctx):
    try:
        await ctx.run(spoil, [])
    except ActivityError as error:
        return [error.error_type, error.message]


@story
def follows_gen(ctx):
    made = ctx.stream(spell_async, [], "a b c").with_name("words")
    seen = []
    while len(seen) < 3:
        for words in (yield made.partials.next()):
            seen += words
    return [seen, (yield made.result)]


@story
async def follows_aio(ctx):
    seen = []
    async with ctx.stream(spell_async, [], "a b c").with_name("words") as (partials, result):
        async for words in partials:
            seen += words
        return [seen, await result]


@story
def follows_badly_gen(ctx):
    made, seen = ctx.stream(spoil, []), []
    try:
        while True:
            for words in (yield made.partials.next()):
                seen += words
    except ActivityError as error:
        return [seen, error.error_type]


@story
async def follows_badly_aio(ctx):
    seen = []
    try:
        async with ctx.stream(spoil, []) as (partials, _):
            async for words in partials:
                seen += words
    except ActivityError as error:
        return [seen, error.error_type]
