"""Fixtures of the acceptance tests. They commit, and their worker processes see what they commit."""

from __future__ import annotations

import pytest

from .processes import Workers
from .stage import Stage


@pytest.fixture(scope="session")
def effects(django_db_setup, django_db_blocker):
    """The table of `Effect`, beside those that migrations made."""
    from django.db import connection

    from .models import Effect

    with django_db_blocker.unblock():
        with connection.schema_editor() as editor:
            editor.create_model(Effect)
        yield Effect
        with connection.schema_editor() as editor:
            editor.delete_model(Effect)


@pytest.fixture
def stage(tmp_path):
    return Stage(tmp_path)


@pytest.fixture
def workers(durable_db, effects, stage, database_environment):
    """Starts worker processes; afterwards none is left, and their logs are as they should be."""
    made = Workers(stage.directory, database_environment)
    try:
        yield made
    finally:
        made.close()
        effects.objects.all().delete()
    made.check_logs()


@pytest.fixture
def client(workers):
    from django_durable.client import client

    from . import workflows  # noqa: F401 - registers them

    return client
