"""Fixtures of the acceptance tests. They commit, and their worker processes see what they commit."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.databases import VARIABLE
from tests.postgres import Server

from .own import default_database
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
def server(database_vendor) -> Iterator[Server]:
    """A PostgreSQL server of the test's own, as it comes: a commit waits for the disk."""
    server = Server("max_connections = 30")
    yield server
    server.stop()


@pytest.fixture
def own_workers(server, stage, database_environment, django_db_blocker) -> Iterator[Workers]:
    """As `workers`, on the test's own server; `default` is there in the test, too."""
    environment = {**database_environment, VARIABLE: server.url, "DATABASE_URL": server.url}
    made = Workers(stage.directory, environment)
    with django_db_blocker.unblock(), default_database(server.url):
        try:
            yield made
        finally:
            made.close()
    made.check_logs()


@pytest.fixture
def own_effects(own_workers):
    """The table of `Effect` there."""
    from .models import Effect

    return Effect


@pytest.fixture
def client():
    from django_durable.client import client

    from . import workflows  # noqa: F401 - registers them

    return client
