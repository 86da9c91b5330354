"""`manage.py durable_worker` as operators use it: exit codes, `--once`, `--processes`."""

from __future__ import annotations

import os
import signal

import pytest

from .checks import check_finished, output_of
from .stage import until


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--concurrency", "0"], "concurrency is 0, expected a whole number of at least 1."),
        (["--tags", "a,b,c,d,e,f"], "the limit is 5"),
    ],
)
def test_a_wrong_option_ends_with_an_error_and_exit_code_1(arguments, message, workers):
    worker = workers.start(*arguments)
    assert worker.wait() == 1
    assert worker.log.startswith("CommandError: ")
    assert message in worker.log


def test_a_wrong_setting_ends_with_an_error_that_names_it(workers):
    worker = workers.start(CONCURRENCY="many")
    assert worker.wait() == 1
    assert "DJANGO_DURABLE['CONCURRENCY']: found 'many' (str), expected a whole number of at least 1." in worker.log


def test_once_runs_everything_that_is_due_and_exits(workers, client):
    keys = [f"it-{number}" for number in range(20)]
    for key in keys:
        client.start_orchestration(key, "acceptance.chain", 3)
    client.start_orchestration("family", "acceptance.family", {"children": 3, "depth": 1, "gated": False})
    client.start_orchestration("later", "acceptance.sleeps", 3_600_000)
    assert workers.start("--once", "--concurrency", "2").wait() == 0
    assert {client.get_output(key) == ["s0", "s1", "s2"] for key in keys} == {True}
    assert client.get_output("family") == 4
    assert client.get_status("later").runtime_status == "Running"
    assert client.list_workers() == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_with_reload_a_stop_hands_back_what_runs(number, workers, client, stage):
    """As `manage.py durable_worker` runs while a project is developed."""
    worker = workers.start("--reload", LEASE=3600)
    worker.wait_until_started()
    client.start_orchestration("it", "acceptance.chain", {"steps": 2, "gate_at": 0})
    stage.wait_until_reached("gate")
    worker.signal(number)
    assert worker.wait() == 0
    assert client.list_workers() == []
    stage.open("gate")
    workers.start("--once")
    assert output_of(client, "it") == ["s0", "s1"]
    assert stage.counts("it") == {"s0": 2, "s1": 1}


def test_processes_are_restarted_and_go_on_with_what_they_had(workers, client, stage):
    from django_durable.models import Worker

    supervisor = workers.start("--processes", "2", name="base", LEASE=3600)
    until(lambda: Worker.objects.count() == 2, "two workers")
    pids = dict(Worker.objects.values_list("worker_id", "pid"))
    client.start_orchestration("it", "acceptance.chain", {"steps": 3, "gate_at": 1})
    stage.wait_until_reached("gate")
    busy = stage.runs()[-1].worker
    os.kill(pids[busy], signal.SIGKILL)
    stage.open("gate")
    assert output_of(client, "it") == ["s0", "s1", "s2"]
    check_finished(client, "it")
    assert stage.counts("it") == {"s0": 1, "s1": 2, "s2": 1}
    until(lambda: Worker.objects.get(worker_id=busy).pid != pids[busy], "the restarted worker")
    assert supervisor.stop() == 0
    assert not Worker.objects.exists()


def test_workers_whose_supervisor_was_killed_stop_by_themselves(workers):
    from django_durable.models import Worker

    supervisor = workers.start("--processes", "2", name="base")
    until(lambda: Worker.objects.count() == 2, "two workers")
    pids = list(Worker.objects.values_list("pid", flat=True))
    supervisor.kill()
    until(lambda: not Worker.objects.exists(), "the workers to give up their rows")
    until(lambda: not any(runs(pid) for pid in pids), "the processes to end")


def runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
