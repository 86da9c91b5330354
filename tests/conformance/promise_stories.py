"""Promises and requests, as generators and as `async def`."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import timedelta

from django_durable import PromiseError, PromiseExpired

from .orchestrations import story


@dataclass
class Decision:
    approved: bool
    limit: int = 0


@story
def promises_gen(ctx):
    first = ctx.create_future(int, name="number")
    ctx.set_kv_value("id", first.promise_id)
    number = yield first
    decision = yield ctx.request({"amount": number}, Decision, name="approval", assignee="ada")
    try:
        yield ctx.create_future(name="fails")
    except PromiseError as error:
        failed = [error.error_type, error.message]
    try:
        yield ctx.request("Too late?", str, deadline=timedelta(hours=1))
    except PromiseExpired as error:
        late = error.error_type.rpartition(".")[2]
    won = yield ctx.race(ctx.request("Never?"), ctx.wait_for_event("go"))
    return [number, decision.approved, decision.limit, failed, late, won]


@story
async def promises_aio(ctx):
    first = ctx.create_future(int, name="number")
    ctx.set_kv_value("id", first.promise_id)
    number = await first
    decision = await ctx.request({"amount": number}, Decision, name="approval", assignee="ada")
    try:
        await ctx.create_future(name="fails")
    except PromiseError as error:
        failed = [error.error_type, error.message]
    try:
        await ctx.request("Too late?", str, deadline=timedelta(hours=1))
    except TimeoutError as error:
        late = error.error_type.rpartition(".")[2]
    won = await ctx.race(ctx.request("Never?"), ctx.wait_for_event("go"))
    return [number, decision.approved, decision.limit, failed, late, won]


@story
def promise_limit_gen(ctx):
    won = yield ctx.race(ctx.request("Well?"), ctx.schedule_timer(timedelta(days=1)))
    ctx.set_custom_status("over")
    return [won["index"], (yield ctx.wait_for_event("end"))]


@story
async def promise_limit_aio(ctx):
    try:
        async with asyncio.timeout(24 * 3600):
            await ctx.request("Well?")
    except TimeoutError:
        ctx.set_custom_status("over")
        return [1, await ctx.wait_for_event("end")]
