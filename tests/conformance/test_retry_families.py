"""Retrying parents with their children, and what is still in the hands of a worker that does not know of it."""

from __future__ import annotations

from datetime import timedelta

import pytest

from django_durable import CancelledError, SubOrchestrationError
from django_durable.engine.errors import IllegalTransition, InvalidArgument
from django_durable.engine.events import ActivityCompleted, ExternalEvent
from django_durable.engine.replay import Execution
from django_durable.engine.states import RuntimeStatus
from django_durable.models import InboxMessage, Instance
from django_durable.store import activities, claims, turns
from django_durable.store.inbox import Delivery, deliver
from django_durable.store.records import TagFilter, TurnCommit, TurnOutcome
from django_durable.store.transactions import write_transaction

LEASE = timedelta(seconds=30)


def child(ctx, name):
    yield ctx.schedule_activity("act", f"{name} first")
    return (yield ctx.schedule_activity("act", name))


def parent(ctx):
    yield ctx.schedule_activity("act", "before")
    return (yield ctx.schedule_sub_orchestration("child", "x"))


def grandparent(ctx):
    return (yield ctx.schedule_sub_orchestration("parent"))


def siblings(ctx):
    futures = [ctx.schedule_sub_orchestration("child", name) for name in "xyz"]
    found = []
    for future in futures:
        found.append((yield future))
    return found


@pytest.fixture
def family(retrying):
    """Return stories with a `child` and a `parent` defined."""
    retrying.define(child, "child")
    retrying.define(parent, "parent")
    return retrying


def test_a_failed_child_is_retried_through_its_parent(family):
    family.broken = {"x"}
    family.fail(parent)
    family.retry()
    assert family.output() == "x done"
    assert family.ran == {"before": 1, "x first": 1, "x": 3}
    assert family.client.list_executions("one::sub::4") == [1, 2]
    assert Instance.objects.get(instance_id="one::sub::4").parent_execution == 2
    assert not InboxMessage.objects.exists()


def test_a_whole_tree_is_retried_and_can_be_again(family):
    family.broken = {"x"}
    family.start(family.define(grandparent))
    family.retry()
    assert family.status() == RuntimeStatus.FAILED
    family.broken.clear()
    family.retry()
    assert family.output() == "x done"
    assert family.ran == {"before": 1, "x first": 1, "x": 5}
    assert [family.client.list_executions(f"one{below}") for below in ("", "::sub::2", "::sub::2::sub::4")] == [
        [1, 2, 3]
    ] * 3


def test_children_that_were_canceled_with_their_parent_go_on_and_completed_ones_answer(family):
    family.broken = {"x"}
    family.fail(siblings)
    ended = Instance.objects.filter(parent__instance_id="one").values_list("runtime_status", flat=True)
    assert set(ended) > {RuntimeStatus.FAILED}
    family.retry()
    assert family.output() == ["x done", "y done", "z done"]
    assert {family.ran[f"{name} first"] for name in "xyz"} == {1}


def test_a_child_that_completed_and_was_not_heard_answers_again(family):
    def listens(ctx):
        return (yield ctx.schedule_sub_orchestration("waits"))

    def waits(ctx):
        return (yield ctx.wait_for_event("go"))

    family.define(waits, "waits")
    family.start(family.define(listens))
    family.client.suspend_instance("one")
    family.client.raise_event("one::sub::2", "go", 7)
    family.durable.run()
    assert family.status("one::sub::2") == RuntimeStatus.COMPLETED
    family.client.terminate_instance("one")
    family.retry()
    assert family.output() == 7
    assert family.client.list_executions("one::sub::2") == [1]


def test_a_child_is_not_retried_by_itself(family):
    family.broken = {"x"}
    family.fail(parent)
    with pytest.raises(IllegalTransition, match="it is a sub-orchestration, expected a root. Its parent 'one'"):
        family.client.retry_instance("one::sub::4")


def test_a_child_that_has_not_ended_keeps_its_parent_from_being_retried_and_nothing_is_written(family):
    def lingers(ctx):
        try:
            yield ctx.wait_for_event("never")
        except CancelledError:
            yield ctx.wait_for_event("let go")
            raise

    def both(ctx):
        ctx.schedule_sub_orchestration("lingers")
        yield ctx.schedule_sub_orchestration("child", "x")

    family.define(lingers, "lingers")
    family.broken = {"x"}
    family.fail(both)
    before = list(Instance.objects.order_by("id").values())
    with pytest.raises(IllegalTransition, match=r"'one::sub::2': it is Running, .*has not ended yet"):
        family.client.retry_instance("one")
    assert list(Instance.objects.order_by("id").values()) == before
    family.client.raise_event("one::sub::2", "let go")
    family.durable.run()
    family.retry()
    assert family.status("one::sub::2") == RuntimeStatus.RUNNING
    assert family.output() is None


def test_a_child_that_compensated_keeps_its_parent_from_being_retried(family):
    def compensates(ctx):
        try:
            yield ctx.wait_for_event("never")
        except CancelledError:
            yield ctx.schedule_activity("act", "release")
            raise

    def both(ctx):
        ctx.schedule_sub_orchestration("compensates")
        yield ctx.schedule_sub_orchestration("child", "x")

    family.define(compensates, "compensates")
    family.broken = {"x"}
    family.fail(both)
    with pytest.raises(InvalidArgument, match=r"Instance 'one::sub::2': .*has gone on since"):
        family.client.retry_instance("one")
    assert family.status() == RuntimeStatus.FAILED


def test_going_back_behind_a_child_starts_another_one(family):
    family.broken = {"x"}
    family.fail(parent)
    family.retry(from_event=1)
    assert family.output() == "x done"
    assert family.ran == {"before": 2, "x first": 2, "x": 3}
    children = Instance.objects.filter(parent__instance_id="one").order_by("id")
    assert list(children.values_list("instance_id", "runtime_status")) == [
        ("one::sub::4", "Failed"),
        ("one::sub::2_4", "Completed"),
    ]


def test_going_back_behind_a_child_whose_id_was_chosen_is_refused(family):
    def chooses(ctx):
        yield ctx.schedule_activity("act", "before")
        return (yield ctx.schedule_sub_orchestration_with_id("child", "chosen", "x"))

    family.broken = {"x"}
    family.fail(chooses)
    with pytest.raises(InvalidArgument, match=r"going back to event 3 would start 'chosen' again"):
        family.client.retry_instance("one", from_event=3)
    family.retry()
    assert family.output() == "x done"


def test_a_child_whose_id_was_taken_is_started_when_it_is_free(family):
    def chooses(ctx):
        return (yield ctx.schedule_sub_orchestration_with_id("child", "chosen", "x"))

    family.start(family.define(child, "other"), "chosen", name="y")
    family.fail(chooses)
    family.retry()
    assert family.status() == RuntimeStatus.FAILED
    family.client.delete_instance("chosen")
    family.retry()
    assert family.output() == "x done"


def test_a_parent_that_had_handled_the_failure_is_not_taken_back_to_it(family):
    def handles(ctx):
        try:
            yield ctx.schedule_sub_orchestration("child", "x")
        except SubOrchestrationError:
            yield ctx.schedule_activity("act", "instead")
        return (yield ctx.schedule_activity("act", "last"))

    family.broken = {"x", "last"}
    family.fail(handles)
    family.retry()
    assert family.output() == "last done"
    assert family.ran == {"x first": 1, "x": 2, "instead": 1, "last": 3}


# Whoever still has the execution that ended in hand.


@pytest.mark.parametrize("retrying", ["generator"], indirect=True)
def test_a_worker_that_holds_the_failed_execution_can_record_nothing(retrying):
    def fails_meanwhile(ctx):
        late = ctx.schedule_activity("act", "late")
        yield ctx.wait_for_event("go")
        if "b" in retrying.broken:
            raise LookupError("a bug")
        return (yield late)

    retrying.broken = {"b"}
    retrying.client.start_definition(retrying.define(fails_meanwhile), (), {}, instance_id="one")
    turn, task = zombie(retrying.durable)
    retrying.client.raise_event("one", "go")
    retrying.durable.run()
    assert retrying.status() == RuntimeStatus.FAILED
    retrying.broken.clear()
    retrying.client.retry_instance("one")

    now = retrying.durable.now()
    outcome = ActivityCompleted(scheduled_seq=task.key.seq, result='"zombie"', started_ms=1)
    assert activities.finish_activities([(task.key, task.lease_token, outcome)], now) == {task.key}
    assert turns.commit_turns("zombie", [turn], lease=LEASE, now=now) == [TurnOutcome.LOST]
    retrying.durable.run()
    assert retrying.output() == "late done"


def zombie(durable):
    """Make the first turn as another worker, which keeps the turn and the activity that it scheduled."""
    now = durable.now()
    [claimed] = claims.claim_instances("zombie", limit=1, lease=LEASE, now=now)
    execution = Execution.replay(durable.registry.environment, [])
    turn = TurnCommit(
        instance=claimed.id,
        instance_id=claimed.instance_id,
        execution_number=claimed.execution_number,
        lease_token=claimed.lease_token,
        history_length=0,
        kin=claimed.kin,
        events=execution.advance([each.fact for each in claimed.messages], now=now),
        consumed=[each.id for each in claimed.messages],
    )
    execution.close()
    assert turns.commit_turns("zombie", [turn], lease=LEASE, now=now) == [TurnOutcome.COMMITTED]
    [task] = activities.claim_activities("zombie", tags=TagFilter.ANY, limit=1, lease=LEASE, now=now)
    return turn, task


def test_a_message_that_raced_with_the_end_is_told_after_the_rewind(retrying):
    def needs_event(ctx):
        yield ctx.schedule_activity("act", "a")
        return (yield ctx.wait_for_event("raced"))

    retrying.broken = {"a"}
    retrying.fail(needs_event)
    with write_transaction("default") as connection:
        raced = ExternalEvent(name="raced", payload="7")
        deliver(connection, [Delivery(Instance.objects.get().id, raced)], retrying.durable.now() - LEASE)
    retrying.retry()
    assert retrying.output() == 7
    assert retrying.kinds()[2:4] == ["OrchestrationRewound", "ExternalEvent"]
