"""Streams and signals, in every style, with a hot cache and with none, and replayed after they completed."""

from __future__ import annotations

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from django_durable import (
    IllegalTransition,
    InstanceNotFound,
    InvalidArgument,
    Provided,
    Stream,
    StreamClosed,
    StreamWriter,
)
from django_durable.models import Stream as StreamRow, StreamItem

from .orchestrations import PAIRS
from .stream_stories import speak_and_stumble, speak_at_once
from .test_verbs import completed


def values(page):
    return [item.value for item in page.items]


def test_what_an_orchestration_and_its_activities_send_is_read_in_order(run, style):
    key = run.start(PAIRS["sends"][style])
    run.drain()
    page = run.client.read_stream(key, "words")
    assert values(page) == ["first", "a", "b", "c", "d", "e", "f", "last"]
    assert [item.position for item in page.items] == list(range(1, 9))
    assert (page.position, page.ended, page.reason) == (9, True, None)
    assert completed(run, key) == [{"ok": 2}]


def test_nothing_is_sent_again_when_it_is_replayed(run, style):
    key = run.start(PAIRS["sends"][style])
    run.drain()
    count = StreamItem.objects.count()
    completed(run, key)
    assert StreamItem.objects.count() == count


def test_readers_begin_anywhere_and_go_on_from_where_they_were(run, style):
    key = run.start(PAIRS["sends"][style])
    run.drain()
    reader, other = run.client.open_stream(key, "words"), run.client.open_stream(key, "words", after=6)
    assert other.collect() == ["f", "last"]
    assert next(iter(reader)) == "first"
    assert run.client.open_stream(key, "words", after=reader.position).collect() == [*"abcdef", "last"]
    page = run.client.read_stream(key, "words", after=2, limit=3)
    assert (values(page), page.position, page.ended) == (["b", "c", "d"], 5, False)


def test_items_sent_before_the_first_turn_and_later_are_read(run, style):
    key = run.start(PAIRS["reads"][style])
    run.client.send_to_stream(key, "orders", 1, 2)
    run.drain()
    writer = run.client.open_stream(key, "orders", "w")
    assert writer.send(3) == 3
    run.drain()
    writer.close("sold out")
    run.drain()
    nothing = [1, 2]  # The first read does not block, and finds what was there.
    assert completed(run, key) == [nothing, [6], "sold out"]


def test_a_stream_goes_along_when_the_code_continues_as_new(run, style):
    key = run.start(PAIRS["relays"][style])
    run.client.send_to_stream(key, "orders", 1, 2)
    run.drain()
    run.client.send_to_stream(key, "orders", 3)
    run.drain()
    assert values(run.client.read_stream(key, "done")) == [10, 20, 30]
    assert completed(run, key) == "relayed"


def test_a_signal_interrupts_and_an_early_one_is_kept(run, style):
    key = run.start(PAIRS["interrupted"][style])
    run.client.send_to_stream(key, "stop", "early")
    run.drain()
    assert run.client.get_status(key).output is None
    run.client.open_stream(key, "stop", "w").send("late")
    run.drain()
    assert completed(run, key) == ["early", "late"]
    assert run.leftovers(key) == {}


def test_a_writer_is_handed_to_activities_and_its_stream_read(run, style):
    key = run.start(PAIRS["hands_over"][style])
    run.drain()
    assert completed(run, key) == [["one", "two"], ["three"]]


def test_what_was_sent_survives_a_worker_that_forgets_everything(run, style):
    key = run.start(PAIRS["reads"][style])
    for number in range(1, 4):
        run.drain()
        run.restart()
        run.client.send_to_stream(key, "orders", number)
    run.client.close_stream(key, "orders")
    run.drain()
    output = run.client.get_status(key).output
    assert output is None or output[1] == [2, 4, 6]
    assert [
        event.fact.position for event in run.client.read_execution_history(key) if event.kind == "StreamItemsReceived"
    ][-1] == 4


def test_items_of_an_atomic_activity_that_fails_are_not_sent(durable):
    @durable.registry.orchestration("story")
    def story(ctx):
        yield ctx.schedule_activity(durable.registry.activity("say", atomic=True)(speak_at_once.function), "no way!")

    durable.client.start_orchestration("one", "story")
    durable.run()
    assert durable.client.get_status("one").runtime_status == "Failed"
    assert not StreamItem.objects.exists()


def test_an_activity_that_is_tried_again_knows_what_it_has_sent(durable):
    durable.registry.activity("say", retry=speak_and_stumble.retry)(speak_and_stumble.function)

    @durable.registry.orchestration("story")
    def story(ctx):
        return (yield ctx.schedule_activity("say", "x y z"))

    durable.client.start_orchestration("one", "story")
    durable.run()
    assert values(durable.client.read_stream("one", "words")) == ["x", "y", "z"]
    assert durable.client.get_output("one") == 3


@pytest.fixture
def waiting(durable):
    """Start an instance that only waits, and return the client."""

    @durable.registry.orchestration("waits")
    def waits(ctx):
        yield ctx.wait_for_event("go")

    durable.client.start_orchestration("one", "waits")
    durable.run()
    return durable.client


def test_nothing_is_sent_on_a_closed_stream(waiting):
    waiting.send_to_stream("one", "orders", 1)
    waiting.close_stream("one", "orders", ValueError("no more"))
    with pytest.raises(StreamClosed, match="Stream 'orders' is closed: no more."):
        waiting.send_to_stream("one", "orders", 2)
    page = waiting.read_stream("one", "orders")
    assert (values(page), page.ended, page.reason) == ([1], True, "no more")
    assert waiting.read_stream("one", "orders", after=page.position).ended
    reader = waiting.open_stream("one", "orders")
    assert reader.next() == (1,)
    with pytest.raises(StreamClosed):
        reader.next()


def test_a_send_that_is_rolled_back_was_none(waiting):
    with transaction.atomic():
        waiting.send_to_stream("one", "orders", 1)
        transaction.set_rollback(True)
    waiting.send_to_stream("one", "orders", 2)
    assert [(item.position, item.value) for item in waiting.read_stream("one", "orders").items] == [(1, 2)]


def test_a_stream_ends_with_its_instance(durable, waiting):
    waiting.send_to_stream("one", "orders", 1)
    waiting.terminate_instance("one")
    page = waiting.read_stream("one", "orders")
    assert (values(page), page.ended) == ([1], True)
    with pytest.raises(IllegalTransition, match="Cannot send on stream 'orders' of instance 'one'"):
        waiting.send_to_stream("one", "orders", 2)


def test_what_cannot_be_is_refused_and_nothing_written(waiting):
    for call in (
        lambda: waiting.send_to_stream("one", "orders"),
        lambda: waiting.send_to_stream("one", "", 1),
        lambda: waiting.open_stream("one", "orders", "x"),
        lambda: waiting.read_stream("one", "orders", after=-1),
        lambda: waiting.read_stream("one", "orders", limit=0),
        lambda: waiting.close_stream("one", "orders", 7),
    ):
        with pytest.raises(InvalidArgument):
            call()
    for call in (
        waiting.list_streams,
        lambda key: waiting.read_stream(key, "s"),
        lambda key: waiting.send_to_stream(key, "s", 1),
    ):
        with pytest.raises(InstanceNotFound):
            call("nobody")
    assert not StreamRow.objects.exists()


def test_streams_are_listed_by_name(waiting):
    waiting.send_to_stream("one", "b", 1)
    waiting.send_to_stream("one", "a", 1, 2)
    waiting.close_stream("one", "b")
    assert [(each.name, each.last_position, each.closed) for each in waiting.list_streams("one")] == [
        ("a", 2, False),
        ("b", 2, True),
    ]


def test_streams_are_deleted_with_their_instance(waiting):
    waiting.send_to_stream("one", "orders", 1)
    waiting.delete_instance("one", force=True)
    assert not StreamRow.objects.exists()
    assert not StreamItem.objects.exists()


def test_a_turn_that_sends_costs_two_statements_more_however_much_it_sends(durable):
    @durable.registry.orchestration("quiet")
    def quiet(ctx):
        yield ctx.wait_for_event("go")

    @durable.registry.orchestration("loud")
    def loud(ctx, count: int, out: StreamWriter[int] = Provided):
        for n in range(count):
            out.send(n)
        yield ctx.wait_for_event("go")

    def statements(name, input):
        for n in range(3):
            durable.client.start_orchestration(f"{name}-{input}-{n}", name, input)
        with CaptureQueriesContext(
            connection,
        ) as captured:
            durable.run()
        return len([each for each in captured if "durable_stream" in each["sql"]]), len(captured)

    without = statements("quiet", None)
    assert without[0] == 0
    assert statements("loud", 1)[0] == statements("loud", 50)[0] >= 2


def test_a_retry_reads_again_what_came_after_its_point_and_keeps_what_was_sent(retrying):
    def story(ctx, orders: Stream[str] = Provided, done: StreamWriter[str] = Provided):
        first = yield orders.next(limit=1)
        yield done.send(first[0])
        second = yield orders.next(limit=1)
        yield ctx.schedule_activity("act", second[0])
        return [*first, *second]

    retrying.broken = {"b"}
    retrying.start(retrying.define(story))
    retrying.client.send_to_stream("one", "orders", "a", "b")
    retrying.durable.run()
    retrying.broken.clear()
    retrying.retry()
    assert retrying.output() == ["a", "b"]
    assert values(retrying.client.read_stream("one", "done")) == ["a"]


def test_a_fork_has_what_had_been_sent_by_then_and_goes_on_with_its_own(retrying):
    def story(ctx, orders: Stream[str] = Provided, done: StreamWriter[str] = Provided):
        first = yield orders.next(limit=1)
        yield done.send(first[0])
        event = yield ctx.wait_for_event("go")
        yield done.send(event)
        second = yield orders.next(limit=1)
        return [*first, *second]

    retrying.start(retrying.define(story))
    retrying.client.send_to_stream("one", "orders", "a", "b")
    retrying.durable.run()
    retrying.client.raise_event("one", "go", "mine")
    retrying.durable.run()
    event = next(each for each in retrying.client.read_execution_history("one") if each.kind == "ExternalEvent")
    retrying.client.fork_instance("one", "other", from_event=event.seq)
    retrying.durable.run()
    assert retrying.output("other") == ["a", "b"]
    assert values(retrying.client.read_stream("other", "done")) == ["a", "mine"]
