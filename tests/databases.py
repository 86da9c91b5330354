"""Test databases as URLs: what `--database` chooses, what settings read, what a child process is told."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from example_project.database import database_from_url

VARIABLE = "DURABLE_TEST_DATABASE"

TUNED = "?tuned"
# What the example sets beyond what a new project has.
TUNING = ("transaction_mode", "init_command")
# libpq's names -> Django's.
PARTS = {"dbname": "NAME", "user": "USER", "password": "PASSWORD", "host": "HOST", "port": "PORT"}


def settings_from_url(url: str) -> dict[str, Any]:
    """Return the entry of `DATABASES` for `sqlite:///path`, `sqlite:///path?tuned`, or any URL that libpq reads.

    Plain SQLite is what a new project has, with a longer timeout; `?tuned` is what the example recommends: WAL and
    immediate transactions.
    """
    found = database_from_url(url)
    if not found["ENGINE"].endswith("sqlite3"):
        # A name that no project has: the suite drops what it finds under it.
        return {**found, "TEST": {"NAME": "test_django_durable"}}
    if not url.endswith(TUNED):
        found["OPTIONS"] = {name: value for name, value in found["OPTIONS"].items() if name not in TUNING}
    # A file, because the connections of worker threads cannot share a database in memory.
    return {**found, "TEST": {"NAME": str(Path(found["NAME"]).with_name("test.sqlite3"))}}


def url_from_settings(settings: dict[str, Any]) -> str:
    """Return the URL that `settings_from_url` reads back as these settings."""
    if settings["ENGINE"].endswith("sqlite3"):
        return f"sqlite:///{settings['NAME']}" + (TUNED if TUNING[0] in settings["OPTIONS"] else "")
    parts = {part: settings[key] for part, key in PARTS.items() if settings[key]}
    return "postgresql://?" + urlencode(parts | settings["OPTIONS"])
