"""The harness that compares: what it does with runs that fail, and how it chooses. Figures are for `benchmarks/`."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from benchmarks import comparison
from benchmarks.comparison import Cell, Found, NotDone, RunFailed, best_setting, table
from benchmarks.soak.pulse import Pulse
from benchmarks.targets import Target

CELL = Cell("duroxide", 8, "sqlite", "chain", 5)


def test_the_setting_with_the_best_figure_is_chosen_and_one_that_failed_never() -> None:
    assert best_setting("chain", {8: 200.0, 2: 250.0, 1: None}) == 2
    assert best_setting("latency", {8: 20.0, 2: 39.0}) == 8
    assert best_setting("chain", {8: None, 2: None}) == 8


def test_a_run_that_fails_is_counted_and_the_others_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    results: list[Any] = [RunFailed("database is locked"), [{"activities_per_second": 4.0}], NotDone("not done")]

    def measure(*args: Any) -> Any:
        result = results.pop(0)
        if isinstance(result, Exception):
            raise result
        return result

    monkeypatch.setattr(comparison, "measure", measure)
    found = Found()
    for _ in range(3):
        found.take(CELL, databases=None)  # type: ignore[arg-type]
    assert found.failures == ["database is locked", "not done"]
    assert found.median == {"activities_per_second": 4.0}


def test_what_failed_twice_and_never_worked_is_not_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    tried = []

    def measure(*args: Any) -> Any:
        tried.append(args)
        raise RunFailed("database is locked")

    monkeypatch.setattr(comparison, "measure", measure)
    found = Found()
    for _ in range(5):
        found.take(CELL, databases=None)  # type: ignore[arg-type]
    assert len(tried) == 2
    assert found.median is None


def test_the_table_tells_how_many_runs_failed() -> None:
    place = {"workload": "chain", "database": "sqlite", "size": 5, "concurrency": 8}
    ours = {"contestant": "durable", "median": {"activities_per_second": 9.0}, "runs": [{}], "failures": []}
    theirs = {"contestant": "duroxide", "median": {"activities_per_second": 3.0}, "runs": [{}], "failures": ["locked"]}
    [*_, first, second] = table({"figures": [place | ours, place | theirs]}).splitlines()
    assert "| 1.00 | 0 of 1 |" in first
    assert "| 3.00 | 1 of 2 |" in second


def test_a_target_without_a_figure_is_neither_reached_nor_missed() -> None:
    assert Target("chain", 10, None, at_least=True).reached is None
    assert Target("chain", 10, 10.1, at_least=True).reached is True
    assert Target("latency", 5, 5.1).reached is False


@pytest.fixture
def pulse() -> Iterator[Pulse]:
    made = Pulse(shortest=1.0)
    made.look()
    yield made
    made.close()


def held_up(seconds: float) -> None:
    threading.Event().wait(seconds)


def test_a_standstill_is_what_another_process_saw(pulse: Pulse) -> None:
    begun, began = time.monotonic(), time.time()
    os.kill(pulse.pid, signal.SIGSTOP)
    held_up(1.5)
    os.kill(pulse.pid, signal.SIGCONT)
    now = pulse.look()
    assert 1.0 <= pulse.within(begun, now) <= now - begun
    assert pulse.within(now + 1, now + 60) == 0
    assert pulse.touched(began, time.time())
    assert not pulse.touched(time.time() + 1, time.time() + 60)


def test_a_load_that_is_held_up_is_no_standstill(pulse: Pulse) -> None:
    """It hears late what the other process saw meanwhile: that the machine ran."""
    begun = time.monotonic()
    held_up(1.5)
    assert pulse.within(begun, pulse.look()) < 1.5
