"""Spans of orchestration code: the same ones on every replay, told of only while the code runs for the first time."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from django_durable.engine.failures import storable
from django_durable.engine.replay import Execution
from django_durable.engine.spans import MOST_EVENTS, NULL_SPAN, SpanBook, current_book, current_span, plain

from .support import START, FakeEnvironment, Host


def span(name: str, **attributes: Any) -> Any:
    book = current_book()
    return NULL_SPAN if book is None else book.open(name, attributes)


class Traced(Host):
    """A host whose programs record spans."""

    def _environment(self) -> FakeEnvironment:
        made = super()._environment()
        made.records_spans = True
        return made


def told(execution: Execution) -> list[tuple[str, str | None, str, bool]]:
    return [(each.span_id, each.parent_id, each.name, each.ended_at is not None) for each in execution.take_spans()[0]]


def story(ctx):
    with span("outer", n=1) as outer:
        yield ctx.schedule_activity("a")
        with span("inner"):
            yield ctx.schedule_timer(1000)
        outer.record(n=2)
    yield ctx.wait_for_event("go")


def test_each_turn_tells_what_changed_in_it(style):
    host = Traced(style(story), rebuild=False)
    assert told(host.execution) == [("s1", None, "outer", False)]
    host.complete("a")
    assert told(host.execution) == [("s2", "s1", "inner", False)]
    assert told(host.execution) == []


def test_a_replay_tells_nothing_and_goes_on_where_the_code_was(style):
    from django_durable.engine.events import TimerCreated, TimerFired

    host = Traced(style(story))
    host.complete("a")
    rebuilt = Execution.replay(host._environment(), host.history)
    assert rebuilt.take_spans() == ([], [])
    rebuilt.advance([TimerFired(timer_seq=host.seq(TimerCreated))], now=host.now)
    assert sorted(told(rebuilt)) == [("s1", None, "outer", True), ("s2", "s1", "inner", True)]


def test_tasks_beside_each_other_are_in_the_span_they_were_started_in():
    async def beside(ctx):
        async def branch(name):
            with span(name):
                await ctx.schedule_activity(name)
                with span(f"{name} then"):
                    pass

        with span("both"):
            await asyncio.gather(branch("a"), branch("b"))

    host = Traced(beside, rebuild=False)
    host.complete("b")
    host.complete("a")
    assert {(parent, name) for _, parent, name, _ in told(host.execution)} == {
        (None, "both"), ("s1", "a"), ("s1", "b"), ("s3", "b then"), ("s2", "a then"),
    }  # fmt: skip


def test_log_records_are_on_the_span_they_are_in_else_with_the_turn(style):
    def logs(ctx):
        ctx.trace_info("before")
        with span("in"):
            ctx.logger.warning("%d in", 1)
            ctx.logger.error("%d %d", 1)
        yield ctx.wait_for_event("go")

    host = Traced(style(logs), rebuild=False)
    host.environment.logged.clear()
    spans, loose = host.execution.take_spans()
    assert [each["attributes"] for each in loose] == [{"level": "INFO", "message": "before"}]
    assert [each["attributes"]["message"] for each in spans[0].events] == ["1 in", "%d %d (1,)"]


def test_without_a_book_there_are_no_spans(style):
    seen = []

    def quiet(ctx):
        seen.append((span("x"), current_span()))
        yield ctx.wait_for_event("go")

    host = Host(style(quiet), rebuild=False)
    assert seen == [(NULL_SPAN, NULL_SPAN)]
    assert host.execution.take_spans() == ([], [])


def test_a_span_left_by_an_error_is_an_error_and_closed_code_changes_nothing():
    def fails(ctx):
        try:
            with span("first"):
                raise ValueError("no")
        except ValueError:
            pass
        with span("second"):
            yield ctx.wait_for_event("never")

    host = Traced(fails, rebuild=False)
    first, second = host.execution.take_spans()[0]
    assert (first.status, first.message) == ("ERROR", "ValueError: no")
    host.execution.close()
    assert second.name == "second"
    assert host.execution.take_spans() == ([], [])


def test_nothing_happens_to_a_span_that_has_ended_or_to_none():
    book = SpanBook(lambda: START, lambda: True)
    with book.open("x", {}) as ended:
        pass
    for each in (ended, NULL_SPAN):
        each.record(a=1)
        each.add_event("e")
        each.add_link("l")
        each.set_status("OK")
    (record,) = book.take()
    assert record.as_data() == {}


def test_a_span_keeps_no_more_events_than_it_may():
    book = SpanBook(lambda: START, lambda: True)
    with book.open("x", {}) as busy:
        for number in range(MOST_EVENTS + 10):
            busy.add_event("e", n=number)
    assert len(book.take()[0].events) == MOST_EVENTS


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (1, 1), (True, True), (None, None), ("a\ud800", storable("a\ud800")), (float("nan"), "nan"), (1.5, 1.5),
        ({"a": {1: (1, 2)}}, {"a": {"1": [1, 2]}}), (START, str(START)),
    ],
)  # fmt: skip
def test_attributes_are_what_json_has(value, shown):
    assert plain({"value": value})["value"] == shown
