"""What stays flat, ours alone: `python -m benchmarks.scale NAME [--database sqlite] [--size N]`; prints JSON, keeps it.

history   `size` activities in sequence in one instance: ms a step along the way, and what a cold worker takes to go on
tables    claim, start, status poll and the admin's list, as ever more finished instances are stored, up to `size`
waiting   an idle worker's processor time and statements, with `size` instances waiting for an event and a timer
timers    `size` timers due in the same second: seconds until the last one has fired
accuracy  `size` timers due one after the other: ms between due and fired
memory    resident MB of a worker with `size` executions in memory
workers   chain throughput of one worker process and of two, `size` instances
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

Figures = dict[str, Any]
SIZES = {
    "history": 10_000,
    "tables": 1_000_000,
    "waiting": 100_000,
    "timers": 10_000,
    "accuracy": 100,
    "memory": 10_000,
    "workers": 400,
}
TICKS = os.sysconf("SC_CLK_TCK")
IDLE_SECONDS = 30
CHUNK = 2_000


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


def tables(url: str, size: int) -> Figures:
    stored, found = 0, {0: _costs()}
    for goal in sorted(each for each in {10_000, 100_000, size} if each <= size):
        _store_finished(stored, goal)
        stored = goal
        _analyze()
        found[goal] = _costs()
    ratios = {name: round(found[size][name] / found[0][name], 2) for name in found[0]}
    return {"ms_by_finished": found, "ratios": ratios, "plans": _plans()}


def _analyze() -> None:
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")


def _plans() -> dict[str, list[str]]:
    """Explain the statements that were timed, as the database runs them over the full tables."""
    from datetime import UTC, datetime, timedelta

    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    from django_durable.client import client
    from django_durable.store import activities, claims
    from django_durable.store.records import TagFilter

    now, lease = datetime.now(UTC), timedelta(seconds=30)
    calls: dict[str, Callable[[], Any]] = {
        "claim": lambda: claims.claim_instances("bench", limit=100, lease=lease, now=now),
        "claim_tasks": lambda: activities.claim_activities(
            "bench", tags=TagFilter(), limit=8, lease=lease, now=now, sessions=None
        ),
        "status": lambda: client.get_status_record("finished-7"),
    }
    explain = "EXPLAIN (ANALYZE, BUFFERS) " if connection.vendor == "postgresql" else "EXPLAIN QUERY PLAN "
    plans = {}
    for name, call in calls.items():
        with CaptureQueriesContext(connection) as seen:
            call()
        [first, *_] = [each["sql"] for each in seen if each["sql"].lstrip().upper().startswith("SELECT")]
        with connection.cursor() as cursor:
            cursor.execute(explain + first.replace("%", "%%"))
            plans[name] = [str(row[-1]) for row in cursor.fetchall()]
    return plans


def _costs() -> dict[str, float]:
    """Return the median ms of each operation that users and workers wait for."""
    from datetime import UTC, datetime, timedelta

    from django.contrib.auth.models import User
    from django.test import Client as Browser

    from django_durable.client import client
    from django_durable.store import activities, claims
    from django_durable.store.records import TagFilter

    browser = Browser(headers={"host": "localhost"})
    user, _ = User.objects.get_or_create(username="root", is_staff=True, is_superuser=True)
    browser.force_login(user)
    number = iter(range(10**9))
    key = f"polled-{time.time()}"
    client.start_orchestration(key, "chain", 1, delay=timedelta(days=1))

    def claim() -> None:
        claims.claim_instances("bench", limit=100, lease=timedelta(seconds=30), now=datetime.now(UTC))

    def claim_tasks() -> None:
        activities.claim_activities(
            "bench",
            tags=TagFilter(),
            limit=8,
            lease=timedelta(seconds=30),
            now=datetime.now(UTC),
            sessions=None,
        )

    def start() -> None:
        client.start_orchestration(f"{key}-{next(number)}", "chain", 1, delay=timedelta(days=1))

    def listing() -> None:
        assert browser.get("/admin/django_durable/instance/").status_code == 200

    return {
        "claim": _timed(claim),
        "claim_tasks": _timed(claim_tasks),
        "start": _timed(start),
        "status": _timed(lambda: client.get_status_record(key)),
        "admin_list": _timed(listing, 20),
    }


def _timed(call: Callable[[], Any], rounds: int = 200) -> float:
    taken = []
    for _ in range(rounds):
        started = time.perf_counter()
        call()
        taken.append((time.perf_counter() - started) * 1000)
    return round(median(taken), 3)


def _store_finished(already: int, size: int) -> None:
    """Insert instances that have completed, each with its execution and four events, as its worker would leave them."""
    from datetime import UTC, datetime

    from django_durable import models

    at = datetime.now(UTC)
    for first in range(already, size, CHUNK):
        rows = models.Instance.objects.bulk_create(
            models.Instance(
                instance_id=f"finished-{number}",
                orchestration=f"orchestration-{number % 20}",
                version="1.0.0",
                runtime_status="Completed",
                history_length=4,
                created_at=at,
                started_at=at,
                updated_at=at,
                completed_at=at,
            )
            for number in range(first, min(first + CHUNK, size))
        )
        models.Execution.objects.bulk_create(
            models.Execution(
                instance=row,
                number=1,
                version="1.0.0",
                status="Completed",
                input="[1]",
                output="1",
                event_count=4,
                started_at=at,
                completed_at=at,
            )
            for row in rows
        )
        kinds = ("OrchestrationStarted", "ActivityScheduled", "ActivityCompleted", "OrchestrationCompleted")
        models.HistoryEvent.objects.bulk_create(
            models.HistoryEvent(
                instance=row,
                execution_number=1,
                seq=seq,
                kind=kind,
                name="noop",
                payload="1",
                data="{}",
                recorded_at=at,
            )
            for row in rows
            for seq, kind in enumerate(kinds, 1)
        )


def waiting(url: str, size: int) -> Figures:
    with worker("durable", url, 8) as process:
        _settle()
        alone = _idle(process.pid)
        _start_many("approval", size, 7 * 24 * 3_600_000)
        _until_running(size)
        _settle()
        return {"idle_cpu_percent": {"none": alone, str(size): _idle(process.pid)}}


def _idle(pid: int) -> float:
    before = _ticks(pid)
    time.sleep(IDLE_SECONDS)
    return round((_ticks(pid) - before) / TICKS / IDLE_SECONDS * 100, 2)


def _ticks(pid: int) -> int:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


def timers(url: str, size: int) -> Figures:
    from django.db.models import Max

    from django_durable import models

    with worker("durable", url, 8):
        # Far enough ahead for all of them to be set before the first is due.
        due_at = time.time() + 15 + size / 300
        _start_many("timer_at", size, int(due_at * 1000))
        _until_running(size)
        early = time.time() < due_at
        _until(lambda: not models.Instance.objects.filter(completed_at=None).exists())
        last = models.Instance.objects.aggregate(last=Max("completed_at"))["last"].timestamp()
    return {"all_set_before_due": early, "last_fired_after_s": round(last - due_at, 2)}


def accuracy(url: str, size: int) -> Figures:
    from django_durable.client import client

    late = []
    with worker("durable", url, 8):
        for number in range(size):
            due_at = time.time() + 0.3
            client.start_orchestration(f"timer-{number}", "timer_at", int(due_at * 1000))
            client.wait_for_output(f"timer-{number}", 60_000)
            completed = client.get_status_record(f"timer-{number}").completed_at
            assert completed is not None
            late.append((completed.timestamp() - due_at) * 1000)
    return {"median_ms": round(median(late), 1), "p99_ms": round(sorted(late)[int(len(late) * 0.99)], 1)}


def memory(url: str, size: int) -> Figures:
    with worker("durable", url, 8) as process:
        _settle()
        before = _resident(process.pid)
        _start_many("approval", size, 7 * 24 * 3_600_000)
        _until_running(size)
        return {"empty_mb": before, "full_mb": _resident(process.pid)}


def _resident(pid: int) -> float:
    line = next(each for each in Path(f"/proc/{pid}/status").read_text().splitlines() if each.startswith("VmRSS"))
    return round(int(line.split()[1]) / 1024, 1)


def workers(url: str, size: int) -> Figures:
    from django_durable.client import client

    rates = {}
    for count in (1, 2):
        with ExitStack() as stack:
            for _ in range(count):
                stack.enter_context(worker("durable", url, 8))
            _settle()
            ids = [f"{count}-{number}-{time.time()}" for number in range(size)]
            started = time.perf_counter()
            for id in ids:
                client.start_orchestration(id, "chain", 5)
            for id in ids:
                client.wait_for_output(id, 600_000)
            rates[str(count)] = round(size * 5 / (time.perf_counter() - started))
    return {"activities_per_second": rates}


def _start_many(orchestration: str, size: int, input: Any) -> None:
    from django.db import transaction

    from django_durable.client import client

    for first in range(0, size, CHUNK):
        with transaction.atomic():
            for number in range(first, min(first + CHUNK, size)):
                client.start_orchestration(f"{orchestration}-{number}", orchestration, input)


def _settle() -> None:
    """Wait until a worker has started, and has run something."""
    from django_durable.client import client

    key = f"settle-{time.time()}"
    client.start_orchestration(key, "chain", 1)
    client.wait_for_output(key, 600_000)
    time.sleep(2)


def _until_running(size: int) -> None:
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


MEASURES = {each.__name__: each for each in (history, tables, waiting, timers, accuracy, memory, workers)}


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
