"""Programs that go on from checkpoints: the same histories as in memory, with every turn in another process."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

import pytest

from django_durable.engine import events
from django_durable.engine.errors import ActivityError, CheckpointDamaged, LimitExceeded, Unstorable
from django_durable.engine.pauses import PauseForEventException, pause
from django_durable.engine.program import Checkpoint, Past
from django_durable.engine.replay import Execution
from django_durable.engine.spans import current_book

from .checkpoints import CheckpointHost, durable
from .support import Host

# What verbs return.


async def chain(ctx: Any, n: int) -> Any:
    found = []
    for each in range(n):
        found.append(await ctx.run("step", each))
    return found


def test_a_chain_goes_on_after_every_step() -> None:
    host = CheckpointHost(chain, 3)
    for n in range(3):
        host.complete("step", n * 10, nth=n)
    assert host.output == [0, 10, 20]


def test_a_checkpoint_does_not_grow_with_the_steps_behind_it() -> None:
    sizes = []

    async def loop(ctx: Any) -> Any:
        while True:
            await ctx.run("step")

    host = CheckpointHost(loop)
    for n in range(20):
        host.complete("step", None, nth=n)
        assert host.checkpoint is not None
        sizes.append(len(host.checkpoint.state))
    assert max(sizes) - min(sizes) < 10


async def every_wait(ctx: Any) -> Any:
    found = [await ctx.schedule_timer(1000), await ctx.wait_for_event("go", int), await ctx.dequeue_event("q")]
    found.append(await ctx.schedule_sub_orchestration("every_wait"))
    try:
        await ctx.run("fails")
    except ActivityError as error:
        found.append(error.message)
    found.append(await ctx.get_kv_value_from_instance("other", "key"))
    return found


def test_every_kind_of_wait_goes_on() -> None:
    host = CheckpointHost(every_wait)
    host.fire()
    host.raise_event("go", 7)
    host.enqueue("q", "queued")
    host.complete_child("every_wait", "child")
    host.fail("fails")
    host.complete("django_durable:get_kv_value", 3)
    assert host.output == [None, 7, "queued", "child", "no", 3]


async def both(ctx: Any) -> Any:
    raced = ctx.race(ctx.run("slow"), ctx.schedule_timer(10))
    gathered = ctx.all([ctx.run("a"), ctx.run("b"), ctx.all([ctx.run("c")])])
    return [await raced, await gathered]


def test_all_and_race_nest_and_go_on() -> None:
    host = CheckpointHost(both)
    host.complete("b", "b")
    host.complete("c", "c")
    host.fire()
    host.fail("a")
    assert host.output == [
        {"index": 1, "value": None},
        [{"err": "Activity 'a' failed: ValueError: no"}, {"ok": "b"}, {"ok": [{"ok": "c"}]}],
    ]


async def keeps(ctx: Any) -> Any:
    first = [ctx.random.random(), await ctx.new_guid(), ctx.patched("change")]
    ctx.set_kv_value("a", 1)
    ctx.set_custom_status({"half": True})
    await ctx.run("step")
    second = [ctx.random.random(), await ctx.new_guid(), ctx.patched("change")]
    return [first != second, ctx.get_kv_all_values(), ctx.get_custom_status(), first[2], second[2], ctx.instance_id]


def test_the_context_goes_on() -> None:
    host = CheckpointHost(keeps)
    host.complete("step")
    assert host.output == [True, {"a": 1}, {"half": True}, True, True, "i"]


async def reads_late(ctx: Any) -> Any:
    await ctx.run("step")
    return [await ctx.wait_for_event("e"), await ctx.wait_for_event("e")]


def test_events_that_nothing_has_read_are_kept() -> None:
    host = CheckpointHost(reads_late)
    host.raise_event("e", 1)
    host.raise_event("e", 2)
    host.complete("step")
    assert host.output == [1, 2]


# Tasks.


@durable
async def doubled(ctx: Any, name: str) -> Any:
    return 2 * await ctx.run(name)


@durable
async def countdown(ctx: Any, n: int) -> list[int]:
    if n == 0:
        return [await ctx.run("end")]
    return [n, *await countdown(ctx, n - 1)]


async def recursive(ctx: Any) -> Any:
    return await countdown(ctx, 5)


def test_functions_call_each_other_and_themselves() -> None:
    host = CheckpointHost(recursive)
    host.complete("end", 0)
    assert host.output == [5, 4, 3, 2, 1, 0]


@durable
async def careful(ctx: Any) -> Any:
    try:
        return await ctx.run("risky")
    except ActivityError as error:
        raise LookupError(error.message) from error


async def catches(ctx: Any) -> Any:
    try:
        await careful(ctx)
    except LookupError as error:
        await ctx.run("undo")
        return [str(error), type(error.__cause__).__name__]


def test_exceptions_cross_the_frames_of_functions() -> None:
    host = CheckpointHost(catches)
    host.fail("risky")
    host.complete("undo")
    assert host.output == ["no", "ActivityError"]


async def gathers(ctx: Any) -> Any:
    return await asyncio.gather(doubled(ctx, "a"), doubled(ctx, "b"), ctx.run("c"))


@pytest.mark.parametrize("order", ["abc", "cba", "bca"])
def test_gather_goes_on_whatever_the_order_of_completions(order: str) -> None:
    host = CheckpointHost(gathers)
    for name in order:
        host.complete(name, ord(name))
    assert host.output == [2 * ord("a"), 2 * ord("b"), ord("c")]


async def gathers_errors(ctx: Any) -> Any:
    found = await asyncio.gather(doubled(ctx, "a"), doubled(ctx, "b"), return_exceptions=True)
    await ctx.run("after")
    return [str(each) for each in found]


def test_gather_keeps_errors_among_its_results() -> None:
    host = CheckpointHost(gathers_errors)
    host.fail("a")
    host.complete("b", 1)
    host.complete("after")
    assert host.output == ["Activity 'a' failed: ValueError: no", "2"]


async def owns_tasks(ctx: Any) -> Any:
    one = asyncio.create_task(doubled(ctx, "a"), name="one")
    two = asyncio.create_task(doubled(ctx, "b"))
    await ctx.run("c")
    two.cancel()
    await asyncio.wait([one, two])
    return [one.get_name(), one.result(), two.cancelled()]


def test_tasks_run_beside_each_other_and_are_canceled() -> None:
    host = CheckpointHost(owns_tasks)
    host.complete("c")
    host.complete("a", 4)
    assert host.output == ["one", 8, True]


async def takes_as_they_come(ctx: Any) -> Any:
    waiting, found = {asyncio.create_task(doubled(ctx, name)) for name in "abc"}, []
    while waiting:
        done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            found.append(task.result())
            await ctx.run("after")
    return found


def test_what_is_done_first_is_taken_first() -> None:
    host = CheckpointHost(takes_as_they_come)
    for nth, name in enumerate("bca"):
        host.complete(name, nth)
    for nth in range(3):
        host.complete("after", nth=nth)
    assert sorted(host.output) == [0, 2, 4]


@durable
async def records(ctx: Any, shared: Any, order: list[str], name: str) -> None:
    await shared
    order.append(name)


async def shares_a_future(ctx: Any) -> Any:
    order: list[str] = []
    shared = ctx.run("a")
    late = asyncio.create_task(records(ctx, shared, order, "late"))
    early = asyncio.create_task(records(ctx, shared, order, "early"))
    await ctx.run("b")
    await late
    await early
    return order


def test_those_who_wait_for_one_future_go_on_in_their_order() -> None:
    host = CheckpointHost(shares_a_future)
    host.complete("b")
    host.complete("a")
    assert host.output == ["late", "early"]


async def asyncios_own(ctx: Any) -> Any:
    found = []
    try:
        async with asyncio.timeout(5):
            await ctx.run("never")
    except TimeoutError:
        found.append("timeout")
    await asyncio.sleep(2)
    try:
        await asyncio.wait_for(ctx.wait_for_event("never"), 1)
    except TimeoutError:
        found.append("wait_for")
    found.append(await asyncio.shield(ctx.run("shielded")))
    return found


def test_asyncios_own_functions_go_on() -> None:
    host = CheckpointHost(asyncios_own)
    for nth in range(3):
        host.fire(nth)
    host.complete("shielded", 1)
    assert host.output == ["timeout", "wait_for", 1]


async def calls_off_a_sleep(ctx: Any) -> Any:
    sleeps = asyncio.create_task(asyncio.sleep(60))
    await ctx.run("a")
    sleeps.cancel()
    await ctx.run("b")
    return sleeps.cancelled()


@pytest.mark.parametrize("kind", [Host, CheckpointHost])
def test_the_timer_of_a_sleep_is_taken_back_when_the_code_that_slept_hears_of_it(kind: type[Host]) -> None:
    host = kind(calls_off_a_sleep)
    host.complete("a")
    assert host.kinds[-2:] == ["ActivityScheduled", "TimerCanceled"]
    host.complete("b")
    assert host.output is True


@durable
async def produces(ctx: Any, queue: Any) -> None:
    for n in range(3):
        await queue.put(await ctx.run("make", n))


async def uses_primitives(ctx: Any) -> Any:
    queue: asyncio.Queue[int] = asyncio.Queue(maxsize=1)
    lock, found = asyncio.Lock(), []
    async with asyncio.TaskGroup() as group:
        group.create_task(produces(ctx, queue))
        for _ in range(3):
            async with lock:
                found.append(await queue.get())
                await ctx.run("eat")
    return found


def test_queues_locks_and_task_groups_go_on() -> None:
    host = CheckpointHost(uses_primitives)
    for nth in range(3):
        host.complete("make", nth, nth=nth)
        host.complete("eat", nth=nth)
    assert host.output == [0, 1, 2]


async def opens_spans(ctx: Any) -> Any:
    with current_book().open("outer", {"order": 7}) as outer:
        await ctx.run("a")
        with current_book().open("inner", {}):
            await ctx.run("b")
    return outer.span_id


def test_spans_stay_open_and_are_numbered_on() -> None:
    host = CheckpointHost(opens_spans)
    host.complete("a")
    loaded = host.loaded()
    loaded.advance([host.completed("b")], now=host.now)
    assert [(each.span_id, each.name, each.status) for each in loaded.take_spans()[0]] == [
        ("s2", "inner", ""),
        ("s1", "outer", ""),
    ]
    host.complete("b")
    assert host.output == "s1"


# Cancellation and ends.


async def compensates(ctx: Any) -> Any:
    try:
        await ctx.run("long")
    except asyncio.CancelledError:
        await ctx.run("undo")
        raise


def test_a_cancellation_that_compensates_goes_on() -> None:
    host = CheckpointHost(compensates)
    host.cancel("enough")
    host.complete("undo")
    assert isinstance(host.execution.outcome, events.OrchestrationCanceled)


async def continues(ctx: Any, left: int) -> Any:
    ctx.set_kv_value("left", left)
    await ctx.run("step")
    if left:
        return ctx.continue_as_new(left - 1)
    return ctx.get_kv_all_values()


def test_the_next_execution_begins_anew() -> None:
    host = CheckpointHost(continues, 1)
    host.complete("step")
    follower = host.next()
    follower.checkpoint = None
    follower.complete("step")
    assert follower.output == {"left": 0}


def test_an_execution_that_ended_has_no_checkpoint() -> None:
    host = CheckpointHost(chain, 1)
    host.complete("step")
    assert host.execution.checkpoint() is None


# Pauses.


async def pauses(ctx: Any) -> Any:
    found = [await pause("allow", type=int)]
    raise PauseForEventException("again")
    found.append("on")
    try:
        await pause("late", timeout=1000)
    except TimeoutError as error:
        found.append(str(error))
    return [*found, await pause("soon", timeout=1000)]


def test_a_pause_waits_for_its_event_and_takes_the_payload() -> None:
    host = CheckpointHost(pauses)
    host.raise_event("other", 1)
    host.raise_event("allow", 7)
    host.raise_event("again")
    host.fire()
    host.raise_event("soon", "yes")
    assert host.output == [7, "on", "Event 'late' did not arrive in time.", "yes"]


# What cannot be.


async def holds_a_generator(ctx: Any) -> Any:
    numbers = (n for n in range(3))
    await ctx.run("step")
    return list(numbers)


def test_what_cannot_be_stored_is_refused_by_name() -> None:
    with pytest.raises(Unstorable, match="numbers"):
        CheckpointHost(holds_a_generator)


async def plain_helper(ctx: Any) -> Any:
    return await ctx.run("step")


async def awaits_undecorated(ctx: Any) -> Any:
    return await plain_helper(ctx)


def test_a_function_that_is_not_durable_cannot_be_waited_in() -> None:
    with pytest.raises(Unstorable, match="plain_helper"):
        CheckpointHost(awaits_undecorated)


async def holds_much(ctx: Any) -> Any:
    much = "x" * 2000
    await ctx.run("step")
    return len(much)


def test_a_checkpoint_over_the_limit_is_refused() -> None:
    with pytest.raises(LimitExceeded, match=r"The checkpoint in bytes is .* the limit is 1,000\. Keep less"):
        CheckpointHost(holds_much, checkpoint_bytes=1000)


@pytest.mark.parametrize("state", ["{}", "[]", '{"format":"django_durable checkpoint 1"}', '{"format":"other"}'])
def test_a_damaged_checkpoint_is_refused(state: str) -> None:
    host = CheckpointHost(chain, 1)
    with pytest.raises(CheckpointDamaged):
        Execution.rebuild(host.environment, Past([], Checkpoint(2, state)))


# From the start.


@dataclass
class Basket:
    items: list[str]


async def aliases(ctx: Any) -> Any:
    basket = Basket(["a"])
    same = basket.items
    await ctx.run("step")
    same.append("b")
    return basket.items


def test_variables_that_share_a_value_share_it_still() -> None:
    host = CheckpointHost(aliases)
    host.complete("step")
    assert host.output == ["a", "b"]


@pytest.mark.parametrize("story", [gathers, uses_primitives, asyncios_own], ids=lambda story: story.__name__)
def test_a_history_replays_without_a_checkpoint(story: Any) -> None:
    host = CheckpointHost(story)
    execution = Execution.replay(host.environment, host.history)
    assert execution.waiting_for() == host.execution.waiting_for()
    execution.close()
