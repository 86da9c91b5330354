"""What operations cost as ever more finished instances are stored. Run by `benchmarks.scale tables`."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from statistics import median
from typing import Any

from .results import say

LEASE = timedelta(seconds=30)
STEPS = (10_000, 100_000)
WARM_UP = 10

# As the worker would leave them: each with its execution and the four events of one activity. Made by the database
# itself, since a million by a client's statements takes longer than everything else that is measured.
INSTANCES = """
INSERT INTO django_durable_instance (
    instance_id, orchestration, version, runtime_status, execution_number, history_length, custom_status_version,
    revision, lease_token, turn_attempts, created_at, started_at, updated_at, completed_at
)
SELECT 'finished-' || n, 'orchestration-' || (n % 20), '1.0.0', 'Completed', 1, 4, 0, 3, 2, 0, {at}, {at}, {at}, {at}
FROM {numbers}
"""
EXECUTIONS = """
INSERT INTO django_durable_execution (
    instance_id, number, version, status, input, output, event_count, started_at, completed_at
)
SELECT id, 1, version, 'Completed', '[1]', '1', 4, started_at, completed_at
FROM django_durable_instance WHERE id > {last}
"""
EVENTS = """
INSERT INTO django_durable_historyevent (instance_id, execution_number, seq, kind, name, payload, data, recorded_at)
SELECT id, 1, column1, column2, 'noop', '1', '{{}}', completed_at
FROM django_durable_instance CROSS JOIN (VALUES
    (1, 'OrchestrationStarted'), (2, 'ActivityScheduled'), (3, 'ActivityCompleted'), (4, 'OrchestrationCompleted')
) AS kinds WHERE id > {last}
"""


def tables(url: str, size: int) -> dict[str, Any]:
    stored, found = 0, {0: _costs()}
    for goal in sorted({*(each for each in STEPS if each < size), size}):
        begun = time.monotonic()
        _store_finished(stored, goal)
        say(f"stored {goal - stored:,} finished instances in {time.monotonic() - begun:.0f} s")
        stored = goal
        found[goal] = _costs()
    ratios = {name: round(found[size][name] / found[0][name], 2) for name in found[0]}
    return {"ms_by_finished": found, "ratios": ratios, "plans": _plans()}


def _store_finished(first: int, last: int) -> None:
    """Insert the finished instances from one number to another, and let the database count what it has."""
    from django.db import connection, transaction

    from django_durable.models import Instance

    if connection.vendor == "sqlite":
        counted = f"SELECT {first} AS n UNION ALL SELECT n + 1 FROM numbers WHERE n < {last - 1}"
        numbers = f"(WITH RECURSIVE numbers AS ({counted}) SELECT n FROM numbers)"
        at = "strftime('%Y-%m-%d %H:%M:%f', 'now')"
    else:
        numbers, at = f"generate_series({first}, {last - 1}) n", "now()"
    newest = Instance.objects.order_by("-id").values_list("id", flat=True).first() or 0
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(INSTANCES.format(numbers=numbers, at=at))
        cursor.execute(EXECUTIONS.format(last=newest))
        cursor.execute(EVENTS.format(last=newest))
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE" if connection.vendor == "postgresql" else "ANALYZE")


def _costs() -> dict[str, float]:
    """Return the median ms of each operation that users and workers wait for."""
    from django.contrib.auth.models import User
    from django.test import Client as Browser

    from django_durable.client import client
    from django_durable.store.connections import close_all, look_up_by_index

    browser = Browser(headers={"host": "localhost"})
    user, _ = User.objects.get_or_create(username="root", is_staff=True, is_superuser=True)
    browser.force_login(user)
    number = iter(range(10**9))
    key = f"polled-{time.time()}"
    client.start_orchestration(key, "chain", 1, delay=timedelta(days=1))

    def start() -> None:
        client.start_orchestration(f"{key}-{next(number)}", "chain", 1, delay=timedelta(days=1))

    def listing() -> None:
        assert browser.get("/admin/django_durable/instance/").status_code == 200

    with ThreadPoolExecutor(1) as worker:  # Whose connection is set up as a worker's; that of the rest is Django's.
        worker.submit(look_up_by_index, "default").result()
        claim, claim_tasks = (worker.submit(_timed, each).result() for each in (_claim, _claim_tasks))
        worker.submit(close_all).result()
    return {
        "claim": claim,
        "claim_tasks": claim_tasks,
        "start": _timed(start),
        "status": _timed(lambda: client.get_status_record(key)),
        "admin_list": _timed(listing, 20),
    }


def _claim() -> None:
    from django_durable.store import claims

    claims.claim_instances("bench", limit=100, lease=LEASE, now=datetime.now(UTC))


def _claim_tasks() -> None:
    from django_durable.store import activities
    from django_durable.store.records import TagFilter

    activities.claim_activities("bench", tags=TagFilter(), limit=8, lease=LEASE, now=datetime.now(UTC), sessions=None)


def _timed(call: Callable[[], Any], rounds: int = 200) -> float:
    taken = []
    for _ in range(WARM_UP):
        call()
    for _ in range(rounds):
        started = time.perf_counter()
        call()
        taken.append((time.perf_counter() - started) * 1000)
    return round(median(taken), 3)


def _plans() -> dict[str, list[str]]:
    """Explain the statements that were timed, as the database runs them over the full tables."""
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    from django_durable.client import client

    calls: dict[str, Callable[[], Any]] = {
        "claim": _claim,
        "claim_tasks": _claim_tasks,
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
