"""What system checks ask of a database."""

from __future__ import annotations

from django.db import Error, connections

from ..models import Worker

SUPPORTED_VENDORS = ("sqlite", "postgresql")


def vendor(using: str) -> str:
    """Return what kind of database an alias is, for example `"sqlite"`; opens no connection."""
    return connections[using].vendor


def journal_mode(using: str) -> str | None:
    """Return the journal mode of a SQLite file, for example `"wal"`; `None` for other databases and in memory."""
    connection = connections[using]
    if connection.vendor != "sqlite":
        return None
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA journal_mode")
        mode = str(cursor.fetchone()[0]).lower()
    return None if mode == "memory" else mode


def answers(using: str) -> bool:
    """Tell whether a database can be asked and has the tables."""
    try:
        Worker.objects.using(using).exists()
    except Error:
        return False
    return True
