"""Workers on machines whose clocks are minutes apart: PostgreSQL's clock is the one that counts."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from . import clocks
from .checks import check_finished, check_nothing_left, output_of

pytestmark = pytest.mark.only_on("postgresql")
MINUTES = 60


@pytest.fixture
def apart(workers):
    """A worker whose clock is five minutes ahead, and one whose clock is as much behind."""
    pair = [workers.start(variables={clocks.VARIABLE: str(5 * MINUTES * sign)}, LEASE=2) for sign in (1, -1)]
    for each in pair:
        each.wait_until_started()
    return pair


@pytest.mark.parametrize("minutes", [5, -5])
def test_a_timer_fires_on_time_where_the_clock_is_wrong(minutes, workers, client):
    """From the first turn on: the worker is started when there is something to do."""
    client.start_orchestration("it", "acceptance.sleeps", 2_000)
    begun = time.monotonic()
    worker = workers.start(variables={clocks.VARIABLE: str(minutes * MINUTES)})
    assert output_of(client, "it") == "slept"
    assert 2 <= time.monotonic() - begun < MINUTES
    assert worker.stop() == 0


def test_work_is_shared_and_none_of_it_runs_twice(apart, client, effects):
    keys = [f"it-{number}" for number in range(60)]
    for number, key in enumerate(keys):
        client.start_orchestration(key, "acceptance.mixture", number)
    for number, key in enumerate(keys):
        assert output_of(client, key)[0] == number
    check_nothing_left()
    assert effects.objects.count() == 2 * len(keys)
    assert [each.stop() for each in apart] == [0, 0]


def test_a_lease_that_is_renewed_is_not_taken_over(apart, client, stage):
    """An activity runs for several leases, in whichever worker, while both have other work."""
    client.start_orchestration("it", "acceptance.chain", {"steps": 1, "gate_at": 0})
    stage.wait_until_reached("gate")
    begun = time.monotonic()
    number = 0
    while time.monotonic() - begun < 6:  # Others work meanwhile, over three leases.
        client.start_orchestration(f"other-{number}", "acceptance.chain", 1)
        assert output_of(client, f"other-{number}") == ["s0"]
        number += 1
    stage.open("gate")
    assert output_of(client, "it") == ["s0"]
    check_finished(client, "it")
    assert stage.counts("it") == {"s0": 1}
    assert [each.stop() for each in apart] == [0, 0]


@pytest.mark.parametrize("minutes", [5, -5])
def test_a_clock_that_jumps_under_load_loses_and_doubles_nothing(minutes, workers, client, stage, effects, tmp_path):
    """The clock of one of two workers; it jumps back, too, as one does that is set right."""
    clock = tmp_path / "clock"
    clock.write_text("0")
    pair = [workers.start(variables={clocks.VARIABLE: str(clock)}, LEASE=2), workers.start(LEASE=2)]
    for each in pair:
        each.wait_until_started()
    keys = [f"it-{number}" for number in range(80)]
    for number, key in enumerate(keys):
        client.start_orchestration(key, "acceptance.mixture", number)
    for part, ahead in enumerate((minutes, 0, minutes)):
        stage.wait_for_runs(100 * (part + 1))
        _write_at_once(clock, str(ahead * MINUTES))
    for number, key in enumerate(keys):
        assert output_of(client, key)[0] == number
    check_nothing_left()
    assert effects.objects.count() == 2 * len(keys)
    client.start_orchestration("next", "acceptance.chain", 2)
    assert output_of(client, "next") == ["s0", "s1"]
    assert [each.stop() for each in pair] == [0, 0]


def _write_at_once(file: Path, text: str) -> None:
    """So that whoever reads it meanwhile finds the old text or the new one."""
    new = file.with_suffix(".new")
    new.write_text(text)
    new.replace(file)
