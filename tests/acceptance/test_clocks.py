"""Wrong clocks: those of machines that share PostgreSQL, whose clock is the one that counts, and the one beside SQLite.

SQLite has no clock of its own. Its processes share a machine and so its clock, which jumps for all of them at once.
"""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from . import clocks
from .checks import check_finished, check_nothing_left, output_of

MINUTES = 60
LEASE = 2
on_postgresql, on_sqlite = pytest.mark.only_on("postgresql"), pytest.mark.only_on("sqlite")


@pytest.fixture
def apart(workers):
    """A worker whose clock is five minutes ahead, and one whose clock is as much behind."""
    pair = [workers.start(variables={clocks.VARIABLE: str(5 * MINUTES * sign)}, LEASE=LEASE) for sign in (1, -1)]
    for each in pair:
        each.wait_until_started()
    return pair


@on_postgresql
@pytest.mark.parametrize("minutes", [5, -5])
def test_a_timer_fires_on_time_where_the_clock_is_wrong(minutes, workers, client):
    """From the first turn on: the worker is started when there is something to do."""
    client.start_orchestration("it", "acceptance.sleeps", 2_000)
    begun = time.monotonic()
    worker = workers.start(variables={clocks.VARIABLE: str(minutes * MINUTES)})
    assert output_of(client, "it") == "slept"
    assert 2 <= time.monotonic() - begun < MINUTES
    assert worker.stop() == 0


@on_postgresql
def test_work_is_shared_and_none_of_it_runs_twice(apart, client, effects):
    keys = [f"it-{number}" for number in range(60)]
    for number, key in enumerate(keys):
        client.start_orchestration(key, "acceptance.mixture", number)
    for number, key in enumerate(keys):
        assert output_of(client, key)[0] == number
    check_nothing_left()
    assert effects.objects.count() == 2 * len(keys)
    assert [each.stop() for each in apart] == [0, 0]


@on_postgresql
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


@on_postgresql
@pytest.mark.parametrize("minutes", [5, -5])
def test_a_clock_that_jumps_under_load_loses_and_doubles_nothing(minutes, workers, client, stage, effects, tmp_path):
    """The clock of one of two workers; it jumps back, too, as one does that is set right."""
    clock = tmp_path / "clock"
    clock.write_text("0")
    pair = [workers.start(variables={clocks.VARIABLE: str(clock)}, LEASE=LEASE), workers.start(LEASE=LEASE)]
    check_jumps(clock, minutes * MINUTES, pair, client, stage, effects)


@on_sqlite
@pytest.mark.parametrize("seconds", [2 * LEASE, -2 * LEASE])
def test_the_clock_of_the_machine_jumps_under_load_and_nothing_is_lost_or_doubled(
    seconds, workers, client, stage, effects, tmp_path
):
    """All leases run out at once, or last longer; what was to be seen by now is seen later."""
    clock = tmp_path / "clock"
    clock.write_text("0")
    pair = [workers.start(variables={clocks.VARIABLE: str(clock)}, LEASE=LEASE) for _ in range(2)]
    check_jumps(clock, seconds, pair, client, stage, effects)


def check_jumps(clock, seconds, pair, client, stage, effects):
    """Let a clock jump, back and again, while a pair of workers is busy; all ends as if it had not."""
    for each in pair:
        each.wait_until_started()
    keys = [f"it-{number}" for number in range(80)]
    for number, key in enumerate(keys):
        client.start_orchestration(key, "acceptance.mixture", number)
    for part, ahead in enumerate((seconds, 0, seconds)):
        stage.wait_for_runs(100 * (part + 1))
        _write_at_once(clock, str(ahead))
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
