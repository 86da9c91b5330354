"""What the pages and lists for operators cost over very many finished instances.

    DATABASE_URL=sqlite:////tmp/lists.sqlite3 python -m benchmarks.lists --rows 1000000

Fills the database (an empty one of its own) once with generated instances, asks for each page as a user would, and
prints how long the page took, how long its queries took, and the plan of the slowest one.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Iterator
from typing import Any

import django
from django.core.management import call_command
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext, override_settings

LIST = "/admin/django_durable/instance/"
ROUNDS = 3

# One in 10 is a child of the instance before it, one in 20 failed, one in 10,000 was started at an old version; the
# newest 1,000 have not ended. The whole was started over 90 days.
INSTANCES = """
INSERT INTO django_durable_instance (
    id, instance_id, orchestration, version, runtime_status, execution_number, history_length, parent_id,
    parent_execution, parent_seq, root_id, custom_status, custom_status_version, revision, lease_token, turn_attempts,
    created_at, started_at, updated_at, completed_at
)
SELECT n, 'order-' || n, 'shop.workflows.' || CASE n % 5 WHEN 0 THEN 'import' WHEN 1 THEN 'reprice' ELSE 'checkout' END,
       CASE WHEN n % 10000 = 3 THEN '0.9.0' ELSE '1.0.0' END,
       CASE WHEN n > {rows} - 1000 THEN 'Running' WHEN n % 20 = 7 THEN 'Failed' ELSE 'Completed' END,
       1, 12, {parent}, {one}, {one}, {parent}, '{{"progress": 1}}', 1, 9, 4, 0,
       {at}, {at}, {at}, CASE WHEN n > {rows} - 1000 THEN NULL ELSE {at} END
FROM {numbers}
"""
EXECUTIONS = """
INSERT INTO django_durable_execution (
    instance_id, number, version, status, input, output, event_count, started_at, completed_at
)
SELECT id, 1, version, runtime_status,
       '{"order_id": 7}', '"done"', CASE WHEN completed_at IS NULL THEN NULL ELSE 12 END, started_at, completed_at
FROM django_durable_instance
"""


def fill(rows: int) -> None:
    """Generate instances in an empty database."""
    age = f"({rows} - n) * 90 * 86400.0 / {rows}"
    child = "n % 10 = 9"
    if connection.vendor == "sqlite":
        numbers = f"(WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < {rows}) SELECT n FROM c)"
        at = f"strftime('%Y-%m-%d %H:%M:%f', 'now', '-' || ({age}) || ' seconds')"
    else:
        numbers = f"generate_series(1, {rows}) n"
        at = f"now() - ({age}) * interval '1 second'"
    parent, one = f"CASE WHEN {child} THEN n - 1 END", f"CASE WHEN {child} THEN 1 END"
    with connection.cursor() as cursor:
        cursor.execute(INSTANCES.format(rows=rows, numbers=numbers, at=at, parent=parent, one=one))
        cursor.execute(EXECUTIONS)
        if connection.vendor == "postgresql":
            cursor.execute("SELECT setval(pg_get_serial_sequence('django_durable_instance', 'id'), %s)", [rows])
            cursor.execute("VACUUM ANALYZE")


def pages(rows: int) -> Iterator[tuple[str, str]]:
    """Yield what is asked for, by name."""
    yield "first page", LIST
    yield "page in the middle", f"{LIST}?older={rows // 2}"
    yield "newer than the oldest", f"{LIST}?newer=10"
    yield "status: Completed", f"{LIST}?status=Completed"
    yield "status: Blocked (none)", f"{LIST}?status=Blocked"
    yield "status: Failed, last hour", f"{LIST}?status=Failed&created=1h"
    yield "orchestration", f"{LIST}?orchestration=shop.workflows.import"
    yield "orchestration (none)", f"{LIST}?orchestration=shop.workflows.nothing"
    yield "orchestration and version (rare)", f"{LIST}?orchestration=shop.workflows.checkout&version=0.9.0"
    yield "version (rare)", f"{LIST}?version=0.9.0"
    yield "version (none)", f"{LIST}?version=7.7.7"
    yield "created in the last hour", f"{LIST}?created=1h"
    yield "created in the last 7 days", f"{LIST}?created=7d"
    yield "children", f"{LIST}?parent=yes"
    yield "roots", f"{LIST}?parent=no"
    yield "lease ran out", f"{LIST}?stuck=lease"
    yield "search: everything", f"{LIST}?q=order-"
    yield "search: some", f"{LIST}?q=order-1234"
    yield "search: one", f"{LIST}?q=order-{rows // 3}"
    yield "search: none", f"{LIST}?q=nothing"
    yield "overview", f"{LIST}overview/"
    yield "one instance", f"{LIST}{rows // 2}/change/"
    yield "REST list", "/durable/instances/"
    yield "REST, created before long ago", "/durable/instances/?created_before=2000-01-01T00:00:00Z"
    yield "REST, completed before long ago", "/durable/instances/?completed_before=2000-01-01T00:00:00Z"
    yield "REST, completed after now", "/durable/instances/?completed_after=2100-01-01T00:00:00Z"
    yield "REST metrics", "/durable/metrics/"


def plan_of(query: str) -> str:
    prefix = "EXPLAIN QUERY PLAN " if connection.vendor == "sqlite" else "EXPLAIN "
    with connection.cursor() as cursor:
        cursor.execute(prefix + query.replace("%", "%%") if connection.vendor == "sqlite" else prefix + query)
        return " | ".join(str(row[-1]).strip() for row in cursor.fetchall())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--plans", action="store_true", help="print the plan of each page's slowest query")
    asked = parser.parse_args()
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "example_project.settings")
    django.setup()
    call_command("migrate", verbosity=0)
    from django.contrib.auth.models import User

    from django_durable.models import Instance

    if not Instance.objects.exists():
        started = time.perf_counter()
        fill(asked.rows)
        print(f"filled {asked.rows:,} rows in {time.perf_counter() - started:.0f} s")
    user, _ = User.objects.get_or_create(username="root", is_superuser=True, is_staff=True)
    client = Client()
    client.force_login(user)
    print(f"{connection.vendor}: best of {ROUNDS}; page, its queries, the slowest one\n")
    with override_settings(ROOT_URLCONF="benchmarks.urls"):
        for name, address in pages(asked.rows):
            measure(client, name, address, plans=asked.plans)


def measure(client: Client, name: str, address: str, *, plans: bool) -> None:
    best: tuple[float, list[dict[str, Any]]] | None = None
    for _ in range(ROUNDS):
        with CaptureQueriesContext(connection) as captured:
            started = time.perf_counter()
            answer = client.get(address)
            took = time.perf_counter() - started
        if answer.status_code != 200:
            print(f"{name:36} {answer.status_code}")
            return
        if best is None or took < best[0]:
            best = took, list(captured.captured_queries)
    assert best is not None
    took, queries = best
    slowest = max(queries, key=lambda each: float(each["time"]))
    whole = sum(float(each["time"]) for each in queries)
    print(f"{name:36} {took * 1000:8.0f} ms {whole * 1000:8.0f} ms {float(slowest['time']) * 1000:8.0f} ms")
    if plans:
        print(f"    {plan_of(slowest['sql'])[:600]}")


if __name__ == "__main__":
    main()
