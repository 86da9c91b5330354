"""Code that takes its worker down or holds it for ever: it is given up, and others go on."""

from __future__ import annotations

import signal

import pytest

from .checks import check_finished, output_of
from .stage import until

ENDINGS = {"SIGKILL": -signal.SIGKILL, "exit": 3, "segmentation fault": -signal.SIGSEGV}


@pytest.mark.parametrize("how", ENDINGS)
def test_an_activity_that_kills_its_worker_is_given_up_after_some_deliveries(how, workers, client, stage):
    """Each crash counts as a delivery, also where the worker comes back under its own name."""
    client.start_orchestration("it", "acceptance.crashes", how)
    for _ in range(2):
        assert workers.start(name="same", MAX_DELIVERIES=2).wait() == ENDINGS[how]
    workers.start(name="same", MAX_DELIVERIES=2)
    assert output_of(client, "it") == ["Poisoned", "recovered"]
    check_finished(client, "it")
    assert stage.counts("it") == {"crash": 2, "recovered": 1}


def test_an_orchestration_that_never_comes_back_is_blocked_while_the_worker_goes_on(workers, client, stage):
    worker = workers.start(LEASE=2)
    client.start_orchestration("it", "acceptance.spins", "loop")
    client.start_orchestration("other", "acceptance.chain", 3)
    assert output_of(client, "other") == ["s0", "s1", "s2"]
    until(lambda: client.get_status("it").runtime_status == "Blocked", "the endless loop to be blocked")
    assert client.get_status("it").blocked_reason.error_type.endswith("TurnTimeout")
    stage.open("corrected")
    client.resume_instance("it")
    assert output_of(client, "it") == "came back"
    assert worker.stop() == 0


@pytest.mark.parametrize("how", ["catches everything", "blocking call"])
def test_a_worker_that_cannot_end_its_code_ends_itself_until_the_instance_is_blocked(how, workers, client, stage):
    client.start_orchestration("it", "acceptance.spins", how)
    for number in range(2):
        held = workers.start(LEASE=1, MAX_DELIVERIES=2)
        assert held.wait() == 1, held.log
        assert "The code of instance 'it' does not come back" in held.log
        assert client.get_status("it").runtime_status == "Pending", number
    survivor = workers.start(LEASE=1, MAX_DELIVERIES=2)
    until(lambda: client.get_status("it").runtime_status == "Blocked", "the instance to be blocked")
    assert client.get_status("it").blocked_reason.error_type == "Poisoned"
    client.start_orchestration("other", "acceptance.chain", 3)
    assert output_of(client, "other") == ["s0", "s1", "s2"]
    assert survivor.stop() == 0


def test_a_worker_that_is_asked_to_stop_does_not_wait_for_code_that_cannot_be_ended(workers, client, stage):
    worker = workers.start(LEASE=2)
    client.start_orchestration("it", "acceptance.spins", "blocking call")
    stage.wait_until_reached("spins")
    assert worker.stop() == 0
    assert "The code of instance 'it' does not come back" in worker.log
