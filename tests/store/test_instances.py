"""Starts, sends, suspend and resume. Invariants of the reference that stand here: instance_creation, management."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import connection, transaction

from django_durable.engine import events
from django_durable.engine.errors import IllegalTransition, InstanceAlreadyExists, InstanceNotFound
from django_durable.engine.failures import Failure
from django_durable.engine.states import MOVES, TERMINAL, Move, RuntimeStatus
from django_durable.store import claims, endings, instances
from django_durable.store.records import TurnOutcome

from .lives import (
    COMPLETED,
    LEASE,
    NOW,
    USING,
    WORKER,
    claim,
    commit,
    continued,
    counts,
    finish,
    messages,
    nudge,
    park,
    row,
    start,
    statuses,
    turn,
)

pytestmark = pytest.mark.django_db
STEER = {
    Move.SUSPEND: instances.suspend_instance,
    Move.RESUME: instances.resume_instance,
    Move.TERMINATE: endings.terminate_instance,
}


def bring_to(instance_id: str, status: RuntimeStatus) -> None:
    """Start an instance and bring it to a status, by legal moves."""
    start(instance_id)
    match status:
        case RuntimeStatus.RUNNING:
            turn(instance_id)
        case RuntimeStatus.SUSPENDED:
            instances.suspend_instance(instance_id, now=NOW, using=USING)
        case RuntimeStatus.BLOCKED:
            park(instance_id)
        case RuntimeStatus.COMPLETED:
            turn(instance_id, COMPLETED)
        case RuntimeStatus.FAILED:
            turn(instance_id, events.OrchestrationFailed(failure=Failure("ValueError", "no")))
        case RuntimeStatus.CANCELED:
            turn(instance_id, events.OrchestrationCanceled(output="null"))
        case RuntimeStatus.TERMINATED:
            endings.terminate_instance(instance_id, now=NOW, using=USING)
    assert row(instance_id).runtime_status == status


# Creation.


def test_a_start_creates_a_pending_instance_with_its_execution_and_its_start_message():
    _, created = start("order-7", input='{"a":1}')
    assert created
    assert counts() == {
        "Instance": 1,
        "Execution": 1,
        "HistoryEvent": 0,
        "InboxMessage": 1,
        "QueuedEvent": 0,
        "ActivityTask": 0,
        "KeyValue": 0,
    }
    assert row("order-7").runtime_status == RuntimeStatus.PENDING
    (fact,) = messages("order-7")
    assert isinstance(fact, events.OrchestrationStarted)
    assert (fact.name, fact.version, fact.input, fact.execution) == ("orders", "1.0.0", '{"a":1}', 1)


def test_a_message_does_not_create_its_instance():
    with pytest.raises(InstanceNotFound):
        nudge("nobody")
    assert set(counts().values()) == {0}


@pytest.mark.parametrize("status", RuntimeStatus)
def test_the_same_start_finds_the_existing_instance_whatever_its_status(status):
    bring_to("order-7", status)
    before = counts()
    id, created = start("order-7")
    assert (id, created) == (row("order-7").id, False)
    assert counts() == before


@pytest.mark.parametrize(
    ("other", "named"),
    [({"orchestration": "refunds"}, "orchestration"), ({"input": "8"}, "input"), ({"version": "2.0.0"}, "version")],
)
def test_a_start_that_differs_raises_what_differs_and_writes_nothing(other, named):
    start("order-7", input="7")
    before = counts()
    with pytest.raises(InstanceAlreadyExists, match=f"another {named}"):
        start("order-7", **({"input": "7", "same_version": True} | other))
    assert counts() == before


def test_a_start_that_asks_for_no_version_finds_an_instance_of_an_older_one():
    start("order-7", version="1.0.0")
    assert start("order-7", version="1.1.0")[1] is False


def test_a_start_is_compared_with_the_first_execution_however_often_it_continued():
    continued("order-7", 2)
    assert start("order-7", input="null")[1] is False
    with pytest.raises(InstanceAlreadyExists, match="another input"):
        start("order-7", input="1")


def test_a_refused_start_leaves_the_callers_transaction_usable():
    start("order-7", input="7")
    with transaction.atomic():
        with pytest.raises(InstanceAlreadyExists):
            start("order-7", input="8")
        start("order-8")
    assert set(statuses()) == {"order-7", "order-8"}


def test_a_start_rolls_back_with_the_callers_savepoint():
    with transaction.atomic():
        start("kept")
        with transaction.atomic():
            start("dropped")
            transaction.set_rollback(True)
    assert set(statuses()) == {"kept"}
    assert start("dropped")[1] is True


def test_a_start_is_one_statement_on_postgresql_and_three_in_a_savepoint_on_sqlite(django_assert_num_queries):
    statements = 1 if connection.vendor == "postgresql" else 3 + 2
    with transaction.atomic(), django_assert_num_queries(statements):
        start("order-7")


@pytest.mark.django_db(transaction=True)
def test_a_start_alone_needs_no_transaction_around_it_on_postgresql(django_assert_num_queries):
    statements = 1 if connection.vendor == "postgresql" else 3 + 2
    with django_assert_num_queries(statements):
        start("order-7")


# Delayed starts.


def test_a_delayed_start_is_not_claimed_before_it_is_due():
    later = NOW + timedelta(hours=1)
    start("order-7", start_at=later)
    claimed = claims.claim_instances(WORKER, limit=9, lease=LEASE, now=later - timedelta(seconds=1), using=USING)
    assert claimed == []
    assert claim("order-7", now=later).messages


def test_what_is_sent_to_a_delayed_start_arrives_after_it_and_not_before():
    later = NOW + timedelta(hours=1)
    start("order-7", start_at=later)
    nudge("order-7")
    instances.enqueue_event("order-7", "jobs", "1", now=NOW, using=USING)
    assert claims.claim_instances(WORKER, limit=9, lease=LEASE, now=NOW + timedelta(minutes=59), using=USING) == []
    facts = [each.fact.kind for each in claim("order-7", now=later).messages]
    assert facts == ["OrchestrationStarted", "ExternalEvent", "EventEnqueued"]


def test_a_sender_whose_clock_is_behind_does_not_come_before_the_start():
    start("order-7")
    nudge("order-7", now=NOW - timedelta(seconds=5))
    assert [each.fact.kind for each in claim("order-7").messages] == ["OrchestrationStarted", "ExternalEvent"]


# Sending.


@pytest.mark.parametrize("status", sorted(set(RuntimeStatus) - TERMINAL))
def test_an_instance_that_has_not_finished_keeps_what_it_is_sent(status):
    bring_to("order-7", status)
    nudge("order-7")
    assert isinstance(messages("order-7")[-1], events.ExternalEvent)


@pytest.mark.parametrize("status", sorted(TERMINAL))
def test_sending_to_a_finished_instance_raises_and_writes_nothing(status):
    bring_to("order-7", status)
    before = counts()
    with pytest.raises(IllegalTransition, match=f"Cannot raise event 'nudge' for instance 'order-7': it is {status}"):
        nudge("order-7")
    with pytest.raises(IllegalTransition, match="Cannot enqueue to 'jobs' of instance 'order-7'"):
        instances.enqueue_event("order-7", "jobs", "1", now=NOW, using=USING)
    assert counts() == before


def test_a_message_to_an_unknown_instance_does_not_stop_the_others():
    start("order-7")
    for send in (nudge, lambda id: endings.cancel_instance(id, now=NOW, using=USING)):
        with pytest.raises(InstanceNotFound, match="'typo'"):
            send("typo")
    turn("order-7", COMPLETED)


def test_an_enqueued_message_is_stored_once_and_makes_the_instance_claimable():
    start("order-7")
    turn("order-7")
    instances.enqueue_event("order-7", "jobs", '{"n":1}', now=NOW, using=USING)
    claimed = claim("order-7")
    assert [each.fact for each in claimed.messages] == [events.EventEnqueued(queue="jobs")]
    queued = claims.load_queued({claimed.id: ["jobs"]}, using=USING)[claimed.id]
    assert [(each.queue, each.payload) for each in queued] == [("jobs", '{"n":1}')]


def test_a_message_that_arrives_during_a_turn_survives_its_commit():
    start("order-7")
    claimed = claim("order-7")
    nudge("order-7")
    assert commit(claimed) is TurnOutcome.COMMITTED
    assert [each.kind for each in messages("order-7")] == ["ExternalEvent"]


# Suspend and resume.


@pytest.mark.parametrize("status", RuntimeStatus)
@pytest.mark.parametrize("move", sorted(STEER))
def test_a_move_is_made_where_the_table_allows_it_and_refused_elsewhere(move, status):
    bring_to("order-7", status)
    before = row("order-7")
    if status in MOVES[move]:
        STEER[move]("order-7", now=NOW, using=USING)
        assert row("order-7").revision == before.revision + 1
        return
    with pytest.raises(IllegalTransition, match=f"Cannot {move} instance 'order-7': it is {status}, expected"):
        STEER[move]("order-7", now=NOW, using=USING)
    assert row("order-7").__dict__ | {"_state": None} == before.__dict__ | {"_state": None}


@pytest.mark.parametrize("move", sorted(STEER))
def test_steering_an_unknown_instance_raises(move):
    with pytest.raises(InstanceNotFound):
        STEER[move]("nobody", now=NOW, using=USING)


def test_a_suspended_instance_is_not_claimed_and_goes_on_with_everything_it_was_sent():
    start("order-7")
    turn("order-7")
    nudge("order-7")
    instances.suspend_instance("order-7", now=NOW, using=USING)
    nudge("order-7")
    assert claims.claim_instances(WORKER, limit=9, lease=LEASE, now=NOW, using=USING) == []
    nudge("order-7")
    instances.resume_instance("order-7", now=NOW, using=USING)
    assert len(claim("order-7").messages) == 3


def test_a_turn_that_was_running_when_its_instance_was_suspended_is_lost():
    start("order-7")
    claimed = claim("order-7")
    instances.suspend_instance("order-7", now=NOW, using=USING)
    assert commit(claimed, COMPLETED) is TurnOutcome.LOST
    instances.resume_instance("order-7", now=NOW, using=USING)
    assert commit(claimed, COMPLETED) is TurnOutcome.LOST
    turn("order-7", COMPLETED)


def test_resume_makes_pending_what_never_ran_and_running_what_did():
    bring_to("fresh", RuntimeStatus.SUSPENDED)
    start("begun")
    turn("begun")
    instances.suspend_instance("begun", now=NOW, using=USING)
    for each in ("fresh", "begun"):
        instances.resume_instance(each, now=NOW, using=USING)
    assert statuses() == {"fresh": "Pending", "begun": "Running"}


def test_resume_of_a_blocked_instance_clears_the_reason_and_gives_its_messages_back():
    start("order-7")
    park("order-7")
    assert row("order-7").blocked_reason is not None
    instances.resume_instance("order-7", now=NOW, using=USING)
    assert row("order-7").blocked_reason is None
    turn("order-7", COMPLETED)


def test_a_finished_instance_is_left_alone_by_a_claim():
    finish("order-7")
    assert claims.claim_instances(WORKER, limit=9, lease=LEASE, now=NOW, using=USING) == []
