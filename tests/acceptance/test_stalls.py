"""A worker that hangs for longer than its leases and then goes on: it can commit nothing of what it had."""

from __future__ import annotations

import pytest

from .checks import check_finished, output_of
from .stage import until


def test_a_stalled_worker_commits_nothing_and_then_works_on(workers, client, stage, effects):
    stalled = workers.start(LEASE=1)
    client.start_orchestration("it", "acceptance.step_and_record")
    stage.wait_until_reached("gate")
    stalled.stall()
    stage.open("gate")
    quick = workers.start()
    assert output_of(client, "it") == ["step", "record"]
    check_finished(client, "it")
    history = client.read_execution_history("it")
    assert quick.stop() == 0
    stalled.revive()
    client.start_orchestration("next", "acceptance.chain", 2)
    assert output_of(client, "next") == ["s0", "s1"]
    assert stalled.stop() == 0
    assert client.read_execution_history("it") == history
    assert [(run.label, run.worker) for run in stage.runs() if run.instance == "it"] == [
        ("step", stalled.name),
        ("step", quick.name),
        ("record", quick.name),
    ]
    assert [(each.label, each.worker) for each in effects.objects.all()] == [("record", quick.name)]


@pytest.mark.parametrize("atomic", [False, pytest.param(True, marks=pytest.mark.only_on("postgresql"))])
def test_a_stalled_worker_cannot_complete_what_another_one_is_running(atomic, workers, client, stage, effects):
    stalled = workers.start(LEASE=1)
    client.start_orchestration("it", "acceptance.runs_apart", atomic)
    stage.wait_until_reached(stalled.name)
    stalled.stall()
    running = workers.start()
    stage.wait_until_reached(running.name)
    history = client.read_execution_history("it")
    stage.open(stalled.name)
    stalled.revive()
    assert stalled.stop() == 0  # It has ended its activity, and done with the result what it could.
    assert client.read_execution_history("it") == history
    assert not effects.objects.exists()
    assert client.get_queue_depths().running_activities == 1
    stage.open(running.name)
    assert output_of(client, "it") == running.name
    check_finished(client, "it")
    assert stage.counts("it") == {"apart": 2}
    assert [each.worker for each in effects.objects.all()] == [running.name] * atomic


def test_a_worker_that_stalled_in_a_turn_until_its_lease_was_over_commits_nothing(workers, client, stage, effects):
    slow = workers.start(LEASE=4)
    client.start_orchestration("it", "acceptance.slow_turn")
    stage.wait_until_reached(str(slow.process.pid))
    slow.stall()
    quick = workers.start()
    stage.wait_until_reached(str(quick.process.pid))
    stage.open(str(slow.process.pid))
    slow.revive()
    slow.wait_for_log("Lost the lease of instance 'it' before its turn was committed")
    assert client.read_execution_history("it") == []
    assert client.get_status("it").custom_status is None
    assert slow.stop() == 0
    stage.open(str(quick.process.pid))
    assert output_of(client, "it") == "record"
    assert [(each.label, each.worker) for each in effects.objects.all()] == [("record", quick.name)]
    assert client.get_status("it").custom_status_version == 1


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
    assert output_of(client, "it") == ["s0", "s1"]
    check_finished(client, "it")
    assert sorted(effects.objects.values_list("label", flat=True)) == ["s0", "s1"]
    other.wait_until_started()
    assert other.stop() == stalled.stop() == 0
