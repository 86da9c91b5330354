"""How the whole system is, at a cost that does not grow with what has ended."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import connection

from django_durable.engine.states import RuntimeStatus
from django_durable.store import overview

from .lives import FAILED, NOW, USING, finish, start

pytestmark = pytest.mark.django_db
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def look(now=NOW):
    return overview.overview_of(now=now, ended_since=now - HOUR, failed_since=now - DAY, using=USING)


def test_what_ended_lately_is_counted_by_how_it_ended():
    finish("good")
    finish("bad", FAILED)
    start("open")
    found = look(NOW + timedelta(minutes=1))
    assert found.ended == {"Completed": 1, "Failed": 1, "Canceled": 0, "Terminated": 0}
    assert {status: count for status, count in found.by_status.items() if count} == {
        "Pending": 1,
        "Completed": 1,
        "Failed": 1,
    }
    later = look(NOW + 2 * HOUR)
    assert (sum(later.ended.values()), later.failed) == (0, 1)
    assert look(NOW + 2 * DAY).failed == 0


def test_a_status_is_counted_as_far_as_the_limit_and_every_status_is_there():
    for number in range(3):
        finish(f"order-{number}")
    start("open")
    counted = overview.count_by_status(limit=2, using=USING)
    assert list(counted) == list(RuntimeStatus)
    assert (counted[RuntimeStatus.COMPLETED], counted[RuntimeStatus.PENDING]) == (2, 1)


def test_an_overview_is_four_queries_and_reads_no_payload(django_assert_num_queries):
    finish("order-7")
    with django_assert_num_queries(4) as captured:
        look()
    read = " ".join(each["sql"] for each in captured.captured_queries)
    assert "django_durable_historyevent" not in read
    assert "django_durable_execution" not in read


def test_what_ended_lately_is_found_by_the_end_of_an_index(django_assert_num_queries):
    for number in range(3):
        finish(f"order-{number}")
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("SET LOCAL enable_seqscan = off")  # three rows are read faster than an index
    with django_assert_num_queries(4) as captured:
        look()
    statement = next(each["sql"] for each in captured.captured_queries if "completed_at" in each["sql"])
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN {'QUERY PLAN ' if connection.vendor == 'sqlite' else ''}{statement}")
        plan = " ".join(str(row[-1]) for row in cursor.fetchall())
    assert "durable_instance_by_end" in plan
