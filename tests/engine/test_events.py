from __future__ import annotations

import dataclasses
import inspect
import json
from typing import Any, get_type_hints

import pytest
from hypothesis import given, strategies as st

from django_durable.engine import events
from django_durable.engine.commands import COMMAND_FACTS
from django_durable.engine.events import (
    FACTS,
    TERMINAL_FACTS,
    CarriedEvent,
    Columns,
    Fact,
    HistoryEvent,
    StoredValue,
    fact_from_columns,
)
from django_durable.engine.facts.streams import StreamedItem
from django_durable.engine.failures import Failure

from .support import START

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
BY_FIELD = {"retry": st.none() | st.dictionaries(st.text(), json_values, max_size=3)}


def facts_of(kind: type[Fact]) -> st.SearchStrategy[Fact]:
    hints = get_type_hints(kind)
    fields = [each.name for each in dataclasses.fields(kind)]  # type: ignore[arg-type]
    return st.builds(kind, **{name: BY_FIELD.get(name, st.from_type(hints[name])) for name in fields})


FAILURE = Failure("ValueError", "no", "Traceback")
STORED_FAILURE = '{"error_type": "ValueError", "message": "no", "traceback": "Traceback"}'
# What histories already hold. An entry may be added; one that has to change breaks every stored history of that kind.
LAYOUTS: list[tuple[Fact, tuple[Any, ...]]] = [
    (
        events.OrchestrationStarted(
            name="n",
            version="1.0.0",
            input="7",
            instance_id="i",
            execution=2,
            seed="s",
            parent_instance_id="p",
            carried_events=(CarriedEvent("e", "1"),),
            kv={"k": StoredValue("2", 3)},
            custom_status='"s"',
        ),
        (
            "n",
            None,
            "7",
            '{"version":"1.0.0","instance_id":"i","execution":2,"seed":"s","parent_instance_id":"p",'
            '"carried_events":[["e","1"]],"kv":{"k":["2",3]},"custom_status":"\\"s\\""}',
        ),
    ),
    (
        events.OrchestrationStarted(name="n", version="1.0.0", input="7", instance_id="i", execution=1, seed="s"),
        ("n", None, "7", '{"version":"1.0.0","instance_id":"i","execution":1,"seed":"s"}'),
    ),
    (
        events.OrchestrationRewound(copied_from="o", copied_execution=1, instance_id="i", execution=2, seed="s"),
        ("o", None, None, '{"copied_execution":1,"instance_id":"i","execution":2,"seed":"s"}'),
    ),
    (events.OrchestrationCompleted(output="1"), (None, None, "1", None)),
    (events.OrchestrationFailed(failure=FAILURE), (None, None, STORED_FAILURE, None)),
    (events.OrchestrationCanceled(output="1", reason="r"), (None, None, "1", '{"reason":"r"}')),
    (events.OrchestrationTerminated(reason="r"), (None, None, None, '{"reason":"r"}')),
    (events.OrchestrationContinuedAsNew(input="1", version="2.0.0"), (None, None, "1", '{"version":"2.0.0"}')),
    (events.OrchestrationCancelRequested(reason=None), (None, None, None, None)),
    (events.PatchMarked(patch_id="p"), ("p", None, None, None)),
    (events.ActivityScheduled(name="a", input="1"), ("a", None, "1", None)),
    (
        events.ActivityScheduled(
            name="a",
            input="1",
            tag="t",
            session_id="s",
            priority=2,
            retry={"max_attempts": 3},
            start_to_close_ms=5,
            schedule_to_close_ms=6,
        ),
        (
            "a",
            None,
            "1",
            '{"tag":"t","session_id":"s","priority":2,"retry":{"max_attempts":3},"start_to_close_ms":5,'
            '"schedule_to_close_ms":6}',
        ),
    ),
    (events.ActivityCompleted(scheduled_seq=2, result="1"), (None, 2, "1", None)),
    (
        events.ActivityCompleted(scheduled_seq=2, result="1", attempt=2, worker_id="w", started_ms=9),
        (None, 2, "1", '{"attempt":2,"worker_id":"w","started_ms":9}'),
    ),
    (
        events.ActivityFailed(scheduled_seq=2, failure=FAILURE, timed_out=True),
        (None, 2, STORED_FAILURE, '{"timed_out":true}'),
    ),
    (events.ActivityCancelRequested(scheduled_seq=2), (None, 2, None, None)),
    (events.TimerCreated(duration_ms=5, fire_at_ms=9), (None, None, None, '{"duration_ms":5,"fire_at_ms":9}')),
    (events.TimerFired(timer_seq=2), (None, 2, None, None)),
    (events.TimerCanceled(timer_seq=2), (None, 2, None, None)),
    (events.ExternalSubscribed(name="e"), ("e", None, None, None)),
    (events.ExternalSubscriptionCanceled(subscribed_seq=2), (None, 2, None, None)),
    (events.ExternalEvent(name="e", payload="1"), ("e", None, "1", None)),
    (events.EventEnqueued(queue="q"), ("q", None, None, None)),
    (events.QueueSubscribed(queue="q"), ("q", None, None, None)),
    (events.QueueSubscriptionCanceled(subscribed_seq=2), (None, 2, None, None)),
    (events.QueueEventDelivered(queue="q", subscribed_seq=2, payload="1"), ("q", 2, "1", None)),
    (
        events.SubOrchestrationScheduled(name="n", version="1.0.0", instance_id="c", input="1"),
        ("n", None, "1", '{"version":"1.0.0","instance_id":"c"}'),
    ),
    (events.SubOrchestrationCompleted(scheduled_seq=2, result="1"), (None, 2, "1", None)),
    (events.SubOrchestrationFailed(scheduled_seq=2, failure=FAILURE), (None, 2, STORED_FAILURE, None)),
    (
        events.SubOrchestrationCancelRequested(scheduled_seq=2, instance_id="c"),
        (None, 2, None, '{"instance_id":"c"}'),
    ),
    (
        events.OrchestrationChained(name="n", version="1.0.0", instance_id="c", input="1", requested_version="1.0.0"),
        ("n", None, "1", '{"version":"1.0.0","instance_id":"c","requested_version":"1.0.0"}'),
    ),
    (
        events.PromiseCreated(
            name="n", promise_id="p", question="1", answer='{"type":"integer"}', assignee="a", deadline_ms=5
        ),
        (
            "n",
            None,
            "1",
            '{"promise_id":"p","answer":"{\\"type\\":\\"integer\\"}","assignee":"a","deadline_ms":5}',
        ),
    ),
    (events.PromiseCreated(name="n", promise_id="p"), ("n", None, None, '{"promise_id":"p"}')),
    (
        events.PromiseCompleted(created_seq=2, result="1", settled_by="a"),
        (None, 2, "1", '{"settled_by":"a"}'),
    ),
    (events.PromiseFailed(created_seq=2, failure=FAILURE), (None, 2, STORED_FAILURE, None)),
    (events.PromiseExpired(created_seq=2), (None, 2, None, None)),
    (events.PromiseWithdrawn(created_seq=2), (None, 2, None, None)),
    (events.CustomStatusUpdated(value=None), (None, None, None, None)),
    (events.KeyValueSet(key="k", value="1"), ("k", None, "1", None)),
    (events.KeyValueCleared(key="k"), ("k", None, None, None)),
    (events.KeyValuesCleared(keys=("a", "b")), (None, None, None, '{"keys":["a","b"]}')),
    (events.StreamSubscribed(name="s"), ("s", None, None, None)),
    (
        events.StreamSubscribed(name="s", after=3, mode="follow", limit=1, opens=True),
        ("s", None, None, '{"after":3,"mode":"follow","limit":1,"opens":true}'),
    ),
    (events.StreamSubscriptionCanceled(subscribed_seq=2), (None, 2, None, None)),
    (
        events.StreamItemsReceived(
            name="s", subscribed_seq=2, items=(StreamedItem(4, '"a"'),), position=5, ended=True, reason="r"
        ),
        ("s", 2, None, '{"items":[[4,"\\"a\\""]],"position":5,"ended":true,"reason":"r"}'),
    ),
    (events.StreamItemSent(name="s", payload="1"), ("s", None, "1", None)),
    (events.StreamEnded(name="s", reason="r"), ("s", None, None, '{"reason":"r"}')),
    (events.StreamAppended(name="s"), ("s", None, None, None)),
]


@pytest.mark.parametrize(("fact", "columns"), LAYOUTS, ids=lambda each: getattr(each, "kind", ""))
def test_a_fact_is_stored_as_histories_already_hold_it(fact: Fact, columns: tuple[Any, ...]) -> None:
    assert fact.columns() == Columns(fact.kind, *columns)
    assert fact_from_columns(fact.kind, *columns) == fact


def test_the_defaults_are_those_that_stored_histories_leave_out() -> None:
    """A value equal to its default is not stored, so another default would change what old histories mean."""
    assert {
        f"{kind}.{field.name}": field.default
        for kind, each in FACTS.items()
        for field in dataclasses.fields(each)  # type: ignore[arg-type]
        if field.default is not dataclasses.MISSING and field.default is not None
    } == {
        "OrchestrationStarted.carried_events": (),
        "OrchestrationStarted.engine_version": 1,
        "ActivityScheduled.priority": 0,
        "ActivityCompleted.attempt": 1,
        "ActivityFailed.attempt": 1,
        "ActivityFailed.timed_out": False,
        "StreamSubscribed.after": 0,
        "StreamSubscribed.mode": "read",
        "StreamSubscribed.limit": 100,
        "StreamSubscribed.opens": False,
        "StreamItemsReceived.items": (),
        "StreamItemsReceived.position": 0,
        "StreamItemsReceived.ended": False,
    }


def test_every_fact_has_a_stored_layout() -> None:
    assert {fact.kind for fact, _ in LAYOUTS} == set(FACTS)


@pytest.mark.parametrize("kind", FACTS.values(), ids=list(FACTS))
def test_every_fact_survives_the_way_through_the_columns(kind: type[Fact]) -> None:
    @given(facts_of(kind))
    def survives(fact: Fact) -> None:
        columns = fact.columns()
        assert fact_from_columns(*columns) == fact
        assert columns.data is None or json.loads(columns.data)

    survives()


def test_every_fact_class_of_the_module_is_known_by_its_kind() -> None:
    declared = {
        name: each
        for name, each in inspect.getmembers(events, inspect.isclass)
        if issubclass(each, Fact) and each is not Fact
    }

    assert declared == FACTS


def test_every_fact_is_immutable_and_has_no_room_for_anything_else() -> None:
    for kind in FACTS.values():
        assert kind.__dataclass_params__.frozen  # type: ignore[attr-defined]
        assert kind.__dictoffset__ == 0


def test_the_facts_that_end_an_execution_are_the_orchestrations_own() -> None:
    assert {each.__name__ for each in TERMINAL_FACTS} == {
        "OrchestrationCompleted",
        "OrchestrationFailed",
        "OrchestrationCanceled",
        "OrchestrationTerminated",
        "OrchestrationContinuedAsNew",
    }


def test_only_the_operators_end_is_no_answer_to_a_command() -> None:
    assert set(TERMINAL_FACTS) - COMMAND_FACTS == {events.OrchestrationTerminated}


@pytest.mark.parametrize(
    "columns",
    [
        ("ActivityTeleported", "a", None, "1", None),
        ("ActivityScheduled", "a", None, "1", '{"colour":"red"}'),
        ("TimerCreated", None, None, None, None),
        ("TimerCreated", None, None, None, "not json"),
    ],
    ids=["unknown kind", "unknown value", "missing value", "no json"],
)
def test_columns_that_fit_no_fact_are_refused(columns: tuple[Any, ...]) -> None:
    with pytest.raises(ValueError, match=r"."):
        fact_from_columns(*columns)


def test_a_stored_failure_may_lack_fields() -> None:
    fact = fact_from_columns("ActivityFailed", None, 3, '{"message": "no"}', None)

    assert fact == events.ActivityFailed(scheduled_seq=3, failure=Failure("Exception", "no", ""))


@pytest.mark.parametrize(
    ("fact", "seq"),
    [
        (events.ActivityCompleted(scheduled_seq=4, result="1"), 4),
        (events.TimerFired(timer_seq=5), 5),
        (events.QueueEventDelivered(queue="q", subscribed_seq=6, payload="1"), 6),
        (events.ExternalEvent(name="e", payload="1"), None),
    ],
)
def test_a_fact_tells_which_event_it_answers(fact: Fact, seq: int | None) -> None:
    assert fact.source_seq == seq


def test_an_event_is_of_the_kind_of_its_fact() -> None:
    assert HistoryEvent(1, START, events.TimerFired(timer_seq=5)).kind == "TimerFired"
