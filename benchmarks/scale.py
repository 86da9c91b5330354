"""What stays flat, ours alone: `python -m benchmarks.scale NAME [--database sqlite] [--size N]`; prints JSON, keeps it.

history   `size` activities in sequence in one instance: ms a step along the way, and what a cold worker takes to go on
tables    claim, start, status poll and the admin's list, as ever more finished instances are stored, up to `size`
waiting   what an idle worker takes with `size` instances waiting for an event and a timer, and its memory with 10,000
timers    `size` timers due in the same second: seconds until the last one has fired
accuracy  `size` timers due one after the other: ms between due and fired
workers   chain throughput of one worker process and of two, in turn, `size` instances
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

from . import stamps
from .contestants import durable
from .databases import Databases
from .drive import worker
from .results import keep
from .tables import tables

Figures = dict[str, Any]
SIZES = {
    "history": 10_000,
    "tables": 1_000_000,
    "waiting": 100_000,
    "timers": 10_000,
    "accuracy": 100,
    "workers": 400,
}
TICKS = os.sysconf("SC_CLK_TCK")
IDLE_SECONDS = 20
REPORTED_SECONDS = 11
"""How long an idle process of PostgreSQL may keep its counts to itself, and some more."""

CHUNK = 2_000
HOT = 10_000
"""Executions that a worker keeps in memory, as the benchmarks' project is set."""

WEEK_MS = 7 * 24 * 3_600_000


def history(url: str, size: int) -> Figures:
    from django_durable.client import client

    os.environ[stamps.VARIABLE] = os.path.join(tempfile.mkdtemp(prefix="benchmark-"), "stamps")
    path = Path(os.environ[stamps.VARIABLE])
    with worker("durable", url, 8) as process:
        _settle()
        path.write_bytes(b"")
        client.start_orchestration("long", "long", size)
        _until(lambda: len(stamps.read(path)) >= size)
        _until(lambda: bool(client.get_kv_value("long", "waits")))
        process.kill()
        process.wait()
    steps = [(after - before) * 1000 for before, after in pairwise(stamps.read(path)[:size])]
    with worker("durable", url, 8):
        _settle()
        started = time.perf_counter()
        client.raise_event("long", "go_on")
        client.wait_for_output("long", 60_000)
        resumed = time.perf_counter() - started
    hundreds = [round(median(steps[first : first + 100]), 3) for first in range(0, size, 100)]
    return {
        "median_ms_by_hundreds": hundreds,
        "first_ms": hundreds[0],
        "last_ms": round(median(steps[-100:]), 3),
        "median_ms": round(median(steps), 3),
        "ratio": round(median(steps[-100:]) / median(steps[:100]), 2),
        "resumed_cold_in_s": round(resumed, 3),
    }


def waiting(url: str, size: int) -> Figures:
    with worker("durable", url, 8) as process:
        _settle()
        empty = _resident(process.pid)
        idle = {"0": _idle(process.pid)}
        hot = min(HOT, size)
        _start_many("approval", range(hot), WEEK_MS)
        _until_running()
        full = _resident(process.pid)
        _start_many("approval", range(hot, size), WEEK_MS)
        _until_running()
        _settle()
        idle[str(size)] = _idle(process.pid)
    return {"idle": idle, "memory_mb": {"0": empty, str(hot): full}}


def _idle(pid: int) -> Figures:
    """Return what a worker with nothing to do takes: percent of a core, and transactions a second, each one a query."""
    time.sleep(REPORTED_SECONDS)
    ticks, transactions = _ticks(pid), _transactions()
    time.sleep(IDLE_SECONDS)
    asked = None if transactions is None else (_transactions() or 0) - transactions - 1
    return {
        "cpu_percent": round((_ticks(pid) - ticks) / TICKS / IDLE_SECONDS * 100, 2),
        "queries_per_second": None if asked is None else round(asked / IDLE_SECONDS, 2),
    }


def _ticks(pid: int) -> int:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


def _transactions() -> int | None:
    """Return how many transactions the database has seen; None on SQLite, which does not count."""
    from django.db import connection

    if connection.vendor != "postgresql":
        return None
    with connection.cursor() as cursor:
        cursor.execute("SELECT xact_commit + xact_rollback FROM pg_stat_database WHERE datname = current_database()")
        return int(cursor.fetchone()[0])


def timers(url: str, size: int) -> Figures:
    from django.db.models import Max

    from django_durable import models

    with worker("durable", url, 8):
        # Far enough ahead for all of them to be set before the first is due.
        due_at = time.time() + 10 + size / 500
        _start_many("timer_at", range(size), int(due_at * 1000))
        _until_running()
        early = time.time() < due_at
        _until(lambda: not models.Instance.objects.filter(completed_at=None).exists())
        last = models.Instance.objects.aggregate(last=Max("completed_at"))["last"].timestamp()
    return {"all_set_before_due": early, "last_fired_after_s": round(last - due_at, 2)}


def accuracy(url: str, size: int) -> Figures:
    from django_durable.client import client

    late = []
    with worker("durable", url, 8):
        _settle()
        for number in range(size):
            due_at = time.time() + 0.15
            client.start_orchestration(f"timer-{number}", "timer_at", int(due_at * 1000))
            client.wait_for_output(f"timer-{number}", 60_000)
            completed = client.get_status_record(f"timer-{number}").completed_at
            assert completed is not None
            late.append((completed.timestamp() - due_at) * 1000)
    return {"median_ms": round(median(late), 1), "p99_ms": round(sorted(late)[int(len(late) * 0.99)], 1)}


def _resident(pid: int) -> float:
    line = next(each for each in Path(f"/proc/{pid}/status").read_text().splitlines() if each.startswith("VmRSS"))
    return round(int(line.split()[1]) / 1024, 1)


def workers(url: str, size: int) -> Figures:
    rates: dict[int, list[float]] = {1: [], 2: []}
    for _ in range(3):
        for count, found in rates.items():
            found.append(_rate(url, size, count))
    medians = {str(count): round(median(found)) for count, found in rates.items()}
    return {"activities_per_second": medians, "ratio": round(medians["2"] / medians["1"], 2)}


def _rate(url: str, size: int, count: int) -> float:
    from django_durable.client import client

    with ExitStack() as stack:
        for _ in range(count):
            stack.enter_context(worker("durable", url, 8))
        _until_workers(count)
        _settle()
        ids = [f"{count}-{number}-{time.time()}" for number in range(size)]
        started = time.perf_counter()
        for id in ids:
            client.start_orchestration(id, "chain", 5)
        for id in ids:
            client.wait_for_output(id, 600_000)
        return size * 5 / (time.perf_counter() - started)


def _until_workers(count: int) -> None:
    from django_durable import models

    _until(lambda: models.Worker.objects.filter(stopping=False).count() >= count)


def _start_many(orchestration: str, numbers: range, input: Any) -> None:
    from django.db import transaction

    from django_durable.client import client

    for first in range(numbers.start, numbers.stop, CHUNK):
        with transaction.atomic():
            for number in range(first, min(first + CHUNK, numbers.stop)):
                client.start_orchestration(f"{orchestration}-{number}", orchestration, input)


def _settle() -> None:
    """Wait until a worker has started, and has run something."""
    from django_durable.client import client

    key = f"settle-{time.time()}"
    client.start_orchestration(key, "chain", 1)
    client.wait_for_output(key, 600_000)
    time.sleep(2)


def _until_running() -> None:
    from django_durable import models

    _until(lambda: not models.Instance.objects.filter(runtime_status="Pending").exists())


def _until(condition: Callable[[], bool], seconds: float = 900) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "It did not come to pass."
        time.sleep(0.2)


@contextmanager
def _project(databases: Databases, vendor: str) -> Iterator[str]:
    """Make a database with the tables, and set Django up for it in this process."""
    with databases.fresh(vendor) as url:
        durable.prepare(url)
        from django.db import connections

        yield url
        connections.close_all()


MEASURES = {each.__name__: each for each in (history, tables, waiting, timers, accuracy, workers)}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scale", description=__doc__)
    parser.add_argument("name", choices=MEASURES)
    parser.add_argument("--database", default="postgresql", choices=("postgresql", "sqlite"))
    parser.add_argument("--size", type=int)
    options = parser.parse_args()
    size = options.size or SIZES[options.name]
    with ExitStack() as stack:
        databases = Databases(stack)
        with _project(databases, options.database) as url:
            figures = {"size": size, **MEASURES[options.name](url, size)}
        print(keep(f"{options.name}-{options.database}", databases, figures).read_text())


if __name__ == "__main__":
    main()
