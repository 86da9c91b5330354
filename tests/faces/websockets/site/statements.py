"""What this process has asked the database, since this module was imported."""

from __future__ import annotations

from django.db.backends.signals import connection_created

statements: list[str] = []


def note(execute, sql, params, many, context):
    statements.append(sql)
    return execute(sql, params, many, context)


def watch(connection, **kwargs) -> None:
    if note not in connection.execute_wrappers:
        connection.execute_wrappers.append(note)


connection_created.connect(watch)
