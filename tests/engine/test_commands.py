from __future__ import annotations

from dataclasses import fields
from typing import Any

import pytest

from django_durable.engine import commands, events
from django_durable.engine.commands import COMMAND_FACTS, Command, Moment, cancellation, describe_fact
from django_durable.engine.decoding import As
from django_durable.engine.errors import Difference
from django_durable.engine.events import FACTS, TERMINAL_FACTS, Fact
from django_durable.engine.failures import Failure

from .support import JsonCodec

MOMENT = Moment(seq=3, now_ms=1000, instance_id="i", execution=1)
FAILURE = Failure("ValueError", "no")
EXAMPLES: list[Command] = [
    commands.ScheduleActivity(name="a", input="1", tag="t", session_id="s", priority=1, retry={"x": 1}),
    commands.CancelActivity(scheduled_seq=2),
    commands.CreateTimer(duration_ms=500),
    commands.CancelTimer(timer_seq=2),
    commands.SubscribeExternal(name="e"),
    commands.UnsubscribeExternal(subscribed_seq=2),
    commands.SubscribeQueue(queue="q"),
    commands.UnsubscribeQueue(subscribed_seq=2),
    commands.CreatePromise(
        name="n", promise_id="p", answered_as=As(JsonCodec()), question="1", assignee="a", deadline_ms=5
    ),
    commands.WithdrawPromise(created_seq=2),
    commands.SubscribeStream(name="s", after=3, mode="read", limit=100, opens=True),
    commands.UnsubscribeStream(subscribed_seq=2),
    commands.SendToStream(name="s", payload="1"),
    commands.EndStream(name="s", reason="r"),
    commands.ScheduleSubOrchestration(
        name="n", version="1.0.0", input="1", requested_version="1.0.0", requested_instance_id="c"
    ),
    commands.CancelSubOrchestration(scheduled_seq=2, instance_id="c"),
    commands.StartOrchestration(name="n", version="1.0.0", instance_id="c", input="1", requested_version="1.0.0"),
    commands.SetCustomStatus(value='"s"'),
    commands.SetKeyValue(key="k", value="1"),
    commands.ClearKeyValue(key="k"),
    commands.ClearKeyValues(keys=("k",)),
    commands.MarkPatch(patch_id="p"),
    commands.CompleteOrchestration(output="1"),
    commands.FailOrchestration(failure=FAILURE),
    commands.EndCanceled(output="1", reason="r"),
    commands.ContinueAsNew(input="1", version="1.0.0"),
]
COMPARED = [(each, name) for each in EXAMPLES for name in each.compared]


def test_every_command_has_an_example_and_its_own_fact() -> None:
    assert {type(each).__name__ for each in EXAMPLES} == {each.__name__ for each in Command.__subclasses__()}
    assert {each.fact_type for each in EXAMPLES} == COMMAND_FACTS
    assert len(EXAMPLES) == len(COMMAND_FACTS)


def test_every_fact_is_recorded_of_a_command_or_comes_from_outside() -> None:
    outside = {
        "OrchestrationStarted",
        "OrchestrationRewound",
        "OrchestrationTerminated",
        "OrchestrationCancelRequested",
        "ActivityCompleted",
        "ActivityFailed",
        "TimerFired",
        "ExternalEvent",
        "EventEnqueued",
        "QueueEventDelivered",
        "StreamAppended",
        "StreamItemsReceived",
        "SubOrchestrationCompleted",
        "SubOrchestrationFailed",
        "PromiseCompleted",
        "PromiseFailed",
        "PromiseExpired",
    }

    assert set(FACTS) - {each.__name__ for each in COMMAND_FACTS} == outside


@pytest.mark.parametrize("command", EXAMPLES, ids=lambda each: type(each).__name__)
def test_a_command_matches_the_fact_it_is_recorded_as(command: Command) -> None:
    fact = command.record(MOMENT)

    assert type(fact) is command.fact_type
    assert command.differences(fact, MOMENT) == ()


@pytest.mark.parametrize(("command", "name"), COMPARED, ids=lambda each: getattr(each, "fact_type", each) and str(each))
def test_each_compared_field_that_differs_is_told_apart(command: Command, name: str) -> None:
    fact = changed(command.record(MOMENT), **{name: "another"})

    assert command.differences(fact, MOMENT) == (Difference(name, "another", getattr(command, name)),)


@pytest.mark.parametrize(
    ("command", "other"),
    [
        (commands.ScheduleActivity(name="a", input="1"), {"priority": 9, "retry": {"x": 1}, "start_to_close_ms": 9}),
        (commands.CreateTimer(duration_ms=500), {"fire_at_ms": 9}),
        (commands.ScheduleSubOrchestration(name="n", version="1.0.0", input="1"), {"version": "2.0.0"}),
        (commands.FailOrchestration(failure=FAILURE), {"failure": Failure("KeyError", "line 9")}),
        (commands.EndCanceled(output="1"), {"reason": "another"}),
        (commands.EndStream(name="s"), {"reason": "line 9"}),
    ],
    ids=lambda each: type(each).__name__,
)
def test_what_may_change_with_a_deployment_is_not_compared(command: Command, other: dict[str, Any]) -> None:
    assert command.differences(changed(command.record(MOMENT), **other), MOMENT) == ()


@pytest.mark.parametrize("command", EXAMPLES, ids=lambda each: type(each).__name__)
def test_a_fact_of_another_kind_differs_in_its_kind_alone(command: Command) -> None:
    other = (
        events.PatchMarked(patch_id="x") if not isinstance(command, commands.MarkPatch) else EXAMPLES[0].record(MOMENT)
    )

    assert command.differences(other, MOMENT) == (Difference("kind", other.kind, command.fact_type.__name__),)


def test_a_timer_is_due_by_the_historys_clock() -> None:
    assert commands.CreateTimer(duration_ms=500).record(MOMENT) == events.TimerCreated(duration_ms=500, fire_at_ms=1500)


@pytest.mark.parametrize(("execution", "expected"), [(1, "i::sub::3"), (2, "i::sub::2_3")])
def test_a_child_without_an_id_is_named_by_its_place(execution: int, expected: str) -> None:
    command = commands.ScheduleSubOrchestration(name="n", version="1.0.0", input="1")
    fact = command.record(MOMENT._replace(execution=execution))

    assert isinstance(fact, events.SubOrchestrationScheduled)
    assert fact.instance_id == expected


@pytest.mark.parametrize(("before", "after"), [("c", None), (None, "c"), ("c", "d")])
def test_a_child_under_another_id_is_another_child(before: str | None, after: str | None) -> None:
    fields = {"name": "n", "version": "1.0.0", "input": "1"}
    recorded = commands.ScheduleSubOrchestration(**fields, requested_instance_id=before).record(MOMENT)
    requested = commands.ScheduleSubOrchestration(**fields, requested_instance_id=after)

    [difference] = requested.differences(recorded, MOMENT)
    assert difference == Difference("instance_id", before or "i::sub::3", after or "i::sub::3")


CANCELABLE = {
    "ScheduleActivity": events.ActivityCancelRequested(scheduled_seq=7),
    "CreateTimer": events.TimerCanceled(timer_seq=7),
    "SubscribeExternal": events.ExternalSubscriptionCanceled(subscribed_seq=7),
    "CreatePromise": events.PromiseWithdrawn(created_seq=7),
    "SubscribeQueue": events.QueueSubscriptionCanceled(subscribed_seq=7),
    "SubscribeStream": events.StreamSubscriptionCanceled(subscribed_seq=7),
    "ScheduleSubOrchestration": events.SubOrchestrationCancelRequested(scheduled_seq=7, instance_id=""),
}


@pytest.mark.parametrize("command", EXAMPLES, ids=lambda each: type(each).__name__)
def test_what_waits_can_be_taken_back_and_nothing_else(command: Command) -> None:
    expected = CANCELABLE.get(type(command).__name__)

    if expected is None:
        with pytest.raises(TypeError, match="cannot be taken back"):
            cancellation(command, 7)
    else:
        assert cancellation(command, 7).record(MOMENT) == expected


@pytest.mark.parametrize("command", EXAMPLES, ids=lambda each: type(each).__name__)
def test_what_can_be_settled_is_what_can_be_taken_back(command: Command) -> None:
    waits_by_name = isinstance(command, commands.SubscribeExternal)

    assert bool(command.answers) == (type(command).__name__ in CANCELABLE and not waits_by_name)


@pytest.mark.parametrize("command", EXAMPLES, ids=lambda each: type(each).__name__)
def test_a_command_describes_itself_in_one_line_by_the_name_of_its_fact(command: Command) -> None:
    assert command.describe().startswith(command.fact_type.__name__)
    assert "\n" not in command.describe()


def test_a_long_name_is_cut_in_a_description() -> None:
    assert len(commands.ScheduleActivity(name="a" * 10_000, input="1").describe()) < 300


@pytest.mark.parametrize("command", EXAMPLES, ids=lambda each: type(each).__name__)
def test_a_command_is_described_as_what_is_recorded_of_it(command: Command) -> None:
    assert command.describe() == commands.describe_fact(command.record(MOMENT)).partition(" (of")[0]


@pytest.mark.parametrize(
    ("fact", "text"),
    [
        (events.ActivityScheduled(name="charge", input="1"), "ActivityScheduled charge"),
        (events.TimerFired(timer_seq=4), "TimerFired (of event 4)"),
        (events.OrchestrationCompleted(output="1"), "OrchestrationCompleted"),
    ],
)
def test_a_fact_is_described_by_kind_name_and_source(fact: Fact, text: str) -> None:
    assert describe_fact(fact) == text


def test_the_commands_that_end_an_execution_are_recorded_as_its_end() -> None:
    ending = {each.fact_type for each in EXAMPLES if each.fact_type in TERMINAL_FACTS}

    assert len(ending) == 4


def changed(fact: Fact, **values: Any) -> Fact:
    """Return another fact with some values replaced, whatever their types."""
    return type(fact)(**{each.name: values.get(each.name, getattr(fact, each.name)) for each in fields(fact)})  # type: ignore[arg-type]
