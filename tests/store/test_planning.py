"""How the statements of a worker find their rows: by index, however small the tables were when they were planned."""

from __future__ import annotations

from dataclasses import replace

import psycopg
import pytest
from django.db import connections

from django_durable.store import connections as store_connections, due
from django_durable.store.connections import PLANNING, look_up_by_index
from django_durable.store.records import TaskKey

from .lives import NOW, USING, start
from .turn_rows import DONE, claim_all, claim_tasks, committed, made, task

pytestmark = [pytest.mark.django_db, pytest.mark.only_on("postgresql")]
ENOUGH = 8
"""Runs after which a statement is prepared and has the plan that it keeps."""


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


def whole_tables_read():
    """Return how often each table of the app was read from end to end in the transaction of the test."""
    return dict(ask("SELECT relname, seq_scan FROM pg_stat_xact_user_tables WHERE relname LIKE 'django_durable_%'"))


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


def test_statements_that_were_planned_on_empty_tables_read_no_table_from_end_to_end():
    look_up_by_index(USING)
    for number in range(ENOUGH):
        live(number)
    before = whole_tables_read()
    live(ENOUGH)
    assert whole_tables_read() == before


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
