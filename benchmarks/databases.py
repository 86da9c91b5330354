"""A fresh database for each measurement, with its system's defaults: a commit of PostgreSQL waits for the disk."""

from __future__ import annotations

import os
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from urllib.parse import parse_qs, quote, urlsplit, urlunsplit

from tests.postgres import Server


class Databases:
    """Makes databases on the server in `DATABASE_URL`, or on one that it starts for itself; and files for SQLite."""

    def __init__(self, stack: ExitStack) -> None:
        self._directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="benchmark-")))
        self._url = os.environ.get("DATABASE_URL", "")
        if not self._url:
            server = Server(configuration="")
            stack.callback(server.stop)
            directory = parse_qs(urlsplit(server.url).query)["host"][0]
            # The socket where the host stands: the one spelling that the drivers of all contestants read.
            self._url = f"postgresql://postgres@{quote(directory, safe='')}/postgres"

    @contextmanager
    def fresh(self, vendor: str) -> Iterator[str]:
        """Make an empty database. Yields: its URL. It is gone afterwards."""
        name = f"benchmark_{uuid.uuid4().hex[:12]}"
        if vendor == "sqlite":
            yield f"sqlite:///{self._directory / name}.sqlite3"
            return
        self._execute(f"CREATE DATABASE {name}")
        try:
            yield urlunsplit(urlsplit(self._url)._replace(path=f"/{name}"))
        finally:
            self._execute(f"DROP DATABASE {name} WITH (FORCE)")

    def version(self) -> str:
        """Return what the server says of itself."""
        return self._execute("SHOW server_version")

    def _execute(self, statement: str) -> str:
        import psycopg

        with psycopg.connect(self._url, autocommit=True) as connection:
            cursor = connection.execute(statement)
            return str(cursor.fetchone()[0]) if cursor.description else ""
