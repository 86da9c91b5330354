"""A database of one test's own, to be shut down, cut off, locked or filled up."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from django.core.management import call_command
from django.db import connection, connections

from tests.databases import settings_from_url

APPS = ("contenttypes", "auth", "django_durable")
FIGURES = "DURABLE_FIGURES"
"""Where this is in the environment, it names the file that recoveries are written to."""


@contextmanager
def default_database(url: str, tablespace: str = "") -> Iterator[None]:
    """Let `default` be another database for a while: migrated, with the table of `Effect`.

    Args:
        tablespace: Where PostgreSQL shall make tables and indexes, if not where it does by itself.
    """
    from .models import Effect

    before, open_before = connections.settings["default"], connections["default"]
    open_before.close()
    connections.settings["default"] = connections.configure_settings({"default": settings_from_url(url)})["default"]
    connections["default"] = connections.create_connection("default")
    try:
        if tablespace:
            with connection.cursor() as cursor:
                cursor.execute(f"ALTER ROLE CURRENT_USER SET default_tablespace = {tablespace}")
            connection.close()
        for app in APPS:
            call_command("migrate", app, verbosity=0)
        with connection.schema_editor() as editor:
            editor.create_model(Effect)
        yield
    finally:
        connection.close()
        connections["default"] = open_before
        connections.settings["default"] = before


@contextmanager
def recovery(what: str) -> Iterator[None]:
    """Measure how long a recovery takes, and tell."""
    started = time.monotonic()
    yield
    line = f"{what}: {time.monotonic() - started:.1f} s"
    sys.stdout.write(f"{line}\n")
    if FIGURES in os.environ:
        with Path(os.environ[FIGURES]).open("a") as file:
            file.write(f"{connection.vendor}, {line}\n")
