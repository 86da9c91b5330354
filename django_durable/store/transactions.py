"""Transactions that write."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper


@contextmanager
def write_transaction(using: str) -> Iterator[BaseDatabaseWrapper]:
    """Open a transaction that is going to write; inside one that is open already, a savepoint of it.

    On SQLite it takes the write lock at once (BEGIN IMMEDIATE), whatever the project's settings say: a transaction
    that reads first and writes later fails with "database is locked" instead of waiting when another one wrote in
    between. Waiting is bounded by the connection's `timeout` option.
    """
    connection = connections[using]
    if connection.vendor != "sqlite" or connection.in_atomic_block:
        with transaction.atomic(using=using):
            yield connection
        return
    connection.ensure_connection()
    configured = connection.transaction_mode
    connection.transaction_mode = "IMMEDIATE"
    try:
        with transaction.atomic(using=using):
            connection.transaction_mode = configured
            yield connection
    finally:
        connection.transaction_mode = configured
