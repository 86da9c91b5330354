"""How the statements of a worker find their rows: by index, however small the tables were when they were planned."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import psycopg
import pytest
from django.db import connections

from django_durable.store import connections as store_connections, due, sql
from django_durable.store.connections import PLANNING, look_up_by_index
from django_durable.store.records import TaskKey

from .lives import NOW, USING, row, start
from .turn_rows import DONE, claim_all, claim_tasks, committed, made, task

pytestmark = [pytest.mark.django_db, pytest.mark.only_on("postgresql")]
ENOUGH = 8
"""Runs after which a statement is prepared and has the plan that it keeps."""

MANY = 2_000


@pytest.fixture(autouse=True)
def afterwards():
    yield
    for setting in PLANNING:
        ask(f"RESET {setting}")


def ask(statement):
    with connections[USING].cursor() as cursor:
        cursor.execute(statement)
        return cursor.fetchall() if cursor.description else []


def settings():
    return {name: ask(f"SHOW {name}")[0][0] for name in PLANNING}


def rows_read():
    """Return how many rows of the app's tables were read in the transaction of the test."""
    read = "SELECT relname, seq_tup_read, COALESCE(idx_tup_fetch, 0) FROM pg_stat_xact_user_tables"
    return {name: one + other for name, one, other in ask(f"{read} WHERE relname LIKE 'django_durable_%'")}


def fill():
    """Add finished instances, and tasks and messages that wait for long."""
    add = "INSERT INTO django_durable_{} (instance_id, {}) SELECT {}, {} FROM generate_series(1, {}) AS each (number)"
    later = f"'{NOW + timedelta(days=1)}'::timestamptz"
    columns = {
        "instance": {
            "orchestration": "'o'",
            "version": "'1'",
            "runtime_status": "'Completed'",
            "execution_number": "1",
            **dict.fromkeys(("history_length", "custom_status_version", "revision", "lease_token"), "1"),
            "turn_attempts": "0",
            **dict.fromkeys(("created_at", "updated_at", "completed_at"), later),
        },
        "execution": {
            "number": "number + 1",
            "version": "'1'",
            "status": "'Completed'",
            "input": "''",
            "event_count": "1",
            **dict.fromkeys(("started_at", "completed_at"), later),
        },
        "inboxmessage": {"kind": "'TimerFired'", "held": "FALSE", "visible_at": later, "created_at": later},
        "activitytask": {
            "execution_number": "1",
            "seq": "number + 100",
            "name": "'a'",
            "input": "''",
            "session_id": "''",
            **dict.fromkeys(("attempt", "deliveries", "lease_token", "priority"), "0"),
            "tag": "''",
            "visible_at": later,
            "created_at": later,
        },
    }
    pk = str(row("order-0").pk)
    for table, values in columns.items():
        first = "'done-' || number" if table == "instance" else pk
        ask(add.format(table, ", ".join(values), first, ", ".join(values.values()), MANY))


def live(number):
    """Start an instance, and take it through a step of a chain to its end's last activity."""
    start(f"order-{number}")
    [claimed] = claim_all().values()
    committed(made(claimed, task(), eager=frozenset([2]), keep_lease=True))
    step = replace(claimed, history_length=2, messages=[])
    finished = [(TaskKey(claimed.id, 1, 2), 1)]
    committed(made(step, DONE, task("next"), finished_tasks=finished))
    assert claim_tasks()
    due.next_due(NOW, using=USING)


def most_read(number):
    """Return how many rows of one table it takes to `live`."""
    before = rows_read()
    live(number)
    return max(count - before[name] for name, count in rows_read().items())


def test_what_statements_read_does_not_grow_with_the_tables():
    """Neither from end to end nor along an index."""
    look_up_by_index(USING)
    for number in range(ENOUGH):
        live(number)
    fill()
    ask("ANALYZE")
    assert most_read(ENOUGH) < MANY / 10


def test_rows_that_are_looked_up_are_thought_to_be_few():
    """Else a table that was small when a statement was planned would be read instead."""
    rows = sql.rows(connections[USING], "given", "pk bigint, word text").replace("%s", "'[]'")
    [(plan,)] = ask(f"EXPLAIN (FORMAT JSON) SELECT * FROM {rows}")
    assert plan[0]["Plan"]["Plan Rows"] == 1


def test_messages_are_found_by_their_instances_or_ids_even_if_there_seemed_to_be_none():
    look_up_by_index(USING)
    ask("ANALYZE")
    for number in range(ENOUGH):
        live(number)
    fill()
    before = rows_read()["django_durable_inboxmessage"]
    live(ENOUGH)
    assert rows_read()["django_durable_inboxmessage"] - before < MANY / 10


def test_a_connection_finds_rows_by_index_once_it_is_told_to():
    assert settings() != PLANNING
    assert look_up_by_index(USING) is store_connections.current(USING)
    assert settings() == PLANNING


def test_nothing_is_set_on_a_connection_that_a_pooler_would_hand_on(monkeypatch):
    before = settings()
    monkeypatch.setattr(psycopg.ConnectionInfo, "backend_pid", 1)  # A pooler tells the driver a number of its own.
    look_up_by_index(USING)
    assert settings() == before


def test_nothing_is_set_where_nothing_is_prepared(monkeypatch):
    before = settings()
    monkeypatch.setitem(connections[USING].settings_dict, "DISABLE_SERVER_SIDE_CURSORS", True)
    look_up_by_index(USING)
    assert settings() == before
