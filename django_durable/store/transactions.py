"""Transactions that write."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar
from typing import Any

from django.db import OperationalError, connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper

from ..engine.errors import WrongDatabase
from .sql import one_writer
from .turnstile import Turnstile

SQLITE_TIMEOUT_SECONDS = 5.0
"""What Python's sqlite3 waits for a lock where the project's settings say nothing."""

PATIENCE = 4
"""How often the connection's `timeout` is waited for SQLite's write lock. Those who wait for it take no turns, so one
of many processes may be unlucky for longer than any of them holds it."""


_alone: ContextVar[bool] = ContextVar("django_durable_alone", default=False)


@contextmanager
def commits_alone() -> Iterator[None]:
    """Let writes commit by themselves where a transaction of another database is open.

    For those who wrote nothing there that belongs to it: under `ATOMIC_REQUESTS`, every view is in one.
    """
    token = _alone.set(True)
    try:
        yield
    finally:
        _alone.reset(token)


def _refuse_foreign(using: str) -> None:
    """Refuse to write in a transaction of another database and none of this one: it would not roll back with it."""
    if connections[using].in_atomic_block or _alone.get():
        return
    for other in connections.all(initialized_only=True):
        if other.in_atomic_block:
            raise WrongDatabase(
                f"This is inside transaction.atomic() of the database {other.alias!r}, and the instances are in "
                f"{using!r}: it would be committed at once, also where that is rolled back. Do it after the commit, by "
                f"transaction.on_commit(..., using={other.alias!r}); or, where both may commit apart, inside of "
                f"transaction.atomic(using={using!r})."
            )


@contextmanager
def write_transaction(using: str) -> Iterator[BaseDatabaseWrapper]:
    """Open a transaction that is going to write; inside one that is open already, a savepoint of it.

    On SQLite it takes the write lock at once (BEGIN IMMEDIATE), whatever the project's settings say: a transaction
    that reads first and writes later fails with "database is locked" instead of waiting when another one wrote in
    between. A transaction of the caller that is open already is as the caller began it.
    Raises:
        WrongDatabase: it is called in a transaction of another database, which it could not be part of.
        OperationalError: on SQLite, the lock was not free for several times the connection's `timeout`.
    """
    connection = connections[using]
    _refuse_foreign(using)
    with ExitStack() as stack:
        if connection.vendor != "sqlite" or connection.in_atomic_block:
            stack.enter_context(transaction.atomic(using=using))
        else:
            stack.enter_context(_turnstile(using).turn(PATIENCE * _timeout(connection)))
            _enter_with_lock(stack, connection)
        yield connection


@contextmanager
def statement(using: str) -> Iterator[BaseDatabaseWrapper]:
    """Open what one write needs that takes a single statement on PostgreSQL, where that commits by itself.

    In a transaction that is open it gets no savepoint, as Django's own `save()`: an error of the database marks the
    transaction for rollback. A savepoint would cost two round trips, and thousands in one transaction slow down every
    reader of the database.
    """
    connection = connections[using]
    _refuse_foreign(using)
    if one_writer(connection):
        with write_transaction(using):
            yield connection
    else:
        with transaction.mark_for_rollback_on_error(using=using):
            yield connection


def _enter_with_lock(stack: ExitStack, connection: Any) -> None:
    connection.ensure_connection()  # It reads the setting when it connects.
    configured = connection.transaction_mode
    connection.transaction_mode = "IMMEDIATE"
    try:
        for left in reversed(range(PATIENCE)):
            try:
                stack.enter_context(transaction.atomic(using=connection.alias))
                return
            except OperationalError as error:
                if not left or not _is_busy(error):
                    raise
    finally:
        connection.transaction_mode = configured


_turnstiles: dict[str, Turnstile] = {}
"""One per database alias. Other processes are met at SQLite's own lock."""
os.register_at_fork(after_in_child=_turnstiles.clear)  # Whoever had a turn at the fork is not in the child.


def _turnstile(using: str) -> Turnstile:
    return _turnstiles.get(using) or _turnstiles.setdefault(using, Turnstile())


def _timeout(connection: Any) -> float:
    return float(connection.settings_dict["OPTIONS"].get("timeout", SQLITE_TIMEOUT_SECONDS))


def _is_busy(error: OperationalError) -> bool:
    code = getattr(error.__cause__, "sqlite_errorcode", 0)
    return bool(code & 0xFF == sqlite3.SQLITE_BUSY)
