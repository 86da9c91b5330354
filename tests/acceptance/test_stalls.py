"""A worker that hangs for longer than its leases and then goes on: it can commit nothing of what it had."""

from __future__ import annotations

import pytest

from .checks import check_finished
from .stage import until


def test_a_stalled_worker_commits_nothing_and_then_works_on(workers, client, stage, effects):
    stalled = workers.start(LEASE=1)
    client.start_orchestration("it", "acceptance.step_and_record")
    stage.wait_until_reached("gate")
    stalled.stall()
    stage.open("gate")
    quick = workers.start()
    assert client.wait_for_output("it") == ["step", "record"]
    check_finished(client, "it")
    history = client.read_execution_history("it")
    assert quick.stop() == 0
    stalled.revive()
    client.start_orchestration("next", "acceptance.chain", 2)
    assert client.wait_for_output("next") == ["s0", "s1"]
    assert stalled.stop() == 0
    assert client.read_execution_history("it") == history
    assert [(run.label, run.worker) for run in stage.runs() if run.instance == "it"] == [
        ("step", stalled.name),
        ("step", quick.name),
        ("record", quick.name),
    ]
    assert [(each.label, each.worker) for each in effects.objects.all()] == [("record", quick.name)]


@pytest.mark.only_on("postgresql")
def test_an_atomic_activity_that_stalled_is_rolled_back(workers, client, stage, effects):
    stalled = workers.start(LEASE=1)
    client.start_orchestration("it", "acceptance.atomic", {"steps": 2, "gate_at": 0})
    stage.wait_until_reached("gate")
    stalled.stall()
    stage.open("gate")
    quick = workers.start()
    assert client.wait_for_output("it") == ["s0", "s1"]
    history = client.read_execution_history("it")
    stalled.revive()
    assert stalled.stop() == 0
    assert client.read_execution_history("it") == history
    check_finished(client, "it")
    assert stage.counts("it") == {"s0": 2, "s1": 1}
    written = sorted(effects.objects.values_list("label", "worker"))
    assert written == [("s0", quick.name), ("s1", quick.name)]


@pytest.mark.only_on("sqlite")
def test_others_wait_for_an_atomic_activity_that_stalled_with_the_lock_in_hand(workers, client, stage, effects):
    """SQLite has one writer: nobody can take the work over, so the one that stalled completes it, once."""
    from django.utils import timezone

    from django_durable.models import ActivityTask

    stalled = workers.start(LEASE=1)
    client.start_orchestration("it", "acceptance.atomic", {"steps": 2, "gate_at": 0})
    stage.wait_until_reached("gate")
    stalled.stall(holding_locks=True)
    other = workers.start()
    until(lambda: ActivityTask.objects.get().visible_at < timezone.now(), "the lease to be over")
    stage.open("gate")
    stalled.revive()
    assert client.wait_for_output("it") == ["s0", "s1"]
    check_finished(client, "it")
    assert sorted(effects.objects.values_list("label", flat=True)) == ["s0", "s1"]
    assert other.stop() == stalled.stop() == 0
