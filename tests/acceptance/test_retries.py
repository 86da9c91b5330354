"""Retries between processes that are killed: what had completed before the failure is never run again."""

from __future__ import annotations

from datetime import timedelta

import pytest

from .checks import check_finished, output_of
from .stage import DEADLINE
from .test_kills import SHORT


@pytest.mark.parametrize("orchestration", ["acceptance.fails_at_first", "acceptance.fails_below"])
def test_a_retried_instance_goes_on_through_killed_workers(workers, client, stage, orchestration):
    client.start_orchestration("it", orchestration)
    first = workers.start(LEASE=SHORT)
    client.wait_for_orchestration("it", timedelta(seconds=DEADLINE))
    first.kill()
    child = "it" if orchestration == "acceptance.fails_at_first" else "it::sub::2"
    assert stage.counts(child) == {"before": 1, "outside": 1}

    client.retry_instance("it")
    second = workers.start(LEASE=SHORT)
    client.wait_for_orchestration("it", timedelta(seconds=DEADLINE))
    assert stage.counts(child) == {"before": 1, "outside": 2}

    stage.open("outside")
    client.retry_instance("it")
    stage.wait_until_reached("gate")
    second.kill()
    stage.open("gate")
    workers.start()
    assert output_of(client, "it") == ["before", "outside", "after"]
    assert client.list_executions("it") == [1, 2, 3]
    assert stage.counts(child) == {"before": 1, "outside": 3, "after": 2}
    check_finished(client, "it")
