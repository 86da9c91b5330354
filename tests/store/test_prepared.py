"""Prepared statements: used where they help, off where a pooler would lose them."""

from __future__ import annotations

import pytest
from django.db import OperationalError, connection

from django_durable.store import prepared, sql

pytestmark = [pytest.mark.django_db, pytest.mark.only_on("postgresql")]
TEXT = "SELECT %s::bigint + 1 AS prepared_here"


@pytest.fixture(autouse=True)
def afresh(monkeypatch):
    monkeypatch.setattr(prepared, "_lost", set())


def ask(number=1):
    return sql.fetch(connection, TEXT, [number])[0][0]


def known_to_the_server():
    with connection.cursor() as cursor:
        cursor.execute("SELECT COUNT(*) FROM pg_prepared_statements WHERE statement LIKE '%%AS prepared_here'")
        return cursor.fetchone()[0]


def test_a_statement_is_prepared_at_its_second_run_on_a_connection():
    assert [ask(), known_to_the_server()] == [2, 0]
    assert [ask(), known_to_the_server()] == [2, 1]
    assert [ask(), known_to_the_server()] == [2, 1]


def test_nothing_is_prepared_where_the_project_says_that_a_pooler_is_there(monkeypatch):
    monkeypatch.setitem(connection.settings_dict, "DISABLE_SERVER_SIDE_CURSORS", True)
    assert [ask(), ask(), ask(), known_to_the_server()] == [2, 2, 2, 0]


def test_a_statement_that_a_pooler_lost_is_named_and_the_next_try_does_without():
    ask(), ask()
    with connection.cursor() as cursor:
        cursor.execute("SAVEPOINT before_it")
    connection.connection.pgconn.exec_(b"DEALLOCATE ALL")  # So that psycopg does not know: what a pooler does.
    with pytest.raises(OperationalError, match="Set DISABLE_SERVER_SIDE_CURSORS to True"):
        ask()
    connection.needs_rollback = False
    with connection.cursor() as cursor:
        cursor.execute("ROLLBACK TO SAVEPOINT before_it")
    assert [ask(), known_to_the_server()] == [2, 0]


def test_a_log_of_statements_shows_their_values(django_assert_num_queries):
    with django_assert_num_queries(1) as captured:
        ask(41)
    assert captured.captured_queries[0]["sql"] == TEXT.replace("%s", "41")
