"""Local steps: callables of every kind given to `ctx.run`, as generators and as `async def`."""

from __future__ import annotations

import asyncio
import functools
from datetime import date

from django_durable import ActivityError, RetryPolicy

from .activities import LONG, RUNS, double
from .orchestrations import story

TWICE = RetryPolicy(max_attempts=2, backoff="none")


class Till:
    """Something with a method."""

    def __init__(self, rate: int) -> None:
        self.rate = rate

    def price(self, amount: int) -> int:
        RUNS["price"] += 1
        return amount * self.rate


async def tomorrow(today: date) -> date:
    RUNS["tomorrow"] += 1
    await asyncio.sleep(0)
    return today.replace(day=today.day + 1)


async def endless() -> None:
    await asyncio.Event().wait()


def once_broken(answer: str) -> str:
    RUNS["once_broken"] += 1
    if RUNS["once_broken"] == 1:
        raise ConnectionError("no answer")
    return answer


def refuse(reason: str) -> None:
    RUNS["refuse_step"] += 1
    raise LookupError(reason)


@story
def steps_gen(ctx, rate: int):
    closure = yield ctx.run(lambda: rate + 1)
    partial = yield ctx.run(functools.partial(pow, 2), 5)
    method = yield ctx.run(Till(rate).price, amount=closure)
    day = yield ctx.run(tomorrow, date(2026, 1, 1))
    registered = yield ctx.run(double, method)
    retried = yield ctx.run(once_broken, "in the end").with_retry(TWICE)
    try:
        yield ctx.run(refuse, "no such order")
    except ActivityError as error:
        refused = [error.error_type, error.message]
    both = yield ctx.all([ctx.run(len, [1, 2]), ctx.run(refuse, "no")])
    won = yield ctx.race(ctx.wait_for_event("go"), ctx.run(len, "four"))
    return [closure, partial, method, day.day, registered, retried, refused, both, won]


@story
async def steps_aio(ctx, rate: int):
    closure = await ctx.run(lambda: rate + 1)
    partial = await ctx.run(functools.partial(pow, 2), 5)
    method = await ctx.run(Till(rate).price, amount=closure)
    day = await ctx.run(tomorrow, date(2026, 1, 1))
    registered = await ctx.run(double, method)
    retried = await ctx.run(once_broken, "in the end").with_retry(TWICE)
    try:
        await ctx.run(refuse, "no such order")
    except ActivityError as error:
        refused = [error.error_type, error.message]
    both = await ctx.all([ctx.run(len, [1, 2]), ctx.run(refuse, "no")])
    won = await ctx.race(ctx.wait_for_event("go"), ctx.run(len, "four"))
    return [closure, partial, method, day.day, registered, retried, refused, both, won]


@story
def step_given_up_gen(ctx):
    """The tag is served by nobody, so the step waits."""
    won = yield ctx.race(ctx.run(endless).with_tag("nobody"), ctx.schedule_timer(LONG))
    return [won["index"], (yield ctx.run(len, "end"))]


@story
async def step_given_up_aio(ctx):
    """As above, with a deadline of asyncio."""
    try:
        async with asyncio.timeout(LONG.total_seconds()):
            await ctx.run(endless).with_tag("nobody")
    except TimeoutError:
        return [1, await ctx.run(len, "end")]
