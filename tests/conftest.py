"""Fixtures of the whole suite. Nothing here imports Django before a fixture that needs it runs."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.databases import VARIABLE, url_from_settings

if TYPE_CHECKING:
    from pytest_django.plugin import DjangoDbBlocker

# Filled by `migrate`, so a test that commits leaves them as they are.
FILLED_BY_MIGRATIONS = {"django_content_type", "auth_permission"}


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    vendor = config.getoption("database").removesuffix("-tuned")
    for item in items:
        mark = item.get_closest_marker("only_on")
        if mark is not None and vendor not in mark.args:
            item.add_marker(pytest.mark.skip(reason=f"only on {mark.args[0]}"))


@pytest.fixture(scope="session")
def database_vendor(request: pytest.FixtureRequest) -> str:
    """`"sqlite"` or `"postgresql"`: what `connection.vendor` is in this run."""
    return str(request.config.getoption("database")).removesuffix("-tuned")


@pytest.fixture(scope="session")
def django_db_setup(
    request: pytest.FixtureRequest,
    django_test_environment: None,
    django_db_modify_db_settings: None,
    django_db_blocker: DjangoDbBlocker,
) -> Iterator[None]:
    """Make the test database. pytest-django's own would make none where every test of a run uses `durable_db`."""
    from django.test.utils import setup_databases, teardown_databases

    verbosity = request.config.option.verbose
    with django_db_blocker.unblock():
        created = setup_databases(verbosity, interactive=False, serialized_aliases=[])
    yield
    with django_db_blocker.unblock():
        end_other_sessions()
        teardown_databases(created, verbosity)


def end_other_sessions() -> None:
    """End what is still connected to the test database: a listener that was closed looks up twice a second only."""
    from django.db import connection

    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )


@pytest.fixture
def durable_db(
    request: pytest.FixtureRequest, django_db_setup: None, django_db_blocker: DjangoDbBlocker
) -> Iterator[None]:
    """Let a test commit, from any thread; afterwards every row that it left is deleted.

    It stands in for `transactional_db`, and costs one short transaction where that truncates every table. Threads and
    processes that the test started must have ended when it does.
    """
    if request.node.get_closest_marker("django_db") or {"db", "transactional_db"} & set(request.fixturenames):
        pytest.fail("`durable_db` commits, and `django_db` or `db` rolls back or flushes: use only one of them.")
    with django_db_blocker.unblock():
        yield
        delete_rows()


def delete_rows() -> None:
    """Delete the rows of all tables, in one transaction. The foreign keys are checked at its end."""
    from django.apps import apps
    from django.db import connection, transaction

    tables = {model._meta.db_table for model in apps.get_models(include_auto_created=True) if model._meta.managed}
    with transaction.atomic(), connection.cursor() as cursor:
        for table in sorted(tables - FILLED_BY_MIGRATIONS):
            cursor.execute(f"DELETE FROM {connection.ops.quote_name(table)}")


@pytest.fixture(scope="session")
def database_environment(django_db_setup: None) -> dict[str, str]:
    """The environment for a child process that shall see the same test database as the test."""
    from django.db import connection

    root = Path(__file__).parent.parent
    url = url_from_settings(connection.settings_dict)
    return {
        **os.environ,
        VARIABLE: url,
        "DATABASE_URL": url,
        "DJANGO_SETTINGS_MODULE": "tests.settings",
        # Processes that share work in production do not share a seed.
        "PYTHONHASHSEED": "random",
        "PYTHONPATH": os.pathsep.join([str(root), *filter(None, [os.environ.get("PYTHONPATH")])]),
    }
