"""What the tests of defects, bad input and blocked instances share: a registry of their own and a driver for it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from django.db import connection

from django_durable.registry import Registry
from django_durable.store.records import TagFilter
from django_durable.testing import Durable

__all__ = ["durable", "statements", "registry", "row_counts"]


@pytest.fixture
def registry() -> Registry:
    """Return a registry that the test fills."""
    return Registry()


@pytest.fixture
def durable(db: None, registry: Registry) -> Iterator[Durable]:
    """Drive the instances of `registry`, by a moved clock, inside the test's transaction."""
    harness = Durable(registry, tags=TagFilter.ANY)
    yield harness
    harness.close()


def row_counts() -> Counter[str]:
    """Return the number of rows of every table of the library."""
    from django.apps import apps

    return Counter({model.__name__: model._default_manager.count() for model in apps.get_app_config("django_durable").get_models()})


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
