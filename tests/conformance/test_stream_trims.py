"""Streams that are trimmed: what is kept whatever is asked, and what readers are told whose place is gone."""

from __future__ import annotations

import pytest

from django_durable import InstanceNotFound, InvalidArgument, Provided, RetryPolicy, Stream, StreamTrimmed, StreamWriter
from django_durable.engine.errors import ActivityError
from django_durable.models import Stream as StreamRow, StreamItem

from .test_streams import values, waiting  # noqa: F401  # a fixture


def listed(client, name="words"):
    return next(each for each in client.list_streams("one") if each.name == name)


@pytest.fixture
def ten(waiting):  # noqa: F811
    """A client, and a stream with the items 1 to 10 at the positions 1 to 10."""
    waiting.send_to_stream("one", "words", *range(1, 11))
    return waiting


@pytest.mark.parametrize(
    ("asked", "first"), [({"before": 8}, 8), ({"keep": 3}, 8), ({"before": 1}, 1), ({"keep": 99}, 1)]
)
def test_items_are_deleted_from_the_beginning(ten, asked, first):
    found = ten.trim_stream("one", "words", **asked)
    assert (found.first_position, found.items_deleted) == (first, first - 1)
    assert values(ten.read_stream("one", "words")) == list(range(first, 11))
    record = listed(ten)
    assert (record.items, record.first_position, record.last_position) == (11 - first, first, 10)
    assert StreamItem.objects.count() == 11 - first


def test_positions_go_on_and_a_second_trim_deletes_what_is_new(ten):
    ten.trim_stream("one", "words", keep=0)
    page = ten.read_stream("one", "words")
    assert (values(page), page.position, page.first_position, page.ended) == ([], 10, 11, False)
    assert ten.send_to_stream("one", "words", 11, 12) == 12
    assert ten.trim_stream("one", "words", before=5).items_deleted == 0
    assert ten.trim_stream("one", "words", keep=1).items_deleted == 1
    assert [(each.position, each.value) for each in ten.read_stream("one", "words").items] == [(12, 12)]
    assert ten.trim_stream("one", "words", before=10**18).first_position == 13


def test_a_reader_whose_place_is_gone_is_told_and_one_that_has_all_of_it_is_not(ten):
    ahead, behind, new = (ten.open_stream("one", "words", after=after) for after in (7, 6, None))
    ten.trim_stream("one", "words", before=8)
    assert ahead.next() == (8, 9, 10)
    with pytest.raises(StreamTrimmed, match="Stream 'words' was trimmed: after position 6, items up to 7") as told:
        behind.next()
    assert (told.value.name, told.value.after, told.value.first_position) == ("words", 6, 8)
    assert values(ten.read_stream("one", "words", after=told.value.first_position - 1)) == [8, 9, 10]
    assert new.next() == (8, 9, 10)
    with pytest.raises(StreamTrimmed):
        ten.read_stream("one", "words", after=0)


def test_a_reader_that_waited_from_the_beginning_misses_nothing_silently(waiting):  # noqa: F811
    reader = waiting.open_stream("one", "words")
    assert reader.next(block=False) == ()
    waiting.send_to_stream("one", "words", 1, 2)
    waiting.trim_stream("one", "words", keep=1)
    with pytest.raises(StreamTrimmed):
        reader.next(block=False)


def test_a_page_of_what_was_trimmed_to_nothing_tells_so_too(ten):
    ten.trim_stream("one", "words", keep=0)
    ten.terminate_instance("one")
    with pytest.raises(StreamTrimmed):
        ten.read_stream("one", "words", after=9)
    assert ten.read_stream("one", "words", after=10).ended


def test_the_end_of_a_stream_is_kept(ten):
    ten.close_stream("one", "words", "enough")
    assert ten.trim_stream("one", "words", keep=2).first_position == 9
    assert ten.trim_stream("one", "words", before=10**18).first_position == 12
    page = ten.read_stream("one", "words")
    assert (values(page), page.ended, page.reason) == ([], True, "enough")
    record = listed(ten)
    assert (record.items, record.last_position, record.closed, record.reason) == (0, 11, True, '"enough"')


def test_what_cannot_be_is_refused_and_nothing_deleted(ten):
    for asked in ({}, {"before": 1, "keep": 1}, {"before": -1}, {"keep": True}, {"keep": "1"}):
        with pytest.raises(InvalidArgument):
            ten.trim_stream("one", "words", **asked)
    for bad in ("", None, "x" * 513, "a\x00b"):
        with pytest.raises(InvalidArgument):
            ten.trim_stream(bad, "words", keep=1)
    with pytest.raises(InstanceNotFound):
        ten.trim_stream("nobody", "words", keep=1)
    assert ten.trim_stream("one", "nothing", keep=1).items_deleted == 0
    assert StreamItem.objects.count() == 10
    assert StreamRow.objects.count() == 1


@pytest.fixture
def counting(durable):
    """Start an instance that reads a number at each event, and continues as new after each third."""

    @durable.registry.orchestration("counts")
    def counts(ctx, total: int = 0, numbers: Stream[int] = Provided):
        for _ in range(3):
            yield ctx.wait_for_event("go")
            total += sum((yield numbers.next(limit=2)))
            ctx.set_custom_status(total)
        yield ctx.continue_as_new(total)

    durable.client.start_orchestration("one", "counts")
    durable.run()
    return durable


def go(durable):
    durable.client.raise_event("one", "go")
    durable.run()


def test_what_the_code_has_yet_to_read_is_kept_through_every_execution(counting):
    client = counting.client
    go(counting)  # Reads from now on.
    client.send_to_stream("one", "numbers", *range(1, 21))
    counting.run()
    for read in (2, 4, 6, 8, 10):
        assert client.trim_stream("one", "numbers", keep=0).first_position == read + 1
        go(counting)
    assert client.get_status("one").execution_number > 1
    assert client.get_status("one").custom_status == sum(range(1, 13))
    client.terminate_instance("one")
    assert client.trim_stream("one", "numbers", keep=0).first_position == 21


def test_what_an_unfinished_activity_has_sent_is_kept_so_that_it_knows_what_it_sent(durable):
    trimmed = []

    def say(words: StreamWriter[str] = Provided) -> int:
        said = words.sent()
        words.send("abc"[said])
        trimmed.append(durable.client.trim_stream("one", "words", keep=0).first_position)
        if said < 2:
            raise ConnectionError("again")
        return words.sent()

    durable.registry.activity("say", retry=RetryPolicy(max_attempts=3, backoff="none"))(say)

    @durable.registry.orchestration("story")
    def story(ctx, words: StreamWriter[str] = Provided):
        yield words.send("first")
        try:
            yield ctx.schedule_activity("say")
        except ActivityError as error:
            return error.message
        yield ctx.wait_for_event("go")

    durable.client.start_orchestration("one", "story")
    durable.run()
    assert trimmed == [2, 2, 2], "up to what came before the activity"
    assert values(durable.client.read_stream("one", "words")) == ["a", "b", "c"]
    assert durable.client.trim_stream("one", "words", keep=1).first_position == 4
