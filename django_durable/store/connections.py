"""The connections of threads that live long: refreshed around each piece of work, closed where they were opened."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from datetime import datetime
from typing import Any

from django.db import Error, connections, transaction

from ..engine.errors import WrongDatabase
from .prepared import prepares

DatabaseFault = Error
"""Whatever a database raises, for callers above this layer."""


SQLSTATES = ("08", "53", "57P", "58")
"""What PostgreSQL says when it cannot do what it was asked, whatever that was: connection lost, insufficient resources,
shutting down, system error."""

SQLITE_CODES = (sqlite3.SQLITE_NOMEM, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_FULL, sqlite3.SQLITE_CANTOPEN)
"""The same of SQLite."""


def hinders(error: BaseException) -> bool:
    """Tell whether an error says that the database could not do its work, so that what was asked may be right."""
    cause = error.__cause__ if isinstance(error, Error) else None
    if isinstance(state := getattr(cause, "sqlstate", None), str):
        return state.startswith(SQLSTATES)
    return getattr(cause, "sqlite_errorcode", 0) & 0xFF in SQLITE_CODES


def aliases() -> list[str]:
    """Return the names of the project's databases."""
    return list(connections)


def checked_alias(using: str) -> str:
    """Return the name of one of the project's databases. Raises: WrongDatabase: there is none of that name."""
    if using not in connections.settings:
        known = ", ".join(repr(each) for each in connections)
        raise WrongDatabase(f"There is no database {using!r:.80} in DATABASES, expected one of {known}.")
    return using


def without_request_transaction(view: Callable[..., Any]) -> Callable[..., Any]:
    """Exempt a view from `ATOMIC_REQUESTS` of every database. Django refuses async views that are not."""
    for alias in aliases():
        view = transaction.non_atomic_requests(using=alias)(view)
    return view


def refresh() -> None:
    """Do for this thread's connections what Django does before and after a request.

    Connections inside an atomic block are left alone: closing one would break the block of whoever opened it.
    """
    for connection in connections.all(initialized_only=True):
        connection.queries_log.clear()
        if not connection.in_atomic_block:
            connection.close_if_unusable_or_obsolete()


def mend() -> None:
    """Close this thread's connections that an error has broken, so that the next statement opens new ones."""
    for connection in connections.all(initialized_only=True):
        if connection.errors_occurred and not connection.in_atomic_block:
            connection.close_if_unusable_or_obsolete()


def current(using: str) -> object:
    """Return what stands for this thread's open connection. After a cut it is another one, or None."""
    return connections[using].connection


PLANNING = {
    "plan_cache_mode": "force_generic_plan",
    "enable_seqscan": "off",
    "enable_bitmapscan": "off",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
    "jit": "off",
}
"""Settings of PostgreSQL for a connection that only looks up rows by their keys. What it has to do all the same is
reckoned to cost so much that it would be compiled, which takes longer than anything that it does."""


def look_up_by_index(using: str) -> object:
    """Have this thread's connection find rows by index. Returns: what stands for it, as `current`.

    A statement that is prepared while its tables are small is planned to read all of them, and keeps that plan while
    they grow (see also `plan_anew`). Nothing is set where nothing is prepared, and none of it on a connection through a
    pooler, which would hand it on: there, the server's process is not the one that the driver was told of.
    """
    connection = connections[using]
    connection.ensure_connection()
    raw = connection.connection
    if prepares(connection):
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_backend_pid()")
            if cursor.fetchone() == (raw.info.backend_pid,):
                calls = ", ".join(["set_config(%s, %s, FALSE)"] * len(PLANNING))
                cursor.execute(f"SELECT {calls}", [each for setting in PLANNING.items() for each in setting])
    return raw


def plan_anew(using: str) -> None:
    """Have PostgreSQL forget the plans of this thread's connection: it makes them anew for the tables as they are now.

    A plan is kept until statistics change. One that was made while a table was empty may read it from end to end, along
    an index if need be.
    """
    connection = connections[using]
    if prepares(connection):
        with connection.cursor() as cursor:
            cursor.execute("DISCARD PLANS")


def in_transaction(using: str) -> bool:
    """Tell whether this thread is inside an atomic block."""
    return bool(connections[using].in_atomic_block)


def discard(using: str) -> None:
    """Close this thread's connection after an error, so that the next statement opens a new one."""
    connection = connections[using]
    if not connection.in_atomic_block:
        connection.close()


def close_all() -> None:
    """Close this thread's connections, those inside an atomic block excepted. Call it in the thread that ends."""
    for connection in connections.all(initialized_only=True):
        if not connection.in_atomic_block:
            connection.close()


def database_now(using: str) -> datetime | None:
    """Return the database server's clock as aware UTC, or None for a database that runs in this process."""
    connection = connections[using]
    if connection.vendor != "postgresql":
        return None
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        row: tuple[datetime] = cursor.fetchone()
    return row[0]


def missing_tables(using: str, tables: set[str]) -> set[str]:
    """Return those of `tables` that the database does not have: migrations were not applied."""
    connection = connections[using]
    with connection.cursor() as cursor:
        return tables - set(connection.introspection.table_names(cursor))
