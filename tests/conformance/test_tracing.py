"""Spans: what is kept of turns, attempts and what the author traces, and that a replay keeps nothing anew."""

from __future__ import annotations

import asyncio
import logging
import re
from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from django_durable import RetryPolicy
from django_durable.models import Instance, TraceSpan
from django_durable.store.spans import spans_of
from django_durable.testing import Durable, assert_replays
from django_durable.testing.clock import StandingClock
from django_durable.tracing import NULL_SPAN, setup_tracing, span

START = datetime(2030, 1, 1, tzinfo=UTC)


@pytest.fixture(params=["generator", "async"])
def style(request):
    return request.param


@pytest.fixture(params=["hot", "cold"])
def traced(request, db, registry, settings):
    """Drive the test's registry, all of it traced to the database, with live executions kept and without."""
    settings.DJANGO_DURABLE = {"TRACING": ["database"]}
    harness = Durable(registry, clock=StandingClock(START), hot_executions=1000 if request.param == "hot" else 0)
    yield harness
    harness.close()


def orders(registry, style):
    """An order: packed in a span of its own around two activities, then it waits for an event in another one."""
    tries = []

    @registry.activity("weigh", retry=RetryPolicy(max_attempts=2, initial=timedelta(seconds=5), jitter=0))
    def weigh(ctx, grams: int) -> int:
        tries.append(grams)
        with span("scales", {"kind": "old"}) as scales:
            ctx.logger.info("Put %d g on it.", grams)
            if len(tries) == 1:
                raise ConnectionError("no scales")
            scales.record(shown=grams)
        return grams

    if style == "generator":

        @registry.orchestration("order")
        def order(ctx, grams: int):
            ctx.logger.info("An order of %d g.", grams)
            with span("packing", grams=grams) as packing:
                weighed = yield ctx.schedule_activity(weigh, grams)
                with span("label"):
                    yield ctx.schedule_timer(1000)
                packing.add_event("weighed", weighed=weighed)
                packing.set_status("OK")
            with span("waiting") as waiting:
                waiting.add_link(packing)
                ctx.logger.warning("It waits.")
                yield ctx.wait_for_event("go")
            return weighed
    else:

        @registry.orchestration("order")
        async def order(ctx, grams: int):
            ctx.logger.info("An order of %d g.", grams)
            with span("packing", grams=grams) as packing:
                weighed = await ctx.run(weigh, grams)
                with span("label"):
                    await asyncio.sleep(1)
                packing.add_event("weighed", weighed=weighed)
                packing.set_status("OK")
            with span("waiting") as waiting:
                waiting.add_link(packing)
                ctx.logger.warning("It waits.")
                await ctx.wait_for_event("go")
            return weighed

    return tries


def kept(instance_id="o", execution=1):
    instance = Instance.objects.get(instance_id=instance_id).pk
    return {each.span_id: each for each in spans_of(instance, execution, limit=1000, using="default")}


def named(name):
    (found,) = [each for each in kept().values() if each.name == name]
    return found


def run_order(traced, registry, style):
    tries = orders(registry, style)
    traced.client.start_orchestration("o", "order", 500)
    traced.run_to_the_end()
    return tries


def test_spans_of_the_author_are_kept_with_attributes_events_links_and_log_records(traced, registry, style):
    run_order(traced, registry, style)
    packing, label, waiting = named("packing"), named("label"), named("waiting")
    assert packing.attributes == {"grams": 500}
    assert (packing.parent_id, label.parent_id, waiting.parent_id) == (None, packing.span_id, None)
    assert (packing.status, packing.events[0]["name"]) == ("OK", "weighed")
    assert packing.events[0]["attributes"] == {"weighed": 500}
    assert [(each.ended_at - each.started_at).total_seconds() for each in (packing, label)] == [6, 1]
    assert waiting.links == [{"span_id": packing.span_id}]
    assert [each["attributes"] for each in waiting.events] == [{"level": "WARNING", "message": "It waits."}]
    assert waiting.ended_at is None
    traced.client.raise_event("o", "go")
    traced.advance(seconds=10)
    assert named("waiting").ended_at is not None
    assert [each["attributes"]["message"] for each in named("waiting").events] == ["It waits."]


def test_every_turn_and_every_attempt_has_a_span(traced, registry, style):
    run_order(traced, registry, style)
    attempts = [each for each in kept().values() if each.kind == "attempt"]
    assert [(each.span_id, each.status, each.message) for each in attempts] == [
        ("a2.1", "ERROR", "ConnectionError: no scales"),
        ("a2.2", "OK", ""),
    ]
    inner = [each for each in kept().values() if each.name == "scales"]
    assert [(each.parent_id, each.status, each.attributes) for each in inner] == [
        ("a2.1", "ERROR", {"kind": "old"}),
        ("a2.2", "", {"kind": "old", "shown": 500}),
    ]
    assert [each.events[0]["attributes"]["message"] for each in inner] == ["Put 500 g on it."] * 2
    turns = [each for each in kept().values() if each.kind == "turn"]
    assert [each.seq for each in turns] == [1, 3, 5]
    assert [event["attributes"]["message"] for event in turns[0].events] == ["An order of 500 g."]
    assert [event for each in turns[1:] for event in each.events] == []


def test_a_replay_keeps_nothing_anew(traced, registry, style):
    run_order(traced, registry, style)
    before = list(TraceSpan.objects.order_by("pk").values())
    assert_replays(registry.environment, traced.client.read_execution_history("o"))
    traced.restart()
    traced.run()
    assert list(TraceSpan.objects.order_by("pk").values()) == before
    traced.client.raise_event("o", "go")
    traced.run()
    after = {row["span_id"]: row for row in TraceSpan.objects.values()}
    changed = [row["name"] for row in before if after[row["span_id"]] != row]
    assert changed == ["waiting"]
    assert len(after) == len(before) + 1  # The last turn.


def test_a_span_that_its_execution_leaves_open_is_ended_with_it(traced, registry):
    @registry.orchestration("order")
    async def order(ctx):
        async def forgotten():
            with span("forgotten"):
                await ctx.wait_for_event("never")

        asyncio.create_task(forgotten())  # noqa: RUF006
        await asyncio.sleep(1)

    traced.client.start_orchestration("o", "order")
    traced.run_to_the_end()
    forgotten = named("forgotten")
    assert (forgotten.status, forgotten.message) == ("ERROR", "The execution ended before.")
    assert forgotten.ended_at - forgotten.started_at == timedelta(seconds=1)


def test_continuing_as_new_begins_the_numbers_anew_and_keeps_the_spans_of_before(traced, registry):
    @registry.orchestration("order")
    def order(ctx, left: int):
        with span("round", left=left):
            yield ctx.schedule_timer(1000)
        if left:
            yield ctx.continue_as_new(left - 1)

    traced.client.start_orchestration("o", "order", 1)
    traced.run_to_the_end()
    assert [kept(execution=number)["s1"].attributes for number in (1, 2)] == [{"left": 1}, {"left": 0}]


def test_standard_loggers_are_on_the_spans_once_they_are_asked_for(traced, registry):
    logger = logging.getLogger("shop.tests")

    @registry.activity("weigh")
    def weigh():
        logger.info("In the activity.")

    @registry.orchestration("order")
    def order(ctx):
        with span("packing"):
            logger.warning("Packing %s.", "it")
            ctx.logger.info("Once.")
            yield ctx.schedule_activity(weigh)

    handler = setup_tracing(logger=logger)
    try:
        assert setup_tracing(logger=logger) is handler
        traced.client.start_orchestration("o", "order")
        traced.run()
    finally:
        logger.removeHandler(handler)
    assert [each["attributes"]["message"] for each in named("packing").events] == ["Packing it.", "Once."]
    assert [each["attributes"]["message"] for each in kept()["a2.1"].events] == ["In the activity."]


def test_an_atomic_activity_keeps_its_spans_with_its_writes(traced, registry):
    @registry.activity("write", atomic=True)
    def write(fails: bool):
        with span("writing"):
            if fails:
                raise ValueError("no")

    @registry.orchestration("order")
    def order(ctx):
        yield ctx.schedule_activity(write, False)
        yield ctx.all([ctx.schedule_activity(write, True)])

    traced.client.start_orchestration("o", "order")
    traced.run()
    attempts = [each for each in kept().values() if each.kind == "attempt"]
    assert [each.status for each in attempts] == ["OK", "ERROR"]
    assert [each.parent_id for each in kept().values() if each.name == "writing"] == [each.span_id for each in attempts]


def test_nothing_is_traced_where_it_is_not_asked_for(durable, registry, style):
    seen = []
    orders(registry, style)

    @registry.activity("look")
    def look():
        seen.append(span("here"))

    @registry.orchestration("looks")
    def looks(ctx):
        seen.append(span("there"))
        yield ctx.schedule_activity(look)

    for name, input in (("order", 500), ("looks", None)):
        durable.client.start_orchestration(name, name, input)
    durable.run_to_the_end()
    assert seen == [NULL_SPAN, NULL_SPAN]
    assert not TraceSpan.objects.exists()
    assert span("nowhere") is NULL_SPAN


def test_spans_are_deleted_and_pruned_with_their_executions(traced, registry):
    @registry.orchestration("order")
    def order(ctx, left: int):
        with span("round"):
            yield ctx.schedule_timer(1000)
        if left:
            yield ctx.continue_as_new(left - 1)

    traced.client.start_orchestration("o", "order", 2)
    traced.run_to_the_end()
    traced.client.prune_executions("o")
    assert set(TraceSpan.objects.values_list("execution_number", flat=True)) == {3}
    traced.client.delete_instance("o")
    assert not TraceSpan.objects.exists()


def test_tracing_adds_no_commit_and_one_statement_to_each_that_has_spans(db, registry, settings, style):
    tries = orders(registry, style)
    ran = []
    for number, tracing in enumerate(([], ["database"])):
        settings.DJANGO_DURABLE = {"TRACING": tracing}
        tries.clear()
        harness = Durable(registry)
        harness.client.start_orchestration(f"o{number}", "order", 500)
        with CaptureQueriesContext(connection) as queries:
            harness.run_to_the_end()
        # Without the question what becomes due, which a slow machine asks more often.
        texts = [each["sql"] for each in queries if "MIN(visible_at)" not in each["sql"]]
        statements = [re.sub(r'"s[\d_x]+"', "", each)[:60] for each in texts]
        ran.append((harness.worker.metrics_snapshot()["commits"], statements))
        harness.close()
    (commits, without), (commits_traced, traced) = ran
    table = TraceSpan._meta.db_table
    assert commits_traced == commits
    # A retried attempt's row also asks whether its instance is still there.
    extra = Counter(traced) - Counter(without)
    assert all(table in each or each.startswith('SELECT "django_durable_instance"."id"') for each in extra), list(extra)
    # The turns, the attempt that was tried again, and the completion that came when its instance was not held.
    assert sum(table in each for each in traced) <= commits + 2
