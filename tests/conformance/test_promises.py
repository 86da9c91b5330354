"""Promises and requests in both styles, with a hot cache and with none: settled once, by whoever comes first."""

from __future__ import annotations

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from asgiref.sync import async_to_sync
from django.db import connection
from django.test.utils import CaptureQueriesContext

from django_durable.client import Client
from django_durable.duron.context import _settle as settle
from django_durable.engine.errors import (
    IllegalTransition,
    InstanceNotFound,
    InvalidArgument,
    PromiseNotFound,
    PromiseSettled,
)
from django_durable.engine.states import RuntimeStatus
from django_durable.models import InboxMessage, Promise
from django_durable.testing import assert_replays
from django_durable.worker.worker import Worker

from .orchestrations import PAIRS
from .promise_stories import Decision
from .test_verbs import completed

SOME_ID = "4f6b5b0e-0000-4000-8000-000000000000"


def only(run, key: str, **given):
    """Return the one open request of an instance."""
    [found] = run.client.list_requests(instance_id=key, **given)
    return found


def unasked(key: str) -> str:
    """Return the id of the one promise of an instance that is open and asks nobody."""
    return Promise.objects.get(instance__instance_id=key, outcome="", question=None).promise_id


def test_a_promise_is_kept_a_request_answered_one_failed_one_late_and_one_withdrawn(run, style):
    key = run.start(PAIRS["promises"][style])
    run.drain()
    run.client.complete_promise(key, run.client.get_kv_value(key, "id"), 7)
    run.drain()
    asked = only(run, key, assignee="ada")
    assert (asked.name, asked.question, asked.is_open) == ("approval", '{"amount":7}', True)
    assert set(json.loads(asked.answer)["$defs"]) == {"Decision"}
    run.client.complete_promise(key, asked.promise_id, Decision(approved=True, limit=5), by="ada")
    run.drain()
    run.client.fail_promise(key, unasked(key), LookupError("nobody there"))
    run.drain()
    assert timedelta(minutes=59) < only(run, key).expires_at - run.clock.now() <= timedelta(hours=1)
    run.clock.advance(timedelta(hours=1))
    run.drain()
    run.client.raise_event(key, "go", "on")
    run.drain()
    expected = [7, True, 5, ["LookupError", "nobody there"], "PromiseExpired", {"index": 1, "value": "on"}]
    assert completed(run, key) == expected
    assert run.leftovers(key) == {}
    outcomes = Promise.objects.order_by("id").values_list("name", "outcome", "settled_by")
    assert list(outcomes) == [
        ("number", "Completed", ""),
        ("approval", "Completed", "ada"),
        ("fails", "Failed", ""),
        ("request", "Expired", ""),
        ("request", "Withdrawn", ""),
    ]


def test_a_request_that_is_given_up_is_withdrawn_with_its_place_in_the_list(run, style):
    key = run.start(PAIRS["promise_limit"][style])
    run.drain()
    asked = only(run, key)
    run.clock.advance(timedelta(days=1))
    run.drain()
    assert run.client.list_requests(instance_id=key) == []
    assert [each.outcome for each in run.client.list_requests(instance_id=key, open_only=False)] == ["Withdrawn"]
    with pytest.raises(PromiseSettled, match="was withdrawn already"):
        run.client.complete_promise(key, asked.promise_id)
    run.client.raise_event(key, "end", "end")
    run.drain()
    assert completed(run, key) == [1, "end"]


# Of the test's own registry, one story at a time.


@pytest.fixture
def asks(durable, registry):
    """A running instance `it` that asks once and returns the answer; return its request."""

    @registry.orchestration("asks")
    async def asks(ctx):
        return await ctx.request("Ship it?", bool, deadline=timedelta(hours=1))

    durable.client.start_orchestration("it", "asks")
    durable.run()
    return only(durable, "it")


def test_the_second_answer_is_told_who_was_first(durable, asks):
    durable.client.complete_promise("it", asks.promise_id, True, by="ada")
    for second in (
        lambda: durable.client.complete_promise("it", asks.promise_id, False, by="bob"),
        lambda: durable.client.fail_promise("it", asks.promise_id, "no", by="bob"),
    ):
        with pytest.raises(PromiseSettled, match="was completed by ada already") as caught:
            second()
        assert caught.value.outcome == "completed"
    durable.run()
    assert durable.client.get_output("it") is True


def test_an_answer_in_time_takes_its_deadline_along(durable, asks):
    durable.client.complete_promise("it", asks.promise_id, True)
    assert [each.kind for each in InboxMessage.objects.all()] == ["PromiseCompleted"]


def test_an_answer_after_the_deadline_is_refused_though_no_worker_has_seen_it_pass(durable, asks):
    durable.clock.advance(timedelta(hours=1))
    with pytest.raises(PromiseSettled, match="was expired already"):
        durable.client.complete_promise("it", asks.promise_id, True)


def test_a_worker_that_takes_a_deadline_for_passed_loses_its_turn_to_an_answer_in_time(durable, asks):
    """Its clock is ahead of that of whoever answers, and it has claimed the message of the deadline already."""
    late = durable.clock.now()
    durable.clock.advance(timedelta(hours=1))
    runner = durable.worker._inline._runner
    advance = runner.run

    def run(turns, now):
        advance(turns, now)
        runner.run = advance
        Client(durable.registry, clock=lambda: late).complete_promise("it", asks.promise_id, True)

    runner.run = run
    durable.run()
    durable.clock.advance(timedelta(minutes=1))
    durable.run()
    assert durable.client.get_output("it") is True


@pytest.mark.parametrize(
    ("answer", "told"),
    [("yes", "is string, expected boolean"), (None, "is null"), (1, "is integer"), ([True], "is array")],
)
def test_an_answer_of_another_type_is_refused_and_the_question_stays(durable, asks, answer, told):
    with pytest.raises(InvalidArgument, match=f"The answer to 'request' does not fit. The value {told}"):
        durable.client.complete_promise("it", asks.promise_id, answer)
    assert only(durable, "it") == asks


def test_what_is_not_there_is_told_apart(durable, asks):
    with pytest.raises(InstanceNotFound):
        durable.client.complete_promise("nobody", asks.promise_id, True)
    with pytest.raises(PromiseNotFound):
        durable.client.complete_promise("it", SOME_ID, True)
    with pytest.raises(PromiseNotFound):
        durable.client.fail_promise("it", SOME_ID, "no")
    durable.client.terminate_instance("it")
    with pytest.raises(IllegalTransition):
        durable.client.complete_promise("it", asks.promise_id, True)
    assert durable.client.list_requests() == []
    assert [each.abandoned for each in durable.client.list_requests(open_only=False)] == [True]


@pytest.mark.parametrize("park", ["suspend", "blocked"])
def test_a_parked_instance_keeps_its_answer(durable, asks, park):
    client = durable.client
    if park == "suspend":
        client.suspend_instance("it")
    else:
        durable.restart()
        durable.registry._orchestrations.pop("asks")
        client.raise_event("it", "anything")
        durable.run()
        assert client.get_status("it").runtime_status == RuntimeStatus.BLOCKED
    client.complete_promise("it", asks.promise_id, True)
    durable.run()
    if park == "blocked":

        @durable.registry.orchestration("asks")
        async def asks_again(ctx):
            return await ctx.request("Ship it?", bool, deadline=timedelta(hours=1))

    client.resume_instance("it")
    durable.run()
    assert client.get_output("it") is True


def test_the_next_execution_has_promises_of_its_own(durable, registry):
    @registry.orchestration("rounds")
    def rounds(ctx, left: int):
        answer = yield ctx.race(ctx.request(f"Round {left}?"), ctx.wait_for_event("on"))
        if left:
            ctx.request("Left behind")
            yield ctx.continue_as_new(left - 1)
        return answer

    client = durable.client
    client.start_orchestration("it", "rounds", 1)
    durable.run()
    first = only(durable, "it")
    client.raise_event("it", "on")
    durable.run()
    second = only(durable, "it")
    assert (second.question, second.promise_id != first.promise_id) == ('"Round 0?"', True)
    with pytest.raises(PromiseNotFound):
        client.complete_promise("it", first.promise_id)
    client.complete_promise("it", second.promise_id, "done")
    durable.run()
    assert client.get_output("it") == {"index": 0, "value": "done"}
    client.prune_executions("it")
    assert [each.question for each in client.list_requests(open_only=False)] == ['"Round 0?"']
    client.delete_instance("it")
    assert not Promise.objects.exists()


def test_a_retry_asks_again_what_failed_and_keeps_what_was_answered(retrying):
    def story(ctx):
        first = yield ctx.request("First?", str, deadline=timedelta(hours=1))
        second = yield ctx.request("Second?", str, deadline=timedelta(hours=1))
        return [first, second]

    client, durable = retrying.client, retrying.durable
    retrying.start(retrying.define(story))
    client.complete_promise("one", only(durable, "one").promise_id, "one")
    durable.run()
    durable.advance(hours=2)
    assert retrying.status() == RuntimeStatus.FAILED
    retrying.retry()
    [asked] = client.list_requests(instance_id="one")
    assert asked.question == '"Second?"'
    assert timedelta(minutes=59) < asked.expires_at - durable.now() <= timedelta(hours=1)
    client.complete_promise("one", asked.promise_id, "two")
    durable.run()
    assert client.get_output("one") == ["one", "two"]


def test_a_fork_is_asked_by_itself(durable, asks):
    client = durable.client
    client.fork_instance("it", "other", from_event=3)
    durable.run()
    client.complete_promise("other", only(durable, "other").promise_id, False)
    client.complete_promise("it", asks.promise_id, True)
    durable.run()
    assert (client.get_output("it"), client.get_output("other")) == (True, False)


def test_a_page_of_requests_costs_one_query_and_an_answer_a_constant_number(durable, asks, django_assert_num_queries):
    for number in range(3):
        durable.client.start_orchestration(f"more-{number}", "asks")
    durable.run()
    with django_assert_num_queries(1):
        page = durable.client.list_requests(limit=2)
    assert [each.instance_id for each in page] == ["more-2", "more-1"]
    assert [each.instance_id for each in durable.client.list_requests(before=page[-1].id)] == ["more-0", "it"]
    # What is asked; its instance; the promise, its deadline, the message; on PostgreSQL, a hint to the workers.
    with CaptureQueriesContext(connection) as asked:
        durable.client.complete_promise("it", asks.promise_id, True)
    statements = [each["sql"] for each in asked if not each["sql"].startswith(("SAVEPOINT", "RELEASE"))]
    assert len(statements) == 5 + (connection.vendor == "postgresql"), statements


def test_of_many_who_answer_at_the_same_time_one_is_first(durable_db, registry):
    @registry.orchestration("asks")
    def asks(ctx):
        return (yield ctx.request("?", int))

    client, together = Client(registry), threading.Barrier(6)
    client.start_orchestration("it", "asks")
    Worker(registry).drain()
    [asked] = client.list_requests(instance_id="it")

    def answer(number: int) -> int | None:
        together.wait()
        try:
            client.complete_promise("it", asked.promise_id, number)
        except PromiseSettled:
            return None
        finally:
            connection.close()
        return number

    with ThreadPoolExecutor(6) as threads:
        first = [each for each in threads.map(answer, range(6)) if each is not None]
    Worker(registry).drain()
    assert len(first) == 1
    assert client.get_output("it") == first[0]
    assert_replays(registry.environment, client.read_execution_history("it"))


def test_durons_code_that_settles_a_promise_is_not_confused_by_a_step_that_is_run_again(durable, asks, monkeypatch):
    """As after a crash between what the step did and the record of it."""
    monkeypatch.setattr("django_durable.client.client", durable.client)
    settle(asks.instance_id, asks.promise_id, True, None, "mine")
    settle(asks.instance_id, asks.promise_id, True, None, "mine")
    with pytest.raises(PromiseSettled):
        settle(asks.instance_id, asks.promise_id, True, None, "another's")
    durable.run()
    assert durable.client.get_output("it") is True


@pytest.mark.django_db(transaction=True)
def test_every_verb_has_an_async_twin(registry):
    client = Client(registry)

    async def use():
        for verb in (client.acomplete_promise, client.aget_promise):
            with pytest.raises(InstanceNotFound):
                await verb("nobody", SOME_ID)
        with pytest.raises(InstanceNotFound):
            await client.afail_promise("nobody", SOME_ID, "no")
        return await client.alist_requests()

    assert async_to_sync(use)() == []
