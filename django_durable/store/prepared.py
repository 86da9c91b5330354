"""Statements that PostgreSQL plans once per connection and not at every execution.

Django's cursors put the values into the text of a statement, so the server parses and plans each anew, and for the
small statements of a step that is most of what they cost. The statements of this app are few and their texts constant;
they go through a cursor that sends values apart from the text, and psycopg prepares what a connection runs again.

A pooler that gives every transaction another server connection loses prepared statements, unless it knows of them.
There they are off: where `DISABLE_SERVER_SIDE_CURSORS` is set, as Django asks for such a pooler, and, in this process,
from the first time on that one turns out to be lost.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from django.db import Error, OperationalError
from django.db.backends.base.base import BaseDatabaseWrapper

T = TypeVar("T")

PREPARED_AT = 2
"""The execution on one connection at which a statement is prepared. A connection of one request prepares nothing."""

LOST = {"26000", "42P05"}
"""SQLSTATEs: a prepared statement does not exist, or one of its name does, made by somebody else."""

_lost: set[str] = set()
"""Aliases whose pooler lost one."""


def prepares(connection: BaseDatabaseWrapper) -> bool:
    """Tell whether statements are prepared on a database."""
    if connection.vendor != "postgresql" or connection.alias in _lost:
        return False
    from django.db.backends.postgresql.psycopg_any import is_psycopg3

    return is_psycopg3 and not connection.settings_dict.get("DISABLE_SERVER_SIDE_CURSORS", False)


def run(connection: BaseDatabaseWrapper, statement: str, params: Sequence[Any], read: Callable[[Any], T]) -> T:
    """Execute a statement whose text is constant, and return what `read` takes from its cursor.

    Raises: OperationalError: a pooler lost a prepared statement. The next try does without.
    """
    # Whoever reads the log of statements wants to see the values in them, and wrappers are for Django's cursors.
    if connection.queries_logged or connection.execute_wrappers or not prepares(connection):
        with connection.cursor() as plain:
            plain.execute(statement, params)
            return read(plain)
    try:
        return _run_prepared(connection, statement, params, read)
    except Error as error:
        if getattr(error.__cause__, "sqlstate", None) not in LOST:
            raise
        _lost.add(connection.alias)
        raise OperationalError(
            f"Prepared statements of the database {connection.alias!r} get lost, so there is a pooler in front of it "
            f"that gives every transaction another connection. This process does without them from now on. Set "
            f"DISABLE_SERVER_SIDE_CURSORS to True in its settings."
        ) from error


def _run_prepared(connection: Any, statement: str, params: Sequence[Any], read: Callable[[Any], T]) -> T:
    """Do in one go what Django's cursor does in layers: its checks, its errors. That halves what a statement costs."""
    from django.db.backends.postgresql.base import ServerBindingCursor

    connection.close_if_health_check_failed()
    connection.ensure_connection()
    connection.validate_thread_sharing()
    connection.validate_no_broken_transaction()
    raw = connection.connection
    if raw.prepare_threshold is None:  # Django's default; what the project sets in OPTIONS is left as it is.
        raw.prepare_threshold = PREPARED_AT - 1
    with connection.wrap_database_errors:
        cursor: Any = ServerBindingCursor(raw)  # type: ignore[call-arg]  # Declared without psycopg's base class.
        cursor.execute(statement, params)
        return read(cursor)
