"""What the statements written in SQL share: one text for SQLite and PostgreSQL.

Everything in which the two differ is here, each as one named thing: how a moment is bound and read back, which rows can
be locked, how many rows are sent at once, and who may be writing at the same time.

Many rows travel as one JSON parameter. The text of a statement is then always the same, however many rows there are:
it is parsed once and cached, and no database's limit on parameters is met. On PostgreSQL that takes a third of the time
of a VALUES list; on SQLite a plain INSERT is faster row by row, with one prepared statement.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

import msgspec
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import Model

from . import prepared

HEAVY = 1_000_000
"""Characters of a JSON parameter from which on rows are inserted one by one: escaping large payloads costs more."""

_encode = msgspec.json.Encoder().encode
_TYPES = {"CharField": "text", "TextField": "text", "BooleanField": "boolean", "DateTimeField": "timestamptz"}


def moment(connection: BaseDatabaseWrapper, value: datetime | None) -> Any:
    """Return an aware datetime as a parameter."""
    return None if value is None else connection.ops.adapt_datetimefield_value(value)


def read_moment(value: Any) -> datetime | None:
    """Return a datetime column of a raw row as aware UTC; SQLite has it as text."""
    if value is None:
        return None
    found = datetime.fromisoformat(value) if isinstance(value, str) else value
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)


def lock(connection: BaseDatabaseWrapper, *, skip: bool = False, of: str = "") -> str:
    """Return the clause that locks the selected rows until the transaction ends; nothing on SQLite, where the write
    lock does that.

    Rows are locked for an update that leaves their key alone, so that a sender, whose foreign key check locks the key,
    is neither in the way nor kept waiting.
    Args:
        skip: Leave out rows that somebody else has locked instead of waiting for them.
        of: The alias whose rows are meant, where there are several tables.
    """
    if not connection.features.has_select_for_update:
        return ""
    return f"FOR NO KEY UPDATE{f' OF {of}' if of else ''}{' SKIP LOCKED' if skip else ''}"


def lock_key(connection: BaseDatabaseWrapper, *, of: str) -> str:
    """Return the clause that keeps the selected rows from being deleted, and is in the way of nothing else.

    The check of a foreign key takes the same lock when the transaction ends, and then the caller is told too late.
    """
    return f"FOR KEY SHARE OF {of}" if connection.features.has_select_for_update else ""


def unhurried(connection: BaseDatabaseWrapper) -> str:
    """Return the end of a select list that lets its statement, alone, commit without waiting for the disk.

    For what a crash of the server may undo: it is on disk no later than whatever the same connection commits next. An
    open transaction is left as it is, and SQLite does not need it.
    """
    if connection.vendor != "postgresql" or connection.in_atomic_block:
        return ""
    return ", set_config('synchronous_commit', 'off', TRUE)"


def one_writer(connection: BaseDatabaseWrapper) -> bool:
    """Tell whether an open write transaction keeps everybody else from writing."""
    return connection.vendor == "sqlite"


def table(model: type[Model]) -> str:
    """Return a model's table name."""
    return model._meta.db_table


def unheld(connection: BaseDatabaseWrapper) -> str:
    """Return the condition of the index that claims read, on a table of messages.

    SQLite uses a partial index only where its condition is repeated as it was created: Django 5.2 writes `NOT held`,
    Django 6.1 `held = 0`, and a database may have been made by either.
    """
    return "NOT held" if connection.vendor == "postgresql" else "NOT held AND held = 0"


def execute(connection: BaseDatabaseWrapper, statement: str, params: Sequence[Any] = ()) -> int:
    """Run a statement that returns no rows. Returns: how many rows it changed."""
    return prepared.run(connection, statement, params, _count)


def fetch(connection: BaseDatabaseWrapper, statement: str, params: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
    """Run a statement and return its rows."""
    return prepared.run(connection, statement, params, _rows_of)


def _count(cursor: Any) -> int:
    return int(cursor.rowcount)


def _rows_of(cursor: Any) -> list[tuple[Any, ...]]:
    return list(cursor.fetchall())


def marks(values: Sequence[Any]) -> str:
    """Return `%s, %s, ...` for an IN list."""
    return ", ".join(["%s"] * len(values))


def rows(connection: BaseDatabaseWrapper, name: str, columns: str, *, looked_up: bool = True) -> str:
    """Return a FROM item `name` that reads the rows of one parameter, which `pack` makes.

    Args:
        columns: Names and types, for example `"id bigint, status text"`. The first is never NULL.
        looked_up: Whether each row is looked up in other tables. PostgreSQL takes any JSON for a hundred rows; it is
            brought to expect one, because where it expects more it reads small tables from end to end instead, and a
            plan that was made while they were small is kept while they grow.
    """
    return _rows(connection.vendor == "postgresql", name, columns, looked_up)


@lru_cache(maxsize=256)
def _rows(postgresql: bool, name: str, columns: str, looked_up: bool) -> str:
    if postgresql:
        first = _names(columns)[0]
        few = f" WHERE {first} = ANY (ARRAY[{first}])" if looked_up else ""  # Always true, and thought to be rare.
        return f"(SELECT * FROM json_to_recordset(%s::json) AS given ({columns}){few}) AS {name}"
    parts = ", ".join(f"json_extract(value, '$.{each}') AS {each}" for each in _names(columns))
    # Materialized, so that these few rows drive a join and no index of the other table does.
    return f"(WITH given AS MATERIALIZED (SELECT {parts} FROM json_each(%s)) SELECT * FROM given) AS {name}"


def among(connection: BaseDatabaseWrapper, query: str) -> str:
    """Return the condition that a column's value is among those that `query` returns.

    On PostgreSQL they are read first, so that they lead to the rows, as few as there may have been when that was
    planned.
    """
    return f"= ANY (ARRAY({query}))" if connection.vendor == "postgresql" else f"IN ({query})"


def pack(columns: str, values: Iterable[Sequence[Any]]) -> str:
    """Return rows as the parameter that `rows` reads with the same `columns`."""
    names = _names(columns)
    return _encode([dict(zip(names, row, strict=True)) for row in values]).decode()


@lru_cache(maxsize=256)
def _names(columns: str) -> tuple[str, ...]:
    return tuple(each.split()[0] for each in columns.split(","))


def insert_rows(
    connection: BaseDatabaseWrapper,
    model: type[Model],
    columns: Sequence[str],
    values: Sequence[Sequence[Any]],
    suffix: str = "",
) -> list[tuple[Any, ...]]:
    """Insert rows by one statement, and return what a RETURNING clause in `suffix` gives."""
    if not values:
        return []
    returns = "RETURNING" in suffix
    if one_writer(connection) and not returns:
        return _insert_one_by_one(connection, model, tuple(columns), values, suffix)
    kinds = typed(model, tuple(columns))
    packed = pack(kinds, values)
    if len(packed) > HEAVY and not returns:
        return _insert_one_by_one(connection, model, tuple(columns), values, suffix)
    given = rows(connection, "given", kinds, looked_up=False)
    # "WHERE TRUE" because SQLite would read ON CONFLICT as the ON of a join.
    statement = f"INSERT INTO {table(model)} ({', '.join(columns)}) SELECT * FROM {given} WHERE TRUE {suffix}"
    if returns:
        return fetch(connection, statement, [packed])
    execute(connection, statement, [packed])
    return []


def _insert_one_by_one(
    connection: BaseDatabaseWrapper,
    model: type[Model],
    columns: tuple[str, ...],
    values: Sequence[Sequence[Any]],
    suffix: str,
) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.executemany(
            f"INSERT INTO {table(model)} ({', '.join(columns)}) VALUES ({marks(columns)}) {suffix}", values
        )
    return []


@lru_cache(maxsize=64)
def typed(model: type[Model], columns: tuple[str, ...]) -> str:
    """Return columns of a model with their types, as `rows` takes them."""
    fields = {field.column: field.get_internal_type() for field in model._meta.concrete_fields}
    return ", ".join(f"{each} {_TYPES.get(fields[each], 'bigint')}" for each in columns)


def delete_by_id(connection: BaseDatabaseWrapper, model: type[Model], ids: Iterable[int]) -> None:
    """Delete rows by their ids; one statement, none where there are no ids."""
    if each := [(id,) for id in sorted(ids)]:
        gone = among(connection, f"SELECT id FROM {rows(connection, 'gone', 'id bigint')}")
        execute(connection, f"DELETE FROM {table(model)} WHERE id {gone}", [pack("id bigint", each)])
