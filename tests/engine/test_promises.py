"""Promises and requests: what they are recorded as, and how they end."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta
from typing import Any

import pytest

from django_durable.engine import events
from django_durable.engine.errors import (
    InvalidArgument,
    NondeterminismError,
    PayloadError,
    PromiseError,
    PromiseExpired,
)
from django_durable.engine.failures import Failure
from django_durable.engine.replay import Execution

from .support import FakeEnvironment, Host


async def asks(ctx: Any) -> Any:
    return await ctx.request("Ship it?", bool, name="shipping", assignee="ada", deadline=timedelta(hours=1))


def gen(ctx: Any) -> Any:
    promise = ctx.create_future(int)
    ctx.set_kv_value("id", promise.promise_id)
    return (yield promise)


def created(host: Host) -> Any:
    [fact] = host.of(events.PromiseCreated)
    return fact


def test_a_request_is_recorded_with_all_that_is_told_of_it() -> None:
    fact = created(Host(asks))

    assert (fact.name, fact.question, fact.assignee, fact.deadline_ms) == ("shipping", '"Ship it?"', "ada", 3_600_000)
    assert json.loads(fact.answer) == {"type": "bool"}


def test_a_promise_asks_nothing_and_its_id_is_known_at_once() -> None:
    host = Host(gen)
    fact = created(host)

    assert (fact.question, fact.answer, fact.deadline_ms) == (None, None, None)
    assert host.of(events.KeyValueSet)[0].value == json.dumps(fact.promise_id)


def test_two_promises_have_two_ids() -> None:
    async def two(ctx: Any) -> Any:
        return await ctx.all([ctx.create_future(), ctx.create_future()])

    assert len({fact.promise_id for fact in Host(two).of(events.PromiseCreated)}) == 2


@pytest.mark.parametrize("story", [asks, gen])
def test_its_result_is_decoded_by_its_type(story: Any) -> None:
    host = Host(story)
    host.turn(events.PromiseCompleted(created_seq=host.seq(events.PromiseCreated), result="1", settled_by="ada"))

    assert host.output == 1


def test_the_second_outcome_means_nothing() -> None:
    async def waits(ctx: Any) -> Any:
        return [await ctx.create_future(), await ctx.wait_for_event("end")]

    host = Host(waits)
    seq = host.seq(events.PromiseCreated)
    host.turn(
        events.PromiseCompleted(created_seq=seq, result="1"),
        events.PromiseCompleted(created_seq=seq, result="2"),
        events.PromiseExpired(created_seq=seq),
    )
    host.raise_event("end", 3)

    assert host.output == [1, 3]
    assert len(host.of(events.PromiseCompleted)) == 1


async def catches(ctx: Any) -> Any:
    try:
        return await ctx.request("Well?", deadline=1000)
    except PromiseExpired as error:
        return ["late", str(error)]
    except PromiseError as error:
        return [error.error_type, error.message]


def test_a_failure_keeps_its_type_and_message() -> None:
    host = Host(catches)
    failure = Failure("shop.Declined", "no funds")
    host.turn(events.PromiseFailed(created_seq=host.seq(events.PromiseCreated), failure=failure))

    assert host.output == ["shop.Declined", "no funds"]


def test_after_its_deadline_it_is_a_timeout() -> None:
    host = Host(catches)
    host.turn(events.PromiseExpired(created_seq=host.seq(events.PromiseCreated)), after=timedelta(seconds=1))

    assert host.output[0] == "late"
    assert "Request 'request' failed" in host.output[1]
    assert issubclass(PromiseExpired, TimeoutError)


def test_one_that_loses_a_race_is_withdrawn() -> None:
    async def races(ctx: Any) -> Any:
        return await ctx.race(ctx.request("Well?"), ctx.wait_for_event("go"))

    host = Host(races)
    host.raise_event("go", "on")

    assert host.output == {"index": 1, "value": "on"}
    assert host.of(events.PromiseWithdrawn) == [events.PromiseWithdrawn(created_seq=host.seq(events.PromiseCreated))]


def test_a_timeout_around_the_await_withdraws_it() -> None:
    async def limited(ctx: Any) -> Any:
        try:
            async with asyncio.timeout(1):
                await ctx.create_future()
        except TimeoutError:
            return "late"

    host = Host(limited)
    host.fire()

    assert host.output == "late"
    assert len(host.of(events.PromiseWithdrawn)) == 1


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        (lambda ctx: ctx.request("Keep it?", bool, name="shipping", assignee="ada", deadline=3_600_000), "question"),
        (lambda ctx: ctx.request("Ship it?", bool, name="other", assignee="ada", deadline=3_600_000), "name"),
        (lambda ctx: ctx.request("Ship it?", bool, name="shipping", deadline=3_600_000), "assignee"),
        (lambda ctx: ctx.request("Ship it?", bool, name="shipping", assignee="ada"), "deadline_ms"),
        (lambda ctx: ctx.create_future(bool, name="shipping"), "question"),
    ],
)
def test_another_question_is_nondeterministic(changed: Any, field: str) -> None:
    host = Host(asks)

    async def asks_otherwise(ctx: Any) -> Any:
        return await changed(ctx)

    with pytest.raises(NondeterminismError) as caught:
        Execution.replay(FakeEnvironment(asks=asks_otherwise), host.history)
    assert field in {each.field for each in caught.value.differences}


def test_another_type_of_answer_is_no_change() -> None:
    host = Host(asks)

    async def asks_for_text(ctx: Any) -> Any:
        return await ctx.request("Ship it?", str, name="shipping", assignee="ada", deadline=timedelta(hours=1))

    Execution.replay(FakeEnvironment(asks=asks_for_text), host.history).close()


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (lambda ctx: ctx.request(object()), PayloadError),
        (lambda ctx: ctx.request("?", deadline=-1), InvalidArgument),
        (lambda ctx: ctx.request("?", name=""), InvalidArgument),
        (lambda ctx: ctx.request("?", assignee=""), InvalidArgument),
        (lambda ctx: ctx.schedule_timer(1).promise_id, InvalidArgument),
    ],
)
def test_what_cannot_be_asked_is_refused_at_the_call(call: Any, error: type[Exception]) -> None:
    async def refused(ctx: Any) -> Any:
        with pytest.raises(error):
            call(ctx)

    assert not Host(refused).of(events.PromiseCreated)
