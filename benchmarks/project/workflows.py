"""What is run: activities that do nothing, so that what is measured is the engine."""

from __future__ import annotations

from typing import Any

from benchmarks.stamps import Stamps
from django_durable import OrchestrationContext, activity, orchestration

stamps = Stamps()


@activity("noop")
def noop(number: int) -> int:
    stamps.add()
    return number


@orchestration("chain")
def chain(ctx: OrchestrationContext, size: int) -> Any:
    for number in range(size):
        yield ctx.schedule_activity(noop, number)
    return size


@orchestration("long")
def long(ctx: OrchestrationContext, size: int) -> Any:
    """A chain that then waits, so that another worker can take it over."""
    yield from chain.function(ctx, size)
    ctx.set_kv_value("waits", True)
    yield ctx.wait_for_event("go_on")
    return size


@orchestration("fan_out")
def fan_out(ctx: OrchestrationContext, size: int) -> Any:
    yield ctx.all([ctx.schedule_activity(noop, number) for number in range(size)])
    return size


@orchestration("timer_at")
def timer_at(ctx: OrchestrationContext, due_ms: int) -> Any:
    """Ends at a moment, in ms since 1970."""
    yield ctx.schedule_timer(max(due_ms - int(ctx.now.timestamp() * 1000), 0))
    return due_ms


@orchestration("approval")
def approval(ctx: OrchestrationContext, deadline_ms: int) -> Any:
    """Waits for an event or a timer, whichever comes first."""
    return (yield ctx.race(ctx.wait_for_event("approval"), ctx.schedule_timer(deadline_ms)))["index"]
