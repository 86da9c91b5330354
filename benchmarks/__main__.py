"""`python -m benchmarks`: every contestant runs every workload, in turn, several times; medians are printed and kept.

What is compared runs side by side: round by round, so that a machine whose speed drifts drifts for all. Ratios count.
The first round tries each contestant's settings; the one that suits it best for a workload goes on.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from statistics import median

from .databases import Databases
from .environments import python_of
from .results import ROOT, keep

OURS = "durable"
CONTESTANTS = (OURS, "duroxide", "dbos", "absurd")
WORKLOADS = {"chain": (5,), "fan_out": (500, 5000), "latency": (100,), "sequence": (900,)}
BETTER_HIGH = "activities_per_second"


@dataclass(frozen=True, slots=True)
class Cell:
    """What is measured: one contestant, at one setting, with one workload on one database."""

    contestant: str
    concurrency: int
    database: str
    workload: str
    size: int

    @property
    def python(self) -> str:
        return sys.executable if self.contestant == OURS else str(python_of("peers"))


Runs = dict[Cell, list[dict[str, float]]]


def main() -> None:
    options = _options()
    cells = list(_cells(options))
    found: Runs = {cell: [] for cell in cells}
    with ExitStack() as stack:
        databases = Databases(stack)
        for number in range(options.runs):
            for cell in cells:
                print(f"round {number + 1} of {options.runs}: {cell}", file=sys.stderr)
                found[cell].append(_measure(cell, databases))
            cells = list(_best(_medians_of(found)))
        best = _best(_medians_of({cell: found[cell] for cell in cells}))
        print(_table(best))
        figures = [
            {**{name: getattr(cell, name) for name in Cell.__slots__}, "median": _medians(runs), "runs": runs}
            for cell, runs in found.items()
        ]
        keep("peers", databases, {"rounds": options.runs, "peers": _peers(), "figures": figures})


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--contestants", nargs="+", default=CONTESTANTS, choices=CONTESTANTS)
    parser.add_argument("--workloads", nargs="+", default=list(WORKLOADS), choices=list(WORKLOADS))
    parser.add_argument("--databases", nargs="+", default=["postgresql", "sqlite"])
    return parser.parse_args()


def _cells(options: argparse.Namespace) -> Iterator[Cell]:
    for workload in options.workloads:
        for database in options.databases:
            for name in options.contestants:
                module = importlib.import_module(f"benchmarks.contestants.{name}")
                if database not in module.DATABASES or workload in getattr(module, "WITHOUT", ()):
                    continue
                for concurrency in module.CONCURRENCIES:
                    for size in WORKLOADS[workload]:
                        yield Cell(name, concurrency, database, workload, size)


def _measure(cell: Cell, databases: Databases) -> dict[str, float]:
    with databases.fresh(cell.database) as url:
        drive = [cell.python, "-m", "benchmarks.drive", cell.contestant]
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        subprocess.run([*drive, "prepare", "0", url], check=True, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL)
        arguments = [*drive, cell.workload, str(cell.size), url, str(cell.concurrency)]
        run = subprocess.run(arguments, check=True, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True)
    figures: dict[str, float] = json.loads(run.stdout.splitlines()[-1])
    return figures


def _medians_of(found: Runs) -> dict[Cell, dict[str, float]]:
    return {cell: _medians(runs) for cell, runs in found.items()}


def _medians(runs: list[dict[str, float]]) -> dict[str, float]:
    return {name: median(run[name] for run in runs) for name in runs[0]}


def _best(medians: dict[Cell, dict[str, float]]) -> dict[Cell, dict[str, float]]:
    """Keep each contestant at the setting that suits it best for a workload."""
    best: dict[tuple[str, str, str, int], tuple[Cell, dict[str, float]]] = {}
    for cell, figures in medians.items():
        key = (cell.workload, cell.database, cell.contestant, cell.size)
        name, value = next(iter(figures.items()))
        known = best.get(key)
        if known is None or (value > known[1][name]) == (name == BETTER_HIGH):
            best[key] = (cell, figures)
    return dict(best.values())


def _table(best: dict[Cell, dict[str, float]]) -> str:
    lines = ["| workload | database | contestant | at | figures | ours to theirs |", "|---|---|---|---|---|---|"]
    ours = {(cell.workload, cell.database, cell.size): each for cell, each in best.items() if cell.contestant == OURS}
    for cell, figures in best.items():
        mine = ours.get((cell.workload, cell.database, cell.size), {})
        name, value = next(iter(figures.items()))
        ratio = f"{mine[name] / value:.2f}" if mine else ""
        shown = ", ".join(f"{name} {value:,.1f}" for name, value in figures.items())
        lines.append(
            f"| {cell.workload} {cell.size:,} | {cell.database} | {cell.contestant} | {cell.concurrency} | {shown} "
            f"| {ratio} |"
        )
    return "\n".join(lines)


def _peers() -> list[str]:
    return (ROOT / "requirements" / "peers.txt").read_text().split()[-5:]


if __name__ == "__main__":
    main()
