"""A fresh database for each measurement, with its system's defaults: a commit of PostgreSQL waits for the disk."""

from __future__ import annotations

import os
import shutil
import tempfile
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from urllib.parse import parse_qs, quote, urlsplit, urlunsplit

from tests.postgres import Server

FILE = "sqlite:///"


class Databases:
    """Makes databases on the server in `DATABASE_URL`, or on one that it starts for itself; and files for SQLite."""

    def __init__(self, stack: ExitStack) -> None:
        self._directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="benchmark-")))
        self._stack = stack
        self._templates: dict[tuple[str, str], str] = {}
        self.url = os.environ.get("DATABASE_URL", "")
        if not self.url:
            server = Server(configuration="")
            stack.callback(server.stop)
            directory = parse_qs(urlsplit(server.url).query)["host"][0]
            # The socket where the host stands: the one spelling that the drivers of all contestants read.
            self.url = f"postgresql://postgres@{quote(directory, safe='')}/postgres"

    @contextmanager
    def fresh(self, vendor: str, template: str = "") -> Iterator[str]:
        """Make a database, empty or a copy of the one whose URL is given. Yields: its URL. It is gone afterwards."""
        name = f"benchmark_{uuid.uuid4().hex[:12]}"
        if vendor == "sqlite":
            file = self._directory / f"{name}.sqlite3"
            if template:
                source = Path(template.removeprefix(FILE))
                for each in source.parent.glob(f"{source.name}*"):  # With what still stands in its log.
                    shutil.copy(each, f"{file}{each.name.removeprefix(source.name)}")
            yield f"{FILE}{file}"
            for each in self._directory.glob(f"{name}*"):
                each.unlink()
            return
        like = f" TEMPLATE {urlsplit(template).path[1:]}" if template else ""
        self._execute(f"CREATE DATABASE {name}{like}")
        try:
            yield urlunsplit(urlsplit(self.url)._replace(path=f"/{name}"))
        finally:
            self._execute(f"DROP DATABASE {name} WITH (FORCE)")

    def prepared(self, vendor: str, owner: str, prepare: Callable[[str], None]) -> str:
        """Return the URL of a database with an owner's tables, to copy; `prepare` makes them once."""
        key = vendor, owner
        if key not in self._templates:
            url = self._stack.enter_context(self.fresh(vendor))
            prepare(url)
            self._templates[key] = url
        return self._templates[key]

    def version(self) -> str:
        """Return what the server says of itself."""
        return self._execute("SHOW server_version")

    def _execute(self, statement: str) -> str:
        import psycopg

        with psycopg.connect(self.url, autocommit=True) as connection:
            cursor = connection.execute(statement)
            return str(cursor.fetchone()[0]) if cursor.description else ""
