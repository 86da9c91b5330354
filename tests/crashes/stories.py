"""What crashes: one orchestration of each style for each thing that a crash could break.

The style `checkpoint` is that of `async def`, kept by checkpoints: see `asynchronous`.
"""

from __future__ import annotations

import asyncio
from datetime import timedelta

from django_durable import RetryPolicy
from django_durable.registry import Registry

registry = Registry()
MINUTE = timedelta(minutes=1)
STYLES = ("generator", "async", "checkpoint")


def asynchronous(name: str):
    """Register an `async def` as `name.async`, which is replayed, and as `name.checkpoint`."""

    def register(function):
        registry.orchestration(f"{name}.checkpoint", mode="checkpoint")(function)
        return registry.orchestration(f"{name}.async")(function)

    return register


class FlakyError(Exception):
    """What an activity raises in its first attempts."""


@registry.activity("note")
def note(label: str) -> str:
    return label


@registry.activity("note_async")
async def note_async(label: str) -> str:
    return label


@registry.activity("write", atomic=True)
def write(label: str) -> str:
    """Write a row that tells whether there was one before."""
    from django.contrib.auth.models import Group

    before = Group.objects.filter(name__startswith=f"{label} ").count()
    Group.objects.create(name=f"{label} {before}")
    return label


@registry.activity("flaky", retry=RetryPolicy(max_attempts=3, initial=timedelta(seconds=5)))
def flaky(ctx) -> int:
    if ctx.attempt < 3:
        raise FlakyError(f"attempt {ctx.attempt}")
    return ctx.attempt


@registry.orchestration("chain.generator")
def chain(ctx):
    done = []
    for number in range(3):
        done.append((yield ctx.schedule_activity("note", f"n{number}")))
    return done


@asynchronous("chain")
async def chain_async(ctx):
    return [await ctx.schedule_activity("note_async", f"n{number}") for number in range(3)]


@registry.orchestration("fan-out.generator")
def fan_out(ctx):
    results = yield ctx.all([ctx.schedule_activity("note", f"n{number}") for number in range(4)])
    return [each["ok"] for each in results]


@asynchronous("fan-out")
async def fan_out_async(ctx):
    return await asyncio.gather(*(ctx.schedule_activity("note_async", f"n{number}") for number in range(4)))


@registry.orchestration("children.generator")
def children(ctx, depth: int = 1):
    if not depth:
        return (yield ctx.schedule_activity("note", "leaf"))
    results = yield ctx.all([ctx.schedule_sub_orchestration("children.generator", depth - 1) for _ in range(2)])
    return [each["ok"] for each in results]


@asynchronous("children")
async def children_async(ctx, depth: int = 1):
    if not depth:
        return await ctx.schedule_activity("note", "leaf")
    below = [ctx.schedule_sub_orchestration(ctx.orchestration_name, depth - 1) for _ in range(2)]
    return await asyncio.gather(*below)


@registry.orchestration("continue-as-new.generator")
def generations(ctx, left: int = 2):
    yield ctx.schedule_activity("note", f"left {left}")
    ctx.set_kv_value("sum", (ctx.get_kv_value("sum") or 0) + left)
    if left:
        return ctx.continue_as_new(left - 1)
    return [ctx.execution_id, ctx.get_kv_value("sum"), (yield ctx.wait_for_event("early"))]


@asynchronous("continue-as-new")
async def generations_async(ctx, left: int = 2):
    await ctx.schedule_activity("note", f"left {left}")
    ctx.set_kv_value("sum", (ctx.get_kv_value("sum") or 0) + left)
    if left:
        return ctx.continue_as_new(left - 1)
    return [ctx.execution_id, ctx.get_kv_value("sum"), await ctx.wait_for_event("early")]


@registry.orchestration("queue.generator")
def queue(ctx):
    found = []
    for _ in range(4):
        message = yield ctx.dequeue_event("box")
        found.append((yield ctx.schedule_activity("note", message)))
    return found


@asynchronous("queue")
async def queue_async(ctx):
    found = []
    for _ in range(4):
        found.append(await ctx.schedule_activity("note_async", await ctx.dequeue_event("box")))
    return found


@registry.orchestration("kv.generator")
def kv(ctx):
    for number in range(3):
        ctx.set_kv_value("count", (ctx.get_kv_value("count") or 0) + 1)
        ctx.set_kv_value(f"key{number}", number)
        ctx.set_custom_status(f"round {number}")
        yield ctx.schedule_activity("note", f"n{number}")
    ctx.clear_kv_value("key1")
    return ctx.get_kv_all_values()


@asynchronous("kv")
async def kv_async(ctx):
    for number in range(3):
        ctx.set_kv_value("count", (ctx.get_kv_value("count") or 0) + 1)
        ctx.set_kv_value(f"key{number}", number)
        ctx.set_custom_status(f"round {number}")
        await ctx.schedule_activity("note", f"n{number}")
    ctx.clear_kv_value("key1")
    return ctx.get_kv_all_values()


@registry.orchestration("atomic.generator")
def atomic(ctx):
    first = yield ctx.schedule_activity("write", "first")
    others = yield ctx.all([ctx.schedule_activity("write", f"w{number}") for number in range(2)])
    return [first, *(each["ok"] for each in others)]


@asynchronous("atomic")
async def atomic_async(ctx):
    first = await ctx.schedule_activity("write", "first")
    return [first, *await asyncio.gather(*(ctx.schedule_activity("write", f"w{number}") for number in range(2)))]


@registry.orchestration("retry.generator")
def retry(ctx):
    return [(yield ctx.schedule_activity("flaky")), (yield ctx.schedule_activity("note", "after"))]


@asynchronous("retry")
async def retry_async(ctx):
    return [await ctx.schedule_activity("flaky"), await ctx.schedule_activity("note", "after")]


@registry.orchestration("timer.generator")
def timer(ctx):
    first = yield ctx.race(ctx.schedule_timer(5 * MINUTE), ctx.schedule_timer(MINUTE))
    yield ctx.schedule_timer(MINUTE)
    return [first["index"], (yield ctx.schedule_activity("note", "rung"))]


@asynchronous("timer")
async def timer_async(ctx):
    first = await ctx.race(ctx.schedule_timer(5 * MINUTE), ctx.schedule_timer(MINUTE))
    await asyncio.sleep(60)
    return [first["index"], await ctx.schedule_activity("note", "rung")]


@registry.orchestration("cancel.generator")
def cancel(ctx):
    child = ctx.schedule_sub_orchestration("waits")
    try:
        yield ctx.all([child, ctx.schedule_timer(60 * MINUTE)])
    finally:
        yield ctx.schedule_activity("write", "compensated")


@asynchronous("cancel")
async def cancel_async(ctx):
    child = ctx.schedule_sub_orchestration("waits")
    try:
        await asyncio.gather(child, ctx.schedule_timer(60 * MINUTE))
    finally:
        await ctx.schedule_activity("write", "compensated")


@registry.orchestration("waits")
def waits(ctx):
    yield ctx.wait_for_event("never")


@registry.orchestration("detached.generator")
def detached(ctx):
    yield ctx.start_orchestration("chain.generator", f"{ctx.instance_id}-detached")
    return (yield ctx.schedule_activity("note", "left alone"))


@asynchronous("detached")
async def detached_async(ctx):
    await ctx.start_orchestration(ctx.orchestration_name.replace("detached", "chain"), f"{ctx.instance_id}-detached")
    return await ctx.schedule_activity("note", "left alone")


@registry.activity("outside")
def outside(ctx) -> str:
    """Fails in the execution that was started, and in no other."""
    if ctx.execution_id == 1:
        raise ConnectionError("The service is down.")
    return "outside"


@registry.orchestration("retry-instance.generator")
def retried(ctx):
    before = yield ctx.schedule_activity("write", "before")
    return [before, (yield ctx.schedule_activity("outside")), (yield ctx.schedule_activity("note", "after"))]


@asynchronous("retry-instance")
async def retried_async(ctx):
    before = await ctx.schedule_activity("write", "before")
    return [before, await ctx.schedule_activity("outside"), await ctx.schedule_activity("note", "after")]


@registry.orchestration("fork.generator")
def forked(ctx):
    first = yield ctx.schedule_activity("note", "first")
    yield ctx.schedule_activity("write", "written")
    return [first, (yield ctx.dequeue_event("box"))]


@asynchronous("fork")
async def forked_async(ctx):
    first = await ctx.schedule_activity("note", "first")
    await ctx.schedule_activity("write", "written")
    return [first, await ctx.dequeue_event("box")]
