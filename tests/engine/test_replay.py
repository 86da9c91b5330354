"""One execution and its history: what a turn takes and drops, what it appends and when."""

from __future__ import annotations

from datetime import timedelta

import pytest

from django_durable.engine import events
from django_durable.engine.errors import NotRegistered
from django_durable.engine.events import HistoryEvent
from django_durable.engine.failures import Failure
from django_durable.engine.replay import Execution, QueuedMessage

from .support import START, FakeEnvironment, Host, replay, started


def waits_for_two(ctx):
    yield ctx.schedule_activity("a")
    yield ctx.schedule_activity("b")


def test_an_empty_history_is_an_execution_that_has_not_started() -> None:
    execution = Execution.replay(FakeEnvironment(), [])

    assert execution.history_length == 0
    assert not execution.finished
    assert execution.open_queues() == frozenset()
    execution.close()


def test_events_are_numbered_without_gaps_and_stamped_with_the_turns_time(style) -> None:
    host = Host(style(waits_for_two))
    new = host.complete("a")

    assert [each.seq for each in host.history] == [1, 2, 3, 4]
    assert {each.recorded_at for each in new} == {host.now}
    assert host.execution.history_length == 4


def test_a_clock_that_went_back_is_held_at_the_last_event(style) -> None:
    def story(ctx):
        before = yield ctx.utc_now()
        yield ctx.schedule_activity("a")
        after = yield ctx.utc_now()
        yield ctx.dequeue_event("q")
        return after - before

    host = Host(style(story))
    host.turn(host.completed("a"), after=timedelta(hours=-1))
    host.now -= timedelta(hours=1)
    host.enqueue("q", 1)

    assert len({each.recorded_at for each in host.history}) == 1
    assert host.output == 0


def test_an_execution_that_was_rebuilt_holds_the_clock_as_well(style) -> None:
    host = Host(style(waits_for_two))
    rebuilt = replay(host, style(waits_for_two))

    assert rebuilt.advance([host.completed("a")], now=START - timedelta(days=1))[0].recorded_at == host.now


def test_what_arrives_before_the_start_waits_for_it() -> None:
    def story(ctx):
        yield ctx.wait_for_event("e")

    execution = Execution(FakeEnvironment(story))
    early = [events.ExternalEvent(name="e", payload="1"), events.OrchestrationCancelRequested()]

    assert execution.advance(early, now=START) == []
    assert execution.undelivered == 2
    new = execution.advance([started("story"), *early], now=START)
    assert new[-1].fact == events.OrchestrationCompleted(output="null")
    assert execution.undelivered == 1


@pytest.mark.parametrize(
    "stale",
    [
        events.ActivityCompleted(scheduled_seq=2, result="1"),
        events.ActivityFailed(scheduled_seq=2, failure=Failure("ValueError", "no")),
        events.ActivityCompleted(scheduled_seq=99, result="1"),
        events.TimerFired(timer_seq=4),
        events.SubOrchestrationCompleted(scheduled_seq=4, result="1"),
        events.QueueEventDelivered(queue="q", subscribed_seq=4, payload="1"),
        events.EventEnqueued(queue="q"),
        events.OrchestrationTerminated(),
        started("waits_for_two"),
    ],
    ids=lambda fact: fact.kind,
)
def test_a_fact_that_means_nothing_is_dropped(style, stale: events.Fact) -> None:
    host = Host(style(waits_for_two))
    host.complete("a")

    assert host.turn(stale) == []
    assert host.execution.undelivered == 0
    host.complete("b")
    assert host.output is None


ANSWERS = {
    "ActivityScheduled": ("ActivityCompleted", "ActivityFailed"),
    "TimerCreated": ("TimerFired",),
    "QueueSubscribed": ("QueueEventDelivered",),
    "SubOrchestrationScheduled": ("SubOrchestrationCompleted", "SubOrchestrationFailed"),
    "ExternalSubscribed": (),
}


@pytest.mark.parametrize("waited_for", ANSWERS)
def test_only_an_answer_of_the_right_kind_is_taken(style, waited_for: str) -> None:
    def story(ctx):
        ctx.schedule_activity("a")
        ctx.schedule_timer(5)
        ctx.dequeue_event("q")
        ctx.schedule_sub_orchestration("story")
        ctx.wait_for_event("e")
        yield ctx.schedule_activity("never")

    failure = Failure("ValueError", "no")
    taken = []
    for make in (
        lambda seq: events.ActivityCompleted(scheduled_seq=seq, result="1"),
        lambda seq: events.ActivityFailed(scheduled_seq=seq, failure=failure),
        lambda seq: events.TimerFired(timer_seq=seq),
        lambda seq: events.QueueEventDelivered(queue="q", subscribed_seq=seq, payload="1"),
        lambda seq: events.SubOrchestrationCompleted(scheduled_seq=seq, result="1"),
        lambda seq: events.SubOrchestrationFailed(scheduled_seq=seq, failure=failure),
    ):
        host = Host(style(story))
        fact = make(host.seq(events.FACTS[waited_for]))
        if host.turn(fact):
            taken.append(fact.kind)

    assert tuple(taken) == ANSWERS[waited_for]


def test_a_completion_of_what_was_canceled_is_dropped(style) -> None:
    def story(ctx):
        yield ctx.race(ctx.schedule_activity("slow"), ctx.schedule_activity("fast"))
        yield ctx.schedule_activity("next")

    host = Host(style(story))
    host.turn(host.completed("fast"), host.completed("slow"))

    assert host.kinds[3:] == ["ActivityCompleted", "ActivityCancelRequested", "ActivityScheduled"]


def test_a_turn_without_facts_appends_nothing(style) -> None:
    host = Host(style(waits_for_two))

    assert host.turn() == []
    assert not host.execution.finished


def test_facts_after_the_end_are_counted_and_left(style) -> None:
    host = Host(style(waits_for_two))
    host.complete("a")
    late = [events.ExternalEvent(name="e", payload="1"), events.OrchestrationCancelRequested()]
    new = host.turn(host.completed("b"), *late)

    assert [each.kind for each in new] == ["ActivityCompleted", "OrchestrationCompleted"]
    assert host.execution.undelivered == 2


def test_the_end_is_the_last_event_and_the_outcome(style) -> None:
    def story(ctx):
        ctx.schedule_activity("left open")
        yield ctx.utc_now()
        return 7

    host = Host(style(story))

    assert host.execution.outcome is host.history[-1].fact
    assert host.execution.finished
    assert host.kinds == ["OrchestrationStarted", "ActivityScheduled", "OrchestrationCompleted"]


def test_commands_of_one_event_are_recorded_before_the_next_event(style) -> None:
    def story(ctx):
        first = ctx.schedule_activity("a")
        second = ctx.schedule_activity("b")
        yield first
        ctx.schedule_activity("after a")
        yield second
        ctx.schedule_activity("after b")
        yield ctx.wait_for_event("never")

    host = Host(style(story))
    host.turn(host.completed("a"), host.completed("b"))

    assert [each.fact.columns().name for each in host.history[3:7]] == [None, "after a", None, "after b"]


def test_an_orchestration_that_nobody_knows_cannot_start() -> None:
    with pytest.raises(NotRegistered, match="No orchestration 'story'"):
        Execution(FakeEnvironment()).advance([started("story")], now=START)


def test_an_operators_end_can_be_replayed(style) -> None:
    host = Host(style(waits_for_two))
    terminated = HistoryEvent(3, host.now, events.OrchestrationTerminated(reason="enough"))
    execution = replay(host, style(waits_for_two), [*host.history, terminated])

    assert execution.outcome == terminated.fact
    assert execution.advance([host.completed("a")], now=host.now) == []
    assert execution.undelivered == 1


# Queued messages.


def message(id: int, queue: str = "q") -> QueuedMessage:
    return QueuedMessage(id, queue, str(id))


def test_messages_are_given_oldest_first_to_the_oldest_dequeue(style) -> None:
    def story(ctx):
        first, second = ctx.dequeue_event("q"), ctx.dequeue_event("q")
        found = [(yield second), (yield first)]
        yield ctx.wait_for_event("never")
        return found

    host = Host(style(story))
    new, taken = host.execution.deliver([message(5), message(6), message(7)], now=host.now)

    assert [each.id for each in taken] == [5, 6]
    assert [(each.fact.subscribed_seq, each.fact.payload) for each in new[:2]] == [(2, "5"), (3, "6")]


def test_a_dequeue_that_a_message_led_to_takes_the_next_one_in_the_same_turn(style) -> None:
    def story(ctx):
        name = yield ctx.dequeue_event("names")
        return (yield ctx.dequeue_event(name))

    host = Host(style(story))
    host.queue = [QueuedMessage(1, "b", '"found"'), QueuedMessage(2, "names", '"b"')]
    host.turn()

    assert host.output == "found"
    assert host.queue == []


def test_a_message_that_nobody_waits_for_is_not_taken(style) -> None:
    def story(ctx):
        yield ctx.schedule_activity("a")
        return (yield ctx.dequeue_event("q"))

    host = Host(style(story))
    host.enqueue("q", 1)
    assert len(host.queue) == 1
    host.complete("a")

    assert host.output == 1


def test_messages_after_the_end_are_not_taken(style) -> None:
    def story(ctx):
        yield ctx.dequeue_event("q")

    host = Host(style(story))
    _, taken = host.execution.deliver([message(1), message(2)], now=host.now)

    assert [each.id for each in taken] == [1]
    assert host.execution.deliver([message(2)], now=host.now) == ([], [])


def test_open_queues_are_those_somebody_waits_on(style) -> None:
    def story(ctx):
        waits = [ctx.dequeue_event("x"), ctx.dequeue_event("y"), ctx.dequeue_event("x")]
        yield waits[0]
        waits[1].cancel()
        yield waits[2]

    host = Host(style(story))
    assert host.execution.open_queues() == {"x", "y"}
    host.enqueue("x", 1)
    assert host.execution.open_queues() == {"x"}
    host.enqueue("x", 2)
    assert host.execution.open_queues() == frozenset()


def test_what_is_waited_for_is_listed_oldest_first(style) -> None:
    def story(ctx):
        ctx.schedule_activity("a", 1)
        ctx.wait_for_event("e")
        yield ctx.schedule_timer(50)

    host = Host(style(story))
    host.complete("a")

    assert host.execution.waiting_for() == [
        (3, "ExternalSubscribed e"),
        (4, "TimerCreated"),
    ]


def test_an_execution_that_ended_waits_for_nothing(style) -> None:
    def story(ctx):
        ctx.schedule_activity("left open")
        yield ctx.utc_now()

    assert Host(style(story)).execution.waiting_for() == []
