"""Terminate, and cancel where the code is not asked."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from django_durable import models
from django_durable.engine import events
from django_durable.engine.errors import IllegalTransition, InstanceNotFound
from django_durable.engine.failures import Failure
from django_durable.engine.states import RuntimeStatus
from django_durable.store import activities, claims, endings, instances, keyvalues, queries
from django_durable.store.records import TagFilter, TurnOutcome

from .lives import (
    COMPLETED,
    LEASE,
    NOW,
    USING,
    WORKER,
    activity,
    child,
    claim,
    commit,
    continued,
    counts,
    family,
    finish,
    kinds,
    messages,
    nudge,
    park,
    row,
    start,
    statuses,
    turn,
)

pytestmark = pytest.mark.django_db


def terminate(instance_id: str, reason: str | None = None) -> None:
    endings.terminate_instance(instance_id, reason, now=NOW, using=USING)


def cancel(instance_id: str, reason: str | None = None) -> None:
    endings.cancel_instance(instance_id, reason, now=NOW, using=USING)


def test_terminate_ends_the_instance_and_all_its_live_descendants():
    family()
    turn_of_right = events.OrchestrationCompleted(output="1")
    nudge("right")
    turn("right", turn_of_right)
    terminate("root", "stop it")
    assert statuses() == {"root": "Terminated", "left": "Terminated", "right": "Completed", "leaf": "Terminated"}
    assert counts()["ActivityTask"] == 0
    assert counts()["InboxMessage"] == 0


def test_terminate_records_its_fact_last_and_closes_the_execution():
    start("order-7")
    turn("order-7", activity())
    terminate("order-7", "stop it")
    history = queries.history_of("order-7", using=USING)
    assert history[-1].fact == events.OrchestrationTerminated(reason="stop it")
    assert [each.seq for each in history] == [1, 2, 3]
    execution = queries.execution_of("order-7", using=USING)
    assert (execution.status, execution.event_count, execution.completed_at) == ("Terminated", 3, NOW)
    status = queries.status_of("order-7", using=USING)
    assert (status.failure.error_type, status.failure.message) == (
        "Terminated",
        "The instance was terminated: stop it",
    )


def test_the_history_of_an_instance_terminated_before_its_first_turn_begins_with_its_start():
    start("order-7", input="7")
    nudge("order-7")
    terminate("order-7")
    history = queries.history_of("order-7", using=USING)
    assert [each.kind for each in history] == ["OrchestrationStarted", "OrchestrationTerminated"]
    assert history[0].fact.input == "7"
    assert queries.execution_of("order-7", using=USING).event_count == 2


def test_terminate_between_two_executions_closes_the_new_one_and_leaves_the_old_one():
    continued("order-7", 1)
    terminate("order-7")
    assert kinds("order-7", 1)[-1] == "OrchestrationContinuedAsNew"
    assert kinds("order-7", 2) == ["OrchestrationStarted", "OrchestrationTerminated"]
    ended = [queries.execution_of("order-7", number, using=USING).status for number in (1, 2)]
    assert ended == ["ContinuedAsNew", "Terminated"]


def test_terminate_tells_the_parent_that_its_child_failed():
    family()
    terminate("left", "no stock")
    (told,) = messages("root")
    assert isinstance(told, events.SubOrchestrationFailed)
    assert told.scheduled_seq == row("left").parent_seq
    assert (told.failure.error_type, told.failure.message) == (
        "Terminated",
        "Sub-orchestration 'left' was terminated: no stock",
    )
    assert statuses() == {"root": "Running", "left": "Terminated", "right": "Running", "leaf": "Terminated"}
    assert models.InboxMessage.objects.get().execution_number == 1


def test_a_parent_that_has_ended_is_told_nothing():
    start("root")
    turn("root", child("left"), COMPLETED)
    turn("left")
    terminate("left")
    assert counts()["InboxMessage"] == 0


def test_a_turn_that_was_running_when_its_instance_was_terminated_is_lost():
    start("order-7")
    claimed = claim("order-7")
    terminate("order-7")
    assert commit(claimed, COMPLETED) is TurnOutcome.LOST
    assert kinds("order-7")[-1] == "OrchestrationTerminated"


def test_an_activity_that_was_running_when_its_instance_was_terminated_is_lost():
    start("order-7")
    turn("order-7", activity())
    (task,) = activities.claim_activities(WORKER, tags=TagFilter.ANY, limit=1, lease=LEASE, now=NOW, using=USING)
    terminate("order-7")
    assert activities.renew_activities(WORKER, {task.key: task.lease_token}, LEASE, NOW, using=USING) == {task.key}
    done = events.ActivityCompleted(scheduled_seq=task.key.seq, result="1")
    assert activities.finish_activities([(task.key, task.lease_token, done)], NOW, using=USING) == {task.key}
    assert counts()["InboxMessage"] == 0


def test_queued_events_and_kv_entries_stay_readable_after_a_termination():
    start("order-7")
    turn("order-7", events.KeyValueSet(key="k", value="1"))
    instances.enqueue_event("order-7", "jobs", "1", now=NOW, using=USING)
    terminate("order-7")
    assert keyvalues.key_values_of("order-7", using=USING) == {"k": "1"}
    assert counts()["QueuedEvent"] == 1


@pytest.mark.parametrize("size", [2, 40])
def test_terminate_costs_the_same_statements_for_few_children_and_for_many(size):
    start("root")
    turn("root", *(child(f"child-{number}") for number in range(size)))
    notifies = connection.vendor == "postgresql"
    with CaptureQueriesContext(connection) as captured:
        terminate("root")
    assert set(statuses().values()) == {"Terminated"}
    assert len(captured) == 12 + notifies


# Cancel.


def test_cancel_asks_a_running_instance_by_a_message_and_locks_nothing():
    start("order-7")
    turn("order-7")
    before = row("order-7")
    cancel("order-7", "customer left")
    assert messages("order-7") == [events.OrchestrationCancelRequested(reason="customer left")]
    assert row("order-7").revision == before.revision
    assert row("order-7").lease_token == before.lease_token


def test_cancel_resumes_a_suspended_instance_so_that_its_code_can_compensate():
    start("order-7")
    turn("order-7")
    nudge("order-7")
    instances.suspend_instance("order-7", now=NOW, using=USING)
    cancel("order-7")
    assert statuses() == {"order-7": "Running"}
    facts = [each.fact.kind for each in claim("order-7").messages]
    assert facts == ["ExternalEvent", "OrchestrationCancelRequested"]


def test_cancel_ends_a_blocked_instance_at_once_and_its_blocked_children_too():
    start("root")
    turn("root", child("left"), child("right"), activity())
    turn("left")
    nudge("root")
    nudge("left")
    park("root")
    park("left")
    cancel("root", "code is gone")
    assert statuses() == {"root": "Canceled", "left": "Canceled", "right": "Pending"}
    assert messages("right")[-1] == events.OrchestrationCancelRequested(reason="parent ended")
    assert queries.history_of("root", using=USING)[-1].fact == events.OrchestrationCanceled(
        output="null", reason="code is gone"
    )
    assert counts()["ActivityTask"] == 0
    assert row("root").blocked_reason is None


def test_cancel_of_a_blocked_child_tells_its_parent():
    start("root")
    turn("root", child("left"))
    park("left")
    cancel("left", "no")
    (told,) = messages("root")
    assert told.failure == Failure("CancelledError", "Sub-orchestration 'left' was canceled: no")


@pytest.mark.parametrize("suspended", [False, True])
def test_cancel_of_a_start_that_is_not_due_ends_it_without_running_its_code(suspended):
    start("order-7", start_at=NOW + timedelta(hours=1))
    if suspended:
        instances.suspend_instance("order-7", now=NOW, using=USING)
    cancel("order-7")
    assert statuses() == {"order-7": "Canceled"}
    assert kinds("order-7") == ["OrchestrationStarted", "OrchestrationCanceled"]
    later = NOW + timedelta(hours=2)
    assert claims.claim_instances(WORKER, limit=9, lease=LEASE, now=later, using=USING) == []


def test_cancel_of_a_start_that_is_due_lets_its_code_answer():
    start("order-7")
    cancel("order-7")
    assert statuses() == {"order-7": "Pending"}
    assert len(claim("order-7").messages) == 2


def test_cancel_of_a_finished_or_unknown_instance_raises_and_writes_nothing():
    finish("order-7")
    before = counts()
    with pytest.raises(IllegalTransition, match="Cannot cancel instance 'order-7': it is Completed"):
        cancel("order-7")
    with pytest.raises(InstanceNotFound):
        cancel("nobody")
    assert counts() == before


def test_cancel_may_be_repeated():
    start("order-7")
    turn("order-7")
    cancel("order-7")
    cancel("order-7")
    assert len(messages("order-7")) == 2
    assert row("order-7").runtime_status == RuntimeStatus.RUNNING
