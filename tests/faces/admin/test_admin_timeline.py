"""From outlines of events to bars."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from django_durable.admin import timeline
from django_durable.client.spans import CANCELED, DONE, FAILED, OPEN, Span, spans_of
from django_durable.store.insight import EventOutline

START = datetime(2026, 1, 1, 12, tzinfo=UTC)


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def event(seq: int, seconds: float, kind: str, name: str | None = None, source: int | None = None, **data: object):
    return EventOutline(seq=seq, recorded_at=at(seconds), kind=kind, name=name, source_seq=source, data=data)


def spans(*events: EventOutline, now: float = 100) -> dict[int, Span]:
    found, _ = spans_of(events, at(now))
    return {span.seq: span for span in found}


def drawn(*events: EventOutline, ended: float | None = None, now: float = 100) -> timeline.Timeline:
    found, _ = spans_of(events, at(now))
    ended_at = None if ended is None else at(ended)
    made = timeline.timeline_of(found, started_at=START, ended_at=ended_at, now=at(now), tasks=[])
    assert made is not None
    return made


def test_each_opening_event_is_ended_by_the_event_that_answers_it():
    found = spans(
        event(1, 0, "ActivityScheduled", "a"),
        event(2, 0, "ActivityScheduled", "b"),
        event(3, 0, "TimerCreated", fire_at_ms=0),
        event(4, 0, "SubOrchestrationScheduled", "c", instance_id="child"),
        event(5, 0, "QueueSubscribed", "q"),
        event(6, 1, "ActivityFailed", source=2, attempt=3),
        event(7, 2, "ActivityCompleted", source=1),
        event(8, 3, "TimerCanceled", source=3),
        event(9, 4, "SubOrchestrationCompleted", source=4),
        event(10, 5, "QueueEventDelivered", "q", source=5),
    )
    assert {seq: (span.state, span.end) for seq, span in found.items()} == {
        1: (DONE, at(2)),
        2: (FAILED, at(1)),
        3: (CANCELED, at(3)),
        4: (DONE, at(4)),
        5: (DONE, at(5)),
    }
    assert found[2].attempt == 3


def test_reads_of_streams_and_promises_are_waits_and_being_told_of_signals_is_none():
    found = spans(
        event(1, 0, "StreamSubscribed", "orders"),
        event(2, 0, "StreamSubscribed", "stop", mode="follow"),
        event(3, 0, "PromiseCreated", "approval"),
        event(4, 0, "StreamSubscribed", "given up"),
        event(5, 1, "StreamItemsReceived", "stop", source=2),
        event(6, 2, "StreamItemsReceived", "orders", source=1),
        event(7, 3, "PromiseExpired", source=3),
        event(8, 4, "StreamSubscriptionCanceled", source=4),
    )
    assert {seq: (span.name, span.state, span.end) for seq, span in found.items()} == {
        1: ("orders", DONE, at(2)),
        3: ("approval", FAILED, at(3)),
        4: ("given up", CANCELED, at(4)),
    }


def test_external_events_answer_the_oldest_wait_of_their_name():
    found = spans(
        event(1, 0, "ExternalSubscribed", "go"),
        event(2, 1, "ExternalSubscribed", "go"),
        event(3, 2, "ExternalSubscribed", "stop"),
        event(4, 3, "ExternalEvent", "go"),
        event(5, 4, "ExternalSubscriptionCanceled", source=3),
        event(6, 5, "ExternalEvent", "unexpected"),
    )
    assert {seq: span.state for seq, span in found.items()} == {1: DONE, 2: OPEN, 3: CANCELED}
    assert found[2].end == at(100)


def test_answers_whose_question_was_not_read_are_left_out():
    assert spans(event(500, 0, "ActivityCompleted", source=7), event(501, 0, "TimerFired", source=8)) == {}


def test_last_attempt_is_told_from_the_time_before_it():
    ms = int(at(50).timestamp() * 1000)
    made = drawn(
        event(1, 0, "ActivityScheduled", "a"), event(2, 100, "ActivityCompleted", source=1, attempt=2, started_ms=ms)
    )
    bar = made.lanes[0].rows[0].bars[0]
    assert (bar.x, bar.width, bar.work_x, bar.work_width) == ("0%", "100%", "50%", "50%")
    assert bar.title == "a, done, 1 min 40 s, attempt 2, event 1"


def test_what_overlaps_is_drawn_on_tracks_and_what_does_not_shares_one():
    together = drawn(*(event(seq, 0, "ActivityScheduled", "a") for seq in range(1, 4)))
    assert len({bar.y for bar in together.lanes[0].rows[0].bars}) == 3
    chain = drawn(
        event(1, 0, "ActivityScheduled", "a"),
        event(2, 40, "ActivityCompleted", source=1),
        event(3, 60, "ActivityScheduled", "a"),
    )
    assert len({bar.y for bar in chain.lanes[0].rows[0].bars}) == 1


def test_what_is_open_when_the_execution_ended_ended_with_it():
    made = drawn(event(1, 0, "ActivityScheduled", "a"), event(2, 1, "TimerCreated", fire_at_ms=None), ended=10)
    assert [bar.state for lane in made.lanes for row in lane.rows for bar in row.bars] == [CANCELED, CANCELED]
    assert made.now_x is None
    assert made.length == "10 s"


def test_bars_stay_within_the_drawing():
    made = drawn(event(1, 100, "ActivityScheduled", "late"), event(2, 100, "ActivityCompleted", source=1))
    bar = made.lanes[0].rows[0].bars[0]
    assert float(bar.x[:-1]) + float(bar.width[:-1]) <= 100.001


def test_many_spans_of_one_name_are_one_row_of_few_bars_and_many_names_are_limited():
    many = [event(seq, seq / 10, "ActivityScheduled", "a") for seq in range(1, 500)]
    assert len(drawn(*many).lanes[0].rows[0].bars) == 1
    names = [event(seq, seq, "ActivityScheduled", f"a{seq}") for seq in range(1, 60)]
    assert drawn(*names).hidden_rows == 59 - timeline.MAX_ROWS


def test_nothing_is_drawn_of_nothing():
    assert timeline.timeline_of([], started_at=START, ended_at=None, now=START, tasks=[]) is None
