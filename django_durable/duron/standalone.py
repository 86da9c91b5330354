"""Django for a script that has no settings: one SQLite file and this package."""

from __future__ import annotations

import atexit
import os
import tempfile
from pathlib import Path
from typing import Any

FILE = "durable.sqlite3"


def ensure_django(directory: Path | None, *, traced: bool) -> None:
    """Set Django up, where nobody has.

    In a project that is `django.setup()`, if anything. A script without settings gets a SQLite file in `directory`, or
    one that is gone with the process.
    Raises: what `django.setup()` raises.
    """
    import django
    from django.apps import apps
    from django.conf import settings

    if apps.ready:
        return
    if not settings.configured and not os.environ.get("DJANGO_SETTINGS_MODULE"):
        if directory is not None:
            directory.mkdir(parents=True, exist_ok=True)
        settings.configure(**_settings(directory or _temporary(), traced=traced))
        django.setup()
        from django.core.management import call_command

        from ..store import connections

        call_command("migrate", verbosity=0)
        connections.close_all()
        return
    django.setup()


def _settings(directory: Path, *, traced: bool) -> dict[str, Any]:
    database = {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": str(directory / FILE),
        "OPTIONS": {
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
            "transaction_mode": "IMMEDIATE",
            "timeout": 20,
        },
    }
    return {
        "DATABASES": {"default": database},
        "INSTALLED_APPS": ["django_durable"],
        "USE_TZ": True,
        "DJANGO_DURABLE": {"TRACING": ["database"] if traced else []},
    }


def _temporary() -> Path:
    made = tempfile.TemporaryDirectory(prefix="django-durable-", ignore_cleanup_errors=True)
    atexit.register(made.cleanup)
    return Path(made.name)
