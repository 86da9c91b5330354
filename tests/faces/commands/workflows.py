"""Orchestrations of the commands' tests.

`COMMANDS_CHANGED` stands for a deployment that changed one of them, `COMMANDS_DIES` for one that cannot run in a
process which another one started.
"""

from __future__ import annotations

import multiprocessing
import os
from datetime import timedelta
from typing import Any

from django_durable import RetryPolicy, activity, orchestration

if "COMMANDS_DIES" in os.environ and multiprocessing.parent_process() is not None:
    os._exit(1)

DAY = timedelta(days=1)


@activity("commands.reserve")
def reserve(order_id: int) -> str:
    return f"shelf {order_id}"


@activity("commands.charge", retry=RetryPolicy(max_attempts=3, initial=DAY, max_delay=DAY))
def charge(order_id: int) -> str:
    raise OSError(f"no answer for {order_id}")


@orchestration("commands.doubles")
def doubles(ctx: Any, number: int, label: str = "") -> Any:
    """Return twice a number."""
    ctx.set_custom_status({"step": "doubling"})
    return {"doubled": 2 * number, "label": label}
    yield


@orchestration("commands.old", version="1.0.0")
def old(ctx: Any) -> Any:
    return 1
    yield


@orchestration("commands.old", version="2.0.0")
def new(ctx: Any) -> Any:
    return 2
    yield


@orchestration("commands.waits")
def waits(ctx: Any) -> Any:
    """Reserve, then wait for an event, a message and a day."""
    ctx.set_custom_status("reserving")
    yield ctx.schedule_activity("commands.charge" if "COMMANDS_CHANGED" in os.environ else "commands.reserve", 1)
    ctx.set_custom_status("waiting")
    won = yield ctx.race(ctx.wait_for_event("go"), ctx.dequeue_event("messages"), ctx.schedule_timer(DAY))
    return won


@orchestration("commands.asks")
def asks(ctx):
    return (yield ctx.request("How many?", int))


@orchestration("commands.charges")
def charges(ctx: Any, order_id: int) -> Any:
    return (yield ctx.schedule_activity(charge, order_id))


@orchestration("commands.fails")
def fails(ctx: Any, text: str = "broken on purpose") -> Any:
    raise ValueError(text)
    yield


@orchestration("commands.parent")
def parent(ctx: Any) -> Any:
    yield ctx.schedule_sub_orchestration_with_id(waits, f"{ctx.instance_id}-child")


@orchestration("commands.unlucky_parent")
def unlucky_parent(ctx: Any) -> Any:
    yield ctx.schedule_sub_orchestration_with_id(fails, f"{ctx.instance_id}-child")


@orchestration("commands.counts")
def counts(ctx: Any, left: int) -> Any:
    """Continue as new until nothing is left."""
    yield ctx.schedule_activity(reserve, left)
    if left:
        yield ctx.continue_as_new(left - 1)
    yield ctx.wait_for_event("go")


@orchestration("commands.many")
def many(ctx: Any, times: int) -> Any:
    for number in range(times):
        yield ctx.schedule_activity(reserve, number)


@orchestration("commands.listens")
def listens(ctx: Any) -> Any:
    """Wait for a person, an item and an event."""
    items, _ = ctx.create_stream(str, name="words")
    return (yield ctx.race(ctx.request("Go on?", bool, name="approval"), items.next(), ctx.wait_for_event("go")))
