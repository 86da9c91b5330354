"""What the engine must reach, and whether what was kept last reaches it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

from .results import kept, kept_peers

DATABASES = {"postgresql": "PostgreSQL", "sqlite": "SQLite"}
Kept = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Target:
    """One figure that has to be at least (or at most) some number; `found` is None where nothing was kept of it."""

    what: str
    need: float
    found: float | None
    at_least: bool = False
    unit: str = ""

    @property
    def reached(self) -> bool | None:
        if self.found is None:
            return None
        return self.found >= self.need if self.at_least else self.found <= self.need

    @property
    def row(self) -> tuple[str, str, str, str]:
        """Return it as the cells of a table: what, wanted, found, reached."""
        found = "not measured" if self.found is None else _shown(self.found, self.unit)
        words = {None: "-", True: "yes", False: "**no**"}
        bound = "at least" if self.at_least else "at most"
        return self.what, f"{bound} {_shown(self.need, self.unit)}", found, words[self.reached]


HEAD = ("Target", "wanted", "found", "reached")


def targets() -> list[Target]:
    """Return every target with what was kept last."""
    return [each for part in (_compared, _latency, _long, _big, _waiting, _workers) for each in part()]


def told() -> str:
    """Return the targets as lines of text."""
    rows = [HEAD, *(each.row for each in targets())]
    widths = [max(len(row[place]) for row in rows) for place in range(len(HEAD))]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)


def _compared() -> Iterator[Target]:
    for database, shown in DATABASES.items():
        rates = _rates("chain", database, 5)
        yield _times(f"Chain on {shown}, to Duroxide", 10, rates, ["duroxide"])
        if database == "postgresql":
            yield _times(f"Chain on {shown}, to the best other peer", 5, rates, ["dbos", "absurd"])
        else:
            yield Target(f'"database is locked" on {shown}', 0, _locked(database))
        for size in (500, 5_000):
            yield _times(
                f"Fan-out of {size:,} on {shown}, to Duroxide", 10, _rates("fan_out", database, size), ["duroxide"]
            )


def _figures(workload: str, database: str, size: int) -> dict[str, Kept]:
    return {
        each["contestant"]: each
        for each in (kept_peers() or {"figures": []})["figures"]
        if (each["workload"], each["database"], each["size"]) == (workload, database, size)
    }


def _rates(workload: str, database: str, size: int) -> dict[str, float]:
    """Return activities a second by contestant; what it did not even reach, where no run was done in time."""
    found = _figures(workload, database, size)
    rates = {
        name: each["median"]["activities_per_second"] if each["median"] else each["below"]
        for name, each in found.items()
    }
    return {name: rate for name, rate in rates.items() if rate}


def _times(what: str, need: float, rates: dict[str, float], peers: list[str]) -> Target:
    theirs = [rates[each] for each in peers if each in rates]
    found = rates["durable"] / max(theirs) if theirs and "durable" in rates else None
    return Target(what, need, found, at_least=True, unit=" x")


def _locked(database: str) -> float | None:
    """Count the runs of ours that failed, and what was said of locks in the others."""
    ours = [
        each
        for each in (kept_peers() or {"figures": []})["figures"]
        if (each["contestant"], each["database"]) == ("durable", database)
    ]
    return sum(len(each["failures"]) + sum(run["locked"] for run in each["runs"]) for each in ours) if ours else None


def _latency() -> Iterator[Target]:
    for database, bounds in {"postgresql": {"p50_ms": 5, "p99_ms": 20}, "sqlite": {"p50_ms": 10}}.items():
        ours = _figures("latency", database, 100).get("durable")
        for name, bound in bounds.items():
            found = ours["median"][name] if ours and ours["median"] else None
            yield Target(f"Start to output on {DATABASES[database]}, {name[:3]}", bound, found, unit=" ms")
    yield from _each("accuracy", ("A timer alone fires late, p99, on", 20, " ms", lambda found: found["p99_ms"]))


def _long() -> Iterator[Target]:
    yield from _each(
        "history",
        ("10,000 steps: the last hundred to the first, on", 1.1, " x", lambda found: found["ratio"]),
        ("10,000 steps: a step at the end, on", 1.5, " ms", lambda found: found["last_ms"]),
        ("10,000 steps: resumed cold, on", 1, " s", lambda found: found["resumed_cold_in_s"]),
    )


def _big() -> Iterator[Target]:
    for name in ("claim", "start", "status", "admin_list"):
        what = f"1,000,000 finished: {name.replace('_', ' ')} to none stored, on"
        yield from _each("tables", (what, 1.2, " x", partial(_grown, name)))


def _grown(name: str, found: Kept) -> float:
    return float(found["ratios"][name])


def _waiting() -> Iterator[Target]:
    yield from _each(
        "waiting",
        ("100,000 waiting: idle worker, more of a core than with none, on", 0.2, " %", _more_idle),
        ("Idle worker, of a core, on", 1, " %", lambda found: found["idle"]["0"]["cpu_percent"]),
        ("10,000 hot executions, on", 300, " MB", lambda found: found["memory_mb"]["10000"]),
    )
    found = kept("waiting-postgresql")
    queries = found["idle"]["0"]["queries_per_second"] if found else None
    yield Target("Idle worker on PostgreSQL, queries a second", 2, queries)
    yield from _each(
        "timers", ("10,000 timers of one second: the last one, on", 10, " s", lambda found: found["last_fired_after_s"])
    )


def _more_idle(found: Kept) -> float:
    idle: dict[str, Kept] = found["idle"]
    return round(float(idle[str(found["size"])]["cpu_percent"] - idle["0"]["cpu_percent"]), 2)


def _workers() -> Iterator[Target]:
    for database, shown in DATABASES.items():
        found = kept(f"workers-{database}")
        ratio = found["ratio"] if found else None
        yield Target(f"Throughput of two workers to one, on {shown}", 1, ratio, at_least=True, unit=" x")


def _each(name: str, *bounds: tuple[str, float, str, Callable[[Kept], float]]) -> Iterator[Target]:
    """Yield targets that hold alike on both databases."""
    for what, need, unit, read in bounds:
        for database, shown in DATABASES.items():
            found = kept(f"{name}-{database}")
            yield Target(f"{what} {shown}", need, read(found) if found else None, unit=unit)


def _shown(value: float, unit: str) -> str:
    return f"{value:,.2f}".rstrip("0").rstrip(".") + unit
