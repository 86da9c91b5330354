"""What tests of this suite measure: rows and statements."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connection


def row_counts() -> Counter[str]:
    """Return the number of rows of every table of the library."""
    from django.apps import apps

    models = apps.get_app_config("django_durable").get_models()
    return Counter({model.__name__: model._default_manager.count() for model in models})


@contextmanager
def statements() -> Iterator[list[str]]:
    """Collect the statements that are run, savepoints excepted."""
    found: list[str] = []

    def note(execute, sql, params, many, context):
        if "SAVEPOINT" not in sql:
            found.append(sql)
        return execute(sql, params, many, context)

    with connection.execute_wrapper(note):
        yield found
