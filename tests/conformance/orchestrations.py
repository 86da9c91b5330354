"""The orchestrations of each verb: the same story as a generator, as an `async def`, and as that with checkpoints.

`PAIRS` maps the story's name to its registered orchestrations, by style.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import timedelta

from django_durable import ActivityError, CancelledError, RetryPolicy, SubOrchestrationError

from .activities import LONG, add, add_async, double, echo, flaky, refuse, registry, who

PAIRS: dict[str, dict[str, object]] = {}


def story(function: Callable) -> object:
    """Register one half of a pair; the style is the suffix of the function's name."""
    name, _, style = function.__name__.rpartition("_")
    definition = registry.orchestration(function.__name__)(function)
    styles = PAIRS.setdefault(name, {})
    styles[style] = definition
    if style == "aio":
        styles["stored"] = registry.orchestration(f"{name}_stored", mode="checkpoint")(function)
    return definition


@story
def activities_gen(ctx, n: int):
    by_function = yield ctx.schedule_activity(double, n)
    by_name = yield ctx.schedule_activity("double", by_function)
    several = yield ctx.schedule_activity(add, by_name, right=1)
    mapping = yield ctx.schedule_activity("add", {"left": several, "right": 2})
    from_async = yield ctx.schedule_activity(add_async, mapping, 3)
    return [by_function, by_name, several, mapping, from_async]


@story
async def activities_aio(ctx, n: int):
    by_function = await ctx.run(double, n)
    by_name = await ctx.schedule_activity("double", by_function)
    several = await ctx.schedule_activity(add, by_name, right=1)
    mapping = await ctx.schedule_activity("add", {"left": several, "right": 2})
    from_async = await ctx.schedule_activity(add_async, mapping, 3)
    return [by_function, by_name, several, mapping, from_async]


@story
def activity_error_gen(ctx, reason: str):
    try:
        yield ctx.schedule_activity(refuse, reason)
    except ActivityError as error:
        return [error.error_type, error.message, "refuse" in error.traceback]


@story
async def activity_error_aio(ctx, reason: str):
    try:
        await ctx.schedule_activity(refuse, reason)
    except ActivityError as error:
        return [error.error_type, error.message, "refuse" in error.traceback]


@story
def retry_gen(ctx):
    declared = yield ctx.schedule_activity(flaky, 2)
    given = yield ctx.schedule_activity_with_retry(
        "always_flaky", 3, RetryPolicy(max_attempts=4, backoff="fixed", initial=timedelta(seconds=5))
    )
    try:
        yield ctx.schedule_activity_with_retry("always_flaky", 9, {"max_attempts": 2, "backoff": "none"})
    except ActivityError as error:
        return [declared, given, error.message]


@story
async def retry_aio(ctx):
    declared = await ctx.schedule_activity(flaky, 2)
    given = await ctx.schedule_activity_with_retry(
        "always_flaky", 3, RetryPolicy(max_attempts=4, backoff="fixed", initial=timedelta(seconds=5))
    )
    try:
        await ctx.schedule_activity_with_retry("always_flaky", 9, {"max_attempts": 2, "backoff": "none"})
    except ActivityError as error:
        return [declared, given, error.message]


@story
def sessions_and_tags_gen(ctx):
    session = yield ctx.schedule_activity_on_session("who", session_id="s1")
    tag = yield ctx.schedule_activity("who").with_tag("gpu")
    both = yield ctx.schedule_activity_with_retry_on_session("who", None, RetryPolicy(), "s2").with_tag("gpu")
    return [session["session"], tag["tag"], both["session"], both["tag"], both["activity"]]


@story
async def sessions_and_tags_aio(ctx):
    session = await ctx.schedule_activity_on_session(who, session_id="s1")
    tag = await ctx.schedule_activity(who).with_tag("gpu")
    both = await ctx.schedule_activity_with_retry_on_session(who, None, RetryPolicy(), "s2").with_tag("gpu")
    return [session["session"], tag["tag"], both["session"], both["tag"], both["activity"]]


@story
def timer_gen(ctx):
    before = yield ctx.utc_now()
    yield ctx.schedule_timer(LONG)
    yield ctx.schedule_timer(1500)
    after = yield ctx.utc_now()
    return after - before >= (2 * 24 * 3600 + 1.5) * 1000


@story
async def timer_aio(ctx):
    before = await ctx.utc_now()
    await ctx.schedule_timer(LONG)
    await asyncio.sleep(1.5)
    after = await ctx.utc_now()
    return after - before >= (2 * 24 * 3600 + 1.5) * 1000


@story
def events_gen(ctx):
    early = yield ctx.wait_for_event("early")
    yield ctx.schedule_activity(echo)
    first = yield ctx.wait_for_event("step", int)
    second = yield ctx.wait_for_event("step", int)
    return [early, first, second]


@story
async def events_aio(ctx):
    early = await ctx.wait_for_event("early")
    await ctx.schedule_activity(echo)
    first = await ctx.wait_for_event("step", int)
    second = await ctx.wait_for_event("step", int)
    return [early, first, second]


@story
def queue_gen(ctx, count: int):
    total = 0
    for _ in range(count):
        total += yield ctx.dequeue_event("numbers", int)
    other = yield ctx.dequeue_event("other")
    return [total, other]


@story
async def queue_aio(ctx, count: int):
    total = 0
    for _ in range(count):
        total += await ctx.dequeue_event("numbers", int)
    return [total, await ctx.dequeue_event("other")]


@registry.orchestration("child")
def child(ctx, n: int):
    doubled = yield ctx.schedule_activity(double, n)
    return doubled


@registry.orchestration("child", version="2.0.0")
async def child_v2(ctx, n: int):
    return await ctx.schedule_activity(double, n) + 1


@registry.orchestration("failing_child")
def failing_child(ctx):
    yield ctx.schedule_activity(echo)
    raise LookupError("no such thing")


@story
def children_gen(ctx, n: int):
    latest = yield ctx.schedule_sub_orchestration("child", n)
    with_id = yield ctx.schedule_sub_orchestration_with_id("child", f"{ctx.instance_id}-kid", n)
    versioned = yield ctx.schedule_sub_orchestration_versioned("child", "1.0.0", n)
    both = yield ctx.schedule_sub_orchestration_versioned_with_id("child", "1.0.0", f"{ctx.instance_id}-kid2", n)
    try:
        yield ctx.schedule_sub_orchestration("failing_child")
    except SubOrchestrationError as error:
        failed = error.error_type
    try:
        yield ctx.schedule_sub_orchestration_with_id("child", f"{ctx.instance_id}-kid", n)
    except SubOrchestrationError as error:
        taken = error.error_type.rpartition(".")[2]
    return [latest, with_id, versioned, both, failed, taken]


@story
async def children_aio(ctx, n: int):
    latest = await ctx.schedule_sub_orchestration(child_v2, n)
    with_id = await ctx.schedule_sub_orchestration_with_id("child", f"{ctx.instance_id}-kid", n)
    versioned = await ctx.schedule_sub_orchestration_versioned("child", "1.0.0", n)
    both = await ctx.schedule_sub_orchestration_versioned_with_id("child", "1.0.0", f"{ctx.instance_id}-kid2", n)
    try:
        await ctx.schedule_sub_orchestration(failing_child)
    except SubOrchestrationError as error:
        failed = error.error_type
    try:
        await ctx.schedule_sub_orchestration_with_id("child", f"{ctx.instance_id}-kid", n)
    except SubOrchestrationError as error:
        taken = error.error_type.rpartition(".")[2]
    return [latest, with_id, versioned, both, failed, taken]


@story
def detached_gen(ctx, n: int):
    yield ctx.start_orchestration("child", f"{ctx.instance_id}-detached", n)
    ctx.start_orchestration_versioned("child", "1.0.0", f"{ctx.instance_id}-detached2", n)
    return "started"


@story
async def detached_aio(ctx, n: int):
    await ctx.start_orchestration(child_v2, f"{ctx.instance_id}-detached", n)
    ctx.start_orchestration_versioned("child", "1.0.0", f"{ctx.instance_id}-detached2", n)
    return "started"


@story
def continue_as_new_gen(ctx, left: int):
    ctx.set_kv_value(f"round{ctx.execution_id}", left)
    ctx.set_custom_status(f"{left} left")
    if left:
        yield ctx.schedule_activity(echo)
        yield ctx.continue_as_new(left - 1)
    kept = yield ctx.wait_for_event("kept")
    queued = yield ctx.dequeue_event("kept")
    return [ctx.execution_id, ctx.get_kv_all_keys(), ctx.get_custom_status(), kept, queued]


@story
async def continue_as_new_aio(ctx, left: int):
    ctx.set_kv_value(f"round{ctx.execution_id}", left)
    ctx.set_custom_status(f"{left} left")
    if left:
        await ctx.schedule_activity(echo)
        return ctx.continue_as_new_versioned(left - 1, "1.0.0")
    kept = await ctx.wait_for_event("kept")
    queued = await ctx.dequeue_event("kept")
    return [ctx.execution_id, ctx.get_kv_all_keys(), ctx.get_custom_status(), kept, queued]


@story
def all_gen(ctx):
    results = yield ctx.all(
        [
            ctx.schedule_activity(double, 1),
            ctx.schedule_activity(refuse, "no"),
            ctx.schedule_timer(1000),
            ctx.wait_for_event("go"),
            ctx.dequeue_event("q"),
            ctx.schedule_sub_orchestration("child", 2),
            ctx.utc_now(),
            ctx.all([ctx.schedule_activity(double, n) for n in range(3)]),
            ctx.race(ctx.schedule_activity(double, 5), ctx.schedule_timer(LONG)),
        ]
    )
    results[6] = "now" if isinstance(results[6]["ok"], int) else results[6]
    empty = yield ctx.all([])
    return [*results, empty]


@story
async def all_aio(ctx):
    results = await ctx.all(
        [
            ctx.schedule_activity(double, 1),
            ctx.schedule_activity(refuse, "no"),
            ctx.schedule_timer(1000),
            ctx.wait_for_event("go"),
            ctx.dequeue_event("q"),
            ctx.schedule_sub_orchestration("child", 2),
            ctx.utc_now(),
            ctx.all([ctx.schedule_activity(double, n) for n in range(3)]),
            ctx.race(ctx.schedule_activity(double, 5), ctx.schedule_timer(LONG)),
        ]
    )
    results[6] = "now" if isinstance(results[6]["ok"], int) else results[6]
    return [*results, await ctx.all([])]


@story
def race_gen(ctx):
    first = yield ctx.race(ctx.schedule_timer(LONG), ctx.schedule_activity(double, 2), ctx.wait_for_event("never"))
    second = yield ctx.race(ctx.dequeue_event("q"), ctx.schedule_timer(1000))
    third = yield ctx.race(ctx.wait_for_event("go"), ctx.schedule_sub_orchestration("waits_for_ever"))
    try:
        yield ctx.race(ctx.schedule_activity(refuse, "lost"), ctx.schedule_timer(LONG))
    except ActivityError as error:
        fourth = error.message
    queued = yield ctx.dequeue_event("q")
    return [first, second, third, fourth, queued]


@story
async def race_aio(ctx):
    first = await ctx.race(ctx.schedule_timer(LONG), ctx.schedule_activity(double, 2), ctx.wait_for_event("never"))
    second = await ctx.race(ctx.dequeue_event("q"), ctx.schedule_timer(1000))
    third = await ctx.race(ctx.wait_for_event("go"), ctx.schedule_sub_orchestration("waits_for_ever"))
    try:
        await ctx.race(ctx.schedule_activity(refuse, "lost"), ctx.schedule_timer(LONG))
    except ActivityError as error:
        fourth = error.message
    return [first, second, third, fourth, await ctx.dequeue_event("q")]


@registry.orchestration("waits_for_ever")
def waits_for_ever(ctx):
    yield ctx.wait_for_event("never")


@story
def status_and_kv_gen(ctx):
    ctx.set_custom_status("one")
    ctx.set_custom_status({"progress": 0.5})
    seen = ctx.get_custom_status()
    ctx.set_kv_value("a", 1)
    ctx.set_kv_value("b", {"deep": [True]})
    ctx.set_kv_value("c", "text")
    ctx.clear_kv_value("a")
    yield ctx.schedule_timer(1000)
    ctx.set_kv_value("late", None)
    pruned = ctx.prune_kv_values_updated_before((yield ctx.utc_now()))
    own = [ctx.get_kv_all_keys(), ctx.get_kv_all_values(), ctx.get_kv_length(), ctx.get_kv_value("c")]
    ctx.clear_all_kv_values()
    ctx.set_kv_value("end", "yes")
    missing = yield ctx.get_kv_value_from_instance(ctx.instance_id, "nothing")
    other = yield ctx.get_kv_value_from_instance(ctx.instance_id, "end")
    return [seen, pruned, own, missing, other]


@story
async def status_and_kv_aio(ctx):
    ctx.set_custom_status("one")
    ctx.set_custom_status({"progress": 0.5})
    seen = ctx.get_custom_status()
    ctx.set_kv_value("a", 1)
    ctx.set_kv_value("b", {"deep": [True]})
    ctx.set_kv_value("c", "text")
    ctx.clear_kv_value("a")
    await ctx.schedule_timer(1000)
    ctx.set_kv_value("late", None)
    pruned = ctx.prune_kv_values_updated_before(await ctx.utc_now())
    own = [ctx.get_kv_all_keys(), ctx.get_kv_all_values(), ctx.get_kv_length(), ctx.get_kv_value("c")]
    ctx.clear_all_kv_values()
    ctx.set_kv_value("end", "yes")
    missing = await ctx.get_kv_value_from_instance(ctx.instance_id, "nothing")
    other = await ctx.get_kv_value_from_instance(ctx.instance_id, "end")
    return [seen, pruned, own, missing, other]


@story
def identity_gen(ctx):
    first = yield ctx.new_guid()
    numbers = [ctx.random.randint(0, 1000) for _ in range(3)]
    yield ctx.schedule_activity(echo)
    second = yield ctx.new_guid()
    return [first, second, numbers, ctx.patched("a-change")]


@story
async def identity_aio(ctx):
    first = await ctx.new_guid()
    numbers = [ctx.random.randint(0, 1000) for _ in range(3)]
    await ctx.schedule_activity(echo)
    second = await ctx.new_guid()
    return [first, second, numbers, ctx.patched("a-change")]


@story
def compensates_gen(ctx):
    try:
        yield ctx.schedule_timer(LONG)
    except CancelledError:
        undone = yield ctx.schedule_activity(echo, "undone")
        ctx.set_custom_status(undone)
        raise


@story
async def compensates_aio(ctx):
    try:
        await asyncio.sleep(LONG.total_seconds())
    except asyncio.CancelledError:
        undone = await ctx.schedule_activity(echo, "undone")
        ctx.set_custom_status(undone)
        raise


@story
def fails_gen(ctx):
    yield ctx.schedule_activity(echo)
    raise ValueError("broken on purpose")


@story
async def fails_aio(ctx):
    await ctx.schedule_activity(echo)
    raise ValueError("broken on purpose")
