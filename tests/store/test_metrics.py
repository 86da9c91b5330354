"""Invariant of the reference: management (metrics and depths are accurate)."""

from __future__ import annotations

from datetime import timedelta

import pytest

from django_durable.engine import events
from django_durable.engine.durations import epoch_ms
from django_durable.engine.errors import InstanceNotFound
from django_durable.engine.states import RuntimeStatus
from django_durable.store import activities, claims, endings, instances, metrics
from django_durable.store.records import TagFilter

from .lives import COMPLETED, FAILED, LEASE, NOW, USING, WORKER, continued, counts, finish, nudge, park, start, turn

pytestmark = pytest.mark.django_db


def test_system_metrics_count_what_there_is_by_two_queries(django_assert_num_queries):
    finish("a")
    finish("b", FAILED)
    continued("c", 2)
    turn("c", now=NOW + timedelta(hours=1))
    start("d")
    start("e")
    endings.terminate_instance("e", now=NOW, using=USING)
    with django_assert_num_queries(2):
        found = metrics.system_metrics(using=USING)
    there = counts()
    assert (found.total_instances, found.total_executions, found.total_events) == (
        there["Instance"],
        there["Execution"],
        there["HistoryEvent"],
    )
    assert (found.running_instances, found.completed_instances, found.failed_instances) == (2, 1, 1)
    assert found.instances_by_status[RuntimeStatus.TERMINATED] == 1
    assert found.instances_by_status[RuntimeStatus.BLOCKED] == 0


def test_system_metrics_of_an_empty_database_are_zero():
    found = metrics.system_metrics(using=USING)
    assert (found.total_instances, found.total_executions, found.total_events) == (0, 0, 0)
    assert set(found.instances_by_status.values()) == {0}


def test_queue_depths_tell_what_waits_for_a_worker_and_what_does_not_yet(django_assert_num_queries):
    due = NOW + timedelta(hours=1)
    start("order-7")
    turn(
        "order-7",
        events.ActivityScheduled(name="a", input="1"),
        events.ActivityScheduled(name="b", input="1", tag="gpu"),
        events.ActivityScheduled(name="c", input="1", tag="gpu"),
        events.ActivityScheduled(name="d", input="1", tag="gpu"),
        events.TimerCreated(duration_ms=3_600_000, fire_at_ms=epoch_ms(due)),
    )
    only_gpu = TagFilter.tags(["gpu"])
    running, failed = activities.claim_activities(WORKER, tags=only_gpu, limit=2, lease=LEASE, now=NOW, using=USING)
    activities.retry_activities([(failed.key, failed.lease_token, due, "[]")], using=USING)
    nudge("order-7")
    start("parked")
    park("parked")
    with django_assert_num_queries(2):
        found = metrics.queue_depths(now=NOW, using=USING)
    assert found == metrics.QueueDepths(
        orchestrator_queue=1,
        timer_queue=1,
        held_messages=1,
        worker_queue=2,
        delayed_activities=1,
        running_activities=1,
        worker_queue_by_tag={"": 1, "gpu": 1},
    )
    assert running.lease_token == 1


def test_queue_depths_are_zero_when_nothing_waits():
    finish("order-7")
    assert claims.claim_instances(WORKER, limit=9, lease=LEASE, now=NOW, using=USING) == []
    assert metrics.queue_depths(now=NOW, using=USING) == metrics.QueueDepths()


def test_stats_measure_one_instance_in_bytes_of_its_current_execution():
    continued("order-7", 1)
    turn("order-7", events.ActivityScheduled(name="a", input='"ü"'), events.KeyValueSet(key="k", value='"€"'))
    instances.enqueue_event("order-7", "jobs", "1", now=NOW, using=USING)
    found = metrics.orchestration_stats("order-7", using=USING)
    assert (found.execution_count, found.history_event_count) == (2, 3)
    assert (found.kv_user_key_count, found.kv_total_value_bytes) == (1, 5)
    assert (found.queue_pending_count, found.inbox_message_count, found.open_activity_count) == (1, 1, 1)
    # The start's input and data, the activity's input, the KV value.
    assert found.history_size_bytes > len('"ü"'.encode()) + 5
    turn("order-7", COMPLETED)
    assert metrics.orchestration_stats("order-7", using=USING).inbox_message_count == 0


def test_stats_of_an_unknown_instance_raise():
    with pytest.raises(InstanceNotFound):
        metrics.orchestration_stats("nobody", using=USING)
