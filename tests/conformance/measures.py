"""What tests of this suite look at: rows, statements, histories, and whether a test is there."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from django.db import connection

from django_durable.testing import Durable

TESTS = Path(__file__).parent.parent


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


def kinds(durable: Durable, instance_id: str) -> list[str]:
    """Return the kinds of the events in an instance's current history."""
    return [event.kind for event in durable.client.read_execution_history(instance_id)]


def exists(place: str) -> bool:
    """Tell whether there is a test, given as `"folder/file.py::name"` below `tests/`."""
    file, name = place.split("::")
    return bool(re.search(rf"^def {name}\(", (TESTS / file).read_text(), re.MULTILINE))
