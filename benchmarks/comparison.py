"""Every contestant runs every workload, in turn, several times: a machine that drifts from round to round does for all.

Before the rounds each peer's settings are tried, and the one with the best median goes through all of them. A run that
fails, or is not done after `LIMIT_SECONDS`, is counted with its reason, and the rest goes on; what has failed twice and
never worked is not tried again.
"""

from __future__ import annotations

import importlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, fields
from functools import partial
from statistics import median
from typing import Any

from .databases import Databases
from .drive import CHAINS
from .environments import python_of
from .results import ROOT, say

OURS = "durable"
CONTESTANTS = (OURS, "duroxide", "dbos", "absurd")
WORKLOADS = {"chain": (5,), "fan_out": (500, 5_000), "latency": (100,), "sequence": (900,)}
CALIBRATION = {"chain": 5, "fan_out": 200, "latency": 30}
"""Sizes with which settings are tried. A sequence is one activity at a time, so the setting for latency is its own."""

TRIES = 3
ONCE = ("sequence",)
"""Workloads that no target compares: one round is enough for the picture."""

BETTER_HIGH = "activities_per_second"
LIMIT_SECONDS = 60
GIVEN_UP_AFTER = 2
Figures = dict[str, float]


class RunFailed(Exception):
    """A run of a contestant ended with an error; the message is its last words."""


class NotDone(RunFailed):
    """A run took longer than a run may."""


@dataclass(frozen=True, slots=True)
class Cell:
    """What is measured: one contestant, at one setting, with one workload on one database."""

    contestant: str
    concurrency: int
    database: str
    workload: str
    size: int

    @property
    def activities(self) -> int:
        return self.size * (CHAINS if self.workload == "chain" else 1)


@dataclass(slots=True)
class Found:
    """What the rounds of one cell gave."""

    runs: list[Figures] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    not_done: int = 0

    def take(self, cell: Cell, databases: Databases, times: int = 1) -> None:
        """Run the workload, and note what came of it."""
        if not self.runs and len(self.failures) >= GIVEN_UP_AFTER:
            return
        try:
            self.runs += measure(cell, databases, times)
        except RunFailed as error:
            say(f"failed: {error}")
            self.failures.append(str(error))
            self.not_done += isinstance(error, NotDone)

    @property
    def median(self) -> Figures | None:
        return {name: median(run[name] for run in self.runs) for name in self.runs[0]} if self.runs else None


def compare(
    databases: Databases, *, rounds: int, contestants: Sequence[str], workloads: Sequence[str], vendors: Sequence[str]
) -> dict[str, Any]:
    """Choose the settings, run the rounds. Returns: what is kept as `peers`."""
    settings = list(_settings(databases, contestants, workloads, vendors))
    found = {cell: Found() for cell in _cells(settings)}
    for number in range(rounds):
        for cell, each in found.items():
            if number == 0 or cell.workload not in ONCE:
                say(f"round {number + 1} of {rounds}: {cell}")
                each.take(cell, databases)
    return {
        "rounds": rounds,
        "peers": _peers(),
        "settings": settings,
        "figures": [
            {
                **{each.name: getattr(cell, each.name) for each in fields(cell)},
                "median": each.median,
                "runs": each.runs,
                "failures": each.failures,
                # What it cannot have reached where no run was done in time.
                "below": cell.activities / LIMIT_SECONDS if not each.runs and each.not_done else None,
            }
            for cell, each in found.items()
        ],
    }


def _settings(
    databases: Databases, contestants: Sequence[str], workloads: Sequence[str], vendors: Sequence[str]
) -> Iterator[dict[str, Any]]:
    """Yield for each workload, database and contestant the setting to measure it at, and what the others gave."""
    for workload in workloads:
        for vendor in vendors:
            for name in contestants:
                module = importlib.import_module(f"benchmarks.contestants.{name}")
                if vendor not in module.DATABASES or module.MOST.get(workload) == 0:
                    continue
                place = {"workload": workload, "database": vendor, "contestant": name}
                yield {**place, **_calibrated(databases, Cell(name, 0, vendor, workload, 0), module.CONCURRENCIES)}


def _calibrated(databases: Databases, cell: Cell, concurrencies: Sequence[int]) -> dict[str, Any]:
    if len(concurrencies) == 1:
        return {"concurrency": concurrencies[0], "tried": {}}
    workload = cell.workload if cell.workload in CALIBRATION else "latency"
    tried: dict[int, float | None] = {}
    for concurrency in concurrencies:
        at = Cell(cell.contestant, concurrency, cell.database, workload, CALIBRATION[workload])
        say(f"calibration: {at}")
        found = Found()
        found.take(at, databases, TRIES)
        tried[concurrency] = leading(found.median)[1] if found.median else None
    return {"concurrency": best_setting(workload, tried), "tried": tried}


def best_setting(workload: str, tried: dict[int, float | None]) -> int:
    """Return the setting with the best figure; the first one where all failed."""
    worked = {setting: figure for setting, figure in tried.items() if figure is not None}
    if not worked:
        return next(iter(tried))
    choose = min if workload == "latency" else max
    return choose(worked, key=worked.__getitem__)


def leading(figures: Figures) -> tuple[str, float]:
    """Return the figure that a workload is judged by: its first one."""
    return next(iter(figures.items()))


def _cells(settings: Sequence[dict[str, Any]]) -> Iterator[Cell]:
    by_place: dict[tuple[str, str, int], list[Cell]] = {}
    for each in settings:
        most = importlib.import_module(f"benchmarks.contestants.{each['contestant']}").MOST.get(each["workload"])
        for size in WORKLOADS[each["workload"]]:
            if most is None or size <= most:
                cell = Cell(each["contestant"], each["concurrency"], each["database"], each["workload"], size)
                by_place.setdefault((cell.workload, cell.database, size), []).append(cell)
    for cells in by_place.values():
        yield from cells


def measure(cell: Cell, databases: Databases, times: int = 1) -> list[Figures]:
    """Run a workload some times in a fresh database. Raises: RunFailed."""
    template = databases.prepared(cell.database, cell.contestant, partial(_prepare, cell.contestant))
    with databases.fresh(cell.database, template) as url:
        arguments = (cell.workload, str(cell.size), url, str(cell.concurrency), str(times))
        runs: list[Figures] = json.loads(_drive(cell.contestant, *arguments).splitlines()[-1])
    return runs


def _prepare(contestant: str, url: str) -> None:
    _drive(contestant, "prepare", "0", url)


def _drive(contestant: str, *arguments: str) -> str:
    """Run `benchmarks.drive` with a contestant's interpreter, and end whatever it leaves. Returns: what it prints."""
    python = sys.executable if contestant == OURS else str(python_of("peers"))
    process = subprocess.Popen(
        [python, "-m", "benchmarks.drive", contestant, *arguments],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        output, errors = process.communicate(timeout=LIMIT_SECONDS)
    except subprocess.TimeoutExpired:
        raise NotDone(f"not done after {LIMIT_SECONDS} s") from None
    finally:
        _end_group(process.pid)
        process.wait()
    if process.returncode:
        raise RunFailed((errors.strip().splitlines() or [f"exit code {process.returncode}"])[-1][:300])
    return output


def _end_group(leader: int) -> None:
    with suppress(ProcessLookupError):
        os.killpg(leader, signal.SIGKILL)


def table(found: dict[str, Any]) -> str:
    """Return what was found as one table: medians, and failures."""
    ours = {
        (each["workload"], each["database"], each["size"]): each["median"]
        for each in found["figures"]
        if each["contestant"] == OURS
    }
    lines = ["| workload | database | contestant | at | figures | ours to theirs | failed |", f"|{'---|' * 7}"]
    for each in found["figures"]:
        figures, mine = each["median"], ours.get((each["workload"], each["database"], each["size"]))
        shown, ratio = "none", ""
        if figures:
            shown = ", ".join(f"{name} {value:,.1f}" for name, value in figures.items())
            name, value = leading(figures)
            ratio = f"{mine[name] / value:.2f}" if mine else ""
        runs = len(each["runs"]) + len(each["failures"])
        lines.append(
            f"| {each['workload']} {each['size']:,} | {each['database']} | {each['contestant']} "
            f"| {each['concurrency']} | {shown} | {ratio} | {len(each['failures'])} of {runs} |"
        )
    return "\n".join(lines)


def _peers() -> list[str]:
    lines = (ROOT / "requirements" / "peers.txt").read_text().splitlines()
    return [line for line in lines if line and not line.startswith("#")]
