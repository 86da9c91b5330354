"""Stopping workers in good order: what runs ends or is handed back at once, whatever the leases."""

from __future__ import annotations

import signal
import time

import pytest

from .checks import check_finished, completed_labels, output_of
from .stage import until

FOR_EVER = 3600.0
"""Seconds: a lease, or a patience, that no test outlives."""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_first_signal_lets_activities_end_and_records_them(number, workers, client, stage):
    from django_durable.models import Instance, Worker

    leaving = workers.start(LEASE=FOR_EVER, SHUTDOWN_TIMEOUT=FOR_EVER)
    client.start_orchestration("it", "acceptance.chain", {"steps": 3, "gate_at": 1})
    stage.wait_until_reached("gate")
    leaving.signal(number)
    leaving.wait_for_log("is stopping")
    stage.open("gate")
    assert leaving.wait() == 0
    assert completed_labels(client, "it") <= {"s0", "s1"}
    assert not Instance.objects.exclude(lease_owner=None).exists()
    assert not Worker.objects.exists()
    workers.start()
    assert output_of(client, "it") == ["s0", "s1", "s2"]
    check_finished(client, "it")
    assert stage.counts("it") == {"s0": 1, "s1": 1, "s2": 1}


@pytest.mark.parametrize("orchestration", ["acceptance.chain", "acceptance.session"])
def test_what_does_not_end_in_time_is_handed_back_without_waiting_for_its_lease(orchestration, workers, client, stage):
    leaving = workers.start(LEASE=FOR_EVER, SHUTDOWN_TIMEOUT=0.2)
    client.start_orchestration("it", orchestration, {"steps": 3, "gate_at": 1})
    stage.wait_until_reached("gate")
    staying = workers.start(LEASE=FOR_EVER)
    staying.wait_until_started()
    started = time.monotonic()
    leaving.signal(signal.SIGTERM)
    until(lambda: stage.runs()[-1].worker == staying.name, "the other worker to run it")
    assert time.monotonic() - started < 15
    assert leaving.wait() == 0
    stage.open("gate")
    output_of(client, "it")
    check_finished(client, "it")
    assert [run[1:] for run in stage.runs()] == [
        ("s0", 1, leaving.name),
        ("s1", 1, leaving.name),
        ("s1", 1, staying.name),
        ("s2", 1, staying.name),
    ]


def test_the_second_signal_ends_the_worker_at_once(workers, client, stage):
    leaving = workers.start(LEASE=1, SHUTDOWN_TIMEOUT=FOR_EVER)
    client.start_orchestration("it", "acceptance.chain", {"steps": 2, "gate_at": 1})
    stage.wait_until_reached("gate")
    leaving.signal(signal.SIGTERM)
    leaving.wait_for_log("is stopping")
    leaving.signal(signal.SIGTERM)
    assert leaving.wait() == 1
    stage.open("gate")
    workers.start()
    assert output_of(client, "it") == ["s0", "s1"]
    check_finished(client, "it")


def test_a_stopping_worker_takes_nothing_more(workers, client, stage):
    leaving = workers.start(SHUTDOWN_TIMEOUT=FOR_EVER)
    client.start_orchestration("it", "acceptance.chain", {"steps": 2, "gate_at": 0})
    stage.wait_until_reached("gate")
    leaving.signal(signal.SIGTERM)
    leaving.wait_for_log("is stopping")
    client.start_orchestration("later", "acceptance.chain", 1)
    until(lambda: [each.stopping for each in client.list_workers()] == [True], "the worker's row to say so")
    stage.open("gate")
    assert leaving.wait() == 0
    assert client.get_status("later").runtime_status == "Pending"
    assert stage.counts("later") == {}


def test_nothing_runs_twice_while_workers_are_replaced_one_by_one(workers, client, stage):
    keys = [f"it-{number}" for number in range(60)]
    for number, key in enumerate(keys):
        client.start_orchestration(key, "acceptance.mixture", number)
    current = workers.start(LEASE=FOR_EVER)
    for part in (1, 2, 3):
        stage.wait_for_runs(90 * part)
        following = workers.start(LEASE=FOR_EVER)
        following.wait_until_started()
        assert current.stop() == 0
        current = following
    for number, key in enumerate(keys):
        assert output_of(client, key)[0] == number
    runs = [(run.instance, run.label) for run in stage.runs()]
    assert len(runs) == len(set(runs)) == 7 * len(keys)
