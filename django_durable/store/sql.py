"""Small helpers for the statements that are written in SQL: one text for SQLite and PostgreSQL.

Everything that differs between the two is here: how a datetime is bound and read back, and whether rows can be locked.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timezone
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import Model

ROWS_PER_STATEMENT = 500
"""Rows per multi-row INSERT: SQLite allows 32,766 parameters, and longer texts gain nothing."""


def moment(connection: BaseDatabaseWrapper, value: datetime | None) -> Any:
    """Return an aware datetime as a parameter."""
    return None if value is None else connection.ops.adapt_datetimefield_value(value)


def read_moment(value: Any) -> datetime | None:
    """Return a datetime column of a raw row as aware UTC; SQLite has it as text."""
    if value is None:
        return None
    found = datetime.fromisoformat(value) if isinstance(value, str) else value
    return found if found.tzinfo is not None else found.replace(tzinfo=timezone.utc)


def skip_locked(connection: BaseDatabaseWrapper) -> str:
    """Return the clause that takes rows nobody else holds; SQLite has one writer at a time and needs none."""
    return "FOR UPDATE SKIP LOCKED" if connection.features.has_select_for_update_skip_locked else ""


def marks(values: Sequence[Any]) -> str:
    """Return `%s, %s, ...` for an IN list."""
    return ", ".join(["%s"] * len(values))


def row_marks(rows: Sequence[Sequence[Any]]) -> str:
    """Return `(%s, ...), (%s, ...), ...` for a VALUES list."""
    return ", ".join([f"({marks(rows[0])})"] * len(rows))


def values(name: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """Return a FROM item `name` of literal rows with named columns; ints and texts only, for both databases.

    Neither database can name the columns of a bare VALUES list the same way, hence the WITH inside.
    """
    return f"(WITH v ({', '.join(columns)}) AS (VALUES {row_marks(rows)}) SELECT * FROM v) AS {name}"


def table(model: type[Model]) -> str:
    """Return a model's table name."""
    return model._meta.db_table


def insert_rows(
    connection: BaseDatabaseWrapper,
    model: type[Model],
    columns: Sequence[str],
    rows: Sequence[Sequence[Any]],
    suffix: str = "",
) -> list[tuple[Any, ...]]:
    """Insert rows by multi-row statements and return what a RETURNING clause in `suffix` gives."""
    returned: list[tuple[Any, ...]] = []
    with connection.cursor() as cursor:
        for start in range(0, len(rows), ROWS_PER_STATEMENT):
            part = rows[start : start + ROWS_PER_STATEMENT]
            cursor.execute(
                f"INSERT INTO {table(model)} ({', '.join(columns)}) VALUES {row_marks(part)} {suffix}",
                [value for row in part for value in row],
            )
            if "RETURNING" in suffix:
                returned += cursor.fetchall()
    return returned


def delete_by_id(connection: BaseDatabaseWrapper, model: type[Model], ids: Iterable[int]) -> None:
    """Delete rows by their ids."""
    found = sorted(ids)
    with connection.cursor() as cursor:
        for start in range(0, len(found), ROWS_PER_STATEMENT * 10):
            part = found[start : start + ROWS_PER_STATEMENT * 10]
            cursor.execute(f"DELETE FROM {table(model)} WHERE id IN ({marks(part)})", part)
