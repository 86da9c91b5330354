"""When the dispatcher looks at the database, and what it chooses to start at once."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from django_durable import OrchestrationContext
from django_durable.engine.events import ActivityCancelRequested, ActivityScheduled, Fact, HistoryEvent
from django_durable.registry import Registry
from django_durable.store import claims, connections
from django_durable.store.records import ClaimedInstance
from django_durable.testing import Durable
from django_durable.testing.clock import StandingClock
from django_durable.worker import dispatching
from django_durable.worker.doorbell import Doorbell
from django_durable.worker.eager import choose_eager
from django_durable.worker.hot import Place
from django_durable.worker.lookout import ASK_EVERY, BETWEEN_LOOKS, ROUNDS_BETWEEN_LOOKS, Lookout
from django_durable.worker.turns import Turn
from django_durable.worker.worker import Worker

from .support import one_activity, run_to_idle, start, status

NOW = datetime(2026, 1, 2, tzinfo=UTC)
POLL = timedelta(seconds=5)


def looked(now: datetime = NOW) -> Lookout:
    """Return a lookout that has just looked at everything and knows of nothing."""
    lookout = Lookout(POLL)
    lookout.update(now)
    assert lookout.asks(now, busy=False)
    lookout.inbox = lookout.tasks = False
    return lookout


def test_a_new_lookout_looks_at_once() -> None:
    lookout = Lookout(POLL)
    lookout.update(NOW)

    assert lookout.inbox
    assert lookout.tasks
    assert lookout.seconds(NOW) == 0


def test_nothing_is_looked_at_before_the_poll_interval_is_over() -> None:
    lookout = looked()

    lookout.update(NOW + timedelta(seconds=4.9))
    assert not lookout.inbox
    assert lookout.seconds(NOW + timedelta(seconds=4.5)) == 0.5

    lookout.update(NOW + POLL)
    assert lookout.inbox


def test_it_wakes_when_something_becomes_due() -> None:
    lookout = looked()
    lookout.expect(NOW + timedelta(seconds=2))
    lookout.expect(NOW + timedelta(seconds=3))

    assert lookout.seconds(NOW) == 2
    lookout.update(NOW + timedelta(seconds=2))
    assert lookout.inbox


def test_it_asks_what_is_due_once_after_a_hint() -> None:
    lookout = looked()
    assert not lookout.asks(NOW, busy=False)

    lookout.look()
    assert lookout.asks(NOW, busy=False)
    assert not lookout.asks(NOW, busy=False)


def test_a_hint_of_messages_is_no_reason_to_look_for_tasks() -> None:
    lookout, doorbell = looked(), Doorbell()
    doorbell.hint(tasks=False)
    assert doorbell.take_hint()
    lookout.look(tasks=doorbell.take_tasks())
    assert (lookout.inbox, lookout.tasks) == (True, False)

    doorbell.hint()
    doorbell.hint(tasks=False)
    assert doorbell.take_hint()
    lookout.look(tasks=doorbell.take_tasks())
    assert lookout.tasks
    assert not doorbell.take_tasks()


def test_a_busy_dispatcher_asks_what_is_due_now_and_then() -> None:
    lookout = looked()
    lookout.look()

    assert not lookout.asks(NOW + timedelta(milliseconds=50), busy=True)
    assert lookout.asks(NOW + timedelta(milliseconds=100), busy=True)


def test_a_dispatcher_with_turns_to_make_looks_at_messages_now_and_then() -> None:
    lookout = looked()
    lookout.look()
    assert lookout.takes_messages(NOW, busy=True)
    assert not lookout.takes_messages(NOW + BETWEEN_LOOKS, busy=True), "There was no reason to."

    lookout.look()
    assert not lookout.takes_messages(NOW + BETWEEN_LOOKS / 2, busy=True)
    assert lookout.seconds(NOW + BETWEEN_LOOKS / 2) == 0, "It is still to look."
    assert lookout.takes_messages(NOW + BETWEEN_LOOKS, busy=True)

    lookout.look()
    assert lookout.takes_messages(NOW + BETWEEN_LOOKS, busy=False)


def test_messages_are_looked_at_after_some_rounds_even_if_no_time_passes() -> None:
    lookout = looked()
    lookout.look()
    assert lookout.takes_messages(NOW, busy=True)

    lookout.look()
    looks = [lookout.takes_messages(NOW, busy=True) for _ in range(ROUNDS_BETWEEN_LOOKS + 1)]
    assert looks == [*[False] * ROUNDS_BETWEEN_LOOKS, True]


@pytest.mark.django_db
def test_an_instance_that_is_never_idle_keeps_no_other_from_running() -> None:
    """By a clock that stands still, too."""
    registry = Registry()

    @registry.orchestration("other")
    def other(ctx: OrchestrationContext) -> str:
        return "done"

    @registry.activity("has_ended")
    def has_ended(ctx: Any) -> bool:
        ctx.client.start_orchestration("order-8", "other")
        return str(ctx.client.get_status("order-8").runtime_status) == "Completed"

    @registry.orchestration("polls")
    def polls(ctx: OrchestrationContext) -> Any:
        for number in range(100):
            if (yield ctx.schedule_activity("has_ended")):
                return number
        return "never"

    harness = Durable(registry, clock=StandingClock(datetime(2030, 1, 1, tzinfo=UTC)))
    try:
        harness.client.start_orchestration("order-7", "polls")
        harness.run()
        assert 0 < harness.client.wait_for_output("order-7", 0) <= ROUNDS_BETWEEN_LOOKS + 2
    finally:
        harness.close()


def test_it_asks_again_after_a_while_in_case_a_hint_was_lost() -> None:
    lookout = looked()
    lookout.update(NOW + ASK_EVERY)

    assert lookout.asks(NOW + ASK_EVERY, busy=False)


# Eager activities.


def turn(*facts: Fact) -> Turn:
    claim = ClaimedInstance(
        id=1,
        instance_id="order-7",
        orchestration="checkout",
        version="1.0.0",
        runtime_status="Running",
        execution_number=1,
        history_length=0,
        lease_token=1,
        previous_token=0,
        turn_attempts=1,
    )
    made = Turn(claim, Place(0, 0, 1))
    made.events = [HistoryEvent(seq, NOW, fact) for seq, fact in enumerate(facts, 1)]
    return made


def scheduled(name: str = "it") -> ActivityScheduled:
    return ActivityScheduled(name=name, input="null")


def test_turns_take_the_free_places_in_rotation() -> None:
    wide, narrow = turn(*[scheduled()] * 100), turn(scheduled(), scheduled())

    assert choose_eager([wide, narrow], 5, lambda fact: True) == [{1, 2, 3}, {1, 2}]
    assert choose_eager([wide, narrow], 0, lambda fact: True) == [set(), set()]


def test_only_what_runs_here_and_was_not_taken_back_is_started() -> None:
    withdrawn = turn(scheduled(), scheduled("elsewhere"), scheduled(), ActivityCancelRequested(scheduled_seq=1))

    assert choose_eager([withdrawn], 5, lambda fact: fact.name == "it") == [{3}]


@pytest.mark.django_db
def test_what_becomes_due_while_a_round_looks_is_found_by_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    registry = Registry()

    @registry.orchestration("waits")
    def waits(ctx: OrchestrationContext) -> Any:
        yield ctx.wait_for_event("never")

    clock = StandingClock(datetime.now(UTC))
    worker = Worker(registry, clock=clock, poll_interval=POLL)
    worker.drain()
    dispatcher = worker._inline
    assert dispatcher is not None
    for number, due in ((1, timedelta(seconds=1)), (2, timedelta(seconds=1, milliseconds=5))):
        start(registry, "waits", instance_id=f"order-{number}", start_at=clock.now() + due)
    dispatcher.look()
    while dispatcher.step():
        pass
    assert dispatcher.seconds_to_sleep() == 1

    def slow(*args: Any, **options: Any) -> Any:
        found = claim(*args, **options)
        clock.advance(timedelta(milliseconds=10))
        return found

    claim = claims.claim_instances
    monkeypatch.setattr(claims, "claim_instances", slow)
    clock.advance(timedelta(seconds=1))
    dispatcher.step()
    assert [status(f"order-{number}") for number in (1, 2)] == ["Running", "Pending"]
    while dispatcher.step() or not dispatcher.seconds_to_sleep():
        pass
    worker.close()
    assert status("order-2") == "Running"


@pytest.mark.only_on("postgresql")
def test_statements_are_planned_anew_after_many_rounds(
    registry: Registry, monkeypatch: pytest.MonkeyPatch, durable_db: None
) -> None:
    made: list[str] = []

    def noted(using: str) -> None:
        made.append(using)
        plan_anew(using)

    plan_anew = connections.plan_anew
    monkeypatch.setattr(connections, "plan_anew", noted)
    monkeypatch.setattr(dispatching, "ROUNDS_PER_PLAN", 2)
    name = one_activity(registry, lambda: 1)
    ended = [start(registry, name) for _ in range(3)]
    run_to_idle(registry)
    assert made
    assert {status(each) for each in ended} == {"Completed"}
