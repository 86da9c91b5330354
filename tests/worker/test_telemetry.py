"""Spans and the trace context in OpenTelemetry, with its real SDK."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from django_durable import PromiseError, Provided, Stream, checks
from django_durable.models import Instance, TraceSpan
from django_durable.registry import Registry
from django_durable.testing import Durable
from django_durable.testing.clock import StandingClock
from django_durable.tracing import span

START = datetime(2030, 1, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def exporter():
    """Give what keeps the spans of the process; a provider can be set once only."""
    provider, made = TracerProvider(), InMemorySpanExporter()
    provider.add_span_processor(SimpleSpanProcessor(made))
    trace.set_tracer_provider(provider)
    return made


@pytest.fixture
def exported(exporter, settings):
    """Give what was exported, by name; the setting asks for nothing else."""
    settings.DJANGO_DURABLE = {"TRACING": ["opentelemetry"]}
    exporter.clear()
    return lambda: {each.name: each for each in exporter.get_finished_spans()}


@pytest.fixture
def registry():
    return Registry()


@pytest.fixture
def durable(db, exported, registry):
    harness = Durable(registry, clock=StandingClock(START))
    yield harness
    harness.close()


@pytest.fixture(params=["sync", "async"])
def shop(request, registry):
    """An order with an activity that traces by itself, a child and a detached start."""
    tracer = trace.get_tracer("shop")

    if request.param == "sync":

        @registry.activity("pay")
        def pay():
            with tracer.start_as_current_span("http"), span("retrying") as retrying:
                retrying.record(cents=1200)
                with tracer.start_as_current_span("inner"):
                    pass
    else:

        @registry.activity("pay")
        async def pay():
            with tracer.start_as_current_span("http"), span("retrying") as retrying:
                await asyncio.sleep(0)
                retrying.record(cents=1200)
                with tracer.start_as_current_span("inner"):
                    pass

    @registry.orchestration("child")
    def child(ctx):
        yield ctx.schedule_activity(pay)

    @registry.orchestration("mail")
    def mail(ctx): ...

    @registry.orchestration("order")
    def order(ctx):
        with span("packing", grams=500) as packing:
            yield ctx.schedule_sub_orchestration(child)
            packing.add_event("sealed", by="Ada")
            with span("label"):
                yield ctx.schedule_timer(1000)
        ctx.start_orchestration(mail, "mail")

    return tracer


def start(durable, tracer):
    with tracer.start_as_current_span("request") as request:
        durable.client.start_orchestration("o", "order")
    durable.run_to_the_end()
    return request.get_span_context()


def parent_of(spans, name):
    parent = spans[name].parent
    (found,) = [each.name for each in spans.values() if parent and each.context.span_id == parent.span_id] or [None]
    return found


def test_the_trace_of_the_request_goes_through_activities_children_and_detached_starts(shop, durable, exported):
    request = start(durable, shop)
    spans = exported()
    assert {each.context.trace_id for each in spans.values()} == {request.trace_id}
    expected = {
        "request": None,
        "start order": "request",
        "turn order": "start order",
        "orchestration order": "start order",
        "packing": "start order",
        "label": "packing",
        "timer": "start order",
        "start child": "start order",
        "child child": "start order",
        "turn child": "start child",
        "activity pay": "start child",
        "http": "activity pay",
        "retrying": "http",
        "inner": "retrying",
        "orchestration child": "start child",
        "start mail": "start order",
        "turn mail": "start mail",
        "orchestration mail": "start mail",
    }
    assert {name: parent_of(spans, name) for name in spans} == expected


def test_spans_say_what_they_are_of_and_how_long_they_took(shop, durable, exported):
    start(durable, shop)
    spans = exported()
    assert spans["start order"].kind is SpanKind.PRODUCER
    assert spans["activity pay"].kind is SpanKind.CONSUMER
    assert spans["activity pay"].attributes["durable.activity"] == "pay"
    assert spans["activity pay"].status.status_code is StatusCode.OK
    assert spans["packing"].attributes["grams"] == 500
    assert spans["packing"].attributes["durable.instance_id"] == "o"
    assert [(each.name, dict(each.attributes)) for each in spans["packing"].events] == [("sealed", {"by": "Ada"})]
    assert spans["retrying"].attributes["cents"] == 1200
    label = spans["label"]
    assert (label.end_time - label.start_time) / 1e9 == 1
    whole = spans["orchestration order"]
    assert whole.start_time <= spans["packing"].start_time < spans["packing"].end_time <= whole.end_time


def test_an_execution_that_was_replayed_hands_each_span_over_once(shop, durable, exported):
    with shop.start_as_current_span("request"):
        durable.client.start_orchestration("o", "order")
    durable.run()
    durable.restart()
    durable.run_to_the_end()
    names = [each for each in exported() if each in ("packing", "label")]
    assert sorted(names) == ["label", "packing"]
    assert parent_of(exported(), "packing") == "start order"


def test_what_fails_is_an_error_in_the_trace(registry, durable, exported):
    @registry.activity("pay")
    def pay():
        raise ValueError("no money")

    @registry.orchestration("order")
    def order(ctx):
        with span("paying"):
            yield ctx.schedule_activity(pay)

    durable.client.start_orchestration("o", "order")
    durable.run()
    failed = {name: each.status for name, each in exported().items() if each.status.status_code is StatusCode.ERROR}
    assert set(failed) == {"activity pay", "paying", "orchestration order"}
    assert failed["activity pay"].description == "ValueError: no money"


def test_a_start_within_an_activity_goes_on_in_its_trace(registry, durable, exported):
    @registry.orchestration("second")
    def second(ctx): ...

    @registry.activity("begin")
    def begin(ctx):
        ctx.client.start_orchestration("second", "second")

    @registry.orchestration("first")
    def first(ctx):
        yield ctx.schedule_activity(begin)

    durable.client.start_orchestration("first", "first")
    durable.run()
    assert parent_of(exported(), "start second") == "activity begin"
    assert Instance.objects.get(instance_id="second").traceparent.split("-")[1] == f"{trace_id(exported()):032x}"


def trace_id(spans):
    return spans["start first"].context.trace_id


def test_a_link_to_another_trace_is_a_link(registry, durable, exported):
    other = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

    @registry.orchestration("order")
    def order(ctx):
        with span("packing") as packing:
            packing.add_link(other)
            packing.add_link("nonsense")

    durable.client.start_orchestration("o", "order")
    durable.run()
    (link,) = exported()["packing"].links
    assert f"{link.context.span_id:016x}" == "b7ad6b7169203331"


def test_a_tracer_of_the_project_need_not_be_set_up(registry, durable, exported, settings):
    settings.DJANGO_DURABLE = {}

    @registry.orchestration("order")
    def order(ctx): ...

    durable.client.start_orchestration("o", "order")
    durable.restart()
    durable.run()
    assert exported() == {}
    assert Instance.objects.get().traceparent is None


def test_the_database_keeps_nothing_where_only_opentelemetry_is_asked_for(shop, durable):
    start(durable, shop)
    assert not TraceSpan.objects.exists()


def test_the_setting_names_what_there_is(settings):
    settings.DJANGO_DURABLE = {"TRACING": ["zipkin"]}
    (message,) = checks.check_settings(None)
    assert "expected a list or tuple of non-empty strings among 'database', 'opentelemetry'" in message.msg


def test_timers_promises_queues_and_streams_are_spans_when_they_have_ended(registry, durable, exported):
    @registry.orchestration("waits")
    async def waits(ctx, orders: Stream[int] = Provided):
        await asyncio.sleep(5)
        promise = ctx.create_future(name="approval")
        refused = ctx.create_future(name="refused")
        ctx.set_custom_status([promise.promise_id, refused.promise_id])
        await promise
        try:
            async with asyncio.timeout(60):
                await refused
        except PromiseError:
            await ctx.dequeue_event("box")
            await orders.next()

    durable.client.start_orchestration("o", "waits")
    durable.advance(seconds=6)
    promise, refused = durable.client.get_status("o").custom_status
    durable.advance(seconds=7)
    durable.restart()  # Whoever sees the end need not have seen the beginning.
    durable.client.complete_promise("o", promise)
    durable.run()
    durable.client.fail_promise("o", refused, "no")
    durable.client.enqueue_event("o", "box", 1)
    durable.client.send_to_stream("o", "orders", 1)
    durable.run()
    assert durable.client.get_status("o").runtime_status == "Completed"
    spans = exported()
    seconds = {name: (each.end_time - each.start_time) / 1e9 for name, each in spans.items()}
    # The last timer is that of the timeout.
    assert (seconds["timer"], seconds["promise approval"]) == (0, 8)
    assert spans["promise refused"].status.status_code == StatusCode.ERROR
    assert spans["promise refused"].status.description == "PromiseFailed: no"
    assert {"queue box", "stream orders"} <= set(spans)
    assert spans["timer"].attributes["canceled"] is True


def test_waits_for_events_and_children_are_spans_when_they_have_ended(registry, durable, exporter):
    @registry.orchestration("pack")
    def pack(ctx, fails: bool):
        yield ctx.schedule_timer(3000)
        if fails:
            raise ValueError("too heavy")

    @registry.orchestration("order")
    def order(ctx):
        early = yield ctx.wait_for_event("early")
        approved, confirmed = ctx.wait_for_event("approved"), ctx.wait_for_event("approved")
        yield ctx.race(ctx.wait_for_event("never"), confirmed)
        yield ctx.all([ctx.schedule_sub_orchestration(pack, False), ctx.schedule_sub_orchestration("pack", True)])
        return [early, (yield approved), (yield confirmed)]

    with trace.get_tracer("shop").start_as_current_span("request"):
        durable.client.start_orchestration("o", "order")
    durable.client.raise_event("o", "early", 0)
    durable.run()
    for number in (1, 2):
        durable.advance(seconds=5)
        durable.restart()  # Whoever sees the end need not have seen the beginning.
        durable.client.raise_event("o", "approved", number)
        durable.run()
    durable.advance(seconds=4)
    assert durable.client.get_output("o") == [0, 1, 2]

    waits = [each for each in exporter.get_finished_spans() if each.name.partition(" ")[0] in ("event", "child")]
    assert [(each.name, (each.end_time - each.start_time) / 1e9, each.status.description) for each in waits] == [
        *(("event early", 0, None), ("event approved", 5, None), ("event approved", 10, None)),
        *(("event never", 10, None), ("child pack", 3, None), ("child pack", 3, "ValueError: too heavy")),
    ]
    assert [each.name for each in waits if each.attributes.get("canceled")] == ["event never"]
