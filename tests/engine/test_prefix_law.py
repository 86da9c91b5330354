"""The prefix law: cut a good history wherever a turn could have ended; the code, resumed there, does the rest again.

Each orchestration is run live by a driver that picks, from what the code waits for, what happens next. Its history is
then judged: every cut, every way to divide the arrivals into turns, and stale facts between them give it again.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from django_durable import Provided, Signal, SignalInterrupt, Stream, StreamClosed, StreamWriter
from django_durable.engine import events
from django_durable.engine.errors import ActivityError, OutcomeError
from django_durable.engine.events import Fact, HistoryEvent, OrchestrationContinuedAsNew
from django_durable.engine.facts.streams import StreamedItem
from django_durable.engine.failures import Failure
from django_durable.engine.loop import CancelledError
from django_durable.engine.replay import Execution, QueuedMessage

from .support import START, STYLES, FakeEnvironment, arrivals, in_style, started

MOST_EVENTS = 60

# Orchestrations that are told in both styles.


def fan_out(ctx):
    found = yield ctx.all([ctx.schedule_activity("a", n) for n in range(4)])
    ctx.set_kv_value("found", found)
    for n, each in enumerate(found):
        ctx.set_custom_status([n, len(found)])
        yield ctx.schedule_activity("next", each)
    return found


def races(ctx):
    log = []
    for n in range(3):
        inner = ctx.race(ctx.schedule_activity("a", n), ctx.dequeue_event("q"), ctx.schedule_timer(100 * n))
        outer = ctx.all([inner, ctx.wait_for_event("e")])
        try:
            won = yield ctx.race(outer, ctx.schedule_sub_orchestration("races", n), ctx.schedule_activity("b"))
        except OutcomeError as error:
            won = error.message
        log.append(won)
    return log


def entries(ctx):
    start = yield ctx.utc_now()
    for n in range(4):
        try:
            value = yield ctx.schedule_activity("a", n)
        except ActivityError:
            ctx.clear_kv_value(str(n - 1))
            continue
        ctx.set_kv_value(str(n), value)
        now = yield ctx.utc_now()
        if ctx.get_kv_length() > 2:
            ctx.prune_kv_values_updated_before(now)
    guid = yield ctx.new_guid()
    ctx.schedule_activity("use", [guid, ctx.random.random(), now_or(start, ctx)])
    return ctx.get_kv_all_values()


def now_or(start, ctx):
    return start if ctx.get_kv_length() else None


def mailbox(ctx, count):
    count = count or 0
    while True:
        first = yield ctx.race(ctx.dequeue_event("q"), ctx.wait_for_event("e"), ctx.schedule_timer(1000))
        count += 1
        ctx.set_custom_status(count)
        if count == 7:
            return first
        if first["index"] == 1:
            yield ctx.continue_as_new(count)


def compensates(ctx):
    done = []
    try:
        for name in ("a", "b", "c"):
            yield ctx.schedule_activity(name)
            done.append(name)
        yield ctx.wait_for_event("never asked for")
    except (ActivityError, CancelledError) as error:
        for name in reversed(done):
            try:
                yield ctx.schedule_activity(f"undo {name}")
            except ActivityError:
                ctx.set_kv_value(name, "stuck")
        if isinstance(error, CancelledError):
            raise
    finally:
        ctx.set_custom_status("left")
    return done


def forgets(ctx):
    for n in range(5):
        ctx.schedule_activity("ignored", n)
        ctx.start_orchestration("forgets", f"other-{n}", n)
        future = ctx.schedule_activity("a", n)
        if n % 2:
            future.cancel()
        yield ctx.race(ctx.wait_for_event("e"), ctx.dequeue_event("q"))
    if ctx.patched("last"):
        yield ctx.schedule_timer(5)


def asks(ctx):
    told = []
    for n in range(4):
        promise = ctx.create_future(name=f"promise {n}")
        try:
            won = yield ctx.race(promise, ctx.request(n, deadline=1000), ctx.schedule_timer(100))
        except OutcomeError as error:
            won = error.message
        told.append([promise.promise_id, won])
    return told


def relays(ctx, rounds, orders: Stream[int] = Provided, out: StreamWriter[Any] = Provided):
    log = []
    for _ in range(3):
        try:
            now = yield orders.next(block=False)
            found = yield ctx.race(orders.next(limit=2), ctx.schedule_timer(500))
        except StreamClosed as closed:
            yield out.close(closed.reason)
            return log
        log.append([list(now), found["index"]])
        yield out.send(log[-1])
    if (rounds or 0) < 3:
        yield ctx.continue_as_new((rounds or 0) + 1)
    yield out.close()


def stoppable(ctx, stop: Signal[int] = Provided, pause: Signal[int] = Provided(policy="fifo")):
    log = []
    for name in ("a", "b", "c"):
        try:
            log.append((yield stop.guard(ctx.all([ctx.schedule_activity(name), pause.guard(ctx.run(name))]))))
        except SignalInterrupt as interrupt:
            log.append([interrupt.name, interrupt.value])
    log.append((yield pause.wait()))
    return log


# Orchestrations of plain asyncio.


async def first_completed(ctx):
    pending = {asyncio.create_task(calls(ctx, n), name=str(n)) for n in range(5)}
    log = []
    while pending:
        done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
        log.append([each.get_name() for each in done])
        await ctx.run("note", log[-1])
    return log


async def calls(ctx, n):
    try:
        return [await ctx.run("a", n), await ctx.run("b", n)]
    except ActivityError as error:
        return error.message


async def groups(ctx):
    log = []
    for n in range(3):
        try:
            async with asyncio.timeout(1 + n), asyncio.TaskGroup() as group:
                for name in ("a", "b"):
                    group.create_task(noted(ctx, log, name))
                group.create_task(asyncio.wait_for(noted(ctx, log, "c"), 2))
        except* (OutcomeError, TimeoutError) as errors:
            log.append(sorted(type(each).__name__ for each in errors.exceptions))
    return log


async def noted(ctx, log, name):
    try:
        log.append(await ctx.run(name, len(log)))
    finally:
        ctx.set_kv_value(name, len(log))


async def interrupted(ctx, orders: Stream[int] = Provided, stop: Signal[int] = Provided):
    log = []

    async def consume(name):
        while True:
            try:
                async with stop:
                    async for order in orders.filter(lambda n: n != 3):
                        log.append([name, order, await ctx.run(name, order)])
                return "ended"
            except SignalInterrupt as interrupt:
                log.append([name, interrupt.value])
                if len(log) > 5:
                    raise

    ended = await asyncio.gather(consume("a"), consume("b"), return_exceptions=True)
    return [log, list(map(str, ended))]


async def workers(ctx):
    queue, results, lock = asyncio.Queue(), [], asyncio.Lock()

    async def work(n):
        while True:
            item = await queue.get()
            async with lock:
                results.append(
                    [n, item, await asyncio.gather(ctx.run("a"), ctx.run("b"), return_exceptions=True) and n]
                )
            queue.task_done()

    tasks = [asyncio.create_task(work(n)) for n in range(2)]
    for n in range(4):
        queue.put_nowait(n)
    async with asyncio.timeout(30):
        await queue.join()
    for task in tasks:
        task.cancel()
    return results


TOLD = [
    (in_style(each, style), style)
    for each in (fan_out, races, entries, mailbox, compensates, forgets, asks, relays, stoppable)
    for style in STYLES
]
STORIES = [story for story, _ in TOLD] + [first_completed, groups, interrupted, workers]
NAMES = [f"{story.__name__}-{style}" for story, style in TOLD] + ["first_completed", "groups", "interrupted", "workers"]
REWOUND = events.OrchestrationRewound(
    copied_from="other", copied_execution=3, instance_id="again", execution=7, seed="new", parent_instance_id="p"
)
choices = st.lists(st.integers(0, 10_000), max_size=MOST_EVENTS)


class Drive:
    """A live run: one fact per turn, picked by `choices` from what the code waits for; the first one after those."""

    def __init__(self, story: Callable[..., Any], choices: Sequence[int], *, step: timedelta) -> None:
        self.environment = FakeEnvironment(story)
        self.histories: list[list[HistoryEvent]] = []
        start, now, picks = started(story.__name__), START, iter(choices)
        while start is not None:
            execution, history = Execution(self.environment), []
            self.histories.append(history)
            history += execution.advance([start], now=now)
            while not execution.finished and len(history) < MOST_EVENTS:
                now += step
                fact = picked(execution, history, next(picks, 0))
                if fact is None:
                    break
                history += execution.advance([fact], now=now)
            more = isinstance(execution.outcome, OrchestrationContinuedAsNew) and len(self.histories) < 5
            start = execution.next_start() if more else None
            execution.close()


def picked(execution: Execution, history: list[HistoryEvent], pick: int) -> Fact | None:
    """Return one of the facts that may arrive now; the oldest open thing has several places, a cancel request one."""
    if pick == 9_999:
        return events.OrchestrationCancelRequested(reason="chance")
    if pick == 9_998:
        return REWOUND
    options = [
        fact for seq, _ in execution.waiting_for() for fact in answers(history[seq - 1].fact, seq, pick, len(history))
    ]
    if pick:
        options.append(events.ExternalEvent(name="e", payload=str(pick)))
    return options[pick % len(options)] if options else None


def answers(command: Fact, seq: int, pick: int, length: int) -> Iterator[Fact]:
    payload, failure = json.dumps(pick % 7), Failure("ValueError", f"no {pick % 7}")
    match command:
        case events.ActivityScheduled():
            yield events.ActivityCompleted(scheduled_seq=seq, result=payload)
            if pick % 3 == 1:
                yield events.ActivityFailed(scheduled_seq=seq, failure=failure, timed_out=pick % 2 == 0)
        case events.TimerCreated():
            yield events.TimerFired(timer_seq=seq)
        case events.PromiseCreated():
            yield events.PromiseCompleted(created_seq=seq, result=payload)
            yield events.PromiseExpired(created_seq=seq)
            if pick % 3 == 1:
                yield events.PromiseFailed(created_seq=seq, failure=failure)
        case events.SubOrchestrationScheduled():
            yield events.SubOrchestrationCompleted(scheduled_seq=seq, result=payload)
            if pick % 3 == 1:
                yield events.SubOrchestrationFailed(scheduled_seq=seq, failure=failure)
        case events.ExternalSubscribed(name=name):
            yield events.ExternalEvent(name=name, payload=payload)
        case events.QueueSubscribed(queue=queue):
            yield events.QueueEventDelivered(queue=queue, subscribed_seq=seq, payload=payload)
        case events.StreamSubscribed(name=name, after=after, mode=mode):
            told = received(name, seq, after + 2 * length, pick, payload if mode != "peek" or pick % 2 else None)
            # The end of a signal's stream would be told again and again, and changes nothing.
            yield replace(told, ended=False, reason=None) if mode == "follow" else told


def received(name: str, seq: int, position: int, pick: int, payload: str | None) -> events.StreamItemsReceived:
    """Return what a read is told; positions grow with the history."""
    items = () if payload is None else (StreamedItem(position, payload), StreamedItem(position + 1, payload))
    return events.StreamItemsReceived(
        name=name,
        subscribed_seq=seq,
        items=items[: 1 + pick % 2],
        position=position + pick % 2 if items else position - 1,
        ended=bool(items) and pick % 11 == 1,
        reason="no more" if items and pick % 22 == 1 else None,
    )


def law(test: Callable[..., None]) -> Callable[..., None]:
    """Judge every story, by many drives."""
    limited = settings(max_examples=30, suppress_health_check=list(HealthCheck))
    return pytest.mark.parametrize("story", STORIES, ids=NAMES)(limited(test))


@law
@given(picks=choices)
def test_resumed_from_any_prefix_the_rest_of_the_history_is_the_same(story: Any, picks: list[int]) -> None:
    for history in Drive(story, picks, step=timedelta(milliseconds=70)).histories:
        for cut in [each.seq - 1 for each in arrivals(history)]:
            execution = Execution.replay(FakeEnvironment(story), history[:cut])
            assert (
                history[:cut] + [event for each in arrivals(history[cut:]) for event in taken(execution, each)]
                == history
            )
            execution.close()
        assert Execution.replay(FakeEnvironment(story), history).history_length == len(history)


def taken(execution: Execution, event: HistoryEvent) -> list[HistoryEvent]:
    """Deliver a recorded arrival again, messages of queues by the way they come in."""
    fact, now = event.fact, event.recorded_at
    if isinstance(fact, events.QueueEventDelivered):
        return execution.deliver([QueuedMessage(event.seq, fact.queue, fact.payload)], now=now)[0]
    return execution.advance([fact], now=now)


@law
@given(picks=choices, cuts=st.sets(st.integers(1, MOST_EVENTS)), rebuilt=st.booleans())
def test_turns_may_be_divided_in_any_way(story: Any, picks: list[int], cuts: set[int], rebuilt: bool) -> None:
    for history in Drive(story, picks, step=timedelta(0)).histories:
        facts = [each.fact for each in arrivals(history)]
        environment, again = FakeEnvironment(story), []
        execution = Execution(environment)
        for batch in divided(facts, cuts):
            if rebuilt:
                execution.close()
                execution = Execution.replay(environment, again)
            again += execution.advance(batch, now=START)
            assert execution.undelivered == 0
        assert again == history
        execution.close()


def divided(facts: list[Fact], cuts: set[int]) -> Iterator[list[Fact]]:
    places = [0, *sorted(cut for cut in cuts if cut < len(facts)), len(facts)]
    for start, end in pairwise(places):
        yield facts[start:end]


@law
@given(picks=choices, stale=st.lists(st.tuples(st.integers(0, MOST_EVENTS), st.integers(0, MOST_EVENTS))))
def test_stale_facts_change_nothing(story: Any, picks: list[int], stale: list[tuple[int, int]]) -> None:
    for history in Drive(story, picks, step=timedelta(0)).histories:
        came = arrivals(history)
        again: list[HistoryEvent] = []
        execution = Execution(FakeEnvironment(story))
        for place, event in enumerate(came):
            repeated = [came[which % (place + 1)].fact for where, which in stale if where == place]
            # An event raised twice is two events, so only what answers a command can be a duplicate.
            duplicates = [fact for fact in repeated if fact.source_seq is not None]
            again += execution.advance([event.fact, *duplicates], now=START)
        assert again == history
        execution.close()


@pytest.mark.parametrize("count", [2, 5, 40])
@pytest.mark.parametrize("story", [fan_out, first_completed, groups], ids=lambda each: each.__name__)
def test_completions_in_one_turn_are_seen_as_in_as_many_turns(story: Any, count: int) -> None:
    def run(*, together: bool) -> list[HistoryEvent]:
        execution = Execution(FakeEnvironment(story))
        history = execution.advance([started(story.__name__)], now=START)
        for _ in range(count):
            open = [seq for seq, _ in execution.waiting_for() if history[seq - 1].kind == "ActivityScheduled"]
            facts = [events.ActivityCompleted(scheduled_seq=seq, result="1") for seq in reversed(open)]
            for batch in [facts] if together else [[fact] for fact in facts]:
                history += execution.advance(batch, now=START)
        return history

    assert run(together=True) == run(together=False)


def test_the_drives_reach_what_the_law_is_about() -> None:
    """Without this the law could hold of next to nothing."""
    kinds: set[str] = set()
    for story in STORIES:
        for seed in range(40):
            picks = [(seed * 7919 + n * 104_729) % 9_998 for n in range(MOST_EVENTS)]
            picks[seed % 13] = 9_999
            picks.insert(seed % 20, 9_998)
            for history in Drive(story, picks, step=timedelta(milliseconds=70)).histories:
                kinds |= {each.kind for each in history}

    never = {"EventEnqueued", "StreamAppended", "OrchestrationTerminated", "SubOrchestrationCancelRequested"}
    assert set(events.FACTS) - kinds <= never
