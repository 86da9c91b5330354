"""Chooses the database before Django reads its settings. A plugin, because a conftest is loaded after that.

`-p no:django` leaves Django unconfigured: the engine's tests run like that.
"""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import tempfile
from collections.abc import Generator
from pathlib import Path

import pytest

from tests.databases import VARIABLE

SQLITE, TUNED_SQLITE, POSTGRESQL = "sqlite", "sqlite-tuned", "postgresql"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--database",
        choices=(SQLITE, TUNED_SQLITE, POSTGRESQL),
        default=SQLITE,
        help="Database of the run: SQLite as a new project has it (the default), SQLite with WAL and immediate "
        "transactions, or PostgreSQL: the server in DATABASE_URL, else one that the suite starts for itself.",
    )


def pytest_configure() -> None:
    import hypothesis

    # How long an example takes says more about what else the machine does than about the code.
    hypothesis.settings.register_profile("suite", deadline=None)
    hypothesis.settings.load_profile("suite")
    # A shell starts what it runs in the background with Ctrl-C ignored, and children inherit that: tests press it.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(wrapper=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> Generator[None, None, None]:
    # The workers of pytest-xdist have to collect the same names in the same order, those made of a set's repr included.
    os.environ.setdefault("PYTHONHASHSEED", str(secrets.randbelow(2**32)))
    options = early_config.known_args_namespace
    if not (early_config.pluginmanager.is_blocked("django") or options.help or options.version):
        os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
        os.environ[VARIABLE] = _prepare(early_config, options.database)
    return (yield)


def _prepare(config: pytest.Config, database: str) -> str:
    """Return the URL of the chosen database. What was started for it ends with the run.

    Runs in the process that the user started. The workers of pytest-xdist inherit its environment.
    """
    if database == POSTGRESQL:
        return os.environ.get("DATABASE_URL") or _start_postgres(config)
    directory = Path(tempfile.mkdtemp(prefix="durable-sqlite-"))
    config.add_cleanup(lambda: shutil.rmtree(directory, ignore_errors=True))
    return f"sqlite:///{directory / 'main.sqlite3'}" + ("?tuned" if database == TUNED_SQLITE else "")


def _start_postgres(config: pytest.Config) -> str:
    from tests.postgres import Server

    server = Server()
    config.add_cleanup(server.stop)
    return server.url


def pytest_report_header() -> str:
    return f"database: {os.environ.get(VARIABLE, 'none, Django is not set up')}"
