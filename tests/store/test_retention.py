"""Invariants of the reference: deletion, bulk_deletion, prune; and the deletion of KV entries."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from django_durable import models
from django_durable.engine import events
from django_durable.engine.errors import IllegalTransition, InstanceNotFound, InvalidArgument
from django_durable.store import activities, instances, keyvalues, queries, retention
from django_durable.store.filters import InstanceFilter
from django_durable.store.records import TagFilter
from django_durable.store.retention import DeleteResult, PruneOptions, PruneResult

from .lives import (
    COMPLETED,
    FAILED,
    LEASE,
    NOW,
    USING,
    WORKER,
    activity,
    child,
    continued,
    counts,
    family,
    finish,
    kinds,
    nudge,
    row,
    start,
    statuses,
    turn,
)

pytestmark = pytest.mark.django_db


def delete(instance_id: str, *, force: bool = False) -> DeleteResult:
    return retention.delete_instance(instance_id, force=force, using=USING)


def delete_bulk(**conditions) -> DeleteResult:
    return retention.delete_instances(InstanceFilter(**conditions), using=USING)


def prune(instance_id: str, **options) -> PruneResult:
    return retention.prune_executions(instance_id, PruneOptions(**options), using=USING)


# deletion


@pytest.mark.parametrize("end", [COMPLETED, FAILED, events.OrchestrationCanceled(output="null")])
def test_deletion_removes_a_finished_instance_from_every_table_and_counts_it(end):
    start("order-7")
    turn("order-7", activity(), events.KeyValueSet(key="k", value="1"))
    instances.enqueue_event("order-7", "jobs", "1", now=NOW, using=USING)
    turn("order-7", end)
    left_over = counts()
    assert delete("order-7") == DeleteResult(
        instances_deleted=1,
        executions_deleted=1,
        events_deleted=4,
        queue_messages_deleted=left_over["QueuedEvent"] + left_over["ActivityTask"],
        key_values_deleted=1,
    )
    assert set(counts().values()) == {0}


def test_deletion_of_every_execution_counts_them_all():
    continued("order-7", 3)
    turn("order-7", COMPLETED, now=NOW + timedelta(hours=3))
    result = delete("order-7")
    assert (result.executions_deleted, result.events_deleted) == (4, 8)
    assert set(counts().values()) == {0}


@pytest.mark.parametrize("begun", [False, True])
def test_deletion_of_an_unfinished_instance_needs_force(begun):
    start("order-7")
    if begun:
        turn("order-7", activity())
    before = counts()
    with pytest.raises(IllegalTransition, match="Cannot delete instance 'order-7': it is .*force=True"):
        delete("order-7")
    assert counts() == before
    assert delete("order-7", force=True).instances_deleted == 1
    assert set(counts().values()) == {0}


def test_deletion_of_an_unknown_instance_raises():
    with pytest.raises(InstanceNotFound):
        delete("nobody")


def test_a_deleted_id_can_be_used_again_and_is_another_instance():
    first, _ = start("order-7", input="1")
    delete("order-7", force=True)
    again, created = start("order-7", input="2")
    assert created
    assert again > first


def test_deletion_takes_descendants_of_any_depth_along():
    family()
    finish("bystander")
    result = delete("root", force=True)
    assert (result.instances_deleted, result.executions_deleted, result.queue_messages_deleted) == (4, 4, 3)
    assert statuses() == {"bystander": "Completed"}
    assert set(kinds("bystander")) == {"OrchestrationStarted", "OrchestrationCompleted"}


@pytest.mark.parametrize("force", [False, True])
def test_a_child_is_never_deleted_by_itself(force):
    family()
    before = counts()
    with pytest.raises(IllegalTransition, match="Delete its root 'root'"):
        delete("leaf", force=force)
    assert counts() == before


def test_deletion_of_a_finished_root_with_a_live_descendant_needs_force():
    family()
    nudge("root")
    turn("root", COMPLETED)
    with pytest.raises(IllegalTransition, match="it is the ancestor of 'left', which is Running"):
        delete("root")
    assert delete("root", force=True).instances_deleted == 4


def test_an_activity_of_a_deleted_instance_does_not_reach_one_that_was_created_again():
    start("order-7")
    turn("order-7", activity())
    (task,) = activities.claim_activities(WORKER, tags=TagFilter.ANY, limit=1, lease=LEASE, now=NOW, using=USING)
    delete("order-7", force=True)
    start("order-7")
    turn("order-7", activity())
    done = events.ActivityCompleted(scheduled_seq=task.key.seq, result="1")
    assert activities.finish_activities([(task.key, task.lease_token, done)], NOW, using=USING) == {task.key}
    assert counts()["InboxMessage"] == 0
    assert counts()["ActivityTask"] == 1


def test_a_detached_instance_is_not_deleted_with_its_starter():
    start("starter")
    turn("starter", events.OrchestrationChained(name="a", version="1.0.0", instance_id="free", input="1"), COMPLETED)
    delete("starter")
    assert statuses() == {"free": "Pending"}


@pytest.mark.parametrize("size", [2, 40])
def test_deletion_costs_the_same_statements_for_few_children_and_for_many(size):
    start("root")
    turn("root", *(child(f"child-{number}") for number in range(size)))
    notifies = connection.vendor == "postgresql"
    with CaptureQueriesContext(connection) as captured:
        assert delete("root", force=True).instances_deleted == size + 1
    assert len(captured) == 16 + notifies


# bulk_deletion


def test_bulk_deletion_without_conditions_takes_every_finished_root_and_skips_the_others():
    finish("a")
    finish("b", FAILED)
    start("pending")
    start("running")
    turn("running")
    assert delete_bulk().instances_deleted == 2
    assert statuses() == {"pending": "Pending", "running": "Running"}


def test_bulk_deletion_conditions_must_all_hold():
    for number, name in enumerate(["a", "b", "c"]):
        finish(name, now=NOW + timedelta(days=number))
    cutoff = NOW + timedelta(days=1)
    assert delete_bulk(instance_ids=["b", "c"], completed_before=cutoff).instances_deleted == 0
    assert delete_bulk(instance_ids=["a", "c"], completed_before=cutoff).instances_deleted == 1
    assert set(statuses()) == {"b", "c"}


def test_bulk_deletion_by_unknown_running_and_child_ids_deletes_nothing():
    family()
    assert delete_bulk(instance_ids=["root", "leaf", "nobody"]) == DeleteResult()
    assert delete_bulk(instance_ids=[]) == DeleteResult()
    assert counts()["Instance"] == 4


def test_bulk_deletion_honours_its_limit_and_goes_on_with_the_next_batch():
    for number in range(5):
        finish(f"order-{number}")
    assert [delete_bulk(limit=2).instances_deleted for _ in range(4)] == [2, 2, 1, 0]


def test_bulk_deletion_cascades_from_several_roots():
    for name in ("a", "b"):
        start(name)
        turn(name, child(f"{name}-1"), child(f"{name}-2"), COMPLETED)
        for number in (1, 2):
            turn(f"{name}-{number}", COMPLETED)
    finish("c")
    assert delete_bulk(instance_ids=["a", "c"]).instances_deleted == 4
    assert set(statuses()) == {"b", "b-1", "b-2"}


def test_bulk_deletion_does_not_let_roots_with_live_descendants_use_up_its_limit():
    for name in ("a", "b"):
        start(name)
        turn(name, child(f"{name}-1"), COMPLETED)
    turn("b-1", COMPLETED)
    assert delete_bulk(limit=1).instances_deleted == 2
    assert statuses() == {"a": "Completed", "a-1": "Pending"}


def test_bulk_deletion_costs_the_same_statements_for_few_and_for_many():
    def cost(many):
        for number in range(many):
            finish(f"order-{number}")
        with CaptureQueriesContext(connection) as captured:
            assert delete_bulk().instances_deleted == many
        return len(captured)

    assert cost(2) == cost(50)


# prune


def test_prune_without_options_keeps_only_the_current_execution():
    continued("order-7", 3)
    assert prune("order-7") == PruneResult(instances_processed=1, executions_deleted=3, events_deleted=6)
    assert queries.execution_numbers("order-7", using=USING) == [4]
    assert counts()["HistoryEvent"] == 0


@pytest.mark.parametrize(("keep", "left"), [(None, [4]), (0, [4]), (1, [4]), (2, [3, 4]), (9, [1, 2, 3, 4])])
def test_prune_keeps_the_last_executions_the_current_one_included(keep, left):
    continued("order-7", 3)
    prune("order-7", keep_last=keep)
    assert queries.execution_numbers("order-7", using=USING) == left


def test_prune_by_time_takes_what_ended_before_the_cutoff():
    continued("order-7", 3)
    prune("order-7", completed_before=NOW + timedelta(hours=1))
    assert queries.execution_numbers("order-7", using=USING) == [2, 3, 4]


def test_prune_options_must_both_hold():
    continued("order-7", 3)
    prune("order-7", keep_last=3, completed_before=NOW + timedelta(hours=9))
    assert queries.execution_numbers("order-7", using=USING) == [2, 3, 4]
    prune("order-7", keep_last=1, completed_before=NOW + timedelta(hours=2))
    assert queries.execution_numbers("order-7", using=USING) == [3, 4]


@pytest.mark.parametrize("finished", [False, True])
def test_the_current_execution_is_never_pruned(finished):
    continued("order-7", 1)
    if finished:
        turn("order-7", COMPLETED)
    prune("order-7", completed_before=NOW + timedelta(days=99))
    assert queries.execution_numbers("order-7", using=USING) == [2]
    assert prune("order-7").executions_deleted == 0


def test_prune_leaves_kv_entries_messages_and_other_instances_alone():
    start("order-7")
    turn("order-7", events.KeyValueSet(key="k", value="1"), events.OrchestrationContinuedAsNew(input="1"))
    continued("other", 1)
    nudge("order-7")
    before = counts()
    prune("order-7")
    after = counts()
    assert keyvalues.key_values_of("order-7", using=USING) == {"k": "1"}
    assert after["InboxMessage"] == before["InboxMessage"]
    assert queries.execution_numbers("other", using=USING) == [1, 2]


def test_a_pruned_instance_goes_on():
    continued("order-7", 2)
    prune("order-7")
    turn("order-7", COMPLETED, now=NOW + timedelta(hours=2))
    assert row("order-7").runtime_status == "Completed"


def test_prune_of_an_unknown_instance_raises():
    with pytest.raises(InstanceNotFound):
        prune("nobody")


def test_bulk_prune_includes_running_instances_and_honours_ids_and_limit():
    for name in ("a", "b", "c"):
        continued(name, 2)
    finish("single")

    def prune_bulk(**conditions):
        return retention.prune_instances(InstanceFilter(**conditions), PruneOptions(), using=USING)

    assert prune_bulk(instance_ids=["b", "single"]) == PruneResult(
        instances_processed=1, executions_deleted=2, events_deleted=4
    )
    assert [prune_bulk(limit=1).executions_deleted for _ in range(3)] == [2, 2, 0]
    assert models.Execution.objects.count() == 4


@pytest.mark.parametrize(
    "options", [{"keep_last": -1}, {"keep_last": True}, {"completed_before": NOW.replace(tzinfo=None)}]
)
def test_options_that_cannot_mean_anything_are_refused(options):
    with pytest.raises(InvalidArgument):
        PruneOptions(**options)
